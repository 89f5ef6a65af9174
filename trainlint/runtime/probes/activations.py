"""What layers compute."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import LayerCall, ModelCall, local, maker_of
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Observed batches that a judgement on units needs.
BATCHES = 5


def has_matrix(module: torch.nn.Module) -> bool:
    """Whether a layer has weights that mix its inputs."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.dim() > 1


def hidden_input(call: LayerCall, made_by: tuple[str, ...]) -> torch.Tensor | None:
    """What a layer with weights is given, if an activation of one of these kinds has made it."""
    if not call.training or not has_matrix(call.module) or not call.inputs:
        return None
    node = maker_of(call.inputs[0])
    return call.inputs[0].detach() if node is not None and node.name().startswith(made_by) else None


def units_axis(module: torch.nn.Module) -> int:
    """The axis of the units in a layer's input: the channels of a convolution, else the last."""
    return 1 if isinstance(module, torch.nn.modules.conv._ConvNd) else -1


@dataclass
class Units:
    """The largest value of each unit so far, on the device."""

    largest: torch.Tensor
    batches: int
    place: Place | None


class DeadUnits(Probe):
    """Most units of a layer are zero for every sample."""

    code, name = "TR301", "dead-units"
    message = "{share:.0%} of the units that `{layer}` is given are dead: zero for every sample of {batches} batches"
    severity = Severity.WARNING

    # A few dead units are common and harmless; a layer that has lost most of them is not.
    SHARE = 0.5
    UNITS = 8

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.units: dict[str, Units] = {}

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        given = hidden_input(call, ("Relu", "ClampMin", "Threshold", "Hardtanh"))
        if given is None:
            return
        axis = units_axis(call.module) % given.dim()
        if given.shape[axis] < self.UNITS:
            return
        largest = given.amax([dim for dim in range(given.dim()) if dim != axis])
        known = self.units.get(call.name)
        if known is None or known.largest.shape != largest.shape:
            self.units[call.name] = Units(largest, 1, call.place)
        else:
            known.largest = torch.maximum(known.largest, largest)
            known.batches += 1

    @on("finished")
    def check(self, _: None) -> None:
        for layer, units in self.units.items():
            if units.batches >= BATCHES:
                self.later([(units.largest <= 0).float().mean()], self.read, layer, units)

    def read(self, numbers: list[float], layer: str, units: Units) -> None:
        if numbers[0] > self.SHARE:
            self.report(units.place, share=numbers[0], layer=layer, batches=units.batches)


class SaturatedUnits(Probe):
    """Most values of a sigmoid or tanh lie at its ends."""

    code, name = "TR302", "saturated-units"
    message = "{share:.0%} of the values that `{layer}` is given lie at the ends of a {kind}, where no gradient passes"
    severity = Severity.WARNING

    # The slope there is below 2 % of that in the middle: 1 - 0.99^2 of a tanh, likewise of a sigmoid.
    END, SHARE = 0.99, 0.9

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[str, int] = defaultdict(int)

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        for kind in ("Tanh", "Sigmoid"):
            given = hidden_input(call, (kind,))
            if given is not None and given.numel() >= 64:
                centred = given if kind == "Tanh" else 2 * given - 1
                share = (centred.abs() > self.END).float().mean()
                self.later([share], self.read, call.name, kind.lower(), call.place)

    def read(self, numbers: list[float], layer: str, kind: str, place: Place | None) -> None:
        self.seen[layer] = self.seen[layer] + 1 if numbers[0] > self.SHARE else 0
        if self.seen[layer] == BATCHES:
            self.report(place, share=numbers[0], layer=layer, kind=kind)


class NonFiniteActivation(Probe):
    """A layer makes NaN or infinity out of finite inputs."""

    code, name = "TR305", "non-finite-activation"
    message = "`{layer}` is the first to compute NaN or infinity, from {what}"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.found = False

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        outputs = [t for t in call.outputs if t.is_floating_point() and t.numel()]
        if self.found or not outputs:
            return
        inputs = [t for t in call.inputs if t.is_floating_point() and t.numel()]
        weights = [p for p in call.module.parameters(recurse=False) if local(p).numel()]
        largest = [largest_of(tensors) for tensors in (outputs[:1], inputs[:1], weights) if tensors]
        kinds = ["out", *(["in"] if inputs else []), *(["weights"] if weights else [])]
        self.later(largest, self.read, kinds, call.name, call.place)

    def read(self, numbers: list[float], kinds: list[str], layer: str, place: Place | None) -> None:
        largest = dict(zip(kinds, numbers, strict=True))
        if self.found or math.isfinite(largest["out"]):
            return
        self.found = True  # layers are read in the order they ran
        if math.isfinite(largest.get("in", 0)):
            is_finite = math.isfinite(largest.get("weights", 0))
            what = (
                f"inputs up to {largest.get('in', 0):.3g}" if is_finite else "weights that are NaN or infinite already"
            )
            self.report(place, layer=layer, what=what)


