"""Lightning: `Trainer(callbacks=[TrainlintCallback()])`."""

from __future__ import annotations

from typing import Any

from trainlint.runtime.callbacks import Watched, unwrapped

try:
    from lightning.pytorch import Callback
except ImportError:  # the package under its former name
    from pytorch_lightning import Callback


class TrainlintCallback(Watched, Callback):
    """Watches what `fit` trains, sanity check and validation included. Only the first process says what was found."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are there."""
        self.begin(pl_module, *map(unwrapped, trainer.optimizers), is_telling=trainer.is_global_zero)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """All is done."""
        self.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Or it failed, or was interrupted."""
        self.end()
