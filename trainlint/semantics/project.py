"""A whole project under check: files and imports, which programs run, and what they are run with.

Every file is run as a program (its top level, then its `__main__` block); functions and classes that no program
reaches are then run by themselves with parameters of unknown value, as the frameworks that call them would.
"""

from __future__ import annotations

import gc
import math
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from time import monotonic, thread_time
from typing import Any, NamedTuple

import libcst as cst

from trainlint.api import Draft, Report, Rule
from trainlint.findings import Finding, Related, Severity, Span
from trainlint.imports import PACKAGE, Disk, Finder, common_folder
from trainlint.semantics.behaviours.engines import lightning
from trainlint.semantics.behaviours.layers import calls_in, set_mode
from trainlint.semantics.behaviours.settings import candidate
from trainlint.semantics.behaviours.training import OPTIMIZERS, optimizers
from trainlint.semantics.classes import instantiate
from trainlint.semantics.interpreter import (
    HOOKS,
    PATIENCE,
    Arguments,
    Frame,
    Interpreter,
    OutOfBudget,
    OutOfTime,
    Region,
    dotted_name,
)
from trainlint.semantics.library import Call, Library, modules_in
from trainlint.semantics.modules import carried, holds_weights, project_bases
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.sizes import of_setting
from trainlint.semantics.uses import uses
from trainlint.semantics.values import (
    BOOL,
    NONE,
    TRUE,
    UNKNOWN,
    Api,
    Class,
    Const,
    Function,
    Instance,
    Number,
    Object,
    Tensor,
    Text,
    Tuple,
    Value,
    join,
    unknown_number,
)
from trainlint.syntax import Parsed, SourceFile, Unreadable, lean_nodes, nodes_in, path_to, with_room
from trainlint.syntax.code import called, is_name

Progress = Callable[[int, int], None]

# The events that tell of alternatives: their beginning, each, and their end.
CHOICE = frozenset(("choices", "choice", "chosen"))
# Turns all that is in no name into spaces; what is not ASCII may be in one.
SPACED = bytes(c if c > 127 or chr(c).isalnum() or chr(c) == "_" else 32 for c in range(256))
NOTHING: frozenset[str] = frozenset()
LEARNING = ("backward", "zero_grad")
MODEL = re.compile(r"(\w+_)?(model|net|network)")  # what models are called where only torch computes
PROGRAM_EFFORT = 60_000  # steps that any program may take, and
LINE_EFFORT = 200  # steps more for each line of its file, before calls are no longer followed
NEAR = 3  # calls so near to its own lines are followed once by each program: scripts share what trains
ALONE_EFFORT = 600  # the same for a function run by itself, and for
REST_PATIENCE = (
    2_000,
    10,
)  # steps spent in one function, and runs, where nothing tells of its arguments and nothing is trained
MAIN_EFFORT = 20_000  # one that trains, or that a program begins with: it has no parameters, or gets them from outside
READY_EFFORT = 3_000  # one whose parameters all have defaults: most such build a model of one of its known sizes

LITTER = 3_000_000  # objects from which on it pays to look for those that earlier checks left behind: 200 MB
# Of the processor, for all programs of one file, imports included: only what is made to be hard takes a tenth of it.
MAX_SECONDS = 60.0
TOO_LONG = "the analysis takes too long and is cut short here; what was found so far stands"

# Where the code of an alternative stands, or the model that it calls, where one of these is known.
Alternative = tuple[Namespace, Any] | Instance | None


class Choice:
    """Alternatives of which a program takes one: the calls that it is made in, whether it is the first choice of the
    program, the function that calls one of them whatever else is chosen, where the code of each alternative stands if
    it is a branch, or the model that it calls, and what was found before the first and in each, with the calls that it
    was found in. `starts` are the numbers of events of the region before each."""

    def __init__(self, calls: list[Any], is_first: bool, caller: Function | None) -> None:
        self.calls = list(calls)
        self.is_first = is_first
        self.caller = caller
        self.code: list[Alternative] = [None]
        self.drafts: list[list[tuple[Draft, list[Any]]]] = [[]]
        self.starts: list[int] = []

    def begin(self, code: Alternative, events: list[Any]) -> None:
        """Go on to the next alternative."""
        self.code.append(code)
        self.drafts.append([])
        self.starts.append(len(events))

    def is_everywhere(self, events: list[Any]) -> bool:
        """Whether each alternative has a finding. Where those that have one also train, one that judges no losses, such
        as a test of what was trained, is no other purpose that what is found could serve."""
        alternatives = self.drafts[1:]
        if all(alternatives) or not any(alternatives):
            return True
        stretches = (events[start:end] for start, end in pairwise((*self.starts, len(events))))
        uses = [(bool(drafts), use_of_losses(stretch)) for drafts, stretch in zip(alternatives, stretches, strict=True)]
        return all(use == ("trained" if found else "") for found, use in uses)

    def stands(self, draft: Draft, entered: list[Any], code: Alternative) -> bool:
        """Whether a finding of one alternative holds whatever the others do: all that explains it is there, or in what
        always comes before it, or nothing was chosen before that the alternative could go together with."""
        if self.caller is not None and draft.related:
            places = [(draft.space, draft.node), *((s.space, s.node) for s in draft.related)]
            if all(is_always(self.caller, *place) for place in places):
                return True
        if self.is_first and isinstance(code, tuple) and code[0] is draft.space and path_to(code[1], draft.node):
            return True
        return self.explains(draft, entered, code)

    def explains(self, draft: Draft, entered: list[Any], code: Alternative) -> bool:
        """Whether a finding and all the places that explain it are in the branch of an alternative, in the classes of
        its model, or in functions, or their classes, that it entered: then it stands, whatever else could be chosen."""
        places = [(draft.space, draft.node), *((s.space, s.node) for s in draft.related)]
        own = [code] if isinstance(code, tuple) else classes_of(code) if code is not None else []

        def scopes(space: Namespace) -> Iterator[Any]:
            yield from (node for where, node in own if where is space)
            yield from self.scopes(space, entered)

        return draft.explained and all(any(path_to(scope, node) for scope in scopes(space)) for space, node in places)

    def scopes(self, space: Namespace, entered: list[Any]) -> Iterator[Any]:
        for function in space.functions:
            if isinstance(function, Function) and id(function.node) in entered:
                owner = function.owner
                members = () if owner is None else owner.attrs.values()
                # Methods of one class may be the alternatives among which another of its methods chooses.
                shared = any(isinstance(m, Function) and id(m.node) in self.calls for m in members)
                if id(function.node) not in self.calls:
                    yield function.node if owner is None or shared else owner.node


