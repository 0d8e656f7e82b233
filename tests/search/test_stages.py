"""The stages of a search, called one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Proof
from featmatch.search.closer import CloserLook
from featmatch.search.collection import Collection
from featmatch.search.compared import Compared
from featmatch.search.matches import FoundImage, Holder
from featmatch.search.region import QueryRegion
from featmatch.search.stages import Search
from featmatch.store.reader import Reader
from tests.plain_pictures import gradient
from tests.proof.proofs import made_proof
from tests.search.searches import candidates, pixels


def test_the_stages_run_in_a_row(reader: Reader) -> None:
    search = Search.of(reader)
    query = search.read(pixels(reader, 2))
    search.matches(query, search.asked(query))
    assert list(search.clock.times) == ["features", "words", "votes", "verification", "pixels"]
    assert min(search.clock.times.values()) > 0


def test_words_leave_only_the_images_that_have_them(reader: Reader) -> None:
    search = Search.of(reader, match="dawn")
    for number in (2, 4):
        query = search.read(pixels(reader, number))
        assert {one.id for one in candidates(search, query)} <= {5}
    matches, _ = search.matches(query, search.asked(query))
    assert [one.id for one in matches] == [5]


def test_the_answer_has_what_is_proven_best_first(reader: Reader) -> None:
    search = Search.of(reader)
    both = np.vstack([pixels(reader, 0), pixels(reader, 1)])
    answers = search.answer(both, limit=10, unproven=False)
    assert [match.name for match in answers] == ["000.png", "001.png"]
    assert all(match.proven for match in answers)
    assert (answers.status, answers.damaged, answers.not_at_hand) == ("ok", False, [])
    assert answers.times == search.clock.times
    assert [match.name for match in Search.of(reader).answer(both, limit=1, unproven=False)] == ["000.png"]


def test_unproven_images_are_answers_where_they_are_asked_for(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.proof.proof.PROVEN", 1.1)
    assert Search.of(reader).answer(pixels(reader, 0), limit=10, unproven=False) == []
    (match,) = Search.of(reader).answer(pixels(reader, 0), limit=10, unproven=True)
    assert (match.name, match.proven) == ("000.png", False)


def test_the_answer_to_a_plain_picture_is_a_status(reader: Reader) -> None:
    answers = Search.of(reader).answer(gradient(99, 99), limit=10, unproven=False)
    assert (answers, answers.status, answers.times) == ([], "too_little_detail", {})


def test_the_answer_says_whose_files_are_not_at_hand(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.search.pictures.load_grey", lambda *_, **__: (_ for _ in ()).throw(OSError))
    answers = Search.of(reader).answer(pixels(reader, 0), limit=10, unproven=False)
    assert answers.not_at_hand == ["000.png"]
    assert answers[0].proof.evidence.agreement is not None  # that of the picture in the index


def test_without_file_and_stored_picture_pixels_are_not_compared(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featmatch.search.pictures.load_grey", lambda *_, **__: (_ for _ in ()).throw(OSError))
    monkeypatch.setattr("featmatch.store.segment.Segment.picture", lambda *_: np.empty(0, np.uint8))
    answers = Search.of(reader).answer(pixels(reader, 0), limit=10, unproven=False)
    assert answers.not_at_hand == ["000.png"]
    assert answers[0].proof.evidence.agreement is None


def test_a_name_is_an_answer_only_if_it_has_the_words(reader: Reader) -> None:
    answers = Search.of(reader, match="dawn").answer(pixels(reader, 4), limit=10, unproven=False)
    assert [match.name for match in answers] == ["004.png"]


def test_the_likeliest_is_verified_by_its_file_while_nothing_is_claimed(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search.of(reader, forms="few")
    query = search.read(pixels(reader, 0))
    proven = made_proof(np.eye(3), (96, 128), (96, 128), score=90.0)
    few = FeatureEvidence(10.0, 10.0, 1.0, 0.6, "sift")
    holders = {number: [Holder(number, [f"photos/{number}.png"])] for number in (1, 2)}
    unsure, other = (
        FoundImage(number, dataclasses.replace(proven, evidence=dataclasses.replace(few, evenness=evenness)))
        for number, evenness in ((1, 0.61), (2, 0.6))
    )
    asked: list[int] = []

    def verified(_: CloserLook, reference: GreyImage) -> Proof:
        asked.append(reference.width)
        assert not reference.is_stored
        return proven

    monkeypatch.setattr(CloserLook, "verified", verified)
    plain = Compared([unsure, other], holders, {}, frozenset())
    found = search.with_verified(query, plain)
    assert [(one.id, one.proof.proven) for one in found.found] == [(1, True), (2, False)]
    assert len(asked) == 1
    sure = Compared([unsure, FoundImage(2, proven)], holders, {}, frozenset())
    assert search.with_verified(query, sure) is sure
    assert Search.of(reader, forms="none").with_verified(query, plain) is plain
    part = Search.of(reader, forms="few", region=QueryRegion(((0, 0), (90, 0), (90, 90))))
    assert part.with_verified(query, plain) is plain
    given = dataclasses.replace(query, is_given=True)
    assert search.with_verified(given, plain) is plain
    stored = GreyImage(np.zeros((128, 96), np.uint8), 96, 128, 1.0, 1.0, is_stored=True)
    for picture in (stored, None):
        monkeypatch.setattr(Collection, "pictures", lambda _, wanted, picture=picture: dict.fromkeys(wanted, picture))
        assert search.for_another().with_verified(query, plain).found == plain.found
    assert len(asked) == 1


def test_what_another_form_claims_by_words_is_decided_by_what_verify_says(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search.of(reader, forms="few")
    query = search.read(pixels(reader, 0))
    proof = made_proof(np.eye(3), (96, 128), (96, 128))
    evidence = FeatureEvidence(40.0, 40.0, 1.0, 1.0, "sift", agreement=0.8, agreeing=90, contradiction=0.0)

    def found(
        number: int, geometry: float = 40.0, *, in_form: bool = False, by_descriptors: bool = False
    ) -> FoundImage:
        own = dataclasses.replace(
            evidence, geometry=geometry, distinct=geometry, in_form=in_form, by_descriptors=by_descriptors
        )
        return FoundImage(number, dataclasses.replace(proof, evidence=own))

    told = {1: found(1, 90.0, by_descriptors=True).proof, 2: found(2, -5.0, by_descriptors=True).proof, 3: None}
    asked: list[int] = []

    def pictures(_: Collection, wanted: dict[int, Any]) -> dict[int, GreyImage]:
        return {number: GreyImage(np.full((128, 96), number, np.uint8), 96, 128, 1.0, 1.0) for number in wanted}

    def verified(_: CloserLook, reference: GreyImage) -> Proof | None:
        asked.append(int(reference.pixels[0, 0]))
        return told[asked[-1]]

    monkeypatch.setattr(Collection, "pictures", pictures)
    monkeypatch.setattr(CloserLook, "verified", verified)
    holders = {number: [Holder(number, [f"photos/{number}.png"])] for number in range(7)}
    in_form = [found(number, in_form=True) for number in (1, 2, 3)]
    others = [found(4), found(5, in_form=True, by_descriptors=True), found(6, -6.0, in_form=True)]
    assert [one.proof.proven for one in (*in_form, *others)] == [True] * 5 + [False]
    seen = Compared([*in_form, *others], holders, {}, frozenset())
    decided = {one.id: one for one in search.as_verified(query, seen).found}
    assert list(decided) == [1, 4, 5, 2, 6]
    assert decided[1] is in_form[0]
    assert decided[2].proof.evidence.by_descriptors
    assert [one.id for one in search.as_verified(query, seen).found] == list(decided)
    assert asked == [1, 2, 3]  # once, however many forms claim them
    search.as_verified(search.read(pixels(reader, 0)), seen)
    assert asked == [1, 2, 3] * 2  # another picture is another question
    part = Search.of(reader, forms="few", region=QueryRegion(((0, 0), (90, 0), (90, 90))))
    assert part.as_verified(query, seen) is seen
    stored = GreyImage(np.zeros((128, 96), np.uint8), 96, 128, 1.0, 1.0, is_stored=True)
    for picture in (stored, None):
        monkeypatch.setattr(Collection, "pictures", lambda _, wanted, picture=picture: dict.fromkeys(wanted, picture))
        assert {one.id for one in search.for_another().as_verified(query, seen).found} == set(range(1, 7))


def test_forms_of_a_query_are_decided_so(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search.of(reader, forms="few")
    query = search.read(pixels(reader, 0))
    asked = search.asked(query)
    nothing = Compared([], {}, {}, frozenset())
    monkeypatch.setattr(Search, "as_verified", lambda _, of, in_form: in_form._replace(found=in_form.found[:1]))
    assert [one.id for one in search.with_forms(query, asked, nothing).found] == [1]
