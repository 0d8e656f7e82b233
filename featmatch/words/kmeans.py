"""k-means over more descriptors than fit in memory: cells, then the words of each cell, then all words at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.system.progress import StageProgress
from featmatch.words.nearest import TwoLevelSearch, squared_norms

CHUNK = 1 << 17  # descriptors that are read at once


class Clusters:
    """k-means over all descriptors; in a closed vocabulary each is turned into the form nearest to its centre.

    Args:
        descriptors: (N, D) uint8, may be memory-mapped.
        unit: what one step of a descriptor is in words.
        forms: 4 for a closed vocabulary, else 1.
        random: chooses where clusters begin.
        report: called with a stage, what is done, and the total.
    """

    def __init__(
        self,
        descriptors: NDArray[np.uint8],
        unit: int,
        forms: int,
        random: np.random.Generator,
        report: StageProgress,
    ) -> None:
        self._descriptors = descriptors
        self._unit = unit
        self._forms = forms
        self._random = random
        self._report = report

    def coarse(self, count: int) -> NDArray[np.uint8]:
        """Base cells, from a sample: (count, D) uint8."""
        sample = self._sample(min(len(self._descriptors), max(200_000, 100 * count)))
        cells = sample[self._random.choice(len(sample), count, replace=False)] * np.uint8(self._unit)
        for done in range(20):
            bases, turned = self._turned(sample, cells)
            cells = self._means(turned, bases, cells)
            self._report("cells", done + 1, 20)
        return cells

    def fine(self, cells: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
        """Base words to start from, each cell's by itself: (count, D) uint8."""
        homes = np.empty(len(self._descriptors), np.int32)
        turns = np.empty(len(self._descriptors), np.int8)
        search = self._cell_search(cells)
        for part in self._chunks("homes"):
            homes[part], turns[part] = np.divmod(search.probe(self._descriptors[part])[:, 0], self._forms)
        members = np.bincount(homes, minlength=len(cells))
        shares = _apportion(members, count)
        words = []
        for cell, share in enumerate(shares):
            if share == 0:
                continue
            rows = np.flatnonzero(homes == cell)
            rows = np.sort(self._random.choice(rows, min(len(rows), 200 * share), replace=False))
            inside = _turn(self._descriptors[rows], turns[rows], self._forms)
            centres = inside[self._random.choice(len(inside), share, replace=False)] * np.uint8(self._unit)
            for _ in range(8):
                scores = (inside.astype(np.float32) * np.float32(2 * self._unit)) @ centres.T.astype(np.float32)
                centres = self._means(inside, (scores - squared_norms(centres)).argmax(axis=1), centres)
            words.append(centres)
            self._report("words", cell + 1, len(cells))
        return np.concatenate(words)

    def refined(
        self, words: NDArray[np.uint8], cells: NDArray[np.uint8], offsets: NDArray[np.int64], stage: str
    ) -> NDArray[np.uint8]:
        """One pass of k-means over all descriptors and all words at once (approximate: Philbin et al., CVPR 2007)."""
        search = TwoLevelSearch(words, cells, offsets, unit=self._unit, forms=self._forms, probes=8)
        sums = np.zeros(words.shape, np.float64)
        members = np.zeros(len(words), np.int64)
        for part in self._chunks(stage):
            inside = self._descriptors[part]
            bases, turns = np.divmod(search.nearest(inside, 1)[:, 0], self._forms)
            sums += _sums(_turn(inside, turns, self._forms), bases, len(words))
            members += np.bincount(bases, minlength=len(words))
        means = np.rint(sums * self._unit / np.maximum(members, 1)[:, None]).astype(np.uint8)
        return np.where(members[:, None] > 0, means, words)

    def _turned(
        self, inside: NDArray[np.uint8], cells: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        bases, turns = np.divmod(self._cell_search(cells).probe(inside)[:, 0], self._forms)
        return bases, _turn(inside, turns, self._forms)

    def _cell_search(self, cells: NDArray[np.uint8]) -> TwoLevelSearch:
        return TwoLevelSearch(cells, cells, np.arange(len(cells) + 1), unit=self._unit, forms=self._forms, probes=1)

    def _means(
        self, inside: NDArray[np.uint8], nearest: NDArray[np.integer], centres: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        members = np.bincount(nearest, minlength=len(centres))
        sums = _sums(inside, nearest, len(centres)) * self._unit
        means = np.rint(sums / np.maximum(members, 1)[:, None]).astype(np.uint8)
        empty = np.flatnonzero(members == 0)
        means[empty] = inside[self._random.choice(len(inside), len(empty))] * np.uint8(self._unit)
        return means

    def _sample(self, count: int) -> NDArray[np.uint8]:
        rows = np.sort(self._random.choice(len(self._descriptors), count, replace=False))
        return self._descriptors[rows]

    def _chunks(self, stage: str) -> Iterable[slice]:
        for start in range(0, len(self._descriptors), CHUNK):
            yield slice(start, start + CHUNK)
            self._report(stage, min(start + CHUNK, len(self._descriptors)), len(self._descriptors))


def ordered_by_cell(
    words: NDArray[np.uint8], cells: NDArray[np.uint8], forms: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Put each word into its nearest cell, in the form in which it is nearest."""
    search = TwoLevelSearch(cells, cells, np.arange(len(cells) + 1), unit=1, forms=forms, probes=1)
    homes, turns = np.divmod(search.probe(words)[:, 0], forms)
    order = np.argsort(homes, kind="stable")
    offsets = np.searchsorted(homes[order], np.arange(len(cells) + 1))
    return _turn(words, turns, forms)[order], offsets.astype(np.int64)


def _turn(descriptors: NDArray[np.uint8], turns: NDArray[np.integer], forms: int) -> NDArray[np.uint8]:
    """Each descriptor in the form given for it."""
    if forms == 1:
        return descriptors
    return np.take_along_axis(descriptors, SIFT_PERMUTATIONS[turns], axis=1)


def _sums(inside: NDArray[np.uint8], nearest: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Sums of the rows that belong to each of ``count`` centres."""
    rows = np.arange(len(inside))
    chosen = csr_array((np.ones(len(inside), np.float64), (nearest, rows)), shape=(count, len(inside)))
    return np.asarray(chosen @ inside.astype(np.float64))


def _apportion(weights: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Whole shares of a total in proportion to weights, by largest remainders.

    The total is at most the sum of the weights, so that no share is above its weight.

    >>> _apportion(np.array([70, 20, 10]), 4).tolist()
    [3, 1, 0]
    """
    exact = weights * (total / weights.sum())
    shares: NDArray[np.int64] = exact.astype(np.int64)
    missing = total - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    return shares
