"""featmatch/native/words.c once more in plain NumPy, as matrix products: the same words, to the last one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A key is a score and a number in one: the larger key is the nearer centre, and of equally near ones the lower number.
_KEY_STEP = 1 << 24

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def scores(descriptors: Bytes, centres: Bytes, unit: int) -> NDArray[np.float32]:
    """(N, D) against (K, D): 2 x.c - c.c, the larger, the nearer; each product and difference rounded once."""
    products = np.asarray(2 * descriptors.astype(np.int64) @ centres.T.astype(np.int64), np.float32)
    norms = np.asarray((centres.astype(np.int64) ** 2).sum(axis=1), np.float32)
    return products * np.float32(unit) - norms


def nearest_cells(cells: Bytes, unit: int, descriptors: Bytes, count: int) -> Numbers:
    """(N, count) the nearest cells, nearest first; -1 for missing ones."""
    order = np.argsort(-scores(descriptors, cells, unit), axis=1, kind="stable")[:, :count]
    return np.pad(order, ((0, 0), (0, count - order.shape[1])), constant_values=-1)


def nearest_words(
    words: Bytes,
    offsets: Numbers,
    unit: int,
    descriptors: Bytes,
    permutations: NDArray[np.int32],
    probed: Numbers,
    count: int,
) -> Numbers:
    """(N, count) the nearest words of the probed cells; the nearest stands in for missing ones, or else word 0."""
    forms = len(permutations)
    found = np.zeros((len(descriptors), count), np.int64)
    for one, descriptor in enumerate(descriptors):
        keys = [np.empty(0, np.int64)]
        for cell, form in zip(*np.divmod(probed[one], forms), strict=True):
            first, last = offsets[cell : cell + 2]
            score = scores(descriptor[permutations[form]][None], words[first:last], unit)[0]
            keys.append(score.astype(np.int64) * _KEY_STEP - (np.arange(first, last) * forms + form))
        best = np.sort(np.concatenate(keys))[::-1][:count]
        found[one, : len(best)] = -best % _KEY_STEP
        found[one, len(best) :] = found[one, 0]
    return found


def signatures_of(
    projection: NDArray[np.int8],
    unit: int,
    descriptors: Bytes,
    words: Bytes,
    signs: NDArray[np.float32],
    ids: NDArray[np.int32],
) -> NDArray[np.uint64]:
    """(N, n): bit i is set where row i sees the descriptor above the word, both turned into the word's plain form."""
    rows = projection.T.astype(np.int64)
    bases, forms = np.divmod(ids, len(signs))
    centres = (words.astype(np.int64) @ rows)[bases]
    turned = (descriptors.astype(np.int64) @ rows * unit)[:, None, :] * signs[forms].astype(np.int64)
    above = (turned > centres) ^ (signs[forms] < 0)
    bits = np.packbits(above, axis=2, bitorder="little")
    return bits.view("<u8")[..., 0].astype(np.uint64)
