"""The lines of `concise` below the name of their file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from trainlint.findings import Finding
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, one_line, position, with_remark


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """For each file its name and a table of what was found in it."""
    for filename, group in groupby(findings, key=lambda finding: finding.filename):
        rows = [(position(finding.cell, finding.span).lstrip(":"), finding) for finding in group]
        margin = max(len(where) for where, _ in rows)
        yield style.paint(one_line(filename), "bold") + ":\n"
        for where, finding in rows:
            code = style.paint(finding.code, finding.severity.value)
            yield f"  {style.paint(where.ljust(margin), 'dim')}  {code}  {one_line(with_remark(finding))}\n"
        yield "\n"
