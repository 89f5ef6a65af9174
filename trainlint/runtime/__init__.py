"""What the tensors of a live run say: `trainlint run script.py`, or `with trainlint.runtime.watch(model, optimizer)`;
and before there is a run, `trainlint.runtime.preflight(model, loss, train_loader, optimizer)`.

PyTorch is imported by the parts that need it, when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlint.runtime.experimenting import Preflight, preflight
    from trainlint.runtime.watching import Watch, watch

__all__ = ["Preflight", "Watch", "preflight", "watch"]

_HOMES = {"Preflight": "experimenting", "Watch": "watching", "preflight": "experimenting", "watch": "watching"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
