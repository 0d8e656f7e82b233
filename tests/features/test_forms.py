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
from featmatch.features.forms import FORMS, Form, SeenForm, forms_of, forms_to_verify, seen_in
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage, resized


def dotted(width: int, height: int, spots: np.ndarray) -> GreyImage:
    """A grey picture with a soft dark spot around each place, px; twice as large as it is read."""
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width), 230.0)
    for across, down in spots:
        pixels -= 200 * np.exp(-((x - across) ** 2 + (y - down) ** 2) / 18)
    return GreyImage(np.rint(pixels).astype(np.uint8), 2 * width, 2 * height, 2.0, 2.0)


def seen(form: Form, grey: GreyImage) -> SeenForm:
    """A picture in a form that is for it."""
    found = form.of(grey)
    assert found is not None
    return found


SPOTS = np.array([[40.0, 30], [150, 40], [60, 110], [160, 100]])


@pytest.mark.parametrize(
    "form",
    [
        Form(1.6, 0), Form(1.6, 90, area_px=10_000), Form(2.4, 45), Form(4, 22.5), Form(4, 157.5), Form(enlarge=2),
        Form(filter="blur"), Form(filter="sharpen"), Form(area_px=8_000), Form(1.6, None),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_seen_in_a_form_is_found_in_the_picture(form: Form) -> None:
    grey = dotted(200, 140, SPOTS)
    found = seen(form, grey)
    back = found.original_from_form
    places = project(np.asarray(np.linalg.inv(back), np.float64), 2 * SPOTS + 0.5)
    darkness = 230.0 - found.grey.pixels
    y, x = np.mgrid[: darkness.shape[0], : darkness.shape[1]]
    for place in places:
        around = (np.abs(x - place[0]) < 9) & (np.abs(y - place[1]) < 9) & (darkness > 40)
        weights = darkness[around]
        middle = np.array([(x[around] * weights).sum(), (y[around] * weights).sum()]) / weights.sum()
        assert np.abs(middle - place).max() < 0.6
    assert (found.grey.width, found.grey.height) == found.grey.pixels.shape[::-1]


def test_a_picture_is_stretched_along_the_direction_that_is_asked_for() -> None:
    grey = dotted(200, 140, SPOTS)
    assert seen(Form(2.0, 0), grey).grey.pixels.shape == (140, 400)
    assert seen(Form(2.0, 90), grey).grey.pixels.shape == (280, 200)
    along, across = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    linear = np.linalg.inv(seen(Form(3.0, 45), grey).original_from_form)[:2, :2]
    assert np.allclose(linear @ along, 3 * along / 2)
    assert np.allclose(linear @ across, across / 2)


def waves(along_deg: float) -> GreyImage:
    """A picture that changes along one direction only."""
    y, x = np.mgrid[:140, :200]
    turn = np.radians(along_deg)
    pixels = np.rint(128 + 90 * np.sin((x * np.cos(turn) + y * np.sin(turn)) / 3)).astype(np.uint8)
    return GreyImage(pixels, 200, 140, 1.0, 1.0)


@pytest.mark.parametrize("along_deg", [0, 90, 30, 135])
def test_a_picture_is_stretched_where_it_changes_the_most(along_deg: float) -> None:
    directed, asked_for = (seen(Form(1.6, towards), waves(along_deg)) for towards in (None, along_deg))
    assert np.abs(directed.original_from_form - asked_for.original_from_form)[:2, :2].max() < 0.01
    assert str(directed.form) == "stretched 1.6 times where it changes most"


def test_what_changes_from_px_to_px_is_noise() -> None:
    y, x = np.mgrid[:140, :200]
    pixels = np.rint(128 + 50 * np.sin(y / 3) + 60 * (-1.0) ** (x // 2)).astype(np.uint8)
    assert seen(Form(2.0, None), GreyImage(pixels, 200, 140, 1.0, 1.0)).grey.pixels.shape == (280, 200)


def test_only_a_picture_that_moved_is_steadied() -> None:
    noise = np.random.default_rng(1).normal(0, 50, (140, 200))
    steady, smaller = Form(filter="steady"), Form(area_px=8_000)
    still = GreyImage(np.clip(128 + noise, 0, 255).astype(np.uint8), 400, 280, 2.0, 2.0)
    assert steady.of(still) is None
    assert [one.form for one in seen_in(still, [steady, smaller])] == [smaller]
    dots = dotted(200, 140, SPOTS).pixels
    moved = np.mean([np.roll(dots, shift, axis=1) for shift in range(-7, 8)], axis=0)
    found = seen(steady, dataclasses.replace(still, pixels=np.rint(moved).astype(np.uint8)))
    places = project(np.asarray(np.linalg.inv(found.original_from_form), np.float64), 2 * SPOTS + 0.5)
    for x, y in np.rint(places).astype(int).tolist():
        around = found.grey.pixels[y - 9 : y + 10, x - 9 : x + 10]
        assert np.abs(np.array(np.unravel_index(around.argmin(), around.shape)) - 9).max() <= 1
        assert around.min() < moved.min() - 30  # nearly as dark as before it was smeared


def test_forms_of_one_size_are_scaled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grey, sizes = dotted(400, 300, SPOTS), []

    def resized_once(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        sizes.append(size)
        return resized(pixels, size)

    forms_tried = [Form(1.6, 0, area_px=30_000), Form(1.6, 90, area_px=30_000), Form(area_px=30_000), Form()]
    alone = [seen(form, grey) for form in forms_tried]
    monkeypatch.setattr(forms, "resized", resized_once)
    together = list(seen_in(grey, forms_tried))
    assert sizes == [(158, 119), (200, 150)]
    for one, other in zip(together, alone, strict=True):
        assert one.form == other.form
        assert (one.grey.pixels == other.grey.pixels).all()
        assert (one.original_from_form == other.original_from_form).all()


def test_a_form_is_no_larger_than_it_may_be() -> None:
    grey = dotted(400, 300, SPOTS)
    assert seen(Form(enlarge=2, area_px=480_000), grey).grey.pixels.shape == (600, 800)
    assert seen(Form(enlarge=2, area_px=67_500), grey).grey.pixels.shape == (225, 300)
    assert seen(Form(area_px=30_000), grey).grey.pixels.shape == (150, 200)
    assert seen(Form(area_px=10_000), grey).grey.pixels.shape == (150, 200)  # a quarter of its own area
    assert seen(Form(area_px=1_000, part=16), grey).grey.pixels.shape == (75, 100)
    for form in itertools.chain.from_iterable(one.forms for one in forms_to_verify("all")):
        small = dataclasses.replace(form, area_px=20_000).of(grey)
        assert small is None or small.grey.pixels.size <= 2.6 * 30_000 * form.stretch**0.5  # with the black around it


def test_forms_are_the_same_bits_everywhere() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120)).astype(np.uint8)
    grey = GreyImage(noise, 120, 90, 1.0, 1.0)
    stretched = seen(Form(1.6, 30), grey).grey.pixels
    assert stretched.dtype == np.uint8
    told = [
        hashlib.sha256(seen(Form(filter=kind), grey).grey.pixels.tobytes()).hexdigest()[:8]
        for kind in ("blur", "sharpen")
    ]
    assert [hashlib.sha256(stretched.tobytes()).hexdigest()[:8], *told] == ["719395c8", "e91bcd28", "921049d0"]


def test_filters_do_what_they_are_called() -> None:
    grey = dotted(200, 140, SPOTS)
    spread = {kind: seen(Form(filter=kind), grey).grey.pixels.std() for kind in ("none", "blur", "sharpen")}
    assert spread["blur"] < spread["none"] < spread["sharpen"]
    even = GreyImage(np.full((40, 50), 77, np.uint8), 50, 40, 1.0, 1.0)
    for form in (Form(filter="blur"), Form(filter="sharpen"), Form(1.6, 0)):
        assert set(np.unique(seen(form, even).grey.pixels)) == {77}


def test_sets_have_names() -> None:
    few, everything, none = map(forms_of, FORMS)
    assert none == ()
    assert [forms_to_verify(name) for name in ("few", "none")] == [few, none]
    assert forms_to_verify("all")[:-1] == everything
    assert set(map(str, everything[0].forms)) > set(map(str, few[1].forms))
    assert [{form.eighths for form in one.forms} for one in (*few, *everything)] == [
        {3}, {3}, {5}, {8}, {8}, {8},
    ]  # fmt: skip
    assert everything[1].forms == few[3].forms
    assert all(len(set(one.forms)) == len({str(form) for form in one.forms}) for one in forms_to_verify("all"))


def test_a_round_is_for_pictures_of_a_size_or_where_an_image_stands_out() -> None:
    pictures = [GreyImage(np.zeros((side, side), np.uint8), side, side, 1.0, 1.0) for side in (100, 141, 142, 800)]
    of_small, first, of_large, more = forms_of("few")
    for probability in (0.0, 0.02):
        assert [of_small.is_for(one, probability) for one in pictures] == [True, True, False, False]
        assert [first.is_for(one, probability) for one in pictures] == [False, False, True, False]
        assert [of_large.is_for(one, probability) for one in pictures] == [False, False, False, True]
        assert [more.is_for(one, probability) for one in pictures] == [probability > 0] * 4
    of_parts = [one.of_part() for one in forms_of("few")]
    assert [one.is_for(pictures[0], 0.0) for one in of_parts] == [True, True, False, False]
    assert all(one.is_for(pictures[0], 0.0) for one in forms_to_verify("all"))


def test_a_small_picture_is_looked_at_twice_as_large() -> None:
    (form,) = forms_of("few")[0].forms
    grey = dotted(100, 80, SPOTS)
    assert seen(form, grey).grey.pixels.shape == (160, 200)


def test_sets_of_another_name_are_refused() -> None:
    with pytest.raises(UsageError, match="few, all, none, not 'some'"):
        forms_of("some")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="forms is one of"):
        forms_to_verify("some")  # type: ignore[arg-type]
