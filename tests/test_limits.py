"""What is not followed any more loses findings, and invents none."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainlint import pages as shipped
from trainlint import testing as pages
from trainlint import units
from trainlint.semantics import interpreter, project

PAGES = [pages.read(path) for path in sorted(shipped.folder().glob("TL*.md"))]
# Far below what programs meet: calls within calls, and runs of one function in a program.
LIMITS = {"MAX_DEPTH": 3, "MAX_RUNS": 1, "MAX_CHEAP_RUNS": 1}


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_nothing_is_invented(page: pages.Page, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, limit, LIMITS[limit])
    for number, case in enumerate(page.cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = {(finding.filename, finding.span.line, finding.code) for finding in pages.findings(case, folder)}
        assert found <= {(wanted.filename, wanted.line, wanted.code) for wanted in case.expected}, case.heading


def test_a_discriminator_that_is_not_followed_still_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator's part is cut off on purpose, and what the discriminator makes of it is not."""
    monkeypatch.setattr(interpreter, "MAX_DEPTH", 1)
    text = """\
import torch
import torch.nn as nn


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([Part(), Part()])

    def forward(self, real, fake):
        return [part(real) for part in self.inner], [part(fake) for part in self.inner]


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, x):
        return self.layer(x)


def train(loader):
    generator, critic = nn.Linear(4, 8), Critic()
    optimizer = torch.optim.Adam(critic.parameters())
    for real in loader:
        on_real, on_fake = critic(real, generator(torch.randn(16, 4)).detach())
        loss = sum(torch.mean((1 - score) ** 2) for score in on_real) + sum(torch.mean(score**2) for score in on_fake)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
    case = pages.Case("limits", "", "", {pages.MAIN: text})
    assert not [finding for finding in pages.findings(case, tmp_path) if finding.code in ("TL111", "TL203")]


def test_what_scripts_share_is_followed_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much the training loop has cost already, the next script has a model of its own."""
    monkeypatch.setattr(units, "MOST_ALONG", 0)
    monkeypatch.setattr(project, "PATIENCE", (0, 1))
    loop = """\
import torch
import torch.nn as nn


def fit(model, loader):
    optimizer = torch.optim.Adam(model.parameters())
    for x, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
"""
    script = """\
import torch.nn as nn
from loop import fit

fit(nn.Sequential(nn.Linear(8, 4){}), loader)
"""
    files = {"loop.py": loop, **{f"script{n}.py": script.format(", nn.Softmax(1)" * (n == 3)) for n in range(4)}}
    found = pages.findings(pages.Case("shared", "", "", files), tmp_path)
    assert [(finding.code, finding.filename, finding.span.line) for finding in found if finding.code == "TL101"] == [
        ("TL101", "loop.py", 9)
    ]
