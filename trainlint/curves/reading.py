"""From paths to runs: which logs a folder holds, and how rows become series."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from trainlint.config import UsageError
from trainlint.curves.names import ACCURACY, CLOCKS, EPOCHS, STEPS, Role, role_of, words_of
from trainlint.curves.readers import Row, Unreadable, reader
from trainlint.curves.series import Run, Series, assign

# What is opened in a folder: names that only logs have.
_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".log", ".out", ".txt"})
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})
# Names of one run that are kept; records of every layer of a large model are fewer.
MOST_SERIES = 4096
# A text that is no number, and yet no mistake: what loggers write where there is no value.
_NOTHING = frozenset({"", "none", "null", "na", "n/a", "-", "—"})


@dataclass(frozen=True)
class Log:
    """One run's record: a file, a folder of metrics, or event files that belong together.

    `prefixes` are put before the names of each path's series, as `train/` of a folder that is called so."""

    filename: str
    paths: tuple[Path, ...]
    prefixes: tuple[str, ...]
    # Whether the user named it: then it is an error if there is nothing in it.
    named: bool


def logs(paths: Sequence[str]) -> list[Log]:
    """The logs that paths name or hold. Raises UsageError if a path does not exist."""
    found: list[Log] = []
    for text in paths:
        path = Path(text)
        if not path.exists():
            raise UsageError(f"{text} does not exist")
        if path.is_dir():
            found += _in_folder(path)
        else:
            found.append(Log(text, (path,), ("",), True))
    return list({log.paths: log for log in reversed(found)}.values())[::-1]


def _in_folder(root: Path) -> Iterator[Log]:
    events: dict[Path, list[tuple[Path, str]]] = defaultdict(list)
    states: dict[Path, tuple[tuple[int, str], Path]] = {}
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        if here.name == "metrics" and (here.parent / "meta.yaml").exists():
            folders.clear()
            yield Log(str(here), (here,), ("",), False)
            continue
        for name in sorted(names):
            path = here / name
            if "tfevents" in name:
                split = role_of(f"{here.name} loss") if here != root else Role("", "")
                is_part = split.metric and len(words_of(here.name)) == 1
                events[here.parent if is_part else here].append((path, f"{here.name}/" if is_part else ""))
            elif name == "trainer_state.json":
                # Each checkpoint repeats what those before it say.
                number = here.name.rpartition("-")[2]
                rank = (int(number), "") if number.isdigit() else (1 << 62, here.name)
                group = here.parent if number.isdigit() else here
                states[group] = max(states.get(group, (rank, path)), (rank, path))
            elif path.suffix.lower() in _SUFFIXES:
                yield Log(str(path), (path,), ("",), False)
    for pairs in events.values():
        files, prefixes = zip(*pairs, strict=True)
        yield Log(str(files[0]), files, prefixes, False)
    for _, path in states.values():
        yield Log(str(path), (path,), ("",), False)


