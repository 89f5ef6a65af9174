"""What an expression can be: the abstract values that the interpreter computes with.

Immutable values (constants, tensors, tuples) compare by content; objects with identity (instances, lists, dicts,
namespaces) keep their contents in plain dicts that only the interpreter's journal writes to.

Nothing is assumed by default: a field that is None (or a kind of 0) is unknown, and a rule speaks only on `must_be`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from trainlint.semantics.sizes import Size, fixed

if TYPE_CHECKING:
    import libcst as cst

    from trainlint.semantics.namespace import Namespace

# What a tensor holds. A value's `kinds` is the set of those it may be; 0 means unknown.
LOGITS = 1  # raw output of a linear or convolutional layer
PROBABILITIES = 2  # softmax output: sums to one over an axis
SIGMOID = 4  # independent probabilities
LOG_PROBABILITIES = 8
INDICES = 16  # class indices, positions
HIDDEN = 32  # an activation's output
MASK = 64  # result of a comparison
TANH = 128
LOG_SIGMOID = 256

KIND_NAMES = {
    LOGITS: "logits",
    PROBABILITIES: "probabilities",
    SIGMOID: "sigmoid probabilities",
    LOG_PROBABILITIES: "log-probabilities",
    INDICES: "indices",
    HIDDEN: "activations",
    MASK: "a mask",
    TANH: "tanh output",
    LOG_SIGMOID: "log-sigmoid output",
}

# Masks: of what is chosen, which may be nothing; of what is there and no padding, of which each row has some; of what
# is NaN; of what lengths reach, which is always something.
CHOSEN, PRESENT, ABSENT, REACHED = "a mask", "a mask of what is there", "a mask of NaN", "a mask of lengths"
LEAF = "a leaf of its own"  # labels a tensor made to require gradients after it had lost its graph, or had none
OWN_LOSS = "a model's own loss"  # what a model of the hub reckons of its answers and the labels
ANSWERS = "a model's answers"  # what a `Trainer` gives to `compute_metrics`, sample by sample
PADDING = "sequences padded with "  # of different lengths, by the value that fills up the shorter ones
REST = "the rest of a mask"
SOME_CODES = "rows of one-hot codes"
# Of those nodes of a graph that are a part of the data.
OF_NODES = {f"a mask of {part} nodes": part for part in ("train", "val", "test", "train+val", "train+test")}


def nodes_of_both(natures: set[str | None]) -> str | None:
    """What chooses the nodes that several such masks choose, or places, put together; None for any others."""
    parts = {OF_NODES.get(nature or "", "") for nature in natures}
    joined = "+".join(sorted(parts, key="train val test".find))
    return next((nature for nature, part in OF_NODES.items() if part == joined), None)


POSITIONS, RUN = "positions", "places that follow each other"  # the order of their data tells which

MASKS = frozenset((CHOSEN, PRESENT, ABSENT, REACHED, REST))

INF = math.inf
TINY = 1e-300  # stands for "greater than zero, by an unknown amount"


class Step(NamedTuple):
    """One place on a value's way: `node` in `space` is where `label` happened."""

    space: Namespace
    node: cst.CSTNode
    label: str


class Tally(NamedTuple):
    """What a number measures of a batch or of a data set.

    what   "mean" or "sum" over a batch's samples, "some" number of them that is scaled in a way not known; "means",
           "sums" added up over batches; "batches", "samples": how many there are; "size": of a batch, "sizes" of those
           seen
    frame  the activation of a function in which it was measured, or the adding up began, and
    loops  the turns of the loops that were running there
    loader the loader whose batches are counted, or the data set whose samples are; of what an object that is fed adds
           up, what the loop walks over that feeds it first
    node   where it is added up
    scaled whether it is made of what was measured of a batch, multiplied with the size of that
    """

    what: str
    frame: Any = None
    loops: tuple[Any, ...] = ()
    loader: Any = None
    node: Any = None
    scaled: bool = False


class Portion(NamedTuple):
    """A share of the length of something, as a place in it; below 0 if counted from the end."""

    of: Any
    share: float


class Value:
    """Base of all abstract values."""

    __slots__ = ()
    tally: Tally | None = None

    def describe(self) -> str:
        return "unknown"

    @property
    def key(self) -> object:
        """A hashable stand-in: equal keys mean equal values (identity for objects)."""
        return id(self)


