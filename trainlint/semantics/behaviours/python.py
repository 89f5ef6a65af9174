"""Python itself: builtins, decorators, and the few standard modules that training scripts are made with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics import containers, shapes
from trainlint.semantics.arithmetic import is_modest
from trainlint.semantics.behaviours.data import note_rows, ordered
from trainlint.semantics.behaviours.settings import candidate
from trainlint.semantics.journal import MISSING
from trainlint.semantics.library import Call, behaviour, builtin, run_of, taken_apart
from trainlint.semantics.modules import contents
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.sizes import UNNAMED, Size, is_fixed, is_of_axis, is_optional, of_setting
from trainlint.semantics.values import (
    BOOL,
    FALSE,
    HELD,
    INF,
    LEFT_OUT,
    NAN,
    NO_DEPS,
    NONE,
    OF_BATCH,
    OF_PASS,
    TINY,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DefaultDict,
    DictObject,
    Fit,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Object,
    Partial,
    Portion,
    Sequence,
    Super,
    Tally,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    cut,
    is_number,
    is_of_batch,
    join,
    join_all,
    measured_on,
    options,
    source_of,
    truth,
    usual,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter


# ----------------------------------------------------------------------- builtins


def arguments_of(call: Call) -> list[Value]:
    return call.arguments.positional


@builtin("len")
def len_(call: Call) -> Value:
    items = call.interp.known_items(call.first)
    if items is not None and not isinstance(call.first, Const):
        if isinstance(call.first, ListObject) and call.interp.read(call.first.attrs, "$many") is TRUE:
            return Number(len(items), integer=True, nature="a length")
        return Const(len(items))
    if isinstance(call.first, Tensor) and call.first.lib != "frame" and (call.first.shape or call.first.batched):
        shape = call.interp.get_attribute(call.first, "shape", call.node)
        return call.interp.library.get_item(call.interp, shape, [Const(0)], call.node)
    shortest = min(len(call.interp.known_items(o) or ()) if is_container(o) else 1 for o in options(call.first))
    whole = length_of(call.interp, call.first)
    return Number(shortest, integer=True, nature="a length", tally=size_of(call.first), share=whole)


def length_of(interp: Interpreter, value: Value) -> Portion | None:
    """The length of rows, or of a list or a data set, as all of itself."""
    if isinstance(value, Tensor):
        return value.data.length
    if not isinstance(value, (ListObject, Instance)):
        return None
    interp.keep.append(value)
    return Portion(id(value), 1.0)


def is_container(value: Value) -> bool:
    """Whether a value may hold nothing, unlike a loader or a batch."""
    return isinstance(value, (ListObject, DictObject, Text))


def size_of(value: Value) -> Tally | None:
    """What the length of a loader or data set counts; of several that it may be, if all agree."""
    if isinstance(value, Union):
        counts = [size_of(option) for option in value.options if option is not NONE]
        return counts[0] if len({count and count.what for count in counts}) == 1 else None
    if isinstance(value, Tensor):  # what a model gives for a batch, in a shape that is not known
        return Tally("size") if value.deps else None
    if not isinstance(value, Instance):
        return None
    if "$item" in value.attrs:
        return Tally("size")
    item = value.attrs.get("[]")
    if value.family == "loader" or (value.cls is None and isinstance(item, Instance) and "$item" in item.attrs):
        return Tally("batches", loader=value)
    return Tally("samples", loader=value) if value.family == "dataset" or "$samples" in value.attrs else None


@builtin("range")
@behaviour("range")
def range_(call: Call) -> Value:
    if not arguments_of(call):
        return UNKNOWN
    values = [v.value for v in arguments_of(call) if isinstance(v, Const) and isinstance(v.value, int)]
    if len(values) == len(arguments_of(call)) and values:
        try:
            numbers = range(*values)
            if len(numbers) <= (8 if call.interp.module_depth or builds_module(call.interp) else 3):  # of no epochs
                return Tuple(tuple(Const(n) for n in numbers))
        except (TypeError, ValueError):
            pass
    lo = bounds(arguments_of(call)[0])[0] if len(arguments_of(call)) > 1 else 0
    start = max(lo, 0) if lo != -INF else 0
    fixed = len(arguments_of(call)) == 1 or isinstance(arguments_of(call)[0], Const)
    # As many turns as a loader has batches are a pass over it, whoever takes the batches.
    counted = call.first.tally if len(arguments_of(call)) == 1 else None
    source = counted.loader if counted is not None and counted.what == "batches" else None
    first = Number(start, start, integer=True) if fixed else None
    size = shapes.size(call.first) if len(arguments_of(call)) == 1 else None
    count = size if isinstance(size, Size) and not is_of_axis(size) else None
    return Sequence(Number(start, integer=True), source, first, count, run_of(call))


PLENTY = 5_000  # steps; a class that no program makes anything of is run with fewer


def builds_module(interp: Interpreter) -> bool:
    """Whether a module is being made, whose loops are over its layers, with steps to spare for each of them."""
    function = interp.frame.function if interp.enough - interp.steps > PLENTY else None
    if function is None or function.name != "__init__" or not isinstance(function.node, cst.FunctionDef):
        return False
    params = function.node.params.params
    made = interp.frame.env.get(params[0].name.value) if params else None
    return isinstance(made, Instance) and made.family == "module"


@builtin("enumerate")
def enumerate_(call: Call) -> Value:
    items, start = call.interp.known_items(call.first), call.value("start", 1)
    begun = const(start) if start is not None else 0
    if items is not None:
        first = begun if isinstance(begun, int) else None
        counts = (Const(first + i) if first is not None else Number(integer=True) for i in range(len(items)))
        return Tuple(tuple(Tuple((count, item)) for count, item in zip(counts, items, strict=True)))
    item = element(call, call.first)
    counted = Tuple((Number(0, 0, integer=True), item)) if start is None else None
    return Sequence(Tuple((Number(0, integer=True), item)), source_of(call.first), counted)


def element(call: Call, value: Value) -> Value:
    return call.interp.element_of(value)


@builtin("zip")
def zip_(call: Call) -> Value:
    values = arguments_of(call)
    known = [call.interp.known_items(v) for v in values]
    if len(values) > 1 and all(isinstance(value, ListObject) and HELD in value.attrs for value in values):
        call.interp.emit("pair", (call.node, tuple(values), "zip", call))
    if call.arguments.open and len(known) == 1 and known[0] is not None:  # the columns of rows of unknown number
        columns = [ListObject(None, item) for item in known[0]]
        given = call.interp.peek(call.node.args[0].value) if isinstance(call.node, cst.Call) else None
        for column in columns:
            if given is not None and is_of_batch(given):
                column.attrs[OF_BATCH] = TRUE
            if isinstance(given, ListObject) and HELD in given.attrs:
                column.attrs[HELD] = given.attrs[HELD]
        return Tuple(tuple(columns))
    if known and all(k is not None for k in known):
        rows = zip(*[k for k in known if k is not None])
        return Tuple(tuple(Tuple(row) for row in rows))
    sources = [source_of(v) for v in arguments_of(call)]
    call.interp.event("zipped", call.node, sources)
    first = next((s for s in sources if s is not None and all(isinstance(o, Instance) for o in options(s))), None)
    return Sequence(Tuple(tuple(element(call, v) for v in arguments_of(call))), first)


@builtin("reversed")
def reversed_(call: Call) -> Value:
    value, items = call.first, call.interp.known_items(call.first)
    return Sequence(element(call, value), source_of(value)) if items is None else Tuple(items[::-1])


@builtin("iter")
def iter_(call: Call) -> Value:
    source = one_of(source_of(call.first))
    if isinstance(source, Instance) and source.family == "loader":
        call.interp.event("anew", call.node, source)
    return iterate_first(call)


@behaviour("iterate_first")
def iterate_first(call: Call) -> Value:
    value = call.first
    items = call.interp.known_items(value)
    if items is not None:
        return Tuple(items)
    return Sequence(element(call, value), source_of(value), value.first if isinstance(value, Sequence) else None)


@builtin("next", "tuple.next", "tuple.__next__")
def next_(call: Call) -> Value:
    source, value = one_of(source_of(call.first)), element(call, call.first)
    if isinstance(source, Instance):
        draw = abs(hash((id(call.node), source.number))) if source.family == "loader" else 0
        call.interp.event("next", call.node, source, draw if starts_anew(call.node) else 0, draw)
        if draw:
            from trainlint.semantics.behaviours.data import with_token

            value = with_token(value, draw)
    elif isinstance(source, Union) and all(isinstance(o, Instance) and o.family == "loader" for o in source.options):
        call.interp.event("next", call.node, source.options[0], 0, 0)  # of one of several, whichever a setting picks
    return value


def one_of(source: Value | None) -> Value | None:
    """A loader that stands for several made at one place, of which a setting picks one."""
    if isinstance(source, Union) and all(isinstance(o, Instance) and o.family == "loader" for o in source.options):
        places = {o.born for o in source.options if isinstance(o, Instance)}
        return source.options[0] if len(places) == 1 else source
    return source


def starts_anew(node: Any) -> bool:
    """Whether a call is `next(iter(…))` or `iter(…).next()`: the first item of a new pass."""
    inner = node.args[0].value if node.args else getattr(node.func, "value", None)
    return isinstance(inner, cst.Call) and isinstance(inner.func, cst.Name) and inner.func.value == "iter"


@builtin("list", "set", "frozenset")
@behaviour("list")
def list_(call: Call) -> Value:
    from trainlint.semantics.behaviours.data import left_out, places_in
    from trainlint.semantics.behaviours.lists import listed_rows, with_rows
    from trainlint.semantics.behaviours.training import spend

    if not arguments_of(call):
        return ListObject()
    items = call.interp.known_items(call.first)
    if items is not None:
        return ListObject(items)
    if (
        isinstance(call.first, Sequence)
        and isinstance(call.first.source, Instance)
        and call.first.source.family == "module"
    ):
        spend(call.interp, call.first)
        return Sequence(call.first.element, call.first.source)  # list(model.parameters()) still is the parameters
    if (places := places_in(call.first)) is not None:
        return places
    made, source = ListObject(None, element(call, call.first)), source_of(call.first)
    if call.short_name == "list":
        with_rows(made, listed_rows(call))
        if (gone := left_out(call.first)) is not None:
            made.attrs[LEFT_OUT] = gone
    if isinstance(call.first, (Instance, Sequence)) and isinstance(source, Instance) and source.family == "loader":
        made.attrs[OF_PASS] = Sequence(made.attrs["element"], source)
    return made


@builtin("sorted")
def sorted_(call: Call) -> Value:
    from trainlint.semantics.behaviours.lists import listed_rows, sorted_list

    rows = call.first
    rank(call)
    if isinstance(rows, Tensor) and rows.data.tokens and rows.lib != "torch":
        return rows.but(lib="numpy", data=ordered(rows.data, ("sorted", call.interp.step(call.node, "sorted"))))
    return sorted_list(call, ListObject(None, element(call, call.first)), listed_rows(call))


def rank(call: Call) -> None:
    """Run the function by which the best of some values is told, and say so where that measures a model."""
    from trainlint.semantics.interpreter import Arguments

    key, region = call.arguments.keywords.get("key"), call.interp.region
    if isinstance(key, (Function, Method)) and region is not None:
        seen = len(region.events)
        score = call.interp.call(key, Arguments([element(call, call.first)]), call.node)
        if any(event.kind == "measured" for event in region.events[seen:]):
            call.interp.emit("picked", (call, measured_on(score)))
        elif call.short_name in ("max", "min"):
            note_best(call, score, call.argument("iterable", 0))


def note_best(call: Call, score: Value, scores: Any) -> None:
    """Say that the best of some scores is looked for, which `scores` holds."""
    if parts := measured_on(score):
        call.interp.event("best", call.node, scores, parts)


@builtin("tuple")
def tuple_(call: Call) -> Value:
    items = call.interp.known_items(call.first) if arguments_of(call) else ()
    return Tuple(items) if items is not None else Sequence(element(call, call.first))


@builtin("dict")
@behaviour("dict")
def dict_(call: Call) -> Value:
    result = DictObject()
    if arguments_of(call):
        source = call.first
        alike = [isinstance(option, Instance) and option.family == "weights" for option in options(source)]
        if alike and all(alike) and not call.arguments.keywords:
            return source  # the same tensors in another dict
        pairs = call.interp.known_items(source)
        if (given := containers.as_dict(source)) is not None:
            result.attrs.update(given.entries())
        elif pairs is not None and all(isinstance(p, Tuple) and len(p.items) == 2 for p in pairs):
            for pair in pairs:
                if isinstance(pair, Tuple):
                    containers.put(result, *pair.items)
        elif not isinstance(
            source, (Api, Function, Class)
        ):  # a factory of missing values, as defaultdict takes, holds nothing
            result.attrs[DictObject.REST] = UNKNOWN
            if isinstance(source, Tensor) and source.lib == "frame":
                result.attrs[DictObject.REST] = source.but(data=source.data._replace(columns=None))
    result.attrs.update(call.arguments.keywords)
    if call.arguments.open:
        result.attrs[DictObject.REST] = UNKNOWN
    return result


@behaviour("defaultdict")
def defaultdict_(call: Call) -> Value:
    made = dict_(call)
    factory = call.arguments.positional[:1]
    return DefaultDict(made.attrs, factory[0]) if isinstance(made, DictObject) and factory else made


@builtin("int", "round")
@behaviour("integer")
def int_(call: Call) -> Value:
    if not arguments_of(call):
        return Const(0)
    value = call.first
    common = computed(call, ROUNDING.get(call.short_name, int))
    if common is not None and isinstance(value, Const):
        return Const(common)
    if isinstance(value, Tensor):
        call.interp.event("item", call.node, value)
    lo, hi = bounds(value)
    lo = math.floor(lo) if lo not in (-INF, INF) else lo
    nature, of = getattr(value, "nature", None), measured_on(value)
    lo, whole = 0.0 if 0 <= lo < 1 else lo, common is None or isinstance(common, int)
    settled = value.size if isinstance(value, Number) else None
    if settled is None and whole and common and isinstance(value, Number) and value.tally is nature is None and not of:
        settled = rounded(call, value, common)
    share = value.share if isinstance(value, Number) else None
    return Number(lo, hi, whole, nature, tally=value.tally, of=of, default=common, size=settled, share=share)


@behaviour("whole_number")
def whole_number(call: Call) -> Value:
    """`numpy.ceil(n)` of a single number."""
    return int_(call) if isinstance(call.first, Number) else UNKNOWN


def rounded(call: Call, value: Number, usual: int) -> Size | None:
    """The whole number that settings come to: a size about which nothing else is known."""
    made = of_setting(f"{call.short_name}(…)", usual) if usual > 0 else None
    return made and call.interp.bounds.setdefault((id(call.node), value.key), made)


ROUNDING: dict[str, Callable[..., Any]] = {"round": round, "ceil": math.ceil, "floor": math.floor}


def computed(call: Call, function: Callable[..., Any]) -> Any:
    """What a function gives for the numbers that its arguments are when the program is run as it stands; None where
    these are not known, or it fails."""
    given = [usual(value) for value in arguments_of(call)]
    if None in given or not given:
        return None
    try:
        return function(*given)
    except (ArithmeticError, TypeError, ValueError):
        return None


@builtin("float")
def float_(call: Call) -> Value:
    if not arguments_of(call):
        return Const(0.0)
    if isinstance(call.first, Tensor):
        call.interp.event("item", call.node, call.first)
    if isinstance(call.first, Const):
        try:
            number = float(call.first.value)
        except (TypeError, ValueError):
            return Number()
        return NAN if math.isnan(number) else Const(number)
    if isinstance(call.first, Text) and call.first.default is not None:  # as YAML reads `1e-3`
        try:
            return candidate({"default": Const(float(call.first.default))}, call.interp.step(call.node, "float"))
        except ValueError:
            return Number()
    nature, of = getattr(call.first, "nature", None), measured_on(call.first)
    deps = cut(getattr(call.first, "deps", NO_DEPS), call.interp.step(call.node, "float"))
    defined, tally = getattr(call.first, "defined", None), call.first.tally
    known = usual(call.first)
    return Number(*bounds(call.first), nature=nature, tally=tally, of=of, default=known, defined=defined, deps=deps)


@builtin("str", "repr", "format")
def str_(call: Call) -> Value:
    value = call.first
    if call.short_name == "str":
        call.interp.write_out(value, call.node)
    if isinstance(value, Text) and call.short_name == "str":
        return value
    return Const(str(value.value)) if isinstance(value, Const) and arguments_of(call) else Text()


@builtin("bool")
def bool_(call: Call) -> Value:
    held = truth(call.first)
    return BOOL if held is None else Const(held)


@builtin("abs")
def abs_(call: Call) -> Value:
    if isinstance(call.first, Tensor):
        return call.interp.library.tensor_method(call.interp, call.first, "abs", call.arguments.__class__(), call.node)
    if isinstance(call.first, Const):
        try:
            return Const(abs(call.first.value))
        except TypeError:
            return UNKNOWN
    return Number(0) if is_number(call.first) else UNKNOWN


COUNTS = ("batches", "samples", "sizes")


@builtin("max", "min")
def extreme(call: Call) -> Value:
    values = arguments_of(call)
    if not values:
        return UNKNOWN
    if len(values) == 1:
        rank(call)
        items = call.interp.known_items(values[0])
        return join_all(items) if items else element(call, values[0])
    pairs = [bounds(v) for v in values]
    if call.path == "max":
        lo, hi = max(p[0] for p in pairs), max(p[1] for p in pairs)
    else:
        lo, hi = min(p[0] for p in pairs), min(p[1] for p in pairs)
    tensors = [v for v in values if isinstance(v, Tensor)]
    if tensors:
        return tensors[0].but(lo=lo, hi=hi, kinds=0)
    common = computed(call, max if call.path == "max" else min)
    if common is not None and all(isinstance(v, Const) for v in values):
        return Const(common)
    known = all(is_number(v) for v in values) or lo > -INF or hi < INF
    # The lesser of a number of batches and some limit is a number of batches; so is the greater of it and 1.
    tally = next((v.tally for v in values if v.tally is not None and v.tally.what in COUNTS), None)
    if tally is not None and call.path == "max" and any(v.tally is None and bounds(v)[1] > 1 for v in values):
        tally = None
    settled = bound_of_sizes(call, tuple(map(shapes.size, values)))
    if settled is not None:
        return Number(max(lo, 1), hi, integer=True, default=common, size=settled)
    return Number(lo, hi, tally=tally, of=measured_on(*values), default=common) if known else UNKNOWN


def bound_of_sizes(call: Call, sizes: tuple[int | None, ...]) -> Size | None:
    """The least or greatest of sizes that settings decide: a size too, about which nothing else is known."""
    given = [size for size in sizes if size is not None and size > 0 and not is_of_axis(size)]
    if len(given) < len(sizes) or all(map(is_fixed, given)):
        return None
    name = f"{call.path}({', '.join(map(str, given))})"
    usual = (max if call.path == "max" else min)(map(int, given)) if all(map(is_optional, given)) else None
    made = of_setting(name if len(name) < 40 else UNNAMED, usual, option=usual is not None)
    return call.interp.bounds.setdefault((call.path, sizes), made)


MANY = 24  # items that are added up one by one


@builtin("sum")
def sum_(call: Call) -> Value:
    items = call.interp.known_items(call.first)
    if items and len(items) <= MANY and all(isinstance(item, Tensor) or is_number(item) for item in items):
        total: Value = items[0]
        for item in items[1:]:
            total = call.interp.binary_values("Add", total, item, call.node, call.node, call.node)
        return total
    value = join_all(items) if items else element(call, call.first)
    if isinstance(value, Tensor):
        return value.but(
            kinds=value.kinds if value.kinds & 1 else 0,
            shape=None,
            lo=min(value.lo, 0),
            hi=INF if value.hi > 0 else value.hi,
            tally=total_of(value) if is_over(call.interp, value.tally) else value.tally,
        )
    return Number(0 if bounds(value)[0] >= 0 else -INF, of=measured_on(value), tally=total_of(value))


def total_of(item: Value) -> Tally | None:
    """What a sum of all items of a list measures, each of which measures a batch."""
    tally = item.tally
    return tally._replace(what=tally.what + "s") if tally is not None and tally.what in ("mean", "sum") else None


def is_over(interp: Interpreter, tally: Tally | None) -> bool:
    """Whether the loop has ended in which something was measured, in the function at hand."""
    return tally is not None and tally.frame is interp.frame and len(tally.loops) > len(interp.frame.loops)


@builtin("all", "any", "callable", "issubclass")
def bools(call: Call) -> Value:
    return BOOL


@builtin("hasattr")
def hasattr_(call: Call) -> Value:
    name = arguments_of(call)[1] if len(arguments_of(call)) > 1 else UNKNOWN
    owner = call.first
    if isinstance(owner, Object) and isinstance(name, Const):
        if call.interp.read(owner.attrs, name.value) is not MISSING:
            return TRUE
        if (
            isinstance(owner, Instance)
            and isinstance(owner.cls, Class)
            and not owner.cls.api
            and owner.cls.find(name.value) is None
        ):
            return FALSE
    elif isinstance(owner, Tensor) and owner.lib == "torch" and isinstance(name, Const):
        if f"torch.Tensor.{name.value}" in call.interp.library.rows:
            return TRUE
    return BOOL


@builtin("getattr")
def getattr_(call: Call) -> Value:
    values = arguments_of(call)
    if len(values) < 2:
        return UNKNOWN
    owner, name = values[0], values[1]
    if isinstance(name, Const) and isinstance(name.value, str):
        return call.interp.get_attribute(owner, name.value, call.node)
    if isinstance(owner, Api):
        meant = name.default if isinstance(name, Text) and name.default else "*"
        return Api(f"{owner.path}.{meant}")
    if isinstance(owner, Namespace):
        usual = owner.attrs.get(name.default) if isinstance(name, Text) and name.default else None
        return usual if isinstance(usual, (Class, Function)) else join_all(chosen_from(owner, call))
    if isinstance(name, Union) and all(isinstance(o, Const) and isinstance(o.value, str) for o in name.options):
        return join_all(
            call.interp.get_attribute(owner, o.value, call.node) for o in name.options if isinstance(o, Const)
        )
    return UNKNOWN


def chosen_from(space: Namespace, chosen: Call | None) -> list[Value]:
    """What an unknown name may pick from a module, or from a package that has it from its modules: model classes, or
    else functions, or else other classes; where it is called at once, those that take such arguments."""
    from trainlint.semantics.interpreter import takes

    members = [v for k, v in space.attrs.items() if isinstance(k, str) and isinstance(v, (Class, Function))]
    own = [v for v in members if v.space is space] or [v for v in members if space.package and is_below(v.space, space)]
    kinds: list[list[Value]] = [
        [v for v in own if isinstance(v, Class) and v.family == "module"],
        [v for v in own if isinstance(v, Function)],
        [v for v in own if isinstance(v, Class)],
    ]
    given = given_next(chosen) if chosen is not None else None
    for kind in kinds:
        if given is not None and (fitting := [v for v in kind if takes(v, given)]):
            return fitting[: Union.LIMIT]
    return next(filter(None, kinds), [])[: Union.LIMIT]


def is_below(module: Namespace, package: Namespace) -> bool:
    """Whether a module lies in the folder of a package."""
    return module.path is not None and package.path is not None and package.path.parent in module.path.parents


def given_next(call: Call) -> Arguments | None:
    """The arguments that what a call gives is called with at once, of which nothing is known but how many there are and
    their names."""
    from trainlint.semantics.interpreter import Arguments

    source = call.interp.frame.space.source
    above = source.index.parent(call.node) if source is not None else None
    if not isinstance(above, cst.Call) or above.func is not call.node:
        return None
    count = sum(argument.keyword is None and not argument.star for argument in above.args)
    named: dict[str, Value] = {
        argument.keyword.value: UNKNOWN for argument in above.args if argument.keyword is not None
    }
    return Arguments([UNKNOWN] * count, named, open_=any(argument.star for argument in above.args))


@behaviour("import_module")
def import_module(call: Call) -> Value:
    """`importlib.import_module(name)`; a name known but for its end may be any module of the package."""
    package = call.value("package")
    return join_all(module_called(call.interp, name, package) for name in options(call.first))


def module_called(interp: Interpreter, name: Value, package: Value | None) -> Value:
    level = 0
    if isinstance(name, Const) and isinstance(name.value, str):
        dotted = name.value.lstrip(".")
        level = len(name.value) - len(dotted) if package is not None else 0
        return interp.import_module(dotted, level)
    if isinstance(name, Text) and name.parts and name.parts[0].endswith("."):
        return join_all(interp.modules_below(interp.frame.space, name.parts[0].rstrip(".")))
    return Instance(None)


@builtin("setattr")
def setattr_(call: Call) -> Value:
    values = arguments_of(call)
    if len(values) == 3 and isinstance(values[1], Const) and isinstance(values[1].value, str):
        call.interp.set_attribute(values[0], values[1].value, values[2], call.node)
    elif len(values) == 3 and isinstance(values[0], Object) and isinstance(values[2], Instance):
        call.interp.write(values[0].attrs, f"$member{id(call.node)}", values[2])
        call.interp.event("released", call.node)
    return NONE


@builtin("isinstance")
def isinstance_(call: Call) -> Value:
    values = arguments_of(call)
    held = containers.is_instance(*values) if len(values) == 2 else None
    return BOOL if held is None else Const(held)


@builtin("type")
def type_(call: Call) -> Value:
    value = call.first
    if isinstance(value, Const) and value.value is not None and len(call.arguments.positional) == 1:
        return Api(type(value.value).__name__)
    if isinstance(value, Tuple) and not value.names:
        return Api("tuple")
    return value.cls if isinstance(value, Instance) and value.cls is not None else UNKNOWN


@builtin("map")
def map_(call: Call) -> Value:
    from trainlint.semantics.interpreter import Arguments

    values = arguments_of(call)
    if len(values) < 2:
        return UNKNOWN
    items = call.interp.known_items(values[1])
    if items is not None and len(values) == 2 and len(items) <= 8:
        return Tuple(tuple(call.interp.call(values[0], Arguments([i]), call.node) for i in items))
    return Sequence(call.interp.call(values[0], Arguments([element(call, v) for v in values[1:]]), call.node))


@builtin("filter")
def filter_(call: Call) -> Value:
    """`filter(f, model.parameters())` keeps its source."""
    from trainlint.semantics.behaviours.training import Stream, asks_for_gradients, learnt_only

    value = arguments_of(call)[1] if len(arguments_of(call)) > 1 else UNKNOWN
    if isinstance(value, Stream):
        if asks_for_gradients(call.argument("function", 0)) and (learnt := learnt_only(value)) is not None:
            return Stream(learnt, None)
        return Stream(value.element, value.source)
    return Sequence(element(call, value), source_of(value))


@builtin("print")
def print_(call: Call) -> Value:
    for one in call.arguments.positional:
        call.interp.write_out(one, call.node)
    return UNKNOWN


@builtin("input", "exit", "quit", "id", "hash", "ord", "dir", "slice", "compile")
def other(call: Call) -> Value:
    return UNKNOWN


@builtin("open", "str.open", "str.read_text")
def open_(call: Call) -> Value:
    from trainlint.semantics.behaviours.configs import opened

    return opened(call.interp, call.first, call.value("mode", 1))


@builtin("eval")
def eval_(call: Call) -> Value:
    """`eval("models." + name + ".make")`: what a name with dots stands for, or may stand for."""
    return join_all(spelt(call.interp, text, call.node) for text in options(call.first))


def spelt(interp: Interpreter, text: Value, node: Any) -> Value:
    if isinstance(text, Const) and isinstance(text.value, str):
        return dotted(interp, text.value, node)
    if isinstance(text, Text) and text.parts and text.parts[0].endswith("."):
        owner = dotted(interp, text.parts[0][:-1], node)
        end = text.parts[-1][1:] if len(text.parts) == 2 and text.parts[1].startswith(".") else ""
        if isinstance(owner, Namespace) and (end or len(text.parts) == 1):
            modules = interp.modules_below(interp.frame.space, text.parts[0][:-1]) if end else []
            makers = [v.attrs[end] for v in modules if isinstance(v, Namespace) and end in v.attrs]
            return join_all(makers or chosen_from(owner, None))
    return UNKNOWN


def dotted(interp: Interpreter, text: str, node: Any) -> Value:
    first, *rest = text.split(".")
    if not all(name.isidentifier() for name in (first, *rest)):
        return UNKNOWN
    value = interp.name(cst.Name(first))
    for name in rest:
        value = interp.get_attribute(value, name, node)
    return value


@builtin("exec")
def exec_(call: Call) -> Value:
    """`exec(open("settings.py").read())` may set any variable of the file: the constants so far are candidates."""
    frame = call.interp.frame
    if frame.env is frame.space.attrs and len(arguments_of(call)) == 1 and not isinstance(call.first, Const):
        for name, value in list(frame.env.items()):
            if isinstance(value, Const) and isinstance(value.value, (bool, int, float, str)):
                call.interp.write(frame.env, name, candidate({"default": value}))
    return NONE


@builtin("globals", "locals", "vars")
def variables(call: Call) -> Value:
    value = call.first if arguments_of(call) else UNKNOWN
    if isinstance(value, Instance):
        return call.interp.get_attribute(value, "__dict__", call.node)
    if call.path == "globals":
        return call.interp.get_attribute(call.interp.frame.space, "__dict__", call.node)
    return UNKNOWN


@builtin("dir")
def names_in_module(call: Call) -> Value:
    """`dir(settings)`, of a file of the project."""
    if not isinstance(call.first, Namespace) or call.first.state != "loaded":
        return ListObject(None, Text())
    names = sorted(name for name in call.first.attrs if isinstance(name, str) and name[:1] != "$")
    return ListObject(tuple(map(Const, names)))


@builtin("super")
def super_(call: Call) -> Value:
    interp = call.interp
    function = interp.frame.function
    values = arguments_of(call)
    receiver: Value | None = values[1] if len(values) > 1 else None
    cls = values[0] if values and isinstance(values[0], Class) else None
    if function is not None and function.owner is not None:
        cls = cls or function.owner
        if receiver is None:
            params = (*function.node.params.posonly_params, *function.node.params.params)
            receiver = interp.frame.env.get(params[0].name.value) if params else None
    return Super(cls, receiver) if cls is not None and receiver is not None else UNKNOWN


@builtin("sys.exit", "os._exit", "exit", "quit")
def exit_(call: Call) -> Value:
    return Api("sys.exit!")


# ----------------------------------------------------------- methods of builtin types


EMPTIED = "$emptied"  # in a list's entries: what stands for its content since it was cleared


@builtin("list.append", "list.add", "list.appendleft")
def append(call: Call) -> Value:
    from trainlint.semantics.behaviours.lists import fill

    target, values = call.first, arguments_of(call)
    if isinstance(target, ListObject) and len(values) > 1:
        value = values[1]
        loop = call.interp.nearest_loop()
        again = target.attrs.get("$filled", MISSING) is call.node
        if not again:  # where its only items come from
            known = "$filled" in target.attrs
            call.interp.write(target.attrs, "$filled", None if known else call.node)
            note_rows(call, target, None if known else loop)
            if not known and loop is not None and target.items == () and not isinstance(value, Tensor):
                fill(call, target)
        if again and (many := call.interp.growing_loop()) is not None and not call.interp.is_short(many):
            call.interp.write(target.attrs, "$many", TRUE)  # earlier turns put items in, who knows how many
        if value.tally is not None and value.tally.what != "some" and loop is not None:
            call.interp.event("filled", call.node, target.attrs.get(EMPTIED, target) or object(), None, loop.node)
            call.interp.notice_left_over(call.node, call.node.args[0].value, value.tally)
        if isinstance(value, Tensor):
            call.interp.event("collect", call.node, value)
            if value.data.fits and loop is not None:
                own = frozenset(fit for fit in value.data.fits if not is_of_turn(fit, loop.node))
                value = value.but(data=value.data._replace(fits=own))
            if value.graph is not False and loop is not None:
                value, many = value.but(grown=value.grown | {call.node}), call.interp.growing_loop() or loop
                if held_before(call, target):
                    call.interp.event("grown", call.node, values[1], many.node, call.interp.handed_on(value))
        elif again and loop is not None and isinstance(value, (Tuple, ListObject, DictObject)):
            for entry in contents(value):
                if isinstance(entry, Tensor) and entry.graph is not False:
                    call.interp.event("kept", call.node, entry, loop.node)
        rows = target.attrs.get(HELD) if again or target.items == () else None
        containers.append(call.interp, target, value, called(call.node) != "appendleft")
        if rows is not None:
            call.interp.write(target.attrs, HELD, rows)
    return NONE


def is_of_turn(fit: Fit, loop: Any) -> bool:
    """Whether something was fitted in a loop on what each of its turns makes, which comes from out of view: on one
    sample, not on all."""
    given: Any = fit.node.args[0].value if isinstance(fit.node, cst.Call) and fit.node.args else None
    if max(fit.on) >= 0:
        return False
    while isinstance(given, (cst.Attribute, cst.Subscript, cst.Call)):
        given = given.func if isinstance(given, cst.Call) else given.value
    inside = list(nodes_in(loop)) if isinstance(given, cst.Name) and isinstance(loop, cst.For) else []
    targets = [t.target for node in inside if isinstance(node, cst.Assign) for t in node.targets]
    return any(node is fit.node for node in inside) and any(is_name(target, given.value) for target in targets)


def held_before(call: Call, target: ListObject) -> bool:
    """Whether this very place appended to the list in an earlier turn."""
    items = target.items
    held = items if items is not None else (target.attrs["element"],)
    return any(isinstance(item, Tensor) and call.node in item.grown for item in held)


@behaviour("expected_failure")
def expected_failure(call: Call) -> Value:
    """A context manager for what a test expects to fail."""
    manager = Instance(None, "context")
    manager.attrs["$expected"] = TRUE
    return manager


@builtin("list.extend", "list.update")
def extend(call: Call) -> Value:
    target, values = call.first, arguments_of(call)
    if isinstance(target, ListObject) and len(values) > 1:
        gathered = values[1] if isinstance(values[1], Tensor) else element(call, values[1])
        if isinstance(gathered, Tensor):
            call.interp.event("collect", call.node, gathered)
        containers.extend(call.interp, target, values[1])
    return NONE


@builtin("list.insert")
def insert(call: Call) -> Value:
    target, values = call.first, arguments_of(call)
    if isinstance(target, ListObject) and len(values) > 2:
        items, place = target.items, whole(values[1])
        if items is not None and place is not None:
            call.interp.write(target.attrs, "items", (*items[:place], values[2], *items[place:]))
        else:
            containers.disorder(call.interp, target)
            containers.append(call.interp, target, values[2], last=False)
    return NONE


@builtin("list.pop", "list.popleft")
def pop(call: Call) -> Value:
    target, values = call.first, arguments_of(call)
    if not isinstance(target, ListObject) or target.items is None:
        if isinstance(target, ListObject):
            containers.loosen(call.interp, target)
        return element(call, target)
    items = target.items
    place = 0 if call.path.endswith("popleft") else whole(values[1]) if len(values) > 1 else -1
    if place is not None and -len(items) <= place < len(items):
        place %= len(items)
        call.interp.write(target.attrs, "items", items[:place] + items[place + 1 :])
        return items[place]
    containers.disorder(call.interp, target)
    return join_all(items)


def whole(value: Value) -> int | None:
    """A known whole number."""
    return value.value if isinstance(value, Const) and isinstance(value.value, int) else None


@builtin("list.reverse")
def reverse(call: Call) -> Value:
    target = call.first
    if isinstance(target, ListObject):
        if target.items is not None:
            call.interp.write(target.attrs, "items", target.items[::-1])
        containers.loosen(call.interp, target)
    return NONE


@builtin("list.sort", "list.remove", "list.discard")
def reorder(call: Call) -> Value:
    """What depends on how the items compare."""
    target = call.first
    if isinstance(target, ListObject):
        gone, values = target.attrs.get(LEFT_OUT), arguments_of(call)
        containers.disorder(call.interp, target)
        name = const(values[1]) if len(values) > 1 and not call.path.endswith("sort") else None
        if gone is not None and isinstance(name, str):
            call.interp.write(target.attrs, LEFT_OUT, gone | {name})
    return NONE


@builtin("list.clear")
def clear(call: Call) -> Value:
    for target in options(call.first):
        if isinstance(target, ListObject):
            call.interp.write(target.attrs, EMPTIED, object())
    if isinstance(call.first, ListObject):
        call.interp.write(call.first.attrs, "items", ())
        containers.loosen(call.interp, call.first)
    return NONE


@builtin("list.copy")
def list_copy(call: Call) -> Value:
    return list_(call)


@builtin("list.index", "list.count", "str.count", "str.find", "str.index")
def position(call: Call) -> Value:
    if call.short_name == "index" and isinstance(call.receiver, ListObject) and len(call.arguments.positional) > 1:
        note_best(call, call.arguments.positional[1], getattr(call.node.func, "value", None))
    return Number(0, integer=True)


@builtin("builtins.dict.fromkeys", "dict.fromkeys")
def fromkeys(call: Call) -> Value:
    """A dict of the same value under several names."""
    values, result = arguments_of(call), DictObject()
    keys = call.interp.known_items(values[0]) if values else None
    if keys is None or not all(isinstance(key, Const) for key in keys):
        result.attrs[DictObject.REST] = values[1] if len(values) > 1 else NONE
    for key in keys or ():
        containers.put(result, key, values[1] if len(values) > 1 else NONE)
    return result


@builtin("dict.items")
def items(call: Call) -> Value:
    target = call.first
    if isinstance(target, DictObject):
        if target.rest is None:
            return Tuple(tuple(Tuple((Const(k), v)) for k, v in target.known()))
        return Sequence(Tuple((UNKNOWN, join_all([*(v for _, v in target.known()), target.rest]))))
    return Sequence(UNKNOWN)


@builtin("dict.keys")
def keys(call: Call) -> Value:
    target = call.first
    if isinstance(target, DictObject) and target.rest is None:
        return Tuple(tuple(Const(k) for k, _ in target.known()))
    return Sequence(UNKNOWN)


@builtin("dict.values")
def values_(call: Call) -> Value:
    target = call.first
    if isinstance(target, DictObject):
        if target.rest is None:
            return Tuple(tuple(v for _, v in target.known()))
        return Sequence(join_all([*(v for _, v in target.known()), target.rest]))
    return Sequence(UNKNOWN)


@builtin("dict.get", "dict.pop", "dict.setdefault")
def get(call: Call) -> Value:
    target, values = call.first, arguments_of(call)
    default = values[2] if len(values) > 2 else NONE
    if isinstance(target, DictObject) and len(values) > 1:
        if isinstance(values[1], Const):
            found = call.interp.read(target.attrs, values[1].value)
            if found is not MISSING:
                value: Value = found
                if call.path == "dict.pop":
                    call.interp.journal.remove(target.attrs, values[1].value)
                return value
            if target.rest is None:
                if call.path == "dict.setdefault":
                    call.interp.write(target.attrs, values[1].value, default)
                return default
        return join(containers.get_item(call.interp, target, [values[1]], call.node), default)
    return UNKNOWN


@builtin("dict.update")
def update(call: Call) -> Value:
    target, values = call.first, arguments_of(call)
    if isinstance(target, DictObject):
        if len(values) > 1:
            containers.update(call.interp, target, values[1])
        for key, value in call.arguments.keywords.items():
            call.interp.write(target.attrs, key, value)
    return NONE


@builtin("dict.copy")
def dict_copy(call: Call) -> Value:
    return DictObject(call.first.entries()) if isinstance(call.first, DictObject) else UNKNOWN


@builtin(
    "str.lower", "str.upper", "str.strip", "str.replace", "str.rstrip", "str.lstrip", "str.title", "str.capitalize"
)
def text(call: Call) -> Value:
    value, method = call.first, call.path.partition(".")[2]
    arguments = [v.value for v in arguments_of(call)[1:] if isinstance(v, Const)]
    if isinstance(value, Const) and len(arguments) == len(arguments_of(call)) - 1:
        if not is_modest("", (value.value, *arguments)):
            return Text()
        try:
            return Const(getattr(value.value, method)(*arguments))
        except Exception:
            return Text()
    return value if isinstance(value, Text) else Text()


@builtin("str.format", "str.join")
def formatted(call: Call) -> Value:
    value, given = call.first, arguments_of(call)[1:]
    for one in (*given, *call.arguments.keywords.values()) if call.path == "str.format" else ():
        call.interp.write_out(one, call.node)
    if call.path == "str.join" or not isinstance(value, Const):
        return Text()
    if all(isinstance(v, Const) for v in (*given, *call.arguments.keywords.values())):
        filled = [const(v) for v in given]
        named = {k: const(v) for k, v in call.arguments.keywords.items()}
        try:
            if is_modest(value.value, (*filled, *named.values())):
                return Const(value.value.format(*filled, **named))
        except Exception:
            return Text()
    return Text((value.value,))


@builtin("str.split", "str.splitlines")
def split(call: Call) -> Value:
    return ListObject(None, Text())


@builtin("str.startswith", "str.endswith", "str.isdigit", "str.isalpha", "str.isupper", "str.islower")
def tested(call: Call) -> Value:
    value, method = call.first, call.path.partition(".")[2]
    arguments = [v.value for v in arguments_of(call)[1:] if isinstance(v, Const)]
    if isinstance(value, Const) and len(arguments) == len(arguments_of(call)) - 1:
        try:
            return Const(bool(getattr(value.value, method)(*arguments)))
        except Exception:
            return BOOL
    return BOOL


# --------------------------------------------------------------- standard modules


@behaviour("initialise_base")
def initialise_base(call: Call) -> Value:
    """`super().__init__(…)` that reaches a base class out of view."""
    from trainlint.semantics.interpreter import Arguments

    if isinstance(call.first, Instance):
        given = Arguments(call.arguments.positional[1:], call.arguments.keywords)
        call.interp.library.initialise_base(call.interp, call.first, given, call.node)
    return NONE


@behaviour("partial")
def partial(call: Call) -> Value:
    values = arguments_of(call)
    return Partial(call.first, tuple(values[1:]), dict(call.arguments.keywords))


@builtin("dataclasses.field")
def field(call: Call) -> Value:
    """A dataclass's field: its default, or what makes one for each instance."""
    factory = call.arguments.keywords.get("default_factory")
    if factory is None:
        return call.arguments.keywords.get("default", UNKNOWN)
    made = Instance(None, "field")
    made.attrs["factory"] = factory
    return made


