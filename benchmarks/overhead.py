"""What does it cost to watch a run? Prints the time of a watched step over that of a bare one, beside its peers.

`python benchmarks/overhead.py --help` shows the choices; README.md beside this file says how to read the figures.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

# --- What is trained ---


class Bottleneck(nn.Module):
    """Three convolutions and a way around them."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.around = nn.Sequential()
        if inputs != outputs or stride > 1:
            self.around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.around(x))


def resnet50() -> nn.Module:
    """The layers of ResNet-50: 25.6 million parameters."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2)]
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if stage and not block else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class LanguageModel(nn.Module):
    """A causal transformer of about 10 million parameters."""

    def __init__(self, words: int = 2000, width: int = 320, layers: int = 7) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, 8, 4 * width, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.head(self.body(self.embed(x), mask=mask, is_causal=True)).transpose(1, 2)


def mlp() -> nn.Module:
    """A step of about one millisecond."""
    return nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def images() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(4, 3, 96, 96), torch.randint(1000, (4,))


def text() -> tuple[torch.Tensor, torch.Tensor]:
    words = torch.randint(2000, (4, 33))
    return words[:, :-1], words[:, 1:]


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(128, 128), torch.randint(10, (128,))


# Of each: model, batch, and what trainlint promises.
WORK: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[torch.Tensor, torch.Tensor]], float]] = {
    "resnet50": (resnet50, images, 1.02),
    "transformer": (LanguageModel, text, 1.02),
    "mlp": (mlp, rows, 1.10),
}


class Training:
    """A model with its optimizer, a new batch in every step."""

    def __init__(self, work: str, device: str) -> None:
        torch.manual_seed(0)
        make, batch, _ = WORK[work]
        self.device = device
        self.model = make().to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.batches = [tuple(part.to(device) for part in batch()) for _ in range(8)]
        self.steps = 0
        # What peers want to be called within a step.
        self.after_backward: Callable[[torch.Tensor], None] | None = None
        self.after_step: Callable[[torch.Tensor], None] | None = None

    def step(self) -> None:
        x, y = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        if self.after_backward is not None:
            self.after_backward(loss)
        self.optimizer.step()
        if self.after_step is not None:
            self.after_step(loss)

    def timed(self) -> float:
        """Milliseconds of one step: of the processor, or on a device of the clock."""
        if self.device == "cpu":
            start = time.process_time_ns()
            self.step()
            return (time.process_time_ns() - start) / 1e6
        torch.cuda.synchronize()
        start = time.perf_counter_ns()
        self.step()
        torch.cuda.synchronize()
        return (time.perf_counter_ns() - start) / 1e6


# --- What watches ---

# Steps of one kind in a row: so many, or what a tenth of a second holds. In a run there are 99 between two looks, and
# the interpreter needs some to adapt to a watch that begins or ends, which counts where a step takes a millisecond.
ROW, ROW_MS, MOST = 5, 100.0, 99


class Trainlint:
    """A monitor that can be taken away for a step, and told whether to look at tensors in the next."""

    def __init__(self, training: Training) -> None:
        from trainlint.runtime import instruments
        from trainlint.runtime.monitor import EVERY, FIRST, Monitor

        self.every = EVERY
        self._instruments = instruments
        self._monitor = Monitor(every=1 << 30)
        with self._monitor_listening():
            for _ in range(FIRST + 1):
                training.step()

    def _monitor_listening(self) -> ExitStack:
        stack = ExitStack()
        self._monitor.is_listening = True
        self._instruments.listen(self._monitor)
        stack.callback(self._instruments.forget, self._monitor)
        return stack

    def timed(self, training: Training, steps: int, *, observed: bool) -> list[float]:
        taken = []
        with self._monitor_listening():
            for _ in range(steps):
                self._monitor.is_observed = observed
                taken.append(training.timed())
        if self._monitor.observations:
            sys.exit(f"the watch found something, so it measures something else: {self._monitor.observations}")
        return taken


def of_trainlint(training: Training, rounds: int) -> dict[str, float]:
    """Medians of single steps, a row of each kind in turn: bare, watched, and watched with a look at all tensors."""
    watch = Trainlint(training)
    row = max(ROW, min(MOST, round(ROW_MS / training.timed())))
    bare, quiet, observed = [], [], []
    for _ in range(rounds):
        bare += [training.timed() for _ in range(row)]
        quiet += watch.timed(training, row, observed=False)
        observed += watch.timed(training, 1, observed=True)
    step, between, look = map(statistics.median, (bare, quiet, observed))
    ratio = ((watch.every - 1) * between + look) / watch.every / step
    return {"step": step, "unobserved": between / step, "observed": look / step, "ratio": ratio}


# --- Peers, each used as its own introduction does ---

# What one process of a peer may take.
MINUTES = 15


def torch_audit(training: Training) -> None:
    from torch_audit import autopatch

    autopatch(training.model, optimizer=training.optimizer, reporters=[])


def torchmortem(training: Training) -> None:
    from torchmortem import Autopsy

    autopsy = Autopsy(training.model, optimizer=training.optimizer)
    autopsy.__enter__()
    training.after_step = lambda loss: autopsy.step(loss=loss.item())


def gradsnitch(training: Training) -> None:
    import gradsnitch as peer

    monitor = peer.watch(training.model, training.optimizer, check_every=50)
    training.after_backward = lambda loss: monitor.log(training.steps, loss.item())


PEERS: dict[str, tuple[str, Callable[[Training], None]]] = {
    "torch-audit": ("torch-audit==0.3.0", torch_audit),
    "torchmortem": ("torchmortem==0.1.1", torchmortem),
    "gradsnitch": ("gradsnitch==0.1.0", gradsnitch),
}
# It rewrites a script, so it has one of its own, which runs bare, fully traced, and with the selective trace that the
# invariants inferred from the full one ask for.
TRAINCHECK, SCRIPT = "TrainCheck", "overhead_script.py"


def of_peer(name: str, bare: Training, watched: Training, rounds: int) -> dict[str, float]:
    """Means of single steps that take turns: what a peer does now and then counts in full."""
    PEERS[name][1](watched)
    for training in (bare, watched):
        for _ in range(10):
            training.step()
    times = [(bare.timed(), watched.timed()) for _ in range(ROW * rounds)]
    plain, seen = (statistics.fmean(column) for column in zip(*times, strict=True))
    return {"step": plain, "ratio": seen / plain}


def environment(requirement: str, cache: Path) -> Path:
    """The interpreter of an environment that has a peer and, from ours, PyTorch."""
    import sysconfig
    import venv

    folder = cache / requirement.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        own = output_of([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        Path(own.strip(), "base.pth").write_text(sysconfig.get_path("purelib"))
        output_of([python, "-m", "pip", "install", "-q", requirement, f"torch=={torch.__version__}"])
        (folder / "complete").touch()
    return python


def output_of(command: list[str | Path], cwd: Path | None = None, variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, check=True, text=True, capture_output=True, cwd=cwd, env=variables, timeout=60 * MINUTES
    )
    return done.stdout


def in_environment(name: str, work: str, device: str, rounds: int, cache: Path) -> dict[str, Any]:
    try:
        python = environment(PEERS[name][0], cache)
        command = [
            python,
            os.path.abspath(__file__),
            "--one",
            name,
            "--work",
            work,
            "--device",
            device,
            "--rounds",
            str(rounds),
        ]
        return json.loads(output_of(command, cache).splitlines()[-1])  # peers leave files where they run
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["failed"])[-1]
        return {"failure": f"cannot be used: {last}"}


def of_traincheck(work: str, rounds: int, cache: Path) -> dict[str, Any]:
    """Medians of single steps without it and with its selective trace, after ten steps; all runs are processes."""
    python = environment("traincheck==0.2.0", cache)
    own = Path(__file__).parent
    collect = [python.with_name("traincheck-collect"), "-p", SCRIPT, "--models-to-track", "model"]

    def steps(command: list[str | Path], folder: str, count: int) -> float:
        variables = {**os.environ, "TRAINING": work, "STEPS": str(count), "BENCHMARKS": str(own)}
        printed = output_of(command, Path(folder), variables)
        times = re.findall(r"STEP ([\d.]+)", printed)  # among colours
        return statistics.median(map(float, times[10:]))

    try:
        with TemporaryDirectory() as folder:
            shutil.copy(own / SCRIPT, folder)  # its own copy is written beside it
            bare = steps([python, SCRIPT], folder, ROW * rounds)
            steps([*collect, "--output-dir", "full"], folder, 20)
            output_of([python.with_name("traincheck-infer"), "-f", "full", "-o", "invariants.json"], Path(folder))
            selected = [*collect, "-i", "invariants.json", "--output-dir", "selected"]
            seen = steps(selected, folder, ROW * rounds)
    except subprocess.TimeoutExpired as error:
        return {"failure": f"given up: {Path(error.cmd[0]).name} takes more than {MINUTES} minutes"}
    except (subprocess.CalledProcessError, statistics.StatisticsError) as error:
        return {"failure": f"cannot be used: {error}"}
    return {"step": bare, "ratio": seen / bare}


# --- The command ---


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each piece of work and each that watches it."""
    for work in options.work:
        for device in options.device:
            row = {"work": work, "device": device}
            training = Training(work, device)
            yield row | {"who": "trainlint", "limit": WORK[work][2]} | of_trainlint(training, options.rounds)
            for name in options.peers:
                if name == TRAINCHECK and device != "cpu":
                    yield row | {"who": name, "failure": "its script is timed on the CPU only"}
                elif name == TRAINCHECK:
                    yield row | {"who": name} | of_traincheck(work, options.rounds, options.cache)
                else:
                    yield row | {"who": name} | in_environment(name, work, device, options.rounds, options.cache)


def shown(row: dict[str, Any]) -> str:
    head = f"{row['work']:12} {row['device']:5} {row['who']:12}"
    if "failure" in row:
        return f"{head} {row['failure']}"
    text = f"{head} {row['step']:9.2f} ms   x {row['ratio']:.3f}"
    if "limit" in row:
        text += f"   unobserved x {row['unobserved']:.3f}, observed x {row['observed']:.3f}; at most {row['limit']:.2f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    everyone = [*PEERS, TRAINCHECK]
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--device", nargs="+", default=devices)
    parser.add_argument("--peers", nargs="*", choices=everyone, default=everyone)
    parser.add_argument("--rounds", type=int, default=20, help="of five bare steps each (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "trainlint-benchmarks")
    parser.add_argument("--json", type=Path, help="write the figures to a file as well")
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        work, device = options.work[0], options.device[0]
        bare, watched = Training(work, device), Training(work, device)
        print(json.dumps(of_peer(options.one, bare, watched, options.rounds)))
        return
    print(f"PyTorch {torch.__version__}, Python {platform.python_version()}, one thread; times of the processor on CPU")
    rows = []
    for row in measured(options):
        print(shown(row), flush=True)
        rows.append(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
