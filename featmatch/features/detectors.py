"""The detectors: grey pixels -> keypoints and descriptors. SIFT is our own; all others are OpenCV's."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.errors import MissingFeatureError, UsageError
from featmatch.native.sift import Choice, sift
from featmatch.native.words import MOST_SIZE
from featmatch.system.opencv import remedy

_opencv: Any = cv2  # its type stubs differ from release to release

DETECTORS = ("sift", "opencv-sift", "akaze", "orb", "brisk", "kaze", "surf")
DESCRIPTOR_SIZE = {"sift": 128, "akaze": 488, "orb": 256, "brisk": 512, "kaze": 64, "surf": 64}

# Detectors of other tools, whose features are given as arrays, by what they are called in an index: "arrays:" where
# keypoints have angles and sizes, "points:" where they have none; then a name, and the values of a descriptor.
_GIVEN = re.compile(r"(arrays|points):[a-z0-9][a-z0-9._-]{0,39}-([1-9][0-9]{1,3})")
_LEAST_SIZE = 64  # values of a descriptor: signatures have as many bits

# RootSIFT values are kept as whole numbers, so that sums of their products are exact in float32 (below 2**24) and
# every machine finds the same words. Few values pass 255 / 512; they are clipped.
_ROOTSIFT_UNIT = 512
_SMALLEST_PX = 16  # in a smaller picture no detector finds anything, and some fail


class Detected(NamedTuple):
    """Features of a working picture, in the order in which they were chosen.

    Attributes:
        points: (N, 2) float32, x then y, px; the centre of the top-left px is (0, 0).
        sizes: (N,) float32, diameter of each keypoint, px.
        angles: (N,) float32, radians in [0, 2 pi), from +x towards +y.
        descriptors: (N, D) uint8, as in ``Features``.
    """

    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def descriptors_of(detector: str) -> str:
    """The detector whose descriptors those of ``detector`` are like: a vocabulary of the one serves the other.

    >>> descriptors_of("opencv-sift"), descriptors_of("orb")
    ('sift', 'orb')
    """
    return "sift" if detector == "opencv-sift" else detector


def is_given(detector: str) -> bool:
    """Whether the features are those of another tool, which featmatch cannot find by itself.

    >>> is_given("points:superpoint-256"), is_given("sift")
    (True, False)
    """
    return _GIVEN.fullmatch(detector) is not None


def has_points_alone(detector: str) -> bool:
    """Whether keypoints have a place only, and neither angle nor size."""
    return is_given(detector) and detector.startswith("points:")


def descriptor_size(detector: str) -> int:
    """How many values a descriptor has.

    Raises:
        UsageError: there is no such detector, or none can be of such a size.

    >>> descriptor_size("opencv-sift"), descriptor_size("points:superpoint-256")
    (128, 256)
    """
    known = DESCRIPTOR_SIZE.get(descriptors_of(detector))
    given = _GIVEN.fullmatch(detector)
    if known is None and given is None:
        raise UsageError(f"unknown detector {detector!r:.60}; one of {', '.join(DETECTORS)}")
    size = int(given[2]) if given else known or 0
    if not _LEAST_SIZE <= size <= MOST_SIZE:
        raise UsageError(f"descriptors have {_LEAST_SIZE} to {MOST_SIZE} values, not {size}")
    return size


def detect(
    pixels: NDArray[np.uint8], detector: str, limit: int, choose: Choice, *, favour_coarse: bool = False
) -> Detected:
    """Find features.

    Args:
        pixels: (H, W) uint8, grey.
        detector: one of ``DETECTORS``.
        limit: how many to return at most.
        choose: which of the keypoints to keep, and in which order.
        favour_coarse: count coarse features as stronger than they are; for ``sift`` alone.

    Raises:
        MissingFeatureError: the installed OpenCV lacks the detector, or the kernels of featmatch are not built.
        UsageError: it is a detector of another tool.
    """
    if is_given(detector):
        raise UsageError(f"features of {detector} are another tool's: give them as Features, not as pictures")
    if min(pixels.shape) >= _SMALLEST_PX:
        if detector == "sift":
            found = sift(np.ascontiguousarray(pixels), limit, choose, favour_coarse=favour_coarse)
            return Detected(found.points, found.sizes, found.angles, found.descriptors)
        keypoints, raw = _CREATE[detector](limit).detectAndCompute(pixels, None)
        if raw is not None and keypoints:
            table = np.array([(*k.pt, k.size, k.angle, k.response) for k in keypoints], np.float32)
            kept = choose(table[:, :2], table[:, 4])
            table = table[kept]
            angles = np.radians(np.mod(table[:, 3], 360.0))
            return Detected(table[:, :2], table[:, 2], angles, _whole_numbers(raw[kept], detector))
    nothing = np.empty(0, np.float32)
    return Detected(nothing.reshape(0, 2), nothing, nothing, np.empty((0, descriptor_size(detector)), np.uint8))


def _whole_numbers(raw: NDArray[Any], detector: str) -> NDArray[np.uint8]:
    if detector == "opencv-sift":  # RootSIFT: Arandjelovic and Zisserman, CVPR 2012
        shares = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-12)
        return np.asarray(np.minimum(np.rint(np.sqrt(shares) * _ROOTSIFT_UNIT), 255), np.uint8)
    if raw.dtype == np.uint8:
        return np.asarray(np.unpackbits(raw, axis=1))
    return np.asarray(np.clip(np.rint(raw * 255) + 128, 0, 255), np.uint8)


# Detectors that take a limit are asked for more than are kept, so that ``spread`` has something to choose from.
def _sift(limit: int) -> Any:
    # A contrast threshold far below OpenCV's 0.04 leaves something to choose from where a picture is dull.
    return _opencv.SIFT_create(nfeatures=3 * limit, contrastThreshold=0.004)


def _akaze(limit: int) -> Any:
    return _moved("AKAZE_create")(threshold=0.0001, max_points=2 * limit)


def _orb(limit: int) -> Any:
    # OpenCV's default keeps 31 px away from each border, which is half of a small crop.
    return _opencv.ORB_create(nfeatures=2 * limit, fastThreshold=7, edgeThreshold=8)


def _brisk(limit: int) -> Any:
    del limit  # BRISK takes no limit
    if not hasattr(_own, "brisk"):  # computing its pattern takes a tenth of a second
        _own.brisk = _moved("BRISK_create")(thresh=20)
    return _own.brisk


def _kaze(limit: int) -> Any:
    del limit
    return _moved("KAZE_create")(threshold=0.0005)


def _surf(limit: int) -> Any:
    del limit
    try:
        return _opencv.xfeatures2d.SURF_create(hessianThreshold=200)
    except (AttributeError, cv2.error) as error:
        raise MissingFeatureError(
            "this OpenCV has no SURF: no wheel on the package index has it; build opencv-contrib with "
            "-DOPENCV_ENABLE_NONFREE=ON, or use sift"
        ) from error


def _moved(name: str) -> Any:
    """A detector that is in ``cv2`` up to OpenCV 4 and in ``cv2.xfeatures2d`` from 5 on."""
    found = getattr(_opencv, name, None) or getattr(getattr(_opencv, "xfeatures2d", None), name, None)
    if found is None:
        raise MissingFeatureError(f"this OpenCV has no {name}; {remedy()}")
    return found


_own = threading.local()  # detectors are not safe to share between threads

_CREATE: dict[str, Callable[[int], Any]] = {
    "opencv-sift": _sift,
    "akaze": _akaze,
    "orb": _orb,
    "brisk": _brisk,
    "kaze": _kaze,
    "surf": _surf,
}
