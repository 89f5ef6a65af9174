"""How deeply a text is nested, before anybody parses it or walks its tree.

libcst's native parser recurses on the machine's stack, which nothing guards: a text nested too deeply ends the
process. Some of its work is also quadratic in depth, and exponential in the depth of a pattern of `match`. So depth is
measured first: roughly, by a scan that costs a fiftieth of the parse and may say too much but not too little, and
exactly where that finds too much.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Brackets in brackets. CPython's own limit is 200.
MAX_BRACKETS = 100
# Links of an expression that make its tree deep: `a + b + c`, `a.b.c`, `f()()`, `not not a`, `"a" "b"`; also `elif`.
MAX_CHAIN = 1000
# Brackets in brackets within a pattern of `case`: libcst needs two to four times as long for each.
MAX_PATTERN = 7

# Deeper trees than these are parsed, and should be walked, in a thread with more room.
_DEEP_BRACKETS = 20
_DEEP_CHAIN = 60
_ROOM = 256 * 1024 * 1024
_RECURSION_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Nesting:
    """How deep the tree of a text can be; where a limit is passed, which one and at what offset."""

    brackets: int = 0
    chain: int = 0
    problem: str = ""
    offset: int = 0

    @property
    def is_deep(self) -> bool:
        """Whether to parse and to walk the tree under `with_room`."""
        return self.brackets > _DEEP_BRACKETS or self.chain > _DEEP_CHAIN


def measure(text: str) -> Nesting:
    """Find out whether a text can be parsed and walked safely."""
    elifs = text.count("elif")
    if _has_special_forms(text):
        nesting = _measure_exactly(text)
    else:
        nesting = _estimate(text)
        if nesting.brackets > MAX_BRACKETS or nesting.chain > MAX_CHAIN:
            nesting = _measure_exactly(text)
    if elifs > nesting.chain and not nesting.problem:
        nesting = Nesting(nesting.brackets, elifs)
        if elifs > MAX_CHAIN:
            nesting = _measure_elifs(text, nesting)
    return nesting


# --- The estimate: strings and comments cut out, then brackets counted by lines ---------------------------------------

# An unclosed string ends with its line or with the text: libcst refuses the text anyway.
LITERAL = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:"""|\Z)'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:'''|\Z)"
    r'|"[^"\\\n\r]*(?:\\(?:\r\n|.)[^"\\\n\r]*)*"?'
    r"|'[^'\\\n\r]*(?:\\(?:\r\n|.)[^'\\\n\r]*)*'?"
    r"|#[^\n\r]*"
)
LITERALS = re.compile(LITERAL, re.DOTALL)
_CONTINUATION = re.compile(r"\\(?:\r\n|\n|\r)")
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"()[]{}\n")))
_LONG_LINE = 240
_LONG_STATEMENT = 1000

# What the estimate cannot judge: code within f-strings, where there may be much of it, and patterns.
_PREFIX = re.compile(r"(?<!\w)(?:[fFtT][rR]?|[rR][fFtT])\Z")
_BRACKETED = re.compile(r"[fFtT][rR]?[\"'](?:[^\n\r([{]*[([{]){15}")
_LONG = re.compile(r"[fFtT][rR]?[\"'][^\n\r]{1000}")
_TO_OPENING = bytes.maketrans(b"[{\r", b"((\n")
_NOT_OPENING = bytes(sorted(set(range(256)) - set(b"([{\n\r")))
_CASE = re.compile(r"(?:^|[\r\n])[ \t\f]*(case)\b(?![ \t]*[=.,:)])")


def _has_special_forms(text: str) -> bool:
    if "case" in text and _CASE.search(text):
        return True
    openings = text.encode("ascii", "replace").translate(_TO_OPENING, _NOT_OPENING)
    if b"(" * 15 in openings and _BRACKETED.search(text):
        return True
    if max(map(len, text.split("\n"))) > _LONG_STATEMENT and _LONG.search(text):
        return True
    return any(
        _PREFIX.search(before[-3:]) and (len(after) > _LONG_STATEMENT or sum(map(after.count, "([{")) >= 15)
        for quotes in ('"""', "'''")
        if quotes in text
        for before, after in pairwise(text.split(quotes))
    )


class _Net(dict[bytes, int]):
    """Opening minus closing brackets, by the brackets of a line: few different ones make up most lines."""

    def __missing__(self, brackets: bytes) -> int:
        opened = sum(map(brackets.count, (b"(", b"[", b"{")))
        return self.setdefault(brackets, 2 * opened - len(brackets))


