"""From the paths that the user gave to the files to check."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.config import Configuration, Settings, UsageError
from trainlint.kinds import Patterns

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec, Pattern

SUFFIXES = (".py", ".ipynb")

# Folders that hold no source of the project's own. An `exclude = ["!build/"]` brings one back.
SKIPPED_FOLDERS = frozenset(
    """
    .bzr .direnv .eggs .git .hg .ipynb_checkpoints .mypy_cache .nox .pytest_cache .ruff_cache .svn .tox
    .trainlint_cache .venv .vscode __pycache__ __pypackages__ build dist node_modules site-packages venv
    """.split()
)

# What a virtual environment of any name holds.
VIRTUAL_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})


@dataclass(frozen=True, slots=True)
class Target:
    """A file to check, its name as the user wrote it or would write it, and the settings it falls under."""

    path: Path
    filename: str
    settings: Settings


class Globs:
    """The patterns of one `.gitignore` file or of one list in the settings, compiled when first needed."""

    def __init__(self, root: str, lines: Iterable[str], *, lenient: bool = False) -> None:
        self._root = root
        self._lines = tuple(lines)
        self._lenient = lenient
        self._spec: GitIgnoreSpec | None = None

    @classmethod
    def of(cls, patterns: Patterns) -> Globs:
        """The patterns of a list in the settings, where one that means nothing is an error."""
        return cls(str(patterns.root), patterns.lines)

    @classmethod
    def in_file(cls, root: str, *parts: str) -> Globs:
        """The patterns of an ignore file below `root`, if there is one; those that mean nothing are passed over."""
        try:
            text = Path(root, *parts).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            text = ""
        return cls(root, text.splitlines(), lenient=True)

    def decide(self, path: str) -> bool | None:
        """What the last pattern that matches an absolute path, or a folder above it, says: True for exclude; None if
        no pattern matches.

        A path outside `root` is matched from the top of the file system, so that a bare name works anywhere.
        """
        if not self._lines:
            return None
        return self._compiled.check_file(_below(path, self._root)).include

    def decide_entry(self, path: str, *, folder: bool = False) -> bool | None:
        """The same of the entry itself, whatever is said of the folders above it: git walks from folder to folder."""
        if not self._lines:
            return None
        shown = _below(path, self._root)
        for pattern in reversed(self._compiled.patterns):
            if pattern.include is not None and _names(pattern, shown, folder=folder):
                return pattern.include
        return None

    def releasing(self, top: str) -> Globs:
        """These patterns without those that exclude the folder `top`."""
        if not self._reaches(top):
            return self
        kept = [line for line in self._lines if not Globs(self._root, [line], lenient=True)._reaches(top)]
        return Globs(self._root, kept, lenient=self._lenient)

    def _reaches(self, top: str) -> bool:
        """Whether the patterns exclude a folder, or one above it. Their own folder is no matter of theirs."""
        folders = () if top == self._root else (*_folders_above(top, self._root), top)
        return any(self.decide_entry(folder, folder=True) for folder in folders)

    @property
    def _compiled(self) -> GitIgnoreSpec:
        if self._spec is None:
            self._spec = self._compile(self._lines)
        return self._spec

    def _compile(self, lines: Iterable[str]) -> GitIgnoreSpec:
        from pathspec import GitIgnoreSpec

        try:
            return GitIgnoreSpec.from_lines(lines)
        except ValueError as error:
            if not self._lenient:
                raise UsageError(f"in the patterns of {self._root}: {error}") from error
            return GitIgnoreSpec.from_lines(filter(_is_pattern, lines))


def _names(pattern: Pattern, path: str, *, folder: bool) -> bool:
    """Whether a pattern means an entry itself. It matches what lies below such an entry too: in such matches, the group
    `ps_d` is the `/` behind the entry's name."""
    from pathspec import RegexPattern

    assert isinstance(pattern, RegexPattern)
    assert pattern.regex is not None
    match = pattern.regex.search(path)
    if match is not None and not match.groupdict().get("ps_d"):
        return True
    below = pattern.regex.finditer(path + "/") if folder else ()
    return any(match.groupdict().get("ps_d") and match.end("ps_d") > len(path) for match in below)


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def discover(paths: Sequence[str], configuration: Configuration) -> list[Target]:
    """The files at and below the paths, each once.

    A file that is named is checked whatever its suffix, and what is named is checked though a pattern excludes it,
    unless the settings force that. Links to folders are not followed below a path, so loops cannot happen. A folder
    that cannot be listed is itself a target, so that reading it reports why.
    """
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise UsageError("no such file or folder: " + ", ".join(missing))
    targets: dict[str, Target] = {}
    for path in paths:
        for identity, target in _find(path, configuration):
            targets.setdefault(identity, target)
    return list(targets.values())


def is_excluded(path: str, settings: Settings, *, folder: bool = False) -> bool:
    """Whether the settings exclude a file or folder, or a folder above it (below the settings' own)."""
    excludes = list(map(Globs.of, settings.exclude))
    above = _folders_above(path, str(settings.root))
    return any(_excludes(excludes, entry, folder=True) for entry in above) or bool(
        _excludes(excludes, path, folder=folder)
    )


