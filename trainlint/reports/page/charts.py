"""Charts as SVG that takes its colours from the page around it, light or dark, and can stand alone as well.

A library's drawings have colours of their own in `style` attributes, which the policy of our pages forbids, and tens of
kilobytes each; a page on a run has hundreds of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from trainlint.reports.page import escaped, shipped

# Of a chart and of what surrounds its curves, in units that are pixels at the width of a narrow screen.
WIDTH, HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 26, 34
ROW = 15
# How wide a letter of a label is at most, roughly.
LETTER = 6.5
# Colours that do without a style sheet, one for each class `series-…` of it.
COLOURS = ("#0072b2", "#c24f00", "#00795a", "#a8527f", "#7d7000", "#596273")
MARKS = {"error": "#b3261e", "warning": "#8a5300", "info": "#1a56b8"}
# Beyond these, numbers cannot be computed with and are taken for infinite and for nothing.
HUGE, TINY = 1e150, 1e-150
# A small picture beside text.
SMALL_WIDTH, SMALL_HEIGHT = 120, 28


@dataclass(frozen=True, slots=True)
class Line:
    """A curve. Where a value is not finite (or on a logarithmic axis not positive) it is interrupted."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A value of x worth a line of its own; `kind` is a severity."""

    x: float
    name: str
    kind: str = "info"


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over a common x."""

    title: str
    x_label: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = field(default=())
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to places along one side of a chart."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, is_log: bool) -> Axis:
        """An axis that all values find room on."""
        usable = [value for value in values if _is_shown(value, is_log)]
        low, high = (min(usable), max(usable)) if usable else (1.0, 1.0)
        size = max(abs(low), abs(high))
        if high - low <= max(1e-12 * size, TINY):
            room = size / 2 if size > TINY else 0.5
            low, high = (low / 2, high * 2) if is_log else (low - room, high + room)
        return cls(low, high, start, end, is_log)

    def at(self, value: float) -> float:
        """Where a value stands."""
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Where labels stand, and what they say: round values."""
        decades = math.log10(self.high / self.low) if self.is_log else 0.0
        if decades >= 1.5:
            stride = math.ceil(decades / 5)
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            for power in range(first, last + 1):
                if power % stride == 0:
                    yield self.at(10.0**power), number(10.0**power)
            return
        step = _round_step((self.high - self.low) / 6)
        is_plain = 1e-3 <= max(abs(self.low), abs(self.high)) < 1e5 and step >= 1e-6
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        for times in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            value = times * step
            yield self.at(value), f"{value:.{decimals}f}" if is_plain else number(value)


def _is_shown(value: float, is_log: bool) -> bool:
    return abs(value) < HUGE and (value > TINY or not is_log)


