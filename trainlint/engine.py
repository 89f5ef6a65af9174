"""A check from end to end: files to findings, then what the settings and the comments in the files make of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint import plugins
from trainlint.analysis import File, Job, Outcome, Progress, perform
from trainlint.cache import Cache
from trainlint.config import OWN_FAILURE, Selection, Settings, by_name, codes_of, enabled_codes
from trainlint.discovery import Globs, Target
from trainlint.findings import Finding, Safety, Severity, Span
from trainlint.imports import Disk, Finder, common_folder, digest
from trainlint.prefilter import Facts, facts_of, importing
from trainlint.semantics import requirements
from trainlint.units import Division, concerned

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo
    from trainlint.syntax import Parsed


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found: the findings in order of place, and how many files were looked at."""

    findings: tuple[Finding, ...]
    files: int


def check(
    targets: Sequence[Target],
    *,
    texts: Mapping[str, str] | None = None,
    noqa: bool = True,
    progress: Progress | None = None,
    cache: Cache | None = None,
    jobs: int | None = 1,
    around: Collection[Path] | None = None,
    parsed: Parsed | None = None,
) -> Result:
    """Check files.

    `texts` gives the contents of those that are not to be read from the disk: by file name, or by path if they are no
    targets but imported. Without `noqa`, comments that other linters share do not hide anything, for the caller will
    see to them. `jobs` is the number of processes at most, None for as many as are of use. Neither these nor a cache
    nor `parsed`, which has files that an earlier check in this process has parsed, change the result. `around` are the
    files that matter: others are left out, unless they run in the same programs.
    """
    cache = cache or Cache(None)
    survey = _Survey(targets, texts or {}, noqa, cache)
    shown: list[Finding] = []
    waiting: list[Job] = []
    for job in survey.jobs(around):
        known = cache.find(job, survey.disk)
        if known is None:
            divided = survey.divided(job)
            waiting.append(replace(divided, known=cache.find_parts(divided, survey.disk)))
        else:
            shown += known
    with closing(_performed(waiting, jobs, progress, parsed)) as performed:
        for job, outcome in performed:
            shown += outcome.findings
            cache.keep(job, survey.disk, outcome, Disk(job.texts))
    cache.close()
    return Result(tuple(sorted(shown, key=lambda finding: finding.sort_key)), len(targets))


# Bytes of source from which on the start of further processes pays.
WORTH_PROCESSES = 400_000


def _performed(
    jobs: list[Job], processes: int | None, progress: Progress | None, parsed: Parsed | None
) -> Generator[tuple[Job, Outcome], None, None]:
    """The units and what came of them, as each is ready."""
    total, done = sum(len(job.files) for job in jobs), 0

    def move(further: int, _: int = 0) -> None:
        if progress is not None:
            progress(done + further, total)

    if processes is None:
        processes = _processors()
    outcomes: Iterator[tuple[Job, Outcome]]
    if min(processes, len(jobs)) == 1 or sum(job.size for job in jobs) < WORTH_PROCESSES:
        # The largest is the last, since nobody has to collect what that leaves behind.
        in_order = sorted(jobs, key=lambda job: job.size)
        outcomes = _one_by_one(in_order, move, parsed)
    else:
        from trainlint import workers

        outcomes = workers.perform_all(jobs, processes)
    for job, outcome in outcomes:
        yield job, outcome
        done += len(job.files)
        move(0)


# Characters of files that units are done with and that are kept for the next ones, which may import the same: such
# trees take tens of bytes for each.
KEPT = 2_000_000


def _one_by_one(jobs: Sequence[Job], move: Progress, parsed: Parsed | None) -> Iterator[tuple[Job, Outcome]]:
    """The units, each performed in this process when it is asked for."""
    if not jobs:
        return
    from trainlint.syntax import Parsed

    shared = parsed or Parsed()
    for job in jobs:
        yield job, perform(job, move, shared)
        if parsed is None:
            shared.shrink(KEPT)