def _find(path: str, configuration: Configuration) -> Iterator[tuple[str, Target]]:
    """The files at or below one path, each with the real path that identifies it."""
    absolute = os.path.abspath(path)
    if os.path.isdir(absolute):
        settings = configuration.for_folder(Path(absolute))
        if not (settings.force_exclude and is_excluded(absolute, settings, folder=True)):
            yield from _Walk(absolute, str(Path(path)), configuration)
    elif os.path.isfile(absolute):
        settings = configuration.for_folder(Path(absolute).parent)
        if not (settings.force_exclude and is_excluded(absolute, settings)):
            yield os.path.realpath(absolute), Target(Path(absolute), str(Path(path)), settings)
    else:
        raise UsageError(f"{path} is neither a file nor a folder; use `-` to check the standard input")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to walk: where it is, its real path, how it is shown, and the ignore files above it."""

    path: str
    real: str
    shown: str
    ignores: tuple[Globs, ...]

    def child(self, name: str, ignores: tuple[Globs, ...]) -> _Folder:
        path, real, shown = (os.path.join(prefix, name) for prefix in (self.path, self.real, self.shown))
        return _Folder(path, real, shown, ignores)


class _Walk:
    """The way through all folders below one."""

    def __init__(self, top: str, shown: str, configuration: Configuration) -> None:
        self._configuration = configuration
        self._top = top
        self._excludes: dict[Settings, list[Globs]] = {}
        ignores = tuple(globs.releasing(top) for globs in _ignore_files_above(top))
        self._stack = [_Folder(top, os.path.realpath(top), "" if shown == "." else shown, ignores)]

    def __iter__(self) -> Iterator[tuple[str, Target]]:
        while self._stack:
            yield from self._files_of(self._stack.pop())

    def _files_of(self, folder: _Folder) -> Iterator[tuple[str, Target]]:
        """The files in one folder; its own folders go on the stack."""
        settings = self._configuration.for_folder(Path(folder.path))
        try:
            entries = {entry.name: entry for entry in sorted(os.scandir(folder.path), key=lambda entry: entry.name)}
        except OSError:
            yield folder.real, Target(Path(folder.path), folder.shown or ".", settings)
            return
        if folder.path != self._top and not VIRTUAL_ENVIRONMENT.isdisjoint(entries):
            return
        ignores = folder.ignores
        if ".gitignore" in entries:
            ignores = (*ignores, Globs.in_file(folder.path, ".gitignore"))
        folders = []
        for name, entry in entries.items():
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder:
                if not self._skips(entry.path, settings, ignores, folder=True):
                    folders.append(folder.child(name, ignores))
            elif name.endswith(SUFFIXES) and _is_source(entry) and not self._skips(entry.path, settings, ignores):
                file = folder.child(name, ())
                identity = os.path.realpath(file.real) if entry.is_symlink() else file.real
                yield identity, Target(Path(file.path), file.shown, settings)
        self._stack.extend(reversed(folders))

    def _skips(self, path: str, settings: Settings, ignores: Iterable[Globs], *, folder: bool = False) -> bool:
        """Whether an entry is left out: the settings decide, then our own list, then the ignore files."""
        if settings not in self._excludes:
            self._excludes[settings] = [Globs.of(patterns).releasing(self._top) for patterns in settings.exclude]
        verdict = _excludes(self._excludes[settings], path, folder=folder)
        if verdict is None and settings.respect_gitignore:
            verdict = _verdict(ignores, path, folder=folder)
        return bool(verdict)


def _is_source(entry: os.DirEntry[str]) -> bool:
    """Whether an entry with a source file's suffix is to be read: a file, or a dangling link, which must be told."""
    if entry.name.startswith(".#"):  # an editor's lock, a link to nowhere on purpose
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _ignore_files_above(top: str) -> list[Globs]:
    """The ignore files of the repository that `top` lies in, outermost first, without the one in `top` itself."""
    found: list[Globs] = []
    folder = top
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return []
        folder = parent
        found.append(Globs.in_file(folder, ".gitignore"))
    found.append(Globs.in_file(folder, ".git", "info", "exclude"))
    return found[::-1]


def _excludes(patterns: Iterable[Globs], path: str, *, folder: bool) -> bool | None:
    """What the settings say of an entry, and where they say nothing, our own list."""
    verdict = _verdict(patterns, path, folder=folder)
    return True if verdict is None and folder and os.path.basename(path) in SKIPPED_FOLDERS else verdict


def _verdict(all_globs: Iterable[Globs], path: str, *, folder: bool) -> bool | None:
    """What the last of several lists of patterns says of an entry that says anything."""
    verdict = None
    for globs in all_globs:
        decided = globs.decide_entry(path, folder=folder)
        verdict = verdict if decided is None else decided
    return verdict


def _folders_above(path: str, root: str) -> Iterator[str]:
    """The folders between a root, or the top of the file system, and an absolute path, outermost first."""
    parts = _below(path, root).split("/")[:-1]
    top = path[: len(path) - len(_below(path, root))]
    for count in range(1, len(parts) + 1):
        yield os.path.join(top, *parts[:count])


def _below(path: str, root: str) -> str:
    """An absolute path relative to `root`, or to the top of the file system if it is not below; with `/`."""
    prefix = root.rstrip(os.sep) + os.sep
    relative = path[len(prefix) :] if path.startswith(prefix) else os.path.splitdrive(path)[1].lstrip(os.sep)
    return relative.replace(os.sep, "/")
