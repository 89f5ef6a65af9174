"""Modes: train and eval, gradients on and off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.data import HELD_OUT, is_loader, out_of_sight
from trainlint.checks.model import DROPOUT, OTHER_DROPOUT
from trainlint.checks.repairs import (
    around,
    body_of,
    definition,
    follows,
    index_of,
    is_bound_within,
    is_left,
    model_of,
)
from trainlint.checks.weights import loads_before_learning
from trainlint.edits import (
    CodeEdit,
    imported,
    insert_after,
    insert_at_start,
    insert_before,
    replace,
    set_argument,
    wrap,
)
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.layers import calls_in, is_weightless, mode_matters
from trainlint.semantics.behaviours.tensors import VOLATILE
from trainlint.semantics.behaviours.training import descendants, optimizers
from trainlint.semantics.interpreter import FEEDS, Interpreter, Region, loop_use, nested, outwards, target_names
from trainlint.semantics.library import Call, holds, is_of_torch, modules_in
from trainlint.semantics.modules import Flow, carried, contents, is_self, leaf_kind
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    ELSEWHERE,
    FALSE,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Dep,
    DictObject,
    Instance,
    ListObject,
    Method,
    Step,
    Tensor,
    Value,
    bounds,
    not_none,
    options,
    usual,
)
from trainlint.syntax import Index, nodes_in, path_to
from trainlint.syntax.code import (
    called,
    contains,
    is_equality,
    is_name,
    is_plain_call,
    keyword,
    last_name,
    names_in,
    positional,
)

LEARNING = ("backward", "step", "autograd")
# What code that looks at the mode by itself writes.
MODE_NAMES = frozenset(("training", "is_training", "is_train", "train", "eval"))


def measured(region: Region, module: Instance, node: Any = None) -> bool:
    """Whether a region judges a model's outputs (those of one call, if it is given): compares them, takes their loss,
    feeds a metric, or collects them over a data set."""
    fed = {e.node for e in region.of("meter") if e.what in FEEDS}
    return (
        any(depends(e.value, module, node) for e in region.of("compare"))
        or any(depends(e.given, module, node) for e in region.of("loss"))
        or any(depends(e.value, module, node) and e.value.data.tokens for e in region.of("collect"))
        or (region.kind == "loop" and any(depends(e.value, module, node) for e in region.of("item")))
        or any(
            ("metric" in e.path or e.node in fed) and any(depends(v, module, node) for v in each_in(e.values))
            for e in region.of("outside")
        )
    )


def each_in(values: Iterable[Value]) -> Iterator[Value]:
    """Values, and what stands for the items of lists among them, such as the samples of a batch."""
    for value in values:
        yield value.attrs.get("element", value) if isinstance(value, ListObject) and value.items is None else value


def predicted(region: Region, module: Instance) -> bool:
    """Whether a loop over data takes decisions from a model's outputs: the largest score, or the numbers themselves."""
    return over_data(region) and any(depends(e.value, module) for e in region.of("predict"))


def over_data(region: Region) -> bool:
    """Whether a loop walks over samples or batches rather than over numbers."""
    if not isinstance(region.node, cst.For) or not isinstance(region.value, Value):
        return False
    return all(isinstance(option, (Instance, Tensor)) for option in options(not_none(region.value)))


def over_loader(region: Region) -> bool:
    """Whether a loop walks over the batches of a loader."""
    return isinstance(region.node, cst.For) and all(is_loader(o) for o in options(region.value or UNKNOWN))


def depends(value: Value, module: Instance, node: Any = None) -> bool:
    """Whether a value is computed with a module, or with that call of it."""
    return isinstance(value, Tensor) and any(
        dep.module is module and (node is None or dep.node is node) for dep in value.deps
    )


class ModelCall(NamedTuple):
    """A model was called: `mode` and `grad` as they were, `layers` says what in it depends on the mode."""

    node: Any
    space: Namespace
    module: Instance
    mode: bool | str | None
    grad: bool | None
    inputs: list[Tensor]
    loaded: bool
    layers: str

    @property
    def held_out(self) -> bool:
        return any(tensor.data.part in HELD_OUT for tensor in self.inputs)

    @property
    def on_noise(self) -> bool:
        """Whether it was given nothing but random numbers, as a test of the code does."""
        return bool(self.inputs) and all(tensor.nature == "random numbers" for tensor in self.inputs)

    @property
    def is_repeated(self) -> bool:
        """Whether the same inputs are given again and again in one expression, or in a loop that collects what comes
        out, as to see how dropout spreads it."""
        given = {name for arg in getattr(self.node, "args", ()) for name in names_in(arg.value)}
        around = (getattr(n, "for_in", n) for n in index_of(self.space).ancestors(self.node))
        clause = next((n for n in around if isinstance(n, (cst.CompFor, cst.For))), None)
        if clause is None:
            return False
        if isinstance(clause, cst.For) and not is_one_line(clause.body):
            bound = (target for node in nodes_in(clause.body) for target in getattr(node, "targets", ()))
            made = {name for target in bound for name in names_in(getattr(target, "target", None))}
            if not collects(clause.body) or not made.isdisjoint(given):
                return False
        return is_plain_call(clause.iter, "range") and given.isdisjoint(target_names(clause.target))

    @property
    def is_before_no_grad(self) -> bool:
        """Whether it was given a `Variable(…, volatile=True)`, which records no graph in PyTorch before 0.4."""
        return any(tensor.nature == VOLATILE for tensor in self.inputs)

    @property
    def is_of_no_module(self) -> bool:
        """Whether the call stands where `isinstance` has just said that what is called is no module."""
        below: Any = self.node
        for above in index_of(self.space).ancestors(self.node):
            if isinstance(above, cst.If) and below is above.orelse and isinstance(above.test, cst.Call):
                given = positional(above.test) if is_plain_call(above.test, "isinstance") else []
                model = getattr(self.node, "func", None)
                if len(given) == 2 and last_name(given[1]) == "Module" and model and given[0].deep_equals(model):
                    return True
            below = above
        return False

    def report(self, region: Region, report: Report, **fields: object) -> Draft:
        """Report the call; where a helper makes it, which others may share, the loop that evaluates. The regions around
        need not tell of it again."""
        report.interp.event("told", self.node, report.rule.code)
        loop = region.node
        if isinstance(loop, cst.For) and not contains(loop.body, self.node):
            return report(loop.iter, region.space, **fields).because([Step(self.space, self.node, "called here")])
        return report(self.node, self.space, **fields)


def collects(block: Any) -> bool:
    """Whether a block appends to a list what it comes to."""
    return any(called(node) == "append" for node in calls_in(block))


