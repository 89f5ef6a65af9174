"""The examples on the plugin's pages give just what they say. Run with the plugin installed: `pip install -e . && pytest`."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint import testing

HERE = Path(__file__).parent
PAGES = [*(HERE.parent / "trainlint_lab" / "rules").glob("*.md"), HERE / "knowledge.md"]
CASES = [case for page in PAGES for case in testing.read(page).cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: testing.Case, tmp_path: Path) -> None:
    assert not testing.differences(case.expected, testing.findings(case, tmp_path))
