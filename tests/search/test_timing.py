from __future__ import annotations

import time

import pytest

from featmatch.search.timing import StageClock


def test_a_stage_takes_from_the_end_of_the_one_before_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 10.25, 10.75, 11.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    clock = StageClock()
    clock.ended("features")
    clock.ended("words")
    clock.ended("features")  # once more
    assert clock.times == {"features": 500.0, "words": 500.0}
