"""Pipelines of `tf.data` and of grain: over arrays, folders and data sets that are downloaded."""

from __future__ import annotations

from collections.abc import Iterator

from trainlint.semantics.arithmetic import KERAS, RAW
from trainlint.semantics.behaviours.data import PART_WORDS, dataset_part, part_in_path, row_of, sameness, words_of
from trainlint.semantics.behaviours.engines import hook
from trainlint.semantics.library import Call, as_tensor, behaviour
from trainlint.semantics.values import (
    FALSE,
    NO_DATA,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Const,
    DictObject,
    Instance,
    ListObject,
    Method,
    Step,
    Tensor,
    Tuple,
    Value,
    const,
    is_opaque,
    truth,
)
from trainlint.syntax.code import called


@behaviour("tf_slices")
def slices(call: Call) -> Value:
    """A `tf.data` pipeline over arrays, row by row in their order."""
    given = call.value("tensors", 0) or UNKNOWN
    rows = arrays_in(given)
    if not rows or (rows[0] is given and not isinstance(given, Tensor)):
        return UNKNOWN
    if not all(isinstance(row, Tensor) or is_opaque(row) for row in rows):
        return UNKNOWN
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    known = all(isinstance(row, Tensor) and row.data.tokens for row in rows)
    if not known:  # data of an origin out of view, which may have been shuffled there
        whole = Tensor(graph=False, data=NO_DATA._replace(tokens=frozenset((id(dataset),))))
        rows = tuple(row if isinstance(row, Tensor) and row.data.tokens else whole for row in rows)
    dataset.attrs["$tensors"] = Tuple(rows)
    if not isinstance(given, (Tuple, ListObject)) or len(rows) != len(given.items or ()):
        dataset.attrs["$sample"] = sampled(given, iter(rows))
    if known:
        call.interp.event("dataset", call.node, dataset)
        if len(rows) > 1:
            call.interp.emit("pair", (call.node, rows, "data set", call))
    return over(dataset, FALSE if known else UNKNOWN)


def arrays_in(given: Value) -> tuple[Value, ...] | None:
    """The arrays of what samples are made of, such as `({"ids": ids, "mask": mask}, labels)`; None where not all are
    known."""
    parts = [part for _, part in given.known()] if isinstance(given, DictObject) else getattr(given, "items", None)
    if not isinstance(given, (Tuple, ListObject, DictObject)):
        return (given,)
    if isinstance(given, DictObject) and (rest := given.rest) is not None:
        return None if parts or not isinstance(rest, Tensor) else (rest,)  # all columns of a table
    if parts is None:
        return None
    found = [arrays_in(part) for part in parts]
    return None if None in found else tuple(array for arrays in found for array in arrays or ())


def sampled(given: Value, rows: Iterator[Value]) -> Value:
    """A sample of such a pipeline: the same structure, of single rows."""
    if isinstance(given, DictObject):
        parts = given.known() if given.rest is None else [(DictObject.REST, given.rest)]
        return DictObject({name: sampled(part, rows) for name, part in parts})
    if isinstance(given, (Tuple, ListObject)):
        return Tuple(tuple(sampled(part, rows) for part in given.items or ()))
    return row_of(as_tensor(next(rows)))


def windows_over(call: Call, rows: Tensor) -> Instance:
    """A pipeline that serves windows over the rows of a series."""
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs["$tensors"] = Tuple((rows,))
    made = over(dataset, UNKNOWN)
    made.attrs["$opaque"] = made.attrs["$batched"] = TRUE
    return made


PATHS = ("tensorflow.", "grain.")


def over(
    dataset: Instance, shuffle: Value, path: str = "tensorflow.data.Dataset", born: Step | None = None
) -> Instance:
    """A pipeline that serves a data set."""
    made = Instance(Api(path), "loader", born or dataset.born)
    made.attrs["dataset"] = dataset
    made.attrs["$shuffle"] = shuffle  # `shuffle` is a method
    return made


