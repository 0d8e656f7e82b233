"""Calls of other processes, whichever engine makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


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


class Transport(Calls, Protocol):
    """The way to the processes that answer for shards; results are bytes."""

    def send(self, shard: int, replica: int, message: bytes) -> Any:
        """Ask a replica; return a call."""


class Workshop(Calls, Protocol):
    """Where tasks are done. What is begun first is done first, as far as there are processes."""

    def at_once(self) -> int:
        """How many tasks keep all processes busy."""

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Let a process call a function, which it knows by its name; return a call."""
