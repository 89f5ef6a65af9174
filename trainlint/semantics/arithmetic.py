"""Operators on abstract values: one transfer table for kinds, interval arithmetic for ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from operator import add as add_sizes
from operator import floordiv, mul, sub
from typing import TYPE_CHECKING, Any

import libcst as cst

from trainlint.semantics.shapes import broadcast, form, matmul_form, scaled
from trainlint.semantics.sizes import Size, is_fixed, is_followed, is_of_axis, order
from trainlint.semantics.values import (
    ABSENT,
    ALIKE,
    BOOL,
    CHOSEN,
    ELSEWHERE,
    FACTOR,
    HELD,
    HIDDEN,
    INF,
    LOG_PROBABILITIES,
    LOGITS,
    MASK,
    MASKS,
    NO_DATA,
    PADDING,
    POSITIONS,
    PRESENT,
    PROBABILITIES,
    REACHED,
    REST,
    RUN,
    SIGMOID,
    STEPS,
    TANH,
    TINY,
    UNKNOWN,
    Const,
    DataInfo,
    Dep,
    Fit,
    Instance,
    Method,
    Number,
    Portion,
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
    is_opaque,
    is_place,
    is_row,
    join_all,
    measured_on,
    mix_data,
    nodes_of_both,
    size_of,
    taken_of,
    unknown_number,
    usual,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter

METHODS = {
    "Add": "__add__",
    "Subtract": "__sub__",
    "Multiply": "__mul__",
    "Divide": "__truediv__",
    "MatrixMultiply": "__matmul__",
    "Power": "__pow__",
}

NEGATED = "probabilities with the other sign"  # as in an entropy
# Exponentials of raw scores, which nothing bounds: one for each score, and several added up.
EXPONENTIAL, EXPONENTIALS = "an exponential", "a sum of exponentials"
UNIT, UNITS = "a unit vector", "a product of unit vectors"
FEATURE, FEATURES = "a feature", "a product of features"
OF_TWO = "a difference of scores"
DETERMINANT = "a determinant"
OFF = "how far a clamped number is off"  # from labels, which it never meets
TO_ONE = "1 minus "  # what is 0 where something reaches 1
# Numbers kept below 1 by less than single precision can tell.
NEARLY_ONE, FROM_NEARLY_ONE = "a clamped number", "1 minus a clamped number"

SMALL = 1e-2  # an added constant up to this is a guard, not a change of meaning


def graph_of(interp: Interpreter, *values: Value) -> bool | None:
    """Whether a result computed from `values` is recorded for gradients here."""
    recorded: bool | None = False
    for value in values:
        if isinstance(value, Tensor):
            if value.graph:
                recorded = True
                break
            if value.graph is None:
                recorded = None
        elif value is UNKNOWN or isinstance(value, (Instance, Union)):
            recorded = None if recorded is False else recorded
    if recorded is False:
        return False
    grad = interp.grad
    return False if grad is False else recorded if grad else None


def multiply(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def add(a: float, b: float, worst: float) -> float:
    total = a + b
    return worst if math.isnan(total) else total


def interval(operator: str, a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """Bounds of an elementwise operation."""
    (alo, ahi), (blo, bhi) = a, b
    if operator == "Add":
        lo, hi = add(alo, blo, -INF), add(ahi, bhi, INF)
        return (max(lo, TINY) if alo >= 0 and blo >= 0 and (alo > 0 or blo > 0) else lo, hi)
    if operator == "Subtract":
        return add(alo, -bhi, -INF), add(ahi, -blo, INF)
    if operator == "Multiply":
        ends = [multiply(x, y) for x in a for y in b]
        lo, hi = min(ends), max(ends)
        if alo > 0 and blo > 0:
            lo = max(lo, TINY)
        return lo, hi
    if operator == "Divide":
        if blo > 0 or bhi < 0:
            ends = [
                0.0 if math.isinf(y) else x / (y or TINY) if not math.isinf(x) else math.copysign(INF, x * (y or 1))
                for x in a
                for y in b
            ]
            lo, hi = min(ends), max(ends)
            if alo >= 0 and blo > 0:
                lo = max(lo, TINY) if alo > 0 else max(lo, 0.0)
            return lo, hi
        if alo >= 0 and blo >= 0:
            return (TINY if alo > 0 else 0.0), INF
    return -INF, INF


def power_interval(a: tuple[float, float], exponent: Value) -> tuple[float, float]:
    lo, hi = a
    n = exponent.value if isinstance(exponent, Const) else None
    if lo > 0:
        return TINY, INF
    if isinstance(n, (int, float)):
        if n == int(n) and int(n) % 2 == 0 and n > 0:
            top = max(abs(lo), abs(hi))
            return 0.0, (top**n if top < 1e3 else INF)
        if lo >= 0 and n > 0:
            return 0.0, (hi**n if hi < 1e3 else INF)
        return (-INF, INF) if n == int(n) else (0.0, INF)
    return (0.0, INF) if lo >= 0 else (-INF, INF)


def with_rows(value: Value) -> Value:
    """A slice of something from out of view, as the array that it is where others are added to it."""
    known = value.attrs.get(HELD) if isinstance(value, Instance) else None
    return value if known is None else Tensor(lib="?", data=known)


def joined(results: list[tuple[Value, Value, Value]]) -> Value:
    """What one of several results is. Of a total that is a tensor, or the number that it began as, it is known where it
    comes from, whatever it is divided by."""
    unsure = [sides for result, *sides in results if result is UNKNOWN]
    if not unsure or not all(any(map(is_number, sides)) for sides in unsure):
        return join_all(result for result, *_ in results)
    found = (
        join_all(result for result, *_ in results if result is not UNKNOWN) if len(unsure) < len(results) else UNKNOWN
    )
    return found.plain() if isinstance(found, Tensor) else UNKNOWN


def binary(interp: Interpreter, operator: str, left: Value, right: Value, node: Any) -> Value:
    """The value of `left <operator> right`."""
    if left.__class__ is Method or right.__class__ is Method:
        left, right = as_column(left), as_column(right)
    if isinstance(left, Union) or isinstance(right, Union):
        lefts = left.options if isinstance(left, Union) else (left,)
        rights = right.options if isinstance(right, Union) else (right,)
        pairs = [(a, b) for a in lefts for b in rights if not divides_by_zero(operator, a, b)]
        if 0 < len(pairs) <= 16:
            return joined([(binary(interp, operator, a, b, node), a, b) for a, b in pairs])
        return UNKNOWN
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        if operator == "Modulo" and (isinstance(left, Text) or isinstance(const(left), str)):
            return Text(text_parts(left))
        return tensor_binary(interp, operator, with_rows(left), with_rows(right), node)
    if isinstance(left, Const) and isinstance(right, Const):
        return constant_binary(operator, left.value, right.value)
    if is_number(left) and is_number(right):
        a, b = bounds(left), bounds(right)
        whole = is_whole(left) and is_whole(right) and operator != "Divide"
        if operator == "Modulo" and whole and isinstance(right, Const) and right.value == 1:
            return Const(0)  # every turn is one of those that come every 1 turns
        if operator == "Power":
            lo, hi = power_interval(a, right)
        elif operator == "FloorDivide":
            lo, hi = interval("Divide", a, b)
            lo = 0.0 if lo > 0 else lo
        elif operator == "Modulo":
            lo, hi = (0.0, b[1]) if b[0] > 0 else (-INF, INF)
        else:
            lo, hi = interval(operator, a, b)
        nature = nature_of(operator, left, right, lo)
        # The length of a list, which may be 0, stays one until it is multiplied with a number of epochs.
        left_open = nature is None or (nature == "a length" and operator == "Multiply")
        if left_open and operator in ("Multiply", "Divide", "FloorDivide") and counts_batches(left, right):
            nature = STEPS
        common = usual_of(operator, left, right)
        of, deps = measured_on(left, right), taken_of(left, right)
        decided = decided_size(operator, left, right)
        share = portion_of(operator, left, right)
        return Number(lo, hi, whole, nature, of=of, default=common, deps=deps, size=decided, share=share)
    if operator in ("Multiply", "Divide", "FloorDivide") and counts_batches(left, right):
        return Number(nature=STEPS)  # a number of epochs that nothing is known of
    if operator == "Modulo" and isinstance(left, Const) and isinstance(left.value, str) and isinstance(right, Tuple):
        if all(isinstance(item, Const) for item in right.items):
            return fill_in(left.value, tuple(const(item) for item in right.items))
    path = operator == "Divide" and (isinstance(right, Text) or isinstance(const(right), str))
    if path or (isinstance(left, (Text, Const)) and isinstance(right, (Text, Const))):
        pieces = tuple(p for v in (left, right) for p in text_parts(v))
        default = None if path else usual_text(operator, left, right)
        return Text(pieces[:MAX_PIECES], (left, right) if path else None, default)
    if isinstance(left, Text) or (isinstance(left, Const) and isinstance(left.value, str)):
        return Text(text_parts(left))
    decided = decided_size(operator, left, right)
    return UNKNOWN if decided is None else unknown_number(decided)


SIZED: dict[str, Callable[[int, int], int]] = {
    "Add": add_sizes,
    "Subtract": sub,
    "Multiply": mul,
    "FloorDivide": floordiv,
    "Divide": floordiv,
}


def decided_size(operator: str, left: Value, right: Value) -> Size | None:
    """What settings make of the result, where both sides are sizes."""
    a, b = size_of(left), size_of(right)
    if a is None or b is None or (is_fixed(a) and is_fixed(b)) or operator not in SIZED:
        return None
    found = SIZED[operator](a, b)
    return found if isinstance(found, Size) and is_followed(found) else None


def portion_of(operator: str, left: Value, right: Value) -> Portion | None:
    """How much of a length comes out where both sides are shares of it, or one is and the other is a factor."""
    one, other = (value.share if isinstance(value, Number) else None for value in (left, right))
    if one is None and other is not None and operator == "Multiply":
        one, right = other, left
        other = None
    if one is None:
        return None
    if other is not None:
        added = {"Add": other.share, "Subtract": -other.share}.get(operator)
        share = one.share + added if added is not None and one.of == other.of else 0.0
    else:
        factor = usual(right) if isinstance(right, Const) else None
        if not factor:
            return None
        share = one.share * {"Multiply": factor, "Divide": 1 / factor, "FloorDivide": 1 / factor}.get(operator, 0.0)
    return Portion(one.of, share) if share else None


def usual_text(operator: str, left: Value, right: Value) -> str | None:
    """What a text is put together to when nobody sets the options in it."""
    values = [value.default if isinstance(value, Text) else const(value) for value in (left, right)]
    if operator not in ("Add", "Modulo") or not all(isinstance(value, str) for value in values):
        return None
    found = const(constant_binary(operator, *values))
    return found if isinstance(found, str) else None


def usual_of(operator: str, left: Value, right: Value) -> float | None:
    """What is computed from the defaults of options, when nobody sets them."""
    a, b = usual(left), usual(right)
    return usual(constant_binary(operator, a, b)) if a is not None and b is not None else None


def divides_by_zero(operator: str, left: Value, right: Value) -> bool:
    """Whether a division of plain numbers fails: what comes of it goes nowhere."""
    zero = isinstance(right, Const) and right.value in (0, 0.0) and is_number(right)
    return zero and operator in ("Divide", "FloorDivide", "Modulo") and is_number(left)


def counts_batches(left: Value, right: Value) -> bool:
    return any(getattr(value, "nature", None) in ("a length", STEPS) for value in (left, right))


def text_parts(value: Value) -> tuple[str, ...]:
    if isinstance(value, Text):
        return value.parts
    if isinstance(value, Const) and isinstance(value.value, str):
        return (value.value,)
    return ()


def is_whole(value: Value) -> bool:
    return value.integer if isinstance(value, Number) else isinstance(value, Const) and isinstance(value.value, int)


def constant_binary(operator: str, a: Any, b: Any) -> Value:
    try:
        if operator == "Add":
            result = a + b
        elif operator == "Subtract":
            result = a - b
        elif operator == "Multiply":
            if isinstance(a, (str, bytes)) or isinstance(b, (str, bytes)):
                return Text()
            if isinstance(a, int) and isinstance(b, int) and a.bit_length() + b.bit_length() > MAX_BITS:
                return Number(integer=True)
            result = a * b
        elif operator == "Divide":
            result = a / b
        elif operator == "FloorDivide":
            result = a // b
        elif operator == "Modulo":
            if isinstance(a, str):
                return fill_in(a, b)
            result = a % b
        elif operator == "Power":
            if abs(a) > 1e6 or abs(b) > 64:
                return Number()
            result = a**b
        else:
            return UNKNOWN
    except Exception:
        return UNKNOWN
    if isinstance(result, str) and len(result) > MAX_LENGTH:
        return Text()
    return Const(result)


# Constants are computed with as long as they are small: a program can write down in a line what no machine can hold.
MAX_BITS = 4096
MAX_LENGTH = 2000
MAX_PIECES = 64
_WIDE = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\d{4}|\*)|:[^{}]*\d{4}|\{[^{}]*\{")


def is_modest(template: str, values: Iterable[Any]) -> bool:
    """Whether it costs little to fill in a template: it asks for no great or computed width, and values are short."""
    strings = [value for value in values if isinstance(value, (str, bytes))]
    return all(len(text) <= MAX_LENGTH for text in (template, *strings)) and not _WIDE.search(template)


def fill_in(template: str, values: Any) -> Value:
    """`template % values`."""
    if not is_modest(template, values if isinstance(values, tuple) else (values,)):
        return Text((template,))
    try:
        result = template % values
    except Exception:
        return Text((template,))
    return Const(result) if len(result) <= MAX_LENGTH else Text((template,))


def is_average(interp: Interpreter, node: Any, count: Value) -> Tensor | None:
    """One of the operands of `(p + q) / 2`, where all are probabilities of one kind."""
    if not isinstance(node, cst.BinaryOperation) or not isinstance(count, Const):
        return None
    terms: list[Any] = []
    rest = node.left
    while isinstance(rest, cst.BinaryOperation) and isinstance(rest.operator, cst.Add):
        terms.append(rest.right)
        rest = rest.left
    terms.append(rest)
    if len(terms) < 2 or count.value != len(terms) or not all(isinstance(term, cst.Name) for term in terms):
        return None
    values = [interp.peek(term) for term in terms]
    first = values[0]
    if not isinstance(first, Tensor) or first.kinds not in (PROBABILITIES, SIGMOID):
        return None
    if first.kinds == PROBABILITIES and first.axis is None:
        return None
    alike = all(isinstance(v, Tensor) and v.kinds == first.kinds and v.axis == first.axis for v in values)
    return first if alike else None


def kinds_of(operator: str, left: Value, right: Value) -> int:
    """What kind of scores an operation leaves."""
    a = left.kinds if isinstance(left, Tensor) else 0
    b = right.kinds if isinstance(right, Tensor) else 0
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if operator == "MatrixMultiply":
            weighed = b == LOGITS and a in (LOGITS, PROBABILITIES)  # by queries, or with the weights of an average
            weighed = weighed or are_features(left, right)
            return LOGITS if "a parameter" in (left.nature, right.nature) or weighed else 0
        if operator in ("Add", "Subtract"):
            if a == LOGITS and right.nature in ("a parameter", FEATURE):
                return LOGITS
            if b == LOGITS and left.nature == FEATURE:
                return LOGITS
            if operator == "Add" and (left.lo, left.hi) == (0, 0):
                return b  # what a running sum begins with
            if a and b and (a | b) & ~(LOGITS | HIDDEN) == 0:
                return LOGITS if (a & LOGITS) or (b & LOGITS) else 0
        if operator == "Multiply":
            for kinds, mask in ((a, right), (b, left)):
                if kinds in (LOGITS, SIGMOID) and mask.graph is False and mask.lo >= 0 and mask.hi <= 1:
                    return kinds  # each by itself, or 0
        return 0
    tensor, other, reverse = (left, right, False) if isinstance(left, Tensor) else (right, left, True)
    assert isinstance(tensor, Tensor)
    kinds = tensor.kinds
    if not kinds:
        return 0
    if not (is_number(other) or isinstance(other, Const)):
        # A temperature or scale out of view rescales raw scores; anything else may be changed by it.
        return LOGITS if kinds == LOGITS and operator in ("Multiply", "Divide") and not reverse else 0
    lo, hi = bounds(other)
    if kinds & ~(LOGITS) == 0:
        return LOGITS if operator in ("Add", "Subtract", "Multiply", "Divide") else 0
    if kinds & ~(PROBABILITIES | SIGMOID) == 0:
        if operator == "Subtract" and reverse and lo == hi == 1:
            return SIGMOID
        if operator in ("Add", "Subtract") and abs(lo) <= SMALL and abs(hi) <= SMALL:
            return kinds
        if operator in ("Multiply", "Divide") and lo == hi == 1:
            return kinds
        return 0
    if kinds & ~LOG_PROBABILITIES == 0 and operator in ("Add", "Subtract"):
        return kinds
    if kinds & ~TANH == 0:
        return 0
    return 0


def exponential(operator: str, left: Value, right: Value) -> str | None:
    """What sums and multiples of exponentials of raw scores are."""
    a: str | None = getattr(left, "nature", None)
    b: str | None = getattr(right, "nature", None)
    kinds = (EXPONENTIAL, EXPONENTIALS)
    if operator == "Add" and all(
        nature in kinds or (is_number(value) and bounds(value)[0] >= 0.5) for nature, value in ((a, left), (b, right))
    ):
        return EXPONENTIALS
    if operator in ("Add", "Multiply", "Divide") and a in kinds and is_number(right) and bounds(right)[0] > 0:
        return a  # a small constant guards, a factor scales
    if operator in ("Add", "Multiply") and b in kinds and is_number(left) and bounds(left)[0] > 0:
        return b
    if operator == "Multiply":  # those that a mask leaves
        return a if a in kinds and may_be_mask(right) else b if b in kinds and may_be_mask(left) else None
    return None


def may_be_mask(value: Value) -> bool:
    """Whether a tensor holds nothing below 0 or above 1, or is one of which nothing is known but that it is given."""
    if not isinstance(value, Tensor) or value.graph is True:
        return False
    given = not value.kinds and not value.deps and value.nature is None
    return (value.lo >= 0 and value.hi <= 1) or (given and (value.lo, value.hi) == (-INF, INF))


def nature_of(operator: str, left: Value, right: Value, lo: float) -> str | None:
    """In words, why the lower bound of a result is reached; None when it need not be."""
    a: str | None = getattr(left, "nature", None)
    b: str | None = getattr(right, "nature", None)
    if not {a, b}.isdisjoint((POSITIONS, RUN)):
        return None
    if a == "random numbers" and not isinstance(right, Tensor) and operator in ("Add", "Subtract", "Divide"):
        return a  # moved and scaled
    a, b = (None if nature in (OF_TWO, OFF, FEATURE, FEATURES) else nature for nature in (a, b))
    if not {a, b}.isdisjoint((EXPONENTIAL, EXPONENTIALS)):
        return exponential(operator, left, right)
    if operator == "Divide" and b == "a norm" and isinstance(left, Tensor):
        return UNIT
    if operator == "Multiply" and a == b == UNIT:
        return UNITS
    if lo > 0:
        return None
    if lo == 0 and operator in ("Add", "Subtract"):
        for tanh, one in ((right, left), (left, right)) if operator == "Add" else ((right, left),):
            if isinstance(tanh, Tensor) and tanh.must_be(TANH) and bounds(one) == (1.0, 1.0):
                return f"{TO_ONE}a tanh output" if operator == "Subtract" else "a shifted tanh output"
    if operator == "Subtract":
        if a == "a maximum" and b == "a minimum":
            return "a difference of maximum and minimum"
        if a == b == "a sigmoid output":
            return "a difference of sigmoid outputs"
        if b in (CHOSEN, ABSENT) and bounds(left) == (1.0, 1.0):
            return REST if b == CHOSEN else PRESENT
        if b is not None and is_number(left) and lo >= 0:
            return f"{TO_ONE}{b}" if bounds(left) == (1.0, 1.0) else None
        if any(isinstance(v, Tensor) and 0 < v.lo <= v.hi < 1 for v in (left, right)):
            return OFF
        return OF_TWO if all(isinstance(v, Tensor) and v.must_be(LOGITS) for v in (left, right)) else None
    if operator == "Add":
        if "a sum of labels" in (a, b):
            chances = {"a sigmoid output", "a softmax output", "a sum of labels"}
            return "a sum of probabilities and labels" if a != b and {a, b} <= chances else None
        if a and b:
            if a == b in ("a softmax output", "a sigmoid output"):
                return f"a sum of {a.removeprefix('a ')}s"
            return a if a == b else f"{a} plus {b}"
        if a and is_number(right) and bounds(right)[1] == 0:
            return a
        return None
    if operator == "Multiply":
        if not MASKS.isdisjoint((a, b)):
            if "a one-hot code" in (a, b):
                return "a one-hot code"  # of fewer
            return None  # what a mask selects is not known to be the bad elements
        if a and (b or is_number(right)):
            return a
        if b and is_number(left):
            return b
        if isinstance(left, Tensor) and left is right:
            return square_of(left)
        for nature, factor, other in ((a, left, right), (b, right, left)):
            remains = nature is not None and nature.startswith(TO_ONE) and nature != FROM_NEARLY_ONE
            if remains and bounds(factor)[0] == 0 and is_scale(other):
                return nature  # 0 remains 0
        if left is not right and are_features(left, right):
            return FEATURES
        if "a one-hot code" in (a, b) and getattr(right if a else left, "graph", None) is True:
            return None  # what a code picks of the scores of a model is no code
        return (a or b) if lo >= 0 else None
    if operator in ("Divide", "FloorDivide"):
        return a if lo >= 0 else None
    return None


def varies(tensor: Tensor) -> bool:
    """Whether a tensor's elements are surely not all zero, nor all alike: numbers drawn at random, weights that began
    as such, and what a layer with weights puts out, as it is. Two of these may agree."""
    drawn = tensor.nature in ("random numbers", "a parameter")
    return drawn or (tensor.must_be(LOGITS) and tensor.nature != OF_TWO)


def square_of(tensor: Tensor) -> str | None:
    """The nature of a tensor's square, if a sum of such may be 0."""
    return None if varies(tensor) else "a square"


