"""Layers and models of Keras and of the libraries of JAX: what they put out and in which mode, which loss judges it,
and what they are fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from trainlint.semantics import shapes as sizes
from trainlint.semantics.arithmetic import KERAS, RAW
from trainlint.semantics.behaviours.applications import (
    INPUT,
    compiled_at,
    expected,
    fed,
    range_of,
    scaled_to,
    thawed,
)
from trainlint.semantics.behaviours.data import (
    PART_WORDS,
    dataset_part,
    part_in_path,
    predicted,
    sameness,
    sample_of,
    words_of,
)
from trainlint.semantics.behaviours.engines import behind, hook, run, run_hook
from trainlint.semantics.behaviours.hub import gives_scores
from trainlint.semantics.behaviours.pipelines import windows_over
from trainlint.semantics.behaviours.training import stepped
from trainlint.semantics.library import BEHAVIOURS, Call, Row, as_tensor, behaviour
from trainlint.semantics.modules import contents
from trainlint.semantics.values import (
    FALSE,
    HIDDEN,
    LOGITS,
    NONE,
    PROBABILITIES,
    SIGMOID,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Step,
    Tensor,
    Tuple,
    Value,
    const,
    cut,
    mix_data,
    truth,
    usual,
)
from trainlint.syntax.code import called

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter

SHARES, SCORES = "torch.nn.functional.cross_entropy", "torch.nn.functional.binary_cross_entropy_with_logits"
# Of each loss: what checks it when it is told `from_logits=True`, and what when it is not.
LOSSES = {
    "categoricalcrossentropy": (SHARES, "keras.crossentropy"),
    "sparsecategoricalcrossentropy": (SHARES, "keras.crossentropy"),
    "binarycrossentropy": (SCORES, "torch.nn.functional.binary_cross_entropy"),
    "binaryfocalcrossentropy": (SCORES, "torch.nn.functional.binary_cross_entropy"),
}


def activation_name(value: Value | None) -> str | None:
    """The name of an activation; "" for none, None when it is not known."""
    if value is None or (isinstance(value, Const) and value.value is None):
        return ""
    if isinstance(value, Const) and isinstance(value.value, str):
        return "" if value.value == "linear" else value.value
    return value.path.rpartition(".")[2] if isinstance(value, Api) else None


# Activations whose outputs leave the range of probabilities. A tanh ends a generator, which is compiled with the loss
# that its discriminator is fitted with.
UNBOUNDED = frozenset("relu relu6 elu selu celu gelu swish silu mish leaky_relu softplus softsign".split())


ACTIVATIONS = {"relu": "torch.relu", "relu6": "torch.nn.functional.relu6"}  # by the names under which rules know them


SHARING = {"softmax": "torch.softmax", "sigmoid": "torch.sigmoid"}


def activated(call: Call, value: Value | None, bare: int, width: int | None) -> Tensor:
    """What a layer with this activation puts out; `bare` is the kind without one, `width` the size of the last axis."""
    name = activation_name(value)
    result = activated_by(call, name, bare, width)
    layered, index = call.row.raw.get("forward") == "keras_weighted", call.interp.modules
    if layered and name:
        linear = Tensor(bare, lib="keras", last=width)
        index.note(call.interp, linear, plain_path(call.path), call.receiver, call.first, call.node)
        index.note(call.interp, result, ACTIVATIONS.get(name, name), None, linear, call.node)
    elif name is not None:
        path = plain_path(call.path) if layered else ACTIVATIONS.get(name, name)
        index.note(call.interp, result, path, call.receiver if layered else None, call.first, call.node)
    return result


def plain_path(path: str) -> str:
    """The path of a layer of Keras as if that was imported by itself."""
    return path[path.find("keras.") :] if "keras." in path else path


def activated_by(call: Call, name: str | None, bare: int, width: int | None) -> Tensor:
    """What comes out behind an activation of this name: "" for none, None where it is not known."""
    layer = call.receiver
    born = layer.born if isinstance(layer, Instance) else None
    trace = (born._replace(label=name) if name else born,) if born and name is not None else ()
    deps = as_tensor(call.first).deps
    if name == "softmax":
        return Tensor(PROBABILITIES, 0.0, 1.0, "a softmax output", lib="keras", trace=trace, last=width, deps=deps)
    if name == "sigmoid":
        return Tensor(SIGMOID, 0.0, 1.0, "a sigmoid output", lib="keras", trace=trace, last=width, deps=deps)
    if name == "":
        return Tensor(bare, lib="keras", trace=trace, last=width, deps=deps)
    return Tensor(HIDDEN if name in UNBOUNDED else 0, lib="keras", trace=trace, last=width, deps=deps)


@behaviour("keras_epsilon")
def epsilon(call: Call) -> Value:
    """The small number that Keras guards with, unless somebody has set another one."""
    return Const(1e-7)


@behaviour("keras_weighted")
def weighted(call: Call) -> Value:
    attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    units = attrs.get("units", attrs.get("features"))
    width = sizes.size(units) if isinstance(units, Value) else None
    return activated(call, attrs.get("activation"), LOGITS, width)


@behaviour("keras_activation")
def activation(call: Call) -> Value:
    attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    given, tensor = attrs.get("activation"), as_tensor(call.first)
    row = call.interp.library.row(SHARING.get(activation_name(given) or "", ""))
    if row is not None:  # for the rules on what it is given
        told = type(call.arguments)([call.first], {"dim": Const(-1)}, call.arguments.nodes)
        born = call.receiver.born if isinstance(call.receiver, Instance) else None
        node = born.node if born is not None and born.space is call.interp.frame.space else call.node
        call.interp.library.perform(call.interp, row, told, node, actual=f"keras.activations.{row.name[6:]}")
    return call.first if activation_name(given) == "" else activated(call, given, 0, tensor.last)


@behaviour("keras_reshaped")
def reshaped(call: Call) -> Value:
    """The same numbers along other axes."""
    return as_tensor(call.first).but(shape=None, last=None)


@behaviour("keras_coded")
def coded(call: Call) -> Value:
    """Texts as numbers, or sequences at one length: the same rows with other columns."""
    rows = as_tensor(call.value("x") or UNKNOWN)
    return Tensor(lib="numpy", graph=False, data=rows.data._replace(columns=None, scaled=None))


@behaviour("keras_same")
def same(call: Call) -> Value:
    """The numbers of a data set, as a tensor or in another type."""
    given = call.first
    return given.but(lib="numpy", shape=None) if isinstance(given, Tensor) and given.data.tokens else UNKNOWN


@behaviour("keras_input")
def input_(call: Call) -> Value:
    return scaled_to(Tensor(lib="keras"), INPUT, None)


@behaviour("keras_add")
def add(call: Call) -> Value:
    model, layer = call.receiver, call.value("layer", 1) or UNKNOWN
    if isinstance(model, Instance):
        layers = model.attrs.get("layers")
        known = call.interp.known_items(layers) if isinstance(layers, Value) else ()
        items = None if known is None else (*known, layer)
        call.interp.write(model.attrs, "layers", ListObject(items))
    return NONE


@behaviour("keras_sequential")
def sequential(call: Call) -> Value:
    """A chain of layers, the output of the last one."""
    layers = call.receiver.attrs.get("layers") if isinstance(call.receiver, Instance) else None
    known = call.interp.known_items(layers) if isinstance(layers, Value) else None
    value: Value = call.first
    index = call.interp.modules
    outer = index.chain
    for layer in known or ():
        if isinstance(layer, Tensor):  # an input, which says of what size the first layer's is
            continue
        index.chain = (call.receiver if isinstance(call.receiver, Instance) else None, call.node)
        value = put_through(call.interp, layer, type(call.arguments)([value]), call.node)
    index.chain = outer
    return value if known else UNKNOWN


@behaviour("keras_outputs")
def outputs(call: Call) -> Value:
    """A model made of tensors that depend on each other: what it was told is its output."""
    found = call.receiver.attrs.get("outputs") if isinstance(call.receiver, Instance) else None
    if isinstance(found, ListObject) and found.items:
        found = found.items[0] if len(found.items) == 1 else ListObject(found.items)
    return found if isinstance(found, (Tensor, ListObject, Tuple)) else UNKNOWN


def put_through(interp: Interpreter, layer: Value, arguments: Arguments, node: Any) -> Value:
    """What a layer or model makes of inputs."""
    if not isinstance(layer, Instance) or layer.family not in ("keras", "flax"):
        return interp.call(layer, arguments, node) if isinstance(layer, (Api, Function, Method)) else UNKNOWN
    own: Value | None = None
    paths: tuple[str, ...] = (layer.cls.path,) if isinstance(layer.cls, Api) else ()
    if isinstance(layer.cls, Class):
        own = layer.cls.find("call") or layer.cls.find("__call__")
        paths = layer.cls.api
    if isinstance(own, Function):
        if arguments.positional and (given := as_input(arguments.positional[0])) is not None:
            arguments = arguments.with_first(given)
            del arguments.positional[1], arguments.nodes[:1]
        return run_model(interp, layer, arguments, node, partial(run_own, interp, layer, own, arguments, node))
    for path in paths:
        row = interp.library.class_row(path)
        if row is not None:
            return run_model(
                interp, layer, arguments, node, partial(run_known, interp, layer, row, arguments, node, path)
            )
    return UNKNOWN


def as_input(value: Value) -> Tensor | None:
    """The input of a layer as the tensor that it must be, where little is known of it."""
    if isinstance(value, Tensor):
        return value.but(lib="keras", shape=value.shape, last=value.last) if value.lib == "?" else None
    is_anything = value is UNKNOWN or (isinstance(value, Instance) and value.cls is None and not value.family)
    return Tensor(lib="keras") if is_anything else None


def run_own(interp: Interpreter, layer: Instance, own: Function, arguments: Arguments, node: Any) -> Value:
    """What a layer of the project does; one of Flax makes its own layers first."""
    prepare = layer.cls.find("setup") if layer.family == "flax" and isinstance(layer.cls, Class) else None
    if isinstance(prepare, Function) and interp.read(layer.attrs, "$prepared") is not TRUE:
        interp.write(layer.attrs, "$prepared", TRUE)
        interp.call_function(prepare, type(arguments)([layer]), node)
    mode = interp.read(interp.flags, MODE)
    if layer.family == "keras" and isinstance(mode, Const) and "training" not in arguments.keywords:
        params = [param.name.value for param in own.node.params.params]
        if "training" in params[len(arguments.positional) + 1 :]:  # Keras hands on what the outer call was told
            arguments = arguments.with_first(layer)
            arguments.keywords = {**arguments.keywords, "training": mode}
            return interp.call_function(own, arguments, node)
    return interp.call_function(own, arguments.with_first(layer), node)


def run_known(interp: Interpreter, layer: Instance, row: Row, arguments: Arguments, node: Any, path: str) -> Value:
    """What a layer of the library does, as its row says."""
    if path.endswith(SERIES_LAYERS):
        interp.write(interp.flags, SERIES, TRUE)
    how = str(row.raw.get("forward", "mixed"))
    target = interp.library.rows.get(how)
    if target is not None:
        return interp.library.perform(interp, target, arguments, node, layer, {}, path)
    return BEHAVIOURS[how](Call(interp, node, path, row, arguments, layer))


SERIES = "$series"  # flag: a layer for series has run
SERIES_LAYERS = ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed", "Conv1D", "Attention")

# ------------------------------------------------------------- models, modes, gradients

TAPE, MODE = "$tape", "$mode"  # flags: whether a gradient is asked for, and the mode that layers inherit
MAPPED = "$mapped"  # flag: a function of single samples runs for each of a batch


@contextmanager
def differentiated(interp: Interpreter) -> Iterator[None]:
    """Meanwhile, gradients of what is computed are asked for."""
    outer = interp.read(interp.flags, TAPE)
    interp.write(interp.flags, TAPE, TRUE)
    yield
    interp.write(interp.flags, TAPE, TRUE if outer is TRUE else FALSE)


@contextmanager
def as_part(interp: Interpreter) -> Iterator[None]:
    """Meanwhile, models run for what they put out, not as a loop of the program's own runs them."""
    interp.module_depth += 1
    try:
        yield
    finally:
        interp.module_depth -= 1


