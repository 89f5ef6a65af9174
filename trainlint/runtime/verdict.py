"""From what probes observed to findings: places become spans of files, and comments in the source are heeded."""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.config import Configuration
from trainlint.counterparts import in_source
from trainlint.findings import Finding, Span

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Observation
    from trainlint.runtime.places import Place


def findings_of(
    observations: Iterable[Observation], script: str = "", configuration: Configuration | None = None
) -> list[Finding]:
    """The findings that no comment and no setting hides, in order of place.

    `script` is the file to name where an observation has no place in the user's code.
    """
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for observation in observations:
        filename = observation.place.filename if observation.place else script
        by_file[filename].append(_finding(observation, filename))
    shown = [finding for filename, found in by_file.items() for finding in _visible(filename, found, configuration)]
    return sorted(shown, key=lambda finding: finding.sort_key)


def _finding(observation: Observation, filename: str) -> Finding:
    place = observation.place
    span = Span(1, 1, 1, 1) if place is None else span_of(place)
    return Finding(
        observation.code,
        observation.name,
        observation.message,
        observation.severity,
        shown(filename),
        span,
        counterparts=in_source(observation.code, observation.fields),
        statement_lines=_statement(filename, span.line) if place else (0, 0),
    )


def shown(filename: str) -> str:
    """A file as the user would name it: relative to the working folder if it lies below."""
    relative = os.path.relpath(filename) if filename else "-"
    return filename if relative.startswith(os.pardir) else relative


def span_of(place: Place) -> Span:
    """The range of a file that a place is."""
    if place.column is None or place.end_line is None or place.end_column is None:
        return Span(place.line, 1, place.line, 1)
    start = _column(place.filename, place.line, place.column)
    return Span(place.line, start, place.end_line, _column(place.filename, place.end_line, place.end_column))


def _column(filename: str, line: int, offset: int) -> int:
    """The column, in characters from 1, of an offset in bytes."""
    lines = _lines(filename)
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return len(text.encode()[:offset].decode(errors="replace")) + 1 if text else offset + 1


@cache
def _lines(filename: str) -> list[str]:
    try:
        return Path(filename).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _statement(filename: str, line: int) -> tuple[int, int]:
    """First and last line of the statement that a line belongs to; of a compound one, of its head."""
    best = (line, line)
    for first, last in _statements(filename):
        if first <= line <= last:
            best = (first, last)  # what stands further in comes later
    return best


@cache
def _statements(filename: str) -> list[tuple[int, int]]:
    try:
        tree = ast.parse(Path(filename).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            found.append((node.lineno, max(node.lineno, last)))
    return found


def _visible(filename: str, findings: list[Finding], configuration: Configuration | None) -> list[Finding]:
    """The findings of a file less those that its comments or its settings hide."""
    path = Path(filename)
    if not path.is_file():
        return findings
    from trainlint import suppress
    from trainlint.config import OWN_FAILURE
    from trainlint.discovery import Globs
    from trainlint.syntax import Unreadable, read_text

    try:
        comments = suppress.directives(read_text(path))
    except Unreadable:
        comments = []
    shown = suppress.visible(findings, comments)
    for patterns, selectors in (configuration or Configuration()).for_folder(path.absolute().parent).per_file_ignores:
        if Globs.of(patterns).decide(str(path.absolute())):
            hidden = tuple(selector.upper() for selector in selectors)
            names = {selector.lower() for selector in selectors}
            shown = [
                finding
                for finding in shown
                if finding.code == OWN_FAILURE
                or not ("ALL" in hidden or finding.code.startswith(hidden) or finding.name in names)
            ]
    return shown
