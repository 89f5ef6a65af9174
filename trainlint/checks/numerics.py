"""Numerics: operands that can reach the value where a function breaks. Decided on sign and range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise, takewhile
from typing import Any, ClassVar, NamedTuple

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.repairs import activation, definition, index_of, is_constant, local_activation
from trainlint.edits import delete, imported, replace, unwrap
from trainlint.findings import Safety, Severity
from trainlint.semantics.arithmetic import (
    DETERMINANT,
    EXPONENTIAL,
    EXPONENTIALS,
    FEATURE,
    FEATURES,
    FROM_NEARLY_ONE,
    NEARLY_ONE,
    OF_TWO,
    OFF,
    UNIT,
    UNITS,
)
from trainlint.semantics.interpreter import Interpreter, Region
from trainlint.semantics.library import Call, as_tensor, modules_in
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    CHOSEN,
    INF,
    LOGITS,
    MASKS,
    NAN,
    POSITIONS,
    PROBABILITIES,
    SIGMOID,
    TANH,
    UNKNOWN,
    Api,
    Instance,
    Tensor,
    Value,
    bounds,
    is_number,
)
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import called, is_name, is_one, is_plain_call, keyword, positional

# What is random or a loss by itself does not reach zero in practice, nor does a determinant.
HARMLESS = frozenset(
    (
        "random numbers",
        "a loss",
        "a permutation",
        "bool",
        "a length",
        "nan",
        FEATURE,
        FEATURES,
        DETERMINANT,
        OF_TWO,
        OFF,
        POSITIONS,
        UNIT,
        UNITS,
        NEARLY_ONE,
        FROM_NEARLY_ONE,
    )
)
# What holds exact zeros, so that the result is wrong even where no gradient is asked for.
EXACT = frozenset(("a count", *MASKS, "a one-hot code", "the share of a class"))


DIFFERENTIABLE = ("torch", "keras")  # libraries whose arrays have gradients


def reaches_zero(value: Value) -> str | None:
    """Why a tensor that takes part in gradients reaches zero (or less) in practice; None when it is not known to."""
    if (
        not isinstance(value, Tensor)
        or value.lib not in DIFFERENTIABLE
        or value.lo > 0
        or value.hi < 0
        or value.nature in HARMLESS
    ):
        return None
    if value.graph is False and value.nature not in EXACT:
        return None
    return value.nature


class UnguardedLog(Rule):
    """A logarithm can see zero."""

    code, name = "TL501", "unguarded-log"
    message = "the logarithm is taken of {nature}, which can be 0: the loss becomes infinite, then NaN"
    fixable = Safety.UNSAFE

    @on_call("torch.log")
    def check(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        nature = reaches_zero(operand)
        if nature is None and operand.must_be(LOGITS) and operand.graph is not False:
            nature = "raw scores"
        if nature == "a norm" and operand.shape == ():
            return  # of all that there is
        if nature in (*MASKS, "a one-hot code"):
            return  # added to scores, its infinities leave some of them out
        if nature == "a maximum":
            return  # 0 only where all are, and of a range that is not known
        if nature is not None and nature != "a square" and not direct(operand):
            draft = report(call.node, nature=nature).because(operand.trace)
            if operand.lo >= 0:
                draft.repair(partial(guard, operand_of(call), EPS))


EPS = "1e-8"


def operand_of(call: Call) -> Any:
    """The expression for the first argument of a call, or for the tensor whose method is called."""
    node = call.argument(call.row.params[0], 0)
    if node is call.node and isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.value if not node.args or node.args[0].keyword is not None else node.args[0].value
    return node


def guard(node: Any, eps: str, draft: Draft) -> None:
    """Offer to add a small constant to what may be zero; one that stands in the wrong place is for TL509 to move."""
    around = index_of(draft.space).parent(draft.node)
    is_late = isinstance(around, cst.BinaryOperation) and isinstance(around.operator, cst.Add)
    if is_late and isinstance(around.right, (cst.Float, cst.Name)):  # type: ignore[union-attr]
        return
    if isinstance(node, cst.BaseExpression) and node is not draft.node:
        draft.fix(f"add {eps}", replace(node, node, f" + {eps}"))


def direct(operand: Tensor) -> bool:
    """Whether an operand is a softmax or sigmoid output as it came: `log_softmax` and `logsigmoid` are for that."""
    return operand.must_be(PROBABILITIES | SIGMOID) and operand.nature in ("a softmax output", "a sigmoid output")


def is_only_drawn_from(call: Call) -> bool:
    """Whether what a call gives, perhaps divided by a temperature, are the scores that a sample is drawn by: minus
    infinity is never drawn, and no gradient comes back."""
    index, node = index_of(call.interp.frame.space), call.node
    around = index.parent(node)
    while isinstance(around, cst.BinaryOperation) and around.left is node:
        node, around = around, index.parent(around)
    drawn = index.parent(around) if isinstance(around, cst.Arg) else None
    maker = call.interp.eval(drawn.func) if isinstance(drawn, cst.Call) else None
    return isinstance(maker, Api) and maker.path in ("jax.random.categorical", "tensorflow.random.categorical")


class LogOfSoftmax(Rule):
    """A softmax or sigmoid is followed by a logarithm."""

    code, name = "TL504", "log-of-softmax"
    message = "the logarithm of {nature} (@) becomes infinite where it underflows to 0; `{better}` computes both in one"
    fixable = Safety.SAFE

    @on_call("torch.log")
    def check(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        if direct(operand) and reaches_zero(operand) and not is_only_drawn_from(call):
            if is_left_out(index_of(report.space()), call.node, operand_of(call)):
                return  # TL511 tells what becomes of the gradient
            better = "log_softmax" if operand.must_be(PROBABILITIES) else "logsigmoid"
            draft = report(call.node, nature=operand.nature, better=better).because(operand.trace)
            draft.repair(partial(self.fuse, operand, operand_of(call), better))

    def fuse(self, operand: Tensor, argument: Any, better: str, draft: Draft) -> None:
        """Offer to take the logarithm together with the activation before it."""
        found = local_activation(operand, draft.space, argument)
        if called(draft.node) != "log":
            return
        if found is None or found.given is None:
            self.repeat(operand, argument, better, draft)
            return
        if found.maker is not None:
            edit = found.renamed("Softmax", "LogSoftmax") or found.renamed("Sigmoid", "LogSigmoid")
        elif better == "log_softmax":
            edit = found.renamed("softmax", "log_softmax")
        else:
            edit = replace(found.call, imported("torch.nn.functional.logsigmoid"), "(", found.given, ")")
        if edit is not None:
            draft.fix(f"use `{better}`", edit, unwrap(draft.node, argument))

    def repeat(self, operand: Tensor, argument: Any, better: str, draft: Draft) -> None:
        """Offer to take the logarithm of what the activation was given, which others need as it is."""
        found = activation(operand.trace[0]) if len(operand.trace) == 1 else None
        if found is None or found.space is not draft.space or found.maker is not None:
            return
        index = index_of(draft.space)
        if definition(index, argument) is not found.call:
            return
        names = [found.given, *(other.value for other in found.call.args)]
        same = index.function(found.call) is index.function(draft.node)
        if not same or not isinstance(found.given, cst.Name) or not all(is_constant(index, name) for name in names):
            return
        options: list[Any] = []
        for other in found.call.args:
            if other.value is not found.given:
                options += [", ", f"{other.keyword.value}=" if other.keyword is not None else "", other.value]
        function = imported(f"torch.nn.functional.{better}")
        draft.fix(f"use `{better}`", replace(draft.node, function, "(", found.given, *options, ")"))


Plan = Callable[[Draft], None] | None


class TrainedRule(Rule):
    """A rule that tells of nothing in tests, whose numbers are chosen, and of what a program computes outside of
    functions only if it takes gradients there: else it may be there to be looked at, as textbooks do."""

    def tell(self, node: Any, value: Value, plan: Plan, report: Report, **fields: object) -> None:
        """Report a node that computes with a value, with a plan for its repair, now or when the program has ended."""
        if report.interp.frame.function is None and report.interp.module_depth == 0:
            report.interp.event("unguarded", node, self.code, value, plan, fields)
        else:
            self.tell_now(node, report.space(), plan, report, fields)

    def tell_now(self, node: Any, space: Namespace, plan: Plan, report: Report, fields: Mapping[str, object]) -> None:
        draft = report(node, space, **fields)
        if plan is not None:
            draft.repair(plan)

    @on("program", having="unguarded")
    def trained(self, region: Region, report: Report) -> None:
        learnt = [*(e.loss for e in region.of("backward")), *(e.value for e in region.of("autograd"))]
        for event in region.of("unguarded"):
            if event.code == self.code and any(may_share(event.value, loss) for loss in learnt):
                self.tell_now(event.node, event.space, event.plan, report, event.fields)


def may_share(one: Value, other: Value) -> bool:
    """Whether two values may be computed with the same model."""
    first, second = ({dep.module for dep in getattr(value, "deps", ())} for value in (one, other))
    return not first or not second or bool(first & second)


class RootRule(TrainedRule, ABC):
    """A rule on square roots, however they are written."""

    @on_call("torch.sqrt", "torch.rsqrt")
    def root(self, call: Call, report: Report) -> None:
        self.judge(call.node, operand_of(call), as_tensor(call.first), report, inverse=call.path == "torch.rsqrt")

    @on("power")
    def power(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, _, _ = fact
        self.raise_to(right, node, left_node, left, report)

    @on_call("torch.pow")
    def raised(self, call: Call, report: Report) -> None:
        power = call.value("exponent", 1) or UNKNOWN
        self.raise_to(power, call.node, operand_of(call), as_tensor(call.first), report)

    def raise_to(self, power: Value, node: Any, inner: Any, operand: Value, report: Report) -> None:
        """Judge a power that is a root written otherwise."""
        if is_number(power) and bounds(power) in ((0.5, 0.5), (-0.5, -0.5)):
            self.judge(node, inner, operand, report, inverse=bounds(power)[0] < 0)

    @abstractmethod
    def judge(self, node: Any, inner: Any, operand: Value, report: Report, inverse: bool) -> None:
        """Report the root at a node, if it is one that the rule is about; `inner` is what its operand is written as."""


class UnguardedSqrt(RootRule):
    """A square root can see zero."""

    code, name = "TL502", "unguarded-sqrt"
    message = "the square root is taken of {nature}, which can be {what}"
    fixable = Safety.UNSAFE

    # What is 0 on real batches, not only in the limit.
    NATURES = frozenset(
        (
            "a variance",
            "a standard deviation",
            "a count",
            "a ReLU output",
            "a clamped value",
            "a distance",
            "a one-hot code",
        )
    )

    def judge(self, node: Any, inner: Any, operand: Value, report: Report, inverse: bool) -> None:
        nature = reaches_zero(operand)
        what = "0: its gradient there is infinite"
        if isinstance(operand, Tensor) and operand.nature == "a loss" and operand.graph:
            nature = "a loss"
        elif is_raw(operand) and not is_selected(index_of(report.space()), node):
            nature, what = "raw scores", "negative: NaN follows"
        elif nature not in self.NATURES and not (nature is not None and inverse and squares(nature)):
            return
        elif report.interp.grad is False and not inverse:
            return  # 0 is its own root
        if (nature == "a clamped value" or squares(nature)) and not takes_gradients(operand, report):
            return  # a clamp or a length of what is computed too: noise levels of a ready model's schedule, a window
        if is_read(index_of(report.space()), node):
            return
        plan = partial(guard, inner, EPS) if isinstance(operand, Tensor) and operand.lo >= 0 else None
        self.tell(node, operand, plan, report, nature=nature, what=what)


def is_raw(operand: Value) -> bool:
    """Whether a value is raw scores of either sign, which a gradient may go back through."""
    return isinstance(operand, Tensor) and operand.must_be(LOGITS) and operand.graph is not False and operand.lo < 0


def is_selected(index: Index, node: Any) -> bool:
    """Whether a `where` takes an expression for some elements only."""
    while isinstance(node := index.parent(node), (cst.BaseExpression, cst.Arg)):
        if called(node) == "where":
            return True
    return False


def is_left_out(index: Index, node: Any, operand: Any) -> bool:
    """Whether a `where` takes what is computed of an operand only where a comparison of that operand holds."""
    while isinstance(node := index.parent(node), (cst.BaseExpression, cst.Arg)):
        given = positional(node) if isinstance(node, cst.Call) and called(node) == "where" else []
        condition = next(iter(given), None)
        if isinstance(condition, cst.Comparison) and condition.left.deep_equals(operand):
            return True
    return False


def takes_gradients(operand: Value, report: Report) -> bool:
    """Whether gradients are known to flow through a tensor, or it is computed by a module."""
    return isinstance(operand, Tensor) and (operand.graph is True or report.interp.module_depth > 0)


# What takes a number of a tensor, or the tensor without its graph.
READING = frozenset(("item", "tolist", "numpy", "detach", "data"))


def is_read(index: Index, node: Any, depth: int = 0) -> bool:
    """Whether just the number is taken of an expression, where it stands, or wherever its name is read or its function
    is called, so that no gradient comes back to it."""
    around = index.parent(node)
    alone = isinstance(around, cst.Assign) and len(around.targets) == 1
    targets = [around.targets[0].target] if alone else returned_to(index, node)  # type: ignore[union-attr]
    if targets:
        names = [index.references(bound) if (bound := index.binding(target)) else [] for target in targets]
        return depth < 4 and all(read and all(is_read(index, name, depth + 1) for name in read) for read in names)
    while isinstance(around, (cst.Attribute, cst.Call)):
        if isinstance(around, cst.Attribute) and around.attr.value in READING:
            return True
        around = index.parent(around)
    call = index.parent(around) if isinstance(around, cst.Arg) else None
    return isinstance(call, cst.Call) and is_name(call.func, "float")


def returned_to(index: Index, node: Any) -> list[Any]:
    """What the callers of a function bind what it returns here to, be it one of several results; none unless all of
    them do so."""
    place, result = -1, node
    if isinstance(entry := index.parent(node), cst.Element) and isinstance(several := index.parent(entry), cst.Tuple):
        place, result = several.elements.index(entry), several
    function = index.function(node)
    if not isinstance(index.parent(result), cst.Return) or not isinstance(function, cst.FunctionDef):
        return []
    binding, found = index.binding(function.name), list[Any]()
    for name in index.references(binding) if binding is not None else ():
        call: Any = index.parent(name)
        line: Any = index.parent(call)
        target: Any = line.targets[0].target if isinstance(line, cst.Assign) and len(line.targets) == 1 else None
        if isinstance(target, cst.Tuple) and len(target.elements) > place >= 0:
            target = target.elements[place].value
        if not isinstance(call, cst.Call) or call.func is not name or not isinstance(target, cst.Name):
            return []
        found.append(target)
    return found


def squares(nature: str) -> bool:
    return nature == "a square" or nature.startswith("a square plus")


class NormAtZero(RootRule):
    """A norm written by hand has no gradient at zero."""

    code, name = "TL508", "norm-at-zero"
    default = False
    message = "the square root of a sum of squares has an infinite gradient where the vector is 0, and NaN comes back"
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    def judge(self, node: Any, inner: Any, operand: Value, report: Report, inverse: bool) -> None:
        nature = reaches_zero(operand)
        if inverse or nature is None or not squares(nature) or not isinstance(operand, Tensor):
            return
        if {dep.training for dep in operand.deps if dep.node is not None} == {False}:
            return  # a model in eval mode is run to be judged
        if (operand.graph or is_in_loss(report.interp)) and not is_read(index_of(report.space()), node):
            self.tell(node, operand, partial(guard, inner, "1e-12"), report)


# What is 0 where all elements are the same, as in a blank image or behind a dead layer.
VARIED = frozenset(("a variance", "a standard deviation", "a difference of maximum and minimum"))


def is_in_loss(interp: Interpreter) -> bool:
    """Whether the place at hand is in the `forward` of a loss: of a module without layers that gives a single number of
    what it is given."""
    function = interp.frame.function
    owner = interp.frame.env.get("self")
    if function is None or function.name != "forward" or not isinstance(owner, Instance) or interp.module_depth != 1:
        return False
    if owner.family != "module" or len(modules_in(owner)) > 1 or interp.grad is False:
        return False
    nodes: list[Any] = list(nodes_in(function.node.body))
    made: dict[str, list[Any]] = {}
    for node in nodes:
        if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
            made.setdefault(node.targets[0].target.value, []).append(node.value)
    results = [node.value for node in nodes if isinstance(node, cst.Return)]
    return bool(results) and all(is_reduced(result, made) for result in results)


def is_reduced(node: Any, made: dict[str, list[Any]], depth: int = 0) -> bool:
    """Whether an expression is a mean or a sum over everything, or a sum of such; `made` has what names stand for."""
    if depth > 4:
        return False
    if isinstance(node, cst.IfExp):
        return is_reduced(node.body, made, depth) and is_reduced(node.orelse, made, depth)
    if isinstance(node, cst.Name):
        values = made.get(node.value, ())
        return bool(values) and all(is_reduced(value, made, depth + 1) for value in values)
    if isinstance(node, cst.BinaryOperation):
        return is_reduced(node.left, made, depth + 1) or is_reduced(node.right, made, depth + 1)
    if not isinstance(node, cst.Call) or called(node) not in ("mean", "sum"):
        return False
    return len(node.args) == (1 if isinstance(node.func, cst.Attribute) and is_name(node.func.value, "torch") else 0)


class UnguardedDivision(TrainedRule):
    """A divisor can be zero."""

    code, name = "TL503", "unguarded-division"
    default = False
    message = "the division is by {nature}, which can be 0: infinity or NaN follows"
    # What a divisor is when it reaches zero on real batches: nothing selected, nothing varied, nothing active.
    NATURES = frozenset(
        (
            "a count",
            "a norm",
            *VARIED,
            "a ReLU output",
            "a one-hot code",
            "a sum of probabilities and labels",
        )
    )
    fixable = Safety.UNSAFE

    @on("divide")
    def check(self, fact: Any, report: Report) -> None:
        _, node, left, right, _, right_node, _ = fact
        if not isinstance(right, Tensor) or right.lib not in DIFFERENTIABLE or right.lo > 0:
            return
        nature = right.nature
        if nature not in self.NATURES:
            return
        recorded = right.graph is True or (isinstance(left, Tensor) and left.graph is True)
        unsure = not isinstance(left, Tensor) or left.graph is not False
        exact = nature in EXACT and (unsure or report.interp.module_depth > 0)
        # Of all that was gathered, which may be one number, and not of the columns of a table.
        gathered = right.graph is False and not right.data.tokens and right.shape == ()
        drawn = nature == "a standard deviation" and gathered
        if report.interp.module_depth > 0:
            exact = exact or nature in VARIED
            open_ = isinstance(left, Tensor) and left.graph is None  # whoever calls the module decides
            recorded = recorded or (open_ and (nature == "a norm" or left.must_be(LOGITS)))
        # Numbers gathered in a run and standardised to be learnt from, not those that a ready model draws with.
        if recorded or exact or (drawn and report.interp.grad and isinstance(left, Tensor)):
            if is_asked_about(index_of(report.space()), right_node):
                return
            plan: Plan = None
            if nature == "a count" and right.lib == "torch":
                plan = partial(self.clamp, right_node)
            elif right.lo >= 0 and called(right_node) != "sqrt":  # a root wants it inside, as TL502 says
                plan = partial(guard, right_node, EPS)
            self.tell(node, right, plan, report, nature=nature)

    @on_call("torch.mean")
    def of_selected(self, call: Call, report: Report) -> None:
        """The mean of what a model's own decisions select."""
        given = operand_of(call)
        if not isinstance(given, cst.Subscript) or len(given.slice) != 1 or len(call.arguments.positional) > 1:
            return
        chosen = getattr(given.slice[0].slice, "value", None)
        if not call.tensor.graph or not is_decision(report.interp, chosen):
            return
        if not is_asked_about(index_of(report.space()), chosen):
            self.tell(call.node, call.tensor, None, report, nature="the number of elements that are selected")

    def clamp(self, divisor: Any, draft: Draft) -> None:
        """Offer to divide by a count of at least one: a sum over nothing is then 0."""
        if isinstance(divisor, cst.BaseExpression) and divisor is not draft.node:
            draft.fix("divide by at least 1", replace(divisor, divisor, ".clamp(min=1)"))


