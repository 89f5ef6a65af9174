"""Whether a few samples can be learnt by heart, and what stands in the way."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.learning import ARRIVED, FAR, Course, floor_of, gap, learn, learn_on
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

# "Two to twenty samples", as the tip has it.
SAMPLES = 8


class CannotOverfitBatch(Experiment):
    """The model cannot learn a few samples by heart."""

    code, name = "TR601", "cannot-overfit-batch"
    severity = Severity.ERROR
    message = (
        "{model} does not learn {count} samples by heart: the loss goes from {first:.3g} to {last:.3g} in {steps} "
        "steps where {floor:.2g} can be had{cause}"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Train on a few samples as the user does; if that fails, leave one thing out after the other."""
        samples = subject.few(SAMPLES)
        trial = subject.trial()
        if sum(p.numel() for p in trial.model.parameters()) < sum(target.numel() for target in samples.targets):
            raise Unjudged("the model has fewer parameters than these samples have targets")
        floor = floor_of(trial, samples)
        start = trial.judged(samples)
        if floor is None:
            raise Unjudged("the least value that the loss can have is not known")
        gap(start, floor)
        course = learn_on(trial, samples, clock, floor)
        closed = course.closed(floor)
        measured = (
            f"loss from {course.first:.3g} to {course.last:.3g} in {len(course.losses)} steps on {samples.size} samples"
        )
        if closed >= ARRIVED:
            return Result(measured)
        helpful = _helpful(subject, samples, clock, floor, len(course.losses))
        if not course.stands_still(floor):
            raise Unjudged(f"{measured}, and still falls")
        if closed > FAR and not helpful:
            raise Unjudged(f"{measured}, which is part of the way to {floor:.2g}")
        problem = self.message.format(
            model=subject.model_name,
            count=samples.size,
            first=course.first,
            last=course.losses[-1] if not course.is_finite else course.last,
            steps=len(course.losses),
            floor=floor,
            cause=_cause(helpful),
        )
        return Result(measured, problem)


def _cause(helpful: list[str]) -> str:
    if helpful:
        return f"; it does {' or '.join(helpful)}"
    return "; neither dropout, weight decay, the learning rate nor the optimizer is what blocks it"


def _helpful(subject: Subject, samples: Samples, clock: Clock, floor: float, steps: int) -> list[str]:
    """The changes with which the samples are learnt."""
    found = []
    for name, change in CHANGES.items():
        trial = subject.trial()
        if not change(trial):
            continue
        course: Course = learn(trial, samples, clock, steps)
        if course.closed(floor) >= ARRIVED:
            found.append(name)
    return found


def _without_dropout(trial: Trial) -> bool:
    layers = [m for m in trial.model.modules() if getattr(m, "p", 0) and isinstance(m, nn.modules.dropout._DropoutNd)]
    others = [m for m in trial.model.modules() if isinstance(getattr(m, "dropout", None), float)]
    for layer in layers:
        layer.p = 0.0
    for other in others:
        setattr(other, "dropout", 0.0)  # noqa: B010 - typed as a module
    return bool(layers or others)


def _without_decay(trial: Trial) -> bool:
    groups = [group for group in trial.optimizer.param_groups if group.get("weight_decay")]
    for group in groups:
        group["weight_decay"] = 0.0
    return bool(groups)


def _at_rate(factor: float) -> Callable[[Trial], bool]:
    def change(trial: Trial) -> bool:
        for group in trial.optimizer.param_groups:
            group["lr"] = group["lr"] * factor
        return True

    return change


def _with_adam(trial: Trial) -> bool:
    trial.optimizer = torch.optim.Adam([p for p in trial.parameters if p.requires_grad], lr=1e-3)
    return True


def _with_all_parameters(trial: Trial) -> bool:
    mine = {id(parameter) for parameter in trial.parameters if parameter.requires_grad}
    others = [p for p in trial.model.parameters() if id(p) not in mine and p.is_floating_point()]
    for parameter in others:
        parameter.requires_grad_()
    group = copy.copy({key: value for key, value in trial.optimizer.param_groups[0].items() if key != "params"})
    if others:
        trial.optimizer.add_param_group({**group, "params": others})
    return bool(others)


CHANGES: dict[str, Callable[[Trial], bool]] = {
    "without dropout": _without_dropout,
    "without weight decay": _without_decay,
    "when all its parameters are trained": _with_all_parameters,
    "at a tenth of the learning rate": _at_rate(0.1),
    "at a hundredth of the learning rate": _at_rate(0.01),
    "at ten times the learning rate": _at_rate(10),
    "at a hundred times the learning rate": _at_rate(100),
    "with Adam at 1e-3": _with_adam,
}