def _estimate(text: str) -> Nesting:
    code = LITERALS.sub('"', text)
    if "\\" in code:
        code = _CONTINUATION.sub(" ", code)
    if "\r" in code:
        code = code.replace("\r\n", "\n").replace("\r", "\n")
    lines = code.split("\n")
    long = [line for line in lines if len(line) > _LONG_LINE]
    net = _Net()
    depth = first = deepest = 0
    signs = code.encode("ascii", "replace").translate(None, _NOT_BRACKETS).split(b"\n")
    for number, brackets in enumerate(signs):
        if brackets:
            change = net[brackets]
            if depth:
                deepest = max(deepest, depth + (len(brackets) + change) // 2)
                depth += change
                if depth <= 0:
                    depth = 0
                    long.append("\n".join(lines[first : number + 1]))
            elif change > 0:
                first = number
                depth = change
    if depth:
        long.append("\n".join(lines[first:]))
    deepest = max(deepest, 0, *((len(brackets) + change) // 2 for brackets, change in net.items()))
    longest = 0
    for statement in long:
        if len(statement) > _LONG_STATEMENT or "\n" not in statement:
            longest = max(longest, _deepest(_tokens(statement)).chain)
    return Nesting(deepest, longest)


# --- Counting exactly -------------------------------------------------------------------------------------------------

Token = tuple[str, int]

_KEYWORD = r"(?<![^\W\d])(?:lambda|for|and|or|not|if|in|is|await)\b"
_TOKEN = re.compile(rf'[()\[\]{{}},;\n\r"]|{_KEYWORD}|[-+.~]|[*/%@&|^<>!]+')
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


def _tokens(code: str) -> Iterator[Token]:
    """The tokens that matter for depth in code without comments, where each string is a single quote."""
    for match in _TOKEN.finditer(code):
        yield match[0], match.start()


def _deepest(tokens: Iterable[Token]) -> Nesting:
    """The greatest depth of brackets and of links. Each bracket has links of its own; a comma ends a chain of them."""
    links = [0]  # by open bracket
    sticky = [0]  # of these, the ones that a comma does not end: `lambda a, b=lambda c, d=0: 0: 0`
    total = brackets = chain = worst = 0
    problem = ""
    for token, offset in tokens:
        if token == ",":
            total -= links[-1] - sticky[-1]
            links[-1] = sticky[-1]
        elif token in _CLOSING:
            if len(links) > 1:
                total -= links.pop()
                sticky.pop()
        elif token in "\n\r;":
            if len(links) == 1:
                links[0] = sticky[0] = total = 0
        elif token != "case":
            total += 1
            links[-1] += 1
            if token in _OPENING:
                links.append(0)
                sticky.append(0)
                brackets = max(brackets, len(links) - 1)
                if brackets > MAX_BRACKETS and not problem:
                    problem, worst = f"brackets are nested more than {MAX_BRACKETS} deep", offset
            elif token in ("lambda", "for"):
                sticky[-1] += 1
            if total > chain:
                chain = total
                if chain > MAX_CHAIN and not problem:
                    problem, worst = f"an expression has more than {MAX_CHAIN} operations in a row", offset
    return Nesting(brackets, chain, problem, worst)


def _measure_exactly(text: str) -> Nesting:
    tokens = list(_lex(text))
    return _deep_pattern(text, tokens) or _deepest(tokens)


def _deep_pattern(text: str, tokens: list[Token]) -> Nesting | None:
    """Where a pattern of `case` is nested too deeply, if one is."""
    if "case" not in text:
        return None
    starts = {match.start(1) for match in _CASE.finditer(text)}
    depth = base = 0
    in_case = False
    for token, offset in tokens:
        if token == "case":
            if offset in starts and not in_case:
                in_case, base = True, depth
        elif token in _OPENING:
            depth += 1
            if in_case and depth - base > MAX_PATTERN:
                return Nesting(depth, 0, f"a pattern is nested more than {MAX_PATTERN} deep", offset)
        elif token in _CLOSING:
            depth = max(0, depth - 1)
        elif token in "\n\rif" and depth <= base:  # the end of the line, or a guard
            in_case = False
    return None


# In code: literals, and all tokens that matter. In the text of an f-string: what ends it, and its fields.
_CODE = re.compile(
    rf"(?P<formatted>(?<![^\W\d])(?:[fFtT][rR]?|[rR][fFtT])(?P<quote>\"\"\"|'''|[\"']))|(?P<literal>{LITERAL})"
    rf"|\\(?:\r\n|.)|{_KEYWORD}|(?<![^\W\d])case\b|[()\[\]{{}},;:\n\r]|[-+.~]|[*/%@&|^<>!]+",
    re.DOTALL,
)
_TEXT = re.compile(r"\\(?:\r\n|[^{}])|\{\{|\}\}|[{}\n\r]|\"\"\"|'''|[\"']", re.DOTALL)
_FORMAT = re.compile(r"[{}\n\r]|\"\"\"|'''|[\"']")
_IN_TEXT, _IN_FORMAT = -1, -2


def _lex(text: str) -> Iterator[Token]:
    """The tokens of a whole text. A string is a quote; an f-string is a quote, and its fields in braces behind it."""
    position = 0
    # F-strings and fields in them that are open, innermost last: the quotes, and for a field how many brackets are
    # open in it. In text and format other rules hold than in code.
    quotes: list[str] = []
    states: list[int] = []
    while True:
        in_code = not states or states[-1] >= 0
        pattern = _CODE if in_code else _TEXT if states[-1] == _IN_TEXT else _FORMAT
        match = pattern.search(text, position)
        if match is None:
            return
        token, start, position = match[0], match.start(), match.end()
        if in_code:
            if match["formatted"]:
                yield '"', start
                quotes.append(match["quote"])
                states.append(_IN_TEXT)
            elif match["literal"]:
                if token[0] != "#":
                    yield '"', start
            elif token == ":":
                if states and states[-1] == 0:
                    states[-1] = _IN_FORMAT
            elif token[0] != "\\":
                yield token, start
                if states:
                    if token in _OPENING:
                        states[-1] += 1
                    elif token == "}" and states[-1] == 0:
                        states.pop()
                        quotes.pop()
                    elif token in _CLOSING:
                        states[-1] = max(0, states[-1] - 1)
        elif token == "{":
            yield token, start
            quotes.append(quotes[-1])
            states.append(0)
        elif token == "}":
            if states[-1] == _IN_FORMAT:
                yield token, start
                states.pop()
                quotes.pop()
        elif token[0] in "\"'":
            if token.startswith(quotes[-1]):
                position = start + len(quotes[-1])
                while states.pop() != _IN_TEXT:  # a field left open: libcst refuses the text anyway
                    yield "}", start
                    quotes.pop()
                quotes.pop()
        elif token in "\n\r" and len(quotes[-1]) == 1:
            # A string that does not end: likewise.
            yield from (("}", start) for state in states if state != _IN_TEXT)
            states.clear()
            quotes.clear()
            yield token, start


_LINE = re.compile(r"(?:^|[\r\n])([ \t\f]*)(?:(elif)\b|(?=[^\s#]))")


def _measure_elifs(text: str, nesting: Nesting) -> Nesting:
    """Find a chain of too many `elif`: libcst holds each in the `orelse` of the one before."""
    runs: dict[int, int] = {}
    code = LITERALS.sub(lambda match: "" if match[0][0] == "#" else '"', text)
    for match in _LINE.finditer(code):
        indent = len(match[1])
        for deeper in [other for other in runs if other > indent]:
            del runs[deeper]
        if match[2]:
            runs[indent] = runs.get(indent, 0) + 1
            if runs[indent] > MAX_CHAIN:
                problem = f"an `if` has more than {MAX_CHAIN} branches"
                return Nesting(nesting.brackets, runs[indent], problem, text.find("elif"))
        else:
            runs.pop(indent, None)
    return nesting


# --- Room -------------------------------------------------------------------------------------------------------------

_local = threading.local()


def with_room(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function where recursion may go as deep as the limits of this module let a tree be.

    It runs in a thread of its own, for the size of a thread's stack can be chosen; called from such a thread, it is
    a plain call.
    """
    if getattr(_local, "has_room", False):
        return function(*args, **kwargs)
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        _local.has_room = True
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="trainlint", daemon=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        _start(thread)
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    if errors:
        raise errors[0]
    return results[0]


def _start(thread: threading.Thread) -> None:
    """Start a thread with as large a stack as this machine has."""
    before = threading.stack_size()
    try:
        for size in (_ROOM, _ROOM // 4):
            try:
                threading.stack_size(size)
                return thread.start()
            except (RuntimeError, ValueError):
                continue
    finally:
        threading.stack_size(before)
    return thread.start()
