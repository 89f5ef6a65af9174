"""From a path to a tree, or to the reason why there is none."""

from __future__ import annotations

import codecs
import gc
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import libcst

from trainlint.findings import Span
from trainlint.syntax.errors import Unreadable
from trainlint.syntax.index import Index
from trainlint.syntax.lean import parse_module
from trainlint.syntax.nesting import LITERALS, measure, with_room
from trainlint.syntax.notebook import Cell, Notebook, commented, script_cells, without_magics
from trainlint.syntax.positions import NEWLINE, Positions, line_starts
from trainlint.syntax.readable import MOST_LINES, with_spaces, without_line, without_older

# A tree takes two kilobytes for each token. Files with more than these hold data, not code.
MAX_TOKENS = 1_000_000
MAX_BYTES = 100_000_000


class SourceFile:
    """A file that was read and parsed.

    `text` is what the tree was parsed from, line ends as they are in the file: for a notebook, its code cells in a row.
    """

    __slots__ = ("_index", "_positions", "filename", "is_deep", "notebook", "path", "problems", "text", "tree")

    def __init__(
        self,
        path: Path,
        filename: str,
        text: str,
        tree: libcst.Module,
        notebook: Notebook | None = None,
        is_deep: bool = False,
    ) -> None:
        self.path = path
        self.filename = filename
        self.text = text
        self.tree = tree
        self.notebook = notebook
        # Whether to walk the tree under `with_room`.
        self.is_deep = is_deep
        # Cells of a notebook that do not parse, and were left out of the tree.
        self.problems: list[Unreadable] = []
        self._index: Index | None = None
        self._positions: Positions | None = None

    def __repr__(self) -> str:
        return f"SourceFile({self.filename!r})"

    @property
    def is_notebook(self) -> bool:
        """Whether places in this file are places in a cell."""
        return self.notebook is not None

    @property
    def index(self) -> Index:
        """Parents, scopes, bindings and imports; built when first asked for."""
        if self._index is None:
            self._index = Index(self.tree)
        return self._index

    def forget_index(self) -> None:
        """Let go of the index, which takes a fifth of what the tree does; it is built again when asked for."""
        self._index = self._positions = None

    @property
    def positions(self) -> Positions:
        """Positions of nodes in `text`."""
        if self._positions is None:
            self._positions = Positions(self.tree, self.text, self.index.ancestors)
        return self._positions

    def span(self, node: libcst.CSTNode) -> Span:
        """Where the node stands in `text`, without whitespace and parentheses around it."""
        return self._with_room(self.positions.span, node)

    def whole_span(self, node: libcst.CSTNode) -> Span:
        """Where all of the node's own text stands in `text`: with its parentheses, comma and whitespace."""
        return self._with_room(self.positions.whole_span, node)

    def _with_room(self, find: Callable[[libcst.CSTNode], Span], node: libcst.CSTNode) -> Span:
        """Printing a tree recurses into it."""
        if not self.is_deep:
            try:
                return find(node)
            except RecursionError:  # not that deep, but the caller has used up what there is
                pass
        try:
            return with_room(find, node)
        except RecursionError:
            # Python 3.12 bounds calls that pass through C by a number of its own, which no setting moves: a tree with
            # hundreds of links in a row then has no positions, and its findings stand at the beginning of the file.
            return Span(1, 1, 1, 1)

    def place(self, node: libcst.CSTNode) -> tuple[int | None, Span]:
        """Where the node stands in the file: for a notebook, the number of the code cell and the span within it."""
        return self.map_span(self.span(node))

    def map_span(self, span: Span) -> tuple[int | None, Span]:
        """Turn a span in `text` into a place in the file, as `place` has it."""
        return (None, span) if self.notebook is None else self.notebook.place(span)

    def statement_lines(self, node: libcst.CSTNode) -> tuple[int, int]:
        """First and last line in `text` of the simple statement that holds the node.

        Within a compound statement but not in its body, these are the lines of its header; in a decorator, those of
        the decorator.
        """
        holder, end, is_block = self._statement(node)
        first = self.span(holder).line
        # The text of a block begins behind the colon.
        last = self.whole_span(end).line if is_block else self.span(end).end_line
        return first, max(first, last)

    def _statement(self, node: libcst.CSTNode) -> tuple[libcst.CSTNode, libcst.CSTNode, bool]:
        """The node with which a statement or header begins, and the one that ends it: by its begin, if a block."""
        below = node
        for holder in (node, *self.index.ancestors(node)):
            if isinstance(holder, (libcst.SimpleStatementLine, libcst.Decorator)):
                return holder, holder, False
            if isinstance(holder, libcst.SimpleStatementSuite):
                return below, below, False
            if isinstance(holder, libcst.Match):
                return holder, holder.subject, False
            body = getattr(holder, "body", None)
            if isinstance(body, libcst.BaseSuite):
                return holder, body, True
            below = holder
        return node, node, False


