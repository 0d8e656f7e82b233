"""Verify the candidates of a search: by geometry, by what several of them share, and by pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.significance import distinct, weigh
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Proof, proof_of_fit
from featmatch.search.matches import FoundImage, in_order
from featmatch.search.sisters import told_from_sisters
from featmatch.search.voting import Candidate

# Images whose pixels are compared at most: reading their pictures takes longer than the search. More, if they would be
# claimed unseen.
_LOOKED_AT, _MOST_LOOKED_AT = 16, 64

# What this many images share with a query, each in a part only, is no copy.
_SEVERAL = 2
_EVEN = 0.8  # evenness below this is a part
_NO_CHANCE = 8.0  # score that chance hardly makes
_CELLS = 20  # along the longer side of the query, in which places are told apart


def verify_candidates(
    candidates: Iterable[Candidate],
    query: Features,
    options: GeometryOptions,
) -> list[FoundImage]:
    """Fit a homography to each candidate; return those that have one, each image once, best first.

    Args:
        candidates: images with their hits; one image may come in several variants.
        query: features of the query as it is.
        options: the tolerances.
    """
    best: dict[int, tuple[Candidate, Fit]] = {}
    query_size = (query.width, query.height)
    for candidate in candidates:
        fit = fit_homography(candidate.matches, query_size, (candidate.width, candidate.height), options)
        if fit is not None and (candidate.id not in best or best[candidate.id][1].score < fit.score):
            best[candidate.id] = candidate, fit
    proofs = [
        proof_of_fit(fit, candidate.matches, candidate.variant, query, (candidate.width, candidate.height))
        for candidate, fit in best.values()
    ]
    partial = [_is_partial(proof) for proof in proofs]
    recurring = _recurring([_places(proof, query_size) for proof, part in zip(proofs, partial, strict=True) if part])
    for number, (candidate, fit) in enumerate(best.values()):
        elsewhere = ~np.isin(_places(proofs[number], query_size), recurring)
        evidence = proofs[number].evidence
        if partial[number] and isinstance(evidence, FeatureEvidence) and not elsewhere.all():
            reference_size = (candidate.width, candidate.height)
            rest = fit.inliers[elsewhere]
            score = weigh(candidate.matches, rest, query_size, reference_size, options).score
            proofs[number] = dataclasses.replace(proofs[number], evidence=dataclasses.replace(evidence, distinct=score))
    return in_order(FoundImage(image, proof) for image, proof in zip(best, proofs, strict=True))


def _is_partial(proof: Proof) -> bool:
    """Whether significant inliers cover only a part of the shared region, or the region is an overlap."""
    uneven = proof.evidence.evenness < _EVEN or proof.relation.kind == "overlap"
    return uneven and proof.evidence.geometry > _NO_CHANCE


def _places(proof: Proof, query_size: tuple[int, int]) -> NDArray[np.int64]:
    """The cell of the query that each inlier lies in."""
    cells = np.floor(proof.query_points * (_CELLS / max(query_size))).astype(np.int64)
    return np.asarray(cells[:, 0] * (_CELLS + 1) + cells[:, 1])


def _recurring(places: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Cells of the query that several images match: a logo, a caption, a frame, a pattern."""
    cells, counts = np.unique(np.concatenate([np.empty(0, np.int64), *map(distinct, places)]), return_counts=True)
    return cells[counts >= _SEVERAL]


def compare_pixels(
    found: Sequence[FoundImage], query: GreyImage, picture_of: Callable[[int], GreyImage | None]
) -> list[FoundImage]:
    """Look at all images that are claimed, could be after a look, or bear witness; sort all again.

    What cannot be chance bears witness: it may show that others are sisters. Of many images, those with the most
    geometry are looked at, and only if their files are at hand.

    Args:
        found: best first.
        query: the picture that was looked up.
        picture_of: the picture of an image, by its number, or None where it is not at hand.
    """
    by_geometry = sorted(found, key=lambda one: -one.proof.evidence.geometry)
    hopeful = [one for one in by_geometry if one.proof.could_be_proven or one.proof.evidence.geometry > _NO_CHANCE]
    claimed = [one for one in hopeful[_LOOKED_AT:_MOST_LOOKED_AT] if one.proof.proven]
    looked_at = [_with_pixels(one, query, picture_of(one.id)) for one in [*hopeful[:_LOOKED_AT], *claimed]]
    known = {one.id for one in looked_at}
    return in_order([*told_from_sisters(looked_at), *(one for one in by_geometry if one.id not in known)])


def _with_pixels(found: FoundImage, query: GreyImage, reference: GreyImage | None) -> FoundImage:
    if reference is None:
        return found
    return FoundImage(found.id, found.proof.with_pixels(query, reference), reference.damaged)
