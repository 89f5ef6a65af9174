"""How often each rule spoke, in place of the findings themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from trainlint.findings import Finding
from trainlint.reports.style import Style


def render(findings: Sequence[Finding], output_format: str, style: Style) -> Iterator[str]:
    """A line for each code, the most frequent first; with the format `json`, a list of objects."""
    counts = Counter((finding.code, finding.name, finding.severity.value) for finding in findings)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    if output_format == "json":
        objects = [{"code": code, "name": name, "count": count} for (code, name, _), count in rows]
        yield json.dumps(objects, indent=2) + "\n"
        return
    digits = len(str(rows[0][1])) if rows else 0
    for (code, name, severity), count in rows:
        yield f"{count:>{digits}}  {style.paint(code, severity)}  {name}\n"
