"""What people are told after a check: counts, and what could be fixed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from trainlint.cli.output import style_of
from trainlint.config import Settings
from trainlint.reports.wording import counted

if TYPE_CHECKING:
    from trainlint.findings import Finding


def summary(findings: Sequence[Finding], files: int, more: str = "") -> str:
    """One line for people, such as `Found 2 errors and 1 warning in 1 of 12 files.`"""
    if not findings:
        return "All checks passed!"
    among = f" in {len({finding.filename for finding in findings})} of {files} files" if files > 1 else ""
    return f"Found {listed(findings)}{among}{more}."


_NOUNS = {"error": "error", "warning": "warning", "info": "remark"}


def listed(findings: Iterable[Finding]) -> str:
    """Counts by severity, such as `2 errors and 1 warning`."""
    counts = Counter(finding.severity.value for finding in findings)
    parts = [counted(counts[severity], noun) for severity, noun in _NOUNS.items() if counts[severity]]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def hint(findings: Iterable[Finding], settings: Settings) -> list[str]:
    """How many findings could be fixed, if any."""
    fixable, hidden = _fixable(findings, settings)
    more = f" ({counted(hidden, 'hidden fix', 'es')} can be enabled with the `--unsafe-fixes` option)"
    if fixable:
        return [f"[*] {fixable} fixable with the `--fix` option{more if hidden else ''}."]
    return [f"No fixes available{more}."] if hidden else []


def _fixable(findings: Iterable[Finding], settings: Settings) -> tuple[int, int]:
    """How many findings can be fixed, and how many more if unsafe fixes counted."""
    fixes = [finding.fix for finding in findings if finding.fix is not None]
    fixable = sum(settings.unsafe_fixes or fix.safety.value == "safe" for fix in fixes)
    return fixable, len(fixes) - fixable


def would_fix(mended: Sequence[Finding], left: Iterable[Finding], settings: Settings) -> str:
    """One line for people on what `--diff` shows."""
    hidden = _fixable(left, settings)[1]
    more = f" ({counted(hidden, 'additional fix', 'es')} available with `--unsafe-fixes`)" if hidden else ""
    return f"Would fix {listed(mended)}{more}." if mended else f"Nothing would be fixed{more}."


def fixes_by_file(mended: Sequence[Finding], options: argparse.Namespace) -> Iterable[str]:
    """Of each file, what was fixed in it and how often."""
    from trainlint.reports.style import one_line

    style = style_of(options, sys.stderr)
    if mended:
        yield f"Fixed {listed(mended)}:"
    for filename in dict.fromkeys(finding.filename for finding in mended):
        yield f"- {style.paint(one_line(filename), 'bold')}:"
        counts = Counter((finding.code, finding.name) for finding in mended if finding.filename == filename)
        for (code, name), count in sorted(counts.items()):
            yield f"    {count} × {code} ({name})"
