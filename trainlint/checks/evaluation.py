"""Evaluation, checkpoints, reproducibility."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.data import USES, is_seeded_elsewhere
from trainlint.checks.modes import is_lent, is_one_turn
from trainlint.checks.repairs import around, follows, index_of, is_bound_within
from trainlint.checks.schedules import assigned_name, inner_loops, over_batches, stop_of
from trainlint.checks.totals import (
    READS_WHOLE,
    Feed,
    adds_up,
    assigned_around,
    begins_anew,
    begun_lists,
    counted_names,
    counts_calls,
    counts_each,
    divides,
    fed_objects,
    feeds_of,
    filled_lists,
    gain_of,
    goes_with_turn,
    is_fed,
    is_held,
    is_never_emptied,
    is_number_of_turn,
    is_size,
    is_total,
    kept_totals,
    loop_of,
    mates,
    measures_walked,
    misdirected,
    overwrites_total,
    overwritten_sum,
    read_later,
    replaced_in,
    replaced_lists,
    reread,
    resets,
    restarted,
    sets_to_zero,
    shared,
    starts_at_zero,
    starved_before,
    sums_of_sums,
    targets,
    total_of,
    twins,
    uneven,
    unread_entries,
    unread_totals,
)
from trainlint.edits import augment, imported, replace
from trainlint.findings import Safety, Severity
from trainlint.semantics.arithmetic import counts_batch
from trainlint.semantics.behaviours.data import dataset_part
from trainlint.semantics.behaviours.training import optimizers, touches
from trainlint.semantics.interpreter import FEEDS, Region, is_reset, may_learn, nested, outwards, target_names
from trainlint.semantics.library import Call, modules_in
from trainlint.semantics.modules import carried, is_self
from trainlint.semantics.values import (
    FALSE,
    UNKNOWN,
    Class,
    Const,
    Dep,
    DictObject,
    Function,
    Instance,
    ListObject,
    Number,
    Step,
    Tally,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    const,
    options,
    truth,
    usual,
)
from trainlint.syntax import Index, nodes_in, path_to
from trainlint.syntax.code import (
    called,
    contains,
    is_equality,
    is_name,
    is_one,
    is_plain_call,
    last_name,
    names_in,
    positional,
    words_in,
)

# Batches of that many samples may well be all there are.
MANY_SAMPLES = 1000


class BestWeightsAlias(Rule):
    """The best weights are kept without a copy, so they go on changing."""

    code, name = "TL805", "best-weights-alias"
    message = "{what} themselves, not a copy; they go on changing until they are {use} (@)"
    fixable = Safety.SAFE
    given = "`state_dict` gives the weights"

    @on("restored")
    def restored(self, fact: Any, report: Report) -> None:
        node, module, given = fact
        for weights in moved(given):
            if weights.attrs["$of"][0] is module and weights.born and in_some_turns(weights.born) is not None:
                draft = report(weights.born.node, weights.born.space, what=self.given, use="restored")
                draft.because([Step(report.space(), node, "the use")]).repair(self.copy)

    @on_call("torch.save")
    def saved(self, call: Call, report: Report) -> None:
        held = [v for o in options(call.first) for v in contents(o)]
        for value in held:
            for weights in moved(value):
                if weights.born is not None and in_some_turns(weights.born) is True:
                    draft = report(weights.born.node, weights.born.space, what=self.given, use="saved")
                    draft.because([Step(report.space(), call.node, "the use")]).repair(self.copy)

    @on("returned")
    def returned(self, fact: Any, report: Report) -> None:
        """Told of at the end only: who calls may restore or save them, which says more."""
        node, _, value = fact
        for weights in moved(value) if not isinstance(value, Tuple) else [w for v in value.items for w in moved(v)]:
            if weights.born is not None and in_some_turns(weights.born) is True:
                report.interp.event("handed", node, weights)

    @on("program", having="handed")
    def handed(self, region: Region, report: Report) -> None:
        for _, node, space, weights in region.of("handed"):
            draft = report(weights.born.node, weights.born.space, what=self.given, use="given back")
            label = "the call" if isinstance(node, cst.Call) else "the function"
            draft.because([Step(space, node, label)]).repair(self.copy)

    @on("loop", having="step")
    def kept(self, region: Region, report: Report) -> None:
        """`best = model` where the model is the best so far, and learns on."""
        space = report.space()
        if space.source is None or region.space is not space or not isinstance(region.node, (cst.For, cst.While)):
            return
        for node in nodes_in(region.node.body):
            if not isinstance(node, cst.Assign) or not isinstance(node.value, (cst.Name, cst.Attribute)):
                continue
            target = node.targets[0].target
            if len(node.targets) > 1 or not isinstance(target, cst.Name):
                continue
            if in_some_turns(Step(space, node, "kept")) is True and learns_on(
                report.interp.peek(node.value), node.value, region
            ):
                use = used_behind(space.source.index, target, region.node)
                if use is not None:
                    draft = report(node.value, what="another name for the model keeps the weights", use="used")
                    draft.because([Step(space, use, "the use")]).repair(self.copy_model)

        for node, place in kept_by_object(region, space.source.index):
            if learns_on(report.interp.peek(node.value), node.value, region):
                draft = report(node.value, what="another name for the model keeps the weights", use="used")
                draft.because([Step(space, place, "the use")]).repair(self.copy_model)

    def copy_model(self, draft: Draft) -> None:
        """Offer to keep a copy of the model."""
        draft.fix("copy it", replace(draft.node, imported("copy.deepcopy"), "(", draft.node, ")"))

    def copy(self, draft: Draft) -> None:
        """Offer to keep a copy."""
        if isinstance(draft.node, cst.Call):
            kept = shallow_copy(index_of(draft.space), draft.node) or draft.node
            draft.fix("copy them", replace(kept, imported("copy.deepcopy"), "(", draft.node, ")"))


def kept_by_object(region: Region, index: Index) -> Iterator[tuple[cst.Assign, cst.CSTNode]]:
    """Where an object keeps its model, or another's, under one more name beside the best score, in a loop or in what
    that calls of its class; and where the name is read elsewhere."""
    cls, loop = index.class_(region.node), region.node
    calls = [n for n in nodes_in(loop.body) if isinstance(n, cst.Call)] if cls is not None else []
    called_ones = {called(call) for call in calls if isinstance(call.func, cst.Attribute) and is_self(call.func.value)}
    methods = (m for m in cls.body.body if isinstance(m, cst.FunctionDef)) if cls is not None else ()
    for code in [loop.body, *(m.body for m in methods if m.name.value in called_ones)]:
        for test in (node for node in nodes_in(code) if isinstance(node, cst.If) and keeps_best(node)):
            for node in assigned_in(test):
                target = node.targets[0].target
                if isinstance(target, cst.Attribute) and isinstance(node.value, (cst.Name, cst.Attribute)):
                    if (use := read_elsewhere(index, target, test)) is not None:
                        yield node, use


def assigned_in(test: cst.If) -> list[cst.Assign]:
    """The assignments that stand right behind a condition."""
    lines = (line for line in test.body.body if isinstance(line, cst.SimpleStatementLine))
    return [part for line in lines for part in line.body if isinstance(part, cst.Assign)]


def keeps_best(test: cst.If) -> bool:
    """Whether what follows a comparison keeps one of its sides as the best."""
    compared = [
        side
        for part in conjuncts(test.test)
        if isinstance(part, cst.Comparison) and len(part.comparisons) == 1
        for side in (part.left, part.comparisons[0].comparator)
        if not isinstance(side, cst.BaseNumber)
    ]
    return any(part.targets[0].target.deep_equals(side) for part in assigned_in(test) for side in compared)


def read_elsewhere(index: Index, held: cst.Attribute, code: cst.CSTNode) -> cst.CSTNode | None:
    """A place outside of a piece of code where an attribute of the same object is read."""
    for node in nodes_in(index.module.node):
        if isinstance(node, cst.Attribute) and node.attr.value == held.attr.value and not contains(code, node):
            if not isinstance(index.parent(node), cst.AssignTarget) and node.value.deep_equals(held.value):
                return node
    return None


def learns_on(model: Value | None, node: cst.CSTNode, region: Region) -> bool:
    """Whether a loop surely goes on to train one and the same model, which a node in it names."""
    if not isinstance(model, Instance) or model.family != "module" or model.born is None or changes(node, region.node):
        return False
    if contains(region.node, model.born.node) or any(e.instance is model for e in region.of("built")):
        return False
    optimizers = (e.optimizer for e in region.of("step") if isinstance(e.optimizer, Instance))
    return any(id(model) in optimizer.attrs.get("$modules", ()) for optimizer in optimizers)


def changes(node: cst.CSTNode, loop: cst.CSTNode) -> bool:
    """Whether a name stands for another object in each turn of a loop, which walks over several or looks them up."""
    while isinstance(node, cst.Attribute):
        node = node.value
    if not isinstance(node, cst.Name) or not isinstance(loop, (cst.For, cst.While)):
        return False
    assigns = (n for n in nodes_in(loop.body) if isinstance(n, cst.Assign) and isinstance(n.value, cst.Subscript))
    return any(node.value in targets(taken) for taken in (loop, *assigns) if not isinstance(taken, cst.While))


def used_behind(index: Index, name: cst.Name, loop: cst.CSTNode) -> cst.Name | None:
    """A place behind a loop, in its block, where a name is read that the loop binds, before it is bound anew."""
    block = index.parent(loop)
    lines = (line for line in getattr(block, "body", ()) if isinstance(line, cst.SimpleStatementLine))
    assigns = ((line, part) for line in lines for part in line.body if isinstance(part, cst.Assign))
    anew = (line for line, part in assigns if name.value in targets(part) and follows(index, loop, line))
    end = next(anew, None)
    for binding in index.lookup(name):
        for use in index.references(binding):
            place = around(index, use, block)
            if follows(index, loop, place) and not follows(index, end, place):
                return use
    return None


def shallow_copy(index: Index, node: cst.CSTNode) -> cst.CSTNode | None:
    """The call in `node.copy()`."""
    method = index.parent(node)
    call = index.parent(method) if method is not None else None
    is_copy = isinstance(call, cst.Call) and method is call.func and not call.args and called(call) == "copy"
    return call if is_copy else None


def contents(value: Value) -> list[Value]:
    """What a checkpoint holds."""
    return [v for _, v in value.known()] if isinstance(value, DictObject) else [value]


def moved(value: Value) -> list[Instance]:
    """Those of the alternatives that are weights of a model, given out before it learnt on."""
    return [
        o
        for o in options(value)
        if isinstance(o, Instance) and o.family == "weights" and truth(o.attrs["$moved"]) is not False
    ]


def in_some_turns(step: Step) -> bool | None:
    """Whether something is taken in some turns of a loop only, as the best is; None where the turn's number decides."""
    if step.space.source is None:
        return False
    loop: Any = None
    test: Any = None
    for node in path_to(step.space.source.tree, step.node):
        if isinstance(node, cst.FunctionDef):
            loop = test = None
        elif isinstance(node, (cst.For, cst.While)):
            loop, test = node, None
        elif isinstance(node, cst.If) and loop is not None:
            test = node.test
    if test is None:
        return False
    counters = set(target_names(loop.target)) if isinstance(loop, cst.For) else set()
    return True if any(counters.isdisjoint(names_in(part)) for part in conjuncts(test)) else None


