"""Several runs side by side: folds and seeds, and sizes of the model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from statistics import fmean, stdev
from typing import ClassVar

from trainlint.curves.check import CannotTell, Comparison, Seen, short
from trainlint.curves.curve import Curve
from trainlint.curves.names import ACCURACY, HELD_OUT, LOSS, TRAIN
from trainlint.curves.series import Run

_FOLD = re.compile(r"(?<![a-z])(fold|split|cv|seed|repeat|rep)[-_ =]?\d+", re.IGNORECASE)
_LAYERS = re.compile(
    r"(?<![a-z])(?:depth|layers?|n_?layers?|num_?layers?|resnet|vgg|plain)[-_ =]?(\d+)|(\d+)[-_ ]?layers?",
    re.IGNORECASE,
)


class FoldSpread(Comparison):
    """The same training comes out very differently over folds or seeds."""

    code, name = "TC115", "fold-spread"
    message = (
        "{name} ends between {low} and {high} over {count} {kind}s (deviation {deviation}): "
        "one of them says little about the others"
    )
    advice = "report the mean over all; stratify the folds, collect more data, and look at what the worst one holds"
    tips: ClassVar = ("L7", "N18")
    confirms: ClassVar = ("TL401", "TL413")

    def compare(self, runs: Sequence[Run]) -> Iterator[Seen]:
        """The deviation over runs against the noise within them: twice that, and 15 % of the mean (4 % of accuracy)."""
        groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in runs:
            found = _FOLD.search(run.label or run.filename)
            if found:
                groups[_FOLD.sub("#", run.label or run.filename), found[1].lower()].append(run)
        if not any(len(group) >= 3 for group in groups.values()):
            raise CannotTell("it needs three runs whose names differ by a fold or a seed, as `fold1`, `fold2`, `fold3`")
        for (_, kind), group in groups.items():
            for metric in (ACCURACY, LOSS):
                ends = [
                    (Curve(series), run, series)
                    for run in group
                    if (series := run.get(HELD_OUT, metric)) is not None and len(series) >= 3
                ]
                if len(ends) < 3:
                    continue
                levels = [end.end for end, _, _ in ends]
                within = fmean(end.noise for end, _, _ in ends)
                deviation = stdev(levels)
                if deviation > max(0.04 if metric == ACCURACY else 0.15 * abs(fmean(levels)), 2 * within):
                    pick = max if metric == LOSS else min
                    worst, run, series = pick(ends, key=lambda end: end[0].end)
                    point = worst.at(len(worst) - 1)
                    low, high = min(levels), max(levels)
                    yield self.seen(
                        run, series, point, low=low, high=high, count=len(ends), kind=kind, deviation=deviation
                    )
                break


def layers(run: Run) -> float | None:
    """The depth of a run's model: as given, or what its name says."""
    if "layers" in run.facts:
        return run.facts["layers"]
    for part in reversed(PurePath(run.label or run.filename).parts):
        found = _LAYERS.search(part)
        if found:
            return float(found[1] or found[2])
    return None


class DeeperTrainsWorse(Comparison):
    """A deeper model has a larger training loss than a shallower one."""

    code, name = "TC116", "deeper-trains-worse"
    message = (
        "{name} of {deep} layers ends at {end}, that of {shallow} layers at {other}: "
        "the deeper model could do as well, its optimisation fails"
    )
    advice = "residual connections, normalisation, He initialisation, another rate or optimizer: not a smaller model"
    tips: ClassVar = ("L2", "N10", "K14")
    confirms: ClassVar = ("TL605", "TL606")

    def compare(self, runs: Sequence[Run]) -> Iterator[Seen]:
        """The training losses where the shorter of two runs ends: a tenth apart, and thrice their noise."""
        sized = [
            (depth, run, Curve(series))
            for run in runs
            if (depth := layers(run)) is not None and (series := run.get(TRAIN, LOSS)) is not None and len(series) >= 8
        ]
        if len({depth for depth, _, _ in sized}) < 2:
            raise CannotTell("it needs runs of two depths, known by names as `layers=8` or by --layers")
        sized.sort(key=lambda item: item[0])
        for i, (depth, run, loss) in enumerate(sized):
            shallower = [item for item in sized[:i] if item[0] < depth and _equally_long(item[2], loss)]
            if not shallower:
                continue
            other_depth, _, other = min(shallower, key=lambda item: item[2].end)
            if loss.end - other.end > max(0.1 * abs(other.end), 3 * (loss.noise + other.noise)):
                yield self.seen(
                    run,
                    loss.series,
                    loss.at(len(loss) - 1),
                    deep=short(depth),
                    shallow=short(other_depth),
                    end=loss.end,
                    other=other.end,
                )


def _equally_long(one: Curve, other: Curve) -> bool:
    return abs(one.steps[-1] - other.steps[-1]) <= 0.2 * max(one.steps[-1], other.steps[-1])
