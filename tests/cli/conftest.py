from __future__ import annotations

import io

import pytest
from cli.support import Engine, Outcome, Run

from trainlint.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process."""

    def run_command(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as leaving:  # argparse
            status = int(leaving.code or 0)
        return Outcome(status, *capsys.readouterr())

    return run_command


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An analysis that finds what the test says."""
    stand_in = Engine()
    monkeypatch.setattr("trainlint.semantics.project.check_files", stand_in.check_files)
    monkeypatch.setattr("trainlint.cache.Cache.find", lambda *_: None)  # what it finds changes without a reason
    return stand_in