def is_one_line(block: cst.BaseSuite) -> bool:
    """Whether a block is one statement that adds to something: `total += …`, `found.append(…)`."""
    lines = block.body if isinstance(block, cst.SimpleStatementSuite) else None
    if isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        lines = getattr(block.body[0], "body", None)
    if not isinstance(lines, Sequence) or len(lines) != 1:
        return False
    line = lines[0]
    return isinstance(line, cst.AugAssign) or (isinstance(line, cst.Expr) and called(line.value) == "append")


def switches_itself(call: ModelCall, region: Region) -> Step | None:
    """Where a method of a model's own class puts it into train mode whenever it runs."""
    node = call.module.cls.node if isinstance(call.module.cls, Class) else None
    own = (e for e in region.of("mode") if e.module is call.module and e.training is True and node is not None)
    return next((Step(e.space, e.node, "back in train mode") for e in own if contains(node, e.node)), None)


def model_calls(region: Region) -> list[ModelCall]:
    return region.known(calls_of_models)


def calls_of_models(region: Region) -> list[ModelCall]:
    return [ModelCall(*event[1:]) for event in region.of("model")]


def calls_after_load(region: Region) -> list[ModelCall]:
    """The model calls in a program after weights were loaded for good: nothing is learnt from there on."""
    found: list[ModelCall] = []
    loaded: set[int] = set()
    for event in region.events:
        if event.kind in LEARNING:
            found, loaded = [], set()
        elif event.kind == "loaded":
            loaded.add(id(event.module))
        elif event.kind == "model" and id(event.module) in loaded:
            found.append(ModelCall(*event[1:]))
    return found


def told(region: Region, report: Report) -> set[Any]:
    """The model calls in a region that a rule has told of, in a region inside it."""
    return {event.node for event in region.of("told") if event.rule == report.rule.code}


class MissingEvalMode(Rule):
    """A model is evaluated in training mode."""

    code, name = "TL301", "missing-eval-mode"
    message = "the model is evaluated in train mode, so its {layers} makes the results noisy and depend on the batch"
    fixable = Safety.UNSAFE

    @on("loop", "program", "no_grad", "call", having="model")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "program":
            learnt, judged = outcomes(region)
            learnt |= told(region, report)
            for call in model_calls(region):
                if (
                    call.mode is True
                    and call.layers
                    and call.node in judged
                    and call.node not in learnt
                    and (call.held_out or is_scored_apart(call, region) or gives_loss_of_others(call, region))
                    and not call.is_of_no_module
                    and not call.is_repeated
                ):
                    draft = report(call.node, call.space, layers=call.layers).because([call.module.born])
                    draft.repair(partial(self.switch, call, region, False))
            self.teaching(region, report)
        learning = region.has(*LEARNING)
        if learning and not (region.kind == "program" and region.has("loaded")):
            return
        before = told(region, report)
        for call in calls_after_load(region) if learning else model_calls(region):
            if call.mode is True and call.layers and call.node not in before and not is_dropped(call):
                restored = not self.evaluates(call, region) and self.restored(call, region)
                spread = call.is_of_no_module or call.is_repeated
                if (restored or self.evaluates(call, region)) and not spread:
                    own = switches_itself(call, region)
                    draft = call.report(region, report, layers=call.layers).because([own or call.module.born])
                    if own is None:  # else it would be in train mode again
                        draft.repair(partial(self.switch, call, region, restored and not learns(region)))

    def teaching(self, region: Region, report: Report) -> None:
        """A model with weights from a file teaches another one, in train mode, and learns nothing itself."""
        losses = [event.loss for event in region.of("backward") if isinstance(event.loss, Tensor)]
        taught = {dep.node for loss in losses for dep in loss.deps if not dep.live and any(d.live for d in loss.deps)}
        if not taught or region.has("autograd"):
            return
        learning = {dep.module for loss in losses for dep in loss.deps if dep.live}
        changed = {event.module for event in region.of("edit")}
        loads = region.known(loads_before_learning)
        loaded = {e.module for e in loads if not e.maybe and e.module.attrs.get("$restored") is TRUE}
        owned = frozenset[int]().union(*(o.attrs.get("$modules", ()) for o in optimizers(report.interp)))
        spared = {call.node for call in model_calls(region) if call.mode is not True}
        for call in model_calls(region):
            module = call.module
            if call.node in taught - spared and call.layers and module in loaded and id(module) not in owned:
                if not any(holds(m, module) or holds(module, m) for m in learning | changed):
                    report(call.node, call.space, layers=call.layers).because([module.born])

    def switch(self, call: ModelCall, region: Region, for_good: bool, draft: Draft) -> None:
        """Offer to evaluate in eval mode; and to go back to train mode, unless nothing is trained here."""
        if draft.node is not call.node or any(event.node is call.node for event in region.of("lent")):
            return
        given = keyword(draft.node, "training")
        if given is not None:
            if isinstance(given, cst.Name) and given.value == "True":
                draft.fix("evaluate in eval mode", set_argument(draft.node, "training", "False"))
            return
        index, model = index_of(draft.space), model_of(draft.node)
        place = judged_statement(index, region, draft)
        if model is None or place is None or is_bound_within(index, model, place):
            return
        before = insert_before(place, model, ".eval()")
        if for_good:
            draft.fix("switch to eval mode", before)
        elif not is_left(place):
            draft.fix("evaluate in eval mode", before, insert_after(place, model, ".train()"))

    def evaluates(self, call: ModelCall, region: Region) -> bool:
        if region.kind == "no_grad":
            return call.grad is False and measured(region, call.module)
        if region.kind != "loop":
            return False
        if judges_other_data(region, call.module):
            return measured(region, call.module) or predicted(region, call.module)
        if call.grad is False or call.held_out:
            return measured(region, call.module) or (call.held_out and predicted(region, call.module))
        return over_data(region) and compared(region, call.module)

    def restored(self, call: ModelCall, region: Region) -> bool:
        """A model with loaded weights is asked for predictions, and nothing is learnt. A test may ask in any mode."""
        if not call.loaded or is_test(region):
            return False
        if not (region.kind == "program" or (region.kind == "call" and call.grad is False)):
            return False
        if not region.has(*LEARNING) and learns_out_of_view(region):
            return False
        if measured(region, call.module, call.node):
            return True
        taken = (*region.of("predict"), *region.of("item"))
        return any(depends(event.value, call.module, call.node) for event in taken) or any(
            depends(value, call.module, call.node) for event in region.of("outside") for value in event.values
        )


def is_dropped(call: ModelCall) -> bool:
    """Whether nothing is taken of what a model gives, as where it runs for the statistics of its batch norm."""
    return index_of(call.space).parent(call.node).__class__ is cst.Expr


