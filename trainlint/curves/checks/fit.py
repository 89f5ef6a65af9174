"""Training against held-out and test data: overfitting, underfitting, mismatch, evaluation that says little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from trainlint.curves import statistics
from trainlint.curves.check import CannotTell, Check, Seen, baseline, curve
from trainlint.curves.checks.course import diverged, oscillation, stuck
from trainlint.curves.checks.rate import collapse
from trainlint.curves.curve import Curve
from trainlint.curves.names import ACCURACY, HELD_OUT, LOSS, TEST, TRAIN
from trainlint.curves.series import Run
from trainlint.findings import Severity


@dataclass(frozen=True)
class _Turn:
    """A held-out loss that turns while the training loss goes on falling."""

    held_out: Curve
    accuracy_rises: bool
    rise: float


def _turn(run: Run) -> _Turn | None:
    """Whether the held-out loss surely rises from its best, by a tenth of it, while training goes on."""
    held_out, train = curve(run, HELD_OUT), curve(run, TRAIN)
    turn, rise = held_out.turn, held_out.end - held_out.best
    after = len(held_out) - turn
    if after < 5 or turn < 1 or diverged(train):
        return None
    noise = held_out.noise_in(turn)
    if rise < max(0.05 * held_out.progress, 0.1 * abs(held_out.best), 3 * noise) or not held_out.trend(turn).rises:
        return None
    # The training loss where the held-out loss turned, and at the end.
    there = train.interpolated([held_out.steps[turn]])[0]
    if there - train.end < max(0.01 * train.progress, train.noise):
        return None
    accuracy = run.get(HELD_OUT, ACCURACY)
    rises = False
    if accuracy is not None and len(accuracy) >= len(held_out.series) > turn:
        wrong = Curve(accuracy, -1)
        at = median(wrong.values[max(0, turn - 1) : turn + 2])
        # Two medians of three points or more: 3 deviations of their difference.
        rises = at - wrong.end > max(0.005, 3 * wrong.noise_in(turn))
    return _Turn(held_out, rises, rise)


class Overfitting(Check):
    """The held-out loss rises while the training loss falls."""

    code, name = "TC106", "overfitting"
    message = (
        "{name} rises from {best} at step {step} to {end} while the training loss falls: the best was at step {step}"
    )
    advice = "stop at the best step; more data, augmentation, dropout, weight decay, or a smaller model"
    tips: ClassVar = ("L3", "N1", "K13", "L5")
    confirms: ClassVar = ("TL422", "TL610")

    def judge(self, run: Run) -> Iterator[Seen]:
        """Where the held-out loss turns, and accuracy does not gain."""
        turn = _turn(run)
        if turn is not None and not turn.accuracy_rises:
            lowest = turn.held_out.lowest()
            yield self.seen(run, turn.held_out.series, lowest, best=lowest.low, end=turn.held_out.end)


class LossUpAccuracyUp(Check):
    """The held-out loss rises, and so does the accuracy."""

    code, name = "TC107", "loss-up-accuracy-up"
    message = "{name} rises from {best} at step {step} to {end} while held-out accuracy rises too: overconfidence"
    advice = (
        "choose the step by accuracy if that is what counts; label smoothing, flooding or a temperature for the rest"
    )
    tips: ClassVar = ("N2", "I21")

    def judge(self, run: Run) -> Iterator[Seen]:
        """Where the held-out loss turns, and accuracy goes on gaining."""
        accuracy = curve(run, HELD_OUT, ACCURACY)
        turn = _turn(run)
        if turn is not None and len(accuracy.series) < len(turn.held_out.series):
            raise CannotTell("the held-out accuracy was recorded less often than the loss")
        if turn is not None and turn.accuracy_rises:
            lowest = turn.held_out.lowest()
            yield self.seen(run, turn.held_out.series, lowest, best=lowest.low, end=turn.held_out.end)


class Underfitting(Check):
    """The training loss stops falling while it is still large."""

    code, name = "TC108", "underfitting"
    message = (
        "{name} stops falling at {level}, {share} % of {what}: the model is too small or too constrained, "
        "or the optimiser stuck"
    )
    advice = (
        "try a larger model: if that trains worse, it is the optimisation (TC116); "
        "else less regularisation, or better features"
    )
    tips: ClassVar = ("L1", "I24", "I30", "N3", "N6", "K7")
    confirms: ClassVar = ("TL609", "TL610", "TL707")

    def judge(self, run: Run) -> Iterator[Seen]:
        """A flat last third at more than 60 % of what a guess has, with the held-out loss close by."""
        loss = curve(run, TRAIN, LOSS, 12)
        known = baseline(run)
        if known is None:
            raise CannotTell("whether a loss is large takes --classes or --target-variance")
        start = loss.index(2 / 3)
        course = loss.trend(start)
        fall = course.start - course.end
        gained = known[0] - loss.end
        if loss.end < 0.6 * known[0] or stuck(loss) or diverged(loss) or collapse(run, loss):
            return
        # Noise may hide that it falls: then it must not seem to fall by much either.
        if fall > (0.05 if course.falls else 0.1) * gained:
            return
        held_out = run.get(HELD_OUT, LOSS)
        if held_out is not None and len(held_out) >= 3 and Curve(held_out).end > 1.3 * loss.end:
            return
        share = f"{100 * loss.end / known[0]:.0f}"
        yield self.seen(run, loss.series, loss.at(start), level=loss.end, share=share, what=known[1])


class TestMismatch(Check):
    """The test loss is far above the held-out loss."""

    code, name = "TC109", "test-mismatch"
    message = (
        "{name} is {test} where the held-out loss is {held_out}: test data differ from what was trained and tuned on"
    )
    advice = (
        "look at where the test data come from; extend the validation set by such data, and never tune on the test set"
    )
    tips: ClassVar = ("L4", "K17", "K18", "N17")
    confirms: ClassVar = ("TL401", "TL402", "TL409")

    def judge(self, run: Run) -> Iterator[Seen]:
        """A gap between test and held-out beyond noise, and beyond what lies between training and held-out."""
        test, held_out = curve(run, TEST, LOSS, 1), curve(run, HELD_OUT, LOSS, 3)
        last = test.series.points[-1]
        level = held_out.interpolated([last.step])[0] if len(test) > 1 else min(held_out.best, held_out.end)
        mine = test.end if len(test) > 2 else last.value
        train = run.get(TRAIN, LOSS)
        between = abs(held_out.end - Curve(train).end) if train is not None and len(train) >= 3 else 0.0
        gap = mine - max(level, held_out.end)
        if gap > max(0.25 * abs(level), 5 * held_out.noise, 0.5 * between):
            yield self.seen(run, test.series, last, test=mine, held_out=level)


class EvalBelowTrain(Check):
    """The held-out loss lies below the training loss."""

    code, name = "TC113", "eval-below-train"
    severity = Severity.INFO
    message = (
        "{name} ends {share} % below the training loss: dropout or augmentation in training alone, "
        "or held-out data that leak"
    )
    advice = "measure both losses in eval mode; if the gap stays, look for held-out samples in the training part"
    tips: ClassVar = ("I32", "I30")
    confirms: ClassVar = ("TL302", "TL401", "TL404")

    def judge(self, run: Run) -> Iterator[Seen]:
        """The second half, by a tenth of the training loss and three times the noise.

        A mean over an epoch belongs to its middle: training is taken half an evaluation later than recorded.
        """
        held_out, train = curve(run, HELD_OUT), curve(run, TRAIN)
        half = held_out.index(0.5)
        lag = (held_out.steps[-1] - held_out.steps[0]) / max(1, len(held_out) - 1) / 2
        there = train.interpolated([step + lag for step in held_out.steps[half:]])
        gaps = [mine - other for mine, other in zip(there, held_out.values[half:], strict=True)]
        level = median(there)
        below = sum(gap > 0 for gap in gaps) / len(gaps)
        if (
            level > 0
            and below > 0.9
            and median(gaps) > max(0.1 * level, 3 * held_out.noise_in(half) / len(gaps) ** 0.5)
        ):
            share = f"{100 * median(gaps) / level:.0f}"
            yield self.seen(run, held_out.series, held_out.at(half), share=share)


class NoisyEvaluation(Check):
    """The held-out loss is so noisy that its best is luck."""

    code, name = "TC114", "noisy-evaluation"
    message = "{name} has a noise of {noise} at a level of {level}: the best of its values is luck, not a better model"
    advice = "evaluate on more data, always the same and in eval mode; compare means over the last evaluations"
    tips: ClassVar = ("K17", "L6")
    confirms: ClassVar = ("TL301", "TL409")

    def judge(self, run: Run) -> Iterator[Seen]:
        """Noise of the second half above a twelfth of the level and of the progress, and of thrice that of training."""
        held_out, train = curve(run, HELD_OUT, LOSS, 12), curve(run, TRAIN)
        half = held_out.index(1 / 3)
        noise, level = held_out.noise_in(half), median(held_out.values[half:])
        alike = train.interpolated(held_out.steps[half:])
        far = noise > max(0.08 * abs(level), 0.08 * held_out.progress, 3 * statistics.noise(alike))
        if far and not diverged(train) and not _swings(run, train):
            yield self.seen(run, held_out.series, held_out.at(half), noise=noise, level=level)


def _swings(run: Run, train: Curve) -> bool:
    """Whether the model itself is known to swing, which the held-out loss then only shows."""
    try:
        return oscillation(run, train) is not None
    except CannotTell:
        return False
