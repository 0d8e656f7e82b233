"""Descriptor -> nearest visual words: two ways to search, behind one small interface."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from featmatch.flann import FlannIndex, word_tree
from featmatch.symmetry import SIFT_PERMUTATIONS

_BATCH = 1024  # descriptors at once: their tables stay in the cache
_WORD_SHIFT = 24
_NOTHING = np.int64(1 << 62)
_WORD_BITS = (1 << _WORD_SHIFT) - 1


class WordSearch(Protocol):
    """Finds the nearest words of descriptors."""

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        ...


class TwoLevelSearch:
    """Hierarchical k-means, two levels deep, several cells probed, as plain matrix products.

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
        found = np.empty((len(descriptors), count), np.int32)
        # The products are small: sharing them among threads gains little, and where cores are busy the threads wait for
        # one another at each of them, for ten times as long and more.
        with _linear_algebra().limit(limits=1, user_api="blas"):
            for start in range(0, len(descriptors), _BATCH):
                stop = start + _BATCH
                found[start:stop] = self._nearest(descriptors[start:stop], count)
        return found

    def probe(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N, D) uint8 to the (N, probes) nearest cells, nearest first; cell = base cell * forms + form."""
        scores = self._scores(descriptors, self._cells, self._cell_norms)
        return np.stack([_take_best(scores)[1] for _ in range(self._probes)], axis=1)

    def _nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        probed = self.probe(descriptors).ravel()
        by_cell = np.argsort(probed // self._forms, kind="stable")
        base_cells, forms = np.divmod(probed[by_cell], self._forms)
        bounds = np.searchsorted(base_cells, np.arange(len(self._offsets)))
        # Each descriptor once for each cell it is compared with, in that cell's form; those of a cell side by side.
        turned = all_forms(descriptors, self._forms)[by_cell // self._probes * self._forms + forms].astype(np.float32)
        keys = np.full((len(probed), count), -_NOTHING)
        for cell in np.flatnonzero(np.diff(bounds)):
            own = slice(bounds[cell], bounds[cell + 1])
            first, last = self._offsets[cell], self._offsets[cell + 1]
            scores = self._scores(turned[own], self._words[first:last], self._word_norms[first:last])
            for place in range(min(count, last - first)):
                best, nearest = _take_best(scores)
                # Score and word in one whole number, the lower word first among equals.
                keys[own, place] = (best.astype(np.int64) << _WORD_SHIFT) - (first + nearest) * self._forms - forms[own]
        found = np.empty_like(keys)
        found[by_cell] = -keys
        top = np.sort(np.partition(found.reshape(len(descriptors), -1), count - 1, axis=1)[:, :count], axis=1)
        # Where the probed cells hold too few words, the nearest stands in for those that are missing.
        return (np.where(top == _NOTHING, top[:, :1], top) & _WORD_BITS).astype(np.int32)

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


def _take_best(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Each row's largest score and its column, the first of equals; it is struck out for the next call."""
    place = (np.arange(len(scores)), scores.argmax(axis=1))
    best = scores[place]
    scores[place] = -np.inf
    return best, place[1]


def squared_norms(centres: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(K, D) uint8 to (K,) float32."""
    return np.asarray((centres.astype(np.int64) ** 2).sum(axis=1), np.float32)


class FlannSearch:
    """FLANN's trees over all words. They are random, so they are built once, at training, and loaded ever after.

    Args:
        words: (K, D) uint8, all forms of all words.
        unit: what one step of a descriptor is in words.
        tree: what ``FlannIndex.saved`` returned for these words.
        checks: leaves to look at.
    """

    def __init__(self, words: NDArray[np.uint8], unit: int, tree: NDArray[np.uint8] | None, checks: int = 256) -> None:
        self._index = FlannIndex(words.astype(np.float32), word_tree(), tree)
        self._unit = np.float32(unit)
        self._checks = checks

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        found, _ = self._index.nearest(descriptors * self._unit, count, self._checks)
        return found
