from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation import edits
from featmatch.evaluation.decorations import DECORATIONS
from featmatch.evaluation.edits import Random

Photos = dict[str, NDArray[np.uint8]]


def random(seed: int) -> Random:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", list(DECORATIONS))
def test_decorations_of_one_design_have_it_in_common(name: str, photos: Photos) -> None:
    first, second = (edits.scale(photos[photo], 0.5) for photo in ("coffee", "chelsea"))
    second = np.ascontiguousarray(np.resize(second, first.shape))
    decorate = DECORATIONS[name]
    a, b = decorate(first, random(1), random(5)), decorate(second, random(1), random(6))
    other = decorate(first, random(2), random(5))
    assert a.dtype == np.uint8
    assert a.shape == b.shape
    assert (a != b).any()
    assert a.shape != other.shape or (a != other).any()
    if name not in ("halftone", "tiles"):  # those have their pattern in common, not their pixels
        assert (a == b).all(axis=2).mean() > 0.02


PHOTO = np.full((200, 300, 3), 128, np.uint8)


@pytest.mark.parametrize("name", ["caption", "logo", "halftone", "face", "tiles"])
def test_these_keep_the_frame(name: str) -> None:
    assert DECORATIONS[name](PHOTO, random(1), random(2)).shape == PHOTO.shape


@pytest.mark.parametrize("name", ["caption", "frame", "logo", "plain border", "face"])
def test_these_leave_most_of_the_photo_in_its_place(name: str) -> None:
    for seed in range(5):
        decorated = DECORATIONS[name](PHOTO, random(seed), random(2))
        height, width = decorated.shape[:2]
        top, left = (height - 200) // 2, (width - 300) // 2
        inside = decorated[top : top + 200, left : left + 300]
        assert 0.6 < (inside == 128).all(axis=2).mean() <= 1
        assert (inside == 128).all() == (name in ("frame", "plain border"))


@pytest.mark.parametrize("name", ["frame", "plain border"])
def test_borders_are_the_same_on_all_sides(name: str) -> None:
    for seed in range(5):
        decorated = DECORATIONS[name](PHOTO, random(seed), random(2))
        margin = (decorated.shape[0] - 200) // 2
        assert decorated.shape == (200 + 2 * margin, 300 + 2 * margin, 3)
        assert 0.09 * 200 <= margin <= 0.36 * 200


@pytest.mark.parametrize("name", ["template", "text page"])
def test_pages_have_text_of_their_own(name: str) -> None:
    first, again, other = (DECORATIONS[name](PHOTO, random(1), random(own)) for own in (2, 2, 3))
    assert first.shape == (800, 600, 3)
    np.testing.assert_array_equal(first, again)
    differing = (first != other).any(axis=2)
    assert 0.01 < differing.mean() < 0.3
    assert not differing[:30].any()


def test_a_text_page_shows_nothing_of_the_photo_and_a_template_all_of_it(photos: Photos) -> None:
    page = DECORATIONS["text page"]
    np.testing.assert_array_equal(page(PHOTO, random(1), random(2)), page(photos["coffee"], random(1), random(2)))
    form = DECORATIONS["template"](np.full((200, 300, 3), (250, 1, 2), np.uint8), random(1), random(2))
    assert (form == (250, 1, 2)).all(axis=2).sum() > 0.97 * 360 * 270


def test_a_wall_of_tiles_repeats_itself_around_the_photo() -> None:
    wall = DECORATIONS["tiles"](PHOTO, random(1), random(2))
    photo = (wall == 128).all(axis=2)
    assert photo.mean() == pytest.approx(0.36, abs=0.01)
    other = DECORATIONS["tiles"](PHOTO, random(1), random(3))
    assert ((other == 128).all(axis=2) != photo).any()
    repeats = [side for side in range(24, 48) if (wall[:5, side:] == wall[:5, :-side]).all() or
               (wall[-5:, side:] == wall[-5:, :-side]).all()]  # fmt: skip
    assert repeats


def test_a_halftone_is_black_ink_that_follows_the_shade() -> None:
    dark, light = (DECORATIONS["halftone"](np.full_like(PHOTO, shade), random(1), random(2)) for shade in (60, 200))
    assert set(np.unique(dark)) == {0, 255}
    assert dark.mean() + 50 < light.mean()
