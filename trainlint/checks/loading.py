"""Loading: how loaders serve batches, to one process and to several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on
from trainlint.checks.augmenting import apis_called
from trainlint.checks.data import HELD_OUT, fixed_order, same_options, shuffling
from trainlint.checks.repairs import around, assigned, index_of, serves_one
from trainlint.checks.schedules import turns
from trainlint.edits import insert_at_start, set_argument
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.data import dataset_part, roots
from trainlint.semantics.classes import said_length
from trainlint.semantics.interpreter import Region, drawn_from, outwards
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.values import (
    UNKNOWN,
    Class,
    Const,
    Function,
    Instance,
    Number,
    Step,
    Tensor,
    Tuple,
    Union,
    Value,
    options,
    usual,
)
from trainlint.syntax.code import contains, is_name, is_plain_call, keyword


def surely_none(value: Value | None) -> bool:
    return value is None or (isinstance(value, Const) and value.value is None)


def learnt_calls(region: Region) -> list[Any]:
    """The events of model calls whose outputs a backward in the region reaches."""
    nodes = {dep.node for event in region.of("backward") for dep in event.loss.deps if dep.live}
    return [event for event in region.of("model") if event.node in nodes]


class DistributedSampling(Rule):
    """Processes that train together do not share the data out anew each epoch."""

    code, name = "TL418", "distributed-sampler"
    message = "{what}"
    severity = Severity.WARNING
    fixable = Safety.SAFE

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        if isinstance(region.value, Instance) and region.value.family == "loader":
            self.undivided(region, region.value, report)
            return
        if not all(isinstance(event.sampler, Instance) for event in region.of("set_epoch")):
            return  # it may be the one that is asked for
        made = [event.loader for event in region.of("loader")]
        anew = [event.loader for event in region.of("anew")]
        by_hand = [(region.node, region.space, drawn) for drawn in drawn_from(region) if any(drawn is a for a in anew)]
        for node, space, loader in [*((e.node, e.space, e.loader) for e in region.of("trained")), *by_hand]:
            sampler = distributed_sampler(loader)
            if sampler is None or sampler.born is None or "$epoch" in sampler.attrs or any(loader is m for m in made):
                continue
            if not escapes(region, loader, sampler):
                what = (
                    "`DistributedSampler` is never told the epoch (`set_epoch`), "
                    "so every epoch serves the same batches in the same order"
                )
                draft = report(sampler.born.node, sampler.born.space, what=what)
                draft.because([Step(space, node, "trained on here")])
                if region.space is sampler.born.space and node is not region.node:
                    draft.repair(partial(self.tell_epoch, region.node))

    @on("program", having="set_epoch")
    def unused(self, region: Region, report: Report) -> None:
        """A sampler is told the epoch, and the loader of its data does not have it."""
        told = {id(e.sampler): e.sampler for e in region.of("set_epoch") if isinstance(e.sampler, Instance)}
        given = {id(sampler) for *_, loader in region.of("loader") for sampler in samplers(loader)}
        trained = [event.loader for event in region.of("trained") if not samplers(event.loader)]
        for sampler in (told[ident] for ident in told.keys() - given):
            data = sampler.attrs.get("dataset", UNKNOWN)
            for loader in trained if sampler.born is not None and data is not UNKNOWN else ():
                if loader.born is not None and same_options(loader.attrs.get("dataset", UNKNOWN), data):
                    what = (
                        "a `DistributedSampler` (@) is made for these data and not given to their loader, "
                        "so every process goes through all of them"
                    )
                    report(loader.born.node, loader.born.space, what=what).because([sampler.born])

    def tell_epoch(self, loop: Any, draft: Draft) -> None:
        """Offer to tell the sampler the epoch, where its name is surely bound when a plain loop over epochs begins."""
        index = index_of(draft.space)
        statement = index.statement(draft.node)
        target = statement.targets[0].target if isinstance(statement, cst.Assign) else None
        if not isinstance(target, cst.Name) or assigned(statement, target) is not draft.node:
            return
        if not isinstance(loop, cst.For) or not isinstance(loop.target, cst.Name):
            return
        line: Any = index.parent(statement)  # type: ignore[arg-type]
        block: Any = index.parent(line)
        later = around(index, loop, block)
        bound = index.lookup(target)
        if later is None or len(bound) != 1 or index.function(loop) is not index.function(target):
            return
        if block.body.index(line) < block.body.index(later) and is_plain_call(loop.iter, "range"):
            draft.fix("tell it the epoch", insert_at_start(loop, target, ".set_epoch(", loop.target, ")"))

    def undivided(self, region: Region, loader: Instance, report: Report) -> None:
        """A model wrapped for several processes is trained on a loader that serves all data to each of them."""
        attrs = loader.attrs
        if attrs.get("$open") or not surely_none(attrs.get("sampler")) or not surely_none(attrs.get("batch_sampler")):
            return
        if loader.born is None or not region.has("step"):
            return
        if not any("$distributed" in call.module.attrs for call in learnt_calls(region)):
            return
        dataset = attrs.get("dataset")
        found = [] if isinstance(dataset, Instance) and "$indices" in dataset.attrs else roots(dataset)
        if found and all(same_everywhere(root) for root in found) and not speaks_of_rank(loader):
            what = (
                "the loader of a model in `DistributedDataParallel` has no `DistributedSampler`, "
                "so every process goes through all the data"
            )
            report(loader.born.node, loader.born.space, what=what).because(
                [Step(region.space, region.node, "trained on here")]
            )


def samplers(loader: Instance) -> list[Value]:
    """The samplers that a loader may have, and those inside them; one that is not known where its options are not."""
    found: list[Value] = [UNKNOWN] if loader.attrs.get("$open") else []
    for name in ("sampler", "batch_sampler"):
        for value in options(loader.attrs[name]) if isinstance(loader.attrs.get(name), Value) else ():
            if not surely_none(value):
                inner = value.attrs.values() if isinstance(value, Instance) else ()
                found += [value, *(v for v in inner if isinstance(v, Value))]
    return found


def distributed_sampler(loader: Instance) -> Instance | None:
    """The `DistributedSampler` that shuffles for a loader, if that is what it has."""
    given = [option for name in ("sampler", "batch_sampler") for option in options(loader.attrs.get(name, UNKNOWN))]
    batched = [
        sampler for sampler in given if isinstance(sampler, Instance) and sampler.api_path.endswith(".BatchSampler")
    ]
    given += [option for sampler in batched for option in options(sampler.attrs.get("sampler", UNKNOWN))]
    for value in given:
        if isinstance(value, Instance) and re.fullmatch(r"torch\..*\.DistributedSampler", value.api_path):
            shuffle = value.attrs.get("shuffle")
            return value if shuffle is None or (isinstance(shuffle, Const) and shuffle.value) else None
    return None


def escapes(region: Region, *objects: Instance) -> bool:
    """Whether code out of view may have got hold of one of these objects in a region."""
    for event in region.of("escape"):
        for value in event.values:
            held = value.attrs.values() if isinstance(value, Instance) else ()
            if any(value is o or any(item is o for item in held) for o in objects):
                return True
    return False


_RANK = re.compile(r"rank|world|shard|worker|process_index|num_replicas|rand")


def same_everywhere(root: Value) -> bool:
    """Whether data surely are the same, whole and real, in each process."""
    if not isinstance(root, Instance) or root.family == "iterable" or root.born is None:
        return False
    if "$members" in root.attrs or _RANK.search(written(root.born)):
        return False
    tensors = root.attrs.get("$tensors")
    if isinstance(tensors, Tuple):
        return bool(tensors.items) and all(isinstance(t, Tensor) and bool(t.data.tokens) for t in tensors.items)
    if isinstance(root.cls, Class):
        if root.cls.find("__iter__") is not None or not isinstance(root.cls.find("__getitem__"), Function):
            return False
        return not _RANK.search(written(Step(root.cls.space, root.cls.node, "")))
    return root.api_path.startswith("torchvision.datasets.") and not root.api_path.endswith("FakeData")


def speaks_of_rank(loader: Instance) -> bool:
    assert loader.born is not None
    return bool(re.search(r"rank|world|shard", written(loader.born)))


def written(step: Step) -> str:
    """The text of a piece of code."""
    source = step.space.source
    return source.tree.code_for_node(step.node) if source is not None else ""


# ------------------------------------------------------------------- one batch

_DELIBERATE = re.compile(
    r"over_?fit|sanity|debug|smoke|bench|profil|memori[sz]e|(single|one|fixed|same)_(mini_?)?batch|warm_?up|throughput|"
    r"(fit|train|learn)\w*\W+(\w+\W+){0,3}(single|one|same|fixed)\W+(mini-?)?batch",
    re.IGNORECASE,
)


MANY_DRAWS = 1000  # steps, each with a random batch of its own, that see as much as some passes do


class OneBatchReused(Rule):
    """Training draws its batches with `next(iter(loader))`, and so sees the first one only."""

    code, name = "TL419", "one-batch-reused"
    message = "{what}"

    @on("loop", having="step")
    def check(self, region: Region, report: Report) -> None:
        inside = {event.token: event for event in region.of("next") if event.token}
        before = {event.token: event for outer in outwards(region.parent) for event in outer.of("next") if event.token}
        if not inside and not before:
            return
        sources = sources_of(region)
        for token, (_, node, space, loader, *_) in inside.items():
            if not any(token in tokens for tokens in sources) or whole_set(loader) or of_turn(loader, region):
                continue
            if fixed_order(loader):
                what = "`next(iter(loader))` starts anew each time, so training sees the first batch again and again"
            elif all(token in tokens for tokens in sources) and (turns(region, report) or 0) < MANY_DRAWS:
                what = "`next(iter(loader))` starts a new pass each time, so training sees one batch of each pass only"
            else:
                continue
            if not deliberate(region, node, space):
                report(node, space, what=what).because([loader.born, Step(region.space, region.node, "in this loop")])
        outside = before.keys() - inside.keys()
        if not outside or not sources or not all(tokens & outside for tokens in sources):
            return
        for token in outside & frozenset().union(*sources):
            _, node, space, loader, *_ = before[token]
            size = loader.attrs.get("batch_size")
            small = size is None or ((usually := usual(size)) is not None and usually <= 512)
            if small and not whole_set(loader) and not deliberate(region, node, space):
                what = "one batch is taken before the loop, and every step in the loop trains on that same batch"
                report(node, space, what=what).because([Step(region.space, region.node, "trained on here")])


def sources_of(region: Region) -> list[frozenset[int]]:
    """For each time that data are learnt from in a region, which data they are."""
    given = [[t for t in call.inputs if t.graph is False] for call in learnt_calls(region)]
    if not given and region.has("backward"):
        given = [[event.given] for event in region.of("loss") if event.result.graph is not False]
    return [frozenset(token for tensor in tensors for token in tensor.data.tokens) for tensors in given]


def of_turn(loader: Instance, region: Region) -> bool:
    """Whether a loader and its data are made anew in each turn of a loop."""
    dataset = loader.attrs.get("dataset")
    made = [value.born for value in (loader, dataset) if isinstance(value, Instance)]
    return all(born is not None and born.space is region.space and contains(region.node, born.node) for born in made)


def whole_set(loader: Instance) -> bool:
    """Whether one batch may hold the whole data set, which may be a single item, such as an image."""
    size, dataset = loader.attrs.get("batch_size"), loader.attrs.get("dataset")
    said = said_length(dataset.cls) if isinstance(dataset, Instance) and isinstance(dataset.cls, Class) else None
    if isinstance(said, cst.Integer) and said.evaluated_value == 1:
        return True
    return size is not None and (not isinstance(size, (Const, Number)) or getattr(size, "nature", None) == "a length")


def deliberate(region: Region, node: Any, space: Namespace) -> bool:
    """Whether the words around say that training on one batch is meant."""
    if space.path is not None and re.search(r"test|bench|debug|profil", space.path.name.lower()):
        return True
    for outer in outwards(region):
        if outer.kind == "call" and isinstance(outer.value, Function) and _DELIBERATE.search(outer.value.name):
            return True
    for place, where in ((node, space), (region.node, region.space)):
        source = where.source
        if source is None:
            continue
        line = source.span(place).line
        lines = source.text.splitlines()[max(line - 6, 0) : line + 4]
        if _DELIBERATE.search("\n".join(lines)):
            return True
    return False


# --------------------------------------------------------------- evaluation loaders


class EvaluationShuffled(Rule):
    """An evaluation loader shuffles, or drops what does not fill a batch."""

    code, name = "TL404", "evaluation-shuffled"
    message = "the {part} loader {how}"
    severity = Severity.WARNING
    default = False
    fixable = Safety.UNSAFE

    @on("program", having="evaluated")
    def check(self, region: Region, report: Report) -> None:
        trained = [event.loader for event in region.of("trained")]
        for _, node, space, loader in region.of("evaluated"):
            part = dataset_part(loader.attrs.get("dataset"))
            if part not in HELD_OUT or loader.born is None or any(loader is other for other in trained):
                continue
            self.tell(loader, HELD_OUT[part], Step(space, node, "evaluated here"), trained, report)

    @on("validated")
    def by_engine(self, fact: Any, report: Report) -> None:
        """What an engine validates on is held out, whatever it is made of."""
        trained, judged, given = fact
        at = Step(report.space(), given, "validated here") if given is not None else None
        for loader in judged:
            if loader.born is not None and all(loader is not other for other in trained):
                part = HELD_OUT.get(str(dataset_part(loader.attrs.get("dataset"))), HELD_OUT["val"])
                self.tell(loader, part, at, trained, report)

    def tell(self, loader: Instance, part: str, at: Step | None, trained: list[Instance], report: Report) -> None:
        how, by = disturbed(loader)
        if how and loader.born is not None:
            draft = report(by.node, by.space, part=part, how=how)
            draft.because([loader.born, at])
            if all(other.born is None or other.born.node is not loader.born.node for other in trained):
                draft.repair(partial(self.keep_order, loader.born.node))

    def keep_order(self, call: Any, draft: Draft) -> None:
        """Offer to serve all samples in their order, where the loader is for these data alone."""
        if is_plain_call(call, "DataLoader") and serves_one(draft.space, call):
            asked = [name for name in ("shuffle", "drop_last") if is_name(keyword(call, name), "True")]
            if asked:
                draft.fix("serve all samples in their order", *(set_argument(call, name, "False") for name in asked))


def disturbed(loader: Instance) -> tuple[str, Step]:
    """In words, what a loader does that an evaluation has no use for, and where that is asked for; "" for nothing."""
    assert loader.born is not None
    call, space = loader.born.node, loader.born.space
    if is_true(loader.attrs.get("drop_last")):
        asked = keyword(call, "drop_last") or call
        return "drops the last batch, so some samples are never judged", Step(space, asked, "asked for here")
    samplers = options(loader.attrs.get("sampler", UNKNOWN))
    at_random = [sampler for sampler in samplers if is_random_order(sampler)]
    if is_true(shuffling(loader)) or (at_random and None not in map(is_random_order, samplers)):
        asked = Step(space, keyword(call, "shuffle") or call, "asked for here")
        made = at_random[0].born if at_random and isinstance(at_random[0], Instance) else None
        return "shuffles, so runs and their batches cannot be compared", made or asked
    return "", loader.born


def is_random_order(sampler: Value) -> bool | None:
    """Whether a sampler of PyTorch's serves all samples in a random order; None for one that is not known."""
    if isinstance(sampler, Const) and sampler.value is None:
        return False
    if not isinstance(sampler, Instance) or not sampler.api_path.startswith("torch.utils.data."):
        return None
    return sampler.describe() == "RandomSampler" and not is_true(sampler.attrs.get("replacement"))


