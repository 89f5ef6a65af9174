"""The tests of the runtime need PyTorch, and those of the callbacks their frameworks; where these are missing they are
left out."""

from __future__ import annotations

import importlib.util

import vision

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(1)  # what is small is slower in several

    if not all(map(importlib.util.find_spec, ("accelerate", "keras", "lightning", "transformers"))):
        collect_ignore = ["test_callbacks.py"]
    elif importlib.util.find_spec("torchvision") is not None:
        vision.torchvision()  # Lightning's metrics import it