def is_always(function: Function, space: Namespace, node: Any) -> bool:
    """Whether a function itself runs a node whatever is chosen in it."""
    path = path_to(function.node.body, node) if space is function.space else []
    return bool(path) and not any(isinstance(step, (cst.If, cst.IfExp, cst.BooleanOperation)) for step in path)


def classes_of(model: Instance) -> list[tuple[Namespace, Any]]:
    """Where the classes of the project are that a model and its parts are made of."""
    classes = [module.cls for module in modules_in(model) if isinstance(module.cls, Class)]
    return [(cls.space, cls.node) for one in classes for cls in (one, *project_bases(one))]


def use_of_losses(events: list[Any]) -> str:
    """What becomes of losses in a stretch of the run: "trained" on, perhaps "judged", or nothing."""
    kinds = {event.kind for event in events if event.kind != "loss" or not is_only_told(event.result)}
    if "backward" in kinds:
        return "trained"
    handed = carried(tuple(v for event in events if event.kind in ("escape", "outside") for v in event.values))
    return "judged" if not kinds.isdisjoint(JUDGING) or any(map(may_be_judged, handed)) else ""


JUDGING = frozenset(("loss", "autograd", "step", "scaler_update"))


def is_only_told(loss: Value) -> bool:
    """Whether nobody can train with a loss, as it was computed without gradients."""
    return isinstance(loss, Tensor) and loss.graph is False


def may_be_judged(value: Value) -> bool:
    """Whether code out of view that gets a value may train with it."""
    if isinstance(value, Tensor):
        return value.graph is not False and bool(value.deps)
    return isinstance(value, Instance) and value.family in ("module", "optimizer")


@dataclass
class Seam:
    """Where the programs of a project meet those of others, which run with the same files. What they are told:

    programs  the files to run, None for all that are given
    reached   the functions of these that other programs call, by `function_name`: they need not run by themselves
    named     names that stand in files which import these

    What they tell:

    calls     the functions of further files that they reached
    ran       the attributes of modules that they ran, by `attribute_name`
    pending   findings on attributes that fall if the name stands in any other file, or others ran the attribute
    """

    programs: Sequence_[Path] | None = None
    reached: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    parsed: Parsed = field(default_factory=Parsed)
    calls: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    pending: list[tuple[str, str, Finding]] = field(default_factory=list)


class OwnCalls(NamedTuple):
    """The functions that a function calls by their names, and whether it runs a backward or clears gradients."""

    names: frozenset[str]
    learns: bool


