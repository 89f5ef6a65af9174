"""Shapes: losses that broadcast, axes taken for others, layers that cannot fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.losses import (
    BCE,
    BCE_WITH_LOGITS,
    CROSS_ENTROPY,
    KERAS,
    KL_DIV,
    LOG_SOFTMAX,
    NLL,
    SOFTMAX,
    LossRule,
    distribution,
    scores,
)
from trainlint.checks.repairs import argument_for, index_of, reaching, serves_one
from trainlint.edits import replace, set_argument
from trainlint.findings import Safety
from trainlint.semantics import shapes
from trainlint.semantics.arithmetic import NEGATED
from trainlint.semantics.behaviours.data import (
    RESHAPING,
    after_transforms,
    constants,
    raw_shape,
    scales_to_one,
    steps_of,
)
from trainlint.semantics.dissection import parts_of
from trainlint.semantics.interpreter import Frame, Interpreter, Region, dotted_name, outwards
from trainlint.semantics.library import Call, as_tensor, modules_in
from trainlint.semantics.modules import ModuleIndex
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.sizes import differ, is_fixed
from trainlint.semantics.uses import is_guarded
from trainlint.semantics.values import (
    ANSWERS,
    INDICES,
    LOG_PROBABILITIES,
    LOGITS,
    NONE,
    PROBABILITIES,
    SIGMOID,
    UNKNOWN,
    Api,
    Const,
    Function,
    Instance,
    ListObject,
    Method,
    Number,
    Sequence,
    Shape,
    Step,
    Tensor,
    Tuple,
    Value,
    bounds,
    const,
    is_opaque,
    is_predicted,
    options,
)
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import called, is_name, is_plain_call, keyword, positional

MSE = "torch.nn.functional.mse_loss"
REGRESSION = (MSE, "torch.nn.functional.l1_loss", "torch.nn.functional.smooth_l1_loss")
SQUARES = ("mse", "MSE", "mae", "mean_squared_error", "mean_absolute_error", "MeanSquaredError", "MeanAbsoluteError")
# Losses that take their targets for amounts, or for one answer to each score.
AMOUNTS = frozenset((*REGRESSION, BCE, BCE_WITH_LOGITS))
SCORES = LOGITS | PROBABILITIES | LOG_PROBABILITIES


def target_of(call: Call) -> Tensor:
    """The targets that a loss is given."""
    value = call.value("target", 1)
    return as_tensor(value) if value is not None else Tensor()


def of_torch(call: Call) -> bool:
    """Whether a call is torch's own; what means the same elsewhere has other defaults and orders."""
    return call.actual.startswith("torch.")


def why(tensor: Tensor) -> Iterable[Step]:
    """Where a shape became what it is, the last place first."""
    return tuple(reversed(tensor.route))


def written(tensor: Tensor) -> str:
    """A tensor's shape in words."""
    return shapes.describe(shapes.form(tensor))


def crossed(a: Tensor, b: Tensor) -> bool:
    """Whether broadcasting stretches both of two tensors: each element of one meets several of the other."""
    for one, other in ((a, b), (b, a)):
        if one.shape is None and one.last == 1 and other.shape is not None and len(other.shape) == 1:
            return other.shape[0] != 1
    if a.shape is None or b.shape is None or not a.shape or not b.shape:
        return False
    stretched = [False, False]
    for i in range(max(len(a.shape), len(b.shape))):
        m = a.shape[-1 - i] if i < len(a.shape) else 1
        n = b.shape[-1 - i] if i < len(b.shape) else 1
        stretched[0] |= m == 1 and n != 1
        stretched[1] |= n == 1 and m != 1
    mine, theirs = [s for s in a.shape if s != 1], [s for s in b.shape if s != 1]
    fits = len(mine) == len(theirs) and all(None in (m, n) or m == n for m, n in zip(mine, theirs, strict=True))
    return all(stretched) and fits


class LossShapeBroadcast(LossRule):
    """Predictions and targets of shapes that broadcast against each other."""

    code, name = "TL110", "loss-shape-broadcast"
    message = "`{loss}` gets {given} (@) and {target}; {what}"
    fixable = Safety.UNSAFE

    @on_call(*REGRESSION, BCE, BCE_WITH_LOGITS)
    def check(self, call: Call, report: Report) -> None:
        given, target = scores(call), target_of(call)
        if not of_torch(call):
            return
        strict = call.path in (BCE, BCE_WITH_LOGITS)
        even = target.lo == target.hi or given.lo == given.hi  # one and the same number everywhere may be stretched
        if (even and not strict) or not crossed(given, target):
            return
        what = "it takes equal shapes only and fails" if strict else "they broadcast, so that all are compared with all"
        places = (call.argument("input", 0), call.argument("target", 1))
        self.tell(places[0], call.short_name, (given, target), places, what, report)

    @on("subtract")
    def by_hand(self, fact: tuple[Any, ...], report: Report) -> None:
        _, node, left, right, left_node, right_node, _ = fact
        if not isinstance(left, Tensor) or not isinstance(right, Tensor):
            return
        places = (left_node, right_node) if left.deps else (right_node, left_node)
        given, target = (left, right) if left.deps else (right, left)
        learnt = given.must_be(LOGITS) and given.batched and target.batched
        if learnt and not target.deps and target.graph is False and crossed(given, target):
            what = "they broadcast, so that all are compared with all"
            self.tell(node, "-", (given, target), places, what, report)

    @on("multiply")
    def weighted(self, fact: tuple[Any, ...], report: Report) -> None:
        """What is computed for each sample is multiplied with a label or weight of each, and neither was given its
        shape by hand."""
        _, node, left, right, *_ = fact
        if not isinstance(left, Tensor) or not isinstance(right, Tensor) or not (left.batched and right.batched):
            return
        given, target = (left, right) if left.deps else (right, left)
        if given.graph is not True or target.deps or target.graph is not False or not crossed(given, target):
            return
        interp = report.interp
        function, region = interp.frame.function, interp.region
        if function is None or region is None or any(e.node is not node for e in region.of("paired")):
            return  # one mistake is told of once
        if not any(map(arranges, nodes_in(function.node))):
            interp.event("paired", node)
            what = "they broadcast, so that all samples are mixed with all"
            # Labels that are in the way here often are so in the next line as well.
            self.tell(node, "*", (given, target), (None, None), what, report)

    def tell(
        self, node: Any, loss: str, pair: tuple[Tensor, Tensor], places: tuple[Any, Any], what: str, report: Report
    ) -> None:
        given, target = pair
        column = target if given.shape is not None and len(target.shape or ()) > len(given.shape) else given
        draft = report(node, loss=loss, what=what, given=written(given), target=written(target)).because(why(column))
        other, place = (given, places[1]) if column is target else (target, places[0])
        axis = spare_axis(column, other)
        if axis is not None and isinstance(place, cst.BaseExpression):
            draft.fix(f"squeeze axis {axis}", replace(place, place, f".squeeze({axis})"))


def arranges(node: Any) -> bool:
    """Whether a piece of code sets axes by hand, as for all pairs of samples."""
    if isinstance(node, cst.Call):
        return called(node) in ("unsqueeze", "view", "reshape", "expand", "expand_as", "repeat", "expand_dims")
    return isinstance(node, cst.Subscript) and any(is_name(part, "None") for part in nodes_in(node.slice[0]))


def spare_axis(long: Tensor, short: Tensor) -> int | None:
    """The one axis of length one, not the first, without which a tensor has the shape of another."""
    if short.shape is None:
        return None
    if long.shape is None:
        return -1 if long.last == 1 and len(short.shape) == 1 else None
    axes = [
        axis
        for axis, size in enumerate(long.shape)
        if axis and size == 1 and alike(long.shape[:axis] + long.shape[axis + 1 :], short.shape)
    ]
    return axes[0] if len(axes) == 1 else None


def alike(one: Shape, other: Shape) -> bool:
    """Whether two shapes may be equal, as far as they are known."""
    return len(one) == len(other) and all(None in (m, n) or m == n for m, n in zip(one, other, strict=True))


def counts_hits(call: Call) -> bool:
    """Whether a model of Keras is compiled with its accuracy as a metric."""
    given = call.value("metrics", 3)
    for one in call.interp.known_items(given) or () if given is not None else ():
        name = one.value if isinstance(one, Const) else one.describe() if isinstance(one, (Instance, Api)) else ""
        if isinstance(name, str) and (name == "acc" or name.lower().endswith("accuracy")):
            return True
    return False


