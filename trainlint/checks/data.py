"""Data: how they are split, fitted, shuffled and augmented."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import libcst as cst

from trainlint.api import Call, Draft, Report, Rule, on
from trainlint.checks.repairs import index_of, line_of
from trainlint.edits import delete, rename
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.data import (
    PART_WORDS,
    Same,
    augments,
    bundled,
    dataset_part,
    info_of,
    roots,
)
from trainlint.semantics.behaviours.keras import SCALING
from trainlint.semantics.interpreter import Interpreter, Region, dotted_name, loop_use, target_names
from trainlint.semantics.values import (
    NONE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DataInfo,
    DictObject,
    Fit,
    Function,
    Instance,
    ListObject,
    Number,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    options,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, names_in

HELD_OUT = {"val": "validation", "test": "test"}  # parts of the data, and what users call them


class FitBeforeSplit(Rule):
    """Statistics are taken of data that are split afterwards."""

    code, name = "TL401", "fit-before-split"
    message = "{what} is fitted on all rows before they are split, so the held-out part has leaked into training"
    severity = Severity.WARNING

    @on("split")
    def split(self, fact: Any, report: Report) -> None:
        space, node, data, how = fact
        for fit in data.data.fits:
            if not fit.resampling and not (fit.projection and how == "slice"):  # a projection cut in two is for a plot
                self.tell(fit, Step(space, node, f"split by {how}") if node is not None else None, report)

    @on("leak")
    def leak(self, fact: Any, report: Report) -> None:
        fit, _, node = fact
        self.tell(fit, Step(report.space(), node, "applied after the split"), report)

    def tell(self, fit: Fit, step: Step | None, report: Report) -> None:
        what = fit.what if fit.what.startswith("a ") else f"`{fit.what}`"
        report(fit.node, fit.space, what=what).because([step])


class FitOnTest(Rule):
    """A transform is fitted on held-out data."""

    code, name = "TL402", "fit-on-test"
    message = (
        "{what} is fitted on the {part} part; it must use what was learnt from the training part, "
        "or the two are scaled apart"
    )
    fixable = Safety.UNSAFE

    @on("fit")
    def check(self, fact: Any, report: Report) -> None:
        node, estimator, what, data, earlier, call = fact
        part = data.data.part
        if not what or (what in ("coding", "projection") and earlier is None):
            return
        if part not in HELD_OUT:
            if (
                earlier is None
                or part is not None
                or not another_part(earlier[2].data, data.data, call.argument("x", 1))
            ):
                return
        draft = report(node, what=f"`{estimator.describe()}`", part=HELD_OUT.get(part, "held-out"))
        if earlier is not None:
            draft.because([Step(earlier[0], earlier[1], "fitted before")]).repair(self.transform)

    def transform(self, draft: Draft) -> None:
        """Offer to apply what was learnt before."""
        call = draft.node
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or len(call.args) != 1:
            return
        if called(call) == "fit_transform":
            draft.fix("transform only", rename(call.func, "transform"))
        elif called(call) == "fit" and line_of(index_of(draft.space), call) is not None:
            draft.fix("do not fit again", delete(call))

    @on("standardised")
    def by_hand(self, fact: Any, report: Report) -> None:
        node, part = fact
        report(node, what="a normalisation by hand", part=HELD_OUT[part])


def another_part(first: DataInfo, second: DataInfo, node: Any) -> bool:
    """Whether what an estimator is fitted on again is the part of the data that was held out from the first fit.

    Another slice of the same data is; where the data come from out of view, what the program calls its test part."""
    if first.tokens & second.tokens:
        cut = first.order is not None and second.order is not None and is_other_side(first.order, second.order)
        return bool(first.splits and second.splits) and (first.splits != second.splits or cut)
    while isinstance(node, (cst.Subscript, cst.Attribute, cst.Call)):
        node = node.func if isinstance(node, cst.Call) else node.value
    words = re.split(r"[^a-z]+", node.value.lower()) if isinstance(node, cst.Name) else []
    return any(PART_WORDS.get(word) in HELD_OUT for word in words)


def is_other_side(first: frozenset[Any], second: frozenset[Any]) -> bool:
    """Whether rows are those behind the place up to which others were taken (`x[:n]` and `x[n:]`)."""
    heads = {key[2] for key in first - second if key[0] == "chosen" and len(key) == 3 and key[1] is None}
    return any(key[0] == "chosen" and len(key) == 3 and key[2] is None and key[1] in heads for key in second - first)


class ResampleBeforeSplit(Rule):
    """Rows are duplicated or dropped before the split."""

    code, name = "TL423", "resample-before-split"
    message = (
        "`{what}` resamples all rows before they are split, so copies of training rows end up in the held-out part"
    )

    @on("split")
    def check(self, fact: Any, report: Report) -> None:
        space, node, data, how = fact
        for fit in data.data.fits:
            if fit.resampling:
                report(fit.node, fit.space, what=fit.what).because(
                    [Step(space, node, f"split by {how}") if node is not None else None]
                )


def fixed_order(loader: Instance) -> bool:
    """Whether a loader surely serves its samples in the same order each epoch."""
    attrs = loader.attrs
    if attrs.get("$open"):
        return False
    for name in ("sampler", "batch_sampler"):
        value = attrs.get(name)
        if not is_none(value):
            return False
    shuffle = attrs.get("shuffle")
    return shuffle is None or (isinstance(shuffle, Const) and not shuffle.value)


def ordered_data(value: Value | None, depth: int = 0) -> bool:
    """Whether a data set surely is map-style and keeps the order in which its data were stored."""
    if depth > 6:
        return False
    if isinstance(value, Union):
        return all(ordered_data(option, depth + 1) for option in value.options)
    if isinstance(value, Instance):
        if value.family == "iterable" or "$members" in value.attrs or is_drawn(value):
            return False
        if any(isinstance(v, Tensor) and v.data.shuffled for v in value.attrs.values()):
            return False
        tensors = value.attrs.get("$tensors")
        if isinstance(tensors, Tuple):
            return bool(tensors.items) and not any(isinstance(t, Tensor) and t.data.shuffled for t in tensors.items)
        if isinstance(value.cls, Class):
            item = value.cls.find("__getitem__")
            stored = in_stored_order(item) if isinstance(item, Function) else serves_items(value.cls)
            return stored and value.cls.find("__iter__") is None
        inner = value.attrs.get("dataset")
        if isinstance(inner, Value):
            return "$indices" not in value.attrs and ordered_data(inner, depth + 1)
        return value.family == "dataset"
    return False


def in_stored_order(item: Function) -> bool:
    """Whether a data set's `__getitem__` serves sample by sample what its index says.

    Windows of one series (`x[i : i + n]`) are no samples of their own, and some models must see them in order."""
    params = item.node.params.params
    if len(params) < 2:
        return False
    positions = {params[1].name.value}
    nodes = list(nodes_in(item.node.body))
    assigned = [node for node in nodes if isinstance(node, cst.Assign)]
    known = 0
    while known < len(positions):  # what is reckoned from these is a position, too
        known = len(positions)
        for node in assigned:
            if is_reckoned(node.value, positions):
                positions.update(name for target in node.targets for name in target_names(target.target))
    windows = (n for n in nodes if isinstance(n, cst.Slice) and n.lower is not None and n.upper is not None)
    if any(positions & {*names_in(window.lower), *names_in(window.upper)} for window in windows):
        return False
    return any(isinstance(node, cst.Name) and node.value in positions for node in nodes)


def is_reckoned(value: Any, positions: set[str]) -> bool:
    """Whether a position is reckoned from others: by arithmetic, not looked up."""
    parts = list(nodes_in(value))
    looked_up = any(isinstance(part, cst.Subscript) for part in parts) or any(
        isinstance(part, cst.Call) and called(part) not in ("int", "min", "max", "round", "randint") for part in parts
    )
    return not looked_up and not positions.isdisjoint(names_in(value))


class TrainNotShuffled(Rule):
    """The training loader serves the data in the same order every epoch."""

    code, name = "TL403", "train-not-shuffled"
    message = "the training loader does not shuffle, so every epoch sees the same batches in the same order"
    severity = Severity.WARNING

    @on("program", having="trained")
    def check(self, region: Region, report: Report) -> None:
        loops = Counter(node for node, _ in {(event.node, event.loader) for event in region.of("trained")})
        for _, node, space, loader in region.of("trained"):
            if loader.born is None or not fixed_order(loader):
                continue
            if loops[node] > 1 and not trains_always(node, region):
                continue  # one of several that a loop goes through, and some only to evaluate
            dataset = loader.attrs.get("dataset")
            size = loader.attrs.get("batch_size")
            whole = isinstance(size, Number) and size.nature == "a length"
            if ordered_data(dataset) and not whole and dataset_part(dataset) not in HELD_OUT:
                report(loader.born.node, loader.born.space).because([Step(space, node, "trained on here")])

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """Keras shuffles unless it is told not to, as it is for series; a classifier of single rows has no reason."""
        data, shuffle = call.value("x"), call.value("shuffle")
        wanted = isinstance(shuffle, Const) and shuffle.value is False
        if wanted and isinstance(data, Tensor) and data.data.shuffled is not True:
            if classifies_rows(call.interp, call.receiver):
                report(call.argument("shuffle"))


def trains_always(loop: Any, region: Region) -> bool:
    """Whether each turn of a loop surely comes by a backward in its own body."""
    return comes_by(loop.body, {event.node for event in region.of("backward")}) if hasattr(loop, "body") else False


def comes_by(code: Any, wanted: set[Any]) -> bool:
    """Whether each run through a piece of code surely comes by one of these nodes."""
    if code in wanted:
        return True
    if isinstance(code, cst.If):
        both = code.orelse is not None and comes_by(code.body, wanted) and comes_by(code.orelse, wanted)
        return both or comes_by(code.test, wanted)
    if isinstance(code, (cst.IfExp, cst.Try, cst.For, cst.While, cst.FunctionDef, cst.Lambda)):
        return False
    return any(comes_by(child, wanted) for child in code.children)


SERIES_LAYERS = ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed", "Conv1D", "Attention")


def classifies_rows(interp: Interpreter, model: Value | None) -> bool:
    """Whether a Keras model surely is a chain of layers for a classification, none of them made for series."""
    if not isinstance(model, Instance) or "crossentropy" not in str(const(model.attrs.get("$loss", NONE))).lower():
        return False
    layers = model.attrs.get("layers")
    known = interp.known_items(layers) if isinstance(layers, Value) else None
    return bool(known) and all(
        isinstance(layer, Instance) and isinstance(layer.cls, Api) and not layer.cls.path.endswith(SERIES_LAYERS)
        for layer in known or ()
    )


def transforms_of(dataset: Value | None, depth: int = 0) -> Any:
    """The random transform that a data set surely applies."""
    if isinstance(dataset, Union):
        found = [transforms_of(option, depth) for option in dataset.options]
        return None if None in found else found[0]
    if not isinstance(dataset, Instance) or depth > 6:
        return None
    for name, value in dataset.attrs.items():
        if isinstance(name, str) and "target" not in name and isinstance(value, (Instance, Union)):
            steps = [augments(option) for option in options(value)]
            if None not in steps:
                return steps[0]
    return transforms_of(dataset.attrs.get("dataset"), depth + 1)


def optional(dataset: Value | None) -> tuple[Value, Any] | None:
    """The transform of a data set that is random if a setting says so, and its random step."""
    while isinstance(dataset, Instance):
        value = dataset.attrs.get("transform")
        for option in options(value) if isinstance(value, (Instance, Union)) else ():
            steps = option.attrs.get("$steps") if isinstance(option, Instance) else None
            unsure = (
                isinstance(steps, ListObject) and steps.items is None and isinstance(steps.attrs.get("element"), Value)
            )
            for step in (
                option,
                *(options(steps.attrs["element"]) if isinstance(steps, ListObject) and unsure else ()),
            ):
                if (found := augments(step)) is not None:
                    return value, found  # type: ignore[return-value]
        dataset = dataset.attrs.get("dataset")
    return None


class AugmentationInEvaluation(Rule):
    """Held-out data are changed at random."""

    code, name = "TL405", "augmentation-in-evaluation"
    message = "the {part} data are augmented at random by `{what}`, so results change from run to run and are too low"

    @on("dataset")
    def made(self, fact: Any, report: Report) -> None:
        node, dataset, _ = fact
        part = dataset_part(dataset)
        step = transforms_of(dataset)
        if part in HELD_OUT and step is not None:
            report(node, part=HELD_OUT[part], what=step.label).because([step])

    @on("program", having="evaluated")
    def evaluated(self, region: Region, report: Report) -> None:
        """What a loop evaluates is held out: the random half of a split, or data that no loop trains on."""
        trained = {same_data(e.loader) for e in region.of("trained")}
        for event in region.of("evaluated"):
            for dataset in options(event.loader.attrs.get("dataset", UNKNOWN)):
                step = transforms_of(dataset)
                if step is None or not isinstance(dataset, Instance):
                    continue
                if is_subset(dataset):
                    if dataset_part(dataset) in HELD_OUT or apart(event.loader, trained):
                        report(step.node, step.space, part="held-out", what=step.label).because([dataset.born])
                elif dataset.born is not None and dataset_part(dataset) is None and apart(event.loader, trained):
                    report(dataset.born.node, dataset.born.space, part="held-out", what=step.label).because([step])

    @on("program", having="evaluated trained")
    def shared(self, region: Region, report: Report) -> None:
        """A transform that is random if a setting says so is the same for training and for what is held out from it."""
        learnt = [d for e in region.of("trained") for d in options(e.loader.attrs.get("dataset", UNKNOWN))]
        known = [found[0] for dataset in learnt if (found := optional(dataset))]
        for event in since_training(region, region.of("evaluated")) if known else ():
            for dataset in options(event.loader.attrs.get("dataset", UNKNOWN)):
                found, part = optional(dataset), dataset_part(dataset)
                if part in HELD_OUT and found and transforms_of(dataset) is None and isinstance(dataset, Instance):
                    if dataset.born is not None and any(same_options(found[0], value) for value in known):
                        draft = report(dataset.born.node, dataset.born.space, part=HELD_OUT[part], what=found[1].label)
                        draft.because([found[1]])

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """Keras draws the images for validation from a generator that changes them at random."""
        given = call.value("validation_data", 8)
        generator = generator_of(given)
        changes = next((name for name in AUGMENTING if name in generator.attrs), "") if generator else ""
        if changes and generator and not generator.attrs["$open"] and isinstance(given, Instance) and given.born:
            if is_switched_on(generator.attrs[changes]):
                part = HELD_OUT.get(str(given.attrs["$part"]), "validation")
                report(given.born.node, given.born.space, part=part, what=changes).because([generator.born])


# Options of Keras's generators of images that change each at random.
AUGMENTING = """rotation_range width_shift_range height_shift_range shear_range zoom_range channel_shift_range
 horizontal_flip vertical_flip brightness_range""".split()


def is_switched_on(option: Any) -> bool:
    """Whether an option surely has a value that does something."""
    return isinstance(option, (Tuple, ListObject)) or (isinstance(option, Const) and bool(option.value))


def generator_of(flow: Value | None) -> Instance | None:
    """The generator of images that batches come from."""
    found = flow.attrs.get("$generator") if isinstance(flow, Instance) and flow.family == "keras_flow" else None
    return found if isinstance(found, Instance) and found.family == "keras_generator" else None


def apart(loader: Instance, trained: set[Any]) -> bool:
    """Whether a program trains on data, and surely not on those of this loader."""
    return bool(trained) and None not in trained and same_data(loader) not in trained | {None}


def normalisations(dataset: Instance) -> set[tuple[Any, ...] | None] | None:
    """The statistics that a data set's transform normalises with, each with the bounds of its channels: () for none at
    all, several where a branch chooses the transform, with None among them where it may leave a step out; None when it
    cannot be told whether there are any."""
    pipelines = [
        v
        for k, v in dataset.attrs.items()
        if isinstance(k, str) and "transform" in k and "target" not in k and isinstance(v, (Instance, Union))
    ]
    chains = [chain_of(option) for pipeline in pipelines for option in options(pipeline)]
    if len(pipelines) > 1:  # such as one for images with their masks, which normalises nothing
        plain = [chain for chain in chains if chain is not None and all(isinstance(s.cls, Class) for s in chain[0])]
        chains = [chain for chain in chains if chain not in plain]
        if len(chains) != 1 or any(scales(step) for steps, _ in plain for step in steps):
            return None
    found: set[tuple[Any, ...] | None] = set()
    for chain in chains:
        if chain is None or any(scales(step) for step in chain[0]):
            return None
        statistics = tuple(channels(value) for step in chain[0] for value in step.attrs.get("$normalize", ()))
        found |= {statistics} if chain[1] or not statistics else {statistics, None}
    return found or None


def chain_of(transform: Value | None, depth: int = 0) -> tuple[list[Instance], bool] | None:
    """The single transforms of a pipeline, among them those of the project's own classes, and whether all of them
    surely run; None when they are not all known."""
    if isinstance(transform, Instance) and isinstance(transform.cls, Class):
        held = [v for v in transform.attrs.values() if isinstance(v, (Instance, ListObject, Tuple)) or v is UNKNOWN]
    elif isinstance(transform, Instance) and transform.family == "transform":
        held = [transform.attrs["$steps"]] if "$steps" in transform.attrs else []
    else:
        return None
    found, sure = [transform], True
    for value in held:
        items = value.items if isinstance(value, (ListObject, Tuple)) else (value,)
        if items is None and isinstance(value, ListObject):
            items, sure = options(value.attrs.get("element", UNKNOWN)), False
        for item in items or ():
            if isinstance(item, (Const, Number)):
                continue
            steps = chain_of(item, depth + 1) if depth < 6 else None
            if steps is None:
                return None
            found += steps[0]
            sure = sure and steps[1]
    return found, sure


_STATISTICS = re.compile(r"norm|mean|std|var(iance)?$", re.IGNORECASE)


def scales(step: Instance) -> bool:
    """Whether a transform of the project's own may change the scale of numbers, not just reckon with sizes."""
    own = step.cls if isinstance(step.cls, Class) else None
    code = step.attrs.get("$given") if step.describe() == "Lambda" else own
    if not isinstance(code, (Class, Function)):
        return code is not None
    called_with = code.find("__call__") if isinstance(code, Class) else code
    params = called_with.node.params.params if isinstance(called_with, Function) else ()
    images = {param.name.value for param in params} - {"self"}
    named = any(_STATISTICS.search(name) for name in names_in(code.node))
    return named or any(rescales(node, images) for node in nodes_in(code.node))


