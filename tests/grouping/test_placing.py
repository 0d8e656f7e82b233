from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from featmatch.geometry.maps import Matrix
from featmatch.grouping.placing import ImageSize, Placed, shares
from tests.grouping.made import scaled, turned


def placed(matrix: Matrix | None, *, probability: float = 0.9, inliers: int = 30, **facts: bool) -> Placed:
    return Placed(matrix, facts.pop("mirrored", False), facts.pop("negative", False), probability, inliers, **facts)


def test_placements_are_chained_and_turned_back() -> None:
    first, second = placed(scaled(2, 5), mirrored=True), placed(scaled(3, 0, 7), probability=0.5, inliers=9)
    both = first.then(second)
    assert both.homography is not None
    np.testing.assert_array_equal(both.homography @ [1, 1, 1], [21, 13, 1])  # first times 2, then times 3
    assert (both.mirrored, both.negative, both.probability, both.inliers, both.holder) == (True, False, 0.45, 9, False)
    assert not first.then(first).mirrored
    assert second.then(placed(None, negative=True)).homography is None
    assert placed(None).then(second).homography is None
    assert second.then(placed(np.eye(3), negative=True)).negative
    for chain in (placed(np.eye(3), holder=True).then(first), first.then(placed(np.eye(3), holder=True))):
        assert chain.holder
    back = dataclasses.replace(first, holder=True, negative=True).back()
    assert back.homography is not None
    np.testing.assert_allclose(back.homography @ scaled(2, 5), np.eye(3))
    assert (back.mirrored, back.negative, back.probability, back.inliers, back.holder) == (True, True, 0.9, 30, True)
    assert placed(None).back().homography is None


def test_shares_are_of_the_area_that_both_show() -> None:
    small, large = ImageSize(100, 50, ""), ImageSize(400, 300, "")
    assert shares(np.eye(3), small, large) == pytest.approx((1, 5_000 / 120_000))
    assert shares(np.eye(3), large, small) == pytest.approx((5_000 / 120_000, 1))
    assert shares(scaled(2, 300.5, 0.5), small, large) == pytest.approx((0.5, 10_000 / 120_000))
    assert shares(turned(180), large, large) == pytest.approx((1, 1))
    assert shares(scaled(1, 400), small, large) is None
    assert shares(scaled(0), small, large) is None
