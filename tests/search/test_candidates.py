"""Hits of images that the tests made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.native.postings import PostingLists, QueryEntries, hits_of
from featmatch.search import candidates, crowding, voting
from featmatch.search.candidates import Listed, candidates_of
from featmatch.search.voting import VotingOptions, hidden_rows, tally
from featmatch.store.postings import Postings, restored
from tests.search.votes import SIZE, asked, same


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
    monkeypatch.setattr(candidates, "_HITS_AT_ONCE", at_once)
    assert same(query.candidates(VotingOptions()), every)


def test_hits_are_looked_up_in_parts_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    query, parts = asked(variants=1), []

    def noted(lists: PostingLists, entries: QueryEntries, limit: int, images: NDArray[np.uint32]) -> Any:
        most = np.bincount(entries.words).max() * np.bincount(lists.images)[images]
        parts.append(most.tolist())
        return hits_of(lists, entries, limit, images)

    monkeypatch.setattr("featmatch.search.candidates.hits_of", noted)
    monkeypatch.setattr(candidates, "_HITS_AT_ONCE", 400)
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


@pytest.mark.parametrize("at_once", [100, 1 << 18])
def test_candidates_without_a_homography_are_left_out(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query, options, usual = asked(), VotingOptions(), GeometryOptions()
    hidden = [hidden_rows(segment, frozenset(), None) for segment in query.segments]
    ranked, _ = tally(query.words, len(query.features), query.segments, hidden, options)
    monkeypatch.setattr(candidates, "_HITS_AT_ONCE", at_once)
    every, hopeful = (
        candidates_of(
            [Listed.looked_up(ranked, query.segments)], query.words, query.features, options.hamming_limit, geometry
        )[0]
        for geometry in (None, usual)
    )
    ranks = [rank for rank, _ in hopeful]
    assert same([one for _, one in hopeful], [one for rank, one in every if rank in ranks])
    assert ranks == sorted(ranks)
    has_one = [rank for rank, one in every if fit_homography(one.matches, SIZE, SIZE, usual) is not None]
    assert has_one
    assert set(has_one) <= set(ranks) < {rank for rank, _ in every}


def test_hits_that_a_scan_kept_lead_to_the_same_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    query, options = asked(), VotingOptions(hamming_limit=22, voting_limit=14)
    hidden = [hidden_rows(segment, frozenset(), None) for segment in query.segments]
    ranked, hits = tally(query.words, len(query.features), query.segments, hidden, options)
    looked_up, kept, partly = (
        candidates_of([Listed(ranked, query.segments, of_each)], query.words, query.features, options.hamming_limit)[0]
        for of_each in ([None] * len(hits), hits, [None, *hits[1:]])
    )
    assert all(own is not None for own in hits)
    assert [rank for rank, _ in looked_up] == [rank for rank, _ in kept] == [rank for rank, _ in partly]
    assert same([one for _, one in kept], [one for _, one in looked_up])
    assert same([one for _, one in partly], [one for _, one in looked_up])
    monkeypatch.setattr(voting, "_MANY", 0)
    monkeypatch.setattr(voting, "_cores", lambda: 2)
    in_threads = tally(query.words, len(query.features), query.segments, hidden, options)
    for again, before in zip([in_threads[0], *in_threads[1]], [ranked, *hits], strict=True):
        assert again is not None
        assert before is not None
        for column, other in zip(again, before, strict=True):
            np.testing.assert_array_equal(column, other, strict=True)


@pytest.mark.parametrize("cores", [1, 2])
def test_too_many_hits_are_not_kept(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query, options = asked(), VotingOptions()
    hidden = [hidden_rows(segment, frozenset(), None) for segment in query.segments]
    monkeypatch.setattr(voting, "_MANY", 0)
    monkeypatch.setattr(voting, "_cores", lambda: cores)
    monkeypatch.setattr(voting, "_KEPT_ANYWAY", 0)
    ranked, hits = tally(query.words, len(query.features), query.segments, hidden, options)
    of_all = sum(len(own.rows) for own in hits if own is not None)
    for kept, are_kept in ((of_all * 9, True), (of_all // 9, False)):
        monkeypatch.setattr(voting, "_KEPT_HITS", kept)
        again, hits = tally(query.words, len(query.features), query.segments, hidden, options)
        assert [own is not None for own in hits] == [are_kept] * len(hits)
        for column, before in zip(again, ranked, strict=True):
            np.testing.assert_array_equal(column, before)


def test_candidates_of_several_indexes_are_those_of_each() -> None:
    query, options = asked(), VotingOptions()
    listed = []
    for segment in query.segments:
        ranked, hits = tally(query.words, 2, [segment], [hidden_rows(segment, frozenset(), None)], options)
        listed.append(Listed(ranked, [segment], hits))
    together = candidates_of(listed, query.words, query.features, options.hamming_limit, GeometryOptions())
    assert len(together) == len(listed)
    for one, found in zip(listed, together, strict=True):
        (alone,) = candidates_of([one], query.words, query.features, options.hamming_limit, GeometryOptions())
        assert [rank for rank, _ in found] == [rank for rank, _ in alone]
        assert same([candidate for _, candidate in found], [candidate for _, candidate in alone])
    assert sum(map(len, together)) > 0
