"""Modules: what runs when they are called, which mode they are in, what they hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics import shapes
from trainlint.semantics.arithmetic import FEATURE, graph_of
from trainlint.semantics.behaviours.data import sameness
from trainlint.semantics.behaviours.tensors import is_hidden, learns, loss, made, noted
from trainlint.semantics.dissection import tensors_in
from trainlint.semantics.library import BEHAVIOURS, Call, as_tensor, behaviour, children_of, mixed_tensor, modules_in
from trainlint.semantics.modules import is_self, project_bases
from trainlint.semantics.shapes import shaped, with_form
from trainlint.semantics.values import (
    ELSEWHERE,
    FALSE,
    HIDDEN,
    INF,
    LOGITS,
    NO_DATA,
    NONE,
    TRUE,
    UNKNOWN,
    WEIGHTS,
    Api,
    Class,
    Const,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Sequence,
    Step,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    cut,
    is_opaque,
    join_all,
    last_axis,
    mix_data,
    options,
    truth,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, contains, names_in

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter
    from trainlint.semantics.namespace import Namespace


def run_forward(interp: Interpreter, module: Instance, arguments: Arguments, node: Any) -> Value:
    """The result of a module's forward, without the marks of a call from outside."""
    if isinstance(module.cls, Class):
        forward = module.cls.find("forward")
        if isinstance(forward, Function):
            return interp.call_function(forward, arguments.with_first(module), node)
        override = module.cls.find("__call__")
        if isinstance(override, Function):
            return interp.call_function(override, arguments.with_first(module), node)
        paths = module.cls.api
    elif isinstance(module.cls, Api):
        paths = (module.cls.path,)
    else:
        paths = ()
    return run_known(interp, module, paths, arguments, node)


def run_known(interp: Interpreter, module: Instance, paths: tuple[str, ...], arguments: Arguments, node: Any) -> Value:
    """The result of the forward of a known class, which a module is of or derives from."""
    library = interp.library
    for path in paths:
        row = library.class_row(path)
        if row is None:
            continue
        if "$pretrained" in module.attrs:
            interp.emit("pretrained", (node, module, [v for v in arguments.values() if isinstance(v, Tensor)]))
        head = module.attrs.get("$head")
        own = module.cls.find("forward_head") if isinstance(module.cls, Class) else None  # as timm's models call it
        if isinstance(own, Function):
            head = Method(module, own.name, own)
        if "model" in row.raw and (head is UNKNOWN or isinstance(head, (Instance, Method, Union))):
            tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
            features = mixed_tensor(interp, tensors).but(shape=(None, None), batched=True)
            return features if head is UNKNOWN else interp.call(head, type(arguments)([features]), node)
        how = str(row.raw.get("forward", "mixed"))
        target = library.rows.get(how)
        if target is not None:
            options = {k: v for k, v in module.attrs.items() if isinstance(k, str) and k in row.params}
            return library.perform(interp, target, arguments, node, module, options, path)
        call = Call(interp, node, path, row, arguments, module, None, path)
        return shaped(call, BEHAVIOURS[how](call))
    tensors = [v for v in arguments.values() if isinstance(v, Tensor)]
    return mixed_tensor(interp, tensors) if paths else Tensor()


def mark_output(
    interp: Interpreter,
    module: Instance,
    training: Any,
    result: Value,
    arguments: Arguments,
    node: Any,
    since: int,
    quiet: bool = False,
) -> Value:
    """Tie what a model gives, or has computed `since` and kept, to the model, the mode it ran in, and whether gradients
    are recorded; a `quiet` one turns them off itself."""
    mode: bool | str | None = truth(training) if isinstance(training, Value) else None
    if isinstance(training, Union) and TRUE in training.options and FALSE in training.options:
        mode = "either"
    grad = False if quiet else interp.grad
    frozen = is_frozen(module) or is_weightless(interp, module)
    inputs = [v for v in (*arguments.values(), *arguments.spread) if isinstance(v, Tensor)]
    recorded = grad
    if frozen and grad:
        given = [tensor or UNKNOWN for v in arguments.values() for tensor in tensors_in(v)]
        recorded = graph_of(interp, *given) if inputs else None
    dep = Dep(module, mode, node, recorded is not False)
    own = frozenset((dep, *(Dep(other, None, None, dep.live) for other in borrowed(module))))
    layers = mode_matters(interp, module, mode, arguments)
    # Of a frozen model nothing is recorded, whatever the context; what has been learnt from since is none.
    unsure = frozen or (interp.read(module.attrs, "$learnt") is not TRUE and is_frozen(module, possibly=True))
    asked = None if grad and unsure else grad
    interp.event("model", node, module, mode, asked, inputs, module.attrs.get("$loaded") is TRUE, layers)
    behind = frozenset(d for tensor in inputs for d in tensor.deps)
    before = {id(d.module) for d in behind}
    tensors = inputs[0].data if inputs else None
    if tensors is not None:
        for tensor in inputs[1:]:
            tensors = mix_data(tensors, tensor.data)

    def mark(value: Value) -> Value:
        if isinstance(value, Tensor):
            data = value.data if tensors is None else mix_data(value.data, tensors)
            if value.lib == "numpy":
                return value.but(deps=cut(value.deps) | {dep._replace(live=False)}, data=data)
            may_record = recorded or (frozen and recorded is None)
            if may_record and value.graph is False and (stop := cut_of(value)) is not None:
                return value.but(deps=value.deps | {dep._replace(live=False, cut=stop)}, data=data, lib="torch")
            added = value.deps - behind
            if recorded and behind and value.graph is not True and all(d.module.family != "module" for d in added):
                # An operand that nothing is known of may be recorded.
                if is_weightless(interp, module, known=False):
                    live = value.graph is not False
                    return value.but(deps=value.deps | {dep._replace(live=live)}, data=data, lib="torch")
            deps = value.deps if recorded is not False else cut(value.deps)
            lost = before and before.isdisjoint(id(d.module) for d in deps)  # on a way that could not be followed
            if recorded is False:
                deps = deps | cut(behind) if lost else deps
            elif lost or any(map(is_hidden, arguments.values())):
                deps |= {ELSEWHERE}
            graph = value.graph if recorded is None else recorded
            marked = value.but(deps=deps | own, graph=graph, data=data, lib="torch")
            interp.modules.same(value, marked)
            return marked
        if isinstance(value, Tuple):
            return Tuple(tuple(mark(item) for item in value.items), value.names)
        if isinstance(value, ListObject):
            if value.items is not None:
                return ListObject(tuple(mark(item) for item in value.items))
            return ListObject(None, mark(value.attrs["element"]))
        if isinstance(value, Sequence) and value.first is not None:  # a tuple, but for what stands behind its first
            return Sequence(mark(value.element), value.source, mark(value.first))
        if isinstance(value, Sequence) and isinstance(value.element, Tensor):  # the pieces of a tensor
            return Sequence(mark(value.element), value.source, None, value.count)
        if isinstance(value, DictObject):
            return DictObject({k: mark(v) for k, v in value.attrs.items()})
        if isinstance(value, Union):
            return join_all(mark(o) for o in value.options)
        if value is UNKNOWN:
            return mark(Tensor())
        if isinstance(value, Instance) and value.family == "distribution":
            given = Instance(value.cls, value.family, value.born)
            given.attrs.update((k, mark(v) if isinstance(v, (Tensor, Instance)) else v) for k, v in value.attrs.items())
            return given
        if isinstance(value, Instance) and value.cls is None:
            value.attrs["$computed"] = TRUE
        return value

    for name, kept in computed(interp, module, since).items():
        interp.write(module.attrs, name, mark(kept))
    return mark(result)


