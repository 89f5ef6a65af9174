"""What all commands share: exit statuses, colour, and how to write."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, AnyStr, TextIO

if TYPE_CHECKING:
    from trainlint.reports.style import Style

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130


def style_of(options: argparse.Namespace, stream: TextIO | None = None) -> Style:
    """How to paint what goes to a stream, the standard output if none is given."""
    from trainlint.reports.style import Style, wants_color

    return Style(wants_color(options.color, stream or sys.stdout))


def write(pieces: Iterable[AnyStr], stream: IO[AnyStr]) -> None:
    """Write to a stream; if nobody reads any more, as with `| head`, that is no failure."""
    try:
        stream.writelines(pieces)
        stream.flush()
    except BrokenPipeError:
        # Python flushes the stream once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
