"""Data: where they come from, how they are split, what was fitted on them, and how loaders serve them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

from trainlint.semantics import shapes as sizes
from trainlint.semantics.containers import dropped
from trainlint.semantics.journal import APPLIED
from trainlint.semantics.library import (
    COLUMN_NAMES,
    ROW_NAMES,
    Call,
    as_tensor,
    behaviour,
    column_now,
    mixed_tensor,
    remade,
    taken_apart,
)
from trainlint.semantics.values import (
    CELLS,
    COLLATED,
    FALSE,
    HELD,
    INDICES,
    LEFT_OUT,
    MASK,
    NO_DATA,
    NONE,
    OF_BATCH,
    OF_NODES,
    ONE_ROW,
    POSITIONS,
    PREDICTED,
    RUN,
    TRUE,
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
    Method,
    Number,
    Object,
    Partial,
    Sequence,
    Shape,
    Step,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    image_axes,
    is_number,
    is_predicted,
    is_row,
    join_all,
    made_by,
    mix_data,
    options,
    truth,
    usual,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name, names_in, positional

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter, Region
    from trainlint.semantics.namespace import Namespace
    from trainlint.syntax.index import Index

PART_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
}
SPLITS = "$splits"  # in the interpreter's flags: the calls that have split data so far
WINDOWS = "$windows"  # in the interpreter's flags: the blocks that put windows into lists, with where they do
CUTS = "$cuts"  # in the interpreter's flags: one-sided slices taken of data so far


def loaded(call: Call, lib: str, part: str | None = None) -> Tensor:
    source = call.first.key if call.arguments.positional else None
    token = -id(call.node) if is_up_to_callers(call) else abs(hash((id(call.node), source)))
    return Tensor(lib=lib, graph=False, data=DataInfo(frozenset((token,)), part, columns=("all", frozenset())))


def is_up_to_callers(call: Call) -> bool:
    """Whether those who call a function choose what it reads, in ways that are not followed: each may read others."""
    function, given = call.interp.frame.function, positional(call.node)
    if function is None or not given or not call.arguments.positional or not is_open(call.first):
        return False
    params = function.node.params
    chosen = {p.name.value for p in (*params.posonly_params, *params.params, *params.kwonly_params)}
    return not chosen.isdisjoint(names_in(given[0]))


def is_open(text: Value) -> bool:
    """Whether nothing is known of a text or of a piece of it."""
    if isinstance(text, Text):
        return text.default is None and (not text.made or any(map(is_open, text.made)))
    return is_anything(text)


def with_origin(value: Tensor, node: Any) -> Tensor:
    """A value that surely has a data token: data of unknown origin get one of their own, below 0, which all have that
    come to this place."""
    if value.data.tokens:
        return value
    return value.but(data=value.data._replace(tokens=frozenset((-id(node),))))


def is_one(data: DataInfo) -> bool:
    """Whether equal tokens mean the same rows: of data that were loaded, or of the parts of a split."""
    return bool(data.tokens) and (data.part is not None or bool(data.splits) or min(data.tokens) >= 0)


# ---------------------------------------------------------------- order of the rows

DRAWN_AGAIN = "$drawn again"  # in the interpreter's flags: the random orders that were drawn in loops
UNSEEDED = object()  # stands for the seed of a generator that nobody has seen set
SEED = "$seed "  # in the interpreter's flags, with a library's name: the seed its generator was last set to


def ordered(data: DataInfo, key: Any) -> DataInfo:
    """Data after a reordering or choice of rows; a key of None stands for an unknown one."""
    if key is not None and len(key) == 3 and key[0] == "chosen" and data.order is not None and key in data.order:
        key = (*key, "again")  # between the same places of what is left
    return data._replace(order=None if key is None or data.order is None else data.order | {key})


# Calls that choose the same rows of the same data, however often.
REPEATED = frozenset(
    """isin isna isnull notna notnull astype contains startswith endswith match between eq ne lt le gt ge abs len set
    list tuple range int float str to_datetime Timestamp duplicated query dropna drop_duplicates drop head tail xs
    truncate between_time at_time""".split()
)


def choice(interp: Any, node: Any) -> Any:
    """What tells a choice of rows from others: what is written, and what stands for the names in it, since a function
    or a class may choose by what it is given. What may choose anew is told by its place."""
    given = node.slice if isinstance(node, cst.Subscript) else [arg.value for arg in node.args]
    parts = [part for root in given for part in nodes_in(root)]
    values = values_named(interp, parts)
    calls = [*(part for part in parts if isinstance(part, cst.Call)), *([node] if isinstance(node, cst.Call) else [])]
    if not all(called(call) in REPEATED for call in calls):
        return id(node), *values
    return called(node), *map(cst.Module([]).code_for_node, given), *values


def values_named(interp: Any, parts: list[Any], but: Collection[str] = ()) -> list[Any]:
    """What tells the values of the names in a piece of code from others, save of those that are bound in it."""
    members = {id(part.attr) for part in parts if isinstance(part, cst.Attribute)}
    values: list[Value] = []
    for part in parts:  # an attribute comes before what it is read from
        if isinstance(part, (cst.Name, cst.Attribute)) and id(part) not in members:
            if (part if isinstance(part, cst.Name) else part.attr).value in but or root_name(part) in but:
                members |= {id(inner) for inner in nodes_in(part)}
                continue
            value = interp.peek(part)
            if value is not None:
                values.append(value)
                members |= {id(inner) for inner in nodes_in(part)}
    interp.keep += values
    return [told(value) for value in values]


def root_name(node: Any) -> str:
    """The name that an expression begins with: `x` of `x.stem.split("_")[0]`; "" if it begins otherwise."""
    while not isinstance(node, cst.Name):
        node = getattr(node, "func", None) or getattr(node, "value", None)
        if not isinstance(node, cst.BaseExpression):
            return ""
    return node.value


def told(value: Value) -> Any:
    """What tells a value that rows are chosen by from others."""
    if isinstance(value, Tensor) and value.kinds == MASK:
        return Same(value)
    if isinstance(value, Api):
        return value.path
    # Of data no more than a number, lest what it takes to compare these grows with their history.
    same = sameness(value)
    return hash(same) if isinstance(value, Tensor) and value.data.tokens else same


def draw(call: Call) -> Any:
    """What identifies a random permutation: two that are drawn from equal states of a generator are the same. Of a seed
    that is not known it is known only that it equals itself."""
    interp = call.interp
    state = call.value("random_state") or call.value("generator")
    given = isinstance(state, Instance) and state.family == "generator"
    if state is not None and not given and not (isinstance(state, Const) and state.value is None):
        return None if is_anything(state) else ("drawn", state.key if isinstance(state, Const) else Same(state))
    source = state if given else call.receiver
    library = call.path.partition(".")[0].replace("pandas", "numpy").replace("sklearn", "numpy")
    if isinstance(source, Instance) and source.family == "generator":
        where, name = source.attrs, SEED
        library = source.api_path if library == "numpy" else library
    else:
        where, name = interp.flags, SEED + library
    found = interp.read(where, name)
    if found is UNKNOWN:
        return None
    key: tuple[Any, ...]
    if isinstance(found, tuple) and found[0] is not UNSEEDED:
        key = ("drawn", *found, library)
    else:
        found = found if isinstance(found, tuple) else (UNSEEDED, 0)
        key = ("drawn", interp.step(call.node, "shuffled"), found[1])
    interp.write(where, name, (found[0], found[1] + 1))
    if interp.nearest_loop() is not None:
        interp.write(interp.flags, DRAWN_AGAIN, interp.flags.get(DRAWN_AGAIN, frozenset()) | {key})
    return key


@behaviour("seed")
def seed(call: Call) -> Value:
    call.interp.event("seed", call.node)
    value = call.first
    if isinstance(call.receiver, Instance):
        value = call.value("seed", 1) or UNKNOWN
        call.interp.write(call.receiver.attrs, SEED, (value.key, 0))
        return call.receiver if call.short_name == "manual_seed" else NONE
    call.interp.write(call.interp.flags, SEED + call.path.partition(".")[0], (value.key, 0))
    return NONE


@behaviour("seed_device")
def seed_device(call: Call) -> Value:
    """A generator of a device, from which no permutation of rows is drawn."""
    call.interp.event("seed", call.node)
    return NONE


@behaviour("seed_all")
def seed_all(call: Call) -> Value:
    """`seed_everything(seed)`: all generators of the program are set."""
    call.interp.event("seed", call.node)
    value = call.value("seed", 0)
    for library in ("torch", "numpy", "random"):
        call.interp.write(call.interp.flags, SEED + library, UNKNOWN if value is None else (value.key, 0))
    return value or UNKNOWN


@behaviour("default_generator")
def default_generator(call: Call) -> Value:
    """A generator of PyTorch's, which begins with one and the same seed."""
    made = Instance(Api(call.actual), "generator", call.interp.step(call.node, call.short_name))
    made.attrs[SEED] = (call.actual, 0)
    return made


@behaviour("set_state")
def set_state(call: Call) -> Value:
    where = call.receiver.attrs if isinstance(call.receiver, Instance) else call.interp.flags
    name = SEED if isinstance(call.receiver, Instance) else SEED + call.path.partition(".")[0]
    call.interp.write(where, name, UNKNOWN)
    return NONE


@behaviour("generator")
def generator(call: Call) -> Value:
    """A random generator of its own; two made with the same seed draw the same."""
    made = Instance(Api(call.actual), "generator", call.interp.step(call.node, call.short_name))
    if call.arguments.positional or call.arguments.keywords:
        value = next(call.arguments.values())
        made.attrs[SEED] = (value.key, 0)
    return made


def rows_at(interp: Interpreter, index: Tensor, data: DataInfo, node: Any) -> DataInfo:
    """Rows picked by an index array: a permutation reorders, a mask chooses."""
    if index.kinds == MASK:
        return ordered(data, ("chosen", choice(interp, node)))
    told = bool(index.data.splits) or index.nature in ("a permutation", "a sorting")  # by the part, as with all splits
    told = told or (index.nature in (RUN, POSITIONS) and bool(index.data.order))
    if not told or index.data.order is None or data.order is None:
        return data._replace(order=None)
    data = data._replace(order=data.order | index.data.order)
    if not index.data.splits and any(key[0] in ("run", "chosen") for key in index.data.order):
        interp.event("placed", node, data)
    return data


def columns_at(owner: Tensor, indices: list[Value | slice], at_rows: bool = False) -> tuple[Any, ...] | None:
    """The columns that an index picks from a table, or where it chooses rows first (`iloc`)."""
    columns = owner.data.columns
    if columns == ONE_ROW or is_predicted(owner):
        return columns
    if columns is None or not indices or is_row(owner.data):
        return None
    first, last = indices[0], indices[-1]
    if len(indices) == 1:
        if owner.lib != "frame":
            return columns if isinstance(first, (slice, Tensor, Number)) else None
        names = column_names(first)
        if names is not None:
            return picked(columns, names)
        if (gone := left_out(first)) is not None and columns[0] == "all":
            return ("all", dropped(columns[1], gone), *columns[2:])
        if isinstance(first, (ListObject, Sequence)) and columns[0] in ("all", "only"):
            return ("all", frozenset(), hash((id(first), columns)))
        of_rows = isinstance(first, Tensor) and (first.kinds == MASK or (at_rows and first.shape != ()))
        return columns if isinstance(first, slice) or of_rows else None
    if len(indices) != 2 or not (isinstance(first, (slice, Tensor))):
        return None
    if last == slice(None):
        return columns
    if owner.lib == "frame" and (names := column_names(last)) is not None:
        return picked(columns, names)
    if columns[0] == "span":
        return within(columns, last)
    if columns != ("all", frozenset()):
        return None
    if isinstance(last, Const) and type(last.value) is int:
        return ("at", last.value)
    if isinstance(last, slice) and last.step is None:
        ends = [end.value if isinstance(end, Const) else end for end in (last.start, last.stop)]
        if all(end is None or type(end) is int for end in ends):
            return ("span", *ends)
    return None


def within(columns: tuple[Any, ...], index: Value | slice) -> tuple[Any, ...] | None:
    """The columns that an index picks from some that stand beside each other, where all is counted from the first."""
    asked: tuple[Any, ...] = (index.start, index.stop, index.step) if isinstance(index, slice) else (index, None, None)
    start, stop, step = (place.value if isinstance(place, Const) else place for place in asked)
    first: Any = columns[1] or 0
    end: Any = columns[2]
    if step is not None or any(n is not None and (type(n) is not int or n < 0) for n in (first, end, start, stop)):
        return None
    if not isinstance(index, slice):
        return None if start is None else ("at", first + start)
    ends = [n for n in (end, None if stop is None else first + stop) if n is not None]
    return ("span", first + (start or 0), min(ends) if ends else None)


def picked(columns: tuple[Any, ...], names: frozenset[Any]) -> tuple[Any, ...] | None:
    """The columns of these names."""
    found = [column_now(columns, name) for name in names]
    return None if None in found else ("only", frozenset(found), *columns[2:])


def left_out(index: Any) -> frozenset[Any] | None:
    """The columns of a table that a list of all others leaves out; None for any other index."""
    if isinstance(index, ListObject):
        return index.attrs.get(LEFT_OUT)
    if not isinstance(index, Tensor) or index.nature != COLUMN_NAMES or index.kinds or index.data.order:
        return None
    columns = index.data.columns
    return None if columns is None else frozenset(name for name in columns[1] if isinstance(name, str))


def column_names(index: Any) -> frozenset[Any] | None:
    """The names in a column index, where they are all known."""
    if isinstance(index, Const) and isinstance(index.value, str):
        return frozenset((index.value,))
    if isinstance(index, (ListObject, Tuple)) and index.items:
        names = [item.value if isinstance(item, Const) else None for item in index.items]
        if all(isinstance(name, str) for name in names):
            return frozenset(names)
    return None


def words_of(value: Value | None) -> str:
    """The constant text of a path-like value."""
    if isinstance(value, Const) and isinstance(value.value, str):
        return value.value
    if isinstance(value, Text):
        return "/".join(value.parts)
    if isinstance(value, Instance):
        return words_of(value.attrs.get("path"))
    return ""


def part_in_path(text: str) -> str | None:
    """The part of the data that the name of a variable, file or folder tells; of a path, its end before the rest."""
    parts = parts_said(text.replace("\\", "/").rpartition("/")[2]) or parts_said(text)
    return parts.pop() if len(parts) == 1 else None


def parts_said(text: str) -> set[str]:
    return {PART_WORDS[word] for word in re.split(r"[^a-z]+", text.lower()) if word in PART_WORDS}


# -------------------------------------------------------------- arrays and frames


@behaviour("load_array")
def load_array(call: Call) -> Value:
    part = part_in_path(words_of(call.value("file", 0)))
    return loaded(call, "numpy", part if part == "test" else None)


@behaviour("load_bundle")
def load_bundle(call: Call) -> Value:
    bundle = loaded(call, "numpy")
    keywords = call.arguments.keywords
    name = call.short_name
    pair = keywords.get("return_X_y")
    odd = {"as_frame", "coef", "return_centers", "return_distributions"} & keywords.keys() or call.arguments.open
    if odd or not (name in DRAWN_DATA or (isinstance(pair, Const) and pair.value is True)):
        return bundle
    rows, columns = (
        keywords.get("n_samples") or (call.first if call.arguments.positional else UNKNOWN),
        keywords.get("n_features"),
    )
    number, wide = sizes.size(rows), sizes.size(columns) if columns is not None else DRAWN_DATA.get(name)
    flat = "n_targets" not in keywords
    return Tuple((bundle.but(shape=(number, wide)), bundle.but(shape=(number,) if flat else None)))


# scikit-learn's generators of inputs with their targets: how many inputs unless told.
DRAWN_DATA: dict[str, int | None] = {
    "make_classification": 20, "make_regression": 100, "make_blobs": 2, "make_moons": 2, "make_circles": 2,
    "make_friedman1": 10, "make_gaussian_quantiles": 2, "make_hastie_10_2": 10,
}  # fmt: skip


