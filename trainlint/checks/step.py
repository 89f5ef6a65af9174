"""The step: gradients and their order."""

from __future__ import annotations

from functools import partial
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on
from trainlint.checks.repairs import (
    around,
    called,
    definition,
    follows,
    index_of,
    is_plain,
    line_of,
    positional,
    stepped,
)
from trainlint.edits import insert_after, insert_before, move_after, move_before, replace
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.layers import calls_in
from trainlint.semantics.behaviours.tensors import written_name
from trainlint.semantics.behaviours.training import optimizers, touches
from trainlint.semantics.interpreter import Region, may_learn, nested
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import FACTOR, FALSE, NONE, Api, Class, Instance, Step, Tensor, const, truth, usual
from trainlint.syntax import nodes_in


class MissingZeroGrad(Rule):
    """Gradients are never cleared between steps."""

    code, name = "TL201", "missing-zero-grad"
    message = (
        "gradients are not cleared since the last step, so each step also takes the gradients of all batches before"
    )
    fixable = Safety.UNSAFE

    @on("stepped")
    def check(self, fact: Any, report: Report) -> None:
        node, optimizer, before = fact
        if before == {"stale"} and not optimizer.attrs.get("$many"):
            report(node).repair(self.clear)

    def clear(self, draft: Draft) -> None:
        optimizer = stepped(draft.node)
        if optimizer is not None and line_of(index_of(draft.space), draft.node) is not None:
            draft.fix("clear the gradients after the step", insert_after(draft.node, optimizer, ".zero_grad()"))

    @on("loop")
    def never(self, region: Region, report: Report) -> None:
        """A loop that fills gradients and steps, each perhaps not in every turn, and in no way clears any."""
        kinds = region.kinds.keys()
        if "clear" in kinds or not {"backward", "step"} <= kinds:
            return
        for kind, node, space, *details in region.events:
            if kind == "step" and "stale" in details[1] and "?" not in details[1] and not details[0].attrs.get("$many"):
                report(node, space).repair(self.clear)


class ZeroGradAfterBackward(Rule):
    """Gradients are wiped before the step that needs them."""

    code, name = "TL202", "zero-grad-after-backward"
    message = "gradients are cleared between `backward` and `step`, so the step changes nothing"
    fixable = Safety.UNSAFE

    @on("stepped")
    def check(self, fact: Any, report: Report) -> None:
        node, optimizer, before = fact
        if before == {"wiped"} and not stepped_empty(report.interp.region, node):
            cleared: Step = optimizer.attrs["$cleared"]
            draft = report(cleared.node, cleared.space).because([Step(report.space(), node, "the step")])
            draft.repair(partial(self.move, report.space(), node))

    def move(self, space: Namespace, step: Any, draft: Draft) -> None:
        if space is draft.space:
            index = index_of(space)
            if follows(index, line_of(index, draft.node), line_of(index, step)):
                draft.fix("clear the gradients after the step", move_after(draft.node, step))


def stepped_empty(region: Region | None, node: Any) -> bool:
    """Whether this step was run before with no gradients at all: then the order is at fault, not the clearing."""
    while region is not None:
        if any(e[1] is node and e[4] == {"clear"} for e in region.of("step")):
            return True
        region = region.parent
    return False


def steps_elsewhere(region: Region) -> bool:
    """Whether a program is just one method of an object, and there are steps in the methods that it does not call."""
    if not isinstance(region.value, Instance) or not isinstance(region.value.cls, Class):
        return False
    taken = {event[1] for event in region.of("step")}
    classes = [region.value.cls]
    for cls in classes:
        if any(written_name(call) == "step" and call not in taken for call in calls_in(cls.node)):
            return True
        classes += [base for base in cls.bases if isinstance(base, Class)]
    return False


