"""The shapes of results, where the source fixes them.

A shape is a tuple of sizes, None where one is unknown; one that settings decide is a `Size`, which rules see as unknown
unless they ask for it. Each known operation has a rule here, by its name, which gives
the `Form` of what it returns: shape, size of the last axis where only that is known, and whether the first axis still
is the batch as it came in. A rule that meets sizes that cannot fit says so in an event, `"sizes"`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from trainlint.semantics.registry import registrar
from trainlint.semantics.sizes import ONE, Size, differ, fixed, is_fixed, is_of_axis, is_whole
from trainlint.semantics.values import (
    CELLS,
    FALSE,
    MASK,
    NONE,
    UNKNOWN,
    Api,
    Const,
    Instance,
    ListObject,
    Method,
    Number,
    Sequence,
    Shape,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    count_of,
    image_axes,
    is_bool,
    is_of_batch,
    last_axis,
    options,
    size_of,
    truth,
)

if TYPE_CHECKING:
    from trainlint.semantics.interpreter import Interpreter
    from trainlint.semantics.library import Call

MAX_RANK = 12
ROUTE = 8  # places kept that explain a shape


class Form(NamedTuple):
    """What is known of a tensor's axes."""

    shape: Shape | None = None
    last: int | None = None
    batched: bool = False


NOTHING = Form()
Rule = Callable[["Call"], Form]
SHAPES: dict[str, Rule] = {}
FRAMES: dict[str, Rule] = {}
PICTURES: dict[str, Rule] = {}
picture_of = registrar(PICTURES)  # of the rule of torchvision's functions, where that is another than of a tensor's
# Operations whose place is worth naming when sizes do not fit.
NAMED: set[str] = set()


def shape_of(*names: str, named: bool = False) -> Callable[[Rule], Rule]:
    """Register the rule of operations, by the last part of their names."""

    def register(rule: Rule) -> Rule:
        for name in names:
            SHAPES[name] = rule
            if named:
                NAMED.add(name)
        return rule

    return register


def form(value: Value | None) -> Form:
    """The form of a value: numbers have no axes."""
    if isinstance(value, Tensor):
        shape, last = value.sized or (value.shape, value.last)
        return Form(shape, last, value.batched)
    if isinstance(value, (Const, Number)) and not is_bool(value):  # unknown things compared may be tensors
        return Form(())
    return NOTHING


def fixed_form(value: Tensor) -> Form:
    """The form of a tensor, as far as the source fixes it."""
    return Form(value.shape, value.last, value.batched)


def width(value: Tensor) -> int | None:
    """The size of the last axis, where the source fixes it."""
    return (value.shape[-1] if value.shape else None) if value.shape is not None else value.last


def shaped(call: Call, result: Value) -> Value:
    """The result of a call with its shape, where a rule tells it."""
    name = call.actual.rpartition(".")[2].rstrip("_")
    package = call.row.name.partition(".")[0]
    if package == "einops":
        return with_form(result, named_axes(call))
    table = TABLES.get(package)
    if table is None:
        return result
    rule = table.get(name)
    if rule is None and call.via:  # a layer that does what a function does
        name = call.row.name.rpartition(".")[2]
        rule = table.get(name)
    if rule is None:
        return result
    found, computed = rule(call), result
    if rule is not same and isinstance(result, Tensor) and result.axis is not None:
        result = result.but(axis=moved(call, result.axis, name))
    if isinstance(result, Sequence):
        return Sequence(with_form(result.element, found), result.source, result.first)
    route = call.tensor.route
    if name in NAMED and found.shape is not None:
        route = (*route, here(call, f"{call.short_name} gives {describe(found)}"))[-ROUTE:]
    if isinstance(result, Tuple):
        return Tuple(tuple(with_form(v, found, route) for v in result.items), result.names)
    formed = with_form(result, found, route)
    if formed is not computed:
        call.interp.modules.same(computed, formed)  # still what the index of modules knows of it
    return formed


def moved(call: Call, number: int, name: str) -> int | None:
    """Where an axis is after a call that may put axes elsewhere, where that is known."""
    if name in ("cat", "concat", "concatenate"):  # beside each other along another one
        along = const(axis(call, 1) or Const(0))
        return number if isinstance(along, int) and along >= 0 <= number and along != number else None
    given = call.tensor.shape
    if given is None or not -len(given) <= number < len(given):
        return None
    rank, number = len(given), number % len(given)
    if name == "unsqueeze":
        at = place(axis(call, 1), rank, 1)
        return None if at is None else number + (at <= number)
    if name == "squeeze":
        at = place(axis(call, 1), rank)
        return None if at in (None, number) or given[at or 0] != 1 else number - ((at or 0) < number)
    order: Form | None = None
    if name == "permute":
        order = permuted(Form(tuple(range(rank))), sizes(call, 1, "dims", "axes"))
    elif name == "transpose":
        order = transposed(call, Form(tuple(range(rank))))
    return order.shape.index(number) if order is not None and order.shape is not None else None


def here(call: Call, label: str) -> Step:
    """The place of a call; of a layer, where it was made."""
    born = call.receiver.born if call.via and isinstance(call.receiver, Instance) else None
    return call.interp.step(call.node, label) if born is None else born._replace(label=label)


def with_form(value: Value, found: Form, route: tuple[Step, ...] = ()) -> Value:
    """A tensor with these axes."""
    if not isinstance(value, Tensor):
        return value
    route = route or value.route
    if form(value) == found and value.route is route:
        return value
    shape, last, batched = found
    if shape is not None and len(shape) > MAX_RANK:
        shape, last, batched = NOTHING
    return value.but(shape=shape, last=None if shape is not None else last, batched=batched, route=route)


