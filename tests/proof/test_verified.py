"""What is said of two pictures, in Python, as JSON, and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.proof.drawing import draw_proof
from featmatch.proof.verified import Verification
from tests.proof.proofs import made_proof

Picture = NDArray[np.uint8]

MATCH_KEYS = [
    "id", "name", "probability", "score", "inliers", "agreement", "relation", "homography", "query_region",
    "reference_region", "query_overlap", "reference_overlap", "differences", "differing_share", "verdict",
    "damaged", "width", "height",
]  # fmt: skip
BLANK = np.zeros((100, 100), np.uint8)


@pytest.mark.parametrize("verified", [True, False])
def test_a_verification_is_true_or_false_and_becomes_json(verified: bool) -> None:
    proof = made_proof(np.eye(3), (100, 100), (100, 100))
    found = Verification(verified, "some reason", proof, (BLANK, "b.jpg"), (True, False))
    assert bool(found) is verified
    assert (found.homography is not None) is verified
    assert (found.inliers, found.probability) == (20, proof.probability)
    printed = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(printed) == ["verified", "reason", "query_damaged", *MATCH_KEYS]
    assert (printed["verified"], printed["reason"]) == (verified, "some reason")
    assert (printed["id"], printed["name"], printed["verdict"], printed["inliers"]) == (None, "b.jpg", None, 20)
    assert (printed["query_damaged"], printed["damaged"]) == (True, False)


def test_a_verification_without_evidence_has_the_same_keys() -> None:
    found = Verification(False, "no geometry agrees", None, (BLANK, "b.jpg"), (False, True))
    printed: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    assert not found
    assert (found.homography, found.inliers, found.probability) == (None, 0, 0.0)
    assert list(printed) == ["verified", "reason", "query_damaged", *MATCH_KEYS]
    assert [printed.pop(key) for key in ("verified", "reason", "query_damaged", "damaged")] == [
        False, "no geometry agrees", False, True,
    ]  # fmt: skip
    assert set(printed.values()) == {None}


def test_images_in_memory_have_a_name_that_says_what_they_are() -> None:
    proof = made_proof(np.eye(3), (100, 100), (100, 100))
    names = [Verification(True, "", proof, (BLANK, one)).to_dict()["name"] for one in (BLANK, b"", Path("a/b.jpg"))]
    assert names == ["<ndarray>", "<bytes>", str(Path("a/b.jpg"))]


def test_it_is_drawn_with_what_was_proven_only(photos: dict[str, Picture]) -> None:
    proof = made_proof(np.eye(3), (100, 80), (100, 80))
    images = photos["chelsea"][:80, :100], photos["chelsea"][:80, :100]
    assert (Verification(True, "", proof, images).draw() == draw_proof(*images, proof)).all()
    assert (Verification(False, "", proof, images).draw() == draw_proof(*images, None)).all()
    assert (draw_proof(*images, proof) != draw_proof(*images, None)).any()
