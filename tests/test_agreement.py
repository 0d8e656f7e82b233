from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.agreement import pixel_agreement
from featmatch.geometry import Matrix

IDENTITY = np.eye(3)


def drawn(seed: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A picture with structure of several sizes."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.normal(0, 1, (height // size, width // size)), (width, height), interpolation=cv2.INTER_CUBIC)
        for size in (4, 10, 30)
    ]
    return np.asarray(np.clip(128 + 30 * np.sum(layers, axis=0), 0, 255), np.uint8)


def warped(picture: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpPerspective(picture, matrix, size), np.uint8)


def test_a_picture_agrees_with_itself() -> None:
    assert pixel_agreement(drawn(0), drawn(0), IDENTITY, negative=False) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_other_pictures_do_not_agree(seed: int) -> None:
    found = pixel_agreement(drawn(0), drawn(seed + 1), IDENTITY, negative=False)
    assert found is not None
    assert found < 0.3


def test_tones_do_not_matter_and_a_negative_is_told() -> None:
    picture = drawn(1)
    dark = np.asarray(255 * (picture / 255.0) ** 2 * 0.6 + 10, np.uint8)
    assert (pixel_agreement(dark, picture, IDENTITY, negative=False) or 0) > 0.9
    assert (pixel_agreement(255 - picture, picture, IDENTITY, negative=True) or 0) > 0.99
    assert pixel_agreement(255 - picture, picture, IDENTITY, negative=False) == 0


def test_a_crop_turned_and_scaled_agrees_where_it_lies() -> None:
    reference = drawn(2, 400, 300)
    turn, scale = np.radians(25), 0.7
    query_from_reference = np.array(
        [
            [scale * np.cos(turn), -scale * np.sin(turn), 10],
            [scale * np.sin(turn), scale * np.cos(turn), -90],
            [0, 0, 1],
        ]
    )
    query = warped(reference, query_from_reference, (130, 110))
    reference_from_query = np.linalg.inv(query_from_reference).astype(np.float64)
    assert (pixel_agreement(query, reference, reference_from_query, negative=False) or 0) > 0.9
    elsewhere = reference_from_query + np.array([[0, 0, 60.0], [0, 0, 45], [0, 0, 0]])
    assert (pixel_agreement(query, reference, elsewhere, negative=False) or 0) < 0.4


def test_a_homography_that_is_a_little_off_is_put_right() -> None:
    picture = drawn(3)
    off = np.array([[1.0, 0.01, 5], [-0.01, 1, -4], [0, 0, 1]])
    assert (pixel_agreement(picture, picture, off, negative=False) or 0) > 0.95


def test_what_is_plain_tiny_or_apart_says_nothing() -> None:
    plain = np.full((240, 320), 90, np.uint8)
    assert pixel_agreement(plain, plain, IDENTITY, negative=False) is None
    assert pixel_agreement(drawn(4), drawn(4)[:8, :8], IDENTITY, negative=False) is None
    apart = np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]])
    assert pixel_agreement(drawn(4), drawn(4), apart, negative=False) is None


def test_half_a_picture_covered_agrees_less() -> None:
    picture, other = drawn(5), drawn(6)
    half = np.concatenate([picture[:120], other[120:]])
    found = pixel_agreement(half, picture, IDENTITY, negative=False)
    assert found == pytest.approx(0.5, abs=0.15)
