"""Whether gradients that are written by hand are those of what is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import BackwardCFunction

from trainlint.runtime.events import Graph
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.subject import Clock, Subject, Trial

SAMPLES = 3
# What `torch.autograd.gradcheck` moves an input by, and what it allows analytic and numeric gradients to differ by.
STEP, RELATIVE, ABSOLUTE = 1e-6, 1e-3, 1e-5

Arguments = tuple[Any, ...]


class GradientCheck(Experiment):
    """The gradient that an own `autograd.Function` gives is not that of what it computes."""

    code, name = "TR410", "gradient-check"
    message = "`backward` of {functions} does not give the gradient of `forward`: numeric differences say otherwise"

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Compare both in double precision, at what the functions are called with on a few samples."""
        checked, wrong = [], []
        for function, arguments in _calls(subject.trial(), subject):
            if (right := _is_right(function, arguments)) is not None:
                checked.append(function.__name__)
                if not right:
                    wrong.append(f"`{function.__name__}`")
        if not checked:
            raise Unjudged("no `autograd.Function` of the model or loss has a gradient to compare with")
        measured = f"numeric gradients of {', '.join(checked)}: "
        if not wrong:
            return Result(f"{measured}the same")
        return Result(f"{measured}others", self.message.format(functions=" and ".join(wrong)))


def _calls(trial: Trial, subject: Subject) -> list[tuple[type[Function], Arguments]]:
    """The functions written in Python that the loss is computed with, and what each is called with first."""
    samples = subject.pool().at(slice(0, SAMPLES))
    with trial.evaluating():
        nodes = Graph.behind(trial.measure(samples)).nodes
        found = {node._forward_cls: None for node in nodes if isinstance(node, BackwardCFunction)}  # type: ignore[attr-defined]
        given: dict[type[Function], Arguments] = {}
        with _recorded(list(found), given), torch.no_grad():
            trial.measure(samples)
    return list(given.items())


@contextmanager
def _recorded(functions: Sequence[type[Function]], given: dict[type[Function], Arguments]) -> Iterator[None]:
    """Note what functions are called with."""
    originals = {function: function.__dict__.get("forward") for function in functions}

    def noting(function: type[Function], forward: Callable[..., Any]) -> Callable[..., Any]:
        takes_context = function.setup_context is Function.setup_context

        def noted(*args: Any) -> Any:
            given.setdefault(function, args[1:] if takes_context else args)
            return forward(*args)

        return noted

    try:
        for function in functions:
            function.forward = staticmethod(noting(function, function.forward))  # type: ignore[method-assign]
        yield
    finally:
        for function, original in originals.items():
            if original is None:
                del function.forward
            else:
                function.forward = original  # type: ignore[method-assign]


def _is_right(function: type[Function], arguments: Arguments) -> bool | None:
    """Whether analytic and numeric gradients agree; None where that cannot be said, or where they differ on purpose: a
    straight-through estimator has a gradient where steps have none, a gradient reversal gives back what it got."""
    inputs = tuple(_leaf(argument) for argument in arguments)
    leaves = [tensor for tensor in inputs if isinstance(tensor, Tensor) and tensor.requires_grad]
    apply: Callable[..., Any] = function.apply
    try:
        if not leaves or not _responds(apply, inputs):
            return None
        return bool(
            torch.autograd.gradcheck(
                apply, inputs, eps=STEP, atol=ABSOLUTE, rtol=RELATIVE, raise_exception=False, fast_mode=True,
                check_undefined_grad=False, nondet_tol=ABSOLUTE,
            )
        )  # fmt: skip
    except Exception:  # noqa: BLE001 - made for single precision or for a GPU, or not to be called twice
        return None


def _leaf(argument: Any) -> Any:
    if isinstance(argument, Tensor) and argument.is_floating_point():
        return argument.detach().double().requires_grad_()
    return argument.detach() if isinstance(argument, Tensor) else argument


def _responds(apply: Callable[..., Any], inputs: Arguments) -> bool:
    """Whether the outputs are others than the inputs, change with them, however little, and are as exact as they."""
    moved = [tensor + STEP if isinstance(tensor, Tensor) and tensor.requires_grad else tensor for tensor in inputs]
    with torch.no_grad():
        before, after = (torch.utils._pytree.tree_leaves(apply(*given)) for given in (inputs, moved))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if isinstance(a, Tensor)]
    is_new = all(a.dtype == torch.double and not any(_is_same(a, given) for given in inputs) for a, _ in pairs)
    return is_new and any(not torch.equal(a, b) for a, b in pairs)


def _is_same(output: Tensor, argument: Any) -> bool:
    return isinstance(argument, Tensor) and torch.equal(output, argument)
