"""Is one picture a copy of the other, in whole or in part? Candidates of a search, and pairs of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from featmatch.answers import Match, Verification, match_from
from featmatch.features import FeatureOptions, Features, extract_grey
from featmatch.geometry import GeometryOptions, fit_homography
from featmatch.image import ImageSource, load_grey
from featmatch.matching import DescriptorMatcher, MatchingOptions
from featmatch.symmetry import Variant, variants_of
from featmatch.voting import Candidate

# Fewer features than these cannot prove anything.
FEWEST_FEATURES = 8


def verify_candidates(
    candidates: Iterable[Candidate],
    names: Mapping[int, Sequence[str]],
    query: Features,
    options: GeometryOptions,
) -> list[Match]:
    """The candidates of a search that geometry supports, best first: each image once under each of its names.

    Args:
        candidates: images with their hits; one image may come in several variants.
        names: of the candidates, by number.
        query: features of the query as it is.
        options: the tolerances.
    """
    best: dict[int, Match] = {}
    query_size = (query.width, query.height)
    for candidate in candidates:
        reference_size = (candidate.width, candidate.height)
        fit = fit_homography(candidate.matches, query_size, reference_size, options)
        if fit is None or (candidate.id in best and best[candidate.id].score >= fit.score):
            continue
        best[candidate.id] = match_from(
            fit, candidate.matches, candidate.variant, query_size, reference_size,
            detector=query.detector, image_id=candidate.id, name="",
        )  # fmt: skip
    named = (replace(match, name=name) for image, match in best.items() for name in names[image])
    return sorted(named, key=lambda match: (-match.score, match.name))


def verify(
    a: ImageSource,
    b: ImageSource,
    *,
    features: str | FeatureOptions = "sift",
    matching: MatchingOptions | None = None,
    geometry: GeometryOptions | None = None,
) -> Verification:
    """Find out whether two images show the same picture, in whole or in part.

    Works on the full descriptors of both: no index and no vocabulary. The pair is tried as it is, then with ``a``
    mirrored, as a negative, and both, until one is proven.

    Args:
        a: the query: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
        b: the reference, likewise.
        features: a detector by name, or the options to extract with.
        matching: which nearest neighbours are believed.
        geometry: what counts as agreement.

    Returns:
        True or false with ``.reason``, ``.homography`` (a to b), ``.inliers``, ``.match`` and ``.draw()``.

    Raises:
        ImageError: an image cannot be read; its ``status`` says why.
    """
    taking = FeatureOptions(detector=features) if isinstance(features, str) else features
    grey = load_grey(a, longest_px=taking.longest_px, shortest_px=taking.shortest_px)
    query = extract_grey(grey, taking)
    reference = extract_grey(load_grey(b, longest_px=taking.longest_px, shortest_px=taking.shortest_px), taking)
    for name, found in (("first", query), ("second", reference)):
        if len(found) < FEWEST_FEATURES:
            return Verification(False, f"too little detail in the {name} image", None, (a, b))
    best = None
    matcher = DescriptorMatcher(reference, matching or MatchingOptions())
    for variant, seen in zip(Variant, variants_of(query, grey, taking), strict=True):
        match = _verify_variant(seen, variant, matcher, reference, geometry or GeometryOptions(), _name(b))
        if match is not None and (best is None or match.score > best.score):
            best = match
        if match is not None and match.proven:
            break
    if best is None:
        return Verification(False, "no geometry agrees", None, (a, b))
    if not best.proven:
        return Verification(False, f"only {best.inliers} features agree: chance could do that", best, (a, b))
    return Verification(True, f"{best.relation}: {best.inliers} features agree", best, (a, b))


def _verify_variant(
    query: Features,
    variant: Variant,
    matcher: DescriptorMatcher,
    reference: Features,
    options: GeometryOptions,
    name: str,
) -> Match | None:
    if len(query) < FEWEST_FEATURES:
        return None
    matches = matcher.match(query)
    query_size, reference_size = (query.width, query.height), (reference.width, reference.height)
    fit = fit_homography(matches, query_size, reference_size, options)
    if fit is None:
        return None
    return match_from(
        fit, matches, variant, query_size, reference_size, detector=query.detector, image_id=None, name=name
    )


def _name(source: ImageSource) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
