"""Verifications."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from featmatch.proof.pair import Verification
from tests.proof.proofs import made_proof

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "verdict", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "damaged",
}  # fmt: skip


@pytest.mark.parametrize("verified", [True, False])
def test_a_verification_is_true_or_false_and_becomes_json(verified: bool) -> None:
    match = made_proof(np.eye(3), (100, 100), (100, 100))
    blank = np.zeros((100, 100), np.uint8)
    proof = Verification(verified, "some reason", match, (blank, blank))
    assert bool(proof) is verified
    assert (proof.homography is not None) is verified
    assert (proof.inliers, proof.probability) == (20, match.probability)
    found = json.loads(json.dumps(proof.to_dict(), allow_nan=False))
    assert set(found) == MATCH_KEYS | {"verified", "reason", "query_damaged"}
    assert (found["verified"], found["reason"]) == (verified, "some reason")


def test_a_verification_without_evidence_has_the_same_keys() -> None:
    blank = np.zeros((100, 100), np.uint8)
    proof = Verification(False, "no geometry agrees", None, (blank, blank))
    found: dict[str, Any] = json.loads(json.dumps(proof.to_dict()))
    assert set(found) == MATCH_KEYS | {"verified", "reason", "query_damaged"}
    assert not proof
    assert (proof.homography, proof.inliers, proof.probability) == (None, 0, 0.0)
