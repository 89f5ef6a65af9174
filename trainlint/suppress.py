"""Suppression comments: which there are, what they hide, and which of them hide nothing.

    loss = f(x)  # noqa                            every finding on this statement
    loss = f(x)  # noqa: TL101, E501               these codes, or codes that begin so; the others are not ours
    loss = f(x)  # trainlint: ignore[TL101] why    codes, beginnings of codes or rule names; without brackets, all
    # trainlint: ignore-file[TL101]                the same for the whole file
    # flake8: noqa                                 likewise

A comment counts on every line of the statement that it stands in. A `trainlint: ignore` on a line of its own also
counts for the statement that follows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainlint.config import OWN_FAILURE, UNUSED_SUPPRESSION, unknown_rule
from trainlint.findings import Finding, Severity, Span
from trainlint.syntax.nesting import LITERAL
from trainlint.syntax.positions import line_starts

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

# Strings are matched only to step over the comment signs in them.
_LITERAL = re.compile(LITERAL, re.DOTALL)
_CODES = r"[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*"
_NOQA = re.compile(rf"\#\s*(?P<flake8>flake8\s*[:=]\s*)?noqa(?![\w-])(?:\s*:\s*(?P<codes>{_CODES}))?", re.IGNORECASE)
_IGNORE = re.compile(
    r"\#\s*trainlint\s*:\s*ignore(?P<file>-file)?(?![\w-])\s*(?:\[(?P<codes>[^\]]*)\])?", re.IGNORECASE
)
_MARKER = re.compile(r"noqa|trainlint\s*:", re.IGNORECASE)
_SEPARATOR = re.compile(r"[,\s]+")

# In place of a list of codes: every code begins with it.
EVERYTHING = ("",)


@dataclass(slots=True)
class Directive:
    """What one suppression comment asks for."""

    span: Span
    # Codes, beginnings of codes, or names.
    selectors: tuple[str, ...]
    # The lines that it counts on; None for the whole file.
    lines: tuple[int, ...] | None
    # Whether it is a comment of trainlint's own, and not one shared with other linters.
    is_own: bool
    used: set[str] = field(default_factory=set)

    def hides(self, finding: Finding) -> bool:
        """Whether it hides the finding; takes note if so."""
        first, last = finding.statement_lines
        if not first:
            first = last = finding.span.line
        if self.lines is not None and not any(first <= line <= last for line in self.lines):
            return False
        matching = {selector for selector in self.selectors if _matches(selector, finding.code, finding.name)}
        if finding.code == UNUSED_SUPPRESSION:
            # Otherwise a comment that is of no use would hide that it is of no use.
            matching = {selector for selector in matching if _names(selector, finding.code, finding.name)}
        self.used |= matching
        return bool(matching)


def directives(text: str) -> list[Directive]:
    """The suppression comments in a Python text."""
    if not _MARKER.search(text):
        return []
    starts = line_starts(text)
    found = []
    for token in _LITERAL.finditer(text):
        comment = token[0]
        if not comment.startswith("#") or not _MARKER.search(comment):
            continue
        line = bisect_right(starts, token.start())
        start = starts[line - 1]
        for kind in (_NOQA, _IGNORE):
            for match in kind.finditer(comment):
                column = token.start() + match.start() - start + 1
                span = Span(line, column, line, column + len(match[0].rstrip()))
                is_own = kind is _IGNORE
                lines: tuple[int, ...] | None = (line,)
                if (match["file"] if is_own else match["flake8"]) is not None:
                    lines = None
                elif is_own and not text[start : token.start()].strip():
                    lines = (line, _next_code_line(text, starts, line))
                selectors = tuple(filter(None, _SEPARATOR.split(match["codes"] or ""))) or EVERYTHING
                found.append(Directive(span, selectors, lines, is_own))
    return found


def code_lists(comment: str) -> Iterator[tuple[int, str]]:
    """The lists of codes of `noqa` in a comment, each with the offset of its end; those for the whole file left out."""
    for match in _NOQA.finditer(comment):
        if match["codes"] and not match["flake8"]:
            yield match.end("codes"), match["codes"]


def _next_code_line(text: str, starts: Sequence[int], line: int) -> int:
    """The number of the first line after `line` that holds more than space and a comment."""
    for number in range(line, len(starts)):
        end = starts[number + 1] if number + 1 < len(starts) else len(text)
        code = text[starts[number] : end].lstrip()
        if code and not code.startswith("#"):
            return number + 1
    return line


def visible(findings: Sequence[Finding], all_directives: Sequence[Directive]) -> list[Finding]:
    """The findings in one file that no suppression comment hides. Our own failures cannot be hidden."""
    shown = []
    for finding in findings:
        # Ask every comment, not only the first that fits, so that none counts as unused because of another.
        hiding = [directive for directive in all_directives if directive.hides(finding)]
        if finding.code == OWN_FAILURE or not hiding:
            shown.append(finding)
    return shown


def unused(
    all_directives: Sequence[Directive], filename: str, enabled: frozenset[str], catalogue: Sequence[RuleInfo]
) -> Iterator[Finding]:
    """A finding for each suppression that hid nothing, where the rules it names did run in this file."""
    own = next(info for info in catalogue if info.code == UNUSED_SUPPRESSION)
    for directive in all_directives:
        where = "in this file" if directive.lines is None else "here"
        for selector in directive.selectors:
            if selector in directive.used or _names(selector, own.code, own.name):
                continue
            if not (selector or directive.is_own):
                continue  # everybody's
            named = [info for info in catalogue if _matches(selector, info.code, info.name)]
            if named:
                expected = [info.code for info in named if info.default or len(named) == 1]
                if not expected or not enabled.issuperset(expected):
                    continue
                message = f"unused suppression: {f'{selector} is not' if selector else 'nothing is'} reported {where}"
            elif selector.upper().startswith("TL") or (directive.is_own and not _RUNTIME_CODE.match(selector)):
                message = f"{unknown_rule(selector, catalogue)} (in a suppression comment)"
            else:
                continue  # another linter's code
            lines = (directive.span.line, directive.span.line)
            yield Finding(
                own.code, own.name, message, Severity(own.severity), filename, directive.span, statement_lines=lines
            )


# Codes of the other doors, which a check of the source neither knows nor uses up.
_RUNTIME_CODE = re.compile(r"T[RC]\d*$", re.IGNORECASE)


def _matches(selector: str, code: str, name: str) -> bool:
    return code.startswith(selector.upper()) or name == selector.lower()


def _names(selector: str, code: str, name: str) -> bool:
    return selector.upper() == code or selector.lower() == name
