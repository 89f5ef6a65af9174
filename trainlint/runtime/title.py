"""Progress in the title of the terminal: how far a run is. The screen is left to the script and its bars."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Seconds from one title to the next.
PAUSE = 1.0
# Control sequences of xterm, which terminals know: put the title away, set one, take the old one back.
_PUSH, _SET, _POP = "\x1b[22;2t", "\x1b]2;{}\x07", "\x1b[23;2t"
# Terminals without a title.
_BARE = ("", "dumb", "linux", "unknown")


def has_title(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream goes to a terminal with a title."""
    return stream.isatty() and environ.get("TERM", "") not in _BARE


class Title(Probe):
    """Says after observed turns how many there were, and what was found so far."""

    name = "progress"

    def __init__(self, run: Monitor, stream: TextIO) -> None:
        super().__init__(run)
        self._stream = stream
        self._last = -PAUSE
        self._is_set = False

    @on("review")
    def show(self, _: None) -> None:
        """Set the title, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._last >= PAUSE and self.run.is_listening:
            self._last = now
            found = len(self.run.observations)
            words = f"trainlint: {self.run.turn} steps" + (f", {found} found" if found else "")
            self._stream.write(("" if self._is_set else _PUSH) + _SET.format(words))
            self._stream.flush()
            self._is_set = True

    def restore(self) -> None:
        """Give the terminal back the title that it had."""
        if self._is_set:
            self._is_set = False
            self._stream.write(_POP)
            self._stream.flush()
