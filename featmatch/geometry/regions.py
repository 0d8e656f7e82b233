"""The part of two pictures that a homography puts on one another, and how evenly matches lie in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.maps import Matrix

_GRID = 6  # cells along each side of a region, in which inliers are counted
_ENOUGH = 3.0  # cells that inliers should be in, before it says something that they are not


def shared_region(
    reference_from_query: Matrix, query_size: tuple[int, int], reference_size: tuple[int, int]
) -> NDArray[np.float64]:
    """The part of the query that the homography puts inside the reference: an (M, 2) polygon, px.

    Each border of the reference is a half-plane of the query, so the query's rectangle is cut by them in turn
    (Sutherland and Hodgman, 1974); nothing has to be divided, so nothing runs off to infinity.
    """
    x, y, w = reference_from_query
    width, height = reference_size
    low, high_x, high_y = -0.5, width - 0.5, height - 0.5
    polygon = _rectangle(query_size)
    for half_plane in (w, x - low * w, high_x * w - x, y - low * w, high_y * w - y):
        sides = polygon @ half_plane[:2] + half_plane[2]
        kept: list[NDArray[np.float64]] = []
        for start, end, a, b in zip(polygon, np.roll(polygon, -1, axis=0), sides, np.roll(sides, -1), strict=True):
            if a >= 0:
                kept.append(start)
            if (a >= 0) != (b >= 0):
                kept.append(start + (end - start) * (a / (a - b)))
        polygon = np.array(kept).reshape(-1, 2)
        if len(polygon) == 0:
            break
    return polygon


def _rectangle(size: tuple[int, int]) -> NDArray[np.float64]:
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def polygon_area(polygon: NDArray[np.float64]) -> float:
    """Area of an (M, 2) polygon, px squared."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def evenness(inliers: NDArray[np.float64], features: NDArray[np.float64], region: NDArray[np.float64]) -> float:
    """How evenly inliers lie among the features of a region: 1 as chance would spread them, near 0 all in one spot.

    What two pictures share only in a spot, along a border or in a caption is no copy of the whole region.

    Args:
        inliers: (N, 2) float64, px.
        features: (M, 2) float64, all features of the picture, the inliers among them, px.
        region: (K, 2) float64, a convex polygon, px.

    Returns:
        Cells of a grid over the region that hold an inlier, over how many would if the inliers were any features; at
        most 1. The same is asked of the cells within the border, and the smaller counts: a frame is even, too.
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
    expected = 1 - (1 - shares) ** len(inliers)
    held = np.zeros(_GRID**2)
    held[cells(inliers)] = 1
    within = np.zeros((_GRID, _GRID), bool)
    within[1:-1, 1:-1] = True
    ratios = [held.sum() / expected.sum()]
    if expected[within.ravel()].sum() >= _ENOUGH:
        ratios.append(held[within.ravel()].sum() / expected[within.ravel()].sum())
    return float(min(*ratios, 1.0))


def _inside(region: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each of (N, 2) points lies in a convex polygon, either way round."""
    edges = np.roll(region, -1, axis=0) - region
    apart = points[:, None] - region
    sides = edges[:, 0] * apart[..., 1] - edges[:, 1] * apart[..., 0]
    return np.asarray((sides >= 0).all(axis=1) | (sides <= 0).all(axis=1))