def computed(interp: Interpreter, module: Instance, since: int) -> dict[str, Tensor]:
    """The tensors that a module has put into its attributes since a mark of the journal."""
    names = {name for where, name, _ in interp.journal.log[since:] if where is module.attrs}
    held = {name: module.attrs.get(name) for name in names}
    return {k: v for k, v in held.items() if isinstance(v, Tensor) and v.graph is not False}


def borrowed(module: Instance) -> list[Instance]:
    """The modules that a module runs by a method of theirs which it keeps; their parameters are not its own."""
    held = (value.receiver for value in module.attrs.values() if isinstance(value, Method))
    return [other for other in held if isinstance(other, Instance) and other.family == "module" and other is not module]


# Whose models keep the batch as the first axis from layer to layer.
BATCH_FIRST = ("torchvision.models.", "timm.")


def part_output(interp: Interpreter, part: Instance, tensors: list[Tensor]) -> Tensor:
    """What a part of a ready-made model makes of what it gets: gradients pass through it, to its own parameters as well
    if these are not frozen."""
    result = mixed_tensor(interp, tensors).but(data=NO_DATA)  # no rows any more
    whole = part.attrs["$whole"]
    if isinstance(whole, Instance) and whole.api_path.startswith(BATCH_FIRST) and len(tensors) == 1:
        result = result.but(batched=tensors[0].batched)
    if not interp.grad or part.attrs.get("$frozen") is TRUE or is_frozen(part.attrs["$whole"]):
        return result
    return result.but(deps=result.deps | {ELSEWHERE}, graph=None)


def cut_of(value: Tensor) -> Step | None:
    """What stopped all gradients of a value."""
    if any(dep.live for dep in value.deps):
        return None
    return next((dep.cut for dep in value.deps if dep.cut is not None), None)


def parts_of(module: Instance) -> Iterator[Instance]:
    """The parts of ready-made models that a module holds, or lists."""
    children = module.attrs.get("$children")
    listed = children.items or () if isinstance(children, ListObject) else ()
    for held in (*module.attrs.values(), *listed):
        if isinstance(held, Instance) and "$whole" in held.attrs:
            yield held


def is_frozen(module: Instance, possibly: bool = False) -> bool:
    """Whether no parameter of a module takes gradients, or `possibly` none on some way here; a layer put in after the
    freezing does."""

    def takes_none(part: Instance) -> bool:
        setting = part.attrs.get("$frozen", FALSE)
        return setting is TRUE or (possibly and TRUE in options(setting))

    if not takes_none(module):
        return is_made_of_parts(module) and all(map(takes_none, parts_of(module)))
    return all(
        takes_none(inner) and all(takes_none(part) for part in parts_of(inner) if "$frozen" in part.attrs)
        for inner in modules_in(module)
    )


def is_made_of_parts(module: Instance) -> bool:
    """Whether a module of the project keeps nothing but parts of ready-made models, and settings."""
    if not isinstance(module.cls, Class) or set(module.cls.api) != {"torch.nn.Module"}:
        return False
    held = [value for name, value in module.attrs.items() if not str(name).startswith("$")]
    parts = [value for value in held if isinstance(value, Instance)]
    plain = all(isinstance(value, (Instance, Const, Number, Text)) for value in held)
    return plain and bool(parts) and all("$whole" in part.attrs for part in parts)


def is_weightless(interp: Interpreter, module: Instance, known: bool = True) -> bool:
    """Whether a module surely has nothing to learn, as a loss: by itself it records no graph. Not `known`: as far as
    anything is known of what it keeps."""
    return not any(has_weights(interp, inner, known) for inner in modules_in(module))


def has_weights(interp: Interpreter, module: Instance, known: bool = True) -> bool:
    """Whether a module may have parameters of its own, apart from those of the modules inside it."""
    if isinstance(module.cls, Api):
        row = interp.library.class_row(module.cls.path)
        if row is None or row.raw.get("weights") or "model" in row.raw:
            return True
        listed = module.attrs.get("$children")
        return isinstance(listed, ListObject) and listed.items is None and may_have_weights(listed.attrs["element"])
    return not isinstance(module.cls, Class) or any(
        may_have_weights(option)
        for value in module.attrs.values()
        for option in options(value)
        if known or not is_opaque(option)
    )


def may_have_weights(value: Any) -> bool:
    """Whether what a module keeps may be a parameter, or hold some."""
    if isinstance(value, Tensor):
        return value.graph is not False
    if isinstance(value, Union):
        return any(map(may_have_weights, value.options))
    return value is UNKNOWN or (isinstance(value, Instance) and value.cls is None)


@behaviour("normalise")
def normalise(call: Call) -> Value:
    """Normalisation layers leave raw scores raw."""
    tensor = call.tensor
    kinds = LOGITS if tensor.kinds == LOGITS else 0
    result = made(call, kinds=kinds, nature=FEATURE)
    return noted(call, result.but(graph=True) if learns(call) else result)


@behaviour("dropout_layer")
def dropout_layer(call: Call) -> Value:
    return noted(call, call.tensor.but())


