"""Which file of the project an import means.

Imports are looked up near the importing file, up to the root of the project. What was asked of the disk on the way is
remembered: it is part of what a result depends on.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from trainlint.prefilter import LIBRARIES

MARKERS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
ROOTS = MARKERS[:2]  # above these no import leads; a `setup.py` may also stand beside an extension in a package
# Never looked for among the project's files.
OUTSIDE = frozenset(sys.stdlib_module_names) | {"torch", "torchvision", "numpy", "pandas", "sklearn", "matplotlib"}
PACKAGE = "__init__.py"
BESIDE = ("src", "lib")  # folders whose modules scripts beside them import, once they are installed or on the path
# So many modules of a package are taken for the one that is meant, where its name is known but for the last part.
BELOW = 24


def common_folder(paths: Iterable[str]) -> str:
    """The folder that all these files lie below, "" if there is none."""
    folders = {os.path.dirname(path) for path in paths}
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:  # on several drives
        return ""


class Disk:
    """The disk as one check sees it: everything is looked at once. `texts` stand for files, by absolute path, also for
    those that are not on the disk yet."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        texts = texts or {}
        self._digests = {path: "text " + digest(text.encode("utf-8", "surrogatepass")) for path, text in texts.items()}
        self._unsaved = tuple(texts)
        self._listings: dict[str, frozenset[str]] = {}
        self._repositories: dict[str, bool] = {}

    def know(self, path: str, content: bytes | None) -> str:
        """Take down what a file holds, and give its digest."""
        return self._digests.setdefault(path, "" if content is None else digest(content))

    def digest(self, path: str) -> str:
        """The digest of what a file holds, "" if it cannot be read."""
        if path not in self._digests:
            self._digests[path] = digest_of_file(path)
        return self._digests[path]

    def listing(self, folder: str) -> frozenset[str]:
        """The names in a folder that can matter to an import: modules, folders, marks of a project's root."""
        found = self._listings.get(folder)
        if found is None:
            found = self._listings[folder] = names_in(folder, self._unsaved)
        return found

    def is_repository(self, folder: str) -> bool:
        """Whether a repository begins here."""
        if folder not in self._repositories:
            self._repositories[folder] = os.path.exists(os.path.join(folder, ".git"))
        return self._repositories[folder]


