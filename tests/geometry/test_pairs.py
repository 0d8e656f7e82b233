from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.geometry.pairs import agreement_with_pairs
from featmatch.geometry.significance import weigh
from tests.geometry.known_maps import SIZE, TRUTHS, made_matches, mapped

PAIRS = GeometryOptions(seeds=2, angle_deg=180.0, octaves=5.0)
OTHER_SIZE = (1000, 1000)


def without_turns(matches: TentativeMatches) -> TentativeMatches:
    nothing = np.zeros(len(matches))
    return dataclasses.replace(matches, rotation=nothing, octaves=nothing)


@pytest.mark.parametrize("name", ["shift", "quarter turn", "turned and smaller", "affine", "perspective"])
def test_a_map_is_found_by_places_alone(name: str) -> None:
    truth = TRUTHS[name]
    matches = without_turns(made_matches(1, truth, 30, 40))
    order = np.random.default_rng(0).permutation(len(matches))  # true ones among the others
    fit = fit_homography(matches[order], SIZE, OTHER_SIZE, PAIRS)
    assert fit is not None
    found = set(order[fit.inliers].tolist())
    assert len(found & set(range(30))) >= 28
    places = matches.query[:30]
    assert np.abs(mapped(fit.reference_from_query, places) - mapped(truth, places)).max() < 3


def test_single_matches_find_no_turned_map_by_places_alone() -> None:
    matches = without_turns(made_matches(1, TRUTHS["quarter turn"], 30, 40))
    fit = fit_homography(matches, SIZE, OTHER_SIZE, GeometryOptions())
    assert fit is None or len(fit.inliers) < 10


@pytest.mark.parametrize("count", [0, 2, 3])
def test_few_matches_prove_nothing(count: int) -> None:
    fit = fit_homography(without_turns(made_matches(2, TRUTHS["shift"], count, 0)), SIZE, OTHER_SIZE, PAIRS)
    assert fit is None or fit.score < 4


def test_matches_in_one_place_propose_nothing() -> None:
    query = np.full((5, 2), 300.0)
    matches = without_turns(made_matches(3, TRUTHS["shift"], 5, 0, query=query, noise_px=0))
    assert len(agreement_with_pairs(matches, 6.0, 100).turns) == 0
    assert fit_homography(matches, SIZE, OTHER_SIZE, PAIRS) is None


def test_the_surest_pairs_are_tried_so_many() -> None:
    matches = made_matches(4, TRUTHS["identity"], 40, 0)
    found = agreement_with_pairs(matches, 1.0, 2)
    assert 10 <= len(found.turns) <= 16  # eight for each single match, less those that lie too close
    assert found.loosely.shape == found.closely.shape == (len(found.turns), 40)
    assert (found.loosely | ~found.closely).all()


def test_two_matches_that_fix_a_map_say_less_than_one() -> None:
    matches = made_matches(5, TRUTHS["identity"], 30, 0)
    rows = np.arange(12)
    scores = [weigh(matches, rows, SIZE, OTHER_SIZE, GeometryOptions(seeds=seeds)).score for seeds in (1, 2)]
    assert scores[0] > scores[1] > 0
    assert weigh(matches, rows[:1], SIZE, OTHER_SIZE, GeometryOptions(seeds=2)).score == 0