@behaviour("recurrent")
def recurrent(call: Call) -> Value:
    """The output of an RNN and its states: bounded by tanh, but read as features."""
    output = made(call, kinds=HIDDEN, lo=-1.0, hi=1.0)
    if learns(call):
        output = output.but(graph=True)
    name = call.via.rpartition(".")[2]
    if name.endswith("Cell"):
        state = with_form(output, shapes.cell(call))
        return Tuple((state, state)) if name == "LSTMCell" else state
    flow, last = shapes.recurrent(call)
    first = call.receiver.attrs.get("batch_first", FALSE) if isinstance(call.receiver, Instance) else UNKNOWN
    order = truth(first) if isinstance(first, Value) else None
    alone = call.tensor.shape is not None and len(call.tensor.shape) != 3
    if order is not None:
        call.interp.emit("recurrent", (call, order))
    state = with_form(output, last)
    stream = with_form(output, flow)
    if order is not None and not alone and isinstance(stream, Tensor):
        stream = stream.but(axis=1 if order else 0, trace=(call.interp.step(call.node, name),))
    return Tuple((stream, Tuple((state, state)) if name == "LSTM" else state))


@behaviour("attention_layer")
def attention_layer(call: Call) -> Value:
    """Multi-head attention gives its output, of the query's shape, and the weights."""
    output = made(call)
    return Tuple((with_form(output, shapes.form(call.first)), output))


@behaviour("dense_output")
def dense_output(call: Call) -> Value:
    """A ready-made classifier: raw scores, one for each class."""
    classes = call.receiver.attrs.get("num_classes") if isinstance(call.receiver, Instance) else None
    known = shapes.size(classes) if isinstance(classes, Value) else None
    result = BEHAVIOURS["linear"](call)
    plain = not any(word in call.via for word in ("segmentation", "detection", "video", "inception", "googlenet"))
    return with_form(result, shapes.Form((None, known or None), None, True)) if plain else result


@behaviour("graph_layer")
def graph_layer(call: Call) -> Value:
    """A layer over a graph: raw scores of each node, made of its own numbers and those of its neighbours."""
    layer, given = call.receiver, call.arguments.positional
    place = 1 if call.actual.startswith("dgl.") else 0  # there the graph comes first
    nodes = given[place] if len(given) > place else UNKNOWN
    if not isinstance(layer, Instance) or not isinstance(nodes, (Tensor, Instance)):
        return BEHAVIOURS["mixed"](call)
    numbers = as_tensor(nodes)
    if not numbers.data.tokens:  # the nodes of some graph
        owner = nodes if isinstance(nodes, Instance) else layer
        numbers = numbers.but(data=NO_DATA._replace(tokens=frozenset((owner.token,))))
    told = type(call.arguments)([numbers], {}, call.arguments.nodes[place : place + 1])
    inner = Call(call.interp, call.node, call.path, call.row, told, layer, {}, call.via)
    widths = [layer.attrs.get(name) for name in call.row.params[:2]]
    coming, going = (shapes.size(width) if isinstance(width, Value) else None for width in (*widths, None)[:2])
    shapes.misfit(inner, -1, coming, last_axis(inner.tensor))
    heads = layer.attrs.get("num_heads")  # each has numbers of its own
    sizes = (None, going) if heads is None else (None, shapes.size(heads), going)
    result = with_form(BEHAVIOURS["linear"](inner), shapes.Form(sizes, None, True))
    then = layer.attrs.get("activation")
    if then is None or then.key == NONE.key:
        return result
    return call.interp.call(then, type(call.arguments)([result]), call.node)


@behaviour("sequential")
def sequential(call: Call) -> Value:
    """Feed what comes in through the members, one after the other."""
    index = call.interp.modules
    outer, index.chain = index.chain, (call.receiver, call.node)  # type: ignore[assignment]
    try:
        return through_members(call)
    finally:
        index.chain = outer


def through_members(call: Call) -> Value:
    interp = call.interp
    module = call.receiver
    assert isinstance(module, Instance)
    children = module.attrs.get("$children")
    value: Value = call.first
    from trainlint.semantics.behaviours.keras import for_tensors
    from trainlint.semantics.interpreter import Arguments

    if isinstance(children, ListObject):
        if children.items is None:  # of unknown number: which of them gets the input is not known
            given = for_tensors(value, lambda tensor: tensor.but(shape=None, batched=tensor.batched))
            given = interp.call(children.attrs["element"], Arguments([given]), call.node)
            value = for_tensors(given, lambda tensor: unsure(tensor, batched=True))
            for child in interp.ends_of(children):
                value = interp.call(child, Arguments([value]), call.node)
            return value
        for child in children.items:
            value = interp.call(child, Arguments([value]), call.node)
        return value
    named = [
        v for k, v in module.attrs.items() if isinstance(v, Instance) and isinstance(k, str) and not k.startswith("$")
    ]
    if named:
        for child in named:
            value = interp.call(child, Arguments([value]), call.node)
        return unsure(value) if has_more(module) else value
    return mixed_tensor(interp, [call.tensor])


def unsure(value: Value, batched: bool = False) -> Value:
    """The output of layers of unknown number and order: only the origin is sure, and if each of them keeps it, that the
    first axis is the batch."""
    if not isinstance(value, Tensor):
        return value
    return value.plain().but(batched=True) if batched and value.batched else value.plain()


@behaviour("forward")
def forward(call: Call) -> Value:
    """`model.forward(x)`, or `super().forward(x)` of an outside base class."""
    interp, module = call.interp, call.receiver
    if not isinstance(module, Instance):
        return Tensor()
    from trainlint.semantics.interpreter import Arguments

    rest = Arguments(
        call.arguments.positional[1:], call.arguments.keywords, call.arguments.nodes[1:], call.arguments.keyword_nodes
    )
    if isinstance(module.cls, Class):
        return run_known(interp, module, module.cls.api, rest, call.node)
    if isinstance(module.cls, Api):
        return interp.call(module, rest, call.node)
    return mixed_tensor(interp, [v for v in rest.values() if isinstance(v, Tensor)])


@behaviour("initialise_module")
def initialise_module(call: Call) -> Value:
    """`super().__init__(…)` that reaches a base class out of view."""
    interp, module = call.interp, call.first
    if isinstance(module, Instance):
        interp.write(module.attrs, "$ready", TRUE)
        interp.library.initialise_base(interp, module, call.arguments.without_first(), call.node)
    return NONE


# -------------------------------------------------------------------------- modes


def set_mode(interp: Interpreter, module: Instance, mode: Value) -> None:
    """Set the mode of a module and of all in it, as `train()` does."""
    for inner in modules_in(module):
        interp.write(inner.attrs, "training", mode)


