"""Inputs: what belongs together, what they must not hold, and how they are scaled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on
from trainlint.checks.augmenting import attribute, read_apart
from trainlint.checks.rows import is_small
from trainlint.findings import Severity
from trainlint.semantics.behaviours.data import DRAWN_AGAIN, IMAGENET, Same, steps_of, sure_steps
from trainlint.semantics.behaviours.lists import LISTED, At
from trainlint.semantics.classes import indexed_by_sample, indexed_together
from trainlint.semantics.interpreter import Region, dotted_name, outwards
from trainlint.semantics.library import TELLING, Call, as_tensor, column_now, modules_in
from trainlint.semantics.values import (
    UNKNOWN,
    Class,
    DataInfo,
    Function,
    Instance,
    ListObject,
    Step,
    Tensor,
    Tuple,
    Value,
    options,
    usual,
)
from trainlint.syntax.code import called
from trainlint.syntax.index import Index

_PERMUTATION_TEST = re.compile(r"perm|null|random|chance|surrogate|fake|corrupt|noise|negative", re.IGNORECASE)


SAMPLE = ("entry", "mapped", "listed", "own")  # says what a sample is, not which one
MOVES = ("drawn", "sorted")  # what is done to the order of rows; all else is done to their number


def place(fact: Any, report: Report) -> tuple[Any, Any]:
    """The node of a pair's fact and the file it is in."""
    node, _, how, source = fact
    return (node, source.born.space) if how == "sample" else (node, report.space())


