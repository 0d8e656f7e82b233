"""Descriptor -> nearest visual words: two ways to search, behind one small interface."""

from __future__ import annotations

from functools import cache, cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.words.flann import FlannIndex

_BATCH = 1024  # descriptors at once: their tables stay in the cache

# A key is a score and a word in one: the score shifted, less the word. The larger key is the nearer word, and of
# equally near ones the lower.
_WORD_SHIFT = 24
_WORD_BITS = (1 << _WORD_SHIFT) - 1
_NO_KEY = -(1 << 62)

# Loading numba takes as long as NumPy takes for so many descriptors; a process that has searched them will search more.
_WORTH_COMPILING = 30_000
_searched = 0


class WordSearch(Protocol):
    """Finds the nearest words of descriptors."""

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        ...


class Centres(NamedTuple):
    """What descriptors are compared with, for compiled code.

    Attributes:
        vectors: (K + 3, D) int16, with three rows of padding: four are compared at once. D is padded as well.
        norms: (K,) float32, squared.
        unit: float32, what one step of a descriptor is in these numbers.
    """

    vectors: NDArray[np.int16]
    norms: NDArray[np.float32]
    unit: np.float32


class TwoLevelSearch:
    """Hierarchical k-means, two levels deep, several cells probed.

    As plain matrix products at first, and by compiled code once that is worth loading; both find the same words.

    Nister and Stewenius, CVPR 2006; Philbin et al., CVPR 2007. Words and descriptors are whole numbers whose products
    add up exactly in float32, in whatever order, and ties go to the lower word, so every machine finds the same words.

    A vocabulary closed under mirror and negative (four forms of each word, SIFT only) has cells closed as well: a
    descriptor is compared with the base cells in its four permutations, and with the base words of a cell in the
    permutation that came close to it.

    Args:
        words: (K, D) uint8, the base words, ordered by cell.
        cells: (C, D) uint8, the base cells.
        cell_offsets: (C + 1,) int64: the words of cell c are ``cell_offsets[c]:cell_offsets[c + 1]``.
        unit: what one step of a descriptor is in words (255 for descriptors of 0 and 1).
        forms: 4 for a closed vocabulary, else 1.
        probes: how many cells to look into.
    """

    def __init__(
        self,
        words: NDArray[np.uint8],
        cells: NDArray[np.uint8],
        cell_offsets: NDArray[np.int64],
        *,
        unit: int,
        forms: int,
        probes: int,
    ) -> None:
        self._words = 2 * words.astype(np.float32)
        self._word_norms = squared_norms(words)
        closed = all_forms(cells, forms)
        self._cells = 2 * closed.astype(np.float32)
        self._cell_norms = squared_norms(closed)
        self._offsets = cell_offsets
        self._unit = unit
        self._forms = forms
        self._probes = min(probes, len(closed))

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        global _searched  # noqa: PLW0603  # by this process; decides speed alone
        _searched += len(descriptors)
        find = self.nearest_with_numpy if _searched < _WORTH_COMPILING else self.nearest_compiled
        found = np.empty((len(descriptors), count), np.int32)
        # The products are small: sharing them among threads gains little, and where cores are busy the threads wait for
        # one another at each of them, for ten times as long and more.
        with _linear_algebra().limit(limits=1, user_api="blas"):
            for start in range(0, len(descriptors), _BATCH):
                words = find(descriptors[start : start + _BATCH], count)
                # Where the probed cells hold too few words, the nearest stands in for those that are missing, and where
                # they hold none, word 0 does.
                found[start : start + _BATCH] = np.where(words < 0, words[:, :1].clip(0), words)
        return found

    def probe(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N, D) uint8 to the (N, probes) nearest cells, nearest first; cell = base cell * forms + form."""
        scores = self._scores(descriptors, self._cells, self._cell_norms)
        return np.stack([_take_best(scores)[1] for _ in range(self._probes)], axis=1)

    def nearest_with_numpy(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
        """(N, D) uint8 descriptors, at most a batch, to (N, count) int64 words, nearest first; -1 for missing ones."""
        probed = self.probe(descriptors).ravel()
        by_cell = np.argsort(probed // self._forms, kind="stable")
        base_cells, forms = np.divmod(probed[by_cell], self._forms)
        bounds = np.searchsorted(base_cells, np.arange(len(self._offsets)))
        # Each descriptor once for each cell it is compared with, in that cell's form; those of a cell side by side.
        turned = all_forms(descriptors, self._forms)[by_cell // self._probes * self._forms + forms].astype(np.float32)
        keys = np.full((len(probed), count), _NO_KEY)
        for cell in np.flatnonzero(np.diff(bounds)):
            own = slice(bounds[cell], bounds[cell + 1])
            first, last = self._offsets[cell], self._offsets[cell + 1]
            scores = self._scores(turned[own], self._words[first:last], self._word_norms[first:last])
            for place in range(min(count, last - first)):
                best, nearest = _take_best(scores)
                keys[own, place] = (best.astype(np.int64) << _WORD_SHIFT) - (first + nearest) * self._forms - forms[own]
        found = np.empty_like(keys)
        found[by_cell] = -keys
        best_first = np.sort(np.partition(found.reshape(len(descriptors), -1), count - 1, axis=1)[:, :count], axis=1)
        return np.where(best_first == -_NO_KEY, -1, best_first & _WORD_BITS)

    def nearest_compiled(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
        """The same words as ``nearest_with_numpy``, found by compiled code."""
        from featmatch.words import kernels

        cells, words = self._for_kernels
        turned = _padded(all_forms(descriptors, self._forms), kernels.LANES)
        turned = turned.reshape(len(descriptors), self._forms, -1)
        found: NDArray[np.int64] = kernels.nearest_words(turned, cells, words, self._offsets, self._probes, count)
        return found

    @cached_property
    def _for_kernels(self) -> tuple[Centres, Centres]:
        """Cells and words."""
        from featmatch.words import kernels

        unit = np.float32(self._unit)
        return (
            Centres(_padded(self._cells / 2, kernels.LANES, rows=3), self._cell_norms, unit),
            Centres(_padded(self._words / 2, kernels.LANES, rows=3), self._word_norms, unit),
        )

    def _scores(
        self, descriptors: NDArray[np.generic], centres: NDArray[np.float32], norms: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(N, D) against (K, D) doubled centres: 2 x.c - c.c, the larger, the nearer."""
        scores = descriptors.astype(np.float32, copy=False) @ centres.T
        if self._unit > 1:
            scores *= np.float32(self._unit)
        scores -= norms
        return scores


