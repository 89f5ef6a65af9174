"""The step: gradients, optimizers, schedulers, scalers, and whether gradients are recorded.

An optimizer's `$state` is the set of states its parameters' gradients may be in:

    clear    zeroed, or never filled
    fresh    filled by a backward, not used yet
    used     used by a step, not cleared since
    stale    filled again on top of used ones: what the step then takes is the sum with an old batch's
    wiped    filled, then cleared before any step used them
    left     filled by a backward after which another optimizer stepped that it filled too
    mixed    filled again on top of what was left: what the step then takes is the sum with another loss's
    ?        unknown
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.journal import MISSING
from trainlint.semantics.library import Call, behaviour, modules_in, severed
from trainlint.semantics.values import (
    ELSEWHERE,
    FALSE,
    INF,
    LEAF,
    NONE,
    TRUE,
    UNKNOWN,
    WEIGHTS,
    Api,
    Const,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Object,
    Partial,
    Sequence,
    Tensor,
    Tuple,
    Union,
    Value,
    const,
    join_all,
    measured_on,
    options,
    truth,
    usual,
)
from trainlint.syntax.code import last_name

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter

ANY = frozenset(("?",))
NO_SCALE = frozenset(("none",))
ANEW = {"left": "mixed", "mixed": "mixed", "?": "?"}
AFTER_BACKWARD = {"clear": "fresh", "fresh": "fresh", "used": "stale", "stale": "stale", "wiped": "fresh", **ANEW}
FILLED = {"fresh": "wiped", "stale": "wiped", "wiped": "wiped", "left": "wiped", "mixed": "wiped"}
AFTER_CLEAR = {"clear": "clear", "used": "clear", "?": "clear", **FILLED}
# The same where it is not known whose gradients are cleared.
AFTER_SOME_CLEAR = {**AFTER_CLEAR, **dict.fromkeys(FILLED, "?")}
AFTER_STEP = {"clear": "clear", "used": "used", "?": "used", **dict.fromkeys(FILLED, "used")}
FILLER = "$filler"  # of an optimizer: the backward that filled its gradients last
OPTIMIZER = re.compile(r"optim|(?:^|_)opt(?:_|$)", re.IGNORECASE)  # what optimizers are called
TOGGLED = "$toggled"  # in the interpreter's flags: a framework turns the gradients of other optimizers off
# Of an optimizer: its state before parts of what it holds were cleared, the modules in them, and where.
PARTS = "$parts"
OPTIMIZERS = "$optimizers"  # in the interpreter's flags: all optimizers made so far


def optimizers(interp: Interpreter) -> tuple[Instance, ...]:
    found: tuple[Instance, ...] = interp.flags.get(OPTIMIZERS, ())
    return found


class Stream(Sequence):
    """`model.parameters()`: a generator, which can be walked through once. Its state lies in `attrs`."""

    __slots__ = ("attrs",)

    def __init__(self, element: Value, source: Value | None) -> None:
        super().__init__(element, source)
        Object.count += 1  # each call makes another one: none is remembered
        self.attrs: dict[str, Value] = {}

    @property
    def key(self) -> object:
        return id(self)  # another one may be walked through while this one is not


def is_spent(interp: Interpreter, value: Value) -> bool:
    """Whether a value is a generator that was walked through already."""
    return isinstance(value, Stream) and interp.read(value.attrs, "$spent") is TRUE


def spend(interp: Interpreter, value: Value) -> None:
    """Walk through a value: a generator is empty from then on."""
    if isinstance(value, Stream):
        interp.write(value.attrs, "$spent", TRUE)


def learnt_only(params: Value) -> Value | None:
    """What stands for those of a module's parameters that take gradients, where some are surely frozen and of all it is
    known; else None."""
    module = params.source if isinstance(params, Stream) else None
    if not isinstance(params, Stream) or not isinstance(module, Instance):
        return None
    frozen = {id(inner): inner.attrs.get("$frozen", FALSE) for inner in modules_in(module)}
    if not any(state is TRUE for state in frozen.values()) or any(s not in (TRUE, FALSE) for s in frozen.values()):
        return None
    parts = ((inner, descendants(inner)) for inner in modules_in(module))
    free = [inner for inner, held in parts if held and all(frozen.get(i) is FALSE for i in held)]
    leaf = Tensor(graph=True, deps=frozenset(Dep(inner, None, None) for inner in free))
    return (Tuple((params.element.items[0], leaf)) if isinstance(params.element, Tuple) else leaf) if free else None


def asks_for_gradients(test: Any) -> bool:
    """Whether a condition, or what a lambda gives, is `p.requires_grad`."""
    body = test.body if isinstance(test, cst.Lambda) else test
    if not isinstance(body, cst.Attribute) or not isinstance(body.value, cst.Name):
        return False
    return body.attr.value == "requires_grad"


def modules_of(value: Value, depth: int = 0) -> tuple[set[int], bool]:
    """Identities of the modules (and leaves) whose parameters a value holds, and whether that is all of them."""
    if depth > 6:
        return set(), False
    if isinstance(value, Sequence):
        if isinstance(value.source, Instance):
            return descendants(value.source), True
        return modules_of(value.element, depth + 1)
    if isinstance(value, Tensor):
        found: set[int] = set()
        leaves = [dep for dep in value.deps if dep.node is None and dep is not ELSEWHERE]
        for dep in leaves:
            found |= descendants(dep.module)
        return found, bool(leaves) and len(leaves) == len(value.deps)
    if isinstance(value, ListObject):
        items: tuple[Value, ...] = value.items if value.items is not None else (value.attrs["element"],)
    elif isinstance(value, Tuple):
        items = value.items
    elif isinstance(value, DictObject):
        params = value.attrs.get("params")
        items = (params,) if isinstance(params, Value) else tuple(v for _, v in value.known())
    elif isinstance(value, Union):
        items = value.options
    else:
        return set(), False
    result: set[int] = set()
    complete = bool(items)
    for item in items:
        ids, sure = modules_of(item, depth + 1)
        result |= ids
        complete = complete and sure
    return result, complete


def descendants(module: Instance) -> set[int]:
    """Identities of a module and of all modules inside it, but for those that have no parameters."""
    return {id(inner) for inner in modules_in(module) if "$bare" not in inner.attrs}


@behaviour("optimizer")
def optimizer(call: Call) -> Value:
    interp = call.interp
    instance = Instance(Api(call.actual), "optimizer", interp.step(call.node, call.short_name))
    params = call.value("params", 0) or UNKNOWN
    lr = call.value("lr", 1)
    for name, value in call.arguments.keywords.items():
        instance.attrs[name] = value
    if lr is not None:
        instance.attrs["lr"] = lr
    instance.attrs["$open"] = call.arguments.open
    register_optimizer(interp, instance, params)
    spend(interp, params)
    interp.event("made", call.node, instance)
    return instance


@behaviour("optimizer_of")
def optimizer_of(call: Call) -> Value:
    """A factory of optimizers, told by settings which one to make for all parameters of a model."""
    interp, model = call.interp, call.value("model") or UNKNOWN
    instance = Instance(Api(call.actual), "optimizer", interp.step(call.node, "the optimizer"))
    lr = call.value("lr")
    if lr is not None:
        instance.attrs["lr"] = lr
    instance.attrs["$open"] = True
    whole = isinstance(model, Instance) and model.family == "module"
    register_optimizer(interp, instance, Sequence(Tensor(graph=True), model) if whole else model)
    interp.event("made", call.node, instance)
    return instance


def from_outside(interp: Interpreter, path: str, arguments: Arguments, node: Any) -> Instance | None:
    """What code out of view makes of parameters, or of a model, where the program takes it for an optimizer; else None.
    It may hold more than these, and have methods that step or clear in a way of their own."""
    for value in arguments.values():
        whole = isinstance(value, Instance) and (value.family == "module" or "training" in value.attrs)
        if not whole and not (isinstance(value, (Sequence, ListObject, Tuple, Union)) and modules_of(value)[0]):
            continue
        name, text = name_given(interp, node)
        if not name or not is_used_as_optimizer(name, text, node, whole):
            return None
        made = Instance(Api(path or "torch.optim.Optimizer"), "optimizer", interp.step(node, "the optimizer"))
        made.attrs["$open"] = made.attrs["$outside"] = True
        register_optimizer(interp, made, Sequence(Tensor(graph=True), value) if whole else value)
        interp.write(made.attrs, "$complete", False)
        spend(interp, value)
        return made
    return None


def name_given(interp: Interpreter, node: Any) -> tuple[str, str]:
    """What the result of a call is called where it ends up, through functions that return it, and the text of that
    file; else the name of the function that returns it, "" where there is none."""
    frame, text = interp.frame, ""
    name = ""
    while frame.space.source is not None:
        source = frame.space.source
        above = source.index.parent(node)
        if isinstance(above, cst.Assign):
            return last_name(above.targets[0].target), source.text
        if not isinstance(above, cst.Return) or frame.function is None:
            break
        if not name or not re.search(OPTIMIZER, name):
            name, text = frame.function.name, source.text
        if frame.caller is None or frame.call is None:
            break
        frame, node = frame.caller, frame.call
    return name, text


def is_used_as_optimizer(name: str, text: str, node: Any, whole: bool) -> bool:
    """Whether a name is an optimizer's, or one on which gradients are cleared or groups of parameters looked up in the
    same file. What is made of a `whole` model may be another model, which is called."""
    if whole and re.search(rf"(?<!def )\b{re.escape(name)}\(", text):
        return False
    if re.search(OPTIMIZER, name) or (not whole and "optim" in cst.Module([]).code_for_node(node).lower()):
        return True
    used = rf"\b{re.escape(name)}\.(zero_grad|param_groups)\b|\.step\((self\.)?{re.escape(name)}\b"
    return re.search(used, text) is not None


def is_learnt_from(interp: Interpreter, node: Any) -> bool:
    """Whether a program runs backward on what it calls the result of a call."""
    source = interp.frame.space.source
    above = source.index.parent(node) if source is not None and "backward(" in source.text else None
    if source is None or not isinstance(above, cst.Assign) or not isinstance(above.targets[0].target, cst.Name):
        return False
    name = re.escape(above.targets[0].target.value)
    return re.search(rf"\b{name}(\.\w+\([^()\n]*\))*\.backward\(|\bbackward\({name}\b", source.text) is not None


def register_optimizer(interp: Interpreter, instance: Instance, params: Value) -> None:
    ids, complete = modules_of(params)
    interp.write(instance.attrs, "$modules", frozenset(ids))
    interp.write(instance.attrs, "$complete", complete)
    interp.write(instance.attrs, "$state", frozenset(("clear",)))
    interp.write(instance.attrs, "$steps", frozenset((0,)))
    interp.write(instance.attrs, "$scale", NO_SCALE)
    instance.attrs["$many"] = in_comprehension(interp)
    held = Sequence(params.element, params.source) if isinstance(params, Stream) else ungrouped(params)  # in lists
    instance.attrs["param_groups"] = ListObject(
        None, DictObject({"lr": instance.attrs.get("lr", UNKNOWN), "params": held, DictObject.REST: UNKNOWN})
    )
    interp.write(interp.flags, OPTIMIZERS, (*optimizers(interp), instance))


def ungrouped(params: Value) -> Value:
    """The parameters in what an optimizer is given, be they in the groups of another one. Groups that a program writes
    down may bring rates of their own."""
    if not isinstance(params, ListObject):
        return params
    groups: tuple[Value, ...] = params.items if params.items is not None else (params.attrs["element"],)
    others = (group for group in groups if isinstance(group, DictObject) and DictObject.REST in group.attrs)
    held = [group.attrs["params"] for group in others if "params" in group.attrs]
    return join_all(held) if held and len(held) == len(groups) else params


@behaviour("held_parameters")
def held_parameters(call: Call) -> Value:
    """All parameters that an optimizer holds, one after the other."""
    groups = call.first.attrs.get("param_groups") if isinstance(call.first, Instance) else None
    group = groups.attrs["element"] if isinstance(groups, ListObject) else None
    held = group.attrs["params"] if isinstance(group, DictObject) else None
    return held if isinstance(held, Sequence) else UNKNOWN


def in_comprehension(interp: Interpreter) -> bool:
    """Whether what is made here is made once for each item: one object then stands for all of them."""
    loop = interp.nearest_loop()
    return loop is not None and loop.node.__class__ is cst.CompFor


@behaviour("add_param_group")
def add_param_group(call: Call) -> Value:
    if isinstance(call.receiver, Instance):
        ids, complete = modules_of(call.value("param_group", 1) or UNKNOWN)
        attrs = call.receiver.attrs
        call.interp.write(attrs, "$modules", attrs.get("$modules", frozenset()) | ids)
        call.interp.write(attrs, "$complete", bool(attrs.get("$complete")) and complete)
        call.interp.write(attrs, "$added", TRUE)
    return NONE


class Reach:
    """What the gradients of a value with some dependencies reach; looked through once for all optimizers."""

    def __init__(self, deps: frozenset[Dep]) -> None:
        self.deps = [dep for dep in deps if dep is not ELSEWHERE and not dep.scales]
        self.live = [dep.module for dep in self.deps if dep.live]
        self.modules = {id(module) for module in self.live}
        self.opaque = any(dep.module.cls is None for dep in deps)
        self._inner: set[int] | None = None

    @property
    def inner(self) -> set[int]:
        """Identities of the modules and of all modules inside them."""
        if self._inner is None:
            self._inner = {i for module in self.live for i in descendants(module)}
        return self._inner

    def is_free(self, optimizer: Instance) -> bool:
        """Whether nothing is frozen of what they reach of an optimizer's parameters."""
        owned = optimizer.attrs.get("$modules", frozenset())
        held = (inner for module in self.live for inner in modules_in(module) if id(inner) in owned)
        return all(inner.attrs.get("$frozen", FALSE) is FALSE for inner in held)

    def is_of(self, optimizer: Instance) -> bool:
        """Whether a module that ran is an optimizer's own; one that holds others need not have run all of them."""
        return not optimizer.attrs.get("$modules", frozenset()).isdisjoint(self.modules)

    def touches(self, optimizer: Instance, alone: bool) -> bool | None:
        """Whether they reach an optimizer's parameters. `alone` tells that there is no other optimizer."""
        owned: frozenset[int] = optimizer.attrs.get("$modules", frozenset())
        if not self.deps or not owned:
            return True if alone else None
        # Mostly the optimizer holds the model itself: the parts need not be looked through.
        if not owned.isdisjoint(self.modules) or not owned.isdisjoint(self.inner):
            return True
        # The only optimizer there is gets what comes out of code that is not in view: else nothing would be learnt.
        return (True if alone else None) if not optimizer.attrs.get("$complete") or self.opaque else False


