"""Selection: which data choose the model, and which are held out from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on
from trainlint.checks.data import (
    HELD_OUT,
    TEST,
    USES,
    VALIDATION,
    identity,
    is_idle,
    is_subset,
    judged_loops,
    judges_given,
    places_of,
    same_data,
    served_by,
    statement_of,
    stopped_by,
    unused_loaders,
    value_before,
)
from trainlint.checks.repairs import index_of
from trainlint.edits import set_argument
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.data import SPLITS, WINDOWS, dataset_part
from trainlint.semantics.behaviours.keras import rows_of
from trainlint.semantics.interpreter import Interpreter, Region, dotted_name, nested, target_names
from trainlint.semantics.library import Call
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    FALSE,
    NONE,
    PARTS_READ,
    Const,
    DataInfo,
    Instance,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    const,
    truth,
)
from trainlint.syntax import nodes_in, path_to
from trainlint.syntax.code import called, contains, is_plain, is_plain_call, keyword, names_in, positional, words_in

KEPT = "which checkpoint is kept"
_KEEPS = re.compile(r"save|state_dict|deepcopy|checkpoint|^copy$")
_DUMPS = ("joblib.dump", "pickle.dump")


def samples(dataset: Value | None) -> Any:
    """What identifies the samples of a data set, or itself where these are not known."""
    found = identity(dataset)
    return id(dataset) if found is None else found


class TestSetSelects(Rule):
    """The test data choose the model that they then judge."""

    code, name = "TL409", "test-set-selects"
    message = "the test data choose {what}, so the result on them is too good; choose on validation data"
    severity = Severity.WARNING

    @on("loop", having="ranked")
    def check(self, region: Region, report: Report) -> None:
        learns = region.has("step", "fitted") or tries(region)
        for _, node, space in region.of("ranked") if learns or region.has("measured") else ():
            what = chosen(node, space, region.node)
            if not learns and what != KEPT:
                continue  # which of the samples, perhaps
            verdict = self.is_test(node, region, report) if what else False
            if verdict:
                report(node, space, what=what)
            elif verdict is None:
                datasets = (e.loader.attrs.get("dataset") for e in region.of("evaluated"))
                judged = {samples(dataset) for dataset in datasets if dataset and dataset_part(dataset) != "train"}
                # Where several are judged, as in a loop around whole trainings, it is not known which of them chooses.
                told = any(is_declared(e.loader.attrs.get("dataset")) for e in region.of("evaluated"))
                own = () if told else tuple(region.of("evaluated"))  # where only names tell, others must
                report.interp.event("selected", node, space, what, judged if len(judged) == 1 else set(), own)

    @on("program", having="selected")
    def forgotten(self, region: Region, report: Report) -> None:
        """The names speak of validation, but the data are for the test: those for validation are not used, or the same
        data are the test data elsewhere in the program."""
        learnt = {served_by(event.loader) for event in region.of("trained")}
        used = [event.loader for kind in USES for event in region.of(kind)]
        parts = (loader.attrs.get("dataset") for loader in unused_loaders(region, learnt, used) or ())
        idle = is_idle(region, ("val",)) or any(
            isinstance(part, Instance) and (is_subset(part) or dataset_part(part) == "val") for part in parts
        )
        gone_through = [e for kind in ("evaluated", "gathered", "walked") for e in region.of(kind)]
        named = [e for e in gone_through if is_named_test(e, region)]
        for event in region.of("selected"):
            others = (e for e in named if all(e is not own for own in event.own))
            tested = {samples(e.loader.attrs.get("dataset")) for e in others}
            if idle or not tested.isdisjoint(event.judged):
                report(event.node, event.where, what=event.what)

    def is_test(self, node: Any, region: Region, report: Report) -> bool | None:
        """Whether the program too takes these data for its test data, and has no validation data beside them; None
        where it does, and names speak of validation."""
        words = set(words_in(region.node)) | set(words_in(node))
        declared, said = False, True
        called: dict[str | None, list[tuple[set[str], ...]]] = {}
        for event in judged_loops(region):
            dataset = event.loader.attrs.get("dataset")
            named = names_of(event, region)
            words.update(*named)
            declared = declared or is_declared(dataset)
            said = said and (is_test_alone(named[0] | named[1]) or is_test_alone(named[2]))
            called.setdefault(dataset_part(dataset), []).append(named)
        if not called and region.has("masked"):
            return True  # the score tells its part: that of a mask of a graph's nodes
        if not called and "val" in report.interp.flags.get(PARTS_READ, ()):
            return True  # so does that of text, of which the program reads a file for validation, too
        if called.keys() >= {"val", "test"}:
            alone = (
                own - other
                for one in called["test"]
                for two in called["val"]
                for own, other in zip(one, two, strict=True)
            )
            if not any(VALIDATION.search(word) for names in alone for word in names):
                return True  # the program tells them apart, and chooses by the test data
        if any(VALIDATION.search(word) for word in words):
            return None if declared or (said and called) else False
        return declared or any(TEST.search(word) for word in words)

    @on("search")
    def searched(self, call: Call, report: Report) -> None:
        value = call.value("x", 1)
        if isinstance(value, Tensor) and value.data.part == "test" and named_test(call.argument("x", 1)):
            report(call.argument("x", 1), what="the hyper-parameters")

    @on("picked")
    def best(self, fact: tuple[Call, frozenset[str]], report: Report) -> None:
        """`max(models, key=lambda model: model.score(X_test, y_test))`."""
        call, parts = fact
        if "test" in parts and named_test(call.argument("key")):
            report(call.argument("key"), what="the best of several")

    @on("program", having="best")
    def best_of_all(self, region: Region, report: Report) -> None:
        """A loop collects what a model is worth with each setting, or after each epoch, and the best is looked for."""
        best = [event for event in region.of("best") if event.parts == {"test"} and event.scores is not None]
        tried: dict[Any, str] = {}
        for event, inside in nested(region.events) if best else ():
            loops = [outer.node for outer in inside if outer.block == "loop" and isinstance(outer.node, cst.For)]
            if event.kind == "measured" and "test" in event.parts and named_test(event.node) and loops:
                if sets_option(loops[-1]):
                    tried.setdefault(loops[-1], "the hyper-parameters")
            elif event.kind == "step":
                tried.update(dict.fromkeys(loops, "the epoch"))
        for event in best:
            held = set(names_in(event.scores))
            around = [loop for loop in tried if not contains(loop.body, event.node)]
            chosen = {tried[loop] for loop in around if held & set(names_in(loop.body))}
            if "the hyper-parameters" in chosen:
                report(event.node, event.space, what="the hyper-parameters")
            elif chosen and named_test(event.scores) and called(event.node) not in ("max", "min"):
                report(event.node, event.space, what="the epoch")

    @on("learnt")
    def stopped(self, call: Call, report: Report) -> None:
        """`fit(…, eval_set=[(X_test, y_test)], early_stopping_rounds=…)`."""
        first = stopped_by(call)
        if isinstance(first, Tensor) and first.data.part == "test":
            node = judges_given(call)
            if is_test_alone(set(rows_named(report.space(), node))):
                report(node, what="when training stops")

    @on("program", having="watched tested")
    def by_engine(self, region: Region, report: Report) -> None:
        """An engine looks at the test data on the way, by which it keeps a checkpoint or stops, and judges on them."""
        events = region.events
        for place, event in enumerate(events):
            what = deciding(report.interp, event.trainer) if event.kind == "watched" else ""
            if not what or len(event.judged) != 1 or event.judged[0].born is None:
                continue
            (loader,) = event.judged
            dataset = loader.attrs.get("dataset")
            tested = [one for later in events[place:] if later.kind == "tested" for one in later.loaders]
            if dataset_part(dataset) == "test" and same_data(loader) in {same_data(one) for one in tested} - {None}:
                words = set(words_in(event.given)) if event.given is not None else statement_names(loader.born)
                if not any(map(VALIDATION.search, words)):
                    at = Step(event.space, event.given, "given here") if event.given is not None else loader.born
                    report(at.node, at.space, what=what).because([Step(event.space, event.node, "trained here")])

    @on("program", having="fitted predicted")
    def watched(self, region: Region, report: Report) -> None:
        """Callbacks of Keras look at the test data, on which the model is evaluated afterwards."""
        pending: list[tuple[Any, Tensor, str]] = []
        reported: list[tuple[Any, str]] = []  # those whose model has predicted for the test data
        served_for: list[tuple[Any, Instance, str]] = []  # the same of pipelines that the program calls the test data
        for event in region.events:
            if event.kind == "fitted":
                given, what = event.call.value("validation_data", 8), watching(event.call)
                first = given.items[0] if isinstance(given, Tuple) and given.items else rows_of(given)
                if what and isinstance(given, Instance) and given.family == "loader":
                    if named_test(event.call.argument("validation_data", 8)):
                        served_for.append((event, given, what))
                elif what and isinstance(first, Tensor) and first.data.part == "test":
                    if not any(map(VALIDATION.search, words_in(event.call.argument("validation_data", 8)))):
                        pending.append((event, first, what))
            elif event.kind == "predicted" and isinstance(event.x, Tensor) and event.x.data.part == "test":
                for fit, judged, what in pending:
                    if fit.node is event.node or fit.estimator is not event.estimator:
                        continue
                    if judged.data.tokens == event.x.data.tokens:
                        reported.append((fit, what))
            elif event.kind == "tested":
                for fit, served, what in served_for:
                    if same_data(served) in {same_data(one) for one in event.loaders} - {None}:
                        report(fit.call.argument("validation_data", 8), fit.space, what=what)
            elif event.kind == "measured" and "test" in event.parts:
                for fit, what in reported:
                    report(fit.call.argument("validation_data", 8), fit.space, what=what)


def watching(call: Call) -> str:
    """In words, what callbacks of Keras decide by the validation data; "" for nothing."""
    given = call.value("callbacks", 6)
    for one in call.interp.known_items(given) or () if given is not None else ():
        if not isinstance(one, Instance) or one.family != "keras_callback":
            continue
        monitor, best = one.attrs.get("monitor"), one.attrs.get("save_best_only")
        if monitor is not None and not (isinstance(monitor, Const) and str(monitor.value).startswith("val")):
            continue
        if one.describe() == "EarlyStopping":
            return "when training stops"
        if one.describe() == "ModelCheckpoint" and isinstance(best, Const) and best.value is True:
            return KEPT
    return ""


def deciding(interp: Interpreter, trainer: Instance) -> str:
    """In words, what a `Trainer` of Lightning or Hugging Face decides by the validation data; "" for nothing."""
    settings, given = trainer.attrs.get("args"), trainer.attrs.get("callbacks")
    if isinstance(settings, Instance) and truth(settings.attrs.get("load_best_model_at_end", FALSE)) is True:
        return KEPT
    for one in (given, *(interp.known_items(given) or ())) if given is not None else ():
        if not isinstance(one, Instance) or one.family != "engine_callback":
            continue
        monitor = const(one.attrs.get("monitor", NONE))
        if isinstance(monitor, str) and "train" not in monitor:
            return "when training stops" if one.describe() == "EarlyStopping" else KEPT
    return ""


def tries(region: Region) -> bool:
    """Whether a loop goes through settings to see which of them is best for a model that has been trained: numbers that
    stand in the loop's head, and choose no rows."""
    loop = region.node
    if not isinstance(loop, cst.For) or not any("test" in event.parts for event in region.of("measured")):
        return False
    listed = isinstance(loop.iter, (cst.List, cst.Tuple)) or called(loop.iter) in ("arange", "linspace")
    chosen_rows = {name for node in nodes_in(loop.body) if isinstance(node, cst.Subscript) for name in names_in(node)}
    return listed and chosen_rows.isdisjoint(target_names(loop.target))