def recorded(interp: Interpreter) -> bool | None:
    """Whether gradients are asked for here; None where the program has not been seen to ask for any."""
    found = interp.read(interp.flags, TAPE)
    return None if not isinstance(found, Value) else truth(found)


def is_whole(layer: Instance) -> bool:
    """Whether this is a model, not a layer of Keras that others are put together with."""
    paths = (layer.cls.path,) if isinstance(layer.cls, Api) else layer.cls.api if isinstance(layer.cls, Class) else ()
    if layer.family == "keras":
        return any("keras." in path and path.endswith(("Model", "Sequential")) for path in paths)
    return layer.family == "haiku" or isinstance(layer.cls, Class)


def paths_of(model: Instance) -> tuple[str, ...]:
    """The classes of libraries that a model is one of."""
    return tuple(model.cls.api) if isinstance(model.cls, Class) else (model.api_path,)


def keeps_mode(model: Instance) -> bool:
    """Whether a model's layers remember their mode, which is that of training until it is changed."""
    return any(path.startswith(("flax.nnx.", "equinox.")) for path in paths_of(model))


def run_model(interp: Interpreter, model: Instance, arguments: Arguments, node: Any, run: Callable[[], Value]) -> Value:
    """Run a layer or model. The outermost model leaves its mark on what comes out."""
    asked = arguments.keywords.get("training")
    if asked is None:
        kept = interp.read(model.attrs, "training")  # of an object that remembers its mode
        asked = kept if isinstance(kept, Value) else None
    outermost = interp.module_depth == 0 and is_whole(model)
    if asked is None and outermost:
        asked = FALSE if model.family == "keras" else TRUE if keeps_mode(model) else None
    inherited = interp.read(interp.flags, MODE)
    if isinstance(asked, Value) and asked.key != NONE.key:
        interp.write(interp.flags, MODE, asked)
    interp.modules.runs(model)
    interp.module_depth += 1
    try:
        result = run()
    finally:
        interp.module_depth -= 1
        interp.write(interp.flags, MODE, inherited if isinstance(inherited, Value) else UNKNOWN)
    return mark(interp, model, arguments, asked, result, node) if outermost else result


