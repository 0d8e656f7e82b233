"""Is one picture a copy of the other, in whole or in part? Candidates of a search, and pairs of images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_kind
from featmatch.features.extraction import FeatureOptions, Features, extract_grey, features_wanted
from featmatch.features.looks import FEW_FEATURES, LEAST_DETAIL, whole_picture
from featmatch.features.symmetry import Variant, variants_of
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.significance import weigh
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import GreyImage, ImageSource, load_grey
from featmatch.proof.agreement import pixel_agreement
from featmatch.proof.answers import Match, Verification, match_from
from featmatch.proof.matching import DescriptorMatcher, MatchingOptions
from featmatch.proof.probability import Evidence, FeatureEvidence, WholeEvidence, probability_of
from featmatch.search.voting import Candidate
from featmatch.search.whole_search import whole_match

# Fewer features than these cannot prove anything.
FEWEST_FEATURES = 8

# Matches of a query whose pixels are compared: reading their pictures takes longer than the search.
_LOOKED_AT = 4

# What this many images share with a query, each in a part only, is no copy.
_SEVERAL = 2
_EVEN = 0.8  # evenness below this is a part
_NO_CHANCE = 8.0  # score that chance hardly makes
_CELLS = 20  # along the longer side of the query, in which places are told apart


def verify_candidates(
    candidates: Iterable[Candidate],
    query: Features,
    options: GeometryOptions,
) -> list[Match]:
    """The candidates of a search that geometry supports, each image once and without its name, best first.

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
    matches = [
        match_from(
            fit, candidate.matches, candidate.variant, query, (candidate.width, candidate.height),
            image_id=candidate.id, name="",
        )
        for candidate, fit in best.values()
    ]  # fmt: skip
    partial = [_is_partial(match) for match in matches]
    recurring = _recurring([_places(match, query_size) for match, part in zip(matches, partial, strict=True) if part])
    for number, (candidate, fit) in enumerate(best.values()):
        elsewhere = ~np.isin(_places(matches[number], query_size), recurring)
        evidence = matches[number].evidence
        if partial[number] and isinstance(evidence, FeatureEvidence) and not elsewhere.all():
            reference_size = (candidate.width, candidate.height)
            rest = fit.inliers[elsewhere]
            score = weigh(candidate.matches, rest, query_size, reference_size, options).score
            matches[number] = _with_evidence(matches[number], dataclasses.replace(evidence, distinct=score))
    return _in_order(matches)


def _is_partial(match: Match) -> bool:
    """Whether a match that is no chance lies in a part of what the pictures share, or covers neither of them."""
    uneven = match.evidence.evenness < _EVEN or match.relation.kind == "overlap"
    return uneven and match.evidence.geometry > _NO_CHANCE


def _places(match: Match, query_size: tuple[int, int]) -> NDArray[np.int64]:
    """The cell of the query that each inlier lies in."""
    cells = np.floor(match.query_points * (_CELLS / max(query_size))).astype(np.int64)
    return np.asarray(cells[:, 0] * (_CELLS + 1) + cells[:, 1])


