"""Schedules of the learning rate: when they step, and how long they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on
from trainlint.findings import Severity
from trainlint.semantics.behaviours.engines import automatic, hook
from trainlint.semantics.behaviours.layers import calls_in
from trainlint.semantics.behaviours.training import ASKED_AT
from trainlint.semantics.interpreter import Region, nested, outwards, target_names
from trainlint.semantics.modules import carried
from trainlint.semantics.values import (
    STEPS,
    UNKNOWN,
    Api,
    Const,
    DictObject,
    Function,
    Instance,
    ListObject,
    Number,
    Step,
    Tuple,
    Union,
    Value,
    const,
    options,
    usual,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import is_name, is_plain_call, last_name, names_in, positional

# After so many steps, a schedule that was meant for epochs has brought the rate down to nothing.
BATCHES = 200
FEW_BATCHES = 10  # of an epoch, where it is known how many epochs there are
NOTHING = 1e-4
LATE = 0.4  # of all epochs, where the last milestone of a schedule in epochs lies or later


def inner_loops(inside: tuple[Any, ...]) -> list[Any]:
    """The loops among the regions around an event."""
    return [region for region in inside if region.block == "loop"]


def counts(node: Any, value: Any) -> bool:
    """Whether a loop counts, rather than walking over data."""
    if isinstance(node, cst.While):
        return True
    return isinstance(node, cst.For) and (value is None or isinstance(value, Tuple))


def over_batches(loop: Any) -> bool:
    """Whether a loop walks over batches: something that is no range and no list known item by item."""
    if not isinstance(loop.node, cst.For) or not isinstance(loop.value, Value):
        return False
    return all(isinstance(option, Instance) and option.family != "module" for option in options(loop.value))


def hands_on(loop: Any) -> bool:
    """Whether a loop over something else than a range calls anything with what it is at, as a loop over data does and a
    measurement of time does not."""
    if not isinstance(loop, cst.For) or is_plain_call(loop.iter, "range"):
        return False
    served = served_by(loop)
    given = (argument.value for call in calls_in(loop.body) for argument in call.args)
    return any(not served.isdisjoint(names_in(value)) for value in given)


def served_by(loop: cst.For) -> set[str]:
    """The names of what a loop is at, and of what its body makes or takes of that: `x, y = batch`."""
    served = set(target_names(loop.target))
    for node in nodes_in(loop.body):
        if isinstance(node, cst.Assign) and not served.isdisjoint(names_in(node.value)):
            served.update(name for target in node.targets for name in target_names(target.target))
    return served


def picks_rows(loop: Any) -> bool:
    """Whether a loop picks items of something by what it is at: `batch = x[order[i : i + size]]`."""
    if not isinstance(loop, cst.For):
        return False
    served = set(target_names(loop.target))
    places = (part for node in nodes_in(loop.body) if isinstance(node, cst.Subscript) for part in node.slice)
    return any(not served.isdisjoint(names_in(place)) for place in places)


def stop_of(node: Any) -> Any:
    """The expression that says where a loop's `range` ends, or how long it is, or where its counter ends
    (`while epoch < epochs`)."""
    if isinstance(node, cst.While):
        return counted_to(node)
    iterated = node.iter if isinstance(node, cst.For) else None
    while isinstance(iterated, cst.Call) and iterated.args:
        if isinstance(iterated.func, cst.Name) and iterated.func.value in ("range", "trange"):
            given = positional(iterated)
            return stop_of_range(given) if given else None
        iterated = iterated.args[0].value
    return None


def stop_of_range(given: list[Any]) -> Any:
    """The expression that says how far a range goes: `n` of `range(n)`, and of `range(begun, begun + n)`."""
    stop = given[min(1, len(given) - 1)]
    if len(given) > 1 and isinstance(stop, cst.BinaryOperation) and isinstance(stop.operator, cst.Add):
        sides = (stop.left, stop.right)
        rest = [other for side, other in (sides, sides[::-1]) if side.deep_equals(given[0])]
        return rest[0] if rest else stop
    return stop


def counted_to(loop: cst.While) -> Any:
    """What a `while` compares a counter with that grows by one on each turn."""
    test = loop.test
    if not isinstance(test, cst.Comparison) or not isinstance(test.comparisons[0].operator, cst.LessThan):
        return None
    parts = (part for line in loop.body.body if isinstance(line, cst.SimpleStatementLine) for part in line.body)
    grown = (part for part in parts if isinstance(part, cst.AugAssign) and part.target.deep_equals(test.left))
    by_one = [isinstance(part.operator, cst.AddAssign) and getattr(part.value, "value", "") == "1" for part in grown]
    return test.comparisons[0].comparator if by_one == [True] and len(test.comparisons) == 1 else None


def turns(region: Region, report: Report) -> float | None:
    """How many turns a loop over a range makes."""
    stop = stop_of(region.node)
    return usual(report.interp.eval(stop)) if stop is not None else None


class Scheduling:
    """How one `step` of schedulers stands in a loop: the schedulers it moves, and the loops between."""

    def __init__(self, region: Region) -> None:
        self.moves: dict[Any, list[tuple[Any, tuple[Any, ...]]]] = {}
        self.steps: list[tuple[Any, tuple[Any, ...]]] = []
        others = set()
        for event, inside in nested(region.events):
            if event.kind == "scheduler":
                self.moves.setdefault(event.node, []).append((event, inside))
            elif event.kind == "step":
                others.add(event.node)
                self.steps.append((event, inside))
        self.moves = {node: moves for node, moves in self.moves.items() if node not in others}

    def alone(self, node: Any, loop: Any) -> bool:
        """Whether schedulers move at this place only, in the body of the loop itself."""
        body = getattr(getattr(loop, "body", None), "body", ())
        return len(self.moves) == 1 and any(node in nodes_in(line) for line in body if is_statement(line))

    def steps_of(self, scheduler: Any) -> list[tuple[Any, tuple[Any, ...]]]:
        return [(e, inside) for e, inside in self.steps if any(e.optimizer is o for o in scheduler.optimizers)]


def is_statement(line: Any) -> bool:
    """Whether a line of code is no block."""
    return isinstance(line, cst.SimpleStatementLine)


def always(inside: tuple[Any, ...]) -> bool:
    """Whether something happens on each turn of the loops around it, not on every nth one only."""
    return not any(region.block == "periodic" for region in inside)


def lone_loop(inside: tuple[Any, ...]) -> Any:
    """The one loop around an event; None when there is none, or several."""
    found = inner_loops(inside)
    return found[0] if len(found) == 1 else None


def is_given_turn(loop: Any, step: Any) -> bool:
    """Whether `scheduler.step` is given the number of a loop's turn: `epoch` of `for epoch in range(…)`."""
    argument = step.args[0].value if isinstance(step, cst.Call) and step.args else None
    counter = loop.target if isinstance(loop, cst.For) else None
    return isinstance(counter, cst.Name) and isinstance(argument, cst.Name) and argument.value == counter.value


