"""The one way in which reading a file can fail."""

from __future__ import annotations

from trainlint.findings import Span

START = Span(1, 1, 1, 1)


class Unreadable(Exception):
    """A file that cannot be read, decoded or parsed: what is wrong with it, and where.

    In a notebook `cell` is the number of the code cell (from 1) and the span counts within that cell.
    """

    def __init__(self, message: str, span: Span = START, cell: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.cell = cell