def is_scale(value: Value) -> bool:
    """Whether a factor is one that nothing is known of: an unknown number, or a tensor that a setting gives."""
    return not isinstance(value, Tensor) or (value.nature is None and not value.kinds and value.graph is False)


def are_units(*values: Value) -> bool:
    """Whether all are vectors of length one, so that their products are cosines."""
    return all(isinstance(v, Tensor) and v.nature == UNIT and v.lo >= -1 and v.hi <= 1 for v in values)


def are_features(*values: Value) -> bool:
    """Whether all are raw outputs or features that are learnt, so that sums of their products are raw scores."""
    return all(isinstance(v, Tensor) and (v.must_be(LOGITS) or v.nature == FEATURE) and v.lo == -v.hi for v in values)


def is_logistic(operator: str, left: Value, right: Value) -> bool:
    """Whether a quotient is the sigmoid of raw scores, written by hand: `1 / (1 + exp(-x))`."""
    of_scores = isinstance(right, Tensor) and right.nature == EXPONENTIALS and right.lo >= 1
    return operator == "Divide" and of_scores and bounds(left) == (1, 1)


def chosen(*values: Value) -> str | None:
    """What a product of probabilities with one-hot codes is: the probabilities of some classes."""
    natures = {getattr(value, "nature", None) for value in values}
    chances = natures & {"a softmax output", "a sigmoid output"}
    return next(iter(chances)) if len(chances) == 1 and natures - chances == {"a one-hot code"} else None


