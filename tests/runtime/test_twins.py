"""The pairs in `fixtures/twins`: source and run agree on what is wrong, and what is wrong does harm.

Each script leaves an `error` on held-out data, or what its mistake costs: the less the better.
"""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from trainlint import testing as pages
from trainlint.counterparts import BY_SOURCE, in_run
from trainlint.findings import Finding, Judgement
from trainlint.joining import Record, RunFile, Shown
from trainlint.runtime import watch

FOLDER = Path(__file__).parents[2] / "fixtures" / "twins"
CODES = sorted(path.name for path in FOLDER.iterdir())
# How many times the error or the cost of the good twin that of the bad one is at least.
HARM = 1.1


@cache
def outcome(path: Path) -> tuple[float, tuple[Finding, ...]]:
    """The error or the cost that a script ends with, and what was found while it ran."""
    with watch() as run, torch.random.fork_rng():
        names = runpy.run_path(str(path))
    return names["cost" if "cost" in names else "error"], tuple(run.findings)


def in_source(path: Path, folder: Path) -> list[Finding]:
    """What a check finds in a script, which is what its comments say."""
    case = pages.Case(path.parent.name, path.parent.name, path.stem, {"main.py": path.read_text("utf-8")})
    assert {expected.code for expected in case.expected} == ({case.page} if path.stem == "bad" else set())
    found = pages.findings(case, folder)
    assert not pages.differences(case.expected, found)
    return [replace(finding, filename=str(path)) for finding in found]


def record_of(path: Path) -> Record:
    """A run of a script, as a check reads it."""
    shown = (Shown(f.code, f.counterparts, str(path), f.span) for f in outcome(path)[1])
    digest = sha256(path.read_bytes()).hexdigest()
    return Record(tuple(shown), (), (RunFile(str(path), path.name, digest, None),), is_whole=True)


@pytest.mark.parametrize("code", CODES)
def test_a_run_says_what_the_source_does_or_cannot_tell(code: str, tmp_path: Path) -> None:
    path = FOLDER / code / "bad.py"
    told = {finding.code for finding in outcome(path)[1]}
    assert "TL002" not in told
    findings, _ = record_of(path).joined(in_source(path, tmp_path), {})
    if BY_SOURCE[code].unseen:
        assert not told
        assert {finding.run for finding in findings} == {Judgement.NOT_JUDGED}
    else:
        assert {finding.run for finding in findings} == {Judgement.CONFIRMED}
        assert all(set(finding.counterparts) <= told & set(in_run(code)) for finding in findings)


@pytest.mark.parametrize("code", CODES)
def test_nothing_is_said_of_the_good_one(code: str, tmp_path: Path) -> None:
    path = FOLDER / code / "good.py"
    assert not in_source(path, tmp_path)
    assert not outcome(path)[1]


@pytest.mark.parametrize("code", CODES)
def test_the_mistake_does_harm(code: str) -> None:
    bad, _ = outcome(FOLDER / code / "bad.py")
    good, _ = outcome(FOLDER / code / "good.py")
    assert not bad <= HARM * good  # NaN is no learning either


@pytest.mark.parametrize("code", CODES)
def test_twins_differ_in_little_else(code: str) -> None:
    bad, good = (set((FOLDER / code / f"{name}.py").read_text("utf-8").splitlines()) for name in ("bad", "good"))
    assert len({re.sub(r"\s*# error.*", "", line) for line in bad} - good) <= 4
