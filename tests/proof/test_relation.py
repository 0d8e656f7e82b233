"""What was done to a picture, by the map that the test chose."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from featmatch.features.symmetry import Variant
from featmatch.geometry.maps import Matrix
from featmatch.geometry.regions import shared_region
from featmatch.proof.relation import relation_of
from tests.geometry.known_maps import mapped, shift
from tests.proof.proofs import about, area, made_proof, turn, zoom


def sampled_shares(matrix: Matrix, query_size: tuple[int, int], reference_size: tuple[int, int]) -> float:
    """Share of the query's area that lands inside the reference, by looking at very many points."""
    x, y = np.meshgrid(*(-0.5 + (np.arange(1500) + 0.5) * side / 1500 for side in query_size))
    mapped_x, mapped_y, depth = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    seen = depth > 0
    inside_x = (mapped_x >= -0.5 * depth) & (mapped_x <= (reference_size[0] - 0.5) * depth)
    inside_y = (mapped_y >= -0.5 * depth) & (mapped_y <= (reference_size[1] - 0.5) * depth)
    return float((seen & inside_x & inside_y).mean())


def test_the_same_picture_is_covered_wholly() -> None:
    region = shared_region(np.eye(3), (30, 20), (30, 20))
    assert area(region) == pytest.approx(600)
    assert region.min(axis=0) == pytest.approx([-0.5, -0.5])
    assert region.max(axis=0) == pytest.approx([29.5, 19.5])


def test_the_region_of_a_crop_is_the_whole_query_and_its_place_in_the_reference() -> None:
    match = made_proof(shift(100, 50), (200, 100), (640, 480))
    assert match.query_overlap == pytest.approx(1)
    assert match.reference_overlap == pytest.approx(200 * 100 / (640 * 480))
    assert match.reference_region.min(axis=0) == pytest.approx([99.5, 49.5])
    assert match.reference_region.max(axis=0) == pytest.approx([299.5, 149.5])


def test_the_region_of_a_container_is_the_whole_reference() -> None:
    match = made_proof(zoom(2) @ shift(-100, -50), (640, 480), (300, 200))
    assert match.reference_overlap == pytest.approx(1)
    assert match.query_overlap == pytest.approx(150 * 100 / (640 * 480))
    assert match.query_region.min(axis=0) == pytest.approx([99.5, 49.5])
    assert match.query_region.max(axis=0) == pytest.approx([249.5, 149.5])


def test_two_squares_turned_by_45_degrees_share_an_octagon() -> None:
    centre = (49.5, 49.5)
    match = made_proof(about(centre, turn(45), centre), (100, 100), (100, 100))
    octagon = 2 * (np.sqrt(2) - 1)
    assert len(match.query_region) == 8
    assert match.query_overlap == pytest.approx(octagon)
    assert match.reference_overlap == pytest.approx(octagon)


def test_what_is_outside_the_reference_is_cut_off() -> None:
    match = made_proof(shift(50, 25), (100, 100), (100, 100))
    assert match.query_overlap == pytest.approx(0.5 * 0.75)
    assert match.reference_overlap == pytest.approx(0.5 * 0.75)
    assert match.query_region.max(axis=0) == pytest.approx([49.5, 74.5])


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[1.0, 0, 0], [0, 1, 0], [1e-2, 0, 1]]),
        np.array([[1.0, 0, 0], [0, 1, 0], [-1e-2, 0, 1]]),  # the query's right half is past the horizon
        np.array([[0.7, 0.2, 10], [-0.3, 0.9, 40], [-6e-3, -6e-3, 1]]),  # one corner is
        np.array([[0.5, -0.4, 90], [0.4, 0.5, -20], [-0.02, 0.01, 1]]),
    ],
)
def test_strong_perspective_is_cut_right_even_past_the_horizon(matrix: Matrix) -> None:
    region = shared_region(matrix, (200, 150), (180, 220))
    assert area(region) / (200 * 150) == pytest.approx(sampled_shares(matrix, (200, 150), (180, 220)), abs=0.003)
    inside = mapped(matrix, region)
    assert (inside >= -0.5 - 1e-6).all()
    assert (inside <= np.array([179.5, 219.5]) + 1e-6).all()


@pytest.mark.parametrize("matrix", [shift(1000, 0), shift(0, -500), np.diag([1.0, 1, -1])])
def test_pictures_that_share_nothing_have_no_region(matrix: Matrix) -> None:
    region = shared_region(matrix, (100, 100), (100, 100))
    assert region.shape == (0, 2)
    assert sampled_shares(matrix, (100, 100), (100, 100)) == 0


