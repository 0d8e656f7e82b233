from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from featmatch.errors import UsageError
from featmatch.native.library import library
from featmatch.native.sift import FEATURE, KEYPOINT, MOST_FLOATS, SiftFeatures, _Pyramid, sift
from tests.native import twin

_opencv: Any = cv2

Photos = dict[str, NDArray[np.uint8]]
Grey = NDArray[np.uint8]

ALL = 100_000  # features: more than any picture here has
KEPT, STREAMED = MOST_FLOATS, 0  # how much of the pyramid stays in memory


@pytest.fixture(scope="session")
def grey(photos: Photos) -> Grey:
    return np.asarray(cv2.cvtColor(photos["chelsea"], cv2.COLOR_RGB2GRAY), np.uint8)


def reduced(picture: Grey, width: int, height: int) -> Grey:
    return np.asarray(_opencv.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def noise(height: int, width: int) -> Grey:
    return np.random.default_rng(height * width).integers(0, 256, (height, width)).astype(np.uint8)


def as_found(points: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.intp]:
    del responses
    return np.arange(len(points))


def strongest(points: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.intp]:
    del points
    return np.argsort(-responses, kind="stable")


def assert_same_bits(one: SiftFeatures, other: SiftFeatures) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name, strict=True)


def assert_twin_agrees(pixels: Grey) -> int:
    """However much of the pyramid is kept; returns the number of features."""
    octaves = twin.pyramid(pixels)
    keypoints = twin.keypoints(octaves)
    expected = [feature for one in keypoints for feature in twin.features(octaves, one)]
    for most_floats in (KEPT, STREAMED):
        pyramid = _Pyramid(pixels, most_floats)
        found = pyramid.detect()
        np.testing.assert_array_equal(found, np.array([tuple(one) for one in keypoints], KEYPOINT))
        features, descriptors = pyramid.describe(found, ALL)
        for name in ("size", "turn"):
            values = np.array([getattr(one, name) for one in expected], np.float32)
            np.testing.assert_array_equal(features[name], values)
        same = [keypoints.index(one.keypoint) for one in expected]
        np.testing.assert_array_equal(features["keypoint"], np.array(same, np.int32))
        for name in ("x", "y"):
            np.testing.assert_array_equal(features[name], found[name][features["keypoint"]])
        np.testing.assert_array_equal(descriptors, np.array([one.descriptor for one in expected]).reshape(-1, 128))
    return len(expected)


def test_the_twin_finds_the_same_bits(level: str, grey: Grey) -> None:
    del level
    assert assert_twin_agrees(reduced(grey, 150, 101)) > 150
    assert assert_twin_agrees(noise(70, 61)) > 10


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 2), (2, 1), (3, 2), (1, 200), (200, 1), (5, 6), (6, 5), (11, 12), (12, 11), (13, 90), (90, 13)]
    + [(7 + side, 24 - side) for side in range(9)]
    + [(33, 31 + width) for width in range(5)]
    # Those with a longer side above 1400 px are not doubled.
    + [(15, 1400), (1400, 14), (1, 1401), (1401, 2), (9, 1401), (1401, 11), (1401, 41), (43, 1417)],
)
def test_the_twin_agrees_at_odd_sizes(height: int, width: int) -> None:
    assert_twin_agrees(noise(height, width))


