"""A picture through a linear map: turned, stretched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse
from featmatch.geometry.maps import Matrix, project
from featmatch.native.difference import laid_parts


class Mapped(NamedTuple):
    """A picture through a linear map.

    Attributes:
        pixels: (H, W) uint8, all of the picture, black around it.
        is_seen: (H, W) bool, where the picture is.
        back: (3, 3) float64, px of this to px of the picture.
    """

    pixels: NDArray[np.uint8]
    is_seen: NDArray[np.bool_]
    back: Matrix


def mapped(pixels: NDArray[np.uint8], linear: NDArray[np.float64]) -> Mapped:
    """A picture, (H, W) uint8, through (2, 2) float64, which moves px; with the same bits on every processor.

    >>> mapped(np.uint8([[10, 20, 30]]), np.array([[0.0, -1], [1, 0]])).pixels.tolist()
    [[10], [20], [30]]
    """
    height, width = pixels.shape
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    corners = project(matrix, np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5)
    low = corners.min(axis=0)
    columns, rows = np.ceil(corners.max(axis=0) - low - 1e-6).astype(int).tolist()
    matrix[:2, 2] = -0.5 - low
    back = inverse(matrix)
    nowhere = np.zeros((1, 2), np.int64)
    (seen,), (mask,) = laid_parts((pixels.astype(np.int16) - 128) * 8, back, nowhere, (rows, columns))
    return Mapped(from_eighths(seen), mask > 0, back)


def from_eighths(soft: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Eighths of a grey level, 0 at the middle of the range, to grey levels."""
    return np.asarray(np.clip((soft + (128 * 8 + 4)) >> 3, 0, 255), np.uint8)
