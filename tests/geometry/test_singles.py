from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import FEWEST_MATCHES, GeometryOptions, TentativeMatches
from featmatch.geometry.singles import agreement_with_singles, may_agree
from tests.geometry.known_maps import SIZE, TRUTHS, made_matches

OPTIONS = GeometryOptions()
TOLERANCE = OPTIONS.tolerance * 1000


def mixed(sizes: list[int]) -> list[TentativeMatches]:
    """Matches of several pairs of pictures, of which some few are right; in any order."""
    several = []
    for seed, size in enumerate(sizes):
        right = min(seed % 6, size)
        matches = made_matches(seed, TRUTHS["turned and smaller"], right, size - right, noise_px=4.0)
        several.append(matches[np.random.default_rng(seed).permutation(size)])
    return several


def test_it_is_told_for_all_at_once_what_is_told_one_by_one() -> None:
    several = mixed([0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 20, 33, 63, 64] * 8)
    tolerances = [TOLERANCE * (1 + place % 3) for place in range(len(several))]
    alone = [
        bool(agreement_with_singles(one, tolerance, OPTIONS).loosely.sum(axis=1).max(initial=0) >= FEWEST_MATCHES)
        for one, tolerance in zip(several, tolerances, strict=True)
    ]
    assert may_agree(several, tolerances, OPTIONS).tolist() == alone
    assert 20 < sum(alone) < len(alone) - 20


def test_where_matches_may_not_agree_there_is_no_homography() -> None:
    several = mixed([3, 4, 5, 6, 8, 10, 15, 25] * 12)
    may = may_agree(several, [TOLERANCE] * len(several), OPTIONS)
    found = [fit_homography(one, SIZE, (1000, 1000), OPTIONS) for one in several]
    assert all(fit is None for fit, one in zip(found, may, strict=True) if not one)
    assert (~may).sum() > 40
    assert sum(fit is not None for fit in found) > 20


def test_nothing_is_said_against_many_matches_or_hypotheses_that_are_left_out() -> None:
    apart = mixed([12])[0]
    apart = dataclasses.replace(apart, octaves=np.arange(0.0, 72.0, 6.0))  # no two are scaled alike
    many = dataclasses.replace(mixed([65])[0], octaves=np.arange(-190.0, 200.0, 6.0))
    assert may_agree([apart, many], [TOLERANCE] * 2, OPTIONS).tolist() == [False, True]
    assert may_agree([apart], [TOLERANCE], dataclasses.replace(OPTIONS, hypotheses=11)).tolist() == [True]


def test_matches_by_places_alone_may_agree_from_three_on() -> None:
    several = mixed([2, 3, 8])
    assert may_agree(several, [TOLERANCE] * 3, dataclasses.replace(OPTIONS, seeds=2)).tolist() == [False, True, True]


def test_of_nothing_nothing_agrees() -> None:
    assert may_agree([], [], OPTIONS).tolist() == []
    assert may_agree(mixed([0, 2]), [TOLERANCE] * 2, OPTIONS).tolist() == [False, False]


@pytest.mark.parametrize(("turn", "octaves", "alike"), [(0, 0, True), (29, 0, True), (31, 0, False), (0, 0.99, True),
                                                        (0, 1.01, False), (0, -1.01, False)])  # fmt: skip
def test_a_match_agrees_if_it_is_turned_and_scaled_as_the_one_that_proposes(
    turn: float, octaves: float, alike: bool
) -> None:
    matches = made_matches(1, TRUTHS["identity"], 3, 0, noise_px=0)
    matches = dataclasses.replace(
        matches, rotation=np.array([0, 0, math.radians(turn)]), octaves=np.array([0, 0, float(octaves)])
    )
    found = agreement_with_singles(matches, TOLERANCE, OPTIONS)
    assert found.loosely[0].tolist() == found.closely[0].tolist() == [True, True, alike]
    assert may_agree([matches], [TOLERANCE], OPTIONS).tolist() == [alike]