def sets_option(loop: cst.For) -> bool:
    """Whether a loop gives what it goes through to an option of something, but for a seed."""
    targets = set(target_names(loop.target))
    options = (node for node in nodes_in(loop.body) if isinstance(node, cst.Arg) and node.keyword is not None)
    return any(
        not targets.isdisjoint(names_in(option.value)) and option.keyword.value not in ("random_state", "seed")
        for option in options
        if option.keyword is not None
    )


def rows_named(space: Namespace, node: Any) -> Iterator[str]:
    """The names of the rows in an expression: of those that boosting is given as `Dataset(rows, labels)`, their own."""
    for inner in nodes_in(node):
        if isinstance(inner, cst.Name):
            made = value_before(space, inner)
            if called(made) in ("Dataset", "DMatrix", "QuantileDMatrix", "Pool") and made.args:
                yield from words_in(made.args[0].value)
            elif inner.value not in ("Dataset", "DMatrix", "QuantileDMatrix", "Pool"):
                yield inner.value


def named_test(node: Any) -> bool:
    return is_test_alone(set(words_in(node)))


def names_of(event: Any, region: Region) -> tuple[set[str], ...]:
    """The names of the data that a loop evaluates: in its head, or where its function is given them, and where the
    loader and its dataset were made."""
    made = (event.loader, event.loader.attrs.get("dataset"))
    born = (one.born if isinstance(one, Instance) else None for one in made)
    given = {word for place in places_of(event, region) for word in words_in(place.node)}
    return given, *(statement_names(step) if step is not None else set() for step in born)