def learns_out_of_view(region: Region) -> bool:
    """Whether gradients are cleared, or code out of view is handed a loss and an optimizer."""
    handed = (carried(e.values) for kind in ("outside", "escape") for e in region.of(kind))
    return region.has("clear") or any(
        any(isinstance(v, Tensor) and v.graph is True and v.deps for v in values)
        and any(isinstance(v, Instance) and v.family == "optimizer" for v in values)
        for values in handed
    )


def judges_other_data(region: Region, module: Instance) -> bool:
    """Whether a loop evaluates on another loader than those from which a model learns around it."""
    use = loop_use(region)
    if use != "evaluated" and (use not in ("gathered", "walked") or region.has("escape", *LEARNING)):
        return False
    outer = [*outwards(region.parent)]
    learnt = any(depends(e.loss, module) for around in outer for e in around.of("backward"))
    used = {id(e.loader) for around in outer for e in around.of("trained")}
    return learnt and bool(used) and used.isdisjoint(id(loader) for loader in options(region.value))


def is_scored_apart(call: ModelCall, region: Region) -> bool:
    """Whether nothing is learnt from a model's answers but they are compared for equality; or, in another function than
    the one that the model learns in, give a loss."""
    learnt = region.known(teachers).get(call.module)
    if not learnt or is_test(region) or is_of_learnt_batch(call, learnt):
        return False
    compares = [e for e in region.of("compare") if any(dep.node is call.node for dep in e.value.deps)]
    if any(is_equality(e.node) for e in compares):
        decisions = (*(e.value for e in region.of("predict")), *(e.scores for e in region.of("threshold")))
        if any(not is_equality(e.node) for e in compares) or any(
            dep.node is call.node for value in decisions for dep in value.deps
        ):
            return True
    return gives_loss_apart(call, region) or is_scored_by_metric(call, learnt, region)


def is_of_learnt_batch(call: ModelCall, backwards: Iterable[Any]) -> bool:
    """Whether a model is called in the very turn of a loop in which it learns, as for its accuracy on that batch."""
    turn = turn_of(call)
    return turn is not None and not call.held_out and any(turn_of(e) is turn for e in backwards)


def turn_of(event: Any) -> cst.CSTNode | None:
    """The loop in whose turn something happens, in the same function."""
    around = index_of(event.space).ancestors(event.node)
    found = next((above for above in around if isinstance(above, (cst.For, cst.While, cst.FunctionDef))), None)
    return None if isinstance(found, cst.FunctionDef) else found


def is_scored_by_metric(call: ModelCall, learnt: list[Any], region: Region) -> bool:
    """Whether a model's answers are given to a metric out of view, in another function than the model learns in."""
    scored = (v for e in region.of("outside") if "metric" in e.path for v in e.values)
    answers = (v for value in scored for v in (value, *contents(value)) if isinstance(v, Tensor))
    return learns_elsewhere(call, learnt) and any(dep.node is call.node for v in answers for dep in v.deps)


def measures(value: Value) -> bool:
    """Whether a tensor is one number that was measured on a batch, such as its loss."""
    return (
        isinstance(value, Tensor)
        and value.shape == ()
        and value.tally is not None
        and value.tally.what in ("mean", "sum")
    )


def gives_loss_apart(call: ModelCall, region: Region) -> bool:
    """Whether a model's answers give a loss, or have one among them that is read, in another function than the one that
    the model learns in."""
    return call.node in region.known(scored) and learns_elsewhere(call, region.known(teachers).get(call.module))


def gives_loss_of_others(call: ModelCall, region: Region) -> bool:
    """Whether a model's answers give a loss on data of which it learns nothing, while it learns from others."""
    own = tokens_of(call)
    if not own or call.node not in region.known(scored):
        return False
    taught = {dep.node for event in region.known(teachers).get(call.module, ()) for dep in event.loss.deps}
    learnt = [tokens_of(other) for other in model_calls(region) if other.node in taught]
    return bool(learnt) and all(learnt) and all(own.isdisjoint(tokens) for tokens in learnt)


def tokens_of(call: ModelCall) -> frozenset[int]:
    """The data that a model is given."""
    return frozenset[int]().union(*(tensor.data.tokens for tensor in call.inputs))


def teachers(region: Region) -> dict[Instance, list[Any]]:
    """By the models that learn, the backwards whose gradients reach them."""
    found: dict[Instance, list[Any]] = {}
    for event in region.of("backward"):
        for module in dict.fromkeys(dep.module for dep in event.loss.deps if dep.live):
            found.setdefault(module, []).append(event)
    return found


def scored(region: Region) -> set[Any]:
    """The calls of models whose answers give a loss, or have one among them that is read."""
    losses = [e.given for e in region.of("loss")]
    losses += [e.value for e in region.of("item") if e.value.shape == () and measures(e.value)]
    return {dep.node for value in losses for dep in value.deps}


def learns_elsewhere(call: ModelCall, backwards: Sequence[Any] | None) -> bool:
    """Whether there are backwards, and in other functions than that in which a model is called."""
    here = function_of(call) if backwards else None
    return here is not None and all(function_of(e) is not here for e in backwards or ())


def gives_loss_beside(call: ModelCall, region: Region) -> bool:
    """Whether the answers of a model that functions teach give a loss at the top of a script, on anything but what it
    learns from."""
    backwards = region.known(teachers).get(call.module, ())
    if call.node not in region.known(scored) or not backwards or function_of(call) is not None:
        return False
    taught = {dep.node for event in backwards for dep in event.loss.deps}
    learnt = {id(tensor) for other in model_calls(region) if other.node in taught for tensor in other.inputs}
    apart = all(function_of(event) is not None for event in backwards)
    return apart and bool(call.inputs) and learnt.isdisjoint(map(id, call.inputs))


def learns(region: Region) -> bool:
    """Whether anything is learnt in the program that a region is part of."""
    return any(outer.has(*LEARNING) for outer in outwards(region))


def judged_statement(index: Index, region: Region, draft: Draft) -> Any:
    """The statement in which a model is evaluated: the loop or the `with` of a region, else the outermost one around
    the model's call."""
    body = body_of(index, draft.node)
    if region.space is draft.space and isinstance(region.node, (cst.For, cst.While, cst.With)):
        if body_of(index, region.node) is body:
            block = index.parent(region.node)
            context = index.parent(block) if block is not None else None
            return context if isinstance(context, cst.With) and not is_left(context) else region.node
    if region.kind == "program" and region.has(*LEARNING):
        return None
    return around(index, draft.node, body)


