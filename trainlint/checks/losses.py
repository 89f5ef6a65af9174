"""Losses and what is fed to them."""

from __future__ import annotations

from trainlint.api import Report, Rule, on_call
from trainlint.findings import Severity
from trainlint.semantics.library import Call, as_tensor
from trainlint.semantics.values import (
    HIDDEN,
    LOG_PROBABILITIES,
    LOG_SIGMOID,
    LOGITS,
    PROBABILITIES,
    SIGMOID,
    TANH,
    Tensor,
)

CROSS_ENTROPY = "torch.nn.functional.cross_entropy"
BCE = "torch.nn.functional.binary_cross_entropy"
BCE_WITH_LOGITS = "torch.nn.functional.binary_cross_entropy_with_logits"
FOCAL = "torchvision.ops.sigmoid_focal_loss"
NLL = "torch.nn.functional.nll_loss"
SOFTMAX = "torch.nn.functional.softmax"
LOG_SOFTMAX = "torch.nn.functional.log_softmax"


def scores(call: Call) -> Tensor:
    """The predictions that a loss is given."""
    value = call.value(call.row.params[0])
    return as_tensor(value) if value is not None else Tensor()


class LossRule(Rule):
    """A rule on a loss and its input. Where the program chooses between losses by a setting, the input may be meant for
    the other one: these speak when every choice is wrong."""

    exclusive = True


class SoftmaxBeforeCrossEntropy(LossRule):
    """Cross entropy is given probabilities."""

    code, name = "TL101", "softmax-before-cross-entropy"
    message = "`{loss}` gets probabilities (@); it applies log-softmax itself, so gradients flatten"

    @on_call(CROSS_ENTROPY)
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(PROBABILITIES | SIGMOID):
            report(call.argument("input", 0), loss=call.short_name).because(given.trace)


class SigmoidBeforeBceWithLogits(LossRule):
    """A loss on logits is given probabilities."""

    code, name = "TL102", "sigmoid-before-bce-with-logits"
    message = "`{loss}` gets probabilities (@); it applies the sigmoid itself, so its outputs stay between 0.5 and 0.73"

    @on_call(BCE_WITH_LOGITS, FOCAL)
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(SIGMOID | PROBABILITIES):
            report(call.argument(call.row.params[0], 0), loss=call.short_name).because(given.trace)


class LogitsIntoBce(LossRule):
    """Binary cross entropy is given raw scores."""

    code, name = "TL103", "logits-into-bce"
    message = "`{loss}` gets {kind} (@); it needs probabilities, and fails or gives nonsense outside 0 to 1"

    @on_call(BCE)
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(LOGITS | TANH | LOG_PROBABILITIES | LOG_SIGMOID):
            kind = (
                "raw scores"
                if given.must_be(LOGITS)
                else given.but(lo=float("-inf"), hi=float("inf"), shape=None).describe()
            )
            report(call.argument("input", 0), loss=call.short_name, kind=kind).because(given.trace)


class NllLossWithoutLogSoftmax(LossRule):
    """Negative log likelihood is given what are no log-probabilities."""

    code, name = "TL104", "nll-loss-without-log-softmax"
    message = (
        "`{loss}` gets {kind} (@); it needs log-probabilities, and with these the loss has no lower bound or no log"
    )

    @on_call(NLL)
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(LOGITS | PROBABILITIES | SIGMOID | HIDDEN):
            kind = "raw scores" if given.must_be(LOGITS | HIDDEN) else "probabilities"
            report(call.argument("input", 0), loss=call.short_name, kind=kind).because(given.trace)


class LogSoftmaxBeforeCrossEntropy(LossRule):
    """Cross entropy is given log-probabilities."""

    code, name = "TL105", "log-softmax-before-cross-entropy"
    message = (
        "`{loss}` gets log-probabilities (@); it applies log-softmax once more, "
        "which is wasted and hides which loss is meant"
    )
    severity = Severity.WARNING

    @on_call(CROSS_ENTROPY)
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(LOG_PROBABILITIES):
            report(call.argument("input", 0), loss=call.short_name).because(given.trace)


class DoubleActivation(Rule):
    """An activated output is activated again."""

    code, name = "TL112", "double-activation"
    message = "`{activation}` gets {kind} (@); activated twice, the outputs are squeezed together and gradients vanish"

    @on_call(SOFTMAX, LOG_SOFTMAX, "torch.sigmoid")
    def check(self, call: Call, report: Report) -> None:
        given = scores(call)
        if given.must_be(PROBABILITIES | SIGMOID):
            kind = "probabilities" if given.must_be(PROBABILITIES) else "sigmoid outputs"
            report(call.node, activation=call.short_name, kind=kind).because(given.trace)
