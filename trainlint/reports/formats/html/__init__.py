"""One page for a browser, which needs nothing else: code, traces as steps across files, and filters."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from itertools import count, groupby
from pathlib import Path

from trainlint import fixing
from trainlint.findings import Finding, Fix, Related, Safety, Severity, Span
from trainlint.pages import Explanation, explanation
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, position, shown_path

# Lines shown before and after a place, lines shown of one that spans many, and characters shown on either side of it.
_AROUND, _TALLEST, _WIDEST = 2, 8, 200

_NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "remark"}


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """The page, whose text is escaped and whose policy lets nothing run or load but its own script and style."""
    page_style, script = (Path(__file__).with_name(name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(page_style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>trainlint: {_tally(findings)}</title>\n<style>{page_style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#findings">Skip to the findings</a>\n'
        f"<header>\n<h1>trainlint</h1>\n<p>{_tally(findings)}</p>\n</header>\n"
    )
    if findings:
        yield _filters(findings)
    yield '<main id="findings" tabindex="-1">\n'
    numbers = count(1)
    pages = {code: explanation(code) for code in sorted({finding.code for finding in findings})}
    explained = {code: page for code, page in pages.items() if page is not None}
    for filename, group in groupby(findings, key=lambda finding: finding.filename):
        in_file = list(group)
        path = _text(shown_path(filename))
        yield f'<section>\n<h2>{path} <span class="count">{len(in_file)}</span></h2>\n'
        for finding in in_file:
            yield _article(finding, next(numbers), finding.code in explained, sources)
        yield "</section>\n"
    yield '<p id="none" hidden>No finding passes the filters.</p>\n</main>\n'
    if explained:
        yield from _rules(findings, explained)
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _tally(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing was found"
    counts = Counter(finding.severity for finding in findings)
    kinds = ", ".join(_counted(counts[severity], noun) for severity, noun in _NOUNS.items() if counts[severity])
    return f"{kinds} in {_counted(len({finding.filename for finding in findings}), 'file')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- Filters ----------------------------------------------------------------------------------------------------------


def _filters(findings: Sequence[Finding]) -> str:
    """The form, which the script shows: without it, it would do nothing."""
    severities = Counter(finding.severity for finding in findings)
    boxes = "".join(
        f'<label class="{severity.value}"><input type="checkbox" name="severity" value="{severity.value}" checked> '
        f"{_counted(severities[severity], noun)}</label>\n"
        for severity, noun in _NOUNS.items()
        if severities[severity]
    )
    rules = Counter(f"{finding.code} {finding.name}" for finding in findings)
    files = Counter(shown_path(finding.filename) for finding in findings)
    return (
        '<form id="filters" hidden>\n'
        f"<fieldset>\n<legend>Severity</legend>\n{boxes}</fieldset>\n"
        f"{_choice('rule', 'Rule', 'All rules', rules)}{_choice('file', 'File', 'All files', files)}"
        '<label>Text <input type="search" name="text" placeholder="press / to search"></label>\n'
        '<button type="reset">Reset</button>\n<output aria-live="polite"></output>\n'
        '<p class="keys"><kbd>j</kbd> next <kbd>k</kbd> previous</p>\n</form>\n'
    )


def _choice(name: str, label: str, everything: str, counts: Counter[str]) -> str:
    options = "".join(
        f'<option value="{_text(value)}">{_text(value)} ({count})</option>\n' for value, count in sorted(counts.items())
    )
    return (
        f'<label>{label} <select name="{name}">\n<option value="">{everything}</option>\n{options}</select></label>\n'
    )


# --- Findings ---------------------------------------------------------------------------------------------------------


def _article(finding: Finding, number: int, explained: bool, sources: Sources) -> str:
    code = _text(finding.code)
    rule = f'<a href="#{code}">{code}</a>' if explained else code
    where = position(finding.cell, finding.span).lstrip(":")
    severity = finding.severity.value
    steps: list[Finding | Related] = [*finding.related, finding]
    trace = "".join(_step(step, step is finding, finding.filename, sources) for step in steps)
    return (
        f'<article id="f{number}" tabindex="-1" class="{severity}" data-severity="{severity}"'
        f' data-rule="{_text(f"{finding.code} {finding.name}")}" data-file="{_text(shown_path(finding.filename))}">\n'
        f"<h3>{_prose(finding.message)}</h3>\n"
        f'<p class="about"><span class="severity">{severity}</span> '
        f"{rule} {_text(finding.name)}"
        f'<a class="place" href="#f{number}">{where or "the file"}</a></p>\n'
        f'<ol class="trace{"" if finding.related else " alone"}">\n{trace}</ol>\n'
        f"{'' if finding.fix is None else _fix(finding.fix, sources)}</article>\n"
    )


def _step(step: Finding | Related, last: bool, filename: str, sources: Sources) -> str:
    frame = _frame(step, sources)
    if last and not frame:
        return ""
    path = _text(shown_path(step.filename)) + position(step.cell, step.span)
    away = " elsewhere" if step.filename != filename else ""
    what = "" if last else _prose(step.message)
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
        return f'<span class="line" data-number="{number}">{_text(_cut(line, _WIDEST * 2))}\n</span>'
    if number > span.line:
        start = len(line) - len(line.lstrip())
    before, marked, after = line[:start], line[start:end], line[max(start, end) :]
    before = ("…" if len(before) > _WIDEST else "") + before[-_WIDEST:]
    return (
        f'<span class="line hit" data-number="{number}">{_text(before)}'
        f"<mark>{_text(_cut(marked, _WIDEST))}</mark>{_text(_cut(after, _WIDEST))}\n</span>"
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _fix(fix: Fix, sources: Sources) -> str:
    """What a fix does in words, and if the files can be had, as a difference to unfold."""
    unsafe = " (unsafe: read the change before you keep it)" if fix.safety is Safety.UNSAFE else ""
    words = f"<strong>Fix</strong> {_prose(fix.message)}{unsafe}"
    change = fixing.preview(fix, sources.text)
    if change is None:
        return f'<p class="fix">{words}</p>\n'
    kinds = {"+": "added", "-": "removed"}
    lines = [(kinds.get(line[:1], ""), _cut(line, _WIDEST * 2)) for line in change.removesuffix("\n").split("\n")]
    shown = "".join(f'<span class="line {kind}">{_text(line)}\n</span>' for kind, line in lines)
    frame = f'<pre class="frame"><code>{shown}</code></pre>'
    return f'<details class="fix">\n<summary>{words}</summary>\n{frame}\n</details>\n'


# --- Rules ------------------------------------------------------------------------------------------------------------


def _rules(findings: Iterable[Finding], explained: Mapping[str, Explanation]) -> Iterator[str]:
    """What the pages say of the rules that spoke."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    names = {finding.code: finding.name for finding in findings}
    yield '<section id="rules">\n<h2>The rules</h2>\n'
    for code, found in explained.items():
        heading = f"<summary><strong>{_text(code)}</strong> {_text(names[code])}</summary>"
        yield f'<details id="{_text(code)}">\n{heading}\n{markdown.render(found.as_markdown())}</details>\n'
    yield "</section>\n"


# --- Text -------------------------------------------------------------------------------------------------------------


def _prose(text: str) -> str:
    """A message, in which backticks are for code."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{_text(part)}</code>" if number % 2 else _text(part) for number, part in enumerate(parts))


def _text(text: str) -> str:
    """Text that is nothing but text: markup escaped, and what could hide or reorder it shown as an escape."""
    return escape(text if text.isprintable() else "".join(map(_visible, text)))


def _visible(char: str) -> str:
    hidden = char != "\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return char.encode("unicode_escape").decode("ascii") if hidden else char
