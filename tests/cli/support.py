from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlint.findings import Finding, Severity, Span

# What has to be in a file for it to be looked at.
TRAINING = "import torch\n"

# A mistake that must be found, at 6:28.
MISTAKE = """\
import torch
import torch.nn.functional as F

def loss_of(model, images, labels):
    probabilities = torch.softmax(model(images), dim=1)
    return F.cross_entropy(probabilities, labels)
"""

# A warning, TL206, with a safe fix.
FIXABLE = """\
import torch.nn.functional as F


def train(model, loader, optimizer):
    total = 0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss
    return total
"""


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


def finding(
    code: str = "TL101",
    filename: str = "train.py",
    line: int = 1,
    column: int = 1,
    *,
    name: str = "softmax-before-cross-entropy",
    **more: Any,
) -> Finding:
    """A finding one character long."""
    span = Span(line, column, line, column + 1)
    return Finding(code, name, "a message", more.pop("severity", Severity.ERROR), filename, span, **more)


@dataclass
class Engine:
    """Stands in for the analysis: what it shall find, and what it was asked."""

    findings: Sequence[Finding] = ()
    files: Sequence[tuple[Path, str]] = ()
    texts: dict[str, str] | None = None
    codes: Sequence[str] = ()

    def check_files(
        self,
        files: Sequence[tuple[Path, str]],
        texts: dict[str, str],
        rules: Sequence[Any],
        *,
        knowledge: Any = (),
        finder: Any = None,
        progress: Any = None,
        seam: Any = None,
    ) -> list[Finding]:
        self.files, self.texts = [*self.files, *files], texts
        self.codes = sorted({*self.codes, *(rule.code for rule in rules)})
        if progress is not None:
            progress(len(files), len(files))
        return list(self.findings)

    @property
    def names(self) -> list[str]:
        """The names of the files it was given."""
        return [name for _, name in self.files]
