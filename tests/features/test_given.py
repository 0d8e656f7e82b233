from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featmatch import FeatureOptions, Features, GeometryOptions, UsageError, extract
from featmatch.features.given import geometry_of

PLACES = [[10, 20], [30, 40], [50, 60]]
VECTORS = np.eye(3, 64) * [[1], [-2], [0.5]]


def given(name: str = "net", **others: Any) -> Features:
    return Features.from_arrays(name, **{"keypoints": PLACES, "descriptors": VECTORS, "size": (100, 80), **others})


def test_arrays_become_features() -> None:
    features = given(angles=[0, np.pi, -np.pi / 2], sizes=[1, 2, 3])
    assert (features.detector, features.width, features.height) == ("arrays:net-64", 100, 80)
    np.testing.assert_array_equal(features.keypoints, np.array(PLACES))
    np.testing.assert_allclose(features.angles, [0, np.pi, 1.5 * np.pi], rtol=1e-6)
    assert features.sizes.tolist() == [1, 2, 3]


def test_descriptors_are_of_unit_length_whatever_they_were() -> None:
    # times 255, plus 128, within a byte; zero is 128
    assert given().descriptors[:, :3].tolist() == [[255, 128, 128], [128, 0, 128], [128, 128, 255]]
    spread = given(descriptors=np.full((3, 64), 7.0)).descriptors
    assert spread.tolist() == [[128 + 32] * 64] * 3  # 255 / 8


def test_places_alone_are_another_detector() -> None:
    assert given().detector == "points:net-64"


def test_the_strongest_come_first() -> None:
    features = given(scores=[0.1, 0.9, 0.5], angles=[1, 2, 3], sizes=[1, 2, 3])
    assert features.keypoints[:, 0].tolist() == [30, 50, 10]
    assert features.angles.tolist() == features.sizes.tolist() == [2, 3, 1]
    assert features.descriptors[:, 1].argmin() == 0


def test_a_picture_tells_the_size() -> None:
    features = given(size=None, picture=np.zeros((80, 100), np.uint8))
    assert (features.width, features.height) == (100, 80)
    assert features.picture is not None and features.picture.pixels.shape == (80, 100)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"keypoints": [[1, 2]]}, "descriptors is"),
        ({"keypoints": np.zeros((3, 4))}, "keypoints is"),
        ({"keypoints": [[1, 2], [3, 4], [5, np.nan]]}, "keypoints is"),
        ({"keypoints": [[1, 2], [3, 4], [500, 4]]}, "outside"),
        ({"keypoints": "three"}, "keypoints is"),
        ({"descriptors": VECTORS.T}, "descriptors is"),
        ({"descriptors": np.zeros((3, 63))}, "64 to 1024"),
        ({"descriptors": np.zeros((3, 1025))}, "64 to 1024"),
        ({"angles": [0, 0, 0]}, "both angles and sizes"),
        ({"angles": [0, 0], "sizes": [1, 1, 1]}, "angles is"),
        ({"angles": [0, 0, 0], "sizes": [1, 0, 1]}, "sizes are above 0"),
        ({"scores": [1]}, "scores is"),
        ({"size": None}, "size or picture"),
        ({"size": (100, 0)}, "size is"),
        ({"size": (100, 80, 3)}, "size is"),
        ({"picture": np.zeros((50, 50), np.uint8)}, "size is"),
        ({"name": "My Net"}, "unknown detector"),
        ({"name": "x" * 41}, "unknown detector"),
    ],
)
def test_what_cannot_be_meant_is_refused(others: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        given(**others)


def test_keypoints_without_angles_agree_by_place_alone() -> None:
    options = GeometryOptions(tolerance=0.01)
    assert geometry_of("sift", options) == geometry_of("arrays:net-64", options) == options
    assert geometry_of("points:net-64", options) == GeometryOptions(0.01, angle_deg=180, octaves=5, seeds=2)


@pytest.mark.parametrize("detector", ["points:net-64", "arrays:net-1024"])
def test_options_may_name_another_tool_but_nothing_extracts_with_them(detector: str) -> None:
    with pytest.raises(UsageError, match="another tool's"):
        extract(np.zeros((50, 50), np.uint8), FeatureOptions(detector))


@pytest.mark.parametrize("detector", ["points:net-63", "points:net-1025", "points:net-064", "lines:net-64"])
def test_other_names_are_no_detectors(detector: str) -> None:
    with pytest.raises(UsageError):
        FeatureOptions(detector)
