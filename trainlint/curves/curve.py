"""A series as the checks look at it: its levels, its best, its noise, and the trend of a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from statistics import median

from trainlint.curves import statistics
from trainlint.curves.series import Point, Series


class Curve:
    """A loss, or an accuracy turned around (`sign` -1), so that less is better.

    Levels are medians: of the first twentieth of the points, of the last tenth (at least three points).
    """

    def __init__(self, series: Series, sign: int = 1) -> None:
        self.series = series
        steps = series.steps
        if any(b < a for a, b in pairwise(steps)):
            # Out of order: what was recorded later counts as later.
            steps = [float(i) for i in range(len(steps))]
        self.steps, self.values = statistics.binned(steps, [sign * value for value in series.values])

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def smoothed(self) -> list[float]:
        """The running median over a sixteenth of the curve, at least three points."""
        return statistics.smooth(self.values, max(3, len(self.values) // 16 | 1))

    @cached_property
    def start(self) -> float:
        """The level at which it begins."""
        return median(self.values[: max(1, len(self.values) // 20)])

    @cached_property
    def end(self) -> float:
        """The level at which it ends."""
        return median(self.values[-max(3, len(self.values) // 10) :])

    @cached_property
    def turn(self) -> int:
        """Where the smoothed curve is lowest, the last such place."""
        best = min(self.smoothed)
        return max(i for i, value in enumerate(self.smoothed) if value == best)

    @cached_property
    def best(self) -> float:
        """The lowest level."""
        return self.smoothed[self.turn]

    @cached_property
    def progress(self) -> float:
        """How far it came down at best, from where it began."""
        return max(0.0, self.start - self.best)

    @cached_property
    def noise(self) -> float:
        """The standard deviation of its noise."""
        return statistics.noise(self.values)

    def noise_in(self, start: int, stop: int | None = None) -> float:
        """The standard deviation of the noise in a part."""
        return statistics.noise(self.values[start:stop])

    def trend(self, start: int = 0, stop: int | None = None) -> statistics.Trend:
        """The trend of a part."""
        return statistics.trend(self.steps[start:stop], self.values[start:stop])

    def index(self, fraction: float) -> int:
        """The first point of the last part, as `index(0.75)` of the last quarter."""
        return int(fraction * len(self.values))

    def at(self, index: int) -> Point:
        """The recorded point that a point of this curve begins with."""
        points = self.series.points
        return points[min(len(points) - 1, index * -(-len(points) // max(1, len(self.values))))]

    def lowest(self) -> Point:
        """The recorded point with the least value, the last such."""
        return min(reversed(self.series.points), key=lambda point: point.low)

    def interpolated(self, steps: Sequence[float]) -> list[float]:
        """The curve at other steps, straight between its points and level beyond them."""
        found = []
        i = 0
        for step in steps:
            while i < len(self.steps) and self.steps[i] < step:
                i += 1
            if i in (0, len(self.steps)):
                found.append(self.values[0 if i == 0 else -1])
                continue
            width = self.steps[i] - self.steps[i - 1]
            share = (step - self.steps[i - 1]) / width if width else 1.0
            found.append(self.values[i - 1] + share * (self.values[i] - self.values[i - 1]))
        return found