def is_test_alone(words: set[str]) -> bool:
    """Whether names speak of test data, and of no validation."""
    return any(map(TEST.search, words)) and not any(map(VALIDATION.search, words))


def is_named_test(event: Any, region: Region) -> bool:
    """Whether the loop that evaluates a loader, and what makes the loader, call it the test data."""
    head, loader, _ = names_of(event, region)
    return is_test_alone(head | loader)


def is_declared(dataset: Value | None) -> bool:
    """Whether the program itself says that these are the test data: by a flag or a path, not by their place in a
    split."""
    if isinstance(dataset, Union):
        return all(map(is_declared, dataset.options))
    if not isinstance(dataset, Instance) or "$random" in dataset.attrs or "$indices" in dataset.attrs:
        return False
    return "$made" in dataset.attrs and dataset_part(dataset) == "test"


def statement_names(step: Step) -> set[str]:
    """The names, of entries too, in the statement that makes something."""
    statement = statement_of(step)
    line = index_of(step.space).parent(statement) if statement is not None else None
    return set(words_in(line)) if isinstance(line, cst.SimpleStatementLine) else set()


def chosen(node: Any, space: Namespace, loop: Any) -> str:
    """In words, what a comparison of scores in a loop decides; "" when nothing lasting hangs on it."""
    if space.source is None:
        return ""
    if isinstance(node, cst.Call):
        return "when the learning rate falls"
    way = list(path_to(space.source.tree, node))
    branch = next((n for n in reversed(way) if isinstance(n, cst.If)), None)
    if branch is not None and contains(branch.test, node):
        return outcome(branch, way, loop)
    statement = next((n for n in reversed(way) if isinstance(n, cst.Assign)), None)
    if statement is None or not isinstance(statement.targets[0].target, cst.Name):
        return ""
    if any(isinstance(n, cst.Call) and contains(statement.value, n) for n in way[:-1]):
        return ""  # scores above a threshold, which something is computed of
    flag = statement.targets[0].target.value
    function = next((n for n in reversed(way) if isinstance(n, (cst.FunctionDef, cst.Module))), None)
    for inner in nodes_in(function) if function is not None else ():
        if isinstance(inner, cst.If) and flag in names_in(inner.test):
            return outcome(inner, way, loop)
        if isinstance(inner, cst.Call) and _KEEPS.search(called(inner)):
            if any(flag in names_in(argument.value) for argument in inner.args):
                return KEPT
    return ""