def stored(call: Call, part: str | None, *same: object, rows: str = "") -> Instance:
    """A data set that is stored somewhere, or the `rows` of it that are asked for; two are the same if all is the same
    that chooses their rows."""
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs["$part"] = part
    dataset.attrs["$made"] = same
    if rows:
        whole, dataset = dataset, Instance(dataset.cls, "dataset", dataset.born)
        dataset.attrs["dataset"], dataset.attrs["$indices"] = whole, Const(rows)
    call.interp.event("dataset", call.node, dataset)
    return dataset


@behaviour("tf_directory")
def directory(call: Call) -> Value:
    """`image_dataset_from_directory(…)`: the files of a folder, or the part of them that `subset` says. They are
    shuffled unless it is told not to, be they for the training or not."""
    subset, folder = call.value("subset"), call.value("directory", 0) or UNKNOWN
    named = const(subset) if subset is not None else None
    if call.arguments.open:
        return UNKNOWN
    if named == "both":
        return Tuple(tuple(of_folder(call, folder, Const(name)) for name in ("training", "validation")))
    return of_folder(call, folder, subset)


def of_folder(call: Call, folder: Value, subset: Value | None) -> Instance:
    """A pipeline over a folder's files, or over the subset of them that is asked for."""
    named = const(subset) if subset is not None else None
    part = PART_WORDS.get(named) if isinstance(named, str) else part_in_path(words_of(folder))
    chosen = (call.value("validation_split") or NONE, subset or NONE, call.value("seed") or NONE)
    dataset = stored(call, part, *map(sameness, (folder, *chosen)))
    dataset.attrs["$seed"] = call.value("seed") or NONE
    if "image" in call.short_name:
        labelled = (call.value("label_mode") or TRUE, call.value("labels") or TRUE)
        dataset.attrs["$sample"] = pixels_of(dataset) if NONE in labelled else with_label(dataset)
    return over(dataset, call.value("shuffle") or UNKNOWN)


def pixels_of(dataset: Instance) -> Tensor:
    """An image as it is stored, if a data set has images."""
    return Tensor(graph=False, data=NO_DATA._replace(tokens=frozenset((id(dataset),)), scale=(KERAS, RAW, None)))


def with_label(dataset: Instance) -> Tuple:
    return Tuple((pixels_of(dataset), Tensor(graph=False)))


@behaviour("tf_download")
def download(call: Call) -> Value:
    """`tfds.load(name, split=…)`: a pipeline for each split that is asked for."""
    info, wanted = call.value("with_info"), call.value("split", 1) or NONE
    if call.arguments.open or (info is not None and not isinstance(info, Const)):
        return UNKNOWN
    served = split_served(call, wanted)
    return Tuple((served, UNKNOWN)) if info is not None and const(info) else served


def split_served(call: Call, wanted: Value) -> Value:
    """The pipeline for a split, or those for several of them."""
    if isinstance(wanted, (ListObject, Tuple)) and wanted.items is not None:
        return Tuple(tuple(split_served(call, one) for one in wanted.items))
    if wanted.key == NONE.key:
        names = ("train", "test", "validation")
        return DictObject({name: split_served(call, Const(name)) for name in names})
    name = const(wanted)
    if not isinstance(name, str):
        return UNKNOWN
    stem, _, rows = name.partition("[")
    part = PART_WORDS.get(stem.lower()) if stem.isalpha() else None
    if "[" in rows or "+" in name:
        stem, rows = name, ""
    shuffled = call.value("shuffle_files")  # of all splits that are asked for, be they for the training or not
    order = FALSE if shuffled is None or truth(shuffled) is False else UNKNOWN
    source = call.receiver.attrs["name"] if isinstance(call.receiver, Instance) else call.value("name", 0)
    dataset = stored(call, part, sameness(source or UNKNOWN), stem, rows=rows)
    made = over(dataset, order)
    if const(call.value("as_supervised") or NONE) is True:
        dataset.attrs["$sample"] = with_label(dataset)
    else:
        made.attrs["$opaque"] = TRUE  # samples are dicts, of what the data set has
    return made


