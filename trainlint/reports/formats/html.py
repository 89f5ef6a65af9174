"""One page for a browser, which needs nothing else: code, traces as steps across files, and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trainlint.findings import Finding
from trainlint.reports.page import document, escaped
from trainlint.reports.page.findings import NOUNS, by_file, rules, tally
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, shown_path
from trainlint.reports.wording import counted


def render(findings: Sequence[Finding], sources: Sources, style: Style) -> Iterator[str]:
    """The page."""
    found = f"{tally(findings)} in {counted(len({finding.filename for finding in findings}), 'file')}"
    words = found if findings else "nothing was found"
    return document(f"trainlint: {words}", _body(findings, sources, words))


def _body(findings: Sequence[Finding], sources: Sources, words: str) -> Iterator[str]:
    yield (
        '<a class="skip" href="#findings">Skip to the findings</a>\n'
        f"<header>\n<h1>trainlint</h1>\n<p>{words}</p>\n</header>\n"
    )
    if findings:
        yield _filters(findings)
    yield '<main id="findings" tabindex="-1">\n'
    yield from by_file(findings, sources)
    yield '<p id="none" hidden>No finding passes the filters.</p>\n</main>\n'
    yield from rules(findings)


def _filters(findings: Sequence[Finding]) -> str:
    """The form, which the script shows: without it, it would do nothing."""
    severities = Counter(finding.severity for finding in findings)
    boxes = "".join(
        f'<label class="{severity.value}"><input type="checkbox" name="severity" value="{severity.value}" checked> '
        f"{counted(severities[severity], noun)}</label>\n"
        for severity, noun in NOUNS.items()
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
        f'<option value="{escaped(value)}">{escaped(value)} ({count})</option>\n'
        for value, count in sorted(counts.items())
    )
    return (
        f'<label>{label} <select name="{name}">\n<option value="">{everything}</option>\n{options}</select></label>\n'
    )
