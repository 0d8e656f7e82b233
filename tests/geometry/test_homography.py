from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry import homography
from featmatch.geometry.homography import Fit, fit_homography, may_fit
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.significance import fewest_inliers, weigh
from tests.geometry.known_maps import CORNERS, SIZE, TRUTHS, made_matches, mapped, similarity

OPTIONS = GeometryOptions()


def joined(one: TentativeMatches, other: TentativeMatches) -> TentativeMatches:
    return TentativeMatches.joined([one, other])[0]


def fitted(matches: TentativeMatches, **options: float) -> Fit | None:
    return fit_homography(matches, SIZE, SIZE, dataclasses.replace(OPTIONS, **options))  # type: ignore[arg-type]


def sure(fit: Fit | None) -> Fit:
    assert fit is not None
    return fit


def is_proven(fit: Fit | None) -> bool:
    """Whether chance would make such a fit in less than one of ten thousand million tries."""
    return fit is not None and fit.score >= 10


def corner_error(fit: Fit, truth: Matrix) -> float:
    return float(np.abs(mapped(fit.reference_from_query, CORNERS) - mapped(truth, CORNERS)).max())


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize(("inliers", "outliers"), [(60, 0), (60, 60), (60, 240)])
def test_a_known_map_is_recovered_among_outliers(truth: Matrix, inliers: int, outliers: int) -> None:
    matches = made_matches(1, truth, inliers, outliers)
    fit = sure(fitted(matches))
    assert corner_error(fit, truth) < 6
    found = set(matches.query_rows[fit.inliers].tolist())
    assert len(found & set(range(inliers))) >= 0.85 * inliers
    assert len(found - set(range(inliers))) <= 0.03 * outliers
    assert is_proven(fit)


@pytest.mark.parametrize("truth", [TRUTHS["identity"], TRUTHS["turned and smaller"]], ids=["identity", "turned"])
def test_few_inliers_are_enough_where_there_is_little_else(truth: Matrix) -> None:
    for seed in range(5):
        fit = sure(fitted(made_matches(seed, truth, 12, 12)))
        assert corner_error(fit, truth) < 20
        assert is_proven(fit)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_many_inliers_give_a_precise_map_though_some_are_rough(truth: Matrix) -> None:
    fine, rough = made_matches(2, truth, 200, 0, noise_px=0.3), made_matches(3, truth, 60, 0, noise_px=2.5)
    both = dataclasses.replace(joined(fine, rough), query_rows=np.arange(260), reference_rows=np.arange(260))
    assert corner_error(sure(fitted(both)), truth) < 0.25


def test_without_noise_the_map_is_exact() -> None:
    truth = TRUTHS["perspective"]
    fit = sure(fitted(made_matches(3, truth, 80, 0, noise_px=0)))
    assert corner_error(fit, truth) < 0.1
    assert len(fit.inliers) >= 75


def test_the_same_matches_give_the_same_fit() -> None:
    one, other = (sure(fitted(made_matches(4, TRUTHS["perspective"], 60, 100))) for _ in range(2))
    assert np.array_equal(one.reference_from_query, other.reference_from_query)
    assert np.array_equal(one.inliers, other.inliers)
    assert one.score == other.score


def test_three_matches_that_agree_are_enough_for_a_map() -> None:
    query = np.array([[100.0, 100], [900, 200], [400, 700]])
    fit = sure(fitted(made_matches(5, np.eye(3), 3, 0, noise_px=0, query=query)))
    assert fit.inliers.tolist() == [0, 1, 2]
    assert not is_proven(fit)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_matches_give_nothing(count: int) -> None:
    assert fitted(made_matches(5, np.eye(3), count, 0)) is None


def test_matches_in_one_and_the_same_place_prove_nothing() -> None:
    query = np.tile([[400.0, 300.0]], (40, 1))
    assert not is_proven(fitted(made_matches(6, np.eye(3), 40, 0, noise_px=0, query=query)))


