from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import GeometryOptions
from featmatch.grouping.joining import JoiningOptions, stored_images
from featmatch.grouping.pairs import Collection, Pair, pairs_of
from featmatch.grouping.repeating import Repeated
from tests.grouping.made import HEIGHT, WIDTH, Made, image, pair, scaled, segment, turned, vocabulary


@pytest.mark.parametrize("part", ["geometry", "evenness", "share"])
def test_each_kind_of_evidence_has_a_say(part: str) -> None:
    good = pair(0, 1, np.eye(3))
    assert good.probability("sift") > 0.99
    none = Repeated(1.0, 0.02, 1.0)
    worse = {
        "geometry": dataclasses.replace(good, geometry=2.0),
        "evenness": dataclasses.replace(good, evenness=0.2),
        "share": dataclasses.replace(good, in_reference=none, in_query=none),
    }[part]
    assert worse.probability("sift") < 0.5


@pytest.mark.parametrize(("alike", "least", "most"), [(-np.inf, 0.0, 0.001), (0.0, 0.49, 0.51), (4.0, 0.98, 0.99)])
def test_looks_may_prove_what_features_do_not(alike: float, least: float, most: float) -> None:
    nothing = Repeated(1.0, 0.0, 0.0)
    weak = dataclasses.replace(pair(0, 1, np.eye(3)), geometry=0.0, in_reference=nothing, in_query=nothing, alike=alike)
    assert least <= weak.probability("sift") <= most


def test_features_that_are_there_again_speak_against_chance() -> None:
    few = dataclasses.replace(pair(0, 1, np.eye(3)), geometry=5.0)
    again = [dataclasses.replace(few, in_reference=part, in_query=part) for part in (few.in_query, Repeated(1, 0.9, 1))]
    assert again[0].probability("sift") + 0.1 < again[1].probability("sift")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.999),
        ({"evenness": 0.5}, 0.937),
        ({"evenness": 0.32}, 0.5),
        ({"geometry": 0.0, "in_reference": Repeated(1, 0.215, 1), "in_query": Repeated(1, 0.215, 1)}, None),
    ],
)
def test_probabilities_by_hand(changes: dict[str, object], expected: float | None) -> None:
    given = dataclasses.replace(pair(0, 1, np.eye(3)), **changes)  # type: ignore[arg-type]
    if expected is None:  # with so little geometry, chance cannot be ruled out
        assert given.probability("sift") < 0.5
    else:
        assert given.probability("sift") == pytest.approx(expected, abs=0.001)


def with_repeated(one: Pair, *parts: tuple[float, float]) -> Pair:
    there, back = (Repeated(1.0, share, evenness) for share, evenness in parts)
    return dataclasses.replace(one, in_reference=there, in_query=back)


def test_the_larger_share_and_the_smaller_evenness_count() -> None:
    given = with_repeated(pair(0, 1, np.eye(3)), (0.2, 0.9), (0.6, 0.5))
    assert given.again == pytest.approx(0.3)
    assert with_repeated(given, (0.6, 0.5), (0.2, 0.9)).again == pytest.approx(0.3)


def test_much_geometry_stands_in_for_repeated_features_up_to_a_bound() -> None:
    """Of the share 0.215 = 8.6 / 40 half are proven; 120 of geometry count as 0.1 of the share, 200 at most."""
    few, half = (
        with_repeated(pair(0, 1, np.eye(3)), (share, 1.0), (share, 1.0)) for share in (0.115, 0.215 - 0.2 / 1.2)
    )

    def probability(one: Pair, geometry: float) -> float:
        return dataclasses.replace(one, geometry=geometry).probability("sift")

    assert probability(few, 120) == pytest.approx(0.5, abs=0.001)
    assert probability(half, 190) < 0.45
    assert probability(half, 1000) == pytest.approx(0.5, abs=0.001)


def test_a_key_has_the_lower_id_first() -> None:
    assert pair(3, 5, np.eye(3)).key == pair(5, 3, np.eye(3)).key == (3, 5)


@pytest.mark.parametrize(("a", "b", "whole"), [(0.8, 0.8, True), (0.79, 1.0, False), (1.0, 0.79, False)])
def test_a_whole_pair_covers_most_of_both(a: float, b: float, whole: bool) -> None:
    assert pair(0, 1, np.eye(3), a, b).is_whole == whole


# From what is stored