def mark(
    interp: Interpreter, model: Instance, arguments: Arguments, asked: Value | None, result: Value, node: Any
) -> Value:
    """Tie what a model gives to the model, the mode it ran in, and whether gradients are asked for."""
    grad = recorded(interp)
    inputs = [value for value in arguments.values() if isinstance(value, Tensor)]
    told = truth(asked) if isinstance(asked, Value) else None
    parts = {dep for value in tensors_in(result) for dep in value.deps if NOISE in dep.module.attrs}
    modes = {told if dep.training is None else dep.training for dep in parts}
    mode = next(iter(modes)) if len(modes) == 1 else None
    if told is False and modes == {True, False}:  # told that nothing is trained, as some layers do not heed
        parts, mode = {dep for dep in parts if dep.training is True}, True
    layers = " or ".join(sorted({str(dep.module.attrs[NOISE]) for dep in parts}))
    interp.event("model", node, model, mode, grad, inputs, False, layers)
    own = frozenset((Dep(model, mode, node, grad is not False),))
    of_batches = (
        any(path.startswith("flax.") for path in paths_of(model)) and interp.read(interp.flags, MAPPED) is not TRUE
    )
    batched = model.family == "keras" or of_batches or any(given.batched for given in inputs)

    def marked(value: Tensor) -> Tensor:
        deps = cut(value.deps) if grad is False else value.deps
        data = value.data
        for given in inputs:
            data = mix_data(data, given.data)
        batch = value.batched or (batched and value.shape is None and value.last is not None)
        new = value.but(deps=deps | own, graph=grad, data=data, lib="keras", last=value.last, batched=batch)
        interp.modules.same(value, new)
        return new

    return for_tensors(Tensor(lib="keras") if result is UNKNOWN else result, marked)


