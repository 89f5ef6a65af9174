from __future__ import annotations

import json

import pytest

from trainlint.prefilter import may_be_suppressed, may_concern
from trainlint.semantics.library import TABLES


@pytest.mark.parametrize(
    "text",
    [
        "import torch",
        "import torch.nn as nn",
        "import os, torch",
        "import os; import torch",
        "from torch import nn",
        "from torchvision.models import resnet18",
        "import pytorch_lightning as pl",
        "try:\n    import tensorflow as tf\nexcept ImportError: pass",
        "def f():\n\timport numpy as np",
        "if True: from sklearn.svm import SVC",
        "\ufeffimport torch\r\n",
        # Training code may get everything from modules of its own.
        "from .base import *\nloss.backward()",
        "from common import DataLoader\nx = DataLoader(d)",
        # A suppression must be told when it is of no use.
        "x = 1  # noqa: TL101",
        "x = 1  # NOQA:E501,TL1",
        "# trainlint: ignore-file",
        json.dumps({"cells": [{"source": "import os\nimport torch\n"}]}),
        json.dumps({"cells": [{"source": ["%matplotlib inline\n", "from keras import layers\n"]}]}),
    ],
)
def test_training_code_passes(text: str) -> None:
    assert may_concern(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "import os\nimport sys\n",
        "print('torch')\n# about torch and numpy\nx = tensorflow\n",
        "from architecture import model",
        "important = 1; torch = 2",
        "x = 1  # noqa: E501\ny = 2  # noqa",
        "from a import b\ntorch = b",
        "\0\0\0",
    ],
)
def test_other_code_does_not(text: str) -> None:
    assert not may_concern(text.encode())


@pytest.mark.parametrize("package", [package for package, table in TABLES.items() if table != "python"])
def test_every_library_that_the_engine_knows_passes(package: str) -> None:
    """Knowledge would be of no use for a library whose users' files are never read."""
    assert may_concern(f"import {package}".encode())
    assert may_concern(f"from {package}.some.where import something".encode())


def test_a_file_of_one_enormous_line_takes_no_time() -> None:
    assert not may_concern(b"from the bytes import nothing; " * 400_000)


def test_comments_are_looked_for_only_where_there_may_be_some() -> None:
    assert may_be_suppressed(b"x  # NoQA")
    assert may_be_suppressed(b"# trainlint: ignore")
    assert not may_be_suppressed(b"import torch")
