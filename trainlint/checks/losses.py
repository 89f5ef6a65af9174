"""Losses and what is fed to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.repairs import flows_only, index_of, local_activation, maker_of
from trainlint.checks.weights import loads_before_learning
from trainlint.edits import rename, replace
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.tensors import has_fixed_weight
from trainlint.semantics.behaviours.training import descendants, optimizers
from trainlint.semantics.interpreter import Interpreter, Region
from trainlint.semantics.library import Call, as_tensor, holds, modules_in
from trainlint.semantics.values import (
    ANSWERS,
    ELSEWHERE,
    FALSE,
    HIDDEN,
    INDICES,
    LEAF,
    LOG_PROBABILITIES,
    LOG_SIGMOID,
    LOGITS,
    PROBABILITIES,
    SIGMOID,
    SOME_CODES,
    TANH,
    UNKNOWN,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    Method,
    Number,
    Step,
    Tensor,
    Union,
    Value,
    const,
    cut,
    is_predicted,
    options,
    truth,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, contains

KL_DIV = "torch.nn.functional.kl_div"
CROSS_ENTROPY = "torch.nn.functional.cross_entropy"
BCE = "torch.nn.functional.binary_cross_entropy"
BCE_WITH_LOGITS = "torch.nn.functional.binary_cross_entropy_with_logits"
FOCAL = "torchvision.ops.sigmoid_focal_loss"
KERAS = "keras.crossentropy"  # Keras's cross entropies on probabilities
NLL = "torch.nn.functional.nll_loss"
CTC = "torch.nn.functional.ctc_loss"
SOFTMAX = "torch.nn.functional.softmax"
LOG_SOFTMAX = "torch.nn.functional.log_softmax"


def scores(call: Call, wrong: int = 0) -> Tensor:
    """The predictions that a loss is given. Where they come from one of several models, picked by a setting, and the
    loss is always the same, those of a model that gives what is wrong."""
    value = call.value(call.row.params[0])
    given = as_tensor(value) if value is not None else Tensor()
    if given.models and not given.must_be(wrong) and not call.interp.choosing:
        for kinds, trace in given.models:
            if kinds & ~wrong == 0:
                return given.but(kinds=kinds, trace=trace)
    return given


def origins(given: Tensor, interp: Interpreter) -> Iterator[Step | None]:
    """Where a tensor became what it is, and where the layers that it became so in were made."""
    yield from given.trace
    yield from (interp.modules.makers.get(id(step.node)) for step in given.trace)


def one_model(given: Tensor) -> bool:
    """Whether predictions are the same from all models that may give them, so that another loss would fit them all."""
    return len({kinds for kinds, _ in given.models}) < 2


class LossRule(Rule):
    """A rule on a loss and its input. Where the program chooses between losses by a setting, the input may be meant for
    the other one: these speak when every choice is wrong."""

    exclusive = True


def take_away(given: Tensor, argument: Any, draft: Draft) -> None:
    """Offer to hand over the raw scores."""
    found = flows_only(given, draft.space, argument)
    if found is not None:
        draft.fix(f"take the {given.trace[0].label} away", *found.edits)


def other_loss(call: Call, old: tuple[str, str], new: tuple[str, str], draft: Draft) -> None:
    """Offer another loss: the names are those of its function and of its class."""
    for name, better in zip(old, new, strict=True):
        maker = maker_of(draft.space, call.node, name) if isinstance(call.node, cst.Call) else None
        if maker is not None and not any(
            a.keyword is not None and a.keyword.value == "label_smoothing" for a in maker.args
        ):
            draft.fix(f"use `{better}`", rename(maker.func, better))


NAMES = ("cross_entropy", "CrossEntropyLoss")
NLL_NAMES = ("nll_loss", "NLLLoss")


class SoftmaxBeforeCrossEntropy(LossRule):
    """Cross entropy is given probabilities."""

    code, name = "TL101", "softmax-before-cross-entropy"
    message = "`{loss}` gets probabilities (@); it applies log-softmax itself, so gradients flatten"

    fixable = Safety.UNSAFE

    @on_call(CROSS_ENTROPY)
    def check(self, call: Call, report: Report) -> None:
        wrong = PROBABILITIES | SIGMOID
        given = scores(call, wrong)
        if given.must_be(wrong):
            argument = call.argument("input", 0)
            report(argument, loss=call.short_name).because(origins(given, report.interp)).repair(
                partial(take_away, given, argument)
            )


class SigmoidBeforeBceWithLogits(LossRule):
    """A loss on logits is given probabilities."""

    code, name = "TL102", "sigmoid-before-bce-with-logits"
    message = "`{loss}` gets probabilities (@); it applies the sigmoid itself, so its outputs stay between 0.5 and 0.73"

    fixable = Safety.UNSAFE

    @on_call(BCE_WITH_LOGITS, FOCAL)
    def check(self, call: Call, report: Report) -> None:
        wrong = SIGMOID | PROBABILITIES
        given = scores(call, wrong)
        if given.must_be(wrong):
            argument = call.argument(call.row.params[0], 0)
            draft = report(argument, loss=call.short_name).because(origins(given, report.interp))
            if given.must_be(SIGMOID):
                draft.repair(partial(take_away, given, argument))


class LogitsIntoBce(LossRule):
    """A loss on probabilities is given raw scores."""

    code, name = "TL103", "logits-into-bce"
    message = "`{loss}` gets {kind} (@); it needs probabilities, and fails or gives nonsense outside 0 to 1"

    @on_call(BCE, KERAS)
    def check(self, call: Call, report: Report) -> None:
        wrong = LOGITS | TANH | LOG_PROBABILITIES | LOG_SIGMOID
        if call.actual.startswith("keras."):
            wrong |= HIDDEN  # there, an activation is known to be one that leaves the range
        given = scores(call, wrong)
        if given.must_be(wrong):
            kind = (
                "raw scores"
                if given.must_be(LOGITS)
                else given.but(lo=float("-inf"), hi=float("inf"), shape=None).describe()
            )
            report(call.argument("input", 0), loss=call.short_name, kind=kind).because(origins(given, report.interp))


class NllLossWithoutLogSoftmax(LossRule):
    """Negative log likelihood is given what are no log-probabilities."""

    code, name = "TL104", "nll-loss-without-log-softmax"
    message = "{loss} gets {kind} (@); it needs log-probabilities, and with these the loss has no lower bound or no log"

    fixable = Safety.UNSAFE

    @on_call(NLL, CTC)
    def check(self, call: Call, report: Report) -> None:
        wrong = LOGITS | PROBABILITIES | SIGMOID | HIDDEN
        given = scores(call, wrong)
        if given.must_be(wrong):
            kind = "raw scores" if given.must_be(LOGITS | HIDDEN) else "probabilities"
            argument = call.argument(call.row.params[0])
            draft = report(argument, loss=f"`{call.short_name}`", kind=kind).because(origins(given, report.interp))
            if given.must_be(PROBABILITIES):
                draft.repair(partial(self.take_logarithm, given, argument))
            elif call.path == NLL and given.must_be(LOGITS) and one_model(given):
                draft.repair(partial(other_loss, call, NLL_NAMES, NAMES))

    @on("multiply")
    def by_hand(self, fact: Any, report: Report) -> None:
        """A sum, with a minus, of those of a model's probabilities or raw scores that one-hot codes pick."""
        _, node, left, right, left_node, right_node, _ = fact
        for given, code, shown in ((left, right, left_node), (right, left, right_node)):
            if not isinstance(given, Tensor) or not given.must_be(PROBABILITIES | LOGITS) or given.graph is False:
                continue
            if isinstance(code, Tensor) and code.nature in ("a one-hot code", SOME_CODES) and not code.deps:
                if (given.deps or report.interp.module_depth > 0) and is_total_with_minus(report, node):
                    known = given.must_be(PROBABILITIES)
                    if not known and not isinstance(index_of(report.space()).statement(node), cst.Return):
                        continue  # what makes them a loss may be added to it later
                    kind = "probabilities" if known else "raw scores"
                    draft = report(shown, loss="this likelihood", kind=kind).because(origins(given, report.interp))
                    draft.repair(partial(self.take_logarithm, given, shown))

    def take_logarithm(self, given: Tensor, argument: Any, draft: Draft) -> None:
        found = flows_only(given, draft.space, argument)
        edit = found and (found.renamed("softmax", "log_softmax") or found.renamed("Softmax", "LogSoftmax"))
        if edit is not None:
            draft.fix("take log-softmax", edit)


