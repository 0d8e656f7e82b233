"""Which way a picture changes, and pictures that moved: against pictures that the test moves."""

from __future__ import annotations

import hashlib
import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.mapped import mapped
from featmatch.features.motion import Structure, steadied, structure_of


def texture(seed: int = 1) -> NDArray[np.float64]:
    """(160, 220) grey levels, as rough as a photo that was made smaller."""
    noise = np.random.default_rng(seed).normal(0, 1, (160, 220))
    soft = np.sum([cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (0.6, 2.0, 6.0)], axis=0)
    return np.asarray(128 + 40 * soft / soft.std())


def levels(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def moved(picture: NDArray[np.float64], way_px: float, towards_deg: float) -> NDArray[np.float64]:
    """The mean of a picture at 64 places along a straight way."""
    x, y = math.cos(math.radians(towards_deg)), math.sin(math.radians(towards_deg))
    seen = np.zeros_like(picture)
    for step in np.linspace(-way_px / 2, way_px / 2, 64):
        shift = np.array([[1, 0, step * x], [0, 1, step * y]])
        seen += cv2.warpAffine(picture, shift, picture.shape[::-1], borderMode=cv2.BORDER_REFLECT) / 64
    return seen


def angle_deg(structure: Structure) -> float:
    return math.degrees(math.atan2(structure.y, structure.x)) % 180


@pytest.mark.parametrize("towards_deg", [0, 25, 90, 130])
def test_a_picture_that_was_squeezed_changes_the_most_along_that(towards_deg: float) -> None:
    x, y = math.cos(math.radians(towards_deg)), math.sin(math.radians(towards_deg))
    squeezed = np.array([[1 - x * x / 2, -x * y / 2], [-x * y / 2, 1 - y * y / 2]])
    seen = mapped(levels(texture()), squeezed)
    inside = cv2.erode(seen.is_seen.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    found = angle_deg(structure_of(np.where(inside, seen.pixels, 128).astype(np.uint8)))
    assert abs((found - towards_deg + 90) % 180 - 90) < 12
    assert math.hypot(*structure_of(seen.pixels)) == pytest.approx(1)


def test_a_picture_of_one_grey_level_or_px_has_some_direction() -> None:
    for shape in ((20, 30), (1, 1), (2, 5)):
        assert structure_of(np.full(shape, 50, np.uint8)) == (1.0, 0.0)


@pytest.mark.parametrize(("way_px", "towards_deg"), [(7, 0), (11, 60), (15, 90), (19, 150)])
def test_what_moved_is_brought_back(way_px: int, towards_deg: float) -> None:
    still = texture()
    blurred = levels(moved(still, way_px, towards_deg) + np.random.default_rng(2).normal(0, 1.5, still.shape))
    structure = structure_of(blurred)
    assert abs((angle_deg(structure) - towards_deg) % 180 - 90) < 6
    found = steadied(blurred, structure)
    assert found is not None
    pixels, back = found
    linear = np.asarray(np.linalg.inv(back)[:2, :2], np.float64)
    assert np.allclose(linear @ linear.T, np.eye(2))  # turned only
    assert np.allclose(linear @ [structure.x, structure.y], [0, 1])  # its way runs along x
    true, as_it_was = mapped(levels(still), linear), mapped(blurred, linear)
    inside = cv2.erode(true.is_seen.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    alike = [np.corrcoef(true.pixels[inside], one[inside])[0, 1] for one in (pixels, as_it_was.pixels)]
    assert alike[0] > 0.8
    assert 1 - alike[0] < 0.6 * (1 - alike[1])
    assert (pixels[~true.is_seen] == 0).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_stood_still_did_not_move(seed: int) -> None:
    still = levels(texture(seed))
    assert steadied(still, structure_of(still)) is None
    even = np.full((50, 60), 90, np.uint8)
    assert steadied(even, structure_of(even)) is None


def test_what_is_steadied_has_the_same_bits_everywhere() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (90, 140))
    for px in (5, 9):  # means of whole numbers, whole again: soft, and then moved
        sums = np.cumsum(picture, axis=1)
        picture = (sums[:, px:] - sums[:, :-px]) // px
    blurred = np.clip(6 * picture - 640, 0, 255).astype(np.uint8)
    structure = structure_of(blurred)
    found = steadied(blurred, structure)
    assert found is not None
    assert hashlib.sha256(found[0].tobytes()).hexdigest()[:8] == "7d3556d4"
