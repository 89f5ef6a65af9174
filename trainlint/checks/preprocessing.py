"""What is done to samples before the model sees them: augmentation, and scaling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import Any

import libcst as cst

from trainlint.api import Call, Report, Rule, on
from trainlint.checks.augmenting import (
    apis_called,
    attribute,
    changed_by_switch,
    changed_when_read,
    has_base,
    own_draws,
    own_random,
    picks_by_flag,
)
from trainlint.checks.data import (
    HELD_OUT,
    comes_by,
    datasets_of,
    in_another_branch,
    is_subset,
    judged_loops,
    parts_of,
    same_data,
    same_options,
    since_training,
    source,
    wholes_of,
)
from trainlint.semantics.behaviours.data import (
    augments,
    called_as,
    dataset_part,
    ready_made,
    stored_as,
)
from trainlint.semantics.behaviours.keras import SCALING
from trainlint.semantics.interpreter import Region, dotted_name
from trainlint.semantics.journal import APPLIED
from trainlint.semantics.values import (
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
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
    options,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, keyword, names_in, positional


def transforms_of(dataset: Value | None, depth: int = 0) -> Any:
    """The random transform that a data set surely applies."""
    if isinstance(dataset, Union):
        found = [transforms_of(option, depth) for option in dataset.options]
        return None if None in found else found[0]
    if not isinstance(dataset, Instance) or depth > 6:
        return None
    held = [v for name, v in dataset.attrs.items() if isinstance(name, str) and "target" not in name]
    applied = dataset.attrs.get(APPLIED)
    if applied is not None and not has_base(dataset):  # it was seen how a sample is read
        held = list(applied)
    elif picks_by_flag(dataset):
        held = []
    for value in held:
        if isinstance(value, (Instance, Union)):
            steps = [augments(option) for option in options(value)]
            if None not in steps:
                return steps[0]
    return transforms_of(dataset.attrs.get("dataset"), depth + 1)


def optional(dataset: Value | None) -> tuple[Value, Any] | None:
    """The transform of a data set that is random if a setting says so, and its random step."""
    while isinstance(dataset, Instance):
        value = dataset.attrs.get("transform")
        for option in options(value) if isinstance(value, (Instance, Union)) else ():
            for step in (option, *steps_it_may_have(option)):
                if (found := augments(step)) is not None:
                    return value, found  # type: ignore[return-value]
        dataset = dataset.attrs.get("dataset")
    return None


def steps_it_may_have(transform: Value) -> Iterator[Value]:
    """What a pipeline may be made of: any of some lists of steps, and what a list holds whose items are not known."""
    held = transform.attrs.get("$steps") if isinstance(transform, Instance) else None
    for steps in options(held) if isinstance(held, (ListObject, Union)) else ():
        if isinstance(steps, ListObject) and steps.items is None:
            yield from options(steps.attrs["element"])
        elif isinstance(held, Union):
            yield steps


class AugmentationInEvaluation(Rule):
    """Held-out data are changed at random."""

    code, name = "TL405", "augmentation-in-evaluation"
    message = "{how}"

    @on("dataset")
    def made(self, fact: Any, report: Report) -> None:
        node, dataset, _ = fact
        part = dataset_part(dataset)
        step = transforms_of(dataset)
        if part in HELD_OUT and step is not None:
            born = dataset.born
            space = born.space if born is not None and born.node is node else report.space()
            draft = report(transform_given(node), space, how=augmented(HELD_OUT[part], step.label))
            draft.because([step, Step(space, node, "made here")])

    @on("program", having="evaluated")
    def evaluated(self, region: Region, report: Report) -> None:
        """What a loop evaluates is held out: the random half of a split, or data that no loop trains on; and the
        transform of what is declared as held out may be given to it later."""
        trained = {same_data(e.loader) for e in region.of("trained")}
        for event in region.of("evaluated"):
            for dataset in options(event.loader.attrs.get("dataset", UNKNOWN)):
                step = transforms_of(dataset)
                if step is None or not isinstance(dataset, Instance):
                    continue
                part = dataset_part(dataset)
                if is_subset(dataset):
                    if part in HELD_OUT or apart(event.loader, trained):
                        report(step.node, step.space, how=augmented("held-out", step.label)).because([dataset.born])
                elif dataset.born is not None and (part in HELD_OUT or apart(event.loader, trained)):
                    at = transform_given(dataset.born.node)
                    draft = report(
                        at, dataset.born.space, how=augmented(HELD_OUT.get(part or "", "held-out"), step.label)
                    )
                    draft.because([step, dataset.born])

    @on("program", having="evaluated trained")
    def shared(self, region: Region, report: Report) -> None:
        """A transform that is random if a setting says so is the same for training and for what is held out from it."""
        learnt = datasets_of(event.loader for event in region.of("trained"))
        known = [found[0] for dataset in learnt if (found := optional(dataset))]
        trained = {same_data(event.loader) for event in region.of("trained")}
        for event in since_training(region, region.of("evaluated")) if known else ():
            for dataset in options(event.loader.attrs.get("dataset", UNKNOWN)):
                found, part = optional(dataset), dataset_part(dataset)
                if not isinstance(dataset, Instance) or not found or transforms_of(dataset) is not None:
                    continue
                whole = next(wholes_of(dataset), dataset)  # what has the transform
                held_out = part in HELD_OUT or (whole is not dataset and apart(event.loader, trained))
                if held_out and whole.born is not None and any(same_options(found[0], value) for value in known):
                    how = augmented(HELD_OUT.get(part or "", "held-out"), found[1].label)
                    draft = report(transform_given(whole.born.node), whole.born.space, how=how)
                    draft.because([found[1], whole.born])

    @on("program", having="trained")
    def own(self, region: Region, report: Report) -> None:
        """The project's own code changes pictures at random: in a transform for training that serves held-out data too,
        where it is called after that or others have one that does not; or in the class that reads both."""
        loaders = [event.loader for event in region.of("trained")]
        trained, seen = {same_data(loader) for loader in loaders}, set()
        learnt = datasets_of(loaders)
        shared = {id(value) for dataset in learnt for value in transforms_in(dataset)}
        common = {step.node for dataset in learnt for step in random_steps(dataset)}
        learnt_with = {step.cls for dataset in learnt for step in own_augmentations(dataset)}
        judged = [(event.loader.attrs.get("dataset"), apart(event.loader, trained)) for event in judged_loops(region)]
        for dataset, other in [*judged, *((made.dataset, False) for made in region.of("dataset"))]:
            if not isinstance(dataset, Instance) or dataset.born is None or id(dataset) in seen:
                continue
            part = dataset_part(dataset)
            if part not in HELD_OUT and not other:
                continue
            seen.add(id(dataset))
            augmenting = next((one for one in own_augmentations(dataset) if one.cls in learnt_with), None)
            if augmenting is not None and augmenting.born is not None:
                at, label = transform_given(dataset.born.node), augmenting.born.label
                draft = report(at, dataset.born.space, how=augmented(HELD_OUT.get(part or "", "held-out"), label))
                draft.because([augmenting.born, dataset.born])
                continue
            if not any(dataset is value for value, _ in judged):
                continue
            if (step := next((s for s in random_steps(dataset) if s.node in common), None)) is not None:
                report(step.node, step.space, how=augmented(HELD_OUT.get(part or "", "held-out"), step.label))
                continue
            steps = (own_random(value) for value in transforms_in(dataset) if id(value) in shared)
            step = next((step for step in steps if step is not None), None)
            if step is None or not any(is_plain(made) for *_, made in region.of("dataset")):
                changes = [changed_when_read(one) for one in options(read_by(dataset))]
                step = None if None in changes else changes[0]
            step = step or changed_by_switch(dataset, (made.dataset for made in region.of("dataset")))
            if step is not None:
                at = transform_given(dataset.born.node)
                draft = report(at, dataset.born.space, how=augmented(HELD_OUT.get(part or "", "held-out"), step.label))
                draft.because([step, dataset.born])

    @on("program", having="dataset")
    def judged_alone(self, region: Region, report: Report) -> None:
        """The same in a program that only evaluates, of data that are declared as held out."""
        loops = () if region.has("trained", "backward") else (*region.of("evaluated"), *region.of("gathered"))
        for dataset in datasets_of(event.loader for event in loops):
            part = dataset_part(dataset)
            step = changed_when_read(dataset) if part in HELD_OUT else None
            if step is not None and isinstance(dataset, Instance) and dataset.born is not None:
                at, how = transform_given(dataset.born.node), augmented(HELD_OUT[part or ""], step.label)
                report(at, dataset.born.space, how=how).because([step, dataset.born])

    @on("store")
    def given(self, fact: Any, report: Report) -> None:
        """A part of a data set gives the whole a transform: `part.dataset.transform = …`."""
        owner, name, value, node = fact
        whole = getattr(node, "value", None)
        if not gives_transform(name) or not isinstance(owner, Instance) or not isinstance(whole, cst.Attribute):
            return
        part, former = report.interp.peek(whole.value), owner.attrs.get(name)
        if isinstance(part, Instance) and is_subset(part) and part.attrs.get("dataset") is owner:
            report.interp.event("given_transform", node, owner, part, augments(former), augments(value))

    @on("program", having="given_transform trained evaluated")
    def taken_away(self, region: Region, report: Report) -> None:
        """The transform of the held-out part takes the place of that for training, as both are of one data set."""
        given = region.of("given_transform")
        judged = {id(event.loader.attrs.get("dataset")) for event in region.of("evaluated")}
        learnt = [event.loader.attrs.get("dataset") for event in region.of("trained")]
        for place, event in enumerate(given):
            later = (other for other in given[place + 1 :] if other.dataset is event.dataset)
            if event.former is None or event.now is not None or any(other.now is not None for other in later):
                continue
            parts = [one for one in learnt if isinstance(one, Instance) and one.attrs.get("dataset") is event.dataset]
            if parts and event.subset not in parts and id(event.subset) in judged:
                how = "the training part loses its random transform (@) too, as both are parts of one data set"
                report(event.node, event.space, how=how).because([event.former])

    @on("varied")
    def piped(self, fact: tuple[Any, str, Any], report: Report) -> None:
        """A step of a pipeline of TensorFlow changes held-out images at random."""
        node, part, change = fact
        what = called(change.node)
        report(node, how=augmented(HELD_OUT[part], what)).because([Step(change.space, change.node, what)])

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """Keras draws the images for validation from a generator that changes them at random."""
        given = call.value("validation_data", 8)
        if isinstance(given, Instance) and isinstance(given.cls, Class) and given.born is not None:
            step = transforms_of(given) or changed_when_read(given)
            step = step or changed_by_switch(given, [call.value("x", 1) or UNKNOWN])
            if step is not None:
                report(given.born.node, given.born.space, how=augmented("validation", step.label)).because([step])
        generator = generator_of(given)
        changes = next((name for name in AUGMENTING if name in generator.attrs), "") if generator else ""
        if changes and generator and not generator.attrs["$open"] and isinstance(given, Instance) and given.born:
            if is_switched_on(generator.attrs[changes]):
                part = HELD_OUT.get(str(given.attrs["$part"]), "validation")
                report(given.born.node, given.born.space, how=augmented(part, changes)).because([generator.born])


def augmented(part: str, what: str) -> str:
    """What is wrong where data that are held out change from time to time."""
    return f"the {part} data are augmented at random by `{what}`, so results change from run to run and are too low"


def transform_given(made: Any) -> Any:
    """The argument that gives a data set its transform, where it has a name, or the whole call."""
    given = [a.value for a in getattr(made, "args", ()) if a.keyword is not None and gives_transform(a.keyword.value)]
    return given[0] if len(given) == 1 else made


def gives_transform(name: str) -> bool:
    return "transform" in name and "target" not in name


def transforms_in(dataset: Value | None) -> list[Instance]:
    """The transforms that a data set holds."""
    held = dataset.attrs.items() if isinstance(dataset, Instance) else ()
    return [value for name, value in held if isinstance(value, Instance) and gives_transform(str(name))]


def own_augmentations(dataset: Value | None) -> Iterator[Instance]:
    """The random transforms of the project's own in the pipelines that a data set was given and surely applies, called
    after what they change."""
    if not isinstance(dataset, Instance):
        return
    applied = dataset.attrs.get(APPLIED)
    if applied is None and picks_by_flag(dataset):
        return
    for value in transforms_in(dataset):
        known = applied if isinstance(dataset.cls, Class) and not has_base(dataset) else None
        if known is not None and value not in known:
            continue
        yield from (one for one in own_draws(value) if one.born is not None and AUGMENTS.search(one.born.label))


def random_steps(dataset: Value) -> Iterator[Step]:
    """The transforms of the project's own that its data set surely applies when it reads a sample, and made there; that
    draw numbers, and are called after what they change."""
    applied = dataset.attrs.get(APPLIED, ()) if isinstance(dataset, Instance) else ()
    given = {id(value) for value in transforms_in(dataset)}
    for step in (own_random(value) for value in applied if id(value) not in given):
        if step is not None and AUGMENTS.search(step.label):
            yield step


def read_by(dataset: Value) -> Value:
    """The data set whose class reads the samples of a subset."""
    inner = dataset.attrs.get("dataset") if isinstance(dataset, Instance) and is_subset(dataset) else None
    return read_by(inner) if isinstance(inner, (Instance, Union)) else dataset


def is_plain(dataset: Instance) -> bool:
    """Whether a data set has a transform that is surely no random one."""
    found = transforms_in(dataset)
    return bool(found) and all(augments(t) is None and own_random(t) is None and chain_of(t) for t in found)


AUGMENTS = re.compile(r"rand|aug|flip|jitter|crop|rotat|blur|distort|cutout|erase", re.IGNORECASE)

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


NORMALIZE, INTENSITY = "$normalize", "$intensity"  # of a transform: what it makes the numbers by


def normalisations(dataset: Instance) -> set[tuple[Any, ...] | None] | None:
    """The statistics that a data set's transform normalises with, each with the bounds of its channels: () for none at
    all, several where a branch chooses the transform, with None among them where it may leave a step out; None when it
    cannot be told whether there are any."""
    dataset = viewed(dataset)
    pipelines = [
        v
        for k, v in dataset.attrs.items()
        if isinstance(k, str) and gives_transform(k) and isinstance(v, (Instance, Union))
    ]
    chains = [chain_of(option) for pipeline in pipelines for option in options(pipeline)]
    if len(pipelines) > 1:  # such as one for images with their masks, which normalises nothing
        plain = [chain for chain in chains if chain is not None and all(isinstance(s.cls, Class) for s in chain[0])]
        chains = [chain for chain in chains if chain not in plain]
        if len(chains) != 1 or any(scales(step) for steps, _ in plain for step in steps):
            return None
    found: set[tuple[Any, ...] | None] = set()
    for chain in chains:
        if chain is None or any(scales(step) and not own_statistics(step) for step in chain[0]):
            return None
        statistics = tuple(channels(value) for step in chain[0] for value in statistics_of(step))
        found |= {statistics} if chain[1] or not statistics else {statistics, None}
    return found or None


def viewed(dataset: Instance) -> Instance:
    """The data set that a subset takes its samples from, as that transforms them; any other itself, and those of the
    hub, each of which is put through a function of its own."""
    if "transform" in dataset.attrs and dataset.api_path == "datasets.Dataset":
        return dataset
    inner = dataset.attrs.get("dataset")
    return inner if is_subset(dataset) and isinstance(inner, Instance) and dataset.cls.__class__ is Api else dataset


def chain_of(transform: Value | None, depth: int = 0) -> tuple[list[Instance], bool] | None:
    """The single transforms of a pipeline, among them those of the project's own classes, and whether all of them
    surely run; None when they are not all known."""
    if isinstance(transform, Instance) and isinstance(transform.cls, Class):
        if not transform.attrs and isinstance(transform.cls.find("__init__"), Function):
            return None  # what it was made with was not followed
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


def statistics_of(step: Instance) -> list[Value]:
    """What a transform makes numbers by."""
    return [value for name in (NORMALIZE, INTENSITY) for value in step.attrs.get(name, ())] or own_statistics(step)


def own_statistics(step: Instance) -> list[Value]:
    """The mean and deviation that a transform of the project's own holds and has torchvision normalise each image by,
    which is all that it reckons; [] for any other."""
    function = called_as(step)
    if function is None or not isinstance(step.cls, Class):
        return []
    calls = [node for node, _, path in apis_called(function, step.cls) if path.endswith("functional.normalize")]
    if len(calls) != 1 or not comes_by(function.node.body, {calls[0]}):
        return []
    images = {parameter.name.value for parameter in function.node.params.params} - {"self"}
    given = [keyword(calls[0], name) for name in ("mean", "std")]
    given = [one or place for one, place in zip(given, [*positional(calls[0])[1:], None, None], strict=False)]
    values = [attribute(node, step) for node in given]
    reckons = any(rescales(node, images) for node in nodes_in(function.node.body))
    return [] if reckons or None in values else values


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
        served = datasets_of(event.loader for event in region.of("loader"))
        run = datasets_of(e.loader for kind in ("trained", "evaluated", "gathered") for e in region.of(kind))
        run += datasets_of(loader for event in region.of("tested") for loader in event.loaders)
        seen = datasets_of(event.loader for event in region.of("walked"))
        learnt = {id(d) for e in region.of("trained") for d in parts_of(e.loader.attrs.get("dataset"))}
        trained = [(d, normalisations(d)) for *_, d in made if dataset_part(d) == "train" and pixels(d)]
        trained = [(d, found) for d, found in trained if id(d) in learnt] or trained  # part of them may be held out
        within = rewritten([*served, *(d for *_, d in made)]) if trained else []
        learnt_from = datasets_of(event.loader for event in region.of("trained"))
        for _, node, space, dataset in made if trained else ():
            part, given = dataset_part(dataset), normalisations(dataset)
            if part not in HELD_OUT or given is None or dataset in within:
                continue
            twins = [(t, None if t in within else found) for t, found in trained if pixels(t) == pixels(dataset)]
            if dataset in seen and dataset not in run and any(of_one_kind(d, dataset) for d in run):
                continue  # they are only looked at
            if dataset not in served and any(of_one_kind(d, dataset) and normalised_like(d, twins) for d in served):
                continue  # as they are for something else: the model gets this part by another data set
            choices = [datasets_of([event.loader]) for event in region.of("loader")]
            choices = [choice for choice in choices if any(made_at(d, node) for d in choice)]
            kinds = [dataset, *learnt_from]
            if choices and all(any(not any(of_one_kind(d, k) for k in kinds) for d in choice) for choice in choices):
                continue  # whichever data set is asked for is looked at, for another purpose
            unknown = [d for *_, d in made if dataset_part(d) is None and pixels(d) == pixels(dataset)]
            unknown = [d for d in unknown if not in_another_branch(d.born, dataset.born)]
            others = [t for t, _ in trained if id(t) in learnt and pixels(t) != pixels(dataset)]
            if any(normalised_like(d, [(dataset, given)]) for d in (*unknown, *others)):
                continue  # which may be what this model is trained on, where there are several data sets
            if how := differently(given, twins):
                report(node, space, part=HELD_OUT[part], how=how).because([twins[0][0].born])

    @on("program", having="evaluated trained")
    def judged(self, region: Region, report: Report) -> None:
        """The same of data that are held out only by what a program does with them."""
        learnt = [e.loader for e in region.of("trained")]
        served = datasets_of(learnt)
        trained = [(d, normalisations(d)) for d in served if isinstance(d, Instance) and pixels(d)]
        seen = {same_data(loader) for loader in learnt}
        told = [d for *_, d in region.of("dataset") if dataset_part(d) in HELD_OUT]
        known = any(dataset_part(d) == "train" for *_, d in region.of("dataset"))
        for event in since_training(region, region.of("evaluated")) if trained else ():
            dataset = event.loader.attrs.get("dataset")
            if not isinstance(dataset, Instance) or not apart(event.loader, seen):
                continue
            given = normalisations(dataset)
            if dataset_part(dataset) in HELD_OUT and not is_subset(dataset) and known:
                continue  # `check` has looked at it
            if given is not None and viewed(dataset) is not dataset:
                if any(normalised_like(other, [(dataset, given)]) for other in told if viewed(other) is other):
                    continue  # and at this one, which is transformed as the test data are
            twins = [(t, found) for t, found in trained if pixels(t) == pixels(dataset)]
            if any(normalised_like(t, [(dataset, given)]) for t, _ in trained if pixels(t) != pixels(dataset)):
                continue
            made = viewed(dataset).born
            if made is not None and given is not None and (how := differently(given, twins)):
                draft = report(made.node, made.space, part="held-out", how=how)
                draft.because([twins[0][0].born])

    @on("validated")
    def of_functions(self, fact: Any, report: Report) -> None:
        """The same of data of the hub, whose transforms functions apply when rows are asked for."""
        learnt, judged, _ = fact
        trained, seen = put_through(learnt), put_through(judged)
        if len(trained) != len(learnt):
            return
        twins = [(one, normalisations(one)) for one in trained]
        for dataset in seen:
            given, transform = normalisations(dataset), dataset.attrs["transform"].born
            if given is not None and transform is not None and (how := differently(given, twins)):
                part = HELD_OUT[dataset_part(dataset) or "val"]
                report(transform.node, transform.space, part=part, how=how).because(
                    [twins[0][0].attrs["transform"].born]
                )

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
        learnt = [event for event in calls if event.grad]
        served = datasets_of(event.loader for event in region.of("trained")) if learnt else []
        for event in calls if learnt else ():
            places = [place for place, judged in enumerate(event.inputs) if judged.data.part in HELD_OUT]
            if event.grad or not places:
                continue
            trained = [e for e in learnt if e.module is event.module and len(e.inputs) == len(event.inputs)]
            for place in places:
                judged = event.inputs[place]
                given = [e.inputs[place] for e in trained if is_trained_part(e.inputs[place], judged)]
                found = {scaled_apart(one, judged) or pixels_apart(served, judged) for one in given}
                if len(found) == 1 and (how := found.pop()):
                    because = [Step(trained[0].space, trained[0].node, "trained")]
                    report(event.node, event.space, part=HELD_OUT[judged.data.part], how=how).because(because)


def put_through(loaders: list[Instance]) -> list[Instance]:
    """The data sets of the hub whose images pass a transform that is known, and nothing else."""
    found = (d for d in datasets_of(loaders) if isinstance(d, Instance) and d.attrs.get("$alone") is TRUE)
    return [d for d in found if isinstance(d.attrs["transform"], Instance)]


def pixels_apart(trained: list[Value], judged: Tensor) -> str:
    """In words, that images are as a ready-made data set stores them, where a model is trained on what `ToTensor` makes
    of such images; "" for any others."""
    if judged.data.scaled or (judged.lo, judged.hi) != (0, 255):
        return ""
    names = {ready_made(dataset) if isinstance(dataset, Instance) else "" for dataset in trained}
    if names and all(name and stored_as(name, judged.data.part) in judged.data.tokens for name in names):
        if all(isinstance(dataset, Instance) and makes_tensors(dataset) for dataset in trained):
            return "pixels from 0 to 255 and `ToTensor` scales the training data to lie from 0 to 1"
    return ""


def makes_tensors(dataset: Instance) -> bool:
    """Whether a data set's images are what `ToTensor` makes of them, and nothing of the project's own changes that."""
    chains = [chain_of(option) for option in options(viewed(dataset).attrs.get("transform", UNKNOWN))]
    steps = [{"" if isinstance(s.cls, Class) else s.describe() for s in chain[0]} for chain in chains if chain]
    return len(steps) == len(chains) and all("ToTensor" in names and not names & {"", "Lambda"} for names in steps)


def pixels(dataset: Value) -> Any:
    """What identifies the kind of samples, before any transform: those of a ready-made data set, too, of which a class
    of the project's chooses some."""
    if not isinstance(dataset, Instance):
        return None
    own = dataset.cls
    while isinstance(own, Class) and not _STATISTICS.search(" ".join(names_in(own.node))):
        if any(
            rescales(node, {"self"}) and called(getattr(node, "left", None)) != "len" for node in nodes_in(own.node)
        ):
            break
        own = next((base for base in own.bases if isinstance(base, (Class, Api))), None)
    return (ready_made(dataset) if isinstance(own, Api) else "") or source(dataset)


