"""The hot loop of finding nearest words, compiled by numba. The tests hold it to NumPy's way.

All that is compiled stands in this file, for which its machine code is kept (``featmatch.system.compiled``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from featmatch.system.compiled import compiled

LANES = 16  # int16 that are multiplied at once

# A key is a score and a number in one: the score shifted, less the number. The larger key is the nearer centre, and of
# equally near ones that with the lower number.
_NUMBER_SHIFT = 24
_NUMBER_BITS = (1 << _NUMBER_SHIFT) - 1
_NO_KEY = -(1 << 62)


def _multiply_four(typing_context: Any, descriptor: Any, centres: Any, first: Any, products: Any) -> Any:
    """Multiply one descriptor with four centres at once, ``LANES`` int16 at a time, and add up in int32."""
    # for which in range(4):
    #     products[which] = sum(descriptor * centres[first + which])
    del typing_context, first
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

        size = builder.extract_value(array(0).shape, 0)
        centre = builder.mul(arguments[2], size)
        new_total: Any = cgutils.alloca_once_value
        sums = [new_total(builder, ir.Constant(half, None)) for _ in range(4)]
        with cgutils.for_range_slice(builder, place(0), size, place(LANES), intp=place) as (column, _):
            own = loaded(array(0).data, column)
            at = builder.add(centre, column)
            for total in sums:
                multiplied = builder.mul(own, loaded(array(1).data, at))
                added = pairs_added(builder, multiplied, multiplied, list(range(0, LANES, 2)))
                builder.store(builder.add(builder.load(total), added), total)
                at = builder.add(at, size)
        side_by_side = [0, 2, 8, 10, 4, 6, 12, 14]  # as processors add neighbours: in each half of a register
        one, two, three, four = (builder.load(total) for total in sums)
        first_two, last_two = (pairs_added(builder, *both, side_by_side) for both in ((one, two), (three, four)))
        halves = pairs_added(builder, first_two, last_two, side_by_side)
        low, high = (chosen(builder, halves, halves, list(range(start, start + 4))) for start in (0, 4))
        found = builder.add(low, high)
        builder.store(found, builder.bitcast(array(3).data, found.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(descriptor, centres, types.int64, products), generate


_products_of_four: Any = intrinsic(_multiply_four)


@compiled
def nearest_words(descriptors, cells, words, offsets, probes, count):  # type: ignore[no-untyped-def]
    """Search in two levels, as ``nearest.TwoLevelSearch`` does with matrix products.

    Args:
        descriptors: (N, forms, D) int16, each in its forms; D is a multiple of ``LANES``.
        cells: ``nearest.Centres`` of the C base cells in each of their forms.
        words: ``nearest.Centres`` of the base words, ordered by base cell.
        offsets: (C + 1,) int64, where the words of each base cell begin.
        probes: cells to look into.
        count: words to find.

    Returns:
        (N, count) int64 words, nearest first; -1, where the cells hold too few.
    """
    number, forms = descriptors.shape[:2]
    products = np.empty(4, np.int32)
    probed = np.full((number, probes), _NO_KEY, np.int64)
    starts = np.zeros(len(offsets) + 1, np.int64)
    for one in range(number):
        _keep_best(probed[one], descriptors[one, 0], cells, (0, len(cells.norms)), 1, 0, products)
        for probe in range(probes):
            probed[one, probe] = -probed[one, probe] & _NUMBER_BITS
            starts[probed[one, probe] // forms + 1] += 1
    # Each descriptor once for each cell it looks into, those of a cell side by side: its words stay in the cache.
    starts = np.cumsum(starts)
    filled = starts.copy()
    by_cell = np.empty(number * probes, np.int64)
    for pair in range(number * probes):
        cell = probed[pair // probes, pair % probes] // forms
        by_cell[filled[cell]] = pair
        filled[cell] += 1
    found = np.full((number, count), _NO_KEY, np.int64)
    for cell in range(len(offsets) - 1):
        for pair in by_cell[starts[cell] : starts[cell + 1]]:
            one = pair // probes
            form = probed[one, pair % probes] % forms
            span = (offsets[cell], offsets[cell + 1])
            _keep_best(found[one], descriptors[one, form], words, span, forms, form, products)
    for one in range(number):
        for place in range(count):
            key = found[one, place]
            found[one, place] = -1 if key == _NO_KEY else -key & _NUMBER_BITS
    return found


@compiled
def _keep_best(best, descriptor, centres, span, forms, form, products):  # type: ignore[no-untyped-def]
    """Compare a descriptor with a span of centres, and keep the best of these and of what is there.

    Args:
        best: (count,) int64 keys, the best first; changed in place. Of equals the lower number comes first.
        descriptor: (D,) int16.
        centres: ``nearest.Centres``.
        span: the first of the centres, and the end.
        forms: forms of each centre; its number is ``centre * forms + form``.
        form: of the centres that the descriptor is compared with.
        products: (4,) int32, to work with.
    """
    first, end = span
    for four in range(first, end, 4):
        _products_of_four(descriptor, centres.vectors, four, products)
        for centre in range(four, min(four + 4, end)):
            score = np.float32(2 * products[centre - four]) * centres.unit - centres.norms[centre]
            key = (np.int64(score) << _NUMBER_SHIFT) - (centre * forms + form)
            if key > best[-1]:
                place = len(best) - 1
                while place > 0 and best[place - 1] < key:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = key
