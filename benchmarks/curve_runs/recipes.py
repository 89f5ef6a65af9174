"""The recipes: of each task healthy ones and faulty ones.

The thresholds of the checks were set on runs of the teacher's recipes with seeds below 200. The other tasks were made
to judge them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from curve_runs.logs import Logs, as_csv, one
from curve_runs.tasks import Part, Recipe, data
from curve_runs.training import train


@dataclass(frozen=True)
class Case:
    """Runs of which is known what is wrong with them: a code, or nothing if it is empty."""

    task: str
    code: str
    name: str
    logs: Callable[[int], Logs]
    classes: int = 0

    @property
    def facts(self) -> dict[str, float]:
        """What whoever trained it knows of the task: the number of classes, or that targets are standardised."""
        return {"classes": self.classes} if self.classes else {"variance": 1.0}


# --- Schedules --------------------------------------------------------------------------------------------------------


def cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def warm_linear(done: float) -> float:
    return min(1.0, done / 0.1) * (1 - done) / 0.9 if done > 0.1 else done / 0.1


def staircase(done: float) -> float:
    return 0.1 ** int(done / 0.4)


def rising(done: float) -> float:
    return math.exp(7 * done)


def compounding(done: float) -> float:
    """`rate = rate * decay ** epoch`, fed back: the exponent grows with the square of the epoch."""
    epoch = int(40 * done)
    return 0.94 ** (epoch * (epoch + 1) / 2)


# --- Several trainings ------------------------------------------------------------------------------------------------


def two_runs(recipe: Recipe, seed: int) -> Logs:
    """A run that crashed and was started again into the same log."""
    rows = train(recipe, seed)
    return {"run.csv": as_csv([*rows[: len(rows) // 2 + 1], *train(recipe, seed + 1)])}


def seeds(recipe: Recipe, seed: int) -> Logs:
    """Three seeds on the same data."""
    parts = data(recipe, 7 * seed)
    return {f"seed{i}.csv": as_csv(train(recipe, 7 * seed + i, parts)) for i in range(3)}


def sorted_folds(recipe: Recipe, seed: int) -> Logs:
    """Folds cut from data that are sorted by their targets."""
    x, y = _joined(recipe, seed)
    return _folds(recipe, seed, x, y, y.argsort().chunk(5))


def uneven_folds(recipe: Recipe, seed: int) -> Logs:
    """Folds that are sites, of which one has half its targets mixed up."""
    x, y = _joined(recipe, seed)
    folds = torch.randperm(len(x)).chunk(5)
    mixed = folds[0][::2]
    y[mixed] = y[mixed[torch.randperm(len(mixed))]]
    return _folds(recipe, seed, x, y, folds)


def _joined(recipe: Recipe, seed: int) -> Part:
    parts = data(recipe, seed).values()
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def _folds(recipe: Recipe, seed: int, x: Tensor, y: Tensor, folds: Sequence[Tensor]) -> Logs:
    logs = {}
    for fold, held_out in enumerate(folds):
        kept = torch.ones(len(x), dtype=torch.bool)
        kept[held_out] = False
        cut = {"train": (x[kept], y[kept]), "val": (x[held_out], y[held_out])}
        logs[f"fold{fold}.csv"] = as_csv(train(recipe, seed + fold, cut))
    return logs


def depths(recipe: Recipe, layers: tuple[int, int], seed: int) -> Logs:
    """A shallow and a deep model."""
    return {f"layers={depth}.csv": as_csv(train(replace(recipe, depth=depth), seed)) for depth in layers}


# --- The recipes ------------------------------------------------------------------------------------------------------


def single(code: str, name: str, recipe: Recipe) -> Case:
    """A case of one run."""
    return Case(recipe.task, code, name, one(recipe), recipe.classes)


def several(code: str, name: str, recipe: Recipe, logs: Callable[[int], Logs]) -> Case:
    """A case of several runs together."""
    return Case(recipe.task, code, name, logs, recipe.classes)


def _teacher() -> Iterator[Case]:
    base = Recipe(samples=6000, width=24, epochs=25)
    tuned = replace(base, schedule=cosine, rate=3e-3)
    sgd = replace(base, optimizer="sgd")

    yield single("", "adam-cosine", tuned)
    yield single("", "sgd-steps", replace(sgd, rate=0.02, every=10, schedule=cosine))
    yield single("", "sgd-staircase", replace(sgd, rate=0.03, schedule=staircase))
    yield single("", "regression", replace(tuned, classes=0))
    yield single("", "dropout", replace(base, width=64, dropout=0.2, decay=0.01, schedule=cosine, epochs=20))
    yield single("", "label-noise", replace(tuned, classes=2, flipped=0.1, width=12))
    yield single("", "warm-up", replace(base, schedule=warm_linear, rate=5e-3, batch=256, epochs=40))
    yield single("", "constant-rate", base)
    yield single("", "running-means", replace(tuned, every=5, running=True))
    yield single("", "small-batches", replace(base, batch=8, every=20, samples=4000, epochs=8, schedule=cosine))
    yield single("", "tested", replace(tuned, tested=True))
    yield single("", "three-classes", replace(tuned, classes=3, width=16, epochs=40))
    yield several("", "seeds", tuned, partial(seeds, replace(tuned, epochs=12)))
    yield several("", "depths", tuned, partial(depths, replace(tuned, epochs=20), (1, 3)))

    yield single("TC101", "exploding", Recipe(classes=0, optimizer="sgd", rate=2.0, epochs=20))
    yield single("TC102", "rising-rate", replace(sgd, rate=0.01, schedule=rising))
    yield single("TC102", "rising-rate-steps", replace(sgd, rate=0.01, schedule=rising, every=10))
    yield single("TC103", "bad-batches", replace(sgd, bad_batches=0.004, every=1, epochs=15, rate=1e-3))
    yield single("TC104", "all-zeros", replace(base, zeros=True, epochs=15))
    yield single("TC104", "random-labels", replace(base, flipped=1.0, epochs=15, width=8, rate=1e-4))
    yield single("TC104", "too-low-a-rate", replace(base, rate=1e-8, epochs=15))
    long_steps = replace(base, plain=True, depth=1)
    yield single("TC105", "rate-too-high", replace(long_steps, rate=1.0, batch=200, epochs=40))
    yield single("TC105", "batches-too-small", replace(long_steps, rate=0.4, batch=32, samples=3000, epochs=30))
    few = Recipe(samples=300, width=256, flipped=0.3, epochs=60)
    yield single("TC106", "few-samples", few)
    yield single("TC106", "few-samples-steps", replace(few, every=1, batch=32))
    yield single("TC106", "regression", Recipe(classes=0, samples=200, width=128, flipped=1.0, epochs=80))
    yield single("TC107", "overconfident", Recipe(samples=6000, width=128, flipped_held_out=0.25, epochs=40, rate=2e-4))
    yield single("TC108", "too-small", replace(base, width=2, depth=1, rate=1e-2, schedule=cosine))
    yield single("TC108", "too-much-decay", replace(base, decay=3.0, rate=1e-2))
    yield single("TC109", "shifted", replace(tuned, shift=1.5, tested=True))
    yield single("TC110", "rate-too-low", replace(base, rate=3e-5))
    yield single("TC110", "too-short", replace(base, rate=1e-4, every=5, epochs=6))
    yield single("TC111", "noisy-steps", replace(base, rate=0.02, batch=8, samples=2000, epochs=40))
    yield several("TC112", "two-runs", base, partial(two_runs, replace(base, epochs=12)))
    yield single("TC113", "dropout", replace(base, dropout=0.5, width=128, schedule=cosine))
    yield single("TC114", "few-evaluated", replace(tuned, evaluated=16, epochs=40))
    folds = replace(base, classes=4, samples=400, width=16, epochs=15, rate=3e-3)
    yield several("TC115", "sorted-folds", folds, partial(sorted_folds, folds))
    deep = replace(base, plain=True, rate=3e-3, epochs=20)
    yield several("TC116", "plain-deep", deep, partial(depths, deep, (1, 12)))
    yield single("TC117", "compounding", replace(base, schedule=compounding, rate=3e-4, epochs=40))


def _images() -> Iterator[Case]:
    base = Recipe(task="images", classes=8, samples=1500, held_out=400, width=8, epochs=15, batch=32, rate=3e-3)
    tuned = replace(base, schedule=cosine)
    sgd = replace(base, optimizer="sgd", rate=0.02)

    yield single("", "adam-cosine", tuned)
    yield single("", "sgd-steps", replace(sgd, every=4, schedule=cosine))
    yield single("", "warm-up", replace(tuned, schedule=warm_linear, tested=True))
    yield single("", "dropout", replace(tuned, dropout=0.1, width=12))

    yield single("TC101", "log-of-zero", replace(sgd, naive=True, normalised=False, scale=60, rate=0.01))
    yield single("TC102", "rising-rate", replace(sgd, normalised=False, rate=0.01, schedule=rising))
    yield single("TC104", "all-zeros", replace(base, zeros=True))
    yield single("TC104", "too-low-a-rate", replace(base, rate=1e-8))
    yield single("TC106", "few-samples", replace(base, samples=200, width=24, flipped=0.2, epochs=40, batch=32))
    yield single("TC107", "overconfident", replace(base, flipped_held_out=0.25, width=16, rate=1e-3, epochs=25))
    yield single("TC109", "shifted", replace(tuned, shift=1.5, tested=True))
    yield single("TC110", "rate-too-low", replace(base, rate=1e-5, epochs=20))
    yield several("TC112", "two-runs", base, partial(two_runs, base))
    yield single("TC113", "dropout", replace(tuned, dropout=0.7))
    yield single("TC114", "few-evaluated", replace(tuned, evaluated=16, epochs=20))
    folds = replace(base, samples=400, epochs=12)
    yield several("TC115", "uneven-folds", folds, partial(uneven_folds, folds))
    deep = replace(base, plain=True, normalised=False, epochs=12)
    yield several("TC116", "plain-deep", deep, partial(depths, deep, (2, 8)))
    yield single("TC117", "compounding", replace(base, schedule=compounding, rate=3e-4, epochs=20))


def _texts() -> Iterator[Case]:
    base = Recipe(
        task="texts", classes=16, width=32, depth=1, samples=1000, held_out=300, epochs=16, batch=32, rate=5e-3
    )
    tuned = replace(base, schedule=cosine)
    sgd = replace(base, optimizer="sgd", rate=0.5)

    yield single("", "adam-cosine", tuned)
    yield single("", "steps", replace(tuned, every=4))
    yield single("", "warm-up", replace(tuned, schedule=warm_linear, running=True, every=4))
    yield several("", "seeds", tuned, partial(seeds, replace(tuned, epochs=10)))

    yield single("TC102", "rising-rate", replace(sgd, schedule=lambda done: math.exp(8 * done)))
    yield single("TC104", "random-symbols", replace(base, flipped=1.0, width=8, rate=1e-3))
    yield single("TC104", "too-low-a-rate", replace(base, rate=1e-8))
    yield single("TC105", "rate-too-high", replace(base, optimizer="rmsprop", rate=0.2, epochs=30))
    yield single("TC106", "few-samples", replace(base, samples=60, width=128, batch=16, epochs=60))
    yield single("TC108", "too-small", replace(tuned, width=2, epochs=30))
    yield single("TC109", "shifted", replace(tuned, shift=0.4, tested=True))
    yield single("TC110", "rate-too-low", replace(base, rate=1e-4, epochs=20))
    yield single("TC110", "too-short", replace(base, rate=1e-3, every=1, epochs=4))
    yield single("TC111", "long-steps", replace(base, rate=0.05, epochs=30))
    yield several("TC112", "two-runs", base, partial(two_runs, base))
    yield single("TC113", "dropout", replace(tuned, dropout=0.7))
    yield single("TC114", "few-evaluated", replace(tuned, evaluated=1, epochs=20))
    yield single("TC117", "compounding", replace(base, schedule=compounding, rate=1e-3, epochs=24))


def _signals() -> Iterator[Case]:
    base = Recipe(task="signals", classes=0, samples=1500, held_out=400, width=16, depth=1, epochs=20, rate=2e-3)
    tuned = replace(base, schedule=cosine)
    sgd = replace(base, optimizer="sgd", rate=0.02)

    yield single("", "adam-cosine", tuned)
    yield single("", "steps", replace(tuned, every=4))
    yield single("", "rmsprop", replace(tuned, optimizer="rmsprop", rate=1e-3))
    yield single("", "tested", replace(tuned, tested=True, flipped=0.3))

    yield single("TC101", "exploding", replace(sgd, rate=20.0))
    yield single("TC102", "rising-rate", replace(base, rate=1e-3, schedule=rising))
    yield single("TC104", "all-zeros", replace(base, zeros=True))
    yield single("TC105", "rate-too-high", replace(base, optimizer="rmsprop", rate=0.1, epochs=40))
    yield single("TC106", "few-samples", replace(base, samples=100, width=64, flipped=0.7, batch=16, epochs=60))
    yield single("TC108", "too-small", replace(tuned, width=1, epochs=30))
    yield single("TC110", "rate-too-low", replace(base, rate=2e-5, epochs=24))
    yield single("TC110", "too-short", replace(base, rate=5e-4, every=2, epochs=5))
    yield several("TC112", "two-runs", base, partial(two_runs, base))
    yield single("TC114", "few-evaluated", replace(tuned, evaluated=8, epochs=30))
    folds = replace(base, samples=500, epochs=15)
    yield several("TC115", "uneven-folds", folds, partial(uneven_folds, folds))
    yield single("TC117", "compounding", replace(base, schedule=compounding, rate=5e-4, epochs=24))


CASES = (*_teacher(), *_images(), *_texts(), *_signals())
