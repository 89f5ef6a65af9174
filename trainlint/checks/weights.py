"""Weights that are loaded or changed by hand, and graphs that are kept without need."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, Safety, Severity, on
from trainlint.checks.repairs import index_of
from trainlint.checks.schedules import inner_loops
from trainlint.edits import remove_argument
from trainlint.semantics.behaviours.layers import is_branch
from trainlint.semantics.behaviours.training import descendants
from trainlint.semantics.interpreter import Interpreter, Region, nested, outwards
from trainlint.semantics.library import PURE, asking, modules_in
from trainlint.semantics.modules import leaf_kind, project_bases
from trainlint.semantics.values import ELSEWHERE, FALSE, TRUE, Api, Class, Instance, Step, Tensor, options
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_name, is_plain

# Methods that give a new tensor, and whose twins with a `_` change the one they are called on.
COPYING = frozenset("abs add addcdiv addcmul clamp clip div lerp masked_fill mul neg pow sign sub".split())


class ParameterEditedInGraph(Rule):
    """A parameter is changed in a way that fails, is lost, or spoils the gradients."""

    code, name = "TL210", "parameter-edited-in-graph"
    message = "{what}"

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "program" and region.has("edit") and region.has("backward"):
            self.between(region, report)
        elif region.kind == "loop" and region.node.__class__ is cst.For and region.space is report.space():
            self.walked(region, report)

    @on("statement")
    def stated(self, fact: Any, report: Report) -> None:
        call = fact[0].value
        if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) and changes(call.func.attr.value):
            if is_learnt(report.interp, call.func.value):
                report(call, what=self.raises)

    @on("edited")
    def edited(self, fact: Any, report: Report) -> None:
        node, tensor = fact
        asks = report.interp.flags.get(asking(tensor), TRUE)
        if report.interp.grad is True and leaf_kind(report.interp, tensor) == "parameter" and asks is TRUE:
            report(node, what=self.raises)

    @on("augmented")
    def augmented(self, fact: Any, report: Report) -> None:
        if isinstance(fact[0].target, cst.Attribute) and is_learnt(report.interp, fact[0].target):
            report(fact[0], what=self.raises)

    def between(self, region: Region, report: Report) -> None:
        """Weights changed past the graph between the forward pass and the backward pass through it."""
        calls: dict[Any, int] = {}
        spent: dict[Any, int] = {}  # when a backward pass went through what a call computed
        edits: list[tuple[int, Any]] = []
        owned = frozenset[int]().union(
            *(e.optimizer.attrs.get("$modules", ()) for e in region.of("step") if isinstance(e.optimizer, Instance))
        )
        for i, event in enumerate(region.events):
            if event.kind == "model":
                calls[event.node] = i
                spent.pop(event.node, None)
            elif event.kind == "edit" and event.tensor.graph is False:
                edits.append((i, event))
            elif event.kind == "backward":
                for dep in event.loss.deps:
                    if not dep.live or dep.node not in calls or owned.isdisjoint(descendants(dep.module)):
                        continue
                    begun = calls[dep.node]
                    done = spent.setdefault(dep.node, i)
                    between = [
                        pair for pair in edits if begun < pair[0] <= done and related(pair[1].module, dep.module)
                    ]
                    if are_put_back(between, region):
                        continue
                    for _, edit in between:
                        what = (
                            "these weights change after the forward pass (@) and before its `backward`, past the "
                            "graph, so the gradients are silently wrong"
                        )
                        call = region.events[begun]
                        statement = index_of(edit.space).statement(edit.node)
                        draft = report(statement or edit.node, edit.space, what=what)
                        forward = Step(call.space, call.node, "forward")
                        draft.because([forward, Step(event.space, event.node, "backward")])

    def walked(self, region: Region, report: Report) -> None:
        """A loop over parameters whose body does not change them as it seems to."""
        walked = list(walked_parameters(region.node, report.interp))
        for name, module in walked:
            self.in_body(region, name, module, report)
            if is_frozen(module) and report.interp.grad is True and in_training(region):
                self.averaged(region, name, {other for other, model in walked if learnable(model)}, report)

    def averaged(self, region: Region, name: str, learnt: set[str], report: Report) -> None:
        """A frozen copy of a model follows its parameters as they are, and so takes their graph in with each step."""
        for statement, guarded in statements(region.node.body):
            call = getattr(statement, "value", None)
            if guarded or not isinstance(statement, cst.Expr) or not isinstance(call, cst.Call):
                continue
            owner: Any = call
            while isinstance(owner, cst.Call) and isinstance(owner.func, cst.Attribute) and changes(called(owner)):
                owner = owner.func.value
            given = {arg.value.value for arg in call.args if isinstance(arg.value, cst.Name)}
            if owner is not call and is_name(owner, name) and given & learnt:
                what = (
                    f"`{name}` takes in the graph of each step, which grows without end; `torch.no_grad()` prevents it"
                )
                report(statement, what=what)

    def in_body(self, region: Region, name: str, module: Instance, report: Report) -> None:
        records = report.interp.grad is True and learnable(module) and in_training(region)
        records = records and not is_let_go(region.node.body, name)
        for statement, guarded in statements(region.node.body):
            value = getattr(statement, "value", None)
            if isinstance(statement, cst.Assign):
                target = statement.targets[0].target
                if len(statement.targets) == 1 and is_name(target, name):
                    if makes_new(value, name, report.interp) and never_read(region, statement, name):
                        what = f"this only gives the name `{name}` a new tensor; the parameter itself stays as it was"
                        report(statement, what=what)
            elif isinstance(statement, cst.AugAssign):
                if records and not guarded and is_name(statement.target, name):
                    report(statement, what=self.raises)
            elif isinstance(statement, cst.Expr) and isinstance(value, cst.Call):
                owner, method = value.func, called(value)
                if not isinstance(owner, cst.Attribute):
                    continue
                if method in COPYING and is_name(stripped(owner.value), name):
                    what = f"`{method}` gives a new tensor, which is dropped, so the parameter itself stays as it was"
                    report(value, what=what)
                elif records and not guarded and is_name(owner.value, name) and changes(method):
                    report(value, what=self.raises)

    raises = "a parameter is changed in place where gradients are recorded, which fails; `torch.no_grad()` allows it"


def are_put_back(edits: list[tuple[int, Any]], region: Region) -> bool:
    """Whether other weights are put into a model, by the `data` of its parameters, it runs with them without a graph,
    and then others are put in again: most likely those that it had."""
    places = [place for place, edit in edits if edit.node.__class__ is cst.Attribute]
    if len(places) < len(edits) or len({edit.node for _, edit in edits}) < 2:
        return False
    looked = region.events[places[0] : places[-1]]
    return any(e.kind == "model" and e.grad is False and related(edits[0][1].module, e.module) for e in looked)


def related(edited: Instance, run: Instance) -> bool:
    """Whether one of two modules is the other or lies in it."""
    return id(edited) in descendants(run) or id(run) in descendants(edited)


def changes(method: str) -> bool:
    """Whether a method changes its tensor in place."""
    return method.endswith("_") and not method.startswith("_") and method not in PURE


def is_learnt(interp: Interpreter, node: Any) -> bool:
    """Whether an expression names a parameter itself, of which gradients are recorded here: `self.fc.weight`."""
    found = interp.peek(node) if interp.grad is True and isinstance(node, cst.Attribute) else None
    if isinstance(found, Instance) and "$weight" in found.attrs:
        layer = found.attrs["$whole"]
        asks = found.attrs.get("requires_grad", TRUE) is TRUE
        return asks and isinstance(layer, Instance) and learnable(layer)
    return False


def learnable(module: Instance) -> bool:
    """Whether gradients are recorded for all parameters of a module, which was made in view."""
    inside = modules_in(module)
    return module.born is not None and all(m.attrs.get("$frozen", FALSE) is FALSE for m in inside)


def is_frozen(module: Instance) -> bool:
    """Whether no gradients are recorded for any parameter of a module."""
    return all(m.attrs.get("$frozen") is TRUE for m in modules_in(module))


def is_let_go(body: Any, name: str) -> bool:
    """Whether a loop's body takes a parameter out of the graph, or asks for no gradients of it."""
    attributes = (node for node in nodes_in(body) if isinstance(node, cst.Attribute) and is_name(node.value, name))
    return any(node.attr.value in ("detach_", "requires_grad_", "requires_grad") for node in attributes)


