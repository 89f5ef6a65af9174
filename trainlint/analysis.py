"""The check of one unit, from its files to the findings to show. It may run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.config import OWN_FAILURE, UNREADABLE, UNUSED_SUPPRESSION
from trainlint.findings import Finding, Severity, Span
from trainlint.imports import Finder

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

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

    `texts` stand for what is on disk, by absolute path; `common` is the folder that all files of the check lie below.
    Without `noqa`, comments that other linters share hide nothing.
    """

    files: tuple[File, ...]
    common: str
    texts: Mapping[str, str] = field(default_factory=dict)
    knowledge: Sequence[Mapping[str, Any]] = ()
    noqa: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of the disk besides the files of the unit: digests of files that were read along, the names in
    folders that were searched, and whether folders are repositories."""

    contents: Mapping[str, str] = field(default_factory=dict)
    listings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    repositories: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. It is `final` if nothing went wrong on the way, in files that were read along either: else
    another run may come to more."""

    findings: tuple[Finding, ...]
    evidence: Evidence = field(default_factory=Evidence)
    final: bool = True


def perform(job: Job, progress: Progress | None = None) -> Outcome:
    """Check a unit. A unit answers for its own files only.

    Raises UsageError if a row of the knowledge is not as it must be.
    """
    from trainlint.semantics import project

    wanted = frozenset[str]().union(*(file.codes for file in job.files))
    files = [(Path(file.path), file.filename) for file in job.files]
    finder = Finder(job.common, job.texts)
    found: dict[str, list[Finding]] = {file.filename: [] for file in job.files}
    everything = project.check_files(
        files, dict(job.texts), _rules(wanted), knowledge=job.knowledge, finder=finder, progress=progress
    )
    for finding in everything:
        if finding.filename in found:
            found[finding.filename].append(finding)
    shown: list[Finding] = []
    for file in job.files:
        findings = [finding for finding in found[file.filename] if finding.code in file.codes]
        shown += _unsuppressed(file, findings, job) if file.may_be_suppressed else findings
    own = {file.path for file in job.files}
    evidence = Evidence(
        {path: digest for path, digest in finder.contents.items() if path not in own},
        {folder: sorted(names) for folder, names in finder.listings.items()},
        finder.repositories,
    )
    return Outcome(tuple(shown), evidence, final=not any(finding.code == OWN_FAILURE for finding in everything))


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
