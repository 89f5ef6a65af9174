"""Plugins and knowledge: what other packages and projects add, by the example in `examples/plugin`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import tomli

from trainlint.api import EVENTS, on
from trainlint.cli import main
from trainlint.semantics.arithmetic import METHODS

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python as if the plugin were installed; `points` are the entry points, by group."""

    def run(*arguments: str, points: Mapping[str, Mapping[str, str]] | None = None) -> subprocess.CompletedProcess[str]:
        if points is None:
            points = tomli.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
        info = tmp_path / "site" / "trainlint_lab-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trainlint-lab\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "".join(
                f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items()
            )
        )
        path = os.pathsep.join(map(str, (info.parent, PLUGIN, ROOT)))
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )

    return run


def test_the_plugins_own_tests_pass(installed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = installed("-m", "pytest", "-q", "-p", "no:cacheprovider", str(PLUGIN / "tests"), "-c", os.devnull)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_its_rule_is_listed_and_explained(installed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "LAB101" in installed("-m", "trainlint", "rules").stdout
    assert "# LAB101 heavy-label-smoothing" in installed("-m", "trainlint", "rule", "LAB101").stdout


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ({"trainlint.rules": {"lab": "no_such_module"}}, "the plugin `lab` cannot be loaded: ModuleNotFoundError"),
        ({"trainlint.rules": {"lab": "trainlint_lab.checks:LIMIT"}}, "the plugin `lab` must name a module"),
        ({"trainlint.knowledge": {"lab": "json"}}, "the plugin `lab` has no readable `knowledge.toml`"),
    ],
)
def test_a_broken_plugin_is_an_error_of_usage(
    installed: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    points: Mapping[str, Mapping[str, str]],
    problem: str,
) -> None:
    (tmp_path / "train.py").write_text("import torch\n")
    done = installed("-m", "trainlint", "train.py", points=points)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


TRAIN = """\
import lablib
from softmax_house import to_probabilities


def loss_of(scores, labels):
    return lablib.loss(to_probabilities(scores), labels)
"""
KNOWLEDGE = """\
[[knowledge.api]]
calls = "lablib.loss"
like = "torch.nn.functional.cross_entropy"

[[knowledge.api]]
calls = "softmax_house.to_probabilities"
gives = { kind = "probabilities", range = [0, 1] }
"""


def test_a_project_tells_of_a_library(
    project: Callable[[Mapping[str, str]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project({"train.py": TRAIN})
    assert main(["train.py"]) == 0
    project({"trainlint.toml": KNOWLEDGE})
    assert main(["train.py"]) == 1
    assert "train.py:6:24: TL101 `loss` gets probabilities" in capsys.readouterr().out


MODES = """\
import torch
import torch.nn as nn
import lablog


def main(train_loader, val_loader):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        for x, y in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        lablog.show(model)
        correct = 0
        with torch.no_grad():
            for x, y in val_loader:
                correct += (model(x).argmax(1) == y).sum().item()
        print(correct)
"""


def test_a_harmless_package_changes_nothing(
    project: Callable[[Mapping[str, str]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project({"train.py": MODES})
    assert main(["--select", "TL301", "train.py"]) == 0
    project({"trainlint.toml": 'knowledge = { harmless = ["lablog"] }\n'})
    assert main(["--select", "TL301", "train.py"]) == 1
    assert "TL301" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("knowledge = 3", "must be a table with the keys"),
        ("knowledge = { apis = [] }", "must be a table with the keys"),
        ('knowledge = { harmless = "lablog" }', "`harmless` is a list of packages"),
        ("[[knowledge.api]]\nlike = 'torch.log'", "dotted names of calls in `calls`"),
        (
            "[[knowledge.api]]\ncalls = 'lablib.f'\nlike = 'torch.nothing'",
            "like `torch.nothing`: that one is not known",
        ),
        ("[[knowledge.api]]\ncalls = 'lablib.f'\ndoes = 'magic'", "there is no behaviour `magic`"),
    ],
)
def test_knowledge_that_cannot_be_is_refused(
    project: Callable[[Mapping[str, str]], Path], capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    project({"trainlint.toml": text, "train.py": "import torch\n"})
    assert main(["train.py"]) == 2
    assert problem in capsys.readouterr().err


def test_a_handler_of_an_event_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no event regoin"):
        on("regoin")


def test_the_engine_tells_of_each_event() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "trainlint" / "semantics").rglob("*.py"))
    operators = {name.lower() for name in METHODS}
    assert not [event for event in EVENTS - operators if f'"{event}"' not in source]
