"""The step: gradients and their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.data import HELD_OUT, branches
from trainlint.checks.repairs import around, definition, follows, index_of, is_second_unread, line_of, reaching, stepped
from trainlint.checks.schedules import always, hands_on, inner_loops, over_batches, picks_rows, stop_of
from trainlint.edits import insert_after, insert_before, move_after, move_before, replace
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.engines import automatic
from trainlint.semantics.behaviours.layers import calls_in
from trainlint.semantics.behaviours.training import HOOKED, Reach, descendants, optimizers, touches
from trainlint.semantics.conditions import conditions, contradict, text_of
from trainlint.semantics.interpreter import (
    Interpreter,
    Region,
    left_over_turns,
    may_learn,
    nested,
    outwards,
    target_names,
)
from trainlint.semantics.library import SCALING, Call, is_data, is_of_torch
from trainlint.semantics.modules import carried, contents
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    ELSEWHERE,
    FACTOR,
    FALSE,
    LEAF,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    Dep,
    DictObject,
    Instance,
    ListObject,
    Number,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    const,
    options,
    truth,
    usual,
)
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import (
    LITERALS,
    called,
    contains,
    is_name,
    is_plain,
    is_plain_call,
    keyword,
    names_in,
    positional,
)
from trainlint.syntax.index import BindingKind

# Methods of a gradient that scale it where it is, or take it away.
LEAVING = SCALING | {"detach_", "zero_"}
# Methods that change a tensor by what they are given, and what makes tensors with gradients of their own.
MOVING = frozenset(("add_", "addcdiv_", "addcmul_", "copy_", "sub_", "subtract_"))
MAKING = frozenset(("requires_grad", "requires_grad_", "Parameter", "deepcopy"))
TELLING = frozenset(("device", "dtype", "is_sparse", "ndim", "shape"))
ABSTRACT = frozenset(("NotImplementedError", "abstractmethod"))  # what methods without code of their own name
MAX_KEPT = 2000  # objects looked through for those that a model keeps


class MissingZeroGrad(Rule):
    """Gradients are never cleared between steps."""

    code, name = "TL201", "missing-zero-grad"
    message = "gradients are not cleared since {since}"
    fixable = Safety.UNSAFE

    LAST = "the last step, so each step also takes the gradients of all batches before"
    MOVED = "the last update, so each update also takes the gradients of all turns before"
    OTHER = "another optimizer's step, so this step also takes the gradients of the loss that was meant for that one"

    @on("stepped")
    def check(self, fact: Any, report: Report) -> None:
        node, optimizer, before = fact
        if optimizer.attrs.get("$many"):
            return
        if before == {"stale"}:
            draft, function = report(node, since=self.LAST), report.interp.frame.function
            if function is None or function.owner is None or function.owner.family != "optimizer":
                draft.repair(self.clear)  # else it is in the hands of who uses that optimizer
        elif before == {"mixed"}:
            report(node, since=self.OTHER)

    def clear(self, draft: Draft) -> None:
        index, optimizer = index_of(draft.space), stepped(draft.node)
        if optimizer is None or line_of(index, draft.node) is None:
            return
        if any(binding.kind is BindingKind.FUNCTION for binding in index.lookup(optimizer)):
            return  # a closure, which has to clear by itself
        calls = map(stepped, nodes_in(index.function(draft.node) or index.module.node))
        if sum(other is not None and optimizer.deep_equals(other) for other in calls) == 1:
            draft.fix("clear the gradients after the step", insert_after(draft.node, optimizer, ".zero_grad()"))

    @on("loop", having="backward step")
    def never(self, region: Region, report: Report) -> None:
        """A loop that fills gradients and steps, each perhaps not in every turn, and in no way clears them; or steps in
        every turn and clears in every nth only."""
        cleared = [e.optimizer for e in region.of("clear") if not isinstance(e.optimizer, Tensor)]
        if any(not isinstance(o, Instance) or "$modules" not in o.attrs for o in cleared):
            return
        done = frozenset[int]().union(*(o.attrs["$modules"] for o in cleared))
        for step in region.of("step"):
            if "stale" in step.before and "?" not in step.before and not step.optimizer.attrs.get("$many"):
                owned, complete = step.optimizer.attrs["$modules"], step.optimizer.attrs["$complete"]
                if (
                    not cleared
                    or (complete and owned and done.isdisjoint(owned))
                    or is_seldom_cleared(region, step, report)
                ):
                    report(step.node, step.space, since=self.LAST).repair(self.clear)

    @on("loop", having="backward gradient")
    def by_hand(self, region: Region, report: Report) -> None:
        """A loop moves tensors along their gradients itself, and in no way clears these."""
        if region.has("clear", "step", "given", "autograd", "named") or lent(region):
            return
        if not isinstance(region.node, (cst.For, cst.While)) or makes_leaves(region.node):
            return
        gone = (value for event in region.of("escape") for value in carried(event.values))
        if any(isinstance(v, Tensor) or may_learn((v,)) for v in gone):
            return  # code out of view may clear them
        found = {event.node: event for event in region.of("gradient")}
        moved = {node: moved_along(index_of(e.space), node) for node, e in found.items()}
        if not all(moved[n] or leaves_gradient(e) or is_plain_read(e) for n, e in found.items()):
            return
        for node, statement in moved.items():
            if statement is not None and is_there_before(region, found[node]):
                report(statement, found[node].space, since=self.MOVED)
                break


def makes_leaves(loop: Any) -> bool:
    """Whether a loop makes tensors that ask for gradients, or copies of what does."""
    return any(isinstance(node, cst.Name) and node.value in MAKING for node in nodes_in(loop.body))


def moved_along(index: Index, gradient: Any) -> Any:
    """The statement that moves a tensor along its gradient where it is: `w -= rate * w.grad`, `w.data.add_(…)`."""
    statement = index.statement(gradient)
    target: Any = None
    if isinstance(statement, cst.AugAssign) and isinstance(statement.operator, (cst.SubtractAssign, cst.AddAssign)):
        target = statement.target
    elif isinstance(statement, cst.Assign) and len(statement.targets) == 1 and is_data(statement.targets[0].target):
        target = statement.targets[0].target
    elif isinstance(statement, cst.Expr) and called(statement.value) in MOVING:
        target = statement.value
        while isinstance(target, cst.Call) and isinstance(target.func, cst.Attribute):
            target = target.func.value
    moved = target.value if is_data(target) else target
    return statement if moved is not None and moved.deep_equals(gradient.value) else None


def is_plain_read(event: Any) -> bool:
    """Whether what is done with a gradient leaves it: it is not changed by a statement, or given to a function."""
    above = index_of(event.space).parent(event.node)
    while isinstance(above, cst.Attribute):
        above = index_of(event.space).parent(above)
    return not isinstance(above, (cst.AugAssign, cst.AssignTarget, cst.Del, cst.Arg, cst.Call))


def is_there_before(region: Region, gradient: Any) -> bool:
    """Whether the tensor of a gradient is not made anew in each turn of a loop."""
    index, bound = index_of(gradient.space), set[str]()
    for node in nodes_in(region.node.body):
        if isinstance(node, cst.Assign):
            bound.update(name for target in node.targets for name in target_names(target.target))
    function = index.function(gradient.node)
    if gradient.space is region.space and function is index.function(region.node):
        return bound.isdisjoint(names_behind(index, gradient.node, region.node))
    if not isinstance(function, cst.FunctionDef):
        return False
    names = names_behind(index, gradient.node, function)
    parameters = [parameter.name.value for parameter in function.params.params]
    parameters = parameters[parameters[:1] == ["self"] :]
    calls = [call for call in calls_in(region.node.body) if called(call) == function.name.value]
    given = [(name, value) for call in calls for name, value in zip(parameters, positional(call), strict=False)]
    given += [(name, value) for call in calls for name in names if (value := keyword(call, name)) is not None]
    return bool(calls) and all(bound.isdisjoint(names_in(value)) for name, value in given if name in names)


def names_behind(index: Index, gradient: Any, top: Any) -> set[str]:
    """The names in the owner of a gradient, and in what loops below `top` take it from."""
    names = {*names_in(gradient.value)}
    for above in index.ancestors(gradient):
        if above is top:
            break
        if isinstance(above, (cst.For, cst.CompFor)) and not names.isdisjoint(target_names(above.target)):
            names.update(names_in(above.iter))
    return names


def is_used(later: Sequence[Any], backward: Any, optimizer: Instance) -> bool:
    """Whether another optimizer steps with the gradients of a backward before this one does."""
    for event in later:
        if event.kind == "step" and isinstance(event.optimizer, Instance):
            if event.optimizer is optimizer:
                return False
            if touches(event.optimizer, backward.loss.deps, True):
                return True
    return False


def is_seldom_cleared(region: Region, step: Any, report: Report) -> bool:
    """Whether a loop steps in every turn, and clears what that step uses in every nth turn only, where n is not 1
    unless somebody asks for more."""
    flow = nested(region.events)
    clears = [inside for e, inside in flow if e.kind == "clear" and e.optimizer is step.optimizer]
    every = [r for inside in clears for r in inside if r.block == "periodic" and r.space is report.space()]
    if any(usual(report.interp.eval(block.value)) == 1 for block in every):
        return False
    surely = called(step.node) == "step" and is_unconditional(region, step)  # another call may wait with it
    return bool(clears) and not any(map(always, clears)) and surely


def is_unconditional(region: Region, event: Any) -> bool:
    """Whether something happens once in each turn of a loop, in the loop's body itself or in that of a function that
    each turn calls, in no branch or loop within, nor behind `if i % n: continue`."""
    turn = turn_around(region, event) if isinstance(region.node, (cst.For, cst.While)) else None
    return turn is not None and stands_free(index_of(event.space), event.node, turn)


def stands_free(index: Index, node: Any, top: Any) -> bool:
    """Whether a node is in the body of a loop or a function itself, and not left out where that goes on sooner."""
    below: Any = node
    for outer in index.ancestors(node):
        if outer is top:
            return True
        if isinstance(outer, (cst.If, cst.IfExp, cst.For, cst.While, cst.FunctionDef)):
            return False
        if isinstance(outer, cst.Try) and below is not outer.body:
            return False
        if isinstance(outer, cst.IndentedBlock):
            before = list(outer.body)[: list(outer.body).index(below)]
            if any(isinstance(line, cst.If) and left_over_turns(line) is not None for line in before):
                return False
        below = outer
    return False


class ZeroGradAfterBackward(Rule):
    """Gradients are wiped before the step that needs them."""

    code, name = "TL202", "zero-grad-after-backward"
    message = "gradients are cleared between `backward` and `step`, so the step changes nothing"
    fixable = Safety.UNSAFE

    @on("stepped")
    def check(self, fact: Any, report: Report) -> None:
        node, optimizer, before = fact
        way = optimizer.attrs.get("$cleared")
        if way and before == {"wiped"} and not stepped_empty(report.interp.region, node):
            cleared, step = where_they_meet(way, report.interp.way_to(node, "the step"))
            report(cleared.node, cleared.space).because([step]).repair(partial(self.move, step))

    def move(self, step: Step, draft: Draft) -> None:
        if step.space is draft.space:
            index = index_of(step.space)
            if follows(index, line_of(index, draft.node), line_of(index, step.node)):
                draft.fix("clear the gradients after the step", move_after(draft.node, step.node))


def where_they_meet(one: Iterable[tuple[Any, Step]], other: Iterable[tuple[Any, Step]]) -> tuple[Step, Step]:
    """Of the ways to two places, each with the calls that led there: the places in the function that both go through,
    else the ends."""
    first, then = list(one), list(other)
    places = {id(frame): place for frame, place in then}
    meeting = ((place, places[id(frame)]) for frame, place in first if id(frame) in places)
    return next(meeting, (first[0][1], then[0][1]))


def stepped_empty(region: Region | None, node: Any) -> bool:
    """Whether this step was run before with no gradients at all: then the order is at fault, not the clearing."""
    return any(e.node is node and e.before == {"clear"} for r in outwards(region) for e in r.of("step"))


def elsewhere(region: Region, kind: str) -> bool:
    """Whether a program is just one method of an object, and there are calls `x.step()` or `x.backward()` in the
    methods that it does not call, or may be in those that a subclass has to write."""
    if not isinstance(region.value, Instance) or not isinstance(region.value.cls, Class):
        return False
    taken = {event.node for event in (*region.of(kind), *region.of("scheduler"))}
    classes = [region.value.cls]
    for cls in classes:
        if any(called(call) == kind and call not in taken for call in calls_in(cls.node)):
            return True
        if any(isinstance(node, cst.Name) and node.value in ABSTRACT for node in nodes_in(cls.node)):
            return True
        classes += [base for base in cls.bases if isinstance(base, Class)]
    return False


def in_reach(region: Region, backward: Any) -> bool:
    """Whether the function that runs backward, or one around it, has a step that no run has come to, as one in every
    other turn only, or one that is given this function."""
    index = index_of(backward.space)
    taken = {event.node for event in (*region.of("step"), *region.of("scheduler"))}
    function = index.function(backward.node)
    while function is not None:
        if any(called(call) == "step" and call not in taken for call in calls_in(function)):
            return True
        function = index.function(function)
    return False


def in_line(region: Region, backward: Any, reached: list[Instance]) -> bool:
    """Whether a loop runs a backward, and steps and clears what it reaches, in each turn, one after the other; and what
    the steps find is another backward's."""
    if not isinstance(region.node, (cst.For, cst.While)):
        return False  # a comprehension has no statements
    steps = [e for e in region.of("step") if e.optimizer in reached]
    clears = [e for e in region.of("clear") if e.optimizer in (None, *reached)]
    stepping = all(any(e.optimizer is o for e in steps) for o in reached) and all(e.before == {"fresh"} for e in steps)
    events = [backward, *steps, *clears]
    turn = turn_around(region, backward) if stepping and clears else None
    return turn is not None and all(turn_around(region, e) is turn and each_turn(turn.body, e.node) for e in events)