def collection(images: dict[int, Made], places: Iterable[int] | None = None, split: int = 0) -> Collection:
    """Images in one segment or two; their contents are in the order of their ids, or as given."""
    parts = [dict(list(images.items())[:split]), dict(list(images.items())[split:])]
    segments = [segment(part) for part in parts if part]
    order = {number: place for place, number in enumerate(places or sorted(images))}
    return Collection(segments, [np.ones(len(one.ids), bool) for one in segments], vocabulary(), "sift", order)


NONE = np.empty(0, np.int64)


def compared(given: Collection, *numbers: int, earlier: NDArray[np.int64] = NONE) -> dict[tuple[int, int], Pair]:
    images = sorted(stored_images(given.segments, numbers, "sift"), key=lambda one: one.id)
    found = pairs_of(images, given, earlier, JoiningOptions(), GeometryOptions())
    assert len({one.key for one in found}) == len(found)
    return {one.key: one for one in found}


def corners(matrix: Matrix, width: float = WIDTH, height: float = HEIGHT) -> NDArray[np.float64]:
    points = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    return np.asarray(points[:, :2] / points[:, 2:])


@pytest.mark.parametrize("variant", Variant)
def test_a_copy_makes_a_sure_pair_with_its_homography(variant: Variant) -> None:
    original, way = image(1, 300), turned(20, 0.7)
    given = collection({1: original, 2: image(2, 300), 3: original.moved(way).in_variant(variant)})
    found = compared(given, 1, 2, 3)
    assert list(found) == [(1, 3)]
    one = found[1, 3]
    assert (one.query, one.reference) == (3, 1)  # its content comes later
    assert (one.mirrored, one.negative) == (variant.mirrored, variant.negative)
    flip = np.array([[-1.0, 0, WIDTH - 1], [0, 1, 0], [0, 0, 1]]) if variant.mirrored else np.eye(3)
    np.testing.assert_allclose(corners(one.homography), corners(np.linalg.inv(way) @ flip), atol=2)
    assert one.inliers > 100
    assert (one.in_reference.share, one.in_query.share) == pytest.approx((1, 1), abs=0.05)  # negatives are turned, too
    assert (one.in_reference.covered, one.in_query.covered) == pytest.approx((1, 1), abs=0.02)
    assert one.evenness > 0.8
    assert one.probability("sift") > 0.99


def test_what_is_said_does_not_depend_on_which_came_first() -> None:
    original, copy = image(1, 200), image(1, 200).moved(turned(20, 0.7))
    pairs = [
        compared(collection({1: original, 5: copy}, places=[1, 5]), 5)[1, 5],
        compared(collection({1: copy, 5: original}, places=[5, 1]), 5)[1, 5],
        compared(collection({1: original, 5: copy}, places=[1, 5], split=1), 1, earlier=np.array([5]))[1, 5],
    ]
    for one in pairs[1:]:
        np.testing.assert_array_equal(one.homography, pairs[0].homography)
        numbers = {"query": 0, "reference": 0, "homography": np.eye(3)}
        assert vars(dataclasses.replace(one, **numbers)).keys() == vars(one).keys()  # type: ignore[arg-type]
        for name, value in vars(one).items():
            if name not in numbers:
                assert value == vars(pairs[0])[name], name
    assert [(one.query, one.reference) for one in pairs] == [(5, 1), (1, 5), (5, 1)]


def test_images_are_compared_with_those_that_come_before() -> None:
    original = image(1)
    given = collection(dict.fromkeys((1, 2, 3, 4), original), split=2)
    assert set(compared(given, 1)) == set()
    assert set(compared(given, 3)) == {(1, 3), (2, 3)}
    assert set(compared(given, 2, 3)) == {(1, 2), (1, 3), (2, 3)}
    assert set(compared(given, 2, earlier=np.array([2, 4]))) == {(1, 2), (2, 4)}
    live = [np.array([False, True]), np.array([True, True])]
    assert set(compared(dataclasses.replace(given, live=live), 3)) == {(2, 3)}


def test_a_crop_covers_its_part() -> None:
    original = image(1, 400)
    crop = original.moved(scaled(1, -100, -75), 200, 150)
    one = compared(collection({1: original, 2: crop}), 2)[1, 2]
    assert one.in_reference.covered == 1
    assert one.in_query.covered == pytest.approx(0.25, abs=0.05)
    assert one.alike == -np.inf  # their looks are of different frames
    assert one.probability("sift") > 0.95


def test_chance_makes_no_pairs() -> None:
    images = {number: image(number, 300) for number in range(1, 9)}
    assert compared(collection(images), *images) == {}


