"""JAX and its libraries: functions that differentiate others, optimizers and training states that are values, the
variables of a model, and modules that are functions of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainlint.semantics.behaviours.keras import (
    MAPPED,
    differentiated,
    for_tensors,
    noisy,
    put_through,
    recorded,
    run_model,
)
from trainlint.semantics.behaviours.tensors import DRAWN
from trainlint.semantics.behaviours.training import stepped
from trainlint.semantics.journal import widen
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.shapes import size
from trainlint.semantics.values import (
    FALSE,
    INF,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Const,
    Dep,
    DictObject,
    Instance,
    ListObject,
    Method,
    Number,
    Tensor,
    Tuple,
    Value,
    bounds,
    const,
    cut,
    is_number,
    join_all,
    options,
    truth,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter


def like(call: Call, family: str) -> Instance:
    """A new object that the call makes, of no class that is in view."""
    return Instance(Api(call.actual), family, call.interp.step(call.node, call.short_name))


def copied(given: Instance, **changes: Value) -> Instance:
    """A new version of a state or a model that is never changed in place."""
    new = Instance(given.cls, given.family, given.born)
    new.attrs.update(given.attrs)
    new.attrs.update(changes)
    return new


# ---------------------------------------------------------------- differentiation


@behaviour("jax_gradient")
def gradient(call: Call) -> Value:
    """A function that gives the gradients of another one, and its value if that is asked for."""
    made = like(call, "jax_gradient")
    made.attrs["$function"] = call.value("fun", 0) or UNKNOWN
    made.attrs["$value"] = Const("value" in call.short_name)
    aux = call.value("has_aux")
    made.attrs["$aux"] = FALSE if aux is None else aux
    place = const(call.value("argnums") or Const(0))
    made.attrs["$place"] = Const(place) if isinstance(place, int) else UNKNOWN
    return made


def as_constant(tensor: Tensor) -> Tensor:
    """The same numbers, which no gradient goes through."""
    return tensor.but(graph=False, deps=cut(tensor.deps))


@behaviour("jax_differentiate")
def differentiate(call: Call) -> Value:
    """Run the function of which gradients are asked, and give them as it was told to."""
    interp, asked = call.interp, call.receiver
    if not isinstance(asked, Instance):
        return UNKNOWN
    place = const(asked.attrs["$place"])
    given = call.arguments.positional[1:]
    if isinstance(place, int):  # the others are constants to it
        given = [value if at == place else for_tensors(value, as_constant) for at, value in enumerate(given)]
    rest = type(call.arguments)(
        given, call.arguments.keywords, call.arguments.nodes[1:], call.arguments.keyword_nodes, call.arguments.open
    )
    with differentiated(interp):
        value = interp.call(asked.attrs["$function"], rest, call.node)
    aux = truth(asked.attrs["$aux"])
    loss = value.items[0] if aux and isinstance(value, Tuple) and value.items else value if aux is False else UNKNOWN
    judged = loss if isinstance(loss, Tensor) else Tensor()
    interp.event("backward", call.node, judged, None, True)
    interp.emit("backward", (call.node, judged))
    value = for_tensors(value, as_constant)
    of = rest.positional[place] if isinstance(place, int) and 0 <= place < len(rest.positional) else UNKNOWN
    grads = Instance(Api("jax.gradients"), "tree", interp.step(call.node, "gradients"))
    grads.attrs["$of"] = of
    if aux is None:
        return UNKNOWN
    if truth(asked.attrs["$value"]):
        return Tuple((value, grads))
    if aux:
        return Tuple((grads, value.items[1] if isinstance(value, Tuple) and len(value.items) == 2 else UNKNOWN))
    return grads


@behaviour("jax_vmap")
def vectorised(call: Call) -> Value:
    """A function of batches that another one of single samples makes."""
    function = call.value("fun", 0)
    if function is None:
        return UNKNOWN
    made = like(call, "jax_vmap")
    made.attrs["$function"], made.attrs["$axes"] = function, call.value("in_axes", 1) or Const(0)
    return made


@behaviour("jax_mapped")
def mapped(call: Call) -> Value:
    """Run the function on a sample of what is given, and give its results for all of them."""
    interp, asked = call.interp, call.receiver
    if not isinstance(asked, Instance):
        return UNKNOWN
    axes, given = asked.attrs["$axes"], call.arguments.positional[1:]
    each = interp.known_items(axes) if isinstance(axes, (Tuple, ListObject)) else (axes,) * len(given)
    if each is None or len(each) != len(given):
        each = (UNKNOWN,) * len(given)
    samples = [
        for_tensors(value, sample if const(axis) == 0 else unlike) if axis.key != NONE.key else value
        for value, axis in zip(given, each, strict=True)
    ]
    rest = type(call.arguments)(
        samples, call.arguments.keywords, call.arguments.nodes[1:], call.arguments.keyword_nodes, call.arguments.open
    )
    outer = interp.read(interp.flags, MAPPED)
    interp.write(interp.flags, MAPPED, TRUE)
    result = interp.call(asked.attrs["$function"], rest, call.node)
    interp.write(interp.flags, MAPPED, TRUE if outer is TRUE else FALSE)
    return for_tensors(result, of_all)


def sample(tensor: Tensor) -> Tensor:
    """One of those that are along the first axis."""
    return tensor.but(shape=tensor.shape[1:] if tensor.shape else None, last=tensor.last, batched=False)


def unlike(tensor: Tensor) -> Tensor:
    """One of those that are along another axis."""
    return tensor.but(shape=None, batched=False)


def of_all(tensor: Tensor) -> Tensor:
    """The same of all samples, along a first axis."""
    return tensor.but(shape=None if tensor.shape is None else (None, *tensor.shape), last=tensor.last, batched=True)


# ------------------------------------------------------------ loops that are functions


def taken_from(interp: Interpreter, tree: Value | None) -> Value:
    """What each turn gets of arrays that a loop walks over: each array's item."""
    if tree is None or (isinstance(tree, Const) and tree.value is None):
        return NONE
    if isinstance(tree, (Tuple, DictObject)):
        return rebuilt(tree, lambda at: taken_from(interp, part_at(tree, at)))
    return interp.element_of(tree)


