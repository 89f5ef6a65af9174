"""The pages of the probes: each of their examples is run, and gives just what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.runtime import Preflight
from trainlint.runtime.monitor import Monitor
from trainlint.runtime.probes import all_probes
from trainlint.runtime.selection import catalogue
from trainlint.runtime.verdict import findings_of

PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("TR*.md"))]
# What takes several processes is run by `test_ranks`.
CASES = [case for page in PAGES for case in page.cases if page.code != "TR414"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore")
def test_case(case: pages.Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case.write(tmp_path)
    probes = [probe for probe in all_probes().values() if probe.default or probe.code == case.page]
    with Monitor(probes) as monitor, torch.random.fork_rng():
        names = runpy.run_path(str(tmp_path / pages.MAIN), run_name="__main__")
    found = findings_of(monitor.observations.values())
    found += [finding for item in names.values() if isinstance(item, Preflight) for finding in item.findings]
    assert not pages.differences(case.expected, found)


def test_the_pages_tell_what_the_probes_are() -> None:
    assert shipped.runtime_rules() == [
        type(info)(info.code, info.name, summary_of(info.code), info.severity, info.default, "") for info in catalogue()
    ]


def summary_of(code: str) -> str:
    (page,) = (page for page in PAGES if page.code == code)
    return page.lines[1].rstrip(".")
