"""Optimisation: what the optimizer holds, at which rate it learns, and what is added to the loss."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.checks.repairs import assigned, definition, index_of, is_second_unread, reaching
from trainlint.checks.schedules import always, counts, ends_with, hands_on, inner_loops, over_batches, stop_of
from trainlint.checks.totals import Feed, adds_up, feeds_of, total_of
from trainlint.checks.weights import loads_before_learning
from trainlint.edits import imported, replace
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.engines import hook
from trainlint.semantics.behaviours.layers import DRAWN, has_weights, parts_of
from trainlint.semantics.behaviours.training import descendants, modules_of, optimizers, touches
from trainlint.semantics.interpreter import Interpreter, Region, nested, outwards
from trainlint.semantics.library import Call, Library, holds, modules_in
from trainlint.semantics.modules import carried, contents, is_self, leaf_kind
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    ELSEWHERE,
    FALSE,
    INF,
    STEPS,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Number,
    Sequence,
    Step,
    Tensor,
    Tuple,
    Value,
    bounds,
    const,
    options,
    truth,
    usual,
)
from trainlint.syntax import Index, nodes_in
from trainlint.syntax.code import called, contains, is_name, is_plain_call, keyword, names_in, positional

# The name that stands for all of PyTorch's optimizers.
OPTIMIZER = "torch.optim.SGD"


def has_own_weights(interp: Interpreter, module: Instance) -> bool:
    """Whether a module holds parameters of its own that are still as they were made."""
    if isinstance(module.cls, Api):
        row = interp.library.class_row(module.cls.path)
        tampered = is_set(module) or "$loaded" in module.attrs
        return row is not None and bool(row.raw.get("weights")) and "model" not in row.raw and not tampered
    return any(
        isinstance(value, Tensor) and value.graph is True and leaf_kind(interp, value) == "parameter"
        for value in module.attrs.values()
    )


def is_set(layer: Instance) -> bool:
    """Whether a layer's weight may be another one than it was made with, or than was drawn for it."""
    weight = layer.attrs.get("weight")
    if weight is None or (isinstance(layer.cls, Class) and getattr(weight, "nature", None) == "a parameter"):
        return False
    own = isinstance(weight, Instance) and weight.attrs.get("$whole") is layer
    held = weight.attrs.get("data") if isinstance(weight, Instance) else None
    if own and isinstance(held, Tensor) and held.nature in ("random numbers", DRAWN):
        return False
    return not own or layer.attrs.get("$init", "") == "" or "$copied" in layer.attrs


def trained_modules(losses: list[Tensor]) -> list[Instance]:
    """The models that gradients reach, each once."""
    found: dict[int, Instance] = {}
    for loss in losses:
        for dep in loss.deps:
            if dep.live and dep.node is not None and not dep.scales:
                found[id(dep.module)] = dep.module
    return list(found.values())


def held_by_optimizers(region: Region, report: Report) -> frozenset[int] | None:
    """Identities of the modules whose parameters the optimizers hold; None where some may hold others, too."""
    known = [o for o in optimizers(report.interp) if not holds_numbers(o)]
    if not known or not all(o.attrs.get("$complete") for o in known):
        return None
    if any(not isinstance(e.optimizer, Instance) or "$modules" not in e.optimizer.attrs for e in region.of("step")):
        return None
    return frozenset().union(*(o.attrs["$modules"] for o in known))


class OptimizerMissesParameters(Rule):
    """The optimizer does not hold all that is to be trained."""

    code, name = "TL701", "optimizer-misses-parameters"
    message = "{what}"

    @on("loop", "program", having="backward step")
    def check(self, region: Region, report: Report) -> None:
        steps, losses = region.of("step"), [e.loss for e in region.of("backward")]
        owned = held_by_optimizers(region, report)
        if owned is None:
            return
        models = trained_modules(losses)
        for model in models:
            if id(model) in owned:
                self.put_in_later(model, owned, report)
        if region.kind == "loop":
            self.another(region, steps[0].optimizer, models, owned, report)
        else:
            handed, loads = handed_on(region), region.known(loads_before_learning)
            handed |= self.left_out(losses, models, owned, handed, report)
            for model in models:
                if id(model) not in owned and isinstance(model.cls, Class) and not starts_loaded(region, model, loads):
                    if not self.left_behind(model, owned, handed, report):
                        self.given_in_part(region, model, owned, handed, report)

    @on("loop")
    def sorted_out(self, region: Region, report: Report) -> None:
        """A loop sorts parameters into lists, one of which nobody reads."""
        space, loop = region.space, region.node
        if space.source is None or space is not report.space() or loop.__class__ is not cst.For:
            return
        if not fills_lists(space.source.text):
            return
        blocks = space.source.index.known(feeds_of, loop)
        feeds = [one for block in blocks for feed in block if feed.how == "append" for one in choices_of(feed)]
        feeds = [feed for feed in feeds if isinstance(feed.target, cst.Name) and isinstance(feed.given[0], cst.Name)]
        if len({feed.target.value for feed in feeds}) < 2:
            return
        index, interp = space.source.index, report.interp
        if index.function(loop) is None:
            return
        for feed in feeds:
            if is_only_filled(index, feed.target) and lists_parameters(interp.peek(feed.target)):
                others = [interp.peek(o.target) for o in feeds if o.given[0].deep_equals(feed.given[0])]
                interp.event("sorted", feed.node, [other for other in others if isinstance(other, ListObject)])

    @on("program", having="sorted made")
    def given_to_nobody(self, region: Region, report: Report) -> None:
        """Of the lists that parameters are sorted into, an optimizer gets another only."""
        held = {
            id(v): o for o in optimizers(report.interp) for v in carried(tuple(o.attrs["param_groups"].attrs.values()))
        }
        for event in region.of("sorted"):
            optimizer = next((held[id(other)] for other in event.others if id(other) in held), None)
            if optimizer is not None:
                what = "the parameters in this list are given to no optimizer, so they are never learnt"
                report(event.node, event.space, what=what).because([optimizer.born])

    @on("program", having="adapted made step")
    def adapted(self, region: Region, report: Report) -> None:
        """A model gets adapters after the optimizer was made that steps it, which holds only what they freeze."""
        stepped = [e.optimizer for e in region.of("step")]
        places = {id(event.instance): i for i, event in enumerate(region.events) if event.kind == "made"}
        for i, event in enumerate(region.events):
            if event.kind != "adapted" or any(not isinstance(o, Instance) or "$added" in o.attrs for o in stepped):
                continue
            holding = [o for o in dict.fromkeys(stepped) if id(event.module) in o.attrs.get("$modules", ())]
            if holding and all(places.get(id(o), i) < i for o in holding):
                what = "adapters are put into the model after the optimizer was made (@), so they are never learnt"
                report(event.node, event.space, what=what).because([holding[0].born])

    @on("program", having="made step")
    def filtered(self, region: Region, report: Report) -> None:
        """An optimizer is given the parameters of some form only, and no other one the rest."""
        stepped = {e.optimizer for e in region.of("step")}
        if any(not isinstance(o, Instance) or not o.attrs.get("$complete") for o in stepped):
            return
        if region.has("given", "autograd"):
            return
        for _, node, space, optimizer in region.of("made"):
            if optimizer not in stepped or space.source is None or not isinstance(node, cst.Call):
                continue
            if not optimizer.attrs["$modules"] or "$added" in optimizer.attrs:
                continue
            others = [o.attrs["$modules"] for o in optimizers(report.interp) if o is not optimizer]
            given = next(iter(positional(node)), None) or keyword(node, "params")
            groups = groups_of(space.source.index, given, optimizer)
            for i, (place, owned) in enumerate(groups):
                rest = [*others, *(ids for _, ids in groups[:i] + groups[i + 1 :])]
                if place is not None and owned and all(owned.isdisjoint(ids) for ids in rest):
                    what = "biases and the parameters of norms are left out here, and no optimizer holds them"
                    report(place, space, what=what).because([optimizer.born])

    def left_behind(self, model: Instance, owned: frozenset[int], handed: set[int], report: Report) -> bool:
        """A new layer behind one of its model that is learnt, which no optimizer holds: gradients only pass through."""
        inside, found = modules_in(model), False
        places = {m.birth for m in inside if id(m) in owned}
        for layer in inside:
            (before,) = layer.attrs.get("$behind", (None,))
            if id(layer) in owned or before is None or id(before) not in owned or layer.born is None:
                continue
            if not any(before is m for m in inside):
                continue
            if any(m.attrs.get("$frozen", FALSE) is not FALSE or "$edited" in m.attrs or is_set(m) for m in inside):
                return True
            if layer.birth not in places and id(layer) not in handed:
                what = (
                    "no optimizer holds this layer, though the one before it is learnt (@), so it stays as it was made"
                )
                report(layer.born.node, layer.born.space, what=what).because([before.born])
                found = True
        return found

    def given_in_part(
        self, region: Region, model: Instance, owned: frozenset[int], handed: set[int], report: Report
    ) -> None:
        """New layers of a model, which no optimizer holds: what is learnt has random inputs."""
        inside, library = modules_in(model), report.interp.library
        ready = {id(part) for m in inside if is_pretrained(library, m) for part in modules_in(m)}
        new = [m for m in inside if id(m) not in ready]
        if any(m.cls is None or m.attrs.get("$frozen", FALSE) is not FALSE or "$edited" in m.attrs for m in new):
            return
        if not handed.isdisjoint(map(id, inside)):
            return
        if any(e.module in inside and e.module is not model for e in region.of("mode")):
            return  # a part with a mode of its own is there to be used as it is
        ran = report.interp.modules.ran
        missed = [m for m in new if id(m) not in owned and m.born is not None and m.birth in ran]
        missed = [m for m in missed if isinstance(m.cls, Api) and has_own_weights(report.interp, m)]
        for optimizer in optimizers(report.interp) if missed else ():
            if optimizer.born is not None and any(id(m) in optimizer.attrs["$modules"] for m in new):
                what = "the optimizer holds a part of the model; the rest (@) stays as it was made at random"
                report(optimizer.born.node, optimizer.born.space, what=what).because([missed[0].born])

    def put_in_later(self, model: Instance, owned: frozenset[int], report: Report) -> None:
        """Layers that the model got after the optimizer was made."""
        inside = modules_in(model)
        late = [m for m in inside if id(m) not in owned]
        if not late:
            return
        places = {m.birth for m in inside if id(m) in owned}
        makers = [o for o in optimizers(report.interp) if id(model) in o.attrs["$modules"]]
        for module in late:
            if (
                module.born is not None
                and module.birth not in places  # a copy of another
                and has_own_weights(report.interp, module)
                and module.attrs.get("$frozen", FALSE) is FALSE
            ):
                what = "this layer is put into the model after the optimizer was made (@), so it is never learnt"
                report(module.born.node, module.born.space, what=what).because([makers[0].born])

    def another(
        self, region: Region, optimizer: Instance, models: list[Instance], owned: frozenset[int], report: Report
    ) -> None:
        """The optimizer holds another object than the one that is trained: what it holds is never run to be learnt, and
        nobody hands gradients over."""
        run = [e.module for e in region.of("model") if e.grad is not False]
        if not models or any(m.cls is None for m in run) or not owned.isdisjoint(handed_on(region)):
            return
        if any(not owned.isdisjoint(descendants(model)) for model in (*run, *models)) or region.has("given"):
            return
        fresh = any(has_own_weights(report.interp, m) for model in models for m in modules_in(model))
        if fresh and optimizer.attrs["$modules"] and optimizer.born is not None:
            what = "the optimizer holds the parameters of another model than the one that is trained (@)"
            report(optimizer.born.node, optimizer.born.space, what=what).because([models[0].born])

    def left_out(
        self, losses: list[Tensor], models: list[Instance], owned: frozenset[int], handed: set[int], report: Report
    ) -> set[int]:
        """A model with weights of its own is trained along with others, and no optimizer holds it. Gives the identities
        of what is told of, with all inside."""
        library, told = report.interp.library, set[int]()
        learnt = [m for m in models if not owned.isdisjoint(descendants(m))]
        for model in models:
            if model in learnt or not learnt or not isinstance(model.cls, Class) or model.born is None:
                continue
            inside = modules_in(model)
            weights = [m for m in inside if has_own_weights(report.interp, m)]
            if not weights or any("$edited" in m.attrs or is_set(m) for m in inside):
                continue
            if is_loaded(model) and not any(map(is_loaded, learnt)):
                continue  # ready to be used; where all models are loaded, a run goes on
            if is_loaded(model) and runs_in(losses, model, False) and any(runs_in(losses, m, True) for m in learnt):
                continue  # a teacher
            if any(m.attrs.get("$frozen", FALSE) is not FALSE for m in inside):
                continue
            if any((isinstance(m.cls, Api) and library.is_model(m.cls.path)) or m.cls is None for m in inside):
                continue
            if not handed.isdisjoint(map(id, inside)):
                continue
            own = [loss for loss in losses if any(d.module is model for d in loss.deps)]
            together = [o for o in optimizers(report.interp) if any(touches(o, loss.deps, False) for loss in own)]
            others = (m for o in learnt for m in modules_in(o) if m not in inside)  # one may hold this model too
            places = {m.birth for m in others}
            if together and model.birth not in places:
                what = "`{}` has parameters of its own, but no optimizer holds them, so they are never learnt"
                draft = report(model.born.node, model.born.space, what=what.format(model.describe()))
                draft.because(optimizer.born for optimizer in together)
                told.update(map(id, inside))
        return told


