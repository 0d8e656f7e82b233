from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.agreement import alignment_sums, laid_over, smooth

Picture = NDArray[np.float32]

TAPS = np.array([0.4, 0.2, 0.07, 0.03], np.float32)


pytestmark = pytest.mark.usefixtures("level")  # each test at each of them


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)


# The same in NumPy, to the bit


def smooth_along(picture: Picture, taps: Picture, axis: int) -> Picture:
    size, reach = picture.shape[axis], len(taps) - 1
    widths = [(reach, reach) if one == axis else (0, 0) for one in (0, 1)]
    padded = np.pad(picture, widths, mode="reflect") if size > 1 else np.pad(picture, widths, mode="edge")

    def part(start: int) -> Picture:
        return np.asarray(np.take(padded, np.arange(start, start + size), axis))

    found: Picture = taps[0] * part(reach)
    for k in range(1, reach + 1):
        found = found + taps[k] * (part(reach - k) + part(reach + k))
    return found


def between(picture: Picture, x: NDArray[np.float64], y: NDArray[np.float64]) -> Picture:
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    shares = (x - left).astype(np.float32), (y - top).astype(np.float32)
    padded = np.pad(picture, 1)
    a, b, c, d = (padded[top + 1 + i, left + 1 + j] for i in (0, 1) for j in (0, 1))
    above, below = a + (b - a) * shares[0], c + (d - c) * shares[0]
    return np.asarray(above + (below - above) * shares[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3), (3, 40), (37, 53), (64, 64)])
def test_a_blur_is_that_of_numpy(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    expected = smooth_along(smooth_along(picture, TAPS, 1), TAPS, 0)
    np.testing.assert_array_equal(smooth(picture, TAPS), expected)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_a_picture_is_laid_over_as_numpy_does(factor: float) -> None:
    picture = noise(40, 60)
    matrix = np.array([[factor, 0.1, -7.3], [-0.2, factor, 6.1], [1e-3, -2e-3, 1]])
    seen, mask = laid_over(picture, matrix, (70, 50))
    rows, columns = np.mgrid[:50.0, :70.0]
    x, y, depth = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    x, y = x / depth, y / depth
    near = (x > -1) & (y > -1) & (x < 60) & (y < 40)
    expected = np.zeros((50, 70), np.float32)
    expected[near] = between(picture, x[near], y[near])
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(mask, (x >= -0.5) & (y >= -0.5) & (x < 59.5) & (y < 39.5))
    assert 0 < mask.sum() < mask.size


def test_sums_are_those_of_numpy() -> None:
    still, moved, along_x, along_y = (noise(31, 47, seed) for seed in range(4))
    mask = (noise(31, 47, 4) > 100).astype(np.float32)
    matrix = np.array([[1.05, 0.02, -1.3], [-0.03, 0.97, 2.2]])
    found = alignment_sums(still, moved, (along_x, along_y), mask, matrix)
    rows, columns = np.mgrid[:31.0, :47.0]
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    inside = (x >= 0) & (y >= 0) & (x <= 46) & (y <= 30)
    inside[inside] = mask[np.floor(y[inside] + 0.5).astype(int), np.floor(x[inside] + 0.5).astype(int)] > 0
    p, q, b = (between(one, x[inside], y[inside]).astype(np.float64) for one in (along_x, along_y, moved))
    u, v = columns[inside], rows[inside]
    numbers = np.stack([p * u, p * v, p, q * u, q * v, q, still[inside].astype(np.float64), b])
    assert found.number == inside.sum() > 300
    products = numbers[:, None] * numbers
    np.testing.assert_array_equal(found.products, np.cumsum(products, axis=2)[..., -1])  # in the order of the px
    sums = np.cumsum(numbers, axis=1)[:, -1]
    np.testing.assert_array_equal([*found.slopes, found.still, found.moved], sums)


# Maps and sizes of strangers


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_any_map_is_borne(value: float) -> None:
    picture = noise(8, 9)
    seen, mask = laid_over(picture, np.full((3, 3), value), (5, 4))
    assert (seen == 0).all()
    assert (mask == 0).all()
    map_ = np.full((2, 3), value)
    sums = alignment_sums(picture, picture, (picture, picture), np.ones((8, 9), np.float32), map_)
    assert sums.number == (72 if value == 0 else 0)


def test_other_arrays_are_refused() -> None:
    picture = noise(8, 9)
    with pytest.raises(UsageError, match="too long"):
        smooth(picture, np.ones(66, np.float32))
    with pytest.raises(UsageError, match="no px"):
        smooth(np.empty((0, 4), np.float32), TAPS)
    with pytest.raises(UsageError, match="no px"):
        laid_over(picture, np.eye(3), (0, 4))
    with pytest.raises(UsageError, match="a map of"):
        laid_over(picture, np.eye(2), (5, 4))
    with pytest.raises(UsageError, match="an array of float32"):
        smooth(picture.astype(np.float64), TAPS)
    with pytest.raises(UsageError, match="different sizes"):
        alignment_sums(picture, picture, (picture, picture), noise(9, 8), np.eye(2, 3))
