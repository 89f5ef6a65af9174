"""The check of one unit, part by part, from its files to the findings to show. It may run in a process of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.config import OWN_FAILURE, UNREADABLE, UNUSED_SUPPRESSION, by_name
from trainlint.findings import Finding, Severity, Span
from trainlint.imports import Disk, Finder, digest
from trainlint.units import Part

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo
    from trainlint.syntax import Parsed

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a unit: its absolute path, its name for people, the codes that are on in it, and whether it may hold
    suppression comments."""

    path: str
    filename: str
    codes: frozenset[str]
    may_be_suppressed: bool


@dataclass(frozen=True, slots=True)
class Job:
    """All that the check of a unit is told.

    `texts` stand for what is on disk, by absolute path; `common` is the folder that all files of the check lie below,
    `added` are the folders that these put on `sys.path`, as `Finder` takes them.
    Without `noqa`, comments that other linters share hide nothing. `known` is what came of parts in an earlier run, by
    their numbers; it counts if the part was told the same.
    """

    files: tuple[File, ...]
    common: str
    added: Sequence[tuple[str, str]] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    knowledge: Sequence[Mapping[str, Any]] = ()
    noqa: bool = True
    size: int = 0
    parts: tuple[Part, ...] = ()
    known: Mapping[int, Share] = field(default_factory=dict)

    @property
    def codes(self) -> frozenset[str]:
        """The codes that are on in any of the files."""
        return frozenset[str]().union(*(file.codes for file in self.files))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of the disk besides the files of the unit: digests of files that were read along, the names in
    folders that were searched, and whether folders are repositories."""

    contents: Mapping[str, str] = field(default_factory=dict)
    listings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    repositories: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, finder: Finder) -> Evidence:
        """What a finder saw."""
        listings = {folder: sorted(names) for folder, names in finder.listings.items()}
        return cls(finder.contents, listings, finder.repositories)

    @classmethod
    def joined(cls, seen: Iterable[Evidence], own: Collection[str]) -> Evidence:
        """All that was seen but for what some files hold."""
        contents: dict[str, str] = {}
        listings: dict[str, Sequence[str]] = {}
        repositories: dict[str, bool] = {}
        for evidence in seen:
            contents.update((path, held) for path, held in evidence.contents.items() if path not in own)
            listings.update(evidence.listings)
            repositories.update(evidence.repositories)
        return cls(contents, listings, repositories)


@dataclass(frozen=True, slots=True)
class Share:
    """What came of a part: findings in any file of the unit, and what `Seam` says; `told` stands for what it was told
    by the parts above."""

    told: str
    findings: tuple[Finding, ...]
    pending: tuple[tuple[str, str, Finding], ...]
    calls: tuple[str, ...]
    ran: tuple[str, ...]
    evidence: Evidence
    final: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job, and of those of its parts that were not known. It is `final` if nothing went wrong on the
    way, in files that were read along either: else another run may come to more."""

    findings: tuple[Finding, ...]
    evidence: Evidence = field(default_factory=Evidence)
    final: bool = True
    shares: Mapping[int, Share] = field(default_factory=dict)


def perform(job: Job, progress: Progress | None = None, parsed: Parsed | None = None) -> Outcome:
    """Check a unit. A unit answers for its own files only.

    `parsed` has files that an earlier check has parsed. Raises UsageError if a row of the knowledge is not as it must
    be.
    """
    from trainlint.semantics.project import deep

    outcome: Outcome = deep(lambda: _Unit(job, parsed, progress).check())
    return outcome