def choices_of(feed: Feed) -> list[Feed]:
    """What a statement may add to, one by one: `(first if a else second).append(x)`."""
    target = feed.target
    return [feed._replace(target=t) for t in (target.body, target.orelse)] if target.__class__ is cst.IfExp else [feed]


def is_only_filled(index: Index, name: cst.Name) -> bool:
    """Whether a list is begun once, and all that is done with it is to append to it, or to count what it holds."""
    bindings = index.lookup(name)
    if len(bindings) != 1 or not isinstance(bindings[0].origin, cst.Assign):
        return False
    for use in index.references(bindings[0]):
        above = index.parent(use)
        if isinstance(above, cst.IfExp) and above.test is not use:
            above = index.parent(above)
        if isinstance(above, cst.Attribute) and above.attr.value == "append":
            continue
        if not isinstance(above, cst.Arg) or not is_plain_call(index.parent(above), "len"):
            return False
    return True


def lists_parameters(value: Value | None) -> bool:
    """Whether a list surely holds parameters of modules."""
    held = contents(value) if isinstance(value, ListObject) else ()
    tensors = [item for item in held if isinstance(item, Tensor) and item.deps]
    return bool(held) and len(tensors) == len(held) and all(d.node is None for item in tensors for d in item.deps)


def groups_of(index: Index, given: Any, optimizer: Instance) -> list[tuple[Any, frozenset[int]]]:
    """For each group of an optimizer's parameters where it leaves biases out, and the modules that it holds some of."""
    given = definition(index, given) or given
    if not isinstance(given, cst.List):
        return [(leaves_biases_out(index, given), optimizer.attrs["$modules"])]
    group = group_of(optimizer)
    held = contents(group.attrs.get("params") or UNKNOWN) if group is not None else ()
    dicts = [e.value for e in given.elements if isinstance(e.value, cst.Dict)]
    if len(dicts) != len(given.elements) or len(dicts) != len(held):
        return []
    entries = [(e.key, e.value) for d in dicts for e in d.elements if isinstance(e, cst.DictElement)]
    params = [value for key, value in entries if is_written(key, "params")]
    places = [leaves_biases_out(index, value) for value in params] if len(params) == len(dicts) else []
    return [(place, frozenset(modules_of(one)[0])) for place, one in zip(places, held, strict=False)]


def leaves_biases_out(index: Index, given: Any) -> Any:
    """Where `[p for p in model.parameters() if p.ndim > 1]`, or the same by the name of the parameter, is all that a
    group of an optimizer is given."""
    given = definition(index, given) or given
    if not isinstance(given, (cst.ListComp, cst.GeneratorExp)) or not isinstance(given.elt, cst.Name):
        return None
    clause = given.for_in
    source: Any = definition(index, clause.iter) or clause.iter
    if is_plain_call(source, "list") and len(source.args) == 1:
        source = source.args[0].value
    walked = called(source) in ("parameters", "named_parameters")
    if not walked or clause.inner_for_in is not None or len(clause.ifs) != 1:
        return None
    test = clause.ifs[0].test
    return given if has_axes(test, given.elt.value) or is_not_bias(index, test, clause.target) else None


def has_axes(test: Any, name: str) -> bool:
    """Whether a test asks for more than one axis: `p.ndim > 1`, `p.dim() >= 2`, `len(p.shape) != 1`."""
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1 or name not in names_in(test.left):
        return False
    left: Any = test.left
    (target,) = test.comparisons
    measured = called(left) in ("dim", "ndimension") or (isinstance(left, cst.Attribute) and left.attr.value == "ndim")
    measured = measured or (is_plain_call(left, "len") and any(called_shape(arg) for arg in positional(left)))
    limits = {cst.GreaterThan: "1", cst.GreaterThanEqual: "2", cst.NotEqual: "1"}
    limit = limits.get(type(target.operator))
    return measured and isinstance(target.comparator, cst.Integer) and target.comparator.value == limit


def called_shape(node: Any) -> bool:
    """Whether an expression is the shape of something."""
    return (isinstance(node, cst.Attribute) and node.attr.value == "shape") or called(node) == "size"