def test_a_match_without_a_shared_region_overlaps_nothing() -> None:
    match = made_proof(shift(1000, 0), (100, 100), (100, 100))
    assert (match.query_overlap, match.reference_overlap) == (0, 0)
    assert match.reference_region.shape == (0, 2)
    json.dumps(match.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("matrix", "query_size", "kind"),
    [
        (np.eye(3), (400, 300), "copy"),
        (zoom(2), (200, 150), "copy"),
        (shift(100, 100), (150, 100), "crop"),
        (shift(-200, -100), (900, 600), "contains"),
        (shift(150, 100), (400, 300), "overlap"),
    ],
)
def test_the_kind_says_which_covers_which(matrix: Matrix, query_size: tuple[int, int], kind: str) -> None:
    assert made_proof(matrix, query_size, (400, 300)).relation.kind == kind


@pytest.mark.parametrize("degrees", [0, 17, 90, 135, -45, -90, -179])
def test_the_rotation_is_that_of_pil(degrees: float) -> None:
    # A white spot right of the centre shows where the turn takes it.
    picture = np.zeros((101, 101), np.uint8)
    picture[48:53, 83:88] = 255
    turned = np.asarray(Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC))
    rows, columns = np.nonzero(turned > 128)
    spot = complex(columns.mean() - 50, rows.mean() - 50)
    reference_from_query = about((50, 50), turn(np.degrees(np.angle(35 / spot))), (50, 50))
    found = mapped(reference_from_query, np.array([[columns.mean(), rows.mean()]]))
    np.testing.assert_allclose(found, [[85, 50]], atol=1)
    relation = made_proof(reference_from_query, (101, 101), (101, 101)).relation
    assert relation.rotation_deg == pytest.approx(degrees, abs=1.5)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_half_a_turn_is_plus_180_degrees(zero: float) -> None:
    upside_down = np.array([[-1, zero, 99], [zero, -1, 99], [0, 0, 1]])
    assert made_proof(upside_down, (100, 100), (100, 100)).relation.rotation_deg == 180
    mixed = np.array([[-1, -zero, 99], [zero, -1, 99], [0, 0, 1]])
    assert made_proof(mixed, (100, 100), (100, 100)).relation.rotation_deg == 180


@pytest.mark.parametrize("factor", [0.25, 0.5, 1, 3])
def test_the_scale_is_query_pixels_for_each_reference_pixel(factor: float) -> None:
    size = (round(400 * factor), round(300 * factor))
    relation = made_proof(zoom(1 / factor), size, (400, 300)).relation
    assert relation.scale == pytest.approx(factor)
    assert relation.kind == "copy"


def test_a_mirrored_query_is_mapped_from_its_pixels_as_they_are() -> None:
    match = made_proof(shift(100, 50), (200, 100), (640, 480), Variant.MIRRORED)
    corners = np.array([[0.0, 0], [199, 0], [199, 99], [0, 99]])
    expected = [[299, 50], [100, 50], [100, 149], [299, 149]]
    np.testing.assert_allclose(mapped(match.homography, corners), expected)
    np.testing.assert_allclose(mapped(match.homography, match.query_points), match.reference_points)
    assert match.relation.mirrored
    assert not match.relation.negative
    assert match.relation.rotation_deg == pytest.approx(0)
    assert match.relation.scale == pytest.approx(1)
    assert match.query_overlap == pytest.approx(1)
    assert match.reference_overlap == pytest.approx(200 * 100 / (640 * 480))


def test_a_mirrored_and_turned_query_tells_the_turn_before_the_mirroring() -> None:
    centre = (49.5, 49.5)
    match = made_proof(about(centre, turn(30), centre), (100, 100), (100, 100), Variant.MIRRORED_NEGATIVE)
    assert match.relation.rotation_deg == pytest.approx(30)
    assert match.relation.mirrored
    assert match.relation.negative


def test_a_relation_reads_as_a_sentence() -> None:
    centre = (49.5, 49.5)
    match = made_proof(about(centre, turn(30) @ np.diag([2.0, 2, 1]), centre), (100, 100), (200, 200), Variant(3))
    said = str(match.relation)
    assert all(word in said for word in ("rotated 30°", "mirrored", "negative", "scaled 0.5"))
    assert str(made_proof(np.eye(3), (100, 100), (100, 100)).relation) == "copy"


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("degrees", [0, 30, -100])
def test_a_homography_alone_says_the_same_as_with_its_inliers(variant: Variant, degrees: float) -> None:
    turned = about((300, 240), turn(degrees) @ np.diag([1.5, 1.5, 1]), (99.5, 49.5))
    proof = made_proof(turned, (200, 100), (640, 480), variant)
    relation = relation_of(
        proof.homography, (200, 100), (640, 480), mirrored=variant.mirrored, negative=variant.negative
    )
    assert relation.kind == proof.relation.kind == "crop"
    assert relation.rotation_deg == pytest.approx(proof.relation.rotation_deg)
    assert relation.scale == pytest.approx(proof.relation.scale)
    assert (relation.mirrored, relation.negative, relation.variant) == (variant.mirrored, variant.negative, variant)


def test_a_homography_without_a_shared_region_has_a_relation_too() -> None:
    relation = relation_of(shift(5000, 0) @ turn(30), (200, 100), (640, 480), mirrored=False, negative=False)
    assert (relation.kind, round(relation.rotation_deg)) == ("overlap", 30)