def turns(
    interp: Interpreter, node: object, body: Value, carried: Value, given: Callable[[Value], list[Value]]
) -> Value:
    """What a loop's body gives at the end: it is run twice, the second time on what the first has left."""
    from trainlint.semantics.interpreter import Arguments

    result: Value = UNKNOWN
    for _ in range(2):
        result = interp.call(body, Arguments(given(carried)), node)
        left = result.items[0] if isinstance(result, Tuple) and len(result.items) == 2 else result
        carried = widened(carried, left)
    return result


def widened(old: Value, new: Value) -> Value:
    """What is carried from turn to turn, part by part."""
    if isinstance(old, Tuple) and isinstance(new, Tuple) and len(old.items) == len(new.items):
        return Tuple(tuple(map(widened, old.items, new.items)), new.names)
    return widen(old, new) if is_number(old) and is_number(new) else new


@behaviour("jax_map")
def map_leaves(call: Call) -> Value:
    """`tree_map(f, tree, *rest)`: the same tree, with what a function makes of its arrays."""
    from trainlint.semantics.interpreter import Arguments

    interp, (function, *trees) = call.interp, call.arguments.positional or [UNKNOWN]

    def mapped(parts: list[Value]) -> Value:
        first = parts[0]
        if isinstance(first, (Tuple, DictObject)):
            return rebuilt(first, lambda at: mapped([part_at(part, at) for part in parts]))
        if isinstance(first, Tensor):
            return interp.call(function, Arguments(parts), call.node)
        return copied(first) if isinstance(first, Instance) and first.family == "tree" else UNKNOWN

    return mapped(trees) if trees else UNKNOWN


def rebuilt(tree: Tuple | DictObject, part: Callable[[Any], Value]) -> Value:
    """A tree like this one, of other parts."""
    if isinstance(tree, Tuple):
        return Tuple(tuple(map(part, range(len(tree.items)))), tree.names)
    return DictObject({name: part(name) for name in tree.attrs})


def part_at(tree: Value, at: Any) -> Value:
    """The part of a tree at a place, if it has one."""
    if isinstance(tree, Tuple):
        return tree.items[at] if isinstance(at, int) and at < len(tree.items) else UNKNOWN
    return tree.attrs.get(at, UNKNOWN) if isinstance(tree, DictObject) else UNKNOWN


@behaviour("jax_scan")
def scan(call: Call) -> Value:
    """`scan(f, init, xs)`: what is carried at the end, and what all turns gave, in arrays."""
    given = taken_from(call.interp, call.value("xs", 2))
    body, begun = call.value("f", 0) or UNKNOWN, call.value("init", 1) or UNKNOWN
    result = turns(call.interp, call.node, body, begun, lambda carried: [carried, given])
    if not isinstance(result, Tuple) or len(result.items) != 2:
        return UNKNOWN
    length = size(call.value("length", 3))

    def stacked(tensor: Tensor) -> Tensor:
        shape = None if tensor.shape is None else (length, *tensor.shape)
        return tensor.but(shape=shape, last=tensor.last, batched=False)

    return Tuple((result.items[0], for_tensors(result.items[1], stacked)))


