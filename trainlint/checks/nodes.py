"""Graphs whose nodes are parted by masks: which of them are learnt, and which are judged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import libcst as cst

from trainlint.semantics.interpreter import Region
from trainlint.semantics.values import NO_DATA, DataInfo, Tensor, Value, mix_data
from trainlint.syntax.code import called, positional

ALL = "all"  # learnt without a mask
ALIKE = ("squeeze", "view", "reshape", "flatten", "float", "long", "to")  # keep all labels


def learnt_losses(region: Region) -> Iterator[tuple[Any, Tensor]]:
    """The losses that are learnt from, each with what goes backward."""
    last = None
    for event in region.events:
        if event.kind == "loss":
            last = event
        elif event.kind == "backward" and last is not None and isinstance(event.loss, Tensor):
            yield last, event.loss
            last = None


def learnt_nodes(region: Region) -> Iterator[tuple[Any, str]]:
    """The losses that are learnt from, each with the part of the nodes that it is taken of, where that is known."""
    for last, loss in learnt_losses(region):
        given = last.given.data
        if given.part is not None and given.part == loss.data.part:
            yield last, given.part
        elif not given.splits and loss.data.part is None and takes_all_labels(last.node):
            yield last, ALL


def takes_all_labels(loss: Any) -> bool:
    """Whether a loss is given the labels of all nodes: `loss(out, data.y)`, or `data.y.squeeze(1)`."""
    given = positional(loss) if isinstance(loss, cst.Call) else []
    labels: Any = given[1] if len(given) > 1 else None
    while isinstance(labels, cst.Call) and isinstance(labels.func, cst.Attribute) and called(labels) in ALIKE:
        labels = labels.func.value
    return isinstance(labels, cst.Attribute) and labels.attr.value == "y"


def judged_rows(region: Region) -> Iterator[DataInfo]:
    """What is known of the rows of which outputs of a model in eval mode are compared with labels, or a loss is looked
    at."""
    learnt = {event for event, _ in learnt_losses(region)}
    found = [(event.value, rows_of(event.value)) for event in region.of("compare")]
    found += [(event.given, rows_of(event.given, event.target)) for event in region.of("loss") if event not in learnt]
    for value, data in found:
        if isinstance(value, Tensor) and value.deps and not any(dep.training for dep in value.deps):
            yield data


def rows_of(*values: Value | None) -> DataInfo:
    """What is known of the rows that scores and their targets have."""
    return reduce(mix_data, (value.data for value in values if isinstance(value, Tensor)), NO_DATA)


def judged_nodes(region: Region) -> list[tuple[Any, str | None]]:
    """Where outputs of a model in eval mode are compared with labels, or scored, and of which part of the nodes."""
    compared = [
        (event, event.value.data.part)
        for event in region.of("compare")
        if isinstance(event.value, Tensor) and not any(dep.training for dep in event.value.deps)
    ]
    return [*compared, *((e, next(iter(e.parts)) if len(e.parts) == 1 else None) for e in region.of("measured"))]
