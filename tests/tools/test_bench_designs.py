"""Photos that are written over."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.bench_designs import WAYS, written_over


@pytest.mark.parametrize("way", WAYS)
def test_words_lie_in_one_place_and_are_others_each_time(photos: dict[str, NDArray[np.uint8]], way: str) -> None:
    photo, random = photos["coffee"], np.random.default_rng(0)
    one, other = (written_over(photo, way, random) for _ in range(2))
    for changed in ((one != photo).any(axis=2), (one != other).any(axis=2)):
        rows = np.flatnonzero(changed.any(axis=1)) / len(photo)
        assert 0.001 < changed.mean() < 0.25
        assert rows.max() > 0.85
        assert (rows.min() < 0.15) == (way == "above and below")
        assert not ((rows > 0.2) & (rows < 0.75)).any()