def chooses(operator: str, left: Value, right: Value) -> bool:
    """Whether two masks are put together, the first of which may choose nothing yet."""
    if not operator.startswith("Bit"):
        return False
    first, other = (left, right) if isinstance(left, Tensor) else (right, left)
    blank = bounds(first) == (0, 0) and isinstance(other, Tensor) and other.kinds == MASK
    return blank or (isinstance(first, Tensor) and first.kinds == MASK)


def tensor_binary(interp: Interpreter, operator: str, left: Value, right: Value, node: Any) -> Tensor:
    a, b = bounds(left), bounds(right)
    first = left if isinstance(left, Tensor) else right
    assert isinstance(first, Tensor)
    if first.lib == "numpy" and isinstance(right, Tensor) and right.lib == "torch":
        first = right  # a number that NumPy drew scales a tensor
    if operator == "Power":
        lo, hi = power_interval(a, right)
        nature = getattr(left, "nature", None) if lo >= 0 else None
        if lo == 0 and nature in (None, OF_TWO) and isinstance(left, Tensor) and const(right) == 2:
            nature = square_of(left)
    elif operator == "Multiply" and left is right:
        lo, hi = power_interval(a, Const(2))
        nature = nature_of(operator, left, right, lo)
    elif operator in ("Add", "Subtract", "Multiply", "Divide"):
        lo, hi = interval(operator, a, b)
        nature = nature_of(operator, left, right, lo)
        if nature == "a difference of maximum and minimum":
            lo = 0.0
        elif nature == UNIT:
            lo, hi = max(lo, -1.0), min(hi, 1.0)
        elif operator == "Subtract" and getattr(right, "nature", None) == "a maximum":
            hi = min(hi, 0.0)  # what the largest was subtracted from
    elif operator in ("BitAnd", "BitOr", "BitXor"):
        masked = chooses(operator, left, right)
        lo, hi, nature = (0.0, 1.0, CHOSEN) if masked else (-INF, INF, None)
        if operator == "BitOr" and (nodes := nodes_of_both({getattr(v, "nature", None) for v in (left, right)})):
            lo, hi, nature = 0.0, 1.0, nodes
    elif operator == "MatrixMultiply" and are_units(left, right):
        lo, hi, nature = -1.0, 1.0, "a cosine"
    elif operator == "MatrixMultiply" and a[0] >= 0 and b[0] >= 0:
        lo, hi, nature = 0.0, INF, chosen(left, right)
    else:
        lo, hi, nature = -INF, INF, None
    deps = first.deps
    grown = first.grown
    data = first.data
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        deps = left.deps | right.deps
        if operator == "Add" and {left.graph, right.graph} == {True, False}:  # a term that nothing is learnt from
            deps = left.deps | cut(right.deps) if left.graph else cut(left.deps) | right.deps
        if operator in ("Add", "Subtract") and is_weighted(left, right):
            deps = frozenset(dep for dep in deps if dep.module is not FACTOR)
        grown = left.grown | right.grown
        data = combine_data(interp, operator, left, right, node)
    elif data.tokens and operator in ("Divide", "Multiply"):
        data = times(operator, data, right)
    elif first.data.stats and operator not in ("Add", "Subtract", "Multiply", "Divide"):
        data = first.data._replace(stats=frozenset())
    if data.scale is not None and not (data.scale is CENTRED and operator == "Subtract"):
        data = data._replace(scale=moved(interp, operator, data.scale, left, right, node))
    if operator == "Add":
        deps |= taken_of(left, right)
    graph = graph_of(interp, left, right)
    if graph is not False and deps and (is_opaque(left) or is_opaque(right)):
        deps |= {ELSEWHERE}
    if graph is not False and rescales(interp, operator, left, right, node):
        if first.nature == "a loss" or any(dep.node is not None and dep.module is not FACTOR for dep in deps):
            deps = (deps or frozenset((ELSEWHERE,))) | {Dep(FACTOR, None, node)}
    kinds = MASK if chooses(operator, left, right) else kinds_of(operator, left, right)
    trace = first.trace
    if is_logistic(operator, left, right):
        kinds, nature, trace = SIGMOID, "a sigmoid output", (interp.step(node, "sigmoid"),)
    axis = first.axis
    if operator == "Divide" and not kinds and (term := is_average(interp, node, right)) is not None:
        kinds, axis = term.kinds, term.axis
    together = matmul_form if operator == "MatrixMultiply" else broadcast
    shape, last, batched = together(form(left), form(right))
    if shape is None and operator in ("Multiply", "Divide"):
        if not isinstance(right, Tensor):
            shape, last, batched = scaled(form(left))
        elif not isinstance(left, Tensor) and operator == "Multiply":
            shape, last, batched = scaled(form(right))
    formats = {side.dtype for side in (left, right) if isinstance(side, Tensor)}
    floating = len(formats) == 1 and all(is_number(side) or isinstance(side, Tensor) for side in (left, right))
    floating = floating and first.dtype is not None and first.dtype.startswith("float")
    result = Tensor(
        kinds=kinds,
        lo=lo,
        hi=hi,
        nature=nature,
        shape=shape,
        graph=graph,
        deps=deps,
        data=data,
        dtype=first.dtype if floating else None,
        grown=grown,
        axis=axis if kinds else None,
        lib=right.lib if first.lib == "?" and isinstance(right, Tensor) else first.lib,
        trace=trace if kinds else (),
        last=last,
        batched=batched,
        route=first.route,
    )
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)) and is_made_in(node, first is left):
        interp.modules.scaled(first, result)
    return result