def conjuncts(test: Any) -> list[Any]:
    """The conditions that all have to hold: those between `and`."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        return [*conjuncts(test.left), *conjuncts(test.right)]
    return [test]


class PartialLoad(Rule):
    """Weights are loaded in part, and nobody looks which."""

    code, name = "TL808", "partial-load"
    message = "`strict=False` skips names that do not match without a word, and the result that lists them is dropped"
    severity = Severity.WARNING
    default = False

    @on("statement")
    def dropped(self, fact: Any, report: Report) -> None:
        node, value = fact
        if not isinstance(value, Instance) or value.family != "mismatch" or truth(value.attrs["$strict"]) is not False:
            return
        module, given = value.attrs["$pair"]
        if value.born is None or value.born.node is not node.value:
            return  # a loader of one's own, which knows what it leaves out
        if not isinstance(module, Instance) or not isinstance(given, Instance) or "$file" not in given.attrs:
            return
        if brings_weights(module):
            return  # the file holds the rest
        function = report.interp.frame.function
        if function is not None and function.owner is not None and function.owner.family == "module":
            return  # whoever builds it decides what becomes of the rest
        if not any(edits(inner) for inner in nodes_in(function_at(report) or node)):
            report.interp.event("partial", node.value, module)

    @on("program", having="partial")
    def check(self, region: Region, report: Report) -> None:
        """A model that is trained on may well start from a part; one that only predicts needs all of it."""
        for _, node, space, module in region.of("partial"):
            if may_train(region, module) or is_lent(region, module):
                continue
            report(node, space)


def may_train(region: Region, module: Instance) -> bool:
    """Whether a step may change the weights of a module, or whether it has a part in a training."""
    flow = [(event, inner_loops(inside)) for event, inside in nested(region.events)]
    steps = [(event.optimizer, loops) for event, loops in flow if event.kind == "step"]
    if not steps:
        return region.has("backward")
    reached = frozenset((Dep(module, None, None),))
    training = {id(loop) for _, loops in steps for loop in loops}
    return any(
        not isinstance(optimizer, Instance) or touches(optimizer, reached, False) is not False for optimizer, _ in steps
    ) or any(
        event.kind == "model" and event.module is module and any(id(loop) in training for loop in loops)
        for event, loops in flow
    )


def brings_weights(module: Value) -> bool:
    """Whether a part of a model, or of what it is built from, is a ready-made model with weights of its own."""
    if not isinstance(module, Instance):
        return False
    parts = (v for inner in modules_in(module) for v in (inner, *inner.attrs.values()) if isinstance(v, Instance))
    wholes = (part.attrs.get("$whole", part) for part in parts)
    return any(whole is not module and "$pretrained" in whole.attrs for whole in wholes)


def edits(node: cst.CSTNode) -> bool:
    """Whether a piece of code takes something out of a collection: then what is missing is known."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in ("pop", "popitem")
    return isinstance(node, cst.Del)


class PlusAssignTypo(Rule):
    """`=+` stands where `+=` is meant."""

    code, name = "TL811", "plus-assign-typo"
    message = "`={sign}` assigns the value, with a sign; `{sign}=` adds it up"
    fixable = Safety.SAFE

    @on("signed")
    def check(self, fact: Any, report: Report) -> None:
        node, value, before = fact
        target = node.targets[-1]
        gap, after = spaces(target.whitespace_after_equal), spaces(value.operator.whitespace_after)
        if gap or value.lpar:
            return
        if not after and not spaces(target.whitespace_before_equal):
            # Without any spaces, a sign may stand for symmetry: not that of what is added up from 0.
            if not isinstance(value.operator, cst.Plus) or const(before or UNKNOWN, None) != 0:
                return
        if isinstance(value.operator, cst.Plus):
            report(node, sign="+").repair(self.add_up)
        elif isinstance(value.operator, cst.Minus) and after and before is not None and before is not UNKNOWN:
            report(node, sign="-").repair(self.add_up)

    def add_up(self, draft: Draft) -> None:
        """Offer the sign before the equals sign."""
        signed = draft.node.value
        while isinstance(signed, cst.BinaryOperation):
            if not isinstance(signed.operator, (cst.Multiply, cst.Divide)):
                return  # `-a + b` is not `-(a + b)`
            signed = signed.left
        if len(draft.node.targets) == 1:
            draft.fix("put the sign first", augment(draft.node.targets[0].target, signed))


class LiteralIdentity(Rule):
    """A number or a text is compared by `is`."""

    code, name = "TL812", "literal-identity"
    message = "`{operator}` asks for the same object, not an equal one, so what holds depends on how Python stores it"
    severity = Severity.WARNING
    fixable = Safety.SAFE

    @on("identity")
    def check(self, fact: Any, report: Report) -> None:
        node, target = fact
        equal = "==" if isinstance(target.operator, cst.Is) else "!="
        draft = report(node, operator="is" if equal == "==" else "is not")
        if len(node.comparisons) == 1:
            draft.fix(f"use `{equal}`", replace(node, node.left, f" {equal} ", target.comparator))


def spaces(whitespace: Any) -> bool:
    return bool(getattr(whitespace, "value", ""))


