"""What the tensors of a live run say: `trainlint run script.py`, or `with trainlint.runtime.watch(model, optimizer)`.

PyTorch is imported by the parts that need it, when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlint.runtime.watching import Watch, watch

__all__ = ["Watch", "watch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from trainlint.runtime import watching

        return getattr(watching, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
