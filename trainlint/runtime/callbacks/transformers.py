"""Hugging Face Transformers: `Trainer(..., callbacks=[TrainlintCallback()])`."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from trainlint.runtime.callbacks import Watched, unwrapped


class TrainlintCallback(Watched, TrainerCallback):
    """Watches what `train` does, evaluations included. Only the first process says what was found."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Model and optimizer are there."""
        parts = [kwargs.get("model"), unwrapped(kwargs.get("optimizer"))]
        self.begin(*(part for part in parts if part is not None), is_telling=state.is_world_process_zero)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """All is done."""
        self.end()
