"""The lines of code that findings point at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Sources:
    """Gives files and their lines, read when asked for; `texts` gives those that are not on the disk, and `paths` says
    where files are that are not called by their paths."""

    def __init__(self, texts: Mapping[str, str] | None = None, paths: Mapping[str, Path] | None = None) -> None:
        self._texts: dict[str, str | None] = dict(texts or {})
        self._paths = paths or {}
        self._notebooks: dict[str, Any] = {}
        self._lines: dict[tuple[str, int | None], list[str]] = {}

    def line(self, filename: str, cell: int | None, number: int) -> str | None:
        """Line `number` of a file or of a notebook's code cell, without its end; None if it cannot be had."""
        if (filename, cell) not in self._lines:
            from trainlint.syntax.positions import NEWLINE

            text = self.text(filename, cell)
            self._lines[filename, cell] = [] if text is None else NEWLINE.split(text)
        lines = self._lines[filename, cell]
        return lines[number - 1] if 0 < number <= len(lines) else None

    def text(self, filename: str, cell: int | None = None) -> str | None:
        """The whole of a file or of a notebook's code cell; None if it cannot be had."""
        from trainlint.syntax import Unreadable, read_text

        try:
            if filename not in self._texts:
                self._texts[filename] = None
                self._texts[filename] = read_text(self._paths.get(filename) or Path(filename))
            text = self._texts[filename]
            if text is None or cell is None:
                return text
            if filename not in self._notebooks:
                self._notebooks[filename] = json.loads(text)
            return _cell_text(self._notebooks[filename], cell)
        except (Unreadable, ValueError, LookupError, TypeError, AttributeError):
            return None


def _cell_text(notebook: Any, number: int) -> str:
    """The source of a notebook's code cell, counted from 1, magics and all."""
    sheets = [notebook] if "cells" in notebook else notebook["worksheets"]
    cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
    cell = cells[number - 1]
    source = cell.get("source", cell.get("input", ""))
    return source if isinstance(source, str) else "".join(source)
