from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.geometry import homography
from featmatch.geometry.maps import project
from featmatch.native.similar import Agreement, FitLimits, SimilarityLimits, may_fit, similar

pytestmark = pytest.mark.usefixtures("level")  # each test at each of them

Array = NDArray[np.float64]
Columns = tuple[Array, Array, Array]

LIMITS = SimilarityLimits(8.0, 0.35, 0.1, 0.87, 2.0)
OF_FIT = FitLimits(0.35, 0.1, 0.87, 2.0, homography._KEYPOINT_ERROR)


def made(seed: int, true: int, wrong: int, noise: float = 1.0) -> Columns:
    """Matches of one map, with rough keypoints, and others anywhere; in any order."""
    random = np.random.default_rng(seed)
    count = true + wrong
    query, reference = random.uniform(0, 400, (2, count, 2))
    turns = np.stack([np.cos(angles := random.uniform(0, 7, count)), np.sin(angles)], axis=1)
    turns *= 2 ** random.uniform(-1.5, 1.5, (count, 1))
    angle, scale = random.uniform(0, 7), 2 ** random.uniform(-1, 1)
    way = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reference[:true] = query[:true] @ way.T + random.normal(0, noise, (true, 2))
    turns[:true] = way[:, 0] + random.normal(0, 0.1, (true, 2))
    order = random.permutation(count)
    return query[order], reference[order], turns[order]


# The same in NumPy


def similar_in_numpy(columns: Columns, seeds: int, limits: SimilarityLimits) -> Agreement:
    query, reference, turns = columns
    query_x, query_y = (one - one[:seeds, None] for one in query.T)
    x, y = (one - one[:seeds, None] for one in reference.T)
    turn_x, turn_y = turns[:seeds].T[..., None]
    off_x, off_y = turn_x * query_x - turn_y * query_y - x, turn_y * query_x + turn_x * query_y - y
    residual, distance = np.sqrt(off_x * off_x + off_y * off_y), np.sqrt(x * x + y * y)
    growths = np.sqrt(turns[:, 0] * turns[:, 0] + turns[:, 1] * turns[:, 1])
    own = growths[:seeds, None]
    agree = (growths <= limits.most_growth * own) & (own <= limits.most_growth * growths)
    agree &= turns[:, 0] * turn_x + turns[:, 1] * turn_y >= limits.least_cosine * (growths * own)
    loosely = agree & (residual <= limits.error + limits.loose * distance)
    return Agreement(loosely, loosely & (residual <= limits.error + limits.close * distance))


def may_fit_in_numpy(columns: Columns, tolerance: float, enough: int, seeds: int) -> bool:
    query, reference, turns = columns
    if len(query) < max(enough, 3):
        return False
    found = similar_in_numpy(columns, seeds, SimilarityLimits(2 * tolerance, *OF_FIT[:4]))
    for _, rows in homography._largest(*found, enough):
        inside = np.ones(len(rows), bool)
        for factor in (6.0, 4.0, 2.0, 1.5, 1.0, 1.0, None):
            own = rows[inside]
            model = homography._affine(query[own], reference[own], turns[own], tolerance)
            errors = homography._lengths(project(model, query) - reference)
            if factor is None:
                break
            inside = errors[rows] <= factor * tolerance
            if inside.sum() < 3:
                inside = np.zeros(len(rows), bool)
                inside[np.argsort(errors[rows], kind="stable")[:3]] = True
        if inside.sum() >= 8 or np.count_nonzero(errors <= tolerance) >= enough:
            return True
    return False


@pytest.mark.parametrize(("true", "wrong"), [(0, 0), (0, 1), (1, 1), (3, 0), (5, 40), (30, 70), (0, 130)])
def test_what_agrees_is_what_agrees_in_numpy(true: int, wrong: int) -> None:
    columns = made(true + wrong, true, wrong)
    for seeds in sorted({0, min(1, true + wrong), true + wrong}):
        found, expected = similar(*columns, seeds, LIMITS), similar_in_numpy(columns, seeds, LIMITS)
        np.testing.assert_array_equal(found.loosely, expected.loosely)
        np.testing.assert_array_equal(found.closely, expected.closely)


