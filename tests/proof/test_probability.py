from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from featmatch.proof.probability import (
    SISTER,
    FeatureEvidence,
    feature_weights,
    probability_of,
)
from featmatch.proof.proof import PROVEN
from featmatch.proof.whole_evidence import Likeness, WholeEvidence

DETECTORS = ("sift", "akaze", "orb", "brisk", "other")


def features(geometry: float, **others: Any) -> FeatureEvidence:
    """Clear and even features, all of them distinct, of which no pixels were compared."""
    said: dict[str, Any] = {"distinct": geometry, "clarity": 1.0, "evenness": 1.0, "detector": "sift", **others}
    return FeatureEvidence(geometry, **said)


def probability(evidence: FeatureEvidence) -> float:
    return probability_of(evidence.score())


SURE = features(60.0, evenness=0.95, agreement=0.95)


@pytest.mark.parametrize("detector", DETECTORS)
def test_much_evidence_is_proof_and_none_is_not(detector: str) -> None:
    sure = dataclasses.replace(SURE, detector=detector)
    assert probability(sure) > 0.95
    assert probability(dataclasses.replace(sure, agreement=None)) > 0.9
    assert probability(features(1.0, evenness=0.9, agreement=0.0, detector=detector)) < 0.1
    assert probability(features(1.0, evenness=0.9, detector=detector)) < 0.2


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("detector", DETECTORS)
def test_more_of_any_evidence_never_makes_it_less_sure(detector: str, pixels: bool) -> None:
    weights = feature_weights(detector, with_pixels=pixels)
    assert weights.geometry > 0
    assert min(weights.agreement, weights.evenness) >= 0
    assert (weights.agreement > 0) == pixels


def test_each_detector_has_weights_and_one_without_any_has_those_of_others() -> None:
    found = [feature_weights(detector, with_pixels=True) for detector in DETECTORS]
    assert len(set(found)) == len(DETECTORS)
    assert feature_weights("surf", with_pixels=True) == found[DETECTORS.index("other")]


def test_the_odds_are_those_of_no_chance_and_of_no_mere_part() -> None:
    evidence = features(12.0, distinct=7.0, clarity=0.9, evenness=0.7, agreement=0.6, detail=0.8)
    weights = feature_weights("sift", with_pixels=True)
    clear = 0.9 * 0.8 * 0.6
    no_chance = probability_of(weights.geometry * 7.0 + weights.agreement * clear + weights.chance)
    no_part = probability_of(weights.evenness * 0.7 + weights.sameness * clear**2 + weights.part)
    assert 0.01 < no_chance * no_part < 0.99
    assert probability(evidence) == pytest.approx(no_chance * no_part * probability_of(weights.content))


def test_a_caption_over_another_photo_is_no_copy() -> None:
    assert probability(features(150.0, evenness=0.3, agreement=0.3)) < PROVEN


def test_what_recurs_counts_a_third_if_it_was_seen_where_they_differ_and_else_not_at_all() -> None:
    shared = features(100.0, distinct=10.0, evenness=0.7, agreement=0.9)
    assert shared.counted == 10
    assert dataclasses.replace(shared, agreement=None).counted == 10
    assert dataclasses.replace(shared, contradiction=0.0).counted == 40
    assert dataclasses.replace(shared, contradiction=0.0, is_coarse=True).counted == 10
    assert dataclasses.replace(shared, contradiction=0.0, is_small=True).counted == 10
    assert dataclasses.replace(shared, contradiction=0.0, is_sister=True).counted == 100


def test_few_features_that_others_have_as_well_are_no_copy() -> None:
    """A sign of another word: a letter and the frame agree, with all signs."""
    alone = features(18.0, evenness=0.6, agreement=0.3, contradiction=0.3, agreeing=20)
    assert probability(alone) > PROVEN > probability(dataclasses.replace(alone, distinct=0.0))


@pytest.mark.parametrize("agreement", [0.79, 0.8, 0.81])
def test_no_agreement_is_a_cliff(agreement: float) -> None:
    shared = features(100.0, distinct=20.0, evenness=0.7, agreement=agreement, contradiction=0.02, enclosed=0.02)
    more = dataclasses.replace(shared, agreement=agreement + 0.001)
    assert 0 <= more.score() - shared.score() < 0.05