def touches(optimizer: Instance, deps: frozenset[Dep], alone: bool) -> bool | None:
    """Whether gradients of a value with these dependencies reach an optimizer's parameters."""
    return Reach(deps).touches(optimizer, alone)


HOOKED = "$hooked"  # in the interpreter's flags: code of the program's own gets the gradients of a backward pass


@behaviour("hooked")
def hooked(call: Call) -> Value:
    call.interp.write(call.interp.flags, HOOKED, TRUE)
    return Instance(None)  # by which it can be taken away


@behaviour("backward")
def backward(call: Call) -> Value:
    given = call.arguments.keywords
    retain = truth(given.get("retain_graph") or given.get("retain_variables", NONE))  # as PyTorch before 0.4 named it
    run_backward(call.interp, call.tensor, call.node, retain)
    loss, written = call.first, getattr(call.node, "func", None)
    if isinstance(loss, Tensor) and loss.graph is None and isinstance(written, cst.Attribute):
        call.interp.rebind(written.value, loss.but(graph=True))  # without a graph it would have failed
    return NONE


def run_backward(
    interp: Interpreter, loss: Tensor, node: Any, retain: bool | None = False, engine: Value | None = None
) -> None:
    """Fill gradients; an engine may divide the loss by the number of batches that it accumulates."""
    interp.event("backward", node, loss, retain, engine)
    interp.emit("backward", (node, loss))
    present = optimizers(interp)
    reach = Reach(loss.deps)
    for module in reach.live:
        if "$frozen" in module.attrs and module.attrs.get("$learnt") is not TRUE:
            interp.write(module.attrs, "$learnt", TRUE)
    scale = frozenset(("scaled" if any(dep.module.family == "scaler" for dep in loss.deps) else "plain",))
    for optimizer in present:
        reached = reach.touches(optimizer, len(present) == 1)
        if reached is False:
            continue
        advance(interp, optimizer, AFTER_BACKWARD, certain=reached is True, node=node)
        if not optimizer.attrs["$modules"]:
            interp.write(optimizer.attrs, "$filled", filled_of(optimizer) | reach.modules)
        surely = reached and reach.is_of(optimizer) and reach.is_free(optimizer)
        interp.write(optimizer.attrs, FILLER, node if surely else None)
        interp.write(optimizer.attrs, "$scale", scale | (scale_of(interp, optimizer) - NO_SCALE))