def differently(held_out: set[tuple[Any, ...] | None], trained: list[tuple[Instance, Any]]) -> str:
    """In words, how data are normalised that surely are so otherwise than all training data; "" for any other."""
    if not trained or not all(found is not None and normalised_apart(found, held_out) for _, found in trained):
        return ""
    if () not in held_out | trained[0][1]:
        return "normalised with other constants than the training data"
    known = () not in held_out
    return f"{'' if known else 'not '}normalised and the training data are{' not' if known else ''}"


def rewritten(datasets: list[Value]) -> list[Value]:
    """The data sets whose samples a data set of the project's own class serves, changed as its code says."""
    own = [d for d in datasets if isinstance(d, Instance) and isinstance(d.cls, Class)]
    held = [option for d in own for value in d.attrs.values() if isinstance(value, Value) for option in options(value)]
    for part in held:  # the list grows by what these are parts of
        inner = part.attrs.get("dataset") if isinstance(part, Instance) and part.family == "dataset" else None
        held += options(inner) if isinstance(inner, Value) else ()
    return [value for value in held if isinstance(value, Instance)]


def of_one_kind(one: Value, other: Instance) -> bool:
    """Whether two data sets are made of the same data, and of the same part of these."""
    return isinstance(one, Instance) and pixels(one) == pixels(other) and dataset_part(one) == dataset_part(other)