def turn_around(region: Region, event: Any) -> Any:
    """The loop in whose body something happens, or the function that each of its turns calls once; else None."""
    index, own = index_of(event.space), index_of(region.space)
    function = index.function(event.node)
    if event.space is region.space and function is own.function(region.node):
        return region.node
    if not isinstance(function, cst.FunctionDef) or not isinstance(region.node, (cst.For, cst.While)):
        return None
    calls = [call for call in calls_in(region.node.body) if called(call) == function.name.value]
    once = len(calls) == 1 and stands_free(own, calls[0], region.node)
    return function if once else None


def tries_again(loop: Any) -> bool:
    """Whether a loop repeats what failed: a turn in which nothing was raised leaves it."""
    body = loop.body.body if isinstance(loop, (cst.For, cst.While)) else ()
    suites = [suite for part in body if isinstance(part, cst.Try) for suite in (part, part.orelse) if suite is not None]
    ends = [suite.body.body[-1] for suite in suites if isinstance(suite.body, cst.IndentedBlock)]
    last = [end.body[-1] for end in ends if isinstance(end, cst.SimpleStatementLine)]
    return any(isinstance(statement, (cst.Break, cst.Return)) for statement in last)


def lent(region: Region) -> bool:
    """Whether code out of view may step: it is given an optimizer, or something that learns once training has begun."""
    begun = False
    for event in region.events:
        if event.kind in ("backward", "clear"):
            begun = True
        elif event.kind == "escape":
            held = carried(event.values)
            if (begun and may_learn(event.values)) or any(
                isinstance(v, Instance) and "$state" in v.attrs for v in held
            ):
                return True
    return False


def looked_at(region: Region) -> bool:
    """Whether gradients are what is wanted, or parameters are moved along them by hand; where all else of a training is
    there, a look at them is for the record."""
    if not region.has("gradient"):
        return False
    leaves = (v for e in region.of("escape") for v in e.values if isinstance(v, Tensor))
    moved = region.has("edit") or any(dep.node is None for leaf in leaves for dep in leaf.deps)
    clipped = any(method_of(event) in SCALING for event in region.of("gradient"))
    return moved or not (clipped or region.has("scheduler", "scaler_update", "clip"))


def asks_for_parameters(region: Region) -> bool:
    """Whether gradients of parameters may be asked for by themselves, and not only those of inputs, as penalties are
    computed from."""
    return any(not is_input(event.inputs) for event in region.of("autograd"))


def is_input(value: Value | None) -> bool:
    """Whether a value surely is a tensor that is no parameter, or several of them."""
    if isinstance(value, Tensor):
        return all(dep.node is not None for dep in value.deps)
    items = value.items if isinstance(value, (ListObject, Tuple)) else None
    return bool(items) and all(map(is_input, items or ()))


def made_alike(one: Instance, other: Instance) -> bool:
    """Whether two optimizers were made at the same place, such as the constructor of a class."""
    return one.born is not None and other.born is not None and one.born.node is other.born.node


AVERAGING = ("pmean", "psum")  # of JAX, over devices: what they give is as good as what they are given


def is_unread(index: Index, node: Any) -> bool:
    """Whether the result of a call, or the first of several, is bound to a name that nobody reads, or to none."""
    around: Any = index.parent(node)
    if isinstance(around, cst.Expr):
        return True
    target: Any = around.targets[0].target if isinstance(around, cst.Assign) and len(around.targets) == 1 else None
    if isinstance(target, cst.Tuple) and target.elements and isinstance(target.elements[0], cst.Element):
        target = target.elements[0].value
    bindings = index.lookup(target) if isinstance(target, cst.Name) else []
    return bool(bindings) and not any(index.references(binding) for binding in bindings)


def is_on_the_way(first: Any, second: Any) -> bool:
    """Whether the second of two events in one function only happens where the first one has happened."""
    if first.space is not second.space or first.node is second.node:  # which may be of alternatives
        return False
    index = index_of(first.space)
    around = {id(node) for node in index.ancestors(second.node)}
    return index.function(first.node) is index.function(second.node) and all(
        id(node) in around or isinstance(index.parent(node), cst.With)
        for node in index.ancestors(first.node)
        if isinstance(node, (cst.BaseSuite, cst.IfExp))
    )


def catching_up(region: Region) -> set[int]:
    """The steps in inner loops that run no backward, as to have schedules catch up with the epochs before."""
    steps: dict[int, set[int]] = {}
    learning: set[int] = set()
    for event, inside in nested(region.events):
        loops = [enter for enter in inside if enter.block == "loop"]
        if event.kind == "step" and loops:
            steps.setdefault(id(loops[-1].node), set()).add(id(event.node))
        elif event.kind == "backward":
            learning |= {id(enter.node) for enter in loops}
    return {step for loop, held in steps.items() if loop not in learning for step in held}


def recorded_by(index: Index, node: Any, tape: cst.Name) -> list[cst.With]:
    """The blocks of a function in which the tape of a name records."""
    function = index.function(node)
    inside = nodes_in(function.body) if isinstance(function, cst.FunctionDef) else ()
    return [
        block
        for block in inside
        if isinstance(block, cst.With)
        and any(item.asname is not None and is_name(item.asname.name, tape.value) for item in block.items)
    ]


STATISTICS_SET = re.compile(r"batch_stats\W{0,3}\s*=[^=]")


