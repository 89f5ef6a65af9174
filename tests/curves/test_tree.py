"""The decision tree: each branch, their order, and what is said where nothing was seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Write

from trainlint import pages
from trainlint.curves.check import Seen
from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose
from trainlint.curves.series import Run
from trainlint.curves.tree import BRANCHES, verdict
from trainlint.testing import parse

CHECKS = all_checks()
RECORD = "epoch,train_loss,val_loss\n" + "".join(f"{i},{2 * 0.9**i + 0.1},{2 * 0.9**i + 0.2}\n" for i in range(40))


def recorded(write: Write, text: str = RECORD) -> Run:
    (run,) = diagnose([str(write({"metrics.csv": text}) / "metrics.csv")], []).runs
    return run


def seen(run: Run, *codes: str) -> dict[str, Seen]:
    return {code: Seen(CHECKS[code], run, run.series[0], 3, 4, f"what {code} says") for code in codes}


def test_every_code_has_one_branch() -> None:
    assert sorted(code for _, codes in BRANCHES for code in codes) == sorted(CHECKS)


@pytest.mark.parametrize(("branch", "code"), [(branch, code) for branch, codes in BRANCHES for code in codes])
def test_each_code_leads_to_its_branch(write: Write, branch: str, code: str) -> None:
    run = recorded(write)
    found = verdict(run, seen(run, code))
    assert found.branch == branch
    assert found.evidence[0] == f"{code}: what {code} says"
    assert (found.advice, found.tips, found.confirms) == (
        CHECKS[code].advice,
        CHECKS[code].tips,
        CHECKS[code].confirms,
    )


@pytest.mark.parametrize("place", range(len(BRANCHES)))
def test_what_decides_a_branch_makes_later_ones_moot(write: Write, place: int) -> None:
    run = recorded(write)
    later = [code for _, codes in BRANCHES[place:] for code in codes]
    found = verdict(run, seen(run, *reversed(later)))
    assert found.branch == BRANCHES[place][0]
    told = [line.partition(":")[0] for line in found.evidence if line.startswith("TC")]
    assert told == list(BRANCHES[place][1])


@pytest.mark.parametrize(
    ("columns", "branch"),
    [
        (("val_loss",), "unknown: no training loss was recorded"),
        (("train_loss",), "training looks sound; held-out loss unknown"),
        (("train_loss", "val_loss"), "training and held-out loss look sound; test loss unknown"),
        (("train_loss", "val_loss", "test_loss"), "nothing speaks against this run"),
    ],
)
def test_without_findings_it_says_what_is_not_known(write: Write, columns: tuple[str, ...], branch: str) -> None:
    rows = "".join(f"{i},{','.join(['1.5'] * len(columns))}\n" for i in range(10))
    found = verdict(recorded(write, f"epoch,{','.join(columns)}\n{rows}"), {})
    assert found.branch == branch
    assert found.advice


def test_the_evidence_has_the_levels_in_the_order_of_the_tree(write: Write) -> None:
    rows = "".join(f"{i},{2.2 - i / 10},{2.4 - i / 10},1.9\n" for i in range(10))
    run = recorded(write, "epoch,train_loss,val_loss,test_loss\n" + rows)
    run.facts["classes"] = 10
    assert list(verdict(run, {}).evidence) == [
        "training loss from 2.2 to 1.4, best 1.3 (10 points)",
        "held-out loss from 2.4 to 1.6, best 1.5 (10 points)",
        "test loss from 1.9 to 1.9, best 1.9 (10 points)",
        "a guess has 2.3 (ln 10)",
    ]


@pytest.mark.parametrize("code", CHECKS)
def test_the_logs_of_each_page_lead_to_a_branch_no_later_than_their_own(code: str, tmp_path: Path) -> None:
    page = parse(pages.page(code) or "", code)
    case = next(case for case in page.cases if case.section == "Bad")
    case.write(tmp_path)
    diagnosis = diagnose([str(tmp_path)], list(CHECKS.values()))
    run = next(seen.run for seen in diagnosis.seen if seen.check.code == code)
    names = [branch for branch, _ in BRANCHES]
    own = next(branch for branch, codes in BRANCHES if code in codes)
    assert names.index(verdict(run, diagnosis.of(run)).branch) <= names.index(own)
