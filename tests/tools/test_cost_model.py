"""The cost model multiplies what it is told."""

from __future__ import annotations

import pytest

from tools.cost_model import Costs, main, size_of


def test_a_million_images_are_what_was_measured() -> None:
    found = size_of(1e6, Costs(cores=2, replicas=1, picture_bytes=0))
    assert found.index_gb == pytest.approx(9.4, abs=0.1)
    assert (found.shards, found.machines) == (1, 1)
    assert found.latency_ms == pytest.approx((28 + 3) / 2 + 25 + 2)


def test_features_on_both_sides_count() -> None:
    few, many = (size_of(1e7, Costs(features=count, query_features=count, latency_ms=1e9)) for count in (500, 4000))
    fixed = (25 + 2 * (few.shards - 1) + 10 * 3) / 1e3
    assert (many.core_seconds - fixed) / (few.core_seconds - fixed) == pytest.approx(64)


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"memory_gb": 4.0}, "memory"), ({"queries_a_second": 500.0}, "load"), ({"latency_ms": 40.0}, "latency"),
        ({"latency_ms": 1e9, "memory_gb": 1e4}, "replicas"),
    ],
)  # fmt: skip
def test_what_is_scarce_decides(changes: dict[str, float], bound: str) -> None:
    found = size_of(2e7, Costs(**changes))
    assert found.bound == bound
    more = size_of(4e7, Costs(**changes))
    assert more.machines >= found.machines
    assert more.a_month == more.machines * 730


def test_the_table_has_a_column_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--images", "1e6", "1e9", "--replicas", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| images | 1,000,000 | 1,000,000,000 |"
    assert all(line.count("|") == 4 for line in lines)
