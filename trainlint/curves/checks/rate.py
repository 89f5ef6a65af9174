"""Time and the learning rate: stopped too early, held too high, gone too soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainlint.curves import statistics
from trainlint.curves.check import FEWEST, CannotTell, Check, Seen, curve
from trainlint.curves.checks.course import diverged, stuck
from trainlint.curves.curve import Curve
from trainlint.curves.names import HELD_OUT, LOSS, RATE, TRAIN
from trainlint.curves.series import Point, Run, Series
from trainlint.findings import Severity

# Shares of the run at its end, the shortest first, in which a fall is looked for.
_PARTS = (1 / 4, 1 / 3, 1 / 2)


class StillImproving(Check):
    """The loss was still falling when the run ended."""

    code, name = "TC110", "still-improving"
    severity = Severity.INFO
    message = (
        "{name} still fell by {share} % of all its progress over the last quarter: the run ended early, "
        "or the rate is too low"
    )
    advice = "give it time, or raise the rate"
    tips: ClassVar = ("I31", "N4", "I36", "I29")
    confirms: ClassVar = ("TL704",)

    def judge(self, run: Run) -> Iterator[Seen]:
        """A sure fall of the last part, by which a quarter of the run makes a twentieth of all progress.

        Noise may hide it in the last quarter, but not in the last third or half; a longer part counts only if by the
        best guess the loss falls as far in its last quarter too, for a loss that has come to rest fell before as well.
        """
        held_out = run.get(HELD_OUT, LOSS)
        loss = curve(run, HELD_OUT if held_out is not None and len(held_out) >= 16 else TRAIN, LOSS, 16)
        whole = loss.start - loss.end
        enough = max(0.05 * whole, 0.01 * abs(loss.end))
        last = loss.trend(loss.index(0.75))
        if whole <= 0 or diverged(loss) or last.start - last.end < enough:
            return
        for part in _PARTS:
            start = min(loss.index(1 - part), len(loss) - FEWEST)
            course = loss.trend(start)
            fall = (course.start - course.end) * 0.25 * len(loss) / (len(loss) - start)
            if course.falls and fall > enough:
                yield self.seen(run, loss.series, loss.at(start), share=f"{100 * min(1.0, fall / whole):.0f}")
                return


def _rate(run: Run) -> Series:
    rate = run.get(TRAIN, RATE)
    if rate is None or len(rate) < 4:
        raise CannotTell("no learning rate was recorded")
    return rate


class PlateauAtConstantRate(Check):
    """The training loss is level while the rate never falls."""

    code, name = "TC111", "plateau-at-constant-rate"
    severity = Severity.INFO
    message = (
        "{name} is level at {level} since step {step} while the rate stays at {rate}: "
        "noise of the steps hides what is left"
    )
    advice = "lower the rate when the loss stalls: staircase, cosine, or ReduceLROnPlateau"
    tips: ClassVar = ("K5", "N9")
    confirms: ClassVar = ("TL205", "TL705", "TL710")

    def judge(self, run: Run) -> Iterator[Seen]:
        """A constant rate over the last half, a level last third, and a tenth or more of the loss left."""
        rate, loss = _rate(run), curve(run, TRAIN, LOSS, 16)
        late = [point.value for point in rate.points if point.step >= loss.steps[len(loss) // 2]]
        if not late or max(late) > 1.01 * min(late) or min(late) <= 0 or stuck(loss) or diverged(loss):
            return
        knee = statistics.change_point(loss.values)
        start = loss.index(2 / 3)
        course = loss.trend(start)
        level = loss.end > 0.1 * abs(loss.start) and abs(course.start - course.end) < max(
            0.05 * loss.progress, 2 * loss.noise
        )
        if level and knee < start and not course.falls:
            yield self.seen(run, loss.series, loss.at(knee), level=loss.end, rate=late[-1])


class ScheduleCollapsedEarly(Check):
    """The rate vanishes while the loss was still falling."""

    code, name = "TC117", "schedule-collapsed-early"
    message = (
        "{name} is below a thousandth of its peak from step {step} on, {share} % into the run: "
        "what follows learns nothing"
    )
    advice = "count the schedule in the steps it is moved in, and do not multiply a rate that was multiplied before"
    tips: ClassVar = ("K5", "N16")
    confirms: ClassVar = ("TL205", "TL705", "TL710")

    def judge(self, run: Run) -> Iterator[Seen]:
        """A rate below 0.001 of its peak for good, before 60 % of the run, and a loss that stops there."""
        _rate(run)
        found = collapse(run, curve(run, TRAIN, LOSS, 12))
        if found is not None:
            rate, gone, share = found
            yield self.seen(run, rate, gone, share=f"{100 * share:.0f}")


def collapse(run: Run, loss: Curve) -> tuple[Series, Point, float] | None:
    """Where the rate vanishes and the loss stops with it: the rate, its first such point, and the share of the run."""
    rate = run.get(TRAIN, RATE)
    if rate is None or not len(rate) or loss.end < 0.02 * abs(loss.start):
        return None
    limit = 1e-3 * max(rate.values)
    tail = next((i for i, point in enumerate(reversed(rate.points)) if point.high >= limit), len(rate))
    if not tail:
        return None
    gone = rate.points[-tail]
    first, last = loss.steps[0], loss.steps[-1]
    share = max(0.0, (gone.step - first) / (last - first)) if last > first else 1.0
    left = [value for step, value in zip(loss.steps, loss.values, strict=True) if step >= gone.step]
    if share > 0.6 or len(left) < 4 or max(left) - min(left) >= max(0.1 * loss.progress, 6 * loss.noise):
        return None
    return rate, gone, share
