"""Posting lists and queries of known hits, and a scan of them without any haste."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from featmatch.native.postings import _HITS, _LISTS, Hits, PostingLists, QueryEntries

Hit = tuple[int, int, int]  # entry, row, distance


@dataclass(frozen=True, eq=False)
class Scan:
    """What is scanned, and for what.

    Attributes:
        lists: where to look.
        query: what to look up.
        distance_weights: of hits that vote.
        limit: bits in which a hit may differ.
        images: how many there are.
    """

    lists: PostingLists
    query: QueryEntries
    distance_weights: NDArray[np.float32]
    limit: int
    images: int

    @property
    def variants(self) -> int:
        return int(self.query.variants.max(initial=0)) + 1

    def votes_by(self, scan: Callable[..., object]) -> NDArray[np.float32]:
        votes = np.zeros((self.variants, self.images), np.float32)
        scan(self.lists, self.query, self.distance_weights, votes)
        return votes

    def hits_by(self, hits_of: Callable[..., Sequence[NDArray[np.generic]]], images: NDArray[np.uint32]) -> list[Hit]:
        hits = Hits(*hits_of(self.lists, self.query, self.limit, images))  # type: ignore[arg-type]
        assert [column.dtype for column in hits] == [
            np.dtype(kind) for kind in (np.int32, np.int64, np.uint32, np.uint8)
        ]
        np.testing.assert_array_equal(hits.images, self.lists.images[hits.rows])
        return list(zip(hits.entries.tolist(), hits.rows.tolist(), hits.distances.tolist(), strict=True))

    @cached_property
    def votes_one_by_one(self) -> NDArray[np.float64]:
        votes = np.zeros((self.variants, self.images))
        for entry in range(len(self.query.words)):
            seen: dict[tuple[int, int], int] = {}
            postings = self.postings_of(entry)
            if self.query.nearest_first or self.lists.parts > 1:
                postings = sorted(postings, key=itemgetter(1))
            for row, distance, fixed in postings:
                if distance < len(self.distance_weights):
                    image = int(self.lists.images[row])
                    times = seen[image, fixed] = seen.get((image, fixed), 0) + 1
                    share = np.sqrt(times) - np.sqrt(times - 1)
                    votes[int(self.query.variants[entry]), image] += (
                        self.query.weights[entry] * self.distance_weights[distance] * share
                    )
        return votes

    @cached_property
    def hits_one_by_one(self) -> list[Hit]:
        return [
            (entry, row, distance)
            for entry in range(len(self.query.words))
            for row, distance, _ in self.postings_of(entry)
            if distance <= self.limit
        ]

    def postings_of(self, entry: int) -> list[tuple[int, int, int]]:
        """Postings of the word of a query entry that may be hits, in how many bits each differs, and in which fixed."""
        word, own = int(self.query.words[entry]), int(self.query.signatures[entry])
        fixed, parts = int(self.query.fixed[entry]) << 56, self.lists.parts
        rows = range(int(self.lists.offsets[word * parts]), int(self.lists.offsets[(word + 1) * parts]))
        differing = [(row, int(self.lists.signatures[row]) ^ own) for row in rows]
        return [
            (row, (bits & ~fixed).bit_count(), bits & fixed)
            for row, bits in differing
            if (bits & fixed).bit_count() <= self.query.all_but_one
        ]

    def assert_scanned(
        self, scan: Callable[..., object], hits_of: Callable[..., Sequence[NDArray[np.generic]]]
    ) -> None:
        """These find what is found one by one, of all images and of a few."""
        np.testing.assert_allclose(self.votes_by(scan), self.votes_one_by_one, rtol=1e-4, atol=1e-5)
        every, hits = np.arange(self.images, dtype=np.uint32), self.hits_one_by_one
        for some in (every, every[:0], every[::3].copy(), every[-1:], every + np.uint32(1 << 20)):
            assert self.hits_by(hits_of, some) == [hit for hit in hits if self.lists.images[hit[1]] in some]


def made(seed: int, lists: list[int], queries: int, images: int = 7, limit: int = 22, voting: int = 64) -> Scan:
    """Random posting lists of the given lengths; signatures differ in about as many bits as the limit."""
    random = np.random.default_rng(seed)
    base = int(random.integers(1 << 63))

    def signatures(count: int) -> NDArray[np.uint64]:
        flips = random.random((count, 64)) < 0.2
        return np.array([base ^ sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in flips], np.uint64)

    posting_images = [np.sort(random.integers(images, size=length)) for length in lists]
    return Scan(
        PostingLists(
            offsets=np.cumsum([0, *lists]).astype(np.uint32),
            images=np.concatenate(posting_images).astype(np.uint32),
            signatures=signatures(sum(lists)),
        ),
        QueryEntries(
            words=random.integers(len(lists), size=queries).astype(np.int32),
            signatures=signatures(queries),
            weights=random.uniform(0.1, 9, queries).astype(np.float32),
            fixed=np.zeros(queries, np.uint8),
            variants=random.integers(3, size=queries).astype(np.int32),
        ),
        distance_weights=np.exp(-((np.arange(min(limit, voting) + 1) / 16) ** 2)).astype(np.float32),
        limit=limit,
        images=images,
    )


def one_list(images: list[int], signatures: list[int], entries: int = 1, voting: int = 0) -> Scan:
    """One posting list, looked up by entries whose signature is 0; hits of up to ``voting`` bits have a vote of 1."""
    return Scan(
        PostingLists(
            np.array([0, len(images)], np.uint32), np.array(images, np.uint32), np.array(signatures, np.uint64)
        ),
        QueryEntries(
            np.zeros(entries, np.int32),
            np.zeros(entries, np.uint64),
            np.ones(entries, np.float32),
            np.zeros(entries, np.uint8),
            np.zeros(entries, np.int32),
        ),
        distance_weights=np.ones(voting + 1, np.float32),
        limit=3,
        images=max(images) + 1,
    )


SCANS = {
    **{
        f"lists of {lists}, limit {limit}, voting {voting}": made(seed, lists, queries, limit=limit, voting=voting)
        for seed, (lists, queries) in enumerate(
            [([1], 1), ([3, 1, 7], 5), ([13, 64, 1, 65, 17], 31), ([127, 129, 2], 33), ([8, 16, 24], 9)]
        )
        for limit in (0, 1, 22, 64)
        for voting in (0, 17, 64)
    },
    "empty lists": made(1, [0, 0, 0], 9),
    "empty lists between full ones": made(2, [0, 11, 0, 0, 5, 0], 40),
    "a query without words": made(3, [5, 9], 0),
    "more hits than there is room for at first": made(7, [_HITS // 8, _HITS // 4], 12, limit=64),
    **{f"lists of {size} and few more": made(9, [3, size, 2, size + 1], 4, images=60) for size in (62, 63, 64, 1087)},
    "more lists than are bisected at once": made(10, [60, 0, 500, 10] * 20, 2 * _LISTS + 3, images=30),
    "lists that are read, of more images than two": made(12, [5, 0, 40, 1] * 20, 2 * _LISTS + 3, images=30),
}
