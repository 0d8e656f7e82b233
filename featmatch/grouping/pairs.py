"""Stored images -> the pairs that are copies of one another. No image is decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant
from featmatch.geometry.exact import inverse
from featmatch.geometry.homography import Fit, fit_homography, may_fit
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.regions import evenness
from featmatch.grouping.alike import StoredLooks
from featmatch.grouping.joining import JoiningOptions, Partners, StoredImage, partners, stored_images
from featmatch.grouping.repeating import Repeated, repeated
from featmatch.proof.probability import feature_weights, probability_of
from featmatch.proof.proof import proof_of_fit
from featmatch.store.segment import Segment
from featmatch.words.vocabulary import Vocabulary

WHOLE = 0.8  # share of the features of each image that lie in the other, from which the two show the same frame
_LEAST_GEOMETRY = 8.0  # score of a homography below which a pair is dropped: unrelated images reach as much

# Slope and intercept of the log-odds that two pictures share all of what both show, and not only a sign, a logo or a
# background: fitted to edited copies and to photos of the same thing (docs/groups.md).
_REPEATED_SLOPE, _REPEATED_INTERCEPT = 40.0, -8.6
_EVENNESS_SLOPE, _EVENNESS_INTERCEPT = 15.0, -4.8
_GEOMETRY_AS_REPEATED = 1200.0  # geometry that adds as much to the repeated share as all features being repeated
_MOST_GEOMETRY = 200.0  # of it count for that
_REPEATED_AS_GEOMETRY = 10.0  # geometry that a pair gains against chance when all features are repeated
_NOT_COMPARED = -math.inf  # log-odds of looks that were not compared


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images and the homography between them. The query is the one whose content (SHA-256) sorts later.

    Attributes:
        query: id of one image.
        reference: id of the other.
        homography: (3, 3) float64, query px to reference px.
        mirrored: whether one is mirrored.
        negative: whether one is a negative.
        inliers: feature pairs that agree with the homography.
        geometry: as ``FeatureEvidence.geometry``.
        evenness: as ``FeatureEvidence.evenness``, the smaller of both images.
        in_reference: how many of the query's features are found again in the reference.
        in_query: how many of the reference's features are found again in the query.
        alike: log-odds, from the looks alone, that both are the same picture as a whole; -inf: not compared.
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
    alike: float = _NOT_COMPARED

    @property
    def key(self) -> tuple[int, int]:
        """Both ids, the lower first."""
        return min(self.query, self.reference), max(self.query, self.reference)

    @property
    def is_whole(self) -> bool:
        """Whether both show the same frame: neither is only a part of the other."""
        return min(self.in_reference.covered, self.in_query.covered) >= WHOLE

    @property
    def again(self) -> float:
        """Share of the features in the common part that are found in both, less where they lie in one spot; 0 to 1."""
        share = max(self.in_reference.share, self.in_query.share)
        return share * min(self.in_reference.evenness, self.in_query.evenness)

    def probability(self, detector: str) -> float:
        """Probability that one is a copy of the other, in whole or in part.

        A pair can be wrong in two ways (as in ``FeatureEvidence.score``): the matches agree by chance, or the images
        share only a detail. Geometry speaks against the first; evenly spread matches and a large share of repeated
        features speak against the second. Hard edits (JPEG at quality 5, waves) leave few features as they were but
        still many matches, so geometry counts a little there, too. Images that show the same frame can also be
        proven by their looks.

        Args:
            detector: of the index; each has its own weights.
        """
        weights = feature_weights(detector, with_pixels=False)
        share = self.again + min(self.geometry, _MOST_GEOMETRY) / _GEOMETRY_AS_REPEATED
        no_chance = weights.geometry * (self.geometry + _REPEATED_AS_GEOMETRY * self.again) + weights.chance
        even = probability_of(_EVENNESS_SLOPE * self.evenness + _EVENNESS_INTERCEPT)
        by_features = probability_of(no_chance) * probability_of(_REPEATED_SLOPE * share + _REPEATED_INTERCEPT) * even
        return 1 - (1 - by_features) * (1 - probability_of(self.alike))


@dataclass(frozen=True)
class Collection:
    """The images of an index, as they are stored.

    Attributes:
        segments: the parts of the index that hold them.
        live: (images,) bool for each segment, which of its images are still in the index.
        vocabulary: of the index.
        detector: of the index.
        places: by image id, its place in the order of the contents (SHA-256).
    """

    segments: Sequence[Segment]
    live: Sequence[NDArray[np.bool_]]
    vocabulary: Vocabulary
    detector: str
    places: Mapping[int, int]

    @cached_property
    def looks(self) -> StoredLooks:
        """The looks of all images."""
        return StoredLooks.of(self.segments, self.live)

    def in_order(self, one: int, other: int) -> tuple[int, int]:
        """Two images as query and reference: the one whose content sorts later is the query."""
        return (one, other) if self.places[one] > self.places[other] else (other, one)


def pairs_of(
    images: Sequence[StoredImage],
    collection: Collection,
    earlier: NDArray[np.int64],
    joining: JoiningOptions,
    geometry: GeometryOptions,
) -> list[Pair]:
    """Compare some images with all that come before them.

    What is found of a pair does not depend on which of the two came first.

    Args:
        images: to look up, by ascending ids.
        collection: where to look.
        earlier: sorted ids of images that count as coming before all of ``images``, although their ids are higher.
        joining: how partners are found.
        geometry: what counts as agreement.
    """
    segments, looks = collection.segments, collection.looks
    found: list[_Found] = []
    pairs: list[Pair] = []
    for image, among in zip(images, _before_each(images, collection, earlier), strict=True):
        sharing = partners(image, segments, among, collection.vocabulary, joining)
        agreeing = _agreeing(image, sharing, looks, collection, geometry)
        found += agreeing
        known = {number for one in agreeing for number in (one.query, one.reference)}
        for other in looks.nearest(image.id, earlier):
            if other not in known:
                pairs.append(_pair_by_looks(*collection.in_order(image.id, other), looks))
    wanted = {number for one in found for number in (one.query, one.reference)}
    stored = {image.id: image for image in stored_images(segments, wanted, collection.detector)}
    pairs += [_pair(stored[one.query], stored[one.reference], one, looks, geometry) for one in found]
    return [pair for pair in pairs if pair.inliers or pair.alike > 0]


def _before_each(
    images: Sequence[StoredImage], collection: Collection, earlier: NDArray[np.int64]
) -> Iterator[list[NDArray[np.bool_]]]:
    """For each image in turn, which images of each segment come before it: the same masks, changed in place."""
    parts = list(zip(collection.segments, collection.live, strict=True))
    among = [alive & np.isin(segment.ids, earlier) for segment, alive in parts]
    by_number = [np.argsort(segment.ids, kind="stable") for segment, _ in parts]
    begun = [0] * len(parts)
    for image in images:
        for number, (segment, alive) in enumerate(parts):
            rows = by_number[number]
            end = int(np.searchsorted(segment.ids, image.id, sorter=rows))
            new = rows[begun[number] : end]
            among[number][new] = alive[new]
            among[number][rows[end : end + 1][segment.ids[rows[end : end + 1]] == image.id]] = False
            begun[number] = end
        yield among


class _Found(NamedTuple):
    """Two images, the hits that they share, and the homography that these agree on."""

    query: int
    reference: int
    variant: Variant
    matches: TentativeMatches
    fit: Fit


def _agreeing(
    image: StoredImage, found: Partners, looks: StoredLooks, collection: Collection, geometry: GeometryOptions
) -> list[_Found]:
    """The best homography with each partner; partners without a good one are left out."""
    best: dict[int, _Found] = {}
    ways = [collection.in_order(image.id, partner) for partner in found.ids.tolist()]
    matches = found.matches(np.array([query == image.id for query, _ in ways], bool))
    sizes = [looks.size(reference) for _, reference in ways]
    for row in np.flatnonzero(may_fit(matches, found.ends, sizes, geometry, _LEAST_GEOMETRY)).tolist():
        query, reference = ways[row]
        own = matches[found.ends[row] : found.ends[row + 1]]
        fit = fit_homography(own, looks.size(query), sizes[row], geometry, least=_LEAST_GEOMETRY)
        if fit is None:
            continue
        partner = int(found.ids[row])
        if partner not in best or best[partner].fit.score < fit.score:
            best[partner] = _Found(query, reference, Variant(found.variants[row]), own, fit)
    return list(best.values())


def _pair_by_looks(query: int, reference: int, looks: StoredLooks) -> Pair:
    """Two images for which only their looks speak."""
    nothing = Repeated(1.0, 0.0, 0.0)
    score = looks.score(query, reference)
    homography = looks.homography(query, reference)
    return Pair(query, reference, homography, False, False, 0, 0.0, 0.0, nothing, nothing, score)


def _pair(image: StoredImage, other: StoredImage, found: _Found, looks: StoredLooks, geometry: GeometryOptions) -> Pair:
    proof = proof_of_fit(found.fit, found.matches, found.variant, image.features, looks.size(other.id))
    relation = proof.relation
    there = repeated(image.features, other.features, proof.homography, geometry, negative=relation.negative)
    back_home = inverse(proof.homography)
    back = repeated(other.features, image.features, back_home, geometry, negative=relation.negative)
    evenly = evenness(proof.reference_points, other.features.keypoints.astype(np.float64), proof.reference_region)
    is_whole = min(there.covered, back.covered) >= WHOLE
    return Pair(
        image.id, other.id, proof.homography, relation.mirrored, relation.negative, proof.inliers,
        proof.evidence.geometry if math.isfinite(proof.evidence.geometry) else 0.0,
        min(proof.evidence.evenness, evenly), there, back,
        looks.score(image.id, other.id) if is_whole else _NOT_COMPARED,
    )  # fmt: skip
