"""Prints scanned and photographed: each property of a shot does what it says, and no more."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from featmatch.evaluation import camera
from featmatch.evaluation.camera import HARD_SHOTS, Shot, photographed, rescanned, usual
from featmatch.evaluation.edits import Picture
from tests.evaluation.arguments import random

CLEAR = Shot(blur_px=0.3, noise=0.0, quality=100.0)
BLACK = np.zeros((60, 80, 3), np.uint8)
WHITE = np.full((300, 400, 3), 255, np.uint8)


def taken(picture: Picture, seed: int = 3, **changes: float) -> Picture:
    return photographed(picture, dataclasses.replace(CLEAR, **changes), random(seed), BLACK)


def lit(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(picture.mean(axis=2) > 40)


def test_all_chance_is_in_the_generator(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_FRAME", (512, 384))
    for shot in HARD_SHOTS.values():
        first, again, other = (photographed(photo, shot, random(seed), photo[::-1]) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert first.shape == other.shape == (384, 512, 3)
        assert (first != other).any()
    first, again, other = (rescanned(photo, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    assert usual(random(1)) == usual(random(1)) != usual(random(2))


def test_an_upright_print_is_photographed_upright(photo: Picture) -> None:
    assert taken(np.ascontiguousarray(np.rot90(photo))).shape == (1024, 768, 3)


def test_a_scan_has_the_picture_almost_where_it_was(photo: Picture) -> None:
    for seed in range(5):
        seen = rescanned(photo, random(seed))
        assert seen.shape[1] / seen.shape[0] == pytest.approx(photo.shape[1] / photo.shape[0], rel=0.05)
        assert 0.5 * photo.shape[1] < seen.shape[1] < 1.25 * photo.shape[1]
        margin = seen[:3].mean()
        assert margin > 180  # paper
        assert seen[10:-10, 10:-10].mean() < margin - 20


@pytest.mark.parametrize("tilt_deg", [0.0, 45.0, 60.0])
def test_tilt_makes_a_print_narrow_in_one_direction(tilt_deg: float) -> None:
    for seed in range(5):
        corners = camera._seen_corners(1000, 1000, tilt_deg, random(seed))
        middle = corners[0], corners[2], corners[1], corners[3]
        diagonals = np.array([middle[1] - middle[0], middle[3] - middle[2]])
        spread = np.linalg.svd(diagonals, compute_uv=False)
        narrow = math.cos(math.radians(tilt_deg))
        assert spread[1] / spread[0] == pytest.approx(narrow, rel=0.25)
        assert tilt_deg > 0 or spread[1] / spread[0] == pytest.approx(1)


def test_the_whole_print_is_in_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_FRAME", (512, 384))
    for seed in range(5):
        for tilt_deg in (0.0, 60.0):
            seen = lit(taken(WHITE, seed, tilt_deg=tilt_deg))
            assert not seen[[0, -1]].any()
            assert not seen[:, [0, -1]].any()
            assert seen.any(axis=0).mean() > 0.55 or seen.any(axis=1).mean() > 0.55


def test_a_background_is_out_of_focus_and_around_the_print(photo: Picture) -> None:
    seen = photographed(np.zeros_like(photo), CLEAR, random(), photo)
    assert seen[:20].mean() > 20
    assert seen[380:390, 500:520].mean() < 5
    steps = np.abs(np.diff(seen[:40].astype(float), axis=1))
    assert steps.max() < 25


def test_glare_hides_a_part_of_the_print_alone() -> None:
    grey = np.full((300, 400, 3), 90, np.uint8)
    white = [(camera._with_glare(grey.astype(np.float32), share, random(5)) > 200).mean() for share in (0.2, 0.4, 0.8)]
    assert 0 < white[0] < white[1] < white[2] < 0.5
    assert (camera._with_glare(grey.astype(np.float32), 0.3, random(5)) >= 89.9).all()
    assert taken(grey, glare=0.4).max() > 200 > taken(grey).max()
    assert (taken(grey, glare=0.4)[:10] == taken(grey)[:10]).mean() > 0.8


def test_a_screen_shows_bands_of_colour() -> None:
    grey = np.full((300, 400, 3), 128, np.uint8)

    def colourfulness(seen: Picture) -> float:
        inner = seen[300:460, 400:620].astype(float)
        return float((inner - inner.mean(axis=2, keepdims=True)).std())

    # Without the JPEG of an ordinary shot: it takes colours of single pixels away.
    assert colourfulness(taken(grey, screen=0.7)) > 4 * colourfulness(taken(grey)) + 4


def test_motion_blurs_along_a_way_of_its_length() -> None:
    seen = np.zeros((101, 101, 3), np.float32)
    seen[50, 50] = 900
    moved = camera._moved(seen, 20.0, random(4))
    assert moved.sum() == pytest.approx(seen.sum(), rel=1e-4)
    places = np.argwhere(moved[..., 0] > 0.1)
    assert np.linalg.norm(places.max(axis=0) - places.min(axis=0)) == pytest.approx(20, abs=2)
    assert len(places) < 45  # a line, no disc


def test_a_label_on_a_cylinder_is_narrow_at_its_sides() -> None:
    stripes = np.zeros((200, 400, 4), np.float32)
    stripes[..., 3] = 255
    stripes[:, np.arange(400) // 40 % 2 == 0, :3] = 255
    half = math.radians(75)
    wound = camera._wound(stripes, half, random())
    assert wound.shape[1] == pytest.approx(400 * math.sin(half) / half, abs=1)
    edges = np.flatnonzero(np.diff((wound[wound.shape[0] // 2, :, 0] > 20).astype(int)))
    widths = np.diff(edges)
    assert widths[len(widths) // 2] > 1.4 * widths[-1]
    covered = wound[..., 3] > 128
    assert covered[:, wound.shape[1] // 2].sum() == pytest.approx(200, abs=2)
    tops = covered.argmax(axis=0)
    assert tops[wound.shape[1] // 2] > tops[0] + 8  # its edges bend
    assert (taken(WHITE, curve_deg=150.0) != taken(WHITE)).any()


@pytest.mark.parametrize(("shade", "low", "high"), [(0.0, 0.9, 1.01), (0.5, 0.3, 0.75), (0.93, 0.0, 0.3)])
def test_shade_darkens_a_part(shade: float, low: float, high: float) -> None:
    light = camera._light((160, 120), shade, random()).mean(axis=2)
    assert low <= light.min() / light.max() <= high


def test_noise_blur_and_jpeg_are_those_of_the_shot(photo: Picture) -> None:
    clear, noisy = taken(photo), taken(photo, noise=9.0)
    added = (noisy.astype(float) - clear)[330:430, 400:600]
    assert added.std() == pytest.approx(6.2, rel=0.15)  # of 9: JPEG keeps half of what is colour
    steps = [np.abs(np.diff(one.astype(float), axis=1)).mean() for one in (clear, taken(photo, blur_px=3.0))]
    assert steps[1] < 0.8 * steps[0]
    assert 0 < np.abs(taken(photo, quality=20.0).astype(float) - clear).mean() < 10
    moved = taken(photo, motion=0.03)
    assert np.abs(np.diff(moved.astype(float), axis=1)).mean() < steps[0]