@behaviour("hub_pipeline")
def of_hub(call: Call) -> Value:
    """`model.prepare_tf_dataset(data)` and `data.to_tf_dataset(…)`: batches of a part of the hub's data."""
    own = call.path.startswith("dataset.")
    data = call.receiver if own else call.value("dataset", 1)
    if call.arguments.open or not isinstance(data, Instance) or data.family != "dataset":
        return Instance(None)
    made = over(data, call.value("shuffle") or Const(not own), born=call.interp.step(call.node, call.short_name))
    made.attrs["$opaque"], made.attrs["$batched"] = TRUE, made.born
    return made


@behaviour("tf_zip")
def zipped(call: Call) -> Value:
    """`Dataset.zip((a, b))`: a sample, or a batch, of each of several pipelines at once."""
    given = call.interp.known_items(call.first) if len(call.arguments.positional) == 1 else call.arguments.positional
    parts = [p for p in given or () if isinstance(p, Instance) and p.family == "loader" and "dataset" in p.attrs]
    if call.arguments.open or not parts or len(parts) < len(given or ()):
        return Instance(None)
    joined = Instance(Api("tensorflow.data.Dataset.zip"), "dataset", call.interp.step(call.node, call.short_name))
    joined.attrs["$members"] = Tuple(tuple(part.attrs["dataset"] for part in parts))
    made = over(joined, FALSE if all(truth(part.attrs["$shuffle"]) is False for part in parts) else UNKNOWN)
    made.attrs["$zipped"] = Tuple(tuple(parts))
    if all("$batched" in part.attrs for part in parts):
        made.attrs["$batched"] = parts[0].attrs["$batched"]
    return made


@behaviour("tf_files")
def of_files(call: Call) -> Value:
    """A pipeline over some files, or the records in them. Nothing tells in which order these were written."""
    files = call.value("filenames", 0) or call.value("file_pattern") or UNKNOWN
    made = over(stored(call, part_in_path(words_of(files)), sameness(files)), UNKNOWN)
    made.attrs["$opaque"] = made.attrs["$files"] = TRUE
    return made


@behaviour("tf_read")
def read(call: Call) -> Value:
    """The records of all files that a pipeline names."""
    named = isinstance(call.receiver, Instance) and "$files" in call.receiver.attrs
    return pipeline(call) if named else Instance(None)


@behaviour("tf_pipeline")
def pipeline(call: Call) -> Value:
    """The pipeline with one step more."""
    given = call.receiver
    if not isinstance(given, Instance) or not given.api_path.startswith(PATHS):
        return UNKNOWN
    made = Instance(given.cls, given.family, given.born)
    made.attrs.update(given.attrs)
    if call.path == "loader.shuffle":
        made.attrs["$shuffle"] = TRUE
        again = call.value("reshuffle_each_iteration", 3)
        if given.api_path.startswith("tensorflow.") and (again is None or truth(again) is True):
            made.attrs["$reshuffled"] = call.interp.step(call.node, "shuffle")
    elif call.path == "loader.map":
        step = (call.value("map_func", 1) or UNKNOWN, "$batched" in made.attrs)
        made.attrs["$maps"] = (*made.attrs.get("$maps", ()), step)
        look_for_variation(call, made)
    elif called(call.node) == "cache":
        made.attrs.pop("$reshuffled", None)  # what the first pass gave is kept
    elif call.path == "loader.batch":
        made.attrs["batch_size"] = call.value("batch_size", 1) or UNKNOWN
        made.attrs["$batched"] = call.interp.step(getattr(call.node.func, "attr", call.node), "batch")
    return made


