"""The files around those that are open, and what is found in them together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainlint import engine
from trainlint.baseline import unknown
from trainlint.config import Configuration
from trainlint.discovery import Target, discover, is_excluded
from trainlint.findings import Finding
from trainlint.integrations.lsp.documents import Opened
from trainlint.prefilter import imports as imports_in
from trainlint.prefilter import module_stem, words_of
from trainlint.reports.sources import Sources


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


@dataclass(frozen=True, slots=True)
class _Imports:
    """The words in the import statements of a file as it was."""

    state: tuple[int, int]
    words: frozenset[str]
    is_dynamic: bool


class Project:
    """The folders of the workspace. Remembers who imports whom."""

    def __init__(self) -> None:
        self._imports: dict[Path, _Imports] = {}

    def check(self, folders: Iterable[Path], opened: Sequence[Opened], is_stale: Callable[[], bool]) -> list[Checked]:
        """Check the open files, and others as far as they have to do with these: a file is checked with all programs
        that it is part of. One result a folder.

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
        together = self._together(targets, here & targets.keys(), texts)
        names = {target.path: target.filename for target in together}
        by_name = {names.get(path, str(path)): text for path, text in texts.items()}
        paths = {name: path for path, name in names.items()}
        go_on()
        found = engine.check(together, texts=by_name, progress=go_on).findings
        checked = Checked(found, paths, by_name, Sources(by_name, paths))
        known = None if folder is None else configuration.for_folder(folder).baseline
        return replace(checked, findings=tuple(unknown(found, known, checked.sources, checked.path)))

    def _together(self, targets: Mapping[Path, Target], here: set[Path], texts: Mapping[Path, str]) -> list[Target]:
        """The files that run in the same programs as some: those that import them, and all that these import."""
        imports = {path: self._imports_of(path, texts.get(path)) for path in targets}
        stems = {path: module_stem(str(path)) for path in targets}
        included = set(here)
        known = {stems[path] for path in here}
        while more := {p for p in targets if p not in included and (imports[p].is_dynamic or imports[p].words & known)}:
            included |= more
            known |= {stems[path] for path in more}
        wanted = frozenset[str]().union(*(imports[path].words for path in included))
        while more := {path for path in targets if path not in included and stems[path] in wanted}:
            included |= more
            wanted = wanted.union(*(imports[path].words for path in more))
        return [target for path, target in targets.items() if path in included]

    def _imports_of(self, path: Path, text: str | None) -> _Imports:
        try:
            status = path.stat()
            state = (status.st_mtime_ns, status.st_size)
            known = self._imports.get(path)
            if text is None and known is not None and known.state == state:
                return known
            content = path.read_bytes() if text is None else text.encode("utf-8", "surrogatepass")
        except OSError:
            state, content = (0, 0), (text or "").encode("utf-8", "surrogatepass")
        # What is imported under a name that is computed may be anything.
        found = _Imports(state, frozenset(words_of(imports_in(content))), b"import_module" in content)
        if text is None:
            self._imports[path] = found
        return found


def _shown(path: Path, folder: Path) -> str:
    """A file's name for people: where it is in the folder that they opened."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
