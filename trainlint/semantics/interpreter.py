"""The abstract interpreter: walks libcst nodes and computes what values are and what state objects are in.

One `Interpreter` serves a whole project. Statements return whether the flow goes on behind them; expressions return a
`Value`. What a name outside the project means is asked of the `Library`; what is worth telling the rules is sent
through `emit`. The engine never raises on the user's program: what it cannot know is `UNKNOWN`.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from contextlib import contextmanager
from functools import partial
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, TypeVar

import libcst as cst

from trainlint.semantics import arithmetic
from trainlint.semantics.classes import build_class, instantiate
from trainlint.semantics.conditions import is_fixed, is_switch, meant
from trainlint.semantics.containers import as_dict, is_exactly, update
from trainlint.semantics.dissection import Unreached, runs_quietly, tensors_in, unreached
from trainlint.semantics.events import RECORDS
from trainlint.semantics.journal import APPLIED, MISSING, Delta, Journal, widen
from trainlint.semantics.modules import MODEL_FAMILIES, ModuleIndex, contents, holds_weights, is_self
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.sizes import Size, of_axis, of_setting
from trainlint.semantics.values import (
    BOOL,
    FALSE,
    INDICES,
    LOGITS,
    MASKS,
    NAN,
    NONE,
    OF_BATCH,
    OF_PART,
    OWN_LOSS,
    SIZE,
    STEPS,
    TINY,
    TRUE,
    UNKNOWN,
    WEIGHTS,
    Api,
    Class,
    Const,
    DictObject,
    Every,
    Function,
    Instance,
    ListObject,
    Method,
    Names,
    Number,
    Object,
    Partial,
    Sequence,
    Step,
    Super,
    Tally,
    Tensor,
    Text,
    Tuple,
    Union,
    Value,
    bounds,
    count_of,
    counted,
    is_bool,
    is_number,
    is_of_batch,
    is_opaque,
    join,
    join_all,
    join_choices,
    last_axis,
    made_by,
    measured_on,
    not_none,
    options,
    size_of,
    source_of,
    truth,
)
from trainlint.syntax import nodes_in
from trainlint.syntax.code import called, is_literal, is_name, is_plain_call, names_in

if TYPE_CHECKING:
    from trainlint.semantics.library import Library

T = TypeVar("T")

MAX_DEPTH = 40  # nested project calls
MAX_STEPS = 1_500_000  # nodes evaluated for one program
MOST_ENDS = 8  # ways out of one program
MAX_SIDES = 16  # names that are known to hold one thing under a setting and another without it
MAX_RUNS = 60  # interpretations of one function in one program, before its result is taken as unknown,
MAX_CHEAP_RUNS = 300  # or these, in layers that are wrapped, as long as all its runs together have not taken
MAX_CHEAP_STEPS = 15_000
PATIENCE = (
    20_000,
    3,
)  # steps spent in one function, and runs, over all programs, before its result is taken as unknown
MAX_SHAPES = 6  # runs of one function that differ in the shapes of its arguments only, once it has cost CHEAP steps
CHEAP = 500
NAMES_OF_SEQUENCES = frozenset(dir(list)) | frozenset(dir(set)) | frozenset(dir(deque))
STARS = "_*"  # in a name space: the modules out of view all of whose names were imported
UNROLL = 8  # items of a known list that a loop walks one by one,
UNROLL_LINE = 24  # or if its body is a single line, or they are layers, each of which takes what the last one gave,
PLAN_LINES = 3  # or settings, and its body has no more statements than these, as where layers are made to a plan,
UNROLL_TABLE = 48  # or if each of these settings has a name,
UNROLL_LAYERS = 160  # or if they are layers and its body is a single condition, as where their weights are drawn


TEST = frozenset(("test",))
NODE_MASK = ("_mask", "_mask']")
SINGLETONS = {"None": NONE, "True": TRUE, "False": FALSE}
ORDERS = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)
IDENTITIES = (cst.Is, cst.IsNot)
EQUALITIES = (cst.Equal, cst.NotEqual)
STATES = frozenset(("$state", "$scale"))  # of an optimizer's gradients
OPAQUE_MARKS = frozenset(("$any", "$harmless", "$meter"))
HOOKS = frozenset(("training_step", "train_dataloader"))  # a class with one of these is run by Lightning
# Methods of a model's class that make one with weights from a file.
RESTORING = ("from_pretrained", "load_from_checkpoint")
FEEDS = frozenset(("", "add", "update", "update_state"))  # the methods by which it gets predictions
# What a data set of torchvision holds one of for each sample.
PER_SAMPLE = frozenset("data targets labels samples imgs train_data train_labels test_data test_labels".split())

METERS = (
    "torchmetrics.",
    "torchnet.meter.",
    "monai.metrics.",
    "keras.metrics.",
    "tensorflow.keras.metrics.",
    "tensorflow.metrics.",
    "flax.nnx.metrics.",
    "flax.nnx.MultiMetric",
    "flax.nnx.Average",
    "flax.nnx.Accuracy",
)  # what keeps a state


class OutOfBudget(Exception):
    """The program is larger than the engine is willing to follow; what was found so far stands."""


class OutOfTime(Exception):
    """The programs of a file take longer than any check may."""


class Region:
    """A stretch of the run that rules ask about: a loop, a `with` block, a call, the program. Holds its events.

    `value` is what a loop walks over, or the object that a program is just one method of; `given` what a call got;
    `exact` if a loop takes its items one by one, each as it is, `first` while it is at its first turn as that is."""

    __slots__ = (
        "_by_kind",
        "_known",
        "_sorted",
        "events",
        "exact",
        "first",
        "frame",
        "given",
        "kind",
        "node",
        "parent",
        "seen",
        "space",
        "value",
    )

    def __init__(self, kind: str, node: Any, space: Namespace, parent: Region | None, value: Any = None) -> None:
        self.kind = kind
        self.node = node
        self.space = space
        self.parent = parent
        self.events: list[Any] = []
        self.seen: set[Any] = set()
        self.value = value
        self.given: tuple[Value, ...] = ()
        self.exact = False
        self.first = False
        self._by_kind: dict[str, list[Any]] = {}
        self._sorted = 0
        self._known: dict[Any, tuple[int, Any]] = {}

    @property
    def kinds(self) -> Mapping[str, Sequence_[Any]]:
        """The events so far by their kind, each kind in order; each event is looked at once for all rules."""
        events, found = self.events, self._by_kind
        if self._sorted < len(events):
            for event in events[self._sorted :] if self._sorted else events:
                found.setdefault(event.kind, []).append(event)
            self._sorted = len(events)
        return found

    def of(self, kind: str) -> Sequence_[Any]:
        """The events of one kind so far, in order."""
        return self.kinds.get(kind, ())

    def has(self, *kinds: str) -> bool:
        """Whether an event of any of these kinds has happened so far."""
        return not self.kinds.keys().isdisjoint(kinds)

    def known(self, fact: Callable[[Region], T]) -> T:
        """What a function tells of the events so far: computed once for all who ask before there are more."""
        known = self._known.get(fact)
        if known is None or known[0] != len(self.events):
            known = self._known[fact] = (len(self.events), fact(self))
        told: T = known[1]
        return told


class Setting(NamedTuple):
    """What a condition asks of an attribute or a name: whether it is a value, or whether it `holds` that it is not."""

    where: dict[Any, Any]
    name: Any
    asked: Any
    holds: bool
    node: Any

    @property
    def key(self) -> Any:
        return ("$if", id(self.where), self.name, self.asked)


class Sides(NamedTuple):
    """What a name or attribute holds where a setting is a value, and where it is not, and what both were joined to."""

    where: dict[Any, Any]
    name: Any
    joined: Any
    given: Any
    otherwise: Any


class Alternatives:
    """The names, attributes and states that a condition on a setting left with alternatives."""

    __slots__ = ("sides", "where")

    def __init__(self, sides: list[Sides], where: dict[Any, Any]) -> None:
        self.sides = sides[-MAX_SIDES:]
        self.where = where  # where the setting is, so that nothing else gets its identity


class LoopExits:
    """Where a loop is left or continued early: the changes made on the way there."""

    __slots__ = ("breaks", "continues", "region", "start", "turn")

    def __init__(self, start: int, turn: int, region: Region | None) -> None:
        self.region = region
        self.start = start
        self.turn = turn
        self.breaks: list[Delta] = []
        self.continues: list[Delta] = []


class Frame:
    """One activation of a function, or of a module's top level."""

    __slots__ = (
        "call", "caller", "closure", "cls", "env", "forks", "function", "globals", "loops", "mark", "on_yield",
        "returns", "space", "tries", "yields",
    )  # fmt: skip

    def __init__(
        self,
        env: dict[str, Any],
        closure: tuple[dict[str, Any], ...],
        space: Namespace,
        function: Function | None,
        mark: int,
    ) -> None:
        self.env = env
        self.closure = closure
        self.space = space
        self.function = function
        self.mark = mark
        self.forks = 0  # how many branches, loops and the like are open, whose changes may be taken back
        self.tries = 0  # how many `try` statements are open whose handlers take what fails
        self.returns: list[tuple[Value, Delta | None]] = []
        self.yields: list[tuple[Value, Value | None]] = []  # with what a loop walks over whose items are passed on
        self.loops: list[LoopExits] = []
        self.globals: dict[str, dict[str, Any]] = {}
        self.cls: Class | None = None  # in a class body: the class being made
        self.on_yield: Callable[[Value], None] | None = None
        self.caller: Frame | None = None
        self.call: Any = None  # where it is called, in the frame of the caller


class Memo:
    """What a call came to, and all it read on the way: valid as long as those reads still give the same."""

    __slots__ = ("delta", "events", "reads", "value")

    def __init__(
        self, value: Value, reads: list[tuple[dict[Any, Any], Any, Any]], delta: Delta, events: list[Any]
    ) -> None:
        self.value = value
        self.reads = reads
        self.delta = delta
        self.events = events


class Arguments:
    """The arguments of one call. `open` tells that `*args` or `**kwargs` of unknown content were given too; `ends` are
    then the last ones by position, as far as they are sure, and `spread` tensors that stand for what was in `**`."""

    __slots__ = ("ends", "keyword_nodes", "keywords", "nodes", "open", "positional", "spread")

    def __init__(
        self,
        positional: list[Value] | None = None,
        keywords: dict[str, Value] | None = None,
        nodes: list[Any] | None = None,
        keyword_nodes: dict[str, Any] | None = None,
        open_: bool = False,
    ) -> None:
        self.positional = positional if positional is not None else []
        self.keywords = keywords if keywords is not None else {}
        self.nodes = nodes if nodes is not None else []
        self.keyword_nodes = keyword_nodes if keyword_nodes is not None else {}
        self.open = open_
        self.ends: tuple[Value, ...] = ()
        self.spread: tuple[Tensor, ...] = ()

    def values(self) -> Iterator[Value]:
        yield from self.positional
        yield from self.keywords.values()

    def named(self, order: Sequence_[tuple[str, str]]) -> Arguments:
        """The same arguments, all under the second name of each pair: given by position, or under the first name."""
        names = [meant for _, meant in order]
        meant = dict(order)
        return Arguments(
            self.positional[len(names) :],
            {**dict(zip(names, self.positional)), **{meant.get(k, k): v for k, v in self.keywords.items()}},
            self.nodes[len(names) :],
            {**dict(zip(names, self.nodes)), **{meant.get(k, k): v for k, v in self.keyword_nodes.items()}},
            self.open,
        )

    def with_first(self, first: Value) -> Arguments:
        return Arguments([first, *self.positional], self.keywords, [None, *self.nodes], self.keyword_nodes, self.open)

    def without_first(self) -> Arguments:
        return Arguments(self.positional[1:], self.keywords, self.nodes[1:], self.keyword_nodes, self.open)


