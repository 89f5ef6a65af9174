"""Results of earlier runs.

An entry holds what was found in a unit and all that this depends on; it counts if everything is still as it was. The
files are JSON with a checksum, written beside their place and then moved there, so an interrupted run or two runs at
once leave whole files only. Where the disk cannot be written to, nothing is kept; what cannot be read is not there.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib import metadata, util
from itertools import count
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from trainlint import __version__, plugins
from trainlint.analysis import Evidence, Job, Outcome, Share
from trainlint.checks import RuleInfo, catalogue
from trainlint.findings import Finding
from trainlint.imports import Disk, digest
from trainlint.prefilter import Facts
from trainlint.semantics.requirements import allowed
from trainlint.units import Part

UNUSED_FOR = 30 * 86_400  # seconds after which an entry that nobody asked for is removed
MANY = 50_000  # files
_MARKS = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of trainlint; see https://bford.info/cachedir/\n",
}
_HOME = re.compile(r"trainlint-\S+-[0-9a-f]{16}")
_BROKEN = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


class Cache:
    """The results kept in a folder; without one, none are.

    Entries of one version are no use to another, nor those of other plugins, so each has a folder of its own.
    """

    def __init__(self, folder: Path | None) -> None:
        self._top = folder
        self._home = None if folder is None else folder / _version()
        self._writable = folder is not None
        self._stored = False
        self._numbers = count()

    # ----------------------------------------------------------------- what it keeps

    def catalogue(self) -> Sequence[RuleInfo]:
        """The rules that there are: what asks for nothing else need not import them all."""
        kept = self._read("rules")
        with suppress(*_BROKEN):
            if kept:
                return list(map(_decoder(RuleInfo), kept))
        found = catalogue()
        self._write("rules", [_plain(info) for info in found])
        return found

    def facts(self, name: str) -> dict[str, Facts]:
        """What is known of files by the digests of their contents. `name` stands for what else decides on it."""
        kept = self._read(f"facts-{name}")
        with suppress(*_BROKEN):
            return {digest: Facts(*row) for digest, row in (kept or {}).items()}
        return {}

    def keep_facts(self, name: str, facts: Mapping[str, Facts]) -> None:
        """Keep what is known of files; of those looked at last, if they are many."""
        self._write(f"facts-{name}", dict(list(facts.items())[-MANY:]))

    def find(self, job: Job, disk: Disk) -> tuple[Finding, ...] | None:
        """What an earlier run found in a unit, if nothing has changed since."""
        name = _name_of(job)
        kept = self._read(name)
        with suppress(*_BROKEN):
            if kept is not None and kept["files"] == digests(job, disk) and agrees(disk, _EVIDENCE(kept["evidence"])):
                self._mark_used(name)
                return tuple(map(_FINDING, kept["findings"]))
        return None

    def find_parts(self, job: Job, disk: Disk) -> dict[int, Share]:
        """What an earlier run found in parts of a unit, as far as nothing has changed for these since."""
        found = {}
        for number, part in enumerate(job.parts):
            name = _name_of_part(job, part)
            kept = self._read(name)
            with suppress(*_BROKEN):
                if kept is not None and kept["files"] == _digest_of_part(part, disk):
                    share = _SHARE(kept["share"])
                    if agrees(disk, share.evidence):
                        self._mark_used(name)
                        found[number] = share
        return found

    def keep(self, job: Job, before: Disk, outcome: Outcome, after: Disk) -> None:
        """Keep what was found in a unit and its parts, unless files have changed meanwhile, or something went wrong."""
        if not self._writable:
            return
        files = digests(job, before)
        if outcome.final and files == digests(job, after) and agrees(after, outcome.evidence):
            content = {
                "files": files,
                "evidence": _plain(outcome.evidence),
                "findings": [_plain(finding) for finding in outcome.findings],
            }
            self._write(_name_of(job), content)
        for number, share in outcome.shares.items():
            part = job.parts[number]
            held = _digest_of_part(part, before)
            if share.final and held == _digest_of_part(part, after) and agrees(after, share.evidence):
                self._write(_name_of_part(job, part), {"files": held, "share": _plain(share)})

    def close(self) -> None:
        """Remove entries that nobody has used for long."""
        if self._top is None or not self._stored:
            return
        oldest = time.time() - UNUSED_FOR
        for home in _homes(self._top):
            for path in (*home.glob("*/*"), *home.glob("*"), home):
                with suppress(OSError):  # it is gone, or not empty
                    if path.is_dir():
                        path.rmdir()
                    elif path.stat().st_mtime < oldest:
                        path.unlink()

    # ----------------------------------------------------------------- files

    def _read(self, name: str) -> Any:
        """The content of an entry; None if there is none, or a broken one."""
        if self._home is None:
            return None
        try:
            checksum, _, text = (self._home / name).read_bytes().partition(b"\n")
            return json.loads(text) if checksum.decode() == digest(text) else None
        except (OSError, *_BROKEN):
            return None

    def _write(self, name: str, content: Any) -> None:
        if self._home is None or not self._writable:
            return
        path = self._home / name
        beside = path.with_name(f"{path.name}.{os.getpid()}.{next(self._numbers)}.tmp")
        text = json.dumps(content, separators=(",", ":")).encode()
        try:
            if not self._stored:
                self._prepare()
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(b"%s\n%s" % (digest(text).encode(), text))
            os.replace(beside, path)
            self._stored = True
        except OSError:
            self._writable = False  # a full disk, or one that must not be written to: it only costs the cache
            with suppress(OSError):
                beside.unlink()

    def _prepare(self) -> None:
        """Tell version control and backups to leave the folder alone."""
        assert self._top is not None
        self._top.mkdir(parents=True, exist_ok=True)
        for name, text in _MARKS.items():
            with suppress(FileExistsError), open(self._top / name, "x", encoding="utf-8") as file:
                file.write(text)

    def _mark_used(self, name: str) -> None:
        """Tell, once a day, that an entry is in use."""
        assert self._home is not None
        with suppress(OSError):
            if os.stat(self._home / name).st_mtime < time.time() - 86_400:
                os.utime(self._home / name)


class Memory(Cache):
    """Keeps results as long as the process lives."""

    def __init__(self) -> None:
        super().__init__(None)
        self._writable = True
        self._contents: dict[str, Any] = {}

    def _read(self, name: str) -> Any:
        return self._contents.get(name)

    def _write(self, name: str, content: Any) -> None:
        self._contents[name] = content

    def _mark_used(self, name: str) -> None:
        """What is kept here is in use."""


def remove(folder: Path) -> bool:
    """Remove a cache, and nothing else that lies in its folder; whether there was one."""
    import shutil

    homes = _homes(folder)
    for home in homes:
        shutil.rmtree(home)
    for name, text in _MARKS.items() if homes else ():
        if (folder / name).read_text("utf-8") == text:
            (folder / name).unlink()
    if homes and not any(folder.iterdir()):
        folder.rmdir()
    return bool(homes)


def _homes(folder: Path) -> list[Path]:
    """The folders that versions of ours keep their entries in."""
    return [path for path in folder.glob("*") if _HOME.fullmatch(path.name)]


def digests(job: Job, disk: Disk) -> list[str]:
    """What the files of a unit hold, and what they are checked against besides."""
    paths = [file.path for file in job.files]
    return [*map(disk.digest, paths), *bounds(paths)]


def _digest_of_part(part: Part, disk: Disk) -> str:
    """What the files of a part and those along hold, and what they are checked against besides."""
    paths = (*part.files, *part.along)
    return digest(json.dumps([*map(disk.digest, paths), *bounds(paths)]).encode())


def agrees(disk: Disk, evidence: Evidence) -> bool:
    """Whether all that was seen is still so."""
    return (
        all(disk.digest(path) == seen for path, seen in evidence.contents.items())
        and all(disk.listing(folder) == frozenset(seen) for folder, seen in evidence.listings.items())
        and all(disk.is_repository(folder) == seen for folder, seen in evidence.repositories.items())
    )


def bounds(paths: Iterable[str]) -> list[str]:
    """The versions of libraries that the projects of files ask for."""
    folders = dict.fromkeys(map(os.path.dirname, paths))
    return [repr(allowed(Path(folder, "_"), package)) for folder in folders for package in ("torch", "torchvision")]


def _name_of(job: Job) -> str:
    """The name of a unit's entry: all that it is told apart from what its files hold."""
    files = [[file.path, file.filename, sorted(file.codes)] for file in job.files]
    return _entry_name(job, files, job.noqa)