def is_true(value: Value | None) -> bool:
    return isinstance(value, Const) and value.value is True


# ------------------------------------------------------------------------- workers


class WorkerSeeds(Rule):
    """NumPy's generator is used in a data set with worker processes."""

    code, name = "TL416", "worker-seeds"
    message = (
        "this draws from NumPy's generator in worker processes (@), which PyTorch before 1.9 starts from one state: "
        "all workers then draw the same numbers"
    )
    severity = Severity.WARNING
    default = False

    @on("program", having="loader")
    def check(self, region: Region, report: Report) -> None:
        for _, _, _, loader in region.of("loader"):
            workers, init = loader.attrs.get("num_workers"), loader.attrs.get("worker_init_fn")
            if loader.attrs.get("$open") or not surely_none(init) or not at_work(workers):
                continue
            for part in (*wrappers(loader.attrs.get("dataset")), *roots(loader.attrs.get("dataset"))):
                if isinstance(part, Instance) and isinstance(part.cls, Class):
                    item = part.cls.find("__getitem__")
                    if isinstance(item, Function):
                        for node, space in numpy_draws(item, part.cls):
                            report(node, space).because([loader.born])


def wrappers(dataset: Value | None) -> Iterator[Instance]:
    """The data sets that serve what another one keeps, from the outermost."""
    for _ in range(6):
        inner = dataset.attrs.get("dataset") if isinstance(dataset, Instance) else None
        if not isinstance(dataset, Instance) or not isinstance(inner, Instance):
            return
        yield dataset
        dataset = inner


