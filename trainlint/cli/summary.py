"""What people are told after a check: counts, and what could be fixed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from trainlint.cli.output import style_of

if TYPE_CHECKING:
    from trainlint.findings import Finding


def summary(findings: Sequence[Finding], files: int, more: str = "") -> str:
    """One line for people, such as `Found 2 errors and 1 warning in 1 of 12 files.`"""
    if not findings:
        return "All checks passed!"
    among = f" in {len({finding.filename for finding in findings})} of {files} files" if files > 1 else ""
    return f"Found {_listed(findings)}{among}{more}."


_NOUNS = {"error": "error", "warning": "warning", "info": "remark"}


def _listed(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.severity.value for finding in findings)
    parts = [_counted(counts[severity], noun) for severity, noun in _NOUNS.items() if counts[severity]]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def hint(findings: Iterable[Finding], options: argparse.Namespace) -> None:
    """Say how many findings could be fixed."""
    fixable, hidden = _fixable(findings, options)
    more = f" ({_counted(hidden, 'hidden fix', 'es')} can be enabled with the `--unsafe-fixes` option)"
    if fixable:
        print(f"[*] {fixable} fixable with the `--fix` option{more if hidden else ''}.", file=sys.stderr)
    elif hidden:
        print(f"No fixes available{more}.", file=sys.stderr)


def _fixable(findings: Iterable[Finding], options: argparse.Namespace) -> tuple[int, int]:
    """How many findings can be fixed, and how many more if unsafe fixes counted."""
    fixes = [finding.fix for finding in findings if finding.fix is not None]
    fixable = sum(options.unsafe_fixes or fix.safety.value == "safe" for fix in fixes)
    return fixable, len(fixes) - fixable


def would_fix(mended: Sequence[Finding], left: Iterable[Finding], options: argparse.Namespace) -> str:
    """One line for people on what `--diff` shows."""
    hidden = _fixable(left, options)[1]
    more = f" ({_counted(hidden, 'additional fix', 'es')} available with `--unsafe-fixes`)" if hidden else ""
    return f"Would fix {_listed(mended)}{more}." if mended else f"Nothing would be fixed{more}."


def fixes_by_file(mended: Sequence[Finding], options: argparse.Namespace) -> Iterable[str]:
    """Of each file, what was fixed in it and how often."""
    from trainlint.reports.style import one_line

    style = style_of(options, sys.stderr)
    if mended:
        yield f"Fixed {_listed(mended)}:\n"
    for filename in dict.fromkeys(finding.filename for finding in mended):
        yield f"- {style.paint(one_line(filename), 'bold')}:\n"
        counts = Counter((finding.code, finding.name) for finding in mended if finding.filename == filename)
        for (code, name), count in sorted(counts.items()):
            yield f"    {count} × {code} ({name})\n"