def advance(
    interp: Interpreter, optimizer: Instance, table: dict[str, str], certain: bool, node: Any
) -> frozenset[str]:
    found = interp.read(optimizer.attrs, "$state")
    state: frozenset[str] = found if isinstance(found, frozenset) else ANY
    new = frozenset(table[s] for s in state)
    if not certain:
        new |= state
    if new != state:
        interp.write(optimizer.attrs, "$state", new)
    if table is not AFTER_SOME_CLEAR and optimizer.attrs.get(PARTS) is not None:
        interp.write(optimizer.attrs, PARTS, None)
    return state


def lose_track(interp: Interpreter, optimizer: Instance) -> None:
    """What becomes of the gradients of an optimizer was not seen."""
    interp.write(optimizer.attrs, "$state", ANY)
    interp.write(optimizer.attrs, PARTS, None)


def scale_of(interp: Interpreter, optimizer: Instance) -> frozenset[str]:
    """How the gradients that an optimizer would use are scaled: "scaled" by a scaler, "unscaled" again, "plain"."""
    found = interp.read(optimizer.attrs, "$scale")
    return found if isinstance(found, frozenset) else ANY


def gradients_may_arrive(interp: Interpreter, loss: Tensor) -> None:
    """A recorded value reached code out of view, which may have run its backward."""
    reach = Reach(loss.deps)
    if reach.deps and (not reach.live or is_gone_through(interp, reach)):
        return  # cut off from all that is known to have made it, as priorities of a replay memory
    for optimizer in optimizers(interp):
        if reach.touches(optimizer, False) is not False:
            lose_track(interp, optimizer)