def outcome(branch: cst.If, way: list[Any], loop: Any) -> str:
    """What is done when a score is the best so far, or when it is not."""
    counters: set[str] = set()
    for outer in way[: way.index(loop) + 1] if loop in way else ():  # those within go through what is judged
        if isinstance(outer, cst.For):
            counters |= set(target_names(outer.target))
    left = next((n for n in reversed(way) if isinstance(n, (cst.For, cst.While)) and contains(n, branch)), None)
    bodies = (b for b in (branch.body, branch.orelse) if isinstance(b, (cst.BaseSuite, cst.Else)))
    done = [node for body in bodies for node in nodes_in(body)]
    for inner in done:
        if isinstance(inner, cst.Call) and (_KEEPS.search(called(inner)) or dotted_name(inner.func) in _DUMPS):
            return KEPT
        if isinstance(inner, cst.Break) and left is not None and contains(left, loop):
            return "when training stops"  # a loop within only goes through what is judged
    raised = {dotted_name(inner.target) for inner in done if isinstance(inner, cst.AugAssign)} - {""}
    targets = (target.target for inner in done if isinstance(inner, cst.Assign) for target in inner.targets)
    reset = {dotted_name(part) for target in targets for part in nodes_in(target)}
    compared = (inner.left for inner in done if isinstance(inner, cst.Comparison))
    if any(dotted_name(left) in raised & reset for left in compared):
        return "when training stops"  # a count of the epochs without a better score
    threaded = {name for outer in way if isinstance(outer, (cst.For, cst.While)) for name in threaded_in(outer)}
    threaded -= set(names_in(branch.test))
    fitted = {name for outer in way if isinstance(outer, (cst.For, cst.While)) for name in fitted_in(outer)}
    for inner in done:
        if isinstance(inner, cst.Assign) and counters & set(names_in(inner.value)):
            return "the epoch or the hyper-parameters"
        if isinstance(inner, cst.Assign) and any(is_one_of(kept, fitted) for kept in listed(inner.value)):
            return "which of several models is kept"
        if isinstance(inner, cst.Assign) and isinstance(inner.value, (cst.Name, cst.Tuple)):
            if threaded & set(names_in(inner.value)):
                return "which weights are kept"
    return ""


