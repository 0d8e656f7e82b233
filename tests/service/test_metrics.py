"""Numbers for Prometheus."""

from __future__ import annotations

from featmatch.service.metrics import Metrics


def test_each_server_counts_for_itself() -> None:
    one, other = Metrics(), Metrics()
    one.searched({"words": 30.0, "votes": 2.0})
    one.refused.labels("busy").inc()
    text = one.text().decode()
    assert 'featmatch_search_seconds_sum{stage="words"} 0.03' in text
    assert 'featmatch_refused_total{reason="busy"} 1.0' in text
    assert "featmatch_build_info{version=" in text
    assert "words" not in other.text().decode()
