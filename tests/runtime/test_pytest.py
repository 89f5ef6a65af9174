"""The plugin in a real pytest."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import tomli

pytest_plugins = ["pytester"]

PLUGIN = "trainlint.integrations.pytest"
ROOT = Path(__file__).resolve().parents[2]

TRAINING = """
import pytest, torch
import torch.nn.functional as F
from torch import nn

def train(rate=0.1, clears=True, double=False):
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for step in range(20):
        index = torch.randint(0, 256, (32,))
        scores = model(x[index])
        loss = F.cross_entropy(scores.softmax(1) if double else scores, y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

def parts(bias=0.0):
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    nn.init.constant_(model[0].bias, bias)
    return model, F.cross_entropy, (x, (x[:, 0] > 0).long()), torch.optim.Adam(model.parameters(), lr=1e-2)
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makepyfile(TRAINING + tests)
    # In a process of its own, since PyTorch cannot be imported twice.
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")


def test_the_entry_point_is_the_plugin() -> None:
    points = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    assert points == {"trainlint": PLUGIN}
    assert import_module(points["trainlint"]).pytest_runtest_call


def test_fixtures(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_learns(assert_trains):
    result = assert_trains(*parts(), max_seconds=600)
    assert [outcome.code for outcome in result.outcomes] == ["TR601", "TR602"]

def test_dead(assert_trains):
    assert_trains(*parts(bias=-30.0), max_seconds=600)

def test_unknown(assert_trains):
    model, loss, (x, y), optimizer = parts()
    assert_trains(model, loss, (x, torch.zeros_like(y)), optimizer)

def test_watched(assert_no_findings):
    with assert_no_findings() as watched:
        train()
    assert watched.steps == 20

def test_found(assert_no_findings):
    with assert_no_findings():
        train(double=True)

def test_untrained(assert_no_findings):
    with assert_no_findings():
        pass

def test_experiments(assert_preflight):
    model, loss, batch, optimizer = parts()
    assert_preflight(model, loss, [batch], optimizer, select=["TR307"])
""",
    )
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_dead*",
            "*TR601 Sequential does not learn 8 samples by heart*",
            "*test_unknown*",
            "*it cannot be judged whether the model learns*",
            "*all samples at hand have the same target*",
            "*test_found*",
            "*:14:* TR202 *",
            "*test_untrained*",
            "*no step of training was watched*",
        ]
    )


def test_the_mark(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.trainlint
def test_healthy():
    train()

@pytest.mark.trainlint(select=["TR202"])
def test_found():
    train(double=True)

@pytest.mark.trainlint(ignore=["TR2"])
def test_ignored():
    train(double=True)

@pytest.mark.trainlint
def test_own_failure():
    train()
    assert 1 == 2
""",
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*:14:* TR202 *", "*assert 1 == 2*"])


def test_unused_it_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\ndef test_plain():\n    assert not {'torch', 'libcst', 'trainlint.runtime'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
