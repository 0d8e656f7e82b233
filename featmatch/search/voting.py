"""Visual words of a query -> votes -> the best candidates, each with its hits."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import may_fit
from featmatch.geometry.matches import GeometryOptions, Keypoints, TentativeMatches
from featmatch.native.postings import Hits, PostingLists, QueryEntries, best, hits_of, scan
from featmatch.search.crowding import thinned
from featmatch.search.query_words import QueryWords, VariantWords
from featmatch.store.postings import Postings, restored
from featmatch.store.segment import Segment

_HITS_AT_ONCE = 1 << 18  # in memory, some 100 bytes each with all that is made of them
_MORE_BITS, _WIDER = 3, 1.6  # where bits are fixed, fewer hits are by chance, so those that are farther off vote, too
_WORTH_THREADS = 2_000_000  # postings; fewer are scanned before threads have begun
_SAMPLED = 64  # of so many words the list of one is looked at, to say how many postings are read


@dataclass(frozen=True)
class VotingOptions:
    """How a query votes for images."""

    words: int = 3  # nearest words of each query feature that are looked up; 1 to 16
    hamming_limit: int = 22  # a hit differs in at most this many of 64 bits; 0 to 32
    voting_limit: int = 19  # hits that differ in at most this many vote; the others only match; 0 to 32
    sigma: float = 10.0  # bits; a hit at distance d weighs exp(-(d / sigma)^2); both are more in large collections
    shortlist: int = 100  # pairs of an image and a variant that go on to verification; 1 to 10000

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


class Ranked(NamedTuple):
    """Pairs of an image and a variant of the query, the most votes first; columns of N rows.

    Attributes:
        ranks: (N,) int64, the place of each among all that were found, from 0.
        images: (N,) int64, numbers.
        variants: (N,) int64, of ``Variant``.
        votes: (N,) float32, normalised.
    """

    ranks: NDArray[np.int64]
    images: NDArray[np.int64]
    variants: NDArray[np.int64]
    votes: NDArray[np.float32]

    @classmethod
    def of(cls, parts: Iterable[Ranked]) -> Ranked:
        """The pairs of several, one behind the other."""
        nothing = np.empty(0, np.int64)
        none = cls(nothing, nothing, nothing, np.empty(0, np.float32))
        return cls(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))

    @classmethod
    def best(
        cls, images: NDArray[np.int64], variants: NDArray[np.int64], votes: NDArray[np.float32], count: int
    ) -> Ranked:
        """The best of some pairs. Ties go to the image with the lower number, and of one image to the first variant."""
        order = np.lexsort((variants, images, -votes))[:count]
        return cls(np.arange(len(order)), images[order], variants[order], votes[order])

    def part(self, rows: NDArray[Any] | slice) -> Ranked:
        """Some of them, by their rows or by a mask."""
        return Ranked(self.ranks[rows], self.images[rows], self.variants[rows], self.votes[rows])


def shortlist(
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]] | Sequence[NDArray[np.intp]],
    options: VotingOptions,
) -> list[Candidate]:
    """Score all images under all variants, and return the best with their hits, best first.

    Args:
        query: the words of all variants.
        query_features: the features of each variant, in the order of ``Variant``.
        segments: where to look.
        hidden: of each segment, the images that are not to be found: their rows, or a mask.
        options: the limits.
    """
    found = tally(query, len(query_features), segments, hidden, options)
    return [one for _, one in candidates_of(found, query, query_features, segments, options.hamming_limit)]


def tally(
    query: QueryWords,
    variants: int,
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]] | Sequence[NDArray[np.intp]],
    options: VotingOptions,
) -> Ranked:
    """Score all images under the first ``variants`` of ``Variant``, and return the best; ``shortlist`` has the rest."""
    if len(query.ids) == 0:
        segments = []
    distance_weights = weights_of_hits(query, options)
    # Votes of a segment and variant are added up by one thread: their sum does not depend on how many there are.
    looked_up, in_threads = [(0, query.entries, variants)], _are_worth_threads(query, segments)
    if in_threads:
        looked_up = [(int(variant), query.of_variant(variant).entries, 1) for variant in list(Variant)[:variants]]

    def best_of(part: tuple[int, tuple[int, QueryEntries, int]]) -> Ranked:
        number, (first, entries, count) = part
        found, _ = best_of_segment(
            segments[number], entries, count, hidden[number], distance_weights, options.shortlist
        )
        return found._replace(variants=found.variants + first)

    with _threads(in_threads) as each:
        found = Ranked.of(each(best_of, [(number, one) for number in range(len(segments)) for one in looked_up]))
    return Ranked.best(found.images, found.variants, found.votes, options.shortlist)


def best_of_segment(
    segment: Segment,
    entries: QueryEntries,
    variants: int,
    hidden: NDArray[np.bool_] | NDArray[np.intp],
    distance_weights: NDArray[np.float32],
    count: int,
    room: int = 0,
) -> tuple[Ranked, Hits | None]:
    """The best so many of one segment, and those that are as good as the last; their ranks are not told.

    Args:
        segment: where to look.
        entries: what to look up, under so many ``variants``.
        variants: how many the query has.
        hidden: the images that are not to be found: their rows, or a mask.
        distance_weights: as of ``weights_of_hits``.
        count: of images to find.
        room: how many hits are wanted at most.

    Returns:
        The best; and the hits of all images, hidden ones too, None where there are more than ``room``.
    """
    votes = np.zeros((variants, len(segment.ids)), np.float32)
    hits = scan(_lists_of(segment), entries, distance_weights, votes, room)
    if hidden.dtype == bool:
        np.copyto(votes, 0, where=hidden)  # many times as quick as by index, where nearly all are hidden
    else:
        votes[:, hidden] = 0
    places, scores = best(votes, segment.weights, count)
    of_variant, rows = np.divmod(places, max(len(segment.ids), 1))
    return Ranked(np.zeros_like(places), segment.ids[rows], of_variant, scores), hits


def weights_of_hits(query: QueryWords, options: VotingOptions) -> NDArray[np.float32]:
    """(D,) float32: how much a hit counts at each distance at which it votes."""
    is_firm = bool(query.fixed.any())
    limit = min(options.voting_limit + is_firm * _MORE_BITS, options.hamming_limit)
    sigma = options.sigma * (_WIDER if is_firm else 1)
    return np.exp(-((np.arange(limit + 1) / sigma) ** 2)).astype(np.float32)


def candidates_of(
    found: Ranked,
    query: QueryWords,
    query_features: Sequence[Features],
    segments: Sequence[Segment],
    limit: int,
    geometry: GeometryOptions | None = None,
) -> list[tuple[int, Candidate]]:
    """Pairs of an image and a variant with their hits, and their ranks, best first.

    Args:
        found: the pairs; those that are in none of the segments are left out.
        query: the words of all variants.
        query_features: the features of each variant, in the order of ``Variant``.
        segments: where the images are.
        limit: bits in which the signature of a hit may differ.
        geometry: those whose hits agree on no homography are left out, most of them; None: they are not.
    """
    parts = _parts(found, segments, len(query_features))
    with _threads(_are_worth_threads(query, segments)) as each:
        matched = [
            some
            for several in each(lambda part: _matched(part, query, query_features[part.variant], limit), parts)
            for some in several
        ]
    hopeful = _hopeful(matched, geometry)
    ranked = [one.candidate(place) for one, places in zip(matched, hopeful, strict=True) for place in places]
    return sorted(ranked, key=itemgetter(0))


class RankedHits(NamedTuple):
    """Hits of some of the best images, which are all in one segment; columns of H rows.

    Attributes:
        segment: where they are.
        ranks: (H,) int64, places in ``Ranked``.
        rows: (H,) int64, postings.
        own: (H,) int64, features of the query.
        distances: (H,) uint8, bits that differ.
    """

    segment: Segment
    ranks: NDArray[np.int64]
    rows: NDArray[np.int64]
    own: NDArray[np.int64]
    distances: NDArray[np.uint8]


def hits_of_ranked(found: Ranked, query: QueryWords, segments: Sequence[Segment], limit: int) -> Iterator[RankedHits]:
    """The hits of pairs of an image and a variant, in flat columns; else as ``candidates_of``."""
    for part in _parts(found, segments, len(Variant)):
        for some in _some_at_once(part, query.of_variant(part.variant)):
            hits = _kept_hits(some, query.of_variant(part.variant), limit)
            yield RankedHits(part.segment, some.found.ranks[hits.places], hits.rows, hits.own, hits.distances)


def hits_among(found: Ranked, query: QueryWords, segment: Segment, hits: Hits) -> RankedHits:
    """Of the hits of all images of a segment those of pairs of an image and a variant; else as ``hits_of_ranked``."""
    rows, images = segment.rows_of(found.images), len(segment.ids)
    there = np.flatnonzero(rows >= 0)
    pairs = found.variants[there] * images + rows[there]
    there, pairs = there[np.argsort(pairs)], np.sort(pairs)
    is_there = np.zeros(images, bool)
    is_there[rows[there]] = True
    some = np.flatnonzero(is_there[hits.images])  # most are of others
    variants = query.variants[hits.entries[some]].astype(np.int64)
    pair = variants * images + hits.images[some]
    places = np.searchsorted(pairs, pair)
    right = np.flatnonzero(pairs[np.minimum(places, len(pairs) - 1)] == pair) if len(pairs) else places
    some, ranks = some[right], found.ranks[there[places[right]]]
    own, postings = query.features[hits.entries[some]], hits.rows[some]
    kept = thinned(ranks, own, postings * len(Variant) + variants[right], hits.distances[some]).rows
    return RankedHits(segment, ranks[kept], postings[kept], own[kept], hits.distances[some[kept]])


@contextlib.contextmanager
def _threads(in_threads: bool) -> Iterator[Callable[..., Iterator[Any]]]:
    """A ``map``: one that works in threads, or not."""
    if not in_threads:
        yield map
        return
    with ThreadPoolExecutor(_cores()) as pool:
        yield pool.map


def _are_worth_threads(query: QueryWords, segments: Sequence[Segment]) -> bool:
    """Whether there is enough to scan, and more than one core."""
    return _cores() > 1 and sum(_about_read(one, query) for one in segments) > _WORTH_THREADS


def _about_read(segment: Segment, query: QueryWords) -> int:
    """About how many postings of a segment a query reads, by some of its words."""
    lists, ids = segment.lists, query.ids[::_SAMPLED]
    lengths = lists[ids + 1].astype(np.int64) - lists[ids]
    return int((lengths >> np.bitwise_count(query.fixed[::_SAMPLED])).sum()) * _SAMPLED


class _Part(NamedTuple):
    """Images of one segment that were found under one variant."""

    segment: Segment
    lists: PostingLists  # of the segment
    variant: Variant
    rows: NDArray[np.intp]  # ascending
    found: Ranked


def _parts(found: Ranked, segments: Sequence[Segment], variants: int) -> list[_Part]:
    """The pairs under the first ``variants`` of ``Variant``, by segment and variant."""
    parts = []
    for segment in segments:
        lists = _lists_of(segment)
        rows = segment.rows_of(found.images)
        order = np.lexsort((rows, found.variants))
        order = order[rows[order] >= 0]
        ends = np.searchsorted(found.variants[order], np.arange(variants + 1)).tolist()
        for variant, (begin, end) in zip(Variant, pairwise(ends), strict=False):
            if begin < end:
                own = order[begin:end]
                parts.append(_Part(segment, lists, variant, rows[own], found.part(own)))
    return parts


def _lists_of(segment: Segment) -> PostingLists:
    return PostingLists(segment.offsets, segment.postings.image, segment.postings.signature, segment.parts)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hidden_rows(segment: Segment, removed: frozenset[int], among: Sequence[int] | None) -> NDArray[np.intp]:
    """Rows of a segment whose images are not to be found: they were removed, or others alone are looked for."""
    parts = [np.empty(0, np.intp)]
    if removed:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.fromiter(removed, np.int64))))
    if among is not None:
        parts.append(np.flatnonzero(np.isin(segment.ids, np.asarray(among, np.int64), invert=True)))
    return np.concatenate(parts)


class _Matched(NamedTuple):
    """The hits of all images of a part, as matches of features.

    Attributes:
        part: the images.
        matches: those of each image side by side, the nearest first.
        ends: (N + 1,) int64, the matches of image n are the rows ``ends[n]`` up to ``ends[n + 1]``.
    """

    part: _Part
    matches: TentativeMatches
    ends: NDArray[np.int64]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each image, px."""
        segment, rows = self.part.segment, self.part.rows
        return list(zip(segment.widths[rows].tolist(), segment.heights[rows].tolist(), strict=True))

    def candidate(self, place: int) -> tuple[int, Candidate]:
        """One of the images, with its rank."""
        part, own = self.part, self.matches[self.ends[place] : self.ends[place + 1]]
        if own.rivals is not None and not own.rivals.any():
            own = dataclasses.replace(own, rivals=None)
        segment, row = part.segment, part.rows[place]
        candidate = Candidate(
            int(segment.ids[row]), int(segment.widths[row]), int(segment.heights[row]), part.variant,
            float(part.found.votes[place]), own,
        )  # fmt: skip
        return int(part.found.ranks[place]), candidate


