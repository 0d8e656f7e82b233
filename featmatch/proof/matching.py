"""Descriptors of two pictures -> tentative matches, without a vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.geometry.exact import log2
from featmatch.geometry.matches import Keypoints, TentativeMatches
from featmatch.words.flann import FlannIndex


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
        """Pairs of features that are each other's nearest, and pass the ratio test; the lowest ratio first."""
        options, reference = self._options, self._reference
        nearest, distances = self._index.nearest(query.descriptors.astype(np.float32), 2, options.checks)
        ratios = np.sqrt(distances[:, 0] / np.maximum(distances[:, 1], 1e-9))
        rows = np.flatnonzero(ratios <= options.ratio)
        partners = nearest[rows, 0].astype(np.int64)
        back, _ = FlannIndex(query.descriptors.astype(np.float32)).nearest(
            reference.descriptors[partners].astype(np.float32), 1, options.checks
        )
        surest_first = np.argsort(ratios[rows], kind="stable")
        mutual = surest_first[(back[:, 0] == rows)[surest_first]]
        rows, partners = rows[mutual], partners[mutual]
        return TentativeMatches.between(
            _keypoints(query, rows),
            _keypoints(reference, partners),
            costs=ratios[rows].astype(np.float64),
            query_rows=rows,
            reference_rows=partners,
        )


def _keypoints(features: Features, rows: NDArray[np.integer]) -> Keypoints:
    octaves = log2(np.maximum(features.sizes[rows], 1e-3))
    return Keypoints(features.keypoints[rows], features.angles[rows], octaves)
