"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Programs that tests start can be interrupted, even where the tests run in the background of a shell, which makes
    them and what they start ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
