"""Lists, dicts, tuples and strings: items in and out, and their methods."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.journal import MISSING
from trainlint.semantics.modules import is_plain_module, may_be_last
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.shapes import form, indexed, of_frame
from trainlint.semantics.values import (
    ANSWERS,
    BOOL,
    COUNT,
    FALSE,
    HELD,
    HIDDEN,
    LEFT_OUT,
    LOG_PROBABILITIES,
    LOGITS,
    MASK,
    NO_DATA,
    NONE,
    OF_NODES,
    PROBABILITIES,
    SIGMOID,
    SOME_CODES,
    UNKNOWN,
    Api,
    Class,
    Const,
    DefaultDict,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Method,
    Names,
    Number,
    Object,
    Sequence,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    is_number,
    join,
    join_all,
    mix_data,
)
from trainlint.semantics.values import cut as severed

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

MAX_ITEMS = 256
MAX_ENDS = 8  # items kept of the end of a list whose beginning is not known


def types_of(value: Value) -> tuple[str, ...]:
    """The builtin types whose methods a value has."""
    if isinstance(value, ListObject):
        return ("list",)
    if isinstance(value, DictObject):
        return ("dict",)
    if isinstance(value, (Tuple, Sequence)):
        return ("tuple", "list")
    if isinstance(value, Text) or (isinstance(value, Const) and isinstance(value.value, str)):
        return ("str",)
    return ()


def as_dict(value: Value) -> DictObject | None:
    """A dict, or an object that is one as well; None for anything else."""
    if isinstance(value, Instance) and value.family == "mapping":
        return Names(value)
    return value if isinstance(value, DictObject) else None


def put(target: DictObject, key: Value, value: Value) -> None:
    """Store in a dict that nobody else has seen yet."""
    if isinstance(key, Const) and not isinstance(key.value, (list, dict)):
        target.attrs[key.value] = value
    else:
        rest = target.rest
        target.attrs[DictObject.REST] = value if rest is None else join(rest, value)


def update(interp: Interpreter, target: DictObject, source: Value) -> None:
    """Put the entries of one dict into another."""
    given = as_dict(source)
    if given is None:  # which may have any
        for key, value in list(target.known()):
            interp.write(target.attrs, key, join(value, UNKNOWN))
    for key, value in {DictObject.REST: UNKNOWN}.items() if given is None else given.entries().items():
        if key is not DictObject.REST or not isinstance(target, Names):
            interp.write(target.attrs, key, value)
        else:
            interp.write(target.attrs, "$closed", FALSE)


def fill(interp: Interpreter, mapping: Instance, positional: Iterable[Value]) -> None:
    """Give an object that is a dict its first entries. Outside classes make such objects of the dicts in it as well."""
    for source in positional:
        given = as_dict(source)
        for key, value in given.known() if given is not None else ():
            inner = as_dict(value) if isinstance(mapping.cls, Api) else None
            if inner is not None and not isinstance(inner, Names):
                value = Instance(mapping.cls, "mapping")
                fill(interp, value, (inner,))
            interp.write(mapping.attrs, key, value)


def append(interp: Interpreter, target: ListObject, value: Value, last: bool = True) -> None:
    """Put an item into a list: at its end, or elsewhere."""
    items = interp.read(target.attrs, "items")
    changed(interp, target)
    if items is None:
        if last:
            interp.write(target.attrs, "ends", (*interp.ends_of(target), value)[-MAX_ENDS:])
        else:
            loosen(interp, target)
    if items is not None and len(items) < MAX_ITEMS:
        interp.write(target.attrs, "items", (*items, value))
    else:
        element = target.attrs["element"]
        interp.write(
            target.attrs, "element", join(element, value) if items is None and element is not UNKNOWN else value
        )
        interp.write(target.attrs, "items", None)


def disorder(interp: Interpreter, target: ListObject) -> None:
    """Forget how many items a list has, and in which order."""
    changed(interp, target)
    if target.items is not None:
        interp.write(target.attrs, "element", interp.element_of(target))
        interp.write(target.attrs, "items", None)
    loosen(interp, target)


def loosen(interp: Interpreter, target: ListObject) -> None:
    """Forget what a list of unknown items begins and ends with."""
    interp.write(target.attrs, "ends", ())
    if "begins" in target.attrs:
        interp.write(target.attrs, "begins", ())


def changed(interp: Interpreter, target: ListObject) -> None:
    """A list has got other rows, or lost some."""
    if HELD in target.attrs:
        interp.write(target.attrs, HELD, NO_DATA._replace(tokens=frozenset((target.token,))))
    if LEFT_OUT in target.attrs:
        interp.write(target.attrs, LEFT_OUT, None)
    if COUNT in target.attrs:
        interp.write(target.attrs, COUNT, NONE)


def extend(interp: Interpreter, target: ListObject, value: Value) -> None:
    changed(interp, target)
    known = interp.known_items(value)
    if known is None or target.items is None:
        before = interp.ends_of(target) if known is not None else ()
        interp.write(target.attrs, "ends", (*before, *interp.ends_of(value))[-MAX_ENDS:])
        if target.items:
            interp.write(target.attrs, "begins", target.items)
    if known is None or target.items is None or len(known) + len(target.items) > MAX_ITEMS:
        elements = [interp.element_of(value), *(target.items or ())]
        if target.items is None and target.attrs["element"] is not UNKNOWN:
            elements.append(target.attrs["element"])
        interp.write(target.attrs, "element", join_all(elements))
        interp.write(target.attrs, "items", None)
    else:
        interp.write(target.attrs, "items", target.items + tuple(known))


def container_operation(interp: Interpreter, operator: str, left: Value, right: Value) -> Value | None:
    """`+`, `*` and `|` of containers; None for other operands."""
    if operator == "Add" and isinstance(left, Union) and all(isinstance(o, ListObject) for o in left.options):
        sums = [container_operation(interp, operator, option, right) for option in left.options]
        return join_all(total for total in sums if total is not None)
    if operator == "Add" and isinstance(left, (ListObject, Tuple)):
        if isinstance(right, Union) and all(isinstance(option, (ListObject, Tuple)) for option in right.options):
            sums = [container_operation(interp, operator, left, option) for option in right.options]
            return join_all(total for total in sums if total is not None)
        a, b = interp.known_items(left), interp.known_items(right)
        if a is not None and b is not None and len(a) + len(b) <= MAX_ITEMS:
            return Tuple(a + b) if isinstance(left, Tuple) else ListObject(a + b)
        if isinstance(left, Tuple) and a:
            return Sequence(join(interp.element_of(left), interp.element_of(right)), first=a[0])
        ends = interp.ends_of(right) if b is None else (*interp.ends_of(left), *b)
        if a == ():
            return ListObject(None, interp.element_of(right), ends[-MAX_ENDS:])
        return ListObject(None, join(interp.element_of(left), interp.element_of(right)), ends[-MAX_ENDS:])
    if operator == "Add" and isinstance(left, Sequence) and isinstance(right, (Sequence, ListObject, Tuple)):
        return ListObject(None, join(interp.element_of(left), interp.element_of(right)))
    if operator == "Multiply":
        for sequence, count in ((left, right), (right, left)):
            if isinstance(sequence, (ListObject, Tuple)) and not isinstance(count, Tensor):
                items = interp.known_items(sequence)
                times = count.value if isinstance(count, Const) and isinstance(count.value, int) else None
                if items is not None and times is not None and len(items) * times <= 64:
                    return Tuple(items * times) if isinstance(sequence, Tuple) else ListObject(items * times)
                return ListObject(None, interp.element_of(sequence))
    if operator == "BitOr" and isinstance(left, DictObject) and isinstance(right, DictObject):
        return DictObject({**left.entries(), **right.entries()})
    return None


def contains(interp: Interpreter, left: Const, right: Value, positive: bool) -> Value:
    known = interp.known_items(right)
    if known is not None and all(isinstance(k, Const) for k in known) and not isinstance(right, Const):
        return Const(any(k.key == left.key for k in known) == positive)
    return BOOL


def one_of(interp: Interpreter, owner: Object, value: Value, index: Value | None) -> Value:
    """What stands at a place in a container whose values are not told apart: a data set or a loader is the same at each
    look there, and perhaps another one elsewhere."""
    if not isinstance(value, Instance) or not isinstance(index, Const):
        return value
    if value.family not in ("dataset", "loader") and "$made" not in value.attrs:
        return value
    key = (owner.number, f"[{index.value!r}]")
    found = interp.children.get(key)
    if found is None or found.cls is not value.cls:
        found = interp.children[key] = Instance(value.cls, value.family, value.born)
        found.attrs.update(value.attrs)
        found.attrs["$one_of"] = index
        if isinstance(served := value.attrs.get("dataset"), Instance):
            found.attrs["dataset"] = one_of(interp, found, served, index)
    return found


def is_loader(value: Value) -> bool:
    """Whether a value is a loader of PyTorch's own class."""
    return isinstance(value, Instance) and value.family == "loader" and isinstance(value.cls, Api)