def in_training(region: Region | None) -> bool:
    """Whether gradients were computed before, in the same loops."""
    return any(outer.has("backward") for outer in outwards(region))


def walked_parameters(loop: cst.For, interp: Interpreter) -> Iterator[tuple[str, Instance]]:
    """The names that a loop gives the parameters of modules, and the modules: also in a `zip` or `enumerate`."""
    pairs: list[tuple[Any, Any]] = [(loop.iter, loop.target)]
    if isinstance(loop.iter, cst.Call) and isinstance(loop.iter.func, cst.Name) and isinstance(loop.target, cst.Tuple):
        first = {"zip": 0, "enumerate": 1}.get(loop.iter.func.value)
        targets = [element.value for element in loop.target.elements[first:]]
        if first is not None and len(targets) == len(loop.iter.args):
            pairs = [(arg.value, target) for arg, target in zip(loop.iter.args, targets, strict=True)]
    for source, target in pairs:
        if not isinstance(source, cst.Call) or not isinstance(source.func, cst.Attribute) or source.args:
            continue
        method, name = called(source), target
        if method == "named_parameters" and isinstance(target, cst.Tuple) and len(target.elements) == 2:
            name = target.elements[1].value
        elif method != "parameters":
            continue
        if isinstance(name, cst.Name) and is_plain(source.func.value):
            held = options(interp.eval(source.func.value))
            modules = [m for m in held if isinstance(m, Instance) and (m.family == "module" or m.cls is None)]
            if modules and len(modules) == len(held):
                yield name.value, next((m for m in modules if not learnable(m)), modules[0])


