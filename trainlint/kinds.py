"""The types that settings can have: how a value is read, how it is told to people, and its JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A type of settings."""

    # What a value must be, for people.
    text: str
    schema: Mapping[str, Any]
    # From what a settings file says, and the folder that it lies in, to what the program works with. Raises TypeError,
    # with what the value must be where `text` does not tell enough.
    read: Callable[[Any, Path], Any]
    # The way back, to what a settings file would say.
    show: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Patterns:
    """Globs in the syntax of `.gitignore`, relative to the folder of the file that holds them."""

    root: Path
    lines: tuple[str, ...]


def choice(*values: str) -> Kind:
    """One of some words."""

    def read(value: object, root: Path) -> str:
        if value not in values:
            raise TypeError
        return str(value)

    return Kind("one of " + ", ".join(f'"{value}"' for value in values), {"enum": list(values)}, read)


def _switch(value: object, root: Path) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _strings(value: object, root: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


def _file(value: object, root: Path) -> Path:
    if not _is_text(value):
        raise TypeError
    return root / str(value)


def _globs(value: object, root: Path) -> tuple[Patterns, ...]:
    lines = _strings(value, root)
    return (Patterns(root, lines),) if lines else ()


def _rules_by_glob(value: object, root: Path) -> tuple[tuple[Patterns, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise TypeError
    return tuple((Patterns(root, (glob,)), _strings(rules, root)) for glob, rules in value.items())


def _knowledge(value: object, root: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not set(value) <= {"api", "class", "harmless"}:
        raise TypeError("a table with the keys `api`, `class` and `harmless`")
    try:
        _strings(value.get("harmless", []), root)
    except TypeError:
        raise TypeError("a table whose `harmless` is a list of packages") from None
    for kind, named in (("api", "calls"), ("class", "names")):
        rows = value.get(kind, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) and _is_text(row.get(named)) for row in rows):
            raise TypeError(f"a table whose `{kind}` is a list of tables with the dotted names of {named} in `{named}`")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


_STRINGS = {"type": "array", "items": {"type": "string"}}
_TEXT = {"type": "string", "pattern": r"\S"}


def _rows(named: str) -> Mapping[str, Any]:
    return {"type": "array", "items": {"type": "object", "required": [named], "properties": {named: _TEXT}}}


SWITCH = Kind("true or false", {"type": "boolean"}, _switch)
RULES = Kind(
    'a list of strings, such as ["TL1", "TL301"]', {"type": "array", "items": {"$ref": "#/definitions/rule"}}, _strings
)
FILE = Kind("the name of a file", _TEXT, _file, lambda value: value and value.as_posix())
FOLDER = Kind("the name of a folder", _TEXT, _file, FILE.show)
GLOBS = Kind(
    'a list of strings, such as ["third_party/", "*_old.py"]',
    _STRINGS,
    _globs,
    lambda value: [line for patterns in value for line in patterns.lines],
)
RULES_BY_GLOB = Kind(
    'a table of lists, such as { "tests/**" = ["TL4"] }',
    {"type": "object", "additionalProperties": RULES.schema},
    _rules_by_glob,
    lambda value: {patterns.lines[0]: list(rules) for patterns, rules in value},
)
KNOWLEDGE = Kind(
    "a table with the keys `api`, `class` and `harmless`",
    {
        "type": "object",
        "properties": {"api": _rows("calls"), "class": _rows("names"), "harmless": _STRINGS},
        "additionalProperties": False,
    },
    _knowledge,
)