def load(path: Path, filename: str, text: str | None = None) -> SourceFile:
    """Read and parse a file; `text` stands for its contents, where these are not the ones on disk.

    Raises nothing but `Unreadable`.
    """
    try:
        text = read_text(path) if text is None else text.removeprefix("\ufeff")
        notebook = None
        if path.suffix == ".ipynb" or filename.endswith(".ipynb"):
            notebook = Notebook.read(text)
            text = notebook.text
        elif "\0" in text:
            raise Unreadable("the file contains a NUL byte", _point(text, text.index("\0")))
    except MemoryError as error:
        raise Unreadable("the file is too large for the memory of this machine") from error
    problems: list[Unreadable] = []
    try:
        tree, is_deep = _parse(text)
    except Unreadable as error:
        if notebook is None:
            cells, problems = _python_cells(text)
            text, problems = (cells, problems) if cells else (_readable(text, error), [error])
        else:
            error.cell, error.span = notebook.place(error.span)
            broken, problems = _broken_cells(notebook)
            text = notebook.without(broken) if broken else ""
        if not text:
            raise
        try:
            tree, is_deep = _parse(text)
        except Unreadable:
            raise error from None
    source = SourceFile(path, filename, text, tree, notebook, is_deep)
    source.problems = problems
    return source


class Parsed:
    """Files that were read and parsed, for several projects to share as long as what they hold stays the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, str], tuple[str, SourceFile | Unreadable]] = {}

    def load(self, path: Path, filename: str, text: str | None, digest: str) -> SourceFile:
        """What `load` gives; `digest` tells contents apart. Raises what that raises."""
        kept = self._kept.pop((path, filename), None)
        if kept is None or kept[0] != digest:
            try:
                kept = digest, load(path, filename, text)
            except Unreadable as problem:
                kept = digest, problem
        self._kept[path, filename] = kept  # the last used come last
        if isinstance(kept[1], Unreadable):
            raise kept[1]
        return kept[1]

    def shrink(self, most: int) -> None:
        """Let go of the files that nobody used for longest, until the others have no more than so many characters."""
        for key, (_, source) in reversed(self._kept.copy().items()):
            most -= len(source.text) if isinstance(source, SourceFile) else 0
            if most < 0:
                del self._kept[key]


def _readable(text: str, problem: Unreadable) -> str:
    """A text without what cannot be read, all else at its place; nothing where that is more than some lines."""
    if not problem.message.startswith(_SYNTAX):
        return ""
    shorter: str | None = without_older(text)
    if shorter == text:
        shorter = without_line(text, problem.span.line)
    for _ in range(MOST_LINES):
        if shorter is None:
            break
        try:
            _parse(shorter)
            return shorter
        except Unreadable as error:
            shorter = without_line(shorter, error.span.line)
    return ""


def _broken_cells(notebook: Notebook) -> tuple[list[Cell], list[Unreadable]]:
    """The cells that do not parse by themselves, and why: one such cell should not hide all others."""
    broken, problems = [], []
    for cell in notebook.cells:
        try:
            _parse(notebook.code(cell))
        except Unreadable as problem:
            above = cell.first_line - 1
            span = problem.span
            joined = Span(span.line + above, span.column, span.end_line + above, span.end_column)
            problem.cell, problem.span = notebook.place(joined)
            broken.append(cell)
            problems.append(problem)
    return broken, problems


def _python_cells(text: str) -> tuple[str, list[Unreadable]]:
    """The text of a script of cells with what is not Python in comments, such as magics and cells that do not parse,
    and what is wrong with these; nothing if it has no cells."""
    parts: list[str] = []
    problems: list[Unreadable] = []
    above = 0
    for cell in script_cells(text):
        part = without_magics(cell)
        try:
            _parse(part)
        except Unreadable as problem:
            readable = _readable(part, problem)
            span = problem.span
            problem.span = Span(span.line + above, span.column, span.end_line + above, span.end_column)
            problems.append(problem)
            part = readable or commented(cell)
        parts.append(part)
        above += len(NEWLINE.findall(cell))
    return "".join(parts), problems


# --- Reading ----------------------------------------------------------------------------------------------------------

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_EDITOR_SUFFIX = re.compile(r"^(utf-8|latin-1|iso-8859-1|iso-latin-1)-.*")
_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?$")


def read_text(path: Path) -> str:
    """The text of a file, decoded as Python would: by byte order mark, by coding comment, else as UTF-8."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise Unreadable("this is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("this is not a regular file")
        if status.st_size > MAX_BYTES:
            raise Unreadable(f"the file is larger than {MAX_BYTES // 1_000_000} MB")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise Unreadable(f"the file cannot be read: {error}") from error
    return decode(data)[0]


