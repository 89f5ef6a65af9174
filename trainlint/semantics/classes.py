"""Classes of the project: how a class body becomes a `Class`, and a call of it an `Instance`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.values import (
    HELD,
    SIZE,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Step,
    Tensor,
    Tuple,
    Value,
    options,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name, is_plain_call

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Arguments, Interpreter


def build_class(interp: Interpreter, node: cst.ClassDef) -> Class:
    """Run a class body; its names become the members."""
    from trainlint.semantics.interpreter import Frame

    outer = interp.frame
    bases = tuple(any_alike(interp, interp.eval(base.value)) for base in node.bases if not base.star)
    cls = Class(node.name.value, node, outer.space, bases)
    cls.family = interp.library.family(cls)
    outermost = outer.cls is not None or outer.env is outer.space.attrs
    frame = Frame(
        cls.attrs, outer.closure if outermost else (outer.env, *outer.closure), outer.space, outer.function, 0
    )
    frame.cls = cls
    frame.mark = interp.journal.mark()
    interp.frame = frame
    try:
        interp.suite(node.body)
    finally:
        interp.frame = outer
    outer.space.functions.append(cls)
    return cls


def any_alike(interp: Interpreter, base: Value) -> Value:
    """A base that a setting picks among optimizers: any of them, as they are used alike."""
    picked = options(base)
    rows = [interp.library.class_row(option.path) if isinstance(option, Api) else None for option in picked]
    return picked[0] if all(row is not None and row.raw.get("family") == "optimizer" for row in rows) else base


def is_unsized(value: Value) -> bool:
    """Whether a value may be a size of which nothing is known."""
    if isinstance(value, Instance):
        return value.cls is None and SIZE not in value.attrs
    return value is UNKNOWN or (isinstance(value, Number) and value.integer and value.size is None)


def instantiate(interp: Interpreter, cls: Class, arguments: Arguments, node: Any) -> Value:
    """Make an instance: attributes are what `__init__` leaves."""
    from trainlint.semantics.behaviours.data import part_of_arguments

    init = cls.find("__init__")
    new = cls.find("__new__")
    if cls.api and (wrapped := wrapped_only(interp, cls, arguments, node)) is not None:
        return wrapped
    instance = Instance(cls, cls.family, Step(interp.frame.space, node, cls.name))
    if cls.family == "module":
        interp.write(instance.attrs, "training", TRUE)  # noted, since other branches know nothing of it
        interp.made.setdefault(id(cls.node), arguments)
        if not any(map(is_unsized, arguments.values())):
            interp.sized.add(id(cls.node))
    elif cls.family == "scheduler":
        given = [v for v in arguments.values() if all(is_optimizer(option) for option in options(v))]
        instance.attrs.update({"optimizer": given[0]} if given else {})
    elif cls.family == "dataset" or (not cls.family and is_indexed(cls)):
        bound = interp.bind_arguments(init, arguments.with_first(instance)) if isinstance(init, Function) else {}
        instance.attrs["$part"] = part_of_arguments(bound)
        if interp.library.serves(cls):
            instance.attrs["$serves"] = TRUE
        made_with = bound or {str(i): v for i, v in enumerate(arguments.positional)} | arguments.keywords
    elif cls.family == "optimizer":
        from trainlint.semantics.behaviours.training import register_optimizer

        register_optimizer(interp, instance, arguments.positional[0] if arguments.positional else UNKNOWN)
    if isinstance(init, Function):
        interp.call_function(init, arguments.with_first(instance), node)
    elif isinstance(new, Function):
        result = interp.call_function(new, arguments.with_first(cls), node)
        return result if isinstance(result, Instance) else instance
    elif fields := inherited_fields(cls):
        for name, value in zip(fields, arguments.positional):
            instance.attrs[name] = value
        for name, value in arguments.keywords.items():
            instance.attrs[name] = value
        for name in fields:
            member = cls.find(name)
            if name not in instance.attrs and isinstance(member, Instance) and member.family == "field":
                instance.attrs[name] = make_default(interp, member, node)
        if any(path.endswith("NamedTuple") for path in cls.api):
            return Tuple(tuple(instance.attrs.get(n, cls.attrs.get(n, UNKNOWN)) for n in fields), tuple(fields))
        post = cls.find("__post_init__")
        if isinstance(post, Function):
            from trainlint.semantics.interpreter import Arguments as Args

            interp.call_function(post, Args([instance]), node)
    elif cls.family in ("loader", "engine"):
        interp.call(Method(instance, "__init__"), arguments, node)
    else:
        interp.library.initialise_base(interp, instance, arguments, node)
    if "$part" in instance.attrs:
        instance.attrs["$made"] = chosen_by(instance, made_with)
        if together := indexed_together(instance):
            interp.emit("pair", (node, together, "members", instance))
    if cls.family == "module":
        interp.event("built", node, instance)
        interp.emit("built", (node, instance, arguments))
    elif cls.family == "scheduler" and not isinstance(cls.find("step"), Function):
        interp.event("made", node, instance)
    elif cls.family == "dataset":
        interp.event("dataset", node, instance)
        interp.emit("dataset", (node, instance, None))
    return instance


WRAPPERS = ("first", "distributed_model")  # the behaviours of those that hand calls on to the model they hold
LOOKS = frozenset(("__init__", "__getattr__"))


def wrapped_only(interp: Interpreter, cls: Class, arguments: Arguments, node: Any) -> Value | None:
    """The model itself, for a `DataParallel` of the program's own that merely looks for attributes in the model."""
    if "__getattr__" not in cls.attrs or not LOOKS.issuperset(cls.attrs):
        return None
    rows = [(path, interp.library.row(path)) for path in cls.api]
    path = next((path for path, row in rows if row is not None and row.raw.get("does") in WRAPPERS), None)
    return interp.library.call(interp, path, arguments, node) if path is not None else None


