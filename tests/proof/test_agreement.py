from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix, project, scaling_matrix
from featmatch.proof import agreement
from featmatch.proof.agreement import pixel_agreement
from tests.geometry.known_maps import shift

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


# The common frame


def framed(query: NDArray[np.uint8], reference: NDArray[np.uint8], matrix: Matrix) -> agreement._Frame:
    frame = agreement._common_frame(query, reference, matrix)
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    ("x", "y", "shape", "corner"),
    [
        (0, 0, (60, 70), (0, 0)),
        (-20.3, -10.7, (50, 51), (19, 10)),  # of the query, columns from 19 and rows from 10 on
        (20.3, 10.7, (50, 51), (0, 0)),  # columns up to 50, rows up to 49
    ],
)
def test_the_frame_is_the_shared_region_to_the_whole_pixel(
    x: float, y: float, shape: tuple[int, int], corner: tuple[int, int]
) -> None:
    frame = framed(drawn(0, 70, 60), drawn(1, 70, 60), shift(x, y))
    assert frame.query.shape == shape
    np.testing.assert_allclose(frame.reference_from_frame, shift(x + corner[0], y + corner[1]), atol=1e-12)


@pytest.mark.parametrize(("width", "other"), [(80, 40), (40, 80)])
def test_both_are_compared_at_the_scale_of_the_coarser(width: int, other: int) -> None:
    frame = framed(drawn(0, width, width), drawn(1, other, other), scaling_matrix(other / width, other / width))
    assert frame.query.shape == frame.reference.shape == (40, 40)
    np.testing.assert_allclose(frame.reference_from_frame, np.eye(3), atol=1e-12)


def test_large_pictures_are_compared_at_96_px() -> None:
    frame = framed(drawn(0, 384, 384), drawn(1, 768, 768), scaling_matrix(2, 2))
    assert frame.query.shape == frame.reference.shape == (96, 96)
    large = framed(drawn(0, 384, 384)[:96, :96], drawn(1, 768, 768), scaling_matrix(2, 2))
    assert large.query.shape == (96, 96)
    assert large.reference.shape == (384, 384)  # the whole of it, of which the frame shows a quarter


def test_a_region_of_12_px_is_the_smallest() -> None:
    for shape, is_enough in (((12, 12), True), ((11, 14), False), ((14, 11), False), ((11, 12), False)):
        picture = drawn(2, 40, 40)[: shape[0], : shape[1]]
        assert (agreement._common_frame(picture, picture, IDENTITY) is not None) == is_enough


def test_scaling_down_averages_and_leaves_edges_where_they_are() -> None:
    picture = drawn(3, 80, 60)
    small, back = agreement._reduced(picture, 0.25)
    np.testing.assert_allclose(small, picture.reshape(15, 4, 20, 4).mean(axis=(1, 3)), atol=0.51)
    corners = np.array([[-0.5, -0.5], [19.5, 14.5]])
    np.testing.assert_allclose(project(back, corners), [[-0.5, -0.5], [79.5, 59.5]])
    narrow, back = agreement._reduced(picture[:, :1], 0.3)
    assert narrow.shape == (18, 1)
    np.testing.assert_allclose(project(back, np.array([[0.5, 17.5]])), [[0.5, 59.5]])
    for factor in (1.0, 1.5):
        same, back = agreement._reduced(picture, factor)
        assert same is picture
        np.testing.assert_array_equal(back, np.eye(3))


# Windows


def test_the_mask_is_where_the_reference_covers_the_frame_without_its_border() -> None:
    frame = agreement._Frame(np.zeros((20, 30), np.float32), np.ones((20, 30), np.float32), shift(10, 4))
    expected = np.zeros((20, 30))
    expected[1:15, 1:19] = 1  # what is shown of it reaches to column 20 and row 16
    picture, mask = frame.seen()
    np.testing.assert_array_equal(mask, expected)
    assert (picture[mask > 0] == 1).all()


@pytest.mark.parametrize("amplitude", [1.5, 3.0, 30.0])
def test_contrast_is_made_equal_down_to_the_noise(amplitude: float) -> None:
    sign = np.where(np.indices((60, 60)).sum(axis=0) % 2, 1.0, -1.0)
    picture = np.asarray(100 + np.arange(60) + amplitude * sign, np.float32)
    found = agreement._normalised([picture], np.ones((60, 60), np.float32))[0][20:40, 20:40]
    np.testing.assert_allclose(found, (amplitude / np.hypot(amplitude, 3) * sign)[20:40, 20:40], atol=0.01)


