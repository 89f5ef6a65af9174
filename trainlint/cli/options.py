"""The options that several commands have, each with the same meaning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from trainlint.config import SEVERITIES
from trainlint.reports import OUTPUT_FORMATS

Group = argparse._ActionsContainer


def rule_options(parser: argparse.ArgumentParser, title: str = "rules", verb: str = "run") -> Group:
    """Add those that choose rules, in a group of their own."""
    group = parser.add_argument_group(title, "given by code, beginning of codes, name, or ALL; separated by commas")
    group.add_argument("--select", metavar="RULES", action="append", help=f"{verb} these instead of the default ones")
    group.add_argument("--extend-select", metavar="RULES", action="append", default=[], help=f"{verb} these as well")
    group.add_argument("--ignore", metavar="RULES", action="append", default=[], help=f"do not {verb} these")
    return group


def settings_options(group: Group) -> None:
    """Add those that choose the settings file."""
    group.add_argument("--config", metavar="FILE", type=Path, help="use this settings file and no other")
    group.add_argument("--isolated", action="store_true", help="use no settings file")


def output_options(
    group: Group,
    formats: str = "as of `check`",
    fail_on: str = "exit with 1 only if something so severe was found",
    file: Callable[[str], Path] = Path,
    threshold: str | None = None,
) -> None:
    """Add those that say how findings are told, in which file, and what is severe enough to fail."""
    group.add_argument("--output-format", metavar="FORMAT", choices=OUTPUT_FORMATS, help=formats)
    group.add_argument("--output-file", metavar="FILE", type=file, help="write findings to this file")
    group.add_argument("--fail-on", choices=SEVERITIES, default=threshold, help=fail_on)
    group.add_argument("-q", "--quiet", action="store_true", help="print findings and errors only")
    color_option(group)


def color_option(group: Group) -> None:
    """Add `--color`."""
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="when to use colour")


def positive(text: str) -> int:
    """A number of things. Raises ArgumentTypeError if it is less than 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def above_zero(text: str) -> float:
    """A quantity. Raises ArgumentTypeError if it is not positive."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return number
