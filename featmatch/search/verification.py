"""Verify the candidates of a search: by geometry, by what several of them share, and by pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.forms import SeenForm
from featmatch.geometry.exact import inverse
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.maps import project
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.significance import Inliers, distinct, weigh_inliers
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Proof, proof_of_fit
from featmatch.search.candidates import Candidate
from featmatch.search.closer import CloserLook
from featmatch.search.matches import FoundImage, in_order
from featmatch.search.relatives import NO_CHANCE, is_doubtful
from featmatch.search.sisters import told_from_sisters

# Images whose pixels are compared at most: reading their pictures takes longer than the search. More, if they would be
# claimed unseen.
_LOOKED_AT, _MOST_LOOKED_AT = 16, 64

# What this many images share with a query, each in a part only, is no copy.
_SEVERAL = 2
_EVEN = 0.8  # evenness below this is a part
_HARDLY_CHANCE = 3.0  # score that chance seldom makes
_DOUBTFUL = 0.005  # share of contradicting cells from which a claim wants witnesses
_WITNESSES = 4  # that are looked at for it
_MOST_DOUBTFUL = 2  # claims of which relatives are looked up: each takes as long as a query
_CELLS = 20  # along the longer side of the query, in which places are told apart


@dataclass(frozen=True, eq=False)
class Fitted:
    """An image whose hits agree on a homography, before it is seen what other images share with the query.

    Attributes:
        rank: of the first of its variants that has one.
        image: with the best of them.
        inliers: what it is weighed by again, without what others share; None where that is not done.
    """

    rank: int
    image: FoundImage
    inliers: Inliers | None


class Matched(NamedTuple):
    """Where an image matches a query.

    Attributes:
        image: its number.
        points: (N, 2) float64, its inliers in the query, px.
    """

    image: int
    points: NDArray[np.float64]

    def seen_in(self, form: SeenForm) -> Matched:
        """The same in a form of the query, px of the form."""
        return Matched(self.image, project(inverse(form.original_from_form), self.points))


def fit_candidates(
    candidates: Iterable[tuple[int, Candidate]], query: Features, options: GeometryOptions
) -> list[Fitted]:
    """Fit a homography to each candidate; return the images that have one, each once, in the order of their ranks.

    Args:
        candidates: images with their hits, each with its rank, ascending; one image may come in several variants.
        query: features of the query as it is.
        options: the tolerances.
    """
    best: dict[int, tuple[int, Candidate, Fit]] = {}
    for rank, candidate in candidates:
        size = (candidate.width, candidate.height)
        fit = fit_homography(candidate.matches, (query.width, query.height), size, options)
        first, _, other = best.get(candidate.id, (rank, candidate, None))
        if fit is not None and (other is None or other.score < fit.score):
            best[candidate.id] = first, candidate, fit
    return [_fitted(*found, query) for found in best.values()]


def _fitted(rank: int, candidate: Candidate, fit: Fit, query: Features) -> Fitted:
    proof = proof_of_fit(fit, candidate.matches, candidate.variant, query, (candidate.width, candidate.height))
    inliers = Inliers.of(candidate.matches, fit.inliers) if _is_partial(proof) else None
    return Fitted(rank, FoundImage(candidate.id, proof), inliers)


def judge(
    fitted: Iterable[Fitted], query_size: tuple[int, int], options: GeometryOptions, known: Sequence[Matched] = ()
) -> list[FoundImage]:
    """Weigh images without what several of them share with the query, each in a part only; best first.

    Args:
        fitted: all images of one query.
        query_size: width and height, px.
        options: the tolerances.
        known: what other looks at the query have found.
    """
    ranked = sorted(fitted, key=lambda one: one.rank)
    places = {one.rank: _places(one.image.proof.query_points, query_size) for one in ranked if one.inliers is not None}
    own = [(one.image.id, places[one.rank]) for one in ranked if one.rank in places]
    recurring = _recurring([*own, *((one.image, _places(one.points, query_size)) for one in known)])
    found = []
    for one in ranked:
        image = one.image
        if one.inliers is not None:
            elsewhere = ~np.isin(places[one.rank], recurring)
            if not elsewhere.all():
                image = _with_rest(image, one.inliers.part(elsewhere), query_size, options)
        found.append(image)
    return in_order(found)


def _with_rest(image: FoundImage, rest: Inliers, query_size: tuple[int, int], options: GeometryOptions) -> FoundImage:
    """The image, with what speaks for it alone."""
    proof, evidence = image.proof, image.proof.evidence
    assert isinstance(evidence, FeatureEvidence)
    score = weigh_inliers(rest, query_size, proof.reference_size, options).score
    proof = dataclasses.replace(proof, evidence=dataclasses.replace(evidence, distinct=score))
    return dataclasses.replace(image, proof=proof)


def _is_partial(proof: Proof) -> bool:
    """Whether significant inliers cover only a part of the shared region, or the region is an overlap."""
    uneven = proof.evidence.evenness < _EVEN or proof.relation.kind == "overlap"
    return uneven and proof.evidence.geometry > NO_CHANCE


def matched_in_part(found: Iterable[FoundImage]) -> list[Matched]:
    """Where images match a query in a part only, so that they can share it with others."""
    return [Matched(one.id, one.proof.query_points) for one in found if _is_partial(one.proof)]


def _places(points: NDArray[np.float64], query_size: tuple[int, int]) -> NDArray[np.int64]:
    """The cell of the query that each point lies in."""
    cells = np.floor(points * (_CELLS / max(query_size))).astype(np.int64)
    return np.asarray(cells[:, 0] * (_CELLS + 1) + cells[:, 1])


def _recurring(places: Iterable[tuple[int, NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Cells of the query that several images match: a logo, a caption, a frame, a pattern. Each image counts once."""
    of_images: dict[int, NDArray[np.int64]] = {}
    for image, cells in places:
        of_images[image] = distinct(np.concatenate([of_images.get(image, cells), cells]))
    cells, counts = np.unique(np.concatenate([np.empty(0, np.int64), *of_images.values()]), return_counts=True)
    return cells[counts >= _SEVERAL]


