"""Two pictures and a homography -> how well their pixels agree."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix, project, scaling_matrix
from featmatch.geometry.regions import polygon_area, shared_region

_opencv: Any = cv2  # its type stubs differ from release to release

_SIDE_PX = 96.0  # root of the area at which the shared region is compared: a homography is not precise enough for more
_SMALLEST_PX = 12  # a region with a side below this is not compared
_WINDOW_PX = 3.0  # sigma of the Gaussian window in which mean and contrast are made equal
_NOISE = 3.0  # grey levels; contrast well below this counts as none
_ENOUGH_WINDOWS = 18.0  # with contrast; in fewer, one edge or corner agrees with any other
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


class _Frame(NamedTuple):
    """The query's shared region and the whole reference, both reduced to the scale at which they are compared."""

    query: NDArray[np.float32]
    reference: NDArray[np.float32]
    reference_from_frame: Matrix


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
    frames = [frame, _aligned(frame)]
    return max((_correlation(one) for one in frames if one is not None), key=lambda found: found or (-1.0,))


def _common_frame(
    query: NDArray[np.uint8], reference: NDArray[np.uint8], reference_from_query: Matrix
) -> _Frame | None:
    """Both pictures at the scale at which they are compared: at most ``_SIDE_PX``, and no finer than either."""
    query_size, reference_size = query.shape[::-1], reference.shape[::-1]
    region = shared_region(reference_from_query, query_size, reference_size)
    area = polygon_area(region)
    if area < _SMALLEST_PX**2:
        return None
    growth = (polygon_area(project(reference_from_query, region)) / area) ** 0.5
    factor = min(1.0, _SIDE_PX / area**0.5, growth)
    small_query, query_from_small = _reduced(query, factor)
    small_reference, reference_from_small = _reduced(reference, factor / growth)
    corners = project(np.linalg.inv(query_from_small).astype(np.float64), region)
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    cut = small_query[top:bottom, left:right]
    if min(cut.shape) < _SMALLEST_PX:
        return None
    small_from_frame = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return _Frame(
        _smooth(cut.astype(np.float32), 1.0),
        _smooth(small_reference.astype(np.float32), 1.0),
        np.linalg.inv(reference_from_small) @ reference_from_query @ query_from_small @ small_from_frame,
    )


def _reduced(picture: NDArray[np.uint8], factor: float) -> tuple[NDArray[np.uint8], Matrix]:
    """The picture scaled down by a factor below 1, else as it is; and (3, 3): its px to px of the picture."""
    if factor >= 1:
        return picture, np.eye(3)
    height, width = picture.shape
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    back = scaling_matrix(width / size[0], height / size[1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), back


def _seen(frame: _Frame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The reference warped into the query's frame, and a mask: 1 where it covers the frame, else 0."""
    size = frame.query.shape[::-1]
    how = cv2.WARP_INVERSE_MAP
    picture = _opencv.warpPerspective(frame.reference, frame.reference_from_frame, size, flags=cv2.INTER_LINEAR | how)
    whole = np.ones_like(frame.reference)
    mask = _opencv.warpPerspective(whole, frame.reference_from_frame, size, flags=cv2.INTER_NEAREST | how)
    return picture, _opencv.erode(mask, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0)


def _correlation(frame: _Frame) -> PixelAgreement | None:
    """The agreement as the frame lies; None where too little overlaps, or has contrast."""
    picture, mask = _seen(frame)
    if mask.sum() < _SMALLEST_PX**2 / 2:
        return None
    a, b = _normalised(frame.query, mask), _normalised(picture, mask)
    energy = float((a * a).sum()) * float((b * b).sum())
    if energy <= 1:
        return None
    correlation = min(max(float((a * b).sum()) / energy**0.5, 0.0), 1.0)
    contrast = np.minimum(_smooth(a * a, _WINDOW_PX), _smooth(b * b, _WINDOW_PX))
    # The participation ratio: the number of pixels if all have the same contrast, fewer if some have less.
    windows = float(contrast.sum()) ** 2 / max(float((contrast * contrast).sum()), 1e-9) / (4 * np.pi * _WINDOW_PX**2)
    return PixelAgreement(correlation, min(windows / _ENOUGH_WINDOWS, 1.0))


def _normalised(picture: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and contrast near 1 in each window, less where contrast is at the noise level; 0 outside the mask."""
    weight = _smooth(mask, _WINDOW_PX) + np.float32(1e-6)
    centred = (picture - _smooth(picture * mask, _WINDOW_PX) / weight) * mask
    contrast = _smooth(centred * centred, _WINDOW_PX) / weight
    return np.asarray(centred / np.sqrt(contrast + np.float32(_NOISE**2)), np.float32)


def _aligned(frame: _Frame) -> _Frame | None:
    """Move the reference by a small affine map to where it correlates best; None where there is no such map."""
    picture, mask = _seen(frame)
    a, b = _normalised(frame.query, mask), _normalised(picture, mask)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
    try:
        _, moved = _opencv.findTransformECC(
            a, b, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, until, mask.astype(np.uint8), 3
        )
    except cv2.error:  # it does not converge, as chance alignments do
        return None
    move = np.vstack([moved, [0, 0, 1]]).astype(np.float64)
    height, width = frame.query.shape
    corners = np.array([[0.0, 0], [width, 0], [width, height], [0, height]])
    if not np.abs(project(move, corners) - corners).max() <= _FARTHEST * max(width, height):
        return None
    return frame._replace(reference_from_frame=frame.reference_from_frame @ move)


def _smooth(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
