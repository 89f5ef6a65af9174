"""The pairs in `fixtures/twins`: source and run agree on what is wrong, and what is wrong does harm.

Each script leaves an `error` on held-out data, the less the better.
"""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path

import pytest
import torch

from trainlint import testing as pages
from trainlint.findings import Finding
from trainlint.runtime import watch

FOLDER = Path(__file__).parents[2] / "fixtures" / "twins"
# What a run says of each mistake in the source.
CONFIRMED_BY = {
    "TL101": "TR202",
    "TL102": "TR202",
    "TL110": "TR205",
    "TL201": "TR411",
    "TL202": "TR203",
    "TL301": "TR501",
    "TL303": "TR502",
    "TL501": "TR204",
    "TL601": "TR405",
    "TL605": "TR415",
    "TL701": "TR405",
    "TL704": "TR204",
}
# How many times the error of the good twin that of the bad one is at least.
HARM = 1.1


@cache
def outcome(path: Path) -> tuple[float, tuple[Finding, ...]]:
    """The error that a script ends with, and what was found while it ran."""
    with watch() as run, torch.random.fork_rng():
        error = runpy.run_path(str(path))["error"]
    return error, tuple(run.findings)


def test_each_pair_is_known() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(CONFIRMED_BY)


@pytest.mark.parametrize("code", CONFIRMED_BY)
def test_source_and_run_agree(code: str, tmp_path: Path) -> None:
    for name in ("bad", "good"):
        path = FOLDER / code / f"{name}.py"
        case = pages.Case(code, code, name, {"main.py": path.read_text("utf-8")})
        assert {expected.code for expected in case.expected} == ({code} if name == "bad" else set())
        assert not pages.differences(case.expected, pages.findings(case, tmp_path / name))
        told = {finding.code for finding in outcome(path)[1]}
        assert "TL002" not in told
        assert CONFIRMED_BY[code] in told if name == "bad" else not told


@pytest.mark.parametrize("code", CONFIRMED_BY)
def test_the_mistake_does_harm(code: str) -> None:
    bad, _ = outcome(FOLDER / code / "bad.py")
    good, _ = outcome(FOLDER / code / "good.py")
    assert not bad <= HARM * good  # NaN is no learning either


@pytest.mark.parametrize("code", CONFIRMED_BY)
def test_twins_differ_in_little_else(code: str) -> None:
    bad, good = (set((FOLDER / code / f"{name}.py").read_text("utf-8").splitlines()) for name in ("bad", "good"))
    assert len({re.sub(r"\s*# error.*", "", line) for line in bad} - good) <= 4