TOTALS = ("sum", "mean", "reduce_sum", "reduce_mean")


def is_total_with_minus(report: Report, node: Any) -> bool:
    """Whether a product is summed, or its mean taken, and the sign turned; and nothing else is done to it but to divide
    it by a number."""
    index, negated, summed = index_of(report.space()), False, False
    around = index.parent(node)
    while isinstance(around, (cst.Call, cst.Arg, cst.Attribute, cst.UnaryOperation, cst.BinaryOperation)):
        if isinstance(around, cst.Call):
            if called(around) not in TOTALS:
                return False
            summed = True
        elif isinstance(around, cst.UnaryOperation):
            negated = isinstance(around.operator, cst.Minus) and not negated
        elif isinstance(around, cst.BinaryOperation):
            size = isinstance(around.operator, cst.Divide) and around.right is not node
            if not size or isinstance(report.interp.peek(around.right), (Tensor, Union)):
                return False
        node, around = around, index.parent(around)
    return negated and summed


class LogSoftmaxBeforeCrossEntropy(LossRule):
    """Cross entropy is given log-probabilities."""

    code, name = "TL105", "log-softmax-before-cross-entropy"
    message = (
        "`{loss}` gets log-probabilities (@); it applies log-softmax once more, "
        "which is wasted and hides which loss is meant"
    )
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on_call(CROSS_ENTROPY)
    def check(self, call: Call, report: Report) -> None:
        wrong = LOG_PROBABILITIES
        given = scores(call, wrong)
        if given.must_be(wrong):
            argument = call.argument("input", 0)
            report(argument, loss=call.short_name).because(origins(given, report.interp)).repair(
                partial(self.mend, call, given, argument)
            )

    def mend(self, call: Call, given: Tensor, argument: Any, draft: Draft) -> None:
        found = local_activation(given, draft.space, argument)
        if found is not None:
            draft.fix("take the log-softmax away", *found.edits, safety=Safety.SAFE)
        elif one_model(given):
            other_loss(call, NAMES, NLL_NAMES, draft)


