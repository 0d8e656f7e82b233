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
from featmatch.native.postings import Hits, hits_of
from featmatch.search.crowding import thinned
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import Ranked, are_worth_threads, threads
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


class Listed(NamedTuple):
    """Pairs of an image and a variant, with many votes, of one index.

    Attributes:
        found: the pairs; those that are in none of the segments are left out.
        segments: where the images are.
        hits: of each segment, those of all images; None: they are to be looked up.
    """

    found: Ranked
    segments: Sequence[Segment]
    hits: Sequence[Hits | None]

    @classmethod
    def looked_up(cls, found: Ranked, segments: Sequence[Segment]) -> Listed:
        """Pairs of which all hits are to be looked up."""
        return cls(found, segments, [None] * len(segments))


def candidates_of(
    listed: Sequence[Listed],
    query: QueryWords,
    query_features: Sequence[Features],
    limit: int,
    geometry: GeometryOptions | None = None,
) -> list[list[tuple[int, Candidate]]]:
    """Of each of several indexes, the pairs that are listed with their hits, and their ranks, best first.

    What is done of each pair is done of all of them at once.

    Args:
        listed: of each index.
        query: the words of all variants.
        query_features: the features of each variant, in the order of ``Variant``.
        limit: bits in which the signature of a hit may differ.
        geometry: those whose hits agree on no homography are left out, most of them; None: they are not.
    """
    left = [segment for one in listed for segment, hits in zip(one.segments, one.hits, strict=True) if hits is None]
    in_threads, variants = are_worth_threads(query, left), len(query_features)
    parts = [
        (number, part)
        for number, one in enumerate(listed)
        for part in _parts(one, query, variants, of_variants=in_threads)
    ]
    own = _OfVariants.of(query_features)
    with threads(in_threads) as each:
        matched = list(each(lambda part: _with_hits(part[1], query, own, limit), parts))
    ranked: list[list[tuple[int, Candidate]]] = [[] for _ in listed]
    for (number, _), one, places in zip(parts, matched, _hopeful(matched, geometry), strict=True):
        ranked[number] += map(one.candidate, places)
    return [sorted(own, key=itemgetter(0)) for own in ranked]


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


def hits_of_ranked(listed: Listed, query: QueryWords, limit: int) -> Iterator[RankedHits]:
    """The hits of pairs of an image and a variant, in flat columns; else as ``candidates_of``."""
    for part in _parts(listed, query, len(Variant)):
        hits = _kept_hits(part, query, limit)
        yield RankedHits(part.segment, part.found.ranks[hits.places], hits.rows, hits.own, hits.distances)


class _Part(NamedTuple):
    """Pairs of an image and a variant of which all images are in one segment; by variant, and then by row.

    Attributes:
        segment: where the images are.
        rows: (N,) of the images in it.
        found: the pairs.
        hits: of all images of the segment; None: they are to be looked up.
    """

    segment: Segment
    rows: NDArray[np.intp]
    found: Ranked
    hits: Hits | None

    def at(self, places: NDArray[np.intp]) -> _Part:
        """Some of the pairs, by their places."""
        return self._replace(rows=self.rows[places], found=self.found.part(places))


def _parts(listed: Listed, query: QueryWords, variants: int, *, of_variants: bool = False) -> list[_Part]:
    """The pairs under the first ``variants`` of ``Variant``, by segment, so few at once that memory is enough.

    ``of_variants``: hits that are looked up are by each variant apart.
    """
    parts = []
    found = listed.found
    for segment, hits in zip(listed.segments, listed.hits, strict=True):
        rows = segment.rows_of(found.images)
        order = np.lexsort((rows, found.variants))
        order = order[(rows[order] >= 0) & (found.variants[order] < variants)]
        if not len(order):
            continue
        part = _Part(segment, rows[order], found.part(order), hits)
        parts += [part] if hits is not None else _some_at_once(part, query, of_variants=of_variants)
    return parts


class _OfVariants(NamedTuple):
    """Features of all variants of a query, one variant after the other.

    Attributes:
        keypoints: of F features.
        firsts: (variants,) int64, where those of each variant begin.
    """

    keypoints: Keypoints
    firsts: NDArray[np.int64]

    @classmethod
    def of(cls, features: Sequence[Features]) -> _OfVariants:
        """Those of each variant, in the order of ``Variant``."""
        columns = zip(*((one.keypoints, one.angles, one.octaves) for one in features), strict=True)
        firsts = np.cumsum([0, *map(len, features[:-1])], dtype=np.int64)
        return cls(Keypoints(*map(np.concatenate, columns)), firsts)