def is_gone_through(interp: Interpreter, reach: Reach) -> bool:
    """Whether a backward went through all that recorded a value, and freed it: there can be no other one."""
    live = {dep for dep in reach.deps if dep.live}
    made = {dep.node for dep in live}
    region = None if None in made else interp.region
    while region is not None:
        for event in reversed(region.events):
            if event.kind == "backward" and event.kept is False and isinstance(event.loss, Tensor):
                if live <= event.loss.deps:
                    return True
            elif event.kind == "model" and event.node in made:
                return False
        region = region.parent
    return False


def parameters_escape(interp: Interpreter, module: Instance) -> None:
    """A model reached code out of view, which may have filled or used its gradients."""
    reached = descendants(module)
    for optimizer in optimizers(interp):
        if optimizer.attrs.get("$modules", frozenset()) & reached or not optimizer.attrs.get("$complete"):
            lose_track(interp, optimizer)


def clear_gradients(interp: Interpreter, held: Tensor, node: Any) -> None:
    """`p.grad = None` and `module.zero_grad()`: clear the optimizers that hold these parameters. What was made to
    require gradients by itself is a parameter of no module."""
    reach = Reach(held.deps)
    alone = not held.deps and bool(held.trace) and held.trace[0].label == LEAF
    present = [o for o in optimizers(interp) if not alone or not o.attrs.get("$modules")]
    reached = [(o, reach.touches(o, True)) for o in present]
    whole = [o for o, sure in reached if sure is not False and filled_of(o) <= reach.inner]
    known = whole if all(sure is False or (sure and o in whole) for o, sure in reached) else ()
    own = held if optimizers(interp) and all(sure is False for _, sure in reached) else None
    for target in known or (own,):
        interp.event("clear", node, target)
    for optimizer, sure in reached:
        if sure and optimizer not in whole and not clears_the_rest(interp, optimizer, reach.inner):
            advance(interp, optimizer, AFTER_SOME_CLEAR, certain=True, node=node)  # those of a part of what it holds
            if interp.read(optimizer.attrs, "$state") == {"clear"}:
                interp.write(optimizer.attrs, "$scale", NO_SCALE)
        elif sure is not False:
            interp.write(optimizer.attrs, "$cleared", tuple(interp.way_to(node, "gradients cleared")))
            interp.write(optimizer.attrs, "$scale", NO_SCALE)
            before = advance(interp, optimizer, AFTER_CLEAR, certain=True, node=node)
            interp.emit("cleared", (node, optimizer, before))