def test_many_places_that_match_one_place_prove_nothing() -> None:
    matches = made_matches(7, np.eye(3), 40, 0)
    assert not is_proven(fitted(dataclasses.replace(matches, reference=np.full((40, 2), 123.0))))
    assert not is_proven(fitted(dataclasses.replace(matches, query=np.full((40, 2), 123.0))))


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (0.6, 0.5)])
def test_collinear_matches_give_a_finite_map_or_nothing(direction: tuple[float, float]) -> None:
    query = np.linspace(0, 700, 40)[:, None] * np.array([direction])
    fit = fitted(made_matches(8, similarity(20, 0.8, 100, 50), 40, 0, noise_px=0, query=query))
    assert fit is None or (np.isfinite(fit.reference_from_query).all() and np.isfinite(fit.score))


@pytest.mark.parametrize("count", [20, 100, 400])
def test_chance_alone_is_no_proof(count: int) -> None:
    fits = [fitted(made_matches(seed, np.eye(3), 0, count)) for seed in range(60)]
    assert not any(is_proven(fit) for fit in fits)
    assert np.median([0.0 if fit is None else fit.score for fit in fits]) < 3


def test_a_feature_with_several_matches_counts_once() -> None:
    matches = made_matches(9, np.eye(3), 30, 0, noise_px=0.2)
    several = matches[np.repeat(np.arange(30), 5)]
    once, again = sure(fitted(matches)), sure(fitted(several))
    assert len(again.inliers) == len(once.inliers)
    assert again.effective == once.effective
    assert abs(again.score - once.score) < 1
    assert len(np.unique(several.query_rows[again.inliers])) == len(again.inliers)
    assert len(np.unique(several.reference_rows[again.inliers])) == len(again.inliers)


def test_a_feature_matched_right_and_wrong_keeps_the_right_match() -> None:
    right, wrong = made_matches(10, np.eye(3), 40, 0), made_matches(11, np.eye(3), 0, 40)
    both = joined(right, wrong)
    fit = sure(fitted(both))
    assert corner_error(fit, np.eye(3)) < 6
    assert (fit.inliers < 40).mean() > 0.9
    assert len(np.unique(both.query_rows[fit.inliers])) == len(fit.inliers)


def test_a_mirrored_map_is_refused() -> None:
    matches = made_matches(12, np.eye(3), 80, 0)
    mirrored = dataclasses.replace(matches, reference=matches.reference * [-1, 1] + [999, 0])
    fit = fitted(mirrored)
    assert not is_proven(fit)
    assert fit is None or np.linalg.det(fit.reference_from_query[:2, :2]) > 0


def test_a_folded_map_is_refused() -> None:
    folding = np.array([[1.0, 0, 0], [0, 1, 0], [-2 / 1000, 0, 1]])  # its horizon is at x = 500
    random = np.random.default_rng(13)
    left = random.uniform((0, 0), (250, 800), (40, 2))
    right = random.uniform((750, 0), (1000, 800), (40, 2))
    matches = made_matches(13, folding, 80, 0, query=np.vstack([left, right]))
    fit = fitted(matches)
    if fit is not None:
        support = matches.query[fit.inliers]
        assert (support @ fit.reference_from_query[2, :2] + fit.reference_from_query[2, 2]).min() > 0
        assert len(support) <= 42


@pytest.mark.parametrize("scale", [1 / 200, 200])
def test_absurd_scales_are_refused(scale: float) -> None:
    query = np.random.default_rng(14).uniform(0, min(5, 1000 / scale) if scale > 1 else 800, (60, 2))
    assert fitted(made_matches(14, similarity(0, scale, 0, 0), 60, 0, noise_px=0, query=query)) is None


