"""Votes for images that the tests made, against sums made one posting at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featmatch.errors import UsageError
from featmatch.native.postings import postings_of
from featmatch.search import voting
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import VotingOptions
from tests.search.votes import BASE, SIZE, asked, ranking, same
from tests.words.vocabularies import descriptors_for, made

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
    found = query.candidates_among(hidden, VotingOptions())
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


# Threads


@pytest.mark.parametrize("cores", [1, 3])
def test_threads_are_for_long_scans_on_several_cores(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    query = asked()
    length = sum(postings_of(segment.for_kernels, query.words.entries) for segment in query.segments)
    monkeypatch.setattr(voting, "_cores", lambda: cores)
    monkeypatch.setattr(voting, "_SAMPLED", 1)
    for worth in (length - 1, length):
        monkeypatch.setattr(voting, "_MANY", worth)
        with voting.threads(voting.are_worth_threads(query.words, query.segments)) as each:
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
