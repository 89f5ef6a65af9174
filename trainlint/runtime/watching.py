"""The door for code: watch a part of a program, and have its findings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch

from trainlint.config import Selection, require_writable
from trainlint.findings import Finding
from trainlint.runtime.monitor import EVERY, Monitor
from trainlint.runtime.selection import chosen_probes
from trainlint.runtime.verdict import findings_of

if TYPE_CHECKING:
    from trainlint.runtime.report.recorder import Recorder


class Watch:
    """A run under observation. `findings` may be asked for at any time; what needs the whole run comes at its end."""

    def __init__(self, monitor: Monitor, report: Path | None = None) -> None:
        self._monitor = monitor
        self._report = report
        self._recorder: Recorder | None = None
        if report is not None:
            from trainlint.runtime.report.recorder import Recorder

            self._recorder = Recorder(monitor)
            monitor.attach(self._recorder)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch."""
        self._monitor.start()

    def stop(self) -> None:
        """Watch no more, judge, and write the report if one was asked for. PyTorch is then as it was before.

        Raises OSError if the report cannot be written.
        """
        self._monitor.stop()
        recorder, self._recorder = self._recorder, None
        if recorder is not None and self._report is not None:
            from trainlint.runtime.report.page import write_run

            write_run(self._report, Path(sys.argv[0]).name or "python", recorder.story(), self.findings)

    @property
    def steps(self) -> int:
        """How many turns of training were seen; a turn is one step of each optimizer."""
        return self._monitor.turn

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, less what comments in the source suppress."""
        self._monitor.settle()
        return findings_of(self._monitor.observations.values())


def watch(
    *parts: torch.nn.Module | torch.optim.Optimizer,
    every: int = EVERY,
    max_steps: int | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    report: str | Path | None = None,
) -> Watch:
    """Watch the training in a `with` block, or from `start()` to `stop()`.

    Given models or optimizers, others are ignored. Tensors are looked at in the first turns and then in one of `every`,
    up to turn `max_steps`. `select` and `ignore` choose rules as on the command line. At the end, a page with what
    was measured is written to the file `report`.

    Raises ValueError if `every` or `max_steps` is less than 1, and UsageError if a rule is unknown or the report cannot
    be written.
    """
    own = Selection(None if select is None else tuple(select), (), tuple(ignore))
    probes = chosen_probes(Path.cwd(), own)
    if report is not None:
        require_writable(Path(report))
    monitor = Monitor(probes, every=every, max_steps=max_steps, only=parts)
    return Watch(monitor, None if report is None else Path(report).absolute())