class Interpreter:
    """Runs programs abstractly. `resolve` turns an import into a namespace of the project, or None."""

    def __init__(self, library: Library, emit: Callable[[str, Any], None]) -> None:
        self.library = library
        self.emit = emit
        self.journal = Journal()
        self.write = self.journal.write
        self.flags: dict[str, Any] = {"grad": TRUE}
        self.frame: Frame = Frame({}, (), Namespace("", None), None, 0)
        self.region: Region | None = None
        self.depth = 0
        self.module_depth = 0
        self.steps = 0
        self.forked = 0  # how many objects there were when the innermost branch at hand began
        self.reads: list[tuple[dict[Any, Any], Any, Any]] = []
        self.taken: dict[int, dict[str, set[str]]] = {}  # by function: what it takes of each name
        self.memos: dict[int, dict[Any, Any]] = {}  # by function: the memos of each key, and how many shapes were seen
        self.runs: dict[int, int] = {}
        self.spent: dict[int, list[int]] = {}  # by function: steps in it and below, number of runs
        self.dissecting = False  # whether layers inside a model are tied to what they give
        self.dissected: dict[Any, Unreached] = {}  # what came of it, by model and call
        self.quiet: dict[Any, bool] = {}  # the same: whether the model itself turns gradients off
        self.axes: dict[int, dict[int, int]] = {}  # by the place that asks for a shape, what its axes are called
        self.bounds: dict[Any, Size] = {}  # the least and greatest of sizes that settings decide
        self.choosing = False  # whether what runs is one of several alternatives that a setting picks
        self.chosen = 0  # how many such picks the program has behind it
        self.discarded: Any = None  # the expression whose value is thrown away
        self.passed_back = 0  # how often a change in place was passed back to a caller
        self.aside = 0  # steps spent in forward passes and in samples, which do not count for those who ask for them
        self.deadline = math.inf  # when the program at hand may have taken too long, by the clock, and
        self.most_time = math.inf  # when it surely has, by the time of this thread
        self.patience = PATIENCE
        self.near = 0  # how deep the first call of a function in a program is followed whatever it has taken before
        self.enough = MAX_STEPS  # from this step on, calls are not followed any more
        self.stack: list[Any] = []
        self.visited: set[int] = set()
        self.tried: set[int] = set()  # of these, what only trials have called so far
        self.handed: set[int] = set()  # functions that code out of view was given: it calls them
        self.made: dict[int, Arguments] = {}  # what the first module of a class was made with, by the class
        self.sized: set[int] = set()  # the classes of modules that some program knows all sizes of
        self.children: dict[tuple[int, str], Instance] = {}  # attributes that nobody assigned, by owner and name
        self.settled: dict[tuple[int, int], tuple[Value, Value]] = {}  # what a text chose of two constants, by place
        self.keep: list[Any] = []
        self.filling: tuple[Region | None, list[Any]] = (None, [])  # a loop, and what tells its free names from others
        self.ends: list[Delta] = []  # what was done where a program ended before its last line
        self.literals: dict[int, Value] = {}
        self.negatives: dict[int, tuple[Value, Value]] = {}
        self.resolve: Callable[[Namespace, str, int], Value | None] = lambda space, name, level: None
        self.load: Callable[[Namespace], None] = lambda space: None
        self.settings_file: Callable[[str], str | None] = lambda path: None
        self.modules_below: Callable[[Namespace, str], list[Value]] = lambda space, dotted: []
        self.data_tokens = 0
        self.modules = ModuleIndex()
        self.expressions: dict[type, Callable[[Any], Value]] = {
            cst.Name: self.name,
            cst.Attribute: self.attribute,
            cst.Call: self.call_node,
            cst.Integer: self.literal,
            cst.Float: self.literal,
            cst.Imaginary: lambda n: UNKNOWN,
            cst.SimpleString: self.literal,
            cst.ConcatenatedString: self.concatenated,
            cst.FormattedString: self.formatted,
            cst.BinaryOperation: self.binary,
            cst.UnaryOperation: self.unary,
            cst.BooleanOperation: self.boolean,
            cst.Comparison: self.comparison,
            cst.IfExp: self.conditional,
            cst.Tuple: self.tuple_,
            cst.List: self.list_,
            cst.Set: self.list_,
            cst.Dict: self.dict_,
            cst.Subscript: self.subscript,
            cst.Lambda: self.lambda_,
            cst.ListComp: self.comprehension,
            cst.SetComp: self.comprehension,
            cst.GeneratorExp: self.comprehension,
            cst.DictComp: self.dict_comprehension,
            cst.NamedExpr: self.named,
            cst.Await: lambda n: self.eval(n.expression),
            cst.Yield: self.yield_,
            cst.Ellipsis: lambda n: Const(...),
            cst.StarredElement: lambda n: self.eval(n.value),
            cst.Element: lambda n: self.eval(n.value),
        }
        self.statements: dict[type, Callable[[Any], bool]] = {
            cst.Expr: self.expression_statement,
            cst.Assign: self.assign,
            cst.AnnAssign: self.annotated,
            cst.AugAssign: self.augmented,
            cst.Return: self.return_,
            cst.If: self.if_,
            cst.For: self.for_,
            cst.While: self.while_,
            cst.With: self.with_,
            cst.Try: self.try_,
            cst.TryStar: self.try_,
            cst.FunctionDef: self.function_def,
            cst.ClassDef: self.class_def,
            cst.Import: self.import_,
            cst.ImportFrom: self.import_from,
            cst.Raise: self.raise_,
            cst.Break: self.break_,
            cst.Continue: self.continue_,
            cst.Pass: lambda n: True,
            cst.Global: self.global_,
            cst.Nonlocal: self.global_,
            cst.Assert: self.assert_,
            cst.Del: self.del_,
            cst.Match: self.match,
        }

    # ------------------------------------------------------------------ state

    def read(self, where: dict[Any, Any], name: Any) -> Any:
        """An entry of shared state (MISSING when absent), remembered as something the present call depends on."""
        value = where.get(name, MISSING)
        if self.depth:
            self.reads.append((where, name, value))
        return value

    @property
    def grad(self) -> bool | None:
        """Whether operations are recorded for gradients here."""
        return truth(self.read(self.flags, "grad"))

    def step(self, node: Any, label: str) -> Step:
        return Step(self.frame.space, node, label)

    def way_to(self, node: Any, label: str) -> list[tuple[Frame, Step]]:
        """The code at hand, and the calls that led to it, each with the activation that it belongs to; innermost
        first."""
        frame, found = self.frame, [(self.frame, self.step(node, label))]
        while (caller := frame.caller) is not None:
            found.append((caller, Step(caller.space, frame.call, label)))
            frame = caller
        return found

    def event(self, kind: str, node: Any, *details: Any) -> None:
        """Note that something happened (`events` tells of what kinds), in the region at hand and in all around it."""
        region = self.region
        if region is not None:
            region.events.append(RECORDS[kind](kind, node, self.frame.space, *details))

    def severs(self, node: Any, *tensors: Tensor) -> None:
        """What is computed here passes no gradient on to these, which may matter within a forward pass."""
        if self.module_depth and any(tensor.graph is not False for tensor in tensors):
            self.event("severed", node)

    def dissect(self, module: Instance, arguments: Arguments, node: Any) -> Unreached:
        """The layers of a model that no gradient reaches from what it gives at this call."""
        key = (module, node)
        if key not in self.dissected:
            self.dissected[key] = unreached(self, module, arguments, node)
        return self.dissected[key]

    def is_unrecorded(self, module: Instance, result: Value, arguments: Arguments, node: Any) -> bool:
        """Whether a model computes what it gives without recording gradients, though its caller has them recorded."""
        tensors = () if self.dissecting else tuple(tensors_in(result))
        if not tensors or any(t is None or t.graph is not False or t.deps for t in tensors):
            return False
        key = (module, node)
        if key not in self.quiet:
            self.quiet[key] = runs_quietly(self, module, arguments, node)
        return self.quiet[key]

    @contextmanager
    def in_region(self, kind: str, node: Any, value: Any = None) -> Iterator[Region]:
        region = Region(kind, node, self.frame.space, self.region, value)
        self.region = region
        try:
            yield region
        finally:
            self.region = region.parent
            if region.parent is not None and region.events:
                outer = region.parent.events
                outer.append(RECORDS["enter"]("enter", node, self.frame.space, kind, value))
                outer.extend(region.events)
                outer.append(RECORDS["leave"]("leave", node, self.frame.space, kind))
        use = loop_use(region)
        for loader in options(not_none(region.value)) if use else ():
            self.event(use, node, loader)
        for loader in drawn_from(region) if use in ("", "walked") else ():
            self.event("trained", node, loader)
        for loader in drawn_to_judge(region) if not use else ():
            self.event("evaluated", node, loader)
        self.emit(region.kind, region)

    # ------------------------------------------------------------- statements

    def block(self, body: Any) -> bool:
        """Run a list of statements; False when the flow does not reach the end."""
        statements = self.statements
        for place, line in enumerate(body):
            if monotonic() > self.deadline:
                self.look_at_the_time()
            for statement in line.body if line.__class__ is cst.SimpleStatementLine else (line,):
                handler = statements.get(statement.__class__)
                if handler is not None and not handler(statement):
                    return False
            if line.__class__ is cst.If and (number := left_over_turns(line)) is not None:
                with self.in_region("periodic", line, number):
                    return self.block(body[place + 1 :])
        return True

    def look_at_the_time(self) -> None:
        """Raise OutOfTime if the time was spent here, and not by others on a busy machine, which is dear to ask for."""
        left = self.most_time - thread_time()
        if left <= 0:
            raise OutOfTime
        self.deadline = monotonic() + left

    def suite(self, suite: Any) -> bool:
        return self.block(suite.body)

    def expression_statement(self, node: cst.Expr) -> bool:
        if node.value.__class__ is cst.SimpleString:
            return True  # a docstring
        self.discarded = node.value
        value = self.eval(node.value)
        if isinstance(value, Instance) and "$immediate" in value.attrs:
            self.write(self.flags, "grad", value.attrs["$grad"])
        if node.value.__class__ is cst.Attribute and any(o.__class__ is Method for o in options(value)):
            self.event("named", node, node.value.attr.value)
        self.emit("statement", (node, value))
        if isinstance(value, Api) and value.path == "sys.exit!":
            self.leave_program()
            return False
        return True

    def leave_program(self) -> None:
        """Remember what was done where the program ends, which is taken back for what follows."""
        if len(self.ends) < MOST_ENDS:
            self.ends.append(self.journal.delta(0))

    def resume_ends(self) -> None:
        """At the end of a program, have what was made on the ways that ended before be as it was there."""
        for where, name, value in [entry for delta in self.ends for entry in delta.values()]:
            if value is not MISSING and name not in where:
                self.write(where, name, value)

    def assign(self, node: cst.Assign) -> bool:
        value = self.running_sum(node) or self.eval(node.value)
        if value is UNKNOWN and node.value.__class__ in (cst.Call, cst.Await):
            value = Instance(None)  # nothing is known of it, but that it is one and the same from here on
        elif value.__class__ is Const and self.frame.function is None and not self.frame.loops:
            value = self.turned(node, value)
        first = node.value
        while first.__class__ is cst.BinaryOperation:
            first = first.left
        if first.__class__ is cst.UnaryOperation:
            self.emit("signed", (node, first, self.peek(node.targets[0].target)))
        for target in node.targets:
            if target.target.__class__ is cst.Tuple and value.__class__ is Sequence:
                value = self.count_axes(node.value, target.target.elements) or value
            self.bind(target.target, value)
        return True

    def turned(self, node: cst.Assign, value: Const) -> Value:
        """What a constant of a script may be turned to that only branches ask for; any other constant as it is."""
        target, source = node.targets[0].target, self.frame.space.source
        if source is None or target.__class__ is not cst.Name or value.value.__class__ not in (bool, str):
            return value
        if re.search(rf"\bif\b.*\b{target.value}\b", source.text) is None or not is_switch(source.index, target):
            return value
        return BOOL if isinstance(value.value, bool) else Text(default=str(value.value))

    def count_axes(self, value: Any, elements: Any) -> Value | None:
        """`n, channels, steps = x.shape` tells how many axes `x` has; what it gives then."""
        asked = value
        if value.__class__ is cst.Call and not value.args and called(value) == "size":
            value = value.func
        elif value.__class__ is not cst.Attribute or value.attr.value != "shape":
            return None
        found = self.peek(value.value) if value.__class__ is cst.Attribute else None
        tensor = join_all([o for o in options(found or UNKNOWN) if isinstance(o, Tensor)] or [UNKNOWN])
        if not isinstance(tensor, Tensor) or tensor.shape is not None or tensor.lib not in ("torch", "numpy"):
            return None
        if not any(element.__class__ is cst.StarredElement for element in elements):
            axes = (*[None] * (len(elements) - 1), last_axis(tensor))
            counted = tensor.but(shape=axes, batched=tensor.batched)
            self.modules.same(tensor, counted)
            self.rebind(value.value, counted)
            return self.get_attribute(counted, "shape", asked)
        return None

    def name_axes(self, tensor: Tensor, node: Any) -> Tensor:
        """A tensor whose shape a program asks for, with sizes that are not known as symbols, so that they are the same
        wherever the program puts them next."""
        node = node.func if node.__class__ is cst.Call else node
        shape, _ = tensor.sized or (tensor.shape, None)
        if shape is None or None not in shape or tensor.lib != "torch" or node.__class__ is not cst.Attribute:
            return tensor
        if self.peek(node.value) is not tensor:
            return tensor
        names = self.axes.setdefault(id(node), {})
        axes = (names.setdefault(i, of_axis()) if size is None else size for i, size in enumerate(shape))
        named = tensor.but(shape=tuple(axes), batched=tensor.batched)
        self.modules.same(tensor, named)
        self.rebind(node.value, named)
        return named

    def running_sum(self, node: cst.Assign) -> Value | None:
        """The value of `total = total + loss`, or of several at once; None for any other assignment."""
        target, value = node.targets[0].target, node.value
        if len(node.targets) > 1:
            return None
        if not (target.__class__ is cst.Tuple and value.__class__ is cst.Tuple):
            return self.added_to(node, target, value)
        pairs = [(a.value, b.value) for a, b in zip(target.elements, value.elements)]
        if len(target.elements) != len(value.elements) or not any(is_sum_of(b, a) for a, b in pairs):
            return None
        return Tuple(tuple(self.added_to(node, a, b) or self.eval(b) for a, b in pairs))

    def added_to(self, node: cst.Assign, target: Any, value: Any) -> Value | None:
        if not is_sum_of(value, target):
            return self.averaged(node, target, value)
        sides = self.eval(value.left), self.eval(value.right)
        result = self.binary_values("Add", *sides, value, value.left, value.right)
        old, added = sides if is_held_in(value.left, target) else reversed(sides)
        if isinstance(result, Tensor) and isinstance(added, Tensor):
            result = self.grow(node, target, old, added, result)
        if added.tally is not None or getattr(added, "batch", False):
            result = self.add_up(node, old, added, result)
        return result

    def averaged(self, node: cst.Assign, target: Any, value: Any) -> Value | None:
        """The value of `mean = a * mean + (1 - a) * loss`; None for any other assignment."""
        if value.__class__ is not cst.BinaryOperation or value.operator.__class__ is not cst.Add:
            return None
        scaled = [is_scaled(side, target) for side in (value.left, value.right)]
        if not any(scaled):
            return None
        sides = self.eval(value.left), self.eval(value.right)
        result, added = self.binary_values("Add", *sides, value, value.left, value.right), sides[scaled[0]]
        if isinstance(result, Tensor) and isinstance(added, Tensor):
            old, loop = self.eval(target), self.nearest_loop()
            if loop is not None and is_reset(loop.node, target, node) and self.carried_over(target):
                old = marked(old, node)  # it began in an earlier turn, with the first that there was
            result = self.grow(node, target, old, added, result)
        return result

    def annotated(self, node: cst.AnnAssign) -> bool:
        if node.value is not None:
            self.bind(node.target, self.eval(node.value))
        if self.frame.cls is not None and isinstance(node.target, cst.Name):
            self.frame.cls.fields.append(node.target.value)
        return True

    def augmented(self, node: cst.AugAssign) -> bool:
        old = self.eval(node.target)
        value = self.eval(node.value)
        operator = node.operator.__class__.__name__.replace("Assign", "")
        if isinstance(old, ListObject) and operator == "Add":
            self.library.extend(self, old, value)
            return True
        self.emit("augmented", (node, old, value))
        if isinstance(old, Tensor) and old.lib == "torch":
            self.library.edit(self, old, node)
        result = self.binary_values(operator, old, value, node, node.target, node.value)
        if isinstance(old, Tensor) and old.shape and old.lib in ("torch", "numpy") and isinstance(result, Tensor):
            result = result.but(shape=old.shape, batched=old.batched)  # what is changed in place keeps its shape
        if operator in ("Add", "Subtract") and isinstance(result, Tensor) and isinstance(value, Tensor):
            result = self.grow(node, node.target, old, value, result)
        if operator == "Add" and (value.tally is not None or getattr(value, "batch", False)):
            result = self.add_up(node, old, value, result)
        self.bind(node.target, result)
        return True

    def grow(self, node: Any, target: Any, old: Value, value: Tensor, result: Tensor) -> Tensor:
        """Mark a value that gathers recorded tensors over the turns of a loop."""
        loop = self.growing_loop()
        if value.graph is not False and value.lib != "keras" and loop is not None:
            before = next((option for option in options(old) if isinstance(option, Tensor)), None)
            kept = before is not None and node in before.grown and before.graph is not False
            if kept and (self.carried_over(target) if before is old else not is_reset(loop.node, target, node)):
                self.event("grown", node, value, loop.node, self.handed_on(value))
            result = result.but(grown=result.grown | {node})
        return result

    def handed_on(self, value: Tensor) -> Step | None:
        """The call that gave a tensor to the code at hand, be it through others, in the function in which the loop at
        hand runs or that computed it; None if the code at hand is in that function itself."""
        frame, call = self.frame, None
        while (caller := frame.caller) is not None and not frame.loops and is_argument(value, frame):
            call, frame = Step(caller.space, frame.call, "handed on"), caller
        return call

    def add_up(self, node: Any, old: Value, value: Value, result: Value) -> Value:
        """Mark a running total: what it adds up, and since when."""
        tally, loops = value.tally or Tally("size"), self.frame.loops
        target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
        # By an object that is fed turn by turn, or by a dict of a caller's.
        is_held = target.__class__ in (cst.Attribute, cst.Subscript) and (
            is_self(target.value) or (target.__class__ is cst.Subscript and target.value.__class__ is cst.Name)
        )
        if not (loops or is_held) or tally.what not in ("mean", "sum", "size"):
            return result
        self.notice_left_over(node, node.value, tally)
        what = tally.what + "s"
        if old.tally is None and bounds(old) == (0, 0):
            around = self.nearest_loop() if not loops else None
            of = around.value if around is not None else None
            return arithmetic.tallied(result, Tally(what, self.frame, tuple(loops), of, node, tally.scaled))
        if old.tally is None or old.tally.what != what:
            return result
        since = old.tally
        here, before = loops[-1].region if loops else None, since.loops[-1].region if since.loops else None
        if since.frame is self.frame and here is not None and before is not None and before.node is not here.node:
            self.event("filled", node, since, before.node, here.node)
        return arithmetic.tallied(result, since)

    def notice_left_over(self, node: Any, added: Any, tally: Tally) -> None:
        """A total or list gets, turn after turn, what a loop that has ended measured last."""
        loops, measured = self.frame.loops, tally.loops[-1].region if tally.loops else None
        if not loops or measured is None or tally.frame is not self.frame or tally.what not in ("mean", "sum"):
            return
        running = {id(turn.region.node) for turn in loops if turn.region is not None}
        before = {id(turn.region.node) for turn in tally.loops if turn.region is not None}
        here = loops[-1].region
        if here is not None and id(measured.node) not in running and id(here.node) not in before:
            self.event("left_over", node, added, here.node)

    def measure(self, what: str) -> Tally:
        """What is measured here and now."""
        return Tally(what, self.frame, tuple(self.frame.loops))

    def nearest_loop(self) -> Region | None:
        return next((region for region in outwards(self.region) if region.kind == "loop"), None)

    def growing_loop(self) -> Region | None:
        """The loop from one turn of which to the next something here may grow: outside of those that begin to take a
        few known items one by one, whose first turn finds what an earlier turn of the loop around has left."""
        found = self.nearest_loop()
        for exits in reversed(self.frame.loops):
            if found is None or exits.region is not found or exits.start != exits.turn or not self.is_short(found):
                break
            found = next((region for region in outwards(found.parent) if region.kind == "loop"), found)
        return found

    def is_short(self, loop: Region) -> bool:
        return (
            loop.exact
            and isinstance(loop.value, (Tuple, ListObject, DictObject))
            and self.known_items(loop.value) is not None
        )

    def carried_over(self, target: Any) -> bool:
        """Whether a variable still holds what it held when the present turn of the loop began."""
        if not isinstance(target, cst.Name):
            return True
        loops, env, name = self.frame.loops, self.frame.env, target.value
        while len(loops) > 1 and (region := loops[-1].region) is not None and self.is_short(region):
            loops = loops[:-1]
        if not loops:
            return False
        log = self.journal.log[loops[-1].turn :]
        before = next((old for where, key, old in log if where is env and key == name), env.get(name))
        return isinstance(before, Value) and any(env.get(name) is option for option in options(before))  # narrowed

    def bind(self, target: Any, value: Value) -> None:
        """Assign a value to a target expression."""
        kind = target.__class__
        if kind is cst.Name:
            name = target.value
            scope = self.frame.globals.get(name)
            self.write(self.frame.env if scope is None else scope, name, value)
        elif kind is cst.Attribute:
            self.set_attribute(self.eval(target.value), target.attr.value, value, target)
        elif kind in (cst.Tuple, cst.List):
            self.unpack(target, value)
        elif kind is cst.Subscript:
            self.set_item(target, value)
        elif kind in (cst.Element, cst.StarredElement):
            self.bind(target.value, value)

    def unpack(self, target: Any, value: Value) -> None:
        elements = target.elements
        starred = next((i for i, e in enumerate(elements) if e.__class__ is cst.StarredElement), None)
        if isinstance(value, Union):
            chosen = [o for o in value.options if not isinstance(o, Const)]
            fitting = [o for o in chosen if not isinstance(o, Tuple) or len(o.items) == len(elements)] or chosen
            rows = [self.items_for(o, len(elements)) for o in fitting]
            if rows and starred is None:
                for i, element in enumerate(elements):
                    self.bind(element.value, join_all(row[i] for row in rows))
                return
        known = self.known_items(value)
        if starred is not None:
            if known is not None and len(known) >= len(elements) - 1:
                tail = len(elements) - starred - 1
                for i in range(starred):
                    self.bind(elements[i].value, known[i])
                middle = known[starred : len(known) - tail]
                self.bind(elements[starred].value, ListObject(tuple(middle)))
                for i in range(tail):
                    self.bind(elements[starred + 1 + i].value, known[len(known) - tail + i])
                return
            items = self.items_for(value, len(elements)) if isinstance(value, Tensor) else None
            for i, element in enumerate(elements):
                item = self.element_of(value) if items is None else items[i]
                self.bind(element.value, ListObject(None, item) if i == starred else item)
            return
        for element, item in zip(elements, self.items_for(value, len(elements))):
            self.bind(element.value, item)

    def items_for(self, value: Value, count: int) -> list[Value]:
        """The `count` values that unpacking gives."""
        known = self.known_items(value)
        if known is not None and len(known) == count:
            return list(known)
        if isinstance(value, Tensor):
            return self.library.unpack_tensor(value, count)
        if isinstance(value, Instance) and value.cls is None:
            return [self.opaque_child(value, f"[{i}]") for i in range(count)]
        if isinstance(value, Sequence) and value.first is not None and count:
            return [value.first, *[value.element] * (count - 1)]
        return [self.element_of(value)] * count

    def known_items(self, value: Value) -> tuple[Value, ...] | None:
        """The items of a sequence whose length is known."""
        if isinstance(value, Tuple):
            return value.items
        if isinstance(value, ListObject):
            self.read(value.attrs, "items")
            return value.items
        if isinstance(value, DictObject) and value.rest is None:
            return tuple(Const(k) for k, _ in value.known())
        if isinstance(value, Const) and isinstance(value.value, str) and len(value.value) <= 64:
            return tuple(Const(c) for c in value.value)
        if isinstance(value, Instance) and value.family == "module":
            return self.library.module_items(self, value)
        return None

    def longest(self, value: Value) -> tuple[Value, ...] | None:
        """The items of the longest of several lists, where each of them begins as it does: some are optional."""
        # Not of networks: one that a loop makes anew in each turn, of more layers, has been followed for two turns.
        lists = [self.known_items(option) for option in value.options] if is_union_of_lists(value) else []
        found = max((items for items in lists if items is not None), key=len, default=())
        alike = all(items is not None and keys_of(items) == keys_of(found[: len(items)]) for items in lists)
        return found if found and alike else None

    def ends_of(self, value: Value) -> tuple[Value, ...]:
        """The items that a sequence surely ends with."""
        known = self.known_items(value)
        if known is None and isinstance(value, ListObject):
            return self.read(value.attrs, "ends")  # type: ignore[no-any-return]
        return known or ()

    def element_of(self, value: Value) -> Value:
        """What iterating over a value gives."""
        if isinstance(value, Sequence):
            return value.element
        known = self.known_items(value)
        if known is not None:
            return join_all(known) if known else UNKNOWN
        if isinstance(value, ListObject):
            element: Value = value.attrs["element"]
            return element
        if isinstance(value, Union):
            return join_all(self.element_of(o) for o in value.options if not isinstance(o, Const))
        if isinstance(value, Tensor):
            return self.library.tensor_element(value)
        if isinstance(value, Instance):
            return self.library.iterate(self, value)
        return UNKNOWN

    def return_(self, node: cst.Return) -> bool:
        value = NONE if node.value is None else self.eval(node.value)
        self.leave(value)
        return False

    def leave(self, value: Value) -> None:
        frame = self.frame
        # Outside any branch the state stays as it is now until the function is left: None says so.
        frame.returns.append((value, self.journal.delta(frame.mark) if frame.forks else None))

    def if_(self, node: cst.If) -> bool:
        if self.is_main_guard(node.test):
            self.frame.space.deferred.append(node.body)
            return True
        held = self.decide(node.test)
        if held is True:
            self.narrow(node.test, True)
            return self.suite(node.body)
        if held is False:
            self.narrow(node.test, False)
            return self.orelse(node.orelse)
        by_name = chooses(node.test)
        choice = node.orelse is not None and by_name
        period = self.period(node)
        before = self.choosing
        left = False
        setting = self.setting_in(node.test)

        def branch(holds: bool) -> bool:
            nonlocal left
            if choice:
                self.emit("choice", (self.frame.space, node.body if holds else node.orelse))
            self.narrow(node.test, holds)
            if setting is not None:
                self.follow(setting, holds)
            if holds and period is not None:
                with self.in_region("periodic", node, period):
                    alive = self.suite(node.body)
            else:
                alive = self.suite(node.body) if holds else self.orelse(node.orelse)
            left = left or not alive
            return alive

        if choice:
            self.emit("choices", None)
        self.choosing = before or by_name
        try:
            return self.branches([lambda: branch(True), lambda: branch(False)], setting)
        finally:
            self.choosing = before or (by_name and left)  # where one side returned, the rest is the other alternative
            self.chosen += by_name
            if choice:
                self.emit("chosen", None)

    def period(self, node: cst.If) -> Any:
        """The `n` of a branch that is taken on every nth turn, be it by a flag; None for any other branch."""
        flag = self.peek(node.test) if node.test.__class__ in (cst.Name, cst.Attribute) else None
        return flag.period if isinstance(flag, Every) else period_of(node)

    def orelse(self, node: cst.If | cst.Else | None) -> bool:
        if node is None:
            return True
        return self.if_(node) if isinstance(node, cst.If) else self.suite(node.body)

    def setting_in(self, test: Any) -> Setting | None:
        """The setting that a condition asks for, as in `if args.mode == "fast"` or `if scaler is not None`."""
        holds, asked = True, Const(True)
        if test.__class__ is cst.UnaryOperation and test.operator.__class__ is cst.Not:
            test, holds = test.expression, False
        if test.__class__ is cst.Comparison and len(test.comparisons) == 1:
            target = test.comparisons[0]
            operator, other = target.operator.__class__, target.comparator
            if operator in EQUALITIES and other.__class__ in (cst.SimpleString, cst.Integer):
                asked = self.literal(other)  # type: ignore[assignment]
            elif operator in IDENTITIES and is_name(other, "None"):
                asked = NONE
            else:
                return None
            test, holds = test.left, holds is (operator in (cst.Equal, cst.Is))
        if asked.__class__ is not Const:
            return None
        if test.__class__ is cst.Name:
            env = self.frame.env if test.value in self.frame.env else self.frame.globals
            return Setting(env, test.value, asked.value, holds, test)
        if test.__class__ is not cst.Attribute:
            return None
        owner, name = self.kept_in(test)
        return Setting(owner.attrs, name, asked.value, holds, test) if owner is not None else None

    def follow(self, setting: Setting, holds: bool) -> None:
        """What earlier conditions on the same setting left in alternatives is here what it was made under this one."""
        known = self.read(self.flags, setting.key)
        for side in known.sides if known.__class__ is Alternatives else ():
            if self.read(side.where, side.name) is side.joined:
                self.write(side.where, side.name, side.given if holds is setting.holds else side.otherwise)

    def note_sides(self, setting: Setting, sides: list[tuple[dict[Any, Any], Any, Any, Any]]) -> None:
        """Remember what a setting's two sides left, now that they are joined."""
        known = self.flags.get(setting.key)
        found = [Sides(where, name, where[name], *pair) for where, name, *pair in sides]
        if known.__class__ is Alternatives:
            found = [side for side in known.sides if side.where.get(side.name) is side.joined] + found
        found = [side for side in found if side.joined.__class__ in (Union, frozenset)]
        if found and not is_fixed(self, setting.node):
            # What an attribute stands for is known by the program, and hardly ever changed again.
            found = [side for side in found if side.name not in STATES and setting.node.__class__ is cst.Attribute]
        if found:
            self.write(self.flags, setting.key, Alternatives(found, setting.where))

    def branches(self, runs: list[Callable[[], bool]], setting: Setting | None = None) -> bool:
        """Run alternatives from the same state, and go on with the join of those that reach their end."""
        journal, frame = self.journal, self.frame
        deltas = []
        frame.forks += 1
        forked = self.forked
        for run in runs:
            mark, self.forked = journal.mark(), Object.count
            if run():
                deltas.append(journal.cut(mark))
            else:
                journal.undo(mark)
        frame.forks -= 1
        self.forked = forked
        if not deltas:
            return False
        sides = list(objects_in(deltas, setting.holds)) if setting is not None and len(deltas) == 2 else []
        journal.merge(deltas)
        if setting is not None and sides:
            self.note_sides(setting, sides)
        return True

    def is_main_guard(self, test: Any) -> bool:
        return (
            self.frame.function is None
            and test.__class__ is cst.Comparison
            and test.left.__class__ is cst.Name
            and test.left.value == "__name__"
            and len(test.comparisons) == 1
            and isinstance(test.comparisons[0].operator, cst.Equal)
        )

    def for_(self, node: cst.For) -> bool:
        iterable = self.eval(node.iter)
        iterable = not_none(iterable)
        known = self.known_items(iterable)
        if known is None or not (known or is_plain_call(node.iter, "range")):  # a list may be filled out of view
            known = self.longest(iterable)
        with self.in_region("loop", node, source_of(iterable)) as region:
            unrolled = known is not None and len(known) <= self.turns_at_most(node, known)
            region.exact = unrolled or is_name(node.target, "_") or self.is_uniform(iterable)  # whatever comes
            if known is not None and unrolled:
                return self.loop(node, [partial(self.bind, node.target, item) for item in known], exact=True)
            item = self.element_of(iterable)
            counted = iterable.first if isinstance(iterable, Sequence) else None
            first = counted or (known[0] if known else item)
            region.first = counted is not None

            def later() -> None:
                region.first = False
                self.bind(node.target, item)

            turns = [lambda: self.bind(node.target, first), later]
            return self.loop(node, turns, exact=False, special=counted is not None)

    def is_uniform(self, iterable: Value) -> bool:
        """Whether each turn of a loop gets a layer that is made as all the others are, as by a comprehension."""
        parts = as_items(self.element_of(iterable))
        layers = [part for part in parts if getattr(part, "family", "") == "module"]
        return bool(layers) and not any(isinstance(part, Union) for part in parts)

    def turns_at_most(self, node: cst.For, items: tuple[Value, ...]) -> int:
        """Of how many items a loop takes each as it is."""
        kind = node.body.body[0].__class__ if len(node.body.body) == 1 else None
        if kind is cst.If and is_of_one_line(node.body.body[0]) and all(item.__class__ is Const for item in items):
            return UNROLL_LINE
        layers = all(any(getattr(part, "family", "") == "module" for part in as_items(item)) for item in items)
        if kind is cst.If and layers:
            return UNROLL_LAYERS
        short = len(node.body.body) <= PLAN_LINES and is_quick(node.body)
        if short and all(map(is_named_setting, items)):
            return UNROLL_TABLE
        planned = short and all(map(is_setting, items))
        return UNROLL_LINE if kind is cst.SimpleStatementLine or layers or planned else UNROLL

    def while_(self, node: cst.While) -> bool:
        held: list[bool] = []  # whether the test surely held, turn by turn: what a turn changes may end the loop

        def turn() -> None:
            region.first = not held
            held.append(truth(self.eval(node.test)) is True)
            self.narrow(node.test, True)

        def endless() -> bool:
            return all(held)

        counter = node.test.left if node.test.__class__ is cst.Comparison else node.test
        special = isinstance(self.peek(counter), Const)
        with self.in_region("loop", node, None) as region:
            alive = self.loop(node, [turn, turn], exact=False, endless=endless, special=special)
        if alive and not endless():
            self.narrow(node.test, False)
        return alive

    def loop(
        self, node: Any, turns: list[Callable[[], None]], exact: bool, endless: Callable[[], bool] | None = None,
        special: bool = False,
    ) -> bool:  # fmt: skip
        """Run a loop's body turn by turn. The second turn starts from the state that the first one left, with changed
        numbers widened: that is where a mode not restored or gradients not cleared come to light. A first turn that is
        `special`, as its number is known, may not come to what all others do: where steps begin only after it, as
        behind a warm-up, there is one more."""
        journal, frame, region = self.journal, self.frame, self.region
        start = journal.mark()
        breaks: list[Delta] = []
        ends: list[Delta] = []
        alive, warm = True, False
        frame.forks += 1
        for number, turn in enumerate(turns):
            mark = journal.mark()
            exits = LoopExits(start, mark, self.region)
            frame.loops.append(exits)
            turn()
            alive = self.suite(node.body)
            frame.loops.pop()
            breaks += exits.breaks
            if exits.continues:
                deltas = exits.continues
                if alive:
                    deltas = [*deltas, journal.cut(mark)]
                else:
                    journal.undo(mark)
                journal.merge(deltas)
                alive = True
            if not alive:
                break
            if exact:
                continue
            ends.append(journal.delta(start))
            if number + 1 < len(turns):
                if self.changed_since(mark):
                    self.widen_since(start)
                elif special and number == 0:
                    turns.append(turns[-1])
                else:
                    break
                warm = special and number == 0 and region is not None and not region.has("step")
            elif warm and region is not None and region.has("step"):
                self.widen_since(start)
                turns.append(turns[-1])
                warm = False
        if exact and alive and turns:
            ends.append(journal.delta(start))
        journal.undo(start)
        if endless is not None and endless():
            ends = []
        elif not ends and not (exact and turns) and not (breaks and isinstance(node, cst.While)):
            ends.append({})  # no turn at all
        if ends and node.orelse is not None:
            journal.merge(ends)
            alive = self.suite(node.orelse.body)
            ends = [journal.cut(start)] if alive else []
        frame.forks -= 1
        if not ends and not breaks:
            return False
        journal.merge(ends + breaks)
        return True

    def changed_since(self, mark: int) -> bool:
        """Whether a turn of a loop left anything behind that the next turn could see."""
        env = self.frame.env
        for where, name, old in self.journal.log[mark:]:
            new = where.get(name, MISSING)
            if old is new or (old is MISSING and (where is env or is_opaque_child(new))):
                continue
            if isinstance(old, Value) and isinstance(new, Value) and old.key == new.key:
                continue
            return True
        return False

    def widen_since(self, mark: int) -> None:
        first: dict[tuple[int, Any], tuple[dict[Any, Any], Any, Any]] = {}
        for entry in self.journal.log[mark:]:
            first.setdefault((id(entry[0]), entry[1]), entry)
        for where, name, old in first.values():
            new = where.get(name, MISSING)
            if old is new or not isinstance(old, Value) or not isinstance(new, Value):
                continue
            if (isinstance(name, str) and name.startswith("$")) or name == "training":
                continue  # states are followed exactly
            changing = isinstance(new, (Const, Number, Text)) or size_of(new) is not None
            if changing or (isinstance(old, (Const, Text)) and not is_number(old)):
                self.write(where, name, widen(old, new))

    def break_(self, node: cst.Break) -> bool:
        if self.frame.loops:
            exits = self.frame.loops[-1]
            exits.breaks.append(self.journal.delta(exits.start))
        return False

    def continue_(self, node: cst.Continue) -> bool:
        if self.frame.loops:
            exits = self.frame.loops[-1]
            exits.continues.append(self.journal.delta(exits.turn))
        return False

    def with_(self, node: cst.With) -> bool:
        return self.with_items(list(node.items), node)

    def with_items(self, items: list[cst.WithItem], node: cst.With) -> bool:
        if not items:
            return self.suite(node.body)
        item, rest = items[0], items[1:]
        manager = self.eval(item.item)

        def body(value: Value) -> bool:
            if item.asname is not None:
                self.bind(item.asname.name, value)
            return self.with_items(rest, node)

        return self.enter(manager, item.item, body)

    def enter(self, manager: Value, node: Any, body: Callable[[Value], bool]) -> bool:
        """Run `body` inside a context manager."""
        if isinstance(manager, Instance) and manager.family == "contextmanager":
            return self.enter_generator(manager.attrs["call"], node, body)
        if isinstance(manager, Instance) and isinstance(manager.cls, Class):
            enter = manager.cls.find("__enter__")
            value: Value = manager
            if isinstance(enter, Function):
                value = self.call(Method(manager, "__enter__", enter), Arguments(), node)
            before = self.exits()
            alive = body(value)
            leave = manager.cls.find("__exit__")
            if isinstance(leave, Function) and (alive or self.exits() != before):
                mark = self.journal.mark()
                self.call(Method(manager, "__exit__", leave), Arguments([NONE, NONE, NONE]), node)
                self.settle(before, self.journal.delta(mark))
            return alive
        return self.library.enter(self, manager, node, body)

    def enter_generator(self, call: Partial, node: Any, body: Callable[[Value], bool]) -> bool:
        """A `@contextmanager` function: its body runs up to the `yield`, then the block, then the rest."""
        alive = True
        outer = self.frame
        before, mark = self.exits(), self.journal.mark()
        at_end: Delta | None = None

        def hook(value: Value) -> None:
            nonlocal alive, at_end
            inner = self.frame
            self.frame = outer
            try:
                alive = body(value)
                at_end = self.journal.delta(mark) if self.exits() != before else None
            finally:
                self.frame = inner

        function = call.callee
        assert isinstance(function, Function)
        outer.forks += 1
        self.run_function(
            function, self.bind_arguments(function, Arguments(list(call.args), call.keywords)), node, hook
        )
        outer.forks -= 1
        if at_end is not None:
            now, then = self.journal.delta(mark), at_end
            self.settle(before, {k: entry for k, entry in now.items() if k not in then or then[k][2] is not entry[2]})
        return alive

    def exits(self) -> tuple[int, int, int]:
        """How many ways out of the function and of the loop at hand were taken so far."""
        frame = self.frame
        if not frame.loops:
            return len(frame.returns), 0, 0
        return len(frame.returns), len(frame.loops[-1].breaks), len(frame.loops[-1].continues)

    def settle(self, before: tuple[int, int, int], done: Delta) -> None:
        """What is done on leaving a block, by `finally` or by its context manager, is done on the ways out that were
        taken inside it too."""
        frame = self.frame
        left = [delta for _, delta in frame.returns[before[0] :]]
        if frame.loops:
            left += frame.loops[-1].breaks[before[1] :]
            left += frame.loops[-1].continues[before[2] :]
        for delta in left:
            if delta is not None:
                delta.update(done)

    def try_(self, node: Any) -> bool:
        journal = self.journal
        before = self.exits()
        self.frame.forks += 1
        mark = journal.mark()
        caught = any(map(takes_failures, node.handlers)) and not any(
            called(n) == "backward" for n in nodes_in(node.body)
        )
        self.frame.tries += caught
        alive = self.suite(node.body)
        self.frame.tries -= caught
        if alive and node.orelse is not None:
            alive = self.suite(node.orelse.body)
        after = journal.cut(mark)
        ends = [after] if alive else []
        for handler in node.handlers:
            start = journal.mark()
            journal.merge([after, {}])
            if handler.name is not None:
                self.bind(handler.name.name, UNKNOWN)
            went_on = self.suite(handler.body)
            delta = journal.cut(start)
            if went_on and (not alive or not (self.is_import_guard(handler) or gives_up(handler))):
                ends.append(delta)
        if not node.handlers and not alive:
            ends = []
        if ends:
            journal.merge(ends)
        else:
            journal.apply(after)
        reached = bool(ends)
        if node.finalbody is not None:
            mark = journal.mark()
            reached = self.suite(node.finalbody.body) and reached
            self.settle(before, journal.delta(mark))
        self.frame.forks -= 1
        return reached

    def is_import_guard(self, handler: Any) -> bool:
        """`except ImportError`: the import that works is the one that counts."""
        if handler.type is None:
            return False
        text = handler.type.value if isinstance(handler.type, cst.Name) else ""
        return text in ("ImportError", "ModuleNotFoundError", "KeyboardInterrupt")

    def raise_(self, node: cst.Raise) -> bool:
        if node.exc is not None:
            self.eval(node.exc)
            raised = node.exc.func if node.exc.__class__ is cst.Call else node.exc
            if is_name(raised, "SystemExit"):
                self.leave_program()
        return False

    def assert_(self, node: cst.Assert) -> bool:
        self.eval(node.test)
        self.narrow(node.test, True)
        return True

    def global_(self, node: Any) -> bool:
        nonlocal_ = isinstance(node, cst.Nonlocal)
        for item in node.names:
            name = item.name.value
            scope = self.frame.space.attrs
            if nonlocal_:
                scope = next((env for env in self.frame.closure if name in env), scope)
            self.frame.globals[name] = scope
        return True

    def del_(self, node: cst.Del) -> bool:
        self.delete(node.target)
        return True

    def delete(self, target: Any) -> None:
        if isinstance(target, (cst.Tuple, cst.List)):
            for element in target.elements:
                self.delete(element.value)
        elif isinstance(target, cst.Name):
            scope = self.frame.globals.get(target.value)
            self.journal.remove(self.frame.env if scope is None else scope, target.value)
        elif isinstance(target, cst.Attribute):
            owner = self.eval(target.value)
            if isinstance(owner, Instance):
                self.journal.remove(owner.attrs, target.attr.value)
        elif isinstance(target, cst.Subscript):
            owner = self.eval(target.value)
            indices = [self.index(element.slice) for element in target.slice]
            if isinstance(owner, Tensor):
                self.mutate(target.value, self.library.without(owner, indices))
            elif len(indices) == 1:
                self.library.delete_item(self, owner, indices[0])

    def match(self, node: cst.Match) -> bool:
        subject = self.eval(node.subject)
        cases: list[cst.MatchCase] = []
        total = left = False

        def run(case: cst.MatchCase) -> bool:
            self.capture(case.pattern, subject)
            if case.guard is not None:
                self.eval(case.guard)
                self.narrow(case.guard, True)
            return self.suite(case.body)

        def choose(case: cst.MatchCase) -> bool:
            nonlocal left
            self.emit("choice", (self.frame.space, case.body))
            alive = run(case)
            left = left or not alive
            return alive

        for case in node.cases:
            held = self.matches(case.pattern, subject)
            if held is False:
                continue
            cases.append(case)
            total = held is True and case.guard is None
            if total:
                break
        if total and len(cases) == 1:
            return run(cases[0])
        before, self.choosing = self.choosing, True
        self.emit("choices", None)
        try:
            return self.branches([*(partial(choose, case) for case in cases), *(() if total else (lambda: True,))])
        finally:
            self.choosing = before or left  # where one case returned, the rest is another alternative
            self.chosen += 1
            self.emit("chosen", None)

    def matches(self, pattern: Any, subject: Value) -> bool | None:
        """Whether a value fits a pattern: True, False, or None for unknown."""
        if isinstance(pattern, cst.MatchAs):
            return True if pattern.pattern is None else self.matches(pattern.pattern, subject)
        if isinstance(pattern, cst.MatchOr):
            found = [self.matches(choice.pattern, subject) for choice in pattern.patterns]
            return True if True in found else None if None in found else False
        if isinstance(pattern, (cst.MatchValue, cst.MatchSingleton)):
            wanted = self.eval(pattern.value)
            return (
                truth(arithmetic.compare(self, "Equal", subject, wanted, pattern))
                if isinstance(wanted, Const)
                else None
            )
        return None

    def capture(self, pattern: Any, subject: Value) -> None:
        """Bind the names that a pattern gives to what it matched."""
        if isinstance(pattern, (cst.MatchAs, cst.MatchStar)) and pattern.name is not None:
            self.bind(pattern.name, subject)
        for child in pattern.children:
            if not isinstance(child, cst.BaseExpression):
                whole = isinstance(pattern, (cst.MatchAs, cst.MatchOr, cst.MatchOrElement))
                self.capture(child, subject if whole else UNKNOWN)

    # ------------------------------------------------- definitions and imports

    def function_def(self, node: cst.FunctionDef) -> bool:
        function = self.make_function(node.name.value, node, None)
        decorated = self.decorate(function, node)
        if isinstance(decorated, Function) and decorated.node is node:
            self.frame.space.functions[-1] = decorated
        self.bind(node.name, decorated)
        return True

    def make_function(self, name: str, node: Any, owner: Class | None) -> Function:
        frame = self.frame
        outermost = frame.cls is not None or frame.env is frame.space.attrs
        closure = frame.closure if outermost else (frame.env, *frame.closure)
        defaults: dict[str, Value] = {}
        for parameter in (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params):
            if parameter.default is not None:
                defaults[parameter.name.value] = self.eval(parameter.default)
        function = Function(name, node, frame.space, closure, defaults, owner or frame.cls)
        if isinstance(node, cst.FunctionDef):
            frame.space.functions.append(function)
        return function

    def decorate(self, function: Value, node: Any) -> Value:
        for decorator in reversed(node.decorators):
            value = self.eval(decorator.decorator)
            function = self.library.decorate(self, value, function, decorator.decorator)
        return function

    def class_def(self, node: cst.ClassDef) -> bool:
        cls = build_class(self, node)
        self.bind(node.name, self.decorate(cls, node))
        return True

    def import_(self, node: cst.Import) -> bool:
        for alias in node.names:
            dotted = dotted_name(alias.name)
            if alias.asname is not None:
                self.bind(alias.asname.name, self.import_module(dotted, 0))
            else:
                first = dotted.partition(".")[0]
                if first != dotted:
                    self.import_module(dotted, 0)
                self.write(self.frame.env, first, self.import_module(first, 0))
        return True

    def import_from(self, node: cst.ImportFrom) -> bool:
        level = len(node.relative)
        dotted = dotted_name(node.module) if node.module is not None else ""
        module = self.import_module(dotted, level)
        if isinstance(node.names, cst.ImportStar):
            if isinstance(module, Namespace):
                for name, member in self.offered(module):
                    self.write(self.frame.env, name, member)
                self.open_to(*self.opened(module.attrs))
            elif isinstance(module, Api):
                self.open_to(module)
            return True
        for alias in node.names:
            name = dotted_name(alias.name)
            value: Value | None = None
            if isinstance(module, Namespace):
                found = self.read(module.attrs, name)
                value = None if found is MISSING else found
                if value is None:
                    value = self.resolve(self.frame.space, f"{dotted}.{name}" if dotted else name, level)
                if value is None:
                    value = UNKNOWN
            elif isinstance(module, Api):
                value = self.resolve(self.frame.space, f"{dotted}.{name}" if dotted else name, level)
                if value is None:
                    value = self.library.api_attribute(self, module, name) if module.path else Api(name)
            else:
                value = UNKNOWN
            target = alias.asname.name if alias.asname is not None else alias.name
            self.bind(target, value)
        return True

    def offered(self, module: Namespace) -> list[tuple[str, Value]]:
        """What `import *` takes from a module: what `__all__` lists, where that is known, else all that is public."""
        listed = self.known_items(module.attrs.get("__all__", NONE))
        if listed and all(isinstance(item, Const) and item.value in module.attrs for item in listed):
            return [(item.value, module.attrs[item.value]) for item in listed if isinstance(item, Const)]
        return [(name, member) for name, member in module.attrs.items() if not name.startswith("_")]

    def open_to(self, *modules: Api) -> None:
        """All names of modules out of view are names here, those of the latest import first."""
        if modules:
            self.write(self.frame.env, STARS, Tuple((*modules, *self.opened(self.frame.env))))

    def opened(self, env: dict[str, Value]) -> list[Api]:
        """The modules out of view all of whose names were imported."""
        named = [item for found in options(env.get(STARS, NONE)) if isinstance(found, Tuple) for item in found.items]
        return [module for item in named for module in options(item) if isinstance(module, Api)]

    def import_module(self, dotted: str, level: int) -> Value:
        found = self.resolve(self.frame.space, dotted, level)
        if found is not None:
            return found
        return Api(dotted) if level == 0 else Api("." * level + dotted)

    # -------------------------------------------------------------- narrowing

    def narrow(self, test: Any, held: bool) -> None:
        """Take from a condition what it tells about the values in it."""
        kind = test.__class__
        if kind is cst.UnaryOperation and test.operator.__class__ is cst.Not:
            self.narrow(test.expression, not held)
        elif kind is cst.BooleanOperation:
            if (test.operator.__class__ is cst.And) == held:
                self.narrow(test.left, held)
                self.narrow(test.right, held)
            elif held and (tests := kind_tests(test)):
                kinds = tuple(self.eval(each.args[1].value) for each in tests)
                self.narrow_isinstance(tests[0].args[0].value, Tuple(kinds), held)
        elif kind is cst.Comparison and len(test.comparisons) == 1:
            self.narrow_comparison(test, test.comparisons[0], held)
        elif kind in (cst.Name, cst.Attribute):
            value = self.peek(test)
            if value is None:
                return
            if is_bool(value):
                self.rebind(test, TRUE if held else FALSE)
            elif value.__class__ is Union:
                kept = [o for o in options(value) if truth(o) is not (not held)]
                if kept and len(kept) < len(options(value)):
                    self.rebind(test, join_all(kept))
        elif kind is cst.Call:
            if is_kind_test(test):
                self.narrow_isinstance(test.args[0].value, self.eval(test.args[1].value), held)
            elif (reduced := reduced_comparison(test, "all" if held else "any")) is not None:
                self.narrow_comparison(reduced, reduced.comparisons[0], held)

    def narrow_isinstance(self, place: Any, wanted: Value, held: bool) -> None:
        value = self.peek(place)
        if value is None:
            return
        if not held:
            others = [o for o in options(value) if self.library.is_instance(self, o, wanted) is not True]
            if others and len(others) < len(options(value)):
                self.rebind(place, join_all(others))
            return
        kept = [
            self.library.as_instance(o, wanted)
            for o in options(value)
            if self.library.is_instance(self, o, wanted) is not False
        ]
        sure = [o for o in kept if o is not None]
        if sure and not (len(sure) == 1 and sure[0] is value):
            self.rebind(place, join_all(sure))

    def narrow_type(self, test: cst.Comparison, operator: str, held: bool) -> None:
        """`type(x) is list` and the like."""
        place: Any = test.left.args[0].value  # type: ignore[attr-defined]
        wanted = self.eval(test.comparisons[0].comparator)
        found, same = options(self.peek(place) or UNKNOWN), held is (operator in ("Equal", "Is", "In"))
        kept = [option for option in found if is_exactly(option, wanted) is not (not same)]
        if kept and len(kept) < len(found):
            self.rebind(place, join_all(kept))

    def narrow_comparison(self, test: cst.Comparison, target: cst.ComparisonTarget, held: bool) -> None:
        if test.left.__class__ is cst.Call and (operator := type_test(test)):
            self.narrow_type(test, operator, held)
            return
        operator = target.operator.__class__.__name__
        left = self.peek(test.left)
        if left is None:
            return
        right = self.eval(target.comparator)
        if operator in ("Is", "IsNot", "Equal", "NotEqual"):
            same = (operator in ("Is", "Equal")) == held
            if isinstance(right, Const):
                if same and right.value is not None and operator == "Equal" and not isinstance(left, Tensor):
                    alone = left.__class__ is Text or (left.__class__ is Instance and left.cls is None)
                    self.rebind(test.left, Const(right.value, left) if alone else right)
                    return
                kept = [o for o in options(left) if not isinstance(o, Const) or (o.key == right.key) == same]
                if same and right.value is None:
                    kept = [o for o in kept if isinstance(o, Const)] or kept
                if kept and len(kept) < len(options(left)):
                    self.rebind(test.left, join_all(kept))
                elif not same and is_number(right) and bounds(right) == (0.0, 0.0):
                    self.narrow_range(test.left, left, "GreaterThan" if bounds(left)[0] >= 0 else "", 0.0)
        elif is_number(right):
            if not held:
                operator = {
                    "GreaterThan": "LessThanEqual",
                    "LessThan": "GreaterThanEqual",
                    "GreaterThanEqual": "LessThan",
                    "LessThanEqual": "GreaterThan",
                }.get(operator, "")
            self.narrow_range(test.left, left, operator, bounds(right)[operator.startswith("Less")])

    def narrow_range(self, target: Any, value: Value, operator: str, limit: float) -> None:
        if not isinstance(value, (Number, Tensor)):
            return
        lo, hi = value.lo, value.hi
        if operator == "GreaterThan":
            lo = max(lo, TINY if limit == 0 else limit)
        elif operator == "GreaterThanEqual":
            lo = max(lo, limit)
        elif operator in ("LessThan", "LessThanEqual"):
            hi = min(hi, limit)
        if (lo, hi) != (value.lo, value.hi):
            changed: Value = (
                value.but(lo=lo, hi=hi) if isinstance(value, Tensor) else Number(lo, hi, value.integer, value.nature)
            )
            self.rebind(target, changed)

    def peek(self, node: Any) -> Value | None:
        """The present value of a name, an attribute or an entry of a dict, without effects."""
        if node.__class__ is cst.Name:
            return self.name(node)
        owner, name = self.kept_in(node)
        if owner is None:
            return None
        found = self.read(owner.attrs, name)
        return found if isinstance(found, Value) else None

    def rebind(self, node: Any, value: Value) -> None:
        if node.__class__ is cst.Name:
            if node.value in self.frame.env:
                self.write(self.frame.env, node.value, value)
            return
        owner, name = self.kept_in(node)
        if owner is not None:
            self.write(owner.attrs, name, value)

    def mutate(self, node: Any, value: Value) -> None:
        """What a name, an attribute or an entry stands for is changed in place: a tensor or a table, which are values
        here and objects in Python. Who passed it here has it changed, too."""
        before = self.peek(node)
        self.rebind(node, value)
        if node.__class__ is cst.Name and node.value not in self.frame.env:
            outer = next((names for names in self.frame.closure if node.value in names), self.frame.space.attrs)
            if node.value in outer:
                self.write(outer, node.value, value)
        if node.__class__ is cst.Name and before is not None:
            self.hand_back(before, value)

    def hand_back(self, before: Value, value: Value) -> None:
        """What the function at hand was given is another value now, for its caller, too."""
        frame = self.frame
        if frame.caller is None or frame.call.__class__ is not cst.Call:
            return
        self.frame = frame.caller
        try:
            for argument in frame.call.args:
                passed = self.peek(argument.value)
                if passed is before:
                    self.passed_back += 1
                    self.mutate(argument.value, value)
                    break
                if argument.star and isinstance(passed, Tuple) and any(item is before for item in passed.items):
                    # Who wraps a function passes on what it was given.
                    self.rebind(
                        argument.value, Tuple(tuple(value if item is before else item for item in passed.items))
                    )
                    self.hand_back(before, value)
                    break
        finally:
            self.frame = frame

    def kept_in(self, node: Any) -> tuple[Object | None, Any]:
        """The object that keeps what an attribute or an entry of a dict stands for, and its name there."""
        if node.__class__ is cst.Attribute:
            owner = self.peek(node.value)
            return (owner, node.attr.value) if isinstance(owner, Object) else (None, "")
        if node.__class__ is cst.Subscript and node.slice[0].slice.__class__ is cst.Index:
            owner, key = self.peek(node.value), node.slice[0].slice.value
            known = self.literal(key) if key.__class__ is cst.SimpleString else self.peek(key)
            if isinstance(owner, DictObject) and isinstance(known, Const):
                return owner, known.value
        return None, ""

    # ------------------------------------------------------------ expressions

    def eval(self, node: Any) -> Value:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise OutOfBudget
        handler = self.expressions.get(node.__class__)
        return UNKNOWN if handler is None else handler(node)

    def literal(self, node: Any) -> Value:
        found = self.literals.get(id(node))
        if found is None:
            try:
                found = Const(literal_value(node))
            except Exception:
                found = UNKNOWN
            self.literals[id(node)] = found
        return found

    def concatenated(self, node: cst.ConcatenatedString) -> Value:
        found = self.literals.get(id(node))
        if found is not None:
            return found
        left, right = self.eval(node.left), self.eval(node.right)
        if isinstance(left, Const) and isinstance(right, Const):
            found = arithmetic.constant_binary("Add", left.value, right.value)
            if not any(isinstance(part, cst.FormattedString) for part in nodes_in(node)):
                self.literals[id(node)] = found
            return found
        return Text(tuple(p for side in (left, right) for p in arithmetic.text_parts(side)))

    def formatted(self, node: cst.FormattedString) -> Value:
        made: list[Value] = []
        for part in node.parts:
            if isinstance(part, cst.FormattedStringExpression):
                made.append(self.eval(part.expression))
                self.write_out(made[-1], part)
            else:
                made.append(Const(str(getattr(part, "value", ""))))
        known = tuple(str(value.value) for value in made if isinstance(value, Const) and value.value != "")
        if sum(map(len, known)) > arithmetic.MAX_LENGTH:
            return Text()
        if all(isinstance(value, Const) for value in made):
            return Const("".join(known))
        usual = [v.default if isinstance(v, Text) else v.value if isinstance(v, Const) else None for v in made]
        default = "".join(map(str, usual)) if None not in usual else None
        return Text(known, tuple(made), default)

    def write_out(self, value: Value, node: Any) -> None:
        """Run what a class of the project's has for its objects to be written as text."""
        if value.__class__ is Instance and isinstance(value.cls, Class) and value.cls.find("__str__") is not None:
            self.call(self.get_attribute(value, "__str__", node), Arguments(), node)

    def name(self, node: Any) -> Value:
        name = node.value
        frame = self.frame
        value = frame.env.get(name)
        if value is not None:
            if frame.function is None and self.depth:
                self.reads.append((frame.env, name, value))
        else:
            value = SINGLETONS.get(name) or self.free_name(name)
        if value.__class__ is Union and frame.function is not None:
            return self.meant(name, value)
        return value

    def meant(self, name: str, value: Union) -> Value:
        """Of the models that a name may stand for, those that have all that the function at hand takes of it: it was
        written for these, and who picks another does not come here."""
        function: Any = self.frame.function and self.frame.function.node
        if not any(isinstance(o, Instance) and o.family == "module" for o in value.options):
            return value
        taken = self.taken.get(id(function))
        if taken is None:
            self.keep.append(function)
            taken = self.taken[id(function)] = taken_of_names(function)
        own = [a for a in taken.get(name, ()) if a != "training" and f"module.{a}" not in self.library.rows]
        own = [a for a in own if any(o.__class__ is Instance and not lacks(o, a) for o in value.options)]
        left = [o for o in value.options if not any(lacks(o, attribute) for attribute in own)]
        return join_all(left) if len(left) < len(value.options) else value

    def free_name(self, name: str) -> Value:
        frame = self.frame
        for env in frame.closure:
            if name in env:
                found: Value = self.read(env, name)
                return found
        found_global = self.read(frame.space.attrs, name)
        if found_global is not MISSING:
            value: Value = found_global
            return value
        if STARS in frame.space.attrs:
            for module in self.opened(frame.space.attrs):
                if (path := self.library.handed_on(module.path, name)) is not None:
                    return Api(path)
        if name == "__name__":
            return Text()
        if name == "__package__":
            return NONE  # each file is run as a script
        return self.library.builtin(name)

    def attribute(self, node: cst.Attribute) -> Value:
        owner = self.eval(node.value)
        if node.value.__class__ is not cst.Name or node.value.value != "self":
            self.modules.looked_up(owner, node)
        return self.get_attribute(owner, node.attr.value, node)

    def get_attribute(self, owner: Value, name: str, node: Any) -> Value:
        kind = owner.__class__
        if name == "__getattribute__":
            return Partial(Api("getattr"), (owner,), {})
        if kind is Api:
            return self.library.api_attribute(self, owner, name)  # type: ignore[arg-type]
        if kind is Namespace:
            assert isinstance(owner, Namespace)
            found = self.read(owner.attrs, name)
            if found is not MISSING:
                value: Value = found
                return value
            if name == "__dict__":
                return Names(owner)
            return self.resolve(owner, name, 1 if owner.package else 0) or UNKNOWN
        if kind is Instance:
            return self.instance_attribute(owner, name, node)  # type: ignore[arg-type]
        if kind is Union:
            assert isinstance(owner, Union)
            owned = any(o.__class__ is Instance and name in o.attrs for o in owner.options)
            having = [o for o in owner.options if may_have(o, name) and not (owned and lacks(o, name))]
            return join_all(self.get_attribute(o, name, node) for o in having or owner.options)
        if kind is Class:
            assert isinstance(owner, Class)
            if name == "__name__":
                return Const(owner.name)
            member = owner.find(name)
            if isinstance(member, Instance) and member.family == "classmethod":
                return self.bind_member(owner, name, member, node)
            if member is None and name in RESTORING and owner.family == "module":
                return Method(owner, name)
            if member is None:  # of a base class from outside
                paths = (f"{path}.{name}" for path in owner.api)
                return next((Api(path) for path in paths if self.library.row(path) is not None), UNKNOWN)
            return self.unwrap(member)
        if kind is Super:
            return self.super_attribute(owner, name)  # type: ignore[arg-type]
        if kind is Tuple and isinstance(owner, Tuple) and name in owner.names:
            return owner.items[owner.names.index(name)]
        if kind is Const and name == "value":
            return owner  # a member of an enumeration, which is taken for what it holds
        return self.library.attribute(self, owner, name, node)

    def unwrap(self, member: Value) -> Value:
        """A class member looked up on the class itself."""
        if isinstance(member, Instance) and member.family in ("staticmethod", "classmethod"):
            inner: Value = member.attrs["function"]
            return inner
        return member

    def instance_attribute(self, owner: Instance, name: str, node: Any) -> Value:
        found = self.read(owner.attrs, name)
        if found is not MISSING and isinstance(found, Value):
            return found
        if name == "__class__" and owner.cls is not None:
            return owner.cls
        if name == "__dict__":
            return Names(owner)
        if isinstance(owner.cls, Class):
            member = owner.cls.find(name)
            if member is not None:
                return self.bind_member(owner, name, member, node)
            special = self.library.instance_attribute(self, owner, name, node)
            if special is not None:
                return special
            getattr_ = owner.cls.find("__getattr__")
            if isinstance(getattr_, Function):
                return self.call(Method(owner, "__getattr__", getattr_), Arguments([Const(name)]), node)
            if "?" in owner.cls.api or owner.cls.api:
                return self.opaque_child(owner, name)
            return UNKNOWN
        special = self.library.instance_attribute(self, owner, name, node)
        if special is not None:
            return special
        return self.opaque_child(owner, name)

    def opaque_child(self, owner: Instance, name: str) -> Value:
        """An attribute nobody assigned in view: one unknown object, the same at each look."""
        found = self.read(owner.attrs, name)
        if found is not MISSING and isinstance(found, Value):
            return self.setting(owner, name, found)
        if name == "forward" and owner.cls is None and "training" in owner.attrs:
            return owner  # a model, which is called so, too
        if name == "estimated_stepping_batches":
            return Number(1, integer=True, nature=STEPS)  # of a trainer of Lightning
        kept = name
        if owner.family == "loader" and name in ("sampler", "batch_sampler"):
            kept = f"$own_{name}"  # which a loader makes for itself, and nobody has given it
            if isinstance(own := self.read(owner.attrs, kept), Value):
                return own
        key = (owner.number, name)
        if name.endswith(NODE_MASK) and (mask := self.library.node_mask(self, name)) is not None:
            self.write(owner.attrs, name, mask)
            return mask
        child = self.children[key] = self.children.get(key) or Instance(None, "")  # whichever branch looks first
        whole = owner.attrs.get("$whole", owner)
        if whole.family == "module" and isinstance(whole.cls, Api):
            child.attrs["$whole"] = whole
            if owner is whole and name in ("weight", "bias"):
                child.attrs["$weight"] = TRUE
        elif owner.cls is None and "training" in owner.attrs:
            child.attrs["$of_model"] = TRUE
        for mark in ("$item", "$file", "$any", "$harmless", "$of_model", "$computed", OF_PART):  # where it comes from
            if mark in owner.attrs:
                child.attrs[mark] = owner.attrs[mark]
        if owner.api_path.startswith(METERS):
            child.attrs["$meter"] = (owner, name)
        if name == "[]":
            child.attrs["$any"] = TRUE  # it stands for any part of its owner
        if name == "dataset" or (name == "sampler" and (owner.family == "loader" or "[]" in owner.attrs)):
            child.attrs["$samples"] = TRUE  # a loader's, by the name that only loaders have, or of what was walked over
        if name in PER_SAMPLE and owner.api_path.startswith("torchvision.datasets."):
            child.attrs["$samples"] = TRUE
        self.write(owner.attrs, kept, child)
        return self.setting(owner, name, child)

    def setting(self, owner: Instance, name: str, found: Value) -> Value:
        """What the constructor of a module reads of an unknown object may be a size: that of a configuration."""
        function = self.frame.function
        if owner.cls is not None or function is None or function.name != "__init__" or found.__class__ is not Instance:
            return found
        builds, word = function.owner is not None and function.owner.family == "module", name.strip("[]'")
        if builds and found.cls is None and word.isidentifier():
            found.attrs.setdefault(SIZE, of_setting(word))
        return found

    def bind_member(self, owner: Value, name: str, member: Value, node: Any) -> Value:
        if isinstance(member, Function):
            return Method(owner, name, member)
        if isinstance(member, Instance):
            if member.family == "property":
                getter = member.attrs["function"]
                return (
                    self.call(Method(owner, name, getter), Arguments(), node)
                    if isinstance(getter, Function)
                    else UNKNOWN
                )
            if member.family == "staticmethod":
                inner: Value = member.attrs["function"]
                return inner
            if member.family == "classmethod":
                function = member.attrs["function"]
                cls = owner.cls if isinstance(owner, Instance) else owner
                return Method(cls, name, function) if isinstance(function, Function) and cls is not None else UNKNOWN
        return member

    def super_attribute(self, owner: Super, name: str) -> Value:
        own = owner.receiver.cls if isinstance(owner.receiver, Instance) else owner.receiver
        for base in (own if isinstance(own, Class) else owner.cls).behind(owner.cls):
            if name == "__init__" and owner.cls.family == "module" != base.family and base not in owner.cls.order:
                break  # the framework's class comes before a class that knows nothing of it
            member = base.attrs.get(name)
            if isinstance(member, Function):
                return Method(owner.receiver, name, member)
            if member is not None:
                return self.bind_member(owner.receiver, name, member, None)
        return self.library.super_attribute(self, owner, name)

    def set_attribute(self, owner: Value, name: str, value: Value, node: Any) -> None:
        if name == "requires_grad" and truth(value) is not False:
            self.event("released", node)
        if isinstance(owner, Instance) and name == "__dict__":
            update(self, Names(owner), value)
        elif isinstance(owner, (Instance, Class, Namespace)):
            if isinstance(owner, Instance):
                if isinstance(owner.cls, Class) and (setter := setter_of(owner.cls.find(name))) is not None:
                    self.call(Method(owner, name, setter), Arguments([value]), node)
                    return
                if value is UNKNOWN:
                    value = Instance(None)
                if owner.family in MODEL_FAMILIES:
                    self.modules.store(self, owner, name, value, node)
                    if value.__class__ is Tensor and value.graph is True:
                        self.event("released", node)
                self.emit("store", (owner, name, value, node))
            if not self.library.set_attribute(self, owner, name, value, node):
                self.write(owner.attrs, name, value)
        elif isinstance(owner, Super):
            self.set_attribute(owner.receiver, name, value, node)
        elif isinstance(owner, Union):
            for option in owner.options:
                self.set_attribute(option, name, value, node)
        elif isinstance(owner, Tensor):
            self.emit("store", (owner, name, value, node))
            self.library.set_tensor_attribute(self, owner, name, value, node)
        elif isinstance(owner, Api):
            self.event("setting", node, f"{owner.path}.{name}", value)

    def binary(self, node: cst.BinaryOperation) -> Value:
        left, right = self.eval(node.left), self.eval(node.right)
        return self.binary_values(node.operator.__class__.__name__, left, right, node, node.left, node.right)

    def binary_values(
        self, operator: str, left: Value, right: Value, node: Any, left_node: Any, right_node: Any
    ) -> Value:
        if isinstance(left, Instance) and isinstance(left.cls, Class):
            special = left.cls.find(arithmetic.METHODS.get(operator, ""))
            if isinstance(special, Function):
                return self.call(Method(left, special.name, special), Arguments([right]), node)
        result = self.library.container_operation(self, operator, left, right)
        if result is None:
            result = arithmetic.binary(self, operator, left, right, node)
            if left.tally is not None or right.tally is not None:
                result = arithmetic.tallied(result, arithmetic.tally_of(operator, left, right))
        if operator in ("Multiply", "BitAnd", "Add") and isinstance(result, Tensor) and result.deps:
            self.overlapped(operator, node, left, right, result)
        self.emit(operator.lower(), (operator, node, left, right, left_node, right_node, result))
        return result

    def overlapped(self, operator: str, node: Any, left: Value, right: Value, result: Tensor) -> None:
        """A product of a model's decisions with labels counts where they agree, as Dice and IoU do; a sum of classes,
        those it decides for and the true ones, is a place in a table of both (`n * labels + predicted`)."""
        for decided, labels in ((left, right), (right, left)):
            if isinstance(decided, Tensor) and decided.deps:
                sums = decided.kinds == INDICES if operator == "Add" else decided.nature in (*MASKS, "a one-hot code")
                if sums and isinstance(labels, Tensor) and not labels.deps and labels.data.tokens:
                    self.event("compare", node, result)

    def unary(self, node: cst.UnaryOperation) -> Value:
        value = self.eval(node.expression)
        if node.operator.__class__ is cst.Not:
            held = truth(value)
            return seldom(node, BOOL) if held is None else Const(not held)
        if value.__class__ is not Number or node.operator.__class__ is not cst.Minus:
            return arithmetic.unary(self, node.operator.__class__.__name__, value, node)
        known = self.negatives.get(id(value))
        if known is None:  # `x[:-n]` and `x[-n:]` are cut at one place
            known = self.negatives[id(value)] = (value, arithmetic.unary(self, "Minus", value, node))
        return known[1]

    def boolean(self, node: cst.BooleanOperation) -> Value:
        left = self.eval(node.left)
        held = truth(left)
        is_and = node.operator.__class__ is cst.And
        if held is not None:
            return self.eval(node.right) if held == is_and else left
        mark = self.journal.mark()
        self.narrow(node.left, is_and)
        right = self.eval(node.right)
        delta = self.journal.cut(mark)
        if delta:
            self.journal.merge([delta, {}])
        if truth(right) is False and is_and and left.__class__ is not Tensor:
            return FALSE
        kept = [o for o in options(left) if truth(o) is not is_and]
        if truth(right) is not None:  # a comparison that decides alone decides by its one value
            kept = [Const(not is_and) if is_bool(o) else o for o in kept]
        return seldom(node, join(join_all(kept), right) if kept else right)

    def comparison(self, node: cst.Comparison) -> Value:
        left = self.eval(node.left)
        result: Value = BOOL
        parts: list[bool | None] = []
        if node.left.__class__ is cst.Call and (operator := type_test(node)):
            held = is_exactly(self.eval(node.left.args[0].value), self.eval(node.comparisons[0].comparator))
            if held is not None:
                return Const(held is (operator in ("Equal", "Is", "In")))
        for target in node.comparisons:
            right = self.eval(target.comparator)
            result = arithmetic.compare(self, target.operator.__class__.__name__, left, right, node)
            if right is NAN or left is NAN:
                self.emit("nan_compared", (target.operator.__class__.__name__, node, left, right))
            if target.operator.__class__ in IDENTITIES and (is_literal(node.left) or is_literal(target.comparator)):
                self.emit("identity", (node, target))
            if isinstance(result, Tensor):
                self.compared(target.operator.__class__.__name__, node, left, right, result)
            if target.operator.__class__ in ORDERS and TEST in (measured_on(left), measured_on(right)):
                self.event("ranked", node)
            parts.append(truth(result))
            left = right
        if len(parts) == 1:
            return seldom(node, result)
        return FALSE if False in parts else BOOL if None in parts else TRUE

    def compared(self, operator: str, node: Any, left: Value, right: Value, result: Tensor) -> None:
        if result.deps and not is_number(left) and not is_number(right):
            self.event("compare", node, result)
        for score, limit in ((left, right), (right, left)):
            if isinstance(score, Tensor) and score.kinds == LOGITS and score.trace and is_number(limit):
                lo, hi = bounds(limit)
                if 0 < lo == hi < 1:
                    self.event("threshold", node, score, f"compared with {lo:g}")
        if operator in ("Equal", "NotEqual") and made_by(left, right):
            self.measured_by_hand(node, left, right)
        self.emit("comparison", (operator, node, left, right, result))

    def measured_by_hand(self, node: Any, *sides: Value) -> None:
        """`(predicted == labels).mean()`: how many predictions are right."""
        above = self.frame.space.source.index.parent(node) if self.frame.space.source is not None else None
        above = self.frame.space.source.index.parent(above) if isinstance(above, cst.Arg) else above  # type: ignore[union-attr]
        name = above.attr.value if isinstance(above, cst.Attribute) else called(above)
        if name in ("mean", "sum", "average") and all(isinstance(side, Tensor) for side in sides):
            self.event("measured", node, measured_on(*sides), made_by(*sides))

    def decide(self, test: Any) -> bool | None:
        """Whether a test holds; what hangs on a model's output is a decision of the model's."""
        value = self.eval(test)
        if value.__class__ is Tensor and value.deps:
            self.event("predict", test, value)
        return truth(value)

    def conditional(self, node: cst.IfExp) -> Value:
        held = self.decide(node.test)
        if held is not None:
            return self.eval(node.body if held else node.orelse)
        results: list[Value] = []

        def run(branch: Any, holds: bool) -> bool:
            self.narrow(node.test, holds)
            results.append(self.eval(branch))
            return True

        self.branches([lambda: run(node.body, True), lambda: run(node.orelse, False)])
        self.chosen += chooses(node.test)
        result = join(results[0], results[1])
        test, setting = node.test, None
        if isinstance(test, cst.Comparison) and isinstance(test.comparisons[0].comparator, cst.SimpleString):
            setting = self.peek(test.left)
        if setting.__class__ is Text and all(isinstance(value, Const) for value in results):
            return self.settled.setdefault((id(node), id(setting)), (setting, result))[1]  # chosen alike each time
        return result

    def elements(self, elements: Any) -> tuple[Value, ...] | None:
        """Values of a display; None when a starred part has an unknown length."""
        values: list[Value] = []
        for element in elements:
            value = self.eval(element.value)
            if element.__class__ is cst.StarredElement:
                known = self.known_items(value)
                if known is None:
                    values.append(self.element_of(value))
                    following = elements[elements.index(element) + 1 :]
                    rest = [self.display_item(e) for e in following]
                    self.display_rest = join_all(values + rest)
                    starred = any(e.__class__ is cst.StarredElement for e in following)
                    self.display_ends = () if starred else (*self.ends_of(value), *rest)
                    return None
                values.extend(known)
            else:
                values.append(value)
        return tuple(values)

    display_rest: Value = UNKNOWN
    display_ends: tuple[Value, ...] = ()

    def display_item(self, element: Any) -> Value:
        value = self.eval(element.value)
        return self.element_of(value) if element.__class__ is cst.StarredElement else value

    def tuple_(self, node: cst.Tuple) -> Value:
        values = self.elements(node.elements)
        return Sequence(self.display_rest) if values is None else Tuple(values)

    def list_(self, node: Any) -> Value:
        values = self.elements(node.elements)
        return ListObject(None, self.display_rest, self.display_ends) if values is None else ListObject(values)

    def dict_(self, node: cst.Dict) -> Value:
        result = DictObject()
        for element in node.elements:
            value = self.eval(element.value)
            if element.__class__ is cst.DictElement:
                key = self.eval(element.key)
                self.library.put(result, key, value)
            elif (entries := as_dict(value)) is not None:
                result.attrs.update(entries.entries())
            else:
                result.attrs[DictObject.REST] = UNKNOWN
        return result

    def lambda_(self, node: cst.Lambda) -> Value:
        return self.make_function("<lambda>", node, None)

    def named(self, node: cst.NamedExpr) -> Value:
        value = self.eval(node.value)
        self.bind(node.target, value)
        return value

    def yield_(self, node: cst.Yield) -> Value:
        value: Value = NONE
        source: Value | None = None
        if isinstance(node.value, cst.From):
            given = self.eval(node.value.item)
            value, source = self.element_of(given), source_of(given)
        elif node.value is not None:
            value, source = self.eval(node.value), self.passed_on(node.value)
        earlier = self.frame.yields[0][1] if self.frame.yields else None
        if earlier is not None and source is not earlier and source is not None and serve_alike(earlier, source):
            source = earlier  # which is made anew for each pass
        self.frame.yields.append((value, source))
        if self.frame.on_yield is not None:
            self.frame.on_yield(value)
        return UNKNOWN

    def passed_on(self, node: Any) -> Value | None:
        """What the loop at hand walks over, when a generator yields its items as they come (`yield batch`), or what
        they are taken from one by one (`yield next(batches)`)."""
        if is_plain_call(node, "next"):
            return source_of(self.peek(node.args[0].value) or UNKNOWN) if node.args else None
        for region in outwards(self.region):
            if region.kind == "call":
                break
            if isinstance(region.node, cst.For):
                bound = set(target_names(region.node.target))
                return region.value if any(name in bound for name in target_names(node)) else None
        return None

    def comprehension(self, node: Any) -> Value:
        items, exact, walked = self.comprehension_items(node.for_in, lambda: self.eval(node.elt))
        count = count_of(walked) if not node.for_in.ifs else None
        if node.__class__ is cst.GeneratorExp:
            return Tuple(tuple(items)) if exact else Sequence(join_all(items), source_of(walked), count=count)
        if exact:
            return ListObject(tuple(items))
        from trainlint.semantics.behaviours.lists import comprehended

        made = ListObject(None, join_all(items))
        counted(made, count)
        comprehended(self, node, made)
        clause = node.for_in
        if not clause.ifs and clause.inner_for_in is None and is_of_batch(self.peek(clause.iter) or UNKNOWN):
            made.attrs[OF_BATCH] = TRUE
        return made

    def dict_comprehension(self, node: cst.DictComp) -> Value:
        owner = mapped_as_is(node)
        mapped = self.eval(owner) if owner is not None else UNKNOWN
        if all(isinstance(option, Instance) and option.family == "weights" for option in options(mapped)):
            return mapped  # the same tensors in another dict
        items, exact, _ = self.comprehension_items(
            node.for_in, lambda: Tuple((self.eval(node.key), self.eval(node.value)))
        )
        result = DictObject()
        for item in items:
            assert isinstance(item, Tuple)
            key, value = item.items
            if exact:
                self.library.put(result, key, value)
            else:
                result.attrs[DictObject.REST] = value
        return result

    def comprehension_items(self, clause: cst.CompFor, body: Callable[[], Value]) -> tuple[list[Value], bool, Value]:
        """The element values, whether they are exactly those, in number and order, and what is walked over, one element
        for each item."""
        iterable = self.eval(clause.iter)
        known = self.known_items(iterable)
        exact = known is not None and len(known) <= UNROLL and clause.inner_for_in is None
        turns: tuple[Value, ...] = known if exact and known is not None else (self.element_of(iterable),)
        if clause.ifs and (learnt := self.library.chosen(iterable, clause.ifs)) is not None:
            turns = (learnt,)
        items: list[Value] = []
        env = self.frame.env
        names = list(target_names(clause.target))
        saved = {n: env.get(n, MISSING) for n in names}
        with self.in_region("loop", clause, iterable) as region:
            region.exact = exact or (clause.target.__class__ is cst.Name and turns[0].__class__ is Tensor)
            for item in turns:
                self.bind(clause.target, item)
                kept: bool | None = True
                for condition in clause.ifs:
                    held = truth(self.eval(condition.test))
                    kept = False if held is False else (None if held is None and kept else kept)
                    self.narrow(condition.test, True)
                if kept is False:
                    continue
                if kept is None:
                    exact = False
                if clause.inner_for_in is not None:
                    items += self.comprehension_items(clause.inner_for_in, body)[0]
                else:
                    items.append(body())
        for name, old in saved.items():
            if old is MISSING:
                self.journal.remove(env, name)
            else:
                self.write(env, name, old)
        return items, exact, iterable if clause.inner_for_in is None else UNKNOWN

    def subscript(self, node: cst.Subscript) -> Value:
        owner = self.eval(node.value)
        indices = [self.index(element.slice) for element in node.slice]
        if owner.__class__ is Tensor:
            self.emit("indexed", (node, owner, indices))
        return self.library.get_item(self, owner, indices, node)

    def index(self, element: Any) -> Value | slice:
        """An index value; slices are Python slices of values."""
        if element.__class__ is cst.Index:
            return self.eval(element.value)
        return slice(
            *[None if part is None else self.eval(part) for part in (element.lower, element.upper, element.step)]
        )

    def set_item(self, target: cst.Subscript, value: Value) -> None:
        owner = self.eval(target.value)
        indices = [self.index(element.slice) for element in target.slice]
        self.library.set_item(self, owner, indices, value, target)

    # ------------------------------------------------------------------ calls

    def call_node(self, node: cst.Call) -> Value:
        callee = self.eval(node.func)
        arguments = self.arguments(node)
        return self.call(callee, arguments, node)

    def arguments(self, node: cst.Call) -> Arguments:
        result = Arguments()
        for argument in node.args:
            value = self.eval(argument.value)
            if argument.keyword is not None:
                name = argument.keyword.value
                result.keywords[name] = value
                result.keyword_nodes[name] = argument.value
            elif argument.star == "*":
                known = self.known_items(value)
                if known is None:
                    result.open = True
                    result.positional.append(self.element_of(value))
                    result.nodes.append(argument.value)
                    result.ends = self.ends_of(value)
                else:
                    result.positional.extend(known)
                    result.nodes.extend([argument.value] * len(known))
                    if result.open:
                        result.ends += known
            elif argument.star == "**":
                for option in options(value):
                    given = as_dict(option)
                    if given is None:
                        result.open = True
                        result.spread += (option,) if isinstance(option, Tensor) else ()
                        continue
                    for key, item in given.known():
                        self.read(given.attrs, key)
                        if isinstance(key, str):
                            earlier = result.keywords.get(key)
                            result.keywords[key] = item if earlier is None or option is value else join(earlier, item)
                            result.keyword_nodes[key] = argument.value
                    if given.rest is not None:
                        result.open = True
                        result.spread += (given.rest,) if isinstance(given.rest, Tensor) else ()
            else:
                result.positional.append(value)
                result.nodes.append(argument.value)
                if result.open:
                    result.ends += (value,)
        return result

    def call(self, callee: Value, arguments: Arguments, node: Any) -> Value:
        kind = callee.__class__
        if self.frame.tries and not takes(callee, arguments):
            return UNKNOWN  # a handler is there for that
        if kind is Function:
            return self.call_function(callee, arguments, node)  # type: ignore[arg-type]
        if kind is Method:
            assert isinstance(callee, Method)
            if callee.name == "forward":
                self.emit("forward", (node, callee.receiver))
            if callee.function is not None:
                if getattr(callee.receiver, "family", "") == "optimizer" and callee.name != "zero_grad":
                    move = self.library.own_step if callee.name == "step" else self.library.own_move
                    return move(self, callee, arguments, node)
                if callee.name == "zero_grad" and isinstance(callee.receiver, Instance):
                    return self.library.own_zero_grad(self, callee, arguments, node)
                if callee.name == "forward" and self.module_depth == 0 and is_own_forward(callee):
                    return self.library.call_module(self, callee.receiver, arguments, node)  # type: ignore[arg-type]
                return self.call_function(callee.function, arguments.with_first(callee.receiver), node)
            return self.library.call_method(self, callee, arguments, node)
        if kind is Api:
            return self.library.call(self, callee.path, arguments, node)  # type: ignore[attr-defined]
        if kind is Class:
            return instantiate(self, callee, arguments, node)  # type: ignore[arg-type]
        if kind is Instance:
            return self.call_instance(callee, arguments, node)  # type: ignore[arg-type]
        if kind is Partial:
            assert isinstance(callee, Partial)
            merged = Arguments(
                [*callee.args, *arguments.positional],
                {**callee.keywords, **arguments.keywords},
                [*([None] * len(callee.args)), *arguments.nodes],
                arguments.keyword_nodes,
                arguments.open,
            )
            return self.call(callee.callee, merged, node)
        if kind is Union:
            assert isinstance(callee, Union)
            choices = [o for o in callee.options if not isinstance(o, Const)]
            choices = [o for o in choices if takes(o, arguments)] or choices
            choices = meant(self, choices, node) or choices
            if len(choices) == 1:
                return self.call(choices[0], arguments, node)
            return self.call_any(choices, arguments, node)
        if (optimizer := self.library.made_outside(self, "", arguments, node)) is not None:
            return optimizer
        self.library.escape(self, arguments, node)
        return UNKNOWN

    def call_any(self, choices: list[Value], arguments: Arguments, node: Any) -> Value:
        """Call whichever of several callables it is. What belongs to one of them only is said when all agree."""
        results: list[Value] = []
        before, self.choosing = self.choosing, True
        loop = self.nearest_loop()
        if loop is not None and isinstance(getattr(node, "func", None), cst.Subscript):
            loop.exact = False  # which item a turn calls is not known
        if loop is not None:
            loop.first = False
        applied = self.flags.get(APPLIED)
        self.emit("choices", None if before or self.is_walked(node) else self.frame.function)

        def run(option: Value) -> bool:
            self.emit("choice", option if isinstance(option, Instance) else None)
            results.append(self.call(option, arguments, node))
            return True

        try:
            given = (*arguments.positional, *arguments.keywords.values())
            handed = any(isinstance(o, Instance) and o.family == "optimizer" for arg in given for o in options(arg))
            if all(isinstance(c, (Method, Instance)) for c in choices) and not handed:
                # Each changes its own object only: the one that is meant is changed for sure. An optimizer that is
                # handed over is changed by one of them.
                for choice in choices:
                    run(choice)
            else:
                self.branches([(lambda c=c: run(c)) for c in choices])  # type: ignore[misc]
        finally:
            self.choosing = before
            self.chosen += 1
            self.emit("chosen", None)
        if applied is not None:
            self.write(self.flags, APPLIED, applied)  # none of them surely
        # An object of unknown class beside models is one of them that was restored, or comes from elsewhere.
        models = all(isinstance(c, Instance) and (c.family == "module" or c.cls is None) for c in choices)
        picked = models and len(choices) > 1 and not (self.module_depth and self.is_walked(node))
        if not picked:
            return join_all(results)
        joined = join_choices(results)
        self.modules.pick(joined, results)
        return joined

    def is_walked(self, node: Any) -> bool:
        """Whether what is called is an item of a list at hand: each comes in its turn, as the layers of a model do."""
        loop, callee = self.nearest_loop(), getattr(node, "func", None)
        target = getattr(loop.node, "target", None) if loop is not None else None
        names = (e.value for e in target.elements) if isinstance(target, cst.Tuple) else (target,)
        return isinstance(callee, cst.Name) and any(isinstance(n, cst.Name) and n.value == callee.value for n in names)

    def call_instance(self, instance: Instance, arguments: Arguments, node: Any) -> Value:
        if instance.family == "module":
            return self.library.call_module(self, instance, arguments, node)
        if isinstance(instance.cls, Class):
            special = instance.cls.find("__call__")
            if isinstance(special, Function):
                if instance.family == "flax":
                    return self.library.call_layer(self, instance, arguments, node)
                self.note_transform(instance)
                return self.call_function(special, arguments.with_first(instance), node)
            forward = instance.cls.find("forward") if "?" in instance.cls.api else None
            if isinstance(forward, Function):  # most likely a module, of a base out of view: for what it does
                self.call_function(forward, arguments.with_first(instance), node)
        return self.library.call_instance(self, instance, arguments, node)

    def note_transform(self, transform: Instance) -> None:
        """An object is called that may change a sample which is being read."""
        applied = self.read(self.flags, APPLIED)
        if applied is not MISSING and transform not in applied:
            self.write(self.flags, APPLIED, (*applied, transform))

    def bind_arguments(self, function: Function, arguments: Arguments) -> dict[str, Any]:
        """The local variables that a call starts with."""
        params = function.node.params
        env: dict[str, Any] = {}
        names = [p.name.value for p in (*params.posonly_params, *params.params)]
        positional = arguments.positional
        env.update(zip(names, positional))
        star: Any = params.star_arg
        if star.__class__ is cst.Param:
            extra = positional[len(names) :]
            env[star.name.value] = Sequence(join_all(extra)) if arguments.open else Tuple(tuple(extra))
        only = [p.name.value for p in params.kwonly_params]
        rest = DictObject()
        for name, value in arguments.keywords.items():
            if name in names or name in only:
                env[name] = value
            else:
                rest.attrs[name] = value
        if arguments.open:
            rest.attrs[DictObject.REST] = UNKNOWN
        if params.star_kwarg is not None:
            env[params.star_kwarg.name.value] = rest
        for name in (*names, *only):
            if name not in env:
                default = function.defaults.get(name)
                if default is None:
                    env[name] = UNKNOWN if arguments.open or default is None else default
                else:
                    env[name] = join(default, UNKNOWN) if arguments.open else default
        return env

    def call_function(self, function: Function, arguments: Arguments, node: Any) -> Value:
        if function.guards:
            return self.library.call_decorated(self, function, arguments, node)
        return self.run(function, self.bind_arguments(function, arguments), node)

    def run(self, function: Function, env: dict[str, Any], node: Any) -> Value:
        """The result of calling `function` with these locals, from memory where nothing it read has changed."""
        ident = id(function.node)
        key = (tuple([v.key for v in env.values()]), tuple(map(id, function.closure)), self.module_depth > 0)
        known: dict[Any, Any] = self.memos.setdefault(ident, {})
        memos = known.get(key)
        spent = self.spent.setdefault(ident, [0, 0])
        if memos is None and spent[0] > CHEAP and self.forget_shapes(known, env, key):
            key = (tuple(v.key for v in env.values()), *key[1:])
            memos = known.get(key)
        if memos is not None:
            memo: Memo
            for memo in memos:
                if all(where.get(name, MISSING) is value for where, name, value in memo.reads):
                    self.journal.apply(memo.delta)
                    if self.depth:
                        self.reads.extend(memo.reads)
                    if self.region is not None:
                        self.region.events.extend(memo.events)
                    return self.handed_back(memo.value)
        frames = self.stack.count(ident)
        runs = self.runs.get(ident, 0) + 1
        self.runs[ident] = runs
        first = runs == 1 and self.depth < self.near
        costly = spent[0] > self.patience[0] and spent[1] >= self.patience[1] and not first
        cheap = self.module_depth > 0 and spent[0] <= MAX_CHEAP_STEPS
        often = runs > (MAX_CHEAP_RUNS if cheap else MAX_RUNS)
        if self.depth >= MAX_DEPTH or frames >= 2 or often or costly or self.steps > self.enough:
            # What trains in a function that calls itself is seen in the activation that runs already.
            return self.library.give_up(self, Arguments(list(env.values())), node, trains=frames < 2)
        objects = Object.count
        start, mark = len(self.reads), self.journal.mark()
        region = Region("call", node, function.space, self.region, function)
        region.given = tuple(env.values())
        self.region = region
        begun, before, passed_back = self.steps, self.aside, self.passed_back
        try:
            value = self.run_function(function, env, node, None)
        finally:
            self.region = region.parent
            spent[0] += self.steps - begun - (self.aside - before)
            spent[1] += 1
        if region.parent is not None:
            region.parent.events.extend(region.events)
        self.emit(region.kind, region)
        if self.flags.get(WEIGHTS):
            self.emit("returned", (node, function, value))
        if self.passed_back == passed_back:
            self.remember(ident, key, function, value, start, mark, region.events, objects, env)
        if not self.depth:
            self.reads.clear()
        return self.handed_back(value)

    def handed_back(self, value: Value) -> Value:
        """What a function gives back: what it has measured of a batch, its caller measures here and now."""
        if value.__class__ is Tuple:
            items = tuple(map(self.handed_back, value.items))
            changed = any(new is not old for new, old in zip(items, value.items))
            return Tuple(items, value.names) if changed else value
        tally = value.tally
        if tally is None or tally.loops or tally.frame is self.frame or tally.what not in ("mean", "sum", "some"):
            return value
        return arithmetic.tallied(value, self.measure(tally.what))

    def forget_shapes(self, known: dict[Any, Any], env: dict[str, Any], key: Any) -> bool:
        """Whether the shapes of the arguments were dropped, as the function has been run with many others already."""
        tensors = [
            (k, v) for k, v in env.items() if v.__class__ is Tensor and (v.shape is not None or v.last is not None)
        ]
        if not tensors:
            return False
        bare = {k: v.but(shape=None) for k, v in tensors}
        count = ("shapes", tuple(bare.get(k, v).key for k, v in env.items()), *key[1:])
        times = known[count] = known.get(count, 0) + 1
        if times <= MAX_SHAPES:
            return False
        env.update(bare)
        return True

    def remember(
        self, ident: int, key: Any, function: Function, value: Value, start: int, mark: int, events: list[Any],
        objects: int, env: dict[str, Any],
    ) -> None:  # fmt: skip
        """Keep what a call came to, unless it gave an object of its own out of its hands. Before it, there were so many
        objects."""
        reads, pure = self.reads[start:], Object.count == objects
        if len(reads) > 1500 or not (pure or is_older(value, objects)):
            return
        delta = self.journal.delta(mark)
        delta = {k: entry for k, entry in delta.items() if entry[0] is not env}
        if len(delta) > 64 or not (pure or all(is_older(entry[2], objects) for entry in delta.values())):
            return
        before: dict[tuple[int, Any], Any] = {}
        for where, name, old in self.journal.log[mark:]:
            before.setdefault((id(where), name), old)
        needed: dict[tuple[int, Any], tuple[dict[Any, Any], Any, Any]] = {}
        for where, name, seen in reads:
            entry_key = (id(where), name)
            if entry_key in needed or (entry_key in before and before[entry_key] is not seen):
                continue
            needed[entry_key] = (where, name, seen)
        memos = self.memos[ident].setdefault(key, [])
        if len(memos) < 6:
            memos.append(Memo(value, list(needed.values()), delta, events))
            self.keep.append(env)

    def is_tried_out(self, function: Function, env: dict[str, Any]) -> bool:
        """Whether a script's own lines try a loss or the like on random numbers, which is no use that tells of what it
        is given."""
        if function.name != "forward" or self.frame.function is not None:
            return False
        drawn = any(isinstance(value, Tensor) and value.nature == "random numbers" for value in env.values())
        module = env.get(function.node.params.params[0].name.value) if drawn and function.node.params.params else None
        return isinstance(module, Instance) and module.family == "module" and not holds_weights(module)

    def run_function(
        self, function: Function, env: dict[str, Any], node: Any, on_yield: Callable[[Value], None] | None
    ) -> Value:
        """Interpret a function's body in a frame of its own."""
        self.load(function.space)
        ident = id(function.node)
        if not self.is_tried_out(function, env):
            self.tried.discard(ident)
        elif ident not in self.visited:
            self.tried.add(ident)
        self.visited.add(ident)
        frame = Frame(env, function.closure, function.space, function, self.journal.mark())
        frame.on_yield, frame.caller, frame.call = on_yield, self.frame, node
        outer, self.frame = self.frame, frame
        choosing = self.choosing
        self.depth += 1
        self.stack.append(id(function.node))
        try:
            body = function.node.body
            if function.node.__class__ is cst.Lambda:
                return self.eval(body)
            alive = self.suite(body)
            value = self.close(frame, alive)
        finally:
            self.frame = outer
            self.choosing = choosing
            self.depth -= 1
            self.stack.pop()
        if frame.yields and on_yield is None:
            values, sources = zip(*frame.yields)
            source = sources[0] if all(other is sources[0] for other in sources) else None
            return Sequence(join_all(values), source)
        return value

    def close(self, frame: Frame, alive: bool) -> Value:
        """Join the states of all ways out of a function, and the values they return."""
        returns = frame.returns
        if alive:
            returns.append((NONE, None))
        if not returns:
            return UNKNOWN  # every way out raises
        if frame.function is not None and frame.function.name == "__getitem__":  # a sample that is None is left out
            returns = [found for found in returns if found[0] is not NONE] or returns
        if len(returns) == 1:
            only = returns[0][1]
            if only is not None:
                self.journal.undo(frame.mark)
                self.journal.apply(only)
        else:
            deltas = [self.journal.delta(frame.mark) if delta is None else delta for _, delta in returns]
            self.journal.undo(frame.mark)
            self.journal.merge(deltas)
        return join_all(value for value, _ in returns)