@behaviour("load_parts")
def load_parts(call: Call) -> Value:
    """`(x_train, y_train), (x_test, y_test) = load_data()`."""
    call.interp.library.need("numpy")
    whole = loaded(call, "numpy").data
    parts = []
    for part in ("train", "test"):
        data = whole._replace(part=part, splits=frozenset((id(call.node),)))
        samples = Tensor(lib="numpy", graph=False, data=data)
        classes = call.actual.rpartition(".")[0].rpartition(".")[2] in CLASSIFIED
        parts.append(Tuple((samples, samples.but(kinds=INDICES, lo=0.0) if classes else samples)))
    return Tuple(tuple(parts))


# Data sets of Keras whose targets are classes.
CLASSIFIED = frozenset(("mnist", "fashion_mnist", "cifar10", "cifar100", "imdb", "reuters"))


@behaviour("load_frame")
def load_frame(call: Call) -> Value:
    part = part_in_path(words_of(call.value("path", 0)))
    table = loaded(call, "frame", part if part == "test" else None)
    plain = call.short_name in TEXTS and "converters" not in call.arguments.keywords and not call.arguments.open
    return table.but(dtype=CELLS) if plain else table


TEXTS = ("read_csv", "read_excel", "read_table", "read_fwf")


@behaviour("frame_of_unknown")
def frame_of_unknown(call: Call) -> Value:
    """What comes from out of view is a table if it has a method that only tables have."""
    rows = with_origin(Tensor(lib="frame", graph=False), call.node)
    return rows.but(data=rows.data._replace(columns=("all", frozenset())))


@behaviour("openml_dataset")
def openml_dataset(call: Call) -> Value:
    return Instance(Api(call.actual), "openml", call.interp.step(call.node, call.short_name))


@behaviour("load_table")
def load_table(call: Call) -> Value:
    """A table of OpenML: the inputs, the target if it is asked for, and what tells of the columns."""
    table = loaded(call, "frame")
    target = table if "target" in call.arguments.keywords else NONE
    return Tuple((table, target, UNKNOWN, UNKNOWN))


@behaviour("frame")
def frame(call: Call) -> Value:
    """Another table made of one: what its columns are is not followed, save those of a single one."""
    tensor = with_origin(call.tensor, call.node) if isinstance(call.first, (ListObject, DictObject)) else call.tensor
    data = tensor.data
    if isinstance(call.first, DictObject) and any(
        column.__class__ is not ListObject for column in call.first.attrs.values()
    ):
        data = data._replace(order=None)  # the rows are in the order in which the columns were
    if data.columns is not None and not is_column(data):
        columns = call.value("columns") if call.short_name == "get_dummies" else None
        names = None if columns is None else call.interp.known_items(columns)
        data = data._replace(columns=recoded(data.columns, names, call.node) or remade(data.columns, call.node))
    low, high = float("-inf"), float("inf")
    return tensor.but(data=data, lib="frame", shape=None, kinds=0, nature=None, lo=low, hi=high, dtype=None)


def recoded(columns: tuple[Any, ...], given: tuple[Value, ...] | None, node: Any) -> tuple[Any, ...] | None:
    """The columns of a table in which codes stand for those of these names; None where these are not known."""
    names = {const(name) for name in given or ()}
    if columns[0] not in ("all", "only") or not names or not all(isinstance(name, str) for name in names):
        return None
    if columns[0] == "only" and not names <= columns[1]:
        return None
    rest = columns[1] - names if columns[0] == "only" else dropped(columns[1], names)
    return (columns[0], rest | {("now", name, id(node)) for name in names}, *columns[2:])


@behaviour("written")
def written_out(call: Call) -> Value:
    """A table goes to a file, which other programs may read."""
    call.interp.event("outside", call.node, call.actual, tuple(call.arguments.values()))
    return UNKNOWN


@behaviour("same_frame")
def same_frame(call: Call) -> Value:
    """The same rows and columns with other values in them."""
    tensor = call.tensor
    return tensor.but(lib="frame", shape=None, kinds=0, nature=None, lo=float("-inf"), hi=float("inf"))


@behaviour("filled_frame")
def filled_frame(call: Call) -> Value:
    """The same rows with other values for gaps, or for what lies too far out, perhaps by statistics of all of them. A
    mean for a few gaps hardly tells of these."""
    tensor, given = as_tensor(same_frame(call)), [*call.arguments.positional[1:], *call.arguments.keywords.values()]
    held = [inner for one in given for inner in (one.attrs.values() if isinstance(one, DictObject) else (one,))]
    known = (one.data for one in held if isinstance(one, Tensor))
    own = frozenset(token for data in known if not data.part and not data.splits for token, _ in data.stats)
    if call.short_name != "fillna" and own & tensor.data.tokens and tensor.data.part is None and not tensor.data.splits:
        fit = Fit(call.interp.frame.space, call.node, "a limit for values", own & tensor.data.tokens)
        tensor = tensor.but(data=tensor.data._replace(fits=tensor.data.fits | {fit}))
    return in_place(call, tensor)


@behaviour("grouped")
def grouped(call: Call) -> Value:
    groups = Instance(Api(call.actual), "grouped", call.interp.step(call.node, call.short_name))
    groups.attrs["$table"] = call.tensor
    return groups


@behaviour("grouped_column")
def grouped_column(call: Call) -> Value:
    table, names = groups_of(call), column_names(call.value("key", 1))
    if table is None or names is None or table.data.columns is None:
        return UNKNOWN
    groups = Instance(Api("pandas.DataFrame.groupby"), "grouped", call.interp.step(call.node, "groupby"))
    groups.attrs["$table"] = table.but(data=table.data._replace(columns=picked(table.data.columns, names)))
    return groups


@behaviour("windowed")
def windowed(call: Call) -> Value:
    """Windows over the rows, each of which ends with the row that it is for."""
    windows = Instance(Api("pandas.DataFrame.rolling"), "windowed", call.interp.step(call.node, call.short_name))
    windows.attrs["$table"] = call.tensor
    return windows


@behaviour("windowed_column")
def windowed_column(call: Call) -> Value:
    table, names = groups_of(call), column_names(call.value("key", 1))
    if table is None or names is None or table.data.columns is None:
        return UNKNOWN
    windows = Instance(Api("pandas.DataFrame.rolling"), "windowed", call.interp.step(call.node, "rolling"))
    windows.attrs["$table"] = table.but(data=table.data._replace(columns=picked(table.data.columns, names)))
    return windows


@behaviour("over_windows")
def over_windows(call: Call) -> Value:
    """A number for each row that no later row had a part in: nothing is learnt of the table as a whole."""
    table = groups_of(call)
    return as_tensor(table or UNKNOWN).but(
        lib="frame", shape=None, kinds=0, nature=None, lo=float("-inf"), hi=float("inf")
    )


def groups_of(call: Call) -> Tensor | None:
    """The table whose rows are in groups, or in windows."""
    table = call.receiver.attrs.get("$table") if isinstance(call.receiver, Instance) else None
    return table if isinstance(table, Tensor) else None


@behaviour("grouped_statistic")
def grouped_statistic(call: Call) -> Value:
    """What each group of rows comes to in one column: alone, or (`transform`) beside each of the rows."""
    table = groups_of(call)
    if table is None or not is_column(table.data) or table.data.part is not None or table.data.splits:
        return UNKNOWN
    fit = Fit(call.interp.frame.space, call.node, "a statistic of the target", table.data.tokens, of=table.data.columns)
    data = table.data if call.short_name == "transform" else NO_DATA._replace(order=None)
    return Tensor(lib="frame", graph=False, data=data._replace(fits=data.fits | {fit}, columns=None))


@behaviour("looked_up")
def looked_up(call: Call) -> Value:
    """Values are replaced by what another column, or a dict, has for them."""
    made, found = as_tensor(frame(call)), call.value("arg", 1)
    told = frozenset(fit for fit in found.data.fits if fit.of is not None) if isinstance(found, Tensor) else frozenset()
    plain = isinstance(found, DictObject) and all(isinstance(item, (Const, Number)) for item in found.attrs.values())
    return made.but(data=made.data._replace(fits=made.data.fits | told), dtype=CELLS if plain else None)


def in_place(call: Call, result: Tensor) -> Value:
    """The result of a method of a frame; with `inplace=True` it replaces the frame."""
    wanted = call.value("inplace")
    if isinstance(wanted, Const) and wanted.value is True:
        owner = getattr(getattr(call.node, "func", None), "value", None)
        if owner is not None:
            call.interp.mutate(owner, result)
        return NONE
    return result


@behaviour("aligned")
def aligned(call: Call) -> Value:
    """Rows are matched by their index or by a key."""
    tensor = call.tensor
    return tensor.but(lib="frame", shape=None, data=tensor.data._replace(columns=None, order=None))


@behaviour("chosen_rows")
def chosen_rows(call: Call) -> Value:
    """Rows are dropped or repeated."""
    tensor = call.tensor
    axis = call.value("axis")
    if axis is not None and not (isinstance(axis, Const) and axis.value in (0, "index")):
        columns = remade(tensor.data.columns, call.node)
        return in_place(call, tensor.but(data=tensor.data._replace(columns=columns)))
    return in_place(
        call, tensor.but(lib="frame", data=ordered(tensor.data, ("chosen", choice(call.interp, call.node))))
    )


@behaviour("taken_rows")
def taken_rows(call: Call) -> Value:
    """`take(x, places, axis)`, `delete(…)`: rows that are picked by their places, or others of another axis."""
    tensor, axis = call.tensor, const(call.value("axis", 2) or NONE)
    if axis not in (0, None):
        data = tensor.data._replace(columns=None)
    elif call.short_name == "take" and (places := call.value("indices", 1)) is not None:
        data = part_of(call.interp, tensor, [places], call.node)
    else:
        data = ordered(tensor.data, ("chosen", choice(call.interp, call.node)))
    return tensor.but(shape=None, data=data)


@behaviour("sorted_rows")
def sorted_rows(call: Call) -> Value:
    tensor = call.tensor
    lib = "numpy" if call.path.startswith("numpy.") else "frame"
    return in_place(
        call, tensor.but(lib=lib, data=ordered(tensor.data, ("sorted", call.interp.step(call.node, "sorted"))))
    )


@behaviour("drop")
def drop(call: Call) -> Value:
    """`drop(labels, axis)`: columns, or rows."""
    tensor = call.tensor
    columns, axis = call.value("columns"), call.value("axis", 2)
    labels = columns
    if columns is None and isinstance(axis, Const) and axis.value in (1, "columns"):
        labels = call.value("labels", 1)
    rows = call.value("index") or (call.value("labels", 1) if labels is None else None)
    if isinstance(rows, Tensor) and rows.nature == ROW_NAMES:
        return in_place(call, tensor.but(data=rest_of(call, tensor, rows.data)))
    if labels is None and not isinstance(axis, Const) and axis is not None:
        return in_place(call, tensor.but(data=tensor.data._replace(columns=None, order=None)))
    if labels is None:
        return in_place(call, tensor.but(data=ordered(tensor.data, ("chosen", choice(call.interp, call.node)))))
    names, present = column_names(labels), tensor.data.columns
    left: tuple[Any, ...] | None = None
    if names is not None and present is not None and present[0] == "all":
        left = ("all", dropped(present[1], names), *present[2:])
    elif names is not None and present is not None and present[0] == "only":
        left = ("only", present[1] - {column_now(present, name) for name in names}, *present[2:])
    elif names is None:
        left = remade(present, call.node)
    return in_place(call, tensor.but(shape=None, data=tensor.data._replace(columns=left)))


def rest_of(call: Call, whole: Tensor, sampled: DataInfo) -> DataInfo:
    """What is left of a table without the rows that were drawn from it and have a name: the two are its parts."""
    data = ordered(whole.data, ("chosen", choice(call.interp, call.node)))
    named = isinstance(getattr(call.argument("labels", 1), "value", None), cst.Name)
    drawn = (sampled.order or frozenset()) - (whole.data.order or frozenset())
    if not named or whole.data.tokens != sampled.tokens or [key[0] for key in drawn] != ["sampled"]:
        return data
    call.interp.emit("split", (call.interp.frame.space, call.node, whole, "sample"))
    return data._replace(part="test", splits=data.splits | {id(call.node)})


@behaviour("pop")
def pop(call: Call) -> Value:
    """`frame.pop(name)`: the column, which the frame then lacks."""
    from trainlint.semantics.library import column

    tensor = call.tensor
    name = call.value("item", 1)
    present = tensor.data.columns
    left: tuple[Any, ...] | None = None
    if isinstance(name, Const) and present is not None and present[0] == "all":
        left = ("all", dropped(present[1], {name.value}), *present[2:])
    elif isinstance(name, Const) and present is not None and present[0] == "only":
        left = ("only", present[1] - {column_now(present, name.value)}, *present[2:])
    owner = getattr(getattr(call.node, "func", None), "value", None)
    if owner is not None:
        call.interp.mutate(owner, tensor.but(data=tensor.data._replace(columns=left)))
    return (
        column(tensor, name.value) if isinstance(name, Const) else tensor.but(data=tensor.data._replace(columns=None))
    )


@behaviour("array")
def array(call: Call) -> Value:
    value = call.first
    tensor = as_tensor(value).but(lib="numpy", graph=False, shape=None)
    if isinstance(value, ListObject) and value.items is None:
        return with_origin(filled_rows(tensor, value), value)  # rows gathered one by one
    return tensor


def note_rows(call: Call, target: ListObject, loop: Region | None) -> None:
    """Note from which rows a loop takes what it puts into a list: how they were ordered and split, which run of the
    loop it is, and which of the rows are taken in a turn, in words. Lists with equal rows hold the same; those that are
    filled in one block belong together."""
    source = call.interp.frame.space.source
    taken: Any = next(iter(positional(call.node)), None) if isinstance(call.node, cst.Call) else None
    look_for_windows(call, taken, loop)
    found, whole = None, taken
    while isinstance(whole, cst.Subscript):
        whole = whole.value
    rows = call.interp.peek(whole) if loop is not None and taken is not None else None
    if isinstance(rows, Tensor) and rows.data.tokens and source is not None:
        block: Any = source.index.statement(call.node)
        for _ in range(2):  # the line, and the block around it
            block = source.index.parent(block)
        key = ("filled", (id(block), Same(loop)), cst.Module([]).code_for_node(taken))
        if whole is taken:  # all rows of what a turn has read
            found = (frozenset((key,)), rows.data.splits)
        elif rows.data.order is not None:
            found = (rows.data.order | {key}, rows.data.splits)
    if found is not None or "$rows" in target.attrs:
        call.interp.write(target.attrs, "$rows", found)


COPIES = frozenset(("array", "asarray", "tensor", "from_numpy", "copy", "FloatTensor", "Tensor"))


def look_for_windows(call: Call, taken: Any, loop: Region | None) -> None:
    """A loop over places puts a window of rows at each into a list: `x[i : i + n]`, or a copy of that."""
    node = loop.node if loop is not None else None
    if not isinstance(node, cst.For) or not isinstance(node.target, cst.Name):
        return
    ends = positional(node.iter) if isinstance(node.iter, cst.Call) and called(node.iter) == "range" else []
    if len(ends) not in (1, 2):
        return
    for given in (element.value for element in taken.elements) if isinstance(taken, cst.Tuple) else (taken,):
        window = copied(made_in(node.body, given))
        part = window.slice[0].slice if isinstance(window, cst.Subscript) else None
        if not isinstance(part, cst.Slice) or {begin_of(part.lower), begin_of(part.upper)} != {node.target.value}:
            continue
        rows = call.interp.peek(window.value)
        if rows is None and isinstance(window.value, cst.Attribute):  # `table.iloc[i : i + n]`
            rows = call.interp.peek(window.value.value)
        if isinstance(rows, Tensor) and rows.data.tokens and not is_row(rows.data):
            call.interp.emit("windows", (call.node, rows))
            step = call.interp.step(call.node, "windows over rows in order of time")
            known: frozenset[tuple[int, Step]] = call.interp.flags.get(WINDOWS, frozenset())
            call.interp.write(call.interp.flags, WINDOWS, known | {(id(node.body), step)})
            return