def describe(found: Form | Shape) -> str:
    """A shape in words: `(N, 16, ?)`."""
    shape = found.shape if isinstance(found, Form) else found
    batched = isinstance(found, Form) and found.batched
    if shape is None:
        return f"(…, {found.last})" if isinstance(found, Form) and found.last is not None else "an unknown shape"
    unknown = ["N" if batched and not i else "?" for i in range(len(shape))]
    sizes = [word if size is None or is_of_axis(size) else str(size) for word, size in zip(unknown, shape)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


# ------------------------------------------------------------------------- arguments


BATCH = -2  # among sizes given: the size of the batch axis


def size(value: Value | None) -> int | None:
    """A size as given: a number, one that settings decide, `BATCH`, or None."""
    return BATCH if isinstance(value, Number) and value.batch else size_of(value)


def sizes(
    call: Call, start: int, *keywords: str, of: Callable[[Value | None], int | None] | None = None
) -> list[int | None] | None:
    """Sizes given one by one or as one sequence, as `of` reads them; None when their number is not known."""
    of = of or size
    if call.arguments.open:
        return None
    given: Any = call.arguments.positional[start:]
    if not given:
        for keyword in keywords:
            if keyword in call.arguments.keywords:
                given = [call.arguments.keywords[keyword]]
    if len(given) == 1 and not isinstance(given[0], (Const, Number)):
        return listed(call.interp, given[0], of)
    return [of(v) for v in given] or None


def fixed_sizes(call: Call, start: int, *keywords: str) -> list[int | None] | None:
    """The same, with None for a size that settings decide."""
    given = sizes(call, start, *keywords)
    return given and list(fixed(given))


def listed(
    interp: Interpreter, value: Value | None, of: Callable[[Value | None], int | None] | None = None
) -> list[int | None] | None:
    """The sizes in a tuple or list."""
    of = of or size
    items = interp.known_items(value) if isinstance(value, (Tuple, ListObject)) else None
    if items is None or any(isinstance(v, (Tuple, ListObject, Tensor)) for v in items):
        return None
    return [of(v) for v in items]


def plain(found: list[int | None] | None) -> Shape | None:
    """Sizes as a shape of something new."""
    return None if found is None else tuple(None if s is None or s < 0 else s for s in found)


def option(call: Call, name: str, position: int | None = None) -> Value | None:
    """An argument of a function, or the option that a layer was made with."""
    if call.via and isinstance(call.receiver, Instance):
        found = call.receiver.attrs.get(name)
        return found if isinstance(found, Value) else None
    return call.value(name, position)


def several(call: Call, value: Value | None, count: int, default: int | None) -> list[int | None]:
    """An option that is one number for all axes or one for each."""
    if value is None or (isinstance(value, Const) and value.value is None):
        return [default] * count
    items = listed(call.interp, value)
    if items is not None:
        return items if len(items) == count else [None] * count
    return [size(value)] * count


def axis(call: Call, position: int | None = None) -> Value | None:
    """The `dim` or `axis` argument."""
    for name in ("dim", "axis"):
        if name in call.arguments.keywords:
            return call.arguments.keywords[name]
    if call.via and isinstance(call.receiver, Instance):
        return option(call, "dim")
    return call.value("dim", position)


def place(value: Value | None, rank: int, extra: int = 0) -> int | None:
    """An axis as an index from the front."""
    number = const(value) if value is not None else None
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if number < 0:
        number += rank + extra
    return number if 0 <= number < rank + extra else None


# ------------------------------------------------------------------- element by element


def broadcast(a: Form, b: Form) -> Form:
    """The form of an elementwise result."""
    if a == b:
        return a
    if a.shape == () or b.shape == ():
        return b if a.shape == () else a
    if a.shape is None or b.shape is None:
        mine, other = (f.shape[-1] if f.shape else f.last for f in (a, b))
        wide = (s for s in (mine, other) if s is not None and s > 1 and is_fixed(s))
        last = next(wide, mine if mine == other else None)
        return Form(None, last, a.batched and b.batched)
    result: list[int | None] = []
    for i in range(max(len(a.shape), len(b.shape))):
        m = a.shape[-1 - i] if i < len(a.shape) else 1
        n = b.shape[-1 - i] if i < len(b.shape) else 1
        if m == n or n == 1:
            result.append(m)
        elif m == 1:
            result.append(n)
        elif m is not None and n is not None and (is_of_axis(m) or is_of_axis(n)):
            result.append(n if is_fixed(n) else m if is_fixed(m) else None)  # of two that are not known, one may be 1
        elif m is not None and n is not None and is_fixed(m) and is_fixed(n):
            result.append(None)  # it fails here, and nothing follows from it
        else:
            result.append(n if m is None or (n is not None and is_fixed(n)) else m)
    longest = a if len(a.shape) >= len(b.shape) else b
    return Form(tuple(reversed(result)), None, longest.batched)


def clash(a: Form, b: Form) -> bool:
    """Whether two shapes cannot be broadcast."""
    sides = [f.shape if f.shape is not None else (None, f.last) for f in (a, b)]
    pairs = zip(*(side[::-1] for side in sides))
    return any(m is not None and n is not None and min(m, n) > 1 and differ(m, n) for m, n in pairs)


def scaled(given: Form) -> Form:
    """The form of a stack of matrices or images that is scaled by something out of view: a number, or what has no more
    axes."""
    if given.shape is None or len(given.shape) < 3:
        return broadcast(given, NOTHING)
    return Form(tuple(None if size == 1 else size for size in given.shape), None, given.batched)


@shape_of(
    *"""contiguous to float double half bfloat16 type cpu cuda clone flip roll type_as pin_memory share_memory
    retain_grad nan_to_num xpu npu positive requires_grad int long short byte bool char detach numpy data triu tril
    softmax gumbel_softmax softmin log_softmax sigmoid expit hardsigmoid logsigmoid relu relu6 hardtanh leaky_relu
    elu gelu silu selu celu mish hardswish prelu rrelu softsign tanhshrink hardshrink softplus tanh dropout
    dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout batch_norm layer_norm group_norm
    instance_norm normalize log log2 log10 log1p logit lgamma digamma erf erfinv sin asinh cos sinc acos arccos
    asin arcsin atan arctan atanh arctanh exp exp2 expm1 sqrt rsqrt square abs absolute fabs clamp clip clamp_min
    clamp_max cumsum cumprod argsort logcumsumexp masked_fill isnan isinf isfinite logical_not neg negative
    reciprocal round floor ceil trunc sign sgn zeros_like empty_like ones_like full_like rand_like randn_like
    randint_like Variable Parameter bernoulli zero fill uniform normal log_normal cauchy random sort astype copy
    scatter scatter_add index_add index_fill index_copy index_put lerp Softmax LogSoftmax Sigmoid Tanh ReLU
    Identity LocalResponseNorm ascontiguousarray TransformerEncoder TransformerEncoderLayer
    permutation Dropout""".split()
)
def same(call: Call) -> Form:
    """As the first argument."""
    if call.actual.endswith(("normal", "uniform")) and not isinstance(call.receiver, Tensor):
        return drawn(call)
    return form(call.first if isinstance(call.first, Tensor) else call.tensor)


@shape_of(
    *"""eq ne gt lt ge le greater less not_equal greater_equal less_equal logical_and logical_or isclose maximum fmax
    minimum fmin pow float_power atan2 xlogy addcmul addcdiv remainder fmod where heaviside add sub mul div
    true_divide subtract multiply divide""".split()
)
def elementwise(call: Call) -> Form:
    """Of all arguments together."""
    result: Form | None = None
    values = call.arguments.positional + [
        v for k, v in call.arguments.keywords.items() if k in ("condition", "other", "input", "x", "y")
    ]
    if len(values) == 1 and call.row.name.endswith("where"):
        return Form((None,))
    for value in values:
        found = form(value)
        result = found if result is None else broadcast(result, found)
    return result or NOTHING


# ---------------------------------------------------------------------------- reductions


def reduced(call: Call, dim: Value | None, keep: Value | None) -> Form:
    """Without the axes named, or of size 1 where they are kept."""
    given = form(call.tensor)
    if dim is None or (isinstance(dim, Const) and dim.value is None):
        if keep is not None and truth(keep) is not False:
            return Form(tuple(1 for _ in given.shape)) if given.shape is not None and truth(keep) else NOTHING
        return Form(())
    kept = truth(keep) if keep is not None else False
    named = call.interp.known_items(dim) if isinstance(dim, (Tuple, ListObject)) else (dim,)
    if isinstance(dim, Sequence):  # `range(1, x.dim())`: all but the first
        return Form(None, None, given.batched and bounds(dim.element)[0] >= 1)
    if kept is None or named is None:
        return NOTHING
    if given.shape is None:
        numbers = [const(d) for d in named]
        batched = given.batched and all(isinstance(n, int) and n != 0 for n in numbers)
        return Form(None, (1 if kept and -1 in numbers else None), batched)
    places = [place(d, len(given.shape)) for d in named]
    if None in places:
        return NOTHING
    batched = given.batched and 0 not in places
    if kept:
        return Form(tuple(1 if i in places else s for i, s in enumerate(given.shape)), None, batched)
    return Form(tuple(s for i, s in enumerate(given.shape) if i not in places), None, batched)


@shape_of(
    *"""sum nansum mean nanmean median nanmedian std var var_mean std_mean amax amin argmax argmin norm vector_norm
    logsumexp count_nonzero prod average nanstd nanmax nanmin any all""".split()
)
@shape_of("max", "min", named=True)
def reduce(call: Call) -> Form:
    """A sum, a mean, a maximum."""
    dim = axis(call)
    if isinstance(dim, Tensor) and call.row.does in ("max", "min"):
        return elementwise(call)
    if isinstance(dim, Const) and isinstance(dim.value, bool):
        return NOTHING
    keep = call.value("keepdim", 2 if call.row.params[-1:] == ["dim"] and call.row.name.startswith("torch") else None)
    keywords = call.arguments.keywords
    return reduced(call, dim, keep or keywords.get("keepdims") or keywords.get("keepdim"))


@shape_of("kthvalue", "mode")
def reduce_last(call: Call) -> Form:
    return reduced(
        call, call.value("dim", 2 if call.actual.endswith("kthvalue") else 1) or Const(-1), call.value("keepdim", 3)
    )


@shape_of("topk")
def topk(call: Call) -> Form:
    given = form(call.tensor)
    count, dim = size(call.value("k", 1)), call.value("dim", 2) or Const(-1)
    if given.shape is None:
        return Form(None, count if const(dim) == -1 else None, given.batched)
    at = place(dim, len(given.shape))
    if at is None:
        return NOTHING
    return Form(tuple(count if i == at else s for i, s in enumerate(given.shape)), None, given.batched and at != 0)


@shape_of("multinomial")
def multinomial(call: Call) -> Form:
    given = form(call.tensor)
    count = size(call.value("num_samples", 1))
    return (
        NOTHING if not given.shape else Form((*given.shape[:-1], count), None, given.batched and len(given.shape) > 1)
    )


@shape_of("cosine_similarity", "CosineSimilarity")
def cosine_similarity(call: Call) -> Form:
    both = broadcast(form(call.first), form(call.value("x2", 1)))
    if both.shape is None:
        return NOTHING
    at = place(axis(call, 2) or Const(1), len(both.shape))
    return NOTHING if at is None else Form(tuple(s for i, s in enumerate(both.shape) if i != at))


@shape_of("pairwise_distance", "PairwiseDistance")
def pairwise_distance(call: Call) -> Form:
    both = broadcast(form(call.first), form(call.value("x2", 1)))
    if not both.shape or option(call, "keepdim", 4) is not None:
        return NOTHING
    return Form(both.shape[:-1], None, both.batched)


# ------------------------------------------------------------------------ other axes


def product(numbers: Any) -> int | None:
    """The product of sizes that are all known."""
    result = 1
    for number in numbers:
        if number is None or number < 0:
            return None
        result *= number
    return result


@shape_of("view", "reshape", "resize", named=True)
def reshape(call: Call) -> Form:
    """`view` and `reshape`."""
    given = form(call.tensor)
    wanted = sizes(call, 1, "shape", "size", "newshape")
    if wanted is None:
        return NOTHING
    if any(map(is_of_axis, given.shape or ())):
        return rearranged(given, wanted, sizes(call, 1, "shape", "size", "newshape", of=size_of) or [])
    return reshaped(given, wanted)


def rearranged(given: Form, wanted: list[int | None], named: list[int | None]) -> Form:
    """The same for a tensor with axes whose sizes the program asked for: what is `named` so fits exactly."""
    shape, whole = given.shape or (), product(given.shape)
    known = product(s for s in named if s != -1)
    if whole is not None and known and named.count(-1) < 2:
        rest = whole // known if whole % known == 0 else None
        if rest is not None and is_whole(rest) and (-1 in named or rest == 1):
            result = tuple(rest if s == -1 else s for s in named)
            return Form(result, None, wanted[0] == BATCH or (given.batched and result[0] == shape[0]))
    plain = tuple(None if is_of_axis(s) else s for s in shape)
    found = reshaped(given._replace(shape=plain), [None if is_of_axis(s) else s for s in wanted])
    kept = tuple(n if f is None and n != -1 else f for f, n in zip(found.shape or (), named))
    return found._replace(shape=kept)


def reshaped(given: Form, wanted: list[int | None]) -> Form:
    """The same elements in other axes, of which one may be -1."""
    shape = given.shape
    result: list[int | None] = [None if s is None or s < 0 else s for s in wanted]
    sample = product(shape[1:]) if shape else None
    first = bool(wanted) and wanted[0] == BATCH and given.batched
    if wanted.count(-1) == 1:
        at = wanted.index(-1)
        rest = [s for s in wanted if s != -1]
        total, known = (product(shape) if shape is not None else None), product(rest)
        if total is not None and known:
            result[at] = total // known if total % known == 0 else None
            if at == 0 and shape and result[0] == shape[0]:
                first = given.batched
        elif at and first and sample is not None:
            known = product(rest[1:])
            result[at] = sample // known if known and sample % known == 0 else None
        elif (
            at == 0
            and shape
            and shape[0] is None
            and (known == sample if sample is not None else len(shape) > 3 and len(wanted) == 2 and known != shape[-1])
        ):
            first = given.batched  # flattened, for all we know
    elif wanted and wanted[0] is not None and wanted[0] >= 0 and shape and shape[0] == wanted[0]:
        first = given.batched
    return Form(tuple(result), None, first)


@shape_of("view_as", "reshape_as", "resize_as", "expand_as", "broadcast_to_as")
def as_other(call: Call) -> Form:
    return form(call.value("other", 1))


@shape_of("glu", "GLU")
def glu(call: Call) -> Form:
    given, dim = form(call.tensor), option(call, "dim", 1) or Const(-1)
    at = place(dim, len(given.shape)) if given.shape is not None else None
    if given.shape is None or at is None:
        return NOTHING
    half = given.shape[at]
    halved = tuple((None if half is None else half // 2) if i == at else s for i, s in enumerate(given.shape))
    return Form(halved, None, given.batched)


@shape_of("flatten", "Flatten", named=True)
def flatten(call: Call) -> Form:
    given = form(call.tensor)
    layer = call.actual.endswith("Flatten")
    if call.row.name.startswith("numpy."):
        return Form((product(given.shape) if given.shape is not None else None,))
    start = option(call, "start_dim", 1) or Const(1 if layer else 0)
    end = option(call, "end_dim", 2) or Const(-1)
    if given.shape is None:
        if const(start) == 1 and const(end) == -1:
            return Form((None, None), None, given.batched)
        return Form((None,)) if const(start) == 0 and const(end) == -1 else NOTHING
    first, last = place(start, len(given.shape)), place(end, len(given.shape))
    if first is None or last is None or first > last:
        return NOTHING
    middle = product(given.shape[first : last + 1]) if first < last else given.shape[first]
    return Form((*given.shape[:first], middle, *given.shape[last + 1 :]), None, given.batched and first > 0)


@shape_of("ravel")
def ravel(call: Call) -> Form:
    given = form(call.tensor)
    return Form((product(given.shape) if given.shape is not None else None,))


@shape_of("squeeze")
def squeeze(call: Call) -> Form:
    given = form(call.tensor)
    if given.shape is None:
        return NOTHING
    dim = axis(call, 1)
    if dim is None:
        people = given.batched and given.shape and (given.shape[0] is None or is_of_axis(given.shape[0]))
        rest = given.shape[1:] if people else given.shape
        if None in rest or not all(map(is_fixed, rest)):
            return NOTHING
        kept = tuple(s for s in rest if s != 1)
        return Form((None, *kept), None, True) if len(rest) < len(given.shape) else Form(kept)
    at = place(dim, len(given.shape))
    if at is None or given.shape[at] is None or not is_fixed(given.shape[at]):
        return NOTHING
    if given.shape[at] != 1:
        return given
    return Form(given.shape[:at] + given.shape[at + 1 :], None, given.batched and at != 0)


@shape_of("unsqueeze", "expand_dims")
def unsqueeze(call: Call) -> Form:
    given, dim = form(call.tensor), axis(call, 1)
    if given.shape is None:
        return Form(
            None, 1 if const(dim or UNKNOWN) == -1 else None, given.batched and const(dim or UNKNOWN) not in (0, None)
        )
    at = place(dim, len(given.shape), 1)
    if at is None:
        return NOTHING
    return Form((*given.shape[:at], 1, *given.shape[at:]), None, given.batched and at != 0)


@shape_of("permute")
def permute(call: Call) -> Form:
    given, order = form(call.tensor), sizes(call, 1, "dims", "axes")
    return permuted(given, order)


def permuted(given: Form, order: list[int | None] | None) -> Form:
    if order is None or None in order:
        return NOTHING
    rank = len(order)
    places = [o + rank if o is not None and o < 0 else o for o in order]
    if sorted(p for p in places if p is not None) != list(range(rank)):
        return NOTHING
    if given.shape is None:
        return Form((None,) * rank, None, given.batched and places[0] == 0)
    if len(given.shape) != rank:
        return NOTHING
    shape = given.shape
    return Form(tuple(shape[p] for p in places if p is not None), None, given.batched and places[0] == 0)


@shape_of("transpose", "swapaxes", "swapdims", "t")
def transpose(call: Call) -> Form:
    return transposed(call, form(call.tensor))


def transposed(call: Call, given: Form) -> Form:
    rank = len(given.shape) if given.shape is not None else 0
    order = call.arguments.positional[1:]
    several = len(order) > 2  # torch swaps two axes, so this is an array, whatever else is known of it
    numpy = (several or call.row.name.startswith("numpy.")) and not call.actual.endswith("swapaxes")
    plain = call.actual.endswith(".t")
    if plain or (numpy and not order and not call.arguments.keywords):
        fails = plain and rank > 2  # what an older version made of more axes is not known
        return permuted(given, list(reversed(range(rank)))) if given.shape is not None and not fails else NOTHING
    if numpy:
        return permuted(given, sizes(call, 1, "axes"))
    first = call.arguments.keywords.get("dim0") or (order[0] if order else None)
    second = call.arguments.keywords.get("dim1") or (order[1] if len(order) > 1 else None)
    if given.shape is None:
        numbers = const(first or UNKNOWN), const(second or UNKNOWN)
        return Form(None, None, given.batched and 0 not in numbers and None not in numbers)
    a, b = place(first, rank), place(second, rank)
    if a is None or b is None:
        return NOTHING
    places: list[int | None] = list(range(rank))
    places[a], places[b] = b, a
    return permuted(given, places)


def named_axes(call: Call) -> Form:
    """What a pattern of einops gives: `b n (h d) -> b h n d`."""
    pattern = const(option(call, "pattern", 1) or UNKNOWN)
    left, arrow, right = pattern.partition("->") if isinstance(pattern, str) else ("", "", "")
    if not arrow or "." in pattern:
        return NOTHING
    given, before, after = form(call.tensor), groups(left), groups(right)
    shape = given.shape if given.shape is not None else (*[None] * (len(before) - 1), given.last)
    if len(shape) != len(before):
        return NOTHING
    known = {name: size(option(call, name)) for group in (*before, *after) for name in group if name.isidentifier()}
    for group, whole in zip(before, shape):
        unknown = [name for name in group if known.get(name, 1) is None]
        rest = product(known[name] for name in group if known.get(name) is not None)
        if len(unknown) == 1 and whole is not None and rest and whole % rest == 0:
            known[unknown[0]] = whole // rest
    result = tuple(product(known.get(name, 1) for name in group) for group in after)
    return Form(result, None, given.batched and before[:1] == after[:1])


def groups(axes: str) -> list[list[str]]:
    """The axes of one side of a pattern, each with the names that are joined in it."""
    return [(joined or one).split() for joined, one in re.findall(r"\(([^)]*)\)|(\S+)", axes)]


@shape_of("expand", "broadcast_to")
def expand(call: Call) -> Form:
    given, wanted = form(call.tensor), sizes(call, 1, "size")
    if wanted is None or (given.shape is not None and len(wanted) < len(given.shape)):
        return NOTHING
    shape = given.shape if given.shape is not None else (given.last,)
    old = (None,) * (len(wanted) - len(shape)) + shape
    return Form(
        tuple(o if w == -1 else None if w is None or w < 0 else w for o, w in zip(old, wanted)),
        None,
        wanted[0] == BATCH,
    )


@shape_of("repeat")
def repeat(call: Call) -> Form:
    given, times = form(call.tensor), sizes(call, 1)
    if call.row.name.startswith("numpy.") or times is None:
        return NOTHING
    if given.shape is None:  # it has as many axes at most
        return Form((*[None] * (len(times) - 1), product((given.last, times[-1]))), None, False)
    if len(times) < len(given.shape):
        return NOTHING
    old = (1,) * (len(times) - len(given.shape)) + given.shape
    batched = given.batched and len(times) == len(given.shape) and times[0] == 1
    return Form(tuple(product((o, t)) for o, t in zip(old, times)), None, batched)


@shape_of("cat", "concat", "concatenate", named=True)
def cat(call: Call) -> Form:
    parts = call.interp.known_items(call.first)
    dim = axis(call, 1) or Const(0)
    if not parts:
        return joined(form(call.interp.element_of(call.first)), dim, count_of(call.first))
    forms = [form(p) for p in parts]
    rank = next((len(f.shape) for f in forms if f.shape is not None), None)
    if rank is None:
        lasts = [f.last for f in forms]
        wide = sum(s for s in lasts if s is not None) if None not in lasts else None
        along = const(dim) == -1 or (wide and const(dim) and any(differ(lasts[0], s) for s in lasts[1:]))  # type: ignore[arg-type]
        return Form(None, wide if along else None, all(f.batched for f in forms) and const(dim) != 0)
    forms = [Form((*[None] * (rank - 1), f.last), None, f.batched) if f.shape is None and rank else f for f in forms]
    shapes = [f.shape for f in forms if f.shape is not None]
    at = place(dim, rank)
    if at is None or any(len(s) != rank for s in shapes):
        return NOTHING
    merged: list[int | None] = []
    for i in range(rank):
        column = [s[i] for s in shapes]
        if i == at:
            merged.append(None if None in column else sum(c for c in column if c is not None))
        else:
            merged.append(next((c for c in column if c is not None), None))
    return Form(tuple(merged), None, forms[0].batched and at != 0)


def joined(element: Form, dim: Value, count: int | None) -> Form:
    """What parts of one form make together, however many they are, or as many as settings decide."""

    def all_of(size: int | None) -> int | None:
        return None if size is None or count is None else size * count

    if element.shape is None:
        return Form(
            None, all_of(element.last) if const(dim) == -1 else None, element.batched and const(dim) not in (0, None)
        )
    at = place(dim, len(element.shape))
    if at is None:
        return NOTHING
    shape = (all_of(s) if i == at else s for i, s in enumerate(element.shape))
    return Form(tuple(shape), None, element.batched and at != 0)


@shape_of("stack")
def stack(call: Call) -> Form:
    parts = call.interp.known_items(call.first)
    dim = axis(call, 1) or Const(0)
    if not parts:
        element = form(call.interp.element_of(call.first))
        parts_known, count = element, None
    else:
        joined = form(parts[0])
        if any(form(p).shape != joined.shape for p in parts):
            return NOTHING
        parts_known, count = joined, len(parts)
    people = is_of_batch(call.first)
    if parts_known.shape is None:
        return Form(None, None, people and const(dim) == 0)
    at = place(dim, len(parts_known.shape), 1)
    if at is None:
        return NOTHING
    shape = parts_known.shape
    return Form((*shape[:at], count, *shape[at:]), None, people if at == 0 else parts_known.batched)


@shape_of("pad_sequence")
def pad_sequence(call: Call) -> Form:
    given = form(call.interp.element_of(call.first)).shape
    first = truth(call.value("batch_first", 1) or FALSE)
    return NOTHING if not given else Form((None, None, *given[1:]), None, first is True)


@shape_of("vstack", "hstack")
def vstack(call: Call) -> Form:
    parts = call.interp.known_items(call.first)
    forms = [form(p) for p in parts or ()]
    if not forms or any(not f.shape for f in forms):
        return NOTHING
    shapes = [f.shape for f in forms if f.shape]
    ranks = {len(s) for s in shapes}
    if len(ranks) != 1:
        return NOTHING
    if call.actual.endswith("hstack"):
        at = 0 if ranks == {1} else 1
    elif ranks == {1}:
        return Form((len(shapes), shapes[0][0]))
    else:
        at = 0
    return Form(tuple(None if i == at else s for i, s in enumerate(shapes[0])), None, forms[0].batched and at != 0)


@shape_of("chunk", "split", "tensor_split", "unsafe_chunk", "unsafe_split")
def pieces(call: Call) -> Form:
    given = form(call.tensor)
    dim = axis(call, 2) or Const(0)
    count = size(call.value("split_size_or_sections", 1) or call.value("chunks", 1))
    counted = "chunk" in call.actual or "tensor_split" in call.actual

    def part(whole: int | None) -> int | None:
        fits = count is not None and count > 0 and whole is not None and whole % count == 0
        return (whole // count if counted else count) if fits else None  # type: ignore[operator]

    if given.shape is None:
        last = part(given.last) if const(dim) == -1 else None
        return Form(None, last, given.batched and const(dim) not in (0, None))
    at = place(dim, len(given.shape))
    if at is None:
        return NOTHING
    piece = part(given.shape[at])
    return Form(tuple(piece if i == at else s for i, s in enumerate(given.shape)), None, given.batched and at != 0)


@shape_of("unbind", "select")
def unbind(call: Call) -> Form:
    given = form(call.tensor)
    dim = axis(call, 1) or Const(0)
    at = place(dim, len(given.shape)) if given.shape is not None else None
    if given.shape is None or at is None:
        return NOTHING
    return Form(tuple(s for i, s in enumerate(given.shape) if i != at), None, given.batched and at != 0)


@shape_of("gather", "take_along_dim")
def gather(call: Call) -> Form:
    return form(call.value("index", 2))


@shape_of("index_select", "narrow")
def index_select(call: Call) -> Form:
    given = form(call.tensor)
    at = place(call.value("dim", 1), len(given.shape)) if given.shape is not None else None
    if given.shape is None or at is None:
        return NOTHING
    return Form(tuple(None if i == at else s for i, s in enumerate(given.shape)), None, given.batched and at != 0)


@shape_of("masked_select", "unique")
def one_axis(call: Call) -> Form:
    return Form((None,)) if len(call.arguments.positional) <= 2 and not call.arguments.keywords else NOTHING


@shape_of("one_hot", "to_categorical")
def one_hot(call: Call) -> Form:
    given, classes = form(call.tensor), size(call.value("num_classes", 1))
    classes = classes if classes is None or classes > 0 else None
    return (
        Form(None, classes, given.batched)
        if given.shape is None
        else Form((*given.shape, classes), None, given.batched)
    )


@shape_of("pad")
def pad(call: Call) -> Form:
    given = form(call.tensor)
    added = listed(call.interp, call.value("pad", 1))
    if given.shape is None or added is None or len(added) % 2 or len(added) > 2 * len(given.shape):
        return NOTHING
    result = list(given.shape)
    for i in range(len(added) // 2):
        old, before, after = result[-1 - i], added[2 * i], added[2 * i + 1]
        result[-1 - i] = None if old is None or before is None or after is None else old + before + after
    return Form(tuple(result), None, given.batched)


# ----------------------------------------------------------------------------- products


def matmul_form(a: Form, b: Form) -> Form:
    """`a @ b`."""
    if b.shape is None:
        stacked = a.shape is None or len(a.shape) > 2  # else it may be a vector
        return Form(None, b.last if stacked else None, a.batched and b.last is not None)
    if a.shape is None:
        return Form(None, b.shape[-1], a.batched) if len(b.shape) >= 2 else NOTHING
    if not a.shape or not b.shape:
        return NOTHING
    if len(b.shape) == 1:
        return Form(a.shape[:-1], None, a.batched and len(a.shape) > 1)
    if len(a.shape) == 1:
        return Form((*b.shape[:-2], b.shape[-1]))
    front = broadcast(Form(a.shape[:-2]), Form(b.shape[:-2])).shape or ()
    batched = a.batched and len(a.shape) >= len(b.shape)
    return Form((*front, a.shape[-2], b.shape[-1]), None, batched)


@shape_of("matmul", "mm", "bmm", "mv", "dot", "spmm", "inner")
def matmul(call: Call) -> Form:
    a, b = form(call.first), form(call.value("other", 1) or call.value("mat2", 1))
    if call.actual.endswith(".mm"):  # takes nothing but matrices
        a, b = (Form((None, f.last), None, f.batched) if f.shape is None else f for f in (a, b))
    return matmul_form(a, b)


@shape_of("outer")
def outer(call: Call) -> Form:
    a, b = form(call.first).shape, form(call.value("other", 1)).shape
    return Form((a[0], b[0])) if a and b and len(a) == len(b) == 1 else Form((None, None))


@shape_of("einsum")
def einsum(call: Call) -> Form:
    formula = const(call.first)
    operands = [form(v) for v in call.arguments.positional[1:]]
    if not isinstance(formula, str) or "->" not in formula or "." in formula:
        return NOTHING
    left, _, right = formula.replace(" ", "").partition("->")
    known: dict[str, int | None] = {}
    for letters, given in zip(left.split(","), operands):
        for letter, number in zip(letters, given.shape or ()):
            if known.get(letter) is None:
                known[letter] = number
    batched = bool(right) and all(g.batched and p[:1] == right[0] for p, g in zip(left.split(","), operands))
    return Form(tuple(known.get(letter) for letter in right), None, batched)


@shape_of("cdist")
def cdist(call: Call) -> Form:
    a, b = form(call.first).shape, form(call.value("x2", 1)).shape
    return Form((*a[:-1], b[-2])) if a and b and len(a) == len(b) >= 2 else NOTHING


# -------------------------------------------------------------------------------- layers


def misfit(call: Call, at: int, wanted: int | None, found: int | None) -> bool:
    """Whether a layer cannot take the size of an axis, which is told of."""
    fails = wanted is not None and found is not None and wanted >= 0 and differ(wanted, found)
    if fails:
        call.interp.emit("sizes", (call, at, wanted, found))
    return fails


def asked(call: Call, name: str, found: int | None) -> int | None:
    """The size that a layer was made for; where settings chose it, one that the axis does not have, if all are such."""
    first, *others = (size(value) for value in options(option(call, name) or UNKNOWN))
    wrong = not others or found is None or all(n is not None and n >= 0 and differ(n, found) for n in (first, *others))
    return first if wrong else None


@shape_of("Unflatten", named=True)
def unflatten(call: Call) -> Form:
    """One axis, which becomes several."""
    given, wanted = form(call.tensor), listed(call.interp, option(call, "unflattened_size"))
    at = place(option(call, "dim"), len(given.shape)) if given.shape is not None else None
    if given.shape is None or at is None or not wanted:
        return NOTHING
    if misfit(call, -1 if at == len(given.shape) - 1 else at, product(wanted), given.shape[at]):
        return NOTHING
    sizes_found = (None if size is None or size < 0 else size for size in wanted)
    return Form((*given.shape[:at], *sizes_found, *given.shape[at + 1 :]), None, given.batched and at > 0)


@shape_of("LayerNorm", "RMSNorm")
def layer_norm(call: Call) -> Form:
    given, wanted = form(call.tensor), option(call, "normalized_shape")
    axes = listed(call.interp, wanted) if isinstance(wanted, (Tuple, ListObject)) else [size(wanted)]
    misfit(call, -1, axes[-1] if axes else None, last_axis(call.tensor))
    return given


@shape_of("Linear", "LazyLinear", named=True)
def linear(call: Call) -> Form:
    given, out = form(call.tensor), size(option(call, "out_features"))
    found = last_axis(call.tensor)
    misfit(call, -1, asked(call, "in_features", found), found)
    if given.shape is None:
        return Form(None, out, given.batched)
    return Form((*given.shape[:-1], out), None, given.batched) if given.shape else NOTHING


@shape_of("linear")
def linear_function(call: Call) -> Form:
    given, weight = form(call.tensor), form(call.value("weight", 1)).shape
    out = weight[0] if weight else None
    return Form(None, out, given.batched) if not given.shape else Form((*given.shape[:-1], out), None, given.batched)


def spread(call: Call, count: int) -> Form:
    """The form of an input of layers over `count` axes: batch, channels and these; assumed where it is not known."""
    given = form(call.tensor)
    if given.shape is None:
        return Form((None,) * (count + 2), None, True)
    if len(given.shape) == count + 2:
        return Form(given.shape, None, True)
    return given if len(given.shape) == count + 1 else NOTHING


def window(
    n: int | None, kernel: int | None, stride: int | None, padding: int | None, dilation: int | None, up: bool = False
) -> int | None:
    """The size of an axis behind a moving window."""
    if n is None or kernel is None or not stride or padding is None or dilation is None:
        return None
    total = n + 2 * padding - dilation * (kernel - 1) - 1
    if isinstance(total, Size) and total.terms.get(ONE, 0) % stride:
        return None  # whether the window's last step fits depends on the setting
    steps = -(-total // stride) if up else total // stride
    return (max(steps, -1) if is_fixed(steps) else steps) + 1


def count_in(call: Call) -> int:
    """How many axes a layer named `…2d` works on."""
    name = call.actual.rstrip("_")
    return int(name[-2]) if name[-1:] == "d" and name[-2:-1].isdigit() else 2


Resize = Callable[[Shape], Iterable[int | None]]


def convolved(call: Call, axes: int, out: int | None, resized: Resize) -> Form:
    """The form behind a convolution over `axes` axes: `out` channels, and what these axes are resized to."""
    given = spread(call, axes)
    if given.shape is None:
        return NOTHING
    channel = len(given.shape) - axes - 1
    if misfit(call, channel, asked(call, "in_channels", given.shape[channel]), given.shape[channel]):
        return NOTHING
    return Form((*given.shape[:channel], out, *resized(given.shape[channel + 1 :])), None, given.batched)


def strided(call: Call, axes: int, kernel: list[int | None]) -> Resize:
    """How a convolution that is no transposed one resizes: by its stride, padding and dilation."""
    padding = option(call, "padding", 4)
    if const(padding or UNKNOWN) == "same":
        return tuple
    pads = [0] * axes if const(padding or UNKNOWN) == "valid" else several(call, padding, axes, 0)
    stride, dilation = (several(call, option(call, *given), axes, 1) for given in (("stride", 3), ("dilation", 5)))
    return lambda space: (window(*w) for w in zip(space, kernel, stride, pads, dilation))


@shape_of("Conv1d", "Conv2d", "Conv3d", "LazyConv1d", "LazyConv2d", named=True)
def convolution(call: Call) -> Form:
    axes = count_in(call)
    kernel = several(call, option(call, "kernel_size"), axes, None)
    return convolved(call, axes, size(option(call, "out_channels")), strided(call, axes, kernel))


@shape_of("conv1d", "conv2d", "conv3d")
def convolution_function(call: Call) -> Form:
    axes, weight = count_in(call), form(call.value("weight", 1)).shape
    kernel: list[int | None] = list(weight[2:]) if weight and len(weight) == axes + 2 else [None] * axes
    return convolved(call, axes, weight[0] if weight else None, strided(call, axes, kernel))


@shape_of("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", named=True)
def transposed_convolution(call: Call) -> Form:
    axes = count_in(call)
    kernel = several(call, option(call, "kernel_size"), axes, None)
    stride = several(call, option(call, "stride"), axes, 1)
    pads = several(call, option(call, "padding"), axes, 0)
    more = several(call, option(call, "output_padding"), axes, 0)
    dilation = several(call, option(call, "dilation"), axes, 1)

    def resized(space: Shape) -> Iterable[int | None]:
        for n, k, s, p, o, d in zip(space, kernel, stride, pads, more, dilation):
            unknown = n is None or k is None or s is None or p is None or o is None or d is None
            yield None if unknown else (n - 1) * s - 2 * p + d * (k - 1) + o + 1

    return convolved(call, axes, size(option(call, "out_channels")), resized)


POOLS = "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool2d"


@shape_of(*POOLS.split(), *"max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d".split(), named=True)
def pool(call: Call) -> Form:
    axes = count_in(call)
    given = spread(call, axes)
    if given.shape is None or option(call, "return_indices") is not None:
        return NOTHING
    channel = len(given.shape) - axes - 1
    average = "avg" in call.actual.lower()
    kernel = several(call, option(call, "kernel_size", 1), axes, None)
    wide = option(call, "stride", 2)
    stride = kernel if wide is None or wide is NONE else several(call, wide, axes, None)
    pads = several(call, option(call, "padding", 3), axes, 0)
    dilation = [1] * axes if average else several(call, option(call, "dilation", 4), axes, 1)
    up = option(call, "ceil_mode", 4 if average else 5)
    upward = truth(up) if up is not None else False
    space = [
        None if upward is None else window(*w, upward)
        for w in zip(given.shape[channel + 1 :], kernel, stride, pads, dilation)
    ]
    return Form((*given.shape[: channel + 1], *space), None, given.batched)


@shape_of(
    *"AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d".split(),
    *"adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d".split(),
    named=True,
)
def adaptive_pool(call: Call) -> Form:
    axes = count_in(call)
    given = spread(call, axes)
    if given.shape is None:
        return NOTHING
    wanted = several(call, option(call, "output_size", 1), axes, None)
    return Form((*given.shape[: len(given.shape) - axes], *wanted), None, given.batched)


@shape_of(
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "SyncBatchNorm",
    "InstanceNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm3d",
)
def batch_norm(call: Call) -> Form:
    given = form(call.tensor)
    name = call.actual.rpartition(".")[2]
    if given.shape is None:
        axes = {"BatchNorm2d": 4, "InstanceNorm2d": 4, "BatchNorm3d": 5}.get(name)
        return given if axes is None else Form((None,) * axes, None, given.batched)
    wanted = option(call, "num_channels" if name == "GroupNorm" else "num_features")
    if name.startswith("InstanceNorm"):  # without weights it takes any number of channels
        affine = option(call, "affine")
        fits = affine is None or truth(affine) is not True or len(given.shape) != count_in(call) + 2
        wanted = None if fits else wanted
    if wanted is not None and len(given.shape) >= 2:
        misfit(call, 1, size(wanted), given.shape[1])
        if given.shape[1] is None:
            return Form((given.shape[0], size(wanted), *given.shape[2:]), None, given.batched)
    return given


@shape_of("Embedding", named=True)
def embedding(call: Call) -> Form:
    given, out = form(call.tensor), size(option(call, "embedding_dim"))
    return Form(None, out, given.batched) if given.shape is None else Form((*given.shape, out), None, given.batched)


@shape_of("embedding")
def embedding_function(call: Call) -> Form:
    given, weight = form(call.tensor), form(call.value("weight", 1)).shape
    out = weight[-1] if weight else None
    return Form(None, out, given.batched) if given.shape is None else Form((*given.shape, out), None, given.batched)


@shape_of("interpolate", "upsample", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d")
def interpolate(call: Call) -> Form:
    given = form(call.tensor)
    if given.shape is None or len(given.shape) < 3:
        return NOTHING
    axes = len(given.shape) - 2
    wanted, scale = option(call, "size", 1), option(call, "scale_factor", 2)
    if wanted is not None and wanted is not NONE:
        space = several(call, wanted, axes, None)
    else:
        factor = const(scale) if scale is not None else None
        whole = isinstance(factor, (int, float)) and factor == int(factor)
        space = [s * int(factor) if whole and s is not None and factor is not None else None for s in given.shape[2:]]
    return Form((*given.shape[:2], *space), None, given.batched)


@picture_of("resize", "center_crop")
def reframed(call: Call) -> Form:
    """The last two axes get another size; where it is one number, resizing may keep the ratio of the two."""
    given, wanted = form(call.tensor), call.value("size", 1)
    if given.shape is None or len(given.shape) < 3:
        return NOTHING
    one = size(wanted) is not None and call.short_name == "resize"
    return Form((*given.shape[:-2], *((None, None) if one else several(call, wanted, 2, None))), None, given.batched)


@shape_of("pixel_shuffle", "PixelShuffle")
def pixel_shuffle(call: Call) -> Form:
    given, factor = form(call.tensor), size(option(call, "upscale_factor", 1))
    if given.shape is None or len(given.shape) != 4 or not factor or factor < 0:
        return NOTHING
    n, c, h, w = given.shape
    channels = None if c is None or c % factor**2 else c // factor**2
    return Form((n, channels, product((h, factor)), product((w, factor))), None, given.batched)


@shape_of("scaled_dot_product_attention")
def attention(call: Call) -> Form:
    query, value = form(call.first), form(call.value("value", 2))
    return Form((*query.shape[:-1], value.shape[-1]), None, query.batched) if query.shape and value.shape else NOTHING


@shape_of("Transformer", "TransformerDecoder", "TransformerDecoderLayer")
def transformer(call: Call) -> Form:
    at = 1 if call.actual.endswith("Transformer") else 0
    given = call.arguments.positional
    return form(given[at]) if len(given) > at else NOTHING


def recurrent(call: Call) -> tuple[Form, Form]:
    """Of the output and of the last state of an RNN."""
    given = form(call.tensor)
    hidden, layers = size(option(call, "hidden_size")), option(call, "num_layers")
    both, first = option(call, "bidirectional"), option(call, "batch_first")
    ways = 1 if both is None else {True: 2, False: 1, None: 0}[truth(both)]
    depth = 1 if layers is None else size(layers)
    wide = hidden * ways if hidden is not None and ways else None
    stacked = depth * ways if depth is not None and ways else None
    if option(call, "proj_size") is not None:
        return NOTHING, NOTHING
    misfit(call, -1, size(option(call, "input_size")), last_axis(call.tensor))
    if given.shape is not None and len(given.shape) == 2:
        return Form((given.shape[0], wide)), Form((stacked, hidden))
    front = given.shape[:2] if given.shape is not None and len(given.shape) == 3 else (None, None)
    batch_first = truth(first) if first is not None else False
    people = None if batch_first is None else front[0 if batch_first else 1]
    return Form((*front, wide), None, batch_first is True), Form((stacked, people, hidden))


def cell(call: Call) -> Form:
    """Of the state of one step of an RNN."""
    given, hidden = form(call.tensor), size(option(call, "hidden_size"))
    misfit(call, -1, size(option(call, "input_size")), last_axis(call.tensor))
    if not given.shape:
        before = form(as_state(call))
        return before if before.shape and before.shape[-1] == hidden else Form(None, hidden, given.batched)
    return Form((*given.shape[:-1], hidden), None, given.batched)


def as_state(call: Call) -> Value | None:
    """The state that a cell is given: of an LSTM, the first of two."""
    given = call.value("hx", 1)
    return given.items[0] if isinstance(given, Tuple) and given.items else given


# -------------------------------------------------------------------------------- losses


LOSSES = """cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits sigmoid_focal_loss kl_div
 mse_loss l1_loss smooth_l1_loss huber_loss"""


@shape_of(*LOSSES.split())
def loss(call: Call) -> Form:
    reduction = call.value("reduction")
    how = "mean" if reduction is None else const(reduction)
    if call.path.endswith("focal_loss") and reduction is None:
        how = "none"
    if call.value("reduce") is not None or call.value("size_average") is not None:
        return Form(()) if truth(call.value("reduce") or Const(True)) else NOTHING
    if how in ("mean", "sum", "batchmean", "elementwise_mean"):
        return Form(())
    if how != "none":
        return NOTHING
    given, target = form(call.first), form(call.value("target", 1) or call.value("targets", 1))
    if ("entropy" in call.path and "binary" not in call.path) or call.path.endswith("nll_loss"):
        return Form((given.shape[0], *given.shape[2:]), None, given.batched) if given.shape else target
    return broadcast(given, target)


# ----------------------------------------------------------------------------- new tensors


@shape_of(
    "zeros",
    "ones",
    "empty",
    "rand",
    "randn",
    "random",
    "standard_normal",
    "new_zeros",
    "new_ones",
    "new_empty",
    "random_sample",
)
def made(call: Call) -> Form:
    method = isinstance(call.receiver, Tensor)
    if call.actual.startswith("torch.Tensor.") and call.actual.endswith("_"):
        return form(call.first)  # filled in place
    numpy = call.row.name.startswith("numpy.")
    if numpy and not call.actual.endswith(("rand", "randn")):
        wanted = call.value("size" if "random" in call.row.name else "shape", 0)
        if wanted is None:
            return Form(())
        found = [size(wanted)] if isinstance(wanted, (Const, Number)) else listed(call.interp, wanted)
        return Form(plain(found))
    if not call.arguments.positional[method:] and "size" not in call.arguments.keywords:
        return Form(())
    found = sizes(call, 1 if method else 0, "size")
    return Form(plain(found), None, bool(found) and found[0] == BATCH)  # type: ignore[index]


def drawn(call: Call) -> Form:
    """`normal(mean, std, size)`, `uniform(low, high, size)`."""
    wanted = call.value("size", 2)
    if wanted is None:
        return elementwise(call) if call.arguments.positional else Form(())
    found = [size(wanted)] if isinstance(wanted, (Const, Number)) else listed(call.interp, wanted)
    return Form(plain(found))


@shape_of("full", "new_full")
def full(call: Call) -> Form:
    wanted = call.value("size", 1 if isinstance(call.receiver, Tensor) else 0)
    found = [size(wanted)] if isinstance(wanted, (Const, Number)) else listed(call.interp, wanted)
    return Form(plain(found), None, bool(found) and found[0] == BATCH)  # type: ignore[index]


@shape_of("randint")
def randint(call: Call) -> Form:
    positional = call.arguments.positional
    wanted = call.arguments.keywords.get("size") or (positional[-1] if len(positional) > 1 else None)
    if (
        isinstance(wanted, Const)
        and call.row.name.startswith("numpy.")
        and len(positional) < 3
        and "size" not in call.arguments.keywords
    ):
        return Form(())
    if isinstance(wanted, Const):
        return Form(plain([size(wanted)])) if call.row.name.startswith("numpy.") else NOTHING
    return Form(plain(listed(call.interp, wanted)))


@shape_of("arange", "linspace", "logspace", "randperm", "range")
def counted(call: Call) -> Form:
    values, keywords = call.arguments.positional, call.arguments.keywords
    name = call.actual.rpartition(".")[2]
    count: Any = None
    if name in ("linspace", "logspace"):
        wanted = keywords.get("steps") or keywords.get("num")
        count = const(wanted) if wanted is not None else (const(values[2]) if len(values) > 2 else None)
    elif name == "arange":
        both = len(values) > 1
        start, step = call.value("start", 0 if both else None) or Const(0), call.value("step", 2) or Const(1)
        first, last, by = (
            const(start),
            const(call.value("end", int(both)) or call.value("stop") or UNKNOWN),
            const(step),
        )
        if by and all(isinstance(v, (int, float)) for v in (first, last, by)) and abs(last - first) < 1e9:
            count = max(0, math.ceil((last - first) / by))
    elif len(values) == 1:
        count = const(values[0])
    return Form((count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None,))


@shape_of("eye")
def eye(call: Call) -> Form:
    count = plain([size(call.value("n", 0))])
    return Form((count[0], count[0])) if count and len(call.arguments.positional) == 1 else Form((None, None))


@shape_of(
    *"""tensor as_tensor from_numpy Tensor FloatTensor DoubleTensor LongTensor IntTensor BoolTensor ByteTensor
    HalfTensor new_tensor asarray array""".split()
)
def from_data(call: Call) -> Form:
    value = (
        call.arguments.positional[-1]
        if isinstance(call.receiver, Tensor) and len(call.arguments.positional) > 1
        else call.first
    )
    if isinstance(call.receiver, Tensor) and call.actual.endswith(("asarray", "array")):
        return form(call.receiver)
    if call.actual.endswith("Tensor") and isinstance(value, (Const, Number)):
        return Form(plain([size(v) for v in call.arguments.positional]))
    if call.actual.endswith("Tensor") and isinstance(value, Tuple):
        return NOTHING  # `torch.Tensor(x.shape)` takes sizes, another tuple is data
    if isinstance(value, Method):
        return form(call.tensor)  # a column by its name
    return literal(call.interp, value)


def literal(interp: Interpreter, value: Value, depth: int = 0) -> Form:
    """The form of nested lists."""
    if isinstance(value, (Tensor, Const, Number)):
        found = form(value)
        return found if depth == 0 else found._replace(batched=False)
    if depth > 6:
        return NOTHING
    if isinstance(value, Union):
        alike = {literal(interp, option, depth + 1) for option in value.options}
        return alike.pop() if len(alike) == 1 else NOTHING
    if isinstance(value, (ListObject, Tuple)):
        items = interp.known_items(value)
        if items is None:
            inner = literal(interp, interp.element_of(value), depth + 1)
            return NOTHING if inner.shape is None else Form((None, *inner.shape), None, is_of_batch(value))
        if not items:
            return Form((0,))
        forms = {literal(interp, item, depth + 1) for item in items[:32]}
        inner = forms.pop()
        return NOTHING if forms or inner.shape is None else Form((len(items), *inner.shape))
    if isinstance(value, Sequence) and isinstance(value.element, Number):
        return Form((None,))  # a range
    if isinstance(value, Instance) and (axes := image_axes(value)) is not None and axes[0] is not None:
        return Form(axes[1:] if axes[0] == 1 else (*axes[1:], axes[0]))
    return NOTHING


@shape_of("loadtxt", "genfromtxt")
def from_text(call: Call) -> Form:
    """Rows and columns: a file of one column has nothing to set apart."""
    odd = ("usecols", "unpack", "names", "ndmin", "max_rows", "invalid_raise")
    given = call.arguments
    number = isinstance(given.keywords.get("dtype", Api("float")), Api)  # one kind of number, not one for each column
    plain = "delimiter" in given.keywords and len(given.positional) == 1 and number
    return Form((None, None)) if plain and not any(name in given.keywords for name in odd) else NOTHING


@shape_of("atleast_1d", "atleast_2d", "nonzero")
def unsure(call: Call) -> Form:
    given = form(call.tensor)
    if call.actual.endswith("nonzero") and given.shape is not None and not call.row.name.startswith("numpy."):
        return Form((None, len(given.shape)))
    return given if given.shape is not None and len(given.shape) >= 2 and "atleast" in call.actual else NOTHING


# -------------------------------------------------------------------------------- frames


frame_of = registrar(FRAMES)  # of the rule of methods of frames


@frame_of("read_csv", "read_excel", "read_parquet", "read_table", "DataFrame", "get_dummies")
def table(call: Call) -> Form:
    """A frame of rows and columns."""
    odd = ("squeeze", "chunksize", "iterator", "sheet_name")
    return NOTHING if any(name in call.arguments.keywords for name in odd) else Form((None, None))


@frame_of("Series")
def series(call: Call) -> Form:
    return Form((None,))


@frame_of(*"dropna rename replace sort_values drop_duplicates query head tail sample drop".split())
def rank_kept(call: Call) -> Form:
    """Rows or columns may go; how many axes there are stays."""
    given = call.tensor.shape
    return NOTHING if given is None else Form((None,) * len(given))


@frame_of("mean", "std", "var", "min", "max", "median", "sum")
def statistics(call: Call) -> Form:
    """One number a column, unless an axis is named."""
    given, plain = call.tensor.shape, len(call.arguments.positional) == 1 and not call.arguments.keywords
    return Form(given[1:]) if given and plain else NOTHING


@frame_of("reset_index")
def renumbered(call: Call) -> Form:
    """A frame as it is, without its old index; with it, of one column more."""
    dropped = truth(call.arguments.keywords.get("drop", UNKNOWN))
    return form(call.tensor) if dropped else NOTHING


@frame_of("map")
def of_each(call: Call) -> Form:
    return form(call.tensor)


@frame_of("copy", "fillna", "astype", "clip", "abs", "to_numpy", "values", "tolist", "to_list")
def frame_itself(call: Call) -> Form:
    return form(call.tensor)


# ------------------------------------------------------------------------------ indexing


def indexed(given: Form, indices: list[Any]) -> Form:
    """`x[indices]`."""
    if len(indices) == 1 and isinstance(indices[0], Tuple):
        indices = list(indices[0].items)  # an index for each axis, put together before
    if any(isinstance(i, (Union, Sequence)) or i is UNKNOWN or isinstance(i, Instance) for i in indices):
        return NOTHING
    used = sum(axes_of(i) for i in indices)
    if given.shape is None:
        full = indices and isinstance(indices[-1], slice) and indices[-1] == slice(None)
        kept = given.batched and bool(indices) and indices[0] == slice(None)
        dotted = any(is_dots(i) for i in indices)
        if indices and dotted and isinstance(indices[-1], slice) and not full:
            return Form(None, None, kept)
        if len(indices) == 1 and isinstance(indices[0], (Tensor, slice)) and given.last is not None:
            return NOTHING  # of one axis or more: the last may be the one that is cut
        return Form(None, given.last if full and len(indices) > 1 else None, kept)
    rank = len(given.shape)
    if used > rank or any(isinstance(i, (Tuple, ListObject)) for i in indices[1:]):
        return NOTHING
    expanded: list[Any] = []
    for index in indices:
        expanded.extend([slice(None)] * (rank - used) if is_dots(index) else [index])
    if not any(is_dots(i) for i in indices):
        expanded.extend([slice(None)] * (rank - used))
    result: list[int | None] = []
    at = 0
    arrays = 0
    batched = given.batched and bool(expanded) and expanded[0] == slice(None)
    for index in expanded:
        if is_new(index):
            result.append(1)
            continue
        length = given.shape[at]
        at += 1
        if isinstance(index, slice):
            result.append(cut(length, index))
        elif isinstance(index, Tensor):
            arrays += 1
            if arrays > 1 or index.shape is None or index.lib == "frame":
                return NOTHING
            if index.kinds == MASK:
                result.append(None)
                at += len(index.shape) - 1
            else:
                result.extend(index.shape)
        elif isinstance(index, (ListObject, Tuple)):
            items = index.items
            if items is not None and not all(isinstance(item, (Const, Number)) for item in items):
                return NOTHING  # slices, one for each axis, as in a tuple
            result.append(len(items) if items is not None else None)
        elif not isinstance(index, (Const, Number)) or isinstance(getattr(index, "value", 0), (str, bool)):
            return NOTHING
    return Form(tuple(result), None, batched)


def axes_of(index: Any) -> int:
    """How many axes an index takes."""
    if is_new(index) or is_dots(index):
        return 0
    return len(index.shape or (0,)) if isinstance(index, Tensor) and index.kinds == MASK else 1


def is_new(index: Any) -> bool:
    return isinstance(index, Const) and index.value is None


def is_dots(index: Any) -> bool:
    return isinstance(index, Const) and index.value is ...


def cut(length: int | None, index: slice) -> int | None:
    """How much of an axis a slice keeps."""
    if index == slice(None):
        return length
    ends: list[Any] = []
    for end in (index.start, index.stop, index.step):
        if end is None or (isinstance(end, Const) and (end.value is None or isinstance(end.value, int))):
            ends.append(None if end is None else end.value)
        else:
            return None
    if ends[2] == 0:
        return None
    if length is None or not is_fixed(length):
        start, stop, step = ends
        if start is not None and stop is None and step is None and start == -1:
            return 1  # the last, where there is one
        return None
    return len(range(*slice(*ends).indices(length))) if length >= 0 else None


def of_frame(frame: Tensor, indices: list[Any]) -> Form:
    """`frame["column"]`, `frame[["a", "b"]]`, `frame.iloc[3]`, `frame.loc[rows, "column"]`."""
    given = frame.shape
    if given is None or len(indices) > len(given) or len(given) > 2:
        return NOTHING
    result: list[int | None] = []
    for at, index in enumerate(indices):
        names = len(given) == 2 and len(indices) == 1  # a list has columns, all else of several has rows
        if isinstance(index, ListObject):
            columns = index.items is not None and all(isinstance(const(item), str) for item in index.items)
            count = len(index.items) if index.items is not None and (columns or not names) else None
            result += [None, count] if names else [count]
        elif isinstance(index, slice):
            result.append(cut(given[at], index))
            result += given[1:] if names else ()
        elif isinstance(index, Tensor):
            result.append(None)
            result += ([given[1]] if index.kinds == MASK else [None]) if names else ()
        elif not isinstance(index, (Const, Number)) or is_new(index) or is_dots(index):
            return NOTHING
    rest = tuple(result) if result or len(indices) == len(given) else (None,)  # a row or a column
    return Form(rest) if rest or frame.dtype == CELLS else NOTHING  # a cell may be a list


def batch_of(sample: Form) -> Form:
    """Samples put together by a loader."""
    return (
        NOTHING._replace(batched=True, last=sample.last)
        if sample.shape is None
        else Form((None, *sample.shape), None, True)
    )


TABLES = {"torch": SHAPES, "numpy": SHAPES, "torchvision": SHAPES | PICTURES, "pandas": FRAMES}  # by package
