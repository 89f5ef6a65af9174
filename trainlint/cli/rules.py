"""`trainlint rules`: what rules there are."""

from __future__ import annotations

import argparse
import json
import os
import sys

from trainlint.cli.options import color_option
from trainlint.cli.output import CLEAN, style_of, write

DESCRIPTION = "List all rules."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--output-format", choices=("text", "json"), default="text", help="how to print them")
    color_option(parser)


def run(options: argparse.Namespace) -> int:
    """Print one line a rule, or a list of objects."""
    from trainlint.checks import catalogue
    from trainlint.pages import curve_rules, runtime_rules

    infos = [*catalogue(), *runtime_rules(), *curve_rules()]
    if options.output_format == "json":
        keys = ("code", "name", "summary", "severity", "default", "fix")
        write([json.dumps([{key: getattr(info, key) for key in keys} for info in infos], indent=2), "\n"], sys.stdout)
        return CLEAN
    style = style_of(options)
    columns = os.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    name_width = max(len(info.name) for info in infos)
    lines = []
    for info in infos:
        state = "on" if info.default else "opt-in"
        before = f"{info.name:<{name_width}}  {info.severity.value:<7}  {state:<6}  {info.fix or '-':<6}  "
        room = max(20, columns - len(info.code) - 2 - len(before))
        summary = info.summary if len(info.summary) <= room else info.summary[: room - 1] + "…"
        lines.append(f"{style.paint(info.code, info.severity.value)}  {before}{summary}\n")
    write(lines, sys.stdout)
    return CLEAN
