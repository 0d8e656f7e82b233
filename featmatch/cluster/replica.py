"""One process that answers for a shard."""

from __future__ import annotations

import threading
from pathlib import Path

from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.search.messages import answer_bytes
from featmatch.search.shard import Shard
from featmatch.store.layout import refuse_links
from featmatch.store.open_catalog import Stamp
from featmatch.store.reader import Reader

_KEPT = 3  # states of a shard; a search that began in one goes on in it while others are committed


class Replica:
    """Answers requests in the newest state of a shard, or in the one in which a search began; one at a time."""

    def __init__(self, folder: str, root: str | None = None, decoding: DecodingOptions = USUAL) -> None:
        """Open a shard.

        Args:
            folder: of the shard.
            root: where the collection is now.
            decoding: what decoding one file may cost.

        Raises:
            StoreError: it cannot be opened.
        """
        refuse_links(Path(folder))  # of a cluster that a stranger may have made
        self._reader = Reader(Path(folder), root)
        self._decoding = decoding
        self._kept: list[Shard] = []  # the newest last
        self._turn = threading.Lock()

    def answer(self, *pieces: bytes) -> bytes:
        """The answer to a request, which comes in pieces.

        Raises:
            StoreError: the request or the shard is damaged.
        """
        with self._turn:
            self._reader.refresh()
            if not self._kept or self._kept[-1].snapshot is not self._reader.snapshot:
                self._kept = [*self._kept[1 - _KEPT :], Shard.of(self._reader, self._decoding)]
            return answer_bytes(self._shard_in, b"".join(pieces), len(self._reader.vocabulary))

    def _shard_in(self, state: Stamp) -> Shard | None:
        """The shard in a state that was seen not long ago; in its newest for ``()``."""
        if not state:
            return self._kept[-1]
        return next((one for one in self._kept if one.snapshot.catalog.stamp == state), None)