class DoubleActivation(Rule):
    """An activated output is activated again."""

    code, name = "TL112", "double-activation"
    message = "`{activation}` gets {kind} (@); activated twice, the outputs are squeezed together and gradients vanish"

    fixable = Safety.UNSAFE
    exclusive = True

    @on_call(SOFTMAX, LOG_SOFTMAX, "torch.sigmoid")
    def check(self, call: Call, report: Report) -> None:
        wrong = PROBABILITIES | SIGMOID
        given = scores(call, wrong)
        if given.must_be(wrong) and not looked_at(call, report):
            kind = "probabilities" if given.must_be(PROBABILITIES) else "sigmoid outputs"
            draft = report(call.node, activation=call.short_name, kind=kind).because(origins(given, report.interp))
            draft.repair(partial(self.take_away, given, call.argument(call.row.params[0], 0)))

    @on_call("torch.distributions.*")
    def drawn_from(self, call: Call, report: Report) -> None:
        """A distribution activates its `logits` itself."""
        name, given = distribution(call), call.value("logits", 1)
        if name not in ("Bernoulli", "Categorical", "OneHotCategorical") or not isinstance(given, Tensor):
            return
        if given.must_be(PROBABILITIES | SIGMOID):
            kind = "probabilities" if given.must_be(PROBABILITIES) else "sigmoid outputs"
            argument = call.argument("logits", 1)
            draft = report(argument, activation=name, kind=kind).because(origins(given, report.interp))
            named = next((a.keyword for a in call.node.args if a.value is argument and a.keyword is not None), None)
            if named is not None:
                draft.fix("give them as `probs`", replace(named, "probs"))

    @on_call("torch.tanh")
    def squashed(self, call: Call, report: Report) -> None:
        given = scores(call, TANH)
        if given.must_be(TANH) and given.lib == "torch":
            draft = report(call.node, activation=call.short_name, kind="tanh outputs").because(
                origins(given, report.interp)
            )
            draft.repair(partial(self.take_away, given, call.argument(call.row.params[0], 0)))

    def take_away(self, given: Tensor, argument: Any, draft: Draft) -> None:
        found = local_activation(given, draft.space, argument)
        if found is not None and (found.given is not None or found.call is draft.node):
            draft.fix(f"take the {given.trace[0].label} before away", *found.edits)


def distribution(call: Call) -> str:
    """The class of the distribution that a call makes; none if it makes none."""
    return call.receiver.describe() if isinstance(call.receiver, Instance) else ""


def looked_at(call: Call, report: Report) -> bool:
    """Whether the function asks for the least or greatest of some scores before it activates them, and so knows those
    that are activated already."""
    index, given = index_of(report.space()), call.argument(call.row.params[0], 0)
    if given is call.node and isinstance(call.node.func, cst.Attribute):
        given = call.node.func.value
    function = index.function(given) if isinstance(given, cst.Name) else None
    tests = (n.test for n in nodes_in(function) if isinstance(n, (cst.If, cst.IfExp))) if function is not None else ()
    return any(
        isinstance(node, cst.Attribute) and node.attr.value in ("min", "max") and node.value.deep_equals(given)
        for test in tests
        for node in nodes_in(test)
    )


class KlDivArguments(LossRule):
    """The arguments of a KL divergence are not what it takes them for."""

    code, name = "TL106", "kl-div-arguments"
    message = "{what}"

    @on_call(KL_DIV)
    def check(self, call: Call, report: Report) -> None:
        given, target = scores(call), call.value("target")
        aimed = as_tensor(target) if target is not None else Tensor()
        in_logs = call.value("log_target")
        loss = call.short_name
        if isinstance(report.interp.peek(getattr(call.node, "func", call.node)), Union):
            return  # one of several losses, as versions of PyTorch offer them
        if given.must_be(PROBABILITIES | SIGMOID | LOGITS):
            kind = "raw scores" if given.must_be(LOGITS) else "probabilities"
            what = f"`{loss}` gets {kind} (@); its input must be log-probabilities"
            report(call.argument("input", 0), what=what).because(origins(given, report.interp))
        elif aimed.must_be(LOG_PROBABILITIES) and (in_logs is None or truth(in_logs) is False):
            what = f"`{loss}` gets a target of log-probabilities (@); it needs probabilities unless `log_target=True`"
            report(call.argument("target", 1), what=what).because(aimed.trace)
        elif aimed.must_be(PROBABILITIES) and in_logs is not None and truth(in_logs) is True:
            what = f"`{loss}` gets a target of probabilities (@); with `log_target=True` it needs log-probabilities"
            report(call.argument("target", 1), what=what).because(aimed.trace)
        elif aimed.must_be(LOGITS):
            what = f"`{loss}` gets a target of raw scores (@); it must be a distribution"
            report(call.argument("target", 1), what=what).because(aimed.trace)
        elif given.must_be(LOG_PROBABILITIES) and averages(call):
            what = f"`{loss}` averages over the classes as well as over the batch; the divergence is `batchmean`"
            report(call.node, what=what)


