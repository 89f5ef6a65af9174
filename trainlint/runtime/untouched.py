"""Random numbers drawn here and now change nothing for those that are drawn later."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# So many objects are looked at for generators of their own.
OBJECTS = 10_000


@contextmanager
def untouched(*roots: object) -> Iterator[None]:
    """Restore, at the end, the global generators of Python, NumPy and PyTorch, and those that `roots` hold.

    A root is looked through by its attributes and containers, up to a limit. A device that was not in use stays so.
    """
    undo = [*_of_the_process(), *(restore for root in roots for restore in _held(root))]
    try:
        yield
    finally:
        for restore in undo:
            restore()


def _has_woken_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def seed(number: int) -> None:
    """Seed the generators that models, losses and samplers draw from, without waking a device."""
    torch.default_generator.manual_seed(number)
    if _has_woken_cuda():
        torch.cuda.manual_seed_all(number)
    random.seed(number)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(number)


def _of_the_process() -> list[Callable[[], object]]:
    state, python = torch.get_rng_state(), random.getstate()
    undo: list[Callable[[], object]] = [lambda: torch.set_rng_state(state), lambda: random.setstate(python)]
    if _has_woken_cuda():
        devices = torch.cuda.get_rng_state_all()
        undo.append(lambda: torch.cuda.set_rng_state_all(devices))
    if (numpy := sys.modules.get("numpy")) is not None:
        drawn = numpy.random.get_state()
        undo.append(lambda: numpy.random.set_state(drawn))
    return undo


def _held(root: object) -> Iterator[Callable[[], object]]:
    """What restores each generator that can be reached from an object."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting and len(seen) < OBJECTS:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (torch.Tensor, str, bytes, int, float, type)):
            continue
        seen[id(item)] = item  # kept, so that its id stays its own
        restore = _restoring(item)
        if restore is not None:
            yield restore
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            waiting.extend(list(item)[:OBJECTS])
        elif isinstance(state := getattr(item, "__dict__", None), dict):
            waiting.extend(state.values())


def _restoring(item: Any) -> Callable[[], object] | None:
    if isinstance(item, torch.Generator):
        state = item.get_state()
        return lambda: item.set_state(state)
    if isinstance(item, random.Random):
        python = item.getstate()
        return lambda: item.setstate(python)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(item, numpy.random.Generator):
        bits = item.bit_generator.state
        return lambda: setattr(item.bit_generator, "state", bits)
    if numpy is not None and isinstance(item, numpy.random.RandomState):
        drawn = item.get_state()
        return lambda: item.set_state(drawn)
    return None
