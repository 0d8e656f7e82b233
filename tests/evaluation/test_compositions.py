from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from featmatch.evaluation import compositions, edits
from featmatch.evaluation.compositions import EDITS, Step, compose
from featmatch.evaluation.edits import SMALLEST_PX, Picture, Random
from tests.evaluation.arguments import random, red


def test_steps_read_well() -> None:
    steps = [Step("crop", 7.04), Step("rotation", 131.3), Step("JPEG", 12), Step("mirror", 1), Step("scale", 0.456)]
    assert ", ".join(map(str, steps)) == "crop 7 %, rotation 131°, JPEG 12, mirror, scale 0.46"


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Picture, list[Step]]]:
    """Compositions of a small blue picture."""
    blue = np.full((90, 135, 3), (0, 0, 255), np.uint8)
    return [compose(blue, random(seed), red) for seed in range(400)]


def test_compositions_are_drawn_as_they_are_said_to_be(drawn: list[tuple[Picture, list[Step]]]) -> None:
    counts = Counter(len(steps) for _, steps in drawn)
    for count, share in ((1, 0.25), (2, 0.35), (3, 0.25), (4, 0.15)):
        assert counts[count] / 400 == pytest.approx(share, abs=0.07)
    names = Counter(step.edit for _, steps in drawn for step in steps)
    assert set(names) == {name for name, edit in EDITS.items() if edit.draw}
    others = [count for name, count in names.items() if EDITS[name].weight == 1]
    for name in ("crop", "rotation", "paste-in"):
        assert names[name] / np.mean(others) == pytest.approx(2, abs=0.6)
    assert all(len({step.edit for step in steps}) == len(steps) for _, steps in drawn)
    assert min(min(picture.shape[:2]) for picture, _ in drawn) >= SMALLEST_PX


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("crop", 4, 80), ("JPEG", 5, 30), ("blur", 0.8, 3.5), ("noise", 8, 40), ("scale", 0.2, 1.8), ("paste-in", 6, 50)],
)
def test_strengths_fill_their_ranges(name: str, low: float, high: float) -> None:
    draw = EDITS[name].draw
    assert draw is not None
    source = random()
    strengths = np.array([draw(source) for _ in range(2000)])
    assert low <= strengths.min() < low + (high - low) / 20
    assert high - (high - low) / 20 < strengths.max() <= high
    middle = (low * high) ** 0.5 if name == "crop" else (low + high) / 2  # crops are drawn by their logarithm
    assert np.median(strengths) == pytest.approx(middle, rel=0.1)


def test_enough_of_the_photo_is_left_in_a_composition(drawn: list[tuple[Picture, list[Step]]]) -> None:
    seen = 0
    for picture, steps in drawn:
        if {step.edit for step in steps} <= {"crop", "paste-in", "mirror", "quarter turn", "collage"} and len(
            steps
        ) > 1:
            seen += 1
            assert (picture[..., 2] > 127).sum() >= SMALLEST_PX**2
    assert seen > 10


def test_edits_of_colours_keep_what_is_known_of_the_photo(small: Picture) -> None:
    own = np.random.default_rng(1).integers(0, 256, small.shape[:2]).astype(np.uint8)
    seen = np.dstack([small, own])
    for edit in EDITS.values():
        edited = compositions._apply(edit, seen, edit.strengths[0], random(), red)
        assert edited.shape[2] == 4
        if not edit.moves:
            np.testing.assert_array_equal(edited[..., 3], own)
            np.testing.assert_array_equal(edited[..., :3], edit.function(small, edit.strengths[0], random(), red))
        else:
            assert edited[..., 3].shape != own.shape or (edited[..., 3] != own).any()


def test_an_edit_that_never_succeeds_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def vanish(picture: Picture, strength: float, random: Random, others: edits.Others) -> Picture:
        tries.append(strength)
        return picture[: SMALLEST_PX - 1]

    monkeypatch.setitem(EDITS, "crop", compositions.Edit(vanish, draw=lambda random: random.random(), moves=True))
    monkeypatch.setattr(compositions, "_COMPOSED", ("crop",) * 4)
    blue = np.full((60, 60, 3), (0, 0, 255), np.uint8)
    picture, steps = compose(blue, random(), red)
    assert steps == []
    np.testing.assert_array_equal(picture, blue)
    assert len(tries) % 200 == 0
    assert len(set(tries)) == len(tries) // 50  # each strength is tried at several places


def test_the_strength_of_a_step_has_two_digits() -> None:
    said = {
        Step("crop", 4.26): "crop 4.3 %",
        Step("crop", 12.6): "crop 13 %",
        Step("rotation", -7.26): "rotation -7.3°",
        Step("blur", 0.876): "blur 0.88 px",
        Step("grey", 1.0): "grey",
    }
    assert {step: str(step) for step in said} == said