ROWS = "rows"  # before what tells the rows that a data set counts from others


def chosen_by(dataset: Instance, given: dict[str, Any]) -> tuple[Any, ...]:
    """What decides on the samples of a data set, of what it was made with: the rows that it counts, where they are
    known, else all but its transforms."""
    from trainlint.semantics.behaviours.data import is_one, sameness
    from trainlint.semantics.behaviours.lists import OWN, held

    assert isinstance(dataset.cls, Class)
    rows = dataset.attrs.get(counted(dataset.cls))
    handed = any(value is rows for value in given.values())
    known = held(rows)
    told = known is not None and is_one(known) and known.order is not None and OWN not in known.order
    told = (told or (handed and known is not None)) and (isinstance(rows, Tensor) or HELD in rows.attrs)  # type: ignore[union-attr]
    if isinstance(rows, Value) and (told or (isinstance(rows, ListObject) and handed)):
        return (ROWS, sameness(rows))
    choosing = {k: v for k, v in given.items() if v is not dataset and not is_transform(k, v)}
    return tuple((k, object() if is_gap(v) else sameness(v)) for k, v in sorted(choosing.items()))


def is_gap(value: Value) -> bool:
    """Whether a text is empty, as where users are to write the path to their own data."""
    return isinstance(value, Const) and value.value == ""


def indexed_together(dataset: Value | None) -> tuple[Value, ...]:
    """The arrays of which a data set takes the same row for a sample: those that it indexes with its index."""
    from trainlint.semantics.behaviours.data import filled_together

    found = indexed_by_sample(dataset)
    source = dataset.cls.space.source if found and isinstance(dataset.cls, Class) else None  # type: ignore[union-attr]
    rows = filled_together(found, source.index) if source is not None else []
    return tuple(rows) if len(rows) > 1 else ()


def indexed_by_sample(dataset: Value | None) -> list[Value]:
    """What a data set of the project's indexes with the index of a sample."""
    if not isinstance(dataset, Instance) or not isinstance(dataset.cls, Class):
        return []
    item = dataset.cls.find("__getitem__")
    params = item.node.params.params if isinstance(item, Function) else ()
    if len(params) != 2 or not isinstance(item, Function):
        return []
    names = rows_in(item, params[1].name.value, dataset.cls)
    return [value for name in dict.fromkeys(names) if isinstance(value := dataset.attrs.get(name), Value)]


def rows_in(method: Function, index: str, cls: Class, inside: bool = False) -> Iterator[str]:
    """The attributes in `self.rows[index]`, in a method and in those that it gives the index to."""
    for node in nodes_in(method.node.body):
        yield row_of(node, index)
        if isinstance(node, cst.Call) and (name := attribute_of(node.func)) and not inside:
            helper, given = cls.find(name), node.args[0].value if len(node.args) == 1 else None
            params = helper.node.params.params if isinstance(helper, Function) else ()
            if isinstance(helper, Function) and len(params) == 2 and is_name(given, index):
                yield from rows_in(helper, params[1].name.value, cls, inside=True)


