"""The projects in `fixtures/`: what is wrong in the bad ones is found, and nothing in their good twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint import testing as pages

FOLDER = Path(__file__).parent.parent / "fixtures"
PROJECTS = sorted(path for path in FOLDER.glob("*/*") if path.name in ("bad", "good"))


def case_of(folder: Path) -> pages.Case:
    files = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))}
    return pages.Case("fixtures", folder.parent.name, folder.name, files)


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_project(folder: Path, tmp_path: Path) -> None:
    case = case_of(folder)
    assert bool(case.expected) == (folder.name == "bad")
    assert not pages.differences(case.expected, pages.findings(case, tmp_path))


def test_every_bad_project_has_a_good_twin() -> None:
    assert all((path.parent / "good").is_dir() for path in PROJECTS)
