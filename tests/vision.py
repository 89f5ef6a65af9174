"""torchvision beside a PyTorch without CUDA."""

from __future__ import annotations

import importlib
from typing import Any


def torchvision() -> Any:
    """torchvision, whose Python side is all that is asked of.

    Its wheel holds operators compiled for CUDA, which a PyTorch without cannot load: torchvision, and all that imports
    it if it is there, stumbles over those that it describes.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return importlib.import_module("torchvision")
