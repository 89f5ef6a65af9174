"""The tests of the runtime need PyTorch; where it is missing they are left out."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(1)  # what is small is slower in several
