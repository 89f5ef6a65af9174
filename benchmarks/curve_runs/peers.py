"""Other readers of curves on the same logs, each run as its own documentation says and in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GRADSNITCH = """
import json, sys, gradsnitch
print(json.dumps([[finding.code, finding.severity] for finding in gradsnitch.lint_csv(sys.argv[1])]))
"""


@dataclass(frozen=True)
class Said:
    """What a peer found: its own code, and whether that is more than information."""

    code: str
    is_grave: bool


@dataclass(frozen=True)
class Peer:
    """A tool: how it is called on a log, how its answer is read, and which of its codes mean which of ours."""

    name: str
    version: str
    command: Sequence[str]
    said: Callable[[Any], Iterator[Said]]
    means: dict[str, str]

    def python(self, root: Path) -> Path:
        """The interpreter of its environment, which is made if it is not there yet."""
        folder = root / f"{self.name}-{self.version}"
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        if not folder.is_dir():
            venv.create(folder, with_pip=True)
            install = [scripts / "python", "-m", "pip", "install", "-q", f"{self.name}=={self.version}"]
            subprocess.run(install, check=True)
        return scripts / "python"

    def judge(self, python: Path, log: Path) -> list[Said] | None:
        """What it finds in a log; None if it cannot read it."""
        command = [part.format(bin=python.parent, log=log) for part in self.command]
        done = subprocess.run([*command], capture_output=True, text=True, check=False, encoding="utf-8")
        try:
            return list(self.said(json.loads(done.stdout)))
        except (ValueError, KeyError, IndexError):
            return None


def _losslint(answer: Any) -> Iterator[Said]:
    if not answer["runs"][0]["points"] or not answer["runs"][0]["series"]:
        raise ValueError("nothing was read")
    for finding in answer["findings"]:
        yield Said(finding["check"], finding["severity"] != "info")


def _runmedic(answer: Any) -> Iterator[Said]:
    for run in answer:
        if not run["roles"]:
            raise ValueError("nothing was recognised")
        for finding in run["findings"]:
            yield Said(finding["check"], finding["severity"] != "info")


def _trainproof(answer: Any) -> Iterator[Said]:
    if not answer["reports"]:
        raise ValueError("nothing was read")
    for report in answer["reports"]:
        for finding in report["findings"]:
            if finding["id"] in ("TP-NO-RECORDS", "TP-NO-LOSS"):
                raise ValueError("nothing was read")
            yield Said(finding["id"], finding["level"] in ("WARN", "FAIL"))


def _gradsnitch(answer: Any) -> Iterator[Said]:
    for code, severity in answer:
        yield Said(code, severity != "info")


# Where it is open what a code means, all are listed that it may.
PEERS = (
    Peer(
        "losslint",
        "0.4.1",
        ("{bin}/losslint", "check", "--format", "json", "{log}"),
        _losslint,
        {
            "nan_inf": "TC101",
            "divergence": "TC102",
            "loss_spike": "TC103",
            "stagnation": "TC104 TC108 TC111 TC117",
            "overfit_onset": "TC106 TC107",
            "step_backtrack": "TC112",
        },
    ),
    Peer(
        "runmedic",
        "0.1.1",
        ("{bin}/runmedic", "diagnose", "{log}", "--json"),
        _runmedic,
        {
            "non_finite": "TC101",
            "divergence": "TC102",
            "loss_spikes": "TC103",
            "no_learning": "TC104",
            "overfitting": "TC106 TC107",
            "val_below_train": "TC113",
            "constant_lr_plateau": "TC111",
        },
    ),
    Peer(
        "trainproof",
        "0.22.0",
        ("{bin}/trainproof", "epoch", "{log}", "--json"),
        _trainproof,
        {
            "TP-NAN": "TC101",
            "TP-DIVERGE": "TC102",
            "TP-FLAT": "TC104 TC108 TC110",
            "TP-DEAD-RUN": "TC104 TC108 TC110",
            "TP-OVERFIT": "TC106 TC107",
            "TP-ZERO-LR-PARTIAL": "TC117",
        },
    ),
    Peer(
        "gradsnitch",
        "0.1.0",
        ("{bin}/python", "-c", _GRADSNITCH.replace("{", "{{").replace("}", "}}"), "{log}"),
        _gradsnitch,
        {
            "GS001": "TC101",
            "GS004": "TC106 TC107",
            "GS005": "TC104 TC108 TC111",
            "GS006": "TC102",
            "GS009": "TC105",
            "GS010": "TC117",
        },
    ),
)


def installed(root: Path) -> Iterator[tuple[Peer, Path]]:
    """The peers that can be had, with their interpreters."""
    for peer in PEERS:
        try:
            yield peer, peer.python(root)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{peer.name} cannot be installed: {error}", file=sys.stderr)
