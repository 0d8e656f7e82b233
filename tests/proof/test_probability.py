from __future__ import annotations

import dataclasses

import pytest

from featmatch.proof.probability import COPY_AGREEMENT, Evidence, fit_of, probability_of, score_of

SURE = Evidence(geometry=60.0, distinct=60.0, clarity=1.0, evenness=0.95, agreement=0.95)


def probability(evidence: Evidence, detector: str = "sift") -> float:
    return probability_of(score_of(evidence, detector))


@pytest.mark.parametrize("detector", ["sift", "akaze", "orb", "brisk", "other"])
def test_much_evidence_is_proof_and_none_is_not(detector: str) -> None:
    assert probability(SURE, detector) > 0.95
    assert probability(dataclasses.replace(SURE, agreement=None), detector) > 0.9
    assert probability(Evidence(1.0, 1.0, 1.0, 0.9, 0.0), detector) < 0.1
    assert probability(Evidence(1.0, 1.0, 1.0, 0.9), detector) < 0.2


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("detector", ["sift", "akaze", "orb", "brisk", "other"])
def test_more_of_any_evidence_never_makes_it_less_sure(detector: str, pixels: bool) -> None:
    fit = fit_of(detector, with_pixels=pixels)
    assert fit.geometry > 0
    assert min(fit.agreement, fit.evenness) >= 0


def test_a_caption_over_another_photo_is_no_copy() -> None:
    assert probability(Evidence(geometry=150.0, distinct=150.0, clarity=1.0, evenness=0.3, agreement=0.3)) < 0.5


def test_what_recurs_does_not_count_unless_all_pixels_agree() -> None:
    shared = Evidence(geometry=100.0, distinct=0.0, clarity=1.0, evenness=0.7, agreement=COPY_AGREEMENT - 0.1)
    assert probability(shared) < 0.5
    assert shared.counted == 0
    assert dataclasses.replace(shared, agreement=COPY_AGREEMENT + 0.1).counted == 100


def test_pixels_of_a_repeated_pattern_say_little() -> None:
    clear = Evidence(geometry=8.0, distinct=8.0, clarity=1.0, evenness=1.0, agreement=0.95)
    assert probability(clear) > 0.5 > probability(dataclasses.replace(clear, clarity=0.1))


def test_pixels_of_a_flat_shape_say_little() -> None:
    clear = Evidence(geometry=9.0, distinct=9.0, clarity=1.0, evenness=1.0, agreement=0.99)
    assert probability(clear) > 0.8
    assert probability(dataclasses.replace(clear, detail=0.25)) < 0.5
    assert probability(dataclasses.replace(SURE, detail=0.25)) > 0.95  # features enough


def test_the_surest_are_still_told_apart() -> None:
    scores = [score_of(Evidence(g, g, 1.0, e, a), "sift") for g, e, a in ((50, 0.8, 0.8), (90, 0.9, 0.9), (400, 1, 1))]
    assert scores == sorted(set(scores))


def test_extremes_are_finite() -> None:
    for geometry in (-1e6, 1e6):
        assert 0 <= probability(Evidence(geometry, geometry, 1.0, 1.0, 1.0)) <= 1


def test_pixels_that_agree_all_over_outweigh_uneven_inliers() -> None:
    uneven = Evidence(geometry=60.0, distinct=60.0, clarity=1.0, evenness=0.32, agreement=0.9)
    assert probability(uneven) > 0.8 > probability(dataclasses.replace(uneven, agreement=0.6))


def test_probabilities_grow_with_the_score_and_stay_within_bounds() -> None:
    found = [probability_of(score) for score in (-1e6, -5, 0, 3, 6, 9, 20, 1e6)]
    assert found == sorted(found)
    assert 0 <= found[0] < found[-1] <= 1
