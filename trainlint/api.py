"""The stable surface for rule writers and plugins.

A rule is a class with a code, a name, a message, and handlers for facts. It holds no state: the engine proves what is
known, the rule asks and reports. `report(node, **fields)` fills the message and returns a draft that takes the places
that explain it (`because`) and a fix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from trainlint.edits import CodeEdit
from trainlint.findings import Safety, Severity
from trainlint.semantics.library import Call
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import Instance, Step, Tensor, Value, const

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

__all__ = [
    "Call",
    "CodeEdit",
    "Draft",
    "Instance",
    "Report",
    "Rule",
    "Safety",
    "Severity",
    "Step",
    "Tensor",
    "Value",
    "const",
    "on",
    "on_call",
]

Handler = TypeVar("Handler", bound=Callable[..., None])


@dataclass
class Draft:
    """A finding in the making: nodes instead of positions."""

    rule: type[Rule]
    space: Namespace
    node: Any
    message: str
    related: list[Step] = field(default_factory=list)
    edits: tuple[CodeEdit, ...] = ()
    fix_message: str = ""
    safety: Safety = Safety.SAFE
    plan: Callable[[Draft], None] | None = None
    explained: bool = False  # whether it is known what led to it, be it only the node itself
    is_pending: bool = False  # whether it depends on what is nowhere in the project
    on_request: bool = False  # whether it is told only where its rule is selected by name

    def because(self, steps: Iterable[Step | None]) -> Draft:
        """Name the places that explain the finding; the first is quoted in the message."""
        for step in steps:
            if step is not None:
                self.explained = True
                if step.node is not self.node:
                    self.related.append(step)
        return self

    def if_selected(self, by_name: bool = True) -> Draft:
        """Tell of it only where the rule is selected by name: what it says is so, but hardly ever does harm."""
        self.on_request = by_name
        return self

    def fix(self, message: str, *edits: CodeEdit, safety: Safety | None = None) -> Draft:
        """Offer a change that mends it, in the words of an order: `call it`. The rule's `fixable` says how safe it is;
        a rule with fixes of both kinds says `Safety.UNSAFE`, and gives the safety of those that are better."""
        self.fix_message, self.edits, self.safety = message, edits, safety or Safety(self.rule.fixable)
        return self

    def repair(self, plan: Callable[[Draft], None]) -> Draft:
        """Have a fix thought out only if the finding is shown: `plan` is called with the draft after the run."""
        self.plan = plan
        return self


class Report:
    """Takes a rule's findings. One place is reported once by a rule, however often the run passes it."""

    def __init__(self, rule: Rule, interp: Interpreter, sink: Callable[[Draft], None]) -> None:
        self.rule = rule
        self.interp = interp
        self.sink = sink

    def space(self) -> Namespace:
        """The file that the run is in."""
        return self.interp.frame.space

    def __call__(self, node: Any, space: Namespace | None = None, **fields: object) -> Draft:
        """Report a node; `space` is its file where that is not the one the run is in, `fields` fill the message."""
        draft = Draft(type(self.rule), space or self.space(), node, self.rule.message.format(**fields))
        self.sink(draft)
        return draft


class Rule:
    """One mistake. Subclasses set the class attributes and write handlers marked with `on_call` or `on`."""

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
    message: ClassVar[str] = ""
    severity: ClassVar[Severity] = Severity.ERROR
    default: ClassVar[bool] = True
    # Whether there are fixes: "" for none, Safety.SAFE, or Safety.UNSAFE if any fix of the rule is unsafe.
    fixable: ClassVar[Safety | str] = ""
    # Whether a finding in one of several alternatives counts only when all alternatives have one.
    exclusive: ClassVar[bool] = False


def on_call(*paths: str) -> Callable[[Handler], Handler]:
    """Call the handler with a `Call` whenever one of these APIs (canonical names) is called."""

    def mark(handler: Handler) -> Handler:
        handler.calls = paths  # type: ignore[attr-defined]
        return handler

    return mark


# What rules can be told of besides calls, and the fact that comes with it; where that is a tuple, its first is a node.
EVENTS = frozenset(
    (
        # Regions, when one ends: a `Region` with its events.
        *("loop", "program", "call", "with", "no_grad", "autocast", "periodic"),
        # Expressions and statements.
        *("add", "subtract", "multiply", "divide", "power", "matrixmultiply"),
        *("comparison", "identity", "statement", "store", "signed", "augmented", "edited", "enter", "nan_compared"),
        # The step. "training_loss", "training_step" and "configured" are what a Lightning module's hooks came to, the
        # last with its trainer's epochs; "returned" is what a function gave back while weights are out that
        # `state_dict` gave.
        *("backward", "stepped", "cleared", "training_loss", "training_step", "configured", "restored", "returned"),
        # Data.
        *("split", "fit", "leak", "dataset", "pair", "learnt", "search", "picked"),
        *("windows", "standardised", "pretrained", "indexed", "fitted", "applied", "varied", "compiled"),
        # A ready-made model of Keras gets other pixels than its weights were learnt on, or is thawed too late.
        *("pixels", "late thaw"),
        # The loaders that an engine trains on, and those it validates on.
        "validated",
        # Shapes: sizes that cannot fit, a model's output, a step taken from a sequence, a recurrent layer.
        *("sizes", "output", "step taken", "recurrent"),
        # Modules: an instance was built, a layer ran (a `Flow`), `forward` was called by name.
        *("built", "layer", "forward"),
        # A use of an API that has changed, and the end of all programs.
        *("use", "project"),
    )
)


def on(*events: str, having: str = "") -> Callable[[Handler], Handler]:
    """Call the handler with the fact of an event, one of `EVENTS`. `having` are kinds of events, separated by spaces: a
    region is told of only if each of them has happened in it.

    Raises ValueError for any other event: nobody would ever call the handler.
    """
    if unknown := [event for event in events if event not in EVENTS]:
        raise ValueError(f"there is no event {', '.join(unknown)}")

    def mark(handler: Handler) -> Handler:
        handler.events = events  # type: ignore[attr-defined]
        handler.having = frozenset(having.split())  # type: ignore[attr-defined]
        return handler

    return mark
