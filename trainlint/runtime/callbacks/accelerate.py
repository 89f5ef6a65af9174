"""Hugging Face Accelerate: `Accelerator(log_with=[TrainlintTracker()])`, with `init_trackers` before the training and
`end_training` after it, as trackers need them."""

from __future__ import annotations

from typing import Any

from accelerate.state import PartialState
from accelerate.tracking import GeneralTracker

from trainlint.runtime.callbacks import Watched


class TrainlintTracker(Watched, GeneralTracker):
    """Watches all that is trained between `init_trackers` and `end_training`. Only the main process says what was
    found."""

    name = "trainlint"
    requires_logging_directory = False
    # Each process has tensors of its own.
    main_process_only = False

    @property
    def tracker(self) -> Any:
        """What does the work."""
        return self

    def start(self) -> None:
        """The trackers are started."""
        self.begin(is_telling=PartialState().is_main_process)

    def finish(self) -> None:
        """The training has ended."""
        self.end()
