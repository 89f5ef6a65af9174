from __future__ import annotations

import io
import json
from textwrap import dedent

import pytest
from cli.support import finding

from trainlint.findings import Edit, Finding, Fix, Related, Safety, Severity, Span
from trainlint.reports import renderer, statistics
from trainlint.reports.progress import ProgressBar
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style, wants_color

PLAIN, COLOR = Style(), Style(color=True)

TRAIN = "import torch\n\nloss = F.cross_entropy(out, y)\n"
MODEL = "\n" * 11 + "        return F.softmax(x,\n            dim=1)\n"
TEXTS = {"train.py": TRAIN, "model.py": MODEL}

FULL_FINDING = Finding(
    "TL101",
    "softmax-before-cross-entropy",
    "`cross_entropy` gets probabilities (softmax at model.py:12)",
    Severity.ERROR,
    "train.py",
    Span(3, 24, 3, 27),
    related=(Related("model.py", Span(12, 16, 13, 19), "softmax"),),
    fix=Fix("remove the softmax", (Edit("model.py", Span(12, 16, 13, 19), "x"),), Safety.UNSAFE),
)


def rendered(output_format: str, *findings: Finding, texts: dict[str, str] | None = None, style: Style = PLAIN) -> str:
    return "".join(renderer(output_format)(findings, Sources(texts or TEXTS), style))


def test_concise_is_one_line_a_finding_as_editors_know_it() -> None:
    found = [finding(line=3, column=7), finding("TL301", "a b/Ünï.py", line=10, name="missing-eval-mode")]
    assert rendered("concise", *found) == "train.py:3:7: TL101 a message\na b/Ünï.py:10:1: TL301 a message\n"


def test_concise_in_a_notebook_names_the_cell() -> None:
    assert rendered("concise", finding(filename="n.ipynb", cell=3, line=4, column=5)) == (
        "n.ipynb:cell 3:4:5: TL101 a message\n"
    )


def test_concise_stays_one_line_whatever_the_names_are() -> None:
    assert rendered("concise", finding(filename="a\nb.py")).count("\n") == 1


def test_concise_in_colour_says_the_same() -> None:
    import re

    colored = rendered("concise", finding(), style=COLOR)
    assert colored != rendered("concise", finding())
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == rendered("concise", finding())


def test_full_shows_the_code_and_the_places_that_explain_it() -> None:
    assert rendered("full", FULL_FINDING) == dedent("""\
        train.py:3:24: TL101 `cross_entropy` gets probabilities (softmax at model.py:12)
           |
         3 | loss = F.cross_entropy(out, y)
           |                        ^^^
           --> model.py:12:16: softmax
           |
        12 |         return F.softmax(x,
           |                ------------
           = fix: remove the softmax (unsafe: read the change before you keep it)

    """)


def frame(line: str, span: Span) -> list[str]:
    """The line of code and the line below it in a frame."""
    found = Finding("TL101", "name", "message", Severity.ERROR, "a.py", span)
    return rendered("full", found, texts={"a.py": line}).splitlines()[2:4]


def test_a_caret_stands_below_what_it_marks() -> None:
    assert frame("\tloss = f(x)", Span(1, 2, 1, 6)) == ["1 |     loss = f(x)", "  |     ^^^^"]
    assert frame("'日本' + x", Span(1, 8, 1, 9)) == ["1 | '日本' + x", "  |          ^"]
    assert frame("'e\u0301' + x", Span(1, 8, 1, 9)) == ["1 | 'e\u0301' + x", "  |       ^"]


def test_a_place_beyond_the_line_or_without_width_still_gets_a_caret() -> None:
    assert frame("abc", Span(1, 4, 1, 4)) == ["1 | abc", "  |    ^"]
    assert frame("abc", Span(1, 90, 1, 99)) == ["1 | abc", "  |    ^"]


def test_a_very_long_line_is_shown_in_part() -> None:
    line = "x" * 5000 + "here" + "y" * 5000
    code, carets = frame(line, Span(1, 5001, 1, 5005))
    assert len(code) < 200
    assert code.index("here") == carets.index("^^^^")
    assert all(len(part) < 200 for part in frame("z" * 9000, Span(1, 1, 1, 9001)))


def test_a_line_that_cannot_be_had_is_left_out() -> None:
    assert rendered("full", finding(line=9)) == "train.py:9:1: TL101 a message\n\n"
    assert rendered("full", finding(filename="gone.py")) == "gone.py:1:1: TL101 a message\n\n"


