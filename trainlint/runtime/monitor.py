"""Follows a run, tells probes what happens, and fetches the numbers that they ask for.

Every step costs some bookkeeping on the host. Tensors are looked at only while the run is *observed*: in the first
turns, and then in one of `every`. What is computed then stays on the device until the end of an observed stretch.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from trainlint.config import OWN_FAILURE
from trainlint.findings import Severity
from trainlint.runtime import instruments, places
from trainlint.runtime.events import (
    Backward,
    Batch,
    Change,
    Changes,
    Clipped,
    Graph,
    LayerCall,
    Loaded,
    Loading,
    Loss,
    ModelCall,
    Stepped,
    is_readable,
    local,
    tensors_in,
)
from trainlint.runtime.ledger import Ledger
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, all_probes

# Turns at the start that are all observed: most mistakes show in them.
FIRST = 10
EVERY = 100
# Calls of models without a backward pass that are observed in a row: an evaluation is known by its first batches.
EVALUATED = 4
# Calls that are kept for the backward pass to come.
PENDING = 16
# Backward passes without a step by an optimizer, after which parameters are taken to be changed by hand.
ACCUMULATED = 64
# Copies of parameters for the measurement of updates take so many bytes at most.
SNAPSHOT = 1 << 28

P = ParamSpec("P")
Kind = TypeVar("Kind", bound=Probe)


@dataclass(frozen=True, slots=True)
class Observation:
    """A finding in the making: a place of a running program instead of a span of a file."""

    code: str
    name: str
    message: str
    severity: Severity
    place: Place | None
    # The turn in which it was reported.
    turn: int
    # What fills the message.
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Looks:
    """What all looks of a probe at one place showed."""

    code: str
    place: Place
    fields: Mapping[str, object]
    is_well: bool = True


def _guarded(method: Callable[Concatenate[Monitor, P], None]) -> Callable[Concatenate[Monitor, P], None]:
    """A listener's method that never raises: when it fails, nothing is watched any more."""

    @functools.wraps(method)
    def call(self: Monitor, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if not self.is_listening:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the run matters more than what is said of it
            self.give_up(error)

    return call


class Monitor:
    """One run under observation; a context manager.

    `probes` are the classes of those that look on (default: all that are on by default), `every` the number of turns
    from one observed turn to the next, `max_steps` that of turns after which nothing is watched any more. A *turn* is
    what happens up to the step of each optimizer or, where parameters are changed by hand, up to the end of a backward
    pass. With `only`, other models and optimizers than these are ignored.

    Raises ValueError if `every` or `max_steps` is less than 1.
    """

    def __init__(
        self,
        probes: Iterable[type[Probe]] | None = None,
        *,
        every: int = EVERY,
        max_steps: int | None = None,
        only: Sequence[torch.nn.Module | torch.optim.Optimizer] = (),
    ) -> None:
        if every < 1 or (max_steps is not None and max_steps < 1):
            raise ValueError("`every` and `max_steps` must be at least 1")
        self.every = every
        self.max_steps = max_steps
        self.is_listening = False
        self.is_observed = True
        self.observations: dict[tuple[str, object], Observation] = {}
        self.looks: dict[tuple[str, object], Looks] = {}
        self._only_modules = {id(part) for item in only if isinstance(item, torch.nn.Module) for part in item.modules()}
        self._only_optimizers = {id(item) for item in only if isinstance(item, torch.optim.Optimizer)}
        self._ledger = Ledger()
        chosen = [probe for probe in all_probes().values() if probe.default] if probes is None else probes
        self._handlers: dict[str, list[tuple[Probe, Callable[[Any], None]]]] = defaultdict(list)
        # The probes that have failed.
        self._off: set[Probe] = set()
        for probe in chosen:
            self.attach(probe(self))
        # The modules that are running, the outermost first.
        self._running: list[torch.nn.Module] = []
        self._in_backward = False
        # What happened since the last step.
        self._calls: list[ModelCall] = []
        self._losses: list[Loss] = []
        self._loading: Loading | None = None
        self._evaluated = 0
        # Steps, by optimizer and altogether.
        self._counts: Counter[int] = Counter()
        self._steps = 0
        self.passes = 0
        self._snapshot: _Snapshot | None = None
        self._names = _Names()
        self._keys = _Keys()
        self._models: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        # The keys of the models that are trained.
        self.trained: set[int] = set()
        self._models_of: dict[int, list[weakref.ref[torch.nn.Module]]] = {}

    # --- Its life ---

    def __enter__(self) -> Monitor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen."""
        self.is_listening = True
        instruments.listen(self)

    def stop(self) -> None:
        """Listen no more, read what is still to be read, and have the probes judge."""
        if self.is_listening:
            self._leave()
            self._review()
            self._emit("finished", None)
            self.settle()

    def _leave(self) -> None:
        self.is_listening = False
        instruments.forget(self)
        self._forget_turn()
        self._running.clear()

    def abandon(self) -> None:
        """In a process that was forked off: be as if nobody had ever listened."""
        self._leave()
        self._ledger = Ledger()
        self.observations.clear()

    def give_up(self, error: Exception) -> None:
        """Listen no more, because of a failure of our own."""
        self._leave()
        self._own_failure("the run is watched no more", error)

    def _own_failure(self, what: str, error: Exception) -> None:
        message = f"{what}: {type(error).__name__}: {error}"
        turn = self.turn
        self.observations.setdefault(
            (OWN_FAILURE, what),
            Observation(OWN_FAILURE, "internal-error", message, Severity.ERROR, None, turn),
        )

    # --- What probes ask ---

    def attach(self, probe: Probe) -> None:
        """Tell a probe what happens from now on."""
        for event, handler in probe.handlers():
            self._handlers[event].append((probe, handler))

    @property
    def turn(self) -> int:
        """How many turns have ended."""
        return self._steps // len(self._counts) if self._counts else max(0, self.passes - ACCUMULATED)

    @property
    def has_stepped(self) -> bool:
        """Whether an optimizer has made a step."""
        return bool(self._counts)

    @property
    def sees_all(self) -> bool:
        """Whether no model or optimizer is ignored."""
        return not (self._only_modules or self._only_optimizers)

    def name_of(self, parameter: torch.Tensor) -> str:
        """The name of a parameter in the model that it was seen in."""
        return self._names.of(parameter)

    def is_named(self, parameter: torch.Tensor) -> bool:
        """Whether a parameter was seen in a model."""
        return self._names.knows(parameter)

    def probe(self, kind: type[Kind]) -> Kind | None:
        """The probe of a kind, if it looks on and has not failed."""
        looking = (probe for handlers in self._handlers.values() for probe, _ in handlers)
        return next((probe for probe in looking if isinstance(probe, kind)), None)

    def steps_of(self, optimizer: torch.optim.Optimizer) -> int:
        """How many steps an optimizer has made."""
        return self._counts[id(optimizer)]

    @property
    def trained_models(self) -> list[torch.nn.Module]:
        """The models that a backward pass went through and that an optimizer has parameters of, as far as they live."""
        return list(self._models)

    def later(self, probe: Probe, tensors: Sequence[torch.Tensor], read: Callable[[list[float]], None]) -> None:
        """Have a probe read numbers at the next transfer."""
        self._ledger.later(tensors, lambda numbers: None if probe in self._off else self._tell(probe, read, numbers))

    def report(self, probe: Probe, place: Place | None, message: str, fields: Mapping[str, object]) -> None:
        """Take a probe's report, unless it has reported that place before."""
        key = (probe.code, message if place is None else place.start)
        if key not in self.observations:
            about = (probe.code, probe.name, message, probe.severity)
            self.observations[key] = Observation(*about, place, self.turn, fields)

    def saw(self, probe: Probe, place: Place, is_well: bool, fields: Mapping[str, object]) -> None:
        """Take what one look of a probe at a place showed."""
        looks = self.looks.setdefault((probe.code, place.start), Looks(probe.code, place, fields))
        looks.is_well = looks.is_well and is_well

    @property
    def wells(self) -> list[Looks]:
        """The places that were well at every look, and that no finding stands at."""
        return [looks for key, looks in self.looks.items() if looks.is_well and key not in self.observations]

    # --- Telling the probes ---

    def _emit(self, event: str, fact: Any) -> None:
        handlers = self._handlers.get(event)
        if not handlers:
            return
        # What `no_grad` does, at a quarter of its cost.
        was_enabled = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            for probe, handler in handlers:
                self._tell(probe, handler, fact)
        finally:
            torch._C._set_grad_enabled(was_enabled)

    def _tell(self, probe: Probe, handler: Callable[[Any], None], fact: Any) -> None:
        try:
            handler(fact)
        except Exception as error:  # noqa: BLE001 - one probe must not take the others along
            self._turn_off(probe, error)

    def _turn_off(self, failed: Probe, error: Exception) -> None:
        self._off.add(failed)
        for event, handlers in self._handlers.items():
            self._handlers[event] = [(probe, handler) for probe, handler in handlers if probe is not failed]
        self._own_failure(f"the probe {failed.code or failed.name} failed and is off", error)

    def settle(self) -> None:
        """Read what waits to be read."""
        try:
            with torch.no_grad():
                self._ledger.settle()
        except Exception as error:  # noqa: BLE001 - as above
            self._own_failure("what was measured cannot be read", error)

    def _review(self) -> None:
        """Read what was measured, and let probes look at what is alive: at the end, models may be gone."""
        self.settle()
        self._emit("review", None)

    # --- Listening ---

    def ignores(self, module: torch.nn.Module) -> bool:
        """Whether nobody wants to know of a call: one within a model, as long as its tensors are not looked at."""
        running = self._running
        return bool(running) and not self.is_observed and running[0] is not module

    @_guarded
    def module_begins(self, module: torch.nn.Module) -> None:
        """A module is called."""
        if self._in_backward:  # a checkpoint, computed once more
            return
        is_usual = module.training and torch.is_grad_enabled() and not (self.is_observed or self._running)
        if is_usual and self._is_model(module) and instruments.rest(self):
            # There is nothing to look at, and nothing of interest before the loss.
            self._emit("called", self._call_of(module))
        else:
            self._running.append(module)

    @_guarded
    def module_ends(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A module returns."""
        if self._in_backward:
            return
        running = self._running
        while running and running.pop() is not module:
            pass  # left by an exception
        if running:
            if self.is_observed:
                self._layer_ends(running[0], module, (args, kwargs), output)
            return
        if not self._is_model(module):
            return
        call = self._call_of(module)
        if self._is_seen(call):
            call.inputs, call.outputs = tensors_in((args, kwargs)), tensors_in(output)
            call.place = places.here()
            if call.recording:
                self._names.learn(module)
            self._calls = [*self._calls[-PENDING + 1 :], call]
        self._emit("called", call)
        if call.inputs:
            self._emit("seen", call)
            self._layer_ends(module, module, (args, kwargs), output)
        self._evaluated += not (call.recording and call.training)

    def _call_of(self, model: torch.nn.Module) -> ModelCall:
        about = (model, self._keys.of(model), type(model).__name__)
        return ModelCall(*about, model.training, torch.is_grad_enabled(), self._loading)

    def _is_model(self, module: torch.nn.Module) -> bool:
        if self._only_modules and id(module) not in self._only_modules:
            return False
        return module in self._models or next(module.parameters(), None) is not None

    def _is_seen(self, call: ModelCall) -> bool:
        """Whether to look at the tensors of a call: in observed turns, and there at the first of an evaluation."""
        if call.recording and call.training:
            return self.is_observed
        return self.is_observed or self._evaluated < EVALUATED

    def _layer_ends(self, model: torch.nn.Module, module: torch.nn.Module, given: Any, output: Any) -> None:
        if "layer" not in self._handlers:
            return
        name = self._names.of_module(model, module)
        fact = LayerCall(
            module,
            self._keys.of(model),
            name,
            tensors_in(given),
            tensors_in(output),
            places.here(),
            module.training,
            torch.is_grad_enabled(),
        )
        self._emit("layer", fact)

    @_guarded
    def loss_computed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> None:
        """A loss returns."""
        if self._in_backward or not (self.is_observed or not torch.is_grad_enabled()):
            return
        given = dict(zip(("input", "target"), args, strict=False)) | kwargs
        scores, target = given.pop("input", None), given.pop("target", None)
        if not all(isinstance(tensor, torch.Tensor) and is_readable(tensor) for tensor in (scores, target, value)):
            return
        # A model that computes its loss itself is not known yet.
        call = self._calls[-1] if self._calls and not self._running else None
        loss = Loss(name, scores, target, value, given, places.here(), call)
        if loss.recording:
            self._losses = [*self._losses[-PENDING + 1 :], loss]
        self._emit("loss", loss)

    @_guarded
    def backward_begins(self, tensors: Any) -> None:
        """Gradients are about to be computed."""
        self._in_backward = True
        self._running.clear()
        if not (self.is_observed or self._handlers.get("objective")):
            return
        loss = next(iter(tensors_in(tensors)), None)
        if loss is None:
            return
        self._emit("objective", loss)
        if not self.is_observed:
            return
        graph = Graph.behind(loss)
        calls = [call for call in self._calls if any(output.grad_fn in graph.nodes for output in call.outputs)]
        for call in calls:
            call.is_trained = True
        place = places.here()
        losses = [item for item in self._losses if item.value.grad_fn in graph.nodes]
        self._emit("backward", Backward(loss, graph, calls, losses, place))
        for call in calls:
            if call.inputs:
                only = losses[0] if len(losses) == 1 else None
                own = next((item for item in losses if item.call is call), only)
                self._emit("batch", Batch(call, own, place))
        self._pass_models(calls)

    def _pass_models(self, calls: Sequence[ModelCall]) -> None:
        """Remember the models in a graph, until the step tells whether they are trained; let go of the graph."""
        for call in calls:
            call.outputs = ()
        self._losses = []

    @_guarded
    def backward_ends(self) -> None:
        """They are."""
        self._in_backward = False
        self.passes += 1
        if not self._counts and self.passes > ACCUMULATED:
            self._next_turn()

    @_guarded
    def gradients_clipped(self, norm: Any, limit: Any) -> None:
        """The norm of gradients was limited."""
        if self.is_observed and isinstance(norm, torch.Tensor):
            self._emit("clipped", Clipped(norm, float(limit), places.here()))

    @_guarded
    def step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to change parameters."""
        if self._is_ignored(optimizer) or not self.is_observed:
            return
        self._emit("stepping", optimizer)
        if "changes" in self._handlers:
            with torch.no_grad():
                self._snapshot = _Snapshot.of(optimizer)

    def _is_ignored(self, optimizer: torch.optim.Optimizer) -> bool:
        return bool(self._only_optimizers) and id(optimizer) not in self._only_optimizers

    @_guarded
    def step_ends(self, optimizer: torch.optim.Optimizer) -> None:
        """It has."""
        if self._is_ignored(optimizer):
            return
        self._counts[id(optimizer)] += 1
        self._steps += 1
        count = self._counts[id(optimizer)]
        if self.is_observed:
            self._learn_models(optimizer)
            self._measure_step(optimizer, count)
        models = [model for ref in self._models_of.get(id(optimizer), ()) if (model := ref()) is not None]
        self._emit("stepped", Stepped(optimizer, count, models))
        self._next_turn()

    def _learn_models(self, optimizer: torch.optim.Optimizer) -> None:
        known = self._models_of.setdefault(id(optimizer), [])
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for call in self._calls:
            is_new = call.is_trained and not any(ref() is call.model for ref in known)
            if is_new and any(id(parameter) in held for parameter in call.model.parameters()):
                known.append(weakref.ref(call.model))
                self._models.add(call.model)
                self.trained.add(call.key)

    def _measure_step(self, optimizer: torch.optim.Optimizer, count: int) -> None:
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is None or not snapshot.parameters:
            return
        place = places.here()
        rows = [(id(p), self._names.of(p), tuple(p.shape)) for p in snapshot.parameters]
        with torch.no_grad():
            norms = snapshot.norms()

        def read(numbers: list[float]) -> None:
            total = len(rows)
            gradients, weights, updates = (numbers[i * total : (i + 1) * total] for i in range(3))
            changes = [Change(*row, *norms) for row, *norms in zip(rows, gradients, weights, updates, strict=True)]
            self._emit("changes", Changes(id(optimizer), count, changes, place))

        self._ledger.later(norms, read)

    def _next_turn(self) -> None:
        self._forget_turn()
        turn = self.turn
        was_observed, self.is_observed = self.is_observed, turn < FIRST or turn % self.every == 0
        if was_observed and not self.is_observed:
            self._review()
        if self.max_steps is not None and turn >= self.max_steps:
            self.stop()

    def _forget_turn(self) -> None:
        self._calls, self._losses, self._evaluated = [], [], 0
        self._in_backward = False

    @_guarded
    def batch_loaded(self, loading: Any, batch: Any) -> None:
        """A loader yields."""
        try:
            batches = len(loading._index_sampler)
        except TypeError:  # a stream
            batches = None
        size = getattr(loading._index_sampler, "batch_size", None)
        self._loading = Loading(self._keys.of(loading._dataset), batches, size)
        index = loading._num_yielded - 1
        if index < EVALUATED:
            sampler = getattr(loading._index_sampler, "sampler", loading._index_sampler)
            is_in_order = isinstance(sampler, torch.utils.data.SequentialSampler)
            self._emit("loaded", Loaded(self._loading.dataset, index, is_in_order, tensors_in(batch)))


class _Keys:
    """Numbers for objects that, unlike `id`, are never given again."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[int, Any]] = {}
        self._last = 0

    def of(self, item: object) -> int:
        """The number of an object, from 1. Of a list or the like, which cannot be followed, that of its place."""
        known = self._keys.get(id(item))
        if known is not None and (known[1] is None or known[1]() is item):
            return known[0]
        self._last += 1
        try:
            self._keys[id(item)] = (self._last, weakref.ref(item))
        except TypeError:
            self._keys[id(item)] = (self._last, None)
        return self._last


class _Snapshot:
    """Parameters before a step."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        self.parameters = parameters
        self._gradients = [local(parameter.grad) for parameter in parameters if parameter.grad is not None]
        self._before = [local(parameter).clone() for parameter in parameters]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer) -> _Snapshot:
        """Those with a dense gradient, as many as the limit allows."""
        chosen = []
        room = SNAPSHOT
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None or parameter.grad.is_sparse or not parameter.is_floating_point():
                    continue
                room -= local(parameter).numel() * parameter.element_size()
                if room > 0:
                    chosen.append(parameter)
        return cls(chosen)

    def norms(self) -> list[torch.Tensor]:
        """The norms of all gradients, of all parameters before, and of all differences."""
        now = [local(parameter) for parameter in self.parameters]
        differences = list(torch._foreach_sub(now, self._before))
        lists = (self._gradients, self._before, differences)
        return [norm for tensors in lists for norm in _norms(tensors)]


def _norms(tensors: list[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Their norms, computed in single precision at least: in half precision a sum of squares overflows early."""
    types = {tensor.dtype for tensor in tensors}
    if types <= {torch.float16, torch.bfloat16}:
        return torch._foreach_norm(tensors, 2, torch.float32)
    wide = [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors]
    return torch._foreach_norm(wide, 2)


class _Names:
    """What the user calls modules and parameters."""

    def __init__(self) -> None:
        self._parameters: dict[int, str] = {}
        self._modules: weakref.WeakKeyDictionary[torch.nn.Module, dict[int, str]] = weakref.WeakKeyDictionary()
        self._learnt: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()

    def learn(self, model: torch.nn.Module) -> None:
        """Take down the names of a model's parameters."""
        if model not in self._learnt:
            self._learnt.add(model)
            for name, parameter in model.named_parameters():
                self._parameters.setdefault(id(parameter), name)

    def of(self, parameter: torch.Tensor) -> str:
        """The name of a parameter; of one that belongs to no known model, its shape."""
        return self._parameters.get(id(parameter)) or f"a parameter of shape {tuple(parameter.shape)}"

    def knows(self, parameter: torch.Tensor) -> bool:
        """Whether there is a name for a parameter."""
        return id(parameter) in self._parameters

    def of_module(self, model: torch.nn.Module, module: torch.nn.Module) -> str:
        """The name of a module within a model, or its class."""
        names = self._modules.get(model)
        if names is None or id(module) not in names:
            names = self._modules[model] = {id(part): name for name, part in model.named_modules()}
        return names.get(id(module)) or type(module).__name__
