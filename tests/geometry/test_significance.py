from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.significance import distinct, weigh

SIZE, OTHER_SIZE = (1000, 600), (500, 800)
# The middles of cells of 50 px in the query and of 40 px in the reference, no two in one row or column.
PLACES = np.arange(10.0) + 0.5


def matches_of(
    query_rows: list[int],
    reference_rows: list[int],
    query: NDArray[np.float64] | None = None,
    reference: NDArray[np.float64] | None = None,
    rivals: list[int] | None = None,
) -> TentativeMatches:
    """Matches each in a cell of its own, unless places are given."""
    count = len(query_rows)
    steps = np.resize(PLACES, count)
    nothing = np.zeros(count)
    return TentativeMatches(
        np.stack([50 * steps, 50 * steps], axis=1) if query is None else query,
        np.stack([40 * steps, 40 * steps[::-1]], axis=1) if reference is None else reference,
        nothing, nothing, nothing, np.array(query_rows, np.int64), np.array(reference_rows, np.int64),
        None if rivals is None else np.array(rivals),
    )  # fmt: skip


def clear(count: int) -> TentativeMatches:
    return matches_of(list(range(count)), list(range(count)))


def score(effective: int, tentative: int, *, radius: float = 4.8, angle_deg: float = 30, octaves: float = 1) -> float:
    """-log10 of tentative x (ways to choose the others) x (their chance), in a reference of OTHER_SIZE."""
    there = math.pi * radius**2 / (500 * 800)
    chance = there * (angle_deg / 180) * min(octaves / 2.5, 1)
    return -math.log10(tentative * math.comb(tentative - 1, effective - 1) * chance ** (effective - 1))


def test_inliers_in_cells_of_their_own_count_each() -> None:
    found = weigh(clear(10), np.arange(6), SIZE, OTHER_SIZE, GeometryOptions())
    assert (found.effective, found.clarity) == (6, 1.0)
    assert found.score == pytest.approx(score(6, 10))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (GeometryOptions(tolerance=0.01), score(5, 10, radius=8)),
        (GeometryOptions(angle_deg=10), score(5, 10, angle_deg=10)),
        (GeometryOptions(octaves=0.5), score(5, 10, octaves=0.5)),
        (GeometryOptions(octaves=2.4), score(5, 10, octaves=2.4)),
        (GeometryOptions(octaves=5), score(5, 10, octaves=2.5)),
    ],
)
def test_a_loose_tolerance_is_met_by_chance(options: GeometryOptions, expected: float) -> None:
    assert weigh(clear(10), np.arange(5), SIZE, OTHER_SIZE, options).score == pytest.approx(expected)


def test_chance_has_as_many_tries_as_features_that_match() -> None:
    matches = matches_of([0, 1, 2, 3, 3, 3], [0, 1, 2, 3, 4, 5])
    found = weigh(matches, np.arange(3), SIZE, OTHER_SIZE, GeometryOptions())
    assert found.score == pytest.approx(score(3, 4))


def test_one_alone_is_no_agreement_and_none_says_nothing() -> None:
    alone = weigh(clear(7), np.array([2]), SIZE, OTHER_SIZE, GeometryOptions())
    assert alone.score == pytest.approx(-math.log10(7))
    assert weigh(clear(7), np.array([], np.intp), SIZE, OTHER_SIZE, GeometryOptions()) == (0, 0.0, 0.0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_feature_with_rivals_is_unclear_on_whichever_side_they_are(mirrored: bool) -> None:
    rows, others = [0, 1, 2, 2, 2, 2], [0, 1, 2, 3, 4, 5]
    matches = matches_of(others, rows) if mirrored else matches_of(rows, others)
    found = weigh(matches, np.arange(3), SIZE, OTHER_SIZE, GeometryOptions())
    assert found.clarity == pytest.approx((1 + 1 + 1 / 4) / 3)
    assert found.effective == 2  # of 2.25


def test_the_side_with_more_rivals_counts() -> None:
    # The inlier is the match of 1 and 0: its query feature has 2 matches, its reference feature 3.
    matches = matches_of([1, 1, 0, 2], [0, 3, 0, 0])
    assert weigh(matches, np.array([0]), SIZE, OTHER_SIZE, GeometryOptions()).clarity == pytest.approx(1 / 3)


def test_the_same_pair_found_twice_is_no_rival() -> None:
    far = (1 << 39) + 1  # a row of postings; rows of one picture's features stay far below
    matches = matches_of([1 << 22, 1 << 22, 1], [far, far, 1])
    assert weigh(matches, np.array([0, 2]), SIZE, OTHER_SIZE, GeometryOptions()).clarity == 1


def test_rivals_that_were_counted_before_some_were_dropped_go_first() -> None:
    matches = matches_of([0, 1, 2], [0, 1, 2], rivals=[1, 2, 4])
    assert weigh(matches, np.array([1, 2]), SIZE, OTHER_SIZE, GeometryOptions()).clarity == pytest.approx(3 / 8)


def test_inliers_of_one_cell_count_as_the_clearest_of_them() -> None:
    query = np.array([[10.0, 10], [20, 20], [30, 30], [10, 60], [60, 10]])  # three share a cell
    matches = matches_of([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], query=query, rivals=[5, 1, 2, 1, 1])
    found = weigh(matches, np.arange(5), SIZE, OTHER_SIZE, GeometryOptions())
    assert found.effective == 3
    assert found.clarity == pytest.approx((1 / 5 + 1 + 1 / 2 + 1 + 1) / 5)
    other = matches_of([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], reference=query * 0.8, rivals=[5, 1, 2, 1, 1])
    assert weigh(other, np.arange(5), SIZE, OTHER_SIZE, GeometryOptions()).effective == 3


def test_the_grid_divides_the_longer_side() -> None:
    places = np.array([[x, y] for x in (100.0, 300, 500, 700, 900) for y in (100.0, 300, 500)])
    matches = matches_of(list(range(15)), list(range(15)), query=places, reference=places / 2)
    for grid, cells in ((5, 15), (2, 4)):
        found = weigh(matches, np.arange(15), SIZE, (500, 300), GeometryOptions(grid=grid))
        assert found.effective == cells


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_distinct_numbers_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).integers(-9, 9, count)
    np.testing.assert_array_equal(distinct(values), np.unique(values), strict=True)
