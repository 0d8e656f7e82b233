from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import MissingFeatureError, UsageError
from featmatch.features.detectors import DESCRIPTOR_SIZE, DETECTORS, descriptors_of
from featmatch.features.extraction import (
    CHOICES,
    SPEEDS,
    FeatureOptions,
    Features,
    extract,
    extract_grey,
    features_wanted,
    spread,
)
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_display, load_grey

AVAILABLE = ("sift", "opencv-sift", "akaze", "orb", "brisk", "kaze")
BINARY = ("akaze", "orb", "brisk")

Photos = dict[str, NDArray[np.uint8]]


def has_surf() -> bool:
    try:
        create: Any = cv2.xfeatures2d.SURF_create  # type: ignore[attr-defined, unused-ignore]
        create()
    except (AttributeError, cv2.error):
        return False
    return True


def few(detector: str, **others: Any) -> FeatureOptions:
    return FeatureOptions(detector, **{"features": 300, "features_at_longest": 300, **others})


def noise(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def same(one: Features, other: Features) -> bool:
    columns = ("keypoints", "sizes", "angles", "descriptors")
    return all(np.array_equal(getattr(one, column), getattr(other, column)) for column in columns)


# All detectors


@pytest.mark.parametrize("detector", AVAILABLE)
def test_columns_are_as_documented(photos: Photos, detector: str) -> None:
    picture = photos["coffee"]
    features = extract(picture, few(detector))
    count = len(features)
    assert 150 <= count <= 300
    assert (features.detector, features.width, features.height) == (detector, 600, 400)
    assert features.keypoints.shape == (count, 2)
    assert features.sizes.shape == features.angles.shape == (count,)
    assert features.descriptors.shape == (count, DESCRIPTOR_SIZE[descriptors_of(detector)])
    assert features.keypoints.dtype == features.sizes.dtype == features.angles.dtype == np.float32
    assert features.descriptors.dtype == np.uint8
    assert np.all(np.isfinite(features.keypoints))
    assert np.all((features.keypoints >= -0.5) & (features.keypoints <= np.array([599.5, 399.5])))
    assert np.all((features.sizes > 0) & (features.sizes < 1200))
    assert np.all((features.angles >= 0) & (features.angles.astype(float) < 2 * np.pi))
    assert len(np.unique(features.angles)) > count / 4
    assert np.all(features.descriptors.any(axis=1))


@pytest.mark.parametrize("detector", AVAILABLE)
def test_extraction_is_repeatable(photos: Photos, detector: str) -> None:
    assert same(extract(photos["chelsea"], few(detector)), extract(photos["chelsea"], few(detector)))


def test_sift_is_the_default(photos: Photos) -> None:
    assert same(extract(photos["coins"]), extract(photos["coins"], FeatureOptions("sift")))


@pytest.mark.skipif(has_surf(), reason="this OpenCV has SURF")
def test_surf_is_missing_where_opencv_lacks_it() -> None:
    with pytest.raises(MissingFeatureError, match="SURF"):
        extract(noise(64, 64), FeatureOptions("surf"))


@pytest.mark.parametrize("detector", AVAILABLE)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 40), (15, 15)])
def test_tiny_pictures_have_no_features(detector: str, size: tuple[int, int]) -> None:
    features = extract(noise(*size), few(detector))
    assert len(features) == 0
    assert (features.height, features.width) == size
    assert features.keypoints.shape == (0, 2)
    assert features.descriptors.shape == (0, DESCRIPTOR_SIZE[descriptors_of(detector)])
    assert features.sizes.shape == features.angles.shape == (0,)


@pytest.mark.parametrize("detector", AVAILABLE)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_picture_has_no_features(detector: str, value: int) -> None:
    features = extract(np.full((120, 160), value, np.uint8), few(detector))
    assert len(features) == 0
    assert features.keypoints.dtype == np.float32
    assert features.descriptors.dtype == np.uint8


@pytest.mark.parametrize("detector", AVAILABLE)
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (16, 500), (500, 16), (33, 32), (64, 20)])
def test_small_and_thin_pictures_do_not_fail(detector: str, size: tuple[int, int]) -> None:
    features = extract(noise(*size), few(detector))
    assert len(features) == len(features.descriptors)


@pytest.mark.parametrize("detector", AVAILABLE)
def test_tiny_picture_scaled_up_does_not_fail(detector: str) -> None:
    for size in [(1, 1), (3, 50), (20, 20)]:
        features = extract(noise(*size), few(detector, shortest_px=320))
        assert (features.height, features.width) == size


