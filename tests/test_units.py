"""How files fall into units, and units into parts."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from trainlint.config import Settings
from trainlint.discovery import Target
from trainlint.imports import Finder
from trainlint.prefilter import Facts
from trainlint.units import ALONG_EACH, MOST_ALONG, Division

FOLDER = "/project"


class Known(Finder):
    """Knows where files are without a disk."""

    def locate(self, folder: str, dotted: str, level: int, importer: str = "") -> str | None:
        return f"{folder}/{dotted}.py"


def divided(imports: dict[str, list[str]]) -> Division:
    """The division of files of which it is known what each imports."""
    paths = {Target(Path(FOLDER, name), name, Settings(root=Path(FOLDER))): f"{FOLDER}/{name}.py" for name in imports}
    known = {f"{FOLDER}/{name}.py": Facts(True, False, True, names, 0) for name, names in imports.items()}
    return Division(paths, Known(FOLDER), known.__getitem__)


def parts(imports: dict[str, list[str]]) -> list[list[str]]:
    """The parts of all files: those of each part and, behind a bar, those along."""
    division = divided(imports)
    found = [part for unit in division.units for part in division.parts(f"{FOLDER}/{t.filename}.py" for t in unit)]
    return [[*map(name, part.files), "|", *map(name, part.along)] for part in found]


def name(path: str) -> str:
    return Path(path).stem


def test_programs_share_what_both_import() -> None:
    assert parts({"train": ["net", "own"], "test": ["net"], "net": ["layers"], "layers": [], "own": []}) == [
        ["test", "|", "layers", "net"],
        ["own", "train", "|", "layers", "net"],
        ["layers", "net", "|"],
    ]


def test_what_is_shared_falls_into_parts_too() -> None:
    files = {"a": ["net", "data"], "b": ["net", "data"], "net": ["utils"], "data": ["utils"], "utils": []}
    assert parts(files) == [
        *(["a", "|", "data", "net", "utils"], ["b", "|", "data", "net", "utils"]),
        *(["data", "|", "utils"], ["net", "|", "utils"], ["utils", "|"]),
    ]


def test_what_imports_each_other_stays_together() -> None:
    assert parts({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["c"]}) == [
        ["a", "|", "b", "c"],
        ["d", "|", "b", "c"],
        ["b", "c", "|"],
    ]
    assert parts({"a": ["b"], "b": ["a"]}) == [["a", "b", "|"]]
    assert parts({"a": ["b"], "b": []}) == [["a", "b", "|"]]


def test_a_large_unit_is_divided_as_far_as_it_costs_little() -> None:
    core = {f"core{number}": [f"core{number + 1}"] for number in range(25)}
    files = {**{f"t{number:02}": ["core0"] for number in range(8)}, **core, "core25": []}
    assert [part[: part.index("|")] for part in parts(files)] == [
        ["t00", "t01", "t02", "t03"],
        ["t04", "t05", "t06", "t07"],
        sorted([*core, "core25"]),
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12).flatmap(lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=3), min_size=n, max_size=n))
)
def test_parts_of_any_files(graph: list[list[int]]) -> None:
    imports = {f"f{number:02}": [f"f{other:02}" for other in others] for number, others in enumerate(graph)}
    division = divided(imports)
    below = {name: reached(name, imports) for name in imports}
    for unit in division.units:
        names = {target.filename for target in unit}
        found = division.parts(f"{FOLDER}/{name}.py" for name in names)
        assert sorted(map(name, (path for part in found for path in part.files))) == sorted(names)
        assert all(reached(name, imports) <= names for name in names)
        assert sum(len(part.along) for part in found) <= min(MOST_ALONG, ALONG_EACH * len(names))
        before: set[str] = set()
        for part in found:
            files, along, above = (set(map(name, paths)) for paths in (part.files, part.along, part.above))
            assert along == set().union(*(below[file] for file in files)) - files
            assert above == {other for other in names - files if below[other] & files}
            assert above <= before  # what is told of them is known by then
            before |= files
        assert found == division.parts(reversed([f"{FOLDER}/{name}.py" for name in names]))


def reached(start: str, imports: dict[str, list[str]]) -> set[str]:
    """A file and all that it imports."""
    found = {start}
    waiting = [start]
    while waiting:
        new = set(imports[waiting.pop()]) - found
        found |= new
        waiting += new
    return found
