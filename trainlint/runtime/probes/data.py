"""What models are trained and judged on."""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from trainlint.findings import Severity
from trainlint.runtime.events import Batch, LayerCall, Loss, ModelCall
from trainlint.runtime.fingerprints import fingerprints, pairs
from trainlint.runtime.independence import Pairs
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on
from trainlint.runtime.probes.activations import has_matrix

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# What so many observed batches in a row have in common is no chance.
REPEATED = 5
# Samples that are remembered by their fingerprints, so that memory stays bounded.
REMEMBERED = 50_000


def labels_of(batch: Batch) -> torch.Tensor | None:
    """The labels of a batch: one class for each sample; None if they are something else."""
    target = None if batch.loss is None else batch.loss.target
    if target is None or target.is_floating_point() or target.dtype == torch.bool or target.dim() != 1:
        return None
    return target if len(target) == batch.call.batch_size else None


def input_of(call: ModelCall) -> torch.Tensor | None:
    """The data that a model is called with, if that is a batch of numbers."""
    first = call.inputs[0] if call.inputs else None
    if first is None or first.grad_fn is not None:
        return None  # made by another model
    return first if first.is_floating_point() and first.dim() > 1 and first.numel() else None


class NonFiniteInput(Probe):
    """A model or a loss is given NaN or infinity."""

    code, name = "TR101", "non-finite-input"
    message = "{what} hold NaN or infinity, first in sample {sample} of {samples}"

    @on("seen")
    def inputs(self, call: ModelCall) -> None:
        given = input_of(call)
        if given is not None:
            self.measure(given, f"the inputs of `{call.name}`", call.place)

    @on("loss")
    def targets(self, loss: Loss) -> None:
        if loss.target.is_floating_point() and loss.target.dim() and not loss.target.requires_grad:
            self.measure(loss.target, f"the targets of `{loss.name}`", loss.place)

    def measure(self, tensor: torch.Tensor, what: str, place: Place | None) -> None:
        if tensor.requires_grad or not tensor.numel():
            return  # made by another model: what went wrong did so before
        bad = ~tensor.isfinite().reshape(tensor.shape[0], -1).all(1)
        self.later([bad.any(), bad.to(torch.uint8).argmax()], self.read, what, tensor.shape[0], place)

    def read(self, numbers: list[float], what: str, samples: int, place: Place | None) -> None:
        if numbers[0]:
            self.report(place, what=what, sample=int(numbers[1]), samples=samples)


class ConstantInput(Probe):
    """A model is trained on batches of one and the same number."""

    code, name = "TR102", "constant-input"
    message = "all inputs of `{model}` are {value:.4g}, in {batches} batches out of {batches}"

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.constant: dict[str, int] = defaultdict(int)

    @on("batch")
    def measure(self, batch: Batch) -> None:
        given = input_of(batch.call)
        if given is not None and given.numel() > 1 and given.shape[0] > 1:
            self.later(list(torch.aminmax(given.detach().float())), self.read, batch.call.name, batch.call.place)

    def read(self, numbers: list[float], model: str, place: Place | None) -> None:
        low, high = numbers
        self.constant[model] = self.constant[model] + 1 if low == high else -(1 << 30)
        if self.constant[model] == REPEATED:
            self.report(place, model=model, value=low, batches=REPEATED)


class BatchRepeated(Probe):
    """Step after step a model is trained on the same batch, though there are others."""

    code, name = "TR103", "batch-repeated"
    message = "the same batch is used in {steps} steps in a row, although {why}"
    severity = Severity.WARNING

    STEPS = 8

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        # Of each model the last batch, and in how many turns in a row it was that.
        self.last: dict[str, tuple[int, int, int]] = {}

    @on("batch")
    def measure(self, batch: Batch) -> None:
        given = batch.call.inputs[0]
        if given.dim() < 2 or given.shape[0] < 2 or given.is_complex():
            return
        why = self.others(batch.call, given)
        self.later([fingerprints(given)], self.read, batch.call.name, batch.call.place, self.run.turn, why)

    def others(self, call: ModelCall, given: torch.Tensor) -> str:
        """How we know that there are other data; "" if we do not: training on all data at once is no mistake."""
        loading = call.loading
        if loading is not None and loading.batches and loading.batches > 1 and loading.batch_size == given.shape[0]:
            return f"the loader has {loading.batches}"
        if given._base is not None and given._base.numel() > given.numel() and given._base.dim() == given.dim():
            return f"it is {given.shape[0]} of {given._base.shape[0]} samples"
        return ""

    def read(self, numbers: list[float], model: str, place: Place | None, turn: int, why: str) -> None:
        mark = hash(tuple(numbers))
        last, times, when = self.last.get(model, (0, 0, -1))
        if turn == when:
            return  # several calls in one turn
        times = times + 1 if mark == last and turn == when + 1 else 1
        self.last[model] = (mark, times, turn)
        if times == self.STEPS and why:
            self.report(place, steps=times, why=why)


