"""Is one picture a copy of the other? Pairs of which the test knows it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch import FeatureOptions, Features, GeometryOptions, MatchingOptions, UsageError
from featmatch.evaluation.edits import blur, jpeg
from featmatch.features.extraction import extract_grey
from featmatch.features.looks import FEW_FEATURES
from featmatch.geometry.maps import project
from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.proof import pair
from featmatch.proof.pair import Pair, verify
from featmatch.proof.probability import FeatureEvidence
from tests.plain_pictures import before_a_background, blobs, drawn_flag, gradient
from tests.proof.proofs import made_proof

Picture = NDArray[np.uint8]

BLANK = np.zeros((100, 100), np.uint8)


@pytest.fixture(scope="module")
def chelsea(photos: dict[str, Picture]) -> Picture:
    return photos["chelsea"]


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Picture]) -> Picture:
    return photos["coffee"]


@pytest.mark.parametrize(
    ("edit", "mirrored", "negative"),
    [("plain", False, False), ("mirrored", True, False), ("negative", False, True), ("both", True, True)],
)
def test_each_variant_is_proven_as_what_it_is(chelsea: Picture, edit: str, mirrored: bool, negative: bool) -> None:
    edited = chelsea[40:260, 60:400]
    edited = edited[:, ::-1] if mirrored else edited
    edited = 255 - edited if negative else edited
    found = verify(jpeg(np.ascontiguousarray(edited), 80), chelsea)
    assert found
    assert found.proof is not None
    relation = found.proof.relation
    assert (relation.kind, relation.mirrored, relation.negative) == ("crop", mirrored, negative)
    assert found.reason == f"{relation}: {found.inliers} features agree"
    assert found.proof.evidence.agreement is not None


def test_the_variants_after_a_proven_one_are_not_tried(chelsea: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def proof_of_variant(of: Any, variant: Any, *more: Any) -> Any:
        tried.append(variant.name)
        return original(of, variant, *more)

    original = pair._proof_of_variant
    monkeypatch.setattr(pair, "_proof_of_variant", proof_of_variant)
    assert verify(chelsea[:, 100:], chelsea)
    assert tried == ["PLAIN"]
    tried.clear()
    shuffled = np.ascontiguousarray(np.random.default_rng(0).permuted(chelsea, axis=0))
    assert not verify(chelsea, shuffled, forms="none")
    assert tried == ["PLAIN", "MIRRORED", "NEGATIVE", "MIRRORED_NEGATIVE"]


def test_of_several_variants_the_surest_is_told(chelsea: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = made_proof(np.eye(3), (100, 100), (100, 100), score=1.0)
    scores = iter([1.0, 3.0, None, 2.0])

    def proof_of_variant(*_: Any) -> Any:
        score = next(scores)
        if score is None:
            return None
        return dataclasses.replace(doubtful, evidence=FeatureEvidence(score, score, 1.0, 0.5, "sift"))

    monkeypatch.setattr(pair, "_proof_of_variant", proof_of_variant)
    found = verify(chelsea, chelsea, forms="none")
    assert not found
    assert found.proof is not None
    assert found.proof.evidence.geometry == 3.0
    assert found.reason == "20 features agree: too few, or too unevenly, to be sure"


def test_pictures_that_share_nothing_are_not_proven(chelsea: Picture, coffee: Picture) -> None:
    found = verify(chelsea[:200:2, :300:2], coffee[:200:2, :300:2])
    assert not found
    assert "to be sure" in found.reason or found.reason == "no geometry agrees"


def test_too_little_detail_says_on_which_side(chelsea: Picture) -> None:
    plain = gradient(50, 90)
    assert verify(plain, chelsea).reason == "too little detail in the first image"
    assert verify(chelsea, plain).reason == "too little detail in the second image"
    assert verify(chelsea, plain).proof is None
    assert verify(plain, plain).reason == "too little detail in the first image"


def test_whole_pictures_are_told(photos: dict[str, Picture]) -> None:
    found = verify(np.rot90(jpeg(blobs(1), 50)), blobs(1))
    assert found
    assert found.proof is not None
    assert str(found.proof.relation) == found.reason == "whole picture, rotated 90°"
    assert not verify(blobs(1), blobs(2))
    assert not verify(gradient(50, 90), photos["chelsea"])


def test_a_strongly_blurred_photo_is_proven_by_what_tells_more(coffee: Picture, chelsea: Picture) -> None:
    assert verify(blur(coffee, 11), coffee)
    assert not verify(blur(coffee, 11), chelsea)


def test_options_count_and_those_of_another_kind_are_refused(chelsea: Picture) -> None:
    cut = chelsea[30:, 50:]
    assert verify(cut, chelsea).inliers > verify(cut, chelsea, matching=MatchingOptions(ratio=0.3)).inliers
    assert verify(cut, chelsea).inliers > verify(cut, chelsea, geometry=GeometryOptions(tolerance=0.001)).inliers
    wrong: Any = 5
    with pytest.raises(UsageError, match="matching"):
        verify(cut, chelsea, matching=wrong)
    with pytest.raises(UsageError, match="geometry"):
        verify(cut, chelsea, geometry=wrong)


def test_only_pairs_with_few_features_are_tried_as_a_whole(chelsea: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def proven_as_whole(of: Any) -> None:
        tried.append(min(len(of.query), len(of.reference)))

    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    few = np.ascontiguousarray(chelsea[:64, :64])
    monkeypatch.setattr(pair, "_proven_as_whole", proven_as_whole)
    assert not verify(noise, chelsea, forms="none")
    assert verify(chelsea[20:, 30:], chelsea)
    assert tried == []
    assert not verify(few, noise)
    assert len(tried) == 1
    assert 8 <= tried[0] < FEW_FEATURES
    assert verify(few, np.ascontiguousarray(chelsea[:70, :70]))  # proven by its features
    assert len(tried) == 1


EXCHANGED, REDRAWN = {"exchanged": 9}, {"redrawn": 0.1, "agreeing": 100}


@pytest.mark.parametrize(
    ("share", "against", "claimed"),
    [(0.6, {}, True), (0.4, {}, False), (0.4, EXCHANGED, True), (0.9, REDRAWN, False)],
)
def test_a_form_that_shows_less_than_half_of_the_picture_counts_only_against_another_content(
    share: float, against: dict[str, Any], claimed: bool, coffee: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caption that two photos share is most of what they have in common; a few letters of it may lie evenly.

    What is print is told from the pixels, and any form of them has the same.
    """
    made = made_proof(np.eye(3), (600, 400), (600, 400))
    part = FeatureEvidence(90.0, 90.0, 0.9, 0.0, "sift", agreement=0.3, contradiction=0.7, **against)
    even = FeatureEvidence(90.0 * share, 90.0 * share, 1.0, 1.0, "sift", agreement=0.9, contradiction=0.0, agreeing=90)
    plain, in_form = (dataclasses.replace(made, evidence=one).with_kind() for one in (part, even))
    assert (plain.relation.kind == "same template") is bool(against)
    assert not plain.proven
    assert in_form.proven
    monkeypatch.setattr(pair._Look, "proofs", lambda _: iter([plain]))
    monkeypatch.setattr(pair, "_in_forms", lambda *_: iter([in_form]))
    found = verify(coffee, coffee)
    assert bool(found) is claimed
    assert found.proof is (in_form if claimed else plain)
    assert not verify(coffee, coffee, forms="none")