def averages(call: Call) -> bool:
    """Whether a loss takes the mean over all elements."""
    settings = {"size_average": (None, True), "reduce": (None, True), "reduction": ("mean",)}
    given = ((call.value(name), usual) for name, usual in settings.items())
    mean = all(value is None or (isinstance(value, Const) and value.value in usual) for value, usual in given)
    return mean and not call.arguments.open


BY_CLASS = (CROSS_ENTROPY, NLL, KERAS)  # losses on the scores of classes, one of which is right


class LossArgumentsSwapped(LossRule):
    """A loss is given the targets first and the predictions second."""

    code, name = "TL107", "loss-arguments-swapped"
    message = "`{loss}` gets {given}"
    fixable = Safety.UNSAFE
    exclusive = False  # no other choice would turn them round

    @on_call(CROSS_ENTROPY, NLL, KERAS, BCE, BCE_WITH_LOGITS, FOCAL, KL_DIV)
    def check(self, call: Call, report: Report) -> None:
        first, second = call.value(call.row.params[0]), call.value(call.row.params[1])
        if first is None or not isinstance(second, Tensor) or may_be_another(call):
            return
        if call.path == KL_DIV and not as_tensor(first).data.tokens:
            return  # a prior, from which the output's distribution is kept
        plain = is_plain_data(first) or (isinstance(first, Tensor) and first.must_be(INDICES) and call.path in BY_CLASS)
        if self.learnt_target(call, first, second) if plain else self.no_target(call, first, second):
            given = "targets first and the model's output second; it takes predictions first"
            if call.actual.startswith("keras."):
                given = "the model's output first and targets second; it takes the targets first"
            draft = report(call.argument(call.row.params[0], 0), loss=call.short_name, given=given)
            draft.repair(partial(self.swap, call.node))

    @on_call("sklearn.metrics.precision_score", "sklearn.metrics.classification_report")
    def metric(self, call: Call, report: Report) -> None:
        """A metric of scikit-learn that is another one the other way round."""
        given = call.value("y_true", 0), call.value("y_pred", 1) or call.value("y_score")
        first, second = (as_tensor(value or UNKNOWN) for value in given)
        if is_answer(first) and not is_answer(second) and (second.data.tokens or is_plain_data(second)):
            told = "predictions first and the targets second; it takes the targets first"
            draft = report(call.argument("y_true", 0), loss=call.short_name, given=told)
            draft.repair(partial(self.swap, call.node))

    @on_call("metric.add_batch")
    def measure(self, call: Call, report: Report) -> None:
        """A metric of the hub, which is fed by names."""
        given, asked = call.value("predictions", 1), call.value("references", 2)
        if not isinstance(given, Tensor) or not isinstance(asked, Tensor) or is_answer(given) or not is_answer(asked):
            return
        if given.data.tokens or is_plain_data(given):
            told = "the targets as predictions and predictions as references"
            report(call.argument("predictions", 1), loss=called(call.node), given=told)

    def learnt_target(self, call: Call, first: Value, second: Tensor) -> bool:
        """Whether data come first and what a model computes second."""
        inside = call.interp.module_depth > 0 and second.kinds != 0  # what a model computes is told by its mark later
        if not second.deps and not inside:
            return False
        learnt = second.graph is True and (any(dep.live for dep in second.deps) or not second.deps)
        scored = second.must_be(LOGITS | PROBABILITIES | SIGMOID | LOG_PROBABILITIES)
        return learnt or (scored and second.graph is False and not any(dep.cut for dep in second.deps))

    def no_target(self, call: Call, first: Value, second: Tensor) -> bool:
        """Whether something unknown comes first, and second a model's scores that no loss of this kind can aim at."""
        aimless = LOGITS | LOG_PROBABILITIES | (PROBABILITIES | SIGMOID if call.path == NLL else 0)
        if call.path == KL_DIV or not second.must_be(aimless) or second.graph is False:
            return False
        return as_tensor(first).kinds == 0 and not any(dep.live for dep in as_tensor(first).deps)

    def swap(self, call: Any, draft: Draft) -> None:
        """Offer the right order, where both stand in the call itself."""
        pair = call.args[:2] if isinstance(call, cst.Call) else ()
        if len(pair) == 2 and pair[0].value is draft.node and not any(a.keyword or a.star for a in pair):
            first, second = (argument.value for argument in pair)
            draft.fix("swap the arguments", replace(first, second), replace(second, first))


def is_answer(value: Tensor) -> bool:
    """Whether a value is what a model has made of data."""
    return is_predicted(value) or any(dep.node is not None for dep in value.deps)


def may_be_another(call: Call) -> bool:
    """Whether a setting may put a loss of the project's own in place of a loss, which may take other arguments."""
    callee = call.interp.peek(call.node.func) if isinstance(call.node, cst.Call) else None
    return any(getattr(option, "cls", None).__class__ is Class for option in options(callee or UNKNOWN))


def is_plain_data(value: Value) -> bool:
    """Whether a value surely comes from no model, nor is what a loss takes from one."""
    if isinstance(value, Instance):
        return "$item" in value.attrs
    return (
        isinstance(value, Tensor) and value.graph is False and not value.deps and not value.must_be(LOG_PROBABILITIES)
    )