def largest_of(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The largest absolute value; NaN if there is any, infinity if there is any.

    From the ends, without a copy of the tensor as `abs` makes one, and without the norm, which takes ten times as long.
    """
    ends = [torch.aminmax(local(tensor)) for tensor in tensors]
    largest = [torch.maximum(-low, high) for low, high in ends]
    return largest[0] if len(largest) == 1 else torch.stack([one.float() for one in largest]).amax()


class ConstantOutput(Probe):
    """A model gives the same output for every sample."""

    code, name = "TR306", "constant-output"
    message = "`{model}` gives the same output for all samples of {batches} batches, whatever the input"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[str, int] = defaultdict(int)

    @on("seen")
    def measure(self, call: ModelCall) -> None:
        if not call.outputs or not call.training or not call.recording or call.batch_size < 4:
            return
        given, made = call.inputs[0].detach(), call.outputs[0].detach()
        if made.dim() < 1 or made.shape[0] != call.batch_size or not made.is_floating_point():
            return
        apart = (made - made[:1]).abs().amax()
        differ = (given != given[:1]).any()
        self.later([apart, made.abs().amax(), differ], self.read, call.name, call.place)

    def read(self, numbers: list[float], model: str, place: Place | None) -> None:
        apart, largest, differ = numbers
        # Rounding may tell samples apart where nothing else does.
        is_constant = bool(differ) and apart <= 1e-6 * largest
        self.seen[model] = self.seen[model] + 1 if is_constant else 0
        if self.seen[model] == 2 * BATCHES:
            self.report(place, model=model, batches=self.seen[model])


class ActivationScale(Probe):
    """The spread of activations grows or shrinks from layer to layer."""

    code, name = "TR303", "activation-scale"
    message = "the output of `{layer}` has a standard deviation of {std:.2g}, where 0.5 to 2 keeps signals alive"
    severity = Severity.WARNING
    default = False

    LOW, HIGH = 0.5, 2.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[str, int] = defaultdict(int)

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        if call.training and has_matrix(call.module) and call.outputs:
            made = call.outputs[0]
            if made.is_floating_point() and made.numel() >= 64:
                self.later([made.detach().float().std()], self.read, call.name, call.place)

    def read(self, numbers: list[float], layer: str, place: Place | None) -> None:
        is_off = math.isfinite(numbers[0]) and not self.LOW <= numbers[0] <= self.HIGH
        self.seen[layer] = self.seen[layer] + 1 if is_off else 0
        if self.seen[layer] == BATCHES:
            self.report(place, layer=layer, std=numbers[0])


class ActivationOffset(Probe):
    """What a hidden layer is given lies far on one side of zero."""

    code, name = "TR304", "activation-offset"
    message = (
        "what `{layer}` is given has mean {mean:.3g} and a standard deviation of only {std:.2g}: nearly all of it lies "
        "on one side of zero"
    )
    severity = Severity.WARNING
    default = False

    # A rectified Gaussian has a ratio of 0.7, a sigmoid of one 2.4.
    RATIO = 10.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: dict[str, int] = defaultdict(int)

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        given = call.inputs[0] if call.training and call.inputs and has_matrix(call.module) else None
        if given is not None and given.grad_fn is not None and given.numel() >= 64:
            self.later(list(torch.std_mean(given.detach().float())), self.read, call.name, call.place)

    def read(self, numbers: list[float], layer: str, place: Place | None) -> None:
        std, mean = numbers
        self.seen[layer] = self.seen[layer] + 1 if math.isfinite(mean) and abs(mean) > self.RATIO * std else 0
        if self.seen[layer] == BATCHES:
            self.report(place, layer=layer, mean=mean, std=std)
