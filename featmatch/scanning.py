"""Scanning posting lists: query words -> votes and hits. The hot loop of a search."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

# Loading numba takes as long as NumPy takes for so many postings; a process that has scanned them will scan more.
_WORTH_COMPILING = 10_000_000
_scanned = 0


class Hits(NamedTuple):
    """Postings whose signatures are near to those of a query, in flat columns of H rows.

    Attributes:
        entries: (H,) int32, which of the query's entries; ascending.
        rows: (H,) int64, which of the postings.
        images: (H,) uint32, their images.
        distances: (H,) uint8, how many bits differ.
    """

    entries: NDArray[np.int32]
    rows: NDArray[np.int64]
    images: NDArray[np.uint32]
    distances: NDArray[np.uint8]


def scan(
    offsets: NDArray[np.uint32],
    posting_image: NDArray[np.uint32],
    posting_signature: NDArray[np.uint64],
    words: NDArray[np.int32],
    signatures: NDArray[np.uint64],
    weights: NDArray[np.float32],
    distance_weights: NDArray[np.float32],
    votes: NDArray[np.float32],
) -> Hits:
    """Scan the posting list of each query word; add up votes and keep the hits.

    A hit is a posting whose signature differs from the query's in fewer bits than ``distance_weights`` has entries.
    The k-th hit of one query word in the same image adds sqrt(k) - sqrt(k - 1) of its weight, so that repeated
    structure counts by its square root (burstiness: Jegou, Douze and Schmid, CVPR 2009).

    Args:
        offsets: (W + 1,) uint32, posting lists in CSR form.
        posting_image: (P,) uint32, ordered within each list.
        posting_signature: (P,) uint64.
        words: (Q,) int32, query words.
        signatures: (Q,) uint64, their signatures.
        weights: (Q,) float32, idf squared.
        distance_weights: (D,) float32, weight of a hit at each Hamming distance; 1 to 64 of them.
        votes: (images,) float32, changed in place.

    Compiled code does it once that is worth loading, until then NumPy; both give the same, to the bit.

    Raises:
        StoreError: a hit names an image that is not there.
    """
    arguments = (offsets, posting_image, posting_signature, words, signatures, weights, distance_weights, votes)
    global _scanned  # noqa: PLW0603  # of this process; decides speed alone
    _scanned += postings_of(offsets, words)
    try:
        if not _compiles():
            return scan_with_numpy(*arguments)
        from featmatch import kernels

        return Hits(*kernels.scan(*arguments))
    except IndexError as error:
        raise StoreError("the index is damaged: a posting names an image that is not there") from error


def postings_of(offsets: NDArray[np.uint32], words: NDArray[np.int32]) -> int:
    """How many postings the lists of query words have together."""
    return int((offsets[words + 1].astype(np.int64) - offsets[words]).sum())


def _compiles() -> bool:
    return _scanned >= _WORTH_COMPILING


def scan_with_numpy(
    offsets: NDArray[np.uint32],
    posting_image: NDArray[np.uint32],
    posting_signature: NDArray[np.uint64],
    words: NDArray[np.int32],
    signatures: NDArray[np.uint64],
    weights: NDArray[np.float32],
    distance_weights: NDArray[np.float32],
    votes: NDArray[np.float32],
) -> Hits:
    """What ``scan`` says, all lists at once."""
    starts = offsets[words].astype(np.int64)
    lengths = offsets[words + 1].astype(np.int64) - starts
    entries = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
    ends = np.cumsum(lengths)
    rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    distances = np.bitwise_count(posting_signature[rows] ^ signatures[entries])
    hit = distances < len(distance_weights)
    entries, rows, distances = entries[hit], rows[hit], distances[hit]
    images = posting_image[rows]
    new = np.ones(len(rows), bool)
    new[1:] = (entries[1:] != entries[:-1]) | (images[1:] != images[:-1])
    places = np.arange(len(rows))
    repeats = places - np.maximum.accumulate(np.where(new, places, 0)) + 1
    shares = (np.sqrt(repeats) - np.sqrt(repeats - 1)).astype(np.float32)
    np.add.at(votes, images, weights[entries] * distance_weights[distances] * shares)
    return Hits(entries, rows, images, distances)


def best(
    votes: NDArray[np.float32], norms: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the images with the largest votes for their norm, among those with any.

    Args:
        votes: (images,) float32, 0 or more.
        norms: (images,) float64, 1 or more.
        count: how many to find; with them come those that are as good as the last.

    Returns:
        Their numbers (N,) int64, ascending, and votes / norms (N,) float32.
    """
    if not _compiles():
        return best_with_numpy(votes, norms, count)
    from featmatch import kernels

    found: tuple[NDArray[np.int64], NDArray[np.float32]] = kernels.best(votes, norms, count)
    return found


def best_with_numpy(
    votes: NDArray[np.float32], norms: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What ``best`` says."""
    scores = (votes / norms).astype(np.float32)
    place = max(len(scores) - count, 0)
    floor = np.partition(scores, place)[place] if len(scores) else 0
    found = np.flatnonzero((scores >= floor) & (scores > 0))
    return found, scores[found]
