"""Visual words of a query -> votes -> the best candidates, with the hits that spoke for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features import Features
from featmatch.geometry import TentativeMatches
from featmatch.scanning import Hits, scan
from featmatch.store.segment import Segment, restored
from featmatch.symmetry import Variant
from featmatch.vocabulary import Vocabulary


@dataclass(frozen=True)
class VotingOptions:
    """How a query votes for images."""

    words: int = 3  # nearest words of each query feature that are looked up; 1 to 16
    hamming_limit: int = 22  # a hit differs in at most this many of 64 bits; 0 to 32
    sigma: float = 10.0  # bits; a hit at distance d weighs exp(-(d / sigma)^2)
    shortlist: int = 50  # pairs of an image and a variant that go on to verification; 1 to 10000

    def __post_init__(self) -> None:
        if not (
            1 <= self.words <= 16 and 0 <= self.hamming_limit <= 32 and self.sigma > 0 and 1 <= self.shortlist <= 10_000
        ):
            raise UsageError(f"voting options out of range: {self}")


@dataclass(frozen=True)
class Candidate:
    """An image that got many votes, and why.

    Attributes:
        id: the catalogue's number.
        width: of the image, px.
        height: of the image, px.
        variant: how the query was looked at.
        votes: the sum, normalised.
        matches: the hits, as pairs of a query feature and a feature of the image.
    """

    id: int
    width: int
    height: int
    variant: Variant
    votes: float
    matches: TentativeMatches


@dataclass(frozen=True)
class QueryWords:
    """Words of one query's variants, in flat columns of Q rows: one for each feature, word and variant.

    Attributes:
        ids: (Q,) int32.
        signatures: (Q,) uint64.
        weights: (Q,) float32, idf squared.
        variants: (Q,) int32.
        features: (Q,) int64, number of the feature, counted through all variants.
    """

    ids: NDArray[np.int32]
    signatures: NDArray[np.uint64]
    weights: NDArray[np.float32]
    variants: NDArray[np.int32]
    features: NDArray[np.int64]

    @classmethod
    def of(cls, vocabulary: Vocabulary, variants: Sequence[Features], count: int) -> QueryWords:
        """Find ``count`` words for each feature of each variant.

        In a closed vocabulary the words and signatures of the variants follow from those of the first.
        """
        if vocabulary.forms > 1:
            plain = vocabulary.assign(variants[0].descriptors, count)
            found = [vocabulary.permuted(plain, variant) for variant in Variant]
        else:
            found = [vocabulary.assign(features.descriptors, count) for features in variants]
        ids = np.concatenate([words.ids.ravel() for words in found])
        return cls(
            ids=ids,
            signatures=np.concatenate([words.signatures.ravel() for words in found]),
            weights=vocabulary.idf_of(ids) ** 2,
            variants=np.repeat(np.arange(len(found), dtype=np.int32), [words.ids.size for words in found]),
            features=np.repeat(np.arange(sum(len(words.ids) for words in found)), count),
        )


def vote(
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    removed: frozenset[int],
    options: VotingOptions,
    among: Sequence[int] | None = None,
) -> list[Candidate]:
    """Score all images under all variants, and return the best with their hits, best first.

    Args:
        query: the words of all variants.
        query_features: the features of each variant, in the order of ``Variant``.
        segments: where to look.
        removed: numbers of images that are not to be found.
        options: the limits.
        among: numbers of the only images that are to be found; None: all.
    """
    if not segments or len(query.ids) == 0:
        return []
    distances = np.arange(options.hamming_limit + 1)
    distance_weights = np.exp(-((distances / options.sigma) ** 2)).astype(np.float32)
    variants = len(query_features)
    votes, hits = [], []
    for segment in segments:
        scores = np.zeros((variants, len(segment.ids)), np.float32)
        hits.append(
            scan(
                segment.offsets, segment.postings.image, segment.postings.signature,
                query.ids, query.signatures, query.weights, query.variants, distance_weights, scores,
            )
        )  # fmt: skip
        scores /= np.sqrt(np.maximum(segment.features, 1))
        if removed:
            scores[:, np.isin(segment.ids, np.fromiter(removed, np.int64))] = 0
        if among is not None:
            scores[:, ~np.isin(segment.ids, np.asarray(among, np.int64))] = 0
        votes.append(scores)
    return _gathered(query, query_features, segments, votes, hits, options.shortlist)


def _gathered(
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    votes: Sequence[NDArray[np.float32]],
    hits: Sequence[Hits],
    shortlist: int,
) -> list[Candidate]:
    """The pairs of image and variant with the most votes, each with its hits; ties go to the older image."""
    bounds = np.cumsum([0] + [len(segment.ids) for segment in segments])
    flat = np.concatenate(votes, axis=1)
    images = flat.shape[1]
    ids = np.concatenate([segment.ids for segment in segments])
    enough = min(shortlist, flat.size)
    floor = np.partition(flat.ravel(), flat.size - enough)[flat.size - enough]
    contenders = np.flatnonzero((flat.ravel() >= floor) & (flat.ravel() > 0))
    order = np.lexsort((contenders // images, ids[contenders % images], -flat.ravel()[contenders]))
    chosen = contenders[order][:shortlist]
    is_chosen = np.zeros(flat.size, bool)
    is_chosen[chosen] = True
    keypoints = np.concatenate([features.keypoints for features in query_features])
    angles = np.concatenate([features.angles for features in query_features])
    octaves = np.log2(np.maximum(np.concatenate([features.sizes for features in query_features]), 1))
    candidates: dict[int, Candidate] = {}
    for position, segment in enumerate(segments):
        entries, rows, distances = hits[position]
        # One number for each pair of variant and image.
        pairs = query.variants[entries] * np.int64(images) + segment.postings.image[rows] + bounds[position]
        wanted = is_chosen[pairs]
        entries, rows, distances, pairs = entries[wanted], rows[wanted], distances[wanted], pairs[wanted]
        order = np.lexsort((distances, pairs))
        entries, rows, distances, pairs = entries[order], rows[order], distances[order], pairs[order]
        long_sides = np.maximum(segment.widths, segment.heights)[segment.postings.image[rows]]
        picked = query.features[entries]
        matches = TentativeMatches.between(
            keypoints[picked], angles[picked], octaves[picked], *restored(segment.postings, rows, long_sides),
            costs=distances.astype(np.float64), query_rows=picked, reference_rows=rows,
        )  # fmt: skip
        for pair in np.unique(pairs).tolist():
            variant, image = divmod(pair, images)
            number = image - int(bounds[position])
            own = slice(*np.searchsorted(pairs, [pair, pair + 1]))
            candidates[pair] = Candidate(
                int(segment.ids[number]), int(segment.widths[number]), int(segment.heights[number]),
                Variant(variant), float(flat[variant, image]), matches[own],
            )  # fmt: skip
    return [candidates[pair] for pair in chosen.tolist()]