def made_in(body: Any, node: Any) -> Any:
    """What a name is given by a statement of a block; any other expression itself."""
    if not isinstance(node, cst.Name):
        return node
    lines = (line.body[0] for line in body.body if isinstance(line, cst.SimpleStatementLine))
    found = [line for line in lines if isinstance(line, cst.Assign) and is_name(line.targets[0].target, node.value)]
    return found[0].value if len(found) == 1 else node


def copied(node: Any) -> Any:
    """What an expression gives a copy of, or the values."""
    while True:
        if isinstance(node, cst.Call) and called(node) in COPIES and node.args:
            node = node.args[0].value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and called(node) == "to_numpy":
            node = node.func.value
        elif isinstance(node, cst.Attribute) and node.attr.value == "values":
            node = node.value
        else:
            return node


def filled_rows(rows: Tensor, items: Value) -> Tensor:
    """Rows that were put into a list one by one, with what is known of their order. Windows are no parts of a split."""
    if not isinstance(items, ListObject) or items.items is not None:
        return rows
    found = items.attrs.get("$rows")
    if found is None or not rows.data.tokens or rows.data.order is not None:
        return rows
    (order, splits), shuffled = found, items.attrs.get("$shuffled", frozenset())
    order = None if shuffled is None else order | shuffled
    return rows.but(data=rows.data._replace(order=order, splits=splits))


@behaviour("sample")
def sample(call: Call) -> Value:
    tensor, frac, replace = call.tensor, call.value("frac"), call.value("replace")
    if isinstance(replace, Const) and replace.value is True:
        return tensor.but(
            data=resampled(call, ordered(tensor.data, ("chosen", choice(call.interp, call.node))), "sample")
        )
    if isinstance(frac, Const) and frac.value == 1:
        key = draw(call)
        if key is not None and key in (tensor.data.order or ()):
            key = (*key, "again")  # another order, though from the same seed
        return tensor.but(data=ordered(tensor.data, key)._replace(shuffled=True))
    return tensor.but(data=ordered(tensor.data, ("sampled", id(call.node))))


@behaviour("concat_frames")
def concat_frames(call: Call) -> Value:
    parts = call.interp.known_items(call.first) or (call.interp.element_of(call.first),)
    data = NO_DATA
    tensors = [as_tensor(p) for p in parts]
    for tensor in tensors:
        data = mix_data(data, tensor.data)
    columns = tuple(tensor.data.columns for tensor in tensors)
    data = data._replace(columns=None if None in columns else remade(columns, call.node))
    if len({t.data.part for t in tensors if t.data.tokens}) > 1:  # one to begin with has no rows
        data = put_together(call.interp, tensors) or data._replace(part=None)
    return Tensor(lib="frame", graph=False, data=data)


def put_together(interp: Interpreter, tensors: list[Tensor]) -> DataInfo | None:
    """The rows that a split has made two parts of, where both are there again."""
    first, *others = (tensor.data for tensor in tensors)
    made = [split for split in interp.flags.get(SPLITS) or () if split in first.splits]
    alike = all((o.tokens, o.splits, o.order) == (first.tokens, first.splits, first.order) for o in others)
    if not alike or not made or first.order is None or len(others) != 1:
        return None
    if (first.part == "train") == (others[0].part == "train") or None in (first.part, others[0].part):
        return None
    drawn = [key for key in first.order if key[0] == "drawn"]
    splits = first.splits - {made[-1]}
    if splits and drawn:
        return None  # which of several orders was drawn for the last split is not known
    whole = first._replace(splits=splits, part="train" if splits else None, order=first.order - frozenset(drawn))
    return whole._replace(columns=first.columns if first.columns == others[0].columns else None)


@behaviour("permutation")
def permutation(call: Call) -> Value:
    """The rows of an array in a random order, or the places of as many rows as a number says."""
    given = call.value("x", 1) or UNKNOWN if isinstance(call.receiver, Instance) else call.first
    tensor = as_tensor(given)
    if is_number(given):
        tensor = tensor.but(kinds=INDICES, lo=0, hi=max(0, bounds(given)[1] - 1))
    lib = "torch" if call.path.startswith("torch.") else "numpy"
    order = ordered(tensor.data if tensor.data.tokens else NO_DATA, draw(call))
    return tensor.but(lib=lib, data=order._replace(shuffled=True), nature="a permutation", graph=False, shape=None)


@behaviour("shuffle_in_place")
def shuffle_in_place(call: Call) -> Value:
    bound = isinstance(call.receiver, Instance)
    given = call.arguments.positional[bound:]
    value = given[0] if given else UNKNOWN
    nodes = call.arguments.nodes[bound:]
    if isinstance(value, Tensor) and nodes and nodes[0] is not None:
        nature = "a permutation" if not value.data.tokens else value.nature
        call.interp.mutate(
            nodes[0], value.but(data=ordered(value.data, draw(call))._replace(shuffled=True), nature=nature)
        )
    elif isinstance(value, ListObject):
        before, key = value.attrs.get("$shuffled", frozenset()), draw(call)
        if (rows := value.attrs.get(HELD)) is not None:
            call.interp.write(value.attrs, HELD, mixed(rows, key))
        call.interp.write(value.attrs, "$shuffled", None if None in (before, key) else before | {key})
        if call.interp.nearest_loop() is not None:
            call.interp.write(value.attrs, "$reshuffled", TRUE)
    return NONE


def mixed(rows: DataInfo, key: Any) -> DataInfo:
    """Rows of a list in a random order; where some were chosen before, it does not tell which."""
    if key is not None and any(done[0] == "chosen" for done in rows.order or ()):
        key = ("mixed", key)
    return ordered(rows, key)


def filled_together(values: list[Value], index: Index) -> list[Value]:
    """The arrays among some values, and as arrays of rows the lists that are known by their rows, and those that were
    filled side by side in one block."""
    blocks: dict[int, list[ListObject]] = {}
    for value in values:
        if isinstance(value, ListObject) and HELD not in value.attrs and (place := value.attrs.get("$filled")):
            statement = index.statement(place)
            line = index.parent(statement) if statement is not None else None
            if line is not None:
                blocks.setdefault(id(index.parent(line)), []).append(value)
    of_lists = [
        Tensor(data=NO_DATA._replace(tokens=frozenset((-block,)), order=one.attrs.get("$shuffled", frozenset())))
        for block, lists in blocks.items()
        for one in (lists if len(lists) > 1 else ())
    ]
    rows = [
        Tensor(lib="list", data=data)
        for value in values
        if isinstance(value, ListObject) and (data := value.attrs.get(HELD))
    ]
    return [*(value for value in values if isinstance(value, Tensor)), *of_lists, *rows]


@behaviour("shuffle_together")
def shuffle_together(call: Call) -> Value:
    """`sklearn.utils.shuffle(a, b)`: one permutation for all."""
    key = draw(call)
    out = [
        as_tensor(v).but(shape=None, data=ordered(as_tensor(v).data, key)._replace(shuffled=True))
        for v in call.arguments.positional
    ]
    if call.arguments.open or not out:
        return UNKNOWN
    return out[0] if len(out) == 1 else Tuple(tuple(out))


@behaviour("resample_rows")
def resample_rows(call: Call) -> Value:
    """`sklearn.utils.resample(a, b)`: rows drawn, with replacement unless told otherwise."""
    replace = call.value("replace")
    copies = replace is None or (isinstance(replace, Const) and replace.value is True)
    out: list[Value] = []
    for value in call.arguments.positional:
        tensor = with_origin(as_tensor(value), call.node)
        data = ordered(tensor.data, ("chosen", id(call.node)))
        out.append(tensor.but(shape=None, data=resampled(call, data, "resample") if copies else data))
    if call.arguments.open or not out:
        return UNKNOWN
    return out[0] if len(out) == 1 else Tuple(tuple(out))


def resampled(call: Call, data: DataInfo, name: str) -> DataInfo:
    """Data that hold copies of rows."""
    if data.part is not None or data.splits:
        return data
    fit = Fit(call.interp.frame.space, call.node, name, data.tokens, True)
    return data._replace(fits=data.fits | {fit})


@behaviour("path")
def path(call: Call) -> Value:
    pieces: list[str] = []
    for value in call.arguments.positional:
        text = words_of(value)
        if text:
            pieces.append(text)
    return Text(tuple(pieces), tuple(call.arguments.positional))


# ------------------------------------------------------------------------ splits


def part_of(interp: Interpreter, owner: Tensor, indices: list[Value | slice], node: Any = None) -> DataInfo:
    """Data behind an index; the two sides of one cut are a split."""
    data = owner.data
    if data.stats:
        data = data._replace(stats=frozenset())
    index = indices[0] if indices else None
    if isinstance(index, (Sequence, ListObject)) and owner.lib != "frame":
        interp.keep.append(index)
        index = as_tensor(index)
    if isinstance(index, Tensor) and index.nature in (RUN, POSITIONS) and len(indices) > 1:
        index = index.but(data=NO_DATA)  # an element of each row
    if isinstance(index, Tensor) and index.nature in OF_NODES:
        return of_nodes(interp, data, OF_NODES[index.nature], node)
    if data.columns is not None:
        read = node.value if isinstance(node, cst.Subscript) else None
        at_rows = isinstance(read, cst.Attribute) and read.attr.value in ("loc", "iloc")
        data = data._replace(columns=columns_at(owner, indices, at_rows))
        if at_rows and column_names(index) is not None and not is_row(data):
            return ordered(data, ("chosen", choice(interp, node)))  # the rows of one name
    data = rows_of(interp, owner, data, index, node)
    if isinstance(index, Tensor) and index.data.shuffled:
        data = data._replace(shuffled=True)
    if not data.tokens:
        return data
    if isinstance(index, slice):
        written = node.slice[0].slice if isinstance(node, cst.Subscript) else None
        lower, upper = (written.lower, written.upper) if isinstance(written, cst.Slice) else (None, None)
        ends = ((index.start, "tail", lower), (index.stop, "head", upper)) if index.step is None else ()
        if owner.nature == "a sorting" and assigned_part(interp, node) is None:
            ends = ()  # the greatest and the least, which are no parts
        from_start = isinstance(index.start, Const) and index.start.value == 0
        alone = from_start or is_nothing(index.start) or is_nothing(index.stop)
        alone = alone or begins_before(interp, owner, index.start, lower, node)
        if lower is not None and upper is not None and is_window(interp, lower, upper, node):
            ends = ()
        if (side := side_of_dates(index, assigned_part(interp, node))) is not None:
            data, ends = taken(interp, owner.but(data=data), DATES, side), ()
        for boundary, side, text in ends:
            if not is_nothing(boundary):
                place, spelled = nearby(interp, boundary, text) if alone else (boundary, text)
                data = cut_at(interp, owner.but(data=data), place, spelled, side)
        if data.part is None and is_one(data):
            fresh = data.splits - owner.data.splits
            if fresh and fresh - one_sided(interp):  # the other side is taken, too
                part = assigned_part(interp, node)
                data = data._replace(part=part if part != "train" else None)
    elif isinstance(index, Tensor) and index.data.splits - data.splits:
        if data.fits and not data.splits and index.data.part is not None:
            interp.emit("split", (interp.frame.space, None, owner, "cross-validation"))
        return data._replace(splits=data.splits | index.data.splits, part=index.data.part or data.part)
    elif isinstance(index, Tensor) and (date := date_of(interp, index, node)) is not None:
        place, side = date
        taken(interp, owner.but(data=data), place, side)
        key = ("chosen", None, place) if side == "head" else ("chosen", place, None)
        return ordered(data._replace(order=owner.data.order), key)
    elif isinstance(index, Tensor) and (named := named_rows(interp, owner, node)) is not None:
        cut, side, part = named
        return taken(interp, owner.but(data=data), cut, side)._replace(part=part)
    elif isinstance(index, Tensor) and owner.lib == "frame" and (fold := fold_of(node)) is not None:
        column, side = fold
        place = ("fold", column)
        others = sides_taken(interp, (frozenset(owner.data.tokens), place)) - {side}
        part = "train" if side == "head" else "val" if others else data.part
        return taken(interp, owner.but(data=data), place, side)._replace(part=part)
    elif isinstance(index, Tensor):
        for place, side in drawn_sides(index, node):
            cut = taken(interp, owner.but(data=data), place, side)
            # Of one side alone it is not known that it is a part, unless the program says so.
            if data.part is None and not data.splits and (part := assigned_part(interp, node)) is not None:
                data = cut._replace(part=part if part != "train" and not cut.splits <= one_sided(interp) else None)
    return data


def of_nodes(interp: Interpreter, data: DataInfo, part: str, node: Any) -> DataInfo:
    """What belongs to those nodes of a graph that are a part of the data."""
    interp.event("masked", node, part)
    return data._replace(tokens=data.tokens | NODES, part=part, splits=data.splits | NODES, order=None)


NODES = frozenset((-3,))  # the token and the split of all that masks of nodes choose


def assigned_part(interp: Interpreter, node: Any) -> str | None:
    """The part of the data that the program calls what an expression gives, where it assigns it to a name."""
    space = interp.frame.space
    if space.source is None:
        return None
    index, place = space.source.index, -1
    above: Any = index.parent(node)
    while not isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
        if isinstance(above, cst.DictElement) and isinstance(above.key, cst.SimpleString):
            return part_in_path(above.key.raw_value)
        if isinstance(above, cst.Tuple):
            place = next(i for i, element in enumerate(above.elements) if element is node)
        elif (
            not isinstance(above, (cst.Attribute, cst.Subscript, cst.Element, cst.BinaryOperation))
            and getattr(above, "func", None) is not node
        ):
            return None
        node, above = above, index.parent(above)
    target: Any = above.targets[0].target if isinstance(above, cst.Assign) and above.value is node else None
    if place >= 0:
        fits = isinstance(target, cst.Tuple) and len(target.elements) == len(node.elements)
        target = target.elements[place].value if fits else None
    name = target.attr if isinstance(target, cst.Attribute) else target
    return part_in_path(name.value) if isinstance(name, cst.Name) else None


def drawn_sides(index: Tensor, node: Any) -> list[tuple[Any, str]]:
    """The places at which an index cuts rows in two at random, and on which side: a part of a permutation, or a mask of
    random numbers and its opposite."""
    if index.kinds == MASK:
        name, side = mask_name(node) if index.data.shuffled and not index.data.tokens else ("", "")
        return [(("mask", name), side)] if name else []
    order = index.data.order or frozenset()
    drawn = [key for key in order if key[0] == "drawn"]
    cuts = [key for key in order if key[0] == "chosen" and len(key) == 3]
    if len(drawn) != 1 or len(cuts) != 1:
        return []
    _, start, stop = cuts[0]
    return [((drawn[0], end), side) for end, side in ((start, "tail"), (stop, "head")) if end is not None]


DATE = re.compile(r"\d{4}([-/]\d{1,2}){0,2}$|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$")
SIDES = {"LessThan": "head", "LessThanEqual": "head", "GreaterThan": "tail", "GreaterThanEqual": "tail"}


def date_of(interp: Interpreter, index: Tensor, node: Any) -> tuple[Any, str] | None:
    """The date in `rows[rows.day < "2020-01-01"]` at which a table is cut, and which side of it is taken."""
    test = test_of(node) if index.kinds == MASK else None
    if test is None:
        return None
    compared = test.comparisons[0]
    side, date = SIDES.get(compared.operator.__class__.__name__, ""), compared.comparator
    if isinstance(date, cst.Call) and called(date) in ("Timestamp", "to_datetime") and date.args:
        date = date.args[0].value
    value = literal(interp, date)
    if not side or not isinstance(value, str) or not DATE.match(value):
        return None
    return ("date", cst.Module([]).code_for_node(test.left), value), side


def named_rows(interp: Interpreter, owner: Tensor, node: Any) -> tuple[Any, str, str | None] | None:
    """The place at which `rows[rows.split == "train"]` cuts rows, the side and the part it takes; and likewise of
    `rows[rows.year < 2019]`, if the program calls the result a part. What is held out is known by what is not."""
    test = test_of(node)
    if test is None or not (name := name_of_column(test.left)):
        return None
    operator = test.comparisons[0].operator.__class__.__name__
    value = literal(interp, test.comparisons[0].comparator)
    if isinstance(value, str) and value.lower() in PART_WORDS and operator in ("Equal", "NotEqual"):
        place: Any = ("part", name)
        part: str | None = PART_WORDS[value.lower()]
        side = f"{operator} {part}"
        if operator == "NotEqual":
            part = "test" if part == "train" else "train"
        known = part == "train" or sides_taken(interp, (frozenset(owner.data.tokens), place)) - {side}
        return place, side, part if known else owner.data.part
    if operator in SIDES and isinstance(value, (int, float)) and (part := assigned_part(interp, node)) is not None:
        return ("bound", name, value), SIDES[operator], part
    return None