class MetricAveraging(Rule):
    """A total over batches is divided by the wrong number."""

    code, name = "TL802", "metric-averaging"
    message = "{what}, so the result {result}"

    @on("divide")
    def check(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, right_node, _ = fact
        if left.tally is None:
            if right.tally is not None and right.tally.what == "batches":
                self.counted_elsewhere(node, left_node, right.tally.loader, report)
            return
        total, count = left.tally.what, right.tally.what if right.tally is not None else ""
        loader = loader_of(left.tally)
        if total in ("means", "sums") and is_left_over(left.tally, unscaled(left_node), right_node, report):
            what, count = "a sum over all turns", "the number of the last one, which is 1 less than they are"
            self.tell(node, left.tally, report, what, count, "is too large")
            return
        turns = turns_between(left.tally, left_node, report) if total in ("means", "sums") else None
        if turns is not None and is_other_number(turns, right, left.tally):
            count = f"{bounds(right)[0]:g}"
            self.tell(node, left.tally, report, f"a sum over {turns} turns", count, "is no mean of them")
            return
        if total == "sums" and count == "samples" and draws_part(loader) and is_data_of(loader, right.tally.loader):
            what, count = "a sum over the samples that a sampler draws", "the number of all there are"
            self.tell(node, left.tally, report, what, count, "is too small")
            return
        if total == "sums" and fills_last_batch(loader, right_node, report):
            what, count = "a sum over all samples", "the number of batches times their size"
            self.tell(node, left.tally, report, what, count, "is too small where the last batch is not full")
            return
        if total == "sum" and is_size_asked(loader, right, right_node) and self.is_fed_on(node, left.tally, report):
            what, count = "the total of a batch", "the size that batches are asked for"
            self.tell(node, left.tally, report, what, count, "is too small where the last batch is not full")
            return
        if total in ("means", "sums") and count in ("samples", "batches"):
            part, other = dataset_part(loader), dataset_part(right.tally.loader)
            if part and other and part != other:
                what, count = (
                    f"a total over the {PARTS[part]} data",
                    f"the number of {count} of the {PARTS[other]} data",
                )
                self.tell(node, left.tally, report, what, count, "is no mean of them")
                return
            if count == "batches" and are_unlike(loader, right.tally.loader):
                what, count = "a total over the batches of a loader", "the number of those of another one"
                self.tell(node, left.tally, report, what, count, "is no mean of them")
                return
        index = index_of(report.space())
        ones = partial(is_left_at_one, report) if left.tally.scaled else is_one
        if total == "sums" and not count and counts_calls(index, right_node, left.tally.node, ones):
            wrong, names = True, ("a sum weighted with sizes", "the number of its terms")
        elif total == "sums" and not count and counts_each(index, right_node, left.tally.node):
            wrong, names = batched(loader) is True, ("a sum of all samples", "the number of batches")
        elif total == "sums" and not count and counts_terms(unscaled(left_node), right_node):
            wrong = left.tally.scaled or batched(loader) is True
            names = ("a sum of all samples", "the number of batches")
        elif total == "sums" and not count and counts_turns(index, right_node, left.tally):
            count = "batches"
            wrong = batched(loader) is True or (left.tally.scaled and batched(loader) is None)
            names = ("a sum of all samples", "the number of batches")
        elif total == "means" and count in ("samples", "sizes"):
            wrong = batched(loader) is not False and not walks_to(left.tally, right_node)
            names = ("a sum of batch means", "the number of samples")
        elif total == "means" and not count and strides_to(left.tally, right_node):
            wrong, names = True, ("a sum of batch means", "the number of samples")
        elif total == "sums" and count == "batches":
            fed = loader if left.tally.loops else right.tally.loader  # an object that is fed does not see the loop
            several = batched(fed) is True or (left.tally.scaled and batched(fed) is None)
            wrong = several and (right.tally.loader is fed or is_loader(right.tally.loader))
            names = ("a sum of all samples", "the number of batches")
        elif total == "mean" and getattr(right, "batch", False) and isinstance(left, Number):
            wrong, names = batched(loader) is True, ("the mean over a batch", "the size of the batch once more")
        else:
            return
        if wrong and not compensated(report, node):
            self.tell(node, left.tally, report, *names, "depends on the batch size")

    def is_fed_on(self, node: Any, total: Tally, report: Report) -> bool:
        """Whether a loop that learns nothing adds up a quotient of what it measures in each turn."""
        loop: Any = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
        index, turns = index_of(report.space()), report.interp.frame.loops
        if total.loops != tuple(turns) or any(is_plain_call(part, "backward") for part in nodes_in(loop.body)):
            return False
        assign = index.statement(node)
        names = targets(assign) if isinstance(assign, cst.Assign) else []
        given = (part for feeds in feeds_of(loop) for feed in feeds for part in feed.given)
        return any(contains(part, node) or not set(names).isdisjoint(names_in(part)) for part in given)

    def counted_elsewhere(self, node: Any, total: Any, counted: Any, report: Report) -> None:
        """Whatever a loop over one loader adds up is divided by the number of batches of another one."""
        index, region = index_of(report.space()), report.interp.region
        loop = loop_of(index, total) if isinstance(total, cst.Name) else None
        if region is None or not isinstance(loop, cst.For) or not is_total(index, total, loop):
            return
        walked = [event.loader for kind in USES for event in region.of(kind) if event.node is loop]
        if walked and all(are_unlike(loader, counted) for loader in walked):
            what = "a total over the batches of a loader is divided by the number of those of another one"
            draft = report(node, what=what, result="is no mean of them")
            draft.because([Step(report.space(), loop, "added up")])

    @on("multiply")
    def weighted(self, fact: Any, report: Report) -> None:
        """A total of a batch is multiplied by the number of its samples, as its mean should be."""
        _, node, left, right, *_ = fact
        for total, size in ((left, right), (right, left)):
            measured = total.tally
            if measured is not None and measured.what == "sum" and measured.loops and isinstance(size, Number):
                if size.batch or (size.tally is not None and size.tally.what == "size"):
                    way = report.interp.way_to(node, "multiplied")
                    step = next((step for frame, step in way if frame is measured.frame), way[-1][1])
                    what = "the total of a batch is weighted with its size, as its mean should be"
                    report(step.node, step.space, what=what, result="counts samples twice")

    def tell(self, node: Any, total: Tally, report: Report, what: str, count: str, result: str) -> None:
        """Report a division of a total, and where that is added up."""
        draft = report(node, what=f"{what} is divided by {count}", result=result)
        if total.node is not None:
            draft.because([Step(total.frame.space, total.node, "added up")])


PARTS = {"train": "training", "val": "validation", "test": "test"}


def is_left_at_one(report: Report, node: Any) -> bool:
    """Whether an expression is 1, as an argument that the call at hand leaves out may be."""
    return is_one(node) or (isinstance(node, cst.Name) and const(report.interp.peek(node) or UNKNOWN) == 1)


def counts_turns(index: Index, count: Any, total: Tally) -> bool:
    """Whether a name is 0 before the loop that adds up a total, and gets 1 more in each of its turns."""
    loop = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
    if loop is None or not isinstance(count, cst.Name):
        return False
    before, inside = assigned_around(index, count, loop)
    return any(map(sets_to_zero, before)) and len(inside) == 1 and adds_up(inside[0]) and is_one(gain_of(inside[0]))


def counts_terms(total: Any, count: Any) -> bool:
    """Whether a quotient is `sum(x) / len(x)`."""
    if not is_plain_call(total, "sum") or not is_plain_call(count, "len"):
        return False
    summed, counted = positional(total), positional(count)
    return len(summed) == len(counted) == 1 and summed[0].deep_equals(counted[0])


def walks_to(total: Tally, count: Any) -> bool:
    """Whether the loop of a total has as many turns as are counted, `for i in range(count)`, be it behind a bar."""
    loop: Any = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
    walked: Any = getattr(loop, "iter", None)
    while isinstance(walked, cst.Call) and called(walked) != "range" and positional(walked):
        walked = positional(walked)[0]
    turns = positional(walked) if called(walked) == "range" else []
    return len(turns) == 1 and bool(turns[0].deep_equals(count))


def strides_to(total: Tally, count: Any) -> bool:
    """Whether the loop of a total goes through all samples batch by batch: `for i in range(0, len(x), size)`."""
    loop: Any = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
    walked: Any = getattr(loop, "iter", None)
    walked = walked.args[0].value if called(walked) == "enumerate" and walked.args else walked
    args = [arg.value for arg in walked.args] if called(walked) == "range" else []
    several = len(args) == 3 and not (isinstance(args[2], cst.Integer) and args[2].value == "1")
    return several and args[1].deep_equals(count)


def is_left_over(total: Tally, summed: Any, count: Any, report: Report) -> bool:
    """Whether a total is divided, once its loop is over, by the `i` of `for i in range(n)` or of `enumerate(…)`."""
    frame = report.interp.frame
    loop = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
    if total.frame is not frame or len(total.loops) <= len(frame.loops) or not isinstance(loop, cst.For):
        return False
    first = loop.target.elements[0].value if isinstance(loop.target, cst.Tuple) else loop.target
    walked: Any = loop.iter
    from_zero = called(walked) == ("enumerate" if isinstance(loop.target, cst.Tuple) else "range")
    if not from_zero or len(walked.args) != 1 or not is_name(count, getattr(first, "value", "")):
        return False
    # Each turn has to be counted: the total is added to in the body of the loop itself.
    return isinstance(summed, cst.Name) and any(
        adds_up(part) and total_of(part).deep_equals(summed)
        for line in loop.body.body
        if isinstance(line, cst.SimpleStatementLine)
        for part in line.body
    )


def turns_between(total: Tally, summed: Any, report: Report) -> int | None:
    """After how many turns of its loop a total is read and set to 0 again: n for `if i % n == n - 1:`."""
    frame, source = report.interp.frame, report.space().source
    region = frame.loops[-1].region if frame.loops else None
    if source is None or region is None or total.frame is not frame or not isinstance(summed, cst.Name):
        return None
    loop, branch = region.node, None
    for above in source.index.ancestors(summed):
        if above is loop:
            break
        if isinstance(above, (cst.For, cst.While, cst.FunctionDef)):
            return None
        branch = above if isinstance(above, cst.If) else branch
    if branch is None or not isinstance(loop, cst.For):
        return None
    before, inside = assigned_around(source.index, summed, loop)
    added = [assign for assign in inside if isinstance(assign, cst.AugAssign) or adds_up(assign)]
    resets = [assign for assign in inside if sets_to_zero(assign) and contains(branch.body, assign)]
    once = len(added) == 1 and adds_up(added[0]) and not isinstance(gain_of(added[0]), cst.BinaryOperation)
    if not once or not resets or len(inside) != 2 or not any(map(sets_to_zero, before)):
        return None
    straight = all(
        isinstance(above, (cst.SimpleStatementLine, cst.IndentedBlock, cst.With))
        for above in takewhile(lambda above: above is not loop, source.index.ancestors(added[0]))
    )
    return period(branch.test, report) if straight else None


def period(test: Any, report: Report) -> int | None:
    """The n of `i % n == n - 1` and `(i + 1) % n == 0`."""
    if not isinstance(test, cst.Comparison) or not is_equality(test) or not isinstance(test.left, cst.BinaryOperation):
        return None
    if not isinstance(test.left.operator, cst.Modulo):
        return None
    every, rest = whole(test.left.right, report), whole(test.comparisons[0].comparator, report)
    return every if every and rest in (0, every - 1) else None


def whole(node: Any, report: Report) -> int | None:
    """A whole number that is written or that a name stands for."""
    if isinstance(node, cst.Integer):
        return int(node.evaluated_value)
    value = report.interp.peek(node)
    return value.value if isinstance(value, Const) and isinstance(value.value, int) else None


def is_other_number(turns: int, count: Value, total: Tally) -> bool:
    """Whether a number is neither that of some turns nor that of the samples in them."""
    if not isinstance(count, Const) or not isinstance(count.value, int) or count.value in (0, 1, turns):
        return False
    loader = loader_of(total)
    size = loader.attrs.get("batch_size") if is_loader(loader) else None
    times, rest = divmod(count.value, turns)
    return rest != 0 or (isinstance(size, Const) and size.value != times)


def draws_part(loader: Any) -> bool:
    """Whether a loader's sampler draws some of the samples only."""
    sampler = loader.attrs.get("sampler") if is_loader(loader) else None
    return isinstance(sampler, Instance) and sampler.describe() == "SubsetRandomSampler"


def is_data_of(loader: Instance, counted: Any) -> bool:
    """Whether samples are counted in the very data set of a loader."""
    return any(option is counted for option in options(loader.attrs.get("dataset", UNKNOWN)))


# Data sets that are made to try something on often have a number of samples that divides it.
ROUND = 10_000


def fills_last_batch(loader: Any, count: Any, report: Report) -> bool:
    """Whether a number is `len(loader) * batch_size`, though the last batch is kept and may have fewer samples."""
    if not isinstance(count, cst.BinaryOperation) or not isinstance(count.operator, cst.Multiply):
        return False
    if not is_loader(loader) or batched(loader) is not True or not keeps_rest(loader):
        return False
    size = loader.attrs["batch_size"]
    factors: Any = ((count.left, count.right), (count.right, count.left))
    for batches, other in factors:
        measured = positional(batches) if is_plain_call(batches, "len") else []
        if measured and report.interp.peek(measured[0]) is loader:
            if isinstance(other, cst.Attribute) and report.interp.peek(other.value) is loader:
                return bool(other.attr.value == "batch_size")
            factor = report.interp.peek(other)
            return factor is not None and factor is not UNKNOWN and factor.key == size.key
    return False


def is_size_asked(loader: Any, count: Value, node: Any) -> bool:
    """Whether a number is what a loader's batches are asked to hold, though its last batch may have fewer samples."""
    if not is_loader(loader) or batched(loader) is not True or not keeps_rest(loader) or isinstance(node, cst.Integer):
        return False
    return count is not UNKNOWN and count.key == loader.attrs["batch_size"].key


def keeps_rest(loader: Instance) -> bool:
    """Whether a loader serves what does not fill its last batch, and there may well be such a rest."""
    size = loader.attrs["batch_size"]
    dropped = truth(loader.attrs.get("drop_last", FALSE)) is not False
    return not dropped and not (isinstance(size, Const) and ROUND % size.value == 0)


def loader_of(total: Tally) -> Any:
    """What the loop walks over that a total was added up in."""
    region = total.loops[-1].region if total.loops else None
    return region.value if region is not None else total.loader


def is_loader(value: Any) -> bool:
    """Whether a value is surely a loader: what nothing is known of may have samples as items."""
    return isinstance(value, Instance) and value.family == "loader"


def are_unlike(one: Any, other: Any) -> bool:
    """Whether two loaders surely serve different data."""
    if not is_loader(one) or not is_loader(other):
        return False
    mine, theirs = (options(loader.attrs.get("dataset", UNKNOWN)) for loader in (one, other))
    known = all(isinstance(part, Instance) for part in (*mine, *theirs))
    return known and all(part is not whole for part in mine for whole in theirs)


def batched(loader: Any) -> bool | None:
    """Whether a loader gives batches of more than one sample; None for one out of view."""
    if isinstance(loader, Union):
        found = {batched(option) for option in loader.options}
        return found.pop() if len(found) == 1 else None
    if not isinstance(loader, Instance) or loader.family != "loader":
        return None
    if loader.attrs.get("$open") or "batch_sampler" in loader.attrs:
        return None
    size = loader.attrs.get("batch_size")
    return size is not None and bounds(size)[1] > 1 and usual(size) != 1


def function_at(report: Report) -> Any:
    """The function that is run, or the whole file outside of any; None if there is no file."""
    function, source = report.interp.frame.function, report.space().source
    return function.node if function is not None else source.tree if source is not None else None


def compensated(report: Report, node: cst.CSTNode) -> bool:
    """Whether a quotient is multiplied or divided on, which may make up for the number it was divided by."""
    around = function_at(report)
    above = path_to(around, node)[:-1] if around is not None else []
    factors = (
        n for n in reversed(above) if isinstance(n, (cst.BinaryOperation, cst.AugAssign, cst.SimpleStatementLine))
    )
    for outer in factors:
        if not isinstance(outer, cst.BinaryOperation) or not isinstance(outer.operator, (cst.Multiply, cst.Divide)):
            return False
        other = outer.right if contains(outer.left, node) else outer.left
        if not isinstance(other, (cst.Integer, cst.Float)):
            return True
    return False


READING = ("compute", "result", "aggregate")


def read_again(flow: list[Any]) -> Any:
    """The reading of a metric that comes again once a loop inside has fed it more."""
    seen: dict[Any, bool] = {}  # by place of the reading: whether a loop inside has fed the metric since
    around = {event.node: loops_of(inside) for event, inside in reversed(flow)}
    for event, inside in flow:
        if event.what not in READING:
            fed = loops_of(inside)
            seen = {place: more or not fed <= around[place] for place, more in seen.items()}
        elif seen.get(event.node):
            return event
        else:
            seen.setdefault(event.node, False)
    return None


def loops_of(inside: tuple[Any, ...]) -> set[Any]:
    """The loops around an event."""
    return {region.node for region in inner_loops(inside)}


def read_between(flow: list[Any]) -> tuple[Any, Any] | None:
    """Two readings of a metric, one after the other, each behind a loop of its own that has fed it, with no reset in
    between."""
    fed: Any = None  # the loop that has fed it last
    first: tuple[Any, Any, int] | None = None  # a reading, the loop before it, and how deep it is
    for event, inside in flow:
        loops = inner_loops(inside)
        if event.what.startswith("reset"):
            fed = first = None
        elif event.what not in READING:
            fed = loops[-1].node if loops else None
        elif fed is not None:
            if first is not None and first[0].node is not event.node and first[2] == len(loops) and fed is not first[1]:
                return first[0], event
            first = (event, fed, len(loops))
    return None


def is_fed_in_text(metric: Instance) -> bool:
    """Whether the file that makes a metric adds something to it anywhere, be it in code that nobody in view runs."""
    source = metric.born.space.source if metric.born is not None else None
    if source is None or metric.born is None:
        return False
    name = assigned_name(source, metric.born.node)
    calls = (node.func for node in nodes_in(source.tree) if isinstance(node, cst.Call))
    return any(
        last_name(func) == name
        or (
            (isinstance(func, cst.Attribute) and last_name(func.value) == name)
            and func.attr.value not in READING_METRICS
        )
        for func in calls
    )


READING_METRICS = ("result", "compute", "aggregate", "reset", "reset_state", "reset_states")


def fed_instead(metric: Instance, meters: Any) -> Any:
    """The place, after the one where it gets its own, at which the only other metric of the kind is fed."""
    alike = [e for e in meters if e.metric is not metric and e.metric.api_path == metric.api_path and e.what in FEEDS]
    places = {e.node: e for e in alike}
    return [*places.values()][1] if len(places) == 2 and len({id(e.metric) for e in alike}) == 1 else None


LAST = "the value of one batch alone is divided by what is counted over all of them; it was never added up"
LAST_COUNT = (
    "what is counted in each batch replaces the count before, so the total is divided by that of the last alone"
)


EXTREMES = ("MaxMetric", "MinMetric")  # the best so far, of all epochs


def is_metric(value: Any) -> bool:
    """Whether a value is a metric of torchmetrics, or several."""
    return isinstance(value, Instance) and value.api_path.startswith("torchmetrics.")


def uses_of_self(index: Index, cls: cst.ClassDef) -> dict[str, list[tuple[str, str | None, Any]]]:
    """For each attribute of `self`, in which methods of a class it is used, and how: by the name of what is called on
    it, "" where it is called itself, None for any other use."""
    found: dict[str, list[tuple[str, str | None, Any]]] = {}
    inside: Any = nodes_in(cls.body)
    for node in inside:
        above: Any = index.parent(node) if isinstance(node, cst.Attribute) and is_self(node.value) else None
        if above is None or isinstance(above, (cst.AssignTarget, cst.AnnAssign)):
            continue
        called_on = isinstance(above, cst.Attribute) and isinstance(index.parent(above), cst.Call)
        what = above.attr.value if called_on else "" if isinstance(above, cst.Call) and above.func is node else None
        function = index.function(node)
        hook = function.name.value if isinstance(function, cst.FunctionDef) else ""
        found.setdefault(node.attr.value, []).append((hook, what, index.parent(above) if called_on else above))
    return found


def logged_alone(index: Index, uses: list[tuple[str, str | None, Any]]) -> Any:
    """Where an attribute is logged, if all that is done with it is to log or reset it."""
    given = [above for _, what, above in uses if what is None]
    calls = [index.parent(above) if isinstance(above, cst.Arg) else None for above in given]
    return calls[0] if calls and all(called(call) == "log" for call in calls) else None


class MetricAccumulator(Rule):
    """A total is overwritten, never reset, or filled with what belongs elsewhere."""

    code, name = "TL804", "metric-accumulator"
    message = "{what}"

    @on("program", having="meter")
    def unfed(self, region: Region, report: Report) -> None:
        """A metric object that is read in a program, though only others are fed there."""
        if not isinstance(region.node, cst.Module):
            return
        meters = region.of("meter")
        fed = {id(event.metric) for event in meters if event.what not in READING_METRICS}
        lent = {id(v) for kind in ("escape", "outside") for e in region.of(kind) for v in carried(e.values)}
        for event in meters if fed else ():
            metric = event.metric
            if event.what != "result" or not isinstance(metric, Instance) or is_fed_in_text(metric):
                continue  # code out of view may run what feeds it, as a strategy runs a step
            if id(metric) not in fed | lent:
                if (instead := fed_instead(metric, meters)) is not None:
                    what = "this is added to a metric that is fed elsewhere too, and nothing to the one (@) read for it"
                    report(instead.node, instead.space, what=what).because([metric.born])
                    continue
                what = "nothing is ever added to this metric (@), so what is read of it says nothing"
                report(event.node, event.space, what=what).because([metric.born])

    @on("training_step")
    def kept(self, fact: Any, report: Report) -> None:
        """Metrics of torchmetrics that a Lightning module keeps. Lightning itself resets those that are logged as a
        whole, and no others."""
        module = fact[1]
        cls = module.cls
        if not isinstance(cls, Class) or cls.space.source is None or any(isinstance(b, Class) for b in cls.bases):
            return
        index, words = cls.space.source.index, set(words_in(cls.node))
        used = uses_of_self(index, cls.node)
        kept = {name: value for name, value in module.attrs.items() if name in used and is_metric(value)}
        for name, metric in kept.items():
            uses = used[name]
            done = {what for _, what, _ in uses}
            read = [(hook, node) for hook, what, node in uses if what == "compute" and hook.endswith("epoch_end")]
            repeated = [node for hook, node in read if "test" not in hook]
            logged = logged_alone(index, uses) if None in done and "getattr" not in words else None
            place, what = None, ""
            if logged is not None and done <= {None, "compute", "reset"}:
                place, what = logged, "nothing is ever added to this metric (@), so what is logged of it says nothing"
            elif read and done <= {"compute", "reset"}:
                place, what = read[0][1], "nothing is ever added to this metric (@), so what is read of it says nothing"
            elif repeated and done <= {"compute", "update", "forward", ""} and metric.describe() not in EXTREMES:
                place = repeated[0]
                what = "this metric (@) is never reset, so it also holds what the epochs before have added"
            elif done == {"update"}:
                stages = {hook.rpartition("_step")[0] for hook, _, _ in uses}
                others = (u for other in kept.keys() - {name} for u in used[other] if u[1] == "compute")
                place = next((node for hook, _, node in others if any(s and s in hook for s in stages)), None)
                what = "another metric is read here than what this stage adds to (@), which is never read"
            if place is not None:
                report(place, cls.space, what=what).because([metric.born])

    @on("divide")
    def divided(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, right_node, _ = fact
        long = getattr(right, "nature", None) == "a length"
        if long:
            self.shrunk(node, left_node, report)
        if (long or right.tally is not None) and overwrites_total(index_of(report.space()), node, unscaled(left_node)):
            what = "the value of the last batch alone is divided, and takes the place of the total over all of them"
            report(node, what=what)
            return
        if self.unlike_sides(fact, unscaled(left_node), report):
            return
        if left.tally is None or left.tally.frame is not report.interp.frame:
            return
        total, loops = left.tally, report.interp.frame.loops
        if total.what in ("mean", "sum", "some"):
            self.replaced(node, unscaled(left_node), total, right, right_node, report)
        if len(total.loops) > len(loops) and is_number_of_turn(right_node, total.loops[-1].region.node):
            self.goes_on(node, left_node, total, report)
        if right.tally is None:
            return
        if judged_before(total, "sums", loops) and judged_before(right.tally, "sizes", loops):
            sides = ((unscaled(left_node), total.node), (right_node, right.tally.node))
            if not any(is_reset(loops[-1].region.node, held, adding) for held, adding in sides):
                report(node, what="neither the total nor the count is ever reset: earlier evaluations are in them, too")
            return
        if len(total.loops) <= len(loops) or not isinstance(left_node, (cst.Name, cst.Attribute, cst.Subscript)):
            return
        if total.what == "sum" and right.tally.what == "sizes" and not isinstance(left_node, cst.Name):
            if total.loops[: len(loops)] == tuple(loops) and same_loop(total, right):
                report(node, what=LAST)
            return
        if right.tally.what not in ("batches", "samples"):
            return
        if total.what in ("mean", "sum"):
            if (
                total.loops[: len(loops)] == tuple(loops)
                and right.tally.what == "batches"
                and same_loader(total, right)
            ):
                what = "the value of the last batch alone is divided by the number of batches; it was never added up"
                self.lay(node, left_node, total, what, report)
        else:
            self.goes_on(node, left_node, total, report)

    def goes_on(self, node: Any, left_node: Any, total: Tally, report: Report) -> None:
        """What all turns of the loop around have added up is divided by what one of them counts."""
        loops = report.interp.frame.loops
        if loops and total.what in ("means", "sums") and total.loops[len(loops) - 1] is not loops[-1]:
            outer = loops[-1].region
            # Where it is reset, that is on some condition, perhaps that on which it is read.
            if outer is not None and total.loops[len(loops) - 1].region is outer:
                if not is_reset(outer.node, left_node, total.node):
                    what = "the total is never reset, so it also holds what earlier turns of the outer loop added up"
                    report(node, what=what)

    def unlike_sides(self, fact: Any, dividend: Any, report: Report) -> bool:
        """Whether one side of a quotient is of one turn of a loop, or since the beginning, and the other is not."""
        _, node, left, right, _, divisor, _ = fact
        source = report.space().source
        sides = [side for side in (dividend, divisor) if isinstance(side, cst.CSTNode)]  # a function is given values
        if source is None or counted_names(source.text).isdisjoint(name for side in sides for name in names_in(side)):
            return False
        index = source.index
        unlike = uneven(index, dividend, divisor, node)
        if unlike is not None:
            is_count = unlike.targets[0].target.deep_equals(divisor)
            report(unlike, what=LAST_COUNT if is_count else LAST).because([Step(report.space(), node, "the division")])
            return True
        is_measured = left.tally is not None and left.tally.what in ("mean", "sum", "some")
        of_batch = left.tally is not None and left.tally.what == "sum"
        by_all = right.tally is not None and right.tally.what == "sizes"
        is_share = by_all and (of_batch or (left.tally is not None and left.tally.what == "some"))
        share = overwritten_sum(index, dividend, divisor, is_measured, is_share)
        if share is not None:
            report(share, what=LAST).because([Step(report.space(), node, "the division")])
            return True
        if is_never_emptied(index, node, dividend, divisor):
            report(node, what="the total is never reset, so it also holds what was added up before it was divided last")
            return True
        return False

    def lay(self, node: Any, name: Any, total: Tally, what: str, report: Report) -> None:
        """Report a total that is divided at a node where the loop gives it a new value in place of adding to it."""
        region = total.loops[-1].region if total.loops else None
        place = replaced_in(index_of(report.space()), name, region.node) if region is not None else None
        report(place or node, what=what).because([Step(report.space(), node, "the division")])

    def replaced(self, node: Any, name: Any, total: Tally, count: Value, counted: Any, report: Report) -> None:
        """A name that is 0 before the loop, as totals are, gets the value of each batch anew, and is divided by what is
        counted over all of them."""
        loops = report.interp.frame.loops
        loop = total.loops[-1].region.node if total.loops and total.loops[-1].region else None
        if (
            loop is None
            or not isinstance(name, cst.Name)
            or total.loops[: len(loops)] != tuple(loops[: len(total.loops)])
        ):
            return
        within = len(total.loops) == len(loops)
        what = count.tally.what if count.tally is not None else ""
        if within:
            over_all = what == "sizes" or is_number_of_turn(counted, loop)
        else:
            over_all = len(total.loops) == len(loops) + 1 and (
                (what == "batches" and same_loader(total, count))
                or (what == "samples" and of_data(total, count))
                or (what == "sizes" and same_loop(total, count))
                or measures_walked(index_of(report.space()), counted, loop)
                or goes_with_turn(counted, loop)
            )
        if over_all and replaced_in(index_of(report.space()), name, loop) is not None:
            self.lay(node, name, total, LAST, report)

    def shrunk(self, node: Any, name: Any, report: Report) -> None:
        """`total /= len(loader)` in the body of the loop that adds the total up."""
        loops, source = report.interp.frame.loops, report.space().source
        region = loops[-1].region if loops else None
        if region is None or source is None or not isinstance(name, cst.Name):
            return
        index = source.index
        statement = node if isinstance(node, cst.AugAssign) else index.parent(node)
        if statement is None or [*index.ancestors(statement)][2:3] != [region.node]:
            return  # not in the body itself
        before, inside = assigned_around(index, name, region.node)
        sums = [origin for origin in inside if origin is not statement]
        if sums and len(sums) < len(inside) and all(map(adds_up, sums)) and before and all(map(sets_to_zero, before)):
            report(node, what="the running total is divided at every turn of the loop that adds it up, so it is lost")

    @on("program", having="meter")
    def metered(self, region: Region, report: Report) -> None:
        """A metric object is fed and read again and again, and nothing resets it between."""
        flow = [(event, inside) for event, inside in nested(region.events) if event.kind == "meter"]
        reset = {id(event.metric) for event, _ in flow if event.what.startswith("reset")}
        known = {event.node for event, _ in flow}
        if any(called(e.node).startswith("reset") and e.node not in known for e in region.of("outside")):
            return  # what is reset there may be any metric
        gone = {id(value) for event in region.of("escape") for value in carried(event.values)}
        for metric in {id(event.metric): event.metric for event, _ in flow}.values():
            if id(metric) not in reset | gone:
                read = read_again([(event, inside) for event, inside in flow if event.metric is metric])
                if read is not None:
                    what = "the metric is never reset, so it also holds what was fed to it before it was read last (@)"
                    report(read.node, read.space, what=what).because([metric.born])
            elif id(metric) in reset:
                both = read_between([(event, inside) for event, inside in flow if event.metric is metric])
                if both is not None:
                    what = "the metric is not reset here, so what is read of it later (@) holds both loops' values"
                    draft = report(both[0].node, both[0].space, what=what)
                    draft.because([Step(both[1].space, both[1].node, "read")])

    @on("loop")
    def filled(self, region: Region, report: Report) -> None:
        """A loop that evaluates adds to what a loop that trains has filled; or any loop to the total of another one,
        instead of its own."""
        interp = report.interp
        for _, node, space, _, _, loop in region.of("filled"):
            starved = next(starved_before(index_of(space), loop), None) if loop is region.node else None
            if starved is not None:
                what = f"this goes on with the total of an earlier loop, and nothing is ever added to `{starved}`"
                report(node, space, what=what)
        if region.has("backward"):
            interp.event("learnt", region.node)
        elif region.has("filled") and region.has("model") and not region.has("step", "autograd"):
            learnt = {e.node for r in outwards(interp.region) for e in r.of("learnt")}
            # Those around have the events of this region by now, be it of the same loop in a recursion.
            own = {id(event) for event in region.of("filled")}
            before = [e for r in outwards(interp.region) for e in r.of("filled") if id(e) not in own]
            for _, node, space, total, former, loop in region.of("filled"):
                again = former in learnt or any(e.total is total and e.loop in learnt for e in before)
                if loop is region.node and again:
                    what = "what the training loop has added up or collected goes on being filled here"
                    report(node, space, what=what)

    @on("loop", having="loss")
    def gathered(self, region: Region, report: Report) -> None:
        """A list of what each batch gives begins once for all epochs, and is read as a whole after each. Of other loops
        around it is not known whether what they go through is to be judged together."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or not over_batches(region):
            return
        if not region.has("model", "step"):  # a model out of view is trained all the same
            return
        epochs = next((outer for outer in outwards(region.parent) if outer.kind == "loop"), None)
        if epochs is None or not epochs.has("step") or stop_of(epochs.node) is None:
            return
        index = space.source.index
        for held in filled_lists(loop):
            if isinstance(report.interp.peek(held), ListObject) and (whole := reread(index, held, loop)) is not None:
                what = "the list never begins anew, so it also holds what earlier turns of the outer loop put in"
                report(whole, space, what=what).because([Step(space, held, "filled here")])
        for added, quotient in kept_totals(index, loop):
            what = "the total is never reset, so it also holds what earlier turns of the outer loop added up"
            report(quotient, space, what=what).because([Step(space, added, "added up")])
        measured = [event.node for event in region.of("item")]
        for fed in fed_objects(loop):
            name: Any = fed.func.value  # type: ignore[attr-defined]
            meters = options(report.interp.peek(name) or UNKNOWN)
            if all(map(is_meter, meters)) and any(contains(fed, node) for node in measured):
                if (read := read_later(index, fed, loop, partial(only_reads, meters))) is not None:
                    what = "this is never reset, so it also holds what earlier turns of the outer loop put in"
                    report(read, space, what=what).because([Step(space, fed, "filled here")])

    @on("loop", having="model loss")
    def unread(self, region: Region, report: Report) -> None:
        """What is measured in each turn is added up for nobody, and the value of the last one is read instead."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or not over_batches(region):
            return
        index = space.source.index
        for feed, name in unread_totals(index, loop, partial(stands_for_meter, report)):
            measured = report.interp.peek(name)
            if measured is None or measured.tally is None or not is_of_turn(measured.tally, region):
                continue
            if (use := used_behind(index, name, with_contexts(index, loop))) is not None:
                what = "the value of the last batch alone is read, and nobody reads the total of all (@)"
                report(use, space, what=what).because([Step(space, feed, "added up")])

    @on("loop", having="left_over model")
    def left_over(self, region: Region, report: Report) -> None:
        """A loop that evaluates adds up the last value of the loop that trains, in place of what it measures itself."""
        if region.has("step", "autograd", "backward"):
            return
        for _, node, space, added, loop in region.of("left_over"):
            index, names = index_of(space), [name for part in without_sizes(report, added) for name in read_in(part)]
            if loop is region.node and names and not any(is_bound_within(index, name, loop) for name in names):
                what = "the value is left over from a loop that has ended, so each turn adds the same one"
                report(node, space, what=what)

    @on("loop", having="model loss")
    def overwritten(self, region: Region, report: Report) -> None:
        """A name that is 0 before the loop gets the total of each batch anew, and is read when the loop is over."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or not isinstance(loop, cst.For):
            return
        index = space.source.index
        assigns = (part for line in loop.body.body if isinstance(line, cst.SimpleStatementLine) for part in line.body)
        for assign in assigns:
            if not isinstance(assign, cst.Assign) or not isinstance(assign.value, cst.BinaryOperation):
                continue
            name: Any = assign.targets[0].target
            value = report.interp.peek(name) if isinstance(name, cst.Name) else None
            if value is None or value.tally is None or value.tally.what != "sum" or not is_of_turn(value.tally, region):
                continue
            use = used_behind(index, name, with_contexts(index, loop)) if starts_at_zero(index, name, loop) else None
            if use is not None and not divides(index.parent(use)):
                what = (
                    "the total of each batch replaces that of the one before, so only the last is left behind the loop"
                )
                report(assign, space, what=what)

    @on("loop", having="model loss")
    def last_alone(self, region: Region, report: Report) -> None:
        """A loop that evaluates measures the loss of each batch and keeps none, and that of the last is read behind."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or not isinstance(loop, cst.For) or is_one_turn(loop):
            return
        if region.has("backward", "step", "autograd") or any(may_learn(e.values) for e in region.of("escape")):
            return
        walked = region.value
        if not isinstance(walked, Value) or isinstance(walked, Tuple) or any(map(is_whole, options(walked))):
            return
        index = space.source.index
        whole = with_contexts(index, loop)
        for node in dict.fromkeys(event.node for event in region.of("loss") if event.space is space):
            assign = index.statement(node) if around(index, node, loop.body) is not None else None
            name: Any = assign.targets[0].target if isinstance(assign, cst.Assign) else None
            use = read_behind_alone(index, name, loop, whole) if isinstance(name, cst.Name) else None
            if use is not None and not divides(index.parent(use)):
                what = (
                    "each batch replaces the loss of the one before, so that of the last alone is read behind the loop"
                )
                report(assign, space, what=what)

    @on("loop")
    def doubled(self, region: Region, report: Report) -> None:
        """Two totals get the same in each turn, while what was measured beside it goes into none."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or not isinstance(loop, (cst.For, cst.While)):
            return
        for reset, quotient in restarted(loop):
            what = "the total is set to 0 in each turn, so the value of one batch is divided by the number of turns (@)"
            report(reset, space, what=what).because([Step(space, quotient, "divided")])
        walks = region.has("model") and over_batches(region)
        blocks = space.source.index.known(feeds_of, loop)
        if not walks and not any(blocks):
            return
        index = space.source.index
        for meter, start in begins_anew(loop) if walks else ():
            if stands_for_meter(report, meter):
                if used_behind(index, meter, with_contexts(index, loop)) is not None:
                    what = "this begins anew in each turn, so only the last batch is left behind the loop"
                    report(start, space, what=what)
        if not any(blocks):
            return
        for reset, name in resets(loop):
            if used_behind(index, name, with_contexts(index, loop)) is not None:
                report(
                    reset, space, what="the total is set to 0 in each turn, so only the last is left behind the loop"
                )
        for start, one, other in shared(index, blocks):
            if isinstance(report.interp.peek(one), ListObject) or stands_for_meter(report, one):
                what = f"`{one.value}` and `{other.value}` are one and the same, so each gets what the other is given"
                report(start, space, what=what)
        for name, start in begun_lists(loop) if walks else ():
            use = used_behind(index, name, with_contexts(index, loop))
            argument = index.parent(use) if use is not None else None
            read: Any = index.parent(argument) if argument is not None else None
            paths = index.qualified_names(read.func) if isinstance(read, cst.Call) else []
            if len(paths) == 1 and READS_WHOLE.fullmatch(paths[0]):
                what = "this begins anew in each turn, so only the last batch is left behind the loop"
                report(start, space, what=what)
        for assign in replaced_lists(index, loop, with_contexts(index, loop)):
            report(assign, space, what="the list is made anew in each turn, so only the last is left behind the loop")
        for first, second, starved in misdirected(index, blocks):
            what = f"`{starved}`, which is read, gets nothing, and another total of its kind gets two different things"
            report(second.node, space, what=what).because([Step(space, first.node, "the other")])
        for first, second in sums_of_sums(index, loop, blocks) if walks else ():
            what = "each turn adds all that another total (@) has added up so far, so early batches count many times"
            report(second.node, space, what=what).because([Step(space, first.node, "added to")])
        for first, second in twins(index, blocks):
            if (read := compared_later(index, with_contexts(index, loop), first, second)) is not None:
                what = "two lists get the same, so what compares them (@) finds no difference"
                report(second.node, what=what).because([Step(space, read, "compared")])
                continue
            if isinstance(report.interp.peek(second.given[0]), Text):
                continue  # names of what is shown, not what is measured
            unread = [mate for mate in mates(loop, second) if not is_fed(loop, mate)]
            for mate in (*unread, *unread_entries(loop, second)):
                what = f"two totals get the same, so they are always equal, and `{mate}` goes into neither"
                report(second.node, what=what).because([Step(space, first.node, "the other total")])

    @on("loop", having="model")
    def stale(self, region: Region, report: Report) -> None:
        """A loop that evaluates runs the model and drops what it gives, but judges what it gave before the loop."""
        if region.has("backward", "autograd") or not isinstance(region.value, Value):
            return
        calls = {event.node: event.module for event in region.of("model")}
        judged = [(e, e.given) for e in region.of("loss")] + [(e, e.value) for e in region.of("compare")]
        old = [(e, v) for e, v in judged if runs(v) and calls.keys().isdisjoint(runs(v))]
        if not old or any(node in calls for event in region.events for node in uses(event)):
            return
        if any(is_named_and_read(event) for event in region.of("model")):
            return
        for event, value in old:
            if any(dep.module is module for dep in value.deps for module in calls.values()):
                what = "this judges what the model gave before the loop, and what it gives here is never looked at"
                report(event.node, event.space, what=what)


def read_behind_alone(index: Index, name: cst.Name, loop: Any, whole: Any) -> cst.Name | None:
    """Where a name that a loop sets in one place is read behind it, in the loop's own block, if it is not within."""
    block = index.parent(whole)
    bindings = index.lookup(name)
    behind = [around(index, binding.node, block) for binding in bindings if not contains(loop, binding.node)]
    if len(bindings) - len(behind) != 1 or any(follows(index, whole, line) for line in behind):
        return None
    uses = [use for binding in bindings for use in index.references(binding)]
    return None if any(contains(loop, use) for use in uses) else used_behind(index, name, whole)


def is_whole(walked: Any) -> bool:
    """Whether a loop may well walk over all data as one batch."""
    if not is_loader(walked):
        return False
    size = walked.attrs.get("batch_size")
    return isinstance(size, Number) and size.nature == "a length"


def is_meter(value: Value) -> bool:
    """Whether a value is a metric of a library, or an object whose class adds up what it is given."""
    if not isinstance(value, Instance) or value.family not in ("", "metric"):
        return False
    return value.family == "metric" or (
        isinstance(value.cls, Class) and any(map(adds_to_self, nodes_in(value.cls.node)))
    )


def stands_for_meter(report: Report, name: Any) -> bool:
    """Whether a name stands for an object that adds up what it is given."""
    held = report.interp.peek(name)
    return held is not None and all(map(is_meter, options(held)))


def only_reads(meters: tuple[Value, ...], method: str) -> bool:
    """Whether a method of objects changes nothing of them, as far as that can be seen."""
    found = [meter.cls.find(method) for meter in meters if isinstance(meter, Instance) and isinstance(meter.cls, Class)]
    return bool(found) and all(
        isinstance(member, Function) and not any(map(changes_self, nodes_in(member.node.body))) for member in found
    )


def changes_self(node: Any) -> bool:
    """Whether an attribute of `self` is set here, or a method called that may do so."""
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Attribute) and is_held(node.func)
    target = node.target if isinstance(node, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)) else None
    return target is not None and any(map(is_held, nodes_in(target)))