def outcomes(region: Region) -> tuple[set[Any], set[Any]]:
    """Of the model calls in a program, those whose outputs are (or may be) learnt from, and those that are judged."""
    escaped = (v for e in region.of("escape") for v in e.values if isinstance(v, Tensor) and v.graph is not False)
    learnt = (*(e.loss for e in region.of("backward")), *(e.value for e in region.of("autograd")), *escaped)
    scored = (e.value for kind in ("compare", "item", "predict") for e in region.of(kind))
    judged = (*scored, *(e.given for e in region.of("loss")))
    return {dep.node for value in learnt for dep in value.deps}, {dep.node for value in judged for dep in value.deps}


def is_test(region: Region) -> bool:
    """Whether a program is a test, as pytest and unittest find them."""
    path, function = region.space.path, region.node
    named = path is not None and (path.name.startswith("test") or path.stem.endswith("_test"))
    return named and isinstance(function, cst.FunctionDef) and function.name.value.startswith("test")


def is_lent(region: Region, module: Instance) -> bool:
    """Whether code out of view gets a model, or an object that has it, and so may train it."""
    given = (o for event in region.of("escape") for v in event.values for o in options(v))
    return any(o is module or (isinstance(o, Instance) and module in o.attrs.values()) for o in given)


def compared(region: Region, module: Instance) -> bool:
    """Whether a model's outputs are compared with something there, as predictions are with labels."""
    return any(depends(event.value, module) for event in region.of("compare"))


class MissingNoGrad(Rule):
    """An evaluation records graphs."""

    code, name = "TL302", "missing-no-grad"
    message = "the evaluation records a graph for gradients that nobody asks for, which costs memory and time"
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on("loop", "program", having="model")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "program":
            self.repeated(region, report)
            return
        if region.kind != "loop" or region.has(*LEARNING, "volatile"):
            return
        if is_one_turn(region.node) or is_counted_out(region.node):
            return
        before = told(region, report)
        for call in model_calls(region):
            if (
                call.grad is True
                and call.node not in before
                and self.evaluates(call, region)
                and not any(t.graph for t in call.inputs)
                and not self.is_kept(region, call)
                and not records_nothing(call, report)
                and not is_graphless(call, region)
                and not call.is_before_no_grad
            ):
                draft = call.report(region, report).because(evaluating(call))
                draft.repair(partial(self.switch_off, region, ()))

    def evaluates(self, call: ModelCall, region: Region) -> bool:
        """Whether a loop that learns nothing judges what a model answers, or takes decisions from it."""
        if call.mode is False and over_loader(region) and not leaves(call, region):
            return True  # whatever it is for: nothing is learnt from what it gives
        apart = call.mode is False or judges_other_data(region, call.module)
        if (apart or call.held_out) and predicted(region, call.module):
            return True
        judged = call.held_out or (compared(region, call.module) and not is_lent(region, call.module))
        return (apart or (over_data(region) and judged)) and measured(region, call.module)

    def is_kept(self, region: Region, call: ModelCall) -> bool:
        """Whether a loop adds up or gathers what a call gives, graph and all: only the program tells what becomes of
        it."""
        return (call.mode is False or call.held_out) and any(
            e.value.graph and depends(e.value, call.module, call.node) for e in region.of("grown")
        )

    def switch_off(self, region: Region | None, further: Sequence[Any], draft: Draft) -> None:
        """Offer to record nothing in the loop, or in the statement of a single call and those of the `further` ones
        behind it that take what it gives; not where the loop trains, too."""
        if region is not None and any(
            isinstance(n, cst.Call) and called(n) == "backward" for n in nodes_in(region.node)
        ):
            return
        index = index_of(draft.space)
        place = draft.node if region is None else judged_statement(index, region, draft)
        if place is not None:
            last = last_beside(index, place, further)
            draft.fix("record no gradients", wrap(place, "with ", imported("torch.no_grad"), "():", last=last))

    def repeated(self, region: Region, report: Report) -> None:
        """Calls in any loop whose outputs are judged and never learnt from, in eval mode or apart from training; those
        of loops that only evaluate are told of already. A single prediction costs little."""
        learnt, judged = outcomes(region)
        if region.has("backward", "autograd") and not region.has("step"):
            return  # gradients without training: of the inputs, as attacks and saliency maps take them
        if is_test(region):
            return  # run once, on a few samples
        if region.has("volatile"):
            return  # a program of the time before `no_grad`
        learnt |= told(region, report)
        often = called_in_loops(region)
        calls = [
            call
            for call in model_calls(region)
            if call.grad is True
            and call.node in often
            and call.node in judged
            and call.node not in learnt
            and (
                call.mode is False
                or call.held_out
                or gives_loss_apart(call, region)
                or gives_loss_of_others(call, region)
                or gives_loss_beside(call, region)
                or (learns_elsewhere(call, region.of("backward")) and is_scored_apart(call, region))
            )
            and not call.on_noise
            and not call.is_before_no_grad
            and not adapts(call)
            and not records_nothing(call, report)
            and not is_graphless(call, region)
        ]
        for call in calls:
            if (
                not any(t.graph for t in call.inputs)
                and not in_model(call)
                and not is_before_backward(call, region.of("backward"))
            ):
                further = [other.node for other in calls if call.node in nodes_behind(other)]
                draft = report(call.node, call.space).because(evaluating(call))
                draft.repair(partial(self.switch_off, None, further))
        if not region.has("autograd") and not told(region, report):
            self.fed_back(region, often - learnt, report)

    def fed_back(self, region: Region, often: set[Any], report: Report) -> None:
        """A model in eval mode gets what it gave in the turn before, as in sampling: one graph over all turns."""
        for call in model_calls(region):
            before = {dep.node for tensor in call.inputs if tensor.graph for dep in tensor.deps if dep.live}
            if call.mode is False and call.grad is True and call.node in often & before and not in_model(call):
                report(call.node, call.space).because(evaluating(call))


def evaluating(call: ModelCall) -> list[Step]:
    """The outermost loop that calls a model and does not train, and the function: where a `with` or a decorator could
    stand."""
    index = index_of(call.space)
    function, loop = index.function(call.node), None
    for outer in index.ancestors(call.node):
        if outer is function or runs_backward(outer):
            break
        loop = outer if isinstance(outer, (cst.For, cst.While)) else loop
    found = [Step(call.space, loop, "the loop that evaluates")] if loop is not None else []
    if isinstance(function, cst.FunctionDef) and not runs_backward(function):
        found.append(Step(call.space, function.name, "the function that evaluates"))
    return found


def runs_backward(code: Any) -> bool:
    return any(called(call) == "backward" for call in calls_in(code))


def adapts(call: ModelCall) -> bool:
    """Whether the function that calls a model asks for gradients itself, as one does that tunes the model for a task:
    who trains goes through the same call."""
    function = index_of(call.space).function(call.node)
    return function is not None and any(called(inner) == "grad" for inner in calls_in(function))