class Unknown(Value):
    """Nothing is known."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Unknown"


UNKNOWN = Unknown()


class Const(Value):
    """A Python constant: None, bool, int, float, str, bytes, Ellipsis. Where a condition tells it, it is `found` to be
    one of what a value may be."""

    __slots__ = ("found", "value")

    def __init__(self, value: Any, found: Value | None = None) -> None:
        self.value = value
        self.found = found

    @property
    def key(self) -> object:
        return (type(self.value), self.value)

    def describe(self) -> str:
        return repr(self.value)

    __repr__ = describe


NONE = Const(None)
TRUE = Const(True)
FALSE = Const(False)


NOTHING: frozenset[str] = frozenset()


STEPS = "a number of steps"  # the nature of what is computed, or else set, from the length of a loader or a data set


class Number(Value):
    """A Python number of unknown value within [lo, hi]; `batch` marks the size of a batch axis, `default` is what an
    option is when nobody sets it, `defined` where that option is, `of` tells the parts of
    the data that it was measured on, `deps` the modules of the tensors that it was taken of, `size` how settings
    decide it, `share` how much it is of a length."""

    __slots__ = ("batch", "default", "defined", "deps", "hi", "integer", "lo", "nature", "of", "share", "size", "tally")

    def __init__(
        self,
        lo: float = -INF,
        hi: float = INF,
        integer: bool = False,
        nature: str | None = None,
        batch: bool = False,
        tally: Tally | None = None,
        of: frozenset[str] = NOTHING,
        default: float | None = None,
        defined: Step | None = None,
        deps: frozenset[Dep] = frozenset(),
        size: Size | None = None,
        share: Portion | None = None,
    ) -> None:
        self.lo = lo
        self.hi = hi
        self.integer = integer
        self.nature = nature
        self.batch = batch
        self.of = of
        self.tally = tally
        self.default = default
        self.defined = defined
        self.deps = deps
        self.size = size
        self.share = share

    @property
    def key(self) -> object:
        what, share = self.tally and self.tally.what, self.share and self.share.share
        return (
            "number", self.lo, self.hi, self.integer, self.nature, self.batch, what, self.of, self.default, self.size,
            share,
        )  # fmt: skip

    def describe(self) -> str:
        name = "int" if self.integer else "number"
        return name if self.lo == -INF and self.hi == INF else f"{name} {describe_range(self.lo, self.hi)}"


class Every(Number):
    """Whether a turn is one of every n: `period` is the expression of n."""

    __slots__ = ("period",)

    def __init__(self, period: Any) -> None:
        super().__init__(0, 1, True, "bool")
        self.period = period

    @property
    def key(self) -> object:
        return ("every", id(self.period))


class Text(Value):
    """A string of unknown content; `parts` are the constant pieces that it surely holds, `made` all that it was put
    together from, where that is known, and `default` what it is unless a setting says otherwise."""

    __slots__ = ("default", "made", "parts")

    def __init__(
        self, parts: tuple[str, ...] = (), made: tuple[Value, ...] | None = None, default: str | None = None
    ) -> None:
        self.parts = parts
        self.made = made
        self.default = default

    @property
    def key(self) -> object:
        return ("text", self.parts, self.default)

    def describe(self) -> str:
        return "str"


BOOL = Number(0, 1, True, "bool")
ALIKE = Number(0, 1, True, "bool")  # whether two unknown things are equal
BOOLS = (BOOL, ALIKE)


def is_bool(value: object) -> bool:
    """Whether a value is a truth that is not known."""
    return value in BOOLS or value.__class__ is Every


NAN = Number(nature="nan")  # no constant: it would not be equal to itself


class Fit(NamedTuple):
    """Statistics of data were taken here: `on` are the data tokens they were computed from, `of` the only column, if
    they tell of groups of its rows; `cut` where these were one side of a cut, of which the other was not taken yet."""

    space: Namespace
    node: cst.CSTNode
    what: str
    on: frozenset[int]
    resampling: bool = False
    projection: bool = False
    of: Any = None
    cut: bool = False

    def __hash__(self) -> int:
        return hash(self.on)  # as for `Dep`


class DataInfo(NamedTuple):
    """Where data come from and what was done with them.

    tokens   the loads they descend from
    part     "train", "val", "test" or None when not split or not known
    fits     statistics and resamplings that went into the values
    stats    data tokens whose statistics this value *is* (a mean, a maximum)
    splits   the splits that the data went through
    order    what was done to the order and choice of the rows: equal for data whose rows belong together; None: unknown
    columns  which columns of a table they are: ("all", dropped names), ("only", names), each followed by what tells a
             table made of another from that (`remade`), and with ("now", name, where) beside the names of columns that
             were overwritten; ("at", position) or
             ("span", start, stop), ("predicted", by) for what a model has made of rows, and by which call, or
             ("row",) for all of a row that a loop walks over; None: unknown
    scale    how a data set's transform normalised the images: its constants and the step; None: unknown
    scaled   what the numbers were scaled by, as texts with what tells one scaler from another; None: unknown
    """

    tokens: frozenset[int] = frozenset()
    part: str | None = None
    fits: frozenset[Fit] = frozenset()
    stats: frozenset[tuple[int, str]] = frozenset()
    splits: frozenset[int] = frozenset()
    shuffled: bool | None = None
    target: bool = False
    order: frozenset[Any] | None = frozenset()
    columns: tuple[Any, ...] | None = None
    scale: tuple[Any, ...] | None = None
    scaled: frozenset[tuple[str, int]] | None = frozenset()

    def rescaled(self, what: str, scaler: int = 0) -> DataInfo:
        """The same, scaled once more, which `scaler` tells from other times; what is unknown stays so."""
        return self if self.scaled is None else self._replace(scaled=self.scaled | {(what, scaler)})

    @property
    def length(self) -> Portion | None:
        """How many rows there are, as all of themselves."""
        told = bool(self.tokens) or any(key[0] == "drawn" for key in self.order or ())
        return Portion((self.tokens, self.part, self.order), 1.0) if told and self.order is not None else None


NO_DATA = DataInfo()
PREDICTED = "predicted"  # the first of the columns of what a model has made of rows
ONE_ROW = ("row",)  # as columns: all of one row


def is_row(data: DataInfo) -> bool:
    """Whether data are one row of an array or a table."""
    return data.columns == ONE_ROW or (data.order is not None and any(key[0] == "row" for key in data.order))


class Dep(NamedTuple):
    """A tensor's gradient reaches the parameters of `module`, which ran with `training` at `node`.

    `training` is "either" where one way through the program sets train mode and another eval mode."""

    module: Instance
    training: bool | str | None
    node: cst.CSTNode | None
    live: bool = True  # False behind a detach: computed by the module, but no gradient gets there
    cut: Step | None = None  # what stopped the gradient, where that is an operation on the value

    @property
    def scales(self) -> bool:
        """Whether this is no module, but the scaler or the number that a loss was multiplied with."""
        return self.module.family in ("factor", "scaler")

    def __hash__(self) -> int:
        return self.module.number  # not an address: the order in sets must be the same in each run


def cut(deps: frozenset[Dep], step: Step | None = None) -> frozenset[Dep]:
    """The same modules, out of reach of gradients."""
    if not deps:
        return deps
    return frozenset(dep._replace(live=False, cut=step) if dep.live else dep for dep in deps)


NO_DEPS: frozenset[Dep] = frozenset()

Shape = tuple["int | None", ...]


CELLS = "cells"  # the dtype of a table that was read from text: each cell is one number or one word


class Tensor(Value):
    """An array of torch, numpy or pandas.

    kinds   what it holds, a set of the bits above (0: unknown)
    lo, hi  bounds of the elements; `nature` says in words why they are reached in practice (None: not known to be)
    shape   dimensions, None where unknown; None: rank unknown too
    last    size of the last axis where the rank is unknown
    sized   shape and last with the sizes that settings decide, where there are any
    batched whether the first axis is the batch, as it came in
    graph   True: recorded for gradients, False: not, None: unknown
    deps    modules and leaves that the gradient reaches
    axis    the axis of a softmax; of time in what an RNN gives
    grown   nodes at which it was accumulated over a loop
    route   the last places at which the shape became what it is
    models  where one of several models gave it, chosen by name: what each gives, kinds and trace
    """

    __slots__ = (
        "axis",
        "batched",
        "data",
        "deps",
        "dtype",
        "graph",
        "grown",
        "hi",
        "kinds",
        "last",
        "lib",
        "lo",
        "models",
        "nature",
        "route",
        "shape",
        "sized",
        "tally",
        "trace",
    )

    def __init__(
        self,
        kinds: int = 0,
        lo: float = -INF,
        hi: float = INF,
        nature: str | None = None,
        shape: Shape | None = None,
        graph: bool | None = None,
        deps: frozenset[Dep] = NO_DEPS,
        data: DataInfo = NO_DATA,
        dtype: str | None = None,
        axis: int | None = None,
        grown: frozenset[Any] = frozenset(),
        lib: str = "torch",
        trace: tuple[Step, ...] = (),
        last: int | None = None,
        batched: bool = False,
        route: tuple[Step, ...] = (),
        tally: Tally | None = None,
        models: tuple[tuple[int, tuple[Step, ...]], ...] = (),
    ) -> None:
        self.kinds = kinds
        self.lo = lo
        self.hi = hi
        self.nature = nature
        self.shape = shape
        self.graph = graph
        self.deps = deps
        self.data = data
        self.dtype = dtype
        self.axis = axis
        self.grown = grown
        self.lib = lib
        self.trace = trace
        self.last = last
        self.batched = batched
        self.route = route
        self.tally = tally
        self.models = models
        self.sized: tuple[Shape | None, int | None] | None = None
        if shape or last is not None:
            self.settle()

    def settle(self) -> None:
        """Set sizes that settings decide aside."""
        if self.last.__class__ is Size or (self.shape and any(size.__class__ is Size for size in self.shape)):
            self.sized = self.shape, self.last
            self.shape = None if self.shape is None else fixed(self.shape)
            self.last = None if self.last.__class__ is Size else self.last

    def but(self, **changes: Any) -> Tensor:
        """A copy with some fields replaced. A new shape says all there is to say of the axes."""
        if "shape" in changes:
            changes = {"last": None, "batched": False, "sized": None, **changes}
        new = Tensor.__new__(Tensor)
        get = changes.get
        for slot in Tensor.__slots__:
            setattr(new, slot, get(slot, getattr(self, slot)) if slot in changes else getattr(self, slot))
        if "shape" in changes:
            new.settle()
        return new

    def plain(self, **changes: Any) -> Tensor:
        """A tensor of unknown content that keeps the origin: graph, deps, data, grown, library."""
        return Tensor(graph=self.graph, deps=self.deps, data=self.data, grown=self.grown, lib=self.lib, **changes)

    def must_be(self, kinds: int) -> bool:
        """Whether every kind it may hold is among `kinds`."""
        return self.kinds != 0 and self.kinds & ~kinds == 0

    def may_be(self, kinds: int) -> bool:
        return self.kinds == 0 or self.kinds & kinds != 0

    @property
    def key(self) -> object:
        return (
            "tensor", self.kinds, self.lo, self.hi, self.nature, self.shape, self.graph, self.deps, self.data,
            self.axis, self.grown, self.lib, self.dtype, self.last, self.batched, self.sized,
            self.tally and self.tally.what, self.models,
        )  # fmt: skip

    def describe(self) -> str:
        names = [name for bit, name in KIND_NAMES.items() if self.kinds & bit]
        parts = [" or ".join(names) if names else {"numpy": "array", "frame": "frame"}.get(self.lib, "tensor")]
        if self.lo != -INF or self.hi != INF:
            parts.append(describe_range(self.lo, self.hi))
        if self.data.part:
            parts.append(self.data.part)
        return " ".join(parts)


def describe_range(lo: float, hi: float) -> str:
    def number(x: float) -> str:
        return f"{x:g}"

    if hi == INF:
        return ">0" if lo == TINY else f">={number(lo)}"
    if lo == -INF:
        return f"<={number(hi)}"
    return ("(0" if lo == TINY else f"[{number(lo)}") + f", {number(hi)}]"


class Tuple(Value):
    """A tuple of known length."""

    __slots__ = ("items", "names")

    def __init__(self, items: tuple[Value, ...], names: tuple[str, ...] = ()) -> None:
        self.items = items
        self.names = names

    @property
    def sure(self) -> tuple[Value, ...]:
        return self.items

    @property
    def key(self) -> object:
        return ("tuple", *[item.key for item in self.items])

    def describe(self) -> str:
        return "(" + ", ".join(item.describe() for item in self.items) + ")"


class Sequence(Value):
    """An iterable of unknown length whose elements are all like `element` (range, generator, map, batch stream).

    `source` is the object it walks over, when that matters (a loader, a dataset); `first` is what the first element is,
    when more is known of it than of the rest (a counter is 0); `count` how many settings decide that there are; `ends`
    from where to where numbers go that follow each other."""

    __slots__ = ("count", "element", "ends", "first", "source")

    def __init__(
        self,
        element: Value,
        source: Value | None = None,
        first: Value | None = None,
        count: Size | None = None,
        ends: tuple[Value, Value] | None = None,
    ) -> None:
        self.element = element
        self.source = source
        self.first = first
        self.count = count
        self.ends = ends

    @property
    def key(self) -> object:
        first = self.first.key if self.first else None
        ends = tuple(end.key for end in self.ends or ())
        return ("sequence", self.element.key, self.source.key if self.source else None, first, self.count, ends)

    def describe(self) -> str:
        return f"iterable of {self.element.describe()}"


class Api(Value):
    """Something outside the project, by its dotted path: `torch.nn.functional.softmax`."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def key(self) -> object:
        return ("api", self.path)

    def describe(self) -> str:
        return self.path


