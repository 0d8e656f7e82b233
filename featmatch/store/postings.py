"""Features as postings: quantised for the inverted file, and restored from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import log2

_ANGLE_STEPS = 256
_SIZE_STEPS_AN_OCTAVE = 16
_POSITION_STEPS = 65_535  # along the longer side


@dataclass(frozen=True)
class Postings:
    """Columns of one row a feature; 18 bytes a feature, and the word that orders them.

    Attributes:
        image: (N,) uint32, number of the image within the segment.
        signature: (N,) uint64.
        x: (N,) uint16, in 65535ths of the image's longer side.
        y: (N,) uint16, likewise.
        angle: (N,) uint8, in 256ths of a turn.
        size: (N,) uint8, 16 log2 of the diameter in px of the original.
    """

    image: NDArray[np.uint32]
    signature: NDArray[np.uint64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    angle: NDArray[np.uint8]
    size: NDArray[np.uint8]


POSTING_COLUMNS: dict[str, np.dtype[Any]] = {
    "image": np.dtype("<u4"),
    "signature": np.dtype("<u8"),
    "x": np.dtype("<u2"),
    "y": np.dtype("<u2"),
    "angle": np.dtype("u1"),
    "size": np.dtype("u1"),
}


def quantised(
    keypoints: NDArray[np.float32],
    angles: NDArray[np.float32],
    sizes: NDArray[np.float32],
    signatures: NDArray[np.uint64],
    long_side: int,
) -> Postings:
    """Features as postings of image 0, in whole steps.

    Args:
        keypoints: (N, 2) float32, px, x then y.
        angles: (N,) float32, radians.
        sizes: (N,) float32, diameters in px.
        signatures: (N,) uint64.
        long_side: longer side of the image, px.

    >>> one = np.float32([1])
    >>> postings = quantised(np.float32([[320, 0]]), one * np.pi, 8 * one, np.uint64([7]), long_side=640)
    >>> postings.x.tolist(), postings.angle.tolist(), postings.size.tolist()
    ([32768], [128], [48])
    """
    positions = np.clip(np.rint(keypoints * (_POSITION_STEPS / long_side)), 0, _POSITION_STEPS).astype(np.uint16)
    return Postings(
        image=np.zeros(len(keypoints), np.uint32),
        signature=signatures,
        x=positions[:, 0],
        y=positions[:, 1],
        angle=(np.rint(angles * (_ANGLE_STEPS / (2 * np.pi))).astype(np.int64) % _ANGLE_STEPS).astype(np.uint8),
        size=np.clip(np.rint(log2(np.maximum(sizes, 1)) * _SIZE_STEPS_AN_OCTAVE), 0, 255).astype(np.uint8),
    )


def restored(
    postings: Postings, rows: NDArray[np.int64], long_sides: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Keypoints (N, 2) px, angles (N,) radians and log2 of sizes (N,) in px, of chosen postings.

    Args:
        postings: of a segment.
        rows: (N,) int64, which of them.
        long_sides: (N,) int32, longer side of the image of each, px.
    """
    step = long_sides / _POSITION_STEPS
    keypoints = np.stack([postings.x[rows] * step, postings.y[rows] * step], axis=1)
    angles = postings.angle[rows].astype(np.float64) * (2 * np.pi / _ANGLE_STEPS)
    return keypoints, angles, postings.size[rows].astype(np.float64) / _SIZE_STEPS_AN_OCTAVE
