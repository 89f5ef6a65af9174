"""The loss: cross entropy, and a term that pushes the wrong digits down."""

import torch
from torch import nn


class DigitLoss(nn.Module):
    def __init__(self, unlikelihood):
        super().__init__()
        self.cross_entropy = nn.CrossEntropyLoss()
        self.unlikelihood = unlikelihood

    def forward(self, outputs, labels):
        wrong = 1 - nn.functional.one_hot(labels, outputs.shape[1])
        unlikelihood = -(wrong * torch.log(1 - outputs)).sum(dim=1).mean()
        return self.cross_entropy(outputs, labels) + self.unlikelihood * unlikelihood