def literal(interp: Interpreter, node: Any) -> Any:
    """The constant that a literal is, or that a name stands for."""
    if isinstance(node, (cst.SimpleString, cst.Integer, cst.Float)):
        return node.evaluated_value
    return const(interp.peek(node) or UNKNOWN)


DATES = "dates"  # the place of a cut between two days, whichever these are


def side_of_dates(index: slice, part: str | None) -> str | None:
    """Which side of a split `rows["2016":"2018"]` is, where the program calls it a part of the data."""
    ends = [const(end) for end in (index.start, index.stop) if end is not None]
    if part is None or not ends or not all(isinstance(end, str) and DATE.match(end) for end in ends):
        return None
    return "head" if part == "train" else "tail"


def test_of(node: Any) -> cst.Comparison | None:
    """The comparison of two values in `rows[rows.column < 3]`."""
    element = node.slice[0].slice if isinstance(node, cst.Subscript) else None
    test = element.value if isinstance(element, cst.Index) else None
    return test if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 else None


def name_of_column(node: Any) -> str:
    """The name of a column, as an attribute of its table or as a key."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    key = node.slice[0].slice if isinstance(node, cst.Subscript) else None
    return key.value.raw_value if isinstance(key, cst.Index) and isinstance(key.value, cst.SimpleString) else ""


FOLDS = re.compile(r"(^|_)k?folds?(_?id|_?\d+)?$", re.IGNORECASE)


def fold_of(node: Any) -> tuple[str, str] | None:
    """The column with the numbers of folds in `rows[rows.fold != k]`, and whether all but some are taken or one is."""
    element = node.slice[0].slice if isinstance(node, cst.Subscript) else None
    called_for = element.value if isinstance(element, cst.Index) else None
    if (test := test_of(node)) is not None:
        column, operator = test.left, test.comparisons[0].operator
        side = "head" if isinstance(operator, cst.NotEqual) else "tail" if isinstance(operator, cst.Equal) else ""
    elif isinstance(called_for, cst.Call) and isinstance(called_for.func, cst.Attribute):
        column, side = called_for.func.value, "head" if called(called_for) == "isin" else ""
    else:
        return None
    return (name, side) if side and FOLDS.search(name := name_of_column(column)) else None


def is_whole_of(interp: Interpreter, data: DataInfo, others: DataInfo) -> bool:
    """Whether data were not split yet, perhaps but for rows that were left out before others were chosen of them."""
    if data.part is not None or not data.splits:
        return data.part is None
    chosen = data.order is not None and others.order is not None and data.order < others.order
    return chosen and data.splits < others.splits and data.splits <= one_sided(interp)


def one_sided(interp: Interpreter) -> set[int]:
    """The cuts of which one side only was taken so far, be it to look at some rows."""
    return {hash(key) for key, seen in sides_by_cut(interp).items() if len(seen) == 1}


def two_sided(interp: Interpreter) -> set[int]:
    """The cuts of which both sides were taken."""
    return {hash(key) for key, seen in sides_by_cut(interp).items() if len(seen) > 1}


def sides_by_cut(interp: Interpreter) -> dict[Any, set[str]]:
    cuts: frozenset[tuple[Any, ...]] = interp.flags.get(CUTS, frozenset())
    sides: dict[Any, set[str]] = {}
    for key, side, *_ in cuts:
        sides.setdefault(key, set()).add(side)
    return sides


def sides_taken(interp: Interpreter, key: Any) -> set[str]:
    """The sides that were taken so far of a cut, which tokens and a place identify."""
    cuts: frozenset[tuple[Any, ...]] = interp.flags.get(CUTS, frozenset())
    return {side for known, side, _ in cuts if known == key}


def parted(interp: Interpreter, tensor: Tensor) -> Tensor:
    """Data that know of the dates at which they were cut, once both sides were taken."""
    data = tensor.data
    ends = {end for key in data.order or () if key[0] == "chosen" and len(key) == 3 for end in key[1:]}
    dates = [end for end in ends if isinstance(end, tuple) and end[0] == "date"]
    keys = [(data.tokens, date) for date in dates]
    both = {hash(key) for key in keys if len(sides_taken(interp, key)) > 1}
    return tensor.but(data=data._replace(splits=data.splits | both)) if both else tensor


def mask_name(node: Any) -> tuple[str, str]:
    """The name of the mask in `rows[mask]` or `rows[~mask]`, and which of the two it is."""
    element = node.slice[0].slice if isinstance(node, cst.Subscript) else None
    inner = element.value if isinstance(element, cst.Index) else None
    turned = isinstance(inner, cst.UnaryOperation) and isinstance(inner.operator, cst.BitInvert)
    inner = inner.expression if turned else inner  # type: ignore[union-attr]
    return (inner.value, "tail" if turned else "head") if isinstance(inner, cst.Name) else ("", "")


def end_of(interp: Interpreter, value: Any, node: Any) -> Any:
    """What tells an end of a slice from others: sums and products of the same values, written alike, are the same."""
    if is_nothing(value) or isinstance(value, Const):
        return None if is_nothing(value) else value.value
    if isinstance(value, Number) and value.share is not None:
        return value.share
    inner = nodes_in(node) if isinstance(node, cst.BinaryOperation) else ()
    parts = [part for part in inner if isinstance(part, cst.BaseExpression)]
    if not parts or not all(isinstance(part, (cst.BinaryOperation, cst.Name, cst.Integer)) for part in parts):
        return id(value)
    written = (p.operator.__class__ if isinstance(p, cst.BinaryOperation) else p.value for p in parts)  # type: ignore[attr-defined]
    held = tuple(interp.peek(part) for part in parts if isinstance(part, cst.Name))
    interp.keep += held
    return ("sum", *written, *map(id, held))


def rows_of(interp: Interpreter, owner: Tensor, data: DataInfo, index: Any, node: Any) -> DataInfo:
    """Data after an index over the rows, with what it does to their order."""
    if isinstance(index, Const) and index.value is ...:
        return data
    if isinstance(index, slice):
        ends = (index.start, index.stop, index.step)
        if ends == (None, None, None):
            return data
        interp.keep += ends
        part = node.slice[0].slice if isinstance(node, cst.Subscript) else None
        written = (part.lower, part.upper, part.step) if isinstance(part, cst.Slice) else (None, None, None)
        places = tuple(end_of(interp, *pair) for pair in zip(ends, written, strict=True))
        return ordered(data, ("chosen", *places[:2]) if index.step is None else ("every", *places))
    if owner.lib == "frame" and (column_names(index) is not None or left_out(index) is not None):
        return data
    if isinstance(index, Tensor):
        return rows_at(interp, index, data, node)
    if isinstance(index, Const) and isinstance(index.value, str):
        return ordered(data, ("entry", index.value))  # of several arrays in one file
    if owner.lib == "frame" and isinstance(index, (ListObject, Sequence)):
        interp.keep.append(index)
        return ordered(data, ("chosen", id(index)))
    if isinstance(index, Number) and owner.lib != "frame" and not is_row(data):
        interp.keep.append(index)
        return data._replace(columns=ONE_ROW) if data.order is None else ordered(data, ("row", id(index)))
    return data._replace(order=None)


def is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, Const) and value.value in (None, 0))


# What a place to cut at is computed with, time and again the same.
ROUNDING = frozenset(("int", "len", "round", "floor", "ceil", "size", "min", "max", "abs"))


def place_of(interp: Interpreter, boundary: Value, node: Any) -> Any:
    """What tells a place to cut at from others: equal where the same is computed of the same once more."""
    if isinstance(boundary, Const):
        return boundary.key
    node = unrounded(node)
    if node is None or (boundary is not UNKNOWN and isinstance(node, (cst.Name, cst.Attribute))):
        return id(boundary)
    parts = list(nodes_in(node))
    if not all(called(part) in ROUNDING for part in parts if isinstance(part, cst.Call)):
        return id(node) if boundary is UNKNOWN else id(boundary)
    names = {part.value for part in parts if isinstance(part, cst.Name)}
    held = [value for name in sorted(names) if (value := interp.frame.env.get(name)) is not None]
    interp.keep += held
    return (cst.Module([]).code_for_node(node), *map(id, held))


def unrounded(node: Any) -> Any:
    """What `int(…)` or `round(…)` is written around."""
    while isinstance(node, cst.Call) and called(node) in ("int", "round") and len(node.args) == 1:
        node = node.args[0].value
    return node


def nearby(interp: Interpreter, boundary: Any, node: Any) -> tuple[Any, Any]:
    """The place that a cut at a boundary is meant for, and how it is written: the first window of what is held out
    takes some rows of those before (`x[n - 60 :]` or `x[n - steps :]` beside `x[: int(n)]`)."""
    while True:
        node = unrounded(node)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.Add, cst.Subtract)):
            length = isinstance(node.right, (cst.Integer, cst.Name, cst.Attribute))
            if not length and not isinstance(interp.peek(node.right), Const):
                return boundary, node
            node = node.left
        else:
            known = interp.peek(node)
            return (boundary if known is None else known), node


def begins_before(interp: Interpreter, owner: Tensor, start: Any, written: Any, node: Any) -> bool:
    """Whether rows that are called held out begin some rows before a place up to which others were taken:
    `x[n - steps : end]` beside `x[:n]`."""
    if not isinstance(written, cst.BinaryOperation) or not isinstance(written.operator, cst.Subtract):
        return False
    key = (frozenset(owner.data.tokens), place_of(interp, *nearby(interp, start, written)))
    return "head" in sides_taken(interp, key) and assigned_part(interp, node) in ("val", "test")


def is_window(interp: Interpreter, lower: Any, upper: Any, node: Any) -> bool:
    """Whether a slice is some rows from a place on, along which a loop walks, or which nothing calls a part."""
    place = begin_of(lower)
    if place is None or place != begin_of(upper):
        return False
    region = interp.region
    while region is not None and region.kind != "call":
        if isinstance(region.node, cst.For) and place in names_in(region.node.target):
            return True
        region = region.parent
    return assigned_part(interp, node) is None


def begin_of(end: Any) -> str | None:
    """The name of a place of which an end of a slice is so many rows before or behind it."""
    while isinstance(end, cst.BinaryOperation) and isinstance(end.operator, (cst.Add, cst.Subtract)):
        end = end.left
    return end.value if isinstance(end, cst.Name) else None


def cut_at(interp: Interpreter, owner: Tensor, boundary: Any, node: Any, side: str) -> DataInfo:
    """`x[:n]` or `x[n:]`."""
    place = place_of(interp, boundary, node)
    if isinstance(boundary, Const) and isinstance(boundary.value, int) and abs(boundary.value) <= 10:
        return owner.data  # a peek at the head, or the last column or step
    return owner.data if isinstance(boundary, Tensor) else taken(interp, owner, place, side, boundary)


def taken(interp: Interpreter, owner: Tensor, place: Any, side: str, boundary: Any = None) -> DataInfo:
    """One side of data that are cut at a place: once both are taken, the data count as split there."""
    cuts: frozenset[tuple[Any, ...]] = interp.flags.get(CUTS, frozenset())
    key = (frozenset(owner.data.tokens), place)
    seen = sides_taken(interp, key)
    interp.write(interp.flags, CUTS, cuts | {(key, side, id(boundary))})
    if seen and side not in seen:
        interp.emit("split", (interp.frame.space, None, owner, "slice"))
    return owner.data._replace(splits=owner.data.splits | {cut_of(owner.data, place)})


def cut_of(data: DataInfo, place: Any) -> int:
    """What tells a split of data, by a cut at a place, from others."""
    return hash((frozenset(data.tokens), place))


class Share(NamedTuple):
    """How much of a random permutation, from its beginning, was held out; None where that is not known."""

    held_out: float | None


def share_held_out(call: Call) -> float | None:
    sizes_given = [call.value(name) for name in ("test_size", "train_size")]
    known = [const(size) if size is not None else None for size in sizes_given]
    if call.arguments.open or any(is_nothing(k) and not is_nothing(s) for k, s in zip(known, sizes_given, strict=True)):
        return None
    if isinstance(known[0], (int, float)):
        return known[0]
    return 1 - known[1] if isinstance(known[1], float) else None if known[1] is not None else 0.25


@behaviour("train_test_split")
def train_test_split(call: Call) -> Value:
    """Two values for each array: the part that is kept for training, then the part held out."""
    interp = call.interp
    interp.emit("pair", (call.node, tuple(call.arguments.positional), "split", call))
    shuffle = truth(call.value("shuffle") or TRUE)
    shuffles = not call.arguments.open and shuffle is True
    how = "train_test_split" if shuffles else "train_test_split in order"
    drawn = None if shuffle is False else draw(call)
    if drawn is not None and not isinstance(drawn[1], (Step, Same)):
        drawn = (*drawn, Share(share_held_out(call)))
    interp.keep.append(drawn)  # or the `id` of a part of it may come again
    split = id(call.node) if drawn is None else hash((id(call.node), drawn))
    out: list[Tensor] = []
    for value in call.arguments.positional:
        tensor = with_origin(as_tensor(value), call.node)
        interp.emit("split", (interp.frame.space, call.node, tensor, how))
        if is_held_out(call.interp, tensor.data):
            parts = ("val", "test")
        else:
            parts = ("train", "val" if tensor.data.part == "train" else "test")
        whole = tensor.data if shuffle is False else ordered(tensor.data, drawn)
        data = whole._replace(splits=whole.splits | {split}, stats=frozenset())
        kept = tensor.but(shape=(None, *tensor.shape[1:]) if tensor.shape else None)
        out += (kept.but(data=data._replace(part=part)) for part in parts)
    held = (piece.data for piece in out if piece.data.part in ("val", "test"))
    by_chance = shuffles and is_nothing(call.value("stratify"))
    interp.event(
        "split", call.node, tuple(dict.fromkeys(data._replace(columns=None) for data in held)), by_chance, split
    )
    interp.write(interp.flags, SPLITS, {**(interp.flags.get(SPLITS) or {}), split: (interp.frame.space, call.node)})
    return Sequence(UNKNOWN) if call.arguments.open else Tuple(tuple(out))


def is_held_out(interp: Interpreter, data: DataInfo) -> bool:
    """Whether data are held out from a training part that the program uses. Of a split that only draws fewer rows
    (`_, few = train_test_split(rows)`) the rest is not."""
    if data.part not in ("val", "test"):
        return False
    made = [found for ident, found in (interp.flags.get(SPLITS) or {}).items() if ident in data.splits]
    return bool(made) and all(keeps_training_part(space, node) for space, node in made)


def keeps_training_part(space: Namespace, split: Any) -> bool:
    """Whether the first part that a split gives has a name that is read."""
    if space.source is None:
        return False
    index = space.source.index
    statement = index.statement(split)
    target = statement.targets[0].target if isinstance(statement, cst.Assign) else None
    first = target.elements[0].value if isinstance(target, cst.Tuple) else None
    binding = index.binding(first) if isinstance(first, cst.Name) else None
    return binding is not None and bool(index.references(binding))


@behaviour("cut_rows")
def cut_rows(call: Call) -> Value:
    """`np.split(rows, [first, second])`: the parts between places that are reckoned from how many rows there are."""
    places, axis = call.interp.known_items(call.value("indices", 1) or UNKNOWN), call.value("axis", 2)
    tensor = call.tensor
    along = axis is None or (isinstance(axis, Const) and axis.value == 0)
    if not places or len(places) > 2 or not along or not tensor.data.tokens or not all(map(is_count, places)):
        return UNKNOWN
    call.interp.emit("split", (call.interp.frame.space, call.node, tensor, "np.split"))
    data = tensor.data._replace(order=None, splits=tensor.data.splits | {id(call.node)}, stats=frozenset())
    return Tuple((tensor.but(shape=None, data=data),) * (len(places) + 1))


def is_count(place: Value) -> bool:
    return isinstance(place, Number) and place.integer


def is_column(data: DataInfo) -> bool:
    """Whether data are a single column, whose functions get one number at a time."""
    return data.columns is not None and data.columns[0] == "only" and len(data.columns[1]) == 1


@behaviour("applied")
def applied(call: Call) -> Value:
    """A function of each column: what it takes from all rows has gone into them."""
    from trainlint.semantics.interpreter import Arguments

    made, function, axis = frame(call), call.value("func", 1), call.value("axis", 2)
    whole = call.tensor.data
    by_column = axis is None or (isinstance(axis, Const) and axis.value in (0, "index"))
    if not by_column or not whole.tokens or is_predicted(call.tensor) or not isinstance(made, Tensor):
        return made
    learnt = isinstance(function, Method) and bool(learnt_by(call.interp, function.receiver))
    if not learnt:
        known = isinstance(function, (Function, Api)) and not is_column(whole)
        if not known or whole.part is not None or whole.splits:
            return made
    assert function is not None
    result = call.interp.call(function, Arguments([call.tensor]), call.node)
    return made.but(data=made.data._replace(fits=made.data.fits | as_tensor(result).data.fits))


@behaviour("cloned")
def cloned(call: Call) -> Value:
    """`clone(estimator)`: a new one with the same options, which is fitted to nothing."""
    given = call.first
    if not isinstance(given, Instance) or given.family not in ("predictor", "estimator", "pipeline", "search"):
        return UNKNOWN
    made = Instance(given.cls, given.family, call.interp.step(call.node, "clone"))
    made.attrs.update({name: value for name, value in given.attrs.items() if not name.startswith("$")})
    return made


@behaviour("cross_validate")
def cross_validate(call: Call) -> Value:
    folded(call, call.first)
    return Tensor(lib="numpy", graph=False)


def folded(call: Call, estimator: Value | None) -> None:
    """An estimator is fitted on folds of the data: what was fitted on all of them before has leaked."""
    value = call.value("x", 1)
    call.interp.event("predicted", call.node, estimator, None)
    if isinstance(value, Tensor):
        call.interp.emit("split", (call.interp.frame.space, call.node, value, "cross-validation"))
        call.interp.event("folded", call.node, estimator, value)
    paired(call, estimator)


TREES = re.compile(
    r"sklearn\.tree\.\w+|sklearn\.ensemble\.(RandomForest|ExtraTrees|GradientBoosting|HistGradientBoosting)\w+"
    r"|(xgboost|lightgbm|catboost)\.(\w+(Classifier|Regressor|Ranker)|Booster)"
)


def is_of_trees(estimator: Value | None) -> bool:
    """Whether an estimator surely asks single features whether they exceed a limit, and so is blind to their scale."""
    if not isinstance(estimator, Instance) or not TREES.fullmatch(estimator.api_path):
        return False
    return const(estimator.attrs.get("booster", NONE)) in (None, "gbtree", "dart") and "$open" not in estimator.attrs


@behaviour("fold_indices")
def fold_indices(call: Call) -> Value:
    value = as_tensor(call.value("x", 1) or UNKNOWN)
    call.interp.emit("split", (call.interp.frame.space, call.node, value, "cross-validation"))
    split = id(call.node)
    once = call.receiver.attrs.get("n_splits") if isinstance(call.receiver, Instance) else None
    held_out = "test" if isinstance(once, Const) and once.value == 1 and value.data.part != "train" else "val"
    if not (isinstance(once, Const) and once.value == 1):
        call.interp.event("folds", call.node, Object.count)
    parts = [
        Tensor(lib="numpy", graph=False, data=DataInfo(part=part, splits=frozenset((split,))))
        for part in ("train", held_out)
    ]
    return Sequence(Tuple(tuple(parts)))


# -------------------------------------------------------------------- estimators


def learns(call: Call) -> str:
    """What an estimator takes from the rows it is fitted on; "" when that is nothing that leaks."""
    return learnt_by(call.interp, call.receiver)


def learnt_by(interp: Interpreter, estimator: Value | None, depth: int = 0) -> str:
    if not isinstance(estimator, Instance) or depth > 6:
        return ""
    row = interp.library.class_row(estimator.api_path)
    what = str(row.raw.get("learns", "")) if row is not None else ""
    strategy = estimator.attrs.get("strategy")
    if what == "imputer" and isinstance(strategy, Const) and strategy.value == "constant":
        return ""
    if what == STEPS:  # as much as its steps do
        found = {learnt_by(interp, step, depth + 1) for step in made_of(interp, estimator)} - {""}
        return STEPS if found - {"coding"} else "".join(found)
    return what


STEPS = "steps"  # what an estimator learns that is made of others


def is_composed(interp: Interpreter, estimator: Value | None) -> bool:
    row = interp.library.class_row(estimator.api_path) if isinstance(estimator, Instance) else None
    return row is not None and row.raw.get("learns") == STEPS


def made_of(interp: Interpreter, estimator: Instance) -> list[Instance]:
    """The estimators that a pipeline or a transformer of columns is made of, in order; [] where they are not known."""
    names = ("steps", "transformers", "transformer_list")
    given = next((estimator.attrs[name] for name in names if name in estimator.attrs), UNKNOWN)
    entries = interp.known_items(given) if isinstance(given, Value) else None
    parts = [part for entry in entries or () for part in (interp.known_items(entry) or (entry,))]
    return [part for part in parts if isinstance(part, Instance)]


COLUMN_CHOICE = "a choice of columns"  # the nature of what an estimator has chosen


def choice_by(call: Call, data: DataInfo) -> Value:
    """The columns that an estimator has chosen by rows that are not split yet."""
    if data.part is not None or data.splits:
        return UNKNOWN
    name = call.receiver.describe() if isinstance(call.receiver, Instance) else call.short_name
    entry = Fit(call.interp.frame.space, call.node, name, data.tokens)
    return Tensor(lib="numpy", graph=False, nature=COLUMN_CHOICE, data=NO_DATA._replace(fits=frozenset((entry,))))


def picked_by(interp: Interpreter, owner: Tensor, indices: list[Value | slice], node: Any) -> Value | None:
    """What such a choice picks: columns of a table, or some of their names. None for any other index."""
    choice = indices[-1] if indices else None
    if not isinstance(choice, Tensor) or choice.nature != COLUMN_CHOICE:
        return None
    if not owner.data.tokens:
        return choice if owner.lib == "numpy" and len(indices) == 1 else None
    told = [entry for entry in choice.data.fits if entry.on & owner.data.tokens]
    data = part_of(interp, owner, indices[:-1], node)._replace(columns=None)
    if data.splits:
        for entry in told:
            interp.emit("leak", (entry, owner, node))
        told = []
    return owner.but(shape=None, data=data._replace(fits=data.fits.union(told)))


@behaviour("chosen_columns")
def chosen_columns(call: Call) -> Value:
    """`get_support()`, and the names of the columns that an estimator gives."""
    found = call.receiver.attrs.get("support_") if isinstance(call.receiver, Instance) else None
    return found if isinstance(found, Value) else UNKNOWN


def fit(call: Call) -> tuple[Tensor, str]:
    """Fit an estimator: remember on what."""
    interp, estimator = call.interp, call.receiver
    data = parted(interp, with_origin(as_tensor(call.value("x", 1) or UNKNOWN), call.node))
    what = learns(call)
    if isinstance(estimator, Instance):
        earlier = estimator.attrs.get("$fitted")
        interp.emit("fit", (call.node, estimator, what, data, earlier, call))
        if what == "coding":
            interp.event("coded", call.node, estimator, data.data, earlier is not None, call.argument("x", 1))
        interp.write(estimator.attrs, "$fitted", (interp.frame.space, call.node, data))
        if what == "feature selection":
            interp.write(estimator.attrs, "support_", choice_by(call, data.data))
    return data, what


@behaviour("estimator_fit")
def estimator_fit(call: Call) -> Value:
    fit(call)
    return call.receiver or UNKNOWN


@behaviour("same_estimator")
def same_estimator(call: Call) -> Value:
    """`estimator.set_output(…)`: itself."""
    return call.receiver or UNKNOWN


@behaviour("estimator_fit_transform")
def estimator_fit_transform(call: Call) -> Value:
    data, what = fit(call)
    return fitted(call, data, what)


def fitted(call: Call, data: Tensor, what: str) -> Tensor:
    """Data after a transform that was fitted on them."""
    info = data.data
    if what and what != "coding" and info.part is None and info.splits <= one_sided(call.interp):
        name = call.receiver.describe() if isinstance(call.receiver, Instance) else call.short_name
        made = Fit(call.interp.frame.space, call.node, name, info.tokens, projection=what == "projection")
        info = info._replace(fits=info.fits | {made._replace(cut=bool(info.splits))})
    info = after_transform(call, info, what)
    return coded(call, data.but(data=info, lib="numpy", kinds=0, shape=scaled_shape(call, data)))


def coded(call: Call, data: Tensor) -> Tensor:
    """What an estimator makes of data: anything, but for codes of classes."""
    path = call.receiver.api_path if isinstance(call.receiver, Instance) else ""
    if path.endswith(".OneHotEncoder") and "drop" not in call.receiver.attrs:  # type: ignore[union-attr]
        return data.but(lo=0.0, hi=1.0, nature="a one-hot code")
    return data.but(lo=float("-inf"), hi=float("inf"), nature=None)


KEEPS_COLUMNS = ("scaler", "imputer", "coding", "encoder")  # what estimators learn that choose no columns


def after_transform(call: Call, data: DataInfo, what: str) -> DataInfo:
    """Data after the transform of an estimator: which columns they are, and what they are scaled by."""
    scaler = call.receiver
    if is_composed(call.interp, scaler):
        chain = made_of(call.interp, scaler) if isinstance(scaler, Instance) and scaler.family == "pipeline" else []
        kept = bool(chain) and all(learnt_by(call.interp, step) in KEEPS_COLUMNS for step in chain)
        return data._replace(columns=data.columns if kept else None, scaled=None)
    data = data._replace(columns=data.columns if what in KEEPS_COLUMNS else None)
    if what != "scaler" or not isinstance(scaler, Instance):
        return data
    call.interp.keep.append(scaler)
    return data.rescaled(f"scaled by `{scaler.describe()}`", id(scaler))


def scaled_shape(call: Call, data: Tensor) -> Shape | None:
    """The shape that a transform gives: a scaler keeps it, any other keeps the rows."""
    if data.shape is None:
        return None
    return data.shape if learns(call) in ("scaler", "imputer") and len(data.shape) == 2 else None


@behaviour("estimator_transform")
def estimator_transform(call: Call) -> Value:
    """Transform data; a fit on the whole of what they were split from reaches them here."""
    estimator = call.receiver
    data = parted(call.interp, as_tensor(call.value("x", 1) or UNKNOWN))
    data = data.but(data=after_transform(call, data.data, learns(call)))
    earlier = estimator.attrs.get("$fitted") if isinstance(estimator, Instance) else None
    if earlier is not None:
        space, node, whole = earlier
        what = learns(call)
        if (
            what
            and what != "coding"
            and is_whole_of(call.interp, whole.data, data.data)
            and whole.data.tokens & data.data.tokens
        ):
            entry = Fit(space, node, estimator.describe(), whole.data.tokens)  # type: ignore[union-attr]
            if data.data.splits - one_sided(call.interp):
                call.interp.emit("leak", (entry, data, call.node))
            else:
                fits = data.data._replace(fits=data.data.fits | {entry})
                return data.but(data=fits, lib="numpy", shape=scaled_shape(call, data))
    return coded(call, data.but(lib="numpy", shape=scaled_shape(call, data), kinds=0))


@behaviour("inverse_transform")
def inverse_transform(call: Call) -> Value:
    data = as_tensor(call.value("x", 1) or UNKNOWN)
    return data.but(data=data.data._replace(scaled=None))


@behaviour("scale_function")
def scale_function(call: Call) -> Value:
    data = with_origin(call.tensor, call.node)
    info = data.data
    axis = call.value("axis")
    by_column = axis is None or (isinstance(axis, Const) and axis.value == 0)
    if info.part is None and not info.splits and by_column:
        info = info._replace(fits=info.fits | {Fit(call.interp.frame.space, call.node, call.short_name, info.tokens)})
    return data.but(data=info.rescaled(f"scaled by `{call.short_name}`"), lib="numpy")


@behaviour("resample")
def resample(call: Call) -> Value:
    out: list[Value] = []
    name = call.receiver.describe() if isinstance(call.receiver, Instance) else "resampling"
    for label in ("x", "y"):
        data = with_origin(as_tensor(call.value(label) or UNKNOWN), call.node)
        info = data.data
        entry = Fit(call.interp.frame.space, call.node, name, info.tokens, True)
        out.append(data.but(data=info._replace(fits=info.fits | {entry})))
    return Tuple(tuple(out))


@behaviour("predictor_fit")
def predictor_fit(call: Call) -> Value:
    value, target = call.value("x", 1), call.value("y", 2)
    if value is not None and target is not None and not call.arguments.open:
        call.interp.emit("pair", (call.node, (value, target), "fit", call))
    call.interp.event("fitted", call.node, call.receiver, value, target, call)
    call.interp.emit("learnt", call)
    run_net(call)
    return call.receiver or UNKNOWN


def run_net(call: Call) -> None:
    """Run the net of skorch that is fitted, if it is one."""
    from trainlint.semantics.behaviours.skorch import fitted

    fitted(call)


@behaviour("labelled_rows")
def labelled_rows(call: Call) -> Value:
    """`lightgbm.Dataset(x, label=y)`, `xgboost.DMatrix(x, y)`: rows as boosting wants them."""
    value, labels = call.value("data"), call.value("label")
    if isinstance(value, Tensor) and isinstance(labels, Tensor) and not call.arguments.open:
        call.interp.emit("pair", (call.node, (value, labels), "fit", call))
    return value if isinstance(value, Tensor) else Instance(Api(call.actual))


@behaviour("boost")
def boost(call: Call) -> Value:
    """`lightgbm.train(params, rows)`: a model that is fitted on these rows."""
    model = Instance(Api(f"{call.actual.partition('.')[0]}.Booster"), "predictor", call.interp.step(call.node, "train"))
    rows = next((value for name in ("train_set", "dtrain") if (value := call.value(name)) is not None), None)
    call.interp.event("fitted", call.node, model, rows, None, call)
    call.interp.emit("learnt", call)
    return model


def is_transformer(interp: Interpreter, estimator: Value | None) -> bool:
    """Whether an estimator surely transforms data; a pipeline does if its last step does."""
    while isinstance(estimator, Instance) and estimator.family == "pipeline":
        estimator = next(reversed(made_of(interp, estimator)), None)
    return isinstance(estimator, Instance) and estimator.family == "estimator"


@behaviour("pipeline_fit")
def pipeline_fit(call: Call) -> Value:
    call.interp.event("fitted", call.node, call.receiver, call.value("x", 1), call.value("y", 2), call)
    paired(call, call.receiver)
    if is_transformer(call.interp, call.receiver):
        fit(call)
    run_net(call)
    return call.receiver or UNKNOWN


def paired(call: Call, estimator: Value | None) -> None:
    """Tell of inputs and targets that an estimator learns from, as they come to the last step of a pipeline."""
    given, target = call.value("x", 1), call.value("y", 2)
    if given is None or target is None or call.arguments.open or not isinstance(estimator, Instance):
        return
    if estimator.family == "pipeline" and isinstance(given, Tensor):
        given = given.but(data=given.data._replace(columns=columns_after(call.interp, estimator, given.data.columns)))
    elif estimator.family != "predictor":
        return
    call.interp.emit("pair", (call.node, (given, target), "fit", call))


def columns_after(interp: Interpreter, pipeline: Instance, columns: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """The columns that are left of a table for the last step of a pipeline."""
    steps = made_of(interp, pipeline)
    for step in steps[:-1]:
        if step.api_path.endswith(".ColumnTransformer"):
            columns = columns_taken(interp, step, columns) if columns is not None else None
        elif step.family == "pipeline":
            columns = columns_after(interp, step, columns) if is_transformer(interp, step) else None
        elif learnt_by(interp, step) not in KEEPS_COLUMNS:
            columns = None
    return columns if steps else None


def columns_taken(interp: Interpreter, step: Instance, columns: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The columns of a table that surely come through a `ColumnTransformer`."""
    given = next((step.attrs[name] for name in ("transformers", "steps") if name in step.attrs), UNKNOWN)
    rest = step.attrs.get("remainder", Const("drop"))
    left_out, taken = columns, frozenset[Any]()
    for entry in interp.known_items(given) or (UNKNOWN,):
        parts = interp.known_items(entry) or (UNKNOWN, UNKNOWN)
        names = column_names(parts[-1])
        if const(parts[-2]) != "drop":
            taken |= names or frozenset()
        elif names is None or left_out[0] != "all":
            return None
        else:
            left_out = ("all", dropped(left_out[1], names), *left_out[2:])
    if not isinstance(rest, Instance) and const(rest) != "passthrough":
        return picked(columns, taken) if const(rest) == "drop" and taken else None
    return left_out