def is_made_in(node: Any, left: bool) -> bool:
    """Whether a side of an operation is a call."""
    return getattr(node, "left" if left else "right", None).__class__ is cst.Call


# What every table has of its own beside its columns.
OF_TABLES = frozenset("T at axes columns dtypes empty flags iat iloc index loc ndim shape size style values".split())


def as_column(value: Value) -> Value:
    """A column of a table that was looked up like a method; any other value as it is."""
    from trainlint.semantics.library import column

    if isinstance(value, Method) and isinstance(value.receiver, Tensor) and value.receiver.lib == "frame":
        return value if value.name in OF_TABLES else column(value.receiver, value.name)
    return value


def is_weighted(one: Tensor, other: Tensor) -> bool:
    """Whether one of two terms has a weight, which their sum has not; it was not divided, as if both had to be."""
    weights = [[dep.node for dep in term.deps if dep.module is FACTOR] for term in (one, other)]
    if all(weights) or not any(weights):
        return False
    return all(isinstance(getattr(node, "operator", None), cst.Multiply) for nodes in weights for node in nodes)


def rescales(interp: Interpreter, operator: str, left: Value, right: Value, node: Any) -> bool:
    """Whether an operation divides by a number, or multiplies with one that is not just a weight written down."""
    if operator == "Divide":
        return not isinstance(right, Tensor)
    if operator != "Multiply" or (isinstance(left, Tensor) and isinstance(right, Tensor)) or is_in_blend(interp, node):
        return False
    ends = (getattr(node, "left", None), getattr(node, "right", getattr(node, "value", None)))
    if any(end.__class__ in (cst.Float, cst.Integer) for end in ends):
        return False
    weight = usual(right if isinstance(left, Tensor) else left)
    return weight is None or weight < 1  # no less than 1 divides by nothing


