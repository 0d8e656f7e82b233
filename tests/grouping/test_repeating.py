from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import GeometryOptions
from featmatch.grouping.repeating import Repeated, repeated
from tests.grouping.made import WIDTH, Made, image, scaled, turned

OPTIONS = GeometryOptions()  # within 2.4 px in 400, and 30 degrees


def share(query: Features, reference: Features, *, negative: bool = False) -> float:
    return repeated(query, reference, np.eye(3), OPTIONS, negative=negative).share


def grown(features: Features, factor: float) -> Features:
    return replace(features, sizes=features.sizes * np.float32(factor))


def shifted(features: Features, x: float) -> Features:
    return replace(features, keypoints=features.keypoints + np.array([x, 0], np.float32))


def spun(features: Features, angle_deg: float) -> Features:
    return replace(features, angles=features.angles + np.float32(np.radians(angle_deg)))


@pytest.mark.parametrize("matrix", [np.eye(3), turned(40), turned(-110, 0.7), scaled(0.5), scaled(0.5, 190, 140)])
def test_all_features_of_a_copy_are_repeated(matrix: Matrix) -> None:
    original = image(1, 300)
    copy = original.moved(matrix)
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    there = repeated(copy.features, original.features, back, OPTIONS, negative=False)
    assert there.covered == 1
    assert there.share == 1
    assert there.evenness > 0.9


def test_what_lies_outside_is_not_covered() -> None:
    original = image(1, 300)
    crop = original.moved(scaled(2, -200, -200))  # the middle
    there = repeated(original.features, crop.features, scaled(2, -200, -200), OPTIONS, negative=False)
    inside = ((original.features.keypoints >= [100, 100]) & (original.features.keypoints <= [299.5, 249.5])).all(axis=1)
    assert there.covered == pytest.approx(inside.mean(), abs=0.01)
    assert there.share > 0.9
    corner = original.moved(scaled(1, -200, -150), 200, 150)
    there = repeated(original.features, corner.features, scaled(1, -200, -150), OPTIONS, negative=False)
    assert (there.share, there.evenness) == pytest.approx((1, 1), abs=0.05)


def test_a_picture_ends_half_a_pixel_beyond_its_outer_centres() -> None:
    places = np.array([[-0.6, 9], [-0.4, 9], [399.4, 9], [399.6, 9], [9, -0.6], [9, -0.4], [9, 299.4], [9, 299.6]])
    one = image(1, 8).features
    query = replace(one, keypoints=places.astype(np.float32))
    assert repeated(query, one, np.eye(3), OPTIONS, negative=False).covered == 0.5
    assert repeated(query, replace(one, width=399), np.eye(3), OPTIONS, negative=False).covered == 3 / 8


def test_features_of_another_picture_are_hardly_repeated() -> None:
    assert share(image(1).features, image(2).features) < 0.05


def test_a_share_is_repeated_of_a_picture_that_has_a_share_of_the_features() -> None:
    original, other = image(1, 200), image(2, 50)
    half = Made(original.features[:100], original.words)
    assert share(half.features, original.features) == 1
    assert share(original.features, half.features) == pytest.approx(0.5, abs=0.03)
    assert share(half.beside(other).features, original.features) == pytest.approx(2 / 3, abs=0.04)


@pytest.mark.parametrize(("factor", "found"), [(1.55, True), (1 / 1.55, True), (1.75, False), (1 / 1.75, False)])
def test_sizes_may_differ_by_seven_tenths_of_an_octave(factor: float, found: bool) -> None:
    one = replace(image(1).features, sizes=np.full(120, 10, np.float32))
    small_ones = replace(one, sizes=np.full(120, 1, np.float32))  # so that none is too small to be seen
    picture = Made(one, image(1).words).beside(Made(shifted(small_ones, 3), image(1).words)).features
    assert share(grown(one, factor), picture) == (1 if found else 0)


@pytest.mark.parametrize(("shift", "found"), [(2.3, True), (2.5, False)])
def test_positions_may_differ_by_the_tolerance(shift: float, found: bool) -> None:
    random = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(20, 380, 20), np.arange(20, 280, 20)), axis=-1).reshape(-1, 2)
    made_of = image(1, len(grid)).features
    one = replace(made_of, keypoints=grid.astype(np.float32), angles=random.uniform(0, 6, len(grid)).astype(np.float32))
    assert share(shifted(one, shift), one) == (1 if found else 0)


