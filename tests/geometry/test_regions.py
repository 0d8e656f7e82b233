from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.regions import evenness, polygon_area

SQUARE = np.array([[0.0, 0], [600, 0], [600, 600], [0, 600]])


def scattered(count: int, seed: int, low: float = 0, high: float = 600) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(low, high, (count, 2))


def test_the_area_of_a_polygon() -> None:
    assert polygon_area(SQUARE) == 360_000
    assert polygon_area(SQUARE[:3]) == 180_000


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


def test_only_features_of_the_region_count() -> None:
    features = scattered(3000, 4, 0, 1800)
    inside = features[(features < 600).all(axis=1)]
    assert evenness(inside, features, SQUARE) == 1


def test_without_inliers_or_region_nothing_is_even() -> None:
    features = scattered(100, 5)
    assert evenness(features[:0], features, SQUARE) == 0
    assert evenness(features, features, np.empty((0, 2))) == 0


def test_either_way_round_is_the_same() -> None:
    features = scattered(300, 6, -100, 700)
    picked = features[:30]
    assert evenness(picked, features, SQUARE) == evenness(picked, features, SQUARE[::-1])
