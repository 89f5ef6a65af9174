"""What several rules need to think out a fix: where a value is made, who else uses it, and what to write instead.

All of this looks at the text around a finding, after the run. A rule that was sure of its finding may be unsure of the
fix: then these say None, and none is offered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import libcst as cst

from trainlint.edits import CodeEdit, delete, remove_argument, rename, unwrap
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import Step, Tensor
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import called, is_plain, keyword, positional
from trainlint.syntax.index import BindingKind

# Methods and functions after which the greatest is still the greatest, and what the numbers are is no matter.
RANKING = frozenset(("argmax", "max", "topk", "sort", "argsort"))
SHAPING = frozenset(
    """squeeze unsqueeze view reshape flatten permute transpose contiguous float double to cpu cuda detach view_as
    expand t movedim size""".split()
)
INSIDE = frozenset(("shape", "device", "dtype"))


def index_of(space: Namespace) -> Index:
    assert space.source is not None  # findings are in files
    return space.source.index


def serves_one(space: Namespace, call: cst.Call) -> bool:
    """Whether a call that makes a loader makes it for data of its own, not for whatever its function is given."""
    index = index_of(space)
    function = index.function(call)
    if isinstance(function, cst.FunctionDef) and space.source is not None:
        if space.source.text.count(f"{function.name.value}(") > 2:
            return False  # it is called in several places
    data = keyword(call, "dataset") or next(iter(positional(call)), None)
    made = definition(index, data)
    return not any(
        isinstance(node, cst.Name) and not isinstance(index.parent(node), cst.Attribute) and is_parameter(index, node)
        for value in (data, made)
        if value is not None
        for node in nodes_in(value)
    )


def is_parameter(index: Index, name: cst.Name) -> bool:
    """Whether a name is a parameter of a function."""
    return any(binding.kind is BindingKind.PARAMETER for binding in index.lookup(name))


def argument_for(function: Any, call: Any, name: Any) -> Any:
    """What the call of a function gives for a parameter of that name node; None if it is none or not plain to see."""
    names = [p.name for p in function.params.params] if isinstance(function, cst.FunctionDef) else []
    if name not in names or not isinstance(call, cst.Call):
        return None
    given, place = positional(call), names.index(name)
    if any(argument.star for argument in call.args) or function.params.posonly_params:
        return None
    if names[0].value == "self" and (isinstance(call.func, cst.Attribute) or function.name.value == "__init__"):
        place -= 1
    return given[place] if 0 <= place < len(given) else keyword(call, name.value)


def reaching(index: Index, name: cst.Name) -> Any:
    """The binding that a name has its value from, where only one can be: the last before it in the statements that lead
    there. None where a branch or a loop may have bound it in between."""
    bound = index.lookup(name)
    if len(bound) == 1:
        return bound[0].node
    holders = {id(above): binding.node for binding in bound for above in (binding.node, *index.ancestors(binding.node))}
    inside: Any = name
    block: Any
    for block in index.ancestors(name):
        kind = block.__class__
        if kind is cst.FunctionDef or kind is cst.Lambda or kind is cst.ClassDef:
            given = (binding.node for binding in bound if binding.kind is BindingKind.PARAMETER)
            return next((node for node in given if inside is block.body and index.function(node) is block), None)
        if kind is cst.IndentedBlock or kind is cst.Module:
            before = [
                statement for statement in block.body[: list(block.body).index(inside)] if id(statement) in holders
            ]
            if before:
                return holders[id(before[-1])] if is_sure(index, holders[id(before[-1])], before[-1]) else None
        elif kind in (cst.For, cst.While, cst.CompFor) and id(block) in holders:
            return None  # from the turn before, or what is walked over
        inside = block
    return None


def is_sure(index: Index, bound: Any, statement: Any) -> bool:
    """Whether a statement surely makes a binding in it, and makes it last: it is one line, or `with` around such."""
    above = index.parent(statement)
    for part in (bound, *index.ancestors(bound)):
        if part is above:
            return True
        if isinstance(part, cst.With) and any(called(item.item) == "suppress" for item in part.items):
            return False
        if isinstance(part, cst.BaseCompoundStatement) and not isinstance(part, cst.With):
            return False
    return False


def outermost(index: Index, node: Any) -> Any:
    """The expression that a value is after calls that change its shape only: `x` gives `x.squeeze(1).float()`."""
    while True:
        attribute = index.parent(node)
        if (
            not isinstance(attribute, cst.Attribute)
            or attribute.value is not node
            or attribute.attr.value not in SHAPING
        ):
            return node
        call = index.parent(attribute)
        if not isinstance(call, cst.Call) or call.func is not attribute:
            return node
        node = call


def definition(index: Index, node: Any) -> Any:
    """The value that the only assignment to a name or to an attribute of `self` gives it; None if there is no such."""
    if isinstance(node, cst.Name):
        bindings = index.lookup(node)
        return assigned(bindings[0].origin, bindings[0].node) if len(bindings) == 1 else None
    if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == "self":
        places = attribute_targets(index, node)
        return assigned(index.statement(places[0]), places[0]) if len(places) == 1 else None
    return None


def assigned(statement: Any, target: Any) -> Any:
    """The value of an assignment with one target."""
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1 and statement.targets[0].target is target:
        return statement.value
    if isinstance(statement, cst.AnnAssign) and statement.target is target:
        return statement.value
    return None


def attribute_uses(index: Index, node: cst.Attribute) -> list[cst.Attribute]:
    """All places of a class where an attribute of `self` stands."""
    cls = index.class_(node)
    return [
        other
        for other in (nodes_in(cls) if cls is not None else ())
        if isinstance(other, cst.Attribute)
        and other.attr.value == node.attr.value
        and isinstance(other.value, cst.Name)
        and other.value.value == "self"
    ]


def attribute_targets(index: Index, node: cst.Attribute) -> list[cst.Attribute]:
    return [
        use for use in attribute_uses(index, node) if isinstance(index.parent(use), (cst.AssignTarget, cst.AnnAssign))
    ]


class Activation(NamedTuple):
    """Where a softmax or the like is applied: `call` gives the activated value, `edits` take the activation away.

    `given` is what it is applied to, `maker` the call of the layer's class; each is None where there is none."""

    space: Namespace
    call: cst.Call
    given: Any
    maker: Any
    edits: tuple[CodeEdit, ...]

    def renamed(self, old: str, new: str) -> CodeEdit | None:
        """Put another activation in its place: `softmax` may become `log_softmax`."""
        named = self.maker if self.maker is not None else self.call
        return rename(named.func, new, space=self.space) if called(named) == old else None


