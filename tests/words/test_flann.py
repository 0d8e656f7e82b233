from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.words.flann import FlannIndex


def random_points(count: int, size: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).integers(0, 256, (count, size)).astype(np.float32)


def test_flann_finds_points_that_it_holds() -> None:
    points = random_points(500, 32, seed=1)
    found, squared = FlannIndex(points).nearest(points, 2, 512)
    assert found.shape == squared.shape == (500, 2)
    assert found.dtype == np.int32
    assert squared.dtype == np.float32
    assert np.mean(found[:, 0] == np.arange(500)) > 0.99
    assert squared[found[:, 0] == np.arange(500), 0].max() == 0
    expected = ((points - points[found[:, 1]]) ** 2).sum(axis=1)
    assert squared[:, 1] == pytest.approx(expected, rel=1e-5)


def test_two_builds_of_kd_trees_agree() -> None:
    points = random_points(2000, 32, seed=1)
    queries = random_points(300, 32, seed=2)
    one, other = (FlannIndex(points).nearest(queries, 3, 32)[0] for _ in range(2))
    assert np.array_equal(one, other)


def test_flann_of_no_queries() -> None:
    index = FlannIndex(random_points(50, 8, seed=1))
    found, squared = index.nearest(np.empty((0, 8), np.float32), 2, 32)
    assert found.shape == (0, 2)
    assert found.dtype == np.int32
    assert squared.shape == (0, 2)
    assert squared.dtype == np.float32


def test_flann_more_checks_find_nearer_points() -> None:
    points = random_points(3000, 64, seed=1)
    queries = random_points(200, 64, seed=2)
    index = FlannIndex(points)
    few, many = (index.nearest(queries, 1, checks)[1].mean() for checks in (4, 1024))
    assert many < few