@behaviour("search_fit")
def search_fit(call: Call) -> Value:
    """A search over hyper-parameters: each candidate is judged by cross-validation."""
    estimator = call.receiver.attrs.get("estimator") if isinstance(call.receiver, Instance) else None
    folded(call, estimator if isinstance(estimator, Value) else None)
    call.interp.event("fitted", call.node, call.receiver, call.value("x", 1), call.value("y", 2), call)
    if isinstance(call.receiver, Instance) and isinstance(estimator, Instance):
        call.interp.write(call.receiver.attrs, "best_estimator_", estimator)
        call.interp.event("fitted", call.node, estimator, call.value("x", 1), call.value("y", 2), call)
    call.interp.emit("search", call)
    paired(call, estimator if isinstance(estimator, Value) else None)
    run_net(call)
    return call.receiver or UNKNOWN


@behaviour("predictions")
def predictions(call: Call) -> Value:
    value = call.value("x", 1)
    call.interp.event("predicted", call.node, call.receiver, value)
    part = value.data.part if isinstance(value, Tensor) else None
    return Tensor(lib="numpy", graph=False, data=predicted(call, part))


def predicted(call: Call, part: str | None) -> DataInfo:
    """What is known of a model's predictions for a part of the data."""
    return NO_DATA._replace(part=part, order=None, columns=(PREDICTED, id(call.node)), scaled=None)


