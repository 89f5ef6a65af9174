"""Selection, per-file ignores and suppression around an analysis that finds what each test says."""

from __future__ import annotations

import json

from cli.support import TRAINING, Engine, finding

from trainlint.config import Configuration, Overrides, Selection
from trainlint.discovery import discover
from trainlint.engine import Result, check
from trainlint.syntax import load, source


def checked(*paths: str, selection: Selection | None = None, texts: dict[str, str] | None = None) -> Result:
    configuration = Configuration(Overrides(selection or Selection()))
    return check(discover(paths or ["."], configuration), texts=texts)


def places(result: Result) -> list[str]:
    return [f"{found.filename}:{found.span.line} {found.code}" for found in result.findings]


def test_only_files_that_may_concern_a_rule_are_analysed(project, engine: Engine) -> None:
    root = project({"a.py": TRAINING, "b.py": "import os\n", "c.py": "import numpy\n"})
    assert checked().files == 3
    assert engine.files == [(root / "a.py", "a.py"), (root / "c.py", "c.py")]


def test_a_file_that_cannot_be_read_is_left_to_the_reader_of_the_project(project, engine: Engine) -> None:
    root = project({"a.py": ""})
    (root / "gone.py").symlink_to("nowhere")
    checked()
    assert engine.names == ["gone.py"]


def test_what_several_units_run_is_parsed_once(project, monkeypatch) -> None:
    by_name = "import importlib\nimport torch\n\nfor name in ('n' + 'et',):\n    importlib.import_module(name)\n"
    project({"net.py": "import torch\n", "train.py": "import torch\nimport net\n", "tool.py": by_name})
    loaded = []

    def counting(path, *arguments):
        loaded.append(path.name)
        return load(path, *arguments)

    monkeypatch.setattr(source, "load", counting)
    assert not checked().findings
    assert sorted(loaded) == ["net.py", "tool.py", "train.py"]


def test_findings_come_in_order_of_place(project, engine: Engine) -> None:
    project({"a.py": TRAINING, "b.py": TRAINING})
    engine.findings = [
        finding("TL301", "b.py", 2),
        finding("TL101", "b.py", 2),
        finding("TL101", "b.py", 1),
        finding("TL101", "a.py", 9),
    ]
    assert places(checked()) == ["a.py:9 TL101", "b.py:1 TL101", "b.py:2 TL101", "b.py:2 TL301"]


def test_only_selected_rules_run_and_only_their_findings_count(project, engine: Engine) -> None:
    project({"a.py": TRAINING})
    engine.findings = [finding("TL101", "a.py"), finding("TL301", "a.py"), finding("TL000", "a.py")]
    assert places(checked(selection=Selection(select=("TL3",)))) == ["a.py:1 TL000", "a.py:1 TL301"]
    assert engine.codes
    assert all(code.startswith("TL3") for code in engine.codes)


def test_a_finding_in_a_file_that_was_not_asked_for_does_not_count(project, engine: Engine) -> None:
    project({"a.py": TRAINING, "b.py": TRAINING})
    engine.findings = [finding(filename="a.py"), finding(filename="b.py")]
    assert places(checked("a.py")) == ["a.py:1 TL101"]


def test_each_file_falls_under_the_settings_nearest_to_it(project, engine: Engine) -> None:
    project({"a.py": TRAINING, "sub/b.py": TRAINING, "sub/trainlint.toml": 'select = ["TL3"]'})
    engine.findings = [finding(code, name) for code in ("TL101", "TL301") for name in ("a.py", "sub/b.py")]
    assert places(checked()) == ["a.py:1 TL101", "a.py:1 TL301", "sub/b.py:1 TL301"]


