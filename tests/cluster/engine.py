"""Replicas in this process, some of which are slow, lost or wrong. Time passes only while somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featmatch.cluster.replica import Replica
from featmatch.errors import StoreError
from featmatch.system.workers import Lost

Fault = float | Lost | bytes | str | None


@dataclass
class Engine:
    """A transport.

    Attributes:
        replicas: by shard; those of one shard are the same here.
        fault: what becomes of a call, by the shard, the replica and how many calls there were before: it takes so many
            seconds, or is lost, or other bytes come; None: it is answered at once.
        machine: where a replica of a shard is.
    """

    replicas: Sequence[Replica]
    fault: Callable[[int, int, int], Fault] = lambda *_: None
    machine: Callable[[int, int], Hashable] = lambda *place: place
    time: float = 0.0
    calls: list[tuple[int, int]] = field(default_factory=list)
    results: dict[int, tuple[float, bytes | Lost]] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, folders: Sequence[Path], root: Path) -> Engine:
        return cls([Replica(str(folder), str(root)) for folder in folders])

    def send(self, shard: int, replica: int, message: bytes) -> int:
        number, fault = len(self.calls), self.fault(shard, replica, len(self.calls))
        self.calls.append((shard, replica))
        if isinstance(fault, (Lost, bytes)):
            self.results[number] = self.time, fault
            return number
        try:
            answer: bytes | Lost = self.replicas[shard].answer(message)
        except StoreError as error:
            answer = Lost(str(error))
        self.results[number] = self.time + (fault if isinstance(fault, float) else 0.0), answer
        return number

    def ended(self, calls: Sequence[Any], seconds: float) -> list[int]:
        first = min(self.results[call][0] for call in calls)
        self.time = min(max(first, self.time), self.time + seconds)
        return [call for call in calls if self.results[call][0] <= self.time]

    def result(self, call: int) -> bytes | Lost:
        assert self.results[call][0] <= self.time
        return self.results[call][1]

    def give_up(self, call: int) -> None:
        self.given_up.append(call)

    def now(self) -> float:
        return self.time


@dataclass
class Workplace:
    """A workshop whose processes are this one. Time passes only while somebody waits.

    Attributes:
        fault: what becomes of a call, by how many there were before: it takes so many seconds, or is lost before it is
            done, or its result is, after it was done (a text, which says why); None: it is done at once.
        places: calls that are begun before the first result is taken.
    """

    fault: Callable[[int], Fault] = lambda _: None
    places: int = 3
    time: float = 0.0
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = field(default_factory=list)
    ends: dict[int, float] = field(default_factory=dict)

    def at_once(self) -> int:
        return self.places

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
        number = len(self.calls)
        self.calls.append((function, arguments))
        fault = self.fault(number)
        self.ends[number] = self.time + (fault if isinstance(fault, float) else 0.0)
        return number

    def ended(self, calls: Sequence[Any], seconds: float) -> list[int]:
        first = min(self.ends[call] for call in calls)
        self.time = min(max(first, self.time), self.time + seconds)
        return [call for call in reversed(calls) if self.ends[call] <= self.time]

    def result(self, call: int) -> Any:
        assert self.ends.pop(call) <= self.time
        fault = self.fault(call)
        if isinstance(fault, Lost):
            return fault
        result = self._done(call)
        return Lost(fault) if isinstance(fault, str) else result

    def give_up(self, call: int) -> None:
        """Its process does it all the same."""
        del self.ends[call]
        self._done(call)

    def _done(self, call: int) -> Any:
        function, arguments = self.calls[call]
        try:
            return function(*arguments)
        except Exception as error:
            return Lost(str(error))

    def now(self) -> float:
        return self.time
