"""The files around those that are open, and what is found in them together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainlint import engine
from trainlint.baseline import unknown
from trainlint.cache import Memory
from trainlint.config import Configuration
from trainlint.discovery import Target, discover, is_excluded
from trainlint.findings import Finding
from trainlint.integrations.lsp.documents import Opened
from trainlint.reports.sources import Sources
from trainlint.syntax import Parsed


class Superseded(Exception):
    """Something was changed while a check ran: nobody waits for its result any more."""


@dataclass(frozen=True)
class Checked:
    """What was found in one folder, and what the names and places in it mean."""

    findings: tuple[Finding, ...]
    paths: Mapping[str, Path]
    texts: Mapping[str, str]
    sources: Sources

    def path(self, filename: str) -> Path:
        """The file that goes by a name."""
        return self.paths.get(filename) or Path(os.path.abspath(filename))


# Characters of source whose trees are kept for the next check, which take some sixty times the memory.
MOST_PARSED = 4_000_000


class Project:
    """The folders of the workspace. Remembers what was found in files that stay as they are, and their trees."""

    def __init__(self) -> None:
        self._known = Memory()
        self._parsed = Parsed()

    def check(self, folders: Iterable[Path], opened: Sequence[Opened], is_stale: Callable[[], bool]) -> list[Checked]:
        """Check the open files, and others as far as they have to do with these: a file is checked with all programs
        that it is part of, of which those run that have changed. One result a folder.

        Raises UsageError if the settings are not as they must be, and Superseded as soon as `is_stale` says so.
        """
        texts = {file.path: file.text for file in opened}
        results = []
        waiting = {file.path for file in opened}
        for folder in sorted(folders, key=lambda folder: -len(folder.parts)):  # the innermost counts
            here = {path for path in waiting if path.is_relative_to(folder)}
            waiting -= here
            if here:
                results.append(self._check(folder, here, texts, is_stale))
        if waiting:
            results.append(self._check(None, waiting, texts, is_stale))
        return results

    def _check(
        self, folder: Path | None, here: set[Path], texts: Mapping[Path, str], is_stale: Callable[[], bool]
    ) -> Checked:
        def go_on(*_: int) -> None:
            if is_stale():
                raise Superseded

        configuration = Configuration()
        targets = {} if folder is None else {target.path: target for target in discover([str(folder)], configuration)}
        for path in here - targets.keys():
            settings = configuration.for_folder(path.parent)
            if not is_excluded(str(path), settings):
                targets[path] = Target(path, str(path), settings)
        if folder is not None:
            targets = {path: replace(target, filename=_shown(path, folder)) for path, target in targets.items()}
        go_on()
        names = {target.path: target.filename for target in targets.values()}
        by_name = {names.get(path, str(path)): text for path, text in texts.items()}
        paths = {name: path for path, name in names.items()}
        go_on()
        found = engine.check(
            list(targets.values()),
            texts=by_name,
            progress=go_on,
            cache=self._known,
            around=here,
            parsed=self._parsed,
        ).findings
        self._parsed.shrink(MOST_PARSED)
        checked = Checked(found, paths, by_name, Sources(by_name, paths))
        known = None if folder is None else configuration.for_folder(folder).baseline
        return replace(checked, findings=tuple(unknown(found, known, checked.sources, checked.path)))


def _shown(path: Path, folder: Path) -> str:
    """A file's name for people: where it is in the folder that they opened."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
