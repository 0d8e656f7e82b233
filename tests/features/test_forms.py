"""Other forms of a picture: their pixels, and the way back to the picture."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch import UsageError
from featmatch.features import forms
from featmatch.features.forms import FORMS, Form, forms_of, forms_to_verify, seen_in
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage, resized


def dotted(width: int, height: int, spots: np.ndarray) -> GreyImage:
    """A grey picture with a soft dark spot around each place, px; twice as large as it is read."""
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width), 230.0)
    for across, down in spots:
        pixels -= 200 * np.exp(-((x - across) ** 2 + (y - down) ** 2) / 18)
    return GreyImage(np.rint(pixels).astype(np.uint8), 2 * width, 2 * height, 2.0, 2.0)


SPOTS = np.array([[40.0, 30], [150, 40], [60, 110], [160, 100]])


@pytest.mark.parametrize(
    "form",
    [
        Form(1.6, 0), Form(1.6, 90, area_px=10_000), Form(2.4, 45), Form(4, 22.5), Form(4, 157.5), Form(enlarge=2),
        Form(filter="blur"), Form(filter="sharpen"), Form(area_px=8_000),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_seen_in_a_form_is_found_in_the_picture(form: Form) -> None:
    grey = dotted(200, 140, SPOTS)
    seen = form.of(grey)
    back = seen.original_from_form
    places = project(np.asarray(np.linalg.inv(back), np.float64), 2 * SPOTS + 0.5)
    darkness = 230.0 - seen.grey.pixels
    y, x = np.mgrid[: darkness.shape[0], : darkness.shape[1]]
    for place in places:
        around = (np.abs(x - place[0]) < 9) & (np.abs(y - place[1]) < 9) & (darkness > 40)
        weights = darkness[around]
        middle = np.array([(x[around] * weights).sum(), (y[around] * weights).sum()]) / weights.sum()
        assert np.abs(middle - place).max() < 0.6
    assert (seen.grey.width, seen.grey.height) == seen.grey.pixels.shape[::-1]


def test_a_picture_is_stretched_along_the_direction_that_is_asked_for() -> None:
    grey = dotted(200, 140, SPOTS)
    assert Form(2.0, 0).of(grey).grey.pixels.shape == (140, 400)
    assert Form(2.0, 90).of(grey).grey.pixels.shape == (280, 200)
    along, across = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    linear = np.linalg.inv(Form(3.0, 45).of(grey).original_from_form)[:2, :2]
    assert np.allclose(linear @ along, 3 * along / 2)
    assert np.allclose(linear @ across, across / 2)


def test_forms_of_one_size_are_scaled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grey, sizes = dotted(400, 300, SPOTS), []

    def resized_once(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        sizes.append(size)
        return resized(pixels, size)

    forms_tried = [Form(1.6, 0, area_px=30_000), Form(1.6, 90, area_px=30_000), Form(area_px=30_000), Form()]
    alone = [form.of(grey) for form in forms_tried]
    monkeypatch.setattr(forms, "resized", resized_once)
    together = list(seen_in(grey, forms_tried))
    assert sizes == [(158, 119), (200, 150)]
    for one, other in zip(together, alone, strict=True):
        assert one.form == other.form
        assert (one.grey.pixels == other.grey.pixels).all()
        assert (one.original_from_form == other.original_from_form).all()


def test_a_form_is_no_larger_than_it_may_be() -> None:
    grey = dotted(400, 300, SPOTS)
    assert Form(enlarge=2, area_px=480_000).of(grey).grey.pixels.shape == (600, 800)
    assert Form(enlarge=2, area_px=67_500).of(grey).grey.pixels.shape == (225, 300)
    assert Form(area_px=30_000).of(grey).grey.pixels.shape == (150, 200)
    assert Form(area_px=10_000).of(grey).grey.pixels.shape == (150, 200)  # a quarter of its own area
    assert Form(area_px=1_000, part=16).of(grey).grey.pixels.shape == (75, 100)
    for form in itertools.chain.from_iterable(one.forms for one in forms_to_verify("all")):
        small = dataclasses.replace(form, area_px=20_000).of(grey)
        assert small.grey.pixels.size <= 2.6 * 30_000 * form.stretch**0.5  # with the black around it


def test_forms_are_the_same_bits_everywhere() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120)).astype(np.uint8)
    grey = GreyImage(noise, 120, 90, 1.0, 1.0)
    stretched = Form(1.6, 30).of(grey).grey.pixels
    assert stretched.dtype == np.uint8
    told = [
        hashlib.sha256(Form(filter=kind).of(grey).grey.pixels.tobytes()).hexdigest()[:8] for kind in ("blur", "sharpen")
    ]
    assert [hashlib.sha256(stretched.tobytes()).hexdigest()[:8], *told] == ["719395c8", "e91bcd28", "921049d0"]


def test_filters_do_what_they_are_called() -> None:
    grey = dotted(200, 140, SPOTS)
    spread = {kind: Form(filter=kind).of(grey).grey.pixels.std() for kind in ("none", "blur", "sharpen")}
    assert spread["blur"] < spread["none"] < spread["sharpen"]
    even = GreyImage(np.full((40, 50), 77, np.uint8), 50, 40, 1.0, 1.0)
    for form in (Form(filter="blur"), Form(filter="sharpen"), Form(1.6, 0)):
        assert set(np.unique(form.of(even).grey.pixels)) == {77}


def test_sets_have_names() -> None:
    few, everything, none = map(forms_of, FORMS)
    assert none == ()
    assert [forms_to_verify(name) for name in ("few", "none")] == [few, none]
    assert forms_to_verify("all")[:-1] == everything
    assert list(map(str, everything[0].forms)) == list(map(str, few[1].forms))
    assert [{form.eighths for form in one.forms} for one in (*few, *everything)] == [
        {3}, {3}, {5}, {5}, {8}, {8}, {8},
    ]  # fmt: skip
    assert everything[1].forms == few[4].forms
    assert all(len(set(one.forms)) == len({str(form) for form in one.forms}) for one in forms_to_verify("all"))


def test_a_round_is_for_pictures_of_a_size_or_where_an_image_stands_out() -> None:
    pictures = [GreyImage(np.zeros((side, side), np.uint8), side, side, 1.0, 1.0) for side in (100, 141, 142, 800)]
    of_small, first, of_large, more_of_large, more = forms_of("few")
    for probability in (0.0, 0.02):
        assert [of_small.is_for(one, probability) for one in pictures] == [True, True, False, False]
        assert [first.is_for(one, probability) for one in pictures] == [False, False, True, False]
        for of_it in (of_large, more_of_large):
            assert [of_it.is_for(one, probability) for one in pictures] == [False, False, False, True]
        assert [more.is_for(one, probability) for one in pictures] == [probability > 0] * 4
    of_parts = [one.of_part() for one in forms_of("few")]
    assert [one.is_for(pictures[0], 0.0) for one in of_parts] == [True, True, False, False, False]
    assert all(one.is_for(pictures[0], 0.0) for one in forms_to_verify("all"))


def test_a_small_picture_is_looked_at_twice_as_large() -> None:
    (form,) = forms_of("few")[0].forms
    grey = dotted(100, 80, SPOTS)
    assert form.of(grey).grey.pixels.shape == (160, 200)


def test_sets_of_another_name_are_refused() -> None:
    with pytest.raises(UsageError, match="few, all, none, not 'some'"):
        forms_of("some")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="forms is one of"):
        forms_to_verify("some")  # type: ignore[arg-type]
