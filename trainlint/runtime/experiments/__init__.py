"""The experiments of a preflight, one module each: what takes a training of its own to find out.

An experiment is given a `Subject` and trains copies of it. It measures, and judges only what the measurement decides;
otherwise it raises `Unjudged`. A new one is a class in a module of its own and a page in `rules/`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from trainlint.coded import in_families
from trainlint.findings import Severity

if TYPE_CHECKING:
    from trainlint.runtime.experiments.subject import Clock, Subject

# The module of each code, in the order in which they are made: what is cheap and decides most comes first.
MODULES = {
    "TR307": "mixing",
    "TR605": "dimensions",
    "TR410": "gradients",
    "TR601": "overfit",
    "TR602": "inputs",
    "TR603": "labels",
    "TR608": "standard",
    "TR604": "rates",
    "TR606": "noise",
    "TR607": "baseline",
    "TR609": "sizes",
}


class Unjudged(Exception):
    """An experiment decides nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured over what, to be drawn."""

    x_label: str
    y_label: str
    x: Sequence[float]
    y: Sequence[float]
    # Values of x worth a line of their own, by name.
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What an experiment measured, in a sentence, and the message of the finding if that is a mistake."""

    measured: str
    problem: str | None = None
    curve: Curve | None = None


class Experiment(ABC):
    """Looks for one mistake. Subclasses set the class attributes and implement `run`."""

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
    message: ClassVar[str] = ""
    severity: ClassVar[Severity] = Severity.WARNING
    default: ClassVar[bool] = True

    @abstractmethod
    def run(self, subject: Subject, clock: Clock) -> Result:
        """Make the experiment, until the clock says that time is up.

        Raises Unjudged if it decides nothing.
        """


def all_experiments() -> dict[str, type[Experiment]]:
    """Every experiment by its code, in the order in which they are made."""
    return in_families(__name__, MODULES.values(), Experiment)
