"""`trainlint lsp`: the language server."""

from __future__ import annotations

import argparse
import gc

from trainlint.cli.output import CLEAN
from trainlint.config import UsageError

DESCRIPTION = "Serve an editor: speak the Language Server Protocol over the standard input and output."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--stdio", action="store_true", help="what it does anyway; some editors say so")


def run(options: argparse.Namespace) -> int:
    """Serve until the editor ends it."""
    try:
        import pygls  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "the language server needs pygls, which comes with the extra `lsp`: pip install 'trainlint[lsp]'"
        ) from error
    from trainlint.integrations.lsp.server import serve

    gc.enable()  # unlike other commands this one lives long
    serve()
    return CLEAN
