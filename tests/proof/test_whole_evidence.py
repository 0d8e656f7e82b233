from __future__ import annotations

import dataclasses

import pytest

from featmatch.proof.probability import probability_of
from featmatch.proof.proof import PROVEN
from featmatch.proof.whole_evidence import Likeness, WholeEvidence, whole_weights


def probability(evidence: WholeEvidence) -> float:
    return probability_of(evidence.score())


def test_the_odds_of_whole_pictures_are_a_weighted_sum() -> None:
    weights = whole_weights(with_pixels=True)
    odds = weights.layout * 90 + weights.share * 0.8 + weights.colours * 0.7 + weights.agreement * 0.6 + weights.odds
    assert WholeEvidence(Likeness(90, 0.8, 0.7), 0.6).score() == pytest.approx(odds)
    weights = whole_weights(with_pixels=False)
    odds = weights.layout * 90 + weights.share * 0.8 + weights.colours * 0.7 + weights.odds
    assert WholeEvidence(Likeness(90, 0.8, 0.7)).score() == pytest.approx(odds)
    assert weights.agreement == 0


def test_more_likeness_never_makes_whole_pictures_less_sure() -> None:
    for pixels in (True, False):
        assert min(whole_weights(with_pixels=pixels)[:-1]) >= 0
    alike = WholeEvidence(Likeness(150, 0.9, 0.9), 0.9)
    scores = [alike, WholeEvidence(Likeness(150, 0.9, 0.9), 0.2), WholeEvidence(Likeness(150, 0.5, 0.9), 0.2)]
    assert [one.score() for one in scores] == sorted((one.score() for one in scores), reverse=True)


def test_whole_pictures_of_which_only_an_outline_agrees_are_not_proven() -> None:
    alike = WholeEvidence(Likeness(100, 0.9, 0.95), 0.9)
    assert probability(alike) > 0.8
    outline = dataclasses.replace(alike, detail=0.0)
    assert probability(outline) < 0.8
    assert alike.score() - outline.score() == pytest.approx(4.0)
    half = dataclasses.replace(alike, detail=0.5)
    assert alike.score() - half.score() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("agreeing", "contradiction", "same"),
    [(60, 0.0, True), (60, 0.03, True), (60, 0.12, False), (28, 0.0, True), (20, 0.0, False), (250, 0.2, False)],
)
def test_drawings_of_which_nearly_all_cells_agree_are_the_same(agreeing: int, contradiction: float, same: bool) -> None:
    unseen = WholeEvidence(Likeness(5, 0.3, 0.7), 0.9)
    assert probability(unseen) < 0.1
    seen = dataclasses.replace(unseen, agreeing=agreeing, contradiction=contradiction)
    assert (probability(seen) >= PROVEN) is same
    assert seen.score() >= unseen.score()
    for outline in ({"agreement": 0.5}, {"detail": 0.5}):  # of smooth things
        assert probability(dataclasses.replace(seen, agreeing=60, **outline)) < PROVEN  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "is_one"), [(0.69, False), (0.7, True)])
def test_two_of_one_outline_are_not_of_one_layout(share: float, is_one: bool) -> None:
    assert Likeness(10.0, share, 0.9).is_one_layout is is_one


def test_cells_add_nothing_where_the_look_says_more() -> None:
    alike = WholeEvidence(Likeness(150, 0.9, 0.9), 0.9)
    assert dataclasses.replace(alike, agreeing=20, contradiction=0.3).score() == alike.score()


def test_the_score_grows_with_all_evidence() -> None:
    def score(layout: float, share: float, colours: float, agreement: float | None) -> float:
        return WholeEvidence(Likeness(layout, share, colours), agreement).score()

    assert score(150, 1, 1, None) > score(150, 0.5, 1, None) > score(20, 0.5, 1, None)
    assert score(150, 1, 1, 1) > score(150, 1, 1, 0.2)
    assert score(150, 1, 1, 1) > score(150, 1, 0.5, 1)