@pytest.mark.parametrize(
    ("name", "place", "turn", "limits"),
    [
        ("error", 140, (1, 0), SimilarityLimits(40, 0, 0, -1, 4)),
        ("loose", 140, (1, 0), SimilarityLimits(5, 0.25, 0, -1, 4)),
        ("close", 110, (1, 0), SimilarityLimits(3.125, 1, 0.0625, -1, 4)),
        ("least_cosine", 100, (0.6, 0.8), SimilarityLimits(0, 1, 1, 0.6, 4)),
        ("most_growth", 100, (2, 0), SimilarityLimits(0, 1, 1, -1, 2)),
        ("most_growth", 100, (0.5, 0), SimilarityLimits(0, 1, 1, -1, 2)),
    ],
)
def test_each_limit_decides_by_itself(
    name: str, place: float, turn: tuple[float, float], limits: SimilarityLimits
) -> None:
    """A match 100 px from the seed, which stays where it is, is off by as much as is allowed; then less is allowed."""
    query, reference = np.array([[0.0, 0], [100, 0]]), np.array([[0.0, 0], [place, 0]])
    turns = np.array([(1.0, 0), turn])
    stricter = limits._replace(**{name: getattr(limits, name) * (1 + 1e-9 * (1 if name == "least_cosine" else -1))})
    number = Agreement._fields.index("closely" if name == "close" else "loosely")
    assert [similar(query, reference, turns, 1, one)[number][0, 1] for one in (limits, stricter)] == [True, False]


def test_of_many_pairs_those_may_fit_that_do_in_numpy() -> None:
    parts = [made(seed, seed % 9, 5 * (seed % 11), 1 + seed % 3) for seed in range(120)]
    ends = np.cumsum([0, *(len(query) for query, _, _ in parts)])
    enough = np.arange(120) % 6 + 2
    tolerances = np.where(np.arange(120) % 2, 3.0, 4.5)
    query, reference, turns = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = may_fit((query, reference, turns), ends, tolerances, enough, 30, OF_FIT)
    expected = [
        may_fit_in_numpy(*one) for one in zip(parts, tolerances.tolist(), enough.tolist(), [30] * 120, strict=True)
    ]
    assert found.tolist() == expected
    assert 30 < sum(expected) < 90
    for (start, end), one, least, tolerance in zip(pairwise(ends.tolist()), found, enough, tolerances, strict=True):
        own = query[start:end], reference[start:end], turns[start:end]
        alone = may_fit(own, np.array([0, end - start]), np.array([tolerance]), np.array([least]), 30, OF_FIT)
        assert alone.tolist() == [one]


def test_eight_that_agree_may_be_bettered_by_a_homography_and_seven_not() -> None:
    for count, expected in ((7, False), (8, True)):
        columns = made(3, count, 0, noise=0.01)
        found = may_fit(columns, np.array([0, count]), np.array([4.0]), np.array([count + 1 - expected]), 30, OF_FIT)
        assert found.tolist() == [expected]
    far = made(3, 9, 9, noise=0.01)
    assert may_fit(far, np.array([0, 18]), np.array([4.0]), np.array([9]), 30, OF_FIT).tolist() == [True]


def test_none_of_no_pairs_fits() -> None:
    nothing = np.empty((0, 2))
    none = np.zeros(1, np.int64), np.empty(0), np.empty(0, np.int64)
    assert may_fit((nothing, nothing, nothing), *none, 30, OF_FIT).tolist() == []
    one = np.zeros(2, np.int64), np.ones(1), np.zeros(1, np.int64)
    assert may_fit((nothing, nothing, nothing), *one, 30, OF_FIT).tolist() == [False]


def test_what_cannot_be_compared_is_refused() -> None:
    columns = made(0, 5, 0)
    one = np.array([4.0]), np.array([3])
    for seeds in (-1, 6):
        with pytest.raises(UsageError, match="cannot be compared"):
            similar(*columns, seeds, LIMITS)
    with pytest.raises(UsageError, match="three arrays"):
        similar(columns[0], columns[1][:4], columns[2], 1, LIMITS)
    for ends in ([0, 6], [-1, 5], [3, 2]):
        with pytest.raises(UsageError, match="not within"):
            may_fit(columns, np.array(ends), *one, 30, OF_FIT)
    for tolerances, enough in ((np.ones(2), one[1]), (one[0], np.ones(2, np.int64))):
        with pytest.raises(UsageError, match="do not fit"):
            may_fit(columns, np.array([0, 5]), tolerances, enough, 30, OF_FIT)
