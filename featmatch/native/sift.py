"""SIFT in C: keypoints at true positions, descriptors of those that are kept only, the same bits on every machine.

Compared with OpenCV's SIFT: its keypoints lie 0.25 px too far right and down (its issue 23123), and it describes three
times as many as are kept. Layout and orientation of the descriptors are OpenCV's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

# Given points (N, 2) float32 and their strengths (N,) float32: which to keep, the best first. The strength of a feature
# is its contrast, or that times the root of its octave's scale where coarse ones are favoured.
Choice: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.intp]]

KEYPOINT = np.dtype(
    [(name, "f4") for name in ("x", "y", "level", "response")]
    + [(name, "i4") for name in ("column", "row", "layer", "octave")],
)
FEATURE = np.dtype([(name, "f4") for name in ("x", "y", "size", "turn")] + [("keypoint", "i4")])

# Far below Lowe's 0.04, which leaves something to choose from where a picture is dull.
CONTRAST = 0.004
EDGE = 10.0  # ratio of curvatures across and along: more is an edge
# The strongest, so many times as many as are kept, are chosen from: without coarse ones favoured, and with.
_CANDIDATES = (2.6, 4.0)
_MOST_TURNS = 4  # orientations of one keypoint
_LONGEST_PX = 1 << 15

# A pyramid is kept for its descriptors up to 192 MB, which is a picture of 4000 x 3000 px. For a larger one it is made
# twice: in about 5 KB for each px of the longer side, and a fifth to a third more time. Threads keep their workspace:
# memory that the system has to clear first takes a tenth more.
MOST_FLOATS = 48 << 20
_own = threading.local()


@dataclass(frozen=True)
class SiftFeatures:
    """Features of one picture, in the order in which they were chosen.

    Attributes:
        points: (N, 2) float32, x then y, px; the centre of the top-left px is (0, 0).
        sizes: (N,) float32, diameter, px.
        angles: (N,) float32, radians in [0, 2 pi), from +x towards +y.
        responses: (N,) float32, contrast, 0 to 1.
        descriptors: (N, 128) uint8, RootSIFT times 512.
    """

    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    responses: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


class _Pyramid:
    """A picture and the workspace that its blurred layers are made in."""

    def __init__(self, pixels: NDArray[np.uint8], most_floats: int) -> None:
        self._picture = (address(pixels, np.uint8, 2), *pixels.shape, most_floats)
        self._pixels = pixels  # alive as long as its address is used
        self._kernels = library()
        needed = self._kernels.featmatch_sift_workspace(*self._picture[1:])
        if needed <= 0:
            raise UsageError(f"a picture has sides of 1 to {_LONGEST_PX} px, not {pixels.shape}")
        self._workspace = _workspace(needed)
        self._given = (*self._picture, address(self._workspace, np.float32, written=True), len(self._workspace))
        self.kept = bool(self._kernels.featmatch_sift_kept(*self._picture[1:]))
        self.doubled = bool(self._kernels.featmatch_sift_doubled(*pixels.shape))

    def detect(self) -> NDArray[np.void]:
        """All keypoints, (N,) of ``KEYPOINT``, by octave, row, layer, column."""
        found = np.empty(256 + self._pixels.size // 8, KEYPOINT)  # noise has no more
        while True:
            count = self._kernels.featmatch_sift_detect(
                *self._given, CONTRAST, EDGE, address(found, KEYPOINT, written=True), len(found)
            )
            _check(count)
            if count <= len(found):
                return _in_order(found[:count])
            found = np.empty(count, KEYPOINT)

    def describe(self, keypoints: NDArray[np.void], limit: int) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
        """Features of keypoints, in their order, at most ``limit``: (N,) of ``FEATURE``, and (N, 128) uint8."""
        order = np.arange(len(keypoints))
        if not self.kept:
            order = np.lexsort((keypoints["row"], keypoints["octave"]))
            keypoints = keypoints[order]
        room = min(limit, _MOST_TURNS * len(keypoints)) if self.kept else _MOST_TURNS * len(keypoints)
        features, descriptors = np.empty(room, FEATURE), np.empty((room, 128), np.uint8)
        count = self._kernels.featmatch_sift_describe(
            *self._given,
            address(keypoints, KEYPOINT),
            len(keypoints),
            address(features, FEATURE, written=True),
            address(descriptors, np.uint8, 2, written=True),
            room,
        )
        _check(count)
        features["keypoint"][:count] = order[features["keypoint"][:count]]
        chosen = np.argsort(features["keypoint"][:count], kind="stable")[:limit]
        return features[chosen], descriptors[chosen]

    def scales(self, keypoints: NDArray[np.void]) -> NDArray[np.float32]:
        """(N,) float32, px of the picture in one px of each keypoint's octave."""
        return np.asarray(np.ldexp(np.float32(1), keypoints["octave"] - self.doubled), np.float32)

    def places(self, found: NDArray[np.void], keypoints: NDArray[np.void]) -> NDArray[np.float32]:
        """(N, 2) float32, where keypoints or their features are; px d of the doubled picture lies at d / 2 - 1 / 4."""
        scales = self.scales(keypoints)
        return np.stack([found["x"] * scales, found["y"] * scales], axis=1) - np.float32(0.25 * self.doubled)