def filled_of(optimizer: Instance) -> frozenset[int]:
    """Identities of the modules whose gradients an optimizer uses; where that is out of view, those of them that have
    been filled."""
    found: frozenset[int] = optimizer.attrs.get("$modules") or optimizer.attrs.get("$filled", frozenset())
    return found


def clears_the_rest(interp: Interpreter, optimizer: Instance, part: set[int]) -> bool:
    """Whether all that an optimizer holds is cleared with this part, part by part in lines that follow each other; its
    state is then what it was before the first of them."""
    place = (interp.frame, interp.frame.forks)
    before, done, where = optimizer.attrs.get(PARTS) or (None, frozenset(), None)
    if where != place:
        before, done = interp.read(optimizer.attrs, "$state"), frozenset()
    done |= part
    interp.write(optimizer.attrs, PARTS, (before, done, place))
    if not optimizer.attrs.get("$modules", frozenset()) <= done:
        return False
    interp.write(optimizer.attrs, "$state", before)
    return True


def belongs_to(value: Tensor) -> set[tuple[int, int]]:
    """Which modules a value descends from, and by which of their calls: none for parameters."""
    return {(id(dep.module), id(dep.node)) for dep in value.deps}


def set_gradients(interp: Interpreter, owner: Tensor, value: Value, node: Any) -> None:
    """`p.grad = …`: with None or zeros they are cleared; scaled or clipped they stay; else they come from elsewhere."""
    if value.key == NONE.key or (isinstance(value, Tensor) and value.lo == value.hi == 0):
        clear_gradients(interp, owner, node)
    elif not isinstance(value, Tensor) or not belongs_to(owner) or belongs_to(value) != belongs_to(owner):
        interp.event("clear", node, None)
        reach = Reach(owner.deps)
        for optimizer in optimizers(interp):
            if reach.touches(optimizer, True) is not False:
                lose_track(interp, optimizer)
                interp.event("given", node, optimizer)


@behaviour("module_zero_grad")
def module_zero_grad(call: Call) -> Value:
    if isinstance(call.receiver, Instance):
        clear_gradients(call.interp, Tensor(deps=frozenset((Dep(call.receiver, None, None),))), call.node)
    return NONE


@behaviour("optimizer_zero_grad")
def optimizer_zero_grad(call: Call) -> Value:
    interp = call.interp
    interp.event("clear", call.node, call.receiver)
    for optimizer in (call.receiver, *sharing(interp, call.receiver)):
        if isinstance(optimizer, Instance) and "$state" in optimizer.attrs:
            interp.write(optimizer.attrs, "$cleared", tuple(interp.way_to(call.node, "gradients cleared")))
            interp.write(optimizer.attrs, "$scale", NO_SCALE)
            before = advance(interp, optimizer, AFTER_CLEAR, certain=True, node=call.node)
            interp.emit("cleared", (call.node, optimizer, before))
    for other in within(interp, call.receiver):
        advance(interp, other, AFTER_CLEAR, certain=False, node=call.node)
    return NONE


def within(interp: Interpreter, optimizer: Value | None) -> list[Instance]:
    """The other optimizers whose modules this one holds too, if perhaps other parameters of these."""
    others = [o for o in optimizers(interp) if o is not optimizer]
    if not others or not isinstance(optimizer, Instance):
        return []
    held: frozenset[int] = optimizer.attrs.get("$modules", frozenset())
    return [o for o in others if o.attrs["$modules"] and o.attrs["$modules"] <= held]


def sharing(interp: Interpreter, optimizer: Value | None) -> list[Instance]:
    """The other optimizers that work on the groups of parameters of this one, as one does that is wrapped."""
    groups = optimizer.attrs.get("param_groups") if isinstance(optimizer, Instance) else None
    shared = groups is not None and groups is not UNKNOWN
    return [o for o in optimizers(interp) if shared and o is not optimizer and o.attrs.get("param_groups") is groups]


@behaviour("optimizer_step")
def optimizer_step(call: Call) -> Value:
    interp, optimizer = call.interp, call.receiver
    closure = call.value("closure", 1)
    value: Value = NONE
    if isinstance(closure, (Function, Method, Partial)):
        from trainlint.semantics.interpreter import Arguments

        value = interp.call(closure, Arguments(), call.node)
        if isinstance(optimizer, Instance) and searches(optimizer):
            advance(interp, optimizer, AFTER_STEP, certain=True, node=call.node)
            value = interp.call(closure, Arguments(), call.node)
        if value is UNKNOWN and isinstance(optimizer, Instance):
            lose_track(interp, optimizer)  # it was not followed
    elif closure is not None and closure.key != NONE.key and isinstance(optimizer, Instance):
        lose_track(interp, optimizer)  # it may fill them
    if isinstance(optimizer, Instance) and optimizer.family == "optimizer":
        take_step(interp, optimizer, call.node)
    else:
        stepped(interp, call.node, optimizer)
    return value


@behaviour("resume")
def resume(call: Call) -> Value:
    """An optimizer goes on with the state of an earlier run."""
    call.interp.event("resumed", call.node, call.receiver)
    return NONE


def searches(optimizer: Instance) -> bool:
    """Whether a step moves the weights several times, asking for the gradients anew each time."""
    return optimizer.api_path.endswith(".LBFGS") and usual(optimizer.attrs.get("max_iter")) != 1