def _matched(part: _Part, query: QueryWords, features: Features, limit: int) -> list[_Matched]:
    """The hits of a part, of so many images at once as memory allows."""
    looked_up = query.of_variant(part.variant)
    return [_with_hits(some, looked_up, features, limit) for some in _some_at_once(part, looked_up)]


def _hopeful(matched: Sequence[_Matched], geometry: GeometryOptions | None) -> list[list[int]]:
    """Places of the images of each part that may have a homography: hardly any, so only these are cut out."""
    counts = [len(one.part.rows) for one in matched]
    may = np.ones(sum(counts), bool)
    if geometry is not None:
        every, firsts = TentativeMatches.joined([one.matches for one in matched])
        ends = [first + one.ends[1:] for first, one in zip(firsts[:-1], matched, strict=True)]
        may = may_fit(
            every, np.concatenate([firsts[:1], *ends]), [size for one in matched for size in one.sizes], geometry
        )
    bounds = np.cumsum([0, *counts])
    return [np.flatnonzero(may[begin:end]).tolist() for begin, end in pairwise(bounds.tolist())]


def _some_at_once(part: _Part, looked_up: VariantWords) -> list[_Part]:
    """Smaller parts, of so few images that their hits can be in memory at once."""
    # A posting is hit by each entry of its word at most, so this bounds the hits, and the memory that they take.
    bounds = np.cumsum(part.segment.features[part.rows], dtype=np.int64) * looked_up.most
    if bounds[-1] < _HITS_AT_ONCE:
        return [part]
    at_once = np.split(np.arange(len(part.rows)), np.flatnonzero(np.diff(bounds // _HITS_AT_ONCE)) + 1)
    return [part._replace(rows=part.rows[some], found=part.found.part(some)) for some in at_once]


def _in_order(hits: Hits, postings: Postings) -> Hits:
    """Hits by entry, and those of an entry by what their postings are: in the same order however lists lie."""
    rows = hits.rows
    places = postings.x[rows].astype(np.int64) << 16 | postings.y[rows]
    looks = postings.angle[rows].astype(np.int64) << 8 | postings.size[rows]
    order = np.lexsort((postings.signature[rows], places << 16 | looks, hits.entries))
    return Hits(hits.entries[order], rows[order], hits.images[order], hits.distances[order])


class _Hits(NamedTuple):
    """Hits of the images of a part, those of one image side by side; columns of H rows.

    Attributes:
        places: (H,) int64, ascending: of which image of the part.
        own: (H,) int64, features of the query.
        rows: (H,) int64, postings.
        distances: (H,) uint8, bits that differ.
        rivals: (H,) int64, as ``crowding.Thinned``.
    """

    places: NDArray[np.int64]
    own: NDArray[np.int64]
    rows: NDArray[np.int64]
    distances: NDArray[np.uint8]
    rivals: NDArray[np.int64]


def _kept_hits(part: _Part, looked_up: VariantWords, limit: int, *, in_order: bool = False) -> _Hits:
    """The hits of a part, thinned; ``in_order``: those of one image and distance in the order of what they are."""
    hits = hits_of(part.lists, looked_up.entries, limit, part.rows.astype(np.uint32))
    if in_order:
        hits = _in_order(hits, part.segment.postings)
    places, own = np.searchsorted(part.rows, hits.images), looked_up.features[hits.entries]
    kept, rivals = thinned(places, own, hits.rows, hits.distances)
    return _Hits(places[kept], own[kept], hits.rows[kept], hits.distances[kept], rivals)


def _with_hits(part: _Part, looked_up: VariantWords, features: Features, limit: int) -> _Matched:
    """The same; the hits of all are in memory at once."""
    segment, numbers = part.segment, part.rows
    in_order = looked_up.entries.nearest_first or segment.parts > 1
    places, own, rows, distances, rivals = _kept_hits(part, looked_up, limit, in_order=in_order)
    images = numbers[places]
    matches = TentativeMatches.between(
        Keypoints(features.keypoints[own], features.angles[own], features.octaves[own]),
        Keypoints(*restored(segment.postings, rows, np.maximum(segment.widths[images], segment.heights[images]))),
        costs=distances.astype(np.float64), query_rows=own, reference_rows=rows,
        rivals=rivals if rivals.any() else None,
    )  # fmt: skip
    return _Matched(part, matches, np.searchsorted(places, np.arange(len(numbers) + 1)))
