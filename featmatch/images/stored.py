"""A picture -> the small grey one that an index keeps of it, as a few KB, and back.

It stands in for the picture where its file is not at hand. The form is our own (``featmatch/native/picture.c``): no
codec for files of strangers reads it, it is the same on every machine, and any bytes at all are some picture.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from featmatch.images.pixels import GreyImage
from featmatch.native.picture import MOST_SIDE_PX, pack, reduced, unpack

LONGEST_PX, STEP = 256, 24  # longer side, and by what the levels of frequencies are rounded (docs/tried.md)
FINER_PX, FINER_STEP, FINER_BYTES = 512, 48, 6144  # the same, if it takes no more bytes: letters of a page take few

NO_PICTURE: NDArray[np.uint8] = np.empty(0, np.uint8)

_HEAD = struct.Struct("<HHB")  # width and height, px, and the step


def stored_picture(grey: GreyImage) -> NDArray[np.uint8]:
    """The small grey picture of one, as bytes: (N,) uint8."""
    finer = packed_picture(grey, FINER_PX, FINER_STEP)
    return finer if len(finer) <= FINER_BYTES else packed_picture(grey, LONGEST_PX, STEP)


def packed_picture(grey: GreyImage, longest_px: int, step: int) -> NDArray[np.uint8]:
    """A small grey picture of one, as bytes: (N,) uint8.

    Args:
        grey: the picture.
        longest_px: the longer side of a larger picture is reduced to it.
        step: coarser ones take fewer bytes.
    """
    pixels = grey.pixels[_shown(grey.offset_y, grey.scale_y, grey.height), :]
    pixels = pixels[:, _shown(grey.offset_x, grey.scale_x, grey.width)]
    height, width = pixels.shape
    longest = max(height, width)
    if longest > longest_px:
        width, height = (max((side * longest_px + longest // 2) // longest, 1) for side in (width, height))
        pixels = reduced(pixels, (width, height))
    head = np.frombuffer(_HEAD.pack(width, height, step), np.uint8)
    return np.concatenate([head, pack(pixels, step)])


def restored_picture(stored: NDArray[np.uint8], width: int, height: int) -> GreyImage:
    """The picture of such bytes.

    Args:
        stored: (N,) uint8.
        width: of the original as displayed, px.
        height: likewise.

    Raises:
        ValueError: no picture is stored so.
    """
    size, step = read_head(stored)
    pixels = unpack(stored[_HEAD.size :], size, step)
    return GreyImage(pixels, width, height, width / size[0], height / size[1], is_stored=True)


def read_head(stored: NDArray[np.uint8]) -> tuple[tuple[int, int], int]:
    """Width and height of a stored picture, px, and its step.

    Raises:
        ValueError: no picture is stored so. Whatever follows the head is one.
    """
    if len(stored) < _HEAD.size:
        raise ValueError(f"a stored picture has {len(stored)} bytes")
    width, height, step = _HEAD.unpack(stored[: _HEAD.size].tobytes())
    if not (0 < min(width, height) <= max(width, height) <= MOST_SIDE_PX and step > 0):
        raise ValueError(f"a stored picture has {width} x {height} px in steps of {step}")
    return (width, height), step


def _shown(offset: float, scale: float, side: int) -> slice:
    """The px of a working picture that show the original: a reduced JPEG may go on beyond its border."""
    return slice(max(round(-offset / scale), 0), round((side - offset) / scale))