class Object(Value):
    """A thing with identity. `attrs` is written through the interpreter's journal only."""

    __slots__ = ("attrs", "number")
    count: ClassVar[int] = 0  # objects made so far: a call that makes none can be remembered whole

    def __init__(self, attrs: dict[Any, Any] | None = None) -> None:
        Object.count += 1
        self.number = Object.count
        self.attrs: dict[Any, Any] = {} if attrs is None else attrs

    @property
    def token(self) -> int:
        """What its rows are known by, above the token of places; no `id`, which may come again when it is gone."""
        return self.number + 1


class ListObject(Object):
    """A list (or set, deque): `attrs["items"]` is a tuple of known items, or None with `attrs["element"]`, what any of
    them may be, and `attrs["ends"]`, those that surely stand at the end; "begins", if any, at the beginning."""

    __slots__ = ()

    def __init__(
        self, items: tuple[Value, ...] | None = (), element: Value = UNKNOWN, ends: tuple[Value, ...] = ()
    ) -> None:
        super().__init__({"items": items, "element": element, "ends": ends})

    @property
    def items(self) -> tuple[Value, ...] | None:
        items: tuple[Value, ...] | None = self.attrs["items"]
        return items

    @property
    def sure(self) -> tuple[Value, ...]:
        """The items that are surely there, in their order."""
        items: tuple[Value, ...] | None = self.attrs["items"]
        return (*self.attrs.get("begins", ()), *self.attrs["ends"]) if items is None else items

    def describe(self) -> str:
        if self.items is None:
            return f"list of {self.attrs['element'].describe()}"
        return "[" + ", ".join(item.describe() for item in self.items) + "]"