def lacks(interp: Interpreter, owner: Value, index: Value | slice) -> bool:
    """Whether a dict has no such entry, so that a program that asks for it goes no further."""
    if isinstance(index, Union):
        return all(lacks(interp, owner, option) for option in index.options)
    if not isinstance(owner, DictObject) or isinstance(owner, DefaultDict) or not isinstance(index, Const):
        return False
    return owner.rest is None and interp.read(owner.attrs, index.value) is MISSING


def get_item(interp: Interpreter, owner: Value, indices: list[Value | slice], node: Any) -> Value:
    """`owner[indices]`."""
    if owner.__class__ is Method:
        from trainlint.semantics.arithmetic import as_column

        owner = as_column(owner)
    if isinstance(owner, Instance) and "$weight" in owner.attrs:
        from trainlint.semantics.library import as_tensor

        owner = as_tensor(owner)
    if isinstance(owner, Tensor):
        if owner.axis is not None and owner.kinds == HIDDEN:
            interp.emit("step taken", (node, owner, indices))
        return tensor_item(interp, owner, indices, node)
    if isinstance(owner, Union):
        fitting = [o for o in owner.options if not isinstance(o, Const) and not is_loader(o)]  # which have no items
        holding = [o for o in fitting if not lacks(interp, o, indices[0])] or fitting
        return join_all(get_item(interp, o, indices, node) for o in holding)
    index = indices[0] if len(indices) == 1 else None
    if isinstance(owner, Instance) and "$parts" in owner.attrs and isinstance(index, Const) and index.value in STORED:
        return one_of(interp, owner, owner.attrs["$parts"], index)
    if isinstance(owner, DictObject):
        if isinstance(index, Union) and all(isinstance(o, Const) for o in index.options):
            held = [option for option in index.options if not lacks(interp, owner, option)] or index.options
            return join_all(get_item(interp, owner, [option], node) for option in held)
        if isinstance(index, Const):
            found = interp.read(owner.attrs, index.value)
            if found is not MISSING:
                return found  # type: ignore[no-any-return]
            if isinstance(owner, DefaultDict) and owner.rest is None:
                from trainlint.semantics.interpreter import Arguments

                made = interp.call(owner.factory, Arguments(), node)
                interp.write(owner.attrs, index.value, made)
                return made
            return UNKNOWN if owner.rest is None else one_of(interp, owner, owner.rest, index)
        if owner.rest is not None and not any(True for _ in owner.known()):
            return owner.rest
        makers = model_makers(owner)
        if makers:
            return join_all(makers)
        values = [v for _, v in owner.known()]
        return join_all([*values, owner.rest] if owner.rest is not None else values)
    if isinstance(owner, (ListObject, Tuple)) or (isinstance(owner, Instance) and owner.family == "module"):
        items = interp.known_items(owner)
        if isinstance(index, slice) and isinstance(owner, Instance) and isinstance(owner.cls, Api):
            return cut_module(interp, owner, index, node)
        if items is not None:
            if isinstance(index, Const) and isinstance(index.value, int) and not isinstance(index.value, bool):
                return items[index.value] if -len(items) <= index.value < len(items) else UNKNOWN
            if isinstance(index, slice):
                part = cut(items, index)
                if part is not None:
                    return Tuple(part) if isinstance(owner, Tuple) else ListObject(part)
                return ListObject(None, join_all(items))
            if isinstance(index, Const) and isinstance(owner, Instance):
                found = interp.read(owner.attrs, index.value)
                return UNKNOWN if found is MISSING else found
            return join_all(items) if items else UNKNOWN
        if isinstance(owner, Instance):
            if isinstance(index, Const) and isinstance(index.value, (str, int)):
                found = interp.read(owner.attrs, str(index.value))
                if found is not MISSING:
                    return found  # type: ignore[no-any-return]
        if isinstance(index, Const) and isinstance(index.value, int) and index.value < 0:
            listed = owner.attrs.get("$children") if isinstance(owner, Instance) else owner
            known = interp.ends_of(listed) if isinstance(listed, ListObject) else ()
            if -index.value <= len(known):
                return known[index.value]
        element = interp.element_of(owner)
        if isinstance(index, slice):
            return cut_list(interp, owner, index, node)
        return one_of(interp, owner, element, index) if isinstance(owner, ListObject) else element
    if isinstance(owner, Sequence):
        if owner.first is not None and isinstance(index, Const) and index.value == 0:
            return owner.first
        if isinstance(owner.source, Instance) and owner.source.family == "module":
            return some_parameters(owner, index)
        return owner if isinstance(index, slice) else owner.element
    if isinstance(owner, Instance):
        if isinstance(owner.cls, Class):
            member = owner.cls.find("__getitem__")
            if isinstance(member, Function) and isinstance(index, Value):
                from trainlint.semantics.interpreter import Arguments

                return interp.call(Method(owner, "__getitem__", member), Arguments([index]), node)
        if owner.family == "mapping" and isinstance(index, Const) and isinstance(index.value, str):
            found = interp.read(owner.attrs, index.value)
            if found is not MISSING:
                return found  # type: ignore[no-any-return]
        row = interp.library.method_row(owner, "__getitem__")
        if row is not None and isinstance(index, Value):
            from trainlint.semantics.interpreter import Arguments

            return interp.library.perform(interp, row, Arguments([owner, index]), node, owner)
        if isinstance(index, slice) and (row := interp.library.method_row(owner, "__getslice__")) is not None:
            from trainlint.semantics.interpreter import Arguments

            ends = [NONE if end is None else end for end in (index.start, index.stop, index.step)]
            return interp.library.perform(interp, row, Arguments([owner, *ends]), node, owner)
        if owner.cls is None and isinstance(index, Tensor) and index.nature in OF_NODES:
            from trainlint.semantics.behaviours.data import of_nodes

            return Tensor(data=of_nodes(interp, NO_DATA, OF_NODES[index.nature], node), lib="torch")
        if owner.cls is None:
            name = f"[{index.value!r}]" if isinstance(index, Const) else "[]"
            child = interp.opaque_child(owner, name)
            return cut_opaque(interp, owner, child, index, node) if isinstance(index, slice) else child
    if isinstance(owner, Const) and isinstance(owner.value, str):
        return Text()
    if isinstance(owner, Api) and owner.path.endswith(".__dict__"):
        path = owner.path[: -len(".__dict__")]
        return Api(f"{path}.{index.value}" if isinstance(index, Const) else f"{path}.*")
    return UNKNOWN


