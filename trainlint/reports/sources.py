"""The lines of code that findings point at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Sources:
    """Gives single lines of files, read when asked for; `texts` gives those that are not on the disk."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = texts or {}
        self._lines: dict[tuple[str, int | None], list[str]] = {}

    def line(self, filename: str, cell: int | None, number: int) -> str | None:
        """Line `number` of a file or of a notebook's code cell, without its end; None if it cannot be had."""
        if (filename, cell) not in self._lines:
            from trainlint.syntax.positions import NEWLINE

            text = self._text(filename, cell)
            self._lines[filename, cell] = [] if text is None else NEWLINE.split(text)
        lines = self._lines[filename, cell]
        return lines[number - 1] if 0 < number <= len(lines) else None

    def _text(self, filename: str, cell: int | None) -> str | None:
        from trainlint.syntax import Unreadable, read_text

        try:
            text = self._texts.get(filename)
            if text is None:
                text = read_text(Path(filename))
            return text if cell is None else _cell_text(json.loads(text), cell)
        except (Unreadable, ValueError, LookupError, TypeError, AttributeError):
            return None


def _cell_text(notebook: Any, number: int) -> str:
    """The source of a notebook's code cell, counted from 1, magics and all."""
    sheets = [notebook] if "cells" in notebook else notebook["worksheets"]
    cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
    cell = cells[number - 1]
    source = cell.get("source", cell.get("input", ""))
    return source if isinstance(source, str) else "".join(source)
