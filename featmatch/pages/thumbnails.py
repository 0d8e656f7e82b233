"""Thumbnails that are part of the page that shows them."""

from __future__ import annotations

import base64
import io

from PIL import Image

from featmatch.images.pixels import ImageSource, load_display


def embedded(source: ImageSource, longest_px: int) -> str:
    """An upright thumbnail as a data URL (``data:image/jpeg;base64,...``).

    >>> embedded(Image.new("RGB", (4, 4)), 90)[:23]
    'data:image/jpeg;base64,'

    Args:
        source: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
        longest_px: its longer side at most; a smaller picture keeps its size.

    Raises:
        ImageError: the picture cannot be read.
    """
    buffer = io.BytesIO()
    Image.fromarray(load_display(source, longest_px=longest_px)).save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
