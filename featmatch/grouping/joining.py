"""Stored images -> for each, its partners: the images that share words and signatures with it.

A self-join of the posting lists, one image at a time: its stored features look up their own words, among the images
that come before it. No image is decoded, and no features are extracted or assigned to words. In a closed vocabulary
the words of the mirrored and of the negative picture follow from the stored ones (``Vocabulary.permuted``), so that
such copies are found as well.

In a large collection, lists are too long to be read for each image. There a hit must agree in the highest bits of its
signature, but for one of them at most, which then is not counted. By these bits long lists lie in parts, of which few
are read, each of them once: of 16 by 4 bits 5, of 256 by 8 bits 9. The longer lists are, the more bits must agree.
Other than of a query's features, it is not known which bits of a stored one are the firmest: so all are alike.

Each feature has one word, so either of two images finds the same hits in the other, and it does not matter which one
is looked up. What follows must begin at the same one, though: ``TentativeMatches`` lead from the image whose content
(SHA-256) sorts later, in an order that does not depend on where the images are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.detectors import descriptor_size
from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.exact import exp2, log2
from featmatch.geometry.homography import FEWEST_MATCHES
from featmatch.geometry.matches import Keypoints, TentativeMatches
from featmatch.native.postings import rows_of
from featmatch.search.candidates import Listed, RankedHits, hits_of_ranked
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import Ranked, VotingOptions, best_of_segment, weights_of_hits
from featmatch.store.postings import Postings, restored
from featmatch.store.segment import MANY_FEATURES, Segment
from featmatch.words.vocabulary import Vocabulary, Words

_ROOM = 1 << 20  # hits in a segment that are kept, 17 bytes each; where there are more, those of the best are looked up
_ORDER_BITS = 48  # of the numbers that features are sorted by
_MOST_BITS = 8  # by which lists are cut
_READ = 300  # postings of a list of mean length that are read for a feature, while fewer bits than the most must agree
_TIMES_THE_MEAN = 64  # features of a word; in a large collection, those with more are too common


@dataclass(frozen=True)
class JoiningOptions:
    """How images find their partners."""

    hamming_limit: int = 22  # most of 64 bits in which the signatures of a hit differ; 0 to 32
    sigma: float = 10.0  # bits, above 0; a hit at distance d has the weight exp(-(d / sigma)^2)
    partners: int = 30  # of each image that are verified; each variant of a partner counts; 1 to 2500
    longest_list: int = 20_000  # words with more features than this, or in a large collection more, are skipped; >= 1

    def __post_init__(self) -> None:
        if not (
            0 <= self.hamming_limit <= 32 and self.sigma > 0 and 1 <= self.partners <= 2500 and self.longest_list >= 1
        ):
            raise UsageError(f"joining options out of range: {self}")


@dataclass(frozen=True)
class StoredImage:
    """One image as the index stores it.

    Attributes:
        id: in the catalogue.
        features: positions, sizes and angles of its N features; descriptors are not stored.
        words: (N, 1), the word and the signature of each feature.
        order: (N,) int64, how its features are sorted where nothing else tells them apart: by what is stored of them.
    """

    id: int
    features: Features
    words: Words
    order: NDArray[np.int64]


class SharedFeatures(NamedTuple):
    """One side of hits; columns of H rows.

    Attributes:
        keypoints: (H, 2) float32, px, x then y.
        angles: (H,) float32, radians.
        sizes: (H,) float32, px.
        widths: (H,) int32, of the image of each, px.
        numbers: (H,) int64, equal for hits of one feature of an image.
        order: (H,) int64, as in ``StoredImage``.
    """

    keypoints: NDArray[np.float32]
    angles: NDArray[np.float32]
    sizes: NDArray[np.float32]
    widths: NDArray[np.int32]
    numbers: NDArray[np.int64]
    order: NDArray[np.int64]

    def at(self, rows: NDArray[Any]) -> SharedFeatures:
        """Some of them, by their rows."""
        return SharedFeatures(*(column[rows] for column in self))

    def or_else(self, others: SharedFeatures, is_own: NDArray[np.bool_]) -> SharedFeatures:
        """Row by row these or the others."""
        return SharedFeatures(
            np.where(is_own[:, None], self.keypoints, others.keypoints),
            np.where(is_own, self.angles, others.angles),
            np.where(is_own, self.sizes, others.sizes),
            np.where(is_own, self.widths, others.widths),
            np.where(is_own, self.numbers, others.numbers),
            np.where(is_own, self.order, others.order),
        )

    def seen_in(self, variants: NDArray[np.int64]) -> Keypoints:
        """Where they lie in the variant of each, as ``symmetry.with_places_of`` says."""
        keypoints, angles = self.keypoints.copy(), self.angles.copy()
        mirrored = variants & Variant.MIRRORED > 0
        keypoints[mirrored, 0] = -keypoints[mirrored, 0] + (self.widths[mirrored] - 1).astype(np.float32)
        angles[mirrored] = np.pi - angles[mirrored]
        angles[variants & Variant.NEGATIVE > 0] += np.pi
        return Keypoints(keypoints, np.mod(angles, 2 * np.pi).astype(np.float32), log2(np.maximum(self.sizes, 1)))


@dataclass(frozen=True)
class Partners:
    """The P images that share the most features with one that was looked up, by their ids; and the hits of all.

    Attributes:
        ids: (P,) int64, ascending; one image may be there in several variants.
        variants: (P,) int64, of ``Variant``: of the looked-up image, that is like this one.
        ends: (P + 1,) int64, the hits of partner p are the rows ``ends[p]`` up to ``ends[p + 1]`` of the columns.
        own: features of the image that was looked up.
        other: those of the partners.
        distances: (H,) int64, number of bits in which the signatures differ.
    """

    ids: NDArray[np.int64]
    variants: NDArray[np.int64]
    ends: NDArray[np.int64]
    own: SharedFeatures
    other: SharedFeatures
    distances: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def matches(self, from_own: NDArray[np.bool_]) -> TentativeMatches:
        """The hits, those of each partner by ascending distance.

        Args:
            from_own: (P,), whether they lead from the image that was looked up to the partner; or the other way round.
        """
        partner = np.repeat(np.arange(len(self)), np.diff(self.ends))
        query = self.own.or_else(self.other, from_own[partner])
        reference = self.other.or_else(self.own, from_own[partner])
        rows = np.lexsort([reference.order, self.distances << _ORDER_BITS | query.order, partner])
        query, reference = query.at(rows), reference.at(rows)
        return TentativeMatches.between(
            query.seen_in(self.variants[partner]), reference.seen_in(np.zeros_like(partner)),
            costs=self.distances[rows].astype(np.float64), query_rows=query.numbers, reference_rows=reference.numbers,
        )  # fmt: skip


def stored_images(segments: Sequence[Segment], ids: Iterable[int], detector: str) -> Iterator[StoredImage]:
    """Read images by their ids, in the order of the segments; each segment is scanned once."""
    wanted = np.array(sorted(ids), np.int64)
    for segment in segments:
        places = segment.rows_of(wanted)
        places = np.sort(places[places >= 0])
        if not len(places):
            continue
        is_wanted = np.zeros(len(segment.ids), bool)
        is_wanted[places] = True
        images, lists = segment.postings.image, np.ascontiguousarray(segment.lists)
        rows = rows_of(images, is_wanted)
        rows = rows[np.argsort(images[rows], kind="stable")]
        starts, ends = np.searchsorted(images[rows], [places, places + 1]).tolist()
        for image, start, end in zip(places.tolist(), starts, ends, strict=True):
            yield _stored(segment, lists, image, rows[start:end], detector)


def _stored(
    segment: Segment, lists: NDArray[np.uint32], image: int, rows: NDArray[np.int64], detector: str
) -> StoredImage:
    features = _features_at(segment, image, rows, detector)
    words = np.searchsorted(lists, rows, "right").astype(np.int32) - 1
    signatures = segment.postings.signature[rows]
    order = np.lexsort([*_columns(features), signatures, words])
    features = replace(  # descriptors, which are not stored, take no memory as they are
        features, keypoints=features.keypoints[order], sizes=features.sizes[order], angles=features.angles[order]
    )
    own = Words(words[order, None], signatures[order, None])
    return StoredImage(int(segment.ids[image]), features, own, _order(segment.postings, rows[order]))


def _order(postings: Postings, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers below 2 ** _ORDER_BITS to sort features by: all that is stored of them but the signature."""
    looks = postings.size[rows].astype(np.int64) << 8 | postings.angle[rows]
    return (looks << 16 | postings.y[rows]) << 16 | postings.x[rows]


