"""Layers that normalise, and the statistics that they keep."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from trainlint.findings import Severity
from trainlint.runtime.events import LayerCall, ModelCall
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# What so many observed batches in a row have in common is no chance.
REPEATED = 5


# Half of the channels lie beyond three standard deviations or have a variance ten times off.
STD, RATIO, SHARE = 3.0, 10.0, 0.5


class BatchNormStatistics(Probe):
    """The statistics that batch norm keeps for evaluation are not those of its inputs."""

    code, name = "TR504", "batch-norm-statistics"
    message = "`{layer}` {what}"
    severity = Severity.WARNING

    # From fewer numbers a channel's variance is a guess.
    NUMBERS = 32
    # With the usual momentum of 0.1, the statistics begin with 5 % of what they were at first.
    TURNS = 30

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        # Batches of one in training; no number once there was a larger one.
        self.single: dict[str, int] = {}
        self.places: dict[str, Place | None] = {}
        self.off: dict[tuple[str, bool], int] = defaultdict(int)
        self.judged: set[int] = set()

    @on("seen")
    def judge(self, call: ModelCall) -> None:
        if not call.training:
            self.judged.add(call.key)

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        module = call.module
        if (
            not isinstance(module, _BatchNorm)
            or module.running_mean is None
            or module.running_var is None
            or not call.inputs
        ):
            return
        given = call.inputs[0].detach()
        if call.training and call.recording:
            self.places.setdefault(call.name, call.place)
            self.single[call.name] = self.single.get(call.name, 0) + 1 if given.shape[0] == 1 else -(1 << 30)
        # Layers that are never in training mode keep what they have learnt elsewhere, on purpose.
        is_ready = call.name in self.places and self.run.turn >= self.TURNS and call.training == call.recording
        if is_ready and given.numel() >= self.NUMBERS * given.shape[1] and given.shape[0] > 1:
            self.later(
                [share_off(module.running_mean, module.running_var, module.eps, given)],
                self.read,
                call.name,
                call.place,
                call.training,
            )

    def read(self, numbers: list[float], layer: str, place: Place | None, training: bool) -> None:
        key = (layer, training)
        self.off[key] = self.off[key] + 1 if numbers[0] > SHARE else 0
        if self.off[key] == REPEATED:
            where = "training" if training else "evaluation"
            what = f"has running statistics far from those of {REPEATED} batches of {where} in {numbers[0]:.0%} of its"
            self.report(place, layer=layer, what=f"{what} channels, so evaluation normalises wrongly")

    @on("finished")
    def check(self, _: None) -> None:
        if not self.judged & self.run.trained:
            return
        for layer, times in self.single.items():
            if times >= REPEATED:
                what = "is trained on batches of one sample, each normalised by itself, and evaluated with the mean of"
                self.report(self.places[layer], layer=layer, what=f"{what} all: it computes something else there")


def share_off(kept_mean: torch.Tensor, kept_variance: torch.Tensor, eps: float, given: torch.Tensor) -> torch.Tensor:
    """The share of the channels, axis 1 of `given`, whose statistics are far from those that were kept."""
    axes = [axis for axis in range(given.dim()) if axis != 1]
    variance, mean = torch.var_mean(given.float(), axes, correction=0)
    ratio = (variance + eps) / (kept_variance + eps)
    is_apart = (mean - kept_mean).abs() > STD * (kept_variance + eps).sqrt()
    return (is_apart | (ratio > RATIO) | (ratio < 1 / RATIO)).float().mean()
