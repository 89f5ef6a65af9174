"""How a check ends: the report, whether people are told more, and the exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TextIO

from trainlint.cli.output import CLEAN, FAILED, FOUND, style_of, write
from trainlint.config import OWN_FAILURE, SEVERITIES, Settings, UsageError
from trainlint.reports import FOR_PEOPLE

if TYPE_CHECKING:
    from trainlint.analysis import Progress
    from trainlint.findings import Finding
    from trainlint.reports.style import Style


def progress_of(options: argparse.Namespace) -> AbstractContextManager[Progress | None]:
    """A bar on a terminal that shows how far the check is."""
    if options.quiet or not sys.stderr.isatty():
        return nullcontext()
    from trainlint.reports.progress import ProgressBar

    return ProgressBar()


def report(
    findings: Sequence[Finding],
    texts: dict[str, str],
    settings: Settings,
    options: argparse.Namespace,
    stream: TextIO | None = None,
) -> None:
    """Print findings, or write them to a file; `texts` are the contents of files that are not as on the disk."""
    from trainlint.reports import renderer, statistics
    from trainlint.reports.sources import Sources
    from trainlint.reports.style import Style

    def pieces(style: Style) -> Iterable[str]:
        if options.statistics:
            return statistics.render(findings, settings.output_format, style)
        return renderer(settings.output_format)(findings, Sources(texts), style)

    if options.output_file is None:
        write(pieces(style_of(options, stream)), stream or sys.stdout)
        return
    try:
        with open(options.output_file, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(pieces(Style(options.color == "always")))
    except OSError as error:
        raise UsageError(f"cannot write to {options.output_file}: {error.strerror}") from error


def tell(lines: Iterable[str], settings: Settings, options: argparse.Namespace) -> None:
    """Tell people more than the findings, behind them."""
    if options.quiet or (settings.output_format not in FOR_PEOPLE and options.output_file is None):
        return
    sys.stdout.flush()
    for line in lines:
        print(line, file=sys.stderr)


def status(
    findings: Iterable[Finding],
    settings: Settings,
    options: argparse.Namespace,
    *,
    changed: bool = False,
    failed: bool = False,
) -> int:
    """The exit status after a check that came to these findings, `changed` files of its own will, or failed to."""
    found = {(finding.code, finding.severity.value) for finding in findings}
    if failed or any(code == OWN_FAILURE for code, _ in found):
        return FAILED
    grave = SEVERITIES[: SEVERITIES.index(settings.fail_on) + 1]
    return FOUND if not options.exit_zero and (changed or any(severity in grave for _, severity in found)) else CLEAN
