"""Visual words of a query -> votes -> the best candidates, each with its hits."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.exact import log2
from featmatch.geometry.matches import Keypoints, TentativeMatches
from featmatch.native.postings import PostingLists, QueryEntries, best, hits_of, postings_of, scan
from featmatch.search.crowding import MOST_OF_WORD, first_of_each, thinned
from featmatch.store.postings import restored
from featmatch.store.segment import Segment
from featmatch.words.vocabulary import Vocabulary

_HITS_AT_ONCE = 1 << 18  # in memory, some 100 bytes each with all that is made of them
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
    """An image with many votes, and the hits that may prove it.

    Attributes:
        id: the catalogue's number.
        width: of the image, px.
        height: of the image, px.
        variant: of the query, under which it was found.
        votes: the weighted sum, divided by the root of the image's number of features.
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
        looked_up = [first_of_each(words.ids.ravel(), MOST_OF_WORD) for words in found]
        ids = np.concatenate([words.ids.ravel()[rows] for words, rows in zip(found, looked_up, strict=True)])
        return cls(
            ids=ids,
            signatures=np.concatenate(
                [words.signatures.ravel()[rows] for words, rows in zip(found, looked_up, strict=True)]
            ),
            weights=vocabulary.idf_of(ids) ** 2,
            variants=np.repeat(np.arange(len(found), dtype=np.int32), [len(rows) for rows in looked_up]),
            features=np.concatenate(looked_up) // count,
        )

    def of_variant(self, variant: Variant) -> tuple[QueryEntries, NDArray[np.int64]]:
        """What one variant looks up, and the number of the feature of each entry."""
        own = slice(*np.searchsorted(self.variants, [variant, variant + 1]).tolist())
        return QueryEntries(self.ids[own], self.signatures[own], self.weights[own]), self.features[own]


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
    """``vote``, where ``hidden`` says which images of each segment are not to be found: their places, or a mask."""
    if not segments or len(query.ids) == 0:
        return []
    with _threads(query, segments) as each:
        tallies = _tallied(query, len(query_features), segments, hidden, options, each)
        ranks = _ranks(tallies, options.shortlist)
        found = each(
            lambda one, own: _candidates(one, own, query, query_features[one.variant], options.hamming_limit),
            tallies, ranks,
        )  # fmt: skip
        ranked = [pair for candidates in found for pair in candidates]
    return [candidate for _, candidate in sorted(ranked, key=itemgetter(0))]


def ranking(
    query: QueryWords, variants: int, segments: Sequence[Segment], removed: frozenset[int], options: VotingOptions
) -> list[tuple[int, Variant]]:
    """The number and variant of each candidate that ``vote`` finds, best first, without looking up hits."""
    if not segments or len(query.ids) == 0:
        return []
    hidden = [_hidden(segment, removed, None) for segment in segments]
    with _threads(query, segments) as each:
        tallies = _tallied(query, variants, segments, hidden, options, each)
    places: dict[int, tuple[int, Variant]] = {}
    for tally, ranks in zip(tallies, _ranks(tallies, options.shortlist), strict=True):
        for image, rank in zip(tally.segment.ids[tally.images].tolist(), ranks.tolist(), strict=True):
            places[rank] = image, tally.variant
    return [places[rank] for rank in sorted(places) if rank >= 0]


@contextlib.contextmanager
def _threads(query: QueryWords, segments: Sequence[Segment]) -> Iterator[Callable[..., Iterator[Any]]]:
    """A ``map``: one that works in threads, if there is enough to scan and more than one core."""
    if sum(postings_of(one.offsets, query.ids) for one in segments) <= _WORTH_THREADS or _cores() == 1:
        yield map
        return
    with ThreadPoolExecutor(_cores()) as pool:
        yield pool.map