@behaviour("jax_fori")
def fori_loop(call: Call) -> Value:
    """`fori_loop(lower, upper, body_fun, init_val)`: what is carried at the end."""
    begun = call.value("init_val", 3) or UNKNOWN
    index = Number(0, INF, True)
    return turns(call.interp, call.node, call.value("body_fun", 2) or UNKNOWN, begun, lambda carried: [index, carried])


# ------------------------------------------------------- variables, optimizers, states


@behaviour("jax_variables")
def variables(call: Call) -> Value:
    """The variables of a model, or a part of them by name."""
    owner = call.receiver
    if isinstance(owner, Instance) and owner.family == "tree":
        name = call.value("name", 1)
        if not isinstance(name, Const) or not isinstance(name.value, str):
            return UNKNOWN
        part = owner.attrs.get(name.value)
        if not isinstance(part, Instance):
            part = Instance(owner.cls, "tree", owner.born)
            call.interp.write(owner.attrs, name.value, part)
        return part
    return like(call, "tree")


@behaviour("jax_leaves")
def leaves(call: Call) -> Value:
    """The arrays in the variables of a model: its weights."""
    tree = call.first
    if not isinstance(tree, Instance) or tree.family != "tree":
        return UNKNOWN
    graph = recorded(call.interp)
    own = frozenset((Dep(tree, None, None, graph is not False),))
    return ListObject(None, Tensor(lib="keras", graph=graph, deps=own))


@behaviour("jax_loaded")
def loaded(call: Call) -> Value:
    """A model like the given one, with weights from a file."""
    given = call.value("like", 1) or UNKNOWN
    return copied(given) if isinstance(given, Instance) else UNKNOWN


@behaviour("haiku_init")
def begin_transformed(call: Call) -> Value:
    """`init(key, …)`: the variables, and the state of layers that keep one."""
    pair = call.receiver
    made = like(call, "tree")
    has_state = isinstance(pair, Instance) and pair.attrs["$stateful"].key == TRUE.key
    return Tuple((made, UNKNOWN)) if has_state else made


@behaviour("optax_optimizer")
def optimizer(call: Call) -> Value:
    made = like(call, "optax")
    if call.row.params:
        made.attrs.update(zip(call.row.params, call.arguments.positional))
        made.attrs.update(call.arguments.keywords)
    else:
        made.attrs["$parts"] = tuple(v for v in call.arguments.values() if isinstance(v, Instance))
    return made


@behaviour("optax_begin")
def begin(call: Call) -> Value:
    """The state of an optimizer before the first step."""
    made = like(call, "optimizer_state")
    call.interp.event("begun", call.node, made, has_learnt(call.value("params", 1)))
    return made


LEARNT = "$learnt"  # of parameters, or of the model that has them: a step has been made with them


def has_learnt(params: Value | None) -> bool:
    """Whether parameters may be what a step has left."""
    return any(isinstance(o, Instance) and o.attrs.get(LEARNT) is TRUE for o in options(params or UNKNOWN))


def advance(interp: Interpreter, node: object, state: Value | None) -> None:
    """Note that a state was taken one step further."""
    interp.event("advanced", node, state if isinstance(state, Instance) else None)


def rate(call: Call, optimizer: Value | None) -> None:
    """Note that an optimizer makes steps at its rate."""
    if isinstance(optimizer, Instance) and "learning_rate" in optimizer.attrs:
        call.interp.event("rated", call.node, optimizer)
    for part in optimizer.attrs.get("$parts", ()) if isinstance(optimizer, Instance) else ():
        rate(call, part)


@behaviour("optax_update")
def update(call: Call) -> Value:
    """The updates for the parameters, and the optimizer's next state."""
    advance(call.interp, call.node, call.value("state", 2))
    rate(call, call.receiver)
    updates = Instance(Api("optax.updates"), "tree", call.interp.step(call.node, "updates"))
    return Tuple((updates, Instance(Api("optax.state"), "optimizer_state", call.interp.step(call.node, "state"))))


