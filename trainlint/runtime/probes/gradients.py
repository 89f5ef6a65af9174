"""Gradients, from their making to the step that uses them."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime import places
from trainlint.runtime.events import Backward, Changes, Stepped
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

    @on("backward")
    def begins(self, _: Backward) -> None:
        for optimizer, before in list(self.left.items()):
            if before is not False:
                now = self.remains(optimizer)
                self.left[optimizer] = now if before is None or now is False else before & now

    def remains(self, optimizer: torch.optim.Optimizer) -> torch.Tensor | bool:
        """Whether gradients other than zero lie ready; a tensor, as only the device knows."""
        parameters = (p for group in optimizer.param_groups for p in group["params"] if p.requires_grad)
        gradients = [p.grad for p in parameters]
        dense = [g for g in gradients if g is not None and not g.is_sparse]
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
        if self.run.is_observed or step.optimizer in self.left:
            self.left[step.optimizer] = None

    def read(self, numbers: list[float], optimizer: int, place: Place | None) -> None:
        self.carried[optimizer] = self.carried[optimizer] + 1 if numbers[0] else 0
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
