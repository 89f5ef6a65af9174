"""Changes of a file's text, told in terms of nodes of its tree.

An `Editor` turns "put this before that statement" into offsets and strings, with the file's own indentation and line
ends. It changes only what it is told to: what it cannot change without touching comments or guessing raises
`Unfixable`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import libcst as cst

from trainlint.findings import Span
from trainlint.prefilter import OTHER_FRAMEWORKS
from trainlint.syntax.nesting import LITERAL
from trainlint.syntax.positions import NEWLINE, line_starts
from trainlint.syntax.source import SourceFile


class Unfixable(Exception):
    """A change that cannot be made, or not without harm."""


class Change(NamedTuple):
    """Replace the text from `start` up to `end`."""

    start: int
    end: int
    text: str


class Imported(NamedTuple):
    """Stands in code for what a file calls something that it may import, such as `torch.no_grad`."""

    path: str


# Code to write: strings, nodes whose text is taken over, and names that may need an import.
Piece = Any

_LITERAL = re.compile(LITERAL, re.DOTALL)
_LINE_END = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
_ATOMS = (
    cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float, cst.Imaginary, cst.SimpleString,
    cst.FormattedString, cst.List, cst.Dict, cst.Set, cst.ListComp, cst.DictComp, cst.SetComp, cst.Ellipsis,
)  # fmt: skip
_ARITHMETIC = (cst.Add, cst.Subtract, cst.Multiply, cst.Divide, cst.MatrixMultiply, cst.Power)
# Around these any expression may stand without parentheses.
_LOOSE = (
    cst.Arg, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Expr, cst.Index, cst.If, cst.While, cst.Element,
)  # fmt: skip


class Editor:
    """Collects the changes to one file that belong together."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.text = source.text
        self.changes: list[Change] = []
        self._starts = line_starts(source.text)
        notebook = source.notebook
        self._borders = {self._starts[cell.first_line - 1] for cell in notebook.cells} if notebook else set()
        self._deleted: set[int] = set()
        self._added: set[str] = set()

    # Where is it?

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node stands, without parentheses around it."""
        span = self.source.span(node)
        return self._offset(span.line, span.column), self._offset(span.end_line, span.end_column)

    def whole(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node stands, with its parentheses."""
        span = self.source.whole_span(node)
        return self._offset(span.line, span.column), self._offset(span.end_line, span.end_column)

    def place(self, change: Change) -> Span:
        """Where a change is made, in lines and columns."""
        numbers = []
        for offset in (change.start, change.end):
            line = bisect_right(self._starts, offset)
            numbers += [line, offset - self._starts[line - 1] + 1]
        return Span(*numbers)

    def _offset(self, line: int, column: int) -> int:
        return min(self._starts[line - 1] + column - 1, len(self.text))

    def _line_start(self, offset: int) -> int:
        return self._starts[bisect_right(self._starts, offset) - 1]

    def _line_end(self, offset: int) -> int:
        match = _LINE_END.match(self.text, offset)
        assert match is not None  # it matches anything
        return match.end()

    def _indent(self, offset: int) -> str:
        start = self._line_start(offset)
        line = self.text[start : self._line_end(start)]
        return line[: len(line) - len(line.lstrip(" \t\f"))]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds a node."""
        return self.source.index.parent(node)

    def _statement(self, node: cst.CSTNode) -> tuple[Any, Any]:
        """The statement that takes whole lines and holds a node; and the small statement in it, if it is simple."""
        below: Any = None
        found: Any = node
        while found is not None:
            if isinstance(found, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
                if below is None:
                    below = found.body[0]
                return found, below
            if isinstance(found, cst.BaseCompoundStatement):
                parent = self.parent(found)
                if not (isinstance(found, cst.If) and isinstance(parent, cst.If) and parent.orelse is found):
                    return found, None
            below, found = found, self.parent(found)
        raise Unfixable("no statement around")

    def _first_offset(self, statement: Any) -> int:
        decorators = getattr(statement, "decorators", ())
        return self.whole(decorators[0])[0] if decorators else self.span(statement)[0]

    def _top(self, statement: Any, with_comments: bool = True) -> int:
        """Where the lines of a statement begin: with the comments right above it, which belong to it."""
        start = self._line_start(self._first_offset(statement))
        decorators = getattr(statement, "decorators", ())
        if decorators:  # a decorator's own text may begin with its comments
            while self.text[start : self._line_end(start)].strip()[:1] in ("", "#"):
                start = self._line_end(start)
        if not with_comments:
            return start
        indent = self._indent(start)
        while start > 0 and start not in self._borders:
            above = self._line_start(start - 1)
            line = self.text[above:start]
            if not line.startswith(f"{indent}#"):
                break
            start = above
        return start

    def _bottom(self, statement: Any) -> int:
        """Where the lines of a statement end, the last line's end included."""
        return self._line_end(self.span(statement)[1])

    def _tail(self, statement: Any) -> int:
        """Where the last line of a statement ends, with the comment in it."""
        end = self.span(statement)[1]
        return end + len(self.text[end : self._line_end(end)].rstrip("\r\n"))

    # What to write

    def code(self, pieces: Sequence[Piece], at: cst.CSTNode) -> str:
        """Pieces as one text, to stand at (the scope of) a node. Taken-over expressions get parentheses as needed."""
        return "".join(text for text, _ in self._parts(pieces, at))

    def _parts(self, pieces: Sequence[Piece], at: cst.CSTNode) -> list[tuple[str, tuple[int, int]]]:
        """The text of each piece, and where it is taken from: from nowhere, (0, 0), if it is new."""
        parts = []
        for i, piece in enumerate(pieces):
            if isinstance(piece, str):
                parts.append((piece, (0, 0)))
            elif isinstance(piece, Imported):
                parts.append((self.spelling(piece.path, at), (0, 0)))
            else:
                before = pieces[i - 1] if i and isinstance(pieces[i - 1], str) else ""
                after = pieces[i + 1] if i + 1 < len(pieces) and isinstance(pieces[i + 1], str) else ""
                start, end = self.span(piece) if piece is at else self.whole(piece)
                text = self.text[start:end]
                has_own = piece is not at and bool(getattr(piece, "lpar", ()))
                parts.append((text if has_own or _fits(piece, before, after) else f"({text})", (start, end)))
        return parts

    def spelling(self, path: str, at: cst.CSTNode) -> str:
        """What a file calls something at a place, imported where nothing of the like is."""
        index = self.source.index
        scope = index.scope(at)
        parts = path.split(".")
        for cut in range(len(parts), 0, -1):
            wanted = ".".join(parts[:cut])
            for name, dotted in index.imports.items():
                bindings = scope.lookup(name)
                if dotted == wanted and bindings and all(b.imported == wanted for b in bindings):
                    return ".".join((name, *parts[cut:]))
        root = parts[0]
        roots = {dotted.partition(".")[0] for dotted in index.imports.values()}
        if root == "torch" and root not in roots and not roots.isdisjoint(OTHER_FRAMEWORKS):
            raise Unfixable("this is another library")
        if scope.lookup(root):
            raise Unfixable(f"{root} is something else here")
        self.add_import(root)
        return path

    def add_import(self, module: str) -> None:
        """Import a module, behind the imports that a file begins with."""
        if module in self._added:
            return
        self._added.add(module)
        last: Any = None
        body = self.source.tree.body
        for statement in body:
            if not isinstance(statement, cst.SimpleStatementLine):
                break
            small = statement.body[0]
            is_text = isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString)
            if not isinstance(small, (cst.Import, cst.ImportFrom)) and not (is_text and last is None):
                break
            last = statement
        if last is not None:
            self._insert_below(self._tail(last), f"import {module}", "")
        elif body:
            gap = "\n\n" if isinstance(body[0], (cst.FunctionDef, cst.ClassDef)) else ""
            self._insert_above(self._top(body[0], with_comments=False), f"import {module}{gap}", "")

    def _insert_above(self, offset: int, code: str, indent: str) -> None:
        """Insert code as lines of their own at the beginning of a line."""
        newline = self.source.tree.default_newline
        text = newline.join(self._lines_of(code, indent)) + newline
        self.changes.append(Change(offset, offset, text))

    def _insert_below(self, offset: int, code: str, indent: str) -> None:
        """Insert code as lines of their own at the end of a line: in a notebook the next one may be in another cell."""
        newline = self.source.tree.default_newline
        self.changes.append(Change(offset, offset, "".join(newline + line for line in self._lines_of(code, indent))))

    def _lines_of(self, code: str, indent: str) -> list[str]:
        unit = self.source.tree.default_indent
        lines = []
        for line in code.split("\n"):
            body = line.lstrip(" ")
            lines.append(f"{indent}{unit * ((len(line) - len(body)) // 4)}{body}" if body else "")
        return lines

    # The changes

    def replace(self, node: cst.CSTNode, pieces: Sequence[Piece]) -> None:
        """Replace an expression. Parts of it that are taken over in their order stay where they are."""
        start, end = self.span(node)
        parts = self._parts(pieces, node)
        new = "".join(text for text, _ in parts)
        self._keep_comments(start, end, new)
        opening, closing = ("(", ")") if self._needs_parentheses(node, new) else ("", "")
        at, text = start, opening
        for part, (first, last) in parts:
            if at <= first < last <= end:
                before, after = part.split(self.text[first:last], 1) if first < last else (part, "")
                self._put(at, first, text + before)
                at, text = last, after
            else:
                text += part
        self._put(at, end, text + closing)

    def _put(self, start: int, end: int, text: str) -> None:
        if self.text[start:end] != text:
            self.changes.append(Change(start, end, text))

    def _needs_parentheses(self, node: cst.CSTNode, new: str) -> bool:
        """Whether an expression needs parentheses of its own where another one stood."""
        if getattr(node, "lpar", ()):
            return False
        parent = self.parent(node)
        expression = _parsed(new)
        if expression is None:  # it spans lines
            return not isinstance(parent, cst.Arg)
        return not (_is_atom(expression) or (isinstance(parent, _LOOSE) and not getattr(parent, "star", "")))

    def _keep_comments(self, start: int, end: int, new: str) -> None:
        if "#" in self.text[start:end] and len(comments(self.text[start:end])) > len(comments(new)):
            raise Unfixable("a comment would be lost")

    def insert_before(self, node: cst.CSTNode, pieces: Sequence[Piece]) -> None:
        """Insert statements before the one that holds a node."""
        code = self.code(pieces, node)
        statement, small = self._statement(node)
        if small is not None and (isinstance(statement, cst.SimpleStatementSuite) or statement.body[0] is not small):
            if "\n" in code:
                raise Unfixable("several lines in one")
            start = self.span(small)[0]
            self.changes.append(Change(start, start, f"{code}; "))
            return
        self._insert_above(self._top(statement), code, self._indent(self._first_offset(statement)))

    def insert_after(self, node: cst.CSTNode, pieces: Sequence[Piece]) -> None:
        """Insert statements after the one that holds a node."""
        code = self.code(pieces, node)
        statement, small = self._statement(node)
        if small is not None and (isinstance(statement, cst.SimpleStatementSuite) or statement.body[-1] is not small):
            if "\n" in code:
                raise Unfixable("several lines in one")
            end = self.span(small)[1]
            self.changes.append(Change(end, end, f"; {code}"))
            return
        self._insert_below(self._tail(statement), code, self._indent(self._first_offset(statement)))

    def insert_at_start(self, block: Any, pieces: Sequence[Piece]) -> None:
        """Insert statements at the beginning of the body of a function, class, loop or `with`, after a docstring."""
        body = block.body
        if not isinstance(body, cst.IndentedBlock):
            raise Unfixable("a body in one line")
        first: Any = body.body[0]
        if isinstance(block, (cst.FunctionDef, cst.ClassDef)) and isinstance(first, cst.SimpleStatementLine):
            small = first.body[0]
            if isinstance(small, cst.Expr) and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString)):
                self.insert_after(first, pieces)
                return
        self.insert_before(first, pieces)

    def insert_at_end(self, block: Any, pieces: Sequence[Piece]) -> None:
        """Insert statements at the end of the body of a function, class, loop or `with`."""
        if not isinstance(block.body, cst.IndentedBlock):
            raise Unfixable("a body in one line")
        self.insert_after(block.body.body[-1], pieces)

    def decorate(self, function: cst.FunctionDef, pieces: Sequence[Piece]) -> None:
        """Put a decorator right above `def`."""
        code = self.code(("@", *pieces), self.parent(function) or function)
        start = self.span(function)[0]
        self._insert_above(self._line_start(start), code, self._indent(start))

    def delete(self, node: cst.CSTNode) -> None:
        """Delete the simple statement that holds a node."""
        line, small = self._statement(node)
        if small is None:
            raise Unfixable("a compound statement")
        start, end = self.span(small)
        if len(line.body) > 1:
            at = line.body.index(small)
            if at + 1 < len(line.body):
                end = self.span(line.body[at + 1])[0]
            else:
                start = self.span(line.body[at - 1])[1]
            self.changes.append(Change(start, end, ""))
            return
        self._deleted.add(id(line))
        block: Any = self.parent(line)
        is_suite = isinstance(line, cst.SimpleStatementSuite)
        if is_suite or (
            not isinstance(block, cst.Module) and all(id(sibling) in self._deleted for sibling in block.body)
        ):
            self.changes.append(Change(start, end, "pass"))
        else:
            self.changes.append(Change(self._line_start(start), self._bottom(line), ""))

    def move(self, node: cst.CSTNode, target: cst.CSTNode, after: bool) -> None:
        """Move the statement that holds a node before or after the one that holds another."""
        line, small = self._statement(node)
        place, place_small = self._statement(target)
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        inline = isinstance(place, cst.SimpleStatementSuite) or (place_small is not None and len(place.body) > 1)
        if small is None or not alone or inline or line is place:
            raise Unfixable("statements that share a line")
        start, end = self._top(line), self._bottom(line)
        block: Any = self.parent(line)
        if not isinstance(block, cst.Module) and len(block.body) == 1:
            raise Unfixable("the only statement of a block")
        indent = self._indent(self._first_offset(line))
        goal = self._indent(self._first_offset(place))
        lines = _LINE_END.findall(self.text[start:end])
        if indent != goal and any(text.strip() and not text.startswith(indent) for text in lines):
            raise Unfixable("lines that are indented on their own")
        moved = "".join(goal + text.removeprefix(indent) if text else text for text in lines).rstrip("\r\n")
        newline = self.source.tree.default_newline
        offset = self._tail(place) if after else self._top(place)
        self.changes += [
            Change(start, end, ""),
            Change(offset, offset, newline + moved if after else moved + newline),
        ]

    def wrap(self, node: cst.CSTNode, pieces: Sequence[Piece], last: cst.CSTNode | None = None) -> None:
        """Put statements, from the one that holds a node up to `last`, into the body of a new compound statement."""
        first, small = self._statement(node)
        if isinstance(first, cst.SimpleStatementSuite) or (small is not None and len(first.body) > 1):
            raise Unfixable("a statement that shares its line")
        final = first if last is None else self._statement(last)[0]
        if self.parent(final) is not self.parent(first):
            raise Unfixable("statements of two blocks")
        start, end = self._top(first), self._bottom(final)
        header = self.code(pieces, first)
        self._insert_above(start, header, self._indent(self._first_offset(first)))
        strings = [match.span() for match in _LITERAL.finditer(self.text, start, end) if match[0][:1] != "#"]
        unit = self.source.tree.default_indent
        at = bisect_left(self._starts, start)
        while at < len(self._starts) and self._starts[at] < end:
            offset = self._starts[at]
            at += 1
            if self.text[offset : self._line_end(offset)].strip() and not any(a < offset < b for a, b in strings):
                self.changes.append(Change(offset, offset, unit))

    def set_argument(self, call: cst.Call, name: str, pieces: Sequence[Piece]) -> None:
        """Give a keyword argument a value, whether or not it has one."""
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == name:
                self.replace(arg.value, pieces)
                return
        code = f"{name}={self.code(pieces, call)}"
        if not call.args:
            end = self.span(call)[1] - 1
            self.changes.append(Change(end, end, code))
            return
        last = call.args[-1]
        if isinstance(last.value, cst.GeneratorExp) and not last.value.lpar:
            raise Unfixable("a generator without parentheses")
        end = self.span(last)[1]
        if not isinstance(last.comma, cst.Comma):
            self.changes.append(Change(end, end, f", {code}"))
            return
        comma = self.text.index(",", end) + 1
        following = self.text[comma : self._line_end(comma)]
        if not following.strip() or following.lstrip().startswith("#"):
            tail = comma + len(following.rstrip("\r\n"))
            self._insert_below(tail, f"{code},", self._indent(self.span(last)[0]))
        else:
            self.changes.append(Change(comma, comma, f" {code}"))

    def remove_argument(self, call: cst.Call, argument: cst.Arg) -> None:
        """Leave an argument out."""
        self.remove_item(call.args, argument)

    def remove_item(self, items: Sequence[Any], item: Any) -> None:
        """Leave one of several items out, with the comma that goes with it."""
        at = items.index(item)
        start, end = self.span(item)
        if at + 1 < len(items):
            end = self.span(items[at + 1])[0]
        elif at:
            start = self.span(items[at - 1])[1]
        elif isinstance(item.comma, cst.Comma):
            end = self.text.index(",", end) + 1
        self._keep_comments(start, end, "")
        self.changes.append(Change(start, end, ""))

    def overwrite(self, node: cst.CSTNode, text: str) -> None:
        """Write something else in the place of a node that is no expression: an argument, a module's name."""
        start, end = self.span(node)
        self._keep_comments(start, end, text)
        self.changes.append(Change(start, end, text))

    def augment(self, target: cst.CSTNode, signed: cst.UnaryOperation) -> None:
        """Put the sign of what is assigned before the equals sign."""
        sign = "+" if isinstance(signed.operator, cst.Plus) else "-"
        self._put(self.whole(target)[1], self.whole(signed.expression)[0], f" {sign}= ")

    def rename(self, node: cst.CSTNode, name: str) -> None:
        """Write another name: for a name, an attribute's last part, or the keyword of an argument."""
        named = node.attr if isinstance(node, cst.Attribute) else node.keyword if isinstance(node, cst.Arg) else node
        if not isinstance(named, cst.Name):
            raise Unfixable("no name")
        self.changes.append(Change(*self.span(named), name))


