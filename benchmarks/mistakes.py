"""Who tells which mistake of a run? Trains small models, with and without mistakes, under trainlint and its peers.

A tool tells a mistake if it reports, as a warning or worse, a kind of finding that it does not report on the same
training without the mistake. This needs no opinion on what its codes mean; for trainlint the table also says whether
the rule is the one meant. `python benchmarks/mistakes.py --help` shows the choices.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import contextlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from overhead import PEERS, environment, output_of
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 8


@dataclass
class Training:
    """A model with its optimizer, data and loss; mistakes change it."""

    model: nn.Module
    x: Tensor
    y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor] = field(default_factory=nn.CrossEntropyLoss)
    rate: float = 1e-3
    trained: Callable[[nn.Module], Iterator[nn.Parameter]] = nn.Module.parameters
    clears: bool = True
    shuffles: bool = True
    repeats: bool = False
    trains: bool = True
    prepare: Callable[[Training], None] | None = None
    after_backward: Callable[[Tensor], None] | None = None
    after_step: Callable[[Tensor], None] | None = None

    def ready(self) -> torch.optim.Optimizer:
        if self.prepare is not None:
            self.prepare(self)
        self.optimizer = torch.optim.Adam([p for p in self.trained(self.model) if p.requires_grad], lr=self.rate)
        return self.optimizer

    def run(self) -> None:
        loader = DataLoader(TensorDataset(self.x, self.y), batch_size=32, shuffle=self.shuffles)
        first = next(iter(loader))
        self.model.train(self.trains)
        for _ in range(EPOCHS):
            for batch in loader:
                x, y = first if self.repeats else batch
                if self.clears:
                    self.optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                if self.after_backward is not None:
                    self.after_backward(loss)
                self.optimizer.step()
                if self.after_step is not None:
                    self.after_step(loss)


# --- Healthy trainings ---


def rows() -> tuple[Tensor, Tensor]:
    x = torch.randn(768, 16)
    return x, (x[:, 0] + x[:, 1] * x[:, 2]).mul(2).add(1).clamp(0, 2.99).long()


def mlp() -> Training:
    model = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 3))
    return Training(model, *rows())


def regression() -> Training:
    x = torch.randn(768, 16)
    y = (x[:, :1] + x[:, 1:2] * x[:, 2:3] + 0.1 * torch.randn(768, 1)).div(2**0.5)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    return Training(model, x, y, nn.MSELoss())


def images() -> Training:
    labels = torch.randint(4, (512,))
    x = 0.5 * torch.randn(512, 1, 12, 12)
    for image, label in zip(x, labels.tolist(), strict=True):
        image[:, 6 * (label // 2) :, 6 * (label % 2) :][:, :6, :6] += 2
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(144, 4)),
    )
    return Training(model, (x - x.mean()) / x.std(), labels)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read, self.head = nn.Embedding(50, 24), nn.GRU(24, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.read(self.embed(words))[0].mean(1))


def texts() -> Training:
    words = torch.randint(50, (512, 12))
    return Training(Reader(), words, (words < 20).sum(1).gt(4).long())


HEALTHY: dict[str, Callable[[], Training]] = {
    "mlp": mlp,
    "regression": regression,
    "images": images,
    "texts": texts,
}

# --- Mistakes: in which training, what is done to it, and the rules that mean it ---


def double_softmax(training: Training) -> None:
    training.loss = lambda output, y: F.cross_entropy(output.softmax(1), y)


def permuted_labels(training: Training) -> None:
    training.y = training.y[torch.randperm(len(training.y))]


def sorted_labels(training: Training) -> None:
    order = training.y.argsort()
    training.x, training.y, training.shuffles = training.x[order], training.y[order], False


def broadcast(training: Training) -> None:
    training.y = training.y[:, 0]


def frozen_backbone(training: Training) -> None:
    for parameter in training.model[:8].parameters():  # type: ignore[index]
        parameter.requires_grad_(False)


def forgotten_layer(training: Training) -> None:
    training.trained = lambda model: model[1:].parameters()  # type: ignore[index]


def dead_units(training: Training) -> None:
    with torch.no_grad():
        training.model[0].bias -= 10  # type: ignore[index, operator]


def raw_images(training: Training) -> None:
    training.x = (training.x - training.x.min()) / (training.x.max() - training.x.min()) * 255


def nan_in_inputs(training: Training) -> None:
    training.x[100, 0] = float("nan")


def class_by_class(training: Training) -> None:
    sorted_labels(training)
    order = torch.randperm(len(training.y) // 32).repeat_interleave(32) * 32 + torch.arange(len(training.y)) % 32
    training.x, training.y = training.x[order], training.y[order]


def sigmoids(training: Training) -> None:
    layers = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    training.model = nn.Sequential(*layers, nn.Linear(16, 3))


def setting(**changes: object) -> Callable[[Training], None]:
    def change(training: Training) -> None:
        for name, value in changes.items():
            setattr(training, name, value)

    return change


MISTAKES: dict[str, tuple[str, Callable[[Training], None], str]] = {
    "no zero_grad": ("mlp", setting(clears=False), "TR411"),
    "softmax before the loss": ("mlp", double_softmax, "TR202"),
    "permuted labels": ("mlp", permuted_labels, "TR114"),
    "the same batch in each step": ("images", setting(repeats=True), "TR103"),
    "trained in eval mode": ("mlp", setting(trains=False), "TR502"),
    "squared error broadcast": ("regression", broadcast, "TR205"),
    "backbone frozen by mistake": ("images", frozen_backbone, "TR407 TR404"),
    "layer in no optimizer": ("mlp", forgotten_layer, "TR405"),
    "NaN in the inputs": ("mlp", nan_in_inputs, "TR101 TR204 TR305"),
    "learning rate far too high": ("mlp", setting(rate=10.0), "TR413 TR402 TR408 TR406"),
    "learning rate of zero": ("mlp", setting(rate=0.0), "TR413 TR407"),
    "dead units": ("regression", dead_units, "TR301"),
    "pixels from 0 to 255": ("images", raw_images, "TR109"),
    "labels in order": ("images", sorted_labels, "TR106 TR105"),
    "one class in each batch": ("images", class_by_class, "TR105"),
    "eight sigmoids in a row": ("mlp", sigmoids, "TR401"),
}

# --- What watches: each is attached, and then gives the kinds of what it found ---

Kinds = Callable[[], set[str]]


def trainlint(training: Training) -> Kinds:
    from trainlint.runtime import watch

    watching = watch()
    watching.__enter__()

    def kinds() -> set[str]:
        watching.__exit__(None, None, None)
        return {finding.code for finding in watching.findings if finding.severity.value != "info"}

    return kinds


def torch_audit(training: Training) -> Kinds:
    from torch_audit import autopatch

    auditor = autopatch(training.model, optimizer=training.optimizer, reporters=[], every_n_steps=10)
    return lambda: {found.rule_id for found in auditor.finish().findings if found.severity.value != "INFO"}


def torchmortem(training: Training) -> Kinds:
    from torchmortem import Autopsy

    autopsy = Autopsy(training.model, optimizer=training.optimizer)
    autopsy.__enter__()
    training.after_step = lambda loss: autopsy.step(loss=loss.item())

    def kinds() -> set[str]:
        autopsy.__exit__(None, None, None)
        report = autopsy.get_report()
        return {f"{found.detector}/{found.category}" for found in report.findings if found.severity.name != "INFO"}

    return kinds


def gradsnitch(training: Training) -> Kinds:
    import gradsnitch as peer

    monitor = peer.watch(training.model, training.optimizer)
    steps = iter(range(1 << 30))
    training.after_backward = lambda loss: monitor.log(next(steps), loss.item()) and None
    return lambda: {found.code for found in monitor.report() if found.severity != "info"}


TOOLS: dict[str, Callable[[Training], Kinds]] = {
    "trainlint": trainlint,
    "torch-audit": torch_audit,
    "torchmortem": torchmortem,
    "gradsnitch": gradsnitch,
}


def found_by(tool: str, name: str, mistake: str | None, seed: int) -> list[str]:
    """The kinds of findings of a tool in one training."""
    torch.manual_seed(seed)
    training = HEALTHY[name]()
    if mistake is not None:
        training.prepare = MISTAKES[mistake][1]
    training.ready()
    kinds = TOOLS[tool](training)
    with contextlib.redirect_stdout(io.StringIO()):
        training.run()
        return sorted(kinds())


def all_of(tool: str, seeds: list[int]) -> dict[str, list[list[str]]]:
    """What a tool finds in all trainings, one list for each seed."""
    runs = {name: (name, None) for name in HEALTHY} | {mistake: (MISTAKES[mistake][0], mistake) for mistake in MISTAKES}
    return {key: [found_by(tool, *run, seed) for seed in seeds] for key, run in runs.items()}


def in_environment(tool: str, seeds: list[int], cache: Path) -> dict[str, list[list[str]]] | str:
    """The same of a peer in an environment of its own; or why not."""
    command = [os.path.abspath(__file__), "--one", tool, "--seeds", *map(str, seeds)]
    try:
        python = environment(PEERS[tool][0], cache)
        # From there come the trainings, from here only their code.
        return dict(json.loads(output_of([python, *command], cache).splitlines()[-1]))
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or ["failed"])[-1]


def told(answers: dict[str, list[list[str]]], mistake: str) -> int:
    """In how many runs a mistake was told: a kind was found that the healthy runs of that training do not have."""
    usual = {kind for kinds in answers[MISTAKES[mistake][0]] for kind in kinds}
    return sum(bool(set(kinds) - usual) for kinds in answers[mistake])


def table(answers: dict[str, dict[str, list[list[str]]]]) -> Iterator[str]:
    own = answers["trainlint"]
    yield f"{'':30}" + "".join(f"{tool:>13}" for tool in answers) + "   trainlint says"
    for mistake, (_, _, meant) in MISTAKES.items():
        runs = len(own[mistake])
        by_name = sum(not set(meant.split()).isdisjoint(kinds) for kinds in own[mistake])
        said = " ".join(sorted({kind for kinds in own[mistake] for kind in kinds}))
        row = "".join(f"{told(found, mistake):>10}/{runs}" for found in answers.values())
        yield f"{mistake:30}{row}   the one meant {by_name}/{runs}: {said}"
    for name in HEALTHY:
        row = "".join(f"{sum(map(bool, found[name])):>10}/{len(found[name])}" for found in answers.values())
        yield f"{'healthy: ' + name:30}{row}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "trainlint-benchmarks")
    parser.add_argument("--one", choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    if options.one:
        print(json.dumps(all_of(options.one, options.seeds)))
        return
    answers = {"trainlint": all_of("trainlint", options.seeds)}
    for peer in options.peers:
        found = in_environment(peer, options.seeds, options.cache)
        if isinstance(found, str):
            print(f"{peer} cannot be used: {found}", file=sys.stderr)
        else:
            answers[peer] = found
    print("\n".join(table(answers)))


if __name__ == "__main__":
    main()
