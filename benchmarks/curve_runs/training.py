"""A training, and the record that it leaves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from curve_runs.tasks import Part, Parts, Recipe, data, loss_of, network

Rows = list[dict[str, Any]]

_OPTIMIZERS = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}


def train(recipe: Recipe, seed: int, parts: Parts | None = None) -> Rows:
    """Train and record, on these data or on those of the seed."""
    parts = parts or data(recipe, seed)
    torch.manual_seed(seed + 1)
    model = network(recipe)
    extra = {"momentum": 0.9} if recipe.optimizer == "sgd" else {}
    optimizer = _OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.rate, weight_decay=recipe.decay, **extra)
    x, y = parts["train"]
    batches = math.ceil(len(x) / recipe.batch)
    rows: Rows = []
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(x))
        losses: list[float] = []
        right = 0.0
        for i in range(batches):
            step = (epoch - 1) * batches + i + 1
            rate = recipe.rate * recipe.schedule((step - 1) / (batches * recipe.epochs))
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
            losses.append(float(loss.detach()))
            right += accuracy(recipe, out, y[chosen]) * len(chosen)
            if recipe.every and step % recipe.every == 0:
                value = sum(losses) / len(losses) if recipe.running else losses[-1]
                rows.append({"step": step, "epoch": epoch, "train_loss": value, "lr": rate})
        row: dict[str, Any] = {"step": step, "epoch": epoch}
        if not recipe.every:
            row |= {"train_loss": sum(losses) / len(losses), "lr": rate}
            if recipe.classes:
                row["train_acc"] = right / len(x)
        rows.append(row | evaluated(recipe, model, parts["val"], "val"))
    if recipe.tested:
        rows[-1] |= evaluated(replace(recipe, evaluated=0), model, parts["test"], "test")
    return rows


def accuracy(recipe: Recipe, out: Tensor, y: Tensor) -> float:
    """The share of targets that are told right; 0 of numbers."""
    return float((out.argmax(-1) == y).float().mean()) if recipe.classes else 0.0


@torch.no_grad()
def evaluated(recipe: Recipe, model: nn.Module, part: Part, name: str) -> dict[str, float]:
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
        found[f"{name}_acc"] = accuracy(recipe, out, y)
    return found
