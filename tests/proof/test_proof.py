"""A fit becomes a proof."""

from __future__ import annotations

import numpy as np
import pytest

from featmatch.features.symmetry import Variant
from featmatch.proof.proof import PROVEN
from tests.proof.proofs import made_proof, mapped


@pytest.mark.parametrize("variant", list(Variant))
def test_the_homography_agrees_with_the_inliers(variant: Variant) -> None:
    matrix = np.array([[0.8, 0.05, 60], [0.03, 0.85, 40], [2.5e-4, 1e-4, 1]]) * 3
    match = made_proof(matrix, (300, 200), (640, 480), variant)
    assert match.homography[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(mapped(match.homography, match.query_points), match.reference_points)
    np.testing.assert_allclose(mapped(match.homography, match.query_region), match.reference_region)


@pytest.mark.parametrize(("score", "proven"), [(0.0, False), (500.0, True)])
def test_a_claim_is_made_from_evidence_only(score: float, proven: bool) -> None:
    match = made_proof(np.eye(3), (100, 100), (100, 100), score=score)
    assert match.proven is proven
    assert match.proven is (match.probability >= PROVEN)
