from __future__ import annotations

import numpy as np
import pytest

from featmatch.store.postings import quantised, restored


@pytest.mark.parametrize("long_side", [17, 640, 5001, 60_000])
def test_features_are_restored_within_the_step_of_quantisation(long_side: int) -> None:
    random = np.random.default_rng(long_side)
    keypoints = random.uniform(0, long_side - 1, (501, 2)).astype(np.float32)
    angles = random.uniform(0, 2 * np.pi, 501).astype(np.float32)
    sizes = np.exp2(random.uniform(0, 15, 501)).astype(np.float32)
    postings = quantised(keypoints, angles, sizes, np.zeros(501, np.uint64), long_side)
    points, turned, octaves = restored(postings, np.arange(501), np.full(501, long_side, np.int32))
    np.testing.assert_allclose(points, keypoints, rtol=0, atol=0.51 * long_side / 65_535 + 1e-3)
    off = np.abs((turned - angles + np.pi) % (2 * np.pi) - np.pi)
    assert off.max() <= np.pi / 256 + 1e-5
    np.testing.assert_allclose(octaves, np.log2(sizes), rtol=0, atol=1 / 32 + 1e-5)


def test_an_angle_just_below_a_full_turn_becomes_none() -> None:
    angles = np.array([0, 2 * np.pi - 1e-4, 2 * np.pi], np.float32)
    postings = quantised(np.zeros((3, 2), np.float32), angles, np.ones(3, np.float32), np.zeros(3, np.uint64), 100)
    assert postings.angle.tolist() == [0, 0, 0]
    assert postings.image.tolist() == [0, 0, 0]


def test_what_is_out_of_range_is_clipped() -> None:
    keypoints = np.array([[-0.5, 0], [99.5, 200]], np.float32)
    sizes = np.array([0.01, 1e9], np.float32)
    postings = quantised(keypoints, np.zeros(2, np.float32), sizes, np.zeros(2, np.uint64), 100)
    assert postings.x[0] == 0
    assert postings.y[1] == 65_535
    assert postings.size.tolist() == [0, 255]
