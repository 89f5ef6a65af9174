"""`trainlint check`: options, the check or the fixing, and the report."""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from trainlint import __version__
from trainlint.cli.output import CLEAN, FAILED, FOUND, color_argument, style_of, write
from trainlint.cli.summary import fixes_by_file, hint, summary, would_fix
from trainlint.config import (
    OWN_FAILURE,
    Configuration,
    Overrides,
    Selection,
    Settings,
    UsageError,
    enabled_codes,
)
from trainlint.kinds import Patterns
from trainlint.reports import FOR_PEOPLE, OUTPUT_FORMATS

if TYPE_CHECKING:
    from trainlint.discovery import Target
    from trainlint.engine import Progress
    from trainlint.findings import Finding
    from trainlint.reports.style import Style

DESCRIPTION = "Find the mistakes that keep a neural network from learning."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: .), or - for stdin")
    parser.add_argument("-V", "--version", action="version", version=f"trainlint {__version__}")
    parser.add_argument("--stdin-filename", metavar="FILE", help="the name under which to check the standard input")

    rules = parser.add_argument_group("rules", "given by code, beginning of codes, name, or ALL; separated by commas")
    rules.add_argument("--select", metavar="RULES", action="append", help="run these instead of the default ones")
    rules.add_argument("--extend-select", metavar="RULES", action="append", default=[], help="run these as well")
    rules.add_argument("--ignore", metavar="RULES", action="append", default=[], help="do not run these")

    fixes = parser.add_argument_group("fixes")
    switch = argparse.BooleanOptionalAction
    fixes.add_argument("--fix", action=switch, help="apply safe fixes to the files, and print what is left")
    fixes.add_argument("--unsafe-fixes", action=switch, help="count as fixes those that should be read as well")
    fixes.add_argument("--diff", action="store_true", help="print what --fix would change, and change nothing")
    fixes.add_argument("--show-fixes", action="store_true", help="list what was fixed")

    files = parser.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", metavar="GLOBS", action="append", default=[], help="leave out files and folders that match"
    )
    files.add_argument(
        "--force-exclude", action=switch, help="also leave out what is named on the command line", default=None
    )
    files.add_argument("--config", metavar="FILE", type=Path, help="use this settings file and no other")
    files.add_argument("--isolated", action="store_true", help="use no settings file")
    files.add_argument("--show-settings", action="store_true", help="print the settings in force and stop")

    output = parser.add_argument_group("output")
    output.add_argument(
        "--output-format",
        metavar="FORMAT",
        choices=OUTPUT_FORMATS,
        help=f"how to print findings: {', '.join(OUTPUT_FORMATS)} (default: concise)",
    )
    output.add_argument("--output-file", metavar="FILE", type=Path, help="write findings to this file")
    output.add_argument("--statistics", action="store_true", help="print how often each rule spoke instead")
    output.add_argument("-q", "--quiet", action="store_true", help="print findings and errors only")
    color_argument(output)
    output.add_argument("--exit-zero", action="store_true", help="exit with 0 although something was found")

    speed = parser.add_argument_group("speed")
    speed.add_argument("--no-cache", action="store_true", help="do not use results of earlier runs")
    speed.add_argument("-j", "--jobs", metavar="N", type=_positive, help="number of processes")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _split(lists: Iterable[str]) -> tuple[str, ...]:
    """Comma-separated lists as one."""
    return tuple(item.strip() for text in lists for item in text.split(",") if item.strip())


# Settings that an option of the same name replaces; the others add up.
_REPLACED = ("force_exclude", "fix", "unsafe_fixes", "output_format")


def _configuration(options: argparse.Namespace) -> Configuration:
    if options.config is not None and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    select = None if options.select is None else _split(options.select)
    excluded = _split(options.exclude)
    overrides = Overrides(
        selection=Selection(select, _split(options.extend_select), _split(options.ignore)),
        exclude=Patterns(Path.cwd(), excluded) if excluded else None,
        values={name: vars(options)[name] for name in _REPLACED if vars(options)[name] is not None},
    )
    return Configuration(overrides, config=options.config, isolated=options.isolated)


def run(options: argparse.Namespace) -> int:
    """Check, or fix, or show the settings."""
    from trainlint import engine

    configuration = _configuration(options)
    settings = configuration.for_folder(Path.cwd())
    _validate(settings)
    if options.show_settings:
        from trainlint.cli.config import in_force

        write(in_force(settings), sys.stdout)
        return CLEAN

    options.fix, options.unsafe_fixes = settings.fix, settings.unsafe_fixes
    targets, texts, encoding = _stdin(options, configuration)
    if targets is None:
        from trainlint.discovery import discover

        targets = discover(options.paths or ["."], configuration)
        if not targets and not options.quiet:
            shown = " ".join(options.paths) or "."
            print(f"trainlint: no Python files or notebooks found in {shown}", file=sys.stderr)

    if options.fix or options.diff:
        return _fix(targets, texts, encoding, settings, options)
    with _progress(options) as progress:
        result = engine.check(targets, texts=texts, progress=progress)
    _report(result.findings, texts, settings.output_format, options)
    if _wants_summary(settings, options):
        sys.stdout.flush()
        print(summary(result.findings, result.files), file=sys.stderr)
        hint(result.findings, options)
    return _status(result.findings, bool(result.findings) and not options.exit_zero)


