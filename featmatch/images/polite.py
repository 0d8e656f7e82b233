"""Many things from a few hosts: not many at once, and as late as a host asks for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

from featmatch.images.addresses import FetchError, Fetching

Task = TypeVar("Task")
Result = TypeVar("Result")

AT_ONCE = 4  # requests
_AS_IT_IS = "%/:?#[]@!$&'()*+,;=~"
_TRIES = 5
_FIRST_WAIT = 2.0  # seconds, where a busy host does not say when; twice as long after each try
_LONGEST_WAIT = 120.0  # seconds; a host that asks for more is asked no more


class PoliteFetching:
    """Fetches from any thread. A host that is busy is left alone by all of them for as long as it asks."""

    def __init__(
        self,
        fetching: Fetching,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Fetch by some rules.

        Args:
            fetching: what may be fetched.
            now: seconds, of a clock that never goes back.
            sleep: waits so many seconds; None: as long as nobody says ``stop``.
        """
        self._stopped = threading.Event()
        self._fetching = fetching
        self._now = now
        self._sleep = sleep or self._stopped.wait
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}
        self._closed: dict[str, str] = {}  # hosts that are asked no more, and why

    def fetch(self, url: str, most_bytes: int) -> bytes:
        """The content at an address.

        Raises:
            FetchError: as ``Fetching.fetch``; also if it has more bytes than this, or the host stays busy.
        """
        try:
            address = quote(url, safe=_AS_IT_IS)  # manifests have addresses with letters of any script
        except UnicodeEncodeError as error:  # JSON can say what is no letter
            raise FetchError("fetch_refused") from error
        fetching = replace(self._fetching, most_bytes=most_bytes)
        host = "".join(url.lower().split("/", maxsplit=3)[2:3])
        for attempt in range(_TRIES):
            self._wait(host)
            try:
                return fetching.fetch(address)
            except FetchError as error:
                if error.wait is None:
                    raise
                self._hold(host, error.wait or _FIRST_WAIT * 2**attempt)
        raise self._close(host, f"it was busy {_TRIES} times in a row; add again later")

    def stop(self) -> None:
        """Wait for no host any more, and begin no request; those that are at work go on to their ends."""
        self._stopped.set()

    def _wait(self, host: str) -> None:
        with self._lock:
            if host in self._closed:
                raise FetchError("fetch_failed", self._closed[host])
            seconds = self._not_before.get(host, 0.0) - self._now()
        if seconds > 0:
            self._sleep(seconds)
        if self._stopped.is_set():
            raise FetchError("fetch_failed", "it was stopped")

    def _hold(self, host: str, seconds: float) -> None:
        if seconds > _LONGEST_WAIT:
            raise self._close(host, f"it asks to come again in {seconds:.0f} seconds; add again then")
        with self._lock:
            self._not_before[host] = max(self._not_before.get(host, 0.0), self._now() + seconds)

    def _close(self, host: str, why: str) -> FetchError:
        with self._lock:
            self._closed[host] = why
        return FetchError("fetch_failed", why)


def some_at_once(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    give_up: Callable[[], None],
    at_once: int = AT_ONCE,
) -> Generator[tuple[Task, Result], None, None]:
    """Call a function with each task, some of them at once; each task with its result, in order.

    Tasks are taken no further ahead than twice as many as are at work.

    Args:
        function: is called by several threads.
        tasks: are taken by this one.
        give_up: is called if results are wanted no more; the function is to end soon then.
        at_once: how many are at work.
    """
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(at_once)
    try:
        for task in tasks:
            waiting.append((task, pool.submit(function, task)))
            if len(waiting) == 2 * at_once:
                first, result = waiting.popleft()
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
    except BaseException:
        give_up()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
