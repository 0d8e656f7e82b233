"""Turns of searches, without any search."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from featmatch.service.problems import Problem
from featmatch.service.slots import ClientGoneError, Slots


class Gate:
    """Work that goes on when it may."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self._open = threading.Event()

    def work(self, name: str) -> Callable[[], str]:
        def run() -> str:
            self.order.append(name)
            assert self._open.wait(60)
            return name

        return run

    def open(self) -> None:
        self._open.set()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_so_many_run_so_many_wait_and_the_rest_is_refused() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 2, 60), Gate()
        tasks = [asyncio.create_task(slots.run(gate.work(name))) for name in "abc"]
        await until(lambda: slots.waiting == 2)
        assert slots.running == 1
        with pytest.raises(Problem) as refused:
            await slots.run(gate.work("d"))
        assert (refused.value.code, refused.value.retry_after) == ("busy", 1)
        slots.mean = 3.0
        with pytest.raises(Problem) as refused:
            await slots.run(gate.work("d"))
        assert refused.value.retry_after == 6
        gate.open()
        assert await asyncio.gather(*tasks) == ["a", "b", "c"]
        assert gate.order == ["a", "b", "c"]
        await until(lambda: slots.running == 0)
        assert await slots.run(lambda: "again") == "again"
        slots.close()

    run(scenario)


def test_a_key_uses_half_of_it_at_most() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 3, 60), Gate()
        tasks = [asyncio.create_task(slots.run(gate.work("a"), "greedy")) for _ in range(2)]
        await until(lambda: slots.waiting == 1)
        with pytest.raises(Problem) as refused:
            await slots.run(gate.work("a"), "greedy")
        assert (refused.value.code, refused.value.status) == ("key_busy", 429)
        other = asyncio.create_task(slots.run(gate.work("b"), "other"))
        gate.open()
        await asyncio.gather(*tasks, other)
        assert await slots.run(lambda: 1, "greedy") == 1
        slots.close()

    run(scenario)


def test_who_is_gone_waits_no_longer() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 2, 60), Gate()
        first = asyncio.create_task(slots.run(gate.work("a")))
        await until(lambda: slots.running == 1)
        left = asyncio.Event()

        async def gone() -> None:
            await left.wait()

        waiting = asyncio.create_task(slots.run(gate.work("b"), None, gone))
        last = asyncio.create_task(slots.run(gate.work("c")))
        await until(lambda: slots.waiting == 2)
        left.set()
        with pytest.raises(ClientGoneError):
            await waiting
        assert slots.waiting == 1
        gate.open()
        assert list(await asyncio.gather(first, last)) == ["a", "c"]
        assert gate.order == ["a", "c"]
        slots.close()

    run(scenario)


def test_a_turn_that_nobody_takes_goes_to_the_next() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 3, 60), Gate()
        first = asyncio.create_task(slots.run(gate.work("a")))
        await until(lambda: slots.running == 1)
        cancelled = asyncio.create_task(slots.run(gate.work("b")))
        last = asyncio.create_task(slots.run(gate.work("c")))
        await until(lambda: slots.waiting == 2)
        cancelled.cancel()
        gate.open()
        assert list(await asyncio.gather(first, last)) == ["a", "c"]
        await until(lambda: slots.running == 0)
        slots.close()

    run(scenario)


def test_a_search_that_takes_too_long_keeps_its_slot_until_it_ends() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 1, 0.01), Gate()
        with pytest.raises(Problem) as refused:
            await slots.run(gate.work("a"))
        assert refused.value.code == "busy"
        assert slots.running == 1
        gate.open()
        await until(lambda: slots.running == 0)
        slots.close()

    run(scenario)


def test_several_run_at_a_time_and_the_end_waits_for_all() -> None:
    async def scenario() -> None:
        slots, gate = Slots(2, 1, 60), Gate()
        tasks = [asyncio.create_task(slots.run(gate.work(name))) for name in "abc"]
        await until(lambda: len(gate.order) == 2)
        assert (slots.running, slots.waiting) == (2, 1)
        ending = asyncio.create_task(slots.drain(60))
        await asyncio.sleep(0)
        assert not ending.done()
        gate.open()
        await ending
        assert (slots.running, slots.waiting) == (0, 0)
        assert await asyncio.gather(*tasks) == ["a", "b", "c"]
        slots.close()

    run(scenario)


def test_the_end_waits_no_longer_than_it_may() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 1, 60), Gate()
        task = asyncio.create_task(slots.run(gate.work("a")))
        await until(lambda: slots.running == 1)
        await slots.drain(0.0)
        assert slots.running == 1
        gate.open()
        await task
        slots.close()

    run(scenario)


def test_a_key_may_always_have_one_search() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 0, 60), Gate()
        task = asyncio.create_task(slots.run(gate.work("a"), "me"))
        await until(lambda: slots.running == 1)
        with pytest.raises(Problem) as refused:
            await slots.run(gate.work("b"), "me")
        assert refused.value.code == "key_busy"
        gate.open()
        assert await task == "a"
        slots.close()

    run(scenario)


def test_what_goes_wrong_frees_the_slot() -> None:
    async def scenario() -> None:
        slots = Slots(1, 0, 60)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await slots.run(lambda: 1 // 0)
        await slots.drain(60)
        assert slots.running == 0
        slots.close()

    run(scenario)


def test_a_search_that_is_done_at_once_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop, slots = asyncio.get_running_loop(), Slots(1, 0, 60)

        def done(_: object, function: Callable[[], object]) -> asyncio.Future[object]:
            future = loop.create_future()
            future.set_result(function())
            return future

        monkeypatch.setattr(loop, "run_in_executor", done)  # as Python 3.14 does where the thread was quick
        assert [await slots.run(make) for make in (list, dict, int)] == [[], {}, 0]
        slots.close()

    run(scenario)


def test_nobody_waits_for_a_turn_for_ever() -> None:
    async def scenario() -> None:
        slots, gate = Slots(1, 2, 0.05), Gate()
        first = asyncio.create_task(slots.run(gate.work("a")))
        await until(lambda: slots.running == 1)
        with pytest.raises(Problem, match="not this request's turn"):
            await slots.run(gate.work("b"))
        assert slots.waiting == 0
        gate.open()
        with pytest.raises(Problem, match="took more than"):
            await first
        await until(lambda: slots.running == 0)
        assert gate.order == ["a"]
        slots.close()

    run(scenario)