def statements(body: Any, guarded: bool = False) -> Iterator[tuple[Any, bool]]:
    """The simple statements of a block, and whether a `with` or `try` lies around each of them."""
    for statement in body.body:
        if isinstance(statement, cst.SimpleStatementLine):
            yield from ((small, guarded) for small in statement.body)
        elif isinstance(statement, (cst.If, cst.Else, cst.With, cst.Try)) and hasattr(statement.body, "body"):
            yield from statements(statement.body, guarded or isinstance(statement, (cst.With, cst.Try)))
            if isinstance(statement, cst.If) and statement.orelse is not None:
                yield from statements(cst.IndentedBlock([statement.orelse]), guarded)  # type: ignore[list-item]


def stripped(node: Any) -> Any:
    """`p` of `p.data` and `p.detach()`."""
    if isinstance(node, cst.Call) and called(node) == "detach" and isinstance(node.func, cst.Attribute):
        return node.func.value
    return node.value if isinstance(node, cst.Attribute) and node.attr.value == "data" else node


def makes_new(value: Any, name: str, interp: Interpreter) -> bool:
    """Whether an expression computes a new tensor from a name's and does nothing besides."""
    inside = list(nodes_in(value))
    if not any(is_name(node, name) for node in inside):
        return False
    for node in inside:
        if isinstance(node, cst.Call):
            if not isinstance(node.func, cst.Attribute) or node.func.attr.value.endswith("_"):
                return False
            root: Any = node.func.value
            while not isinstance(root, cst.Name):
                if not isinstance(root, (cst.Attribute, cst.Call)):
                    return False
                root = root.func if isinstance(root, cst.Call) else root.value
            function = interp.eval(node.func) if root.value != name else None
            if root.value != name and not (isinstance(function, Api) and function.path.startswith("torch.")):
                return False
    return isinstance(value, (cst.BinaryOperation, cst.UnaryOperation, cst.Call))