def block_of(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What was done to rows; of those that a loop gathered, whatever it took in each turn."""
    return key[:2] if key[0] == "filled" or (key[0] == "drawn" and isinstance(key[1], Step)) else key


def has_place(key: tuple[Any, ...]) -> bool:
    return isinstance(key[1], Step) or isinstance(key[-1], At)


def is_comparable(key: tuple[Any, ...], one: DataInfo, other: DataInfo) -> bool:
    """Whether it tells rows apart that only one of two lists was sorted: what comes from elsewhere may have been in
    that order before."""
    if key[0] != "sorted" or isinstance(key[1], Step):
        return True
    return one.tokens == other.tokens or all(LISTED in (data.order or ()) for data in (one, other))


def are_paired(one: DataInfo, other: DataInfo, apart: frozenset[Any], first: frozenset[Any]) -> bool:
    """Whether files of two folders are meant to belong together: those that are drawn at random from each are not."""
    drawn = [key in first for key in apart if key[0] == "drawn"]
    return all(LISTED in (data.order or ()) for data in (one, other)) and len(set(drawn)) < 2


def has_step(ends: tuple[Any, ...]) -> bool:
    """Whether a cut leaves out a known number of rows, as for a step ahead."""
    return any(is_small(end) for end in ends)


def chosen_apart(one: DataInfo, other: DataInfo, first: Any, second: Any) -> str:
    """How the rows of two lists or arrays, which once belonged together, are others now; "" where that is not known."""
    if one.tokens != other.tokens:
        return ""
    mine, theirs = first - second, second - first
    if len(mine) == len(theirs) == 1:
        here, there = next(iter(mine)), next(iter(theirs))
        if here[0] == there[0] == "chosen" and None in here[1:] and here[1:] == there[:0:-1] != there[1:]:
            return "one of these has the rows before a place, the other those behind it"
        files = all(LISTED in (data.order or ()) for data in (one, other))
        cuts = files and all(key[0] == "chosen" and len(key) == 3 and not has_step(key[1:]) for key in (here, there))
        return "these are of different parts of one list" if cuts else ""
    apart = [*mine, *theirs]
    if len(apart) == 1 and apart[0][0] == "chosen" and isinstance(apart[0][1], tuple) and apart[0][1][0] == "if":
        return "some rows of one of these were left out, of the other none"
    return ""


class PairingBroken(Rule):
    """Inputs are reordered without their labels."""

    code, name = "TL412", "pairing-broken"
    message = "{how}, so inputs and labels no longer belong together"

    @on("pair")
    def check(self, fact: Any, report: Report) -> None:
        node, values, how, source = fact
        if how == "sample" and indexed_together(source.attrs.get("dataset")):
            return  # told of where that data set is made
        if how == "members" and (way := mispaired(source)) is not None:
            said, step = way
            report(step.node if step else node, step.space if step else report.space(), how=said)
            return
        if how == "loss" and (step := self.mixed_apart(as_tensor(values[-1]), report)) is not None:
            report(step.node, step.space, how="the labels are mixed in one random order and the inputs in another")
            return
        if how in ("fit", "sample", "loss") and (parts := of_two_parts(values)):
            at, space = place(fact, report)
            report(at, space, how=f"of these, one is the {parts[0]} and one the {parts[1]} part of a split")
            return
        rows = [t.data for t in map(as_tensor, values) if t.data.tokens]
        of_lists = how == "zip" or any(isinstance(t, Tensor) and t.lib == "list" for t in values)
        known = [
            frozenset(block_of(key) for key in data.order if key[0] not in SAMPLE)
            for data in rows
            if data.order is not None
        ]
        if len(known) < 2 or len(known) < len(rows):
            return
        first, others = known[0], known[1:]
        for data, other in zip(rows[1:], others, strict=True):
            apart = first ^ other
            if how in ("members", "data set") and (told := chosen_apart(rows[0], data, first, other)):
                report(*place(fact, report), how=told)
                return
            if not apart or any(key[0] not in MOVES or not is_comparable(key, rows[0], data) for key in apart):
                continue
            if of_lists and rows[0].tokens != data.tokens and not are_paired(rows[0], data, apart, first):
                continue
            if first - other and other - first and any(key[1].__class__ is Same for key in apart):
                continue  # the seeds may be equal
            if how in ("fit", "loss") and self.meant(node, report):
                return
            # orders drawn for each batch, as to mix samples
            again = {block_of(key) for key in report.interp.flags.get(DRAWN_AGAIN, ())}
            if how == "loss" and any(key[0] == "sorted" or key in again for key in apart):
                return
            moves = sorted(apart, key=lambda key: key not in first)  # of the first, where both were moved
            steps = [key[1] if isinstance(key[1], Step) else key[2].step for key in moves if has_place(key)]
            at, space = place(fact, report)
            what = "sorted" if all(key[0] == "sorted" for key in apart) else "shuffled"
            alone = f"one of these was {what} (@) and the other was not"
            both = first - other and other - first
            if how == "members" and steps and not both:  # once, however often the data set is made
                alone = f"one of what this data set pairs is {what} here and the other is not"
                report(steps[0].node, steps[0].space, how=alone)
                return
            report(at, space, how=f"these were {what} apart (@)" if both else alone).because(steps[:1])
            return

    @on("indexed")
    def reordered(self, fact: Any, report: Report) -> None:
        """Samples of a batch are taken in an order that is drawn in the loop, as to mix them with others."""
        node, owner, (first, *_) = fact
        order = first.data.order if isinstance(first, Tensor) and first.nature == "a permutation" else None
        name = dotted_name(node.value)
        if order and owner.data.tokens and name:
            for key in order & report.interp.flags.get(DRAWN_AGAIN, frozenset()):
                report.interp.event("reordered", node, key, name, owner.data.tokens)

    def mixed_apart(self, labels: Tensor, report: Report) -> Step | None:
        """Where labels are reordered as nothing else is in this loop, while something else of the batch is reordered
        by itself, too."""
        loop = next((region for region in outwards(report.interp.region) if region.kind == "loop"), None)
        events = [e for e in loop.of("reordered") if e.tokens & labels.data.tokens] if loop is not None else []
        names: dict[Any, set[str]] = {}
        for event in events:
            names.setdefault(event.key, set()).add(event.name)
        mine = [event for event in events if event.key in (labels.data.order or ())]
        if len({event.key for event in mine}) != 1 or len(names[mine[0].key]) != 1:
            return None
        others = [found for key, found in names.items() if key != mine[0].key]
        if any(len(found) == 1 and found != names[mine[0].key] for found in others):
            return Step(mine[0].space, mine[0].node, "reordered")
        return None

    def meant(self, node: Any, report: Report) -> bool:
        """Whether labels are permuted to see what a model learns from nothing."""
        around = " ".join(
            region.value.name
            for region in outwards(report.interp.region)
            if region.kind == "call" and isinstance(region.value, Function)
        )
        return bool(_PERMUTATION_TEST.search(f"{around} {cst.Module([]).code_for_node(node)}"))


def of_two_parts(values: Sequence[Value]) -> list[str]:
    """The parts of one split that inputs and their labels are of, where these are two."""
    infos = [t.data for t in map(as_tensor, values) if t.data.tokens]
    parts = list(dict.fromkeys(info.part for info in infos if info.part))
    alike = len({info.splits for info in infos}) == 1 and bool(infos[0].splits)
    known = all(info.part and len(info.splits) == 1 for info in infos)
    return parts if len(parts) == 2 and alike and known else []


def mispaired(dataset: Instance) -> tuple[str, Step | None] | None:
    """How rows that a data set takes side by side are of other samples from the first on, and where that comes from."""
    held = indexed_by_sample(dataset)
    space = dataset.cls.space if isinstance(dataset.cls, Class) else None
    source = space.source if space is not None else None
    places = [v.attrs["$filled"] for v in held if isinstance(v, ListObject) and v.attrs.get("$filled") is not None]
    if space is not None and source is not None and (skip := skipped_between(places, source.index)) is not None:
        return "a row is left out here after one list has got it and before another has", Step(space, skip, "left out")
    tables = [v.data for v in held if isinstance(v, Tensor) and v.data.tokens and v.data.columns is not None]
    for one, other in pairwise(tables):
        same = one.tokens == other.tokens and one.splits == other.splits and one.columns != other.columns
        if same and one.part and other.part and one.part != other.part:
            return f"what this data set pairs is of the {one.part} and of the {other.part} part", None
    return None


def skipped_between(places: list[cst.CSTNode], index: Index) -> cst.CSTNode | None:
    """The condition in a loop on which it goes on to its next turn, after one of some lists was added to, and before
    another."""
    for one, other in combinations(places, 2):
        line, after = (index.parent(s) if (s := index.statement(place)) else None for place in (one, other))
        block = index.parent(line) if line is not None else None
        around = index.parent(block) if block is not None else None
        if after is None or not isinstance(block, cst.IndentedBlock) or not isinstance(around, cst.For):
            continue
        if index.parent(after) is not block:
            continue
        lines = list(block.body)
        first, last = sorted((lines.index(line), lines.index(after)))  # type: ignore[arg-type]
        for between in lines[first + 1 : last]:
            if isinstance(between, cst.If) and between.orelse is None and is_skip(between.body):
                return between
    return None


def is_skip(body: cst.BaseSuite) -> bool:
    """Whether all that a block does is to tell of it, if anything, and to go on with the next turn."""
    lines = [inner for line in body.body for inner in getattr(line, "body", ())]
    *others, last = lines or [None]
    return isinstance(last, cst.Continue) and all(
        isinstance(o, cst.Expr) and isinstance(o.value, cst.Call) and called(o.value) in (*TELLING, "print")
        for o in others
    )


class LabelInFeatures(Rule):
    """The target is still among the inputs."""

    code, name = "TL424", "label-in-features"
    message = "{what}, the target, is still among the inputs, so the model is told the answer"

    @on("pair")
    def check(self, fact: Any, report: Report) -> None:
        _node, values, how, source = fact
        if how in ("split", "members", "loss", "zip") or len(values) < 2:
            return
        what = told_among(as_tensor(values[0]).data, as_tensor(values[-1]).data)
        at, space = place(fact, report)
        if isinstance(source, Call):
            at = source.argument("x", 1) if how == "fit" else source.argument("tensors", 0)
        if what:
            report(at, space, what=what)

    @on("loop", having="model loss step")
    def in_loop(self, region: Region, report: Report) -> None:
        """A model gets all rows at once."""
        calls = {call.node: call for call in region.of("model") if call.inputs}
        for loss in region.of("loss"):
            for call in (calls[dep.node] for dep in loss.given.deps if dep.node in calls):
                if isinstance(loss.target, Tensor) and (what := told_among(call.inputs[0].data, loss.target.data)):
                    report(call.node, call.space, what=what)


def told_among(inputs: DataInfo, target: DataInfo) -> str:
    """Which column it is, in words, if a target surely stands among the inputs of the same rows; else ""."""
    if not inputs.tokens or inputs.tokens != target.tokens or inputs.order is None or inputs.order != target.order:
        return ""
    if inputs.part != target.part or inputs.splits != target.splits or inputs.columns == target.columns:
        return ""
    if inputs.columns is None or target.columns is None or not holds(inputs.columns, target.columns):
        return ""
    return f"column {target.columns[1]}" if target.columns[0] == "at" else f"`{named(target.columns)}`"


def named(columns: tuple[Any, ...]) -> Any:
    """The name of a single column."""
    (found,) = columns[1]
    return found[1] if isinstance(found, tuple) else found


def holds(inputs: tuple[Any, ...], target: tuple[Any, ...]) -> bool:
    """Whether the columns of the inputs surely include the single column of the target."""
    if target[0] == "only":
        if len(target[1]) != 1 or inputs[0] not in ("all", "only") or inputs[2:] != target[2:]:
            return False
        (kept,) = target[1]
        return bool(column_now(inputs, named(target)) == kept)
    if target[0] != "at":
        return False
    if inputs[0] == "all":
        return inputs == ("all", frozenset())
    if inputs[0] != "span":
        return False
    start, stop, at = inputs[1] or 0, inputs[2], target[1]
    if at < 0:
        return (start >= 0 or start <= at) and (stop is None or (stop < 0 and at < stop))
    return 0 <= start <= at and (stop is None or stop > at)


# -------------------------------------------------------------------------- scale

FAR = 0.1  # statistics of one's own photographs are nearer than this
STEMS = ("conv1", "features", "conv_proj", "stem", "Conv2d_1a_3x3", "conv0")


class PretrainedPreprocessing(Rule):
    """A pretrained model gets images scaled otherwise than in its own training."""

    code, name = "TL408", "pretrained-preprocessing"
    message = "{what}, but the pretrained weights expect {wanted}"
    severity = Severity.WARNING

    @on("pretrained")
    def check(self, fact: Any, report: Report) -> None:
        _, module, inputs = fact
        scale = inputs[0].data.scale if inputs else None
        if scale is None or scale[-1] is None or any(replaced(module, stem) for stem in STEMS):
            return
        if scale[0] == "plain":
            what = "the images are not normalised"
        elif scale[0] == "normalised" and far(scale[1:3]):
            what = "the images are normalised with other constants"
        else:
            return
        wanted = "ImageNet's mean and standard deviation"
        report(scale[-1].node, scale[-1].space, what=what, wanted=wanted).because([module.born])

    @on("pixels")
    def of_keras(self, fact: Any, report: Report) -> None:
        at, what, wanted, model = fact
        report(at.node, at.space, what=what, wanted=wanted).because([model.born])


def replaced(module: Instance, stem: str) -> bool:
    """Whether the first layer of a ready-made model was put in anew."""
    layer = module.attrs.get(stem)
    if not isinstance(layer, Instance):
        return False
    held = [inner for name, inner in layer.attrs.items() if name != "$whole"]  # where a layer was just looked at
    return layer.family == "module" or any(isinstance(inner, Instance) and inner.family == "module" for inner in held)


def far(constants: tuple[Any, Any]) -> bool:
    """Whether constants for three channels are far from those of ImageNet."""
    constants = tuple(c * 3 if isinstance(c, tuple) and len(c) == 1 else c for c in constants)  # type: ignore[assignment]
    if not all(isinstance(c, tuple) and len(c) == 3 and all(isinstance(x, (int, float)) for x in c) for c in constants):
        return False
    pairs = [
        pair for given, expected in zip(constants, IMAGENET, strict=True) for pair in zip(given, expected, strict=True)
    ]
    return any(abs(x - e) > FAR for x, e in pairs)


class InputsNotNormalised(Rule):
    """Images reach the model as they are read."""

    code, name = "TL407", "inputs-not-normalised"
    message = "nothing normalises the images on their way to the model (@)"
    severity = Severity.WARNING
    default = False

    @on("loop", having="model step")
    def check(self, region: Region, report: Report) -> None:
        for call in region.of("model"):
            scale, module = call.inputs[0].data.scale if call.inputs else None, call.module
            if scale is None or scale[0] != "plain" or scale[-1] is None or "$pretrained" in module.attrs:
                continue
            if not any("BatchNorm" in inner.api_path for inner in modules_in(module)):
                report(scale[-1].node, scale[-1].space).because([Step(call.space, call.node, "given to the model")])


# ------------------------------------------------------------------- augmentation

STRONG = frozenset(
    """RandomRotation RandomAffine RandomPerspective ColorJitter RandomErasing AutoAugment RandAugment
    TrivialAugmentWide AugMix GaussianBlur RandomInvert RandomSolarize RandomPosterize RandomEqualize
    ElasticTransform RandomResizedCrop""".split()
)


class HeavyAugmentation(Rule):
    """Many strong random transforms are stacked."""

    code, name = "TL422", "heavy-augmentation"
    message = "{count} strong random transforms are stacked, so the model may never see an image as it is"
    severity = Severity.WARNING
    default = False
    MANY = 5

    @on("dataset")
    def check(self, fact: Any, report: Report) -> None:
        _, dataset, _ = fact
        for name, value in dataset.attrs.items():
            if isinstance(name, str) and "transform" in name and isinstance(value, Instance):
                strong = [s for s in steps_of(value) or () if s.describe() in STRONG and "$augments" in s.attrs]
                if len(strong) >= self.MANY and value.born is not None:
                    report(value.born.node, value.born.space, count=len(strong)).because([strong[0].born])


DIGITS = frozenset("MNIST QMNIST EMNIST KMNIST SVHN USPS Omniglot".split())
# Random transforms that move what is to be seen in a picture.
MOVING = frozenset(
    """RandomHorizontalFlip RandomVerticalFlip RandomRotation RandomAffine RandomCrop RandomResizedCrop
    RandomPerspective HorizontalFlip VerticalFlip Flip Transpose RandomRotate90 Rotate ShiftScaleRotate Affine
    Perspective D4 ElasticTransform GridDistortion OpticalDistortion""".split()
)
FLIPS = frozenset("RandomHorizontalFlip RandomVerticalFlip".split())


class LabelBreakingAugmentation(Rule):
    """A random transform turns one class into another."""

    code, name = "TL425", "label-breaking-augmentation"
    message = "`{what}` changes {kind}"
    severity = Severity.WARNING
    default = False

    @on("dataset")
    def check(self, fact: Any, report: Report) -> None:
        _, dataset, _ = fact
        for call, item in read_apart(dataset):
            steps = (s for o in options(attribute(call.func, dataset) or UNKNOWN) for s in sure_steps(o))
            step = next((step for step in steps if step.describe() in MOVING and "$augments" in step.attrs), None)
            if step is not None:
                kind = "a picture, but not the mask that is read with it, so they do not fit"
                report(call, item.space, what=step.describe(), kind=kind).because([step.born])
        if dataset.describe() not in DIGITS:
            return
        for name, value in dataset.attrs.items():
            if isinstance(name, str) and "transform" in name and isinstance(value, Instance):
                for step in sure_steps(value):
                    if (
                        step.born is not None
                        and (step.describe() in FLIPS or turns(step))
                        and "$augments" in step.attrs
                    ):
                        kind = "digits" if dataset.describe() not in ("EMNIST", "KMNIST", "Omniglot") else "characters"
                        kind = f"what {kind} are (a flipped 2 is none, a turned 6 is a 9), while the label stays"
                        report(step.born.node, step.born.space, what=step.describe(), kind=kind).because([dataset.born])


def turns(step: Instance) -> bool:
    """Whether a random rotation goes so far that what is turned can be taken for something else."""
    degrees = step.attrs.get("degrees", step.attrs.get("$first"))
    if step.describe() not in ("RandomRotation", "RandomAffine") or degrees is None:
        return False
    ends = degrees.items if isinstance(degrees, (ListObject, Tuple)) and degrees.items else (degrees,)
    return any((far := usual(end)) is not None and abs(far) >= 90 for end in ends)
