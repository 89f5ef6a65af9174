"""The callbacks, each within the framework itself: they name what is wrong, are silent else, and change nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import accelerate
import keras
import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainlint.runtime.callbacks.accelerate import TrainlintTracker
from trainlint.runtime.callbacks.keras import TrainlintCallback as KerasCallback
from trainlint.runtime.callbacks.lightning import TrainlintCallback as LightningCallback
from trainlint.runtime.callbacks.transformers import TrainlintCallback as TransformersCallback

pytestmark = pytest.mark.filterwarnings("ignore")

Weights = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(), warnings.catch_warnings():
        yield
    torch.set_default_device(None)


def data(fault: str, seed: int = 3, samples: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose class depends on the first columns."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 16, generator=generator)
    y = x[:, :4].argmax(1)
    return x, y[torch.randperm(samples, generator=generator)] if fault == "permuted" else y


def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    """Other rows of that kind."""
    return data("", seed=4, samples=128)


class Net(nn.Module):
    """A small classifier with dropout."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(32, 4)
        self.fault = fault
        if fault == "frozen":
            self.body.requires_grad_(False)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        scores = self.head(self.body(x))
        if self.fault == "softmax":
            scores = scores.softmax(1)
        if labels is None:
            return scores
        return {"loss": F.cross_entropy(scores, labels), "logits": scores}


RATE = {"exploding": 1e30}


# --- Lightning ---


class Lit(pl.LightningModule):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.net = Net(fault)
        self.fault = fault

    def training_step(self, batch: Any, index: int) -> Any:
        x, y = batch
        if self.fault == "eval":
            self.net.eval()
        return F.cross_entropy(self.net(x), y)

    def validation_step(self, batch: Any, index: int) -> None:
        x, y = batch
        self.log("loss", F.cross_entropy(self.net(x), y))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=RATE.get(self.fault, 0.1), momentum=0.9)


def lightning(fault: str, callback: LightningCallback | None) -> Weights:
    pl.seed_everything(0, verbose=False)
    model = Lit(fault)
    loader = DataLoader(TensorDataset(*data(fault)), batch_size=32, shuffle=True)
    trainer = pl.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[callback] if callback else [],
    )  # fmt: skip
    trainer.fit(model, loader, DataLoader(TensorDataset(*held_out()), batch_size=32))
    return model.state_dict()


# --- Transformers ---


def hugging_face(fault: str, callback: TransformersCallback | None) -> Weights:
    transformers.set_seed(0)
    model = Net(fault)
    rows, others = ([{"x": x, "labels": y} for x, y in zip(*part, strict=True)] for part in (data(fault), held_out()))
    arguments = transformers.TrainingArguments(
        output_dir="out", num_train_epochs=4, per_device_train_batch_size=32, learning_rate=RATE.get(fault, 1e-2),
        report_to=[], save_strategy="no", disable_tqdm=True, use_cpu=True, eval_strategy="epoch", logging_steps=1000,
        max_grad_norm=0,
    )  # fmt: skip
    trainer = transformers.Trainer(model, arguments, train_dataset=rows, eval_dataset=others)
    if fault == "eval":
        model.train = lambda mode=True: nn.Module.train(model, False)  # type: ignore[method-assign]
    if callback:
        trainer.add_callback(callback)
    trainer.train()
    return model.state_dict()


# --- Accelerate ---


def accelerated(fault: str, callback: TrainlintTracker | None) -> Weights:
    accelerate.utils.set_seed(0)
    accelerator = accelerate.Accelerator(cpu=True, log_with=[callback] if callback else None)
    accelerator.init_trackers("test")
    model = Net(fault)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE.get(fault, 0.1), momentum=0.9)
    loader = DataLoader(TensorDataset(*data(fault)), batch_size=32, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    if fault == "eval":
        model.eval()
    for _ in range(4):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
    accelerator.end_training()
    return model.state_dict()


# --- Keras ---


def kerasy(fault: str, callback: KerasCallback | None) -> Weights:
    keras.utils.set_random_seed(0)
    x, y = (part.numpy() for part in data(fault))
    others = tuple(part.numpy() for part in held_out())
    end = "softmax" if fault == "softmax" else None
    model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dropout(0.1), keras.layers.Dense(4, end)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(RATE.get(fault, 0.1), momentum=0.9), loss=loss, metrics=["accuracy"])
    callbacks = [callback] if callback else []
    model.fit(x, y, batch_size=32, epochs=4, verbose=0, validation_data=others, callbacks=callbacks)
    return {str(index): variable.value.detach() for index, variable in enumerate(model.variables)}