def test_what_is_outside_of_the_mask_does_not_count() -> None:
    picture, other = drawn(4, 60, 60).astype(np.float32), drawn(4, 60, 60).astype(np.float32)
    other[:, 40:] = 250
    mask = np.ones((60, 60), np.float32)
    mask[:, 40:] = 0
    found, expected = agreement._normalised([picture, other], mask)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 40:] == 0).all()


@pytest.mark.parametrize("side", [24, 32, 40])
def test_detail_is_the_number_of_windows_with_contrast_by_18(side: int) -> None:
    noise = np.random.default_rng(side).normal(128, 40, (side, side)).astype(np.float32)
    found = agreement._correlation(agreement._laid(agreement._Frame(noise, noise, IDENTITY)))
    assert found is not None
    windows = side**2 / (4 * np.pi * 3**2)  # the area by that of a Gaussian window
    assert found.detail == pytest.approx(windows / 18, rel=0.03)


def test_where_hardly_anything_overlaps_nothing_is_said() -> None:
    picture = drawn(5, 60, 60).astype(np.float32)
    for beside, is_enough in ((56, True), (57, False)):  # the mask has 2 columns of 58 rows, or 1
        found = agreement._correlation(agreement._laid(agreement._Frame(picture, picture, shift(beside, 0))))
        assert (found is not None) == is_enough


# Alignment


@pytest.mark.parametrize(("move_px", "is_near"), [(9.9, True), (10.1, False)])
def test_an_alignment_that_moves_a_corner_far_is_none(
    monkeypatch: pytest.MonkeyPatch, move_px: float, is_near: bool
) -> None:
    monkeypatch.setattr(agreement, "best_move", lambda *_: shift(0, move_px))
    picture = drawn(6, 50, 40).astype(np.float32)
    frame = agreement._Frame(picture, picture, shift(1, 2))
    aligned = agreement._aligned(frame, agreement._laid(frame))
    assert (aligned is not None) == is_near
    if aligned is not None:
        np.testing.assert_allclose(aligned.reference_from_frame, shift(1, 2 + move_px), atol=1e-5)


def test_a_part_of_the_reference_is_enlarged_as_if_it_were_all() -> None:
    reference = drawn(9)
    way = shift(150, 90)
    frame = agreement.reduced(reference[90:150, 150:210], reference, way, 640.0)
    assert frame is not None
    larger = agreement.enlarged(frame, 150.0)
    assert larger is not None
    assert larger.query.shape == (150, 150)
    assert larger.reference.shape == (312, 312)  # 32 px more on each side, of a region to the half px
    laid = cv2.warpPerspective(
        larger.reference, larger.reference_from_frame, (150, 150), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    assert np.abs(laid[8:-8, 8:-8].astype(int) - larger.query[8:-8, 8:-8]).max() <= 3
    middle = larger.query_from_frame @ np.array([74.5, 74.5, 1])
    np.testing.assert_allclose(middle, np.array([29.5, 29.5, 1]))


def test_a_picture_is_enlarged_four_times_at_most() -> None:
    small = drawn(9)[:15, :20]
    frame = agreement.reduced(small, small, IDENTITY, 640.0)
    assert frame is not None
    larger = agreement.enlarged(frame, 192.0)
    assert larger is not None
    assert larger.query.shape == (60, 80)


@pytest.mark.parametrize(
    "way",
    [
        np.array([[1.0, 0, 0], [1e-3, 1, -1e12], [1e12, 0, 1]]),
        np.array([[1e-150, 0, 0], [0, 1e-150, 0], [0, 0, 1]]),
        np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 1e-12]]),
        np.diag([1e300, 1e300, 1.0]),
    ],
)
def test_a_map_that_leads_nowhere_shares_nothing(way: Matrix) -> None:
    """A stranger's index may say so of two images."""
    with np.errstate(all="ignore"):
        assert agreement.reduced(drawn(9), drawn(9), way, 640.0) is None


@pytest.mark.parametrize("way", [shift(-1e4, 0), np.array([[0.0, 1, 500], [0, 0, 0], [0, 0, 1]])])
def test_nothing_is_enlarged_of_a_reference_that_is_not_seen(way: Matrix) -> None:
    assert agreement.enlarged(agreement.Reduced(drawn(9)[:40, :40], drawn(9), way, IDENTITY), 150.0) is None
