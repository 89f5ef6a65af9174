"""How totals are written: where a name starts at 0, what a loop adds to it, and where it gets a new value instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import libcst as cst

from trainlint.semantics.interpreter import dotted_name
from trainlint.semantics.modules import is_self
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import (
    called,
    contains,
    is_literal,
    is_name,
    is_one,
    is_plain,
    is_plain_call,
    keyword,
    names_in,
    positional,
)

LOOPS = (cst.For, cst.While, cst.FunctionDef)  # a function may be called in one


def starts_at_zero(index: Index, name: cst.Name, loop: Any) -> bool:
    """Whether a name is set to 0 before a loop, and to anything else in the loop only."""
    before, inside = assigned_around(index, name, loop)
    return bool(inside) and any(map(sets_to_zero, before)) and all(isinstance(o, cst.Assign) for o in inside)


def replaced_in(index: Index, name: Any, loop: Any) -> Any:
    """Where a loop sets a name anew that is 0 before it, as totals are, and to anything else in the loop only."""
    if not isinstance(name, cst.Name) or not starts_at_zero(index, name, loop):
        return None
    inside = [assign for assign in assigned_around(index, name, loop)[1] if not sets_to_zero(assign)]
    if not inside or any(
        name.value in names_in(assign.value) or isinstance(assign.value, cst.UnaryOperation) for assign in inside
    ):
        return None  # it is added up, or was meant to be: `total =+ loss`
    return inside[0]


def assigned_around(index: Index, name: cst.Name, loop: Any) -> tuple[list[Any], list[Any]]:
    """The assignments to a name outside of a loop, and those in it; none where the name is bound otherwise too."""
    before: list[Any] = []
    inside: list[Any] = []
    for binding in index.lookup(name):
        if not isinstance(binding.origin, (cst.Assign, cst.AugAssign)):
            return [], []
        if any(above is loop for above in index.ancestors(binding.node)):
            inside.append(binding.origin)
        else:
            before.append(for_name(binding.origin, name))
    return before, inside


def for_name(assign: Any, name: cst.Name) -> Any:
    """What `a, b = x, y` does to one of the names, as an assignment of its own; any other one as it is."""
    given = [value for target, value in begun_by(assign) if target.value == name.value]
    alone = not isinstance(assign, cst.Assign) or not isinstance(assign.targets[0].target, cst.Tuple)
    return assign if alone or len(given) != 1 else cst.Assign([cst.AssignTarget(name)], given[0])


def overwrites_total(index: Index, quotient: Any, dividend: Any) -> bool:
    """Whether what each turn of a loop sets anew is divided, and assigned to the name that the loop has added it up
    under."""
    statement = index.parent(quotient)
    target = statement.targets[0].target if isinstance(statement, cst.Assign) and statement.value is quotient else None
    if not isinstance(target, cst.Name) or not isinstance(dividend, cst.Name) or target.value == dividend.value:
        return False
    origins: list[Any] = [binding.origin for binding in index.lookup(target)]
    sums = [origin for origin in origins if adds_up(origin) and dividend.value in names_in(gain_of(origin))]
    loop = next((n for n in index.ancestors(sums[0]) if isinstance(n, (cst.For, cst.While))), None) if sums else None
    if loop is None or statement is None or any(above is loop for above in index.ancestors(statement)):
        return False
    before, inside = assigned_around(index, target, loop)
    outside, fresh = assigned_around(index, dividend, loop)
    return (
        any(map(sets_to_zero, before))
        and all(map(adds_up, inside))
        and not outside
        and bool(fresh)
        and all(isinstance(origin, cst.Assign) for origin in fresh)
    )


def sets_to_zero(assign: Any) -> bool:
    return assign.__class__ is cst.Assign and is_zero(assign.value)


_COUNTS = re.compile(r"^([^=\n]*)(?:\+=|=[^=\n]*(?:\b0|zeros|tensor))", re.MULTILINE)


@lru_cache(maxsize=64)
def counted_names(text: str) -> frozenset[str]:
    """The names that a program adds something to, or begins at 0, and some more: nothing else is a total or a count."""
    return frozenset(word for match in _COUNTS.finditer(text) for word in re.findall(r"\w+", match[1]))


def adds_up(assign: Any) -> bool:
    """Whether an assignment is `total += gain`, `total = total + gain` or `total = gain + total`."""
    if assign.__class__ is cst.Assign:
        value: Any = assign.value
        is_sum = value.__class__ is cst.BinaryOperation and value.operator.__class__ is cst.Add
        total = assign.targets[0].target
        return is_sum and len(assign.targets) == 1 and (value.left.deep_equals(total) or value.right.deep_equals(total))
    return assign.__class__ is cst.AugAssign and assign.operator.__class__ is cst.AddAssign


def total_of(sum_: Any) -> Any:
    """What an assignment that adds up adds to."""
    return sum_.target if sum_.__class__ is cst.AugAssign else sum_.targets[0].target


def gain_of(sum_: Any) -> Any:
    """What an assignment that adds up adds."""
    if sum_.__class__ is cst.AugAssign:
        return sum_.value
    return sum_.value.right if sum_.value.left.deep_equals(total_of(sum_)) else sum_.value.left


def is_zero(node: Any) -> bool:
    """Whether 0 is written, or several at once, be it as a tensor."""
    kind = node.__class__
    if kind is cst.Tuple:
        return all(is_zero(element.value) for element in node.elements)
    if kind is cst.Call and dotted_name(node.func) in ("torch.zeros", "torch.tensor"):
        given = positional(node)
        alone = len(given) == 1 and (given[0].deep_equals(cst.Tuple([])) or is_one(given[0]))
        return alone if called(node) == "zeros" else len(given) == 1 and is_zero(given[0])
    return (kind is cst.Integer or kind is cst.Float) and float(node.evaluated_value) == 0


def measures_walked(index: Index, count: Any, loop: Any) -> bool:
    """Whether a number is made from the length of what a loop walks over, in one batch or another."""
    if not isinstance(loop, cst.For) or any(keyword(node, "batch_size") is not None for node in nodes_in(loop.iter)):
        return False
    lengths: list[Any] = [n for node in written_out(index, count) for n in nodes_in(node) if is_plain_call(n, "len")]
    walked = set(names_in(loop.iter))
    return any(is_name(given, name) for call in lengths for given in positional(call) for name in walked)


def written_out(index: Index, node: Any) -> Iterator[Any]:
    """An expression, and what the names in it stand for that are bound only once."""
    yield node
    for name in nodes_in(node):
        bindings = index.lookup(name) if isinstance(name, cst.Name) else []
        if len(bindings) == 1 and isinstance(bindings[0].origin, cst.Assign):
            yield bindings[0].origin.value


def is_number_of_turn(node: Any, loop: Any) -> bool:
    """Whether an expression is `i + 1` for the `i` of `for i, … in enumerate(…)`, or the `i` of `enumerate(…, 1)`."""
    if not isinstance(loop, cst.For) or called(loop.iter) != "enumerate" or not isinstance(loop.target, cst.Tuple):
        return False
    first = loop.target.elements[0].value
    if not isinstance(first, cst.Name):
        return False
    given = positional(loop.iter) if isinstance(loop.iter, cst.Call) else []
    if len(given) == 2:
        return is_one(given[1]) and is_name(node, first.value)
    if not isinstance(node, cst.BinaryOperation):
        return False
    plus_one = isinstance(node.operator, cst.Add) and isinstance(node.right, cst.Integer) and node.right.value == "1"
    return plus_one and is_name(node.left, first.value)


def goes_with_turn(count: Any, loop: Any) -> bool:
    """Whether an expression is the `i` of `for i, … in enumerate(…)` or the number of its turns, or some times that."""
    if isinstance(count, cst.BinaryOperation) and isinstance(count.operator, cst.Multiply):
        return goes_with_turn(count.left, loop) or goes_with_turn(count.right, loop)
    if is_number_of_turn(count, loop):
        return True
    target = loop.target if isinstance(loop, cst.For) and called(loop.iter) == "enumerate" else None
    return isinstance(target, cst.Tuple) and is_name(count, getattr(target.elements[0].value, "value", ""))


def is_number_of_turns(index: Index, count: Any, loop: Any) -> bool:
    """Whether an expression is the `n` of `for … in range(n)`, also where the range is wrapped and has a name."""
    if not isinstance(loop, cst.For):
        return False
    walked: list[Any] = [node for part in written_out(index, loop.iter) for node in nodes_in(part)]
    ranges = (positional(node) for node in walked if is_plain_call(node, "range"))
    is_product = isinstance(count, cst.BinaryOperation) and isinstance(count.operator, cst.Multiply)
    counts = (count.left, count.right) if is_product else (count,)
    return any(len(given) == 1 and any(given[0].deep_equals(part) for part in counts) for given in ranges)


def is_other_length(node: Any, loop: Any) -> bool:
    """Whether an expression is the length of something that a loop does not set anew in each turn."""
    given = positional(node) if is_plain_call(node, "len") else []
    return bool(given) and root_of(given[0]) not in targets(loop)


def is_total_of_batch(value: Any, loop: Any) -> bool:
    """Whether a mean is multiplied with the size of a turn's batch: `loss.item() * x.size(0)`."""
    if not isinstance(value, cst.BinaryOperation) or not isinstance(value.operator, cst.Multiply):
        return False
    sizes = (value.left, value.right)
    return any(is_size(n) or is_plain_call(n, "size") or is_plain_call(n, "len") for n in sizes) and any(
        root_of(n) in targets(loop) for n in sizes
    )