def fitted_in(loop: cst.For | cst.While) -> Iterator[str]:
    """The names of estimators that a loop fits."""
    for node in nodes_in(loop.body):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "fit":
            yield from (node.func.value.value,) if isinstance(node.func.value, cst.Name) else ()
        if isinstance(node, cst.Assign) and isinstance(node.value, cst.Call) and called(node.value) == "fit":
            for target in node.targets:
                yield from target_names(target.target)


def is_one_of(node: Any, names: set[str]) -> bool:
    return isinstance(node, cst.Name) and node.value in names


def listed(node: Any) -> list[Any]:
    """The parts of a tuple, or an expression alone."""
    return [element.value for element in node.elements] if isinstance(node, cst.Tuple) else [node]


def threaded_in(loop: cst.For | cst.While) -> Iterator[str]:
    """The names that a loop gives to a call and gets anew from it, as states that are never changed in place."""
    for node in nodes_in(loop.body):
        if isinstance(node, cst.Assign) and isinstance(node.value, cst.Call):
            given = {name for argument in node.value.args for name in names_in(argument.value)}
            for target in node.targets:
                yield from given & set(target_names(target.target))


class NoHeldOutData(Rule):
    """A program trains, and judges on no data."""

    code, name = "TL411", "no-held-out-data"
    message = "the model is trained here and never judged on data held out, so nobody knows what it is worth"
    severity = Severity.WARNING
    default = False

    @on("program")
    def check(self, region: Region, report: Report) -> None:
        if not isinstance(region.node, cst.Module):
            return
        trained = region.of("trained")
        if not trained or region.has("evaluated", "split", "compare", "fitted") or self.holds_out(region):
            return
        if len({id(event.optimizer) for event in region.of("step")}) == 1:
            report(getattr(trained[0].node, "iter", trained[0].node), trained[0].space)

    def holds_out(self, region: Region) -> bool:
        """Whether a program has data that are held out, or a model that is judged."""
        if any(e.mode is False or any(t.data.part in HELD_OUT for t in e.inputs) for e in region.of("model")):
            return True
        loaders = [e.loader for e in region.of("loader")]
        trained = {id(e.loader) for e in region.of("trained")}
        if any(id(loader) not in trained for loader in loaders):
            return True  # one that is not trained on may be judged on where nothing is known of it
        made = (*loaders, *(e.dataset for e in region.of("dataset")))
        return any(dataset_part(one.attrs.get("dataset", one)) in HELD_OUT for one in made)


_TIME = re.compile(r"date|time|(^|_)(day|month|year|hour|week|ts)($|_)", re.IGNORECASE)


