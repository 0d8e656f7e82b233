"""Votes and hits of images that the tests made, against sums made one posting at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.features.looks import LOOK
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.stored import NO_PICTURE
from featmatch.native.postings import PostingLists, QueryEntries, hits_of, postings_of
from featmatch.search import crowding, voting
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import Candidate, VotingOptions, candidates_of, hidden_rows, shortlist, tally
from featmatch.store.postings import Postings, quantised, restored
from featmatch.store.segment import Segment
from tests.words.vocabularies import descriptors_for, made

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
        return shortlist(self.words, self.features, self.segments, hidden, options)

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
    found = tally(words, variants, segments, [hidden_rows(segment, removed, None) for segment in segments], options)
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


# Votes


OPTIONS = [
    VotingOptions(),
    VotingOptions(sigma=3.0),
    VotingOptions(voting_limit=9),
    VotingOptions(hamming_limit=9),
    VotingOptions(hamming_limit=5, voting_limit=0),
    VotingOptions(shortlist=4),
    VotingOptions(hamming_limit=32, voting_limit=32, shortlist=1),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("variants", [1, 2, 4])
def test_candidates_are_the_images_with_the_most_votes(options: VotingOptions, variants: int) -> None:
    query = asked(variants=variants)
    scores = query.scores(options)
    best = sorted(scores, key=lambda key: -scores[key])[: options.shortlist]
    found = query.candidates(options)
    assert [(candidate.id, candidate.variant) for candidate in found] == best
    assert [candidate.votes for candidate in found] == pytest.approx([scores[key] for key in best], rel=1e-4)
    assert {(candidate.width, candidate.height) for candidate in found} <= {SIZE}
    everyone = ranking(query.words, variants, query.segments, frozenset(), options)
    assert everyone == best


def test_images_that_were_removed_are_not_found() -> None:
    query = asked()
    every = query.candidates(VotingOptions())
    gone = frozenset({every[0].id, 20, 999})
    left = [candidate for candidate in every if candidate.id not in gone]
    assert same(query.candidates(VotingOptions(), gone), left)
    ranked = ranking(query.words, 2, query.segments, gone, VotingOptions())
    assert ranked == [(candidate.id, candidate.variant) for candidate in left]


def test_images_that_were_removed_take_nobodys_place() -> None:
    query, options = asked(), VotingOptions(shortlist=2)
    every = query.candidates(VotingOptions())
    left = [candidate for candidate in every if candidate.id != every[0].id]
    assert same(query.candidates(options, frozenset({every[0].id})), left[:2])
    assert len(ranking(query.words, 2, query.segments, frozenset({every[0].id}), options)) == 2


@pytest.mark.parametrize("among", [[], [4], [12, 1, 999]])
def test_only_images_that_were_asked_for_are_found(among: list[int]) -> None:
    query = asked()
    wanted = [candidate for candidate in query.candidates(VotingOptions()) if candidate.id in among]
    assert same(query.candidates(VotingOptions(), among=among), wanted)
    wanted = [candidate for candidate in wanted if candidate.id != 12]
    assert same(query.candidates(VotingOptions(), frozenset({12}), among), wanted)


def test_a_mask_may_say_which_images_are_hidden() -> None:
    query = asked()
    hidden = [np.isin(segment.ids, [3, 30]) for segment in query.segments]
    found = shortlist(query.words, query.features, query.segments, hidden, VotingOptions())
    assert same(found, query.candidates(VotingOptions(), frozenset({3, 30})))


def test_ties_go_to_the_older_image_and_then_to_the_plainer_variant() -> None:
    twin = [(1, BASE), (2, BASE)]
    half = asked(entries=1)
    words = replace(
        half.words, ids=np.array([1, 1], np.int32), signatures=np.array([BASE] * 2, np.uint64),
        weights=np.ones(2, np.float32),
    )  # fmt: skip
    query = replace(half, words=words, collection=[[(9, twin), (4, twin)], [(6, twin), (2, twin)]])
    order = [(2, 0), (2, 1), (4, 0), (4, 1), (6, 0), (6, 1), (9, 0), (9, 1)]
    for count in (1, 3, 8):
        options = VotingOptions(shortlist=count)
        assert [(one.id, int(one.variant)) for one in query.candidates(options)] == order[:count]
        assert ranking(query.words, 2, query.segments, frozenset(), options) == order[:count]


def test_nothing_is_found_in_nothing_and_by_nothing() -> None:
    query = asked()
    options = VotingOptions()
    assert replace(query, collection=[]).candidates(options) == []
    assert ranking(query.words, 2, [], frozenset(), options) == []
    nothing = QueryWords(*(column[:0] for column in list(vars(query.words).values())[:6]))
    assert replace(query, words=nothing).candidates(options) == []
    assert ranking(nothing, 2, query.segments, frozenset(), options) == []


# Hits


def test_the_matches_of_a_candidate_are_all_its_hits_the_nearest_first() -> None:
    query, options = asked(), VotingOptions(hamming_limit=14, voting_limit=9)
    segments = {number: segment for segment in query.segments for number in segment.ids.tolist()}
    some = False
    for candidate in query.candidates(options):
        segment = segments[candidate.id]
        place = segment.ids.tolist().index(candidate.id)
        expected = []
        for row in np.flatnonzero(query.words.variants == candidate.variant).tolist():
            first, end = segment.lists[query.words.ids[row] :][:2].tolist()
            for posting in range(first, end):
                own, other = int(query.words.signatures[row]), int(segment.postings.signature[posting])
                if segment.postings.image[posting] == place and (own ^ other).bit_count() <= 14:
                    expected.append(((own ^ other).bit_count(), int(query.words.features[row]), posting))
        matches = candidate.matches
        found = zip(matches.costs.tolist(), matches.query_rows.tolist(), matches.reference_rows.tolist(), strict=True)
        assert sorted(found) == sorted(expected)
        assert (np.diff(matches.costs) >= 0).all()
        assert matches.rivals is None
        some = some or len(expected) > 20
    assert some


def test_matches_say_where_the_features_are() -> None:
    query = asked()
    segments = {number: segment for segment in query.segments for number in segment.ids.tolist()}
    for candidate in query.candidates(VotingOptions()):
        features, matches = query.features[candidate.variant], candidate.matches
        postings: Postings = segments[candidate.id].postings
        rows, own = matches.reference_rows, matches.query_rows
        keypoints, angles, octaves = restored(postings, rows, np.full(len(rows), SIZE[0], np.int32))
        np.testing.assert_allclose(matches.query, features.keypoints[own])
        np.testing.assert_allclose(matches.reference, keypoints)
        np.testing.assert_allclose(matches.rotation, angles - features.angles[own])
        least_one = np.maximum(features.sizes[own], 1)  # no feature is counted as smaller than a pixel
        np.testing.assert_allclose(matches.octaves, octaves - np.log2(least_one), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("at_once", [1, 100, 1000])
def test_hits_do_not_depend_on_how_many_are_looked_up_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query = asked()
    every = query.candidates(VotingOptions())
    monkeypatch.setattr(voting, "_HITS_AT_ONCE", at_once)
    assert same(query.candidates(VotingOptions()), every)


def test_hits_are_looked_up_in_parts_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    query, parts = asked(variants=1), []

    def noted(lists: PostingLists, entries: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Any:
        most = np.bincount(entries.words).max() * np.bincount(lists.images)[images]
        parts.append(most.tolist())
        return hits_of(lists, entries, limit, images)

    monkeypatch.setattr("featmatch.search.voting.hits_of", noted)
    monkeypatch.setattr(voting, "_HITS_AT_ONCE", 400)
    query.candidates(VotingOptions())
    assert len(parts) > len(query.collection)
    assert any(len(part) > 1 for part in parts)
    for part in parts:
        assert sum(part[1:]) < 400


def test_crowded_candidates_say_so_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    query = asked()
    every = query.candidates(VotingOptions())
    most = sorted(len(candidate.matches) for candidate in every)[len(every) // 2]
    monkeypatch.setattr(crowding, "MOST_MATCHES", most)
    for one, before in zip(query.candidates(VotingOptions()), every, strict=True):
        crowded = len(before.matches) > most
        assert (one.matches.rivals is not None) == crowded
        assert len(one.matches) <= most
        if one.matches.rivals is not None:
            assert (one.matches.rivals > 0).all()


# Threads


@pytest.mark.parametrize("cores", [1, 3])
def test_threads_are_for_long_scans_on_several_cores(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    query = asked()
    length = sum(postings_of(voting._lists_of(segment), query.words.entries) for segment in query.segments)
    monkeypatch.setattr(voting, "_cores", lambda: cores)
    monkeypatch.setattr(voting, "_SAMPLED", 1)
    for worth in (length - 1, length):
        monkeypatch.setattr(voting, "_WORTH_THREADS", worth)
        with voting._threads(voting._are_worth_threads(query.words, query.segments)) as each:
            assert (each is not map) == (cores > 1 and worth < length)


def test_as_many_threads_as_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert voting._cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for count, cores in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert voting._cores() == cores


# Options


def test_options_are_those_that_everything_was_measured_with() -> None:
    assert vars(VotingOptions()) == {
        "words": 3, "hamming_limit": 22, "voting_limit": 19, "sigma": 10.0, "shortlist": 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    "bounds",
    [{"words": (1, 16)}, {"hamming_limit": (0, 32)}, {"voting_limit": (0, 32)}, {"shortlist": (1, 10_000)}],
    ids=lambda bounds: next(iter(bounds)),
)
def test_options_have_bounds(bounds: dict[str, tuple[int, int]]) -> None:
    ((name, (least, most)),) = bounds.items()
    for fine in (least, most):
        VotingOptions(**{name: fine})
    for wrong in (least - 1, most + 1):
        with pytest.raises(UsageError, match="out of range"):
            VotingOptions(**{name: wrong})


@pytest.mark.parametrize("wrong", [{"words": "3"}, {"words": 3.0}, {"sigma": None}, {"shortlist": True}], ids=str)
def test_options_are_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        VotingOptions(**wrong)


def test_sigma_is_more_than_0() -> None:
    VotingOptions(sigma=1e-3)
    with pytest.raises(UsageError):
        VotingOptions(sigma=0.0)


# ---------------------------------------------------------------- many features


@pytest.mark.parametrize("detector", ["sift", "orb"])
def test_bits_that_are_fixed_are_the_least_likely_to_turn(detector: str) -> None:
    vocabulary = made(detector)
    descriptors = descriptors_for(vocabulary, 40)
    words = vocabulary.assign(descriptors, 3)
    none = vocabulary.firm_bits(descriptors, words.ids, np.zeros(3, np.int64))
    assert none.dtype == np.uint8
    assert not none.any()
    fixed = vocabulary.firm_bits(descriptors, words.ids, np.array([2, 3, 8]))
    rows = vocabulary.projection[-8:].astype(int)
    signs = vocabulary._form_signs[:, -8:].astype(int)
    for feature, descriptor in enumerate(descriptors.astype(int)):
        for place, bits in enumerate((2, 3, 8)):
            word, form = divmod(int(words.ids[feature, place]), vocabulary.forms)
            margins = signs[form] * (rows @ descriptor) * vocabulary.unit - rows @ vocabulary.words[word].astype(int)
            set_ = (margins > 0) != (signs[form] < 0)  # so the margins are what decides on the signature
            assert np.packbits(set_, bitorder="little")[0] == int(words.signatures[feature, place]) >> 56
            is_fixed = np.unpackbits(fixed[feature, place], bitorder="little").astype(bool)
            assert is_fixed.sum() == bits
            assert bits == 8 or np.abs(margins[is_fixed]).min() >= np.abs(margins[~is_fixed]).max()


def test_where_bits_are_fixed_farther_hits_vote() -> None:
    query = asked().words
    options = VotingOptions(voting_limit=7, sigma=4)
    weights = {
        bits: voting.weights_of_hits(replace(query, fixed=query.fixed | np.uint8(bits)), options) for bits in (0, 9)
    }
    np.testing.assert_array_equal(weights[0], np.exp(-((np.arange(8) / 4) ** 2)).astype(np.float32))
    np.testing.assert_array_equal(weights[9], np.exp(-((np.arange(11) / 6.4) ** 2)).astype(np.float32))


@pytest.mark.parametrize("at_once", [100, 1 << 18])
def test_candidates_without_a_homography_are_left_out(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query, options, usual = asked(), VotingOptions(), GeometryOptions()
    hidden = [hidden_rows(segment, frozenset(), None) for segment in query.segments]
    ranked = tally(query.words, len(query.features), query.segments, hidden, options)
    monkeypatch.setattr(voting, "_HITS_AT_ONCE", at_once)
    every, hopeful = (
        candidates_of(ranked, query.words, query.features, query.segments, options.hamming_limit, geometry)
        for geometry in (None, usual)
    )
    ranks = [rank for rank, _ in hopeful]
    assert same([one for _, one in hopeful], [one for rank, one in every if rank in ranks])
    assert ranks == sorted(ranks)
    has_one = [rank for rank, one in every if fit_homography(one.matches, SIZE, SIZE, usual) is not None]
    assert has_one
    assert set(has_one) <= set(ranks) < {rank for rank, _ in every}
