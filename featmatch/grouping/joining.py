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

from featmatch.errors import StoreError, UsageError
from featmatch.features import DESCRIPTOR_SIZE, Features
from featmatch.store.segment import Segment, restored
from featmatch.symmetry import Variant, with_places_of
from featmatch.vocabulary import Vocabulary, Words
from featmatch.voting import Candidate, QueryWords, VotingOptions, shortlist

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
        parts = [np.empty(0, np.int64)]
        try:
            for start in range(0, len(images), _ROWS):
                parts.append(start + np.flatnonzero(is_wanted[images[start : start + _ROWS]]))
        except IndexError as error:
            raise StoreError("the index is damaged: a posting names an image that is not there") from error
        rows = np.concatenate(parts)
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
    lengths = sum(segment.offsets[ids + 1].astype(np.int64) - segment.offsets[ids] for segment in segments)
    looked_up = np.flatnonzero(lengths <= options.longest_list)
    query = QueryWords(
        ids=ids[looked_up],
        signatures=np.concatenate([seen.signatures[:, 0] for seen in words])[looked_up],
        weights=vocabulary.idf_of(ids[looked_up]) ** 2,
        variants=(looked_up // len(image.words.ids)).astype(np.int32),
        features=looked_up % len(image.words.ids),
    )
    voting = VotingOptions(
        hamming_limit=options.hamming_limit,
        voting_limit=options.hamming_limit,
        sigma=options.sigma,
        shortlist=options.partners,
    )
    seen = [with_places_of(image.features, variant) for variant in variants]
    return shortlist(query, seen, segments, [~open_ for open_ in among], voting)
