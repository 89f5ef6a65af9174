"""`trainlint clean`: removes the results of earlier runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trainlint.cache import remove
from trainlint.cli.output import CLEAN
from trainlint.config import Configuration, UsageError

DESCRIPTION = "Remove the results of earlier runs that the project of this folder keeps."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--cache-dir", metavar="FOLDER", type=Path, help="where they are kept, if the settings do not say"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def run(options: argparse.Namespace) -> int:
    """Remove the cache."""
    folder = options.cache_dir or Configuration().for_folder(Path.cwd()).cache
    try:
        removed = remove(folder)
    except OSError as error:
        raise UsageError(f"cannot remove {folder}: {error.strerror or error}") from error
    if not options.quiet:
        print(f"Removed {folder}" if removed else f"There is no cache at {folder}", file=sys.stderr)
    return CLEAN