class StepOrder(Rule):
    """Backward and step do not follow each other."""

    code, name = "TL203", "step-order"
    message = "{what}"
    fixable = Safety.UNSAFE

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "loop":
            self.step_first(region, report)
            self.wasted(region, report)
            self.not_gathered(region, report)
        elif region.kind == "program":
            self.never_stepped(region, report)
            self.unreached(region, report)
            self.unfed(region, report)
            self.again(region, report)

    @on("output")
    def given(self, fact: tuple[Any, Instance, Value], report: Report) -> None:
        """A model gives a single tensor, so that whatever is computed of it has the graph behind it in common."""
        if isinstance(fact[2], Tensor):
            report.interp.event("single", fact[0])

    def again(self, region: Region, report: Report) -> None:
        """The graph behind an output is gone through a second time, though the first time has freed it."""
        single, freed = {event.node for event in region.of("single")}, dict[Any, Any]()
        for event in region.events:
            if event.kind == "model":
                freed.pop(event.node, None)
            if event.kind != "backward" or event.loss.graph is not True:
                continue
            reached = {dep.node for dep in event.loss.deps if dep.live} & single
            for node in reached & freed.keys():
                first = freed[node]
                if is_on_the_way(first, event):
                    what = "this goes a second time through the graph of an output (@) that the first `backward` freed"
                    draft = report(event.node, event.space, what=what)
                    draft.because([Step(event.space, node, "the output"), Step(first.space, first.node, "freed")])
            if event.kept is False and event.engine is None and not keyword(event.node, "create_graph"):
                freed |= dict.fromkeys(reached, event)

    @on_call("jax_gradient.__call__")
    def unused(self, call: Call, report: Report) -> None:
        """A function asks for gradients and does nothing with them."""
        asked, index = call.receiver, index_of(report.space())
        if not isinstance(asked, Instance) or truth(asked.attrs["$value"]) or truth(asked.attrs["$aux"]) is not False:
            return
        if isinstance(index.parent(call.node), cst.Assign) and index.function(call.node) is not None:
            if is_unread(index, call.node):
                report(call.node, what="nothing is done with these gradients, so nothing is learnt")

    @on_call("jax_gradient.__call__")
    def put_aside(self, call: Call, report: Report) -> None:
        """A function or a loop asks for a value and gradients, and goes on without the gradients. Once, at the top of
        a file, is how it is shown what they are."""
        asked, index, frame = call.receiver, index_of(report.space()), report.interp.frame
        once = frame.function is None and not frame.loops
        if isinstance(asked, Instance) and truth(asked.attrs["$value"]) and not once:
            if is_second_unread(index, call.node, AVERAGING):
                report.interp.event("unused", call.node)

    @on("program", having="unused")
    def never_learnt(self, region: Region, report: Report) -> None:
        """Gradients are asked for and not looked at, in a program that makes no step at all."""
        for event in region.of("unused") if not region.has("step", "advanced") else ():
            report(event.node, event.space, what="nothing is done with these gradients, so nothing is learnt")

    @on_call("optax.update", "tape.gradient", "flax_state.apply_gradients", "optax.apply_updates")
    def thrown_away(self, call: Call, report: Report) -> None:
        """What a step of a library without side effects gives is not looked at any more. One that is made once, at the
        top of a file, and gets a name is there to be shown."""
        index, sources, frame = index_of(report.space()), call.argument("sources", 2), report.interp.frame
        written = names_in(definition(index, sources) or sources)
        if call.path == "tape.gradient" and not any(name.startswith("trainable_") for name in written):
            return
        once = frame.function is None and not frame.loops
        if is_unread(index, call.node) and not (once and isinstance(index.parent(call.node), cst.Assign)):
            report(call.node, what=f"nothing is done with what `{call.short_name}` gives, so nothing is learnt")

    @on_call("tape.gradient")
    def past_the_tape(self, call: Call, report: Report) -> None:
        """A loss is computed after the block in which the tape (@) records."""
        index, tape = index_of(report.space()), getattr(call.node.func, "value", None)
        loss = call.argument("target", 1)
        blocks = recorded_by(index, call.node, tape) if isinstance(tape, cst.Name) else []
        bound = reaching(index, loss) if isinstance(loss, cst.Name) else None
        statement = index.statement(bound) if bound is not None else None
        made = getattr(statement, "value", None)
        if len(blocks) != 1 or not isinstance(statement, cst.Assign) or contains(blocks[0], statement):
            return
        if isinstance(made, (cst.Call, cst.BinaryOperation)) and follows(index, blocks[0], index.parent(statement)):
            what = "the loss is computed after the tape's block (@), so its gradients are None"
            report(made, what=what).because([Step(report.space(), blocks[0].items[0].item, "the tape")])

    @on("loop", having="advanced")
    def stands_still(self, region: Region, report: Report) -> None:
        """Each turn of a loop over data takes its step from the same state, which the loop did not begin with."""
        draws = any(is_plain_call(node, "next") for node in nodes_in(region.node))
        if not draws and not hands_on(region.node) and not picks_rows(region.node):
            return
        own = {id(event.state) for event in region.of("begun")}
        for node, events in by_node(region.of("advanced")).items():
            state, *later = (event.state for event in events)  # from one turn alone, nothing is known of the next
            if not later or not isinstance(state, Instance) or id(state) in own or any(o is not state for o in later):
                continue
            what = "parameters, as the new are not kept"
            if state.family == "optimizer_state":
                if is_second_unread(index_of(events[0].space), node):
                    continue  # where the optimizer gives it, it is told of
                what = "state of the optimizer, as the new one is not kept"
            draft = report(
                node, events[0].space, what=f"every turn of the loop (@) takes its step from the same {what}"
            )
            draft.because([Step(region.space, region.node, "the loop")])

    @on("program", having="statistics")
    def statistics_left(self, region: Region, report: Report) -> None:
        """The statistics that batch norm gathers while a state of Flax is trained never get into it."""
        events = region.of("statistics")
        if any(event.kept for event in events):
            return
        for event in {event.node: event for event in events}.values():
            if event.space.source is not None and len(STATISTICS_SET.findall(event.space.source.text)) < 2:
                what = "the new state has the parameters of this step, and batch norm's statistics from the beginning"
                report(event.node, event.space, what=what)

    def step_first(self, region: Region, report: Report) -> None:
        """Each turn steps with no gradients at hand, and fills them afterwards."""
        events = [e for e in region.events if e.kind in ("step", "backward")]
        apart = catching_up(region)
        for i, step in enumerate(events):
            if (
                step.kind == "step"
                and id(step.node) not in apart
                and step.before == {"clear"}
                and isinstance(step.optimizer, Instance)
            ):
                before = (e.loss.deps for e in events[:i] if e.kind == "backward")
                if is_run_elsewhere(step) or any(deps and not any(dep.live for dep in deps) for deps in before):
                    continue  # where nothing at all is reached, other rules tell why
                later = (e for e in events[i + 1 :] if e.kind == "backward")
                backward = next((e for e in later if touches(step.optimizer, e.loss.deps, True)), None)
                same = [e for e in region.of("step") if e.node is step.node]
                if backward is not None and is_used(events[events.index(backward) + 1 :], backward, step.optimizer):
                    continue  # it is another's, and what is missing is one of its own
                if backward and len(same) > 1 and all(e.before <= {"clear", "wiped"} for e in same):
                    what = "`step` runs before `backward`, so it finds no gradients and changes nothing"
                    place = Step(backward.space, backward.node, "backward")
                    exclusive = contradict(conditions(place), conditions(Step(step.space, step.node, "")))
                    if exclusive:
                        what = "`step` finds no gradients, as `backward` (@) runs under another setting only"
                    draft = report(step.node, step.space, what=what).because([place])
                    if not exclusive:
                        draft.repair(partial(self.move, backward.space, backward.node))

    def move(self, space: Namespace, backward: Any, draft: Draft) -> None:
        if space is draft.space:
            index = index_of(space)
            if follows(index, line_of(index, draft.node), line_of(index, backward)):
                draft.fix("step after `backward`", move_after(draft.node, backward))

    def never_stepped(self, region: Region, report: Report) -> None:
        """Gradients are filled and cleared, and the optimizer that holds their parameters never steps."""
        backwards, steps, present = region.of("backward"), region.of("step"), optimizers(report.interp)
        if not backwards or not region.has("clear") or region.has("named") or looked_at(region):
            return
        if report.interp.flags.get(HOOKED) is TRUE:
            return
        if any(not isinstance(e.optimizer, Instance) or "$state" not in e.optimizer.attrs for e in steps):
            return
        if lent(region):
            return
        for optimizer in present:
            if any(e.optimizer is optimizer for e in steps) or "?" in optimizer.attrs.get("$state", "?"):
                continue
            if any(e.optimizer.attrs["$modules"] & optimizer.attrs["$modules"] for e in steps):
                continue  # another optimizer holds these parameters too, and steps
            clears = [e for e in region.of("clear") if e.optimizer is optimizer]
            edited = any(id(e.module) in optimizer.attrs["$modules"] for e in region.of("edit"))
            if (not clears or edited) and asks_for_parameters(region):
                continue  # parameters may be moved along the gradients that are asked for
            if any(e.node is optimizer.born and e.rule == self.code for e in region.of("told")):
                continue
            if not clears and any(made_alike(e.optimizer, optimizer) for e in steps):
                continue  # each network of a class has one, those included that follow another
            # The only one there is, which is cleared for it, gets what a loss of unknown origin fills.
            alone = len(present) == 1 and bool(clears)
            if not optimizer.attrs["$complete"] and not alone:
                continue
            last = next((e for e in reversed(backwards) if touches(optimizer, e.loss.deps, alone)), None)
            if last is not None and not elsewhere(region, "step") and not in_reach(region, last):
                what = (
                    "gradients are computed, but the optimizer of these parameters never steps, so they are not learnt"
                )
                draft = report(last.node, last.space, what=what).because([optimizer.born])
                if not region.has("gradient"):  # else the step belongs behind what is done with them
                    draft.repair(partial(self.step, [e.node for e in clears if e.space is last.space]))

    def unfed(self, region: Region, report: Report) -> None:
        """A model runs and its optimizer steps, but no gradients are ever there when it does."""
        if region.has("named") or not region.has("step") or asks_for_parameters(region):
            return
        present, backwards = optimizers(report.interp), region.of("backward")
        for optimizer in present:
            steps = [e for e in region.of("step") if e.optimizer is optimizer]
            if not steps or any(not e.before <= {"clear", "wiped"} for e in steps) or steps[0].before == {"wiped"}:
                continue  # where gradients are wiped from the first step on, the clearing is at fault
            # The only one there is, which is cleared for it, is meant for a loss of unknown origin.
            alone = len(present) == 1 and any(e.optimizer is optimizer for e in region.of("clear"))
            losses = [
                e
                for e in region.of("loss")
                if isinstance(e.result, Tensor) and e.result.graph and touches(optimizer, e.result.deps, alone)
            ]
            if not losses and not ((alone or optimizer.attrs["$complete"]) and self.runs(region, optimizer)):
                continue
            if any(not any(dep.live for dep in e.loss.deps) for e in backwards if e.loss.deps):
                continue  # other rules tell why nothing at all is reached
            if any(map(is_run_elsewhere, steps)) or elsewhere(region, "backward") or fed(region, optimizer):
                continue
            if not all(map(leaves_gradient, region.of("gradient"))):
                continue
            what = "`step` runs without any `backward`, so it finds no gradients and nothing is learnt"
            if backwards:
                what = "`step` finds no gradients: no `backward` runs between the clearing and this step"
            draft = report(steps[0].node, steps[0].space, what=what)
            draft.repair(partial(self.run_backward, losses))

    def runs(self, region: Region, optimizer: Instance) -> bool:
        """Whether a model that an optimizer holds, or holds a part of, runs with gradients recorded."""
        ran = {id(e.module): e.module for e in region.of("model") if e.grad is True}
        return any(not optimizer.attrs["$modules"].isdisjoint(descendants(module)) for module in ran.values())

    def unreached(self, region: Region, report: Report) -> None:
        """An optimizer steps turn by turn, and no gradient of what runs backward gets to its parameters."""
        if region.has("gradient", "named") or not region.has("backward") or len(optimizers(report.interp)) < 2:
            return  # a single optimizer that holds another model than the one that is trained is TL701's
        for optimizer in optimizers(report.interp):
            steps = [e for e in region.of("step") if e.optimizer is optimizer]
            owned = optimizer.attrs.get("$modules")
            if len(steps) < 2 or any(e.before != {"clear"} or e.node is not steps[0].node for e in steps):
                continue
            if not owned or not optimizer.attrs.get("$complete") or optimizer.attrs.get("$many"):
                continue
            since = since_made(region, optimizer)
            losses = [e.loss for e in since if e.kind == "backward"]
            first, second = [i for i, e in enumerate(region.events) if e.kind == "step" and e.optimizer is optimizer][
                :2
            ]
            if not any(e.kind in ("backward", "model") for e in region.events[first:second]):
                continue  # nothing is trained in a turn, as where a schedule is drawn
            if not losses or not all(any(dep.live for dep in loss.deps) for loss in losses):
                continue  # where nothing at all is reached, other rules tell why
            if any(touches(optimizer, x.deps, True) is not False or not owned.isdisjoint(kept(x)) for x in losses):
                continue
            if any(may_train(optimizer, e.values) for e in since if e.kind == "escape"):
                continue
            if any(e.kind == "step" and e.node is steps[0].node for e in beside(steps[0], region.events)):
                continue  # one of several that the program may have made, of which another goes with the model
            what = "`step` finds no gradients, as no `backward` reaches the parameters of this optimizer (@)"
            report(steps[0].node, steps[0].space, what=what).because([optimizer.born])

    def wasted(self, region: Region, report: Report) -> None:
        """What a backward fills is cleared in each turn, and an optimizer that it is meant for never steps there."""
        if not region.has("clear") or not region.has("backward") or region.has("gradient", "named"):
            return
        if report.interp.flags.get(HOOKED) is TRUE:
            return
        if tries_again(region.node):
            return  # the gradients that the last turn leaves are those that a step behind the loop uses
        stepping = [e.optimizer for e in region.of("step")]
        if any(not isinstance(o, Instance) or "$state" not in o.attrs for o in stepping):
            return
        known = [o for o in optimizers(report.interp) if o.attrs.get("$complete")]
        idle = [o for o in known if o not in stepping and any(e.optimizer is o for e in region.of("clear"))]
        if len(known) != len(optimizers(report.interp)):
            return
        lost: dict[Instance, Any] = {}
        for node, backwards in by_node(region.of("backward")).items():
            reach = Reach(backwards[0].loss.deps)
            reached = [o for o in known if reach.touches(o, False) is True]
            if (
                reached
                and in_line(region, backwards[0], reached)
                and all(self.is_wiped(region, e, known) for e in backwards)
            ):
                what = "these gradients are cleared before any step uses them (@)"
                clears = [e for e in region.of("clear") if e.optimizer in (None, *reached)]
                report(node, backwards[0].space, what=what).because(
                    [Step(e.space, e.node, "gradients cleared") for e in clears[-1:]]
                )
                continue
            missing = next((o for o in idle if o in reached and o.born is not None), None)
            if missing is None or not all(
                self.is_wiped(region, e, known) or is_taken_again(region, e, missing) for e in backwards
            ):
                continue
            given = (e.values for r in outwards(region) for e in r.of("escape"))
            if any(value is missing for values in given for value in carried(values)):
                continue  # code out of view has it, and may step
            shared = frozenset[int]().union(*(o.attrs["$modules"] for o in stepping))
            if missing.attrs["$modules"] & shared or any(may_train(missing, e.values) for e in region.of("escape")):
                continue
            lost[missing] = backwards[0]  # of several losses, the step belongs behind the last
        for missing, backward in lost.items():
            what = "these gradients are cleared before any step uses them: the optimizer of this loss never steps here"
            report(backward.node, backward.space, what=what).because([missing.born])
            report.interp.event("told", missing.born, self.code)

    def not_gathered(self, region: Region, report: Report) -> None:
        """Each turn fills gradients of a loss that is divided, or of the only one, and clears them, and every nth only
        steps, so it takes those of its own batch."""
        if not region.has("backward") or not region.has("clear") or region.has("gradient", "named", "autograd"):
            return
        flow = list(nested(region.events))
        stepping = dict.fromkeys(e.optimizer for e in region.of("step") if isinstance(e.optimizer, Instance))
        for optimizer in stepping:
            steps = [(e, inside) for e, inside in flow if e.kind == "step" and e.optimizer is optimizer]
            every = [block for _, inside in steps[:1] for block in inside if block.block == "periodic"]
            if len(by_node(e for e, _ in steps)) > 1 or len(every) != 1 or any(map(always, (i for _, i in steps))):
                continue
            number = const(report.interp.eval(every[0].value)) if every[0].space is report.space() else None
            if isinstance(number, int) and number <= 1:
                continue
            clears = [e for e in region.of("clear") if e.optimizer in (None, optimizer)]
            backwards = [e for e in region.of("backward") if touches(optimizer, e.loss.deps, True) is not False]
            if not clears or not backwards or any(e.engine is not None for e in backwards):
                continue
            shared = all(any(dep.module is FACTOR for dep in e.loss.deps) for e in backwards)  # by several batches
            only = len(stepping) == 1 and len(by_node(region.of("backward"))) == 1
            if (shared or only) and all(
                touches(optimizer, e.loss.deps, True) and is_unconditional(region, e) for e in backwards
            ):
                clear = next((e for e in clears if is_unconditional(region, e)), None)
                if clear is not None:
                    what = "gradients are cleared at every batch, so a step after several of them (@) takes the last's"
                    place = Step(steps[0][0].space, steps[0][0].node, "the step")
                    report(clear.node, clear.space, what=what).because([place])

    def is_wiped(self, region: Region, backward: Any, known: list[Instance]) -> bool:
        """Whether each optimizer that a backward reaches clears, or is left, before it steps."""
        later, reach = region.events[region.events.index(backward) + 1 :], Reach(backward.loss.deps)
        for optimizer in known:
            reached = reach.touches(optimizer, False)
            uses = (e for e in later if e.kind in ("clear", "step") and e.optimizer in (optimizer, None))
            if reached is not False and (use := next(uses, None)) is not None and use.kind == "step":
                return False
        return True

    def run_backward(self, losses: list[Any], draft: Draft) -> None:
        """Offer to run the only loss backward, where it is a name of its own in the same block."""
        places = {event.node for event in losses if event.space is draft.space}
        if len(places) != 1 or len(places) != len({event.node for event in losses}):
            return
        index = index_of(draft.space)
        statement = index.statement(places.pop())
        line, stepping = index.parent(statement) if statement is not None else None, line_of(index, draft.node)
        if not isinstance(statement, cst.Assign) or stepping is None or not follows(index, line, stepping):
            return
        target = statement.targets[0].target
        if isinstance(target, cst.Name) and definition(index, target) is statement.value:
            uses = [index.parent(use) for binding in index.lookup(target) for use in index.references(binding)]
            if not any(isinstance(use, (cst.BinaryOperation, cst.AugAssign)) for use in uses):
                draft.fix("run the loss backward", insert_before(draft.node, target, ".backward()"))

    def step(self, clears: list[Any], draft: Draft) -> None:
        """Offer to step behind `backward`, where what is to step is cleared in the same block."""
        index = index_of(draft.space)
        backward = line_of(index, draft.node)
        found = {
            clear.func.value.value if isinstance(clear.func.value, cst.Name) else clear: clear.func.value
            for clear in clears
            if isinstance(clear, cst.Call) and isinstance(clear.func, cst.Attribute) and is_plain(clear.func.value)
            if index.parent(line_of(index, clear)) is index.parent(backward)
        }
        if backward is not None and len(found) == 1:
            draft.fix("step", insert_after(draft.node, next(iter(found.values())), ".step()"))

    @on("training_step")
    def lightning(self, fact: Any, report: Report) -> None:
        """Lightning runs backward on what `training_step` returns; None tells it to skip the batch."""
        method, module, value, region = fact
        manual = module.attrs.get("automatic_optimization")
        again = [event for event in region.of("backward") if not is_of_other_calls(event.loss, value)]
        asked = isinstance(value, Tensor) or (bool(again) and called(again[0].node) == "manual_backward")
        if again and automatic(module) and asked:
            what = "Lightning runs `backward` and `step` on what `training_step` returns (@), so this is done twice"
            place = Step(method.space, method.node.name, "training_step")
            report(again[0].node, again[0].space, what=what).because([place])
        if value.key == NONE.key and (manual is None or truth(manual) is True):
            if region.has("loss", "model", "outside") and not region.has("backward", "step") and not by_hand(module):
                what = "`training_step` returns nothing, so Lightning skips every batch and nothing is learnt"
                losses = [Step(e.space, e.node, "the loss") for e in region.of("loss")]
                report(method.node.name, method.space, what=what).because(losses[-1:])


