"""Notebooks as one text: their code cells in a row, with what is not Python taken out line by line."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainlint.findings import Span
from trainlint.syntax.errors import Unreadable
from trainlint.syntax.nesting import LITERAL
from trainlint.syntax.positions import NEWLINE


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell with code in it."""

    # Counted from 1 among the code cells, empty ones and ones in other languages included.
    number: int
    # The line of the joined text where the cell begins.
    first_line: int
    # Columns cut off the left of its lines: IPython takes a cell that is indented as a whole.
    indent: int


class Notebook:
    """The Python of a notebook: line n of a cell is line `first_line + n - 1` of `text`."""

    __slots__ = ("_starts", "cells", "sources", "text")

    def __init__(self, sources: list[str]) -> None:
        parts: list[str] = []
        # Of all code cells, as they are in the file.
        self.sources = sources
        self.cells: list[Cell] = []
        line = 1
        for number, source in enumerate(sources, 1):
            code, indent = _python(source)
            if code:
                if code[-1] not in "\r\n":
                    code += "\n"
                self.cells.append(Cell(number, line, indent))
                parts.append(code)
                line += len(NEWLINE.findall(code))
        self.text = "".join(parts)
        self._starts = [cell.first_line for cell in self.cells]

    @classmethod
    def read(cls, raw: str) -> Notebook:
        """Read the JSON of a notebook, of format 4 or older; raises `Unreadable`."""
        if not raw.strip():
            return cls([])
        try:
            content = json.loads(raw)
        except json.JSONDecodeError as error:
            place = Span(error.lineno, error.colno, error.lineno, error.colno)
            raise Unreadable(f"the notebook is not JSON: {error.msg}", place) from error
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"the notebook is not JSON: {error}") from error
        return cls(_code_cells(content))

    def place(self, span: Span) -> tuple[int | None, Span]:
        """The number of the cell in which a span of `text` begins, and the span within that cell."""
        if not self.cells:
            return None, span
        cell = self._cell(span.line)
        above, indent = cell.first_line - 1, cell.indent
        return cell.number, Span(
            span.line - above, span.column + indent, span.end_line - above, span.end_column + indent
        )

    def is_verbatim(self, number: int, span: Span) -> bool:
        """Whether the lines of a span within a cell are in `text` just as they are in the file."""
        cell = next((cell for cell in self.cells if cell.number == number), None)
        if cell is None or cell.indent:
            return False
        ours, theirs = NEWLINE.split(self.code(cell)), NEWLINE.split(self.sources[number - 1])
        lines = slice(span.line - 1, min(span.end_line, len(theirs)))
        return ours[lines] == theirs[lines]

    def code(self, cell: Cell) -> str:
        """The text of one cell."""
        lines = NEWLINE.split(self.text)
        following = [c.first_line for c in self.cells if c.first_line > cell.first_line]
        end = following[0] - 1 if following else len(lines)
        return "\n".join(lines[cell.first_line - 1 : end]) + "\n"

    def without(self, cells: list[Cell]) -> str:
        """The joined text with some cells emptied, all lines where they were."""
        lines = NEWLINE.split(self.text)
        starts = [*self._starts, len(lines)]
        for cell in cells:
            end = starts[starts.index(cell.first_line) + 1]
            lines[cell.first_line - 1 : end - 1] = [""] * (end - cell.first_line)
        return "\n".join(lines)

    def line(self, number: int, line: int) -> int | None:
        """The line of `text` where a line of a cell is: `place` the other way round. None for a cell without code."""
        position = bisect_right(self.cells, number, key=lambda cell: cell.number) - 1
        if position < 0 or self.cells[position].number != number:
            return None
        return self.cells[position].first_line + line - 1

    def _cell(self, line: int) -> Cell:
        return self.cells[max(0, bisect_right(self._starts, line) - 1)]


# --- The file's structure ---------------------------------------------------------------------------------------------


def _code_cells(content: object) -> list[str]:
    """The sources of all code cells, an empty one for a cell in another language."""
    if not isinstance(content, dict):
        raise Unreadable("the notebook is not an object with cells")
    if not _is_python(content.get("metadata")):
        return []
    sheets = content.get("worksheets")  # format 3 and older
    groups = [content] if "cells" in content else sheets if isinstance(sheets, list) else []
    if not groups and "nbformat" not in content:
        raise Unreadable("the notebook has no cells")
    sources: list[str] = []
    for group in groups:
        cells = group.get("cells", []) if isinstance(group, dict) else None
        if not isinstance(cells, list):
            raise Unreadable("the notebook's cells are not a list")
        for cell in cells:
            if not isinstance(cell, dict):
                raise Unreadable("a cell of the notebook is not an object")
            if cell.get("cell_type") == "code":
                sources.append(_source(cell, len(sources) + 1))
    return sources


