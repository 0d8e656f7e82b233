"""How many searches run at a time, how many may wait, and how much of that one key may use."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from featmatch.service.problems import Problem

Result = TypeVar("Result")

_WEIGHT = 0.1  # of the newest search in the mean of their times
_FIRST_MEAN = 0.5  # seconds, until there was any


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Slots:
    """Threads for searches, and a queue before them. Used by one event loop.

    Attributes:
        running: searches under way.
        waiting: requests in the queue.
        mean: of the time that searches take, seconds.
    """

    def __init__(self, slots: int, queue: int, seconds: float) -> None:
        """Make them.

        Args:
            slots: searches at a time.
            queue: requests that may wait for one to end.
            seconds: after which nobody waits for a search any more.
        """
        self._slots = slots
        self._queue = queue
        self._seconds = seconds
        self._share = max((slots + queue) // 2, 1)
        self._threads = ThreadPoolExecutor(slots, "search")
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._of_key: Counter[str] = Counter()
        self.running = 0
        self.mean = _FIRST_MEAN

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiters)

    async def run(
        self, function: Callable[[], Result], key: str | None = None, gone: Callable[[], Awaitable[None]] | None = None
    ) -> Result:
        """Call a function in one of the threads, when it is this request's turn.

        Args:
            function: does the work.
            key: the name of whose share this uses; None: nobody's.
            gone: returns when the client is gone; it is awaited while the request waits, and dropped afterwards.

        Raises:
            Problem: there is no room ("busy"), the key uses its share ("key_busy"), or it took too long ("busy").
            ClientGoneError: the client went while it waited.
        """
        with self._counted(key):
            await self._turn(gone)
            began = time.monotonic()
            future = asyncio.get_running_loop().run_in_executor(self._threads, function)
            future.add_done_callback(_look_at)
            future.add_done_callback(lambda _: self._ended(time.monotonic() - began))
            try:
                await asyncio.sleep(0)  # with Python 3.14 it may be done already, and would go on before that is called
                return await asyncio.wait_for(asyncio.shield(future), self._seconds)
            except (TimeoutError, asyncio.TimeoutError) as error:
                raise self._busy(f"the search took more than {self._seconds:g} seconds") from error

    async def drain(self, seconds: float) -> None:
        """Wait for the searches to end, but no longer than this."""
        last = time.monotonic() + seconds
        while (self.running or self._waiters) and time.monotonic() < last:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def _counted(self, key: str | None) -> Iterator[None]:
        if key is not None:
            if self._of_key[key] >= self._share:
                raise Problem("key_busy", retry_after=self._retry_after())
            self._of_key[key] += 1
        try:
            yield
        finally:
            if key is not None:
                self._of_key[key] -= 1

    async def _turn(self, gone: Callable[[], Awaitable[None]] | None) -> None:
        if self.running < self._slots and not self._waiters:
            self.running += 1
            return
        if len(self._waiters) >= self._queue:
            raise self._busy("all searches are under way, and as many wait as may")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        left = asyncio.ensure_future(gone()) if gone is not None else None
        try:
            awaited = {turn} if left is None else {turn, left}
            await asyncio.wait(awaited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            self._give_up(turn)
            raise
        finally:
            if left is not None:
                left.cancel()
        if not turn.done():
            self._give_up(turn)
            if left is None or not left.done():
                raise self._busy(f"it was not this request's turn for {self._seconds:g} seconds")
            raise ClientGoneError

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn in self._waiters:
            self._waiters.remove(turn)
        elif turn.done():
            self._pass_on()

    def _ended(self, seconds: float) -> None:
        self.mean += _WEIGHT * (seconds - self.mean)
        self._pass_on()

    def _pass_on(self) -> None:
        if self._waiters:
            self._waiters.popleft().set_result(None)
        else:
            self.running -= 1

    def _retry_after(self) -> int:
        return max(math.ceil(self.mean * (len(self._waiters) or 1) / self._slots), 1)

    def _busy(self, detail: str) -> Problem:
        return Problem("busy", detail, retry_after=self._retry_after())


def _look_at(future: asyncio.Future[Any]) -> None:
    """An error of a search that nobody waits for is no news to the event loop."""
    if not future.cancelled():
        future.exception()
