"""One process that answers for a shard."""

from __future__ import annotations

from pathlib import Path

from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.search.messages import answer_bytes
from featmatch.search.shard import Shard
from featmatch.store.reader import Reader


class Replica:
    """Answers requests in the newest state of a shard."""

    def __init__(self, folder: str, root: str | None = None, decoding: DecodingOptions = USUAL) -> None:
        """Open a shard.

        Args:
            folder: of the shard.
            root: where the collection is now.
            decoding: what decoding one file may cost.

        Raises:
            StoreError: it cannot be opened.
        """
        self._reader = Reader(Path(folder), root)
        self._decoding = decoding
        self._shard = Shard.of(self._reader, decoding)

    def answer(self, message: bytes) -> bytes:
        """The answer to a request.

        Raises:
            StoreError: the request or the shard is damaged.
        """
        self._reader.refresh()
        if self._shard.snapshot is not self._reader.snapshot:
            self._shard = Shard.of(self._reader, self._decoding)
        return answer_bytes(self._shard, message, len(self._reader.vocabulary))