def is_not_bias(index: Index, test: Any, target: Any) -> bool:
    """Whether a test asks for names of parameters without "bias": `"bias" not in name`, `not name.endswith("bias")`, or
    the same of each of some words, as in `not any(word in name for word in words)`."""
    names = set(names_in(target))
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        asked: Any = test.expression
        if is_plain_call(asked, "any"):
            return is_of_some(index, asked, names, cst.In)
        given = positional(asked) if called(asked) == "endswith" else []
        return bool(given) and not names.isdisjoint(names_in(asked)) and is_bias(given[0])
    if is_plain_call(test, "all"):
        return is_of_some(index, test, names, cst.NotIn)
    left = left_of(test, names, cst.NotIn)
    return left is not None and is_bias(left)


def is_of_some(index: Index, call: Any, names: set[str], operator: type) -> bool:
    """Whether `any` or `all` asks of words, one of which is "bias", whether they are in one of these names."""
    (given,) = positional(call) or (None,)
    if not isinstance(given, (cst.GeneratorExp, cst.ListComp)) or given.for_in.ifs or given.for_in.inner_for_in:
        return False
    words = definition(index, given.for_in.iter) or given.for_in.iter
    left = left_of(given.elt, names, operator)
    if not isinstance(left, cst.Name) or not left.deep_equals(given.for_in.target):
        return False
    if not isinstance(words, (cst.List, cst.Tuple)):
        return False
    return any(is_bias(element.value) for element in words.elements)


def left_of(test: Any, names: set[str], operator: type) -> Any:
    """What a test looks for in one of these names."""
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return None
    (compared,) = test.comparisons
    inside = isinstance(compared.comparator, cst.Name) and compared.comparator.value in names
    return test.left if inside and isinstance(compared.operator, operator) else None


def is_bias(node: Any) -> bool:
    return isinstance(node, cst.SimpleString) and node.evaluated_value in ("bias", ".bias")


def holds_numbers(optimizer: Instance) -> bool:
    """Whether an optimizer holds tensors of the program only, such as a temperature, and nothing of a module."""
    group = group_of(optimizer)
    held = group.attrs.get("params") if group is not None else None
    items = held.items if isinstance(held, (ListObject, Tuple)) else None
    return bool(items) and all(
        isinstance(item, Tensor) and item.graph is True and not item.deps and item.nature != "a parameter"
        for item in items or ()
    )


def is_loaded(model: Instance) -> bool:
    """Whether weights are, or may be, loaded into a model or a part of it."""
    return any("$loaded" in m.attrs for m in modules_in(model))


def starts_loaded(region: Region, model: Instance, loads: list[Any]) -> bool:
    """Whether weights are, or may be, loaded into a model or a part of it before it learns, as these events tell."""
    if not region.has("loaded"):
        return is_loaded(model)
    return any(holds(model, e.module) or holds(e.module, model) for e in loads)


def runs_in(losses: list[Tensor], model: Instance, training: bool) -> bool:
    """Whether a model was surely in this mode whenever it gave what is learnt from."""
    modes = {d.training for loss in losses for d in loss.deps if d.module is model and d.node is not None}
    return modes == {training}


def handed_on(region: Region) -> set[int]:
    """Identities of what reaches code out of view, or is differentiated by hand. Lightning, which a module of its own
    is given to, steps just the optimizers that this makes."""
    given = (
        *(v for e in region.of("escape") for v in e.values if hook(v, "configure_optimizers") is None),
        *(e.value for e in region.of("autograd")),
    )
    return {id(value) for values in given for value in carried(values)}


class FrozenByAccident(Rule):
    """A new layer is frozen with the rest, or a layer is thawed and never reaches the optimizer."""

    code, name = "TL703", "frozen-by-accident"
    message = "{what}"

    @on("late thaw")
    def not_compiled(self, fact: Any, report: Report) -> None:
        """Layers of Keras are thawed, and the model is fitted once more as it was compiled before."""
        node, model, compiled = fact
        what = (
            f"`{model.describe()}` was thawed after the model had been compiled (@) and fitted, "
            "so its layers are still left out: compile it once more"
        )
        report(node, what=what).because([compiled])

    @on("fitted")
    def idle(self, call: Call, report: Report) -> None:
        """A model of Keras is fitted that was told not to learn when it was compiled, whatever its layers are told."""
        model = call.receiver
        if isinstance(model, Instance) and truth(model.attrs.get("$idle", FALSE)) is True:
            if truth(model.attrs.get("trainable", TRUE)) is False:
                report(call.node, what="all of this model was frozen before it was compiled, so nothing is learnt")

    @on("loop", having="backward step")
    def check(self, region: Region, report: Report) -> None:
        steps = [e.optimizer for e in region.of("step") if isinstance(e.optimizer, Instance)]
        losses = [e.loss for e in region.of("backward")]
        if not steps or not losses:
            return
        models = {id(dep.module): dep.module for loss in losses for dep in loss.deps if dep.node is not None}
        known = optimizers(report.interp)
        sure = bool(known) and all(o.attrs.get("$complete") for o in known)
        owned: frozenset[int] = frozenset().union(*(o.attrs["$modules"] for o in known)) if sure else frozenset()
        later = {e.module: Step(e.space, e.node, "thawed") for e in region.of("thawed")}
        if not region.has("frozen", "thawed"):
            for optimizer in dict.fromkeys(steps):
                self.all_frozen(region, optimizer, list(models.values()), report)
        for model in models.values():
            self.new_layer(model, steps, report)
            if sure and id(model) not in owned:
                self.thawed(model, later, owned, known[-1], report)

    def all_frozen(self, region: Region, optimizer: Instance, models: list[Instance], report: Report) -> None:
        """Note an optimizer that steps though none of the parameters that it holds takes gradients."""
        owned, group = optimizer.attrs.get("$modules"), group_of(optimizer)
        given = group.attrs.get("params") if group is not None else None
        whole = given.source if isinstance(given, Sequence) else None
        roots = [*models, whole] if isinstance(whole, Instance) else models
        inside = [m for root in roots for m in modules_in(root)]
        held = {id(m): m for m in inside if owned and id(m) in owned}
        if not optimizer.attrs.get("$complete") or len(held) < len(owned or ()) or region.has("given"):
            return
        weighty = [m for m in held.values() if has_weights(report.interp, m)]
        if weighty and all(m.attrs.get("$frozen") is TRUE for m in weighty):
            report.interp.event("stuck", region.node, optimizer, roots)

    @on("program", having="stuck frozen")
    def stuck(self, region: Region, report: Report) -> None:
        """What an optimizer holds was frozen once and for all before it steps, not as one part after the other."""
        frozen: list[tuple[Any, set[int]]] = []
        since: list[Any] = []
        for event, inside in nested(region.events):
            if event.kind == "frozen":
                frozen.append((event, {id(loop.node) for loop in inner_loops(inside)}))
            elif event.kind in ("thawed", "released", "adapted"):
                frozen = []
            elif event.kind in ("escape", "outside", "built"):
                since.append(event)
            elif event.kind == "stuck":
                owned, around = event.optimizer.attrs["$modules"], {id(loop.node) for loop in inner_loops(inside)}
                found = [(e, loops) for e, loops in frozen if not owned.isdisjoint(descendants(e.module))]
                last = found[-1][0] if found else None
                if last is None or any(not around.isdisjoint(loops) for _, loops in found):
                    continue
                if not any(may_reach(e, owned, event.models) for e in since):
                    what = "all that the optimizer (@) holds is frozen here, so nothing is learnt"
                    report(last.node, last.space, what=what).because([event.optimizer.born])

    def new_layer(self, model: Instance, steps: list[Instance], report: Report) -> None:
        library = report.interp.library
        inside = modules_in(model)
        pretrained = [m for m in inside if is_pretrained(library, m)]
        parts = [part for m in pretrained for part in parts_of(m)]
        around = [m for m in (model, *pretrained, *parts) if isinstance(m.attrs.get("$froze"), Step)]
        owned: frozenset[int] = frozenset().union(*(o.attrs.get("$modules", frozenset()) for o in steps))
        for module in inside if pretrained and around else ():
            fresh = module is not model and has_own_weights(report.interp, module) and module.born is not None
            if fresh and module.attrs.get("$frozen") is TRUE and id(module) in owned:
                holder = next((m for m in around if holds(m, module)), None)
                if holder is None or (holder is not model and not {"$edited", "$loaded"}.isdisjoint(holder.attrs)):
                    continue
                froze: Step = holder.attrs["$froze"]
                what = "this also freezes the new layer (@), so it stays as it was made at random"
                report(froze.node, froze.space, what=what).because([module.born])
                return

    def thawed(
        self, model: Instance, later: dict[Instance, Step], owned: frozenset[int], last: Instance, report: Report
    ) -> None:
        """Parts of a model that no optimizer holds as a whole, which take gradients again, some `later` in the loop."""
        inside, library = modules_in(model), report.interp.library
        parts = [v for v in model.attrs.values() if isinstance(v, Instance) and "$whole" in v.attrs]
        for module in (*inside, *parts):
            place = module.attrs.get("$thawed") if module.attrs.get("$frozen") is FALSE else later.get(module)
            if not isinstance(place, Step):
                continue
            held = [m for m in modules_in(module) if id(m) in owned]
            missed = [m for m in modules_in(module) if id(m) not in owned and m.attrs.get("$frozen") is FALSE]
            if not held or any(is_pretrained(library, m) for m in missed):
                what = "these parameters are thawed, but no optimizer holds them (@), so they are not learnt"
                report(place.node, place.space, what=what).because([last.born])


