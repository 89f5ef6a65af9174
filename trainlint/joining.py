"""What a recorded run says of the findings in the source: `trainlint check --with-run`.

A finding is *confirmed* if the run shows the same mistake: at its line, or if it is one of the training as a whole, and
no other finding in the source could be meant. It is *refuted* if a probe of the run saw just that line and all was well
each time, and *not reached* if the line did not run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from trainlint.config import OWN_FAILURE, UNREADABLE, UNUSED_SUPPRESSION, UsageError
from trainlint.counterparts import BY_SOURCE
from trainlint.findings import Finding, Judgement, Span

VERSION = 1

_OWN = (UNREADABLE, UNUSED_SUPPRESSION, OWN_FAILURE)

Lines = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding of the run, or a place that was well."""

    code: str
    counterparts: tuple[str, ...]
    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file that had a part in the run: what it held, and which lines ran; None for what is not known. Of a file that
    has changed since, neither counts."""

    path: str
    name: str
    digest: str | None
    lines: Lines | None


@dataclass(frozen=True, slots=True)
class Record:
    """What `trainlint run` wrote of a run."""

    findings: tuple[Shown, ...]
    wells: tuple[Shown, ...]
    files: tuple[RunFile, ...]
    # Whether lines that are not among those that ran did not run.
    is_whole: bool

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file; raises UsageError if there is none in it."""
        try:
            content = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"cannot read the record of a run {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not JSON, so no record of a run") from error
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise UsageError(f"{path} was recorded by a newer trainlint, in a format that this one does not know")
        try:
            return cls._of(content)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            how = "`trainlint run --output-format json --output-file FILE` records one"
            raise UsageError(f"{path} is no record of a run; {how}") from error

    def joined(self, findings: Sequence[Finding], texts: Mapping[str, str]) -> tuple[list[Finding], list[str]]:
        """The findings, each with what the run says of it, and what people are told below them; `texts` are the
        contents of files that are not as on the disk."""
        join = _Join(self, texts)
        judged = join.judged(findings)
        return judged, [*map(_change_note, join.changed(findings)), *_tally(judged)]

    @classmethod
    def _of(cls, content: Any) -> Record:
        folder = content["folder"]

        def shown(row: Any) -> Shown:
            span = Span(*(int(row[key]) for key in ("line", "column", "end_line", "end_column")))
            return Shown(
                str(row["code"]), tuple(map(str, row["counterparts"])), os.path.join(folder, row["filename"]), span
            )

        def file(name: str, about: Any) -> RunFile:
            lines = about["lines"]
            ranges = None if lines is None else tuple((int(first), int(last)) for first, last in lines)
            return RunFile(os.path.join(folder, name), name, about["sha256"], ranges)

        return cls(
            tuple(map(shown, [*content["findings"], *content["known"]])),
            tuple(map(shown, content["well"])),
            tuple(file(name, about) for name, about in content["files"].items()),
            bool(content["is_whole"]),
        )


