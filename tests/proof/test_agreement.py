from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix
from featmatch.proof.agreement import pixel_agreement

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


def correlation(query: NDArray[np.uint8], reference: NDArray[np.uint8], matrix: Matrix, *, negative: bool) -> float:
    found = pixel_agreement(query, reference, matrix, negative=negative)
    assert found is not None
    return found.correlation


def test_a_picture_agrees_with_itself() -> None:
    assert correlation(drawn(0), drawn(0), IDENTITY, negative=False) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_other_pictures_do_not_agree(seed: int) -> None:
    assert correlation(drawn(0), drawn(seed + 1), IDENTITY, negative=False) < 0.3


def test_tones_do_not_matter_and_a_negative_is_told() -> None:
    picture = drawn(1)
    dark = np.asarray(255 * (picture / 255.0) ** 2 * 0.6 + 10, np.uint8)
    assert correlation(dark, picture, IDENTITY, negative=False) > 0.9
    assert correlation(255 - picture, picture, IDENTITY, negative=True) > 0.99
    assert correlation(255 - picture, picture, IDENTITY, negative=False) == 0


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
    assert correlation(query, reference, reference_from_query, negative=False) > 0.9
    elsewhere = reference_from_query + np.array([[0, 0, 60.0], [0, 0, 45], [0, 0, 0]])
    assert correlation(query, reference, elsewhere, negative=False) < 0.4


def test_a_homography_that_is_a_little_off_is_put_right() -> None:
    picture = drawn(3)
    off = np.array([[1.0, 0.01, 5], [-0.01, 1, -4], [0, 0, 1]])
    assert correlation(picture, picture, off, negative=False) > 0.95


def test_what_is_plain_tiny_or_apart_says_nothing() -> None:
    plain = np.full((240, 320), 90, np.uint8)
    assert pixel_agreement(plain, plain, IDENTITY, negative=False) is None
    assert pixel_agreement(drawn(4), drawn(4)[:8, :8], IDENTITY, negative=False) is None
    apart = np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]])
    assert pixel_agreement(drawn(4), drawn(4), apart, negative=False) is None


def test_half_a_picture_covered_agrees_less() -> None:
    picture, other = drawn(5), drawn(6)
    half = np.concatenate([picture[:120], other[120:]])
    assert correlation(half, picture, IDENTITY, negative=False) == pytest.approx(0.5, abs=0.15)


def disc(radius: int, *, side: int = 96) -> NDArray[np.uint8]:
    """A flat shape on a plain ground."""
    return np.asarray(
        cv2.circle(np.full((side, side), 255, np.uint8), (side // 2, side // 2), radius, 60, -1), np.uint8
    )


def test_flat_shapes_agree_but_there_is_little_to_agree() -> None:
    shape = pixel_agreement(disc(8), disc(8), IDENTITY, negative=False)
    assert shape is not None
    assert shape.correlation > 0.99
    assert shape.detail < 0.6
    picture = pixel_agreement(drawn(7), drawn(7), IDENTITY, negative=False)
    assert picture is not None
    assert picture.detail == 1
    small = pixel_agreement(drawn(7)[:30, :30], drawn(7)[:30, :30], IDENTITY, negative=False)
    assert small is not None
    assert small.detail < 0.6


def test_detail_is_what_both_pictures_have() -> None:
    there = pixel_agreement(disc(8), drawn(8, 96, 96), IDENTITY, negative=False)
    back = pixel_agreement(drawn(8, 96, 96), disc(8), IDENTITY, negative=False)
    for found in (there, back):
        assert found is not None
        assert found.detail < 0.6