class GradientCutBeforeLoss(Rule):
    """The loss is cut off from the model that it should train."""

    code, name = "TL111", "gradient-cut-before-loss"
    message = "{what}: `{by}` (@) brings no gradient to {whom}"

    @on("backward", "training_loss")
    def check(self, fact: Any, report: Report) -> None:
        node, loss = fact
        if isinstance(loss, DictObject):
            loss = loss.attrs.get("loss")
        if not isinstance(loss, Tensor):
            return
        end = Step(report.space(), node, "backward")
        leaf = report.interp.modules.leaves.get(id(loss), (loss, ""))[1] == "tensor" and bool(optimizers(report.interp))
        if loss.graph is True and loss.trace and loss.trace[0].label == LEAF and (leaf or cut_by_hand(loss)):
            made = loss.trace[0]
            report(
                made.node, made.space, what="the loss is made a leaf of its own", whom="the model", by="backward"
            ).because([end])
        elif loss.graph is False and loss.deps and not any(dep.live for dep in loss.deps):
            for step in dict.fromkeys(self.cuts(loss, report.interp)):
                draft = report(
                    step.node, step.space, what=f"`{step.label}` cuts the loss off", whom="the model", by="backward"
                )
                draft.because([end])

    def cuts(self, loss: Tensor, interp: Interpreter) -> Iterator[Step]:
        """Where a loss lost what it descends from; where a part of that ran without gradients from the start, only
        what was cut off from models that an optimizer holds."""
        apart = any(dep.cut is None and dep.node is not None for dep in loss.deps)
        owned = frozenset[int]().union(*(o.attrs.get("$modules", ()) for o in optimizers(interp) if apart))
        return (d.cut for d in loss.deps if d.cut is not None and (not owned or id(d.module) in owned))

    @on("add")
    def added(self, fact: Any, report: Report) -> None:
        """A term that trains nothing is added to one that trains a model."""
        _, _, left, right, left_node, right_node, _ = fact
        for node, term, rest in ((right_node, right, left), (left_node, left, right)):
            if isinstance(term, Tensor) and isinstance(rest, Tensor) and is_idle_term(report.interp, node, term, rest):
                report.interp.event("idle", node, term)
            elif isinstance(term, Tensor) and isinstance(rest, Tensor) and is_aside(term, rest):
                report.interp.event("aside", node, term)
            elif isinstance(term, Number) and isinstance(rest, Tensor) and is_number_of_it(term, rest):
                report.interp.event("idle", node, term)

    @on_call("torch.cat")
    def stacked(self, call: Call, report: Report) -> None:
        """Terms are put beside each other to be added up."""
        items = call.interp.known_items(call.first) if call.actual.endswith("stack") else None
        terms = [item for item in items or () if isinstance(item, Tensor) and item.shape == ()]
        for term in terms:
            if any(is_idle_term(report.interp, call.node, term, other) for other in terms):
                report.interp.event("idle", call.node, term)

    @on_call("jax.value_and_grad", "flax.nnx.value_and_grad", "equinox.filter_value_and_grad")
    def of_nothing(self, call: Call, report: Report) -> None:
        """The function of JAX that is differentiated never reads what it is differentiated by."""
        function, place = call.value("fun", 0), const(call.value("argnums") or Const(0))
        if not isinstance(function, Function) or not isinstance(place, int) or function.space.source is None:
            return
        params = [*function.node.params.posonly_params, *function.node.params.params]
        if place < len(params) and not is_read(params[place].name, function):
            name, by = params[place].name, call.actual.rpartition(".")[2]
            draft = report(name, function.space, what=f"the loss does not depend on `{name.value}`", whom="it", by=by)
            draft.because([Step(report.space(), call.node, by)])

    @on("program", having="aside backward step")
    def aside(self, region: Region, report: Report) -> None:
        """A term is cut off from all that the next steps train, though it was computed with it."""
        terms = region.of("aside")
        for backward, steps in steps_behind(region):
            known = [event.optimizer for event in steps if isinstance(event.optimizer, Instance)]
            if len(known) < len(steps) or not isinstance(backward.loss, Tensor):
                continue
            if not all(optimizer.attrs.get("$modules") for optimizer in known):
                continue
            trained = frozenset[int]().union(*(optimizer.attrs["$modules"] for optimizer in known))
            for term in (event.term for event in terms if event.term.deps <= backward.loss.deps):
                if any(dep.live and not trained.isdisjoint(descendants(dep.module)) for dep in term.deps):
                    continue
                for dep in term.deps:
                    if dep.cut is not None and dep.cut.label not in CHOOSING and id(dep.module) in trained:
                        what = f"`{dep.cut.label}` cuts a term of the loss off from what is trained with it"
                        step = Step(backward.space, backward.node, "backward")
                        report(dep.cut.node, dep.cut.space, what=what, whom="the model", by="backward").because([step])

    @on("program", having="idle backward")
    def idle(self, region: Region, report: Report) -> None:
        for _, node, space, term in region.of("idle"):
            for event in region.of("backward"):
                if isinstance(event.loss, Tensor) and cut(term.deps) <= event.loss.deps:
                    cuts = list(dict.fromkeys(dep.cut for dep in term.deps if dep.cut is not None))
                    added, step = Step(space, node, "the term"), Step(event.space, event.node, "backward")
                    alone = len(cuts) == 1 and all(dep.cut is not None for dep in term.deps)
                    if alone and not isinstance(term, Number) and not is_in_function_of(cuts[0], added):
                        place, cuts, what = cuts[0], [added], f"`{cuts[0].label}` cuts a term of the loss off"
                    else:
                        how = "is a plain number" if isinstance(term, Number) else "is computed without gradients"
                        place, what = added, f"this term of the loss {how}"
                    report(place.node, place.space, what=what, whom="the model", by="backward").because([step, *cuts])
                    break

    @on("program", having="backward step")
    def inside(self, region: Region, report: Report) -> None:
        """Models and layers that an optimizer should train with others, of which an operation keeps all gradients."""
        backwards = [event for event in region.of("backward") if isinstance(event.loss, Tensor)]
        if any(ELSEWHERE in event.loss.deps for event in backwards):
            return
        steps = (event.optimizer for event in region.of("step") if isinstance(event.optimizer, Instance))
        owned = [optimizer.attrs.get("$modules", frozenset()) for optimizer in dict.fromkeys(steps)]
        idle = {dep.module for event in region.of("idle") for dep in event.term.deps if dep.cut is not None}
        told = {i for module in idle for i in descendants(module)}  # at the term of the loss that was to reach it
        anywhere = {i for e in backwards for dep in e.loss.deps if dep.live for i in descendants(dep.module)}
        starved: set[int] = set()  # what an optimizer holds nothing of which is reached
        known = len(owned) == 1 or len(backwards) == len(region.of("backward"))
        if known and anywhere and not region.has("given", "autograd", "gradient"):
            starved.update(i for held in owned if anywhere.isdisjoint(held) for i in held)
        due = {id(b): held_by(s.optimizer for s in steps) for b, steps in steps_behind(region)} if starved else {}
        found: dict[tuple[Instance, Instance, Step], Any] = {}
        for event in {event.loss.deps: event for event in backwards[::-1]}.values():
            live = [dep for dep in event.loss.deps if dep.live]
            learnt, reached = {dep.node for dep in live}, {i for dep in live for i in descendants(dep.module)}
            together = ({i for held in owned if not held.isdisjoint(reached) for i in held} | starved) - told
            whole = [(d.module, d.module, d.cut) for d in event.loss.deps if d.cut is not None and d.node is not None]
            parts = [(e.module, *pair) for e in region.of("dissected") if e.node in learnt for pair in e.layers]
            found |= {place: event for place in whole + parts if id(place[1]) in together}
        missed = region.known(missed_in) if found else frozenset()
        loads = region.known(loads_before_learning) if missed or starved else []
        for (model, layer, step), event in found.items():
            without = id(layer) in due.get(id(event), ()) if id(layer) in starved else id(layer) in missed
            if without and not is_given(model, layer, region, loads):
                what = f"`{step.label}` cuts a layer off from the loss"
                draft = report(step.node, step.space, what=what, whom=f"`{layer.describe()}`", by="backward")
                made = [] if layer.born is None else [layer.born]
                draft.because([Step(event.space, event.node, "backward"), *made])