class Project:
    """The files given, the files they import, and one interpreter over all of them."""

    def __init__(
        self,
        files: Sequence_[tuple[Path, str]],
        texts: dict[str, str],
        rules: Sequence_[Rule],
        knowledge: Sequence_[Mapping[str, Any]] = (),
        finder: Finder | None = None,
        seam: Seam | None = None,
    ) -> None:
        self.files = files
        self.seam = seam or Seam()
        self.at_end = False
        Object.count = 0  # what came before is of no influence
        self.drafts: dict[tuple[str, int], Draft] = {}
        self.choices: list[Choice] = []
        self.findings: list[Finding] = []
        self.spent: dict[Namespace, float] = {}  # seconds that the programs of a file have taken
        self.spaces: dict[Path, Namespace] = {}
        self.names = {Path(os.path.abspath(path)): name for path, name in files}
        paths = {name: path for path, name in files}
        self.texts = {Path(os.path.abspath(paths.get(name, name))): text for name, text in texts.items()}
        unsaved = {str(path): text for path, text in self.texts.items()}
        self.finder = finder or Finder(common_folder(map(str, self.names)), Disk(unsaved))
        self.calls: dict[str, list[tuple[Report, Any]]] = {}
        self.events: dict[str, list[tuple[frozenset[str], Report, Any]]] = {}
        # By an event and what has happened in its region: the handlers that this concerns.
        self.concerned: dict[tuple[str, frozenset[str]], list[tuple[Report, Any]]] = {}
        self.library = Library(self.on_call, self.calls)
        for table in knowledge:
            self.library.add(table)
        self.interp = Interpreter(self.library, self.emit)
        for rule in rules:
            self.enlist(rule)
        self.interp.resolve = self.resolve
        self.interp.load = self.run_module
        self.interp.settings_file = self.settings_file
        self.interp.modules_below = self.modules_below
        self.located: dict[tuple[Path, str, int], Namespace | None] = {}  # what imports mean, by folder and name
        self.words: Counter[bytes] | None = None  # how often each word stands in the project
        self.calls_of: dict[int, OwnCalls] = {}  # by the identity of a function's node

    # ------------------------------------------------------------------- rules

    def enlist(self, rule: Rule) -> None:
        report = Report(rule, self.interp, self.take)
        kind: Any = type(rule)
        for name, calls, events in handlers_of(kind):
            handler = getattr(rule, name)
            for path in calls:
                self.calls.setdefault(path, []).append((report, handler))
            for event in events:
                self.events.setdefault(event, []).append((getattr(handler, "having", frozenset()), report, handler))

    def take(self, draft: Draft, stack: list[Any] | None = None) -> None:
        """Keep a finding; `stack` has the calls in which it was made, where these are over."""
        draft.is_pending = self.at_end
        if draft.rule.exclusive and self.choices:
            self.choices[-1].drafts[-1].append((draft, list(self.interp.stack) if stack is None else stack))
        else:
            kept = self.drafts.setdefault((draft.rule.code, id(draft.node)), draft)
            if kept.on_request:  # this one may be told anyway
                self.drafts[draft.rule.code, id(draft.node)] = draft

    def choose(self, event: str, fact: Any) -> None:
        """Follow the alternatives of a choice: their exclusive drafts count when no alternative is without one, or when
        they stand by themselves."""
        events = self.interp.region.events if self.interp.region is not None else []
        if event == "choices":
            self.choices.append(Choice(self.interp.stack, not self.interp.chosen, fact))
        elif event == "choice":
            self.choices[-1].begin(fact, events)
        else:
            choice = self.choices.pop()
            first, *alternatives = choice.drafts
            everywhere = choice.is_everywhere(events)
            for drafts, code in zip(alternatives, choice.code[1:], strict=True):
                for draft, stack in drafts:
                    if everywhere or choice.stands(draft, stack[len(choice.calls) :], code):
                        self.take(draft, stack)
            for draft, stack in first:
                self.take(draft, stack)

    def on_call(self, call: Call) -> None:
        for report, handler in self.calls.get(call.path, ()):
            self.ask(report, handler, call)

    def emit(self, event: str, fact: Any) -> None:
        if event in self.events:
            happened = frozenset(fact.kinds) if fact.__class__ is Region else NOTHING
            handlers = self.concerned.get((event, happened))
            if handlers is None:
                asked = self.events[event]
                handlers = [(report, handler) for having, report, handler in asked if having <= happened]
                self.concerned[event, happened] = handlers
            for report, handler in handlers:
                self.ask(report, handler, fact)
        elif event in CHOICE:
            self.choose(event, fact)

    def ask(self, report: Report, handler: Any, fact: Any) -> None:
        """Let a rule look at a fact. A rule that raises is our own bug: it is reported, and the rest goes on."""
        try:
            handler(fact, report)
        except (OutOfBudget, OutOfTime, RecursionError):
            raise
        except Exception:
            self.fail(self.interp.frame.space, f"rule {report.rule.code} failed: {last_line()}")

    def fail(self, space: Namespace, reason: str) -> None:
        name = space.source.filename if space.source is not None else "?"
        finding = own_failure(name, reason)
        if finding not in self.findings:
            self.findings.append(finding)

    # ----------------------------------------------------------------- imports

    def resolve(self, space: Namespace, dotted: str, level: int) -> Value | None:
        """The project's module behind an import, loaded; None when it is outside the project."""
        if space.path is None:
            return None
        is_folder = space.package and space.path.suffix != ".py"  # a package without `__init__.py`
        key = (space.path if is_folder else space.path.parent, dotted, level)
        if key not in self.located:
            self.located[key] = self.locate(*key)
        found = self.located[key]
        if found is space and not level and not space.package:
            found = self.locate(*key, str(space.path))
        if found is not None and found.state == "failed":
            return None  # what it has is out of view
        if found is not None and found.source is not None:
            found.imported += 1
            self.run_module(found)
            self.interp.chosen += found.chosen
            self.take_optimizers(found)
        return found

    def locate(self, here: Path, dotted: str, level: int, importer: str = "") -> Namespace | None:
        """The module that an import in a folder means, as far as it belongs to the project."""
        place = self.finder.locate(str(here), dotted, level, importer)
        if place is None and not level:
            self.library.need(dotted.partition(".")[0])
        return None if place is None else self.module(place)

    def settings_file(self, name: str) -> str | None:
        """The text of a file of settings, by the name that the program at hand reads it by."""
        frame = self.interp.frame
        while frame.caller is not None:
            frame = frame.caller
        place = frame.space.path
        return self.finder.settings(str(place.parent), name) if place is not None else None

    def take_optimizers(self, module: Namespace) -> None:
        """The optimizers that a module makes when it is imported belong to the program that imports it too."""
        made, present = module.flags.get(OPTIMIZERS, ()), optimizers(self.interp)
        new = tuple(o for o in made if not any(o is known for known in present))
        if new:
            self.interp.write(self.interp.flags, OPTIMIZERS, (*present, *new))

    def module(self, place: str) -> Namespace:
        """The module of a file, or of a folder without `__init__.py`."""
        path = Path(place)
        return self.space(path, package=path.name == PACKAGE) if place.endswith(".py") else self.folder_space(path)

    def folder_space(self, folder: Path) -> Namespace:
        """A namespace package: a folder without `__init__.py`."""
        space = self.spaces.get(folder)
        if space is None:
            space = self.spaces[folder] = Namespace(folder.name, None, package=True)
            space.path = folder
            space.state = "loaded"
        return space

    def modules_below(self, space: Namespace, dotted: str) -> list[Value]:
        """The modules of a package that is named in full but for the last part."""
        package = self.resolve(space, dotted, 0)
        if not isinstance(package, Namespace) or package.path is None:
            return []
        found = [self.module(place) for place in self.finder.below(str(package.path))]
        for module in found:
            self.run_module(module)
        return list(found)

    def space(self, path: Path, package: bool = False) -> Namespace:
        space = self.spaces.get(path)
        if space is None:
            space = self.spaces[path] = Namespace(
                path.parent.name if package else path.stem, None, package or path.name == PACKAGE
            )
            space.path = path
            name = self.names.get(path) or shown_path(path)
            digest = self.finder.note(str(path))
            try:
                space.source = self.seam.parsed.load(path, name, self.texts.get(path), digest)
            except Unreadable as problem:
                space.state = "failed"
                if path in self.names:
                    self.findings.append(unreadable(name, problem))
            if space.source is not None and path in self.names:
                self.findings += [unreadable(name, problem) for problem in space.source.problems]
        return space

    # ---------------------------------------------------------------- programs

    @contextmanager
    def isolated(self, space: Namespace) -> Iterator[Interpreter]:
        """Run something in a frame of its own, at the top of the call stack."""
        interp = self.interp
        names = ("frame", "depth", "module_depth", "region", "flags", "reads", "stack", "ends", "patience", "near")
        saved = [getattr(interp, name) for name in names]
        interp.depth = interp.module_depth = 0
        interp.region, interp.flags, interp.reads, interp.stack = None, {"grad": TRUE}, [], []
        interp.ends = []
        interp.patience, interp.near = PATIENCE, NEAR
        interp.frame = Frame(space.attrs, (), space, None, interp.journal.mark())
        try:
            yield interp
        finally:
            for name, value in zip(names, saved):
                setattr(interp, name, value)

    @contextmanager
    def timed(self, space: Namespace) -> Iterator[None]:
        """Let all programs of a file together take no more than their time; imports are part of a program."""
        if self.interp.deadline < math.inf:
            yield
            return
        start, left = thread_time(), MAX_SECONDS - self.spent.get(space, 0.0)
        self.interp.most_time, self.interp.deadline = start + left, monotonic() + left
        try:
            yield
        finally:
            self.interp.deadline = math.inf
            self.spent[space] = self.spent.get(space, 0.0) + thread_time() - start

    def run_module(self, space: Namespace) -> None:
        """Run a module's top level, once."""
        if space.state != "new" or space.source is None:
            return
        space.state = "loading"
        with self.isolated(space) as interp, self.timed(space):
            log, interp.journal.log = interp.journal.log, []
            steps, interp.steps = interp.steps, 0
            chosen, interp.chosen = interp.chosen, 0
            enough, interp.enough = interp.enough, PROGRAM_EFFORT + LINE_EFFORT * size_of(space)
            region = Region("module", space.source.tree, space, None)
            interp.region = region
            try:
                interp.block(space.source.tree.body)
            except OutOfBudget:
                pass
            except OutOfTime:
                self.fail(space, TOO_LONG)
            except Exception:
                self.fail(space, f"the engine failed: {last_line()}")
            finally:
                interp.journal.log = log
                interp.steps, interp.enough = steps, enough
            space.flags, space.chosen = interp.flags, interp.chosen
            space.events, space.ends = region.events, interp.ends
            interp.chosen = chosen
            space.state = "loaded"

    def run_program(self, space: Namespace) -> None:
        """Run what a file does when it is started: its top level and its `__main__` block."""
        if space.source is None:
            return
        self.run_module(space)

        def main(interp: Interpreter) -> None:
            region = Region("program", space.source.tree, space, None)  # type: ignore[union-attr]
            region.events = list(space.events)
            interp.region = region
            for body in space.deferred:
                interp.block(body.body)
            interp.ends = space.ends + interp.ends
            self.conclude(interp, region)

        self.attempt(space, main, PROGRAM_EFFORT + LINE_EFFORT * size_of(space))

    def attempt(self, space: Namespace, run: Callable[[Interpreter], None], effort: int) -> None:
        """Run something and take all its effects back. After `effort` steps, calls are not followed further."""
        with self.isolated(space) as interp, self.timed(space):
            mark = interp.journal.mark()
            interp.steps = 0
            interp.enough = effort
            if effort == ALONE_EFFORT:
                interp.patience, interp.near = REST_PATIENCE, 0
            interp.flags.update(space.flags)
            self.choices, interp.choosing, interp.chosen = [], False, space.chosen
            interp.runs.clear()
            try:
                run(interp)
            except OutOfBudget:
                pass
            except OutOfTime:
                self.fail(space, TOO_LONG)
            except RecursionError:
                pass
            except Exception:
                self.fail(space, f"the engine failed: {last_line()}")
            interp.journal.undo(mark)

    def conclude(self, interp: Interpreter, region: Region) -> None:
        """Judge a program as a whole, with what it did on all ways to its ends."""
        interp.resume_ends()
        self.emit(region.kind, region)

    def run_rest(self, space: Namespace) -> None:
        """Run the functions and classes that no program reached. Tests are left out: what they train is no use, they
        do wrong on purpose, and a model under test is not the one that learns."""
        if space.holds_tests:
            return
        # From the bottom up: what stands below usually calls what stands above, and calls are what tells of arguments.
        # Modules come before all else, for their sizes.
        below = list(reversed(space.functions))
        for item in sorted(below, key=lambda item: getattr(item, "family", "") != "module"):
            if isinstance(item, Class):
                self.run_class(space, item)
            if not isinstance(item, Function) or item.owner is not None or is_wrapper(item):
                continue
            if not self.is_reached(item):
                begins = has_no_parameters(item) or is_command(item) or self.is_given_away(item)
                least = ALONE_EFFORT if needs_arguments(item) else READY_EFFORT
                effort = MAIN_EFFORT if begins or self.leads_to_learning(item) else least
                self.attempt(space, lambda interp, f=item: self.run_alone(interp, f), effort)  # type: ignore[misc]

    def is_given_away(self, function: Function) -> bool:
        """Whether code out of view calls a function that it was given, other than a registry of such functions."""
        return id(function.node) in self.interp.handed and not getattr(function.node, "decorators", ())

    def is_reached(self, function: Function) -> bool:
        """Whether any program calls a function, here or elsewhere."""
        return self.is_visited(function) or function_name(function) in self.seam.reached

    def is_visited(self, function: Function) -> bool:
        """Whether a program here has called a function, other than to try it out."""
        return id(function.node) in self.interp.visited and id(function.node) not in self.interp.tried

    def run_alone(self, interp: Interpreter, function: Function) -> None:
        region = Region("program", function.node, function.space, None)
        interp.region = region
        if self.is_mentioned(function.name) and not self.learns(function):
            interp.write(interp.flags, "grad", UNKNOWN)  # its caller may have switched recording off
        given = stand_ins(interp, function)
        value = None
        if (wrapper := wrapper_of(function)) is not None:
            only = {p.name.value for p in function.node.params.kwonly_params}
            in_order = [value for name, value in given.items() if name not in only]
            named = {name: value for name, value in given.items() if name in only}
            found = interp.call(wrapper, Arguments(in_order, named), function.node)
            value = found if self.is_visited(function) else None
        if value is None:
            value = interp.call_function(function, Arguments([], given), function.node)
        interp.event("escape", function.node, (value,))  # what becomes of it, its caller decides
        self.conclude(interp, region)

    def leads_to_learning(self, function: Function, depth: int = 0) -> bool:
        """Whether a function runs a backward, or calls another by its name that does."""
        own = self.own_calls(function)
        if own.learns or depth == 2:
            return own.learns
        called = map(function.space.attrs.get, own.names)
        return any(self.leads_to_learning(f, depth + 1) for f in called if isinstance(f, Function))

    def learns(self, function: Function) -> bool:
        """Whether a function's own text runs a backward or clears gradients, so that it surely has them recorded."""
        source = function.space.source
        return source is not None and mentions_learning(source.text) and self.own_calls(function).learns

    def own_calls(self, function: Function) -> OwnCalls:
        """What a function's own text calls."""
        found = self.calls_of.get(id(function.node))
        if found is None:
            calls = calls_in(function.node)
            names = frozenset(call.func.value for call in calls if call.func.__class__ is cst.Name)
            found = self.calls_of[id(function.node)] = OwnCalls(names, any(called(call) in LEARNING for call in calls))
        return found

    def is_mentioned(self, name: str) -> bool:
        """Whether a function's name stands anywhere but in its definition: then it has callers, though none was run."""
        if self.words is None:
            self.words = Counter()
            for space in self.spaces.values():
                if space.source is not None:
                    self.words.update(space.source.text.encode("utf8", "replace").translate(SPACED).split())
        return name in self.seam.named or self.words[name.encode()] > 1

    def run_class(self, space: Namespace, cls: Class) -> None:
        """Run the methods of a class that no program called, as its framework would, and its `forward` for sizes of
        which those that called it know nothing."""
        methods = [*methods_of(cls), *inherited(cls)]
        again = {id(m) for m in methods if m.name == "forward" and self.is_visited(m) and self.is_unsized(cls)}
        waiting = [method for method in methods if id(method) in again or not self.is_reached(method)]
        if not waiting:
            return
        waiting.sort(key=lambda method: method.name != "forward")  # it calls the others
        engine_calls = cls.family in ("module", "datamodule") and any(m.name in HOOKS for m in waiting)
        effort = MAIN_EFFORT if engine_calls or any(map(self.learns, waiting)) else ALONE_EFFORT

        def run(
            interp: Interpreter, method: Function, instance: Instance, built: Region, flags: dict[str, Any]
        ) -> None:
            region = Region("program", method.node, method.space, None, instance)
            region.events = list(built.events)
            interp.region = region
            interp.flags.update(flags)
            given = stand_ins(interp, method, skip=1, forward=method.name == "forward" and cls.family == "module")
            if method.name == "forward" and cls.family == "module" and not holds_weights(instance):
                # A module without weights is a loss or the like: what it gets comes from a model.
                given = {
                    name: value.but(graph=True) if isinstance(value, Tensor) else value for name, value in given.items()
                }
            node = method.node
            if cls.family == "module":
                set_mode(interp, instance, UNKNOWN)
                interp.write(interp.flags, "grad", UNKNOWN)
            if method.name == "forward" and cls.family == "module":
                self.library.call_module(interp, instance, Arguments(list(given.values())), node)
            elif method.name != "__init__":
                bound = interp.bind_member(instance, method.name, cls.find(method.name) or method, node)
                value = interp.call(bound, Arguments([], given), node)
                interp.event("escape", node, (value,))
            self.conclude(interp, region)

        def run_all(interp: Interpreter) -> None:
            region = Region("program", cls.node, cls.space, None)
            interp.region = region
            instance = self.stand_in_instance(interp, cls)
            flags = dict(interp.flags)
            if engine_calls:
                as_engine = partial(self.run_as_engine, instance=instance, built=region, flags=flags)
                self.attempt(space, as_engine, effort)
            for method in waiting:
                if id(method) in again or not self.is_reached(method) or method.name == "__init__":
                    call = partial(run, method=method, instance=instance, built=region, flags=flags)
                    self.attempt(space, call, MAIN_EFFORT if self.learns(method) else ALONE_EFFORT)

        self.attempt(space, run_all, effort)

    def is_unsized(self, cls: Class) -> bool:
        """Whether modules of a class were made, but none by a program that knows its sizes."""
        return id(cls.node) in self.interp.made and id(cls.node) not in self.interp.sized

    def run_as_engine(self, interp: Interpreter, instance: Instance, built: Region, flags: dict[str, Any]) -> None:
        """Run the hooks of a module or a data module in the order that Lightning does."""
        region = Region("program", built.node, built.space, None, instance)
        region.events = list(built.events)
        interp.region = region
        interp.flags.update(flags)
        lightning(interp, instance if instance.family == "module" else None, instance)
        self.conclude(interp, region)

    def stand_in_instance(self, interp: Interpreter, cls: Class) -> Instance:
        """An instance built with unknown arguments, or those settled ones that a program makes one with."""
        init = cls.find("__init__")
        given = stand_ins(interp, init, skip=1) if isinstance(init, Function) else {}
        known = interp.made.get(id(cls.node))
        if known is not None and isinstance(init, Function):
            bound = interp.bind_arguments(init, known.with_first(UNKNOWN))
            given |= {name: bound[name] for name in given if is_settled(bound.get(name))}
        made = instantiate(interp, cls, Arguments([], given), cls.node)
        return made if isinstance(made, Instance) else Instance(cls, cls.family)

    # ---------------------------------------------------------------- the check

    def check(self, progress: Progress | None = None) -> list[Finding]:
        programs = self.seam.programs or list(self.names)
        spaces: list[Namespace] = []
        for number, path in enumerate(programs):
            space = self.space(path)
            if space.state != "failed":
                spaces.append(space)
                self.run_program(space)
            if progress is not None:
                progress(number + 1, len(programs))
        for space in sorted(spaces, key=lambda s: s.imported):
            with self.timed(space):
                self.run_rest(space)
        self.at_end = True
        self.emit("project", [space for space in self.spaces.values() if space.source is not None])
        self.at_end = False
        self.offer_uses(spaces)
        self.tell_others(spaces)
        return self.finish()

    def tell_others(self, spaces: list[Namespace]) -> None:
        """Take down what the programs of other files have to know."""
        if self.seam.programs is None:
            return
        own = set(map(id, spaces))
        for space in self.spaces.values():
            if id(space) not in own and space.source is not None:
                members = (
                    m for item in space.functions for m in (methods_of(item) if isinstance(item, Class) else [item])
                )
                reached = (m for m in members if isinstance(m, Function) and self.is_visited(m))
                self.seam.calls.update(map(function_name, reached))
        index = self.interp.modules
        ran = index.have_run()
        kept = (stored for stored in index.stored.values() if id(stored.node) in ran)
        self.seam.ran.update(attribute_name(stored.space, stored.cls.name, stored.name) for stored in kept)

    def offer_uses(self, spaces: list[Namespace]) -> None:
        """Tell the rules on APIs where those that have changed are used."""
        if "use" not in self.events:
            return
        named = {id(draft.space) for draft in self.drafts.values()}
        named |= {id(step.space) for draft in self.drafts.values() for step in draft.related}
        for space in spaces:
            known = len(self.drafts)
            try:
                for use in uses(space):
                    self.emit("use", use)
            except Exception:
                self.fail(space, f"the engine failed: {last_line()}")
            if space.source is not None and len(self.drafts) == known and id(space) not in named:
                space.source.forget_index()

    def finish(self) -> list[Finding]:
        """Turn drafts into findings, with positions for just the nodes that they name."""
        for draft in self.drafts.values():
            if draft.plan is not None and draft.space.source is not None and self.is_asked_for(draft.space.source):
                try:
                    draft.plan(draft)
                except Exception:
                    self.fail(draft.space, f"the fix of {draft.rule.code} failed: {last_line()}")
        for draft in self.drafts.values():
            source = draft.space.source
            if source is None or not self.is_asked_for(source):
                continue
            try:
                finding = finding_of(draft, source, self.is_asked_for)
                if draft.is_pending and isinstance(draft.node, cst.Attribute) and self.seam.programs is not None:
                    name = draft.node.attr.value
                    kept = attribute_name(draft.space, class_around(source, draft.node), name)
                    self.seam.pending.append((name, kept, finding))
                else:
                    self.findings.append(finding)
            except Exception:
                self.fail(draft.space, f"the place of {draft.rule.code} failed: {last_line()}")
        return self.findings

    def is_asked_for(self, source: SourceFile) -> bool:
        """Whether a file is to be checked, and not only read along because another imports it."""
        return source.path in self.names or Path(os.path.abspath(source.path)) in self.names


