"""Modes: train and eval, gradients on and off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from trainlint.api import Report, Rule, on, on_call
from trainlint.findings import Severity
from trainlint.semantics.behaviours.layers import mode_layers
from trainlint.semantics.interpreter import Region
from trainlint.semantics.library import Call, modules_in
from trainlint.semantics.values import Api, Instance, Method, Step, Tensor, Value

LEARNING = frozenset(("backward", "step", "autograd"))
HELD_OUT = ("val", "test")


def measured(region: Region, module: Instance) -> bool:
    """Whether a region judges a model's outputs: compares them, takes their loss, or collects them over a data set."""
    for event in region.events:
        kind = event[0]
        if kind == "compare" and depends(event[3], module):
            return True
        if kind == "loss" and depends(event[4], module):
            return True
        if kind == "collect" and depends(event[3], module) and event[3].data.tokens:
            return True
        if kind == "outside" and "metric" in event[3] and any(isinstance(v, Tensor) and depends(v, module) for v in event[4]):
            return True
    return False


def depends(value: Value, module: Instance) -> bool:
    return isinstance(value, Tensor) and any(dep.module is module for dep in value.deps)


def model_calls(region: Region) -> Iterator[tuple[Any, Any, Instance, Any, Any, list[Tensor], bool]]:
    for event in region.events:
        if event[0] == "model":
            _, node, space, module, mode, grad, inputs, loaded = event
            yield node, space, module, mode, grad, inputs, loaded


class MissingEvalMode(Rule):
    """A model is evaluated in training mode."""

    code, name = "TL301", "missing-eval-mode"
    message = "the model is evaluated in train mode, so its {layers} makes the results noisy and depend on the batch"

    @on("region")
    def check(self, region: Region, report: Report) -> None:
        kinds = {event[0] for event in region.events}
        if "model" not in kinds or kinds & LEARNING:
            return
        if region.kind in ("loop", "no_grad"):
            self.evaluation(region, report)
        elif region.kind == "program":
            self.prediction(region, report)

    def evaluation(self, region: Region, report: Report) -> None:
        for node, space, module, mode, grad, inputs, _ in model_calls(region):
            if mode is not True:
                continue
            held_out = any(t.data.part in HELD_OUT for t in inputs)
            if (grad is False or (held_out and region.kind == "loop")) and measured(region, module):
                layers = mode_layers(report.interp, module)
                if isinstance(layers, str):
                    report(node, space, layers=layers).because([module.born])

    def prediction(self, region: Region, report: Report) -> None:
        for node, space, module, mode, _, _, loaded in model_calls(region):
            if loaded and mode is True:
                layers = mode_layers(report.interp, module)
                if isinstance(layers, str):
                    report(node, space, layers=layers).because([module.born])


class MissingNoGrad(Rule):
    """An evaluation records graphs."""

    code, name = "TL302", "missing-no-grad"
    message = "the evaluation records a graph for gradients that nobody asks for, which costs memory and time"
    severity = Severity.WARNING

    @on("region")
    def check(self, region: Region, report: Report) -> None:
        if region.kind != "loop" or not isinstance(region.value, Instance) or region.value.family not in ("loader", ""):
            return
        kinds = {event[0] for event in region.events}
        if "model" not in kinds or kinds & LEARNING:
            return
        for node, space, module, mode, grad, inputs, _ in model_calls(region):
            held_out = any(t.data.part in HELD_OUT for t in inputs)
            if grad is True and (mode is False or held_out) and measured(region, module):
                if not any(t.graph for t in inputs):
                    report(node, space)


class StuckInEvalMode(Rule):
    """Training goes on in evaluation mode."""

    code, name = "TL303", "stuck-in-eval-mode"
    message = "the model stays in eval mode from here on: later epochs train without dropout and with frozen batch norm"

    @on("backward")
    def check(self, fact: Any, report: Report) -> None:
        _, loss = fact
        interp = report.interp
        for dep in loss.deps:
            if dep.training is not False or dep.node is None:
                continue
            culprit, trained = None, False
            region: Region | None = interp.region
            while region is not None:
                for event in reversed(region.events):
                    if event[0] == "mode" and event[4] is False and culprit is None and holds(event[3], dep.module):
                        culprit = event
                    elif event[0] == "model" and event[1] is dep.node and event[4] is True:
                        trained = True
                region = region.parent
            if culprit is not None and trained and mode_layers(interp, dep.module):
                report(culprit[1], culprit[2]).because([Step(interp.frame.space, dep.node, "trained here")])


def holds(outer: Instance, inner: Instance) -> bool:
    return any(module is inner for module in modules_in(outer))


class ModeCallWithoutParentheses(Rule):
    """A method is named but not called."""

    code, name = "TL305", "mode-call-without-parentheses"
    message = "`{name}` is named but not called, so it does nothing"
    METHODS = frozenset(("eval", "train", "zero_grad", "step", "backward", "requires_grad_"))

    @on("statement")
    def check(self, fact: Any, report: Report) -> None:
        node, value = fact
        if isinstance(node.value, cst.Attribute) and isinstance(value, Method) and value.function is None:
            if value.name in self.METHODS and isinstance(value.receiver, (Instance, Tensor)):
                report(node.value, name=value.name)
        elif isinstance(node.value, cst.Call) and isinstance(value, Instance) and value.family == "context":
            if "$grad" in value.attrs and "$immediate" not in value.attrs:
                report(node.value, name="with")

    @on("enter")
    def entered(self, fact: Any, report: Report) -> None:
        node, manager = fact
        if isinstance(manager, Api) and report.interp.library.row(manager.path) is not None and manager.path.rpartition(".")[2] in ("no_grad", "inference_mode", "enable_grad"):
            report(node, name=manager.path.rpartition(".")[2])

    @on_call("torch.save")
    def saved(self, call: Call, report: Report) -> None:
        value = call.first
        if isinstance(value, Method) and value.name == "state_dict":
            report(call.argument("obj", 0), name="state_dict")
