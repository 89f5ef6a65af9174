"""The processes of one training beside each other."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING, Any

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import Batch, Changes
from trainlint.runtime.fingerprints import fingerprints
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Observed steps that are compared at most, and those that a judgement needs.
KEPT, DIFFERENT, SAME = 64, 3, 5
# Norms of equal parameters may differ by the rounding of single precision, added up in another order.
ROUNDING = 1e-5

# Of each batch by its turn, a mark; of each step by its optimizer and number, the norms of the parameters by name.
Trace = dict[str, dict[str, Any]]


def is_whole(parameter: torch.Tensor) -> bool:
    """Whether each rank holds all of a parameter, as far as its type tells."""
    is_part = getattr(parameter, "_is_flat_param", False) or getattr(parameter, "_fsdp_flattened", False)
    return not is_part and not hasattr(parameter, "device_mesh")


class RanksDiverge(Probe):
    """The processes of one training have different parameters, or are given the same batches."""

    code, name = "TR414", "ranks-diverge"
    message = "{what}"
    severity = Severity.WARNING

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.trace: Trace = {"batches": {}, "parameters": {}}
        # Optimizers in the order of their first step; None for one that holds parts of parameters.
        self.optimizers: dict[int, int | None] = {}
        self.places: dict[str, Place | None] = {}

    @on("batch")
    def batch(self, batch: Batch) -> None:
        given = batch.call.inputs[0]
        if given.dim() and given.numel() and not given.is_complex() and len(self.trace["batches"]) < KEPT:
            self.places.setdefault("batches", batch.call.place)
            self.later([fingerprints(given)], self.mark, str(self.run.turn))

    def mark(self, numbers: list[float], turn: str) -> None:
        self.trace["batches"][turn] = hash((self.trace["batches"].get(turn, 0), *numbers))

    @on("stepping")
    def meet(self, optimizer: torch.optim.Optimizer) -> None:
        if id(optimizer) not in self.optimizers:
            held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            is_known = all(is_whole(parameter) and self.run.is_named(parameter) for parameter in held)
            self.optimizers[id(optimizer)] = len(self.optimizers) if is_known else None

    @on("changes")
    def step(self, changes: Changes) -> None:
        number = self.optimizers.get(changes.optimizer)
        steps = self.trace["parameters"]
        if number is not None and len(steps) < KEPT:
            self.places.setdefault("parameters", changes.place)
            steps[f"{number}:{changes.count}"] = {f"{row.name} {row.shape}": row.weight for row in changes.rows}

    def compare(self, rank: int, other: Trace) -> None:
        """Report what is not between ranks as it should be."""
        steps = self.differences(other["parameters"])
        apart = list(dropwhile(lambda step: not step[1], steps))
        if len(apart) >= DIFFERENT and all(parameter for _, parameter in apart):
            step, parameter = apart[0]
            what = (
                f"the parameters of ranks 0 and {rank} differ from step {step} on, first `{parameter}`: gradients are "
                "not averaged, so each rank trains a model of its own"
            )
            self.report(self.places["parameters"], what=what)
        own, others = self.trace["batches"], other["batches"]
        shared = own.keys() & others.keys()
        # Ranks that hold parts of one model are given the same batches; their parameters differ.
        if steps and not apart and len(shared) >= SAME and all(own[turn] == others[turn] for turn in shared):
            what = f"ranks 0 and {rank} train on the same batches in {len(shared)} steps out of {len(shared)}"
            self.report(self.places["batches"], what=f"{what}, so together they learn no more than one")

    def differences(self, other: dict[str, dict[str, float]]) -> list[tuple[int, str]]:
        """The steps that both ranks have seen, each with the first parameter that differed before it, or ""."""
        steps = []
        for key, own in self.trace["parameters"].items():
            norms = other.get(key)
            if norms is not None and norms.keys() == own.keys():
                first = next(
                    (n for n, norm in own.items() if abs(norm - norms[n]) > ROUNDING * max(norm, norms[n])), ""
                )
                steps.append((int(key.partition(":")[2]), first.partition(" (")[0]))
        return steps
