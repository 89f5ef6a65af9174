"""The diagnostic format of reviewdog, with fixes as suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trainlint.findings import Finding, Fix, Related, Span
from trainlint.reports.formats.concise import headline
from trainlint.reports.places import inside, utf8_column
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, shown_path, with_remark


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """One object. Columns are counted in bytes of UTF-8."""
    report = {
        "source": {"name": "trainlint"},
        "diagnostics": [_diagnostic(finding, sources) for finding in findings],
    }
    yield json.dumps(report, indent=2) + "\n"


def _diagnostic(finding: Finding, sources: Sources) -> dict[str, Any]:
    cell = "" if finding.cell is None else f"cell {finding.cell}: "
    diagnostic: dict[str, Any] = {
        "message": cell + with_remark(finding),
        "location": _location(finding, sources),
        "severity": finding.severity.value.upper(),
        "code": {"value": finding.code},
        "original_output": headline(finding, Style()),
    }
    if finding.fix is not None and _fits(finding.fix, finding):
        diagnostic["suggestions"] = [
            {"range": _range(edit.filename, edit.span, sources), "text": edit.replacement} for edit in finding.fix.edits
        ]
    if finding.related:
        diagnostic["related_locations"] = [
            {"message": related.message, "location": _location(related, sources)} for related in finding.related
        ]
    return diagnostic


def _fits(fix: Fix, finding: Finding) -> bool:
    """Whether suggestions can say the whole of a fix: they belong to the diagnostic's file, and know no cells."""
    return all(edit.filename == finding.filename and edit.cell is None for edit in fix.edits)


def _location(place: Finding | Related, sources: Sources) -> dict[str, Any]:
    path = {"path": shown_path(place.filename)}
    span = inside(place)
    return path if span is None else {**path, "range": _range(place.filename, span, sources)}


def _range(filename: str, span: Span, sources: Sources) -> dict[str, Any]:
    def position(line: int, column: int) -> dict[str, int]:
        return {"line": line, "column": utf8_column(sources.line(filename, None, line), column)}

    return {"start": position(span.line, span.column), "end": position(span.end_line, span.end_column)}