class _Unit:
    """A unit under check."""

    def __init__(self, job: Job, parsed: Parsed | None, progress: Progress | None) -> None:
        from trainlint.syntax import Parsed

        self.job = job
        self.parts = job.parts or (Part(tuple(file.path for file in job.files)),)
        self.progress = progress
        self.done = 0
        self.parsed = Parsed() if parsed is None else parsed
        self.disk = Disk(job.texts)
        self.rules = _rules(job.codes)
        self.words: dict[str, frozenset[bytes]] = {}  # by path: the words of a file's text

    def check(self) -> Outcome:
        shares: list[Share] = []
        new: dict[int, Share] = {}
        for number, part in enumerate(self.parts):
            reached, named = self.told(part, shares)
            told = digest(json.dumps([sorted(reached), sorted(named)]).encode())
            known = self.job.known.get(number)
            if known is None or known.told != told:
                known = new[number] = self.share(part, told, reached, named)
            shares.append(known)
            self.done += len(part.files)
        findings = self.merged(shares)
        shown = [finding for file in self.job.files for finding in self.shown(file, findings.get(file.filename, []))]
        evidence = Evidence.joined((share.evidence for share in shares), {file.path for file in self.job.files})
        final = all(share.final for share in shares)
        return Outcome(tuple(shown), evidence, final, new if len(self.parts) > 1 else {})

    def told(self, part: Part, shares: Sequence[Share]) -> tuple[frozenset[str], frozenset[str]]:
        """What the parts above have to do with a part: the functions that they reach in its files, and the names of
        functions that stand in theirs."""
        if not part.above:
            return frozenset(), frozenset()
        begins = tuple(f"{path}:" for path in part.files)
        reached = frozenset(name for share in shares for name in share.calls if name.startswith(begins))
        defined = {word for path in part.files for word in _DEFINED.findall(self.text(path))}
        named = {word.decode("utf-8", "replace") for path in part.above for word in defined & self.words_of(path)}
        return reached, frozenset(named)

    def share(self, part: Part, told: str, reached: frozenset[str], named: frozenset[str]) -> Share:
        """Check a part."""
        from trainlint.semantics import project

        def go_on(done: int, _: int) -> None:
            if self.progress is not None:
                self.progress(self.done + done, len(self.job.files))

        finder = Finder(self.job.common, self.disk, self.job.added)
        programs = None if len(self.parts) == 1 else [Path(path) for path in part.files]
        seam = project.Seam(programs, reached, named, self.parsed)
        findings = project.check_files(
            [(Path(file.path), file.filename) for file in self.job.files],
            dict(self.job.texts),
            self.rules,
            knowledge=self.job.knowledge,
            finder=finder,
            progress=go_on,
            seam=seam,
        )
        return Share(
            told,
            tuple(findings),
            tuple(seam.pending),
            tuple(sorted(seam.calls)),
            tuple(sorted(seam.ran)),
            Evidence.joined([Evidence.of(finder)], {*part.files, *part.along}),
            not any(finding.code == OWN_FAILURE for finding in findings),
        )

    def merged(self, shares: Sequence[Share]) -> dict[str, list[Finding]]:
        """The findings of all parts by file; what several have found, once."""
        found: dict[str, list[Finding]] = {}
        seen: set[object] = set()
        agreeing: dict[object, set[int]] = {}  # by what is pending, the parts that came to it
        for number, share in enumerate(shares):
            for _, _, finding in share.pending:
                agreeing.setdefault(_identity(finding), set()).add(number)
        # What one part tells anyway, another may tell on request only.
        for on_request, share in product((False, True), shares):
            findings = [finding for finding in share.findings if finding.on_request is on_request]
            for name, attribute, finding in share.pending:
                if finding.on_request is not on_request:
                    continue
                if not self.is_used(name, attribute, agreeing[_identity(finding)], shares):
                    findings.append(finding)
            new = [finding for finding in findings if _identity(finding) not in seen]
            seen.update(map(_identity, new))
            for finding in new:
                found.setdefault(finding.filename, []).append(finding)
        return found

    def is_used(self, name: str, attribute: str, agreeing: set[int], shares: Sequence[Share]) -> bool:
        """Whether an attribute is run by other parts than those that found it to be unused, or may be used in a file
        that none of these has seen: on anything but `self`, or by a string."""
        seen = {path for number in agreeing for path in (*self.parts[number].files, *self.parts[number].along)}
        unseen = (file.path for file in self.job.files if file.path not in seen)
        others = (share for other, share in enumerate(shares) if other not in agreeing)
        use = re.compile(_USE % (name.encode(), name.encode()), re.MULTILINE)
        texts = (text for path in unseen if name.encode() in (text := self.text(path)))
        return any(attribute in share.ran for share in others) or any(use.search(_asked().sub(b"", t)) for t in texts)

    def shown(self, file: File, findings: Sequence[Finding]) -> Sequence[Finding]:
        """Of the findings in a file those that settings and comments leave."""
        wanted: Sequence[Finding] = [finding for finding in findings if finding.code in file.codes]
        if file.may_be_suppressed:
            wanted = _unsuppressed(file, wanted, self.job)
        return [finding for finding in wanted if not finding.on_request or by_name(finding.code) in file.codes]

    def text(self, path: str) -> bytes:
        """What a file holds."""
        text = self.job.texts.get(path)
        if text is not None:
            return text.encode("utf-8", "surrogatepass")
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError):
            return b""

    def words_of(self, path: str) -> frozenset[bytes]:
        """The words of a file."""
        found = self.words.get(path)
        if found is None:
            found = self.words[path] = frozenset(_WORD.findall(self.text(path)))
        return found