class LossDoesNotFitTask(LossRule):
    """A loss that cannot judge the outputs or targets it is given."""

    code, name = "TL108", "loss-does-not-fit-task"
    message = "`{loss}` gets {what}"

    @on_call(CROSS_ENTROPY, NLL)
    def classes(self, call: Call, report: Report) -> None:
        given, target = scores(call), target_of(call)
        name, rank = call.short_name, len(given.shape or ())
        if not of_torch(call):
            if given.last == 1 and call.path == CROSS_ENTROPY and given.must_be(LOGITS):
                what = "one score for each sample (@); a softmax over one class is always 1, so the loss is always 0"
                report(call.argument("input", 0), loss=name, what=what).because(why(given))
            return
        # Where the target has it, too, the axis of size 1 is one of places, and the classes come before.
        last = given.last if shapes.width(target) != 1 else None
        classes = given.shape[1] if given.shape is not None and rank > 1 else last if given.shape is None else None
        if classes == 1 and (call.path == CROSS_ENTROPY or given.must_be(LOG_PROBABILITIES)):
            what = "one score for each sample (@); a softmax over one class is always 1, so the loss is always 0"
            report(call.argument("input", 0), loss=name, what=what).because(why(given))
        elif rank == 2 and target.shape is not None and len(target.shape) == 2 and target.shape[1] == 1:
            if given.shape is not None and given.shape[1] != 1:
                what = "class indices in a column, (N, 1) (@); it needs them as (N,) and fails"
                report(call.argument("target", 1), loss=name, what=what).because(why(target))

    @on("fitted")
    def labels(self, call: Call, report: Report) -> None:
        """What a model of Keras is fitted to: class indices, by a loss on one-hot codes or on amounts; or codes, by a
        loss on indices."""
        attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
        loss, outputs, target = attrs.get("$loss"), attrs.get("$outputs"), call.value("y", 2)
        named = str(const(loss)) if isinstance(loss, Value) else ""
        if not isinstance(target, Tensor):
            return
        plain = named.replace("_", "").lower()
        if plain == "sparsecategoricalcrossentropy" and target.nature == "a one-hot code":
            what = "one-hot codes; it needs class indices and fails"
        elif not target.must_be(INDICES):
            return
        elif plain == "categoricalcrossentropy":
            what = "class indices; it needs one-hot codes, and fails or compares them with each score"
        elif named in SQUARES and isinstance(outputs, Tensor) and (shapes.width(outputs) or 0) > 1:
            what = "class indices as targets of scores for each class; an index is a name, not an amount"
        else:
            return
        report(call.argument("y", 2), loss=named, what=what)

    @on_call("keras.compile")
    def compiled(self, call: Call, report: Report) -> None:
        """A model of Keras that shares out 1 among classes and is watched by how many it hits, but learns amounts."""
        attrs = call.receiver.attrs if isinstance(call.receiver, Instance) else {}
        loss, outputs = attrs.get("$loss"), attrs.get("$outputs")
        named = str(const(loss)) if isinstance(loss, Value) else ""
        if named in SQUARES and isinstance(outputs, Tensor) and outputs.must_be(PROBABILITIES) and counts_hits(call):
            what = (
                "the shares of classes (@), whose differences vanish where they are wrong; cross entropy is for these"
            )
            report(call.argument("loss", 2), loss=named, what=what).because(outputs.trace)

    @on_call(*REGRESSION)
    def indices(self, call: Call, report: Report) -> None:
        given, target = scores(call), target_of(call)
        several = (shapes.width(given) or 0) > 1 and (given.shape is None or len(given.shape) == 2)
        labels = target.must_be(INDICES) and not target.deps and target.shape is not None and len(target.shape) == 1
        if of_torch(call) and several and labels and given.must_be(SCORES):
            what = "class indices as targets of scores for each class (@); an index is a name, not an amount"
            report(call.argument("target", 1), loss=call.short_name, what=what).because(given.trace)

    @on("program", having="compare loss")
    def named(self, region: Region, report: Report) -> None:
        """Targets are class indices where the class of the highest score is compared with them."""
        counted: dict[tuple[int, int], Step] = {}
        for node, space in {id(e.node): (e.node, e.space) for e in region.of("compare")}.values():
            if space.source is not None:
                for best, labels in counted_as_classes(index_of(space), node):
                    counted[id(best), id(labels)] = Step(space, node, "compared")
        for node, space in {id(e.node): (e.node, e.space) for e in region.of("loss") if e.path in AMOUNTS}.values():
            pair = positional(node) if isinstance(node, cst.Call) and space.source is not None and counted else ()
            if len(pair) == 2:
                given, target = (stripped(index_of(space), part) for part in pair)
                step = counted.get((id(given), id(target)))
                if step is not None:
                    what = "class indices, as the comparison with `argmax` (@) shows; an index is a name, not an amount"
                    report(pair[1], space, loss=called(node), what=what).because([step])

    @on_call(BCE)
    def softmax(self, call: Call, report: Report) -> None:
        given = scores(call)
        rank = len(given.shape) if given.shape is not None and of_torch(call) else 0
        over_last = given.axis == -1 or (rank and given.axis == rank - 1)
        if (
            of_torch(call)
            and given.must_be(PROBABILITIES)
            and over_last
            and (shapes.width(given) or 0) > 2  # of two, one is what a sigmoid gives, and the other the rest
            and rank in (0, 2)
        ):
            what = "the output of a softmax (@); it judges each class by itself, which a sigmoid gives"
            report(call.argument("input", 0), loss=call.short_name, what=what).because(given.trace)

    @on_call(CROSS_ENTROPY, BCE, KERAS)
    def of_keras(self, call: Call, report: Report) -> None:
        given = scores(call)
        if not call.actual.startswith("keras.losses."):
            return
        width = shapes.width(given)
        if width == 1 and call.path != BCE:
            what = "one score for each sample (@); the share of a single class is always 1, so nothing is learnt"
        elif width == 1 and given.must_be(PROBABILITIES):
            what = "the softmax of a single unit (@), which is always 1; the loss is for what a sigmoid gives"
        elif call.path == KERAS and given.must_be(SIGMOID):
            what = "the output of a sigmoid (@); classes of which one is right need shares, which a softmax gives"
        elif (width or 0) > 2 and call.path == BCE and given.must_be(PROBABILITIES):
            what = "the output of a softmax (@); it judges each class by itself, which a sigmoid gives"
        else:
            return
        report(call.argument("input", 0), loss=call.short_name, what=what).because(given.trace)

    @on_call("torch.nn.functional.multilabel_soft_margin_loss", "torch.nn.functional.triplet_margin_loss")
    def signs(self, call: Call, report: Report) -> None:
        place = SIGNED.get(call.short_name)
        value = (
            call.arguments.positional[place] if place is not None and place < len(call.arguments.positional) else None
        )
        target = call.arguments.keywords.get("target", value) if place is not None else None
        if isinstance(target, Tensor) and target.lo == 0 and target.hi >= 1:
            node = call.arguments.nodes[place] if target is value and place is not None else call.node
            what = "targets from 0 up; it needs -1 and 1, and a target of 0 teaches nothing"
            report(node or call.node, loss=call.short_name, what=what)


# Losses whose targets are signs, and the position of the target.
SIGNED = {
    **dict.fromkeys(("HingeEmbeddingLoss", "hinge_embedding_loss", "SoftMarginLoss", "soft_margin_loss"), 1),
    **dict.fromkeys(("CosineEmbeddingLoss", "cosine_embedding_loss", "MarginRankingLoss", "margin_ranking_loss"), 2),
}


def axis_of(tensor: Tensor) -> int | None:
    """The axis that the probabilities sum to one over, from the front; None when it is not known."""
    if tensor.axis is None or tensor.shape is None:
        return None
    return tensor.axis + len(tensor.shape) if tensor.axis < 0 else tensor.axis


def summed_over(interp: Interpreter, index: Index, node: Any) -> int | None:
    """The axis over which a product is summed where it stands: `(a * b).sum(1)`, `torch.sum(a * b, dim=1)`."""
    outer = index.parent(node)
    call = index.parent(outer) if outer is not None else None
    if not isinstance(call, cst.Call) or called(call) != "sum" or outer not in (call.func, *call.args[:1]):
        return None
    given = positional(call) if outer is call.func else positional(call)[1:]
    axis = keyword(call, "dim") or (given[0] if given else None)
    number = const(interp.eval(axis)) if axis is not None else None
    return number if isinstance(number, int) else None


def foremost(one: Tensor, other: Tensor) -> Tensor:
    """The one of two distributions that adds up to one over the axis further in front."""
    return min((one, other), key=lambda tensor: (tensor.axis or 0) % shapes.MAX_RANK)


def unlike_axes(one: Tensor, other: Tensor) -> bool:
    """Whether two softmaxes surely ran over different axes."""
    if one.axis is None or other.axis is None:
        return False
    places = axis_of(one), axis_of(other)
    if None not in places:
        return places[0] != places[1] and len(one.shape or ()) == len(other.shape or ())
    alike = (one.axis < 0) == (other.axis < 0)
    return (one.axis != other.axis and alike) or {one.axis, other.axis} == {0, -1}


def of_same_scores(one: Tensor, other: Tensor) -> bool:
    """Whether two softmaxes take what is written the same: of a table of similarities, each side has its own axis."""
    taken: list[Any] = []
    for tensor in (one, other):
        call = tensor.trace[-1].node if tensor.trace else None
        if not isinstance(call, cst.Call):
            return True
        given = next(iter(positional(call)), None)
        taken.append(call.func if given is None or isinstance(given, cst.Integer) else given)
    return bool(taken[0].deep_equals(taken[1]))


def over_batch(tensor: Tensor) -> bool:
    """Whether the softmax of class scores ran over the batch."""
    several = tensor.shape is not None and len(tensor.shape) == 2 and tensor.batched and tensor.shape[1] != 1
    return several and axis_of(tensor) == 0 and tensor.must_be(PROBABILITIES | LOG_PROBABILITIES)


def over_dealt_rows(tensor: Tensor) -> bool:
    """Whether log-probabilities of rows that a reshape dealt out, each with the scores of a layer, ran over these."""
    laid_out = tensor.shape is not None and len(tensor.shape) == 2 and tensor.shape[1] != 1 and axis_of(tensor) == 0
    steps = tensor.route[-2:] if laid_out and tensor.must_be(LOG_PROBABILITIES) else ()
    return len(steps) == 2 and steps[0].label.startswith("Linear ") and is_dealt_out(tensor)


def over_rows(tensor: Tensor, modules: ModuleIndex) -> bool:
    """Whether the softmax of a model's scores, one for each unit of a layer, ran over the other axis."""
    if not tensor.must_be(PROBABILITIES | LOG_PROBABILITIES) or all(dep.node is None for dep in tensor.deps):
        return False
    classes = tensor.shape[1] if tensor.shape is not None and len(tensor.shape) == 2 else None
    if not classes or classes == 1 or axis_of(tensor) != 0:
        return False
    places = {id(step.node) for step in tensor.route}
    return any(
        flow.path == "torch.nn.Linear" and (flow.tensor.shape or ())[-1:] == (classes,)
        for flow in modules.flows.values()
        if flow.layer is not None and flow.layer.born is not None and id(flow.layer.born.node) in places
    )


def is_beside_units(tensor: Tensor, dim: int) -> bool:
    """Whether a class is picked along the axis of a layer's units or channels where a softmax ran over another one."""
    units, rank = axis_of_units(tensor), len(tensor.shape or ())
    shares = tensor.must_be(PROBABILITIES | LOG_PROBABILITIES) and axis_of(tensor) not in (None, units)
    return shares and rank > 2 and dim % rank == units


def is_turned(tensor: Tensor, call: Call) -> bool:
    """Whether a class is picked along the second axis where a softmax of what a model gives ran over the first."""
    shares = tensor.shape is None and tensor.axis == 0 and tensor.must_be(PROBABILITIES | LOG_PROBABILITIES)
    return shares and any(dep.node is not None for dep in tensor.deps) and is_behind_models(call.interp)


def is_row(tensor: Tensor) -> bool:
    """Whether there is but one axis."""
    return tensor.shape is not None and len(tensor.shape) == 1


def mixes_stack(weights: Tensor, values: Tensor) -> bool:
    """Whether weights for a product of stacked matrices, as those of attention, share 1 along the stack: that of
    samples, or where it is not known what they are stacked by, those of stacks, as heads are the second axis then."""
    rank = len(weights.shape) if weights.shape is not None else 0
    alike = rank > 3 and values.shape is not None and len(values.shape) == rank
    stacks = range(rank - 2) if alike else range(rank > 3 or (rank == 3 and (weights.batched or values.batched)))
    return axis_of(weights) in stacks and weights.must_be(PROBABILITIES)