class StepOrder(Rule):
    """Backward and step do not follow each other."""

    code, name = "TL203", "step-order"
    message = "{what}"
    fixable = Safety.UNSAFE

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "loop":
            self.step_first(region, report)
        elif region.kind == "program":
            self.one_missing(region, report)

    def step_first(self, region: Region, report: Report) -> None:
        """Each turn steps with no gradients at hand, and fills them afterwards."""
        events = [e for e in region.events if e[0] in ("step", "backward", "escape")]
        for i, event in enumerate(events):
            if event[0] == "step" and event[4] == {"clear"} and isinstance(event[3], Instance):
                later = [e for e in events[i + 1 :] if e[0] == "backward" and touches(event[3], e[3].deps, True)]
                same = [e for e in events if e[0] == "step" and e[1] is event[1]]
                if later and len(same) > 1 and all(e[4] <= {"clear", "wiped"} for e in same):
                    draft = report(
                        event[1],
                        event[2],
                        what="`step` runs before `backward`, so it finds no gradients and changes nothing",
                    )
                    draft.because([Step(later[0][2], later[0][1], "backward")])
                    draft.repair(partial(self.move, later[0][2], later[0][1]))

    def move(self, space: Namespace, backward: Any, draft: Draft) -> None:
        if space is draft.space:
            index = index_of(space)
            if follows(index, line_of(index, draft.node), line_of(index, backward)):
                draft.fix("step after `backward`", move_after(draft.node, backward))

    def one_missing(self, region: Region, report: Report) -> None:
        events = region.events
        if any(e[0] in ("autograd", "gradient", "named") or (e[0] == "escape" and may_learn(e[3])) for e in events):
            return
        backwards = [e for e in events if e[0] == "backward"]
        steps = [e for e in events if e[0] == "step"]
        if not backwards:
            losses = [e for e in events if e[0] == "loss" and isinstance(e[5], Tensor) and e[5].graph and e[5].deps]
            for event in steps:
                if event[4] == {"clear"} and any(touches(event[3], e[5].deps, False) for e in losses):
                    what = "`step` runs without any `backward`, so it finds no gradients and nothing is learnt"
                    report(event[1], event[2], what=what).repair(partial(self.run_backward, losses))
            return
        if any(not isinstance(e[3], Instance) or "$state" not in e[3].attrs for e in steps):
            return
        for optimizer in optimizers(report.interp):
            if (
                any(e[3] is optimizer for e in steps)
                or "?" in optimizer.attrs.get("$state", "?")
                or not optimizer.attrs["$complete"]
            ):
                continue
            if any(e[3].attrs["$modules"] & optimizer.attrs["$modules"] for e in steps):
                continue  # another optimizer holds these parameters too, and steps
            last = next((e for e in reversed(backwards) if touches(optimizer, e[3].deps, False)), None)
            if last is not None and any(e[0] == "clear" for e in events) and not steps_elsewhere(region):
                what = (
                    "gradients are computed, but the optimizer of these parameters never steps, so they are not learnt"
                )
                draft = report(last[1], last[2], what=what).because([optimizer.born])
                clears = [e for e in events if e[0] == "clear" and len(e) > 3 and e[3] is optimizer and e[2] is last[2]]
                draft.repair(partial(self.step, [e[1] for e in clears]))

    def run_backward(self, losses: list[Any], draft: Draft) -> None:
        """Offer to run the only loss backward, where it is a name of its own in the same block."""
        places = {event[1] for event in losses if event[2] is draft.space}
        if len(places) != 1 or len(places) != len({event[1] for event in losses}):
            return
        index = index_of(draft.space)
        statement = index.statement(places.pop())
        line, stepping = index.parent(statement) if statement is not None else None, line_of(index, draft.node)
        if not isinstance(statement, cst.Assign) or stepping is None or not follows(index, line, stepping):
            return
        target = statement.targets[0].target
        if isinstance(target, cst.Name) and definition(index, target) is statement.value:
            uses = [index.parent(use) for binding in index.lookup(target) for use in index.references(binding)]
            if not any(isinstance(use, (cst.BinaryOperation, cst.AugAssign)) for use in uses):
                draft.fix("run the loss backward", insert_before(draft.node, target, ".backward()"))

    def step(self, clears: list[Any], draft: Draft) -> None:
        """Offer to step behind `backward`, where what is to step is cleared in the same block."""
        index = index_of(draft.space)
        backward = line_of(index, draft.node)
        found = {
            clear.func.value.value if isinstance(clear.func.value, cst.Name) else clear: clear.func.value
            for clear in clears
            if isinstance(clear, cst.Call) and isinstance(clear.func, cst.Attribute) and is_plain(clear.func.value)
            if index.parent(line_of(index, clear)) is index.parent(backward)
        }
        if backward is not None and len(found) == 1:
            draft.fix("step", insert_after(draft.node, next(iter(found.values())), ".step()"))

    @on("training_step")
    def lightning(self, fact: Any, report: Report) -> None:
        """Lightning runs backward on what `training_step` returns; None tells it to skip the batch."""
        method, module, value, region = fact
        manual = module.attrs.get("automatic_optimization")
        if value.key == NONE.key and (manual is None or truth(manual) is True):
            losses = [e for e in region.of("loss") if isinstance(e[5], Tensor) and e[5].deps]
            if losses and not region.has("backward", "step"):
                what = "`training_step` returns nothing, so Lightning skips every batch and nothing is learnt"
                loss = losses[-1]
                report(method.node.name, method.space, what=what).because([Step(loss[2], loss[1], "the loss")])