OF_PART = "$of part"  # of what comes from a file: which part of the data the name of that tells
PARTS_READ = "$parts read"  # in the interpreter's flags: all of these
HELD = "$held"  # what is known of the rows that a list has: their `DataInfo`
LEFT_OUT = "$left out"  # of a list of a table's columns: those that are not among them
COUNT = "$count"  # of a list of unknown length: how many items settings decide that it has
OF_BATCH = "$batch"  # marks a list that has something of each sample of a batch
COLLATED = "$collated"  # of a batch that is an object: what its attributes are
OF_PASS = "$pass"  # of a list of all batches of a loader, the pass over it that made the list


def is_of_batch(value: Value) -> bool:
    """Whether a list has something of each sample of a batch, in their order."""
    return isinstance(value, ListObject) and OF_BATCH in value.attrs


class DictObject(Object):
    """A dict: known constant keys are attrs of themselves; `rest` is the join of what unknown keys may hold."""

    __slots__ = ()
    REST = object()

    @property
    def rest(self) -> Value | None:
        """Values behind unknown keys; None when there are none, that is when all keys are known."""
        rest: Value | None = self.attrs.get(DictObject.REST)
        return rest

    def known(self) -> Iterator[tuple[Any, Value]]:
        return ((k, v) for k, v in self.attrs.items() if k is not DictObject.REST)

    def entries(self) -> dict[Any, Value]:
        """What a new dict takes of this one."""
        rest = self.rest
        return dict(self.known()) if rest is None else {**dict(self.known()), DictObject.REST: rest}

    def describe(self) -> str:
        return "{" + ", ".join(f"{k!r}: {v.describe()}" for k, v in self.known()) + "}"


class Settings(DictObject):
    """What a file of settings holds: another file may hold more. A copy of it is a plain dict."""

    __slots__ = ()

    @property
    def rest(self) -> Value:
        return UNKNOWN

    def entries(self) -> dict[Any, Value]:
        return dict(self.known())


class DefaultDict(DictObject):
    """A dict that makes what is missing when it is asked for."""

    __slots__ = ("factory",)

    def __init__(self, attrs: dict[Any, Any], factory: Value) -> None:
        super().__init__(attrs)
        self.factory = factory


class Names(DictObject):
    """`__dict__` of an object or module, and the entries of a mapping that are also its attributes: whatever is put
    here is put there. More may be in it than is known, but for a mapping that was made in view (`$closed`)."""

    __slots__ = ()

    def __init__(self, owner: Object) -> None:
        super().__init__(owner.attrs)

    @property
    def rest(self) -> Value | None:
        return None if self.attrs.get("$closed") is TRUE else UNKNOWN

    def known(self) -> Iterator[tuple[Any, Value]]:
        named = [(k, v) for k, v in self.attrs.items() if isinstance(k, str) and not k.startswith("$")]
        return ((k, v) for k, v in named if isinstance(v, Value))


