"""Pictures bent a little, and whether the registration finds by how much."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.native.difference import CELL_PX, Soft, softened
from featmatch.proof.registration import grid, registered
from tests.proof.test_agreement import drawn


def bent(picture: NDArray[np.uint8], right: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Each px fetched from so many px to the right and down, to the nearest."""
    rows, columns = np.indices(picture.shape)
    down = np.clip(np.rint(rows + down), 0, picture.shape[0] - 1)
    right = np.clip(np.rint(columns + right), 0, picture.shape[1] - 1)
    return np.ascontiguousarray(picture[down.astype(int), right.astype(int)])


def off_by(one: Soft, other: Soft, mask: NDArray[np.uint8]) -> float:
    """How far apart two pictures are away from their borders, grey levels."""
    inner = (slice(40, -40), slice(40, -40))
    return float(np.abs(one[inner].astype(int) - other[inner])[mask[inner] > 0].mean()) / 8


PICTURE = drawn(3, 400, 500)
ROWS, COLUMNS = np.indices(PICTURE.shape) / 100


@pytest.mark.parametrize(
    ("right", "down"),
    [
        (0 * ROWS, 0 * ROWS),
        (5 + 0 * ROWS, -4 + 0 * ROWS),
        (1 + 3 * COLUMNS, -2 * COLUMNS + ROWS),
        (5 * np.sin(ROWS), 4 * np.cos(COLUMNS)),
    ],
    ids=["as it is", "moved", "stretched", "wavy"],
)
def test_each_place_is_brought_to_where_it_lies(right: NDArray[np.float64], down: NDArray[np.float64]) -> None:
    other, picture = softened(PICTURE), softened(bent(PICTURE, right, down))
    seen, mask = registered(picture, other, np.eye(3))
    assert off_by(seen, picture, mask) < 6
    if np.abs(right).max() > 0:
        assert off_by(other, picture, mask) > 12  # as the homography alone lays it
    assert mask[40:-40, 40:-40].mean() > 0.95


def test_a_place_that_shows_something_else_stays_so() -> None:
    changed = PICTURE.copy()
    changed[200:248, 150:198] = drawn(8, 48, 48)
    picture = softened(changed)
    seen, _ = registered(picture, softened(PICTURE), np.eye(3))
    place = (slice(206, 242), slice(156, 192))
    assert np.abs(seen[place].astype(int) - softened(PICTURE)[place]).mean() / 8 < 8
    assert np.abs(seen[place].astype(int) - picture[place]).mean() / 8 > 20


def test_pictures_that_have_nothing_in_common_stay_where_they_are() -> None:
    picture, other = softened(PICTURE), softened(np.full_like(PICTURE, 90))
    seen, mask = registered(picture, other, np.eye(3))
    np.testing.assert_array_equal(seen, other)
    assert mask.all()


def test_cells_lie_side_by_side_within_a_border() -> None:
    corners = grid(np.zeros((2 * CELL_PX + 17, 3 * CELL_PX + 16), np.int16), 8)
    assert corners.shape == (2, 3, 2)
    assert corners[0, 0].tolist() == [8, 8]
    assert corners[1, 2].tolist() == [8 + CELL_PX, 8 + 2 * CELL_PX]
