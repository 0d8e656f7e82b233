"""Descriptor -> nearest visual words: two ways to search, behind one small interface."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.native.words import Centres, nearest_cells, nearest_words
from featmatch.words.flann import FlannIndex

_BATCH = 4096  # descriptors at once: bounds the memory it takes


class WordSearch(Protocol):
    """Finds the nearest words of descriptors."""

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        ...


class TwoLevelSearch:
    """Hierarchical k-means, two levels deep, several cells probed.

    Nister and Stewenius, CVPR 2006; Philbin et al., CVPR 2007. Words and descriptors are whole numbers whose products
    add up exactly, in whatever order, and ties go to the lower word, so every machine finds the same words.

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
        self._words = Centres(np.ascontiguousarray(words), cell_offsets)
        self._cells = Centres(np.ascontiguousarray(all_forms(cells, forms)))
        permutations = SIFT_PERMUTATIONS if forms > 1 else np.arange(words.shape[1])[None]
        self._permutations = permutations.astype(np.int32)
        self._unit = unit
        self._probes = min(probes, len(cells) * forms)

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first.

        Where the probed cells hold too few words, the nearest stands in for those that are missing, and where they hold
        none, word 0 does.
        """
        descriptors = np.ascontiguousarray(descriptors)
        found = np.empty((len(descriptors), count), np.int32)
        for start in range(0, len(descriptors), _BATCH):
            some = descriptors[start : start + _BATCH]
            probed = self.probe(some)
            found[start : start + _BATCH] = nearest_words(
                self._words, self._unit, some, self._permutations, probed, count
            )
        return found

    def probe(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N, D) uint8 to the (N, probes) nearest cells, nearest first; cell = base cell * forms + form."""
        return nearest_cells(self._cells, self._unit, np.ascontiguousarray(descriptors), self._probes)


def all_forms(descriptors: NDArray[np.uint8], forms: int) -> NDArray[np.uint8]:
    """(N, D) to (N * forms, D): each row in its forms, one after the other, in the order of ``Variant``."""
    if forms == 1:
        return descriptors
    return descriptors[:, SIFT_PERMUTATIONS].reshape(-1, descriptors.shape[1])


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
