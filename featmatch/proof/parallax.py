"""Another photo of one scene, told by its depth: what is nearer is moved against what lies behind it.

A homography lays the planes of two pictures over one another. From another place, what stands before or behind a plane
is moved along one line (the epipolar geometry: Hartley and Zisserman, Multiple View Geometry, 2003, chapter 9), and at
the edge of a nearer thing the shift changes abruptly. Bent paper, waves and lenses shift a picture smoothly; what is
pasted in, written over or covered is not found elsewhere at all.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix
from featmatch.native.difference import CELL_PX, Cells, Places, compared_cells, softened
from featmatch.proof.agreement import reduced
from featmatch.proof.difference import SIDE_PX
from featmatch.proof.registration import FAINT, Halves, at_half_size

# Lengths are px of the pictures at half the size.
_REACH_PX = 8  # by which a cell is moved in one look,
_LOOK_PX = 14  # and from one look to the next: eight lie around the first
_STRIDE_PX = CELL_PX // 2  # from one cell to the next
_CLEAR = 0.75  # correlation from which a cell says where it lies,
_FIXED = 0.08  # if it falls by so much beside that place,
_STRUCTURED = 5.0  # and both pictures have such a standard deviation of grey levels
_STEP_PX = 2  # beyond which a shift changes abruptly; more, where it changes beside that as well:
_STEEPER = 4  # times as much
_BETWEEN = (2, 3)  # strides from a cell to one that may lie on the other side of an edge, which blurs those between
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
_UNLIKE = 0.25  # fall of the correlation where a cell is moved as the other one is
_SPREAD = 0.02  # of what all steps add up to, squared, that may lie across the one line

_Value = TypeVar("_Value", bound=np.generic)
_Pairs: TypeAlias = NDArray[np.int64]  # (N, 2): row and column of a cell each


def depth_steps(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix, *, negative: bool
) -> int:
    """Count the pairs of near cells between which the shift changes abruptly; 0 where not all do along one line.

    Args:
        query: (h, w) uint8, grey.
        reference: (h, w) uint8, grey.
        reference_from_query: (3, 3) float64, px to px.
        negative: whether light and dark are swapped in the query.
    """
    frame = reduced(query, reference, reference_from_query, SIDE_PX)
    if frame is None or min(frame.query.shape) < 4 * CELL_PX + 4 * _REACH_PX:
        return 0
    picture = softened(255 - frame.query if negative else frame.query)
    view = at_half_size(picture, softened(frame.reference), frame.reference_from_frame)
    rows, columns = ((side - 2 * _REACH_PX - CELL_PX) // _STRIDE_PX + 1 for side in view.picture.shape)
    corners = np.moveaxis(np.indices((rows, columns), np.int64), 0, 2) * _STRIDE_PX + _REACH_PX
    shifts, clear = _found(view, corners)
    first, second = _steps(shifts, clear)
    alone = [_is_alone(view, corners, shifts, *pair) for pair in ((first, second), (second, first))]
    steps = (_at(shifts, first) - _at(shifts, second))[alone[0] & alone[1]]
    return len(steps) if _is_line(steps) else 0


def _is_line(steps: Places) -> bool:
    """Whether all steps go along one line, in either direction."""
    down, right = steps.T
    products = [int((one * other).sum()) for one, other in ((down, down), (right, right), (down, right))]
    # The sum of all steps times themselves, transposed, has two eigenvalues: the smaller one is a small share of both.
    determinant, trace = products[0] * products[1] - products[2] ** 2, products[0] + products[1]
    return determinant <= _SPREAD * (1 - _SPREAD) * trace**2


def _found(view: Halves, corners: Places) -> tuple[Places, NDArray[np.bool_]]:
    """Where each cell (rows, columns) was found: px down and right from where it is; and whether it was, clearly."""
    flat = corners.reshape(-1, 2)
    best, shifts = np.zeros(len(flat), np.float32), np.zeros_like(flat)
    asked = np.arange(len(flat))
    for down, right in ((0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)):
        away = np.array([down, right]) * _LOOK_PX
        cells = compared_cells(
            view.picture, _moved(view.seen, *away), _moved(view.mask, *away), flat[asked], _REACH_PX, FAINT
        )
        better = _is_clear(cells) & (cells.correlation > best[asked])
        best[asked[better]] = cells.correlation[better]
        shifts[asked[better]] = np.stack([cells.down, cells.right], axis=1)[better].astype(np.int64) - away
        if not away.any():
            asked = np.flatnonzero(best == 0)
    return shifts.reshape(corners.shape), (best > 0).reshape(corners.shape[:2])


def _moved(picture: NDArray[_Value], down: int, right: int) -> NDArray[_Value]:
    """A picture that shows what lies so far down and right in another; 0 beyond that."""
    height, width = picture.shape
    wide = np.pad(picture, _LOOK_PX)
    return np.ascontiguousarray(wide[_LOOK_PX + down :, _LOOK_PX + right :][:height, :width])


def _is_clear(cells: Cells) -> NDArray[np.bool_]:
    inside = np.maximum(np.abs(cells.down), np.abs(cells.right)) < _REACH_PX
    fixed = np.minimum(cells.fixed_down, cells.fixed_right) >= _FIXED
    contrast = np.minimum(cells.contrast, cells.seen_contrast) >= _STRUCTURED
    return np.asarray((cells.correlation >= _CLEAR) & inside & fixed & contrast)


def _steps(shifts: Places, clear: NDArray[np.bool_]) -> tuple[_Pairs, _Pairs]:
    """Cells on either side of an edge: each has one behind it that is moved alike, and none between goes halfway."""
    room = max(_BETWEEN) + 1
    clear, shifts = np.pad(clear, room), np.pad(shifts, ((room, room), (room, room), (0, 0)))
    places, found = np.argwhere(clear), []
    for way in np.array(_WAYS):
        for between in _BETWEEN:
            row = [places + far * way for far in (-1, 0, between, between + 1)]
            known = np.logical_and.reduce([_at(clear, one) for one in row])
            before, first, second, behind = (one[known] for one in row)
            one, other = _at(shifts, first), _at(shifts, second)
            slope = np.maximum(_length(_at(shifts, before) - one), _length(_at(shifts, behind) - other))
            abrupt = (slope <= 1) & (_length(one - other) > _STEP_PX + _STEEPER * between * slope)
            for far in range(1, between):
                middle = first + far * way
                there = _at(shifts, middle)
                halfway = np.minimum(_length(there - one), _length(there - other)) > 1
                abrupt &= ~(_at(clear, middle) & halfway)
            found.append((first[abrupt] - room, second[abrupt] - room))
    firsts, seconds = zip(*found, strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


def _is_alone(view: Halves, corners: Places, shifts: Places, cells: _Pairs, others: _Pairs) -> NDArray[np.bool_]:
    """Whether cells are alike where they were found, and not where the others were as well: patterns repeat."""
    start = _at(corners, cells)
    own, other = (_correlation(view, start, _at(shifts, one)) for one in (cells, others))
    return np.asarray(own - other >= _UNLIKE)


def _correlation(view: Halves, corners: _Pairs, shifts: _Pairs) -> NDArray[np.float64]:
    """(N,) of cells with what they lie on if they are moved; 0 where that is outside. Sums are whole numbers."""
    targets = corners - shifts
    limits = np.array(view.seen.shape) - CELL_PX
    inside = ((targets >= 0) & (targets <= limits)).all(axis=1)
    ours, theirs = _cut(view.picture, corners), _cut(view.seen, np.clip(targets, 0, limits))
    common, own, other = (_covariance(*pair) for pair in ((ours, theirs), (ours, ours), (theirs, theirs)))
    norm = np.sqrt(own.astype(np.float64) * other)
    return np.where(inside & (norm > 0), common / np.maximum(norm, 1), 0.0)


def _cut(picture: NDArray[np.int16], corners: _Pairs) -> NDArray[np.int64]:
    """(N, px) of cells."""
    side = np.arange(CELL_PX)
    rows, columns = (corners[:, [axis]] + side for axis in (0, 1))
    return np.asarray(picture[rows[:, :, None], columns[:, None, :]], np.int64).reshape(len(corners), CELL_PX**2)


def _covariance(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) times the square of the number of px."""
    return np.asarray(CELL_PX**2 * (one * other).sum(axis=1) - one.sum(axis=1) * other.sum(axis=1))


def _at(table: NDArray[_Value], cells: _Pairs) -> NDArray[_Value]:
    return np.asarray(table[cells[:, 0], cells[:, 1]])


def _length(shifts: _Pairs) -> NDArray[np.int64]:
    """(N,) the longer of both sides, px."""
    return np.asarray(np.abs(shifts).max(axis=1, initial=0))
