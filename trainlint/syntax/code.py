"""What is written: questions about single nodes that the engine and several rules ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from trainlint.syntax.index import nodes_in


def called(node: Any) -> str:
    """The last part of the name of what is called; "" where no call stands, or one of something without a name."""
    return last_name(getattr(node, "func", None))


def last_name(node: Any) -> str:
    """The last part of a name with dots; "" for anything else."""
    if node.__class__ is cst.Attribute:
        return str(node.attr.value)
    return str(node.value) if node.__class__ is cst.Name else ""


def is_plain_call(node: Any, name: str) -> bool:
    """Whether a node is a call of this name with all arguments in sight."""
    return isinstance(node, cst.Call) and called(node) == name and not any(argument.star for argument in node.args)


def keyword(node: Any, name: str) -> Any:
    """The value of a keyword argument as it is written."""
    for argument in getattr(node, "args", ()):
        if argument.keyword is not None and argument.keyword.value == name:
            return argument.value
    return None


def positional(call: cst.Call) -> list[Any]:
    """The values of the positional arguments as they are written."""
    return [argument.value for argument in call.args if argument.keyword is None]


def is_name(node: Any, name: str) -> bool:
    """Whether a node is this name."""
    return node.__class__ is cst.Name and node.value == name


def is_plain(node: Any) -> bool:
    """Whether an expression is a name or an attribute of one, which may be written twice."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


# Numbers and texts as they can be written.
LITERALS = (
    *(cst.Integer, cst.Float, cst.Imaginary),
    *(cst.SimpleString, cst.ConcatenatedString, cst.FormattedString),
)


def is_one(node: Any) -> bool:
    """Whether a literal one is written."""
    return isinstance(node, (cst.Integer, cst.Float)) and node.evaluated_value == 1


def is_equality(node: Any) -> bool:
    """Whether a node is `x == y`, `x.eq(y)` or the like: it asks which of several values something has, as labels are
    asked."""
    if isinstance(node, cst.Comparison):
        return len(node.comparisons) == 1 and isinstance(node.comparisons[0].operator, cst.Equal)
    return called(node) in ("eq", "equal")


def is_literal(node: Any) -> bool:
    """Whether a number or a text is written here."""
    if node.__class__ is cst.UnaryOperation:
        node = node.expression
    return node.__class__ in LITERALS


def contains(tree: Any, wanted: Any) -> bool:
    """Whether a node is another or lies in it."""
    return any(node is wanted for node in nodes_in(tree))


def words_in(node: Any) -> Iterator[str]:
    """All names in a piece of code, and the constant keys of entries (`loaders["test"]`)."""
    for inner in nodes_in(node):
        if isinstance(inner, cst.Name):
            yield inner.value
        elif isinstance(inner, cst.Index) and isinstance(inner.value, cst.SimpleString):
            yield inner.value.value.strip("'\"")


def names_in(node: Any) -> Iterator[str]:
    """All names in a piece of code, those of attributes too."""
    return (n.value for n in nodes_in(node) if isinstance(n, cst.Name)) if node is not None else iter(())
