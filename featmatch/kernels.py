"""The hot loops, compiled by numba. Each has a plain NumPy twin in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic


def _count_bits(typing_context: Any, value: Any) -> Any:
    """Number of bits set in a uint64: one machine instruction."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


def _compiled(function: Any) -> Any:
    """Compile at first use and keep the machine code, where there is a folder to keep it in."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # nowhere to write: compiling anew costs time, nothing else
        return numba.njit(nogil=True)(function)


@_compiled
def scan(  # type: ignore[no-untyped-def]
    offsets,
    posting_image,
    posting_signature,
    words,
    signatures,
    weights,
    slots,
    distance_weights,
    votes,
):
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
    """
    capacity = 1024
    entries = np.empty(capacity, np.int32)
    rows = np.empty(capacity, np.int64)
    distances = np.empty(capacity, np.uint8)
    count = 0
    limit = np.uint64(len(distance_weights))
    for entry in range(len(words)):
        signature = signatures[entry]
        slot = slots[entry]
        weight = weights[entry]
        last_image = -1
        repeats = 0
        for row in range(offsets[words[entry]], offsets[words[entry] + 1]):
            distance = _popcount(posting_signature[row] ^ signature)
            if distance >= limit:
                continue
            image = posting_image[row]
            repeats = repeats + 1 if image == last_image else 1
            last_image = image
            share = np.float32(np.sqrt(repeats) - np.sqrt(repeats - 1))
            votes[slot, image] += weight * distance_weights[distance] * share
            if count == capacity:
                capacity *= 2
                entries = _grown(entries, capacity)
                rows = _grown(rows, capacity)
                distances = _grown(distances, capacity)
            entries[count] = entry
            rows[count] = row
            distances[count] = distance
            count += 1
    return entries[:count], rows[:count], distances[:count]


@_compiled
def _grown(column, capacity):  # type: ignore[no-untyped-def]
    larger = np.empty(capacity, column.dtype)
    larger[: len(column)] = column
    return larger