def _source(cell: dict[str, object], number: int) -> str:
    metadata = cell.get("metadata")
    vscode = metadata.get("vscode") if isinstance(metadata, dict) else None
    language = cell.get("language") or (vscode.get("languageId") if isinstance(vscode, dict) else None)
    if language not in (None, "python"):
        return ""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise Unreadable("the source of a code cell is not text", cell=number)
    return source


def _is_python(metadata: object) -> bool:
    """Whether a notebook is for a Python kernel; one that does not say is."""
    if isinstance(metadata, dict):
        for section, key in (("kernelspec", "language"), ("language_info", "name")):
            value = metadata.get(section)
            language = value.get(key) if isinstance(value, dict) else None
            if isinstance(language, str) and language:
                return language.lower().startswith(("python", "ipython", "sage"))
    return True


# --- From IPython to Python -------------------------------------------------------------------------------------------

# Cell magics that run the cell's code as it stands.
_TRANSPARENT = frozenset(
    "capture debug heat memit notify prun pyinstrument scalene snakeviz time timeit wandb".split(),
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
_CELL_MAGIC = re.compile(r"[ \t]*%%(\w+)")
# What else IPython takes for its own at the start of a line calls something, or is thrown away as `;` alone is.
_MAGIC = re.compile(r"[ \t]*(?:[%!?;,/]|[%\w.*]+\?{1,2}[ \t]*;?[ \t]*(?=[\r\n]|\Z))")
# `x = !ls` and `x = %env HOME`: what comes is unknown.
_ASSIGNED = re.compile(r"[ \t]*[\w.,\[\]* \t]+=[ \t]*(?=[%!])")
# `%time f(x)` runs f(x). Behind `if 1:` it stays at its columns, which `%time ` is long enough for.
_TIMED = re.compile(
    r"([ \t]*)%(?:time|timeit|prun|memit)(?=((?:[ \t]+-\w+(?:[ \t]+\d+)?)*[ \t]+))\2"  # possessive
    r"(?=[^\s#-])(?!(?:async|class|def|for|if|match|try|while|with)\b)"
)
# Magics may lack their sign. A name behind a name is no Python, but with these words.
_AUTOMAGIC = re.compile(
    r"[ \t]*(?:apt(?:-get)?|cat|cd|conda|cp|git|ls|mamba|mkdir|mv|pip3?|rm|wget)[ \t]+(?:-[\w-]+[ \t]+)*"
    r"(?!(?:and|for|if|in|is|not|or)\b)(?:[\w~$]|\.\.|\./|/[\w.-]+/)"
)
_PIECE = re.compile(rf"(?P<literal>{LITERAL})|\\(?:\r\n|.)|[()\[\]{{}}]|\r\n?|\n", re.DOTALL)


def _python(source: str) -> tuple[str, int]:
    """The cell as Python, line by line; and by how much less it is indented."""
    first = re.match(r"\s*?([ \t]*)\S", source)
    margin = first[1] if first else ""
    if margin:
        source = "".join(line.removeprefix(margin) for line in _lines(source))
    parts: list[str] = []
    position = 0
    in_head = True
    while position < len(source):
        if in_head:
            if magic := _CELL_MAGIC.match(source, position):
                if magic[1] not in _TRANSPARENT:
                    return "", 0
                position = _blank(source, position, parts)
                continue
            in_head = source[position] in " \t\r\n" and not _line_at(source, position).strip()
        if timed := _TIMED.match(source, position):
            parts.append(f"{timed[1]}if 1:".ljust(timed.end() - position))
            end = _end_of_logical_line(source, timed.end())
            parts.append(source[timed.end() : end])
        elif assigned := _ASSIGNED.match(source, position):
            parts.append(f"{assigned[0]}get_ipython()")
            end = _blank(source, position, parts)
        elif _MAGIC.match(source, position) or _AUTOMAGIC.match(source, position):
            line = _line_at(source, position)
            parts.append(f"{line[: len(line) - len(line.lstrip())]}pass")
            end = _blank(source, position, parts)
        else:
            end = _end_of_logical_line(source, position)
            parts.append(source[position:end])
        position = end
    return "".join(parts), len(margin)


def _lines(source: str) -> list[str]:
    return _LINE.findall(source)


def _line_at(source: str, position: int) -> str:
    match = _LINE.match(source, position)
    assert match is not None  # it matches anything
    return match[0]


def _blank(source: str, position: int, parts: list[str]) -> int:
    """Leave a line out, and those that a backslash adds to it; keep the line ends."""
    while position < len(source):
        line = _line_at(source, position)
        position += len(line)
        code = line.rstrip("\r\n")
        parts.append(line[len(code) :])
        if not code.endswith("\\"):
            break
    return position


def _end_of_logical_line(source: str, position: int) -> int:
    depth = 0
    for piece in _PIECE.finditer(source, position):
        token = piece[0]
        if piece["literal"]:
            continue
        if token in ("(", "[", "{"):
            depth += 1
        elif token in (")", "]", "}"):
            depth = max(0, depth - 1)
        elif token[0] in "\r\n" and not depth:
            return piece.end()
    return len(source)


# --- Scripts of cells -------------------------------------------------------------------------------------------------

# What begins a cell in a script that editors run cell by cell, or that a notebook was saved as.
_MARKER = re.compile(r"^#[ \t]?(?:%%|In\[[\d ]*\]:)", re.MULTILINE)


def script_cells(text: str) -> list[str]:
    """The cells of a script, which joined make it up; none if it has no marks of cells."""
    starts = [match.start() for match in _MARKER.finditer(text)]
    return [text[a:b] for a, b in zip([0, *starts], [*starts, len(text)], strict=True) if b > a] if starts else []


def without_magics(cell: str) -> str:
    """A cell of a script with all that is not Python in comments, each character where it was."""
    parts: list[str] = []
    position = 0
    while position < len(cell):
        if _MAGIC.match(cell, position) or _AUTOMAGIC.match(cell, position) or _ASSIGNED.match(cell, position):
            line = _line_at(cell, position)
            margin = len(line) - len(line.lstrip())
            end = position + len(line)
            while cell[:end].rstrip("\r\n").endswith("\\") and end < len(cell):
                end += len(_line_at(cell, end))
            # A statement has to stay, as it may be all that a block has.
            parts.append(line[:margin] + commented(f"0{cell[position + margin + 1 : end]}", 1))
        else:
            end = _end_of_logical_line(cell, position)
            parts.append(cell[position:end])
        position = end
    return "".join(parts)


def commented(code: str, start: int = 0) -> str:
    """Code in comments, from a column of its first line on, each line as long as it was."""
    lines = _lines(code)
    return "".join(
        line if not line[at:].strip() else f"{line[:at]}#{line[at + 1 :]}"
        for line, at in ((line, 0 if number else start) for number, line in enumerate(lines))
    )


# --- Writing ----------------------------------------------------------------------------------------------------------


def rewrite(raw: str, sources: Mapping[int, str]) -> str:
    """A notebook's JSON with new sources for some code cells, given by number; all else stays to the letter."""
    ascii_only = raw.isascii() and "\\u" in raw
    changes: list[tuple[int, int, str]] = []
    for number, (start, end) in enumerate(_source_places(raw), 1):
        if number in sources:
            changes.append((start, end, _source_json(raw[start:end], sources[number], ascii_only)))
    for start, end, text in reversed(changes):
        raw = raw[:start] + text + raw[end:]
    return raw


def _source_places(raw: str) -> Iterator[tuple[int, int]]:
    """Where in the JSON the source of each code cell stands."""
    top = dict(_members(raw, 0))
    groups = [top]
    if "cells" not in top:  # format 3 and older
        groups = [dict(_members(raw, start)) for start, _ in _items(raw, top["worksheets"][0])]
    for group in groups:
        for start, end in _items(raw, group["cells"][0]) if "cells" in group else ():
            if json.loads(raw[start:end]).get("cell_type") == "code":
                cell = dict(_members(raw, start))
                yield cell.get("source") or cell.get("input") or (start, start)


_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def _skip(raw: str, position: int) -> int:
    match = _SPACE.match(raw, position)
    assert match is not None  # it matches anything
    return match.end()


def _members(raw: str, position: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The keys of the JSON object that begins here, and where their values stand."""
    position = _skip(raw, _skip(raw, position) + 1)
    while raw[position] != "}":
        key, position = _DECODER.raw_decode(raw, position)
        start = _skip(raw, _skip(raw, position) + 1)  # behind the colon
        end = _DECODER.raw_decode(raw, start)[1]
        yield key, (start, end)
        position = _skip(raw, end)
        if raw[position] == ",":
            position = _skip(raw, position + 1)


def _items(raw: str, position: int) -> Iterator[tuple[int, int]]:
    """Where the items of the JSON list that begins here stand."""
    position = _skip(raw, position + 1)
    while raw[position] != "]":
        end = _DECODER.raw_decode(raw, position)[1]
        yield position, end
        position = _skip(raw, end)
        if raw[position] == ",":
            position = _skip(raw, position + 1)


def _source_json(old: str, source: str, ascii_only: bool) -> str:
    """A cell's source as JSON, in the manner of the old one: a string, or a list of lines laid out alike."""
    if not old.startswith("["):
        return json.dumps(source, ensure_ascii=ascii_only)
    places = list(_items(old, 0))
    known = {json.loads(old[start:end]): old[start:end] for start, end in places}
    lines = [line for line in _lines(source) if line]
    items = [known.get(line) or json.dumps(line, ensure_ascii=ascii_only) for line in lines]
    opening = old[: places[0][0]] if places else "["
    closing = old[places[-1][1] :] if places else "]"
    between = old[places[0][1] : places[1][0]] if len(places) > 1 else "," + opening[1:]
    return f"{opening}{between.join(items)}{closing}"
