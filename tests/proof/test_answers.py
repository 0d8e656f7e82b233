from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import Fit
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import TentativeMatches
from featmatch.geometry.regions import shared_region
from featmatch.proof.answers import PROVEN, Match, Matches, Verification, match_from
from featmatch.proof.probability import probability_of

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "verdict", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "damaged",
}  # fmt: skip
RELATION_KEYS = {"kind", "rotation_deg", "scale", "mirrored", "negative"}


def mapped(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def area(polygon: NDArray[np.float64]) -> float:
    x, y = polygon.T
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def shift(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def turn(degrees: float) -> Matrix:
    """By which angles grow, from +x towards +y."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def zoom(factor: float) -> Matrix:
    """Resizing: pixel edges stay edges, so there is a half-pixel shift."""
    return np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5], [0, 0, 1]])


def about(centre_to: tuple[float, float], matrix: Matrix, centre_from: tuple[float, float]) -> Matrix:
    return shift(*centre_to) @ matrix @ shift(-centre_from[0], -centre_from[1])


def made_match(
    reference_from_seen: Matrix,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    variant: Variant = Variant.PLAIN,
    score: float = 50.0,
) -> Match:
    """The match of a query that was looked at in a variant, with inliers all over it."""
    random = np.random.default_rng(0)
    query = random.uniform(0, [query_size[0] - 1, query_size[1] - 1], (20, 2))
    nothing = np.zeros(20)
    rows = np.arange(20)
    matches = TentativeMatches(query, mapped(reference_from_seen, query), nothing, nothing, nothing, rows, rows)
    fit = Fit(reference_from_seen, rows, 20, 1.0, score)
    plain = query.copy()
    if variant.mirrored:
        plain[:, 0] = query_size[0] - 1 - plain[:, 0]
    none, descriptors = np.zeros(20, np.float32), np.zeros((20, 128), np.uint8)
    features = Features("sift", *query_size, plain.astype(np.float32), none, none, descriptors)
    return match_from(fit, matches, variant, features, reference_size, image_id=7, name="a.jpg")


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
    match = made_match(shift(100, 50), (200, 100), (640, 480))
    assert match.query_overlap == pytest.approx(1)
    assert match.reference_overlap == pytest.approx(200 * 100 / (640 * 480))
    assert match.reference_region.min(axis=0) == pytest.approx([99.5, 49.5])
    assert match.reference_region.max(axis=0) == pytest.approx([299.5, 149.5])


def test_the_region_of_a_container_is_the_whole_reference() -> None:
    match = made_match(zoom(2) @ shift(-100, -50), (640, 480), (300, 200))
    assert match.reference_overlap == pytest.approx(1)
    assert match.query_overlap == pytest.approx(150 * 100 / (640 * 480))
    assert match.query_region.min(axis=0) == pytest.approx([99.5, 49.5])
    assert match.query_region.max(axis=0) == pytest.approx([249.5, 149.5])


def test_two_squares_turned_by_45_degrees_share_an_octagon() -> None:
    centre = (49.5, 49.5)
    match = made_match(about(centre, turn(45), centre), (100, 100), (100, 100))
    octagon = 2 * (np.sqrt(2) - 1)
    assert len(match.query_region) == 8
    assert match.query_overlap == pytest.approx(octagon)
    assert match.reference_overlap == pytest.approx(octagon)


def test_what_is_outside_the_reference_is_cut_off() -> None:
    match = made_match(shift(50, 25), (100, 100), (100, 100))
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
    match = made_match(shift(1000, 0), (100, 100), (100, 100))
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
    assert made_match(matrix, query_size, (400, 300)).relation.kind == kind


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
    relation = made_match(reference_from_query, (101, 101), (101, 101)).relation
    assert relation.rotation_deg == pytest.approx(degrees, abs=1.5)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_half_a_turn_is_plus_180_degrees(zero: float) -> None:
    upside_down = np.array([[-1, zero, 99], [zero, -1, 99], [0, 0, 1]])
    assert made_match(upside_down, (100, 100), (100, 100)).relation.rotation_deg == 180
    mixed = np.array([[-1, -zero, 99], [zero, -1, 99], [0, 0, 1]])
    assert made_match(mixed, (100, 100), (100, 100)).relation.rotation_deg == 180


@pytest.mark.parametrize("factor", [0.25, 0.5, 1, 3])
def test_the_scale_is_query_pixels_for_each_reference_pixel(factor: float) -> None:
    size = (round(400 * factor), round(300 * factor))
    relation = made_match(zoom(1 / factor), size, (400, 300)).relation
    assert relation.scale == pytest.approx(factor)
    assert relation.kind == "copy"


def test_a_mirrored_query_is_mapped_from_its_pixels_as_they_are() -> None:
    match = made_match(shift(100, 50), (200, 100), (640, 480), Variant.MIRRORED)
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
    match = made_match(about(centre, turn(30), centre), (100, 100), (100, 100), Variant.MIRRORED_NEGATIVE)
    assert match.relation.rotation_deg == pytest.approx(30)
    assert match.relation.mirrored
    assert match.relation.negative


@pytest.mark.parametrize("variant", list(Variant))
def test_the_homography_agrees_with_the_inliers(variant: Variant) -> None:
    matrix = np.array([[0.8, 0.05, 60], [0.03, 0.85, 40], [2.5e-4, 1e-4, 1]]) * 3
    match = made_match(matrix, (300, 200), (640, 480), variant)
    assert match.homography[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(mapped(match.homography, match.query_points), match.reference_points)
    np.testing.assert_allclose(mapped(match.homography, match.query_region), match.reference_region)


def test_a_match_becomes_json_with_the_keys_that_were_promised() -> None:
    match = made_match(shift(100, 50), (200, 100), (640, 480))
    found = json.loads(json.dumps(match.to_dict(), allow_nan=False))
    assert set(found) == MATCH_KEYS
    assert set(found["relation"]) == RELATION_KEYS
    assert (found["id"], found["name"], found["inliers"]) == (7, "a.jpg", 20)
    np.testing.assert_allclose(found["homography"], match.homography)
    np.testing.assert_allclose(found["query_region"], match.query_region, atol=0.01)
    np.testing.assert_allclose(found["reference_region"], match.reference_region, atol=0.01)
    assert isinstance(found["relation"]["mirrored"], bool)


@pytest.mark.parametrize("verified", [True, False])
def test_a_verification_is_true_or_false_and_becomes_json(verified: bool) -> None:
    match = made_match(np.eye(3), (100, 100), (100, 100))
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


def test_matches_are_a_list_with_a_status() -> None:
    match = made_match(np.eye(3), (100, 100), (100, 100))
    assert Matches([match]) == [match]
    assert Matches().status == "ok"
    assert Matches(status="too_little_detail").status == "too_little_detail"


@pytest.mark.parametrize(("score", "proven"), [(0.0, False), (500.0, True)])
def test_a_claim_is_made_from_evidence_only(score: float, proven: bool) -> None:
    match = made_match(np.eye(3), (100, 100), (100, 100), score=score)
    assert match.proven is proven
    assert match.proven is (match.probability >= PROVEN)


def test_probabilities_grow_with_the_score_and_stay_within_bounds() -> None:
    found = [probability_of(score) for score in (-1e6, -5, 0, 3, 6, 9, 20, 1e6)]
    assert found == sorted(found)
    assert 0 <= found[0] < found[-1] <= 1


def test_a_relation_reads_as_a_sentence() -> None:
    centre = (49.5, 49.5)
    match = made_match(about(centre, turn(30) @ np.diag([2.0, 2, 1]), centre), (100, 100), (200, 200), Variant(3))
    said = str(match.relation)
    assert all(word in said for word in ("rotated 30°", "mirrored", "negative", "scaled 0.5"))
    assert str(made_match(np.eye(3), (100, 100), (100, 100)).relation) == "copy"


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