def is_of_other_calls(loss: Value, returned: Value) -> bool:
    """Whether a loss surely comes of other calls of models than what is returned, as where inputs are optimised."""
    if not isinstance(loss, Tensor) or not isinstance(returned, Tensor):
        return False
    made, used = ({dep.node for dep in tensor.deps if dep.live} for tensor in (loss, returned))
    return bool(made and used) and None not in made and made.isdisjoint(used)


def is_taken_again(region: Region, backward: Any, missing: Instance) -> bool:
    """Whether an outermost loop, after a backward that is meant for one optimizer, steps another, which has just made a
    step with gradients of its own loss."""
    if any(outer.kind == "loop" for outer in outwards(region.parent)):
        return False  # the step that is missing here may be in another loop
    place = region.events.index(backward)
    taken = next((e.optimizer for e in region.events[place:] if e.kind == "step"), None)
    own: Any = None
    for event in region.events[:place]:
        if event.kind == "backward":
            own = event
        elif event.kind == "step" and event.optimizer is taken and own is not None:
            if own.node is not backward.node and touches(missing, own.loss.deps, False) is not True:
                return touches(taken, own.loss.deps, False) is True
    return False


def kept(loss: Tensor) -> set[int]:
    """Identities of the objects inside the modules that a loss depends on, also of those that they do not register."""
    found: dict[int, Value] = {}
    rest: list[Value] = [dep.module for dep in loss.deps if dep.live]
    while rest and len(found) < MAX_KEPT:
        value = rest.pop()
        if id(value) not in found:
            found[id(value)] = value
            inside = value.attrs.values() if isinstance(value, Instance) else contents(value)
            rest += (v for v in inside if isinstance(v, (Instance, ListObject, Tuple, DictObject)))
            rest += (o for v in inside if isinstance(v, Union) for o in v.options)
    return set(found)