def stepped(
    interp: Interpreter,
    node: Any,
    optimizer: Value | None,
    before: frozenset[str] = ANY,
    scaler: Value | None = None,
    scale: frozenset[str] = ANY,
) -> None:
    """Note that an optimizer stepped: the states of its gradients `before`, through which scaler, and how they were
    scaled."""
    interp.event("step", node, optimizer, before, scaler, scale)


def take_step(interp: Interpreter, optimizer: Instance, node: Any, scaler: Instance | None = None) -> None:
    scale = scale_of(interp, optimizer)
    before = advance(interp, optimizer, AFTER_STEP, certain=True, node=node)
    interp.write(optimizer.attrs, "$steps", frozenset((1,)))
    interp.write(optimizer.attrs, "$scale", NO_SCALE)
    leave_gradients(interp, optimizer)
    before = frozenset("fresh" if state == "left" else state for state in before)
    alone = len(optimizers(interp)) == 1
    move_weights(interp, lambda owner: touches(optimizer, frozenset((Dep(owner, None, None),)), alone) is True)
    stepped(interp, node, optimizer, before, scaler, scale)
    interp.emit("stepped", (node, optimizer, before))


def use_gradients(interp: Interpreter, optimizer: Instance, before: frozenset[str], node: Any) -> None:
    """Weights were moved along gradients, whose state was `before` that, and which may have been cleared since."""
    if interp.read(optimizer.attrs, "$state") == before:
        advance(interp, optimizer, AFTER_STEP, certain=True, node=node)
    interp.emit("stepped", (node, optimizer, before))


def leave_gradients(interp: Interpreter, stepped: Instance) -> None:
    """Mark the gradients that the backward of an optimizer's step left in others, as a generator's loss does in the
    discriminator that judged it. Where the two share parameters, who clears one clears the other in part."""
    filler = interp.read(stepped.attrs, FILLER)
    if filler in (MISSING, None) or interp.read(interp.flags, TOGGLED) is True:
        return
    own: frozenset[int] = stepped.attrs.get("$modules", frozenset())
    for other in optimizers(interp):
        if not own.isdisjoint(other.attrs.get("$modules", frozenset())):
            continue
        if interp.read(other.attrs, FILLER) is filler:
            if interp.read(other.attrs, "$state") == {"fresh"}:
                interp.write(other.attrs, "$state", frozenset(("left",)))


@behaviour("toggle")
def toggle(call: Call) -> Value:
    call.interp.write(call.interp.flags, TOGGLED, True)
    return NONE


def move_weights(interp: Interpreter, changed: Callable[[Instance], bool], but: Value = NONE) -> None:
    """The weights of some modules change: what `state_dict()` gave out before changes with them."""
    given_out = interp.read(interp.flags, WEIGHTS)
    for weights in given_out if given_out is not MISSING else ():
        if weights not in options(but) and weights.attrs["$moved"] is not TRUE and changed(weights.attrs["$of"][0]):
            interp.write(weights.attrs, "$moved", TRUE)


def owner_name(node: Any) -> str:
    """The name of the object whose method is called, in lower case."""
    return last_name(getattr(getattr(node, "func", None), "value", None)).lower()


def as_optimizer(interp: Interpreter, receiver: Value, node: Any) -> Instance | None:
    """An object of unknown class that is called an optimizer and used like one: followed from here on."""
    if not isinstance(receiver, Instance) or receiver.cls is not None:
        return None
    if "$state" in receiver.attrs:
        return receiver
    if "optim" not in owner_name(node):
        return None
    register_optimizer(interp, receiver, UNKNOWN)
    lose_track(interp, receiver)
    interp.write(receiver.attrs, "$steps", ANY)
    return receiver


@behaviour("autograd_grad")
def autograd_grad(call: Call) -> Value:
    """Gradients, which are constants for all that is computed from them unless a graph of theirs is asked for."""
    call.interp.event("autograd", call.node, call.tensor, call.value("inputs", 1))
    recorded = truth(call.value("create_graph", 4) or FALSE)
    if recorded is False and not call.arguments.open:
        deps = severed(call.interp, call.tensor, call.interp.step(call.node, "grad"))
        return Sequence(Tensor(graph=False, deps=deps))
    return Sequence(Tensor(graph=call.interp.grad if recorded else None, deps=call.tensor.deps))


@behaviour("clip_gradients")
def clip_gradients(call: Call) -> Value:
    """Notes which optimizers' gradients are clipped, and in which state they are. At infinity they are but measured."""
    interp, params = call.interp, call.value("parameters") or UNKNOWN
    limit, spent = call.value("max_norm", 1) or UNKNOWN, is_spent(interp, params)
    spend(interp, params)
    if const(limit) == INF or (isinstance(limit, Api) and limit.path.endswith(".inf")):
        return Tensor(lo=0.0, graph=False)
    held = [] if spent else holders(interp, params)
    states = [(o, interp.read(o.attrs, "$state"), scale_of(interp, o), sure) for o, sure in held]
    interp.event("clip", call.node, states, spent, interp.frame.call)
    return Tensor(lo=0.0, graph=False)


