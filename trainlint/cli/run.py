"""`trainlint run`: a training script, watched."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainlint.cli.options import output_options, positive, rule_options, settings_options
from trainlint.config import UsageError

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
    watch.add_argument("--every", metavar="N", type=positive, help="look at one step of N, after the first ones")
    watch.add_argument("--max-steps", metavar="N", type=positive, help="watch the first N steps only")

    rules = rule_options(parser)
    settings_options(rules)

    known = parser.add_argument_group("known findings")
    known.add_argument(
        "--baseline", metavar="FILE", type=_file, help="do not report the findings that this file counts"
    )
    known.add_argument("--write-baseline", action="store_true", help="write what is found to the baseline")

    output = parser.add_argument_group("output")
    output_options(
        output,
        formats="as of `check`; `json` is a record for `check --with-run`",
        fail_on="exit with 1 if something so severe was found",
        file=_file,
    )
    output.add_argument("--report", metavar="FILE", type=_file, help="write a page with what was measured")


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
