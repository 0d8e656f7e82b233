"""Two pictures that look the same as a whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from featmatch.features.looks import FORMS, colour_likeness, likeness, whole_picture
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from featmatch.proof.probability import Likeness, WholeEvidence
from featmatch.proof.whole import evidence_of_looks, proof_of_look, whole_proof
from tests.plain_pictures import blobs, described, in_form


def test_evidence_is_how_alike_looks_are_and_could_be() -> None:
    mixed = np.asarray(cv2.addWeighted(blobs(1), 0.6, blobs(2), 0.4, 0), np.uint8)
    looks = np.concatenate([described(picture).looks[:1] for picture in (blobs(1), blobs(1), mixed)])
    others = np.concatenate([described(picture).looks[:1] for picture in (blobs(1), blobs(2), blobs(1))])
    same, unlike, mixed_in = evidence_of_looks(looks, others)
    assert same.likeness.layout == pytest.approx(likeness(looks[:1], looks[:1])[0])
    assert same.likeness.share == 1.0
    assert same.likeness.colours == pytest.approx(colour_likeness(looks[:1], looks[:1])[0])
    assert unlike.likeness.share < 0.5
    least = min(likeness(looks[2:], looks[2:])[0], likeness(others[2:], others[2:])[0])
    assert mixed_in.likeness.share == pytest.approx(mixed_in.likeness.layout / least)
    assert 0.2 < mixed_in.likeness.share < 1


@pytest.mark.parametrize("form", range(FORMS))
def test_the_form_of_a_query_is_told(form: int) -> None:
    query, reference = (load_grey(one, longest_px=2000, colours=True) for one in (in_form(blobs(1), form), blobs(1)))
    proof = whole_proof(whole_picture(query), query, whole_picture(reference), reference)
    relation = proof.relation
    assert (relation.kind, relation.mirrored, relation.negative) == ("whole picture", form >= 4, False)
    assert relation.rotation_deg == (0, 90, 180, -90)[form % 4]
    assert relation.scale == 1.0
    assert proof.proven


@pytest.mark.parametrize("form", range(FORMS))
def test_the_frames_lie_on_one_another(form: int) -> None:
    evidence = WholeEvidence(Likeness(100.0, 0.9, 0.9))
    query_size = (60, 40) if form % 2 else (40, 60)
    proof = proof_of_look(evidence, form, query_size, (80, 240))
    corners = project(proof.homography, np.array([[-0.5, -0.5], [query_size[0] - 0.5, query_size[1] - 0.5]]))
    np.testing.assert_allclose(np.sort(corners, axis=0), [[-0.5, -0.5], [79.5, 239.5]], atol=1e-9)
    np.testing.assert_allclose(proof.query_region.max(axis=0), np.array(query_size) - 0.5, atol=1e-9)
    np.testing.assert_allclose(proof.reference_region.max(axis=0), [79.5, 239.5], atol=1e-9)
    assert proof.relation.scale == pytest.approx((2 * 4) ** -0.5)
    assert (proof.query_overlap, proof.reference_overlap, proof.reference_size) == (1.0, 1.0, (80, 240))
    assert (proof.inliers, len(proof.query_points), len(proof.reference_points)) == (0, 0, 0)
    assert proof.evidence == evidence
