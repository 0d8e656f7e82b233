"""Tasks that other processes do, in any of them, more than once and late. This knows no engine.

A function that is called so has to come to the same however often it is called with the same arguments, by two
processes at a time, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featmatch.system.workers import Lost

_TRIES = 3  # of a task; one that ends its process each time would end all others in turn
_LATE_SECONDS = 600.0  # that the caller waits for one task, until another process is to do it too


class Calls(Protocol):
    """Calls that are under way."""

    def ended(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Those of some calls that have ended; the first of them is waited for so long."""

    def result(self, call: Any) -> Any:
        """What a call that has ended came to; a ``Lost``, where it failed."""

    def give_up(self, call: Any) -> None:
        """Let go of a call whose result is no longer wanted."""

    def now(self) -> float:
        """Seconds that only grow."""


class Workshop(Calls, Protocol):
    """Where tasks are done. What is begun first is done first, as far as there are processes."""

    def at_once(self) -> int:
        """How many tasks keep all processes busy."""

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Let a process call a function, which it knows by its name; return a call."""


@dataclass(eq=False)
class _Task:
    arguments: tuple[Any, ...]
    tries: int = _TRIES  # that are left
    calls: int = 0  # that are under way
    is_done: bool = False
    result: Any = None

    def end(self, result: Any) -> None:
        self.is_done, self.result = True, result


def done_in_order(
    workshop: Workshop,
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    *,
    late_seconds: float = _LATE_SECONDS,
) -> Generator[Any, None, None]:
    """Have tasks done, and yield what they come to, in their order.

    A task that is lost is done again. One that is waited for for long is done by another process, too, and the first
    result counts.

    Args:
        workshop: where they are done.
        function: what does one.
        tasks: its arguments; taken as they are needed.
        late_seconds: how long a task is waited for before another process is to do it, too.

    Yields:
        What the function returns; or a ``Lost``, where all tries failed.
    """
    doing = _Doing(workshop, function, late_seconds)
    waiting: deque[_Task] = deque()
    left = iter(tasks)
    try:
        while True:
            while len(waiting) < workshop.at_once() and (arguments := next(left, None)) is not None:
                waiting.append(_Task(arguments))
                doing.begin(waiting[-1])
            if not waiting:
                return
            doing.finish(waiting[0])
            yield waiting.popleft().result
    finally:
        doing.give_up()


class _Doing:
    """Tasks of one function that are under way."""

    def __init__(self, workshop: Workshop, function: Callable[..., Any], late_seconds: float) -> None:
        self._workshop = workshop
        self._function = function
        self._late_seconds = late_seconds
        self._calls: dict[Any, _Task] = {}

    def begin(self, task: _Task) -> None:
        task.tries -= 1
        task.calls += 1
        self._calls[self._workshop.begin(self._function, task.arguments)] = task

    def finish(self, task: _Task) -> None:
        """Wait until a task is done; others may be, meanwhile."""
        now, late = self._workshop.now, self._late_seconds
        since = now()
        while not task.is_done:
            for call in self._workshop.ended(list(self._calls), max(since + late - now(), 0)):
                self._take(call)
            if task.is_done or now() - since < late:
                continue
            if task.tries:
                self.begin(task)
                since = now()
            else:
                task.end(Lost(f"took more than {late:g} seconds, in each of {_TRIES} processes"))

    def _take(self, call: Any) -> None:
        task = self._calls.pop(call)
        task.calls -= 1
        result = self._workshop.result(call)
        if task.is_done:
            return  # another process was quicker
        if not isinstance(result, Lost):
            task.end(result)
        elif task.tries:
            self.begin(task)
        elif not task.calls:
            task.end(result)

    def give_up(self) -> None:
        """Let go of what is still under way."""
        for call in self._calls:
            self._workshop.give_up(call)