def test_inliers_in_one_tiny_spot_count_as_few() -> None:
    random = np.random.default_rng(15)
    spot = sure(fitted(made_matches(15, np.eye(3), 50, 0, noise_px=0.2, query=random.uniform(500, 515, (50, 2)))))
    spread = sure(fitted(made_matches(15, np.eye(3), 50, 0, noise_px=0.2)))
    assert len(spot.inliers) >= 40
    assert spot.effective <= 4
    assert spread.effective >= 35
    assert spread.score > spot.score + 20
    assert not is_proven(spot)


def test_inliers_spread_in_one_picture_only_count_as_few() -> None:
    fit = fitted(made_matches(16, similarity(0, 0.05, 400, 400), 50, 0, noise_px=0.1), grid=5)
    assert sure(fit).effective <= 4


def test_more_inliers_score_higher() -> None:
    scores = [sure(fitted(made_matches(17, np.eye(3), inliers, 50))).score for inliers in (10, 20, 40, 80)]
    assert scores == sorted(scores)


def test_tolerance_decides_how_near_an_inlier_lies() -> None:
    matches = made_matches(18, np.eye(3), 100, 0, noise_px=3)
    counts = [len(sure(fitted(matches, tolerance=tolerance)).inliers) for tolerance in (0.002, 0.006, 0.02)]
    assert counts[0] < 40 < counts[1] <= counts[2]
    assert counts[2] >= 90


def test_tolerance_is_a_part_of_the_longer_side_of_the_reference() -> None:
    matches = made_matches(19, np.eye(3), 100, 0, noise_px=3)
    small = sure(fit_homography(matches, SIZE, (1000, 800), OPTIONS))
    large = sure(fit_homography(matches, SIZE, (800, 5000), OPTIONS))
    assert len(large.inliers) > len(small.inliers)


def test_angle_deg_decides_how_alike_inliers_are_turned() -> None:
    matches = made_matches(20, np.eye(3), 100, 0)
    turned = dataclasses.replace(matches, rotation=matches.rotation + np.radians(60) * (matches.query_rows % 2))
    assert len(sure(fitted(turned, angle_deg=30)).inliers) <= 55
    assert len(sure(fitted(turned, angle_deg=180)).inliers) >= 95


def test_octaves_decides_how_alike_inliers_are_scaled() -> None:
    matches = made_matches(21, np.eye(3), 100, 0)
    scaled = dataclasses.replace(matches, octaves=matches.octaves + 2.0 * (matches.query_rows % 2))
    assert len(sure(fitted(scaled, octaves=1)).inliers) <= 55
    assert len(sure(fitted(scaled, octaves=4)).inliers) >= 95


def test_hypotheses_decides_how_many_of_the_surest_matches_are_tried() -> None:
    matches = made_matches(22, np.eye(3), 60, 40)
    outliers_first = matches[np.argsort(matches.query_rows < 60, kind="stable")]
    assert not is_proven(fitted(outliers_first, hypotheses=1))
    assert is_proven(fitted(outliers_first, hypotheses=100))


def test_grid_decides_which_inliers_count_as_one() -> None:
    matches = made_matches(23, np.eye(3), 200, 0)
    coarse, fine = sure(fitted(matches, grid=3)), sure(fitted(matches, grid=100))
    assert coarse.effective <= 9
    assert fine.effective > 150


def test_a_hundred_hypotheses_are_tried() -> None:
    matches = made_matches(22, np.eye(3), 60, 120)
    upside_down = np.where(matches.query_rows < 60, matches.rotation, np.pi)
    matches = dataclasses.replace(matches, rotation=upside_down)  # so that no outlier can lead to the inliers
    for outliers_before, proven in ((80, True), (120, False)):
        order = np.concatenate([np.arange(60, 60 + outliers_before), np.arange(60)])
        assert is_proven(fitted(matches[order])) == proven


# Which maps could be one picture in another

SUPPORT = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


