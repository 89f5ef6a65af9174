"""What `trainlint run --output-format json` writes: the findings, and what `trainlint check --with-run` needs to set
those in the source against them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trainlint.counterparts import in_source
from trainlint.joining import VERSION
from trainlint.reports.formats.json import as_object, as_place
from trainlint.runtime.coverage import Coverage
from trainlint.runtime.places import is_users
from trainlint.runtime.verdict import shown, span_of

if TYPE_CHECKING:
    from trainlint.findings import Finding
    from trainlint.runtime.monitor import Looks


@dataclass(frozen=True, slots=True)
class Run:
    """What there is to say of a run besides its findings: the user's files that took part, the steps of training, the
    places that were well, the lines that ran, and the time at which it began."""

    files: Sequence[str]
    steps: int
    wells: Sequence[Looks]
    coverage: Coverage
    # Whether nothing ran unseen.
    is_whole: bool
    begun: float


def users_files(program: str, lines: Iterable[str]) -> list[str]:
    """The user's files that had a part in a run: its program, what it imported, and those of which lines ran."""
    # Asked for an attribute, some modules import others.
    imported = (vars(module).get("__file__") for module in list(sys.modules.values()) if isinstance(module, ModuleType))
    files = {os.path.abspath(file) for file in (program, *imported, *lines) if isinstance(file, str) and file}
    return sorted(file for file in files if is_users(file) and os.path.isfile(file))


def pieces(findings: Sequence[Finding], known: Sequence[Finding], run: Run) -> Iterator[str]:
    """The record as text; `known` are the findings that a baseline hides."""
    lines = run.coverage.lines if run.coverage.tells_lines else None
    yield json.dumps(
        {
            "version": VERSION,
            "folder": os.getcwd(),
            "steps": run.steps,
            "findings": [as_object(finding) for finding in findings],
            "known": [as_object(finding) for finding in known],
            "well": [_well(looks) for looks in run.wells],
            "is_whole": run.is_whole,
            "files": {shown(file): _file(file, lines, run.begun) for file in run.files},
        },
        indent=2,
    )
    yield "\n"


def _well(looks: Looks) -> dict[str, Any]:
    span = span_of(looks.place)
    counterparts = in_source(looks.code, looks.fields)
    return {"code": looks.code, "counterparts": counterparts, "filename": shown(looks.place.filename), **as_place(span)}


def _file(file: str, lines: Mapping[str, Iterable[int]] | None, begun: float) -> dict[str, Any]:
    ran = None if lines is None else _ranges(lines.get(file, ()))
    return {"sha256": _digest(Path(file), begun), "lines": ran}


def _digest(path: Path, begun: float) -> str | None:
    """What the file held when it ran; None if it has been written to since, or cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest() if path.stat().st_mtime < begun else None
    except OSError:
        return None


def _ranges(lines: Iterable[int]) -> list[list[int]]:
    """Numbers as ranges, each with its first and last."""
    found: list[list[int]] = []
    for line in sorted(lines):
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return found
