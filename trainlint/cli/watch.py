"""`--watch`: check again when something changed, until Ctrl-C.

Files are looked at again and again rather than subscribed to: that works on any file system, in containers and on
network drives too, and costs little for the few thousand files of a project.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from trainlint.cli.output import CLEAN, FAILED
from trainlint.config import UsageError

INTERVAL = 0.5
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def watch(check: Callable[[], int], files: Callable[[], Iterable[Path]], options: argparse.Namespace) -> int:
    """Run a check now, and whenever the files that matter are others or have changed."""
    seen: object = None
    try:
        while True:
            now = _state(files)
            if now != seen:
                seen = now
                _run(check, options)
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        if threading.active_count() > 1:
            os._exit(CLEAN)  # do not wait for a check that goes on in its own thread
        return CLEAN


def _state(files: Callable[[], Iterable[Path]]) -> object:
    """What is different after a change: size and time of each file, or what is wrong with the settings."""
    try:
        return {path: _stamp(path) for path in files()}
    except UsageError as error:
        return str(error)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _run(check: Callable[[], int], options: argparse.Namespace) -> None:
    if sys.stdout.isatty():
        print(_CLEAR, end="", flush=True)
    try:
        status = check()
    except UsageError as error:
        status = FAILED
        print(f"trainlint: error: {error}", file=sys.stderr)
    if not options.quiet:
        print(f"[{datetime.now():%H:%M:%S}] exit status {status}; waiting for changes", file=sys.stderr, flush=True)
    gc.collect()  # the command collects none by itself