def for_tensors(value: Value, change: Callable[[Tensor], Value]) -> Value:
    """A value with all tensors in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Tuple):
        return Tuple(tuple(for_tensors(item, change) for item in value.items), value.names)
    if isinstance(value, DictObject):
        return DictObject({name: for_tensors(item, change) for name, item in value.attrs.items()})
    return value


def tensors_in(value: Value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Tuple):
        for item in value.items:
            yield from tensors_in(item)
    elif isinstance(value, DictObject):
        for item in value.attrs.values():
            yield from tensors_in(item)


NOISE = "$noise"  # in words, what of a layer depends on its mode


@behaviour("noisy")
def noisy(call: Call) -> Value:
    """A layer that does something else in training: the numbers stay what they are, near enough."""
    layer, given = call.receiver, as_tensor(call.first)
    if not isinstance(layer, Instance) or isinstance(call.first, (DictObject, ListObject)):
        return call.first
    rate = layer.attrs.get("rate", layer.attrs.get("p"))
    if isinstance(rate, Const) and rate.value in (0, None):
        return call.first
    mode: bool | None = None
    rest = call.arguments.positional
    if len(rest) > 1 and layer.family == "keras" and "training" not in call.arguments.keywords:
        call.arguments.keywords = {**call.arguments.keywords, "training": rest[1]}
    for name, inverse in (
        ("training", False), ("is_training", False), ("deterministic", True), ("use_running_average", True),
        ("inference", True),
    ):  # fmt: skip
        said = call.arguments.keywords.get(name) or layer.attrs.get(name)
        if isinstance(said, Value) and said.key != NONE.key:
            known = truth(said)
            mode = known if known is None else known is not inverse
            break
    else:
        inherited = call.interp.read(call.interp.flags, MODE)
        mode = truth(inherited) if isinstance(inherited, Value) else None
    if layer.attrs.get("trainable") == FALSE:
        return call.first
    what = str(call.row.raw["mode"])
    blended = given if what != "batch norm" else given.plain()
    deps = given.deps | {call.interp.library.noise(what, call.node)._replace(training=mode)}
    result = blended.but(deps=deps, lib="keras")
    call.interp.modules.note(call.interp, result, plain_path(call.path), layer, call.first, call.node)
    return result


@behaviour("keras_varied")
def varied(call: Call) -> Value:
    """A layer that changes images at random, unless it is told that nothing is trained."""
    asked = call.arguments.keywords.get("training")
    mode = asked if isinstance(asked, Value) and asked.key != NONE.key else call.interp.read(call.interp.flags, MODE)
    if not isinstance(mode, Value) or truth(mode) is not False:
        call.interp.event("varied", call.node)
    return as_tensor(call.first).but(shape=None)


@behaviour("tf_dropout")
def dropout(call: Call) -> Value:
    """Dropout by itself, which knows no mode: it is up to the model to leave it out where nothing is trained."""
    given, inherited = call.first, call.interp.read(call.interp.flags, MODE)
    if not isinstance(given, Tensor) or not isinstance(inherited, Const) or truth(inherited) is not True:
        return given
    noise = call.interp.library.noise("dropout", call.node)._replace(training=True)
    return given.but(deps=given.deps | {noise}, lib="keras")


@behaviour("keras_call")
def call_(call: Call) -> Value:
    if not call.arguments.positional:
        return UNKNOWN
    rest = type(call.arguments)(call.arguments.positional[1:], call.arguments.keywords, call.arguments.nodes[1:])
    return put_through(call.interp, call.arguments.positional[0], rest, call.node)


# ------------------------------------------------------------------------ losses


def judge(call: Call, name: str, from_logits: Value | None, scores: Value, labels: Value, node: Any) -> Value:
    """Tell the rules on losses what a Keras loss gets, by the loss of PyTorch that expects the same."""
    if isinstance(scores, Tensor):
        call.interp.event("graphless", call.node, scores)
    pair = LOSSES.get(name.replace("_", "").lower())
    logits = False if from_logits is None else const(from_logits)
    learnt = isinstance(labels, Tensor) and any(dep.live for dep in labels.deps)  # as if in the other order
    if pair is None and isinstance(scores, Tensor):
        result = Tensor(lo=0.0, lib="keras", graph=scores.graph, deps=scores.deps)
        if learnt and isinstance(labels, Tensor):
            result = result.but(graph=labels.graph or scores.graph, deps=scores.deps | labels.deps)
        call.interp.event("loss", call.node, f"keras.losses.{name}", scores, result, None, None)
        return result
    if pair is None or not isinstance(logits, (bool, int)) or not (isinstance(scores, Tensor) or learnt):
        return Tensor(lib="keras")
    row = call.interp.library.row(pair[0] if logits else pair[1])
    assert row is not None
    if isinstance(scores, Tensor) and not learnt and recorded(call.interp) is not True:
        unmarked, scores = scores, scores.but(graph=None)
        call.interp.modules.same(unmarked, scores)
    given = type(call.arguments)([], {"input": scores, "target": labels}, [], {"input": node, "target": call.node})
    return call.interp.library.perform(call.interp, row, given, call.node, actual=f"keras.losses.{name}")


@behaviour("keras_loss")
def loss(call: Call) -> Value:
    if not isinstance(call.receiver, Instance) or not isinstance(call.receiver.cls, Api):
        return UNKNOWN
    name = call.receiver.cls.path.rpartition(".")[2]
    scores, labels = call.value("y_pred", 2) or UNKNOWN, call.value("y_true", 1) or UNKNOWN
    return judge(call, name, call.receiver.attrs.get("from_logits"), scores, labels, call.argument("y_pred", 2))


@behaviour("keras_loss_function")
def loss_function(call: Call) -> Value:
    scores, labels = call.value("y_pred", 1) or UNKNOWN, call.value("y_true", 0) or UNKNOWN
    return judge(call, call.short_name, call.value("from_logits", 2), scores, labels, call.argument("y_pred", 1))


@behaviour("keras_compile")
def compile_(call: Call) -> Value:
    """A model and its loss are brought together."""
    optimizer = call.value("optimizer", 1)
    if isinstance(call.receiver, Instance):
        compiled_at(call.interp, call.receiver, call.node)
    if isinstance(call.receiver, Instance) and isinstance(optimizer, Instance):
        call.interp.write(call.receiver.attrs, "$optimizer", optimizer)
        if "$head" in call.receiver.attrs:
            call.interp.write(optimizer.attrs, "$ready", call.receiver)
    losses = parts_of(call.value("loss", 2))
    named = [named_loss(one) for one in losses]
    written = [behind(one) or own_call(one) for one in losses]
    if any(name for name, _ in named) or any(written):
        if isinstance(call.receiver, Instance) and len(named) == 1:
            call.interp.write(call.receiver.attrs, "$loss", Const(named[0][0]))
        with as_part(call.interp):
            images = scaled_to(Tensor(lib="keras"), INPUT, None)
            given = put_through(call.interp, call.arguments.positional[0], type(call.arguments)([images]), call.node)
        if made := gives_scores(call.receiver):  # a model of the hub
            given = Tensor(LOGITS, lib="keras", trace=made)
        if isinstance(call.receiver, Instance) and isinstance(given, Tensor):
            call.interp.write(call.receiver.attrs, "$outputs", given)
        scores = parts_of(given)
        several = named * len(scores) if len(named) == 1 else named
        for (name, from_logits), one in zip(several, scores if len(scores) == len(several) else ()):
            judge(call, name, from_logits, one, UNKNOWN, call.argument("loss", 2))
        if len(losses) == len(scores) == 1 and written[0] and isinstance(scores[0], Tensor):
            labels = Tensor(lib="keras", graph=False)
            run(call.interp, own_call(losses[0]) or losses[0], labels, scores[0].but(graph=True))
        call.interp.emit("compiled", (call, named[0] if len(named) == 1 else ("", None), scores[0]))
    return NONE


def own_call(loss: Value) -> Method | None:
    """The method by which a loss of a class of the project's judges."""
    found = loss.cls.find("call") if isinstance(loss, Instance) and isinstance(loss.cls, Class) else None
    return Method(loss, "call", found) if isinstance(found, Function) else None