class Function(Value):
    """A function or lambda of the project with the scopes it closes over."""

    __slots__ = ("closure", "defaults", "guards", "name", "node", "owner", "space")

    def __init__(
        self,
        name: str,
        node: cst.FunctionDef | cst.Lambda,
        space: Namespace,
        closure: tuple[dict[str, Value], ...],
        defaults: dict[str, Value],
        owner: Class | None = None,
    ) -> None:
        self.name = name
        self.node = node
        self.space = space
        self.closure = closure
        self.defaults = defaults
        self.owner = owner
        # What decorators put around it: context managers that each call enters, or "contextmanager".
        self.guards: tuple[Any, ...] = ()

    def describe(self) -> str:
        return f"function {self.name}"


class Class(Object):
    """A class of the project. `bases` are Class or Api values; attrs are its members."""

    __slots__ = ("api", "bases", "family", "fields", "name", "node", "order", "space")

    def __init__(self, name: str, node: cst.ClassDef, space: Namespace, bases: tuple[Value, ...]) -> None:
        super().__init__()
        self.name = name
        self.node = node
        self.space = space
        self.bases = bases
        self.fields: list[str] = []  # annotated members, in order, for dataclasses and named tuples
        self.family = ""
        # The dotted paths of all known outside ancestors, nearest first; what layers derive from is behind them.
        self.api: tuple[str, ...] = tuple(sorted(ancestors(bases), key="torch.nn.Module".__eq__))
        # The classes of the project among it and its bases, in the order in which members are looked up.
        self.order: tuple[Class, ...] = (self, *merged_orders([base for base in bases if isinstance(base, Class)]))

    def describe(self) -> str:
        return f"class {self.name}"

    def find(self, name: str) -> Value | None:
        """A member, of the class itself or of a base in the project."""
        for cls in self.order:
            found: Value | None = cls.attrs.get(name)
            if found is not None:
                return found
        return None

    def behind(self, cls: Class) -> tuple[Class, ...]:
        """Where `super()` looks in a method of `cls`, a base of this class: bases of others may be among them."""
        return self.order[self.order.index(cls) + 1 :] if cls in self.order else cls.order[1:]


def merged_orders(bases: list[Class]) -> Iterator[Class]:
    """The order in which Python looks through bases (C3): none before what is derived from it."""
    waiting = [list(base.order) for base in bases]
    waiting.append(list(bases))
    while waiting := [order for order in waiting if order]:
        heads = (order[0] for order in waiting)
        free = (head for head in heads if not any(head in order[1:] for order in waiting))
        chosen = next(free, waiting[0][0])  # Python refuses a class without such an order
        yield chosen
        waiting = [[cls for cls in order if cls is not chosen] for order in waiting]


def ancestors(bases: Iterable[Value]) -> Iterator[str]:
    for base in bases:
        if isinstance(base, Api):
            yield base.path
        elif isinstance(base, Class):
            yield from base.api
        else:
            yield "?"


class Attributes(dict[Any, Any]):
    """What an object of a class out of view has: more than was looked at or written."""

    __slots__ = ()


class Instance(Object):
    """An object: of a class of the project (`cls` is Class), of an outside class (Api), or of unknown class (None).

    Kinds of instances that the engine models are told by `family` ("module", "optimizer", "scheduler", "loader",
    "dataset", "scaler", "estimator", …; "" for none); their state lives in attrs under names that begin with `$`.
    """

    __slots__ = ("born", "cls", "family")

    def __init__(self, cls: Class | Api | None, family: str = "", born: Step | None = None) -> None:
        super().__init__(None if family or isinstance(cls, Class) else Attributes())
        self.cls = cls
        self.family = family
        self.born = born

    def describe(self) -> str:
        if self.cls is None:
            return "object"
        return self.cls.name if isinstance(self.cls, Class) else self.cls.path.rpartition(".")[2]

    @property
    def api_path(self) -> str:
        return self.cls.path if isinstance(self.cls, Api) else ""

    @property
    def birth(self) -> tuple[int, int]:
        """Where it was made, and of which class; a registry makes all it knows in one place."""
        return id(self.born and self.born.node), id(self.cls) if isinstance(self.cls, Class) else 0


class Method(Value):
    """A callable bound to its first argument: a project function, or a named method of a modelled object."""

    __slots__ = ("function", "name", "receiver")

    def __init__(self, receiver: Value, name: str, function: Function | None = None) -> None:
        self.receiver = receiver
        self.name = name
        self.function = function

    @property
    def key(self) -> object:
        return ("method", self.receiver.key, self.name)

    def describe(self) -> str:
        return f"method {self.name}"


class Partial(Value):
    """functools.partial: a callable with some arguments filled in."""

    __slots__ = ("args", "callee", "keywords")

    def __init__(self, callee: Value, args: tuple[Value, ...], keywords: dict[str, Value]) -> None:
        self.callee = callee
        self.args = args
        self.keywords = keywords


class Super(Value):
    """`super()` inside a method: members are looked up in the bases of `cls`."""

    __slots__ = ("cls", "receiver")

    def __init__(self, cls: Class, receiver: Value) -> None:
        self.cls = cls
        self.receiver = receiver


class Union(Value):
    """One of several values."""

    __slots__ = ("options",)
    LIMIT = 24  # model zoos are chosen from in long if/elif chains

    def __init__(self, options: tuple[Value, ...]) -> None:
        self.options = options

    @property
    def key(self) -> object:
        return ("union", *[o.key for o in self.options])

    def describe(self) -> str:
        return " | ".join(o.describe() for o in self.options)


def options(value: Value) -> tuple[Value, ...]:
    """The alternatives of a value."""
    return value.options if value.__class__ is Union else (value,)


