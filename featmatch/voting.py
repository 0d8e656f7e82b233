"""Visual words of a query -> votes -> the best candidates, with the hits that spoke for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features import Features
from featmatch.geometry import TentativeMatches
from featmatch.scanning import best, hits_of, postings_of, scan
from featmatch.store.segment import Segment, restored
from featmatch.symmetry import Variant
from featmatch.vocabulary import Vocabulary

_WORTH_THREADS = 2_000_000  # postings; fewer are scanned before threads have begun


@dataclass(frozen=True)
class VotingOptions:
    """How a query votes for images."""

    words: int = 3  # nearest words of each query feature that are looked up; 1 to 16
    hamming_limit: int = 22  # a hit differs in at most this many of 64 bits; 0 to 32
    voting_limit: int = 19  # hits that differ in at most this many vote; the others only match; 0 to 32
    sigma: float = 10.0  # bits; a hit at distance d weighs exp(-(d / sigma)^2)
    shortlist: int = 50  # pairs of an image and a variant that go on to verification; 1 to 10000

    def __post_init__(self) -> None:
        check_options(self)
        limits_fit = 0 <= self.hamming_limit <= 32 and 0 <= self.voting_limit <= 32
        if not (1 <= self.words <= 16 and limits_fit and self.sigma > 0 and 1 <= self.shortlist <= 10_000):
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
        features: (Q,) int64, number of the feature, counted anew in each variant.
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
            features=np.concatenate([np.repeat(np.arange(len(words.ids)), count) for words in found]),
        )

    def of_variant(self, variant: Variant) -> slice:
        """Where the rows of one variant are."""
        return slice(*np.searchsorted(self.variants, [variant, variant + 1]).tolist())


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
    hidden = [_hidden(segment, removed, among) for segment in segments]
    return shortlist(query, query_features, segments, hidden, options)


def shortlist(
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]] | Sequence[NDArray[np.intp]],
    options: VotingOptions,
) -> list[Candidate]:
    """What ``vote`` says; ``hidden`` are the images of each segment that are not to be found: places, or a mask."""
    if not segments or len(query.ids) == 0:
        return []
    distances = np.arange(min(options.voting_limit, options.hamming_limit) + 1)
    distance_weights = np.exp(-((distances / options.sigma) ** 2)).astype(np.float32)

    def tally(part: tuple[int, Variant]) -> _Tally:
        number, variant = part
        segment = segments[number]
        own = query.of_variant(variant)
        votes = np.zeros(len(segment.ids), np.float32)
        scan(
            segment.offsets, segment.postings.image, segment.postings.signature, query.ids[own],
            query.signatures[own], query.weights[own], distance_weights, votes,
        )  # fmt: skip
        votes[hidden[number]] = 0
        return _Tally(segment, variant, *best(votes, segment.weights, options.shortlist))

    parts = [(number, variant) for number in range(len(segments)) for variant in list(Variant)[: len(query_features)]]
    # Votes of a segment and variant are added up by one thread: their sum does not depend on how many there are.
    threads = _cores() if sum(postings_of(one.offsets, query.ids) for one in segments) > _WORTH_THREADS else 1
    with ThreadPoolExecutor(threads) as pool:
        each = pool.map if threads > 1 else map
        tallies = list(each(tally, parts))
        ranks = _ranks(tallies, options.shortlist)
        found = each(
            lambda one, own: _candidates(one, own, query, query_features[one.variant], options.hamming_limit),
            tallies, ranks,
        )  # fmt: skip
        ranked = [pair for candidates in found for pair in candidates]
    return [candidate for _, candidate in sorted(ranked, key=itemgetter(0))]


class _Tally(NamedTuple):
    """The best images of one segment for one variant, with their votes, normalised."""

    segment: Segment
    variant: Variant
    images: NDArray[np.int64]  # ascending
    scores: NDArray[np.float32]


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hidden(segment: Segment, removed: frozenset[int], among: Sequence[int] | None) -> NDArray[np.intp]:
    """Where in a segment the images are that are not to be found."""
    parts = [np.empty(0, np.intp)]
    if removed:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.fromiter(removed, np.int64))))
    if among is not None:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.asarray(among, np.int64), invert=True)))
    return np.concatenate(parts)


def _ranks(tallies: Sequence[_Tally], count: int) -> list[NDArray[np.int64]]:
    """Where each image of each tally comes among all, the most votes first, or -1; ties go to the older image."""
    scores = np.concatenate([one.scores for one in tallies])
    ids = np.concatenate([one.segment.ids[one.images] for one in tallies])
    variants = np.repeat([one.variant for one in tallies], [len(one.images) for one in tallies])
    order = np.lexsort((variants, ids, -scores))[:count]
    ranks = np.full(len(scores), -1)
    ranks[order] = np.arange(len(order))
    return np.split(ranks, np.cumsum([len(one.images) for one in tallies])[:-1])


def _candidates(
    tally: _Tally, ranks: NDArray[np.int64], query: QueryWords, features: Features, limit: int
) -> list[tuple[int, Candidate]]:
    """The images of a tally that are on the shortlist, each with its rank and its hits, the nearest first."""
    segment, listed = tally.segment, np.flatnonzero(ranks >= 0)
    if len(listed) == 0:
        return []
    numbers, looked_up = tally.images[listed], query.of_variant(tally.variant)
    hits = hits_of(
        segment.offsets, segment.postings.image, segment.postings.signature, query.ids[looked_up],
        query.signatures[looked_up], limit, numbers.astype(np.uint32),
    )  # fmt: skip
    order = np.lexsort((hits.distances, hits.images))
    rows, images, distances = hits.rows[order], hits.images[order], hits.distances[order]
    own = query.features[looked_up][hits.entries[order]]
    matches = TentativeMatches.between(
        features.keypoints[own], features.angles[own], np.log2(np.maximum(features.sizes[own], 1)),
        *restored(segment.postings, rows, np.maximum(segment.widths[images], segment.heights[images])),
        costs=distances.astype(np.float64), query_rows=own, reference_rows=rows,
    )  # fmt: skip
    bounds = np.stack([np.searchsorted(images, numbers), np.searchsorted(images, numbers, "right")], axis=1)
    return [
        (
            int(ranks[place]),
            Candidate(
                int(segment.ids[image]), int(segment.widths[image]), int(segment.heights[image]), tally.variant,
                float(tally.scores[place]), matches[first:end],
            ),
        )
        for place, image, (first, end) in zip(listed.tolist(), numbers.tolist(), bounds.tolist(), strict=True)
    ]  # fmt: skip
