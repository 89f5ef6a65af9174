"""Layers and models of Keras and Flax: what they put out, which loss judges it, and what they are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainlint.semantics import shapes as sizes
from trainlint.semantics.behaviours.data import PART_WORDS, part_in_path, predicted, words_of
from trainlint.semantics.behaviours.engines import run_hook
from trainlint.semantics.library import BEHAVIOURS, Call, as_tensor, behaviour
from trainlint.semantics.values import (
    HIDDEN,
    LOGITS,
    NONE,
    PROBABILITIES,
    SIGMOID,
    UNKNOWN,
    Api,
    Class,
    Const,
    Function,
    Instance,
    ListObject,
    Partial,
    Tensor,
    Tuple,
    Value,
    const,
)

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


def activated(call: Call, value: Value | None, bare: int, width: int | None) -> Tensor:
    """What a layer with this activation puts out; `bare` is the kind without one, `width` the size of the last axis."""
    name = activation_name(value)
    layer = call.receiver
    born = layer.born if isinstance(layer, Instance) else None
    trace = (born._replace(label=name) if name else born,) if born and name is not None else ()
    if name == "softmax":
        return Tensor(PROBABILITIES, 0.0, 1.0, "a softmax output", lib="keras", trace=trace, last=width)
    if name == "sigmoid":
        return Tensor(SIGMOID, 0.0, 1.0, "a sigmoid output", lib="keras", trace=trace, last=width)
    if name == "":
        return Tensor(bare, lib="keras", trace=trace, last=width)
    return Tensor(HIDDEN if name in UNBOUNDED else 0, lib="keras", trace=trace, last=width)


@behaviour("keras_weighted")
def weighted(call: Call) -> Value:
    attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    units = attrs.get("units")
    width = sizes.size(units) if isinstance(units, Value) else None
    return activated(call, attrs.get("activation"), LOGITS, width)


@behaviour("keras_activation")
def activation(call: Call) -> Value:
    attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    given, tensor = attrs.get("activation"), as_tensor(call.first)
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
    return Tensor(lib="keras")


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
    for layer in known or ():
        value = put_through(call.interp, layer, type(call.arguments)([value]), call.node)
    return value if known else UNKNOWN


@behaviour("keras_outputs")
def outputs(call: Call) -> Value:
    """A model made of tensors that depend on each other: what it was told is its output."""
    found = call.receiver.attrs.get("outputs") if isinstance(call.receiver, Instance) else None
    if isinstance(found, ListObject) and found.items and len(found.items) == 1:
        found = found.items[0]
    return found if isinstance(found, Tensor) else UNKNOWN


def put_through(interp: Interpreter, layer: Value, arguments: Arguments, node: Any) -> Value:
    """What a layer or model makes of inputs."""
    if not isinstance(layer, Instance) or layer.family not in ("keras", "flax"):
        return interp.call(layer, arguments, node) if isinstance(layer, Function) else UNKNOWN
    paths: tuple[str, ...] = (layer.cls.path,) if isinstance(layer.cls, Api) else ()
    if isinstance(layer.cls, Class):
        own = layer.cls.find("call") or layer.cls.find("__call__")
        if isinstance(own, Function):
            return interp.call_function(own, arguments.with_first(layer), node)
        paths = layer.cls.api
    for path in paths:
        row = interp.library.class_row(path)
        if row is not None:
            how = str(row.raw.get("forward", "mixed"))
            target = interp.library.rows.get(how)
            if target is not None:
                return interp.library.perform(interp, target, arguments, node, layer, {}, path)
            return BEHAVIOURS[how](Call(interp, node, path, row, arguments, layer))
    return UNKNOWN


@behaviour("keras_call")
def call_(call: Call) -> Value:
    rest = type(call.arguments)(call.arguments.positional[1:], call.arguments.keywords, call.arguments.nodes[1:])
    return put_through(call.interp, call.arguments.positional[0], rest, call.node)


@behaviour("flax_apply")
def apply(call: Call) -> Value:
    """`model.apply(variables, inputs)`: the module's call, without the variables."""
    rest = type(call.arguments)(call.arguments.positional[2:], call.arguments.keywords, call.arguments.nodes[2:])
    rest.keywords = {k: v for k, v in rest.keywords.items() if k not in ("rngs", "mutable", "method")}
    result = put_through(call.interp, call.arguments.positional[0], rest, call.node)
    return Tuple((result, UNKNOWN)) if "mutable" in call.arguments.keywords else result


@behaviour("jax_gradient")
def gradient(call: Call) -> Value:
    """A function that runs another one and gives gradients: what it runs is looked at when it is called."""
    return Partial(call.first, (), {}) if isinstance(call.first, Function) else UNKNOWN


