"""A check from end to end: files to findings, then what the settings and the comments in the files make of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.config import OWN_FAILURE, UNREADABLE, UNUSED_SUPPRESSION, Settings, codes_of, enabled_codes
from trainlint.discovery import Globs, Target
from trainlint.findings import Finding, Safety, Severity, Span
from trainlint.prefilter import imported_words, importing, is_script, may_be_suppressed, may_concern, module_stem

if TYPE_CHECKING:
    from trainlint.checks import RuleInfo

Progress = Callable[[int, int], None]


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
) -> Result:
    """Check files.

    `texts` gives the contents of those that are not to be read from the disk: by file name, or by path if they are no
    targets but imported. Without `noqa`, comments that other linters share do not hide anything, for the caller will
    see to them.
    """
    from trainlint import plugins

    texts = texts or {}
    # The files to parse, and of each whether it may hold suppression comments.
    candidates: dict[Target, bool] = {}
    rejected: dict[Target, bytes] = {}
    own = {id(table): table for target in targets if (table := target.settings.knowledge)}
    knowledge = (*plugins.knowledge(), *own.values())
    further = importing(_packages(knowledge))
    for target in targets:
        content = _content(target, texts)
        if content is None or may_concern(content, further):
            candidates[target] = content is not None and may_be_suppressed(content)
        else:
            rejected[target] = content
    if not candidates:
        return Result((), len(targets))
    for target in _related(candidates, rejected, texts):
        candidates[target] = may_be_suppressed(rejected[target])
    candidates = {target: candidates[target] for target in targets if target in candidates}

    # All of this imports the parser, which a run on other files need not wait for.
    from trainlint.checks import all_rules, catalogue
    from trainlint.semantics import project

    infos = catalogue()
    enabled = _Enabled(infos)
    wanted = frozenset[str]().union(*map(enabled.of, candidates))
    rules = [rule() for code, rule in all_rules().items() if code in wanted]
    files = [(target.path, target.filename) for target in candidates]
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in project.check_files(files, dict(texts), rules, knowledge=knowledge, progress=progress):
        found[finding.filename].append(finding)

    # Findings in files that were read along only, because others import them, are not asked for.
    shown: list[Finding] = []
    for target, has_comments in candidates.items():
        codes = enabled.of(target)
        findings = [finding for finding in found[target.filename] if finding.code in codes]
        shown += _unsuppressed(target, findings, codes, infos, texts, noqa=noqa) if has_comments else findings
    return Result(tuple(sorted(shown, key=lambda finding: finding.sort_key)), len(targets))


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
        result = check(targets, texts=current, progress=progress)
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


def _related(kept: Mapping[Target, bool], rejected: Mapping[Target, bytes], texts: Mapping[str, str]) -> list[Target]:
    """Files without a word of training that belong to a training program all the same: a `main.py` that only imports
    the project's own modules, a helper that is handed the model."""
    if not rejected:
        return []
    stems = {target: module_stem(target.filename) for target in (*kept, *rejected)}
    imported = {target: imported_words(_content(target, texts) or b"") for target in kept}
    waiting = {target: (imported_words(content), is_script(content)) for target, content in rejected.items()}
    known, wanted = {stems[t] for t in kept}, set[str]().union(*imported.values())
    found: list[Target] = []
    while more := [t for t, (words, script) in waiting.items() if (script and words & known) or stems[t] in wanted]:
        for target in more:
            wanted |= waiting.pop(target)[0]
            known.add(stems[target])
        found += more
    return found


def _content(target: Target, texts: Mapping[str, str]) -> bytes | None:
    """The bytes of a file; None if it cannot be read, which the reader of the project will report."""
    text = texts.get(target.filename)
    try:
        return target.path.read_bytes() if text is None else text.encode("utf-8", "surrogatepass")
    except OSError:
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
            self._codes[settings] = enabled_codes(settings.selections, self._catalogue)
            self._ignores[settings] = [
                (Globs.of(patterns), frozenset[str]().union(*(codes_of(s, self._catalogue) for s in selectors)))
                for patterns, selectors in settings.per_file_ignores
            ]
        codes = self._codes[settings]
        for globs, ignored in self._ignores[settings]:
            if globs.decide(str(target.path.absolute())):
                codes -= ignored - {OWN_FAILURE}
        return codes


def _unsuppressed(
    target: Target,
    findings: Sequence[Finding],
    enabled: frozenset[str],
    catalogue: Sequence[RuleInfo],
    texts: Mapping[str, str],
    *,
    noqa: bool,
) -> list[Finding]:
    """The findings in one file less those that a comment hides, and one for each comment that hides nothing."""
    from trainlint import suppress
    from trainlint.syntax import Notebook, Unreadable, read_text

    text = texts.get(target.filename)
    try:
        raw = read_text(target.path) if text is None else text
        notebook = Notebook.read(raw) if target.filename.endswith(".ipynb") else None
    except Unreadable:
        return list(findings)
    comments = suppress.directives(raw if notebook is None else notebook.text)
    if not noqa:
        comments = [comment for comment in comments if comment.is_own]
    shown = suppress.visible(findings, comments)
    # Of a file that could not be checked nobody knows what would have been found in it.
    if UNUSED_SUPPRESSION in enabled and not any(finding.code in (UNREADABLE, OWN_FAILURE) for finding in findings):
        stale = suppress.visible(list(suppress.unused(comments, target.filename, enabled, catalogue)), comments)
        shown += stale if notebook is None else [_placed(finding, notebook.place) for finding in stale]
    return shown


def _placed(finding: Finding, place: Callable[[Span], tuple[int | None, Span]]) -> Finding:
    cell, span = place(finding.span)
    return replace(finding, cell=cell, span=span)
