"""What the record itself shows: values that are no numbers, steps out of order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainlint.curves.check import CannotTell, Check, Seen, short
from trainlint.curves.names import LOSS, TRAIN, words_of
from trainlint.curves.series import Point, Run, Series, Trouble
from trainlint.findings import Severity

# Steps that come again in more than this share of the records are epochs, or the like, with several records each.
_COARSE = 0.2


class NonFinite(Check):
    """A loss became NaN or infinite."""

    code, name = "TC101", "non-finite"
    severity = Severity.ERROR
    message = "{name} is {what} from step {step} on{before}; from there the weights are lost"
    advice = (
        "lower the rate, look for a division by zero or a logarithm of zero, and go through the model layer by layer"
    )
    tips: ClassVar = ("I37", "N14", "K16")
    confirms: ClassVar = ("TL501", "TL502", "TL708")

    def judge(self, run: Run) -> Iterator[Seen]:
        """Each loss on its own; the first to be lost is the one to tell."""
        if not any(_is_loss(series) for series in run.series):
            raise CannotTell("no loss was recorded")
        lost = [(trouble, series) for series in run.series if (trouble := _lost(series)) is not None]
        for trouble, series in sorted(lost, key=lambda pair: pair[0].step)[:1]:
            finite = [point.value for point in series.points if point.step < trouble.step and point.value]
            before = f", after {short(finite[-1])}" if finite else ", the first record"
            yield self.seen(run, series, Point(trouble.step, 0.0, trouble.line), what=trouble.text, before=before)


def _is_loss(series: Series) -> bool:
    return "loss" in words_of(series.name) or series.role.metric == LOSS


def _lost(series: Series) -> Trouble | None:
    return (series.lost or _filtered(series)) if _is_loss(series) else None


def _filtered(series: Series) -> Trouble | None:
    """Where a training loss is exactly 0 all of a sudden and for good.

    Transformers' `Trainer` leaves NaN out of the means that it logs (`logging_nan_inf_filter`): of NaN alone it logs 0.
    """
    if series.role.split != TRAIN or series.role.metric != LOSS:
        return None
    tail = next((i for i, point in enumerate(reversed(series.points)) if point.low != 0 or point.high != 0), 0)
    if tail < 2 or tail >= len(series):
        return None
    first, before = series.points[-tail], series.points[-tail - 1]
    if before.value < 0.01 * max(point.value for point in series.points):
        return None
    return Trouble(first.step, first.line, "exactly 0, as NaN that the logger leaves out of its means")


class StepOrder(Check):
    """Steps go back, or come twice with different values."""

    code, name = "TC112", "step-order"
    message = "{name} {what}; two runs may share the log, so that no curve in it can be trusted"
    advice = "give each run a log of its own, or continue the count of steps when a run is resumed"
    tips: ClassVar = ()

    def judge(self, run: Run) -> Iterator[Seen]:
        """The series in which it shows first."""
        if run.is_counted:
            raise CannotTell("no step and no epoch was recorded")
        known = sorted(run.roles.values(), key=lambda series: series.name)
        for series in known:
            back, again = series.backwards, series.repeated
            if back is not None:
                times = f", and {back.count - 1} times more" if back.count > 1 else ""
                what = f"goes back from step {back.text} to {short(back.step)}{times}"
            elif again is not None and again.count <= max(1, _COARSE * series.recorded):
                what = f"has two values at step {short(again.step)}"
            else:
                continue
            trouble = back or again
            assert trouble is not None
            yield self.seen(run, series, Point(trouble.step, 0.0, trouble.line), what=what)
            return
