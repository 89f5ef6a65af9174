"""Pictures that a page holds itself."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

# Of PNG: what samples of so many channels mean.
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def address(width: int, height: int, channels: int, pixels: bytes) -> str:
    """A picture of bytes, row by row, as a `data:` address of a PNG.

    Raises KeyError unless it has 1, 3 or 4 channels.
    """
    size = width * channels
    rows = b"".join(b"\0" + pixels[start : start + size] for start in range(0, height * size, size))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