def cut_list(interp: Interpreter, owner: Value, index: slice, node: Any) -> ListObject:
    """A slice of a list of unknown length, which knows what it is of, and between which places."""
    from trainlint.semantics.behaviours.lists import cut, with_rows

    part = ListObject(None, interp.element_of(owner))
    with_rows(part, cut(interp, owner, index, node))
    return part


def cut_opaque(interp: Interpreter, owner: Instance, child: Value, index: slice, node: Any) -> Value:
    """A slice of something from out of view, whose rows may be known."""
    from trainlint.semantics.behaviours.lists import cut, with_rows

    data = cut(interp, owner, index, node)
    if data is None or not isinstance(child, Instance):
        return child
    part = Instance(child.cls, child.family)
    part.attrs.update(child.attrs)
    return with_rows(part, data)


def cut_module(interp: Interpreter, owner: Instance, index: slice, node: Any) -> Instance:
    """A slice of a `Sequential` or `ModuleList`: another one, of the same layers."""
    part = Instance(owner.cls, owner.family, interp.step(node, owner.describe()))
    items = interp.known_items(owner)
    kept = cut(items, index) if items is not None else None
    part.attrs["training"] = interp.read(owner.attrs, "training")
    part.attrs["$children"] = ListObject(None, interp.element_of(owner)) if kept is None else ListObject(kept)
    part.attrs.update((str(place), layer) for place, layer in enumerate(kept or ()))
    return part


