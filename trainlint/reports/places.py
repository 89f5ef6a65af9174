"""Where findings are, in the words of other programs: their paths, their columns, and a name that outlasts edits."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from trainlint.findings import Finding, Related, Span
from trainlint.reports.sources import Sources

# Where GitHub, GitLab and Azure Pipelines say that the checkout lies, to which their reports' paths are relative.
CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "BUILD_SOURCESDIRECTORY")


def checkout(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that paths are relative to: the checkout of a CI job, or the working folder."""
    folder = next((environ[name] for name in CHECKOUTS if environ.get(name)), "")
    return Path(os.path.abspath(folder))


def relative(filename: str, folder: PurePath) -> str:
    """A path relative to a folder, with `/`; absolute if it does not lie below."""
    path = PurePath(os.path.abspath(filename))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def utf8_column(line: str | None, column: int) -> int:
    """A column counted in bytes of UTF-8, from 1. A line that cannot be had is taken to be ASCII."""
    return column + sum((char > "\x7f") + (char > "\u07ff") + (char > "\uffff") for char in (line or "")[: column - 1])


def utf16_column(line: str | None, column: int) -> int:
    """A column counted in code units of UTF-16, from 1. A line that cannot be had is taken to be ASCII."""
    return column + sum(char > "\uffff" for char in (line or "")[: column - 1])


def inside(place: Finding | Related) -> Span | None:
    """Where in its file a place is, as the disk has it; None for a cell of a notebook and for a file as a whole."""
    return place.span if place.span.line and place.cell is None else None


def fingerprints(findings: Sequence[Finding], sources: Sources) -> Iterator[str]:
    """Of each finding a name of its own, which stays the same when lines are added or removed around it.

    It comes of the file, the rule, the text of the line and, where all that is the same, of which one in order it is.
    """
    from hashlib import sha256

    folder = checkout()
    seen: Counter[str] = Counter()
    for finding in findings:
        line = sources.line(finding.filename, finding.cell, finding.span.line)
        text = re.sub(r"\d+", "", finding.message) if line is None else line.strip()
        key = "\0".join((relative(finding.filename, folder), finding.code, text))
        seen[key] += 1
        yield sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