def uneven(index: Index, dividend: Any, divisor: Any, quotient: Any) -> Any:
    """Where a loop gives one side of a quotient a new value in each turn, while it adds up the other; both are 0 before
    it, as totals are."""
    names = [side for side in (dividend, divisor) if isinstance(side, cst.Name)]
    loop = next((found for name in names if (found := loop_of(index, name)) is not None), None)
    if loop is None:
        return None
    within = any(above is loop for above in index.ancestors(quotient))
    for one, other in ((dividend, divisor), (divisor, dividend)):
        place = replaced_in(index, one, loop)
        if place is None or not is_of_turn(index, loop, place):
            continue
        if one is divisor and not isinstance(place.targets[0].target, cst.Name):
            continue  # a part of what a call gives is no count
        counted = one is dividend and (
            is_number_of_turn(divisor, loop)
            or (not within and measures_walked(index, divisor, loop))
            or (not within and is_number_of_turns(index, divisor, loop))
            or (not within and is_total_of_batch(place.value, loop) and is_other_length(divisor, loop))
            or (within and is_every_nth(index, quotient, divisor, loop))
        )
        if counted or is_total(index, other, loop):
            return place
    return None


def loop_of(index: Index, name: cst.Name) -> Any:
    """The innermost loop in which a name is bound that is 0 before."""
    bindings = index.lookup(name)
    if len(bindings) < 2 or not any(sets_to_zero(binding.origin) for binding in bindings):
        return None
    around = (
        above for binding in bindings if not sets_to_zero(binding.origin) for above in index.ancestors(binding.node)
    )
    return next((above for above in around if isinstance(above, LOOPS)), None)


def is_never_emptied(index: Index, quotient: Any, total: Any, divisor: Any) -> bool:
    """Whether every nth turn of a loop divides by n, or by a count that begins again, what each turn adds to a total,
    which the loop never sets to 0."""
    if not isinstance(total, cst.Name):
        return False
    loop = next((above for above in index.ancestors(quotient) if isinstance(above, LOOPS)), None)
    if loop is None or isinstance(loop, cst.FunctionDef):
        return False
    before, inside = assigned_around(index, total, loop)
    if not inside or not all(map(adds_up, inside)) or not any(map(sets_to_zero, before)):
        return False
    return is_every_nth(index, quotient, divisor, loop)


def is_every_nth(index: Index, quotient: Any, divisor: Any, loop: Any) -> bool:
    """Whether a loop divides in every nth turn, by n or by a count that begins again, and goes on."""
    tests: list[Any] = []
    for above in index.ancestors(quotient):
        if above is loop:
            break
        if isinstance(above, LOOPS):
            return False
        if isinstance(above, cst.If):
            if any(isinstance(part, (cst.Break, cst.Return, cst.Raise)) for part in nodes_in(above.body)):
                return False
            tests.append(above.test)
    turns = [part for test in tests for part in nodes_in(test) if isinstance(part, cst.BinaryOperation)]
    rests = [part for part in turns if isinstance(part.operator, cst.Modulo)]
    if any(part.left.deep_equals(quotient.left) for part in rests if isinstance(quotient, cst.BinaryOperation)):
        return False  # which turn it is, by how many there are between two of these
    every = [part.right for part in rests]
    apart = any(one.deep_equals(factor) for one in every for factor in factors_of(divisor))
    return apart or (bool(tests) and begins_again(index, divisor, loop))


def begins_again(index: Index, count: Any, loop: Any) -> bool:
    """Whether a loop adds to a count, and now and then sets it to 0."""
    inside = assigned_around(index, count, loop)[1] if isinstance(count, cst.Name) else []
    resets = [assign for assign in inside if sets_to_zero(assign)]
    return 0 < len(resets) < len(inside) and all(map(adds_up, (a for a in inside if a not in resets)))