def _name_of_part(job: Job, part: Part) -> str:
    """The name of a part's entry. Comments and the settings of single files are looked at later."""
    names = {file.path: file.filename for file in job.files}
    return _entry_name(job, part.files, [[path, names[path]] for path in (*part.files, *part.along)], sorted(job.codes))


def _entry_name(job: Job, *told: Any) -> str:
    name = digest(json.dumps([os.getcwd(), job.common, job.added, job.knowledge, *told], default=str).encode())
    return f"{name[:2]}/{name[2:]}"


# --- What makes results worthless -------------------------------------------------------------------------------------


@cache
def _version() -> str:
    """A name for everything that decides on results besides the project: our code, plugins, the parser, Python."""
    points = [point for group in (plugins.RULES, plugins.KNOWLEDGE) for point in metadata.entry_points(group=group)]
    packages = dict.fromkeys(["trainlint", *(point.module.partition(".")[0] for point in points)])
    about = [
        sys.version,
        metadata.version("libcst"),
        sorted(f"{point.group} {point.name} {point.value}" for point in points),
        [_state(package) for package in packages],
    ]
    return f"trainlint-{__version__}-{digest(json.dumps(about).encode())[:16]}"


def _state(package: str) -> list[tuple[str, int, int]]:
    """The files of a package, when each was changed and how large it is: also of one that is being worked on."""
    found = util.find_spec(package)
    places = [] if found is None else list(found.submodule_search_locations or [found.origin or ""])
    files = [file for place in places for file in _files(place)]
    return [(file, status.st_mtime_ns, status.st_size) for file in files if (status := os.stat(file))]


def _files(place: str) -> Iterable[str]:
    if os.path.isfile(place):
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (os.path.join(folder, name) for name in sorted(names))


# --- Dataclasses to JSON and back -------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; a dataclass as the list of its fields."""
    if is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    """What turns JSON back into a value of this type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        decoders = [_decoder(hints[field.name]) for field in fields(kind)]
        return lambda row: kind(*[decode(item) for decode, item in zip(decoders, row, strict=True)])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if origin is tuple and arguments[-1:] == (...,):
        one = _decoder(arguments[0])
        return lambda row: tuple([one(item) for item in row])
    if origin is tuple:
        each = [_decoder(argument) for argument in arguments]
        return lambda row: tuple([decode(item) for decode, item in zip(each, row, strict=True)])
    if origin in (Union, UnionType):
        (given,) = (_decoder(argument) for argument in arguments if argument is not NoneType)
        return lambda value: None if value is None else given(value)
    return lambda value: value


_FINDING = _decoder(Finding)
_EVIDENCE = _decoder(Evidence)
_SHARE = _decoder(Share)
