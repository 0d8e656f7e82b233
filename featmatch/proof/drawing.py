"""Draw a proof: query and reference side by side, what they share and where they differ outlined, inliers joined."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.errors import ImageError
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import ImageSource, load_display
from featmatch.proof.proof import Proof

_HEIGHT_PX = 720  # of each picture, less where it would be wider than twice that
_GAP_PX = 16
_REGION = (255, 140, 0)
_DIFFERS = (230, 30, 160)
_KEPT = (60, 200, 90)
_DROPPED = (255, 80, 80)
_LINES = 60  # more would hide the pictures
_BITS = 4  # of a pixel's fraction, in OpenCV's fixed-point coordinates


def draw_proof(
    query: ImageSource,
    reference: ImageSource | None,
    proof: Proof | None,
    dropped: NDArray[np.float64] | None = None,
    decoding: DecodingOptions = USUAL,
) -> NDArray[np.uint8]:
    """Draw two images side by side, with the regions and inliers of a proof.

    Args:
        query: the image that was looked for.
        reference: the image that was found; None: its file is not at hand.
        proof: whose regions and inliers are drawn; None: only the images.
        dropped: (2, N, 2) float64, px of query and reference: matches that do not agree, drawn in another colour.
        decoding: what decoding each image may cost.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: an image cannot be read, or the reference's file is not at hand.
    """
    if reference is None:
        raise ImageError("not_found", "its file is not at hand: say where it is with --root")
    left, left_scale = _fitted(load_display(query, decoding=decoding))
    right, right_scale = _fitted(load_display(reference, decoding=decoding))
    height = max(left.shape[0], right.shape[0])
    offset = left.shape[1] + _GAP_PX
    canvas = np.full((height, offset + right.shape[1], 3), 255, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], offset:] = right
    scales = (left_scale, right_scale)
    if dropped is not None:
        _join(canvas, dropped[0], dropped[1], scales, offset, _DROPPED)
    if proof is not None:
        _join(canvas, proof.query_points, proof.reference_points, scales, offset, _KEPT)
        _line(canvas, _scaled(proof.query_region, left_scale, 0), _REGION, closed=True, thickness=3)
        _line(canvas, _scaled(proof.reference_region, right_scale, offset), _REGION, closed=True, thickness=3)
        if proof.differences:
            for region in proof.differences.query:
                _line(canvas, _scaled(region, left_scale, 0), _DIFFERS, closed=True, thickness=2)
            for region in proof.differences.reference:
                _line(canvas, _scaled(region, right_scale, offset), _DIFFERS, closed=True, thickness=2)
    return canvas


def _join(
    canvas: NDArray[np.uint8],
    query_points: NDArray[np.float64],
    reference_points: NDArray[np.float64],
    scales: tuple[float, float],
    offset: int,
    colour: tuple[int, int, int],
) -> None:
    """Join points of both pictures by lines, and circle their ends."""
    shown = np.unique(np.linspace(0, len(query_points) - 1, min(len(query_points), _LINES)).astype(int))
    starts = _scaled(query_points[shown], scales[0], 0)
    ends = _scaled(reference_points[shown], scales[1], offset)
    for start, end in zip(starts, ends, strict=True):
        _line(canvas, np.array([start, end]), colour, closed=False, thickness=1)
        for point in (start, end):
            cv2.circle(canvas, _fixed(point), 4 << _BITS, colour, 1, cv2.LINE_AA, _BITS)


def _fitted(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture at the size that it is shown at, and the scale."""
    scale = _HEIGHT_PX / picture.shape[0]
    width = max(round(picture.shape[1] * scale), 1)
    if width > 2 * _HEIGHT_PX:
        scale *= 2 * _HEIGHT_PX / width
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=interpolation).astype(np.uint8), scale


def _scaled(points: NDArray[np.float64], scale: float, offset: int) -> NDArray[np.float64]:
    """Points of a picture, in the drawing, where it begins ``offset`` px to the right."""
    return (points + 0.5) * scale - 0.5 + [offset, 0]


def _line(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float64],
    colour: tuple[int, int, int],
    *,
    closed: bool,
    thickness: int,
) -> None:
    fixed = np.rint(points * (1 << _BITS)).astype(np.int32)
    cv2.polylines(canvas, [fixed], closed, colour, thickness, cv2.LINE_AA, _BITS)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.rint(point * (1 << _BITS)).astype(int)
    return int(x), int(y)
