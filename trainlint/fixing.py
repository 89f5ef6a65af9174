"""Fixes: from edits of nodes to edits of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainlint.findings import Edit, Fix, Span

if TYPE_CHECKING:
    from trainlint.api import Draft
    from trainlint.syntax import SourceFile


def fix_of(draft: Draft, source: SourceFile) -> Fix | None:
    """The fix that a draft offers, in text spans; None when it offers none."""
    if not draft.edits:
        return None
    edits = []
    for edit in draft.edits:
        span = source.span(edit.node)
        if edit.where == "before":
            span = Span(span.line, span.column, span.line, span.column)
        elif edit.where == "after":
            span = Span(span.end_line, span.end_column, span.end_line, span.end_column)
        edits.append(Edit(span, edit.text))
    return Fix(draft.fix_message, tuple(edits), draft.safety)
