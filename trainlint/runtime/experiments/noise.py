"""How large a batch pays."""

from __future__ import annotations

from itertools import cycle, islice

import torch
from torch import Tensor

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Subject, Trial

# Gradients that are compared, and steps before that: at the start all samples agree, and noise seems too small.
GRADIENTS, BEFORE = 32, 100
LEAST = 8
# Smaller batches are no waste. The noise grows by an order of magnitude in training, and the estimate is as rough.
LARGE, FACTOR = 256, 100


class BatchSizeProbe(Experiment):
    """The batch is many times as large as the noise of its gradient asks for."""

    code, name = "TR606", "batch-size-probe"
    severity = Severity.INFO
    message = (
        "batches of {size} samples are {factor:.0f} times the gradient noise scale of {scale:.2g}: batches of "
        "{fewer:.0f} would make as much progress with each step"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Compare squared norms of the gradients of single batches with that of their mean."""
        batches = [samples for samples in subject.batches if samples.size == subject.batch_size]
        if len(batches) < LEAST or not subject.batch_size:
            raise Unjudged(f"{len(batches)} batches of the same size are too few")
        trial = subject.trial()
        trial.train(islice(cycle(batches), BEFORE), clock)
        scale = _noise_scale(trial, batches[:GRADIENTS], subject.batch_size)
        if scale is None:
            bound = len(batches[:GRADIENTS]) * subject.batch_size
            return Result(f"gradient noise scale beyond {bound} samples, batches of {subject.batch_size}")
        measured = f"gradient noise scale {scale:.2g}, batches of {subject.batch_size}"
        factor = subject.batch_size / max(scale, 1.0)
        if subject.batch_size < LARGE or factor < FACTOR:
            return Result(measured)
        problem = self.message.format(size=subject.batch_size, factor=factor, scale=scale, fewer=max(scale * 10, 8))
        return Result(measured, problem)


def _noise_scale(trial: Trial, batches: list[Samples], size: int) -> float | None:
    """The trace of the covariance of a sample's gradient over the squared norm of the mean, without bias in either
    (McCandlish et al. 2018, appendix A.1); None if the noise hides the mean."""
    squares = 0.0
    total: list[Tensor] = []
    for samples in batches:
        gradient = _gradient(trial, samples)
        squares += _squared(gradient)
        total = gradient if not total else [old + new for old, new in zip(total, gradient, strict=True)]
    count = len(batches)
    small = squares / count
    large = _squared(total) / count**2
    signal = (count * size * large - size * small) / (count * size - size)
    noise = (small - large) / (1 / size - 1 / (count * size))
    return noise / signal if signal > 0 else None


def _squared(parts: list[Tensor]) -> float:
    return float(torch.stack([part.square().sum() for part in parts]).sum())


def _gradient(trial: Trial, samples: Samples) -> list[Tensor]:
    parameters = [parameter for parameter in trial.parameters if parameter.requires_grad]
    gradients = torch.autograd.grad(trial.measure(samples), parameters, allow_unused=True)
    return [
        torch.zeros_like(parameter).float() if gradient is None else gradient.float()
        for gradient, parameter in zip(gradients, parameters, strict=True)
    ]
