"""What has to be checked together.

What is found in a file depends on the files that it imports, on those that import it and call what it defines, and so
on. So the files of a project fall into units without imports between them, and each unit is checked by itself: in this
process or another, now or in an earlier run. The result is the same, as no unit knows of the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from trainlint.discovery import Target
from trainlint.imports import Finder
from trainlint.prefilter import Facts, module_stem, words_of


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


def divide(paths: Mapping[Target, str], finder: Finder, facts_of: Callable[[str], Facts]) -> list[list[Target]]:
    """The units of the files to check, given with their absolute paths. `facts_of` tells of any file by its path: those
    that are only read along because others import them connect these, but belong to no unit."""
    groups = _Groups()
    waiting = list(paths.values())
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for imported in _imported(path, facts_of(path).imports, finder):
            groups.join(path, imported)
            if imported not in seen:
                seen.add(imported)
                waiting.append(imported)
    units: dict[str, list[Target]] = {}
    for target, path in paths.items():
        units.setdefault(groups.leader(path), []).append(target)
    return list(units.values())


def _imported(path: str, imports: Sequence[str], finder: Finder) -> set[str]:
    """The files that a file imports, perhaps."""
    folder = os.path.dirname(path)
    found = set()
    for dotted in imports:
        name = dotted.lstrip(".")
        level = len(dotted) - len(name)
        place = finder.locate(folder, name, level)
        if place is None:
            continue
        if place.endswith(".py"):
            found.add(place)
        if name.endswith("."):
            found.update(finder.below(place))
    return found


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
