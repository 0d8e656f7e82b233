"""The hot loops of scanning posting lists, compiled by numba. The tests hold each to a plain twin.

All that is compiled stands in this file, for which its machine code is kept (``featmatch.system.compiled``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from featmatch.system.compiled import compiled


def _count_bits(typing_context: Any, value: Any) -> Any:
    """Number of bits set in a uint64: one machine instruction."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


def _in_each_lane(builder: Any, value: Any, vector: Any) -> Any:
    """A vector whose elements are all ``value``."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, first, lanes)


def _compare_eight(typing_context: Any, signatures: Any, row: Any, signature: Any, limit: Any) -> Any:
    """Compare eight signatures at once; which of them are near is returned as the bits of a uint8."""
    # near = 0
    # for lane in range(8):
    #     near |= (popcount(signatures[row + lane] ^ signature) <= limit) << lane
    del typing_context, row, signature, limit
    eight = ir.VectorType(ir.IntType(64), 8)

    def generate(context: Any, builder: Any, types_of: Any, arguments: Any) -> Any:
        column = context.make_array(types_of.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(column.data, [arguments[1]]), eight.as_pointer())
        differing = builder.xor(builder.load(place, align=8), _in_each_lane(builder, arguments[2], eight))
        count_bits = builder.module.declare_intrinsic("llvm.ctpop.v8i64", (), ir.FunctionType(eight, [eight]))
        distances = builder.call(count_bits, [differing])
        near = builder.icmp_unsigned("<=", distances, _in_each_lane(builder, arguments[3], eight))
        return builder.bitcast(near, ir.IntType(8))

    return types.uint8(signatures, types.int64, types.uint64, types.uint64), generate


_near_of_eight: Any = intrinsic(_compare_eight)


def _ask_for(typing_context: Any, column: Any, row: Any) -> Any:
    """Ask for ``column[row]`` to be brought into the cache; the row may lie beyond the column's end."""
    del typing_context, row

    def generate(context: Any, builder: Any, types_of: Any, arguments: Any) -> Any:
        values = context.make_array(types_of.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(builder.gep(values.data, [arguments[1]]), byte)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch.p0", (), ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        read, near, data = number(0), number(3), number(1)
        builder.call(prefetch, [place, read, near, data])
        return context.get_dummy_value()

    return types.void(column, types.int64), generate


_prefetch: Any = intrinsic(_ask_for)


_BLOCK = 4096  # postings at once: which of them are hits stays in the nearest cache
_AHEAD = 256  # postings; a processor itself does not look beyond a page
_LISTS = 32  # posting lists that are bisected side by side
_SCORED = 64  # images whose scores are looked at together
_LEAST = np.float32(1e-45)  # there is nothing between this and 0


@compiled
def scan(lists, query, distance_weights, votes):  # type: ignore[no-untyped-def]
    """Add up votes, block by block: first find the hits, eight postings at a time, then look up their images.

    ``scanning.scan`` has the arguments. Signatures lie side by side, and a processor compares several at once; images
    are anywhere in memory, so only those of hits are looked up, many on their way at the same time.
    """
    offsets, words = lists.offsets, query.words
    rows = np.empty(_BLOCK, np.int64)
    limit = np.uint64(len(distance_weights) - 1)
    for entry in range(len(words)):
        signature = query.signatures[entry]
        weight = query.weights[entry]
        end: Any = np.int64(offsets[words[entry] + 1])
        following: Any = np.int64(offsets[words[entry + 1]]) if entry + 1 < len(words) else end
        last_image = np.int64(-1)
        repeats = 0
        for first in range(offsets[words[entry]], end, _BLOCK):
            stop = end if end - first < _BLOCK else first + _BLOCK
            found = 0
            rest = first
            while rest + 8 <= stop:
                ahead = rest + _AHEAD
                _prefetch(lists.signatures, ahead if ahead < end else ahead - end + following)
                near = np.int64(_near_of_eight(lists.signatures, rest, signature, limit))
                if near:
                    _prefetch(lists.images, rest)
                    for place in range(8):
                        rows[found] = rest + place
                        found += int((near >> place) & 1)  # no branch
                rest += 8
            while rest < stop:
                rows[found] = rest
                found += _popcount(lists.signatures[rest] ^ signature) <= limit
                rest += 1
            for hit in range(found):
                image = np.int64(lists.images[rows[hit]])
                if image >= len(votes):
                    raise IndexError("a posting names an image that is not there")
                repeats = repeats + 1 if image == last_image else 1
                last_image = image
                share = np.float32(1)
                if repeats > 1:  # roots take longer than all else here
                    share = np.float32(np.sqrt(repeats) - np.sqrt(repeats - 1))
                distance = _popcount(lists.signatures[rows[hit]] ^ signature)
                votes[image] += weight * distance_weights[distance] * share


@compiled
def hits_of(lists, query, limit, images):  # type: ignore[no-untyped-def]
    """Look images up in posting lists; ``scanning.hits_of`` has the arguments, and what is returned."""
    offsets, words = lists.offsets, query.words
    capacity = _BLOCK
    entries = np.empty(capacity, np.int32)
    rows = np.empty(capacity, np.int64)
    distances = np.empty(capacity, np.uint8)
    starts = np.empty((_LISTS, len(images)), np.int64)
    lengths = np.empty(_LISTS, np.int64)
    count = 0
    for first in range(0, len(words), _LISTS):
        some = _LISTS if len(words) - first > _LISTS else len(words) - first
        for own in range(some):
            starts[own] = offsets[words[first + own]]
            lengths[own] = np.int64(offsets[words[first + own] + 1]) - np.int64(offsets[words[first + own]])
        _bisect(lists.images, starts[:some], lengths[:some], images)
        for own in range(some):
            entry = first + own
            end: Any = np.int64(offsets[words[entry] + 1])
            for place in range(len(images)):
                for row in range(starts[own, place], end):
                    if lists.images[row] != images[place]:
                        break
                    distance = _popcount(lists.signatures[row] ^ query.signatures[entry])
                    if distance > limit:
                        continue
                    if count == capacity:
                        capacity *= 2
                        entries = _grown(entries, capacity)
                        rows = _grown(rows, capacity)
                        distances = _grown(distances, capacity)
                    entries[count] = entry
                    rows[count] = row
                    distances[count] = distance
                    count += 1
    rows = rows[:count]
    return entries[:count], rows, lists.images[rows], distances[:count]


@compiled
def _bisect(posting_images, starts, lengths, images):  # type: ignore[no-untyped-def]
    """Move the start for each list and image on to the first row with that image or a later one.

    One step of all before the next of any: their look-ups, far apart in memory, do not wait for one another.
    """
    while lengths.any():
        for own in range(len(lengths)):
            if lengths[own] == 0:
                continue
            half = (lengths[own] + 1) // 2
            for place in range(len(images)):
                starts[own, place] += half * (posting_images[starts[own, place] + half - 1] < images[place])
            lengths[own] -= half


@compiled
def best(votes, weights, count):  # type: ignore[no-untyped-def]
    """Weigh votes and find the largest; ``scanning.best`` has the arguments, and what is returned."""
    capacity = 4 * count
    images = np.empty(capacity, np.int64)
    scores = np.empty(capacity, np.float32)
    size = 0
    floor = _LEAST
    for first in range(0, len(votes), _SCORED):
        above = 0
        for image in range(first, min(first + _SCORED, len(votes))):  # no branch, so many at a time
            above += votes[image] * weights[image] >= floor
        if above == 0:
            continue
        for image in range(first, min(first + _SCORED, len(votes))):
            score = votes[image] * weights[image]
            if score < floor:
                continue
            if size == capacity:
                floor = max(np.sort(scores)[-count], _LEAST)
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


@compiled
def _grown(column, capacity):  # type: ignore[no-untyped-def]
    """A copy of a column with room for ``capacity`` rows."""
    larger = np.empty(capacity, column.dtype)
    larger[: len(column)] = column
    return larger