@builtin("collections.namedtuple")
def namedtuple(call: Call) -> Value:
    """A named tuple's class, where its names are known."""
    values = arguments_of(call)
    given = values[1] if len(values) > 1 else call.arguments.keywords.get("field_names", UNKNOWN)
    if isinstance(given, Const) and isinstance(given.value, str):
        names = given.value.replace(",", " ").split()
    else:
        items = call.interp.known_items(given)
        names = [str(const(item)) for item in items or ()]
        if items is None or not all(isinstance(const(item), str) for item in items):
            return UNKNOWN
    cls = Class(str(const(values[0], "namedtuple")), call.node, call.interp.frame.space, (Api("typing.NamedTuple"),))
    cls.fields = names
    defaults = call.interp.known_items(call.arguments.keywords.get("defaults", UNKNOWN)) or ()
    for name, value in zip(reversed(names), reversed(defaults)):
        cls.attrs[name] = value
    return cls


@behaviour("number")
def number(call: Call) -> Value:
    return Number()


@behaviour("math_function")
def math_function(call: Call) -> Value:
    common = computed(call, getattr(math, call.short_name))
    if common is not None and all(isinstance(value, Const) for value in arguments_of(call)):
        return Const(common)
    lo, hi = RANGES.get(call.short_name, (-INF, INF))
    return Number(lo, hi, default=common)