def is_in_blend(interp: Interpreter, node: Any) -> bool:
    """Whether a product is a part of `w * x + (1 - w) * y`, or of a difference, of the size of x and y."""
    source = interp.frame.space.source
    above: Any = source.index.parent(node) if source is not None else None
    if not isinstance(above, cst.BinaryOperation) or not isinstance(above.operator, (cst.Add, cst.Subtract)):
        return False
    sides = [(side.left, side.right) for side in (above.left, above.right) if isinstance(side, cst.BinaryOperation)]
    return any(is_rest_of(one, other) for mine in sides[:1] for theirs in sides[1:] for one in mine for other in theirs)


def is_rest_of(one: Any, other: Any) -> bool:
    """Whether of two expressions one is 1 minus the other."""
    for rest, share in ((one, other), (other, one)):
        if isinstance(rest, cst.BinaryOperation) and isinstance(rest.operator, cst.Subtract):
            if getattr(rest.left, "value", "") in ("1", "1.0", "1.") and rest.right.deep_equals(share):
                return True
    return False


STANDARDISED = "$standardised"  # in the interpreter's flags: the data whose first rows were, by their own statistics
CENTRED = ("centred",)  # the scale of data whose own mean was taken off


def combine_data(interp: Interpreter, operator: str, left: Tensor, right: Tensor, node: Any) -> DataInfo:
    """Data of a result; dividing data by their own spread is a fit made by hand."""
    a, b = left.data, right.data
    if a is NO_DATA and b is NO_DATA:
        return a
    if a.stats and b.stats:
        return mix_data(a, b)._replace(stats=a.stats | b.stats)
    if b.stats and operator in ("Divide", "Subtract"):
        tokens = frozenset(token for token, _ in b.stats)
        own = tokens & a.tokens
        kept = a._replace(fits=a.fits | b.fits)
        if operator == "Divide":
            kept = kept.rescaled("divided by a statistic")
        spread = any(what in ("std", "max", "var", "norm", "sum", "quantile", "ptp") for _, what in b.stats)
        made_ready = not interp.module_depth and left.graph is not True and not left.deps  # not what a model gives
        some = b.order is None if a.order is not None else False  # the spread of rows that were picked out
        some = some or bool(b.order and not b.order <= (a.order or frozenset()))
        whole = a.part is None and not (b.part or a.splits or b.splits or some or is_row(a)) and made_ready
        if own and operator == "Divide" and spread and whole:
            fit = Fit(interp.frame.space, node, "a normalisation by hand", own)
            return kept._replace(fits=kept.fits | {fit})
        if own and operator == "Divide" and spread and is_training_part(a, b):
            interp.emit("leak", (Fit(interp.frame.space, node, "a normalisation by hand", own), left, node))
        if own and operator == "Subtract" and any(what == "mean" for _, what in b.stats):
            kept = kept._replace(scale=CENTRED)
            if node.__class__ is cst.AugAssign and is_training_part(a, b):
                interp.emit("leak", (Fit(interp.frame.space, node, "a normalisation by hand", own), left, node))
        if own and operator == "Divide" and spread and (a.scale is CENTRED or centred(node)):
            by_hand(interp, a, b, node)
        return kept
    return mix_data(a, b)


