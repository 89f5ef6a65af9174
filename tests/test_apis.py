"""The table of APIs agrees with PyTorch and torchvision as they are; which versions of them a project allows."""

from __future__ import annotations

import importlib
import re
import warnings
from typing import Any

import pytest
import vision

from trainlint.semantics.requirements import bounds
from trainlint.semantics.uses import choice, public, table

NOTHING = object()


@pytest.fixture(scope="module")
def torchvision() -> Any:
    return vision.torchvision()


def find(path: str) -> Any:
    """What a dotted path leads to, NOTHING where it leads nowhere."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found: Any = importlib.import_module(".".join(parts[:end]))
                for part in parts[end:]:
                    found = getattr(found, part)
        except ImportError:
            continue
        except AttributeError:
            return NOTHING
        return found
    return NOTHING


def raises(function: Any) -> bool:
    """Whether calling a function tells that it is gone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(None, None)
    except RuntimeError as error:
        return "now removed" in str(error)
    except Exception:  # noqa: BLE001 - it has something against the arguments
        return False
    return False


ROOTS = {"torch": ("torch", "functorch"), "torchvision": ("torchvision",)}


@pytest.mark.torch
@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_what_is_removed_is_gone_and_the_rest_is_there(name: str) -> None:
    wrong = []
    for path, entry in table().entries.items():
        if path.partition(".")[0] not in ROOTS[name]:
            continue
        found = find(path.removesuffix("()"))
        gone = found is NOTHING or (raises(found) if callable(found) else path.endswith("()"))
        if gone != bool(entry.get("removed")):
            wrong.append(path)
    assert not wrong


@pytest.mark.torch
@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_what_to_use_instead_is_there(name: str) -> None:
    wanted = {
        path.removesuffix("()")
        for entry in table().entries.values()
        for path in re.findall(r"[\w.()]+", entry.get("use"))
        if path.partition(".")[0] == name and "." in path
    }
    assert not [path for path in wanted if find(path) is NOTHING]


@pytest.mark.torch
def test_deprecated_functions_of_torch_are_in_the_table() -> None:
    ours = {public(path) for path in table().entries}
    missing = set()
    for home in ("", ".nn", ".nn.utils", ".nn.functional", ".cuda", ".cuda.amp", ".cpu.amp", ".testing", ".autograd"):
        module = find(f"torch{home}")
        for name in dir(module):
            member = vars(module).get(name)
            mark = getattr(member, "__deprecated__", None) or (
                isinstance(member, type) and getattr(vars(member).get("__init__"), "__deprecated__", None)
            )
            if isinstance(mark, str) and not name.startswith("_") and f"torch{home}.{name}" not in ours:
                missing.add(f"torch{home}.{name}")
    assert not missing


@pytest.mark.torch
def test_arguments_that_are_removed_are_refused() -> None:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    assert table().argument("torch.optim.lr_scheduler.StepLR", "verbose") is not None
    with pytest.raises(TypeError, match="verbose"):
        torch.optim.lr_scheduler.StepLR(optimizer, 1, verbose=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("torch>=1.8,<2", ((1, 8, 0), (2, 0, 0))),
        ("torch==1.13.1+cu117\n", ((1, 13, 1), (1, 13, 2))),
        ("numpy\ntorch\ntorchvision>=0.13", (None, None)),
        ('dependencies = ["torch >= 2.0", "x"]', ((2, 0, 0), None)),
        ('torch = "^2.0"', ((2, 0, 0), (3, 0, 0))),
        ('torch = "2.1"', ((2, 1, 0), (2, 2, 0))),
        ("  - pytorch=1.7.1=py3.8_cuda", ((1, 7, 1), (1, 7, 2))),
        ("torch~=2.1.0", ((2, 1, 0), (2, 2, 0))),
        ("torch<=1.9", (None, (1, 10, 0))),
        ("pytorch-lightning>=1.0\ntorchmetrics==1.2", (None, None)),
        ("torch>=1.4\ntorch>=2.0", ((1, 4, 0), None)),
    ],
)
def test_bounds_of_requirements(text: str, found: object) -> None:
    assert bounds(text, "torch") == found


def test_a_choice_of_words_matches_these_and_no_others() -> None:
    words = {"qr", "lu", "lu_solve", "ger", "autocast", "a", "ab"}
    pattern = re.compile(rf"(?:{choice(words)})\b")
    assert {word for word in [*words, "l", "lu_", "gerx", "q", "abc"] if pattern.fullmatch(word)} == words