@cache
def handlers_of(rule: type[Rule]) -> list[tuple[str, Sequence_[str], Sequence_[str]]]:
    """The names of a rule's handlers, the calls and the events that each is for."""
    members = ((name, getattr(rule, name, None)) for name in dir(rule))
    found = [(name, getattr(member, "calls", ()), getattr(member, "events", ())) for name, member in members]
    return [(name, calls, events) for name, calls, events in found if calls or events]


def methods_of(cls: Class) -> list[Function]:
    """The methods in a class's own text, static ones too."""
    return [m for m in map(method_in, cls.attrs.values()) if m is not None and isinstance(m.node, cst.FunctionDef)]


def method_in(member: Value | None) -> Function | None:
    """The function behind a member of a class that is called as a method."""
    if isinstance(member, Instance) and member.family in ("staticmethod", "classmethod"):
        member = member.attrs["function"]
    return member if isinstance(member, Function) else None


def inherited(cls: Class) -> Iterator[Function]:
    """The methods that a class has from others of the project, but for constructors, which its own run."""
    methods = (method for base in project_bases(cls) for method in methods_of(base))
    return (method for method in methods if method.name != "__init__" and method_in(cls.find(method.name)) is method)


def function_name(function: Function) -> str:
    """A name for a function of the project that another run knows as well: its file, class and name."""
    owner = "" if function.owner is None else f"{function.owner.name}."
    return f"{function.space.path}:{owner}{function.name}"


