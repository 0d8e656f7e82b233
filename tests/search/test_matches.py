"""Matches and their JSON."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from featmatch.search.matches import Match, Matches
from tests.proof.proofs import made_proof, shift

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "verdict", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "damaged",
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
    np.testing.assert_allclose(found["homography"], match.homography)
    np.testing.assert_allclose(found["query_region"], match.query_region, atol=0.01)
    np.testing.assert_allclose(found["reference_region"], match.reference_region, atol=0.01)
    assert isinstance(found["relation"]["mirrored"], bool)