def row_of(node: Any, index: str) -> str:
    """The attribute in `self.rows[index]`, or `self.rows[index, 0]`; "" for any other piece of code."""
    if not isinstance(node, cst.Subscript) or not isinstance(node.value, cst.Attribute):
        return ""
    place = node.slice[0].slice
    plain = isinstance(place, cst.Index) and isinstance(place.value, cst.Name) and place.value.value == index
    if node.value.attr.value in ("iloc", "values") and isinstance(node.value.value, cst.Attribute):
        node = node.value  # `self.table.iloc[index]`
    return node.value.attr.value if plain and isinstance(node.value.value, cst.Name) else ""


def counted(cls: Class) -> str:
    """The attribute that `__len__` gives the length of; "" where it does not say so."""
    given = said_length(cls)
    if name := attribute_of(length_of(given)):
        return name
    init = cls.find("__init__")  # or it gives a number that was counted there
    made = list(assigned_in(init.node.body)) if isinstance(init, Function) and attribute_of(given) else []
    lengths = [value for target, value in made if attribute_of(target) == attribute_of(given)]
    of = length_of(lengths[0]) if len(lengths) == 1 else None
    kept = [attribute_of(t) for t, value in made if isinstance(of, cst.Name) and is_name(value, of.value)]
    return attribute_of(of) or (kept[0] if len(kept) == 1 else "")


def attribute_of(node: Any) -> str:
    """The name in `self.name`."""
    return node.attr.value if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) else ""


def length_of(node: Any) -> Any:
    """What `len(x)` or `x.shape[0]` counts."""
    if isinstance(node, cst.Call):
        rounded = called(node) in ("int", "floor", "ceil") and len(node.args) == 1  # batches of them
        return length_of(node.args[0].value) if rounded else node.args[0].value if is_plain_call(node, "len") else None
    if isinstance(node, cst.BinaryOperation):  # of windows, some fewer than there are steps
        counts = [found for found in map(length_of, (node.left, node.right)) if found is not None]
        return counts[0] if len(counts) == 1 else None
    shape = node.value if isinstance(node, cst.Subscript) and len(node.slice) == 1 else None
    place = node.slice[0].slice if shape is not None else None
    first = isinstance(place, cst.Index) and isinstance(place.value, cst.Integer) and place.value.value == "0"
    return shape.value if first and isinstance(shape, cst.Attribute) and shape.attr.value == "shape" else None


def assigned_in(body: Any) -> Iterator[tuple[Any, Any]]:
    """The targets of assignments in a piece of code, with what is assigned."""
    for node in nodes_in(body):
        if isinstance(node, cst.Assign):
            yield from ((target.target, node.value) for target in node.targets)


def said_length(cls: Class) -> Any:
    """The expression that `__len__` returns; None where it does more than that."""
    member = cls.find("__len__")
    body = member.node.body if isinstance(member, Function) else None
    line = body.body[-1] if isinstance(body, cst.IndentedBlock) and len(body.body) < 3 else None
    last = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    return last.value if isinstance(last, cst.Return) else None


def is_transform(name: str, value: Value) -> bool:
    """Whether an argument of a data set says how samples are changed, not which there are."""
    return any(word in name for word in ("transform", "augment", "download")) or all(
        isinstance(option, Instance) and option.family == "transform" for option in options(value)
    )


def is_indexed(cls: Class) -> bool:
    """Whether instances can be indexed and counted, which is all that a loader asks of a data set."""
    return all(isinstance(cls.find(name), Function) for name in ("__getitem__", "__len__"))


def make_default(interp: Interpreter, field: Instance, node: Any) -> Value:
    """What `field(default_factory=...)` gives a new instance."""
    from trainlint.semantics.interpreter import Arguments

    return interp.call(field.attrs["factory"], Arguments(), node)


def is_optimizer(value: Value) -> bool:
    return isinstance(value, Instance) and "$steps" in value.attrs


def inherited_fields(cls: Class) -> list[str]:
    fields: list[str] = []
    for base in reversed(cls.bases):
        if isinstance(base, Class):
            fields += [f for f in inherited_fields(base) if f not in fields]
    return fields + [f for f in cls.fields if f not in fields]