def is_equated(index: Index, call: Any) -> bool:
    """Whether what a call gives is compared, equal or not, as it is, there or under the only name that it gets."""
    outer = index.parent(call)
    if isinstance(outer, cst.Assign) and len(outer.targets) == 1:
        target = outer.targets[0].target
        bindings = index.lookup(target) if isinstance(target, cst.Name) else []
        uses = index.references(bindings[0]) if bindings else []
        return any(reaching(index, use) is target and is_equated(index, use) for use in uses)
    if isinstance(outer, cst.Arg) and outer.keyword is None:
        function: Any = index.parent(outer)
        if called(function) in ("equal", "eq", "not_equal"):
            return True
        return called(function) == "cast" and function.args[0] is outer and is_equated(index, function)
    if isinstance(outer, cst.Attribute) and outer.value is call:
        method = index.parent(outer)
        passes = outer.attr.value in ("type_as", *PASSING) and isinstance(method, cst.Call) and method.func is outer
        return outer.attr.value == "eq" or (passes and is_equated(index, method))
    if isinstance(outer, cst.Subscript) and outer.value is call:
        return is_equated(index, outer)  # of some of the samples
    if isinstance(outer, cst.ComparisonTarget):
        outer = index.parent(outer)
    return isinstance(outer, cst.Comparison) and isinstance(outer.comparisons[0].operator, (cst.Equal, cst.NotEqual))


RESIZES = ("adaptive", "avgpool", "interpolate", "lppool", "maxpool", "upsampl")  # of these names, the channels stay
OVER_BATCH = "runs over the batch: for each class the samples share 1 among them"


def is_served_in_maps(tensor: Tensor) -> bool:
    """Whether a tensor has a model's scores for all places of each sample that a loader gave."""
    maps = tensor.shape is not None and len(tensor.shape) > 2 and tensor.batched
    return maps and bool(tensor.deps) and bool(tensor.data.tokens)


def is_scored(tensor: Tensor) -> bool:
    """Whether a tensor has the scores that a model of Keras or JAX gives for each sample of a batch, one for each of
    several classes along its last axis."""
    several = tensor.last is not None and tensor.last > 1
    return tensor.lib == "keras" and tensor.batched and several and bool(tensor.deps) and tensor.must_be(SCORES)


def is_behind_models(interp: Interpreter) -> bool:
    """Whether the place at hand is in no model: in a script, a function, or a module without layers, as losses are."""
    owner = interp.frame.env.get("self")
    if not isinstance(owner, Instance) or interp.module_depth != 1:
        return interp.module_depth == 0
    return owner.family == "module" and len(modules_in(owner)) == 1


def guesses_right(tensor: Tensor) -> bool:
    """Whether torch may take the axis of the classes where none is given: it takes the first of three, and then warns
    of it in any case."""
    return tensor.shape is None or len(tensor.shape) != 3


class SoftmaxDim(Rule):
    """A softmax over the wrong axis."""

    code, name = "TL109", "softmax-dim"
    message = "`{softmax}` {what}"
    fixable = Safety.UNSAFE

    @on_call(SOFTMAX, LOG_SOFTMAX)
    def given(self, call: Call, report: Report) -> None:
        tensor, dim = call.tensor, call.value("dim")
        if not of_torch(call):
            if const(dim or NONE) == 0 and is_scored(tensor) and tensor.must_be(LOGITS):
                report(call.node, softmax=call.short_name, what=OVER_BATCH)
            return
        if call.actual.endswith(("gumbel_softmax", "softmin", "Softmax2d", "Softmin")):
            return
        if dim is None:
            if not call.via:
                self.implicit(call, report)
            elif isinstance(call.receiver, Instance) and call.receiver.born is not None:
                report.interp.event("undimmed", call.receiver.born.node, guesses_right(tensor))
            return
        number = const(dim)
        if not isinstance(number, int) or not tensor.must_be(LOGITS):
            return
        if tensor.shape is not None and -len(tensor.shape) <= number < len(tensor.shape):
            single = tensor.shape[number] == 1 and number % len(tensor.shape) == axis_of_units(tensor)
        else:
            single = number == -1 and tensor.shape is None and tensor.last == 1
        if single:
            what = "runs over an axis of size 1 (@); every output is 1, whatever the input"
            report(call.node, softmax=call.short_name, what=what).because(why(tensor))
        elif number in (0, -len(tensor.shape or ())) and is_served_in_maps(tensor) and is_behind_models(call.interp):
            report(call.node, softmax=call.short_name, what=OVER_BATCH).because(why(tensor)).repair(self.over_classes)

    @on_call("torch.nn.Softmax", "torch.nn.LogSoftmax")
    def made(self, call: Call, report: Report) -> None:
        if call.value("dim", 0) is None and self.is_implicit(call, report):
            report.interp.event("undimmed", call.node, call.short_name)

    @on("program", having="undimmed")
    def run(self, region: Region, report: Report) -> None:
        """What was made without `dim`, once it is known what it is run with."""
        events = region.of("undimmed")
        guesses: dict[Any, list[bool]] = {}
        for event in events:
            if isinstance(event.what, bool):
                guesses.setdefault(event.node, []).append(event.what)
        for event in events:
            if isinstance(event.what, str):
                draft = report(event.node, event.space, softmax=event.what, what=self.GUESSES)
                draft.if_selected(by_name=all(guesses.get(event.node, ())))

    @on_call("keras.layers.Dense")
    def of_keras(self, call: Call, report: Report) -> None:
        units, activation = call.value("units", 0) or UNKNOWN, call.value("activation", 1) or UNKNOWN
        if const(units) == 1 and const(activation) == "softmax" and call.actual.endswith(".Dense"):
            what = "runs over the single unit of this layer; every output is 1, whatever the input"
            report(call.node, softmax="softmax", what=what)

    GUESSES = "is given no `dim`; torch guesses one from the number of axes, 0 or 1, and warns"

    def implicit(self, call: Call, report: Report) -> None:
        if not self.is_implicit(call, report):
            return
        draft = report(call.node, softmax=call.short_name, what=self.GUESSES)
        draft.if_selected(by_name=guesses_right(call.tensor))
        if isinstance(call.node, cst.Call) and len(call.tensor.shape or ()) == 2:
            draft.fix("pass the `dim` of the classes", set_argument(call.node, "dim", "1"))

    def is_implicit(self, call: Call, report: Report) -> bool:
        """Whether a call surely leaves the axis to torch, and not for a version without this argument."""
        starred = any(argument.star for argument in getattr(call.node, "args", ()))
        known = of_torch(call) and not call.arguments.open and not starred
        return known and not is_guarded(index_of(report.space()), call.node)

    @on("output")
    def returned(self, fact: tuple[Any, Instance, Value], report: Report) -> None:
        given = fact[2].items[0] if isinstance(fact[2], Tuple) and fact[2].items else fact[2]
        if isinstance(given, Tensor) and (over_batch(given) or over_dealt_rows(given)):
            self.wrong(given, report)

    @on_call(NLL, CROSS_ENTROPY, MSE)
    def judged(self, call: Call, report: Report) -> None:
        given = scores(call)
        # The classes of this loss are the second axis, whatever there are of others.
        first = call.path == NLL and given.axis == 0 and given.must_be(LOG_PROBABILITIES) and not is_row(given)
        if first or over_batch(given):
            self.wrong(given, report)

    @on_call("torch.argmax", "torch.max")
    def picked(self, call: Call, report: Report) -> None:
        tensor, dim = call.tensor, const(shapes.axis(call, 1) or Const(None))
        if (
            call.actual.endswith(("argmax", "max"))
            and dim in (1, -1)
            and (over_batch(tensor) or over_rows(tensor, call.interp.modules) or (dim == 1 and is_turned(tensor, call)))
        ):
            self.wrong(tensor, report)
        elif isinstance(dim, int) and is_beside_units(tensor, dim) and tensor.trace:
            what = f"runs over another axis than that of the classes, from which `{called(call.node)}` picks"
            self.blame(tensor.trace[-1], tensor, what, report)

    @on_call("torch.multinomial", "torch.distributions.*")
    def drawn(self, call: Call, report: Report) -> None:
        """Draws are made along the last axis, whatever the first one is."""
        if distribution(call) not in ("", "Categorical"):
            return
        tensor = as_tensor(call.value("probs", 0) or UNKNOWN)
        ranked = tensor.shape is not None and len(tensor.shape) == 2 and tensor.shape[1] != 1
        if ranked and axis_of(tensor) == 0 and tensor.must_be(PROBABILITIES):
            self.wrong(tensor, report)

    @on_call("torch.gather")
    def gathered(self, call: Call, report: Report) -> None:
        """The scores of some classes are taken along the second axis, those that were drawn or are right."""
        tensor, dim = call.tensor, const(shapes.axis(call, 1) or UNKNOWN)
        ranked = tensor.shape is None or len(tensor.shape) == 2
        if dim == 1 and tensor.axis == 0 and ranked and tensor.must_be(PROBABILITIES | LOG_PROBABILITIES):
            self.wrong(tensor, report)

    @on("multiply")
    def averaged(self, fact: tuple[Any, ...], report: Report) -> None:
        """Log-probabilities weighed with probabilities, as in an entropy or a divergence, share their axis."""
        _, _, left, right, *_ = fact
        if isinstance(left, Tensor) and isinstance(right, Tensor) and left.axis != right.axis:
            for logs, shares in ((left, right), (right, left)):
                weights = shares.must_be(PROBABILITIES) or shares.nature == NEGATED
                if logs.must_be(LOG_PROBABILITIES) and weights and unlike_axes(logs, shares):
                    self.wrong(foremost(logs, shares), report)

    @on("multiply")
    def pooled(self, fact: tuple[Any, ...], report: Report) -> None:
        """The weights of a mean add up to one over the axis that it is taken over, not over the samples."""
        _, node, left, right, *_ = fact
        pair = [side for side in (left, right) if isinstance(side, Tensor) and side.must_be(PROBABILITIES)]
        if len(pair) == 1 and pair[0].batched and axis_of(pair[0]) == 0 and len(pair[0].shape or ()) > 2:
            axis = summed_over(report.interp, index_of(report.space()), node)
            if axis is not None and axis % len(pair[0].shape or ()) != 0:
                self.stacked(pair[0], report)

    @on("add")
    def mixed(self, fact: tuple[Any, ...], report: Report) -> None:
        """Distributions over classes, as a model gives them for several views, are put together along their axis."""
        _, _, left, right, *_ = fact
        if isinstance(left, Tensor) and isinstance(right, Tensor) and is_behind_models(report.interp):
            pair = (left, right)
            if all(t.must_be(PROBABILITIES) and t.deps for t in pair) and {left.axis, right.axis} in ({0, 1}, {0, -1}):
                if unlike_axes(left, right) and not of_same_scores(left, right):
                    self.wrong(foremost(left, right), report)

    @on_call(KL_DIV)
    def diverging(self, call: Call, report: Report) -> None:
        """So do the two distributions that a divergence compares."""
        given, target = call.tensor, as_tensor(call.value("target", 1) or UNKNOWN)
        shares = PROBABILITIES | LOG_PROBABILITIES
        if given.must_be(shares) and target.must_be(shares) and unlike_axes(given, target):
            self.wrong(foremost(given, target), report)

    @on("matrixmultiply")
    def weighted(self, fact: Any, report: Report) -> None:
        self.weights(fact[2], fact[3], report)

    @on_call("torch.matmul", "torch.bmm")
    def multiplied(self, call: Call, report: Report) -> None:
        if call.actual.endswith(("matmul", "bmm")):
            self.weights(call.first, call.value("other", 1) or call.value("mat2", 1), report)
        elif call.actual.endswith("einsum"):
            self.contracted(call, report)

    def contracted(self, call: Call, report: Report) -> None:
        """Weights in an `einsum`, in whose result the axis that they add up to 1 over still stands."""
        formula, *given = call.arguments.positional or (UNKNOWN,)
        text = const(formula)
        inputs, arrow, output = text.replace(" ", "").partition("->") if isinstance(text, str) else ("", "", "")
        operands = inputs.split(",")
        if not arrow or len(operands) != len(given) or len(given) < 2:
            return
        for at, (letters, value) in enumerate(zip(operands, given, strict=True)):
            others = "".join(operands[:at] + operands[at + 1 :])
            if not isinstance(value, Tensor) or not letters.isalpha() or not value.must_be(PROBABILITIES):
                continue
            if value.axis is None or not -len(letters) <= value.axis < len(letters):
                continue
            letter, first = letters[value.axis], value.axis % len(letters) == 0
            summed = any(one in others and one not in output for one in letters)
            if letter in output and letter in others and summed and (not first or len(letters) > 3 or value.batched):
                self.stacked(value, report)

    def weights(self, given: Value, values: Value | None, report: Report) -> None:
        if isinstance(given, Tensor) and isinstance(values, Tensor):
            for weights, others in ((given, values), (values, given)):
                if mixes_stack(weights, others):
                    self.stacked(weights, report)

    def stacked(self, given: Tensor, report: Report) -> None:
        if given.trace:
            step = given.trace[-1]
            first = axis_of(given) in (0, None)
            over, each = ("the batch", "sample") if first and given.batched else ("a stack of matrices", "matrix")
            what = f"runs over {over}: the weights of each {each} depend on the others, and do not add up to 1"
            self.blame(step, given, what, report)

    def blame(self, step: Step, given: Tensor, what: str, report: Report) -> Draft:
        """Report a softmax where its axis is given: in its call, or where the layer was made that is called."""
        born = report.interp.modules.makers.get(id(step.node))
        place = born or step
        draft = report(place.node, space=place.space, softmax=step.label, what=what)
        return draft.because((*why(given), step) if born is not None else why(given))

    def wrong(self, tensor: Tensor, report: Report) -> None:
        if tensor.trace:
            step = tensor.trace[-1]
            self.blame(step, tensor, OVER_BATCH, report).repair(self.over_classes)

    def over_classes(self, draft: Draft) -> None:
        """Offer the axis of the classes, where the batch's is written in the call itself."""
        call = draft.node
        if isinstance(call, cst.Call) and called(call) in ("softmax", "log_softmax"):
            dim = keyword(call, "dim") or next(iter(positional(call)[-1:]), None)
            if isinstance(dim, cst.Integer) and dim.value == "0":
                draft.fix("run it over the classes", replace(dim, "1"))


