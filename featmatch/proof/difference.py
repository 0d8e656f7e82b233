"""Two pictures and a homography -> where they show the same, where something else, and where neither can be said.

The shared region is cut into cells. A cell *agrees* where both pictures have structure and it is the same,
*contradicts* where both have structure and it is another, and is *silent* elsewhere: plain, blurred, covered by glare.
A homography is not precise enough for that, nor is paper flat: the reference is first moved, by a smooth field of small
shifts, to where most cells correlate best. A field that is smooth cannot turn one letter into another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.proof.agreement import Frame, common_frame

_opencv: Any = cv2  # its type stubs differ from release to release

_SIDE_PX = 640.0  # root of the area at which the shared region is looked at: letters of a page are told apart from here
_CELL_PX = 24
_COARSE_REACH_PX, _MIDDLE_REACH_PX, _FINE_REACH_PX = 8, 5, 2  # by which a cell is moved: at half the size, then at full
_STRUCTURED = 5.0  # standard deviation of grey levels from which a cell can contradict,
_FAINT = 2.5  # and from which it can agree
_AGREES, _CONTRADICTS = 0.6, 0.4  # correlation from which a cell agrees, and below which it contradicts
_TELLING = 0.4  # of the edges of the stronger direction: a direction with fewer says nothing
_MOVES = 0.6  # correlation from which a cell says where it lies
_FEWEST_TOGETHER = 3  # agreeing cells among nine, or they may do so by chance
_BESIDE_PX = 3  # at which a cell should correlate less, or it could as well lie there
_FIXED = 0.2  # fall of the correlation from which a cell is believed in full
_FEWEST_MOVES = 6  # such cells, or the reference stays where the homography puts it
_SMOOTH = 1.5  # cells; sigma of the field of shifts
_FARTHEST_PX = 8.0  # that a cell may lie from the affine map which most cells agree on
_STIFFNESS = 0.3  # weight of that map where few cells say anything

SILENT, AGREEING, CONTRADICTING = 0, 1, 2

_SIDES = ("query", "reference")


class Differences(NamedTuple):
    """Where two pictures that share a region differ, to be told and drawn.

    Attributes:
        share: of the region that lies in one of them; 0 to 1.
        query: (4, 2) float64 each, rectangles of the query, px, the largest first.
        reference: (4, 2) float64 each, where they lie in the reference, px.
    """

    share: float
    query: list[NDArray[np.float64]]
    reference: list[NDArray[np.float64]]

    def to_dict(self) -> dict[str, Any]:
        """Their part of a match object."""
        pairs = zip(self.query, self.reference, strict=True)
        regions = [{"query": np.round(a, 2).tolist(), "reference": np.round(b, 2).tolist()} for a, b in pairs]
        return {"differences": regions, "differing_share": round(self.share, 4)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Differences | None:
        """Those of a match object; None where it tells of none.

        Raises:
            KeyError: something is missing.
            ValueError: something is of another kind.
            TypeError: likewise.
        """
        if told["differences"] is None:
            return None
        sides = ([np.array(one[side], np.float64).reshape(4, 2) for one in told["differences"]] for side in _SIDES)
        return cls(float(told["differing_share"]), *sides)


class Difference(NamedTuple):
    """What the cells of the shared region say.

    Attributes:
        states: (rows, columns) int8 of ``SILENT``, ``AGREEING`` or ``CONTRADICTING``.
        query_from_cells: (3, 3), column and row of a cell's upper left corner to px of the query.
        seen: (h, w) float32, the reference as it lies on the query; cells of ``_CELL_PX`` begin ``_FINE_REACH_PX`` in.
    """

    states: NDArray[np.int8]
    query_from_cells: Matrix
    seen: NDArray[np.float32]

    @property
    def agreeing(self) -> int:
        """Number of cells that agree."""
        return int((self.states == AGREEING).sum())

    @property
    def contradicting(self) -> int:
        """Number of cells that contradict."""
        return int((self.states == CONTRADICTING).sum())

    def seen_in(self, other: Difference) -> NDArray[np.float32]:
        """``seen``, moved to the frame of another."""
        corner = _corner(_FINE_REACH_PX)
        way = product(corner, inverse(self.query_from_cells), other.query_from_cells, inverse(corner))
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(_opencv.warpPerspective(self.seen, way, other.seen.shape[::-1], flags=how), np.float32)

    @property
    def share(self) -> float:
        """Share of the contradicting cells among those that say anything; 0 to 1."""
        return self.contradicting / max(self.agreeing + self.contradicting, 1)

    @property
    def enclosed_share(self) -> float:
        """The same among the cells that lie within what agrees: margins and what lies behind a picture are outside."""
        within = self._within()
        if not within.any():
            return 1.0
        inside = self.states[within]
        return float((inside == CONTRADICTING).sum() / max((inside != SILENT).sum(), 1))

    def differences(self, reference_from_query: Matrix) -> Differences:
        """Where the pictures differ: rectangles around contradicting cells that hang together within what agrees.

        Args:
            reference_from_query: (3, 3) float64, px to px.
        """
        contradicting = (self.states == CONTRADICTING) & self._within()
        count, parts = _opencv.connectedComponents(contradicting.astype(np.uint8))
        sizes = np.bincount(np.asarray(parts).ravel(), minlength=count)[1:]
        shown = [int(one) for one in np.argsort(-sizes, kind="stable") if sizes[one] > 1]  # one cell may be chance
        query = []
        for number in shown:
            places = np.argwhere(parts == number + 1)[:, ::-1]
            (left, top), (right, bottom) = places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist()
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
            query.append(project(self.query_from_cells, corners))
        share = float(sizes[shown].sum()) / max(self.states.size, 1)
        return Differences(share, query, [project(reference_from_query, one) for one in query])

    def _within(self) -> NDArray[np.bool_]:
        """The cells within the hull of what agrees; without those that few others agree beside, which may be chance."""
        agreeing = self.states == AGREEING
        beside = _opencv.filter2D(agreeing.astype(np.uint8), -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
        agreeing &= beside >= _FEWEST_TOGETHER
        within = np.zeros(agreeing.shape, np.uint8)
        if agreeing.any():
            places = np.ascontiguousarray(np.argwhere(agreeing)[:, ::-1], np.int32)  # columns and rows
            hull = cv2.convexHull(places)
            cv2.fillConvexPoly(within, hull, 1)
        return within > 0


def difference(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix, *, negative: bool
) -> Difference | None:
    """Lay one picture over the other, and look at each cell of what they share.

    Args:
        query: (h, w) uint8, grey.
        reference: (h, w) uint8, grey.
        reference_from_query: (3, 3) float64, px to px.
        negative: whether light and dark are swapped in the query.

    Returns:
        What the cells say, or None where the shared region is too small to have any.
    """
    frame = common_frame(query, reference, reference_from_query, _SIDE_PX)
    if frame is None or min(frame.query.shape) < _CELL_PX + 2 * _COARSE_REACH_PX:
        return None
    picture = 255 - frame.query if negative else frame.query
    seen, mask = _registered(frame, picture)
    cells = _by_strokes(picture, seen, _cells(picture, seen, mask, _FINE_REACH_PX))
    return Difference(_states(cells), product(frame.query_from_frame, _corner(_FINE_REACH_PX)), seen)


def _corner(reach: int) -> Matrix:
    """(3, 3): column and row of a cell to its upper left corner, px of the frame."""
    return np.array([[_CELL_PX, 0.0, reach], [0, _CELL_PX, reach], [0, 0, 1]])


class _Cells(NamedTuple):
    """(rows, columns) float32 each: what is known of each cell.

    Attributes:
        correlation: the best with the query around it.
        right: px, from the homography's place to that.
        down: likewise.
        fixed_right: by how much the correlation falls a few px to either side: 0 along a line, which fixes nothing.
        fixed_down: likewise.
        contrast: standard deviation of the query; 0: outside.
        seen_contrast: of the reference.
    """

    correlation: NDArray[np.float32]
    right: NDArray[np.float32]
    down: NDArray[np.float32]
    fixed_right: NDArray[np.float32]
    fixed_down: NDArray[np.float32]
    contrast: NDArray[np.float32]
    seen_contrast: NDArray[np.float32]


def _cells(picture: NDArray[np.float32], seen: NDArray[np.float32], mask: NDArray[np.float32], reach: int) -> _Cells:
    """Correlate each cell of the reference with the query around it, up to ``reach`` px away."""
    rows, columns = ((side - 2 * reach) // _CELL_PX for side in picture.shape)
    inside = slice(reach, reach + rows * _CELL_PX), slice(reach, reach + columns * _CELL_PX)

    def each(of: NDArray[np.float32]) -> NDArray[np.float32]:
        return of[inside].reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2)

    covered = each(mask).min(axis=(2, 3)) >= 1
    contrast, seen_contrast = (each(one).std(axis=(2, 3)) * covered for one in (picture, seen))
    found = np.zeros((5, rows, columns), np.float32)
    for row, column in np.argwhere(np.minimum(contrast, seen_contrast) >= _FAINT):
        top, left = row * _CELL_PX, column * _CELL_PX
        around = picture[top : top + _CELL_PX + 2 * reach, left : left + _CELL_PX + 2 * reach]
        cell = seen[top + reach : top + reach + _CELL_PX, left + reach : left + reach + _CELL_PX]
        alike = _opencv.matchTemplate(around, cell, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(alike)
        beside = [
            max(
                (float(line[at]) for at in (place - _BESIDE_PX, place + _BESIDE_PX) if 0 <= at < len(line)),
                default=best,
            )
            for line, place in ((alike[y], x), (alike[:, x], y))
        ]
        found[:, row, column] = best, x - reach, y - reach, best - beside[0], best - beside[1]
    best_of, right, down, fixed_right, fixed_down = found
    return _Cells(best_of, right, down, fixed_right, fixed_down, contrast, seen_contrast)


def _by_strokes(picture: NDArray[np.float32], seen: NDArray[np.float32], cells: _Cells) -> _Cells:
    """The same cells, each with the least of three correlations: of grey levels, of edges across, and of edges down.

    Lines of print, and frames around it, make any two words much alike: what tells them apart is the other direction.
    A direction in which a cell has hardly an edge says nothing.
    """
    places = np.argwhere(cells.correlation > 0)
    if len(places) == 0:
        return cells
    own = places * _CELL_PX + _FINE_REACH_PX
    shifts = np.stack([cells.down[tuple(places.T)], cells.right[tuple(places.T)]], axis=1).astype(np.int64)
    correlations, edges = [cells.correlation[tuple(places.T)]], []
    for across, down in ((1, 0), (0, 1)):
        a, b = (_opencv.Sobel(one, cv2.CV_32F, across, down) for one in (picture, seen))
        first, second = _patches(a, own + shifts), _patches(b, own)
        energies = np.sqrt((first**2).sum(axis=1)), np.sqrt((second**2).sum(axis=1))
        correlations.append((first * second).sum(axis=1) / np.maximum(energies[0] * energies[1], 1e-6))
        edges.append(np.minimum(*energies))
    telling = np.stack(edges) >= _TELLING * np.max(edges, axis=0)
    correlations[1:] = np.where(telling, correlations[1:], 1.0)
    least = cells.correlation.copy()
    least[tuple(places.T)] = np.min(correlations, axis=0)
    return cells._replace(correlation=least)


def _patches(picture: NDArray[np.float32], corners: NDArray[np.int64]) -> NDArray[np.float32]:
    """Cells of a picture, (N, px) with mean 0, by their corners: (N, 2) row and column."""
    steps = np.arange(_CELL_PX)
    rows, columns = corners[:, 0, None, None] + steps[:, None], corners[:, 1, None, None] + steps
    cut = picture[rows, columns].reshape(len(corners), -1)
    return np.asarray(cut - cut.mean(axis=1, keepdims=True), np.float32)


def _states(cells: _Cells) -> NDArray[np.int8]:
    contrast = np.minimum(cells.contrast, cells.seen_contrast)
    states = np.full(contrast.shape, SILENT, np.int8)
    states[(contrast >= _FAINT) & (cells.correlation >= _AGREES)] = AGREEING
    states[(contrast >= _STRUCTURED) & (cells.correlation < _CONTRADICTS)] = CONTRADICTING
    return states


def _registered(frame: Frame, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The reference on the query's frame, each place where it correlates best; and a mask of where it reaches."""
    height, width = picture.shape
    half = width // 2, height // 2
    field = np.zeros((2, height, width), np.float32)
    seen, mask = frame.seen()
    small, small_seen = (_opencv.resize(one, half, interpolation=cv2.INTER_AREA) for one in (picture, seen))
    small_mask = _opencv.resize(mask, half, interpolation=cv2.INTER_NEAREST)
    cells = _cells(small, small_seen, small_mask, _COARSE_REACH_PX)
    for reach, scale in ((_COARSE_REACH_PX, (width / half[0], height / half[1])), (_MIDDLE_REACH_PX, (1.0, 1.0))):
        shifts = _smooth_shifts(cells)
        if shifts is not None:
            # A cell was found that far off in the query: what lies there is to be fetched from where the cell was.
            field -= _over_all(shifts, reach, scale, (width, height))
            seen, mask = frame.seen(field)
        if reach == _COARSE_REACH_PX:
            cells = _cells(picture, seen, mask, _MIDDLE_REACH_PX)
    return seen, mask


