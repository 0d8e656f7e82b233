"""Two pictures that look the same as a whole."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from featmatch.features.looks import FORMS, colour_likeness, likeness, whole_picture
from featmatch.features.sheets import Sheet
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.proof.whole import evidence_of_looks, on_picture, proof_of_look, whole_proof
from featmatch.proof.whole_evidence import Likeness, WholeEvidence
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


@pytest.mark.parametrize("form", [0, 1, 5])
def test_a_proof_of_a_sheet_becomes_one_of_the_picture_that_it_lies_in(form: int) -> None:
    reference = load_grey(blobs(1), longest_px=2000, colours=True)
    flat = load_grey(in_form(blobs(1), form), longest_px=2000, colours=True)
    lies = np.array([[0.5, 0.05, 40], [-0.04, 0.6, 50], [0.0002, 0.0001, 1]])
    proof = whole_proof(whole_picture(flat), flat, whole_picture(reference), reference)
    laid = on_picture(proof, Sheet(flat, lies), (640, 480))
    points = np.array([[3.0, 5], [100, 20], [60, 150]])
    np.testing.assert_allclose(project(laid.homography, project(lies, points)), project(proof.homography, points))
    assert laid.homography[2, 2] == 1
    assert (laid.relation.kind, laid.relation.mirrored) == ("contains", form >= 4)
    assert abs(laid.relation.rotation_deg - (3.0 if form == 0 else 90.0)) < 12
    assert laid.reference_overlap == pytest.approx(1.0)
    assert 0.02 < laid.query_overlap < 0.2
    assert laid.evidence == proof.evidence
    frame = np.array([[-0.5, -0.5], [flat.width - 0.5, flat.height - 0.5]])
    corners = project(lies, frame)
    for corner in corners:
        assert np.abs(laid.query_region - corner).sum(axis=1).min() < 1e-6


def test_cells_speak_for_a_flat_drawing_and_against_another() -> None:
    def face(mouth: int) -> GreyImage:
        picture = np.full((400, 400, 3), 255, np.uint8)
        cv2.circle(picture, (200, 200), 170, (230, 200, 60), -1)
        for x in (140, 260):
            cv2.circle(picture, (x, 150), 26, (40, 40, 90), -1)
        cv2.ellipse(picture, (200, 270), (80, mouth), 0, 0, 180, (40, 40, 90), 12)
        return load_grey(picture, longest_px=2000, colours=True)

    def compared(query: GreyImage, reference: GreyImage) -> WholeEvidence:
        proof = whole_proof(whole_picture(query), query, whole_picture(reference), reference)
        evidence = proof.with_pixels(query, reference).evidence
        assert isinstance(evidence, WholeEvidence)
        return evidence

    smile, shut = face(60), face(5)
    same, other = compared(smile, smile), compared(smile, shut)
    assert same.agreeing > 40
    assert same.contradiction == 0
    assert other.contradiction is not None
    assert other.contradiction > 0.1
    stored = dataclasses.replace(smile, is_stored=True)
    assert compared(smile, stored).agreeing == 0  # seen coarsely, it speaks for nothing
    assert compared(smile, dataclasses.replace(shut, is_stored=True)).contradiction == other.contradiction


def test_cells_along_one_outline_count_where_the_two_are_laid_out_alike() -> None:
    rows, columns = np.indices((480, 640))
    inside = ((rows - 240) / 170) ** 2 + ((columns - 320) / 230) ** 2 < 1
    smooth = cv2.GaussianBlur(np.where(inside, 110, 250).astype(np.uint8), (0, 0), 2)
    query = load_grey(np.repeat(smooth[..., None], 3, axis=2), longest_px=2000, colours=True)
    proof = whole_proof(whole_picture(query), query, whole_picture(query), query)
    agreeing = []
    for share in (0.9, 0.4):
        of_share = dataclasses.replace(proof, evidence=WholeEvidence(Likeness(10.0, share, 0.9)))
        agreeing.append(of_share.with_pixels(query, query).evidence.agreeing)
    assert agreeing[0] > 60
    assert 0 < agreeing[1] < agreeing[0] / 2
