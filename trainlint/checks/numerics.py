"""Numerics: operands that can reach the value where a function breaks. Decided on sign and range."""

from __future__ import annotations

from typing import Any, ClassVar

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.findings import Severity
from trainlint.semantics.library import Call, as_tensor
from trainlint.semantics.values import LOGITS, PROBABILITIES, SIGMOID, Tensor, Value, bounds, is_number

# What is random or a loss by itself does not reach zero in practice.
HARMLESS = frozenset(("random numbers", "a loss", "a permutation", "bool", "a length"))
# What holds exact zeros, so that the result is wrong even where no gradient is asked for.
EXACT = frozenset(("a count", "a mask", "a one-hot code"))


def reaches_zero(value: Value) -> str | None:
    """Why a tensor that takes part in gradients reaches zero (or less) in practice; None when it is not known to."""
    if (
        not isinstance(value, Tensor)
        or value.lib != "torch"
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

    @on_call("torch.log")
    def check(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        nature = reaches_zero(operand)
        if nature is None and operand.must_be(LOGITS) and operand.graph is not False:
            nature = "raw scores"
        if nature is not None and not direct(operand):
            report(call.node, nature=nature).because(operand.trace)


def direct(operand: Tensor) -> bool:
    """Whether an operand is a softmax or sigmoid output as it came: `log_softmax` and `logsigmoid` are for that."""
    return operand.must_be(PROBABILITIES | SIGMOID) and operand.nature in ("a softmax output", "a sigmoid output")


class LogOfSoftmax(Rule):
    """A softmax or sigmoid is followed by a logarithm."""

    code, name = "TL504", "log-of-softmax"
    message = "the logarithm of {nature} (@) becomes infinite where it underflows to 0; `{better}` computes both in one"

    @on_call("torch.log")
    def check(self, call: Call, report: Report) -> None:
        operand = as_tensor(call.first)
        if direct(operand) and reaches_zero(operand):
            better = "log_softmax" if operand.must_be(PROBABILITIES) else "logsigmoid"
            report(call.node, nature=operand.nature, better=better).because(operand.trace)


class UnguardedSqrt(Rule):
    """A square root can see zero."""

    code, name = "TL502", "unguarded-sqrt"
    message = "the square root is taken of {nature}, which can be 0: its gradient there is infinite"

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

    @on_call("torch.sqrt", "torch.rsqrt")
    def root(self, call: Call, report: Report) -> None:
        self.judge(call.node, as_tensor(call.first), report, inverse=call.path == "torch.rsqrt")

    @on("operation")
    def power(self, fact: Any, report: Report) -> None:
        operator, node, left, right, _, _, _ = fact
        if operator == "Power" and is_number(right) and bounds(right) in ((0.5, 0.5), (-0.5, -0.5)):
            self.judge(node, left, report, inverse=bounds(right)[0] < 0)

    def judge(self, node: Any, operand: Value, report: Report, inverse: bool) -> None:
        if isinstance(operand, Tensor) and operand.nature == "a loss" and operand.graph:
            report(node, nature="a loss")
            return
        nature = reaches_zero(operand)
        if nature in self.NATURES or (nature is not None and inverse and squares(nature)):
            report(node, nature=nature)


def squares(nature: str) -> bool:
    return nature == "a square" or nature.startswith("a square plus")


class NormAtZero(Rule):
    """A norm written by hand has no gradient at zero."""

    code, name = "TL508", "norm-at-zero"
    message = "the square root of a sum of squares has an infinite gradient where the vector is 0, and NaN comes back"
    severity = Severity.WARNING

    @on_call("torch.sqrt")
    def check(self, call: Call, report: Report) -> None:
        self.judge(call.node, as_tensor(call.first), report)

    @on("operation")
    def power(self, fact: Any, report: Report) -> None:
        operator, node, left, right, _, _, _ = fact
        if operator == "Power" and is_number(right) and bounds(right) == (0.5, 0.5):
            self.judge(node, left, report)

    def judge(self, node: Any, operand: Value, report: Report) -> None:
        nature = reaches_zero(operand)
        if nature is not None and squares(nature) and isinstance(operand, Tensor) and operand.graph:
            report(node)


class UnguardedDivision(Rule):
    """A divisor can be zero."""

    code, name = "TL503", "unguarded-division"
    message = "the division is by {nature}, which can be 0: infinity or NaN follows"
    # What a divisor is when it reaches zero on real batches: nothing selected, nothing varied, nothing active.
    NATURES = frozenset(
        (
            "a count",
            "a norm",
            "a standard deviation",
            "a difference of maximum and minimum",
            "a ReLU output",
            "a one-hot code",
            "a sum of probabilities and labels",
        )
    )

    @on("operation")
    def check(self, fact: Any, report: Report) -> None:
        operator, node, left, right, _, _, _ = fact
        if operator != "Divide" or not isinstance(right, Tensor) or right.lib != "torch" or right.lo > 0:
            return
        nature = right.nature
        if nature not in self.NATURES:
            return
        recorded = right.graph is True or (isinstance(left, Tensor) and left.graph is True)
        unsure = not isinstance(left, Tensor) or left.graph is not False
        exact = nature in EXACT and (unsure or report.interp.module_depth > 0)
        drawn = nature == "a standard deviation" and right.graph is False and not right.data.tokens
        if recorded or exact or drawn:
            report(node, nature=nature)


class EpsMisplaced(Rule):
    """The guard stands outside what it should guard."""

    code, name = "TL509", "eps-misplaced"
    message = "the small constant is added after the {what}, where it guards nothing"
    severity = Severity.WARNING
    CALLS: ClassVar = {"log": "logarithm", "sqrt": "square root", "log2": "logarithm", "log10": "logarithm"}

    @on("operation")
    def check(self, fact: Any, report: Report) -> None:
        operator, node, left, right, left_node, _, _ = fact
        if operator != "Add" or not isinstance(left, Tensor) or not is_number(right):
            return
        lo, hi = bounds(right)
        if not 0 < lo <= hi <= 1e-4:
            return
        interp = report.interp
        if isinstance(left_node, cst.BinaryOperation) and isinstance(left_node.operator, cst.Divide):
            divisor = interp.eval(left_node.right)
            if isinstance(divisor, Tensor) and divisor.lo <= 0 and divisor.nature not in HARMLESS:
                report(node, what="division")
        elif isinstance(left_node, cst.Call):
            written = (
                left_node.func.attr.value
                if isinstance(left_node.func, cst.Attribute)
                else getattr(left_node.func, "value", "")
            )
            what = self.CALLS.get(str(written))
            if what is not None:
                inner = left_node.args[0].value if left_node.args else getattr(left_node.func, "value", None)
                operand = interp.eval(inner) if inner is not None else left
                if isinstance(operand, Tensor) and operand.lo <= 0:
                    report(node, what=what)
