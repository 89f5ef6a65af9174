"""Fixes: from edits of nodes to edits of text, and their application until nothing is left to do."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.files import replace
from trainlint.findings import Edit, Finding, Fix, Span
from trainlint.reports.style import shown_path

if TYPE_CHECKING:
    from trainlint.api import Draft
    from trainlint.syntax import SourceFile


def fix_of(draft: Draft, may_edit: Callable[[SourceFile], bool]) -> Fix | None:
    """The fix that a draft offers, in text spans; None when it offers none, or one that cannot be made."""
    if not draft.edits:
        return None
    from trainlint.syntax.editing import Editor, Unfixable

    editors: dict[int, Editor] = {}
    try:
        for edit in draft.edits:
            source = (edit.space or draft.space).source
            if source is None or not may_edit(source):
                return None
            edit.apply(editors.setdefault(id(source), Editor(source)))
    except Unfixable:
        return None
    edits: list[Edit] = []
    for editor in editors.values():
        source = editor.source
        for change in editor.changes:
            cell, span = source.map_span(editor.place(change))
            if source.notebook is not None and (cell is None or not source.notebook.is_verbatim(cell, span)):
                return None
            edits.append(Edit(source.filename, span, change.text, cell))
    return Fix(draft.fix_message, tuple(edits), draft.safety)


# --- Application ------------------------------------------------------------------------------------------------------


class Broken(Exception):
    """What came out of a fix does not parse."""


def compatible(findings: Iterable[Finding]) -> list[Finding]:
    """Those findings, first come first served, whose fixes do not get in each other's way.

    Fixes may share an edit: two losses fed by one softmax both ask for the same change."""
    taken: dict[tuple[str, int | None], set[Edit]] = defaultdict(set)
    chosen = []
    for finding in findings:
        assert finding.fix is not None
        edits = finding.fix.edits
        if any(
            edit not in taken[edit.filename, edit.cell] and _touches(edit.span, other.span)
            for edit in edits
            for other in taken[edit.filename, edit.cell]
        ):
            continue
        for edit in edits:
            taken[edit.filename, edit.cell].add(edit)
        chosen.append(finding)
    return chosen


def _touches(one: Span, other: Span) -> bool:
    return (one.line, one.column) <= (other.end_line, other.end_column) and (other.line, other.column) <= (
        one.end_line,
        one.end_column,
    )


def applied(texts: Mapping[str, str], findings: Iterable[Finding]) -> dict[str, str]:
    """The new contents of the files that the fixes of some compatible findings change; `texts` are the old ones."""
    edits: dict[str, dict[Edit, None]] = defaultdict(dict)
    for finding in findings:
        for edit in finding.fix.edits if finding.fix is not None else ():
            edits[edit.filename][edit] = None
    return {filename: edited(filename, texts[filename], list(wanted)) for filename, wanted in edits.items()}


def edited(filename: str, text: str, edits: Sequence[Edit]) -> str:
    """A file's contents with edits applied that do not overlap."""
    if not filename.endswith(".ipynb"):
        return _replaced(text, edits)
    from trainlint.syntax.notebook import Notebook, rewrite

    cells: dict[int, list[Edit]] = defaultdict(list)
    for edit in edits:
        cells[edit.cell or 0].append(edit)
    sources = Notebook.read(text).sources
    return rewrite(text, {number: _replaced(sources[number - 1], wanted) for number, wanted in cells.items()})


def _replaced(text: str, edits: Sequence[Edit]) -> str:
    from trainlint.syntax.positions import line_starts

    starts = [*line_starts(text), len(text)]

    def offset(line: int, column: int) -> int:
        return min(starts[min(line, len(starts)) - 1] + column - 1, len(text))

    changes = [
        (offset(edit.span.line, edit.span.column), offset(edit.span.end_line, edit.span.end_column), edit.replacement)
        for edit in edits
    ]
    # An insertion goes before what is replaced from there on, and before a later insertion at the same place.
    changes.sort(key=lambda change: change[:2])
    for start, end, new in reversed(changes):
        text = text[:start] + new + text[end:]
    return text


def preview(fix: Fix, text_of: Callable[[str, int | None], str | None]) -> str | None:
    """What a fix changes, as a unified diff; None if `text_of` lacks one of the files, or cells, that it edits."""
    edits: dict[tuple[str, int | None], list[Edit]] = defaultdict(list)
    for edit in fix.edits:
        edits[edit.filename, edit.cell].append(edit)
    shown = []
    for (filename, cell), wanted in edits.items():
        text = text_of(filename, cell)
        if text is None:
            return None
        name = shown_path(filename) if cell is None else f"{shown_path(filename)}:cell {cell}"
        shown.append(_unified(name, text, _replaced(text, wanted)))
    return "".join(shown)


def verify(path: Path, filename: str, old: str, new: str) -> None:
    """Raise `Broken` if the new contents of a file do not parse as well as the old ones did."""
    from trainlint.syntax import Unreadable, load

    try:
        problems = len(load(path, filename, new).problems)
        if problems and problems > len(load(path, filename, old).problems):
            raise Broken
    except Unreadable as error:
        raise Broken from error


def write(path: Path, old: str, new: str) -> None:
    """Replace the contents of a file at once or not at all; encoding and mode stay, and what links to it."""
    from trainlint.syntax import decode

    text, encoding = decode(path.read_bytes())
    if text != old:
        raise OSError("it was changed in the meantime")
    replace(path, new.encode(encoding))


def difference(filename: str, old: str, new: str) -> str:
    """A unified diff of a file's contents; of a notebook, one for each cell."""
    if not filename.endswith(".ipynb"):
        return _unified(filename, old, new)
    from trainlint.syntax.notebook import Notebook

    cells = zip(Notebook.read(old).sources, Notebook.read(new).sources, strict=True)
    return "".join(_unified(f"{filename}:cell {number}", *texts) for number, texts in enumerate(cells, 1))


def _unified(name: str, old: str, new: str) -> str:
    before, after = (_LINES.findall(text) for text in (old, new))
    shown = []
    for line in difflib.unified_diff(before, after, fromfile=name, tofile=name):
        shown.append(line)
        if not line.endswith("\n"):
            shown.append("\n" if name.rpartition(":")[2].startswith("cell ") else "\n\\ No newline at end of file\n")
    return "".join(shown)


# Lines with their ends; lone carriage returns are left in them, since `diff` and `patch` know line feeds only.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