def _features_at(segment: Segment, image: int, rows: NDArray[np.int64], detector: str) -> Features:
    """Features of one image, from these rows of its segment."""
    width, height = int(segment.widths[image]), int(segment.heights[image])
    long_sides = np.full(len(rows), max(width, height), np.int32)
    keypoints, angles, octaves = restored(segment.postings, rows, long_sides)
    nothing = np.broadcast_to(np.uint8(0), (len(rows), descriptor_size(detector)))
    return Features(
        detector, width, height, keypoints.astype(np.float32), exp2(octaves).astype(np.float32),
        angles.astype(np.float32), nothing,
    )  # fmt: skip


def _columns(features: Features) -> tuple[NDArray[Any], ...]:
    """Columns to sort features by, so that their order does not depend on how they are stored."""
    return features.keypoints[:, 0], features.keypoints[:, 1], features.angles, features.sizes


def partners(
    image: StoredImage,
    segments: Sequence[Segment],
    among: Sequence[NDArray[np.bool_]],
    vocabulary: Vocabulary,
    options: JoiningOptions,
) -> Partners:
    """Find the images that share the most features with one.

    Args:
        image: to look up.
        segments: where to look.
        among: (images,) bool for each segment, which of its images are searched.
        vocabulary: of the index.
        options: the limits.

    Returns:
        The best partners, for each variant of ``image``, with the hits. Images with too few hits for a homography are
        left out, so that they take no better one's place.
    """
    features = sum(len(segment.postings.image) for segment in segments)
    is_large = features > MANY_FEATURES
    longest = max(options.longest_list, is_large * _TIMES_THE_MEAN * features // len(vocabulary))
    bits = _agreeing_bits(features, len(vocabulary)) if is_large else 0
    variants = list(Variant)[: vocabulary.forms]
    words = [vocabulary.permuted(image.words, variant) for variant in variants]
    ids = np.concatenate([seen.ids[:, 0] for seen in words])
    lengths = sum(segment.lists[ids + 1].astype(np.int64) - segment.lists[ids] for segment in segments)
    rare = np.flatnonzero(lengths <= longest)
    query = QueryWords(
        ids=ids[rare],
        signatures=np.concatenate([seen.signatures[:, 0] for seen in words])[rare],
        weights=vocabulary.idf_of(ids[rare]) ** 2,
        variants=(rare // len(image.words.ids)).astype(np.int32),
        features=rare % len(image.words.ids),
        fixed=np.full(len(rare), 256 - (256 >> bits), np.uint8),
        nearest_first=is_large,
        all_but_one=is_large,
    )
    voting = VotingOptions(
        hamming_limit=options.hamming_limit,
        voting_limit=options.hamming_limit,
        sigma=options.sigma,
        shortlist=4 * options.partners,
    )
    read = [number for number, open_ in enumerate(among) if open_.any()]
    segments = [segments[number] for number in read]
    found, hits = _best_with_hits(query, len(variants), segments, [~among[number] for number in read], voting)
    return _partners(image, found, hits, options.partners)


def _best_with_hits(
    query: QueryWords,
    variants: int,
    segments: Sequence[Segment],
    hidden: Sequence[NDArray[np.bool_]],
    voting: VotingOptions,
) -> tuple[Ranked, list[RankedHits]]:
    """The best images and their hits. All hits vote, so where they are not too many, lists are read once."""
    distance_weights = weights_of_hits(query, voting)
    scanned = [
        best_of_segment(segment, query.entries, variants, closed, distance_weights, voting.shortlist, (_ROOM, 0))
        for segment, closed in zip(segments, hidden, strict=True)
    ]
    every = Ranked.of(found for found, _ in scanned)
    best = Ranked.best(every.images, every.variants, every.votes, voting.shortlist)
    listed = Listed(best, segments, [hits for _, hits in scanned])
    return best, list(hits_of_ranked(listed, query, voting.hamming_limit))


def _agreeing_bits(features: int, words: int) -> int:
    """In how many of the highest bits all but one agree, in a large collection: as few as the length of lists allows.

    >>> [_agreeing_bits(features * 1_000_000, 65_536) for features in (21, 50, 100, 200, 500)]
    [2, 4, 5, 7, 8]
    """
    mean = features / words
    return next((bits for bits in range(_MOST_BITS) if (bits + 1) / 2**bits * mean <= _READ), _MOST_BITS)


def _partners(image: StoredImage, found: Ranked, hits: Sequence[RankedHits], most: int) -> Partners:
    """The best of what was found that have enough hits, with these."""
    nothing = np.empty(0, np.int64)
    ranks = np.concatenate([nothing, *(some.ranks for some in hits)])
    enough = np.flatnonzero(np.bincount(ranks, minlength=len(found.images)) >= FEWEST_MATCHES)[:most]
    enough = enough[np.lexsort((found.variants[enough], found.images[enough]))]
    place = np.full(len(found.images), -1)
    place[enough] = np.arange(len(enough))
    kept = [place[some.ranks] >= 0 for some in hits]
    partner = place[ranks]
    own = np.concatenate([nothing, *(some.own for some in hits)])
    distances = np.concatenate([nothing, *(some.distances for some in hits)])
    others = [_others(some.segment, some.rows[rows]) for some, rows in zip(hits, kept, strict=True)]
    other = SharedFeatures(*(np.concatenate(columns) for columns in zip(_NOTHING, *others, strict=True)))
    own, distances, partner = own[partner >= 0], distances[partner >= 0], partner[partner >= 0]
    by_partner = np.argsort(partner, kind="stable")
    ends = np.searchsorted(partner[by_partner], np.arange(len(enough) + 1))
    own, features = own[by_partner], image.features
    return Partners(
        found.images[enough], found.variants[enough], ends,
        SharedFeatures(
            features.keypoints[own], features.angles[own], features.sizes[own],
            np.full(len(own), features.width, np.int32), own, image.order[own],
        ),
        other.at(by_partner),
        distances[by_partner].astype(np.int64),
    )  # fmt: skip


def _others(segment: Segment, rows: NDArray[np.int64]) -> SharedFeatures:
    """The features of some postings; a number tells only features of one image apart."""
    images = segment.postings.image[rows]
    keypoints, angles, octaves = restored(
        segment.postings, rows, np.maximum(segment.widths[images], segment.heights[images])
    )
    return SharedFeatures(
        keypoints.astype(np.float32), angles.astype(np.float32), exp2(octaves).astype(np.float32),
        segment.widths[images], np.unique(rows, return_inverse=True)[1], _order(segment.postings, rows),
    )  # fmt: skip


_NOTHING = SharedFeatures(
    np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int32),
    np.empty(0, np.int64), np.empty(0, np.int64),
)  # fmt: skip
