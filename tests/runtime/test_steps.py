"""Steps that compute the gradients themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from trainlint.runtime.events import Changes
from trainlint.runtime.monitor import Monitor
from trainlint.runtime.probes import Probe, on


@pytest.mark.parametrize(
    "kind", [lambda p: torch.optim.SGD(p, 0.1), lambda p: torch.optim.LBFGS(p, max_iter=3)], ids=["SGD", "LBFGS"]
)
@pytest.mark.parametrize("by_name", [False, True])
def test_a_step_with_a_closure_is_measured_by_its_own_gradients(
    kind: Callable[[Any], torch.optim.Optimizer], by_name: bool
) -> None:
    seen: list[Changes] = []

    class Seeing(Probe):
        code = "TR999"

        @on("changes")
        def see(self, changes: Changes) -> None:
            seen.append(changes)

    def train() -> tuple[nn.Module, list[float]]:
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = kind(model.parameters())
        x, y = torch.randn(32, 4), torch.randint(3, (32,))
        gradients: list[float] = []

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if len(gradients) < turn:
                gradients.append(float(model.weight.grad.norm()))  # type: ignore[union-attr]
            return loss

        for turn in range(1, 6):  # noqa: B007 - the closure counts by it
            optimizer.step(closure=closure) if by_name else optimizer.step(closure)
        return model, gradients

    plain, gradients = train()
    with Monitor([Seeing]) as monitor:
        watched, _ = train()
    assert monitor.turn == 5
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    told = [row.gradient for changes in seen for row in changes.rows if row.name == "weight"]
    assert told == pytest.approx(gradients)
