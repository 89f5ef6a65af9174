"""Small models, really trained, with one fault or none: what `benchmarks/curves.py` judges.

A recipe is a function of a seed that gives the logs of its runs: file name to text. Nothing in a log is made up; where
a fault is one of the log itself (two runs in one file), real rows are put together wrongly.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Rows = list[dict[str, Any]]
Logs = dict[str, str]


@dataclass(frozen=True)
class Recipe:
    """How a run is made; the defaults learn well."""

    classes: int = 10  # 0 for regression
    inputs: int = 20
    samples: int = 3000
    flipped: float = 0.0  # share of random labels, in all parts
    flipped_held_out: float = 0.0
    shift: float = 0.0  # of the test inputs
    width: int = 64
    depth: int = 2
    dropout: float = 0.0
    zeros: bool = False  # initialise with zeros
    plain: bool = False  # sigmoids, as deep networks once had
    optimizer: str = "adam"
    rate: float = 1e-3
    decay: float = 0.0
    schedule: Callable[[float], float] = field(default=lambda done: 1.0)
    batch: int = 64
    epochs: int = 30
    every: int = 0  # steps between records; 0 for one record an epoch
    running: bool = False  # record means over the epoch so far
    bad_batches: float = 0.0  # share of batches with inputs a hundred times too large
    evaluated: int = 0  # held-out samples of an evaluation, drawn anew each time; 0 for all
    tested: bool = False


def data(recipe: Recipe, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs from clusters, targets from a teacher network, in three parts."""
    torch.manual_seed(seed)
    sizes = {"train": recipe.samples, "val": 1000, "test": 1000}
    total = sum(sizes.values())
    x = torch.randn(total, recipe.inputs)
    teacher = nn.Sequential(nn.Linear(recipe.inputs, 32), nn.Tanh(), nn.Linear(32, max(1, recipe.classes)))
    with torch.no_grad():
        scores = 3 * teacher(3 * x)
    if recipe.classes:
        y = (3 * scores - (3 * scores).mean(0)).argmax(1)
        flips = torch.rand(total) < recipe.flipped
        flips[sizes["train"] :] |= torch.rand(total - sizes["train"]) < recipe.flipped_held_out
        y = torch.where(flips, torch.randint(0, recipe.classes, (total,)), y)
    else:
        y = scores[:, 0] + recipe.flipped * torch.randn(total)
        y = (y - y.mean()) / y.std()
    parts = torch.split(torch.arange(total), list(sizes.values()))
    found = {name: (x[rows], y[rows]) for name, rows in zip(sizes, parts, strict=True)}
    if recipe.shift:
        tested, labels = found["test"]
        found["test"] = (tested + recipe.shift * torch.randn(recipe.inputs), labels)
    return found


def network(recipe: Recipe) -> nn.Sequential:
    """A multilayer perceptron."""
    layers: list[nn.Module] = []
    size = recipe.inputs
    for _ in range(recipe.depth):
        layers += [
            nn.Linear(size, recipe.width),
            nn.Sigmoid() if recipe.plain else nn.ReLU(),
            nn.Dropout(recipe.dropout),
        ]
        size = recipe.width
    model = nn.Sequential(*layers, nn.Linear(size, max(1, recipe.classes)))
    if recipe.zeros:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    return model


def loss_of(recipe: Recipe, out: Tensor, y: Tensor) -> Tensor:
    """Cross entropy, or the mean squared error."""
    return functional.cross_entropy(out, y) if recipe.classes else functional.mse_loss(out[:, 0], y)


