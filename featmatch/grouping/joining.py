"""Images as they are stored -> for each, those that share words and signatures with it.

The self-join of the posting lists, an image at a time: its stored features look up their own words, among the images
that come before it. No image is decoded, nothing is extracted or assigned. In a closed vocabulary the words of the
mirrored and of the negative picture follow from the stored ones (``Vocabulary.permuted``), and find such copies too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features import DESCRIPTOR_SIZE, Features
from featmatch.geometry import TentativeMatches
from featmatch.scanning import scan
from featmatch.store.segment import Segment, restored
from featmatch.symmetry import Variant, with_places_of
from featmatch.vocabulary import Vocabulary, Words
from featmatch.voting import Candidate

_ROWS = 1 << 22  # postings looked at at once


@dataclass(frozen=True)
class JoiningOptions:
    """How images find their partners."""

    hamming_limit: int = 22  # two features are alike that differ in at most this many of 64 bits; 0 to 32
    sigma: float = 10.0  # bits; features at distance d weigh exp(-(d / sigma)^2)
    partners: int = 30  # of each image that go on to verification, the variants of one counted each; 1 to 10000
    longest_list: int = 20_000  # words that more features have say nothing, and are passed over; at least 1

    def __post_init__(self) -> None:
        if not (
            0 <= self.hamming_limit <= 32 and self.sigma > 0 and 1 <= self.partners <= 10_000 and self.longest_list >= 1
        ):
            raise UsageError(f"joining options out of range: {self}")


@dataclass(frozen=True)
class StoredImage:
    """One image as the index keeps it.

    Attributes:
        id: the catalogue's number.
        features: places, sizes and angles of its features; their descriptors are not kept.
        words: (N, 1), the word and the signature of each.
    """

    id: int
    features: Features
    words: Words


def stored_images(segments: Sequence[Segment], ids: Sequence[int], detector: str) -> Iterator[StoredImage]:
    """Images by their numbers, in the order of the segments; each segment is gone through once."""
    wanted = np.array(sorted(ids), np.int64)
    for segment in segments:
        is_wanted = np.isin(segment.ids, wanted)
        if not is_wanted.any():
            continue
        images = segment.postings.image
        rows = np.concatenate(
            [start + np.flatnonzero(is_wanted[images[start : start + _ROWS]]) for start in range(0, len(images), _ROWS)]
        )
        rows = rows[np.argsort(images[rows], kind="stable")]
        bounds = np.searchsorted(images[rows], np.arange(len(segment.ids) + 1))
        for image in np.flatnonzero(is_wanted).tolist():
            yield _stored(segment, image, rows[bounds[image] : bounds[image + 1]], detector)


def _stored(segment: Segment, image: int, rows: NDArray[np.int64], detector: str) -> StoredImage:
    width, height = int(segment.widths[image]), int(segment.heights[image])
    long_sides = np.full(len(rows), max(width, height), np.int32)
    keypoints, angles, octaves = restored(segment.postings, rows, long_sides)
    nothing = np.broadcast_to(np.uint8(0), (len(rows), DESCRIPTOR_SIZE[detector]))
    features = Features(
        detector, width, height, keypoints.astype(np.float32), np.exp2(octaves).astype(np.float32),
        angles.astype(np.float32), nothing,
    )  # fmt: skip
    words = np.searchsorted(segment.offsets, rows, "right").astype(np.int32) - 1
    return StoredImage(int(segment.ids[image]), features, Words(words[:, None], segment.postings.signature[rows, None]))


def partners(
    image: StoredImage,
    segments: Sequence[Segment],
    among: Sequence[NDArray[np.bool_]],
    vocabulary: Vocabulary,
    options: JoiningOptions,
) -> list[Candidate]:
    """The images with which one shares the most, with the features that they share.

    Args:
        image: the one that is looked up.
        segments: where to look.
        among: (images,) bool for each segment, which of its images are looked at.
        vocabulary: of the index.
        options: the limits.

    Returns:
        The best, in the variant of ``image`` that they are alike in; older images first among equals.
    """
    variants = list(Variant)[: vocabulary.forms]
    words = [vocabulary.permuted(image.words, variant) if variant else image.words for variant in variants]
    ids = np.concatenate([seen.ids[:, 0] for seen in words])
    signatures = np.concatenate([seen.signatures[:, 0] for seen in words])
    lengths = sum(segment.offsets[ids + 1].astype(np.int64) - segment.offsets[ids] for segment in segments)
    looked_up = np.flatnonzero(lengths <= options.longest_list)
    weights = vocabulary.idf_of(ids) ** 2
    slots = np.repeat(np.arange(len(variants), dtype=np.int32), len(image.words.ids))
    distances = np.arange(options.hamming_limit + 1)
    distance_weights = np.exp(-((distances / options.sigma) ** 2)).astype(np.float32)
    votes, hits = [], []
    for segment, open_ in zip(segments, among, strict=True):
        scores = np.zeros((len(variants), len(segment.ids)), np.float32)
        entries, rows, found = scan(
            segment.offsets, segment.postings.image, segment.postings.signature, ids[looked_up],
            signatures[looked_up], weights[looked_up], slots[looked_up], distance_weights, scores,
        )  # fmt: skip
        scores /= np.sqrt(np.maximum(segment.features, 1))
        scores[:, ~open_] = 0
        votes.append(scores)
        hits.append((looked_up[entries], rows, found))
    seen = [with_places_of(image.features, variant) for variant in variants]
    return [
        _candidate(segments[number], image_number, variants[variant], score, seen[variant], slots, hits[number])
        for score, number, variant, image_number in _best(votes, segments, options.partners)
    ]


def _best(
    votes: Sequence[NDArray[np.float32]], segments: Sequence[Segment], count: int
) -> list[tuple[float, int, int, int]]:
    """Votes, segment, variant and number of the images with the most votes."""
    found: list[tuple[float, int, int, int, int]] = []
    for number, scores in enumerate(votes):
        flat = scores.ravel()
        enough = min(count, flat.size)
        floor = np.partition(flat, flat.size - enough)[flat.size - enough] if enough else 0
        variant, image = np.nonzero((scores >= floor) & (scores > 0))
        ids = segments[number].ids[image]
        found += zip((-scores[variant, image]).tolist(), ids.tolist(), variant.tolist(), [number] * len(ids),
                     image.tolist(), strict=True)  # fmt: skip
    return [(-score, number, variant, image) for score, _, variant, number, image in sorted(found)[:count]]


def _candidate(
    segment: Segment,
    image: int,
    variant: Variant,
    votes: float,
    seen: Features,
    slots: NDArray[np.int32],
    hits: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]],
) -> Candidate:
    entries, rows, distances = hits
    own = np.flatnonzero((segment.postings.image[rows] == image) & (slots[entries] == variant))
    own = own[np.argsort(distances[own], kind="stable")]
    width, height = int(segment.widths[image]), int(segment.heights[image])
    picked = entries[own] % len(seen)
    matches = TentativeMatches.between(
        seen.keypoints[picked], seen.angles[picked], np.log2(np.maximum(seen.sizes[picked], 1)),
        *restored(segment.postings, rows[own], np.full(len(own), max(width, height), np.int32)),
        costs=distances[own].astype(np.float64), query_rows=picked, reference_rows=rows[own],
    )  # fmt: skip
    return Candidate(int(segment.ids[image]), width, height, variant, votes, matches)