def _recurring(places: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Places of the query that several images share: a logo, a caption, a frame, a pattern."""
    distinct, counts = np.unique(np.concatenate([np.empty(0, np.int64), *map(np.unique, places)]), return_counts=True)
    return distinct[counts >= _SEVERAL]


def compare_pixels(
    matches: Sequence[Match], query: GreyImage, picture_of: Callable[[Match], GreyImage | None]
) -> list[Match]:
    """Look at the pixels of the best matches, where their pictures are at hand, and put all in order again.

    Args:
        matches: best first.
        query: the picture that was looked up.
        picture_of: the picture of a match, or None where it is not at hand.
    """
    by_geometry = sorted(matches, key=lambda match: -match.evidence.geometry)
    looked_at = {id(match) for match in [*matches[:_LOOKED_AT], *by_geometry[:_LOOKED_AT]]}
    return _in_order(
        _with_agreement(match, query, picture_of(match)) if id(match) in looked_at else match for match in matches
    )


def named(matches: Iterable[Match], names: Mapping[int, Sequence[str]]) -> list[Match]:
    """Each match under each name of its image, best first."""
    return _in_order(
        dataclasses.replace(match, name=name) for match in matches if match.id is not None for name in names[match.id]
    )


def _with_agreement(match: Match, query: GreyImage, reference: GreyImage | None) -> Match:
    if reference is None:
        return match
    match = dataclasses.replace(match, damaged=reference.damaged)
    found = pixel_agreement(
        query.pixels,
        reference.pixels,
        np.linalg.inv(reference.original_from_working) @ match.homography @ query.original_from_working,
        negative=match.relation.negative,
    )
    if found is None:
        return match
    evidence = dataclasses.replace(match.evidence, agreement=found.correlation, detail=found.detail)
    return _with_evidence(match, evidence)


def _with_evidence(match: Match, evidence: Evidence) -> Match:
    score = evidence.score()
    return dataclasses.replace(match, evidence=evidence, score=score, probability=probability_of(score))


def _in_order(matches: Iterable[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (-match.score, match.name))


def verify(
    a: ImageSource,
    b: ImageSource,
    *,
    features: str | FeatureOptions = "sift",
    matching: MatchingOptions | None = None,
    geometry: GeometryOptions | None = None,
    timeout: float = 60.0,
    max_pixels: int = MAX_PIXELS,
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
        timeout: seconds that decoding one file may take.
        max_pixels: of a file; a larger one is refused.

    Returns:
        True or false with ``.reason``, ``.homography`` (a to b), ``.inliers``, ``.match`` and ``.draw()``.

    Raises:
        ImageError: an image cannot be read; its ``name`` says which, and its ``status`` why.
        UsageError: an argument cannot be meant.
    """
    check_kind(matching, "matching", MatchingOptions)
    check_kind(geometry, "geometry", GeometryOptions)
    taking = features_wanted(features)
    decoding = DecodingOptions(timeout, max_pixels)
    grey, other = (
        load_grey(one, longest_px=taking.longest_px, shortest_px=taking.shortest_px, colours=True, decoding=decoding)
        for one in (a, b)
    )
    found = _compared(
        grey, other, taking, matching or MatchingOptions(), geometry or GeometryOptions(), _name(b)
    )  # fmt: skip
    return Verification(*found, (a, b), (grey.damaged, other.damaged), decoding)


def _compared(
    grey: GreyImage,
    other: GreyImage,
    taking: FeatureOptions,
    matching: MatchingOptions,
    geometry: GeometryOptions,
    name: str,
) -> tuple[bool, str, Match | None]:
    """The answer, the reason, and the best evidence."""
    query, reference = extract_grey(grey, taking), extract_grey(other, taking)
    for side, found in (("first", query), ("second", reference)):
        if len(found) < FEWEST_FEATURES:
            match = _verify_whole(grey, other, name)
            if match is None:
                return False, f"too little detail in the {side} image", None
            return True, f"{match.relation}", match
    best = None
    matcher = DescriptorMatcher(reference, matching)
    for variant, seen in zip(Variant, variants_of(query, grey, taking), strict=True):
        match = _verify_variant(query, seen, variant, matcher, reference, geometry, name)
        if match is not None:
            match = _with_agreement(match, grey, other)
        if match is not None and (best is None or match.score > best.score):
            best = match
        if match is not None and match.proven:
            break
    if not (best and best.proven) and min(len(query), len(reference)) < FEW_FEATURES:
        match = _verify_whole(grey, other, name)
        if match is not None:
            return True, f"{match.relation}", match
    if best is None:
        return False, "no geometry agrees", None
    if not best.proven:
        return False, f"{best.inliers} features agree: too few, or too unevenly, to be sure", best
    return True, f"{best.relation}: {best.inliers} features agree", best


def _verify_whole(grey: GreyImage, other: GreyImage, name: str) -> Match | None:
    """The pair as whole pictures, if that proves it."""
    match = whole_match(whole_picture(grey), grey, whole_picture(other), other, name)
    match = _with_agreement(match, grey, other)
    enough = isinstance(match.evidence, WholeEvidence) and match.evidence.likeness.layout >= LEAST_DETAIL
    return match if match.proven and enough else None


def _verify_variant(
    query: Features,
    seen: Features,
    variant: Variant,
    matcher: DescriptorMatcher,
    reference: Features,
    options: GeometryOptions,
    name: str,
) -> Match | None:
    if len(seen) < FEWEST_FEATURES:
        return None
    matches = matcher.match(seen)
    query_size, reference_size = (query.width, query.height), (reference.width, reference.height)
    fit = fit_homography(matches, query_size, reference_size, options)
    if fit is None:
        return None
    return match_from(fit, matches, variant, query, reference_size, image_id=None, name=name)


def _name(source: ImageSource) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
