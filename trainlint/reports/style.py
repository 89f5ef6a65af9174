"""Colour, for terminals, and the words that all formats share."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from trainlint.findings import Finding, Judgement, Related, Span

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31;1",
    "yellow": "33;1",
    "blue": "34;1",
    "cyan": "36",
    "magenta": "35",
    "green": "32",
}
_NAMED = 3
_SEVERITIES = {"error": "red", "warning": "yellow", "info": "blue"}


@dataclass(frozen=True, slots=True)
class Style:
    """Paints text, or leaves it as it is."""

    color: bool = False

    def paint(self, text: str, kind: str) -> str:
        """The text in a colour or weight, or in the colour of a severity."""
        code = _CODES[_SEVERITIES.get(kind, kind)]
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text


def wants_color(choice: str, stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour what goes to a stream: `choice` is auto, always or never."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def position(cell: int | None, span: Span) -> str:
    """What follows the path: `:line:column`, or `:cell N:line:column` in a notebook; nothing for a file as a whole."""
    return ("" if cell is None else f":cell {cell}") + (f":{span.line}:{span.column}" if span.line else "")


def shown_path(filename: str) -> str:
    """A path for people: relative to the working folder if it lies below."""
    return filename.removeprefix(os.getcwd().rstrip(os.sep) + os.sep)


def related_line(related: Related) -> str:
    """A place that explains a finding, in one line."""
    return (
        f"{one_line(shown_path(related.filename))}{position(related.cell, related.span)}: {one_line(related.message)}"
    )


def remark(finding: Finding) -> str:
    """What is known of a finding from the other side, a run or the source; empty if nothing."""
    if finding.run is Judgement.CONFIRMED:
        return f"confirmed by a run: {', '.join(finding.counterparts)}"
    if finding.run is None:
        # What has many causes names the first of them.
        more = " and more" if len(finding.counterparts) > _NAMED else ""
        return f"in the source: {', '.join(finding.counterparts[:_NAMED])}{more}" if finding.counterparts else ""
    return {Judgement.REFUTED: "refuted by a run", Judgement.NOT_REACHED: "not reached by the run"}.get(finding.run, "")


def with_remark(finding: Finding) -> str:
    """The message, and in parentheses what is known from the other side."""
    return f"{finding.message} ({told})" if (told := remark(finding)) else finding.message


def one_line(text: str) -> str:
    """Text with a space for each line end and control character, for formats where a line is a record."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)


def width(text: str) -> int:
    """The number of terminal cells that text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