@pytest.mark.parametrize(("count", "found"), [(3, False), (4, True)])
def test_three_features_in_common_are_no_pair(count: int, found: bool) -> None:
    shared = image(1, count)
    given = collection({1: image(3, 300).beside(shared), 2: image(4, 300).beside(shared)})
    assert list(compared(given, 2)) == ([(1, 2)] if found else [])


def test_a_few_features_in_common_are_a_pair_that_proves_nothing() -> None:
    spot = image(1, 2000).moved(scaled(1, 0, 0), 80, 60)  # a small sign, at the top left
    there = dataclasses.replace(spot.features, width=WIDTH, height=HEIGHT)
    sign = dataclasses.replace(spot, features=there)
    found = compared(collection({1: image(3, 400).beside(sign), 2: image(4, 400).beside(sign)}), 2)
    one = found[1, 2]
    assert one.evenness < 0.5
    assert one.in_reference.evenness < 0.5
    assert one.probability("sift") < 0.5


def test_a_partner_without_geometry_hides_no_other() -> None:
    original, few = image(1, 200), image(2, 4)
    elsewhere = dataclasses.replace(few, features=image(7, 4).features)
    given = collection({1: image(3, 200).beside(elsewhere), 2: original, 3: original.beside(few)})
    assert list(compared(given, 3)) == [(2, 3)]


@pytest.mark.parametrize("strong", [Variant.PLAIN, Variant.MIRRORED])
def test_of_several_variants_the_one_with_the_best_geometry_counts(strong: Variant) -> None:
    most, some = image(1, 150), image(2, 30)
    weak = Variant(strong ^ Variant.MIRRORED)
    copy = most.in_variant(strong).beside(some.in_variant(weak))
    one = compared(collection({1: most.beside(some), 2: copy}), 2)[1, 2]
    assert one.mirrored == strong.mirrored
    assert one.inliers > 60


def test_matches_are_even_if_they_are_so_in_both() -> None:
    spot = image(1, 2000).moved(np.eye(3), 80, 60)
    alone = dataclasses.replace(spot, features=dataclasses.replace(spot.features, width=WIDTH, height=HEIGHT))
    images = {1: image(3, 400).beside(alone), 2: alone}
    for places in ([1, 2], [2, 1]):  # of the one all features match, of the other those in a corner
        assert compared(collection(images, places=places), 2)[1, 2].evenness < 0.5


LAYOUT = tuple(np.random.default_rng(1).integers(-60, 60, 64).tolist())


def plain(seed: int, phash: int, layout: tuple[int, ...] = LAYOUT) -> Made:
    return image(seed, 8, phash=phash, layout=layout)


def test_images_of_few_features_are_pairs_by_their_looks() -> None:
    other = tuple(np.random.default_rng(2).integers(-60, 60, 64).tolist())
    small = dataclasses.replace(plain(2, 1), features=dataclasses.replace(plain(2, 1).features, width=200, height=150))
    images = {1: plain(1, 0), 2: small, 3: plain(3, 3, other), 4: plain(4, (1 << 40) - 1)}
    found = compared(collection(images), *images)
    assert set(found) == {(1, 2)}  # the hash of 4 and the layout of 3 are others
    one = found[1, 2]
    assert (one.query, one.reference, one.inliers, one.geometry, one.evenness) == (2, 1, 0, 0.0, 0.0)
    assert one.in_reference == one.in_query == Repeated(1.0, 0.0, 0.0)
    assert not one.mirrored
    assert not one.negative
    assert one.probability("sift") > 0.9
    np.testing.assert_allclose(one.homography @ [199.5, 149.5, 1], [399.5, 299.5, 1])
    back = compared(collection(images, places=[2, 1, 3, 4]), *images)[1, 2]
    assert (back.query, back.reference, back.alike) == (1, 2, one.alike)
    np.testing.assert_allclose(back.homography, np.linalg.inv(one.homography))


@pytest.mark.parametrize(("change", "found"), [(6, True), (8, False)])
def test_looks_must_speak_for_a_pair_more_than_against_it(change: int, found: bool) -> None:
    changed = np.array(LAYOUT) + np.random.default_rng(2).integers(-change, change + 1, 64)
    given = collection({1: plain(1, 0), 2: plain(2, 0, tuple(changed.tolist()))})
    pairs = compared(given, 2)
    assert list(pairs) == ([(1, 2)] if found else [])
    assert all(0 < one.alike < 1 for one in pairs.values())


def test_looks_have_a_say_where_features_agree_on_the_whole_frame() -> None:
    copy = image(1, 60, layout=LAYOUT)
    one = compared(collection({1: copy, 2: copy}), 2)[1, 2]
    assert one.inliers > 20
    assert one.alike > 3
