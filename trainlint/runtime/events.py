"""What probes are told of a run. Tensors are those of the run itself: to be read, never to be changed or kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from trainlint.runtime.places import Place

# A graph is walked so far; what lies beyond is taken as unknown.
NODES = 20_000


@dataclass(frozen=True, slots=True)
class Loading:
    """The iteration that a batch comes from: its data set (a number that tells it from others), and how many batches of
    which size there are, where that is known."""

    dataset: int
    batches: int | None
    batch_size: int | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that a loader yields, near the start of a pass over its data set."""

    dataset: int
    # Its place in the pass, from 0.
    index: int
    # Whether samples come in the order of the data set, so that each pass has the same.
    is_in_order: bool
    tensors: tuple[torch.Tensor, ...]


@dataclass(slots=True)
class ModelCall:
    """A call of a model: of a module with parameters, from outside any module."""

    model: torch.nn.Module
    # A number that tells it from all other models, of all times.
    key: int
    name: str
    training: bool
    # Whether gradients are recorded.
    recording: bool
    # What came from a loader last, before the call.
    loading: Loading | None
    # The following are filled in only while the run is observed.
    inputs: tuple[torch.Tensor, ...] = ()
    outputs: tuple[torch.Tensor, ...] = ()
    place: Place | None = None
    # Whether a backward pass went through it.
    is_trained: bool = False

    @property
    def batch_size(self) -> int:
        """The length of the first axis of the first input; 0 if there is none."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].dim() else 0


@dataclass(frozen=True, slots=True)
class LayerCall:
    """A call of a module within a model."""

    module: torch.nn.Module
    # The key of the model.
    model: int
    name: str
    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]
    place: Place | None
    training: bool
    recording: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """A call of a loss of `torch.nn.functional`."""

    name: str
    input: torch.Tensor
    target: torch.Tensor
    value: torch.Tensor
    options: Mapping[str, Any]
    place: Place | None
    # The model called last before it.
    call: ModelCall | None

    @property
    def recording(self) -> bool:
        """Whether it can be trained on."""
        return self.value.requires_grad


@dataclass(frozen=True, slots=True)
class Backward:
    """The start of a backward pass."""

    loss: torch.Tensor
    graph: Graph
    # The calls of models and the losses of `torch.nn.functional` that it goes through.
    calls: Sequence[ModelCall]
    losses: Sequence[Loss]
    place: Place | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is trained on in one step: what it was called with and what the loss compared it with."""

    call: ModelCall
    loss: Loss | None
    place: Place | None


@dataclass(frozen=True, slots=True)
class Clipped:
    """A call of `clip_grad_norm_`: the norm of all gradients before it, and its limit."""

    norm: torch.Tensor
    limit: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class Stepped:
    """An optimizer has changed parameters; told of every step, observed or not."""

    optimizer: torch.optim.Optimizer
    # How many steps it has made, this one included.
    count: int
    # The models whose parameters it holds, of those that have been trained.
    models: Sequence[torch.nn.Module]


@dataclass(frozen=True, slots=True)
class Change:
    """What a step did to one parameter: norms of its gradient, of itself and of the difference."""

    parameter: int
    name: str
    shape: tuple[int, ...]
    gradient: float
    weight: float
    update: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step did, told after the transfer."""

    optimizer: int
    count: int
    rows: Sequence[Change]
    place: Place | None


@dataclass(slots=True)
class Graph:
    """The operations behind a loss."""

    root: Any
    nodes: set[Any] = field(default_factory=set)
    is_whole: bool = True

    @classmethod
    def behind(cls, tensor: torch.Tensor) -> Graph:
        """Walk the graph of a tensor, up to a limit."""
        graph = cls(tensor.grad_fn)
        waiting = [] if graph.root is None else [graph.root]
        graph.nodes.update(waiting)
        while waiting:
            for child, _ in waiting.pop().next_functions:
                if child is not None and child not in graph.nodes:
                    graph.nodes.add(child)
                    waiting.append(child)
            if len(graph.nodes) > NODES:
                graph.is_whole = False
                break
        return graph

    def parameters(self) -> Iterator[torch.Tensor]:
        """The leaves."""
        for node in self.nodes:
            variable = getattr(node, "variable", None)
            if variable is not None:
                yield variable


# Operations that only arrange values anew or choose among them, and dropout.
_ARRANGING = ("NativeDropout", "ReshapeAlias", "Select", "Squeeze", "Transpose", "UnsafeView", "Unsqueeze", "View")


def maker_of(tensor: torch.Tensor) -> Any:
    """The operation that computed the values of a tensor; None if no graph tells."""
    node = tensor.grad_fn
    while node is not None and node.name().startswith(_ARRANGING):
        node = node.next_functions[0][0] if node.next_functions else None
    return node


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether a tensor can be looked at: it has data, and all of it is here, so that nobody is asked for the rest."""
    return not tensor.is_meta and not hasattr(tensor, "device_mesh")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a parameter or a gradient that this process holds; usually all of it."""
    part: torch.Tensor = tensor.detach()
    return part.to_local() if hasattr(part, "to_local") else part


def tensors_in(value: Any, limit: int = 32) -> tuple[torch.Tensor, ...]:
    """The readable tensors in a nested structure, in order."""
    found: list[torch.Tensor] = []
    waiting = [value]
    while waiting and len(found) < limit:
        item = waiting.pop()
        if isinstance(item, torch.Tensor):
            if is_readable(item):
                found.append(item)
        elif isinstance(item, Mapping):
            waiting.extend(reversed(list(item.values())))
        elif isinstance(item, (list, tuple)):
            waiting.extend(reversed(item))
    return tuple(found)