def not_none(value: Value) -> Value:
    """The value without its None alternative."""
    if isinstance(value, Union):
        rest = tuple(o for o in value.options if not (isinstance(o, Const) and o.value is None))
        return join_all(rest) if rest else value
    return value


ALWAYS_TRUE = ("module", "optimizer", "scheduler", "scaler", "transform")  # families of objects


def truth(value: Value) -> bool | None:
    """Python's truth of a value: True, False or None for unknown."""
    kind = value.__class__
    if kind is Const:
        return bool(value.value)  # type: ignore[attr-defined]
    if kind is Unknown or kind is Tensor:
        return None
    if isinstance(value, Tuple):
        return bool(value.items)
    if isinstance(value, ListObject):
        return None if value.items is None else bool(value.items)
    if isinstance(value, Method):
        return True if value.function is not None else None  # out of view it may be a property: `if table.empty`
    if isinstance(value, (Function, Class, Partial)):
        return True
    if isinstance(value, Number):
        return True if value.lo > 0 or value.hi < 0 else None
    if isinstance(value, Instance):
        if isinstance(value.cls, Class):  # true, if no method says otherwise
            said = bool(value.cls.api) or any(value.cls.find(name) is not None for name in ("__bool__", "__len__"))
            return True if not said or value.family in ALWAYS_TRUE else None
        return True if value.family in ALWAYS_TRUE else None
    if isinstance(value, Union):
        found = {truth(o) for o in value.options}
        return found.pop() if len(found) == 1 else None
    return None


def join(a: Value, b: Value) -> Value:
    """What either of two values may be."""
    if a is b:
        return a
    if a is UNKNOWN or b is UNKNOWN:
        return UNKNOWN
    kind, other = a.__class__, b.__class__
    if kind is other:
        if kind is Tensor:
            return join_tensors(a, b)  # type: ignore[arg-type]
        if kind is Instance:
            return made_or_read(a, b) or Union((a, b))  # type: ignore[arg-type]
        if a.key == b.key:
            return a
    if kind is Every or other is Every:
        return join(BOOL if kind is Every else a, BOOL if other is Every else b)
    if (kind is Const or kind is Number) and (other is Const or other is Number) and is_number(a) and is_number(b):
        return join_numbers(a, b)  # type: ignore[arg-type]
    if kind is Tuple and other is Tuple and len(a.items) == len(b.items):  # type: ignore[attr-defined]
        return join_tuples(a, b)  # type: ignore[arg-type]
    merged, others = [*options(a)], [*options(b)]
    if any(o.__class__ is Const and o.found is not None for o in (*merged, *others)):
        merged, others = beside(merged, others), beside(others, merged)
        if not merged:
            return b
    keys = [known.key for known in merged]
    for option in others:
        key = option.key
        if key in keys:
            continue
        i = like(option, merged)
        if i is None:
            merged.append(option)
            keys.append(key)
        else:
            merged[i] = join(merged[i], option)
            keys[i] = merged[i].key
    if len(merged) > Union.LIMIT:
        if not all(isinstance(m, Instance) and m.family == "module" for m in merged):
            return UNKNOWN
        merged = one_of_each(merged)
        if len(merged) > Union.LIMIT:
            return some_module(merged)
    return merged[0] if len(merged) == 1 else Union(tuple(merged))


def beside(some: list[Value], others: list[Value]) -> list[Value]:
    """Those values that are no constants which others were found to be, behind the condition that told it."""
    known = {id(other) for other in others}
    return [one for one in some if one.__class__ is not Const or id(one.found) not in known]


def one_of_each(modules: Iterable[Value]) -> list[Value]:
    """Of too many models one of each class: a zoo has each in many sizes, which compute the same."""
    found: dict[object, Value] = {}
    for module in modules:
        cls = module.cls if isinstance(module, Instance) else None
        found.setdefault(getattr(cls, "path", None) or id(getattr(cls, "node", module)), module)
    return list(found.values())


def made_or_read(a: Instance, b: Instance) -> Instance | None:
    """The model, optimizer, data set or object of the project's own that a program makes where it does not read one
    from a file. What the file holds is what an earlier run of the program had made."""
    for made, read in ((a, b), (b, a)):
        if "$file" in read.attrs and (made.family in ("module", "optimizer", "dataset") or isinstance(made.cls, Class)):
            return made
    return None


def like(option: Value, merged: list[Value]) -> int | None:
    """Where a value stands that joins with `option` to one: two tensors, two tuples of one length, or two numbers that
    are not both constants."""
    kind = option.__class__
    if kind is Tensor:
        return next((i for i, known in enumerate(merged) if known.__class__ is Tensor), None)
    if kind is Tuple:
        size = len(option.items)  # type: ignore[attr-defined]
        return next((i for i, k in enumerate(merged) if isinstance(k, Tuple) and len(k.items) == size), None)
    if is_number(option):
        return next((i for i, known in enumerate(merged) if known.__class__ is not kind and is_number(known)), None)
    return None


def join_tuples(a: Tuple, b: Tuple) -> Tuple:
    return Tuple(tuple(map(join, a.items, b.items)), a.names if a.names == b.names else ())


def some_module(modules: Iterable[Value]) -> Instance:
    """One of too many models to tell apart: only that it is a model, and its mode, stay known."""
    summary = Instance(None)
    modes = [m.attrs["training"] for m in modules if isinstance(m, Instance) and "training" in m.attrs]
    summary.attrs["training"] = join_all({id(mode): mode for mode in modes}.values())
    return summary


def join_all(values: Iterable[Value]) -> Value:
    result: Value | None = None
    for value in values:
        result = value if result is None else join(result, value)
        if result is UNKNOWN:
            break
    return UNKNOWN if result is None else result


