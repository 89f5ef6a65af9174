"""The experiments leave everything as it was, end in time, and find nothing in trainings that are healthy."""

from __future__ import annotations

import copy
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from trainlint.cli import main
from trainlint.config import UsageError
from trainlint.runtime import preflight, watch
from trainlint.runtime.experimenting import Parts
from trainlint.runtime.experiments import all_experiments


def rows(count: int = 512) -> TensorDataset:
    x = torch.randn(count, 8)
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(64), nn.Linear(64, 2))


class Augmented(Dataset[Any]):
    """Draws from generators of its own and from the global ones."""

    def __init__(self) -> None:
        self.own, self.bits, self.python = torch.Generator(), np.random.default_rng(1), random.Random(1)
        self.rows = rows(64)

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Any:
        x, y = self.rows[index]
        noise = float(torch.randn((), generator=self.own)) + self.bits.random() + self.python.random() + random.random()
        return x + 0.1 * noise + 0.1 * np.random.random() * torch.randn(8), y


@pytest.mark.parametrize("workers", [0, 2])
def test_all_is_as_it_was(workers: int) -> None:
    torch.manual_seed(1)
    data = Augmented()
    keeps = bool(workers)
    loader = DataLoader(
        data, 16, shuffle=True, generator=torch.Generator(), num_workers=workers, persistent_workers=keeps
    )
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    F.cross_entropy(model(torch.randn(4, 8)), torch.tensor([0, 1, 0, 1])).backward()
    optimizer.step()
    model[2].eval()

    def state() -> list[Any]:
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return [
            copy.deepcopy(model.state_dict()),
            copy.deepcopy(optimizer.state_dict()),
            gradients,
            [module.training for module in model.modules()],
            torch.get_rng_state(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
            loader.generator.get_state(),
            data.own.get_state(),
            data.bits.bit_generator.state,
            data.python.getstate(),
            loader._iterator is None,
        ]

    before = state()
    result = preflight(model, F.cross_entropy, loader, optimizer, val_loader=loader, max_seconds=6, select=["ALL"])
    assert equal(before, state())
    assert sum(bool(outcome.measured) for outcome in result.outcomes) >= 5, str(result)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def test_results_repeat() -> None:
    torch.manual_seed(2)
    loader = DataLoader(rows(), 32, shuffle=True)
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def measured() -> list[str]:
        codes = ["TR601", "TR604", "TR606"]
        return [o.measured for o in preflight(model, F.cross_entropy, loader, optimizer, select=codes).outcomes]

    first = measured()
    torch.manual_seed(3)
    assert measured() == first
    assert all(first)


def test_time_is_bounded() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return self.layer(x)

    model = Slow()
    begun = time.monotonic()
    loader = DataLoader(rows(), 32)
    result = preflight(model, F.cross_entropy, loader, torch.optim.SGD(model.parameters(), lr=0.1), max_seconds=2)
    assert time.monotonic() - begun < 60  # without a bound, minutes
    assert not result.findings
    assert [o for o in result.outcomes if o.unjudged and "time" in o.unjudged]


def test_a_watched_run_is_told_of_nothing() -> None:
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(select=["ALL"]) as watched:
        preflight(model, F.cross_entropy, DataLoader(rows(), 32), optimizer, select=["TR601", "TR604"])
    assert watched.steps == 0
    assert not watched.findings


def test_what_a_function_raises_is_told(tmp_path: Path) -> None:
    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise KeyError("theirs")

    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = preflight(model, loss, DataLoader(rows(), 32), optimizer, select=["TR6"], ignore=["TR605", "TR609"])
    assert not result.findings
    assert {outcome.unjudged for outcome in result.outcomes} == {"KeyError: 'theirs'"}
    with pytest.raises(ValueError, match="no experiment measured a curve"):
        result.plot(tmp_path / "x.svg")


def test_bad_arguments() -> None:
    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(rows(), 32)
    with pytest.raises(TypeError, match="would be used up"):
        preflight(model, F.cross_entropy, iter(loader), optimizer)
    with pytest.raises(TypeError, match="give it a function `split`"):
        preflight(model, F.cross_entropy, [torch.ones(3)], optimizer)
    with pytest.raises(ValueError, match="yields no batch"):
        preflight(model, F.cross_entropy, [], optimizer)
    with pytest.raises(ValueError, match="must be positive"):
        preflight(model, F.cross_entropy, loader, optimizer, max_seconds=0)
    with pytest.raises(UsageError, match="TR999"):
        preflight(model, F.cross_entropy, loader, optimizer, select=["TR999"])


def test_mappings_and_splits() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = perceptron()

        def forward(self, *, features: torch.Tensor) -> torch.Tensor:
            return self.layers(features)

    model = Named()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = [{"features": x, "labels": y} for x, y in DataLoader(rows(), 32)]
    result = preflight(model, F.cross_entropy, batches, optimizer, select=["TR601"])
    assert result.outcomes[0].measured
    renamed = [{"features": batch["features"], "answer": batch["labels"]} for batch in batches]
    split = lambda batch: ({"features": batch["features"]}, batch["answer"])  # noqa: E731
    again = preflight(model, F.cross_entropy, renamed, optimizer, split=split, select=["TR601"])
    assert again.outcomes[0].measured == result.outcomes[0].measured


def test_the_plot(tmp_path: Path) -> None:
    torch.manual_seed(4)
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    result = preflight(model, F.cross_entropy, DataLoader(rows(), 32, shuffle=True), optimizer, select=["TR604"])
    curve = result.outcomes[0].curve
    assert curve is not None
    assert set(curve.marks) == {"in use", "steepest"}
    assert 1e-4 < curve.marks["steepest"] < 1
    result.plot(tmp_path / "rates.svg")
    drawn = (tmp_path / "rates.svg").read_text("utf-8")
    assert ">TR604 learning-rate-range: loss</text>" in drawn
    assert f">steepest: {curve.marks['steepest']:.2g}</text>" in drawn


# --- The command ---

JOB = """
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def parts(by_name=False):
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    model = nn.Sequential(nn.Linear(8, 16), nn.Softmax(0), nn.Linear(16, 2))
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    if by_name:
        return {"model": model, "loss": F.cross_entropy, "train_loader": loader, "optimizer": optimizer}
    return model, F.cross_entropy, loader, optimizer

def by_name():
    return parts(True)

def suppressed():  # noqa: TR307
    return parts()

def broken():
    return 1 / 0

def other():
    return 3
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Runs the command in a folder with a module `jobs_to_try`."""
    (tmp_path / "jobs_to_try.py").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda *arguments: main(["preflight", "--isolated", *arguments])
    sys.modules.pop("jobs_to_try", None)


@pytest.mark.parametrize("function", ["jobs_to_try:parts", "jobs_to_try.py:parts", "jobs_to_try:by_name"])
def test_command(function: str, command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(function, "--select", "TR307,TR605", "--output-format", "json") == 1
    printed = capsys.readouterr()
    (finding,) = json.loads(printed.out)
    line = 7 if "parts" in function else 17
    assert (finding["code"], finding["filename"], finding["line"]) == ("TR307", "jobs_to_try.py", line)
    assert [text.split()[:3] for text in printed.err.splitlines()] == [
        ["TR307", "batch-mixing", "found"],
        ["TR605", "dimension-probe", "fine"],
    ]


def test_command_options(command: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command("jobs_to_try:suppressed", "--select", "TR307", "-q") == 0
    assert capsys.readouterr() == ("", "")
    options = ["--select", "TR604", "--plot", "x.svg", "--output-file", "found.txt", "--max-seconds", "20", "-q"]
    assert command("jobs_to_try:parts", *options) == 0
    assert (tmp_path / "x.svg").read_text("utf-8").startswith("<svg")
    assert (tmp_path / "found.txt").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jobs_to_try:broken"], "ZeroDivisionError"),
        (["jobs_to_try:other"], "must return model, loss, loader and optimizer"),
        (["jobs_to_try:missing"], "jobs_to_try has no function missing"),
        (["nothing_like_this:parts"], "there is no module nothing_like_this"),
        (["nothing.py:parts"], "there is no file nothing.py"),
        (["jobs_to_try"], "is not MODULE:FUNCTION"),
        (["jobs_to_try:parts", "--select", "TR999"], "unknown rule `TR999`"),
        (["jobs_to_try:parts", "--select", "TR307", "--plot", "x.svg"], "no experiment measured a curve"),
        (["jobs_to_try:parts", "--select", "TR307", "--plot", "x.png"], "curves are drawn as .svg"),
    ],
)
def test_bad_commands(
    arguments: list[str], message: str, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "internal error" not in error
    assert str(Path(__file__).parents[2] / "trainlint") not in error


# --- Healthy trainings ---

Maker = Callable[[], Parts]
HEALTHY: list[Maker] = []


def healthy(make: Maker) -> Maker:
    HEALTHY.append(make)
    return make


def parts(model: nn.Module, loss: Any, data: TensorDataset, optimizer: torch.optim.Optimizer, size: int = 32) -> Parts:
    return Parts(model, loss, DataLoader(data, size, shuffle=True), optimizer)


@healthy
def dense() -> Parts:
    model = perceptron()
    return parts(model, F.cross_entropy, rows(), torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


@healthy
def convolutional() -> Parts:
    x = torch.rand(256, 3, 12, 12)
    y = (x[:, 0].mean((1, 2)) > x[:, 1].mean((1, 2))).long()
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    return parts(model, nn.CrossEntropyLoss(), TensorDataset(x, y), torch.optim.AdamW(model.parameters(), lr=1e-3))


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.read = nn.GRU(16, 32, batch_first=True)
        self.classify = nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.read(self.embed(x))[0][:, -1])


@healthy
def recurrent() -> Parts:
    x = torch.randint(0, 40, (384, 10))
    model = Reader()
    y = (x > 20).sum(1).clamp(4, 6) - 4
    return parts(model, F.cross_entropy, TensorDataset(x, y), torch.optim.Adam(model.parameters(), lr=3e-3))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.embed, self.place = nn.Embedding(20, 16), nn.Parameter(torch.randn(8, 16) * 0.02)
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.encode(self.embed(x) + self.place, mask=mask)).transpose(1, 2)


@healthy
def language_model() -> Parts:
    start = torch.randint(0, 20, (256, 1))
    text = (start + torch.arange(9) * (1 + start % 3)) % 20
    model = Attending()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 50))
    return parts(model, F.cross_entropy, TensorDataset(text[:, :-1], text[:, 1:]), optimizer)


