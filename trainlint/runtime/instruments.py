"""Where a run is listened to: calls of modules, losses, backward, optimizer steps and loaders.

PyTorch's own global hooks where there are any; for the others a function of PyTorch is replaced while somebody
listens. Nothing here computes anything.
"""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

import torch
import torch.nn.functional
import torch.utils.data.dataloader
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks

LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
)


class Listener(Protocol):
    """What is told of a run, in the thread that it happens in."""

    def ignores(self, module: torch.nn.Module) -> bool:
        """Whether it need not be told that a module is called and returns."""

    def module_begins(self, module: torch.nn.Module) -> None:
        """A module is called."""

    def module_ends(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A module returns."""

    def loss_computed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> None:
        """A loss of `torch.nn.functional` returns."""

    def backward_begins(self, tensors: Any) -> None:
        """Gradients are about to be computed."""

    def backward_ends(self) -> None:
        """They are."""

    def gradients_clipped(self, norm: Any, limit: Any) -> None:
        """`clip_grad_norm_` has limited the norm of gradients."""

    def step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to change parameters."""

    def step_ends(self, optimizer: torch.optim.Optimizer) -> None:
        """It has."""

    def batch_loaded(self, loading: Any, batch: Any) -> None:
        """An iteration over a `DataLoader` yields."""


_listeners: list[Listener] = []
_undo: list[Callable[[], None]] = []
_thread = 0
# The listeners that want to hear of no calls of modules for now, and the hooks for these, which are put away while all
# listeners rest.
_resting: list[Listener] = []
_calls: dict[int, tuple[dict[int, Any], Any]] = {}


def listen(listener: Listener) -> None:
    """Tell `listener` what happens in this thread from now on."""
    global _thread  # noqa: PLW0603 - there is one PyTorch in a process
    _wake()
    if not _listeners:
        _thread = threading.get_ident()
        _install()
    _listeners.append(listener)


def forget(listener: Listener) -> None:
    """Tell it nothing more. When nobody listens, PyTorch is as it was."""
    _wake()
    if listener in _listeners:
        _listeners.remove(listener)
    if not _listeners:
        while _undo:
            _undo.pop()()


def rest(listener: Listener) -> bool:
    """Tell it of no calls of modules until anything else happens, since with hooks for them PyTorch takes a longer way
    through each. False if that cannot be: compiled code would notice, and be compiled once more."""
    if _has_compiled():
        return False
    _resting.append(listener)
    if len(_resting) == len(_listeners):
        for number, (hooks, _) in _calls.items():
            hooks.pop(number, None)
    return True


def _wake() -> None:
    if _resting:
        _resting.clear()
        for number, (hooks, hook) in _calls.items():
            hooks[number] = hook


def _has_compiled() -> bool:
    """Whether there is code that `torch.compile` has made; in doubt, yes."""
    dynamo = sys.modules.get("torch._dynamo.convert_frame")
    return dynamo is not None and getattr(dynamo, "FRAME_COUNTER", 1) > 0


@contextmanager
def unheard() -> Iterator[None]:
    """What happens meanwhile is not part of any run, and nobody is told."""
    global _thread  # noqa: PLW0603 - there is one PyTorch in a process
    told, _thread = _thread, 0
    try:
        yield
    finally:
        _thread = told


def _install() -> None:
    handles = (
        module_hooks.register_module_forward_pre_hook(_module_begins),
        module_hooks.register_module_forward_hook(_module_ends, with_kwargs=True),
        optimizer_hooks.register_optimizer_step_pre_hook(_step_begins),
        optimizer_hooks.register_optimizer_step_post_hook(_step_ends),
    )
    _undo.extend(handle.remove for handle in handles)
    before, after = module_hooks._global_forward_pre_hooks, module_hooks._global_forward_hooks
    _calls.update({handles[0].id: (before, _module_begins), handles[1].id: (after, _module_ends)})
    _undo.append(_calls.clear)
    _quieten("Using `torch.compile\\(module\\)` when there are global hooks")
    originals = {id(getattr(torch.nn.functional, name)): name for name in LOSSES}
    for name in LOSSES:
        _replace(torch.nn.functional, name, _losses)
    for module, name, loss in _imported(originals):
        _put(module, name, getattr(torch.nn.functional, originals[id(loss)]))
    _replace(torch.autograd, "backward", _backward)
    for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
        _replace(owner, "clip_grad_norm_", _clipping)
    _replace(torch.utils.data.dataloader._BaseDataLoaderIter, "__next__", _loading)
    # The compiler of TorchScript reads the source of what a module calls.
    _replace(torch.jit, "script", _scripting)


def _quieten(message: str) -> None:
    """Keep a warning about our hooks from the script, for which they are none."""
    before = warnings.filters[:]
    warnings.filterwarnings("ignore", message)
    added = [entry for entry in warnings.filters if entry not in before]

    def restore() -> None:
        for entry in added:
            if entry in warnings.filters:
                warnings.filters.remove(entry)  # type: ignore[attr-defined]

    _undo.append(restore)


def _imported(functions: Container[int]) -> list[tuple[ModuleType, str, Any]]:
    """The names that functions, given by `id`, have in the modules of others."""
    others = (module for name, module in [*sys.modules.items()] if not name.startswith("torch.") and module)
    names = ((module, *item) for module in others for item in [*getattr(module, "__dict__", {}).items()])
    return [(module, name, value) for module, name, value in names if id(value) in functions]


def _replace(owner: Any, name: str, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    _put(owner, name, functools.wraps(original)(wrap(name, original)))


def _put(owner: Any, name: str, value: Any) -> None:
    original = getattr(owner, name)
    setattr(owner, name, value)
    _undo.append(lambda: setattr(owner, name, original))


def _is_told() -> bool:
    """Whether this is the run itself: not another thread, and nothing that is compiled, traced, mapped or faked, where
    tensors have no values."""
    return not (
        torch.compiler.is_compiling()
        or threading.get_ident() != _thread
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
    )


def tell(event: str, *facts: Any) -> None:
    """Tell of what a framework does past PyTorch's hooks: a method of `Listener` and what comes with it."""
    if _is_told():
        is_call = event.startswith("module_")
        if not is_call:
            _wake()
        for listener in _listeners:
            if not (is_call and listener in _resting):
                getattr(listener, event)(*facts)


# Of all calls of ours these are the most: to be ignored must cost next to nothing.
def _module_begins(module: torch.nn.Module, args: Any) -> None:
    if not torch.compiler.is_compiling():
        for listener in _listeners:
            if listener not in _resting and not listener.ignores(module) and _is_told():
                listener.module_begins(module)


def _module_ends(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    if not torch.compiler.is_compiling():
        for listener in _listeners:
            if listener not in _resting and not listener.ignores(module) and _is_told():
                listener.module_ends(module, args, kwargs, output)


def _step_begins(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """A step that computes the gradients itself, by a closure, begins when they are there."""
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    if not callable(closure):
        tell("step_begins", optimizer)
        return None
    waiting = [optimizer]

    @functools.wraps(closure)
    def computed() -> Any:
        loss = closure()
        if waiting:  # it may be called several times
            tell("step_begins", waiting.pop())
        return loss

    return ((args[0], *args[2:]) if len(args) > 1 else args), {**kwargs, "closure": computed}


def _step_ends(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if _is_told():
        for listener in _listeners:
            listener.step_ends(optimizer)


def _losses(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def loss(*args: Any, **kwargs: Any) -> Any:
        value = original(*args, **kwargs)
        if _is_told():
            _wake()
            for listener in _listeners:
                listener.loss_computed(name, args, kwargs, value)
        return value

    return loss


def _backward(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_told():
            return original(tensors, *args, **kwargs)
        _wake()
        for listener in _listeners:
            listener.backward_begins(tensors)
        try:
            return original(tensors, *args, **kwargs)
        finally:
            for listener in _listeners:
                listener.backward_ends()

    return backward


def _clipping(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def clip(parameters: Any, max_norm: Any, *args: Any, **kwargs: Any) -> Any:
        norm = original(parameters, max_norm, *args, **kwargs)
        tell("gradients_clipped", norm, max_norm)
        return norm

    return clip


def _loading(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def following(self: Any) -> Any:
        batch = original(self)
        if _is_told():
            _wake()
            for listener in _listeners:
                listener.batch_loaded(self, batch)
        return batch

    return following


def _scripting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def script(*args: Any, **kwargs: Any) -> Any:
        with originals():
            return original(*args, **kwargs)

    return script


@contextmanager
def originals() -> Iterator[None]:
    """The losses as PyTorch has them."""
    functional = torch.nn.functional
    replaced = {name: getattr(functional, name) for name in LOSSES}
    for name, function in replaced.items():
        setattr(functional, name, getattr(function, "__wrapped__", function))
    try:
        yield
    finally:
        for name, function in replaced.items():
            setattr(functional, name, function)