def is_tried(frame: Frame) -> bool:
    """Whether the model that runs was called where a handler takes what fails."""
    while frame.caller is not None and getattr(getattr(frame.function, "owner", None), "family", "") == "module":
        frame = frame.caller
    return frame.tries > 0


def is_hypothetical(region: Region | None, maker: Step | None = None) -> bool:
    """Whether a loop lies between the place at hand and a `forward` around it, in which it is not followed turn by turn
    what gets what, or a test expects the failure. What a call in the loop makes by itself, it also makes so there:
    `maker` is the layer that decided the size."""
    looped, call = False, None
    for outer in outwards(region):
        if outer.kind == "expected failure":
            return True
        unsure = outer.kind == "loop" and not (outer.exact or outer.first)
        looped |= unsure and (call is None or maker is None or is_given(call, maker))
        if looped and isinstance(outer.value, Function) and outer.value.name == "forward":
            return True
        call = outer if outer.kind == "call" else call
    return False


def is_given(call: Region, maker: Step) -> bool:
    """Whether a call may have been given what a layer made."""
    given = (part for value in call.given for part in (value, *parts_of(value)))
    return any(step is maker for value in given if isinstance(value, Tensor) for step in value.route)


def maker_of(tensor: Tensor, at: int) -> Step | None:
    """The layer that decided the size of the channels or, at -1, of the features."""
    for step in reversed(tensor.route):
        if step.label.startswith(("Linear", "Embedding", "Conv") if at == -1 else "Conv"):
            return step
        if at == -1 or not keeps_channels(step):
            return None
    return None


def tensors_of_torch(*values: Value | None) -> list[Tensor]:
    """All values, if each is a tensor of torch; else none."""
    found = [value for value in values if isinstance(value, Tensor) and value.lib == "torch"]
    return found if len(found) == len(values) else []


def keeps_channels(step: Step) -> bool:
    """Whether a place of a route changed the size of images only."""
    return step.label.partition(" ")[0].lower().replace("_", "").startswith(RESIZES)


class LayerSizeMismatch(LossRule):
    """A layer that cannot take the sizes it gets, or tensors whose sizes do not go together."""

    code, name = "TL611", "layer-size-mismatch"
    message = "{what} (@); it fails"

    @on("sizes")
    def check(self, fact: tuple[Call, int, int, int], report: Report) -> None:
        call, at, wanted, found = fact
        axis = "features" if at == -1 else "channels"
        takes, gets = (str(size) if is_fixed(size) else f"`{size}`" for size in (wanted, found))
        born = call.receiver.born if isinstance(call.receiver, Instance) else None
        what = f"`{call.short_name}` takes {takes} {axis} and gets {gets}, an input of shape {written(call.tensor)}"
        known = at == -1 or not all(keeps_channels(step) for step in call.tensor.route)
        maker = maker_of(call.tensor, at)
        self.tell(call.node, what, report, call.tensor, more=born, explained=known, maker=maker)

    def tell(
        self,
        node: Any,
        what: str,
        report: Report,
        *tensors: Tensor,
        more: Step | None = None,
        explained: bool = True,
        maker: Step | None = None,
    ) -> None:
        route = max((tuple(why(tensor)) for tensor in tensors), key=len)
        shown = report.interp.frame.function is None and not route and more is None  # as textbooks show what fails
        if not shown and not is_hypothetical(report.interp.region, maker) and not is_tried(report.interp.frame):
            draft = report(node, what=what).because((*route, more))
            draft.explained &= explained

    @on("add", "subtract", "multiply", "divide")
    def elementwise(self, fact: Any, report: Report) -> None:
        _, node, left, right, *_ = fact
        if clashing := self.clashing(left, right):
            what = f"{' and '.join(map(written, clashing))} are combined element by element, and cannot be broadcast"
            self.tell(node, what, report, *clashing)

    @on_call(*REGRESSION, BCE, BCE_WITH_LOGITS)
    def compared(self, call: Call, report: Report) -> None:
        if of_torch(call) and (clashing := self.clashing(call.tensor, target_of(call))):
            compared = " with ".join(map(written, clashing))
            what = f"`{call.short_name}` compares {compared}, which cannot be broadcast"
            self.tell(call.node, what, report, *clashing)

    def clashing(self, left: Value, right: Value) -> list[Tensor]:
        tensors = tensors_of_torch(left, right)
        return tensors if tensors and shapes.clash(*map(shapes.form, tensors)) else []

    @on_call("torch.bmm")
    def by_formula(self, call: Call, report: Report) -> None:
        """An `einsum` that has one letter for axes of two sizes."""
        formula, *given = call.arguments.positional or (UNKNOWN,)
        text, tensors = const(formula), tensors_of_torch(*given)
        operands = text.replace(" ", "").partition("->")[0].split(",") if isinstance(text, str) else []
        if not call.actual.endswith("einsum") or not tensors or len(operands) != len(tensors):
            return
        sizes: dict[str, int] = {}
        for letters, shape in zip(operands, (tensor.shape for tensor in tensors), strict=True):
            if shape is None or len(shape) != len(letters):
                continue
            for letter, number in zip(letters, shape, strict=True):
                if number is not None and number > 1 and sizes.setdefault(letter, number) != number:
                    shapes_given = ", ".join(map(written, tensors))
                    what = f"`{text}` has `{letter}` for sizes {sizes[letter]} and {number} in {shapes_given}"
                    self.tell(call.node, what, report, *tensors)
                    return

    @on("matrixmultiply")
    def product(self, fact: Any, report: Report) -> None:
        _, node, left, right, *_ = fact
        self.multiplied(node, tensors_of_torch(left, right), report)

    @on_call("torch.matmul", "torch.bmm")
    def called_product(self, call: Call, report: Report) -> None:
        if call.actual.endswith(("matmul", "mm")):
            other = call.value("other", 1) or call.value("mat2", 1)
            self.multiplied(call.node, tensors_of_torch(call.first, other), report)

    @on_call("torch.addmm")
    def added_product(self, call: Call, report: Report) -> None:
        factors = (call.value(name, place) or UNKNOWN for place, name in enumerate(("mat1", "mat2"), 1))
        self.multiplied(call.node, tensors_of_torch(*factors), report)

    def multiplied(self, node: Any, factors: list[Tensor], report: Report) -> None:
        left, right = (shapes.form(factor).shape for factor in factors or (Tensor(), Tensor()))
        if not left or not right:
            return
        inner, outer = left[-1], right[-2 if len(right) > 1 else 0]
        if inner is not None and outer is not None and differ(inner, outer):
            given = " is multiplied with ".join(map(written, factors))
            self.tell(node, f"{given}, whose {outer} rows do not fit {inner} columns", report, *factors)

    @on_call("torch.cat")
    def joined(self, call: Call, report: Report) -> None:
        items = tensors_of_torch(*(call.interp.known_items(call.first) or ()))
        dim, ranks = const(shapes.axis(call, 1) or Const(0)), {len(item.shape or ()) for item in items}
        if not call.actual.endswith(("cat", "concat", "concatenate")) or len(ranks) != 1 or not isinstance(dim, int):
            return
        for at, found in enumerate(zip(*(shapes.form(item).shape or () for item in items), strict=True)):
            known = [size for size in found if size is not None]
            if at != dim % max(ranks) and any(differ(known[0], size) for size in known[1:]):
                given = " and ".join(map(written, items))
                self.tell(call.node, f"{given} are joined along axis {dim}, and differ in axis {at}", report, *items)
                return

    @on_call("torch.reshape")
    def rearranged(self, call: Call, report: Report) -> None:
        """Other axes for other elements than there are: a number written down for what a convolution does not give."""
        given, wanted = call.tensor, shapes.fixed_sizes(call, 1, "shape", "size")
        have = given.shape
        if not call.actual.endswith(("view", "reshape")) or not wanted or not have or given.lib != "torch":
            return
        want, elements = wanted, "elements"
        if shapes.product(have) is None or shapes.BATCH in wanted:
            if not given.batched or wanted[0] not in (shapes.BATCH, -1):
                return
            have, want, elements = have[1:], wanted[1:], "elements of each sample"
        whole, known = shapes.product(have), shapes.product(size for size in want if size != -1)
        if not whole or not known or (wanted[0] == -1 and known % whole == 0):
            return
        if whole % known if -1 in wanted else whole != known:
            self.tell(
                call.node, f"`{called(call.node)}` asks for {known} {elements} in {written(given)}", report, given
            )


