"""A part of a query that alone is to be looked up: a rectangle, or a polygon."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.geometry.regions import is_inside, polygon_area
from featmatch.images.pixels import GreyImage

_MOST_CORNERS = 1000
_MOST_PX = 1e9  # of a corner, either way: no picture is so large; areas stay finite

RegionSource: TypeAlias = "Sequence[float] | Sequence[Sequence[float]] | NDArray[np.floating[Any]]"


@dataclass(frozen=True)
class QueryRegion:
    """A part of a query.

    Attributes:
        corners: of its polygon, px of the query as displayed; x then y.
    """

    corners: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, region: RegionSource | QueryRegion | None) -> QueryRegion | None:
        """The region that is meant by (x, y, width, height) or [(x, y), ...], px; None for None.

        A rectangle has whole pixels: (0, 0, width, height) of a picture is all of it.

        Raises:
            UsageError: it is neither, or has no area.

        >>> QueryRegion.of((10, 20, 30, 40)).corners[0]
        (9.5, 19.5)
        """
        if region is None or isinstance(region, QueryRegion):
            return region
        numbers = _numbers_of(region)
        if len(numbers) == 4 and not any(isinstance(number, tuple) for number in numbers):
            x, y, width, height = numbers
            if width <= 0 or height <= 0:
                raise UsageError(f"a region has a width and a height above 0, not {width} and {height}")
            left, top, right, bottom = x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5
            return cls(((left, top), (right, top), (right, bottom), (left, bottom)))
        corners = tuple(number for number in numbers if isinstance(number, tuple) and len(number) == 2)
        if len(corners) != len(numbers) or not 3 <= len(corners) <= _MOST_CORNERS:
            raise UsageError(_WANTED)
        if polygon_area(np.array(corners)) <= 0:
            raise UsageError("the corners of the region enclose no area")
        return cls(corners)

    @property
    def polygon(self) -> NDArray[np.float64]:
        """(M, 2) float64, px of the query."""
        return np.array(self.corners)

    def check(self, grey: GreyImage) -> None:
        """Refuse a region that lies outside a picture.

        Raises:
            UsageError: it does.
        """
        low, high = self.polygon.min(axis=0), self.polygon.max(axis=0)
        if (high <= -0.5).any() or low[0] >= grey.width - 0.5 or low[1] >= grey.height - 0.5:
            raise UsageError(f"the region lies outside the picture of {grey.width} x {grey.height} px")

    def mirrored(self, width: int) -> QueryRegion:
        """The same region of the mirrored picture, which has this width, px."""
        return QueryRegion(tuple((width - 1 - x, y) for x, y in self.corners))

    def features_of(self, features: Features) -> Features:
        """The features of a picture that lie within."""
        rows = np.flatnonzero(is_inside(features.keypoints.astype(np.float64), self.polygon))
        return features[rows]

    def cut_from(self, grey: GreyImage) -> GreyImage:
        """The rectangle around the region: features are taken from it alone, and it is compared with other pictures."""
        scales, offsets = np.array([grey.scale_x, grey.scale_y]), np.array([grey.offset_x, grey.offset_y])
        edges = (self.polygon + 0.5 - offsets) / scales
        sides = np.array(grey.pixels.shape[::-1])
        low = np.clip(np.floor(edges.min(axis=0)), 0, sides - 1).astype(int)
        high = np.clip(np.ceil(edges.max(axis=0)), low + 1, sides).astype(int)
        offset_x, offset_y = offsets + low * scales
        pixels = grey.pixels[low[1] : high[1], low[0] : high[0]]
        return dataclasses.replace(grey, pixels=pixels, offset_x=float(offset_x), offset_y=float(offset_y))


_WANTED = "a region is (x, y, width, height) or a list of 3 or more corners (x, y), in px of the query"


def _numbers_of(region: object) -> list[Any]:
    """Numbers, or tuples of them."""
    given = region.tolist() if isinstance(region, np.ndarray) else region
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise UsageError(_WANTED)
    found: list[Any] = []
    for value in given[: _MOST_CORNERS + 1]:
        parts = value if isinstance(value, (list, tuple)) else [value]
        if not all(map(_is_place, parts)):
            raise UsageError(_WANTED)
        numbers = tuple(float(part) for part in parts)
        found.append(numbers if isinstance(value, (list, tuple)) else numbers[0])
    return found


def _is_place(part: object) -> bool:
    """Whether it is a number that a picture could have."""
    return isinstance(part, Real) and not isinstance(part, bool) and bool(abs(part) < _MOST_PX)  # type: ignore[operator]
