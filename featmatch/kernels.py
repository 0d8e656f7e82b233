"""The hot loops, compiled by numba. Each has a plain twin in the tests."""

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
    """Scan posting lists, one posting after the other.

    ``featmatch.scanning.scan`` has the arguments and what is returned.
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
            if image >= votes.shape[1]:
                raise IndexError("a posting names an image that is not there")
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