@pytest.mark.parametrize("turn_deg", [0, 30, 90, 200])
@pytest.mark.parametrize(
    ("stretch", "is_sane"),
    [
        ((3.9, 1), True), ((1, 3.9), True), ((4.1, 1), False), ((1, 4.1), False), ((0.5, 0.13), True),
        ((0.5, 0.12), False),
        ((39, 39), True), ((41, 41), False), ((1 / 39, 1 / 39), True), ((1 / 41, 1 / 41), False),
        ((1, -1), False), ((-1, 1), False), ((1, 0), False),
    ],
)  # fmt: skip
def test_maps_that_shear_scale_or_mirror_too_much_are_refused(
    stretch: tuple[float, float], is_sane: bool, turn_deg: float
) -> None:
    matrix = similarity(turn_deg, 1, 50, 70) @ np.diag([*stretch, 1.0]) @ similarity(15, 1, 0, 0)
    assert homography._is_sane(matrix, SUPPORT) == is_sane


@pytest.mark.parametrize("towards", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_maps_that_are_too_steep_anywhere_are_refused(towards: tuple[int, int]) -> None:
    def steep(by: float, scale: float = 1.0) -> bool:
        """Whether a map is sane whose depth goes from 1 - by at one corner of the support to 1 + by at the other."""
        matrix = np.array([[scale, 0, 0], [0, scale, 0], [by / 2 * towards[0], by / 2 * towards[1], 1]])
        return homography._is_sane(matrix, SUPPORT)

    assert steep(0.5)
    assert not steep(0.62)  # more than 4 times as deep at one corner as at the other
    assert not steep(1.5)  # folded
    assert not steep(0.5, 1 / 30)  # in the middle; less than 1 / 40 at the far corner
    assert not steep(0.5, 30)


def test_a_map_is_looked_at_where_matches_are_and_nowhere_else() -> None:
    horizon_at_500 = np.array([[1.0, 0, 0], [0, 1, 0], [-1 / 500, 0, 1]])
    assert homography._is_sane(horizon_at_500, 50 * SUPPORT)
    assert homography._is_sane(horizon_at_500, 50 * SUPPORT + [100, 0])
    assert not homography._is_sane(horizon_at_500, 50 * SUPPORT + [480, 0])
    assert not homography._is_sane(horizon_at_500, 50 * SUPPORT + [600, 0])


# Affine maps by least squares


@pytest.mark.parametrize(("count", "spread"), [(3, 1), (3, 40), (30, 200)])
def test_an_affine_map_weighs_keypoints_against_places(count: int, spread: float) -> None:
    random = np.random.default_rng(count)
    query = 400 + random.uniform(-spread, spread, (count, 2))
    reference = mapped(similarity(40, 2, 5, 6), query) + random.normal(0, 1, (count, 2))
    angles = np.radians(random.normal(40, 5, count))
    turns = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tolerance = 6.0
    # A place is off by half the tolerance, a keypoint's turn and scale by a fifth of themselves.
    weight = (tolerance / 2) / (0.2 * 2) * count**0.5
    x, y = turns.mean(axis=0)
    rows = np.column_stack([query, np.ones(count)])
    rows = np.vstack([rows, weight * np.eye(2, 3)])
    columns = np.vstack([reference, weight * np.array([[x, y], [-y, x]])])
    # The map about the middle of the points, so that the keypoints say nothing of its shift.
    rows[:count, :2] -= query.mean(axis=0)
    expected = np.linalg.lstsq(rows, columns, rcond=None)[0].T
    found = homography._affine(query, reference, turns, tolerance)
    np.testing.assert_allclose(found[:2, :2], expected[:, :2], atol=1e-9)
    np.testing.assert_allclose(mapped(found, query.mean(axis=0)[None])[0], expected[:, 2], atol=1e-9)
    np.testing.assert_array_equal(found[2], [0, 0, 1])


# Sets of matches that agree


def rows_of(matches: TentativeMatches, options: GeometryOptions = OPTIONS) -> list[list[int]]:
    return [matches.query_rows[rows].tolist() for _, rows in homography._similar(matches, 6.0, options, 3)]


def together(*parts: TentativeMatches) -> TentativeMatches:
    """Matches of several maps, one after another, no feature of which is in two of them."""
    every = parts[0]
    for part in parts[1:]:
        every = joined(every, part)
    return dataclasses.replace(every, query_rows=np.arange(len(every)), reference_rows=np.arange(len(every)))


def test_sets_that_agree_are_the_largest_unlike_one_another() -> None:
    maps = [similarity(80 * number, 1, 100 * number, 10) for number in range(4)]
    counts, starts = (30, 20, 10, 5), (0, 30, 50, 60)
    made = zip(maps, counts, range(4), strict=True)
    matches = together(*(made_matches(seed, truth, count, 0, noise_px=0) for truth, count, seed in made))
    *large, closest = rows_of(matches)
    assert [len(rows) for rows in large] == pytest.approx(counts[:3], abs=1)
    for rows, start, count in zip(large, starts, counts, strict=False):
        assert set(rows) <= set(range(start, start + count))
    assert set(closest) <= set(range(30))
    assert len(closest) > 15


def test_two_matches_alone_are_no_set() -> None:
    five = made_matches(0, np.eye(3), 5, 0, noise_px=0)
    two = made_matches(1, similarity(80, 1, 100, 10), 2, 0, noise_px=0)
    assert set(map(tuple, rows_of(together(five, two)))) == {(0, 1, 2, 3, 4)}
    assert rows_of(two) == []


def test_near_a_keypoint_places_agree_closely_and_far_from_it_loosely() -> None:
    places = np.array([[800.0, 700], [804, 703], [797, 705], [801, 697], [810, 700], [100, 50], [300, 90]])
    matches = made_matches(0, np.eye(3), 7, 0, noise_px=0, query=places)
    straight = dataclasses.replace(matches, rotation=np.zeros(7), octaves=np.zeros(7))
    off = np.zeros((7, 2))
    only_first = GeometryOptions(hypotheses=1)
    off[4:, 0] = 30  # more than 2 x 6 px and 0.35 of 40 px, less than 0.35 of the way to the others
    loose, closest = rows_of(dataclasses.replace(straight, reference=straight.reference + off), only_first)
    assert loose == [0, 1, 2, 3, 5, 6]
    assert closest == [0, 1, 2, 3, 5, 6]
    off[5] = 250, 0  # less than 0.35 of the way, more than 0.1
    loose, closest = rows_of(dataclasses.replace(straight, reference=straight.reference + off), only_first)
    assert loose == [0, 1, 2, 3, 5, 6]
    assert closest == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("count", [3, 4])
def test_three_matches_are_a_set(count: int) -> None:
    every = list(range(count))
    assert rows_of(made_matches(0, np.eye(3), count, 0, noise_px=0)) == [every, every]


# Models


def test_a_homography_is_tried_from_eight_matches_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(homography, "_magsac", lambda query, *_: asked.append(len(query)))
    for count in (7, 8):
        homography._models(made_matches(0, np.eye(3), count, 0, noise_px=0), np.arange(count), 6.0)
    assert asked == [8]


def test_a_homography_is_looked_for_among_all_that_are_not_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(homography, "_magsac", lambda query, *_: asked.append(len(query)))
    matches = made_matches(0, np.eye(3), 22, 0, noise_px=0)
    off = np.zeros((22, 2))
    off[:4, 1] = 7, 55, 65, 90  # px; the tolerance is 6
    models = homography._models(dataclasses.replace(matches, reference=matches.query + off), np.arange(22), 6.0)
    assert asked == [20]
    (affine,) = models
    assert np.abs(mapped(affine, CORNERS) - CORNERS).max() < 3


def test_of_models_the_first_of_the_best_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored = np.diag([-1.0, 1, 1])
    models = [mirrored, similarity(0, 1, 0.1, 0), np.eye(3)]
    monkeypatch.setattr(homography, "_models", lambda *_: models)
    fit = sure(fitted(made_matches(0, np.eye(3), 6, 0, noise_px=0)))
    assert fit.reference_from_query is models[1]


# MAGSAC++


def test_magsac_is_asked_for_what_is_within_the_tolerance_and_always_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find(query: NDArray[np.float64], reference: NDArray[np.float64], parameters: Any) -> tuple[Any, None]:
        asked.append(parameters)
        return 2 * TRUTHS["perspective"], None

    monkeypatch.setattr(cv2, "findHomography", find)
    points = np.zeros((8, 2))
    np.testing.assert_array_equal(homography._magsac(points, points, 4.5), TRUTHS["perspective"])
    (parameters,) = asked
    assert (parameters.threshold, parameters.isParallel, parameters.randomGeneratorState) == (4.5, False, 0)
    assert (parameters.score, parameters.loMethod) == (cv2.SCORE_METHOD_MAGSAC, cv2.LOCAL_OPTIM_SIGMA)
    assert (parameters.sampler, parameters.maxIterations) == (cv2.SAMPLING_UNIFORM, 1000)
    assert parameters.confidence == 0.999


@pytest.mark.parametrize("found", [None, np.diag([1, np.nan, 1]), np.diag([1, 1, np.inf]), np.diag([1, 1, 1e-13])])
def test_what_magsac_makes_of_degenerate_points_is_no_map(
    monkeypatch: pytest.MonkeyPatch, found: NDArray[np.float64] | None
) -> None:
    monkeypatch.setattr(cv2, "findHomography", lambda *_: (found, None))
    assert homography._magsac(np.zeros((8, 2)), np.zeros((8, 2)), 4.5) is None


def test_points_that_opencv_refuses_give_no_map() -> None:
    assert homography._magsac(np.zeros((3, 2)), np.zeros((3, 2)), 4.5) is None


# Judgement


def test_of_several_matches_of_a_feature_the_nearest_is_kept() -> None:
    places = np.random.default_rng(0).uniform(50, 700, (12, 2))
    exact = made_matches(0, np.eye(3), 12, 0, noise_px=0, query=places)
    near = dataclasses.replace(exact, reference=exact.reference + np.array([2.0, 0]))
    nearer = dataclasses.replace(exact, reference=exact.reference + np.array([0, 1.0]))
    same, apart = np.tile(np.arange(12), 2), np.arange(24)
    for query_rows, reference_rows in ((same, apart), (apart, same)):
        both = dataclasses.replace(joined(near, nearer), query_rows=query_rows, reference_rows=reference_rows)
        inliers = homography._inliers(np.eye(3), both, 6.0, OPTIONS)
        assert inliers.tolist() == list(range(12, 24))


def test_three_matches_of_two_features_are_too_few() -> None:
    matches = made_matches(1, np.eye(3), 3, 0, noise_px=0)
    for name in ("query_rows", "reference_rows"):
        two = dataclasses.replace(matches, **{name: np.array([0, 1, 1])})
        assert len(homography._inliers(np.eye(3), two, 6.0, OPTIONS)) < homography.FEWEST_MATCHES


def test_matches_agree_up_to_the_tolerance() -> None:
    matches = made_matches(1, np.eye(3), 8, 0, noise_px=0)
    off = np.array([0, 0, 0, 5.9, 0, 6.1, 0, 20])
    matches = dataclasses.replace(matches, reference=matches.query + np.column_stack([off, 0 * off]))
    inliers = homography._inliers(np.eye(3), matches, 6.0, OPTIONS)
    assert inliers.tolist() == [0, 1, 2, 3, 4, 6]
    assert len(homography._inliers(np.eye(3), matches[np.array([0, 1, 5, 7])], 6.0, OPTIONS)) == 2
    assert len(homography._inliers(np.eye(3), matches[:3], 6.0, OPTIONS)) == 3


def test_the_best_of_several_maps_is_kept_unless_one_is_beyond_doubt() -> None:
    """Most matches lie in a few spots and agree on one map; fewer, but all over, agree on another."""
    random = np.random.default_rng(3)
    spots = random.uniform(100, 700, (6, 2)).repeat(10, axis=0) + random.uniform(-8, 8, (60, 2))
    few, spread = np.eye(3), similarity(90, 1, 799, 0)
    matches = together(
        made_matches(4, few, 60, 0, noise_px=0.2, query=spots), made_matches(5, spread, 40, 0, noise_px=0.2)
    )
    assert 4 < sure(fitted(matches[:60])).score < 40 < sure(fitted(matches[60:])).score
    fit = sure(fitted(matches))
    assert corner_error(fit, spread) < 6
    assert (fit.inliers >= 60).all()


def test_the_map_is_refined_and_the_judgement_stays() -> None:
    truth = TRUTHS["perspective"]
    matches = made_matches(6, truth, 100, 0, noise_px=0.2)
    off = truth.copy()
    off[0, 2] += 1.5
    rough = Fit(off, np.arange(90), 80, 0.5, 33.0)
    refined = homography._refined(rough, matches, 3.6)
    assert corner_error(refined, truth) < 0.3 < corner_error(rough, truth)
    kept = [name for name in vars(rough) if vars(refined)[name] is vars(rough)[name]]
    assert kept == [field.name for field in dataclasses.fields(Fit) if field.name != "reference_from_query"]


@pytest.mark.parametrize("found", [None, np.diag([-1.0, 1, 1])])
def test_a_refined_map_that_is_degenerate_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, found: NDArray[np.float64] | None
) -> None:
    monkeypatch.setattr(homography, "_least_squares", lambda *_: found)
    rough = Fit(np.eye(3), np.arange(20), 20, 1.0, 20.0)
    refined = homography._refined(rough, made_matches(7, np.eye(3), 20, 0, noise_px=0.1), 3.6)
    assert refined.reference_from_query is rough.reference_from_query