def switch(call: Call, mode: Value) -> Value:
    interp, module = call.interp, call.receiver
    if not isinstance(module, Instance):
        return call.first
    override = module.cls.find("train") if isinstance(module.cls, Class) else None
    if isinstance(override, Function) and call.path == "module.eval":
        from trainlint.semantics.interpreter import Arguments

        interp.call(Method(module, "train", override), Arguments([mode]), call.node)
    else:
        set_mode(interp, module, mode)
    interp.write(module.attrs, "$explicit", TRUE)
    interp.event("mode", call.node, module, truth(mode))
    return module


@behaviour("eval_mode")
def eval_mode(call: Call) -> Value:
    return switch(call, FALSE)


@behaviour("train_mode")
def train_mode(call: Call) -> Value:
    wanted = call.value("mode", 1)
    return switch(call, TRUE if wanted is None else wanted)


MEASURES = "$measures"  # of a batch norm whose statistics were thrown away: it takes others, in train mode


@behaviour("measured_anew")
def measured_anew(call: Call) -> Value:
    """`layer.reset_running_stats()`, of one layer or of all that a loop goes through."""
    loop = call.interp.nearest_loop()
    walked = options(loop.value) if loop is not None and isinstance(loop.value, Value) else ()
    models = [model for model in walked if isinstance(model, Instance) and model.family == "module"]
    for layer in [call.receiver, *(layer for model in models for layer in modules_in(model))]:
        if isinstance(layer, Instance) and own_mode_layers(call.interp, layer) == "batch norm":
            call.interp.write(layer.attrs, MEASURES, TRUE)
            call.interp.write(call.interp.flags, MEASURES, TRUE)
    return NONE


def mode_layers(
    interp: Interpreter, module: Value, mode: bool | str | None = None, arguments: Arguments | None = None
) -> str | bool | None:
    """What in a module depends on its mode ("dropout", "batch norm"); False when nothing does, None when not known.
    With a mode, parts that were put into the other one by themselves do not count; nor do those that never run, or not
    in a call with these arguments."""
    if not isinstance(module, Instance):
        return None
    if mode is True and MEASURES in interp.flags and any(MEASURES in inner.attrs for inner in modules_in(module)):
        return False  # it runs for the statistics
    unsure_: bool | None = False
    idle: set[int] = set()
    if arguments is not None:
        idle.update(id(below) for part in not_asked_for(interp, module, arguments) for below in modules_in(part))
    for inner in modules_in(module):
        if id(inner) in idle or (isinstance(mode, bool) and truth(inner.attrs.get("training", UNKNOWN)) is (not mode)):
            continue
        idle.update(id(below) for part in interp.modules.unread(inner) for below in modules_in(part))
        found = own_mode_layers(interp, inner)
        if found:
            return found
        if found is None:
            unsure_ = None
    return unsure_


def mode_matters(
    interp: Interpreter, module: Instance, mode: bool | str | None = None, arguments: Arguments | None = None
) -> str:
    """In words, what of a module depends on its mode; "" when nothing does or it is not known. Of a model whose layers
    are out of view, the program itself tells by setting its mode."""
    layers = mode_layers(interp, module, mode, arguments)
    if isinstance(layers, str):
        return layers
    return "dropout or batch norm" if layers is None and module.attrs.get("$explicit") is TRUE else ""


def not_asked_for(interp: Interpreter, module: Instance, arguments: Arguments) -> list[Instance]:
    """The parts that run only where a parameter of the forward pass asks for them, which this call does not."""
    forward = module.cls.find("forward") if isinstance(module.cls, Class) else None
    if not isinstance(forward, Function) or not isinstance(module.cls, Class):
        return []
    asking = parts_asked_for(interp, module.cls, forward)
    given = interp.bind_arguments(forward, arguments.with_first(module)) if asking else {}
    names = {name for asked, held in asking.items() if truth(given.get(asked, UNKNOWN)) is False for name in held}
    return [part for name in names if isinstance(part := module.attrs.get(name), Instance)]


def parts_asked_for(interp: Interpreter, cls: Class, forward: Function) -> dict[str, set[str]]:
    """For each parameter of a forward pass, the attributes that are read only in branches that it opens."""
    cached: dict[str, set[str]] | None = cls.attrs.get("$asked")
    if cached is not None:
        return cached
    found: dict[str, set[str]] = {}
    cls.attrs["$asked"] = found
    params = {p.name.value for p in (*forward.node.params.params, *forward.node.params.kwonly_params)}
    branches = [node for node in nodes_in(forward.node.body) if isinstance(node, (cst.If, cst.IfExp))]
    tested = {b.test.value for b in branches if isinstance(b.test, cst.Name) and b.test.value in params}
    if not tested or any(interp.modules.own(base).dynamic for base in (cls, *project_bases(cls))):
        return found
    elsewhere = [interp.modules.own(base) for base in project_bases(cls)]
    reads = own_reads(cls.node.body)
    set_anew = {node.value for node in written_in(forward.node.body) if isinstance(node, cst.Name)}
    for name in tested - set_anew:
        opened = (b.body for b in branches if isinstance(b.test, cst.Name) and b.test.value == name)
        inside = sum((own_reads(body) for body in opened), Counter[str]())
        found[name] = {
            part
            for part, number in inside.items()
            if number == reads[part] and not any(own.reaches(part) for own in elsewhere)
        }
    return found


def own_reads(root: Any) -> Counter[str]:
    """How often a piece of code reads each attribute of `self`."""
    written = set(map(id, written_in(root)))
    reads = (node for node in nodes_in(root) if isinstance(node, cst.Attribute) and is_self(node.value))
    return Counter(node.attr.value for node in reads if id(node) not in written)


def written_in(root: Any) -> Iterator[Any]:
    """What a piece of code assigns to."""
    setting = (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.NamedExpr)
    return (node.target for node in nodes_in(root) if isinstance(node, setting))


# Layers that drop elements by default, whatever else is not known of their rate; and those that surely have a rate.
DROPOUT = ("dropout", "dropout if asked for")
# Models of timm that have no batch norm, and no dropout unless it is asked for.
OF_TOKENS = re.compile(r"(timm/)?(vit|deit3?|beit(v2)?|eva(02)?|swin(v2)?|mixer|gmlp|convnext(v2)?|cait)_")


