from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.maps import Matrix, project, turn_at
from featmatch.geometry.matches import GeometryOptions, TentativeMatches

SIZE = (1000, 800)
OPTIONS = GeometryOptions()
CORNERS = np.array([[0.0, 0], [999, 0], [999, 799], [0, 799]])


def similarity(turn_deg: float, scale: float, x: float, y: float) -> Matrix:
    turn = scale * np.exp(1j * np.radians(turn_deg))
    return np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y], [0, 0, 1]])


TRUTHS = {
    "identity": np.eye(3),
    "shift": similarity(0, 1, 120, -75),
    "quarter turn": similarity(90, 1, 800, 0),
    "upside down": similarity(180, 1, 999, 799),
    "turned and smaller": similarity(-33, 0.4, 300, 500),
    "much smaller": similarity(12, 0.1, 400, 300),
    "larger": similarity(200, 3, 700, 900),
    "affine": np.array([[0.9, 0.25, 20], [-0.1, 0.7, 130], [0, 0, 1]]),
    "perspective": np.array([[0.8, 0.05, 60], [0.03, 0.85, 40], [2.5e-4, 1e-4, 1]]),
    "turned perspective": np.array([[0.3, -0.8, 650], [0.75, 0.3, 10], [1e-4, -2e-4, 1]]),
}


def mapped(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def local_turn(matrix: Matrix, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (radians) and octaves of a map at points, by finite differences."""
    step_x, step_y = np.array([1e-3, 0]), np.array([0, 1e-3])
    right = (mapped(matrix, points + step_x) - mapped(matrix, points - step_x)) / 2e-3
    down = (mapped(matrix, points + step_y) - mapped(matrix, points - step_y)) / 2e-3
    rotation = np.arctan2(right[:, 1] - down[:, 0], right[:, 0] + down[:, 1])
    return rotation, np.log2(np.abs(right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0])) / 2


def made_matches(
    seed: int,
    truth: Matrix,
    inliers: int,
    outliers: int,
    *,
    noise_px: float = 0.5,
    query: NDArray[np.float64] | None = None,
) -> TentativeMatches:
    """Inliers of a known map first, then outliers; the rows of the features say which is which."""
    random = np.random.default_rng(seed)
    if query is None:
        query = random.uniform(0, SIZE, (inliers, 2))
    rotation, octaves = local_turn(truth, query)
    count = inliers + outliers
    reference = mapped(truth, query) + random.normal(0, noise_px, (inliers, 2))
    query_angles = random.uniform(0, 2 * np.pi, count)
    reference_angles = random.uniform(0, 2 * np.pi, count)
    reference_angles[:inliers] = query_angles[:inliers] + rotation + random.normal(0, np.radians(6), inliers)
    query_octaves = random.uniform(1, 6, count)
    reference_octaves = random.uniform(1, 6, count)
    reference_octaves[:inliers] = query_octaves[:inliers] + octaves + random.normal(0, 0.15, inliers)
    return TentativeMatches.between(
        np.vstack([query, random.uniform(0, SIZE, (outliers, 2))]), query_angles % (2 * np.pi), query_octaves,
        np.vstack([reference, random.uniform(0, SIZE, (outliers, 2))]), reference_angles % (2 * np.pi),
        reference_octaves,
        costs=random.uniform(0, 22, count), query_rows=np.arange(count), reference_rows=np.arange(count),
    )  # fmt: skip


def joined(one: TentativeMatches, other: TentativeMatches) -> TentativeMatches:
    columns = [column for column in vars(one) if column != "rivals"]
    return TentativeMatches(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns})


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance", 0.0005), ("tolerance", 0.2), ("tolerance", float("nan")),
        ("angle_deg", 0), ("angle_deg", 181),
        ("octaves", 0), ("octaves", 6),
        ("hypotheses", 0),
        ("grid", 1), ("grid", 201),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError):
        dataclasses.replace(OPTIONS, **{field: value})  # type: ignore[arg-type]


def test_project_says_where_points_go_and_nan_beyond_the_horizon() -> None:
    matrix = np.array([[1.0, 0, 5], [0, 2, 0], [-0.01, 0, 1]])
    found = project(matrix, np.array([[0.0, 1], [50, 0], [100, 0], [200, 0]]))
    np.testing.assert_allclose(found[:2], [[5, 2], [110, 0]])
    assert np.isnan(found[2:]).all()
    assert project(matrix, np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_turn_at_equals_finite_differences(truth: Matrix) -> None:
    for point in CORNERS:
        rotation, octaves = local_turn(truth, point[None])
        found_rotation, found_octaves = turn_at(truth, point)
        assert abs((found_rotation - rotation[0] + np.pi) % (2 * np.pi) - np.pi) < 1e-5
        assert abs(found_octaves - octaves[0]) < 1e-5


def test_chosen_rows_keep_together() -> None:
    matches = made_matches(24, TRUTHS["shift"], 30, 0, noise_px=0)
    np.testing.assert_allclose(matches.reference, mapped(TRUTHS["shift"], matches.query))
    assert sorted(matches.query_rows.tolist()) == list(range(30))
    kept = matches[np.array([3, 1])]
    assert kept.query_rows.tolist() == [matches.query_rows[3], matches.query_rows[1]]
    assert len(kept) == 2