def test_the_tolerance_is_a_pixel_at_least() -> None:
    one = replace(image(1).features, width=40, height=30, keypoints=image(1).features.keypoints / np.float32(10))
    off = replace(one, keypoints=one.keypoints + np.array([0.9, 0], np.float32))
    inside = (off.keypoints < [39.5, 29.5]).all(axis=1)
    there = repeated(off, one, np.eye(3), OPTIONS, negative=False)
    assert there.covered == pytest.approx(inside.mean())
    assert there.share > 0.9


@pytest.mark.parametrize(("angle_deg", "found"), [(0, True), (29, True), (-29, True), (31, False), (180, False)])
def test_angles_may_differ_by_the_option(angle_deg: float, found: bool) -> None:
    one = image(1).features
    assert (share(spun(one, angle_deg), one) > 0.9) == found


def test_keypoints_of_a_negative_are_turned_by_half_a_turn() -> None:
    original = image(1)
    negative = original.in_variant(Variant.NEGATIVE)
    assert share(negative.features, original.features, negative=True) == 1
    assert share(negative.features, original.features) < 0.1
    assert share(original.features, original.features, negative=True) < 0.1


def test_angles_and_sizes_follow_the_homography() -> None:
    original = image(1, 300)
    copy = original.moved(turned(90, 0.5))
    back = turned(-90, 2)
    assert repeated(copy.features, original.features, back, OPTIONS, negative=False).share == 1
    for changed in (spun(copy.features, 90), grown(copy.features, 2)):
        assert repeated(changed, original.features, back, OPTIONS, negative=False).share < 0.1
    mirrored = original.in_variant(Variant.MIRRORED)
    flip = np.array([[-1.0, 0, WIDTH - 1], [0, 1, 0], [0, 0, 1]])
    assert repeated(mirrored.features, original.features, flip, OPTIONS, negative=False).share == 1


def test_features_too_small_to_be_seen_do_not_count() -> None:
    large, small = image(1, 100).features, image(2, 100).features
    large, small = replace(large, sizes=np.full(100, 16, np.float32)), replace(small, sizes=np.full(100, 4, np.float32))
    both = Made(large, image(1).words).beside(Made(small, image(1).words)).features
    assert share(both, large) == 1  # of which those that are as large as the reference's
    assert share(small, large) == 0
    a_few_small = Made(large, image(1).words).beside(Made(small[:20], image(1).words)).features
    assert share(small, a_few_small) == 0  # those of that size in the reference may be there by luck
    assert repeated(small, large, np.eye(3), OPTIONS, negative=False) == Repeated(0.0, 0.0, 0.0)


def test_what_is_repeated_in_one_spot_is_not_even() -> None:
    one = image(1, 400).features
    corner = (one.keypoints < [100, 75]).all(axis=1)
    columns = {name: getattr(one, name)[corner] for name in ("keypoints", "sizes", "angles", "descriptors")}
    there = repeated(one, replace(one, **columns), np.eye(3), OPTIONS, negative=False)
    assert 0 < there.share < 0.15
    assert there.evenness < 0.3


def test_another_of_several_near_features_may_be_the_one() -> None:
    one = image(1, 50).features
    decoys = [spun(shifted(one, 0.1 * number), 90) for number in (1, 2, 3)]
    crowd = Made(one, image(1).words)
    for decoy in decoys:
        crowd = crowd.beside(Made(decoy, image(1).words))
    assert share(shifted(one, 0.5), crowd.features) == 1
    fourth = crowd.beside(Made(spun(shifted(one, 0.4), 90), image(1).words))
    assert share(shifted(one, 0.5), fourth.features) < 0.2  # only the four nearest are looked at


def test_nothing_is_repeated_in_nothing() -> None:
    one, nothing = image(1).features, image(1, 0).features
    for a, b, matrix in ((one, nothing, np.eye(3)), (nothing, one, np.eye(3)), (one, one, scaled(1, 5000))):
        assert repeated(a, b, matrix, OPTIONS, negative=False) == Repeated(0.0, 0.0, 0.0)
    beyond = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]])  # all behind the camera: no warning either
    assert repeated(one, one, beyond, OPTIONS, negative=False) == Repeated(0.0, 0.0, 0.0)