RANGES = {"cos": (-1.0, 1.0), "sin": (-1.0, 1.0), "exp": (0.0, INF)}


@behaviour("math_sqrt")
def math_sqrt(call: Call) -> Value:
    lo, hi = bounds(call.first)
    common = computed(call, math.sqrt)
    return Number(TINY if lo > 0 else 0.0, math.sqrt(hi) if 0 <= hi < INF else INF, default=common)


@behaviour("chain")
def chain(call: Call) -> Value:
    """`chain(a.parameters(), b.parameters())`: all of them."""
    values = arguments_of(call)
    known = [call.interp.known_items(v) for v in values]
    if all(k is not None for k in known):
        return Tuple(tuple(item for k in known if k is not None for item in k))
    if call.row.name.endswith("chain") and all(isinstance(v, Sequence) for v in values):
        return ListObject(tuple(values))
    return Sequence(join_all(element(call, v) for v in values))


# ------------------------------------------------------------- objects of unknown class


@behaviour("opaque_train")
def opaque_train(call: Call) -> Value:
    """`x.train()` of an unknown object sets a mode only when it is called like `Module.train`."""
    from trainlint.semantics.behaviours.layers import train_mode

    values = arguments_of(call)
    plain = len(values) == 1 or (len(values) == 2 and truth(values[1]) is not None)
    if not plain or call.arguments.keywords.keys() - {"mode"}:
        call.interp.library.escape(call.interp, call.arguments, call.node)
        return UNKNOWN
    return train_mode(call)


