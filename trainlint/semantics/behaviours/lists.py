"""Which rows a list holds: where they come from, and what was done to their order and choice since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.behaviours.data import (
    Same,
    assigned_part,
    column_names,
    draw,
    end_of,
    is_anything,
    left_out,
    mixed,
    ordered,
    part_in_path,
    sameness,
    values_named,
    words_of,
)
from trainlint.semantics.library import PLACES, Call, at_run, behaviour, builtin
from trainlint.semantics.values import (
    HELD,
    LEFT_OUT,
    NO_DATA,
    OF_PART,
    UNKNOWN,
    Const,
    DataInfo,
    Instance,
    ListObject,
    Sequence,
    Step,
    Tensor,
    Text,
    Value,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name, names_in

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter
    from trainlint.syntax.index import Index

OWN = ("own",)  # nothing tells the rows from others but the object that holds them
WITHIN = "within"  # done to rows: a condition chose them from those that a loop puts into a list of this token
LISTED = ("listed",)  # done to the order of rows: they are files, in the order of their folder


@dataclass(frozen=True, eq=False)
class At:
    """Where something was done to rows, which does not tell it from the same done elsewhere."""

    step: Step

    def __eq__(self, other: object) -> bool:
        return isinstance(other, At)

    def __hash__(self) -> int:
        return 0


def held(value: Value | None) -> DataInfo | None:
    """What is known of the rows that an array, a list, or something from out of view holds."""
    if isinstance(value, Tensor):
        return value.data if value.data.tokens else None
    if not isinstance(value, (ListObject, Instance)):
        return None
    known = value.attrs.get(HELD)
    if known is not None:
        return known  # type: ignore[no-any-return]
    shuffled = value.attrs.get("$shuffled", frozenset())
    opaque = isinstance(value, Instance) and value.cls is None and not value.family and not is_anything(value)
    if opaque or (isinstance(value, ListObject) and value.items is None):
        part = value.attrs.get(OF_PART)
        return DataInfo(frozenset((value.token,)), part, order=None if shuffled is None else shuffled | {OWN})
    return None


def with_rows(made: Value, data: DataInfo | None) -> Value:
    """A new list, with what is known of its rows."""
    if data is not None and data.order is not None and isinstance(made, (ListObject, Instance)):
        made.attrs[HELD] = data
    return made


def cut(interp: Interpreter, owner: Value, index: slice, node: Any) -> DataInfo | None:
    """The rows of a slice."""
    data = held(owner)
    if data is None or index.step is not None:
        return None
    interp.keep += [end for end in (owner, index.start, index.stop) if end is not None]
    part = node.slice[0].slice if isinstance(node, cst.Subscript) else None
    written = (part.lower, part.upper) if isinstance(part, cst.Slice) else (None, None)
    ends = (end_of(interp, *pair) for pair in zip((index.start, index.stop), written, strict=True))
    if (called_part := assigned_part(interp, node)) in ("val", "test") and data.part is None:
        data = data._replace(part=called_part)
    return ordered(data, ("chosen", *ends))


def has_gap(path: Value) -> bool:
    """Whether a path, or a piece of it, is empty, as where users are to write their own."""
    pieces = path.made or () if isinstance(path, Text) else (path,)
    return any(isinstance(piece, Const) and piece.value == "" for piece in pieces)


@behaviour("listed")
@builtin("str.glob", "str.rglob", "str.iterdir")
def listed(call: Call) -> Value:
    """The files of a folder: the same wherever the same folder is asked for them."""
    item = Text() if call.path.startswith(("glob.", "os.")) else Instance(None, "")
    made = ListObject(None, item)
    where = tuple(object() if has_gap(value) else sameness(value) for value in call.arguments.values())
    call.interp.keep += (*call.arguments.values(), where)
    token = abs(hash((call.short_name, where)))
    said = {part_in_path(words_of(value)) for value in call.arguments.values()}
    part = next((part for part in ("test", "val") if part in said), None)
    return with_rows(made, DataInfo(frozenset((token,)), part, order=frozenset((LISTED,))))


@behaviour("drawn_items")
def drawn_items(call: Call) -> Value:
    """`random.sample(rows, k)`: the first ones of another order of them."""
    bound = call.receiver is not None
    given = call.arguments.positional[bound:]
    if not given:
        return UNKNOWN
    made = ListObject(None, call.interp.element_of(given[0]))
    data, many = held(given[0]), given[1] if len(given) > 1 else call.arguments.keywords.get("k", UNKNOWN)
    call.interp.keep += given
    if data is None:
        return made
    return with_rows(made, ordered(mixed(data, draw(call)), ("chosen", None, Same(many))))


def sorted_list(call: Call, made: ListObject, data: DataInfo | None) -> Value:
    """The rows of a list in an order that is the same wherever it is asked for in the same words."""
    if data is None:
        return made
    how = tuple((name, spelled(call.interp, node)) for name, node in sorted(call.arguments.keyword_nodes.items()))
    return with_rows(made, ordered(data, ("sorted", how, At(call.interp.step(call.node, "sorted")))))


def spelled(interp: Interpreter, node: Any, but: frozenset[str] = frozenset()) -> Any:
    """What an expression is: how it is written, and what stands for the names in it that are bound elsewhere."""
    parts = [*nodes_in(node)]
    own = {part.name.value for part in parts if isinstance(part, cst.Param)}
    return cst.Module([]).code_for_node(node), *values_named(interp, parts, but | own)


RANGE = NO_DATA._replace(tokens=PLACES)  # the places of all rows


def listed_rows(call: Call) -> DataInfo | None:
    """The rows of `list(rows)`, and of `sorted(rows)` before they are sorted."""
    given: Any = call.node.args[0].value if isinstance(call.node, cst.Call) and call.node.args else None
    if isinstance(given, cst.GeneratorExp):
        return gone_through(call.interp, given)
    if isinstance(given, cst.Call) and called(given) == "range" and len(given.args) == 1:
        return RANGE
    if isinstance(call.first, Sequence) and call.first.ends is not None:
        return at_run(call.first.ends)._replace(tokens=PLACES)
    if isinstance(given, cst.Call) and called(given) == "zip":
        return side_by_side([call.interp.peek(argument.value) for argument in given.args])
    return held(call.first)


def side_by_side(values: list[Value | None]) -> DataInfo | None:
    """The rows of lists that are walked through at once: those of the first, if all are in one order."""
    known = [data for value in values if (data := held(value)) is not None and data.order is not None]
    alike = len({in_order(data.order) for data in known if data.order is not None}) == 1
    return known[0] if alike and len(known) == len(values) else None


def comprehended(interp: Interpreter, node: Any, made: ListObject) -> None:
    """Note of a list comprehension which rows it gives, or which columns."""
    if node.for_in.inner_for_in is not None or picked(interp, node, made) or columns_but(interp, node, made):
        return
    if (data := gone_through(interp, node)) is not None:
        made.attrs[HELD] = data


def gone_through(interp: Interpreter, node: Any) -> DataInfo | None:
    """The rows of `f(row) for row in rows if …`: those that it goes through, in their order."""
    clause = node.for_in
    walked, target = clause.iter, clause.target
    mates: list[Any] = []
    while isinstance(walked, cst.Call) and called(walked) in ("enumerate", "tqdm", "zip", "list") and walked.args:
        if called(walked) == "enumerate" and isinstance(target, cst.Tuple):
            target = target.elements[-1].value
        mates = [arg.value for arg in walked.args[1:]] if called(walked) == "zip" else []
        walked = walked.args[0].value
    value = listed_anew(interp, walked) or interp.peek(walked)
    if clause.inner_for_in is not None or (isinstance(value, Tensor) and value.lib == "torch"):
        return None
    data = side_by_side([value, *(interp.peek(mate) for mate in mates)])
    if data is None:
        return None
    interp.keep.append(value)
    names = frozenset(part.value for part in nodes_in(target) if isinstance(part, cst.Name))
    for condition in clause.ifs:
        data = ordered(data, ("chosen", ("if", *spelled(interp, condition.test, names))))
    if not is_item(node.elt, names):
        data = ordered(data, ("mapped", *spelled(interp, node.elt, names)))
    return data


def listed_anew(interp: Interpreter, node: Any) -> Value | None:
    """What `os.listdir(…)` gives where it is called to be gone through."""
    plain = isinstance(node, cst.Call) and called(node) in ("listdir", "glob", "rglob", "iterdir")
    return interp.eval(node) if plain else None


def fill(call: Call, target: ListObject) -> None:
    """Note of a list that loops begin to fill which rows it gets: what the outermost of them goes through decides, with
    all that stands for the names in it."""
    from trainlint.semantics.interpreter import outwards

    interp, rows, outer, part = call.interp, None, None, None
    for region in outwards(interp.region):
        if region.kind == "call":
            break
        if not isinstance(region.node, cst.For):
            continue
        value = region.value.source if isinstance(region.value, Sequence) else region.value
        known = value.attrs.get(HELD) if isinstance(value, ListObject) else None
        if isinstance(value, Instance) and OF_PART in value.attrs:
            known = held(value)
        if known is not None and known.order is not None:
            rows, outer, part = known, region, part or known.part
    source = interp.frame.space.source
    if rows is None or outer is None or source is None:
        return
    block: Any = source.index.statement(call.node)
    for _ in range(2):  # the line, and the block around it
        block = source.index.parent(block)
    if interp.filling[0] is not outer:
        names = [node for node in nodes_in(outer.node.body) if isinstance(node, (cst.Name, cst.Attribute))]
        bound = {name for node in nodes_in(outer.node) for name in bound_by(node)}
        interp.filling = outer, values_named(interp, names, bound)
    free = interp.filling[1]
    interp.keep += [rows, free]
    known = (rows.tokens, rows.order, rows.part, *free)
    body = around_conditions(block, source.index)
    order = frozenset() if body is None else frozenset(((WITHIN, abs(hash((id(body), *known)))),))
    token = abs(hash((id(block), *known)))
    interp.write(target.attrs, HELD, DataInfo(frozenset((token,)), part, order=order))


def around_conditions(block: Any, index: Index) -> Any:
    """The body of the loop in which a condition decides whether a block runs, each turn of which comes to its end; None
    for a block that is the body itself."""
    body = block
    while isinstance(index.parent(body), (cst.If, cst.Else)):
        above = index.parent(body)
        while isinstance(above, (cst.If, cst.Else)):
            above = index.parent(above)
        body = above
    leaves = any(isinstance(node, (cst.Continue, cst.Break, cst.Return)) for node in nodes_in(body))
    return None if body is block or leaves or not isinstance(index.parent(body), cst.For) else body


def bound_by(node: Any) -> list[str]:
    """The names that a statement binds, and those of lists that a call adds to."""
    if isinstance(node, (cst.For, cst.AssignTarget, cst.CompFor)):
        return list(names_in(node.target))
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "append":
        target = node.func.value
        return [target.attr.value] if isinstance(target, cst.Attribute) else list(names_in(target))
    return []


def columns_but(interp: Interpreter, node: Any, made: ListObject) -> bool:
    """Note of `[name for name in table.columns if name != …]` which columns are not among them."""
    clause = node.for_in
    walked = clause.iter
    of_table = isinstance(walked, cst.Attribute) and walked.attr.value == "columns"
    gone = left_out(interp.eval(walked) if of_table else interp.peek(walked))
    if gone is None or not isinstance(clause.target, cst.Name) or not is_name(node.elt, clause.target.value):
        return False
    tests = [condition.test for condition in clause.ifs]
    while tests:
        test = tests.pop()
        if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
            tests += [test.left, test.right]
            continue
        if not isinstance(test, cst.Comparison) or not is_name(test.left, clause.target.value):
            return False
        compared = test.comparisons[0]
        names = names_in_view(interp, compared.comparator)
        if names is None or not isinstance(compared.operator, (cst.NotEqual, cst.NotIn)):
            return False
        gone |= names
    made.attrs[LEFT_OUT] = gone
    return True


def names_in_view(interp: Interpreter, node: Any) -> frozenset[Any] | None:
    """The strings that an expression is, or is a list of."""
    if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
        found = [names_in_view(interp, element.value) for element in node.elements]
        return None if None in found else frozenset().union(*found)  # type: ignore[arg-type]
    value = Const(node.raw_value) if isinstance(node, cst.SimpleString) else interp.peek(node)
    return column_names(value)


def picked(interp: Interpreter, node: Any, made: ListObject) -> bool:
    """Note of `[rows[i] for i in places]` at which places of which rows they are, where these are drawn in view."""
    clause, element = node.for_in, node.elt
    if element.__class__ is not cst.Subscript or clause.ifs or len(element.slice) != 1:
        return False
    index = element.slice[0].slice
    if index.__class__ is not cst.Index or not index.value.deep_equals(clause.target):
        return False
    given, rows = interp.peek(clause.iter), interp.peek(element.value)
    places, data = held(given), held(rows)
    if isinstance(given, Tensor) and given.data.order:
        places = given.data
    if places is None or data is None or not places.order or data.order is None:
        return False
    interp.keep += [given, rows]
    made.attrs[HELD] = data._replace(order=data.order | places.order | {("by", places.tokens)})
    if isinstance(given, Tensor):
        made.attrs["$places"] = interp.step(clause.iter, "chosen")
    return True


def in_order(order: frozenset[Any]) -> frozenset[Any]:
    """What was done to the order and choice of rows, whatever became of each."""
    return frozenset(key for key in order if key[0] not in ("mapped", "listed", "own"))


def is_item(node: Any, names: frozenset[str]) -> bool:
    """Whether an expression is what a loop goes through, or an entry of that."""
    while isinstance(node, (cst.Subscript, cst.Attribute)):
        if isinstance(node, cst.Subscript) and not isinstance(
            getattr(node.slice[0].slice, "value", None), (cst.Integer, cst.SimpleString)
        ):
            return False
        node = node.value
    return any(is_name(node, name) for name in names) or (
        isinstance(node, cst.Tuple) and all(is_item(element.value, names) for element in node.elements)
    )
