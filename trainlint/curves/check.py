"""What a check of curves is: it looks at a run, or at several, and says what it sees or why it cannot tell."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trainlint.curves.curve import Curve
from trainlint.curves.names import ACCURACY, HELD_OUT, LOSS, RATE, TEST, TRAIN
from trainlint.curves.series import Point, Run, Series
from trainlint.findings import Severity

# Fewer points than these show no course: a trend over seven can hardly be sure (Kendall's score at 99 %).
FEWEST = 8


class CannotTell(Exception):
    """A check needs what was not recorded; the message says what."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw: in which curve, from which point on, and the message."""

    check: type[Check]
    run: Run
    series: Series
    step: float
    line: int
    message: str


class Check(ABC):
    """A diagnosis. Subclasses are found by being defined in a module of `trainlint.curves.checks`."""

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
    severity: ClassVar[Severity] = Severity.WARNING
    message: ClassVar[str] = ""
    # What to do next, with the tips of the checklists and the rules on source that it may confirm.
    advice: ClassVar[str] = ""
    tips: ClassVar[tuple[str, ...]] = ()
    confirms: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def judge(self, run: Run) -> Iterator[Seen]:
        """What is seen in a run. Raises CannotTell."""

    def seen(self, run: Run, series: Series, point: Point, **fields: object) -> Seen:
        """An observation whose message has these fields; numbers are shown with three digits."""
        shown = {name: short(value) if isinstance(value, float) else value for name, value in fields.items()}
        text = self.message.format(name=f"`{series.name}`", step=short(point.step), **shown)
        return Seen(type(self), run, series, point.step, point.line, text)


class Comparison(Check):
    """A diagnosis of several runs together."""

    def judge(self, run: Run) -> Iterator[Seen]:
        """Nothing: one run is no comparison."""
        return iter(())

    @abstractmethod
    def compare(self, runs: Sequence[Run]) -> Iterator[Seen]:
        """What is seen in the runs. Raises CannotTell."""


def short(value: float) -> str:
    """A number for people."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value)}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.4g}"


_CALLED = {TRAIN: "training", HELD_OUT: "held-out", TEST: "test"}


def curve(run: Run, split: str, metric: str = LOSS, points: int = FEWEST) -> Curve:
    """The curve of a role. Raises CannotTell if it was not recorded, or too few points of it."""
    series = run.get(split, metric)
    what = "learning rate" if metric == RATE else f"{_CALLED[split]} {metric}"
    if series is None:
        raise CannotTell(f"no {what} was recorded")
    if len(series) < points:
        raise CannotTell(f"it needs {points} points of the {what}, and there are {len(series)}")
    return Curve(series, -1 if metric == ACCURACY else 1)


def main_curve(run: Run, points: int = FEWEST) -> Curve:
    """The training loss, or without one the held-out loss."""
    return curve(run, TRAIN if run.get(TRAIN, LOSS) or not run.get(HELD_OUT, LOSS) else HELD_OUT, LOSS, points)


def classes(run: Run) -> int | None:
    """The number of classes: as given, or where loss and accuracy at the start both say that the model guesses.

    A model that guesses has a cross entropy of ln C and an accuracy of 1/C; the two must agree within a tenth.
    """
    if "classes" in run.facts:
        return int(run.facts["classes"])
    for split in (TRAIN, HELD_OUT):
        loss, accuracy = run.get(split, LOSS), run.get(split, ACCURACY)
        if loss and accuracy and len(loss) and len(accuracy) and loss.points[0].value < 12:
            first, right = loss.points[0].value, accuracy.points[0].value
            count = round(math.exp(first))
            if count >= 2 and abs(first - math.log(count)) < 0.1 * first and 0.75 < right * count < 1.33:
                return max(2, min(count, round(1 / right)))
    return None


def baseline(run: Run) -> tuple[float, str] | None:
    """The loss of a model that knows nothing of its input, with its name: ln C, or the variance of the target."""
    count = classes(run)
    if count is not None:
        return math.log(count), f"ln {count}"
    if "variance" in run.facts:
        return run.facts["variance"], "the variance of the target"
    return None
