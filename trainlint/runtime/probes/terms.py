"""Losses that are sums, and what their terms contribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations, islice, permutations
from typing import TYPE_CHECKING, Any

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import Backward, Graph, Loss
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Losses that compare predictions with what is right. Penalties may well be small.
TASKS = frozenset(
    (
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "huber_loss",
        "l1_loss",
        "mse_loss",
        "nll_loss",
        "smooth_l1_loss",
    )
)
# More terms than that, or more places where two meet, are not measured.
TERMS, MEETINGS = 4, 64


@dataclass
class Term:
    """A loss in a sum, and the norms of the gradients that it sends to what it shares with the other terms."""

    name: str
    place: Place | None
    # The parameters of the models that it alone uses.
    parameters: list[int]
    norms: list[torch.Tensor] = field(default_factory=list)

    def listen(self, edges: Sequence[int]) -> Callable[[Any, Any], None]:
        """A hook of an operation that notes the gradients it passes to these of its inputs."""

        def note(inputs: Sequence[torch.Tensor | None], _: Any) -> None:
            with suppress(Exception), torch.no_grad():  # the run matters more than what is said of it
                gradients = [gradient for edge in edges if (gradient := inputs[edge]) is not None]
                self.norms += [torch.linalg.vector_norm(gradient.float()) for gradient in gradients]

        return note


class LossTermsUnbalanced(Probe):
    """One term of a loss drowns another."""

    code, name = "TR206", "loss-terms-unbalanced"
    message = (
        "the gradient of `{other}` is {ratio:.0e} times that of `{loss}` in {steps} steps out of {steps}, so what this "
        "term asks for is hardly learnt"
    )
    severity = Severity.WARNING

    RATIO, STEPS = 100.0, 10

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.terms: list[Term] = []
        self.hooks: list[Any] = []
        # By the places of a small term and of the large one: their names, and the ratio in each observed step.
        self.ratios: dict[tuple[Place | None, Place | None], tuple[str, str, list[float]]] = {}
        # Those between which the ratio was less once.
        self.balanced: set[tuple[Place | None, Place | None]] = set()

    @on("backward")
    def begin(self, backward: Backward) -> None:
        self.leave()
        losses = [loss for loss in backward.losses if loss.name in TASKS]
        if not 2 <= len(losses) == len(backward.losses) <= TERMS:
            return
        graphs = [Graph.behind(loss.value) for loss in losses]
        shared = set.intersection(*(graph.nodes for graph in graphs))
        # What shares nothing but parameters are several calls of a model, not several terms for one output.
        if not all(graph.is_whole for graph in graphs) or all(hasattr(node, "variable") for node in shared):
            return
        own = [graph.nodes - shared for graph in graphs]
        if any(first & second for first, second in combinations(own, 2)):
            return
        self.terms = [self.term(loss, nodes, backward) for loss, nodes in zip(losses, own, strict=True)]
        meetings = [(term, node) for term, nodes in zip(self.terms, own, strict=True) for node in nodes]
        for term, node in meetings:
            edges = [edge for edge, (child, _) in enumerate(node.next_functions) if child in shared]
            if edges and len(self.hooks) < MEETINGS:
                self.hooks.append(node.register_hook(term.listen(edges)))

    def term(self, loss: Loss, nodes: set[Any], backward: Backward) -> Term:
        calls = [call for call in backward.calls if any(output.grad_fn in nodes for output in call.outputs)]
        return Term(loss.name, loss.place, [id(p) for call in calls for p in call.model.parameters()])

    def leave(self) -> list[Term]:
        """Listen no more; what was heard."""
        for hook in self.hooks:
            hook.remove()
        terms, self.terms, self.hooks = self.terms, [], []
        return terms if all(term.norms for term in terms) else []

    @on("stepping")
    def end(self, optimizer: torch.optim.Optimizer) -> None:
        terms = self.leave()
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        # A loss behind a model that is not trained with this one, such as a critic, has a scale of its own.
        if terms and all(held.issuperset(term.parameters) for term in terms):
            norms = [norm for term in terms for norm in term.norms]
            self.later(norms, self.read, [(term.name, term.place, len(term.norms)) for term in terms])

    def read(self, numbers: list[float], terms: list[tuple[str, Place | None, int]]) -> None:
        rest = iter(numbers)
        sized = [(math.hypot(*islice(rest, count)), name, place) for name, place, count in terms]
        for (size, name, place), (other, other_name, other_place) in permutations(sized, 2):
            key = (place, other_place)
            if size > 0 and self.RATIO * size < other < math.inf:
                self.ratios.setdefault(key, (name, other_name, []))[2].append(other / size)
            else:
                self.balanced.add(key)

    @on("finished")
    def check(self, _: None) -> None:
        self.leave()
        for key, (name, other, ratios) in self.ratios.items():
            if len(ratios) >= self.STEPS and key not in self.balanced:
                self.report(key[0], loss=name, other=other, ratio=min(ratios), steps=len(ratios))