def is_decision(interp: Interpreter, node: Any) -> bool:
    """Whether an expression is a mask that compares what a model computed with a number."""
    if not isinstance(node, cst.Comparison):
        value = interp.peek(node)
        return isinstance(value, Tensor) and value.nature == CHOSEN and bool(value.deps)
    value, limit = interp.peek(node.left), node.comparisons[0].comparator
    compared = isinstance(limit, (cst.Integer, cst.Float)) and len(node.comparisons) == 1
    return compared and isinstance(value, Tensor) and bool(value.deps)


# Methods that change how numbers are kept, or their shape, and no number.
CONVERSIONS = frozenset(("to", "type", "type_as", "float", "double", "half", "squeeze", "unsqueeze", "reshape", "view"))


COUNTING = ("sum", "any", "len", "count_nonzero", "numel")


def is_asked_about(index: Index, divisor: Any) -> bool:
    """Whether the function asks before whether there is anything to divide by, or takes that for granted: what the
    divisor is computed as stands in a condition, or one of so many is looked up by its number."""
    function, given = index.function(divisor), divisor
    if not isinstance(function, cst.FunctionDef):
        return False
    while isinstance(divisor, cst.Call) and isinstance(divisor.func, cst.Attribute) and called(divisor) in CONVERSIONS:
        divisor = divisor.func.value
    made = definition(index, divisor) if isinstance(divisor, cst.Name) else None
    forms = [form for form in (divisor, made) if form is not None]
    above = [given, *takewhile(lambda node: node is not function, index.ancestors(given))]
    later = {
        id(node)
        for line, block in pairwise(above)
        if isinstance(block, cst.IndentedBlock)
        for after in block.body[list(map(id, block.body)).index(id(line)) + 1 :]
        for node in nodes_in(after)
    }
    for node in nodes_in(function.body):
        if isinstance(node, (cst.If, cst.IfExp, cst.Assert)):
            if id(node) in later:
                continue
            parts: list[Any] = [node.test, *nodes_in(node.test)]
            counts = (definition(index, part) for part in parts if isinstance(part, cst.Name))
            parts += [part for count in counts if called(count) in COUNTING for part in nodes_in(count)]
        elif isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Subtract) and is_one(node.right):
            parts = [node.left]
        else:
            continue
        if any(is_about(part, form) for form in forms for part in parts):
            return True
    return False