@behaviour("optax_apply")
def apply_updates(call: Call) -> Value:
    """The parameters, or the model that has them, after a step."""
    given = call.value("params", 0)
    stepped(call.interp, call.node, UNKNOWN)
    advance(call.interp, call.node, given)
    return copied(given, **{LEARNT: TRUE}) if isinstance(given, Instance) else UNKNOWN


@behaviour("flax_state")
def state(call: Call) -> Value:
    """A training state: what it was made of, under the same names."""
    made = Instance(Api(call.actual.rpartition(".")[0]), "flax_state", call.interp.step(call.node, "TrainState"))
    made.attrs.update(call.arguments.keywords)
    call.interp.event("begun", call.node, made, has_learnt(call.arguments.keywords.get("params")))
    return made


@behaviour("flax_replace")
def replace(call: Call) -> Value:
    given = call.receiver
    if STATISTICS in call.arguments.keywords or call.arguments.open:
        call.interp.event("statistics", call.node, True)
    return copied(given, **call.arguments.keywords) if isinstance(given, Instance) else UNKNOWN


STATISTICS = "batch_stats"  # what Flax calls the running statistics of batch norm


@behaviour("flax_step")
def step(call: Call) -> Value:
    """The training state after a step with these gradients."""
    given = call.receiver
    stepped(call.interp, call.node, UNKNOWN)
    advance(call.interp, call.node, given)
    if not isinstance(given, Instance):
        return UNKNOWN
    rate(call, given.attrs.get("tx"))
    if STATISTICS in given.attrs:
        call.interp.event("statistics", call.node, STATISTICS in call.arguments.keywords or call.arguments.open)
    changes = {name: value for name, value in call.arguments.keywords.items() if name != "grads"}
    params = given.attrs.get("params")
    if isinstance(params, Instance):
        changes.setdefault("params", copied(params, **{LEARNT: TRUE}))
    return copied(given, **changes)


@behaviour("nnx_update")
def update_in_place(call: Call) -> Value:
    """A step of an optimizer that holds its model."""
    stepped(call.interp, call.node, UNKNOWN)
    rate(call, call.receiver.attrs.get("tx") if isinstance(call.receiver, Instance) else None)
    return UNKNOWN


# ---------------------------------------------------------------- random numbers


@behaviour("jax_normal")
def normal(call: Call) -> Value:
    return Tensor(lib="keras", graph=False, nature="random numbers", data=DRAWN)


@behaviour("jax_uniform")
def uniform(call: Call) -> Value:
    (lo, _), (_, hi) = (bounds(call.value(name) or Const(end)) for name, end in (("minval", 0.0), ("maxval", 1.0)))
    return Tensor(lib="keras", graph=False, lo=lo, hi=hi, data=DRAWN)


# ---------------------------------------------------------------------- modules


@behaviour("flax_apply")
def apply(call: Call) -> Value:
    """`model.apply(variables, inputs)`: the module's call, without the variables."""
    rest = type(call.arguments)(
        call.arguments.positional[2:],
        {
            k: v
            for k, v in call.arguments.keywords.items()
            if k not in ("rngs", "mutable", "method", "capture_intermediates")
        },
        call.arguments.nodes[2:],
    )
    if "method" in call.arguments.keywords or not call.arguments.positional:
        return UNKNOWN
    result = put_through(call.interp, call.arguments.positional[0], rest, call.node)
    mutable = call.arguments.keywords.get("mutable")
    if mutable is None or (isinstance(mutable, Const) and mutable.value is False):
        return result
    if isinstance(mutable, Const) or call.interp.known_items(mutable):
        return Tuple((result, UNKNOWN))
    return UNKNOWN


@behaviour("haiku_transform")
def transform(call: Call) -> Value:
    """A function that uses modules, as a pair of pure functions."""
    made = like(call, "haiku")
    made.attrs["$function"] = call.first
    made.attrs["$stateful"] = Const("with_state" in call.short_name)
    made.attrs["$key"] = TRUE
    return made


@behaviour("stax_layer")
def stax_layer(call: Call) -> Value:
    """`stax.Dense(…)`: a layer as a pair of pure functions, which make its parameters and apply it."""
    path = str(call.row.raw["layer"])
    known = call.interp.library.class_row(path) is not None
    return as_functions(
        call, call.interp.library.call(call.interp, path, call.arguments, call.node) if known else Api(path)
    )


