from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import MissingFeatureError
from featmatch.features import detectors
from featmatch.features.detectors import _CREATE, DESCRIPTOR_SIZE, DETECTORS, descriptors_of, detect
from featmatch.features.extraction import FeatureOptions, extract
from featmatch.images.pixels import load_grey
from featmatch.native.sift import sift

Photos = dict[str, NDArray[np.uint8]]
Floats = NDArray[np.float32]


def few(detector: str) -> FeatureOptions:
    return FeatureOptions(detector, features=300, features_at_longest=300)


def strongest(points: Floats, responses: Floats) -> NDArray[np.intp]:
    del points
    return np.argsort(-responses, kind="stable")[:50]


def test_each_detector_has_descriptors_of_a_known_size() -> None:
    assert {descriptors_of(detector) for detector in DETECTORS} == set(DESCRIPTOR_SIZE)
    assert [detector for detector in DETECTORS if descriptors_of(detector) != detector] == ["opencv-sift"]


def test_sift_is_that_of_the_kernels(photos: Photos) -> None:
    pixels = load_grey(photos["chelsea"], longest_px=2000).pixels
    found, own = detect(pixels, "sift", 50, strongest), sift(pixels, 50, strongest)
    assert len(found.points) == 50
    for column in ("points", "sizes", "angles", "descriptors"):
        np.testing.assert_array_equal(getattr(found, column), getattr(own, column))


def test_pixels_with_gaps_between_them_do(photos: Photos) -> None:
    pixels = load_grey(photos["chelsea"], longest_px=2000).pixels
    for one in (pixels[:, ::-1], pixels[::2, ::2], pixels.T):
        found, expected = detect(one, "sift", 50, strongest), detect(one.copy(), "sift", 50, strongest)
        np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def test_opencvs_sift_stays_beside_it_and_resembles_it(photos: Photos) -> None:
    # OpenCV puts keypoints a quarter of a pixel too far right and down.
    own, opencvs = (extract(photos["chelsea"], few(detector)) for detector in ("sift", "opencv-sift"))
    far = np.linalg.norm(own.keypoints[:, None] + 0.25 - opencvs.keypoints, axis=2)
    near = far.min(axis=1) < 0.1
    assert near.mean() > 0.6  # each has some that the other has not kept
    products = own.descriptors[near].astype(float) * opencvs.descriptors[far.argmin(axis=1)[near]]
    assert np.median(products.sum(axis=1)) > 0.97 * 512**2


def test_opencv_sift_descriptors_are_rootsift(photos: Photos) -> None:
    pixels = load_grey(photos["chelsea"], longest_px=2000).pixels
    features = extract(photos["chelsea"], few("opencv-sift"))
    _, raw = _CREATE["opencv-sift"](600).detectAndCompute(pixels, None)
    raw = raw.astype(float)
    twin = np.sqrt(raw / raw.sum(axis=1, keepdims=True))  # of length 1
    twin = np.minimum(np.round(twin * 512), 255)
    of_opencv = {tuple(row) for row in twin.astype(int)}
    mine = {tuple(row) for row in features.descriptors.astype(int)}
    assert mine <= of_opencv


@pytest.mark.parametrize("detector", ("akaze", "orb", "brisk"))
def test_binary_descriptors_are_opencvs_bits(photos: Photos, detector: str) -> None:
    pixels = load_grey(photos["chelsea"], longest_px=2000).pixels
    _, raw = _CREATE[detector](600).detectAndCompute(pixels, None)  # as the library sets it up
    bits = (raw[:, :, None] >> np.arange(7, -1, -1)) & 1
    of_opencv = {row.tobytes() for row in bits.reshape(len(raw), -1).astype(np.uint8)}
    features = extract(photos["chelsea"], few(detector))
    assert features.descriptors.max() == 1
    assert {row.tobytes() for row in features.descriptors} <= of_opencv


class OpenCV:
    """Stands in for OpenCV: says which detector is made, and how."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, lambda name=name, **how: (name, how))


@pytest.mark.parametrize(
    ("detector", "made"),
    [
        ("opencv-sift", ("SIFT_create", {"nfeatures": 30, "contrastThreshold": 0.004})),
        ("orb", ("ORB_create", {"nfeatures": 20, "fastThreshold": 7, "edgeThreshold": 8})),
        ("akaze", ("AKAZE_create", {"threshold": 0.0001, "max_points": 20})),
        ("kaze", ("KAZE_create", {"threshold": 0.0005})), ("brisk", ("BRISK_create", {"thresh": 20})),
    ],
)  # fmt: skip
def test_how_detectors_are_made(monkeypatch: pytest.MonkeyPatch, detector: str, made: object) -> None:
    opencv: Any = OpenCV("SIFT_create", "ORB_create", "AKAZE_create", "KAZE_create", "BRISK_create")
    monkeypatch.setattr(detectors, "_opencv", opencv)
    monkeypatch.setattr(detectors, "_own", threading.local())
    assert _CREATE[detector](10) == made
    if detector in ("akaze", "kaze", "brisk"):  # OpenCV 5 has them elsewhere
        opencv = OpenCV()
        opencv.xfeatures2d = OpenCV("AKAZE_create", "KAZE_create", "BRISK_create")
        monkeypatch.setattr(detectors, "_opencv", opencv)
        monkeypatch.setattr(detectors, "_own", threading.local())
        assert _CREATE[detector](10) == made
        for lacking in (OpenCV(), opencv):
            opencv.xfeatures2d = OpenCV()
            monkeypatch.setattr(detectors, "_opencv", lacking)
            monkeypatch.setattr(detectors, "_own", threading.local())
            with pytest.raises(MissingFeatureError, match=f"this OpenCV has no {detector.upper()}_create; "):
                _CREATE[detector](10)


def test_brisk_computes_its_pattern_once_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "_own", threading.local())
    first = _CREATE["brisk"](10)
    assert _CREATE["brisk"](20) is first
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_CREATE["brisk"], 10).result() is not first


def test_surf_where_opencv_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opencv: Any = OpenCV()
    opencv.xfeatures2d = OpenCV("SURF_create")
    monkeypatch.setattr(detectors, "_opencv", opencv)
    assert _CREATE["surf"](10) == ("SURF_create", {"hessianThreshold": 200})
