"""`trainlint run`: a training script, watched."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainlint.cli.output import color_argument
from trainlint.config import SEVERITIES, UsageError
from trainlint.reports import OUTPUT_FORMATS

DESCRIPTION = """\
Run a training script, watch its tensors, and report what keeps it from learning.

The script runs as it would under `python`. What is found is printed when it ends, on the standard error.
Exit status: that of the script; with --fail-on, 1 if something was found and the script itself succeeded.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("-m", dest="is_module", action="store_true", help="SCRIPT is the name of a module")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="SCRIPT [ARGS...]", help="what to run")

    watch = parser.add_argument_group("what is watched")
    watch.add_argument("--every", metavar="N", type=_positive, help="look at one step of N, after the first ones")
    watch.add_argument("--max-steps", metavar="N", type=_positive, help="watch the first N steps only")

    rules = parser.add_argument_group("rules", "given by code, beginning of codes, name, or ALL; separated by commas")
    rules.add_argument("--select", metavar="RULES", action="append", help="run these instead of the default ones")
    rules.add_argument("--extend-select", metavar="RULES", action="append", default=[], help="run these as well")
    rules.add_argument("--ignore", metavar="RULES", action="append", default=[], help="do not run these")
    rules.add_argument("--config", metavar="FILE", type=Path, help="use this settings file and no other")
    rules.add_argument("--isolated", action="store_true", help="use no settings file")

    known = parser.add_argument_group("known findings")
    known.add_argument(
        "--baseline", metavar="FILE", type=_file, help="do not report the findings that this file counts"
    )
    known.add_argument("--write-baseline", action="store_true", help="write what is found to the baseline")

    output = parser.add_argument_group("output")
    output.add_argument(
        "--output-format",
        metavar="FORMAT",
        choices=OUTPUT_FORMATS,
        help="as of `check`; `json` is a record for `check --with-run`",
    )
    output.add_argument("--output-file", metavar="FILE", type=_file, help="write findings to this file")
    output.add_argument("--report", metavar="FILE", type=_file, help="write a page with what was measured")
    output.add_argument("--fail-on", choices=SEVERITIES, help="exit with 1 if something so severe was found")
    output.add_argument("-q", "--quiet", action="store_true", help="print findings and errors only")
    color_argument(output)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _file(text: str) -> Path:
    """A file, whatever folder the script goes to."""
    return Path(text).absolute()


def run(options: argparse.Namespace) -> int:
    """Run the script, report, and leave as it does."""
    if not options.program:
        raise UsageError("SCRIPT is missing")
    if options.config is not None and options.isolated:
        raise UsageError("--config and --isolated exclude each other")
    from trainlint.runtime.launcher import launch

    return launch(options)