def _processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Survey:
    """What can be told of the files before any is parsed, and what there is to do about them."""

    def __init__(self, targets: Sequence[Target], texts: Mapping[str, str], noqa: bool, cache: Cache) -> None:
        requirements.forget()
        self._targets = {target: os.path.abspath(target.path) for target in targets}
        self._cache = cache
        self._noqa = noqa
        named = {target.filename: path for target, path in self._targets.items()}
        self._texts = {named.get(name) or os.path.abspath(name): text for name, text in texts.items()}
        self.disk = Disk(self._texts)
        own = {id(table): table for target in targets if (table := target.settings.knowledge)}
        self._knowledge = (*plugins.knowledge(), *own.values())
        self._facts = _FactBook(self.disk, self._texts, importing(_packages(self._knowledge)), cache)

    def jobs(self, around: Collection[Path] | None = None) -> list[Job]:
        """The units to check; of these what is of interest for some files, if any are given."""
        facts = {target: self._facts.of(path) for target, path in self._targets.items()}
        candidates = concerned(facts)
        paths = {target: self._targets[target] for target in candidates}
        common = common_folder(paths.values())
        added = self._added(facts)
        self._division = Division(paths, Finder(common, self.disk, added), self._facts.of)
        self._facts.keep()
        units = self._division.units
        if around is not None:
            related = self._division.around(os.path.abspath(path) for path in around)
            units = [[target for target in unit if paths[target] in related] for unit in units]
        if not any(units):
            return []
        enabled = _Enabled(self._cache.catalogue())
        return [self._job(unit, facts, enabled, common, added) for unit in units if unit]

    def divided(self, job: Job) -> Job:
        """A unit with the parts that it falls into."""
        return replace(job, parts=self._division.parts([file.path for file in job.files]))

    def _added(self, facts: Mapping[Target, Facts]) -> tuple[tuple[str, str], ...]:
        """The folders that files put on `sys.path`, each behind the folder below which that holds."""
        finder = Finder(common_folder(self._targets.values()), self.disk)
        folders = ((os.path.dirname(self._targets[target]), known.path_edits) for target, known in facts.items())
        return tuple(
            dict.fromkeys(pair for folder, named in folders if named for pair in finder.put_on_path(folder, named))
        )

    def _job(
        self,
        unit: Sequence[Target],
        facts: Mapping[Target, Facts],
        enabled: _Enabled,
        common: str,
        added: tuple[tuple[str, str], ...],
    ) -> Job:
        return Job(
            files=tuple(File(self._targets[t], t.filename, enabled.of(t), facts[t].may_be_suppressed) for t in unit),
            common=common,
            added=added,
            texts=self._texts,
            knowledge=self._knowledge,
            noqa=self._noqa,
            size=sum(facts[target].size for target in unit),
        )


class _FactBook:
    """What the bytes of files tell, by absolute path. Each file is read once, and looked through once for all runs."""

    def __init__(self, disk: Disk, texts: Mapping[str, str], further: re.Pattern[bytes] | None, cache: Cache) -> None:
        self._disk = disk
        self._texts = texts
        self._further = further
        self._cache = cache
        self._name = digest(further.pattern if further is not None else b"")[:16]
        self._known = cache.facts(self._name)
        self._found: dict[str, Facts] = {}
        self._files: dict[str, Facts] = {}

    def of(self, path: str) -> Facts:
        """What a file's bytes tell; one that cannot be read concerns the reader of the project, who reports it."""
        if path not in self._files:
            text = self._texts.get(path)
            content = _content(path) if text is None else text.encode("utf-8", "surrogatepass")
            key = self._disk.know(path, content)
            if content is None:
                self._files[path] = Facts(True, False, False, [], 0)
            else:
                self._files[path] = self._known.get(key) or self._look(key, content)
        return self._files[path]

    def _look(self, key: str, content: bytes) -> Facts:
        found = self._found[key] = facts_of(content, self._further)
        return found

    def keep(self) -> None:
        """Let the next run know."""
        if self._found:
            self._cache.keep_facts(self._name, {**self._known, **self._found})


def _packages(knowledge: Iterable[Mapping[str, Any]]) -> set[str]:
    """The packages that tables of knowledge tell of."""
    paths = (
        path
        for table in knowledge
        for kind, named in (("api", "calls"), ("class", "names"))
        for row in table.get(kind, ())
        for path in row[named].split()
    )
    return {path.partition(".")[0] for path in paths}


# Fixes make room for further ones; a program that takes more rounds than this meets a fix that undoes another.
MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Fixed:
    """What fixing came to: the findings that are left, those that were mended, and old and new contents of files."""

    result: Result
    mended: tuple[Finding, ...]
    changes: dict[str, tuple[str, str]]


