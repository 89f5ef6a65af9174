"""Runs and their curves, as plain data of bounded size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trainlint.curves.names import Role

# More points than these are joined in pairs: far more than any statistic here needs, and little memory.
MOST_POINTS = 4096


@dataclass(slots=True)
class Point:
    """One recorded value, or the mean of `count` neighbours with their extremes.

    `line` is the line of the file it comes from, of joined points that of the highest, and 0 if it has none."""

    step: float
    value: float
    line: int = 0
    low: float = math.nan
    high: float = math.nan
    count: int = 1

    def __post_init__(self) -> None:
        if math.isnan(self.low):
            self.low = self.high = self.value

    def take(self, step: float, value: float, line: int) -> None:
        """Make one more value part of this point."""
        self.count += 1
        self.step += (step - self.step) / self.count
        self.value += (value - self.value) / self.count
        self.low = min(self.low, value)
        if value > self.high:
            self.high, self.line = value, line

    def joined(self, other: Point) -> Point:
        """This point and its right neighbour as one."""
        count = self.count + other.count
        return Point(
            self.step + (other.step - self.step) * other.count / count,
            self.value + (other.value - self.value) * other.count / count,
            (other if other.high > self.high else self).line,
            min(self.low, other.low),
            max(self.high, other.high),
            count,
        )


@dataclass(slots=True)
class Trouble:
    """What kind of bad record was seen how often, and where first."""

    step: float
    line: int
    text: str
    count: int = 1


@dataclass(slots=True)
class Series:
    """The curve of one recorded name."""

    name: str
    role: Role
    points: list[Point] = field(default_factory=list)
    # The last stretch of NaN, the first infinity; steps smaller than the one before; steps with two values.
    missing: Trouble | None = None
    infinite: Trouble | None = None
    backwards: Trouble | None = None
    repeated: Trouble | None = None
    # The longest stretch of NaN behind which there were values again: tables have NaN where nothing was recorded.
    gap: int = 0
    recorded: int = 0
    _bucket: int = 1
    _last: tuple[float, float] | None = None

    def add(self, step: float, value: float, line: int) -> None:
        """Record a value; steps may be in any order, which is noted."""
        self.recorded += 1
        if math.isinf(value):
            self.infinite = _noted(self.infinite, step, line, "infinite")
            return
        if math.isnan(value):
            self.missing = _noted(self.missing, step, line, "NaN")
            return
        if self.missing is not None:
            self.gap = max(self.gap, self.missing.count)
            self.missing = None
        if self._last is not None:
            before, old = self._last
            if step < before:
                self.backwards = _noted(self.backwards, step, line, f"{before:g}")
            elif step == before:
                if value != old:
                    self.repeated = _noted(self.repeated, step, line, f"{old:g}")
                else:
                    return
        self._last = (step, value)
        self._append(step, value, line)

    def forget(self, step: float) -> bool:
        """Drop what was recorded at this step or later; whether there was any."""
        kept = next((i for i, point in enumerate(self.points) if point.step >= step), len(self.points))
        dropped = len(self.points) - kept
        del self.points[kept:]
        self._last = (self.points[-1].step, self.points[-1].value) if self.points else None
        for name in ("missing", "infinite"):
            trouble = getattr(self, name)
            if trouble is not None and trouble.step >= step:
                setattr(self, name, None)
                dropped += trouble.count
        return dropped > 0

    def _append(self, step: float, value: float, line: int) -> None:
        if self.points and self.points[-1].count < self._bucket:
            self.points[-1].take(step, value, line)
        else:
            self.points.append(Point(step, value, line))
        if len(self.points) >= MOST_POINTS and self.points[-1].count >= self._bucket:
            self.points = [a.joined(b) for a, b in zip(self.points[::2], self.points[1::2], strict=True)]
            self._bucket *= 2

    @property
    def lost(self) -> Trouble | None:
        """Where the values were lost to NaN or infinity; None if NaN just stands where nothing was recorded."""
        if self.infinite is not None:
            return self.infinite
        return self.missing if self.missing is not None and self.missing.count > self.gap else None

    @property
    def steps(self) -> list[float]:
        """The steps of the points."""
        return [point.step for point in self.points]

    @property
    def values(self) -> list[float]:
        """The values of the points."""
        return [point.value for point in self.points]

    def __len__(self) -> int:
        return len(self.points)

    def scaled(self, factor: float) -> None:
        """Multiply all values, as percentages by a hundredth."""
        for point in self.points:
            point.value *= factor
            point.low *= factor
            point.high *= factor


def _noted(trouble: Trouble | None, step: float, line: int, text: str) -> Trouble:
    if trouble is None:
        return Trouble(step, line, text)
    trouble.count += 1
    return trouble


@dataclass
class Run:
    """What one log has recorded: all its series, and of each role the one that plays it."""

    filename: str
    # What the log calls the run, if it holds several.
    name: str = ""
    # What distinguishes the run among several.
    label: str = ""
    series: list[Series] = field(default_factory=list)
    roles: dict[Role, Series] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # Whether the rows had no steps, and were counted instead.
    is_counted: bool = False
    # What the user says of the task: number of classes, variance of the target, layers of the model.
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What to call it: the file, and its name in there."""
        return f"{self.filename} ({self.name})" if self.name else self.filename

    def get(self, split: str, metric: str) -> Series | None:
        """The series of a role, if it was recorded."""
        return self.roles.get(Role(split, metric))

    def of(self, metric: str) -> Iterator[Series]:
        """The series of one metric, over all splits."""
        return (series for role, series in self.roles.items() if role.metric == metric)


def assign(series: Iterable[Series]) -> dict[Role, Series]:
    """Of each role the series that plays it: the one with the plainest name, then with the most points."""
    best: dict[Role, Series] = {}
    for one in series:
        other = best.get(one.role)
        if one.role.metric and one.points and (other is None or _fitness(one) > _fitness(other)):
            best[one.role] = one
    # A record of NaN alone plays its role where no other does.
    for one in series:
        if one.role.metric and one.recorded:
            best.setdefault(one.role, one)
    return best


def _fitness(series: Series) -> tuple[bool, int, int, int]:
    return (series.recorded > 1, -series.role.extras, min(series.recorded, 64), -len(series.name))