# Descriptors


def test_sift_descriptors_have_length_512(photos: Photos) -> None:
    descriptors = extract(photos["chelsea"], few("sift")).descriptors.astype(float)
    lengths = np.linalg.norm(descriptors, axis=1)
    assert np.median(lengths) == pytest.approx(512, abs=2)
    assert lengths.max() < 520


@pytest.mark.parametrize("detector", BINARY)
def test_squared_distance_of_binary_descriptors_is_hamming(photos: Photos, detector: str) -> None:
    descriptors = extract(photos["chelsea"], few(detector)).descriptors
    one, other = descriptors[:50].astype(int), descriptors[50:100].astype(int)
    packed = np.packbits(descriptors[:50], axis=1) ^ np.packbits(descriptors[50:100], axis=1)
    assert np.array_equal(((one - other) ** 2).sum(axis=1), np.bitwise_count(packed).sum(axis=1))


def test_float_descriptors_keep_their_sign_around_128(photos: Photos) -> None:
    descriptors = extract(photos["chelsea"], few("kaze")).descriptors.astype(float)
    assert descriptors.min() < 128 < descriptors.max()
    assert np.linalg.norm((descriptors - 128) / 255, axis=1) == pytest.approx(1, abs=0.02)


# Options


def test_limit_grows_with_the_picture() -> None:
    options = FeatureOptions(longest_px=2000, features=800, features_at_longest=4000)
    limits = [options.limit(long_side) for long_side in range(0, 2400, 40)]
    assert limits == sorted(limits)
    assert options.limit(1) == options.limit(640) == 800
    assert options.limit(1320) == 2400
    assert options.limit(2000) == options.limit(5000) == 4000


def test_limit_of_small_working_sizes_is_that_of_small_pictures() -> None:
    options = FeatureOptions(longest_px=320)
    assert options.limit(320) == options.limit(10) == options.features


@pytest.mark.parametrize("detector", AVAILABLE)
def test_features_bounds_how_many_are_kept(photos: Photos, detector: str) -> None:
    assert len(extract(photos["astronaut"], few(detector, features=50, features_at_longest=50))) == 50
    assert 50 < len(extract(photos["astronaut"], few(detector))) <= 300


def test_features_at_longest_bounds_large_pictures(photos: Photos) -> None:
    picture = np.asarray(cv2.resize(photos["astronaut"], (1000, 1000)), np.uint8)
    options = FeatureOptions(longest_px=1000, features=100, features_at_longest=100)
    assert len(extract(picture, options)) == 100
    assert len(extract(picture, replace(options, features_at_longest=250))) == 250


def test_longest_px_bounds_the_working_size(photos: Photos) -> None:
    features = extract(photos["coffee"], few("sift", longest_px=300))
    assert (features.width, features.height) == (600, 400)
    assert features.sizes.min() > extract(photos["coffee"], few("sift")).sizes.min()
    assert features.keypoints[:, 0].max() > 500


def test_shortest_px_scales_small_pictures_up(photos: Photos) -> None:
    small = np.asarray(cv2.resize(photos["coffee"], (120, 80), interpolation=cv2.INTER_AREA), np.uint8)
    plain = extract(small, few("sift"))
    enlarged = extract(small, few("sift", shortest_px=360))
    assert len(enlarged) > len(plain)
    assert enlarged.keypoints[:, 0].max() < 120


def test_detector_chooses_the_detector(photos: Photos) -> None:
    for detector in AVAILABLE:
        features = extract(photos["coins"], few(detector))
        assert features.detector == detector
        assert features.descriptors.shape[1] == DESCRIPTOR_SIZE[descriptors_of(detector)]
    assert {descriptors_of(detector) for detector in DETECTORS} == set(DESCRIPTOR_SIZE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"detector": "sfit"},
        {"detector": ""},
        {"longest_px": 63},
        {"longest_px": 10_001},
        {"shortest_px": -1},
        {"longest_px": 640, "shortest_px": 641},
        {"longest_px": 3000, "shortest_px": 2001},
        {"features": 9},
        {"features": 900, "features_at_longest": 899},
        {"features_at_longest": 100_001},
        {"choice": "size"},
        {"choice": ""},
    ],
    ids=str,
)
def test_options_out_of_range_are_misuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        FeatureOptions(**wrong)