@behaviour("opaque_zero_grad")
def opaque_zero_grad(call: Call) -> Value:
    """An object of unknown class clears gradients; whose, is not known."""
    from trainlint.semantics.behaviours.training import (
        AFTER_SOME_CLEAR,
        advance,
        as_optimizer,
        module_zero_grad,
        optimizer_zero_grad,
        optimizers,
    )

    owner = call.first
    if isinstance(owner, Instance) and owner.cls is None and "training" in owner.attrs:
        return module_zero_grad(Call(call.interp, call.node, call.path, call.row, call.arguments, owner))
    optimizer = as_optimizer(call.interp, call.first, call.node)
    if optimizer is not None:
        return optimizer_zero_grad(Call(call.interp, call.node, call.path, call.row, call.arguments, optimizer))
    call.interp.event("clear", call.node, None)
    for held in optimizers(call.interp):
        advance(call.interp, held, AFTER_SOME_CLEAR, certain=True, node=call.node)
    return UNKNOWN


def is_of_part(call: Call) -> bool:
    """Whether an object is asked of a module, such as one loss of several, which was never given it."""
    held = getattr(getattr(call.node, "func", None), "value", None)
    owner = held.value if isinstance(held, cst.Attribute) and not is_name(held.value, "self") else None
    found = call.interp.peek(owner) if owner is not None else None
    return any(isinstance(option, Instance) and option.family == "module" for option in options(found or UNKNOWN))


