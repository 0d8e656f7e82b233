"""Find images that look the same as a whole, for pictures with too few features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import (
    FEW_FEATURES,
    FORMS,
    LEAST_DETAIL,
    LOOK,
    LookArray,
    WholePicture,
)
from featmatch.images.pixels import GreyImage
from featmatch.proof.proof import Proof
from featmatch.proof.whole import evidence_of_looks, proof_of_look
from featmatch.search.matches import FoundImage, in_order
from featmatch.store.segment import Segment

_HASH_LIMIT = 20  # of 64 bits: perceptual hashes of unlike pictures differ in 32, give or take 4
_SHORTLIST = 200  # pairs of an image and a form that are compared closely
_MOST = 4  # matches; each costs a look at a file


class Nearest(NamedTuple):
    """Pairs of an image and a form of the query whose perceptual hashes are near, the nearest first; columns of N rows.

    Attributes:
        distances: (N,) int64, bits.
        images: (N,) int64, numbers.
        forms: (N,) int64, of ``FORMS``.
        sizes: (N, 2) int64, width and height of the image, px.
        looks: (N,) of ``LOOK``, of the image.
    """

    distances: NDArray[np.int64]
    images: NDArray[np.int64]
    forms: NDArray[np.int64]
    sizes: NDArray[np.int64]
    looks: LookArray

    @classmethod
    def of(cls, parts: Iterable[Nearest]) -> Nearest:
        """The pairs of several, one behind the other."""
        nothing = np.empty(0, np.int64)
        none = cls(nothing, nothing, nothing, np.empty((0, 2), np.int64), np.empty(0, LOOK))
        return cls(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))

    def closest(self) -> Nearest:
        """So many of them as are compared closely."""
        return self.part(np.lexsort((self.forms, self.images, self.distances))[:_SHORTLIST])

    def part(self, rows: NDArray[Any]) -> Nearest:
        """Some of them, by their rows or by a mask."""
        return Nearest(*(column[rows] for column in self))


def nearest(
    query: WholePicture,
    shape: float,
    features: int,
    segments: Sequence[Segment],
    removed: frozenset[int],
    among: Sequence[int] | None = None,
    *,
    stretch: float,
) -> Nearest:
    """Find the images whose hashes are the nearest to those of a query, and whose shapes fit.

    Args:
        query: as a whole.
        shape: its width by its height.
        features: how many the query has.
        segments: where to look.
        removed: numbers of images that are not to be found.
        among: numbers of the only images that are to be found; None: all.
        stretch: ratio by which the shapes of two frames may differ.
    """
    own = [1 / shape if form % 2 else shape for form in range(FORMS)]
    gone = np.fromiter(removed, np.int64)
    parts = []
    for segment in segments:
        hashes = segment.phashes if features < FEW_FEATURES else segment.phashes[segment.plain]
        for form, phash in enumerate(query.phashes):
            distances = np.bitwise_count(phash ^ hashes)
            places = np.flatnonzero(distances <= _HASH_LIMIT)
            if not len(places):
                continue  # as nearly always
            rows = places if features < FEW_FEATURES else segment.plain[places]
            ids = segment.ids[rows]
            shapes = segment.widths[rows] / segment.heights[rows]
            fits = (shapes <= stretch * own[form]) & (own[form] <= stretch * shapes)
            fits &= ~np.isin(ids, gone)
            if among is not None:
                fits &= np.isin(ids, np.asarray(among, np.int64))
            rows = rows[fits]
            sizes = np.stack([segment.widths[rows], segment.heights[rows]], axis=1).astype(np.int64)
            forms = np.full(len(rows), form)
            parts.append(Nearest(distances[places][fits], ids[fits], forms, sizes, segment.looks[rows]))
    return Nearest.of(parts).closest()


def whole_candidates(found: Nearest, query: WholePicture, grey: GreyImage) -> list[FoundImage]:
    """Of the images with the nearest hashes, those that look the most like the query; each once, best first.

    Args:
        found: all that are compared closely.
        query: as a whole.
        grey: the same picture.
    """
    evidence = evidence_of_looks(query.looks[found.forms], found.looks)
    scores, images = [one.score() for one in evidence], found.images.tolist()
    best: dict[int, FoundImage] = {}
    for row in sorted(range(len(images)), key=lambda row: (-scores[row], images[row])):
        if len(best) < _MOST and images[row] not in best and evidence[row].likeness.layout >= LEAST_DETAIL:
            width, height = found.sizes[row].tolist()
            proof = proof_of_look(evidence[row], int(found.forms[row]), (grey.width, grey.height), (width, height))
            best[images[row]] = FoundImage(images[row], proof)
    return list(best.values())


def preferred(by_features: Iterable[FoundImage], as_whole: Iterable[FoundImage]) -> list[FoundImage]:
    """Merge both results: an image keeps its proof by features if that is proven, else the one that scores higher.

    That it is known as a sister is worth more than a look that proves nothing.
    """
    best = {one.id: one for one in by_features}
    for one in as_whole:
        other = best.get(one.id)
        if other is None or (other.score < one.score and not _goes_before(other.proof, one.proof)):
            best[one.id] = one
    return in_order(best.values())


def _goes_before(by_features: Proof, as_whole: Proof) -> bool:
    return by_features.proven or (by_features.evidence.is_sister and not as_whole.proven)