def serve_alike(*sources: Value) -> bool:
    """Whether several loaders serve the same data in the same way."""
    told: set[object] = set()
    for loader in (option for source in sources for option in options(source)):
        if not isinstance(loader, Instance) or loader.family != "loader" or "dataset" not in loader.attrs:
            return False
        told.add(tuple(loader.attrs.get(name, NONE).key for name in ("dataset", "shuffle", "sampler", "batch_size")))
    return len(told) == 1


def literal_value(node: Any) -> Any:
    """The constant that a literal stands for; the plain ones without Python's own parser, which takes long."""
    text = node.value
    if node.__class__ is cst.Integer:
        return int(text, 0)
    if node.__class__ is cst.Float:
        return float(text)
    if node.__class__ is cst.SimpleString and text[0] in "'\"" and "\\" not in text:
        marks = 3 if text[:3] == text[0] * 3 else 1
        return text[marks:-marks]
    return node.evaluated_value


def may_have(value: Value, name: str) -> bool:
    """Whether a value can have an attribute: of those it may be, the program means one that has."""
    if isinstance(value, (Tuple, ListObject)):
        return name in NAMES_OF_SEQUENCES or (isinstance(value, Tuple) and name in value.names)
    if isinstance(value, Namespace):
        return name in value.attrs or STARS in value.attrs or value.package
    return not (isinstance(value, Const) and value.value is None)


