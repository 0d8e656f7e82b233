"""Small grey pictures as a few KB, in C: in whole numbers, so that a picture gives the same bytes on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

MOST_SIDE_PX = 1024  # of a picture that is packed


def reduced(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture of fewer px, each the mean of what it covers.

    Args:
        pixels: (H, W) uint8, grey; no side above 32768 px.
        size: width and height of the result, px.

    Returns:
        (height, width) uint8.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such, or the result would be larger.

    >>> reduced(np.uint8([[10, 20, 60]]), (2, 1)).tolist()
    [[13, 47]]
    """
    pixels = np.ascontiguousarray(pixels)
    found, sums = np.empty(size[::-1], np.uint8), np.empty(pixels.shape[-1], np.uint32)
    status = library().featmatch_reduce(
        address(pixels, np.uint8, 2), *pixels.shape, *found.shape,
        address(sums, np.uint32, written=True), address(found, np.uint8, 2, written=True),
    )  # fmt: skip
    if status < 0:
        raise UsageError(f"a picture of {pixels.shape} cannot be reduced to {found.shape}")
    return found


def pack(pixels: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """A picture as bytes.

    Args:
        pixels: (h, w) uint8, grey; no side above ``MOST_SIDE_PX``.
        step: by which the levels of frequencies are rounded, 1 to 255.

    Returns:
        (N,) uint8, without size and step.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    pixels = np.ascontiguousarray(pixels)
    packed = np.empty(4 * pixels.size + 4096, np.uint8)  # more than noise takes at the finest step
    count = library().featmatch_picture_pack(
        address(pixels, np.uint8, 2), *pixels.shape, step, address(packed, np.uint8, written=True), len(packed)
    )
    _check(count)
    return packed[:count].copy()


def unpack(packed: NDArray[np.uint8], size: tuple[int, int], step: int) -> NDArray[np.uint8]:
    """The picture of some bytes: any at all, and so of any that a stranger made.

    Args:
        packed: (N,) uint8.
        size: width and height of the picture, px.
        step: as it was packed.

    Returns:
        (height, width) uint8.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: no picture is packed at such a size or step.
    """
    packed = np.ascontiguousarray(packed)
    if not 0 < min(size) <= max(size) <= MOST_SIDE_PX:
        _check(-1)
    pixels = np.empty(size[::-1], np.uint8)
    _check(
        library().featmatch_picture_unpack(
            address(packed, np.uint8), len(packed), *pixels.shape, step, address(pixels, np.uint8, 2, written=True)
        )
    )
    return pixels


def _check(status: int) -> None:
    if status < 0:
        raise UsageError(f"a packed picture has sides of 1 to {MOST_SIDE_PX} px, and a step of 1 to 255")
