"""What is learnt from data before they are split, or from the parts held out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import libcst as cst

from trainlint.api import Draft, Report, Rule, on, on_call
from trainlint.checks.data import HELD_OUT, datasets_of, value_before
from trainlint.checks.repairs import index_of, line_of
from trainlint.edits import delete, rename
from trainlint.findings import Safety, Severity
from trainlint.semantics.behaviours.data import PART_WORDS, SPLITS, dataset_part, is_of_trees, one_sided
from trainlint.semantics.interpreter import Interpreter, Region
from trainlint.semantics.library import Call, as_tensor
from trainlint.semantics.values import (
    UNKNOWN,
    DataInfo,
    Fit,
    Instance,
    Sequence,
    Step,
    Tensor,
    Value,
)
from trainlint.syntax.code import called
from trainlint.syntax.index import Index


class FitBeforeSplit(Rule):
    """Statistics are taken of data that are split afterwards."""

    code, name = "TL401", "fit-before-split"
    message = "{what} is fitted on all rows before they are split, so the held-out part has leaked into training"
    severity = Severity.WARNING

    @on("split")
    def split(self, fact: Any, report: Report) -> None:
        space, node, data, how = fact
        for fit in data.data.fits:
            plotted = fit.projection and how == "slice"  # a projection cut in two is for a plot
            aside = fit.cut and not data.data.splits <= one_sided(report.interp)  # what was left over is held out
            inside = how == "cross-validation" and is_called_training_part(fit, report.interp)
            made_anew = data.data.order is None and is_of_pixels(
                fit
            )  # patches, of one image that is at hand as a whole
            if not (fit.resampling or plotted or aside or inside or made_anew or fit.of is not None):
                step = Step(space, node, f"split by {how}") if node is not None else None
                if how == "cross-validation" and SCALING.fullmatch(fit.what):
                    report.interp.event("scaled", fit.node, fit, step)
                else:
                    self.tell(fit, step, report)

    @on("program", having="scaled")
    def scaled(self, region: Region, report: Report) -> None:
        """What scales single features makes no difference to trees, where only these learn from them."""
        events = [e for e in (*region.of("fitted"), *region.of("folded")) if not is_searching(e.estimator)]
        for event in region.of("scaled"):
            learning = [e.estimator for e in events if isinstance(e.x, Tensor) and event.fit in e.x.data.fits]
            if not learning or region.has("backward") or not all(map(is_of_trees, learning)):
                self.tell(event.fit, event.step, report)

    @on("pair")
    def told(self, fact: Any, report: Report) -> None:
        """The target's mean in groups of all rows, as a feature of rows that are then split."""
        node, values, how, _ = fact
        if len(values) < 2 or how == "members":
            return
        inputs, target = as_tensor(values[0]).data, as_tensor(values[-1]).data
        for fit in inputs.fits if how == "split" or inputs.splits else ():
            if fit.of is not None and fit.of == target.columns:
                self.tell(fit, Step(report.space(), node, "with the target") if node is not None else None, report)

    @on("leak")
    def leak(self, fact: Any, report: Report) -> None:
        fit, _, node = fact
        self.tell(fit, Step(report.space(), node, "applied after the split"), report)

    @on("program", having="trained evaluated")
    def read_for_each(self, region: Region, report: Report) -> None:
        """A class reads all data for each part, fits on them, and keeps the rows of its part."""
        learnt = datasets_of(event.loader for event in region.of("trained"))
        judged = datasets_of(event.loader for event in region.of("evaluated"))
        for dataset in (d for d in judged if isinstance(d, Instance) and dataset_part(d) in HELD_OUT):
            for other in learnt:
                if isinstance(other, Instance) and other.cls is dataset.cls and dataset_part(other) == "train":
                    for fit in fits_in_common(dataset, other):
                        self.tell(fit, dataset.born, report)

    def tell(self, fit: Fit, step: Step | None, report: Report) -> None:
        what = fit.what if fit.what.startswith("a ") else f"`{fit.what}`"
        report(fit.node, fit.space, what=what).because([step])


def fits_in_common(one: Instance, other: Instance) -> Iterator[Fit]:
    """What was fitted on all of the data of which two data sets of one class keep different rows."""
    for name, rows in one.attrs.items():
        others = other.attrs.get(name)
        if isinstance(rows, Tensor) and isinstance(others, Tensor) and rows.data.tokens == others.data.tokens:
            if rows.data.order is None or rows.data.order != others.data.order:
                places = {fit.node for fit in others.data.fits}
                yield from (f for f in rows.data.fits if f.node in places and not f.resampling and min(f.on) >= 0)


# What keeps the order of the values of each feature.
SCALING = re.compile(r"(Standard|MinMax|MaxAbs|Robust)Scaler|(Quantile|Power)Transformer")


def is_searching(estimator: Value | None) -> bool:
    """Whether this is a search over an estimator that is known, and told of by itself."""
    return isinstance(estimator, Instance) and isinstance(estimator.attrs.get("estimator"), Instance)