@dataclass
class Labels:
    """What was seen of the labels at one place."""

    singles: list[int] = field(default_factory=list)
    is_mixed: bool = False
    ordered: int = 0
    last: int = 0


class LabelProbe(Probe, ABC):
    """Measures the labels of each observed batch: least, greatest, whether they ascend, and a fingerprint."""

    # In smaller batches chance gives order.
    LEAST = 16

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.labels: dict[object, Labels] = defaultdict(Labels)

    @on("batch")
    def measure(self, batch: Batch) -> None:
        labels = labels_of(batch)
        if labels is None or len(labels) < self.LEAST or batch.loss is None:
            return
        labels = labels.detach()
        ascends = (labels[1:] >= labels[:-1]).all()
        numbers = [labels.amin(), labels.amax(), ascends, fingerprints(labels[None])]
        self.later(numbers, self.read, batch.loss.place)

    @abstractmethod
    def read(self, numbers: list[float], place: Place | None) -> None:
        """Take what was measured of a batch."""


class SingleLabelBatch(LabelProbe):
    """Each batch holds samples of one class only."""

    code, name = "TR105", "single-label-batch"
    message = "{batches} batches hold a single class each, and not always the same: data are in order of class"

    def read(self, numbers: list[float], place: Place | None) -> None:
        low, high, ascends, *_ = numbers
        seen = self.labels[place and place.start]
        if low != high:
            seen.is_mixed |= not ascends  # where one class ends and the next begins, a batch has both, in order
        elif len(seen.singles) < 1000:
            seen.singles.append(int(low))
        changes = sum(a != b for a, b in pairwise(seen.singles))
        # Labels that a program makes up itself, as for real and generated samples, alternate.
        if not seen.is_mixed and len(seen.singles) >= REPEATED and 0 < changes < len(seen.singles) / 2:
            self.report(place, batches=len(seen.singles))


class LabelOrder(LabelProbe):
    """The labels of each batch are sorted."""

    code, name = "TR106", "label-order"
    message = "the labels of {batches} batches in a row are sorted, so each step sees only neighbours in that order"
    severity = Severity.WARNING

    def read(self, numbers: list[float], place: Place | None) -> None:
        low, high, ascends, *mark = numbers
        seen = self.labels[place and place.start]
        own = hash(tuple(mark))
        if own == seen.last or not ascends:
            seen.ordered = 0  # the same labels each time are made up by the program, as in contrastive learning
        elif low != high:
            seen.ordered += 1
        seen.last = own
        if seen.ordered == REPEATED:
            self.report(place, batches=REPEATED)


class InputScale(Probe):
    """Inputs reach the first layer on a scale that its initial weights are not made for."""

    code, name = "TR109", "input-scale"
    message = "the inputs of `{layer}` have mean {mean:.3g} and standard deviation {std:.3g}, far from standardised"
    severity = Severity.WARNING

    # Pixels from 0 to 255 have a standard deviation of about 70; ten is far from both that and one.
    STD = 10.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.first: set[str] = set()
        self.seen: dict[str, int] = defaultdict(int)

    @on("layer")
    def measure(self, call: LayerCall) -> None:
        if not (has_matrix(call.module) and call.training and call.recording):
            return
        given = call.inputs[0] if call.inputs else None
        if given is None or given.requires_grad or not given.is_floating_point() or given.numel() < 64:
            return  # not the first layer
        if not isinstance(call.module, _BatchNorm) and given.dim() > 1:
            std, mean = torch.std_mean(given.detach().float())
            self.later([std, mean], self.read, call.name, call.place)

    def read(self, numbers: list[float], layer: str, place: Place | None) -> None:
        std, mean = numbers
        self.seen[layer] = self.seen[layer] + 1 if std > self.STD else -(1 << 30)
        if self.seen[layer] == REPEATED:
            self.report(place, layer=layer, mean=mean, std=std)