def made_at(dataset: Value, node: Any) -> bool:
    """Whether a data set is made at a place, at whatever time."""
    return isinstance(dataset, Instance) and dataset.born is not None and dataset.born.node is node


def normalised_like(held_out: Value, trained: list[tuple[Instance, Any]]) -> bool:
    """Whether data are normalised as some of the training data."""
    given = normalisations(held_out) if isinstance(held_out, Instance) else None
    return given is not None and any(found is not None and not normalised_apart(found, given) for _, found in trained)


def scaling(generator: Instance) -> frozenset[Any] | None:
    """The options of a generator of images that scale them; None where not all are known."""
    given = {name: generator.attrs[name] for name in SCALING if name in generator.attrs}
    known = {name: value.value for name, value in given.items() if isinstance(value, Const)}
    known |= {name: value.path for name, value in given.items() if isinstance(value, Api)}  # a library's function
    if len(known) < len(given):
        return None
    return frozenset((name, value) for name, value in known.items() if value)


def is_trained_part(trained: Tensor, judged: Tensor) -> bool:
    """Whether a model was trained on the training part of data, or on the other side of a cut."""
    other_side = trained.data.part is None and bool(trained.data.splits and judged.data.splits)
    return trained.data.part == "train" or other_side


_BY_NUMBER = re.compile(r"divided by (\d.*)")


