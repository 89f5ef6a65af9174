"""Numbers on their way from the device: written down as they are computed, read all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch

Reader = Callable[[list[float]], None]

# Numbers that wait at most, so that memory stays bounded between two transfers.
CAPACITY = 1 << 18


class Ledger:
    """Holds small tensors and those who want their values. Nothing waits for the device before `settle`."""

    def __init__(self) -> None:
        self._tensors: list[torch.Tensor] = []
        self._readers: list[tuple[int, Reader]] = []
        self._numbers = 0

    def later(self, tensors: Sequence[torch.Tensor], read: Reader) -> None:
        """Have `read` called with the numbers in `tensors`, one after the other, at the next transfer."""
        count = sum(tensor.numel() for tensor in tensors)
        self._tensors += [tensor.detach().reshape(-1) for tensor in tensors]
        self._readers.append((count, read))
        self._numbers += count
        if self._numbers > CAPACITY:
            self.settle()

    def settle(self) -> None:
        """Fetch all numbers, with one transfer for each device, and hand them out in the order they were written."""
        tensors, readers = self._tensors, self._readers
        self._tensors, self._readers, self._numbers = [], [], 0
        if not readers:
            return
        columns = _fetched(tensors)
        numbers = [number for column in columns for number in column]
        start = 0
        for count, read in readers:
            read(numbers[start : start + count])
            start += count


def _fetched(tensors: Sequence[torch.Tensor]) -> list[list[float]]:
    """The values of each tensor. Those of one type are joined before they are widened, which takes few kernels."""
    devices: dict[torch.device, dict[torch.dtype, list[int]]] = {}
    for index, tensor in enumerate(tensors):
        devices.setdefault(tensor.device, {}).setdefault(tensor.dtype, []).append(index)
    result: list[list[float]] = [[] for _ in tensors]
    for device, types in devices.items():
        wide = torch.float32 if device.type == "mps" else torch.float64
        with torch.no_grad():
            joined = [torch.cat([tensors[index] for index in members]).to(wide) for members in types.values()]
            values = torch.cat(joined).tolist()
        start = 0
        for index in chain.from_iterable(types.values()):
            end = start + tensors[index].numel()
            result[index] = values[start:end]
            start = end
    return result