class SchedulerBeforeOptimizer(Rule):
    """The schedule moves before the first step."""

    code, name = "TL204", "scheduler-before-optimizer"
    message = "the scheduler steps before the optimizer's first step, so the first learning rate is never used"
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        for i, event in enumerate(region.events):
            if event[0] != "scheduler" or event[6] is not None:
                continue  # told the epoch, it computes the rate of that epoch; told a metric, it starts from it
            if event[5] or (event[5] is None and self.leads(region, i)):
                steps = (e for e in region.events[i + 1 :] if e[0] == "step")
                later = next((e for e in steps if any(e[3] is optimizer for optimizer in event[4])), None)
                if later is not None:
                    draft = report(event[1], event[2]).because([Step(later[2], later[1], "the optimizer's step")])
                    draft.repair(partial(self.move, region, later))

    def leads(self, region: Region, i: int) -> bool:
        """Whether a scheduler's step comes in each turn of a loop, or right before the optimizer's, and no optimizer
        steps before it."""
        if any(e[0] == "step" for e in region.events[:i]):
            return False
        call, step = region.events[i][1], next((e[1] for e in region.events[i + 1 :] if e[0] == "step"), None)
        return each_turn(region.node.body, call) or in_a_row(region.node.body, call, step)

    def move(self, region: Region, later: Any, draft: Draft) -> None:
        index = index_of(draft.space)
        line = line_of(index, draft.node)
        body = getattr(region.node, "body", None)
        if line is None or draft.node.args or index.parent(line) is not body or not isinstance(body, cst.IndentedBlock):
            return
        target = around(index, later[1], body) if later[2] is draft.space else None
        following = body.body[body.body.index(line) + 1 :]
        if (
            target is None
            and following
            and not any(isinstance(n, cst.Continue) for s in following for n in nodes_in(s))
        ):
            target = following[-1]
        if target in following:
            draft.fix("step the scheduler after the optimizer", move_after(draft.node, target))


def each_turn(body: Any, call: cst.Call) -> bool:
    """Whether a loop makes a call in every turn, or in every one if the object is there at all."""
    for statement in body.body:
        if isinstance(statement, cst.SimpleStatementLine):
            if any(isinstance(s, cst.Expr) and s.value is call for s in statement.body):
                return True
        elif isinstance(statement, cst.If) and isinstance(call.func, cst.Attribute):
            test = statement.test.left if isinstance(statement.test, cst.Comparison) else statement.test
            if test.deep_equals(call.func.value) and each_turn(statement.body, call):
                return True
    return False


def in_a_row(body: Any, first: cst.Call, then: Any) -> bool:
    """Whether a block in a loop makes two calls, one after the other, whenever it makes either."""
    for block in nodes_in(body):
        if isinstance(block, cst.IndentedBlock):
            calls = [
                s.value
                for line in block.body
                if isinstance(line, cst.SimpleStatementLine)
                for s in line.body
                if isinstance(s, cst.Expr)
            ]
            if any(c is first for c in calls):
                return any(c is then for c in calls)
    return False


class GraphRetained(Rule):
    """A running total keeps the graph of every batch."""

    code, name = "TL206", "graph-retained"
    message = "a tensor is kept from batch to batch together with its graph, so memory grows with every batch"
    severity = Severity.WARNING
    fixable = Safety.SAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        losses = [event[3] for event in region.of("backward")]
        used = {node for loss in losses for node in loss.grown}
        if losses:
            for kind, node, space, *details in region.events:
                if kind == "grown" and details[1] is region.node and node not in used:
                    value = details[0]
                    if value.graph or any(same_loss(value, loss) for loss in losses):
                        report(node, space).repair(self.detach)

    def detach(self, draft: Draft) -> None:
        node, kept = draft.node, None
        if isinstance(node, cst.AugAssign):
            kept = node.value
        elif isinstance(node, cst.Call) and called(node) == "append" and len(node.args) == 1:
            kept = node.args[0].value
        elif isinstance(node, cst.Assign) and isinstance(node.value, cst.BinaryOperation):
            total = node.targets[0].target
            sides = (node.value.left, node.value.right)
            kept = next((other for one, other in (sides, sides[::-1]) if one.deep_equals(total)), None)
        if kept is not None and not isinstance(kept, cst.Tuple):
            draft.fix("keep it without its graph", replace(kept, kept, ".detach()"))


