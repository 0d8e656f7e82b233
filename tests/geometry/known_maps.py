"""Maps that the tests know, and matches made by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import Keypoints, TentativeMatches

SIZE = (1000, 800)
CORNERS = np.array([[0.0, 0], [999, 0], [999, 799], [0, 799]])


def similarity(turn_deg: float, scale: float, x: float, y: float) -> Matrix:
    turn = scale * np.exp(1j * np.radians(turn_deg))
    return np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y], [0, 0, 1]])


def shift(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


TRUTHS = {
    "identity": np.eye(3),
    "shift": shift(120, -75),
    "quarter turn": similarity(90, 1, 800, 0),
    "upside down": similarity(180, 1, 999, 799),
    "turned and smaller": similarity(-33, 0.4, 300, 500),
    "much smaller": similarity(12, 0.1, 400, 300),
    "larger": similarity(200, 3, 700, 900),
    "affine": np.array([[0.9, 0.25, 20], [-0.1, 0.7, 130], [0, 0, 1]]),
    "perspective": np.array([[0.8, 0.05, 60], [0.03, 0.85, 40], [2.5e-4, 1e-4, 1]]),
    "turned perspective": np.array([[0.3, -0.8, 650], [0.75, 0.3, 10], [1e-4, -2e-4, 1]]),
}


def mapped(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def local_turn(matrix: Matrix, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (radians) and octaves of a map at points, by finite differences."""
    step_x, step_y = np.array([1e-3, 0]), np.array([0, 1e-3])
    right = (mapped(matrix, points + step_x) - mapped(matrix, points - step_x)) / 2e-3
    down = (mapped(matrix, points + step_y) - mapped(matrix, points - step_y)) / 2e-3
    rotation = np.arctan2(right[:, 1] - down[:, 0], right[:, 0] + down[:, 1])
    return rotation, np.log2(np.abs(right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0])) / 2


def made_matches(
    seed: int,
    truth: Matrix,
    inliers: int,
    outliers: int,
    *,
    noise_px: float = 0.5,
    query: NDArray[np.float64] | None = None,
) -> TentativeMatches:
    """Inliers of a known map first, then outliers; the rows of the features say which is which."""
    random = np.random.default_rng(seed)
    if query is None:
        query = random.uniform(0, SIZE, (inliers, 2))
    rotation, octaves = local_turn(truth, query)
    count = inliers + outliers
    reference = mapped(truth, query) + random.normal(0, noise_px, (inliers, 2))
    query_angles = random.uniform(0, 2 * np.pi, count)
    reference_angles = random.uniform(0, 2 * np.pi, count)
    reference_angles[:inliers] = query_angles[:inliers] + rotation + random.normal(0, np.radians(6), inliers)
    query_octaves = random.uniform(1, 6, count)
    reference_octaves = random.uniform(1, 6, count)
    reference_octaves[:inliers] = query_octaves[:inliers] + octaves + random.normal(0, 0.15, inliers)
    query = np.vstack([query, random.uniform(0, SIZE, (outliers, 2))])
    reference = np.vstack([reference, random.uniform(0, SIZE, (outliers, 2))])
    return TentativeMatches.between(
        Keypoints(query, query_angles % (2 * np.pi), query_octaves),
        Keypoints(reference, reference_angles % (2 * np.pi), reference_octaves),
        costs=random.uniform(0, 22, count),
        query_rows=np.arange(count),
        reference_rows=np.arange(count),
    )