@behaviour("score")
def score(call: Call) -> Value:
    """A measure of quality: a number that knows what it was measured on."""
    call.interp.event("outside", call.node, call.actual, tuple(call.arguments.values()))
    if isinstance(call.receiver, Instance):
        call.interp.event("predicted", call.node, call.receiver, call.value("x", 1))
    found = (as_tensor(value).data.part for value in call.arguments.values())
    parts = frozenset(part for part in found if part is not None)
    made = frozenset((id(call.node),)) if isinstance(call.receiver, Instance) else made_by(*call.arguments.values())
    call.interp.event("measured", call.node, parts, made)
    return Number(of=parts)


@behaviour("scores")
def scores(call: Call) -> Value:
    """Several measures of quality at once."""
    score(call)
    return UNKNOWN


@behaviour("composed")
def composed(call: Call) -> Value:
    """`make_pipeline(a, b)` and `make_column_transformer((a, columns), (b, columns))`."""
    wanted = "sklearn.pipeline.Pipeline" if call.short_name == "make_pipeline" else "sklearn.compose.ColumnTransformer"
    row = call.interp.library.class_row(wanted)
    made = Instance(Api(wanted), str(row.raw["family"]) if row is not None else "")
    made.attrs["steps"] = UNKNOWN if call.arguments.open else Tuple(tuple(call.arguments.positional))
    made.attrs.update(call.arguments.keywords)
    return made


# ------------------------------------------------------------- datasets and loaders


@behaviour("vision_dataset")
def vision_dataset(call: Call) -> Value:
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs.update(call.arguments.keywords)
    which = next((name for name, sets in CHOSEN_BY.items() if call.short_name in sets), None)
    names = ("root", "transform") if which is None else ("root", which, "transform")
    dataset.attrs.update(zip(names, call.arguments.positional))
    if call.short_name in BUNDLED and not call.arguments.open:
        dataset.attrs.setdefault("train", TRUE)
    dataset.attrs["$part"] = declared_part(dataset)
    dataset.attrs["$made"] = tuple(
        (k, sameness(v))
        for k, v in sorted(dataset.attrs.items())
        if isinstance(v, Value) and "transform" not in k and k != "download"
    )
    if call.short_name == "*":  # one that a setting names: the same where the same words choose it
        dataset.attrs["$made"] += (call.interp.frame.space, cst.Module([]).code_for_node(call.node.func))
    if call.short_name in STORED:
        shape, lib = STORED[call.short_name]
        call.interp.library.need(lib)
        part = dataset.attrs["$part"]
        data = DataInfo(tokens=frozenset((stored_as(call.short_name, part),)), part=part)
        images = Tensor(lo=0, hi=255, lib=lib, graph=False, shape=shape, data=data)
        dataset.attrs.update(
            dict.fromkeys(("data", "train_data", "test_data") if lib == "torch" else ("data",), images)
        )
    if call.short_name in CLASSES:
        dataset.attrs["classes"] = ListObject((Text(),) * CLASSES[call.short_name])
    call.interp.event("dataset", call.node, dataset)
    call.interp.emit("dataset", (call.node, dataset, call))
    return dataset


def stored_as(name: str, part: str | None) -> int:
    """What tells the images that a ready-made data set holds, or a part of it, from others."""
    return abs(hash((name, part)))


# What comes second of the arguments of torchvision's data sets, where that is what chooses their part.
CHOSEN_BY = {
    "train": frozenset("MNIST FashionMNIST KMNIST CIFAR10 CIFAR100 USPS".split()),
    "split": frozenset(
        "EMNIST SVHN STL10 ImageNet CelebA Flowers102 OxfordIIITPet Food101 DTD GTSRB Places365 FGVCAircraft "
        "StanfordCars PCAM Country211 RenderedSST2 WIDERFace FER2013 Cityscapes LFWPeople".split()
    ),
    "what": frozenset(("QMNIST",)),
    "classes": frozenset(("LSUN",)),
    "annFile": frozenset(("CocoDetection", "CocoCaptions")),
}

# How torchvision's data sets hold their images, where they hold them all.
STORED: dict[str, tuple[Shape, str]] = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "QMNIST"), ((None, 28, 28), "torch")),
    **dict.fromkeys(("CIFAR10", "CIFAR100"), ((None, 32, 32, 3), "numpy")),
}

# How many classes torchvision's data sets have; EMNIST's depend on the split.
CLASSES = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "QMNIST", "CIFAR10", "STL10"), 10),
    "CIFAR100": 100,
    "Food101": 101,
    "OxfordIIITPet": 37,
    "DTD": 47,
}


# torchvision's data sets whose samples `train` alone decides, wherever they are stored.
BUNDLED = CHOSEN_BY["train"]


def bundled(dataset: Instance) -> str:
    """The ready-made data set whose samples an instance serves, be it of a class of the project's that leaves them as
    they are; "" for any other."""
    return "" if isinstance(dataset.cls, Class) and chooses_samples(dataset.cls) else ready_made(dataset)


def ready_made(dataset: Instance) -> str:
    """The ready-made data set that an instance is, or that its class is made from; "" for none."""
    paths = dataset.cls.api if isinstance(dataset.cls, Class) else (dataset.api_path,)
    name = next((path for path in paths if path.startswith("torchvision.datasets.")), "").rpartition(".")[2]
    return name if name in BUNDLED else ""


SAMPLES = frozenset("data targets labels train_data train_labels test_data test_labels __len__".split())


def chooses_samples(cls: Class) -> bool:
    """Whether a class made from a ready-made data set changes which samples there are."""
    from trainlint.syntax import nodes_in

    assigned = (node.target for node in nodes_in(cls.node) if isinstance(node, (cst.AssignTarget, cst.AugAssign)))
    names = (part.value for target in assigned for part in nodes_in(target) if isinstance(part, cst.Name))
    return not SAMPLES.isdisjoint((*names, *cls.attrs)) or any(
        chooses_samples(base) for base in cls.bases if isinstance(base, Class)
    )


def sameness(value: Value, depth: int = 0) -> Any:
    """Equal for two arguments that are surely the same: constants, one object, the same data, texts made of these."""
    if isinstance(value, Const):
        return value.key
    if isinstance(value, Text) and value.made and depth < 4 and not any(map(is_anything, value.made)):
        return tuple(sameness(piece, depth + 1) for piece in value.made)
    if isinstance(value, (ListObject, Instance)) and (rows := value.attrs.get(HELD)) is not None:
        return (rows.tokens, rows.part, rows.splits, rows.order if rows.order is not None else Same(value))
    if isinstance(value, (ListObject, Tuple)) and value.items is not None and depth < 4:
        return tuple(sameness(item, depth + 1) for item in value.items)
    if isinstance(value, Instance) and value.cls is None and "$file" in value.attrs and "$made" in value.attrs:
        return ("file", *value.attrs["$made"])
    if isinstance(value, Tensor) and is_one(value.data):
        return (
            value.data.tokens,
            value.data.part,
            value.data.splits,
            value.data.order if value.data.order is not None else Same(value),
        )
    if isinstance(value, Tensor) and (order := value.data.order):
        kinds = {key[0] for key in order}
        if "drawn" in kinds and kinds <= {"drawn", "chosen"}:
            return order  # places drawn at random, and which of them
    if isinstance(value, Union) and any(isinstance(o, Instance) and o.cls is None for o in value.options):
        return tuple(sameness(option, depth + 1) for option in value.options)  # an entry of one of several settings
    return object() if is_anything(value) else Same(value)


def is_anything(value: Value) -> bool:
    """Whether nothing is known of a value, not even that it is the same twice."""
    return value is UNKNOWN or (isinstance(value, Instance) and "$any" in value.attrs and HELD not in value.attrs)


@dataclass(frozen=True, eq=False)
class Same:
    """Equal for one and the same object; holds it, since the `id` of an object that is gone may come again."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def declared_part(dataset: Instance) -> str | None:
    """The part of the data that a dataset's own arguments name."""
    train = dataset.attrs.get("train")
    if isinstance(train, Const) and isinstance(train.value, bool):
        return "train" if train.value else "test"
    for name in ("split", "image_set", "mode", "phase", "subset", "partition", "set_name", "stage"):
        value = dataset.attrs.get(name)
        if isinstance(value, Const) and isinstance(value.value, str):
            return PART_WORDS.get(value.value.lower().rstrip("0123456789"))  # val2017
    root = dataset.attrs.get("root")
    return part_in_path(words_of(root)) if isinstance(root, Value) else None


LISTED = "$listed"  # of a data set, the list of the files that it reads


@behaviour("tensor_dataset")
def tensor_dataset(call: Call) -> Value:
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs["$tensors"] = (
        Sequence(join_all(call.arguments.positional))
        if call.arguments.open
        else Tuple(tuple(call.arguments.positional))
    )
    if not call.arguments.open:
        call.interp.emit("pair", (call.node, tuple(call.arguments.positional), "data set", call))
    return dataset


@behaviour("listed_data")
def listed_data(call: Call) -> Value:
    """A data set that reads the files of a list one by one, each as a sample."""
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs.update(zip(call.row.params, call.arguments.positional))
    dataset.attrs.update(call.arguments.keywords)
    listed = call.value("data", 0) or call.value("image_files")
    if isinstance(listed, ListObject) and not call.arguments.open:
        dataset.attrs[LISTED] = listed
    call.interp.event("dataset", call.node, dataset)
    call.interp.emit("dataset", (call.node, dataset, call))
    return dataset


@behaviour("subset")
def subset(call: Call) -> Value:
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs["dataset"] = call.first
    indices = call.value("indices", 1)
    if isinstance(indices, Tensor):
        dataset.attrs["$indices"] = indices
        dataset.attrs["$part"] = indices.data.part
    elif indices is not None:
        dataset.attrs["$indices"] = indices
    return dataset


@behaviour("random_split")
def random_split(call: Call) -> Value:
    lengths = call.interp.known_items(call.value("lengths") or UNKNOWN)
    count = len(lengths) if lengths is not None else taken_apart(call) or 2
    second = "val" if dataset_part(call.first) == "train" else "test"
    names = ["train", second] if count == 2 else ["train", "val", "test"] if count == 3 else [None] * count
    out: list[Value] = []
    key = draw(call)
    for place, part in enumerate(names):
        piece = Instance(Api("torch.utils.data.Subset"), "dataset", call.interp.step(call.node, "random_split"))
        piece.attrs["$draw"] = key
        piece.attrs["$place"] = (place, count)
        piece.attrs["dataset"] = call.first
        piece.attrs["$part"] = part
        piece.attrs["$random"] = TRUE
        piece.attrs["indices"] = places_of_part(key, piece)
        call.interp.event("dataset", call.node, piece)
        out.append(piece)
    for root in roots(call.first):
        tensors = root.attrs.get("$tensors") if isinstance(root, Instance) else root
        held = root.attrs.values() if isinstance(root, Instance) and isinstance(root.cls, Class) else (tensors,)
        for tensor in tensors.items if isinstance(tensors, Tuple) else held:
            if isinstance(tensor, Tensor):
                call.interp.emit("split", (call.interp.frame.space, call.node, tensor, "random_split"))
    return Tuple(tuple(out))


def places_of_part(key: Any, piece: Instance) -> Tensor:
    """The places that a random split chose for one of its parts, which may be taken of other data as well."""
    data = ordered(ordered(NO_DATA, key), ("chosen", piece.attrs["$place"]))
    data = data._replace(shuffled=True, part=piece.attrs["$part"])
    return Tensor(kinds=INDICES, lo=0, lib="numpy", graph=False, nature="a permutation", data=data)


def places_in(value: Value) -> Tensor | None:
    """The places that a part of a random split holds itself, as where a range of numbers was split."""
    whole = value.attrs.get("dataset") if isinstance(value, Instance) and "$random" in value.attrs else None
    if not isinstance(value, Instance) or not isinstance(whole, (Sequence, ListObject)):
        return None
    one = whole.element if isinstance(whole, Sequence) else whole.attrs["element"]
    return value.attrs["indices"] if isinstance(one, Number) else None


@behaviour("joined_dataset")
def joined_dataset(call: Call) -> Value:
    dataset = Instance(Api(call.actual), "dataset", call.interp.step(call.node, call.short_name))
    dataset.attrs["$members"] = call.first
    return dataset


@behaviour("data_loader")
def data_loader(call: Call) -> Value:
    return made_loader(call, Instance(Api(call.actual), "loader", call.interp.step(call.node, call.short_name)))


@behaviour("initialise_loader")
def initialise_loader(call: Call) -> Value:
    """`super().__init__(…)` of a loader class of the project's own."""
    if isinstance(call.first, Instance):
        made_loader(call, call.first)
    return NONE


def made_loader(call: Call, loader: Instance) -> Value:
    given = {**dict(zip(call.row.params, call.arguments.positional)), **call.arguments.keywords}
    given.pop("self", None)
    whole = given.get("dataset")
    if isinstance(whole, Method) and isinstance(whole.receiver, Instance) and whole.receiver.cls is None:
        # `data.train` of an object from out of view, which would be a method if that were a model
        given["dataset"] = call.interp.opaque_child(whole.receiver, whole.name)
    for name in call.row.raw.get("decides", ()):
        given.setdefault(name, UNKNOWN)
    for name, value in (*given.items(), ("$open", call.arguments.open)):
        call.interp.write(loader.attrs, name, value)
    dataset = given.get("dataset")
    if isinstance(dataset, Instance) and dataset.cls is None and given.get("batch_size") is not NONE:
        call.interp.write(dataset.attrs, "$samples", TRUE)  # what it has, batches are made of
    for served in options(dataset or NONE):
        if isinstance(served, Instance) and served.born is not None and not served.family and "$part" in served.attrs:
            call.interp.emit("dataset", (served.born.node, served, None))  # only now it is seen to be one
    call.interp.event("loader", call.node, loader)
    return loader


