"""Checks that change files: `--fix` and `--add-noqa`, or `--diff` to see what they would change."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from trainlint.cli.inputs import Inputs
from trainlint.cli.known import Known
from trainlint.cli.output import write
from trainlint.cli.report import progress_of, report, status, tell
from trainlint.cli.summary import fixes_by_file, hint, listed, summary, would_fix
from trainlint.config import OWN_FAILURE, Settings

if TYPE_CHECKING:
    from trainlint.findings import Finding

Changes = Mapping[str, tuple[str, str]]


def fix(inputs: Inputs, known: Known, settings: Settings, options: argparse.Namespace) -> int:
    """Check, and write what the fixes make of the files; or show it only."""
    from trainlint import engine

    with progress_of(options) as progress:
        outcome = engine.fix(
            inputs.targets,
            unsafe=settings.unsafe_fixes,
            texts=inputs.texts,
            progress=progress,
            cache=inputs.cache,
            jobs=inputs.jobs,
        )
    mended, files = outcome.mended, outcome.result.files
    left = known.new(outcome.result.findings, _after(inputs, outcome.changes))
    is_written = _show(outcome.changes) if options.diff else _apply(outcome.changes, inputs)
    if not options.diff:
        _report_left(left, inputs, outcome.changes, settings, options)
    tell(_told(mended, left, files, known, settings, options), settings, options)
    found = (*mended, *(finding for finding in left if finding.code == OWN_FAILURE)) if options.diff else left
    changed = options.exit_non_zero_on_fix and bool(mended)
    return status(found, settings, options, changed=changed, failed=not is_written)


def _told(
    mended: Sequence[Finding],
    left: Sequence[Finding],
    files: int,
    known: Known,
    settings: Settings,
    options: argparse.Namespace,
) -> Iterator[str]:
    if options.show_fixes:
        yield from fixes_by_file(mended, options)
    if options.diff:
        yield would_fix(mended, left, settings)
        return
    counts = f" ({len(mended)} fixed, {len(left)} remaining)" if mended else ""
    yield summary((*mended, *left), files, counts)
    yield from known.notes
    yield from hint(left, settings)


def add_noqa(inputs: Inputs, known: Known, settings: Settings, options: argparse.Namespace) -> int:
    """Check, and suppress by comments what was found; or show them only."""
    from trainlint import engine
    from trainlint.silencing import silence

    with progress_of(options) as progress:
        result = engine.check(
            inputs.targets, texts=inputs.texts, progress=progress, cache=inputs.cache, jobs=inputs.jobs
        )
    found = known.new(result.findings, inputs.texts)
    silenced, changes = silence(inputs.targets, found, inputs.texts)
    left = [finding for finding in found if finding not in silenced]
    is_written = _show(changes) if options.diff else _apply(changes, inputs)
    _report_left(left, inputs, changes, settings, options)
    done = "Would suppress" if options.diff else "Suppressed"
    lines = [f"{done} {listed(silenced)}." if silenced else "Nothing to suppress.", *known.notes]
    if left:
        lines.append(f"No comment can suppress {listed(left)}: no line of the statement can carry one.")
    tell(lines, settings, options)
    return status(found if options.diff else left, settings, options, failed=not is_written)


def _show(changes: Changes) -> bool:
    from trainlint import fixing

    write((fixing.difference(name, *change) for name, change in changes.items()), sys.stdout)
    return True


def _apply(changes: Changes, inputs: Inputs) -> bool:
    """Write the changed files, and the standard input to the standard output; whether all could be written."""
    from trainlint import fixing

    failures = []
    for name, (old, new) in changes.items():
        if name not in inputs.texts:
            try:
                fixing.write(next(target.path for target in inputs.targets if target.filename == name), old, new)
            except OSError as error:
                failures.append(f"{name} cannot be written: {error.strerror or error}")
    for name, text in inputs.texts.items():
        write([(changes[name][1] if name in changes else text).encode(inputs.encoding)], sys.stdout.buffer)
    for failure in failures:
        print(f"trainlint: error: {failure}", file=sys.stderr)
    return not failures


def _report_left(
    left: list[Finding], inputs: Inputs, changes: Changes, settings: Settings, options: argparse.Namespace
) -> None:
    """Print what is left; if the standard output is taken by source, where messages go."""
    report(left, _after(inputs, changes), settings, options, sys.stderr if inputs.texts else sys.stdout)


def _after(inputs: Inputs, changes: Changes) -> dict[str, str]:
    """Contents of files after the changes."""
    return {**inputs.texts, **{name: new for name, (_, new) in changes.items()}}