def by_hand(interp: Interpreter, data: DataInfo, spread: DataInfo, node: Any) -> None:
    """Data are standardised by statistics of their own: what is held out must not be. It is what lies behind a place
    where rows that were standardised so ended."""
    if data.order is None or is_row(data) or data.splits != spread.splits:
        return
    if data.part in ("val", "test") and spread.part == data.part:
        interp.emit("standardised", (node, data.part))
    elif data.part is None and data.order == spread.order:
        cuts = [key for key in data.order if key[0] == "chosen" and len(key) == 3]
        heads: frozenset[Any] = interp.flags.get(STANDARDISED, frozenset())
        if len(cuts) == 1 and cuts[0][1] is None:
            interp.write(interp.flags, STANDARDISED, heads | {data.tokens})
        elif len(cuts) == 1 and cuts[0][2] is None and data.tokens in heads:
            interp.emit("standardised", (node, "test"))


def times(operator: str, data: DataInfo, factor: Value) -> DataInfo:
    """Data multiplied with a factor or divided by one. A number that divides tells how they are scaled; a product may
    be the same in other words."""
    divisor = const(factor) if operator == "Divide" else None
    if isinstance(divisor, bool) or not isinstance(divisor, (int, float)):
        return data._replace(scaled=None)
    return data.rescaled(f"divided by {divisor:g}")


KERAS = "keras"  # the first of a scale that tells how pixels are scaled, by a name or by their ends, and where
RAW, SHARES, SYMMETRIC = "raw", "unit", "symmetric"
ENDS = {RAW: (0.0, 255.0), SHARES: (0.0, 1.0), SYMMETRIC: (-1.0, 1.0)}


def moved(
    interp: Interpreter, operator: str, scale: tuple[Any, ...], left: Value, right: Value, node: Any
) -> tuple[Any, ...] | None:
    """How pixels are scaled that are computed from others and a number; None where that is not known."""
    ends = ENDS.get(scale[1], scale[1]) if scale[0] == KERAS else None
    by = const(left if operator in ("Add", "Multiply") and isinstance(right, Tensor) else right)
    if not isinstance(ends, tuple) or isinstance(by, bool) or not isinstance(by, (int, float)) or not by:
        return None
    ways = {"Add": (1.0, by), "Subtract": (1.0, -by), "Multiply": (by, 0.0), "Divide": (1 / by, 0.0)}
    if operator not in ways:
        return None
    factor, offset = ways[operator]
    new = tuple(round(factor * end + offset, 2) for end in ends)
    return KERAS, next((name for name, known in ENDS.items() if known == new), new), interp.step(node, "scaled")