def is_about(part: Any, form: Any) -> bool:
    """Whether a part of a condition asks about an expression: is the same, or compares the two that are subtracted."""
    if isinstance(part, cst.Comparison) and isinstance(form, cst.BinaryOperation) and len(part.comparisons) == 1:
        pair, other = (form.left, form.right), part.comparisons[0].comparator
        sides = any(part.left.deep_equals(a) and other.deep_equals(b) for a, b in (pair, pair[::-1]))
        return sides and isinstance(form.operator, cst.Subtract)
    return part.__class__ is form.__class__ and bool(part.deep_equals(form))


class EpsMisplaced(Rule):
    """The guard stands outside what it should guard."""

    code, name = "TL509", "eps-misplaced"
    message = "the small constant is added after the {what}, where it guards nothing"
    severity = Severity.WARNING
    CALLS: ClassVar = {"log": "logarithm", "sqrt": "square root", "log2": "logarithm", "log10": "logarithm"}
    fixable = Safety.UNSAFE

    @on("add")
    def check(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, _, _ = fact
        if not isinstance(left, Tensor) or not is_number(right):
            return
        lo, hi = bounds(right)
        if not 0 < lo <= hi <= 1e-4:
            return
        interp = report.interp
        if guards_next(index_of(report.space()), node):
            return
        if isinstance(left_node, cst.BinaryOperation) and isinstance(left_node.operator, cst.Divide):
            divisor = interp.eval(left_node.right)
            if isinstance(divisor, Tensor) and divisor.lo <= 0 and divisor.nature not in HARMLESS:
                if is_guarded(left_node.right, interp):
                    return  # the sum is a guard for what comes next
                if divisor.nature is None and bounds(interp.eval(left_node.left))[0] >= 0:
                    return  # the floor of a quotient that is not negative, such as a scale that others are divided by
                draft = report(node, what="division")
                if divisor.lo >= 0 and isinstance(node, cst.BinaryOperation):
                    guarded = (left_node.left, " / (", left_node.right, " + ", node.right, ")")
                    draft.fix("guard the divisor", replace(node, *guarded))
        elif isinstance(left_node, cst.Call):
            what = self.CALLS.get(called(left_node))
            if what is not None:
                inner = left_node.args[0].value if left_node.args else getattr(left_node.func, "value", None)
                operand = interp.eval(inner) if inner is not None else left
                # Without a gradient the root of 0 does no harm: optimizers guard what they divide by.
                harmless = what == "square root" and isinstance(operand, Tensor) and operand.graph is not True
                if isinstance(operand, Tensor) and operand.lo <= 0 and not harmless:
                    draft = report(node, what=what)
                    if operand.lo >= 0 and isinstance(node, cst.BinaryOperation):
                        moved = replace(inner, inner, " + ", node.right)
                        draft.fix(f"guard the {what}'s operand", moved, unwrap(node, left_node))


def guards_next(index: Index, node: Any) -> bool:
    """Whether a sum is what something is divided by, or what a logarithm or a root is of: that is what it guards."""
    around = index.parent(node)
    if isinstance(around, cst.BinaryOperation):
        taken = isinstance(around.operator, cst.Power) and around.left is node
        return taken or (isinstance(around.operator, cst.Divide) and around.right is node)
    call = index.parent(around) if isinstance(around, (cst.Arg, cst.Attribute)) else None
    return isinstance(call, cst.Call) and called(call) in ("log", "log2", "log10", "sqrt", "rsqrt", "pow")


def is_guarded(node: Any, interp: Interpreter) -> bool:
    """Whether a number above 0 is added to what else is not known."""
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Add):
        return False
    return any(is_number(value) and bounds(value)[0] > 0 for value in map(interp.eval, (node.left, node.right)))