def compare_pixels(
    found: Sequence[FoundImage],
    query: GreyImage,
    pictures_of: Callable[[Sequence[int]], Mapping[int, GreyImage | None]],
    closer: CloserLook | None = None,
    relatives: Callable[[FoundImage, GreyImage], list[FoundImage]] | None = None,
) -> list[FoundImage]:
    """Look at all images that are claimed, could be after a look, or bear witness; sort all again.

    What cannot be chance bears witness: it may show that others are sisters. Of many images, those with the most
    geometry are looked at, and only if their pictures are at hand.

    Args:
        found: best first.
        query: the picture that was looked up.
        pictures_of: numbers of images -> the picture of each, or None where it is not at hand.
        closer: how those that may be right are looked at again, if none is claimed; None: not at all.
        relatives: an image and its picture -> others that share a part with it, laid over the query. They bear witness
            where a claim is doubtful, and are no answers. None: there are none.
    """
    hopeful = worth_a_look(found)
    pictures = pictures_of([one.id for one in hopeful])
    looked_at = [_with_pixels(one, query, pictures[one.id]) for one in hopeful]
    told = told_from_sisters(looked_at)
    again = set() if closer is None else set(closer.worth_it(told))
    if closer is not None and again:
        looked_at = [_closer(one, closer, pictures[one.id]) if one.id in again else one for one in looked_at]
        told = told_from_sisters(looked_at)
    known = {one.id for one in looked_at}
    unseen = [one for one in _by_geometry(found) if one.id not in known]
    if any(one.proof.proven and (one.proof.evidence.contradiction or 0.0) > _DOUBTFUL for one in told):
        witnesses = [one for one in unseen if one.proof.evidence.geometry > _HARDLY_CHANCE][:_WITNESSES]
        if witnesses:
            pictures = pictures_of([one.id for one in witnesses])
            looked_at = [*looked_at, *(_with_pixels(one, query, pictures[one.id]) for one in witnesses)]
            told = told_from_sisters(looked_at)
            unseen = [one for one in unseen if one not in witnesses]
    if relatives is not None:
        known = {one.id for one in looked_at}
        more: dict[int, FoundImage] = {}
        for one in [one for one in in_order(told) if is_doubtful(one)][:_MOST_DOUBTFUL]:
            if (picture := pictures_of([one.id])[one.id]) is not None:
                more |= {other.id: other for other in relatives(one, picture) if other.id not in known}
        if more:
            told = [one for one in told_from_sisters([*looked_at, *more.values()]) if one.id in known]
    return in_order([*told, *unseen])


def _closer(found: FoundImage, closer: CloserLook, reference: GreyImage | None) -> FoundImage:
    return found if reference is None else closer.at(found, reference)


def worth_a_look(found: Iterable[FoundImage]) -> list[FoundImage]:
    """The images whose pixels ``compare_pixels`` compares first, in that order."""
    hopeful = [
        one for one in _by_geometry(found) if one.proof.could_be_proven or one.proof.evidence.geometry > NO_CHANCE
    ]
    return [*hopeful[:_LOOKED_AT], *(one for one in hopeful[_LOOKED_AT:_MOST_LOOKED_AT] if one.proof.proven)]


def _by_geometry(found: Iterable[FoundImage]) -> list[FoundImage]:
    return sorted(found, key=lambda one: -one.proof.evidence.geometry)


def _with_pixels(found: FoundImage, query: GreyImage, reference: GreyImage | None) -> FoundImage:
    if reference is None:
        return found
    return FoundImage(found.id, found.proof.with_pixels(query, reference), reference.damaged)