def attribute_name(space: Namespace, cls: str, name: str) -> str:
    """The same for an attribute that a class of the project assigns."""
    return f"{space.path}:{cls}.{name}"


def class_around(source: SourceFile, node: cst.CSTNode) -> str:
    return next((a.name.value for a in source.index.ancestors(node) if isinstance(a, cst.ClassDef)), "")


def wrapper_of(function: Function) -> Value | None:
    """What the project's own decorators have put in the place of a function; None for one without."""
    if not getattr(function.node, "decorators", ()):
        return None
    bound = function.space.attrs.get(function.name)
    return bound if isinstance(bound, Function) and bound.node is not function.node else None


def is_wrapper(function: Function) -> bool:
    """Whether a function is what a decorator puts around others, whose own parameters tell more of what they get."""
    given = function.node.params
    return bool(function.closure) and isinstance(given.star_arg, cst.Param) and given.star_kwarg is not None


def size_of(space: Namespace) -> int:
    """Lines of a module."""
    return space.source.text.count("\n") if space.source is not None else 0


def finding_of(draft: Draft, source: SourceFile, may_edit: Callable[[SourceFile], bool]) -> Finding:
    from trainlint.fixing import fix_of

    cell, span = source.place(draft.node)
    related = []
    for step in draft.related:
        if step.space.source is None:
            continue
        other_cell, other = step.space.source.place(step.node)
        related.append(Related(step.space.source.filename, other, step.label, other_cell))
    message = draft.message
    if related:
        first = related[0]
        where = (
            f"line {first.span.line}"
            if first.filename == source.filename and first.cell == cell
            else f"{first.filename}:{first.span.line}"
        )
        message = message.replace("(@)", f"({first.message} at {where})")
    return Finding(
        code=draft.rule.code,
        name=draft.rule.name,
        message=message.replace(" (@)", ""),
        severity=draft.rule.severity,
        filename=source.filename,
        span=span,
        related=tuple(dict.fromkeys(related)),
        fix=fix_of(draft, may_edit),
        cell=cell,
        statement_lines=source.statement_lines(draft.node),
        on_request=draft.on_request,
    )