def never_read(region: Region, assign: Any, name: str) -> bool:
    """Whether nothing reads what an assignment in a loop gives a loop's own name."""
    index = index_of(region.space)
    own = {id(node) for node in nodes_in(assign)}
    around = {id(node): node for node in index.ancestors(assign)}
    before = set()
    for statement in region.node.body.body:
        if id(statement) in around:
            tests = [node.test for node in around.values() if isinstance(node, cst.If)]
            before |= {id(node) for test in tests for node in nodes_in(test)}
            break
        before |= {id(node) for node in nodes_in(statement)}
    here = {id(node) for node in nodes_in(region.node)}
    uses = [use for binding in index.lookup(assign.targets[0].target) for use in index.references(binding)]
    for use in uses:
        if id(use) in own or id(use) in before:
            continue
        if id(use) in here or not rebound(index, use, name):
            return False
    return True


def rebound(index: Any, use: Any, name: str) -> bool:
    """Whether a loop around a use gives the name anew."""
    return any(
        isinstance(node, cst.For) and any(is_name(part, name) for part in nodes_in(node.target))
        for node in index.ancestors(use)
    )


class NeedlessRetainGraph(Rule):
    """A graph is kept although nothing goes through it again."""

    code, name = "TL211", "needless-retain-graph"
    message = "the graph is kept after `backward`, but nothing goes through it again, so its memory is held for nothing"
    severity = Severity.WARNING
    default = False
    fixable = Safety.SAFE

    @on("program", having="backward")
    def check(self, region: Region, report: Report) -> None:
        if not any(e.kept for e in region.of("backward")):
            return
        if region.has("autograd", "grown"):
            return
        kept: dict[Any, list[tuple[Any, set[Any]]]] = {}
        needed: set[Any] = set()
        open_graphs: dict[Any, set[Any]] = {}  # by the call of a model: those whose backward has kept its graph
        inputs: dict[Any, list[Any]] = {}
        order: dict[Any, int] = {}
        for event, inside in nested(region.events):
            if event.kind == "model":
                open_graphs.pop(event.node, None)
                inputs.setdefault(event.node, []).append(event)
                order.setdefault(event.node, len(order))
            elif event.kind in ("backward", "escape"):
                graphs = through(event.loss if event.kind == "backward" else event.values)
                for call in graphs:
                    needed |= open_graphs.get(call, set())
                if event.kind == "backward":
                    if event.kept is not True or not inner_loops(inside) or not plain(event.loss):
                        needed.add(event.node)
                    kept.setdefault(event.node, []).append((event, graphs))
                    for call in graphs:
                        open_graphs.setdefault(call, set()).add(event.node)
        for node, events in kept.items():
            calls = set[Any]().union(*(graphs for _, graphs in events))
            argument = self.argument(node)
            if node not in needed and argument is not None and calls and all(c in inputs for c in calls):
                if not any(carried(event, order) for call in calls for event in inputs[call]):
                    report(node, events[0][0].space).repair(self.forget)

    def argument(self, call: Any) -> Any:
        """The argument that keeps the graph, where it is written out and no graph of gradients is made."""
        if not isinstance(call, cst.Call) or any(not isinstance(arg.keyword, cst.Name) for arg in call.args):
            return None
        given = {arg.keyword.value: arg for arg in call.args if arg.keyword is not None}
        found = given.get("retain_graph")
        return found if found is not None and is_name(found.value, "True") and "create_graph" not in given else None

    def forget(self, draft: Draft) -> None:
        draft.fix("leave `retain_graph` out", remove_argument(draft.node, self.argument(draft.node)))


def through(value: Any) -> set[Any]:
    """The calls of models that a gradient would go through from a value, or from the values that code gets."""
    if isinstance(value, tuple):
        return set[Any]().union(*map(through, value))
    if not isinstance(value, Tensor):
        return set()
    return {dep.node for dep in value.deps if dep.live and dep.node is not None and not dep.scales}


