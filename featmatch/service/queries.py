"""Queries that were answered, kept in memory for a while: their pictures and proofs can be asked for again."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from featmatch.proof.proof import Proof
from featmatch.service.problems import Problem

MOST_QUERIES = 64
MOST_SECONDS = 15 * 60.0
MOST_BYTES = 256 << 20
_REMEMBERED = 1000  # ids of queries that are no longer kept


@dataclass(frozen=True)
class Query:
    """A picture that was looked up.

    Attributes:
        source: the bytes of its file, or the path of a file of the collection.
        name: what the answer called it.
        proofs: of each image that the answer named, by its number.
    """

    source: bytes | str
    name: str
    proofs: Mapping[int, Proof] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return len(self.source)


class Queries:
    """The newest queries. Used by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Query]] = OrderedDict()
        self._bytes = 0
        self._expired: deque[str] = deque(maxlen=_REMEMBERED)

    def keep(self, query: Query) -> str:
        """Keep a query; return the id by which it is asked for."""
        number = "q_" + secrets.token_urlsafe(12)
        self._kept[number] = self._clock(), query
        self._bytes += query.bytes
        while len(self._kept) > MOST_QUERIES or self._bytes > MOST_BYTES:
            self._drop_oldest()
        return number

    def get(self, number: str) -> Query:
        """The query of an id.

        Raises:
            Problem: it is no longer kept, or never was.
        """
        while self._kept and next(iter(self._kept.values()))[0] < self._clock() - MOST_SECONDS:
            self._drop_oldest()
        if number in self._kept:
            return self._kept[number][1]
        raise Problem("query_expired" if number in self._expired else "no_such_query")

    def _drop_oldest(self) -> None:
        number, (_, query) = self._kept.popitem(last=False)
        self._bytes -= query.bytes
        self._expired.append(number)
