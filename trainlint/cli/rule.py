"""`trainlint rule`: the page that explains a rule."""

from __future__ import annotations

import argparse
import sys

from trainlint.cli.options import color_option
from trainlint.cli.output import CLEAN, style_of, write
from trainlint.config import UsageError, unknown_rule

DESCRIPTION = "Explain a rule."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("rule", metavar="RULE", help="its code or name")
    color_option(parser)


def run(options: argparse.Namespace) -> int:
    """Print the page."""
    from trainlint.checks import catalogue
    from trainlint.pages import curve_rules, page, runtime_rules

    infos = [*catalogue(), *runtime_rules(), *curve_rules()]
    info = next((info for info in infos if options.rule.lower() in (info.code.lower(), info.name)), None)
    if info is None:
        raise UsageError(unknown_rule(options.rule, infos))
    text = page(info.code) or f"# {info.code} {info.name}\n\n{info.summary}\n"
    if not style_of(options).color:
        write([text], sys.stdout)
        return CLEAN
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True)
    with console.capture() as capture:
        console.print(Markdown(text))
    write([capture.get()], sys.stdout)
    return CLEAN