def adds_to_self(node: Any) -> bool:
    """Whether an attribute of `self`, or a part of one, is added to."""
    if isinstance(node, (cst.Assign, cst.AugAssign)):
        return adds_up(node) and is_held(total_of(node))
    owner = node.func.value if is_plain_call(node, "append") and isinstance(node.func, cst.Attribute) else None
    return is_held(owner.func if isinstance(owner, cst.Call) else owner)  # `self.values.setdefault(name, []).append(x)`


def compared_later(index: Index, loop: Any, first: Feed, second: Feed) -> Any:
    """Where a metric of scikit-learn is given two lists behind the loop that fills them."""
    one, other = first.target, second.target
    if not isinstance(one, cst.Name) or not isinstance(other, cst.Name):
        return None
    function = index.function(one)
    for node in nodes_in(function.body) if isinstance(function, cst.FunctionDef) else ():
        call: Any = node if isinstance(node, cst.Call) and len(node.args) > 1 else None
        given = positional(call)[:2] if call is not None else []
        pair = [part.value for part in given if isinstance(part, cst.Name)]
        if sorted(pair) == sorted((one.value, other.value)) and not contains(loop, call):
            paths = index.qualified_names(call.func)
            if len(paths) == 1 and paths[0].startswith("sklearn.metrics."):
                return call
    return None


