"""`--add-noqa`: comments that suppress findings, put where they count and change nothing else."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from trainlint.config import OWN_FAILURE, UNREADABLE
from trainlint.discovery import Target
from trainlint.findings import Edit, Finding, Span
from trainlint.fixing import Broken, edited, verify
from trainlint.suppress import code_lists
from trainlint.syntax import Notebook, Unreadable, read_text
from trainlint.syntax.nesting import LITERALS
from trainlint.syntax.positions import NEWLINE, line_starts


def silence(
    targets: Iterable[Target], findings: Iterable[Finding], texts: Mapping[str, str]
) -> tuple[list[Finding], dict[str, tuple[str, str]]]:
    """Which findings comments can suppress, and old and new contents of the files with these comments."""
    paths = {target.filename: target.path for target in targets}
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_file[finding.filename].append(finding)
    silenced: list[Finding] = []
    changes: dict[str, tuple[str, str]] = {}
    for filename, here in by_file.items():
        try:
            old = texts[filename] if filename in texts else read_text(paths[filename])
            comments = comments_for(filename, old, here)
            new = edited(filename, old, list(comments))
            verify(paths[filename], filename, old, new)
        except (Broken, Unreadable):
            continue
        if comments:
            silenced += chain.from_iterable(comments.values())
            changes[filename] = old, new
    return silenced, changes


def comments_for(filename: str, raw: str, findings: Iterable[Finding]) -> dict[Edit, list[Finding]]:
    """The edits that suppress findings in one file, and what each suppresses.

    A finding is left out if no line of its statement can carry a comment: all end in a string or in a backslash.
    """
    notebook = Notebook.read(raw) if filename.endswith(".ipynb") else None
    lines = _Lines(raw if notebook is None else notebook.text, notebook)
    by_line: dict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.code not in (UNREADABLE, OWN_FAILURE):  # what cannot be parsed, and what cannot be hidden
            line = lines.place_for(finding)
            if line is not None:
                by_line[line].append(finding)
    edits = {}
    for line, here in by_line.items():
        span, text = lines.addition(line, sorted({finding.code for finding in here}))
        cell, span = (None, span) if notebook is None else notebook.place(span)
        edits[Edit(filename, span, text, cell)] = here
    return edits


class _Lines:
    """The lines of a text: which of them can carry a comment, and which lists of codes stand there."""

    def __init__(self, text: str, notebook: Notebook | None) -> None:
        self._notebook = notebook
        self._lines = NEWLINE.split(text)
        # Lines that end within a string, or go on behind a backslash.
        self._closed: set[int] = set()
        # By line, where a list of codes ends, and the list.
        self._lists: dict[int, tuple[int, str]] = {}
        starts = line_starts(text)
        commented = set()
        for token in LITERALS.finditer(text):
            first = bisect_right(starts, token.start())
            if token[0].startswith("#"):
                commented.add(first)
                for end, codes in code_lists(token[0]):
                    self._lists[first] = (token.start() + end - starts[first - 1], codes)
            else:
                self._closed.update(range(first, bisect_right(starts, token.end() - 1)))
        self._closed.update(
            number for number, line in enumerate(self._lines, 1) if line.endswith("\\") and number not in commented
        )

    def place_for(self, finding: Finding) -> int | None:
        """The line for a comment: where one with codes is already, else where the finding is, else the next best."""
        line = finding.span.line
        if self._notebook is not None:
            line = self._notebook.line(finding.cell or 0, line) or 0
        first, last = finding.statement_lines
        statement = range(first or line, (last or line) + 1)
        order = [*range(line, statement.stop), *range(line - 1, statement.start - 1, -1)]
        open_lines = [number for number in order if number in statement and self._is_open(number)]
        return next((number for number in open_lines if number in self._lists), next(iter(open_lines), None))

    def _is_open(self, number: int) -> bool:
        return number not in self._closed and (self._notebook is None or self._is_verbatim(self._notebook, number))

    def _is_verbatim(self, notebook: Notebook, number: int) -> bool:
        """Whether a line of a notebook is Python as it stands, and no magic."""
        cell, span = notebook.place(Span(number, 1, number, 1))
        source = NEWLINE.split(notebook.sources[(cell or 1) - 1])[span.line - 1]
        return source[span.column - 1 :] == self._lines[number - 1]

    def addition(self, number: int, codes: Sequence[str]) -> tuple[Span, str]:
        """Where in the text to put codes, and what to put there."""
        if number in self._lists:
            end, present = self._lists[number]
            separator = "," if "," in present and ", " not in present else ", "
            return Span(number, end + 1, number, end + 1), "".join(separator + code for code in codes)
        line = self._lines[number - 1]
        return Span(number, len(line.rstrip()) + 1, number, len(line) + 1), f"  # noqa: {', '.join(codes)}"