class PredictionAxis(Rule):
    """The predicted class is taken over the wrong axis, or is no class."""

    code, name = "TL803", "prediction-axis"
    message = "{what}"

    @on_call("torch.argmax", "torch.max", "torch.topk")
    def over_batch(self, call: Call, report: Report) -> None:
        tensor = call.tensor
        dim = const(shapes.axis(call, 2 if call.actual.endswith("topk") else 1) or Const(None))
        if not call.actual.endswith(("argmax", "max", "topk")):
            return
        if (tensor.nature == ANSWERS or is_predicted(tensor)) and called(call.node) == "argmax":
            self.over_samples(call, report)
            return
        other = dim == 0 and tensor.axis == 1 and tensor.must_be(PROBABILITIES | LOG_PROBABILITIES)
        index = index_of(report.space())
        places = call.node if called(call.node) == "argmax" else index.parent(call.node)
        if places is not call.node and (
            not isinstance(places, cst.Subscript) or not indices_are_used(index, call.node)
        ):
            places = None
        if other and places is not None and is_equated(index, places):
            runs = f"`{called(call.node)}` runs over the first axis"
            what = f"{runs}; the softmax (@) ran over the second one, which has the classes"
            report(call.node, what=what).because(tensor.trace[-1:])
            return
        if dim == 0 and called(call.node) == "argmax" and is_scored(tensor) and is_equated(index, call.node):
            report(call.node, what=OVER_SAMPLES.format(call.short_name))
        if tensor.shape is None or len(tensor.shape) != 2:
            return
        wide = places is not None and is_equated(index, places) if tensor.shape[1] is None else tensor.shape[1] > 1
        several = tensor.batched and tensor.data.tokens and wide
        if dim in (0, -2) and several and tensor.deps and tensor.must_be(SCORES):
            what = (
                f"`{call.short_name}` runs over the batch of {written(tensor)} (@): "
                "it tells a sample for each class, not a class for each sample"
            )
            report(call.node, what=what).because(why(tensor))
        if dim is None and several and tensor.deps and tensor.must_be(SCORES) and called(call.node) == "argmax":
            if not call.arguments.open and is_equated(index, call.node):
                what = (
                    f"`{call.short_name}` without `dim` runs over all of {written(tensor)} (@): it tells one place only"
                )
                report(call.node, what=what).because(why(tensor))

    @on_call("numpy.argmax")
    def over_samples(self, call: Call, report: Report) -> None:
        """What a `Trainer` hands to `compute_metrics`, or a model of Keras predicts, has the samples first, and so has
        what a loop gathers of softmaxes over the other axis."""
        given = call.tensor
        shares = is_predicted(given) and given.must_be(PROBABILITIES | LOGITS) and given.last != 1
        rows = (given.nature == ANSWERS or shares) and given.batched
        if given.axis == 1 and given.must_be(PROBABILITIES | LOG_PROBABILITIES):
            rows = rows or is_equated(index_of(report.space()), call.node)
        if rows and const(shapes.axis(call, 1) or Const(None)) == 0:
            report(call.node, what=OVER_SAMPLES.format(call.short_name))
        elif given.nature == ANSWERS and len(given.shape or ()) == 3:
            if const(shapes.axis(call, 1) or Const(None)) in (1, -2):
                what = f"`{call.short_name}` runs over the tokens of each sample: it tells one for each class"
                report(call.node, what=what)

    @on("comparison")
    def compared(self, fact: tuple[str, Any, Value, Value, Value], report: Report) -> None:
        operator, node, left, right, _ = fact
        if operator not in ("Equal", "NotEqual"):
            return
        sides = compared_sides(node)
        for given, labels, side in ((left, right, 0), (right, left, 1)):
            if not isinstance(given, Tensor):
                continue
            if sides is not None and is_label(labels) and is_counted(report, node):
                report.interp.event("matched", node, stripped(index_of(report.space()), sides[side]))
            if isinstance(labels, Tensor):
                if given.deps and not labels.deps and labels.graph is False:
                    self.answers(report, node, given, labels, sides[side] if sides is not None else None)
                unseen = not (labels.deps or labels.graph or labels.kinds)
            else:
                unseen = all(map(is_unseen, options(labels)))
            if unseen and given.must_be(SCORES) and is_counted(report, node):
                if is_highest(given) or (sides is not None and greatest(index_of(report.space()), sides[side])):
                    report(node, what=HIGHEST).because(highest_at(given))

    def answers(self, report: Report, node: Any, given: Tensor, labels: Tensor, side: Any) -> None:
        """What is compared with labels holds the largest scores; or those of a batch are looked for over the first axis
        of just what a model gives."""
        largest = given.route[-1].label.startswith("max ") if given.route else given.nature == "a maximum"
        learnt = given.graph is True and any(dep.live and dep.node is not None for dep in given.deps)
        if (largest and (given.must_be(SCORES) or learnt)) or (is_highest(given) and labels.must_be(INDICES)):
            report(node, what=HIGHEST).because(highest_at(given))
        elif side is not None and labels.data.tokens:
            index = index_of(report.space())
            highest = greatest(index, side)
            choice = stripped(index, side)
            if highest is not None and is_output(origin(report.interp, searched(highest)[0]).node, given):
                report(node, what=HIGHEST).because([Step(report.space(), highest, called(highest))])
            elif is_over_first(choice):
                made = origin(report.interp, searched(choice)[0])
                known = any("$head" in dep.module.attrs for dep in given.deps)  # models of the hub take batches only
                batched = known or labels.batched or made.node in batches(report.interp.region)
                if is_output(made.node, given) and batched:
                    self.tell(report, report.space(), choice, made)

    def tell(self, report: Report, space: Namespace, choice: cst.Call, made: Step) -> None:
        what = (
            f"`{called(choice)}` runs over the first axis of the model's outputs, which is the batch: "
            "it tells a sample for each class, not a class for each sample"
        )
        report(choice, space, what=what).because([made])

    @on_call("torch.argmax", "torch.max")
    def over_first_axis(self, call: Call, report: Report) -> None:
        node, at = call.node, const(shapes.axis(call, 1) or UNKNOWN)
        if call.tensor.deps and isinstance(at, int) and call.actual.endswith(("argmax", "max")):
            if called(node) == "argmax" or indices_are_used(index_of(report.space()), node):
                report.interp.event("picked", node, origin(report.interp, searched(node)[0]), call.tensor, at)
                if called(node) == "argmax" and is_walked(index_of(report.space()), node):
                    report.interp.event("matched", node, node)

    @on("program", having="picked loss model")
    def classified(self, region: Region, report: Report) -> None:
        """The same outputs of a batch are given to a loss that takes their second axis for the classes."""
        whole = batches(region)
        picked = [event for event in region.of("picked") if is_over_first(event.node)]
        sources = {event.made.node for event in picked}
        classified = set()
        for event in region.of("loss"):
            if event.path in CLASS_AXIS and isinstance(event.node, cst.Call) and event.space.source is not None:
                index = index_of(event.space)
                for scores in (stripped(index, value) for value in positional(event.node)[:1]):
                    inner = normalised(index, scores)
                    if inner is not None or any(dep.node in whole for dep in event.given.deps):
                        classified |= sources & {scores if inner is None else inner}
        for event in picked:
            if event.made.node in classified:
                self.tell(report, event.space, event.node, event.made)

    @on("program", having="matched loss")
    def compared_elsewhere(self, region: Region, report: Report) -> None:
        """What is picked from the outputs of a model is counted as classes, which a loss takes along another axis."""
        judged = [event.given for event in region.of("loss") if event.path in CLASS_AXIS and event.given.deps]
        matched = {event.choice for event in region.of("matched")}
        for event in {id(e.node): e for e in region.of("picked") if judged and e.node in matched}.values():
            scores, modules = event.scores, {dep.module for dep in event.scores.deps}
            made = unpacked_from(index_of(event.made.space), event.made.node)
            if not is_output(made, scores):
                continue
            given = [one for one in judged if any(dep.module in modules for dep in one.deps)]
            if given and all(is_beside_classes(scores, event.at, one) for one in given):
                what = (
                    f"`{called(event.node)}` runs over axis {event.at} of the model's outputs (@), "
                    "but the loss has the classes on another one"
                )
                report(event.node, event.space, what=what).because([event.made])


