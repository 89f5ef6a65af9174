"""JSON lines: one object a record, as many loggers and exports of Weights & Biases write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainlint.curves.readers import Row, Unreadable, lines


def claims(path: Path, head: str) -> bool:
    """Whether the first line is an object of its own, or the file says so."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return True
    first = next((line.strip() for line in head.splitlines() if line.strip()), "")
    return first.startswith('{"') and first.endswith("}")


def rows(path: Path) -> Iterator[Row]:
    """The objects; what is no object, as a line that was cut off, is passed over as long as there are others."""
    good = 0
    bad: list[int] = []
    for number, text in lines(path):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            good += 1
            yield Row(flattened(entry), number)
        elif len(bad) < 9:
            bad.append(number)
    if not good:
        raise Unreadable("no line is a JSON object", bad[0] if bad else 0)
    if bad:
        raise Unreadable("a line is no JSON object; it was passed over", bad[0])


def flattened(entry: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as names with a slash between: `{"val": {"loss": 1}}` is `val/loss`."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}/")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