def kind_of(scheduler: Any) -> str:
    return scheduler.api_path.rpartition(".")[2] if isinstance(scheduler, Instance) else ""


class SchedulerGranularity(Rule):
    """A schedule is moved on at other times than it was made for."""

    code, name = "TL205", "scheduler-granularity"
    message = "{what}"

    @on("loop", "program")
    def check(self, region: Region, report: Report) -> None:
        if region.kind == "program":
            self.never(region, report)
            self.by_engine(region, report)
        if region.kind != "loop" or not region.has("scheduler"):
            return
        scheduling = Scheduling(region)
        for node, moves in scheduling.moves.items():
            of_each: dict[int, list[tuple[Any, str | None]]] = {}
            for event, inside in moves:
                found = self.judge(region, report, scheduling, event, inside)
                of_each.setdefault(id(event.scheduler), []).append((event, found))
            wrong = [judged[0] for judged in of_each.values() if all(what for _, what in judged)]
            # One of several that a setting picks moves here and nowhere else, whichever it is.
            if wrong and (len(wrong) == len(of_each) or scheduling.alone(node, region.node)):
                first, what = wrong[0]
                report(node, first.space, what=what).because([first.scheduler.born])

    def judge(
        self, region: Region, report: Report, scheduling: Scheduling, event: Any, inside: tuple[Any, ...]
    ) -> str | None:
        """What is wrong with one step of one scheduler."""
        scheduler, given, kind = event.scheduler, event.given, kind_of(event.scheduler)
        if not isinstance(scheduler, Instance):
            return None
        if kind == "ReduceLROnPlateau":
            return self.plateau(region, event, given, inside)
        if given is not None or not counts(region.node, region.value):
            return None
        steps = scheduling.steps_of(event)
        loop = lone_loop(inside)
        if not inner_loops(inside):
            batches = [lone_loop(around) for _, around in steps]
            if batches and all(b is not None and over_batches(b) for b in batches) and for_batches(scheduler, kind):
                return f"`{kind}` (@) is made for one step a batch, but moves once an epoch, so it hardly gets started"
        elif loop is not None and over_batches(loop) and always(inside) and turns(region, report) != 1:
            around = [lone_loop(inside) for _, inside in steps]
            if any(other is not None and other.node is loop.node for other in around):
                return self.too_often(region, report, scheduler, kind)
        return None

    def too_often(self, region: Region, report: Report, scheduler: Instance, kind: str) -> str | None:
        attrs = scheduler.attrs
        if ends_with(region, report, attrs.get(length_name(scheduler, kind))):
            return f"`{kind}` (@) is as long as there are epochs, but moves at every batch"
        if kind == "SequentialLR" and fills(scheduler, turns(region, report)):
            return "`SequentialLR` (@) is as long as there are epochs, but moves at every batch"
        if decays(attrs, kind, turns(region, report)) or (
            kind == "MultiStepLR" and self.spans(region, report, milestones(attrs))
        ):
            return f"`{kind}` (@) is made for one step an epoch, but moves at every batch, so the rate soon is nothing"
        return None

    def spans(self, region: Region, report: Report, places: list[float] | None) -> bool:
        """Whether the last milestone lies in the later part of the loop's turns."""
        epochs = turns(region, report)
        return bool(places) and epochs is not None and epochs * LATE <= max(places or ()) <= epochs

    def plateau(self, region: Region, event: Any, given: Value | None, inside: tuple[Any, ...]) -> str | None:
        if given is None:
            return "`ReduceLROnPlateau` (@) steps without the metric that it watches"
        if (
            is_given_turn(region.node, event.node)
            and isinstance(given, Number)
            and given.integer
            and region.value is None
            and region.space is event.space
            and not inner_loops(inside)
        ):
            return "`ReduceLROnPlateau` (@) is given the number of the epoch, not a metric"
        return None

    def never(self, region: Region, report: Report) -> None:
        """A scheduler is made, its optimizer is stepped in loops, and nobody gets the scheduler who could step it."""
        made = [e for e in region.of("made") if e.instance.family == "scheduler"]
        moves = region.of("scheduler")
        if not made or any(not isinstance(e.scheduler, Instance) or e.scheduler.cls is None for e in moves):
            return
        parts = [part for e in made for part in carried(tuple(e.instance.attrs.values()))]
        moved = {id(e.scheduler) for e in moves} | {id(part) for part in parts}  # who has others moves them
        again = {e.scheduler.born.node for e in moves if e.scheduler.born is not None}  # another one, made there before
        stepped = {id(e.optimizer) for e, inside in nested(region.events) if e.kind == "step" and inner_loops(inside)}
        for _, node, space, scheduler in made:
            target = scheduler.attrs.get("optimizer")
            taken = target is not None and any(id(option) in stepped for option in options(target))
            if id(scheduler) in moved or node in again or not taken or space.source is None:
                continue
            if kind_of(scheduler) == "get_constant_schedule":  # the rate stays what it is, whether or not it steps
                continue
            name = assigned_name(space.source, node)
            if not is_replaced(scheduler, name, moves) and not self.handed_on(region, scheduler, name):
                kind = scheduler.describe()
                report(node, space, what=f"`{kind}` is made, but never steps, so the learning rate stays what it is")

    def by_engine(self, region: Region, report: Report) -> None:
        """Lightning moves what `configure_optimizers` returns once an epoch, unless it is told `interval: step`."""
        module = region.value
        if getattr(getattr(region.node, "name", None), "value", "") != "configure_optimizers":
            return
        if not isinstance(module, Instance) or hook(module, "training_step") is None or not automatic(module):
            return
        given = [value for event in region.of("escape") if event.node is region.node for value in event.values]
        for scheduler, interval in (pair for value in given for pair in intervals(value)):
            kind, born = kind_of(scheduler), scheduler.born
            what = ""
            if interval == "epoch" and (for_batches(scheduler, kind) or for_each_batch(scheduler, kind)):
                what = (
                    f"`{kind}` is made for one step a batch, but Lightning moves it once an epoch unless told otherwise"
                )
            elif interval == "step" and decays(scheduler.attrs, kind):
                what = f"`{kind}` is made for one step an epoch, but moves at every batch, so the rate soon is nothing"
            if what and born is not None:
                report(born.node, born.space, what=what)

    @on("configured")
    def lasting(self, fact: Any, report: Report) -> None:
        """Lightning moves a cosine at every batch that ends after as many steps as the training has epochs."""
        _, given, epochs = fact
        for scheduler, interval in intervals(given):
            kind, born = kind_of(scheduler), scheduler.born
            if interval == "step" and kind == "CosineAnnealingLR" and lasts(scheduler, epochs) and born is not None:
                what = f"`{kind}` ends after as many steps as there are epochs, but moves at every batch"
                report(born.node, born.space, what=what)

    def handed_on(self, region: Region, scheduler: Instance, name: str) -> bool:
        """Whether a scheduler may be stepped by code out of view, or under its own name by code that was not run."""
        given = [(region.value,), *(e.values for kind in ("escape", "outside") for e in region.of(kind))]
        if any(value is scheduler for values in given for value in carried(values)):
            return True
        spaces = {id(e.space): e.space for e in region.events}
        nodes: Any = (n for space in spaces.values() if space.source is not None for n in nodes_in(space.source.tree))
        run = {getattr(e.node, "func", None) for e in region.of("scheduler")}  # these move others, all of them known
        owners = (
            last_name(n.value)
            for n in nodes
            if isinstance(n, cst.Attribute) and n.attr.value == "step" and n not in run
        )
        return any(owner in ("", name) or "sched" in owner.lower() for owner in owners)


