"""Small pictures laid over one another, in C: blur, warp, and alignment, with the same bits on every machine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

Picture = NDArray[np.float32]


def smooth(picture: Picture, taps: NDArray[np.float32]) -> Picture:
    """Blur along rows and columns; borders are mirrored.

    Args:
        picture: (H, W) float32.
        taps: (R + 1,) float32, at most 65: of a symmetric kernel the middle, and what follows it.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.

    >>> smooth(np.float32([[0, 0, 8, 0, 0]]), np.float32([0.5, 0.25])).tolist()
    [[0.0, 2.0, 4.0, 2.0, 0.0]]
    """
    picture, reach = np.ascontiguousarray(picture), len(taps) - 1
    across, found = np.empty_like(picture), np.empty_like(picture)
    line = np.empty(picture.shape[-1] + 2 * reach, np.float32)
    status = library().featmatch_smooth(
        address(picture, np.float32, 2), *picture.shape, address(taps, np.float32), reach,
        address(across, np.float32, 2, written=True), address(line, np.float32, written=True),
        address(found, np.float32, 2, written=True),
    )  # fmt: skip
    _check(status)
    return found


def laid_over(
    picture: Picture, picture_from_result: NDArray[np.float64], size: tuple[int, int]
) -> tuple[Picture, Picture]:
    """A picture seen through a homography, linearly between its px, and 0 beyond them.

    Args:
        picture: (H, W) float32.
        picture_from_result: (3, 3) float64, px to px.
        size: width and height of the result, px.

    Returns:
        Two of (height, width) float32: the picture, and 1 where its nearest px is there, else 0.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    picture, matrix = np.ascontiguousarray(picture), _map(picture_from_result, (3, 3))
    seen, mask = (np.empty(size[::-1], np.float32) for _ in range(2))
    status = library().featmatch_lay_over(
        address(picture, np.float32, 2), *picture.shape, address(matrix, np.float64, 2), *size[::-1],
        address(seen, np.float32, 2, written=True), address(mask, np.float32, 2, written=True),
    )  # fmt: skip
    _check(status)
    return seen, mask


class AlignmentSums(NamedTuple):
    """Sums over the px that a map brings onto px with a mask; ``slopes`` are those of the moved picture by the map.

    Attributes:
        number: of px.
        slopes: (6,).
        still: of the picture that stays.
        moved: of the other one.
        products: (8, 8), of all of these with one another: the slopes, the one picture, the other one.
    """

    number: int
    slopes: NDArray[np.float64]
    still: float
    moved: float
    products: NDArray[np.float64]


def alignment_sums(
    still: Picture, moved: Picture, along: tuple[Picture, Picture], mask: Picture, moved_from_still: NDArray[np.float64]
) -> AlignmentSums:
    """What a step of alignment has to know of two pictures and of how one of them is moved.

    Args:
        still: (H, W) float32, the picture that stays.
        moved: (H, W) float32, the other one.
        along: two of (H, W) float32, the slopes of ``moved`` along x and y.
        mask: (H, W) float32, 0 where ``moved`` does not count.
        moved_from_still: (2, 3) float64, px to px.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    pictures = (still, moved, *along, mask)
    if len({one.shape for one in pictures}) > 1:
        raise UsageError("the pictures have different sizes")
    matrix = _map(moved_from_still, (2, 3))
    sums = np.empty((9, 8))
    count = library().featmatch_align_sums(
        *(address(one, np.float32, 2) for one in pictures), *still.shape,
        address(matrix, np.float64, 2), address(sums, np.float64, 2, written=True),
    )  # fmt: skip
    _check(count)
    return AlignmentSums(count, sums[8, :6], float(sums[8, 6]), float(sums[8, 7]), sums[:8])


def _map(matrix: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    if matrix.shape != shape:
        raise UsageError(f"a map of {shape} is needed, not {matrix.shape}")
    return np.ascontiguousarray(matrix, np.float64)


def _check(status: int) -> None:
    if status < 0:
        raise UsageError("a picture has no px, or a side above 32768 px, or the kernel of a blur is too long")