def is_training_part(data: DataInfo, whole: DataInfo) -> bool:
    """Whether data are the training part of the rows of `whole`, which holds those held out as well."""
    if whole.part is not None or whole.splits or not data.splits or data.order is None or whole.order is None:
        return False
    rest = data.order - whole.order
    heads = any(key[0] == "chosen" and len(key) == 3 and key[1] is None for key in rest)
    return whole.order <= data.order and (data.part == "train" or (data.part is None and heads))


def centred(node: Any) -> bool:
    """Whether a division is `(x - m) / s`."""
    left = getattr(node, "left", None)
    return isinstance(left, cst.BinaryOperation) and isinstance(left.operator, cst.Subtract)


def unary(interp: Interpreter, operator: str, value: Value, node: Any) -> Value:
    if isinstance(value, Const):
        try:
            if operator == "Minus":
                return Const(-value.value)
            if operator == "Plus":
                return Const(+value.value)
            if operator == "BitInvert":
                return Const(~value.value)
        except Exception:
            return UNKNOWN
    if isinstance(value, Method) and isinstance(value.receiver, Tensor):
        value = value.receiver.plain()  # an attribute of what was taken for a tensor
    if isinstance(value, Union):
        return join_all(unary(interp, operator, o, node) for o in value.options)
    if isinstance(value, Number):
        if operator != "Minus":
            return value
        default = None if value.default is None else -value.default
        turned = value.share and value.share._replace(share=-value.share.share)
        low, high = 0.0 - value.hi, 0.0 - value.lo
        return Number(low, high, value.integer, default=default, deps=value.deps, of=value.of, share=turned)
    if isinstance(value, Tensor):
        if operator == "Plus":
            return value
        if operator == "BitInvert":
            # Of a mask from elsewhere that is turned round, such as one of padding, the rest is what counts.
            nature = CHOSEN if value.kinds == MASK and value.nature != ABSENT else PRESENT
            return Tensor(MASK, 0, 1, nature, value.shape, False, value.deps, value.data, lib=value.lib,
                          last=value.last, batched=value.batched)  # fmt: skip
        kept = value.kinds if value.kinds == LOGITS else 0
        negated = NEGATED if value.must_be(PROBABILITIES) else None
        trace = value.trace if kept or negated else ()
        return value.but(kinds=kept, lo=0.0 - value.hi, hi=0.0 - value.lo, nature=negated, trace=trace)
    return UNKNOWN


def mask_of(operator: str, left: Value, right: Value) -> str:
    """What a comparison tells: what is there, with no padding, as `tokens != pad` does, or `positions < length`; which
    of all samples are alike, of which each is like itself (`labels[:, None] == labels[None, :]`); or any choice."""
    if operator in ("Equal", "NotEqual"):
        if operator == "NotEqual" and getattr(left, "nature", None) in padding(right):
            return REACHED
        is_there = (operator == "Equal") == (isinstance(left, Tensor) and isinstance(right, Tensor))
        return PRESENT if is_there else CHOSEN
    lower, higher = (right, left) if operator.startswith("Greater") else (left, right)
    is_reached = getattr(lower, "nature", None) == POSITIONS != getattr(higher, "nature", None)
    return REACHED if is_reached else CHOSEN


def padding(value: Value) -> tuple[str, ...]:
    """The nature of sequences that are padded with a value, if it is known."""
    lo, hi = bounds(value)
    return (f"{PADDING}{float(lo)}",) if lo == hi else ()


# Which order of two numbers a comparison asks for.
HOLDS = {
    "Equal": (0,),
    "NotEqual": (-1, 1),
    "LessThan": (-1,),
    "LessThanEqual": (-1, 0),
    "GreaterThan": (1,),
    "GreaterThanEqual": (0, 1),
}


def compare(interp: Interpreter, operator: str, left: Value, right: Value, node: Any) -> Value:
    """The value of a comparison."""
    if left.__class__ is Method or right.__class__ is Method:
        left, right = as_column(left), as_column(right)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        if operator in ("Is", "IsNot", "In", "NotIn"):
            optional = isinstance(left, Tensor) and left.nature == "a gradient"
            if isinstance(right, Const) and right.value is None and not optional:
                return Const(operator == "IsNot")
            return BOOL
        first = left if isinstance(left, Tensor) else right
        assert isinstance(first, Tensor)
        other = right if first is left else left
        data = mix_data(first.data, other.data) if isinstance(other, Tensor) else first.data
        deps = first.deps | other.deps if isinstance(other, Tensor) else first.deps
        deps = cut(deps, interp.step(node, "comparison")) if deps else deps
        interp.severs(node, *(side for side in (first, other) if isinstance(side, Tensor)))
        shape, last, batched = broadcast(form(left), form(right))
        coded = operator == "Equal" and is_code(node, left, right)
        nature = "a one-hot code" if coded else mask_of(operator, left, right)
        return Tensor(kinds=MASK, lo=0, hi=1, nature=nature, graph=False, deps=deps,
                      data=data._replace(stats=frozenset()), lib=first.lib, shape=shape, last=last,
                      batched=batched)  # fmt: skip
    if isinstance(left, Union) and operator in ("Is", "IsNot", "Equal", "NotEqual"):
        results = [compare(interp, operator, o, right, node) for o in left.options]
        return results[0] if all(isinstance(r, Const) and r.key == results[0].key for r in results) else BOOL
    if operator in ("Is", "IsNot"):
        if isinstance(left, Const) and isinstance(right, Const):
            return Const((left.key == right.key) == (operator == "Is"))
        known = isinstance(right, Const) and right.value is None
        opaque = left is UNKNOWN or isinstance(left, Union) or (isinstance(left, Instance) and left.cls is None)
        if known and not opaque and not isinstance(left, Const):
            return Const(operator == "IsNot")
        return BOOL
    if isinstance(left, Const) and isinstance(right, Const):
        try:
            if operator == "Equal":
                return Const(bool(left.value == right.value))
            if operator == "NotEqual":
                return Const(bool(left.value != right.value))
            if operator == "GreaterThan":
                return Const(bool(left.value > right.value))
            if operator == "LessThan":
                return Const(bool(left.value < right.value))
            if operator == "GreaterThanEqual":
                return Const(bool(left.value >= right.value))
            if operator == "LessThanEqual":
                return Const(bool(left.value <= right.value))
            if operator in ("In", "NotIn"):
                return Const((left.value in right.value) == (operator == "In"))
        except Exception:
            return BOOL
    a, b = size_of(left), size_of(right)
    known = isinstance(a, Size) and isinstance(b, Size) and not is_of_axis(a)
    ordered = order(a, b) if known else None  # type: ignore[arg-type]
    if ordered is not None and operator in HOLDS:
        return Const(ordered in HOLDS[operator])
    if is_number(left) and is_number(right):
        return compare_numbers(operator, bounds(left), bounds(right))
    if operator in ("Equal", "NotEqual") and are_plain(left, right):
        return Const((left.key == right.key) == (operator == "Equal"))
    if operator in ("Equal", "NotEqual") and isinstance(left, Tuple) and isinstance(right, Tuple):
        pairs = zip(left.items, right.items)
        if len(left.items) != len(right.items) or any(const(alike(interp, *pair, node)) is False for pair in pairs):
            return Const(operator == "NotEqual")
    if operator in ("In", "NotIn") and isinstance(left, Const):
        return interp.library.contains(interp, left, right, operator == "In")
    return ALIKE if operator == "Equal" and not (is_number(left) or is_number(right)) else BOOL


