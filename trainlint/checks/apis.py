"""APIs: what PyTorch, torchvision and NumPy have removed, are removing, or never meant for use.

Which these are is told by `knowledge/apis.toml`; `semantics.uses` finds where they stand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import zip_longest
from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.checks.numerics import operand_of
from trainlint.edits import (
    CodeEdit,
    imported,
    insert_before,
    overwrite,
    remove_argument,
    remove_import,
    rename,
    replace,
    set_argument,
)
from trainlint.findings import Safety, Severity
from trainlint.semantics.interpreter import Region
from trainlint.semantics.library import Call
from trainlint.semantics.namespace import Namespace
from trainlint.semantics.requirements import allowed, version
from trainlint.semantics.uses import Entry, Use, table
from trainlint.semantics.values import Api, Method, Tensor, is_number
from trainlint.syntax.code import called, is_one, names_in

TITLES = {"torch": "PyTorch", "functorch": "PyTorch", "torchvision": "torchvision", "numpy": "NumPy"}


class ApiRule(Rule, ABC):
    """A rule on the uses of one kind of rows."""

    @on("use")
    def check(self, use: Use, report: Report) -> None:
        entry, package = use.entry, use.path.partition(".")[0]
        if not self.concerns(entry, package) or not is_due(use):
            return
        title = TITLES[package]
        name = f"{entry.name}=" if entry.is_argument else entry.name
        advice = f"; use `{entry.get('use')}`" if entry.get("use") else f"; {entry.get('note')}"
        draft = report(
            use.node,
            use.space,
            name=name,
            since=f"since {title} {entry.get('since')}" if entry.get("since") else "",
            removed=f"from {title}" if entry.get("removed") == "*" else f"in {title} {entry.get('removed')}",
            advice=advice if advice != "; " else "",
        )
        edits = rewritten_argument(use) if entry.is_argument else rewritten(use)
        if edits:
            draft.fix(f"use `{entry.get('use')}`" if entry.get("use") else f"leave `{entry.name}` out", *edits)

    @abstractmethod
    def concerns(self, entry: Entry, package: str) -> bool:
        """Whether the rule is about such rows."""


def is_due(use: Use) -> bool:
    """Whether the versions that the project is for call for the change."""
    entry, package = use.entry, use.path.partition(".")[0].replace("functorch", "torch")
    if use.space.path is None:
        return True
    lowest, excluded = allowed(use.space.path, package)
    removed = entry.get("removed")
    if removed:
        return excluded is None or excluded > version(removed)
    since, new = version(entry.get("since")), version(entry.get("new") or entry.get("since"))
    if excluded is not None and excluded <= since:
        return False
    return lowest is None or lowest >= new  # else what should be used instead is not there yet


def rewritten(use: Use) -> list[CodeEdit]:
    """The edits that put the new API in the place of an old one, as its row says; none where it does not fit."""
    row = use.entry.row
    if not row.get("rename"):
        return []
    if isinstance(use.node, cst.ImportAlias):
        return rewritten_import(use)
    path = row["use"].removesuffix("()")
    suffix = "()" if path != row["use"] else ""
    return rewritten_call(use.entry, use.node, use.call, (imported(path), suffix) if suffix else (imported(path),))


def rewritten_call(entry: Entry, name: Any, call: cst.Call | None, new: tuple[Any, ...]) -> list[CodeEdit]:
    """The edits at one place: another name, and the arguments that go with it."""
    first, last, wrap = entry.get("first"), entry.get("last"), entry.get("wrap")
    changes = first or last or wrap or "only" in entry.row
    if call is None:
        if not changes:
            return [replace(name, *new)] if new else []
        # A decorator is written without a call.
        return [replace(name, *(new or (name,)), "(", last, ")")] if last and not first else []
    if "only" in entry.row and not (len(call.args) == entry.row["only"] and is_positional(call.args)):
        return []
    if wrap and not is_positional(call.args):
        return []
    edits = [replace(name, *new)] if new else []
    for assignment in filter(None, last.split(", ")):
        keyword, _, value = assignment.partition("=")
        if any(a.star or (a.keyword is not None and a.keyword.value == keyword) for a in call.args):
            return []
        edits.append(set_argument(call, keyword, value))
    if first or wrap:
        if any(a.star for a in call.args):
            return []
        pieces: list[Any] = [*(new or (name,)), "(", wrap[:1], first]
        for i, (argument, keyword) in enumerate(zip_longest(call.args, entry.get("params").split()[: len(call.args)])):
            given = argument.keyword.value if argument.keyword is not None else keyword
            pieces += [", " if i or first else "", f"{given}=" if given else "", argument.value]
        return [replace(call, *pieces, f"{wrap[1:]})")]
    return edits


def rewritten_import(use: Use) -> list[CodeEdit]:
    """The edits that import the new API under the name of the old one, and fit the calls of it."""
    source = use.space.source
    assert source is not None
    index, entry, alias = source.index, use.entry, use.node
    statement = index.parent(alias)
    module, _, name = entry.get("use").rpartition(".")
    if not isinstance(statement, cst.ImportFrom) or isinstance(statement.names, cst.ImportStar) or "(" in name:
        return []
    local = alias.asname.name if alias.asname is not None else alias.name
    binding = index.binding(local)
    if binding is None:
        return []
    edits: list[CodeEdit] = []
    is_renamed = alias.asname is None and name != local.value
    for reference in index.references(binding):
        above = index.parent(reference)
        call = above if isinstance(above, cst.Call) and above.func is reference else None
        found = rewritten_call(entry, reference, call, (name,) if is_renamed else ())
        needs = is_renamed or any(entry.get(field) for field in ("first", "last", "wrap")) or "only" in entry.row
        if not found and needs:
            return []
        edits += found
    written = name if alias.asname is None else f"{name} as {local.value}"
    if len(statement.names) == 1:
        return [overwrite(statement.module, module), overwrite(alias, written), *edits]
    return [insert_before(statement, f"from {module} import {written}"), remove_import(statement, alias), *edits]


def is_positional(arguments: Any) -> bool:
    """Whether all arguments are given by position, and none is unpacked."""
    return all(a.keyword is None and not a.star for a in arguments)


def rewritten_argument(use: Use) -> list[CodeEdit]:
    """The edits that write an argument in its new form, where its value is written out."""
    argument, call = use.node, use.call
    if use.entry.get("rename") and argument.keyword is not None:
        return [overwrite(argument.keyword, use.entry.row["use"])]
    forms = use.entry.row.get("write", {})
    value = argument.value.value if isinstance(argument.value, cst.Name) else None
    if call is None or value not in forms or any(a.star for a in call.args):
        return []
    text = forms[value]
    if not text:
        return [remove_argument(call, argument)]
    keyword = text.partition("=")[0]
    rivals = ("reduction", "reduce", "size_average", "weights", "weights_backbone")
    if any(a.keyword is not None and a is not argument and a.keyword.value in rivals for a in call.args):
        if keyword != "weights" and keyword != "weights_backbone":
            return []
    if "{weights}" in text:
        part = use.path.removeprefix("torchvision.models.").rpartition(".")[0]
        weights = table().weights.get(part if part in WEIGHT_PARTS else "")
        if weights is None:
            return []
        text = text.format(weights=weights)
    if use.path.endswith("ssd300_vgg16") and keyword == "weights_backbone":
        return []  # its backbone has weights of its own kind
    return [overwrite(argument, text)]


ZERO_DIM = Entry("[0]", {"removed": "0.5"})
ITERATOR_NEXT = Entry("next", {"removed": "1.13"})
WEIGHT_PARTS = ("detection", "segmentation", "video", "quantization", "optical_flow")


class RemovedApi(ApiRule):
    """An API is used that is gone."""

    code, name = "TL910", "removed-api"
    message = "`{name}` was removed {removed}{advice}"
    fixable = Safety.SAFE

    def concerns(self, entry: Entry, package: str) -> bool:
        return bool(entry.get("removed"))

    @on_call("torch.Tensor.symeig")
    def method(self, call: Call, report: Report) -> None:
        """A method that went with the function of its name."""
        if not isinstance(call.receiver, Tensor) or call.receiver.lib != "torch":
            return
        name = called(call.node)
        entry, space = table().entry(f"torch.{name}"), call.interp.frame.space
        if entry is not None and is_due(Use(space, entry.name, entry, call.node, call.node)):
            removed, advice = f"in PyTorch {entry.get('removed')}", f"; use `{entry.get('use')}`"
            report(call.node, name=f"Tensor.{name}", removed=removed, advice=advice)

    @on("program", having="next")
    def next_batch(self, region: Region, report: Report) -> None:
        """`iter(loader).next()`, as iterators of Python 2 had it."""
        for event in region.of("next"):
            node, space, loader = event.node, event.space, event.loader
            method = getattr(node, "func", None)
            if not isinstance(method, cst.Attribute) or method.attr.value != "next" or loader.family != "loader":
                continue
            if isinstance(loader.cls, Api) and is_due(Use(space, "torch", ITERATOR_NEXT, node, None)):
                removed, advice = "from the iterators of loaders in PyTorch 1.13", "; use `next(…)`"
                draft = report(node, space, name="next", removed=removed, advice=advice)
                if not node.args:
                    draft.fix("call `next`", replace(node, "next(", method.value, ")"))

    @on("indexed")
    def indexed(self, fact: Any, report: Report) -> None:
        """`loss.data[0]`, from the time when a loss had one dimension."""
        node, owner, indices = fact
        if owner.lib != "torch" or len(indices) != 1 or not is_number(indices[0]):
            return
        space = report.interp.frame.space
        if owner.shape != () and (owner.shape is not None or not is_differentiated(node.value, space)):
            return
        if not is_due(Use(space, "torch", ZERO_DIM, node, None)) or is_asked_for(node, space):
            return
        tensor = node.value
        if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data":
            tensor = tensor.value
        removed = "for tensors without dimensions, such as a loss, in PyTorch 0.5"
        draft = report(node, name="[0]", removed=removed, advice="; use `item()`")
        draft.fix("call `item()`", replace(node, tensor, ".item()"))


ASKS = frozenset(("type", "isinstance", "dim", "ndim", "ndimension", "shape", "size", "len", "numel"))


def is_differentiated(tensor: Any, space: Namespace) -> bool:
    """Whether a backward runs from a tensor, or from the one that this is the `data` of, which then is one number."""
    held = tensor.value if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data" else tensor
    if not isinstance(held, cst.Name) or space.source is None:
        return False
    index = space.source.index
    bindings = index.lookup(held)
    methods = [index.parent(use) for use in index.references(bindings[0])] if len(bindings) == 1 else []
    run = [index.parent(m) for m in methods if isinstance(m, cst.Attribute) and m.attr.value == "backward"]
    return any(isinstance(call, cst.Call) and not call.args for call in run)


def is_asked_for(node: Any, space: Namespace) -> bool:
    """Whether a tensor is indexed under a condition on what it is."""
    above = space.source.index.ancestors(node) if space.source is not None else ()
    return any(isinstance(a, (cst.If, cst.IfExp)) and not ASKS.isdisjoint(names_in(a.test)) for a in above)


class DeprecatedApi(ApiRule):
    """An API is used that is going to be removed."""

    code, name = "TL911", "deprecated-api"
    message = "`{name}` is deprecated {since}{advice}"
    fixable = Safety.SAFE
    severity = Severity.WARNING

    def concerns(self, entry: Entry, package: str) -> bool:
        return package != "torchvision" and not entry.get("removed") and not entry.get("private")


class NonPublicApi(ApiRule):
    """An API is used that is not public."""

    code, name = "TL912", "non-public-api"
    message = "`{name}` is not public and may change in any release{advice}"
    fixable = Safety.SAFE
    severity = Severity.WARNING

    def concerns(self, entry: Entry, package: str) -> bool:
        return bool(entry.get("private"))


class DeprecatedVisionApi(ApiRule):
    """A torchvision API is used that is going to be removed."""

    code, name = "TL914", "deprecated-vision-api"
    message = "`{name}` is deprecated {since}{advice}"
    fixable = Safety.SAFE
    severity = Severity.WARNING

    def concerns(self, entry: Entry, package: str) -> bool:
        return package == "torchvision" and not entry.get("removed")


class ReentrantCheckpoint(Rule):
    """A checkpointed call leaves it open which implementation runs."""

    code, name = "TL913", "reentrant-checkpoint"
    message = (
        "`{name}` is not told `use_reentrant`, which PyTorch demands since 2.4: the reentrant default is being given up"
    )
    fixable = Safety.UNSAFE
    severity = Severity.WARNING

    @on_call("torch.utils.checkpoint.checkpoint")
    def check(self, call: Call, report: Report) -> None:
        if call.value("use_reentrant") is None and not is_passed_on(call):
            report(call.node, name=call.short_name).fix(
                "pass `use_reentrant=False`", set_argument(call.node, "use_reentrant", "False")
            )


class UnsafeLoad(Rule):
    """A checkpoint is loaded in a way that runs code from the file."""

    code, name = "TL807", "unsafe-load"
    message = (
        "`torch.load` without `weights_only` runs code from the file on PyTorch before 2.6, which the project asks for"
    )
    fixable = Safety.UNSAFE
    severity = Severity.WARNING

    @on_call("torch.load")
    def check(self, call: Call, report: Report) -> None:
        space = call.interp.frame.space
        if call.value("weights_only") is not None or is_passed_on(call) or space.path is None:
            return
        _, excluded = allowed(space.path, "torch")
        # Where newer ones are permitted, they are what gets installed; before 1.13, there is no `weights_only`.
        if excluded is not None and version("1.13") < excluded <= version("2.6"):
            report(call.node).fix("pass `weights_only=True`", set_argument(call.node, "weights_only", "True"))


def is_passed_on(call: Call) -> bool:
    """Whether a call hands on arguments that are not in view."""
    return call.arguments.open or any(argument.star == "**" for argument in getattr(call.node, "args", ()))


class LossOfPrecision(Rule):
    """A logarithm of 1 + x or an exponential minus 1 loses small numbers."""

    code, name = "TL915", "log1p-expm1"
    message = "`{written}` rounds small `x` away; `{better}` keeps it"
    severity = Severity.WARNING
    default = False
    fixable = Safety.SAFE

    @on_call("torch.log")
    def log(self, call: Call, report: Report) -> None:
        operand = operand_of(call)
        if called(call.node) != "log" or not isinstance(operand, cst.BinaryOperation):
            return
        if isinstance(operand.operator, cst.Add) and (is_one(operand.left) or is_one(operand.right)):
            other = operand.right if is_one(operand.left) else operand.left
            draft = report(call.node, written="log(1 + x)", better="log1p(x)")
            if isinstance(call.node.func, cst.Attribute):
                draft.fix("use `log1p`", replace(operand, other), rename(call.node.func, "log1p"))

    @on("subtract")
    def exp(self, fact: Any, report: Report) -> None:
        _, node, left, right, left_node, right_node, _ = fact
        if is_one(right_node) and isinstance(left, Tensor) and is_exponential(left_node, report):
            draft = report(node, written="exp(x) - 1", better="expm1(x)")
            if isinstance(left_node, cst.Call) and isinstance(left_node.func, cst.Attribute):
                draft.fix("use `expm1`", replace(node, left_node), rename(left_node.func, "expm1"))
        elif is_one(left_node) and isinstance(right, Tensor) and is_exponential(right_node, report):
            draft = report(node, written="1 - exp(x)", better="-expm1(x)")
            if isinstance(right_node, cst.Call) and isinstance(right_node.func, cst.Attribute):
                draft.fix("use `expm1`", replace(node, "-", right_node), rename(right_node.func, "expm1"))


def is_exponential(node: Any, report: Report) -> bool:
    """Whether a call of PyTorch's exponential is written."""
    if not isinstance(node, cst.Call):
        return False
    callee = report.interp.eval(node.func)
    return (isinstance(callee, Api) and callee.path in ("torch.exp", "torch.special.exp")) or (
        isinstance(callee, Method) and callee.name == "exp" and isinstance(callee.receiver, Tensor)
    )
