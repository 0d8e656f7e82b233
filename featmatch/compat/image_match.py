"""The calls of image-match: ``from featmatch.compat.image_match import SignatureES``.

In place of Elasticsearch it is given the folder of an index. A distance is 1 less the probability.
"""

from __future__ import annotations

import json
import os
from typing import Any

from featmatch.arguments import check_number
from featmatch.errors import ImageError, UsageError
from featmatch.images.decoding import USUAL
from featmatch.images.named import picture_named
from featmatch.index import Index
from featmatch.search.matches import Match

_UPRIGHT_DEG = 45.0


class SignatureES:
    """An index, by the calls of image-match's signature databases.

    Attributes:
        index: what it is kept in.
        distance_cutoff: largest distance of a match.
    """

    def __init__(self, index: str | os.PathLike[str] | Index, distance_cutoff: float = 0.2, size: int = 100) -> None:
        """Open an index, or make one.

        Args:
            index: the folder of it, or one that is open.
            distance_cutoff: largest distance of a match, 0 to 1; 0.2 is what featmatch itself claims.
            size: most matches of a search.

        Raises:
            StoreError: it cannot be opened.
            UsageError: an argument is out of range.
        """
        if not 0 <= distance_cutoff <= 1:
            raise UsageError("distance_cutoff is 0 to 1")
        check_number(size, "size", 1)
        self.index = index if isinstance(index, Index) else Index.open(index, create=True)
        self.distance_cutoff = distance_cutoff
        self._size = size

    def add_image(
        self,
        path: str,
        img: str | bytes | None = None,
        bytestream: bool = False,
        metadata: Any = None,
        refresh_after: bool = False,
    ) -> None:
        """Add an image; one that has this path is replaced.

        Args:
            path: what it is called; without ``img`` also its file or http address.
            img: its file or address, or its bytes.
            bytestream: whether ``img`` is bytes.
            metadata: kept with it, anything that JSON can say.
            refresh_after: accepted; it can be found at once in any case.

        Raises:
            ImageError: it cannot be read, or shows too little.
            UsageError: the metadata cannot be said in JSON.
            StoreError: another writer is at work.
        """
        del refresh_after
        try:
            text = None if metadata is None else json.dumps(metadata, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"metadata is what JSON can say: {error}") from error
        source = _source(path if img is None else img, bytestream and img is not None)
        is_there = self.index.snapshot.catalog.content_named(path) is not None
        self._add(path, source, text)
        if is_there:  # what replaces it can be read; the metadata may be others, or none
            self.index.remove([path])
            self._add(path, source, text)

    def search_image(
        self, path: str | bytes, all_orientations: bool = False, bytestream: bool = False
    ) -> list[dict[str, Any]]:
        """The images that match, the nearest first: each a dict of "dist", "id", "path", "metadata" and "score".

        Args:
            path: of a file, an http address, or bytes.
            all_orientations: also matches that are mirrored, negative, or turned by more than 45 degrees.
            bytestream: whether ``path`` is bytes.

        Raises:
            ImageError: the image cannot be read.
        """
        matches = self.index.query(_source(path, bytestream), limit=self._size, unproven=True)
        near = [match for match in matches if match.verdict != "rejected" and _distance(match) <= self.distance_cutoff]
        catalog = self.index.snapshot.catalog
        texts = {record.name: record.text for record in catalog.records_of([match.id for match in near])}
        return [
            {
                "dist": _distance(match),
                "id": str(match.id),
                "path": match.name,
                "metadata": _metadata(texts.get(match.name)),
                "score": match.score,
            }
            for match in sorted(near, key=_distance)
            if all_orientations or _is_upright(match)
        ]

    def _add(self, path: str, source: str | bytes, text: str | None) -> None:
        for failure in self.index.add_images([(path, source)], jobs=1, text=text).failed:
            raise ImageError(failure.status, failure.message, failure.name)

    def delete_image(self, path: str) -> None:
        """Remove the image of a path; nothing happens where there is none.

        Raises:
            StoreError: another writer is at work.
        """
        self.index.remove([path])


def _source(given: str | bytes, bytestream: bool) -> str | bytes:
    if bytestream != isinstance(given, bytes):
        raise UsageError("bytestream=True goes with bytes, and with nothing else")
    return picture_named(given, USUAL) if isinstance(given, str) else given


def _distance(match: Match) -> float:
    return 0.0 if match.verdict == "accepted" else 1 - match.probability


def _is_upright(match: Match) -> bool:
    relation = match.relation
    return not relation.mirrored and not relation.negative and abs(relation.rotation_deg) <= _UPRIGHT_DEG


def _metadata(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text  # of an image that was added by other ways