@pytest.mark.parametrize(
    ("detector", "usual"),
    [("sift", (800, 1900)), ("opencv-sift", (800, 4000)), ("akaze", (1500, 6000)), ("orb", (1500, 6000)),
     ("brisk", (1500, 6000)), ("kaze", (800, 4000)), ("surf", (800, 4000))],
)  # fmt: skip
def test_what_indexes_are_made_with(detector: str, usual: tuple[int, int]) -> None:
    few, many = usual
    choice = "scale" if detector == "sift" else "contrast"
    made = {speed: tuple(vars(FeatureOptions.of(detector, speed)).values()) for speed in SPEEDS}
    assert made == {
        "fast": (detector, 640, 0, few // 2, few // 2, choice), "balanced": (detector, 2000, 0, few, many, choice),
        "thorough": (detector, 3000, 800, 2 * few, 2 * many, choice),
    }  # fmt: skip
    assert FeatureOptions(detector) == FeatureOptions.of(detector) == features_wanted(detector)
    assert FeatureOptions(detector, features=many + 1).features_at_longest == many + 1
    assert FeatureOptions(detector, features=few + 1).features_at_longest == many
    assert FeatureOptions(detector).description() == (
        f"detector {detector}, longest_px 2000, shortest_px 0, features {few}, features_at_longest {many}, "
        f"choice {choice}"
    )


def test_an_index_that_names_no_choice_was_made_by_contrast() -> None:
    kept = {"detector": "sift", "longest_px": 2000, "shortest_px": 0, "features": 800, "features_at_longest": 4000}
    assert FeatureOptions.of_index(kept) == FeatureOptions(features_at_longest=4000, choice="contrast")
    assert FeatureOptions.of_index(kept | {"choice": "scale"}).choice == "scale"
    for wrong in (1, "psychic"):
        with pytest.raises(UsageError):
            FeatureOptions.of_index(kept | {"choice": wrong})


@pytest.mark.parametrize("detector", ["orb", "opencv-sift"])
def test_other_detectors_choose_by_contrast_whatever_is_said(detector: str) -> None:
    options = replace(FeatureOptions(), detector=detector)
    assert options.choice == "contrast"
    assert options == replace(options, choice="scale") == FeatureOptions.of_index(vars(options) | {"choice": "scale"})


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, (2000, 0, 800, 4000)), ({"features": 900}, (2000, 0, 900, 4000)),
        ({"features": 2500}, (2000, 0, 2500, 4000)), ({"features": 4500}, (2000, 0, 4500, 4500)),
        ({"features": 300, "features_at_longest": 300}, (2000, 0, 300, 300)),
        ({"longest_px": 900}, (900, 0, 800, 4000)),
        (vars(FeatureOptions.of("sift", "fast")), (640, 0, 400, 400)),
        (vars(FeatureOptions.of("sift", "thorough")), (3000, 800, 1600, 8000)),
    ],
)  # fmt: skip
def test_arguments_stand_for_what_they_made_before_there_was_a_choice(
    given: dict[str, Any], made: tuple[int, int, int, int]
) -> None:
    options, former = FeatureOptions(**given), FeatureOptions("sift", *made, "contrast")
    assert options.stands_for(former)
    assert options.stands_for(options)
    assert not former.stands_for(options)
    assert not options.stands_for(replace(former, longest_px=1999))
    assert not options.stands_for(replace(former, features_at_longest=made[3] + 1))


def test_by_scale_more_coarse_features_are_kept(photos: Photos) -> None:
    options = few("sift", features=200, features_at_longest=200)
    by_contrast, by_scale = (extract(photos["astronaut"], replace(options, choice=choice)) for choice in CHOICES)
    assert len(by_contrast) == len(by_scale) == 200
    assert np.median(by_scale.sizes) > 1.1 * np.median(by_contrast.sizes)


def test_a_speed_is_one_of_three() -> None:
    with pytest.raises(UsageError, match=r"^unknown speed 'slow'; one of fast, balanced, thorough$"):
        FeatureOptions.of("sift", "slow")


def test_options_are_kept_by_an_index_as_they_are() -> None:
    for options in (FeatureOptions(), FeatureOptions("orb", 700, 600, 20, 30)):
        assert FeatureOptions.of_index(dict(vars(options))) == options
    assert FeatureOptions.of_index({"detector": "orb"}) == FeatureOptions("orb")


@pytest.mark.parametrize("kept", [
    None, [], "sift", {}, {"longest_px": 640}, {"detector": "sift", "more": 1}, {"detector": 1}, {"detector": None},
    {"detector": "sift", "features": True}, {"detector": "sift", "features": "9"},
    {"detector": "sift", "features": 9.0}, {"detector": "sfit"}, {"detector": "sift", "features": 9},
])  # fmt: skip
def test_what_an_index_keeps_is_not_believed(kept: Any) -> None:
    with pytest.raises(UsageError):
        FeatureOptions.of_index(kept)


