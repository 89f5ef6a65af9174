"""What every door of trainlint hands out: plain, immutable, picklable data.

Lines count from 1. Columns count from 1, in characters (not bytes), as flake8 and ruff print them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Severity(str, Enum):
    """How sure and how grave: an error breaks training, a warning usually harms it."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Safety(str, Enum):
    """Whether a fix may be applied unread: a safe one does what the code was surely meant to do, and nothing else."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class Judgement(str, Enum):
    """What a recorded run says of a finding in the source: it shows the mistake, it ran the line and all was well, it
    did not run the line, or it does not tell."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    NOT_REACHED = "not reached"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of text: `line:column` up to, not including, `end_line:end_column`.

    `NOWHERE`, with the line 0, stands for a file as a whole: a record of a run has no lines, and what a run shows may
    belong to no line of code."""

    line: int
    column: int
    end_line: int
    end_column: int


NOWHERE = Span(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains a finding, such as where a value became wrong."""

    filename: str
    span: Span
    message: str
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of a span by `replacement`; an empty span inserts. In a notebook the span is within a cell."""

    filename: str
    span: Span
    replacement: str
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """A set of edits, to one or several files, that belong together."""

    message: str
    edits: tuple[Edit, ...]
    safety: Safety = Safety.SAFE


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake at one place.

    `filename` is the path as the user gave it (or found below a folder that the user gave), whether it is source or
    a record of a run.
    In a notebook `cell` is the number of the code cell (from 1) and lines count within that cell.
    """

    code: str
    name: str
    message: str
    severity: Severity
    filename: str
    span: Span
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    cell: int | None = None
    # What a run says of it, if one was asked; and the rules that find the same from the other side: of a finding in the
    # source the rules of the run that confirm it, of a run's finding the rules on source that it confirms.
    run: Judgement | None = None
    counterparts: tuple[str, ...] = ()
    # Where suppression comments for this finding may stand: first and last line of the logical line.
    statement_lines: tuple[int, int] = field(default=(0, 0), compare=False)
    on_request: bool = field(default=False, compare=False)  # told only where its rule is selected by name

    @property
    def sort_key(self) -> tuple[str, int, int, int, str]:
        """Order of printing: by file, then by place, then by code."""
        return (self.filename, self.cell or 0, self.span.line, self.span.column, self.code)