@lru_cache(maxsize=64)
def mentions_learning(text: str) -> bool:
    """Whether a program's text may run a backward or clear gradients."""
    return any(f"{name}(" in text for name in LEARNING)


def needs_arguments(function: Function) -> bool:
    """Whether a function cannot be called without arguments."""
    given = function.node.params
    return any(p.default is None for p in (*given.posonly_params, *given.params, *given.kwonly_params))


def has_no_parameters(function: Function) -> bool:
    """Whether a function can be called in one way only."""
    given = function.node.params
    return not (given.posonly_params or given.params or given.kwonly_params)


def is_command(function: Function) -> bool:
    """Whether a function is one of the commands of a command line: `@cli.command()`."""
    made = (d.decorator for d in getattr(function.node, "decorators", ()))
    return any(dotted_name(getattr(m, "func", m)).endswith(".command") for m in made)


def is_settled(value: Value | None) -> bool:
    """Whether a value is the same wherever it is: it holds nothing that a program could change."""
    if isinstance(value, Tuple):
        return all(map(is_settled, value.items))
    device = isinstance(value, Instance) and value.api_path == "torch.device"
    return device or isinstance(value, (Const, Class, Function, Api))


def stand_ins(interp: Interpreter, function: Function, skip: int = 0, forward: bool = False) -> dict[str, Value]:
    """Values for the parameters of a function whose callers are not in view."""
    params = function.node.params
    found: dict[str, Value] = {}
    names = (*params.posonly_params, *params.params, *params.kwonly_params)
    builds = function.name == "__init__" and function.owner is not None and function.owner.family == "module"
    static = any(getattr(d.decorator, "value", "") == "staticmethod" for d in getattr(function.node, "decorators", ()))
    for parameter in names[0 if static else skip :]:
        name = parameter.name.value
        default = function.defaults.get(name)
        annotated = annotation_value(interp, function, parameter)
        if annotated is not None:
            found[name] = annotated.but(batched=True) if forward and isinstance(annotated, Tensor) else annotated
        elif is_scaler(function, name):
            found[name] = unknown_scaler() if default is None else join(default, unknown_scaler())
        elif builds and default is not None and default.key == NONE.key and is_made_there(function, name):
            found[name] = default  # which stands for what is made in its place
        elif is_optimizer(name) and (default is None or default.key == NONE.key):
            made = unknown_optimizer(interp)
            found[name] = made if default is None else join(default, made)
        elif default is not None:
            found[name] = candidate({"default": default}, name=name, option=False)
        elif forward:
            found[name] = Tensor(batched=True)
        elif builds:
            found[name] = unknown_number(of_setting(name))
        elif MODEL.fullmatch(name) and interp.library.only_torch(function.space):
            found[name] = unknown_model()
        else:
            found[name] = Instance(None)
    return found


