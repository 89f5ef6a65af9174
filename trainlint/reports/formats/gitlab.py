"""A code quality report of GitLab, for the widget of a merge request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trainlint.findings import NOWHERE, Finding, Severity
from trainlint.reports.places import checkout, fingerprints, inside, relative
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, with_remark

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """One list. The paths are relative to the checkout, as GitLab knows the files."""
    folder = checkout()

    def entry(finding: Finding, fingerprint: str) -> dict[str, Any]:
        span = inside(finding) or NOWHERE
        cell = "" if finding.cell is None else f"cell {finding.cell}: "
        return {
            "check_name": finding.code,
            "description": f"{finding.code} {cell}{with_remark(finding)}",
            "severity": _SEVERITIES[finding.severity],
            "fingerprint": fingerprint,
            "location": {
                "path": relative(finding.filename, folder),
                "positions": {
                    "begin": _position(span.line, span.column),
                    "end": _position(span.end_line, span.end_column),
                },
            },
        }

    yield json.dumps([*map(entry, findings, fingerprints(findings, sources))], indent=2) + "\n"


def _position(line: int, column: int) -> dict[str, int]:
    # A place is required; the first line is what is left for those that have none.
    return {"line": max(line, 1), "column": max(column, 1)}