def is_replaced(scheduler: Instance, name: str, moves: Sequence[Any]) -> bool:
    """Whether another scheduler of the same optimizer takes its name, and moves."""
    for other in (event.scheduler for event in moves):
        born, alike = other.born, other.attrs.get("optimizer") is scheduler.attrs.get("optimizer")
        if alike and born is not None and born.space.source is not None:
            if name and assigned_name(born.space.source, born.node) == name:
                return True
    return False


def ends_with(region: Region, report: Report, length: Value | None) -> bool:
    """Whether a length is that of the loop: as long as it surely is, or the very setting that ends the loop."""
    known, epochs, stop = usual(length), turns(region, report), stop_of(region.node)
    if known is not None or stop is None:
        return known == epochs and known is not None and known > 1
    end = report.interp.eval(stop)
    named = isinstance(length, Api) and isinstance(end, Api) and length.path == end.path
    return named or (isinstance(length, (Instance, Number)) and length is end)


# What each schedule calls the number of its steps.
LENGTHS = {
    "CosineAnnealingLR": "T_max",
    "OneCycleLR": "total_steps",
    "PolynomialLR": "total_iters",
    "LinearLR": "total_iters",
    "ConstantLR": "total_iters",
}


def length_name(scheduler: Instance, kind: str) -> str:
    """Under which name a schedule that goes over all of a training was told how long it is."""
    if kind in ("LinearLR", "ConstantLR"):
        return ""  # a warm-up
    return LENGTHS.get(kind, "num_training_steps")