def is_pretrained(library: Library, module: Instance) -> bool:
    """Whether a module is a model that comes ready-made."""
    return isinstance(module.cls, Api) and library.is_model(module.cls.path)


def may_reach(event: Any, owned: frozenset[int], models: list[Instance]) -> bool:
    """Whether something happens that may give frozen modules parameters that are learnt: they are handed to code out of
    view, or a module is made that may have gone into them unseen."""
    if event.kind == "built":
        return not any(holds(model, event.instance) for model in models)
    whole = (getattr(value, "attrs", {}).get("$whole", value) for value in carried(event.values))
    return any(id(value) in owned for value in whole)


def trains_model(region: Region) -> bool:
    """Whether a program surely makes a model learn, not just any numbers."""
    return region.has("model") and (
        region.has("loss") or any(d.live and d.node is not None for e in region.of("backward") for d in e.loss.deps)
    )


def reschedules(call: Call) -> bool:
    """Whether callbacks of `fit` may set the learning rate themselves."""
    given = call.value("callbacks", 6)
    known = call.interp.known_items(given) if given is not None else ()
    return known is None or not all(
        isinstance(one, Instance) and isinstance(one.cls, Api) and one.describe() != "LearningRateScheduler"
        for one in known
    )


class LearningRateExtreme(Rule):
    """The learning rate is out of all proportion for its optimizer."""

    code, name = "TL704", "learning-rate-extreme"
    message = "{what}"
    # Above this, the optimizer diverges; of the Adam kind, each step is about as long as the rate.
    ADAM = "Adam AdamW NAdam Nadam RAdam Adamax RMSprop adam adamw nadam radam adamax rmsprop"
    LIMITS = {"SGD": 9.0, "sgd": 9.0, **dict.fromkeys(ADAM.split(), 0.2)}  # noqa: RUF012
    FINE_TUNING = 0.05  # what a ready-made model has learnt is gone at once
    OF_SOME_LAYERS = 10  # times as much: embeddings and heads have rates of their own, up to 1 for those of Adam's kind
    OWN_RATE = frozenset(("OneCycleLR", "CyclicLR"))
    # A function gives what the rate is multiplied with: over a rate of 1, it is the rate itself.
    FACTORS = frozenset(("LambdaLR",))

    @on("program", having="made")
    def check(self, region: Region, report: Report) -> None:
        made = [*region.of("made")]
        for event in made:
            if event.instance.family == "optimizer":
                raised = self.raised_to(event.instance, made)
                shared = raised or event.instance.attrs.get("lr")
                if self.is_told(region, event, shared, made, report, raised=raised is not None) or raised is not None:
                    continue
                for rate in own_rates(event.instance):  # of some layers only, which may take more than the others
                    if self.is_told(region, event, rate, made, report, own=True):
                        break

    def is_told(
        self,
        region: Region,
        event: Any,
        given: Value | None,
        made: list[Any],
        report: Report,
        raised: bool = False,
        own: bool = False,
    ) -> bool:
        """Report a rate that an optimizer is made with, that a schedule has `raised` or that is a group's `own`."""
        _, node, space, optimizer = event
        rate, limit = usual(given), self.LIMITS.get(optimizer.api_path.rpartition(".")[2])
        limit = limit * self.OF_SOME_LAYERS if own and limit is not None else limit
        if rate is None or limit is None or (0 < rate <= limit) or not optimizer.attrs["$modules"]:
            return False
        group = group_of(optimizer)
        if group is None or not self.trains(region, optimizer, rate):
            return False
        if not at_own_rate(optimizer) and not any(e.optimizer is optimizer for e in region.of("rushed")):
            return False
        if own and rate == 0:
            return False  # a way to leave some as they are
        # One group that takes it is enough for a rate too high; with one of 0, others may be meant to learn.
        enough = any if rate > limit else all
        held = [contents(option) for option in options(group.attrs.get("params") or UNKNOWN)]
        if not own and not all(enough(map(takes_the_rate, groups)) for groups in held if groups):
            return False
        if not raised and any(map(partial(self.is_rescheduled, optimizer, rate, limit), made)):
            return False
        if any(not isinstance(e.node, cst.FunctionDef) and optimizer in carried(e.values) for e in region.of("escape")):
            return False
        moved = any(not optimizer.attrs["$modules"].isdisjoint(descendants(e.module)) for e in region.of("edit"))
        if moved and not isinstance(given, Const):
            return False  # an option's default, which is meant for the steps that are taken by hand
        name = optimizer.describe()
        if rate > limit and name == "SGD" and region.has("clip"):
            return False  # clipped gradients take a high rate
        place = given.defined if own and isinstance(given, Number) else None if own else origin(given, node, space)
        told = f"{rate:g} (@)" if place is not None else f"{rate:g}"
        if rate > limit:
            what = f"a learning rate of {told} is far too high for {name}: training diverges"
        elif rate < 0:
            what = f"a learning rate of {told} makes the loss grow"
        else:
            what = f"a learning rate of {told} learns nothing, whatever a schedule multiplies it with"
        report(node, space, what=what).because([place])
        return True

    def is_rescheduled(self, optimizer: Instance, rate: float, limit: float, event: Any) -> bool:
        """Whether what is made is a schedule that may take an optimizer to another rate than its own from the first
        step on."""
        scheduler = event.instance
        if scheduler.family != "scheduler":
            return False
        if not any(one is optimizer for one in options(scheduler.attrs.get("optimizer") or UNKNOWN)):
            return False
        kind = scheduler.describe()
        if kind in self.FACTORS and rate > 0:
            factors = scheduler.attrs["$factors"]
            return not factors or rate * max(factors) <= limit
        return kind in self.OWN_RATE

    def raised_to(self, optimizer: Instance, made: Iterable[Any]) -> Value | None:
        """The rate that a one-cycle schedule takes an optimizer to, whatever that was made with."""
        cycles = (e.instance for e in made if e.instance.api_path.endswith(".OneCycleLR"))
        return next((c.attrs.get("max_lr") for c in cycles if c.attrs.get("optimizer") is optimizer), None)

    @on("stepped")
    def rush(self, fact: Any, report: Report) -> None:
        """Note a step at a rate far too high, whatever the rate is set to later."""
        node, optimizer, _ = fact
        rate, limit = usual(optimizer.attrs.get("lr")), self.LIMITS.get(optimizer.describe())
        if rate is not None and limit is not None and rate > limit and at_own_rate(optimizer):
            report.interp.event("rushed", node, optimizer)

    @on("fitted")
    def fitted(self, call: Call, report: Report) -> None:
        """Keras fits a model with the optimizer that it was compiled with."""
        optimizer = call.receiver.attrs.get("$optimizer") if isinstance(call.receiver, Instance) else None
        if isinstance(optimizer, Instance) and not reschedules(call):
            report.interp.event("rated", call.node, optimizer)

    @on("program", having="rated")
    def compared(self, region: Region, report: Report) -> None:
        """Who fits with usual rates as well shows what a rate does."""
        used = {id(event.optimizer): event.optimizer for event in region.of("rated")}
        handed = (
            value for kind in ("escape", "outside") for event in region.of(kind) for value in carried(event.values)
        )
        others = (value for value in handed if isinstance(value, Instance))
        common = {optimizer.describe() for optimizer in (*used.values(), *others) if self.is_usual(optimizer)}
        for optimizer in used.values():
            free = optimizer.api_path.startswith("optax.") and not trains_model(region)
            if optimizer.describe() not in common and not free:
                self.judge(optimizer, report)

    def is_usual(self, optimizer: Instance) -> bool:
        rate = own_rate(optimizer)
        return rate is not None and 0 < rate <= (self.limit_of(optimizer) or 0.0)

    def limit_of(self, optimizer: Instance) -> float | None:
        return self.FINE_TUNING if "$ready" in optimizer.attrs else self.LIMITS.get(optimizer.describe())

    @on_call("optax.chain")
    def uphill(self, call: Call, report: Report) -> None:
        """A chain of optax scales what an optimizer without a rate gives, and does not turn the sign round."""
        parts = [p for p in call.arguments.positional if isinstance(p, Instance) and p.family == "optax"]
        names = [part.describe() for part in parts]
        if len(parts) < len(call.arguments.positional) or not {"scale_by_adam", "scale_by_rms"} & set(names):
            return
        if all("learning_rate" not in p.attrs for p in parts) and names[-1] == "scale" and "scale" not in names[:-1]:
            rate = usual(parts[-1].attrs.get("step_size"))
            if rate is not None and 0 < rate < 1 and not {"scale_by_learning_rate", "scale_by_schedule"} & set(names):
                what = f"a rate of +{rate:g} moves the weights up the gradient: `scale` takes it with a minus"
                report(call.arguments.nodes[-1] or call.node, what=what)

    @on("applied")
    def applied(self, call: Call, report: Report) -> None:
        """An optimizer of Keras makes the steps of a loop."""
        if isinstance(call.receiver, Instance):
            self.judge(call.receiver, report)

    def judge(self, optimizer: Instance, report: Report) -> None:
        rate = own_rate(optimizer)
        limit, clips = self.limit_of(optimizer), {"clipnorm", "clipvalue", "global_clipnorm"}
        unclipped = optimizer.born is not None and not clips & optimizer.attrs.keys()
        if unclipped and optimizer.born and rate is not None and limit is not None and rate > limit:
            what = f"a learning rate of {rate:g} is far too high for {optimizer.describe()}: training diverges"
            report(optimizer.born.node, optimizer.born.space, what=what)

    def trains(self, region: Region, optimizer: Instance, rate: float) -> bool:
        """Whether an optimizer steps in a loop on a real loss, or is handed to a framework that does so."""
        steps = (inside for e, inside in nested(region.events) if e.kind == "step" and e.optimizer is optimizer)
        if any(map(inner_loops, steps)):
            if region.has("loss"):
                return True
            reached = [e.loss for e in region.of("backward") if touches(optimizer, e.loss.deps, False) is True]
            if region.has("loader") or rate <= 0 or any(map(is_deep, reached)):
                return bool(reached)
            return False  # a trial, it may be
        if getattr(getattr(region.node, "name", None), "value", "") != "configure_optimizers":
            return False
        params = optimizer.attrs["param_groups"].attrs["element"].attrs.get("params")
        model = params.source if isinstance(params, Sequence) else None
        trained = isinstance(model, Instance) and isinstance(model.cls, Class) and "training_step" in model.cls.attrs
        return trained and optimizer.describe() != "SGD" and usual(optimizer.attrs["lr"]) != 0