def test_per_file_ignores(project, engine: Engine) -> None:
    project(
        {
            "trainlint.toml": """
                [per-file-ignores]
                "tests/**" = ["TL1", "missing-eval-mode"]
                "*_old.py" = ["ALL"]
            """,
            "a.py": TRAINING,
            "tests/b.py": TRAINING,
            "src/c_old.py": TRAINING,
        }
    )
    names = ("a.py", "tests/b.py", "src/c_old.py")
    engine.findings = [finding(code, name) for code in ("TL002", "TL101", "TL201", "TL301") for name in names]
    assert places(checked()) == [
        "a.py:1 TL002",
        "a.py:1 TL101",
        "a.py:1 TL201",
        "a.py:1 TL301",
        "src/c_old.py:1 TL002",
        "tests/b.py:1 TL002",
        "tests/b.py:1 TL201",
    ]


def test_suppression_and_what_of_it_is_unused(project, engine: Engine) -> None:
    project({"a.py": TRAINING + "loss = f(x)  # noqa: TL101\ny = 1  # trainlint: ignore[TL301]\n"})
    engine.findings = [finding(filename="a.py", line=2), finding(filename="a.py", line=3)]
    assert places(checked()) == ["a.py:3 TL101", "a.py:3 TL001"]
    assert places(checked(selection=Selection(ignore=("TL001",)))) == ["a.py:3 TL101"]
    assert places(checked(selection=Selection(select=("TL1",)))) == ["a.py:3 TL101"]


def test_an_unused_suppression_is_told_in_any_file(project, engine: Engine) -> None:
    project({"a.py": "import os  # noqa: TL101\n"})
    assert places(checked()) == ["a.py:1 TL001"]


def test_per_file_ignores_leave_a_suppression_without_a_judge(project, engine: Engine) -> None:
    project({"a.py": TRAINING + "x = 1  # noqa: TL101\n", "trainlint.toml": "per-file-ignores = { 'a.py' = ['TL1'] }"})
    assert places(checked()) == []


def test_a_file_that_was_not_read_has_no_unused_suppressions(project, engine: Engine) -> None:
    project({"a.py": TRAINING + "x = 1  # noqa: TL101\n"})
    for code in ("TL000", "TL002"):
        engine.findings = [finding(code, "a.py")]
        assert places(checked()) == [f"a.py:1 {code}"]


def test_an_unreadable_file_can_be_suppressed_as_a_whole(project, engine: Engine) -> None:
    project({"a.py": TRAINING + "# trainlint: ignore-file\nprint 'Python 2'\n"})
    engine.findings = [finding("TL000", "a.py", 3)]
    assert places(checked()) == []


def test_suppression_in_a_file_of_another_encoding(project, engine: Engine) -> None:
    root = project({})
    (root / "a.py").write_bytes("# coding: latin-1\nimport torch\nx = 'é'  # noqa: TL101\n".encode("latin-1"))
    (root / "b.py").write_bytes(b"import torch\nx = '\xe9'  # noqa: TL101\n")
    engine.findings = [finding(filename="a.py", line=3), finding(filename="b.py", line=2)]
    assert places(checked()) == ["b.py:2 TL101"]


def test_suppression_in_a_notebook(project, engine: Engine) -> None:
    sources = ["import torch\n%time", "y = 1  # noqa: TL301", "!ls # noqa: TL102\nloss = f(x)  # noqa: TL101"]
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    project({"n.ipynb": json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})})
    # Statements are counted in the joined text of the code cells.
    engine.findings = [
        finding("TL101", "n.ipynb", 2, cell=3, statement_lines=(5, 5)),
        finding("TL102", "n.ipynb", 2, cell=3, statement_lines=(5, 5)),
    ]
    found = checked().findings
    assert [(one.code, one.cell, one.span.line) for one in found] == [("TL001", 2, 1), ("TL102", 3, 2)]


def test_texts_stand_for_files(project, engine: Engine) -> None:
    root = project({"a.py": "import os\n"})
    engine.findings = [finding(filename="a.py", line=2)]
    assert places(checked("a.py", texts={"a.py": TRAINING + "x = 1  # noqa\n"})) == []
    assert engine.texts == {str(root / "a.py"): TRAINING + "x = 1  # noqa\n"}
