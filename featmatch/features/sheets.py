"""Sheets: pictures that lie within a picture, on the white of a scanner or before anything else, seen from the side.

A sheet is bounded by four straight edges. Laid flat, it is a picture of its own: one that features are too few for can
be recognised as a whole then, which it cannot within what surrounds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import arctan2, cos_sin, product
from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.images.pixels import GreyImage, resized
from featmatch.native.difference import laid_parts, softened

_SIDE_PX = 256  # longer side at which edges are looked for
_MOST = 3  # sheets
_DIRECTIONS = 120  # of lines, in half a turn
_MOST_LINES = 14
_SPREAD = 2  # directions to either side that an edge counts for
_APART = 5  # directions, and px, by which lines differ

# Slopes, by Sobel's kernels, of eighths of a grey level.
_EDGE, _STRONG, _ACROSS = 192, 1280, 112  # that is an edge, that counts no more, that is an edge across a side
_ALONG = 0.85  # share of the slope that must lie across a side
_FEWEST_EDGES = 30
_MOST_EDGES = 0.14  # share of the px: most photos have more, flat drawings before what is out of focus have less
_SHORTEST = 0.12  # of the shorter side, that the edges of a line come to, if each is middling

_SAMPLES = 64  # along a side
_LEAST_OF_SIDE, _LEAST = 0.3, 0.8  # shares of a side, and of all four, that have an edge
_LEAST_AREA = 0.1  # of the picture
_BEYOND = 0.05  # of the picture, that a corner may lie outside
_TOWARDS = 0.8  # cosine of the angle between opposite sides
_CROSSING = 0.3  # sine of the angle between lines that meet in a corner
_SAME_PX = 6.0  # by which the corners of two sheets differ at most, to be one

_COLOURS = 64  # px of a side of ``GreyImage.colours``
_SMALLEST_PX = 32

_Lines = NDArray[np.float64]
_Slopes = NDArray[np.int32]
_Edges = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A picture within a picture, laid flat.

    Attributes:
        grey: the sheet, a picture of its own.
        original_from_sheet: (3, 3) float64, px of the sheet to px of the original.
    """

    grey: GreyImage
    original_from_sheet: Matrix


def sheets_of(grey: GreyImage) -> list[Sheet]:
    """The likeliest sheets within a picture, the likeliest first; none where no four edges bound one.

    Args:
        grey: the picture.
    """
    return [_laid_flat(grey, corners) for corners in corners_of_sheets(grey.pixels)]


def corners_of_sheets(pixels: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Where the likeliest sheets lie; in pictures that are full of edges, where they cost the most, none is looked for.

    Args:
        pixels: (H, W) uint8, grey.

    Returns:
        (4, 2) float64 each, px: the corners in turn, clockwise as seen, the upper left one first.
    """
    height, width = pixels.shape
    factor = min(_SIDE_PX / max(height, width), 1.0)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    if min(size) < _SMALLEST_PX:
        return []
    across, down = _slopes(pixels if size == (width, height) else resized(pixels, size))
    edges = _edges(across, down)
    if not _FEWEST_EDGES <= len(edges[0]) <= _MOST_EDGES * across.size:
        return []
    found = _quadrangles(_lines(edges, across, down), across, down)
    scale = np.array([width / size[0], height / size[1]])
    return [(corners + 0.5) * scale - 0.5 for corners in found]


def _slopes(pixels: NDArray[np.uint8]) -> tuple[_Slopes, _Slopes]:
    """Slopes to the right and down, by Sobel's kernels; 0 at the border."""
    soft = softened(pixels).astype(np.int32)
    across, down = np.zeros_like(soft), np.zeros_like(soft)
    rows = soft[:-2] + 2 * soft[1:-1] + soft[2:]
    columns = soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]
    across[1:-1, 1:-1] = rows[:, 2:] - rows[:, :-2]
    down[1:-1, 1:-1] = columns[2:] - columns[:-2]
    return across, down