def model_makers(owner: DictObject) -> list[Value]:
    """What an unknown name may pick from a module's names: its model classes, or else its public functions."""
    values = [(k, v) for k, v in owner.known() if isinstance(k, str) and not k.startswith("_")]
    functions = [v for _, v in values if isinstance(v, Function)]
    makers = [f for f in functions if makes_model(f)] or [f for f in functions if f.name[:1].islower()]
    if makers and all(
        isinstance(v, (Function, Class))
        or not isinstance(v, Value)
        or isinstance(v, (Api, Instance, Const, ListObject, DictObject, Namespace))
        for _, v in values
    ):
        return [*makers[:8]]
    return []


def makes_model(function: Function) -> bool:
    """Whether a function plainly returns a new model of a class of the project."""
    made: set[str] = set()
    lines = function.node.body.body if isinstance(function.node, cst.FunctionDef) else ()
    for statement in (part for line in lines if isinstance(line, cst.SimpleStatementLine) for part in line.body):
        value = getattr(statement, "value", None)
        if isinstance(value, cst.Call) and isinstance(value.func, cst.Name):
            cls = function.space.attrs.get(value.func.value)
            if isinstance(cls, Class) and cls.family == "module":
                if isinstance(statement, cst.Return):
                    return True
                if isinstance(statement, cst.Assign) and isinstance(statement.targets[0].target, cst.Name):
                    made.add(statement.targets[0].target.value)
        elif isinstance(statement, cst.Return) and isinstance(value, cst.Name) and value.value in made:
            return True
    return False


