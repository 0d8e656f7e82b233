"""Shards that several processes answer for: whoever is slow or gone is gone round. This knows no engine.

A request goes to one replica of a shard. If that fails, or has not answered for a while, it goes to another one too,
and the first answer counts: requests may be answered twice. The time-out is our own, since an engine may take a minute
to see that a machine cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple, Protocol

from featmatch.cluster.tasks import Calls
from featmatch.errors import StoreError
from featmatch.search.messages import answers_of, request_bytes
from featmatch.search.shards import StaleError
from featmatch.store.numbers import Numbering
from featmatch.store.open_catalog import Stamp
from featmatch.system.workers import Lost

_TRIES = 2  # of each replica, as one that begins anew may answer the second time
_DOWN_SECONDS = 5.0  # that a replica which failed, or a machine which did not answer, is asked last
_CHANGED = "changed while it was asked"


@dataclass(frozen=True)
class Patience:
    """How long answers are waited for, in seconds."""

    hedge: float = 1.0  # until another replica is asked, too; about twice what 95 of 100 answers take
    all: float = 20.0  # until a shard counts as missing


class Transport(Calls, Protocol):
    """The way to the processes that answer for shards; results are bytes."""

    def send(self, shard: int, replica: int, message: bytes) -> Any:
        """Ask a replica; return a call."""

    def machine(self, shard: int, replica: int) -> Hashable:
        """Where a replica is: others that are there, too, cannot be reached either if it cannot."""


class _Call(NamedTuple):
    shard: int
    replica: int


@dataclass
class ReplicatedShards:
    """The way to ask shards of which each has several replicas. Safe to share between threads.

    Attributes:
        transport: to the replicas.
        replicas: how many each shard has.
        names: what the shards are called.
        numbering: how their images are numbered among all.
        patience: how long answers are waited for.
    """

    transport: Transport
    replicas: int
    names: Sequence[str | None]
    numbering: Numbering
    patience: Patience = Patience()
    _turns: Iterator[int] = field(default_factory=count)
    _turn: int = 0  # of this search: all of it is asked of the same replicas, which keep what they have found
    _states: dict[int, Stamp] = field(default_factory=dict)  # in which shards have answered this search
    _again: bool = False
    _down: dict[Hashable, float] = field(default_factory=dict)  # replicas and machines, until when they are asked last

    @property
    def have_verdicts(self) -> bool:
        """Whether users may have judged a pair: the shards know."""
        return True

    def begun(self, *, again: bool = False) -> ReplicatedShards:
        """The way for another search, which no state binds yet."""
        return replace(self, _states={}, _again=again, _turn=next(self._turns))

    def send(self, requests: Mapping[int, Sequence[Any]]) -> Callable[[], dict[int, Any]]:
        """Ask shards; what waits for the answers of each to all that it is asked, or for why there are none.

        Waiting raises StaleError where a shard has left the state in which it answered this search before. Asked
        ``again``, that is a reason why there are none.
        """
        return _Round(self, requests).answers

    def state(self, shard: int) -> Stamp:
        """The state in which a shard has answered this search; nothing: it has not yet."""
        return self._states.get(shard, ())

    def answered(self, shard: int, state: Stamp) -> None:
        """Bind this search to a state of a shard."""
        self._states[shard] = state

    def left(self, shard: int) -> Lost:
        """What a shard comes to that no replica has in the state of this search."""
        if not self._again:
            raise StaleError(f"{self.names[shard]} {_CHANGED}")
        return Lost(_CHANGED)

    def order(self, shard: int) -> list[int]:
        """The replicas of a shard, in the order in which this search asks them; last are those that failed."""
        turned = [(self._turn + place) % self.replicas for place in range(self.replicas)]
        now = self.transport.now()

        def troubles(replica: int) -> int:
            places = [("replica", shard, replica), ("machine", self.transport.machine(shard, replica))]
            return sum(self._down.get(place, now) > now for place in places)

        return sorted(turned, key=troubles)

    def failed(self, shard: int, replica: int) -> None:
        """Ask a replica last for a while."""
        self._down["replica", shard, replica] = self.transport.now() + _DOWN_SECONDS

    def late(self, shard: int, replica: int) -> None:
        """Ask a replica last for a while, and all that are on its machine: it may be this that cannot be reached.

        Else a search would wait for each of them in turn, as it asks for one thing after another.
        """
        self.failed(shard, replica)
        self._down["machine", self.transport.machine(shard, replica)] = self.transport.now() + _DOWN_SECONDS


class _Round:
    """The requests of one stage of a search, each to another shard."""

    def __init__(self, shards: ReplicatedShards, requests: Mapping[int, Sequence[Any]]) -> None:
        self._shards = shards
        self._transport = shards.transport
        self._requests = requests
        self._messages = {shard: request_bytes(own, shards.state(shard)) for shard, own in requests.items()}
        self._left = {shard: _TRIES * shards.order(shard) for shard in requests}  # replicas that may still be asked
        self._pending: dict[Any, _Call] = {}
        self._asked_at: dict[int, float] = {}  # when each shard was asked last
        self._answers: dict[int, Any] = {}
        self._reasons: dict[int, str] = {}
        self._changed: set[int] = set()  # shards of which a replica has left the state that is meant
        for shard in requests:
            self._send(shard)

    def answers(self) -> dict[int, Any]:
        """Wait for them. Nobody is late while nobody waits."""
        now, patience = self._transport.now, self._shards.patience
        end = now() + patience.all
        self._asked_at = dict.fromkeys(self._asked_at, now())
        while self._pending and now() < end:
            hedges = [at + patience.hedge for shard, at in self._asked_at.items() if self._left[shard]]
            for call in self._transport.ended(list(self._pending), max(min([end, *hedges]) - now(), 0)):
                self._take(call)
            self._hedge()
        for call in list(self._pending):
            self._let_go(call)
        return {shard: self._answer(shard) for shard in self._requests}

    def _answer(self, shard: int) -> Any:
        """What a shard answered, or why it did not."""
        if shard in self._answers:
            return self._answers[shard]
        if shard in self._changed:
            return self._shards.left(shard)
        late = f"did not answer within {self._shards.patience.all:g} seconds"
        return Lost(self._reasons.get(shard, late))

    def _send(self, shard: int) -> None:
        """Ask the next replica of a shard, if there is one."""
        if self._left[shard]:
            replica = self._left[shard].pop(0)
            call = self._transport.send(shard, replica, self._messages[shard])
            self._pending[call] = _Call(shard, replica)
            self._asked_at[shard] = self._transport.now()

    def _take(self, ended: Any) -> None:
        """Read what a call came to."""
        if ended not in self._pending:
            return  # another replica was quicker
        shard, replica = self._pending.pop(ended)
        result = self._transport.result(ended)
        if not isinstance(result, Lost):
            try:
                state, answers = answers_of(self._requests[shard], result)
            except StoreError as error:
                result = Lost(str(error))
        if isinstance(result, Lost):
            self._shards.failed(shard, replica)
            self._reasons[shard] = result.reason
            self._send(shard)
        elif answers is None:
            self._changed.add(shard)
            self._send(shard)
        else:
            self._shards.answered(shard, state)
            self._answers[shard] = answers
            self._asked_at.pop(shard)
            for call in [call for call, other in self._pending.items() if other.shard == shard]:
                self._let_go(call)

    def _hedge(self) -> None:
        """Ask another replica, where the last one has taken long."""
        for shard, at in list(self._asked_at.items()):
            if self._left[shard] and self._transport.now() - at >= self._shards.patience.hedge:
                for waiting in [call for call in self._pending.values() if call.shard == shard]:
                    self._shards.late(*waiting)
                self._send(shard)

    def _let_go(self, call: Any) -> None:
        self._pending.pop(call)
        self._transport.give_up(call)
