"""Ready-made models of Keras: what they put out, which pixels their weights were learnt on, and which they get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trainlint.semantics.arithmetic import ENDS, KERAS, RAW, SHARES, SYMMETRIC
from trainlint.semantics.library import Call, as_tensor, behaviour
from trainlint.semantics.values import (
    FALSE,
    NONE,
    PROBABILITIES,
    TRUE,
    Api,
    Const,
    Instance,
    Step,
    Tensor,
    Value,
    bounds,
    const,
    truth,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

INPUT, CAFFE, TORCH = "input", "caffe", "torch"  # how pixels are scaled, besides those in `ENDS`
# Which pixels the weights of a family were learnt on, by the names of its models and of its module.
FAMILIES = [
    (re.compile(r"(resnet\d*_?v2|inception|xception|mobilenet(_?v2)?$|nasnet)", re.I), SYMMETRIC),
    (re.compile(r"(vgg|resnet(50|101|152)?$)", re.I), CAFFE),
    (re.compile(r"densenet", re.I), TORCH),
    (re.compile(r"(efficientnet|convnext|mobilenet_?v3|regnet|resnet_?rs)", re.I), RAW),
]
IN_WORDS = {
    RAW: "pixels from 0 to 255, which they scale themselves",
    SHARES: "pixels from 0 to 1",
    SYMMETRIC: "pixels from -1 to 1",
    CAFFE: "pixels less ImageNet's means, blue first (`preprocess_input`)",
    TORCH: "ImageNet's mean and standard deviation",
}
MADE = {
    RAW: "not scaled at all",
    SHARES: "scaled to lie from 0 to 1",
    SYMMETRIC: "scaled to lie from -1 to 1",
    CAFFE: "prepared for weights of VGG or ResNet",
    TORCH: "prepared for weights of DenseNet",
}
READY = "$ready"  # flag: the ready-made models of the program


def models(interp: Interpreter) -> tuple[Instance, ...]:
    """The ready-made models that the program has made so far."""
    known = interp.read(interp.flags, READY)
    return known if isinstance(known, tuple) else ()


def expected(path: str) -> str | None:
    """Which pixels the models of a module, or of a name, take; None where that is not known."""
    name = path.removesuffix(".preprocess_input").rpartition(".")[2]
    return next((pixels for pattern, pixels in FAMILIES if pattern.match(name)), None)


def scaled_to(tensor: Tensor, how: str, step: Step | None) -> Tensor:
    return tensor.but(
        lib="keras", shape=tensor.shape, last=tensor.last, data=tensor.data._replace(scale=(KERAS, how, step))
    )


@behaviour("keras_ready_made")
def ready_made(call: Call) -> Value:
    """A model is made, with weights of ImageNet unless it is told not to have them."""
    made = Instance(Api(call.actual), "keras", call.interp.step(call.node, call.short_name))
    made.attrs.update(zip(("include_top", "weights"), call.arguments.positional))
    made.attrs.update(call.arguments.keywords)
    call.interp.write(call.interp.flags, READY, (*models(call.interp), made))
    return made


@behaviour("keras_ready")
def ready(call: Call) -> Value:
    """A ready-made model runs: with its top it gives probabilities."""
    model, given = call.receiver, as_tensor(call.first)
    attrs = model.attrs if isinstance(model, Instance) else {}
    scale = given.data.scale
    if isinstance(model, Instance) and scale is not None and scale[0] == KERAS and is_pretrained(model):
        if scale[1] == INPUT:
            call.interp.write(attrs, "$fed", TRUE)
        else:
            misfit(call.interp, model, scale[1], scale[2], call.node)
    top = attrs.get("include_top", TRUE)
    activation = const(attrs.get("classifier_activation", Const("softmax")))
    if truth(top) is True and activation == "softmax":
        born = model.born if isinstance(model, Instance) else None
        trace = (born._replace(label="softmax"),) if born is not None else ()
        return Tensor(PROBABILITIES, 0.0, 1.0, "a softmax output", lib="keras", trace=trace, deps=given.deps)
    return Tensor(lib="keras", deps=given.deps)


def is_pretrained(model: Instance) -> bool:
    weights = const(model.attrs.get("weights", Const("imagenet")))
    own = truth(model.attrs.get("include_preprocessing", TRUE)) is True
    return weights == "imagenet" and own and "$open" not in model.attrs


def misfit(interp: Interpreter, model: Instance, pixels: str, step: Step | None, node: Any) -> None:
    """Tell of a model with weights of ImageNet that gets other pixels than these were learnt on."""
    wanted = expected(model.api_path)
    if wanted is not None and pixels != wanted and pixels in MADE:
        at = step or Step(interp.frame.space, node, "given")
        interp.emit("pixels", (at, f"the images are {MADE[pixels]}", IN_WORDS[wanted], model))


@behaviour("keras_preprocess")
def preprocess(call: Call) -> Value:
    """`applications.….preprocess_input(x)`: pixels as the weights of one family take them."""
    given, pixels = as_tensor(call.first), expected(call.actual)
    if pixels in (None, RAW) or const(call.value("mode") or NONE) is not None:
        return given.but(lib="keras", data=given.data._replace(scaled=None))
    step = call.interp.step(call.node, "preprocess_input")
    return scaled_to(given.but(data=given.data._replace(scaled=None)), pixels or "", step)


@behaviour("keras_rescaled")
def rescaled(call: Call) -> Value:
    """`Rescaling(scale, offset)`: pixels from 0 to 1, or from -1 to 1."""
    layer, given = call.receiver, as_tensor(call.first)
    attrs = layer.attrs if isinstance(layer, Instance) else {}
    found = range_of(attrs.get("scale", NONE), attrs.get("offset", Const(0)))
    before = given.data.scale
    known = found is not None and (before is None or before[:2] in ((KERAS, INPUT), (KERAS, RAW)))
    result = given.but(lib="keras", shape=given.shape, last=given.last)
    if not known or found is None:
        return result.but(shape=given.shape, data=given.data._replace(scale=None))
    return scaled_to(result, found, layer.born if isinstance(layer, Instance) else None)


def range_of(factor: Value, offset: Value) -> str | None:
    """Where pixels from 0 to 255 lie once they are multiplied by a factor and moved."""
    (low, high), (least, most) = bounds(factor), bounds(offset)
    if low != high or least != most:
        return None
    found = (round(least, 2), round(255 * low + least, 2))
    return next((name for name, ends in ENDS.items() if ends == found and name != RAW), None)


def fed(interp: Interpreter, pixels: str, step: Step | None, node: Any) -> None:
    """Data whose pixels are scaled so are what ready-made models take their inputs from, as they come in."""
    given = [model for model in models(interp) if model.attrs.get("$fed") is TRUE]
    if len(given) == 1:
        misfit(interp, given[0], pixels, step, node)


def states(interp: Interpreter) -> tuple[Any, ...]:
    """Which of the ready-made models are learnt: of each, what it was last told."""
    return tuple(truth(model.attrs.get("trainable", TRUE)) for model in models(interp))


def thawed(interp: Interpreter, model: Instance, node: Any) -> None:
    """Tell of layers that are to be learnt again, though the model was not compiled since."""
    before, compiled = model.attrs.get("$told"), model.attrs.get("$compiled")
    if isinstance(before, tuple) and isinstance(compiled, Step):
        for was, now, one in zip(before, states(interp), models(interp), strict=False):
            if was is False and now is True:
                interp.emit("late thaw", (node, one, compiled))
    elif isinstance(compiled, Step):
        interp.write(model.attrs, "$told", states(interp))


def compiled_at(interp: Interpreter, model: Instance, node: Any) -> None:
    """Note where a model is compiled, and whether it is told then that it does not learn."""
    interp.write(model.attrs, "$idle", Const(truth(model.attrs.get("trainable", TRUE)) is False))
    interp.write(model.attrs, "$compiled", Step(interp.frame.space, node, "compiled"))
    interp.write(model.attrs, "$told", FALSE)
