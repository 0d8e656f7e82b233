"""Images of an index that look the same as a whole, from what is stored of each: their hashes, layouts and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import FEW_FEATURES, Look
from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.proof.whole import evidence_of_looks
from featmatch.store.segment import Segment

_HASH_LIMIT = 10  # of 64 bits: there are no pixels to look at, so less than for queries
_NEAREST = 100  # images of the nearest hashes that are compared closely


@dataclass(frozen=True)
class Looks:
    """What is stored of each image as a whole, as it is: mirrored and turned copies do not look the same.

    Attributes:
        ids: (N,) int64, sorted.
        phashes: (N,) uint64.
        looks: (N,) of ``whole.LOOK``.
        features: (N,) int32, how many each has.
        sizes: (N, 2) int32, width and height, px.
    """

    ids: NDArray[np.int64]
    phashes: NDArray[np.uint64]
    looks: Look
    features: NDArray[np.int32]
    sizes: NDArray[np.int32]

    @classmethod
    def of(cls, segments: Sequence[Segment], live: Sequence[NDArray[np.bool_]]) -> Looks:
        """Those of the images that can be found."""
        ids = np.concatenate([segment.ids[alive] for segment, alive in zip(segments, live, strict=True)])
        order = np.argsort(ids)

        def column(name: str) -> NDArray[np.generic]:
            parts = [np.asarray(getattr(segment, name)[alive]) for segment, alive in zip(segments, live, strict=True)]
            return np.concatenate(parts)[order]

        sizes = np.stack([column("widths"), column("heights")], axis=1)
        return cls(ids[order], column("phashes"), column("looks"), column("features"), sizes)  # type: ignore[arg-type]

    def row(self, image: int) -> int:
        """Where an image is."""
        return int(np.searchsorted(self.ids, image))

    def size(self, image: int) -> tuple[int, int]:
        """Width and height of an image, px."""
        width, height = self.sizes[self.row(image)].tolist()
        return width, height

    def score(self, a: int, b: int) -> float:
        """The log-odds that two images are the same picture as a whole."""
        return evidence_of_looks(self.looks[[self.row(a)]], self.looks[[self.row(b)]])[0].score()

    def nearest(self, image: int, compared: NDArray[np.int64]) -> list[int]:
        """Images that may be the same as one, of those that come before it, where features are few in one of both."""
        own = self.row(image)
        asked = (self.ids < image) | np.isin(self.ids, compared)
        asked &= (self.features < FEW_FEATURES) | (self.features[own] < FEW_FEATURES)
        asked[own] = False
        rows = np.flatnonzero(asked)
        distances = np.bitwise_count(self.phashes[rows] ^ self.phashes[own])
        near = np.argsort(distances, kind="stable")[:_NEAREST]
        return [int(image) for image in self.ids[rows[near[distances[near] <= _HASH_LIMIT]]]]

    def homography(self, a: int, b: int) -> Matrix:
        """(3, 3): px of one image to px of the other, where their frames lie on one another."""
        x, y = (self.sizes[self.row(b)] / self.sizes[self.row(a)]).tolist()
        return scaling_matrix(x, y)