OVER_SAMPLES = "`{}` runs over the samples: it tells one for each class, not a class for each sample"
HIGHEST = "the highest score (@) is compared with labels; the class is its index, `max(…)[1]` or `argmax`"


def is_label(value: Value) -> bool:
    """Whether a value comes with the data, and is not numbered here, as the pairs of a batch are."""
    if isinstance(value, Tensor):
        return not value.deps and (bool(value.data.tokens) or is_opaque(value))
    return all(map(is_unseen, options(value)))


def is_highest(given: Tensor) -> bool:
    """Whether a tensor holds the highest scores that a model gave, not their indices."""
    return given.nature == "a maximum" and given.must_be(SCORES)


def is_unseen(value: Value) -> bool:
    """Whether nothing is known of a value: it comes from elsewhere, as does what it is an attribute of."""
    return is_opaque(value) or (isinstance(value, Method) and is_opaque(value.receiver))


def highest_at(given: Tensor) -> Iterable[Step]:
    """Where the highest scores were looked for, or else where these come from."""
    return why(given) if given.route and given.route[-1].label.startswith("max ") else given.trace


def is_counted(report: Report, comparison: Any) -> bool:
    """Whether it is counted how often a comparison holds, there or under the only name that it gets."""
    index, waiting = index_of(report.space()), [comparison]
    for node in waiting:
        while isinstance(around := index.parent(node), (cst.Attribute, cst.Call, cst.Arg, cst.Subscript)):
            if isinstance(around, cst.Call) and called(around) in ("sum", "mean"):
                return True
            node = around
        target = around.targets[0].target if isinstance(around, cst.Assign) else None
        bindings = index.lookup(target) if isinstance(target, cst.Name) else []
        if len(bindings) == 1 and len(waiting) == 1:
            waiting += index.references(bindings[0])
    return False


def is_walked(index: Index, call: Any) -> bool:
    """Whether a list gets each item of what a call gives, there or under the only name that it gets."""
    node = call
    while isinstance(around := index.parent(node), (cst.Attribute, cst.Call, cst.Arg)):
        if isinstance(around, cst.Call) and isinstance(node, cst.Arg):
            return called(around) == "extend"
        node = around
    target = around.targets[0].target if isinstance(around, cst.Assign) else None
    bindings = index.lookup(target) if isinstance(target, cst.Name) else []
    return len(bindings) == 1 and any(is_walked(index, use) for use in index.references(bindings[0]))


def is_beside_classes(picked: Tensor, at: int, judged: Tensor) -> bool:
    """Whether an axis of a model's outputs surely is not that of the classes, which what a loss is given of these
    outputs has as its second."""
    mine, theirs = shapes.form(picked).shape, shapes.form(judged).shape
    rank = len(mine) if mine is not None else max(at + 1, 2)
    if not -rank <= at < rank or rank < 2:
        return False
    if at % rank == 0 or mine is None:
        return at % rank == 0  # samples are no classes
    if theirs is None or len(theirs) < 2:
        return False
    if (classes := theirs[1]) is not None and classes in mine:
        return mine.count(classes) == 1 and mine[at] != classes
    axis = axis_of_units(picked)
    alike = axis == 1 and len(theirs) == rank and judged.route[-1:] == picked.route[-1:]
    dealt = axis == rank - 1 and len(theirs) == 2 and judged.route[-2:-1] == picked.route[-1:] and is_dealt_out(judged)
    return (alike or dealt) and at % rank != axis


def axis_of_units(tensor: Tensor) -> int | None:
    """The axis that has the units or channels of the layer that surely gave a tensor as it is."""
    label = tensor.route[-1].label if tensor.route else ""
    if tensor.shape is None or not label.endswith(written(tensor)):
        return None
    return len(tensor.shape) - 1 if label.startswith("Linear ") else 1 if label.startswith("Conv") else None


def is_dealt_out(tensor: Tensor) -> bool:
    return tensor.route[-1].label.startswith(("view ", "reshape ", "flatten "))


# Losses that take axis 1 of their input for the classes.
CLASS_AXIS = frozenset(f"torch.nn.functional.{name}" for name in ("cross_entropy", "nll_loss"))


def batches(region: Region | None) -> set[Any]:
    """The calls of models, as far as regions know of them, that were given batches of a loader."""
    return {
        event.node
        for around in outwards(region)
        for event in around.of("model")
        if any(tensor.batched and tensor.data.tokens for tensor in event.inputs)
    }


def normalised(index: Index, node: Any) -> Any:
    """What the logarithm of a softmax over the second axis is taken of; None for another expression."""
    given = positional(node) if is_plain_call(node, "log_softmax") else []
    axis = keyword(node, "dim") or next(iter(given[-1:]), None)
    scores = next((value for value in given if value is not axis), getattr(getattr(node, "func", None), "value", None))
    over_second = isinstance(axis, cst.Integer) and axis.value == "1"
    return stripped(index, scores) if over_second and scores is not None else None


def is_over_first(choice: Any) -> bool:
    """Whether a node is a call of `argmax` or `max` over the first axis."""
    if not isinstance(choice, cst.Call) or called(choice) not in ("argmax", "max"):
        return False
    axis = searched(choice)[1]
    return isinstance(axis, cst.Integer) and axis.value == "0"


def origin(interp: Interpreter, node: Any) -> Step:
    """Where a value comes from, as `stripped` tells, through the arguments of the calls that led here."""
    space = interp.frame.space
    found = stripped(index_of(space), node)
    for region in outwards(interp.region):
        if region.kind == "call" and region.parent is not None:
            argument = argument_for(region.value.node, region.node, found)
            if argument is None or region.parent.space.source is None:
                break
            space = region.parent.space
            found = stripped(index_of(space), argument)
    return Step(space, found, "the outputs")


def is_output(made: Any, given: Tensor) -> bool:
    """Whether an expression is just the call of a model that a value comes from."""
    return made is not None and any(dep.node is made for dep in given.deps)


def unpacked_from(index: Index, made: Any) -> Any:
    """The call of which a name is one of several results; any other expression as it is."""
    statement = index.statement(made) if isinstance(made, cst.Name) else None
    return statement.value if isinstance(statement, cst.Assign) and isinstance(statement.value, cst.Call) else made


def searched(choice: cst.Call) -> tuple[Any, Any]:
    """What `argmax` or `max` is called on, and over which axis, as they are written."""
    among = positional(choice)
    scores: Any = choice.func.value if isinstance(choice.func, cst.Attribute) else None
    if scores is None or dotted_name(scores) in ("torch", "np"):
        scores = among.pop(0) if among else None
    return scores, keyword(choice, "dim") or keyword(choice, "axis") or next(iter(among), None)


def compared_sides(node: Any) -> tuple[Any, Any] | None:
    """Both sides of `x == y`, `x.eq(y)` or `torch.eq(x, y)`."""
    if isinstance(node, cst.Comparison):
        return (node.left, node.comparisons[0].comparator) if len(node.comparisons) == 1 else None
    if not isinstance(node, cst.Call) or called(node) != "eq":
        return None
    given = positional(node)
    if isinstance(node.func, cst.Attribute) and len(given) == 1:
        given.insert(0, node.func.value)
    return (given[0], given[1]) if len(given) == 2 else None


def counted_as_classes(index: Index, comparison: Any) -> Iterator[tuple[Any, Any]]:
    """Where the scores come from of which the place of the highest is compared with labels, and where these do."""
    sides = compared_sides(comparison)
    for side, labels in (sides, sides[::-1]) if sides is not None else ():
        choice: Any = stripped(index, side)
        if called(choice) in ("argmax", "max"):
            scores, axis = searched(choice)
            if axis is not None and scores is not None:
                yield stripped(index, scores), stripped(index, labels)


def greatest(index: Index, node: Any) -> Any:
    """The `max` over an axis whose values, not their indices, an expression holds; None for any other expression."""
    node = passed_on(node)
    if isinstance(node, cst.Name) and (bound := reaching(index, node)) is not None:
        statement = index.statement(bound)
        target = statement.targets[0].target if isinstance(statement, cst.Assign) else None
        node = passed_on(statement.value) if isinstance(statement, cst.Assign) else None
        if isinstance(target, cst.Tuple):
            return node if target.elements[0].value is bound and is_over_axis(node) else None
    if isinstance(node, cst.Subscript) and len(node.slice) == 1:
        place = node.slice[0].slice
        first = isinstance(place, cst.Index) and isinstance(place.value, cst.Integer) and place.value.value == "0"
        return node.value if first and is_over_axis(node.value) else None
    if isinstance(node, cst.Attribute) and node.attr.value == "values":
        return node.value if is_over_axis(node.value) else None
    return None


def is_over_axis(node: Any) -> bool:
    """Whether a node is a call of `max` over one axis, or of `topk`, which give values and indices."""
    if not isinstance(node, cst.Call):
        return False
    return called(node) == "topk" or (called(node) == "max" and searched(node)[1] is not None)


def passed_on(node: Any) -> Any:
    """The expression behind calls and attributes that change neither the axes nor their order."""
    while True:
        passed = node.func if isinstance(node, cst.Call) else node
        if not isinstance(passed, cst.Attribute) or passed.attr.value not in PASSING:
            return node
        node = passed.value


def indices_are_used(index: Index, node: Any) -> bool:
    """Whether `max` over an axis is called for its indices: `max(x, 0)[1]` or `_, classes = max(x, 0)`."""
    around = index.parent(node)
    if isinstance(around, cst.Subscript):
        place = around.slice[0].slice
        return isinstance(place, cst.Index) and isinstance(place.value, cst.Integer) and place.value.value == "1"
    if isinstance(around, cst.Attribute):
        return around.attr.value == "indices"
    target = around.targets[0].target if isinstance(around, cst.Assign) else None
    return isinstance(target, cst.Tuple) and len(target.elements) == 2 and not is_name(target.elements[1].value, "_")


PASSING = frozenset(("cpu", "detach", "float", "numpy", "data", "cuda", "to", "long", "indices", "logits"))


def stripped(index: Index, node: Any) -> Any:
    """The expression that a value comes from, or the name that it is first bound to: through assignments, and what
    changes neither its axes nor their order."""
    for _ in range(12):
        node = passed_on(node)
        if isinstance(node, cst.Subscript) and called(node.value) == "max":
            node = node.value
        elif isinstance(node, cst.Name) and (bound := reaching(index, node)) is not None:
            statement = index.statement(bound)
            target = statement.targets[0].target if isinstance(statement, cst.Assign) else None
            if not isinstance(target, cst.Name) and called(getattr(statement, "value", None)) != "max":
                return bound
            node = statement.value  # type: ignore[union-attr]
        else:
            return node
    return node


