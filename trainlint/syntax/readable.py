"""What can be read of a file that Python would not: the lines that it stumbles over, blanked out."""

from __future__ import annotations

import ast
import re
import warnings

from trainlint.syntax.positions import line_starts

# What Python 2, and PyTorch before Python 3.7, wrote; what stands in the groups goes.
_OLDER = re.compile(
    r"""^[ \t]*(?P<statement>(?:print|exec)[ \t]+(?:["'\w%`]|u["'])[^\r\n]*)"""
    r"""|^[ \t]*except[ \t]+(?:\([^()\r\n]*\)|[\w.]+)(?P<name>[ \t]*,[ \t]*\w+)(?=[ \t]*:)"""
    r"""|^[ \t]*raise[ \t]+[\w.]+(?P<message>[ \t]*,[^\r\n]*)"""
    r"""|\b(?P<word>async)(?=[ \t]*=[^=])""",
    re.MULTILINE,
)
_LONG_STRING = re.compile(r"\"{3}|'{3}")
MOST_LINES = 4  # what else may be blanked: notes that lost their `#`, commands of notebooks


def without_older(text: str) -> str:
    """The text, as long as before, without statements that only Python 2 has and the word that became a keyword."""
    return _OLDER.sub(_blanked, text)


def _blanked(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    whole = match[0]
    if group == "word":
        return f"{whole[:start]}{whole[start:end].capitalize()}{whole[end:]}"
    return f"{whole[:start]}{('pass' if group == 'statement' else '').ljust(end - start)}{whole[end:]}"


_TABS = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)


def with_spaces(text: str) -> str | None:
    """The text, as long as before, with a space for each tab that indents; None if Python, which accepts tabs where it
    does not matter how wide they are, cannot read it as it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _TABS.sub(lambda match: match[0].replace("\t", " "), text)


def without_line(text: str, number: int) -> str | None:
    """The text, as long as before, with `pass` in place of a line (from 1) that is a statement by itself; None where it
    may be more."""
    starts = [*line_starts(text), len(text)]
    begin, end = starts[number - 1 : number + 1]
    content = text[begin:end].strip()
    balanced = all(content.count(a) == content.count(b) for a, b in ("()", "[]", "{}"))
    if len(content) < len("pass") or not balanced or content[-1] in ":\\," or _LONG_STRING.search(content):
        return None
    if begin and text[:begin].rstrip("\r\n").endswith("\\"):
        return None
    begin = text.index(content, begin)
    return f"{text[:begin]}{'pass'.ljust(len(content))}{text[begin + len(content) :]}"