def _smooth_shifts(cells: _Cells) -> NDArray[np.float32] | None:
    """(2, rows, columns), px right and down: an affine map that most cells agree on, and what near ones say beyond it.

    None where too few cells say anything.
    """
    clear = (cells.correlation > _MOVES) & (np.minimum(cells.contrast, cells.seen_contrast) >= _FAINT)
    if clear.sum() < _FEWEST_MOVES:
        return None
    down, right = np.indices(clear.shape)
    places = np.stack([right.ravel(), down.ravel(), np.ones(right.size)], axis=1)
    found = []
    for measured, fixed in ((cells.right, cells.fixed_right), (cells.down, cells.fixed_down)):
        shifts = measured.astype(np.float64)
        weights = np.where(clear, np.clip(fixed / _FIXED, 0, 1) ** 2, 0).astype(np.float64)
        believed = weights
        for _ in range(4):  # least squares, each time with less weight for cells that are far off
            normal = places.T @ (places * believed.reshape(-1, 1)) + 0.01 * np.eye(3)
            plane = (places @ np.linalg.solve(normal, places.T @ (believed * shifts).ravel())).reshape(shifts.shape)
            believed = weights / (1 + ((shifts - plane) / 2) ** 2)
        rest = np.clip(shifts - plane, -_FARTHEST_PX, _FARTHEST_PX)
        found.append(plane + _near(rest * believed) / (_near(believed) + _STIFFNESS))
    return np.asarray(found, np.float32)


