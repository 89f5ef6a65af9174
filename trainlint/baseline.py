"""A baseline: the findings that a project knows of and lives with for now.

It counts findings by file and rule, so code may move and be edited without becoming news. For each it notes the line of
code as well, but only to tell which findings are new where there are more than there were.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from trainlint.config import OWN_FAILURE, UsageError
from trainlint.files import replace
from trainlint.findings import Finding

if TYPE_CHECKING:
    from trainlint.reports.sources import Sources

# File, relative to the folder of the baseline, and code.
Key = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """What a check found, by what the baseline says: what is news, what was known, and what is known in vain."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    # Of each file and code that the baseline counts higher: by how much.
    stale: Mapping[Key, int]


class Baseline:
    """The lines of code with known findings, by file and code."""

    def __init__(self, path: Path, entries: Mapping[Key, Sequence[str]]) -> None:
        self._path = path
        self._entries = entries

    @classmethod
    def read(cls, path: Path, *, may_be_missing: bool = False) -> Baseline:
        """The baseline in a file; raises UsageError if there is none in it."""
        try:
            content = json.loads(path.read_text("utf-8"))
            entries = {(file, code): lines for file, codes in content.items() for code, lines in codes.items()}
            if not all(isinstance(line, str) for lines in entries.values() for line in [*lines]):
                raise TypeError
        except (FileNotFoundError, NotADirectoryError) as error:
            if may_be_missing:
                return cls(path, {})
            raise UsageError(f"there is no baseline {path}; `--write-baseline` writes it") from error
        except OSError as error:
            raise UsageError(f"cannot read the baseline {path}: {error.strerror}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{path} is not a baseline; delete it, and `--write-baseline` writes it anew") from error
        return cls(path, entries)

    @property
    def files(self) -> list[Path]:
        """The files that it knows findings in."""
        return [self._path.parent / file for file, _ in self._entries]

    def compare(self, findings: Iterable[Finding], line_of: Callable[[Finding], str], judged: Judged) -> Comparison:
        """Tell news from what is known; only of files and codes that were `judged` does it know what is stale."""
        found = self._by_key(findings)
        new: list[Finding] = []
        known: list[Finding] = []
        for key, here in found.items():
            old, news = _divide(here, self._entries.get(key, ()), line_of)
            known += old
            new += news
        counts = {key: len(lines) - len(found.get(key, ())) for key, lines in self._entries.items()}
        stale = {key: count for key, count in counts.items() if count > 0 and judged(*self._place(key))}
        order = [sorted(part, key=lambda finding: finding.sort_key) for part in (new, known)]
        return Comparison(tuple(order[0]), tuple(order[1]), stale)

    def write(self, findings: Iterable[Finding], line_of: Callable[[Finding], str], judged: Judged) -> None:
        """Replace what the file says of all that was judged; raises UsageError if it cannot be written."""
        entries = {key: lines for key, lines in self._entries.items() if not judged(*self._place(key))}
        for key, here in self._by_key(findings).items():
            entries[key] = [line_of(finding) for finding in here]
        content: dict[str, dict[str, Sequence[str]]] = defaultdict(dict)
        for (file, code), lines in sorted(entries.items()):
            content[file][code] = lines
        try:
            replace(self._path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise UsageError(f"cannot write the baseline {self._path}: {error.strerror}") from error

    def _by_key(self, findings: Iterable[Finding]) -> dict[Key, list[Finding]]:
        found: dict[Key, list[Finding]] = defaultdict(list)
        for finding in findings:
            name = os.path.relpath(finding.filename, self._path.parent).replace(os.sep, "/")
            found[name, finding.code].append(finding)
        return found

    def _place(self, key: Key) -> tuple[Path, str]:
        return self._path.parent / key[0], key[1]


def unknown(
    findings: Sequence[Finding], baseline: Path | None, sources: Sources, place: Callable[[str], Path] = Path
) -> Sequence[Finding]:
    """The findings that a baseline, if there is one, does not know; `place` says which file goes by a name.

    Raises UsageError if the baseline cannot be read.
    """
    if baseline is None or not findings:
        return findings
    placed = {replaced(finding, filename=str(place(finding.filename))): finding for finding in findings}

    def line_of(finding: Finding) -> str:
        here = placed[finding]
        return (sources.line(here.filename, here.cell, here.span.line) or "").strip()

    news = Baseline.read(baseline).compare(placed, line_of, lambda *_: False).new
    return [placed[finding] for finding in news]


# Whether a check could have found what the baseline says of this file and code.
Judged = Callable[[Path, str], bool]


def _divide(
    findings: Sequence[Finding], lines: Sequence[str], line_of: Callable[[Finding], str]
) -> tuple[list[Finding], list[Finding]]:
    """The findings that are known, as many as there are known lines, and those that are new.

    New are those on lines least like the known ones; of equal lines, the later ones.
    """
    if findings[0].code == OWN_FAILURE:
        return [], list(findings)
    if len(findings) <= len(lines):
        return list(findings), []
    known: set[int] = set()
    for finding, _ in _pairs([line_of(finding) for finding in findings], lines):
        known.add(finding)
    new = [finding for index, finding in enumerate(findings) if index not in known]
    return [finding for index, finding in enumerate(findings) if index in known], new


def _pairs(here: Sequence[str], there: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pair off lines, the most alike first."""
    free, left = set(range(len(here))), set(range(len(there)))
    by_line: dict[str, list[int]] = defaultdict(list)
    for index in range(len(here)):
        by_line[here[index]].insert(0, index)
    for other in range(len(there)):
        if by_line[there[other]]:
            index = by_line[there[other]].pop()
            free.remove(index)
            left.remove(other)
            yield index, other
    likeness = {(i, j): SequenceMatcher(None, here[i], there[j]).ratio() for i in free for j in left}
    for i, j in sorted(likeness, key=lambda pair: (-likeness[pair], pair)):
        if i in free and j in left:
            free.remove(i)
            left.remove(j)
            yield i, j
