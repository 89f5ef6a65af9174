"""A run is bit for bit the same, watched or not."""

from __future__ import annotations

import io
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from runtime.healthy import TRAININGS, rows
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainlint.runtime import watch
from trainlint.runtime.probes import all_probes


def outcome(run: Callable[[], object]) -> tuple[bytes, list[float]]:
    """The checkpoint that a run leaves, and the random numbers that come next."""
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    model = run()
    assert isinstance(model, nn.Module)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getvalue(), [*torch.rand(3).tolist(), random.random(), float(np.random.random())]


def with_workers() -> nn.Module:
    x, y = rows(128)
    model = nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for inputs, labels in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, num_workers=2):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("run", [*TRAININGS.values(), with_workers], ids=lambda run: run.__name__)
def test_weights_and_random_streams(run: Callable[[], object], tmp_path: Path) -> None:
    plain = outcome(run)
    with watch(every=3, select=["ALL"], report=tmp_path / "report.html") as watched:
        seen = outcome(run)
    assert seen == plain
    assert watched.steps
    assert (tmp_path / "report.html").read_text("utf-8").count("<h2>") >= 4
    assert not [finding for finding in watched.findings if finding.code == "TL002"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_a_compiled_model(backend: str) -> None:
    def compiled() -> nn.Module:
        torch._dynamo.reset()
        x, y = rows(64)
        model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        fast = torch.compile(model, backend=backend)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(12):
            optimizer.zero_grad()
            F.cross_entropy(fast(x), y).backward()
            optimizer.step()
        return model

    plain = outcome(compiled)
    with watch(every=3, select=["ALL"]) as watched:
        assert outcome(compiled) == plain
    assert watched.steps == 12
    assert not [finding for finding in watched.findings if finding.code == "TL002"]


def averaged(model: nn.Module) -> nn.Module:
    return nn.parallel.DistributedDataParallel(model)


def sharded(model: nn.Module) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
    for module in (*model.children(), model):
        if next(module.parameters(), None) is not None:
            fully_shard(module, mesh=mesh)
    return model


def held(model: nn.Module) -> dict[str, torch.Tensor]:
    """What this process has of the parameters."""
    return {name: p.to_local() if hasattr(p, "to_local") else p for name, p in model.state_dict().items()}


def distributed(rank: int, port: int, wrapped: Callable[[nn.Module], nn.Module], folder: str, is_watched: bool) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(7)
    model = wrapped(nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2)))
    torch.manual_seed(rank)
    optimizer = torch.optim.Adam(model.parameters())
    run = watch(every=3, select=["ALL"])
    if is_watched:
        run.start()
    for _ in range(12):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()
    run.stop()
    assert run.steps == (12 if is_watched else 0)
    assert not run.findings
    torch.save({**held(model), "drawn": torch.rand(2)}, f"{folder}/{rank}-{is_watched}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [averaged, sharded], ids=["DDP", "FSDP"])
def test_two_processes(wrapped: Callable[[nn.Module], nn.Module], tmp_path: Path) -> None:
    for is_watched in (False, True):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        torch.multiprocessing.spawn(distributed, (port, wrapped, str(tmp_path), is_watched), nprocs=2)
    for rank in range(2):
        plain, seen = (torch.load(tmp_path / f"{rank}-{is_watched}.pt") for is_watched in (False, True))
        assert plain.keys() == seen.keys()
        assert all(torch.equal(plain[name], seen[name]) for name in plain)


def hooks() -> list[object]:
    """What PyTorch has of ours while somebody listens."""
    from torch.nn.modules import module
    from torch.optim import optimizer
    from torch.utils.data.dataloader import _BaseDataLoaderIter

    return [
        dict(module._global_forward_hooks),
        dict(module._global_forward_pre_hooks),
        dict(optimizer._global_optimizer_pre_hooks),
        dict(optimizer._global_optimizer_post_hooks),
        torch.autograd.backward,
        torch.nn.utils.clip_grad_norm_,
        torch.nn.utils.clip_grad.clip_grad_norm_,
        F.cross_entropy,
        _BaseDataLoaderIter.__next__,
        torch.jit.script,
    ]


def test_nothing_is_left_behind() -> None:
    before = hooks()
    with watch():
        assert hooks() != before
    assert hooks() == before
    with pytest.raises(RuntimeError, match="theirs"), watch():
        raise RuntimeError("theirs")
    assert hooks() == before


def test_two_watches_overlap() -> None:
    before = hooks()
    first, second = watch(), watch()
    first.start()
    second.start()
    first.stop()
    TRAININGS["regression_on_all_data_at_once"]()
    second.stop()
    assert (first.steps, second.steps) == (0, 60)
    assert hooks() == before


def test_a_probe_that_fails_is_off_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(self: object, loss: object) -> None:
        calls.append(loss)
        raise ZeroDivisionError("ours")

    fail.events = ("loss",)  # type: ignore[attr-defined]
    monkeypatch.setattr(all_probes()["TR202"], "measure", fail)
    with watch() as run:
        TRAININGS["mlp"]()
    assert [(finding.code, finding.message) for finding in run.findings] == [
        ("TL002", "the probe TR202 failed and is off: ZeroDivisionError: ours")
    ]
    assert len(calls) == 1


def test_a_failure_of_ours_does_not_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainlint.runtime import monitor

    monkeypatch.setattr(monitor.Graph, "behind", lambda tensor: 1 / 0)
    plain = outcome(TRAININGS["mlp"])
    before = hooks()
    with watch() as run:
        assert outcome(TRAININGS["mlp"]) == plain
        assert hooks() == before
    assert [finding.code for finding in run.findings] == ["TL002"]


def test_scripts_are_compiled_as_ever() -> None:
    class Scored(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(x, y)

    with watch():
        scripted = torch.jit.script(Scored())
        assert F.cross_entropy.__wrapped__
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert torch.equal(scripted(x, y), F.cross_entropy(x, y))


def test_a_compiled_model_is_no_reason_to_warn(recwarn: pytest.WarningsRecorder) -> None:
    with watch():
        torch.compile(nn.Linear(2, 2), backend="eager")(torch.ones(1, 2))
    assert not [str(warning.message) for warning in recwarn.list if "hooks" in str(warning.message)]


def test_tensors_without_data_are_not_looked_at() -> None:
    """Frameworks use them to ask a model for the shape of its output."""
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).to("meta")
    with watch(select=["ALL"]) as run:
        scores = model(torch.empty(16, 4, device="meta"))
        F.cross_entropy(scores, torch.zeros(16, dtype=torch.long, device="meta")).backward()
    assert not run.findings


def test_models_and_optimizers_are_not_kept_alive() -> None:
    import gc
    import weakref

    with watch(every=2):
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(15):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
        references = [weakref.ref(model), weakref.ref(optimizer), weakref.ref(model.weight)]
        del model, optimizer
        gc.collect()
        assert [reference() for reference in references] == [None, None, None]
