"""Tables of comma-, semicolon- or tab-separated values: loggers' own, Lightning's `metrics.csv`, Keras' `CSVLogger`,
and exports of Weights & Biases and MLflow."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from trainlint.curves.readers import LONGEST_LINE, Row, Unreadable, lines

_DELIMITERS = ",\t;"
# W&B adds the extremes of what it has joined for the plot.
_EXTREME = re.compile(r"__(MIN|MAX)$")


def claims(path: Path, head: str) -> bool:
    """Whether the first line is a list of names, or the file says that it is a table."""
    first, second = (*(line for line in head.splitlines() if line.strip() and not line.startswith("#")), "", "")[:2]
    delimiter = _delimiter(first)
    if delimiter is None:
        return False
    is_table = path.suffix.lower() in (".csv", ".tsv")
    return is_table or (first.count(delimiter) == second.count(delimiter) and not re.search(r"\d\.\d|[:=]", first))


def _delimiter(header: str) -> str | None:
    counts = {delimiter: header.count(delimiter) for delimiter in _DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else None


def rows(path: Path) -> Iterator[Row]:
    """The rows below the header; a header that comes again, as of a run that was resumed, is no row."""
    numbered = ((number, text) for number, text in lines(path) if text.strip() and not text.startswith("#"))
    (_, first) = next(numbered, (0, ""))
    delimiter = _delimiter(first)
    if delimiter is None:
        raise Unreadable("no table: the first line names no columns")
    names = _names(_cells(first, delimiter))
    count = 0
    problem: Unreadable | None = None
    cut = 0
    for number, text in numbered:
        cells = _cells(text, delimiter)
        if cut:  # lines follow, so it is not the end of a file that was cut off
            problem, cut = problem or _passed_over("fewer", cut), 0
        if len(cells) != len(names):
            # A run that was resumed may log other columns.
            if len(cells) > 1 and all(re.search(r"[A-Za-z]{2}", cell) for cell in cells):
                names = _names(cells)
            elif len(cells) > len(names):
                problem = problem or _passed_over("more", number)
            else:
                cut = number
            continue
        if [cell.strip() for cell in cells] == names:
            continue
        count += 1
        yield Row({name: cell for name, cell in zip(names, cells, strict=True) if not _EXTREME.search(name)}, number)
    if problem is not None:
        raise problem
    if not count:
        raise Unreadable("the table has a header and no rows")


def _passed_over(how_many: str, number: int) -> Unreadable:
    return Unreadable(f"a row has {how_many} values than the header has names; it was passed over", number)


def _names(cells: list[str]) -> list[str]:
    """The header; a W&B export's `run - metric` without the run if there is one run only."""
    names = [cell.strip() for cell in cells]
    heads = {name.partition(" - ")[0] for name in names if " - " in name}
    return [name.partition(" - ")[2] if len(heads) == 1 and " - " in name else name for name in names]


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.rstrip("\r\n").split(delimiter)
    csv.field_size_limit(LONGEST_LINE)
    return next(csv.reader([text], delimiter=delimiter), [])