def is_graphless(call: ModelCall, region: Region) -> bool:
    """Whether nothing is known of a module, and it is of another framework, or what it gives goes where only a tensor
    without a graph can."""
    return call.module.cls is None and (
        not is_of_torch(call.space)
        or any(depends(event.value, call.module, call.node) for event in region.of("graphless"))
    )


def records_nothing(call: ModelCall, report: Report) -> bool:
    """Whether a module has nothing to learn; one that is given what another model gave, as a loss is, as far as
    anything is known of what it keeps."""
    return is_weightless(report.interp, call.module, known=not any(tensor.deps for tensor in call.inputs))


def leaves(call: ModelCall, region: Region) -> bool:
    """Whether what a model gives is handed out of view in a region, graph and all."""
    return any(
        isinstance(value, Tensor) and value.graph is not False and depends(value, call.module, call.node)
        for event in region.of("escape")
        for value in carried(event.values)
    )


def nodes_behind(call: ModelCall) -> set[Any]:
    """The model calls that made the inputs of one."""
    return {dep.node for tensor in call.inputs for dep in tensor.deps}


def last_beside(index: Index, place: Any, nodes: Iterable[Any]) -> Any:
    """The last of the statements behind one, in its block, that hold some nodes; None if there is none."""
    statement = index.statement(place)
    line = index.parent(statement) if isinstance(statement, cst.BaseSmallStatement) else statement
    block: Any = index.parent(line) if line is not None else None
    beside = [other for node in nodes if follows(index, line, other := around(index, node, block))]
    return max(beside, key=block.body.index) if beside else None


def before_modes(region: Region, module: Instance, backward: Any) -> Any:
    """The first backward at a place, where it came before a model from out of view was put into eval mode, which alone
    tells that it is one: all are in train mode at first. None if it may ever be put into another mode."""
    modes = [e for e in region.of("mode") if holds(e.module, module)]
    first = next((e for e in region.of("backward") if e.node is backward), None)
    if module.cls is not None or first is None or not modes or any(e.training is not False for e in modes):
        return None
    if id(module) in out_of_sight(region):
        return None
    return first if region.events.index(first) < region.events.index(modes[0]) else None


FEW = 16  # samples to look at


def called_in_loops(region: Region) -> set[Any]:
    """The model calls in a region that a loop makes, be it in a function called there; not one that takes a look at a
    few samples."""
    flow = [(event, inside) for event, inside in nested(region.events) if event.kind in ("model", *LEARNING)]
    learning = {id(block) for event, inside in flow if event.kind in LEARNING for block in inside}
    return {
        event.node
        for event, inside in flow
        if event.kind == "model"
        and any(
            e.block == "loop" and not is_one_turn(e.node) and (id(e) in learning or not is_counted_out(e.node))
            for e in inside
        )
    }


def is_counted_out(loop: Any) -> bool:
    """Whether a loop counts to a small number that is written down."""
    counts = isinstance(loop, cst.For) and is_plain_call(loop.iter, "range")
    given = positional(loop.iter) if counts else []
    return len(given) == 1 and isinstance(given[0], cst.Integer) and given[0].evaluated_value <= FEW


def is_before_backward(call: ModelCall, steps: Sequence[Any]) -> bool:
    """Whether one of these backwards stands further down in the block of a call, whatever it is taken of in the run, or
    behind the branch that this block is, if it is not known of what all."""
    index = index_of(call.space)
    statement = index.statement(call.node)
    line = index.parent(statement) if isinstance(statement, cst.BaseSmallStatement) else statement
    block = index.parent(line) if line is not None else None
    steps = [event for event in steps if event.space is call.space]
    while line is not None and block is not None:
        places = (around(index, event.node, block) for event in steps)
        if any(other is not None and follows(index, line, other) for other in places):
            return True
        steps = [event for event in steps if event.loss.graph is not True or ELSEWHERE in event.loss.deps]
        line = branching(index, block)
        block = index.parent(line) if line is not None else None
    return False


def branching(index: Index, block: Any) -> Any:
    """The outermost of the conditions that a block is one branch of, with `elif` being one of several; None for the
    body of anything else."""
    line = index.parent(block)
    line = index.parent(line) if isinstance(line, cst.Else) else line
    while isinstance(line, cst.If) and isinstance(index.parent(line), cst.If):
        line = index.parent(line)
    return line if isinstance(line, cst.If) else None


def is_one_turn(loop: Any) -> bool:
    """Whether a loop takes one batch and ends."""
    last = loop.body.body[-1] if isinstance(loop, (cst.For, cst.While)) and loop.body.body else None
    return isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], cst.Break)


def in_model(call: ModelCall) -> bool:
    """Whether a model's own method calls one of its parts: training may come by there too."""
    opener = index_of(call.space).class_(call.node)
    cls = call.space.attrs.get(opener.name.value) if opener is not None else None
    if not isinstance(cls, Class) or cls.family != "module" or call.module.cls is cls:
        return False
    method = index_of(call.space).function(call.node)
    switches = [node.func for node in calls_in(method) if called(node) == "eval"]
    # Training does not come by where the model itself goes to eval mode.
    return not any(isinstance(func, cst.Attribute) and is_self(func.value) for func in switches)


