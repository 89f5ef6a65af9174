"""`trainlint check`: options, the check or the fixing, and the report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint import __version__
from trainlint.cli.inputs import Inputs, inputs
from trainlint.cli.known import Known, KnownToCheck
from trainlint.cli.options import output_options, positive, rule_options, settings_options
from trainlint.cli.output import CLEAN, write
from trainlint.cli.report import progress_of, report, status, tell
from trainlint.cli.summary import hint, summary
from trainlint.config import (
    Configuration,
    Overrides,
    Selection,
    Settings,
    UsageError,
    codes_of,
    enabled_codes,
)
from trainlint.kinds import Patterns
from trainlint.reports import OUTPUT_FORMATS

if TYPE_CHECKING:
    from trainlint.cache import Cache
    from trainlint.joining import Record

DESCRIPTION = "Find the mistakes that keep a neural network from learning."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: .), or - for stdin")
    parser.add_argument("-V", "--version", action="version", version=f"trainlint {__version__}")
    parser.add_argument("--stdin-filename", metavar="FILE", help="the name under which to check the standard input")

    rule_options(parser)

    fixes = parser.add_argument_group("fixes")
    switch = argparse.BooleanOptionalAction
    fixes.add_argument("--fix", action=switch, help="apply safe fixes to the files, and print what is left")
    fixes.add_argument("--unsafe-fixes", action=switch, help="count as fixes those that should be read as well")
    fixes.add_argument(
        "--diff", action="store_true", help="print what --fix or --add-noqa would change, and change nothing"
    )
    fixes.add_argument("--show-fixes", action="store_true", help="list what was fixed")
    fixes.add_argument(
        "--exit-non-zero-on-fix", action="store_true", help="exit with 1 if anything was fixed, as hooks do"
    )

    files = parser.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", metavar="GLOBS", action="append", default=[], help="leave out files and folders that match"
    )
    files.add_argument(
        "--force-exclude", action=switch, help="also leave out what is named on the command line", default=None
    )
    settings_options(files)
    files.add_argument("--show-settings", action="store_true", help="print the settings in force and stop")
    files.add_argument("--show-files", action="store_true", help="print the files that would be checked and stop")

    known = parser.add_argument_group("known findings")
    known.add_argument("--add-noqa", action="store_true", help="suppress what is found by comments in the files")
    known.add_argument("--baseline", metavar="FILE", type=Path, help="do not report the findings that this file counts")
    known.add_argument("--write-baseline", action="store_true", help="write what is found to the baseline")
    known.add_argument("--prune", action="store_true", help="take out of the baseline what is not found any more")

    known.add_argument(
        "--with-run", metavar="FILE", type=Path, help="say what a run recorded by `trainlint run` shows of each finding"
    )

    output = parser.add_argument_group("output")
    output_options(
        output,
        formats=f"how to print findings: {', '.join(OUTPUT_FORMATS)} (default: concise)",
        fail_on="exit with 1 only if something that severe was found (default: info)",
    )
    output.add_argument("--statistics", action="store_true", help="print how often each rule spoke instead")
    output.add_argument("--watch", action="store_true", help="check again whenever files change, until Ctrl-C")
    output.add_argument("--exit-zero", action="store_true", help="exit with 0 although something was found")

    speed = parser.add_argument_group("speed")
    speed.add_argument("--no-cache", action="store_true", help="neither use nor keep results of earlier runs")
    speed.add_argument(
        "--cache-dir", metavar="FOLDER", type=Path, help="where to keep them (default: .trainlint_cache)"
    )
    speed.add_argument("-j", "--jobs", metavar="N", type=positive, help="number of processes (default: as many as pay)")


def _split(lists: Iterable[str]) -> tuple[str, ...]:
    """Comma-separated lists as one."""
    return tuple(item.strip() for text in lists for item in text.split(",") if item.strip())


# Settings that an option of the same name replaces; the others add up.
_REPLACED = ("force_exclude", "fix", "unsafe_fixes", "output_format", "fail_on", "baseline", "cache_dir")

_EXCLUSIVE = (
    ("config", "isolated"),
    ("add_noqa", "fix"),
    ("write_baseline", "add_noqa"),
    ("write_baseline", "diff"),
    ("write_baseline", "prune"),
    ("prune", "diff"),
    ("with_run", "add_noqa"),
    ("with_run", "diff"),
    ("with_run", "fix"),
)


def _configuration(options: argparse.Namespace) -> Configuration:
    select = None if options.select is None else _split(options.select)
    excluded = _split(options.exclude)
    overrides = Overrides(
        selection=Selection(select, _split(options.extend_select), _split(options.ignore)),
        exclude=Patterns(Path.cwd(), excluded) if excluded else None,
        values={name: vars(options)[name] for name in _REPLACED if vars(options)[name] is not None},
    )
    return Configuration(overrides, config=options.config, isolated=options.isolated)


def run(options: argparse.Namespace) -> int:
    """Check, and do with the findings what the options ask for."""
    for one, other in _EXCLUSIVE:
        if vars(options)[one] and vars(options)[other]:
            raise UsageError(f"--{one} and --{other} exclude each other".replace("_", "-"))
    if not options.watch:
        return _once(options)
    if "-" in options.paths or options.stdin_filename:
        raise UsageError("--watch needs files: the standard input does not change")
    from trainlint.cli.watch import watch

    return watch(lambda: _once(options), lambda: _watched(options), options)


def _once(options: argparse.Namespace) -> int:
    from trainlint.cache import Cache

    configuration = _configuration(options)
    settings = configuration.for_folder(Path.cwd())
    cache = Cache(None if options.no_cache else settings.cache)
    _validate(settings, cache)
    if options.show_settings:
        from trainlint.cli.config import in_force

        write([in_force(settings)], sys.stdout)
        return CLEAN
    read = inputs(options, configuration)
    read.cache, read.jobs = cache, options.jobs
    if options.show_files:
        write((f"{target.filename}\n" for target in read.targets), sys.stdout)
        return CLEAN
    known = KnownToCheck(read.targets, settings, writes=options.write_baseline, prunes=options.prune)
    return _job(settings, options)(read, known, settings, options)


def _job(settings: Settings, options: argparse.Namespace) -> Callable[..., int]:
    """What to do with the findings."""
    if options.add_noqa or options.diff or (settings.fix and options.with_run is None):
        from trainlint.cli import rewrite

        return rewrite.add_noqa if options.add_noqa else rewrite.fix
    return _check


def _check(read: Inputs, known: Known, settings: Settings, options: argparse.Namespace) -> int:
    from trainlint import engine

    record = _record(options)
    with progress_of(options) as progress:
        result = engine.check(read.targets, texts=read.texts, progress=progress, cache=read.cache, jobs=read.jobs)
    findings = known.new(result.findings, read.texts)
    notes = [summary(findings, result.files), *known.notes]
    if record is not None:
        findings, told = record.joined(findings, read.texts)
        notes += told
    report(findings, read.texts, settings, options)
    tell([*notes, *hint(findings, settings)], settings, options)
    return status(findings, settings, options)


def _record(options: argparse.Namespace) -> Record | None:
    """The run to compare with, read before the work begins."""
    if options.with_run is None:
        return None
    from trainlint.joining import Record

    return Record.read(options.with_run)


def _watched(options: argparse.Namespace) -> list[Path]:
    """The files whose change matters: those to check, and those with settings."""
    targets = inputs(options, _configuration(options)).targets
    sources = {target.settings.source for target in targets}
    return [*(source for source in sources if source is not None), *(target.path for target in targets)]


def _validate(settings: Settings, cache: Cache) -> None:
    """Complain about selectors that name no rule, before anything is read."""
    selections = [layer for layer in settings.selections if layer != Selection()]
    if selections or settings.per_file_ignores:
        infos = cache.catalogue()
        enabled_codes(selections, infos)
        for _, selectors in settings.per_file_ignores:
            for selector in selectors:
                codes_of(selector, infos)