def _round_step(rough: float) -> float:
    """The least of 1, 2, 5, 10, … times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def drawn(chart: Chart) -> str:
    """A chart as an `svg` element: title, axes, curves, marks, and below a legend if there is more than one curve."""
    height = _height(chart)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped(chart.title)}" '
        'font-family="sans-serif" font-size="11">\n'
        f'<text class="title" x="0" y="13">{escaped(chart.title)}</text>\n{"".join(_parts(chart))}</svg>\n'
    )


def panels(charts: Iterable[Chart]) -> str:
    """Charts on a page, as many beside each other as there is room for."""
    return '<div class="charts">\n' + "".join(f"<div>{drawn(chart)}</div>\n" for chart in charts) + "</div>\n"


def standalone(charts: Sequence[Chart]) -> str:
    """Charts below each other, as the text of an SVG file."""
    total = 0.0
    parts = []
    for chart in charts:
        svg = drawn(chart).replace("<svg ", f'<svg x="10" y="{total + 10:g}" width="{WIDTH}" ', 1)
        parts.append(svg.replace("width=", f'height="{_height(chart)}" width=', 1))
        total += _height(chart) + 20
    width = WIDTH + 20
    back = f'<rect class="back" width="{width}" height="{total:g}" fill="#ffffff"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total:g}" width="{2 * width}">\n'
        f"<style>{shipped('charts.css')}</style>\n{back}\n{''.join(parts)}</svg>\n"
    )


def _height(chart: Chart) -> int:
    return HEIGHT + ROW * len(_legend(chart))


def _legend(chart: Chart) -> list[list[tuple[int, str, float]]]:
    """Rows of names, each with the number of its curve and its place."""
    rows: list[list[tuple[int, str, float]]] = []
    end = math.inf
    for number, line in enumerate(chart.lines if len(chart.lines) > 1 else ()):
        name = line.name if len(line.name) <= 48 else f"…{line.name[-47:]}"
        size = 26 + LETTER * len(name)
        if end + size > WIDTH:
            rows.append([])
            end = 0.0
        rows[-1].append((number, name, end))
        end += size
    return rows


def axes(chart: Chart, horizontal: tuple[float, float], vertical: tuple[float, float]) -> tuple[Axis, Axis]:
    """The axes on which all curves and marks find room, each from where to where it is drawn."""
    xs = [value for line in chart.lines for value in line.x] + [mark.x for mark in chart.marks]
    ys = [value for line in chart.lines for value in line.y]
    return Axis.over(xs, *horizontal, chart.log_x), Axis.over(ys, *vertical, chart.log_y)


def _parts(chart: Chart) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    across, up = axes(chart, (LEFT, WIDTH - RIGHT), (bottom, TOP))
    for y, label in up.ticks():
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dcdfe5"/>\n'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end" fill="#596273">{label}</text>\n'
    for x, label in across.ticks():
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 3}" stroke="#596273"/>\n'
        room = WIDTH - LETTER * len(label) / 2
        yield f'<text x="{min(x, room):.1f}" y="{bottom + 14}" text-anchor="middle" fill="#596273">{label}</text>\n'
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}" stroke="#596273"/>\n'
    yield (
        f'<text x="{WIDTH - RIGHT}" y="{bottom + 27}" text-anchor="end" fill="#596273">'
        f"{escaped(chart.x_label)}</text>\n"
    )
    for place, line in enumerate(chart.lines):
        yield from _curve(line, place, across, up)
    for row, mark in enumerate(marks(chart)):
        yield _mark(mark, row, across.at(mark.x))
    for row, names in enumerate(_legend(chart)):
        for place, name, x in names:
            yield _entry(place, name, x, HEIGHT + ROW * row)


def _curve(line: Line, place: int, across: Axis, up: Axis) -> Iterator[str]:
    """A curve, in pieces where it is interrupted; a piece of one point is a dot."""
    attributes = f'class="series-{place % len(COLOURS)}" fill="none" stroke="{COLOURS[place % len(COLOURS)]}"'
    for piece in pieces(line, across, up):
        points = [f"{x:.1f},{y:.1f}" for x, y in piece]
        path = " ".join(points * 2 if len(points) == 1 else points)
        width = 4 if len(points) == 1 else 1.5
        yield (
            f'<polyline {attributes} stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round" '
            f'points="{path}"><title>{escaped(line.name)}</title></polyline>\n'
        )


def pieces(line: Line, across: Axis, up: Axis) -> Iterator[list[tuple[float, float]]]:
    """The places that a curve runs through, from one interruption to the next."""
    for is_shown, piece in groupby(
        zip(line.x, line.y, strict=True),
        lambda point: _is_shown(point[0], across.is_log) and _is_shown(point[1], up.is_log),
    ):
        if is_shown:
            yield [(across.at(x), up.at(y)) for x, y in piece]


def marks(chart: Chart) -> list[Mark]:
    """The marks that have a place on the axis."""
    return [mark for mark in chart.marks if _is_shown(mark.x, chart.log_x)]


def _mark(mark: Mark, row: int, x: float) -> str:
    colour = MARKS[mark.kind]
    y = TOP + 9 + 12 * (row % 8)
    beside = f'x="{x + 4:.1f}"' if x < WIDTH / 2 else f'x="{x - 4:.1f}" text-anchor="end"'
    return (
        f'<line class="{mark.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{colour}" '
        'stroke-dasharray="4 3"/>\n'
        f'<text class="{mark.kind}" {beside} y="{y}" fill="{colour}">{escaped(mark.name)}</text>\n'
    )


def _entry(place: int, name: str, x: float, y: float) -> str:
    colour = place % len(COLOURS)
    return (
        f'<line class="series-{colour}" x1="{x:g}" x2="{x + 12:g}" y1="{y + 6:g}" y2="{y + 6:g}" '
        f'stroke="{COLOURS[colour]}" stroke-width="3"/>\n'
        f'<text x="{x + 16:g}" y="{y + 10:g}" fill="#596273">{escaped(name)}</text>\n'
    )


def small(line: Line, others: Iterable[Line]) -> str:
    """A curve beside text, on the logarithmic scale that it shares with others; nothing where there are no values."""
    across = Axis.over((x for other in others for x in other.x), 2, SMALL_WIDTH - 2, False)
    up = Axis.over((y for other in others for y in other.y), SMALL_HEIGHT - 3, 3, True)
    return _small(line.name, "".join(_curve(line, 0, across, up)))


def bars(name: str, counts: Sequence[float], before: Sequence[float] = ()) -> str:
    """A histogram beside text, over the outline of another."""
    most = max((*counts, *before, 1.0))
    width = SMALL_WIDTH / max(1, len(counts))
    heights = [(SMALL_HEIGHT - 2) * count / most for count in counts]
    parts = [
        f'<rect class="bar" x="{place * width:.1f}" y="{SMALL_HEIGHT - height:.1f}" width="{width * 0.85:.1f}" '
        f'height="{height:.1f}" fill="{COLOURS[0]}"/>'
        for place, height in enumerate(heights)
        if height
    ]
    if before:
        points = " ".join(
            f"{x:.1f},{SMALL_HEIGHT - (SMALL_HEIGHT - 2) * count / most:.1f}"
            for place, count in enumerate(before)
            for x in (place * width, (place + 1) * width)
        )
        parts.append(f'<polyline class="series-1" fill="none" stroke="{COLOURS[1]}" points="{points}"/>')
    return _small(name, "".join(parts))


def _small(name: str, inner: str) -> str:
    return (
        f'<svg class="chart small" viewBox="0 0 {SMALL_WIDTH} {SMALL_HEIGHT}" role="img" '
        f'aria-label="{escaped(name)}">{inner}</svg>'
    )


def number(value: float) -> str:
    """A number in few letters."""
    if value and not 1e-3 <= abs(value) < 1e5 and math.isfinite(value):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}"
