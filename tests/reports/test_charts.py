"""Charts as SVG: where the curves run, and that nothing breaks them."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainlint.reports.page.charts import Chart, Line, Mark, drawn, standalone

HOSTILE = "</svg><script>alert('\x00')</script>"


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(drawn(chart))


def curves(chart: Chart) -> list[list[tuple[float, ...]]]:
    """The places that each curve runs through."""
    return [
        [tuple(float(part) for part in point.split(",")) for point in line.attrib["points"].split()]
        for line in parsed(chart).iter("polyline")
    ]


def texts(chart: Chart) -> list[str]:
    return [element.text or "" for element in parsed(chart).iter("text")]


def chart(*lines: Line, **options: object) -> Chart:
    return Chart("loss", "step", lines, **options)  # type: ignore[arg-type]


def test_a_curve_spans_the_chart_and_falls_where_its_values_fall() -> None:
    (points,) = curves(chart(Line("a", [0, 1, 2], [4, 3, 0])))
    (left, top), middle, (right, bottom) = points
    assert middle[0] == pytest.approx((left + right) / 2)
    assert middle[1] == pytest.approx(top + (bottom - top) / 4)
    assert top < bottom


def test_on_a_logarithmic_axis_factors_are_distances() -> None:
    (points,) = curves(chart(Line("a", [1e-4, 1e-3, 1e-2], [1, 10, 100]), log_x=True, log_y=True))
    first, middle, last = points
    assert middle == pytest.approx([(a + b) / 2 for a, b in zip(first, last, strict=True)])
    assert {"1e-4", "0.001", "0.01", "1", "10", "100"} <= set(
        texts(chart(Line("a", [1e-4, 1e-2], [1, 100]), log_x=True, log_y=True))
    )


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_curve_is_interrupted_where_there_is_no_value(lost: float) -> None:
    pieces = curves(chart(Line("a", range(5), [1, 2, lost, 3, 4])))
    assert [len(piece) for piece in pieces] == [2, 2]
    alone = curves(chart(Line("a", range(3), [1, lost, 3])))
    assert [len(set(piece)) for piece in alone] == [1, 1]


def test_what_a_logarithm_has_no_place_for_is_left_out() -> None:
    assert [len(piece) for piece in curves(chart(Line("a", range(4), [0, 1, 2, -1]), log_y=True))] == [2]


def test_several_curves_have_a_legend_and_one_has_none() -> None:
    one, other = Line("train", [0, 1], [1, 2]), Line("val", [0, 1], [2, 3])
    assert "train" not in texts(chart(one))
    assert {"train", "val"} <= set(texts(chart(one, other)))


def test_a_long_legend_takes_rows_within_the_width() -> None:
    lines = [Line(f"layer{i}.attention.output.dense.weight", [0, 1], [i, 1]) for i in range(9)]
    found = [e for e in parsed(chart(*lines)).iter("text") if "layer" in (e.text or "") or "…" in (e.text or "")]
    places = {(e.attrib["x"], e.attrib["y"]) for e in found}
    assert len(places) == len(lines)
    assert all(float(e.attrib["x"]) + 5 * len(e.text or "") < 340 for e in found)


def test_marks_stand_at_their_x_and_say_their_names() -> None:
    marked = chart(Line("a", [0, 10], [1, 2]), marks=[Mark(0, "first"), Mark(10, "TC101", "error")])
    (points,) = curves(marked)
    dashed = [line for line in parsed(marked).iter("line") if "stroke-dasharray" in line.attrib]
    assert [float(line.attrib["x1"]) for line in dashed] == [points[0][0], points[-1][0]]
    assert [line.attrib["class"] for line in dashed] == ["info", "error"]
    assert {"first", "TC101"} <= set(texts(marked))


def test_names_are_only_text_and_no_attribute_is_a_style() -> None:
    hostile = Chart(HOSTILE, HOSTILE, [Line(HOSTILE, [0, 1], [1, 2]), Line("b", [0], [1])], [Mark(1, HOSTILE)])
    root = parsed(hostile)
    assert {element.tag for element in root.iter()} == {"svg", "text", "line", "polyline", "title"}
    assert not [element for element in root.iter() if "style" in element.attrib]


def test_charts_that_stand_alone_are_one_document_without_anything_from_elsewhere() -> None:
    text = standalone([chart(Line("a", [0, 1], [1, 2])), chart(Line("b", [0, 1], [1, 2]), Line("c", [0], [1]))])
    root = ElementTree.fromstring(text)
    inner = [element for element in root if element.tag.endswith("}svg")]
    ends = [float(element.attrib["y"]) + float(element.attrib["height"]) for element in inner]
    assert ends[0] < float(inner[1].attrib["y"])
    assert ends[1] < float(root.attrib["viewBox"].split()[3])
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_whatever_the_numbers_curves_stay_inside(points: list[tuple[float, float]], log_x: bool, log_y: bool) -> None:
    any_chart = chart(
        Line("a", *(list(column) for column in zip(*points, strict=True)) if points else ([], [])),
        log_x=log_x,
        log_y=log_y,
    )
    for piece in curves(any_chart):
        assert all(0 <= x <= 340 and 0 <= y <= 150 for x, y in piece)
    assert len(texts(any_chart)) < 40