def test_results_are_the_same_at_each_level_however_much_memory_there_is(level: str, grey: Grey) -> None:
    del level
    reference = sift(grey, 500, strongest)
    assert len(reference.points) == 500
    assert_same_bits(reference, sift(grey, 500, strongest, most_floats=STREAMED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATMATCH_CPU", "baseline")
        assert_same_bits(reference, sift(grey, 500, strongest))


def test_threads_do_not_disturb_each_other(grey: Grey) -> None:
    pictures = [np.ascontiguousarray(part) for part in (grey, grey[:200], grey[:, 50:], grey[::-1])] * 3
    alone = [sift(one, 300, strongest) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(lambda picture: sift(picture, 300, strongest), pictures), strict=True):
            assert_same_bits(one, other)


@pytest.mark.parametrize("value", [0, 7, 128, 255])
def test_one_tone_has_no_features(value: int) -> None:
    found = sift(np.full((70, 50), value, np.uint8), ALL, as_found)
    assert found.points.shape == (0, 2)
    assert found.descriptors.shape == (0, 128)


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize(("x", "y", "sigma"), [(60.0, 50.0, 4.0), (60.3, 49.6, 4.0), (55.75, 52.25, 7.0)])
def test_a_spot_is_found_where_it_is_and_as_large_as_it_is(x: float, y: float, sigma: float, polarity: int) -> None:
    rows, columns = np.mgrid[:101, :120]
    spot = 100 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    found = sift(np.rint(128 + polarity * spot).astype(np.uint8), ALL, strongest)
    np.testing.assert_allclose(found.points[0], [x, y], atol=0.03)
    # The difference of blurs s and 2 ** (1 / 3) s is largest where the spot lies midway.
    assert found.sizes[0] / 2 == pytest.approx(sigma * 2 ** (-1 / 6), rel=0.01)


def test_a_spot_of_a_large_picture_is_found_where_it_is(level: str) -> None:
    del level
    rows, columns = np.mgrid[:101, :1500]
    spot = 100 * np.exp(-((columns - 700.25) ** 2 + (rows - 50.5) ** 2) / (2 * 5.0**2))
    pixels = np.rint(128 + spot).astype(np.uint8)
    found = sift(pixels, ALL, strongest)
    np.testing.assert_allclose(found.points[0], [700.25, 50.5], atol=0.06)
    assert found.sizes[0] / 2 == pytest.approx(5 * 2 ** (-1 / 6), rel=0.02)
    assert_same_bits(found, sift(pixels, ALL, strongest, most_floats=STREAMED))


def test_a_picture_is_doubled_up_to_1400_px(grey: Grey) -> None:
    large = np.asarray(_opencv.resize(grey, (1400, 931), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert library().featmatch_sift_doubled(931, 1400) == library().featmatch_sift_doubled(1400, 931) == 1
    assert library().featmatch_sift_doubled(931, 1401) == library().featmatch_sift_doubled(1401, 931) == 0
    one, other = (sift(picture, 500, strongest) for picture in (large, np.pad(large, ((0, 0), (0, 8)), mode="edge")))
    tree: Any = cKDTree(other.points)
    distances, nearest = tree.query(one.points)  # the same detail, one octave less to find it in
    assert (distances < 0.2).mean() > 0.5
    same = (distances < 0.2) & (np.abs(np.log(one.sizes / other.sizes[nearest])) < 0.1)
    cosines = (one.descriptors[same].astype(float) * other.descriptors[nearest[same]]).sum(axis=1) / 512**2
    assert np.median(cosines) > 0.98


def test_most_keypoints_are_those_of_opencv(grey: Grey) -> None:
    found = sift(grey, 300, strongest)
    keypoints, raw = _opencv.SIFT_create(contrastThreshold=0.004).detectAndCompute(grey, None)
    table = np.array([(*one.pt, one.size, one.angle) for one in keypoints])
    tree: Any = cKDTree(table[:, :2] - 0.25)
    distances, nearest = tree.query(found.points, k=4)
    same = (distances < 0.1) & (np.abs(np.log(table[nearest, 2] / found.sizes[:, None])) < 0.05)
    turned = np.abs(np.mod(np.radians(table[nearest, 3]) - found.angles[:, None] + np.pi, 2 * np.pi) - np.pi)
    both = same & (turned < 0.1)
    assert same.any(axis=1).mean() > 0.95
    assert both.any(axis=1).mean() > 0.93
    rows = np.flatnonzero(both.any(axis=1))
    other = raw[nearest[rows, both[rows].argmax(axis=1)]]
    cosines = (found.descriptors[rows] / 512 * np.sqrt(other / other.sum(axis=1, keepdims=True))).sum(axis=1)
    assert np.median(cosines) > 0.99
    assert np.percentile(cosines, 5) > 0.98


def test_keypoints_move_with_the_picture(grey: Grey) -> None:
    matrix = cv2.getRotationMatrix2D((225, 150), 25, 0.8)
    moved = _opencv.warpAffine(grey, matrix, (451, 300), flags=cv2.INTER_AREA)
    one, other = sift(grey, 400, strongest), sift(moved, 400, strongest)
    expected = one.points @ matrix[:, :2].T + matrix[:, 2]
    tree: Any = cKDTree(other.points)
    distances, nearest = tree.query(expected)
    assert (distances < 1.5).mean() > 0.6
    close = distances < 0.5
    turned = np.mod(other.angles[nearest] - one.angles + np.pi, 2 * np.pi) - np.pi
    assert np.median(other.sizes[nearest][close] / one.sizes[close]) == pytest.approx(0.8, abs=0.02)
    assert np.median(turned[close]) == pytest.approx(-np.radians(25), abs=0.02)


def test_the_chosen_come_in_the_order_of_choice_and_no_more_than_asked_for(grey: Grey) -> None:
    for most_floats in (KEPT, STREAMED):
        found = sift(grey, 50, strongest, most_floats=most_floats)
        assert len(found.points) == 50
        assert (np.diff(found.responses) <= 0).all()
        assert_same_bits(found, SiftFeatures(*(rows[:50] for rows in vars(sift(grey, 60, strongest)).values())))


def test_the_strongest_are_chosen_from(grey: Grey) -> None:
    offered: list[NDArray[np.float32]] = []

    def offer(points: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.intp]:
        offered.append(responses)
        return as_found(points, responses)

    sift(grey, ALL, offer)
    sift(grey, 100, offer)
    assert len(offered[1]) == 260
    np.testing.assert_array_equal(np.sort(offered[1]), np.sort(offered[0])[-260:])


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((40, 80), np.uint8)[:, ::2],
        np.zeros((40, 80), np.uint8)[:, :40],
        np.zeros((40, 40), np.uint8).T[::-1],
        np.zeros((40, 40, 3), np.uint8),
        np.zeros((40, 40), np.float32),
        np.zeros((0, 40), np.uint8),
        np.zeros((1, (1 << 15) + 1), np.uint8),
    ],
    ids=["every second", "part of rows", "turned over", "colours", "floats", "empty", "too long"],
)
def test_other_pictures_are_refused(pixels: NDArray[Any]) -> None:
    with pytest.raises(UsageError):
        sift(pixels, 10, as_found)


def test_a_picture_may_be_read_only(grey: Grey) -> None:
    pixels = grey.copy()
    pixels.setflags(write=False)
    assert_same_bits(sift(pixels, 20, strongest), sift(grey, 20, strongest))


@pytest.mark.parametrize("most_floats", [KEPT, STREAMED])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("x", value) for value in (-1.0, 1e9, np.nan, np.inf)],
        *[("y", value) for value in (-1.0, 1e9, np.nan, np.inf)],
        *[("level", value) for value in (0.0, 9.0, np.nan)],
        *[("column", value) for value in (-1, 4, 1 << 30)],
        *[("row", value) for value in (-1, 4, 1 << 30)],
        *[("layer", value) for value in (-1, 0, 4)],
        *[("octave", value) for value in (-1, 19, 1 << 30)],
    ],
)
def test_keypoints_of_no_picture_are_refused(grey: Grey, most_floats: int, name: str, value: float) -> None:
    pyramid = _Pyramid(grey, most_floats)
    keypoints = pyramid.detect()[:50].copy()
    keypoints[name][20] = value
    with pytest.raises(UsageError, match="do not belong to the picture"):
        pyramid.describe(keypoints, ALL)


