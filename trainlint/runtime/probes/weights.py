"""What the numbers in parameters look like."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime import places
from trainlint.runtime.events import Backward, Change, Changes, local
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# What is the same in so many observed steps stays so.
REPEATED = 5


class ParameterDiverging(Probe):
    """A parameter grows without end while the loss gets no better."""

    code, name = "TR408", "parameter-diverging"
    message = "`{parameter}` runs away: its numbers have reached {size:.2g}, {factor:.0f} times what layers begin with"
    severity = Severity.WARNING

    # Weights begin with a spread of about one over the root of their inputs, biases within one.
    FACTOR = 100.0
    # In a run away each observed step is larger than the last by this at least; what approaches a value slows down.
    GROWTH = 1.1

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.sizes: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REPEATED + 1))
        # Of each backward pass in the program, its first loss and its last.
        self.losses: dict[object, tuple[float, float]] = {}

    @on("backward")
    def look(self, backward: Backward) -> None:
        if backward.loss.numel() == 1:
            self.later([backward.loss.detach()], self.read, backward.place and backward.place.start)

    def read(self, numbers: list[float], key: object) -> None:
        first, _ = self.losses.get(key, (numbers[0], 0.0))
        self.losses[key] = (first, numbers[0])

    @on("changes")
    def check(self, changes: Changes) -> None:
        for row in changes.rows:
            sizes = self.sizes[row.parameter]
            sizes.append(row.weight)
            factor = self.factor(row)
            is_growing = len(sizes) > REPEATED and all(
                after > self.GROWTH * before for before, after in pairwise(sizes)
            )
            if is_growing and self.FACTOR < factor < math.inf and self.is_vain():
                size = row.weight / math.sqrt(math.prod(row.shape))
                self.report(changes.place, parameter=row.name, size=size, factor=factor)
                break

    def factor(self, row: Change) -> float:
        """How many times larger a parameter is than those that a layer begins with."""
        usual = 1 / math.sqrt(math.prod(row.shape[1:])) if len(row.shape) > 1 else 1.0
        return row.weight / math.sqrt(max(1, math.prod(row.shape))) / max(usual, 1e-12)

    def is_vain(self) -> bool:
        """Whether a loss has risen, or falls below zero without end."""
        pairs = self.losses.values()
        return any(last > first or last < -self.FACTOR * max(1.0, abs(first)) for first, last in pairs)


class HistogramShape(Probe):
    """Some numbers of a weight are far larger than all others."""

    code, name = "TR409", "histogram-shape"
    message = (
        "the numbers of `{parameter}` have a kurtosis of {kurtosis:.0f}, where a Gaussian has 3: a few are far larger "
        "than all others"
    )
    severity = Severity.INFO
    default = False

    # Ten times that of a Gaussian, five times that of a Laplace distribution.
    KURTOSIS = 30.0
    # Fewer numbers do not show their distribution.
    NUMBERS = 256

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[str, int] = defaultdict(int)

    @on("stepping")
    def measure(self, optimizer: torch.optim.Optimizer) -> None:
        held = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        weights = [p for p in held if p.dim() > 1 and local(p).numel() >= self.NUMBERS and p.is_floating_point()]
        shapes = [kurtosis(weight) for weight in weights]
        if shapes:
            self.later(shapes, self.read, [self.run.name_of(weight) for weight in weights], places.here())

    def read(self, numbers: list[float], names: list[str], place: Place | None) -> None:
        for name, value in zip(names, numbers, strict=True):
            self.seen[name] = self.seen[name] + 1 if value > self.KURTOSIS else 0
            if self.seen[name] == REPEATED:
                self.report(place, parameter=name, kurtosis=value)


def kurtosis(weight: torch.Tensor) -> torch.Tensor:
    """The fourth standardised moment."""
    values = local(weight).float()
    centred = values - values.mean()
    return centred.pow(4).mean() / centred.square().mean().square()
