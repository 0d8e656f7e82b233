"""Descriptors of two pictures -> tentative matches, without a vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features.detectors import descriptors_of
from featmatch.features.extraction import Features
from featmatch.geometry.exact import log2
from featmatch.geometry.matches import Keypoints, TentativeMatches
from featmatch.native.words import Centres, nearest_cells

# Distance of descriptors below which two features look alike, whatever picture they are in. Half of the features that
# true copies have in common are nearer than 90, nine tenths nearer than 180. It was measured for SIFT alone.
_ALIKE = {"sift": 150.0}
_NEIGHBOURS = 10  # that are looked at: a feature with more that are like it says no less


@dataclass(frozen=True)
class MatchingOptions:
    """Which nearest neighbours are believed."""

    ratio: float = 0.85  # highest ratio of distances, nearest to second nearest (Lowe, IJCV 2004); 0.1 to 1

    def __post_init__(self) -> None:
        check_options(self)
        if not 0.1 <= self.ratio <= 1:
            raise UsageError(f"matching options out of range: {self}")


class DescriptorMatcher:
    """Matches queries with one reference, whose descriptors are packed once."""

    def __init__(self, reference: Features, options: MatchingOptions) -> None:
        self._reference = reference
        self._options = options
        self._descriptors = _Descriptors(reference.descriptors)

    def match(self, query: Features) -> TentativeMatches:
        """Pairs of features that are each other's nearest, and pass the ratio test; the lowest ratio first.

        The nearest of many that look alike, as the bars of a code do, passes the test by chance: these are its rivals.
        """
        reference = self._reference
        nearest, distances = self._descriptors.nearest(query.descriptors)
        ratios = np.sqrt(distances[:, 0] / np.maximum(distances[:, 1], 1))
        rows = np.flatnonzero(ratios <= self._options.ratio)
        partners = nearest[rows, 0]
        back, distances_back = _Descriptors(query.descriptors).nearest(reference.descriptors[partners])
        surest_first = np.argsort(ratios[rows], kind="stable")
        mutual = surest_first[(back[:, 0] == rows)[surest_first]]
        rivals = self._rivals(distances[rows[mutual]], distances_back[mutual])
        rows, partners = rows[mutual], partners[mutual]
        return TentativeMatches.between(
            _keypoints(query, rows),
            _keypoints(reference, partners),
            costs=ratios[rows],
            query_rows=rows,
            reference_rows=partners,
            rivals=rivals,
        )

    def _rivals(self, there: NDArray[np.int64], back: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """How many of the other picture look like a feature, or its partner, whichever has more; squared distances."""
        alike = _ALIKE.get(descriptors_of(self._reference.detector))
        if alike is None:
            return None
        counts = [(distances < alike * alike).sum(axis=1) for distances in (there, back)]
        return np.asarray(np.maximum(np.maximum(*counts), 1), np.int64)


class _Descriptors:
    """Descriptors among which to find the nearest: each is compared, in less time than trees take to find most of them.

    Args:
        descriptors: (K, D) uint8.
    """

    def __init__(self, descriptors: NDArray[np.uint8]) -> None:
        self._all = np.ascontiguousarray(descriptors)
        self._packed = Centres(self._all)

    def nearest(self, descriptors: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of (N, D) uint8 the nearest rows, up to ten, and their squared distances: (N, 10) each, nearest first."""
        descriptors = np.ascontiguousarray(descriptors)
        rows = nearest_cells(self._packed, 1, descriptors, min(_NEIGHBOURS, len(self._all)))
        there, here = self._all.astype(np.int32), descriptors.astype(np.int32)
        distances = np.empty(rows.shape, np.int64)
        for place, row in enumerate(rows.T):  # one after the other, as all at once take ten times the memory
            difference = here - there[row]
            distances[:, place] = np.einsum("nd,nd->n", difference, difference)
        return rows, distances


def _keypoints(features: Features, rows: NDArray[np.integer]) -> Keypoints:
    octaves = log2(np.maximum(features.sizes[rows], 1e-3))
    return Keypoints(features.keypoints[rows], features.angles[rows], octaves)