def beside(event: Any, events: list[Any]) -> list[Any]:
    """The events next to one in the flow: what an operation on one of several objects does to the others."""
    at = next(i for i, e in enumerate(events) if e is event)
    return [events[i] for i in (at - 1, at + 1) if 0 <= i < len(events)]


def fed(region: Region, optimizer: Instance) -> bool:
    """Whether an optimizer may find gradients after all: what some backward, or code out of view, has filled since they
    were cleared, or the time before."""
    filled = region.has("backward")
    for event in since_made(region, optimizer):
        if event.kind == "clear" and event.optimizer in (optimizer, None):
            filled = False
        elif event.kind == "backward":
            filled = True
        elif event.kind == "escape" and not filled:
            held = tuple(carried(event.values))
            filled = may_learn(held) or any(isinstance(v, Tensor) and v.nature == "a gradient" for v in held)
        elif event.kind == "step" and event.optimizer is optimizer:
            if filled:
                return True
            filled = region.has("backward")
    return False


def since_made(region: Region, optimizer: Instance) -> list[Any]:
    """What has happened in a region since an optimizer was made."""
    begin = next((e for e in region.of("made") if e.instance is optimizer), None)
    return region.events[region.events.index(begin) if begin is not None else 0 :]


def leaves_gradient(event: Any) -> bool:
    """Whether a gradient is only read, scaled or clipped where it is looked at: where it was nothing, it stays so."""
    method = method_of(event)
    return method in LEAVING or (bool(method) and not method.endswith("_"))


def method_of(event: Any) -> str:
    """The method of a gradient that is called where it is looked at, as in `p.grad.data.clamp_(-1, 1)`; "is" where it
    is compared, "call" where it is given to a function, and the name of what tells of its kind or place."""
    index, node = index_of(event.space), event.node
    owner = index.parent(node)
    while isinstance(owner, cst.Attribute):
        if owner.attr.value in TELLING:
            return owner.attr.value
        node, owner = owner, index.parent(owner)
    if isinstance(owner, cst.Call) and owner.func is node:
        return called(owner)
    return "is" if isinstance(owner, cst.Comparison) else "call" if isinstance(owner, cst.Arg) else ""


def is_run_elsewhere(step: Any) -> bool:
    """Whether a step is taken by something that may run the backward by itself."""
    return step.scaler is None and not isinstance(step.node, cst.Call)


def may_train(optimizer: Instance, values: tuple[Value, ...]) -> bool:
    """Whether code out of view that is given these values could fill an optimizer's gradients, or step."""
    owned = optimizer.attrs["$modules"]
    for value in values:
        if isinstance(value, Tensor):
            if value.graph is not False and value.deps and touches(optimizer, value.deps, False) is not False:
                return True
        elif isinstance(value, Instance) and may_learn((value,)):
            if "$state" in value.attrs or not owned.isdisjoint(descendants(value)):
                return True
    return False


def by_hand(module: Instance) -> bool:
    """Whether the class of a Lightning module runs a backward itself."""
    return isinstance(module.cls, Class) and any(
        called(call) in ("manual_backward", "backward") for call in calls_in(module.cls.node)
    )


class SchedulerBeforeOptimizer(Rule):
    """The schedule moves before the first step."""

    code, name = "TL204", "scheduler-before-optimizer"
    message = "the scheduler steps before the optimizer's first step, so the first learning rate is never used"
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on("loop", having="scheduler step")
    def check(self, region: Region, report: Report) -> None:
        for i, event in enumerate(region.events):
            if event.kind != "scheduler" or event.given is not None:
                continue  # told the epoch, it computes the rate of that epoch; told a metric, it starts from it
            if event.first or (event.first is None and self.leads(region, i)):
                steps = (e for e in region.events[i + 1 :] if e.kind == "step")
                later = next((e for e in steps if any(e.optimizer is o for o in event.optimizers)), None)
                if later is not None and (not waits(event, region.node) or in_a_row(event, later)):
                    draft = report(event.node, event.space)
                    draft.because([Step(later.space, later.node, "the optimizer's step")])
                    draft.repair(partial(self.move, region, later))

    def leads(self, region: Region, i: int) -> bool:
        """Whether a scheduler's step comes in each turn of a loop, or right before the optimizer's, and no optimizer
        steps before it."""
        if any(e.kind == "step" for e in region.events[:i]):
            return False
        event, step = region.events[i], next((e for e in region.events[i + 1 :] if e.kind == "step"), None)
        return each_turn(region.node.body, event.node) or (step is not None and in_a_row(event, step))

    def move(self, region: Region, later: Any, draft: Draft) -> None:
        index = index_of(draft.space)
        line = line_of(index, draft.node)
        body = getattr(region.node, "body", None)
        if line is None or draft.node.args or index.parent(line) is not body or not isinstance(body, cst.IndentedBlock):
            return
        target = around(index, later.node, body) if later.space is draft.space else None
        following = body.body[body.body.index(line) + 1 :]
        if (
            target is None
            and following
            and not any(isinstance(n, cst.Continue) for s in following for n in nodes_in(s))
        ):
            target = following[-1]
        if target in following:
            draft.fix("step the scheduler after the optimizer", move_after(draft.node, target))


def waits(event: Any, loop: Any) -> bool:
    """Whether a loop, or what it runs, makes a call only from some count on: in the first turn maybe not yet."""
    for outer in index_of(event.space).ancestors(event.node):
        if outer is loop or isinstance(outer, cst.FunctionDef):
            return False
        if isinstance(outer, cst.If) and contains(outer.body, event.node) and any(map(sets_in, nodes_in(outer.test))):
            return True
    return False


def sets_in(test: Any) -> bool:
    """Whether a condition holds from some count on, or for one of some: `i > n`, `n < i`, `i != 0`, `i % n`."""
    if isinstance(test, cst.BinaryOperation):
        return isinstance(test.operator, cst.Modulo)
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    operator, right = test.comparisons[0].operator, test.comparisons[0].comparator
    if isinstance(operator, (cst.LessThan, cst.LessThanEqual)):
        return isinstance(test.left, cst.Integer) and is_counter(right)
    above = isinstance(operator, (cst.GreaterThan, cst.GreaterThanEqual))
    return is_counter(test.left) and (above or (isinstance(operator, cst.NotEqual) and isinstance(right, cst.Integer)))


def is_counter(node: Any) -> bool:
    """Whether a node may be what a program counts with, not a setting: a name, an attribute of `self`, or a sum."""
    if isinstance(node, cst.BinaryOperation):
        return is_counter(node.left)
    owner = node.value if isinstance(node, cst.Attribute) else node
    return isinstance(owner, cst.Name) and (owner is node or owner.value == "self")


def each_turn(body: Any, call: Any) -> bool:
    """Whether a loop makes a call in every turn, or in every one if the object is there at all. What is no call, as
    `p.grad = None`, is not looked for."""
    for statement in body.body:
        if isinstance(statement, cst.SimpleStatementLine):
            if any(isinstance(s, cst.Expr) and s.value is call for s in statement.body):
                return True
        elif isinstance(statement, (cst.With, cst.Try)):
            if each_turn(statement.body, call):
                return True
        elif isinstance(statement, cst.If) and isinstance(getattr(call, "func", None), cst.Attribute):
            test = statement.test.left if isinstance(statement.test, cst.Comparison) else statement.test
            if test.deep_equals(call.func.value) and each_turn(statement.body, call):
                return True
    return False


def in_a_row(event: Any, then: Any) -> bool:
    """Whether a block makes two calls, one after the other, whenever it makes either."""
    index = index_of(event.space)
    if then.space is not event.space or not isinstance(then.node, cst.Call):
        return False
    return follows(index, line_of(index, event.node), line_of(index, then.node))


def keeps_graph(grown: Any) -> bool:
    """Whether a value that is kept holds its graph by itself, as tensors of PyTorch do; elsewhere a tape holds it."""
    return getattr(grown.value, "lib", "torch") == "torch" and is_of_torch(grown.space)


class GraphRetained(Rule):
    """A running total keeps the graph of every batch."""

    code, name = "TL206", "graph-retained"
    message = "a tensor is kept from batch to batch together with its graph, so memory grows with every batch"
    severity = Severity.WARNING
    fixable = Safety.SAFE

    @on("loop", having="backward grown")
    def check(self, region: Region, report: Report) -> None:
        if not region.has("clear", "step") and any(
            r.kind in ("loop", "call") and r.has("clear") for r in outwards(region.parent)
        ):
            return  # the loop goes over the pieces of one batch, or of what a closure computes
        losses = [event.loss for event in region.of("backward")]
        used = {node for value in (*losses, *(e.value for e in region.of("autograd"))) for node in value.grown}
        for grown in region.of("grown"):
            if grown.loop is region.node and grown.node not in used and keeps_graph(grown):
                if grown.value.graph or any(same_loss(grown.value, loss) for loss in losses):
                    self.tell(grown, report)

    @on("loop", having="backward kept")
    def in_rows(self, region: Region, report: Report) -> None:
        """A loss that was run backward, or a term of it, is an entry of a row that is kept."""
        losses = [event.loss for event in region.of("backward")]
        for kept in region.of("kept"):
            if kept.loop is region.node and keeps_graph(kept):
                if any(same_loss(kept.value, loss) or is_term(kept.value, loss) for loss in losses):
                    report(kept.node, kept.space)

    @on("program", having="grown model")
    def evaluated(self, region: Region, report: Report) -> None:
        """An evaluation over batches that records graphs keeps them, and nobody runs backward through what it keeps."""
        flow = list(nested(region.events))
        wanted = [e.loss if e.kind == "backward" else e.value for e, _ in flow if e.kind in ("backward", "autograd")]
        used = {node for value in wanted for node in value.grown}
        training = {id(block) for e, inside in flow if e.kind in ("backward", "autograd", "step") for block in inside}
        for event, inside in flow:
            if event.kind != "grown" or event.node in used or not event.value.graph or not keeps_graph(event):
                continue
            loop = next((block for block in inside if block.node is event.loop), None)
            if loop is None or id(loop) in training or not over_batches(loop):
                continue
            samples = any(getattr(option, "family", "") == "dataset" for option in options(loop.value))
            if not samples and is_judged(event.value):  # what is kept of each sample may be made of it alone
                self.tell(event, report)

    def tell(self, grown: Any, report: Report) -> None:
        """Report where a tensor is kept; of one that a helper keeps, as a meter does, where it is handed to that."""
        place = grown.handed or grown
        draft = report(place.node, place.space).because([Step(grown.space, grown.node, "kept here")])
        draft.repair(partial(self.detach, grown.node, grown.space))

    def detach(self, node: Any, space: Namespace, draft: Draft) -> None:
        kept = None
        if isinstance(node, cst.AugAssign):
            kept = node.value
        elif isinstance(node, cst.Call) and called(node) == "append" and len(node.args) == 1:
            kept = node.args[0].value
        elif isinstance(node, cst.Assign) and isinstance(node.value, cst.BinaryOperation):
            total = node.targets[0].target
            sides = (node.value.left, node.value.right)
            kept = next((other for one, other in (sides, sides[::-1]) if one.deep_equals(total)), None)
        if kept is not None and not isinstance(kept, cst.Tuple):
            draft.fix("keep it without its graph", replace(kept, kept, ".detach()", space=space))


