"""A JSON document of lists or records: `History.history` of Keras, and what notebooks dump."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from trainlint.curves.readers import Row, Unreadable, document
from trainlint.curves.readers.json_lines import flattened


def claims(path: Path, head: str) -> bool:
    """Whether the file is one JSON document, which may be cut off."""
    start = head.lstrip()
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return False
    if path.suffix.lower() == ".json":
        first = start.partition("\n")[0].rstrip()
        # Objects on lines of their own are JSON lines, whatever the file is called.
        return not (first.endswith("}") and start.partition("\n")[2].lstrip().startswith("{"))
    return start.startswith(('{"loss": [', '{"history": {', "[{"))


def rows(path: Path) -> Iterator[Row]:
    """Lists by name as one row an epoch, or the records of a list."""
    content, problem = document(path)
    if isinstance(content, dict) and isinstance(content.get("history"), (dict, list)):
        content = content["history"]
    if isinstance(content, list):
        records = [flattened(entry) for entry in content if isinstance(entry, dict)]
    else:
        records = list(_records(content)) if isinstance(content, dict) else []
    if not records:
        raise problem or Unreadable(
            "a JSON document that holds no history: neither lists of numbers by name nor a list of records"
        )
    for record in records:
        yield Row(record)
    if problem is not None:
        raise problem


def _records(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    columns = {name: values for name, values in flattened(content).items() if isinstance(values, list) and values}
    for index, values in enumerate(zip_longest(*columns.values())):
        record = dict(zip(columns, values, strict=True))
        yield record if any(name in record for name in ("epoch", "step")) else {"epoch": index + 1, **record}