def held_by(given: Iterable[Any]) -> set[int]:
    """The models and layers that optimizers hold, as far as they are known."""
    known = (optimizer for optimizer in given if isinstance(optimizer, Instance))
    return {i for optimizer in known for i in optimizer.attrs.get("$modules", ())}


def is_read(param: cst.Name, function: Function) -> bool:
    """Whether the body of a function reads one of its parameters."""
    inside: Any = list(nodes_in(function.node.body))
    others = {id(node.attr) for node in inside if isinstance(node, cst.Attribute)}
    others |= {id(node.keyword) for node in inside if isinstance(node, cst.Arg)}
    return any(isinstance(n, cst.Name) and n.value == param.value and id(n) not in others for n in inside)


def is_in_function_of(one: Step, other: Step) -> bool:
    """Whether two places are in one function, or both in none."""
    return one.space is other.space and index_of(one.space).function(one.node) is index_of(other.space).function(
        other.node
    )


def is_given(model: Instance, layer: Instance, region: Region, loads: list[Any]) -> bool:
    """Whether a layer of a model has its weights from elsewhere: loaded, as these events tell, frozen, or following
    those of another."""
    inside = modules_in(model)
    if any(is_kept_as_given(inner) and holds(inner, layer) for inner in inside):
        return True
    if has_fixed_weight(layer):
        return True
    if not region.has("loaded"):
        return any("$loaded" in inner.attrs and holds(inner, layer) for inner in inside)
    return any(holds(e.module, layer) and not e.maybe for e in loads)


def is_kept_as_given(module: Instance) -> bool:
    """Whether the weights of a module are, or may be, frozen, those of a model that was trained before, or set."""
    return module.attrs.get("$frozen", FALSE) is not FALSE or not module.attrs.keys().isdisjoint(GIVEN)


GIVEN = ("$pretrained", "$edited")


