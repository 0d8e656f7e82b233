from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix
from featmatch.geometry.regions import evenness, polygon_area, shared_region
from tests.geometry.known_maps import TRUTHS, mapped, shift

SQUARE = np.array([[0.0, 0], [600, 0], [600, 600], [0, 600]])


# The shared region


@pytest.mark.parametrize(
    ("x", "y", "corners"),
    [
        (0, 0, (-0.5, -0.5, 99.5, 79.5)),
        (30, 0, (-0.5, -0.5, 69.5, 79.5)),
        (-30, 0, (29.5, -0.5, 99.5, 79.5)),
        (0, 50, (-0.5, -0.5, 99.5, 29.5)),
        (0, -50, (-0.5, 49.5, 99.5, 79.5)),
    ],
)
def test_a_shift_leaves_what_is_in_both(x: float, y: float, corners: tuple[float, ...]) -> None:
    region = shared_region(shift(x, y), (100, 80), (100, 80))
    assert len(region) == 4
    assert (*region.min(axis=0), *region.max(axis=0)) == pytest.approx(corners)


def test_pictures_apart_share_nothing() -> None:
    for x, y in ((101, 0), (-101, 0), (0, 81), (0, -81)):
        assert shared_region(shift(x, y), (100, 80), (100, 80)).shape == (0, 2)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_a_point_is_shared_where_it_lands_in_the_reference(truth: Matrix) -> None:
    size, other = (1000, 800), (700, 900)
    x, y = np.meshgrid(np.arange(0, 1000, 4), np.arange(0, 800, 4))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
    landed = mapped(truth, points)
    inside = ((landed >= -0.5) & (landed <= np.array(other) - 0.5)).all(axis=1)
    region = shared_region(truth, size, other)
    assert polygon_area(region) == pytest.approx(16 * inside.sum(), rel=0.03)
    assert_allclose(region.min(axis=0), points[inside].min(axis=0), atol=4.5)
    assert_allclose(region.max(axis=0), points[inside].max(axis=0), atol=4.5)


def test_what_lies_behind_the_horizon_is_not_shared() -> None:
    horizon_at_500 = np.array([[1.0, 0, 0], [0, 1, 0], [-1 / 500, 0, 1]])
    region = shared_region(horizon_at_500, (1000, 800), (1000, 800))
    assert 0 < polygon_area(region) < 500 * 800
    assert region[:, 0].max() < 500


def test_the_area_of_a_polygon() -> None:
    assert polygon_area(SQUARE) == 360_000
    assert polygon_area(SQUARE[:3]) == 180_000
    assert polygon_area(np.empty((0, 2))) == 0
    assert polygon_area(SQUARE[::-1] - 500) == 360_000


# Evenness


def scattered(count: int, seed: int, low: float = 0, high: float = 600) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(low, high, (count, 2))


@pytest.mark.parametrize("count", [4, 20, 200])
def test_any_features_are_even(count: int) -> None:
    features = scattered(800, 0)
    found = [evenness(features[np.random.default_rng(k).permutation(800)[:count]], features, SQUARE) for k in range(20)]
    assert np.mean(found) > 0.9
    assert max(found) <= 1


def test_a_spot_is_not_even() -> None:
    features = np.concatenate([scattered(700, 1), scattered(100, 2, 250, 350)])
    assert evenness(features[700:], features, SQUARE) < 0.2


def test_a_frame_is_not_even_though_it_goes_all_around() -> None:
    features = scattered(2000, 3)
    border = features[(np.abs(features - 300) > 210).any(axis=1)]
    assert evenness(border, features, SQUARE) < 0.1


def cells(*chosen: tuple[int, int]) -> NDArray[np.float64]:
    """A point in the middle of each of some cells, by column and row, of the 6 x 6 of the square."""
    return 100.0 * np.array(chosen) + 50


EACH = cells(*((column, row) for column in range(6) for row in range(6)))


def test_cells_held_are_counted_against_cells_expected() -> None:
    held = cells((0, 0), (5, 3), (1, 4), (2, 2), (4, 1), (3, 3))
    expected = 36 * (1 - (1 - 1 / 36) ** 6)
    assert evenness(np.repeat(held[:4], [3, 1, 1, 1], axis=0), EACH, SQUARE) == pytest.approx(4 / expected)
    assert evenness(held, EACH, SQUARE) == 1


INNER = [(column, row) for column in range(1, 5) for row in range(1, 5)]
OUTER = [(column, row) for column in range(6) for row in range(6) if (column, row) not in INNER]


def expected_within(inliers: int) -> float:
    """How many of the inner cells hold one of so many features that are drawn from one in each cell."""
    return float(16 * (1 - (1 - 1 / 36) ** inliers))


def test_the_interior_is_judged_where_enough_of_it_is_expected() -> None:
    assert expected_within(7) < 3 < expected_within(8)
    assert evenness(cells(*OUTER[:7]), EACH, SQUARE) == 1
    assert evenness(cells(*OUTER[:8]), EACH, SQUARE) == 0


def test_the_interior_is_all_cells_that_touch_no_side() -> None:
    assert evenness(cells(*OUTER), EACH, SQUARE) == 0
    for cell in INNER:
        assert evenness(cells(*OUTER, cell), EACH, SQUARE) == pytest.approx(1 / expected_within(21))


def test_where_there_are_no_features_no_inliers_are_expected() -> None:
    left = EACH[EACH[:, 0] < 300]
    assert evenness(left, left, SQUARE) == 1


def test_only_features_of_the_region_count() -> None:
    features = scattered(3000, 4, 0, 1800)
    inside = features[(features < 600).all(axis=1)]
    assert evenness(inside, features, SQUARE) == 1


def test_the_region_may_be_any_convex_polygon() -> None:
    diamond = np.array([[300.0, 0], [600, 300], [300, 600], [0, 300]])
    features = scattered(4000, 7)
    inside = np.abs(features - 300).sum(axis=1) < 300
    assert evenness(features[inside], features, diamond) == 1
    assert evenness(features[inside][:9], features, diamond) == evenness(
        features[inside][:9], features[inside], diamond
    )


def test_neither_place_nor_shape_of_the_region_matters() -> None:
    def elsewhere(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return points * [0.2, 3] + [700, 50]

    features = scattered(800, 8, -50, 650)
    picked = features[features[:, 0] < 200][::9]
    found = evenness(picked, features, SQUARE)
    assert 0 < found < 0.9
    assert evenness(elsewhere(picked), elsewhere(features), elsewhere(SQUARE)) == found


def test_the_border_belongs_to_the_region() -> None:
    around = np.array([[0.0, 50], [600, 50], [300, 0], [300, 600]])
    for region in (SQUARE, SQUARE[::-1]):
        assert (
            evenness(around, around, region) == evenness(around, np.concatenate([around, around + 900]), region) > 0.9
        )


def test_without_inliers_or_region_nothing_is_even() -> None:
    features = scattered(100, 5)
    assert evenness(features[:0], features, SQUARE) == 0
    assert evenness(features, features, np.empty((0, 2))) == 0
    assert evenness(features, features + 1000, SQUARE) == 0


def test_either_way_round_is_the_same() -> None:
    features = scattered(300, 6, -100, 700)
    picked = features[:30]
    assert evenness(picked, features, SQUARE) == evenness(picked, features, SQUARE[::-1])