def same_loss(value: Tensor, loss: Tensor) -> bool:
    """Whether a value is the loss itself; it was run backward, so it surely has a graph."""
    unscaled = frozenset(dep for dep in loss.deps if dep.module.family != "scaler")
    return value is loss or (unscaled != loss.deps and value.key == loss.but(deps=unscaled).key)


# --------------------------------------------------------------------------- clipping and accumulation


def loops(inside: tuple[Any, ...]) -> list[Any]:
    """The loops among the regions around an event."""
    return [region for region in inside if region[3] == "loop"]


class ClipMisplaced(Rule):
    """Gradients are clipped where that has no effect."""

    code, name = "TL207", "clip-misplaced"
    message = "gradients are clipped {what}"
    fixable = Safety.UNSAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        clips: dict[Any, list[Any]] = {}
        for event in region.events:
            if event[0] == "clip":
                clips.setdefault(event[1], []).append(event)
        for node, found in clips.items():
            what, related = self.judge(region, found)
            if what:
                plan = partial(self.mend, what.split()[0], related, region, len(clips))
                report(node, found[0][2], what=what).because(related).repair(plan)

    def mend(self, what: str, related: list[Step], region: Region, count: int, draft: Draft) -> None:
        """Offer the right place among the statements of one block, or what the clipping lacks."""
        index, clip = index_of(draft.space), draft.node
        if what == "of":
            parameters = positional(clip)[0] if positional(clip) else None
            made = definition(index, parameters) if isinstance(parameters, cst.Name) else None
            if isinstance(made, cst.Call) and called(made) == "parameters":
                draft.fix("keep the parameters in a list", replace(made, "list(", made, ")"))
            return
        place = related[0] if related else None
        if place is None or place.space is not draft.space or not isinstance(place.node, cst.Call):
            return
        line, other = line_of(index, clip), line_of(index, place.node)
        steps = [event for event in region.of("step") if event[2] is draft.space]
        scaled = any(event[5] is not None for event in region.of("step"))
        if what == "before" and follows(index, line, other):
            later = [line_of(index, event[1]) for event in steps]
            if not scaled and all(follows(index, other, step) for step in later):
                draft.fix("clip after `backward`", move_after(clip, place.node))
        elif what == "after" and follows(index, other, line) and not scaled:
            backwards = [line_of(index, event[1]) for event in region.of("backward") if event[2] is draft.space]
            if backwards and all(follows(index, backward, other) for backward in backwards):
                draft.fix("clip before the step", move_before(clip, place.node))
        elif what == "while" and count == 1 and other is not None:
            optimizer, block = stepped(place.node), index.parent(other)
            scaler = place.node.func.value if isinstance(place.node.func, cst.Attribute) else None
            above = around(index, line, block) if line is not None else None
            looped = any(isinstance(n, (cst.For, cst.While)) for n in nodes_in(above)) if above is not None else True
            if optimizer is not None and is_plain(scaler) and place.node.args and not looped:
                if above is line or follows(index, above, other):
                    draft.fix("unscale them first", insert_before(clip, scaler, ".unscale_(", optimizer, ")"))

    def judge(self, region: Region, clips: list[Any]) -> tuple[str, list[Step]]:
        if any(spent for *_, spent in clips):
            return "of a generator of parameters that was walked through before, so none of them is clipped", []
        if not all(states for _, _, _, states, _ in clips):
            return "", []
        held = [entry for _, _, _, states, _ in clips for entry in states]
        owners = [owner for owner, _, _ in held]
        steps = [e for e in region.of("step") if e[3] in owners]
        backwards = [e for e in region.of("backward") if any(touches(o, e[3].deps, True) for o in owners)]
        if not steps or not backwards:
            return "", []
        state = frozenset[str]().union(*(state for _, state, _ in held))
        if state == {"used"} or (state == {"clear"} and clips_late(region.events, clips[0][1], steps)):
            return "after the step that uses them (@), so the clipping does nothing", [Step(*step_place(steps))]
        if state <= {"used", "clear"}:
            place = Step(backwards[0][2], backwards[0][1], "backward")
            return "before `backward` fills them (@), so the clipping does nothing", [place]
        if all(scale == {"scaled"} for _, _, scale in held) and all(isinstance(e[5], Instance) for e in steps):
            return "while still multiplied by the loss scale; `unscale_` belongs before", [Step(*step_place(steps))]
        return "", []


