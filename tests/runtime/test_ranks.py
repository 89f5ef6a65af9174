"""Several processes of one training: each observes, and rank 0 reports. The page of TR414 has the scripts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Write

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint.findings import Finding, Severity, Span

ROOT = str(Path(__file__).parents[2])
PAGE = pages.read(shipped.path("TR414") or Path())
FOUND = "findings.jsonl"
WATCHED = ("-m", "trainlint", "run", "--output-format", "json-lines", "--output-file", FOUND)


ABORTED = "terminate called without an active exception"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", **more}


def run(folder: Path, *program: str) -> tuple[list[Finding], Sequence[str]]:
    """What two processes, started as `torchrun` does it, find, and what each writes to the standard error."""
    for _ in range(3):
        processes = started(folder, *program)
        errors = [process.communicate(timeout=120)[1] for process in processes]
        # Now and then a thread of gloo is still there when a process that has done its work ends.
        if not any(ABORTED in error and process.returncode for process, error in zip(processes, errors, strict=True)):
            break
    assert [process.returncode for process in processes] == [0, 0], errors
    return findings(folder), errors


def started(folder: Path, *program: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in "01":
        names = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, *WATCHED, *program]
        pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=folder, env=environment(**names), **pipes))
    return processes


def findings(folder: Path) -> list[Finding]:
    """What was written."""
    items = [json.loads(line) for line in (folder / FOUND).read_text().splitlines()]
    return [
        Finding(
            item["code"],
            item["name"],
            item["message"],
            Severity(item["severity"]),
            item["filename"],
            Span(item["line"], item["column"], item["end_line"], item["end_column"]),
        )
        for item in items
    ]


# The first is quick enough to be run always.
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] if number else []) for number, case in enumerate(PAGE.cases)],
    ids=lambda case: case.name,
)
def test_page(case: pages.Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    found, (first, second) = run(tmp_path, pages.MAIN)
    assert not pages.differences(case.expected, found)
    assert "16 steps of training on each of 2 ranks" in first or "32 steps of training on each of 2 ranks" in first
    assert not second
    assert not list(Path(tempfile.gettempdir()).glob(f"trainlint-{os.getpid()}-*"))


ONE_RANK_ONLY = """\
import os, sys
import torch
import torch.nn.functional as F
from torch import nn

rank = int(os.environ["RANK"])
torch.manual_seed(rank)
model = nn.Linear(4, 2)
x, y = torch.randn(16, 4), torch.randint(0, 2, (16,))
if rank == 1:
    x[3, 0] = float("nan")
F.cross_entropy(model(x), y)
"""


def test_what_another_rank_alone_has_seen_is_told(project: Write) -> None:
    folder = project({"one.py": ONE_RANK_ONLY})
    (finding,), _ = run(folder, "one.py")
    assert (finding.code, finding.span.line) == ("TR101", 12)
    assert finding.message.endswith("first in sample 3 of 16 (on rank 1)")


@pytest.mark.slow
def test_under_torchrun(tmp_path: Path) -> None:
    case = PAGE.cases[0]
    case.write(tmp_path)
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, "-m", *torchrun, *WATCHED, pages.MAIN]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True, timeout=120)
    assert not pages.differences(case.expected, findings(tmp_path))


def test_a_rank_that_never_tells_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from trainlint.runtime.ranks import Ranks

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = (Ranks({"RANK": rank, "WORLD_SIZE": "2"}) for rank in "01")
    first.join()
    second.join()
    started = time.monotonic()
    first.hear(None, seconds=0.2)
    assert 0.2 <= time.monotonic() - started < 60
    second.tell(None)  # nobody is there any more
    assert not list(tmp_path.iterdir())


def test_a_machine_without_rank_0_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from trainlint.runtime.ranks import Ranks

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for rank in "23":
        ranks = Ranks({"RANK": rank, "WORLD_SIZE": "4"})
        ranks.join()
        ranks.tell(None)
    assert not list(tmp_path.iterdir())