def is_judged(value: Tensor) -> bool:
    """Whether a value comes of a model in eval mode, or of what it gives for held-out data."""
    ran = [dep for dep in value.deps if dep.live and dep.node is not None]
    return any(dep.training is False or value.data.part in HELD_OUT for dep in ran)


def same_loss(value: Tensor, loss: Tensor) -> bool:
    """Whether a value is the loss itself; it was run backward, so it surely has a graph."""
    deps = without_scaler(loss)
    return value is loss or (deps != loss.deps and value.key == loss.but(deps=deps).key)


def is_term(value: Tensor, loss: Tensor) -> bool:
    """Whether a loss was computed of a number that surely has a graph, and of nothing that a longer sum would be."""
    numbers = value.shape == () or value.nature == "a loss"
    return value.graph is True and numbers and bool(value.deps) and value.deps <= loss.deps and not loss.grown


def without_scaler(loss: Tensor) -> frozenset[Dep]:
    """What a loss depends on, but for the scaler that it was multiplied by."""
    return frozenset(dep for dep in loss.deps if dep.module.family != "scaler")


# --------------------------------------------------------------------------- clipping and accumulation


OPTAX_CLIPS = ("clip", "clip_by_global_norm", "clip_by_block_rms", "adaptive_grad_clip")


def is_unread_later(index: Index, node: Any) -> bool:
    """Whether the result of a call, or the first of several, gets a name that nothing behind it in its function, which
    is no loop's body, reads."""
    statement, function = index.statement(node), index.function(node)
    if not isinstance(statement, cst.Assign):
        return False
    target: Any = statement.targets[0].target
    if isinstance(target, cst.Tuple) and target.elements:
        target = target.elements[0].value
    if function is None or not isinstance(target, cst.Name):
        return False
    line: Any = index.parent(statement)
    while line is not None and line is not function:
        block = index.parent(line)
        if isinstance(line, (cst.For, cst.While)) or block is None:
            return False
        body = list(block.body) if isinstance(block, (cst.IndentedBlock, cst.Module)) else []
        place = next((i for i, one in enumerate(body) if one is line), None)
        if place is not None and any(target.value in names_in(one) for one in body[place + 1 :]):
            return False
        line = block
    return line is function


class ClipMisplaced(Rule):
    """Gradients are clipped where that has no effect."""

    code, name = "TL207", "clip-misplaced"
    message = "gradients are clipped {what}"
    fixable = Safety.UNSAFE

    @on("loop", having="clip")
    def check(self, region: Region, report: Report) -> None:
        clips = by_node(region.of("clip"))
        for node, found in clips.items():
            what, related = self.judge(region, found)
            if what.startswith("while") and is_without_scaler(region, report, found[0]):
                continue
            if what:
                plan = partial(self.mend, what.split()[0], related, region, len(clips))
                report(node, found[0].space, what=what).because(related).repair(plan)

    @on_call("tensorflow.clip_by_norm", "tensorflow.clip_by_global_norm", "torch.clamp")
    def dropped(self, call: Call, report: Report) -> None:
        """What is clipped is new, and gradients are left as they are."""
        dropped: Any = report.interp.discarded
        if isinstance(dropped, cst.ListComp):
            dropped = dropped.elt
        if call.node is dropped and not called(call.node).endswith("_"):
            if call.path != "torch.clamp" or call.tensor.nature == "a gradient":
                report(call.node, what="into new tensors that nobody keeps, so the clipping does nothing")
        elif call.path != "torch.clamp" and is_unread_later(index_of(report.space()), call.node):
            report(call.node, what="into new tensors that nobody reads any more, so the clipping does nothing")

    @on_call("optax.chain")
    def chained(self, call: Call, report: Report) -> None:
        """A chain of optax clips what an optimizer has made of the gradients."""
        made: Value | None = None
        for part, node in zip(call.arguments.positional, call.arguments.nodes, strict=False):
            plain = isinstance(part, Instance) and part.describe() == "sgd" and "momentum" not in part.attrs
            if isinstance(part, Instance) and "learning_rate" in part.attrs and not plain:
                made = part
            elif made is not None and isinstance(part, Instance) and part.describe() in OPTAX_CLIPS:
                what = "after the optimizer (@) has made updates of them, so its own state takes them as they are"
                born = made.born if isinstance(made, Instance) else None
                report(node or call.node, what=what).because([born])

    def mend(self, what: str, related: list[Step], region: Region, count: int, draft: Draft) -> None:
        """Offer the right place among the statements of one block, or what the clipping lacks."""
        index, clip = index_of(draft.space), draft.node
        if what == "of":
            parameters = positional(clip)[0] if positional(clip) else None
            made = definition(index, parameters) if isinstance(parameters, cst.Name) else None
            if isinstance(made, cst.Call) and called(made) == "parameters":
                draft.fix("keep the parameters in a list", replace(made, "list(", made, ")"))
            return
        place = related[0] if related else None
        if place is None or place.space is not draft.space or not isinstance(place.node, cst.Call):
            return
        line, other = line_of(index, clip), line_of(index, place.node)
        steps = [event for event in region.of("step") if event.space is draft.space]
        scaled = any(event.scaler is not None for event in region.of("step"))
        if what == "before" and follows(index, line, other):
            later = [line_of(index, event.node) for event in steps]
            if not scaled and all(follows(index, other, step) for step in later):
                draft.fix("clip after `backward`", move_after(clip, place.node))
        elif what == "after" and follows(index, other, line) and not scaled:
            backwards = [line_of(index, event.node) for event in region.of("backward") if event.space is draft.space]
            if backwards and all(follows(index, backward, other) for backward in backwards):
                draft.fix("clip before the step", move_before(clip, place.node))
        elif what == "while" and count == 1 and other is not None:
            optimizer, block = stepped(place.node), index.parent(other)
            scaler = place.node.func.value if isinstance(place.node.func, cst.Attribute) else None
            above = around(index, line, block) if line is not None else None
            looped = any(isinstance(n, (cst.For, cst.While)) for n in nodes_in(above)) if above is not None else True
            if optimizer is not None and is_plain(scaler) and place.node.args and not looped:
                if above is line or follows(index, above, other):
                    draft.fix("unscale them first", insert_before(clip, scaler, ".unscale_(", optimizer, ")"))

    def judge(self, region: Region, clips: list[Any]) -> tuple[str, list[Step]]:
        if any(clip.spent for clip in clips):
            return "of a generator of parameters that was walked through before, so none of them is clipped", []
        stepping = {id(e.optimizer) for e in region.of("step")}
        held = [[entry for entry in clip.states if id(entry[0]) in stepping] for clip in clips]
        entries = [entry for each in held for entry in each]
        if not all(held) or not any(sure for *_, sure in entries):
            return "", []  # what is told below holds for those that may hold the parameters, too
        owners = list(dict.fromkeys(owner for owner, *_ in entries))
        steps = [e for e in region.of("step") if e.optimizer in owners]
        reaches = ((e, Reach(e.loss.deps)) for e in region.of("backward"))
        backwards = [e for e, reach in reaches if any(reach.touches(o, True) for o in owners)]
        if not steps or not backwards:
            return "", []
        state = frozenset[str]().union(*(state for _, state, *_ in entries))
        step = Step(steps[0].space, steps[0].node, "the step")
        if state == {"used"} or (state == {"clear"} and clips_late(region.events, clips[0].node, steps)):
            return "after the step that uses them (@), so the clipping does nothing", [step]
        known = {id(e) for e in backwards}
        filled = filled_next(region, known, owners)
        empty = state <= {"used", "clear"} or (state <= {"clear", "wiped"} and filled[id(clips[0])])
        # Where gradients are added up over turns, some are there already; the last come after each clipping.
        away = {id(n) for _, way in other_ways(clips[0]) for n in nodes_in(way)}
        along = [e for e in region.events if id(e.node) not in away]
        first = next(e for e in along if id(e) in known or (e.kind == "clip" and e.node is clips[0].node))
        if empty or (first is clips[0] and all(filled[id(e)] for e in along if e.kind == "clip")):
            later = (e for e in region.events[region.events.index(clips[0]) :] if id(e) in known)
            following = next(later, backwards[0])
            backward = Step(following.space, following.node, "backward")
            return "before `backward` fills them (@), so the clipping does nothing", [backward]
        # Where a setting turns the scaling off, gradients are plain; with it on, they should be unscaled by now.
        ways: dict[Any, list[frozenset[str]]] = {}  # by the call of the function that clips
        for clip, each in zip(clips, held, strict=True):
            ways.setdefault(clip.way, []).extend(scale for _, _, scale, _ in each)
        scaled = any(all("scaled" in s and s <= {"scaled", "plain"} for s in scales) for scales in ways.values())
        if scaled and any(isinstance(e.scaler, Instance) for e in steps):
            return "while still multiplied by the loss scale; `unscale_` belongs before", [step]
        return "", []


