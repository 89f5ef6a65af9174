"""What models are judged on, from one evaluation to the next."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from trainlint.findings import Severity
from trainlint.runtime.events import Batch, Loaded, ModelCall
from trainlint.runtime.fingerprints import fingerprints, pairs
from trainlint.runtime.places import Place
from trainlint.runtime.probes import Probe, on

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor

# Passes over the data after which their samples have changed each time.
REPEATED = 2


class EvaluationChanges(Probe):
    """The samples that a model is evaluated on are others in each pass."""

    code, name = "TR112", "evaluation-changes"
    message = (
        "the inputs evaluated here differ in each of {passes} passes over the same labels, so results differ by chance"
    )
    severity = Severity.WARNING

    def __init__(self, run: Monitor) -> None:
        super().__init__(run)
        self.judged: dict[int, Place | None] = {}
        self.trained: set[int] = set()
        # Of each data set and each of the first batches in a pass: the turn, the inputs, and all that goes with them.
        self.last: dict[tuple[int, int], tuple[int, list[float], list[float]]] = {}
        self.changed: dict[int, int] = defaultdict(int)

    @on("seen")
    def judge(self, call: ModelCall) -> None:
        if not call.recording and call.loading is not None and call.place is not None:
            self.judged.setdefault(call.loading.dataset, call.place)

    @on("batch")
    def train(self, batch: Batch) -> None:
        if batch.call.loading is not None:
            self.trained.add(batch.call.loading.dataset)

    @on("loaded")
    def loaded(self, loaded: Loaded) -> None:
        tensors = [tensor for tensor in loaded.tensors if tensor.dim() and tensor.numel() and not tensor.is_complex()]
        if loaded.is_in_order and len(tensors) > 1 and tensors[0].dim() > 1 and loaded.dataset not in self.trained:
            marks = [fingerprints(tensor) for tensor in tensors]
            self.later(marks, self.read, (loaded.dataset, loaded.index), self.run.turn, marks[0].numel())

    def read(self, numbers: list[float], key: tuple[int, int], turn: int, count: int) -> None:
        inputs, labels = numbers[:count], numbers[count:]
        before, old_inputs, old_labels = self.last.get(key, (turn, inputs, labels))
        self.last[key] = (turn, inputs, labels)
        if before == turn:
            return  # the first pass, or one with the same weights, which may well see each sample several times
        # Samples that are made up have other labels each time, unless all of them have the same.
        is_same_task = labels == old_labels and len(set(pairs(labels))) > 1
        if key[1] == 0:
            is_changed = is_same_task and inputs != old_inputs
            self.changed[key[0]] = self.changed[key[0]] + 1 if is_changed else -(1 << 30)

    @on("finished")
    def check(self, _: None) -> None:
        for dataset, times in self.changed.items():
            if times >= REPEATED and dataset in self.judged and dataset not in self.trained:
                self.report(self.judged[dataset], passes=times + 1)