def cut(items: tuple[Value, ...], index: slice) -> tuple[Value, ...] | None:
    ends: list[Any] = []
    for end in (index.start, index.stop, index.step):
        if end is None:
            ends.append(None)
        elif isinstance(end, Const) and (end.value is None or isinstance(end.value, int)):
            ends.append(end.value)
        else:
            return None
    try:
        return items[slice(*ends)]
    except Exception:
        return None


def tensor_item(interp: Interpreter, owner: Tensor, indices: list[Value | slice], node: Any = None) -> Value:
    """Indexing keeps what the elements are; the axes that go are followed where the shape is known."""
    from trainlint.semantics.behaviours.data import part_of, picked_by

    chosen = picked_by(interp, owner, indices, node)
    if chosen is not None:
        return chosen
    data = part_of(interp, owner, indices, node)
    found = of_frame(owner, indices) if is_frame(owner, indices) else indexed(form(owner), indices)
    rows = indices[0] if len(indices) == 1 else None
    kept = isinstance(rows, Tensor) and len(rows.shape or ()) == 1  # other rows, but the same axes
    axis = owner.axis if kept else None
    batched = found.batched or (owner.batched and isinstance(rows, Tensor) and rows.nature in OF_NODES)
    if owner.nature in ("a count", "a one-hot code") and isinstance(rows, (Tensor, Instance)):
        looked_up = not isinstance(rows, Tensor) or rows.kinds != MASK
        if looked_up:  # there is one at least of what is there
            owner = owner.but(nature=SOME_CODES if owner.nature == "a one-hot code" else None)
    return owner.but(shape=found.shape, last=found.last, batched=batched, data=data, axis=axis)


def is_frame(owner: Tensor, indices: list[Value | slice]) -> bool:
    """Whether an index asks a frame, whose columns have names, not its `values`, for something."""
    named = any(isinstance(index, Const) and isinstance(index.value, str) for index in indices)
    return owner.lib == "frame" and (len(indices) == 1 or named)


def some_parameters(owner: Sequence, index: Value | slice | None) -> Value:
    """Some of a module's parameters: what is done to them is not done to the module."""
    part = Instance(None)
    element = (
        owner.element.but(deps=frozenset((Dep(part, None, None),))) if isinstance(owner.element, Tensor) else UNKNOWN
    )
    return Sequence(element, part) if isinstance(index, slice) else element


