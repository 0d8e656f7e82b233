"""A picture through a linear map, against places that the test makes."""

from __future__ import annotations

import numpy as np

from featmatch.features.mapped import mapped
from featmatch.geometry.maps import project


def test_all_of_a_picture_is_there_and_the_map_leads_back() -> None:
    pixels = np.full((30, 50), 200, np.uint8)
    pixels[8:11, 20:23] = 0
    linear = np.array([[1.2, -0.5], [0.4, 0.9]])
    seen = mapped(pixels, linear)
    assert np.allclose(np.linalg.inv(seen.back)[:2, :2], linear)
    y, x = np.nonzero(seen.is_seen & (seen.pixels < 100))
    (middle,) = project(seen.back, np.array([[x.mean(), y.mean()]]))
    assert np.abs(middle - [21, 9]).max() < 0.5
    assert abs(seen.is_seen.sum() - 30 * 50 * np.linalg.det(linear)) < 60
    assert (seen.pixels[~seen.is_seen] == 0).all()
    assert seen.is_seen[0].any() and seen.is_seen[:, 0].any() and seen.is_seen[-1].any() and seen.is_seen[:, -1].any()
