"""What a model is to learn: classes, yes or no, or numbers; how good it is at that, and data of which that is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainlint.runtime.experiments import Unjudged
from trainlint.runtime.experiments.learning import range_of
from trainlint.runtime.experiments.subject import SEED, Samples, Trial


@dataclass(frozen=True, slots=True)
class Task:
    """One target for each sample. `kind` is "classes", "binary" or "numbers"."""

    kind: str
    trial: Trial

    @classmethod
    def of(cls, trial: Trial, samples: Samples) -> Task:
        """The task of a model. Raises Unjudged if it is of another kind."""
        outputs = trial.outputs(samples.at(slice(0, 8)))
        target = samples.target
        if not isinstance(target, Tensor) or target.numel() != len(target):
            raise Unjudged("there is not one target for each sample")
        width = outputs.numel() // max(1, len(outputs))
        is_whole = not target.is_floating_point()
        if is_whole and outputs.dim() == 2 and width > 1:
            return cls("classes", trial)
        if width == 1 and bool(((target == 0) | (target == 1)).all()):
            return cls("binary", trial)
        if width == 1 and not is_whole:
            return cls("numbers", trial)
        raise Unjudged(f"targets of shape {tuple(target.shape)} for outputs of shape {tuple(outputs.shape)}")

    def predictions(self, trial: Trial, samples: Samples) -> Tensor:
        """Classes, or numbers, one for each sample."""
        parts = [trial.outputs(part) for part in portions(samples, 256)]
        outputs = torch.cat(parts).float()
        if self.kind == "classes":
            return outputs.argmax(1)
        outputs = outputs.reshape(-1)
        if self.kind == "numbers":
            return outputs
        is_probability = bool(((outputs >= 0) & (outputs <= 1)).all())
        return (outputs > (0.5 if is_probability else 0)).long()

    def errors(self, predictions: Tensor, samples: Samples) -> Tensor:
        """How wrong each prediction is: 0 or 1 of classes, the squared difference of numbers."""
        target = samples.target.reshape(-1)
        if self.kind == "numbers":
            return torch.square((predictions - target).double())
        return predictions.ne(target.long()).double()

    @property
    def measure(self) -> str:
        """What the mean of errors is called."""
        return "mean squared error" if self.kind == "numbers" else "error rate"


def portions(samples: Samples, size: int) -> Iterator[Samples]:
    """Samples in batches."""
    for start in range(0, samples.size, size):
        yield samples.at(slice(start, start + size))


def epochs(samples: Samples, size: int, numbers: Iterable[int]) -> Iterator[Samples]:
    """Samples in batches, shuffled anew in each epoch; what is left over is left out."""
    device = samples.inputs[0].device
    size = min(size, samples.size)
    for number in numbers:
        order = torch.randperm(samples.size, generator=torch.Generator().manual_seed(number)).to(device)
        for start in range(0, samples.size - size + 1, size):
            yield samples.at(order[start : start + size])


def distinct(tensor: Tensor) -> Tensor:
    """The values in a tensor, sorted."""
    values: Tensor = torch.unique(tensor)
    return values


def divided(samples: Samples, part: float) -> tuple[Samples, Samples]:
    """Samples in two, the second with so large a part of them; drawn at random."""
    order = torch.randperm(samples.size, generator=torch.Generator().manual_seed(SEED))
    order = order.to(samples.inputs[0].device)
    count = samples.size - int(samples.size * part)
    return samples.at(order[:count]), samples.at(order[count:])


def standard_task(samples: Samples) -> Samples:
    """Samples like these in shape and range, with targets that inputs surely tell.

    Each class has a pattern of its own, smooth along the last axes, with half as much noise; numbers are a linear
    function of such patterns; of whole numbers (tokens) each class has its own. Raises Unjudged for several inputs.
    """
    if len(samples.inputs) != 1 or not isinstance(samples.target, Tensor):
        raise Unjudged("the model has several inputs")
    inputs, target = samples.inputs[0], samples.target
    if target.numel() != len(target):
        raise Unjudged("there is not one target for each sample")
    generator = torch.Generator().manual_seed(SEED)
    is_whole = not target.is_floating_point() or bool(((target == 0) | (target == 1)).all())
    classes = distinct(target)[:4] if is_whole else None
    labels = torch.randint(0, 4 if classes is None else len(classes), (len(target),), generator=generator)
    made = (_patterns if inputs.is_floating_point() else _tokens)(inputs, labels, generator)
    if classes is None:
        centre, spread = target.mean(), target.std()
        new = centre + spread * (labels.to(target) - 1.5) / math.sqrt(1.25)
        new = new.clamp(target.min(), target.max())
    else:
        new = classes[labels.to(target.device)]
    return samples.mapped(lambda _: made, lambda tensor: new.reshape(tensor.shape).to(tensor.dtype))


def _patterns(inputs: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    shape = inputs.shape[1:]
    count = int(labels.max()) + 1
    coarse = [shape[0], *(min(2, size) for size in shape[1:])] if shape else [1]
    patterns = torch.randn((count, *coarse), generator=generator)
    for axis, size in enumerate(shape[1:], 2):
        wide = torch.arange(size) * coarse[axis - 1] // size
        patterns = patterns.index_select(axis, wide)
    noise = torch.randn(inputs.shape, generator=generator)
    drawn = patterns[labels].reshape(inputs.shape) + 0.5 * noise
    return torch.clamp(inputs.mean() + inputs.std() * drawn.to(inputs), inputs.min(), inputs.max())


def _tokens(inputs: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    known = distinct(inputs)
    count = int(labels.max()) + 1
    if len(known) < 2 * count:
        raise Unjudged("there are too few different inputs")
    own = torch.randint(0, len(known) // count, inputs.shape, generator=generator) * count
    places = own + labels.reshape(-1, *[1] * (inputs.dim() - 1))
    return known[places.to(inputs.device)]


class Reference(nn.Module):
    """A small network that is known to work: one hidden layer on flat inputs, or the mean of embeddings of tokens."""

    _mean: Tensor
    _spread: Tensor

    def __init__(self, samples: Samples, outputs: Tensor) -> None:
        super().__init__()
        (inputs,) = samples.inputs
        self._shape = outputs.shape[1:]
        hidden, width = 64, max(1, math.prod(self._shape))
        self._least = int(inputs.min())
        first: nn.Module
        if inputs.is_floating_point():
            first = nn.Linear(inputs[0].numel(), hidden)
            rows = inputs.reshape(len(inputs), -1)
            self.register_buffer("_mean", rows.mean(0))
            self.register_buffer("_spread", rows.std(0) + 1e-6)
        else:
            first = nn.EmbeddingBag(int(inputs.max()) - self._least + 1, hidden)
        self._layers = nn.Sequential(first, nn.ReLU(), nn.Linear(hidden, width)).to(inputs.device)
        self._head, _ = range_of(outputs, samples.targets)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of the same shape and range as those of the model that it stands for."""
        rows = inputs.reshape(len(inputs), -1)
        rows = (rows - self._mean) / self._spread if rows.is_floating_point() else rows - self._least
        return self._head(self._layers(rows).reshape(len(inputs), *self._shape))
