"""Nothing is found where nothing is wrong."""

from __future__ import annotations

import pytest
import torch
from runtime.healthy import TRAININGS

from trainlint.runtime import watch


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_healthy_run_gives_nothing(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    with watch(every=7) as run:
        TRAININGS[name]()
    assert run.steps >= 10
    assert not [str(finding) for finding in run.findings]
