"""A run as its report tells it: plain data, without tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Track:
    """Values over steps."""

    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many of a sample of elements lie in each of several bins of one width, from -`reach` to `reach`."""

    step: int
    reach: float
    counts: Sequence[float]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a model, over the observed steps: the root mean square of what it gives, the norm of its gradient, and
    that of a step relative to the weights."""

    model: str
    name: str
    kind: str
    activation: Track
    gradient: Track
    update: Track


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter, as of the last observed step; None where there was nothing to measure."""

    model: str
    name: str
    shape: tuple[int, ...]
    trainable: bool
    optimizer: str
    weight: float | None
    gradient: float | None
    # At the first observed step and at the last.
    weights: Sequence[Histogram]
    gradients: Sequence[Histogram]


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor of the first batch: least, greatest, mean, standard deviation and number of NaN of all of it, and its
    first samples, as rows of numbers or as pictures (width, height, channels, bytes)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_whole: bool
    statistics: Sequence[float]
    rows: Sequence[Sequence[float]]
    pictures: Sequence[tuple[int, int, int, bytes]]


@dataclass(frozen=True, slots=True)
class Story:
    """A run."""

    steps: int
    losses: Mapping[str, Track]
    rates: Mapping[str, Track]
    layers: Sequence[Layer]
    parameters: Sequence[Row]
    batch: Sequence[Part]