def set_item(interp: Interpreter, owner: Value, indices: list[Value | slice], value: Value, target: Any) -> None:
    """`owner[indices] = value`."""
    index = indices[0] if len(indices) == 1 else None
    if isinstance(owner, Union):
        for option in owner.options:  # the one that is meant is changed for sure, and the others are not asked for
            if isinstance(option, DictObject) or (isinstance(option, Instance) and "$whole" in option.attrs):
                set_item(interp, option, indices, value, target)
    elif isinstance(owner, DictObject):
        if isinstance(index, Const):
            interp.write(owner.attrs, index.value, value)
        elif isinstance(owner, Names):
            interp.write(owner.attrs, "$closed", FALSE)
        else:
            rest = owner.rest
            interp.write(owner.attrs, DictObject.REST, value if rest is None else join(rest, value))
    elif isinstance(owner, ListObject):
        items = owner.items
        if (
            items is not None
            and isinstance(index, Const)
            and isinstance(index.value, int)
            and -len(items) <= index.value < len(items)
        ):
            position = index.value % len(items)
            interp.write(owner.attrs, "items", (*items[:position], value, *items[position + 1 :]))
        elif isinstance(index, slice):
            disorder(interp, owner)
            interp.write(owner.attrs, "element", join(owner.attrs["element"], interp.element_of(value)))
        elif items is not None:
            interp.write(owner.attrs, "items", tuple(join(i, value) for i in items))
        else:
            loosen(interp, owner)
            interp.write(owner.attrs, "element", join(owner.attrs["element"], value))
    elif isinstance(owner, Tensor):
        node = target.value
        while isinstance(node, cst.Attribute) and node.attr.value in ("loc", "iloc", "at", "iat", "values", "data"):
            node = node.value
        whole = interp.peek(node) if owner.lib == "torch" and node is not target.value else None
        while isinstance(node, cst.Subscript) and owner.lib in ("torch", "numpy"):  # `a[i][j] = …` changes `a`
            node = node.value
            around = interp.peek(node)
            owner, index = (around, UNKNOWN) if isinstance(around, Tensor) else (owner, index)
        changed = stored(owner, value, index, target)
        if isinstance(whole, Tensor):  # by its `data`, a tensor that is trained gets other numbers and stays trained
            changed = whole.but(lo=changed.lo, hi=changed.hi)
            interp.modules.same(whole, changed)
        interp.mutate(node, changed)
    elif isinstance(owner, Instance):
        if isinstance(owner.cls, Class):
            member = owner.cls.find("__setitem__")
            if isinstance(member, Function) and isinstance(index, Value):
                from trainlint.semantics.interpreter import Arguments

                interp.call(Method(owner, "__setitem__", member), Arguments([index, value]), target)
                return
        if isinstance(index, Const):
            interp.write(owner.attrs, f"[{index.value!r}]" if owner.cls is None else str(index.value), value)
        elif "$closed" in owner.attrs:
            interp.write(owner.attrs, "$closed", FALSE)
        if "$whole" in owner.attrs:
            from trainlint.semantics.behaviours.layers import set_in_part

            set_in_part(interp, owner, target)
        if "$whole" not in owner.attrs or may_be_last(target.value, index):
            interp.library.set_attribute(interp, owner, "", value, target)


# What a model gives for each of its units.
STORED = ("train", "validation", "valid", "val", "test")  # parts by which a stored `DatasetDict` is indexed
OUTPUTS = LOGITS | PROBABILITIES | SIGMOID | LOG_PROBABILITIES


