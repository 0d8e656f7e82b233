"""Scanning posting lists: query words -> votes, and the hits of a few images. The hot loop of a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

# Loading numba takes as long as NumPy takes for so many postings; a process that has scanned them will scan more.
_WORTH_COMPILING = 10_000_000
_scanned = 0
_AT_ONCE = 1 << 20  # postings that NumPy looks at, some 40 bytes each; a longer list is looked at as a whole


class PostingLists(NamedTuple):
    """The posting lists of W words in CSR form, of P postings.

    Attributes:
        offsets: (W + 1,) uint32, the postings of word w are the rows ``offsets[w]:offsets[w + 1]``.
        images: (P,) uint32, ascending within each list.
        signatures: (P,) uint64.
    """

    offsets: NDArray[np.uint32]
    images: NDArray[np.uint32]
    signatures: NDArray[np.uint64]


class QueryEntries(NamedTuple):
    """The words that a query looks up, in flat columns of Q rows.

    Attributes:
        words: (Q,) int32.
        signatures: (Q,) uint64.
        weights: (Q,) float32, what a hit counts: idf squared.
    """

    words: NDArray[np.int32]
    signatures: NDArray[np.uint64]
    weights: NDArray[np.float32]


class Hits(NamedTuple):
    """Postings of some images whose signatures are near to those of a query, in flat columns of H rows.

    Attributes:
        entries: (H,) int32, which of the query's entries; ascending.
        rows: (H,) int64, which of the postings; ascending for each entry.
        images: (H,) uint32, their images.
        distances: (H,) uint8, how many bits differ.
    """

    entries: NDArray[np.int32]
    rows: NDArray[np.int64]
    images: NDArray[np.uint32]
    distances: NDArray[np.uint8]


def scan(
    lists: PostingLists, query: QueryEntries, distance_weights: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    """Scan the posting list of each query word, and add up the votes of the hits.

    A hit is a posting whose signature differs from the query's in fewer bits than ``distance_weights`` has entries: few
    do, and only of those is the image looked up. The k-th hit of one query word in the same image adds
    sqrt(k) - sqrt(k - 1) of its weight, so that repeated structure counts by its square root (burstiness: Jegou, Douze
    and Schmid, CVPR 2009). Compiled code does it once that is worth loading, until then NumPy; both give the same, to
    the bit.

    Args:
        lists: where to look.
        query: what to look up.
        distance_weights: (D,) float32, weight of a hit at each Hamming distance; 1 to 65 of them.
        votes: (images,) float32, changed in place.

    Raises:
        StoreError: a hit names an image that is not there.
    """
    global _scanned  # noqa: PLW0603  # of this process; decides speed alone
    _scanned += postings_of(lists.offsets, query.words)
    try:
        if not _compiles():
            scan_with_numpy(lists, query, distance_weights, votes)
            return
        from featmatch.search import kernels

        kernels.scan(lists, query, distance_weights, votes)
    except IndexError as error:
        raise StoreError("the index is damaged: a posting names an image that is not there") from error


def hits_of(lists: PostingLists, query: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Hits:
    """Look a few images up in the posting lists of a query, and find their hits.

    Args:
        lists: where to look.
        query: what to look up; its weights do not matter.
        limit: bits in which the signature of a hit may differ, 0 to 64.
        images: (N,) uint32, ascending.
    """
    if not _compiles():
        return hits_of_with_numpy(lists, query, limit, images)
    from featmatch.search import kernels

    return Hits(*kernels.hits_of(lists, query, limit, images))


def postings_of(offsets: NDArray[np.uint32], words: NDArray[np.int32]) -> int:
    """How many postings the lists of query words have together.

    >>> postings_of(np.array([0, 3, 3, 10], np.uint32), np.array([0, 2, 2], np.int32))
    17
    """
    return int((offsets[words + 1].astype(np.int64) - offsets[words]).sum())


def _compiles() -> bool:
    return _scanned >= _WORTH_COMPILING


def scan_with_numpy(
    lists: PostingLists, query: QueryEntries, distance_weights: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    """``scan`` with NumPy, many lists at once."""
    for entries, rows in _postings(lists.offsets, query.words):
        distances = np.bitwise_count(lists.signatures[rows] ^ query.signatures[entries])
        hit = distances < len(distance_weights)
        own, images, distances = entries[hit], lists.images[rows[hit]], distances[hit]
        new = np.ones(len(images), bool)
        new[1:] = (own[1:] != own[:-1]) | (images[1:] != images[:-1])
        places = np.arange(len(images))
        repeats = places - np.maximum.accumulate(np.where(new, places, 0)) + 1
        shares = (np.sqrt(repeats) - np.sqrt(repeats - 1)).astype(np.float32)
        np.add.at(votes, images, query.weights[own] * distance_weights[distances] * shares)


def hits_of_with_numpy(lists: PostingLists, query: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Hits:
    """``hits_of`` with NumPy, many lists at once."""
    found = [Hits(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint8))]
    for entries, rows in _postings(lists.offsets, query.words):
        wanted = np.isin(lists.images[rows], images)
        own, rows_wanted = entries[wanted], rows[wanted]
        distances = np.bitwise_count(lists.signatures[rows_wanted] ^ query.signatures[own])
        near = distances <= limit
        found.append(Hits(own[near], rows_wanted[near], lists.images[rows_wanted[near]], distances[near]))
    entries, rows, of_images, distances = (np.concatenate(column) for column in zip(*found, strict=True))
    return Hits(entries, rows, of_images, distances)


def _postings(
    offsets: NDArray[np.uint32], words: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """All postings of query words, some words after the other: which of the words, and which of the postings."""
    starts = offsets[words].astype(np.int64)
    lengths = offsets[words + 1].astype(np.int64) - starts
    ends = np.cumsum(lengths)
    blocks = np.flatnonzero(np.diff(ends // _AT_ONCE)) + 1
    for entries in np.split(np.arange(len(words), dtype=np.int32), blocks):
        before = starts[entries] - np.cumsum(lengths[entries]) + lengths[entries]
        yield (
            np.repeat(entries, lengths[entries]),
            np.arange(lengths[entries].sum()) + np.repeat(before, lengths[entries]),
        )


def best(
    votes: NDArray[np.float32], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the images with the largest weighted votes, among those with any.

    Args:
        votes: (images,) float32, 0 or more.
        weights: (images,) float32, more than 0.
        count: how many to find; with them come those that are as good as the last.

    Returns:
        Their numbers (N,) int64, ascending, and votes * weights (N,) float32.
    """
    if not _compiles():
        return best_with_numpy(votes, weights, count)
    from featmatch.search import kernels

    found: tuple[NDArray[np.int64], NDArray[np.float32]] = kernels.best(votes, weights, count)
    return found


def best_with_numpy(
    votes: NDArray[np.float32], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """``best`` with NumPy."""
    scores = votes * weights
    place = max(len(scores) - count, 0)
    floor = np.partition(scores, place)[place] if len(scores) else 0
    found = np.flatnonzero((scores >= floor) & (scores > 0))
    return found, scores[found]
