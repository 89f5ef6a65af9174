"""Evaluation, checkpoints, reproducibility."""

from __future__ import annotations

from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.findings import Severity
from trainlint.semantics.interpreter import Region, target_names
from trainlint.semantics.library import Call
from trainlint.semantics.values import UNKNOWN, DictObject, Instance, Step, Value, options, truth
from trainlint.syntax import nodes_in, path_to


class BestWeightsAlias(Rule):
    """The best weights are kept without a copy, so they go on changing."""

    code, name = "TL805", "best-weights-alias"
    message = "`state_dict` gives the weights themselves, not a copy; they go on changing until they are {use} (@)"

    @on("restored")
    def restored(self, fact: Any, report: Report) -> None:
        node, module, given = fact
        for weights in moved(given):
            if weights.attrs["$of"][0] is module and weights.born and in_some_turns(weights.born) is not None:
                draft = report(weights.born.node, weights.born.space, use="restored")
                draft.because([Step(report.space(), node, "the use")])

    @on_call("torch.save")
    def saved(self, call: Call, report: Report) -> None:
        held = [v for o in options(call.first) for v in contents(o)]
        for value in held:
            for weights in moved(value):
                if weights.born is not None and in_some_turns(weights.born) is True:
                    draft = report(weights.born.node, weights.born.space, use="saved")
                    draft.because([Step(report.space(), call.node, "the use")])


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
    return None if any(isinstance(n, cst.Name) and n.value in counters for n in nodes_in(test)) else True


class PartialLoad(Rule):
    """Weights are loaded in part, and nobody looks which."""

    code, name = "TL808", "partial-load"
    message = "`strict=False` skips names that do not match without a word, and the result that lists them is dropped"
    severity = Severity.WARNING

    @on("statement")
    def dropped(self, fact: Any, report: Report) -> None:
        node, value = fact
        if not isinstance(value, Instance) or value.family != "mismatch" or truth(value.attrs["$strict"]) is not False:
            return
        module, given = value.attrs["$pair"]
        if not isinstance(given, Instance) or "$file" not in given.attrs:
            return
        function, source = report.interp.frame.function, report.space().source
        if function is not None and function.owner is not None and function.owner.family == "module":
            return  # whoever builds it decides what becomes of the rest
        around: Any = function.node if function is not None else source.tree if source is not None else node
        if not any(edits(inner) for inner in nodes_in(around)):
            report.interp.event("partial", node.value, module)

    @on("region")
    def check(self, region: Region, report: Report) -> None:
        """A model that is trained on may well start from a part; one that only predicts needs all of it."""
        if region.kind != "program":
            return
        partial = [e for e in region.events if e[0] == "partial"]
        if partial and not any(e[0] in ("backward", "step") for e in region.events):
            for _, node, space, module in partial:
                if not any(e[0] == "escape" and any(holds(v, module) for v in e[3]) for e in region.events):
                    report(node, space)


def holds(value: Value, module: Instance) -> bool:
    """Whether a value is a model, or an object out of view that has it."""
    return any(o is module or (isinstance(o, Instance) and module in o.attrs.values()) for o in options(value))


def edits(node: cst.CSTNode) -> bool:
    """Whether a piece of code takes something out of a collection: then what is missing is known."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in ("pop", "popitem")
    return isinstance(node, cst.Del)


class PlusAssignTypo(Rule):
    """`=+` stands where `+=` is meant."""

    code, name = "TL811", "plus-assign-typo"
    message = "`={sign}` assigns the value, with a sign; `{sign}=` adds it up"

    @on("signed")
    def check(self, fact: Any, report: Report) -> None:
        node, value, before = fact
        target = node.targets[-1]
        gap, after = spaces(target.whitespace_after_equal), spaces(value.operator.whitespace_after)
        if gap or value.lpar or not (after or spaces(target.whitespace_before_equal)):
            return
        if isinstance(value.operator, cst.Plus):
            report(node, sign="+")
        elif isinstance(value.operator, cst.Minus) and after and before is not None and before is not UNKNOWN:
            report(node, sign="-")


def spaces(whitespace: Any) -> bool:
    return bool(getattr(whitespace, "value", ""))
