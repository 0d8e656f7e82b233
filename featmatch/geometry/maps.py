"""Homographies as maps: points through them, how they turn and grow what is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def project(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map (N, 2) points by a (3, 3) homography to (N, 2) float64; what goes to infinity is NaN."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(mapped[:, 2:] > 1e-9, mapped[:, :2] / mapped[:, 2:], np.nan))


def turn_at(matrix: Matrix, point: NDArray[np.float64]) -> tuple[float, float]:
    """Rotation (radians) and growth (octaves) of a map at a point."""
    jacobian = jacobians(matrix, point[None])[0]
    rotation = np.arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1])
    return float(rotation), float(np.log2(max(np.linalg.det(jacobian), 1e-12)) / 2)


def jacobians(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2): how a map acts close to each of (N, 2) points."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    depths = mapped[:, 2, None]
    outer = (mapped[:, :2] / depths)[:, :, None] * matrix[2, :2]
    return np.asarray((matrix[:2, :2] - outer) / depths[:, :, None])


def mirror_matrix(width: int) -> Matrix:
    """(3, 3): mirrors a picture of this width left to right, px to px."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