@behaviour("record")
def record(call: Call) -> Value:
    """A training state: what it was made of, under the same names."""
    state = Instance(Api(call.actual.rpartition(".")[0]), "flax_state")
    state.attrs.update(call.arguments.keywords)
    return state


# ------------------------------------------------------------------------ losses


def judge(call: Call, name: str, from_logits: Value | None, scores: Value, labels: Value, node: Any) -> Value:
    """Tell the rules on losses what a Keras loss gets, by the loss of PyTorch that expects the same."""
    pair = LOSSES.get(name.replace("_", "").lower())
    logits = False if from_logits is None else const(from_logits)
    if pair is None or not isinstance(logits, (bool, int)) or not isinstance(scores, Tensor):
        return Tensor(lib="keras")
    row = call.interp.library.row(pair[0] if logits else pair[1])
    assert row is not None
    given = type(call.arguments)(
        [], {"input": scores.but(graph=None), "target": labels}, [], {"input": node, "target": call.node}
    )
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
    if isinstance(call.receiver, Instance) and isinstance(optimizer, Instance):
        call.interp.write(call.receiver.attrs, "$optimizer", optimizer)
    given = call.value("loss", 2)
    from_logits: Value | None = None
    name = ""
    if isinstance(given, Const) and isinstance(given.value, str):
        name = given.value
    elif isinstance(given, Instance) and isinstance(given.cls, Api) and given.family == "keras_loss":
        name, from_logits = given.cls.path.rpartition(".")[2], given.attrs.get("from_logits")
    elif isinstance(given, Api):
        name = given.path.rpartition(".")[2]
    if name:
        if isinstance(call.receiver, Instance):
            call.interp.write(call.receiver.attrs, "$loss", Const(name))
        scores = put_through(
            call.interp, call.arguments.positional[0], type(call.arguments)([Tensor(lib="keras")]), call.node
        )
        if isinstance(call.receiver, Instance) and isinstance(scores, Tensor):
            call.interp.write(call.receiver.attrs, "$outputs", scores)
        judge(call, name, from_logits, scores, UNKNOWN, call.argument("loss", 2))
    return NONE


@behaviour("keras_fit")
def fit(call: Call) -> Value:
    """Data reach a model: the last part of them may be split off, and the rest is served in some order."""
    call.interp.emit("fitted", call)
    data, held_out, judged = call.value("x", 1), call.value("validation_split", 7), call.value("validation_data", 8)
    call.interp.event("fitted", call.node, call.receiver, rows_of(data), call.value("y", 2), call)
    if held_out is not None or judged is not None:
        first = judged.items[0] if isinstance(judged, Tuple) and judged.items else rows_of(judged) or UNKNOWN
        call.interp.event("predicted", call.node, call.receiver, first)
    run_hook(call.interp, call.receiver, "train_step", call.interp.element_of(data or UNKNOWN))
    if isinstance(data, Tensor) and isinstance(held_out, Const) and held_out.value:
        call.interp.emit("split", (call.interp.frame.space, call.node, data, "validation_split"))
    return Instance(None)


@behaviour("keras_apply")
def apply_gradients(call: Call) -> Value:
    """A step of the program's own loop."""
    call.interp.emit("applied", call)
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
    return made


SCALING = """rescale samplewise_center samplewise_std_normalization featurewise_center featurewise_std_normalization
 preprocessing_function zca_whitening""".split()


def rows_of(given: Value | None) -> Value | None:
    """The data that a model gets: a generator of images passes on those of its arrays, which it may scale."""
    rows = given.attrs.get("$rows") if isinstance(given, Instance) and given.family == "keras_flow" else None
    if not isinstance(given, Instance) or not isinstance(rows, Tensor):
        return given
    generator = given.attrs["$generator"]
    scales = (
        not isinstance(generator, Instance) or generator.attrs.get("$open") or set(SCALING) & generator.attrs.keys()
    )
    return rows.but(data=rows.data._replace(scaled=None)) if scales else rows


@behaviour("keras_evaluate")
def evaluate(call: Call) -> Value:
    """The loss and the metrics on some data."""
    data = rows_of(call.value("x", 1))
    call.interp.event("predicted", call.node, call.receiver, data)
    part = data.data.part if isinstance(data, Tensor) else None
    call.interp.event("measured", call.node, frozenset((part,)) if part is not None else frozenset())
    return UNKNOWN


@behaviour("keras_predict")
def predict(call: Call) -> Value:
    """What a model makes of data, in the order of their rows."""
    data = call.value("x", 1)
    call.interp.event("predicted", call.node, call.receiver, data)
    result = call_(call)
    part = data.data.part if isinstance(data, Tensor) else None
    return result.but(data=predicted(part)) if isinstance(result, Tensor) else Tensor(lib="keras", data=predicted(part))
