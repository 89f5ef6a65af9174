"""Data sets of torchtext as they were up to 0.8, later `torchtext.legacy`: their parts, and iterators over batches."""

from __future__ import annotations

from trainlint.semantics.behaviours.data import made_loader
from trainlint.semantics.library import Call, behaviour
from trainlint.semantics.values import (
    COLLATED,
    FALSE,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Const,
    DataInfo,
    Instance,
    ListObject,
    Tensor,
    Tuple,
    Value,
    const,
)

PARTS = {"train": "train", "validation": "val", "test": "test"}
TWO_PARTS = frozenset(("IMDB", "TREC"))  # without one for validation


@behaviour("text_parts")
def text_parts(call: Call) -> Value:
    """`UDPOS.splits(fields)`: the parts that there are of a data set, unless its files are named."""
    named = {name: call.arguments.keywords[name] for name in PARTS if name in call.arguments.keywords}
    kind = call.actual.split(".")[-2]
    if kind in ("Dataset", "TabularDataset", "TranslationDataset"):
        wanted = [name for name, value in named.items() if const(value) is not None]
        wanted = [name for name in PARTS if name in wanted]
    else:
        lacking = {name for name, value in named.items() if value is NONE or const(value) is None}
        lacking |= {"validation"} if kind in TWO_PARTS else set()
        wanted = [name for name in PARTS if name not in lacking]
    parts = [text_data(call, PARTS[name]) for name in wanted]
    for data in parts:
        data.attrs["$made"] = (call.node, data.attrs["$part"])
    return Tuple(tuple(parts)) if parts else UNKNOWN


def text_data(call: Call, part: str) -> Instance:
    data = Instance(Api("torchtext.data.Dataset"), "dataset", call.interp.step(call.node, call.short_name))
    batch = Instance(None)
    batch.attrs[COLLATED] = Tensor(graph=False, data=DataInfo(tokens=frozenset((id(data),)), part=part))
    data.attrs.update({"$part": part, "$sample": batch})
    return data


@behaviour("text_split")
def text_split(call: Call) -> Value:
    """`data.split(ratio)`: what is trained on, what is held out to validate, and perhaps a third part to test."""
    if not isinstance(call.receiver, Instance) or call.receiver.api_path != "torchtext.data.Dataset":
        return UNKNOWN
    ratio = call.value("split_ratio", 0)
    shares = ratio.items if isinstance(ratio, (ListObject, Tuple)) else ()
    parts = ("train", "val") if not shares or len(shares) < 3 else ("train", "val", "test")
    return Tuple(tuple(text_data(call, part) for part in parts))


@behaviour("text_iterators")
def text_iterators(call: Call) -> Value:
    """`BucketIterator.splits((train, valid, test))`: an iterator over each part, of which the first shuffles."""
    given = call.value("datasets", 0)
    sets = given.items if isinstance(given, (ListObject, Tuple)) else None
    if sets is None:
        return UNKNOWN
    return Tuple(tuple(text_iterator(call, dataset, TRUE if i == 0 else FALSE) for i, dataset in enumerate(sets)))


@behaviour("text_iterator")
def one_text_iterator(call: Call) -> Value:
    """`BucketIterator(data, batch_size)`, which shuffles unless it is told not to train."""
    return text_iterator(call, call.value("dataset", 0) or UNKNOWN, call.value("train") or TRUE)


def text_iterator(call: Call, dataset: Value, train: Value) -> Value:
    made = Instance(Api("torchtext.data.Iterator"), "loader", call.interp.step(call.node, call.short_name))
    made_loader(call, made)
    shuffle = call.arguments.keywords.get("shuffle", NONE)
    made.attrs["dataset"] = dataset
    made.attrs["shuffle"] = train if isinstance(shuffle, Const) and shuffle.value is None else shuffle
    return made