@behaviour("keras_windows")
def windows(call: Call) -> Value:
    """Windows over the rows of a series, which must be in their order."""
    call.interp.event("outside", call.node, call.actual, tuple(call.arguments.values()))
    data = call.value("data")
    if isinstance(data, Tensor):
        call.interp.emit("windows", (call.node, data))
        if data.data.tokens:
            return windows_over(call, data)
    return Instance(None)


def parts_of(value: Value | None) -> tuple[Value, ...]:
    """The losses or outputs of a model, one for each output where there are several."""
    return contents(value) if isinstance(value, (ListObject, Tuple)) else (value or UNKNOWN,)


def named_loss(given: Value) -> tuple[str, Value | None]:
    """A loss by its name, and whether it takes raw scores."""
    if isinstance(given, Const) and isinstance(given.value, str):
        return given.value, None
    if isinstance(given, Instance) and isinstance(given.cls, Api) and given.family == "keras_loss":
        return given.cls.path.rpartition(".")[2], given.attrs.get("from_logits")
    return (given.path.rpartition(".")[2] if isinstance(given, Api) else ""), None


@behaviour("keras_fit")
def fit(call: Call) -> Value:
    """Data reach a model: the last part of them may be split off, and the rest is served in some order."""
    data, held_out, judged = call.value("x", 1), call.value("validation_split", 7), call.value("validation_data", 8)
    if isinstance(judged, Instance) and isinstance(judged.cls, Class):
        sample_of(call.interp, judged)  # a batch, in truth
    call.interp.emit("fitted", call)
    target = call.value("y", 2)
    if isinstance(data, Tensor) and isinstance(target, Tensor) and not call.arguments.open:
        call.interp.emit("pair", (call.node, (data, target), "fit", call))
    call.interp.event("fitted", call.node, call.receiver, rows_of(data), target, call)
    vary_in(call, judged, "val", "validation_data", 8)
    first = call.interp.element_of(data or UNKNOWN)
    if (pixels := pixels_of(data, first)) is not None:
        fed(call.interp, *pixels, call.node)
    if isinstance(call.receiver, Instance):
        thawed(call.interp, call.receiver, call.node)
    if judged is not None:
        rows = judged.items[0] if isinstance(judged, Tuple) and judged.items else rows_of(judged) or UNKNOWN
        call.interp.event("predicted", call.node, call.receiver, rows)
    elif held_out is not None:
        call.interp.event("predicted", call.node, call.receiver, None)  # rows of those that it is fitted to
    run_hook(call.interp, call.receiver, "train_step", first if target is None else Tuple((first, as_tensor(target))))
    judge_by_hook(call, judged, "val", "validation_data", 8)
    note_checkpoints(call)
    if isinstance(data, Tensor) and isinstance(held_out, Const) and held_out.value:
        call.interp.emit("split", (call.interp.frame.space, call.node, data, "validation_split"))
    return Instance(None)


