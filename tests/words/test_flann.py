from __future__ import annotations

from typing import Any

import cv2
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


def test_trees_are_those_that_indexes_were_made_with() -> None:
    """Other trees find other words, where not all leaves are looked at."""
    points, queries = random_points(2000, 32, seed=1), random_points(300, 32, seed=2)
    opencv: Any = cv2
    index = opencv.flann_Index()
    cv2.setRNGSeed(20120924)
    index.build(points, {"algorithm": 1, "trees": 4})
    expected, squared = index.knnSearch(queries, 2, params={"checks": 8})
    cv2.setRNGSeed(1)
    found = FlannIndex(points).nearest(queries, 2, 8)
    assert np.array_equal(found[0], expected)
    assert np.array_equal(found[1], squared)


def test_points_may_be_of_any_layout_and_queries_too() -> None:
    points, queries = random_points(500, 32, seed=1), random_points(40, 32, seed=2)
    plain = FlannIndex(points).nearest(queries, 1, 32)
    turned = FlannIndex(np.asfortranarray(points)).nearest(np.asfortranarray(queries), 1, 32)
    assert np.array_equal(plain[0], turned[0])


@pytest.mark.parametrize("count", [7, 8, 9, 10])
def test_all_of_few_points_are_found(count: int) -> None:
    """The trees themselves lose some of ten, of every tenth picture or so."""
    for seed in range(20):
        points = random_points(count, 128, seed)
        found, squared = FlannIndex(points).nearest(points, count, 128)
        assert np.array_equal(found[:, 0], np.arange(count))
        assert np.array_equal(np.sort(found, axis=1), np.tile(np.arange(count), (count, 1)))
        assert np.array_equal(squared, ((points[:, None] - points[found]) ** 2).sum(axis=2))
        assert (np.diff(squared, axis=1) >= 0).all()
        assert found.dtype == np.int32
        assert squared.dtype == np.float32


def test_of_points_at_one_distance_the_first_is_the_nearest() -> None:
    points = np.array([[4, 0], [0, 4], [9, 9]], np.float32)
    found, squared = FlannIndex(points).nearest(np.array([[2, 2], [9, 8]], np.float32), 2, 32)
    assert found.tolist() == [[0, 1], [2, 0]]
    assert squared.tolist() == [[8, 8], [1, 89]]
