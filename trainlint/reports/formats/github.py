"""Annotations in the log of GitHub Actions, shown on the changed lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trainlint.findings import Finding, Severity, Span
from trainlint.reports.formats.concise import headline
from trainlint.reports.places import checkout, inside, relative
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, related_line

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}

# What GitHub's runner undoes when it reads a command, in the message and in the properties before it.
_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A workflow command for each finding."""
    folder = checkout()
    for finding in findings:
        properties: dict[str, object] = {
            "title": f"trainlint {finding.code} ({finding.name})",
            "file": relative(finding.filename, folder),
            **_place(inside(finding)),
        }
        shown = ",".join(f"{key}={escaped(str(value), _IN_PROPERTY)}" for key, value in properties.items())
        message = "\n".join((headline(finding, Style()), *map(related_line, finding.related)))
        yield f"::{_COMMANDS[finding.severity]} {shown}::{escaped(message, _IN_MESSAGE)}\n"


def _place(span: Span | None) -> dict[str, int]:
    if span is None:
        return {}
    lines = {"line": span.line, "endLine": span.end_line}
    # GitHub takes columns only of a place on one line.
    if span.line == span.end_line:
        lines |= {"col": span.column, "endColumn": span.end_column}
    return lines


def escaped(text: str, escapes: Mapping[str, str]) -> str:
    """The text with some of its characters replaced."""
    return "".join(escapes.get(char, char) for char in text)
