"""Files that are cut short: they are decoded as far as they go, and the missing rows do not count as picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image, JpegImagePlugin

from featmatch.errors import ImageError

_FEWEST_ROWS = 16  # that must have come, of a picture that has as many
_END_OF_JPEG = b"\xff\xd9"
_JPEG_FILLER = 128  # the grey that libjpeg fills in
_JPEG_BLOCK_ROWS = 32  # rows that may be filler in part: a row of blocks, and one that is smoothed into it


def load(image: Image.Image) -> bool:
    """Decode a picture as far as its file goes; return whether the file is cut short.

    Pillow's switch for this (``LOAD_TRUNCATED_IMAGES``) is for the whole process, and does not say which file was
    short. Without it, the picture holds what was decoded before the error all the same.

    Raises:
        Exception: what decoders raise for other damage, and for interlaced files that are cut short, where rows are
            missing all over.
    """
    is_completed = _complete_at_end(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else lambda: False
    interlaced = _is_interlaced(image)
    try:
        image.load()
    except OSError as error:
        if interlaced or not str(error).startswith("image file is truncated"):
            raise
        image.tile = []  # type: ignore[attr-defined]  # so that nobody decodes it again
        return True
    return is_completed()


def rows_that_came(grey: Image.Image, kind: str | None) -> tuple[int, int]:
    """The rows, from and to, that were decoded of a picture whose file is cut short, without those of filler in part.

    Decoders leave missing rows at one value: at the bottom, or at the top in formats that begin below. Rows of the
    picture itself that have this value are left out too; no feature is lost with them.

    Args:
        grey: the picture in mode L, as it is stored.
        kind: format, as Pillow names it.

    Raises:
        ImageError: hardly any row came.
    """
    import numpy as np

    rows = np.asarray(grey)
    is_jpeg = kind in ("JPEG", "MPO")
    flat = rows.max(axis=1) == rows.min(axis=1)
    if (flat & (rows[:, 0] == rows[0, 0])).all():
        filled = abs(int(rows[0, 0]) - _JPEG_FILLER) <= 1 if is_jpeg else rows[0, 0] in (0, 128)
        top, bottom = 0, 0 if filled else len(rows)
    else:
        above = int((~(flat & (rows[:, 0] == rows[0, 0]))).argmax())
        below = int((~(flat & (rows[:, 0] == rows[-1, 0])))[::-1].argmax())
        top, bottom = (above, len(rows)) if above > below else (0, len(rows) - below)
    if is_jpeg and bottom:
        filler = int(rows[bottom, 0]) if bottom < len(rows) else _JPEG_FILLER
        partly = np.abs(rows[top:bottom, -8:].astype(np.int16) - filler).max(axis=1) <= 1
        bottom -= min(int((~partly[::-1]).argmax()) if not partly.all() else len(partly), _JPEG_BLOCK_ROWS)
    if bottom - top < min(_FEWEST_ROWS, len(rows)):
        raise ImageError("decode_failed", f"the file is cut short: {bottom - top} of {len(rows)} rows came")
    return top, bottom


def _complete_at_end(image: Any) -> Callable[[], bool]:
    """Let a JPEG file end where its data ends, as Pillow's switch does; return what says whether that was needed."""
    read = image.load_read
    ends: list[bytes] = []

    def load_read(size: int) -> bytes:
        content: bytes = read(size)
        if not content and not ends:
            ends.append(_END_OF_JPEG)
            return _END_OF_JPEG
        return content

    image.load_read = load_read
    return lambda: bool(ends)


def _is_interlaced(image: Any) -> bool:
    if image.format == "GIF" and getattr(image, "tile", None):
        return bool(image.tile[0][3][1])
    return bool(image.info.get("interlace"))