@cache
def _linear_algebra() -> ThreadpoolController:
    """The libraries that multiply matrices in this process; looking for them takes longer than a search."""
    return ThreadpoolController()


def all_forms(descriptors: NDArray[np.uint8], forms: int) -> NDArray[np.uint8]:
    """(N, D) to (N * forms, D): each row in its forms, one after the other, in the order of ``Variant``."""
    if forms == 1:
        return descriptors
    return descriptors[:, SIFT_PERMUTATIONS].reshape(-1, descriptors.shape[1])


def _padded(vectors: NDArray[np.generic], lanes: int, rows: int = 0) -> NDArray[np.int16]:
    """(N, D) to (N + rows, D rounded up to a multiple of ``lanes``) int16, with zeros."""
    padded = np.zeros((len(vectors) + rows, -(-vectors.shape[1] // lanes) * lanes), np.int16)
    padded[: len(vectors), : vectors.shape[1]] = vectors
    return padded


def _take_best(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Each row's largest score and its column, the first of equals; it is struck out for the next call."""
    place = (np.arange(len(scores)), scores.argmax(axis=1))
    best = scores[place]
    scores[place] = -np.inf
    return best, place[1]


def squared_norms(centres: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(K, D) uint8 to (K,) float32.

    >>> squared_norms(np.array([[3, 4], [255, 0]], np.uint8)).tolist()
    [25.0, 65025.0]
    """
    return np.asarray((centres.astype(np.int64) ** 2).sum(axis=1), np.float32)


class FlannSearch:
    """FLANN's kd-trees over all words: the same for the same words, so they are built wherever they are needed.

    Args:
        words: (K, D) uint8, all forms of all words.
        unit: what one step of a descriptor is in words.
        checks: leaves to look at.
    """

    def __init__(self, words: NDArray[np.uint8], unit: int, checks: int = 1024) -> None:
        self._index = FlannIndex(words.astype(np.float32))
        self._count = len(words)
        self._unit = np.float32(unit)
        self._checks = checks

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        found, _ = self._index.nearest(descriptors * self._unit, min(count, self._count), self._checks)
        # Where too few were found, or are there, the nearest stands in for those that are missing.
        found = np.where(found < 0, found[:, :1], found)
        return np.pad(found, ((0, 0), (0, max(count - self._count, 0))), mode="edge")