def activation(step: Step) -> Activation | None:
    """The activation at a place that a trace names, if it is one that can be taken away."""
    call, space = step.node, step.space
    if not isinstance(call, cst.Call) or space.source is None:
        return None
    index = index_of(space)
    if not step.label[:1].isupper():  # a function or a method
        if called(call) != step.label:
            return None
        given: Any
        is_function = isinstance(call.func, cst.Name) or any(
            name.startswith("torch.") for name in index.qualified_names(call.func)
        )
        if not is_function:
            given = call.func.value if isinstance(call.func, cst.Attribute) else None
        else:
            given = next((a.value for a in call.args if a.keyword is not None and a.keyword.value == "input"), None)
            if given is None and call.args and call.args[0].keyword is None and not call.args[0].star:
                given = call.args[0].value
        return None if given is None else Activation(space, call, given, None, without(index, call, given, space))
    maker = call.func if isinstance(call.func, cst.Call) else definition(index, call.func)
    if not isinstance(maker, cst.Call):
        return None
    if called(maker) == step.label:
        if len(call.args) != 1 or call.args[0].keyword is not None or call.args[0].star:
            return None
        given = call.args[0].value
        edits = list(without(index, call, given, space))
        if maker is not call.func and is_used_once(index, call.func):
            edits.append(delete(maker, space))
        return Activation(space, call, given, maker, tuple(edits))
    if called(maker) == "Sequential" and len(maker.args) > 1 and not any(a.star or a.keyword for a in maker.args):
        last = maker.args[-1]
        if isinstance(last.value, cst.Call) and called(last.value) == step.label:
            return Activation(space, call, None, last.value, (remove_argument(maker, last, space),))
    return None


def is_used_once(index: Index, node: Any) -> bool:
    """Whether a name, or an attribute of `self`, is read in one place only."""
    if isinstance(node, cst.Attribute):
        return len(attribute_uses(index, node)) == 2
    return all(len(index.references(binding)) == 1 for binding in index.lookup(node))


def without(index: Index, call: cst.Call, given: Any, space: Namespace) -> tuple[CodeEdit, ...]:
    """Take a call away and leave what it is given; where `x = f(x)` is left with nothing to do, all of it."""
    statement = index.parent(call)
    if isinstance(statement, cst.Assign) and isinstance(given, cst.Name) and len(statement.targets) == 1:
        target = statement.targets[0].target
        if isinstance(target, cst.Name) and target.value == given.value:
            return (delete(call, space),)
    return (unwrap(call, given, space),)