def is_deep(loss: Tensor) -> bool:
    """Whether a loss comes of a module of the project with several layers, as agents that learn from play have."""
    modules = (dep.module for dep in loss.deps if dep.node is not None and isinstance(dep.module, Instance))
    return any(
        isinstance(module.cls, Class) and sum(isinstance(m.cls, Api) for m in modules_in(module)) >= 3
        for module in modules
    )


def own_rate(optimizer: Instance) -> float | None:
    """The rate that an optimizer of Keras or optax is made with, or the highest that its schedule begins with."""
    given = optimizer.attrs.get("learning_rate", optimizer.attrs.get("lr"))
    if isinstance(given, Instance) and given.family == "schedule":
        found = (given.attrs.get(name) for name in ("peak_value", "initial_learning_rate", "init_value"))
        given = next((value for value in found if value is not None), None)
    return usual(given)


def group_of(optimizer: Instance) -> DictObject | None:
    """What stands for all groups of an optimizer's parameters."""
    groups = optimizer.attrs.get("param_groups")
    group = groups.attrs["element"] if isinstance(groups, ListObject) else None
    return group if isinstance(group, DictObject) else None


def own_rates(optimizer: Instance) -> list[Value]:
    """The rates that groups of an optimizer bring along, where it is known which groups there are."""
    group = group_of(optimizer)
    held = contents(group.attrs.get("params") or UNKNOWN) if group is not None else []
    groups = [one for one in held if isinstance(one, DictObject) and DictObject.REST not in one.attrs]
    return [one.attrs["lr"] for one in groups if "lr" in one.attrs]


def at_own_rate(optimizer: Instance) -> bool:
    """Whether the groups of an optimizer have the rate that it was made with, and nobody has set another."""
    group = group_of(optimizer)
    return group is not None and group.attrs.get("lr") is optimizer.attrs.get("lr", UNKNOWN)


def takes_the_rate(held: Value) -> bool:
    """Whether what an optimizer is given to hold are parameters, or a group of some that surely has no other rate."""
    if isinstance(held, DictObject):
        return "lr" not in held.attrs and DictObject.REST not in held.attrs
    return isinstance(held, (Tensor, Sequence))


def origin(rate: Any, node: Any, space: Namespace) -> Step | None:
    """Where the rate that an optimizer is made with is written: the option, or the assignment to its name."""
    if isinstance(rate, Number):
        return rate.defined
    given = positional(node)[1:2] + [arg.value for arg in node.args if arg.keyword and arg.keyword.value == "lr"]
    made = definition(index_of(space), given[0]) if given else None
    return Step(space, made, "the rate") if made is not None else None


class LearningRateCompounds(Rule):
    """A rate that was decayed already goes into its own formula again."""

    code, name = "TL705", "learning-rate-compounds"
    message = "the rate is {done} each time again, so it decays far too fast"

    @on("multiply", "divide")
    def check(self, fact: Any, report: Report) -> None:
        operator, node, rate, factor, left, right, _ = fact
        if not isinstance(left, (cst.Name, cst.Attribute, cst.Subscript)) or isinstance(rate, Tensor):
            return
        if isinstance(factor, Const) or any(isinstance(n, Number) and n.integer for n in (rate, factor)):
            return
        divided = operator == "Divide"
        if not (grown_from_start if divided else decays_from_start)(right, report):
            return
        done = "divided by what grows with" if divided else "multiplied with a power of"
        self.judge(node, left, f"{done} the epoch's number", report)

    @on_call("torch.optim.lr_scheduler.MultiplicativeLR")
    def multiplied(self, call: Call, report: Report) -> None:
        """A schedule that multiplies the rate as it is by what is meant for the first one."""
        factor = call.value("lr_lambda", 1)
        node = factor.node if isinstance(factor, Function) else None
        params = node.params.params if node is not None else ()
        power = exponent_of(returned(node)) if len(params) == 1 else None
        if power is not None and params[0].name.value in names_in(power):
            report(call.node, done="multiplied with a power of the epoch's number")

    def judge(self, node: Any, left: Any, done: str, report: Report) -> None:
        interp = report.interp
        index = index_of(report.space())
        rate = held_rate(index, left)
        if rate.__class__ is cst.Subscript:
            again = rate is left and self.fed_back(node, left, report)
            again = again or self.given_back(index, node) or self.handed_over(index, node, report)
            if again and is_rate_of_group(interp, rate):
                report(node, done=done)
        elif left.__class__ is cst.Name and self.fed_back(node, left, report):
            if interp.carried_over(left) and used_as_rate(interp, left.value):
                report(node, done=done)
        elif isinstance(left, cst.Attribute) and self.fed_back(node, left, report):
            if is_given_as_rate(index, index.function(node), left) or (
                not is_self(left.value) and is_first_rate(left, report)
            ):
                report(node, done=done)

    def fed_back(self, node: Any, left: Any, report: Report) -> bool:
        """Whether the product is stored where its first factor came from."""
        if isinstance(node, cst.AugAssign):
            return True
        source = report.space().source
        statement: Any = source.index.parent(node) if source is not None else None
        if source is not None and isinstance(statement, cst.Arg):  # as the lowest or highest rate that is allowed
            limit = source.index.parent(statement)
            if is_plain_call(limit, "max") or is_plain_call(limit, "min"):
                statement = source.index.parent(limit)  # type: ignore[arg-type]
        if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
            return False
        return bool(statement.targets[0].target.deep_equals(left))

    def given_back(self, index: Index, node: Any) -> bool:
        """Whether a product is stored as the rate of a group, where it stands or under its name."""
        statement = node if isinstance(node, cst.AugAssign) else index.parent(node)
        target = getattr(statement, "target", None) or next((t.target for t in getattr(statement, "targets", ())), None)
        if isinstance(target, cst.Name):
            return is_given_as_rate(index, index.function(node), target)
        return isinstance(target, cst.Subscript) and is_text(target.slice[0].slice, "lr")

    def handed_over(self, index: Index, node: Any, report: Report) -> bool:
        """Whether a product is given to a function that stores it as the rate of a group."""
        argument: Any = index.parent(node)
        call = index.parent(argument) if isinstance(argument, cst.Arg) and not argument.star else None
        function = report.interp.peek(call.func) if isinstance(call, cst.Call) else None
        if not isinstance(call, cst.Call) or not isinstance(function, Function):
            return False
        params, place = function.node.params.params, list(call.args).index(argument)
        if argument.keyword is not None:
            taken = next((param for param in params if is_name(param.name, argument.keyword.value)), None)
        else:
            taken = params[place] if place < len(params) else None
        return taken is not None and is_given_as_rate(index_of(function.space), function.node, taken.name)