def _lines(edges: _Edges, across: _Slopes, down: _Slopes) -> _Lines:
    """Straight edges, the longest first: each edge px votes for the lines through it along its own direction.

    (Duda and Hart, CACM 1972; by the direction of the slope: O'Gorman and Clowes, IEEE Trans. Computers 1976.)

    Returns:
        (N, 3): a normal, and the distance from the middle of the picture along it, px.
    """
    height, width = across.shape
    rows, columns = edges
    x_slopes, y_slopes = across[rows, columns], down[rows, columns]
    strength = np.minimum(np.sqrt(x_slopes * x_slopes + y_slopes * y_slopes), _STRONG).astype(np.int64)
    angles = arctan2(y_slopes.astype(np.float64), x_slopes.astype(np.float64))
    own = np.rint(angles * (_DIRECTIONS / math.pi)).astype(np.int64)
    x, y = cos_sin(np.arange(_DIRECTIONS) * (math.pi / _DIRECTIONS))
    farthest = math.ceil(math.hypot(width, height) / 2) + 1
    reach = 2 * farthest + 1
    towards = (own + np.arange(-_SPREAD, _SPREAD + 1)[:, None]) % _DIRECTIONS
    offsets = np.rint((columns - width / 2) * x[towards] + (rows - height / 2) * y[towards]).astype(np.int64)
    places = (towards * reach + offsets + farthest).ravel()
    votes = np.bincount(places, np.tile(strength, len(towards)), _DIRECTIONS * reach)
    table = votes.astype(np.int64).reshape(_DIRECTIONS, reach)
    table = 10 * table + 7 * np.roll(table, 1, axis=1) + 7 * np.roll(table, -1, axis=1)
    least = round(10 * _SHORTEST * min(height, width) * _STRONG * 3 / 8)
    found: list[tuple[float, float, int]] = []
    while len(found) < _MOST_LINES:
        direction, offset = divmod(int(table.argmax()), reach)
        if table[direction, offset] < least:
            break
        found.append((float(x[direction]), float(y[direction]), offset - farthest))
        for near in range(direction - _APART, direction + _APART + 1):
            place = offset if 0 <= near < _DIRECTIONS else reach - 1 - offset  # its normal points the other way
            table[near % _DIRECTIONS, max(place - _APART, 0) : place + _APART + 1] = 0
    return np.array(found).reshape(-1, 3)


def _edges(across: _Slopes, down: _Slopes) -> _Edges:
    """Rows and columns of px whose slope is the greatest along it, or nearly along it."""
    squares = across * across + down * down
    around = np.pad(squares, 1)
    to_the_side = (squares >= around[1:-1, :-2]) & (squares > around[1:-1, 2:])
    up_and_down = (squares >= around[:-2, 1:-1]) & (squares > around[2:, 1:-1])
    greatest = np.where(np.abs(across) >= np.abs(down), to_the_side, up_and_down) & (squares > _EDGE * _EDGE)
    greatest[:2] = greatest[-2:] = False
    greatest[:, :2] = greatest[:, -2:] = False
    rows, columns = np.nonzero(greatest)
    return rows, columns


def _quadrangles(lines: _Lines, across: _Slopes, down: _Slopes) -> list[NDArray[np.float64]]:
    """Corners of what four lines bound, if edges lie along most of it; the likeliest first."""
    height, width = across.shape
    x, y, offsets = lines.T
    opposite = np.argwhere(np.triu(np.abs(x[:, None] * x + y[:, None] * y) > _TOWARDS, 1))
    one, other = (opposite[rows] for rows in np.triu_indices(len(opposite), 1))
    apart = (one[:, :, None] != other[:, None]).all(axis=(1, 2))  # four lines
    if not apart.any():
        return []
    (a, b), (c, d) = one[apart].T, other[apart].T
    crossing = x[:, None] * y - y[:, None] * x
    with np.errstate(divide="ignore", invalid="ignore"):
        meet_x = (offsets[:, None] * y - y[:, None] * offsets) / crossing + width / 2
        meet_y = (x[:, None] * offsets - offsets[:, None] * x) / crossing + height / 2
    around = ((a, c), (c, b), (b, d), (d, a))  # the lines that meet in each corner
    corners = np.stack([np.stack([meet_x[one], meet_y[one]], axis=1) for one in around], axis=1)
    sharp = np.stack([np.abs(crossing[one]) for one in around]).min(axis=0)
    low, high = np.array([-_BEYOND * width, -_BEYOND * height]), np.array([width, height]) * (1 + _BEYOND)
    with np.errstate(invalid="ignore"):
        sides = np.roll(corners, -1, axis=1) - corners
        turns = sides[..., 0] * np.roll(sides[..., 1], -1, axis=1) - sides[..., 1] * np.roll(sides[..., 0], -1, axis=1)
        convex = (turns > 0).all(axis=1) | (turns < 0).all(axis=1)
        inside = ((corners >= low) & (corners <= high)).all(axis=(1, 2))
        areas = np.abs(turns[:, 0] + turns[:, 2]) / 2
        rows = np.flatnonzero((sharp > _CROSSING) & inside & convex & (areas >= _LEAST_AREA * width * height))
    corners, areas, turns = corners[rows], areas[rows], turns[rows]
    bounding = np.stack([c, b, d, a], axis=1)[rows]  # the line of the side that follows each corner
    edged = _edged(corners, lines[bounding], across, down)
    lengths = np.sqrt((sides[rows] * sides[rows]).sum(axis=2))
    bounded = (edged * lengths).sum(axis=1) / np.maximum(lengths.sum(axis=1), 1e-9)
    likely = bounded * np.sqrt(np.sqrt(areas / (width * height)))
    fits = (edged.min(axis=1) >= _LEAST_OF_SIDE) & (bounded >= _LEAST)
    chosen: list[NDArray[np.float64]] = []
    for row in np.argsort(-likely, kind="stable").tolist():
        if not fits[row] or len(chosen) == _MOST:
            continue
        clockwise = corners[row] if turns[row, 0] > 0 else corners[row, ::-1]
        ordered = np.roll(clockwise, -int(clockwise.sum(axis=1).argmin()), axis=0)
        if all(np.abs(ordered - other).max() > _SAME_PX for other in chosen):
            chosen.append(ordered)
    return chosen


