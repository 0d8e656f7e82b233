"""Visual words of a query -> votes -> the best candidates, with the hits that spoke for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features import Features
from featmatch.geometry import TentativeMatches
from featmatch.scanning import Hits, best, postings_of, scan
from featmatch.store.segment import Segment, restored
from featmatch.symmetry import Variant
from featmatch.vocabulary import Vocabulary

_WORTH_THREADS = 2_000_000  # postings; fewer are scanned before threads have begun


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
            found = [vocabulary.permuted(plain, variant) for variant in list(Variant)[: len(variants)]]
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
) -> list[Candidate]:
    """Score all images under all variants, and return the best with their hits, best first.

    Args:
        query: the words of all variants.
        query_features: the features of each variant, in the order of ``Variant``.
        segments: where to look.
        removed: numbers of images that are not to be found.
        options: the limits.
    """
    if not segments or len(query.ids) == 0:
        return []
    distances = np.arange(options.hamming_limit + 1)
    distance_weights = np.exp(-((distances / options.sigma) ** 2)).astype(np.float32)
    bounds = np.searchsorted(query.variants, np.arange(len(query_features) + 1))
    dead = [_places_of(removed, segment) for segment in segments]

    def tally(part: tuple[int, int]) -> _Tally:
        number, variant = part
        segment, own = segments[number], slice(bounds[variant], bounds[variant + 1])
        votes = np.zeros(len(segment.ids), np.float32)
        hits = scan(
            segment.offsets, segment.postings.image, segment.postings.signature,
            query.ids[own], query.signatures[own], query.weights[own], distance_weights, votes,
        )  # fmt: skip
        votes[dead[number]] = 0
        images, scores = best(votes, segment.norms, options.shortlist)
        return _Tally(hits._replace(entries=hits.entries + np.int32(own.start)), images, scores)

    parts = [(number, variant) for number in range(len(segments)) for variant in range(len(query_features))]
    # Votes of a segment and variant are added up by one thread: their sum does not depend on how many there are.
    threads = _cores() if sum(postings_of(one.offsets, query.ids) for one in segments) > _WORTH_THREADS else 1
    with ThreadPoolExecutor(threads) as pool:
        tallies = list(pool.map(tally, parts) if threads > 1 else map(tally, parts))
    return _gathered(query, query_features, segments, parts, tallies, options.shortlist)


class _Tally(NamedTuple):
    """Hits of one variant in one segment, and the best of its images with their votes, normalised."""

    hits: Hits
    images: NDArray[np.int64]
    scores: NDArray[np.float32]


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _places_of(removed: frozenset[int], segment: Segment) -> NDArray[np.intp]:
    """Where in a segment the removed images are."""
    if not removed:
        return np.empty(0, np.intp)
    return np.flatnonzero(np.isin(segment.ids, np.fromiter(removed, np.int64)))


def _gathered(
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    parts: Sequence[tuple[int, int]],
    tallies: Sequence[_Tally],
    shortlist: int,
) -> list[Candidate]:
    """The pairs of image and variant with the most votes, each with its hits; ties go to the older image."""
    origins = np.repeat(np.arange(len(parts)), [len(tally.images) for tally in tallies])
    images = np.concatenate([tally.images for tally in tallies])
    scores = np.concatenate([tally.scores for tally in tallies])
    ids = np.concatenate(
        [segments[number].ids[tally.images] for (number, _), tally in zip(parts, tallies, strict=True)]
    )
    variants = np.array([variant for _, variant in parts])[origins]
    order = np.lexsort((variants, ids, -scores))[:shortlist]
    keypoints = np.concatenate([features.keypoints for features in query_features])
    angles = np.concatenate([features.angles for features in query_features])
    octaves = np.log2(np.maximum(np.concatenate([features.sizes for features in query_features]), 1))
    candidates: dict[int, Candidate] = {}  # by place in ``images``
    for origin in np.unique(origins[order]).tolist():
        (number, variant), hits = parts[origin], tallies[origin].hits
        segment = segments[number]
        chosen = order[origins[order] == origin]
        place_of = np.full(len(segment.ids), -1, np.int32)
        place_of[images[chosen]] = chosen
        places = place_of[hits.images]
        wanted = np.flatnonzero(places >= 0)
        wanted = wanted[np.lexsort((hits.distances[wanted], places[wanted]))]
        entries, rows, places = hits.entries[wanted], hits.rows[wanted], places[wanted]
        long_sides = np.maximum(segment.widths, segment.heights)[hits.images[wanted]]
        picked = query.features[entries]
        matches = TentativeMatches.between(
            keypoints[picked], angles[picked], octaves[picked], *restored(segment.postings, rows, long_sides),
            costs=hits.distances[wanted].astype(np.float64), query_rows=picked, reference_rows=rows,
        )  # fmt: skip
        for place in chosen.tolist():
            image = int(images[place])
            own = slice(*np.searchsorted(places, [place, place + 1]))
            candidates[place] = Candidate(
                int(segment.ids[image]), int(segment.widths[image]), int(segment.heights[image]),
                Variant(variant), float(scores[place]), matches[own],
            )  # fmt: skip
    return [candidates[place] for place in order.tolist()]
