"""The `metrics` folder of a run of MLflow: a file a metric, with time, value and step on each line."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from trainlint.curves.readers import PassedOver, Row, Unreadable, lines


def claims(path: Path, head: str) -> bool:
    """Whether this is the folder of a run's metrics."""
    return path.is_dir() and path.name == "metrics"


def rows(path: Path) -> Iterator[Row]:
    """The records of all metrics, by step."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise Unreadable("the run has no metrics")
    bad = PassedOver("line of the metrics is no record", "lines of the metrics are no records")
    records = heapq.merge(
        *(_records(file, file.relative_to(path).as_posix(), bad) for file in files), key=lambda record: record[0]
    )
    for step, name, value in records:
        yield Row({"step": step, name: value})
    bad.tell()


def _records(file: Path, name: str, bad: PassedOver) -> Iterator[tuple[float, str, str]]:
    for number, text in lines(file):
        cells = text.split()
        try:
            yield float(cells[2]) if len(cells) > 2 else 0.0, name, cells[1]
        except (ValueError, IndexError):
            if cells:
                bad.add(number)
