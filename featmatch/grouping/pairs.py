"""Two images of an index -> whether they are copies of one another, from what is stored of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.regions import evenness
from featmatch.grouping.alike import Looks
from featmatch.grouping.joining import JoiningOptions, Partner, StoredImage, partners, stored_images
from featmatch.grouping.repeating import Repeated, repeated
from featmatch.proof.probability import feature_weights, probability_of
from featmatch.proof.proof import proof_of_fit
from featmatch.store.segment import Segment
from featmatch.words.vocabulary import Vocabulary

_LEAST_GEOMETRY = 8.0  # below it, a pair is not worth to be remembered: chance has done as much

# Log-odds that two pictures share all of what they both show, and not only a sign, a logo or a background: fitted to
# edited copies and to photos of the same thing (docs/groups.md).
_WHOLE, _PART = 40.0, -8.6
_EVENNESS, _UNEVEN = 15.0, -4.8
_GEOMETRY_AS_REPEATED = 1200.0  # so much geometry says as much as all features there again
_MOST_GEOMETRY = 200.0
_REPEATED_AS_GEOMETRY = 10.0  # all features there again speak against chance as so much geometry
_WHOLE_PICTURE = 0.8  # of the features of each lie in the other: their frames lie on one another
_NOTHING_SAID = -math.inf


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images that geometry puts on one another. The query is the one whose content (SHA-256) comes later.

    Attributes:
        query: its number.
        reference: its number.
        homography: (3, 3) float64, query px to reference px.
        mirrored: whether one is mirrored.
        negative: whether one is a negative.
        inliers: feature pairs that agree with the homography.
        geometry: as ``FeatureEvidence.geometry``.
        evenness: as ``FeatureEvidence.evenness``, the smaller of both images.
        in_reference: what of the query's features is in the reference.
        in_query: what of the reference's features is in the query.
        alike: log-odds that they are the same picture as a whole, whatever their features say.
    """

    query: int
    reference: int
    homography: Matrix
    mirrored: bool
    negative: bool
    inliers: int
    geometry: float
    evenness: float
    in_reference: Repeated
    in_query: Repeated
    alike: float = _NOTHING_SAID

    @property
    def again(self) -> float:
        """How much of what both show is there in both, and how evenly; 0 to 1."""
        share = max(self.in_reference.share, self.in_query.share)
        return share * min(self.in_reference.evenness, self.in_query.evenness)

    def probability(self, detector: str) -> float:
        """That one is a copy of the other, in whole or in part.

        As in ``FeatureEvidence.score`` there are two ways to be wrong. Against chance speaks the geometry; that it is
        more than a part, how evenly the matches lie, and how much of all features is there again. An edit that leaves
        few features as they were (JPEG at quality 5, waves) leaves many matches instead: these have a say as well.
        Pictures that lie on one another as a whole may be proven by their looks instead.
        """
        weights = feature_weights(detector, with_pixels=False)
        there = self.again + min(self.geometry, _MOST_GEOMETRY) / _GEOMETRY_AS_REPEATED
        no_chance = weights.geometry * (self.geometry + _REPEATED_AS_GEOMETRY * self.again) + weights.chance
        even = probability_of(_EVENNESS * self.evenness + _UNEVEN)
        by_features = probability_of(no_chance) * probability_of(_WHOLE * there + _PART) * even
        return 1 - (1 - by_features) * (1 - probability_of(self.alike))


