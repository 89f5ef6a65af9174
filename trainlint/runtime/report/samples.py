"""A part of the first batch as the model received it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from trainlint.runtime.report.story import Part

# What is kept: samples, and numbers of each; pictures and their sides.
ROWS, COLUMNS, PICTURES, SIDE = 6, 16, 12, 96
# Channels and the least side of what is shown as a picture.
CHANNELS, LEAST = (1, 3, 4), 8


class Kept:
    """A part of the first batch: copies of its first samples, and statistics of all of it."""

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        given = tensor.detach()
        self.name = name
        self.shape, self.dtype = tuple(given.shape), str(given.dtype).removeprefix("torch.")
        self.is_whole = not given.is_floating_point()
        pictures = _as_pictures(given)
        self.is_picture = pictures is not None
        if pictures is not None:
            stride = max(1, math.ceil(max(pictures.shape[1:3]) / SIDE))
            self.values = pictures[:PICTURES, ::stride, ::stride].clone()
        else:
            rows = given.reshape(given.shape[0], -1) if given.dim() > 1 else given.reshape(-1, 1)
            self.values = rows[: ROWS if given.dim() > 1 else COLUMNS, :COLUMNS].clone()
        numbers = given.to(torch.float64 if given.dtype == torch.float64 else torch.float32)
        self.statistics = [*torch.aminmax(numbers), numbers.mean(), numbers.std(correction=0), numbers.isnan().sum()]
        self.numbers: list[float] = []

    def read(self, numbers: list[float]) -> None:
        """Take the statistics."""
        self.numbers, self.statistics = numbers, []

    def part(self) -> Part:
        """As plain data."""
        rows: Sequence[Sequence[float]] = ()
        pictures: list[tuple[int, int, int, bytes]] = []
        values = self.values.cpu()
        if self.is_picture:
            for picture in _in_bytes(values, self.numbers):
                height, width, channels = picture.shape
                pictures.append((width, height, channels, bytes(picture.reshape(-1).tolist())))
        else:
            rows = values.tolist()
        return Part(self.name, self.shape, self.dtype, self.is_whole, self.numbers, rows, pictures)


def _as_pictures(tensor: torch.Tensor) -> torch.Tensor | None:
    """A batch of pictures with the channels last, if the shape says that it is one."""
    if tensor.dim() != 4 or tensor.dtype == torch.bool:
        return None
    for channels, height, width in ((1, 2, 3), (3, 1, 2)):
        is_large = min(tensor.shape[height], tensor.shape[width]) >= LEAST
        if tensor.shape[channels] in CHANNELS and is_large:
            return tensor.permute(0, height, width, channels)
    return None


def _in_bytes(pictures: torch.Tensor, numbers: Sequence[float]) -> torch.Tensor:
    """Values from the least to the greatest of the whole batch as 0 to 255; bytes as they are."""
    if pictures.dtype == torch.uint8:
        return pictures
    low, high = numbers[:2]
    span = high - low if math.isfinite(high - low) and high > low else 1.0
    scaled = (pictures.double() - (low if math.isfinite(low) else 0.0)) / span
    return (scaled.nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