def divisor(scaled: frozenset[tuple[str, int]]) -> float | None:
    """The number that data are divided by in all; None where something else was done to them, too."""
    found = [_BY_NUMBER.match(what) for what, _ in scaled]
    return prod(float(one[1]) for one in found if one) if all(found) else None


def differ(mine: float | None, theirs: float | None) -> bool:
    """Whether two divisors are known, and no two ways to say much the same."""
    return mine is not None and theirs is not None and abs(mine - theirs) > 0.05 * max(mine, theirs)


def scaled_apart(trained: Value | None, judged: Tensor) -> str:
    """In words, what was done to only one of two parts of the same data; "" where they are known to be scaled alike,
    or nothing is known."""
    if not isinstance(trained, Tensor) or trained.data.part in HELD_OUT or judged.data.part not in HELD_OUT:
        return ""
    mine, theirs = judged.data.scaled, trained.data.scaled
    of_one = is_trained_part(trained, judged) and bool(trained.data.tokens & judged.data.tokens)
    from_its_file = bool(trained.data.tokens) and judged.data.part == "test" and not judged.data.splits
    if mine is None or theirs is None or not (of_one or from_its_file):
        return ""
    if mine and theirs:  # by the same statistics, perhaps, yet not by the same constant
        mine, theirs = (frozenset(one for one in found if _BY_NUMBER.match(one[0])) for found in (mine, theirs))
    if mine and theirs and not differ(divisor(mine), divisor(theirs)):
        return ""
    if mine and theirs:
        return f"{min(mine)[0]} and the training data {min(theirs)[0]}"
    if not mine and not theirs:
        return ""
    if theirs:
        return f"not {min(theirs)[0]} as the training data are"
    return f"{min(mine)[0]} and the training data are not"
