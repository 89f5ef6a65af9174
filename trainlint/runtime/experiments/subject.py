"""What experiments are made on: copies of a model, its loss and its optimizer, and a part of the data."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainlint.runtime.events import tensors_in
from trainlint.runtime.experiments import Unjudged
from trainlint.runtime.fingerprints import fingerprints
from trainlint.runtime.untouched import seed

# So much is taken from a loader: samples, bytes, and batches.
SAMPLES, BYTES, BATCHES = 2048, 1 << 27, 256
# Random numbers of trials that are compared are the same.
SEED = 0
# What targets are called in batches that are mappings.
TARGETS = ("labels", "label", "targets", "target", "y")

Split = Callable[[Any], tuple[Any, Any]]


class Clock:
    """Time that runs out."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether no more should be begun."""
        return self.left <= 0


@dataclass(frozen=True, slots=True)
class Samples:
    """A part of the data: what the model is called with, and what the loss compares its output with."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    target: Any

    @classmethod
    def of(cls, batch: Any, split: Split) -> Samples:
        """Those in a batch of a loader."""
        inputs, target = split(batch)
        if isinstance(inputs, Mapping):
            return cls((), dict(inputs), target)
        return cls(tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,), {}, target)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors among the inputs."""
        return tensors_in([self.arguments, self.keywords])

    @property
    def targets(self) -> tuple[Tensor, ...]:
        """The tensors in the target."""
        return tensors_in(self.target)

    @property
    def size(self) -> int:
        """How many samples there are along the first axis, which all tensors have in common; 0 if they have not."""
        sizes = {len(tensor) if tensor.dim() else 0 for tensor in (*self.inputs, *self.targets)}
        return sizes.pop() if len(sizes) == 1 and self.inputs else 0

    def mapped(self, inputs: Callable[[Tensor], Tensor] | None, target: Callable[[Tensor], Tensor] | None) -> Samples:
        """The same with other tensors."""
        arguments, keywords = self.arguments, self.keywords
        if inputs is not None:
            arguments, keywords = _mapped(arguments, inputs), _mapped(keywords, inputs)
        return Samples(arguments, keywords, self.target if target is None else _mapped(self.target, target))

    def at(self, index: Tensor | slice) -> Samples:
        """Some of the samples."""
        return self.mapped(lambda tensor: tensor[index], lambda tensor: tensor[index])

    def to(self, device: torch.device) -> Samples:
        """The same on another device."""
        return self.mapped(lambda tensor: tensor.to(device), lambda tensor: tensor.to(device))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, change) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, change) for item in value)
    return value


def joined(parts: Sequence[Samples]) -> Samples:
    """Samples of several batches as one. Raises Unjudged if their sizes differ."""
    first, *others = parts
    tensors = [iter((*part.inputs, *part.targets)) for part in others]
    try:
        return first.mapped(*[lambda tensor: torch.cat([tensor, *map(next, tensors)])] * 2)
    except (RuntimeError, StopIteration) as error:
        raise Unjudged("batches have samples of different sizes") from error


def as_pair(batch: Any) -> tuple[Any, Any]:
    """Inputs and target of a batch: the last of a tuple, or what a mapping calls so, is the target.

    Raises TypeError if there is no telling.
    """
    if isinstance(batch, Mapping):
        name = next((name for name in TARGETS if name in batch), None)
        if name is not None:
            return {key: value for key, value in batch.items() if key != name}, batch[name]
    elif isinstance(batch, (list, tuple)) and len(batch) >= 2:
        return tuple(batch[:-1]), batch[-1]
    raise TypeError(
        f"a batch is a {type(batch).__name__}, of which `preflight` does not know what goes into the model and what is "
        "the target; give it a function `split` that returns both"
    )


