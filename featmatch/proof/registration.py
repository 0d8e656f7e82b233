"""A picture laid over another as exactly as its cells tell: a homography, and a smooth field of small shifts.

A homography is not precise enough to compare letters, nor is paper flat. So the picture is first moved, in two steps,
to where most cells correlate best. A field that is smooth cannot turn one letter into another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product, solve
from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.native.agreement import smooth
from featmatch.native.difference import CELL_PX, Field, Places, Soft, compared_cells, halved, laid_parts
from featmatch.proof.agreement import gaussian

FAINT = 2.5  # standard deviation of grey levels from which a cell has structure
COARSE_REACH_PX = 8  # by which a cell is moved at half the size,
_MIDDLE_REACH_PX = 5  # and then at full

_MOVES = 0.6  # correlation from which a cell says where it lies
_FIXED = 0.2  # fall of the correlation from which a cell is believed in full
_FEWEST_MOVES = 6  # such cells, or the picture stays where the homography puts it
_SMOOTH = 1.5  # cells; sigma of the field of shifts
_FARTHEST_PX = 8.0  # that a cell may lie from the affine map which most cells agree on
_STIFFNESS = 0.3  # weight of that map where few cells say anything

_Mask = NDArray[np.uint8]


class Halves(NamedTuple):
    """Two pictures at half the size, one laid over the other by a homography alone.

    Attributes:
        picture: (h, w) int16.
        seen: (h, w) int16, the other one.
        mask: (h, w) uint8, 1 where that reaches.
    """

    picture: Soft
    seen: Soft
    mask: _Mask


def at_half_size(picture: Soft, other: Soft, other_from_picture: Matrix) -> Halves:
    """The other picture as it lies on this one, both at half the size.

    Args:
        picture: (h, w) int16, as ``softened`` makes them.
        other: (H, W) int16.
        other_from_picture: (3, 3) float64, px to px.
    """
    half, double = halved(picture), scaling_matrix(2, 2)
    return Halves(half, *_laid(halved(other), product(inverse(double), other_from_picture, double), half))


def registered(picture: Soft, other: Soft, other_from_picture: Matrix) -> tuple[Soft, _Mask]:
    """The other picture as it lies on this one, each place where it correlates best; and a mask of where it reaches.

    Args:
        picture: (h, w) int16, as ``softened`` makes them.
        other: (H, W) int16.
        other_from_picture: (3, 3) float64, px to px.
    """
    coarse = _shifts(*at_half_size(picture, other, other_from_picture), COARSE_REACH_PX)
    rows, columns = grid(picture, _MIDDLE_REACH_PX).shape[:2]
    # The nodes are the centres of cells, one more before the first, and two behind the last.
    shifts = np.zeros((2, rows + 3, columns + 3)) if coarse is None else -2 * _at_nodes(coarse, rows + 3, columns + 3)
    seen = _laid(other, other_from_picture, picture, shifts)
    fine = _shifts(picture, *seen, _MIDDLE_REACH_PX)
    if fine is None:
        return seen
    # A cell was found that far off in the picture: what lies there is to be fetched from where the cell was.
    return _laid(other, other_from_picture, picture, shifts - np.pad(fine, ((0, 0), (1, 2), (1, 2)), mode="edge"))


def grid(picture: Soft, reach: int) -> Places:
    """(rows, columns, 2): row and column of the first px of each cell; around all there are ``reach`` px more."""
    rows, columns = ((side - 2 * reach) // CELL_PX for side in picture.shape)
    return np.moveaxis(np.indices((rows, columns), np.int64), 0, 2) * CELL_PX + reach


def _laid(
    other: Soft, other_from_picture: Matrix, picture: Soft, shifts: NDArray[np.float64] | None = None
) -> tuple[Soft, _Mask]:
    corner = np.zeros((1, 2), np.int64)
    if shifts is None or not shifts.any():
        (seen,), (mask,) = laid_parts(other, other_from_picture, corner, picture.shape)
    else:
        start = CELL_PX + 1 - 2 * _MIDDLE_REACH_PX
        field = Field(np.ascontiguousarray(shifts, np.float32), start)
        (seen,), (mask,) = laid_parts(other, other_from_picture, corner, picture.shape, field)
    return seen, mask


def _shifts(picture: Soft, seen: Soft, mask: _Mask, reach: int) -> NDArray[np.float64] | None:
    """Shifts of cells, smoothed: (2, rows, columns), px right and down; None where too few cells say anything.

    They are an affine map that most cells agree on, and what near ones say beyond it.
    """
    corners = grid(picture, reach)
    shape = corners.shape[:2]
    cells = compared_cells(picture, seen, mask, corners.reshape(-1, 2), reach, FAINT)
    clear = (cells.correlation > _MOVES) & (np.minimum(cells.contrast, cells.seen_contrast) >= FAINT)
    if clear.sum() < _FEWEST_MOVES:
        return None
    down, right = np.indices(shape, np.float64).reshape(2, -1)
    basis = np.stack([right, down, np.ones_like(right)])
    found = []
    for measured, fixed in ((cells.right, cells.fixed_right), (cells.down, cells.fixed_down)):
        shifts = measured.astype(np.float64)
        falls = np.clip(fixed / _FIXED, 0, 1).astype(np.float64)
        believed = weights = np.where(clear, falls * falls, 0)
        for _ in range(4):  # least squares, each time with less weight for cells that are far off
            weighted = basis * believed
            normal = (weighted[:, None] * basis).sum(axis=2) + 0.01 * np.eye(3)
            slopes = solve(normal, (weighted * shifts).sum(axis=1))
            if slopes is None:
                return None
            plane = slopes[0] * basis[0] + slopes[1] * basis[1] + slopes[2]
            off = (shifts - plane) / 2
            believed = weights / (1 + off * off)
        rest = np.clip(shifts - plane, -_FARTHEST_PX, _FARTHEST_PX)
        near, weight = (_near(one.reshape(shape)) for one in (rest * believed, believed))
        found.append(plane.reshape(shape) + near / (weight + _STIFFNESS))
    return np.stack(found)


def _near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return smooth(values.astype(np.float32), gaussian(_SMOOTH)).astype(np.float64)


def _at_nodes(shifts: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Shifts of the cells at half the size, at the nodes of the field at full: (2, rows, columns)."""
    for axis, count in ((1, rows), (2, columns)):
        # The centres of either, from the first px of the picture on, in px at full.
        nodes = CELL_PX * np.arange(-1.0, count - 1) + _MIDDLE_REACH_PX + CELL_PX / 2
        cells = shifts.shape[axis]
        places = np.clip((nodes / 2 - COARSE_REACH_PX) / CELL_PX - 0.5, 0, cells - 1)
        before = np.minimum(places.astype(np.int64), max(cells - 2, 0))
        share = (places - before).reshape((1, -1, 1) if axis == 1 else (1, 1, -1))
        low, high = (shifts.take(np.minimum(before + step, cells - 1), axis) for step in (0, 1))
        shifts = low + (high - low) * share
    return shifts