def sift(
    pixels: NDArray[np.uint8],
    limit: int,
    choose: Choice,
    *,
    favour_coarse: bool = False,
    most_floats: int = MOST_FLOATS,
) -> SiftFeatures:
    """Find SIFT features (Lowe, IJCV 2004).

    Args:
        pixels: (H, W) uint8, grey, rows without gaps.
        limit: how many features to return at most.
        choose: which of the strongest keypoints to describe, and in which order.
        favour_coarse: multiply each strength by the root of the octave's scale.
        most_floats: of the pyramid that is kept in memory; the result does not depend on it.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: ``pixels`` is no such array, or has a side above 32768 px.
    """
    pyramid = _Pyramid(pixels, most_floats)
    keypoints = pyramid.detect()
    strengths = keypoints["response"] * (np.sqrt(pyramid.scales(keypoints)) if favour_coarse else np.float32(1))
    strongest = np.sort(np.argsort(-strengths, kind="stable")[: round(_CANDIDATES[favour_coarse] * limit)])
    keypoints, strengths = keypoints[strongest], strengths[strongest]
    keypoints = keypoints[choose(pyramid.places(keypoints, keypoints), strengths)]
    features, descriptors = pyramid.describe(keypoints, limit)
    keypoints = keypoints[features["keypoint"]]
    turns = np.where(features["turn"] > 0, np.float32(1) - features["turn"], np.float32(0))
    return SiftFeatures(
        pyramid.places(features, keypoints),
        features["size"] * pyramid.scales(keypoints),
        np.mod(turns * np.float32(2 * np.pi), np.float32(2 * np.pi)),
        keypoints["response"].copy(),
        descriptors,
    )


def _in_order(found: NDArray[np.void]) -> NDArray[np.void]:
    """Sorted by octave, row, layer, column, and each once: several extrema may have come to rest at one."""
    place = found["octave"].astype(np.int64)
    for name, bits in (("row", 17), ("layer", 2), ("column", 17)):
        place = (place << bits) + found[name]
    return found[np.unique(place, return_index=True)[1]]


def _workspace(floats: int) -> NDArray[np.float32]:
    kept: Any = getattr(_own, "workspace", None)
    if kept is None or len(kept) < floats:
        _own.workspace = kept = np.empty(floats, np.float32)
    return np.asarray(kept)


def _check(count: int) -> None:
    if count < 0:  # all that the kernel checks is made above
        raise UsageError(f"keypoints or workspace do not belong to the picture ({count})")