FIRST_AXES = re.compile(r"\.shape\[(2|:2)\]")


def is_of_pixels(fit: Fit) -> bool:
    """Whether what is fitted on are the pixels of an image, whose first two axes were made one for it."""
    given = argument_of(fit.node)
    if isinstance(given, cst.Name) and fit.space.source is not None:
        given = value_before(fit.space, given)
    return called(given) == "reshape" and bool(FIRST_AXES.search(cst.Module([]).code_for_node(given)))


def is_called_training_part(fit: Fit, interp: Interpreter) -> bool:
    """Whether data come from out of view and the program calls them its training part: the inputs (`X_train`), or any
    once it has split data. What is called `train` where nothing was split may be all that has labels."""
    argument = argument_of(fit.node)
    if part_called(argument) != "train" or any(token > 0 for token in fit.on):
        return False
    return bool(interp.flags.get(SPLITS)) or "x" in words_of(argument)


def part_called(node: Any) -> str | None:
    """The part of the data that the name of a value speaks of."""
    return next((PART_WORDS[word] for word in words_of(node) if word in PART_WORDS), None)


def words_of(node: Any) -> list[str]:
    """The words in the name that an expression begins with, `self.X_train` included."""
    while isinstance(node, (cst.Subscript, cst.Attribute, cst.Call)):
        if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == "self":
            node = node.attr
        else:
            node = node.func if isinstance(node, cst.Call) else node.value
    return re.split(r"[^a-z]+", node.value.lower()) if isinstance(node, cst.Name) else []


class FitOnTest(Rule):
    """A transform is fitted on held-out data."""

    code, name = "TL402", "fit-on-test"
    message = (
        "{what} is fitted on the {part} part; it must use what was learnt from the training part, "
        "or the two are scaled apart"
    )
    fixable = Safety.UNSAFE

    @on("fit")
    def check(self, fact: Any, report: Report) -> None:
        node, estimator, what, data, earlier, call = fact
        part = data.data.part
        if not what or (what in ("coding", "projection") and earlier is None):
            return
        if part not in HELD_OUT:
            if earlier is None or part is not None:
                return
            apart = another_part(earlier[2].data, data.data, call.argument("x", 1), earlier[1])
            if not apart and not is_predicted_for(node, index_of(report.space())):
                return
        draft = report(node, what=f"`{estimator.describe()}`", part=HELD_OUT.get(part, "held-out"))
        if earlier is not None:
            draft.because([Step(earlier[0], earlier[1], "fitted before")]).repair(self.transform)

    def transform(self, draft: Draft) -> None:
        """Offer to apply what was learnt before."""
        call = draft.node
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or len(call.args) != 1:
            return
        if called(call) == "fit_transform":
            draft.fix("transform only", rename(call.func, "transform"))
        elif called(call) == "fit" and line_of(index_of(draft.space), call) is not None:
            draft.fix("do not fit again", delete(call))

    @on("program", having="coded")
    def coded_apart(self, region: Region, report: Report) -> None:
        """A column of the held-out part gets codes of its own, though those of the training part have some."""
        events = region.of("coded")
        for event in events:
            if event.data.part in HELD_OUT and not event.again:
                twin = next((other for other in events if is_coded_alike(other, event)), None)
                if twin is not None:
                    draft = report(
                        event.node,
                        event.space,
                        what=f"`{event.estimator.describe()}`",
                        part=HELD_OUT[event.data.part],
                    )
                    draft.because([Step(twin.space, twin.node, "codes of the training part")])

    @on("program", having="trained evaluated")
    def fitted_for_each(self, region: Region, report: Report) -> None:
        """A class that reads the rows of one part fits on these, whichever part it is."""
        learnt = datasets_of(event.loader for event in region.of("trained"))
        classes = {dataset.cls for dataset in learnt if isinstance(dataset, Instance)}
        for dataset in datasets_of(event.loader for event in region.of("evaluated")):
            part = dataset_part(dataset)
            if not isinstance(dataset, Instance) or part not in HELD_OUT or dataset.cls not in classes:
                continue
            kept = [value.data for value in dataset.attrs.values() if isinstance(value, Tensor)]
            for estimator in (v for v in dataset.attrs.values() if isinstance(v, Instance) and "$fitted" in v.attrs):
                space, node, given = estimator.attrs["$fitted"]
                cuts = (given.data.tokens, given.data.splits)
                if given.data.splits and any((rows.tokens, rows.splits) == cuts for rows in kept):
                    draft = report(node, space, what=f"`{estimator.describe()}`", part=HELD_OUT[part])
                    draft.because([dataset.born])

    @on_call("torchvision.transforms.Normalize")
    def statistics(self, call: Call, report: Report) -> None:
        """Pixels are normalised by a mean of those held out."""
        means = call.value("mean", 0)
        items = (means.element,) if isinstance(means, Sequence) else getattr(means, "items", None) or (means,)
        part = as_tensor(items[0] or UNKNOWN).data.part
        if part in HELD_OUT:
            report(call.argument("mean", 0), what="a normalisation by hand", part=HELD_OUT[part])

    @on("standardised")
    def by_hand(self, fact: Any, report: Report) -> None:
        node, part = fact
        report(node, what="a normalisation by hand", part=HELD_OUT[part])