def own_mode_layers(interp: Interpreter, module: Instance) -> str | bool | None:
    """The same for one module, without what is inside it."""
    library = interp.library
    if isinstance(module.cls, Api):
        row = library.class_row(module.cls.path)
        if row is None:
            return None
        mode = row.raw.get("mode")
        if mode in DROPOUT:
            holder = module.attrs.get(row.raw.get("holder"))
            if isinstance(holder, Instance) and holder.cls is not None:
                return False  # another stands where all the dropout was
            told = [module.attrs[name] for name in row.raw.get("rates", "p dropout").split() if name in module.attrs]
            low, high = map(max, zip(*map(bounds, told))) if told else (0, int(mode == "dropout"))
            return "dropout" if (high if mode == "dropout" else low) > 0 else False
        if mode == "as told":
            return layers_told(module)
        if mode:
            return str(mode)
        if row.raw.get("forward") == "recurrent":
            p, layers = module.attrs.get("dropout"), module.attrs.get("num_layers")
            several = layers is None or bounds(layers)[1] > 1
            if p is not None and several and layers is not None:
                return "dropout" if bounds(p)[0] > 0 or not isinstance(p, (Const, Number)) else False
            return False
        if "model" in row.raw:
            known: str | bool = const(module.attrs.get("$layers", UNKNOWN), "batch norm")
            return known
        members = module.attrs.get("$children")
        if isinstance(members, ListObject):
            held = members.items if members.items is not None else (members.attrs["element"],)
            return (
                False
                if all(isinstance(o, Instance) and o.family == "module" for m in held for o in options(m))
                else None
            )
    elif isinstance(module.cls, Class):
        if functional_dropout(module.cls):
            return "dropout"
        return False if all(library.class_row(path) is not None for path in module.cls.api) else None
    else:
        return None
    return False


def layers_told(module: Instance) -> str | bool:
    """What of a ready-made net depends on its mode: the norm and the rate of dropout that it was told to have."""
    told = [value for name, value in module.attrs.items() if str(name) in ("norm", "norm_name", "norm_layer")]
    names = [part for value in told for part in (value.items if isinstance(value, Tuple) else (value,))]
    if any("batch" in (one.path if isinstance(one, Api) else str(const(one))).lower() for one in names):
        return "batch norm"
    rates = [value for name, value in module.attrs.items() if str(name).startswith(("dropout", "drop_rate"))]
    return "dropout" if any(isinstance(r, (Const, Number)) and bounds(r)[0] > 0 for r in rates) else False


def functional_dropout(cls: Class) -> bool:
    """Whether some method applies `F.dropout` in a way that follows the mode."""
    cached = cls.attrs.get("$dropout")
    if cached is None:
        found = False
        source = cls.space.source
        may_be = source is not None and "self.training" in source.text and "dropout" in source.text
        for member in list(cls.attrs.values()) if may_be else ():
            if isinstance(member, Function) and isinstance(member.node, cst.FunctionDef):
                found = found or any(follows_mode(call) for call in calls_in(member.node))
        cls.attrs["$dropout"] = found
        return found
    return bool(cached)


def follows_mode(call: cst.Call) -> bool:
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else getattr(call.func, "value", "")
    if name not in ("dropout", "dropout2d", "dropout1d", "dropout3d", "alpha_dropout"):
        return False
    values = [a.value for a in call.args if a.keyword is None or a.keyword.value == "training"][-1:]
    return bool(values) and isinstance(values[0], cst.Attribute) and values[0].attr.value == "training"


def calls_in(node: Any) -> list[cst.Call]:
    """The calls in a piece of code."""
    return [inner for inner in nodes_in(node) if inner.__class__ is cst.Call]


# ------------------------------------------------------------------------ members

MANY = 160  # layers that a function given to `apply` is run for one by one


@behaviour("parameters")
def parameters(call: Call) -> Value:
    """`parameters()` and the like: a stream whose source is the module."""
    from trainlint.semantics.behaviours.training import Stream

    module, name = call.receiver, call.short_name  # not as it is written, which may be another name for it
    if not isinstance(module, Instance):
        return UNKNOWN
    if "parameters" in name or "buffers" in name:
        grad = True if module.attrs.get("$frozen", FALSE) is FALSE else None
        leaf = Tensor(graph=grad, deps=frozenset((Dep(module, None, None),)))
        element: Value = Tuple((Text(), leaf)) if name.startswith("named") else leaf
        return Stream(element, module)
    inner = list(modules_in(module)) if "modules" in name else list(children_of(module))
    if not isinstance(module.cls, Class) and len(inner) <= 1:
        part: Value = Instance(None)  # the inside of a ready-made model
        return Sequence(Tuple((Text(), part)) if name.startswith("named") else part, module)
    named: list[Value] = [Tuple((Text(), c)) for c in inner] if name.startswith("named") else list(inner)
    return Sequence(join_all(named), module) if has_more(module) else ListObject(tuple(named))


def has_more(module: Instance) -> bool:
    """Whether there may be members besides those in view: added in a loop, or made by code out of view."""
    return any(
        key.startswith("$member") or (not key.startswith("$") and any(map(may_be_anything, options(value))))
        for key, value in module.attrs.items()
        if isinstance(key, str) and isinstance(value, Value)
    )


def may_be_anything(value: Value) -> bool:
    return value is UNKNOWN or (isinstance(value, Instance) and value.cls is None and not value.family)


@behaviour("module_members")
def module_members(call: Call) -> Value:
    module, name = call.receiver, called(call.node)
    if not isinstance(module, Instance):
        return UNKNOWN
    children = list(children_of(module))
    if name in ("items", "values"):
        members: list[Value] = [Tuple((Text(), c)) for c in children] if name == "items" else list(children)
        return Sequence(join_all(members), module) if has_more(module) else ListObject(tuple(members))
    return Sequence(Text())


@behaviour("add_child")
def add_child(call: Call) -> Value:
    """`append`, `extend`, `insert`, `add_module`."""
    from trainlint.semantics import containers

    interp, module, name = call.interp, call.receiver, called(call.node)
    if not isinstance(module, Instance):
        return UNKNOWN
    values = [*call.arguments.positional[1:], *call.arguments.keywords.values()]
    if name in ("add_module", "register_module", "insert") and len(values) == 2:
        label, value = values
        if isinstance(label, Const) and isinstance(label.value, str):
            interp.library.set_attribute(interp, module, label.value, value, call.node)
            interp.write(module.attrs, label.value, value)
        else:
            interp.write(module.attrs, f"$member{id(call.node)}", value)
    else:
        value = values[0] if values else UNKNOWN
    children = module.attrs.get("$children")
    if not isinstance(children, ListObject):
        if not interp.library.class_row(module.api_path) and not isinstance(module.cls, Class):
            return module
        children = ListObject()
        interp.write(module.attrs, "$children", children)
    if name == "extend":
        containers.extend(interp, children, value)
    else:
        containers.append(interp, children, value)
    interp.modules.filled(interp, module, value)
    return module