@behaviour("set_epoch")
def set_epoch(call: Call) -> Value:
    call.interp.event("set_epoch", call.node, call.receiver)
    if isinstance(call.receiver, Instance):
        call.interp.write(call.receiver.attrs, "$epoch", TRUE)
    return NONE


def with_token(value: Value, token: int) -> Value:
    """A batch that can be told from other batches of its loader."""
    if isinstance(value, Tensor):
        return value.but(data=value.data._replace(tokens=value.data.tokens | {token}))
    if isinstance(value, Tuple):
        return Tuple(tuple(with_token(item, token) for item in value.items), value.names)
    if isinstance(value, DictObject):
        return DictObject({k: with_token(v, token) for k, v in value.attrs.items()})
    return value


def roots(value: Value | None, depth: int = 0) -> list[Value]:
    """The underlying data of a dataset: through `Subset`, `ConcatDataset` and wrappers that keep it in `dataset`."""
    if value is None or depth > 6:
        return []
    if isinstance(value, Union):
        return [root for option in value.options for root in roots(option, depth + 1)]
    if isinstance(value, Instance):
        inner = value.attrs.get("dataset")
        if isinstance(inner, Value) and value.family == "dataset" and (isinstance(inner, (Instance, Tensor))):
            return roots(inner, depth + 1)
        return [value]
    return [value]


def part_of_arguments(given: dict[str, Value]) -> str | None:
    """The part of the data that the arguments of a user's dataset name: a flag, a split, a path. Where a file lists
    what is to be taken of a folder, the file tells."""
    parts, listed = set[str | None](), set[str | None]()
    for name, value in given.items():
        if isinstance(value, Const) and isinstance(value.value, bool):
            if name in ("train", "is_train", "training"):
                parts.add("train" if value.value else "test")
        elif isinstance(value, (Const, Text)):
            text = words_of(value)
            parts.add(part_in_path(text))
            listed.add(part_in_path(text) if _LIST.search(text) else None)
        elif isinstance(value, Tensor):
            parts.add(value.data.part)
    parts, listed = parts - {None}, listed - {None}
    told = listed if len(parts) > 1 else parts
    return told.pop() if len(told) == 1 else None


_LIST = re.compile(r"\.(txt|lst|csv|tsv|json)$")  # names of files that hold names of others


def dataset_part(value: Value | None, depth: int = 0) -> str | None:
    """The part of the data that a dataset holds."""
    if isinstance(value, Union):
        parts = {dataset_part(o, depth + 1) for o in value.options}
        return parts.pop() if len(parts) == 1 else "val" if parts == {"val", "test"} else None
    if not isinstance(value, Instance) or depth > 6:
        return value.data.part if isinstance(value, Tensor) else None
    part = value.attrs.get("$part")
    if isinstance(part, str):
        return part
    tensors = value.attrs.get("$tensors")
    if isinstance(tensors, Tuple):
        parts = {t.data.part for t in tensors.items if isinstance(t, Tensor)}
        return parts.pop() if len(parts) == 1 else None
    sampler = value.attrs.get("sampler")
    drawn_from = sampler.attrs.get("indices") if isinstance(sampler, Instance) else None
    if isinstance(drawn_from, Tensor) and drawn_from.data.part:
        return drawn_from.data.part
    inner = value.attrs.get("dataset")
    if isinstance(inner, (Instance, Union)):
        return dataset_part(inner, depth + 1)
    if (listed := value.attrs.get(LISTED)) is not None:
        return (listed.attrs.get(HELD) or NO_DATA).part
    if isinstance(value.cls, Class):
        found = declared_part(value)
        if found:
            return found
        arrays = (t.data for t in value.attrs.values() if isinstance(t, Tensor))
        lists = (t.attrs.get(HELD) or NO_DATA for t in value.attrs.values() if isinstance(t, ListObject))
        parts = {data.part for data in (*arrays, *lists) if data.part}
        return parts.pop() if len(parts) == 1 else None
    return None


def sample_of(interp: Interpreter, dataset: Value | None, depth: int = 0) -> Value:
    """One sample of a dataset, as it comes out of a batch."""
    if depth > 6 or dataset is None:
        return Tensor(graph=False)
    if isinstance(dataset, Tensor):
        return row_of(dataset)
    if isinstance(dataset, Union):
        return join_all(sample_of(interp, o, depth + 1) for o in dataset.options if not isinstance(o, Const))
    if isinstance(dataset, (ListObject, Tuple, Sequence)):
        return interp.element_of(dataset)
    if isinstance(dataset, Instance):
        if isinstance(made := dataset.attrs.get("$sample"), Value):
            return made
        tensors = dataset.attrs.get("$tensors")
        if isinstance(tensors, Tuple):
            return Tuple(tuple(row_of(as_tensor(t)) for t in tensors.items))
        inner = dataset.attrs.get("dataset")
        if isinstance(dataset.cls, Class):
            for name in ("__getitem__", "__iter__"):
                member = dataset.cls.find(name)
                if isinstance(member, Function):
                    from trainlint.semantics.interpreter import Arguments

                    given = [Number(0, integer=True)] if name == "__getitem__" else []
                    begun, before = interp.steps, interp.aside
                    with noting_transforms(interp, dataset):
                        result = interp.call(Method(dataset, name, member), Arguments(list(given)), dataset.cls.node)
                    interp.aside = before + interp.steps - begun
                    return result if name == "__getitem__" else interp.element_of(result)
        if isinstance(inner, Value):
            return sample_of(interp, inner, depth + 1)
        members = dataset.attrs.get("$members")
        if isinstance(members, Value):
            return sample_of(interp, interp.element_of(members), depth + 1)
        if isinstance(dataset.cls, Api) and "torchvision.datasets" in dataset.cls.path:
            plain = "target_transform" not in dataset.attrs and "Detection" not in dataset.cls.path
            label = Tensor(kinds=INDICES, lo=0.0, graph=False, shape=() if plain and one_label(dataset) else None)
            return Tuple((own_view(interp, dataset) or Tensor(graph=False, shape=image_shape(dataset)), label))
    return Tensor(graph=False)


def own_view(interp: Interpreter, dataset: Instance) -> Value | None:
    """What a transform of the project makes of an image, such as two views of it; None where there is no such."""
    transform = dataset.attrs.get("transform")
    if not isinstance(transform, Instance) or not isinstance(transform.cls, Class):
        return None
    member = transform.cls.find("__call__")
    if not isinstance(member, Function):
        return None
    from trainlint.semantics.interpreter import Arguments

    image = Tensor(graph=False, shape=raw_shape(dataset))
    with noting_transforms(interp, dataset):
        return interp.call(Method(transform, "__call__", member), Arguments([image]), transform.cls.node)


@contextmanager
def noting_transforms(interp: Interpreter, dataset: Instance) -> Iterator[None]:
    """Remember of a data set which transforms it surely applies to what is read meanwhile."""
    before = interp.flags.get(APPLIED)
    interp.write(interp.flags, APPLIED, ())
    yield
    applied = interp.flags[APPLIED]
    if before is None:
        interp.journal.remove(interp.flags, APPLIED)
    else:
        interp.write(interp.flags, APPLIED, (*before, *applied))
    if dataset.attrs.get(APPLIED) != applied:
        interp.write(dataset.attrs, APPLIED, applied)


def row_of(tensor: Tensor) -> Tensor:
    """One row of an array."""
    return tensor.but(graph=False, shape=tensor.shape[1:] if tensor.shape else None)


# Images of torchvision's data sets as they are read: channels, height, width.
IMAGES: dict[str, Shape] = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "EMNIST", "QMNIST"), (1, 28, 28)),
    **dict.fromkeys(("CIFAR10", "CIFAR100", "SVHN"), (3, 32, 32)),
    "STL10": (3, 96, 96),
    "USPS": (1, 16, 16),
    **dict.fromkeys(
        ("ImageFolder", "ImageNet", "CelebA", "Flowers102", "OxfordIIITPet", "Food101", "EuroSAT", "DTD", "GTSRB"),
        (3, None, None),
    ),
}
LABELLED = frozenset(IMAGES) - {"CelebA", "OxfordIIITPet"}
RESHAPING = frozenset(
    """Resize Scale CenterCrop RandomCrop RandomResizedCrop RandomSizedCrop Pad Grayscale FiveCrop TenCrop Lambda
    RandomApply RandomChoice RandomOrder RandomRotation RandomAffine ToPILImage""".split()
)


def one_label(dataset: Instance) -> bool:
    """Whether a ready-made data set gives one class index for each image."""
    return isinstance(dataset.cls, Api) and dataset.describe() in LABELLED and "loader" not in dataset.attrs


def image_shape(dataset: Instance) -> Shape | None:
    """The shape of the images that a ready-made data set gives, after its transforms."""
    shape = raw_shape(dataset)
    transform = dataset.attrs.get("transform")
    steps = steps_of(transform) if isinstance(transform, Value) else None
    return None if steps is None else after_transforms(shape, steps)


def raw_shape(dataset: Instance) -> Shape | None:
    """The shape of the images of a ready-made data set as they are read."""
    own = not isinstance(dataset.cls, Api) or "transforms" in dataset.attrs or "loader" in dataset.attrs
    return None if own else IMAGES.get(dataset.describe())


def after_transforms(shape: Shape | None, steps: list[Instance]) -> Shape | None:
    """The shape of an image behind transforms that run one after the other."""
    for step in steps:
        name = step.describe()
        if name not in RESHAPING or shape is None:
            continue
        given = step.attrs.get("$given")
        wanted = given if isinstance(given, Value) else NONE
        items = wanted.items if isinstance(wanted, (Tuple, ListObject)) else None
        numbers = [sizes.size(v) for v in items] if items is not None else [sizes.size(wanted)]
        channels, height, width = shape
        if name == "Grayscale":
            shape = (1 if wanted is NONE else numbers[0], height, width)
        elif name in ("Resize", "Scale") and len(numbers) == 1:
            side = numbers[0] if height is not None and height == width else None
            shape = (channels, side, side)
        elif name in ("Resize", "Scale", "CenterCrop", "RandomCrop", "RandomResizedCrop", "RandomSizedCrop"):
            pair = numbers * 2 if len(numbers) == 1 else numbers if len(numbers) == 2 else [None, None]
            shape = (channels, *pair)
        elif name in ("RandomRotation", "RandomAffine"):
            shape = (channels, None, None) if "expand" in step.attrs else shape
        elif name == "Pad":
            shape = (channels, None, None)
        elif name != "ToPILImage":
            return None
    return shape


def as_batch(value: Value, info: DataInfo, collate: bool = True) -> Value:
    """A sample as a loader collates it: tensors, with the loader's data behind them. What a `collate_fn` gives, or a
    data set by itself, has no axis more than it has."""
    if isinstance(value, Tuple):
        return Tuple(tuple(as_batch(item, info, collate) for item in value.items), value.names)
    if isinstance(value, DictObject):
        return DictObject({k: as_batch(v, info, collate) for k, v in value.attrs.items()})
    if isinstance(value, Tensor):
        data = mix_data(value.data, info)._replace(
            part=info.part or value.data.part, scale=value.data.scale or info.scale
        )
        if not value.data.tokens:
            data = data._replace(scaled=None)  # what was done to it is out of view
        axes = sizes.form(value)
        shape, last, batched = sizes.batch_of(axes) if collate else axes
        return value.but(
            data=data, graph=False, lib="torch", deps=frozenset(), shape=shape, last=last, batched=batched or collate
        )
    if isinstance(value, Union):
        return join_all(as_batch(o, info, collate) for o in value.options)
    if isinstance(value, ListObject):
        if value.items is None or not any(isinstance(item, (Tensor, Tuple, DictObject)) for item in value.items):
            return value
        return ListObject(tuple(as_batch(item, info, collate) for item in value.items))
    if isinstance(value, Text) or (isinstance(value, Const) and isinstance(value.value, str)):
        return ListObject(None, value)
    if isinstance(value, (Const, Number)):
        number = value is not NONE and collate
        return Tensor(graph=False, data=info, shape=(None,) if number else None, batched=number)
    if isinstance(value, Instance) and COLLATED in value.attrs:
        return value
    return Tensor(graph=False, data=info._replace(scaled=None), batched=collate)


def info_of(dataset: Value | None) -> DataInfo:
    found = roots(dataset)
    scales = {
        scale_of(r.attrs.get("transform")) if isinstance(r, Instance) and isinstance(r.cls, Api) else None
        for r in found
    }
    ready_made = [r for r in found if isinstance(r, Instance) and isinstance(r.cls, Api) and "$tensors" not in r.attrs]
    return DataInfo(
        tokens=frozenset(id(root) for root in found),
        part=dataset_part(dataset),
        scale=scales.pop() if len(scales) == 1 else None,
        scaled=None if ready_made else frozenset(),  # by their transforms
    )


@behaviour("batches")
def batches(call: Call) -> Value:
    loader = call.receiver
    if not isinstance(loader, Instance):
        return Tensor(graph=False)
    dataset = loader.attrs.get("dataset")
    if {"$maps", "$opaque", "$zipped"} & loader.attrs.keys():
        return mapped(call, loader, dataset)
    if "collate_fn" in loader.attrs and not (isinstance(loader.attrs["collate_fn"], Const)):
        return collated(call, loader, dataset)
    sample = sample_of(call.interp, dataset)
    if isinstance(sample, Tuple) and loader.born is not None:
        held = dataset.attrs.get("$tensors") if isinstance(dataset, Instance) and "$sample" in dataset.attrs else None
        parts = held.items if isinstance(held, Tuple) else sample.items
        call.interp.emit("pair", (loader.born.node, parts, "sample", loader))
    whole = loader.attrs.get("batch_size") is NONE and "batch_sampler" not in loader.attrs
    return as_batch(sample, info_of(dataset), collate=not whole)


def mapped(call: Call, loader: Instance, dataset: Value | None) -> Value:
    """What the functions of a pipeline make of its samples, and of the batches that these are put together to."""
    from trainlint.semantics.interpreter import Arguments

    row = DictObject({DictObject.REST: Tensor(graph=False)})
    in_batches = False
    if isinstance(several := loader.attrs.get("$zipped"), Tuple):
        made: Value = Tuple(tuple(map(call.interp.element_of, several.items)))
        in_batches = True  # each of them puts its own together
    else:
        made = row if "$opaque" in loader.attrs else sample_of(call.interp, dataset)
    for function, of_batches in (*loader.attrs.get("$maps", ()), (NONE, True)):
        if of_batches and not in_batches:
            made, in_batches = as_batch(made, info_of(dataset)), True
        if function is not NONE:
            spread = isinstance(made, Tuple) and not loader.api_path.startswith("grain.")
            given = made.items if spread else (made,)  # type: ignore[attr-defined]
            made = call.interp.call(function, Arguments(list(given)), call.node)
    return made


def collated(call: Call, loader: Instance, dataset: Value | None) -> Value:
    """A batch made by the user's own `collate_fn`."""
    from trainlint.semantics.interpreter import Arguments

    function = loader.attrs["collate_fn"]
    sample = sample_of(call.interp, dataset)
    result: Value = UNKNOWN
    if isinstance(function, (Function, Method)) or (isinstance(function, Instance) and isinstance(function.cls, Class)):
        batch = ListObject(None, sample)
        batch.attrs[OF_BATCH] = TRUE
        result = call.interp.call(function, Arguments([batch]), call.node)
    return as_batch(result, info_of(dataset), collate=False)


@behaviour("samples")
def samples(call: Call) -> Value:
    dataset = call.receiver
    return as_batch(sample_of(call.interp, dataset), info_of(dataset), collate=False)


# ------------------------------------------------------------------------ transforms


@behaviour("random_transform")
def random_transform(call: Call) -> Value:
    transform = Instance(Api(call.actual), "transform", call.interp.step(call.node, call.short_name))
    transform.attrs.update(call.arguments.keywords)
    if call.arguments.positional:
        transform.attrs["$first"] = call.first
    if not always_the_same(call):
        transform.attrs["$augments"] = call.interp.step(call.node, written(call))
    transform.attrs["$given"] = size_given(call)
    return transform