def other_ways(event: Any) -> list[tuple[Any, Any]]:
    """The `if` statements around what happens, each with the branch that is not taken then."""
    forks = branches(Step(event.space, event.node, ""))
    return [(f, other) for f, way in forks if (other := f.orelse if way is f.body else f.body) is not None]


def is_without_scaler(region: Region, report: Report, clip: Any) -> bool:
    """Whether a clipping stands in a branch beside one that steps through a scaler, or where another value of the same
    setting leads to: what is scaled comes by there."""
    steps = [e for e in region.of("step") if isinstance(e.scaler, Instance)]
    scaled, here = {e.node for e in steps}, conditions(Step(clip.space, clip.node, ""))
    if steps and all(contradict(here, conditions(Step(e.space, e.node, ""))) for e in steps):
        return True
    for fork, other in other_ways(clip):
        is_here = contains(region.node, fork)
        for call in calls_in(other):
            if call in scaled:
                return True
            # The frame at hand is the loop's: what is called there may hold the scaler.
            held = report.interp.eval(call.func) if is_here and isinstance(call.func, cst.Name) else UNKNOWN
            if any(isinstance(v, Instance) and v.family == "scaler" for v in carried(held)):
                return True
    return False


def filled_next(region: Region, backwards: set[int], owners: list[Instance]) -> dict[int, bool]:
    """For each clipping in a region, whether what comes next of all backwards and the steps of some optimizers is one
    of the backwards that are for these; all by identity."""
    found: dict[int, bool] = {}
    filled = False
    for event in reversed(region.events):
        if event.kind == "backward":
            filled = id(event) in backwards
        elif event.kind == "step" and event.optimizer in owners:
            filled = False
        elif event.kind == "clip":
            found[id(event)] = filled
    return found


def clips_late(events: list[Any], clip: Any, steps: list[Any]) -> bool:
    """Whether the first clipping of a loop comes after its first step."""
    first = next(e for e in events if e in steps or (e.kind == "clip" and e.node is clip))
    return bool(first.kind == "step")


class UnscaledAccumulation(Rule):
    """Gradients of several batches are summed where their mean is meant."""

    code, name = "TL208", "unscaled-accumulation"
    message = (
        "the gradients of several batches are summed before each step (@), as the loss is not divided by their number"
    )
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on("loop", having="enter step")
    def check(self, region: Region, report: Report) -> None:
        if not any(e.block == "periodic" for e in region.of("enter")):
            return
        flow = [(event, inside) for event, inside in nested(region.events) if not inner_loops(inside)]
        if any(map(is_no_mean, nested(region.events))):
            return
        for i, (step, inside) in enumerate(flow):
            every = next((r for r in inside if r.block == "periodic"), None)
            if step.kind != "step" or every is None or not isinstance(step.optimizer, Instance):
                continue
            if (backward := self.summed(region, report, flow, i, step.optimizer, every)) is not None:
                draft = report(backward.node, backward.space).because([Step(step.space, step.node, "the step")])
                if region.space is backward.space:
                    draft.repair(partial(self.divide, every.value))

    @on("loop", having="enter step backward")
    def in_turns(self, region: Region, report: Report) -> None:
        """The batches whose gradients one step takes are drawn in a loop of their own."""
        flow = list(nested(region.events))
        if any(map(is_no_mean, flow)):
            return
        for i, (step, inside) in enumerate(flow):
            if step.kind != "step" or inner_loops(inside) or not isinstance(step.optimizer, Instance):
                continue
            since = [k for k, (e, _) in enumerate(flow[:i]) if e.kind in ("clear", "step")]
            added = flow[since[-1] + 1 if since else 0 : i]
            backwards = [(e, around) for e, around in added if e.kind == "backward"]
            loops = {id(loop): loop for _, around in backwards for loop in inner_loops(around)}
            loop = next(iter(loops.values()), None)
            if loop is None or len({loop.node for loop in loops.values()}) > 1 or not always(inside):
                continue
            number = stop_of(loop.node)
            if number is None or not isinstance(loop.node, cst.For) or loop.space is not region.space:
                continue
            count = const(report.interp.eval(number))
            if isinstance(count, int) and count <= 1:
                continue
            if all(self.is_undivided(step.optimizer, e, around) and inner_loops(around) for e, around in backwards):
                ran = {dep.node for e, _ in backwards for dep in e.loss.deps}
                calls = (e for e, _ in added if e.kind == "model" and e.node in ran)
                drawn = [source for e in calls for source in sources_of_batch(loop.node, e, report.interp)]
                # Without a loss of batches, what is learnt may be meant as a sum, as the rewards of an episode.
                if any(map(is_next, drawn)) or (drawn and any(e.kind == "loss" for e, _ in added)):
                    backward = backwards[0][0]
                    draft = report(backward.node, backward.space).because([Step(step.space, step.node, "the step")])
                    draft.repair(partial(self.divide, number))

    def divide(self, number: Any, draft: Draft) -> None:
        """Offer to divide what `backward` is called on, where the number is plainly named in the same function."""
        index, call = index_of(draft.space), draft.node
        if not (isinstance(number, cst.Integer) or is_plain(number)) or not isinstance(call, cst.Call):
            return
        if called(call) != "backward" or call.args or index.function(number) is not index.function(call):
            return
        loss = call.func.value if isinstance(call.func, cst.Attribute) else None
        if isinstance(loss, cst.Call) and called(loss) == "scale" and len(loss.args) == 1:
            loss = loss.args[0].value
        if is_plain(loss):
            draft.fix("divide the loss", replace(loss, loss, " / ", number))

    def summed(
        self, region: Region, report: Report, flow: list[Any], position: int, optimizer: Instance, every: Any
    ) -> Any:
        """The `backward` whose gradients this step takes as a sum over turns that nothing has divided, if it does."""
        number = const(report.interp.eval(every.value)) if region.space is report.interp.frame.space else None
        if isinstance(number, int) and number <= 1:
            return None  # what a setting switches on has to be right for that
        for event, inside in flow[:position][::-1]:
            if every not in inside:
                break
            if event.kind in ("clear", "backward"):
                return None
        if any(e.kind == "clear" and e.optimizer in (None, optimizer) and always(inside) for e, inside in flow):
            return None
        backwards = [
            (e, inside)
            for e, inside in flow
            if e.kind == "backward" and touches(optimizer, e.loss.deps, True) is not False
        ]
        plain = [e for e, inside in backwards if self.is_undivided(optimizer, e, inside)]
        under = [conditions(Step(e.space, e.node, "")) for e in plain]
        others = [conditions(Step(e.space, e.node, "")) for e, _ in backwards if e not in plain]
        if others and any(text_of(every.value) in said for here in under for said, *_ in here):
            return None  # it is divided where there are several
        # What another value of a setting leads to says nothing of this one, as a block that scales the loss.
        return plain[0] if plain and all(contradict(here, there) for there in others for here in under) else None

    def is_undivided(self, optimizer: Instance, backward: Any, inside: tuple[Any, ...]) -> bool:
        """Whether a backward runs in every turn, for an optimizer, on a loss that nothing has multiplied."""
        loss = backward.loss
        # A division leaves its mark on these only (`rescales`).
        known = any(dep.node is not None for dep in without_scaler(loss)) or loss.nature == "a loss"
        factor = any(dep.module is FACTOR for dep in loss.deps) or loss.graph is None  # a loss out of view may divide
        reached = touches(optimizer, loss.deps, True) is not False
        return always(inside) and reached and known and not factor and not divides(backward.engine)


def is_no_mean(happened: tuple[Any, tuple[Any, ...]]) -> bool:
    """Whether an event is a loss that is no mean over its batch, and not just evaluated."""
    event, inside = happened
    if event.kind != "loss" or event.reduction is None or any(block.block == "no_grad" for block in inside):
        return False
    return const(event.reduction) not in ("mean", "batchmean")


def sources_of_batch(loop: cst.For, call: Any, interp: Interpreter) -> Iterator[Any]:
    """What a loop draws in each turn and gives to a model: by `next(batches)`, a call without data of its own, or as a
    slice of a batch."""
    given = {name for arg in getattr(call.node, "args", ()) for name in names_in(arg.value)}
    counters = set(target_names(loop.target))
    for statement in nodes_in(loop.body):
        if not isinstance(statement, cst.Assign) or not isinstance(statement.value, (cst.Call, cst.Subscript)):
            continue
        drawn, names = statement.value, (name for t in statement.targets for name in target_names(t.target))
        if given.isdisjoint(names):
            continue
        sliced: Any = drawn
        while isinstance(sliced, cst.Call) and isinstance(sliced.func, cst.Attribute):
            sliced = sliced.func.value  # where it was moved to
        if isinstance(sliced, cst.Subscript):
            if isinstance(sliced.slice[0].slice, cst.Slice) and not counters.isdisjoint(names_in(sliced.slice[0])):
                yield drawn
        elif isinstance(drawn, cst.Call):
            owner = interp.eval(drawn.func.value) if isinstance(drawn.func, cst.Attribute) else UNKNOWN
            alone = all(isinstance(arg.value, LITERALS) for arg in drawn.args)
            if is_next(drawn) or (alone and not isinstance(owner, Tensor)):
                yield drawn


def is_next(drawn: Any) -> bool:
    """Whether an expression takes the next item of an iterator, as in `next(batches).to(device)`."""
    return any(is_plain_call(node, "next") for node in nodes_in(drawn))


def divides(engine: Value | None) -> bool:
    """Whether an engine that runs backward may divide the loss by the number of batches; an Accelerator that was told
    of none does not, and Fabric leaves it to the program, but for strategies that have a backward of their own."""
    if isinstance(engine, Instance) and engine.api_path.endswith(".Fabric"):
        strategy = const(engine.attrs.get("strategy", Const("auto")))
        return "$any" in engine.attrs or not isinstance(strategy, str) or "deepspeed" in strategy
    if not isinstance(engine, Instance) or not engine.api_path.startswith("accelerate."):
        return engine is not None
    plugin, number = engine.attrs.get("gradient_accumulation_plugin"), engine.attrs.get("gradient_accumulation_steps")
    return plugin is not None or (number is not None and usual(number) != 1)


