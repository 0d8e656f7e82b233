from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.geometry.matches import TentativeMatches
from featmatch.proof.matching import DescriptorMatcher, MatchingOptions

DIMENSIONS = 16


def features(descriptors: NDArray[Any], seed: int = 0) -> Features:
    random = np.random.default_rng(seed)
    count = len(descriptors)
    return Features(
        "sift", 640, 480,
        keypoints=random.uniform(0, 480, (count, 2)).astype(np.float32),
        sizes=random.uniform(0.1, 60, count).astype(np.float32),
        angles=random.uniform(0, 2 * np.pi, count).astype(np.float32),
        descriptors=np.asarray(descriptors, np.uint8),
    )  # fmt: skip


def descriptors(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(20, 236, (count, DIMENSIONS), dtype=np.uint8)


def matched(query: Features, reference: Features, **options: float) -> TentativeMatches:
    return DescriptorMatcher(reference, MatchingOptions(**options)).match(query)


def test_each_feature_is_matched_with_the_one_that_it_looks_like() -> None:
    reference = features(descriptors(40), seed=1)
    order = np.random.default_rng(2).permutation(40)[:30]
    query = features(reference.descriptors[order] + np.arange(30)[:, None] % 3, seed=3)
    matches = matched(query, reference)
    assert sorted(matches.query_rows.tolist()) == list(range(30))
    assert_array_equal(matches.reference_rows, order[matches.query_rows])
    rows, partners = matches.query_rows, matches.reference_rows
    assert_array_equal(matches.query, query.keypoints[rows])
    assert_array_equal(matches.reference, reference.keypoints[partners])
    assert_allclose(matches.rotation, reference.angles[partners] - query.angles[rows], atol=1e-6)
    assert_allclose(2**matches.octaves, reference.sizes[partners] / query.sizes[rows], rtol=1e-5)
    assert_array_equal(matches.rivals, np.ones(30))


def alike(places: list[int], detector: str = "sift") -> Features:
    """Features whose descriptors lie along one line, up to 255, and then along another."""
    rows = np.zeros((len(places), DIMENSIONS), np.uint8)
    rows[:, 0] = np.minimum(places, 255)
    rows[:, 1] = np.maximum(np.array(places) - 255, 0)
    return dataclasses.replace(features(rows), detector=detector)


def test_what_looks_like_a_feature_or_its_partner_is_a_rival() -> None:
    reference, query = alike([0, 20, 140, 160, 255]), alike([1])
    assert_array_equal(matched(query, reference).rivals, [3])  # 1, 19 and 139 away; 159 is not alike


def test_features_that_are_alike_in_the_query_are_rivals_as_well() -> None:
    matches = matched(alike([0, 100, 120, 140]), alike([1, 500]))
    assert matches.query_rows.tolist() == [0]
    assert_array_equal(matches.rivals, [4])


def test_of_many_that_are_alike_ten_are_counted() -> None:
    reference = alike([0, *range(40, 60)])
    assert_array_equal(matched(alike([1]), reference).rivals, [10])


def test_rivals_are_known_for_sift_alone() -> None:
    for detector, known in (("opencv-sift", True), ("orb", False), ("points:mine-64", False)):
        matches = matched(alike([1], detector), alike([0, 20, 140], detector))
        assert (matches.rivals is not None) == known


def test_the_surest_come_first_and_the_cost_is_the_ratio_of_distances() -> None:
    reference = features(np.array([[0] * DIMENSIONS, [100] * DIMENSIONS, [200] * DIMENSIONS]))
    query = features(np.array([[30] * DIMENSIONS, [101] * DIMENSIONS, [190] * DIMENSIONS]))
    matches = matched(query, reference)
    assert matches.query_rows.tolist() == [1, 2, 0]
    assert_allclose(matches.costs, [1 / 99, 10 / 90, 30 / 70], rtol=1e-6)
    assert matches.costs.dtype == np.float64


def test_a_nearest_that_is_hardly_nearer_than_the_next_is_not_believed() -> None:
    reference = features(np.array([[0] * DIMENSIONS, [100] * DIMENSIONS]))
    for value, ratio in ((44, 44 / 56), (45, 45 / 55), (46, 46 / 54)):
        query = features(np.array([[value] * DIMENSIONS]))
        assert len(matched(query, reference)) == (ratio <= 0.85)
        assert len(matched(query, reference, ratio=ratio + 1e-6)) == 1
        assert len(matched(query, reference, ratio=ratio - 1e-6)) == 0


def test_with_a_ratio_of_1_every_nearest_is_believed() -> None:
    reference = features(np.array([[0] * DIMENSIONS, [100] * DIMENSIONS]))
    assert len(matched(features(np.array([[50] * DIMENSIONS])), reference, ratio=1)) == 1


def test_equally_sure_matches_keep_their_order() -> None:
    reference = features(descriptors(300))
    assert matched(reference, reference).query_rows.tolist() == list(range(300))


def test_features_alike_in_one_picture_are_matched_once_by_the_nearest() -> None:
    reference = features(np.array([[0] * DIMENSIONS, [100] * DIMENSIONS]))
    query = features(np.array([[4] * DIMENSIONS, [1] * DIMENSIONS, [90] * DIMENSIONS]))
    matches = matched(query, reference)
    assert matches.query_rows.tolist() == [1, 2]
    assert matches.reference_rows.tolist() == [0, 1]


def test_nothing_alike_gives_no_matches() -> None:
    reference = features(np.array([[0] * DIMENSIONS, [100] * DIMENSIONS]))
    assert len(matched(features(np.array([[50] * DIMENSIONS] * 4)), reference)) == 0


def test_a_matcher_serves_several_queries() -> None:
    reference = features(descriptors(40))
    matcher = DescriptorMatcher(reference, MatchingOptions())
    for first in (0, 20):
        query = reference[slice(first, first + 20)]
        assert sorted(matcher.match(query).reference_rows.tolist()) == list(range(first, first + 20))


def test_a_keypoint_without_a_size_has_a_finite_octave() -> None:
    reference = features(descriptors(5))
    query = dataclasses.replace(reference, sizes=np.array([0, 1e-5, 1e-3, 1, 2], np.float32))
    matches = matched(query, dataclasses.replace(reference, sizes=np.ones(5, np.float32)))
    octaves = matches.octaves[np.argsort(matches.query_rows)]
    assert_allclose(octaves, [np.log2(1000)] * 3 + [0, -1], rtol=1e-5)


def test_of_many_the_nearest_of_all_is_found() -> None:
    query, reference = features(descriptors(300, seed=4)), features(descriptors(900, seed=5))
    there, here = query.descriptors.astype(int), reference.descriptors.astype(int)
    squared = ((there[:, None] - here) ** 2).sum(axis=2)
    order = np.sort(squared, axis=1)
    expected = {
        (row, squared[row].argmin()): np.sqrt(order[row, 0] / order[row, 1])
        for row in range(300)
        if squared[:, squared[row].argmin()].argmin() == row
    }
    matches = matched(query, reference, ratio=1)
    assert dict(zip(zip(*_rows(matches), strict=True), matches.costs, strict=True)) == pytest.approx(expected)


def _rows(matches: TentativeMatches) -> tuple[list[int], list[int]]:
    return matches.query_rows.tolist(), matches.reference_rows.tolist()


@pytest.mark.parametrize(
    ("options", "is_allowed"),
    [
        ({"ratio": 0.1}, True), ({"ratio": 1.0}, True), ({"ratio": 0.09}, False), ({"ratio": 1.01}, False),
        ({"ratio": float("nan")}, False), ({"ratio": "0.8"}, False),
    ],
)  # fmt: skip
def test_options_have_ranges(options: dict[str, Any], is_allowed: bool) -> None:
    if is_allowed:
        assert dataclasses.asdict(MatchingOptions(**options)).items() >= options.items()
    else:
        with pytest.raises(UsageError, match=next(iter(options))):
            MatchingOptions(**options)
