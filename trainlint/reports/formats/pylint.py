"""Pylint's `path:line: [CODE] message`, which Jenkins and many other programs read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainlint.findings import Finding
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, one_line, with_remark


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A line for each finding; in a notebook it is the line in the cell that the message names."""
    for finding in findings:
        cell = "" if finding.cell is None else f"cell {finding.cell}: "
        path = one_line(finding.filename)
        yield f"{path}:{max(finding.span.line, 1)}: [{finding.code}] {cell}{one_line(with_remark(finding))}\n"