def is_optimizer(name: str) -> bool:
    """Whether a parameter goes by the name of an optimizer."""
    return "optim" in name.lower() or name.lower() == "opt"


def is_made_there(function: Function, name: str) -> bool:
    """Whether a function makes an object where it is given None: `if net is None: net = Net()`."""
    for line in getattr(function.node.body, "body", ()):
        test = line.test if isinstance(line, cst.If) and line.orelse is None else None
        if isinstance(test, cst.Comparison) and is_name(test.left, name) and len(test.comparisons) == 1:
            operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
            if isinstance(operator, cst.Is) and is_name(other, "None"):
                made = [node for node in nodes_in(line.body) if isinstance(node, cst.Assign)]
                alone = len(made) == 1 and is_name(made[0].targets[0].target, name)
                return alone and isinstance(made[0].value, cst.Call)
    return False


def unknown_optimizer(interp: Interpreter) -> Instance:
    from trainlint.semantics.behaviours.training import register_optimizer

    optimizer = Instance(Api("torch.optim.Optimizer"), "optimizer")
    register_optimizer(interp, optimizer, UNKNOWN)
    optimizer.attrs["$steps"] = frozenset(("?",))
    return optimizer


def unknown_model() -> Instance:
    model = Instance(None)
    model.attrs["training"] = UNKNOWN
    return model


