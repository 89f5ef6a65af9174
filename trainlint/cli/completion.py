"""`trainlint completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from trainlint.cli.output import CLEAN, write

DESCRIPTION = """\
Print a script that lets a shell complete trainlint's commands and options.

  bash: trainlint completion bash > ~/.local/share/bash-completion/completions/trainlint
  zsh:  trainlint completion zsh > ~/.zfunc/_trainlint  (with `fpath+=~/.zfunc` before compinit in ~/.zshrc)
  fish: trainlint completion fish > ~/.config/fish/completions/trainlint.fish
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from trainlint.cli import parser

    top = parser()
    commands: dict[str, argparse.ArgumentParser] = next(
        action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction)
    )
    for command in commands.values():
        for action in command._actions:
            _say_what_fits(action, shtab.FILE)
    # Without a command it is `check`.
    for action in commands["check"]._actions:
        if action.option_strings and top._option_string_actions.keys().isdisjoint(action.option_strings):
            top._add_action(action)
    commands_only, files_too = _FIRST[options.shell]
    write([shtab.complete(top, options.shell).replace(commands_only, files_too)], sys.stdout)
    return CLEAN


# Where shtab completes the first word: to the names of commands, and here to files as well.
_FIRST = {
    "bash": ("complete -o bashdefault", "complete -o bashdefault -o default"),
    "zsh": ("  _describe 'trainlint commands' _commands\n", "  _describe 'trainlint commands' _commands\n  _files\n"),
    "fish": (
        "complete -c trainlint -f\n",
        "complete -c trainlint -f\ncomplete -c trainlint -n __fish_use_subcommand -F\n",
    ),
}


def _say_what_fits(action: argparse.Action, files: Any) -> None:
    """Tell shtab what can stand for an argument whose parser does not."""
    from trainlint.checks import catalogue
    from trainlint.config import SETTINGS

    if action.metavar in ("FILE", "PATH"):
        action.complete = files  # type: ignore[attr-defined]
    elif action.metavar in ("RULE", "RULES"):
        action.choices = [text for info in catalogue() for text in (info.code, info.name)]
    elif action.metavar == "KEY":
        action.choices = list(SETTINGS)
