"""Scanning posting lists: query words -> votes and hits -> the hits of a few images. The hot loop of a search."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

# Loading numba takes as long as NumPy takes for so many postings; a process that has scanned them will scan more.
_WORTH_COMPILING = 10_000_000
_scanned = 0
_NO_SUCH_IMAGE = "the index is damaged: a posting names an image that is not there"


class Noted(NamedTuple):
    """Postings whose signatures are near to those of a query, as a scan finds them, in flat columns of H rows.

    Attributes:
        bounds: (Q + 1,) int64; the hits of the query's entry q are ``bounds[q]:bounds[q + 1]``.
        rows: (H,) uint32, which of the postings; ascending for each entry.
        distances: (H,) uint8, how many bits differ.
    """

    bounds: NDArray[np.int64]
    rows: NDArray[np.uint32]
    distances: NDArray[np.uint8]


class Hits(NamedTuple):
    """The same of some images only, which are named.

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
    limit: int,
    votes: NDArray[np.float32],
) -> Noted:
    """Scan the posting list of each query word; note the hits, and add up the votes of the nearest of them.

    A hit is a posting whose signature differs from the query's in at most ``limit`` bits. It votes where it differs in
    fewer than ``distance_weights`` has entries: few hits do, and only of those is the image looked up. The k-th voting
    hit of one query word in the same image adds sqrt(k) - sqrt(k - 1) of its weight, so that repeated structure counts
    by its square root (burstiness: Jegou, Douze and Schmid, CVPR 2009).

    Args:
        offsets: (W + 1,) uint32, posting lists in CSR form.
        posting_image: (P,) uint32, ordered within each list.
        posting_signature: (P,) uint64.
        words: (Q,) int32, query words.
        signatures: (Q,) uint64, their signatures.
        weights: (Q,) float32, idf squared.
        distance_weights: (D,) float32, weight of a voting hit at each Hamming distance; 1 to ``limit`` + 1 of them.
        limit: bits, 0 to 64.
        votes: (images,) float32, changed in place.

    Compiled code does it once that is worth loading, until then NumPy; both give the same, to the bit.

    Raises:
        StoreError: a voting hit names an image that is not there.
    """
    arguments = (offsets, posting_image, posting_signature, words, signatures, weights, distance_weights, limit, votes)
    global _scanned  # noqa: PLW0603  # of this process; decides speed alone
    _scanned += postings_of(offsets, words)
    try:
        if not _compiles():
            return scan_with_numpy(*arguments)
        from featmatch import kernels

        return Noted(*kernels.scan(*arguments))
    except IndexError as error:
        raise StoreError(_NO_SUCH_IMAGE) from error


def hits_of(noted: Noted, posting_image: NDArray[np.uint32], chosen: NDArray[np.bool_]) -> Hits:
    """Look up the images of hits, and keep the hits of those that are chosen.

    Args:
        noted: hits of a scan.
        posting_image: (P,) uint32.
        chosen: (images,) bool.

    Raises:
        StoreError: a hit names an image that is not there.
    """
    try:
        if not _compiles():
            return hits_of_with_numpy(noted, posting_image, chosen)
        from featmatch import kernels

        return Hits(*kernels.hits_of(*noted, posting_image, chosen))
    except IndexError as error:
        raise StoreError(_NO_SUCH_IMAGE) from error


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
    limit: int,
    votes: NDArray[np.float32],
) -> Noted:
    """What ``scan`` says, all lists at once."""
    starts = offsets[words].astype(np.int64)
    lengths = offsets[words + 1].astype(np.int64) - starts
    entries = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
    ends = np.cumsum(lengths)
    rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    distances = np.bitwise_count(posting_signature[rows] ^ signatures[entries])
    hit = distances <= limit
    entries, rows, distances = entries[hit], rows[hit], distances[hit]
    noted = Noted(np.searchsorted(entries, np.arange(len(words) + 1)), rows.astype(np.uint32), distances)
    votes_too = distances < len(distance_weights)
    entries, images, distances = entries[votes_too], posting_image[rows[votes_too]], distances[votes_too]
    new = np.ones(len(images), bool)
    new[1:] = (entries[1:] != entries[:-1]) | (images[1:] != images[:-1])
    places = np.arange(len(images))
    repeats = places - np.maximum.accumulate(np.where(new, places, 0)) + 1
    shares = (np.sqrt(repeats) - np.sqrt(repeats - 1)).astype(np.float32)
    np.add.at(votes, images, weights[entries] * distance_weights[distances] * shares)
    return noted


def hits_of_with_numpy(noted: Noted, posting_image: NDArray[np.uint32], chosen: NDArray[np.bool_]) -> Hits:
    """What ``hits_of`` says."""
    images = posting_image[noted.rows]
    kept = np.flatnonzero(chosen[images])
    entries = np.searchsorted(noted.bounds, kept, "right") - 1
    return Hits(entries.astype(np.int32), noted.rows[kept].astype(np.int64), images[kept], noted.distances[kept])


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
