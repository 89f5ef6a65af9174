"""`check --with-run`: findings in the source, and what a recorded run says of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cli.support import MISTAKE, Run

from trainlint.checks import catalogue
from trainlint.counterparts import TABLE, in_run, in_source
from trainlint.pages import runtime_rules

ROOT = str(Path(__file__).parents[2])

# A mistake of the training as a whole, TL704; that in MISTAKE is one of a line.
FAST = """\
import torch
model = torch.nn.Linear(3, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=1000.0)
for step in range(9):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(torch.randn(8, 3)), torch.randn(8, 3)).backward()
    optimizer.step()
"""


def shown(code: str, line: int, column: int = 12, end_column: int = 50, filename: str = "train.py") -> dict[str, Any]:
    """A finding of a run, or a place that was well."""
    span = {"line": line, "column": column, "end_line": line, "end_column": end_column}
    return {"code": code, "filename": filename, "counterparts": in_source(code), **span}


def write(
    folder: Path,
    *findings: dict[str, Any],
    well: tuple[dict[str, Any], ...] = (),
    files: tuple[str, ...] = ("train.py",),
    lines: list[list[int]] | None = None,
    whole: bool = True,
) -> None:
    """A record of a run of files as they are now."""
    digests = {name: sha256((folder / name).read_bytes()).hexdigest() for name in files}
    record = {
        "version": 1,
        "folder": str(folder),
        "findings": findings,
        "known": [],
        "well": well,
        "is_whole": whole,
        "files": {name: {"sha256": digest, "lines": lines} for name, digest in digests.items()},
    }
    (folder / "run.json").write_text(json.dumps(record))


def judged(run: Run, *arguments: str) -> list[tuple[str, str, list[str]]]:
    """Of each finding its code, what the run says, and the rules that confirm it."""
    outcome = run("--select", "TL101,TL704", "--with-run", "run.json", "--output-format", "json", *arguments)
    return [(row["code"], row["run"], row["counterparts"]) for row in json.loads(outcome.out)]


def test_the_table_names_rules_that_there_are() -> None:
    source, run = ({info.code for info in rules} for rules in (catalogue(), runtime_rules()))
    assert {row.source for row in TABLE} <= source
    assert {code for row in TABLE for code in row.run} <= run
    assert len({row.source for row in TABLE}) == len(TABLE)
    assert all(bool(row.run) != bool(row.unseen) for row in TABLE)
    assert not [row for row in TABLE if row.can_refute and not row.is_local]


def test_the_table_is_read_from_both_sides() -> None:
    assert in_run("TL502") == ("TR204", "TR403")
    assert in_run("TL206") == in_run("TL801") == ()
    assert in_source("TR405") == ("TL601", "TL602", "TL701", "TL703")
    assert in_source("TR202", {"loss": "nll_loss"}) == ("TL104",)


def test_a_finding_at_the_line_confirms(project, run: Run) -> None:
    write(project({"train.py": MISTAKE}), shown("TR202", 6))
    assert judged(run) == [("TL101", "confirmed", ["TR202"])]
    outcome = run("--select", "TL101", "--with-run", "run.json")
    assert outcome.status == 1
    assert outcome.out.endswith("so gradients flatten (confirmed by a run: TR202)\n")
    assert outcome.err == (
        "Found 1 error.\nBy the run: 1 confirmed.\nNo fixes available (1 hidden fix can be enabled with the "
        "`--unsafe-fixes` option).\n"
    )


@pytest.mark.parametrize("other", [shown("TR202", 5), shown("TR205", 6), shown("TR202", 6, filename="other.py")])
def test_one_at_another_line_or_of_another_kind_does_not(project, run: Run, other: dict[str, Any]) -> None:
    write(project({"train.py": MISTAKE, "other.py": ""}), other)
    assert judged(run) == [("TL101", "not judged", [])]


def test_what_is_about_the_training_confirms_from_anywhere(project, run: Run) -> None:
    write(project({"train.py": FAST, "loop.py": ""}), shown("TR204", 9, filename="loop.py"), files=("train.py",))
    assert judged(run) == [("TL704", "confirmed", ["TR204"])]


def test_but_not_if_several_could_be_meant(project, run: Run) -> None:
    folder = project({"train.py": FAST, "other.py": FAST})
    write(folder, shown("TR204", 9), files=("train.py", "other.py"))
    assert judged(run) == [("TL704", "not judged", [])] * 2
    write(folder, shown("TR204", 9), files=("train.py",))
    assert judged(run) == [("TL704", "not reached", []), ("TL704", "confirmed", ["TR204"])]


def test_a_place_that_was_well_refutes(project, run: Run) -> None:
    folder = project({"train.py": MISTAKE})
    write(folder, well=(shown("TR202", 6),))
    assert judged(run) == [("TL101", "refuted", [])]
    assert "gradients flatten (refuted by a run)\n" in run("--select", "TL101", "--with-run", "run.json").out
    write(folder, shown("TR202", 6), well=(shown("TR202", 6),))
    assert judged(run) == [("TL101", "confirmed", ["TR202"])]


@pytest.mark.parametrize("other", [shown("TR202", 6, 50, 60), shown("TR202", 5), shown("TR411", 6)])
def test_another_place_refutes_nothing(project, run: Run, other: dict[str, Any]) -> None:
    write(project({"train.py": MISTAKE}), well=(other,))
    assert judged(run) == [("TL101", "not judged", [])]


def test_of_a_place_without_columns_the_line_counts(project, run: Run) -> None:
    write(project({"train.py": MISTAKE}), well=(shown("TR202", 6, 1, 1),))
    assert judged(run) == [("TL101", "refuted", [])]


def test_lines_that_did_not_run_are_not_reached(project, run: Run) -> None:
    folder = project({"train.py": MISTAKE})
    write(folder, well=(shown("TR202", 6),), lines=[[1, 4]])
    assert judged(run) == [("TL101", "not reached", [])]
    assert "(not reached by the run)\n" in run("--select", "TL101", "--with-run", "run.json").out
    write(folder, lines=[[1, 4], [6, 6]])
    assert judged(run) == [("TL101", "not judged", [])]
    write(folder, lines=[[1, 4]], whole=False)
    assert judged(run) == [("TL101", "not judged", [])]


def test_a_file_that_has_changed_is_not_judged_and_that_is_said_once(project, run: Run) -> None:
    folder = project({"train.py": MISTAKE + MISTAKE.partition("\n\n")[2].replace("loss_of", "other")})
    write(folder, shown("TR202", 6))
    assert [row[1] for row in judged(run)] == ["confirmed", "not judged"]
    with (folder / "train.py").open("a") as file:
        file.write("# a comment\n")
    assert [row[1] for row in judged(run)] == ["not judged"] * 2
    told = run("--select", "TL101", "--with-run", "run.json").err
    assert told.count("train.py: the file has changed since the run, so nothing in it is judged.\n") == 1


def test_a_file_that_was_moved_is_known_by_what_it_holds(project, run: Run) -> None:
    folder = project({"train.py": MISTAKE})
    write(folder, shown("TR202", 6))
    (folder / "sub").mkdir()
    (folder / "train.py").rename(folder / "sub" / "train.py")
    assert judged(run) == [("TL101", "confirmed", ["TR202"])]


def test_a_record_of_another_machine(project, run: Run) -> None:
    folder = project({"train.py": MISTAKE})
    write(folder, shown("TR202", 6))
    record = json.loads((folder / "run.json").read_text())
    record["folder"] = "/no/such/machine"
    (folder / "run.json").write_text(json.dumps(record))
    assert judged(run) == [("TL101", "confirmed", ["TR202"])]
    (folder / "train.py").write_text(MISTAKE + "\n")
    assert judged(run) == [("TL101", "not judged", [])]


def test_of_notebooks_a_run_tells_nothing(project, run: Run) -> None:
    cell = {"cell_type": "code", "source": MISTAKE, "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    write(project({"train.ipynb": json.dumps(notebook), "train.py": ""}), shown("TR202", 6))
    assert judged(run) == [("TL101", "not judged", [])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the record of a run run.json: No such file or directory"),
        ("{", "run.json is not JSON, so no record of a run"),
        ("[" * 100_000, "run.json is not JSON, so no record of a run"),
        ("[]", "run.json is no record of a run; `trainlint run --output-format json --output-file FILE` records one"),
        ('{"version": 2}', "run.json was recorded by a newer trainlint, in a format that this one does not know"),
        ('{"version": 1, "files": {}}', "run.json is no record of a run"),
        (
            '{"folder": "/", "files": {"a.py": 3}, "findings": [], "known": [], "well": [], "is_whole": true}',
            "run.json is no record of a run",
        ),
    ],
)
def test_what_is_no_record_is_refused(project, run: Run, content: str | None, message: str) -> None:
    folder = project({"train.py": MISTAKE})
    if content is not None:
        (folder / "run.json").write_text(content)
    outcome = run("--with-run", "run.json")
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith(f"trainlint: error: {message}")


@pytest.mark.parametrize("option", ["--fix", "--diff", "--add-noqa"])
def test_fixes_change_what_the_run_ran(project, run: Run, option: str) -> None:
    project({"train.py": MISTAKE})
    outcome = run("--with-run", "run.json", option)
    assert (outcome.status, outcome.out) == (2, "")
    assert f"--with-run and {option} exclude each other" in outcome.err


SCRIPT = """\
import helper
def called():
    x = [
        helper.x
    ]
    return x
def never():
    return 3
for i in range(3):
    called()
if i > 5:
    never()
"""


def test_lines_are_known_from_python_3_12_on(project) -> None:
    folder = project({"script.py": SCRIPT, "helper.py": "x = 1\ndef unused():\n    return x\n"})
    command = [sys.executable, "-m", "trainlint", "run", "--output-format", "json", "--output-file", "run.json"]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    outcome = subprocess.run([*command, "script.py"], capture_output=True, text=True, env=environment, check=True)
    assert outcome.stderr == "trainlint: the script did not import torch, so nothing was watched\n"
    record = json.loads((folder / "run.json").read_text())
    assert record["is_whole"]
    lines = {name: about["lines"] for name, about in record["files"].items()}
    if sys.version_info < (3, 12):
        assert lines == {"helper.py": None, "script.py": None}
    else:
        assert lines == {"helper.py": [[1, 2]], "script.py": [[1, 4], [6, 7], [9, 11]]}