def join_choices(results: list[Value]) -> Value:
    """What one of several models gives. Each may be the one that the program means, so what each gives is kept."""
    first = results[0] if results else UNKNOWN
    if isinstance(first, Tuple) and all(isinstance(r, Tuple) and len(r.items) == len(first.items) for r in results):
        rows = [r.items for r in results if isinstance(r, Tuple)]
        return Tuple(tuple(join_choices(list(column)) for column in zip(*rows)), first.names)
    if all(isinstance(r, DictObject) for r in results):
        entries: dict[Any, list[Value]] = {}
        for result in results:
            for name, value in result.entries().items() if isinstance(result, DictObject) else ():
                entries.setdefault(name, []).append(value)
        return DictObject({name: join_choices(values) for name, values in entries.items()})
    joined = join_all(results)
    if isinstance(joined, Tensor):
        tensors = [r for r in results if isinstance(r, Tensor)]
        return joined.but(models=tuple(dict.fromkeys((t.kinds, t.trace) for t in tensors if t.kinds)))
    return joined


def is_number(value: Value) -> bool:
    kind = value.__class__
    if kind is Const:
        return value.value.__class__ in (int, float)  # type: ignore[attr-defined]
    return kind is Number


def join_numbers(a: Const | Number, b: Const | Number) -> Value:
    if isinstance(a, Const) and isinstance(b, Const):
        return Union((a, b))
    (alo, ahi), (blo, bhi) = bounds(a), bounds(b)
    whole = all(v.integer if isinstance(v, Number) else isinstance(v.value, int) for v in (a, b))
    natures = {v.nature if isinstance(v, Number) else None for v in (a, b)}
    nature = natures.pop() if len(natures) == 1 else STEPS if natures == {STEPS, None} else None
    lo, hi, deps = min(alo, blo), max(ahi, bhi), taken_of(a, b)
    (size,) = sizes if len(sizes := {getattr(v, "size", None) for v in (a, b)}) == 1 else (None,)
    return Number(lo, hi, whole, nature, tally=join_tallies(a, b), of=measured_on(a, b), deps=deps, size=size)


def join_tallies(a: Value, b: Value) -> Tally | None:
    """What either of two values measures: nothing was added up yet where one is 0."""
    if a.tally is None or b.tally is None:
        blank = b if a.tally is not None else a
        return a.tally or b.tally if bounds(blank) == (0, 0) else None
    if a.tally.what == b.tally.what:
        return a.tally
    return a.tally._replace(what="some") if {a.tally.what, b.tally.what} <= {"mean", "sum", "some"} else None


def taken_of(*values: Value) -> frozenset[Dep]:
    """The modules that the tensors come from of which numbers were taken."""
    return NO_DEPS.union(*(value.deps for value in values if isinstance(value, Number)))


def measured_on(*values: Value) -> frozenset[str]:
    """The parts of the data that numbers and scores were measured on."""
    found = NOTHING
    for value in values:
        if isinstance(value, Number):
            found |= value.of
        elif isinstance(value, Tensor) and value.data.part is not None:
            found |= {value.data.part}
        elif isinstance(value, Union):
            found |= measured_on(*value.options)
    return found


def is_predicted(value: Value | None) -> bool:
    """Whether an array is what a model has made of rows."""
    columns = value.data.columns if isinstance(value, Tensor) else None
    return columns is not None and columns[0] == PREDICTED


def made_by(*values: Value) -> frozenset[int]:
    """The calls that predicted these values."""
    return frozenset(v.data.columns[1] for v in values if isinstance(v, Tensor) and v.data.columns and is_predicted(v))


SIZE = "$size"  # of a parameter, about which nothing else is known: what it is as a size


def size_of(value: Value | None) -> int | None:
    """A number as a size: a whole number, or one that settings decide."""
    if isinstance(value, Const):
        return value.value if value.value.__class__ is int else None
    if isinstance(value, Number):
        return value.size
    return value.attrs.get(SIZE) if value.__class__ is Instance else None


def count_of(value: Value) -> Size | None:
    """How many items something has, where settings decide that."""
    children = value.attrs.get("$children", value) if isinstance(value, Instance) else value
    if isinstance(children, ListObject) and children.items is None:
        counted = children.attrs.get(COUNT)
        return counted.size if isinstance(counted, Number) else None
    return children.count if isinstance(children, Sequence) else None


def counted(made: ListObject, count: Size | None) -> ListObject:
    """A new list of unknown length that has as many items as settings decide."""
    if count is not None and made.items is None:
        made.attrs[COUNT] = Number(integer=True, size=count)
    return made


def unknown_number(size: Size) -> Instance:
    """What would be this size, if it is used as one; it may be anything."""
    made = Instance(None)
    made.attrs[SIZE] = size
    return made


def last_axis(value: Tensor) -> int | None:
    """The size of the last axis, be it fixed or one that settings decide."""
    shape, last = value.sized or (value.shape, value.last)
    return last if shape is None else shape[-1] if shape else None


def join_tensors(a: Tensor, b: Tensor) -> Tensor:
    if a.key == b.key:
        return a
    shape, last = None, None
    if a.shape is not None and b.shape is not None and len(a.shape) == len(b.shape):
        sizes = zip(*((t.sized[0] if t.sized else t.shape) or () for t in (a, b)))
        shape = tuple(m if m == n else None for m, n in sizes)
    elif a.shape != () and b.shape != ():
        left, right = map(last_axis, (a, b))
        last = left if left == right else None
    deps = a.deps | b.deps
    if deps and (is_opaque(a) or is_opaque(b)):
        deps |= {ELSEWHERE}
    return Tensor(
        kinds=a.kinds | b.kinds if a.kinds and b.kinds else 0,
        lo=min(a.lo, b.lo),
        hi=max(a.hi, b.hi),
        nature=a.nature if a.nature == b.nature else None,
        shape=shape,
        graph=a.graph if a.graph == b.graph else None,
        deps=deps,
        data=join_data(a.data, b.data),
        dtype=a.dtype if a.dtype == b.dtype else None,
        axis=a.axis if a.axis == b.axis else None,
        grown=a.grown | b.grown,
        lib=a.lib if a.lib == b.lib or b.lib == "?" else b.lib if a.lib == "?" else joint_lib(a.lib, b.lib),
        trace=a.trace if a.kinds else b.trace,
        last=last,
        batched=a.batched and b.batched,
        route=a.route if a.route == b.route else (),
        tally=join_tallies(a, b) if a.tally or b.tally else None,
        models=a.models if a.models == b.models else (),
    )