FILES = "$files"  # in the interpreter's flags: the models that callbacks write to files, by the names of these


def note_checkpoints(call: Call) -> None:
    """Remember in which files callbacks keep a model that is fitted."""
    given = call.value("callbacks", 6)
    for one in call.interp.known_items(given) or () if given is not None else ():
        path = const(one.attrs.get("filepath", NONE)) if isinstance(one, Instance) else None
        if isinstance(path, str) and "{" not in path and isinstance(call.receiver, Instance):
            known = call.interp.flags.get(FILES) or {}
            call.interp.write(call.interp.flags, FILES, {**known, path: call.receiver})


@behaviour("keras_load_model")
def load_model(call: Call) -> Value:
    """A model from a file: the one that was fitted, where a callback has kept it there."""
    known = call.interp.flags.get(FILES) or {}
    found = known.get(const(call.first)) if call.arguments.positional else None
    return found if isinstance(found, Instance) else UNKNOWN


def judge_by_hook(call: Call, judged: Value | None, part: str, name: str, position: int) -> None:
    """Run the model's own step of an evaluation, and tell where it changes images at random."""
    if judged is None or hook(call.receiver, "test_step") is None:
        return
    batch = judged if isinstance(judged, Tuple) else call.interp.element_of(judged)
    before = call.interp.read(call.interp.flags, MODE)
    with call.interp.in_region("mapped", call.node) as region:
        call.interp.write(call.interp.flags, MODE, FALSE)
        run_hook(call.interp, call.receiver, "test_step", batch)
        call.interp.write(call.interp.flags, MODE, before if isinstance(before, Value) else UNKNOWN)
    for event in region.of("varied")[:1]:
        call.interp.emit("varied", (call.argument(name, position), part, event))