def _tallied(
    query: QueryWords,
    variants: int,
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]] | Sequence[NDArray[np.intp]],
    options: VotingOptions,
    each: Callable[..., Iterator[Any]],
) -> list[_Tally]:
    """The best images of each segment for each variant."""
    distances = np.arange(min(options.voting_limit, options.hamming_limit) + 1)
    distance_weights = np.exp(-((distances / options.sigma) ** 2)).astype(np.float32)

    def tally(part: tuple[int, Variant]) -> _Tally:
        number, variant = part
        segment = segments[number]
        entries, _ = query.of_variant(variant)
        votes = np.zeros(len(segment.ids), np.float32)
        scan(_lists_of(segment), entries, distance_weights, votes)
        votes[hidden[number]] = 0
        return _Tally(segment, variant, *best(votes, segment.weights, options.shortlist))

    # Votes of a segment and variant are added up by one thread: their sum does not depend on how many there are.
    return list(
        each(tally, [(number, variant) for number in range(len(segments)) for variant in list(Variant)[:variants]])
    )


class _Tally(NamedTuple):
    """The best images of one segment for one variant, with their votes, normalised."""

    segment: Segment
    variant: Variant
    images: NDArray[np.int64]  # ascending
    scores: NDArray[np.float32]


def _lists_of(segment: Segment) -> PostingLists:
    return PostingLists(segment.offsets, segment.postings.image, segment.postings.signature)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hidden(segment: Segment, removed: frozenset[int], among: Sequence[int] | None) -> NDArray[np.intp]:
    """Places in a segment of the images that are not to be found."""
    parts = [np.empty(0, np.intp)]
    if removed:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.fromiter(removed, np.int64))))
    if among is not None:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.asarray(among, np.int64), invert=True)))
    return np.concatenate(parts)


def _ranks(tallies: Sequence[_Tally], count: int) -> list[NDArray[np.int64]]:
    """The rank of each image of each tally among all: 0 for the most votes, -1 for those that are not on the shortlist.

    Ties go to the older image, and of one image to the first variant.
    """
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
    """The candidates of a tally, each with its rank: images on the shortlist with their hits, the nearest first."""
    listed = np.flatnonzero(ranks >= 0)
    # A posting is hit by each entry of its word at most, so this bounds the hits, and the memory that they take.
    most = np.bincount(query.of_variant(tally.variant)[0].words, minlength=1).max()
    bounds = np.cumsum(tally.segment.features[tally.images[listed]], dtype=np.int64) * most
    parts = np.split(listed, np.flatnonzero(np.diff(bounds // _HITS_AT_ONCE)) + 1)
    return [found for part in parts if len(part) for found in _with_hits(tally, part, ranks, query, features, limit)]


def _with_hits(
    tally: _Tally, listed: NDArray[np.intp], ranks: NDArray[np.int64], query: QueryWords, features: Features, limit: int
) -> Iterator[tuple[int, Candidate]]:
    """Candidates from some places in a tally, with their ranks; their hits are in memory at once."""
    segment, numbers = tally.segment, tally.images[listed]
    entries, features_of = query.of_variant(tally.variant)
    hits = hits_of(_lists_of(segment), entries, limit, numbers.astype(np.uint32))
    places, own = np.searchsorted(numbers, hits.images), features_of[hits.entries]
    kept, rivals = thinned(places, own, hits.rows, hits.distances)
    rows, own, places = hits.rows[kept], own[kept], places[kept]
    images = numbers[places]
    matches = TentativeMatches.between(
        Keypoints(features.keypoints[own], features.angles[own], log2(np.maximum(features.sizes[own], 1))),
        Keypoints(*restored(segment.postings, rows, np.maximum(segment.widths[images], segment.heights[images]))),
        costs=hits.distances[kept].astype(np.float64), query_rows=own, reference_rows=rows,
        rivals=rivals,
    )  # fmt: skip
    bounds = np.searchsorted(places, np.arange(len(numbers) + 1))
    for place, image, first, end in zip(listed.tolist(), numbers.tolist(), bounds[:-1], bounds[1:], strict=True):
        of_image = matches[first:end]
        if of_image.rivals is not None and not of_image.rivals.any():
            of_image = dataclasses.replace(of_image, rivals=None)
        candidate = Candidate(
            int(segment.ids[image]), int(segment.widths[image]), int(segment.heights[image]), tally.variant,
            float(tally.scores[place]), of_image,
        )  # fmt: skip
        yield int(ranks[place]), candidate