def joint_lib(a: str, b: str) -> str:
    """The library of what is an array of one or the other."""
    return "keras" if "keras" in (a, b) and "torch" not in (a, b) else "torch"


def join_data(a: DataInfo, b: DataInfo) -> DataInfo:
    if a == b:
        return a
    alike = a.tokens == b.tokens and a.splits == b.splits and a.part == b.part  # but for what an option asks for
    return DataInfo(
        a.tokens | b.tokens,
        a.part if a.part == b.part else None,
        a.fits | b.fits if alike else a.fits & b.fits,
        a.stats & b.stats,
        a.splits | b.splits,
        a.shuffled if a.shuffled == b.shuffled else None,
        a.target and b.target,
        a.order if a.order == b.order else None,
        a.columns if a.columns == b.columns else None,
        a.scale if a.scale == b.scale else None,
        a.scaled if a.scaled == b.scaled else None,
    )


def columns_of(value: Value) -> tuple[Any, ...] | None:
    return value.data.columns if isinstance(value, Tensor) else None


def mix_data(a: DataInfo, b: DataInfo) -> DataInfo:
    """Data computed from both."""
    if a == b or b == NO_DATA:
        return a
    if a == NO_DATA:
        return b
    if is_place(a) or is_place(b):
        return b if is_place(a) else a
    return DataInfo(
        a.tokens | b.tokens,
        a.part if a.part == b.part or b.part is None else (b.part if a.part is None else None),
        a.fits | b.fits,
        frozenset(),
        a.splits | b.splits,
        a.shuffled if a.shuffled == b.shuffled else None,
        False,
        order_of_both(a.order, b.order),
        scaled=None if a.scaled is None or b.scaled is None else a.scaled | b.scaled,
    )


def order_of_both(one: frozenset[Any] | None, other: frozenset[Any] | None) -> frozenset[Any] | None:
    """What was done to the rows that two arrays have; which entries of a file they are tells nothing of that."""
    if one == other or one is None or other is None:
        return one if one == other else None
    return one & other if all(key[0] == "entry" for key in one ^ other) else None


def is_place(data: DataInfo) -> bool:
    """Whether these are no data, but places of some: numbers that follow each other."""
    return bool(data.order) and not data.tokens and data._replace(order=frozenset()) == NO_DATA


def bounds(value: Value) -> tuple[float, float]:
    """Lowest and highest number that a value can be."""
    if isinstance(value, Const):
        v = value.value
        if isinstance(v, bool):
            return (int(v), int(v))
        if isinstance(v, (int, float)):
            try:
                return (float(v), float(v))
            except OverflowError:
                return (-INF, INF)
        return (-INF, INF)
    if isinstance(value, (Number, Tensor)):
        return (value.lo, value.hi)
    if isinstance(value, Union):
        pairs = [bounds(o) for o in value.options]
        return (min(p[0] for p in pairs), max(p[1] for p in pairs))
    return (-INF, INF)


def usual(value: Value | None) -> float | None:
    """The number that a value is when the program is run as it stands: a constant, or an option's default."""
    if isinstance(value, Const):
        held = value.value
        return held if isinstance(held, (int, float)) and not isinstance(held, bool) else None
    return value.default if isinstance(value, Number) else None


def const(value: Value, default: Any = None) -> Any:
    """The Python constant of a value, or `default`."""
    return value.value if isinstance(value, Const) else default


# In the interpreter's flags: all references to a model's weights that `state_dict()` gave out.
WEIGHTS = "$weights"

# Stands among the dependencies of a value for modules that are not in view.
ELSEWHERE = Dep(Instance(None), None, None)


# Stands there for a factor that a model's output, or a loss, was divided or multiplied by.
FACTOR = Instance(Api("factor"), "factor")


def source_of(value: Value) -> Value | None:
    """What is walked over where a value is iterated."""
    if isinstance(value, Union):  # the same, be it all of it or its beginning
        sources = [source_of(option) for option in value.options]
        if all(source is sources[0] for source in sources):
            return sources[0]
        if all(map(operator.is_, sources, value.options)):
            return value
        return value if None in sources else join_all(source for source in sources if source is not None)
    if isinstance(value, ListObject) and (walk := value.attrs.get(OF_PASS)) is not None:
        as_it_was = (
            value.attrs["element"] is walk.element and not value.attrs["ends"] and "$shuffled" not in value.attrs
        )
        return walk.source if as_it_was else value
    return value.source if isinstance(value, Sequence) else value


def image_axes(image: Instance) -> Shape | None:
    """The channels, height and width of an image of PIL; None for anything else."""
    found = image.attrs.get("$axes") if image.family == "image" else None
    return found if isinstance(found, tuple) else None


def is_opaque(value: Value) -> bool:
    """Whether a value may carry gradients of which nothing is known."""
    if isinstance(value, Tensor):
        return value.graph is None and not value.deps
    return value is UNKNOWN or (isinstance(value, Instance) and value.cls is None)