class _Matched(NamedTuple):
    """The hits of all pairs of a part, as matches of features.

    Attributes:
        part: the pairs.
        matches: those of each pair side by side, the nearest first.
        ends: (N + 1,) int64, the matches of pair n are the rows ``ends[n]`` up to ``ends[n + 1]``.
    """

    part: _Part
    matches: TentativeMatches
    ends: NDArray[np.int64]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the image of each pair, px."""
        segment, rows = self.part.segment, self.part.rows
        return list(zip(segment.widths[rows].tolist(), segment.heights[rows].tolist(), strict=True))

    def candidate(self, place: int) -> tuple[int, Candidate]:
        """One of the pairs, with its rank."""
        part, own = self.part, self.matches[self.ends[place] : self.ends[place + 1]]
        if own.rivals is not None and not own.rivals.any():
            own = dataclasses.replace(own, rivals=None)
        segment, row = part.segment, part.rows[place]
        candidate = Candidate(
            int(segment.ids[row]), int(segment.widths[row]), int(segment.heights[row]),
            Variant(int(part.found.variants[place])), float(part.found.votes[place]), own,
        )  # fmt: skip
        return int(part.found.ranks[place]), candidate


def _hopeful(matched: Sequence[_Matched], geometry: GeometryOptions | None) -> list[list[int]]:
    """Places of the pairs of each part that may have a homography: hardly any, so only these are cut out."""
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


def _some_at_once(part: _Part, query: QueryWords, *, of_variants: bool) -> list[_Part]:
    """Smaller parts, of so few pairs that their hits can be in memory at once; ``of_variants``: of one variant each."""
    # A posting is hit by each entry of its word at most, so this bounds the hits, and the memory that they take.
    most = query.most_of_variants[part.found.variants]
    bounds = np.cumsum(part.segment.features[part.rows] * most, dtype=np.int64)
    ends = np.diff(bounds // _HITS_AT_ONCE) > 0
    if of_variants:
        ends |= np.diff(part.found.variants) > 0
    if not ends.any():
        return [part]
    return [part.at(some) for some in np.split(np.arange(len(part.rows)), np.flatnonzero(ends) + 1)]


def _in_order(hits: Hits, postings: Postings) -> Hits:
    """Hits by entry, and those of an entry by what their postings are: in the same order however lists lie."""
    rows = hits.rows
    places = postings.x[rows].astype(np.int64) << 16 | postings.y[rows]
    looks = postings.angle[rows].astype(np.int64) << 8 | postings.size[rows]
    order = np.lexsort((postings.signature[rows], places << 16 | looks, hits.entries))
    return Hits(hits.entries[order], rows[order], hits.images[order], hits.distances[order])


class _Hits(NamedTuple):
    """Hits of the pairs of a part, those of one pair side by side; columns of H rows.

    Attributes:
        places: (H,) int64, ascending: of which pair of the part.
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


def _kept_hits(part: _Part, query: QueryWords, limit: int, *, in_order: bool = False) -> _Hits:
    """The hits of a part, thinned; ``in_order``: those of one pair and distance in the order of what they are."""
    hits = _looked_up(part, query, limit) if part.hits is None else _among(part, part.hits)
    if in_order:
        hits = _in_order(hits, part.segment.postings)
    variants, images = query.variants[hits.entries].astype(np.int64), len(part.segment.ids)
    pairs, pair = part.found.variants * images + part.rows, variants * images + hits.images
    places = np.searchsorted(pairs, pair)
    if part.hits is not None:
        some = np.flatnonzero(pairs[np.minimum(places, len(pairs) - 1)] == pair)
        hits, places, variants = hits.at(some), places[some], variants[some]
    own = query.features[hits.entries]
    # The postings of an image that is there under several variants are told apart, as those of several images are.
    kept, rivals = thinned(places, own, hits.rows * len(Variant) + variants, hits.distances)
    return _Hits(places[kept], own[kept], hits.rows[kept], hits.distances[kept], rivals)


def _among(part: _Part, hits: Hits) -> Hits:
    """Of the hits of all images those of the images of a part: most are of others."""
    is_there = np.zeros(len(part.segment.ids), bool)
    is_there[part.rows] = True
    return hits.at(np.flatnonzero(is_there[hits.images]))


def _looked_up(part: _Part, query: QueryWords, limit: int) -> Hits:
    """The hits of the pairs of a part."""
    found = []
    ends = np.searchsorted(part.found.variants, np.arange(len(Variant) + 1)).tolist()
    for variant, (begin, end) in zip(Variant, pairwise(ends), strict=True):
        if begin < end:
            entries, first = query.of_variant(variant).entries, np.searchsorted(query.variants, variant)
            hits = hits_of(part.segment.for_kernels, entries, limit, part.rows[begin:end].astype(np.uint32))
            found.append((int(first), hits))
    return Hits.joined(found)


def _with_hits(part: _Part, query: QueryWords, features: _OfVariants, limit: int) -> _Matched:
    """The hits of a part, as matches."""
    segment, in_order = part.segment, query.nearest_first or part.segment.parts > 1
    places, own, rows, distances, rivals = _kept_hits(part, query, limit, in_order=in_order)
    images, of_all = part.rows[places], features.firsts[part.found.variants[places]] + own
    matches = TentativeMatches.between(
        Keypoints(*(column[of_all] for column in features.keypoints)),
        Keypoints(*restored(segment.postings, rows, np.maximum(segment.widths[images], segment.heights[images]))),
        costs=distances.astype(np.float64), query_rows=own, reference_rows=rows,
        rivals=rivals if rivals.any() else None,
    )  # fmt: skip
    return _Matched(part, matches, np.searchsorted(places, np.arange(len(part.rows) + 1)))
