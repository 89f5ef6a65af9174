"""Charts in a terminal: where the curves run, what is written beside them, and that nothing breaks them."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainlint.reports.page.charts import Chart, Line, Mark
from trainlint.reports.style import Style, width
from trainlint.reports.terminal import HEIGHT, drawn

PLAIN = Style()


def rows(chart: Chart, columns: int = 80) -> list[str]:
    """The rows of the curves, without the labels left of them."""
    lines = drawn(chart, columns, PLAIN).splitlines()
    assert len(lines) == 1 + HEIGHT + 2
    return [line[10:] for line in lines[1 : 1 + HEIGHT]]


def places(chart: Chart) -> dict[int, int]:
    """The first row with dots of each column."""
    found: dict[int, int] = {}
    for number, row in enumerate(rows(chart)):
        for column, letter in enumerate(row):
            if 0x2800 < ord(letter) < 0x2900:
                found.setdefault(column, number)
    return found


def chart(*lines: Line, marks: tuple[Mark, ...] = ()) -> Chart:
    return Chart("run.csv: loss", "step", lines, marks)


def test_a_falling_line_runs_from_the_upper_left_to_the_lower_right() -> None:
    found = places(chart(Line("a", range(50), [50 - i for i in range(50)])))
    assert (found[0], found[max(found)]) == (0, HEIGHT - 1)
    assert list(found) == sorted(found)
    assert sorted(found) == list(range(max(found) + 1))
    assert found[max(found) // 2] == HEIGHT // 2


def test_each_name_stands_where_its_curve_ends() -> None:
    lines = rows(chart(Line("train", range(9), range(9, 0, -1)), Line("val", range(9), [9] * 9)))
    assert lines[0].endswith(" val")
    assert lines[-1].endswith(" train")


def test_names_of_curves_that_end_together_are_both_there() -> None:
    lines = rows(chart(*(Line(f"fold{i}", range(9), range(9, 0, -1)) for i in range(4))))
    assert {line.split()[-1] for line in lines[-4:]} == {"fold0", "fold1", "fold2", "fold3"}


def test_a_curve_is_interrupted_where_there_is_no_value() -> None:
    found = places(chart(Line("a", range(9), [1, 2, 3, math.nan, math.inf, math.nan, 4, 5, 6])))
    gaps = [b - a for a, b in zip(sorted(found), sorted(found)[1:], strict=False)]
    assert max(gaps) > 20


def test_a_mark_stands_at_its_step_with_its_name() -> None:
    line = Line("a", range(101), range(101, 0, -1))
    lines = rows(chart(line, marks=(Mark(50, "TC106"), Mark(99, "TC101"))))
    column = lines[1].index("┊")
    assert lines[0][column:] == "┊TC106" + lines[0][column + 6 :]
    assert abs(places(chart(line))[column] - HEIGHT // 2) <= 1
    assert "TC101┊" in lines[1]
    assert all("┊" in row for row in lines)


@pytest.mark.parametrize("columns", [1, 40, 80, 200])
def test_it_keeps_within_the_columns(columns: int) -> None:
    wide = chart(
        Line("a_very_long_name_of_a_metric/with/parts", range(30), range(30)),
        Line("val\x1b[31m\n", range(30), range(30, 0, -1)),
        marks=(Mark(29, "TC110", "info"), Mark(0, "TC101", "error")),
    )
    text = drawn(wide, columns, PLAIN)
    assert all(width(line) <= max(columns, 48) for line in text.splitlines())
    assert "\x1b" not in text


def test_colour_only_where_it_is_wanted() -> None:
    one = chart(Line("a", range(9), range(9)), marks=(Mark(3, "TC101", "error"),))
    assert "\x1b[31;1m" in drawn(one, 80, Style(color=True))
    assert "\x1b" not in drawn(one, 80, PLAIN)


def test_a_terminal_without_such_letters_gets_plain_ones() -> None:
    text = drawn(chart(Line("a", range(9), range(9)), marks=(Mark(3, "TC101"),)), 80, PLAIN, "ascii")
    assert text.isascii()
    assert "*" in text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=20),
    st.lists(st.floats(), max_size=12),
    st.integers(0, 300),
)
def test_any_numbers_can_be_drawn(points: list[tuple[float, float]], marks: list[float], columns: int) -> None:
    line = Line("a", [x for x, _ in points], [y for _, y in points])
    drawn(chart(line, marks=tuple(Mark(x, "TC101", "error") for x in marks)), columns, PLAIN)