def vary_in(call: Call, served: Value | None, part: str, name: str, position: int) -> None:
    """Tell where a step of a pipeline that a model is judged on changes its images at random. A pipeline that is held
    out as it is made was looked at there."""
    if not isinstance(served, Instance) or "$maps" not in served.attrs:
        return
    if dataset_part(served.attrs.get("dataset")) in ("val", "test"):
        return
    with call.interp.in_region("mapped", call.node) as region:
        call.interp.element_of(served)
    for event in region.of("varied")[:1]:
        call.interp.emit("varied", (call.argument(name, position), part, event))


def pixels_of(data: Value | None, served: Value) -> tuple[str, Step | None] | None:
    """How the pixels are scaled that a model is fitted to, and where; None where that is not known."""
    if isinstance(data, Instance) and data.family == "keras_flow":
        how = generated(data)
        return None if how is None else (how, None)
    if isinstance(data, Instance) and data.family == "loader":
        images = served.items[0] if isinstance(served, Tuple) and served.items else served
        scale = images.data.scale if isinstance(images, Tensor) else None
        return scale[1:] if scale is not None and scale[0] == KERAS and isinstance(scale[1], str) else None
    return None


def generated(data: Instance) -> str | None:
    """How the generator of some batches scales their pixels; None where that is not known."""
    generator = data.attrs.get("$generator")
    told = generator.attrs if isinstance(generator, Instance) else {"$open": True}
    given = {name: told[name] for name in SCALING if name in told}
    if told.get("$open") or len(given) > 1:
        return None
    if (function := given.get("preprocessing_function")) is not None:
        return expected(function.path) if isinstance(function, Api) else None
    if not given:
        return RAW if "$rows" not in data.attrs else None
    factor = given.get("rescale")
    return range_of(factor, Const(0)) if isinstance(factor, Value) else None


@behaviour("keras_apply")
def apply_gradients(call: Call) -> Value:
    """A step of the program's own loop."""
    stepped(call.interp, call.node, UNKNOWN)
    call.interp.emit("applied", call)
    return UNKNOWN


@behaviour("keras_variable")
def variable(call: Call) -> Value:
    """Numbers that are learnt."""
    return Tensor(lib="keras")


@behaviour("keras_tape")
def tape(call: Call) -> Value:
    """What records operations for gradients."""
    made = Instance(Api(call.actual), "tape", call.interp.step(call.node, call.short_name))
    made.attrs[TAPE] = TRUE
    return made


def recording(interp: Interpreter, tape: Instance, body: Callable[[Value], bool]) -> bool:
    """Run a block while a tape records."""
    before = interp.exits()
    outer = interp.read(interp.flags, TAPE)
    interp.write(interp.flags, TAPE, TRUE)
    alive = body(tape)
    mark = interp.journal.mark()
    interp.write(interp.flags, TAPE, TRUE if outer is TRUE else FALSE)
    interp.settle(before, interp.journal.delta(mark))
    return alive


