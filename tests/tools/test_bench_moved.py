"""Photos in which one place was copied over another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.bench_moved import moved_within


def test_one_place_is_copied_over_another_that_looks_different(photos: dict[str, NDArray[np.uint8]]) -> None:
    photo = photos["coffee"]
    moved = moved_within(photo, 0.2, np.random.default_rng(0))
    assert moved is not None
    left, top, right, bottom = moved.change
    assert (right - left, bottom - top) == (80, 80)
    changed = (moved.picture != photo).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.mean() > 0.02
    assert (top <= rows.min(), rows.max() < bottom, left <= columns.min(), columns.max() < right) == (True,) * 4
    patch = moved.picture[top:bottom, left:right]
    windows = np.lib.stride_tricks.sliding_window_view(photo[..., 0], (80, 80))
    assert (windows[:, :, ::40, ::40] == patch[::40, ::40, 0]).all(axis=(2, 3)).any()


def test_a_blank_photo_has_no_two_places_that_differ() -> None:
    assert moved_within(np.full((90, 90, 3), 128, np.uint8), 0.2, np.random.default_rng(0)) is None