def only_feeds(step: Step, space: Namespace, argument: Any) -> bool:
    """Whether the value made at a place reaches nothing but this argument in the same function, and uses where its
    order alone counts."""
    if step.space is not space:
        return False
    index = index_of(space)
    whole = outermost(index, step.node)
    if whole is argument:
        return True
    statement = index.parent(whole)
    target = statement.targets[0].target if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None
    if not isinstance(target, cst.Name) or index.function(target) is not index.function(argument):
        return False
    bindings = index.lookup(target)
    if len(bindings) != 1 or (index.function(target) is None and exported(index, target)):
        return False
    uses = index.references(bindings[0])
    return any(outermost(index, use) is argument for use in uses) and all(
        outermost(index, use) is argument or is_ranked(index, use) for use in uses
    )


def exported(index: Index, name: cst.Name) -> bool:
    """Whether functions read a global name."""
    return any(index.function(use) is not None for binding in index.lookup(name) for use in index.references(binding))


def is_ranked(index: Index, use: Any) -> bool:
    """Whether a value is used where only its order counts, or its shape."""
    whole = outermost(index, use)
    parent = index.parent(whole)
    if isinstance(parent, cst.Attribute) and parent.value is whole:
        return parent.attr.value in RANKING | SHAPING | INSIDE
    call = index.parent(parent) if isinstance(parent, cst.Arg) else None
    return isinstance(call, cst.Call) and called(call) in RANKING and call.args[0] is parent


def is_output(step: Step) -> bool:
    """Whether what is made at a place is always and only what a module's `forward` returns."""
    index = index_of(step.space)
    function = index.function(step.node)
    if not isinstance(function, cst.FunctionDef) or function.name.value != "forward":
        return False
    if sum(isinstance(node, cst.Return) for node in nodes_in(function.body)) != 1:
        return False
    whole = outermost(index, step.node)
    statement = index.statement(whole)
    line = index.parent(statement) if statement is not None else None
    if line is None or index.parent(line) is not function.body or not is_returned_as(index, whole, statement):
        return False
    if isinstance(statement, cst.Return):
        return True
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1 or statement.value is not whole:
        return False
    target = statement.targets[0].target
    body: Any = function.body
    later = body.body[body.body.index(line) + 1 :]
    uses = [
        node
        for after in later
        for node in nodes_in(after)
        if isinstance(target, cst.Name) and isinstance(node, cst.Name) and node.value == target.value
    ]
    return bool(uses) and all(
        isinstance(index.statement(use), cst.Return)
        and index.parent(index.parent(index.statement(use))) is function.body  # type: ignore[arg-type]
        and is_returned_as(index, outermost(index, use), index.statement(use))
        for use in uses
    )


def is_returned_as(index: Index, node: Any, statement: Any) -> bool:
    """Whether an expression is a statement's value, or a member of the tuple or list that is."""
    parent = index.parent(node)
    while isinstance(parent, (cst.Element, cst.Tuple, cst.List, cst.ListComp)):
        parent = index.parent(parent)
    return parent is statement


def is_only_given(index: Index, given: Any, node: Any) -> bool:
    """Whether what a call is given is not read from there on by anything else in its function."""
    function = index.function(node)
    if not isinstance(given, cst.Name) or is_rebound(index, given, node):
        return True
    line = index.parent(index.statement(node))  # type: ignore[arg-type]
    body: Any = function.body if function is not None else None
    if line not in getattr(body, "body", ()):
        return False
    later = body.body[body.body.index(line) :]
    return not any(
        isinstance(other, cst.Name) and other.value == given.value and other is not given
        for statement in later
        for other in nodes_in(statement)
    )


def is_rebound(index: Index, given: cst.Name, node: Any) -> bool:
    """`x = f(x)`: what is read later is no longer what was given."""
    statement = index.statement(node)
    return (
        isinstance(statement, cst.Assign)
        and isinstance(statement.targets[0].target, cst.Name)
        and statement.targets[0].target.value == given.value
    )


def maker_of(space: Namespace, call: cst.Call, name: str) -> Any:
    """The call whose name says which loss a call computes: itself, or the one that made the loss object for just it."""
    if called(call) == name:
        return call
    index = index_of(space)
    func = call.func
    maker = func if isinstance(func, cst.Call) else definition(index, func)
    if not isinstance(maker, cst.Call) or called(maker) != name:
        return None
    return maker if maker is func or is_used_once(index, func) else None


# What the outputs of an activation are as long as nothing is computed from them.
UNCHANGED = ("a softmax output", "a sigmoid output")


def flows_only(given: Tensor, space: Namespace, argument: Any) -> Activation | None:
    """The activation behind the value of an argument, if all that it makes goes there, or out of a model as a whole."""
    found = local_activation(given, space, argument)
    if found is not None or len(given.trace) != 1 or is_choice(given) or given.nature not in UNCHANGED:
        return found
    step = given.trace[0]
    found = activation(step)
    if found is None or not is_output(step):
        return None
    index = index_of(step.space)
    return found if found.given is None or is_only_given(index, found.given, step.node) else None