def step_place(steps: list[Any]) -> tuple[Any, Any, str]:
    return steps[0][2], steps[0][1], "the step"


def clips_late(events: list[Any], clip: Any, steps: list[Any]) -> bool:
    """Whether the first clipping of a loop comes after its first step."""
    first = next(e for e in events if e in steps or (e[0] == "clip" and e[1] is clip))
    return bool(first[0] == "step")


class UnscaledAccumulation(Rule):
    """Gradients of several batches are summed where their mean is meant."""

    code, name = "TL208", "unscaled-accumulation"
    message = (
        "the gradients of several batches are summed before each step (@), as the loss is not divided by their number"
    )
    severity = Severity.WARNING
    fixable = Safety.UNSAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        if not any(e[3] == "periodic" for e in region.of("enter")):
            return
        if any(e[6] is not None and const(e[6]) != "mean" for e in region.of("loss")):
            return
        flow = [(event, inside) for event, inside in nested(region.events) if not loops(inside)]
        for i, (event, inside) in enumerate(flow):
            every = next((r for r in inside if r[3] == "periodic"), None)
            if event[0] != "step" or every is None or not isinstance(event[3], Instance):
                continue
            optimizer = event[3]
            if self.summed(region, report, flow, i, optimizer, every):
                backward = next(e for e, around in flow if e[0] == "backward" and touches(optimizer, e[3].deps, True))
                draft = report(backward[1], backward[2]).because([Step(event[2], event[1], "the step")])
                if region.space is backward[2]:
                    draft.repair(partial(self.divide, every[4].right))

    def divide(self, number: Any, draft: Draft) -> None:
        """Offer to divide what `backward` is called on, where the number is plainly named in the same function."""
        index, call = index_of(draft.space), draft.node
        if not (isinstance(number, cst.Integer) or is_plain(number)) or not isinstance(call, cst.Call):
            return
        if called(call) != "backward" or call.args or index.function(number) is not index.function(call):
            return
        loss = call.func.value if isinstance(call.func, cst.Attribute) else None
        if isinstance(loss, cst.Call) and called(loss) == "scale" and len(loss.args) == 1:
            loss = loss.args[0].value
        if is_plain(loss):
            draft.fix("divide the loss", replace(loss, loss, " / ", number))

    def summed(
        self, region: Region, report: Report, flow: list[Any], position: int, optimizer: Instance, every: Any
    ) -> bool:
        """Whether what this step takes is a sum over turns that nothing has divided."""
        number = usual(report.interp.eval(every[4].right)) if region.space is report.interp.frame.space else None
        if number is not None and number <= 1:
            return False
        for event, inside in flow[:position][::-1]:
            if every not in inside:
                break
            if event[0] in ("clear", "backward"):
                return False
        backwards = [
            (e, inside) for e, inside in flow if e[0] == "backward" and touches(optimizer, e[3].deps, True) is not False
        ]
        outside = [e for e, inside in flow if e[0] == "clear" and e[3:4] in ((), (optimizer,)) and not periodic(inside)]
        if not backwards or outside:
            return False
        return all(
            not periodic(inside)
            and not e[5]
            and (e[3].deps or e[3].nature == "a loss")
            and not any(dep.module is FACTOR for dep in e[3].deps)
            for e, inside in backwards
        )


def periodic(inside: tuple[Any, ...]) -> bool:
    """Whether something happens on some turns of a loop only."""
    return any(r[3] == "periodic" for r in inside)


class TrainingUnderNoGrad(Rule):
    """What is trained was computed without gradients."""

    code, name = "TL213", "training-under-no-grad"
    message = "the model that is trained runs without recording gradients, so `backward` (@) has nothing to go through"

    @on("program")
    def check(self, region: Region, report: Report) -> None:
        if not any(e[0] == "backward" for e in region.events):
            return
        calls: dict[Any, list[Any]] = {}
        backwards: dict[Any, list[Any]] = {}
        for event in region.events:
            if event[0] == "model":
                calls.setdefault(event[1], []).append(event)
            elif event[0] == "backward":
                backwards.setdefault(event[1], []).append(event)
        for node, events in backwards.items():
            found = [self.unrecorded(event[3], calls) for event in events]
            if all(found):  # code that runs both ways runs backward on one of them only
                call = found[0][0]
                report(call[1], call[2]).because([Step(events[0][2], node, "trained on here")])

    def unrecorded(self, loss: Tensor, calls: dict[Any, list[Any]]) -> list[Any]:
        """The calls that a loss depends on, where none of them records gradients."""
        deps = [dep for dep in loss.deps if dep.module.family not in ("factor", "scaler")]
        if not deps or any(dep.live or dep.node is None for dep in deps):
            return []
        found = [event for dep in deps for event in calls.get(dep.node, ())]
        return found if all(event[5] is False for event in found) else []


