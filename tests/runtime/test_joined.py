"""A run is recorded, and `check --with-run` says of the source what the run shows."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import Write
from runtime.healthy import TRAININGS
from runtime.test_launcher import python, run

from trainlint.counterparts import TABLE, in_source
from trainlint.runtime.experiments import MODULES, all_experiments
from trainlint.runtime.monitor import Monitor
from trainlint.runtime.probes import all_probes

# Each line with a comment looks wrong: the source does not tell that a hook clears the gradients.
TRAINING = """\
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import hooks

torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x[:, 0] > 0).long()
loader = DataLoader(TensorDataset(x[:128], y[:128]), batch_size=16, shuffle=True)
held_out = DataLoader(TensorDataset(x[128:], y[128:]), batch_size=16)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 2), nn.Softmax(dim=1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
hooks.clear(optimizer)
for inputs, labels in loader:
    F.cross_entropy(model(inputs), labels).backward()  # TL101
    optimizer.step()  # TL201
def evaluate():
    model.train()
    wrong = 0
    with torch.no_grad():
        for inputs, labels in held_out:
            wrong += (model(inputs).argmax(1) != labels).sum().item()  # TL301
    return wrong
"""
HOOKS = """\
import importlib
def clear(optimizer):
    importlib.import_module("".join(["hook", "ing"])).clear(optimizer)
"""
HOOKING = """\
def clear(optimizer):
    optimizer.register_step_post_hook(lambda optimizer, args, kwargs: optimizer.zero_grad())
"""


def test_a_run_confirms_and_refutes(project: Write) -> None:
    folder = project({"train.py": TRAINING, "hooks.py": HOOKS, "hooking.py": HOOKING})
    watched = run("--output-format", "json", "--output-file", "run.json", "train.py")
    assert watched.stderr == "trainlint: 1 finding in 8 steps of training\n"
    (finding,) = json.loads((folder / "run.json").read_text())["findings"]
    assert (finding["code"], finding["counterparts"]) == ("TR202", ["TL101"])
    assert judged("--with-run", "run.json") == {"TL101": "confirmed", "TL201": "refuted", "TL301": reached()}


def reached() -> str:
    """What can be said of a line in a function that was not called."""
    return "not reached" if sys.version_info >= (3, 12) else "not judged"


def judged(*arguments: str) -> dict[str, str]:
    """What a check says of the findings in the working folder, by their codes."""
    checked = python("-m", "trainlint", "--select", "TL101,TL201,TL301", "--output-format", "json", *arguments)
    return {row["code"]: row["run"] for row in json.loads(checked.stdout)}


def test_the_table_says_which_rules_can_refute() -> None:
    told = set()
    for name in ("mlp", "many_labels"):
        with Monitor() as monitor, torch.random.fork_rng():
            TRAININGS[name]()
        told |= {looks.code for looks in monitor.wells}
    assert told == {code for row in TABLE if row.can_refute for code in row.run}


def wells(probe: str, turn: Callable[[torch.optim.Optimizer, torch.Tensor], object]) -> set[tuple[str, ...]]:
    """What six turns of a training refute by the looks of a probe; `turn` ends with gradients."""
    parameter = torch.nn.Parameter(torch.linspace(-2, 2, 64).reshape(16, 4))
    optimizer = torch.optim.SGD([parameter], lr=0.01)
    with Monitor([all_probes()[probe]]) as monitor:
        for _ in range(6):
            turn(optimizer, parameter)
            optimizer.step()
    return {in_source(looks.code, looks.fields) for looks in monitor.wells}


LABELS = torch.arange(16) % 4
HALVES = torch.full((16, 4), 0.5)


@pytest.mark.parametrize(
    ("loss", "refuted"),
    [
        (lambda scores: F.cross_entropy(scores, LABELS), {("TL101",)}),
        (lambda scores: F.cross_entropy(scores.softmax(1), LABELS), set()),
        (lambda scores: F.binary_cross_entropy_with_logits(scores, HALVES), {("TL102",)}),
        (lambda scores: F.binary_cross_entropy_with_logits(scores.sigmoid(), HALVES), set()),
        # All lie between 0 and 1, so they may be either.
        (lambda scores: F.binary_cross_entropy_with_logits(0.1 * scores + 0.5, HALVES), set()),
        (lambda scores: F.nll_loss(scores.log_softmax(1), LABELS), {("TL104",)}),
        (lambda scores: F.nll_loss(scores, LABELS), set()),
        (lambda scores: F.nll_loss(F.logsigmoid(scores), LABELS), set()),
        (lambda scores: F.kl_div(scores.log_softmax(1), HALVES, reduction="batchmean"), set()),
    ],
)
def test_only_what_is_surely_right_refutes(loss: Callable[[torch.Tensor], torch.Tensor], refuted: set[object]) -> None:
    def turn(optimizer: torch.optim.Optimizer, scores: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(scores).backward()

    assert wells("TR202", turn) == refuted


@pytest.mark.parametrize(
    ("clear", "refuted"),
    [
        (lambda optimizer, turn: optimizer.zero_grad(), {("TL201",)}),
        (lambda optimizer, turn: turn % 2 or optimizer.zero_grad(), set()),
        # Whether zeros were written or computed nobody knows.
        (lambda optimizer, turn: optimizer.zero_grad(set_to_none=False), set()),
        (lambda optimizer, turn: None, set()),
    ],
)
def test_only_gradients_that_were_cleared_each_time_refute(clear: Callable[..., object], refuted: set[object]) -> None:
    turns = itertools.count()

    def turn(optimizer: torch.optim.Optimizer, scores: torch.Tensor) -> None:
        clear(optimizer, next(turns))
        scores.square().mean().backward()

    assert wells("TR411", turn) == refuted


def test_the_launcher_knows_the_experiments_without_pytorch() -> None:
    assert list(MODULES) == list(all_experiments())