def fix(
    targets: Sequence[Target],
    *,
    unsafe: bool = False,
    texts: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    cache: Cache | None = None,
    jobs: int | None = 1,
) -> Fixed:
    """Check files and apply fixes, round by round, until none is left; nothing is written."""
    from trainlint.fixing import compatible
    from trainlint.syntax import read_text

    paths = {target.filename: target.path for target in targets}
    current = dict(texts or {})
    originals: dict[str, str] = {}
    mended: list[Finding] = []
    failures: list[Finding] = []
    useless: set[tuple[str, str]] = set()
    counts: Counter[tuple[str, str]] = Counter()
    tried: set[tuple[str, str]] = set()
    for number in range(MAX_ROUNDS + 1):
        result = check(targets, texts=current, progress=progress, cache=cache, jobs=jobs)
        # A fix after which there is as much to find as before must not be applied for ever.
        before, counts = counts, Counter((finding.code, finding.filename) for finding in result.findings)
        useless |= {key for key in tried if counts[key] >= before[key]}
        chosen = compatible(
            finding
            for finding in result.findings
            if finding.fix is not None
            and (unsafe or finding.fix.safety is Safety.SAFE)
            and (finding.code, finding.filename) not in useless
        )
        if not chosen or number == MAX_ROUNDS:
            break
        for finding in chosen:
            for edit in finding.fix.edits if finding.fix is not None else ():
                if edit.filename not in current:
                    current[edit.filename] = read_text(paths[edit.filename])
        done, new, broken = apply(chosen, current, paths)
        if broken is not None:
            useless.add((broken.code, broken.filename))
            place = f"line {broken.span.line}" if broken.cell is None else f"cell {broken.cell}"
            failures.append(
                Finding(
                    OWN_FAILURE,
                    "internal-error",
                    f"the fix of {broken.code} in {place} would break the syntax, and was taken back",
                    Severity.ERROR,
                    broken.filename,
                    Span(1, 1, 1, 1),
                )
            )
        tried = {(finding.code, finding.filename) for finding in done}
        mended += done
        for filename, text in new.items():
            originals.setdefault(filename, current[filename])
            current[filename] = text
    shown = sorted((*result.findings, *failures), key=lambda finding: finding.sort_key)
    changes = {name: (old, current[name]) for name, old in originals.items() if current[name] != old}
    return Fixed(Result(tuple(shown), result.files), tuple(mended), changes)


def apply(
    chosen: Sequence[Finding], texts: Mapping[str, str], paths: Mapping[str, Path]
) -> tuple[list[Finding], dict[str, str], Finding | None]:
    """Apply fixes that are compatible: which were, what came out, and one that breaks the syntax all by itself."""
    from trainlint.fixing import Broken, applied, verify

    def attempt(findings: Sequence[Finding]) -> dict[str, str]:
        new = applied(texts, findings)
        for filename, text in new.items():
            verify(paths[filename], filename, texts[filename], text)
        return new

    try:
        return list(chosen), attempt(chosen), None
    except Broken:
        pass
    # Together they do harm: what goes well now is done, and the others get their turn in the next round.
    done: list[Finding] = []
    new: dict[str, str] = {}
    for finding in chosen:
        try:
            new = attempt([*done, finding])
            done.append(finding)
        except Broken:
            if not done:
                return [], {}, finding
    return done, new, None


def _content(path: str) -> bytes | None:
    """The bytes of a file; None if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return None


class _Enabled:
    """The codes that are on in each file."""

    def __init__(self, catalogue: Sequence[RuleInfo]) -> None:
        self._catalogue = catalogue
        self._codes: dict[Settings, frozenset[str]] = {}
        self._ignores: dict[Settings, list[tuple[Globs, frozenset[str]]]] = {}

    def of(self, target: Target) -> frozenset[str]:
        settings = target.settings
        if settings not in self._codes:
            asked = enabled_codes((Selection(select=()), *settings.selections), self._catalogue)
            self._codes[settings] = enabled_codes(settings.selections, self._catalogue) | set(map(by_name, asked))
            self._ignores[settings] = [
                (Globs.of(patterns), frozenset[str]().union(*(codes_of(s, self._catalogue) for s in selectors)))
                for patterns, selectors in settings.per_file_ignores
            ]
        codes = self._codes[settings]
        for globs, ignored in self._ignores[settings]:
            if globs.decide(str(target.path.absolute())):
                codes -= ignored - {OWN_FAILURE}
        return codes
