"""Exact positions of the nodes that somebody asks for.

A libcst tree does not know where its nodes stand: positions come from printing it again, and a whole file takes
long to print. So only the statement around a node is printed, or the function or the class
around that: the smallest whose text stands in the file once, and thereby tells where.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise

import libcst
from libcst._nodes.internal import CodegenState

from trainlint.findings import Span

NEWLINE = re.compile(r"\r\n?|\n")


class _Print(CodegenState):
    """The text of a piece of a tree, and between which of its tokens each node stands."""

    def __init__(self, module: libcst.Module, piece: libcst.CSTNode, blocks: Iterator[libcst.IndentedBlock]) -> None:
        super().__init__(default_indent=module.default_indent, default_newline=module.default_newline)
        # By `id(node)`: indices into `tokens` of its first token and of the one after its last token.
        self.whole: dict[int, tuple[int, int]] = {}
        self.exact: dict[int, tuple[int, int]] = {}
        for block in blocks:
            self.increase_indent(self.default_indent if block.indent is None else block.indent)
        piece._codegen(self)
        self.text = "".join(self.tokens)
        self.ends = [0, *accumulate(map(len, self.tokens))]
        self.begin = 0  # in the text of the file
        self.tokens.clear()

    def before_codegen(self, node: libcst.CSTNode) -> None:
        self.whole[id(node)] = (len(self.tokens), 0)

    def after_codegen(self, node: libcst.CSTNode) -> None:
        self.whole[id(node)] = (self.whole[id(node)][0], len(self.tokens))

    @contextmanager
    def record_syntactic_position(
        self,
        node: libcst.CSTNode,
        *,
        start_node: libcst.CSTNode | None = None,
        end_node: libcst.CSTNode | None = None,
    ) -> Iterator[None]:
        # A node may begin or end where a child does, whitespace left out.
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

    def offset(self, token: int) -> int:
        """Where a token begins, in the text of the file."""
        # There is one token less than counted where the final newline of a file was taken back.
        return self.begin + self.ends[min(token, len(self.ends) - 1)]


class Positions:
    """Spans of the nodes of one module; `ancestors` gives the nodes around one, inside out."""

    def __init__(
        self,
        module: libcst.Module,
        text: str,
        ancestors: Callable[[libcst.CSTNode], Iterator[libcst.CSTNode]],
    ) -> None:
        self._module = module
        self._text = text
        self._ancestors = ancestors
        self._prints: dict[int, _Print] = {}  # by `id(node)`
        self._ambiguous: set[int] = set()  # pieces whose text stands in the file more than once
        self._lines = _Lines(text, text)

    def span(self, node: libcst.CSTNode) -> Span:
        """Where the node stands, as libcst's `PositionProvider` has it: without whitespace and parentheses around."""
        found = self._print_of(node)
        return self._place(found, *found.of(node))

    def whole_span(self, node: libcst.CSTNode) -> Span:
        """Where all of the node's own text stands: with its parentheses, and with the whitespace that it owns."""
        found = self._print_of(node)
        return self._place(found, *found.whole[id(node)])

    def _place(self, found: _Print, start: int, end: int) -> Span:
        return Span(*self._lines.place(found.offset(start)), *self._lines.place(found.offset(end)))

    def _print_of(self, node: libcst.CSTNode) -> _Print:
        for piece in () if id(node) in self._prints else self._pieces(node):
            if id(piece) not in self._prints and id(piece) not in self._ambiguous:
                self._print(piece)
            if id(node) in self._prints:
                break
        found = self._prints.get(id(node))
        if found is None:
            raise ValueError(f"{type(node).__name__} is not a node of this file")
        return found

    def _pieces(self, node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
        """What may be printed to find a node, inside out: its statement, functions and classes around it, the file."""
        around = [node, *self._ancestors(node)]
        kinds: tuple[type, ...] = (libcst.SimpleStatementLine, libcst.BaseCompoundStatement)
        # libcst moves form feeds.
        for piece, holder in pairwise(around) if "\f" not in self._text else ():
            if isinstance(piece, kinds) and isinstance(holder, (libcst.IndentedBlock, libcst.Module)):
                yield piece
                kinds = (libcst.FunctionDef, libcst.ClassDef)
        yield self._module

    def _print(self, piece: libcst.CSTNode) -> None:
        blocks = [block for block in self._ancestors(piece) if isinstance(block, libcst.IndentedBlock)]
        printed = _Print(self._module, piece, reversed(blocks))
        if piece is self._module:
            self._lines = _Lines(printed.text, self._text)
        else:
            printed.begin = self._find(printed.text)
        if printed.begin < 0:
            self._ambiguous.add(id(piece))
        else:
            self._prints.update(dict.fromkeys(printed.whole, printed))

    def _find(self, lines: str) -> int:
        """Where some lines begin that stand in the file once; else a negative number."""
        begin = self._text.find(lines)
        if begin > 0 and self._text[begin - 1] not in "\r\n":
            return -1
        return begin if self._text.find(lines, begin + 1) < 0 else -1


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