def factors_of(node: Any) -> Iterator[Any]:
    """What a product multiplies; any other expression is its only factor."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Multiply):
        yield from factors_of(node.left)
        yield from factors_of(node.right)
    else:
        yield node


def is_total(index: Index, name: Any, loop: Any) -> bool:
    """Whether a name is 0 before a loop, and only added to in it, or set to 0 again."""
    if not isinstance(name, cst.Name):
        return False
    before, inside = assigned_around(index, name, loop)
    sums = [assign for assign in inside if not sets_to_zero(assign)]
    return bool(sums) and any(map(sets_to_zero, before)) and all(map(adds_up, sums))


def is_of_turn(index: Index, loop: Any, assign: Any) -> bool:
    """Whether an assignment in a loop computes something from what this turn has set, and from nothing that grows; a
    difference may be the time since the loop began."""
    if not isinstance(loop, cst.For):
        return False
    if not isinstance(assign.value, (cst.Call, cst.BinaryOperation, cst.Subscript, cst.Name)):
        return False
    if any(isinstance(getattr(node, "operator", None), cst.Subtract) for node in nodes_in(assign.value)):
        return False
    counter = called(loop.iter) in ("enumerate", "range")
    assigns = [part for block in blocks_of(loop) for part in block if isinstance(part, cst.Assign)]
    walked = targets(loop)
    taken = [part for part in assigns if is_part_of(part.value, walked)]
    made = {name for part in assigns if part not in taken for name in targets(part)}
    if not isinstance(assign.value, cst.Name):  # what the loop walks over may be kept for the next turn
        made.update(walked, *map(targets, taken))
    root = root_of(assign.value)
    if root not in made:  # `F.mse_loss(scores, y)`
        root = next((name for name in names_in(assign.value) if name in made), root)
    if root is None or (counter and [root] == targets(loop)[:1]) or root not in made:
        return False
    afresh = {name for part in next(blocks_of(loop)) if isinstance(part, cst.Assign) for name in targets(part)}
    return root in afresh or not any(is_name(feed.target, root) for feeds in feeds_of(loop) for feed in feeds)


def is_part_of(node: Any, names: list[str]) -> bool:
    """Whether an expression is one of the names, or an item of what one stands for."""
    node = node.value if isinstance(node, cst.Subscript) else node
    return isinstance(node, cst.Name) and node.value in names


def overwritten_sum(index: Index, dividend: Any, divisor: Any, is_measured: bool, is_share: bool = False) -> Any:
    """Where a method that adds to `self.count` gives `self.sum`, which is divided by it somewhere in the class, the
    share of this call alone: `self.sum = value * n`, `self.count += n`; what is measured of a batch may count 1, and
    `is_share` tells that the sum of a batch is divided by the sizes of all."""
    methods = [above for above in index.ancestors(dividend) if isinstance(above, cst.ClassDef)]
    divisor = unguarded(divisor)
    if not methods or not is_held(dividend) or not is_held(divisor):
        return None
    for method in (part for part in nodes_in(methods[0].body) if part.__class__ is cst.FunctionDef):
        parts = next(blocks_of(method))
        counts = [gain_of(part) for part in parts if adds_up(part) and total_of(part).deep_equals(divisor)]
        for part in parts:
            if isinstance(part, cst.Assign) and part.targets[0].target.deep_equals(dividend):
                if len(counts) != 1:
                    continue
                if (
                    is_share
                    and not is_zero(part.value)
                    and not any(n.deep_equals(dividend) for n in nodes_in(part.value))
                ):
                    return part
                if is_measured and is_one(counts[0]) and isinstance(part.value, cst.Name):
                    return part
                if isinstance(counts[0], cst.Name):
                    if is_times(part.value, counts[0]) or are_measured_together(parts, part.value, counts[0]):
                        return part
    return None


def contains_like(node: Any, part: Any) -> bool:
    """Whether an expression has a part that is written as another one."""
    return any(one.deep_equals(part) for one in nodes_in(node))


def unguarded(divisor: Any) -> Any:
    """What a constant keeps from being 0: the `n` of `n + 1e-8`, `max(n, 1)` and `n or 1`."""
    if isinstance(divisor, cst.BinaryOperation) and isinstance(divisor.operator, cst.Add):
        return divisor.right if is_literal(divisor.left) else divisor.left
    if isinstance(divisor, cst.BooleanOperation) and isinstance(divisor.operator, cst.Or):
        return divisor.left
    given = positional(divisor) if is_plain_call(divisor, "max") else []
    return next((part for part in given if not is_literal(part)), divisor)


def counts_calls(index: Index, count: Any, added: Any, ones: Callable[[Any], bool] = is_one) -> bool:
    """Whether the method that adds a product to a total of an object, `value * n`, or the size of a batch to another,
    adds 1 to an attribute as well: at each call. `ones` tells what is 1."""
    method: Any = index.function(added) if isinstance(added, cst.AugAssign) else None
    parts = statements_in(method.body) if isinstance(method, cst.FunctionDef) else []
    product = parts and isinstance(added.value, cst.BinaryOperation) and isinstance(added.value.operator, cst.Multiply)
    if not product and not any(adds_up(part) and is_held(total_of(part)) and is_size(gain_of(part)) for part in parts):
        return False
    held = unguarded(count)
    return is_held(held) and any(adds_up(p) and total_of(p).deep_equals(held) and ones(gain_of(p)) for p in parts)


def counts_each(index: Index, count: Any, added: Any) -> bool:
    """Whether the method that adds to a total of an object adds 1 to an attribute as well, in the same block."""
    line: Any = index.parent(added) if added is not None else None
    block = index.parent(line) if isinstance(line, cst.SimpleStatementLine) else None
    held = unguarded(count)
    counted = (part for part in statements_in(block) if adds_up(part) and total_of(part).deep_equals(held))
    return is_held(held) and any(is_one(gain_of(part)) for part in counted)


def is_size(node: Any) -> bool:
    """Whether an expression is the size of a batch: `x.size(0)`, `x.shape[0]`."""
    if isinstance(node, cst.Subscript):
        node, place = node.value, node.slice[0].slice
        first = isinstance(place, cst.Index) and isinstance(place.value, cst.Integer) and place.value.value == "0"
        return first and isinstance(node, cst.Attribute) and node.attr.value == "shape"
    given = positional(node) if is_plain_call(node, "size") else []
    return len(given) == 1 and isinstance(given[0], cst.Integer) and given[0].value == "0"


def are_measured_together(parts: list[Any], one: Any, other: cst.Name) -> bool:
    """Whether two names get their values from one call: `right, seen = count(…)`."""
    calls = [part for part in parts if isinstance(part, cst.Assign) and isinstance(part.value, cst.Call)]
    return isinstance(one, cst.Name) and any({one.value, other.value} <= set(targets(call)) for call in calls)


def is_held(node: Any) -> bool:
    """Whether an expression is an attribute of `self`, or an entry or attribute of one."""
    while isinstance(node, (cst.Attribute, cst.Subscript)):
        if isinstance(node, cst.Attribute) and is_self(node.value):
            return True
        node = node.value
    return False


def is_times(node: Any, factor: cst.Name) -> bool:
    """Whether an expression is a product of a name and a factor: `value * n`."""
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Multiply):
        return False
    pairs: Any = ((node.left, node.right), (node.right, node.left))
    return any(isinstance(one, cst.Name) and is_name(other, factor.value) for one, other in pairs)


def resets(loop: Any) -> Iterator[tuple[Any, cst.Name]]:
    """Where a loop sets a total to 0 in each turn, in its body, before it adds to it once; it reads it nowhere."""
    block = next(blocks_of(loop))
    for place, statement in enumerate(block):
        for name in names_of(statement.targets[0].target) if sets_to_zero(statement) else ():
            added = [part for part in block[place + 1 :] if adds_up(part) and is_name(total_of(part), name)]
            uses = [n for n in nodes_in(loop.body) if is_name(n, name)]
            reads = 3 if added and isinstance(added[0], cst.Assign) else 2  # `total = total + gain` reads it, too
            if len(added) == 1 and len(uses) == reads and len(statement.targets) == 1:
                yield statement, total_of(added[0])


def restarted(loop: Any) -> Iterator[tuple[Any, Any]]:
    """Where a loop sets a total to 0 in each turn before it adds to it, and where it divides that by the number of
    turns so far."""
    parts: list[Any] = []
    for statement in next(blocks_of(loop)):
        for name in names_of(statement.targets[0].target) if sets_to_zero(statement) else ():
            parts = parts or list(nodes_in(loop.body))
            if any(adds_to(part, name) for part in parts):
                for part in parts:
                    if isinstance(part, cst.BinaryOperation) and is_dividend(part, name):
                        divisor: Any = part.right
                        if is_plain_call(divisor, "float"):
                            divisor = positional(divisor)[0]
                        if is_number_of_turn(divisor, loop):
                            yield statement, part


def adds_to(statement: Any, name: str) -> bool:
    """Whether a statement is `name += …` or `name = name + …`."""
    if adds_up(statement):
        return is_name(total_of(statement), name)
    value = statement.value if isinstance(statement, cst.Assign) and targets(statement) == [name] else None
    added = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add)
    return added and (is_name(value.left, name) or is_name(value.right, name))  # type: ignore[union-attr]


def shared(index: Index, blocks: list[list[Feed]]) -> Iterator[tuple[Any, cst.Name, cst.Name]]:
    """The statements that give one list or object two names, `losses = scores = []`, both of which are fed."""
    for feed in (feed for feeds in blocks for feed in feeds if feed.how != "+="):
        bindings = index.lookup(feed.target) if isinstance(feed.target, cst.Name) else []
        origin: Any = bindings[0].origin if len(bindings) == 1 else None
        if not isinstance(origin, cst.Assign) or len(origin.targets) == 1:
            continue
        for target in origin.targets:
            name = target.target
            if isinstance(name, cst.Name) and name.value != feed.target.value and len(index.lookup(name)) == 1:
                uses = [index.parent(use) for use in index.references(index.lookup(name)[0])]
                if any(isinstance(use, cst.Attribute) and use.attr.value == feed.how for use in uses):
                    yield origin, feed.target, name


def begins_anew(loop: Any) -> Iterator[tuple[cst.Name, Any]]:
    """Where the body of a loop makes or resets an object, which it feeds behind that and does not use otherwise."""
    starts = ((block, place, statement) for block in blocks_of(loop) for place, statement in enumerate(block))
    for block, place, statement in starts:
        name = started(statement)
        if name is None:
            continue
        fed = [part for part in block[place + 1 :] if tells(part, name.value)]
        if fed and sum(is_name(node, name.value) for node in nodes_in(loop)) == len(fed) + 1:
            yield name, statement


def tells(statement: Any, name: str) -> bool:
    """Whether a statement does nothing but to give something to a method of an object."""
    call = statement.value if isinstance(statement, cst.Expr) else None
    given = isinstance(call, cst.Call) and bool(call.args) and isinstance(call.func, cst.Attribute)
    return given and is_name(call.func.value, name)  # type: ignore[union-attr]


def started(statement: Any) -> cst.Name | None:
    """The name of an object that a statement makes, `meter = Meter()`, or resets, `meter.reset()`."""
    name: Any = None
    if statement.__class__ is cst.Assign and len(statement.targets) == 1 and statement.value.__class__ is cst.Call:
        name = statement.targets[0].target
    elif statement.__class__ is cst.Expr and is_plain_call(statement.value, "reset"):
        method: Any = statement.value
        name = method.func.value if isinstance(method.func, cst.Attribute) and not method.args else None
    return name if isinstance(name, cst.Name) else None


def replaced_lists(index: Index, loop: Any, whole: Any) -> Iterator[Any]:
    """Where a loop sets a list anew in each turn that begins empty, beside another that it collects in; behind the
    `whole` that the loop stands in, functions in one statement are given both."""
    for block in blocks_of(loop):
        feeds = [feed for statement in block if (feed := feed_of(statement)) is not None and feed.how == "append"]
        others = [feed.target for feed in feeds if isinstance(feed.target, cst.Name)]
        for part in block if others else ():
            name = part.targets[0].target if isinstance(part, cst.Assign) and len(part.targets) == 1 else None
            if not isinstance(name, cst.Name):
                continue
            before, inside = assigned_around(index, name, loop)
            begun = begun_as(index, name) if inside == [part] and before else None
            if begun is None or not is_empty_list(begun[1]):
                continue
            if sum(is_name(n, name.value) for n in nodes_in(loop)) == 1:
                alike = (other for other in others if (also := begun_as(index, other)) and is_start(begun[1], also[1]))
                if any(given_together(index, whole, name.value, other.value) for other in alike):
                    yield part


def begun_lists(loop: Any) -> Iterator[tuple[cst.Name, Any]]:
    """Where the body of a loop begins a list that it does nothing with but to append to it."""
    begun = [
        (name, part) for part in statements_in(loop.body) for name, value in begun_by(part) if is_empty_list(value)
    ]
    inside: list[Any] = list(nodes_in(loop)) if begun else []
    calls = [node for node in inside if is_plain_call(node, "append") and isinstance(node.func, cst.Attribute)]
    for name, part in begun:
        feeds = [call for call in calls if is_name(call.func.value, name.value)]
        if feeds and sum(is_name(node, name.value) for node in inside) == len(feeds) + 1:
            yield name, part


def is_empty_list(node: Any) -> bool:
    return (isinstance(node, cst.List) and not node.elements) or (is_plain_call(node, "list") and not node.args)


# What tells of a list as a whole, and changes nothing in it: its mean, its items as one array, a score of it.
READS_WHOLE = re.compile(
    r"(numpy|torch|statistics)\.(nan|f)?(mean|average|median|sum|concatenate|cat|stack|[vh]stack|array|asarray|tensor)"
    r"|builtins\.(sum|len)|sklearn\.metrics\..*"
)


# What keeps or draws the history of a run.
KEEPS = re.compile(r"numpy\.save(z|z_compressed|txt)?|torch\.save|(pickle|json|joblib)\.dump|matplotlib\.pyplot\..*")
GROWING = ("append", "extend")


def filled_lists(loop: Any) -> list[Any]:
    """The names, and the attributes of `self`, of what each turn of a loop appends to, each at the last place."""
    calls: Iterator[Any] = (part.value for block in blocks_of(loop) for part in block if isinstance(part, cst.Expr))
    owners = [call.func.value for call in calls if any(is_plain_call(call, name) for name in GROWING)]
    named = {owner.value: owner for owner in owners if isinstance(owner, cst.Name)}
    held = {owner.attr.value: owner for owner in owners if isinstance(owner, cst.Attribute) and is_self(owner.value)}
    return [*named.values(), *held.values()]


def reread(index: Index, held: Any, loop: Any) -> Any:
    """Where a list that each turn of a loop only appends to, and that begins but once, outside of the loop around or in
    the constructor, is read as a whole behind the loop: it still has in it what was put in before."""
    starts, uses, place = written_and_read(index, held, loop)
    if place is None or len(starts) != 1 or not is_empty_list(starts[0]) or contains(place, starts[0]):
        return None
    found = None
    for use in uses:
        around = index.parent(use)
        if isinstance(around, cst.Attribute) and around.attr.value in GROWING and contains(loop, use):
            continue
        call = index.parent(around) if isinstance(around, cst.Arg) else None
        paths = index.qualified_names(call.func) if isinstance(call, cst.Call) else []
        if not contains(place, use) or len(paths) != 1 or not READS_WHOLE.fullmatch(paths[0]):
            return None
        if is_kept_whole(index, call):
            return None
        if found is None and not contains(loop, use):
            found = call
    return found


def is_kept_whole(index: Index, read: Any) -> bool:
    """Whether what is made of a list is an argument of what saves or draws it: a history of all epochs."""
    argument = index.parent(read)
    call = index.parent(argument) if isinstance(argument, cst.Arg) else None
    paths = index.qualified_names(call.func) if isinstance(call, cst.Call) else []
    return any(map(KEEPS.fullmatch, paths))


def fed_objects(loop: Any) -> Iterator[cst.Call]:
    """The calls in the body of a loop that give something to a method of an object, and do nothing else."""
    for part in (part for block in blocks_of(loop) for part in block):
        call: Any = part.value if isinstance(part, cst.Expr) else None
        owner = getattr(getattr(call, "func", None), "value", None)
        if isinstance(owner, cst.Name):
            if tells(part, owner.value):
                yield call
        elif isinstance(owner, cst.Attribute) and is_self(owner.value) and call.args:
            yield call


def read_later(index: Index, fed: cst.Call, loop: Any, reads: Callable[[str], bool]) -> Any:
    """Where an attribute of an object is read behind a loop that feeds it, or a method called that only `reads`, though
    the object is made but once, outside of the loop around, and nothing else is done with it there."""
    held: Any = fed.func.value  # type: ignore[attr-defined]
    starts, uses, place = written_and_read(index, held, loop)
    if place is None or len(starts) != 1 or not isinstance(starts[0], cst.Call) or contains(place, starts[0]):
        return None
    found = None
    for use in uses:
        attribute = index.parent(use)
        if not contains(place, use):
            continue
        above = index.parent(attribute) if isinstance(attribute, cst.Attribute) else None
        if above is fed:
            continue
        if above is None or isinstance(above, cst.AssignTarget):
            return None
        if getattr(above, "func", None) is attribute and not reads(attribute.attr.value):  # type: ignore[union-attr]
            return None
        if found is None and not contains(loop, use):
            found = attribute
    return found


def kept_totals(index: Index, loop: Any) -> Iterator[tuple[Any, Any]]:
    """The attributes of `self` that a loop adds to, which are 0 once, in another method, and where such a total is
    divided behind the loop all the same."""
    for part in (part for block in blocks_of(loop) for part in block if adds_up(part)):
        total = total_of(part)
        if not isinstance(total, cst.Attribute) or not is_self(total.value):
            continue
        starts, uses, place = written_and_read(index, total, loop)
        if len(starts) != 1 or not is_zero(starts[0]) or contains(place, starts[0]):
            continue
        around: list[tuple[Any, Any]] = [(use, index.parent(use)) for use in uses]
        if any(isinstance(above, (cst.AssignTarget, cst.Del)) for _, above in around):
            continue
        for use, above in around:
            divided = isinstance(above, cst.BinaryOperation) and divides(above) and above.left is use
            if divided and contains(place, use) and not contains(loop, use):
                count = unguarded(above.right)  # anything else may tell how many epochs there were
                if is_plain_call(count, "len") or isinstance(count, cst.Name):
                    yield part, above
                    break


def unread_totals(index: Index, loop: Any, is_meter: Callable[[Any], bool]) -> Iterator[tuple[Any, cst.Name]]:
    """What a loop adds to totals, lists and meters that begin before it and that nobody ever reads, each with the name
    whose value it is."""
    for feed in (feed for feeds in feeds_of(loop) for feed in feeds):
        name = feed.target
        begun = begun_as(index, name) if isinstance(name, cst.Name) else None
        if begun is None or not (is_zero(begun[1]) or is_empty_list(begun[1]) or is_meter(name)):
            continue
        bindings = index.lookup(name)
        uses = {id(use): index.parent(use) for binding in bindings for use in index.references(binding)}
        fed = [other.target for feeds in feeds_of(loop) for other in feeds]
        root = next((n for n in nodes_in(feed.given[0]) if is_name(n, root_of(feed.given[0]) or "")), None)
        unread = all(any(node == id(target) for target in fed) for node in uses)
        bound = all(isinstance(binding.origin, (cst.Assign, cst.AugAssign)) for binding in bindings)
        within = all(isinstance(index.function(binding.node), cst.FunctionDef) for binding in bindings)
        if unread and bound and within and isinstance(root, cst.Name):
            yield feed.node, root


def written_and_read(index: Index, held: Any, loop: Any) -> tuple[list[Any], list[Any], Any]:
    """What a name, or an attribute of `self`, is set to; where it is read; and where all that happens again and again:
    the body of the loop around, or the function."""
    if isinstance(held, cst.Name):
        bindings, outer = index.lookup(held), enclosing(index, loop)
        if index.function(bindings[0].node) is None and isinstance(index.function(held), cst.FunctionDef):
            outer = index.function(held)  # a variable of the file, which each call goes on with
        elif outer is None or index.function(bindings[0].node) is not index.function(held):
            return [], [], None
        begun = {id(name): value for binding in bindings for name, value in begun_by(binding.origin)}
        return [begun.get(id(binding.node)) for binding in bindings], index.references(bindings[0]), outer.body
    cls, function = index.class_(held), index.function(held)
    if not isinstance(function, cst.FunctionDef) or cls is None:
        return [], [], None
    same = [n for n in nodes_in(index.module.node) if isinstance(n, cst.Attribute) and n.attr.value == held.attr.value]
    assigns = {id(t.target): n.value for n in nodes_in(cls) if isinstance(n, cst.Assign) for t in n.targets}
    return [assigns[id(n)] for n in same if id(n) in assigns], [n for n in same if id(n) not in assigns], function.body


def enclosing(index: Index, loop: Any) -> Any:
    """The loop around a loop in the same function, unless it is a comprehension."""
    for above in index.ancestors(loop):
        if isinstance(above, (cst.For, cst.While)):
            return above
        if isinstance(above, (cst.FunctionDef, cst.ClassDef)):
            return None
    return None


def given_together(index: Index, statement: Any, one: str, other: str) -> bool:
    """Whether one of those that follow a statement in its block gives both names to functions."""
    block: Any = index.parent(statement)
    for line in block.body[block.body.index(statement) + 1 :]:
        calls = [node for node in nodes_in(line) if isinstance(node, cst.Call)]
        if isinstance(line, cst.SimpleStatementLine) and {one, other} <= {n for call in calls for n in names_in(call)}:
            return True
    return False


def misdirected(index: Index, blocks: list[list[Feed]]) -> Iterator[tuple[Feed, Feed, str]]:
    """Two things that a block adds to one total, and another that starts like it, is read, and gets neither."""
    for feeds in blocks:
        for first, second in pairwise(feeds):
            if first.how == second.how and first.target.deep_equals(second.target) and not is_same_given(first, second):
                find = starving if isinstance(second.target, cst.Name) else starving_entries
                starved = next(find(index, second.target), None)
                if starved is not None:
                    yield first, second, starved


def starving(index: Index, name: cst.Name) -> Iterator[str]:
    """The totals that start in the same block as another, and alike, and that nothing is ever added to, though they are
    divided or read as totals are."""
    begun = begun_as(index, name)
    block, start = begun if begun is not None else (None, None)
    for part in statements_in(block):
        for target, value in begun_by(part):
            if target.value != name.value and is_start(value, start) and is_only_read(index, target, part, value):
                yield target.value


def starved_before(index: Index, loop: Any) -> Iterator[str]:
    """The totals that are set to 0 right before a loop, to be divided later, and that nothing is ever added to."""
    block: Any = index.parent(loop)
    lines = list(getattr(block, "body", ()))
    for line in reversed(lines[: lines.index(loop)] if loop in lines else ()):
        parts = line.body if isinstance(line, cst.SimpleStatementLine) else ()
        begun = [(name, value, part) for part in parts for name, value in begun_by(part)]
        if not begun:
            break
        for name, value, part in begun:
            if is_zero(value) and is_only_read(index, name, part, value):
                yield name.value


def starving_entries(index: Index, entry: Any) -> Iterator[str]:
    """The lists that a dict begins with, as it does with the one that an entry is, and that nobody ever names again."""
    owner: Any = entry.value if isinstance(entry, cst.Subscript) else None
    begun = begun_as(index, owner) if isinstance(owner, cst.Name) and key_of(entry) is not None else None
    if begun is None or not isinstance(begun[1], cst.Dict):
        return
    parts = [part for part in begun[1].elements if isinstance(part, cst.DictElement)]
    lists = {part.key.value for part in parts if isinstance(part.key, cst.SimpleString) and is_empty_list(part.value)}
    bindings = index.lookup(owner)
    uses: list[Any] = [index.parent(use) for binding in bindings for use in index.references(binding)]
    named = [key_of(use) if isinstance(use, cst.Subscript) else "" for use in uses]
    filled = any(isinstance(use, cst.Attribute) and use.attr.value not in READ_ENTRIES for use in uses)
    if len(bindings) == 1 and len(parts) == len(lists) == len(begun[1].elements) and None not in named and not filled:
        yield from sorted(lists - {*named})


READ_ENTRIES = ("items", "keys", "values", "get")


def key_of(entry: Any) -> str | None:
    """The string in quotes that an entry of a dict is named by; None for any other index."""
    place = entry.slice[0].slice if len(entry.slice) == 1 else None
    key = place.value if isinstance(place, cst.Index) else None
    return key.value if isinstance(key, cst.SimpleString) else None


def begun_by(statement: Any) -> Iterator[tuple[cst.Name, Any]]:
    """The names that an assignment sets, each with what it is set to: `losses, scores = [], []`."""
    if not isinstance(statement, cst.Assign):
        return
    target, value = statement.targets[0].target, statement.value
    pairs: list[tuple[Any, Any]] = [(target, value)]
    if isinstance(target, cst.Tuple) and isinstance(value, cst.Tuple) and len(target.elements) == len(value.elements):
        pairs = [(one.value, other.value) for one, other in zip(target.elements, value.elements, strict=True)]
    yield from ((name, made) for name, made in pairs if isinstance(name, cst.Name))


def is_only_read(index: Index, name: cst.Name, start: Any, value: Any) -> bool:
    """Whether a total that starts at a statement is read and not added to, nor given to anybody who could do so."""
    bindings = index.lookup(name)
    above: list[Any] = [index.parent(use) for use in index.references(bindings[0])]
    if is_zero(value):
        others = [binding.origin for binding in bindings if binding.origin is not start]
        quotients = [part for part in above if isinstance(part, cst.BinaryOperation) and is_dividend(part, name.value)]
        return all(isinstance(part, cst.AugAssign) and divides(part) for part in others) and bool(quotients or others)
    return len(bindings) == 1 and bool(above) and all(is_reading(index, part) for part in above)


def is_reading(index: Index, part: Any) -> bool:
    """Whether what stands around a meter or list reads it: an attribute is taken, it is written into a text, or what it
    holds is put together."""
    if isinstance(part, cst.Arg):
        return called(index.parent(part)) in ("format", *JOINING)
    return isinstance(part, cst.Attribute) and not isinstance(index.parent(part), cst.Call)


JOINING = ("cat", "stack", "concatenate", "vstack", "hstack")


def is_dividend(node: Any, name: str) -> bool:
    return divides(node) and is_name(node.left, name)


def divides(node: Any) -> bool:
    """Whether a node is a quotient."""
    return isinstance(node, (cst.BinaryOperation, cst.AugAssign)) and isinstance(
        node.operator, (cst.Divide, cst.DivideAssign)
    )


class Feed(NamedTuple):
    """A statement that adds something to a total: `total += x`, `values.append(x)`, `meter.update(x, n)`."""

    node: Any
    target: Any
    how: str
    given: tuple[Any, ...]


def feed_of(statement: Any) -> Feed | None:
    """What a statement adds, and to which total; None for one that adds nothing."""
    if adds_up(statement):
        return Feed(statement, total_of(statement), "+=", (gain_of(statement),))
    call = statement.value if statement.__class__ is cst.Expr else None
    if call.__class__ is cst.Call and call.func.__class__ is cst.Attribute and call.func.attr.value in FEEDING:
        if call.args and not any(argument.star for argument in call.args):
            given = (call.args[0].value, *(argument for argument in call.args[1:]))
            return Feed(statement, call.func.value, call.func.attr.value, given)
    return None


FEEDING = ("append", "extend", "update")


def blocks_of(loop: Any) -> Iterator[list[Any]]:
    """The simple statements of each block of a loop, those of loops and functions inside it left out."""
    waiting = [loop.body]
    while waiting:
        block = waiting.pop()
        yield statements_in(block)
        for line in block.body:
            if line.__class__ in (cst.If, cst.With, cst.Try):
                waiting += bodies(line)


def statements_in(block: Any) -> list[Any]:
    """The simple statements of a block; none of what stands behind a colon in the same line."""
    lines = block.body if block.__class__ in (cst.IndentedBlock, cst.Module) else ()
    return [part for line in lines if line.__class__ is cst.SimpleStatementLine for part in line.body]


def bodies(statement: Any) -> Iterator[Any]:
    """The blocks of an `if`, a `with` or a `try`."""
    while statement is not None:
        yield statement.body
        yield from (handler.body for handler in getattr(statement, "handlers", ()))
        statement = getattr(statement, "orelse", None)


def twins(index: Index, blocks: list[list[Feed]]) -> Iterator[tuple[Feed, Feed]]:
    """The pairs of totals that a block gives the same in every turn, so that they are always equal."""
    for feeds in blocks:
        for place, second in enumerate(feeds):
            for first in feeds[:place]:
                alike = is_same(first, second) and are_alike(index, first, second)
                if alike and not is_set_between(index, first, second):
                    yield first, second


def sums_of_sums(index: Index, loop: Any, blocks: list[list[Feed]]) -> Iterator[tuple[Feed, Feed]]:
    """The pairs of totals of which every turn adds the first, as far as it has grown, to the second."""
    for feeds in blocks:
        for place, second in enumerate(feeds):
            held = second.given[0]
            first = next((feed for feed in feeds[:place] if feed.target.deep_equals(held)), None)
            if first is None or first.how != "+=" or second.how != "+=" or not isinstance(held, cst.Name):
                continue
            before, inside = assigned_around(index, held, loop)
            if any(map(sets_to_zero, before)) and all(
                one is first.node or (sets_to_zero(one) and is_further_in(index, one, first)) for one in inside
            ):
                yield first, second


def is_further_in(index: Index, assign: Any, feed: Feed) -> bool:
    """Whether an assignment is not made wherever a statement adds something, but on some condition."""
    line = index.parent(assign)
    block = index.parent(line) if line is not None else None
    return all(above is not block for above in index.ancestors(feed.node))


def is_set_between(index: Index, first: Feed, second: Feed) -> bool:
    """Whether what two statements of one block add has the same name only: it is set anew from one to the other."""
    start, end = (index.parent(feed.node) for feed in (first, second))
    block: Any = index.parent(start) if start is not None else None
    lines = list(getattr(block, "body", ()))
    if start not in lines or end not in lines:
        return True
    names = {name for given in first.given for name in names_in(given)}
    read = (node for line in lines[lines.index(start) : lines.index(end)] for node in nodes_in(line))
    return any(isinstance(n, cst.Name) and n.value in names and index.binding(n) is not None for n in read)


def feeds_of(loop: Any) -> list[list[Feed]]:
    """What each block of a loop adds to totals."""
    return [[feed for statement in block if (feed := feed_of(statement)) is not None] for block in blocks_of(loop)]


def is_fed(loop: Any, name: str) -> bool:
    """Whether a loop adds what a name stands for to any total."""
    return any(name in names_in(given) for feeds in feeds_of(loop) for feed in feeds for given in feed.given)


def is_same(first: Feed, second: Feed) -> bool:
    """Whether two statements add the same to different totals."""
    return first.how == second.how and not first.target.deep_equals(second.target) and is_same_given(first, second)


def is_same_given(first: Feed, second: Feed) -> bool:
    """Whether two statements add the same."""
    if len(first.given) != len(second.given):
        return False
    return all(one.deep_equals(other) for one, other in zip(first.given, second.given, strict=True))


def mates(loop: Any, feed: Feed) -> set[str]:
    """The names that a loop sets together with the one whose value is fed, or by a call of the same function, or goes
    back through as well, as it does through two losses."""
    root = root_of(feed.given[0]) if feed.given else None
    calls: list[Any] = []
    learnt: set[str | None] = set()
    for part in (part for block in blocks_of(loop) for part in block):
        if isinstance(part, cst.Assign) and isinstance(part.value, cst.Call):
            calls.append(part)
        elif isinstance(part, cst.Expr) and is_plain_call(part.value, "backward"):
            learnt.add(root_of(loss_of(part.value)))
    own = [call for call in calls if root in targets(call)]
    alike = [call for call in calls if any(call.value.func.deep_equals(other.value.func) for other in own)]
    found = {name for call in alike if len(call.targets) == 1 for name in targets(call)}
    for one in own:  # `a, b = train(…)` and `c, d = evaluate(…)`: of `a`, that is `c`
        row = targets(one)
        rows = [targets(call) for call in calls if call is not one and len(row) > 1]
        found |= {other[row.index(root)] for other in rows if len(other) == len(row)}  # type: ignore[arg-type]
    return {name for name in found | (learnt if root in learnt else set()) if name and not name.startswith("_")}


def unread_entries(loop: Any, feed: Feed) -> Iterator[str]:
    """The entries of other dicts of results that no total gets, though other entries go into totals like those of the
    dict that an entry is fed from: with `history["a"].append(train["loss"])`, `valid["loss"]`."""
    given = feed.given[0] if feed.given else None
    if not isinstance(given, cst.Subscript) or not isinstance(given.value, cst.Name):
        return
    fed = [one.given[0] for feeds in feeds_of(loop) for one in feeds if isinstance(one.given[0], cst.Subscript)]
    own = [one for one in fed if is_name(one.value, given.value.value)]
    bound = {name for block in blocks_of(loop) for part in block if is_made(part) for name in targets(part)}
    for name in sorted(bound - {given.value.value}):
        keys = [one.slice[0] for one in fed if is_name(one.value, name)]
        if keys and own and not any(key.deep_equals(given.slice[0]) for key in keys):
            yield cst.Module([]).code_for_node(given.with_changes(value=cst.Name(name)))


def is_made(statement: Any) -> bool:
    return isinstance(statement, cst.Assign) and isinstance(statement.value, cst.Call)


def loss_of(backward: Any) -> Any:
    """What a backward pass starts from: `scaler.scale(loss).backward()`, `accelerator.backward(loss)`."""
    given = positional(backward)
    receiver: Any = given[0] if given else getattr(backward.func, "value", None)
    return positional(receiver)[0] if isinstance(receiver, cst.Call) and positional(receiver) else receiver


def root_of(node: Any) -> str | None:
    """The name that a measured number comes from: the `loss` of `loss.item() * n`."""
    while not isinstance(node, cst.Name):
        if isinstance(node, cst.BinaryOperation):
            node = node.right if is_literal(node.left) else node.left
        elif isinstance(node, cst.Call):
            node = node.func.value if isinstance(node.func, cst.Attribute) else next(iter(positional(node)), None)
        elif isinstance(node, (cst.Attribute, cst.Subscript)):
            node = node.value
        else:
            return None
    return str(node.value)


def targets(statement: Any) -> list[str]:
    """The names that an assignment or a loop binds, in their order."""
    target = statement.target if isinstance(statement, cst.For) else statement.targets[0].target
    return names_of(target)


def names_of(target: Any) -> list[str]:
    if isinstance(target, (cst.Tuple, cst.List)):
        return [name for element in target.elements for name in names_of(element.value)]
    return [target.value] if isinstance(target, cst.Name) else []


def are_alike(index: Index, first: Feed, second: Feed) -> bool:
    """Whether two totals start alike and get nothing but the same, as entries of one dict or names of one block."""
    one, other = first.target, second.target
    if isinstance(one, cst.Subscript) and isinstance(other, cst.Subscript):
        # Of entries with names that are put together, one may go with the turn and the other with all turns.
        same = one.value.deep_equals(other.value) and set(names_in(one)) == set(names_in(other))
        return same and is_plain(one.value) and is_whole(index, one.value, {key_of(one), key_of(other)})
    if not isinstance(one, cst.Name) or not isinstance(other, cst.Name):
        return False
    begun, also = begun_in(index, one, first), begun_in(index, other, second)
    return begun is not None and also is not None and begun[0] is also[0] and is_start(begun[1], also[1])


def is_whole(index: Index, name: Any, keys: set[str | None]) -> bool:
    """Whether these entries of a dict are never set one by one, as far as that can be seen, but to empty lists."""
    places: Iterator[Any]
    if isinstance(name, cst.Attribute):
        places = (node for node in nodes_in(index.module.node) if node.deep_equals(name))
    else:
        places = (use for binding in index.lookup(name) for use in index.references(binding))
    entries = (above for place in places if isinstance(above := index.parent(place), cst.Subscript))
    return not any(key_of(entry) in {None, *keys} and is_set_to_more(index, entry) for entry in entries)


def is_set_to_more(index: Index, entry: Any) -> bool:
    """Whether an entry is set to anything but an empty list, or deleted."""
    above = index.parent(entry)
    if isinstance(above, cst.AssignTarget):
        return not is_empty_list(getattr(index.parent(above), "value", None))
    return isinstance(above, cst.Del)


def begun_in(index: Index, name: cst.Name, feed: Feed) -> tuple[Any, Any] | None:
    """The block in which a total begins, and as what, if it is set only once and changed only by what feeds it."""
    bindings = index.lookup(name)
    begins = [binding for binding in bindings if isinstance(binding.origin, cst.Assign)]
    if len(begins) != 1 or any(b.origin is not feed.node for b in bindings if b is not begins[0]):
        return None
    methods = (index.parent(use) for binding in bindings for use in index.references(binding))
    calls = [m for m in methods if isinstance(m, cst.Attribute) and isinstance(index.parent(m), cst.Call)]
    if any(call.attr.value not in READ and not contains(feed.node, call) for call in calls):
        return None
    return begun_as(index, name)


def begun_as(index: Index, name: cst.Name) -> tuple[Any, Any] | None:
    """The block in which a name is first set, and to what."""
    begins = [binding for binding in index.lookup(name) if isinstance(binding.origin, cst.Assign)]
    origin: Any = begins[0].origin if begins else None
    if origin is None:
        return None
    target, value = origin.targets[0].target, origin.value
    if isinstance(target, cst.Tuple):
        if not isinstance(value, cst.Tuple) or len(value.elements) != len(target.elements):
            return None
        place = next((i for i, part in enumerate(target.elements) if is_name(part.value, name.value)), None)
        if place is None:
            return None
        value = value.elements[place].value
    return index.parent(index.parent(origin)), value  # type: ignore[arg-type]


READ = ("avg", "mean", "item", "display", "count", "index", "copy", "value", "average", "tolist")


def is_start(one: Any, other: Any) -> bool:
    """Whether two totals begin as the same, up to how they are called: 0, an empty list, a meter."""
    if isinstance(one, cst.List) and isinstance(other, cst.List):
        return not one.elements and not other.elements
    if not isinstance(one, cst.Call) or not isinstance(other, cst.Call):
        return is_zero(one) and is_zero(other)
    if not one.func.deep_equals(other.func) or len(one.args) != len(other.args):
        return False
    pairs = zip(positional(one), positional(other), strict=False)
    return all(isinstance(a, cst.SimpleString) or a.deep_equals(b) for a, b in pairs)