class ExpOverflow(Rule):
    """A softmax or its logarithm is computed by hand."""

    code, name = "TL505", "exp-overflow"
    message = "`exp` of raw scores (@) is infinite above 88, and NaN follows; `{better}` computes the same without that"
    fixable = Safety.SAFE

    @on("divide")
    def quotient(self, fact: Any, report: Report) -> None:
        _, node, left, right, _, _, _ = fact
        if is_exponential(left, EXPONENTIAL) and is_exponential(right, EXPONENTIALS):
            report(node, better="softmax").because(left.trace).repair(self.softmax)

    @on_call("torch.log")
    def log(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        if not is_exponential(operand, EXPONENTIALS):
            return
        inner = operand_of(call)
        one = isinstance(inner, cst.BinaryOperation) and any(
            is_number(value := report.interp.eval(side)) and bounds(value)[0] >= 0.5
            for side in (inner.left, inner.right)
        )
        draft = report(call.node, better="softplus" if one else "logsumexp").because(operand.trace)
        draft.repair(partial(self.softplus if one else self.logsumexp, inner))

    def softmax(self, draft: Draft) -> None:
        """Offer a softmax for `e / e.sum(dim)` where `e = exp(x)`, written out or in the line above."""
        index, node = index_of(draft.space), draft.node
        total = total_of(index, node.right) if isinstance(node, cst.BinaryOperation) else None
        if total is None or not total.kept or not node.left.deep_equals(total.of):
            return
        exponential = exponential_of(index, node.left)
        if exponential is not None:
            draft.fix(
                "use `softmax`", replace(node, imported("torch.softmax"), "(", exponential, ", dim=", total.dim, ")")
            )
        elif isinstance(node.left, cst.Name):
            made = definition(index, node.left)
            if made is None:
                return
            exponential = exponential_of(index, made)
            lines: list[Any] = [index.parent(index.statement(place)) for place in (made, node)]  # type: ignore[arg-type]
            block: Any = index.parent(lines[0])
            if exponential is None or lines[1] not in getattr(block, "body", ()):
                return
            uses = [use for binding in index.lookup(node.left) for use in index.references(binding)]
            if block.body.index(lines[0]) + 1 == block.body.index(lines[1]) and len(uses) == 2:
                better = replace(node, imported("torch.softmax"), "(", exponential, ", dim=", total.dim, ")")
                draft.fix("use `softmax`", better, delete(made))

    def logsumexp(self, inner: Any, draft: Draft) -> None:
        """Offer it for the logarithm of a plain sum of plain exponentials."""
        index = index_of(draft.space)
        total = total_of(index, inner)
        exponential = exponential_of(index, total.of) if total is not None else None
        if total is not None and exponential is not None:
            kept = ", keepdim=True)" if total.kept else ")"
            pieces = ("(", exponential, ", dim=", total.dim, kept)
            draft.fix("use `logsumexp`", replace(draft.node, imported("torch.logsumexp"), *pieces))

    def softplus(self, inner: Any, draft: Draft) -> None:
        """Offer it for `log(1 + exp(x))`."""
        for one, other in ((inner.left, inner.right), (inner.right, inner.left)):
            exponential = exponential_of(index_of(draft.space), other)
            if isinstance(inner.operator, cst.Add) and is_one(one) and exponential is not None:
                better = (imported("torch.nn.functional.softplus"), "(", exponential, ")")
                draft.fix("use `softplus`", replace(draft.node, *better))


class Total(NamedTuple):
    """A sum over an axis as it is written: `kept` if the axis stays."""

    of: Any
    dim: Any
    kept: bool


def total_of(index: Index, node: Any) -> Total | None:
    """What `x.sum(dim)` or `torch.sum(x, dim)` sums, if there is nothing more to it."""
    if not is_plain_call(node, "sum"):
        return None
    arguments = positional(node)
    if "torch.sum" not in index.qualified_names(node.func):
        if not isinstance(node.func, cst.Attribute):
            return None
        arguments.insert(0, node.func.value)
    dim = keyword(node, "dim") or (arguments[1] if len(arguments) > 1 else None)
    kept = keyword(node, "keepdim") or (arguments[2] if len(arguments) > 2 else None)
    named = {argument.keyword.value for argument in node.args if argument.keyword is not None}
    if dim is None or not arguments or not named <= {"dim", "keepdim"}:
        return None
    if kept is not None and not (isinstance(kept, cst.Name) and kept.value in ("True", "False")):
        return None
    return Total(arguments[0], dim, kept is not None and kept.value == "True")


def exponential_of(index: Index, node: Any) -> Any:
    """The `x` of `x.exp()` or `torch.exp(x)`."""
    if not is_plain_call(node, "exp"):
        return None
    if "torch.exp" in index.qualified_names(node.func):
        return positional(node)[0] if len(node.args) == 1 and positional(node) else None
    return node.func.value if isinstance(node.func, cst.Attribute) and not node.args else None


def is_exponential(value: Value, nature: str) -> bool:
    """Whether a value is such an exponential, with nothing to bound it, where gradients may flow."""
    return isinstance(value, Tensor) and value.nature == nature and value.hi == INF and value.graph is not False


class InverseTrigEdge(Rule):
    """An inverse function sees the edge of its domain."""

    code, name = "TL506", "inverse-trig-edge"
    message = "`{function}` is taken of {what}, which reaches {edge}: its gradient there is infinite"
    fixable = Safety.UNSAFE

    @on_call("torch.acos")
    def check(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        recorded = operand.graph or (operand.graph is None and report.interp.module_depth > 0)
        if (
            operand.lib not in DIFFERENTIABLE
            or not recorded
            or report.interp.grad is False
            or operand.nature in ("random numbers", "a ReLU output", NEARLY_ONE)
            or is_read(index_of(report.space()), call.node)
        ):
            return
        low, high = operand.lo == -1, operand.hi == 1
        if (low or high) and operand.lo >= -1 and operand.hi <= 1:
            tanh = operand.must_be(TANH)
            what = "a tanh output" if tanh else operand.nature or "values clamped to its whole domain"
            edge = "±1" if low and high else "1" if high else "-1"
            draft = report(call.node, function=called(call.node), what=what, edge=edge).because(operand.trace)
            if operand.lib == "torch":
                draft.repair(partial(self.clamp, operand_of(call)))

    def clamp(self, node: Any, draft: Draft) -> None:
        """Offer to stay clear of the edges."""
        if not isinstance(node, cst.BaseExpression) or node is draft.node:
            return
        is_clamped = isinstance(node, cst.Call) and called(node) in ("clamp", "clip") and len(node.args) == 2
        inner = node.func.value if is_clamped and isinstance(node.func, cst.Attribute) else node  # type: ignore[attr-defined]
        draft.fix("clamp it", replace(node, inner, ".clamp(-1 + 1e-7, 1 - 1e-7)"))


class PowEdge(Rule):
    """A power is taken of what can be zero or negative."""

    code, name = "TL507", "pow-edge"
    message = "the power {exponent:g} is taken of {what}: {consequence}"
    SIGNED = frozenset(("a cosine", UNIT, "random numbers"))

    @on("power")
    def operator(self, fact: Any, report: Report) -> None:
        _, node, left, right, _, _, _ = fact
        self.judge(node, left, right, report)

    @on_call("torch.pow")
    def call(self, call: Call, report: Report) -> None:
        self.judge(call.node, as_tensor(call.first), call.value("exponent", 1) or UNKNOWN, report)

    def judge(self, node: Any, operand: Value, power: Value, report: Report) -> None:
        if not isinstance(operand, Tensor) or operand.lib != "torch" or not is_number(power):
            return
        exponent, top = bounds(power)
        if exponent != top or (abs(exponent) == 0.5 and operand.lo >= 0):
            return
        if exponent != int(exponent) and operand.lo < 0 and operand.graph is not False:
            what = (
                "raw scores"
                if operand.must_be(LOGITS)
                else "a tanh output"
                if operand.must_be(TANH)
                else operand.nature
            )
            if operand.must_be(LOGITS | TANH) or operand.nature in self.SIGNED:
                consequence = "of a negative number it is NaN"
                report(node, exponent=exponent, what=what, consequence=consequence).because(operand.trace)
        elif operand.graph and operand.lo == 0 and operand.nature is not None:
            if 0 < exponent < 1 and operand.nature in UnguardedSqrt.NATURES | {"a square"}:
                consequence = "its gradient at 0 is infinite"
                report(node, exponent=exponent, what=f"{operand.nature}, which can be 0", consequence=consequence)
            elif exponent < 0 and operand.nature in UnguardedDivision.NATURES:
                consequence = "infinity follows"
                report(node, exponent=exponent, what=f"{operand.nature}, which can be 0", consequence=consequence)


class EpsTooSmall(Rule):
    """A small constant is lost in the number format."""

    code, name = "TL510", "eps-too-small"
    message = "{what} in {format} precision, so that {consequence}"
    SMALLEST_HALF = 2.0**-25  # what is not above is rounded to 0

    @on_call("torch.log", "torch.acos")
    def function(self, call: Call, report: Report) -> None:
        self.single(call.node, as_tensor(call.first), call.path == "torch.acos", report)

    @on_call("torch.clamp")
    def clamped(self, call: Call, report: Report) -> None:
        self.half(as_tensor(call.first), call.value("min"), call.argument("min"), report)

    @on("divide")
    def quotient(self, fact: Any, report: Report) -> None:
        _, node, _, right, _, _, _ = fact
        self.single(node, right, False, report)

    @on("add")
    def sum(self, fact: Any, report: Report) -> None:
        _, _, left, right, left_node, right_node, _ = fact
        self.half(left, right, right_node, report)
        self.half(right, left, left_node, report)

    def single(self, node: Any, operand: Value, at_one: bool, report: Report) -> None:
        """The distance to 1 that a clamp keeps is less than half of that between 1 and its neighbour."""
        if not isinstance(operand, Tensor) or operand.graph is False or is_double(report):
            return
        if operand.nature == (NEARLY_ONE if at_one else FROM_NEARLY_ONE):
            what, consequence = "the small constant that the clamp subtracts from 1 is lost", "infinity is reached"
            report(node, what=what, format="single", consequence=consequence).because(operand.trace)

    def half(self, operand: Value, small: Value | None, node: Any, report: Report) -> None:
        if isinstance(operand, Tensor) and operand.dtype == "float16" and small is not None and is_number(small):
            lo, hi = bounds(small)
            if 0 < lo == hi <= self.SMALLEST_HALF:
                report(node, what=f"{hi:g} is 0", format="half", consequence="it guards nothing")


def is_double(report: Report) -> bool:
    """Whether a file computes in double precision, or may."""
    source = report.space().source
    return source is None or any(word in source.text for word in ("float64", "double", "Double"))


class WhereNanGradient(Rule):
    """The branch that `where` does not take sends NaN back."""

    code, name = "TL511", "where-nan-gradient"
    message = "`{function}` is computed for all elements: where it is left out, its gradient is 0 times infinity"
    FUNCTIONS = frozenset(("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"))

    @on_call("torch.where")
    def check(self, call: Call, report: Report) -> None:
        condition = call.argument("condition", 0)
        if not isinstance(condition, cst.Comparison) or len(condition.comparisons) != 1:
            return
        operator, limit = condition.comparisons[0].operator, report.interp.eval(condition.comparisons[0].comparator)
        if not is_number(limit) or bounds(limit) != (0.0, 0.0):
            return
        if isinstance(operator, (cst.GreaterThan, cst.GreaterThanEqual, cst.NotEqual)):
            branch = call.argument("input", 1)
        elif isinstance(operator, (cst.Equal, cst.LessThan, cst.LessThanEqual)):
            branch = call.argument("other", 2)
        else:
            return
        found = self.singular(branch)
        if found is None:
            return
        function, inner = found
        operand = report.interp.eval(inner)
        if not isinstance(operand, Tensor) or operand.lib != "torch" or operand.lo > 0:
            return
        recorded = operand.graph or (operand.graph is None and report.interp.module_depth > 0)
        if recorded and vanishes_with(inner, condition.left):
            report(branch, function=function)

    def singular(self, node: Any) -> tuple[str, Any] | None:
        """The function and its operand, if a branch is one that breaks at 0; also as a factor of a product."""
        if isinstance(node, cst.BinaryOperation):
            if isinstance(node.operator, cst.Divide):
                return "/", node.right
            if isinstance(node.operator, cst.Multiply):
                return self.singular(node.left) or self.singular(node.right)
        if isinstance(node, cst.UnaryOperation):
            return self.singular(node.expression)
        if isinstance(node, cst.Call) and called(node) in self.FUNCTIONS:
            if node.args and len(node.args) == 1 and not node.args[0].star:
                return called(node), node.args[0].value
            if not node.args and isinstance(node.func, cst.Attribute):
                return called(node), node.func.value
        return None


def vanishes_with(node: Any, factor: Any) -> bool:
    """Whether an expression is 0 where another is: that itself, or a product or quotient of it."""
    if node.deep_equals(factor):
        return True
    if not isinstance(node, cst.BinaryOperation):
        return False
    if isinstance(node.operator, cst.Multiply):
        return vanishes_with(node.left, factor) or vanishes_with(node.right, factor)
    return isinstance(node.operator, cst.Divide) and vanishes_with(node.left, factor)


class NanComparison(Rule):
    """NaN is compared with, or hidden."""

    code, name = "TL512", "nan-comparison"
    message = "{what}"
    fixable = Safety.SAFE
    HELD: ClassVar = {"Equal": "False", "NotEqual": "True"}

    @on("nan_compared")
    def check(self, fact: Any, report: Report) -> None:
        operator, node, left, right = fact
        held = self.HELD.get(operator)
        if held is None or len(node.comparisons) != 1:
            return
        written = node.comparisons[0].comparator if right is NAN else node.left
        if isinstance(written, cst.Subscript):
            return  # one of several values, which is NaN by chance
        draft = report(node, what=f"a comparison with NaN is always {held}, whatever is compared")
        value, operand = (left, node.left) if right is NAN else (right, node.comparisons[0].comparator)
        if value is NAN:
            return
        negation = "" if operator == "Equal" else "not "
        if isinstance(value, Tensor) and value.lib == "torch":
            inverse = "" if operator == "Equal" else "~"
            draft.fix("call `torch.isnan`", replace(node, inverse, imported("torch.isnan"), "(", operand, ")"))
        elif is_number(value):
            draft.fix("call `math.isnan`", replace(node, negation, imported("math.isnan"), "(", operand, ")"))

    @on_call("torch.nan_to_num")
    def hidden(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        is_loss = (operand.nature == "a loss" and operand.graph is not False) or (operand.graph and operand.shape == ())
        if is_loss and operand.lib == "torch":
            what = "NaN in the loss is replaced by a number: what made it goes on, and gradients can still be NaN"
            report(call.node, what=what)
