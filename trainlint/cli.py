"""The command line. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from trainlint import __version__
from trainlint.config import (
    OUTPUT_FORMATS,
    OWN_FAILURE,
    Configuration,
    Overrides,
    Patterns,
    Selection,
    Settings,
    UsageError,
    enabled_codes,
    unknown_rule,
)

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo
    from trainlint.discovery import Target
    from trainlint.findings import Finding

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = "Find the mistakes that keep a neural network from learning."
EPILOG = """\
`trainlint PATH...` is short for `trainlint check PATH...`.
Exit status: 0 nothing found, 1 something found, 2 bad usage or a failure of trainlint itself.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except UsageError as error:
        print(f"trainlint: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("trainlint: interrupted", file=sys.stderr)
        if threading.active_count() > 1:
            os._exit(INTERRUPTED)  # do not wait for a check that goes on in its own thread
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nobody who lints code should have to read our traceback
        _tell_failure(error)
        return FAILED


def _tell_failure(error: Exception) -> None:
    if os.environ.get("TRAINLINT_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    print(
        f"trainlint: internal error{where}: {type(error).__name__}: {error}\n"
        "This is a mistake in trainlint, please report it; TRAINLINT_DEBUG=1 shows the traceback.",
        file=sys.stderr,
    )


def _run(argv: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        # File names and code may hold what the terminal's encoding does not.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not argv or argv[0] not in (*COMMANDS, "-h", "--help", "-V", "--version"):
        argv = ["check", *argv]
    options = _parser().parse_args(argv)
    return COMMANDS[options.command](options)


# --- The options ------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("trainlint", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("-V", "--version", action="version", version=f"trainlint {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check", help="check files and folders", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw
    )
    check.add_argument("paths", nargs="*", metavar="PATH", help="files and folders (default: .), or - for stdin")
    check.add_argument("-V", "--version", action="version", version=f"trainlint {__version__}")
    check.add_argument("--stdin-filename", metavar="FILE", help="the name under which to check the standard input")

    rules = check.add_argument_group("rules", "given by code, beginning of codes, name, or ALL; separated by commas")
    rules.add_argument("--select", metavar="RULES", action="append", help="run these instead of the default ones")
    rules.add_argument("--extend-select", metavar="RULES", action="append", default=[], help="run these as well")
    rules.add_argument("--ignore", metavar="RULES", action="append", default=[], help="do not run these")

    files = check.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", metavar="GLOBS", action="append", default=[], help="leave out files and folders that match"
    )
    files.add_argument("--force-exclude", action="store_true", help="also leave out what is named on the command line")
    files.add_argument("--config", metavar="FILE", type=Path, help="use this settings file and no other")
    files.add_argument("--isolated", action="store_true", help="use no settings file")
    files.add_argument("--show-settings", action="store_true", help="print the settings in force and stop")

    output = check.add_argument_group("output")
    output.add_argument("--output-format", choices=OUTPUT_FORMATS, help="how to print findings (default: concise)")
    output.add_argument("--output-file", metavar="FILE", type=Path, help="write findings to this file")
    output.add_argument("--statistics", action="store_true", help="print how often each rule spoke instead")
    output.add_argument("-q", "--quiet", action="store_true", help="print findings and errors only")
    output.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to use colour")
    output.add_argument("--exit-zero", action="store_true", help="exit with 0 although something was found")

    speed = check.add_argument_group("speed")
    speed.add_argument("--no-cache", action="store_true", help="do not use results of earlier runs")
    speed.add_argument("-j", "--jobs", metavar="N", type=_positive, help="number of processes")

    rule = commands.add_parser("rule", help="explain a rule", description="Explain a rule.")
    rule.add_argument("rule", metavar="RULE", help="its code or name")
    rule.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to use colour")

    listing = commands.add_parser("rules", help="list all rules", description="List all rules.")
    listing.add_argument("--output-format", choices=("text", "json"), default="text", help="how to print them")
    listing.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to use colour")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _split(lists: Iterable[str]) -> tuple[str, ...]:
    """Comma-separated lists as one."""
    return tuple(item.strip() for text in lists for item in text.split(",") if item.strip())


def _configuration(options: argparse.Namespace) -> Configuration:
    if options.config is not None and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    select = None if options.select is None else _split(options.select)
    excluded = _split(options.exclude)
    overrides = Overrides(
        selection=Selection(select, _split(options.extend_select), _split(options.ignore)),
        exclude=Patterns(Path.cwd(), excluded) if excluded else None,
        force_exclude=options.force_exclude,
        output_format=options.output_format,
    )
    return Configuration(overrides, config=options.config, isolated=options.isolated)


# --- trainlint check --------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from trainlint import engine

    configuration = _configuration(options)
    settings = configuration.for_folder(Path.cwd())
    _validate(settings)
    if options.show_settings:
        _write(_described(settings), sys.stdout)
        return CLEAN

    targets, texts = _stdin(options, configuration)
    if targets is None:
        from trainlint.discovery import discover

        targets = discover(options.paths or ["."], configuration)
        if not targets and not options.quiet:
            shown = " ".join(options.paths) or "."
            print(f"trainlint: no Python files or notebooks found in {shown}", file=sys.stderr)

    with _progress(options) as progress:
        result = engine.check(targets, texts=texts, progress=progress)

    _report(result.findings, texts, settings, options)
    if not options.quiet and settings.output_format != "json":
        sys.stdout.flush()
        print(_summary(result.findings, result.files), file=sys.stderr)
    if any(finding.code == OWN_FAILURE for finding in result.findings):
        return FAILED
    return FOUND if result.findings and not options.exit_zero else CLEAN


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


def _stdin(options: argparse.Namespace, configuration: Configuration) -> tuple[list[Target] | None, dict[str, str]]:
    """The target and the text of the standard input, if that is to be checked."""
    name = options.stdin_filename
    if "-" not in options.paths and not (name and not options.paths):
        return None, {}
    if len(options.paths) > 1:
        raise UsageError("`-`, the standard input, cannot be checked together with files")
    from trainlint.discovery import Target, is_excluded

    name = name or "-"
    path = Path(name).absolute()
    settings = configuration.for_folder(path.parent)
    data = sys.stdin.buffer.read()
    if settings.force_exclude and is_excluded(str(path), settings):
        return [], {}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the standard input is not UTF-8: {error.reason} at byte {error.start}") from error
    return [Target(path, name, settings)], {name: text}


def _progress(options: argparse.Namespace) -> object:
    if options.quiet or not sys.stderr.isatty():
        return nullcontext()
    from trainlint.reports.progress import ProgressBar

    return ProgressBar()


def _report(
    findings: Sequence[Finding], texts: dict[str, str], settings: Settings, options: argparse.Namespace
) -> None:
    from trainlint.reports import renderer
    from trainlint.reports.sources import Sources
    from trainlint.reports.style import Style, wants_color

    ...
