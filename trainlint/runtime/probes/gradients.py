"""Gradients, from their making to the step that uses them."""

from __future__ import annotations

import math
import statistics
import weakref
from collections import defaultdict, deque
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime import places
from trainlint.runtime.events import Backward, Changes, Clipped, Stepped, local
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

REPEATED = 3
# Of each optimizer, so many parameters are looked at to see whether its gradients were cleared.
SAMPLE = 4


class GradientsAccumulate(Probe):
    """Gradients are not cleared between steps."""

    code, name = "TR411", "gradients-accumulate"
    message = (
        "gradients are not cleared since the last step, so each step also takes the gradients of all batches before"
    )

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        # The optimizers that have made a step, and whether what was left of their gradients is still there at each
        # backward pass since: False, or a tensor that says so. Nothing until the first.
        self.left: weakref.WeakKeyDictionary[torch.optim.Optimizer, torch.Tensor | bool | None]
        self.left = weakref.WeakKeyDictionary()
        self.carried: dict[int, int] = defaultdict(int)
        # Those none of whose parameters had a gradient when the first backward pass since their step began.
        self.cleared: set[int] = set()

    @on("backward")
    def begins(self, _: Backward) -> None:
        for optimizer, before in list(self.left.items()):
            if before is None and all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
                self.cleared.add(id(optimizer))
            if before is not False:
                now = self.remains(optimizer)
                self.left[optimizer] = now if before is None or now is False else before & now

    def remains(self, optimizer: torch.optim.Optimizer) -> torch.Tensor | bool:
        """Whether gradients other than zero lie ready; a tensor, as only the device knows."""
        parameters = (p for group in optimizer.param_groups for p in group["params"] if p.requires_grad)
        gradients = [p.grad for p in parameters]
        dense = [local(g) for g in gradients if g is not None and not g.is_sparse]
        if not dense or any(g is None for g in gradients[:1]):
            return False
        flags = [(gradient != 0).any() for gradient in dense[:SAMPLE]]
        return torch.stack(flags).all() if len({flag.device for flag in flags}) == 1 else flags[0]

    @on("stepped")
    def ends(self, step: Stepped) -> None:
        left = self.left.get(step.optimizer)
        if isinstance(left, torch.Tensor):
            self.later([left], self.read, id(step.optimizer), places.here())
        elif left is False:
            self.carried[id(step.optimizer)] = 0
        if id(step.optimizer) in self.cleared and self.run.is_observed:
            self.saw(places.here(), is_well=True)
        self.cleared.discard(id(step.optimizer))
        if self.run.is_observed or step.optimizer in self.left:
            self.left[step.optimizer] = None

    def read(self, numbers: list[float], optimizer: int, place: Place | None) -> None:
        self.carried[optimizer] = self.carried[optimizer] + 1 if numbers[0] else 0
        if numbers[0]:
            self.saw(place, is_well=False)
        if self.carried[optimizer] == REPEATED:
            self.report(place)


class NonFiniteGradient(Probe):
    """An optimizer makes a step with gradients that are infinite or NaN."""

    code, name = "TR403", "non-finite-gradient"
    message = (
        "step {step} is made with a gradient of `{parameter}` that is not finite; all weights are lost from here on"
    )

    @on("changes")
    def check(self, changes: Changes) -> None:
        bad = next((row for row in changes.rows if not math.isfinite(row.gradient)), None)
        if bad is not None:
            self.report(changes.place, step=changes.count, parameter=bad.name)


class VanishingGradient(Probe):
    """The gradients of the first layers are vanishingly small beside those of the last."""

    code, name = "TR401", "vanishing-gradient"
    message = "the gradient of `{parameter}` is {ratio:.0e} of that of `{other}`, each relative to its weights"
    severity = Severity.WARNING

    RATIO = 1e-6

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[int, int] = defaultdict(int)

    @on("changes")
    def check(self, changes: Changes) -> None:
        rows = [row for row in changes.rows if len(row.shape) > 1 and row.weight > 0 and row.gradient > 0]
        if len(rows) < 3:
            return
        relative = sorted((row.gradient / row.weight, row.name) for row in rows)
        (least, parameter), (most, other) = relative[0], relative[-1]
        is_small = math.isfinite(most) and least < self.RATIO * most
        self.seen[changes.optimizer] = self.seen[changes.optimizer] + 1 if is_small else 0
        if self.seen[changes.optimizer] == REPEATED:
            self.report(changes.place, parameter=parameter, ratio=least / most, other=other)


class ExplodingGradient(Probe):
    """A gradient is many times those before, and the step that it makes throws the weights away."""

    code, name = "TR402", "exploding-gradient"
    message = (
        "the gradient of step {step} is {growth}, and the weights were just moved by {moved:.2g} times their size: "
        "what they had learnt is gone"
    )
    severity = Severity.WARNING

    # Two orders of magnitude above the median before are a cliff; a step of half the weights' size leaves little of
    # them. Where a gradient is not finite any more, the step before must have gone much further than that.
    GROWTH, MOVED, THROWN = 100.0, 0.5, 10.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.norms: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=100))
        self.moved: dict[int, float] = {}

    @on("changes")
    def check(self, changes: Changes) -> None:
        rows = [row for row in changes.rows if len(row.shape) > 1]
        gradient = math.hypot(*(row.gradient for row in rows))
        weight, update = math.hypot(*(row.weight for row in rows)), math.hypot(*(row.update for row in rows))
        before = self.norms[changes.optimizer]
        usual = statistics.median(before) if before else math.inf
        if not math.isfinite(gradient):
            moved = self.moved.get(changes.optimizer, 0.0)
            if moved > self.THROWN:
                self.report(changes.place, step=changes.count, growth="no finite number", moved=moved)
            return
        moved = update / weight if weight > 0 and math.isfinite(update) else 0.0
        if gradient > self.GROWTH * usual > 0 and moved > self.MOVED:
            growth = f"{gradient / usual:.0e} times the median before"
            self.report(changes.place, step=changes.count, growth=growth, moved=moved)
        before.append(gradient)
        self.moved[changes.optimizer] = moved


class ClipAlwaysActive(Probe):
    """Gradients are clipped in every step."""

    code, name = "TR412", "clip-always-active"
    message = (
        "the norm of the gradients is clipped in all {steps} observed steps, from {norm:.3g} to {limit:.3g} in the "
        "median: all steps are of one size, whatever the gradient"
    )
    severity = Severity.INFO
    default = False

    # The ten observed steps at the start, where gradients are large, and some after.
    STEPS = 12
    # Beyond this a limit is only there to measure the norm.
    LIMIT = 1e6

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.norms: dict[object, list[float]] = defaultdict(list)
        self.limits: dict[object, tuple[float, Place | None]] = {}
        self.passed: set[object] = set()

    @on("clipped")
    def measure(self, clipped: Clipped) -> None:
        key = clipped.place and clipped.place.start
        if clipped.limit < self.LIMIT and clipped.norm.numel() == 1 and len(self.norms[key]) < 10_000:
            self.limits[key] = (clipped.limit, clipped.place)
            self.later([clipped.norm], self.read, key, clipped.limit)

    def read(self, numbers: list[float], key: object, limit: float) -> None:
        self.norms[key].append(numbers[0])
        if not numbers[0] > limit:
            self.passed.add(key)

    @on("finished")
    def check(self, _: None) -> None:
        for key, norms in self.norms.items():
            if len(norms) >= self.STEPS and key not in self.passed:
                limit, place = self.limits[key]
                self.report(place, steps=len(norms), norm=statistics.median(norms), limit=limit)
