"""The stages of a search, called one by one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, UsageError, Vocabulary, VotingOptions
from featmatch.features.extraction import Features
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Proof
from featmatch.search.closer import CloserLook
from featmatch.search.collection import Collection
from featmatch.search.compared import Compared
from featmatch.search.matches import FoundImage, Holder
from featmatch.search.region import QueryRegion
from featmatch.search.stages import Search
from featmatch.store.catalog import Catalog
from featmatch.store.reader import Reader
from tests.plain_pictures import blobs, described, gradient
from tests.proof.proofs import made_proof
from tests.search.searches import candidates
from tools.small_index import draw_pictures, small_index

FEATURES = Features(
    "sift", 240, 180, np.full((20, 2), 50, np.float32), np.zeros(20, np.float32), np.ones(20, np.float32),
    np.zeros((20, 128), np.uint8),
)  # fmt: skip


@pytest.fixture(scope="module")
def reader(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """An index of five pictures, of which one has words with it."""
    folder = tmp_path_factory.mktemp("stages")
    pictures = draw_pictures(folder / "photos", 5)
    small_index(folder / "index", small_words)
    index = Index.open(folder / "index", root=folder / "photos")
    index.add(pictures[:4], jobs=1)
    index.add(pictures[4:], jobs=1, text="harbour at dawn")
    return Reader(folder / "index", folder / "photos")


def pixels(reader: Reader, number: int) -> np.ndarray:
    assert reader.root is not None
    return np.asarray(Image.open(Path(reader.root) / f"{number:03d}.png"))


def test_the_stages_lead_to_the_picture(reader: Reader) -> None:
    search = Search.of(reader)
    query = search.read(pixels(reader, 2))
    assert query.enough
    assert query.features is query.variants[0]
    assert len(query.variants) == 4
    asked = search.asked(query)
    listing = search.listed(asked)
    assert listing.ranked.images[0] == 3
    proved = search.proved(query, asked, listing)
    assert (proved.by_features[0].id, proved.holders[3]) == (3, [Holder(3, ["002.png"])])
    found, _, _, away = search.compared(query, proved)
    assert not away
    assert (found[0].id, found[0].proof.proven) == (3, True)
    assert found[0].proof.evidence.agreement is not None
    search.matches(query, asked)
    assert list(search.clock.times) == ["features", "words", "votes", "verification", "pixels"]
    assert min(search.clock.times.values()) > 0


def test_too_few_features_are_none(reader: Reader) -> None:
    search = Search.of(reader)
    soft = search.read(blobs(1))
    assert len(soft.features) == 0
    assert soft.enough  # as a whole
    plain = search.read(gradient(99, 99))
    assert not plain.enough
    assert candidates(search, plain) == []


def test_words_leave_only_the_images_that_have_them(reader: Reader) -> None:
    search = Search.of(reader, match="dawn")
    for number in (2, 4):
        query = search.read(pixels(reader, number))
        assert {one.id for one in candidates(search, query)} <= {5}
    matches, _ = search.matches(query, search.asked(query))
    assert [one.id for one in matches] == [5]


def test_accepted_images_are_verified_whatever_their_votes(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Search.of(reader, voting=VotingOptions(shortlist=1))
    query = narrow.read(np.vstack([pixels(reader, 0), pixels(reader, 1)[:50]]))
    asked = dataclasses.replace(narrow.asked(query), content="00" * 32)
    content_of = reader.snapshot.catalog.contents_of(range(1, 6))

    def found_with(verdicts: dict[int, bool], among: set[int] | None = None) -> list[int]:
        judged = {content_of[image]: is_copy for image, is_copy in verdicts.items()}
        monkeypatch.setattr(Catalog, "verdicts_of", lambda *_: judged)
        only = None if among is None else frozenset(content_of[image] for image in among)
        return [one.id for one in candidates(narrow, query, dataclasses.replace(asked, among=only))]

    assert found_with({}) == [1]
    assert found_with({2: False}) == [1]
    assert found_with({1: True}) == [1]
    assert found_with({2: True}) == [1, 2]
    assert found_with({2: True}, {1, 3}) == [1]


def test_options_of_another_kind_are_refused(reader: Reader) -> None:
    wrong: Any = 5
    with pytest.raises(UsageError, match="voting"):
        Search.of(reader, voting=wrong)
    with pytest.raises(UsageError, match="geometry"):
        Search.of(reader, geometry=wrong)


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


def test_eight_features_are_enough(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search.of(reader)
    for count, kept in ((7, 0), (8, 8)):
        monkeypatch.setattr("featmatch.search.query.extract_grey", lambda *_, count=count: FEATURES[:count])
        query = search.read(blobs(1))
        assert len(query.features) == kept
        assert query.enough
        assert dataclasses.replace(query, whole=described(gradient(99, 99))).enough is bool(kept)


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
