"""Whether labels are found out that cannot be known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import SEED, Clock, Samples, Subject
from trainlint.runtime.experiments.tasks import Task, distinct, divided, epochs
from trainlint.runtime.fingerprints import BITS, fingerprints

EPOCHS = 30
LEAST = 64
# So many standard errors above chance, and so much above it, are no chance.
ERRORS, ABOVE = 5.0, 0.1


class ShuffledLabelsFit(Experiment):
    """Labels drawn at random are predicted for samples that were not trained on."""

    code, name = "TR603", "shuffled-labels-fit"
    severity = Severity.ERROR
    message = "trained on labels drawn at random, {model} predicts those of samples {where} ({reached}); {cause}"

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Give each sample a random label of its own, train, and compare predictions for others with chance."""
        trial = subject.trial()
        pool = subject.pool()
        task = Task.of(trial, pool)
        evaluation = subject.evaluation_pool()
        given = pool.target.reshape(-1)
        train, held_out = divided(pool, 0.25) if evaluation is None else (pool, evaluation)
        train, held_out = _drawn(train, given), _drawn(held_out, given)
        if held_out.size < LEAST or len(distinct(given)) < 2:
            raise Unjudged(f"{held_out.size} samples with {len(distinct(given))} labels are too few")
        trial.train(epochs(train, subject.batch_size, range(EPOCHS)), clock)
        predicted = task.predictions(trial, held_out)
        if not bool(predicted.isfinite().all()):
            raise Unjudged("the outputs are not finite")
        chance, errors, reached = _above_chance(task, predicted, held_out.target.reshape(-1))
        measured = f"{reached} on {held_out.size} samples with labels drawn at random"
        if errors < ERRORS or chance < ABOVE:
            return Result(measured)
        overlap = evaluation is not None
        return Result(
            measured,
            self.message.format(
                model=subject.model_name,
                reached=reached,
                where="of the evaluation data" if overlap else "that it was not trained on",
                cause="they are among the training data, or the label reaches the model"
                if overlap
                else "the label reaches the model",
            ),
        )


def _drawn(samples: Samples, given: Tensor) -> Samples:
    """The same samples with random labels, equal ones for equal inputs; also where an input is the label."""
    numbers = torch.cat([fingerprints(tensor) for tensor in samples.inputs if not _is(tensor, samples.target)], 1)
    keys = (numbers.long() * torch.arange(1, numbers.shape[1] + 1, device=numbers.device)).sum(1) + SEED
    mixed = (keys * 6364136223846793005 + 1442695040888963407) >> (64 - BITS)
    drawn = given[mixed % len(given)]

    def replaced(tensor: Tensor) -> Tensor:
        return drawn.reshape(tensor.shape).to(tensor.dtype) if _is(tensor, samples.target) else tensor

    return samples.mapped(replaced, replaced)


def _is(tensor: Tensor, target: Tensor) -> bool:
    return tensor.numel() == target.numel() and bool((tensor.reshape(-1) == target.reshape(-1)).all())


def _above_chance(task: Task, predicted: Tensor, labels: Tensor) -> tuple[float, float, str]:
    """How much better than chance, in itself and in standard errors, and what to say of it.

    Chance is what predictions as frequent as these would reach if they had nothing to do with the labels."""
    count = len(labels)
    if task.kind == "numbers":
        predicted, labels = predicted.double() - predicted.double().mean(), labels.double() - labels.double().mean()
        product = float(predicted.norm() * labels.norm())
        correlation = float(predicted @ labels) / product if product else 0.0
        return correlation, correlation * math.sqrt(count), f"a correlation of {correlation:.2f}, by chance 0"
    right = float((predicted == labels.long()).double().mean())
    classes = distinct(torch.cat([predicted, labels.long()]))
    chance = sum(float((predicted == c).double().mean() * (labels == c).double().mean()) for c in classes)
    error = math.sqrt(max(chance * (1 - chance), 1 / count) / count)
    return right - chance, (right - chance) / error, f"{right:.0%} right, by chance {chance:.0%}"