def is_coded_alike(trained: Any, held_out: Any) -> bool:
    """Whether an event makes codes, of the same kind, of the same column of other rows, which are not held out."""
    one, other = trained.data, held_out.data
    if one.part in HELD_OUT or not one.tokens or trained.estimator.api_path != held_out.estimator.api_path:
        return False
    if not one.splits and other.tokens <= one.tokens:
        return False  # the first codes are of all rows
    if one.columns is None or other.columns is None:
        same_place = trained.node is held_out.node or is_read_alike(trained.given, held_out.given)
        return one.columns is other.columns and same_place
    return bool(one.columns[0] == other.columns[0] and (one.columns[0] == "all" or one.columns[1] == other.columns[1]))


def is_read_alike(one: Any, other: Any) -> bool:
    """Whether two expressions read the same of two values (`a[column]` and `b[column]`)."""
    while one.__class__ is other.__class__ and isinstance(one, (cst.Subscript, cst.Attribute, cst.Call)):
        if isinstance(one, cst.Subscript):
            return is_kept(one.value) and is_kept(other.value) and alike(one.slice, other.slice)
        one, other = (node.func if isinstance(node, cst.Call) else node.value for node in (one, other))
    return False


def is_kept(node: Any) -> bool:
    """Whether an expression names a value: a variable, an attribute, or an entry by its name."""
    if isinstance(node, cst.Subscript):
        key = node.slice[0].slice
        return isinstance(key, cst.Index) and isinstance(key.value, cst.SimpleString) and is_kept(node.value)
    return isinstance(node, cst.Name) or (isinstance(node, cst.Attribute) and is_kept(node.value))


def alike(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(mine.deep_equals(theirs) for mine, theirs in zip(one, other, strict=True))


def another_part(first: DataInfo, second: DataInfo, node: Any, fitted: Any) -> bool:
    """Whether what an estimator is fitted on again is the part of the data that was held out from the first fit.

    Another slice of the same data is, and other rows where the program calls the one its training and the other its
    test part; where the data come from out of view, what the program calls its test part."""
    if first.tokens & second.tokens:
        if not first.order or not second.order:
            return bool(first.splits and second.splits) and first.splits != second.splits
        other_side = is_other_side(first.order, second.order)
        split_apart = bool(first.splits and second.splits) and first.splits != second.splits
        picked = not (first.order <= second.order or second.order <= first.order)
        called_apart = part_called(argument_of(fitted)) == "train" and part_called(node) in HELD_OUT
        return other_side or split_apart or (picked and called_apart)
    return part_called(node) in HELD_OUT and part_called(argument_of(fitted)) not in HELD_OUT


def is_predicted_for(node: Any, index: Index) -> bool:
    """Whether what a fit gives goes straight into a model that predicts: `model.predict(scaler.fit_transform(x))`."""
    above = index.parent(node)
    call = index.parent(above) if isinstance(above, cst.Arg) else None
    return isinstance(call, cst.Call) and called(call) in ("predict", "predict_proba", "decision_function")


def argument_of(node: Any) -> Any:
    """What a call is given first, as it is written."""
    return node.args[0].value if isinstance(node, cst.Call) and node.args else None


def is_other_side(first: frozenset[Any], second: frozenset[Any]) -> bool:
    """Whether rows are those behind the place up to which others were taken (`x[:n]` and `x[n:]`)."""
    heads = {key[2] for key in first - second if key[0] == "chosen" and len(key) == 3 and key[1] is None}
    return any(key[0] == "chosen" and len(key) == 3 and key[2] is None and key[1] in heads for key in second - first)


class ResampleBeforeSplit(Rule):
    """Rows are duplicated or dropped before the split."""

    code, name = "TL423", "resample-before-split"
    message = "`{what}` resamples all rows before they are split, so {harm}"
    COPIES = "copies of training rows end up in the held-out part"
    THINNED = "rows of the larger class are missing from the held-out part too, whose score is not that of real data"
    # What leaves rows out and makes none.
    THINNING = re.compile(
        r"(RandomUnderSampler|NearMiss|TomekLinks|AllKNN|OneSidedSelection|NeighbourhoodCleaningRule|\w*NearestNeighbours?"
        r"|InstanceHardnessThreshold)"
    )

    @on("split")
    def check(self, fact: Any, report: Report) -> None:
        space, node, data, how = fact
        if (data.data.part is not None or data.data.splits) and not how.startswith("train_test_split"):
            return  # in folds of the training part, the copies reach no score but those that choose
        for fit in data.data.fits:
            if fit.resampling:
                harm = self.THINNED if self.THINNING.fullmatch(fit.what) else self.COPIES
                report(fit.node, fit.space, what=fit.what, harm=harm).because(
                    [Step(space, node, f"split by {how}") if node is not None else None]
                )
