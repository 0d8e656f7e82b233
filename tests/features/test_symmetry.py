from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.extraction import FeatureOptions, Features, extract, extract_grey
from featmatch.features.symmetry import SIFT_PERMUTATIONS, Variant, variants_of, with_descriptors_of
from featmatch.images.pixels import load_grey

Photos = dict[str, NDArray[np.uint8]]


def edited(picture: NDArray[np.uint8], variant: Variant) -> NDArray[np.uint8]:
    picture = picture[:, ::-1] if variant.mirrored else picture
    return np.ascontiguousarray(255 - picture if variant.negative else picture)


def pairs_of(one: Features, other: Features) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Keypoints of one and the other at the same place, of the same size and angle."""
    away = np.linalg.norm(one.keypoints[:, None] - other.keypoints, axis=2)
    turned = np.abs(np.angle(np.exp(1j * (one.angles[:, None].astype(float) - other.angles))))
    scaled = np.abs(np.log(one.sizes[:, None] / other.sizes))
    cost = np.where((away < 1) & (turned < 0.2) & (scaled < 0.2), away + turned, np.inf)
    found = np.isfinite(cost.min(axis=1))
    return np.flatnonzero(found), cost.argmin(axis=1)[found]


def test_variants_say_what_they_swap() -> None:
    assert [(v.mirrored, v.negative) for v in Variant] == [(False, False), (True, False), (False, True), (True, True)]


def test_permutations_are_permutations_and_the_first_does_nothing() -> None:
    assert SIFT_PERMUTATIONS.shape == (4, 128)
    assert np.array_equal(np.sort(SIFT_PERMUTATIONS, axis=1), np.tile(np.arange(128), (4, 1)))
    assert np.array_equal(SIFT_PERMUTATIONS[Variant.PLAIN], np.arange(128))
    assert len(np.unique(SIFT_PERMUTATIONS, axis=0)) == 4


@pytest.mark.parametrize("one", Variant)
@pytest.mark.parametrize("other", Variant)
def test_one_permutation_after_another_is_that_of_their_xor(one: Variant, other: Variant) -> None:
    descriptor = np.random.default_rng(1).permutation(128)
    twice = descriptor[SIFT_PERMUTATIONS[one]][SIFT_PERMUTATIONS[other]]
    assert np.array_equal(twice, descriptor[SIFT_PERMUTATIONS[one ^ other]])


@pytest.mark.parametrize("variant", Variant)
def test_a_variant_undoes_itself(photos: Photos, variant: Variant) -> None:
    features = extract(photos["coins"])
    back = with_descriptors_of(with_descriptors_of(features, variant), variant)
    assert np.array_equal(back.descriptors, features.descriptors)
    assert back.keypoints == pytest.approx(features.keypoints, abs=1e-3)
    assert np.exp(1j * back.angles) == pytest.approx(np.exp(1j * features.angles), abs=1e-5)


@pytest.mark.parametrize("variant", list(Variant)[1:])
@pytest.mark.parametrize("photo", ["astronaut", "coins"])
def test_variant_agrees_with_the_features_of_the_edited_picture(photos: Photos, photo: str, variant: Variant) -> None:
    derived = with_descriptors_of(extract(photos[photo]), variant)
    real = extract(edited(photos[photo], variant))
    mine, theirs = pairs_of(derived, real)
    assert len(mine) > 0.7 * min(len(derived), len(real))
    away = np.linalg.norm(derived.descriptors[mine].astype(float) - real.descriptors[theirs], axis=1)
    assert np.median(away) < 0.15 * 512  # descriptors have a length of 512
    assert np.mean(away < 0.3 * 512) > 0.9


@pytest.mark.parametrize("variant", list(Variant)[1:])
def test_variant_is_nearer_to_the_edited_picture_than_the_plain_features_are(photos: Photos, variant: Variant) -> None:
    plain = extract(photos["astronaut"])
    derived = with_descriptors_of(plain, variant)
    mine, theirs = pairs_of(derived, real := extract(edited(photos["astronaut"], variant)))

    def away(features: Features) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(features.descriptors[mine].astype(float) - real.descriptors[theirs], axis=1))

    assert np.mean(away(derived) < away(plain)) > 0.95


def test_variant_moves_what_it_should_and_nothing_else(photos: Photos) -> None:
    plain = extract(photos["coffee"], FeatureOptions(longest_px=300))
    mirrored = with_descriptors_of(plain, Variant.MIRRORED)
    negative = with_descriptors_of(plain, Variant.NEGATIVE)
    assert mirrored.keypoints[:, 0] + plain.keypoints[:, 0] == pytest.approx(599, abs=1e-3)
    assert np.array_equal(mirrored.keypoints[:, 1], plain.keypoints[:, 1])
    assert np.array_equal(negative.keypoints, plain.keypoints)
    for features in (mirrored, negative):
        assert features.keypoints.dtype == features.angles.dtype == np.float32
        assert np.array_equal(features.sizes, plain.sizes)
        assert (features.width, features.height) == (600, 400)


@pytest.mark.parametrize("variant", Variant)
def test_angles_stay_in_their_range(photos: Photos, variant: Variant) -> None:
    plain = extract(photos["coins"], FeatureOptions(features=10, features_at_longest=10))
    near = np.float32(np.pi) + np.arange(-5, 5, dtype=np.float32) * np.float32(2**-22)
    zero = np.array([0, 1e-9, 1e-7, np.nextafter(np.float32(2 * np.pi), np.float32(0), dtype=np.float32)], np.float32)
    for angles in (near, np.resize(zero, 10)):
        turned = with_descriptors_of(replace(plain, angles=angles), variant).angles
        assert np.all((turned >= 0) & (turned.astype(float) < 2 * np.pi))


def test_variants_of_no_features() -> None:
    grey = load_grey(np.zeros((40, 60), np.uint8), longest_px=640)
    options = FeatureOptions()
    variants = list(variants_of(extract_grey(grey, options), grey, options))
    assert [len(features) for features in variants] == [0, 0, 0, 0]


def test_variants_of_sift_need_no_second_look(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    options = FeatureOptions()
    grey = load_grey(photos["coins"], longest_px=640)
    plain = extract_grey(grey, options)

    def no_look(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr("featmatch.features.symmetry.extract_grey", no_look)
    for variant, features in zip(Variant, variants_of(plain, grey, options), strict=True):
        assert np.array_equal(features.descriptors, plain.descriptors[:, SIFT_PERMUTATIONS[variant]])


@pytest.mark.parametrize("detector", ["orb", "akaze"])
def test_variants_of_other_detectors_are_looked_for_again(photos: Photos, detector: str) -> None:
    options = FeatureOptions(detector, features=200, features_at_longest=200, longest_px=300)
    grey = load_grey(photos["chelsea"], longest_px=300)
    plain = extract_grey(grey, options)
    for variant, features in zip(Variant, variants_of(plain, grey, options), strict=True):
        real = extract_grey(replace(grey, pixels=edited(grey.pixels, variant)), options)
        assert np.array_equal(features.keypoints, real.keypoints)
        assert np.array_equal(features.descriptors, real.descriptors)
        assert (features.width, features.height) == (451, 300)


def test_variants_are_found_when_they_are_asked_for(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    options = FeatureOptions("orb")
    grey = load_grey(photos["coins"], longest_px=640)
    plain = extract_grey(grey, options)

    def look(*arguments: object) -> Features:
        looks.append(arguments)
        return plain

    monkeypatch.setattr("featmatch.features.symmetry.extract_grey", look)
    variants = variants_of(plain, grey, options)
    assert next(variants) is plain
    assert looks == []
    next(variants)
    assert len(looks) == 1