class TrainEvalShift(Probe):
    """Inputs of the evaluation are scaled otherwise than those of the training."""

    code, name = "TR110", "train-eval-shift"
    message = (
        "inputs have mean {mean:.3g} and standard deviation {std:.3g} here, but {train_mean:.3g} and {train_std:.3g} "
        "in training"
    )
    severity = Severity.WARNING

    # Between parts of one data set batches differ by far less; a normalisation left out makes far more.
    SHIFT, RATIO = 1.0, 2.0

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.trained: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self.judged: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self.places: dict[int, Place | None] = {}

    @on("batch")
    def train(self, batch: Batch) -> None:
        self.measure(batch.call, self.trained)

    @on("seen")
    def judge(self, call: ModelCall) -> None:
        if not call.training and not call.recording:
            self.places.setdefault(call.key, call.place)
            self.measure(call, self.judged)

    def measure(self, call: ModelCall, into: dict[int, list[tuple[float, float]]]) -> None:
        given = input_of(call)
        if given is not None and given.shape[0] >= 8 and not given.requires_grad and len(into[call.key]) < 200:
            std, mean = torch.std_mean(given.detach().float())
            self.later([std, mean], self.read, into[call.key])

    def read(self, numbers: list[float], into: list[tuple[float, float]]) -> None:
        std, mean = numbers
        into.append((std, mean))

    @on("finished")
    def check(self, _: None) -> None:
        for model, judged in self.judged.items():
            trained = self.trained[model]
            if len(trained) < REPEATED or len(judged) < 2:
                continue
            train_std, train_mean = (statistics.median(column) for column in zip(*trained, strict=True))
            if train_std > 0 and all(self.is_off(std, mean, train_std, train_mean) for std, mean in judged):
                std, mean = (statistics.median(column) for column in zip(*judged, strict=True))
                place = self.places[model]
                self.report(place, mean=mean, std=std, train_mean=train_mean, train_std=train_std)

    def is_off(self, std: float, mean: float, train_std: float, train_mean: float) -> bool:
        ratio = max(std, 1e-12) / train_std
        return abs(mean - train_mean) > self.SHIFT * train_std or not 1 / self.RATIO < ratio < self.RATIO


class TrainEvalOverlap(Probe):
    """A data set that the model is judged on holds samples that it is trained on."""

    code, name = "TR111", "train-eval-overlap"
    message = "{share:.0%} of the samples evaluated here are among the few training samples that were looked at"
    severity = Severity.WARNING

    SHARE, LEAST = 0.1, 16

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.trained: set[int] = set()
        self.judged: dict[int, dict[int, None]] = defaultdict(dict)
        self.trained_on: set[int] = set()
        self.places: dict[int, Place | None] = {}

    @on("batch")
    def train(self, batch: Batch) -> None:
        if batch.call.loading is not None:
            self.trained_on.add(batch.call.loading.dataset)
        given = input_of(batch.call)
        if given is not None and len(self.trained) < REMEMBERED:
            self.later([fingerprints(given)], lambda numbers: self.trained.update(pairs(numbers)))

    @on("seen")
    def judge(self, call: ModelCall) -> None:
        given = input_of(call)
        if call.training or call.recording or call.loading is None or given is None:
            return
        known = self.judged[call.loading.dataset]
        self.places.setdefault(call.loading.dataset, call.place)
        if len(known) < REMEMBERED:
            self.later([fingerprints(given)], lambda numbers: known.update(dict.fromkeys(pairs(numbers))))

    @on("finished")
    def check(self, _: None) -> None:
        for dataset, samples in self.judged.items():
            shared = sum(sample in self.trained for sample in samples)
            # The accuracy on the training data themselves is a thing to know.
            if dataset not in self.trained_on and shared >= max(self.LEAST, self.SHARE * len(samples)):
                self.report(self.places[dataset], share=shared / len(samples))


