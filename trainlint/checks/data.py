"""Data: how they are split, ordered and served."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import libcst as cst

from trainlint.api import Call, Report, Rule, on
from trainlint.checks.nodes import ALL, judged_nodes, judged_rows, learnt_losses, learnt_nodes, rows_of
from trainlint.checks.repairs import argument_for, definition, index_of, reaching
from trainlint.checks.rows import (
    all_rows,
    begin_alike,
    begins,
    by_shares,
    cut_apart,
    drawn_apart,
    is_chosen_of,
    is_held_out_of,
    is_within,
    overlap,
    parted,
    rows_in,
    run_of_rows,
    span,
)
from trainlint.findings import Severity
from trainlint.semantics.behaviours.data import (
    LISTED,
    Same,
    bundled,
    dataset_part,
    info_of,
    is_anything,
    is_one,
    part_in_path,
    roots,
    sameness,
    two_sided,
)
from trainlint.semantics.behaviours.keras import SERIES, SERIES_LAYERS
from trainlint.semantics.behaviours.lists import held
from trainlint.semantics.behaviours.pipelines import PATHS
from trainlint.semantics.classes import ROWS
from trainlint.semantics.interpreter import Interpreter, Region, dotted_name, loop_use, nested, outwards, target_names
from trainlint.semantics.library import NODE_MASKS, is_of_torch
from trainlint.semantics.modules import contents
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    NONE,
    OF_NODES,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DataInfo,
    DictObject,
    Function,
    Instance,
    ListObject,
    Number,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    const,
    is_predicted,
    options,
    truth,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, contains, is_name, keyword, names_in, positional, words_in

VALIDATION = re.compile(r"(^|_|\d)(val(?!u)|dev(_|$|set|l)|eval(_|$|set|l))|valid", re.IGNORECASE)
TEST = re.compile(r"test", re.IGNORECASE)
HELD_OUT = {"val": "validation", "test": "test"}  # parts of the data, and what users call them
_SLICE = re.compile(r"(\d*)(%?):(\d*)(%?)\]")
PLACES = ("$indices", "indices")  # what a part of a data set keeps of how it was chosen
JOINED = (".ConcatDataset", "datasets.Dataset", ".Dataset.zip")  # have all samples of several others
JUDGED = "evaluated on the data it was trained on"
MISTAKEN = "evaluated on the part that is for training, though it is called held out"
UNSPLIT = "trained on all rows, those among them that are held out (@) and that it is evaluated on"
REDRAWN = "evaluated on a part of a second random split, which holds rows that it was trained on"


def fixed_order(loader: Instance) -> bool:
    """Whether a loader surely serves its samples in the same order each epoch."""
    attrs = loader.attrs
    if attrs.get("$open"):
        return False
    given = [attrs[name] for name in ("sampler", "batch_sampler") if not is_none(attrs.get(name))]
    if given:
        return len(given) == 1 and is_in_order(given[0])
    shuffle = shuffling(loader)
    return shuffle is None or (isinstance(shuffle, Const) and not shuffle.value)


def shuffling(loader: Instance) -> Value | None:
    """What a loader is told of shuffling: as an option, or by a step of a pipeline."""
    told: Value | None = loader.attrs.get("$shuffle", loader.attrs.get("shuffle"))
    return told


def asked_in_order(loader: Instance) -> Step:
    """Where a program says that a loader keeps the order: a sampler, an argument, or the call that has neither."""
    assert loader.born is not None
    given = [
        o for name in ("sampler", "batch_sampler") for o in options(loader.attrs.get(name, NONE)) if is_in_order(o)
    ]
    made = given[0].born if given and isinstance(given[0], Instance) else None
    batched = batched_at(loader)
    return made or Step(batched.space, keyword(batched.node, "shuffle") or batched.node, "in order")


def is_in_order(sampler: Value | None) -> bool:
    """Whether a sampler surely serves all samples in the order in which they are stored, or may do so where the only
    other one shares them out among several processes."""
    if isinstance(sampler, Union):
        others = [option for option in sampler.options if not is_in_order(option)]
        shared = all(isinstance(o, Instance) and o.api_path.endswith(".DistributedSampler") for o in others)
        return shared and len(others) < len(sampler.options)
    if not isinstance(sampler, Instance) or not sampler.api_path.startswith("torch.utils.data."):
        return False
    if sampler.api_path.endswith(".BatchSampler"):
        return is_in_order(sampler.attrs.get("sampler"))
    shuffle = sampler.attrs.get("shuffle")
    unshuffled = isinstance(shuffle, Const) and shuffle.value is False
    return sampler.describe() == "SequentialSampler" or (sampler.describe() == "DistributedSampler" and unshuffled)


def ordered_data(value: Value | None, depth: int = 0) -> bool:
    """Whether a data set surely is map-style and keeps the order in which its data were stored."""
    if depth > 6:
        return False
    if isinstance(value, Union):
        return all(ordered_data(option, depth + 1) for option in value.options)
    if isinstance(value, Tensor):
        return value.nature in OF_NODES and not value.data.shuffled
    if isinstance(value, Instance):
        marks = {"$few", "$shuffled", "$switched"}
        if value.family == "iterable" or marks & value.attrs.keys() or is_drawn(value):
            return False
        if "$members" in value.attrs:
            members = contents(value.attrs["$members"])
            return bool(members) and all(ordered_data(member, depth + 1) for member in members)
        if any(is_shuffled(v) for k, v in value.attrs.items() if k not in PLACES):
            return False
        tensors = value.attrs.get("$tensors")
        if isinstance(tensors, Tuple):
            return bool(tensors.items) and not any(isinstance(t, Tensor) and t.data.shuffled for t in tensors.items)
        if isinstance(value.cls, Class):
            item = value.cls.find("__getitem__")
            stored = in_stored_order(item, value) if isinstance(item, Function) else serves_items(value)
            return stored and value.cls.find("__iter__") is None
        if value.cls is None and "$file" in value.attrs:
            return "[0]" in value.attrs  # it is seen to be indexed
        inner = value.attrs.get("dataset")
        if "$random" in value.attrs and (inner is UNKNOWN or is_foreign(inner)):
            return True  # whatever is split at random is asked for sample by sample
        if isinstance(inner, Value):
            return not is_anything(value.attrs.get("$indices", NONE)) and ordered_data(inner, depth + 1)
        return value.family == "dataset"
    return False


def is_foreign(value: Any) -> bool:
    """Whether a value is an object that was made out of view, of which nothing more is known."""
    return isinstance(value, Instance) and not value.family and not isinstance(value.cls, Class)


def is_shuffled(rows: Any) -> bool:
    """Whether the order of an array was left to chance, or that of a list is in each turn of a loop."""
    if isinstance(rows, ListObject):
        return "$reshuffled" in rows.attrs
    return isinstance(rows, Tensor) and bool(rows.data.shuffled)


def takes_shuffled(dataset: Value | None) -> bool:
    """Whether a data set is a part of another at places that were shuffled, or may have been."""
    places = dataset.attrs.get("$indices") if isinstance(dataset, Instance) else None
    if isinstance(places, ListObject):
        return "$shuffled" in places.attrs
    folded = isinstance(places, Tensor) and bool(places.data.splits) and places.data.shuffled is None
    return isinstance(places, Tensor) and not folded


def made_in_loop(loader: Instance, region: Region) -> bool:
    """Whether a loader is made in each turn of a loop, and may serve other samples, or in another order, each time."""
    made = (inside for event, inside in nested(region.events) if event.kind == "loader" and event.loader is loader)
    return any(outer.block == "loop" for inside in made for outer in inside)


def in_stored_order(item: Function, dataset: Instance) -> bool:
    """Whether a data set's `__getitem__` serves sample by sample what its index says.

    Windows of one series (`x[i : i + n]`) are no samples of their own, and some models must see them in order."""
    params = item.node.params.params
    if len(params) < 2:
        return False
    positions = {params[1].name.value}
    nodes = list(nodes_in(item.node.body))
    closed = {id(part) for node in nodes if isinstance(node, cst.If) for part in not_taken(node, dataset)}
    nodes = [node for node in nodes if id(node) not in closed]
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
    aside = {part for node in nodes if isinstance(node, cst.Comparison) for part in nodes_in(node)}
    aside |= {node.value for node in nodes if isinstance(node, cst.Element)}  # handed on with what is served
    return any(isinstance(n, cst.Name) and n.value in positions and n not in aside for n in nodes)


def not_taken(node: cst.If, dataset: Instance) -> Iterator[Any]:
    """What lies in the branch of a condition that an object with these attributes never takes."""
    taken = holds_for(node.test, dataset)
    closed = node.body if taken is False else node.orelse if taken else None
    return iter(nodes_in(closed)) if closed is not None else iter(())


def holds_for(test: Any, owner: Instance) -> bool | None:
    """Whether a condition on attributes of `self` holds for an object, if that is sure."""
    if isinstance(test, cst.Attribute) and is_name(test.value, "self"):
        return truth(owner.attrs.get(test.attr.value, UNKNOWN))
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        inner = holds_for(test.expression, owner)
        return None if inner is None else not inner
    if isinstance(test, cst.BooleanOperation):
        sides = (holds_for(test.left, owner), holds_for(test.right, owner))
        settles = isinstance(test.operator, cst.Or)
        return settles if settles in sides else None if None in sides else not settles
    return None


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
        trained = {(event.node, served_at(event.loader)) for event in region.of("trained")}
        loops = Counter(node for node, _ in trained)
        for _, node, space, loader in region.of("trained"):
            if loader.born is None or not fixed_order(loader):
                continue
            if loader.api_path.startswith(PATHS) and not classifies(region):
                continue  # windows of a series may be meant to come in their order
            if loops[node] > 1 and not trains_always(node, region):
                continue  # one of several that a loop goes through, and some only to evaluate
            if goes_with_others(node, loader, region):
                continue
            dataset = loader.attrs.get("dataset")
            size = loader.attrs.get("batch_size")
            whole = (isinstance(size, Number) and size.nature == "a length") or size is NONE  # batches of its own
            if ordered_data(dataset) and not whole and dataset_part(dataset) not in HELD_OUT:
                if takes_shuffled(dataset) and made_in_loop(loader, region):
                    continue
                at = asked_in_order(loader)
                report(at.node, at.space).because([loader.born, Step(space, node, "trained on here")])

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """Keras shuffles unless it is told not to, as it is for series; a classifier of single rows has no reason. The
        order of a pipeline is its own."""
        data, shuffle = call.value("x"), call.value("shuffle")
        if is_loader(data) and data.born is not None:
            dataset = data.attrs.get("dataset")
            if fixed_order(data) and ordered_data(dataset) and dataset_part(dataset) not in HELD_OUT:
                if classifies_rows(call.interp, call.receiver):
                    made = batched_at(data)
                    report(made.node, made.space).because([Step(report.space(), call.node, "trained on here")])
            return
        if isinstance(data, Instance) and "$folder" in data.attrs and data.born is not None:
            option = data.attrs.get("shuffle")  # the files lie in a folder for each class
            if isinstance(option, Const) and option.value is False and classifies_rows(call.interp, call.receiver):
                node = keyword(data.born.node, "shuffle") or data.born.node
                report(node, data.born.space).because([Step(report.space(), call.node, "trained on here")])
            return
        wanted = isinstance(shuffle, Const) and shuffle.value is False
        if wanted and isinstance(data, Tensor) and data.data.shuffled is not True:
            if classifies_rows(call.interp, call.receiver):
                report(call.argument("shuffle"))


def goes_with_others(loop: Any, loader: Instance, region: Region) -> bool:
    """Whether a loop goes through a loader side by side with something else that may have to keep its order: anything
    but loaders that shuffle, and numbers."""
    walked = getattr(loop, "iter", loop)
    for event in region.of("zipped"):
        if contains(walked, event.node):
            args = getattr(event.node, "args", ())
            beside = [source for source in event.sources if source is not loader]
            counts = sum(called(arg.value) in ("range", "count") for arg in args)
            shuffled = [s for s in beside if isinstance(s, Instance) and truth(shuffling(s) or NONE) is True]
            return len(beside) > len(shuffled) + counts or any(arg.star for arg in args)
    return False


def served_at(loader: Instance) -> Any:
    """What tells the data of a loader from others: for a training part, where it is made, however often."""
    dataset = loader.attrs.get("dataset")
    if isinstance(dataset, Instance) and dataset.born is not None and dataset_part(dataset) == "train":
        return dataset.born.node
    return dataset or loader


def batched_at(loader: Instance) -> Any:
    """Where a loader's batches are made, which is the place to shuffle before."""
    return loader.attrs.get("$batched", loader.born)