def is_choice(given: Tensor) -> bool:
    """Whether one of several models was called: to change one of them would leave the others as they are."""
    callers: dict[Any, Any] = {}
    return any(callers.setdefault(dep.node, dep.module) is not dep.module for dep in given.deps if dep.node is not None)


def local_activation(given: Tensor, space: Namespace, argument: Any) -> Activation | None:
    """The activation behind the value of an argument, if it is in the same function and feeds nothing else."""
    if len(given.trace) != 1 or not only_feeds(given.trace[0], space, argument):
        return None
    return activation(given.trace[0])


def line_of(index: Index, node: Any) -> Any:
    """The statement line that is nothing but a call; None where there is more to it, or more on the line."""
    parent = index.parent(node)
    line = index.parent(parent) if isinstance(parent, cst.Expr) else None
    return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None


def follows(index: Index, first: Any, second: Any) -> bool:
    """Whether two statements stand in one block, in this order."""
    if first is None or second is None or index.parent(first) is not index.parent(second):
        return False
    block: Any = index.parent(first)
    return bool(block.body.index(first) < block.body.index(second))


def around(index: Index, node: Any, block: Any) -> Any:
    """The statement of a block that holds a node; None if none does."""
    for ancestor in (node, *index.ancestors(node)):
        if index.parent(ancestor) is block:
            return ancestor
    return None


def stepped(call: Any) -> Any:
    """The optimizer of `optimizer.step()` or `scaler.step(optimizer)`; None if it is not plainly named."""
    if not isinstance(call, cst.Call) or called(call) != "step" or not isinstance(call.func, cst.Attribute):
        return None
    if len(call.args) > 1 or any(argument.star or argument.keyword for argument in call.args):
        return None
    optimizer = call.args[0].value if call.args else call.func.value
    return optimizer if is_plain(optimizer) else None


def model_of(call: Any) -> Any:
    """The expression for the module that `model(x)` or `model.forward(x)` calls; None if it is not plainly named."""
    if not isinstance(call, cst.Call):
        return None
    func = call.func
    if isinstance(func, cst.Attribute) and func.attr.value == "forward":
        func = func.value
    return func if is_plain(func) else None


def is_bound_within(index: Index, node: Any, statement: Any) -> bool:
    """Whether the name that an expression begins with is given its value in a statement."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return any(ancestor is statement for binding in index.lookup(node) for ancestor in index.ancestors(binding.node))


def body_of(index: Index, node: Any) -> Any:
    """The body of the function, or of the module, in which a node is run."""
    function = index.function(node)
    return index.tree if function is None else function.body


def is_left(node: Any) -> bool:
    """Whether control may leave a statement other than by its end."""
    return any(isinstance(inner, (cst.Return, cst.Yield, cst.Await, cst.Raise)) for inner in nodes_in(node))


def is_constant(index: Index, node: Any) -> bool:
    """Whether an expression is a number, or a name that is bound once: the same wherever its function evaluates it."""
    if isinstance(node, cst.UnaryOperation):
        node = node.expression
    if isinstance(node, cst.Name):
        return len(index.lookup(node)) == 1
    return isinstance(node, (cst.Integer, cst.Float))


def is_second_unread(index: Index, node: Any, passing: tuple[str, ...] = ()) -> bool:
    """Whether the second of two results of a call gets a name that nobody reads, but for functions of these names, what
    they give being read by nobody either."""
    around: Any = index.parent(node)
    target = around.targets[0].target if isinstance(around, cst.Assign) and len(around.targets) == 1 else None
    if not isinstance(target, cst.Tuple) or len(target.elements) != 2:
        return False
    name: Any = target.elements[1].value
    return isinstance(name, cst.Name) and leads_nowhere(index, name, passing, frozenset())


def leads_nowhere(index: Index, name: cst.Name, passing: tuple[str, ...], seen: frozenset[str]) -> bool:
    """Whether a name is read only where one of some functions is given it and what that gives leads nowhere."""
    if name.value in seen:
        return True
    bindings = index.lookup(name)
    for reference in (reference for binding in bindings for reference in index.references(binding)):
        statement = index.statement(reference)
        made = statement.value if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None
        if not isinstance(made, cst.Call) or called(made) not in passing:
            return False
        target = statement.targets[0].target  # type: ignore[union-attr]
        if not isinstance(target, cst.Name) or not leads_nowhere(index, target, passing, seen | {name.value}):
            return False
    return bool(bindings)
