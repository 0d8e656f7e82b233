"""Matches and their JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest

from featmatch import UsageError
from featmatch.proof.difference import Differences
from featmatch.proof.drawing import draw_proof
from featmatch.proof.probability import FeatureEvidence
from featmatch.search.matches import FoundImage, Holder, Match, Matches, Verdict, in_order, named
from tests.geometry.known_maps import shift
from tests.proof.proofs import made_proof

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "verdict", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "differences", "differing_share",
    "damaged", "width", "height",
}  # fmt: skip


RELATION_KEYS = {"kind", "rotation_deg", "scale", "mirrored", "negative"}


def test_matches_are_a_list_with_a_status() -> None:
    match = Match(1, "a.jpg", made_proof(np.eye(3), (100, 100), (100, 100)))
    assert Matches([match]) == [match]
    assert Matches().status == "ok"
    assert Matches(status="too_little_detail").status == "too_little_detail"


def test_parts_and_copies_of_matches_tell_the_same_of_the_query() -> None:
    matches = Matches([object() for _ in range(4)], status="too_little_detail", times={"words": 2.5})  # type: ignore[misc]
    matches.of_later = "whatever else is told"  # type: ignore[attr-defined]
    others: list[Matches] = [
        matches[:2], matches[::-1], matches[9:], matches + matches, matches + list(matches), matches.copy(),
        copy.copy(matches), copy.deepcopy(matches), pickle.loads(pickle.dumps(matches[:0])),
    ]  # fmt: skip
    for other, length in zip(others, (2, 4, 0, 8, 8, 4, 4, 4, 0), strict=True):
        assert isinstance(other, Matches)
        assert len(other) == length
        assert vars(other) == vars(matches)
    assert matches[::-1][0] is matches[3]
    assert matches[-1] is matches[3]
    with pytest.raises(IndexError):
        matches[4]


def test_a_match_becomes_json_with_the_keys_that_were_promised() -> None:
    match = Match(7, "a.jpg", made_proof(shift(100, 50), (200, 100), (640, 480)))
    found = json.loads(json.dumps(match.to_dict(), allow_nan=False))
    assert set(found) == MATCH_KEYS
    assert set(found["relation"]) == RELATION_KEYS
    assert (found["id"], found["name"], found["inliers"]) == (7, "a.jpg", 20)
    assert (found["width"], found["height"]) == (640, 480)
    np.testing.assert_allclose(found["homography"], match.homography)
    np.testing.assert_allclose(found["query_region"], match.query_region, atol=0.01)
    np.testing.assert_allclose(found["reference_region"], match.reference_region, atol=0.01)
    assert isinstance(found["relation"]["mirrored"], bool)


SURE, DOUBTFUL = (FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift") for geometry in (300.0, 3.0))


def found(number: int, evidence: FeatureEvidence, damaged: bool = False) -> FoundImage:
    proof = dataclasses.replace(made_proof(np.eye(3), (100, 100), (100, 100)), evidence=evidence)
    return FoundImage(number, proof, damaged)


@pytest.mark.parametrize(
    ("evidence", "verdict", "proven"),
    [
        (SURE, None, True), (DOUBTFUL, None, False), (SURE, "accepted", True), (DOUBTFUL, "accepted", True),
        (SURE, "rejected", False), (DOUBTFUL, "rejected", False),
    ],
)  # fmt: skip
def test_a_verdict_goes_before_the_evidence(evidence: FeatureEvidence, verdict: Verdict | None, proven: bool) -> None:
    assert Match(1, "a.jpg", found(1, evidence).proof, verdict).proven is proven


def test_a_match_tells_what_its_proof_tells() -> None:
    proof = made_proof(shift(100, 50), (200, 100), (640, 480))
    match = Match(1, "a.jpg", proof)
    for name in (
        "probability", "score", "inliers", "relation", "homography", "query_region", "reference_region",
        "query_overlap", "reference_overlap",
    ):  # fmt: skip
        assert getattr(match, name) is getattr(proof, name) or getattr(match, name) == getattr(proof, name)
    assert match.verdict is None
    assert not match.damaged


def test_images_come_best_first_and_equals_as_they_came() -> None:
    images = [found(1, DOUBTFUL), found(2, SURE), found(3, DOUBTFUL), found(4, SURE)]
    assert [one.id for one in in_order(images)] == [2, 4, 1, 3]
    assert not any(one.damaged for one in images)


def test_each_image_is_a_match_under_each_of_its_names() -> None:
    images = [found(1, DOUBTFUL), found(2, SURE, damaged=True), found(3, SURE)]
    names = {1: ["d", "c"], 2: ["z", "b"], 3: ["a"], 4: ["other"]}
    holders = {image: [Holder(image, some)] for image, some in names.items()}
    matches = named(images, holders, {1: True, 3: False, 4: True})
    assert [(one.id, one.name, one.verdict, one.damaged) for one in matches] == [
        (3, "a", "rejected", False), (2, "b", None, True), (2, "z", None, True),
        (1, "c", "accepted", False), (1, "d", "accepted", False),
    ]  # fmt: skip
    assert [one.proof for one in matches] == [images[number].proof for number in (2, 1, 1, 0, 0)]


def test_the_matches_of_a_query_become_json() -> None:
    match = Match(7, "a.jpg", found(7, SURE).proof)
    assert Matches([match], damaged=True).to_dict() == {
        "status": "ok", "damaged": True, "matches": [match.to_dict()], "related": [],
    }  # fmt: skip
    assert Matches(status="too_large").to_dict() == {
        "status": "too_large",
        "damaged": False,
        "matches": [],
        "related": [],
    }


def test_what_was_told_as_json_is_read_back() -> None:
    proof = dataclasses.replace(made_proof(shift(100, 50), (200, 100), (640, 480)), evidence=DOUBTFUL)
    match = Match(7, "a.jpg", proof, "accepted", damaged=True)
    square = np.array([[20.0, 40], [60, 40], [60, 60], [20, 60]])
    other = dataclasses.replace(
        match, id=8, proof=dataclasses.replace(proof, differences=Differences(0.25, [square], [square + 9]))
    )
    told = json.loads(json.dumps(Matches([match], damaged=True, related=[other]).to_dict()))
    line = {"query": "b.jpg", **told, "of_later": 1}
    again = Matches.from_dict(line)
    assert again.to_dict() == told
    assert (again.status, again.damaged, [one.id for one in again.related]) == ("ok", True, [8])
    assert (again[0].proven, again[0].inliers, again[0].proof.reference_size) == (True, 20, (640, 480))
    assert again[0].probability == told["matches"][0]["probability"]
    assert again[0].score == told["matches"][0]["score"]
    np.testing.assert_array_equal(again[0].homography, match.homography)
    assert again[0].proof.query_points.shape == (0, 2)
    assert draw_proof(np.zeros((100, 200), np.uint8), np.zeros((480, 640), np.uint8), again[0].proof).ndim == 3


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"score": "high"}, {"relation": {}}, {"homography": [[1, 2]]}, {"width": None},
        {"agreement": "high"}, {"agreement": []}, {"verdict": "maybe"}, {"verdict": {}},
    ],
)  # fmt: skip
def test_what_is_no_match_object_is_refused(change: dict[str, object]) -> None:
    told = Match(7, "a.jpg", made_proof(shift(100, 50), (200, 100), (640, 480))).to_dict()
    with pytest.raises(UsageError, match="not the JSON object of a match"):
        Matches.from_dict({"status": "ok", "damaged": False, "matches": [{**told, **change}]})
    with pytest.raises(UsageError, match="not the JSON object of an answer"):
        Matches.from_dict({"status": "ok"})
