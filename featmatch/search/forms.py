"""Look for other forms of a query, where the query as it is proves nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.forms import Form, SeenForm, seen_in
from featmatch.features.symmetry import Variant, variants_of
from featmatch.geometry.exact import product
from featmatch.geometry.maps import mirror_matrix, project
from featmatch.geometry.regions import is_inside
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.search.matches import FoundImage
from featmatch.search.region import QueryRegion
from featmatch.search.sisters import explains_less

_EXPLAINED, _ANOTHER = 0.1, 0.4  # shares of contradicting cells
_AS_MUCH = 1.0  # times the geometry of what a form finds is too much for a sister of it in the query as it is


@dataclass(frozen=True)
class Look:
    """What is looked at, and how.

    Attributes:
        query: the picture, or the part of one that is looked up.
        region: where features count, px of the query; None: all over it.
        options: how features are taken.
        looks: at how many forms of the query one has looked in the end, itself among them.
    """

    query: GreyImage
    region: QueryRegion | None
    options: FeatureOptions
    looks: int


class InForm(NamedTuple):
    """A query in another form, as it is looked up.

    Attributes:
        seen: the form.
        variants: its features under each ``Variant``, px of the form.
    """

    seen: SeenForm
    variants: Sequence[Features]


def found_in_forms(
    look: Look,
    forms: Sequence[Form],
    found_by: Callable[[Iterable[InForm]], Iterable[tuple[SeenForm, Sequence[FoundImage]]]],
) -> list[FoundImage]:
    """Images that any form of a query agrees with by geometry, each once, with the best proof; in no order.

    Args:
        look: what is looked at.
        forms: all of which are tried.
        found_by: the search for all of them, which takes each as soon as it is made: the proofs of each, in px of the
            form.

    Returns:
        Proofs in px of the query; what they say of geometry allows for the number of looks.
    """
    best: dict[int, FoundImage] = {}
    every = (InForm(seen, _variants(look, seen)) for seen in seen_in(look.query, forms))
    for seen, found in found_by(one for one in every if one.variants):
        for one in found:
            proof = one.proof.carried_over(seen, (look.query.width, look.query.height), look.looks)
            if one.id not in best or best[one.id].score < proof.score:
                best[one.id] = FoundImage(one.id, proof)
    return list(best.values())


def without_related(found: Sequence[FoundImage], before: Sequence[FoundImage]) -> list[FoundImage]:
    """Those found in forms that were not told as sisters, or as another photo of the scene, before.

    The query as it is shows more than a form.
    """
    related = {one.id for one in before if one.proof.evidence.is_sister or one.proof.evidence.is_another_view}
    return [one for one in found if one.id not in related]


def as_shared(found: Sequence[FoundImage], before: Sequence[FoundImage]) -> list[FoundImage]:
    """Those found in forms; what others share in any look before counts as little as it did there."""
    alone: dict[int, float] = {}
    for one in before:
        if one.proof.evidence.distinct < one.proof.evidence.geometry:
            alone[one.id] = min(one.proof.evidence.distinct, alone.get(one.id, math.inf))
    weighed = []
    for one in found:
        evidence = one.proof.evidence
        if isinstance(evidence, FeatureEvidence) and one.id in alone:
            evidence = dataclasses.replace(evidence, distinct=min(evidence.distinct, alone[one.id]))
        weighed.append(dataclasses.replace(one, proof=dataclasses.replace(one.proof, evidence=evidence)))
    return weighed


def without_contradicted(found: Sequence[FoundImage], before: Sequence[FoundImage]) -> list[FoundImage]:
    """Those that show no other content than the query, by their pixels, while another image explains all of it.

    Nor do they explain less than a sister that was told before: if the query as it is shows as much of a sister, it
    shows more of the true one. A third image that tells sisters (``featmatch.search.sisters``) may be none of those
    that a form finds.
    """
    sisters = [one for one in before if one.proof.evidence.is_sister]
    explained = max(
        (one.proof.evidence.geometry for one in found if one.proof.proven and _contradicting(one) < _EXPLAINED),
        default=0.0,
    )
    return [
        one
        for one in found
        if (_contradicting(one) < _ANOTHER or one.proof.evidence.geometry >= explained)
        and not explains_less(one, sisters, _AS_MUCH)
    ]


def _contradicting(found: FoundImage) -> float:
    """Share of the cells that show something else; 0 where it was not looked at."""
    return found.proof.evidence.contradiction or 0.0


def _variants(look: Look, seen: SeenForm) -> list[Features]:
    """The features of a form under each ``Variant``, px of the form; none, where they are too few to prove anything."""
    options = _with_eighths(look.options, seen.form.eighths)
    features = _within(look.region, extract_grey(seen.grey, options), Variant.PLAIN, seen)
    if len(features) < FEWEST_FEATURES:
        return []
    found = variants_of(features, seen.grey, options)
    return [_within(look.region, one, variant, seen) for variant, one in zip(Variant, found, strict=True)]


def _with_eighths(options: FeatureOptions, eighths: int) -> FeatureOptions:
    """The same with so many eighths of the features: with three 300 of a small picture by SIFT."""
    features, at_longest = (max(eighths * count // 8, 10) for count in (options.features, options.features_at_longest))
    return dataclasses.replace(options, features=features, features_at_longest=max(features, at_longest))


def _within(region: QueryRegion | None, features: Features, variant: Variant, seen: SeenForm) -> Features:
    """The features that lie in a region of the query."""
    if region is None:
        return features
    as_seen = mirror_matrix(features.width) if variant.mirrored else np.eye(3)
    places = project(product(seen.original_from_form, as_seen), features.keypoints)
    return features[np.flatnonzero(is_inside(places, region.polygon))]