def classifies(region: Region) -> bool:
    """Whether a program takes a cross entropy."""
    return any("cross_entropy" in event.path or "crossentropy" in event.path for event in region.of("loss"))


def trains_always(loop: Any, region: Region) -> bool:
    """Whether each turn of a loop surely comes by a backward in its own body."""
    return comes_by(loop.body, {event.node for event in region.of("backward")}) if hasattr(loop, "body") else False


def out_of_sight(region: Region) -> set[int]:
    """All that was given to calls that were not followed."""
    given = (value for kind in ("escape", "outside") for event in region.of(kind) for value in event.values)
    return {id(part) for value in given for part in flattened(value)}


def is_seeded_elsewhere(region: Region) -> bool:
    """Whether what is called out of view may seed the generators, to go by its name."""
    return any("seed" in event.path for event in region.of("outside"))


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


def classifies_rows(interp: Interpreter, model: Value | None) -> bool:
    """Whether a Keras model surely is made for a classification of single rows: none of its layers is for series."""
    if not isinstance(model, Instance) or "crossentropy" not in str(const(model.attrs.get("$loss", NONE))).lower():
        return False
    layers = model.attrs.get("layers")
    if layers is None:  # of tensors that depend on each other, or of a class of the project's own: they have run
        return isinstance(model.attrs.get("$outputs"), Tensor) and interp.flags.get(SERIES) is not TRUE
    known = interp.known_items(layers) if isinstance(layers, Value) else None
    return bool(known) and all(
        isinstance(layer, Instance) and isinstance(layer.cls, Api) and not layer.cls.path.endswith(SERIES_LAYERS)
        for layer in known or ()
    )