def _near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_opencv.GaussianBlur(values, (0, 0), _SMOOTH, borderType=cv2.BORDER_REPLICATE))


def _over_all(
    shifts: NDArray[np.float32], reach: int, scale: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Shifts of cells, in px of a picture that is smaller by ``scale``, for each px of the frame: (2, h, w)."""
    rows, columns = (
        (np.arange(length, dtype=np.float32) / step - reach - _CELL_PX / 2 + 0.5) / _CELL_PX
        for length, step in zip(size[::-1], scale[::-1], strict=True)
    )
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return np.stack([
        _opencv.remap(one, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * step
        for one, step in zip(shifts, scale, strict=True)
    ])  # fmt: skip


def correlation_of_cells(
    one: Difference, other: Difference, cells: NDArray[np.intp], of: Difference
) -> NDArray[np.float64]:
    """How well two references of one query agree with each other in some cells.

    Args:
        one: of the query and the first reference.
        other: of the same query and the second.
        cells: (N, 2) rows and columns.
        of: of the same query and any reference: whose cells these are.

    Returns:
        (N,) correlations; NaN where one of the two has hardly any structure, or does not reach.
    """
    if len(cells) == 0:
        return np.empty(0)
    first, second = (picture.seen if picture is of else picture.seen_in(of) for picture in (one, other))
    found = _by_strokes(first, second, _cells(first, second, np.ones_like(first), _FINE_REACH_PX))
    faint = np.minimum(found.contrast, found.seen_contrast) < _FAINT
    return np.asarray(np.where(faint, np.nan, found.correlation)[tuple(cells.T)], np.float64)