class Trial:
    """A copy of model, loss and optimizer, to be trained."""

    def __init__(self, model: nn.Module, loss: Any, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer

    def output(self, samples: Samples) -> Any:
        """What the model gives; of results with several fields, the logits if there are any."""
        result = self.model(*samples.arguments, **samples.keywords)
        return result.logits if hasattr(result, "logits") else result

    def measure(self, samples: Samples) -> Tensor:
        """The loss, a number. Raises Unjudged if it is none."""
        value = self.loss(self.output(samples), samples.target)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise Unjudged(f"the loss is {_described(value)}, not one number")
        return value.reshape(())

    def step(self, samples: Samples) -> float:
        """Train on samples once, and give the loss before the step."""
        self.optimizer.zero_grad()
        value = self.measure(samples)
        if not value.requires_grad:
            raise Unjudged("the loss has no gradient")
        torch.autograd.backward(value)
        self.optimizer.step()
        return float(value.detach())

    def train(self, batches: Iterable[Samples], clock: Clock) -> list[float]:
        """Train on batches one after the other in training mode, as long as losses are finite and there is time."""
        losses: list[float] = []
        self.model.train()
        for samples in batches:
            losses.append(self.step(samples))
            if not math.isfinite(losses[-1]) or clock.is_over:
                break
        return losses

    def judged(self, samples: Samples) -> float:
        """The loss in evaluation mode."""
        with torch.no_grad(), self.evaluating():
            return float(self.measure(samples))

    def outputs(self, samples: Samples) -> Tensor:
        """The output in evaluation mode. Raises Unjudged if it is no single tensor."""
        with torch.no_grad(), self.evaluating():
            output = self.output(samples)
        if not isinstance(output, Tensor):
            raise Unjudged(f"the model returns {_described(output)}, not one tensor")
        return output

    def evaluating(self) -> _Mode:
        """Evaluation mode for a while."""
        return _Mode(self.model)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer trains."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


class _Mode:
    def __init__(self, model: nn.Module) -> None:
        self._modes = [(module, module.training) for module in model.modules()]
        self._model = model

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        for module, mode in self._modes:
            module.training = mode


def _described(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


class Subject:
    """The model, loss and optimizer of the user, of which only copies are trained, and a part of the data."""

    def __init__(
        self,
        model: nn.Module,
        loss: Any,
        optimizer: torch.optim.Optimizer,
        batches: Sequence[Samples],
        evaluation: Sequence[Samples] = (),
        number: int | None = None,
    ) -> None:
        self._parts = (model, loss, optimizer)
        self.batches = batches
        self.evaluation = evaluation
        # How many samples the training data have: those at hand, if no more is known.
        self.number = number or sum(samples.size for samples in batches)

    @property
    def model_name(self) -> str:
        """The name of the model's class."""
        return type(self._parts[0]).__name__

    def trial(self, model: nn.Module | None = None) -> Trial:
        """A copy as the user gave it, or with another model and a usual optimizer (Adam at 1e-3) for it.

        What is drawn from here on is the same in each trial. Raises Unjudged if there is no copying it.
        """
        try:
            trial = Trial(*copy.deepcopy(self._parts))
        except Exception as error:  # whatever a user's class does
            raise Unjudged(f"the model cannot be copied: {type(error).__name__}: {error}") from error
        if model is not None:
            trial = Trial(model, trial.loss, torch.optim.Adam(model.parameters(), lr=1e-3))
        for group in trial.optimizer.param_groups:
            # A warm-up may have set it to zero; what counts is the rate that it leads to.
            group["lr"] = group.get("initial_lr", group["lr"])
        seed(SEED)
        return trial

    @property
    def rate(self) -> float:
        """The largest learning rate of the optimizer."""
        groups = self._parts[2].param_groups
        return max(float(group.get("initial_lr", group["lr"])) for group in groups)

    @property
    def batch_size(self) -> int:
        """How many samples a batch has; 0 if that cannot be told."""
        return self.batches[0].size

    def pool(self) -> Samples:
        """All samples of the training data at hand. Raises Unjudged if there is no telling them apart."""
        return _pooled(self.batches)

    def evaluation_pool(self) -> Samples | None:
        """Those of the evaluation data, if there are any."""
        return _pooled(self.evaluation) if self.evaluation else None

    def few(self, count: int) -> Samples:
        """Samples with inputs unlike each other and with as many targets as there are. Raises Unjudged if all targets
        are the same, or if samples cannot be told apart."""
        pool = self.pool()
        inputs, targets = _rows(pool.inputs), _rows(pool.targets)
        first = list({row: place for place, row in reversed(list(enumerate(inputs)))}.values())[::-1]
        turn: dict[int, int] = {}
        by_target: dict[object, int] = {}
        for place in first:
            turn[place] = by_target.get(targets[place], 0)
            by_target[targets[place]] = turn[place] + 1
        if len(by_target) < 2:
            raise Unjudged("all samples at hand have the same target" if len(first) > 1 else "all inputs are the same")
        chosen = sorted(first, key=lambda place: turn[place])[:count]
        return pool.at(torch.tensor(chosen, device=pool.inputs[0].device))


def _pooled(batches: Sequence[Samples]) -> Samples:
    if not all(samples.size for samples in batches):
        raise Unjudged("inputs and targets have no first axis in common")
    return joined(batches)


def _rows(tensors: Iterable[Tensor]) -> list[tuple[float, ...]]:
    """Numbers that tell samples apart."""
    return [tuple(row) for row in torch.cat([fingerprints(tensor) for tensor in tensors], 1).tolist()]


def taken(loader: Iterable[Any], split: Split, device: torch.device, clock: Clock) -> list[Samples]:
    """The first batches of a loader, as many as are needed.

    Raises TypeError for a loader that can be iterated over only once, and ValueError for an empty one.
    """
    if isinstance(loader, Iterator):
        raise TypeError("`train_loader` is an iterator, which would be used up; give what it iterates over")
    batches: list[Samples] = []
    samples = size = 0
    for batch in _anew(loader):
        batches.append(Samples.of(batch, split).to(device))
        tensors = (*batches[-1].inputs, *batches[-1].targets)
        samples += batches[-1].size
        size += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if samples >= SAMPLES or size >= BYTES or len(batches) >= BATCHES or clock.is_over:
            break
    if not batches:
        raise ValueError("the loader yields no batch")
    return batches


def _anew(loader: Iterable[Any]) -> Iterator[Any]:
    """Iterate over a loader and leave it as it is, also if it keeps its workers."""
    if isinstance(loader, torch.utils.data.DataLoader):
        own = copy.copy(loader)
        own._iterator = None
        return iter(own)
    return iter(loader)
