"""Tables of comma-, semicolon- or tab-separated values: loggers' own, Lightning's `metrics.csv`, Keras' `CSVLogger`,
and exports of Weights & Biases and MLflow."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from trainlint.curves.names import is_part
from trainlint.curves.readers import LONGEST_LINE, PassedOver, Row, Unreadable, lines

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
    header = _cells(first, delimiter)
    columns = _columns(header)
    good = False
    bad = PassedOver(
        "row has another number of values than the header has names",
        "rows have another number of values than the header has names",
    )
    cut = 0
    for number, text in numbered:
        cells = _cells(text, delimiter)
        if cut:  # lines follow, so it is not the end of a file that was cut off
            bad.add(cut)
            cut = 0
        if cells == header:
            continue
        if len(cells) != len(header):
            # A run that was resumed may log other columns.
            if len(cells) > 1 and all(re.search(r"[A-Za-z]{2}", cell) for cell in cells):
                header, columns = cells, _columns(cells)
            elif len(cells) > len(header):
                bad.add(number)
            else:
                cut = number
            continue
        good = True
        for run, places in columns.items():
            values = {name: cells[place] for name, place in places.items()}
            yield Row(values, number, run)
    bad.tell()
    if not good:
        raise Unreadable("the table has a header and no rows")


def _columns(header: list[str]) -> dict[str, dict[str, int]]:
    """The columns of each run by their names; W&B exports several runs as `run - metric`.

    A run that is alone has no name, and columns of no run, such as the step, belong to all.
    """
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for place, name in enumerate(header):
        if not _EXTREME.search(name):
            run, separator, metric = name.partition(" - ")
            if not separator or is_part(run):
                run, metric = "", name
            found[run][metric] = place
    shared = found.pop("", {})
    if len(found) < 2:
        return {"": shared | next(iter(found.values()), {})}
    return {run: shared | own for run, own in found.items()}


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    csv.field_size_limit(LONGEST_LINE)
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