def decode(data: bytes) -> tuple[str, str]:
    """The text of a file's bytes and the name of its encoding (`utf-8-sig` where a byte order mark was dropped)."""
    encoding = declared = _declared_encoding(data) or "utf-8"
    if data.startswith(codecs.BOM_UTF8):
        if declared != "utf-8":
            raise Unreadable(f"the file begins with a UTF-8 byte order mark but declares to be {declared}")
        data, encoding = data.removeprefix(codecs.BOM_UTF8), "utf-8-sig"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable("the file is UTF-16; Python reads UTF-8")
    try:
        return data.decode(declared), encoding
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(declared, "replace")
        message = f"the file is not {declared.upper()}: byte 0x{data[error.start]:02x} cannot be decoded"
        raise Unreadable(message, _point(before, len(before))) from error


def _declared_encoding(data: bytes) -> str | None:
    """The encoding that a comment in the first two lines declares, as PEP 263 has it."""
    head = data.removeprefix(codecs.BOM_UTF8)[:4096]
    if b"coding" not in head:
        return None
    for number, line in enumerate(re.split(rb"\r\n?|\n", head, maxsplit=2)[:2], 1):
        if match := _COOKIE.match(line):
            name = match[1].decode("ascii", "replace")
            try:
                # Editors write `utf-8-unix`.
                encoding = codecs.lookup(_EDITOR_SUFFIX.sub(r"\1", name.lower().replace("_", "-"))).name
                # Some codecs are for other things than text, some read no ASCII.
                is_usable = b"# coding: x".decode(encoding) == "# coding: x"
            except (LookupError, UnicodeError, ValueError, TypeError):
                is_usable = False
            if not is_usable:
                raise Unreadable(f"the file declares an unknown encoding: {name}", Span(number, 1, number, 1))
            return "utf-8" if encoding == "utf-8-sig" else encoding
        if not _BLANK.match(line):
            return None
    return None


# --- Parsing ----------------------------------------------------------------------------------------------------------


_TOKEN = re.compile(r"\w+|[^\w\s]")


def _parse(text: str) -> tuple[libcst.Module, bool]:
    if len(text) > MAX_TOKENS:
        tokens = sum(1 for _ in _TOKEN.finditer(LITERALS.sub('"', text)))
        if tokens > MAX_TOKENS:
            raise Unreadable(f"the file is too large: it has more than {MAX_TOKENS:,} tokens")
    nesting = measure(text)
    if nesting.problem:
        raise Unreadable(nesting.problem, _point(text, nesting.offset))
    # The collector would walk the growing tree again and again, and find nothing.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        tree = with_room(_native_parse, text) if nesting.is_deep else _native_parse(text)
    except RecursionError as error:
        raise Unreadable(f"libcst cannot parse this: {error}") from error
    finally:
        if was_enabled:
            gc.enable()
    return tree, nesting.is_deep


