"""Two pictures and a homography -> where they show the same, where something else, and where neither can be said.

The shared region is cut into cells. A cell *agrees* where both pictures have structure and it is the same,
*contradicts* where both have structure and it is another, and is *silent* elsewhere: plain, blurred, covered by glare.
Where one is plain, and the other clearly is not, something is *added* to the query, or *lacking* in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.native.difference import (
    CELL_PX,
    STEPS,
    Cells,
    Places,
    Soft,
    compared_cells,
    compared_slopes,
    laid_parts,
    softened,
)
from featmatch.proof.agreement import enlarged, reduced
from featmatch.proof.registration import COARSE_REACH_PX, FAINT, grid, registered
from featmatch.proof.tones import are_on_ground, look_printed

_opencv: Any = cv2  # its type stubs differ from release to release

SIDE_PX = 640.0  # root of the area at which the shared region is looked at: letters of a page are told apart from here
_SMALL_PX, _ENLARGED_PX = 96.0, 192.0  # root of the area below which it has hardly a cell; to which it is enlarged then
_FINE_REACH_PX = 2  # by which a cell is moved in the end
_BORDER_PX = _FINE_REACH_PX + 1  # around a cell that is compared alone: what its slopes are made of, too
_STRUCTURED = 5.0  # standard deviation of grey levels from which a cell can contradict
_CLEARLY = 12.0  # the same, from which it shows what a plain cell lacks: well above noise
_STARK = 30.0  # the same, of print, lines and edges of flat colour: neither noise nor blur makes it something else
_PLAIN = 10 * STEPS  # range of a picture in and around a cell that is plain
_AGREES, _CONTRADICTS = 0.6, 0.4  # correlation from which a cell agrees, and below which it contradicts
_TELLING = 0.4  # of the edges of the stronger direction: a direction with fewer says nothing
_FEWEST_STARK = 18  # stark cells that agree, or the map may lie badly
_FEWEST_TOGETHER = 3  # agreeing cells among nine, or they may do so by chance
_MOST_ON_GROUND, _SOME_ON_GROUND = 0.5, 0.1  # shares of what agrees and contradicts: bars and faces have little ground
_AS_MUCH = 4 / 3  # times the structure of the other picture: another text is as strong, what was laid over it is not
_MOST_CELLS = 64  # of which it is asked whether they are print
_FEWEST_OF_PHOTO = 40  # cells of a photograph that agree
_NEARLY_ALL = 0.7  # share of the cells within what agrees that agree, where it is a photograph throughout
_OVERLAID = 0.25  # share of those that say anything that something on it may take

SILENT, AGREEING, CONTRADICTING, ADDED, LACKING = 0, 1, 2, 3, 4

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
        states: (rows, columns) int8 of ``SILENT``, ``AGREEING``, ``CONTRADICTING``, ``ADDED`` or ``LACKING``.
        query_from_cells: (3, 3), column and row of a cell's upper left corner to px of the query.
        seen: (h, w) int16, the reference as it lies on the query, as ``softened`` makes it; cells of ``CELL_PX`` begin
            ``_FINE_REACH_PX`` in.
        stark: (rows, columns) bool, where both pictures have stark structure; None: nowhere.
        is_small: whether the region was too small to have cells as it is, and was enlarged.
        is_drawn: whether most of what agrees, and some of what contradicts, lies on a plain ground in both pictures, as
            print does.
        as_strong: (rows, columns) bool, where both pictures have as much structure, but for what they differ by all
            over; None: nowhere.
    """

    states: NDArray[np.int8]
    query_from_cells: Matrix
    seen: Soft
    stark: NDArray[np.bool_] | None = None
    is_small: bool = False
    is_drawn: bool = False
    as_strong: NDArray[np.bool_] | None = None

    @property
    def agreeing(self) -> int:
        """Number of cells that agree."""
        return int((self.states == AGREEING).sum())

    @property
    def agreeing_throughout(self) -> int:
        """The same, but twice those at most that lie within their hull and not at its border.

        Smooth things of one shape agree all along their outline, and hardly within.
        """
        inside = _opencv.erode(self._hull, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return min(self.agreeing, 2 * int((self.states[inside > 0] == AGREEING).sum()))

    @property
    def contradicting(self) -> int:
        """Number of cells that contradict."""
        return int((self.states == CONTRADICTING).sum())

    def parts(self, cells: NDArray[np.intp], of: Difference) -> Parts:
        """What the reference shows in some cells of the look at another one.

        Args:
            cells: (N, 2) rows and columns.
            of: of the same query and any reference: whose cells these are.
        """
        corner = _corner(_FINE_REACH_PX)
        way = product(corner, inverse(self.query_from_cells), of.query_from_cells, inverse(corner))
        corners = cells.astype(np.int64) * CELL_PX + (_FINE_REACH_PX - _BORDER_PX)
        side = CELL_PX + 2 * _BORDER_PX
        return Parts(*laid_parts(self.seen, way, corners, (side, side)))

    @property
    def share(self) -> float:
        """Share of the contradicting cells among those that say anything; 0 to 1."""
        return self.contradicting / max(self.agreeing + self.contradicting, 1)

    @property
    def unlike_share(self) -> float:
        """The same, counting what only one of the two pictures shows as well."""
        unlike = int((self.states >= CONTRADICTING).sum())
        return unlike / max(self.agreeing + unlike, 1)

    @property
    def enclosed_share(self) -> float:
        """The same among the cells that lie within what agrees: margins and what lies behind a picture are outside."""
        against = int((self.enclosed == CONTRADICTING).sum())
        said = int((self.enclosed == AGREEING).sum()) + against
        return against / said if said else 1.0

    @property
    def stark_share(self) -> float:
        """The same among those of them with stark structure; 0 where few of these agree: the map may lie badly."""
        stark = self.enclosed[self.stark] if self.stark is not None else self.states[:0]
        agreeing, against = (int((stark == state).sum()) for state in (AGREEING, CONTRADICTING))
        return against / (agreeing + against) if agreeing >= _FEWEST_STARK else 0.0

    @property
    def redrawn_share(self) -> float:
        """``enclosed_share`` where a drawing agrees, and most of what contradicts is as strong in both; else 0.

        What was laid over print, a sticker or large letters, is stronger or weaker than what it hides.
        """
        if self.as_strong is None or not self.is_drawn or self.is_small:
            return 0.0
        against = self.enclosed == CONTRADICTING
        return self.enclosed_share if 2 * (against & self.as_strong).sum() >= against.sum() else 0.0

    @property
    def exchanged(self) -> int:
        """Cells within what agrees where one picture shows what the other lacks: their number, of that with fewer."""
        enclosed = self.enclosed
        return min(int((enclosed == ADDED).sum()), int((enclosed == LACKING).sum()))

    @property
    def is_print(self) -> bool:
        """Whether what agrees looks printed (``tones.look_printed``); not a photograph."""
        places = np.argwhere(self.enclosed == AGREEING)
        if len(places) == 0:
            return True
        corners = places[:: -(-len(places) // _MOST_CELLS)] * CELL_PX + _FINE_REACH_PX
        return look_printed(_parts(self.seen, corners))

    @property
    def is_photograph(self) -> bool:
        """Whether what agrees is one photograph, whole but for some places that are written over.

        Between print there is nothing, or what is filled in, so less of the whole agrees.
        """
        agreeing, within = int((self.enclosed == AGREEING).sum()), int((self._hull > 0).sum())
        is_whole = agreeing >= max(_FEWEST_OF_PHOTO, _NEARLY_ALL * within)
        return is_whole and self.unlike_share <= _OVERLAID and not self.is_print

    def differences(self, reference_from_query: Matrix) -> Differences:
        """Where the pictures differ: rectangles around contradicting cells that hang together within what agrees.

        Args:
            reference_from_query: (3, 3) float64, px to px.
        """
        contradicting = self.enclosed == CONTRADICTING
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

    @property
    def enclosed(self) -> NDArray[np.int8]:
        """``states``, and silent outside the hull of what agrees."""
        return np.where(self._hull > 0, self.states, np.int8(SILENT))

    @property
    def _hull(self) -> NDArray[np.uint8]:
        """(rows, columns) 1 within the hull of what agrees, else 0.

        Cells that few others agree beside, which may be chance, do not widen it.
        """
        agreeing = self.states == AGREEING
        beside = _opencv.filter2D(agreeing.astype(np.uint8), -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
        agreeing &= beside >= _FEWEST_TOGETHER
        within = np.zeros(agreeing.shape, np.uint8)
        if agreeing.any():
            places = np.ascontiguousarray(np.argwhere(agreeing)[:, ::-1], np.int32)  # columns and rows
            cv2.fillConvexPoly(within, cv2.convexHull(places), 1)
        return within


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
    frame = reduced(query, reference, reference_from_query, SIDE_PX)
    if frame is None:
        return None
    is_small = frame.query.size < _SMALL_PX**2
    if is_small:
        frame = enlarged(frame, _ENLARGED_PX)
    if frame is None or min(frame.query.shape) < CELL_PX + 2 * COARSE_REACH_PX:
        return None
    picture = softened(255 - frame.query if negative else frame.query)
    seen, mask = registered(picture, softened(frame.reference), frame.reference_from_frame)
    corners = grid(picture, _FINE_REACH_PX)
    cells = corners.reshape(-1, 2)
    compared = _compared(picture, seen, mask, cells)
    states = _states(compared)
    stark = (np.minimum(compared.contrast, compared.seen_contrast) >= _STARK).reshape(corners.shape[:2])
    for state, plain in ((ADDED, seen), (LACKING, picture)):
        some = np.flatnonzero(states == state)
        states[some[~_is_plain_around(plain, cells[some])]] = SILENT
    agrees, against = states == AGREEING, states == CONTRADICTING
    is_drawn = all(
        some.any() and _on_ground(picture, seen, cells[some]).mean() >= share
        for some, share in ((against, _SOME_ON_GROUND), (agrees, _MOST_ON_GROUND))
    )
    as_strong = _are_as_strong(compared, agrees).reshape(corners.shape[:2]) if is_drawn else None
    states, way = states.reshape(corners.shape[:2]), product(frame.query_from_frame, _corner(_FINE_REACH_PX))
    return Difference(states, way, seen, stark, is_small, is_drawn, as_strong)


def _corner(reach: int) -> Matrix:
    """(3, 3): column and row of a cell to its upper left corner, px of the frame."""
    return np.array([[CELL_PX, 0.0, reach], [0, CELL_PX, reach], [0, 0, 1]])


def _compared(picture: Soft, seen: Soft, mask: NDArray[np.uint8], corners: Places) -> Cells:
    """Cells with the least of three correlations: of grey levels, of edges across, and of edges down.

    Lines of print, and frames around it, make any two words much alike: what tells them apart is the other direction.
    A direction in which a cell has hardly an edge says nothing.
    """
    cells = compared_cells(picture, seen, mask, corners, _FINE_REACH_PX, FAINT)
    shifts = np.stack([cells.down, cells.right], axis=1).astype(np.int64)
    alike, edges = compared_slopes(picture, seen, corners + shifts, corners)
    alike[edges < _TELLING * edges.max(axis=1, keepdims=True)] = 1
    least = np.where(cells.correlation > 0, np.minimum(cells.correlation, alike.min(axis=1)), cells.correlation)
    return cells._replace(correlation=least)


def _states(cells: Cells) -> NDArray[np.int8]:
    contrast = np.minimum(cells.contrast, cells.seen_contrast)
    states = np.full(contrast.shape, SILENT, np.int8)
    states[(contrast >= FAINT) & (cells.correlation >= _AGREES)] = AGREEING
    states[(contrast >= _STRUCTURED) & (cells.correlation < _CONTRADICTS)] = CONTRADICTING
    states[(cells.contrast >= _CLEARLY) & (cells.seen_contrast < FAINT)] = ADDED
    states[(cells.seen_contrast >= _CLEARLY) & (cells.contrast < FAINT)] = LACKING
    return states


def _is_plain_around(picture: Soft, corners: Places) -> NDArray[np.bool_]:
    """(N,) whether a picture is plain in some cells, and as far around them as one may be off."""
    parts = _parts(picture, corners, _FINE_REACH_PX).astype(np.int64)
    return np.asarray(parts.max(axis=(1, 2)) - parts.min(axis=(1, 2)) <= _PLAIN)


def _on_ground(picture: Soft, seen: Soft, corners: Places) -> NDArray[np.bool_]:
    """(N,) whether some cells lie on a plain ground in both pictures."""
    return are_on_ground(_parts(picture, corners)) & are_on_ground(_parts(seen, corners))


def _are_as_strong(cells: Cells, agrees: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) whether both pictures have as much structure, where one has more or less of it all over."""
    ratios = cells.contrast / np.maximum(cells.seen_contrast, np.float32(FAINT))
    usual = np.sort(ratios[agrees])[agrees.sum() // 2]
    return np.asarray((ratios <= _AS_MUCH * usual) & (usual <= _AS_MUCH * ratios))


def _parts(picture: Soft, corners: Places, margin: int = 0) -> Soft:
    """(N, h, w) some cells of a picture, and so many px around each."""
    around = np.arange(-margin, CELL_PX + margin)
    rows, columns = (corners[:, [axis]] + around for axis in (0, 1))
    return np.asarray(picture[rows[:, :, None], columns[:, None, :]])


class Parts(NamedTuple):
    """What a reference shows in some cells, with a border around each.

    Attributes:
        seen: (N, h, w) int16, as ``softened`` makes it.
        mask: (N, h, w) uint8, 1 where it is there.
    """

    seen: NDArray[np.int16]
    mask: NDArray[np.uint8]

    def correlation(self, other: Parts, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """How well two references of one query agree with each other.

        Args:
            other: the other one, in the same cells.
            chosen: (N,) bool, which cells; None: all.

        Returns:
            (N,) correlations; 0 where just one of the two has structure, NaN where neither has, or one does not reach.
        """
        which = slice(None) if chosen is None else chosen
        mask = self.mask[which] & other.mask[which]
        number, height, width = mask.shape
        if number == 0:
            return np.empty(0, np.float32)
        corners = np.stack([height * np.arange(number), np.zeros(number, np.int64)], axis=1) + _BORDER_PX
        # All of them below one another are a picture.
        first, second = (one[which].reshape(-1, width) for one in (self.seen, other.seen))
        found = _compared(first, second, mask.reshape(-1, width), corners)
        contrasts = np.stack([found.contrast, found.seen_contrast])
        found_alike = np.where(contrasts.min(axis=0) < FAINT, np.float32(0), found.correlation)
        nothing = (contrasts.max(axis=0) < FAINT) | (mask.min(axis=(1, 2)) == 0)
        return np.where(nothing, np.float32(np.nan), found_alike)