class TrainingUnderNoGrad(Rule):
    """What is trained was computed without gradients."""

    code, name = "TL213", "training-under-no-grad"
    message = "the model that is trained runs without recording gradients, so `backward` (@) has nothing to go through"

    @on("program", having="backward model")
    def check(self, region: Region, report: Report) -> None:
        calls, backwards = by_node(region.of("model")), by_node(region.of("backward"))
        stepping = (e.optimizer.attrs for e in region.of("step") if isinstance(e.optimizer, Instance))
        owned = frozenset[int]().union(*(attrs.get("$modules", ()) for attrs in stepping))
        for node, events in backwards.items():
            found = [self.unrecorded(event.loss, calls, owned) for event in events]
            judged = list(zip(events, found, strict=True))
            for event, unrecorded in judged:
                # Code that runs both ways runs backward on one of them only; a helper may be given several losses.
                if unrecorded and all(o or is_apart(other.loss, unrecorded) for other, o in judged):
                    call = unrecorded[-1]  # the nearest to the loss
                    draft = report(call.node, call.space).because([Step(event.space, node, "trained on here")])
                    draft.because(decorated(call))

    def unrecorded(self, loss: Tensor, calls: dict[Any, list[Any]], owned: frozenset[int]) -> list[Any]:
        """The calls that a loss depends on, where none of them records gradients; or never that of a module which is
        stepped, where others do at times."""
        deps = [dep for dep in loss.deps if not dep.scales]
        trained = loss.graph is True and not (loss.trace and loss.trace[0].label == LEAF)  # a tensor on the way
        # A penalty on parameters of the models that ran trains these no better.
        ran = {i for dep in deps if dep.node is not None and not dep.live for i in descendants(dep.module)}
        penalised = [dep for dep in deps if dep.node is None and id(dep.module) in ran]
        deps = [dep for dep in deps if dep not in penalised]
        if (trained and not penalised) or any(
            dep.live or (dep.node is None and loss.graph is not False) for dep in deps
        ):
            return []
        nodes = {dep.node for dep in deps}
        found = [event for node, events in calls.items() if node in nodes for event in events]
        at_times = {event.node for event in found if event.grad is not False}
        return [e for e in found if e.node not in at_times and id(e.module) in owned] if at_times else found


def is_apart(loss: Tensor, calls: list[Any]) -> bool:
    """Whether a loss is known to train what other calls than these gave."""
    nodes = {event.node for event in calls}
    live = [dep for dep in loss.deps if dep.live]
    return bool(live) and ELSEWHERE not in live and all(dep.node not in nodes for dep in live)


def decorated(event: Any) -> list[Step]:
    """The function in which something happens, if a decorator may change what it does."""
    function = index_of(event.space).function(event.node)
    if not isinstance(function, cst.FunctionDef) or not function.decorators:
        return []
    return [Step(event.space, function.name, "the decorated function")]


def by_node(events: Iterable[Any]) -> dict[Any, list[Any]]:
    """Events by the place where they happened, each place in order."""
    found: dict[Any, list[Any]] = {}
    for event in events:
        found.setdefault(event.node, []).append(event)
    return found


class AmpMisuse(Rule):
    """Mixed precision is switched on, but the gradients are not scaled as it needs."""

    code, name = "TL209", "amp-misuse"
    message = "{what}"

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "loop":
            self.steps(region, report)
            self.precision(region, report)
        elif region.kind == "program":
            self.never_updated(region, report)
            self.past_the_engine(region, report)
            self.unprepared(region, report)
            self.inside(region, report)

    def inside(self, region: Region, report: Report) -> None:
        """A scaled backward pass that runs under autocast as well."""
        if not any(dep.module.family == "scaler" for event in region.of("backward") for dep in event.loss.deps):
            return
        for event, entered in nested(region.events):
            if event.kind != "backward" or not is_plain_call(event.node, "backward"):
                continue
            casts = [outer.value for outer in entered if outer.block == "autocast"]
            scaled = any(dep.module.family == "scaler" for dep in event.loss.deps)
            if scaled and casts and not any(map(disabled, casts)):
                what = "`backward` runs under autocast, which is for the forward pass and casts its operations anew"
                report(event.node, event.space, what=what)

    def unprepared(self, region: Region, report: Report) -> None:
        """An optimizer that the Accelerator which runs backward for it has not got, while it accumulates batches."""
        engines = [(e.loss, e.engine) for e in region.of("backward") if isinstance(e.engine, Instance)]
        for optimizer in dict.fromkeys(e.optimizer for e in region.of("step") if isinstance(e.optimizer, Instance)):
            for loss, engine in engines if "$engine" not in optimizer.attrs else ():
                batches = const(engine.attrs.get("gradient_accumulation_steps", NONE))
                if not isinstance(batches, int) or batches <= 1 or "$any" in engine.attrs or optimizer.born is None:
                    continue
                if engine.api_path.startswith("accelerate.") and touches(optimizer, loss.deps, False) is True:
                    what = f"the Accelerator (@) has not got this optimizer, so it steps {batches} times as often"
                    report(optimizer.born.node, optimizer.born.space, what=what).because([engine.born])
                    break

    def past_the_engine(self, region: Region, report: Report) -> None:
        """A plain `backward` for an optimizer that an Accelerator has prepared."""
        prepared: dict[Instance, Instance] = {}
        for optimizer in (e.optimizer for e in region.of("step") if isinstance(e.optimizer, Instance)):
            accelerator = optimizer.attrs.get("$engine")
            if isinstance(accelerator, Instance) and accelerator.api_path.startswith("accelerate."):
                prepared[optimizer] = accelerator
        for kind, node, space, loss, _, engine in region.of("backward") if prepared else ():
            if engine or not isinstance(node, cst.Call) or called(node) != kind:
                continue
            for optimizer, accelerator in prepared.items():
                if any(dep.module.family == "scaler" for dep in loss.deps):
                    continue
                if touches(optimizer, loss.deps, False) is True:
                    number = accelerator.attrs.get("gradient_accumulation_steps", Const(1))
                    if any(dep.scales for dep in loss.deps):
                        number = Const(1)  # it is divided by hand
                    batches = const(number)
                    if isinstance(batches, int) and batches > 1:
                        what = f"which would divide the loss by the {batches} batches that it accumulates"
                    elif isinstance(number, Number):  # an option
                        what = "which would divide the loss by the number of batches that it accumulates"
                    elif "fp16" in [const(one) for one in options(accelerator.attrs.get("mixed_precision", NONE))]:
                        what = "so the loss is not scaled as its float16 needs"
                    elif isinstance(accelerator.attrs.get("mixed_precision", NONE), Const):
                        continue
                    else:
                        what = "so the loss is not scaled where float16 is asked for"
                    report(node, space, what=f"this `backward` passes the Accelerator by (@), {what}").because(
                        [accelerator.born]
                    )
                    break

    @on_call("apex.amp.scale_loss")
    def past_the_block(self, call: Call, report: Report) -> None:
        """A block that is given a loss, and in which that goes backward instead of the scaled one."""
        index, loss = index_of(report.space()), call.argument("loss", 0)
        item = index.parent(call.node)
        block = index.parent(item) if isinstance(item, cst.WithItem) else None
        scaled = item.asname.name if isinstance(item, cst.WithItem) and item.asname is not None else None
        if not isinstance(block, cst.With) or not isinstance(loss, cst.Name) or is_name(scaled, loss.value):
            return
        for node in calls_in(block.body):
            if called(node) == "backward" and is_name(getattr(node.func, "value", None), loss.value):
                what = "`backward` runs on the plain loss, and the block (@) divides its gradients by the loss scale"
                report(node, what=what).because([report.interp.step(call.node, "the scaling")])

    def steps(self, region: Region, report: Report) -> None:
        """What the steps take: scaled gradients without the scaler, or plain ones through it."""
        for node, steps in by_node(region.of("step")).items():
            scales = frozenset[str]().union(*(e.scale for e in steps))
            scalers = [e.scaler for e in steps]
            if scales == {"scaled"} and scalers == [None] * len(steps):
                what = "`step` takes gradients that are still multiplied by the loss scale; it belongs in `scaler.step`"
                report(node, steps[0].space, what=what)
            elif scales == {"plain"} and all(isinstance(s, Instance) and not disabled(s) for s in scalers):
                what = "`scaler.step` divides by a loss scale that the loss was never multiplied with"
                report(node, steps[0].space, what=what)

    def precision(self, region: Region, report: Report) -> None:
        """Gradients scaled for float16 in a block that computes in bfloat16."""
        casts = [e.value for e in region.of("enter") if e.block == "autocast"]
        if not casts or not all(is_bfloat16(cast.attrs["$autocast"]) and enabled(cast) for cast in casts):
            return
        for event in region.of("backward"):
            scaler = next((dep.module for dep in event.loss.deps if dep.module.family == "scaler"), None)
            if scaler is None or scaler.born is None or not enabled(scaler):
                continue
            if scaler.born.space is region.space:
                what = "the loss is scaled for float16, but computed in bfloat16, which has the range of float32"
                report(scaler.born.node, scaler.born.space, what=what)

    def never_updated(self, region: Region, report: Report) -> None:
        updated = [e.scaler for e in region.of("scaler_update")]
        scaling = {dep.module for e in region.of("backward") for dep in e.loss.deps}
        for _, node, space, _, _, scaler, _ in region.of("step"):
            if not isinstance(scaler, Instance) or scaler in updated:
                continue
            if scaler.born is None and scaler not in scaling:
                continue  # whoever scales the loss updates it
            gone = any(scaler in e.values for e in region.of("escape"))
            mentioned = space.source is not None and is_updated(space.source.text, node)
            if not gone and not mentioned and not disabled(scaler):
                what = "the scaler steps, but is never updated, so its scale never follows the gradients"
                report(node, space, what=what)


def is_updated(text: str, step: Any) -> bool:
    """Whether a text updates what goes by the name of the scaler that steps."""
    scaler = step.func.value if isinstance(step, cst.Call) and isinstance(step.func, cst.Attribute) else None
    name = scaler.attr if isinstance(scaler, cst.Attribute) else scaler
    written = re.escape(name.value) if isinstance(name, cst.Name) else ""
    return re.search(rf"{written}\.update\(", text) is not None


def disabled(scaler: Instance) -> bool:
    """Whether a scaler surely does nothing. One that a setting switches on has to be right for that."""
    return truth(scaler.attrs.get("enabled", FALSE)) is False


def enabled(holder: Instance) -> bool:
    """Whether a scaler or an autocast surely is switched on."""
    return truth(holder.attrs.get("enabled", FALSE)) is True


def is_bfloat16(value: Any) -> bool:
    return isinstance(value, Api) and value.path == "torch.bfloat16"
