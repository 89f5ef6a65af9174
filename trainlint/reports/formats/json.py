"""A JSON list of objects, with everything that is known of a finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trainlint.findings import Finding, Fix, Related, Span
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """One object a finding."""
    yield json.dumps([as_object(finding) for finding in findings], indent=2) + "\n"


def as_object(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it."""
    return {
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "severity": finding.severity.value,
        "filename": finding.filename,
        "cell": finding.cell,
        **as_place(finding.span),
        "related": [_related(related) for related in finding.related],
        "fix": None if finding.fix is None else _fix(finding.fix),
        "run": None if finding.run is None else finding.run.value,
        "counterparts": list(finding.counterparts),
    }


def _related(related: Related) -> dict[str, Any]:
    return {
        "filename": related.filename,
        "cell": related.cell,
        **as_place(related.span),
        "message": related.message,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "message": fix.message,
        "safety": fix.safety.value,
        "edits": [
            {"filename": edit.filename, "cell": edit.cell, **as_place(edit.span), "replacement": edit.replacement}
            for edit in fix.edits
        ],
    }


def as_place(span: Span) -> dict[str, int]:
    """A span as JSON has it."""
    return {"line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}
