"""How the training loss moves: away, in spikes, not at all, up and down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import ClassVar

from trainlint.curves import statistics
from trainlint.curves.check import CannotTell, Check, Seen, baseline, curve, main_curve
from trainlint.curves.curve import Curve
from trainlint.curves.names import ACCURACY, HELD_OUT, LOSS, TRAIN
from trainlint.curves.series import Run
from trainlint.findings import Severity

# Numbers of classes whose ln is looked for where the number is not known: small ones, and those of well-known data.
_USUAL = (*range(2, 21), 100, 1000)
# In blocks the noise of single batches averages out, while a model that swings does so in all of a block.
BLOCKS = 40


def diverged(loss: Curve) -> bool:
    """Whether a loss ends above its best by half of its gain, 6 times its noise before and 3 times that of all."""
    rise = loss.end - loss.best
    calm = loss.noise_in(0, loss.turn + 1) if loss.turn >= 4 else loss.noise
    floor = 0.5 * loss.progress if loss.progress > 0.05 * abs(loss.start) else 0.5 * abs(loss.start)
    stays = min(loss.smoothed[loss.index(0.9) :]) > loss.best + 0.5 * floor
    return rise > max(floor, 6 * calm, 3 * loss.noise) and stays


class Divergence(Check):
    """The training loss rises and does not come back."""

    code, name = "TC102", "divergence"
    severity = Severity.ERROR
    message = "{name} rises from {best} at step {step} to {end} and does not come back: the updates are too large"
    advice = "lower the learning rate, clip the gradients or warm up"
    tips: ClassVar = ("I36", "N10")
    confirms: ClassVar = ("TL704", "TL201", "TL708")

    def judge(self, run: Run) -> Iterator[Seen]:
        """The level at the end against the best."""
        loss = main_curve(run)
        if diverged(loss):
            yield self.seen(run, loss.series, loss.at(loss.turn), best=loss.best, end=loss.end)


class Spikes(Check):
    """The training loss jumps up for moments."""

    code, name = "TC103", "spikes"
    message = "{name} jumps {count} times for a moment, first at step {step} to {high} from {usual}"
    advice = "look at the batches there, clip the gradients, and lower the rate or raise Adam's epsilon"
    tips: ClassVar = ("N10", "N12", "K15")
    confirms: ClassVar = ("TL708",)

    def judge(self, run: Run) -> Iterator[Seen]:
        """Points far above their neighbours: by 12 deviations of these, and by a quarter of the progress.

        The losses of batches have heavy tails; 12 deviations are far outside what they show over ten thousand steps.
        """
        loss = curve(run, TRAIN, LOSS, 20)
        points = loss.series.points
        values = loss.series.values
        usual = statistics.smooth(values, 11)
        aside = [value - level for value, level in zip(values, usual, strict=True)]
        first = max(3, len(points) // 20)
        limit = max(12 * statistics.spread(aside[first:]), 0.25 * loss.progress)
        high = [i for i in range(first, len(points) - 1) if points[i].high - usual[i] > limit]
        apart = [i for i, before in zip(high, [-9, *high], strict=False) if i - before > 2]
        if diverged(loss) or len(apart) < 2 or len(high) > 0.1 * len(points):
            return
        where = points[apart[0]]
        yield self.seen(run, loss.series, where, count=len(apart), high=where.high, usual=usual[apart[0]])


def stuck(loss: Curve) -> bool:
    """Whether a loss ends where it began: less than 5 % below, and most of that not in the last third."""
    moved = loss.start - loss.end
    if loss.best < 0.9 * loss.start or moved > 0.05 * abs(loss.start):
        return False
    last = loss.trend(loss.index(2 / 3))
    return moved < 0.01 * abs(loss.start) or not last.falls or last.start - last.end < 0.3 * moved


class StuckAtChance(Check):
    """The training loss stays where a model is that guesses."""

    code, name = "TC104", "stuck-at-chance"
    severity = Severity.ERROR
    message = "{name} stays at {level}, {what}: the model learns nothing from its input"
    advice = "overfit a few samples first; check labels, the loss's input, frozen weights, and the rate"
    tips: ClassVar = ("I17", "IE5", "I23")
    confirms: ClassVar = ("TL101", "TL201", "TL601", "TL701", "TL110")

    def judge(self, run: Run) -> Iterator[Seen]:
        """A loss that has not moved, at the level of a guess."""
        loss = curve(run, TRAIN)
        if not stuck(loss):
            return
        what = _guess(run, loss)
        if what is None:
            raise CannotTell("the loss has not moved, but whether that is chance takes --classes or --target-variance")
        yield self.seen(run, loss.series, loss.at(0), level=median(loss.values), what=what)


def _guess(run: Run, loss: Curve) -> str | None:
    """What the level of a loss that does not move is called, if it is that of a guess."""
    level = median(loss.values)
    known = baseline(run)
    if known is not None:
        # Classes of unequal size are guessed a little better.
        return f"near {known[1]}, the loss of a guess" if 0.8 * known[0] < level < 1.1 * known[0] else None
    accuracy = run.get(TRAIN, ACCURACY) or run.get(HELD_OUT, ACCURACY)
    for count in _USUAL:
        if abs(level - math.log(count)) < 0.01 * level:
            chance = accuracy is None or not len(accuracy) or median(accuracy.values) < 1.5 / count
            return f"ln {count}, the loss of a guess among {count} classes" if chance else None
    return None


class Oscillation(Check):
    """The training loss swings up and down and gains nothing."""

    code, name = "TC105", "oscillation"
    message = "{name} swings by {swing} around {level} since step {step} without falling: the steps are too long"
    advice = "lower the learning rate, or raise the batch size"
    tips: ClassVar = ("I36", "I29", "N9")
    confirms: ClassVar = ("TL704", "TL201")

    def judge(self, run: Run) -> Iterator[Seen]:
        """Swings beyond those of batches, and no gain."""
        loss = curve(run, TRAIN, LOSS, 12)
        swings = oscillation(run, loss)
        if swings is not None:
            yield self.seen(run, loss.series, loss.at(loss.index(1 / 3)), swing=swings[0], level=swings[1])


def oscillation(run: Run, loss: Curve) -> tuple[float, float] | None:
    """By how much a training loss swings, and around what, if it does.

    Swings of an eighth of the level after the first third, or of 1.5 % if the held-out loss swings by 2.5 % as well:
    held-out data are the same each time, so that no draw of batches stirs their loss. Of runs that are well neither
    swings by more than 1 % (`benchmarks/curves.py`).
    """
    steps, blocks = statistics.binned(loss.series.steps, loss.series.values, BLOCKS)
    third = len(blocks) // 3
    late = blocks[third:]
    level, swing = median(late), statistics.noise(late)
    size = len(loss.series) // len(blocks)
    batch = statistics.noise(loss.series.values) / math.sqrt(size) if size >= 4 else 0.0
    confirmed = _held_out_swings(run)
    if confirmed is None and size < 4:
        raise CannotTell("swings of few records cannot be told from noise of batches without a held-out loss")
    share = 0.015 if confirmed else 0.12
    course = statistics.trend(steps[third:], late)
    falls = course.falls and course.start - course.end > 2 * swing
    far = (confirmed or size >= 4) and swing > max(share * abs(level), share * loss.progress / 4, 2 * batch)
    return (swing, level) if far and not falls and not diverged(loss) else None


def _held_out_swings(run: Run) -> bool | None:
    """Whether the held-out loss swings; None if that was recorded too seldom to tell."""
    series = run.get(HELD_OUT, LOSS)
    if series is None or len(series) < 12:
        return None
    held_out = Curve(series)
    third = held_out.index(1 / 3)
    return held_out.noise_in(third) > 0.025 * abs(median(held_out.values[third:]))