class RnnBatchAxis(Rule):
    """Batch and time are confused around a recurrent layer."""

    code, name = "TL614", "rnn-batch-axis"
    message = "{what}"

    @on("step taken")
    def last(self, fact: tuple[Any, Tensor, list[Any]], report: Report) -> None:
        node, owner, indices = fact
        places = [i for i, index in enumerate(indices) if index != slice(None)]
        if len(places) != 1 or places[0] > 1 or len(indices) > 3:
            return
        if const(indices[places[0]]) != -1 and not is_last_place(node, places[0]):
            return
        if places[0] == owner.axis or owner.axis is None or (len(indices) < 2 and not owner.batched):
            return
        layout = ("(time, batch, features)", "(batch, time, features)")[owner.axis]
        index = ", ".join([":"] * places[0] + ["-1"])
        what = f"`[{index}]` takes the last sample of the batch, not the last step: the output is {layout} (@)"
        report(node, what=what).because(owner.trace)

    @on("recurrent")
    def fed(self, fact: tuple[Call, bool], report: Report) -> None:
        call, batch_first = fact
        given = call.tensor
        served = given.batched and given.data.tokens and given.shape is not None and len(given.shape) == 3
        if served and not batch_first:
            born = call.receiver.born if isinstance(call.receiver, Instance) else None
            what = (
                f"`{call.short_name}` without `batch_first` takes axis 0 of {written(given)} for time, "
                "but it is the batch (@)"
            )
            report(call.node, what=what).because((born, *why(given)))


def is_last_place(node: Any, axis: int) -> bool:
    """Whether an index is written as the size of its axis minus 1: `x[:, x.size(1) - 1]`, `x[x.shape[0] - 1]`."""
    index = node.slice[axis].slice if isinstance(node, cst.Subscript) and len(node.slice) > axis else None
    place = index.value if isinstance(index, cst.Index) else None
    if not isinstance(place, cst.BinaryOperation) or not isinstance(place.operator, cst.Subtract):
        return False
    text = cst.Module([]).code_for_node
    sizes = (f"{text(node.value)}.size({axis})", f"{text(node.value)}.shape[{axis}]")
    return text(place.right) == "1" and text(place.left) in sizes


class ReshapeAsPermute(Rule):
    """Axes are swapped by a view, which scrambles the elements."""

    code, name = "TL420", "reshape-as-permute"
    message = "`{call}` turns {given} into {wanted}; it does not swap axes but deals the elements out anew"

    @on_call("torch.reshape", "numpy.reshape")
    def check(self, call: Call, report: Report) -> None:
        if not call.actual.endswith(("view", "reshape")):
            return
        given = shapes.fixed_form(call.tensor)
        if (named := exchanged_sizes(call.node, index_of(report.space()), given.shape)) is not None:
            before, after = (f"({', '.join(names)})" for names in named)
            report(call.node, call=call.short_name, given=before, wanted=after)
            return
        if (dealt := dealt_out(call.node, call.tensor, index_of(report.space()))) is not None:
            report(call.node, call=call.short_name, given=dealt[0], wanted=dealt[1]).because(why(call.tensor))
            return
        wanted = shapes.fixed_sizes(call, 1, "shape", "size", "newshape")
        if given.shape is None or wanted is None or len(given.shape) < 3:
            return
        found = shapes.reshaped(given, wanted)
        if found.shape is not None and (
            swaps_channels(given.shape, found.shape)
            or moves_batch(given, wanted)
            or crosses_heads(given.shape, found.shape)
            or crosses_heads(found.shape, given.shape)
            or joins_places(given.shape, found.shape)
            or joins_places(found.shape, given.shape)
        ):
            words = ["N" if s == shapes.BATCH else "?" if s is None else str(s) for s in wanted]
            report(
                call.node, call=call.short_name, given=shapes.describe(given), wanted=f"({', '.join(words)})"
            ).because(why(call.tensor))


def exchanged_sizes(call: Any, index: Index, shape: Shape | None) -> tuple[list[str], list[str]] | None:
    """The names of a tensor's own sizes in their order, and in the other one that it is given: `h, w, c = x.shape`,
    then `x.reshape(c, h, w)`."""
    given = positional(call)
    if isinstance(call.func, cst.Attribute) and len(given) != 2:
        given.insert(0, call.func.value)
    if len(given) == 2 and isinstance(given[1], (cst.Tuple, cst.List)):
        given[1:] = [element.value for element in given[1].elements]
    given[:1] = [without_copies(node) for node in given[:1]]
    if len(given) < 4 or not isinstance(given[0], cst.Name):
        return None
    tensor, *wanted = given
    if not all(isinstance(node, cst.Name) for node in wanted):
        return exchanged_axes(tensor, wanted, shape)
    bound = [reaching(index, name) for name in wanted]
    found = sizes_with(index, wanted[0])
    if found is None or {*map(id, found[0])} != {*map(id, bound)}:
        return None
    names, owner = found
    measured = reaching(index, owner)
    if measured is None or measured is not reaching(index, tensor):
        return None
    known = shape if shape is not None and len(shape) == len(names) else (None,) * len(names)
    real = {id(name) for name, size in zip(names, known, strict=True) if size != 1}
    before, after = ([name for name in order if id(name) in real] for order in (names, bound))
    return None if before == after else ([name.value for name in names], [name.value for name in wanted])


def dealt_out(call: Any, tensor: Tensor, index: Index) -> tuple[str, str] | None:
    """The sizes of images in words, and those they are given, where some axes are joined and put before others:
    `b, c, h, w = x.shape`, then `x.view(b, h * w, c)`, be it of what a convolution made of them."""
    given = positional(call)
    if isinstance(call.func, cst.Attribute) and not is_name(call.func.value, "torch"):
        given.insert(0, call.func.value)
    if len(given) == 2 and isinstance(given[1], (cst.Tuple, cst.List)):
        given[1:] = [element.value for element in given[1].elements]
    of, *wanted = given
    names, owner = next((found for node in wanted if (found := sizes_with(index, node))), ((), None))
    if owner is None or tensor.shape is None or len(names) != len(tensor.shape) or len(wanted) < 2:
        return None
    itself = isinstance(of, cst.Name) and (bound := reaching(index, of)) is not None and bound is reaching(index, owner)
    if not itself and not is_map(tensor):
        return None
    places = {id(name): at for at, name in enumerate(names)}
    joined = [None if is_minus_one(node) else axes_in(index, node, places) for node in wanted]
    named = {axis for axes in joined if axes is not None for axis in axes}
    if -1 in named or joined.count(None) > 1:
        return None
    rest = set(range(len(names))) - named
    order = [sorted(a for a in (rest if axes is None else axes) if tensor.shape[a] != 1) for axes in joined]
    ends = [axis for axes in order if axes for axis in (axes[0], axes[-1])]
    if ends == sorted(ends) or not all(order) or len({a for axes in order for a in axes}) < sum(map(len, order)):
        return None
    words = (cst.Module([]).code_for_node(node) for node in wanted)
    return f"({', '.join(name.value for name in names)})", f"({', '.join(words)})"


def is_map(tensor: Tensor) -> bool:
    """Whether a tensor surely is what a convolution of images gave, with its axes where they were."""
    label, shape = tensor.route[-1].label if tensor.route else "", tensor.shape or ()
    known = len(shape) == 4 and shape[1] is not None and shape[1] not in shape[2:]
    return known and label.startswith("Conv") and label.endswith(written(tensor))


def sizes_with(index: Index, node: Any) -> tuple[list[Any], cst.Name] | None:
    """The names of all sizes of a tensor, of which one is in an expression, and the tensor's."""
    name = next((part for part in nodes_in(node) if isinstance(part, cst.Name)), None)
    element = index.parent(bound) if name is not None and (bound := reaching(index, name)) is not None else None
    sizes: Any = index.parent(element) if isinstance(element, cst.Element) else None
    target = index.parent(sizes) if isinstance(sizes, cst.Tuple) else None
    statement = index.parent(target) if isinstance(target, cst.AssignTarget) else None
    owner = sized(statement.value) if isinstance(statement, cst.Assign) else None
    return None if owner is None else ([part.value for part in sizes.elements], owner)


