"""Readers of logs: one module a format. Each turns a log into rows of recorded names and values, one by one.

A reader has `claims(path, head)`, which looks at the path and the first bytes of a file as text, and `rows(path)`,
which raises `Unreadable` for what it cannot read.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

# Asked in this order; the last takes any text.
FORMATS = ("tensorboard", "mlflow", "trainer_state", "keras", "json_lines", "csv", "text")

_HEAD = 16384
# A document of JSON is read as a whole, a line at once: neither may fill the memory.
LARGEST_DOCUMENT = 256 << 20
LONGEST_LINE = 4 << 20


class Unreadable(Exception):
    """A log cannot be read, or only up to a line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """What was recorded together: values by name, as numbers or as text, and the line of the file (0 for none)."""

    values: Mapping[str, Any]
    line: int = 0


class Reader(Protocol):
    """A module of this package."""

    def claims(self, path: Path, head: str) -> bool:
        """Whether a file is of this format."""

    def rows(self, path: Path) -> Iterator[Row]:
        """What the file holds."""


def reader(path: Path) -> Reader:
    """The reader of a file or of a folder that is a log. Raises Unreadable if it is empty or no text."""
    head = "" if path.is_dir() else _head(path)
    modules = (cast("Reader", import_module(f"{__name__}.{name}")) for name in FORMATS)
    return next(module for module in modules if module.claims(path, head))


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    if not start.strip(b"\0 \r\n\t"):
        raise Unreadable("the log is empty: nothing was recorded, or it was not written to the disk yet")
    return start.decode(_encoding(start), errors="replace")


def _encoding(start: bytes) -> str:
    """UTF-8, or what a byte order mark says: PowerShell writes UTF-16 where output goes to a file."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers, in bounded memory.

    Bytes that are not of the encoding become replacement characters: a name in Latin-1 hides no numbers. A line that is
    too long for any log is cut.
    """
    try:
        with path.open("rb") as raw:
            encoding = _encoding(raw.read(4))
        with path.open(encoding=encoding, errors="replace") as file:
            number = 0
            whole = True
            while text := file.readline(LONGEST_LINE):
                number += whole
                if whole:
                    yield number, text
                whole = text.endswith("\n")
    except (OSError, UnicodeError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def document(path: Path) -> Any:
    """A JSON document. Raises Unreadable if it is none, cut off, or too large to be read at once."""
    import json

    if path.stat().st_size > LARGEST_DOCUMENT:
        raise Unreadable("the JSON document is too large to be read at once; export it as JSON lines or CSV")
    try:
        return json.loads("".join(text for _, text in lines(path)))
    except json.JSONDecodeError as error:
        raise Unreadable(f"not valid JSON, perhaps cut off: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise Unreadable("not valid JSON: nested too deeply") from error