def test_few_inliers_are_not_refined() -> None:
    matches = made_matches(7, np.eye(3), 12, 0, noise_px=0.1)
    rough = Fit(similarity(0, 1, 0.5, 0), np.arange(12), 12, 1.0, 20.0)
    assert not np.array_equal(homography._refined(rough, matches, 3.6).reference_from_query, rough.reference_from_query)
    kept = homography._refined(rough, matches[:11], 3.6)
    assert np.array_equal(kept.reference_from_query, rough.reference_from_query)


def test_a_few_that_scatter_less_than_others_are_not_refined() -> None:
    matches = made_matches(8, np.eye(3), 13, 0, noise_px=0)
    reference = matches.reference.copy()
    reference[:2, 0] += 3.3  # near enough, but not within the scatter of the other eleven
    rough = Fit(similarity(0, 1, 0.2, 0), np.arange(13), 13, 1.0, 20.0)
    for off, is_kept in ((reference, True), (matches.reference, False)):
        found = homography._refined(rough, dataclasses.replace(matches, reference=off), 3.6).reference_from_query
        assert np.array_equal(found, rough.reference_from_query) == is_kept
    none_near = dataclasses.replace(matches, reference=matches.reference + 50)
    assert homography._refined(rough, none_near, 3.6).reference_from_query is rough.reference_from_query