def returned(function: Any) -> Any:
    """The expression that a lambda, or a function of one line, gives."""
    if isinstance(function, cst.Lambda):
        return function.body
    lines = function.body.body if isinstance(function, cst.FunctionDef) else ()
    parts = lines[-1].body if len(lines) == 1 and isinstance(lines[-1], cst.SimpleStatementLine) else ()
    return parts[-1].value if parts and isinstance(parts[-1], cst.Return) else None


def held_rate(index: Index, node: Any) -> Any:
    """What a local name was set to just before, or the expression itself."""
    bound = reaching(index, node) if isinstance(node, cst.Name) else None
    made = assigned(index.statement(bound), bound) if bound is not None else None
    return made if made.__class__ is cst.Subscript else node


def is_given_as_rate(index: Index, function: Any, rate: Any, callers: tuple[Any, ...] = ()) -> bool:
    """Whether a function sets `group["lr"]` to just what an expression stands for, there, under another name, or in a
    method that it calls with it, other than those that led here."""
    if not isinstance(function, cst.FunctionDef) or function in callers:
        return False
    callers = (*callers, function)
    parts = [node for node in nodes_in(function.body) if isinstance(node, (cst.Assign, cst.Call))]
    names = [rate]
    names += [p.targets[0].target for p in parts if isinstance(p, cst.Assign) and p.value.deep_equals(rate)]
    for part in parts:
        if isinstance(part, cst.Assign):
            target = part.targets[0].target
            is_rate = isinstance(target, cst.Subscript) and is_text(target.slice[0].slice, "lr")
            if is_rate and any(part.value.deep_equals(name) for name in names):
                return True
            continue
        place = next((i for i, arg in enumerate(part.args) if any(arg.value.deep_equals(n) for n in names)), None)
        method = method_of(index, part) if place is not None else None
        params = method.params.params[1:] if method is not None else ()
        if place is not None and place < len(params) and is_given_as_rate(index, method, params[place].name, callers):
            return True
    return False


def method_of(index: Index, call: cst.Call) -> cst.FunctionDef | None:
    """The method of the class at hand that `self.method(…)` calls."""
    owner = index.class_(call)
    if not isinstance(call.func, cst.Attribute) or not is_self(call.func.value) or owner is None:
        return None
    name = call.func.attr.value
    return next((m for m in owner.body.body if isinstance(m, cst.FunctionDef) and m.name.value == name), None)


def is_first_rate(held: cst.Attribute, report: Report) -> bool:
    """Whether an optimizer is made with just what an attribute of the settings holds as its rate."""
    source = report.space().source
    given = (node for node in nodes_in(source.tree) if isinstance(node, cst.Arg)) if source is not None else ()
    return any(is_name(node.keyword, "lr") and node.value.deep_equals(held) for node in given)


def grown_from_start(node: Any, report: Report) -> bool:
    """Whether a divisor says how far a turn is from the first one: `1 + decay * epoch`, or a power of that."""
    node = node.left if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Power) else node
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Add):
        return False
    interp = report.interp
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if bounds(interp.eval(one)) == (1, 1):
            return any(isinstance(n, cst.Name) and is_counter(interp.eval(n)) for n in (other, *nodes_in(other)))
    return False


def wave_of(node: Any) -> Any:
    """The cosine in an expression."""
    return next((n for n in nodes_in(node) if is_plain_call(n, "cos")), None)


@lru_cache(maxsize=256)
def fills_lists(text: str) -> bool:
    """Whether a program appends in more places than one."""
    return text.count("append(") > 1


def decays_from_start(node: Any, report: Report) -> bool:
    """Whether a factor says what remains of the first rate at a turn: `0.1 ** (epoch // 30)`, or
    `(1 - step / steps) ** 0.9`, or half a wave of a cosine, for a number of the epoch or step that grows."""
    if node.__class__ is cst.Name:
        node = definition(index_of(report.space()), node)
    wave = index_of(report.space()).known(wave_of, node) if node is not None else None
    if wave is not None:
        return any(isinstance(n, cst.Name) and is_counter(report.interp.eval(n)) for n in nodes_in(wave))
    exponent = exponent_of(node)
    if exponent is not None and (is_counter(report.interp.eval(exponent)) or grows(index_of(report.space()), exponent)):
        return True
    base = node
    if exponent is not None:
        base = node.left if isinstance(node, cst.BinaryOperation) else node.args[0].value
    if not isinstance(base, cst.BinaryOperation) or not isinstance(base.operator, cst.Subtract):
        return False
    share = base.right
    if not isinstance(share, cst.BinaryOperation) or not isinstance(share.operator, cst.Divide):
        return False
    return bounds(report.interp.eval(base.left)) == (1, 1) and is_counter(report.interp.eval(share.left))


def is_counter(value: Value) -> bool:
    """Whether a value is a number that goes up without an end that is known, or of milestones that are behind."""
    if isinstance(value, Tensor):
        return value.nature == "a count" and value.lib == "numpy"
    return isinstance(value, Number) and value.hi == INF and value.lo != -INF and value.default is None


def grows(index: Index, node: Any) -> bool:
    """Whether a loop around an expression adds to what a name in it stands for, whatever that began as."""
    loops = [above for above in index.ancestors(node) if isinstance(above, (cst.For, cst.While))]
    added = (part for loop in loops for part in nodes_in(loop.body) if isinstance(part, cst.AugAssign))
    totals = [total_of(part) for part in added if adds_up(part)]
    counters = {total.value for total in totals if isinstance(total, cst.Name)}
    return bool(counters) and any(isinstance(n, cst.Name) and n.value in counters for n in (node, *nodes_in(node)))


def exponent_of(node: Any) -> Any:
    """The exponent of `base ** exponent`, be it computed by a function; else None."""
    if node.__class__ is cst.BinaryOperation and node.operator.__class__ is cst.Power:
        return node.right
    power = is_plain_call(node, "pow") and len(node.args) == 2 and isinstance(node.func, (cst.Attribute, cst.Name))
    return node.args[1].value if power else None


def is_rate_of_group(interp: Interpreter, node: cst.Subscript) -> bool:
    """Whether `group["lr"]` is the rate of an optimizer's group."""
    owners = options(interp.eval(node.value))
    groups = [o.attrs.get("param_groups") for o in optimizers(interp)]
    held = [group.attrs["element"] for group in groups if isinstance(group, ListObject)]
    if not all(any(group is owner for group in held) for owner in owners):
        return False
    index = interp.index(node.slice[0].slice)
    return getattr(index, "value", None) == "lr"


def used_as_rate(interp: Interpreter, name: str) -> bool:
    """Whether a variable is given to an optimizer as its rate in the loop at hand."""
    loop = interp.nearest_loop()
    for node in nodes_in(loop.node.body) if loop is not None and isinstance(loop.node, (cst.For, cst.While)) else ():
        if isinstance(node, cst.Assign) and isinstance(node.value, cst.Name) and node.value.value == name:
            target = node.targets[0].target
            if isinstance(target, cst.Subscript) and is_text(target.slice[0].slice, "lr"):
                return True
        if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value == "lr":
            if isinstance(node.value, cst.Name) and node.value.value == name:
                return True
    return False


def is_text(index: Any, text: str) -> bool:
    return isinstance(index, cst.Index) and is_written(index.value, text)


def is_written(node: Any, text: str) -> bool:
    """Whether a text is written here."""
    return isinstance(node, cst.SimpleString) and node.evaluated_value == text


class AdamL2(Rule):
    """`weight_decay` is given to Adam, which does not decay weights with it."""

    code, name = "TL706", "adam-l2"
    message = "`weight_decay` of Adam is an L2 penalty that its own scaling cancels; AdamW decays weights"
    severity = Severity.WARNING
    default = False
    fixable = Safety.UNSAFE

    @on_call(OPTIMIZER)
    def check(self, call: Call, report: Report) -> None:
        if call.short_name == "Adam" and (usual(call.value("weight_decay")) or 0) > 0:
            draft = report(call.argument("weight_decay"))
            if call.actual.startswith("torch.") and isinstance(call.node, cst.Call) and called(call.node) == "Adam":
                better = replace(call.node.func, imported("torch.optim.AdamW"))
                draft.fix("use `AdamW`, with a decay to be tuned anew", better)


class SgdWithoutMomentum(Rule):
    """The optimizer is SGD without momentum."""

    code, name = "TL712", "sgd-without-momentum"
    message = "SGD without momentum is slow and gets stuck where momentum, or Adam, would not"
    severity = Severity.WARNING
    default = False

    @on_call(OPTIMIZER)
    def check(self, call: Call, report: Report) -> None:
        if call.short_name == "SGD" and not call.arguments.open and len(call.arguments.positional) < 3:
            momentum = call.value("momentum")
            if momentum is None or usual(momentum) == 0:
                report(call.node)


