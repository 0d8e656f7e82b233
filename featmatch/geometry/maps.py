"""Homographies as maps: points through them, and the rotation and scale that they have at a point.

Pixel centres have integer coordinates: a picture of width w reaches from -0.5 to w - 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import arctan2, determinants, log2

Matrix = NDArray[np.float64]


def project(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map (N, 2) points by a (3, 3) homography to (N, 2) float64; what goes to infinity is NaN.

    >>> project(scaling_matrix(2, 3), np.array([[-0.5, -0.5], [0, 0]])).tolist()
    [[-0.5, -0.5], [0.5, 1.0]]
    """
    mapped = _homogeneous(matrix, points)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(mapped[:, 2:] > 1e-9, mapped[:, :2] / mapped[:, 2:], np.nan))


def turn_at(matrix: Matrix, point: NDArray[np.float64]) -> tuple[float, float]:
    """Rotation (radians, x towards y) and growth (octaves) of a map at a point, (2,) px."""
    jacobian = jacobians(matrix, point[None])[0]
    rotation = arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1])
    return float(rotation), float(log2(max(determinants(jacobian[None])[0], 1e-12)) / 2)


def jacobians(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2): the linear map that a homography is close to each of (N, 2) points."""
    mapped = _homogeneous(matrix, points)
    depths = mapped[:, 2, None]
    outer = (mapped[:, :2] / depths)[:, :, None] * matrix[2, :2]
    return np.asarray((matrix[:2, :2] - outer) / depths[:, :, None])


def _homogeneous(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 2) points to (N, 3): x, y and depth."""
    return np.asarray(points[:, :1] * matrix[:, 0] + points[:, 1:] * matrix[:, 1] + matrix[:, 2], np.float64)


def mirror_matrix(width: int) -> Matrix:
    """(3, 3): px of a picture of this width to px of it mirrored left to right, and back.

    >>> project(mirror_matrix(640), np.array([[0, 7], [639, 7]])).tolist()
    [[639.0, 7.0], [0.0, 7.0]]
    """
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def scaling_matrix(x: float, y: float, offset: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """(3, 3): px of a picture to px of it resized, from edge to edge.

    Args:
        x: new width for each px of width.
        y: new height for each px of height.
        offset: where the resized picture's top left corner lies in a larger one, px.
    """
    return np.array([[x, 0.0, 0.5 * x + offset[0] - 0.5], [0.0, y, 0.5 * y + offset[1] - 0.5], [0.0, 0.0, 1.0]])
