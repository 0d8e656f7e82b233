"""Stored images -> for each, its partners: the images that share words and signatures with it.

A self-join of the posting lists, one image at a time: its stored features look up their own words, among the images
that come before it. No image is decoded, and no features are extracted or assigned to words. In a closed vocabulary
the words of the mirrored and of the negative picture follow from the stored ones (``Vocabulary.permuted``), so that
such copies are found as well.

In a large collection, lists are too long to be read for each image. There a hit must agree in the highest bits of its
signature, but for one of them at most, which then is not counted. By these bits long lists lie in parts, of which few
are read: of 16 by 4 bits 5, of 256 by 8 bits 9. The longer lists are, the more bits must agree. Other than of a query's
features, it is not known which bits of a stored one are the firmest: so all are alike.

Each feature has one word, so either of two images finds the same hits in the other, and it does not matter which one
is looked up. What follows must begin at the same one, though: ``TentativeMatches`` lead from the image whose content
(SHA-256) sorts later, in an order that does not depend on where the images are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError, UsageError
from featmatch.features.detectors import descriptor_size
from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant, with_places_of
from featmatch.geometry.exact import exp2, log2
from featmatch.geometry.matches import FEWEST_MATCHES, Keypoints, TentativeMatches
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import Candidate, VotingOptions, shortlist
from featmatch.store.postings import restored
from featmatch.store.segment import MANY_FEATURES, Segment
from featmatch.words.vocabulary import Vocabulary, Words

_ROWS = 1 << 22  # postings that are scanned at a time
_ONE_OFF = np.array([0, *(1 << 63 >> np.arange(8, dtype=np.uint64))], np.uint64)  # how the highest bits may differ
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
    """

    id: int
    features: Features
    words: Words


@dataclass(frozen=True)
class Partner:
    """An image that shares features with the image that was looked up; columns of N rows, one for each hit.

    Attributes:
        id: in the catalogue.
        variant: of the looked-up image that is like this one.
        own: (N,) features of the image that was looked up.
        other: (N,) features of this one.
        own_numbers: (N,) int64, equal for hits of one feature of the looked-up image.
        other_numbers: (N,) int64, equal for hits of one feature of this image.
        distances: (N,) float64, number of bits in which the signatures differ.
    """

    id: int
    variant: Variant
    own: Features
    other: Features
    own_numbers: NDArray[np.int64]
    other_numbers: NDArray[np.int64]
    distances: NDArray[np.float64]

    def seen_from_there(self) -> Partner:
        """The same hits as if this image had been looked up, and the other one found."""
        return replace(
            self, own=self.other, other=self.own, own_numbers=self.other_numbers, other_numbers=self.own_numbers
        )

    def matches(self) -> TentativeMatches:
        """The hits, from the variant of the looked-up image to this one, the smallest distance first."""
        order = np.lexsort([*_columns(self.other), *_columns(self.own), self.distances])
        query, reference = with_places_of(self.own[order], self.variant), self.other[order]
        return TentativeMatches.between(
            Keypoints(query.keypoints, query.angles, log2(np.maximum(query.sizes, 1))),
            Keypoints(reference.keypoints, reference.angles, log2(np.maximum(reference.sizes, 1))),
            costs=self.distances[order], query_rows=self.own_numbers[order], reference_rows=self.other_numbers[order],
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
        parts = [np.empty(0, np.int64)]
        try:
            for start in range(0, len(images), _ROWS):
                parts.append(start + np.flatnonzero(is_wanted[images[start : start + _ROWS]]))
        except IndexError as error:
            raise StoreError("the index is damaged: a posting names an image that is not there") from error
        rows = np.concatenate(parts)
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
    return StoredImage(int(segment.ids[image]), features, own)


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
) -> list[Partner]:
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
    one_off = _ONE_OFF[: bits + 1]
    variants = list(Variant)[: vocabulary.forms]
    words = [vocabulary.permuted(image.words, variant) for variant in variants]
    ids = np.concatenate([seen.ids[:, 0] for seen in words])
    lengths = sum(segment.lists[ids + 1].astype(np.int64) - segment.lists[ids] for segment in segments)
    rare = np.flatnonzero(lengths <= longest)
    looked_up = np.repeat(rare, len(one_off))
    signatures: NDArray[np.uint64] = np.concatenate([seen.signatures[:, 0] for seen in words])[looked_up]
    query = QueryWords(
        ids=ids[looked_up],
        signatures=signatures ^ np.tile(one_off, len(rare)),
        weights=vocabulary.idf_of(ids[looked_up]) ** 2,
        variants=(looked_up // len(image.words.ids)).astype(np.int32),
        features=looked_up % len(image.words.ids),
        fixed=np.full(len(looked_up), 256 - (256 >> bits), np.uint8),
        nearest_first=is_large,
    )
    voting = VotingOptions(
        hamming_limit=options.hamming_limit,
        voting_limit=options.hamming_limit,
        sigma=options.sigma,
        shortlist=4 * options.partners,
    )
    seen = [with_places_of(image.features, variant) for variant in variants]
    found = shortlist(query, seen, segments, [~open_ for open_ in among], voting)
    enough = [candidate for candidate in found if len(candidate.matches) >= FEWEST_MATCHES][: options.partners]
    return [_partner(image, candidate, segments) for candidate in enough]


def _agreeing_bits(features: int, words: int) -> int:
    """In how many of the highest bits all but one agree, in a large collection: as few as the length of lists allows.

    >>> [_agreeing_bits(features * 1_000_000, 65_536) for features in (21, 50, 100, 200, 500)]
    [2, 4, 5, 7, 8]
    """
    mean = features / words
    return next((bits for bits in range(_MOST_BITS) if (bits + 1) / 2**bits * mean <= _READ), _MOST_BITS)


def _partner(image: StoredImage, candidate: Candidate, segments: Sequence[Segment]) -> Partner:
    rows = candidate.matches.reference_rows
    places = [int(segment.rows_of(np.array([candidate.id]))[0]) for segment in segments]
    segment, place = next((one, place) for one, place in zip(segments, places, strict=True) if place >= 0)
    own = image.features[candidate.matches.query_rows]
    other = _features_at(segment, place, rows, image.features.detector)
    numbers = candidate.matches.query_rows, np.unique(rows, return_inverse=True)[1]
    return Partner(candidate.id, candidate.variant, own, other, *numbers, candidate.matches.costs)