class StuckInEvalMode(Rule):
    """Training goes on in evaluation mode."""

    code, name = "TL303", "stuck-in-eval-mode"
    message = "the model stays in eval mode from here on: {epochs} without {what}"
    fixable = Safety.UNSAFE

    @on("backward")
    def check(self, fact: Any, report: Report) -> None:
        node, loss = fact
        interp = report.interp
        if loss.graph is False:
            return  # nothing is learnt from it
        for dep in loss.deps:
            if dep.training is True and dep.node is not None and dep.live:
                self.wrapped(dep, report)
            if dep.training not in (False, "either") or dep.node is None or not dep.live:
                continue
            culprit: Any = None
            trained: Any = None
            turn: Region | None = None
            attacked = False
            for region in outwards(interp.region):
                switched = (e for e in reversed(region.of("mode")) if holds(e.module, dep.module))
                if culprit is None and (culprit := next(switched, None)) is not None:
                    turn = region
                for call in region.of("model"):
                    if call.node is dep.node and call.module is dep.module:
                        if call.mode is True or (call.mode == "either" and is_now_and_then(culprit, turn)):
                            trained = call
                            break
                        attacked = attacked or takes_gradients(call)
            if attacked or culprit is None or culprit.training is not False or is_choice(culprit):
                continue
            if trained is None and turn is not None and (begun := before_modes(turn, dep.module, node)) is not None:
                if mode_matters(interp, dep.module):
                    draft = report(culprit.node, culprit.space, epochs="later epochs train", what=LOST)
                    draft.because([Step(begun.space, begun.node, "trained here")])
                continue
            if trained and (what := lost_in_eval(interp, trained)):
                draft = report(culprit.node, culprit.space, epochs="later epochs train", what=what)
                draft.because([Step(trained.space, trained.node, "trained here")])
                if trained.mode is True:
                    draft.repair(partial(self.switch, turn, trained.space, trained.node))

    def wrapped(self, dep: Dep, report: Report) -> None:
        """A model was trained inside another module, such as one that computes its loss, and switched by itself."""
        for region in outwards(report.interp.region):
            if not any(is_core(e.module, dep.module) for e in region.of("mode")):
                continue
            flow = [event for event, _ in nested(region.events) if event.kind in ("mode", "model")]
            ran = next((e for e in flow if e.kind == "model" and e.node is dep.node and e.mode is True), None)
            modes = [
                e for e in flow if e.kind == "mode" and (holds(e.module, dep.module) or holds(dep.module, e.module))
            ]
            if ran is None or not modes or modes[-1].training is not False or flow.index(modes[0]) < flow.index(ran):
                continue
            what = lost_in_eval(report.interp, ran) if is_core(modes[-1].module, dep.module) else ""
            if what and not surely_frozen(modes[-1].module):
                draft = report(modes[-1].node, modes[-1].space, epochs="later epochs train", what=what)
                draft.because([Step(ran.space, ran.node, "trained here")])
            return

    @on("program", having="backward step mode")
    def from_the_start(self, region: Region, report: Report) -> None:
        """A model, all of whose parameters are trained, that never runs in train mode. Who fine-tunes one, or trains a
        part of it, may mean that, but not who switches to eval mode only after the training has begun."""
        learnt = {dep.module: dep for e in region.of("backward") for dep in e.loss.deps if dep.live and dep.node}
        calls: dict[Instance, list[ModelCall]] = {}
        for call in model_calls(region):
            calls.setdefault(call.module, []).append(call)
        put: dict[Instance, list[Any]] = {}
        for event in region.of("mode"):
            for inner in modules_in(event.module):
                put.setdefault(inner, []).append(event)
        for module, dep in learnt.items():
            runs, modes = calls.get(module, []), put.get(module, [])
            asked = bool(modes) and modes[0].training is True  # for train mode, before the first evaluation
            modes = modes[asked:]
            if not modes or not runs or any(e.training is not False for e in modes):
                continue
            if any(inner.attrs.get("$frozen", FALSE) is not FALSE for inner in modules_in(module)):
                continue  # only a part may be trained
            if any(run.mode is None or (run.mode is True and run.grad is not False) for run in runs):
                continue
            if any(run.mode is not False for run in runs) and not any(is_looped(e, region) for e in modes):
                continue  # a setting picks the mode, for as long as the program runs
            used = (o for e in region.of("step") if e.optimizer is not None for o in options(e.optimizer))
            trains = any(holds_all(report.interp, optimizer, module) for optimizer in used)
            new = not asked and (is_new(report.interp, module, region) or switched_later(modes[0], runs[0], region))
            if trains and (new or are_to_evaluate(modes, runs, region)) and mode_matters(report.interp, module):
                draft = report(modes[0].node, modes[0].space, epochs="it is trained", what=LOST)
                run = next((call for call in runs if call.node is dep.node), runs[0])
                draft.because([Step(run.space, run.node, "trained here"), module.born])

    @on("program", having="backward step model")
    def told_so(self, region: Region, report: Report) -> None:
        """The only model that a function learns is told by each call not to train: libraries whose models keep no
        mode."""
        calls = model_calls(region)
        groups: dict[Any, list[ModelCall]] = {}
        for call in calls:
            if call.grad is True:
                groups.setdefault(index_of(call.space).function(call.node), []).append(call)
        for learnt in groups.values():
            models = {kind_of(call) for call in learnt}
            alike = [call for call in calls if kind_of(call) in models]
            several = len(models) > 1 and len({call.node for call in learnt}) > 1  # at one place, they are alternatives
            if several or any(call.mode is not False or not call.layers for call in alike):
                continue
            if any(holds(e.module, call.module) for e in region.of("mode") for call in learnt):
                continue  # a method set the mode, at times or for good
            if learnt[0].module.family in ("keras", "flax", "haiku"):
                draft = report(learnt[0].node, learnt[0].space, epochs="it is trained", what=LOST)
                draft.because([learnt[0].module.born])

    def switch(self, turn: Region | None, space: Namespace, trained: Any, draft: Draft) -> None:
        """Offer to go back to train mode in each turn of the loop that evaluates, or of the function that it calls."""
        index, model = index_of(space), model_of(trained)
        if model is None or turn is None or turn.kind != "loop":
            return
        body = body_of(index, trained)
        if turn.space is space and body_of(index, turn.node) is body:
            loop = turn.node
            if not is_bound_within(index, model, loop) and any(a is loop for a in index.ancestors(trained)):
                draft.fix("train in train mode", insert_at_start(loop, model, ".train()", space=space))
            return
        function, place = index.function(trained), around(index, trained, body)
        binding = index.binding(function.name) if isinstance(function, cst.FunctionDef) else None
        if binding is not None and len(index.references(binding)) > 1:
            return  # it may be what evaluates, too
        if place is not None and not is_bound_within(index, model, place):
            draft.fix("train in train mode", insert_before(place, model, ".train()", space=space))


def kind_of(call: ModelCall) -> Any:
    """What tells the model of a call from others: its class, where models are values of which each step makes one."""
    return call.module.cls if isinstance(call.module.cls, Class) else call.module


def is_choice(event: Any) -> bool:
    """Whether a setting decides between eval and train mode: `net.train() if tuned else net.eval()`."""
    around = next(
        (above for above in index_of(event.space).ancestors(event.node) if isinstance(above, cst.IfExp)), None
    )
    if around is None:
        return False
    calls = [arm for arm in (around.body, around.orelse) if isinstance(arm, cst.Call)]
    owners = [call.func.value for call in calls if isinstance(call.func, cst.Attribute)]
    return {called(call) for call in calls} == {"eval", "train"} and bool(owners[0].deep_equals(owners[-1]))


def is_core(module: Any, wrapper: Instance) -> bool:
    """Whether a module is inside another one that adds no layers of its own to it."""
    if not isinstance(module, Instance) or module is wrapper or not holds(wrapper, module):
        return False
    inside = {id(inner) for inner in modules_in(module)}
    around = [inner for inner in modules_in(wrapper) if id(inner) not in inside]
    return all(isinstance(inner.cls, Class) for inner in around)


def surely_frozen(module: Instance) -> bool:
    """Whether a module's parameters are kept from learning."""
    return any(inner.attrs.get("$frozen") is TRUE for inner in modules_in(module))


LOST = "dropout and with frozen batch norm"


