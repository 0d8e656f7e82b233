from __future__ import annotations

import time

import pytest

from featmatch.search.timing import StageClock


def test_a_stage_takes_from_the_end_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 10.25, 10.75])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    clock = StageClock()
    clock.ended("features")
    clock.ended("words")
    assert clock.times == {"features": 250.0, "words": 500.0}