@healthy
def regression() -> Parts:
    x = torch.randn(512, 5)
    y = 50 + 10 * (x @ torch.randn(5, 1)).sin() + torch.randn(512, 1)
    model = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 1))
    return parts(model, F.mse_loss, TensorDataset(x, y), torch.optim.Adam(model.parameters(), lr=1e-2))


@healthy
def autoencoder() -> Parts:
    x = torch.rand(256, 1, 8, 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())
    model.append(nn.Unflatten(1, (1, 8, 8)))
    return parts(model, F.binary_cross_entropy, TensorDataset(x, x), torch.optim.Adam(model.parameters(), lr=1e-3))


@healthy
def binary_with_imbalance() -> Parts:
    x = torch.randn(512, 10)
    y = (x[:, :2].sum(1) > 2).float()
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
    return parts(model, loss, TensorDataset(x, y), torch.optim.Adam(model.parameters(), lr=1e-3))


@healthy
def multi_label() -> Parts:
    x = torch.randn(384, 12)
    y = (x[:, :4] > 0.5).float()
    model = nn.Sequential(nn.Linear(12, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))
    loss = nn.MultiLabelSoftMarginLoss()
    return parts(model, loss, TensorDataset(x, y), torch.optim.RMSprop(model.parameters(), lr=1e-3))