@behaviour("tf_source")
def source(call: Call) -> Value:
    """`tfds.data_source(name, split=…)`: the samples of a split, or of several, to be asked for by number."""
    return UNKNOWN if call.arguments.open else stored_behind(split_served(call, call.value("split", 1) or NONE))


def stored_behind(served: Value) -> Value:
    """The data sets that pipelines serve, whose samples are dicts."""
    if isinstance(served, Tuple):
        return Tuple(tuple(map(stored_behind, served.items)))
    if isinstance(served, DictObject):
        return DictObject({name: stored_behind(one) for name, one in served.known()})
    dataset = served.attrs.get("dataset") if isinstance(served, Instance) else None
    if not isinstance(dataset, Instance):
        return UNKNOWN
    dataset.attrs["$sample"] = DictObject({DictObject.REST: Tensor(graph=False)})
    return dataset


@behaviour("grain_source")
def grain_source(call: Call) -> Value:
    """`MapDataset.source(source)`: a pipeline over samples, in their order."""
    return grain_over(call, call.value("source", 0), FALSE)


def grain_over(call: Call, data: Value | None, shuffle: Value) -> Value:
    """What of grain serves data; of data out of view, the order may be no order at all."""
    if call.arguments.open or not isinstance(data, Instance) or data.cls is None:
        return UNKNOWN
    made = Instance(Api("grain.Dataset"), "loader", call.interp.step(call.node, call.short_name))
    made.attrs["dataset"], made.attrs["$shuffle"] = data, shuffle
    return made


@behaviour("grain_loader")
def grain_loader(call: Call) -> Value:
    """`DataLoader(data_source=…, sampler=…, operations=[…])`: the sampler tells the order."""
    sampler, steps = call.value("sampler", 1), call.value("operations", 2)
    shuffle: Value = UNKNOWN
    if isinstance(sampler, Instance) and sampler.family == "grain_sampler":
        shuffle = sampler.attrs.get("shuffle", FALSE)
    made = grain_over(call, call.value("data_source", 0), shuffle)
    if isinstance(made, Instance):
        passed_through(call, made, steps)
        call.interp.event("loader", call.node, made)
    return made


@behaviour("grain_load")
def grain_load(call: Call) -> Value:
    """`grain.load(source, shuffle=…, transformations=[…], batch_size=…)`."""
    made = grain_over(call, call.value("source", 0), call.value("shuffle", 2) or FALSE)
    if isinstance(made, Instance):
        passed_through(call, made, call.value("transformations", 5))
        made.attrs["batch_size"] = call.value("batch_size", 6) or NONE
        call.interp.event("loader", call.node, made)
    return made


def passed_through(call: Call, made: Instance, steps: Value | None) -> None:
    """Note what a loader of grain puts samples through: objects with a method for it, be they the project's own."""
    known = None if steps is None else call.interp.known_items(steps)
    if steps is not None and known is None:
        made.attrs["$opaque"] = TRUE
    for step in known or ():
        function = hook(step, "map")
        if function is not None:
            made.attrs["$maps"] = (*made.attrs.get("$maps", ()), (Method(step, "map", function), False))
        elif not isinstance(step, Instance) or step.api_path.rpartition(".")[2] != "Batch":
            made.attrs["$opaque"] = TRUE


@behaviour("keras_adapt")
def adapt(call: Call) -> Value:
    """`layer.adapt(data)`: statistics or a vocabulary, learnt from a pipeline or from rows."""
    if isinstance(call.receiver, Instance):
        adapted_to(call, call.receiver, call.value("data", 1))
    return NONE


def adapted_to(call: Call, learner: Instance, given: Value | None) -> None:
    """Tell of what is learnt from data that are held out."""
    part = dataset_part(given.attrs.get("dataset") if isinstance(given, Instance) else given)
    if part in ("val", "test"):
        rows = Tensor(lib="keras", data=NO_DATA._replace(part=part))
        call.interp.emit("fit", (call.node, learner, "adapting", rows, None, call))