def lacks(value: Value, name: str) -> bool:
    """Whether a model, all of which is in view, has no attribute that another has made its own."""
    return (
        isinstance(value, Instance)
        and isinstance(value.cls, Class)
        and set(value.cls.api) == {"torch.nn.Module"}
        and name not in value.attrs
        and value.cls.find(name) is None
        and value.cls.find("__getattr__") is None
    )


def taken_of_names(function: Any) -> dict[str, set[str]]:
    """By name, the attributes that a function takes of it whatever happens; of a name that it binds itself, none."""
    found: dict[str, set[str]] = {}
    bound: set[str] = set()
    waiting = [function.body] if function.__class__ is cst.FunctionDef else []
    for block in waiting:
        for line in block.body:
            if line.__class__ is cst.With or line.__class__ is cst.For:
                waiting.append(line.body)
            elif line.__class__ is not cst.SimpleStatementLine:
                break  # what comes behind a condition may be for the others
            nodes: list[Any] = [n for part in getattr(line, "items", (line,)) for n in nodes_in(part)]
            if any(node.__class__ in (cst.BooleanOperation, cst.IfExp, cst.Lambda) for node in nodes):
                continue
            for node in nodes:
                if node.__class__ is cst.Attribute and node.value.__class__ is cst.Name:
                    found.setdefault(node.value.value, set()).add(node.attr.value)
                elif node.__class__ is cst.AssignTarget or node.__class__ is cst.AnnAssign:
                    bound.update(names_in(node.target))
    return {name: attributes for name, attributes in found.items() if name not in bound}