def pairs_of(
    images: Sequence[StoredImage],
    segments: Sequence[Segment],
    live: Sequence[NDArray[np.bool_]],
    compared: NDArray[np.int64],
    vocabulary: Vocabulary,
    places: Mapping[int, int],
    joining: JoiningOptions,
    geometry: GeometryOptions,
) -> list[Pair]:
    """All pairs that some images make with those that come before them.

    What is said of a pair does not depend on which of the two came before the other.

    Args:
        images: that are looked up.
        segments: where to look.
        live: (images,) bool for each segment, which of its images can be found.
        compared: sorted numbers of images that come before all of ``images``, whatever their numbers.
        vocabulary: of the index.
        places: of all images, by number, in the order of their contents.
        joining: how partners are found.
        geometry: what counts as agreement.
    """
    before = [np.isin(segment.ids, compared) for segment in segments]
    looks = Looks.of(segments, live)
    found: list[_Found] = []
    pairs: list[Pair] = []
    for image in images:
        among = [
            alive & (first | (segment.ids < image.id)) & (segment.ids != image.id)
            for segment, alive, first in zip(segments, live, before, strict=True)
        ]
        agreeing = _agreeing(image, partners(image, segments, among, vocabulary, joining), looks, places, geometry)
        found += agreeing
        known = {number for one in agreeing for number in (one.query, one.reference)}
        for other in looks.nearest(image.id, compared):
            if other not in known:
                first, later = sorted((image.id, other), key=places.__getitem__)
                pairs.append(_by_looks(later, first, looks))
    wanted = {number for one in found for number in (one.query, one.reference)}
    stored = {image.id: image for image in stored_images(segments, sorted(wanted), vocabulary.detector)}
    pairs += [_pair(stored[one.query], stored[one.reference], one, looks, geometry) for one in found]
    return [pair for pair in pairs if pair.inliers or pair.alike > 0]


class _Found(NamedTuple):
    """Two images, the hits that they share, and the geometry that these agree on."""

    query: int
    reference: int
    variant: Variant
    matches: TentativeMatches
    fit: Fit


def _agreeing(
    image: StoredImage, found: Sequence[Partner], looks: Looks, places: Mapping[int, int], geometry: GeometryOptions
) -> list[_Found]:
    """The best geometry with each partner that there is any with."""
    best: dict[int, _Found] = {}
    for partner in sorted(found, key=lambda partner: (partner.id, partner.variant)):
        turned = places[image.id] < places[partner.id]
        query, reference = (partner.id, image.id) if turned else (image.id, partner.id)
        matches = (partner.seen_from_there() if turned else partner).matches()
        fit = fit_homography(matches, looks.size(query), looks.size(reference), geometry)
        if fit is None or fit.score < _LEAST_GEOMETRY:
            continue
        if partner.id not in best or best[partner.id].fit.score < fit.score:
            best[partner.id] = _Found(query, reference, partner.variant, matches, fit)
    return list(best.values())


def _by_looks(image: int, other: int, looks: Looks) -> Pair:
    """Two images of which only their looks speak."""
    nothing = Repeated(1.0, 0.0, 0.0)
    score = looks.score(image, other)
    return Pair(image, other, looks.homography(image, other), False, False, 0, 0.0, 0.0, nothing, nothing, score)


def _pair(image: StoredImage, other: StoredImage, found: _Found, looks: Looks, geometry: GeometryOptions) -> Pair:
    proof = proof_of_fit(found.fit, found.matches, found.variant, image.features, looks.size(other.id))
    relation = proof.relation
    there = repeated(image.features, other.features, proof.homography, geometry, negative=relation.negative)
    back_home = np.asarray(np.linalg.inv(proof.homography), np.float64)
    back = repeated(other.features, image.features, back_home, geometry, negative=relation.negative)
    evenly = evenness(proof.reference_points, other.features.keypoints.astype(np.float64), proof.reference_region)
    is_whole = min(there.covered, back.covered) >= _WHOLE_PICTURE
    return Pair(
        image.id, other.id, proof.homography, relation.mirrored, relation.negative, proof.inliers,
        proof.evidence.geometry if math.isfinite(proof.evidence.geometry) else 0.0,
        min(proof.evidence.evenness, evenly), there, back,
        looks.score(image.id, other.id) if is_whole else _NOTHING_SAID,
    )  # fmt: skip