class AmpMisuse(Rule):
    """Mixed precision is switched on, but the gradients are not scaled as it needs."""

    code, name = "TL209", "amp-misuse"
    message = "{what}"

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "loop":
            self.steps(region, report)
            self.precision(region, report)
        elif region.kind == "program":
            self.never_updated(region, report)
            self.past_the_engine(region, report)

    def past_the_engine(self, region: Region, report: Report) -> None:
        """A plain `backward` for an optimizer that an Accelerator has prepared."""
        for kind, node, space, loss, _, engine in region.of("backward"):
            if engine or not isinstance(node, cst.Call) or called(node) != kind:
                continue
            for step in region.of("step"):
                accelerator = step[3].attrs.get("$engine") if isinstance(step[3], Instance) else None
                if not isinstance(accelerator, Instance) or not accelerator.api_path.startswith("accelerate."):
                    continue
                if any(d.module is FACTOR or d.module.family == "scaler" for d in loss.deps):
                    continue
                if touches(step[3], loss.deps, False) is True:
                    batches = const(accelerator.attrs.get("gradient_accumulation_steps", NONE))
                    if isinstance(batches, int) and batches > 1:
                        what = f"which would divide the loss by the {batches} batches that it accumulates"
                    elif const(accelerator.attrs.get("mixed_precision", NONE)) == "fp16":
                        what = "so the loss is not scaled as its float16 needs"
                    else:
                        continue
                    report(node, space, what=f"this `backward` passes the Accelerator by (@), {what}").because(
                        [accelerator.born]
                    )
                    break

    def steps(self, region: Region, report: Report) -> None:
        """What the steps take: scaled gradients without the scaler, or plain ones through it."""
        found: dict[Any, list[Any]] = {}
        for event in region.events:
            if event[0] == "step":
                found.setdefault(event[1], []).append(event)
        for node, steps in found.items():
            scales = frozenset[str]().union(*(e[6] for e in steps))
            scalers = [e[5] for e in steps]
            if scales == {"scaled"} and scalers == [None] * len(steps):
                what = "`step` takes gradients that are still multiplied by the loss scale; it belongs in `scaler.step`"
                report(node, steps[0][2], what=what)
            elif scales == {"plain"} and all(isinstance(s, Instance) and enabled(s) for s in scalers):
                what = "`scaler.step` divides by a loss scale that the loss was never multiplied with"
                report(node, steps[0][2], what=what)

    def precision(self, region: Region, report: Report) -> None:
        """Gradients scaled for float16 in a block that computes in bfloat16."""
        casts = [e[4] for e in region.of("enter") if e[3] == "autocast"]
        if not casts or not all(is_bfloat16(cast.attrs["$autocast"]) and enabled(cast) for cast in casts):
            return
        for event in region.events:
            if event[0] == "backward":
                scaler = next((dep.module for dep in event[3].deps if dep.module.family == "scaler"), None)
                if scaler is None or scaler.born is None or not enabled(scaler):
                    continue
                if scaler.born.space is region.space:
                    what = "the loss is scaled for float16, but computed in bfloat16, which has the range of float32"
                    report(scaler.born.node, scaler.born.space, what=what)

    def never_updated(self, region: Region, report: Report) -> None:
        updated = [e[3] for e in region.of("scaler_update")]
        for event in region.events:
            if event[0] != "step" or not isinstance(event[5], Instance) or event[5] in updated:
                continue
            scaler = event[5]
            gone = any(scaler in e[3] for e in region.of("escape"))
            mentioned = event[2].source is not None and ".update(" in event[2].source.text
            if not gone and not mentioned and enabled(scaler):
                what = "the scaler steps, but is never updated, so its scale never follows the gradients"
                report(event[1], event[2], what=what)


def enabled(holder: Instance) -> bool:
    """Whether a scaler or an autocast surely is switched on."""
    return truth(holder.attrs.get("enabled", FALSE)) is True


def is_bfloat16(value: Any) -> bool:
    return isinstance(value, Api) and value.path == "torch.bfloat16"
