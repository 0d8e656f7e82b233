from __future__ import annotations

import numpy as np
import pytest

from featmatch.features.looks import FEW_FEATURES
from featmatch.grouping import alike
from featmatch.grouping.alike import StoredLooks
from tests.grouping.made import Made, image, segment

NONE = np.empty(0, np.int64)
LAYOUT = np.random.default_rng(1).integers(-60, 60, 64).tolist()
OTHER_LAYOUT = np.random.default_rng(2).integers(-60, 60, 64).tolist()


def of(*segments: dict[int, Made], removed: tuple[int, ...] = ()) -> StoredLooks:
    made = [segment(images) for images in segments]
    return StoredLooks.of(made, [~np.isin(one.ids, removed) for one in made])


def plain(phash: int, count: int = 5) -> Made:
    return image(1, count, phash=phash)


def test_columns_are_in_the_order_of_ids_and_without_removed_images() -> None:
    looks = of({5: plain(50), 2: plain(20, 9)}, {3: plain(30, 7), 1: plain(10)}, removed=(5,))
    assert looks.ids.tolist() == [1, 2, 3]
    assert looks.phashes.tolist() == [10, 20, 30]
    assert looks.features.tolist() == [5, 9, 7]
    assert [looks.row(number) for number in (1, 2, 3)] == [0, 1, 2]


def test_sizes_and_the_homography_between_whole_frames() -> None:
    small = image(2, 4).moved(np.eye(3), 200, 100)
    looks = of({1: image(1, 4), 2: small})
    assert (looks.size(1), looks.size(2)) == ((400, 300), (200, 100))
    homography = looks.homography(1, 2)  # the corners of frames lie half a px outside of the first and last centres
    np.testing.assert_allclose(homography @ [-0.5, -0.5, 1], [-0.5, -0.5, 1])
    np.testing.assert_allclose(homography @ [399.5, 299.5, 1], [199.5, 99.5, 1])
    np.testing.assert_allclose(looks.homography(2, 1) @ homography, np.eye(3), atol=1e-12)


def test_the_score_tells_the_same_layout_from_another() -> None:
    looks = of({1: image(1, layout=LAYOUT), 2: image(2, layout=LAYOUT), 3: image(3, layout=OTHER_LAYOUT)})
    assert looks.score(1, 2) > 3
    assert looks.score(1, 3) < 0
    assert looks.score(2, 1) == looks.score(1, 2)


@pytest.mark.parametrize(("bits", "found"), [(0, [1]), (10, [1]), (11, [])])
def test_hashes_may_differ_in_some_bits(bits: int, found: list[int]) -> None:
    assert of({1: plain(0), 2: plain((1 << bits) - 1)}).nearest(2, NONE) == found


def test_the_nearest_come_first_and_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = of({1: plain(0b111), 2: plain(0b1), 3: plain(0b11), 4: plain(0b10), 9: plain(0)})
    assert looks.nearest(9, NONE) == [2, 4, 3, 1]
    monkeypatch.setattr(alike, "_NEAREST", 2)
    assert looks.nearest(9, NONE) == [2, 4]


def test_of_equals_the_lower_ids_come_first() -> None:
    looks = of({number: plain(number % 2) for number in range(1, 130)})
    others = list(range(1, 129))
    expected = [number for number in others if number % 2] + [number for number in others if number % 2 == 0]
    assert looks.nearest(129, NONE) == expected[:100]


def test_only_images_that_come_before_are_looked_at() -> None:
    looks = of({number: plain(0) for number in (1, 2, 3, 4)})
    assert looks.nearest(2, NONE) == [1]
    assert looks.nearest(1, NONE) == []
    assert looks.nearest(2, np.array([2, 4])) == [1, 4]


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((FEW_FEATURES, FEW_FEATURES), []),
        ((FEW_FEATURES - 1, FEW_FEATURES), [1]),
        ((FEW_FEATURES, FEW_FEATURES - 1), [1]),
    ],
)
def test_one_of_the_two_has_few_features(counts: tuple[int, int], found: list[int]) -> None:
    assert of({1: plain(0, counts[0]), 2: plain(0, counts[1])}).nearest(2, NONE) == found
