"""What a baseline makes of the findings of a check: which are news, and what there is to say about the others."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.config import OWN_FAILURE, UNREADABLE, Settings, UsageError, enabled_codes
from trainlint.reports.wording import counted

if TYPE_CHECKING:
    from trainlint.baseline import Baseline, Judged, Key
    from trainlint.discovery import Target
    from trainlint.findings import Finding


class Known(ABC):
    """The baseline that the settings name, if they do, and whether to write or to prune it."""

    def __init__(self, settings: Settings, *, writes: bool, prunes: bool = False) -> None:
        self._writes = writes
        self._prunes = prunes
        self._baseline: Baseline | None = None
        # For people, after the report.
        self.notes: list[str] = []
        if settings.baseline is not None:
            from trainlint.baseline import Baseline

            self._baseline = Baseline.read(settings.baseline, may_be_missing=self._writes)
        elif self._writes or self._prunes:
            option = "--write-baseline" if self._writes else "--prune"
            raise UsageError(f"{option} needs a name: give `--baseline FILE`, or `baseline` in the settings")

    def new(self, findings: Sequence[Finding], texts: Mapping[str, str]) -> list[Finding]:
        """The findings that the baseline does not know; it is written or pruned if the options ask for that."""
        if self._baseline is None:
            return list(findings)
        from trainlint.reports.sources import Sources

        sources = Sources(texts)

        def line_of(finding: Finding) -> str:
            return (sources.line(finding.filename, finding.cell, finding.span.line) or "").strip()

        judged = self._judged(findings)
        if self._writes:
            lasting = [finding for finding in findings if finding.code != OWN_FAILURE]
            self._baseline.write(lasting, line_of, judged)
            self.notes.append(f"The baseline knows {counted(len(lasting), 'finding')} now.")
            return [finding for finding in findings if finding.code == OWN_FAILURE]
        comparison = self._baseline.compare(findings, line_of, judged)
        if comparison.known:
            self.notes.append(f"{counted(len(comparison.known), 'finding')} known to the baseline.")
        if comparison.stale and self._prunes:
            self._baseline.write(comparison.known, line_of, judged)
            self.notes.append(f"{counted(sum(comparison.stale.values()), 'finding')} taken out of the baseline.")
        elif comparison.stale and self._is_whole():
            self.notes += map(_stale_note, comparison.stale.items())
        return list(comparison.new)

    @abstractmethod
    def _judged(self, findings: Sequence[Finding]) -> Judged:
        """What tells whether these findings could hold what the baseline says of a file and a code."""

    @abstractmethod
    def _is_whole(self) -> bool:
        """Whether all that the baseline knows could have been found: of a part, much is not found that is there."""


class KnownToCheck(Known):
    """The baseline of a check of these files."""

    def __init__(self, targets: Sequence[Target], settings: Settings, *, writes: bool, prunes: bool) -> None:
        super().__init__(settings, writes=writes, prunes=prunes)
        self._targets = {os.path.abspath(target.path): target for target in targets}

    def _judged(self, findings: Sequence[Finding]) -> Judged:
        from trainlint.checks import catalogue

        infos = catalogue()
        codes = cache(lambda settings: enabled_codes(settings.selections, infos))
        unread = {os.path.abspath(finding.filename) for finding in findings if finding.code in _UNCHECKED}

        def judged(path: Path, code: str) -> bool:
            target = self._targets.get(os.path.abspath(path))
            if target is None:
                return not path.exists()
            return code in codes(target.settings) and (code == UNREADABLE or os.path.abspath(path) not in unread)

        return judged

    def _is_whole(self) -> bool:
        assert self._baseline is not None
        return all(os.path.abspath(path) in self._targets or not path.exists() for path in self._baseline.files)


_UNCHECKED = (UNREADABLE, OWN_FAILURE)


def _stale_note(entry: tuple[Key, int]) -> str:
    (file, code), count = entry
    return f"The baseline knows {count} {code} too many in {file}; `--prune` takes them out."
