"""Performance: what makes a training loop wait. All opt-in: `--select TL901,TL902` and so on."""

from __future__ import annotations

from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.edits import remove_argument
from trainlint.findings import Safety, Severity
from trainlint.semantics.interpreter import Region
from trainlint.semantics.library import Call
from trainlint.semantics.values import Api, Const, Instance, Tensor, truth
from trainlint.syntax.code import called, is_name

LOADER = "torch.utils.data.DataLoader"


class PerformanceRule(Rule):
    """A rule on speed: off unless asked for."""

    severity = Severity.WARNING
    default = False


class LoaderWorkers(PerformanceRule):
    """A loader reads its data in the training process."""

    code, name = "TL901", "loader-workers"
    message = "the loader has no workers: the training waits while each batch is read"

    @on_call(LOADER)
    def check(self, call: Call, report: Report) -> None:
        workers = call.value("num_workers", 5)
        if (workers is None and not call.arguments.open) or (isinstance(workers, Const) and workers.value == 0):
            report(call.node)


class PinMemory(PerformanceRule):
    """Batches are copied to the GPU from pageable memory."""

    code, name = "TL902", "pin-memory"
    message = "`non_blocking=True` waits all the same: the batch comes from a loader (@) without `pin_memory=True`"

    @on_call("torch.Tensor.to")
    def check(self, call: Call, report: Report) -> None:
        loop = report.interp.nearest_loop()
        loader = loop.value if loop is not None else None
        if not isinstance(loader, Instance) or loader.family != "loader" or loader.born is None:
            return
        asked = call.arguments.keywords.get("non_blocking")
        pinned = loader.attrs.get("pin_memory")
        if asked is not None and truth(asked) and (pinned is None or truth(pinned) is False):
            report(call.node).because([loader.born])


class SyncInLoop(PerformanceRule):
    """Each step of the training waits for the GPU."""

    code, name = "TL903", "sync-in-loop"
    message = "`{name}` in every step makes the program wait for the GPU; gather tensors and read them once in a while"

    @on("loop", having="backward step item")
    def check(self, region: Region, report: Report) -> None:
        for _, node, space, value in region.of("item"):
            if isinstance(value, Tensor) and value.deps and isinstance(node, cst.Call):
                if space is region.space and is_each_turn(node, region, space):
                    name = called(node)
                    report(node, space, name=f"{name}(…)" if is_name(node.func, name) else f".{name}()")


def is_each_turn(node: Any, region: Region, space: Any) -> bool:
    """Whether a node is evaluated in each turn of a loop: it stands in it, under no condition and in no inner loop."""
    if space.source is None:
        return False
    for above in space.source.index.ancestors(node):
        if above is region.node:
            return True
        if isinstance(above, (cst.If, cst.IfExp, cst.For, cst.While, cst.FunctionDef, cst.Lambda, cst.ListComp)):
            return False
    return False


class TransferInLoop(PerformanceRule):
    """A tensor is made on the CPU and then moved."""

    code, name = "TL904", "transfer-in-loop"
    message = "the tensor is made on the CPU and copied to the GPU in every turn; make it there with `device=`"
    MAKERS = frozenset(
        """zeros ones full empty eye arange linspace rand randn randint randperm zeros_like ones_like tensor""".split()
    )

    @on_call("torch.Tensor.to")
    def check(self, call: Call, report: Report) -> None:
        made = getattr(getattr(call.node, "func", None), "value", None)
        if not isinstance(made, cst.Call) or called(made) not in self.MAKERS or report.interp.nearest_loop() is None:
            return
        maker = report.interp.eval(made.func)
        if not isinstance(maker, Api) or maker.path.rpartition(".")[0] != "torch":
            return
        if called(call.node) == "cuda" or moves(call):
            report(call.node)


def moves(call: Call) -> bool:
    """Whether `to` is given a device rather than a number format."""
    target = call.arguments.keywords.get("device") or call.value("other", 1)
    return (
        target is not None
        and not (isinstance(target, Api) and target.path.startswith("torch."))
        and not isinstance(target, Tensor)
    )


class EmptyCacheInLoop(PerformanceRule):
    """The allocator's cache is thrown away in a loop."""

    code, name = "TL905", "empty-cache-in-loop"
    message = "`empty_cache` in a loop gives back memory that is asked for again at once, and waits for the GPU"

    @on_call("torch.cuda.empty_cache")
    def check(self, call: Call, report: Report) -> None:
        loop = report.interp.nearest_loop()
        if loop is not None and isinstance(loop.value, Instance) and loop.value.family == "loader":
            if is_each_turn(call.node, loop, report.space()):
                report(call.node)


class PythonLoopOverTensor(PerformanceRule):
    """A tensor is walked over in Python."""

    code, name = "TL906", "python-loop-over-tensor"
    message = "the loop runs in Python over the elements of a tensor; an operation on the whole tensor is far faster"

    @on("loop")
    def check(self, region: Region, report: Report) -> None:
        if isinstance(region.value, Tensor) and region.value.lib == "torch":
            if region.value.graph and isinstance(region.node, cst.For):
                report(region.node.iter, region.space)


class CatInLoop(PerformanceRule):
    """A tensor grows by concatenation."""

    code, name = "TL907", "cat-in-loop"
    message = "`{name}` is copied as a whole in every turn; append to a list and concatenate once behind the loop"

    @on_call("torch.cat")
    def check(self, call: Call, report: Report) -> None:
        source = report.space().source
        if report.interp.nearest_loop() is None or source is None or not isinstance(call.node, cst.Call):
            return
        statement = source.index.parent(call.node)
        if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
            return
        target, parts = statement.targets[0].target, call.argument("tensors", 0)
        if isinstance(target, cst.Name) and isinstance(parts, (cst.List, cst.Tuple)):
            grows = any(isinstance(e.value, cst.Name) and e.value.value == target.value for e in parts.elements)
            if grows and called(call.node) in ("cat", "concat") and report.interp.carried_over(target):
                report(call.node, name=target.value)


class ZeroedGradients(PerformanceRule):
    """Gradients are set to zero instead of None."""

    code, name = "TL908", "zeroed-gradients"
    message = "`set_to_none=False` writes zeros over all gradients and adds to them; without it they are written once"
    fixable = Safety.UNSAFE

    @on_call("optimizer.zero_grad", "module.zero_grad")
    def check(self, call: Call, report: Report) -> None:
        asked = call.value("set_to_none", 1)
        if isinstance(asked, Const) and asked.value is False:
            draft = report(call.node)
            argument = next((a for a in call.node.args if a.keyword is not None), None)
            if argument is not None:
                draft.fix("leave it out", remove_argument(call.node, argument))