class Finder:
    """Looks imports up. `common` is the folder that all files to check lie below: without a repository around it, a
    search ends there. `added` are folders that programs put on `sys.path`, each behind the folder below which that
    holds. Paths are absolute, and strings, since there are many."""

    def __init__(self, common: str, disk: Disk | None = None, added: Sequence[tuple[str, str]] = ()) -> None:
        self.common = common
        self.added = sorted(added, key=lambda pair: (-len(pair[0]), pair))
        self.disk = disk or Disk()
        self.listings: dict[str, frozenset[str]] = {}  # folders that were looked into, and what is of interest there
        self.repositories: dict[str, bool] = {}  # whether there is a `.git` in folders that were not looked into
        self.contents: dict[str, str] = {}  # digests of the files that were read
        self._paths: dict[str, list[str]] = {}
        self._found: dict[tuple[str, str, int], str | None] = {}

    def listing(self, folder: str) -> frozenset[str]:
        """The names in a folder that can matter to an import."""
        found = self.listings.get(folder)
        if found is None:
            found = self.listings[folder] = self.disk.listing(folder)
        return found

    def search_path(self, folder: str) -> list[str]:
        """Folders in which an absolute import of a file in `folder` is looked up, nearest first."""
        found = self._paths.get(folder)
        if found is None:
            found = []
            for above in (folder, *parents(folder))[:10]:
                found.append(above)
                if not self.listing(above).isdisjoint(MARKERS):
                    break
                if above == self.common and not any(map(self._is_repository, parents(above))):
                    break
            else:
                found = found[:3]
            if PACKAGE in self.listing(folder):  # its modules are imported by scripts beside or above the package
                root = next((above for above in found if PACKAGE not in self.listing(above)), folder)
                found = [root, *(above for above in found if above != root)]
            found += [os.path.join(above, name) for name in BESIDE for above in found if name in self.listing(above)]
            self._paths[folder] = found
        return found

    def settings(self, folder: str, name: str) -> str | None:
        """What a file of settings holds, by the name that a program in a folder reads it by; None if there is none, or
        if it is too large for settings."""
        for above in self.search_path(folder):
            path = os.path.normpath(os.path.join(above, name))
            size = size_of(path)
            if size is not None and size > MOST_BYTES:
                return None
            content = content_of(path) if size is not None else None
            self.contents[path] = self.disk.know(path, content)
            if content is not None:
                return content.decode("utf-8", "replace")
        return None

    def _is_repository(self, folder: str) -> bool:
        if folder not in self.repositories:
            self.repositories[folder] = self.disk.is_repository(folder)
        return self.repositories[folder]

    def put_on_path(self, folder: str, named: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The folders that a file in `folder` means as it puts them on `sys.path`, each behind the folder below which
        that holds. Of a path on somebody's machine as much counts as leads to a folder of the project."""
        search = self.search_path(folder)
        top = min(search, key=len)
        for name in named:
            parts = name.replace("\\", "/").split("/")
            is_absolute = parts[0] in ("", "~") or parts[0].endswith(":")
            starts = range(1, len(parts)) if is_absolute else range(1)
            tails = [os.path.join(*parts[n:]) for n in starts if parts[n:] != [""]]
            places = (os.path.normpath(os.path.join(above, tail)) for tail in tails for above in search)
            below = (place for place in places if place != top and is_below(place, top))
            found = next((place for place in below if self._has_modules(place)), None)
            if found is not None:
                yield common_folder([os.path.join(folder, "_"), found]), found

    def _has_modules(self, folder: str) -> bool:
        """Whether a folder holds modules, or packages."""
        names = self.listing(folder)
        return any(name.endswith(".py") or PACKAGE in self.listing(os.path.join(folder, name)) for name in names)

    def locate(self, folder: str, dotted: str, level: int, importer: str = "") -> str | None:
        """The file that an import in `folder` means, or the folder of a package without `__init__.py`; None if it is
        not of the project. No module imports itself: `import timm` in `models/timm.py` means the library."""
        key = (folder, dotted, level)
        if key not in self._found:
            parts = [part for part in dotted.split(".") if part]
            self._found[key] = self._relative(folder, parts, level) if level else self._absolute(folder, parts)
        found = self._found[key]
        if found is not None and found == importer and not level and os.path.basename(importer) != PACKAGE:
            return self._absolute(folder, [part for part in dotted.split(".") if part], importer)
        return found

    def _relative(self, folder: str, parts: list[str], level: int) -> str | None:
        for _ in range(level - 1):
            if not self.listing(folder).isdisjoint(ROOTS):
                return None
            folder = os.path.dirname(folder)
        return self.find(folder, parts)

    def _absolute(self, folder: str, parts: list[str], but: str = "") -> str | None:
        if not parts or (parts[0] in OUTSIDE and not self._shadows(folder, parts[0])):
            return None
        path = self.search_path(folder)
        found = next((f for root in path if (f := self.find(root, parts)) not in (None, but)), None)
        if found is None:  # a package that imports itself by its own name
            itself = (root for root in path if os.path.basename(root) == parts[0])
            found = next((f for root in itself if (f := self.find(root, parts[1:])) is not None), None)
        if found is None and parts[0] not in LIBRARIES:
            added = (place for scope, place in self.added if is_below(folder, scope))
            found = next((f for place in added if (f := self.find(place, parts)) not in (None, but)), None)
        if found is not None and not found.endswith(".py") and parts[0] in LIBRARIES:
            return None  # what is installed comes before a mere folder of that name
        return found

    def _shadows(self, folder: str, library: str) -> bool:
        """Whether scripts in a folder import a file beside them in the place of a library; in a package, a file of that
        name has to be asked for by the name of the package."""
        names = self.listing(folder)
        return f"{library}.py" in names and PACKAGE not in names

    def find(self, folder: str, parts: list[str]) -> str | None:
        """A module by its path from a folder."""
        for number, part in enumerate(parts):
            names = self.listing(folder)
            is_last = number == len(parts) - 1
            below = os.path.join(folder, part)
            if part in names and PACKAGE in self.listing(below):
                folder = below
            elif is_last and f"{part}.py" in names:
                return f"{below}.py"
            elif part in names and (not is_last or any(name.endswith(".py") for name in self.listing(below))):
                folder = below
            else:
                return None
        return os.path.join(folder, PACKAGE) if PACKAGE in self.listing(folder) else folder

    def below(self, place: str) -> list[str]:
        """Modules of a package; those that come first, if they are many."""
        folder = os.path.dirname(place) if place.endswith(".py") else place
        names = sorted(name[:-3] for name in self.listing(folder) if name.endswith(".py") and name != PACKAGE)
        found = (self.find(folder, [name]) for name in names[:BELOW])
        return [module for module in found if module is not None]

    def note(self, path: str) -> str:
        """Take down what a file holds that is about to be read, and give its digest."""
        found = self.contents[path] = self.disk.digest(path)
        return found


def is_below(folder: str, above: str) -> bool:
    """Whether a folder is another, or lies below it."""
    return folder == above or folder.startswith(os.path.join(above, ""))


def parents(folder: str) -> list[str]:
    """The folders above a folder, from the nearest on."""
    found = []
    while (above := os.path.dirname(folder)) != folder:
        found.append(above)
        folder = above
    return found


def names_in(folder: str, unsaved: Iterable[str] = ()) -> frozenset[str]:
    """The names in a folder that can matter to an import."""
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        names = []
    names += [os.path.basename(path) for path in unsaved if os.path.dirname(path) == folder]
    return frozenset(
        name for name in names if name.endswith(".py") or name in MARKERS or ("." not in name and name != "__pycache__")
    )


def digest(content: bytes) -> str:
    """A short string that tells contents apart."""
    return blake2b(content, digest_size=16).hexdigest()


def digest_of_file(path: str) -> str:
    """The digest of what a file holds, "" if it cannot be read."""
    content = content_of(path)
    return "" if content is None else digest(content)


MOST_BYTES = 100_000  # of a file of settings; what holds more is data


def size_of(path: str) -> int | None:
    """How many bytes a plain file holds, None if there is no such file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def content_of(path: str) -> bytes | None:
    """What a file holds, None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None
