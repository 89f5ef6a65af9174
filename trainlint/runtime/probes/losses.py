"""Losses, and what they are given."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import Backward, Changes, Loss, maker_of
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# So many losses in a row must look the same before it counts as what they are.
REPEATED = 3
# How far a sum of rounded probabilities may be from one, by the precision they are computed in.
ROUNDING = {torch.float16: 1e-2, torch.bfloat16: 5e-2, torch.float32: 1e-4, torch.float64: 1e-6}


def class_axis(scores: torch.Tensor) -> int:
    """The axis of the classes, as cross entropy takes it."""
    return 1 if scores.dim() > 1 else 0


class LossInputKind(Probe):
    """A loss is given another kind of scores than it expects, judged by their values."""

    code, name = "TR202", "loss-input-kind"
    message = "`{loss}` gets {kind}; {consequence}"

    MEANINGS: ClassVar = {
        "cross_entropy": (
            "probabilities: every row is positive and sums to one",
            "it applies log-softmax itself, so gradients flatten",
        ),
        "binary_cross_entropy_with_logits": (
            "probabilities: all values lie between 0 and 1",
            "it applies the sigmoid itself, so no prediction can fall below one half",
        ),
        "nll_loss": ("positive scores instead of log-probabilities", "it has no minimum"),
        "kl_div": ("positive values instead of log-probabilities", "it is no divergence"),
    }

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        # For each place, how many losses in a row looked wrong.
        self.suspicious: dict[Any, int] = defaultdict(int)

    @on("loss")
    def measure(self, loss: Loss) -> None:
        scores = loss.input
        if not loss.recording or loss.name not in self.MEANINGS or not scores.is_floating_point() or not scores.numel():
            return
        test = getattr(self, loss.name)(scores)
        if test is not None:
            self.later(test, self.read, loss.name, loss.place)

    # Each says whether the scores look wrong, and whether they cannot be: in between, a look shows nothing.

    def cross_entropy(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        axis = class_axis(scores)
        if scores.shape[axis] < 2:
            return None
        off = (scores.sum(axis) - 1).abs().amax()
        wrong = (scores.amin() >= 0) & (off < ROUNDING.get(scores.dtype, 1e-4) * math.sqrt(scores.shape[axis]))
        return wrong, ~wrong

    def binary_cross_entropy_with_logits(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        low, high = torch.aminmax(scores)
        node = maker_of(scores)
        right = (low < 0) | (high > 1)
        if node is not None and node.name().startswith(("Sigmoid", "Softmax")):
            return (low >= 0) & (high <= 1), right
        # Scores of an untrained model may all lie between 0 and 1 by chance, but not at both ends.
        wrong = (low >= 0) & (low < 0.1) & (high > 0.9) & (high <= 1)
        return (wrong, right) if scores.numel() >= 64 else None

    def nll_loss(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rounding = ROUNDING.get(scores.dtype, 1e-4)
        total = torch.logsumexp(scores, class_axis(scores)).abs().amax()
        return scores.amax() > rounding, total < rounding * math.sqrt(scores.shape[class_axis(scores)])

    def kl_div(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wrong = scores.amax() > ROUNDING.get(scores.dtype, 1e-4)
        return wrong, torch.zeros_like(wrong)

    def read(self, numbers: list[float], loss: str, place: Place | None) -> None:
        wrong, right = numbers
        if wrong or right:
            self.saw(place, bool(right), loss=loss)
        key = (loss, place and place.start)
        self.suspicious[key] = self.suspicious[key] + 1 if wrong else 0
        if self.suspicious[key] == REPEATED:
            kind, consequence = self.MEANINGS[loss]
            self.report(place, loss=loss, kind=kind, consequence=consequence)


class LossBroadcast(Probe):
    """Predictions and targets have shapes that broadcast against each other."""

    code, name = "TR205", "loss-broadcast"
    message = "predictions of shape {input} meet targets of shape {target}: each is compared with all the others"

    @on("loss")
    def given(self, loss: Loss) -> None:
        if loss.name not in ("cross_entropy", "nll_loss"):  # which compare scores of classes with a class
            self.compare(loss.input.shape, loss.target.shape, loss.place)

    def compare(self, scores: torch.Size, target: torch.Size, place: Place | None) -> None:
        try:
            together: torch.Size = torch.broadcast_shapes(scores, target)  # type: ignore[no-untyped-call]
        except RuntimeError:
            return
        if together.numel() > max(scores.numel(), target.numel()):
            self.report(place, input=tuple(scores), target=tuple(target))
        else:
            self.saw(place, scores == target)

    @on("backward")
    def by_hand(self, backward: Backward) -> None:
        """A model's output itself, subtracted from something that takes it to more dimensions or elements."""
        outputs = {o.grad_fn: o for call in backward.calls for o in call.outputs if o.grad_fn is not None}
        for node in backward.graph.nodes:
            if node.name() not in ("SubBackward0", "RsubBackward1"):
                continue
            children = [child for child, _ in node.next_functions]
            output = next((outputs[child] for child in children if child in outputs), None)
            if output is None or sum(child is not None for child in children) != 1:
                continue
            shape = torch.Size(node._input_metadata[0].shape)
            if self.is_outer(output.shape, shape):
                other = shape[1:] if output.shape[-1:] == (1,) else (*shape[:-1], 1)
                self.report(backward.place, input=tuple(output.shape), target=tuple(other))

    def is_outer(self, output: torch.Size, result: torch.Size) -> bool:
        """Whether one number for each of n samples has become n times n numbers."""
        count = output.numel()
        return count > 1 and output[0] == count and tuple(result) == (count, count)


