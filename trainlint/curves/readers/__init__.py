"""Readers of logs: one module a format. Each turns a log into rows of recorded names and values, one by one.

A reader has `claims(path, head)`, which looks at the path and the first bytes of a file as text, and `rows(path)`,
which raises `Unreadable` for what it cannot read.
"""

from __future__ import annotations

import codecs
import re
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
# Zeros between the letters of UTF-16 that was appended to UTF-8, or of a disk that lost power; marks of byte order.
_MARKS = {0: None, 0xFEFF: None, 0xFFFE: None}
# Of bad lines that many are told by number.
_SHOWN = 5
# What of JSON has to be told apart to close what is open: strings, brackets, commas.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]')


class Unreadable(Exception):
    """A log cannot be read, or only up to a line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """What was recorded together: values by name, as numbers or as text, and the line of the file (0 for none).

    `run` tells apart the runs of a log that holds several."""

    values: Mapping[str, Any]
    line: int = 0
    run: str = ""


class PassedOver:
    """Lines that a reader cannot use: how many, and the first few. `one` and `many` say what they are."""

    def __init__(self, one: str, many: str) -> None:
        self._one = one
        self._many = many
        self._count = 0
        self._first: list[int] = []

    def add(self, number: int) -> None:
        """Note a line."""
        self._count += 1
        if len(self._first) < _SHOWN:
            self._first.append(number)

    def tell(self) -> None:
        """Raise Unreadable if there were any."""
        if self._count == 1:
            raise Unreadable(f"a {self._one}; it was passed over", self._first[0])
        if self._count:
            where = ", ".join(map(str, self._first)) + (", …" if self._count > len(self._first) else "")
            raise Unreadable(f"{self._count} {self._many} (lines {where}); they were passed over", self._first[0])


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

    Bytes that are not of the encoding become replacement characters: a name in Latin-1 hides no numbers. What was
    appended in UTF-16 is read without its zeros, as long as it is ASCII. A line that is too long for any log is cut.
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
                    yield number, text.translate(_MARKS)
                whole = text.endswith("\n")
    except (OSError, UnicodeError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def document(path: Path) -> tuple[Any, Unreadable | None]:
    """A JSON document, and what is wrong with it if it is damaged: then it holds what stands before.

    Raises Unreadable if nothing of it can be read, or if it is too large to be read at once.
    """
    import json

    if path.stat().st_size > LARGEST_DOCUMENT:
        raise Unreadable("the JSON document is too large to be read at once; export it as JSON lines or CSV")
    text = "".join(text for _, text in lines(path))
    try:
        return json.loads(text), None
    except RecursionError as error:
        raise Unreadable("not valid JSON: nested too deeply") from error
    except json.JSONDecodeError as error:
        problem = Unreadable(f"not valid JSON from here on, perhaps cut off: {error.msg}", error.lineno)
        try:
            return json.loads(_closed(text[: error.pos])), problem
        except (json.JSONDecodeError, RecursionError):
            raise problem from error


def _closed(text: str) -> str:
    """A JSON text that was cut off, up to the last comma, with all brackets closed."""
    closing: list[str] = []
    end, then = 0, ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            closing.append("]" if mark == "[" else "}")
        elif mark in "]}" and closing:
            closing.pop()
        elif mark == ",":
            end, then = token.start(), "".join(reversed(closing))
    return text[:end] + then
