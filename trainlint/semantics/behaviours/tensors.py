"""Functions and methods on tensors and arrays."""

from __future__ import annotations

import math
from typing import Any

import libcst as cst

from trainlint.prefilter import OTHER_FRAMEWORKS
from trainlint.semantics import arithmetic
from trainlint.semantics.arithmetic import graph_of
from trainlint.semantics.behaviours.data import filled_rows, put_together, with_origin
from trainlint.semantics.interpreter import Interpreter, outwards
from trainlint.semantics.library import PACKED, Call, as_tensor, at_run, behaviour, mixed_tensor, run_of, severed
from trainlint.semantics.shapes import product as whole_of
from trainlint.semantics.shapes import shaped
from trainlint.semantics.values import (
    ABSENT,
    BOOL,
    CHOSEN,
    ELSEWHERE,
    FACTOR,
    FALSE,
    HIDDEN,
    INDICES,
    INF,
    KIND_NAMES,
    LEAF,
    LOG_PROBABILITIES,
    LOG_SIGMOID,
    LOGITS,
    MASK,
    MASKS,
    NO_DATA,
    NO_DEPS,
    NONE,
    OF_NODES,
    POSITIONS,
    PRESENT,
    PROBABILITIES,
    REACHED,
    REST,
    RUN,
    SIGMOID,
    TANH,
    TINY,
    TRUE,
    UNKNOWN,
    Api,
    Const,
    DataInfo,
    Dep,
    Instance,
    ListObject,
    Number,
    Sequence,
    Step,
    Tally,
    Tensor,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    cut,
    is_number,
    is_opaque,
    is_predicted,
    join_all,
    measured_on,
    mix_data,
    nodes_of_both,
    options,
    taken_of,
    truth,
    usual,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_equality

KINDS = {name: bit for bit, name in KIND_NAMES.items()} | {
    "sigmoid": SIGMOID,
    "hidden": HIDDEN,
    "log-sigmoid": LOG_SIGMOID,
    "tanh": TANH,
}


def operands(call: Call) -> list[Tensor]:
    return [v for v in call.arguments.values() if isinstance(v, Tensor)]


def made(call: Call, *, step: str = "", **fields: Any) -> Tensor:
    """The result of an operation on the first argument: origin kept, content as given."""
    tensor = call.tensor
    trace = (call.interp.step(call.node, step),) if step else ()
    if step and call.via and isinstance(call.receiver, Instance) and call.receiver.born is not None:
        call.interp.modules.makers[id(call.node)] = call.receiver.born
    others = operands(call)
    if (others and is_opaque(call.first)) or isinstance(call.first, Union):
        others.append(tensor)
    deps, data, grown = tensor.deps, tensor.data, tensor.grown
    for other in others:
        if other is not tensor:
            deps, grown = deps | other.deps, grown | other.grown
    numpy = call.row.name.startswith("numpy.")
    graph = False if numpy else graph_of(call.interp, *(others or [tensor]))
    if deps and graph is not False and any(map(is_hidden, call.arguments.positional)):
        deps |= {ELSEWHERE}
    fields.setdefault("data", data._replace(stats=frozenset(), scale=None) if data.stats or data.scale else data)
    function = call.is_torch and not isinstance(call.receiver, Tensor)
    lib = "numpy" if numpy else "torch" if function else tensor.lib
    if lib in ("?", "numpy") and not numpy and any(other.lib == "keras" for other in others):
        lib = "keras"
    if lib == "?" and step and call.actual.partition(".")[0] in OTHER_FRAMEWORKS:
        lib = "keras"  # an activation of one of these
    if tensor.dtype == "float16" and "dtype" not in call.arguments.keywords and not is_autocast(call.interp):
        fields.setdefault("dtype", tensor.dtype)
    return Tensor(graph=graph, deps=deps, grown=grown, lib=lib, trace=trace, **fields)


def is_of_number(call: Call) -> bool:
    """Whether a function of NumPy gets one number, of which it gives another."""
    return call.row.name.startswith("numpy.") and is_number(call.first)


def is_autocast(interp: Interpreter) -> bool:
    """Whether a context chooses the format that each operation computes in."""
    return any(region.kind == "autocast" for region in outwards(interp.region))


def curved(result: Tensor) -> Tensor:
    """The result of a function that is not linear: what its argument was multiplied with does not multiply it."""
    if not any(dep.module is FACTOR for dep in result.deps):
        return result
    return result.but(deps=frozenset(dep for dep in result.deps if dep.module is not FACTOR))


def noted(call: Call, result: Tensor) -> Tensor:
    """The result of a layer or an activation, with what came in remembered."""
    call.interp.modules.note(call.interp, result, call.path, call.receiver, call.first, call.node)
    return result


@behaviour("keep")
def keep(call: Call) -> Value:
    """Moves, casts and selections: the elements stay what they are."""
    tensor = call.tensor
    if tensor.lib == "?" and call.actual.partition(".")[0] in OTHER_FRAMEWORKS:
        tensor = tensor.but(lib="keras")
    if (dtype := cast_to(call)) is not None or (tensor.dtype == INTEGER and called(call.node) in CASTS):
        tensor = tensor.but(dtype=dtype)
    graph = graph_of(call.interp, tensor)
    if graph == tensor.graph and tensor.shape is None and call.interp.modules.elements(tensor) is None:
        return tensor
    result = tensor.but(graph=graph, shape=None)
    call.interp.modules.keep(tensor, result)
    return result


@behaviour("rearranged")
def rearranged(call: Call) -> Value:
    """Axes by name, as einops has them: moved, joined, taken apart or repeated; or reduced, to means or sums."""
    tensor, reduction = call.tensor, const(call.value("reduction", 2) or UNKNOWN)
    result = tensor.but(shape=None, last=None, batched=False, axis=None, graph=graph_of(call.interp, tensor))
    if call.path != "einops.reduce" or reduction in ("max", "min"):
        return result
    if reduction == "mean":
        soft = tensor.kinds & (PROBABILITIES | SIGMOID)
        return result.but(kinds=tensor.kinds & LOGITS, nature=None if soft else tensor.nature)
    return result.but(kinds=0, lo=0.0 if tensor.lo >= 0 else -INF, hi=INF, nature=None)


@behaviour("blend")
def blend(call: Call) -> Value:
    """Pooling and the like: values among those that there were."""
    return noted(call, call.tensor.but(graph=graph_of(call.interp, call.tensor), shape=None))


@behaviour("reframed")
def reframed(call: Call) -> Value:
    """Feature maps or images cropped or resized; of those that are no tensors, nothing is known."""
    return blend(call) if isinstance(call.first, Tensor) else UNKNOWN


@behaviour("device")
def device(call: Call) -> Value:
    """`torch.device("cuda:0")`, which has a `type`."""
    made, name = Instance(Api(call.path)), const(call.first)
    if isinstance(name, str):
        made.attrs["type"] = Const(name.partition(":")[0])
    return made


def is_cpu(value: Value | None) -> bool:
    kind = value.attrs.get("type") if isinstance(value, Instance) else value
    return isinstance(kind, Const) and kind.value == "cpu"


@behaviour("move")
def move(call: Call) -> Value:
    """To another device: what was a leaf there is none here."""
    result = keep(call)
    found = call.interp.modules.leaves.get(id(call.first))
    if found is not None and isinstance(result, Tensor) and not is_cpu(call.value("device", 1)):
        result = result.but()
        call.interp.modules.leaves[id(result)] = (result, "moved")
    return result


FLOATS = {"half": "float16", "float16": "float16", "bfloat16": "bfloat16", "float": "float32", "float32": "float32",
          "double": "float64", "float64": "float64"}  # fmt: skip
INTEGER = "int64"
CASTS = frozenset("to type type_as".split())  # to what may be any format


def cast_to(call: Call) -> str | None:
    """The number format that a cast names."""
    name = called(call.node)
    if name in ("to", "type"):
        wanted = call.arguments.keywords.get("dtype") or call.value("other", 1)
        return FLOATS.get(wanted.path.rpartition(".")[2]) if isinstance(wanted, Api) else None
    return FLOATS.get(name) if isinstance(call.receiver, Tensor) else None


@behaviour("requires_grad")
def requires_grad(call: Call) -> Value:
    """`x.requires_grad_()`; of a module's parameters, it freezes or thaws them."""
    from trainlint.semantics.behaviours.training import set_requires_grad

    wanted = call.value("requires_grad", 1) or Const(True)
    tensor, wished = call.tensor, truth(wanted)
    set_requires_grad(call.interp, tensor, wanted, call.node)
    if wished is not False and may_be_weights(tensor):
        call.interp.event("released", call.node)
    result = tensor.but(graph=wished)
    own = is_severed(tensor) or (tensor.graph is False and not tensor.deps)
    result = result.but(trace=(leaf_step(call),)) if wished and own else result
    known = call.interp.modules.leaves.get(id(tensor))
    return trainable(call, result, known[1] if known is not None else "tensor")  # a `Parameter` is returned as it is


def may_be_weights(tensor: Tensor) -> bool:
    """Whether a tensor may be a module's parameter: one that is known to be made by itself is none."""
    return tensor.graph is not False or bool(tensor.deps)


def stopped(call: Call) -> frozenset[Dep]:
    """What the first argument descends from, of which gradients reach nothing behind this call."""
    return severed(call.interp, call.tensor, call.interp.step(call.node, call.short_name))


def leaf_step(call: Call) -> Step:
    return call.interp.step(call.node, LEAF)


def is_severed(tensor: Tensor) -> bool:
    """Whether a tensor was computed by a model, and no gradient gets back there."""
    return tensor.graph is False and bool(tensor.deps) and not any(dep.live for dep in tensor.deps)


@behaviour("detach")
def detach(call: Call) -> Value:
    return call.tensor.but(graph=False, grown=frozenset(), deps=stopped(call))


@behaviour("stored_values")
def stored_values(call: Call) -> Value:
    """The elements that a sparse tensor stores, which are those that are not 0."""
    return call.tensor.but(nature=None, shape=None)


@behaviour("to_numpy")
def to_numpy(call: Call) -> Value:
    call.interp.library.need("numpy")  # its arrays' methods, though the project may not import it
    call.interp.event("predict", call.node, call.tensor)
    if call.tensor.graph is not False and call.interp.grad is True:
        call.interp.event("graphless", call.node, call.tensor)
    return call.tensor.but(graph=False, grown=frozenset(), deps=stopped(call), lib="numpy")


@behaviour("to_integer")
def to_integer(call: Call) -> Value:
    tensor = call.tensor
    kinds = tensor.kinds if tensor.kinds in (INDICES, MASK) else 0
    return tensor.but(graph=False, kinds=kinds, shape=None, dtype=INTEGER, deps=stopped(call))


@behaviour("tolist")
def tolist(call: Call) -> Value:
    """The rows as a list, which can be indexed and cut as an array can."""
    number = item(call)
    if call.tensor.shape == ():
        return number
    return call.tensor.but(graph=False, grown=frozenset(), deps=stopped(call), lib="numpy")


@behaviour("item")
def item(call: Call) -> Value:
    tensor = call.tensor
    call.interp.event("item", call.node, tensor)
    return Number(
        tensor.lo,
        tensor.hi,
        nature=tensor.nature,
        tally=tensor.tally,
        of=measured_on(tensor),
        deps=cut(tensor.deps, call.interp.step(call.node, call.short_name)),
    )


@behaviour("concatenate")
def concatenate(call: Call) -> Value:
    parts = call.interp.known_items(call.first)
    if parts is None:
        element = call.interp.element_of(call.first)
        return filled_rows(as_tensor(element), call.first).but(shape=None)
    if not parts:
        return Tensor()
    return joined(call, [as_tensor(part) for part in parts])


@behaviour("append_values")
def append_values(call: Call) -> Value:
    return joined(call, [call.tensor, as_tensor(call.value("values", 1) or UNKNOWN)])


def joined(call: Call, tensors: list[Tensor]) -> Tensor:
    """One tensor of several; what is known to be empty, as a total is before the first batch, adds nothing."""
    tensors = [t for t in tensors if 0 not in (t.shape or ())] or tensors
    gather(call, tensors)
    if any(t.graph for t in tensors):  # no gradient goes to what has none
        tensors = [t.but(deps=cut(t.deps)) if t.graph is False and t.deps else t for t in tensors]
    joined = join_all(tensors)
    assert isinstance(joined, Tensor)
    graph = graph_of(call.interp, *tensors)
    data = NO_DATA
    for tensor in tensors:
        data = mix_data(data, tensor.data)
    if len({t.data.part for t in tensors}) > 1:
        data = put_together(call.interp, tensors) or data._replace(part=None)
    nature = nodes_of_both({t.nature for t in tensors}) or joined.nature
    return joined.but(shape=None, graph=graph, data=data, nature=nature)


def gather(call: Call, tensors: list[Tensor]) -> None:
    """Note what a loop over batches gathers in one tensor: `total = cat([total, batch])`."""
    interp = call.interp
    loop, source = interp.nearest_loop(), interp.frame.space.source
    if loop is None or source is None or not isinstance(loop.value, Value):
        return
    if not all(isinstance(option, Instance) and option.family == "loader" for option in options(loop.value)):
        return
    statement: Any = source.index.parent(call.node)
    targets = statement.targets if isinstance(statement, cst.Assign) and statement.value is call.node else ()
    given = nodes_in(call.node.args[0].value) if call.node.args else ()
    if any(part.deep_equals(target.target) for part in given for target in targets):
        for tensor in tensors:
            interp.event("collect", call.node, tensor)


@behaviour("pad_sequence")
def pad_sequence(call: Call) -> Value:
    """Each of the sequences has something; what is not the padding was there."""
    filler = call.value("padding_value", 2) or Const(0.0)
    return as_tensor(concatenate(call)).but(nature=next(iter(arithmetic.padding(filler)), None))


@behaviour("pieces")
def pieces(call: Call) -> Value:
    return Sequence(call.tensor.but(shape=None))


@behaviour("size")
def size(call: Call) -> Value:
    tensor, dim = call.tensor, call.value("dim")
    if call.actual.endswith(("size", "shape")):
        shape = call.interp.get_attribute(tensor, "shape", call.node)
        return shape if dim is None else call.interp.library.get_item(call.interp, shape, [dim], call.node)
    if tensor.shape is not None and call.actual.endswith(("dim", "ndimension")):
        return Const(len(tensor.shape))
    if call.actual.endswith(("numel", "nelement")) and (count := whole_of(tensor.shape or (None,))) is not None:
        return Const(count)
    counted = call.actual.endswith(("numel", "nelement")) and tensor.batched and tensor.data.tokens
    return Number(1, integer=True, tally=Tally("size") if counted else None)


@behaviour("softmax")
def softmax(call: Call) -> Value:
    dim = call.value("dim")
    axis = dim.value if isinstance(dim, Const) and isinstance(dim.value, int) else None
    name = call.short_name
    found = made(call, step=name, kinds=PROBABILITIES, lo=0.0, hi=1.0, nature="a softmax output", axis=axis)
    return curved(found.but(shape=call.tensor.shape))


@behaviour("log_softmax")
def log_softmax(call: Call) -> Value:
    dim = call.value("dim")
    axis = dim.value if isinstance(dim, Const) and isinstance(dim.value, int) else None
    found = made(call, step=call.short_name, kinds=LOG_PROBABILITIES, hi=0.0, axis=axis)
    return curved(found.but(shape=call.tensor.shape))


@behaviour("sigmoid")
def sigmoid(call: Call) -> Value:
    result = made(
        call, step=call.short_name, kinds=SIGMOID, lo=0.0, hi=1.0, nature="a sigmoid output", shape=call.tensor.shape
    )
    if call.tensor.kinds == LOGITS:
        call.interp.event("squashed", call.node, call.tensor)
    return noted(call, result)


@behaviour("gives")
def gives(call: Call) -> Value:
    """A result that the row describes in full."""
    row = call.row.gives
    lo, hi = row.get("range", (-INF, INF))
    kind = KINDS.get(row.get("kind", ""), 0)
    result = made(
        call, step=call.short_name if kind else "", kinds=kind, lo=float(lo), hi=float(hi), nature=row.get("nature")
    )
    return noted(call, result) if kind else result


@behaviour("dropout")
def dropout(call: Call) -> Value:
    """Dropout scales what it keeps: raw scores stay raw scores, probabilities no longer sum to one."""
    return noted(call, call.tensor.but())


@behaviour("linear")
def linear(call: Call) -> Value:
    result = made(call, step=call.short_name, kinds=LOGITS)
    weight = call.value("weight", 1)
    if isinstance(weight, Tensor) and weight.graph is False and weight.lo >= 0:  # a filter, such as a running mean
        bare = call.value("bias", 2) in (None, NONE)
        result = made(call, lo=0.0 if call.tensor.lo >= 0 and bare else -INF)
    if len(call.arguments.positional) == 2 and arithmetic.are_units(*call.arguments.positional):
        result = result.but(lo=-1.0, hi=1.0, nature="a cosine")
    if learns(call):
        result = result.but(graph=True)
    return noted(call, result)


def learns(call: Call) -> bool:
    """Whether the layer that a forward pass calls records gradients for weights of its own."""
    layer = call.receiver if isinstance(call.receiver, Instance) else None
    kept = layer is not None and (layer.attrs.get("$frozen") is TRUE or has_fixed_weight(layer))
    return bool(call.interp.module_depth and call.interp.grad) and not kept


def has_fixed_weight(layer: Instance) -> bool:
    """Whether the weight of a layer was put in, is shared, or may be one that no gradients are asked for."""
    for weight in options(layer.attrs.get("weight", UNKNOWN)):
        if isinstance(weight, Instance):
            shared = weight.attrs.get("$whole", layer) is not layer
            if shared or truth(weight.attrs.get("requires_grad", TRUE)) is not True:
                return True
        elif isinstance(weight, Tensor) and weight.graph is not True:
            return True
    return False


@behaviour("mixed")
def mixed(call: Call) -> Value:
    return mixed_tensor(call.interp, operands(call) or [call.tensor])


@behaviour("feature")
def feature(call: Call) -> Value:
    """What a model has learnt of something, as an embedding or behind a norm: numbers of either sign and any size."""
    result = mixed_tensor(call.interp, operands(call) or [call.tensor]).but(nature=arithmetic.FEATURE)
    return result.but(graph=True) if learns(call) else result


@behaviour("tally")
def tally(call: Call) -> Value:
    """How often values occur: no rows any more, but a statistic of them."""
    counts = mixed_tensor(call.interp, [call.tensor]).but(
        shape=None, last=None, batched=False, data=stats(call, "count")
    )
    return Tuple((counts, UNKNOWN)) if call.actual.endswith("histogram") else counts


@behaviour("determinant")
def determinant(call: Call) -> Value:
    return mixed_tensor(call.interp, [call.tensor]).but(nature=arithmetic.DETERMINANT, shape=None)


@behaviour("scatter")
def scatter(call: Call) -> Value:
    """A number written at some places of a table: ones among zeros are a one-hot code."""
    result = mixed_tensor(call.interp, operands(call) or [call.tensor])
    table, source = call.tensor, call.value("src", 3) or call.arguments.keywords.get("value", UNKNOWN)
    if not is_number(source) or "reduce" in call.arguments.keywords:
        return result
    lo, hi = bounds(source)
    code = (table.lo, table.hi, lo, hi) == (0, 0, 1, 1)
    nature = "a one-hot code" if code else None
    return result.but(graph=table.graph, lo=min(table.lo, lo), hi=max(table.hi, hi), nature=nature)


def parameters_of(value: Value, depth: int = 0) -> list[Tensor]:
    """The tensors that a distribution was made with, or that other distributions in it were; one of which nothing is
    known for what may be one."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Instance) and value.family == "distribution" and depth < 4:
        return [t for inner in value.attrs.values() for t in parameters_of(inner, depth + 1)]
    return [Tensor()] if is_opaque(value) or isinstance(value, Union) else []


@behaviour("pack")
def pack(call: Call) -> Value:
    """The steps of all sequences one after the other, without what pads them."""
    return call.tensor.but(shape=None, nature=PACKED)


@behaviour("unpack")
def unpack(call: Call) -> Value:
    """The sequences beside each other again, padded, and how long each is."""
    packed, first = call.tensor, truth(call.value("batch_first", 1) or FALSE)
    wide = packed.shape[-1] if packed.shape else packed.last
    padded = packed.but(
        shape=(None, None, wide), batched=first is True, nature=None, axis=None if first is None else int(first)
    )
    return Tuple((padded, Tensor(lo=1, graph=False, shape=(None,), batched=True, data=packed.data)))


@behaviour("of_distribution")
def of_distribution(call: Call) -> Value:
    """What is computed with the parameters of distributions, and of the value given."""
    return mixed_tensor(call.interp, [t for v in call.arguments.values() for t in parameters_of(v)] or [Tensor()])


@behaviour("sampled")
def sampled(call: Call) -> Value:
    """A sample that gradients pass through."""
    return mixed_tensor(call.interp, parameters_of(call.first) or [Tensor()])


@behaviour("sampled_outside_graph")
def sampled_outside_graph(call: Call) -> Value:
    result = sampled(call)
    assert isinstance(result, Tensor)
    call.interp.severs(call.node, result)
    return result.but(graph=False, deps=cut(result.deps, call.interp.step(call.node, call.short_name)))


@behaviour("matmul")
def matmul(call: Call) -> Value:
    """A product with a weight gives raw scores; so does a product of raw scores with weights of a graph."""
    parts = operands(call)
    weighted = any(t.nature == "a parameter" for t in parts)
    sparse = call.path == "torch.spmm" and bool(parts) and parts[-1].must_be(LOGITS)
    result = mixed_tensor(call.interp, parts or [call.tensor])
    if len(parts) == 2 and arithmetic.are_units(*parts):
        return result.but(lo=-1.0, hi=1.0, nature="a cosine")
    raw = len(parts) == 2 and arithmetic.kinds_of("MatrixMultiply", *parts) == LOGITS
    if len(parts) == 2 and all(t.lo >= 0 for t in parts):
        result = result.but(lo=0.0, nature=arithmetic.chosen(*parts))
    if weighted or sparse or raw:
        result = result.but(kinds=LOGITS, trace=(call.interp.step(call.node, call.short_name),))
    return result


@behaviour("added_product")
def added_product(call: Call) -> Value:
    """A product of matrices to which something is added."""
    one, other = (call.value(name, place) or UNKNOWN for place, name in enumerate(("mat1", "mat2"), 1))
    product = arithmetic.binary(call.interp, "MatrixMultiply", one, other, call.node)
    return arithmetic.binary(call.interp, "Add", product, call.first, call.node)


@behaviour("log")
def log(call: Call) -> Value:
    tensor = call.tensor
    kind = LOG_PROBABILITIES if tensor.must_be(PROBABILITIES) else LOG_SIGMOID if tensor.must_be(SIGMOID) else 0
    lo = math.log(tensor.lo) if tensor.lo > TINY else -INF
    hi = math.log(tensor.hi) if 0 < tensor.hi < INF else INF
    if is_of_number(call):
        return Number(lo, hi)
    return curved(made(call, step="log" if kind else "", kinds=kind, lo=lo, hi=hi))


@behaviour("log1p")
def log1p(call: Call) -> Value:
    return made(call, lo=0.0 if call.tensor.lo >= 0 else -INF)


@behaviour("exp")
def exp(call: Call) -> Value:
    tensor = call.tensor
    kind = PROBABILITIES if tensor.must_be(LOG_PROBABILITIES) else 0
    if kind:
        return curved(made(call, step="exp", kinds=kind, lo=0.0, hi=1.0, nature="a softmax output"))
    hi = math.exp(tensor.hi) if tensor.hi < 700 else INF
    if hi == INF and tensor.must_be(LOGITS | HIDDEN):
        return curved(made(call, step="exp", lo=TINY, nature=arithmetic.EXPONENTIAL))
    return Number(TINY, hi) if is_of_number(call) else curved(made(call, lo=TINY, hi=hi))


@behaviour("sqrt")
def sqrt(call: Call) -> Value:
    tensor = call.tensor
    lo = math.sqrt(tensor.lo) if tensor.lo > 1e-100 else (TINY if tensor.lo > 0 else 0.0)
    hi = math.sqrt(tensor.hi) if 0 <= tensor.hi < INF else INF
    if is_of_number(call):
        return Number(lo, hi)
    nature = tensor.nature if tensor.lo == 0 else None
    return made(call, lo=lo, hi=hi, nature="a norm" if nature == "a square" else nature)


@behaviour("rsqrt")
def rsqrt(call: Call) -> Value:
    return made(call, lo=TINY)


@behaviour("power")
def power(call: Call) -> Value:
    exponent = call.value("exponent", 1) or UNKNOWN
    return arithmetic.binary(call.interp, "Power", call.tensor, exponent, call.node)


@behaviour("square")
def square(call: Call) -> Value:
    nature = None if call.tensor.lo > 0 else arithmetic.square_of(call.tensor)
    return made(call, lo=0.0 if call.tensor.lo <= 0 else TINY, nature=nature)


@behaviour("absolute")
def absolute(call: Call) -> Value:
    tensor = call.tensor
    if tensor.lo > 0:
        return tensor
    kept = tensor.lo >= 0 or tensor.nature in (arithmetic.DETERMINANT, arithmetic.OFF)
    nature = tensor.nature if kept else "an absolute value"
    if tensor.nature == "a parameter" or (tensor.graph and tensor.nature is None and not tensor.deps):
        return made(call, lo=TINY)  # what is learnt itself
    return made(call, lo=0.0, hi=max(abs(tensor.lo), abs(tensor.hi)), nature=nature)


@behaviour("clamp")
def clamp(call: Call) -> Value:
    tensor = call.tensor
    lo, hi, nature = tensor.lo, tensor.hi, tensor.nature
    low, high = call.value("min"), call.value("max")
    if low is not None and not (isinstance(low, Const) and low.value is None):
        bound = bounds(low)[0]
        if bound == -INF:
            lo, nature = -INF, None  # the guard is out of view: say nothing of what it lets through
        elif bound >= lo:
            lo, nature = bound, ("a clamped value" if bound == 0 else None)
    if high is not None and not (isinstance(high, Const) and high.value is None):
        top = bounds(high)[1]
        if 1 - 2.0**-25 < top < 1 <= hi and tensor.lib == "torch" and tensor.dtype != "float64":
            top, nature = 1.0, arithmetic.NEARLY_ONE if lo > 0 or nature is None else nature
        hi = min(hi, top)
    kinds = tensor.kinds if tensor.kinds & ~(PROBABILITIES | SIGMOID | LOG_PROBABILITIES) == 0 else 0
    if tensor.kinds == LOGITS and lo == -INF:
        kinds = LOGITS
    return made(call, kinds=kinds, lo=lo, hi=hi, nature=nature, axis=tensor.axis).but(
        trace=tensor.trace if kinds else ()
    )


@behaviour("maximum")
def maximum(call: Call) -> Value:
    a, b = bounds(call.first), bounds(call.value("other", 1) or UNKNOWN)
    lo = max(a[0], b[0])
    return made(call, lo=lo, hi=max(a[1], b[1]))


@behaviour("minimum")
def minimum(call: Call) -> Value:
    a, b = bounds(call.first), bounds(call.value("other", 1) or UNKNOWN)
    return made(call, lo=min(a[0], b[0]), hi=min(a[1], b[1]))


def stats(call: Call, what: str) -> DataInfo:
    """Data of a result that is a statistic of the first argument."""
    data = call.tensor.data
    axis = call.value("dim") or call.value("axis")
    if not data.tokens and isinstance(axis, Const) and axis.value == 0:
        data = of_table(call)
    if not data.tokens:
        return data
    if (data.splits or data.part) and call.tensor.lib not in ("numpy", "frame"):
        return data  # of a batch of a part only
    if not crosses_rows(axis):
        return data  # a statistic of each row by itself tells nothing about the others
    return data._replace(stats=frozenset((token, what) for token in data.tokens))


def crosses_rows(axis: Value | None) -> bool:
    """Whether a reduction surely goes over the rows, which are the first axis."""
    if isinstance(axis, (Tuple, ListObject)):
        return any(usual(item) == 0 for item in axis.items or ())
    return axis is None or usual(axis) == 0 or (isinstance(axis, Const) and axis.value in (None, "index"))


def of_table(call: Call) -> DataInfo:
    """Data of an array whose columns are summed up: rows of a table, be it out of view where they come from."""
    table, written = call.tensor, call.argument("input", 0)
    if written is call.node and isinstance(call.node.func, cst.Attribute):
        written = call.node.func.value
    if (
        table.lib != "numpy"
        or table.deps
        or not isinstance(written, cst.Name)
        or call.interp.peek(written) is not table
    ):
        return table.data
    known = with_origin(table, call.node)
    call.interp.rebind(written, known)
    return known.data


@behaviour("norm")
def norm(call: Call) -> Value:
    tensor = call.tensor
    is_unknown = not (tensor.graph or tensor.nature)
    is_safe = tensor.lo > 0 or tensor.nature == arithmetic.UNIT or arithmetic.varies(tensor)
    is_safe = is_safe or tensor.must_be(LOGITS) or tensor.must_be(PROBABILITIES)  # not all of them are 0
    return made(call, lo=TINY if is_unknown or is_safe else 0.0, nature="a norm", data=stats(call, "norm"))


@behaviour("sum")
def sum_(call: Call) -> Value:
    tensor = call.tensor
    tally = measured(call, "sum")
    if tensor.kinds == MASK:
        return made(call, lo=0.0, nature=count_of(call), data=stats(call, "sum"), tally=tally)
    if tensor.must_be(PROBABILITIES):
        dim = call.value("dim", 1)
        if isinstance(dim, Const) and tensor.axis is not None and dim.value == tensor.axis:
            return made(call, lo=1.0, hi=1.0)
        return made(call, lo=TINY)
    if tensor.nature == arithmetic.UNITS and call.value("dim", 1) is not None:
        return made(call, lo=-1.0, hi=1.0, nature="a cosine")
    if tensor.nature == arithmetic.FEATURES and call.value("dim", 1) is not None:
        return made(call, step="dot product", kinds=LOGITS, data=stats(call, "sum"))
    lo = TINY if tensor.lo > 0 else (0.0 if tensor.lo == 0 else -INF)
    hi = 0.0 if tensor.hi <= 0 else INF
    nature = None
    plain = tensor.graph is False and tensor.data.tokens and not tensor.kinds and not tensor.nature
    if plain and tensor.lo in (-INF, 0.0):
        nature = "a sum of labels"
    if tensor.nature in (arithmetic.EXPONENTIAL, arithmetic.EXPONENTIALS):
        nature = arithmetic.EXPONENTIALS
    elif lo == 0 and tensor.nature:
        nature = count_of(call) if tensor.nature in MASKS else tensor.nature
        if nature == "a norm":
            nature = None  # one zero among many is nothing
        elif nature == "a one-hot code" and call.value("dim", 1) is None:
            lo, nature = TINY, None  # as many as there are rows
    return made(call, lo=lo, hi=hi, nature=nature, data=stats(call, "sum"), tally=tally)


def measured(call: Call, what: str) -> Tally | None:
    """What a mean or sum over all elements of what a model gave measures."""
    if not call.tensor.deps or len([*call.arguments.values()]) != 1:
        return None
    if call.tensor.shape == () and call.tensor.tally is not None:
        return call.tensor.tally  # of one number, it is that number
    each = call.tensor.shape is not None and len(call.tensor.shape) == 1  # one number for each sample
    known = call.tensor.kinds == MASK or (call.tensor.batched and (what == "mean" or each))
    return call.interp.measure(what if known else "some")


def count_of(call: Call) -> str:
    """What adding up a mask gives: a length, where it tells what is there in each row, or a count that may be 0."""
    nature = call.tensor.nature
    is_length = nature == REACHED or (nature == PRESENT and call.value("dim", 1) is not None)
    return "a length" if is_length else "a count"


@behaviour("running_sum")
def running_sum(call: Call) -> Value:
    tensor = call.tensor
    # What a mask leaves out is counted to go with what it chooses, and one of the two is more than 0.
    counts = (tensor.kinds == MASK or tensor.nature in MASKS or tensor.nature == "a count") and tensor.nature != REST
    return made(call, lo=0.0 if tensor.lo >= 0 else -INF, nature="a count" if counts else None)


@behaviour("mean")
def mean(call: Call) -> Value:
    tensor = call.tensor
    soft = tensor.kinds & (PROBABILITIES | SIGMOID) and tensor.nature in ("a softmax output", "a sigmoid output")
    nature = None if soft else tensor.nature
    if nature == arithmetic.EXPONENTIAL:
        nature = arithmetic.EXPONENTIALS
    elif nature == "a one-hot code" and const(call.value("dim", 1) or NONE) == 0:
        nature = "the share of a class"
    kinds = (
        tensor.kinds
        if tensor.must_be(LOGITS | PROBABILITIES | SIGMOID | LOG_PROBABILITIES) and call.value("dim", 1)
        else 0
    )
    data = stats(call, "mean")
    return made(call, kinds=kinds, lo=tensor.lo, hi=tensor.hi, nature=nature, data=data, tally=measured(call, "mean"))


def is_whole(call: Call) -> bool:
    """Whether a spread is taken over three axes or more: of samples that are not the same all over."""
    axes = call.value("dim", 1)
    return isinstance(axes, (Tuple, ListObject)) and len(axes.items or ()) > 2


def least_spread(tensor: Tensor) -> float:
    """Numbers drawn at random are never all the same, nor are the weights that began as such, or unlike numbers that
    are written down."""
    return TINY if tensor.nature in ("random numbers", "a parameter", LISTED) else 0.0


@behaviour("std")
def std(call: Call) -> Value:
    only_in_theory = is_whole(call) or arithmetic.varies(call.tensor)
    nature = "a deviation of scores" if only_in_theory else "a standard deviation"
    return made(call, lo=least_spread(call.tensor), nature=nature, data=stats(call, "std"))


@behaviour("var")
def var(call: Call) -> Value:
    return made(call, lo=least_spread(call.tensor), nature="a variance", data=stats(call, "var"))


@behaviour("spread_and_mean")
def spread_and_mean(call: Call) -> Value:
    spread = std(call) if call.actual.endswith("std_mean") else var(call)
    return Tuple((spread, mean(call)))


def extreme(call: Call, what: str, nature: str) -> Value:
    tensor = call.tensor
    other = call.value("dim", 1)
    if isinstance(other, Tensor):
        return maximum(call) if what == "max" else minimum(call)
    kinds = tensor.kinds if tensor.kinds & ~(LOGITS | PROBABILITIES | SIGMOID | LOG_PROBABILITIES) == 0 else 0
    if tensor.lo >= 0 and tensor.nature is not None:
        nature = tensor.nature if what == "min" else ""
    values = made(call, kinds=kinds, lo=tensor.lo, hi=tensor.hi, nature=nature or None, data=stats(call, what))
    values = values.but(trace=tensor.trace)
    if (other is None and "axis" not in call.arguments.keywords) or tensor.lib != "torch":
        return values
    call.interp.event("predict", call.node, tensor)
    where = LARGEST if what == "max" else None
    indices = made(call, kinds=INDICES, lo=0.0, nature=where).but(graph=False, deps=stopped(call))
    return Tuple((values, indices), ("values", "indices"))


LARGEST = "a place of the largest"


@behaviour("gathered")
def gathered(call: Call) -> Value:
    """Elements by their places: those at the places of the largest are these."""
    result, index = keep(call), call.value("index", 2)
    if isinstance(result, Tensor) and isinstance(index, Tensor) and index.nature == LARGEST:
        return result.but(nature="a maximum")
    return result


@behaviour("max")
def max_(call: Call) -> Value:
    return extreme(call, "max", "a maximum")


@behaviour("min")
def min_(call: Call) -> Value:
    return extreme(call, "min", "a minimum")


@behaviour("amax")
def amax(call: Call) -> Value:
    return made(call, lo=call.tensor.lo, hi=call.tensor.hi, nature="a maximum", data=stats(call, "max"))


@behaviour("amin")
def amin(call: Call) -> Value:
    return made(call, lo=call.tensor.lo, hi=call.tensor.hi, nature="a minimum", data=stats(call, "min"))


@behaviour("quantile")
def quantile(call: Call) -> Value:
    return made(call, lo=call.tensor.lo, hi=call.tensor.hi, data=stats(call, "quantile")).but(shape=None)


@behaviour("places_chosen")
def places_chosen(call: Call) -> Value:
    """`mask.nonzero()`: the places that a mask chooses, in their order."""
    places, nature = indices(call), call.tensor.nature
    if not isinstance(places, Tensor) or nature not in OF_NODES:
        return places
    places = places.but(nature=nature)
    return Tuple((places,)) if truth(call.value("as_tuple") or FALSE) else places


@behaviour("indices")
def indices(call: Call) -> Value:
    call.interp.event("predict", call.node, call.tensor)
    scores = call.interp.element_of(call.first) if isinstance(call.first, ListObject) else call.tensor
    # Numbers that were gathered, not rows of data or what a model makes of them.
    gathered = isinstance(scores, Tensor) and not scores.deps and max(scores.data.tokens, default=-1) < 0
    alone = call.value("dim", 1) is None and call.value("axis") is None and not is_predicted(scores)
    if alone and (gathered or isinstance(scores, Number)) and (parts := measured_on(scores)):
        call.interp.event("best", call.node, call.argument("input", 0), parts)
    result = made(call, kinds=INDICES, lo=0.0).but(graph=False, grown=frozenset(), deps=stopped(call))
    if called(call.node) == "argsort":
        return result.but(
            nature="a sorting",
            data=result.data._replace(order=frozenset((("sorted", call.interp.step(call.node, "sorted")),))),
        )
    return result.but(nature=LARGEST) if called(call.node) == "argmax" else result


@behaviour("values_and_indices")
def values_and_indices(call: Call) -> Value:
    tensor = call.tensor
    call.interp.event("predict", call.node, tensor)
    return Tuple(
        (tensor.but(shape=None), made(call, kinds=INDICES, lo=0.0).but(graph=False, deps=stopped(call))),
        ("values", "indices"),
    )


@behaviour("product")
def product(call: Call) -> Value:
    tensor = call.tensor
    return made(call, lo=0.0 if tensor.lo >= 0 else -INF, hi=1.0 if 0 <= tensor.hi <= 1 else INF, nature=tensor.nature)


# A score that stands for none at all: its exponential is 0 in every format.
MASKED = -1e4


@behaviour("where")
def where(call: Call) -> Value:
    a, b = call.value("input", 1), call.value("other", 2)
    if a is None or b is None:
        return Sequence(Tensor(kinds=INDICES, graph=False))
    chosen = [as_tensor(a), as_tensor(b)]
    joined = join_all(chosen)
    assert isinstance(joined, Tensor)
    kept = [tensor for tensor in chosen if tensor.graph is not False or tensor.hi > MASKED]
    if len(kept) == 1 and kept[0].kinds in (LOGITS, HIDDEN):
        joined = joined.but(kinds=kept[0].kinds, trace=kept[0].trace)  # what is put in for the rest only hides it
    # The condition usually keeps the bad elements out, so what is chosen is not known to reach its bounds; a label
    # keeps nothing out.
    nan = call.value("condition", 0)
    if isinstance(nan, Tensor) and nan.nature == ABSENT and chosen[0].lo == chosen[0].hi >= chosen[1].lo:
        nature = chosen[1].nature  # NaN is replaced, and all else stays
        return joined.but(graph=graph_of(call.interp, *chosen), nature=nature, lo=chosen[1].lo, shape=None)
    by_label = is_equality(call.argument("condition", 0)) and all(t.must_be(PROBABILITIES | SIGMOID) for t in chosen)
    nature = "a probability" if by_label else None
    # One number or another, as a threshold says, is still an answer of the model.
    asked = as_tensor(call.value("condition", 0) or UNKNOWN)
    if is_number(a) and is_number(b) and asked.deps:
        joined = joined.but(deps=cut(asked.deps), data=asked.data)
    return joined.but(graph=graph_of(call.interp, *chosen), nature=nature, shape=None)


@behaviour("masked_fill")
def masked_fill(call: Call) -> Value:
    tensor, value = call.tensor, call.value("value", 2) or UNKNOWN
    lo, hi = bounds(value)
    return tensor.but(lo=min(tensor.lo, lo), hi=max(tensor.hi, hi), nature=None if is_number(value) else tensor.nature)


@behaviour("fill_diagonal")
def fill_diagonal(call: Call) -> Value:
    tensor = call.tensor
    lo, hi = bounds(call.value("value", 1) or UNKNOWN)
    # What is like itself is not counted any more.
    nature = CHOSEN if tensor.nature == PRESENT else tensor.nature
    return tensor.but(lo=min(tensor.lo, lo), hi=max(tensor.hi, hi), nature=nature)


@behaviour("compare")
def compare(call: Call) -> Value:
    other = call.value("other", 1) or UNKNOWN
    name = {"eq": "Equal", "ne": "NotEqual"}.get(called(call.node), "GreaterThan")
    result = arithmetic.compare(call.interp, name, call.tensor, other, call.node)
    if isinstance(result, Tensor):
        if called(call.node) == "isnan":
            result = result.but(nature=ABSENT)
        call.interp.compared(name, call.node, call.tensor, other, result)
    return result


@behaviour("mask")
def mask(call: Call) -> Value:
    """Which elements are among others, or hold for both of two masks: nothing is judged by that."""
    return arithmetic.compare(call.interp, "GreaterThan", call.tensor, call.value("other", 1) or UNKNOWN, call.node)


@behaviour("truth")
def truth_(call: Call) -> Value:
    return BOOL


@behaviour("is_floating")
def is_floating(call: Call) -> Value:
    return FALSE if isinstance(call.first, Tensor) and call.first.dtype == INTEGER else BOOL


@behaviour("any")
def any_(call: Call) -> Value:
    """Whether a mask holds anywhere, or everywhere: as a whole, or along an axis."""
    if call.value("dim", 1) is None or not isinstance(call.first, Tensor):
        return BOOL
    return made(call, kinds=MASK, lo=0.0, hi=1.0)


@behaviour("operator")
def operator(call: Call) -> Value:
    name = {"add": "Add", "sub": "Subtract", "subtract": "Subtract", "mul": "Multiply", "multiply": "Multiply"}
    operation = name.get(called(call.node).rstrip("_"), "Divide")
    other = call.value("other", 1) or UNKNOWN
    result = arithmetic.binary(call.interp, operation, call.first, other, call.node)
    nodes = call.arguments.nodes
    left = nodes[0] if nodes and nodes[0] is not None else getattr(getattr(call.node, "func", None), "value", call.node)
    call.interp.emit(
        operation.lower(), (operation, call.node, call.first, other, left, call.argument("other", 1), result)
    )
    return result


@behaviour("negate")
def negate(call: Call) -> Value:
    return arithmetic.unary(call.interp, "Minus", call.tensor, call.node)


@behaviour("reciprocal")
def reciprocal(call: Call) -> Value:
    result = arithmetic.binary(call.interp, "Divide", Const(1), call.tensor, call.node)
    call.interp.emit("divide", ("Divide", call.node, Const(1), call.tensor, call.node, call.node, result))
    return result


@behaviour("rounded")
def rounded(call: Call) -> Value:
    tensor = call.tensor
    if tensor.kinds == LOGITS and tensor.trace and call.actual.rpartition(".")[2] == "round":
        call.interp.event("threshold", call.node, tensor, "rounded")
    result = made(call, lo=math.floor(call.tensor.lo) if call.tensor.lo > -INF else -INF)
    return result.but(graph=False, deps=stopped(call))


# ------------------------------------------------------------------- new tensors

DRAWN = DataInfo(shuffled=True)  # what is drawn at random has no order


def fresh(call: Call, **fields: Any) -> Tensor:
    graph = truth(call.arguments.keywords["requires_grad"]) if "requires_grad" in call.arguments.keywords else False
    lib = call.row.name.partition(".")[0]
    return trainable(call, Tensor(graph=graph, lib=lib if lib in ("torch", "numpy") else "torch", **fields))


def trainable(call: Call, tensor: Tensor, kind: str = "tensor") -> Tensor:
    """A tensor made here; a parameter and what asks for gradients are remembered."""
    if (tensor.graph or kind == "parameter") and tensor.lib == "torch" and not tensor.deps:
        call.interp.modules.leaves[id(tensor)] = (tensor, kind)
    return tensor


@behaviour("zeros")
def zeros(call: Call) -> Value:
    tensor = call.receiver
    if isinstance(tensor, Tensor) and tensor.nature == "a gradient" and called(call.node) in ("zero_", "fill_"):
        from trainlint.semantics.behaviours.training import clear_gradients

        clear_gradients(call.interp, tensor, call.node)
    return fresh(call, lo=0.0, hi=0.0)


@behaviour("ones")
def ones(call: Call) -> Value:
    return fresh(call, lo=1.0, hi=1.0)


@behaviour("eye")
def eye(call: Call) -> Value:
    return fresh(call, lo=0.0, hi=1.0)


@behaviour("full")
def full(call: Call) -> Value:
    if called(call.node) == "fill_":
        zeros(call)
    lo, hi = bounds(call.value("fill_value") or UNKNOWN)
    return fresh(call, lo=lo, hi=hi)


@behaviour("uniform")
def uniform(call: Call) -> Value:
    ends = call.arguments.positional[1:3]
    if called(call.node) == "uniform_" and len(ends) == 2:
        return fresh(call, lo=bounds(ends[0])[0], hi=bounds(ends[1])[1], nature="random numbers", data=DRAWN)
    return fresh(call, lo=0.0, hi=1.0, data=DRAWN)


@behaviour("normal")
def normal(call: Call) -> Value:
    return fresh(call, nature="random numbers", data=DRAWN)


@behaviour("drawn")
def drawn(call: Call) -> Value:
    made = fresh(call, data=DRAWN)
    return made.but(dtype=INTEGER) if call.actual == "torch.randint" and call.value("dtype") is None else made


@behaviour("positions")
def positions(call: Call) -> Value:
    ends = run_of(call) if call.short_name == "arange" else None
    nature = RUN if call.path.startswith("numpy.") else POSITIONS
    return fresh(call).but(nature=nature, data=NO_DATA if ends is None else at_run(ends))


@behaviour("new_tensor")
def new_tensor(call: Call) -> Value:
    return fresh(call)


@behaviour("from_data")
def from_data(call: Call) -> Value:
    """A tensor copied from other data: detached, of the same content. `torch.FloatTensor(3, 4)` holds anything."""
    value = call.first
    if is_number(value) and call.actual.endswith("Tensor"):
        return fresh(call)
    if isinstance(value, Tensor):
        leaf = fresh(call)
        step = call.interp.step(call.node, call.short_name)
        call.interp.severs(call.node, value)
        copied = value.but(graph=leaf.graph, lib=leaf.lib, grown=frozenset(), deps=cut(value.deps, step), shape=None)
        return copied.but(trace=(leaf_step(call),)) if leaf.graph and value.deps else copied
    tensor = as_tensor(value)
    graph = truth(call.arguments.keywords["requires_grad"]) if "requires_grad" in call.arguments.keywords else False
    keeps = is_number(value) or tensor.kinds or tensor.data is not NO_DATA
    lo, hi, nature = listed(call, value)
    items = (call.interp.known_items(value) or ()) if value.__class__ is ListObject else ()
    deps = NO_DEPS.union(*(item.deps for item in items if isinstance(item, (Tensor, Number))))
    made = Tensor(graph=graph, lib=fresh(call).lib, data=tensor.data, lo=lo, hi=hi, nature=nature)
    if deps:
        deps = cut(deps, call.interp.step(call.node, call.short_name))
        made = made.but(deps=deps, trace=(leaf_step(call),) if graph else ())
    if keeps:
        trace = (leaf_step(call),) if graph and is_number(value) else tensor.trace
        made = tensor.but(graph=graph, deps=taken_of(value), shape=None, lib=fresh(call).lib, trace=trace)
    if call.actual == "torch.tensor" and "dtype" not in call.arguments.keywords and holds_integers(call, value):
        made = made.but(dtype=INTEGER)
    return trainable(call, made)


def holds_integers(call: Call, value: Value) -> bool:
    """Whether a list, or lists in a list, hold integers that are written down, and nothing else."""
    items = call.interp.known_items(value) if value.__class__ is ListObject else None
    if not items:
        return type(const(value)) is int
    return all(holds_integers(call, item) for item in items)


LISTED = "numbers written down"  # the nature of unlike ones


def listed(call: Call, value: Value) -> tuple[float, float, str | None]:
    """The bounds of the numbers written down in a list, and whether some of them differ."""
    items = call.interp.known_items(value) if value.__class__ is ListObject else None
    if not items or not all(is_number(item) for item in items):
        return -INF, INF, None
    ends = [bounds(item) for item in items]
    differ = max(lo for lo, _ in ends) > min(hi for _, hi in ends)
    return min(lo for lo, _ in ends), max(hi for _, hi in ends), LISTED if differ else None


VOLATILE = "volatile"  # the nature of what is meant to record no graph


@behaviour("variable")
def variable(call: Call) -> Value:
    tensor = call.tensor
    wanted = call.value("requires_grad", 1)
    volatile = call.value("volatile", 2)
    if volatile is not None and truth(volatile):
        call.interp.event("volatile", call.node)
        return tensor.but(graph=False, nature=VOLATILE)
    if wanted is None or not truth(wanted):
        return tensor
    return trainable(
        call, tensor.but(graph=True, trace=(leaf_step(call),)) if is_severed(tensor) else tensor.but(graph=True)
    )


@behaviour("parameter")
def parameter(call: Call) -> Value:
    wanted = call.value("requires_grad", 1)
    nature = "a parameter" if call.tensor.lo < 0 else call.tensor.nature
    graph = truth(wanted) if wanted is not None else True
    return trainable(call, call.tensor.but(graph=graph, lib="torch", nature=nature), "parameter")


# ----------------------------------------------------------------------- losses


def is_hidden(value: Value) -> bool:
    """Whether a value may carry gradients out of view; what a loader out of view gives is data."""
    return is_opaque(value) and not (isinstance(value, Instance) and "$item" in value.attrs)


def reduced(call: Call) -> str:
    """What a loss comes to over its batch: its "mean", its "sum", or "" where that is not known."""
    whole, reduces = call.value("size_average"), call.value("reduce")
    if call.arguments.open or (reduces is not None and truth(reduces) is not True):
        return ""
    if whole is not None:
        held = truth(whole)
        return "" if held is None else "mean" if held else "sum"
    reduction = call.value("reduction")
    name = "mean" if reduction is None else reduction.value if isinstance(reduction, Const) else ""
    return name if name in ("mean", "sum") else ""


@behaviour("loss")
def loss(call: Call) -> Value:
    result = curved(made(call, lo=0.0, nature="a loss"))
    found = shaped(call, result)
    assert isinstance(found, Tensor)
    result = found
    recording = call.interp.grad is not False
    if recording and result.graph is False and result.deps and any(is_hidden(v) for v in call.arguments.positional):
        result = result.but(graph=None, deps=result.deps | {ELSEWHERE})
    what = reduced(call)
    if what:
        result = result.but(tally=call.interp.measure(what))
    target = call.value("target", 1)
    call.interp.event("loss", call.node, call.path, call.tensor, result, call.value("reduction"), target)
    if call.tensor.deps and isinstance(target, Tensor):
        call.interp.emit("pair", (call.node, (call.tensor, target), "loss", call))
    return result.but(data=NO_DATA._replace(part=call.tensor.data.part))