@behaviour("module_itself")
def module_itself(call: Call) -> Value:
    module = call.receiver
    if isinstance(module, Instance) and called(call.node) == "requires_grad_":
        wanted = call.value("requires_grad", 1)
        frozen = truth(wanted) is False if wanted is not None else False
        from trainlint.semantics.behaviours.training import freeze

        freeze(call.interp, module, TRUE if frozen else FALSE, call.node)
        if not frozen:
            call.interp.event("released", call.node)
    return module if module is not None else UNKNOWN


@behaviour("freeze_module")
def freeze_module(call: Call) -> Value:
    """Lightning's `freeze()` switches to eval mode as well, and `unfreeze()` back to train mode."""
    from trainlint.semantics.behaviours.training import freeze

    thawed = called(call.node) == "unfreeze"
    if isinstance(call.receiver, Instance):
        freeze(call.interp, call.receiver, FALSE if thawed else TRUE, call.node)
        switch(call, TRUE if thawed else FALSE)
    return NONE


@behaviour("register_buffer")
def register_buffer(call: Call) -> Value:
    """A buffer takes no gradients; what it holds may be loaded or filled later, in the same shape."""
    module, name, tensor = call.receiver, const(call.value("name", 1) or UNKNOWN), call.value("tensor", 2)
    if isinstance(module, Instance) and isinstance(name, str) and isinstance(tensor, Tensor) and tensor.lib == "torch":
        cls = module.cls
        kept = (
            isinstance(cls, Class) and not call.interp.modules.own(cls).stores[name] and 0 not in (tensor.shape or ())
        )
        shape = tensor.shape if kept else None
        call.interp.write(module.attrs, name, Tensor(lib="torch", graph=False, shape=shape))
    return NONE


@behaviour("register_parameter")
def register_parameter(call: Call) -> Value:
    """The same as to assign it, also where it is None."""
    module, name, given = call.receiver, const(call.value("name", 1) or UNKNOWN), call.value("param", 2)
    if isinstance(module, Instance) and given is not None:
        if isinstance(name, str):
            call.interp.write(module.attrs, name, given)
        else:
            call.interp.write(module.attrs, "$registered", (*(module.attrs.get("$registered") or ()), given))
        call.interp.event("released", call.node)
    return NONE


@behaviour("state_dict")
def state_dict(call: Call) -> Value:
    """The weights of a model, not copied: they change as it learns."""
    interp, module = call.interp, call.receiver
    if not isinstance(module, Instance):
        return UNKNOWN
    weights = Instance(None, "weights", interp.step(call.node, "state_dict"))
    weights.attrs["$of"] = (module,)
    weights.attrs["$moved"] = FALSE
    interp.write(interp.flags, WEIGHTS, (*interp.flags.get(WEIGHTS, ()), weights)[-64:])
    return weights


def is_conditional(interp: Interpreter, node: Any) -> bool:
    """Whether a call, or one of those that led to it, stands on a condition other than that the file is run as a
    program."""
    frame: Any = interp.frame
    while frame is not None:
        space = frame.space
        if space.source is not None and any(is_branch(above, space) for above in space.source.index.ancestors(node)):
            return True
        frame, node = frame.caller, frame.call
    return False


def is_branch(node: Any, space: Namespace) -> bool:
    """Whether a node is an `if` that asks something else than whether the file is run as a program."""
    return isinstance(node, cst.If) and all(node.body is not body for body in space.deferred)


@behaviour("load_state_dict")
def load_state_dict(call: Call) -> Value:
    """Restores weights, and tells which did not fit."""
    from trainlint.semantics.behaviours.training import move_weights

    module, given = call.receiver, call.value("state_dict", 1) or UNKNOWN
    if isinstance(module, Instance):
        call.interp.write(module.attrs, "$loaded", TRUE)
        from_file = isinstance(given, Instance) and "$file" in given.attrs  # and not from a model of the program
        call.interp.write(module.attrs, "$restored", TRUE if from_file else FALSE)
        call.interp.event("loaded", call.node, module, is_conditional(call.interp, call.node))
        call.interp.emit("restored", (call.node, module, given))
        if not call.interp.frame.tries:  # what is caught here may be that these weights do not fit
            move_weights(call.interp, lambda owner: owner is module, given)
    mismatch = Instance(None, "mismatch", call.interp.step(call.node, "loaded"))
    mismatch.attrs["$strict"] = call.value("strict", 2) or TRUE
    mismatch.attrs["$pair"] = (module, given)
    return mismatch


@behaviour("initialise")
def initialise(call: Call) -> Value:
    """New content for a tensor: of a layer's weights, it is remembered where that was said."""
    interp = call.interp
    found = False
    for target in options(call.first):
        if isinstance(target, Tensor):
            initialise_all(call, target)
            drawn_anew(call)
        layer = target.attrs.get("$whole") if isinstance(target, Instance) else None
        if not isinstance(layer, Instance) or "$init" not in layer.attrs:
            continue
        if is_weight(layer, target):
            interp.write(layer.attrs, "$init", (call.path, interp.step(call.node, call.short_name)))
            if call.path.endswith("copy_"):
                interp.write(layer.attrs, "$copied", TRUE)
        found = True
    part = call.node.args[0].value if isinstance(call.node, cst.Call) and call.node.args else None
    if isinstance(part, cst.Subscript) and draws(call):
        set_in_part(interp, interp.peek(part.value), call.node)
    if not found and call.path.startswith("opaque."):
        interp.library.escape(interp, call.arguments, call.node)
        return Instance(None)
    if isinstance(call.first, Tensor) and draws_for_plain(call, call.first):
        return call.first.but(lo=-INF, hi=INF, nature=DRAWN)
    return call.first


def is_weight(layer: Instance, value: Value) -> bool:
    """Whether a value is the weight of a layer, or its data."""
    weight = layer.attrs.get("weight")
    return weight is value or (isinstance(weight, Instance) and weight.attrs.get("data") is value)


PART_SET = "torch.Tensor.__setitem__"


def set_in_part(interp: Interpreter, target: Value | None, node: Any) -> None:
    """A part of a layer's weights gets other numbers than the rest."""
    layer = target.attrs.get("$whole") if isinstance(target, Instance) else None
    if isinstance(layer, Instance) and layer.attrs.get("$init") and is_weight(layer, target or UNKNOWN):
        interp.write(layer.attrs, "$init", (PART_SET, interp.step(node, "set in part")))


# Initialisations that draw nothing: the bounds of what they fill say all.
FIXED = frozenset(("torch.nn.init.zeros_", "torch.nn.init.ones_", "torch.nn.init.constant_"))


