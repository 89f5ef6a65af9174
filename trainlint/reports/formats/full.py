"""For each finding the code, and the places that explain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainlint.findings import Finding, Safety, Span
from trainlint.reports.formats.concise import headline
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, one_line, related_line, width

# A line longer than this is shown around the place in question only.
_WIDEST = 160


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """For each finding its headline, a frame of code, a frame for each related place, and what a fix would do."""
    return (described(finding, sources, style) + "\n" for finding in findings)


def described(finding: Finding, sources: Sources, style: Style) -> str:
    """All that there is to say about a finding, as lines."""
    return "".join(_lines_of(finding, sources, style))


def _lines_of(finding: Finding, sources: Sources, style: Style) -> Iterator[str]:
    margin = max(len(str(span.line)) for span in (finding.span, *(related.span for related in finding.related)))
    yield headline(finding, style) + "\n"
    line = sources.line(finding.filename, finding.cell, finding.span.line)
    yield from _frame(line, finding.span, "^", finding.severity.value, margin, style)
    for related in finding.related:
        yield f"{' ' * margin} {style.paint('-->', 'blue')} {related_line(related)}\n"
        line = sources.line(related.filename, related.cell, related.span.line)
        yield from _frame(line, related.span, "-", "blue", margin, style)
    if finding.fix is not None:
        unsafe = " (unsafe: read the change before you keep it)" if finding.fix.safety is Safety.UNSAFE else ""
        yield f"{' ' * margin} {style.paint('=', 'blue')} fix: {one_line(finding.fix.message)}{unsafe}\n"


def _frame(line: str | None, span: Span, mark: str, paint: str, margin: int, style: Style) -> Iterator[str]:
    """The first line of a span with its number, the span underlined."""
    if line is None:
        return
    bar = style.paint("|", "blue")
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line.rstrip())
    before, marked, after = (_flat(part) for part in (line[:start], line[start:end], line[end:]))
    if len(before) + len(marked) + len(after) > _WIDEST:
        if len(before) > _WIDEST // 2:
            before = "…" + before[-_WIDEST // 2 :]
        if len(marked) > _WIDEST // 2:
            marked, after = marked[: _WIDEST // 2] + "…", ""
        if len(after) > _WIDEST // 4:
            after = after[: _WIDEST // 4] + "…"
    underline = style.paint(mark * max(1, width(marked)), paint)
    yield f"{' ' * margin} {bar}\n"
    yield f"{style.paint(str(span.line).rjust(margin), 'blue')} {bar} {before}{marked}{after}".rstrip() + "\n"
    yield f"{' ' * margin} {bar} {' ' * width(before)}{underline}\n"


def _flat(text: str) -> str:
    """Text whose width on a terminal is known: tabs as spaces, no control characters."""
    return one_line(text.replace("\t", "    "))
