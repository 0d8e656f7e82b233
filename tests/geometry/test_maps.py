from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from featmatch.geometry.maps import Matrix, jacobians, mirror_matrix, project, scaling_matrix, turn_at
from tests.geometry.known_maps import CORNERS, TRUTHS, local_turn, mapped, similarity


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_project_divides_by_the_depth(truth: Matrix) -> None:
    assert np.abs(project(truth, CORNERS) - mapped(truth, CORNERS)).max() < 1e-9


def test_project_says_where_points_go_and_nan_beyond_the_horizon() -> None:
    matrix = np.array([[1.0, 0, 5], [0, 2, 0], [-0.01, 0, 1]])
    found = project(matrix, np.array([[0.0, 1], [50, 0], [99.9999, 0], [100, 0], [200, 0]]))
    assert_allclose(found[:3], np.array([[5, 2], [110, 0], [104.9999e6, 0]]))
    assert np.isnan(found[3:]).all()
    assert project(matrix, np.empty((0, 2))).shape == (0, 2)
    assert project(matrix, np.zeros((1, 2), np.float32)).dtype == np.float64


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_turn_at_equals_finite_differences(truth: Matrix) -> None:
    for point in CORNERS:
        rotation, octaves = local_turn(truth, point[None])
        found_rotation, found_octaves = turn_at(truth, point)
        assert abs((found_rotation - rotation[0] + np.pi) % (2 * np.pi) - np.pi) < 1e-5
        assert abs(found_octaves - octaves[0]) < 1e-5


def test_a_quarter_turn_to_half_the_size() -> None:
    assert turn_at(similarity(90, 0.5, 7, 9), np.array([3.0, 4])) == pytest.approx((np.pi / 2, -1))


def test_a_map_without_area_has_a_finite_growth() -> None:
    flat = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert turn_at(flat, np.zeros(2))[1] == pytest.approx(np.log2(1e-12) / 2)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_jacobians_equal_finite_differences(truth: Matrix) -> None:
    columns = [(mapped(truth, CORNERS + step) - mapped(truth, CORNERS - step)) / 2e-3 for step in 1e-3 * np.eye(2)]
    assert_allclose(jacobians(truth, CORNERS), np.stack(columns, axis=2), atol=1e-6)


def test_mirroring_twice_changes_nothing_and_once_swaps_the_edges() -> None:
    matrix = mirror_matrix(640)
    assert_array_equal(project(matrix, np.array([[-0.5, 3], [639.5, 5]])), [[639.5, 3], [-0.5, 5]])
    assert_array_equal(matrix @ matrix, np.eye(3))


def test_scaling_maps_edges_to_edges() -> None:
    edges = np.array([[-0.5, -0.5], [639.5, 479.5]])
    assert_allclose(project(scaling_matrix(0.25, 2), edges), [[-0.5, -0.5], [159.5, 959.5]])
    assert_allclose(project(scaling_matrix(0.25, 2, (30, 4)), edges), [[29.5, 3.5], [189.5, 963.5]])


def test_scaling_is_exact_to_the_last_bit() -> None:
    for x in np.random.default_rng(0).uniform(0.001, 50, 1000).tolist():
        expected = [[x, 0, (x - 1) / 2], [0, 3 * x, (3 * x - 1) / 2], [0, 0, 1]]
        assert scaling_matrix(x, 3 * x).tolist() == expected