# What a plain tensor is that initial weights were drawn for.
DRAWN = "initial weights"


def drawn_anew(call: Call) -> None:
    """A tensor that is initialised at random forgets the values that it was made with."""
    node = call.node.args[0].value if isinstance(call.node, cst.Call) and call.node.args else None
    while isinstance(node, cst.Attribute) and node.attr.value == "data":
        node = node.value
    owner = call.interp.peek(node)
    if not isinstance(owner, Tensor) or not draws(call) or not (owner.graph or draws_for_plain(call, owner)):
        return
    changed = owner.but(lo=-INF, hi=INF, nature="a parameter" if owner.graph else DRAWN)
    call.interp.modules.same(owner, changed)
    call.interp.mutate(node, changed)


def draws(call: Call) -> bool:
    """Whether a call draws initial weights at random."""
    return call.path.startswith("torch.nn.init.") and call.path not in FIXED


def draws_for_plain(call: Call, tensor: Tensor) -> bool:
    """Whether initial weights are drawn for a plain tensor of PyTorch, made of nothing else."""
    return draws(call) and tensor.graph is False and tensor.lib == "torch" and not tensor.deps


def initialise_all(call: Call, target: Tensor) -> None:
    """New content for what stands for each parameter of a module: for the weights of all layers, where a loop makes no
    difference but between them and vectors. Remembered beside what is said of single layers, which counts first."""
    owners = [dep.module for dep in target.deps if dep.node is None]
    if len(owners) != 1 or owners[0].family != "module":
        return
    for_all = for_matrices(call)
    if for_all is None:
        return
    drawn = (call.path, call.interp.step(call.node, call.short_name)) if for_all else None
    for layer in modules_in(owners[0]):
        if "$init" in layer.attrs:
            layer.attrs["$all"] = drawn  # past the journal, as the branch for vectors is no alternative to this one


def for_matrices(call: Call) -> bool | None:
    """Whether a call is made for each matrix that the loop around it comes to: `if p.dim() > 1`, or no condition. None
    where it is made for the vectors beside them."""
    source, inner, always = call.interp.frame.space.source, call.node, True
    for outer in source.index.ancestors(inner) if source is not None else ():
        if isinstance(outer, cst.For):
            return always
        if isinstance(outer, cst.If):
            asked = asks_for_matrices(outer.test)
            if asked and not contains(outer.body, inner):
                return None
            always = always and asked
        if isinstance(outer, cst.FunctionDef):
            break
    return False


def asks_for_matrices(test: Any) -> bool:
    """Whether a condition holds for all tensors of two axes or more, or all weights by their names: `p.dim() > 1`,
    `len(p.shape) >= 2`, `"weight" in name`, `name.endswith("weight")`."""
    if called(test) == "endswith":
        return is_weight_name(test.args[0].value) if test.args else False
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    operator, bound = test.comparisons[0].operator, getattr(test.comparisons[0].comparator, "value", "")
    if isinstance(operator, cst.In):
        return is_weight_name(test.left)
    axes = any(name in ("dim", "ndim", "ndimension", "shape", "size") for name in names_in(test.left))
    return axes and (operator.__class__, bound) in ((cst.GreaterThan, "1"), (cst.GreaterThanEqual, "2"))


def is_weight_name(node: Any) -> bool:
    return isinstance(node, cst.SimpleString) and node.evaluated_value in ("weight", ".weight")


@behaviour("apply_function")
def apply_function(call: Call) -> Value:
    """`module.apply(fn)`: fn sees every module inside."""
    interp, module, function = call.interp, call.receiver, call.value("fn", 1)
    if isinstance(module, Instance) and isinstance(function, (Function, Method)):
        from trainlint.semantics.interpreter import Arguments

        inner = [m for m in modules_in(module) if "$init" in m.attrs]
        if not inner or len(inner) > MANY:
            interp.call(function, Arguments([Instance(None, "")]), call.node)
        for layer in inner if len(inner) <= MANY else ():
            interp.call(function, Arguments([layer]), call.node)
    return module if module is not None else UNKNOWN


@behaviour("decollated")
def decollated(call: Call) -> Value:
    """`decollate_batch(batch)`: the samples of a batch, as a list."""
    one = call.first
    if isinstance(one, Tensor):
        one = one.but(shape=None if one.shape is None else one.shape[1:], last=one.last, batched=False)
    return ListObject(None, one)


@behaviour("windowed")
def windowed(call: Call) -> Value:
    """`sliding_window_inference(inputs, size, batch, network)`: what a net makes of an image, window by window."""
    network, inputs = call.value("network"), call.value("inputs") or UNKNOWN
    if network is None:
        return UNKNOWN
    call.interp.event("lent", call.node)
    given = inputs.but(shape=None) if isinstance(inputs, Tensor) else inputs
    return call.interp.call(network, type(call.arguments)([given]), call.node)


@behaviour("overlap_loss")
def overlap_loss(call: Call) -> Value:
    """A loss on the overlap of masks, which makes shares of raw scores itself if it is told to."""
    told = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    for name in ("softmax", "sigmoid"):
        if truth(told.get(name, FALSE)) is True:
            return loss_of_shares(call, name)
    return loss(call)


def loss_of_shares(call: Call, name: str) -> Value:
    """A loss on what it makes of the scores that it is given."""
    call.arguments.positional = [make_shares(call, name, call.first), *call.arguments.positional[1:]]
    return loss(call)


def make_shares(call: Call, name: str, scores: Value) -> Value:
    """What a softmax over the channels, or a sigmoid, makes of scores."""
    row = call.interp.library.row("torch.sigmoid" if name == "sigmoid" else "torch.nn.functional.softmax")
    if row is None:
        return UNKNOWN
    given = [scores] if name == "sigmoid" else [scores, Const(1)]
    told = type(call.arguments)(given, {}, call.arguments.nodes[:1])
    return call.interp.library.perform(call.interp, row, told, call.node, actual=row.name)


@behaviour("mask_loss")
def mask_loss(call: Call) -> Value:
    """A loss on masks of a kind that its mode tells, which makes shares of raw scores itself unless told not to."""
    told = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    mode = told.get("mode", NONE)
    kind = mode.path.rpartition(".")[2].removesuffix("_MODE").lower() if isinstance(mode, Api) else const(mode)
    name = {"binary": "sigmoid", "multilabel": "sigmoid", "multiclass": "softmax"}.get(str(kind))
    if name is not None and truth(told.get("from_logits", TRUE)) is True and "$open" not in told:
        return loss_of_shares(call, name)
    return loss(call)


