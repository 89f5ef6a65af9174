"""Measures of bounded size: curves over the steps of a run, and summaries of tensors."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from trainlint.runtime.report.story import Histogram, Track

# Points of a curve.
POINTS = 256
# Of each tensor so many elements, evenly spread, are sorted into so many bins, up to so many times their root mean
# square on either side.
SAMPLE, BINS, REACH = 1024, 31, 4.0


class Curves:
    """Curves over the steps of a run. When one has too many points, all lose every other and take half as many from
    then on."""

    def __init__(self) -> None:
        self._tracks: dict[Hashable, tuple[array[float], array[float]]] = {}
        self._stride = 1

    def is_due(self, step: int) -> bool:
        """Whether values of a step are wanted."""
        return step % self._stride == 0

    def add(self, key: Hashable, step: int, value: float) -> None:
        """Take a value, if its step is still wanted."""
        if not self.is_due(step):
            return
        steps, values = self._tracks.setdefault(key, (array("d"), array("d")))
        steps.append(step)
        values.append(value)
        if len(steps) >= POINTS:
            self._stride *= 2
            for other, (x, y) in self._tracks.items():
                kept = [place for place, at in enumerate(x) if self.is_due(int(at))]
                self._tracks[other] = (array("d", (x[i] for i in kept)), array("d", (y[i] for i in kept)))

    def get(self, key: Hashable) -> Track:
        """A curve; an empty one if nothing was ever added."""
        steps, values = self._tracks.get(key, ((), ()))
        return Track(list(steps), list(values))

    def __iter__(self) -> Iterator[Any]:
        """The keys, in the order in which curves began."""
        return iter(self._tracks)


@dataclass(slots=True)
class Summary:
    """Mean, root mean square and histogram of a tensor at one step; on its device until it is `read`."""

    step: int
    tensors: tuple[torch.Tensor, ...]
    numbers: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, tensor: torch.Tensor, step: int) -> Summary:
        """Measure. Sorting is deterministic on every device, counting is not."""
        flat = tensor.detach().reshape(-1)
        wide = torch.float64 if flat.dtype == torch.float64 else torch.float32
        sample = flat[:: max(1, math.ceil(len(flat) / SAMPLE))].to(wide)
        scale = torch.linalg.vector_norm(sample) / max(1, len(sample)) ** 0.5
        edges = scale * torch.linspace(-REACH, REACH, BINS + 1, dtype=wide, device=flat.device)
        counts = torch.searchsorted(sample.sort().values, edges).diff()
        return cls(step, (flat.mean(dtype=wide), scale, counts))

    def read(self, numbers: list[float]) -> None:
        """Take the numbers, and let go of the tensors."""
        self.numbers, self.tensors = numbers, ()

    @property
    def histogram(self) -> Histogram:
        """As plain data."""
        return Histogram(self.step, REACH * self.numbers[1], self.numbers[2:])

    @property
    def mean(self) -> float:
        """Of all elements."""
        return self.numbers[0]


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor has real numbers, and all of them in one place: to ask other processes would make them wait."""
    is_real = not (tensor.is_complex() or tensor.is_quantized or tensor.is_meta)
    return is_real and tensor.layout == torch.strided and not hasattr(tensor, "to_local") and tensor.numel() > 0


def root_mean_square(tensor: torch.Tensor) -> torch.Tensor:
    """Computed in single precision at least: in half precision a sum of squares overflows early."""
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    mean: torch.Tensor = torch.linalg.vector_norm(tensor.detach(), dtype=wide) / tensor.numel() ** 0.5
    return mean