class ContradictingLabels(Probe):
    """The same sample comes with other labels than before."""

    code, name = "TR113", "contradicting-labels"
    message = "{share:.0%} of {count} samples that came again had another label than before: the pairs are broken"

    SHARE, LEAST = 0.3, 32

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.known: dict[int, int] = {}
        self.again = self.other = 0
        self.last: list[float] = []

    @on("batch")
    def measure(self, batch: Batch) -> None:
        labels, given = labels_of(batch), input_of(batch.call)
        if labels is None or given is None or given[0].numel() < 4 or batch.loss is None:
            return
        if batch.loss.options.get("reduction", "mean") == "mean":
            self.later([fingerprints(given), labels], self.read, len(labels), batch.call.place)

    def read(self, numbers: list[float], count: int, place: Place | None) -> None:
        marks, labels = pairs(numbers[: 2 * count]), numbers[2 * count :]
        # Labels that number the samples of each batch are made by the program, as in contrastive learning; and samples
        # of which a batch has several equal ones cannot be told apart.
        is_made = labels == self.last or len(set(labels)) == count
        self.last = labels
        if is_made or len(set(marks)) < 0.9 * count:
            return
        for mark, label in zip(marks, labels, strict=True):
            before = self.known.get(mark)
            if before is not None:
                self.again += 1
                self.other += before != label
            elif len(self.known) < REMEMBERED:
                self.known[mark] = int(label)
        if self.again >= self.LEAST and self.other >= self.SHARE * self.again:
            self.report(place, share=self.other / self.again, count=self.again)


class InputLabelIndependence(Probe):
    """Neither the model nor a test of independence finds labels and inputs related."""

    code, name = "TR114", "input-label-independence"
    message = (
        "labels and inputs look unrelated: a permutation test on {samples} samples gives p = {p:.2f}, and the model "
        "fits a new sample's label no better than another's"
    )
    severity = Severity.WARNING

    # A test at this level finds related data unrelated only where the relation is far from the raw numbers; what the
    # model finds counts as well.
    LEVEL, Z = 0.05, 3.0
    TURNS = 30

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.pairs: dict[str, Pairs] = defaultdict(Pairs)
        self.places: dict[str, Place | None] = {}
        self.seen: dict[str, set[int]] = defaultdict(set)
        # The advantage of each sample's own label over another's, on samples not seen before.
        self.gains: dict[str, list[float]] = defaultdict(list)

    @on("batch")
    def measure(self, batch: Batch) -> None:
        given, loss = input_of(batch.call), batch.loss
        if given is None or loss is None or given.requires_grad or loss.options.get("reduction", "mean") != "mean":
            return  # a loss of single samples is weighted: what is learnt is not the labels
        if not Pairs.accepts(loss.target, len(given)):
            return
        self.places.setdefault(batch.call.name, loss.place)
        self.pairs[batch.call.name].add(given, loss.target)
        self.compare(loss, given, batch.call.name)

    @on("loss")
    def judged(self, loss: Loss) -> None:
        call = loss.call
        given = None if call is None else input_of(call)
        if not loss.recording and call is not None and given is not None and Pairs.accepts(loss.target, len(given)):
            self.compare(loss, given, call.name)

    def compare(self, loss: Loss, given: torch.Tensor, model: str) -> None:
        gain = gains(loss)
        if gain is not None and len(gain) == len(given) and len(self.gains[model]) < REMEMBERED:
            self.later([fingerprints(given), gain], self.read, len(gain), model)

    def read(self, numbers: list[float], count: int, model: str) -> None:
        seen = self.seen[model]
        for mark, gain in zip(pairs(numbers[: 2 * count]), numbers[2 * count :], strict=True):
            if mark not in seen and math.isfinite(gain):
                seen.add(mark)
                self.gains[model].append(gain)

    @on("finished")
    def check(self, _: None) -> None:
        if self.run.turn < self.TURNS:
            return
        for model, kept in self.pairs.items():
            gained = self.gains[model]
            if not kept.is_enough or len(gained) < 2:
                continue
            spread = statistics.stdev(gained) / len(gained) ** 0.5
            if spread and statistics.fmean(gained) < self.Z * spread:
                p = kept.independence()
                if p > self.LEVEL:
                    self.report(self.places[model], samples=len(kept), p=p)


def gains(loss: Loss) -> torch.Tensor | None:
    """By how much each sample's loss would rise with the label of its neighbour; None for losses without classes."""
    scores, target = loss.input.detach().float(), loss.target.detach()
    if loss.name == "cross_entropy" and scores.dim() == 2 and target.dim() == 1:
        logs = torch.log_softmax(scores, 1)
        own = target.clamp(0, scores.shape[1] - 1)[:, None]
        return (logs.gather(1, own) - logs.gather(1, own.roll(1, 0)))[:, 0]
    if scores.shape == target.shape and scores.numel() == scores.shape[0]:
        flat, own = scores.reshape(-1), target.float().reshape(-1)
        if loss.name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            return (flat - own.roll(1)) ** 2 - (flat - own) ** 2
        if loss.name.startswith("binary_cross_entropy"):
            return flat * (own - own.roll(1))
    return None
