"""In which mode models run."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from trainlint.findings import Severity
from trainlint.runtime import places
from trainlint.runtime.events import Loss, ModelCall, Stepped
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# So many cases of one kind are no slip of a single step.
REPEATED = 3


def depends_on_mode(module: torch.nn.Module) -> bool:
    """Whether a layer computes something else in the other mode."""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, _BatchNorm):
        return module.track_running_stats
    return isinstance(module, torch.nn.RNNBase) and module.dropout > 0


def layers_in(model: torch.nn.Module, training: bool) -> list[str]:
    """The kinds of those layers of a model that depend on the mode and are in this one."""
    found = (type(part).__name__ for part in model.modules() if part.training is training and depends_on_mode(part))
    return sorted(set(found))


class TrainedInEvalMode(Probe):
    """An optimizer trains a model that is in evaluation mode."""

    code, name = "TR502", "trained-in-eval-mode"
    message = "`{model}` is in eval mode while it is trained, so {layers} {do} not work as in training"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.steps: weakref.WeakKeyDictionary[torch.nn.Module, int] = weakref.WeakKeyDictionary()

    @on("stepped")
    def check(self, step: Stepped) -> None:
        for model in step.models:
            self.steps[model] = 0 if model.training else self.steps.get(model, 0) + 1
            if self.steps[model] == REPEATED:
                layers = [kind for kind in layers_in(model, training=False) if self.is_trained(model, kind)]
                if layers:
                    do = "does" if len(layers) == 1 else "do"
                    self.report(places.here(), model=type(model).__name__, layers=" and ".join(layers), do=do)

    def is_trained(self, model: torch.nn.Module, kind: str) -> bool:
        """Whether layers of a kind are not merely frozen: batch norm in eval mode with fixed weights is a choice."""
        parts = [part for part in model.modules() if type(part).__name__ == kind and depends_on_mode(part)]
        return any(all(p.requires_grad for p in part.parameters()) for part in parts)


@dataclass
class Use:
    """The calls of one model on one data set, in one mode, with or without graphs."""

    model: str
    layers: list[str]
    place: Place | None
    calls: int = 0
    # Whether a loss without a graph judged them.
    is_judged: bool = False


def dataset_of(call: ModelCall) -> int:
    """The number of the data set that a call's batch comes from; 0 if there is no loader."""
    return call.loading.dataset if call.loading else 0


class Evaluations(Probe, ABC):
    """What models are used for besides being trained: the calls that no step follows at once."""

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.uses: dict[tuple[int, int], Use] = {}
        self.last = 0
        self.trained_on: set[int] = set()

    @abstractmethod
    def is_suspect(self, call: ModelCall) -> bool:
        """Whether a call would be wrong if no step followed it."""

    @abstractmethod
    def is_well(self, call: ModelCall) -> bool:
        """Whether a call is surely right, whatever follows it."""

    @on("called")
    def called(self, call: ModelCall) -> None:
        self.last = dataset_of(call)
        if self.is_suspect(call):
            key = (call.key, self.last)
            if key not in self.uses:
                self.uses[key] = Use(call.name, layers_in(call.model, training=True), places.here())
            self.uses[key].calls += 1
        if call.place is not None:
            self.saw(call.place, self.is_well(call))

    @on("stepped")
    def stepped(self, _: Stepped) -> None:
        self.trained_on.add(self.last)

    def held_out(self) -> Iterator[Use]:
        """The uses of trained models on data that no step was made on, or that a loss merely judged."""
        for (model, data), use in self.uses.items():
            is_apart = data not in self.trained_on if data else use.is_judged
            if model in self.run.trained and use.calls >= REPEATED and is_apart:
                yield use


class EvaluatedInTrainMode(Evaluations):
    """A model is evaluated in training mode."""

    code, name = "TR501", "evaluated-in-train-mode"
    message = "`{model}` is evaluated in train mode, so its {layers} {make} the results depend on {what}"

    def is_suspect(self, call: ModelCall) -> bool:
        return call.training

    def is_well(self, call: ModelCall) -> bool:
        return not (call.training or layers_in(call.model, training=True))

    @on("loss")
    def judged(self, loss: Loss) -> None:
        call = loss.call
        if loss.recording or call is None or not call.training or call.recording:
            return
        if any(output.data_ptr() == loss.input.data_ptr() for output in call.outputs):
            use = self.uses.get((call.key, dataset_of(call)))
            if use is not None:
                use.is_judged = True

    @on("finished")
    def check(self, _: None) -> None:
        for use in self.held_out():
            if use.layers:
                make = "makes" if len(use.layers) == 1 else "make"
                what = "the batch" if any("Norm" in layer for layer in use.layers) else "chance"
                self.report(use.place, model=use.model, layers=" and ".join(use.layers), make=make, what=what)


class GraphInEvaluation(Evaluations):
    """A model in evaluation mode records graphs that nobody needs."""

    code, name = "TR503", "graph-in-evaluation"
    message = "`{model}` is evaluated with gradients recorded, which takes memory and time for nothing"
    severity = Severity.WARNING

    def is_suspect(self, call: ModelCall) -> bool:
        return call.recording and not call.training

    def is_well(self, call: ModelCall) -> bool:
        return not call.recording

    @on("finished")
    def check(self, _: None) -> None:
        for use in self.held_out():
            self.report(use.place, model=use.model)
