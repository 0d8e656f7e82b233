"""Visual words in C: the nearest centres of descriptors, and signatures, the same on every machine.

Each function checks its arrays, and the kernels check every number in them that leads into another array.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

MOST_SIZE = 1024  # values of a descriptor

_BLOCK, _GROUP = 32, 4  # centres that lie side by side; values of each before those of the next
_LINE = 64  # bytes of a cache line, where a block begins


class _Centres(ctypes.Structure):
    """As words.c has it."""

    _fields_ = (
        ("packed", ctypes.c_void_p),
        ("norms", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("spans", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("blocks", ctypes.c_int64),
    )


class Centres:
    """What descriptors are compared with, packed once for all instruction levels: in about as much memory again.

    Args:
        vectors: (K, D) uint8, at most 2**24; D is at most ``MOST_SIZE``.
        offsets: (S + 1,) int64, where each span of them begins; by default all are one span.

    Raises:
        UsageError: they are no such arrays, or do not go together.
    """

    def __init__(self, vectors: NDArray[np.uint8], offsets: NDArray[np.int64] | None = None) -> None:
        given, count = address(vectors, np.uint8, 2), len(vectors)
        self.size = vectors.shape[1]
        self._offsets = np.array([0, count]) if offsets is None else offsets.copy()
        address(self._offsets, np.int64)
        self.spans = len(self._offsets) - 1
        first, last = self._offsets[:-1], self._offsets[1:]
        in_order = self.spans >= 1 and first[0] == 0 and last[-1] == count and (first <= last).all()
        if not in_order or not 1 <= self.size <= MOST_SIZE:
            raise UsageError(f"{self.spans} spans do not hold {count} vectors of {self.size} values")
        self._blocks = int((-((first - last) // _BLOCK)).sum())
        self._packed = _from_a_line(self._blocks * _BLOCK * _GROUP * -(-self.size // _GROUP))
        self._norms = np.empty(self._blocks * _BLOCK, np.float32)
        _check(library().featmatch_words_pack(ctypes.byref(self.handed()), given, count))

    def handed(self) -> _Centres:
        """What kernels are handed; this object has to outlive it."""
        return _Centres(
            address(self._packed, np.uint8),
            address(self._norms, np.float32),
            address(self._offsets, np.int64),
            self.spans,
            self.size,
            self._blocks,
        )


def nearest_cells(cells: Centres, unit: int, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """The nearest cells of descriptors: (N, count) int64, nearest first, of equals the lower; -1 for missing ones.

    Args:
        cells: in one span.
        unit: what one step of a descriptor is in cells: 1 to 255.
        descriptors: (N, D) uint8.
        count: how many to find; at least 1.

    Raises:
        UsageError: arrays or numbers do not go together.
    """
    found = np.empty((len(descriptors), max(count, 0)), np.int64)
    given = _handed(cells, 2 * unit, descriptors)
    _check(library().featmatch_words_probe(*given, count, address(found, np.int64, 2, written=True)))
    return found


def nearest_words(
    words: Centres,
    unit: int,
    descriptors: NDArray[np.uint8],
    permutations: NDArray[np.int32],
    probed: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """The nearest words in some cells, as word * forms + form: (N, count) int64, nearest first, of equals the lower.

    Where the cells hold too few, the nearest stands in for those that are missing, and where they hold none, word 0.

    Args:
        words: a span for each cell.
        unit: what one step of a descriptor is in words: 1 to 255.
        descriptors: (N, D) uint8.
        permutations: (forms, D) int32, what makes each form of a descriptor, the plain one first.
        probed: (N, P) int64, cells as cell * forms + form, where form is that in which to compare the descriptor.
        count: how many to find; at least 1.

    Raises:
        UsageError: arrays or numbers do not go together.
    """
    number, probes = probed.shape
    found = np.empty((len(descriptors), max(count, 0)), np.int64)
    workspace = np.empty(number * probes + words.spans + 2, np.int64)
    given = _handed(words, 2 * unit, descriptors)
    forms = address(permutations, np.int32, 2), len(permutations)
    if number != len(descriptors) or permutations.shape[1] != words.size:
        raise UsageError(f"{probed.shape} cells, or {permutations.shape} permutations, do not fit {descriptors.shape}")
    status = library().featmatch_words_nearest(
        *given,
        *forms,
        *(address(probed, np.int64, 2), probes),
        *(address(workspace, np.int64, written=True), len(workspace)),
        *(count, address(found, np.int64, 2, written=True)),
    )
    _check(status)
    return found


def signatures_of(
    projection: Centres,
    unit: int,
    descriptors: NDArray[np.uint8],
    words: NDArray[np.uint8],
    signs: NDArray[np.float32],
    ids: NDArray[np.int32],
) -> NDArray[np.uint64]:
    """Signatures of descriptors relative to words: (N, n) uint64.

    Bit i is set where row i of the projection sees the descriptor above the word.

    Args:
        projection: (64, D) int8, each row more by 128, which makes it uint8.
        unit: what one step of a descriptor is in words: 1 to 255.
        descriptors: (N, D) uint8.
        words: (K, D) uint8, in their plain form.
        signs: (forms, 64) float32, 1 or -1: how a row sees each form of a word.
        ids: (N, n) int32, word * forms + form.

    Raises:
        UsageError: arrays or numbers do not go together.
    """
    found = np.empty(ids.shape, np.uint64)
    given = _handed(projection, unit, descriptors)
    if words.shape[1] != projection.size or signs.shape[1] != 64 or len(ids) != len(descriptors):
        raise UsageError(f"{ids.shape} words of {words.shape}, or {signs.shape} signs, do not fit {descriptors.shape}")
    status = library().featmatch_words_sign(
        *given,
        *(address(words, np.uint8, 2), len(words)),
        *(address(signs, np.float32, 2), len(signs)),
        *(address(ids, np.int32, 2), ids.shape[1]),
        address(found, np.uint64, 2, written=True),
    )
    _check(status)
    return found


def _handed(centres: Centres, factor: int, descriptors: NDArray[np.uint8]) -> tuple[object, float, int, int]:
    given = address(descriptors, np.uint8, 2), len(descriptors)
    if descriptors.shape[1] != centres.size:
        raise UsageError(f"descriptors have {centres.size} values, not {descriptors.shape[1]}")
    return ctypes.byref(centres.handed()), float(factor), *given


def _from_a_line(count: int) -> NDArray[np.uint8]:
    """(count,) uint8 that begin with a cache line."""
    memory = np.empty(count + _LINE, np.uint8)
    return memory[-memory.ctypes.data % _LINE :][:count]


def _check(status: int) -> None:
    if status < 0:
        raise UsageError("a unit, a number of a cell or word, or how many are to be found, is out of range")
