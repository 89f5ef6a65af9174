"""How far a training on a few samples gets, and how far it could get."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from trainlint.runtime.experiments import Unjudged
from trainlint.runtime.experiments.subject import Clock, Samples, Trial

# Steps at first, and at most while the loss goes on falling.
STEPS, MOST = 200, 1600
# A loss that has closed so much of its gap to the best has arrived; one that has not closed so much has not.
ARRIVED, FAR = 0.9, 0.5
# One that closes less of it in a quarter of the steps stands still.
STILL = 0.02
# One that closes less than this part of what is left rests.
RESTS = 0.1
# Less of a gap, relative to the loss, is none.
GAP = 0.01


@dataclass(frozen=True, slots=True)
class Course:
    """The losses of a training on the same samples, and the loss in evaluation mode after it."""

    losses: list[float]
    after: float

    @property
    def first(self) -> float:
        """The loss before the first step."""
        return self.losses[0]

    @property
    def last(self) -> float:
        """Where it got to: dropout may hide that in one mode, running averages in the other."""
        tail = fmean(self.losses[-max(1, len(self.losses) // 10) :])
        return min(tail, self.after) if math.isfinite(self.after) else tail

    @property
    def is_finite(self) -> bool:
        """Whether all losses are numbers."""
        return all(map(math.isfinite, self.losses))

    def closed(self, floor: float) -> float:
        """The part of the gap between the first loss and the best one that was closed; 0 if the loss rose."""
        return max(0.0, (self.first - self.last) / (self.first - floor)) if self.is_finite else 0.0

    @property
    def fall(self) -> float:
        """By how much the loss fell in the last quarter of the steps."""
        quarter = max(1, len(self.losses) // 4)
        return fmean(self.losses[-2 * quarter : -quarter]) - fmean(self.losses[-quarter:])

    def stands_still(self, floor: float) -> bool:
        """Whether more steps would not help."""
        return not self.is_finite or self.fall < STILL * (self.first - floor)

    def rests(self, floor: float) -> bool:
        """Whether they would not even help with what is left of the gap."""
        return not self.is_finite or self.fall < RESTS * (self.last - floor)


def learn(trial: Trial, samples: Samples, clock: Clock, steps: int = STEPS) -> Course:
    """Train on the same samples again and again. Raises Unjudged if there is no time."""
    losses = trial.train(repeat(samples, steps), clock)
    if len(losses) < steps and math.isfinite(losses[-1]):
        raise Unjudged(f"there was time for {len(losses)} steps of {steps} only")
    return Course(losses, trial.judged(samples))


def learn_on(trial: Trial, samples: Samples, clock: Clock, floor: float) -> Course:
    """The same for as long as the loss goes on falling, up to a limit."""
    return _until(
        lambda course: course.stands_still(floor) or course.closed(floor) >= ARRIVED,
        trial,
        samples,
        clock,
        learn(trial, samples, clock),
    )


def learn_to_rest(trial: Trial, samples: Samples, clock: Clock, floor: float, course: Course) -> Course:
    """Go on after a course until nothing is left or nothing more is learnt, up to a limit."""
    return _until(lambda course: course.rests(floor), trial, samples, clock, course)


def _until(done: Callable[[Course], bool], trial: Trial, samples: Samples, clock: Clock, course: Course) -> Course:
    while not done(course) and len(course.losses) < MOST:
        more = learn(trial, samples, clock, len(course.losses))
        course = Course(course.losses + more.losses, more.after)
    return course


def floor_of(trial: Trial, samples: Samples) -> float | None:
    """The least loss that any model could have on samples, found by descent on the outputs themselves, kept within the
    range that they seem to have (probabilities, logarithms of such); None if that does not converge."""
    output = trial.outputs(samples)
    if not output.is_floating_point():
        return None
    shape, start = range_of(output, samples.targets)
    free = start.clone().requires_grad_()
    optimizer: Any = torch.optim.LBFGS([free], max_iter=50, line_search_fn="strong_wolfe")
    seen: list[float] = []

    def loss() -> float:
        optimizer.zero_grad()
        value = trial.loss(shape(free), samples.target)
        value.backward()
        seen.append(float(value.detach()))
        return seen[-1]

    try:
        for _ in range(2):
            optimizer.step(loss)
        half = min(seen)
        for _ in range(2):
            optimizer.step(loss)
    except (RuntimeError, ValueError):  # a loss may have opinions on what it is given
        return None
    best = min(seen)
    # A loss without a lower bound goes on falling.
    bounded = math.isfinite(best) and half - best <= STILL * max(seen[0] - best, 1e-12)
    return best if bounded else None


def range_of(output: Tensor, targets: Iterable[Tensor]) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """What maps free numbers to where outputs lie, and where to start."""
    values = output.detach().float()
    zeros = torch.zeros_like(values)
    if output.dim() > 1 and output.shape[1] > 1:
        if _are_distributions(values):
            return lambda free: torch.softmax(free, 1).to(output.dtype), zeros
        if _are_distributions(values.exp()):
            return lambda free: torch.log_softmax(free, 1).to(output.dtype), zeros
    if all(bool(((tensor >= 0) & (tensor <= 1)).all()) for tensor in (output, *targets)):
        return lambda free: torch.sigmoid(free).to(output.dtype), zeros
    return lambda free: free.to(output.dtype), values.clone()


def _are_distributions(values: Tensor) -> bool:
    sums = values.sum(1)
    return bool((values >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def gap(first: float, floor: float) -> float:
    """What there is to learn. Raises Unjudged if that is nothing."""
    if first - floor <= GAP * abs(first):
        raise Unjudged(f"the loss of these samples, {first:.3g}, is near the least there can be, {floor:.3g}")
    return first - floor
