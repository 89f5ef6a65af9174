"""Steps that compute the gradients themselves, and those between observed turns."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo.testing
import torch.nn.functional as F  # noqa: N812
from torch import nn

from trainlint.runtime.monitor import FIRST, Monitor
from trainlint.runtime.probes import Probe, on


def witness(event: str) -> tuple[type[Probe], list[Any]]:
    """A probe that keeps what it is told of, and the list in which it does."""
    told: list[Any] = []

    class Witness(Probe):
        code = "TR999"

        @on(event)
        def see(self, what: Any) -> None:
            told.append(what)

    return Witness, told


@pytest.mark.parametrize(
    "kind", [lambda p: torch.optim.SGD(p, 0.1), lambda p: torch.optim.LBFGS(p, max_iter=3)], ids=["SGD", "LBFGS"]
)
@pytest.mark.parametrize("by_name", [False, True])
def test_a_step_with_a_closure_is_measured_by_its_own_gradients(
    kind: Callable[[Any], torch.optim.Optimizer], by_name: bool
) -> None:
    seeing, seen = witness("changes")

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
    with Monitor([seeing]) as monitor:
        watched, _ = train()
    assert monitor.turn == 5
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    told = [row.gradient for changes in seen for row in changes.rows if row.name == "weight"]
    assert told == pytest.approx(gradients)


def test_between_observed_turns_modules_run_without_hooks() -> None:
    from torch.nn.modules import module

    hooks: list[tuple[bool, bool]] = []

    class Looking(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hooks.append((bool(module._global_forward_pre_hooks), bool(module._global_forward_hooks)))
            return super().forward(x)

    seeing, calls = witness("called")
    model = nn.Sequential(Looking(4, 4), nn.ReLU(), Looking(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Monitor([seeing], every=20) as monitor:
        for _ in range(22):
            optimizer.zero_grad()
            F.mse_loss(model(torch.randn(3, 4)), torch.zeros(3, 2)).backward()
            optimizer.step()
            with torch.no_grad():
                model(torch.randn(3, 4))
    trained = [set(hooks[turn : turn + 2]) for turn in range(0, len(hooks), 4)]
    judged = [set(hooks[turn : turn + 2]) for turn in range(2, len(hooks), 4)]
    there, away = {(True, True)}, {(False, False)}
    assert trained == [there] * FIRST + [away] * (20 - FIRST) + [there, away]
    assert judged == [there] * 22
    assert [(call.name, call.recording) for call in calls] == [("Sequential", True), ("Sequential", False)] * 22
    assert monitor.turn == 22


def test_compiled_code_is_not_compiled_again_for_the_lack_of_hooks() -> None:
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    model = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), backend=counter)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Monitor(every=20) as monitor:
        for _ in range(22):
            optimizer.zero_grad()
            F.mse_loss(model(torch.randn(3, 4)), torch.zeros(3, 2)).backward()
            optimizer.step()
    assert counter.frame_count == 1
    assert monitor.turn == 22


def test_parameters_changed_by_hand_end_turns_too() -> None:
    seeing, seen = witness("backward")
    model, x, y = nn.Linear(4, 3), torch.randn(8, 4), torch.randint(3, (8,))
    with Monitor([seeing], every=1000) as monitor:
        for _ in range(300):
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad  # type: ignore[operator]
    assert (monitor.passes, monitor.has_stepped) == (300, False)
    assert FIRST <= len(seen) < 100  # after the first ones nothing is looked at


def test_a_generator_is_known_by_its_names_though_the_critic_steps_in_between() -> None:
    seeing, seen = witness("changes")
    generator, critic = nn.Sequential(nn.Linear(2, 4)), nn.Sequential(nn.Linear(4, 1))
    makes, judges = (torch.optim.SGD(model.parameters(), 0.1) for model in (generator, critic))
    with Monitor([seeing]):
        for _ in range(3):
            fake = generator(torch.randn(8, 2))
            judges.zero_grad()
            critic(fake.detach()).mean().backward()
            judges.step()
            makes.zero_grad()
            (-critic(fake)).mean().backward()
            makes.step()
    assert {row.name for changes in seen for row in changes.rows} == {"0.weight", "0.bias"}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that has imported a loss before anybody watches."""
    module = types.ModuleType("imported_losses")
    exec("from torch.nn.functional import mse_loss as criterion", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_loss_that_was_imported_before_is_seen_and_is_itself_again_afterwards(imported: types.ModuleType) -> None:
    seeing, seen = witness("loss")
    model, original = nn.Linear(4, 1), F.mse_loss
    with Monitor([seeing]):
        imported.criterion(model(torch.randn(8, 4)), torch.randn(8, 1)).backward()
    assert [loss.name for loss in seen] == ["mse_loss"]
    assert imported.criterion is original is F.mse_loss
