"""Two pictures and a homography -> how well their pixels agree."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import LN2, exp2, inverse, product
from featmatch.geometry.maps import Matrix, project, scaling_matrix
from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.images.pixels import resized
from featmatch.native.agreement import laid_over, smooth
from featmatch.proof.alignment import best_move

_SIDE_PX = 96.0  # root of the area at which the shared region is compared: a homography is not precise enough for more
_SMALLEST_PX = 12  # a region with a side below this is not compared
_WINDOW_PX = 3.0  # sigma of the Gaussian window in which mean and contrast are made equal
_NOISE = 3.0  # grey levels; contrast well below this counts as none
_ENOUGH_WINDOWS = 18.0  # with contrast; in fewer, one edge or corner agrees with any other
_A_LITTLE = np.array([0.5, 0.25], np.float32)  # one side of a blur's kernel, before the alignment
_WHOLE = 0.95  # of the mask, blurred likewise
_MOST_ENLARGED = 4.0  # times; more is nothing but blur
_AROUND_PX = 32  # of a reference that is enlarged, around what is seen of it: farther than any cell is moved
_FARTHEST = 0.2  # that the alignment may move a corner, as a share of the region's longer side


class PixelAgreement(NamedTuple):
    """How well two pictures agree where one lies over the other.

    Attributes:
        correlation: of their pixels, 0 to 1.
        detail: effective number of windows that have contrast in both, as a share of ``_ENOUGH_WINDOWS``; at most 1.
            Low where only the outline of a flat shape can agree.
    """

    correlation: float
    detail: float


class Reduced(NamedTuple):
    """The query's shared region and the whole reference, both reduced to the scale at which they are compared.

    Attributes:
        query: (h, w) uint8, grey.
        reference: (H, W) uint8, grey.
        reference_from_frame: (3, 3), px of ``query`` to px of ``reference``.
        query_from_frame: (3, 3), px of ``query`` to px of the picture that it was reduced from.
    """

    query: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    reference_from_frame: Matrix
    query_from_frame: Matrix


class _Frame(NamedTuple):
    """The same, blurred a little, px as float32."""

    query: NDArray[np.float32]
    reference: NDArray[np.float32]
    reference_from_frame: Matrix

    def seen(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The reference warped into the frame, and a mask: 1 where it covers the frame, else 0."""
        picture, mask = laid_over(self.reference, self.reference_from_frame, self.query.shape[::-1])
        covered = cv2.erode(mask, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return picture, np.asarray(covered, np.float32)


class _Laid(NamedTuple):
    """Both pictures laid over one another, normalised, and a mask: 1 where both are there, else 0."""

    query: NDArray[np.float32]
    reference: NDArray[np.float32]
    mask: NDArray[np.float32]


def pixel_agreement(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix, *, negative: bool
) -> PixelAgreement | None:
    """Lay one picture over the other, and correlate their pixels.

    Mean and contrast are made equal in small windows first, so that tones and lighting do not matter. The homography
    may be a little off: the alignment is refined (ECC: Evangelidis and Psarakis, PAMI 2008).

    Args:
        query: (h, w) uint8, grey.
        reference: (h, w) uint8, grey.
        reference_from_query: (3, 3) float64, px to px.
        negative: whether light and dark are swapped in the query.

    Returns:
        The agreement, or None where the shared region is too small or too plain to tell.
    """
    frame = _common_frame(query, reference, reference_from_query)
    if frame is None:
        return None
    if negative:
        frame = frame._replace(query=255 - frame.query)
    laid = _laid(frame)
    aligned = _aligned(frame, laid)
    found = [_correlation(laid), None if aligned is None else _correlation(_laid(aligned))]
    return max(found, key=lambda one: one or (-1.0,))


def _common_frame(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix
) -> _Frame | None:
    """Both pictures as ``reduced`` makes them, and blurred a little; None where the region is too small."""
    found = reduced(query, reference, reference_from_query, _SIDE_PX)
    if found is None:
        return None
    picture, other = (_smooth(one.astype(np.float32), 1.0) for one in (found.query, found.reference))
    return _Frame(picture, other, found.reference_from_frame)


def reduced(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix, side_px: float
) -> Reduced | None:
    """Both pictures at one scale: the shared region's area at most ``side_px`` squared, and no finer than either.

    Args:
        query: (h, w) uint8, grey.
        reference: (h, w) uint8, grey.
        reference_from_query: (3, 3) float64, px to px.
        side_px: root of the largest area.

    Returns:
        Both, or None where the region is too small to compare anything.
    """
    query_size, reference_size = query.shape[::-1], reference.shape[::-1]
    region = shared_region(reference_from_query, query_size, reference_size)
    area = polygon_area(region)
    if not area >= _SMALLEST_PX**2:
        return None
    growth = math.sqrt(polygon_area(project(reference_from_query, region)) / area)
    if not 0 < growth < math.inf:  # a map from a stranger's index may lead to a line, or nowhere
        return None
    factor = min(1.0, side_px / math.sqrt(area), growth)
    small_query, query_from_small = _reduced(query, factor)
    small_reference, reference_from_small = _reduced(reference, factor / growth)
    corners = project(inverse(query_from_small), region)
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    cut = small_query[top:bottom, left:right]
    if min(cut.shape) < _SMALLEST_PX:
        return None
    small_from_frame = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Reduced(
        cut,
        small_reference,
        product(inverse(reference_from_small), reference_from_query, query_from_small, small_from_frame),
        product(query_from_small, small_from_frame),
    )


def enlarged(frame: Reduced, side_px: float) -> Reduced | None:
    """Both pictures scaled up, and of the reference only what is seen, and a little around it; None if that is nothing.

    Args:
        frame: both at one scale.
        side_px: root of the area that the query's picture is to have; it is scaled up four times at most.
    """
    height, width = frame.query.shape
    factor = min(side_px / math.sqrt(height * width), _MOST_ENLARGED)
    region = shared_region(frame.reference_from_frame, (width, height), frame.reference.shape[::-1])
    there = project(frame.reference_from_frame, region)
    if len(there) == 0:
        return None
    left, top = np.maximum(np.floor(there.min(axis=0)).astype(int) - _AROUND_PX, 0)
    right, bottom = np.ceil(there.max(axis=0)).astype(int) + _AROUND_PX
    cut = frame.reference[top:bottom, left:right]
    if cut.size == 0:
        return None
    query, frame_from_larger = _enlarged(frame.query, factor)
    reference, cut_from_larger = _enlarged(cut, factor)
    reference_from_cut = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Reduced(
        query,
        reference,
        product(inverse(product(reference_from_cut, cut_from_larger)), frame.reference_from_frame, frame_from_larger),
        product(frame.query_from_frame, frame_from_larger),
    )


def _enlarged(picture: NDArray[np.uint8], factor: float) -> tuple[NDArray[np.uint8], Matrix]:
    """The picture scaled up; and (3, 3): its px to px of the picture."""
    height, width = picture.shape
    size = round(width * factor), round(height * factor)
    return resized(picture, size), scaling_matrix(width / size[0], height / size[1])


def _reduced(picture: NDArray[np.uint8], factor: float) -> tuple[NDArray[np.uint8], Matrix]:
    """The picture scaled down by a factor below 1, else as it is; and (3, 3): its px to px of the picture."""
    if factor >= 1:
        return picture, np.eye(3)
    height, width = picture.shape
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    back = scaling_matrix(width / size[0], height / size[1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), back


def _laid(frame: _Frame) -> _Laid:
    """Both pictures as the frame lies, with their mean and contrast made equal."""
    picture, mask = frame.seen()
    query, reference = _normalised((frame.query, picture), mask)
    return _Laid(query, reference, mask)


def _correlation(laid: _Laid) -> PixelAgreement | None:
    """The agreement as the pictures lie; None where too little overlaps, or has contrast."""
    a, b, mask = laid
    if mask.sum() < _SMALLEST_PX**2 / 2:
        return None
    energy = float((a * a).sum()) * float((b * b).sum())
    if energy <= 1:
        return None
    correlation = min(max(float((a * b).sum()) / math.sqrt(energy), 0.0), 1.0)
    contrast = np.minimum(_smooth(a * a, _WINDOW_PX), _smooth(b * b, _WINDOW_PX))
    # The participation ratio: the number of pixels if all have the same contrast, fewer if some have less.
    total, squares = float(contrast.sum()), float((contrast * contrast).sum())
    windows = total * total / max(squares, 1e-9) / (4 * np.pi * _WINDOW_PX * _WINDOW_PX)
    return PixelAgreement(correlation, min(windows / _ENOUGH_WINDOWS, 1.0))


def _normalised(pictures: Iterable[NDArray[np.float32]], mask: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Mean 0 and contrast near 1 in each window, less where contrast is at the noise level; 0 outside the mask."""
    weight = _smooth(mask, _WINDOW_PX) + np.float32(1e-6)
    found = []
    for picture in pictures:
        centred = (picture - _smooth(picture * mask, _WINDOW_PX) / weight) * mask
        contrast = _smooth(centred * centred, _WINDOW_PX) / weight
        found.append(np.asarray(centred / np.sqrt(contrast + np.float32(_NOISE * _NOISE)), np.float32))
    return found


def _aligned(frame: _Frame, laid: _Laid) -> _Frame | None:
    """Move the reference by a small affine map to where it correlates best; None where there is no such map."""
    query, reference, mask = (smooth(one, _A_LITTLE) for one in laid)
    move = best_move(query, reference, (mask > _WHOLE).astype(np.float32))
    if move is None:
        return None
    height, width = frame.query.shape
    corners = np.array([[0.0, 0], [width, 0], [width, height], [0, height]])
    if not np.abs(project(move, corners) - corners).max() <= _FARTHEST * max(width, height):
        return None
    return frame._replace(reference_from_frame=product(frame.reference_from_frame, move))


def _smooth(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return smooth(picture, gaussian(sigma))


@functools.cache
def gaussian(sigma: float) -> NDArray[np.float32]:
    """One side of the kernel, its middle first, as far as four sigmas."""
    distances = np.arange(round(4 * sigma) + 1.0)
    taps = exp2(distances * distances * (-0.5 / LN2 / sigma / sigma))
    return np.asarray(taps / (2 * taps.sum() - taps[0]), np.float32)