def is_named_and_read(call: Any) -> bool:
    """Whether what a model gives has a name that is read, be it in ways that the run cannot follow."""
    index = index_of(call.space)
    statement = index.statement(call.node)
    if not isinstance(statement, cst.Assign):
        return False
    targets = [node for target in statement.targets for node in (target.target, *nodes_in(target.target))]
    made = [binding for node in targets if (binding := index.binding(node)) is not None]
    return any(index.references(binding) for binding in made)


def with_contexts(index: Index, loop: cst.CSTNode) -> cst.CSTNode:
    """A loop together with the `with` statements that it stands in."""
    whole = loop
    for above in index.ancestors(loop):
        if isinstance(above, cst.With):
            whole = above
        elif not isinstance(above, cst.IndentedBlock):
            break
    return whole


def is_of_turn(measured: Tally, region: Region) -> bool:
    """Whether something was measured in a turn of this very loop."""
    return bool(measured.loops) and measured.loops[-1].region is region


def read_in(node: Any) -> list[cst.Name]:
    """The names of variables in an expression."""
    return [name for name in nodes_in(node) if isinstance(name, cst.Name)]


def without_sizes(report: Report, node: Any) -> Iterator[Any]:
    """The factors of a product that are no sizes of batches."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Multiply):
        yield from without_sizes(report, node.left)
        yield from without_sizes(report, node.right)
        return
    value = report.interp.peek(node) if isinstance(node, cst.Name) else None
    if not is_size(node) and not is_plain_call(node, "len") and not counts_batch(value):
        yield node


def runs(value: Any) -> set[Any]:
    """The calls of models that a value comes from."""
    return {dep.node for dep in value.deps if dep.node is not None} if isinstance(value, Tensor) else set()


def uses(event: Any) -> set[Any]:
    """The calls of models whose outputs an event is about."""
    values = (v for part in event[3:] for v in (part if isinstance(part, (tuple, list)) else (part,)))
    return set().union(*map(runs, values)) if event.kind != "model" else set()


def of_data(total: Tally, count: Value) -> bool:
    """Whether what was measured came from a loader of the data set whose samples are counted, batch by batch."""
    region = total.loops[-1].region
    loader = region.value if region is not None else None
    if count.tally is None or not isinstance(loader, Instance):
        return False
    if not any(option is count.tally.loader for option in options(loader.attrs.get("dataset", UNKNOWN))):
        return False
    size = loader.attrs.get("batch_size")
    return size is None or (size.tally is None and (not isinstance(size, Const) or bounds(size)[1] <= MANY_SAMPLES))


def same_loop(total: Tally, count: Value) -> bool:
    """Whether a number of samples was added up in the loop in which something was measured."""
    counted = count.tally.loops if count.tally is not None else ()
    return bool(counted) and counted[-1].region is total.loops[-1].region


def judged_before(tally: Tally, what: str, loops: list[Any]) -> bool:
    """Whether an evaluation began to add something up in an earlier turn of a loop that trains between."""
    if not loops or len(tally.loops) != len(loops) + 1 or tally.what != what:
        return False
    began, inner, outer = tally.loops[-2], tally.loops[-1].region, loops[-1].region
    if began is loops[-1] or began.region is not outer or inner is None or outer is None:
        return False
    if any(event.instance.family == "optimizer" for event in outer.of("made")):
        return False  # folds or runs, whose answers may be meant to be judged together
    return not inner.has("step", "backward") and outer.has("step") and stop_of(outer.node) is not None


def unscaled(node: Any) -> Any:
    """What a percentage is computed of: the `x` of `100 * float(x)`."""
    while isinstance(node, cst.Call) and called(node) in ("float", "item", "double"):
        node = node.func.value if isinstance(node.func, cst.Attribute) else node.args[0].value if node.args else None
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Multiply):
        if isinstance(node.left, (cst.Integer, cst.Float)):
            return unscaled(node.right)
        if isinstance(node.right, (cst.Integer, cst.Float)):
            return unscaled(node.left)
    return node


def same_loader(total: Tally, count: Value) -> bool:
    """Whether what was measured came from the loader whose batches are counted."""
    return count.tally is not None and any(
        turn.region.value is count.tally.loader for turn in total.loops if turn.region
    )


class UnseededRun(Rule):
    """A training run draws random numbers without a seed."""

    code, name = "TL801", "unseeded-run"
    message = "the run trains a model and no seed is set anywhere, so it cannot be repeated"
    severity = Severity.WARNING
    default = False

    @on("program", having="backward step")
    def check(self, region: Region, report: Report) -> None:
        if not isinstance(region.node, cst.Module):
            return
        if not region.has("seed") and not is_seeded_elsewhere(region):
            report(region.node.body[0], region.space)


class LossOnlyEvaluation(Rule):
    """An evaluation of a classifier computes nothing but its loss."""

    code, name = "TL806", "loss-only-evaluation"
    message = "the evaluation looks at the loss alone; accuracy may move the other way"
    severity = Severity.WARNING
    default = False
    LOSSES = frozenset(f"torch.nn.functional.{name}" for name in ("cross_entropy", "nll_loss"))
    OTHER = ("backward", "step", "autograd", "compare", "predict", "collect", "threshold")

    @on("loop", having="model loss")
    def check(self, region: Region, report: Report) -> None:
        if region.has(*self.OTHER):
            return
        if not all(e.mode is False or e.grad is False for e in region.of("model")):
            return  # not in eval mode, and gradients are recorded
        gone = (v for e in (*region.of("outside"), *region.of("escape")) for v in e.values)
        if any(isinstance(v, Tensor) and v.deps and v.nature != "a loss" for v in gone):
            return
        for loss in region.of("loss"):
            if loss.path in self.LOSSES and loss.given.deps:
                report(loss.node, loss.space)


class CheckpointIncomplete(Rule):
    """A checkpoint for resuming leaves the optimizer out."""

    code, name = "TL809", "checkpoint-incomplete"
    message = "the checkpoint holds epoch and weights, but no optimizer state: the run cannot be resumed as it was"
    severity = Severity.WARNING
    default = False

    @on_call("torch.save")
    def check(self, call: Call, report: Report) -> None:
        held = call.first
        if not isinstance(held, DictObject) or held.rest is not None or report.interp.nearest_loop() is None:
            return
        entries = dict(held.known())
        plain = (Const, Number, Text, Tensor)
        weights = [v for v in entries.values() if isinstance(v, Instance) and v.family == "weights"]
        if weights and all(isinstance(v, plain) or v in weights for v in entries.values()):
            if "epoch" in entries and optimizers(report.interp):
                report(call.node)


class Nondeterminism(Rule):
    """A run that asks to be deterministic lets cuDNN choose its algorithms by timing."""

    code, name = "TL810", "nondeterminism"
    message = "`benchmark` picks algorithms by timing, which undoes the determinism asked for (@)"
    severity = Severity.WARNING
    default = False
    CUDNN = "torch.backends.cudnn"

    @on("program", having="setting")
    def check(self, region: Region, report: Report) -> None:
        if not isinstance(region.node, cst.Module):
            return
        settings = {e.path: e for e in region.of("setting")}
        timing, claim = settings.get(f"{self.CUDNN}.benchmark"), settings.get(f"{self.CUDNN}.deterministic")
        if claim is None or truth(claim.value) is not True:
            asked = (e for e in region.of("outside") if e.path == "torch.use_deterministic_algorithms")
            claim = next((e for e in asked if e.values and truth(e.values[0]) is True), None)
        if timing is not None and claim is not None and truth(timing.value) is True:
            report(timing.node, timing.space).because([Step(claim.space, claim.node, "asked for")])
