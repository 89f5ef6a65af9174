"""JSON lines: one object a record, as many loggers and exports of Weights & Biases write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainlint.curves.readers import PassedOver, Row, Unreadable, lines


def claims(path: Path, head: str) -> bool:
    """Whether the first line is an object of its own, or the file says so."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return True
    first = next((line.strip() for line in head.splitlines() if line.strip()), "")
    return first.startswith('{"') and first.endswith("}")


def rows(path: Path) -> Iterator[Row]:
    """The objects; what is no object, as a line that was cut off, is passed over as long as there are others."""
    good = False
    bad = PassedOver("line is no JSON object", "lines are no JSON objects")
    first = 0
    for number, text in lines(path):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):  # a number of too many digits is a ValueError
            entry = None
        if isinstance(entry, dict):
            good = True
            yield Row(flattened(entry), number)
        else:
            first = first or number
            bad.add(number)
    if not good:
        raise Unreadable("no line is a JSON object", first)
    bad.tell()


def flattened(entry: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as names with a slash between: `{"val": {"loss": 1}}` is `val/loss`."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