def _wants_summary(settings: Settings, options: argparse.Namespace) -> bool:
    return not options.quiet and (settings.output_format in FOR_PEOPLE or options.output_file is not None)


def _status(findings: Iterable[Finding], found: bool) -> int:
    if any(finding.code == OWN_FAILURE for finding in findings):
        return FAILED
    return FOUND if found else CLEAN


def _fix(
    targets: Sequence[Target], texts: dict[str, str], encoding: str, settings: Settings, options: argparse.Namespace
) -> int:
    """Check, and write what the fixes make of the files; or show it only."""
    from trainlint import engine, fixing

    with _progress(options) as progress:
        outcome = engine.fix(targets, unsafe=options.unsafe_fixes, texts=texts, progress=progress)
    result, mended = outcome.result, outcome.mended
    failures = []
    if options.diff:
        write((fixing.difference(name, *change) for name, change in outcome.changes.items()), sys.stdout)
    else:
        for name, (old, new) in outcome.changes.items():
            if name not in texts:
                try:
                    fixing.write(next(target.path for target in targets if target.filename == name), old, new)
                except OSError as error:
                    failures.append(f"{name} cannot be written: {error.strerror or error}")
        for name, text in texts.items():  # the fixed source takes the place of the findings
            new = outcome.changes[name][1] if name in outcome.changes else text
            write([new.encode(encoding)], sys.stdout.buffer)
        left = {**texts, **{name: change[1] for name, change in outcome.changes.items()}}
        _report(result.findings, left, settings.output_format, options, sys.stderr if texts else sys.stdout)
    for failure in failures:
        print(f"trainlint: error: {failure}", file=sys.stderr)
    if _wants_summary(settings, options):
        sys.stdout.flush()
        if options.show_fixes:
            sys.stderr.writelines(fixes_by_file(mended, options))
        if options.diff:
            print(would_fix(mended, result.findings, options), file=sys.stderr)
        else:
            counts = f" ({len(mended)} fixed, {len(result.findings)} remaining)" if mended else ""
            print(summary((*mended, *result.findings), result.files, counts), file=sys.stderr)
            hint(result.findings, options)
    found = bool(mended if options.diff else result.findings) and not options.exit_zero
    return FAILED if failures else _status(result.findings, found)


def _validate(settings: Settings) -> None:
    """Complain about selectors that name no rule, before anything is read."""
    selections = [layer for layer in settings.selections if layer != Selection()]
    if selections or settings.per_file_ignores:
        from trainlint.checks import catalogue
        from trainlint.config import codes_of

        enabled_codes(selections, catalogue())
        for _, selectors in settings.per_file_ignores:
            for selector in selectors:
                codes_of(selector, catalogue())


def _stdin(
    options: argparse.Namespace, configuration: Configuration
) -> tuple[list[Target] | None, dict[str, str], str]:
    """The target, the text and the encoding of the standard input, if that is to be checked."""
    name = options.stdin_filename
    if "-" not in options.paths and not (name and not options.paths):
        return None, {}, ""
    if len(options.paths) > 1:
        raise UsageError("`-`, the standard input, cannot be checked together with files")
    from trainlint.discovery import Target, is_excluded

    name = name or "-"
    path = Path(name).absolute()
    settings = configuration.for_folder(path.parent)
    text, encoding = _decoded(sys.stdin.buffer.read())
    left_out = settings.force_exclude and is_excluded(str(path), settings)
    return [] if left_out else [Target(path, name, settings)], {name: text}, encoding


def _decoded(data: bytes) -> tuple[str, str]:
    encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        # Perhaps a comment declares another encoding.
        from trainlint.syntax import Unreadable, decode

        try:
            return decode(data)
        except Unreadable as error:
            raise UsageError(f"the standard input cannot be read: {error.message}") from error


def _progress(options: argparse.Namespace) -> AbstractContextManager[Progress | None]:
    if options.quiet or not sys.stderr.isatty():
        return nullcontext()
    from trainlint.reports.progress import ProgressBar

    return ProgressBar()


def _report(
    findings: Sequence[Finding],
    texts: dict[str, str],
    output_format: str,
    options: argparse.Namespace,
    stream: TextIO | None = None,
) -> None:
    from trainlint.reports import renderer, statistics
    from trainlint.reports.sources import Sources
    from trainlint.reports.style import Style

    def pieces(style: Style) -> Iterable[str]:
        if options.statistics:
            return statistics.render(findings, output_format, style)
        return renderer(output_format)(findings, Sources(texts), style)

    if options.output_file is None:
        write(pieces(style_of(options, stream)), stream or sys.stdout)
        return
    try:
        with open(options.output_file, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(pieces(Style(options.color == "always")))
    except OSError as error:
        raise UsageError(f"cannot write to {options.output_file}: {error.strerror}") from error
