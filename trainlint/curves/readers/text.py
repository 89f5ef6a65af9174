"""What a script has printed: `epoch 3 loss: 0.52`, progress bars, dictionaries, PyTorch's and Keras' own shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from trainlint.curves.names import HELD_OUT, LOSS, TEST, role_of, words_of
from trainlint.curves.readers import Row, lines

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)\b"
# Up to four words, then a number: `Average loss: 0.05`, `val_loss=0.3`, `Acc@1 12.5`.
_VALUE = re.compile(
    rf"(?<![\w@./])([A-Za-z][\w@./]*(?:[ -][A-Za-z][\w@./]*){{0,3}})['\"]?\s*(?:[:=]\s*|\s)\s*"
    rf"(?:tensor\()?({_NUMBER})(?:\s*/\s*(\d+))?\s*(%?)",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"\bepochs?\b\W{0,3}(\d+(?:\.\d+)?)", re.IGNORECASE)
_STEP = re.compile(
    r"\b(?:global[_ ]step|steps?|iter(?:ation)?s?|it|batch)\b\W{0,4}(\d+)(?:\s*/\s*(\d+))?", re.IGNORECASE
)
# `[640/60000 (1%)]` of a part of the epoch, `[0][ 10/391]`, and `391/391 [====` of a bar.
_PART = re.compile(r"\[\s*(\d+)\s*/\s*(\d+)|^\s*(\d+)/(\d+)\s*\[|\|\s*(\d+)/(\d+)\s*\[")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x08")
_ASIDE = re.compile(r"^\W*\b(valid\w*|eval\w*|dev|test\w*)\b", re.IGNORECASE)


def claims(path: Path, head: str) -> bool:
    """Any text may be a log."""
    return True


def rows(path: Path) -> Iterator[Row]:
    """The lines that hold a loss, an accuracy or a rate, with the epoch of the last line that named one.

    Where a line tells how much of an epoch is done, `epoch` is that fraction further.
    """
    epoch: float | None = None
    for number, text in lines(path):
        if len(text) > 4000 or not any(char.isdigit() or char in "nN" for char in text):
            continue
        text = _ESCAPES.sub("", text)
        named = _EPOCH.search(text)
        if named:
            epoch = float(named[1])
        values = _values(text)
        if not values:
            continue
        where: dict[str, float] = {}
        part, step = _PART.search(text), _STEP.search(text)
        if step and not step[2]:
            where["step"] = float(step[1])
        if epoch is not None:
            where["epoch"] = epoch
            done = next((pair for pair in _pairs(part, step) if pair[1] and pair[0] <= pair[1]), None)
            if done is not None and not (named and _is_epoch_of(named, text, done)):
                where["epoch"] = (epoch - 1) + done[0] / done[1]
        yield Row({**where, **values}, number)


def _pairs(part: re.Match[str] | None, step: re.Match[str] | None) -> Iterator[tuple[float, float]]:
    if step and step[2]:
        yield float(step[1]), float(step[2])
    if part:
        found = [float(group) for group in part.groups() if group is not None]
        yield found[0], found[1]


def _is_epoch_of(named: re.Match[str], text: str, done: tuple[float, float]) -> bool:
    """Whether what looks like a part of the epoch is the epoch itself, as in `Epoch [3/10]`."""
    after = text[named.start() : named.end() + 12]
    return bool(re.search(rf"\b{done[0]:g}\s*/\s*{done[1]:g}", after)) and float(named[1]) == done[0]


def _values(text: str) -> dict[str, float]:
    aside = _ASIDE.search(text)
    about = role_of(f"{aside[1]} loss").split if aside else ""
    found: dict[str, float] = {}
    for match in _VALUE.finditer(text):
        name = _name(match[1])
        if name is None:
            continue
        role = role_of(name)
        if about in (HELD_OUT, TEST) and role.metric and role.split not in (HELD_OUT, TEST) and role.metric != "rate":
            name = f"{about}_{name}"
        value = float(match[2])
        if match[3] and role.metric != LOSS and float(match[3]):
            value /= float(match[3])
        elif match[4]:
            value /= 100
        found.setdefault(name, value)
    return found


@lru_cache(maxsize=4096)
def _name(text: str) -> str | None:
    """The words before a number that name a metric, without those before them that do not belong to it."""
    words = words_of(text)
    for start in range(len(words)):
        name = " ".join(words[start:])
        if role_of(name).metric:
            return name
    return None
