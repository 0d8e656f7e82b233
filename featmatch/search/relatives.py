"""Images that share a part with an answer: they may tell that what agrees is a design, where the query found one of it.

A query of few features finds some images of a design and not others, and a sister is told by three of them
(``sisters``). The answer itself has all its features, and finds the others: laid over the query by way of it, they show
whether they explain the query as well as it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from featmatch.geometry.exact import product
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.search.matches import FoundImage

_MOST = 6  # that are laid over the query: each costs a look at a file
NO_CHANCE = 8.0  # geometry that chance does not make
_FEW_AGREE = 35.0  # geometry below which a claim goes by few features
_DOUBTFUL = 0.03  # share of the cells that contradict it
_ENOUGH_AGREE = 10  # cells; where fewer do, the map lies too badly to tell what is shared, as on a bent label


def is_doubtful(one: FoundImage) -> bool:
    """Whether an image is claimed by few features, and something contradicts it in cells that are told well."""
    evidence = one.proof.evidence
    few = isinstance(evidence, FeatureEvidence) and evidence.geometry < _FEW_AGREE
    told = evidence.agreeing >= _ENOUGH_AGREE and (evidence.contradiction or 0.0) > _DOUBTFUL
    return few and told and one.proof.proven


def relatives_of(one: FoundImage, found: Iterable[FoundImage]) -> list[FoundImage]:
    """Those that share the most with an image, among what was found with it as the query."""
    likely = [other for other in found if other.id != one.id and other.proof.evidence.geometry > NO_CHANCE]
    return sorted(likely, key=lambda other: -other.proof.evidence.geometry)[:_MOST]


def laid_over(
    query: GreyImage, one: FoundImage, relatives: Iterable[FoundImage], pictures: Mapping[int, GreyImage | None]
) -> list[FoundImage]:
    """Relatives of an image compared with the query by pixels alone; without those whose pictures are not at hand.

    Args:
        query: the picture that was looked up.
        one: the image that it found.
        relatives: proofs that lead from that image to others.
        pictures: of these, by number.
    """
    laid = []
    for other in relatives:
        evidence, picture = other.proof.evidence, pictures[other.id]
        if picture is None or not isinstance(evidence, FeatureEvidence):
            continue
        negative = one.proof.relation.negative != other.proof.relation.negative
        proof = dataclasses.replace(
            other.proof,
            evidence=dataclasses.replace(evidence, geometry=0.0, distinct=0.0),  # no feature of the query speaks for it
            relation=dataclasses.replace(other.proof.relation, negative=negative),
            homography=product(other.proof.homography, one.proof.homography),
        )
        laid.append(FoundImage(other.id, proof.with_pixels(query, picture)))
    return laid
