"""Event files of TensorBoard, read record by record with the `tensorboard` package (it needs no TensorFlow)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainlint.config import UsageError
from trainlint.curves.readers import Row, Unreadable

# What stands around the bytes of a record: its length, and checksums of the length and of the bytes.
_FRAME = 16


def claims(path: Path, head: str) -> bool:
    """Whether the name is that of an event file."""
    return "tfevents" in path.name


def rows(path: Path) -> Iterator[Row]:
    """The scalars. Raises UsageError if the package is missing."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError as error:
        raise UsageError(f"{path} needs TensorBoard's reader: pip install 'trainlint[curves]'") from error
    taken = 0
    try:
        for record in RawEventFileLoader(str(path)).Load():
            taken += len(record) + _FRAME
            event = Event.FromString(record)
            for value in event.summary.value:
                number = _scalar(value)
                if number is not None:
                    yield Row({"step": event.step, value.tag: number})
    except Exception as error:  # a damaged file makes protobuf and the reader raise what they like
        raise Unreadable(f"the event file is damaged from byte {taken} on: {type(error).__name__}") from error
    if not _ends(path, taken):  # the reader stops there without a word
        raise Unreadable(f"the event file is damaged from byte {taken} on; what follows was not read")


def _scalar(value: Any) -> float | None:
    """The number of a summary's value, as old and new writers keep it; None for images, histograms and the like."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in ("scalars", ""):
        return None
    from tensorboard.util import tensor_util

    array = tensor_util.make_ndarray(value.tensor)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "fiu" else None


def _ends(path: Path, taken: int) -> bool:
    """Whether nothing stands behind so many bytes but a record that was not written to its end."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with path.open("rb") as file:
        file.seek(taken)
        head = file.read(12)
    if len(head) < 12:
        return True
    length, check = struct.unpack("<QI", head)
    return bool(masked_crc32c(head[:8]) == check and taken + _FRAME + length > path.stat().st_size)
