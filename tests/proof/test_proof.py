"""A fit becomes a proof."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

from featmatch.features.symmetry import Variant
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence, probability_of
from featmatch.proof.proof import PROVEN
from tests.geometry.known_maps import mapped, shift
from tests.proof.proofs import made_proof


@pytest.mark.parametrize("variant", list(Variant))
def test_the_homography_agrees_with_the_inliers(variant: Variant) -> None:
    matrix = np.array([[0.8, 0.05, 60], [0.03, 0.85, 40], [2.5e-4, 1e-4, 1]]) * 3
    match = made_proof(matrix, (300, 200), (640, 480), variant)
    assert match.homography[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(mapped(match.homography, match.query_points), match.reference_points)
    np.testing.assert_allclose(mapped(match.homography, match.query_region), match.reference_region)


def test_inliers_of_a_mirrored_query_are_where_its_features_are() -> None:
    plain, mirrored = (
        made_proof(np.eye(3), (300, 200), (300, 200), variant) for variant in (Variant.PLAIN, Variant.MIRRORED)
    )
    np.testing.assert_allclose(mirrored.query_points[:, 0], 299 - plain.query_points[:, 0])
    np.testing.assert_allclose(mirrored.query_points[:, 1], plain.query_points[:, 1])
    np.testing.assert_allclose(mirrored.reference_points, plain.reference_points)


@pytest.mark.parametrize(("score", "proven"), [(0.0, False), (500.0, True)])
def test_a_claim_is_made_from_evidence_only(score: float, proven: bool) -> None:
    match = made_proof(np.eye(3), (100, 100), (100, 100), score=score)
    assert match.proven is proven
    assert match.proven is (match.probability >= PROVEN)


def test_a_fit_becomes_a_proof_that_says_all_of_it() -> None:
    proof = made_proof(shift(100, 50), (200, 100), (640, 480), score=33.0)
    evidence = proof.evidence
    assert isinstance(evidence, FeatureEvidence)
    assert (evidence.geometry, evidence.distinct, evidence.clarity, evidence.detector) == (33.0, 33.0, 1.0, "sift")
    assert 0.5 < evidence.evenness <= 1
    assert (proof.inliers, proof.reference_size) == (20, (640, 480))
    assert proof.query_overlap == 1.0
    assert proof.reference_overlap == pytest.approx(200 * 100 / (640 * 480))
    assert proof.score == evidence.score()
    assert proof.probability == probability_of(proof.score)


def test_a_claim_is_made_from_a_probability_of_four_fifths_on(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = made_proof(np.eye(3), (100, 100), (100, 100))
    for probability, proven in ((0.79, False), (0.8, True)):
        monkeypatch.setattr(type(proof), "probability", probability)
        assert proof.proven is proven


def picture(seed: int) -> GreyImage:
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    return GreyImage(pixels, 640, 480, 2.0, 2.0)


def test_pixels_speak_for_the_same_picture_and_against_another() -> None:
    proof = made_proof(np.eye(3), (640, 480), (640, 480), score=4.0)
    same, other = proof.with_pixels(picture(1), picture(1)), proof.with_pixels(picture(1), picture(2))
    assert same.evidence.agreement == pytest.approx(1, abs=0.01)
    assert other.evidence.agreement is not None
    assert other.evidence.agreement < 0.3
    assert same.score > proof.score
    assert same.proven
    assert other.probability < 0.05
    assert same.evidence.detail > 0.9
    assert same.inliers == proof.inliers


def test_pixels_of_a_negative_are_compared_as_one() -> None:
    query = picture(1)
    negative = dataclasses.replace(query, pixels=255 - query.pixels)
    proof = made_proof(np.eye(3), (640, 480), (640, 480), Variant.NEGATIVE)
    assert proof.with_pixels(negative, query).evidence.agreement == pytest.approx(1, abs=0.01)
    assert proof.with_pixels(query, query).evidence.agreement < 0.1  # type: ignore[operator]


def test_each_picture_is_compared_at_the_size_at_which_it_was_read() -> None:
    query, reference = picture(1), picture(1)
    smaller = GreyImage(np.ascontiguousarray(reference.pixels[::2, ::2]), 640, 480, 4.0, 4.0)
    proof = made_proof(np.eye(3), (640, 480), (640, 480))
    for pictures in ((query, smaller), (smaller, query)):
        assert proof.with_pixels(*pictures).evidence.agreement == pytest.approx(1, abs=0.05)


def test_a_small_stored_picture_is_a_coarse_look() -> None:
    proof = made_proof(np.eye(3), (640, 480), (640, 480))
    query = picture(1)
    whole = GreyImage(query.pixels.repeat(2, 0).repeat(2, 1), 640, 480, 1.0, 1.0)  # 554 px, as the root of its area
    small = GreyImage(np.ascontiguousarray(whole.pixels[::3, ::3]), 640, 480, 3.0, 3.0)
    for reference, stored, coarse in (
        (small, True, True), (small, False, False), (whole, True, False), (whole, False, False)
    ):  # fmt: skip
        seen = proof.with_pixels(whole, dataclasses.replace(reference, is_stored=stored)).evidence
        assert seen.contradiction is not None
        assert seen.is_coarse is coarse
    assert proof.with_pixels(query, query).evidence.is_coarse is False


def test_cells_of_a_small_region_tell_no_places_and_no_sisters() -> None:
    proof = made_proof(np.eye(3), (64, 64), (64, 64))
    large = picture(1).pixels[:128, :128]
    small = GreyImage(np.ascontiguousarray(cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)), 64, 64, 1.0, 1.0)
    found = proof.with_pixels(small, small)
    assert found.evidence.is_small
    assert found.evidence.agreeing > 20
    assert found.differences is None
    assert found.difference is None
    larger = GreyImage(large, 64, 64, 0.5, 0.5)
    assert proof.with_pixels(larger, larger).difference is not None
    assert not proof.with_pixels(larger, larger).evidence.is_small


def test_pictures_that_share_too_little_are_not_compared() -> None:
    proof = made_proof(shift(638, 478), (640, 480), (640, 480))
    assert proof.with_pixels(picture(1), picture(1)) is proof


def test_json_is_rounded() -> None:
    proof = made_proof(shift(100.123456, 50), (200, 100), (640, 480), score=20.0)
    agreed = dataclasses.replace(proof, evidence=dataclasses.replace(proof.evidence, agreement=0.123456))
    found = json.loads(json.dumps(agreed.to_dict(), allow_nan=False))
    assert list(found) == [
        "probability", "score", "inliers", "agreement", "relation", "homography", "query_region",
        "reference_region", "query_overlap", "reference_overlap", "differences", "differing_share",
    ]  # fmt: skip
    assert proof.to_dict()["agreement"] is None
    assert found["agreement"] == 0.1235
    assert found["probability"] == round(agreed.probability, 6) != agreed.probability
    assert found["score"] == round(agreed.score, 2) != agreed.score
    assert found["reference_overlap"] == 0.0651
    assert found["homography"][0][2] == pytest.approx(100.123456, abs=1e-9)
    assert found["reference_region"][0] == [99.62, 49.5]
    assert found["query_region"][0] == [-0.5, -0.5]


def test_two_codes_in_one_frame_are_one_template() -> None:
    """As two QR codes: what is around is the same, and all within is another."""

    def code(seed: int) -> GreyImage:
        blocks = np.random.default_rng(0).integers(0, 2, (60, 60)).astype(np.uint8) * 255
        blocks[5:55, 5:55] = np.random.default_rng(seed).integers(0, 2, (50, 50)).astype(np.uint8) * 255
        picture = np.kron(blocks, np.ones((10, 10), np.uint8))
        return GreyImage(picture, 600, 600, 1.0, 1.0)

    proof = made_proof(np.eye(3), (600, 600), (600, 600))
    same, other = proof.with_pixels(code(1), code(1)), proof.with_pixels(code(1), code(2))
    assert (same.relation.kind, same.proven, same.related) == ("copy", True, False)
    assert (other.relation.kind, other.proven, other.related) == ("same template", False, True)


def test_two_photos_of_one_scene_are_no_copies() -> None:
    """Three things stand before a ground, and are moved against it as from another place."""

    def photo(move: int) -> GreyImage:
        ground, thing = (
            cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (480, 640)).astype(np.uint8), (0, 0), 2)
            for seed in (1, 2)
        )
        for left, top, near in ((60, 60, 1.0), (260, 240, 0.6), (440, 90, 0.8)):
            here = left + round(near * move)
            ground[top : top + 150, here : here + 130] = thing[top : top + 150, left : left + 130]
        return GreyImage(np.asarray(ground, np.uint8), 640, 480, 1.0, 1.0)

    proof = made_proof(np.eye(3), (640, 480), (640, 480))
    for ours, theirs in ((0, 40), (40, 0)):
        other = proof.with_pixels(photo(ours), photo(theirs))
        assert (other.relation.kind, other.proven, other.related) == ("same scene", False, True)
        assert other.as_sister().relation.kind == "same template"  # that the design recurs says more
    same = proof.with_pixels(photo(0), photo(0))
    assert (same.relation.kind, same.proven, same.related) == ("copy", True, False)


def test_another_content_that_was_seen_the_other_way_round_stays_one() -> None:
    def code(seed: int) -> GreyImage:
        blocks = np.random.default_rng(seed).integers(0, 2, (60, 60)).astype(np.uint8) * 255
        return GreyImage(np.kron(blocks, np.ones((10, 10), np.uint8)), 600, 600, 1.0, 1.0)

    proof = made_proof(np.eye(3), (600, 600), (600, 600))
    assert isinstance(proof.evidence, FeatureEvidence)
    told = dataclasses.replace(proof, evidence=dataclasses.replace(proof.evidence, exchanged=9)).with_kind()
    assert told.relation.kind == "same template"
    again = told.with_pixels(code(1), code(1))
    assert (again.evidence, again.relation.kind, again.proven) == (told.evidence, "same template", False)
    assert proof.with_pixels(code(1), code(1)).proven