def test_both_pictures_are_read_as_the_options_say(chelsea: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[dict[str, Any]] = []

    def loaded(source: Any, **how: Any) -> Any:
        read.append(how)
        return load_grey(source, **how)

    monkeypatch.setattr(pair, "load_grey", loaded)
    options = FeatureOptions(longest_px=400, shortest_px=300)
    found = verify(chelsea, chelsea, features=options, timeout=7.0, max_pixels=200_000)
    assert found.decoding == DecodingOptions(7.0, 200_000)
    assert read == [{"longest_px": 400, "shortest_px": 300, "colours": True, "decoding": found.decoding}] * 2


@pytest.mark.parametrize("edit", ["crop", "mirrored", "turned"])
def test_the_answer_is_the_same_whichever_picture_comes_first(edit: str, chelsea: Picture) -> None:
    whole = chelsea[..., 0]
    piece = {
        "crop": whole[40:220, 60:300], "mirrored": whole[20:250, ::-1][:, :280], "turned": np.rot90(whole)[:, 30:]
    }[edit]  # fmt: skip
    piece = np.ascontiguousarray(piece)
    there, back = verify(piece, whole), verify(whole, piece)
    assert there
    assert back
    assert there.proof is not None
    assert back.proof is not None
    assert (there.probability, there.inliers) == (back.probability, back.inliers)
    assert (there.proof.relation.kind, back.proof.relation.kind) == ("crop", "contains")
    assert there.proof.relation.mirrored == back.proof.relation.mirrored == (edit == "mirrored")
    turn = there.proof.relation.rotation_deg + back.proof.relation.rotation_deg
    assert (there.proof.relation.rotation_deg if edit == "mirrored" else turn) == pytest.approx(0, abs=0.5)
    assert there.proof.relation.scale * back.proof.relation.scale == pytest.approx(1, abs=1e-6)
    corners = np.array([[10.0, 10], [100, 20], [30, 90]])
    assert there.homography is not None
    assert back.homography is not None
    np.testing.assert_allclose(project(back.homography, project(there.homography, corners)), corners, atol=1e-6)
    np.testing.assert_array_equal(there.proof.query_region, back.proof.reference_region)
    assert there.proof.query_overlap == back.proof.reference_overlap
    assert back.proof.reference_size == piece.shape[::-1]
    np.testing.assert_array_equal(there.proof.query_points, back.proof.reference_points)


def test_where_pixels_and_features_are_the_same_size_and_colours_decide_which_is_looked_up() -> None:
    options, colours = FeatureOptions(), np.zeros((64, 64, 3), np.uint8)
    plain = GreyImage(BLANK, 100, 100, 1.0, 1.0)
    others = [
        GreyImage(BLANK, 100, 200, 1.0, 2.0), GreyImage(BLANK, 200, 100, 2.0, 1.0),
        GreyImage(BLANK.reshape(50, 200), 100, 100, 0.5, 2.0), GreyImage(BLANK, 100, 100, 1.0, 1.0, colours=colours),
    ]  # fmt: skip
    features = extract_grey(plain, options)
    for other in others:
        turned = [Pair(*pair, features, features, options).is_turned for pair in ((plain, other), (other, plain))]
        assert sorted(turned) == [False, True]
    assert not Pair(plain, plain, features, features, options).is_turned


@pytest.mark.parametrize("differs", ["keypoints", "angles", "sizes"])
def test_features_that_differ_by_their_places_alone_are_the_same_both_ways(differs: str) -> None:
    random = np.random.default_rng(1)
    made = {
        "keypoints": random.uniform(20, 380, (9, 2)), "angles": random.uniform(1, 2, 9), "sizes": np.full(9, 9.0)
    }  # fmt: skip
    descriptors = random.normal(size=(9, 128))
    first, second = (
        Features.from_arrays("made", descriptors=descriptors, size=(400, 400), **one)
        for one in (made, {**made, differs: made[differs] + random.normal(0, 0.3, made[differs].shape)})
    )
    there, back = verify(first, second), verify(second, first)
    assert there.proof is not None
    assert back.proof is not None
    assert there.proof.evidence == back.proof.evidence
    back_again = np.linalg.inv(back.proof.homography)
    np.testing.assert_allclose(there.proof.homography, back_again / back_again[2, 2], rtol=1e-9, atol=1e-9)


def test_features_so_few_that_trees_would_lose_some_are_compared() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        keypoints, descriptors = random.uniform(20, 380, (9, 2)), random.normal(size=(9, 128))
        few = Features.from_arrays("made", keypoints, descriptors, size=(400, 400))
        assert verify(few, few).inliers == 9


def test_whole_pictures_are_the_same_both_ways() -> None:
    turned = np.ascontiguousarray(np.rot90(jpeg(blobs(1), 50)))
    there, back = verify(turned, blobs(1)), verify(blobs(1), turned)
    assert there.proof is not None
    assert back.proof is not None
    assert there.verified
    assert back.verified
    assert there.probability == back.probability
    assert there.proof.relation.kind == back.proof.relation.kind == "whole picture"
    assert there.proof.relation.rotation_deg == pytest.approx(-back.proof.relation.rotation_deg)
    assert there.proof.reference_size == blobs(1).shape[1::-1]
    assert back.proof.reference_size == turned.shape[1::-1]


def test_a_flat_picture_that_lies_within_another_is_proven_from_both_sides() -> None:
    corners = np.array([[120.0, 60], [520, 110], [480, 400], [90, 330]])
    flag, seen = drawn_flag(0), before_a_background(drawn_flag(0), corners)
    lies, holds = verify(seen, flag), verify(flag, seen)
    assert lies
    assert holds
    assert lies.proof is not None
    assert holds.proof is not None
    assert (lies.proof.relation.kind, holds.proof.relation.kind) == ("contains", "crop")
    found = project(lies.proof.homography, corners)
    np.testing.assert_allclose(found, [[0, 0], [600, 0], [600, 400], [0, 400]], atol=12)
    np.testing.assert_allclose(project(holds.proof.homography, found), corners, atol=1e-6)
    assert not verify(before_a_background(drawn_flag(3), corners), flag)
    assert not verify(seen, flag, forms="none")
