"""The command line: one module a command, imported when the command is given.

A command's module has its `DESCRIPTION`, its `arguments` and its `run`, which returns the exit status.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from trainlint import __version__
from trainlint.cli.output import FAILED, INTERRUPTED
from trainlint.config import UsageError

COMMANDS = {
    "check": "check files and folders",
    "run": "run a training script and watch its tensors",
    "preflight": "try a training out before it begins",
    "curves": "judge the logs of training runs",
    "rule": "explain a rule",
    "rules": "list all rules",
    "lsp": "serve an editor",
    "config": "explain the settings",
    "init": "write settings and a hook for pre-commit",
    "completion": "complete commands and options in a shell",
    "clean": "remove the results of earlier runs",
}

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
    for stream in (sys.stdout, sys.stderr) if argv[:1] != ["run"] else ():  # a script has them as they are
        # File names and code may hold what the terminal's encoding does not.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not argv or argv[0] not in (*COMMANDS, "-h", "--help", "-V", "--version"):
        argv = ["check", *argv]
    options = parser(argv[:1]).parse_args(argv)
    status: int = _module(options.command).run(options)
    return status


def parser(complete: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of those to `complete`."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("trainlint", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    top.add_argument("-V", "--version", action="version", version=f"trainlint {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=raw)
        if name in complete:
            module = _module(name)
            command.description = module.DESCRIPTION
            module.arguments(command)
    return top


def _module(command: str) -> Any:
    return import_module(f"trainlint.cli.{command}")