def _edged(corners: NDArray[np.float64], lines: _Lines, across: _Slopes, down: _Slopes) -> NDArray[np.float64]:
    """(N, 4): the share of each side that has an edge along it, within a px.

    Args:
        corners: (N, 4, 2), px.
        lines: (N, 4, 3), of the side that follows each corner.
        across: (H, W), slopes to the right.
        down: (H, W), slopes down.
    """
    height, width = across.shape
    steps = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES)[:, None]
    places = corners[:, :, None] + (np.roll(corners, -1, axis=1) - corners)[:, :, None] * steps
    normal = lines[:, :, None, :2]
    found = np.zeros(places.shape[:3], bool)
    for aside in (-1, 0, 1):
        x, y = np.moveaxis(np.rint(places + aside * normal).astype(np.int64), 3, 0)
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        x_slopes, y_slopes = across[y, x], down[y, x]
        along_normal = np.abs(x_slopes * normal[..., 0] + y_slopes * normal[..., 1])
        slopes = np.sqrt(x_slopes * x_slopes + y_slopes * y_slopes)
        found |= (along_normal > _ACROSS) & (along_normal > _ALONG * slopes)
    return np.asarray(found.mean(axis=2))


def _laid_flat(grey: GreyImage, corners: NDArray[np.float64]) -> Sheet:
    """The sheet with these corners, px of the working picture, about as large as it is seen."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.sqrt((sides * sides).sum(axis=1))
    width, height = (max(round(float(lengths[one] + lengths[one + 2]) / 2), _SMALLEST_PX) for one in (0, 1))
    working_from_sheet = product(_from_square(corners), scaling_matrix(1 / width, 1 / height))
    pixels = _seen(grey.pixels, working_from_sheet, (height, width))
    colours = None
    if grey.colours is not None:
        rows, columns = grey.pixels.shape
        way = product(
            scaling_matrix(_COLOURS / columns, _COLOURS / rows), working_from_sheet,
            scaling_matrix(width / _COLOURS, height / _COLOURS),
        )  # fmt: skip
        channels = (np.ascontiguousarray(grey.colours[..., channel]) for channel in range(3))
        colours = np.stack([_seen(one, way, (_COLOURS, _COLOURS)) for one in channels], axis=2)
    picture = GreyImage(pixels, width, height, 1.0, 1.0, colours=colours)
    return Sheet(picture, product(grey.original_from_working, working_from_sheet))


def _from_square(corners: NDArray[np.float64]) -> Matrix:
    """(3, 3): a picture of one px, from (-0.5, -0.5) to (0.5, 0.5), to a quadrangle (Heckbert, 1989)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    across = ax * by - bx * ay
    g, h = (sx * by - bx * sy) / across, (ax * sy - sx * ay) / across
    unit = np.array([[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1.0]])
    return product(unit, np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]))


def _seen(pixels: NDArray[np.uint8], way: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture as it is seen through a homography: rows and columns; what lies beyond it is black."""
    nowhere = np.zeros((1, 2), np.int64)
    (seen,), _ = laid_parts((pixels.astype(np.int16) - 128) * 8, way, nowhere, size)
    return np.asarray(np.clip((seen + (128 * 8 + 4)) >> 3, 0, 255), np.uint8)
