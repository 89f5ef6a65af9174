"""The probes, by families. A new probe is a class in a module of its family and a page in `rules/`.

A probe handles what a run tells (`on`), asks for numbers of tensors (`later`), and reports. Its state is its own, and
bounded. It must not change what it is given, draw random numbers, or wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from trainlint.coded import in_families
from trainlint.findings import Severity
from trainlint.runtime.places import Place

if TYPE_CHECKING:
    import torch

    from trainlint.runtime.monitor import Monitor

FAMILIES = (
    "data",
    "classes",
    "images",
    "evaluation",
    "losses",
    "terms",
    "activations",
    "gradients",
    "parameters",
    "weights",
    "modes",
    "norms",
    "ranks",
)

# What probes can be told of, and what comes with it (see `events`).
EVENTS = frozenset(
    (
        "loaded",  # Loaded: one of the first batches of a pass over a data set; observed or not
        "called",  # ModelCall: a model returned; of every call, observed or not
        "seen",  # ModelCall: the same, if there are tensors to look at
        "layer",  # LayerCall: a module in a model returned
        "loss",  # Loss
        "objective",  # the tensor that a backward pass begins at; of every pass, observed or not
        "backward",  # Backward
        "batch",  # Batch: that which is being trained on
        "clipped",  # Clipped: norms of gradients were limited
        "stepping",  # the optimizer, before it changes anything
        "stepped",  # Stepped: of every step, observed or not
        "changes",  # Changes: norms of parameters, gradients and updates of an observed step
        "review",  # None: all numbers so far have been read; the last one comes before "finished"
        "finished",  # None: the run is over; models and optimizers may be gone
    )
)

Handler = TypeVar("Handler", bound=Callable[..., None])


def on(*events: str) -> Callable[[Handler], Handler]:
    """Call the handler with each event of these kinds.

    Raises ValueError for a kind that there is not.
    """
    if unknown := [event for event in events if event not in EVENTS]:
        raise ValueError(f"there is no event {', '.join(unknown)}")

    def mark(handler: Handler) -> Handler:
        handler.events = events  # type: ignore[attr-defined]
        return handler

    return mark


class Probe:
    """Looks for one mistake. Subclasses set the class attributes and write handlers marked with `on`."""

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
    message: ClassVar[str] = ""
    severity: ClassVar[Severity] = Severity.ERROR
    default: ClassVar[bool] = True

    def __init__(self, run: Monitor) -> None:
        self.run = run

    def handlers(self) -> Iterator[tuple[str, Callable[[Any], None]]]:
        """Each event that it handles, and with what."""
        for name in dir(type(self)):
            for event in getattr(getattr(type(self), name), "events", ()):
                yield event, getattr(self, name)

    def later(self, tensors: Sequence[torch.Tensor], read: Callable[..., None], *context: Any) -> None:
        """Have `read(numbers, *context)` called with the numbers in these tensors at the next transfer."""
        self.run.later(self, tensors, lambda numbers: read(numbers, *context))

    def report(self, place: Place | None, **fields: object) -> None:
        """Report a place of the user's code; `fields` fill the message. What was reported there before counts."""
        self.run.report(self, place, self.message.format(**fields), fields)

    def saw(self, place: Place | None, is_well: bool, **fields: object) -> None:
        """Note what one look at a place showed: the mistake, or surely none. Only a place where all looks showed none
        refutes what the source seems to say; `fields` are those of the message."""
        if place is not None:
            self.run.saw(self, place, is_well, fields)


def all_probes() -> dict[str, type[Probe]]:
    """Every probe class by its code, in order of the codes."""
    return dict(sorted(in_families(__name__, FAMILIES, Probe).items()))
