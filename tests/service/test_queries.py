"""Queries that are kept for a while."""

from __future__ import annotations

import pytest

from featmatch.service import queries
from featmatch.service.problems import Problem
from featmatch.service.queries import Queries, Query


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def code_of(kept: Queries, number: str) -> str:
    with pytest.raises(Problem) as refused:
        kept.get(number)
    return refused.value.code


def test_a_query_is_kept_for_its_time() -> None:
    clock = Clock()
    kept = Queries(clock)
    number = kept.keep(Query(b"picture", "a.jpg"))
    assert number.startswith("q_")
    clock.now = queries.MOST_SECONDS
    assert kept.get(number).source == b"picture"
    clock.now += 1
    assert code_of(kept, number) == "query_expired"
    assert code_of(kept, "q_other") == "no_such_query"


def test_the_oldest_make_room() -> None:
    kept = Queries()
    numbers = [kept.keep(Query(b"x", str(number))) for number in range(queries.MOST_QUERIES + 2)]
    assert [code_of(kept, number) for number in numbers[:2]] == ["query_expired"] * 2
    assert kept.get(numbers[2]).name == "2"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_BYTES", 10)
    kept = Queries()
    first, second = (kept.keep(Query(b"123456", name)) for name in "ab")
    assert code_of(kept, first) == "query_expired"
    assert kept.get(second).name == "b"
    third = kept.keep(Query(b"1234", "c"))
    assert [kept.get(number).name for number in (second, third)] == ["b", "c"]
