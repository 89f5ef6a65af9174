"""Records what the report on a run shows, while the run is watched: a probe that reports nothing."""

from __future__ import annotations

import math
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from trainlint.runtime import places
from trainlint.runtime.events import Batch, Changes, LayerCall, ModelCall, Stepped
from trainlint.runtime.probes import Probe, on
from trainlint.runtime.report.measures import Curves, Summary, is_plain, root_mean_square
from trainlint.runtime.report.samples import Kept
from trainlint.runtime.report.story import Layer, Part, Row, Story

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Layers with curves, and parameters with histograms.
LAYERS, PARAMETERS = 256, 512


@dataclass(slots=True)
class Parameter:
    """What is known of one parameter; of weights and gradients, the first and the last summary."""

    ref: weakref.ref[torch.Tensor]
    name: str
    shape: tuple[int, ...]
    # The model that it belongs to (0 if to none), and its place there.
    model: int = 0
    place: int = 0
    trainable: bool = True
    optimizer: str = ""
    weights: list[Summary] = field(default_factory=list)
    gradients: list[Summary] = field(default_factory=list)


class Recorder(Probe):
    """Writes down what the report is made of."""

    name = "report"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.course = Curves()
        self.layers = Curves()
        self.kinds: dict[tuple[int, str], str] = {}
        self.models: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self.model_names: dict[int, str] = {}
        self.optimizers: weakref.WeakKeyDictionary[torch.optim.Optimizer, str] = weakref.WeakKeyDictionary()
        self.parameters: dict[int, Parameter] = {}
        self.batch: list[Kept] = []
        self.parts: list[Part] = []

    # --- Of every step ---

    @on("objective")
    def note_loss(self, loss: torch.Tensor) -> None:
        """What is minimised, by the line of `backward`."""
        step = self.run.turn
        if loss.numel() == 1 and self.course.is_due(step):
            place = places.here()
            key = ("loss", f"line {place.line}" if place else "")
            self.later([loss.detach().clone()], self.take, self.course, key, step)

    @on("stepped")
    def note_rates(self, stepped: Stepped) -> None:
        """The rate of each group."""
        step = stepped.count - 1
        if not self.course.is_due(step):
            return
        label = self.label_of(stepped.optimizer)
        for number, group in enumerate(stepped.optimizer.param_groups):
            rate = group.get("lr")
            key = ("rate", label if len(stepped.optimizer.param_groups) == 1 else f"{label}, group {number}")
            if isinstance(rate, torch.Tensor):
                self.later([rate.detach().clone()], self.take, self.course, key, step)
            elif isinstance(rate, (int, float)):
                self.course.add(key, step, float(rate))

    def take(self, numbers: list[float], curves: Curves, key: Hashable, step: int) -> None:
        """A value has come from the device."""
        curves.add(key, step, numbers[0])

    def label_of(self, optimizer: torch.optim.Optimizer) -> str:
        """What an optimizer is called, with a number if there are several of its kind."""
        if optimizer not in self.optimizers:
            kind = type(optimizer).__name__
            others = sum(label.split()[0] == kind for label in self.optimizers.values())
            self.optimizers[optimizer] = f"{kind} {others + 1}" if others else kind
        return self.optimizers[optimizer]

    # --- Of observed steps ---

    @on("seen")
    def meet(self, call: ModelCall) -> None:
        """Learn the names of a model that is trained."""
        if call.training and call.recording and call.model not in self.models:
            self.models.add(call.model)
            self.model_names[call.key] = call.name
            for place, (name, tensor) in enumerate(call.model.named_parameters()):
                parameter = self.parameter_of(tensor)
                parameter.name, parameter.model, parameter.place = name, call.key, place

    @on("batch")
    def keep(self, batch: Batch) -> None:
        """Keep a part of the first batch."""
        if not self.batch:
            target = () if batch.loss is None else (batch.loss.target,)
            count = len(batch.call.inputs)
            names = ["input" if count == 1 else f"input {number + 1}" for number in range(count)]
            pairs = zip((*names, "target"), (*batch.call.inputs, *target), strict=False)
            self.batch = [Kept(name, tensor) for name, tensor in pairs if is_plain(tensor)]
            for kept in self.batch:
                self.later(kept.statistics, kept.read)

    @on("layer")
    def note_activations(self, call: LayerCall) -> None:
        """The scale of what a layer gives."""
        made = call.outputs[0] if call.outputs else None
        if not call.training or made is None or not (made.is_floating_point() and is_plain(made)):
            return
        # One of others only, as a block, gives what the last of them gives.
        if next(call.module.children(), None) and next(call.module.parameters(recurse=False), None) is None:
            return
        key = (call.model, call.name)
        step = self.run.turn
        if key in self.kinds or len(self.kinds) < LAYERS:
            self.kinds[key] = type(call.module).__name__
            if self.layers.is_due(step):
                self.later([root_mean_square(made)], self.take, self.layers, ("activation", *key), step)

    @on("changes")
    def note_changes(self, changes: Changes) -> None:
        """Norms of gradients and updates, those of a layer together."""
        step = changes.count - 1
        if not self.layers.is_due(step):
            return
        squares: dict[tuple[int, str], list[float]] = {}
        for row in changes.rows:
            parameter = self.parameters.get(row.parameter)
            key = self._layer_of(parameter) if parameter else (0, row.name)
            sums = squares.setdefault(key, [0.0, 0.0, 0.0])
            for place, norm in enumerate((row.gradient, row.weight, row.update)):
                sums[place] += norm * norm
        for key, (gradient, weight, update) in squares.items():
            if key in self.kinds or len(self.kinds) < LAYERS:
                self.kinds.setdefault(key, "")
                self.layers.add(("gradient", *key), step, math.sqrt(gradient))
                if weight > 0:
                    self.layers.add(("update", *key), step, math.sqrt(update / weight))

    def _layer_of(self, parameter: Parameter) -> tuple[int, str]:
        name = parameter.name.rpartition(".")[0] or self.model_names.get(parameter.model, parameter.name)
        return parameter.model, name

    @on("stepping")
    def note_parameters(self, optimizer: torch.optim.Optimizer) -> None:
        """Who trains what, and how weights and gradients are distributed."""
        label = self.label_of(optimizer)
        step = self.run.turn
        for number, group in enumerate(optimizer.param_groups):
            name = label if len(optimizer.param_groups) == 1 else f"{label}, group {number}"
            for tensor in group["params"]:
                parameter = self.parameter_of(tensor)
                parameter.optimizer = name
                if len(self.parameters) <= PARAMETERS and is_plain(tensor):
                    _note(parameter.weights, tensor, step)
                    if tensor.grad is not None and is_plain(tensor.grad):
                        _note(parameter.gradients, tensor.grad, step)

    def parameter_of(self, tensor: torch.Tensor) -> Parameter:
        """What is known of a parameter."""
        known = self.parameters.get(id(tensor))
        if known is None or known.ref() is not tensor:
            known = Parameter(weakref.ref(tensor), self.run.name_of(tensor), tuple(tensor.shape))
            self.parameters[id(tensor)] = known
        return known

    @on("review")
    def look_at_models(self, _: None) -> None:
        """Parameters that no optimizer holds; and what was kept may leave its device now."""
        for model in list(self.models):
            for tensor in model.parameters():
                parameter = self.parameter_of(tensor)
                parameter.trainable = tensor.requires_grad
                if not parameter.weights and len(self.parameters) <= PARAMETERS and is_plain(tensor):
                    _note(parameter.weights, tensor, self.run.turn)
        if not self.parts:
            self.parts = [kept.part() for kept in self.batch]

    @on("finished")
    def fetch(self, _: None) -> None:
        """Have all summaries read."""
        for parameter in self.parameters.values():
            for summary in (*parameter.weights, *parameter.gradients):
                self.later(summary.tensors, summary.read)

    # --- What came of it ---

    def story(self) -> Story:
        """All of it as plain data; of a run that has ended."""
        return Story(
            self.run.turn,
            {name: self.course.get((kind, name)) for kind, name in self.course if kind == "loss"},
            {name: self.course.get((kind, name)) for kind, name in self.course if kind == "rate"},
            [self._layer(*key) for key in self._in_order()],
            [self._row(parameter) for parameter in sorted(self.parameters.values(), key=lambda p: (p.model, p.place))],
            self.parts,
        )

    def _in_order(self) -> list[tuple[int, str]]:
        """The layers as they ran; one that was never called itself follows that which it is a part of."""
        order = [key for key in self.kinds if self.kinds[key]]
        for model, name in (key for key in self.kinds if not self.kinds[key]):
            whole = name.rpartition(".")[0]
            after = order.index((model, whole)) + 1 if (model, whole) in order else len(order)
            order.insert(after, (model, name))
        return order

    def _layer(self, model: int, name: str) -> Layer:
        tracks = [self.layers.get((kind, model, name)) for kind in ("activation", "gradient", "update")]
        return Layer(self._called(model), name, self.kinds[model, name], *tracks)

    def _row(self, parameter: Parameter) -> Row:
        weights, gradients = ([s for s in of if s.numbers] for of in (parameter.weights, parameter.gradients))
        return Row(
            self._called(parameter.model),
            parameter.name,
            parameter.shape,
            parameter.trainable,
            parameter.optimizer,
            weights[-1].mean if weights else None,
            gradients[-1].mean if gradients else None,
            [summary.histogram for summary in weights],
            [summary.histogram for summary in gradients],
        )

    def _called(self, model: int) -> str:
        """The name of a model, with a number if another has the same."""
        name = self.model_names.get(model, "")
        same = [key for key, other in self.model_names.items() if other == name]
        return name if len(same) < 2 else f"{name} {same.index(model) + 1}"


def _note(summaries: list[Summary], tensor: torch.Tensor, step: int) -> None:
    """Keep the first summary and the last."""
    summaries[1:] = [Summary.of(tensor, step)]
