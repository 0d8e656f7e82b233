"""Two sets of given features -> the proofs that they make, without looking for more of them."""

from __future__ import annotations

from collections.abc import Iterator

from featmatch.features.extraction import Features
from featmatch.features.given import geometry_of
from featmatch.features.symmetry import Variant, variants_without_pixels
from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.proof.matching import DescriptorMatcher, MatchingOptions
from featmatch.proof.proof import Proof, proof_of_fit


def proofs_of_features(
    query: Features, reference: Features, matching: MatchingOptions, geometry: GeometryOptions | None
) -> Iterator[Proof]:
    """The proof of each variant that has one; by pixels as well, where both came with their pictures.

    Args:
        query: of one picture.
        reference: of the other, of the same detector.
        matching: which nearest neighbours are believed.
        geometry: what counts as agreement.
    """
    options, matcher = geometry_of(query.detector, geometry), DescriptorMatcher(reference, matching)
    query_size, size = (query.width, query.height), (reference.width, reference.height)
    for variant, features in zip(Variant, variants_without_pixels(query), strict=False):
        matches = matcher.match(features)
        fit = fit_homography(matches, query_size, size, options)
        if fit is None:
            continue
        proof = proof_of_fit(fit, matches, variant, query, size)
        if query.picture is not None and reference.picture is not None:
            proof = proof.with_pixels(query.picture, reference.picture)
        yield proof