def at_work(workers: Value | None) -> bool:
    """Whether a number of workers is surely above zero."""
    if isinstance(workers, Union):
        return all(map(at_work, workers.options))
    if isinstance(workers, Const):
        return isinstance(workers.value, int) and workers.value > 0
    return isinstance(workers, Number) and workers.lo > 0


def numpy_draws(item: Function, cls: Class) -> list[tuple[Any, Namespace]]:
    """Calls of NumPy's global generator in a method, and in what it calls."""
    other = ("default_rng", "RandomState", "Generator", ".seed")
    return [
        (node, space)
        for node, space, path in apis_called(item, cls)
        if path.startswith("numpy.random.") and path.count(".") == 2 and not path.endswith(other)
    ]


# ---------------------------------------------------------------------- batch size


class BatchSizeExtreme(Rule):
    """Batches of one sample meet batch norm, or very large ones an unscaled rate."""

    code, name = "TL421", "batch-size-extreme"
    message = "{what}"
    severity = Severity.WARNING
    default = False
    LARGE = 4096

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        loader = region.value
        if not isinstance(loader, Instance) or loader.family != "loader":
            return
        if loader.born is None or loader.attrs.get("$open") or not surely_none(loader.attrs.get("batch_sampler")):
            return
        calls = learnt_calls(region)
        if not calls:
            return
        value = loader.attrs.get("batch_size")
        size = 1 if value is None else value.value if isinstance(value, Const) else None
        if not isinstance(size, int):
            return
        if size == 1 and any(call.mode is True and call.layers == "batch norm" for call in calls):
            what = "batches of one sample: batch norm takes its mean and variance from that sample alone"
        elif size >= self.LARGE and (rates := rates_of(region)) and max(rates) <= 1e-3:
            what = f"batches of {size} with a rate of {max(rates):g}: few, small steps; scale the rate with the batch"
        else:
            return
        report(loader.born.node, loader.born.space, what=what).because(
            [Step(region.space, region.node, "trained on here")]
        )


def rates_of(region: Region) -> list[float]:
    """The constant learning rates of the optimizers that step in a region."""
    rates = [event.optimizer.attrs.get("lr") for event in region.of("step") if isinstance(event.optimizer, Instance)]
    return [r.value for r in rates if isinstance(r, Const) and isinstance(r.value, (int, float))]
