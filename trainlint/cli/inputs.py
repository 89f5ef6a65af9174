"""What a check is asked to read: files and folders, or the standard input."""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.config import Configuration, UsageError

if TYPE_CHECKING:
    from trainlint.cache import Cache
    from trainlint.discovery import Target


@dataclass
class Inputs:
    """The files to check, and the contents, by file name, of the one that is not read from the disk; what earlier runs
    found, and how many processes may work."""

    targets: Sequence[Target]
    texts: dict[str, str] = field(default_factory=dict)
    encoding: str = ""
    cache: Cache | None = None
    jobs: int | None = 1


def inputs(options: argparse.Namespace, configuration: Configuration) -> Inputs:
    """Find the files that the command line names, or read the standard input."""
    if "-" in options.paths or (options.stdin_filename and not options.paths):
        return _standard_input(options, configuration)
    from trainlint.discovery import discover

    targets = discover(options.paths or ["."], configuration)
    if not targets and not options.quiet:
        print(f"trainlint: no Python files or notebooks found in {' '.join(options.paths) or '.'}", file=sys.stderr)
    return Inputs(targets)


def _standard_input(options: argparse.Namespace, configuration: Configuration) -> Inputs:
    if len(options.paths) > 1:
        raise UsageError("`-`, the standard input, cannot be checked together with files")
    from trainlint.discovery import Target, is_excluded

    name = options.stdin_filename or "-"
    path = Path(name).absolute()
    settings = configuration.for_folder(path.parent)
    text, encoding = _decoded(sys.stdin.buffer.read())
    left_out = settings.force_exclude and is_excluded(str(path), settings)
    return Inputs([] if left_out else [Target(path, name, settings)], {name: text}, encoding)


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