class SplitOverlap(Rule):
    """A model is judged on the data it was trained on, or trained on those that are held out."""

    code, name = "TL410", "split-overlap"
    message = "the model is {how}, so the result says nothing about new data"
    severity = Severity.WARNING

    @on("program")
    def check(self, region: Region, report: Report) -> None:
        evaluated = judged_loops(region)
        trained = [e.loader for e in region.of("trained") if gives_away(e, evaluated)]
        if trained and evaluated:
            self.loaders(region, trained, since_training(region, evaluated), report)
            self.branched(trained, since_training(region, evaluated), report)
            self.wholes(region, trained, since_training(region, evaluated), report)
            if not is_seeded_elsewhere(region):
                self.redrawn(trained, [event.loader for event in evaluated], report)
            self.kept(region, since_training(region, evaluated), report)
            if region.has("split"):
                self.misread(region, trained, since_training(region, evaluated), report)
        elif trained and region.has("passed", "gathered"):
            self.passes(region, trained, report)
        elif not evaluated and region.has("model") and (region.has("split") or not goes_out(region)):
            self.tensors(region, report)
        if trained:
            self.swapped(region, report)
        elif not region.has("backward", "step", "autograd"):
            self.mistaken(region, [*evaluated, *region.of("gathered"), *region.of("passed")], report)
        if region.has("measured"):
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
                at, *loops = places_of(event, region)
                report(at.node, at.space, how=how).because([dataset.born, unused, *loops])

    def mistaken(self, region: Region, evaluated: Sequence[Any], report: Report) -> None:
        """A program that only evaluates asks for the training part of what it calls its test data."""
        for event in evaluated:
            for dataset in options(event.loader.attrs.get("dataset", UNKNOWN)):
                if not isinstance(dataset, Instance) or "$made" not in dataset.attrs or dataset.born is None:
                    continue
                own = isinstance(dataset.cls, Class) or bundled(dataset)  # a hub calls the only part of some data so
                if own and dataset_part(dataset) == "train" and is_called_held_out(event, region):
                    report(dataset.born.node, dataset.born.space, how=MISTAKEN).because([event.loader.born])

    @on("loop", having="model")
    def passed(self, region: Region, report: Report) -> None:
        """A loop in which a model in eval mode gets a loader's batches and does not learn, whatever becomes of what it
        gives."""
        use = loop_use(region)
        if use == "walked" and not region.has("backward", "step", "autograd"):
            if all(event.mode is False for event in region.of("model")):
                for loader in options(region.value):
                    report.interp.event("passed", region.node, loader)
        argument = brought(region) if use else None
        if argument is not None:
            for loader in options(region.value):
                report.interp.event("brought", region.node, loader, argument)

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """The validation data are the same variable as the training data, or serve the same."""
        given = call.argument("validation_data")
        trained, judged = call.value("x"), call.value("validation_data")
        if is_loader(trained) and is_loader(judged) and same_data(judged) in {same_data(trained)} - {None}:
            made = judged.born if judged.born != trained.born else None
            if made is not None:
                report(keyword(made.node, "subset") or made.node, made.space, how=JUDGED).because([trained.born])
            else:
                report(given, how=JUDGED)
        elif is_loader(trained) and is_loader(judged) and begin_together(judged, trained):
            report(given, how=JUDGED)
        elif is_loader(trained) and is_loader(judged) and same_data(judged) in joined_in(trained):
            report(given, how=JUDGED).because([judged.born])
        elif (folder := folder_read(judged)) is not None and folder == folder_read(trained):
            born = judged.born if isinstance(judged, Instance) and judged is not trained else None
            draft = report(born.node, born.space, how=JUDGED) if born else report(given, how=JUDGED)
            draft.because([trained.born if isinstance(trained, Instance) else None])
        elif (born := flow_of_same(judged, trained)) is not None and isinstance(trained, Instance):
            report(born.node, born.space, how=JUDGED).because([trained.born])
        elif is_loader(trained) and is_loader(judged) and serves_slice(judged, trained) and judged.born is not None:
            report(judged.born.node, judged.born.space, how=JUDGED).because([trained.born])
        elif is_loader(trained) and is_loader(judged) and parted_apart(trained, judged) and judged.born is not None:
            seed = keyword(judged.born.node, "seed") or judged.born.node
            report(seed, judged.born.space, how=REDRAWN).because([trained.born])
        elif (twin := serves_same(judged, trained)) is not None and isinstance(trained, Instance):
            report(twin.node, twin.space, how=JUDGED).because([trained.born])
        elif (how := shared_rows(judged, trained)) and isinstance(judged, Instance) and isinstance(trained, Instance):
            blamed, other = (trained, judged) if how == UNSPLIT else (judged, trained)
            if blamed.born is not None:
                report(blamed.born.node, blamed.born.space, how=how).because([other.born])
        elif given.__class__ is cst.Attribute and dotted_name(given) == dotted_name(call.argument("x")):
            report(given, how=JUDGED)
        if given.__class__ is cst.Tuple and given.elements:
            first = given.elements[0].value
            name = dotted_name(first)
            whole = call.value("x")
            held_out = call.value("validation_data")
            rows = held_out.items[0] if isinstance(held_out, Tuple) and held_out.items else None
            if (name and name == dotted_name(call.argument("x"))) or have_some(rows, whole):
                report(first, how=JUDGED)
            elif is_held_out_of(rows, whole, ()):
                report(call.argument("x"), how=UNSPLIT).because([Step(report.space(), first, "held out")])

    @on("program", having="fitted tested")
    def pipelines(self, region: Region, report: Report) -> None:
        """A model of Keras is tested on the pipeline that it is fitted to, and those for the test are not used; or on a
        folder that it is fitted to a part of."""
        fits = region.of("fitted")
        learnt = [loader for e in fits if is_loader(loader := e.call.value("x", 1))]
        judged = [loader for e in fits if is_loader(loader := e.call.value("validation_data", 8))]
        tested = [(event, loader) for event in region.of("tested") for loader in event.loaders]
        known = {same_data(loader) for loader in learnt} - {None}
        for event, loader in tested if learnt else ():
            folder = files_of(loader.attrs.get("dataset"))
            if folder is not None and any(reads_part_of(files_of(o.attrs.get("dataset")), folder) for o in learnt):
                at = folder.born or Step(event.space, event.node, "tested")
                report(at.node, at.space, how=JUDGED).because([learnt[0].born])
                return
        apart = [(event, loader) for event, loader in tested if not any(begin_together(loader, o) for o in learnt)]
        for event, loader in tested if not apart and not judged else ():
            if same_data(loader) not in known:
                report(event.node, event.space, how=JUDGED).because([loader.born])
        if known and tested and all(same_data(loader) in known for _, loader in tested):
            walked = [event.loader for kind in USES for event in region.of(kind)]
            used = datasets_of([*learnt, *judged, *(loader for _, loader in tested), *walked])
            idle = [d for *_, d in region.of("dataset") if dataset_part(d) == "test" and all(d is not u for u in used)]
            for event, _ in tested if idle else ():
                report(event.node, event.space, how=JUDGED).because([idle[0].born])

    @on("program", having="trained tested")
    def tested(self, region: Region, report: Report) -> None:
        """An engine tests a model on nothing but what it was trained on, and there are others that nobody uses."""
        if region.has("fitted"):
            return
        learnt = [event.loader for event in region.of("trained")]
        sources = {served_by(loader): loader.born for loader in learnt}
        told = [event for event in region.of("tested") if called(event.node) == "test"]
        ready = [loader for event in region.of("tested") if event not in told for loader in event.loaders]
        judged = [(event, loader) for event in told or region.of("tested") for loader in event.loaders]
        if not judged or any(served_by(loader) not in sources for _, loader in judged):
            return
        if not all(event.loaders for event in told):
            return  # of the module's own
        walked = [event.loader for kind in USES for event in region.of(kind)]
        idle = unused_loaders(region, sources, [*walked, *(loader for _, loader in judged)])
        if told and idle is not None:  # where a program asks for another test, that of a module's own loader is none
            idle += [loader for loader in ready if served_by(loader) not in sources]
        if idle or (idle is not None and is_idle(region)):
            unused = [Step(i.born.space, i.born.node, "never used") for i in idle[:1] if i.born]
            for event, loader in judged:
                report(event.node, event.space, how=JUDGED).because([sources[served_by(loader)], *unused])

    @on("program", having="folds trained evaluated")
    def carried_over(self, region: Region, report: Report) -> None:
        """A model that is made before a loop over folds goes on learning in each, so it knows the rows held out."""
        folds = {event.node: event.made for event in region.of("folds")}
        loops = {event.node: made for event in region.of("enter") for made in made_before(event, folds)}
        seen: dict[Any, tuple[set[str], dict[int, Instance]]] = {}
        for event, inside in nested(region.events) if loops else ():
            outer = next((outer for outer in inside if outer.node in loops), None)
            if outer is None:
                continue
            use, learnt = seen.setdefault((outer.node, outer.space), (set(), {}))
            if event.kind in ("trained", "evaluated"):
                use.add(f"{event.kind} {dataset_part(event.loader)}")
            elif event.kind == "backward" and isinstance(event.loss, Tensor):
                made = (dep.module for dep in event.loss.deps if dep.live)
                learnt.update((id(module), module) for module in made if module.number <= loops[outer.node])
            elif event.kind in ("loaded", "edit"):
                use.add("reset")
        for (loop, space), (use, learnt) in seen.items():
            if use == {"trained train", "evaluated val"} and not may_begin_anew(loop):
                for born in (module.born for module in learnt.values()):
                    if born is not None:
                        how = "carried on from fold to fold, so it was trained on the rows that it is evaluated on"
                        report(born.node, born.space, how=how).because([Step(space, loop, "folds")])

    @on("program", having="masked backward")
    def nodes(self, region: Region, report: Report) -> None:
        """Masks part the nodes of a graph: those that are held out are learnt, or those that are learnt are judged."""
        judged = judged_nodes(region)
        parts = {part for _, part in judged}
        held_out = report.interp.flags.get(NODE_MASKS, frozenset()) & HELD_OUT.keys()
        for event, part in learnt_nodes(region):
            known = part.removeprefix("train+")
            if (known in HELD_OUT and known in parts) or (part == ALL and "test" in parts):
                which = "labels of all nodes" if part == ALL else f"{HELD_OUT[known]} nodes"
                how = f"trained on the {which}, on which it is evaluated, too"
                report(event.node, event.space, how=how)
            elif part == "train" and parts == {"train"} and not held_out:
                for other, _ in judged:
                    report(other.node, other.space, how=JUDGED).because([Step(event.space, event.node, "trained on")])

    @on("program", having="placed backward")
    def places(self, region: Region, report: Report) -> None:
        """Rows are learnt and judged at places that are written down, and these overlap."""
        given = ((event, run_of_rows(rows_of(event.given, event.target))) for event, _ in learnt_losses(region))
        learnt = {at: Step(event.space, event.node, "trained on") for event, at in given if at is not None}
        judged = dict.fromkeys(map(run_of_rows, judged_rows(region))) if learnt else {}
        picked: dict[Any, Any] = {}
        for event in region.of("placed") if judged else ():
            if (rows := run_of_rows(event.rows)) is not None:
                picked.setdefault(rows[1:], event)
        for at in judged:
            if at is not None and at[1:] in picked and at not in learnt:
                for other in (o for o in learnt if overlap(at, o) and not begins(at, o)):
                    report(picked[at[1:]].node, picked[at[1:]].space, how=JUDGED).because([learnt[other]])

    @on("program", having="cut")
    def reshuffled(self, region: Region, report: Report) -> None:
        """A pipeline of TensorFlow is parted by `take` and `skip`, though each pass over it has another order."""
        cuts = region.of("cut")
        for event in cuts:
            if event.way == "skip" and any(e.way == "take" and e.whole is event.whole for e in cuts):
                how = "judged on samples that it is trained on: each pass shuffles anew what `take` and `skip` (@) part"
                report(event.shuffled.node, event.shuffled.space, how=how).because(
                    [Step(event.space, event.node, "skip")]
                )

    @on("learnt")
    def predefined(self, call: Call, report: Report) -> None:
        """A net of skorch is told to judge itself on the data set that it is fitted to."""
        split = call.receiver.attrs.get("train_split") if isinstance(call.receiver, Instance) else None
        if isinstance(split, Instance) and split.family == "skorch_split" and split.born is not None:
            judged = identity(split.attrs["dataset"])
            if judged is not None and judged == identity(call.value("x", 1)):
                report(split.born.node, split.born.space, how=JUDGED)

    @on("learnt")
    def stopped(self, call: Call, report: Report) -> None:
        """Boosting stops early by the rows that it is fitted to."""
        rows = stopped_by(call)
        fitted = next((v for name in ("x", "dtrain", "train_set") if (v := call.value(name)) is not None), None)
        if isinstance(rows, Tensor) and isinstance(fitted, Tensor) and rows.data.tokens and rows is fitted:
            report(judges_given(call), how=JUDGED)

    @on("validated")
    def by_engine(self, fact: Any, report: Report) -> None:
        """All that an engine validates on is what it trains on."""
        trained, held_out, given = fact
        if not any(map(is_seeded_elsewhere, outwards(report.interp.region))):
            self.redrawn(trained, held_out, report)
        if any(may_be_parted(report.interp, loader) for loader in trained):
            return
        seen = {same: one.born for one in trained for same in (same_data(one), *joined_in(one))}
        for loader in held_out:
            part = loader.attrs.get("dataset")
            if isinstance(part, Instance) and is_subset(part) and serves_whole(loader):
                whole = identity(part.attrs.get("dataset"))
                if whole is not None and whole in seen:
                    seen[same_data(loader)] = seen[whole]
        seen |= {same: loader.born for loader in trained for same in taken_from(loader)}
        if held_out and all(same_data(loader) in seen.keys() - {None} for loader in held_out):
            for loader in held_out:
                if given is not None and (loader in trained or loader.born is seen[same_data(loader)]):
                    report(given, how=JUDGED).because([loader.born])
                elif loader.born is not None:
                    first, *others = made_apart(loader, trained)
                    report(first.node, first.space, how=JUDGED).because([seen[same_data(loader)], *others])

    def loaders(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """No loader that is evaluated serves anything but what is trained on; or one does, and there are data held out
        that none serves."""
        sources: dict[Any, list[Step | None]] = {}
        for loader in trained:
            sources.setdefault(served_by(loader), []).append(loader.born)
            if may_serve_whole(loader) and (whole := identity(loader.attrs.get("dataset"))) is not None:
                sources.setdefault(whole, []).append(loader.born)
        for loader in (event.loader for event in evaluated):
            whole = [o for o in trained if serves_some(loader, o) or begin_together(loader, o)]
            if served_by(loader) not in sources and whole:
                sources[served_by(loader)] = [other.born for other in whole]
        alike = [event for event in evaluated if served_by(event.loader) in sources]
        evaluated = [event for event in evaluated if event not in alike or not made_for_each(event, evaluated, alike)]
        alike = [event for event in alike if event in evaluated]
        idle = unused_loaders(region, sources, [*trained, *(event.loader for event in evaluated)])
        if len(alike) < len(evaluated):
            self.chosen(trained, evaluated, report)
            self.contained(region, trained, evaluated, report)
            self.covering(region, trained, evaluated, report)
        if idle is None:
            return
        if len(alike) < len(evaluated):
            spare = is_idle(region)
            stages = stages_of(region, evaluated)
            mixed = [event for stage in stages if any(other not in alike for other in stage) for event in stage]
            alone = [event for event in alike if event not in mixed]  # wherever it comes again, if from memory
            before = learnt_before(region, alike)
            said = [e for e in alike if is_called_held_out(e, region) and serves_known(e.loader, before[id(e)])]
            apart = alike if spare else said
            alike = [e for e in alike if (e in apart if e.loader not in trained else (idle or spare) and e in alone)]
        for event in alike:
            loader, (at, *loops) = event.loader, places_of(event, region)
            if loader not in trained and loader.born is not None:
                self.tell(loader, trained, sources[served_by(loader)], report)
            elif idle or is_idle(region):
                unused = [Step(i.born.space, i.born.node, "never used") for i in idle[:1] if i.born]
                report(at.node, at.space, how=JUDGED).because([loader.born, *unused, *loops])

    def contained(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """A part is evaluated of what is trained on as a whole, or the same part, and is not said to be for that."""
        before = learnt_before(region, evaluated)
        for event in evaluated:
            loader, part = event.loader, event.loader.attrs.get("dataset")
            if loader in trained or not isinstance(part, Instance) or not is_subset(part) or not serves_whole(loader):
                continue
            wholes, same = {identity(whole) for whole in wholes_of(part)}, same_data(loader)
            known = (wholes | {same}) - {None}
            learnt = [other for other in before[id(event)] if serves_whole(other) and same_data(other) in known]
            if learnt and not is_said_to_train(event, region):
                self.tell(loader, trained, [other.born for other in learnt], report)

    def covering(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """What the program calls held out has all those rows in it that are trained on."""
        learnt = {served_by(loader) for loader in trained}
        for event in evaluated:
            if event.loader in trained or served_by(event.loader) in learnt or not is_called_held_out(event, region):
                continue
            same = same_data(event.loader)
            covered = [o.born for o in trained if serves_some(o, event.loader) or same in taken_from(o)]
            if covered:
                self.tell(event.loader, trained, covered, report)

    def tell(self, loader: Instance, trained: list[Instance], sources: Sequence[Step | None], report: Report) -> None:
        """A loader serves for an evaluation what others serve for training: the mistake is in those where the program
        itself calls the data held out."""
        held_out = [o for o in trained if served_by(o) == served_by(loader) and is_said_held_out(o)]
        how, blamed, others = JUDGED, loader, trained
        if held_out and held_out[0].born is not None:
            part = HELD_OUT[dataset_part(held_out[0].attrs.get("dataset")) or "test"]
            how, blamed, others = f"trained on the {part} data, on which it is evaluated, too", held_out[0], [loader]
        first, *rest = made_apart(blamed, others)
        first = chosen_at(blamed) or first
        report(first.node, first.space, how=how).because([*sources, *rest, loader.born])

    def wholes(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """All rows are evaluated, those of a random part that was trained on too, and a part held out is not used."""
        parts = random_parts(trained)
        unused = [d for d in out_of_use(region)[0] if is_random_part(d)] if parts else []
        for part in parts if unused else ():
            whole = part.attrs.get("dataset")
            spare = next((d for d in unused if d.attrs.get("dataset") is whole), None)
            if spare is None or identity(whole) is None:
                continue
            for loader in (event.loader for event in evaluated):
                if same_data(loader) == identity(whole) and loader.born is not None:
                    report(loader.born.node, loader.born.space, how=JUDGED).because([part.born, spare.born])

    def kept(self, region: Region, evaluated: Sequence[Any], report: Report) -> None:
        """What is evaluated was split off rows, and these are trained on with those held out among them."""
        halved = halved_splits(region)
        before = learnt_before(region, evaluated)
        for event in evaluated:
            rows, learnt = rows_served(event.loader), before[id(event)]
            if rows is not None and all(is_held_out_of(rows, rows_served(other), halved) for other in learnt):
                for other in learnt:
                    at = bound_to(other) or other.born
                    if at is not None:
                        report(at.node, at.space, how=UNSPLIT).because([event.loader.born])

    def misread(self, region: Region, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """What the program calls its test data is made of the training part of a split, whose test part nobody uses."""
        idle = [piece for piece in out_of_use(region)[1] if piece.part == "test"]
        learnt = [data for loader in trained for data in arrays_in(loader)] if idle else []
        for event in evaluated if learnt else ():
            rows = arrays_in(event.loader)
            of_training_part = rows and all(
                is_split_off(data)
                and any((data.tokens, data.splits, data.order) == (o.tokens, o.splits, o.order) for o in learnt)
                and any(data.tokens == other.tokens and data.splits <= other.splits for other in idle)
                for data in rows
            )
            alone = event.loader not in trained and served_by(event.loader) not in map(served_by, trained)
            names = assigned_to(event.loader.born) if event.loader.born is not None else []
            called_test = any(map(TEST.search, names)) and not any(map(VALIDATION.search, names))
            if of_training_part and alone and called_test:
                self.tell(event.loader, trained, [trained[0].born], report)

    def redrawn(self, trained: list[Instance], judged: list[Instance], report: Report) -> None:
        """The part that is trained on and the one that is evaluated come from two random splits of the same data."""
        learnt = [part for loader in trained for part in drawn_parts(loader)]
        for part in (part for loader in judged for part in drawn_parts(loader)):
            if any(drawn_by(part) == drawn_by(other) for other in learnt) or part.born is None:
                continue
            whole = identity(part.attrs.get("dataset"))
            for other in learnt:
                if whole is not None and identity(other.attrs.get("dataset")) == whole:
                    report(part.born.node, part.born.space, how=REDRAWN).because([other.born])
                    break
        read = [rows for loader in trained if (rows := rows_served(loader)) is not None]
        for loader in judged if read else ():
            held_out = rows_served(loader)
            if loader.born is not None and any(drawn_apart(held_out, rows) for rows in read):
                report(loader.born.node, loader.born.space, how=REDRAWN).because([bound_to(loader)])
            elif loader.born is not None and all(cut_apart(held_out, rows) for rows in read):
                first, *others = made_apart(loader, trained)
                report(first.node, first.space, how=REDRAWN).because(others)

    def passes(self, region: Region, trained: list[Instance], report: Report) -> None:
        """What is measured cannot be told, but a model in eval mode gets nothing except what it was trained on, and no
        loop serves data that are held out."""
        sources = {served_by(loader): loader.born for loader in trained}
        passed = since_training(region, [*region.of("passed"), *region.of("gathered")])
        if not all(served_by(event.loader) in sources for event in passed):
            return
        known = {id(event.loader) for kind in USES for event in region.of(kind)} | out_of_sight(region)
        made = (event.loader for event in region.of("loader") if id(event.loader) not in known)
        spare = [loader.born for loader in made if served_by(loader) not in sources and loader.born is not None]
        for event in passed:
            loader, (at, *loops) = event.loader, places_of(event, region)
            if loader in trained and spare:
                unused = Step(spare[0].space, spare[0].node, "never used")
                report(at.node, at.space, how=JUDGED).because([loader.born, unused, *loops])
            elif loader not in trained and loader.born is not None and is_idle(region):
                first, *others = made_apart(loader, trained)
                report(first.node, first.space, how=JUDGED).because([sources[served_by(loader)], *others])

    def chosen(self, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """Nothing is held out of all that is evaluated where a branch makes the data for both; or subsets are evaluated
        of what is trained on as a whole."""
        sources: dict[Any, list[Instance]] = {}
        for dataset, same in (choice for loader in trained for choice in choices(loader)):
            sources.setdefault(same, []).append(dataset)
        served = datasets_of(trained)
        parts = {identity(d.attrs.get("dataset")) for d in served if isinstance(d, Instance) and is_subset(d)}
        judged = list(dict.fromkeys((e.loader, *choice) for e in evaluated for choice in choices(e.loader, parts)))
        if any(not choices(event.loader, parts) for event in evaluated):
            return
        others = [dataset for _, dataset, same in judged if same not in sources]
        for loader, dataset, same in judged:
            if same in sources and loader not in trained and dataset.born is not None:
                made = [s.born for s in sources[same] if s.born and not in_another_branch(s.born, dataset.born)]
                if made and all(
                    in_another_branch(dataset.born, o.born) and any(in_another_branch(m, o.born) for m in made)
                    for o in others
                ):
                    report(dataset.born.node, dataset.born.space, how=JUDGED).because([made[0]])

    def branched(self, trained: list[Instance], evaluated: Sequence[Any], report: Report) -> None:
        """One branch makes the data for both, and there some that are evaluated are trained on, too."""
        learnt = [one for loader in trained for one in in_branches(loader)]
        judged = dict.fromkeys(event.loader for event in evaluated if event.loader not in trained) if learnt else {}
        for mine in (one for loader in judged for one in in_branches(loader)):
            made = born_at(mine)
            around = set(branches(made)) if made is not None else set()
            beside = [one for one in learnt if (born := born_at(one)) and not around.isdisjoint(branches(born))]
            if beside and all(same_data(mine) == same_data(one) or serves_some(mine, one) for one in beside):
                if made is not None and identity(mine.attrs["dataset"]) is not None:
                    report(made.node, made.space, how=JUDGED).because([born_at(beside[0])])

    def tensors(self, region: Region, report: Report) -> None:
        """The training part of a split is judged, and the held-out part is never given to the model."""
        calls = region.of("model")
        if any(t.data.part in HELD_OUT for e in calls for t in e.inputs):
            return
        values = [event.value for event in region.of("compare")] + [event.result for event in region.of("loss")]
        nodes = {dep.node for value in values if isinstance(value, Tensor) for dep in value.deps}
        # TensorFlow records on a tape only, so nothing tells that what is outside of it is an evaluation.
        judged = [e for e in calls if e.grad is False and is_of_torch(e.space) and e.inputs and e.node in nodes]
        cuts = two_sided(report.interp) if judged else ()
        sides = {side_given(event, cuts) for event in calls if event.grad or event in judged}
        of_one = len(sides) == 1 and None not in sides and any(event.grad for event in calls)
        for event in judged:
            if of_one or all(is_split_off(t.data) for t in event.inputs):
                report(event.node, event.space, how=JUDGED)

    def arrays(self, region: Region, report: Report) -> None:
        """An estimator is measured on rows that it was fitted on, and those held out from it are not used."""
        fits: list[Any] = []
        scores: list[tuple[int, Tensor, Any]] = []  # which fit made the predictions, on what rows, and the score
        used: list[tuple[int, Value | None, Any, bool]] = []  # after how many fits, for what rows, who; if in `fit`
        last: Any = None
        by_call: dict[int, tuple[Any, int]] = {}
        in_view = isinstance(region.node, cst.Module)  # a function may leave it to its caller to use the rest
        measured = {event.node for event in region.of("measured")}
        for event in region.events:
            if event.kind == "fitted":
                fits.append(event)
            elif event.kind == "predicted":
                last = by_call[id(event.node)] = (event, len(fits))
                of_its_fit = bool(fits) and fits[-1].node is event.node  # `fit` judges on its validation data
                used.append((len(fits), event.x, event.estimator, of_its_fit))
            elif event.kind == "measured" and last is not None:
                judged = [by_call.get(made) for made in event.made] or [last]
                if len(judged) != 1 or judged[0] is None:
                    continue
                of, count = judged[0]
                place = next((i for i in reversed(range(count)) if fits[i].estimator is of.estimator), None)
                if place is not None and isinstance(of.x, Tensor) and event.parts == {of.x.data.part} - {None}:
                    scores.append((place, of.x, event))
            elif event.kind in ("outside", "escape") and event.node not in measured:
                values = (v for value in event.values for v in flattened(value))
                held_out = (v for v in values if isinstance(v, Tensor) and v.data.part in HELD_OUT)
                used += [(len(region.events), v, None, False) for v in held_out]
        estimators = [event.estimator for kind in ("fitted", "predicted") for event in region.of(kind)]
        by_itself = region.has("loader") or any(all(e.module is not o for o in estimators) for e in region.of("model"))
        halved = halved_splits(region) if scores else ()
        cuts = two_sided(report.interp) if scores else ()
        for place, rows, event in scores:
            fit = fits[place]
            if not isinstance(fit.x, Tensor) or is_predicted(fit.y):
                continue  # a line through what another model predicted
            spare = not any(is_rest(value, fit.x) for _, value, *_ in used)
            told = by_itself or any(
                judges(value, fit.x, who is fit.estimator, cuts)
                for count, value, who, of_its_fit in used
                if count > place and (who is fit.estimator or not of_its_fit)
                if not (spare and of_its_fit and value is None)  # judged on some of the rows that it is fitted to
            )
            again = in_view and same_rows(rows, fit.x, cuts) and not (told and rows.data.part != "test")
            again = again or have_others(rows, fit.x)
            if again or within(rows, fit.x) or is_held_out_of(rows, fit.x, halved):
                report(event.node, event.space, how=JUDGED).because([Step(fit.space, fit.node, "fitted here")])
            elif drawn_apart(rows, fit.x):
                report(event.node, event.space, how=REDRAWN).because([Step(fit.space, fit.node, "fitted here")])


def made_before(block: Any, folds: Mapping[Any, int]) -> list[int]:
    """How many objects were made before a loop over folds began, by the calls that make these; [] for any other."""
    if not folds or block.block != "loop" or not isinstance(block.node, cst.For) or block.space.source is None:
        return []
    head = list(nodes_in(block.node.iter))
    named = (value_before(block.space, node) for node in head if isinstance(node, cst.Name))
    return [folds[node] for node in (*head, *named) if node in folds]


_ANEW = re.compile(r"reset|init|^load(_|$)|restore|copy|clone|build|make|create|get_model", re.IGNORECASE)


def may_begin_anew(loop: cst.For) -> bool:
    """Whether the turns of a loop may have models of their own, to go by names, or all but one may be left out."""
    leaves = any(isinstance(node, (cst.Break, cst.Continue)) for node in nodes_in(loop.body))
    return leaves or any(_ANEW.search(called(node)) for node in nodes_in(loop.body) if isinstance(node, cst.Call))


def stopped_by(call: Call) -> Value | None:
    """The rows by which boosting stops early: the last that it is to look at. None where it goes on to its end."""
    given = next((call.arguments.keywords[name] for name in JUDGES if name in call.arguments.keywords), None)
    if given is None or not stops_early(call):
        return None
    if isinstance(given, Tensor):
        return given
    if not isinstance(given, (ListObject, Tuple)) or not given.items:
        return None
    first, last = given.items[0], given.items[-1]
    if isinstance(last, (Tuple, ListObject)) and last.items:
        return last.items[0]
    return first if isinstance(given, Tuple) else last  # `eval_set=(x, y)`, or a list of rows with their labels


def stops_early(call: Call) -> bool:
    """Whether boosting stops, or is cut, where the rows that it looks at are predicted best."""
    own = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
    rounds = call.arguments.keywords.get("early_stopping_rounds") or own.get("early_stopping_rounds")
    if isinstance(rounds, Value) and not (isinstance(rounds, Const) and not rounds.value):
        return True
    best = call.arguments.keywords.get("use_best_model") or own.get("use_best_model")
    path = call.receiver.api_path if isinstance(call.receiver, Instance) else ""
    if path.startswith("catboost."):
        return not isinstance(best, Value) or truth(best) is True  # as CatBoost does unless it is told not to
    if path.startswith("pytorch_tabnet."):  # the same
        return const(call.arguments.keywords.get("patience", TRUE)) != 0 and not call.arguments.open
    callbacks = call.arguments.keywords.get("callbacks") or own.get("callbacks")
    known = call.interp.known_items(callbacks) if isinstance(callbacks, Value) else None
    return any(isinstance(one, Instance) and one.family == "early_stopping" for one in known or ())


JUDGES = ("eval_set", "evals", "valid_sets")  # which arguments of boosting give the rows that it looks at on the way


def judges_given(call: Call) -> Any:
    """The argument that gives boosting the rows that it looks at."""
    return call.argument(next((name for name in JUDGES if name in call.arguments.keywords), JUDGES[0]))


def halved_splits(region: Region) -> set[int]:
    """The splits that part what was held out once more, into validation and test data."""
    return {e.split for e in region.of("split") if len({piece.part for piece in e.held}) > 1}


def side_given(event: Any, cuts: Collection[int]) -> Any:
    """What tells the side of one of some cuts that a model is given from the other; None for any other rows."""
    known = [t.data for t in event.inputs if t.data.tokens]
    rows = [key for data in known if not data.splits.isdisjoint(cuts) for key in data.order or () if key[0] == "chosen"]
    sides = {key for key in rows if len(key) == 3 and (key[1] is None) != (key[2] is None)}
    return sides.pop() if len(sides) == 1 else None


def arrays_in(loader: Instance) -> list[DataInfo]:
    """What is known of the arrays that a loader serves rows of."""
    dataset = loader.attrs.get("dataset")
    held = dataset.attrs.get("$tensors") if isinstance(dataset, Instance) else None
    items = held.items if isinstance(held, Tuple) else ()
    return [item.data for item in items if isinstance(item, Tensor) and item.data.tokens]


def is_split_off(data: DataInfo) -> bool:
    """Whether rows are the training part of a split."""
    return data.part == "train" and bool(data.splits)


def goes_out(region: Region) -> bool:
    """Whether code out of view gets hold of data that are held out."""
    given = (value for kind in ("escape", "outside") for event in region.of(kind) for value in event.values)
    return any(isinstance(v, Tensor) and v.data.part in HELD_OUT for value in given for v in flattened(value))


def flattened(value: Value) -> Sequence[Value]:
    """What a tuple, list or dict holds, for a list of any length what each item is; any other value is all there is."""
    if isinstance(value, (Tuple, ListObject)):
        return (value.attrs["element"],) if value.items is None else value.items
    return tuple(value.attrs.values()) if isinstance(value, DictObject) else (value,)


def is_rest(value: Value | None, fitted: Tensor) -> bool:
    """Whether rows are held out by the split of which others were fitted to."""
    return isinstance(value, Tensor) and value.data.part in HELD_OUT and value.data.splits >= fitted.data.splits


def judges(value: Value | None, fitted: Tensor, of_it: bool, cuts: Collection[int]) -> bool:
    """Whether a prediction for these rows can tell what a model fitted on others of their split is worth: one that is
    `of_it`, also where what the split kept was then split again."""
    if not isinstance(value, Tensor) or not value.data.tokens:
        return True
    if same_rows(value, fitted, cuts):
        return False
    held_out = of_it and value.data.part in HELD_OUT and bool(value.data.splits & fitted.data.splits)
    return held_out or value.data.splits >= fitted.data.splits


def same_rows(rows: Tensor, fitted: Value | None, cuts: Collection[int]) -> bool:
    """Whether rows are those of the part of a split that a model was fitted on, and no others. A side
    of one of the `cuts` is such a part, too."""
    if not isinstance(fitted, Tensor) or not rows.data.tokens or not rows.data.splits:
        return False
    mine, theirs = rows.data, fitted.data
    chosen_alike = rows is fitted or (mine.order is not None and mine.order == theirs.order)
    of_one_part = (mine.tokens, mine.splits) == (theirs.tokens, theirs.splits)
    is_part = mine.part is not None or not mine.splits.isdisjoint(cuts)
    return is_part and mine.part == theirs.part and of_one_part and chosen_alike


def within(rows: Tensor, fitted: Value | None) -> bool:
    """Whether rows were held out from data on all of which a model was fitted."""
    if not isinstance(fitted, Tensor) or rows.data.part not in HELD_OUT:
        return False
    mine, theirs = rows.data, fitted.data
    whole = theirs.part is None and not theirs.splits and bool(theirs.tokens) and mine.tokens == theirs.tokens
    return whole and mine.order is not None and theirs.order is not None and theirs.order <= mine.order


def brought(region: Region) -> Step | None:
    """The argument by which the function around a loop was given what that goes through, at the first of the calls
    that handed it on."""
    if region.space.source is None or not hasattr(region.node, "iter"):
        return None
    found, index = None, index_of(region.space)
    names = [node for node in nodes_in(region.node.iter) if isinstance(node, cst.Name)]
    for outer in outwards(region.parent):
        if outer.kind != "call" or outer.parent is None:
            continue
        bound = (bindings[0].node for name in names if len(bindings := index.lookup(name)) == 1)
        given = [argument_for(outer.value.node, outer.node, one) for one in bound if isinstance(outer.value, Function)]
        argument = next((one for one in given if one is not None), None)
        if argument is None or outer.parent.space.source is None:
            break
        found, index = Step(outer.parent.space, argument, "given here"), index_of(outer.parent.space)
        names = [argument] if isinstance(argument, cst.Name) else []
    return found


def places_of(event: Any, region: Region) -> list[Step]:
    """Where a program says what a loop goes through: the argument of a call, if the loop has it from one, and the head
    of the loop."""
    head = Step(event.space, getattr(event.node, "iter", event.node), "gone through here")
    given = (e.argument for e in region.of("brought") if e.node is event.node and e.loader is event.loader)
    return [*(step for step in (next(given, None),) if step is not None), head]


def made_apart(loader: Instance, trained: list[Instance]) -> list[Step]:
    """Where the data of a loader are made, if for it alone, and where it is made itself: the first is to blame."""
    if all(is_cut_by_places(one) for one in (loader, *trained)):
        return [step for step in (born_at(loader), loader.born) if step is not None]
    parts = (one.attrs.get("dataset") for one in trained)
    wholes = [whole.born for part in parts if isinstance(part, Instance) for whole in wholes_of(part)]
    found = []
    for way in (bound_to, born_at):
        mine, *others = (way(one) for one in (loader, *trained))
        if mine is not None and all(step is None or step.node is not mine.node for step in (*others, *wholes)):
            found.append(mine)
    return [*(read_from(step) or step for step in found[:1]), *found[:1], *(s for s in (loader.born,) if s is not None)]


def is_cut_by_places(loader: Instance) -> bool:
    """Whether a loader serves a subset at places that the program drew at random itself."""
    dataset = loader.attrs.get("dataset")
    places = dataset.attrs.get("$indices") if isinstance(dataset, Instance) and "dataset" in dataset.attrs else None
    return isinstance(places, Tensor) and any(key[0] == "drawn" for key in places.data.order or ())


def read_from(made: Step) -> Step | None:
    """Where the folder is written that data are read from, if apart from the call that reads them."""
    if made.space.source is None or not isinstance(made.node, cst.Call):
        return None
    path = value_before(made.space, keyword(made.node, "root") or next(iter(positional(made.node)), None))
    parts = list(nodes_in(path)) if path is not None else []
    texts = [part.raw_value for part in parts if isinstance(part, cst.SimpleString)]
    if any(isinstance(part, cst.Comparison) for part in parts):
        return None  # rows that are chosen
    return Step(made.space, path, "read from here") if any(part_in_path(text) for text in texts) else None


def unused_loaders(region: Region, learnt: Container[Any], used: Iterable[Instance]) -> list[Instance] | None:
    """The loaders of other data than what is learnt that are not used; None where code out of view may use one."""
    others = [loader for *_, loader in region.of("loader") if served_by(loader) not in learnt]
    gone, known = out_of_sight(region), {id(loader) for loader in used}
    return None if any(id(o) in gone for o in others) else [o for o in others if id(o) not in known]


def made_for_each(event: Any, evaluated: Sequence[Any], alike: Sequence[Any]) -> bool:
    """Whether a function that evaluates makes its loader itself, of whatever it is given: held-out data, elsewhere."""
    made = event.loader.born
    if made is None or made.space.source is None:
        return False
    index = made.space.source.index
    function = index.function(made.node)
    if function is None or all(above is not function for above in index.ancestors(event.node)):
        return False
    places = [other.loader.born for other in evaluated if other not in alike]
    return any(place is not None and place.node is made.node for place in places)


def stages_of(region: Region, events: Sequence[Any]) -> Collection[list[Any]]:
    """Events, those together that have one innermost loop around them."""
    wanted = {id(event) for event in events}
    found: dict[Any, list[Any]] = {}
    for event, inside in nested(region.events):
        if id(event) in wanted:
            loop = next((outer.node for outer in reversed(inside) if outer.block == "loop"), None)
            found.setdefault(loop, []).append(event)
    return found.values()


def learnt_before(region: Region, events: Sequence[Any]) -> dict[int, list[Instance]]:
    """By the `id` of each of some events, the loaders that were trained on before it."""
    wanted = {id(event) for event in events}
    found: dict[int, list[Instance]] = {}
    learnt: list[Instance] = []
    for event in region.events:
        if event.kind == "trained" and gives_away(event, events):
            learnt.append(event.loader)
        elif id(event) in wanted:
            found[id(event)] = learnt[:]
    return found


def serves_known(loader: Instance, learnt: Iterable[Instance]) -> bool:
    """Whether a loader serves what any of those does that were trained on, or some of it."""
    return any(served_by(other) == served_by(loader) or serves_some(loader, other) for other in learnt)


def is_said_to_train(event: Any, region: Region) -> bool:
    """Whether a program calls the data that a loop goes through training data, as it does to compare results on them
    with those on others."""
    made = [step for step in (event.loader.born, born_at(event.loader)) if step is not None]
    names = [name for step in made for name in assigned_to(step)]
    given = [name for place in places_of(event, region)[:1] for name in names_in(place.node)]
    return any("train" in name.lower() for name in (*names, *given))


def statement_of(made: Step | None) -> Any:
    """The statement in which something is made; None where that is out of view."""
    return index_of(made.space).statement(made.node) if made is not None and made.space.source is not None else None


def assigned_to(made: Step) -> list[str]:
    """The names that a statement gives what it makes alone."""
    statement = statement_of(made)
    targets = statement.targets if isinstance(statement, cst.Assign) else []
    alone = len(targets) == 1 and not isinstance(targets[0].target, cst.Tuple)
    return [*names_in(targets[0].target)] if alone else []


def is_said_held_out(loader: Instance) -> bool:
    """Whether a program itself says that the data of a loader are held out."""
    dataset = loader.attrs.get("dataset")
    return isinstance(dataset, Instance) and dataset.cls is not None and is_declared(dataset)


def is_called_held_out(event: Any, region: Region) -> bool:
    """Whether the data that a loop goes through have a name that speaks of validation or test data alone: where their
    loader is made, or, if a helper makes it for all parts, where it is given to the loop."""
    statement = statement_of(event.loader.born)
    targets: list[Any] = [target.target for target in statement.targets] if isinstance(statement, cst.Assign) else []
    words = [word for target in targets for word in words_in(target)]
    if isinstance(statement, cst.Return) or (words and not any(map(names_part, words))):
        words = [word for place in places_of(event, region)[:1] for word in words_in(place.node)]
    return any(map(names_part, words)) and not any("train" in word.lower() for word in words)


def names_part(word: str) -> bool:
    """Whether a name speaks of a part of the data."""
    return bool(VALIDATION.search(word) or TEST.search(word) or "train" in word.lower())


def born_at(loader: Instance) -> Step | None:
    """Where the data of a loader are made."""
    dataset = loader.attrs.get("dataset")
    return dataset.born if isinstance(dataset, Instance) else None


def bound_to(loader: Instance) -> Step | None:
    """The call from which a loader has its data, as the statements before it tell."""
    if loader.born is None or loader.born.space.source is None or not isinstance(loader.born.node, cst.Call):
        return None
    space, call = loader.born.space, loader.born.node
    made = value_before(space, keyword(call, "dataset") or next(iter(positional(call)), None))
    return Step(space, made, "made here") if isinstance(made, cst.Call) else None


def value_before(space: Namespace, name: Any) -> Any:
    """The expression that the statements before a name give it; None where that is not plain to see."""
    bound = reaching(index_of(space), name) if isinstance(name, cst.Name) else None
    statement = index_of(space).statement(bound) if bound is not None else None
    return statement.value if isinstance(statement, cst.Assign) else None


def gives_away(trained: Any, judged: Sequence[Any]) -> bool:
    """Whether a training may know what it is judged by: what it learns without labels, as by contrast, does not tell
    those that others are compared with."""
    return not leaves_labels(trained) or all(map(leaves_labels, judged))


def leaves_labels(event: Any) -> bool:
    """Whether a loop over batches does nothing with the last of what it takes of each: `for x, _ in loader`."""
    loop = event.node
    target: Any = loop.target if isinstance(loop, cst.For) else None
    if isinstance(target, cst.Tuple) and called(loop.iter) == "enumerate":
        target = target.elements[-1].value
    used = Counter(names_in(loop.body)) if target is not None else Counter[str]()
    if isinstance(target, cst.Name):  # taken apart in the body: `x, _ = batch`
        lines = [node for node in nodes_in(loop.body) if isinstance(node, cst.Assign)]
        apart = [line.targets[0].target for line in lines if is_name(line.value, target.value)]
        target = apart[0] if len(apart) == 1 == used[target.value] else None
        used.subtract(names_in(target) if target is not None else ())
    last = target.elements[-1].value if isinstance(target, cst.Tuple) else None
    return isinstance(last, cst.Name) and used[last.value] == 0


def judged_loops(region: Region) -> list[Any]:
    """The loops over loaders in a program that judge a model: there and then, or by a score of what they gather."""
    gathered = region.of("gathered")
    if not gathered or not region.has("measured", "compare"):
        return list(region.of("evaluated"))
    scores = {event.node for event in region.of("measured")}
    values = [v for e in region.of("outside") if e.node in scores for given in e.values for v in flattened(given)]
    values += [event.value for event in region.of("compare")]
    outputs = [v.data.tokens for v in values if isinstance(v, Tensor) and v.deps]
    tokens = frozenset().union(*outputs)
    # Of a batch that nothing is known of, as a graph, outputs have no token; then one loop gathers all.
    alone = any(not known for known in outputs) and len({e.node for e in gathered}) == 1
    return [
        *region.of("evaluated"),
        *(e for e in gathered if alone or tokens & info_of(e.loader.attrs.get("dataset")).tokens),
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


def in_branches(loader: Instance) -> Iterator[Instance]:
    """A loader, once for each of the data sets that it may serve, where branches make these."""
    choice = loader.attrs.get("dataset")
    for dataset in choice.options if isinstance(choice, Union) else ():
        if isinstance(dataset, Instance) and dataset.born is not None:
            one = Instance(loader.cls, loader.family, loader.born)
            one.attrs.update(loader.attrs, dataset=dataset)
            yield one


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


def is_idle(region: Region, parts: Container[str | None] = HELD_OUT) -> bool:
    """Whether data are held out in a program, as data sets for these parts or by a split, and surely not used by it."""
    datasets, pieces = out_of_use(region)
    return bool(pieces) or any(dataset_part(dataset) in parts for dataset in datasets)


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


def wholes_of(part: Instance) -> Iterator[Instance]:
    """The data sets that a data set is a part of, be it a part of a part."""
    inner: Value | None = part
    while isinstance(inner, Instance) and is_subset(inner):
        inner = inner.attrs.get("dataset")
        if isinstance(inner, Instance):
            yield inner


def is_subset(dataset: Instance) -> bool:
    """Whether a data set surely is a part of another."""
    return not {"$random", "$indices", "$span"}.isdisjoint(dataset.attrs)


def is_random_part(dataset: Value) -> TypeGuard[Instance]:
    return isinstance(dataset, Instance) and "$random" in dataset.attrs


def random_parts(loaders: list[Instance]) -> list[Instance]:
    """The parts of random splits among what loaders may serve."""
    return [dataset for dataset in datasets_of(loaders) if is_random_part(dataset)]


def datasets_of(loaders: Iterable[Instance]) -> list[Value]:
    """The data sets that loaders may serve from."""
    return [dataset for loader in loaders for dataset in options(loader.attrs.get("dataset", UNKNOWN))]


def rows_served(loader: Instance) -> Value | None:
    """The rows that a loader serves, if it surely serves all of them."""
    return rows_in(loader.attrs.get("dataset")) if serves_whole(loader) else None


def parted_apart(loader: Instance, other: Instance) -> bool:
    """Whether two pipelines of Keras serve the two subsets of one folder, each by a seed of its own."""
    mine, theirs = (files_of(one.attrs.get("dataset")) for one in (loader, other))
    if mine is None or theirs is None:
        return False
    seeds = {const(one.attrs["$seed"]) for one in (mine, theirs)}
    (folder, share, subset, _), (other_folder, other_share, other_subset, _) = (
        mine.attrs["$made"],
        theirs.attrs["$made"],
    )
    alike = (folder, share) == (other_folder, other_share) and subset != other_subset
    return alike and len(seeds) == 2 and all(isinstance(seed, int) for seed in seeds)


def folder_read(flow: Value | None) -> Any:
    """What identifies the files that batches of Keras are read from; None where that is not known."""
    return flow.attrs.get("$folder") if isinstance(flow, Instance) else None


def flow_of_same(flow: Value | None, other: Value | None) -> Step | None:
    """Where batches of Keras are made of all rows of an array of which others are made, too."""
    if not isinstance(flow, Instance) or not isinstance(other, Instance) or flow is other:
        return None
    same = flow.attrs.get("$rows") is not None and flow.attrs["$rows"] is other.attrs.get("$rows")
    return flow.born if same and "subset" not in flow.attrs.keys() | other.attrs.keys() else None


def files_of(dataset: Value | None) -> Instance | None:
    """The data set from a folder of Keras that all samples, or some of them, are taken from."""
    while isinstance(dataset, Instance) and "$seed" not in dataset.attrs:
        dataset = dataset.attrs.get("dataset")
    return dataset if isinstance(dataset, Instance) else None


def reads_part_of(part: Instance | None, folder: Instance) -> bool:
    """Whether a data set of Keras is a subset of the files of a folder, all of which another one reads."""
    mine: Sequence[Any] = part.attrs.get("$made", ()) if part is not None else ()
    whole: Sequence[Any] = folder.attrs.get("$made", ())
    parted = len(mine) == len(whole) == 4 and mine[1] != NONE.key and whole[1] == NONE.key
    return part is not folder and parted and bool(mine[0] == whole[0])


def drawn_parts(loader: Instance) -> list[Instance]:
    """What a loader may serve of parts of random splits, if it is known how each was drawn."""
    held = datasets_of([loader])
    return [part for part in held if isinstance(part, Instance) and drawn_by(part) is not None]


def drawn_by(part: Instance) -> Any:
    """The random draw that chose what a part has of its data set, be it that itself or the places that are taken; None
    where there is none, or it is not known."""
    places = part.attrs.get("$indices")
    if not isinstance(places, Tensor) or places.data.tokens or not is_subset(part):
        return part.attrs.get("$draw")
    chosen, drawn = parted(places.data.order or frozenset())
    return next(iter(drawn)) if len(drawn) == 1 and chosen else None


def serves_some(loader: Instance, other: Instance) -> bool:
    """Whether a loader surely serves rows that another one serves, too: none besides, or both begin with the first, or
    items of a list, as windows over rows that come before some are not."""
    mine, theirs = span(rows_served(loader)), span(rows_served(other))
    if is_within(mine, theirs) or begin_alike(mine, theirs) or is_chosen_of(rows_served(loader), rows_served(other)):
        return True
    if (isinstance(rows_served(loader), ListObject) or by_shares(mine, theirs)) and overlap(mine, theirs):
        return True
    if same_data(loader) in joined_in(other):
        return True
    (whole, chosen), (other_whole, others) = indices_of(loader), indices_of(other)
    if whole is None or whole != other_whole:
        return False
    if (one := slice_of(chosen)) is not None and (two := slice_of(others)) is not None:
        return one[2] == two[2] and max(one[0], two[0]) < min(one[1], two[1])
    if chosen is None:
        return False
    if others is None or is_part_of(chosen, others):
        return True
    places = (span(chosen), span(others))
    if begin_alike(*places) or (by_shares(*places) and overlap(*places)):
        return True
    return any(is_within(span(chosen), found) for found in (span(others), all_rows(others)))


def have_some(rows: Value | None, others: Value | None) -> bool:
    """Whether some rows of an array surely are among others, each of which is a sample."""
    mine, theirs = span(rows), span(others) or all_rows(others)
    return is_within(mine, theirs) or overlap(mine, theirs)


def have_others(rows: Value | None, others: Value | None) -> bool:
    """Whether rows are among others just in part: both were taken up to, or from, places that are known."""
    mine, theirs = span(rows), span(others)
    return overlap(mine, theirs) and not is_within(mine, theirs) and not is_within(theirs, mine)


def joined_in(loader: Instance) -> set[Any]:
    """What identifies the samples of each data set that a loader serves together with others."""
    members = members_of(loader.attrs.get("dataset")) if serves_whole(loader) else ()
    return {identity(one) for one in members} - {None}


def taken_from(loader: Instance) -> set[Any]:
    """What identifies the data sets of which a loader serves a part, be it a part of a part."""
    part = loader.attrs.get("dataset")
    wholes = wholes_of(part) if isinstance(part, Instance) and serves_whole(loader) else ()
    return {identity(whole) for whole in wholes} - {None}


def serves_slice(loader: Instance, other: Instance) -> bool:
    """Whether two pipelines surely have rows in common: slices that overlap, or a slice and the whole."""
    (whole, chosen), (other_whole, others) = indices_of(loader), indices_of(other)
    if whole is None or whole != other_whole or chosen is others is None:
        return False
    known = [slice_of(one) is not None for one in (chosen, others) if one is not None]
    return all(known) and (None in (chosen, others) or serves_some(loader, other))


def begin_together(loader: Instance, other: Instance) -> bool:
    """Whether two pipelines take the first samples of the same one, or leave out its first: `take(a)` and `take(b)`; or
    two runs of graphs begin at one place."""
    (whole, chosen), (other_whole, others) = indices_of(loader), indices_of(other)
    ways = [one.items[0] for one in (chosen, others) if isinstance(one, Tuple) and one.items]
    if whole is None or whole != other_whole or len(ways) != 2 or const(ways[0]) == "shard":
        return False
    same = ways[0] is ways[1] and not is_anything(ways[0])
    return same or (isinstance(ways[0], Const) and ways[0].key == ways[1].key)


def slice_of(chosen: Value | None) -> tuple[float, float, str] | None:
    """From where to where a slice of TensorFlow's goes (`train[10%:]`), or one of graphs, and what it counts; None
    where that is not known."""
    if isinstance(chosen, Tuple):
        ends = [const(end, 0) for end in chosen.items]
        units = {end.__class__ for end in ends if end}
        plain = len(units) == 1 and units < {int, float} and all(end is None or end >= 0 for end in ends)
        return (ends[0] or 0, float("inf") if ends[1] is None else ends[1], units.pop().__name__) if plain else None
    found = _SLICE.fullmatch(chosen.value) if isinstance(chosen, Const) and isinstance(chosen.value, str) else None
    if found is None or "" == found[1] == found[3]:
        return None
    units = {unit for number, unit in ((found[1], found[2]), (found[3], found[4])) if number}
    start, stop = float(found[1] or 0), float(found[3] or "inf")
    return (start, stop, units.pop()) if len(units) == 1 else None


def is_part_of(chosen: Value, places: Value) -> bool:
    """Whether places are a part of those that were drawn once at random: `order[:n]` of `order`."""
    mine, theirs = (one.data.order if isinstance(one, Tensor) else None for one in (chosen, places))
    return mine is not None and theirs is not None and any(key[0] == "drawn" for key in theirs) and theirs < mine


def indices_of(loader: Instance) -> tuple[Any, Value | None]:
    """What identifies the data set that a loader draws from, and at which indices it does, be it by a sampler or by a
    subset; None for all, and no data set where that is not known."""
    dataset, chosen = loader.attrs.get("dataset"), None
    if not serves_whole(loader) and (chosen := sampled_indices(loader)) is None:
        return None, None
    if chosen is None and isinstance(dataset, Instance) and "$indices" in dataset.attrs:
        chosen, dataset = dataset.attrs["$indices"], dataset.attrs.get("dataset")
    elif chosen is None and isinstance(dataset, Instance) and "$span" in dataset.attrs:
        chosen, dataset = Tuple(tuple(end or NONE for end in dataset.attrs["$span"])), dataset.attrs.get("dataset")
    return identity(dataset), chosen


def is_loader(value: Value | None) -> TypeGuard[Instance]:
    return isinstance(value, Instance) and value.family == "loader"


def chosen_at(loader: Instance) -> Step | None:
    """Where the samples of a loader are chosen: by places that are drawn before, or by indices."""
    dataset = loader.attrs.get("dataset")
    rows = rows_in(dataset)
    drawn = rows.attrs.get("$places") if isinstance(rows, ListObject) else None
    if isinstance(drawn, Step):
        return drawn._replace(node=definition(index_of(drawn.space), drawn.node) or drawn.node)
    is_hub = isinstance(dataset, Instance) and dataset.api_path == "datasets.Dataset" and "$indices" in dataset.attrs
    return dataset.born if is_hub and isinstance(dataset, Instance) else None


def served_by(loader: Instance) -> Any:
    """What identifies the samples a loader serves: its data where they are known, else the loader."""
    return same_data(loader) or Same(loader)


def same_data(loader: Instance) -> Any:
    """What identifies the samples a loader serves; None when they are not surely all of one data set, or those at some
    indices of one."""
    whole = identity(loader.attrs.get("dataset"))
    if serves_whole(loader):
        return whole
    indices = sampled_indices(loader)
    return None if whole is None or indices is None else (whole, sameness(indices))


def sampled_indices(loader: Instance) -> Value | None:
    """The indices that a loader's sampler draws from, if it surely draws from these alone."""
    sampler = loader.attrs.get("sampler")
    if loader.attrs.get("$open") or not is_none(loader.attrs.get("batch_sampler")):
        return None
    subset = isinstance(sampler, Instance) and sampler.describe() == "SubsetRandomSampler"
    found = sampler.attrs.get("indices") if subset and isinstance(sampler, Instance) else None
    return found if isinstance(found, Value) and not is_anything(found) else None


def serves_whole(loader: Instance) -> bool:
    """Whether a loader surely serves all of its data set."""
    chosen = [loader.attrs.get("sampler"), loader.attrs.get("batch_sampler")]
    given = (option for sampler in chosen if sampler is not None for option in options(sampler))
    return not loader.attrs.get("$open") and all(is_none(sampler) or serves_all(sampler) for sampler in given)


def may_serve_whole(loader: Instance) -> bool:
    """Whether a setting decides if a loader serves all of its data set, or what some class of the project's chooses."""
    samplers = options(loader.attrs.get("sampler", NONE))
    own = [isinstance(one, Instance) and isinstance(one.cls, Class) for one in samplers]
    given = [one for one, of_project in zip(samplers, own, strict=True) if not of_project]
    alone = not loader.attrs.get("$open") and is_none(loader.attrs.get("batch_sampler"))
    return alone and any(own) and bool(given) and all(is_none(one) or serves_all(one) for one in given)


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
    if isinstance(dataset, ListObject) and dataset.items != ():
        return sameness(dataset)
    if not isinstance(dataset, Instance) or (isinstance(dataset.cls, Class) and not serves_items(dataset)):
        return None
    if "$switched" in dataset.attrs:
        return None
    if "$one_of" in dataset.attrs:
        return id(dataset)
    if "$shuffled" in dataset.attrs:
        return identity(dataset.attrs["dataset"])
    if is_random_part(dataset):
        drawn, whole = dataset.attrs.get("$draw"), identity(dataset.attrs.get("dataset"))
        alike = drawn is not None and whole is not None and UNKNOWN.key not in drawn and len(drawn) > 3
        return (whole, drawn, dataset.attrs.get("$place")) if alike else id(dataset)
    if isinstance(chosen := dataset.attrs.get("$indices"), Value):
        whole = identity(dataset.attrs.get("dataset"))
        return id(dataset) if whole is None or is_anything(chosen) else (whole, sameness(chosen))
    if is_subset(dataset) or is_drawn(dataset):
        return id(dataset)
    tensors = dataset.attrs.get("$tensors")
    if isinstance(tensors, Tuple):
        if any(isinstance(t, Tensor) and t.data.shuffled and not t.data.tokens for t in tensors.items):
            return None  # random numbers, to see whether the program runs
        if any(
            is_anything(t) or (isinstance(t, Tensor) and t.data.tokens and not is_one(t.data)) for t in tensors.items
        ):
            return id(dataset)
        return frozenset(sameness(t) for t in tensors.items)
    made = dataset.attrs.get("$made")  # empty where its samples were changed since
    known, train = bundled(dataset), dataset.attrs.get("train")
    if known and isinstance(train, Const) and made != ():
        return (known, train.key)
    if made and made[0] == ROWS:
        return made  # whatever the class that serves them
    if made:
        return (dataset.cls.key if dataset.cls is not None else None, made)
    if isinstance(listed := dataset.attrs.get(LISTED), ListObject):
        return sameness(listed)
    if joined := [identity(one) for one in members_of(dataset)]:
        return None if None in joined else ("joined", frozenset(joined))
    sources = roots(dataset)
    if any(isinstance(source, Instance) and "$any" in source.attrs for source in sources):
        return None
    return frozenset(id(source) for source in sources)


def serves_same(one: Value | None, other: Value | None) -> Step | None:
    """Where an object of a class of the project's that makes batches itself is made to serve the rows of another."""
    if not isinstance(one, Instance) or not isinstance(other, Instance) or one is other or is_loader(one):
        return None
    made, rows = one.attrs.get("$made"), (held(v) for v in one.attrs.values() if isinstance(v, (Tensor, ListObject)))
    alike = isinstance(one.cls, Class) and other.cls is one.cls and made == other.attrs.get("$made")
    return one.born if made and alike and any(rows) else None


def shared_rows(judged: Value | None, trained: Value | None) -> str:
    """In words, how objects of the project's own classes that make batches hold rows in common; "" for not at all."""
    mine, theirs = (
        [value for value in one.attrs.values() if isinstance(value, Tensor) and value.data.tokens]
        if isinstance(one, Instance) and isinstance(one.cls, Class) and one is not other
        else []
        for one, other in ((judged, trained), (trained, judged))
    )
    pairs = [(rows, others) for rows in mine for others in theirs]
    if any(rows.data == others.data for rows, others in pairs):
        return ""  # both hold all there are, and know which are theirs
    for rows, others in pairs:
        if drawn_apart(rows, others):
            return REDRAWN
        if have_some(rows, others):
            return JUDGED
        if is_held_out_of(rows, others, ()):
            return UNSPLIT
    return ""


def members_of(dataset: Value | None) -> Sequence[Value]:
    """The data sets of which one has all samples; none where it is not put together from others."""
    if not isinstance(dataset, Instance) or not dataset.api_path.endswith(JOINED):
        return ()
    members = dataset.attrs.get("$members")
    if not isinstance(members, (ListObject, Tuple)):
        return ()
    return members.items if members.items is not None else options(members.attrs["element"])


def may_be_parted(interp: Interpreter, loader: Instance) -> bool:
    """Whether a loader may serve one graph, whose nodes are parted by masks in the steps."""
    row = interp.library.class_row(loader.api_path)
    whole = roots(loader.attrs.get("dataset"))
    many = all(isinstance(data, Instance) and "$serves" in data.attrs for data in whole)
    return row is not None and "parted" in row.raw and not (whole and many)


def is_drawn(dataset: Instance) -> bool:
    """Whether a data set serves random numbers that it draws when it is made, or samples that it makes of nothing,
    whichever is asked for."""
    held = [v for k, v in dataset.attrs.items() if k not in PLACES and isinstance(v, Tensor)]
    if any(v.data.shuffled and not v.data.tokens for v in held):
        return True
    serve = dataset.cls.find("__getitem__") if isinstance(dataset.cls, Class) else None
    if held or not isinstance(serve, Function) or len(serve.node.params.params) != 2:
        return False
    return serve.node.params.params[1].name.value not in words_in(serve.node.body)


def serves_items(dataset: Instance) -> bool:
    """Whether a data set is seen to serve sample by sample: by its class's own method, or as its base does."""
    own = isinstance(dataset.cls, Class) and dataset.cls.find("__getitem__") is not None
    return own or "$serves" in dataset.attrs


def is_none(value: Value | None) -> bool:
    return value is None or any(isinstance(o, Const) and o.value is None for o in options(value))


def source(dataset: Instance) -> Any:
    """What identifies the kind of data set: what torchvision's are made from by a class of the project's, too."""
    return bundled(dataset) or (dataset.cls.key if dataset.cls is not None else None)


def is_declared(dataset: Instance) -> bool:
    """Whether a program itself says that data are held out: by a flag or a path, not by their place in a split."""
    return "$made" in dataset.attrs and not is_subset(dataset) and dataset_part(dataset) in HELD_OUT
