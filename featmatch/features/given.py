"""Features of other tools: their arrays, checked, and brought into the form of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featmatch.arguments import check_kind
from featmatch.errors import UsageError
from featmatch.features.detectors import has_points_alone
from featmatch.geometry.matches import GeometryOptions

_MOST = 100_000  # features of one picture
_OUTSIDE = 0.02  # of the longer side: keypoints of a scaled picture may lie beside it
_UNIT, _ZERO = 255, 128  # of values of descriptors: those of unit length seldom pass 0.5
_NO_SIZE = np.float32(1)  # px, of a keypoint that has none


class GivenArrays(NamedTuple):
    """What another tool found in one picture, the strongest first; columns as those of ``Features``."""

    keypoints: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @classmethod
    def of(
        cls, places: ArrayLike, descriptors: ArrayLike, angles: ArrayLike | None, sizes: ArrayLike | None,
        scores: ArrayLike | None, picture_size: tuple[int, int],
    ) -> GivenArrays:  # fmt: skip
        """Check the arrays of ``Features.from_arrays``, and bring them into our form.

        Raises:
            UsageError: they are no such arrays, or do not go together.
        """
        keypoints = _floats(places, "keypoints", 2)
        count = len(keypoints)
        if keypoints.shape != (count, 2) or count > _MOST:
            raise UsageError(f"keypoints is (N, 2), N at most {_MOST}, not {keypoints.shape}")
        values = _floats(descriptors, "descriptors", 2)
        if len(values) != count:
            raise UsageError(f"descriptors is (N, D), a row for each of {count} keypoints, not {values.shape}")
        longest = max(picture_size)
        beside = np.maximum(-keypoints, keypoints - np.array(picture_size)).max(initial=0.0)
        if beside > _OUTSIDE * longest:
            raise UsageError(f"a keypoint lies {beside:.0f} px outside the picture of {picture_size} px")
        if (angles is None) != (sizes is None):
            raise UsageError("keypoints have both angles and sizes, or neither")
        turned = np.zeros(count) if angles is None else _column(angles, "angles", count)
        diameters = np.full(count, _NO_SIZE) if sizes is None else _column(sizes, "sizes", count)
        if not (diameters > 0).all():
            raise UsageError("sizes are above 0")
        found = cls(
            keypoints.astype(np.float32), diameters.astype(np.float32),
            np.mod(turned, 2 * np.pi).astype(np.float32), _whole_numbers(values),
        )  # fmt: skip
        if scores is None:
            return found
        strongest = np.argsort(-_column(scores, "scores", count), kind="stable")
        return cls(
            found.keypoints[strongest], found.sizes[strongest], found.angles[strongest], found.descriptors[strongest]
        )


def geometry_of(detector: str, options: GeometryOptions | None) -> GeometryOptions:
    """What counts as agreement of features of a detector: keypoints without angle and size agree by place alone.

    Raises:
        UsageError: the options are of another kind.
    """
    check_kind(options, "geometry", GeometryOptions)
    options = options or GeometryOptions()
    return replace(options, seeds=2, angle_deg=180.0, octaves=5.0) if has_points_alone(detector) else options


def _floats(values: ArrayLike, name: str, axes: int) -> NDArray[np.float64]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is no array: {error}") from error
    if array.ndim != axes or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise UsageError(f"{name} is an array of {axes} axes of finite numbers, not {array.shape} of {array.dtype}")
    return array.astype(np.float64)


def _column(values: ArrayLike, name: str, count: int) -> NDArray[np.float64]:
    column = _floats(values, name, 1)
    if len(column) != count:
        raise UsageError(f"{name} is (N,), one for each of {count} keypoints, not {column.shape}")
    return column


def _whole_numbers(descriptors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(N, D) of any length to uint8: each of unit length, times 255, plus 128."""
    lengths = np.sqrt((descriptors * descriptors).sum(axis=1, keepdims=True))
    scaled = descriptors / np.maximum(lengths, 1e-12) * _UNIT + _ZERO
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)