def train(recipe: Recipe, seed: int, parts: dict[str, tuple[Tensor, Tensor]] | None = None) -> Rows:
    """Train and record."""
    parts = parts or data(recipe, seed)
    torch.manual_seed(seed + 1)
    model = network(recipe)
    make = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}[recipe.optimizer]
    extra = {"momentum": 0.9} if recipe.optimizer == "sgd" else {}
    optimizer = make(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay, **extra)
    x, y = parts["train"]
    batches = math.ceil(len(x) / recipe.batch)
    rows: Rows = []
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(x))
        losses: list[float] = []
        right = 0
        for i in range(batches):
            rate = recipe.rate * recipe.schedule(step / (batches * recipe.epochs))
            optimizer.param_groups[0]["lr"] = rate
            chosen = order[i * recipe.batch : (i + 1) * recipe.batch]
            inputs = x[chosen]
            if float(torch.rand(())) < recipe.bad_batches:
                inputs = 100 * inputs
            out = model(inputs)
            loss = loss_of(recipe, out, y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            losses.append(float(loss.detach()))
            right += int((out.argmax(1) == y[chosen]).sum()) if recipe.classes else 0
            if recipe.every and step % recipe.every == 0:
                value = sum(losses) / len(losses) if recipe.running else losses[-1]
                rows.append({"step": step, "epoch": epoch, "train_loss": value, "lr": rate})
        row: dict[str, Any] = {"step": step, "epoch": epoch}
        if not recipe.every:
            row |= {"train_loss": sum(losses) / len(losses), "lr": rate}
            if recipe.classes:
                row["train_acc"] = right / len(x)
        row |= evaluated(recipe, model, parts["val"], "val")
        rows.append(row)
    if recipe.tested:
        rows[-1] |= evaluated(replace(recipe, evaluated=0), model, parts["test"], "test")
    return rows


@torch.no_grad()
def evaluated(recipe: Recipe, model: nn.Module, part: tuple[Tensor, Tensor], name: str) -> dict[str, float]:
    """Loss and accuracy on one part."""
    x, y = part
    if recipe.evaluated:
        rows = torch.randint(0, len(x), (recipe.evaluated,))
        x, y = x[rows], y[rows]
    model.eval()
    out = model(x)
    model.train()
    found = {f"{name}_loss": float(loss_of(recipe, out, y))}
    if recipe.classes:
        found[f"{name}_acc"] = float((out.argmax(1) == y).float().mean())
    return found


# --- Logs -------------------------------------------------------------------------------------------------------------


def as_csv(rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: shown(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_text(rows: Rows) -> str:
    """What a script would print."""
    parts = (", ".join(f"{name}: {shown(value)}" for name, value in row.items() if name != "epoch") for row in rows)
    return "".join(f"Epoch {row['epoch']} {part}\n" for row, part in zip(rows, parts, strict=True))


def as_trainer_state(rows: Rows) -> str:
    """As Hugging Face's Trainer writes it: training and evaluation in entries of their own."""
    names = {"train_loss": "loss", "lr": "learning_rate", "val_loss": "eval_loss", "val_acc": "eval_accuracy"}
    history: Rows = []
    for row in rows:
        where = {"step": row["step"], "epoch": float(row["epoch"])}
        for wanted in (("train_loss", "lr"), ("val_loss", "val_acc")):
            values = {names[name]: row[name] for name in wanted if name in row}
            history += [{**where, **values}] if values else []
    return json.dumps({"global_step": rows[-1]["step"], "log_history": history}, indent=1) + "\n"


def shown(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


WRITERS = {".csv": as_csv, ".jsonl": as_json_lines, ".log": as_text, ".json": as_trainer_state}


def one(recipe: Recipe) -> Callable[[int], Logs]:
    """A single run, in a format that the seed picks."""

    def logs(seed: int) -> Logs:
        suffix = list(WRITERS)[seed % len(WRITERS)]
        if recipe.tested or recipe.bad_batches:
            suffix = ".csv"  # the format of Trainer has no test loss
        name = "trainer_state.json" if suffix == ".json" else f"run{suffix}"
        return {name: WRITERS[suffix](train(recipe, seed))}

    return logs


# --- Healthy ----------------------------------------------------------------------------------------------------------


def cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def warm_linear(done: float) -> float:
    return min(1.0, done / 0.1) * (1 - done) / 0.9 if done > 0.1 else done / 0.1


def staircase(done: float) -> float:
    return 0.1 ** int(done / 0.4)


SMALL = Recipe(samples=6000, width=24, epochs=25)
HEALTHY: dict[str, Callable[[int], Logs]] = {
    "adam-cosine": one(replace(SMALL, schedule=cosine, rate=3e-3)),
    "sgd-steps": one(replace(SMALL, optimizer="sgd", rate=0.02, every=10, schedule=cosine)),
    "sgd-staircase": one(replace(SMALL, optimizer="sgd", rate=0.03, schedule=staircase)),
    "regression": one(replace(SMALL, classes=0, schedule=cosine, rate=3e-3)),
    "dropout": one(replace(SMALL, width=64, dropout=0.2, decay=0.01, schedule=cosine, epochs=20)),
    "label-noise": one(replace(SMALL, classes=2, flipped=0.1, width=12, schedule=cosine, rate=3e-3)),
    "warm-up": one(replace(SMALL, schedule=warm_linear, rate=5e-3, batch=256, epochs=40)),
    "constant-rate": one(replace(SMALL, rate=1e-3)),
    "running-means": one(replace(SMALL, every=5, running=True, schedule=cosine, rate=3e-3)),
    "small-batches": one(replace(SMALL, batch=8, every=20, samples=4000, epochs=8, schedule=cosine)),
    "tested": one(replace(SMALL, tested=True, schedule=cosine, rate=3e-3)),
    "three-classes": one(replace(SMALL, classes=3, width=16, schedule=cosine, rate=3e-3, epochs=40)),
    "seeds": lambda seed: {
        f"seed{i}.csv": as_csv(
            train(replace(SMALL, epochs=12, schedule=cosine, rate=3e-3), 7 * seed, None)
            if i == 0
            else train(replace(SMALL, epochs=12, schedule=cosine, rate=3e-3), 7 * seed + i, data(SMALL, 7 * seed))
        )
        for i in range(3)
    },
    "depths": lambda seed: {
        f"layers={depth}.csv": as_csv(train(replace(SMALL, depth=depth, epochs=20, schedule=cosine, rate=3e-3), seed))
        for depth in (1, 3)
    },
}


# --- Faulty -----------------------------------------------------------------------------------------------------------


def facts(name: str) -> dict[str, float]:
    """What whoever trained it knows of the task of a recipe."""
    if name in ("regression", "exploding"):
        return {"variance": 1.0}
    return {"classes": {"label-noise": 2, "three-classes": 3, "sorted-folds": 4}.get(name, 10)}


def exploding(seed: int) -> Logs:
    """Plain SGD at a rate for which squared errors explode."""
    return one(Recipe(classes=0, optimizer="sgd", rate=2.0, epochs=20))(seed)


def two_runs(seed: int) -> Logs:
    """A run that crashed and was started again into the same log."""
    rows = train(replace(SMALL, epochs=12), seed)
    return {"run.csv": as_csv([*rows[:7], *train(replace(SMALL, epochs=12), seed + 1)])}


def folds(seed: int) -> Logs:
    """Folds cut from data that are sorted by class."""
    logs = {}
    recipe = replace(SMALL, classes=4, samples=400, width=16, epochs=15, rate=3e-3)
    x = torch.cat([part[0] for part in data(recipe, seed).values()])
    y = torch.cat([part[1] for part in data(recipe, seed).values()])
    order = y.argsort()
    for fold, held_out in enumerate(order.chunk(5)):
        kept = torch.ones(len(x), dtype=torch.bool)
        kept[held_out] = False
        parts = {"train": (x[kept], y[kept]), "val": (x[held_out], y[held_out])}
        logs[f"fold{fold}.csv"] = as_csv(train(recipe, seed + fold, parts))
    return logs


def depths(seed: int) -> Logs:
    """A deep network of sigmoids beside a shallow one."""
    recipe = replace(SMALL, plain=True, rate=3e-3, epochs=20)
    return {f"layers={depth}.csv": as_csv(train(replace(recipe, depth=depth), seed)) for depth in (1, 12)}


def compounding(done: float) -> float:
    """`rate = rate * decay ** epoch`, fed back: the exponent grows with the square of the epoch."""
    epoch = int(40 * done)
    return 0.94 ** (epoch * (epoch + 1) / 2)


FAULTY: dict[str, dict[str, Callable[[int], Logs]]] = {
    "TC101": {"exploding": exploding},
    "TC102": {
        "rising-rate": one(replace(SMALL, optimizer="sgd", rate=0.01, schedule=lambda done: math.exp(7 * done))),
        "rising-rate-steps": one(
            replace(SMALL, optimizer="sgd", rate=0.01, schedule=lambda done: math.exp(7 * done), every=10)
        ),
    },
    "TC103": {"bad-batches": one(replace(SMALL, bad_batches=0.004, every=1, epochs=15, optimizer="sgd", rate=1e-3))},
    "TC104": {
        "all-zeros": one(replace(SMALL, zeros=True, epochs=15)),
        "random-labels": one(replace(SMALL, flipped=1.0, epochs=15, width=8, rate=1e-4)),
        "too-low-a-rate": one(replace(SMALL, rate=1e-8, epochs=15)),
    },
    "TC105": {
        "rate-too-high": one(replace(SMALL, plain=True, depth=1, rate=1.0, batch=200, epochs=40)),
        "batches-too-small": one(replace(SMALL, plain=True, depth=1, rate=0.4, batch=32, samples=3000, epochs=30)),
    },
    "TC106": {
        "few-samples": one(Recipe(samples=300, width=256, flipped=0.3, epochs=60)),
        "few-samples-steps": one(Recipe(samples=300, width=256, flipped=0.3, epochs=60, every=1, batch=32)),
        "regression": one(Recipe(classes=0, samples=200, width=128, flipped=1.0, epochs=80)),
    },
    "TC107": {"overconfident": one(Recipe(samples=6000, width=128, flipped_held_out=0.25, epochs=40, rate=2e-4))},
    "TC108": {
        "too-small": one(replace(SMALL, width=2, depth=1, rate=1e-2, schedule=cosine)),
        "too-much-decay": one(replace(SMALL, decay=3.0, rate=1e-2)),
    },
    "TC109": {"shifted": one(replace(SMALL, shift=1.5, tested=True, schedule=cosine, rate=3e-3))},
    "TC110": {
        "rate-too-low": one(replace(SMALL, rate=3e-5)),
        "too-short": one(replace(SMALL, rate=1e-4, every=5, epochs=6)),
    },
    "TC111": {"noisy-steps": one(replace(SMALL, rate=0.02, batch=8, samples=2000, epochs=40))},
    "TC112": {"two-runs": two_runs},
    "TC113": {"dropout": one(replace(SMALL, dropout=0.5, width=128, schedule=cosine))},
    "TC114": {"few-evaluated": one(replace(SMALL, evaluated=16, schedule=cosine, rate=3e-3, epochs=40))},
    "TC115": {"sorted-folds": folds},
    "TC116": {"plain-deep": depths},
    "TC117": {"compounding": one(replace(SMALL, schedule=compounding, rate=3e-4, epochs=40))},
}
