"""A closer look at images that may be right, by their own features."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.extraction import FeatureOptions, extract_grey
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.proof.pair import verify
from featmatch.proof.probability import FeatureEvidence
from featmatch.search.closer import CloserLook, decided, rests_on_form
from featmatch.search.matches import FoundImage
from featmatch.search.verification import compare_pixels
from tests.proof.proofs import made_proof

OPTIONS = FeatureOptions()
POOR, FAIR, SURE = 0.0, 10.0, 100.0  # geometry of which nothing, something and all can be said


def found(number: int, geometry: float, size: tuple[int, int] = (400, 300), **evidence: object) -> FoundImage:
    proof = made_proof(np.eye(3), size, size)
    seen = FeatureEvidence(geometry, geometry, 1.0, 0.6, "sift")
    return FoundImage(number, dataclasses.replace(proof, evidence=dataclasses.replace(seen, **evidence)))  # type: ignore[arg-type]


def look(picture: NDArray[np.uint8]) -> CloserLook:
    grey = load_grey(picture, longest_px=2000)
    return CloserLook(grey, extract_grey(grey, OPTIONS), OPTIONS, GeometryOptions())


def test_what_may_be_right_is_looked_at_while_nothing_is_sure() -> None:
    closer = look(np.zeros((300, 400), np.uint8))
    unsure = [found(number, FAIR + number / 4) for number in range(5)]
    assert 0.1 < unsure[0].proof.probability <= unsure[4].proof.probability < 0.8
    assert closer.worth_it([*unsure, found(9, POOR)]) == [4, 3, 2]
    assert closer.worth_it([found(9, POOR), unsure[0]]) == [0]
    assert closer.worth_it([*unsure, found(9, SURE, evenness=1.0)]) == []
    assert closer.worth_it([*unsure, found(9, SURE, is_sister=True)]) == []
    assert closer.worth_it([found(1, FAIR, distinct=FAIR - 1), unsure[0]]) == [0]


def test_what_is_against_the_pixels_in_a_form_is_looked_at_closer() -> None:
    closer = look(np.zeros((300, 400), np.uint8))
    against = found(1, FAIR + 1, agreement=0.1, contradiction=0.5, in_form=True)
    assert against.proof.probability < 0.1
    assert closer.worth_it([against]) == [1]
    by_descriptors = found(1, FAIR + 1, agreement=0.1, contradiction=0.5, by_descriptors=True)
    assert closer.worth_it([by_descriptors]) == []


@pytest.mark.parametrize(
    ("change", "rests"),
    [({}, True), ({"in_form": False}, False), ({"geometry": POOR}, False), ({"by_descriptors": True}, False)],
)
def test_a_claim_by_words_of_another_form_rests_on_it(change: dict[str, Any], rests: bool) -> None:
    shown = {"geometry": SURE, "evenness": 1.0, "agreement": 0.89, "in_form": True, **change}
    assert rests_on_form(found(1, **shown)) == rests
    assert not rests_on_form(found(1, **{**shown, "agreement": 0.9}))  # the pixels are the same


@pytest.mark.parametrize("change", ["none", "mirrored", "larger"])
def test_the_better_proof_stays(photos: dict[str, NDArray[np.uint8]], change: str) -> None:
    picture = photos["coffee"]
    part = np.ascontiguousarray(picture[40:300, 80:420])
    query = part[:, ::-1].copy() if change == "mirrored" else part
    whole = np.kron(picture, np.ones((2, 2, 1), np.uint8)) if change == "larger" else picture  # has more features
    reference = load_grey(whole, longest_px=2000)
    before = found(7, FAIR, (reference.width, reference.height))
    relation = dataclasses.replace(before.proof.relation, mirrored=change == "mirrored")
    before = dataclasses.replace(before, proof=dataclasses.replace(before.proof, relation=relation))
    after = look(query).at(before, reference)
    assert after.id == 7
    assert after.proof.proven
    assert (after.proof.relation.kind, after.proof.relation.mirrored) == ("crop", change == "mirrored")
    assert after.proof.difference is not None
    assert after.proof.query_overlap == pytest.approx(1, abs=0.02)
    size = reference.width, reference.height
    assert look(query).at(sure := found(7, 1000.0, size, evenness=1.0, agreement=1.0), reference) is sure


def test_what_others_share_as_well_counts_no_more(photos: dict[str, NDArray[np.uint8]]) -> None:
    reference = load_grey(photos["coffee"], longest_px=2000)
    size = reference.width, reference.height
    after = look(photos["coffee"]).at(found(7, FAIR, size, distinct=FAIR - 4), reference)
    evidence = after.proof.evidence
    assert evidence.geometry > SURE
    assert evidence.distinct == FAIR - 4


def test_another_picture_brings_nothing(photos: dict[str, NDArray[np.uint8]]) -> None:
    reference = load_grey(photos["rocket"], longest_px=2000)
    before = found(7, FAIR, (reference.width, reference.height))
    assert look(photos["coffee"]).at(before, reference) is before
    blank = GreyImage(np.zeros((300, 400), np.uint8), 400, 300, 1.0, 1.0)
    assert look(photos["coffee"]).at(found(7, FAIR), blank).proof.evidence.geometry == FAIR


def test_only_pictures_at_hand_are_looked_at(photos: dict[str, NDArray[np.uint8]]) -> None:
    """One image is what the query was cut from, though not as it was thought to be; one is another; one is away."""
    reference, other = (load_grey(photos[name], longest_px=2000) for name in ("coffee", "rocket"))
    closer = look(np.ascontiguousarray(photos["coffee"][40:300, 80:420]))
    candidates = [found(number, FAIR + 2, (reference.width, reference.height)) for number in range(3)]
    pictures = {0: reference, 1: other, 2: None}
    plain = compare_pixels(candidates, closer.query, lambda _: pictures)
    assert not any(one.proof.evidence.geometry > SURE for one in plain)
    best, *rest = compare_pixels(candidates, closer.query, lambda _: pictures, closer)
    assert (best.id, best.proof.proven, best.proof.difference) == (0, True, None)
    assert best.proof.relation.kind == "crop"
    assert {one.id: one.proof.evidence.geometry for one in rest} == {1: FAIR + 2, 2: FAIR + 2}


def test_verified_it_says_what_verify_says_in_all_forms(photos: dict[str, NDArray[np.uint8]]) -> None:
    """Seen from far aside, a picture has other features, and only a form that is stretched again shows its own."""
    picture = photos["coffee"]
    squeezed = cv2.resize(picture, (picture.shape[1] // 4, picture.shape[0]), interpolation=cv2.INTER_AREA)
    aside = np.asarray(squeezed, np.uint8)
    reference = load_grey(picture, longest_px=2000)
    before = found(7, FAIR, (reference.width, reference.height))
    closer = look(aside)
    assert not closer.at(before, reference).proof.proven
    after, verified = decided(before, closer.verified(reference)), verify(aside, picture)
    assert after is not None
    assert verified.proof is not None
    assert verified.proof.form is not None
    assert (after.id, after.proof.score, after.proof.form) == (7, verified.proof.score, verified.proof.form)
    assert after.proof.proven
    assert after.proof.difference is None
    shared = found(7, FAIR, (reference.width, reference.height), distinct=1.0)
    again = decided(shared, closer.verified(reference))
    assert again is not None
    assert again.proof.evidence.distinct == 1.0
    blank = GreyImage(np.zeros((300, 400), np.uint8), 400, 300, 1.0, 1.0)
    assert decided(before, look(picture[::2, ::2].copy()).verified(blank)) is None
