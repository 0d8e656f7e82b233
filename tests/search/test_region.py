"""A part of a query, looked up alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, UsageError, Vocabulary
from featmatch.features.extraction import FeatureOptions, Features
from featmatch.features.symmetry import Variant
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.search.region import QueryRegion
from featmatch.search.stages import Search
from tests.search.searches import drawn_index


@pytest.fixture(scope="module")
def index(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return drawn_index(tmp_path_factory.mktemp("region"), 4, small_words)


def halves(index: Index) -> tuple[NDArray[np.uint8], int]:
    """The pictures 0 and 1 side by side, and where the second begins."""
    assert index.root is not None
    one, other = (np.asarray(Image.open(Path(index.root) / f"{number:03d}.png").convert("L")) for number in (0, 1))
    return np.hstack([one, other]), one.shape[1]


def test_only_what_lies_in_the_region_is_found_in_px_of_the_whole(index: Index) -> None:
    collage, middle = halves(index)
    height, width = collage.shape
    whole = {match.name: match for match in index.query(collage)}
    assert set(whole) == {"000.png", "001.png"}
    (left,) = index.query(collage, region=(0, 0, middle, height))
    (right,) = index.query(collage, region=[[middle, 0], [width, 0], [width, height], [middle, height]])
    assert (left.name, right.name) == ("000.png", "001.png")
    for match in (left, right):
        np.testing.assert_allclose(match.homography, whole[match.name].homography, atol=0.5)
        assert match.proof.evidence.agreement is not None
        assert match.proof.evidence.agreement > 0.95
    assert right.proof.query_points[:, 0].min() >= middle - 0.5


def test_a_region_with_too_few_features_says_so(index: Index) -> None:
    collage, _ = halves(index)
    assert index.query(collage, region=(0, 0, 4, 4)).status == "too_little_detail"


def test_all_of_a_picture_is_a_region(index: Index) -> None:
    collage, _ = halves(index)
    height, width = collage.shape
    all_of_it = index.query(collage, region=(0, 0, width, height))
    assert all_of_it.to_dict() == index.query(collage).to_dict()


@pytest.mark.parametrize("region", [(1000, 0, 5, 5), (0, 1000, 5, 5), (-20, 0, 19, 9), (0, -20, 9, 19)])
def test_a_region_outside_is_refused(index: Index, region: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="lies outside the picture"):
        index.query(np.zeros((100, 100), np.uint8), region=region)


@pytest.mark.parametrize(
    "wrong",
    [
        "0123", 3, [], [1, 2, 3], [1, 2, 3, 4, 5], (0, 0, 0, 5), (0, 0, 5, -1), (0, 0, float("nan"), 5), (0, 0, "5", 5),
        (0, 0, True, 5), [[1, 2], [3, 4]], [[1, 2], [3, 4], [5]], [[1, 2], [3, 4], 5, 6], [[0, 0], [1, 1], [2, 2]],
        [[0, 0]] * 1001, (10**400, 0, 5, 5),
        [[0, 0], [1e200, 0], [0, 1e200]], {"x": 1}, [[0, 0], [9, 0], [9, float("inf")]],
    ],
)  # fmt: skip
def test_what_is_no_region_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="region"):
        QueryRegion.of(wrong)


def test_features_within_a_polygon_stay_with_all_they_have() -> None:
    places = np.array([[1, 1], [9, 1], [4, 4], [8, 8]], np.float32)
    numbers = np.arange(4, dtype=np.float32)
    features = Features("sift", 10, 10, places, numbers, numbers, np.arange(4, dtype=np.uint8)[:, None])
    triangle = QueryRegion.of(np.array([[0.0, 0.0], [10, 0], [0, 10]]))
    assert triangle is not None
    kept = triangle.features_of(features)
    assert kept.keypoints.tolist() == [[1, 1], [4, 4]]
    assert (kept.sizes.tolist(), kept.angles.tolist(), kept.descriptors.ravel().tolist()) == ([0, 2], [0, 2], [0, 2])


def test_the_part_that_is_cut_lies_where_it_lay() -> None:
    pixels = np.arange(100 * 200, dtype=np.uint32).reshape(100, 200).astype(np.uint8)
    grey = load_grey(pixels, longest_px=100)
    region = QueryRegion.of((40, 20, 60, 30))
    assert region is not None
    part = region.cut_from(grey)
    assert isinstance(part, GreyImage)
    assert part.pixels.shape == (15, 30)
    np.testing.assert_array_equal(part.pixels, grey.pixels[10:25, 20:50])
    corner = part.original_from_working @ [0, 0, 1]
    np.testing.assert_allclose(corner, grey.original_from_working @ [20, 10, 1])
    assert (part.width, part.height) == (200, 100)


def test_a_region_has_as_many_features_as_if_it_were_alone(index: Index) -> None:
    collage, middle = halves(index)
    options = dataclasses.replace(index.options, features=40, features_at_longest=40)
    search = dataclasses.replace(
        Search.of(index, region=QueryRegion.of((0, 0, middle, collage.shape[0]))), options=options
    )
    within = search.read(collage).features
    assert len(within) == 40
    all_of_it = dataclasses.replace(search, region=None).read(collage).features
    assert (all_of_it.keypoints[:, 0] < middle).sum() < 35


@pytest.mark.parametrize("detector", ["sift", "akaze"])
@pytest.mark.parametrize("variant", list(Variant))
def test_each_variant_of_a_region_lies_within_it(index: Index, detector: str, variant: Variant) -> None:
    collage, _ = halves(index)
    height, width = collage.shape
    triangle = [[0, 0], [width // 2, 0], [0, height]]
    search = Search.of(index, region=QueryRegion.of(triangle))
    search = dataclasses.replace(search, options=FeatureOptions(detector))
    found = search.read(collage).variants[variant]
    assert len(found) > 5
    x = width - 1 - found.keypoints[:, 0] if variant.mirrored else found.keypoints[:, 0]
    assert (x / (width // 2) + found.keypoints[:, 1] / height <= 1.01).all()
    assert found.width == width


def test_a_mirrored_region_is_found(index: Index) -> None:
    collage, middle = halves(index)
    turned = np.ascontiguousarray(collage[:, ::-1])
    (match,) = index.query(turned, region=(0, 0, turned.shape[1] - middle, turned.shape[0]))
    assert (match.name, match.relation.mirrored) == ("001.png", True)