@behaviour("keras_vocabulary")
def vocabulary(call: Call) -> Value:
    """`tokenizer.fit_on_texts(texts)`: more words, beside those of earlier texts."""
    tokenizer = call.receiver
    if isinstance(tokenizer, Instance):
        if "$words" not in tokenizer.attrs:
            adapted_to(call, tokenizer, as_tensor(call.value("texts", 1) or UNKNOWN))
        call.interp.write(tokenizer.attrs, "$words", TRUE)
    return NONE


@behaviour("built_vocabulary")
def built_vocabulary(call: Call) -> Value:
    """A vocabulary of the tokens in some texts."""
    made = Instance(Api(call.actual), "", call.interp.step(call.node, call.short_name))
    given = call.value("iterator", 0)
    adapted_to(call, made, given if isinstance(given, Instance) else as_tensor(given or UNKNOWN))
    return UNKNOWN


def look_for_variation(call: Call, made: Instance) -> None:
    """Tell where a step of a pipeline over held-out images changes these at random."""
    part = dataset_part(made.attrs.get("dataset"))
    if part not in ("val", "test"):
        return
    with call.interp.in_region("mapped", call.node) as region:
        call.interp.element_of(made)
    for event in region.of("varied")[:1]:
        call.interp.emit("varied", (call.argument("map_func", 1), part, event))


@behaviour("tf_varied")
def varied(call: Call) -> Value:
    """An image that is changed at random."""
    call.interp.event("varied", call.node)
    return call.first.but(shape=None) if isinstance(call.first, Tensor) else UNKNOWN


@behaviour("tf_run")
def run_on_replicas(call: Call) -> Value:
    """`strategy.run(fn, args=(…))`: the function, on each device."""
    from trainlint.semantics.interpreter import Arguments

    given = call.interp.known_items(call.value("args", 2) or Tuple(()))
    if given is None or call.value("kwargs", 3) is not None:
        return UNKNOWN
    return call.interp.call(call.value("fn", 1) or UNKNOWN, Arguments(list(given)), call.node)


@behaviour("tf_reduced")
def reduced(call: Call) -> Value:
    """`strategy.reduce(op, value)`: the same kind of numbers, of all devices."""
    return call.value("value", 2) or UNKNOWN


@behaviour("tf_builder")
def builder(call: Call) -> Value:
    """`tfds.builder(name)`, which gives the data sets of that name."""
    made = Instance(Api(call.actual), "tf_builder", call.interp.step(call.node, call.short_name))
    made.attrs["name"] = call.value("name", 0) or UNKNOWN
    return made


@behaviour("tf_built")
def built(call: Call) -> Value:
    return UNKNOWN if call.arguments.open else split_served(call, call.value("split", 1) or NONE)


@behaviour("tf_some")
def some(call: Call) -> Value:
    """`take(n)` and `skip(n)`: the first samples, or all but these; `shard(n, i)`: every nth of them."""
    made = pipeline(call)
    if isinstance(made, Instance) and isinstance(whole := made.attrs.get("dataset"), Instance):
        way, numbers = called(call.node), [call.value(name) or UNKNOWN for name in call.row.params[1:]]
        part = Instance(whole.cls, "dataset", whole.born)
        part.attrs["dataset"] = whole
        part.attrs["$indices"] = Tuple((Const(way), *numbers))
        made.attrs["dataset"] = part
        rows = whole.attrs.get("$tensors")
        if way == "skip" and isinstance(rows, Tuple) and isinstance(rows.items[0], Tensor):
            call.interp.emit("split", (call.interp.frame.space, call.node, rows.items[0], "skip"))
        if "$reshuffled" in made.attrs:
            call.interp.event("cut", call.node, call.receiver, made.attrs["$reshuffled"], way)
    return made
