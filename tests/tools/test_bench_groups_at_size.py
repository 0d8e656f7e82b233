from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featmatch.store.segment import MANY_FEATURES
from tests.grouping.made import pair
from tools.bench_groups_at_size import estimate, spread, table

NAMES = ("compare_s", "rest_s", "pairs", "compare_bytes", "rest_bytes", "hours")


def row(images: int, features: int, **figures: float) -> dict[str, Any]:
    return {"images": images, "features": features} | dict.fromkeys(NAMES, 1.0) | figures


def test_the_estimate_is_the_line_through_the_large_sizes() -> None:
    small = row(1000, 1000, compare_s=9.0)
    large = [
        row(size, MANY_FEATURES + size, compare_s=0.01 + size * 1e-8, rest_s=0.001, compare_bytes=50 + size)
        for size in (100_000, 200_000, 300_000)
    ]
    million = estimate([small, *large], 1_000_000, 2)
    assert million["compare_s"] == pytest.approx(0.02)
    assert million["rest_s"] == pytest.approx(0.001)
    assert million["compare_bytes"] == pytest.approx(1_000_050)
    assert million["hours"] == pytest.approx(0.021 * 1_000_000 / 2 / 3600)
    falling = [row(size, MANY_FEATURES + size, compare_s=1 / size) for size in (100_000, 200_000)]
    assert estimate(falling, 1_000_000, 2)["compare_s"] == 1 / 200_000
    assert table([small, million]).splitlines()[0] == "|  | 1,000 | 1,000,000 (estimated) |"


def test_pairs_of_a_block_are_spread_over_its_part() -> None:
    found = spread([pair(12, 15, np.eye(3))], list(range(10, 40)), 10, 30)
    assert [one.key for one in found] == [(12, 15), (22, 25), (32, 35)]
