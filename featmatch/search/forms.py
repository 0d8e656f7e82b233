"""Look for other forms of a query, where the query as it is proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.forms import Form, SeenForm
from featmatch.features.symmetry import Variant, variants_of
from featmatch.geometry.exact import product
from featmatch.geometry.maps import mirror_matrix, project
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.regions import is_inside
from featmatch.images.pixels import GreyImage
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.search.matches import FoundImage
from featmatch.search.region import QueryRegion
from featmatch.search.verification import verify_candidates
from featmatch.search.voting import Candidate


def found_in_forms(
    query: GreyImage,
    forms: Sequence[Form],
    options: FeatureOptions,
    geometry: GeometryOptions,
    candidates_of: Callable[[Sequence[Features]], Sequence[Candidate]],
    region: QueryRegion | None = None,
) -> list[FoundImage]:
    """Images that any form of a query agrees with by geometry, each once, with the best proof; in no order.

    Args:
        query: the picture, or the part of one that is looked up.
        forms: of the query, all of which are tried.
        options: how features are taken.
        geometry: what counts as agreement.
        candidates_of: the search for candidates: from the features under each ``Variant``.
        region: where features count, px of the query; None: all over it.

    Returns:
        Proofs in px of the query; what they say of geometry allows for the number of forms.
    """
    best: dict[int, FoundImage] = {}
    for form in forms:
        seen = form.of(query)
        variants = _variants(seen, options, region)
        if not variants:
            continue
        for one in verify_candidates(candidates_of(variants), variants[0], geometry):
            proof = one.proof.carried_over(seen, (query.width, query.height), looks=1 + len(forms))
            if one.id not in best or best[one.id].score < proof.score:
                best[one.id] = FoundImage(one.id, proof)
    return list(best.values())


def _variants(seen: SeenForm, options: FeatureOptions, region: QueryRegion | None) -> list[Features]:
    """The features of a form under each ``Variant``, px of the form; none, where they are too few to prove anything."""
    features = _within(region, extract_grey(seen.grey, options), Variant.PLAIN, seen)
    if len(features) < FEWEST_FEATURES:
        return []
    found = variants_of(features, seen.grey, options)
    return [_within(region, one, variant, seen) for variant, one in zip(Variant, found, strict=True)]


def _within(region: QueryRegion | None, features: Features, variant: Variant, seen: SeenForm) -> Features:
    """The features that lie in a region of the query."""
    if region is None:
        return features
    as_seen = mirror_matrix(features.width) if variant.mirrored else np.eye(3)
    places = project(product(seen.original_from_form, as_seen), features.keypoints)
    return features[np.flatnonzero(is_inside(places, region.polygon))]
