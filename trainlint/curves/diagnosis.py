"""From logs to what there is to say about them: findings, and what could not be judged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trainlint.config import UNREADABLE
from trainlint.curves.check import CannotTell, Check, Comparison, Seen
from trainlint.curves.names import Role
from trainlint.curves.reading import Log, logs, read
from trainlint.curves.series import Run
from trainlint.findings import NOWHERE, Finding, Severity, Span


@dataclass
class Diagnosis:
    """Everything that came of some logs."""

    runs: list[Run] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    # Logs that could not be read, or not to their ends.
    unread: list[Finding] = field(default_factory=list)
    # What could not be judged and why, and what was not understood.
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of printing."""
        found = [finding_of(seen) for seen in self.seen]
        return sorted([*self.unread, *found], key=lambda finding: finding.sort_key)

    def of(self, run: Run) -> dict[str, Seen]:
        """What was seen in a run, by code."""
        return {seen.check.code: seen for seen in self.seen if seen.run is run}


def diagnose(
    paths: Sequence[str],
    checks: Sequence[type[Check]],
    given: Mapping[str, Role | None] | None = None,
    facts: Mapping[str, float] | None = None,
    layers: Mapping[str, float] | None = None,
) -> Diagnosis:
    """Read the logs that paths name or hold, and let the checks look at each run and at all of them.

    `given` are roles of columns, `facts` what is known of the task (`classes`, `variance`), `layers` the depth of a
    run's model by a part of its path. Raises UsageError.
    """
    diagnosis = Diagnosis()
    for log in logs(paths):
        _read(log, diagnosis, given or {})
    _label(diagnosis.runs)
    for run in diagnosis.runs:
        run.facts.update(facts or {})
        for part, depth in (layers or {}).items():
            if part in run.title:
                run.facts["layers"] = depth
    diagnosis.seen = list(_seen(diagnosis, [check() for check in checks]))
    return diagnosis


def _read(log: Log, diagnosis: Diagnosis, given: Mapping[str, Role | None]) -> None:
    runs, problems = read(log, given)
    known = [run for run in runs if run.roles]
    if not known and not log.named:
        # Of all the texts in a folder most are no logs.
        if problems or any(run.series for run in runs):
            diagnosis.notes.append(f"{log.filename}: no log, as far as can be told: no loss, accuracy or learning rate")
        return
    for problem in problems:
        diagnosis.unread.append(_unreadable(log, problem.message, problem.line))
    diagnosis.runs += known
    diagnosis.notes += [f"{run.title}: {note}" for run in known for note in run.notes]
    if not known and not problems:
        names = ", ".join(f"`{series.name}`" for run in runs for series in run.series[:6])
        message = f"no name was recognised among {names}; give them with --series" if names else "no numbers in it"
        diagnosis.unread.append(_unreadable(log, message, 0))


def _unreadable(log: Log, message: str, line: int) -> Finding:
    return Finding(UNREADABLE, "unreadable-file", message, Severity.ERROR, log.filename, _line(line))


def _label(runs: Sequence[Run]) -> None:
    """Call each run by what its path does not share with the others."""
    if len(runs) < 2:
        return
    paths = [os.path.abspath(run.filename) for run in runs]
    common = os.path.commonpath(paths)
    for run, path in zip(runs, paths, strict=True):
        shown = "" if path == common else os.path.relpath(path, common)
        run.label = ": ".join(part for part in (shown, run.name) if part)


def _seen(diagnosis: Diagnosis, checks: Sequence[Check]) -> Iterator[Seen]:
    single = [check for check in checks if not isinstance(check, Comparison)]
    for run in diagnosis.runs:
        for check in single:
            try:
                yield from check.judge(run)
            except CannotTell as reason:
                diagnosis.notes.append(f"{run.title}: {check.code} {check.name} cannot be judged: {reason}")
    for check in checks:
        if isinstance(check, Comparison):
            try:
                yield from check.compare(diagnosis.runs)
            except CannotTell as reason:
                diagnosis.notes.append(f"{check.code} {check.name} cannot be judged: {reason}")


def finding_of(seen: Seen) -> Finding:
    """What was seen as a finding, at the line of the log if there is one."""
    check = seen.check
    return Finding(check.code, check.name, seen.message, check.severity, seen.run.filename, _line(seen.line))


def _line(line: int) -> Span:
    return Span(line, 1, line, 1) if line else NOWHERE
