"""The hot loops, compiled by numba, and the machine instructions that they need. Each has a plain twin in the tests.

All in one file: the machine code that is kept is made anew when this file changes, and only then.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from featmatch.words.nearest import LANES, NO_KEY, WORD_BITS, WORD_SHIFT


def _count_bits(typing_context: Any, value: Any) -> Any:
    """Number of bits set in a uint64: one machine instruction."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


def _in_each_lane(builder: Any, value: Any, vector: Any) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, first, lanes)


def _compare_eight(typing_context: Any, signatures: Any, row: Any, signature: Any, limit: Any) -> Any:
    """Which of eight signatures from a row on differ from one in at most ``limit`` bits: a bit of a uint8 for each."""
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


def _multiply_four(typing_context: Any, descriptors: Any, row: Any, centres: Any, first: Any, products: Any) -> Any:
    """Set ``products`` to those of one descriptor with four centres from a row on: the sums of their int16 in int32."""
    del typing_context, row, first
    number, place = ir.IntType(32), ir.IntType(64)
    many = ir.VectorType(ir.IntType(16), LANES)
    wide, half = ir.VectorType(number, LANES), ir.VectorType(number, LANES // 2)

    def chosen(builder: Any, one: Any, other: Any, lanes: list[int]) -> Any:
        return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(number, len(lanes)), lanes))

    def pairs_added(builder: Any, one: Any, other: Any, even: list[int]) -> Any:
        odd = [lane + 1 for lane in even]
        return builder.add(chosen(builder, one, other, even), chosen(builder, one, other, odd))

    def generate(context: Any, builder: Any, types_of: Any, arguments: Any) -> Any:
        def array(number: int) -> Any:
            return context.make_array(types_of.args[number])(context, builder, arguments[number])

        def loaded(data: Any, at: Any) -> Any:
            values = builder.bitcast(builder.gep(data, [at]), many.as_pointer())
            return builder.sext(builder.load(values, align=2), wide)

        size = builder.extract_value(array(0).shape, 1)
        descriptor, centre = (builder.mul(arguments[which], size) for which in (1, 3))
        new_total: Any = cgutils.alloca_once_value
        sums = [new_total(builder, ir.Constant(half, None)) for _ in range(4)]
        with cgutils.for_range_slice(builder, place(0), size, place(LANES), intp=place) as (column, _):
            own = loaded(array(0).data, builder.add(descriptor, column))
            at = builder.add(centre, column)
            for total in sums:
                multiplied = builder.mul(own, loaded(array(2).data, at))
                added = pairs_added(builder, multiplied, multiplied, list(range(0, LANES, 2)))
                builder.store(builder.add(builder.load(total), added), total)
                at = builder.add(at, size)
        side_by_side = [0, 2, 8, 10, 4, 6, 12, 14]  # as processors add neighbours: in each half of a register
        one, two, three, four = (builder.load(total) for total in sums)
        first_two, last_two = (pairs_added(builder, *both, side_by_side) for both in ((one, two), (three, four)))
        halves = pairs_added(builder, first_two, last_two, side_by_side)
        low, high = (chosen(builder, halves, halves, list(range(start, start + 4))) for start in (0, 4))
        found = builder.add(low, high)
        builder.store(found, builder.bitcast(array(4).data, found.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(descriptors, types.int64, centres, types.int64, products), generate


_products_of_four: Any = intrinsic(_multiply_four)


def _ask_for(typing_context: Any, column: Any, row: Any) -> Any:
    """Have a row of a column brought into the cache, which may lie beyond its end."""
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


_BLOCK = 4096  # postings at once: which of them are hits stays in the nearest cache
_AHEAD = 256  # postings; a processor itself does not look beyond a page
_LISTS = 32  # posting lists that are bisected side by side
_SCORED = 64  # images whose scores are looked at together
_LEAST = np.float32(1e-45)  # there is nothing between this and 0


@_compiled
def scan(  # type: ignore[no-untyped-def]
    offsets, posting_image, posting_signature, words, signatures, weights, distance_weights, votes
):
    """Add up votes, block by block: first find the hits, eight postings at a time, then look up their images.

    ``scanning.scan`` has the arguments. Signatures lie side by side, and a processor compares several at once; images
    are anywhere in memory, so only those of hits are looked up, many on their way at the same time.
    """
    rows = np.empty(_BLOCK, np.int64)
    limit = np.uint64(len(distance_weights) - 1)
    for entry in range(len(words)):
        signature = signatures[entry]
        weight = weights[entry]
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
                _prefetch(posting_signature, ahead if ahead < end else ahead - end + following)
                near = np.int64(_near_of_eight(posting_signature, rest, signature, limit))
                if near:
                    _prefetch(posting_image, rest)
                    for place in range(8):
                        rows[found] = rest + place
                        found += int((near >> place) & 1)  # no branch
                rest += 8
            while rest < stop:
                rows[found] = rest
                found += _popcount(posting_signature[rest] ^ signature) <= limit
                rest += 1
            for hit in range(found):
                image = np.int64(posting_image[rows[hit]])
                if image >= len(votes):
                    raise IndexError("a posting names an image that is not there")
                repeats = repeats + 1 if image == last_image else 1
                last_image = image
                share = np.float32(1)
                if repeats > 1:  # roots take longer than all else here
                    share = np.float32(np.sqrt(repeats) - np.sqrt(repeats - 1))
                distance = _popcount(posting_signature[rows[hit]] ^ signature)
                votes[image] += weight * distance_weights[distance] * share


@_compiled
def hits_of(  # type: ignore[no-untyped-def]
    offsets, posting_image, posting_signature, words, signatures, limit, images
):
    """Look images up in posting lists; ``featmatch.search.scanning.hits_of`` has the arguments and what is returned."""
    capacity = _BLOCK
    entries = np.empty(capacity, np.int32)
    rows = np.empty(capacity, np.int64)
    distances = np.empty(capacity, np.uint8)
    starts = np.empty((_LISTS, len(images)), np.int64)
    lengths = np.empty(_LISTS, np.int64)
    count = 0
    for first in range(0, len(words), _LISTS):
        lists = _LISTS if len(words) - first > _LISTS else len(words) - first
        for own in range(lists):
            starts[own] = offsets[words[first + own]]
            lengths[own] = np.int64(offsets[words[first + own] + 1]) - np.int64(offsets[words[first + own]])
        _bisect(posting_image, starts[:lists], lengths[:lists], images)
        for own in range(lists):
            entry = first + own
            end: Any = np.int64(offsets[words[entry] + 1])
            for place in range(len(images)):
                for row in range(starts[own, place], end):
                    if posting_image[row] != images[place]:
                        break
                    distance = _popcount(posting_signature[row] ^ signatures[entry])
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
    return entries[:count], rows, posting_image[rows], distances[:count]


@_compiled
def _bisect(posting_image, starts, lengths, images):  # type: ignore[no-untyped-def]
    """Move the start for each list and image on to the first row with that image or a later one.

    One step of all before the next of any: their look-ups, far apart in memory, do not wait for one another.
    """
    while lengths.any():
        for own in range(len(lengths)):
            if lengths[own] == 0:
                continue
            half = (lengths[own] + 1) // 2
            for place in range(len(images)):
                starts[own, place] += half * (posting_image[starts[own, place] + half - 1] < images[place])
            lengths[own] -= half


@_compiled
def best(votes, weights, count):  # type: ignore[no-untyped-def]
    """Weigh votes and find the largest; ``featmatch.search.scanning.best`` says the same."""
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


@_compiled
def _grown(column, capacity):  # type: ignore[no-untyped-def]
    larger = np.empty(capacity, column.dtype)
    larger[: len(column)] = column
    return larger


@_compiled
def nearest_words(  # type: ignore[no-untyped-def]
    descriptors, forms, cells, cell_norms, words, word_norms, offsets, unit, probes, count
):
    """Search in two levels, as ``featmatch.words.nearest.TwoLevelSearch`` does with matrix products.

    Args:
        descriptors: (N * forms, D) int16, each in its forms; D is a multiple of ``LANES``.
        forms: of each word and cell.
        cells: (C * forms + 3, D) int16; the last three rows are padding.
        cell_norms: (C * forms,) float32, squared.
        words: (K + 3, D) int16, base words, ordered by base cell, and padding.
        word_norms: (K,) float32, squared.
        offsets: (C + 1,) int64, where the words of each base cell begin.
        unit: float32, what one step of a descriptor is in words.
        probes: cells to look into.
        count: words to find.

    Returns:
        (N, count) int64 keys, the best first; ``NO_KEY``, where the cells hold too few words.
    """
    number = len(descriptors) // forms
    products = np.empty(4, np.int32)
    probed = np.full((number, probes), NO_KEY, np.int64)
    starts = np.zeros(len(offsets) + 1, np.int64)
    for one in range(number):
        _keep_best(
            probed[one], descriptors, one * forms, cells, cell_norms, 0, len(cell_norms), unit, 1, 0, products
        )  # fmt: skip
        for probe in range(probes):
            probed[one, probe] = -probed[one, probe] & WORD_BITS
            starts[probed[one, probe] // forms + 1] += 1
    # Each descriptor once for each cell it looks into, those of a cell side by side: its words stay in the cache.
    starts = np.cumsum(starts)
    filled = starts.copy()
    by_cell = np.empty(number * probes, np.int64)
    for pair in range(number * probes):
        cell = probed[pair // probes, pair % probes] // forms
        by_cell[filled[cell]] = pair
        filled[cell] += 1
    found = np.full((number, count), NO_KEY, np.int64)
    for cell in range(len(offsets) - 1):
        for pair in by_cell[starts[cell] : starts[cell + 1]]:
            one = pair // probes
            form = probed[one, pair % probes] % forms
            _keep_best(
                found[one], descriptors, one * forms + form, words, word_norms, offsets[cell], offsets[cell + 1],
                unit, forms, form, products,
            )  # fmt: skip
    return found


@_compiled
def _keep_best(  # type: ignore[no-untyped-def]
    best, descriptors, row, centres, norms, first, last, unit, forms, form, products
):
    """Compare a descriptor with centres; keep the best of these and of what is there, the lower centre of equals."""
    for four in range(first, last, 4):
        _products_of_four(descriptors, row, centres, four, products)
        for centre in range(four, min(four + 4, last)):
            score = np.float32(2 * products[centre - four]) * unit - norms[centre]
            key = (np.int64(score) << WORD_SHIFT) - (centre * forms + form)
            if key > best[-1]:
                place = len(best) - 1
                while place > 0 and best[place - 1] < key:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = key