def lasts(scheduler: Instance, epochs: Value | None) -> bool:
    """Whether a cosine ends after as many steps as a training has epochs."""
    length = usual(scheduler.attrs.get("T_max"))
    return length is not None and length > 1 and length == usual(epochs)


def intervals(value: Value, depth: int = 0) -> Iterator[tuple[Instance, str]]:
    """The schedulers in what `configure_optimizers` returns, and after what each is moved, where that is known."""
    if isinstance(value, Instance) and value.family == "scheduler":
        yield value, "epoch"
    elif isinstance(value, DictObject) and isinstance(value.attrs.get("scheduler"), Instance):
        interval = const(value.attrs.get("interval", Const("epoch")))
        if DictObject.REST not in value.attrs and isinstance(interval, str):
            yield value.attrs["scheduler"], interval
    elif isinstance(value, (DictObject, ListObject, Tuple, Union)) and depth < 3:
        if isinstance(value, Union):
            items: Iterable[Value] = value.options
        else:
            items = [v for _, v in value.known()] if isinstance(value, DictObject) else value.items or ()
        for item in items:
            yield from intervals(item, depth + 1)


def for_each_batch(scheduler: Instance, kind: str) -> bool:
    """Whether a schedule is told how many batches there are, by a number that is only known in the run."""
    each = scheduler.attrs.get("steps_per_epoch")
    return kind == "OneCycleLR" and each is not None and not isinstance(each, Const) and usual(each) != 1


