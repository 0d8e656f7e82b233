"""A host that is busy is left alone for as long as it asks, by all threads; and few requests are there at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from featmatch.images.addresses import FetchError, Fetching, _seconds_to_wait
from featmatch.images.polite import PoliteFetching, some_at_once
from tests.iiif_server import HOST, iiif_server


def test_a_busy_host_is_asked_again_when_it_says() -> None:
    with iiif_server() as server:
        server.files["/a"] = b"content"
        server.busy["/a"] = [(429, "7"), (503, None), (429, None)]
        polite = server.fetching()
        assert polite.fetch(f"{HOST}/a", 100) == b"content"
        assert server.slept == [7.0, 4.0, 8.0]
        assert polite.fetch(f"{HOST}/a", 100) == b"content"
        assert len(server.slept) == 3


def test_a_host_that_stays_busy_is_asked_no_more() -> None:
    with iiif_server() as server:
        server.files["/b"] = b"content"
        server.busy["/a"] = [(429, "1")] * 9
        polite = server.fetching()
        for path in ("/a", "/b"):
            with pytest.raises(FetchError, match="busy 5 times in a row"):
                polite.fetch(HOST.upper().replace("HTTP", "http") + path, 100)
        assert server.asked == ["/a"] * 5


def test_a_host_that_asks_for_long_is_left_alone_at_once() -> None:
    with iiif_server() as server:
        server.busy["/a"] = [(503, "3600")]
        polite = server.fetching()
        for _ in range(2):
            with pytest.raises(FetchError, match="3600 seconds"):
                polite.fetch(f"{HOST}/a", 100)
        assert (server.asked, server.slept) == (["/a"], [])


def test_addresses_of_any_script_are_escaped() -> None:
    with iiif_server() as server:
        server.files["/b%C3%BCch%201?a=%2F&b"] = b"content"
        assert server.fetching().fetch(f"{HOST}/büch 1?a=%2F&b", 100) == b"content"


def test_an_address_of_half_a_letter_is_refused() -> None:
    with pytest.raises(FetchError, match="refused"):
        PoliteFetching(Fetching(("public",), 1)).fetch(f"{HOST}/\ud800", 100)


def test_other_errors_are_not_tried_again_and_bounds_are_kept() -> None:
    with iiif_server() as server:
        server.files["/a"] = b"content"
        polite = server.fetching()
        for url, code in (
            (f"{HOST}/none", "fetch_failed"),
            (f"{HOST}/a", "body_too_large"),
            ("http://x/", "fetch_refused"),
        ):
            with pytest.raises(FetchError) as refused:
                polite.fetch(url, 6)
            assert refused.value.code == code
        assert server.asked == ["/none", "/a"]


def test_dates_of_return() -> None:
    soon = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=100), usegmt=True)
    assert 90 <= _seconds_to_wait(soon) <= 100
    assert [_seconds_to_wait(said) for said in ("nonsense", "", "-5", None, "Mon, 01 Jan 1990 00:00:00 GMT")] == [
        0.0
    ] * 5


def test_results_come_in_order_and_few_tasks_are_taken_ahead() -> None:
    taken: list[int] = []
    at_work: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def tasks() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        with lock:
            at_work.append(number)
            most.append(len(at_work))
        with lock:
            at_work.remove(number)
        return number * number

    found = some_at_once(work, tasks(), pytest.fail, 3)
    assert next(found) == (0, 0)
    assert len(taken) == 6
    assert list(found) == [(number, number * number) for number in range(1, 30)]
    assert max(most) <= 3


def test_what_is_left_over_is_given_up() -> None:
    started: list[int] = []
    given_up = threading.Event()

    def work(number: int) -> None:
        started.append(number)
        assert number == 0 or given_up.wait(30)

    found = some_at_once(work, iter(range(99)), given_up.set, 1)
    next(found)
    found.close()
    assert len(started) <= 2


def test_nobody_waits_for_a_host_any_more_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    polite = PoliteFetching(Fetching(("public",), 1))

    def busy(self: Fetching, url: str) -> bytes:
        asked.append(url)
        polite.stop()
        raise FetchError("fetch_failed", "busy", 100.0)

    monkeypatch.setattr(Fetching, "fetch", busy)
    for path in ("/a", "/b"):
        with pytest.raises(FetchError, match="stopped"):
            polite.fetch(HOST + path, 100)
    assert asked == [f"{HOST}/a"]