def outwards(region: Region | None) -> Iterator[Region]:
    """A region and those around it."""
    while region is not None:
        yield region
        region = region.parent


def nested(events: list[Any]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The events of a region, each with the inner regions that it happened in: "enter" events, outermost first."""
    inside: tuple[Any, ...] = ()
    for event in events:
        if event.kind == "enter":
            inside = (*inside, event)
        elif event.kind == "leave":
            inside = inside[:-1]
        else:
            yield event, inside


def as_items(value: Value) -> tuple[Value, ...]:
    """What a loop binds at once: the items of a tuple, as `enumerate` and `zip` give it, or the value itself."""
    return value.items if isinstance(value, Tuple) else (value,)


def is_union_of_lists(value: Value) -> TypeGuard[Union]:
    return isinstance(value, Union) and all(isinstance(option, (ListObject, Tuple)) for option in value.options)


def is_quick(body: cst.BaseSuite) -> bool:
    """Whether nothing in a loop's body takes long by itself."""
    return not any(isinstance(part, (cst.For, cst.While, cst.With)) for part in nodes_in(body))


def is_setting(value: Value) -> bool:
    """Whether a value is written down, as numbers and names are, or made of nothing else."""
    if isinstance(value, Tuple):
        return all(map(is_setting, value.items))
    return isinstance(value, (Const, Text))


def is_named_setting(item: Value) -> bool:
    """Whether an item is a pair of a name and a setting, which may come from out of view."""
    pair = item.items if isinstance(item, Tuple) else ()
    if len(pair) != 2 or not isinstance(pair[0], Const) or not isinstance(pair[0].value, str):
        return False
    return all(is_setting(o) or is_opaque(o) or getattr(o, "api_path", "") == "torch.device" for o in options(pair[1]))


def keys_of(values: tuple[Value, ...]) -> list[Any]:
    return [value.key for value in values]


def is_sum_of(value: Any, target: Any) -> bool:
    """Whether something is added to what a target holds, on either side."""
    is_sum = value.__class__ is cst.BinaryOperation and value.operator.__class__ is cst.Add
    return is_sum and (is_held_in(value.left, target) or is_held_in(value.right, target))


def marked(value: Value, node: Any) -> Value:
    """A value as if a place had gathered it before."""
    tensor = next((option for option in options(value) if isinstance(option, Tensor)), None)
    return value if tensor is None else tensor.but(grown=tensor.grown | {node})


def is_scaled(node: Any, target: Any) -> bool:
    """Whether an expression is a multiple of what a target holds."""
    is_product = node.__class__ is cst.BinaryOperation and node.operator.__class__ is cst.Multiply
    return is_product and (is_held_in(node.left, target) or is_held_in(node.right, target))


def period_of(node: cst.If) -> Any:
    """The `n` of a branch that is taken on every nth turn, by `i % n == 0` or by a counter that begins anew there; None
    for any other branch."""
    remainder = remainder_of(node.test)
    if remainder is not None:
        return remainder.right
    test = node.test
    if test.__class__ is not cst.Comparison or test.left.__class__ is not cst.Name:
        return None
    if test.comparisons[0].operator.__class__ not in (cst.Equal, cst.GreaterThanEqual):
        return None
    for line in node.body.body:
        for part in line.body if line.__class__ is cst.SimpleStatementLine else ():
            if part.__class__ is cst.Assign and part.value.__class__ is cst.Integer and part.value.value == "0":
                if part.targets[0].target.deep_equals(test.left):
                    return test.comparisons[0].comparator
    return None


def seldom(test: Any, held: Value) -> Value:
    """What a condition gives that is not known, as one that holds on every nth turn where it is written so."""
    remainder = remainder_of(test) if is_bool(held) else None
    return held if remainder is None else Every(remainder.right)


def remainder_of(test: Any, holds: bool = True) -> Any:
    """The `i % n` of a condition that holds on every nth turn, or else on all but these; None for any other one."""
    kind = test.__class__
    if kind is cst.BooleanOperation:
        found = remainder_of(test.left, holds)
        return found if found is not None else remainder_of(test.right, holds)
    if kind is cst.Comparison:
        operator = cst.Equal if holds else cst.NotEqual
        if len(test.comparisons) != 1 or test.comparisons[0].operator.__class__ is not operator:
            return None
        test = test.left
    elif kind is cst.UnaryOperation and test.operator.__class__ is cst.Not and holds:
        test = test.expression
    elif holds:
        return None
    return test if test.__class__ is cst.BinaryOperation and test.operator.__class__ is cst.Modulo else None


def left_over_turns(node: cst.If) -> Any:
    """The `n` of `if i % n != 0: continue`, behind which every nth turn goes on; None for any other branch."""
    ends = node.body.body[-1] if node.orelse is None and node.body.body else None
    if ends.__class__ is cst.SimpleStatementLine:
        ends = ends.body[-1]
    remainder = remainder_of(node.test, False) if ends.__class__ is cst.Continue else None
    return None if remainder is None else remainder.right


def reduced_comparison(call: cst.Call, reduction: str) -> cst.Comparison | None:
    """The comparison within `(x < y).any()` or `torch.any(x < y)`, for the reduction asked for."""
    if called(call) != reduction:
        return None
    inner = call.args[0].value if call.args else getattr(call.func, "value", None)
    return inner if isinstance(inner, cst.Comparison) and len(inner.comparisons) == 1 else None


def objects_in(deltas: list[Delta], holds: bool) -> Iterator[tuple[dict[Any, Any], Any, Any, Any]]:
    """The names and attributes that hold an object after one of two branches, and something else after the other; and
    the states of optimizers that are not the same after both."""
    for key, (where, name, _) in (deltas[0] | deltas[1]).items():
        present = where.get(name, MISSING)
        first, second = (delta[key][2] if key in delta else present for delta in (deltas if holds else deltas[::-1]))
        if isinstance(first, Value) and isinstance(second, Value) and first is not second:
            if isinstance(first, (Instance, Union)) or isinstance(second, (Instance, Union)):
                yield where, name, first, second
        elif name in STATES and isinstance(first, frozenset) and isinstance(second, frozenset) and first != second:
            yield where, name, first, second


def chooses(test: Any) -> bool:
    """Whether a condition picks between alternatives by name or type, as configurations do."""
    if test.__class__ is cst.Comparison:
        ends = (test.left, *(c.comparator for c in test.comparisons))
        return (
            any(e.__class__ in (cst.SimpleString, cst.Attribute, cst.Tuple, cst.List) for e in ends[1:])
            or test.left.__class__ is cst.SimpleString
        )
    if test.__class__ is cst.BooleanOperation:
        return chooses(test.left) or chooses(test.right)
    return test.__class__ is cst.Call and test.func.__class__ is cst.Name and test.func.value == "isinstance"


def is_of_one_line(condition: Any) -> bool:
    """Whether all that an `if` does is one line."""
    body = condition.body.body
    return condition.orelse is None and len(body) == 1 and body[0].__class__ is cst.SimpleStatementLine


def is_held_in(node: Any, target: Any) -> bool:
    """Whether an expression reads what a target holds: written the same, or as `entries.get(key, 0)`."""
    if node.__class__ is target.__class__:
        return bool(node.value == target.value if node.__class__ is cst.Name else node.deep_equals(target))
    if target.__class__ is not cst.Subscript or node.__class__ is not cst.Call or called(node) != "get":
        return False
    key = target.slice[0].slice if len(target.slice) == 1 else None
    return (
        isinstance(key, cst.Index)
        and len(node.args) == 2
        and node.args[0].value.deep_equals(key.value)
        and node.func.__class__ is cst.Attribute
        and node.func.value.deep_equals(target.value)
    )


def is_argument(value: Tensor, frame: Frame) -> bool:
    """Whether a tensor came into a function as one of its arguments, but for what it was multiplied with there."""
    params = nodes_in(frame.function.node.params) if frame.function is not None else ()
    given = (frame.env.get(param.name.value) for param in params if isinstance(param, cst.Param))
    held = (inner for arg in given if isinstance(arg, Value) for inner in (arg, *contents(arg)))
    return any(
        isinstance(inner, Tensor) and inner.shape == value.shape and not inner.deps.isdisjoint(value.deps)
        for inner in held
    )


def is_reset(loop: Any, target: Any, adding: Any) -> bool:
    """Whether a loop also assigns something else to a running total than what it adds up, other than on every nth turn,
    until which it adds up all the same; where those are the turns that step, it adds up over one step."""
    if isinstance(loop, cst.CompFor):
        return False
    own = getattr(adding, "targets", ())
    seldom = (node.body for node in nodes_in(loop.body) if isinstance(node, cst.If) and period_of(node) is not None)
    passed = {node for body in seldom if "step" not in map(called, nodes_in(body)) for node in nodes_in(body)}
    assigned = (node for node in nodes_in(loop.body) if isinstance(node, cst.AssignTarget))
    others = (node for node in assigned if node not in own and node not in passed)
    return any(part.deep_equals(target) for other in others for part in nodes_in(other.target))


def loop_use(region: Region) -> str:
    """What a loop over a loader does: "trained", "evaluated", "gathered", or "walked" when none of these is sure; ""
    for any other loop."""
    if region.kind != "loop" or not isinstance(region.value, (Instance, Union)):
        return ""
    if not all(
        isinstance(option, Instance) and option.family == "loader" for option in options(not_none(region.value))
    ):
        return ""
    if region.has("backward"):
        return "trained" if region.has("step") else "walked"
    if not region.has("model") or region.has("step", "autograd"):
        return "walked"
    judged = (
        region.has("compare", "loss")
        or any(isinstance(e.value, Tensor) and e.value.deps for e in region.of("item"))
        or any(e.what in FEEDS for e in region.of("meter"))
        or any(isinstance(e.value, Tensor) and e.value.nature == OWN_LOSS for e in region.of("collect"))
    )
    use = "evaluated" if judged else "gathered" if region.has("collect") else "walked"
    return "walked" if any(may_learn(event.values) for event in region.of("escape")) else use


def drawn_from(region: Region) -> list[Any]:
    """The loaders from whose batches, taken one by one with `next`, a loop trains a model."""
    if region.kind != "loop" or not region.has("next") or not (region.has("backward") and region.has("step")):
        return []
    learnt = {dep.node for event in region.of("backward") for dep in event.loss.deps if dep.live}
    known = {id(event.loader) for event in region.of("trained")}
    calls = [e for e in region.of("model") if e.node in learnt and e.grad is not False]  # one place may do both
    return [loader for loader in drawn_for(region, calls) if id(loader) not in known]


def drawn_to_judge(region: Region) -> list[Any]:
    """The loaders with whose batches, taken one by one with `next`, a loop or a block without gradients judges a model
    that does not learn in it."""
    if region.kind not in ("loop", "no_grad") or not region.has("next"):
        return []
    if region.has("backward", "step", "autograd", "evaluated"):
        return []
    if any(may_learn(event.values) for event in region.of("escape")):
        return []
    told = [e.value for e in (*region.of("compare"), *region.of("item")) if isinstance(e.value, Tensor)]
    judged = {dep.node for value in told for dep in value.deps}
    return drawn_for(region, [e for e in region.of("model") if e.node in judged])


def drawn_for(region: Region, calls: list[Any]) -> list[Any]:
    """The loaders from which batches come, taken with `next`, that a model is called on in some calls."""
    tokens = {token for call in calls for given in call.inputs for token in given.data.tokens}
    return list({id(e.loader): e.loader for e in region.of("next") if e.draw in tokens and not e.token}.values())


def may_learn(values: tuple[Value, ...]) -> bool:
    """Whether values that reach code out of view could be trained on there."""
    return any(
        (isinstance(v, Tensor) and v.graph is not False and v.deps)
        or (
            isinstance(v, Instance)
            and (v.family in ("module", "optimizer") or "training" in v.attrs or "$state" in v.attrs)
        )
        for v in values
    )


def takes_failures(handler: Any) -> bool:
    """Whether a handler takes what fails in computing: not who asks to stop, nor what is not installed."""
    names = set(names_in(handler.type)) if handler.type is not None else {""}
    return bool(names - {"KeyboardInterrupt", "SystemExit", "ImportError", "ModuleNotFoundError", "StopIteration"})


def gives_up(handler: Any) -> bool:
    """Whether a handler just says that something could not be had, and puts None in its place: `data = None`."""
    lines: list[Any] = []
    for line in handler.body.body:
        lines += line.body if isinstance(line, cst.SimpleStatementLine) else [line]
    nothing = [
        part
        for part in lines
        if isinstance(part, cst.Assign) and isinstance(part.value, cst.Name) and part.value.value == "None"
    ]
    calls = [part for part in lines if isinstance(part, cst.Expr) and isinstance(part.value, cst.Call)]
    return bool(nothing) and len(nothing) + len(calls) == len(lines)


def takes(callee: Value, arguments: Arguments) -> bool:
    """Whether a call with these arguments may be meant for a callable: not for code at hand that has too few
    parameters, or is given too little."""
    function, bound = code_of(callee)
    if function is None or function.guards or getattr(function.node, "decorators", ()):
        return True
    params = function.node.params
    in_order = [*params.posonly_params, *params.params][bound:]
    left = in_order[len(arguments.positional) :]
    spare = len(arguments.positional) - len(in_order)
    if spare > 0 and not isinstance(params.star_arg, cst.Param):
        return False
    known = {p.name.value for p in (*left, *params.kwonly_params)}
    if params.star_kwarg is None and not known.issuperset(arguments.keywords):
        return False
    needed = {p.name.value for p in (*left, *params.kwonly_params) if p.default is None}
    return arguments.open or needed.issubset(arguments.keywords)


def code_of(callee: Value) -> tuple[Function | None, int]:
    """The project's own code that runs where a value is called, and how many of its parameters are filled by then."""
    if isinstance(callee, Function):
        return callee, 0
    if isinstance(callee, Method):
        return callee.function, 1
    if isinstance(callee, Class):
        made = callee.find("__init__")
        return (made, 1) if isinstance(made, Function) else (None, 0)
    if not isinstance(callee, Instance) or not isinstance(callee.cls, Class):
        return None, 0
    found = callee.cls.find("forward" if callee.family == "module" else "__call__")
    return (found, 1) if isinstance(found, Function) else (None, 0)


def is_own_forward(method: Method) -> bool:
    """Whether a method is what a call of its module runs: `model.forward(x)`, unlike `super().forward(x)`."""
    module = method.receiver
    if module.__class__ is not Instance or module.family != "module" or module.cls.__class__ is not Class:
        return False
    return module.cls.find("forward") is method.function


def type_test(test: cst.Comparison) -> str:
    """The operator of `type(x) is list` and the like; "" for anything else."""
    if called(test.left) != "type" or len(test.comparisons) != 1 or len(getattr(test.left, "args", ())) != 1:
        return ""
    operator = test.comparisons[0].operator.__class__.__name__
    return operator if operator in ("Equal", "NotEqual", "Is", "IsNot", "In", "NotIn") else ""


def is_kind_test(test: Any) -> bool:
    """Whether a test is `isinstance(x, kind)`."""
    return test.__class__ is cst.Call and is_name(test.func, "isinstance") and len(test.args) == 2


def kind_tests(test: Any) -> list[Any]:
    """The tests of `isinstance(x, a) or isinstance(x, b)`, by which a name is of one of some kinds; none of others."""
    if test.__class__ is cst.BooleanOperation and test.operator.__class__ is cst.Or:
        left, right = kind_tests(test.left), kind_tests(test.right)
        place = left[0].args[0].value if left and right else None
        return left + right if place.__class__ is cst.Name and is_name(right[0].args[0].value, place.value) else []
    return [test] if is_kind_test(test) else []


def is_opaque_child(value: Any) -> bool:
    """Whether a value is an object nothing is known of: having looked at it changes nothing."""
    return value.__class__ is Instance and value.cls is None and not value.family and value.attrs.keys() <= OPAQUE_MARKS


def is_older(value: Any, count: int) -> bool:
    """Whether a value carries no object that was made after the first `count`."""
    if isinstance(value, Tuple):
        return all(is_older(item, count) for item in value.items)
    if isinstance(value, Union):
        return all(is_older(option, count) for option in value.options)
    if isinstance(value, Object):
        return value.number <= count
    if isinstance(value, Function):
        return not value.closure
    return not isinstance(value, (Method, Partial, Sequence, Super))


def setter_of(member: Value | None) -> Function | None:
    """The function that an assignment to a member of a class calls, where that is a property with one."""
    setter = member.attrs.get("$setter") if isinstance(member, Instance) and member.family == "property" else None
    return setter if isinstance(setter, Function) else None


def dotted_name(node: Any) -> str:
    """`a.b.c` of a name or attribute chain; "" for anything else."""
    parts: list[str] = []
    while node.__class__ is cst.Attribute:
        parts.append(node.attr.value)
        node = node.value
    if node.__class__ is not cst.Name:
        return ""
    parts.append(node.value)
    return ".".join(reversed(parts))


def mapped_as_is(node: cst.DictComp) -> Any:
    """The `d` of `{k: v for k, v in d.items()}`, if it can be looked at twice; also where the values are detached."""
    clause = node.for_in
    walked: Any = clause.iter
    value: Any = node.value
    if clause.ifs or clause.inner_for_in is not None or not is_plain_call(walked, "items"):
        return None
    if is_plain_call(value, "detach") and isinstance(value.func, cst.Attribute):
        value = value.func.value
    elif isinstance(value, cst.Attribute) and value.attr.value == "data":
        value = value.value
    names = list(target_names(clause.target))
    if len(names) != 2 or not isinstance(value, cst.Name) or value.value != names[1]:
        return None
    owner: Any = walked.func.value if isinstance(walked.func, cst.Attribute) else None
    is_asked = is_plain_call(owner, "state_dict") and not owner.args
    return owner if is_asked or isinstance(owner, (cst.Name, cst.Attribute)) else None


def target_names(target: Any) -> Iterator[str]:
    if target.__class__ is cst.Name:
        yield target.value
    elif target.__class__ in (cst.Tuple, cst.List):
        for element in target.elements:
            yield from target_names(element.value)
