"""A script with many settings: a choice of models, and forks by options on the way to each loss.

What an engine follows doubles with each fork if it keeps no account; `speed.py` shows that it does not.
"""

from __future__ import annotations

HEAD = """\
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(args.width, args.width), nn.GELU(), nn.Dropout(args.dropout))
        self.gate = nn.Linear(args.width, args.width) if args.gate else nn.Identity()

    def forward(self, x):
        return x + self.mix(x) * torch.sigmoid(self.gate(x))
"""

MODEL = """\
class Model{n}(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embed = nn.Linear(args.features, args.width)
        self.blocks = nn.ModuleList([Block(args) for _ in range(args.depth)])
        self.norm = nn.LayerNorm(args.width) if args.norm else None
        self.head = nn.Linear(args.width, args.horizon)

    def forward(self, x, marks=None):
        x = self.embed(x) if marks is None else self.embed(x) + marks
        for block in self.blocks:
            x = block(x)
        return self.head(x if self.norm is None else self.norm(x))
"""

SETTING = """\
        if self.args.option{n}:
            outputs = self.model(inputs, marks)[:, -self.args.horizon :]
        else:
            outputs = self.model(inputs)
"""

EXPERIMENT = """\
class Experiment:
    def __init__(self, args):
        self.args = args
        self.model = MODELS[args.model](args)
        self.criterion = nn.MSELoss()

    def predict(self, inputs, marks):
{settings}        return outputs

    def evaluate(self, loader):
        self.model.eval()
        total = 0.0
        with torch.no_grad():
            for inputs, marks, targets in loader:
                total += self.criterion(self.predict(inputs, marks), targets).item()
        return total / len(loader)

    def train(self, loader, held_out):
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.args.rate)
        scaler = torch.amp.GradScaler(enabled=self.args.amp)
        for epoch in range(self.args.epochs):
            self.model.train()
            for inputs, marks, targets in loader:
                optimizer.zero_grad()
                if self.args.amp:
                    with torch.autocast("cuda"):
                        loss = self.criterion(self.predict(inputs, marks), targets)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                else:
                    loss = self.criterion(self.predict(inputs, marks), targets)
                    loss.backward()
                    optimizer.step()
            print(epoch, self.evaluate(held_out))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=sorted(MODELS))
    for name in ("features", "width", "depth", "horizon", "epochs"):
        parser.add_argument("--" + name, type=int, default=8)
    for name in ("dropout", "rate"):
        parser.add_argument("--" + name, type=float, default=0.001)
    for name in ("norm", "gate", "amp", {options}):
        parser.add_argument("--" + name, action="store_true")
    args = parser.parse_args()
    parts = [TensorDataset(torch.randn(64, 8, 8), torch.randn(64, 8, 8), torch.randn(64, 8, 8)) for _ in range(2)]
    loader, held_out = (DataLoader(part, batch_size=8, shuffle=True) for part in parts)
    Experiment(args).train(loader, held_out)


if __name__ == "__main__":
    main()
"""

MODELS = 6


def script(settings: int) -> str:
    """The script with so many options, each of which decides on what its model is given."""
    models = [MODEL.replace("{n}", str(number)) for number in range(MODELS)]
    choices = ", ".join(f'"model{number}": Model{number}' for number in range(MODELS))
    forks = "".join(SETTING.replace("{n}", str(number)) for number in range(settings))
    options = ", ".join(f'"option{number}"' for number in range(settings))
    experiment = EXPERIMENT.replace("{settings}", forks).replace("{options}", options)
    return "\n\n".join([HEAD, *models, f"MODELS = {{{choices}}}\n", experiment])
