"""Where in the user's code something happens, read off the stack."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

_OWN = str(Path(__file__).resolve().parents[1]) + "/"
_LIBRARIES = tuple({sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_PACKAGES = ("/site-packages/", "/dist-packages/")


@dataclass(frozen=True, slots=True)
class Place:
    """A range of the user's code. Lines count from 1; columns from 0 and in bytes, as Python has them, or None."""

    filename: str
    line: int
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None

    @property
    def start(self) -> tuple[str, int, int | None]:
        """What tells this place from others."""
        return (self.filename, self.line, self.column)


def here() -> Place | None:
    """The innermost call on the stack that stands in the user's code; None where there is no such code."""
    frame = next(_frames(sys._getframe(1)), None)
    return None if frame is None else _place(frame.f_code, frame.f_lineno, frame.f_lasti)


def of_function(function: object) -> Place | None:
    """Where a function is defined; None of what is not written in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return None if code is None else Place(code.co_filename, code.co_firstlineno)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


@cache
def is_users(filename: str) -> bool:
    """Whether a file is neither ours nor installed."""
    path = filename.replace("\\", "/")
    if path.startswith(("<", _OWN)) or any(part in path for part in _PACKAGES):
        return False
    return not path.startswith(_LIBRARIES)


@cache
def _place(code: CodeType, line: int, instruction: int) -> Place:
    positions = getattr(code, "co_positions", None)  # from Python 3.11
    if positions is not None:
        first, last, column, end_column = next(islice(positions(), instruction // 2, None), (None,) * 4)
        if first is not None and column is not None:
            return Place(code.co_filename, first, column, last, end_column)
    return Place(code.co_filename, line)
