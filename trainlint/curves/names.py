"""What recorded names mean: which part of the data, and which metric."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from trainlint.config import UsageError, did_you_mean

TRAIN, HELD_OUT, TEST = "train", "val", "test"
LOSS, ACCURACY, RATE = "loss", "accuracy", "rate"

# What the command line calls the roles.
ROLES = {
    "train_loss": (TRAIN, LOSS),
    "val_loss": (HELD_OUT, LOSS),
    "test_loss": (TEST, LOSS),
    "train_accuracy": (TRAIN, ACCURACY),
    "val_accuracy": (HELD_OUT, ACCURACY),
    "test_accuracy": (TEST, ACCURACY),
    "learning_rate": (TRAIN, RATE),
}

_SPLITS = {
    TRAIN: "train training tr trn",
    HELD_OUT: "val valid validation validate eval evaluation dev heldout holdout validating",
    TEST: "test testing tst",
}
_METRICS = {
    LOSS: "loss losses nll mse bce ce xent crossentropy objective cost",
    ACCURACY: "acc accuracy top1 f1 auc auroc map miou iou dice",
    RATE: "lr learningrate",
}
# Words that say nothing about what is measured.
_NEUTRAL = frozenset(
    "total avg average mean running smoothed epoch step batch iter cross entropy sparse categorical binary metrics "
    "metric trainer log 0 1 macro micro weighted score group pg multiclass current top the on set data".split()
)
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words.split()}
_METRIC_OF = {word: metric for metric, words in _METRICS.items() for word in words.split()}

# Names of steps, the most telling first; those of epochs stand for steps where there are no others.
STEPS = ("step", "global_step", "_step", "trainer/global_step", "steps", "iteration", "iter", "iters", "it", "batch")
EPOCHS = ("epoch", "epochs", "ep")
# Recorded with every row, and no metric.
CLOCKS = frozenset({"time", "timestamp", "wall_time", "_timestamp", "_runtime", "runtime", "date", "datetime", "eta"})


@dataclass(frozen=True)
class Role:
    """What a series measures, on which part of the data; an empty metric is one that no check knows.

    `extras` counts the words of the name that neither says: the plainest name is the main one."""

    split: str
    metric: str
    extras: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return next((name for name, role in ROLES.items() if role == (self.split, self.metric)), "not recognised")


def words_of(name: str) -> list[str]:
    """A recorded name in lower-case words: `val/lossTotal` is val, loss, total."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def is_part(name: str) -> bool:
    """Whether a name is that of a part of the data and nothing more, as `train` or `Validation set`."""
    words = words_of(name)
    return any(word in _SPLIT_OF for word in words) and all(word in _SPLIT_OF or word in _NEUTRAL for word in words)


@lru_cache(maxsize=4096)
def role_of(name: str) -> Role:
    """The role that a name tells; without a part of the data it is training, as most loggers have it."""
    words = re.sub(r"\blearning rate\b", "lr", re.sub(r"\bheld out\b", "heldout", " ".join(words_of(name)))).split()
    # The epoch's last values, as they are in most logs, beat running ones.
    metrics = {_METRIC_OF[word] for word in words if word in _METRIC_OF}
    if {"cross", "entropy"} <= set(words) or "crossentropy" in words:
        metrics.add(LOSS)
    splits = [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]
    strange = [word for word in words if word not in _METRIC_OF and word not in _SPLIT_OF and word not in _NEUTRAL]
    if len(metrics) != 1 or strange or len(set(splits)) > 1:
        return Role(splits[0] if splits else TRAIN, "")
    (metric,) = metrics
    extras = len(words) - bool(splits) - 1
    return Role(TRAIN if metric == RATE or not splits else splits[0], metric, extras)


def given(pairs: list[str]) -> dict[str, Role | None]:
    """What `--series ROLE=COLUMN` says, by column; None for the column of steps. Raises UsageError."""
    found: dict[str, Role | None] = {}
    for pair in pairs:
        role, separator, column = pair.partition("=")
        role = role.strip().lower().replace("-", "_")
        if not separator or not column:
            raise UsageError(f"--series takes ROLE=COLUMN, not `{pair}`")
        if role != "step" and role not in ROLES:
            raise UsageError(f"--series knows no role `{role}`{did_you_mean(role, (*ROLES, 'step'))}")
        # What the user gives beats every name that is recognised.
        found[column.strip()] = None if role == "step" else Role(*ROLES[role], extras=-1)
    return found
