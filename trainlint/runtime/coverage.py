"""Which lines of the user's code run.

Python 3.12 and later tell of each line when it runs for the first time, and never again: that costs nothing in a loop.
Before that no means is cheap enough, and lines are not known.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from types import CodeType
from typing import Any

from trainlint.runtime.places import is_users

# What runs Python code elsewhere, when it was imported: processes that are started anew.
_STARTERS = (
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.popen_spawn_win32",
    "multiprocessing.popen_forkserver",
)


class Coverage:
    """The lines that ran, by file; nothing where Python does not tell. Listens from `start` to `stop`."""

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] = defaultdict(set)
        self.has_forked = False
        self._tool: int | None = None
        # Before Python 3.12 there is no such module.
        self._monitoring: Any = getattr(sys, "monitoring", None)

    @property
    def tells_lines(self) -> bool:
        """Whether lines are known at all."""
        return self._tool is not None

    @property
    def lines(self) -> dict[str, set[int]]:
        """The lines that ran, by the absolute path of their file."""
        found: dict[str, set[int]] = defaultdict(set)
        for name, lines in self._lines.items():
            found[os.path.abspath(name)] |= lines
        return found

    @property
    def is_whole(self) -> bool:
        """Whether a line that was not seen did not run: other processes, and what is compiled, run code unseen."""
        return not (self.has_forked or any(name in sys.modules for name in _STARTERS) or _has_compiled())

    def start(self) -> None:
        """Listen, if Python can tell and has a place left for another listener."""
        os.register_at_fork(after_in_parent=self._note_fork)
        monitoring = self._monitoring
        free = () if monitoring is None else (tool for tool in (4, 3) if monitoring.get_tool(tool) is None)
        self._tool = next(iter(free), None)
        if self._tool is not None:
            monitoring.use_tool_id(self._tool, "trainlint")
            monitoring.register_callback(self._tool, monitoring.events.PY_START, self._function_starts)
            monitoring.register_callback(self._tool, monitoring.events.LINE, self._line_runs)
            monitoring.set_events(self._tool, monitoring.events.PY_START)

    def stop(self) -> None:
        """Listen no more; what was seen stays."""
        monitoring, tool = self._monitoring, self._tool
        if tool is not None and monitoring.get_tool(tool) == "trainlint":
            monitoring.set_events(tool, monitoring.events.NO_EVENTS)
            for event in (monitoring.events.PY_START, monitoring.events.LINE):
                monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

    def _note_fork(self) -> None:
        self.has_forked = True

    def _function_starts(self, code: CodeType, offset: int) -> Any:
        monitoring = self._monitoring
        if is_users(code.co_filename) and self._tool is not None:
            monitoring.set_local_events(self._tool, code, monitoring.events.LINE)
        return monitoring.DISABLE

    def _line_runs(self, code: CodeType, line: int) -> Any:
        self._lines[code.co_filename].add(line)
        return self._monitoring.DISABLE


def _has_compiled() -> bool:
    """Whether PyTorch has compiled code of the user's, which then runs without Python."""
    dynamo, functions, modules = map(
        sys.modules.get, ("torch._dynamo.utils", "torch.jit._state", "torch.jit._recursive")
    )
    scripted = [
        *getattr(functions, "_jit_caching_layer", ()),
        *getattr(getattr(modules, "concrete_type_store", None), "type_store", ()),
    ]
    frames = getattr(dynamo, "counters", {}).get("frames")
    files = (getattr(sys.modules.get(item.__module__), "__file__", None) for item in scripted)
    return bool(frames) or any(file and is_users(file) for file in files)