class PenaltyMisuse(Rule):
    """A penalty on the weights is added so that it does not work."""

    code, name = "TL707", "penalty-misuse"
    message = "{what}"

    @on("add", "subtract")
    def check(self, fact: Any, report: Report) -> None:
        operator, node, left, right, _, right_node, _ = fact
        if not isinstance(left, Tensor) or not isinstance(right, Tensor):
            return
        if left.graph is False or not is_of_weights(right) or not is_loss(left):
            return
        if unweighted(right, right_node, report.interp).lo < 0:
            return
        if operator == "Subtract" and right.graph is not False:
            report(node, what="a penalty on the weights is subtracted from the loss, so training makes them grow")
        elif right.graph is False and all(not dep.live for dep in right.deps) and report.interp.grad:
            report(node, what="the penalty is computed on detached weights, so it adds nothing to their gradients")

    @on_call("optax.chain")
    def chained(self, call: Call, report: Report) -> None:
        """A chain of optax decays the weights behind an optimizer, which has turned the sign round already."""
        made: Instance | None = None
        for part, node in zip(call.arguments.positional, call.arguments.nodes, strict=False):
            if not isinstance(part, Instance) or part.family != "optax":
                continue
            if "learning_rate" in part.attrs:
                made = part
            elif made is not None and part.describe() == "add_decayed_weights":
                what = "the decay comes after the optimizer (@), so it is added to the weights and makes them grow"
                report(node or call.node, what=what).because([made.born])

    @on_call(OPTIMIZER)
    def decay(self, call: Call, report: Report) -> None:
        decay, rate = usual(call.value("weight_decay")), usual(call.value("lr", 1))
        # What each step takes from the weights is the product.
        if call.short_name == "SGD" and decay and decay > 0.1 and rate and rate * decay >= 0.05:
            report(
                call.argument("weight_decay"),
                what=f"a weight decay of {decay:g} pulls the weights to 0 faster than SGD can learn them",
            )


def is_loss(value: Tensor) -> bool:
    return value.nature == "a loss" or bool(trained_modules([value]))


def unweighted(value: Tensor, node: Any, interp: Interpreter) -> Tensor:
    """What a weight that nothing is known of is multiplied with, or the value itself: a weight is not below 0."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Multiply):
        sides = (interp.eval(node.left), interp.eval(node.right))
        for one, other in (sides, sides[::-1]):
            if isinstance(one, Tensor) and not isinstance(other, Tensor) and bounds(other) == (-INF, INF):
                return one
    return value


def is_of_weights(value: Tensor) -> bool:
    """Whether a value is computed from parameters only."""
    leaves = [dep for dep in value.deps if not dep.scales]
    return bool(leaves) and ELSEWHERE not in leaves and all(dep.node is None for dep in leaves)


class RnnWithoutClipping(Rule):
    """A recurrent network is trained without clipping its gradients."""

    code, name = "TL708", "rnn-without-clipping"
    message = "a recurrent network (@) is trained without clipping, so one long sequence can blow its gradients up"
    severity = Severity.WARNING
    default = False

    @on("loop", having="backward step")
    def check(self, region: Region, report: Report) -> None:
        if region.has("clip"):
            return
        for backward in region.of("backward"):
            for model in trained_modules([backward.loss]):
                layer = next((m for m in modules_in(model) if is_recurrent(report.interp.library, m)), None)
                if layer is not None:
                    report(backward.node, backward.space).because([layer.born])
                    break


def is_recurrent(library: Library, module: Instance) -> bool:
    row = library.class_row(module.cls.path) if isinstance(module.cls, Api) else None
    return row is not None and row.raw.get("forward") == "recurrent"


VARIABLES = ("trainable_variables", "trainable_weights")


class OptimizerRecreated(Rule):
    """An optimizer or a scheduler is made anew at every turn."""

    code, name = "TL713", "optimizer-recreated"
    message = "{what}"
    severity = Severity.WARNING

    @on("loop", having="made")
    def check(self, region: Region, report: Report) -> None:
        if not isinstance(region.node, (cst.For, cst.While)):
            return
        begun_anew = frozenset[int]().union(*(descendants(e.module) for e in region.of("loaded")))
        flow = list(nested(region.events))
        made: dict[Any, list[Any]] = {}
        for event, inside in flow:
            if event.kind == "made" and not inner_loops(inside):
                if not always(inside):
                    return
                made.setdefault(event.node, []).append(event)
        renewed: list[Instance] = []
        for node, events in made.items():
            objects = [e.instance for e in events]
            if begun_anew and not begun_anew.isdisjoint(held_by(objects[0]) or begun_anew):
                continue
            others = [e.instance for held in made.values() for e in held]
            if len(objects) >= 2 and self.renewed(region, flow, objects, others, report):
                if objects[0].family == "optimizer":
                    renewed += objects
                    what = "the optimizer is made anew at every turn of the loop (@), so it forgets its momentum"
                    report(node, events[0].space, what=what).because([Step(region.space, region.node, "the loop")])
                else:
                    targets = [o.attrs.get("optimizer") for o in objects]
                    if all(t is targets[0] for t in targets) and targets[0] not in renewed:
                        what = "the scheduler is made anew at every turn of the loop (@), so it never gets anywhere"
                        report(node, events[0].space, what=what).because([Step(region.space, region.node, "the loop")])

    @on_call("optax.update")
    def begun_for_it(self, call: Call, report: Report) -> None:
        """A step of optax begins with a new state, or the next one does not get it."""
        state, node, optimizer = call.value("state", 2), call.argument("state", 2), call.receiver
        if not isinstance(optimizer, Instance) or not keeps_state(optimizer) or call.interp.nearest_loop() is None:
            return
        if isinstance(state, Instance) and state.family == "optimizer_state" and is_plain_call(node, "init"):
            what = "each step begins with a new state of the optimizer, so it forgets its momentum"
            report(node, what=what).because([state.born])
        elif is_second_unread(index_of(report.space()), call.node):
            what = "the new state of the optimizer is thrown away, so it forgets its momentum"
            report(call.node, what=what)

    @on_call("nnx_optimizer.update")
    def wrapped_anew(self, call: Call, report: Report) -> None:
        """Each turn of a loop around makes the optimizer of a model anew that was there before."""
        optimizer = call.receiver
        if not isinstance(optimizer, Instance):
            return
        model, inner = (optimizer.attrs.get(name) for name in ("model", "tx"))
        if isinstance(inner, Instance) and keeps_state(inner):
            self.made_again(call, optimizer, model, report)

    @on("applied")
    def applied_anew(self, call: Call, report: Report) -> None:
        """So does a loop around steps of an optimizer of Keras."""
        optimizer, given = call.receiver, call.argument("grads_and_vars", 1)
        named = (n for n in nodes_in(given) if isinstance(n, cst.Attribute) and n.attr.value in VARIABLES)
        models = [call.interp.peek(node.value) for node in named]
        if isinstance(optimizer, Instance) and len(models) == 1 and keeps_state(optimizer):
            self.made_again(call, optimizer, models[0], report)

    def made_again(self, call: Call, optimizer: Instance, model: Value | None, report: Report) -> None:
        """Tell of an optimizer that each turn of a loop makes for a model that was there before."""
        born = [one.born for one in (optimizer, model) if isinstance(one, Instance) and one.born is not None]
        for loop in outwards(call.interp.region) if len(born) == 2 else ():
            if loop.kind != "loop" or not isinstance(loop.node, cst.For) or not is_steady(loop):
                continue
            asked = set(names_in(loop.node.target)) & set(names_in(born[0].node))
            if any(called(node) in ("set_weights", "load_weights") for node in nodes_in(loop.node.body)) or asked:
                continue  # a run of its own, or a rate
            if contains(loop.node.body, born[0].node) and not contains(loop.node, born[1].node):
                what = "the optimizer is made anew at every turn of the loop (@), so it forgets its momentum"
                report(born[0].node, born[0].space, what=what).because([Step(loop.space, loop.node, "the loop")])

    @on("loop", having="begun advanced")
    def begun_anew(self, region: Region, report: Report) -> None:
        """Each turn of a loop over batches, or each epoch, makes the optimizer's state anew, and steps from that."""
        flow = list(nested(region.events))
        made: dict[Any, list[Any]] = {}
        for event, inside in flow:
            if event.kind == "begun" and not inner_loops(inside):
                made.setdefault(event.node, []).append(event)
        for node, events in made.items():
            states = {id(event.state) for event in events}
            steps = [(id(e.state), inner_loops(inside)) for e, inside in flow if e.kind == "advanced"]
            levels = [level for state, level in steps if state in states]
            if len(events) == 1 or states.difference(state for state, _ in steps):
                continue
            learnt = all(event.learnt for event in events[1:])
            if any(levels):
                anew = learnt and is_steady(region) and all(map(is_walk_below, levels))
            else:
                served = hands_on(region.node) and not is_listed(region)
                anew = learnt or (served and events[0].state.family == "optimizer_state")
            if anew:
                what = "the optimizer's state is made anew at every turn of the loop (@), so it forgets its momentum"
                report(node, events[0].space, what=what).because([Step(region.space, region.node, "the loop")])

    def renewed(
        self, region: Region, flow: list[Any], objects: list[Instance], others: list[Instance], report: Report
    ) -> bool:
        """Whether each turn uses what it has made itself, on the same parameters as the turn before: one of the
        `objects` of one place, or one of `others` that a setting picks in their stead."""
        optimizer = objects[0].family == "optimizer"
        kind, moved = ("step", "optimizer") if optimizer else ("scheduler", "scheduler")
        if optimizer:
            held = objects[0].attrs.get("$modules")
            if not held or any(o.attrs.get("$modules") != held for o in objects):
                return False
            if not keeps_state(objects[0]):
                return False
        begun = next(at for at, (e, _) in enumerate(flow) if e.kind == "made" and any(e.instance is o for o in others))
        moves = [(e, getattr(e, moved), inside) for e, inside in flow[begun:] if e.kind == kind]
        used = [(e, inside) for e, mover, inside in moves if any(mover is o for o in objects)]
        nodes = {e.node for e, _ in used}
        if not used or any(e.node in nodes and not any(mover is o for o in others) for e, mover, _ in moves):
            return False  # another one, made elsewhere, is used there too
        current: dict[Any, Instance] = {}
        for event, _ in flow[begun:]:
            if event.kind == "made":
                current[event.node] = event.instance
            elif event.kind == kind and event.node in nodes:
                if not any(getattr(event, moved) is made for made in current.values()):
                    return False  # made on some turns only
        levels = [inner_loops(inside) for _, inside in used]
        here = all(not level for level in levels)
        below = all(map(is_walk_below, levels))
        if not optimizer:
            return here or (
                below and all(outlasts(o) or ends_with(region, report, o.attrs.get("T_max")) for o in objects)
            )
        steady = is_steady(region)
        if here or (below and steady):
            return True
        # Phases make what each needs; but one that was there before was meant for the whole loop.
        inner = all(len(level) == 1 and counts(level[0].node, level[0].value) for level in levels)
        return inner and steady and any(is_twin(o, objects[0]) for o in optimizers(report.interp))