@pytest.mark.parametrize("most_floats", [KEPT, STREAMED])
def test_keypoints_at_the_border_are_refused(grey: Grey, most_floats: int) -> None:
    height, width = grey.shape
    pyramid = _Pyramid(grey, most_floats)
    keypoints = pyramid.detect()[:1]
    for axis, name, side in (("x", "column", 2 * width), ("y", "row", 2 * height)):
        for place, accepted in ((4, False), (5, True), (side - 6, True), (side - 5, False)):
            moved = keypoints.copy()
            moved[axis], moved[name] = place, place
            if accepted:
                pyramid.describe(moved, ALL)
                continue
            with pytest.raises(UsageError, match="do not belong to the picture"):
                pyramid.describe(moved, ALL)


def test_the_kernel_believes_no_caller(grey: Grey) -> None:
    pyramid = _Pyramid(grey, STREAMED)
    pixels, height, width, most_floats, workspace, floats = pyramid._given
    needed = pyramid._kernels.featmatch_sift_workspace(height, width, most_floats)
    found = np.empty(10, KEYPOINT)
    table = found.ctypes.data, len(found)
    detect, describe = pyramid._kernels.featmatch_sift_detect, pyramid._kernels.featmatch_sift_describe
    picture = (pixels, height, width, most_floats, workspace)
    assert detect(*picture, needed, 0.004, 10.0, *table) > 10  # only so many are written
    assert detect(*picture, needed - 1, 0.004, 10.0, *table) == -1
    assert detect(*picture, needed, 0.004, 10.0, table[0], -1) == -1
    assert detect(pixels, -height, width, most_floats, workspace, floats, 0.004, 10.0, *table) == -1
    features, descriptors = np.empty(40, FEATURE), np.empty((40, 128), np.uint8)
    results = features.ctypes.data, descriptors.ctypes.data
    found = pyramid.detect()[:10]
    given = found.ctypes.data, 10
    assert describe(*picture, needed, *given, *results, 40) >= 10
    assert describe(*picture, needed, *given, *results, 39) == -2  # what streams by comes in no order of choice
    assert describe(*picture, needed - 1, *given, *results, 40) == -1
    assert describe(*picture, needed, given[0], -1, *results, 40) == -1
    backwards = found[::-1].copy()
    assert describe(*picture, needed, backwards.ctypes.data, 10, *results, 40) == -1


def test_damaged_keypoints_do_no_harm(grey: Grey) -> None:
    random = np.random.default_rng(5)
    pyramid = _Pyramid(reduced(grey, 120, 90), KEPT)
    keypoints = pyramid.detect()
    refused = 0
    for _ in range(300):
        damaged = keypoints.copy()
        raw = damaged.view(np.uint8)
        raw[random.integers(len(raw), size=2)] = random.integers(256, size=2)
        try:
            pyramid.describe(damaged, ALL)
        except UsageError:
            refused += 1
    assert 50 < refused <= 300