def test_what_contradicts_speaks_against_a_copy_and_not_against_a_design(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = feature_weights("sift", with_pixels=True)._replace(contradiction=2.0, enclosed=3.0)
    monkeypatch.setattr("featmatch.proof.probability.feature_weights", lambda *_, **__: weights)
    clear = features(100.0, agreement=0.9, contradiction=0.0, agreeing=200)
    other = dataclasses.replace(clear, contradiction=0.6, enclosed=0.5)
    assert other.own == pytest.approx(weights.content - 0.6 * weights.contradiction - 0.5 * weights.enclosed)
    assert clear.score() > other.score()
    assert probability(other) == pytest.approx(probability_of(other.design_score) * probability_of(other.own))
    assert dataclasses.replace(clear, contradiction=None).own == clear.own == weights.content


def test_two_contents_are_told_where_most_of_what_is_enclosed_contradicts() -> None:
    shared = features(100.0, agreement=0.74, contradiction=0.5, enclosed=0.54, agreeing=30)
    assert probability(shared) > 0.8
    other = dataclasses.replace(shared, enclosed=0.55)
    assert probability(other) < 0.02
    assert probability_of(other.design_score) > 0.8
    assert probability(dataclasses.replace(other, agreeing=29)) > 0.8  # too few to tell
    assert probability(dataclasses.replace(other, agreement=0.75)) > 0.8  # a blurred print: its pixels agree all over


@pytest.mark.parametrize(
    ("agreeing", "exchanged", "copy"), [(60, 3, True), (60, 4, False), (200, 10, True), (200, 11, False)]
)
def test_two_contents_are_told_where_each_shows_what_the_other_lacks(agreeing: int, exchanged: int, copy: bool) -> None:
    evidence = dataclasses.replace(SURE, contradiction=0.0, agreeing=agreeing, exchanged=exchanged)
    assert (probability(evidence) > 0.8) is copy
    assert probability_of(evidence.design_score) > 0.8


@pytest.mark.parametrize(
    "against", [{"enclosed": 0.42, "agreeing": 25}, {"exchanged": 2, "agreeing": 200}], ids=["enclosed", "exchanged"]
)
def test_less_tells_two_contents_where_few_features_agree_by_their_descriptors(against: dict[str, float]) -> None:
    few = features(30.0, evenness=0.8, agreement=0.7, contradiction=0.3, agreeing=25, by_descriptors=True)
    assert not few.has_another_content
    told = dataclasses.replace(few, **against)  # type: ignore[arg-type]
    assert told.has_another_content
    assert probability(told) < 0.1
    assert probability(few) >= PROVEN
    for other in ({"geometry": 36.0}, {"by_descriptors": False}):
        assert not dataclasses.replace(told, **other).has_another_content
    for less in ({"agreeing": 19, "exchanged": 0}, {"enclosed": 0.38, "exchanged": 1}):
        assert not dataclasses.replace(told, **less).has_another_content


def test_hardly_any_features_by_descriptors_are_another_content_where_most_contradicts() -> None:
    told = features(9.0, evenness=1.0, agreement=0.8, contradiction=0.65, agreeing=10, by_descriptors=True)
    assert told.has_another_content
    for other in ({"geometry": 11.0}, {"contradiction": 0.55}, {"by_descriptors": False}):
        assert not dataclasses.replace(told, **other).has_another_content


def test_few_features_are_another_content_where_print_contradicts() -> None:
    told = features(34.0, evenness=1.0, agreement=0.85, contradiction=0.1, agreeing=60, stark=0.13)
    assert told.has_another_content
    assert probability(told) < 0.1
    assert probability_of(told.design_score) > PROVEN
    for other in ({"geometry": 36.0}, {"stark": 0.11}, {"agreement": 0.95}):
        assert not dataclasses.replace(told, **other).has_another_content  # type: ignore[arg-type]


def test_print_that_contradicts_is_another_content_where_few_features_a_cell_agree() -> None:
    told = features(99.0, evenness=1.0, agreement=0.85, contradiction=0.09, agreeing=100, redrawn=0.09)
    assert told.has_another_content
    assert probability(told) < 0.1
    assert probability_of(told.design_score) > PROVEN
    assert dataclasses.replace(told, geometry=20.0).has_another_content
    for other in ({"geometry": 101.0}, {"geometry": 19.0}, {"agreeing": 98}, {"redrawn": 0.07}, {"agreement": 0.95}):
        copy = dataclasses.replace(told, **other)
        assert not copy.has_another_content
        assert probability(copy) > PROVEN


def test_few_features_are_another_content_where_half_of_a_small_region_contradicts() -> None:
    told = features(19.0, evenness=1.0, agreement=0.7, contradiction=0.46, agreeing=12, is_small=True)
    assert told.has_another_content
    assert probability(told) < 0.1
    for other in ({"geometry": 20.0}, {"contradiction": 0.44}, {"agreement": 0.75}, {"is_small": False}):
        unlike = dataclasses.replace(told, **other)
        assert not unlike.has_another_content
        assert probability(unlike) > PROVEN


def test_cells_of_a_small_region_only_speak_against() -> None:
    unseen = features(15.0, distinct=9.0, evenness=0.8, agreement=0.6, in_form=True)
    seen = dataclasses.replace(unseen, contradiction=0.2, agreeing=40, is_small=True)
    assert seen.score() == unseen.score()
    assert dataclasses.replace(seen, is_small=False).score() != unseen.score()
    assert dataclasses.replace(seen, agreement=0.45, contradiction=0.35).is_unsupported


@pytest.mark.parametrize(("by_descriptors", "in_form"), [(True, False), (False, True), (True, True)])
def test_few_features_found_in_many_ways_are_not_believed_against_the_pixels(
    by_descriptors: bool, in_form: bool
) -> None:
    by_words = features(14.0, evenness=0.7, agreement=0.45, contradiction=0.35, agreeing=40)
    few = dataclasses.replace(by_words, by_descriptors=by_descriptors, in_form=in_form)
    assert few.is_unsupported
    assert not by_words.is_unsupported
    assert probability(few) < 0.8 < probability(by_words)
    assert few.score() < by_words.score() - 2
    for better in (
        dataclasses.replace(few, geometry=20.0), dataclasses.replace(few, agreement=0.5),
        dataclasses.replace(few, contradiction=0.3),
    ):  # fmt: skip
        assert not better.is_unsupported
    unclear = dataclasses.replace(few, agreement=0.5, clarity=0.9)  # of a repeated pattern
    assert unclear.is_unsupported


@pytest.mark.parametrize(("contradiction", "enough"), [(0.0, 50), (0.2, 40), (0.9, 5)])
def test_few_features_of_a_form_are_not_believed_where_hardly_a_cell_says_anything(
    contradiction: float, enough: int
) -> None:
    """Corners and outlines of flat and smooth things are much alike, and their pixels agree as well."""
    as_it_is = features(9.0, evenness=1.0, agreement=0.8, contradiction=contradiction, agreeing=enough - 1)
    flat = dataclasses.replace(as_it_is, in_form=True)
    assert flat.is_unsupported
    assert probability(flat) < PROVEN < probability(as_it_is)
    for better in (
        as_it_is, dataclasses.replace(as_it_is, by_descriptors=True), dataclasses.replace(flat, agreeing=enough),
        dataclasses.replace(flat, geometry=20.0), dataclasses.replace(flat, contradiction=None, agreeing=0),
    ):  # fmt: skip
        assert not better.is_unsupported


def test_a_sister_is_no_copy_however_much_agrees() -> None:
    sister = dataclasses.replace(SURE, contradiction=0.05, is_sister=True)
    assert sister.own == SISTER
    assert probability(sister) < 0.05
    assert probability_of(sister.design_score) > 0.9


def test_pixels_of_a_repeated_pattern_say_little() -> None:
    clear = features(8.0, agreement=0.95)
    assert probability(clear) > 0.5 > probability(dataclasses.replace(clear, clarity=0.1))


def test_pixels_of_a_flat_shape_say_little() -> None:
    clear = features(9.0, agreement=0.99)
    assert probability(clear) > 0.8
    assert probability(dataclasses.replace(clear, detail=0.25)) < 0.5
    assert probability(dataclasses.replace(SURE, detail=0.25)) > 0.8  # features enough


def test_the_surest_are_still_told_apart() -> None:
    given = ((50, 0.8, 0.8), (90, 0.9, 0.9), (400, 1, 1))
    scores = [features(geometry, evenness=even, agreement=agreement).score() for geometry, even, agreement in given]
    assert scores == sorted(set(scores))


def test_extremes_are_finite() -> None:
    for geometry in (-1e6, 1e6):
        assert 0 <= probability(features(geometry, agreement=1.0)) <= 1
    assert probability_of(-1e6) < 1e-100
    assert probability_of(0.0) == 0.5
    assert probability_of(1e6) == 1


def test_pixels_that_agree_all_over_outweigh_uneven_inliers() -> None:
    uneven = features(60.0, evenness=0.32, agreement=0.9)
    assert probability(uneven) > PROVEN > probability(dataclasses.replace(uneven, agreement=0.3))


def test_probabilities_grow_with_the_score_and_stay_within_bounds() -> None:
    found = [probability_of(score) for score in (-1e6, -5, 0, 3, 6, 9, 20, 1e6)]
    assert found == sorted(found)
    assert 0 <= found[0] < found[-1] <= 1


# JSON


def test_both_kinds_print_the_same_keys() -> None:
    by_features = features(8.0, distinct=7.0, clarity=0.5, evenness=0.25, agreement=0.75, detail=0.125).to_dict()
    as_whole = WholeEvidence(Likeness(90, 0.5, 0.25), 0.75, 0.125).to_dict()
    assert by_features == {
        "geometry": 8.0, "distinct": 7.0, "clarity": 0.5, "evenness": 0.25, "agreement": 0.75, "whole": None,
        "detail": 0.125, "contradiction": None, "enclosed": 0.0, "agreeing": 0, "exchanged": 0, "stark": 0.0,
        "redrawn": 0.0, "depth_steps": 0, "is_coarse": False, "is_small": False, "is_sister": False,
        "by_descriptors": False, "in_form": False,
    }  # fmt: skip
    assert json.loads(json.dumps(as_whole)) == {
        "geometry": 0.0, "distinct": 0.0, "clarity": 0.0, "evenness": 0.0, "agreement": 0.75,
        "whole": [90, 0.5, 0.25], "detail": 0.125, "contradiction": None, "enclosed": 0.0, "agreeing": 0,
        "exchanged": 0, "stark": 0.0, "redrawn": 0.0, "depth_steps": 0, "is_coarse": False, "is_small": False,
        "is_sister": False, "by_descriptors": False, "in_form": False,
    }  # fmt: skip
    assert list(by_features) == list(as_whole)
