"""One line a finding, as editors and scripts know it: `path:line:column: CODE message`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainlint.findings import Finding
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, one_line, position, with_remark


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A line for each finding."""
    return (headline(finding, style) + "\n" for finding in findings)


def headline(finding: Finding, style: Style) -> str:
    """A finding in one line."""
    path = style.paint(one_line(finding.filename), "bold")
    where = style.paint(position(finding.cell, finding.span), "dim")
    return f"{path}{where}: {style.paint(finding.code, finding.severity.value)} {one_line(with_remark(finding))}"