def lost_in_eval(interp: Interpreter, call: Any) -> str:
    """In words, what a model does in train mode only. Where models are values, what came out of the call tells."""
    if mode_matters(interp, call.module) or (call.layers if call.module.family == "flax" else ""):
        return LOST
    own = [inner for inner in modules_in(call.module) if isinstance(inner.cls, Class)]
    asking = any(
        node.__class__ is cst.If and is_own_mode(node.test, inner)
        for inner in own
        for node in nodes_in(inner.cls.node.body)  # type: ignore[union-attr]
    )
    return "what its layers do in train mode only" if asking else ""


def is_own_mode(test: Any, module: Instance) -> bool:
    """Whether a condition is `self.training`, alone or with a rate of the module's own that is known not to be 0."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        sides = (test.left, test.right), (test.right, test.left)
        return any(is_own_mode(one, module) and is_own_rate(other, module) for one, other in sides)
    return test.__class__ is cst.Attribute and test.attr.value == "training" and is_name(test.value, "self")


def is_own_rate(test: Any, module: Instance) -> bool:
    """Whether a condition is `self.rate > 0`, and holds."""
    rate = test.left if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 else None
    if not isinstance(rate, cst.Attribute) or not is_name(rate.value, "self"):
        return False
    target, value = test.comparisons[0], usual(module.attrs.get(rate.attr.value))
    least = getattr(target.comparator, "evaluated_value", None)
    return isinstance(target.operator, cst.GreaterThan) and least == 0 and value is not None and value > 0


def is_now_and_then(wanted: Any, region: Region | None) -> bool:
    """Whether an event happened in some turns of a loop only, as every hundredth."""
    events = nested(region.events) if region is not None else ()
    return any(event is wanted and any(r.block == "periodic" for r in inside) for event, inside in events)


def is_looped(wanted: Any, region: Region) -> bool:
    """Whether an event happened in a loop."""
    return any(event is wanted and any(r.block == "loop" for r in inside) for event, inside in nested(region.events))


def takes_gradients(call: Any) -> bool:
    """Whether gradients of a model's input itself are wanted, as for an attack, and not those of a model before it."""
    return any(tensor.graph is True and not tensor.deps for tensor in call.inputs)


def holds_all(interp: Interpreter, optimizer: Any, module: Instance) -> bool:
    """Whether an optimizer is known to have all parameters of a model, be they given as a whole or part by part."""
    if not isinstance(optimizer, Instance):
        return False
    owned: frozenset[int] = optimizer.attrs.get("$modules", frozenset())
    left = descendants(module) - owned if owned else None
    return left is not None and not any(id(m) in left and not is_empty(interp, m) for m in modules_in(module))


def is_empty(interp: Interpreter, module: Instance) -> bool:
    """Whether a module of the project's own class has no parameters but those of the modules inside it."""
    values = module.attrs.values()
    return isinstance(module.cls, Class) and not any(leaf_kind(interp, value) == "parameter" for value in values)


def switched_later(mode: Any, run: ModelCall, region: Region) -> bool:
    """Whether a model first ran and was switched to a mode after that."""
    first = next(e for e in region.events if e.node is mode.node or e.node is run.node)
    return first.node is run.node


def are_to_evaluate(modes: list[Any], runs: list[ModelCall], region: Region) -> bool:
    """Whether a model is only switched to eval mode in functions that run it without gradients and train nothing."""
    learning = {function_of(event) for event in region.of("backward")}
    asking = {function_of(run) for run in runs if run.grad is False}
    return {function_of(mode) for mode in modes} <= asking - learning - {None}


def function_of(event: Any) -> Any:
    """The function in which something happened."""
    return index_of(event.space).function(event.node)


def is_new(interp: Interpreter, module: Instance, region: Region) -> bool:
    """Whether a model starts from random weights: all its layers are in view, and before it learns weights are loaded
    at most on a condition, to go on where an earlier run ended."""
    for inner in modules_in(module):
        row = interp.library.class_row(inner.api_path) if isinstance(inner.cls, Api) else None
        if inner.cls is None or (isinstance(inner.cls, Api) and (row is None or "model" in row.raw)):
            return False
    loads = region.known(loads_before_learning)
    if not any(holds(module, e.module) or holds(e.module, module) for e in loads) and not region.has("loaded"):
        return module.attrs.get("$loaded") is not TRUE
    return all(e.maybe for e in loads if holds(module, e.module) or holds(e.module, module))


class ModeCallWithoutParentheses(Rule):
    """A method is named but not called."""

    code, name = "TL305", "mode-call-without-parentheses"
    message = "{what}, so it does nothing"
    fixable = Safety.SAFE
    METHODS = frozenset(("eval", "train", "zero_grad", "step", "backward", "requires_grad_", "apply_gradients"))

    @on("statement")
    def check(self, fact: Any, report: Report) -> None:
        node, value = fact
        if isinstance(node.value, cst.Attribute):
            if all(self.of_library(option) for option in options(value)):
                name = node.value.attr.value
                draft = report(node.value, what=only_named(name))
                if name != "apply_gradients":  # which needs to be told them
                    draft.fix("call it", call_it(node.value))
        elif isinstance(node.value, cst.Call) and isinstance(value, Instance) and value.family == "context":
            if "$grad" in value.attrs and "$immediate" not in value.attrs:
                report(node.value, what="the context is made but not entered with `with`")

    def of_library(self, value: Value) -> bool:
        """Whether a value is one of these methods, as the library has it or a module of the project has its own."""
        if not isinstance(value, Method):
            return False
        receiver = value.receiver
        family = receiver.family if isinstance(receiver, Instance) else ""
        if value.function is not None:
            return family == "module" and value.name in ("eval", "train")
        known = value.name in self.METHODS or (family, value.name) == ("scaler", "update")
        return known and (receiver is UNKNOWN or isinstance(receiver, (Instance, Tensor)))

    @on("enter")
    def entered(self, fact: Any, report: Report) -> None:
        node, manager = fact
        if (
            isinstance(manager, Api)
            and report.interp.library.row(manager.path) is not None
            and manager.path.rpartition(".")[2] in ("no_grad", "inference_mode", "enable_grad")
        ):
            report(node, what=only_named(manager.path.rpartition(".")[2])).fix("call it", call_it(node))

    @on_call("torch.save")
    def saved(self, call: Call, report: Report) -> None:
        value, given = call.first, call.argument("obj", 0)
        held = [(value, given)]
        if isinstance(value, DictObject):
            written = written_entries(report, given)
            held = [(item, written[key]) for key, item in value.known() if key in written]
        for item, named in held:
            if isinstance(item, Method) and item.name == "state_dict":
                draft = report(named, what=only_named("state_dict"))
                if isinstance(named, cst.Attribute):
                    draft.fix("call it", call_it(named))


