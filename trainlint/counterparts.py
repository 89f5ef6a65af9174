"""Which rules on source and which rules of a live run find the same mistake: the one table of both.

The pages of the rules, docs/runtime.md and `trainlint check --with-run` follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What a run says of a mistake that a rule finds in the source."""

    source: str
    run: tuple[str, ...] = ()
    # Whether both stand at the same line, as at a loss. Otherwise the run's finding is about parameters, units, data or
    # numbers of the training as a whole, and stands where it learns.
    is_local: bool = False
    # Whether a run can tell that there is no mistake at that line.
    can_refute: bool = False
    # What the run's finding must be about, by the fields of its message.
    about: Mapping[str, str] = field(default_factory=dict)
    # Why no rule of a run says anything of it.
    unseen: str = ""


def _at_line(source: str, run: str, *, can_refute: bool = True, **about: str) -> Counterpart:
    return Counterpart(source, (run,), is_local=True, can_refute=can_refute, about=about)


def _of_training(source: str, *run: str) -> Counterpart:
    return Counterpart(source, run)


def _unseen(source: str, why: str) -> Counterpart:
    return Counterpart(source, unseen=why)


TABLE = (
    _at_line("TL101", "TR202", loss="cross_entropy"),
    _at_line("TL102", "TR202", loss="binary_cross_entropy_with_logits"),
    _at_line("TL104", "TR202", loss="nll_loss"),
    _at_line("TL106", "TR202", can_refute=False, loss="kl_div"),
    _at_line("TL110", "TR205"),
    _of_training("TL111", "TR404"),
    _at_line("TL201", "TR411"),
    _of_training("TL202", "TR203"),
    _unseen("TL206", "weights and losses are the same; only memory and time grow"),
    _unseen("TL208", "gradients that are too long look like a larger learning rate, which may be meant"),
    _at_line("TL301", "TR501"),
    _at_line("TL302", "TR503"),
    _of_training("TL303", "TR502"),
    _of_training("TL403", "TR105", "TR106"),
    _of_training("TL405", "TR112"),
    _of_training("TL406", "TR110"),
    _of_training("TL407", "TR109"),
    _of_training("TL410", "TR111"),
    _of_training("TL412", "TR113", "TR114"),
    _of_training("TL417", "TR504"),
    _of_training("TL418", "TR414"),
    _of_training("TL419", "TR103"),
    _of_training("TL420", "TR115", "TR605"),
    _of_training("TL501", "TR204"),
    _of_training("TL502", "TR204", "TR403"),
    _of_training("TL503", "TR204", "TR403"),
    _of_training("TL505", "TR204"),
    _of_training("TL506", "TR204", "TR403"),
    _of_training("TL507", "TR204", "TR403"),
    _of_training("TL508", "TR403"),
    _of_training("TL510", "TR204", "TR403"),
    _of_training("TL511", "TR403"),
    _of_training("TL601", "TR405"),
    _of_training("TL602", "TR405"),
    _of_training("TL603", "TR308"),
    _of_training("TL605", "TR415"),
    _of_training("TL606", "TR302", "TR401"),
    _unseen("TL607", "outputs that are never negative are what some models are made for"),
    _of_training("TL614", "TR307"),
    _of_training("TL616", "TR407"),
    _of_training("TL701", "TR405"),
    _of_training("TL703", "TR405", "TR407"),
    _of_training("TL704", "TR204", "TR305", "TR402", "TR403", "TR406", "TR408", "TR413", "TR604"),
    _of_training("TL708", "TR402"),
    _of_training("TL710", "TR413"),
)

BY_SOURCE = {row.source: row for row in TABLE}


def in_source(run: str, about: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """The rules on source that a finding of a run confirms; `about` are the fields of its message, if known."""
    rows = (row for row in TABLE if run in row.run)
    return tuple(row.source for row in rows if about is None or row.about.items() <= about.items())


def in_run(source: str) -> tuple[str, ...]:
    """The rules of a run that confirm what a rule on source finds."""
    row = BY_SOURCE.get(source)
    return () if row is None else row.run
