"""Exact positions of the nodes that somebody asks for, and of no others.

A libcst tree does not know where its nodes stand: positions come from printing the tree again. libcst's own provider
notes the position of each of some hundred nodes a line; this one notes an index into the list of printed tokens, and
only for wanted nodes, so that a file without findings pays nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate

import libcst
from libcst._nodes.internal import CodegenState

from trainlint.findings import Span

NEWLINE = re.compile(r"\r\n?|\n")

_NOTHING: AbstractContextManager[None] = nullcontext()


class _Recorder(CodegenState):
    """Prints a tree, and notes between which tokens each wanted node stands."""

    def __init__(self, module: libcst.Module, wanted: set[int]) -> None:
        super().__init__(default_indent=module.default_indent, default_newline=module.default_newline)
        self.wanted = wanted
        # By `id(node)`: indices into `tokens` of its first token and of the one after its last token.
        self.whole: dict[int, tuple[int, int]] = {}
        self.exact: dict[int, tuple[int, int]] = {}

    def before_codegen(self, node: libcst.CSTNode) -> None:
        if id(node) in self.wanted:
            self.whole[id(node)] = (len(self.tokens), 0)

    def after_codegen(self, node: libcst.CSTNode) -> None:
        if id(node) in self.whole:
            self.whole[id(node)] = (self.whole[id(node)][0], len(self.tokens))

    # The supertype promises a generator's context manager; its callers only enter and leave it.
    def record_syntactic_position(  # type: ignore[override]
        self,
        node: libcst.CSTNode,
        *,
        start_node: libcst.CSTNode | None = None,
        end_node: libcst.CSTNode | None = None,
    ) -> AbstractContextManager[None]:
        if id(node) in self.wanted:
            return self._record(node, start_node, end_node)
        return _NOTHING

    @contextmanager
    def _record(
        self, node: libcst.CSTNode, start_node: libcst.CSTNode | None, end_node: libcst.CSTNode | None
    ) -> Iterator[None]:
        # A node may begin or end where a child does, whitespace left out: then the child is wanted too.
        self.wanted.update(id(child) for child in (start_node, end_node) if child is not None)
        start = len(self.tokens)
        yield
        end = len(self.tokens)
        if start_node is not None:
            start = self.of(start_node)[0]
        if end_node is not None:
            end = self.of(end_node)[1]
        self.exact[id(node)] = (start, end)

    def of(self, node: libcst.CSTNode) -> tuple[int, int]:
        """Token indices of a node that has been printed: without surrounding whitespace where libcst knows it."""
        return self.exact.get(id(node)) or self.whole[id(node)]


class _All(set[int]):
    """The set of all nodes."""

    def __contains__(self, key: object) -> bool:
        return True


class Positions:
    """Spans of the nodes of one module.

    The first question prints the module once, and finds all nodes announced by then; a question about a node that was
    not announced prints it once more and finds them all.
    """

    def __init__(self, module: libcst.Module, text: str) -> None:
        self._module = module
        self._text = text
        self._wanted: set[int] = set()
        self._recorder: _Recorder | None = None
        self._ends: list[int] = []
        self._lines: _Lines

    def want(self, nodes: Iterable[libcst.CSTNode]) -> None:
        """Announce nodes whose span will be asked for."""
        self._wanted.update(map(id, nodes))

    def span(self, node: libcst.CSTNode) -> Span:
        """Where the node stands, as libcst's `PositionProvider` has it: without whitespace and parentheses around."""
        return self._place(*self._printed(node).of(node))

    def whole_span(self, node: libcst.CSTNode) -> Span:
        """Where all of the node's own text stands: with its parentheses, and with the whitespace that it owns."""
        return self._place(*self._printed(node).whole[id(node)])

    def _printed(self, node: libcst.CSTNode) -> _Recorder:
        recorder = self._recorder
        if recorder is None:
            self._wanted.add(id(node))
            recorder = self._print(self._wanted)
        elif id(node) not in recorder.whole and not isinstance(recorder.wanted, _All):
            recorder = self._print(_All())
        if id(node) not in recorder.whole:
            raise ValueError(f"{type(node).__name__} is not a node of this file")
        return recorder

    def _print(self, wanted: set[int]) -> _Recorder:
        recorder = _Recorder(self._module, wanted)
        self._module._codegen(recorder)
        self._recorder = recorder
        self._ends = [0, *accumulate(map(len, recorder.tokens))]
        self._lines = _Lines("".join(recorder.tokens), self._text)
        recorder.tokens.clear()
        return recorder

    def _place(self, start: int, end: int) -> Span:
        last = len(self._ends) - 1  # one token less than counted, where the final newline was taken back
        return Span(
            *self._lines.place(self._ends[min(start, last)]),
            *self._lines.place(self._ends[min(end, last)]),
        )


class _Lines:
    """Turns offsets into printed text into lines and columns of the text that was read.

    The two are the same but for a form feed at the start of a line, which libcst drops or moves.
    """

    def __init__(self, printed: str, text: str) -> None:
        self._starts = line_starts(printed)
        self._shifts: dict[int, int] = {}
        if printed != text:
            pairs = zip(NEWLINE.split(printed), NEWLINE.split(text), strict=False)
            for line, (ours, theirs) in enumerate(pairs, 1):
                if ours != theirs and ours.lstrip() == theirs.lstrip():
                    self._shifts[line] = len(theirs) - len(ours)

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, max(1, offset - self._starts[line - 1] + 1 + self._shifts.get(line, 0))


def line_starts(text: str) -> list[int]:
    """Offsets at which the lines of a text begin, as Python counts lines."""
    return [0, *(match.end() for match in NEWLINE.finditer(text))]