@behaviour("keras_gradient")
def gradient(call: Call) -> Value:
    """The gradients of a loss that was computed while a tape recorded."""
    loss = call.value("target", 1)
    given = loss if isinstance(loss, Tensor) else Tensor(lib="keras")
    call.interp.event("backward", call.node, given, None, True)
    call.interp.emit("backward", (call.node, given))
    return UNKNOWN


@behaviour("keras_generator")
def generator(call: Call) -> Value:
    """What reads images in batches, and changes them on the way."""
    made = Instance(Api(call.actual), "keras_generator", call.interp.step(call.node, call.short_name))
    made.attrs.update(zip(call.row.params, call.arguments.positional))
    made.attrs.update(call.arguments.keywords)
    made.attrs["$open"] = call.arguments.open
    return made


@behaviour("keras_flow")
def flow(call: Call) -> Value:
    """Batches of a generator, from a folder or from arrays."""
    made = Instance(Api(call.actual), "keras_flow", call.interp.step(call.node, call.short_name))
    made.attrs.update(call.arguments.keywords)
    source = call.value("x", 1) or call.value("directory")
    subset = const(call.value("subset") or NONE)
    if isinstance(subset, str):
        part = PART_WORDS.get(subset)
    else:
        part = source.data.part if isinstance(source, Tensor) else part_in_path(words_of(source))
    made.attrs["$part"] = part
    made.attrs["$generator"] = call.receiver
    if isinstance(source, Tensor):
        made.attrs["$rows"] = source
    elif source is not None and called(call.node) == "flow_from_directory" and not call.arguments.open:
        made.attrs["$folder"] = (sameness(source), sameness(call.value("subset") or NONE))
    return made


SCALING = """rescale samplewise_center samplewise_std_normalization featurewise_center featurewise_std_normalization
 preprocessing_function zca_whitening""".split()


def rows_of(given: Value | None) -> Value | None:
    """The data that a model gets: a generator of images passes on those of its arrays, which it may scale."""
    if isinstance(given, Instance) and given.family == "loader":
        dataset = given.attrs.get("dataset")
        held = dataset.attrs.get("$tensors") if isinstance(dataset, Instance) else None
        first = held.items[0] if isinstance(held, Tuple) and held.items else UNKNOWN
        if not isinstance(first, Tensor) or "$maps" not in given.attrs:
            return first
        return first.but(data=first.data._replace(scaled=None))  # by its functions, perhaps
    rows = given.attrs.get("$rows") if isinstance(given, Instance) and given.family == "keras_flow" else None
    if not isinstance(given, Instance) or not isinstance(rows, Tensor):
        return given
    generator = given.attrs["$generator"]
    if not isinstance(generator, Instance) or generator.attrs.get("$open"):
        return rows.but(data=rows.data._replace(scaled=None))
    scales = set(SCALING) & generator.attrs.keys()
    factor = usual(generator.attrs["rescale"]) if scales == {"rescale"} else None
    if factor:
        return rows.but(data=rows.data.rescaled(f"divided by {1 / factor:g}"))
    return rows.but(data=rows.data._replace(scaled=None)) if scales else rows


@behaviour("keras_evaluate")
def evaluate(call: Call) -> Value:
    """The loss and the metrics on some data."""
    data = rows_of(call.value("x", 1))
    served = call.value("x", 1)
    vary_in(call, served, "test", "x", 1)
    if isinstance(served, Instance) and served.family == "loader":
        call.interp.event("tested", call.node, [served])
    call.interp.event("predicted", call.node, call.receiver, data)
    target = call.value("y", 2)
    judge_by_hook(call, served if target is None else Tuple((served or UNKNOWN, target)), "test", "x", 1)
    part = data.data.part if isinstance(data, Tensor) else None
    parts = frozenset((part,)) if part is not None else frozenset[str]()
    call.interp.event("measured", call.node, parts, frozenset((id(call.node),)))
    return UNKNOWN


@behaviour("keras_predict")
def predict(call: Call) -> Value:
    """What a model makes of data, in the order of their rows: arrays without gradients."""
    data = call.value("x", 1)
    call.interp.event("predicted", call.node, call.receiver, data)
    with as_part(call.interp):
        result = call_(call)
    part = data.data.part if isinstance(data, Tensor) else None
    result = result if isinstance(result, Tensor) else Tensor(lib="keras")
    return result.but(data=predicted(call, part), graph=False, batched=True)
