"""featmatch/native/postings.c once more in plain NumPy: the same bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featmatch.native.postings import Hits, PostingLists, QueryEntries


def scan(
    lists: PostingLists, query: QueryEntries, distance_weights: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    for entry, rows, distances in _compared(lists, query):
        hit = np.flatnonzero(distances < len(distance_weights))
        fixed = (lists.signatures[rows] ^ query.signatures[entry]) >> np.uint64(56) & query.fixed[entry]
        words = lists.images[rows].astype(np.int64) << 8 | np.where(fixed, 256 - fixed.astype(np.int64), 0)
        if query.nearest_first or lists.parts > 1:
            hit = hit[np.lexsort((distances[hit], words[hit]))]
        images = lists.images[rows[hit]]
        new = np.ones(len(images), bool)
        new[1:] = np.diff(words[hit]) != 0
        places = np.arange(len(images))
        repeats = places - np.maximum.accumulate(np.where(new, places, 0)) + 1
        shares = (np.sqrt(repeats) - np.sqrt(repeats - 1)).astype(np.float32)
        np.add.at(
            votes[query.variants[entry]], images, query.weights[entry] * distance_weights[distances[hit]] * shares
        )


def hits_of(lists: PostingLists, query: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Hits:
    found = [Hits(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint8))]
    for entry, rows, distances in _compared(lists, query):
        hit = (distances <= limit) & np.isin(lists.images[rows], images)
        entries = np.full(np.count_nonzero(hit), entry, np.int32)
        found.append(Hits(entries, rows[hit], lists.images[rows[hit]], distances[hit]))
    entries, rows, of_images, distances = (np.concatenate(column) for column in zip(*found, strict=True))
    return Hits(entries, rows, of_images, distances)


def best(
    votes: NDArray[np.float32], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    scores = (votes * weights).ravel()
    place = max(len(scores) - count, 0)
    floor = np.partition(scores, place)[place] if len(scores) else 0
    found = np.flatnonzero((scores >= floor) & (scores > 0))
    return found, scores[found]


def _compared(lists: PostingLists, query: QueryEntries) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint8]]]:
    """Each entry, the postings of its word that are within reach, and in how many bits the signatures differ."""
    for entry, (word, signature) in enumerate(zip(query.words.tolist(), query.signatures, strict=True)):
        first, end = lists.offsets[word * lists.parts], lists.offsets[(word + 1) * lists.parts]
        rows = np.arange(first, end, dtype=np.int64)
        differing = lists.signatures[rows] ^ signature
        fixed = np.uint64(int(query.fixed[entry]) << 56)
        near = np.bitwise_count(differing & fixed) <= query.all_but_one
        yield entry, rows[near], np.bitwise_count(differing[near] & ~fixed)