def stored(owner: Tensor, value: Value, index: Value | slice | None, node: cst.CSTNode) -> Tensor:
    """A tensor after some of its elements were overwritten."""
    columns = owner.data.columns
    if columns is not None:
        owner = owner.but(data=owner.data._replace(columns=columns_after(owner, value, index, node)))
    if isinstance(value, Tensor):
        fits = value.data.fits | owner.data.fits
        part = owner.data
        if value.data.scaled != part.scaled:
            known = value.data.scaled is not None and part.scaled is not None
            part = part._replace(
                scaled=(value.data.scaled or frozenset()) | (part.scaled or frozenset()) if known else None
            )
        if owner.lib == "frame" and (value.data.tokens & owner.data.tokens or not owner.data.tokens):
            part = part._replace(fits=fits, tokens=owner.data.tokens | value.data.tokens)
        elif owner.lib == value.lib == "numpy" and value.data.tokens and part.tokens <= value.data.tokens:
            came = value.data._replace(columns=None, order=None)  # an array that is filled row by row
            part = mix_data(part, came) if part.tokens else came
        if owner.dtype != value.dtype or len(value.shape or ()) != 1:
            owner = owner.but(dtype=None)
        blank = owner.lib == "torch" and owner.lo == owner.hi == 0 and not owner.kinds and not owner.deps
        filled = blank and value.kinds != 0 and value.kinds & ~OUTPUTS == 0  # step by step, as decoders do
        if blank and value.kinds == MASK:
            owner = owner.but(kinds=MASK, nature=value.nature)
        return owner.but(
            kinds=value.kinds if filled or owner.kinds == value.kinds else 0,
            trace=value.trace if filled else owner.trace, lo=min(owner.lo, value.lo), hi=max(owner.hi, value.hi),
            nature=owner.nature if owner.nature == value.nature else None, deps=owner.deps | value.deps, data=part,
            graph=owner.graph or value.graph, grown=owner.grown | value.grown,
        )  # fmt: skip
    if is_number(value):
        lo, hi = bounds(value)
        # A masked store usually mends the bad elements: what they were is no longer known to be reached.
        changed = owner.but(lo=min(owner.lo, lo), hi=max(owner.hi, hi), nature=None, kinds=0)
        if owner.lib == "numpy" and isinstance(index, Tensor):  # a model that decides where gives what comes out
            return changed.but(deps=owner.deps | severed(index.deps))
        return changed
    return owner.but(kinds=0, nature=None, dtype=None, graph=owner.graph or None)


def columns_after(
    owner: Tensor, value: Value, index: Value | slice | None, node: cst.CSTNode
) -> tuple[Any, ...] | None:
    """The columns of a table whose own contents are left, after an assignment to some."""
    columns = owner.data.columns
    if columns is None or columns[0] != "all" or owner.lib != "frame":
        return columns if columns is not None and columns[0] == "all" and owner.lib != "frame" else None
    if not isinstance(index, Const):
        return columns
    name = index.value
    same = isinstance(value, Tensor) and value.data.columns == ("only", frozenset((name,)), *columns[2:])
    if same and isinstance(value, Tensor) and value.data.tokens & owner.data.tokens:
        return columns
    return ("all", dropped(columns[1], {name}) | {("now", name, id(node))}, *columns[2:])


def is_instance(value: Value, wanted: Value) -> bool | None:
    """`isinstance(value, wanted)`: True, False, or None for unknown."""
    if isinstance(wanted, Tuple):
        results = [is_instance(value, w) for w in wanted.items]
        return True if True in results else (None if None in results else False)
    if isinstance(value, Union):
        found = {is_instance(o, wanted) for o in value.options}
        return found.pop() if len(found) == 1 else None
    name = wanted.path.rpartition(".")[2] if isinstance(wanted, Api) else ""
    if isinstance(value, Const):
        if value.value is None:
            return False
        return type(value.value).__name__ == name if isinstance(wanted, Api) else False
    if isinstance(value, Instance) and value.cls is not None:
        if isinstance(wanted, Class):
            return isinstance(value.cls, Class) and derives(value.cls, wanted)
        if isinstance(wanted, Api):
            if isinstance(value.cls, Api):
                if value.cls.path.rpartition(".")[2] == name:
                    return True
                if value.cls.path.endswith(".*"):
                    return None  # a setting names its class
                if name == "Module" and is_torch_module(value):
                    return True
                return None if name in ("Module", "_BatchNorm", "Dataset", "_DropoutNd", "_ConvNd") else False
            if name in {p.rpartition(".")[2] for p in value.cls.api}:
                return True
            if name == "Module" and is_torch_module(value):
                return True
            if name != "Module" and wanted.path.startswith("torch.nn.") and is_plain_module(value.cls):
                return False  # a module of the project's own is none of the layers
            return None if value.cls.api else False
        return None
    if isinstance(value, ListObject):
        return name == "list" if isinstance(wanted, Api) else None
    if isinstance(value, DictObject):
        return name in ("dict", "Mapping") if isinstance(wanted, Api) else None
    if isinstance(value, Tuple):
        return name == "tuple" if isinstance(wanted, Api) else None
    if isinstance(value, Tensor) and isinstance(wanted, Api):
        if value.lib == "torch" and value.shape is not None:
            return name == "Tensor"
        if value.nature == ANSWERS and name == "tuple":
            return False  # of one head, as nearly all models have it
    return None


