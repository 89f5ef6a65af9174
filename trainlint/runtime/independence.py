"""Whether labels have to do with inputs: a permutation test on the Hilbert-Schmidt independence criterion."""

from __future__ import annotations

import torch

# Samples that are kept, and numbers of each.
SAMPLES, NUMBERS = 512, 256
LEAST = 128
PERMUTATIONS = 199


class Pairs:
    """Inputs and labels of the first samples of a run, where they were computed."""

    def __init__(self) -> None:
        self._inputs: list[torch.Tensor] = []
        self._labels: list[torch.Tensor] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_enough(self) -> bool:
        """Whether a test would say anything."""
        return self._count >= LEAST

    @staticmethod
    def accepts(target: torch.Tensor, samples: int) -> bool:
        """Whether targets are one number for each sample."""
        return target.dim() >= 1 and target.shape[0] == samples and target.numel() == samples

    def add(self, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        """Keep a copy of a batch, while there is room."""
        room = min(SAMPLES - self._count, len(labels))
        if room > 0:
            rows = inputs.detach()[:room].reshape(room, -1)
            self._inputs.append(rows[:, :: max(1, -(-rows.shape[1] // NUMBERS))].clone())
            self._labels.append(labels.detach()[:room].reshape(-1).clone())
            self._count += room

    def independence(self) -> float:
        """The p-value of the hypothesis that labels are independent of inputs; 0 if it cannot be tested.

        The kernel of inputs is Gaussian with the median distance as its width, that of labels equality of classes, or
        the product of standardised values. Draws from a generator of its own.
        """
        inputs = torch.cat(self._inputs).double().cpu()
        labels = torch.cat(self._labels).cpu()
        # A sample that was drawn twice has the same label both times, whatever the others have.
        first = list({tuple(row): place for place, row in enumerate(inputs.tolist())}.values())
        inputs, labels = inputs[first], labels[first]
        spread = inputs.std(0)
        inputs = ((inputs - inputs.mean(0)) / torch.where(spread > 0, spread, torch.ones_like(spread)))[:, spread > 0]
        if (
            len(first) < LEAST
            or not inputs.shape[1]
            or not bool(inputs.isfinite().all())
            or len(set(labels.tolist())) < 2
        ):
            return 0.0
        distances = torch.cdist(inputs, inputs) ** 2
        width = distances[distances > 0].median()
        of_inputs = _centred(torch.exp(-distances / width))
        if labels.is_floating_point() and len(set(labels.tolist())) > 2:
            standard = (labels.double() - labels.double().mean()) / labels.double().std()
            of_labels = standard[:, None] * standard[None]
        else:
            of_labels = (labels[:, None] == labels[None]).double()
        actual = float((of_inputs * of_labels).sum())
        generator = torch.Generator().manual_seed(0)
        reached = 0
        for _ in range(PERMUTATIONS):
            order = torch.randperm(len(labels), generator=generator)
            reached += float((of_inputs * of_labels[order][:, order]).sum()) >= actual
        return (reached + 1) / (PERMUTATIONS + 1)


def _centred(kernel: torch.Tensor) -> torch.Tensor:
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
