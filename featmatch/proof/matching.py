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
from featmatch.words.flann import FlannIndex

# Distance of descriptors below which two features look alike, whatever picture they are in. Half of the features that
# true copies have in common are nearer than 90, nine tenths nearer than 180. It was measured for SIFT alone.
_ALIKE = {"sift": 150.0}
_NEIGHBOURS = 10  # that are looked at: a feature with more that are like it says no less


@dataclass(frozen=True)
class MatchingOptions:
    """Which nearest neighbours are believed."""

    ratio: float = 0.85  # highest ratio of distances, nearest to second nearest (Lowe, IJCV 2004); 0.1 to 1
    checks: int = 128  # leaves of the trees that FLANN looks at; more find more, slower; 1 to 100000

    def __post_init__(self) -> None:
        check_options(self)
        if not (0.1 <= self.ratio <= 1 and 1 <= self.checks <= 100_000):
            raise UsageError(f"matching options out of range: {self}")


class DescriptorMatcher:
    """Matches queries with one reference, whose descriptors are put into a FLANN index once."""

    def __init__(self, reference: Features, options: MatchingOptions) -> None:
        self._reference = reference
        self._options = options
        self._index = FlannIndex(reference.descriptors.astype(np.float32))

    def match(self, query: Features) -> TentativeMatches:
        """Pairs of features that are each other's nearest, and pass the ratio test; the lowest ratio first.

        The nearest of many that look alike, as the bars of a code do, passes the test by chance: these are its rivals.
        """
        options, reference = self._options, self._reference
        nearest, distances = self._neighbours(self._index, query.descriptors, len(reference))
        ratios = np.sqrt(distances[:, 0] / np.maximum(distances[:, 1], 1e-9))
        rows = np.flatnonzero(ratios <= options.ratio)
        partners = nearest[rows, 0].astype(np.int64)
        index = FlannIndex(query.descriptors.astype(np.float32))
        back, distances_back = self._neighbours(index, reference.descriptors[partners], len(query))
        surest_first = np.argsort(ratios[rows], kind="stable")
        mutual = surest_first[(back[:, 0] == rows)[surest_first]]
        rivals = self._rivals(distances[rows[mutual]], distances_back[mutual])
        rows, partners = rows[mutual], partners[mutual]
        return TentativeMatches.between(
            _keypoints(query, rows),
            _keypoints(reference, partners),
            costs=ratios[rows].astype(np.float64),
            query_rows=rows,
            reference_rows=partners,
            rivals=rivals,
        )

    def _neighbours(
        self, index: FlannIndex, descriptors: NDArray[np.uint8], among: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        return index.nearest(descriptors.astype(np.float32), min(_NEIGHBOURS, among), self._options.checks)

    def _rivals(self, there: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """How many of the other picture look like a feature, or its partner, whichever has more; squared distances."""
        alike = _ALIKE.get(descriptors_of(self._reference.detector))
        if alike is None:
            return None
        counts = [(distances < alike * alike).sum(axis=1) for distances in (there, back)]
        return np.asarray(np.maximum(np.maximum(*counts), 1), np.int64)


def _keypoints(features: Features, rows: NDArray[np.integer]) -> Keypoints:
    octaves = log2(np.maximum(features.sizes[rows], 1e-3))
    return Keypoints(features.keypoints[rows], features.angles[rows], octaves)
