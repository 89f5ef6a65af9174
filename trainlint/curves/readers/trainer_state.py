"""The `trainer_state.json` that Hugging Face's `Trainer` writes with its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainlint.curves.readers import Row, Unreadable, document


def claims(path: Path, head: str) -> bool:
    """Whether this is the state of a `Trainer`."""
    return path.name == "trainer_state.json" or (head.lstrip().startswith("{") and '"log_history"' in head)


def rows(path: Path) -> Iterator[Row]:
    """The entries of its history; all of them have the step of the optimizer.

    The last is a summary: its `train_loss` is the mean over the whole run, and no point of the curve.
    """
    state, problem = document(path)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not history:
        raise problem or Unreadable(
            "the state of a Trainer without `log_history`: nothing was logged before it was saved"
        )
    for entry in history:
        if isinstance(entry, dict) and "train_runtime" not in entry:
            yield Row(entry)
    if problem is not None:
        raise problem
