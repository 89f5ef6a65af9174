"""Settings that decide which of several objects is meant: what is made in a branch of `if args.loss == "mse"` is not
what a branch uses that another value of the same setting leads to."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.values import Api, Instance, Method, Step, Value
from trainlint.syntax import nodes_in
from trainlint.syntax.index import BindingKind

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter
    from trainlint.syntax.index import Index

# Of a setting, by its name: the text that it is, or is not, and the function whose parameter it is, if it is one.
Condition = tuple[str, str, bool, int]


def meant(interp: Interpreter, choices: list[Value], node: Any) -> list[Value]:
    """Those of several objects that can be there where a node is run."""
    owners = [option.receiver if isinstance(option, Method) else option for option in choices]
    born = [owner.born if isinstance(owner, Instance) else None for owner in owners]
    made = [conditions(step) for step in born]
    if not any(made):
        return choices
    here: set[Condition] = conditions(Step(interp.frame.space, node, ""))
    frame = interp.frame
    while frame.caller is not None and frame.call is not None:
        here |= conditions(Step(frame.caller.space, frame.call, ""))
        frame = frame.caller
    return [option for option, under in zip(choices, made, strict=True) if not contradict(under, here)]


def conditions(step: Step | None) -> set[Condition]:
    """The settings that lead to a place, as the branches around it ask for them."""
    found: set[Condition] = set()
    if step is None or step.space.source is None:
        return found
    index = step.space.source.index
    inner = step.node
    for outer in index.ancestors(step.node):
        if outer.__class__ in (cst.If, cst.IfExp) and inner is not outer.test:
            found |= asked(index, outer.test, inner is outer.body)
        inner = outer
    return found


def asked(index: Index, test: Any, holds: bool) -> set[Condition]:
    """What a test says of settings if it holds, or if it does not."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And) is holds:
        return asked(index, test.left, holds) | asked(index, test.right, holds)
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return asked(index, test.expression, not holds)
    if may_change(index, test):
        return set()
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        if isinstance(operator, (cst.Equal, cst.NotEqual)) and isinstance(other, cst.SimpleString):
            said = str(other.evaluated_value), holds is isinstance(operator, cst.Equal)
            return {(text_of(test.left), *said, owner_of(index, test.left))}
    return {(text_of(test), "", holds, owner_of(index, test))}


def text_of(node: Any) -> str:
    return cst.Module([]).code_for_node(node).removeprefix("self.")


def owner_of(index: Index, test: Any) -> int:
    """The identity of the function whose parameter a name is; 0 for all else."""
    bindings = index.lookup(test) if isinstance(test, cst.Name) else []
    return next((id(b.scope.node) for b in bindings if b.kind is BindingKind.PARAMETER), 0)


def may_change(index: Index, test: Any) -> bool:
    """Whether a test may come out otherwise when it is asked again: it calls something, or asks for what a loop goes
    through or what is assigned more than once."""
    parts = list(nodes_in(test))
    bound = [index.lookup(part) for part in parts if isinstance(part, cst.Name)]
    return any(isinstance(part, cst.Call) for part in parts) or any(
        len(bindings) > 1 or any(b.kind is BindingKind.LOOP for b in bindings) for bindings in bound
    )


def is_fixed(interp: Interpreter, setting: Any) -> bool:
    """Whether a name or an attribute that a condition asks for surely is what it was when it was last asked for."""
    source = interp.frame.space.source
    if source is None:
        return False
    if isinstance(setting, cst.Attribute):
        owner = interp.peek(setting.value)
        if isinstance(owner, Instance) and isinstance(owner.cls, Api):
            return False  # an engine may tell by it what it does in this turn
        return setting.attr.value not in changed_attributes(source.text)
    index = source.index
    bindings, around = index.lookup(setting), set(map(id, index.ancestors(setting)))
    return len(bindings) == 1 and not any(
        isinstance(outer, (cst.For, cst.While)) and id(outer) in around for outer in index.ancestors(bindings[0].node)
    )


def is_switch(index: Index, name: Any) -> bool:
    """Whether a name is bound once, and read by conditions only: then its author turns it by hand."""
    bindings = index.lookup(name)
    read = index.references(bindings[0]) if len(bindings) == 1 else []
    return bool(read) and all(is_asked(index, reading) for reading in read)


def is_asked(index: Index, name: Any) -> bool:
    """Whether a name is no more than a part of the test of a branch, compared with what is written down there."""
    inner: Any = name
    outer: Any = index.parent(inner)
    while outer.__class__ not in (cst.If, cst.IfExp):
        if outer.__class__ is cst.Comparison:
            sides = [outer.left, *(target.comparator for target in outer.comparisons)]
            if any(side.__class__ is cst.Name and side is not name for side in sides):
                return False
        elif outer.__class__ not in (cst.ComparisonTarget, cst.BooleanOperation, cst.UnaryOperation):
            return False
        inner, outer = outer, index.parent(outer)
    return inner is outer.test


_CHANGES = re.compile(r"\.(\w+)\s*(?::[^=\n]+|//|\*\*|<<|>>|[-+*/@%&|^])?=(?!=)|\bdef (\w+)\b")


@lru_cache(maxsize=256)
def changed_attributes(text: str) -> frozenset[str]:
    """The names of attributes that a program may assign, or a method of that name compute, after its constructors."""
    changed, inside = set(), ""
    for change in _CHANGES.finditer(text):
        if change[2]:
            changed.add(change[2])
            inside = change[2]
        elif inside != "__init__":
            changed.add(change[1])
    return frozenset(changed)


def contradict(under: set[Condition], here: set[Condition]) -> bool:
    """Whether a setting would have to be two things at once, or something and not so. Parameters of two functions may
    have a name in common, and nothing else."""
    return any(
        name == asked_for and (mine is not yours if text == other else mine and yours)
        for name, text, mine, owner in under
        for asked_for, other, yours, another in here
        if owner == another or 0 in (owner, another)
    )
