"""What tests assert of a training; pytest has it as fixtures, see `trainlint.integrations.pytest`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from trainlint.findings import Finding
from trainlint.reports import renderer
from trainlint.reports.sources import Sources
from trainlint.reports.style import Style
from trainlint.runtime.experimenting import SECONDS, Preflight, preflight
from trainlint.runtime.experiments.subject import Split, as_pair
from trainlint.runtime.monitor import EVERY
from trainlint.runtime.watching import Watch, watch

# What shows that a training learns at all: a few samples by heart, and from their inputs.
TRAINS = ("TR601", "TR602")


def assert_trains(
    model: torch.nn.Module,
    loss: Any,
    data: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    *,
    split: Split = as_pair,
    max_seconds: float = SECONDS,
) -> Preflight:
    """Assert that a training learns a few samples by heart (TR601), and from their inputs (TR602).

    `data` is a loader, batches, or one batch as a tuple of tensors; for the others see `preflight`.

    Raises AssertionError if it does not learn, also if that cannot be judged.
    """
    __tracebackhide__ = True
    is_batch = isinstance(data, tuple) and all(isinstance(item, torch.Tensor) for item in data)
    batches = [data] if is_batch else data
    result = preflight(model, loss, batches, optimizer, split=split, max_seconds=max_seconds, select=TRAINS)
    unjudged = [outcome for outcome in result.outcomes if outcome.unjudged]
    if not result.findings and unjudged:
        raise AssertionError(f"it cannot be judged whether the model learns\n\n{result}")
    return _passed(result)


def assert_preflight(
    model: torch.nn.Module,
    loss: Any,
    train_loader: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    **options: Any,
) -> Preflight:
    """Assert that no experiment of `preflight`, whose arguments these are, finds anything.

    Raises AssertionError if one does, or if none could be judged, and what `preflight` raises.
    """
    __tracebackhide__ = True
    return _passed(preflight(model, loss, train_loader, optimizer, **options))


def _passed(result: Preflight) -> Preflight:
    __tracebackhide__ = True
    if findings := result.findings:
        raise AssertionError(f"{told(findings)}\n{result}")
    if all(outcome.unjudged for outcome in result.outcomes):
        raise AssertionError(f"no experiment could be judged\n\n{result}")
    return result


@contextmanager
def assert_no_findings(
    *parts: torch.nn.Module | torch.optim.Optimizer,
    every: int = EVERY,
    max_steps: int | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Iterator[Watch]:
    """Assert that nothing is found in the training within a `with` block; the arguments are those of `watch`.

    Raises AssertionError if anything is, or if no step of training was seen; what the block itself raises comes first.
    """
    __tracebackhide__ = True
    with watch(*parts, every=every, max_steps=max_steps, select=select, ignore=ignore) as watched:
        yield watched
    if findings := watched.findings:
        raise AssertionError(told(findings))
    if not watched.steps:
        raise AssertionError("no step of training was watched")


def told(findings: Sequence[Finding]) -> str:
    """Findings as text, a line each, below a line that counts them."""
    lines = "".join(renderer("concise")(findings, Sources(), Style(False)))
    return f"{len(findings)} finding{'' if len(findings) == 1 else 's'}\n{lines}"
