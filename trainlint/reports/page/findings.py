"""Findings on a page: code, traces as steps across files, and what the rules say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, groupby

from trainlint import fixing
from trainlint.findings import Finding, Fix, Related, Safety, Severity, Span
from trainlint.pages import Explanation, explanation
from trainlint.reports.page import escaped, prose
from trainlint.reports.sources import Sources
from trainlint.reports.style import position, remark, shown_path
from trainlint.reports.wording import counted

# Lines shown before and after a place, lines shown of one that spans many, and characters shown on either side of it.
_AROUND, _TALLEST, _WIDEST = 2, 8, 200

NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "remark"}


def tally(findings: Sequence[Finding]) -> str:
    """How many there are of each severity, in words."""
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(counted(counts[severity], noun) for severity, noun in NOUNS.items() if counts[severity])


def by_file(findings: Sequence[Finding], sources: Sources) -> Iterator[str]:
    """A section for each file, an article for each finding, linked to the rules (`rules`)."""
    numbers = count(1)
    explained = _explanations(findings)
    for filename, group in groupby(findings, key=lambda finding: finding.filename):
        in_file = list(group)
        path = escaped(shown_path(filename))
        yield f'<section>\n<h2 class="path">{path} <span class="count">{len(in_file)}</span></h2>\n'
        for finding in in_file:
            yield _article(finding, next(numbers), finding.code in explained, sources)
        yield "</section>\n"


def rules(findings: Sequence[Finding]) -> Iterator[str]:
    """What the pages say of the rules that spoke."""
    explained = _explanations(findings)
    if not explained:
        return
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    names = {finding.code: finding.name for finding in findings}
    yield '<section id="rules">\n<h2>The rules</h2>\n'
    for code, found in explained.items():
        heading = f"<summary><strong>{escaped(code)}</strong> {escaped(names[code])}</summary>"
        yield f'<details id="{escaped(code)}">\n{heading}\n{markdown.render(found.as_markdown())}</details>\n'
    yield "</section>\n"


def _explanations(findings: Sequence[Finding]) -> dict[str, Explanation]:
    pages = {code: explanation(code) for code in sorted({finding.code for finding in findings})}
    return {code: page for code, page in pages.items() if page is not None}


def _article(finding: Finding, number: int, explained: bool, sources: Sources) -> str:
    code = escaped(finding.code)
    rule = f'<a href="#{code}">{code}</a>' if explained else code
    where = position(finding.cell, finding.span).lstrip(":")
    severity = finding.severity.value
    steps: list[Finding | Related] = [*finding.related, finding]
    trace = "".join(_step(step, step is finding, finding.filename, sources) for step in steps)
    return (
        f'<article id="f{number}" tabindex="-1" class="{severity}" data-severity="{severity}"'
        f' data-rule="{escaped(f"{finding.code} {finding.name}")}"'
        f' data-file="{escaped(shown_path(finding.filename))}">\n'
        f"<h3>{prose(finding.message)}</h3>\n"
        f'<p class="about"><span class="severity">{severity}</span> '
        f"{rule} {escaped(finding.name)}{_badge(finding)}"
        f'<a class="place" href="#f{number}">{where or "the file"}</a></p>\n'
        f'<ol class="trace{"" if finding.related else " alone"}">\n{trace}</ol>\n'
        f"{'' if finding.fix is None else _fix(finding.fix, sources)}</article>\n"
    )


def _badge(finding: Finding) -> str:
    """What is known of a finding from the other side, a run or the source."""
    told = remark(finding)
    kind = "" if finding.run is None else f" {finding.run.value.replace(' ', '-')}"
    return f' <span class="run{kind}">{escaped(told)}</span>' if told else ""


def _step(step: Finding | Related, last: bool, filename: str, sources: Sources) -> str:
    frame = _frame(step, sources)
    if last and not frame:
        return ""
    path = escaped(shown_path(step.filename)) + position(step.cell, step.span)
    away = " elsewhere" if step.filename != filename else ""
    what = "" if last else prose(step.message)
    return f'<li><p><span class="path{away}">{path}</span> {what}</p>\n{frame}</li>\n'


def _frame(place: Finding | Related, sources: Sources) -> str:
    """The lines around a place, with the place marked; nothing if they cannot be had."""
    span = place.span
    last = min(span.end_line, span.line + _TALLEST - 1)
    after = _AROUND if last == span.end_line else 0
    numbers = range(span.line - _AROUND, last + after + 1)
    found = ((number, sources.line(place.filename, place.cell, number)) for number in numbers)
    lines = [(number, line) for number, line in found if line is not None]
    while lines and lines[-1][0] > last and not lines[-1][1].strip():
        del lines[-1]
    if not span.line or not lines:
        return ""
    shown = "".join(_line(line, number, span) for number, line in lines)
    return f'<pre class="frame"><code>{shown}</code></pre>\n'


def _line(line: str, number: int, span: Span) -> str:
    """A line with its number, and what belongs to a span marked."""
    start = 0 if number > span.line else span.column - 1
    end = len(line.rstrip()) if number < span.end_line else min(span.end_column - 1, len(line))
    if not span.line <= number <= span.end_line:
        return f'<span class="line" data-number="{number}">{escaped(_cut(line, _WIDEST * 2))}\n</span>'
    if number > span.line:
        start = len(line) - len(line.lstrip())
    before, marked, after = line[:start], line[start:end], line[max(start, end) :]
    before = ("…" if len(before) > _WIDEST else "") + before[-_WIDEST:]
    return (
        f'<span class="line hit" data-number="{number}">{escaped(before)}'
        f"<mark>{escaped(_cut(marked, _WIDEST))}</mark>{escaped(_cut(after, _WIDEST))}\n</span>"
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _fix(fix: Fix, sources: Sources) -> str:
    """What a fix does in words, and if the files can be had, as a difference to unfold."""
    unsafe = " (unsafe: read the change before you keep it)" if fix.safety is Safety.UNSAFE else ""
    words = f"<strong>Fix</strong> {prose(fix.message)}{unsafe}"
    change = fixing.preview(fix, sources.text)
    if change is None:
        return f'<p class="fix">{words}</p>\n'
    kinds = {"+": "added", "-": "removed"}
    lines = [(kinds.get(line[:1], ""), _cut(line, _WIDEST * 2)) for line in change.removesuffix("\n").split("\n")]
    shown = "".join(f'<span class="line {kind}">{escaped(line)}\n</span>' for kind, line in lines)
    frame = f'<pre class="frame"><code>{shown}</code></pre>'
    return f'<details class="fix">\n<summary>{words}</summary>\n{frame}\n</details>\n'