def written(call: Call) -> str:
    func = getattr(call.node, "func", None)
    name = getattr(getattr(func, "attr", func), "value", call.short_name)
    return str(name)


# Transforms of torchvision, with the places of the ranges that they draw from.
DRAWN_FROM = {
    "RandomRotation": {"degrees": 0},
    "RandomAffine": {"degrees": 0, "translate": 1, "scale": 2, "shear": 3},
    "RandomResizedCrop": {"scale": 1, "ratio": 2},
    "GaussianBlur": {"sigma": 1},
}


def always_the_same(call: Call) -> bool:
    """Whether a transform with a probability is never applied, or is a flip that always is; or one with ranges has a
    single number in each."""
    p = usual(call.arguments.keywords.get("p"))
    if p == 0 or (p == 1 and call.short_name.endswith("Flip")):
        return True
    ranges = DRAWN_FROM.get(call.short_name) if call.actual.startswith("torchvision.") else None
    return ranges is not None and all(is_one_number(call, name, place) for name, place in ranges.items())


def is_one_number(call: Call, name: str, place: int) -> bool:
    """Whether a range that a random transform draws from begins where it ends."""
    given = call.value(name, place)
    if given is None or given is NONE:
        return call.short_name == "RandomAffine" and name != "degrees"
    ends = given.items if isinstance(given, (Tuple, ListObject)) else None
    if ends is None:  # degrees to either side, but the strength itself of a blur
        return usual(given) is not None if name == "sigma" else usual(given) == 0
    node = call.argument(name, place)
    written = [element.value for element in node.elements] if isinstance(node, (cst.Tuple, cst.List)) else []
    if len(written) == 2 and isinstance(written[0], cst.Name) and written[0].deep_equals(written[1]):
        return name != "translate"
    numbers = [usual(end) for end in ends]
    if name == "translate":  # as far as this, in each direction
        return all(number == 0 for number in numbers)
    return len(numbers) == 2 and numbers[0] is not None and numbers[0] == numbers[1]


@behaviour("fixed_transform")
def fixed_transform(call: Call) -> Value:
    transform = Instance(Api(call.actual), "transform", call.interp.step(call.node, call.short_name))
    transform.attrs.update(call.arguments.keywords)
    if call.short_name == "Normalize":
        usual_ones = [Tuple(tuple(map(Const, numbers))) for numbers in IMAGENET]
        mean, std = usual_ones if is_of_albumentations(transform) else (None, None)
        transform.attrs["$normalize"] = (call.value("mean", 0) or mean, call.value("std", 1) or std)
    elif call.short_name.startswith(("ScaleIntensity", "NormalizeIntensity")):  # of MONAI
        numbers = (call.arguments.keywords.get(name) for name in ("a_min", "a_max", "b_min", "b_max"))
        transform.attrs["$intensity"] = tuple(number or NONE for number in numbers)
    transform.attrs["$given"] = size_given(call)
    if call.short_name == "ToDtype" and (scale := call.value("scale", 1)) is not None:
        transform.attrs["scale"] = scale
    return transform


def size_given(call: Call) -> Value:
    """The first argument of a transform, whatever its name."""
    for name in ("size", "num_output_channels", "output_size"):
        if name in call.arguments.keywords:
            return call.arguments.keywords[name]
    return call.arguments.positional[0] if call.arguments.positional else NONE


def steps_of(transform: Value | None) -> list[Instance] | None:
    """The single transforms of a pipeline, in order; None when they are not all known."""
    if not isinstance(transform, Instance) or transform.family != "transform":
        return None
    inner = transform.attrs.get("$steps")
    if inner is None:
        return [transform]
    if not isinstance(inner, (ListObject, Tuple)) or inner.items is None:
        return None
    found: list[Instance] = []
    for item in inner.items:
        steps = steps_of(item)
        if steps is None:
            return None
        found += steps
    return found


def sure_steps(transform: Value | None) -> list[Instance]:
    """The single transforms of a pipeline that surely run, in order, whatever settings add to them."""
    if not isinstance(transform, Instance) or transform.family != "transform":
        return []
    inner = transform.attrs.get("$steps")
    if inner is None:
        return [transform]
    return [step for item in inner.sure for step in sure_steps(item)] if isinstance(inner, (ListObject, Tuple)) else []


def last_steps(transform: Value | None) -> list[Instance] | None:
    """What a pipeline ends with, from a transform on that gives pixels from 0 to 1 whatever it gets."""
    inner = transform.attrs.get("$steps") if isinstance(transform, Instance) else None
    ends = inner.attrs["ends"] if isinstance(inner, ListObject) else ()
    steps = [steps_of(item) for item in ends]
    for i, found in enumerate(steps):
        if found is None:
            return None
        if any(map(scales_to_one, found)):
            later = steps[i:]
            return [step for some in later for step in some or ()] if None not in later else None
    return None


def scale_of(transform: Value | None, before: tuple[Any, ...] | None = None) -> tuple[Any, ...] | None:
    """How images are scaled that come out of a transform: ("normalised", mean, std, step), or ("plain", step) for
    pixels in [0, 1]; None when that is not known. `before` is how those are scaled that go in."""
    steps = steps_of(transform)
    if steps is None:
        steps = last_steps(transform)
    if steps is None:
        return None
    scale = before
    for step in steps:
        name = step.describe()
        if "$normalize" in step.attrs:
            mean, std = (constants(value) for value in step.attrs["$normalize"])
            plain = (scale is not None and scale[0] == "plain") or divides(step)
            known = plain and mean is not None and std is not None
            scale = ("normalised", mean, std, step.born) if known else None
        elif scales_to_one(step):
            scale = ("plain", step.born)
        elif name not in KEEP_SCALE and "$augments" not in step.attrs:
            scale = None
    return scale


def scales_to_one(step: Instance) -> bool:
    """Whether a transform gives pixels from 0 to 1, whatever it gets."""
    name = step.describe()
    if name == "ToDtype":
        return truth(step.attrs.get("scale", FALSE)) is True
    return name in ("ToTensor", "ToFloat", "ConvertImageDtype")


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
KEEP_SCALE = frozenset(
    """Resize CenterCrop Pad Scale FiveCrop TenCrop Grayscale PadIfNeeded LongestMaxSize SmallestMaxSize Crop CLAHE
    Equalize InvertImg ToSepia ToTensorV2 ToImage ToPureTensor Identity""".split()
)


def is_of_albumentations(transform: Value | None) -> bool:
    return isinstance(transform, Instance) and transform.api_path.startswith("albumentations.")


def divides(normalize: Instance) -> bool:
    """Whether a `Normalize` takes pixels as they are read, and itself divides them by the greatest possible."""
    most = normalize.attrs.get("max_pixel_value")  # named, as it nearly always is
    return is_of_albumentations(normalize) and (most is None or (usual(most) or 0) > 1)


TO_TENSOR = ("ToTensor", "PILToTensor", "ToImage")


@behaviour("transformed")
def transformed(call: Call) -> Value:
    """A transform is called: of what comes out, the scale may be known."""
    if isinstance(call.receiver, Instance):
        call.interp.note_transform(call.receiver)
    given = call.value("img", 1)
    before = given.data.scale if isinstance(given, Tensor) else None
    scale = scale_of(call.receiver, before)
    if scale is not None and is_of_albumentations(call.receiver):  # `transform(image=image, mask=mask)`
        image = Tensor(graph=False, data=NO_DATA._replace(scale=scale))
        return DictObject({DictObject.REST: UNKNOWN, "image": image})
    axes = image_axes(given) if isinstance(given, Instance) else None
    if axes is not None and not is_of_albumentations(call.receiver):
        steps = steps_of(call.receiver)
        shape = None if steps is None else after_transforms(axes, steps)
        if shape is not None and steps is not None and any(step.describe() in TO_TENSOR for step in steps):
            return Tensor(graph=False, shape=shape, data=NO_DATA._replace(scale=scale))
    if scale is None:
        tensors = [given] if isinstance(given, Tensor) else []
        return mixed_tensor(call.interp, tensors) if tensors else UNKNOWN
    if isinstance(given, Tensor):
        steps = steps_of(call.receiver) if given.lib == "torch" and len(given.shape or ()) == 3 else None
        shape = None if steps is None else after_transforms(given.shape, steps)
        return given.but(shape=shape, kinds=0, data=given.data._replace(scale=scale))
    return Tensor(graph=False, data=NO_DATA._replace(scale=scale))


@behaviour("pixels_of")
def pixels_of(call: Call) -> Value:
    """`to_tensor(picture)`: pixels from 0 to 1, but of an array of floats."""
    given = call.first
    scale = None if isinstance(given, Tensor) else ("plain", call.interp.step(call.node, call.short_name))
    known = given.data if isinstance(given, Tensor) else NO_DATA
    return Tensor(graph=False, data=known._replace(scale=scale))


@behaviour("normalised_pixels")
def normalised_pixels(call: Call) -> Value:
    """`normalize(image, mean, std)`"""
    given, mean, std = call.first, constants(call.value("mean", 1)), constants(call.value("std", 2))
    if not isinstance(given, Tensor):
        return UNKNOWN
    plain = given.data.scale is not None and given.data.scale[0] == "plain" and None not in (mean, std)
    scale = ("normalised", mean, std, call.interp.step(call.node, call.short_name)) if plain else None
    low, high = float("-inf"), float("inf")
    return given.but(kinds=0, lo=low, hi=high, nature=None, data=given.data._replace(scale=scale))


def constants(value: Value | None) -> Any:
    """The numbers in a value, as nested tuples; None when they are not all known."""
    if isinstance(value, Const):
        return value.value
    if isinstance(value, (ListObject, Tuple)) and value.items is not None:
        parts = tuple(constants(item) for item in value.items)
        return None if None in parts else parts
    return None


@behaviour("compose")
def compose(call: Call) -> Value:
    transform = Instance(Api(call.actual), "transform", call.interp.step(call.node, call.short_name))
    transform.attrs["$steps"] = transform.attrs["transforms"] = call.first  # one list: what is appended runs, too
    return transform


@behaviour("chosen_transform")
def chosen_transform(call: Call) -> Value:
    """timm's transform for training, or for evaluation: what its steps are is not followed."""
    transform = Instance(Api(call.actual), "", call.interp.step(call.node, call.short_name))
    plain = truth(call.arguments.keywords.get("no_aug", FALSE))
    if truth(call.value("is_training", 1) or FALSE) is True and plain is False:
        transform.attrs["$augments"] = transform.born
    return transform


@behaviour("sometimes")
def sometimes(call: Call) -> Value:
    """A transform that is applied to some of the images."""
    transform = Instance(Api(call.actual), "transform", call.interp.step(call.node, call.short_name))
    transform.attrs["$steps"] = call.value("transforms", 1) or UNKNOWN
    return transform


def augments(value: Value | None, depth: int = 0) -> Any:
    """The step of a random transform inside a transform that surely runs; None when there is none."""
    if depth > 6:
        return None
    if isinstance(value, Instance):
        found = value.attrs.get("$augments")
        if found is not None:
            return found
        inner = value.attrs.get("$steps")
        held = [inner] if isinstance(inner, Value) else parts_run(value)
        return next((found for one in held if (found := augments(one, depth + 1)) is not None), None)
    if isinstance(value, (ListObject, Tuple)):
        for item in value.sure:
            found = augments(item, depth + 1)
            if found is not None:
                return found
    return None


def parts_run(transform: Instance) -> list[Value]:
    """What a transform of the project's own class holds and runs whenever it is called itself."""
    call = called_as(transform)
    if call is None or any(isinstance(node, (cst.If, cst.IfExp)) for node in nodes_in(call.node.body)):
        return []
    used = (n.attr.value for n in nodes_in(call.node.body) if isinstance(n, cst.Attribute) and is_name(n.value, "self"))
    found = (transform.attrs.get(name) for name in dict.fromkeys(used))
    return [value for value in found if isinstance(value, (Instance, ListObject, Tuple))]


def called_as(value: Value) -> Function | None:
    """The method that runs when an object of a class of the project's is called."""
    if not isinstance(value, Instance) or not isinstance(value.cls, Class):
        return None
    members = (value.cls.find(name) for name in ("__call__", "forward"))
    return next((member for member in members if isinstance(member, Function)), None)


# ----------------------------------------------------------------------- processes

RUNNABLE = (Function, Method, Class, Partial)  # what code of the project a process may be told to run


@behaviour("spawn")
def spawn(call: Call) -> Value:
    """`mp.spawn(fn, args)` calls `fn(rank, *args)`."""
    from trainlint.semantics.interpreter import Arguments

    given = call.interp.known_items(call.value("args") or UNKNOWN) or ()
    if isinstance(call.first, RUNNABLE):
        call.interp.call(call.first, Arguments([Number(0, integer=True), *given]), call.node)
    return UNKNOWN


@behaviour("spawn_here")
def spawn_here(call: Call) -> Value:
    """`parallel.run(fn, *args)` calls `fn(rank, *args)` in each of its processes."""
    from trainlint.semantics.interpreter import Arguments

    function, *given = call.arguments.positional[1:] or [UNKNOWN]
    if isinstance(function, RUNNABLE):
        rank = Number(0, integer=True)
        call.interp.call(function, Arguments([rank, *given], call.arguments.keywords), call.node)
    return UNKNOWN


@behaviour("tried_out")
def tried_out(call: Call) -> Value:
    """`study.optimize(func)` calls `func(trial)` for each of its trials."""
    from trainlint.semantics.interpreter import Arguments

    function = call.value("func", 1)
    called_here = isinstance(function, Instance) and isinstance(function.cls, Class)
    if function is not None and (called_here or isinstance(function, RUNNABLE)):
        call.interp.call(function, Arguments([UNKNOWN]), call.node)
    return UNKNOWN


@behaviour("launched")
def launched(call: Call) -> Value:
    """`fabric.launch(fn, *args)` calls `fn(fabric, *args)` in each process, and gives what it returns."""
    from trainlint.semantics.interpreter import Arguments

    function = call.value("function")
    if not isinstance(function, RUNNABLE) or not call.arguments.positional:
        return NONE
    engine, _, *given = call.arguments.positional
    arguments = Arguments([engine, *given], call.arguments.keywords, open_=call.arguments.open)
    return call.interp.call(function, arguments, call.node)


@behaviour("process")
def process(call: Call) -> Value:
    from trainlint.semantics.interpreter import Arguments

    target, named = call.value("target"), call.value("kwargs")
    given = call.interp.known_items(call.value("args") or UNKNOWN) or ()
    if isinstance(target, RUNNABLE):
        keywords = {str(key): value for key, value in named.known()} if isinstance(named, DictObject) else {}
        more = named is not None and not (isinstance(named, DictObject) and named.rest is None)
        call.interp.call(target, Arguments(list(given), keywords, open_=more), call.node)
    return UNKNOWN


# ------------------------------------------------------------------------- engines


@behaviour("prepared")
def prepared(call: Call) -> Value:
    """`accelerator.prepare(a, b)` hands back what it got."""
    values = tuple(call.arguments.positional[1:])
    told = [isinstance(v, Instance) and bool(v.family or "training" in v.attrs) for v in values]
    if isinstance(call.receiver, Instance) and (call.arguments.open or not all(told)):
        call.interp.write(call.receiver.attrs, "$any", TRUE)  # there may be more among them
    if call.arguments.open or not values:
        return UNKNOWN
    for value in values:
        if isinstance(value, Instance) and value.family == "optimizer" and isinstance(call.receiver, Instance):
            call.interp.write(value.attrs, "$engine", call.receiver)
    return values[0] if len(values) == 1 else Tuple(values)


@behaviour("engine_backward")
def engine_backward(call: Call) -> Value:
    from trainlint.semantics.behaviours.training import run_backward

    loss = as_tensor(call.value("loss", 1) or UNKNOWN)  # what it is computed from may be out of view
    run_backward(call.interp, loss, call.node, engine=call.receiver or UNKNOWN)
    return NONE


@behaviour("initialised")
def initialised(call: Call) -> Value:
    """`amp.initialize(model, optimizer)` hands back what it got."""
    return Tuple((call.value("models") or UNKNOWN, call.value("optimizers") or UNKNOWN))