def is_scaler(function: Function, name: str) -> bool:
    """Whether a parameter that is called a scaler is used as one of gradients in its file."""
    if "scaler" not in name.lower() or (source := function.space.source) is None:
        return False
    return re.search(rf"\b{re.escape(name)}\.(scale|unscale_)\(", source.text) is not None


def unknown_scaler() -> Instance:
    scaler = Instance(Api("torch.amp.GradScaler"), "scaler")
    scaler.attrs["enabled"] = UNKNOWN
    return scaler


def annotation_value(interp: Interpreter, function: Function, parameter: cst.Param) -> Value | None:
    """What a parameter's annotation tells of it."""
    if parameter.annotation is None:
        return None
    root, _, rest = dotted_name(parameter.annotation.annotation).partition(".")
    name = rest.rpartition(".")[2] or root
    if name in ("Tensor", "FloatTensor", "LongTensor"):
        return Tensor()
    if name == "float":
        default = function.defaults.get(parameter.name.value)
        return candidate({"default": default}) if default is not None else Number()
    if name == "int":
        return Number(integer=True, size=of_setting(parameter.name.value))
    if name == "bool":
        return BOOL
    if name == "str":
        return Text()
    if name == "Optimizer":
        return unknown_optimizer(interp)
    if name == "GradScaler":
        return unknown_scaler()
    if name == "Module":
        return unknown_model()
    if name == "ndarray":
        return Tensor(lib="numpy", graph=False)
    if name == "DataFrame":
        return Tensor(lib="frame", graph=False)
    owner = function.space.attrs.get(root)
    return unknown_engine(interp, f"{owner.path}.{rest}" if rest else owner.path) if isinstance(owner, Api) else None


def unknown_engine(interp: Interpreter, path: str) -> Instance | None:
    """An object of a class that runs the steps of a training, set up out of view; None for other classes."""
    row = interp.library.class_row(path)
    if row is None or row.raw.get("family") != "accelerator":
        return None
    engine = Instance(Api(path), "accelerator")
    engine.attrs["$any"] = TRUE  # what it was given besides
    return engine


def shown_path(path: Path) -> str:
    """A path as people read it: relative to where they are, when it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def last_line() -> str:
    """The exception at hand and where it was raised, in one line."""
    kind, value, trace = sys.exc_info()
    frames = traceback.extract_tb(trace)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{kind.__name__ if kind else 'error'}: {value}{where}"


def own_failure(filename: str, reason: str) -> Finding:
    return Finding("TL002", "internal-error", reason, Severity.ERROR, filename, Span(1, 1, 1, 1))


def unreadable(filename: str, problem: Unreadable) -> Finding:
    return Finding(
        "TL000", "unreadable-file", problem.message, Severity.ERROR, filename, problem.span, cell=problem.cell
    )


def check_files(
    paths: Sequence_[tuple[Path, str]],
    texts: dict[str, str],
    rules: Sequence_[Rule],
    *,
    knowledge: Sequence_[Mapping[str, Any]] = (),
    finder: Finder | None = None,
    progress: Progress | None = None,
    seam: Seam | None = None,
) -> list[Finding]:
    """Check files that belong together. `texts` replaces what is on disk, by the name of a file to check or by the path
    of one that such files import (standard input, what an editor has not saved); `knowledge` are tables of APIs
    besides those in trainlint/knowledge; `finder` looks up imports, and is told what is read; `seam` is for programs
    that are checked by themselves though others run the same files.

    Raises UsageError if a row of these is not as it must be.
    """
    found: list[Finding] = deep(lambda: Project(paths, texts, rules, knowledge, finder, seam).check(progress))
    return found


def deep(run: Callable[[], Any]) -> Any:
    """Run with a deep stack, for deeply nested programs, and without garbage collection: what is built here stays until
    the end. Objects that refer to each other in a ring go when the next run begins, if they are many."""
    enabled = gc.isenabled()
    gc.disable()
    if gc.get_count()[0] > LITTER:
        gc.collect(0)
    try:
        with lean_nodes():
            return with_room(run)
    finally:
        if enabled:
            gc.enable()