def _native_parse(text: str) -> libcst.Module:
    try:
        return parse_module(text)
    except libcst.ParserSyntaxError as error:
        spaced = with_spaces(text) if "no matching outer block" in error.message and "\t" in text else None
        if spaced is None or spaced == text:
            raise _explain(text, error.message) from None
        return _native_parse(spaced)
    except UnicodeEncodeError as error:
        raise Unreadable("a surrogate is not a character", _point(text, error.start)) from None
    except (KeyboardInterrupt, RecursionError, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of the native parser is no `Exception`
        raise Unreadable(f"libcst cannot parse this: {type(error).__name__}: {error}") from None


_SYNTAX = "invalid syntax"
_PARSER_ERROR = re.compile(r"parser error: error at (\d+):(\d+)")
_TOKENIZER_ERROR = re.compile(r"tokenizer error: (.*)", re.DOTALL)
_TOKEN_BEFORE = re.compile(r"""(?:\w*(?:"[^"]*"|'[^']*')|[^\W\d]\w*|[\d.]\w*|[^\w\s])\Z""")
_PYTHON_2 = re.compile(
    r"""^[ \t]*(?:(?:print|exec)[ \t]+(?:["'\w%]|>>)|except[ \t]+[\w.]+[ \t]*,[ \t]*\w+[ \t]*:)"""
    r"""|^[ \t]*raise[ \t]+[\w.]+[ \t]*,|^[ \t]*def[ \t]+\w+\(.*\([\w, ]+\)"""
    r"""|<>|`[^`]*`|\b0[0-7]+[lL]?\b|\b\d+[lL]\b|\b[uU][rR]["']"""
)


def _explain(text: str, message: str) -> Unreadable:
    """Put libcst's message into a form that names the place, and knows Python 2."""
    lines = NEWLINE.split(text)
    if match := _PARSER_ERROR.match(message):
        line, column = int(match[1]), int(match[2])
        span = _unexpected(lines, line, column)
        return Unreadable(_hint(lines, span, _SYNTAX), span)
    match = _TOKENIZER_ERROR.match(message)
    reason = (match[1] if match else message).splitlines()[0]
    line = _tokenizer_line(text, message)
    source = lines[line - 1] if line <= len(lines) else ""
    column = len(source) - len(source.lstrip()) + 1
    span = Span(line, column, line, max(column, len(source.rstrip()) + 1))
    return Unreadable(_hint(lines, span, f"{_SYNTAX}: {reason}"), span)


def _hint(lines: list[str], span: Span, message: str) -> str:
    if span.line <= len(lines) and _PYTHON_2.search(lines[span.line - 1]):
        return f"{message} (this looks like Python 2)"
    return message


def _unexpected(lines: list[str], line: int, column: int) -> Span:
    """The token that libcst could not take: it names the place (column from 0) where the next one begins."""
    before = lines[line - 1][:column].rstrip() if line <= len(lines) else ""
    if not before and column:  # an indent
        return Span(line, column + 1, line, column + 1)
    if not before:  # the end of a line
        while line > 1 and (not before or before.startswith("#")):
            line -= 1
            before = lines[line - 1].strip()
        end = len(lines[line - 1].rstrip()) + 1
        return Span(line, end, line, end)
    token = _TOKEN_BEFORE.search(before)
    start = token.start() if token else len(before) - 1
    return Span(line, start + 1, line, len(before) + 1)


def _tokenizer_line(text: str, message: str) -> int:
    """The line that makes libcst's tokenizer give this message, which names none.

    The tokenizer reads all before the parser begins, and stops where it fails. So an unreadable token behind the first
    lines shows whether it gets through them.
    """
    if "triple-quoted" in message:
        *_, last = LITERALS.finditer(text)
        return len(NEWLINE.findall(text[: last.start()])) + 1
    starts = [*line_starts(text), len(text)]
    unreadable = "?" if "$" in message else "$"
    low, high = 0, len(starts) - 1  # it gets through `low` lines, not through `high`
    while high - low > 1:
        middle = (low + high) // 2
        try:
            libcst.parse_module(f"{text[: starts[middle]]}\n{unreadable}")
            gets_through = True
        except libcst.ParserSyntaxError as error:
            gets_through = error.message != message
        if gets_through:
            low = middle
        else:
            high = middle
    return low + 1


def _point(text: str, offset: int) -> Span:
    lines = NEWLINE.split(text[:offset])
    return Span(len(lines), len(lines[-1]) + 1, len(lines), len(lines[-1]) + 1)


__all__ = ["SourceFile", "Unreadable", "decode", "load", "read_text"]
