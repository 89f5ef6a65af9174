"""Whether weights are still as they were drawn.

Initialisations draw from a uniform or a normal distribution of a known spread. Training leaves neither the shape nor
the spread alone, so weights that have both were never trained, nor loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from trainlint.runtime.events import local

# Fewer numbers do not show their distribution.
ENOUGH = 256
# Of each weight so many numbers are looked at, and of many weights so many.
LOOKED_AT, WEIGHTS = 1 << 16, 16
# What a sample of ENOUGH numbers may be off by chance (four standard errors, rounded up), at least and relative.
SPREAD, KURTOSIS = 0.03, 0.1
_UNIFORM, _NORMAL = 1.8, 3.0


def fans(shape: torch.Size | tuple[int, ...]) -> tuple[int, int]:
    """How many numbers go into each output of a weight, and out of each input."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def spreads(shape: torch.Size | tuple[int, ...]) -> list[float]:
    """The standard deviations that initialisations give a weight: PyTorch's default, LeCun's, Glorot's, He's (by either
    fan), and the 0.02 of transformers."""
    fan_in, fan_out = fans(shape)
    return [
        math.sqrt(1 / (3 * fan_in)),
        math.sqrt(1 / fan_in),
        math.sqrt(2 / (fan_in + fan_out)),
        math.sqrt(2 / fan_in),
        math.sqrt(2 / fan_out),
        0.02,
    ]


def is_initial(weight: torch.Tensor) -> bool | None:
    """Whether a weight is as it was drawn; None for one that is too small to tell. Waits for the device."""
    values = local(weight)
    count = values.numel()
    if weight.dim() < 2 or count < ENOUGH or not weight.is_floating_point():
        return None
    values = values.flatten()[:LOOKED_AT].double()
    std = float(values.std())
    if not std or not math.isfinite(std):
        return False
    shape = float(((values - values.mean()) / std).pow(4).mean())
    noise = 4 / math.sqrt(min(count, LOOKED_AT))
    off = min(abs(std / expected - 1) for expected in spreads(weight.shape))
    is_drawn = abs(shape - _UNIFORM) < KURTOSIS + noise or abs(shape - _NORMAL) < KURTOSIS + 2.5 * noise
    return off < SPREAD + noise / 2 and is_drawn


def are_initial(weights: Iterable[torch.Tensor]) -> bool:
    """Whether weights as a whole are as they were drawn: nine of ten that are large enough to tell, and at least one.

    Of many weights some are looked at, from the first to the last. Waits for the device.
    """
    telling = [weight for weight in weights if weight.dim() > 1 and weight.numel() >= ENOUGH]
    chosen = telling[:: -(-len(telling) // WEIGHTS) or 1]
    verdicts = [is_initial(weight) for weight in chosen]
    return bool(verdicts) and sum(map(bool, verdicts)) >= 0.9 * len(verdicts)
