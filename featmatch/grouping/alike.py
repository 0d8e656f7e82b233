"""Which stored images look the same as a whole: by their hashes, layouts and colours. No image is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import FEW_FEATURES, LookArray
from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.proof.whole import evidence_of_looks
from featmatch.store.segment import Segment

_HASH_LIMIT = 10  # of 64 bits that may differ; stricter than for queries, as there are no pixels to check with
_NEAREST = 100  # images with the nearest hashes, of which the rest is compared


@dataclass(frozen=True)
class StoredLooks:
    """The stored looks of all images, as columns. Mirrored and turned copies do not look the same.

    Attributes:
        ids: (N,) int64, sorted.
        phashes: (N,) uint64.
        looks: (N,) of ``looks.LOOK``.
        features: (N,) int32, number of features of each.
        sizes: (N, 2) int32, width and height, px.
    """

    ids: NDArray[np.int64]
    phashes: NDArray[np.uint64]
    looks: LookArray
    features: NDArray[np.int32]
    sizes: NDArray[np.int32]

    @classmethod
    def of(cls, segments: Sequence[Segment], live: Sequence[NDArray[np.bool_]]) -> StoredLooks:
        """Read the looks of the images that are still in the index."""
        parts = list(zip(segments, live, strict=True))
        ids = np.concatenate([segment.ids[alive] for segment, alive in parts])
        order = np.argsort(ids)

        def column(name: str) -> NDArray[np.generic]:
            return np.concatenate([np.asarray(getattr(segment, name)[alive]) for segment, alive in parts])[order]

        sizes = np.stack([column("widths"), column("heights")], axis=1)
        return cls(ids[order], column("phashes"), column("looks"), column("features"), sizes)  # type: ignore[arg-type]

    def row(self, image: int) -> int:
        """Row of an image, by its id."""
        return int(np.searchsorted(self.ids, image))

    def size(self, image: int) -> tuple[int, int]:
        """Width and height of an image, px."""
        width, height = self.sizes[self.row(image)].tolist()
        return width, height

    def score(self, a: int, b: int) -> float:
        """Log-odds that two images are the same picture as a whole."""
        return evidence_of_looks(self.looks[[self.row(a)]], self.looks[[self.row(b)]])[0].score()

    def nearest(self, image: int, earlier: NDArray[np.int64]) -> list[int]:
        """Ids of images with nearly the same hash as one, the nearest first.

        Only pairs in which one has few features are looked at; for others their features decide.

        Args:
            image: id of the one.
            earlier: ids of images to look at although they are higher; of the others only lower ones are.
        """
        own = self.row(image)
        rows = np.arange(len(self.ids)) if self.features[own] < FEW_FEATURES else self._plain
        distances = np.bitwise_count(self.phashes[rows] ^ self.phashes[own])
        is_near = distances <= _HASH_LIMIT
        rows, distances = rows[is_near], distances[is_near]
        asked = (rows < own) | ((rows > own) & np.isin(self.ids[rows], earlier))
        rows, distances = rows[asked], distances[asked]
        return [int(image) for image in self.ids[rows[np.argsort(distances, kind="stable")[:_NEAREST]]]]

    @cached_property
    def _plain(self) -> NDArray[np.intp]:
        """Rows of the images with few features."""
        return np.flatnonzero(self.features < FEW_FEATURES)

    def homography(self, a: int, b: int) -> Matrix:
        """(3, 3): px of image ``a`` to px of image ``b``, if both show the same frame."""
        x, y = (self.sizes[self.row(b)] / self.sizes[self.row(a)]).tolist()
        return scaling_matrix(x, y)
