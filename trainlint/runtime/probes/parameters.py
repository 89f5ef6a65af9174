"""What becomes of parameters."""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime import places
from trainlint.runtime.events import Backward, Changes, LayerCall, Stepped, is_readable
from trainlint.runtime.initial import are_initial
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# What is the same in so many observed steps stays so.
REPEATED = 5


def listed(names: Sequence[str]) -> str:
    """Parameters in words: the first, and how many more."""
    more = len(names) - 1
    rest = "" if not more else f" and {more} other parameter{'s' if more > 1 else ''}"
    return f"`{names[0]}`{rest}"


def have(names: Sequence[str]) -> str:
    """The verb that goes with them."""
    return "has" if len(names) == 1 else "have"


def get(names: Sequence[str]) -> str:
    """Likewise."""
    return "gets" if len(names) == 1 else "get"


class Lasting(Probe, ABC):
    """Judges what becomes of parameters over the whole run.

    It is judged at every review, while models and optimizers are alive, and told at the end, if it still holds.
    """

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.optimizers: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self.place: Place | None = None
        self.verdicts: list[dict[str, object]] = []
        # Parameters that were once found to be as they were drawn: they are not drawn again.
        self.known_initial: dict[tuple[int, ...], bool] = {}

    @on("stepping")
    def meet(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers.add(optimizer)
        self.place = self.place or places.here()

    @on("review")
    def review(self, _: None) -> None:
        if self.optimizers:
            self.verdicts = list(self.judge())

    @on("finished")
    def tell(self, _: None) -> None:
        for fields in self.verdicts:
            self.report(self.place, **fields)

    @abstractmethod
    def judge(self) -> Iterator[dict[str, object]]:
        """The fields of the message, for each finding."""

    def held(self) -> set[int]:
        """The identities of all parameters in any optimizer."""
        return {id(p) for optimizer in self.optimizers for group in optimizer.param_groups for p in group["params"]}

    def are_initial(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Whether parameters that do not change are as they were drawn."""
        key = tuple(part for p in parameters for part in (id(p), p._version))
        if key not in self.known_initial:
            self.known_initial = {key: are_initial(parameters)}
        return self.known_initial[key]


class ParameterWithoutGradient(Lasting):
    """Parameters that an optimizer is to train lie before a cut in the graph."""

    code, name = "TR404", "parameter-without-gradient"
    message = (
        "{parameters} {have} been given to the optimizer and never {get} a gradient: the graph is cut after `{layer}`"
    )

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.missing: Counter[int] = Counter()
        self.reached: set[int] = set()
        # What lies behind the losses, of so many backward passes.
        self.leaves: set[int] = set()
        self.passes = 0
        # The layers in order of their first call, and whether gradients were recorded in any call of each.
        self.layers: dict[int, tuple[weakref.ref[torch.nn.Module], str, bool]] = {}

    @on("layer")
    def ran(self, call: LayerCall) -> None:
        known = self.layers.get(id(call.module))
        recorded = call.recording or (known is not None and known[2])
        self.layers[id(call.module)] = (weakref.ref(call.module), call.name, recorded)

    @on("backward")
    def follow(self, backward: Backward) -> None:
        self.passes = self.passes + 1 if backward.graph.is_whole else -(1 << 30)
        self.leaves.update(id(leaf) for leaf in backward.graph.parameters())

    @on("stepping")
    def look(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.reached.add(id(parameter))
                elif parameter.requires_grad:
                    self.missing[id(parameter)] += 1

    def judge(self) -> Iterator[dict[str, object]]:
        held = self.held()
        parameters: list[torch.Tensor] = []
        cut = ""
        recorded = False
        for module, name, was_recorded in self.own_layers():
            own = [p for p in module.parameters(recurse=False) if id(p) in held]
            if any(id(p) in self.reached for p in own):
                break
            without = [p for p in own if self.missing[id(p)] >= REPEATED]
            if without:
                parameters += without
                cut, recorded = name, recorded or was_recorded
        else:
            if self.passes < REPEATED or self.leaves & held:
                return  # nothing lies behind a cut, but for the loss itself
        # Without a graph on purpose, weights that were trained elsewhere are merely used.
        if parameters and (recorded or self.are_initial(parameters)):
            names = [self.run.name_of(p) for p in parameters]
            yield {"parameters": listed(names), "have": have(names), "get": get(names), "layer": cut}

    def own_layers(self) -> Iterator[tuple[torch.nn.Module, str, bool]]:
        """The layers with parameters of their own, in order of their first call."""
        for ref, name, recorded in self.layers.values():
            module = ref()
            if module is not None and next(module.parameters(recurse=False), None) is not None:
                yield module, name, recorded


class ParameterNotOptimised(Lasting):
    """Parameters get gradients, but no optimizer holds them."""

    code, name = "TR405", "parameter-not-optimised"
    message = "{parameters} {get} gradients but {have} not been given to any optimizer{why}"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.reached: dict[int, weakref.ref[torch.Tensor]] = {}
        self.passes: Counter[int] = Counter()

    @on("backward")
    def look(self, backward: Backward) -> None:
        for call in backward.calls:
            for parameter in call.model.parameters():
                if not parameter.requires_grad:
                    self.passes[-id(parameter)] += 1
        for leaf in backward.graph.parameters():
            self.reached[id(leaf)] = weakref.ref(leaf)
            self.passes[id(leaf)] += 1

    def judge(self) -> Iterator[dict[str, object]]:
        held = self.held()
        left: list[torch.Tensor] = []
        thawed: list[torch.Tensor] = []
        for parameter in self.parameters():
            passes = self.passes[id(parameter)]
            if id(parameter) in held or passes < REPEATED or not parameter.requires_grad:
                continue
            (thawed if self.passes[-id(parameter)] else left).append(parameter)
        if thawed:
            yield self.fields(thawed, ", although they were unfrozen during the run")
        elif left and self.are_initial(left):
            yield self.fields(left, " and stay as they were drawn")

    def parameters(self) -> list[torch.Tensor]:
        """Those of the trained models, and those that no model has registered."""
        registered = {id(p): p for model in self.run.trained_models for p in model.parameters()}
        # An optimizer that is ignored may hold the others; and of parameters that are put together for each call from
        # parts, the optimizer holds the parts.
        if not self.run.sees_all or not all(is_readable(p) for p in registered.values()):
            return list(registered.values())
        reached = (ref() for ref in self.reached.values())
        others = [p for p in reached if isinstance(p, torch.nn.Parameter) and id(p) not in registered]
        return [*registered.values(), *others]

    def fields(self, parameters: Sequence[torch.Tensor], why: str) -> dict[str, object]:
        names = [self.run.name_of(p) for p in parameters]
        return {"parameters": listed(names), "get": get(names), "have": have(names), "why": why}


class ParameterUnchanged(Lasting):
    """Parameters never change though they were meant to: frozen by mistake, or updates too small to count."""

    code, name = "TR407", "parameter-unchanged"
    message = "{parameters} never change{s}: {why}"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.still: dict[int, int] = defaultdict(int)
        self.names: dict[int, str] = {}
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.rates: dict[int, bool] = {}
        self.passes = 0
        self.thawed: set[int] = set()

    @on("changes")
    def count(self, changes: Changes) -> None:
        for row in changes.rows:
            self.shapes[row.parameter] = row.shape
            # A bias that cancels out has gradients that are mere rounding.
            if row.update == 0 and row.gradient > 0 and len(row.shape) > 1:
                self.still[row.parameter] += 1
                self.names[row.parameter] = row.name
            else:
                self.still[row.parameter] = -(1 << 30)

    @on("backward")
    def look(self, backward: Backward) -> None:
        self.passes += 1
        for call in backward.calls:
            self.thawed.update(id(p) for p in call.model.parameters() if p.requires_grad)

    @on("stepping")
    def note_rate(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            is_moving = float(group.get("lr", 1)) != 0
            for parameter in group["params"]:
                self.rates[id(parameter)] = self.rates.get(id(parameter), False) or is_moving

    def judge(self) -> Iterator[dict[str, object]]:
        lost = [self.names[p] for p, count in self.still.items() if count >= REPEATED and self.rates.get(p)]
        # Where only the first layers stand still, their gradients vanish.
        if lost and 2 * len(lost) > sum(len(shape) > 1 for shape in self.shapes.values()):
            yield self.fields(lost, "each update is smaller than the precision of the numbers")
        if self.passes >= REPEATED:
            for model in self.run.trained_models:
                yield from self.frozen(model)

    def frozen(self, model: torch.nn.Module) -> Iterator[dict[str, object]]:
        """What of a trained model is frozen against what the program says elsewhere."""
        frozen = {n: p for n, p in model.named_parameters() if id(p) not in self.thawed and not p.requires_grad}
        if not frozen:
            return
        explicit = self.own_groups(frozen)
        mistaken = [name for name, p in frozen.items() if self.has_typo(p)] + self.thawed_in_vain(model)
        if mistaken:
            yield self.fields(
                mistaken, "the attribute that was set to unfreeze them is not `requires_grad` of a parameter"
            )
        elif explicit:
            yield self.fields(explicit, "they are frozen, though the optimizer has a group with a rate for them")
        elif len(frozen) > 1 and self.are_initial(list(frozen.values())):
            yield self.fields(list(frozen), "they are frozen as they were drawn, and nothing was ever loaded into them")

    def own_groups(self, frozen: Mapping[str, torch.Tensor]) -> list[str]:
        """The frozen parameters of groups that hold nothing else."""
        names = {id(p): name for name, p in frozen.items()}
        found: list[str] = []
        for optimizer in self.optimizers:
            if len(optimizer.param_groups) > 1:
                for group in optimizer.param_groups:
                    if group["params"] and group.get("lr", 1) and all(id(p) in names for p in group["params"]):
                        found += [names[id(p)] for p in group["params"]]
        return found

    def has_typo(self, parameter: torch.Tensor) -> bool:
        """Whether an attribute nearly called `requires_grad` was set to true."""
        return any(value is True and is_nearly(name) for name, value in vars(parameter).items())

    def thawed_in_vain(self, model: torch.nn.Module) -> list[str]:
        """The frozen parameters of modules that were given an attribute `requires_grad`, which does nothing."""
        found = []
        for prefix, module in model.named_modules():
            if any(
                value is True and (name == "requires_grad" or is_nearly(name)) for name, value in vars(module).items()
            ):
                found += [f"{prefix}.{n}".lstrip(".") for n, p in module.named_parameters() if not p.requires_grad]
        return found

    def fields(self, names: Sequence[str], why: str) -> dict[str, object]:
        return {"parameters": listed(names), "s": "s" if len(names) == 1 else "", "why": why}


def is_nearly(name: str) -> bool:
    """Whether a name is `requires_grad` but for a slip."""
    from difflib import SequenceMatcher

    return name != "requires_grad" and SequenceMatcher(None, name, "requires_grad").ratio() > 0.85


class ModuleNeverRun(Lasting):
    """A layer of a trained model takes no part."""

    code, name = "TR308", "module-never-run"
    message = "`{layer}` is never called, and its parameters never get a gradient"
    severity = Severity.WARNING

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.called: set[int] = set()
        self.reached: set[int] = set()
        self.passes = 0

    @on("layer")
    def ran(self, call: LayerCall) -> None:
        self.called.add(id(call.module))

    @on("backward")
    def look(self, backward: Backward) -> None:
        self.passes += 1
        self.reached.update(id(leaf) for leaf in backward.graph.parameters())
        if not backward.graph.is_whole:
            self.passes = -(1 << 30)  # what cannot be seen may well be used

    def judge(self) -> Iterator[dict[str, object]]:
        if self.passes < REPEATED:
            return
        held = self.held()
        for model in self.run.trained_models:
            for name, module in model.named_modules():
                own = list(module.parameters(recurse=False))
                is_unused = id(module) not in self.called and not any(id(p) in self.reached for p in own)
                if own and is_unused and all(p.requires_grad and id(p) in held for p in own):
                    yield {"layer": name}
                    break


class UpdateRatio(Probe):
    """Weights change by far too much or too little in a step."""

    code, name = "TR406", "update-ratio"
    message = "a step changes `{parameter}` by {ratio:.1e} of its size; {consequence}"
    severity = Severity.WARNING

    # The rule of thumb is 1e-3. A weight that moves by half its size in every step keeps nothing of what it learnt;
    # one that moves by less than 1e-7 is at the rounding of single precision.
    MOST, LEAST = 0.5, 1e-7

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.high: dict[int, int] = defaultdict(int)
        self.low: dict[int, int] = defaultdict(int)

    @on("changes")
    def check(self, changes: Changes) -> None:
        ratios = {row.name: row.update / row.weight for row in changes.rows if len(row.shape) > 1 and row.weight > 0}
        ratios = {name: ratio for name, ratio in ratios.items() if math.isfinite(ratio)}
        if not ratios:
            return
        parameter, ratio = max(ratios.items(), key=lambda item: item[1])
        least = sorted(ratios.values())[len(ratios) // 2]
        key = changes.optimizer
        self.high[key] = self.high[key] + 1 if least > self.MOST else 0
        self.low[key] = self.low[key] + 1 if 0 < ratio < self.LEAST else 0
        if self.high[key] == 2 * REPEATED:
            self.report(
                changes.place, parameter=parameter, ratio=ratio, consequence="what it has learnt is lost each time"
            )
        elif self.low[key] == 2 * REPEATED:
            self.report(changes.place, parameter=parameter, ratio=ratio, consequence="it hardly learns")


class LearningRateZero(Probe):
    """An optimizer's learning rate is zero."""

    code, name = "TR413", "learning-rate"
    message = "the learning rate has been zero for {steps} steps, so nothing is learnt"

    STEPS = 10

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.idle: weakref.WeakKeyDictionary[torch.optim.Optimizer, int] = weakref.WeakKeyDictionary()

    @on("stepped")
    def check(self, step: Stepped) -> None:
        rates = [group.get("lr") for group in step.optimizer.param_groups]
        is_idle = all(isinstance(rate, (int, float)) and rate == 0 for rate in rates)
        self.idle[step.optimizer] = self.idle.get(step.optimizer, 0) + 1 if is_idle else 0
        if self.idle[step.optimizer] == self.STEPS:
            self.report(places.here(), steps=self.STEPS)


class SymmetricUnits(Probe):
    """The units of a layer are copies of each other."""

    code, name = "TR415", "symmetric-units"
    message = (
        "all {units} rows of `{parameter}` are the same after {steps} steps, so its units compute and learn the same"
    )

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.steps: dict[int, int] = {}
        self.rows: dict[int, int] = defaultdict(int)

    @on("stepping")
    def measure(self, optimizer: torch.optim.Optimizer) -> None:
        steps = self.run.steps_of(optimizer)
        if steps < REPEATED:
            return
        weights = [p for group in optimizer.param_groups for p in group["params"] if p.dim() == 2 and p.shape[0] > 1]
        weights = [p for p in weights if p.grad is not None and not p.grad.is_sparse and is_readable(p)]
        if weights:
            spread = [(p.detach() - p.detach()[0]).abs().amax() for p in weights]
            moved = [p.grad.detach().abs().amax() for p in weights if p.grad is not None]
            rows = [(self.run.name_of(p), p.shape[0]) for p in weights]
            self.later([*spread, *moved], self.read, rows, places.here(), steps)

    def read(self, numbers: list[float], rows: list[tuple[str, int]], place: Place | None, steps: int) -> None:
        spread, moved = numbers[: len(rows)], numbers[len(rows) :]
        for (name, units), apart, gradient in zip(rows, spread, moved, strict=True):
            if apart == 0 and gradient > 0:
                self.report(place, units=units, parameter=name, steps=steps)
                return
