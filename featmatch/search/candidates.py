"""The images with the most votes -> candidates, each with its hits as matches of features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import may_fit
from featmatch.geometry.matches import GeometryOptions, Keypoints, TentativeMatches
from featmatch.native.postings import Hits, PostingLists, hits_of
from featmatch.search.crowding import thinned
from featmatch.search.query_words import QueryWords, VariantWords
from featmatch.search.voting import Ranked, are_worth_threads, lists_of, threads
from featmatch.store.postings import Postings, restored
from featmatch.store.segment import Segment

_HITS_AT_ONCE = 1 << 18  # in memory, some 100 bytes each with all that is made of them


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
    with threads(are_worth_threads(query, segments)) as each:
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
        lists = lists_of(segment)
        rows = segment.rows_of(found.images)
        order = np.lexsort((rows, found.variants))
        order = order[rows[order] >= 0]
        ends = np.searchsorted(found.variants[order], np.arange(variants + 1)).tolist()
        for variant, (begin, end) in zip(Variant, pairwise(ends), strict=False):
            if begin < end:
                own = order[begin:end]
                parts.append(_Part(segment, lists, variant, rows[own], found.part(own)))
    return parts


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