def test_only_fits_with_the_least_score_are_wanted() -> None:
    scores = []
    for seed in range(40):
        matches = made_matches(seed, similarity(20, 0.8, 30, 10), 3 + seed % 4, 30)
        fit = fit_homography(matches, SIZE, SIZE, OPTIONS)
        wanted = fit_homography(matches, SIZE, SIZE, OPTIONS, least=8.0)
        scores.append(fit.score if fit else 0.0)
        assert (wanted is None) == (scores[-1] < 8)
        if fit and wanted:
            assert (wanted.score, wanted.inliers.tolist()) == (fit.score, fit.inliers.tolist())
            np.testing.assert_array_equal(wanted.reference_from_query, fit.reference_from_query)
            assert fit_homography(matches, SIZE, SIZE, OPTIONS, least=fit.score) is not None
            assert fit_homography(matches, SIZE, SIZE, OPTIONS, least=np.nextafter(fit.score, 99)) is None
    assert 0 < sum(score < 8 for score in scores) < 40


def test_so_many_inliers_as_are_needed_for_a_score_may_have_it_and_fewer_never_do() -> None:
    matches = made_matches(3, np.eye(3), 12, 40)
    spread = weigh(matches, np.arange(4), SIZE, SIZE, OPTIONS)
    assert spread.effective == 4
    above = float(np.nextafter(spread.score, 99))
    assert [fewest_inliers(52, least, SIZE, OPTIONS) for least in (spread.score, above)] == [4, 5]
    for count in range(3, 13):
        score = weigh(matches, np.arange(count), SIZE, SIZE, OPTIONS).score
        assert fewest_inliers(52, score, SIZE, OPTIONS) <= count
    assert fewest_inliers(52, -np.inf, SIZE, OPTIONS) == 0
    assert fewest_inliers(52, 1e9, SIZE, OPTIONS) == 53  # one more than there are


