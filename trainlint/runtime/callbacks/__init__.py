"""Callbacks of training frameworks: `watch`, begun and ended by them. Each module here imports its framework."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from trainlint.config import Configuration
from trainlint.findings import Finding
from trainlint.runtime.monitor import EVERY
from trainlint.runtime.watching import Watch, watch


class Watched:
    """What all callbacks share: a watch that begins and ends with a training, and says then what was found.

    The arguments are those of `watch`. `findings` holds those of the last training, `steps`
    how many turns it had. In a `with` block nothing stays
    watched that an exception has ended; frameworks do not tell all their callbacks of one. Without, that is watched no
    more when the next training begins, or the process ends.
    """

    def __init__(
        self,
        *,
        every: int = EVERY,
        max_steps: int | None = None,
        select: Sequence[str] | None = None,
        ignore: Sequence[str] = (),
        report: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.steps = 0
        self._options: dict[str, Any] = {
            "every": every,
            "max_steps": max_steps,
            "select": select,
            "ignore": ignore,
            "report": report,
        }
        watch(**self._options)  # complain now rather than when training begins
        self._watch: Watch | None = None
        self._is_telling = True

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, *parts: torch.nn.Module | torch.optim.Optimizer, is_telling: bool = True) -> None:
        """Watch from now on; of these models and optimizers only, if any are given.

        Where `is_telling` is false (in all processes but one) nothing is printed or written at the end.
        """
        self.end()
        self._is_telling = is_telling
        options = self._options if is_telling else {**self._options, "report": None}
        self._watch = watch(*parts, **options)
        atexit.register(self.end)
        self._watch.start()

    def end(self) -> None:
        """Watch no more, and say on standard error what was found."""
        if self._watch is None:
            return
        ended, self._watch = self._watch, None
        atexit.unregister(self.end)
        ended.stop()
        self.findings, self.steps = ended.findings, ended.steps
        if self._is_telling and self.findings:
            show(self.findings)


def show(findings: Sequence[Finding]) -> None:
    """Print findings on standard error, in the format that the settings ask for."""
    from trainlint.reports import renderer
    from trainlint.reports.sources import Sources
    from trainlint.reports.style import Style, wants_color

    output_format = Configuration().for_folder(Path.cwd()).output_format
    sys.stdout.flush()
    sys.stderr.writelines(renderer(output_format)(findings, Sources(), Style(wants_color("auto", sys.stderr))))


def unwrapped(optimizer: Any) -> Any:
    """The optimizer of PyTorch in those that a framework has put around it."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    return optimizer