def rescales(node: Any, images: set[str]) -> bool:
    """Whether a node subtracts or divides in place, from an argument, or by an attribute of its object."""
    if isinstance(node, cst.AugAssign):
        return isinstance(node.operator, (cst.DivideAssign, cst.SubtractAssign))
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, (cst.Divide, cst.Subtract)):
        return False
    own = dotted_name(node.right).startswith("self.") and isinstance(node.left, cst.Name)
    return own or not images.isdisjoint(names_in(node.left))


def channels(value: Value) -> tuple[tuple[float, float], ...]:
    """The bounds of the numbers in a value."""
    items = value.items if isinstance(value, (ListObject, Tuple)) else (value,)
    return tuple(bounds(item) for item in items or ())


def normalised_apart(trained: set[tuple[Any, ...] | None], held_out: set[tuple[Any, ...] | None]) -> bool:
    """Whether data are surely normalised differently: only one of them, or both with known constants. Where a branch
    chooses for one of them alone, one of its choices suffices."""
    pairs = [
        one is not None and other is not None and (bool(one) != bool(other) or disjoint(one, other))
        for one in trained
        for other in held_out
    ]
    return any(pairs) if len(trained) == 1 or len(held_out) == 1 else all(pairs)


def disjoint(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether the statistics of some channel are surely not the same."""
    return any(
        high < least or most < low
        for mine, theirs in zip(one, other, strict=False)
        for (low, high), (least, most) in zip(mine, theirs, strict=False)
    )


class PreprocessingDiffers(Rule):
    """Training and held-out data are normalised differently."""

    code, name = "TL406", "preprocessing-differs"
    message = "the {part} data are {how}, so the model sees other inputs there than in training"

    @on("program", having="dataset")
    def check(self, region: Region, report: Report) -> None:
        made = region.of("dataset")
        trained = [(d, normalisations(d)) for *_, d in made if dataset_part(d) == "train" and source(d)]
        for _, node, space, dataset in made if trained else ():
            part, given = dataset_part(dataset), normalisations(dataset)
            if part not in HELD_OUT or given is None:
                continue
            twins = [(t, found) for t, found in trained if source(t) == source(dataset)]
            if twins and all(found is not None and normalised_apart(found, given) for _, found in twins):
                born, found = twins[0][0].born, twins[0][1] or set()
                if () not in given | found:
                    how = "normalised with other constants than the training data"
                else:
                    known = () not in given
                    how = f"{'' if known else 'not '}normalised and the training data are{' not' if known else ''}"
                report(node, space, part=HELD_OUT[part], how=how).because([born])

    @on("fitted")
    def generators(self, call: Call, report: Report) -> None:
        """Images of a training and of a validation generator of Keras are scaled apart."""
        given = call.value("validation_data", 8)
        trained, judged = generator_of(call.value("x", 1)), generator_of(given)
        if trained is None or judged is None or trained.attrs["$open"] or judged.attrs["$open"]:
            return
        mine, theirs = (scaling(generator) for generator in (judged, trained))
        if mine is None or theirs is None or mine == theirs or not isinstance(given, Instance) or given.born is None:
            return
        how = "rescaled by other options than the training data"
        if not mine or not theirs:
            how = f"{'' if mine else 'not '}rescaled and the training data are{' not' if mine else ''}"
        part = HELD_OUT.get(str(given.attrs["$part"]), "validation")
        report(given.born.node, given.born.space, part=part, how=how).because([trained.born])

    @on("program", having="fitted predicted")
    def estimators(self, region: Region, report: Report) -> None:
        """A model predicts for held-out rows that were not scaled as those that it was fitted on."""
        fits: dict[int, Any] = {}
        for event in region.events:
            if event.kind == "fitted":
                fits[id(event.estimator)] = event
            elif event.kind == "predicted" and isinstance(event.x, Tensor) and id(event.estimator) in fits:
                fit = fits[id(event.estimator)]
                how = scaled_apart(fit.x, event.x)
                if how:
                    part = HELD_OUT[event.x.data.part or "test"]
                    report(event.node, event.space, part=part, how=how).because([Step(fit.space, fit.node, "fitted")])

    @on("program", having="model step")
    def modules(self, region: Region, report: Report) -> None:
        """The same of a module, which is trained in a loop."""
        calls = [event for event in region.of("model") if event.inputs]
        for event in calls:
            if event.grad or event.inputs[0].data.part not in HELD_OUT:
                continue
            trained = [e for e in calls if e.module is event.module and e.grad and e.inputs[0].data.part == "train"]
            found = {scaled_apart(e.inputs[0], event.inputs[0]) for e in trained}
            if len(found) == 1 and (how := found.pop()):
                part = HELD_OUT[event.inputs[0].data.part]
                because = [Step(trained[0].space, trained[0].node, "trained")]
                report(event.node, event.space, part=part, how=how).because(because)


def source(dataset: Instance) -> Any:
    """What identifies the kind of data set: what torchvision's are made from by a class of the project's, too."""
    return bundled(dataset) or (dataset.cls.key if dataset.cls is not None else None)


def scaling(generator: Instance) -> frozenset[Any] | None:
    """The options of a generator of images that scale them; None where not all are known."""
    given = {name: generator.attrs[name] for name in SCALING if name in generator.attrs}
    known = {name: value for name, value in given.items() if isinstance(value, Const)}
    if len(known) < len(given):
        return None
    return frozenset((name, value.value) for name, value in known.items() if value.value)


def scaled_apart(trained: Value | None, judged: Tensor) -> str:
    """In words, what was done to only one of two parts of the same data; "" where they are known to be scaled alike,
    or nothing is known."""
    if not isinstance(trained, Tensor) or trained.data.part in HELD_OUT or judged.data.part not in HELD_OUT:
        return ""
    mine, theirs = judged.data.scaled, trained.data.scaled
    of_one = trained.data.part == "train" and bool(trained.data.tokens & judged.data.tokens)
    from_its_file = bool(trained.data.tokens) and judged.data.part == "test" and not judged.data.splits
    if mine is None or theirs is None or bool(mine) == bool(theirs) or not (of_one or from_its_file):
        return ""
    if theirs:
        return f"not {min(theirs)[0]} as the training data are"
    return f"{min(mine)[0]} and the training data are not"


JUDGED = "evaluated on the data it was trained on"


def is_declared(dataset: Instance) -> bool:
    """Whether a program itself says that data are held out: by a flag or a path, not by their place in a split."""
    return "$made" in dataset.attrs and not is_subset(dataset) and dataset_part(dataset) in HELD_OUT


class SplitOverlap(Rule):
    """A model is judged on the data it was trained on, or trained on those that are held out."""

    code, name = "TL410", "split-overlap"
    message = "the model is {how}, so the result says nothing about new data"
    severity = Severity.WARNING

    @on("program")
    def check(self, region: Region, report: Report) -> None:
        trained, evaluated = [e.loader for e in region.of("trained")], judged_loops(region)
        if trained and evaluated:
            self.loaders(region, trained, since_training(region, evaluated), report)
        elif trained and region.has("passed", "gathered"):
            self.passes(region, trained, report)
        elif not evaluated and region.has("split"):
            self.tensors(region, report)
        if trained:
            self.swapped(region, report)
        if region.has("measured") and isinstance(region.node, cst.Module):
            self.arrays(region, report)

    def swapped(self, region: Region, report: Report) -> None:
        """Nothing is trained on but data that are declared as held out, while the training part of them is not used."""
        trained = [(e, d) for e in region.of("trained") for d in options(e.loader.attrs.get("dataset", UNKNOWN))]
        declared = [(e, d) for e, d in trained if isinstance(d, Instance) and d.cls is not None and is_declared(d)]
        spare = {}
        if len(declared) == len(trained):
            spare = {source(d): d.born for d in out_of_use(region)[0] if dataset_part(d) == "train"}
        for event, dataset in declared:
            if (unused := spare.get(source(dataset))) is not None:
                part = HELD_OUT[dataset_part(dataset) or "test"]
                how = f"trained on the {part} data while those for training are not used"
                draft = report(getattr(event.node, "iter", event.node), event.space, how=how)
                draft.because([dataset.born, unused])

    @on("loop", having="model")
    def passed(self, region: Region, report: Report) -> None:
        """A loop in which a model in eval mode gets a loader's batches and does not learn, whatever becomes of what it
        gives."""
        if loop_use(region) == "walked" and not region.has("backward", "step", "autograd"):
            if all(event.mode is False for event in region.of("model")):
                for loader in options(region.value):
                    report.interp.event("passed", region.node, loader)

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """The validation data are the same variable as the training data."""
        given = call.argument("validation_data")
        if given.__class__ is cst.Tuple and given.elements:
            first = given.elements[0].value
            name = dotted_name(first)
            if name and name == dotted_name(call.argument("x")):
                report(first, how=JUDGED)

    @on("validated")
    def by_engine(self, fact: Any, report: Report) -> None:
        """All that an engine validates on is what it trains on."""
        trained, held_out = fact
        seen = {same_data(loader): loader.born for loader in trained}
        if held_out and all(same_data(loader) in seen.keys() - {None} for loader in held_out):
            for loader in held_out:
                if loader.born is not None:
                    report(loader.born.node, loader.born.space, how=JUDGED).because([seen[same_data(loader)]])

    def loaders(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """No loader that is evaluated serves anything but what is trained on; or one does, and there are data held out
        that none serves."""
        sources: dict[Any, list[Step | None]] = {}
        for loader in trained:
            sources.setdefault(served_by(loader), []).append(loader.born)
        alike = [event for event in evaluated if served_by(event.loader) in sources]
        if len(alike) < len(evaluated):
            self.chosen(trained, evaluated, report)
            alike = [event for event in alike if event.loader not in trained]
            if not alike or not is_idle(region):
                return
        used = {id(loader) for loader in (*trained, *(e.loader for e in evaluated))}
        idle = [
            loader for *_, loader in region.of("loader") if id(loader) not in used and served_by(loader) not in sources
        ]
        for _, node, space, loader in alike:
            if loader not in trained and loader.born is not None:
                report(loader.born.node, loader.born.space, how=JUDGED).because(sources[served_by(loader)])
            elif idle:
                report(getattr(node, "iter", node), space, how=JUDGED).because(
                    [loader.born, *(Step(i.born.space, i.born.node, "never used") for i in idle[:1] if i.born)]
                )

    def passes(self, region: Region, trained: list[Instance], report: Report) -> None:
        """What is measured cannot be told, but a model in eval mode gets nothing except what it was trained on, and no
        loop serves data that are held out."""
        sources = {served_by(loader): loader.born for loader in trained}
        passed = since_training(region, [*region.of("passed"), *region.of("gathered")])
        if not all(served_by(event.loader) in sources for event in passed):
            return
        used = [event.loader for kind in USES for event in region.of(kind)]
        gone = [
            v for e in (*region.of("escape"), *region.of("outside")) for given in e.values for v in flattened(given)
        ]
        known = {id(value) for value in (*used, *gone)}
        made = (event.loader for event in region.of("loader") if id(event.loader) not in known)
        spare = [loader.born for loader in made if served_by(loader) not in sources and loader.born is not None]
        for _, node, space, loader in passed:
            if loader in trained and spare:
                unused = Step(spare[0].space, spare[0].node, "never used")
                report(getattr(node, "iter", node), space, how=JUDGED).because([loader.born, unused])
            elif loader not in trained and loader.born is not None and is_idle(region):
                report(loader.born.node, loader.born.space, how=JUDGED).because([sources[served_by(loader)]])

    def chosen(self, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """Nothing is held out of all that is evaluated where a branch makes the data for both; or subsets are evaluated
        of what is trained on as a whole."""
        sources: dict[Any, list[Instance]] = {}
        for dataset, same in (choice for loader in trained for choice in choices(loader)):
            sources.setdefault(same, []).append(dataset)
        served = [dataset for loader in trained for dataset in options(loader.attrs.get("dataset", UNKNOWN))]
        parts = {identity(d.attrs.get("dataset")) for d in served if isinstance(d, Instance) and is_subset(d)}
        judged = list(dict.fromkeys((e.loader, *choice) for e in evaluated for choice in choices(e.loader, parts)))
        if any(not choices(event.loader, parts) for event in evaluated):
            return
        others = [dataset for _, dataset, same in judged if same not in sources]
        for loader, dataset, same in judged:
            if same in sources and loader not in trained and dataset.born is not None:
                made = [source.born for source in sources[same] if source.born is not None]
                if all(
                    in_another_branch(dataset.born, o.born) and any(in_another_branch(m, o.born) for m in made)
                    for o in others
                ):
                    report(dataset.born.node, dataset.born.space, how=JUDGED).because([made[0]])

    def tensors(self, region: Region, report: Report) -> None:
        """The training part of a split is judged, and the held-out part is never given to the model."""
        calls = region.of("model")
        if any(t.data.part in HELD_OUT for e in calls for t in e.inputs):
            return
        for call in calls:
            if call.grad is False and call.inputs and all(t.data.part == "train" for t in call.inputs):
                if any(any(d.module is call.module for d in e.value.deps) for e in region.of("compare")):
                    report(call.node, call.space, how=JUDGED)

    def arrays(self, region: Region, report: Report) -> None:
        """An estimator is measured on rows that it was fitted on, and those held out from it are not used."""
        fits: list[Any] = []
        scores: list[tuple[int, Tensor, Any]] = []  # which fit made the predictions, on what rows, and the score
        used: list[tuple[int, Value | None, Any]] = []  # rows predicted for, after how many fits, and who was judged
        last: Any = None
        measured = {event.node for event in region.of("measured")}
        for event in region.events:
            if event.kind == "fitted":
                fits.append(event)
            elif event.kind == "predicted":
                last = event
                of_its_fit = bool(fits) and fits[-1].node is event.node  # `fit` judges on its validation data
                used.append((len(fits), event.x, event.estimator if of_its_fit else None))
            elif event.kind == "measured" and last is not None and isinstance(last.x, Tensor):
                place = next((i for i, f in reversed([*enumerate(fits)]) if f.estimator is last.estimator), None)
                if place is not None and event.parts == {last.x.data.part}:
                    scores.append((place, last.x, event))
            elif event.kind in ("outside", "escape") and event.node not in measured:
                values = (v for value in event.values for v in flattened(value))
                held_out = (v for v in values if isinstance(v, Tensor) and v.data.part in HELD_OUT)
                used += [(len(region.events), v, None) for v in held_out]
        for place, rows, event in scores:
            fit = fits[place]
            if not isinstance(fit.x, Tensor):
                continue
            told = region.has("model", "loader") or any(
                judges(value, fit.x)
                for count, value, who in used
                if count > place and (who is None or who is fit.estimator)
            )
            if within(rows, fit.x) or (same_rows(rows, fit.x) and not told):
                report(event.node, event.space, how=JUDGED).because([Step(fit.space, fit.node, "fitted here")])


def flattened(value: Value) -> Sequence[Value]:
    """What a tuple, list or dict holds; any other value is all there is."""
    if isinstance(value, (Tuple, ListObject)):
        return value.items or ()
    return tuple(value.attrs.values()) if isinstance(value, DictObject) else (value,)


def judges(value: Value | None, fitted: Tensor) -> bool:
    """Whether a prediction for these rows can tell what a model fitted on others of their split is worth."""
    if not isinstance(value, Tensor) or not value.data.tokens:
        return True
    return value.data.splits >= fitted.data.splits and not same_rows(value, fitted)


def same_rows(rows: Tensor, fitted: Value | None) -> bool:
    """Whether rows are the training part of a split that a model was fitted on."""
    if not isinstance(fitted, Tensor) or not rows.data.tokens or not rows.data.splits:
        return False
    mine, theirs = rows.data, fitted.data
    return mine.part == theirs.part == "train" and (mine.tokens, mine.splits) == (theirs.tokens, theirs.splits)


def within(rows: Tensor, fitted: Value | None) -> bool:
    """Whether rows were held out from data on all of which a model was fitted."""
    if not isinstance(fitted, Tensor) or rows.data.part not in HELD_OUT:
        return False
    mine, theirs = rows.data, fitted.data
    whole = theirs.part is None and not theirs.splits and bool(theirs.tokens) and mine.tokens == theirs.tokens
    return whole and mine.order is not None and theirs.order is not None and theirs.order <= mine.order


def judged_loops(region: Region) -> list[Any]:
    """The loops over loaders in a program that judge a model: there and then, or by a score of what they gather."""
    gathered = region.of("gathered")
    if not gathered or not region.has("measured"):
        return list(region.of("evaluated"))
    scores = {event.node for event in region.of("measured")}
    values = (v for e in region.of("outside") if e.node in scores for given in e.values for v in flattened(given))
    tokens = {t for v in values if isinstance(v, Tensor) and v.deps for t in v.data.tokens}
    return [
        *region.of("evaluated"),
        *(e for e in gathered if tokens & info_of(e.loader.attrs.get("dataset")).tokens),
    ]


def since_training(region: Region, evaluated: Sequence[Any]) -> list[Any]:
    """Those of the evaluations that some training comes before, in the innermost loop that has both: a model that was
    loaded may be judged and never trained. Where a loader to train on is made, another run begins."""
    wanted = {id(event) for event in evaluated}
    trained = {id(event.loader) for event in region.of("trained")}
    found: list[Any] = []
    learnt = [False]  # of each region that is not over: whether there was training in it
    waiting: list[list[Any]] = [[]]  # and the evaluations before that
    for event in region.events:
        if event.kind == "enter":
            learnt.append(False)
            waiting.append([])
        elif event.kind == "leave":
            before, early = learnt.pop(), waiting.pop()
            if not before:
                (found if learnt[-1] else waiting[-1]).extend(early)
            learnt[-1] = learnt[-1] or before
        elif event.kind in ("backward", "trained"):
            learnt[-1] = True
        elif event.kind == "loader" and id(event.loader) in trained:
            learnt = [False] * len(learnt)
        elif id(event) in wanted:
            (found if learnt[-1] else waiting[-1]).append(event)
    return found


def in_another_branch(one: Step | None, other: Step | None) -> bool:
    """Whether two things are made in different branches of one `if`, of which no run takes both."""
    if one is None or other is None or one.space is not other.space:
        return False
    taken = dict(branches(one))
    return any(taken.get(fork, way) is not way for fork, way in branches(other))


def elsewhere(steps: list[Step | None], other: Step | None) -> bool:
    return any(in_another_branch(step, other) for step in steps)


def branches(step: Step) -> Iterator[tuple[Any, Any]]:
    """The `if` statements around a piece of code, with the branch that it stands in."""
    index, node = index_of(step.space), step.node
    while (outer := index.parent(node)) is not None:
        if outer.__class__ is cst.If and node is not outer.test:
            yield outer, node
        node = outer


USES = ("trained", "evaluated", "gathered", "walked", "next")


def same_options(one: Value, other: Value) -> bool:
    """Whether two values are the same objects."""
    return {id(option) for option in options(one)} == {id(option) for option in options(other)}


def is_idle(region: Region) -> bool:
    """Whether data are held out in a program and surely not used by it."""
    datasets, pieces = out_of_use(region)
    return bool(pieces) or any(dataset_part(dataset) in HELD_OUT for dataset in datasets)


def out_of_use(region: Region) -> tuple[list[Instance], list[DataInfo]]:
    """Data sets, and held-out pieces of split arrays, that a program surely does not use: no loader that it goes
    through serves them, and no code out of view gets hold of them."""
    used = (event.loader for kind in USES for event in region.of(kind))
    datasets = [loader.attrs.get("dataset") for loader in used]
    served = [part for dataset in datasets for part in parts_of(dataset)]
    if not served or any(not isinstance(part, Instance) or "$any" in part.attrs or part.cls is None for part in served):
        return [], []
    gone = [v for e in (*region.of("escape"), *region.of("outside")) for given in e.values for v in flattened(given)]
    held = [value for one in (*served, *gone) if isinstance(one, Instance) for value in one.attrs.values()]
    seen = {(id(v.born.node), dataset_part(v)) for v in (*served, *gone, *held) if isinstance(v, Instance) and v.born}
    made = [
        event.dataset for event in region.of("dataset") if (id(event.node), dataset_part(event.dataset)) not in seen
    ]
    data = [v.data for given in (*gone, *held) for v in flattened(given) if isinstance(v, Tensor)]
    pieces = [piece for event in region.of("split") for piece in event.held]
    return made, [p for p in pieces if not any(d.part == p.part and d.splits >= p.splits for d in data)]


def parts_of(dataset: Value | None, depth: int = 0) -> list[Value | None]:
    """A data set and those that it is made of."""
    if isinstance(dataset, Union):
        return [part for option in dataset.options for part in parts_of(option, depth)]
    found = [dataset]
    if isinstance(dataset, Instance) and depth < 6:
        inner = [dataset.attrs.get("dataset"), *flattened(dataset.attrs.get("$members", NONE))]
        found += [part for one in inner if isinstance(one, (Instance, Union)) for part in parts_of(one, depth + 1)]
    return found


def choices(loader: Instance, parts: Collection[Any] | None = None) -> list[tuple[Instance, Any]]:
    """The data sets that a loader may serve from, each with what identifies its samples; none where one is not known.
    Given the data of which parts are trained on, a subset of any other stands for the whole."""
    found: list[tuple[Instance, Any]] = []
    for dataset in options(loader.attrs.get("dataset", UNKNOWN)) if serves_whole(loader) else ():
        if isinstance(dataset, Const) and dataset.value is None:
            continue
        if not isinstance(dataset, Instance) or dataset.born is None or identity(dataset) is None:
            return []
        whole = dataset.attrs.get("dataset") if is_subset(dataset) and parts is not None else None
        if isinstance(whole, (Instance, Union)) and parts is not None and identity(whole) not in {None, *parts}:
            found += (
                (dataset if of is whole else of, identity(of)) for of in options(whole) if isinstance(of, Instance)
            )
        else:
            found.append((dataset, identity(dataset)))
    return found


def is_subset(dataset: Instance) -> bool:
    """Whether a data set surely is a part of another."""
    return "$random" in dataset.attrs or "$indices" in dataset.attrs


def served_by(loader: Instance) -> Any:
    """What identifies the samples a loader serves: its data where they are known, else the loader."""
    return same_data(loader) or Same(loader)


def same_data(loader: Instance) -> Any:
    """What identifies the samples a loader serves; None when they are not surely all of one data set."""
    return identity(loader.attrs.get("dataset")) if serves_whole(loader) else None


def serves_whole(loader: Instance) -> bool:
    """Whether a loader surely serves all of its data set."""
    chosen = [loader.attrs.get("sampler"), loader.attrs.get("batch_sampler")]
    return not loader.attrs.get("$open") and all(is_none(sampler) or serves_all(sampler) for sampler in chosen)


def serves_all(sampler: Value | None) -> bool:
    """Whether a sampler chooses from the whole of its data set."""
    if isinstance(sampler, Union):
        return all(serves_all(option) for option in sampler.options)
    if not isinstance(sampler, Instance) or not sampler.api_path.startswith("torch.utils.data."):
        return False
    if sampler.api_path.endswith(".BatchSampler"):
        inner = sampler.attrs.get("sampler")
        return isinstance(inner, Instance) and serves_all(inner)
    return sampler.describe() in ("RandomSampler", "SequentialSampler", "WeightedRandomSampler", "DistributedSampler")


def identity(dataset: Value | None) -> Any:
    """Equal for two data sets that surely hold the same samples; None when that can't be told."""
    if isinstance(dataset, Union):
        parts = [identity(option) for option in dataset.options]
        return None if None in parts else frozenset(parts)
    if not isinstance(dataset, Instance) or (isinstance(dataset.cls, Class) and not serves_items(dataset.cls)):
        return None
    if dataset.attrs.get("$random") is not None or "$indices" in dataset.attrs or is_drawn(dataset):
        return id(dataset)
    tensors = dataset.attrs.get("$tensors")
    if isinstance(tensors, Tuple):
        if tensors.items and all(isinstance(t, Tensor) and t.data.tokens for t in tensors.items):
            return frozenset(
                (t.data.tokens, t.data.part, t.data.splits) for t in tensors.items if isinstance(t, Tensor)
            )
        return frozenset(id(t) for t in tensors.items)
    if (known := bundled(dataset)) and isinstance(train := dataset.attrs.get("train"), Const):
        return (known, train.key)
    made = dataset.attrs.get("$made")
    if made:
        return (dataset.cls.key if dataset.cls is not None else None, made)
    sources = roots(dataset)
    if any(isinstance(source, Instance) and "$any" in source.attrs for source in sources):
        return None
    return frozenset(id(source) for source in sources)


def is_drawn(dataset: Instance) -> bool:
    """Whether a data set serves random numbers that it draws when it is made."""
    return any(isinstance(v, Tensor) and v.data.shuffled and not v.data.tokens for v in dataset.attrs.values())


def serves_items(cls: Class) -> bool:
    """Whether a class of data sets is seen to serve sample by sample: by its own method, or as torchvision's do."""
    return cls.find("__getitem__") is not None or any(path.startswith("torchvision.datasets.") for path in cls.api)


def is_none(value: Value | None) -> bool:
    return value is None or any(isinstance(o, Const) and o.value is None for o in options(value))
