from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.proof.alignment import best_move


def scene(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    """A smooth picture that can be looked at anywhere."""
    return np.asarray(np.sin(x / 5) + np.cos(y / 7) + np.sin((x + 2 * y) / 11), np.float32)


ROWS, COLUMNS = np.mgrid[:60.0, :80.0]
WHOLE = np.ones((60, 80), np.float32)


@pytest.mark.parametrize(
    "move", [[[1, 0, 0], [0, 1, 0]], [[1, 0, 1.4], [0, 1, -0.8]], [[1.01, 0.02, -1], [-0.015, 0.99, 1.2]]]
)
def test_a_small_move_is_found_whatever_the_tones(move: list[list[float]]) -> None:
    still = scene(*(row[0] * COLUMNS + row[1] * ROWS + row[2] for row in move))
    found = best_move(still, 3 * scene(COLUMNS, ROWS) + 7, WHOLE)
    assert found is not None
    corners = np.array([[0.0, 80, 80, 0], [0, 0, 60, 60], [1, 1, 1, 1]])
    assert np.abs(found[:2] @ corners - np.array(move) @ corners).max() < 0.15
    assert found[2].tolist() == [0, 0, 1]


def test_it_is_that_of_opencv() -> None:
    still, moved = scene(COLUMNS + 1.2, ROWS - 0.7), scene(COLUMNS, ROWS)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
    start = np.eye(2, 3, dtype=np.float32)
    _, expected = cv2.findTransformECC(still, moved, start, cv2.MOTION_AFFINE, until, WHOLE.astype(np.uint8), 3)
    found = best_move(still, moved, WHOLE)
    assert found is not None
    np.testing.assert_allclose(found[:2], expected, atol=0.05)


def test_what_the_mask_leaves_out_does_not_count() -> None:
    moved, mask = scene(COLUMNS, ROWS), WHOLE.copy()
    moved[:, 50:] = 9
    mask[:, 48:] = 0
    found = best_move(scene(COLUMNS + 1, ROWS), moved, mask)
    assert found is not None
    np.testing.assert_allclose(found[:2], [[1, 0, 1], [0, 1, 0]], atol=0.1)


def test_there_is_no_move_between_plain_or_unlike_pictures() -> None:
    picture = scene(COLUMNS, ROWS)
    assert best_move(picture, np.zeros_like(picture), WHOLE) is None
    assert best_move(np.zeros_like(picture), picture, WHOLE) is None
    assert best_move(picture, picture, np.zeros_like(WHOLE)) is None
    assert best_move(picture, -picture, WHOLE) is None
