"""The objects of `json`, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from trainlint.findings import Finding
from trainlint.reports.formats.json import as_object
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """A line for each finding."""
    return (json.dumps(as_object(finding)) + "\n" for finding in findings)