class RandomSplitOfSeries(Rule):
    """A time series is split at random."""

    code, name = "TL413", "random-split-of-series"
    message = (
        "rows in order of time (@) are split at random, so the model is judged on days between those it was trained on"
    )
    severity = Severity.WARNING
    default = False

    @on("split")
    def check(self, fact: Any, report: Report) -> None:
        space, node, data, how = fact
        if how == "slice":
            self.mixed(data.data, report)
        if node is None or how not in ("train_test_split", "random_split"):
            return
        for key in data.data.order or ():
            if key[0] == "sorted" and isinstance(key[1], Step) and self.by_time(key[1].node):
                report(node, space).because([key[1]])
                return

    def mixed(self, data: DataInfo, report: Report) -> None:
        """Windows, which overlap, are shuffled and then cut in two."""
        blocks = {key[1][0] for key in data.order or () if key[0] == "filled"}
        made = [step for block, step in report.interp.flags.get(WINDOWS) or () if block in blocks]
        shuffled = [key[1] for key in data.order or () if key[0] == "drawn"]
        if made and shuffled:
            at = next((step for step in shuffled if isinstance(step, Step)), made[0])
            report(at.node, at.space).because([made[0]])

    @on("windows")
    def windows(self, fact: Any, report: Report) -> None:
        """Windows are made over rows that are no longer in their order."""
        node, data = fact
        drawn = [key[1] for key in data.data.order or () if key[0] == "drawn"]
        splits = report.interp.flags.get(SPLITS) or {}
        made = [splits[split] for split in data.data.splits & splits.keys() if drawn]
        parted = [Step(space, split, "split at random") for space, split in made]
        shuffled = [*parted, *(step for step in drawn if isinstance(step, Step))]
        if drawn or (data.data.shuffled and min(data.data.tokens) >= 0):  # or random numbers went into them
            at = shuffled[0] if shuffled else Step(report.space(), node, "windows")
            report(at.node, at.space).because([Step(report.space(), node, "windows over rows in order of time")])

    def by_time(self, node: Any) -> bool:
        """Whether a table is sorted by a column of dates or times."""
        strings = [n for a in getattr(node, "args", ()) for n in nodes_in(a.value) if isinstance(n, cst.SimpleString)]
        return any(_TIME.search(string.value.strip("'\"")) for string in strings)


_CLASSIFIER = re.compile(r"Classifier(CV)?$|^LogisticRegression|SVC$|NB$")


class UnstratifiedSplit(Rule):
    """Labels are split without regard to their classes."""

    code, name = "TL414", "unstratified-split"
    message = "the split does not stratify, so rare classes may be short of samples in one part"
    severity = Severity.WARNING
    default = False
    fixable = Safety.UNSAFE

    @on("program", having="split fitted")
    def check(self, region: Region, report: Report) -> None:
        splits = {event.split: event for event in region.of("split")}
        for fit in region.of("fitted") if splits else ():
            if not isinstance(fit.estimator, Instance) or not isinstance(fit.y, Tensor):
                continue
            if not _CLASSIFIER.search(fit.estimator.describe()):
                continue
            for found in fit.y.data.splits & splits.keys():
                split = splits[found]
                if split.by_chance:
                    fitted = Step(fit.space, fit.node, "a classifier is fitted here")
                    draft = report(split.node, split.space).because([fitted])
                    if fit.space is split.space:
                        draft.repair(partial(self.stratify, fit.node))

    def stratify(self, fit: Any, draft: Draft) -> None:
        """Offer to stratify by that of the split arrays whose part the classifier is fitted to."""
        index, split = index_of(draft.space), draft.node
        statement = index.parent(split)
        targets = statement.targets[0].target if isinstance(statement, cst.Assign) else None
        if not isinstance(targets, cst.Tuple) or not is_plain_call(split, "train_test_split"):
            return
        arrays = positional(split)
        given = keyword(fit, "y") or next(iter(positional(fit)[1:2]), None)
        bindings = index.lookup(given) if isinstance(given, cst.Name) else []
        if len(targets.elements) != 2 * len(arrays) or len(bindings) != 1:
            return
        for place, element in enumerate(targets.elements):
            if element.value is bindings[0].node and is_plain(labels := arrays[place // 2]):
                draft.fix("stratify it by the labels", set_argument(split, "stratify", labels))