def test_full_shows_the_cell_of_a_notebook() -> None:
    cells = [
        {"cell_type": "code", "source": "import torch"},
        {"cell_type": "markdown", "source": "words"},
        {"cell_type": "code", "source": ["%time\n", "loss = f(x)\n"], "outputs": []},
    ]
    text = json.dumps({"cells": cells, "nbformat": 4, "metadata": {}})
    found = finding(filename="n.ipynb", cell=2, line=2)
    assert "2 | loss = f(x)\n" in rendered("full", found, texts={"n.ipynb": text})
    # And no line rather than a crash, where there is no such cell.
    for broken in ("{", "[]", '{"cells": 3}', text.replace("code", "raw")):
        assert rendered("full", found, texts={"n.ipynb": broken}) == "n.ipynb:cell 2:2:1: TL101 a message\n\n"


def test_lines_are_those_that_python_counts(write) -> None:
    root = write({"a.py": "x = '\x0c\u2028'\ry = 1\r\nz = 2"})
    name = str(root / "a.py")
    sources = Sources()
    assert [sources.line(name, None, number) for number in (1, 2, 3, 4)] == ["x = '\x0c\u2028'", "y = 1", "z = 2", None]


def test_json() -> None:
    assert json.loads(rendered("json")) == []
    assert json.loads(rendered("json", finding(filename="Ünï.py", cell=2), FULL_FINDING)) == [
        {
            "code": "TL101",
            "name": "softmax-before-cross-entropy",
            "message": "a message",
            "severity": "error",
            "filename": "Ünï.py",
            "cell": 2,
            "line": 1,
            "column": 1,
            "end_line": 1,
            "end_column": 2,
            "related": [],
            "fix": None,
            "run": None,
            "counterparts": [],
        },
        {
            "code": "TL101",
            "name": "softmax-before-cross-entropy",
            "message": "`cross_entropy` gets probabilities (softmax at model.py:12)",
            "severity": "error",
            "filename": "train.py",
            "cell": None,
            "line": 3,
            "column": 24,
            "end_line": 3,
            "end_column": 27,
            "related": [
                {
                    "filename": "model.py",
                    "cell": None,
                    "line": 12,
                    "column": 16,
                    "end_line": 13,
                    "end_column": 19,
                    "message": "softmax",
                }
            ],
            "fix": {
                "message": "remove the softmax",
                "safety": "unsafe",
                "edits": [
                    {
                        "filename": "model.py",
                        "cell": None,
                        "line": 12,
                        "column": 16,
                        "end_line": 13,
                        "end_column": 19,
                        "replacement": "x",
                    }
                ],
            },
            "run": None,
            "counterparts": [],
        },
    ]


def test_statistics_count_the_most_frequent_first() -> None:
    found = [finding("TL301", name="missing-eval-mode"), *[finding(line=line) for line in range(12)], finding("TL102")]
    assert "".join(statistics.render(found, "concise", PLAIN)).splitlines() == [
        "12  TL101  softmax-before-cross-entropy",
        " 1  TL102  softmax-before-cross-entropy",
        " 1  TL301  missing-eval-mode",
    ]
    assert "".join(statistics.render([], "concise", PLAIN)) == ""
    assert json.loads("".join(statistics.render(found[1:3], "json", COLOR))) == [
        {"code": "TL101", "name": "softmax-before-cross-entropy", "count": 2}
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "stream", "environ", "expected"),
    [
        ("auto", Terminal(), {}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", Terminal(), {"NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"NO_COLOR": ""}, True),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("auto", io.StringIO(), {"FORCE_COLOR": "1"}, True),
        ("auto", io.StringIO(), {"FORCE_COLOR": "0"}, False),
        ("auto", io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("never", Terminal(), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_when_to_colour(choice: str, stream: io.StringIO, environ: dict[str, str], expected: bool) -> None:
    assert wants_color(choice, stream, environ) is expected


def test_a_progress_bar_shows_itself_only_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    clock = iter([0.0, 0.5, 1.5, 1.6])
    monkeypatch.setattr("trainlint.reports.progress.time.monotonic", lambda: next(clock, 2.0))
    with ProgressBar() as progress:
        progress(1, 3)
        assert terminal.getvalue() == ""
        progress(2, 3)
        progress(3, 3)
    assert "checking" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
