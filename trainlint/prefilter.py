"""Could a file concern any rule? Decided on its bytes, so that most files are never parsed."""

from __future__ import annotations

import re

# The beginnings of the packages that training code imports.
LIBRARIES = """
    accelerate albumentations apex bitsandbytes catalyst catboost composer cuml cupy datasets deepspeed detectron2
    diffusers equinox fastai flax haiku ignite imblearn jax keras kornia lightgbm lightning mmcv mmengine monai
    numpy optax pandas peft polars pytorch scipy segmentation_models skimage sklearn skorch tensorflow timm torch
    transformers trl xgboost
""".split()

# The distance is bounded because a notebook may be one line of megabytes.
_IMPORT = re.compile(rf"(?:import|from)\b[\w., \t]{{0,120}}?\b(?:{'|'.join(LIBRARIES)})".encode())

# Calls that only training code makes: it may import everything through modules of its own.
_TELLTALES = (b".backward(", b".zero_grad(", b".load_state_dict(", b".fit_transform(", b"DataLoader(")

# A suppression of ours, which must be told when it is of no use.
_SUPPRESSION = re.compile(rb"trainlint\s*:|noqa\s*:[^\n]{0,200}?\btl\d")


def may_concern(content: bytes) -> bool:
    """Whether a file with this content has to be parsed."""
    return (
        _IMPORT.search(content) is not None
        or any(telltale in content for telltale in _TELLTALES)
        or (may_be_suppressed(content) and _SUPPRESSION.search(content.lower()) is not None)
    )


def may_be_suppressed(content: bytes) -> bool:
    """Whether a file with this content may hold suppression comments, be they ours or everybody's."""
    lowered = content.lower()
    return b"noqa" in lowered or b"trainlint" in lowered