_WORD = re.compile(rb"\w+")
# An attribute of anything but `self`, or a name in a string that is no sentence; imports are lines of their own.
_USE = rb"""^(?![ \t"]*(?:from|import)\b).*?(?:(?<!self)\.%s\b|["'][^"'\s]*\b%s\b[^"'\s]*["'])"""
# What is no use of it, as `Uses` has it too: how many there are, whether a name begins so.
_ASKED = rb"""\b(?:(?:%s)\(\s*[\w.]+(?=\s*[,)])|(?:%s)\(\s*(?:[\w.]+,\s*)?(?:"[^"\n]*"|'[^'\n]*')(?=\s*[,)]))"""
_DEFINED = re.compile(rb"\bdef[ \t]+(\w+)")


def _identity(finding: Finding) -> object:
    """What makes it the same finding when several parts come to it; each failure of ours is one by itself."""
    message = finding.message if finding.code == OWN_FAILURE else ""
    return finding.code, finding.filename, finding.cell, finding.span, message


@cache
def _asked() -> re.Pattern[bytes]:
    from trainlint.semantics.modules import ASKING, TEXTUAL

    return re.compile(_ASKED % ("|".join(sorted(ASKING)).encode(), "|".join(sorted(TEXTUAL)).encode()))


@cache
def _rules(wanted: frozenset[str]) -> list[Any]:
    from trainlint.checks import all_rules

    return [rule() for code, rule in all_rules().items() if code in wanted]


@cache
def _catalogue() -> list[RuleInfo]:
    from trainlint.checks import catalogue

    return catalogue()


def _unsuppressed(file: File, findings: Sequence[Finding], job: Job) -> list[Finding]:
    """The findings in one file less those that a comment hides, and one for each comment that hides nothing."""
    from trainlint import suppress
    from trainlint.syntax import Notebook, Unreadable, read_text

    text = job.texts.get(file.path)
    try:
        raw = read_text(Path(file.path)) if text is None else text
        notebook = Notebook.read(raw) if file.filename.endswith(".ipynb") else None
    except Unreadable:
        return list(findings)
    comments = suppress.directives(raw if notebook is None else notebook.text)
    if not job.noqa:
        comments = [comment for comment in comments if comment.is_own]
    shown = suppress.visible(findings, comments)
    # Of a file that could not be checked nobody knows what would have been found in it.
    if UNUSED_SUPPRESSION in file.codes and not any(f.code in (UNREADABLE, OWN_FAILURE) for f in findings):
        unused = suppress.unused(comments, file.filename, file.codes, _catalogue())
        stale = suppress.visible(list(unused), comments)
        shown += stale if notebook is None else [_placed(finding, notebook.place) for finding in stale]
    return shown


def _placed(finding: Finding, place: Callable[[Span], tuple[int | None, Span]]) -> Finding:
    cell, span = place(finding.span)
    return replace(finding, cell=cell, span=span)


def failed(job: Job, reason: str) -> Outcome:
    """What there is to say of a unit whose check came to no end."""
    return Outcome(
        tuple(
            Finding(OWN_FAILURE, "internal-error", reason, Severity.ERROR, file.filename, Span(1, 1, 1, 1))
            for file in job.files
        ),
        final=False,
    )
