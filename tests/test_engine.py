"""The semantic engine without rules: what it knows of a value, as `reveal(value)` tells in the pages of `engine/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint import testing as pages

CASES = [case for path in sorted(Path(__file__).with_name("engine").glob("*.md")) for case in pages.read(path).cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: pages.Case, tmp_path: Path) -> None:
    assert case.revealed
    assert pages.reveal(case, tmp_path) == case.revealed


def test_no_case_stands_twice() -> None:
    assert len({case.essence for case in CASES}) == len(CASES)
    assert len({case.name for case in CASES}) == len(CASES)
