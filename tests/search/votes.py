"""Segments and queries that tests make, and their votes, summed up one posting at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.looks import LOOK
from featmatch.features.symmetry import Variant
from featmatch.images.stored import NO_PICTURE
from featmatch.search.candidates import Candidate, Listed, candidates_of
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import VotingOptions, hidden_rows, tally
from featmatch.store.postings import quantised
from featmatch.store.segment import Segment

WORDS = 9
BASE = 0x0F0F_3C3C_5A5A_9696
SIZE = (640, 480)
Posting = tuple[int, int]  # word, signature
Picture = tuple[int, list[Posting]]  # the catalogue's number, one posting a feature


def near_base(random: np.random.Generator) -> int:
    """A signature some bits away from all others that are made so."""
    return BASE ^ sum(1 << int(bit) for bit in np.flatnonzero(random.random(64) < 0.13))


def pictures(ids: Sequence[int], seed: int, features: int = 40) -> list[Picture]:
    random = np.random.default_rng(seed)
    return [
        (number, [(int(random.integers(WORDS)), near_base(random)) for _ in range(random.integers(1, features))])
        for number in ids
    ]


def segment_of(images: Sequence[Picture]) -> Segment:
    """A segment of pictures of ``SIZE``, whose features lie at random."""
    random = np.random.default_rng(len(images))
    rows = [(word, place, signature) for place, (_, postings) in enumerate(images) for word, signature in postings]
    rows.sort(key=lambda row: row[:2])  # by word, then image
    words, places, signatures = (np.array(column, np.uint64) for column in zip(*rows, strict=True))
    count = len(rows)
    columns = quantised(
        random.uniform(0, 479, (count, 2)).astype(np.float32), random.uniform(0, 6, count).astype(np.float32),
        random.uniform(2, 60, count).astype(np.float32), signatures, SIZE[0],
    )  # fmt: skip
    nothing = np.zeros(len(images), np.uint64)
    return Segment(
        offsets=np.searchsorted(words, np.arange(WORDS + 1)).astype(np.uint32),
        postings=replace(columns, image=places.astype(np.uint32)),
        ids=np.array([number for number, _ in images], np.int64),
        widths=np.full(len(images), SIZE[0], np.int32),
        heights=np.full(len(images), SIZE[1], np.int32),
        features=np.array([len(postings) for _, postings in images], np.int32),
        phashes=nothing,
        looks=np.zeros(len(images), LOOK),
        picture_bytes=np.zeros(len(images), np.uint32),
        pictures=NO_PICTURE,
    )


def features_at_random(count: int, seed: int = 1) -> Features:
    random = np.random.default_rng(seed)
    return Features(
        "sift", *SIZE, random.uniform(0, 479, (count, 2)).astype(np.float32),
        random.uniform(0.5, 60, count).astype(np.float32), random.uniform(0, 6, count).astype(np.float32),
        np.zeros((count, 128), np.uint8),
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A query of a few variants, and what is searched."""

    words: QueryWords
    features: list[Features]
    collection: list[list[Picture]]

    @property
    def segments(self) -> list[Segment]:
        return [segment_of(images) for images in self.collection]

    def candidates(
        self, options: VotingOptions, removed: frozenset[int] = frozenset(), among: Sequence[int] | None = None
    ) -> list[Candidate]:
        hidden = [hidden_rows(segment, removed, among) for segment in self.segments]
        return self.candidates_among(hidden, options)

    def candidates_among(self, hidden: Sequence[NDArray[Any]], options: VotingOptions) -> list[Candidate]:
        """The best images with their hits, without those that are hidden."""
        found, _ = tally(self.words, len(self.features), self.segments, hidden, options)
        listed = Listed.looked_up(found, self.segments)
        (ranked,) = candidates_of([listed], self.words, self.features, options.hamming_limit)
        return [one for _, one in ranked]

    def scores(self, options: VotingOptions) -> dict[tuple[int, Variant], float]:
        """The votes for each image and variant that has any, summed up one by one."""
        limit = min(options.hamming_limit, options.voting_limit)
        scores = {}
        for number, postings in (picture for images in self.collection for picture in images):
            for variant in list(Variant)[: len(self.features)]:
                votes = 0.0
                for row in np.flatnonzero(self.words.variants == variant).tolist():
                    own = int(self.words.signatures[row])
                    distances = [
                        (signature ^ own).bit_count() for word, signature in postings if word == self.words.ids[row]
                    ]
                    votes += float(self.words.weights[row]) * sum(
                        math.exp(-((distance / options.sigma) ** 2)) * (math.sqrt(k) - math.sqrt(k - 1))
                        for k, distance in enumerate((one for one in distances if one <= limit), 1)
                    )
                if votes:
                    scores[number, variant] = votes / math.sqrt(len(postings))
        return scores


def ranking(
    words: QueryWords, variants: int, segments: Sequence[Segment], removed: frozenset[int], options: VotingOptions
) -> list[tuple[int, int]]:
    """The pairs of an image and a variant that ``tally`` finds, best first."""
    found, _ = tally(words, variants, segments, [hidden_rows(segment, removed, None) for segment in segments], options)
    assert found.ranks.tolist() == list(range(len(found.votes)))
    return list(zip(found.images.tolist(), found.variants.tolist(), strict=True))


def asked(seed: int = 0, variants: int = 2, entries: int = 60, features: int = 25) -> Asked:
    random = np.random.default_rng(seed)
    words = QueryWords(
        ids=random.integers(WORDS, size=variants * entries).astype(np.int32),
        signatures=np.array([near_base(random) for _ in range(variants * entries)], np.uint64),
        weights=random.uniform(0.2, 4, variants * entries).astype(np.float32),
        variants=np.repeat(np.arange(variants, dtype=np.int32), entries),
        features=random.integers(features, size=variants * entries),
        fixed=np.zeros(variants * entries, np.uint8),
    )
    collection = [pictures([7, 3, 12], seed + 1), pictures([4, 20, 5, 1], seed + 2), pictures([30], seed + 3)]
    return Asked(words, [features_at_random(features, seed) for seed in range(variants)], collection)


def same(found: Sequence[Candidate], other: Sequence[Candidate]) -> bool:
    def told(candidate: Candidate) -> tuple[Any, ...]:
        columns = vars(candidate.matches).values()
        return (candidate.id, candidate.variant, candidate.votes, *(str(column) for column in columns))

    return [told(one) for one in found] == [told(one) for one in other]
