"""The door to the experiments: a training is tried out before it begins."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trainlint.config import Selection
from trainlint.findings import Finding, Severity
from trainlint.runtime import instruments
from trainlint.runtime.experiments import Curve, Experiment, Unjudged
from trainlint.runtime.experiments.subject import SEED, Clock, Samples, Split, Subject, as_pair, taken
from trainlint.runtime.monitor import Observation
from trainlint.runtime.places import Place, here
from trainlint.runtime.selection import chosen_experiments
from trainlint.runtime.untouched import seed, untouched
from trainlint.runtime.verdict import findings_of

if TYPE_CHECKING:
    from trainlint.reports.page.charts import Chart

# Seconds that all experiments take together, and the part of them that loading data may take.
SECONDS, LOADING = 60.0, 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one experiment: a measurement, and the message of a finding if it shows a mistake; or the reason
    why it could not be judged."""

    code: str
    name: str
    severity: Severity
    seconds: float
    measured: str = ""
    problem: str | None = None
    unjudged: str | None = None
    curve: Curve | None = None

    @property
    def verdict(self) -> str:
        """One word."""
        return "found" if self.problem else "not judged" if self.unjudged else "fine"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the experiments came to. As a string, a table of all of them."""

    outcomes: Sequence[Outcome]
    # The line that findings stand at.
    place: Place | None = None

    @property
    def findings(self) -> list[Finding]:
        """The mistakes that they show, less what comments in the source suppress."""
        return findings_of(self._observations())

    def _observations(self) -> Iterable[Observation]:
        for outcome in self.outcomes:
            if outcome.problem:
                yield Observation(outcome.code, outcome.name, outcome.problem, outcome.severity, self.place, 0)

    def report(self, path: str | Path) -> None:
        """Write an HTML page with the findings, all that was measured, and the curves. Raises OSError."""
        from trainlint.runtime.report.page import write_preflight

        write_preflight(Path(path), self)

    @property
    def charts(self) -> list[Chart]:
        """The curves that were measured, to be drawn."""
        from trainlint.reports.page.charts import Chart, Line, Mark

        return [
            Chart(
                f"{outcome.code} {outcome.name}: {curve.y_label}",
                curve.x_label,
                [Line(curve.y_label, curve.x, curve.y)],
                [Mark(x, f"{name}: {x:.2g}") for name, x in curve.marks.items()],
                log_x=True,
            )
            for outcome in self.outcomes
            if (curve := outcome.curve)
        ]

    def __str__(self) -> str:
        rows = [(o.code, o.name, o.verdict, o.unjudged or o.measured, f"{o.seconds:.1f} s") for o in self.outcomes]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = []
        for *cells, text, seconds in rows:
            start = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            lines.append(f"{start}  {text} ({seconds})")
        return "\n".join(lines)

    def plot(self, path: str | Path) -> None:
        """Draw the curves that were measured, as the learning-rate range test's, to an SVG file.

        Raises ValueError if there is no curve or the file is to be of another format, and OSError.
        """
        from trainlint.reports.page.charts import standalone

        if Path(path).suffix.lower() != ".svg":
            raise ValueError("curves are drawn as .svg")
        if not self.charts:
            raise ValueError("no experiment measured a curve")
        Path(path).write_text(standalone(self.charts), "utf-8")


def preflight(
    model: torch.nn.Module,
    loss: Any,
    train_loader: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    *,
    val_loader: Iterable[Any] | None = None,
    split: Split = as_pair,
    max_seconds: float = SECONDS,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Preflight:
    """Try a training out on copies, for about `max_seconds`, and say what would keep it from learning.

    `loss(output, target)` gives a number. `split(batch)` gives what the model is called with (a tensor, a tuple, or a
    mapping for keyword arguments) and the target; by default the last of a tuple is the target, or what a mapping calls
    label or target. Models, optimizers, loaders and generators are left as they are. `select` and `ignore` choose
    experiments as on the command line.

    Raises TypeError for a loader that is an iterator or yields batches that cannot be split, ValueError for an empty
    one or if `max_seconds` is not positive, and UsageError if a rule is unknown.
    """
    own = Selection(None if select is None else tuple(select), (), tuple(ignore))
    experiments = chosen_experiments(Path.cwd(), own)
    parts = Parts(model, loss, train_loader, optimizer, val_loader, split)
    return Preflight(parts.examined(experiments, max_seconds), here())


@dataclass(frozen=True)
class Parts:
    """What a training consists of, as `preflight` takes it."""

    model: torch.nn.Module
    loss: Any
    train_loader: Iterable[Any]
    optimizer: torch.optim.Optimizer
    val_loader: Iterable[Any] | None = None
    split: Split = as_pair

    def examined(self, experiments: Sequence[type[Experiment]], max_seconds: float) -> list[Outcome]:
        """Make experiments within a time that they share; raises as `preflight` does."""
        if not max_seconds > 0:
            raise ValueError("`max_seconds` must be positive")
        clock = Clock(max_seconds)
        loaders = (self.train_loader, self.val_loader)
        with untouched(*loaders, self.model, self.loss), instruments.unheard(), torch.enable_grad():
            seed(SEED)
            subject = self._subject(max_seconds * LOADING)
            outcomes = []
            for number, experiment in enumerate(experiments):
                share = Clock(max(0.0, clock.left) / (len(experiments) - number))
                outcomes.append(_outcome(experiment, subject, share))
        return outcomes

    def _subject(self, seconds: float) -> Subject:
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        train = taken(self.train_loader, self.split, device, Clock(seconds))
        evaluation: list[Samples] = []
        if self.val_loader is not None:
            evaluation = taken(self.val_loader, self.split, device, Clock(seconds))
        return Subject(self.model, self.loss, self.optimizer, train, evaluation, counted(self.train_loader))


def counted(loader: Any) -> int | None:
    """How many samples a loader has, if its data set has a length."""
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError, NotImplementedError):
        return None


def _outcome(experiment: type[Experiment], subject: Subject, clock: Clock) -> Outcome:
    about = (experiment.code, experiment.name, experiment.severity)
    begun = time.monotonic()
    try:
        if clock.is_over:
            raise Unjudged("there was no time left")
        result = experiment().run(subject, clock)
    except Unjudged as error:
        return Outcome(*about, time.monotonic() - begun, unjudged=str(error))
    except Exception as error:  # noqa: BLE001 - the user's code, called as it may not expect
        reason = (str(error).strip().splitlines() or [""])[0]
        return Outcome(*about, time.monotonic() - begun, unjudged=f"{type(error).__name__}: {reason}")
    return Outcome(*about, time.monotonic() - begun, result.measured, result.problem, curve=result.curve)
