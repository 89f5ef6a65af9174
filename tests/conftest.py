"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below a fresh folder, which it returns."""

    def write_files(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="")
        return tmp_path

    return write_files


@pytest.fixture
def project(write: Write, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files below a fresh folder and works there, without colour."""

    def write_project(files: Mapping[str, str]) -> Path:
        root = write(files)
        monkeypatch.chdir(root)
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        return root

    return write_project