def fills(scheduler: Instance, epochs: float | None) -> bool:
    """Whether the last of some schedules in a row, a cosine, ends when so many steps are made."""
    parts, begins = parts_of(scheduler), milestones(scheduler.attrs)
    if not parts or not begins or epochs is None or kind_of(parts[-1]) != "CosineAnnealingLR":
        return False
    length = usual(parts[-1].attrs.get("T_max"))
    return length is not None and length > 1 and begins[-1] + length == epochs


def last_part(scheduler: Instance) -> tuple[float | None, float]:
    """How long the last of some schedules in a row is, and after which step it begins."""
    parts, begins = parts_of(scheduler), milestones(scheduler.attrs)
    if not parts or not begins:
        return None, 0.0
    name = LENGTHS.get(kind_of(parts[-1]))
    return (usual(parts[-1].attrs.get(name)) if name is not None else None), begins[-1]


def parts_of(scheduler: Instance) -> list[Instance]:
    """The schedules that follow each other in one, or run side by side."""
    held = scheduler.attrs.get("schedulers")
    items = held.items if isinstance(held, (ListObject, Tuple)) else None
    return [part for part in items or () if isinstance(part, Instance) and part.family == "scheduler"]


def for_batches(scheduler: Instance, kind: str) -> bool:
    """Whether a schedule was made from the number of batches."""
    attrs = scheduler.attrs
    if any(for_batches(part, kind_of(part)) for part in parts_of(scheduler)):
        return True
    each = attrs.get("steps_per_epoch")
    if each is not None and kind == "OneCycleLR":
        known = usual(each)
        return known > 1 if known is not None else getattr(each, "nature", None) in ("a length", STEPS)
    given = (attrs.get(name) for name in ("total_steps", "num_training_steps", "T_max", "total_iters", "step_size_up"))
    lengths = [option for length in given if isinstance(length, Value) for option in options(length)]
    return any(map(is_in_batches, lengths)) or compares_with_batches(attrs.get("lr_lambda"))


def is_in_batches(length: Any) -> bool:
    """Whether a length is that of a loader, or computed from it."""
    return getattr(length, "nature", None) == STEPS or is_number_of_batches(length)


def compares_with_batches(function: Any) -> bool:
    """Whether a function of the step sets it, as it is, against a number of batches that it finds around itself."""
    parameters = function.node.params.params if isinstance(function, Function) else ()
    if not parameters:
        return False
    step, inside = parameters[0].name.value, list(nodes_in(function.node.body))
    around = [*function.closure, function.space.attrs]
    found = {
        n: next((env[n] for env in around if n in env), UNKNOWN) for n in names_in(function.node.body) if n != step
    }
    counted = {
        name for name, value in found.items() if is_in_batches(value) or getattr(value, "family", "") == "loader"
    }
    compared = False
    for node in inside if counted else ():
        if isinstance(node, cst.Comparison):
            sides = (node.left, node.comparisons[0].comparator)
        elif isinstance(node, cst.BinaryOperation):
            sides = (node.left, node.right)
        elif isinstance(node, cst.Call):
            compared = compared or is_given_total(node, step, counted)
            continue
        else:
            continue
        given, other = (set(names_in(side)) for side in sides)
        if isinstance(getattr(node, "operator", None), cst.Multiply):
            if step in given | other and counted & (other if step in given else given):
                return False  # it counts epochs
        elif step in given and counted & other:
            compared = True
    return compared


def is_given_total(call: cst.Call, step: str, counted: set[str]) -> bool:
    """Whether a function is given the step and, beside it, the number of all steps: a product with that of batches."""
    given = positional(call)
    totals = [n for n in given if isinstance(n, cst.BinaryOperation) and isinstance(n.operator, cst.Multiply)]
    names = [set(names_in(total)) for total in totals]
    return any(is_name(n, step) for n in given) and any(counted & found and step not in found for found in names)