def alike(interp: Interpreter, left: Value, right: Value, node: Any) -> Value:
    """Whether two entries are equal; arrays are not followed here."""
    arrays = isinstance(left, Tensor) or isinstance(right, Tensor)
    return BOOL if arrays else compare(interp, "Equal", left, right, node)


def is_code(node: Any, left: Value, right: Value) -> bool:
    """Whether labels are compared with each of their values along an axis of its own: `y[:, None] == np.arange(k)`."""
    if not isinstance(node, cst.Comparison):
        return False
    sides = ((node.left, right), (node.comparisons[0].comparator, left))
    return any(
        isinstance(values, Tensor)
        and is_place(values.data)
        and isinstance(labels, cst.Subscript)
        and adds_axis(labels.slice[-1].slice)
        for labels, values in sides
    )


def adds_axis(item: Any) -> bool:
    """Whether an index is one for an axis that was not there."""
    value = getattr(item, "value", None)
    return (isinstance(value, cst.Name) and value.value == "None") or (
        isinstance(value, cst.Attribute) and value.attr.value == "newaxis"
    )


def are_plain(*values: Value) -> bool:
    """Whether values are constants, or tuples of such."""
    return all(isinstance(v, Const) or (isinstance(v, Tuple) and are_plain(*v.items)) for v in values)


def compare_numbers(operator: str, a: tuple[float, float], b: tuple[float, float]) -> Value:
    """The comparison of two numbers of which only bounds are known."""
    (alo, ahi), (blo, bhi) = a, b
    if operator in ("GreaterThan", "LessThanEqual"):
        held = True if alo > bhi else False if ahi <= blo else None
    elif operator in ("LessThan", "GreaterThanEqual"):
        held = True if ahi < blo else False if alo >= bhi else None
    elif operator in ("Equal", "NotEqual"):
        held = True if alo == ahi == blo == bhi else False if ahi < blo or alo > bhi else None
    else:
        return BOOL
    if held is None:
        return BOOL
    return Const(held == (operator in ("GreaterThan", "LessThan", "Equal")))


def tallied(value: Value, tally: Tally | None) -> Value:
    """The same value, known to measure something."""
    if isinstance(value, Tensor):
        return value.but(tally=tally)
    if isinstance(value, Number):
        deps, share = value.deps, value.share
        return Number(
            value.lo, value.hi, value.integer, value.nature, value.batch, tally, value.of, deps=deps, share=share
        )
    return value


def is_term(value: Value) -> bool:
    """Whether a value is a single number that comes from a model, as the terms of a loss are."""
    return isinstance(value, Tensor) and value.shape == () and bool(value.deps)


def joint(a: Tally, b: Tally) -> Tally | None:
    """What two terms measure together: a sum over the batch, or a mean of it, is one with whatever else was added up
    over it."""
    kinds = {a.what, b.what}
    if len(kinds) == 1 or kinds in ({"sum", "some"}, {"mean", "some"}):
        return a if a.what != "some" else b
    return a._replace(what="some") if kinds <= {"mean", "sum", "some"} else None


def is_percent(factor: Const, total: Tally) -> bool:
    """Whether a factor turns shares into percents: it is 100, and no batch of the loader has as many samples."""
    loader = total.loops[-1].region.value if total.loops and total.loops[-1].region is not None else None
    size = loader.attrs.get("batch_size") if isinstance(loader, Instance) and loader.family == "loader" else None
    return factor.value == 100 and isinstance(size, Const) and size.value != 100


def counts_batch(value: Value | None) -> bool:
    """Whether a value is the number of samples in a batch."""
    return isinstance(value, Number) and (value.batch or (value.tally is not None and value.tally.what == "size"))


def tally_of(operator: str, left: Value, right: Value) -> Tally | None:
    """What the result of an operation measures."""
    a, b = left.tally, right.tally
    if operator in ("Multiply", "Add", "Subtract") and a is None:
        left, right, a, b = right, left, b, a
    if a is None or a.what in ("batches", "samples", "size", "sizes"):
        return None
    size = counts_batch(right)
    if b is not None and not size:
        return joint(a, b) if operator == "Add" else None
    if operator in ("Add", "Subtract") and is_term(left) and is_term(right):
        return a
    if operator == "Multiply" and size and a.what in ("mean", "some"):
        return a._replace(what="sum", scaled=True)
    if operator == "Divide" and size and a.what == "sum":
        return a._replace(what="mean")
    if operator in ("Multiply", "Divide") and isinstance(right, Const) and is_number(right):
        # A constant scales; a whole one may be the size of a batch, and any other number a count of something.
        totals = a.what in ("sum", "sums")
        if (totals or not is_whole(right) or is_percent(right, a)) and (operator == "Multiply" or not totals):
            return a
    if operator in ("Add", "Subtract") and isinstance(right, Const) and a.what == "mean":
        return a
    scaled = a.what in ("mean", "sum", "some") and is_number(right)
    return a._replace(what="some") if scaled and operator in ("Multiply", "Divide", "Add", "Subtract") else None
