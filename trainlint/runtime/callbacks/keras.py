"""Keras 3 on PyTorch: `model.fit(..., callbacks=[TrainlintCallback()])`.

Keras calls layers, losses and optimizers of its own, past PyTorch's hooks; while a model is fitted, they tell the same
listeners.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import keras
import torch

from trainlint.runtime import instruments
from trainlint.runtime.callbacks import Watched
from trainlint.runtime.events import tensors_in

# PyTorch's names of losses, by those of Keras's functions.
LOSSES = {
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "huber": "huber_loss",
    "mean_absolute_error": "l1_loss",
    "mean_squared_error": "mse_loss",
    "sparse_categorical_crossentropy": "cross_entropy",
}
# Reductions that are the mean as long as samples have no weights.
MEANS = ("mean", "mean_with_sample_weight", "sum_over_batch_size")


class TrainlintCallback(Watched, keras.callbacks.Callback):
    """Watches what `fit` does, validation included. Raises RuntimeError if Keras runs on another backend."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told: ExitStack | None = None
        if keras.backend.backend() != "torch":
            raise RuntimeError(f"trainlint watches PyTorch, but Keras runs on {keras.backend.backend()}")

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """The model is built."""
        self.begin(self.model)
        self._told = _telling()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """All is done."""
        self.end()

    def end(self) -> None:
        """Watch no more."""
        told, self._told = getattr(self, "_told", None), None
        if told is not None:
            told.close()
        super().end()


def _telling() -> ExitStack:
    """Have Keras tell of what it does, until that is closed."""
    stack = ExitStack()
    steps = _Steps()
    for owner, name, wrap in (
        (keras.Layer, "__call__", _calls),
        (keras.losses.Loss, "__call__", _losses),
        (keras.optimizers.Optimizer, "apply", steps.wrap),
    ):
        original = getattr(owner, name)
        setattr(owner, name, functools.wraps(original)(wrap(original)))
        stack.callback(setattr, owner, name, original)
    return stack


def _calls(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _has_values((args, kwargs)):
            return original(self, *args, **kwargs)
        instruments.tell("module_begins", self)
        output = original(self, *args, **kwargs)
        instruments.tell("module_ends", self, args, kwargs, output)
        return output

    return call


def _has_values(given: Any) -> bool:
    """Whether a layer is really run, rather than asked for shapes."""
    tensors = tensors_in(given)
    return bool(tensors) and not any(tensor.is_meta for tensor in tensors)


def _losses(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with instruments.originals():
            value = original(self, y_true, y_pred, sample_weight)
        name = LOSSES.get(getattr(getattr(self, "fn", None), "__name__", ""))
        if name and isinstance(y_true, torch.Tensor) and isinstance(y_pred, torch.Tensor) and _has_values(y_pred):
            name, scores, target = _as_pytorch(name, self.fn.__name__, self._fn_kwargs, y_pred, y_true)
            is_mean = sample_weight is None and self.reduction in MEANS
            options = {"reduction": "mean" if is_mean else "none"}
            instruments.tell("loss_computed", name, (scores, target), options, value)
        return value

    return call


def _as_pytorch(
    name: str, function: str, options: Mapping[str, Any], scores: torch.Tensor, target: torch.Tensor
) -> tuple[str, torch.Tensor, torch.Tensor]:
    """What PyTorch's loss of the same value would be given. Classes lie on the last axis in Keras."""
    if function.startswith("sparse"):
        if target.dim() == scores.dim() and target.shape[-1] == 1:
            target = target[..., 0]
        target = target.long()
    if name == "cross_entropy":
        scores = scores.movedim(-1, 1) if scores.dim() > 2 else scores
        target = target.movedim(-1, 1) if target.dim() == scores.dim() > 2 else target
        if not options.get("from_logits"):
            scores = scores.clamp(min=keras.config.epsilon()).log()
    elif name == "binary_cross_entropy" and options.get("from_logits"):
        name += "_with_logits"
    if name != "cross_entropy" and target.numel() == scores.numel():
        target = target.reshape(scores.shape)  # Keras adds or drops the last axis
    return name, scores, target


class _Optimizer:
    """What PyTorch's optimizers show of themselves, for one of Keras."""

    def __init__(self) -> None:
        self.param_groups: list[dict[str, Any]] = []


class _Steps:
    """Tells of the steps of Keras's optimizers."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, _Optimizer]] = {}

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        steps = self

        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
            shown = steps.of(self, variables)
            instruments.tell("step_begins", shown)
            result = original(self, grads, trainable_variables)
            instruments.tell("step_ends", shown)
            return result

        return apply

    def of(self, optimizer: Any, variables: Any) -> _Optimizer:
        _, shown = self._known.setdefault(id(optimizer), (optimizer, _Optimizer()))
        rate = keras.ops.convert_to_tensor(optimizer.learning_rate)
        shown.param_groups = [
            {
                "params": [variable.value for variable in variables],
                # Elsewhere reading it would wait for the device.
                "lr": rate.item() if rate.device.type == "cpu" else rate,
            }
        ]
        return shown