def is_twin(one: Instance, other: Instance) -> bool:
    """Whether two optimizers that are made at different places are of one kind and hold the same."""
    alike = one.api_path == other.api_path and one.attrs.get("$modules") == other.attrs.get("$modules")
    return alike and one.born is not None and other.born is not None and one.born.node is not other.born.node


def draws_batches(loop: Region) -> bool:
    """Whether a loop that counts takes what comes next from elsewhere, or cuts its batches out by the number of the
    turn."""
    node = loop.node
    if not isinstance(node, cst.For):
        return False
    counts, parts = set(names_in(node.target)), list(nodes_in(node.body))
    for part in parts:
        if isinstance(part, cst.Assign) and isinstance(part.value, cst.BinaryOperation):
            target = part.targets[0].target
            if isinstance(target, cst.Name) and not counts.isdisjoint(names_in(part.value)):
                counts.add(target.value)
    slices = (part.lower for part in parts if isinstance(part, cst.Slice) and part.lower is not None)
    return any(is_plain_call(part, "next") for part in parts) or any(
        not counts.isdisjoint(names_in(lower)) for lower in slices
    )


def outlasts(scheduler: Instance) -> bool:
    """Whether a schedule is as long as several times the batches that there are."""
    given = (scheduler.attrs.get(name) for name in ("total_steps", "num_training_steps", "T_max", "total_iters"))
    lengths = [length for length in given if length is not None]
    if "steps_per_epoch" in scheduler.attrs:
        epochs = usual(scheduler.attrs.get("epochs"))
        return epochs is not None and epochs > 1
    return any(getattr(length, "nature", None) == STEPS and length.tally is None for length in lengths)


def held_by(mover: Instance) -> frozenset[int]:
    """Identities of the modules whose parameters an optimizer holds, or that of a scheduler; none where not known."""
    owner = mover if mover.family == "optimizer" else mover.attrs.get("optimizer")
    held: frozenset[int] = owner.attrs.get("$modules", frozenset()) if isinstance(owner, Instance) else frozenset()
    return held


def is_listed(region: Region) -> bool:
    """Whether a loop goes through what the program lists, such as settings to compare, or optimizers."""
    return isinstance(region.value, (Tuple, ListObject, DictObject))


def is_steady(region: Region) -> bool:
    """Whether a loop counts, and so does the same in each turn."""
    if isinstance(region.node, cst.For) and is_plain_call(region.node.iter, "zip") and stop_of(region.node) is None:
        return False  # what each turn gets makes it a phase of its own
    if isinstance(region.node, cst.For) and picks_items(region.node):
        return False
    listed = isinstance(region.value, Tuple) and not isinstance(region.node, cst.While)
    return region.value is None or (listed and all(usual(item) is not None for item in region.value.items))


def picks_items(loop: cst.For) -> bool:
    """Whether a loop that counts hands on, at each turn, the item of a list with the turn's number; not of a list that
    the loop fills itself."""
    index, parts = loop.target, list(nodes_in(loop.body))
    if not isinstance(index, cst.Name):
        return False
    targets = [target.target for part in parts if isinstance(part, cst.Assign) for target in part.targets]
    targets += [part.target for part in parts if isinstance(part, cst.AugAssign)]
    filled = {name for target in targets for name in names_in(target)}
    asked = (part.func.value for part in parts if isinstance(part, cst.Call) and isinstance(part.func, cst.Attribute))
    filled |= {name for value in asked for name in names_in(value)}
    given = (part.value if isinstance(part, cst.Arg) else None for part in parts)
    return any(
        isinstance(value, cst.Subscript)
        and len(value.slice) == 1
        and isinstance(at := value.slice[0].slice, cst.Index)
        and is_name(at.value, index.value)
        and filled.isdisjoint(names_in(value.value))
        for value in given
    )


def is_walk_below(loops: list[Any]) -> bool:
    """Whether the loops around an event are one over batches."""
    return len(loops) == 1 and (over_batches(loops[0]) or draws_batches(loops[0]))


def keeps_state(optimizer: Instance) -> bool:
    """Whether an optimizer remembers anything between steps."""
    if optimizer.family == "optax":
        parts = optimizer.attrs.get("$parts", ())
        own = "learning_rate" in optimizer.attrs and (optimizer.describe() != "sgd" or "momentum" in optimizer.attrs)
        return own or any(map(keeps_state, parts))
    if optimizer.api_path.endswith(".SGD"):
        momentum = optimizer.attrs.get("momentum")
        return momentum is not None and bounds(momentum)[0] > 0
    return optimizer.api_path.startswith(("torch.optim.", "transformers.")) or optimizer.family == "keras_optimizer"


class OneRateForAll(Rule):
    """A pretrained model is fine-tuned as a whole at the rate of a new one."""

    code, name = "TL714", "one-rate-for-all"
    message = "all of a pretrained model (@) learns at {rate:g}, the rate of a new layer, so it unlearns what it knew"
    severity = Severity.WARNING
    default = False
    # From here on, the first steps carry pretrained weights away.
    HIGH = {"SGD": 0.05, "Adam": 1e-3, "AdamW": 1e-3, "NAdam": 1e-3, "RAdam": 1e-3}  # noqa: RUF012

    @on("program", having="made step")
    def check(self, region: Region, report: Report) -> None:
        for _, node, space, optimizer in region.of("made"):
            high = self.HIGH.get(optimizer.api_path.rpartition(".")[2]) if optimizer.family == "optimizer" else None
            rate = const(optimizer.attrs["lr"]) if "lr" in optimizer.attrs else 1e-3
            if high is None or not isinstance(rate, (int, float)) or rate < high:
                continue
            if not any(e.optimizer is optimizer for e in region.of("step")):
                continue
            group = optimizer.attrs["param_groups"].attrs["element"]
            given = group.attrs.get("params") if hasattr(group, "attrs") else None
            model = given.source if isinstance(given, Sequence) else None
            if not isinstance(model, Instance) or self.scheduled(region, optimizer):
                continue
            whole = next((m for m in modules_in(model) if m.attrs.get("$pretrained") is TRUE), None)
            frozen = any(m.attrs.get("$frozen", FALSE) is not FALSE for m in modules_in(model))
            if whole is not None and not frozen and isinstance(model.cls, (Api, Class)):
                report(node, space, rate=rate).because([whole.born])

    def scheduled(self, region: Region, optimizer: Instance) -> bool:
        """Whether a schedule sets the rate, which may begin low."""
        made = (e.instance for e in region.of("made"))
        return any(o.family == "scheduler" and o.attrs.get("optimizer") is optimizer for o in made)
