"""Images, and the order of their axes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import Batch, ModelCall
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on
from trainlint.runtime.probes.data import REPEATED, input_of

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Smaller images are hardly any, and of a batch so many are looked at.
SIZE, IMAGES = 16, 16
# Channels that images have.
CHANNELS = (1, 3, 4)

Sizes = dict[int, dict[tuple[int, int], int]]


def is_channels_last(model: torch.nn.Module, given: torch.Tensor) -> bool:
    """Whether a convolution takes the rows of square images for their channels, and slides along their channels."""
    _, height, width, channels = given.shape
    first = next((part for part in model.modules() if isinstance(part, torch.nn.Conv2d)), None)
    if first is None or channels not in CHANNELS or height != width or height < SIZE:
        return False
    return first.in_channels == height and first.kernel_size[1] > 1


def roughness(given: torch.Tensor) -> list[torch.Tensor]:
    """How much pixels differ: from the next in their row, from that as many places on as there are channels, and from
    the next in their column."""
    images, step = given[:IMAGES].detach().float(), given.shape[1]
    return [
        (images[..., 1:] - images[..., :-1]).abs().mean(),
        (images[..., step:] - images[..., :-step]).abs().mean(),
        (images[..., 1:, :] - images[..., :-1, :]).abs().mean(),
    ]


class ImageLayout(Probe):
    """The axes of images are not in the order that the model takes them in."""

    code, name = "TR115", "image-layout"
    message = "`{model}` is given images {what}"
    severity = Severity.WARNING

    # In images, neighbours are alike, and the more so the nearer they are. Where channels lie in a row, those that are
    # alike stand as far apart as there are channels, and what stands below each other is far apart in the image.
    CLOSER, FARTHER = 0.8, 1.25

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.last: dict[int, int] = defaultdict(int)
        self.mixed: dict[int, int] = defaultdict(int)
        # How many batches there were of each size, in training and in evaluation.
        self.trained: Sizes = defaultdict(lambda: defaultdict(int))
        self.judged: Sizes = defaultdict(lambda: defaultdict(int))
        self.calls: dict[int, tuple[str, Place | None]] = {}

    def images(self, call: ModelCall, sizes: Sizes) -> torch.Tensor | None:
        """The images that a model is called with, if these are some; their size is noted."""
        given = input_of(call)
        if given is None or given.dim() != 4:
            return None
        if len(sizes[call.key]) < 4:
            sizes[call.key][given.shape[-2], given.shape[-1]] += 1
        return given

    @on("batch")
    def train(self, batch: Batch) -> None:
        call = batch.call
        given = self.images(call, self.trained)
        if given is None:
            return
        if is_channels_last(call.model, given):
            self.last[call.key] += 1
            if self.last[call.key] == REPEATED:
                channels = f"its last axis holds {given.shape[3]} channel{'s' if given.shape[3] > 1 else ''}"
                what = f"of shape {tuple(given.shape)} and takes axis 1 for the channels, although {channels}"
                self.report(call.place, model=call.name, what=what)
        elif given.shape[1] in CHANNELS[1:] and min(given.shape[2:]) >= SIZE:
            self.later(roughness(given), self.read, call.key, call.name, call.place)

    def read(self, numbers: list[float], key: int, model: str, place: Place | None) -> None:
        next_one, as_channels, below = numbers
        is_mixed = as_channels < self.CLOSER * next_one and below > self.FARTHER * as_channels
        self.mixed[key] = self.mixed[key] + 1 if is_mixed else -(1 << 30)
        if self.mixed[key] == REPEATED:
            what = "in which channels alternate along each row: they were reshaped where axes were to be permuted"
            self.report(place, model=model, what=what)

    @on("seen")
    def judge(self, call: ModelCall) -> None:
        if not call.training and not call.recording and self.images(call, self.judged) is not None:
            self.calls.setdefault(call.key, (call.name, call.place))

    @on("finished")
    def check(self, _: None) -> None:
        for key, (model, place) in self.calls.items():
            trained, judged = self.trained[key], self.judged[key]
            if len(trained) != 1 or len(judged) != 1:
                continue
            (size, times), (other, number) = *trained.items(), *judged.items()
            if size == other[::-1] != other and times >= REPEATED and number > 1:
                what = f"of {other[0]} by {other[1]} here, and of {size[0]} by {size[1]} in training"
                self.report(place, model=model, what=what)
