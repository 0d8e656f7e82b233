"""The hot loops, compiled by numba. Each has a plain twin in the tests."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic


def _count_bits(typing_context: Any, value: Any) -> Any:
    """Number of bits set in a uint64: one machine instruction."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


class _Kept(FunctionCache):
    """Machine code in a folder. Where that cannot be read or written, or is full, compiling anew costs time only."""

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            yield


def _compiled(function: Any) -> Any:
    """Compile at first use and keep the machine code, where there is a folder to keep it in."""
    compiled: Any = numba.njit(nogil=True)(function)
    with contextlib.suppress(RuntimeError):  # there is none
        compiled._cache = _Kept(function)  # type: ignore[no-untyped-call]
    return compiled


_BLOCK = 1024  # postings at once, a multiple of eight: their distances stay in the nearest cache
_EACH_BYTE = np.uint64(0x0101010101010101)
_HIGH_BITS = np.uint64(0x8080808080808080)


@_compiled
def scan(  # type: ignore[no-untyped-def]
    offsets,
    posting_image,
    posting_signature,
    words,
    signatures,
    weights,
    distance_weights,
    limit,
    votes,
):
    """Scan posting lists, block by block: first the distances, many at a time, then which are hits, then their votes.

    ``featmatch.scanning.scan`` has the arguments and what is returned. A compiler knows to spread the loop of distances
    over a processor's wide registers; hits are noted one after the other; and of the images, which are anywhere in
    memory, only those are looked up that get a vote.
    """
    capacity = 4 * _BLOCK
    bounds = np.zeros(len(words) + 1, np.int64)
    rows = np.empty(capacity, np.uint32)
    distances = np.empty(capacity, np.uint8)
    near = np.empty(_BLOCK, np.uint8)
    near_by_eight = near.view(np.uint64)
    count = 0
    voting = len(distance_weights)
    limits = np.uint64(limit + 1) * _EACH_BYTE
    for entry in range(len(words)):
        signature = signatures[entry]
        weight = weights[entry]
        first = np.int64(offsets[words[entry]])
        end = np.int64(offsets[words[entry] + 1])
        last_image = np.int64(-1)
        repeats = 0
        while first < end:
            block = posting_signature[first : min(first + _BLOCK, end)]
            size = len(block)
            for place in range(size):
                near[place] = _popcount(block[place] ^ signature)
            eights = (size + 7) // 8
            near[size : 8 * eights] = 127
            if count + 8 * eights > capacity:
                capacity *= 2
                rows = _grown(rows, capacity)
                distances = _grown(distances, capacity)
            found = count
            for eight in range(eights):
                # The high bit of a byte stays where its distance, which is at most 64, is beyond the limit.
                if ((near_by_eight[eight] | _HIGH_BITS) - limits) & _HIGH_BITS == _HIGH_BITS:
                    continue
                for place in range(8 * eight, 8 * eight + 8):
                    rows[count] = first + place
                    distances[count] = near[place]
                    count += near[place] <= limit
            for hit in range(found, count):
                if distances[hit] >= voting:
                    continue
                image = np.int64(posting_image[rows[hit]])
                if image >= len(votes):
                    raise IndexError("a posting names an image that is not there")
                repeats = repeats + 1 if image == last_image else 1
                last_image = image
                share = np.float32(1)
                if repeats > 1:  # roots take longer than all else here
                    share = np.float32(np.sqrt(repeats) - np.sqrt(repeats - 1))
                votes[image] += weight * distance_weights[distances[hit]] * share
            first += size
        bounds[entry + 1] = count
    return bounds, rows[:count], distances[:count]


@_compiled
def hits_of(bounds, rows, distances, posting_image, chosen):  # type: ignore[no-untyped-def]
    """Keep the hits of chosen images; ``featmatch.scanning.hits_of`` has the arguments and what is returned."""
    capacity = _BLOCK
    entries = np.empty(capacity, np.int32)
    places = np.empty(capacity, np.int64)
    count = 0
    for entry in range(len(bounds) - 1):
        for first in range(bounds[entry], bounds[entry + 1], _BLOCK):
            end = min(first + _BLOCK, bounds[entry + 1])
            if count + end - first > capacity:
                capacity *= 2
                entries = _grown(entries, capacity)
                places = _grown(places, capacity)
            for hit in range(first, end):
                image = np.int64(posting_image[rows[hit]])
                if image >= len(chosen):
                    raise IndexError("a posting names an image that is not there")
                entries[count] = entry
                places[count] = hit
                count += chosen[image]  # no branch: the next look-ups begin before this one is done
    places = places[:count]
    kept = rows[places]
    return entries[:count], kept.astype(np.int64), posting_image[kept], distances[places]


@_compiled
def best(votes, norms, count):  # type: ignore[no-untyped-def]
    """Divide votes by norms, which are 1 or more, and find the largest; ``featmatch.scanning.best`` says the same."""
    capacity = 4 * count
    images = np.empty(capacity, np.int64)
    scores = np.empty(capacity, np.float32)
    size = 0
    floor = np.float32(0)
    for image in range(len(votes)):
        if votes[image] < floor or votes[image] == 0:
            continue
        score = np.float32(votes[image] / norms[image])
        if score < floor:
            continue
        if size == capacity:
            floor = np.sort(scores)[-count]
            kept = np.flatnonzero(scores >= floor)
            size = len(kept)
            capacity = max(capacity, 2 * size)
            images = _grown(images[kept], capacity)
            scores = _grown(scores[kept], capacity)
            if score < floor:
                continue
        images[size] = image
        scores[size] = score
        size += 1
    images, scores = images[:size], scores[:size]
    if size > count:
        kept = np.flatnonzero(scores >= np.sort(scores)[-count])
        images, scores = images[kept], scores[kept]
    return images, scores


@_compiled
def _grown(column, capacity):  # type: ignore[no-untyped-def]
    larger = np.empty(capacity, column.dtype)
    larger[: len(column)] = column
    return larger