def rescale_gradient(interp: Interpreter, gradient: Tensor, name: str, arguments: Arguments, node: Any) -> None:
    """A gradient is clipped in place, at bounds or by a factor that was computed of gradients. Any other factor may be
    the scale that a loss was multiplied with."""
    held = holders(interp, gradient)
    by = arguments.positional[0] if arguments.positional else None
    if name in ("clamp_", "clip_") or (isinstance(by, Tensor) and by.deps and by.graph is False):
        states = [(o, interp.read(o.attrs, "$state"), scale_of(interp, o), sure) for o, sure in held]
        interp.event("clip", node, states, False, interp.frame.call)
    else:
        for optimizer, _ in held:
            interp.write(optimizer.attrs, "$scale", ANY)


def holders(interp: Interpreter, params: Value) -> list[tuple[Instance, bool]]:
    """The optimizers that hold, or may hold, some of these parameters, each with whether that is sure."""
    ids, complete = modules_of(params)
    present = optimizers(interp)
    if len(present) == 1 and (not ids or not present[0].attrs.get("$modules")):
        return [(present[0], True)]
    found = [(o, not ids.isdisjoint(o.attrs.get("$modules", ()))) for o in present]
    return [(o, sure) for o, sure in found if sure or not complete or not o.attrs.get("$complete")]


# ----------------------------------------------------------------------- schedulers


@behaviour("scheduler")
def scheduler(call: Call) -> Value:
    instance = Instance(Api(call.actual), "scheduler", call.interp.step(call.node, call.short_name))
    for name in (*call.row.params, *call.arguments.keywords):
        value = call.value(name)
        if value is not None:
            instance.attrs[name] = value
    if "optimizer" not in instance.attrs and (chained := instance.attrs.get("schedulers")) is not None:
        parts = call.interp.known_items(chained) or ()
        held = [part.attrs["optimizer"] for part in parts if isinstance(part, Instance) and "optimizer" in part.attrs]
        if held and len(held) == len(parts):
            instance.attrs["optimizer"] = join_all(held)
    instance.attrs["$factors"] = factors(call)
    call.interp.event("made", call.node, instance)
    return instance


@behaviour("scheduler_and_epochs")
def scheduler_and_epochs(call: Call) -> Value:
    """A factory of schedulers, told by settings which one to make and for how many epochs."""
    return Tuple((scheduler(call), Number(1, integer=True)))


# Steps at which a schedule's function is asked: the first ones, and after the warm-ups and along the decays in use.
ASKED_AT = (0, 1, 10, 200, 1000, 10_000)


def factors(call: Call) -> tuple[float, ...]:
    """What a function multiplies the rate with at several steps, the first one and as many more as are known."""
    from trainlint.semantics.interpreter import Arguments

    function, found = call.value("lr_lambda", 1), []
    if isinstance(function, (Function, Method)):
        for step in ASKED_AT:
            factor = usual(call.interp.call(function, Arguments([Const(step)]), call.node))
            if factor is None:
                break
            found.append(factor)
    return tuple(found)


@behaviour("scheduler_step")
def scheduler_step(call: Call) -> Value:
    scheduler = call.receiver
    if isinstance(scheduler, Instance):
        schedule(call, scheduler, options(scheduler.attrs.get("optimizer", UNKNOWN)))
    return NONE


def schedule(call: Call, scheduler: Value, targets: tuple[Value, ...]) -> None:
    """Note a scheduler's step, and whether it comes before any step of its optimizer: None where that cannot be told,
    since the optimizer was made out of view, or may have been there."""
    interp = call.interp
    taken = [
        interp.read(t.attrs, "$steps") if isinstance(t, Instance) and "$steps" in t.attrs else None for t in targets
    ]
    first = True if all(s == {0} for s in taken) else None if all(s and s <= {0, "?"} for s in taken) else False
    given = call.value("epoch", 1) or call.value("metrics")
    if given is not None and measured_on(given) == {"test"}:
        interp.event("ranked", call.node)
    interp.event("scheduler", call.node, scheduler, targets, first, given)


# --------------------------------------------------------------------- mixed precision


@behaviour("grad_scaler")
def grad_scaler(call: Call) -> Value:
    scaler = Instance(Api(call.actual), "scaler", call.interp.step(call.node, "GradScaler"))
    enabled = call.value("enabled")
    scaler.attrs["enabled"] = TRUE if enabled is None else enabled
    return scaler


@behaviour("scaler_scale")
def scaler_scale(call: Call) -> Value:
    """The loss, from here on depending on the scaler as well."""
    scaler, outputs = call.receiver, call.value("outputs", 1) or UNKNOWN
    if not isinstance(scaler, Instance):
        return outputs
    if not isinstance(outputs, Tensor):
        outputs = Tensor(deps=frozenset((ELSEWHERE,)))
    live = any(dep.live for dep in outputs.deps) or not outputs.deps
    return outputs.but(deps=outputs.deps | {Dep(scaler, None, None, live)})


@behaviour("scaler_unscale")
def scaler_unscale(call: Call) -> Value:
    optimizer = call.value("optimizer", 1)
    for option in options(optimizer or UNKNOWN):
        if isinstance(option, Instance):
            scale = scale_of(call.interp, option)
            call.interp.write(option.attrs, "$scale", frozenset("plain" if s == "plain" else "unscaled" for s in scale))
    return NONE


@behaviour("scaler_update")
def scaler_update(call: Call) -> Value:
    call.interp.event("scaler_update", call.node, call.receiver)
    return NONE


