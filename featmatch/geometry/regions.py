"""The region that two pictures share, by a homography, and how evenly matches lie in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import power
from featmatch.geometry.maps import Matrix

_GRID = 6  # cells along each side of a region
_ENOUGH = 3.0  # fewer expected inner cells than this: do not judge the interior


def shared_region(
    reference_from_query: Matrix, query_size: tuple[int, int], reference_size: tuple[int, int]
) -> NDArray[np.float64]:
    """The part of the query that the homography puts inside the reference: an (M, 2) polygon, px; M = 0 for none.

    Each border of the reference is a half-plane of the query, and these cut the query's rectangle one after another
    (Sutherland and Hodgman, 1974). Points are not divided by their depth, so none runs off to infinity.

    >>> crop_at_30_40 = np.array([[1.0, 0, 30], [0, 1, 40], [0, 0, 1]])
    >>> shared_region(crop_at_30_40, (100, 100), (640, 480)).tolist()
    [[-0.5, -0.5], [99.5, -0.5], [99.5, 99.5], [-0.5, 99.5]]
    """
    x, y, w = reference_from_query
    width, height = reference_size
    low, high_x, high_y = -0.5, width - 0.5, height - 0.5
    polygon = _rectangle(query_size)
    for half_plane in (w, x - low * w, high_x * w - x, y - low * w, high_y * w - y):
        sides = polygon[:, 0] * half_plane[0] + polygon[:, 1] * half_plane[1] + half_plane[2]
        kept: list[NDArray[np.float64]] = []
        for start, end, a, b in zip(polygon, np.roll(polygon, -1, axis=0), sides, np.roll(sides, -1), strict=True):
            if a >= 0:
                kept.append(start)
            if (a >= 0) != (b >= 0):
                kept.append(start + (end - start) * (a / (a - b)))
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def _rectangle(size: tuple[int, int]) -> NDArray[np.float64]:
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def polygon_area(polygon: NDArray[np.float64]) -> float:
    """Area of an (M, 2) polygon, px squared.

    >>> polygon_area(np.array([[0.0, 0], [4, 0], [4, 3]]))
    6.0
    """
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def is_inside(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of (N, 2) points lie inside an (M, 2) polygon, by the even-odd rule: (N,) bool.

    >>> is_inside(np.array([[1.0, 1], [3, 1]]), np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])).tolist()
    [True, False]
    """
    inside = np.zeros(len(points), bool)
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            spans = (y0 > y) != (y1 > y)
            inside ^= spans & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
    return inside


def evenness(inliers: NDArray[np.float64], features: NDArray[np.float64], region: NDArray[np.float64]) -> float:
    """How evenly inliers lie among the features of a region: 1 if anywhere, near 0 if all in one spot.

    Two pictures whose matches all lie in a spot, a border or a caption share that, and not the whole region.

    Args:
        inliers: (N, 2) float64, px.
        features: (M, 2) float64, all features of the picture, the inliers among them, px.
        region: (K, 2) float64, a convex polygon, px.

    Returns:
        Number of cells of a grid over the region that hold an inlier, over the number expected if the inliers were
        drawn from the features at random; at most 1. The same for the cells that are not at the region's border, and of
        both the smaller: inliers along a frame fill many cells, but none within.
    """
    inside = features[_inside(region, features)] if len(region) else features[:0]
    if len(inside) == 0 or len(inliers) == 0:
        return 0.0
    low, high = region.min(axis=0), region.max(axis=0)
    cells_of = _GRID / np.maximum(high - low, 1e-9)

    def cells(points: NDArray[np.float64]) -> NDArray[np.int64]:
        columns, rows = np.clip((points - low) * cells_of, 0, _GRID - 1).astype(np.int64).T
        return np.asarray(rows * _GRID + columns)

    shares = np.bincount(cells(inside), minlength=_GRID**2) / len(inside)
    expected = 1 - power(1 - shares, len(inliers))
    held = np.zeros(_GRID**2)
    held[cells(inliers)] = 1
    within = np.zeros((_GRID, _GRID), bool)
    within[1:-1, 1:-1] = True
    ratios = [held.sum() / expected.sum()]
    if expected[within.ravel()].sum() >= _ENOUGH:
        ratios.append(held[within.ravel()].sum() / expected[within.ravel()].sum())
    return float(min(*ratios, 1.0))


def _inside(region: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,): whether each of (N, 2) points lies in a convex polygon, listed clockwise or the other way."""
    edges = np.roll(region, -1, axis=0) - region
    apart = points[:, None] - region
    sides = edges[:, 0] * apart[..., 1] - edges[:, 1] * apart[..., 0]
    return np.asarray((sides >= 0).all(axis=1) | (sides <= 0).all(axis=1))