@healthy
def fine_tuned() -> Parts:
    body = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    for parameter in body.parameters():
        parameter.requires_grad_(False)
    model = nn.Sequential(body, nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(model[1].parameters(), lr=5e-4)
    x = torch.randn(512, 8)
    return parts(model, F.cross_entropy, TensorDataset(x, (x[:, 0] > 0).long()), optimizer)


@healthy
def pure_noise() -> Parts:
    model = perceptron()
    data = TensorDataset(torch.randn(512, 8), torch.randint(0, 2, (512,)))
    return parts(model, F.cross_entropy, data, torch.optim.SGD(model.parameters(), lr=0.05))


@healthy
def logarithms() -> Parts:
    x = torch.randn(512, 6)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3), nn.LogSoftmax(1))
    y = x[:, :3].argmax(1)
    return parts(model, F.nll_loss, TensorDataset(x, y), torch.optim.Adam(model.parameters(), lr=1e-3), 64)


@healthy
def smoothed() -> Parts:
    model = perceptron()
    loss = nn.CrossEntropyLoss(label_smoothing=0.2)
    return parts(model, loss, rows(), torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-4))


@pytest.mark.parametrize("make", HEALTHY, ids=lambda make: make.__name__)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_nothing_is_found_in_healthy_trainings(make: Maker, seed: int) -> None:
    torch.manual_seed(seed)
    outcomes = make().examined(list(all_experiments().values()), 30)
    assert not [outcome for outcome in outcomes if outcome.problem]
    # No experiment may fail for a reason that is ours.
    errors = [outcome for outcome in outcomes if (outcome.unjudged or "").split(":")[0].endswith("Error")]
    assert not errors
