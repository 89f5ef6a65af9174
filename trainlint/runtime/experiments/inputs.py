"""Whether it makes a difference what the model is given."""

from __future__ import annotations

import torch

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.learning import Course, floor_of, gap, learn, learn_on, learn_to_rest
from trainlint.runtime.experiments.subject import Clock, Subject

SAMPLES = 8
# A difference of so much of what one input for all leaves is none; and so much of the gap must be closed to judge.
SAME = 0.05


class InputDoesNotMatter(Experiment):
    """The model learns as well when all samples have the same input."""

    code, name = "TR602", "input-does-not-matter"
    severity = Severity.ERROR
    message = (
        "{model} trains as well when all samples are given the input of the first one (loss {same:.3g} after "
        "{steps} steps, with their own inputs {own:.3g}); what it is given does not matter"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Train on a few samples with unlike targets, once as they are and once with one input for all."""
        samples = subject.few(SAMPLES)
        trial = subject.trial()
        floor = floor_of(trial, samples)
        if floor is None:
            raise Unjudged("the least value that the loss can have is not known")
        gap(trial.judged(samples), floor)
        own = learn_on(trial, samples, clock, floor)
        alike = samples.mapped(lambda tensor: tensor[:1].expand_as(tensor).clone(), None)
        same = learn(subject.trial(), alike, clock, len(own.losses))
        if _is_same(own, same, floor):
            # At first both learn how large targets are on the whole.
            own = learn_to_rest(trial, samples, clock, floor, own)
            same = learn(subject.trial(), alike, clock, len(own.losses))
        measured = (
            f"loss {own.last:.3g} with their own inputs, {same.last:.3g} with one input for all {samples.size} samples"
        )
        if not _is_same(own, same, floor):
            return Result(measured)
        if not own.is_finite or not same.is_finite:
            raise Unjudged("the loss is not finite")
        is_learning = own.closed(floor) >= SAME and own.rests(floor)
        if not is_learning and not _is_blind(trial.outputs(samples)):
            raise Unjudged(f"{measured}: hardly anything is learnt")
        problem = self.message.format(model=subject.model_name, same=same.last, own=own.last, steps=len(own.losses))
        return Result(measured, problem)


def _is_same(own: Course, same: Course, floor: float) -> bool:
    return same.last - own.last <= SAME * (same.last - floor)


def _is_blind(outputs: torch.Tensor) -> bool:
    """Whether a trained model gives the same for all samples."""
    values = outputs.float()
    return bool((values - values[:1]).abs().max() <= 1e-6 * values.abs().max())
