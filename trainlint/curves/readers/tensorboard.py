"""Event files of TensorBoard, read record by record with the `tensorboard` package (it needs no TensorFlow)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainlint.config import UsageError
from trainlint.curves.readers import Row, Unreadable


def claims(path: Path, head: str) -> bool:
    """Whether the name is that of an event file."""
    return "tfevents" in path.name


def rows(path: Path) -> Iterator[Row]:
    """The scalars. Raises UsageError if the package is missing."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util import tensor_util
    except ImportError as error:
        raise UsageError(f"{path} needs TensorBoard's reader: pip install 'trainlint[curves]'") from error
    try:
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name in ("scalars", "") and value.HasField("tensor"):
                    array = tensor_util.make_ndarray(value.tensor)
                    if array.size == 1 and array.dtype.kind in "fiu":
                        yield Row({"step": event.step, value.tag: float(array.reshape(()))})
    except Exception as error:  # a damaged file makes protobuf and the reader raise what they like
        raise Unreadable(f"the event file is damaged from some record on: {type(error).__name__}") from error
