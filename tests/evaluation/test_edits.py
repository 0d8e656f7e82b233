from __future__ import annotations

import numpy as np
import pytest

from featmatch.evaluation import edits
from featmatch.evaluation.compositions import EDITS
from featmatch.evaluation.edits import SMALLEST_PX, Picture
from tests.evaluation.arguments import random, red


def with_own(picture: Picture) -> Picture:
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


@pytest.mark.parametrize(("name", "strength"), [(name, s) for name, edit in EDITS.items() for s in edit.strengths])
def test_every_edit_changes_the_picture_and_repeats_itself(name: str, strength: float, small: Picture) -> None:
    before = small.copy()
    edited, again = (EDITS[name].function(small, strength, random(), red) for _ in range(2))
    assert edited.dtype == np.uint8
    assert edited.shape[2] == 3
    assert min(edited.shape[:2]) >= SMALLEST_PX
    np.testing.assert_array_equal(edited, again)
    np.testing.assert_array_equal(small, before)
    assert edited.shape != small.shape or (edited != small).any()


@pytest.mark.parametrize("name", [name for name, edit in EDITS.items() if edit.moves])
def test_edits_that_move_pixels_say_which_are_the_photos_own(name: str, small: Picture) -> None:
    edit = EDITS[name]
    strength = edit.strengths[0]
    edited = edit.function(with_own(small), strength, random(), red)
    alone = edit.function(small, strength, random(), red)
    np.testing.assert_allclose(edited[..., :3].astype(int), alone, atol=1)  # OpenCV rounds by the number of channels
    share = (edited[..., 3] > 127).mean()
    expected = {"paste-in": 0.5, "collage": 0.25}.get(name)
    assert share == pytest.approx(expected, abs=0.02) if expected else share > 0.6


@pytest.mark.parametrize("share", [0.8, 0.2, 0.05])
def test_crop_has_its_share_of_the_area(photo: Picture, share: float) -> None:
    for seed in range(10):
        piece = edits.crop(photo, share, random(seed))
        assert piece.shape[0] * piece.shape[1] / (451 * 300) == pytest.approx(share, rel=0.03)


def test_crop_is_a_piece_and_no_smaller_than_allowed(photo: Picture) -> None:
    piece = edits.crop(photo, 0.001, random())
    assert piece.shape == (SMALLEST_PX, SMALLEST_PX, 3)
    windows = np.lib.stride_tricks.sliding_window_view(photo[..., 0], piece.shape[:2])
    assert (windows == piece[..., 0]).all(axis=(2, 3)).any()


def test_rotation_turns_counter_clockwise_and_loses_nothing(small: Picture) -> None:
    np.testing.assert_allclose(edits.rotate(small, 90, random()).astype(int), np.rot90(small), atol=1)
    np.testing.assert_array_equal(edits.quarter_turn(small, 1), np.rot90(small))
    turned = edits.rotate(with_own(small), 30, random())
    assert (turned[..., 3] > 127).sum() == pytest.approx(small.shape[0] * small.shape[1], rel=0.01)


def test_mirror_and_negative_undo_themselves(small: Picture) -> None:
    for edit in (edits.mirror, edits.negative):
        assert (edit(small) != small).any()
        np.testing.assert_array_equal(edit(edit(small)), small)


def test_lower_quality_and_stronger_noise_are_further_away(small: Picture) -> None:
    def distance(other: Picture) -> float:
        return float(np.abs(other.astype(int) - small).mean())

    assert distance(edits.jpeg(small, 5)) > 2 * distance(edits.jpeg(small, 60)) > 0
    assert distance(edits.noise(small, 40, random())) > 2 * distance(edits.noise(small, 8, random())) > 0
    flat = np.full((200, 200, 3), 128, np.uint8)
    assert edits.noise(flat, 8, random()).std() == pytest.approx(8, rel=0.02)


def test_blur_has_its_sigma() -> None:
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20] = 255  # a line, whose profile is the Gaussian
    profile = edits.blur(dot, 2.0)[:, 20, 0].astype(float)
    offsets = np.arange(41) - 20
    assert np.sqrt((profile * offsets**2).sum() / profile.sum()) == pytest.approx(2.0, rel=0.05)


def test_sizes(small: Picture) -> None:
    height, width = small.shape[:2]
    assert edits.scale(small, 0.5).shape[:2] == (round(height / 2), round(width / 2))
    assert min(edits.scale(small, 0.01).shape[:2]) == SMALLEST_PX
    assert max(edits.thumbnail(small, 100).shape[:2]) == 100
    wide = edits.stretch(small, 1.6)
    assert wide.shape[1] / wide.shape[0] == pytest.approx(1.6 * width / height, rel=0.02)
    assert edits.border(small, 0.1, random()).shape[:2] == (height + 36, width + 36)


def test_colours(small: Picture) -> None:
    plain = np.full((4, 4, 3), (200, 40, 40), np.uint8)
    assert edits.hue(plain, 120)[0, 0].tolist() == [40, 200, 40]
    assert (np.ptp(edits.grey(small), axis=2) == 0).all()
    assert edits.tone(small, 2.5, random()).mean() < small.mean() < edits.tone(small, 0.4, random()).mean()


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_paste_in_shows_all_of_the_picture_at_its_share(share: float) -> None:
    for height, width in ((60, 200), (200, 60), (120, 120)):
        blue = np.full((height, width, 3), (0, 0, 255), np.uint8)
        pasted = edits.paste_in(blue, share, random(), red)
        own = pasted[..., 2] > 127
        rows, columns = own.any(axis=1).sum(), own.any(axis=0).sum()
        assert own.sum() == rows * columns  # a whole rectangle
        assert columns / rows == pytest.approx(width / height, rel=0.06)
        smallest = max(SMALLEST_PX**2 * max(width, height) / min(width, height) / (120 * 160), share)
        assert own.mean() == pytest.approx(smallest, rel=0.06)
        assert (pasted[~own] == [255, 0, 0]).all()


def test_stickers_cover_what_they_should() -> None:
    grey = np.full((300, 400, 3), 100, np.uint8)
    for share in (0.1, 0.4):
        covered = (edits.stickers_over(grey, share, random()) != grey).any(axis=2).mean()
        assert share <= covered < share + 0.1


def test_text_grows_with_its_share() -> None:
    grey = np.full((300, 400, 3), 100, np.uint8)
    little, much = ((edits.text_over(grey, share, random()) != grey).mean() for share in (0.1, 0.6))
    assert 0.005 < little < much / 2
