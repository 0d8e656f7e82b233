"""Scanning posting lists: query words -> votes and hits. The hot loop of a search."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

Hits: TypeAlias = "tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]"

# Loading numba takes as long as NumPy takes for so many postings; a process that has scanned them will scan more.
_WORTH_COMPILING = 10_000_000
_scanned = 0


def scan(
    offsets: NDArray[np.uint32],
    posting_image: NDArray[np.uint32],
    posting_signature: NDArray[np.uint64],
    words: NDArray[np.int32],
    signatures: NDArray[np.uint64],
    weights: NDArray[np.float32],
    slots: NDArray[np.int32],
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
        slots: (Q,) int32, the row of ``votes`` that each adds to.
        distance_weights: (D,) float32, weight of a hit at each Hamming distance.
        votes: (S, images) float32, changed in place.

    Returns:
        The hits: entries (H,) int32 into the query, rows (H,) int64 of the postings, distances (H,) uint8.

    Compiled code does it once that is worth loading, until then NumPy; both give the same, to the bit.

    Raises:
        StoreError: a hit names an image that is not there.
    """
    arguments = (
        offsets, posting_image, posting_signature, words, signatures, weights, slots, distance_weights, votes,
    )  # fmt: skip
    global _scanned  # noqa: PLW0603  # of this process; decides speed alone
    _scanned += int((offsets[words + 1].astype(np.int64) - offsets[words]).sum())
    try:
        if _scanned < _WORTH_COMPILING:
            return scan_with_numpy(*arguments)
        from featmatch import kernels

        hits: Hits = kernels.scan(*arguments)
        return hits
    except IndexError as error:
        raise StoreError("the index is damaged: a posting names an image that is not there") from error


def scan_with_numpy(
    offsets: NDArray[np.uint32],
    posting_image: NDArray[np.uint32],
    posting_signature: NDArray[np.uint64],
    words: NDArray[np.int32],
    signatures: NDArray[np.uint64],
    weights: NDArray[np.float32],
    slots: NDArray[np.int32],
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
    np.add.at(votes, (slots[entries], images), weights[entries] * distance_weights[distances] * shares)
    return entries, rows, distances