def axes_in(index: Index, node: Any, places: dict[int, int]) -> set[int]:
    """The axes whose sizes an expression multiplies; -1 among them for anything else."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Multiply):
        return axes_in(index, node.left, places) | axes_in(index, node.right, places)
    return {places.get(id(reaching(index, node)), -1)} if isinstance(node, cst.Name) else {-1}


def exchanged_axes(tensor: cst.Name, wanted: list[Any], shape: Shape | None) -> tuple[list[str], list[str]] | None:
    """The same of sizes that are asked of the tensor where they are given: `x.view(x.size(0), x.size(2), -1)`."""
    guessed = shape is None
    if shape is None and not any(map(is_minus_one, wanted)):  # of as many axes as are given, or it fails
        shape = (None,) * len(wanted)
    if shape is None or len(wanted) != len(shape):
        return None
    axes = [axis_measured(node, tensor, len(shape)) for node in wanted]
    if guessed and 0 not in axes:
        return None  # a first axis of size 1 may be left out
    rest = sorted({*range(len(shape))} - {*axes})
    left = is_left_over if shape.count(None) == len(shape) else is_minus_one
    if len(rest) != 1 or axes.count(None) != 1 or not left(wanted[axes.index(None)]):
        if rest:
            return None
    else:
        axes[axes.index(None)] = rest[0]
    real = [axis for axis in axes if axis is not None and shape[axis] != 1]
    if real == sorted(real):
        return None
    names = [f"{tensor.value}.shape[{axis}]" for axis in axes]
    return sorted(names), names


def axis_measured(node: Any, tensor: cst.Name, rank: int) -> int | None:
    """The axis of a tensor whose size `x.size(1)` or `x.shape[1]` is."""
    if isinstance(node, cst.Call) and called(node) == "size" and len(node.args) == 1:
        owner: Any = getattr(node.func, "value", None)
        at: Any = node.args[0].value
    elif isinstance(node, cst.Subscript) and isinstance(node.value, cst.Attribute) and node.value.attr.value == "shape":
        element = node.slice[0].slice
        owner, at = node.value.value, element.value if isinstance(element, cst.Index) else None
    else:
        return None
    sign = -1 if isinstance(at, cst.UnaryOperation) and isinstance(at.operator, cst.Minus) else 1
    number = at.expression if isinstance(at, cst.UnaryOperation) else at
    if not is_name(owner, tensor.value) or not isinstance(number, cst.Integer):
        return None
    axis = sign * int(number.value)
    return axis % rank if -rank <= axis < rank else None


def is_left_over(node: Any) -> bool:
    """Whether a size is what the others leave: -1, or a number of channels, which has to be just that."""
    return is_minus_one(node) or (isinstance(node, cst.Integer) and node.value not in ("0", "1"))


def is_minus_one(node: Any) -> bool:
    return isinstance(node, cst.UnaryOperation) and cst.Module([]).code_for_node(node) == "-1"


COPIES = frozenset("clone contiguous copy cpu cuda detach double float half numpy to".split())


def without_copies(node: Any) -> Any:
    """What calls that keep the shape begin with: `x.cpu().numpy()` gives `x`."""
    while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in COPIES:
        node = node.func.value
    return node


def sized(node: Any) -> cst.Name | None:
    """The name of what `x.shape` or `x.size()` measures."""
    source = node.func if isinstance(node, cst.Call) and not node.args else node
    if isinstance(source, cst.Attribute) and source.attr.value == ("shape" if source is node else "size"):
        return source.value if isinstance(source.value, cst.Name) else None
    return None


def crosses_heads(apart: Shape, joined: Shape) -> bool:
    """Whether (N, heads, steps, size) and (N, steps, heads * size) are turned into each other."""
    if len(apart) != 4 or len(joined) != 3:
        return False
    heads, steps, size = apart[1:]
    known = heads is not None and size is not None and heads > 1 and size > 1 and heads != steps
    return known and steps == joined[1] != 1 and joined[2] == heads * size  # type: ignore[operator]


def swaps_channels(old: Shape, new: Shape) -> bool:
    """Whether three last axes are an image's, with the channels moved from one end to the other."""
    a, b = old[-3:], new[-3:]
    if len(old) == len(new) == 3 and a[2] == b[0] == 3 and {*a[:2], *b[1:]} == {None}:
        return True
    if len(old) != len(new) or None in a or None in b or old[:-3] != new[:-3] or len(set(a)) == 1:
        return False
    first = a[0] == 3 and b == (a[1], a[2], a[0]) and 3 not in a[1:]
    last = a[2] == 3 and b == (a[2], a[0], a[1]) and 3 not in a[:2]
    return first or last


def joins_places(maps: Shape, rows: Shape) -> bool:
    """Whether one of two shapes is that of maps, and the other of as many places, each with a number of every map."""
    if len(maps) != 4 or len(rows) != 3 or None in maps[1:] or maps[0] != rows[0]:
        return False
    many, height, width = (size or 0 for size in maps[1:])
    return rows[1:] == (height * width, many) and many not in (1, width, height * width) and height * width > 1


def moves_batch(given: shapes.Form, wanted: list[int | None]) -> bool:
    """Whether the batch, the first of three axes, becomes the second."""
    if not given.batched or given.shape is None or len(given.shape) != 3 or len(wanted) != 3:
        return False
    steps, first = given.shape[1], wanted[0]
    return (
        wanted[1] == shapes.BATCH and steps != 1 and first not in (1, shapes.BATCH) and (first == -1 or first == steps)
    )


class NormalizeChannels(Rule):
    """`Normalize` has statistics for other images than it gets."""

    code, name = "TL426", "normalize-channels"
    message = "`Normalize` {what}"
    exclusive = True

    @on("dataset")
    def channels(self, fact: tuple[Any, Instance, Call], report: Report) -> None:
        dataset = fact[1]
        transform = dataset.attrs.get("transform")
        steps = steps_of(transform) if isinstance(transform, Value) else None
        if dataset.api_path.startswith("torchvision.datasets."):
            for item, what in misfits(steps or [], pictures=True):
                report(item.born.node, space=item.born.space, what=what)
        raw = raw_shape(dataset)
        for i, step in enumerate(steps or ()):
            given = step.attrs.get("$normalize")
            if given is None or raw is None or step.born is None:
                continue
            shape = after_transforms(raw, (steps or [])[:i])
            means, spreads = constants(given[0]), constants(given[1])
            for numbers in (means, spreads):
                if isinstance(numbers, tuple) and shape and shape[0] and len(numbers) not in (1, shape[0]):
                    channels = "1 channel" if shape[0] == 1 else f"{shape[0]} channels"
                    what = f"has statistics of {len(numbers)} channels, and {dataset.describe()} has {channels} (@)"
                    report(step.born.node, space=step.born.space, what=what).because((dataset.born,))
                    break

    @on_call("torchvision.transforms.Compose")
    def scale(self, call: Call, report: Report) -> None:
        alternatives = [options(item) for item in call.interp.known_items(call.first) or ()]
        for i in range(max(map(len, alternatives), default=0)):  # what a setting picks goes together with its like
            steps = [some[min(i, len(some) - 1)] for some in alternatives]
            for item, what in misfits([step for step in steps if isinstance(step, Instance)]):
                report(item.born.node, space=item.born.space, what=what)

    @on_call("torchvision.transforms.functional.normalize")
    def by_function(self, call: Call, report: Report) -> None:
        """`normalize(to_tensor(picture), mean, std)`"""
        scale = call.first.data.scale if isinstance(call.first, Tensor) else None
        means = constants(call.value("mean", 1))
        large = isinstance(means, tuple) and bool(means) and all(isinstance(n, (int, float)) and n > 1 for n in means)
        if scale is not None and scale[0] == "plain" and large:
            what = f"has means for pixels from 0 to 255, but `{scale[1].label}` gives them from 0 to 1"
            report(call.node, what=what).because([scale[1]])

    @on_call("albumentations.Normalize")
    def divided(self, call: Call, report: Report) -> None:
        """albumentations takes means of pixels from 0 to 1, and multiplies them by `max_pixel_value`."""
        most, kind = call.value("max_pixel_value"), call.value("normalization")
        means = constants(call.value("mean"))
        usual = (most is None or bounds(most)[0] > 1) and (kind is None or const(kind) == "standard")
        if usual and isinstance(means, tuple) and means and all(isinstance(n, (int, float)) and n > 1 for n in means):
            report(call.node, what="has means for pixels from 0 to 255, and multiplies them by 255 (`max_pixel_value`)")


def misfits(steps: list[Instance], pictures: bool = False) -> Iterator[tuple[Any, str]]:
    """Normalisations with means for pixels of another range than those that they get, in the order of the transforms;
    `pictures` if what goes in is known to be pictures, whose pixels are integers."""
    pixels, maker = "", ""  # "read" as integers, as "float" numbers of the same size, "scaled"; nothing is known
    for step in steps:
        name, given = step.describe(), step.attrs.get("$normalize")
        if step.family != "transform":
            return
        known = [constants(means) for means in options(given[0])] if given is not None else []  # whichever is set
        choices = [means for means in known if isinstance(means, tuple) and means]
        if choices and step.born is not None and pixels in ("scaled", "float"):
            large = [[isinstance(mean, (int, float)) and mean > 1 for mean in means] for means in choices]
            what = "has means for pixels from 0 to {}, but `{}` gives them from 0 to {}"
            if pixels == "scaled" and any(map(all, large)):
                yield step, what.format(255, maker, 1)
            elif pixels == "float" and len(known) == 1 and not any(large[0]) and any(choices[0]):
                yield step, what.format(1, maker, 255)
        if scales_to_one(step):
            pixels, maker = "scaled", name
        elif given is not None and pixels == "scaled" and step.born is not None and are_raw(given[0]):
            yield step, f"has means of pixels from 0 to 255, but `{maker}` gives them from 0 to 1"
            pixels = ""
        elif name == "ToDtype":
            pixels, maker = "float" if pixels == "read" and "scale" not in step.attrs else "", name
        elif name == "PILToTensor" or (pictures and name == "ToImage"):
            pixels = "read"
        elif given is not None or (pixels != "read" and name in RESHAPING):
            pixels = ""


def are_raw(means: Value | None) -> bool:
    """Whether means were computed of pixels as they are stored, from 0 to 255."""
    if isinstance(means, (Tuple, ListObject, Sequence)):
        items = (means.element,) if isinstance(means, Sequence) else means.items
        return bool(items) and all(map(are_raw, items or ()))
    return isinstance(means, (Tensor, Number)) and bounds(means) == (0, 255)


class BatchNormLastBatch(Rule):
    """Batch norm in training meets a last batch of one sample."""

    code, name = "TL417", "batch-norm-last-batch"
    message = (
        "the last of these batches has one sample ({rows} samples, {size} each), and batch norm cannot train on it"
    )
    fixable = Safety.UNSAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        loader = region.value
        if not isinstance(loader, Instance) or loader.family != "loader":
            return
        drop, batch = loader.attrs.get("drop_last"), loader.attrs.get("batch_size", Const(1))
        if (
            (drop is not None and const(drop) is not False)
            or "batch_sampler" in loader.attrs
            or loader.attrs.get("$open")
        ):
            return
        size, rows = const(batch) if isinstance(batch, Value) else None, length_of(loader.attrs.get("dataset"))
        if not isinstance(size, int) or rows is None or size < 1 or (rows % size != 1 and size > 1):
            return
        for call in region.of("model"):
            if call.mode is True and has_batch_norm(call.module):
                place = loader.born or call
                draft = report(place.node, place.space, rows=rows, size=size)
                if 1 < size < rows:
                    draft.repair(self.drop)
                return

    def drop(self, draft: Draft) -> None:
        """Offer to drop the last batch, where the loader is for these data alone."""
        call = draft.node
        if is_plain_call(call, "DataLoader") and len(positional(call)) < 9 and serves_one(draft.space, call):
            draft.fix("drop the last batch", set_argument(call, "drop_last", "True"))


def has_batch_norm(module: Instance) -> bool:
    """Whether a model normalises features over the batch alone."""
    return any(inner.api_path.endswith(".BatchNorm1d") for inner in modules_in(module))


def length_of(dataset: Any, depth: int = 0) -> int | None:
    """How many samples a data set has."""
    if isinstance(dataset, Tensor):
        return dataset.shape[0] if dataset.shape else None
    if not isinstance(dataset, Instance) or depth > 4 or "$random" in dataset.attrs or "$indices" in dataset.attrs:
        return None
    tensors = dataset.attrs.get("$tensors")
    items = getattr(tensors, "items", None)
    return length_of(items[0], depth + 1) if items and isinstance(items[0], Tensor) else None