def test_features_that_are_wanted() -> None:
    options = FeatureOptions("orb", 700)
    assert features_wanted(options) is options
    for wrong in (None, 3, "sfit", ["sift"]):
        with pytest.raises(UsageError):
            features_wanted(wrong)


def test_a_part_of_features_is_one_of_all_columns(photos: Photos) -> None:
    whole = extract(photos["coffee"], few("orb"))
    part = whole[2:9:2]
    assert (len(part), part.detector, part.width, part.height) == (4, "orb", 600, 400)
    for column in ("keypoints", "sizes", "angles", "descriptors"):
        assert np.array_equal(getattr(part, column), getattr(whole, column)[[2, 4, 6, 8]])
        assert np.array_equal(getattr(whole[np.array([5, 1])], column), getattr(whole, column)[[5, 1]])
    assert repr(part) == "Features(4 of orb, 600 x 400 px)"


def test_options_at_the_ends_of_their_ranges_are_taken() -> None:
    FeatureOptions(longest_px=2000, shortest_px=2000, features=100_000)
    FeatureOptions(longest_px=64, shortest_px=64, features=10, features_at_longest=10)
    FeatureOptions(longest_px=10_000, features=100_000, features_at_longest=100_000)


# Coordinates


@pytest.mark.parametrize("detector", AVAILABLE)
def test_keypoints_of_a_reduced_picture_are_in_pixels_of_the_original(photos: Photos, detector: str) -> None:
    plain = extract(photos["coffee"], few(detector))
    tripled = photos["coffee"].repeat(3, axis=0).repeat(3, axis=1)  # reduced again, the same pixels
    features = extract(tripled, few(detector, longest_px=600))
    assert (features.width, features.height) == (1800, 1200)
    assert features.keypoints == pytest.approx(3 * plain.keypoints + 1, abs=1e-3)
    assert features.sizes == pytest.approx(3 * plain.sizes, rel=1e-5)
    assert np.array_equal(features.angles, plain.angles)


@pytest.mark.parametrize("detector", ["sift", "akaze", "kaze"])
@pytest.mark.parametrize("longest_px", [667, 433])
def test_keypoints_are_where_the_dots_are(detector: str, longest_px: int) -> None:
    places = np.array([(301.0, 250.0), (900.0, 333.0), (640.5, 707.25), (1003.0, 801.0)])
    y, x = np.mgrid[:1000, :1300]
    light = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 14.0**2)) for cx, cy in places)
    features = extract(np.asarray(20 + 220 * light, np.uint8), few(detector, longest_px=longest_px))
    distances = np.linalg.norm(features.keypoints[:, None] - places, axis=2).min(axis=0)
    assert np.all(distances < 1300 / longest_px)


def test_sizes_are_in_pixels_of_the_original() -> None:
    y, x = np.mgrid[:800, :800]
    dot = np.asarray(255 * np.exp(-((x - 400) ** 2 + (y - 400) ** 2) / (2 * 20.0**2)), np.uint8)
    full, half = (extract(dot, few("sift", longest_px=longest_px)) for longest_px in (800, 400))
    assert full.sizes.max() == pytest.approx(half.sizes.max(), rel=0.1)


def test_extract_is_extract_grey_of_the_decoded_picture(photos: Photos) -> None:
    options = few("orb")
    grey = load_grey(photos["coins"], longest_px=options.longest_px)
    assert same(extract(photos["coins"], options), extract_grey(grey, options))


# Spread


