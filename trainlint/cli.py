"""The command line. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import argparse
import codecs
import gc
import json
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, AnyStr, TextIO

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
    from trainlint.discovery import Target
    from trainlint.engine import Progress
    from trainlint.findings import Finding
    from trainlint.reports.style import Style

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = "Find the mistakes that keep a neural network from learning."
EPILOG = """\
`trainlint PATH...` is short for `trainlint check PATH...`.
Exit status: 0 nothing found, 1 something found, 2 bad usage or a failure of trainlint itself.
"""


def entry() -> int:
    """The command itself: `main` in a process of its own, which needs no garbage collection before it ends."""
    gc.disable()
    status = main()
    gc.freeze()
    return status


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
    run: Callable[[argparse.Namespace], int] = COMMANDS[options.command]
    return run(options)


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

    fixes = check.add_argument_group("fixes")
    switch = argparse.BooleanOptionalAction
    fixes.add_argument("--fix", action=switch, help="apply safe fixes to the files, and print what is left")
    fixes.add_argument("--unsafe-fixes", action=switch, help="count as fixes those that should be read as well")
    fixes.add_argument("--diff", action="store_true", help="print what --fix would change, and change nothing")
    fixes.add_argument("--show-fixes", action="store_true", help="list what was fixed")

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
        fix=options.fix,
        unsafe_fixes=options.unsafe_fixes,
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
    if not options.quiet and settings.output_format != "json":
        sys.stdout.flush()
        print(_summary(result.findings, result.files), file=sys.stderr)
        _hint(result.findings, options)
    return _status(result.findings, bool(result.findings) and not options.exit_zero)


def _status(findings: Iterable[Finding], found: bool) -> int:
    if any(finding.code == OWN_FAILURE for finding in findings):
        return FAILED
    return FOUND if found else CLEAN


def _fix(
    targets: Sequence[Target], texts: dict[str, str], encoding: str, settings: Settings, options: argparse.Namespace
) -> int:
    """Check, and write what the fixes make of the files; or show it only."""
    from trainlint import engine
    from trainlint.fixing import difference, write

    with _progress(options) as progress:
        outcome = engine.fix(targets, unsafe=options.unsafe_fixes, texts=texts, progress=progress)
    result, mended = outcome.result, outcome.mended
    failures = []
    if options.diff:
        _write((difference(name, *change) for name, change in outcome.changes.items()), sys.stdout)
    else:
        for name, (old, new) in outcome.changes.items():
            if name not in texts:
                try:
                    write(next(target.path for target in targets if target.filename == name), old, new)
                except OSError as error:
                    failures.append(f"{name} cannot be written: {error.strerror or error}")
        for name, text in texts.items():  # the fixed source takes the place of the findings
            new = outcome.changes[name][1] if name in outcome.changes else text
            _write([new.encode(encoding)], sys.stdout.buffer)
        left = {**texts, **{name: change[1] for name, change in outcome.changes.items()}}
        _report(result.findings, left, settings.output_format, options, sys.stderr if texts else sys.stdout)
    for failure in failures:
        print(f"trainlint: error: {failure}", file=sys.stderr)
    if not options.quiet and settings.output_format != "json":
        sys.stdout.flush()
        if options.show_fixes:
            sys.stderr.writelines(_fixes_by_file(mended, options))
        if options.diff:
            print(_would_fix(mended, result.findings, options), file=sys.stderr)
        else:
            counts = f" ({len(mended)} fixed, {len(result.findings)} remaining)" if mended else ""
            print(_summary((*mended, *result.findings), result.files, counts), file=sys.stderr)
            _hint(result.findings, options)
    found = bool(mended if options.diff else result.findings) and not options.exit_zero
    return FAILED if failures else _status(result.findings, found)


def _hint(findings: Iterable[Finding], options: argparse.Namespace) -> None:
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


def _would_fix(mended: Sequence[Finding], left: Iterable[Finding], options: argparse.Namespace) -> str:
    hidden = _fixable(left, options)[1]
    more = f" ({_counted(hidden, 'additional fix', 'es')} available with `--unsafe-fixes`)" if hidden else ""
    return f"Would fix {_listed(mended)}{more}." if mended else f"Nothing would be fixed{more}."


def _fixes_by_file(mended: Sequence[Finding], options: argparse.Namespace) -> Iterable[str]:
    from trainlint.reports.style import Style, one_line, wants_color

    style = Style(wants_color(options.color, sys.stderr))
    if mended:
        yield f"Fixed {_listed(mended)}:\n"
    for filename in dict.fromkeys(finding.filename for finding in mended):
        yield f"- {style.paint(one_line(filename), 'bold')}:\n"
        counts = Counter((finding.code, finding.name) for finding in mended if finding.filename == filename)
        for (code, name), count in sorted(counts.items()):
            yield f"    {count} × {code} ({name})\n"


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
        _write(pieces(_style(options, stream)), stream or sys.stdout)
        return
    try:
        with open(options.output_file, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(pieces(Style(options.color == "always")))
    except OSError as error:
        raise UsageError(f"cannot write to {options.output_file}: {error.strerror}") from error


def _summary(findings: Sequence[Finding], files: int, more: str = "") -> str:
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


def _described(settings: Settings) -> str:
    """The settings in force, in the syntax of a settings file where that can be."""
    from trainlint.checks import catalogue

    infos = catalogue()
    enabled = enabled_codes(settings.selections, infos)
    lines = [
        f"# {settings.source or 'No settings file'}, and the command line",
        f"fix = {json.dumps(settings.fix)}",
        f"unsafe-fixes = {json.dumps(settings.unsafe_fixes)}",
        f"output-format = {json.dumps(settings.output_format)}",
        f"respect-gitignore = {json.dumps(settings.respect_gitignore)}",
        f"force-exclude = {json.dumps(settings.force_exclude)}",
        f"exclude = {json.dumps([line for patterns in settings.exclude for line in patterns.lines])}",
        "select = [",
        *(f'    "{info.code}",  # {info.name}' for info in infos if info.code in enabled),
        "]",
        "[per-file-ignores]",
        *(
            f"{json.dumps(patterns.lines[0])} = {json.dumps(selectors)}"
            for patterns, selectors in settings.per_file_ignores
        ),
    ]
    return "\n".join(lines) + "\n"


# --- trainlint rule, trainlint rules ----------------------------------------------------------------------------------


def _rule(options: argparse.Namespace) -> int:
    from trainlint.checks import catalogue
    from trainlint.pages import page

    infos = catalogue()
    info = next((info for info in infos if options.rule.lower() in (info.code.lower(), info.name)), None)
    if info is None:
        raise UsageError(unknown_rule(options.rule, infos))
    text = page(info.code) or f"# {info.code} {info.name}\n\n{info.summary}\n"
    if not _style(options).color:
        _write([text], sys.stdout)
        return CLEAN
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True)
    with console.capture() as capture:
        console.print(Markdown(text))
    _write([capture.get()], sys.stdout)
    return CLEAN


def _rules(options: argparse.Namespace) -> int:
    from trainlint.checks import catalogue

    infos = catalogue()
    if options.output_format == "json":
        keys = ("code", "name", "summary", "severity", "default", "fix")
        _write([json.dumps([{key: getattr(info, key) for key in keys} for info in infos], indent=2), "\n"], sys.stdout)
        return CLEAN
    style = _style(options)
    columns = os.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    name_width = max(len(info.name) for info in infos)
    lines = []
    for info in infos:
        state = "on" if info.default else "opt-in"
        before = f"{info.name:<{name_width}}  {info.severity.value:<7}  {state:<6}  {info.fix or '-':<6}  "
        room = max(20, columns - len(info.code) - 2 - len(before))
        summary = info.summary if len(info.summary) <= room else info.summary[: room - 1] + "…"
        lines.append(f"{style.paint(info.code, info.severity.value)}  {before}{summary}\n")
    _write(lines, sys.stdout)
    return CLEAN


def _style(options: argparse.Namespace, stream: TextIO | None = None) -> Style:
    from trainlint.reports.style import Style, wants_color

    return Style(wants_color(options.color, stream or sys.stdout))


def _write(pieces: Iterable[AnyStr], stream: IO[AnyStr]) -> None:
    """Write to a stream; if nobody reads any more, as with `| head`, that is no failure."""
    try:
        stream.writelines(pieces)
        stream.flush()
    except BrokenPipeError:
        # Python flushes the stream once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


COMMANDS = {"check": _check, "rule": _rule, "rules": _rules}