def only_named(name: str) -> str:
    """In words, that a method is not called."""
    return f"`{name}` is named but not called"


def written_entries(report: Report, node: Any) -> dict[Any, Any]:
    """The entries of a dict by their keys, as they are written where it is made."""
    made = node if isinstance(node, cst.Dict) else definition(index_of(report.space()), node)
    if not isinstance(made, cst.Dict):
        return {}
    return {
        element.key.evaluated_value: element.value
        for element in made.elements
        if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString)
    }


def call_it(named: Any) -> CodeEdit:
    """Call what is only named."""
    return replace(named, named, "()")


class DropoutIgnoresMode(Rule):
    """Dropout stays on in evaluation."""

    code, name = "TL304", "dropout-ignores-mode"
    message = "{what}, so dropout goes on in eval mode"
    fixable = Safety.SAFE

    @on_call("torch.nn.functional.dropout")
    def functional(self, call: Call, report: Report) -> None:
        if report.interp.module_depth == 0 or call.arguments.open or call.via:
            return
        if call.value("training") is None and drops(call.value("p")) and runs_in_eval(report.interp, call.node):
            draft = report(call.node, what=f"`{call.short_name}` is called without `training=self.training`")
            draft.repair(self.pass_mode)

    @on_call("torch.nn.functional.scaled_dot_product_attention")
    def attended(self, call: Call, report: Report) -> None:
        """Attention drops at the rate that it is given, whatever the mode."""
        rate, node = call.value("dropout_p"), call.argument("dropout_p")
        fixed = isinstance(node, (cst.Float, cst.Integer)) or (isinstance(node, cst.Attribute) and is_self(node.value))
        if report.interp.module_depth and fixed and drops(rate) and runs_in_eval(report.interp, call.node):
            report(node, what=f"`{call.short_name}` is given a rate that does not depend on the mode")

    def pass_mode(self, draft: Draft) -> None:
        """Offer to pass the mode on, in the methods of a module."""
        index = index_of(draft.space)
        function = index.function(draft.node)
        if isinstance(draft.node, cst.Call) and isinstance(function, cst.FunctionDef) and index.class_(function):
            params = function.params.params
            if params and params[0].name.value == "self":
                draft.fix("pass the mode on", set_argument(draft.node, "training", "self.training"))

    @on_call(*DROPOUT)
    def layer(self, call: Call, report: Report) -> None:
        interp = report.interp
        function = interp.frame.function
        if interp.module_depth == 0 or function is None or function.name != "forward" or not drops(call.value("p", 0)):
            return
        if runs_in_eval(interp, call.node) and not is_kept(function.node, call.node):
            report(call.node, what="the layer is built anew in `forward`, always in train mode")

    @on("layer")
    def of_flax(self, flow: Flow, report: Report) -> None:
        """A layer of flax is told to drop, whatever the module that it is in is told."""
        function = report.interp.frame.function
        if flow.path not in OTHER_DROPOUT or function is None or not isinstance(function.node, cst.FunctionDef):
            return
        made = flow.layer.born.node if flow.layer is not None and flow.layer.born is not None else None
        said = next((value for node in (flow.node, made) if (value := keyword(node, "deterministic"))), None)
        params = {param.name.value for param in nodes_in(function.node.params) if isinstance(param, cst.Param)}
        if said is not None and is_name(said, "False") and params & {*MODE_NAMES, "deterministic"}:
            report(said, what="`deterministic=False` does not ask the module's own mode")


def drops(p: Value | None) -> bool:
    """Whether a rate of dropout is above 0, as far as is known."""
    return p is None or bounds(p)[0] != 0


def runs_in_eval(interp: Interpreter, call: Any) -> bool:
    """Whether the method at hand runs in eval mode too, and makes a call there the same way as in train mode."""
    function = interp.frame.function
    if function is None or not isinstance(function.node, cst.FunctionDef) or asks_for_mode(function.node, call):
        return False
    params = function.node.params.params
    module = interp.frame.env.get(params[0].name.value) if params else None
    if not isinstance(module, Instance) or module.family != "module":
        return False
    return function.name == "forward" or module.attrs.get("training") is FALSE


def asks_for_mode(function: cst.FunctionDef, dropout: Any) -> bool:
    """Whether a function looks at the mode other than to hand it on, or to decide something beside a call."""
    asked = 0
    beside: set[int] = set()
    for node in nodes_in(function):
        if isinstance(node, cst.If) and is_beside(node, dropout):
            beside.update(map(id, nodes_in(node)))
        if id(node) in beside:
            continue
        if isinstance(node, cst.Name) and node.value in MODE_NAMES:
            asked += 1
        elif isinstance(node, cst.Call) and "dropout" in called(node):
            given = (inner for argument in node.args for inner in nodes_in(argument))
            asked -= sum(isinstance(inner, cst.Name) and inner.value in MODE_NAMES for inner in given)
    return asked > 0


def is_beside(condition: cst.If, call: Any) -> bool:
    """Whether a call is made whatever a condition decides, on things that are not set there."""
    if contains(condition, call) or any(isinstance(node, (cst.Return, cst.Raise)) for node in nodes_in(condition)):
        return False
    given = {node.value for node in nodes_in(call) if isinstance(node, cst.Name)}
    targets = (node.target for node in nodes_in(condition) if isinstance(node, (cst.AssignTarget, cst.AugAssign)))
    return given.isdisjoint(name for target in targets for name in target_names(target))


def is_kept(function: Any, call: cst.CSTNode) -> bool:
    """Whether a layer is put into an attribute, as layers are that are built when first needed."""
    return any(
        isinstance(node, cst.Assign)
        and any(isinstance(target.target, (cst.Attribute, cst.Subscript)) for target in node.targets)
        for node in path_to(function, call)
    )


class FrozenNormUnfrozen(Rule):
    """Batch norm is put in eval mode once, and `train()` wakes it up again."""

    code, name = "TL306", "frozen-norm-unfrozen"
    message = "batch norm is frozen here, but `train` (@) puts it back into train mode before the training goes on"
    severity = Severity.WARNING
    default = False

    @on("program", having="backward mode")
    def check(self, region: Region, report: Report) -> None:
        events = [e for e in region.events if e.kind in ("mode", "model")]
        for i, event in enumerate(events):
            if event.kind != "mode" or event.training is not False or "BatchNorm" not in event.module.api_path:
                continue
            woken: Any = None
            for later in events[i + 1 :]:
                if later.kind == "mode" and holds(later.module, event.module):
                    woken = later if later.training is True and later.module is not event.module else None
                elif later.kind == "model" and woken is not None and later.mode is True and later.grad is True:
                    report(event.node, event.space).because([Step(woken.space, woken.node, "train")])
                    break