def cluster_and_rest() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1000 strong points in a corner, 200 weak ones over a picture of 400 x 300."""
    random = np.random.default_rng(7)
    corner = random.uniform(0, 30, (1000, 2))
    rest = random.uniform(0, 1, (200, 2)) * [400, 300]
    points = np.concatenate([corner, rest]).astype(np.float32)
    responses = np.concatenate([random.uniform(10, 20, 1000), random.uniform(0, 1, 200)]).astype(np.float32)
    return points, responses


def plain_spread(
    points: NDArray[np.float32], responses: NDArray[np.float32], width: int, height: int, limit: int
) -> list[int]:
    """``spread``, written out."""
    side = max((width * height / max(limit / 4, 1)) ** 0.5, 1.0)
    cells: dict[tuple[int, int], list[int]] = {}
    for number in np.argsort(-responses, kind="stable").tolist():
        cells.setdefault((int(points[number, 1] // side), int(points[number, 0] // side)), []).append(number)
    chosen: list[int] = []
    for turn in range(len(points)):
        ranked = sorted((-responses[cell[turn]], place) for place, cell in cells.items() if turn < len(cell))
        chosen += [cells[place][turn] for _, place in ranked]
    return chosen[:limit]


@pytest.mark.parametrize(("width", "height"), [(400, 300), (30, 700), (3, 2)])
@pytest.mark.parametrize("limit", [1, 3, 4, 100, 999])
def test_spread_is_as_it_is_defined(width: int, height: int, limit: int) -> None:
    random = np.random.default_rng(3)
    points = (random.random((300, 2)) ** 2 * [width, height]).astype(np.float32)
    responses = random.permutation(300).astype(np.float32)
    assert spread(points, responses, width, height, limit).tolist() == plain_spread(
        points, responses, width, height, limit
    )


def test_spread_covers_the_picture() -> None:
    points, responses = cluster_and_rest()
    kept = spread(points, responses, 400, 300, 100)
    assert len(kept) == 100
    assert len(set(kept.tolist())) == 100
    assert np.count_nonzero(kept >= 1000) > 80
    quarters = (points[kept, 0] > 200).astype(int) + 2 * (points[kept, 1] > 150)
    assert np.bincount(quarters, minlength=4).min() > 10


def test_spread_takes_the_strongest_of_a_cell() -> None:
    points, responses = cluster_and_rest()
    kept = spread(points, responses, 400, 300, 40)
    assert int(responses.argmax()) == kept[0]


def test_spread_returns_all_where_there_are_fewer() -> None:
    points, responses = cluster_and_rest()
    assert sorted(spread(points, responses, 400, 300, 5000)) == list(range(1200))
    assert spread(points[:1], responses[:1], 400, 300, 10).tolist() == [0]


def test_spread_of_nothing_is_nothing() -> None:
    kept = spread(np.empty((0, 2), np.float32), np.empty(0, np.float32), 400, 300, 10)
    assert kept.shape == (0,)


def test_spread_is_deterministic_among_equals() -> None:
    points, _ = cluster_and_rest()
    equal = np.ones(len(points), np.float32)
    assert np.array_equal(spread(points, equal, 400, 300, 100), spread(points, equal, 400, 300, 100))
    assert spread(np.zeros((5, 2), np.float32), equal[:5], 400, 300, 3).tolist() == [0, 1, 2]


def test_spread_takes_points_on_the_far_edges() -> None:
    points = np.array([[0, 0], [399.9, 0], [0, 299.9], [399.9, 299.9]], np.float32)
    assert sorted(spread(points, np.ones(4, np.float32), 400, 300, 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_jpeg_decoded_at_reduced_size_lies_where_the_whole_one_does(photos: Photos, orientation: int) -> None:
    large = Image.fromarray(photos["coffee"]).resize((2603, 1735), Image.Resampling.BICUBIC)  # no multiple of 4
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    large.save(file, "JPEG", quality=95, exif=exif)
    options = FeatureOptions(longest_px=640)
    reduced = extract(file.getvalue(), options)
    whole = extract(load_display(file.getvalue()), options)
    assert (reduced.width, reduced.height) == (whole.width, whole.height)
    pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(
        reduced.descriptors.astype(np.float32), whole.descriptors.astype(np.float32)
    )
    source, target = reduced.keypoints[[pair.queryIdx for pair in pairs]], whole.keypoints[[p.trainIdx for p in pairs]]
    homography, inliers = cv2.findHomography(source, target, cv2.RANSAC, 4.0)
    assert inliers.sum() > 400
    corners = np.array([[0, 0], [whole.width - 1, 0], [0, whole.height - 1], [whole.width - 1, whole.height - 1]])
    moved = project(np.asarray(homography), corners.astype(np.float64)) - corners
    assert np.abs(moved).max() < 0.5  # an eighth of a working pixel


def test_octaves_are_those_of_the_sizes() -> None:
    features = Features.from_arrays(
        "drawn", np.ones((4, 2)), np.ones((4, 64)), size=(9, 9), angles=np.zeros(4), sizes=[0.25, 1, 8, 12]
    )
    assert features.octaves[:3].tolist() == [0, 0, 3]
    assert features[2:].octaves.tolist() == features.octaves[2:].tolist()
    assert features.octaves[3] == pytest.approx(np.log2(12))
