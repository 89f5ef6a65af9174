"""The decision tree that the checklists walk: training loss first, then held-out loss, then test loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainlint.curves.check import Seen, baseline, short
from trainlint.curves.curve import Curve
from trainlint.curves.names import HELD_OUT, LOSS, TEST, TRAIN
from trainlint.curves.series import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where the tree leads for one run: the branch, what speaks for it, and what to do next."""

    branch: str
    evidence: tuple[str, ...]
    advice: str
    tips: tuple[str, ...] = ()
    # Rules on source whose findings would explain it.
    confirms: tuple[str, ...] = ()


# The branches in the order in which they are asked: what decides one makes those after it moot.
BRANCHES = (
    ("the record cannot be trusted", ("TC112",)),
    ("optimisation: the training loss is lost", ("TC101", "TC102")),
    ("optimisation: the training loss does not fall", ("TC104", "TC105", "TC117", "TC116")),
    ("model bias or optimisation: the training loss stays large", ("TC108",)),
    ("overfitting: the training loss is small, the held-out loss is not", ("TC106", "TC107")),
    ("the held-out loss cannot tell good from bad", ("TC114", "TC115")),
    ("mismatch: the held-out loss is small, the test loss is not", ("TC109",)),
    ("not finished: nothing is wrong but time or rate", ("TC110", "TC111")),
    ("training and evaluation differ", ("TC113",)),
    ("optimisation: single steps go wrong", ("TC103",)),
)


def verdict(run: Run, seen: Mapping[str, Seen]) -> Verdict:
    """The first branch for which something was seen; else what the levels say."""
    for branch, codes in BRANCHES:
        decisive = [seen[code] for code in codes if code in seen]
        if decisive:
            check = decisive[0].check
            evidence = (*(f"{one.check.code}: {one.message}" for one in decisive), *levels(run))
            return Verdict(branch, evidence, check.advice, check.tips, check.confirms)
    return _quiet(run)


def _quiet(run: Run) -> Verdict:
    evidence = tuple(levels(run))
    if not run.get(TRAIN, LOSS):
        return Verdict("unknown: no training loss was recorded", evidence, "record the training loss", ("L1",))
    if not run.get(HELD_OUT, LOSS):
        advice = "record the loss on held-out data: without it overfitting does not show"
        return Verdict("training looks sound; held-out loss unknown", evidence, advice, ("L3",))
    if not run.get(TEST, LOSS):
        advice = "measure the test loss once, when everything is chosen"
        return Verdict("training and held-out loss look sound; test loss unknown", evidence, advice, ("L6", "K17"))
    return Verdict("nothing speaks against this run", evidence, "try it on data from where it will be used", ("K18",))


def levels(run: Run) -> list[str]:
    """The losses in the order of the tree, from where to where, and what a guess would have."""
    lines = []
    for split, called in ((TRAIN, "training"), (HELD_OUT, "held-out"), (TEST, "test")):
        series = run.get(split, LOSS)
        if series is not None and len(series):
            loss = Curve(series)
            course = f"from {short(loss.start)} to {short(loss.end)}, best {short(loss.lowest().low)}"
            lines.append(f"{called} loss {course if len(loss) > 1 else short(loss.end)} ({len(loss.series)} points)")
    known = baseline(run)
    if known is not None:
        lines.append(f"a guess has {short(known[0])} ({known[1]})")
    return lines
