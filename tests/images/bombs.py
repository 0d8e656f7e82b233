"""Files that say that they are larger than they are."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def png_that_says(width: int, height: int) -> bytes:
    """A PNG file of one pixel, whose header tells of so many, one bit each."""
    stream = io.BytesIO()
    Image.new("1", (1, 1)).save(stream, "PNG")
    content = stream.getvalue()
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