@behaviour("masks")
def masks(call: Call) -> Value:
    """A ready-made model for segmentation: raw scores of each pixel, or what an activation at its end makes of them."""
    told = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    if "$open" in told or told.get("aux_params", NONE).key != NONE.key:
        return UNKNOWN
    scores, then = BEHAVIOURS["linear"](call), told.get("activation", NONE)
    if const(then) in ("sigmoid", "softmax", "softmax2d"):
        return make_shares(call, str(const(then)).removesuffix("2d"), scores)
    return scores if then.key == NONE.key or const(then) == "identity" else UNKNOWN


@behaviour("first")
def first(call: Call) -> Value:
    """Wrappers that change nothing a reader cares for: `DataParallel`, `compile`, `script`."""
    return call.first


@behaviour("traced")
def traced(call: Call) -> Value:
    """`torch.jit.trace`: a function computes what it did before; a model keeps the mode that it is traced in."""
    if isinstance(call.first, (Function, Method)):
        return call.first
    call.interp.library.escape(call.interp, call.arguments, call.node)
    return UNKNOWN


@behaviour("distributed_model")
def distributed_model(call: Call) -> Value:
    """`DistributedDataParallel`: the model itself, marked as one of several processes' copies."""
    for option in options(call.first):
        if isinstance(option, Instance):
            call.interp.write(option.attrs, "$distributed", TRUE)
    return call.first


@behaviour("second")
def second(call: Call) -> Value:
    positional = call.arguments.positional
    return positional[1] if len(positional) > 1 else UNKNOWN


@behaviour("apply_module")
def apply_module(call: Call) -> Value:
    """`checkpoint(module, *inputs)` and `data_parallel(module, inputs)`: call the first with the rest."""
    from trainlint.semantics.interpreter import Arguments

    rest = Arguments(call.arguments.positional[1:], {}, call.arguments.nodes[1:])
    value = call.interp.call(call.first, rest, call.node)
    return value if value is not UNKNOWN else Tensor()


@behaviour("copy")
def copy(call: Call) -> Value:
    """A deep copy: an object of its own, in the same state."""
    if isinstance(call.first, Instance) and call.first.family == "weights" and call.actual == "copy.copy":
        return call.first  # the same tensors in another dict
    return duplicate(call.interp, call.first, {})


@behaviour("averaged")
def averaged(call: Call) -> Value:
    """`AveragedModel(model)`: a copy of a model, which follows it without gradients; it stands for the copy within."""
    copied = duplicate(call.interp, call.first, {})
    for inner in modules_in(copied) if isinstance(copied, Instance) and copied.family == "module" else ():
        call.interp.write(inner.attrs, "$edited", TRUE)
    return copied


def duplicate(interp: Interpreter, value: Value, seen: dict[int, Value], depth: int = 0) -> Value:
    if depth > 8:
        return value
    if isinstance(value, Union):
        return join_all([duplicate(interp, option, seen, depth + 1) for option in value.options])
    if isinstance(value, Instance):
        if value.family == "weights":
            return Instance(None)
        if id(value) in seen:
            return seen[id(value)]
        twin = Instance(value.cls, value.family, value.born)
        seen[id(value)] = twin
        interp.modules.twin(value, twin)
        for name, item in value.attrs.items():
            twin.attrs[name] = duplicate(interp, item, seen, depth + 1) if isinstance(item, Value) else item
        return twin
    if isinstance(value, ListObject):
        if value.items is None:
            return ListObject(None, duplicate(interp, value.attrs["element"], seen, depth + 1))
        return ListObject(tuple(duplicate(interp, i, seen, depth + 1) for i in value.items))
    if isinstance(value, DictObject):
        return DictObject({k: duplicate(interp, v, seen, depth + 1) for k, v in value.attrs.items()})
    return value


FILES = ("torch.load", "pickle.load", "joblib.load", "dill.load", "cloudpickle.load")


@behaviour("opaque")
def opaque(call: Call) -> Value:
    """Something loaded from outside: an object of its own, of which nothing is known."""
    loaded = Instance(None)
    if call.actual in FILES:
        loaded.attrs["$file"] = TRUE
        loaded.attrs["$made"] = (sameness(call.first),)
    return loaded


@behaviour("nothing")
def nothing(call: Call) -> Value:
    return UNKNOWN


@behaviour("model")
def model(call: Call) -> Value:
    """A ready-made model: raw scores come out, and some layers depend on the mode."""
    instance = Instance(Api(call.actual), "module", call.interp.step(call.node, call.short_name))
    call.interp.write(instance.attrs, "training", TRUE)
    for name in ("num_classes", "dropout"):
        if name in call.arguments.keywords:
            instance.attrs[name] = call.arguments.keywords[name]
    if is_pretrained(call):
        instance.attrs["$pretrained"] = TRUE
    named = const(call.value("model_name", 0) or UNKNOWN) if call.short_name == "create_model" else None
    if isinstance(named, str) and OF_TOKENS.match(named):
        instance.attrs["$layers"] = Const("dropout" if any("drop" in k for k in call.arguments.keywords) else False)
    return instance


# Names of timm's models whose images are scaled as torchvision does; others have constants of their own, or none.
LIKE_TORCHVISION = re.compile(
    r"(?!.*clip)(resnet|resnext|wide_resnet|seresnet|seresnext|vgg|densenet|regnet[xy]_|convnext_|swin_|deit_|efficientnet_b)\w*"
)


def is_pretrained(call: Call) -> bool:
    """Whether a ready-made model surely has weights learnt on ImageNet, from images scaled as torchvision does."""
    first = call.arguments.positional[0] if call.arguments.positional else UNKNOWN
    keywords = call.arguments.keywords
    if call.short_name == "create_model":
        named, asked = const(call.value("model_name", 0) or UNKNOWN), const(call.value("pretrained", 1) or UNKNOWN)
        known = isinstance(named, str) and LIKE_TORCHVISION.match(named) is not None
        return known and asked is True and "in_chans" not in keywords and not call.arguments.open
    value = keywords.get("pretrained", keywords.get("weights", first))
    if not call.actual.startswith("torchvision.models."):
        return False
    name = call.short_name
    if re.search(r"\.(detection|quantization|optical_flow|video|inception|googlenet)\.", call.actual):
        return False
    if name.startswith(("inception", "googlenet")) or "rcnn" in name or name.endswith(("_fpn", "_Weights")):
        return False
    if isinstance(value, Const):
        return value.value is True or (
            isinstance(value.value, str) and value.value.startswith(("IMAGENET1K", "DEFAULT"))
        )
    return isinstance(value, Api) and "_Weights." in value.path
