"""A record as loggers write it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from curve_runs.tasks import Recipe
from curve_runs.training import Rows, train

Logs = dict[str, str]


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
