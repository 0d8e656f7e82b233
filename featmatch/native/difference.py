"""Two pictures compared cell by cell, in C: in whole numbers, so with the same bits on every machine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

# Eighths of a grey level, 0 at the middle of the range; -1024 is black.
Soft = NDArray[np.int16]
Places = NDArray[np.int64]

CELL_PX = 24  # side of a cell, and from one node of a field to the next
STEPS = 8  # of a grey level, in which pictures are given


def softened(picture: NDArray[np.uint8]) -> Soft:
    """Blur by a Gaussian of sigma 1; borders are mirrored.

    Args:
        picture: (H, W) uint8, grey.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the array is not such.

    >>> softened(np.uint8([[0, 0, 0, 128, 128, 128]])).tolist()
    [[-1016, -964, -716, -308, -60, -8]]
    """
    picture = np.ascontiguousarray(picture)
    rows, soft = np.empty((7, picture.shape[-1]), np.uint16), np.empty(picture.shape, np.int16)
    status = library().featmatch_soften(
        address(picture, np.uint8, 2), *picture.shape, address(rows, np.uint16, 2, written=True),
        address(soft, np.int16, 2, written=True),
    )  # fmt: skip
    _check(status)
    return soft


def halved(picture: Soft) -> Soft:
    """Half as wide and high: each px the mean of four; an odd row or column at the end is dropped.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the array is not such.

    >>> halved(np.int16([[1, 3, 9], [2, 4, 9]])).tolist()
    [[3]]
    """
    height, width = picture.shape
    half = np.empty((height // 2, width // 2), np.int16)
    status = library().featmatch_halve(
        address(picture, np.int16, 2), height, width, address(half, np.int16, 2, written=True)
    )  # fmt: skip
    _check(status)
    return half


class Field(NamedTuple):
    """Shifts by which px are fetched from elsewhere, at nodes ``CELL_PX`` apart; linear between them.

    Attributes:
        shifts: (2, R, C) float32, px right and down.
        start: halves of a px that the first node lies before the first px, to the left and above.
    """

    shifts: NDArray[np.float32]
    start: int


_NOWHERE = Field(np.zeros((2, 0, 0), np.float32), 0)


def laid_parts(
    picture: Soft,
    picture_from_result: NDArray[np.float64],
    corners: Places,
    size: tuple[int, int],
    field: Field = _NOWHERE,
) -> tuple[Soft, NDArray[np.uint8]]:
    """Parts of a picture as it is seen through a homography, linearly between its px, and black beyond them.

    Args:
        picture: (H, W) int16.
        picture_from_result: (3, 3) float64, px to px.
        corners: (N, 2) int64, row and column of the upper left px of each part.
        size: rows and columns of each part, px.
        field: moves px of the result before; its nodes must lie on both sides of every px.

    Returns:
        Two of (N, rows, columns): the parts, int16, and uint8, 1 where the picture has the nearest px, else 0.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    matrix, shifts = np.ascontiguousarray(picture_from_result, np.float64), field.shifts
    if matrix.shape != (3, 3) or len(shifts) != 2:
        raise UsageError(f"a map of (3, 3) and a field of two shifts are needed, not {matrix.shape} and {len(shifts)}")
    corners = _places(corners)
    parts = (len(corners), *size)
    seen, mask = np.empty(parts, np.int16), np.empty(parts, np.uint8)
    status = library().featmatch_lay_parts(
        address(picture, np.int16, 2), *picture.shape, address(matrix, np.float64, 2), address(shifts, np.float32, 3),
        *shifts.shape[1:], field.start, address(corners, np.int64, 2), *parts,
        address(seen, np.int16, 3, written=True), address(mask, np.uint8, 3, written=True),
    )  # fmt: skip
    _check(status)
    return seen, mask


class Cells(NamedTuple):
    """What is known of each cell, float32 of one shape each.

    Attributes:
        correlation: the best with the picture around it; 0 where it was not looked for.
        right: px, from where the cell is to where it correlates best.
        down: likewise.
        fixed_right: by how much the correlation falls 3 px to either side: 0 along a line, which fixes nothing.
        fixed_down: likewise.
        contrast: standard deviation of the picture, grey levels; 0: not covered.
        seen_contrast: of the picture that is seen.
    """

    correlation: NDArray[np.float32]
    right: NDArray[np.float32]
    down: NDArray[np.float32]
    fixed_right: NDArray[np.float32]
    fixed_down: NDArray[np.float32]
    contrast: NDArray[np.float32]
    seen_contrast: NDArray[np.float32]


def compared_cells(
    picture: Soft, seen: Soft, mask: NDArray[np.uint8], corners: Places, reach: int, enough: float
) -> Cells:
    """Correlate cells of a picture that is seen with another around them.

    Args:
        picture: (H, W) int16.
        seen: (H, W) int16.
        mask: (H, W) uint8, 0 where ``seen`` does not count.
        corners: (N, 2) int64, row and column of the upper left px of each cell.
        reach: px that a cell is moved by at most, up to 8; so far the pictures must go on around it.
        enough: grey levels; cells of less contrast in either picture are not correlated.

    Returns:
        (N,) each.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    if not picture.shape == seen.shape == mask.shape:
        raise UsageError("the pictures have different sizes")
    corners = _places(corners)
    found = np.empty((len(corners), len(Cells._fields)), np.float32)
    status = library().featmatch_compare_cells(
        address(picture, np.int16, 2), address(seen, np.int16, 2), address(mask, np.uint8, 2), *picture.shape,
        address(corners, np.int64, 2), len(corners), reach, enough, address(found, np.float32, 2, written=True),
    )  # fmt: skip
    _check(status)
    return Cells(*found.T)


def compared_slopes(
    picture: Soft, seen: Soft, corners: Places, seen_corners: Places
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlate the slopes of cells of two pictures, by Sobel's kernels.

    Args:
        picture: (H, W) int16.
        seen: (H, W) int16.
        corners: (N, 2) int64, row and column of the upper left px of each cell in ``picture``.
        seen_corners: (N, 2) int64, in ``seen``.

    Returns:
        Two of (N, 2) float32, across and down: the correlations, and how strong the slopes are where they are weaker.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    corners, seen_corners = _places(corners), _places(seen_corners)
    if picture.shape != seen.shape or len(corners) != len(seen_corners):
        raise UsageError("the pictures have different sizes, or other numbers of cells")
    alike, edges = np.empty(corners.shape, np.float32), np.empty(corners.shape, np.float32)
    status = library().featmatch_compare_slopes(
        address(picture, np.int16, 2), address(seen, np.int16, 2), *picture.shape,
        address(corners, np.int64, 2), address(seen_corners, np.int64, 2), len(corners),
        address(alike, np.float32, 2, written=True), address(edges, np.float32, 2, written=True),
    )  # fmt: skip
    _check(status)
    return alike, edges


def _places(corners: Places) -> Places:
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise UsageError(f"corners are needed as (N, 2), not {corners.shape}")
    return np.ascontiguousarray(corners)


def _check(status: int) -> None:
    if status < 0:
        raise UsageError("a picture has no px, or a side above 32768 px, or a cell or part lies beyond it")