class Assembler:
    """Puts rows together to series: finds the step of each row and the numbers among its values."""

    def __init__(self, run: Run, given: Mapping[str, Role | None]) -> None:
        self._run = run
        self._given = given
        self._step_column = next((column for column, role in given.items() if role is None), None)
        self._series: dict[tuple[str, str], Series] = {}
        self._texts: dict[str, tuple[int, str]] = {}
        self._rows = 0
        # Names beyond the most that are kept, as of a log whose names hold numbers.
        self._left_out = 0
        # Steps that begin anew in each epoch go on from where the last epoch ended.
        self._epoch = -math.inf
        self._before = -math.inf
        self._base = 0.0
        # The first step of all files whose names have a prefix, and the prefixes whose next row is a file's first.
        self._first: dict[str, float] = {}
        self._opened: set[str] = set()

    def add(self, row: Row, prefix: str = "") -> None:
        """Take a row apart."""
        self._rows += 1
        layout = _layout(tuple(row.values))
        step, column = self._step(row.values, layout)
        if prefix in self._opened:
            self._opened.discard(prefix)
            self._resume(step, prefix)
        for name in layout.metrics:
            if name == column:
                continue
            raw = row.values[name]
            value = number(raw)
            if value is None:
                if isinstance(raw, str) and raw.strip().lower() not in _NOTHING and len(self._texts) < MOST_SERIES:
                    self._texts.setdefault(name, (row.line, raw.strip()[:40]))
                continue
            series = self._of(name, prefix)
            if series is not None:
                series.add(step, value, row.line)

    def opened(self, prefix: str) -> None:
        """Tell that another file of the same run begins, whose names have this prefix."""
        self._opened.add(prefix)

    def _resume(self, step: float, prefix: str) -> None:
        """Forget what a file that came before says of later steps than this file begins with.

        A run that is resumed goes on from its last checkpoint, and does those steps again. TensorBoard draws it so too.
        What begins no later than the first file is no run resumed but another, which TC112 will say.
        """
        first = self._first.setdefault(prefix, step)
        if step <= first:
            return
        stale = [series for (part, _), series in self._series.items() if part == prefix and series.forget(step)]
        if stale:
            self._run.notes.append(f"resumed at step {step:g}: earlier records of this and later steps are passed over")

    def _of(self, name: str, prefix: str) -> Series | None:
        known = self._series.get((prefix, name))
        if known is None:
            if len(self._series) >= MOST_SERIES:
                self._left_out += 1
                return None
            full = f"{self._run.name} - {name}" if self._run.name else prefix + name
            role = self._given.get(full) or self._given.get(name) or role_of(prefix + name)
            known = self._series[prefix, name] = Series(full, role)
            self._run.series.append(known)
        return known

    def _step(self, values: Mapping[str, Any], layout: _Layout) -> tuple[float, str]:
        epoch_column, epoch = _first(values, layout.epochs)
        if self._step_column is not None:
            value = number(values.get(self._step_column))
            return (self._before if value is None else value), self._step_column
        column, step = _first(values, layout.steps)
        if step is None:
            if epoch is None:
                self._run.is_counted = True
                return float(self._rows), ""
            # A summary of an epoch among records of its steps stands where they ended.
            return (epoch if self._before == -math.inf else self._base + self._before), epoch_column
        if epoch is not None:
            if math.floor(epoch) > self._epoch and step < self._before:
                self._base += self._before
            self._epoch = math.floor(epoch)
        self._before = step
        return self._base + step, column

    def finish(self) -> None:
        """Give the series their roles, and note what was not understood."""
        for series in self._run.series:
            if series.role.metric == ACCURACY and series.points and 1.5 < max(series.values) <= 100:
                series.scaled(0.01)
        self._run.roles = assign(self._run.series)
        if self._left_out:
            self._run.notes.append(f"it has more than {MOST_SERIES} names; {self._left_out} values are passed over")
        for name, (line, text) in self._texts.items():
            if (self._given.get(name) or role_of(name)).metric:
                self._run.notes.append(f"`{name}` is no number at line {line} (`{text}`); such values are passed over")


class _Layout(NamedTuple):
    """What the names of a row are: of steps and of epochs, the most telling first, and of what was measured."""

    steps: tuple[str, ...]
    epochs: tuple[str, ...]
    metrics: tuple[str, ...]


@lru_cache(maxsize=256)
def _layout(names: tuple[str, ...]) -> _Layout:
    lowered = {name.lower(): name for name in names}
    steps, epochs = (tuple(lowered[name] for name in known if name in lowered) for known in (STEPS, EPOCHS))
    return _Layout(steps, epochs, tuple(name for name in names if name.lower() not in {*CLOCKS, *EPOCHS, *STEPS}))


def _first(values: Mapping[str, Any], names: Iterable[str]) -> tuple[str, float | None]:
    """The first of the names that a row has a number for."""
    for name in names:
        value = number(values[name])
        if value is not None and math.isfinite(value):
            return name, value
    return "", None


def number(raw: Any) -> float | None:
    """A recorded value as a number; None if it is none. A percentage is a fraction."""
    if isinstance(raw, bool) or raw is None:
        return None
    if isinstance(raw, (int, float)):
        try:
            return float(raw)
        except OverflowError:
            return math.inf
    if not isinstance(raw, str) or not raw:
        return None
    try:
        return float(raw)
    except ValueError:
        return _dressed(raw.strip())


def _dressed(text: str) -> float | None:
    """A number in a tensor's clothes, or with a sign of percent."""
    if text.startswith("tensor("):
        text = text[len("tensor(") :].partition(",")[0].rstrip(")")
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def read(log: Log, given: Mapping[str, Role | None]) -> tuple[list[Run], list[Unreadable]]:
    """The runs of a log, and what of it could not be read: what stands before is kept."""
    assemblers: dict[str, Assembler] = {}
    runs: dict[str, Run] = {}
    problems = []
    for path, prefix in zip(log.paths, log.prefixes, strict=True):
        for assembler in assemblers.values():
            assembler.opened(prefix)
        try:
            for row in reader(path).rows(path):
                if row.run not in runs:
                    runs[row.run] = Run(log.filename, row.run)
                    assemblers[row.run] = Assembler(runs[row.run], given)
                    assemblers[row.run].opened(prefix)
                assemblers[row.run].add(row, prefix)
        except Unreadable as error:
            problems.append(error)
    for assembler in assemblers.values():
        assembler.finish()
    return list(runs.values()) or [Run(log.filename)], problems