def missed_in(region: Region) -> frozenset[int]:
    """Identities of the models and layers from which gradients are kept in each call of a model that holds them."""
    losses = {event.loss.deps for event in region.of("backward") if isinstance(event.loss, Tensor)}
    reached: dict[tuple[Instance, Any], bool] = {}
    for dep in (dep for deps in losses for dep in deps):
        reached[dep.module, dep.node] = dep.live or reached.get((dep.module, dep.node), False)
    lost: dict[tuple[Instance, Any], set[int]] = {}
    for event in region.of("dissected"):
        lost.setdefault((event.module, event.node), set()).update(id(layer) for layer, _ in event.layers)
    missed: set[int] = set()
    learning: set[int] = set()
    for call in {(event.module, event.node) for event in region.of("model") if event.grad is not False}:
        held = descendants(call[0])
        away = held if reached.get(call) is False else held & lost.get(call, set())
        missed |= away
        learning |= held - away
    return frozenset(missed - learning)


def is_idle_term(interp: Interpreter, node: Any, term: Tensor, rest: Tensor) -> bool:
    """Whether a loss has lost all its gradients, and one that it is added to trains a model that it was computed with.
    One that is detached in the sum itself is there for the log."""
    if term.graph is not False or rest.graph is not True or called(node) == "detach":
        return False
    if not (term.nature == "a loss" or is_detached(term) or term.shape == rest.shape == ()):
        return False
    trained = {id(dep.module) for dep in rest.deps if dep.live and dep.node is not None}
    if not any(id(dep.module) in trained and dep.node is not None for dep in term.deps):
        return False  # of weights alone, TL707 tells
    cuts = [dep.cut for dep in term.deps if dep.cut is not None]
    named = () if term.nature == "a loss" else ("detach", "data")  # these are written for nothing else
    here = [c.node for c in cuts if c.label in named and contains(node, c.node)]
    return not any(is_cut_here(node, c.node) for c in cuts) and all(is_judged(interp, node, place) for place in here)


def is_judged(interp: Interpreter, node: Any, cut: Any) -> bool:
    """Whether a module or function of the project's gets what an operation cut off, as a criterion of its own does."""
    calls = (part for part in nodes_in(node) if isinstance(part, cst.Call) and part is not cut)
    given = (part.func for part in calls if any(contains(argument, cut) for argument in part.args))
    return any(isinstance(interp.peek(func), (Instance, Function, Method)) for func in given)


def is_number_of_it(term: Number, rest: Tensor) -> bool:
    """Whether a number was taken of what a model computed that a loss trains."""
    if rest.graph is not True or rest.shape != ():
        return False
    trained = {id(dep.module) for dep in rest.deps if dep.live and dep.node is not None}
    return any(dep.cut is not None and id(dep.module) in trained for dep in term.deps)


def is_cut_here(node: Any, cut: Any) -> bool:
    """Whether a term of a sum, or a factor of it, is what an operation that cuts gradients gives, whatever is done with
    that; not what a loss makes of it, which is an argument there."""
    while node is not cut and isinstance(node, (cst.UnaryOperation, cst.Attribute, cst.Call)):
        if isinstance(node, cst.UnaryOperation):
            node = node.expression
        else:
            node = node.func if isinstance(node, cst.Call) else node.value
    if isinstance(node, cst.BinaryOperation):
        return is_cut_here(node.left, cut) or is_cut_here(node.right, cut)
    return node is cut


# What chooses among the outputs of a model, such as its samples, and is never meant to have gradients.
CHOOSING = frozenset(("multinomial", "topk"))


def is_aside(term: Tensor, rest: Tensor) -> bool:
    """Whether a loss trains something, but not all that it was computed with, which one that it is added to trains."""
    if term.graph is not True or not (term.nature == "a loss" or term.shape == ()):
        return False
    trained = {id(dep.module) for dep in term.deps if dep.live and not dep.scales}
    lost = {id(dep.module) for dep in term.deps if dep.cut is not None} - trained
    return bool(trained) and any(dep.live and id(dep.module) in lost for dep in rest.deps)


def steps_behind(region: Region) -> Iterator[tuple[Any, list[Any]]]:
    """The backward passes that are followed by steps of optimizers, with these, up to the next pass."""
    backward: Any = None
    steps: list[Any] = []
    for event in region.events:
        if event.kind == "step":
            steps.append(event)
        elif event.kind == "backward":
            if steps and backward is not None:
                yield backward, steps
            backward, steps = event, []
    if steps and backward is not None:
        yield backward, steps


def is_detached(term: Tensor) -> bool:
    """Whether a tensor is a single number whose gradients an operation on the way has cut."""
    return term.shape == () and any(dep.cut is not None and dep.node is not None for dep in term.deps)


def cut_by_hand(loss: Tensor) -> bool:
    """Whether an operation on the values has cut the gradient off, rather than a model that ran without recording."""
    return any(dep.cut is not None or dep.node is None for dep in loss.deps)