DOORS: dict[str, tuple[Callable[[str, Any], Weights], Callable[..., Any]]] = {
    "lightning": (lightning, LightningCallback),
    "transformers": (hugging_face, TransformersCallback),
    "accelerate": (accelerated, TrainlintTracker),
    "keras": (kerasy, KerasCallback),
}

# What is named in each framework, and at which of its lines (in the source of this file).
SCORED = "F.cross_entropy(self.net(x), y)"
FAULTS = {
    ("lightning", "softmax"): ("TR202", SCORED),
    ("lightning", "permuted"): ("TR114", SCORED),
    ("lightning", "frozen"): ("TR407", "trainer.fit("),
    ("lightning", "eval"): ("TR502", "trainer.fit("),
    ("lightning", "exploding"): ("TR204", "trainer.fit("),
    ("transformers", "softmax"): ("TR202", "F.cross_entropy(scores, labels)"),
    ("transformers", "permuted"): ("TR114", "F.cross_entropy(scores, labels)"),
    ("transformers", "frozen"): ("TR407", "trainer.train()"),
    ("transformers", "eval"): ("TR502", "trainer.train()"),
    ("transformers", "exploding"): ("TR204", "trainer.train()"),
    ("accelerate", "softmax"): ("TR202", "F.cross_entropy(model(x), y)"),
    ("accelerate", "permuted"): ("TR114", "F.cross_entropy(model(x), y)"),
    ("accelerate", "frozen"): ("TR407", "optimizer.step()"),
    ("accelerate", "eval"): ("TR502", "optimizer.step()"),
    ("accelerate", "exploding"): ("TR204", "accelerator.backward(loss)"),
    ("keras", "softmax"): ("TR202", "model.fit("),
    ("keras", "permuted"): ("TR114", "model.fit("),
    ("keras", "exploding"): ("TR204", "model.fit("),
}


@pytest.mark.parametrize("name", DOORS)
def test_a_healthy_training_is_bit_for_bit_the_same_and_gives_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train, callback = DOORS[name]
    plain = train("", None)
    watching = callback(every=3)
    seen = train("", watching)
    assert plain.keys() == seen.keys()
    assert all(torch.equal(plain[key], seen[key]) for key in plain)
    assert not [str(finding) for finding in watching.findings]
    assert watching.steps == 64
    assert "TR" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_mistake_is_named_at_the_line_of_the_user(name: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    train, callback = DOORS[name]
    code, text = FAULTS[name, fault]
    watching = callback()
    with watching:
        train(fault, watching)
    found = [finding for finding in watching.findings if finding.code == code]
    assert found, [str(finding) for finding in watching.findings]
    lines = Path(__file__).read_text().splitlines()
    assert text in lines[found[0].span.line - 1]
    assert code in capsys.readouterr().err


def test_an_exception_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.test_undisturbed import hooks

    before = hooks(), keras.Layer.__call__, keras.losses.Loss.__call__, keras.optimizers.Optimizer.apply

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("theirs")

    monkeypatch.setattr(torch.Tensor, "backward", fail)
    for name, (train, callback) in DOORS.items():
        watching = callback()
        # Only Lightning tells its callbacks of exceptions.
        block = nullcontext() if name == "lightning" else watching
        with pytest.raises(RuntimeError, match="theirs"), block:
            train("", watching)
        after = hooks(), keras.Layer.__call__, keras.losses.Loss.__call__, keras.optimizers.Optimizer.apply
        assert after == before, name


def test_options_are_checked_at_once() -> None:
    for _, callback in DOORS.values():
        with pytest.raises(ValueError, match="at least 1"):
            callback(every=0)