def is_torch_module(value: Instance) -> bool:
    """Whether an object is surely a module of PyTorch, be it of a class of the project's own."""
    paths = (value.cls.path,) if isinstance(value.cls, Api) else value.cls.api if isinstance(value.cls, Class) else ()
    return value.family == "module" and any(path.startswith(("torch.nn.", "torchvision.models.")) for path in paths)


def is_exactly(value: Value, wanted: Value) -> bool | None:
    """`type(value) is wanted`, or one of the types that a tuple or list holds: True, False, or None for unknown."""
    if isinstance(value, Union):
        found = {is_exactly(o, wanted) for o in value.options}
        return found.pop() if len(found) == 1 else None
    if isinstance(wanted, (Tuple, ListObject)):
        if wanted.items is None:
            return None
        results = [is_exactly(value, w) for w in wanted.items]
        return True if True in results else (None if None in results else False)
    if isinstance(value, Instance) and value.cls is not None and isinstance(wanted, (Api, Class)):
        return value.cls.key == wanted.key
    return is_instance(value, wanted) if isinstance(value, (ListObject, DictObject, Tuple, Const, Tensor)) else None


def as_instance(value: Value, wanted: Value) -> Value | None:
    """What a value is, once it is known to be an instance of `wanted`; None when it cannot be one."""
    path = wanted.path if isinstance(wanted, Api) else ""
    if isinstance(value, Tensor) and value.lib == "torch" and path in ("float", "int", "str", "list", "tuple", "dict"):
        return None
    if value is UNKNOWN or (
        isinstance(value, Instance)
        and value.cls is None
        and not value.family
        and value.attrs.keys() <= {"$item", "$any"}
    ):
        if path == "torch.Tensor":
            return Tensor()
        if path in ("float", "int"):
            return Number(integer=path == "int")
        if path == "str":
            return Text()
    if isinstance(value, Instance) and value.family == "scheduler" and value.api_path.endswith(".*") and path:
        return named_by(value, path)
    return value


def named_by(value: Instance, path: str) -> Instance:
    """An object whose class a setting names, where it is known to be this one: the same object again."""
    known = value.attrs.get(f"$as {path}")
    if not isinstance(known, Instance):
        made = value.born
        born = None if made is None else made._replace(label=path.rpartition(".")[2])
        known = Instance(Api(path), value.family, born)
        known.attrs = value.attrs
        value.attrs[f"$as {path}"] = known
    return known


def delete_item(interp: Interpreter, owner: Value, index: Value | slice) -> None:
    """`del owner[index]`."""
    if isinstance(owner, DictObject) and isinstance(index, Const):
        interp.journal.remove(owner.attrs, index.value)
    elif isinstance(owner, ListObject) and owner.items is not None:
        items = owner.items
        if isinstance(index, Const) and isinstance(index.value, int) and -len(items) <= index.value < len(items):
            position = index.value % len(items)
            interp.write(owner.attrs, "items", items[:position] + items[position + 1 :])
        else:
            disorder(interp, owner)
    elif isinstance(owner, ListObject):
        loosen(interp, owner)


def dropped(gone: frozenset[Any], names: Set[Any]) -> frozenset[Any]:
    """The names that are gone from a table, once these are too."""
    marks = {mark for mark in gone if isinstance(mark, tuple) and mark[1] in names}
    return gone - marks | frozenset(names)


def without(owner: Tensor, indices: list[Value | slice]) -> Tensor:
    """A table after `del table[name]`."""
    columns, index = owner.data.columns, indices[0] if indices else None
    left = None
    if columns is not None and columns[0] == "all" and isinstance(index, Const):
        left = ("all", dropped(columns[1], {index.value}), *columns[2:])
    return owner.but(data=owner.data._replace(columns=left))


def derives(cls: Class, wanted: Class) -> bool:
    return cls is wanted or any(isinstance(b, Class) and derives(b, wanted) for b in cls.bases)