class ThresholdOnLogits(Rule):
    """Raw scores are compared with a probability."""

    code, name = "TL115", "threshold-on-logits"
    message = "raw scores (@) are {what}; the loss takes them {how}"
    MIDDLE = ", where a probability of 0.5 is a score of 0"

    @on("program", having="threshold")
    def check(self, region: Region, report: Report) -> None:
        squashed = {event.node: origin_of(event.scores) for event in region.of("squashed") if event.scores.trace}
        losses = [event for event in region.of("loss") if event.given.trace]
        judged = {squashed.get(event.given.trace[0].node) for event in losses if event.path in (BCE, *OF_MASKS)}
        for _, node, space, given, what in region.of("threshold"):
            if given.nature == ANSWERS:  # of a model that computes its loss itself
                how = "as logits, of which only a softmax or a sigmoid makes probabilities"
                report(node, space, what=what, how=how).because(given.trace)
                continue
            origin = origin_of(given)
            paths = {event.path for event in losses if origin_of(event.given) is origin}
            # Several classes may be another setting's, under whose loss these are scores as well.
            logits = paths & {BCE_WITH_LOGITS, FOCAL}
            if (logits or origin in judged) and paths <= {BCE_WITH_LOGITS, FOCAL, CROSS_ENTROPY}:
                how = "as logits" if logits else "through a sigmoid"
                report(node, space, what=what, how=how + self.MIDDLE).because(given.trace)
            elif paths == {CROSS_ENTROPY} and what != "rounded":
                how = "as logits, of which only a softmax makes probabilities"
                report(node, space, what=what, how=how).because(given.trace)

    @on("compiled")
    def measured(self, fact: Any, report: Report) -> None:
        """A metric of Keras that counts what is above 0.5, beside a loss on logits."""
        call, (name, from_logits), scores = fact
        if name.replace("_", "").lower() not in ("binarycrossentropy", "binaryfocalcrossentropy"):
            return
        if truth(from_logits or FALSE) is not True or not isinstance(scores, Tensor) or not scores.must_be(LOGITS):
            return
        given = call.value("metrics", 3)
        for metric in call.interp.known_items(given) or () if given is not None else ():
            if isinstance(metric, Const) and metric.value in ("accuracy", "acc", "binary_accuracy"):
                if scores.last == 1 or metric.value == "binary_accuracy":
                    what = f'compared with 0.5 by the metric "{metric.value}"'
                    report(call.argument("metrics", 3), what=what, how="as logits" + self.MIDDLE).because(scores.trace)
            elif isinstance(metric, Instance) and metric.describe() in COUNTING and has_own_threshold(metric):
                assert metric.born is not None
                what = f"compared with 0.5 by `{metric.describe()}`"
                report(metric.born.node, metric.born.space, what=what, how="as logits" + self.MIDDLE).because(
                    scores.trace
                )


def origin_of(scores: Tensor) -> Any:
    """What identifies the layer that scores come from: its place, or the model that is no more than its layers."""
    node = scores.trace[0].node
    return next((dep.module for dep in scores.deps if dep.node is node), node)


# Losses on the overlap of masks, which may be told to make shares of scores themselves.
OF_MASKS = ("monai.losses.DiceLoss", "segmentation_models_pytorch.losses.DiceLoss")
COUNTING = ("BinaryAccuracy", "Precision", "Recall")  # metrics of Keras on probabilities


def has_own_threshold(metric: Instance) -> bool:
    """Whether a metric is told no threshold, so that it has the one that it comes with."""
    made = metric.born.node if metric.born is not None else None
    names = [arg.keyword.value if arg.keyword is not None else "" for arg in getattr(made, "args", ())]
    return made.__class__ is cst.Call and set(names) <= {"name", "dtype"}


class HandWrittenLoss(Rule):
    """A loss is written by hand that the framework has."""

    code, name = "TL118", "hand-written-loss"
    message = "this is {what} written by hand; `{ready}` is tested and numerically stable"
    severity = Severity.WARNING
    default = False

    @on_call("torch.mean")
    def mean_square(self, call: Call, report: Report) -> None:
        given = call.tensor
        if given.nature == "a square" and given.graph is not False and len(call.arguments.positional) == 1:
            if given.lib == "torch" and any(is_difference(node) for node in nodes_in(call.node)):
                report(call.node, what="the mean squared error", ready="mse_loss")

    @on("add", "divide")
    def others(self, fact: Any, report: Report) -> None:
        operator, node, left, right, left_node, right_node, _ = fact
        if not isinstance(left, Tensor) or not isinstance(right, Tensor) or left.lib != "torch":
            return
        if operator == "Divide" and called(left_node) == "exp" and called(right_node) == "sum":
            if any(called(inner) == "exp" for inner in nodes_in(right_node)):
                report(node, what="a softmax", ready="softmax")
        elif operator == "Add" and times_log(left_node) and times_log(right_node) and takes_rest(left_node, right_node):
            report(node, what="binary cross entropy", ready="binary_cross_entropy_with_logits")


def is_difference(node: Any) -> bool:
    """Whether an expression subtracts one thing from another, and not a constant or a thing's own mean from it."""
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Subtract):
        return False
    return called(node.right) != "mean" and not isinstance(node.right, (cst.Integer, cst.Float))


def takes_rest(*nodes: Any) -> bool:
    """Whether some of these take 1 minus something, as the second half of a binary cross entropy does."""
    minus = (n for node in nodes for n in nodes_in(node) if isinstance(n, cst.BinaryOperation))
    ones = (n.left.value for n in minus if isinstance(n.operator, cst.Subtract) and hasattr(n.left, "value"))
    return any(one in ("1", "1.0", "1.") for one in ones)


def times_log(node: Any) -> bool:
    """Whether an expression is a product with a logarithm."""
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Multiply):
        return False
    return "log" in (called(node.left), called(node.right))