class NonFiniteLoss(Probe):
    """The loss is infinite or NaN."""

    code, name = "TR204", "non-finite-loss"
    message = "the loss is {value} in step {step}{origin}"

    # The depth to which the operations are searched for the one that began it.
    LIMIT = 2_000

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.found = False

    @on("backward")
    def measure(self, backward: Backward) -> None:
        loss = backward.loss.detach()
        if self.found or loss.numel() != 1 or not loss.is_floating_point():
            return
        step = self.run.turn + 1
        if loss.device.type != "cpu":
            self.later([loss], self.read, backward.place, step, "")
        elif not math.isfinite(loss.item()):  # nothing to wait for
            self.read([loss.item()], backward.place, step, origin(backward))

    def read(self, numbers: list[float], place: Place | None, step: int, told: str) -> None:
        if not self.found and not math.isfinite(numbers[0]):
            self.found = True
            self.report(place, value="NaN" if math.isnan(numbers[0]) else "infinite", step=step, origin=told)


def origin(backward: Backward) -> str:
    """In words, the operation whose saved inputs are finite and whose output is not; "" if the graph does not tell."""
    graph = backward.graph
    bad = [node for node in graph.nodes if _saved_state(node) == (True, False)]
    if not bad:
        bad = [node for node in graph.nodes if _is_singular(node)]
    if not bad:
        return ""
    deepest = min(bad, key=lambda node: len(_below(node)))
    return f": the first operation to blame is {deepest.name().removesuffix('0').removesuffix('Backward').lower()}"


def _saved(node: Any, names: tuple[str, ...]) -> list[torch.Tensor]:
    found = []
    for name in names:
        try:
            value = getattr(node, f"_saved_{name}", None)
        except RuntimeError:  # freed already
            continue
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            found.append(value.detach())
    return found


def _saved_state(node: Any) -> tuple[bool, bool] | None:
    """Whether the inputs and the output that a node has saved are finite; None if it has not saved both."""
    inputs, outputs = _saved(node, ("self", "other", "mat1", "mat2", "input")), _saved(node, ("result",))
    if not inputs or not outputs:
        return None
    return all(bool(t.isfinite().all()) for t in inputs), all(bool(t.isfinite().all()) for t in outputs)


def _is_singular(node: Any) -> bool:
    """Whether an operation that saves its input only was given a value that it has no finite result for."""
    name = node.name()
    if name.startswith("LogBackward"):
        return any(bool((t <= 0).any()) and bool(t.isfinite().all()) for t in _saved(node, ("self",)))
    if name.startswith("DivBackward"):
        return any(bool((t == 0).any()) for t in _saved(node, ("other",)))
    return False


def _below(node: Any) -> set[Any]:
    seen = {node}
    waiting = [node]
    while waiting and len(seen) < NonFiniteLoss.LIMIT:
        for child, _ in waiting.pop().next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
    return seen


class LossOffChance(Probe):
    """Before anything is learnt the loss is far above that of guessing."""

    code, name = "TR201", "loss-off-chance"
    message = "the first loss is {loss:.3g} where guessing among {classes} classes gives {chance:.3g}"
    severity = Severity.WARNING

    # Twice the chance level, and a nat above it: scores of a spread that no initialisation is meant to give.
    FACTOR, MARGIN = 2.0, 1.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.seen: set[Any] = set()

    @on("loss")
    def first(self, loss: Loss) -> None:
        if (
            self.run.turn
            or not loss.recording
            or loss.name not in ("cross_entropy", "binary_cross_entropy_with_logits")
        ):
            return
        key = loss.place and loss.place.start
        options = loss.options
        if key in self.seen or options.get("weight") is not None or options.get("pos_weight") is not None:
            return
        if options.get("reduction", "mean") != "mean" or loss.value.numel() != 1 or loss.target.numel() < 8:
            return
        self.seen.add(key)
        classes = 2 if loss.name.startswith("binary") else loss.input.shape[class_axis(loss.input)]
        self.later([loss.value], self.read, classes, loss.place)

    def read(self, numbers: list[float], classes: int, place: Place | None) -> None:
        chance = math.log(classes)
        if math.isfinite(numbers[0]) and numbers[0] > max(self.FACTOR * chance, chance + self.MARGIN):
            self.report(place, loss=numbers[0], classes=classes, chance=chance)


class LossIgnoresOutput(Probe):
    """Every gradient is exactly zero."""

    code, name = "TR203", "loss-ignores-output"
    message = "every gradient is exactly zero in {steps} steps: the loss does not depend on what is trained"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.zero: dict[int, int] = defaultdict(int)

    @on("changes")
    def check(self, changes: Changes) -> None:
        if all(row.gradient == 0 for row in changes.rows):
            self.zero[changes.optimizer] += 1
            if self.zero[changes.optimizer] == REPEATED:
                self.report(changes.place, steps=REPEATED)
        else:
            self.zero[changes.optimizer] = -(1 << 30)  # it does


class TargetRange(Probe):
    """Targets of a binary cross entropy are no probabilities."""

    code, name = "TR104", "label-out-of-range"
    message = "`{loss}` gets targets from {low:.4g} to {high:.4g}; beyond 0 and 1 it has no minimum"

    @on("loss")
    def measure(self, loss: Loss) -> None:
        if loss.recording and loss.name.startswith("binary_cross_entropy") and loss.target.numel():
            low, high = torch.aminmax(loss.target.detach().float())
            self.later([low, high], self.read, loss.name, loss.place)

    def read(self, numbers: list[float], loss: str, place: Place | None) -> None:
        low, high = numbers
        if low < 0 or high > 1:
            self.report(place, loss=loss, low=low, high=high)