def test_where_no_set_is_large_enough_for_the_score_no_model_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    matches = made_matches(3, np.eye(3), 5, 0, noise_px=0)
    assert [bool(homography._similar(matches, 6.0, OPTIONS, enough)) for enough in (5, 6)] == [True, False]
    monkeypatch.setattr(homography, "_models", lambda *_: pytest.fail("a model was tried"))
    assert fit_homography(made_matches(4, np.eye(3), 3, 60), SIZE, SIZE, OPTIONS, least=8.0) is None


def test_pairs_that_are_told_to_have_no_fit_have_none_and_most_without_one_are_told() -> None:
    parts = [made_matches(seed, similarity(20, 0.8, 30, 10), seed % 9, seed % 41) for seed in range(120)]
    sizes = [(1000, 800), (700, 1000)]
    every, ends = TentativeMatches.joined(parts)
    found = may_fit(every, ends, [sizes[number % 2] for number in range(120)], OPTIONS, 8.0)
    fits = [
        fit_homography(part, SIZE, sizes[number % 2], OPTIONS, least=8.0) is not None
        for number, part in enumerate(parts)
    ]
    told = [told for told, fit in zip(found, fits, strict=True) if not fit]
    assert all(found[np.flatnonzero(fits)])
    assert 30 < sum(fits) < 90
    assert np.mean(told) < 0.1
    without_angles = dataclasses.replace(OPTIONS, seeds=2)
    assert may_fit(every, ends, [SIZE] * 120, without_angles, 8.0).all()


def test_of_few_matches_those_without_any_fit_are_told_at_once() -> None:
    parts = []
    for seed, size in enumerate([0, 2, 3, 4, 5, 6, 8, 10, 15, 25] * 12):
        right = min(seed % 6, size)
        matches = made_matches(seed, TRUTHS["turned and smaller"], right, size - right, noise_px=4.0)
        parts.append(matches[np.random.default_rng(seed).permutation(size)])
    every, ends = TentativeMatches.joined(parts)
    found = may_fit(every, ends, [SIZE] * len(parts), OPTIONS)
    fits = np.array([fit_homography(part, SIZE, SIZE, OPTIONS) is not None for part in parts])
    assert found[fits].all()
    assert fits.sum() > 20
    assert (~found).sum() > 40
    assert may_fit(*TentativeMatches.joined([]), [], OPTIONS).tolist() == []
