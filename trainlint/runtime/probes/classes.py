"""How many samples there are of each class, and what models make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from trainlint.findings import Severity
from trainlint.runtime.events import Batch, Loss
from trainlint.runtime.initial import are_initial
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# With more classes, that one crowds out all others is not what is wrong.
CLASSES = 256


def decisions(loss: Loss) -> tuple[torch.Tensor, torch.Tensor, int] | None:
    """The label and the predicted class of each sample, and how many classes there are; None unless a loss compares
    scores with one class for each sample."""
    scores, target = loss.input.detach(), loss.target.detach()
    if loss.name in ("cross_entropy", "nll_loss"):
        is_one_each = scores.dim() == 2 and target.dim() == 1 and not target.is_floating_point()
        return (target, scores.argmax(1), scores.shape[1]) if is_one_each else None
    if loss.name.startswith("binary_cross_entropy") and scores.shape == target.shape and scores.dim():
        middle = 0.0 if loss.name.endswith("logits") else 0.5
        is_one_each = scores.numel() == scores.shape[0]
        return ((target.reshape(-1) > 0.5).long(), (scores.reshape(-1) > middle).long(), 2) if is_one_each else None
    return None


def counts(classes: torch.Tensor, number: int) -> torch.Tensor:
    """How often each class occurs; shape (number,). Unlike `bincount`, it does not wait for the device."""
    return (classes[:, None] == torch.arange(number, device=classes.device)).sum(0)


@dataclass
class Decided:
    """What was counted of a model's decisions, by class."""

    name: str
    place: Place | None
    labels: list[float]
    predictions: list[float]
    batches: int = 0


class ClassImbalance(Probe):
    """One class is so frequent that a model predicts nothing else."""

    code, name = "TR107", "class-imbalance"
    message = (
        "{share:.0%} of the labels are class {label}, and `{model}` predicts nothing else: it misses all {missed} "
        "samples of other classes in {batches} batches"
    )
    severity = Severity.WARNING

    SHARE, LEAST = 0.8, 10
    # Before that, an untrained model may favour one class by chance.
    TURNS = 50

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.decided: dict[int, Decided] = {}

    @on("loss")
    def measure(self, loss: Loss) -> None:
        call, options = loss.call, loss.options
        if self.run.turn < self.TURNS or call is None or options.get("reduction", "mean") != "mean":
            return
        if options.get("weight") is not None or options.get("pos_weight") is not None:
            return  # somebody knows
        found = decisions(loss)
        if found is not None and len(found[0]) == call.batch_size and 1 < found[2] <= CLASSES:
            labels, predictions, number = found
            known = self.decided.setdefault(call.key, Decided(call.name, loss.place, [0] * number, [0] * number))
            self.later([counts(labels, number), counts(predictions, number)], self.read, known, number)

    def read(self, numbers: list[float], known: Decided, number: int) -> None:
        if len(known.labels) == number:
            known.labels = [a + b for a, b in zip(known.labels, numbers[:number], strict=True)]
            known.predictions = [a + b for a, b in zip(known.predictions, numbers[number:], strict=True)]
            known.batches += 1

    @on("finished")
    def check(self, _: None) -> None:
        for known in self.decided.values():
            total, most = sum(known.labels), max(known.labels)
            label = known.labels.index(most)
            missed = total - most
            is_alone = known.predictions[label] == sum(known.predictions)
            if is_alone and missed >= self.LEAST and most >= self.SHARE * total:
                self.report(
                    known.place,
                    share=most / total,
                    label=label,
                    model=known.name,
                    missed=int(missed),
                    batches=known.batches,
                )


class FewExamples(Probe):
    """A model that begins with random weights has few samples for its classes and its parameters."""

    code, name = "TR108", "few-examples"
    message = (
        "there are at most {samples} samples for {classes} classes and {parameters} parameters that begin at random: "
        "{each} a class, where {least} are the rule of thumb"
    )
    severity = Severity.INFO
    default = False

    LEAST = 1000

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.known: set[int] = set()

    @on("batch")
    def measure(self, batch: Batch) -> None:
        call, loss = batch.call, batch.loss
        found = None if loss is None else decisions(loss)
        if found is None or call.key in self.known or call.loading is None:
            return
        self.known.add(call.key)
        samples = (call.loading.batches or 0) * (call.loading.batch_size or 0)
        parameters = [parameter for parameter in call.model.parameters() if parameter.requires_grad]
        number = sum(parameter.numel() for parameter in parameters)
        # Once for each model, this waits for the device.
        if 0 < samples < min(number, self.LEAST * found[2]) and are_initial(parameters):
            self.report(
                call.place,
                samples=samples,
                classes=found[2],
                parameters=number,
                each=samples // found[2],
                least=self.LEAST,
            )
