"""Other forms of a query, where the query as it is proves nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from featmatch import Index, UsageError
from featmatch.features.forms import Form, Round, seen_in
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.search import stages
from featmatch.search.collection import Collection, Proved
from featmatch.search.compared import Compared
from featmatch.search.forms import as_shared, without_contradicted, without_related
from featmatch.search.matches import FoundImage
from featmatch.search.stages import Search
from featmatch.search.verification import Matched
from featmatch.store.reader import Reader
from tests.proof.proofs import made_proof

SQUEEZED = 2.2
FORMS = Form(SQUEEZED, 0, area_px=80_000), Form(SQUEEZED, 90)


def opened(built: Path) -> Index:
    return Index.open(built / "index", root=built / "photos")


def squeezed(built: Path, number: int = 1, *, along: int = 0) -> np.ndarray:
    """A picture that is so much shorter along one side that its features are others."""
    picture = np.asarray(Image.open(built / "photos" / f"{number:03d}.png"))
    height, width = picture.shape[:2]
    sides = (round(3 * width / SQUEEZED), 3 * height) if along == 0 else (3 * width, round(3 * height / SQUEEZED))
    return cv2.resize(picture, sides, interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("along", [0, 1])
def test_a_squeezed_picture_is_found_stretched_and_the_answer_is_in_its_own_px(built: Path, along: int) -> None:
    query = squeezed(built, along=along)
    height, width = query.shape[:2]
    assert opened(built).query(query, forms="none") == []
    found = opened(built).query(query)
    assert [match.name for match in found] == ["001.png"]
    assert list(found.times)[-1] == "forms"
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5]])
    there = project(found[0].homography, corners)
    assert np.abs(there - [[-0.5, -0.5], [95.5, -0.5], [95.5, 127.5]]).max() < 3
    inliers = project(found[0].homography, found[0].proof.query_points)
    assert np.abs(inliers - found[0].proof.reference_points).max() < 4
    assert found[0].query_overlap == pytest.approx(1, abs=0.05)
    assert found[0].relation.kind == "copy"
    assert found[0].proof.form is not None


@pytest.mark.parametrize("change", ["mirrored", "negative"])
def test_a_squeezed_picture_is_found_mirrored_and_as_a_negative(built: Path, change: str) -> None:
    query = squeezed(built)
    query = np.ascontiguousarray(query[:, ::-1]) if change == "mirrored" else 255 - query
    (match,) = opened(built).query(query)
    assert (match.name, getattr(match.relation, change)) == ("001.png", True)
    assert abs(match.relation.rotation_deg) < 3
    left, right = project(match.homography, np.array([[0.0, 50], [query.shape[1] - 1, 50]]))
    assert (left[0] > right[0]) == (change == "mirrored")


def test_forms_cost_nothing_where_something_is_proven(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(*_: object) -> None:
        raise AssertionError("a form was tried")

    monkeypatch.setattr(stages, "found_in_forms", tried)
    picture = np.asarray(Image.open(built / "photos" / "000.png"))
    assert "forms" not in opened(built).query(picture, forms="all").times
    with pytest.raises(AssertionError, match="a form"):
        opened(built).query(squeezed(built))


def test_an_accepted_answer_is_one(folder: Path) -> None:
    picture = folder / "squeezed.png"
    Image.fromarray(squeezed(folder)).save(picture)
    index = opened(folder)
    found = index.query(picture)[0].proof
    assert found.form is not None
    assert isinstance(found.evidence, FeatureEvidence)
    assert found.evidence.in_form
    index.accept(picture, "001.png")
    (answer,) = index.query(picture)
    assert (answer.verdict, answer.proof.form is None) == ("accepted", False)


def test_each_look_counts_as_a_chance(built: Path) -> None:
    search = Search.of(Reader(built / "index", built / "photos"))
    form, blurred = Form(SQUEEZED, 0, area_px=80_000), Form(SQUEEZED, 90)
    geometry = []
    for rounds in (((form,),), ((form,) * 9,), ((blurred,) * 3, (form,) * 6), ((form,), (blurred,) * 6)):
        looking = dataclasses.replace(search, forms=[Round(forms) for forms in rounds])
        query = looking.read(squeezed(built))
        answers, _ = looking.matches(query, looking.asked(query))
        (found,) = (one for one in answers if one.proven)
        geometry.append(found.proof.evidence.geometry)
    assert np.subtract(geometry[0], geometry) == pytest.approx(np.log10([1, 5, 5, 1]))  # of 2, 10, 10 and 2 looks


def test_a_round_for_images_that_stand_out_is_passed_over_where_none_does(built: Path) -> None:
    search = Search.of(Reader(built / "index", built / "photos"))
    plain = search.read(squeezed(built))
    form, blurred = Form(SQUEEZED, 0, area_px=80_000), Form(SQUEEZED, 90)
    found = []
    for rounds in (
        [Round((blurred,) * 4, 0.001), Round((form,))],  # what is passed over is no chance to agree
        [Round((form,))],
        [Round((form,), 0.001)],
    ):
        looking = dataclasses.replace(search, forms=rounds)
        answers, _ = looking.matches(plain, looking.asked(plain))
        found.append([(one.name, one.proof.evidence.geometry) for one in answers if one.proven])
    assert len(found[0]) == 1
    assert found[0] == found[1]
    assert found[2] == []


def test_places_that_images_match_in_the_query_as_it_is_are_known_in_its_forms(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = np.array([[10.0, 20.0], [60.0, 30.0]])
    search = Search.of(Reader(built / "index", built / "photos"))
    search = dataclasses.replace(search, forms=[Round(FORMS[:1]), Round(FORMS)])
    query, known, looked_at = search.read(squeezed(built)), [], []
    proving = Collection.proving

    def spied(
        self: Collection, grey: GreyImage, listed: Sequence[Any], there: Any = None
    ) -> Callable[[], list[Proved]]:
        known.append(there)
        return proving(self, grey, listed, there)

    def matched_in_part(found: Sequence[FoundImage]) -> list[Matched]:
        looked_at.append(list(found))
        return [Matched(5, places)]

    monkeypatch.setattr(stages, "matched_in_part", matched_in_part)
    monkeypatch.setattr(Compared, "is_claimed", False)  # so that all rounds are tried
    monkeypatch.setattr(Collection, "proving", spied)
    search.matches(query, search.asked(query))
    as_it_is, _, *in_forms = known
    first, second = looked_at
    assert [one.proof.form for one in second] == [None] * len(first) + [FORMS[0]] * (len(second) - len(first))
    assert len(second) > len(first)  # what the first round has seen counts in the second
    assert as_it_is is None
    assert len(in_forms) == len(FORMS)
    for seen, ((matched,),) in zip(seen_in(query.grey, FORMS), in_forms, strict=True):
        assert matched.image == 5
        assert project(seen.original_from_form, matched.points) == pytest.approx(places)


def test_features_of_a_form_count_in_the_region_only(built: Path) -> None:
    query = squeezed(built)
    height, width = query.shape[:2]
    beside = np.hstack([query, np.full_like(query, 128)])
    index = opened(built)
    (match,) = index.query(beside, region=(0, 0, width, height))
    assert match.name == "001.png"
    assert np.abs(project(match.homography, np.array([[-0.5, -0.5]]))).max() < 3
    assert index.query(beside, region=(width + 20, 0, width - 30, height)) == []
    triangle = [(width + 30, 0), (2 * width, 0), (2 * width, height)]
    assert index.query(beside, region=triangle) == []
    for picture, right in ((beside, width), (np.ascontiguousarray(query[:, ::-1]), width)):
        (match,) = index.query(picture, region=[(0, 0), (right, 0), (0, height)], unproven=True)[:1]
        places = match.proof.query_points / [right, height]
        assert match.proof.form is not None
        assert places.sum(axis=1).max() < 1.01


def test_only_known_sets_of_forms_are_taken(built: Path) -> None:
    index = opened(built)
    for ask in (
        lambda: index.query(squeezed(built), forms="most"),  # type: ignore[arg-type]
        lambda: index.query_many([], forms="most"),  # type: ignore[arg-type]
        lambda: index.explain(squeezed(built), "001.png", forms="most"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match="forms is one of few, all, none"):
            ask()


def test_explain_says_in_which_form_it_was_found(built: Path) -> None:
    index, query = opened(built), squeezed(built)
    told = index.explain(query, "001.png")
    assert told.proven
    assert ", in the query stretched 1.6 times where it changes most" in told.verdict
    assert told.to_dict()["form"] == told.verdict.split("in the query ")[1].split(";")[0]
    assert not index.explain(query, "001.png", forms="none").proven
    assert index.explain(built / "half.png", "000.png").to_dict()["form"] is None


def test_what_was_told_as_a_sister_or_another_view_is_not_found_in_a_form() -> None:
    def found(number: int, **told: Any) -> FoundImage:
        proof = made_proof(np.eye(3), (100, 100), (100, 100))
        return FoundImage(number, dataclasses.replace(proof, evidence=dataclasses.replace(proof.evidence, **told)))

    before = [found(1, is_sister=True), found(2), found(3, depth_steps=99), found(4, depth_steps=1)]
    in_form = [found(number) for number in (1, 2, 3, 4, 5)]
    assert [one.id for one in without_related(in_form, before)] == [2, 4, 5]


def test_a_form_must_not_explain_less_than_a_sister_that_was_told_or_agree_all_over() -> None:
    def found(number: int, geometry: float, agreement: float, *, is_sister: bool) -> FoundImage:
        proof = made_proof(np.eye(3), (100, 100), (100, 100))
        evidence = FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift", agreement, 1.0, 0.0, 0.0, 200)
        return FoundImage(
            number, dataclasses.replace(proof, evidence=dataclasses.replace(evidence, is_sister=is_sister))
        )

    before = [found(1, 150, 0.8, is_sister=True), found(2, 190, 0.8, is_sister=False)]
    in_form = [found(number, geometry, 0.9, is_sister=False) for number, geometry in ((3, 149), (4, 150))]
    assert [one.id for one in without_contradicted(in_form, before)] == [4]
    assert [one.id for one in without_contradicted([found(5, 45, 0.95, is_sister=False)], before)] == [5]


def test_a_sister_is_dropped_where_another_image_explains_all() -> None:
    def found(number: int, geometry: float, contradiction: float | None) -> FoundImage:
        proof = made_proof(np.eye(3), (100, 100), (100, 100))
        evidence = FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift", 0.9, 1.0, contradiction, 0.0, 200)
        return FoundImage(number, dataclasses.replace(proof, evidence=evidence))

    true, copy, sister, unseen = found(1, 60, 0.0), found(2, 40, 0.2), found(3, 50, 0.5), found(4, 30, None)
    assert [one.id for one in without_contradicted([true, sister, copy, unseen], [])] == [1, 2, 4]
    assert [one.id for one in without_contradicted([copy, sister], [])] == [2, 3]
    assert [one.id for one in without_contradicted([found(5, 45, 0.0), sister], [])] == [5, 3]


def test_what_others_share_counts_in_a_form_as_little_as_before() -> None:
    """Each form is judged with few candidates, which may not show that a caption recurs."""

    def found(number: int, geometry: float, distinct: float) -> FoundImage:
        proof = made_proof(np.eye(3), (700, 900), (700, 900))
        evidence = FeatureEvidence(geometry, distinct, 1.0, 1.0, "sift")
        return FoundImage(number, dataclasses.replace(proof, evidence=evidence))

    before = [found(1, 30.0, 2.0), found(1, 80.0, 8.0), found(1, 90.0, 90.0), found(2, 5.0, 5.0)]
    in_form = as_shared([found(1, 40.0, 40.0), found(2, 50.0, 50.0), found(3, 60.0, 60.0)], before)
    assert [one.proof.evidence.distinct for one in in_form] == [2.0, 50.0, 60.0]
    assert [one.proof.evidence.geometry for one in in_form] == [40.0, 50.0, 60.0]