def plain(loss: Tensor) -> bool:
    """Whether a loss comes from calls of known models alone."""
    deps = [dep for dep in loss.deps if not dep.scales and dep is not ELSEWHERE]
    return bool(deps) and all(dep.node is not None and dep.module.cls is not None for dep in deps)


def carried(call: Any, order: dict[Any, int]) -> bool:
    """Whether a model got something computed in an earlier turn, or keeps something computed itself."""
    if feeds_itself(call):
        return True
    deps = (dep for value in call.inputs for dep in value.deps if dep.live)
    late = any(order.get(dep.node, len(order)) >= order[call.node] for dep in deps)
    return late or any(keeps_state(module) for module in modules_in(call.module))


def keeps_state(module: Instance) -> bool:
    """Whether a class of the project sets attributes of its instances after they were made."""
    if not isinstance(module.cls, Class):
        return False
    classes = (module.cls, *project_bases(module.cls))
    methods = (node for cls in classes for node in cls.node.body.body if isinstance(node, cst.FunctionDef))
    return any(
        isinstance(part, cst.Attribute) and is_name(part.value, "self")
        for method in methods
        if method.name.value != "__init__"
        for node in nodes_in(method)
        if isinstance(node, cst.Assign)
        for target in node.targets
        for part in nodes_in(target)
    )


def feeds_itself(call: Any) -> bool:
    """Whether a name that a call gets is one that its result is given to."""
    statement = index_of(call.space).statement(call.node)
    if not isinstance(statement, cst.Assign) or not isinstance(call.node, cst.Call):
        return False
    given = {node.value for arg in call.node.args for node in nodes_in(arg) if isinstance(node, cst.Name)}
    bound = {part.value for t in statement.targets for part in nodes_in(t) if isinstance(part, cst.Name)}
    return not given.isdisjoint(bound - {"self"})


class UpdateOutsideOptimizer(Rule):
    """Weights are updated by hand."""

    code, name = "TL212", "update-outside-optimizer"
    message = "a step along the gradient is taken by hand, without what an optimizer would do and its state would keep"
    severity = Severity.WARNING
    default = False

    @on("augmented")
    def augmented(self, fact: Any, report: Report) -> None:
        node, old, value = fact
        if isinstance(old, Tensor) and is_gradient(value) and own_gradient(node.value, stripped(node.target)):
            report(node)

    @on("statement")
    def statement(self, fact: Any, report: Report) -> None:
        node = fact[0].value
        if node.__class__ is not cst.Call or node.func.__class__ is not cst.Attribute or not node.args:
            return
        owner = stripped(node.func.value)
        if node.func.attr.value in ("add_", "sub_"):
            for arg in node.args:
                if own_gradient(arg.value, owner) and is_gradient(report.interp.eval(arg.value)):
                    report(node)


def is_gradient(value: Any) -> bool:
    return isinstance(value, Tensor) and value.nature == "a gradient"


def own_gradient(expression: Any, owner: Any) -> bool:
    """Whether an expression reads the gradient of this very tensor."""
    return any(
        isinstance(node, cst.Attribute) and node.attr.value == "grad" and node.value.deep_equals(owner)
        for node in nodes_in(expression)
    )


def loads_before_learning(region: Region) -> list[Any]:
    """The events of weights that were loaded before anything was learnt, other than to go on with an earlier run."""
    if not region.has("loaded"):
        return []
    before = takewhile(lambda event: event.kind != "backward", region.events)
    loads = [event for event in before if event.kind == "loaded"]
    resumed = {id(branch_of(event)) for event in region.of("resumed")} - {id(None)}
    return [event for event in loads if id(branch_of(event)) not in resumed] if resumed else loads


def branch_of(event: Any) -> Any:
    """The innermost branch or function in which something happens, None outside all: what is run as a program is no
    branch."""
    around = index_of(event.space).ancestors(event.node)
    return next((node for node in around if isinstance(node, cst.FunctionDef) or is_branch(node, event.space)), None)
