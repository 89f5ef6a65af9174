"""What has to be checked together.

What is found in a file depends on the files that it imports, on those that import it and call what it defines, and so
on. So the files of a project fall into units without imports between them, and each unit is checked by itself: in this
process or another, now or in an earlier run. The result is the same, as no unit knows of the others.

A unit falls into parts: programs with the files that nobody else imports, then what several of them share. A part is
checked with all that it imports read along, and is told which of its functions the parts above it reach; so an edit
concerns the parts that import the file, and those below in which other functions are reached than before.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from trainlint.discovery import Target
from trainlint.imports import Finder, content_of
from trainlint.prefilter import Facts, module_stem, words_of

# What parts share, each of them runs again, and what it remembers of functions is of no use to the others. So parts are
# joined until they read no more files along than this, and no more than so many for each file of the unit.
MOST_ALONG = 60
ALONG_EACH = 2

SETTINGS = ("conf", "config", "configs")  # folders
MOST_SETTINGS = 300  # files
_TARGET = re.compile(rb"""_target_["']?[ \t]*:[ \t]*["']?([\w.]+)""")


def concerned(facts: Mapping[Target, Facts]) -> list[Target]:
    """The files to parse, in the order they are given in: those that concern some rule, and files without a word of
    training that belong to a training program all the same, such as a `main.py` that only imports the project's own
    modules, or a helper that is handed the model."""
    kept = [target for target, known in facts.items() if known.concerns]
    waiting = {target: known for target, known in facts.items() if not known.concerns}
    if not kept or not waiting:
        return kept
    stems = {target: module_stem(target.filename) for target in facts}
    words = {target: words_of(known.imports) for target, known in facts.items()}
    known = {stems[target] for target in kept}
    wanted = set[str]().union(*(words[target] for target in kept))
    while more := [t for t, f in waiting.items() if (f.is_script and words[t] & known) or stems[t] in wanted]:
        for target in more:
            del waiting[target]
            wanted |= words[target]
            known.add(stems[target])
    return [target for target in facts if target not in waiting]


@dataclass(frozen=True, slots=True)
class Part:
    """Files of a unit that are checked by themselves, `along` the others that they import, and those `above` that
    import them: paths, in order."""

    files: tuple[str, ...]
    along: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


class Division:
    """The units of the files to check, given with their absolute paths. `facts_of` tells of any file by its path: those
    that are only read along because others import them connect these, but belong to no unit."""

    def __init__(self, paths: Mapping[Target, str], finder: Finder, facts_of: Callable[[str], Facts]) -> None:
        self._imports: dict[str, set[str]] = {}
        groups = _Groups()
        waiting = list(paths.values())
        while waiting:
            path = waiting.pop()
            if path not in self._imports:
                self._imports[path] = found = _imported(path, facts_of(path).imports, finder)
                waiting += found
                for imported in found:
                    groups.join(path, imported)
        units: dict[str, list[Target]] = {}
        for target, path in sorted(paths.items(), key=lambda item: item[1]):
            units.setdefault(groups.leader(path), []).append(target)
        self.units = list(units.values())

    def around(self, files: Iterable[str]) -> set[str]:
        """The files that run in the same programs as some: those that import them, and all that these import."""
        importers: dict[str, list[str]] = {}
        for path, imported in self._imports.items():
            for below in imported:
                importers.setdefault(below, []).append(path)
        return _followed(_followed(files, importers), self._imports)

    def parts(self, files: Iterable[str]) -> tuple[Part, ...]:
        """The parts of a unit, those above before those below: as many as there can be within the limits."""
        unit = sorted(files)
        below = self._below(unit)
        left = min(MOST_ALONG, ALONG_EACH * len(unit))
        found: list[Part] = []
        waiting = deque([(1 << len(unit)) - 1])
        while waiting:
            for roots in _meeting(_roots(waiting.popleft(), below)):
                groups, shared, along = _shared_out(roots, left)
                left -= along
                for group in groups:
                    own = group & ~shared
                    above = sum(1 << n for n, reached in enumerate(below) if reached & own) & ~own
                    found.append(Part(*(tuple(_chosen(unit, mask)) for mask in (own, group & shared, above))))
                if shared:
                    waiting.append(shared)
        return tuple(found)

    def _below(self, unit: Sequence[str]) -> list[_Files]:
        """For each file of a unit those that it imports, and it itself."""
        found = {path: 1 << number for number, path in enumerate(unit)}
        for path in (waiting := list(unit)):
            for imported in self._imports[path]:
                if imported not in found:
                    found[imported] = 0
                    waiting.append(imported)
        changed = True
        while changed:
            changed = False
            for path in reversed(waiting):
                reached = found[path]
                for imported in self._imports[path]:
                    reached |= found[imported]
                if reached != found[path]:
                    found[path] = reached
                    changed = True
        return [found[path] for path in unit]


def _followed(files: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Files, and all that edges lead to from them."""
    found = set(files)
    waiting = list(found)
    while waiting:
        new = set(edges.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


# A set of files of a unit, by their numbers: unions of such sets cost next to nothing.
_Files = int


def _chosen(unit: Sequence[str], files: _Files) -> Iterator[str]:
    return (path for number, path in enumerate(unit) if files >> number & 1)


def _roots(files: _Files, below: Sequence[_Files]) -> list[_Files]:
    """What each file imports that no other imports, or one of several that import each other."""
    numbers = [number for number in range(len(below)) if files >> number & 1]
    roots: list[int] = []
    covered = 0
    for number in sorted(numbers, key=lambda number: -below[number].bit_count()):  # who imports it, imports more
        if not covered >> number & 1:
            covered |= below[number]
            roots.append(number)
    return [below[number] for number in sorted(roots)]


def _meeting(sets: Iterable[_Files]) -> list[list[_Files]]:
    """Sets in groups, so that those of different groups have nothing in common."""
    groups: list[tuple[_Files, list[_Files]]] = []
    for files in sets:
        apart = [group for group in groups if not group[0] & files]
        union, members = files, [files]
        for other, others in (group for group in groups if group[0] & files):
            union, members = union | other, [*others, *members]
        groups = [*apart, (union, members)]
    return [members for _, members in groups]


def _shared_out(roots: Sequence[_Files], left: int) -> tuple[list[_Files], _Files, int]:
    """What programs import, joined until no more than so many files are in several of the groups: the groups, what they
    share, and how many files are read along."""
    size = len(roots)
    while True:
        groups, once, shared = [], 0, 0
        for number in range(size):
            group = 0
            for root in roots[len(roots) * number // size : len(roots) * (number + 1) // size]:
                group |= root
            groups.append(group)
            shared |= once & group
            once |= group
        along = sum((group & shared).bit_count() for group in groups)
        if along <= left:  # at the latest when all are one group
            return groups, shared, along
        size //= 2


def _imported(path: str, imports: Sequence[str], finder: Finder) -> set[str]:
    """The files that a file imports, perhaps."""
    folder = os.path.dirname(path)
    found = set()
    if any(name.partition(".")[0] == "hydra" for name in imports):
        imports = [*imports, *_named(folder, finder)]
    for dotted in imports:
        name = dotted.lstrip(".")
        level = len(dotted) - len(name)
        place = finder.locate(folder, name, level, path)
        if place is None:
            continue
        if place.endswith(".py"):
            found.add(place)
        if name.endswith("."):
            found.update(finder.below(place))
    return found


def _named(folder: str, finder: Finder) -> list[str]:
    """The modules whose classes the settings of Hydra name, as far as they lie where such settings mostly do."""
    found: dict[str, None] = {}
    for above in finder.search_path(folder):
        places = (os.path.join(above, name) for name in SETTINGS)
        files = (os.path.join(below, file) for place in places for below, _, names in os.walk(place) for file in names)
        for path in islice((path for path in files if path.endswith((".yaml", ".yml"))), MOST_SETTINGS):
            for name in _TARGET.findall(content_of(path) or b""):
                found[name.decode().rpartition(".")[0]] = None
    return [name for name in found if name]


class _Groups:
    """Sets that are joined until none have an element in common."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def leader(self, element: str) -> str:
        """The element that stands for all of its set."""
        above = self._above
        while (leader := above.setdefault(element, element)) != element:
            above[element] = above[leader]
            element = above[element]
        return element

    def join(self, one: str, other: str) -> None:
        self._above[self.leader(one)] = self.leader(other)
