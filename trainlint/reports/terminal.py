"""Charts in a terminal, drawn with the dots of Braille letters.

Libraries that do so put labels at odd values, tell curves apart by colour alone, or judge by themselves whether there
is colour; with the axes of `page.charts` what is left is to set dots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from trainlint.reports.page.charts import Axis, Chart, axes, marks, pieces
from trainlint.reports.style import Style, one_line

# In letters: of the curves, of the labels left of them, and of their names right of them.
HEIGHT = 11
WIDEST = 110
_LABELS, _NAMES = 8, 24
# Narrower terminals have to wrap.
_FEWEST = 40

_SERIES = ("cyan", "magenta", "green", "blue", "yellow")
# The bit of each dot of a letter, by row and column.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
# For terminals whose encoding has neither dots nor lines.
_PLAIN = str.maketrans(
    {**{chr(_BLANK + dots): "*" for dots in range(1, 256)}, **dict(zip("┊│┤└─┴…", ":|++-+~", strict=True))}
)

_Cell = tuple[str, str]  # a letter, and what it is painted in


def drawn(chart: Chart, columns: int, style: Style, encoding: str = "utf-8") -> str:
    """A chart within so many columns: its title, its curves with their names at their ends, and the marks on them."""
    text = "".join(_lines(chart, columns, style))
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN)
    return text


def _lines(chart: Chart, columns: int, style: Style) -> Iterator[str]:
    columns = max(columns, _FEWEST)
    longest = min(_NAMES, columns // 3)
    names = [_shortened(one_line(line.name), longest) for line in chart.lines]
    right = max((len(name) for name in names), default=0) + 1
    width = min(WIDEST, columns - _LABELS - 2 - right)
    # The last dots lie within the last letter; y grows downwards.
    across, up = axes(chart, (0, width - 0.51), (HEIGHT - 0.26, 0))
    cells: list[list[_Cell]] = [[(" ", "") for _ in range(width)] for _ in range(HEIGHT)]
    ends: dict[int, _Cell] = {}
    for mark in marks(chart):
        for row in cells:
            row[int(across.at(mark.x))] = ("┊", mark.kind)
    for place, line in enumerate(chart.lines):
        colour = _SERIES[place % len(_SERIES)]
        found = list(pieces(line, across, up))
        for piece in found:
            _draw(piece, cells, colour)
        if found:
            ends[_free(int(found[-1][-1][1]), ends)] = (names[place], colour)
    _write_marks(chart, across, cells)
    yield f"{style.paint(_shortened(one_line(chart.title), columns), 'bold')}\n"
    labels = {int(y): label for y, label in up.ticks()}
    for number, row in enumerate(cells):
        label = labels.get(number, "")
        name, colour = ends.get(number, ("", ""))
        side = "┤" if label else "│"
        text = f"{label:>{_LABELS}} {side}{_painted(row, style)} {_painted([(name, colour)], style)}"
        yield f"{text.rstrip()}\n"
    yield from _below(across, width, chart.x_label)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _free(row: int, taken: dict[int, _Cell]) -> int:
    """The free row that is next to one."""
    rows = [other for other in range(HEIGHT) if other not in taken]
    return min(rows, key=lambda other: abs(other - row)) if rows else row


def _draw(piece: Sequence[tuple[float, float]], cells: list[list[_Cell]], colour: str) -> None:
    """Set the dots of a curve."""
    if len(piece) == 1:
        piece = [piece[0], piece[0]]
    for (x, y), (then_x, then_y) in pairwise((2 * x, 4 * y) for x, y in piece):
        count = max(1, math.ceil(max(abs(then_x - x), abs(then_y - y))))
        for i in range(count + 1):
            column, row = int(x + (then_x - x) * i / count), int(y + (then_y - y) * i / count)
            letter, _ = cells[row // 4][column // 2]
            before = ord(letter) if ord(letter) >= _BLANK else _BLANK
            cells[row // 4][column // 2] = (chr(before | _DOTS[row % 4][column % 2]), colour)


def _write_marks(chart: Chart, across: Axis, cells: list[list[_Cell]]) -> None:
    """Write what the marks are beside their lines, each in a row of its own."""
    for number, mark in enumerate(marks(chart)):
        row = cells[number % HEIGHT]
        column = int(across.at(mark.x)) + 1
        if column + len(mark.name) > len(row):
            column = max(0, column - 1 - len(mark.name))
        row[column : column + len(mark.name)] = [(letter, mark.kind) for letter in mark.name]


def _painted(cells: Sequence[_Cell], style: Style) -> str:
    """Cells as text, with one change of colour where the colour changes."""
    parts = (("".join(letter for letter, _ in run), colour) for colour, run in groupby(cells, lambda cell: cell[1]))
    return "".join(style.paint(text, colour) if colour else text for text, colour in parts)


def _below(across: Axis, width: int, name: str) -> Iterator[str]:
    """The axis, its labels as far as there is room between them, and what it shows."""
    ticks = {int(x): label for x, label in across.ticks()}
    yield f"{'':>{_LABELS}} └{''.join('┴' if column in ticks else '─' for column in range(width))}\n"
    text = ""
    for column, label in ticks.items():
        start = max(0, column - len(label) // 2)
        if start > len(text) or not text:
            text = f"{text:<{start}}{label}"
    yield f"{'':>{_LABELS}}  {text:<{width}} {name}".rstrip() + "\n"
