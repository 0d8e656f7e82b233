"""Find images that look the same as a whole, for pictures with too few features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import (
    FEW_FEATURES,
    FORMS,
    LEAST_DETAIL,
    WholePicture,
)
from featmatch.images.pixels import GreyImage
from featmatch.proof.whole import evidence_of_looks, proof_of_look
from featmatch.search.matches import FoundImage, in_order
from featmatch.store.segment import Segment

_HASH_LIMIT = 20  # of 64 bits: perceptual hashes of unlike pictures differ in 32, give or take 4
_SHORTLIST = 200  # pairs of an image and a form that are compared closely
_MOST = 4  # matches; each costs a look at a file
_STRETCH = 1.1051709180756477  # e to the 0.1; ratio by which the shapes of two frames may differ


def whole_candidates(
    query: WholePicture,
    grey: GreyImage,
    features: int,
    segments: Sequence[Segment],
    removed: frozenset[int],
    among: Sequence[int] | None = None,
) -> list[FoundImage]:
    """Find the images that look the most like a query as a whole; each once, best first.

    Args:
        query: as a whole.
        grey: the same picture.
        features: how many the query has.
        segments: where to look.
        removed: numbers of images that are not to be found.
        among: numbers of the only images that are to be found; None: all.
    """
    forms, numbers, rows = _nearest(query, grey.width / grey.height, features, segments, removed, among)
    if len(rows) == 0:
        return []
    ids = [int(segments[number].ids[row]) for number, row in zip(numbers, rows, strict=True)]
    others = np.array([segments[number].looks[row] for number, row in zip(numbers, rows, strict=True)])
    evidence = evidence_of_looks(query.looks[forms], others)
    scores = [one.score() for one in evidence]
    found: dict[int, FoundImage] = {}
    for place in sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place])):
        if len(found) < _MOST and ids[place] not in found and evidence[place].likeness.layout >= LEAST_DETAIL:
            segment, row = segments[numbers[place]], rows[place]
            sizes = (grey.width, grey.height), (int(segment.widths[row]), int(segment.heights[row]))
            found[ids[place]] = FoundImage(ids[place], proof_of_look(evidence[place], int(forms[place]), *sizes))
    return list(found.values())


def _nearest(
    query: WholePicture,
    shape: float,
    features: int,
    segments: Sequence[Segment],
    removed: frozenset[int],
    among: Sequence[int] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Form, segment and row of the images whose hashes are the nearest and whose shapes fit, nearest first."""
    own = [1 / shape if form % 2 else shape for form in range(FORMS)]
    gone = np.fromiter(removed, np.int64)
    parts = []
    for number, segment in enumerate(segments):
        hashes = segment.phashes if features < FEW_FEATURES else segment.phashes[segment.plain]
        for form, phash in enumerate(query.phashes):
            distances = np.bitwise_count(phash ^ hashes)
            places = np.flatnonzero(distances <= _HASH_LIMIT)
            rows = places if features < FEW_FEATURES else segment.plain[places]
            ids = segment.ids[rows]
            shapes = segment.widths[rows] / segment.heights[rows]
            fits = (shapes <= _STRETCH * own[form]) & (own[form] <= _STRETCH * shapes)
            fits &= ~np.isin(ids, gone)
            if among is not None:
                fits &= np.isin(ids, np.asarray(among, np.int64))
            constant = np.full((2, len(rows)), [[form], [number]])
            parts.append(np.stack([distances[places], ids, *constant, rows])[:, fits])
    distances, ids, forms, numbers, rows = np.concatenate(parts or [np.empty((5, 0), np.int64)], axis=1)
    order = np.lexsort((forms, ids, distances))[:_SHORTLIST]
    return forms[order], numbers[order], rows[order]


def preferred(by_features: Iterable[FoundImage], as_whole: Iterable[FoundImage]) -> list[FoundImage]:
    """Merge both results: an image keeps its proof by features if that is proven, else the one that scores higher."""
    best = {one.id: one for one in by_features}
    for one in as_whole:
        other = best.get(one.id)
        if other is None or (not other.proof.proven and other.score < one.score):
            best[one.id] = one
    return in_order(best.values())
