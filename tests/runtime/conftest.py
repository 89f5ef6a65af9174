"""The tests of the runtime need PyTorch and the frameworks that the callbacks are for: the extra `test`. Where there is
none of it, leave them out with `--ignore=tests/runtime`."""

from __future__ import annotations

import torch
import vision

torch.set_num_threads(1)  # what is small is slower in several
vision.torchvision()  # Lightning's metrics import it