@behaviour("stax_serial")
def stax_serial(call: Call) -> Value:
    """`stax.serial(…)`: layers one after the other, as such a pair."""
    layers = [applied_by(layer) for layer in call.arguments.positional]
    if call.arguments.open or UNKNOWN in layers:
        return UNKNOWN
    given = type(call.arguments)([ListObject(tuple(layers))])
    return as_functions(call, call.interp.library.call(call.interp, "flax.linen.Sequential", given, call.node))


def as_functions(call: Call, function: Value) -> Tuple:
    made = like(call, "haiku")
    made.attrs.update({"$function": function, "$stateful": FALSE, "$key": FALSE})
    pair = (Method(made, "init"), Method(made, "apply"))
    return Tuple((*pair, UNKNOWN) if call.actual.startswith("neural_tangents.") else pair)


def applied_by(layer: Value) -> Value:
    """What a pair of functions applies; those of layers without parameters are constants."""
    if isinstance(layer, Api):
        return layer
    apply = layer.items[1] if isinstance(layer, Tuple) and len(layer.items) > 1 else None
    pair = apply.receiver if isinstance(apply, Method) else None
    return pair.attrs.get("$function", UNKNOWN) if isinstance(pair, Instance) else UNKNOWN


@behaviour("haiku_keyless")
def keyless(call: Call) -> Value:
    """The same pair, whose `apply` takes no random key."""
    return copied(call.first, **{"$key": FALSE}) if isinstance(call.first, Instance) else UNKNOWN


@behaviour("haiku_apply")
def apply_transformed(call: Call) -> Value:
    """`apply(params, state, key, …)`: the function that was transformed."""
    pair = call.receiver
    if not isinstance(pair, Instance):
        return UNKNOWN
    skip = 2 + (pair.attrs["$stateful"].key == TRUE.key) + (pair.attrs["$key"].key == TRUE.key)
    names = ("params", "state", "rng")
    rest = type(call.arguments)(
        call.arguments.positional[skip:],
        {k: v for k, v in call.arguments.keywords.items() if k not in names},
        call.arguments.nodes[skip:],
    )
    given = call.arguments.keywords.keys() & set(names)
    if given:
        rest.positional = call.arguments.positional[skip - len(given) :]
    result = run_model(
        call.interp, pair, rest, call.node, lambda: call.interp.call(pair.attrs["$function"], rest, call.node)
    )
    return Tuple((result, UNKNOWN)) if pair.attrs["$stateful"].key == TRUE.key else result


@behaviour("frozen_copy")
def frozen_copy(call: Call) -> Value:
    """A model in inference mode, or out of it."""
    mode = call.value("value", 1)
    inference = True if mode is None else truth(mode)
    training = UNKNOWN if inference is None else Const(not inference)
    given = (model for model in options(call.first) if isinstance(model, Instance) and model.cls is not None)
    found = [copied(model, training=training) for model in given]
    return join_all(found) if found else UNKNOWN


@behaviour("equinox_make")
def make(call: Call) -> Value:
    """What makes a model and the state of its layers."""
    maker = like(call, "equinox_make")
    maker.attrs["$model"] = call.first
    return maker


@behaviour("equinox_made")
def made_with_state(call: Call) -> Value:
    maker = call.receiver
    rest = type(call.arguments)(call.arguments.positional[1:], call.arguments.keywords, call.arguments.nodes[1:])
    model = call.interp.call(maker.attrs["$model"], rest, call.node) if isinstance(maker, Instance) else UNKNOWN
    return Tuple((model, UNKNOWN))


@behaviour("equinox_noisy")
def noisy_with_state(call: Call) -> Value:
    """A layer that gives its state beside what it puts out."""
    return Tuple((noisy(call), UNKNOWN))


@behaviour("nnx_mode")
def switch(call: Call) -> Value:
    """`model.train()` and `model.eval()`, of modules that remember their mode."""
    model = call.receiver
    if isinstance(model, Instance):
        known = call.short_name in ("train", "eval")  # else attributes are set one by one
        mode: Value = Const(call.short_name == "train") if known else UNKNOWN
        call.interp.write(model.attrs, "training", mode)
        call.interp.write(model.attrs, "$explicit", TRUE)
        call.interp.event("mode", call.node, model, truth(mode))
    return UNKNOWN


@behaviour("haiku_noisy")
def noisy_by_position(call: Call) -> Value:
    """A layer whose second argument says whether it is trained."""
    rest = call.arguments
    if len(rest.positional) > 1 and "is_training" not in rest.keywords:
        rest.keywords = {**rest.keywords, "is_training": rest.positional[1]}
    result = noisy(call)
    return result.plain() if isinstance(result, Tensor) else result