@behaviour("opaque_step")
def opaque_step(call: Call) -> Value:
    from trainlint.semantics.behaviours.training import (
        as_optimizer,
        optimizers,
        owner_name,
        schedule,
        stepped,
        take_step,
    )

    targets = optimizers(call.interp)
    if "sched" in owner_name(call.node) and len(targets) == 1 and not is_of_part(call):
        schedule(call, call.first, targets)
        return UNKNOWN
    optimizer = as_optimizer(call.interp, call.first, call.node)
    if optimizer is not None and not call.arguments.keywords and len(call.arguments.positional) == 1:
        take_step(call.interp, optimizer, call.node)
    elif not is_environment(call):
        stepped(call.interp, call.node, call.first)
    return UNKNOWN


def is_action(value: Value) -> bool:
    """Whether a value is what an environment is given: neither a closure nor a loss, nor nothing."""
    if isinstance(value, Tensor):
        return not any(dep.live for dep in value.deps)
    return isinstance(value, (Const, ListObject, Number, Tuple)) and value.key != NONE.key


def is_environment(call: Call) -> bool:
    """Whether `x.step(action)` is an environment's: its result falls into observation, reward, one end or two, and the
    rest, where an optimizer's is a loss at most; or an action is what it surely is given."""
    given = arguments_of(call)
    if len(given) != 2:
        return False
    return taken_apart(call) in (4, 5) or all(map(is_action, options(given[1])))