class _Join:
    """Sets findings against a record."""

    def __init__(self, record: Record, texts: Mapping[str, str]) -> None:
        self._record = record
        self._texts = texts
        self._file_of = cache(self._find)

    def changed(self, findings: Iterable[Finding]) -> list[str]:
        """The files of findings that are not as they were when they ran."""
        files = {finding.filename: self._file_of(finding.filename) for finding in findings}
        return [name for name, file in files.items() if file is not None and file.digest is None]

    def judged(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings, each with what the run says of it."""
        confirmed = self._confirmed(findings)
        return [self._judged(finding, confirmed.get(number, ())) for number, finding in enumerate(findings)]

    def _judged(self, finding: Finding, by: Iterable[str]) -> Finding:
        judgement = Judgement.CONFIRMED if by else self._unconfirmed(finding)
        return replace(finding, run=judgement, counterparts=tuple(sorted(set(by))))

    def _unconfirmed(self, finding: Finding) -> Judgement:
        file = self._file_of(finding.filename)
        if not _has_run_time(finding) or (file is not None and file.digest is None):
            return Judgement.NOT_JUDGED
        if self._record.is_whole and (file is None or _ran(finding, file) is False):
            return Judgement.NOT_REACHED
        row = BY_SOURCE.get(finding.code)
        if file is not None and row is not None and row.can_refute:
            wells = (well for well in self._record.wells if finding.code in well.counterparts)
            if any(_same(well.path, file.path) and _overlap(finding.span, well.span) for well in wells):
                return Judgement.REFUTED
        return Judgement.NOT_JUDGED

    def _confirmed(self, findings: Sequence[Finding]) -> dict[int, list[str]]:
        """The codes that confirm findings, by the numbers of these."""
        found: dict[int, list[str]] = {}
        changed = self.changed(findings)
        for shown in self._record.findings:
            meant = [
                number
                for number, finding in enumerate(findings)
                if finding.code in shown.counterparts and self._may_be(finding, shown)
            ]
            local = [number for number in meant if _is_local(findings[number])]
            anywhere = [number for number in meant if not _is_local(findings[number])]
            # Of several that could be meant, the run does not say which one is.
            for number in (*local, *(anywhere if len(anywhere) == 1 else ())):
                if findings[number].filename not in changed:
                    found.setdefault(number, []).append(shown.code)
        return found

    def _may_be(self, finding: Finding, shown: Shown) -> bool:
        """Whether a finding could be what the run shows."""
        file = self._file_of(finding.filename)
        if file is None or not _has_run_time(finding):
            return False
        if not _is_local(finding):
            return _ran(finding, file) is not False
        first, last = _statement(finding)
        return _same(shown.path, file.path) and first <= shown.span.line <= last

    def _find(self, filename: str) -> RunFile | None:
        """The file of the run that a finding stands in: by its path, or by its name and contents if it was moved. None
        if it had no part in the run."""
        path, digest = os.path.abspath(filename), self._digest(filename)
        known = next((file for file in self._record.files if _same(file.path, path)), None)
        if known is None:
            base = os.path.basename(path)
            alike = (file for file in self._record.files if os.path.basename(file.path) == base)
            moved = next((file for file in alike if file.digest is not None and file.digest == digest), None)
            if moved is not None:
                return moved
            # The run may have been recorded on another machine.
            name = os.path.relpath(path).replace(os.sep, "/")
            elsewhere = (file for file in self._record.files if file.name.replace("\\", "/") == name)
            known = next((file for file in elsewhere if not os.path.exists(file.path)), None)
        return known if known is None or known.digest == digest else replace(known, digest=None, lines=None)

    def _digest(self, filename: str) -> str | None:
        try:
            text = self._texts.get(filename)
            return sha256(Path(filename).read_bytes() if text is None else text.encode()).hexdigest()
        except (OSError, UnicodeEncodeError):
            return None


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _has_run_time(finding: Finding) -> bool:
    """Whether there is a line that a run could reach: none in a cell, which a run does not know, or of a comment."""
    return finding.cell is None and finding.span.line > 0 and finding.code not in _OWN


def _is_local(finding: Finding) -> bool:
    row = BY_SOURCE.get(finding.code)
    return row is not None and row.is_local


def _statement(finding: Finding) -> tuple[int, int]:
    return finding.statement_lines if finding.statement_lines[0] else (finding.span.line, finding.span.end_line)


def _ran(finding: Finding, file: RunFile) -> bool | None:
    """Whether a line of the finding's statement ran; None if nobody knows."""
    if file.lines is None:
        return None
    first, last = _statement(finding)
    return any(begin <= last and first <= end for begin, end in file.lines)


def _overlap(one: Span, other: Span) -> bool:
    """Whether two ranges have something in common. Of what has no columns, as with Python 3.10, the line counts."""
    if other.end_column <= other.column and other.line == other.end_line:
        return one.line <= other.line <= one.end_line
    begin = max((one.line, one.column), (other.line, other.column))
    return begin < min((one.end_line, one.end_column), (other.end_line, other.end_column))


def _change_note(name: str) -> str:
    return f"{name}: the file has changed since the run, so nothing in it is judged."


def _tally(findings: Sequence[Finding]) -> list[str]:
    counts = Counter(finding.run for finding in findings)
    told = ", ".join(f"{counts[judgement]} {judgement.value}" for judgement in Judgement if counts[judgement])
    return [f"By the run: {told}."] if told else []