def is_number_of_batches(length: Any) -> bool:
    """Whether a length is that of a loader."""
    return isinstance(length, Number) and length.tally is not None and length.tally.what == "batches"


def decays(attrs: dict[Any, Any], kind: str, epochs: float | None = None) -> bool:
    """Whether a schedule brings the rate down to nothing within few steps, or long before the epochs are over."""
    gamma = usual(attrs.get("gamma"))
    steps = max(BATCHES, FEW_BATCHES * int(epochs or 0))
    if kind == "ExponentialLR":
        return gamma is not None and gamma > 0 and gamma**steps < NOTHING
    if kind == "LambdaLR":
        asked, found = [step for step in ASKED_AT if step <= steps], attrs.get("$factors", ())
        return len(found) >= len(asked) and 0 < found[len(asked) - 1] < NOTHING
    gamma = 0.1 if "gamma" not in attrs else gamma
    if kind == "StepLR":
        size = usual(attrs.get("step_size"))
        return size is not None and 1 <= size <= BATCHES and gamma is not None and gamma ** (steps // size) < NOTHING
    if kind == "MultiStepLR":
        places = milestones(attrs)
        return places is not None and len(places) > 1 and max(places) <= BATCHES and gamma is not None and gamma <= 0.5
    return False


def milestones(attrs: dict[Any, Any]) -> list[float] | None:
    """The milestones of a schedule as they usually are: an option that takes several numbers has a list as default."""
    held = [option for option in options(attrs.get("milestones", UNKNOWN)) if not isinstance(option, Number)]
    items = held[0].items if len(held) == 1 and isinstance(held[0], (ListObject, Tuple)) else None
    found = [usual(item) for item in items or ()]
    return [place for place in found if place is not None] if found and None not in found else None


def assigned_name(source: Any, node: Any) -> str:
    """The name that a call's result is kept under: `x` of `x = …` and of `self.x = …`."""
    statement = source.index.parent(node)
    target = statement.targets[0].target if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None
    held = target.attr if isinstance(target, cst.Attribute) else target
    return str(held.value) if isinstance(held, cst.Name) else ""


# Schedules of optax that bring the rate down for good, and what they call the number of steps for that.
DECAYS = {
    "cosine_decay_schedule": "decay_steps",
    "warmup_cosine_decay_schedule": "decay_steps",
    "linear_schedule": "transition_steps",
    **dict.fromkeys(("linear_onecycle_schedule", "cosine_onecycle_schedule"), "transition_steps"),
}


class SchedulerLength(Rule):
    """A schedule is longer or shorter than the training that it belongs to."""

    code, name = "TL710", "scheduler-length"
    message = "{what}"
    severity = Severity.WARNING

    @on("loop", having="scheduler")
    def check(self, region: Region, report: Report) -> None:
        if not counts(region.node, region.value):
            return
        epochs = turns(region, report)
        if epochs is None or epochs < 2:
            return
        scheduling = Scheduling(region)
        around = [outer for outer in outwards(region.parent) if outer.kind == "loop"]
        for node, moves in scheduling.moves.items():
            found = [self.judge(region, scheduling, event, inside, epochs) for event, inside in moves]
            first = moves[0][0]
            scheduler = first.scheduler
            if any(all(made.instance is not scheduler for made in outer.of("made")) for outer in around):
                continue  # a loop around goes on with the same schedule
            if found and all(found) and isinstance(scheduler, Instance) and scheduler.born is not None:
                place = Step(first.space, node, "stepped")
                report(scheduler.born.node, scheduler.born.space, what=found[0]).because([place])

    @on("loop", having="rated")
    def counting_steps(self, region: Region, report: Report) -> None:
        """A schedule of optax, which counts steps, is as long as there are epochs, or as one of them."""
        if not counts(region.node, region.value):
            return
        found: dict[Any, tuple[Instance, Any]] = {}
        for event, inside in nested(region.events):
            schedule = event.optimizer.attrs.get("learning_rate") if event.kind == "rated" else None
            if isinstance(schedule, Instance) and schedule.born is not None and schedule.describe() in DECAYS:
                loop = lone_loop(inside)
                plain = loop is not None and isinstance(loop.node, cst.For)
                if plain and (not is_plain_call(loop.node.iter, "range") or picks_rows(loop.node)):
                    found.setdefault(schedule.born.node, (schedule, loop))
        for schedule, loop in found.values():
            length = schedule.attrs.get(DECAYS[schedule.describe()])
            if length is None or schedule.born is None:
                continue
            if is_number_of_batches(length):
                what = (
                    "the schedule is as long as one epoch (@), but several are made, so the rate is low in all others"
                )
                place = Step(loop.space, loop.node, "an epoch")
            elif ends_with(region, report, length):
                what = "the schedule counts steps, but is as long as there are epochs (@), so it ends in the first ones"
                place = Step(region.space, region.node, "the epochs")
            else:
                continue
            report(schedule.born.node, schedule.born.space, what=what).because([place])

    def judge(
        self, region: Region, scheduling: Scheduling, event: Any, inside: tuple[Any, ...], epochs: float
    ) -> str | None:
        scheduler = event.scheduler
        if (
            not isinstance(scheduler, Instance)
            or not always(inside)
            or (event.given is not None and not is_given_turn(region.node, event.node))
        ):
            return None
        if inner_loops(inside):
            anew = any(made.instance is scheduler for made in region.of("made"))
            told = None if anew else self.one_epoch(event, inside, epochs)
            return told or self.one_cycle(scheduling, event, inside, epochs)
        return self.too_long(scheduler, epochs, " (@)")

    @on("configured")
    def by_engine(self, fact: Any, report: Report) -> None:
        """Lightning moves a schedule once an epoch, and makes fewer of these."""
        _, given, value = fact
        epochs = usual(value)
        if epochs is None or epochs < 2:
            return
        for scheduler, interval in intervals(given):
            what = self.too_long(scheduler, epochs, "") if interval == "epoch" else None
            if what is not None and scheduler.born is not None:
                report(scheduler.born.node, scheduler.born.space, what=what)

    def too_long(self, scheduler: Instance, epochs: float, place: str) -> str | None:
        """What a schedule does not get to within so many steps, which are made at a `place`."""
        kind, turns_ = kind_of(scheduler), f"{epochs:g}"
        if kind == "StepLR":
            size = usual(scheduler.attrs.get("step_size"))
            if size is not None and size >= epochs:
                return (
                    f"the rate is to change after {size:g} steps, but only {turns_} are made{place}, so it never does"
                )
        elif kind == "MultiStepLR":
            places = milestones(scheduler.attrs)
            if places and min(places) >= epochs:
                return (
                    f"the first milestone is step {min(places):g}, but only {turns_} are made{place}, "
                    "so the rate never changes"
                )
        else:
            length, begins = usual(scheduler.attrs.get(LENGTHS.get(kind, "num_training_steps"))), 0.0
            if kind == "SequentialLR":
                length, begins = last_part(scheduler)
            if length is not None and length >= 2 * (epochs - begins):
                done = "long, but only" if not begins else f"long from step {begins:g} on, but only"
                return f"the schedule is {length:g} steps {done} {turns_} are made{place}, so it does not get far"
        return None

    def one_epoch(self, event: Any, inside: tuple[Any, ...], epochs: float) -> str | None:
        """A schedule that ends for good after as many steps as there are batches."""
        kind, loop = kind_of(event.scheduler), lone_loop(inside)
        name = "" if kind == "CosineAnnealingLR" else length_name(event.scheduler, kind)
        if loop is None or not over_batches(loop) or not is_number_of_batches(event.scheduler.attrs.get(name)):
            return None
        return f"the schedule is as long as one epoch (@), but {epochs:g} are made, so the rate is 0 in all others"

    def one_cycle(self, scheduling: Scheduling, event: Any, inside: tuple[Any, ...], epochs: float) -> str | None:
        meant, loop = usual(event.scheduler.attrs.get("epochs")), lone_loop(inside)
        if (
            kind_of(event.scheduler) != "OneCycleLR"
            or meant is None
            or loop is None
            or not over_batches(loop)
            or meant == epochs
        ):
            return None
        return f"the schedule is made for {meant:g} epochs, but the loop (@) makes {epochs:g}"
