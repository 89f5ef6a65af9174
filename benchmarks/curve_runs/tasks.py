"""What is learned, and by what: four kinds of synthetic data, each with a model for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Part = tuple[Tensor, Tensor]
Parts = dict[str, Part]


@dataclass(frozen=True)
class Recipe:
    """How a run is made; the defaults learn well."""

    task: str = "teacher"
    classes: int = 10  # 0 for regression
    inputs: int = 20
    samples: int = 3000
    held_out: int = 1000  # samples of each of the other parts
    flipped: float = 0.0  # share of random labels, in all parts
    flipped_held_out: float = 0.0
    shift: float = 0.0  # of the test inputs
    scale: float = 1.0  # of all inputs
    width: int = 64
    depth: int = 2
    dropout: float = 0.0
    zeros: bool = False  # initialise with zeros
    plain: bool = False  # sigmoids, as deep networks once had
    normalised: bool = True  # convolutions by batch
    naive: bool = False  # the logarithm of a softmax, which may be 0
    optimizer: str = "adam"
    rate: float = 1e-3
    decay: float = 0.0
    schedule: Callable[[float], float] = field(default=lambda done: 1.0)
    batch: int = 64
    epochs: int = 30
    every: int = 0  # steps between records; 0 for one record an epoch
    running: bool = False  # record means over the epoch so far
    bad_batches: float = 0.0  # share of batches with inputs a hundred times too large
    evaluated: int = 0  # held-out samples of an evaluation, drawn anew each time; 0 for all
    tested: bool = False


def data(recipe: Recipe, seed: int) -> Parts:
    """The samples of a task, in three parts."""
    torch.manual_seed(seed)
    sizes = {"train": recipe.samples, "val": recipe.held_out, "test": recipe.held_out}
    x, y = _DATA[recipe.task](recipe, sum(sizes.values()))
    if recipe.classes:
        flips = torch.rand(y.shape) < recipe.flipped
        flips[sizes["train"] :] |= torch.rand(y[sizes["train"] :].shape) < recipe.flipped_held_out
        y = torch.where(flips, torch.randint(0, recipe.classes, y.shape), y)
    else:
        y = y + recipe.flipped * torch.randn(y.shape) * y.std()
        y = (y - y.mean()) / y.std()
    rows = torch.split(torch.arange(len(x)), list(sizes.values()))
    found = {name: (x[chosen], y[chosen]) for name, chosen in zip(sizes, rows, strict=True)}
    if recipe.shift:
        tested, labels = found["test"]
        found["test"] = (_shifted(recipe, tested), labels)
    return found


def _shifted(recipe: Recipe, x: Tensor) -> Tensor:
    if x.is_floating_point():
        return x + recipe.shift * torch.randn(x.shape[1:])
    return torch.where(torch.rand(x.shape) < recipe.shift, torch.randint(0, recipe.classes, x.shape), x)


def network(recipe: Recipe) -> nn.Module:
    """The model of a task."""
    model = _NETWORKS[recipe.task](recipe)
    if recipe.zeros:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    return model


def loss_of(recipe: Recipe, out: Tensor, y: Tensor) -> Tensor:
    """Cross entropy, or the mean squared error."""
    if not recipe.classes:
        return nn.functional.mse_loss(out[..., 0], y)
    out, y = out.flatten(0, -2), y.flatten()
    if recipe.naive:
        return nn.functional.nll_loss(out.softmax(-1).log(), y)
    return nn.functional.cross_entropy(out, y)


# --- A teacher: inputs from a cloud, targets from a network that is drawn at random; learned by a perceptron ----------


def _teacher(recipe: Recipe, total: int) -> Part:
    x = torch.randn(total, recipe.inputs)
    teacher = nn.Sequential(nn.Linear(recipe.inputs, 32), nn.Tanh(), nn.Linear(32, max(1, recipe.classes)))
    with torch.no_grad():
        scores = 3 * teacher(3 * x)
    return recipe.scale * x, (3 * scores - (3 * scores).mean(0)).argmax(1) if recipe.classes else scores[:, 0]


def _perceptron(recipe: Recipe) -> nn.Module:
    layers: list[nn.Module] = []
    size = recipe.inputs
    for _ in range(recipe.depth):
        layers += [nn.Linear(size, recipe.width), _activation(recipe), nn.Dropout(recipe.dropout)]
        size = recipe.width
    return nn.Sequential(*layers, nn.Linear(size, max(1, recipe.classes)))


def _activation(recipe: Recipe) -> nn.Module:
    return nn.Sigmoid() if recipe.plain else nn.ReLU()


# --- Images: strokes at random places under noise; learned by a convolutional network with batch normalisation --------

_SIDE = 12


def _images(recipe: Recipe, total: int) -> Part:
    strokes = torch.zeros(8, _SIDE, _SIDE)
    middle = torch.arange(3, 9)
    strokes[0, middle, 6] = 1
    strokes[1, 6, middle] = 1
    strokes[2, middle, middle] = 1
    strokes[3, middle, 11 - middle] = 1
    strokes[4] = (strokes[0] + strokes[1]).clamp(max=1)
    strokes[5] = (strokes[2] + strokes[3]).clamp(max=1)
    for row, column in ((middle, 3), (middle, 8), (3, middle), (8, middle)):
        strokes[6, row, column] = 1
    strokes[7, middle, 3] = strokes[7, 8, middle] = 1
    y = torch.randint(0, recipe.classes, (total,))
    x = strokes[y] * (0.7 + torch.rand(total, 1, 1))
    moves = torch.randint(-2, 3, (total, 2)).tolist()
    x = torch.stack([image.roll((down, right), (0, 1)) for image, (down, right) in zip(x, moves, strict=True)])
    return recipe.scale * (x + 0.5 * torch.randn(x.shape))[:, None], y


def _convolutions(recipe: Recipe) -> nn.Module:
    layers: list[nn.Module] = []
    size = 1
    for i in range(recipe.depth):
        layers.append(nn.Conv2d(size, recipe.width, 3, padding=1))
        if recipe.normalised:
            layers.append(nn.BatchNorm2d(recipe.width))
        layers.append(_activation(recipe))
        if i < 2:
            layers.append(nn.MaxPool2d(2))
        size = recipe.width
    cells = (_SIDE // 2 ** min(2, recipe.depth)) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(recipe.dropout), nn.Linear(size * cells, recipe.classes))


# --- Texts: a Markov chain of second order, the next symbol to be told; learned by a recurrent network ----------------

_LENGTH = 24


def _texts(recipe: Recipe, total: int) -> Part:
    count = recipe.classes
    # Of each pair of symbols few can follow, as of letters: the entropy is far below that of a guess.
    chances = torch.distributions.Gamma(torch.full((count, count, count), 0.04), torch.tensor(1.0)).sample() + 1e-6
    chances /= chances.sum(-1, keepdim=True)
    symbols = [torch.randint(0, count, (total,)), torch.randint(0, count, (total,))]
    for _ in range(_LENGTH - 1):
        symbols.append(torch.multinomial(chances[symbols[-2], symbols[-1]], 1)[:, 0])
    text = torch.stack(symbols, 1)
    return text[:, :-1], text[:, 1:].clone()


class _Recurrent(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Embedding(recipe.classes, recipe.width)
        self.memory = nn.GRU(recipe.width, recipe.width, recipe.depth, batch_first=True)
        self.dropout = nn.Dropout(recipe.dropout)
        self.head = nn.Linear(recipe.width, recipe.classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.dropout(self.memory(self.embedding(x))[0]))
        return out


# --- Signals: noisy damped oscillations, the frequency to be told; learned by a transformer over patches --------------

_PATCHES, _PATCH = 6, 8


def _signals(recipe: Recipe, total: int) -> Part:
    time = torch.arange(_PATCHES * _PATCH) / (_PATCHES * _PATCH)
    frequency = 2 + 6 * torch.rand(total, 1)
    phase = 2 * math.pi * torch.rand(total, 1)
    x = torch.exp(-2 * time * torch.rand(total, 1)) * torch.sin(2 * math.pi * frequency * time + phase)
    x = (x + 0.3 * torch.randn(x.shape)).reshape(total, _PATCHES, _PATCH)
    return recipe.scale * x, frequency[:, 0]


class _Attention(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Linear(_PATCH, recipe.width)
        self.places = nn.Parameter(0.1 * torch.randn(_PATCHES, recipe.width))
        layer = nn.TransformerEncoderLayer(
            recipe.width, 4 if recipe.width % 4 == 0 else 1, 2 * recipe.width, recipe.dropout, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, recipe.depth, enable_nested_tensor=False)
        self.head = nn.Linear(recipe.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(self.embedding(x) + self.places).mean(1))
        return out


_DATA: dict[str, Callable[[Recipe, int], Part]] = {
    "teacher": _teacher,
    "images": _images,
    "texts": _texts,
    "signals": _signals,
}
_NETWORKS: dict[str, Callable[[Recipe], nn.Module]] = {
    "teacher": _perceptron,
    "images": _convolutions,
    "texts": _Recurrent,
    "signals": _Attention,
}