@behaviour("opaque_parameters")
def opaque_parameters(call: Call) -> Value:
    owner = call.first
    name = called(call.node)
    if isinstance(owner, Instance) and "parameters" in name:
        from trainlint.semantics.behaviours.layers import parameters

        if owner.cls is None and not owner.family and "training" not in owner.attrs:
            prove_module(call.interp, owner)
        return parameters(Call(call.interp, call.node, call.path, call.row, call.arguments, owner))
    if isinstance(owner, Instance) and name == "state_dict" and is_model(call.interp, owner):
        from trainlint.semantics.behaviours.layers import state_dict

        return state_dict(Call(call.interp, call.node, call.path, call.row, call.arguments, owner))
    return UNKNOWN


def prove_module(interp: Interpreter, owner: Instance) -> None:
    """An object of unknown class is asked for its parameters, as only modules are: optimizers of what it is a part of
    hold these too."""
    from trainlint.semantics.behaviours.training import modules_of, optimizers

    interp.write(owner.attrs, "training", UNKNOWN)
    for optimizer in optimizers(interp):
        held: frozenset[int] = optimizer.attrs["$modules"]
        if held and id(owner) in modules_of(optimizer.attrs["param_groups"])[0]:
            interp.write(optimizer.attrs, "$modules", held | {id(owner)})


def is_model(interp: Interpreter, owner: Instance) -> bool:
    """Whether an object of unknown class was put into a mode, or an optimizer has its parameters."""
    from trainlint.semantics.behaviours.training import optimizers

    return "training" in owner.attrs or any(id(owner) in o.attrs.get("$modules", ()) for o in optimizers(interp))


@behaviour("itself")
def itself(call: Call) -> Value:
    return call.first
