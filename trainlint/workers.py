"""Processes that check units, one after the other, until none is left."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, cast

from trainlint.analysis import Job, Outcome, failed, perform

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


def perform_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Check units in several processes: the units and what came of them, as each is ready.

    The files of a unit whose process dies are reported, and the others go on. Raises what `perform` raises.
    """
    waiting = deque(sorted(jobs, key=lambda job: job.size, reverse=True))  # the longest first
    pool = _Pool()
    try:
        for _ in range(min(processes, len(jobs))):
            pool.start(waiting.popleft())
        while pool.busy:
            for connection in cast("list[Connection]", wait(list(pool.busy))):
                job, outcome = pool.take(connection)
                if waiting:
                    pool.give(connection, waiting.popleft())
                yield job, outcome
    finally:
        pool.stop()


class _Pool:
    """The processes, by the pipes to them, and what each is busy with."""

    def __init__(self) -> None:
        methods = multiprocessing.get_all_start_methods()
        # Not `fork`, which copies threads' locks; a server to fork from has imported everything once.
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(["trainlint.workers", "trainlint.semantics.project"])
        self._processes: dict[Connection, BaseProcess] = {}
        self.busy: dict[Connection, Job] = {}

    def start(self, job: Job) -> None:
        """Start a process and give it a unit."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._processes[ours] = process
        self.give(ours, job)

    def give(self, connection: Connection, job: Job) -> None:
        """Give a process its next unit."""
        if connection not in self._processes:
            self.start(job)
            return
        self.busy[connection] = job
        with suppress(OSError):  # if it has died since, reading from it will tell
            connection.send(job)

    def take(self, connection: Connection) -> tuple[Job, Outcome]:
        """What came of the unit that a process was busy with."""
        job = self.busy.pop(connection)
        try:
            result = connection.recv()
        except (EOFError, OSError):
            process = self._processes.pop(connection)
            connection.close()
            process.join()
            return job, failed(job, f"the process that checked the file ended by itself (status {process.exitcode})")
        if isinstance(result, BaseException):
            raise result
        return job, result

    def stop(self) -> None:
        """End all processes, at once."""
        for connection, process in self._processes.items():
            connection.close()
            process.terminate()
        for process in self._processes.values():
            process.join()


def _serve(connection: Connection) -> None:
    """What a process does: it checks units until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it will end it
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result: Outcome | Exception = perform(job)
        except Exception as error:  # noqa: BLE001 - raised where the units are handed out
            result = error
        with suppress(OSError):
            connection.send(result)