def comments(text: str) -> list[str]:
    """The comments in a piece of Python."""
    return [match[0] for match in _LITERAL.finditer(text) if match[0].startswith("#")]


def _fits(node: cst.CSTNode, before: str, after: str) -> bool:
    """Whether an expression needs no parentheses between these texts."""
    if isinstance(node, _ATOMS) or not (before or after):
        return True
    if (not before or before.rstrip()[-1:] in "([{,=") and (not after or after.lstrip()[:1] in ")]},"):
        return not isinstance(node, (cst.NamedExpr, cst.GeneratorExp, cst.Yield))
    is_term = isinstance(node, cst.BinaryOperation) and isinstance(node.operator, _ARITHMETIC)
    return is_term and after.startswith(" + ") and (not before or before.rstrip()[-1:] in "([{,=")


def _is_atom(node: cst.CSTNode) -> bool:
    return bool(getattr(node, "lpar", ())) or isinstance(node, _ATOMS)


def _parsed(text: str) -> cst.BaseExpression | None:
    """The expression that a text is; None when it is one only in parentheses."""
    try:
        return cst.parse_expression(text)
    except cst.ParserSyntaxError:
        try:
            cst.parse_expression(f"({NEWLINE.sub(' ', text) if '#' not in text else text})")
        except cst.ParserSyntaxError as error:
            raise Unfixable(f"no expression: {text}") from error
        return None