@behaviour("scaler_step")
def scaler_step(call: Call) -> Value:
    for optimizer in options(call.value("optimizer", 1) or UNKNOWN):  # of several, each is the one where it is made
        if isinstance(optimizer, Instance) and optimizer.family == "optimizer":
            take_step(call.interp, optimizer, call.node, call.receiver if isinstance(call.receiver, Instance) else None)
        else:
            stepped(call.interp, call.node, optimizer, scaler=call.receiver)
    return NONE


@behaviour("stepping_scaler")
def stepping_scaler(call: Call) -> Value:
    """`scaler(loss, optimizer, …)` goes backward, and takes the step unless a batch is only to be added up."""
    interp, loss, optimizer = call.interp, call.value("loss", 1), call.value("optimizer", 2)
    run_backward(interp, loss if isinstance(loss, Tensor) else Tensor(deps=frozenset((ELSEWHERE,))), call.node)
    waits = call.arguments.open or truth(call.value("need_update", 7) or TRUE) is not True
    for option in options(optimizer or UNKNOWN):
        if not isinstance(option, Instance) or option.family != "optimizer":
            stepped(interp, call.node, option)
        elif waits:
            before = advance(interp, option, AFTER_STEP, certain=False, node=call.node)
            interp.write(option.attrs, "$steps", interp.read(option.attrs, "$steps") | {1})
            stepped(interp, call.node, option, before)
        else:
            take_step(interp, option, call.node)
    return NONE


@behaviour("autocast")
def autocast(call: Call) -> Value:
    """Mixed precision for a block, or for a function."""
    if isinstance(call.first, Function):
        return call.first
    manager = Instance(None, "context")
    manager.attrs["$autocast"] = call.value("dtype") or NONE
    manager.attrs["enabled"] = call.value("enabled") or TRUE
    return manager


# -------------------------------------------------------------------- gradient recording


def grad_context(call: Call, setting: Value) -> Value:
    """A context that can be entered, or put before a function."""
    if isinstance(call.first, Function) and call.arguments.positional:
        from trainlint.semantics.behaviours.decorators import guarded

        return guarded(call.first, grad_context(Call(call.interp, call.node, call.path, call.row, _nothing()), setting))
    manager = Instance(None, "context")
    manager.attrs["$grad"] = setting
    return manager


def _nothing() -> Any:
    from trainlint.semantics.interpreter import Arguments

    return Arguments()


@behaviour("no_grad")
def no_grad(call: Call) -> Value:
    wanted = call.value("mode", 0)
    if wanted is not None and truth(wanted) is False and "inference_mode" in call.path:
        return grad_context(call, TRUE)
    return grad_context(call, FALSE)


@behaviour("enable_grad")
def enable_grad(call: Call) -> Value:
    return grad_context(call, TRUE)


@behaviour("set_grad_enabled")
def set_grad_enabled(call: Call) -> Value:
    """Takes effect at once, and until the end of the block when used in a `with`."""
    wanted = call.value("mode", 0) or UNKNOWN
    held = truth(wanted)
    setting: Value = UNKNOWN if held is None else Const(held)
    manager = Instance(None, "context")
    manager.attrs["$grad"] = setting
    manager.attrs["$immediate"] = True
    return manager


@behaviour("enter_by_hand")
def enter_by_hand(call: Call) -> Value:
    """`torch.no_grad().__enter__()` without a block lasts until `__exit__()`, or for good."""
    interp, manager = call.interp, call.receiver
    if isinstance(manager, Instance) and "$grad" in manager.attrs:
        interp.write(manager.attrs, "$before", interp.read(interp.flags, "grad"))
        interp.write(interp.flags, "grad", manager.attrs["$grad"])
    return UNKNOWN


@behaviour("leave_by_hand")
def leave_by_hand(call: Call) -> Value:
    interp, manager = call.interp, call.receiver
    if isinstance(manager, Instance) and "$before" in manager.attrs:
        interp.write(interp.flags, "grad", manager.attrs["$before"])
    return UNKNOWN


@behaviour("plain_context")
def plain_context(call: Call) -> Value:
    return Instance(None, "context")


def set_requires_grad(interp: Interpreter, tensor: Tensor, value: Value, node: Any) -> None:
    """`p.requires_grad = False` for the parameters of a module: it and all in it are frozen, or thawed."""
    held = truth(value)
    setting: Value = TRUE if held is False else FALSE if held else UNKNOWN
    for dep in tensor.deps:
        if dep.node is None:
            freeze(interp, dep.module, setting, node)


def freeze(interp: Interpreter, module: Instance, setting: Value, node: Any) -> None:
    """Mark a module and all in it as frozen or not; what is a part of a ready-made model thaws that too."""
    whole = module.attrs.get("$whole")
    known = (whole if isinstance(whole, Instance) else module).attrs.get("$frozen")
    if setting is TRUE:
        interp.write(module.attrs, "$froze", interp.step(node, "frozen"))
        interp.event("frozen", node, module)
    elif setting is FALSE and known is not None and known is not FALSE:
        interp.write(module.attrs, "$thawed", interp.step(node, "thawed"))
        interp.event("thawed", node, module)
    for inner in (*modules_in(module), *([whole] if isinstance(whole, Instance) and setting is not TRUE else [])):
        if not interp.forked or inner.number <= interp.forked:
            inner.attrs.setdefault("$frozen", FALSE)  # what it is on the ways through the program that do not come here
        interp.write(inner.attrs, "$frozen", setting)
        if "$learnt" in inner.attrs:
            interp.write(inner.attrs, "$learnt", FALSE)
