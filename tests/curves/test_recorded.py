"""Logs of real trainings, with a fault and without: `benchmarks/record_curves.py` made them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainlint.cli import main
from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose
from trainlint.findings import Severity

ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "curves"
CASES = json.loads((ROOT / "cases.json").read_text("utf-8"))
CHECKS = all_checks()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["code"]])
def test_a_fault_is_found(name: str) -> None:
    found = diagnose([str(ROOT / name)], list(CHECKS.values()), facts=CASES[name]["facts"]).findings
    assert CASES[name]["code"] in {finding.code for finding in found}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case["code"]])
def test_nothing_grave_is_found_in_a_run_that_is_well(name: str) -> None:
    diagnosis = diagnose([str(ROOT / name)], list(CHECKS.values()), facts=CASES[name]["facts"])
    assert diagnosis.runs
    assert [finding for finding in diagnosis.findings if finding.severity is not Severity.INFO] == []


def test_every_code_and_format_is_there() -> None:
    assert {case["code"] for case in CASES.values()} - {""} == set(CHECKS)
    suffixes = {path.suffix for path in ROOT.glob("*/*")}
    assert suffixes == {".csv", ".json", ".log"}


def test_the_command_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curves", str(ROOT / "TC106-teacher-few-samples-2"), "--plot"]) == 1
    out = capsys.readouterr().out
    assert "overfitting: the training loss is small, the held-out loss is not" in out
    assert "┊TC106" in out
