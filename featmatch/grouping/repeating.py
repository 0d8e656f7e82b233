"""A homography between two images -> which features of one are there in the other, where it says.

Words and signatures find a part of the features that two copies share: an edit moves many to another word. Places,
turns and sizes are all stored, so once a homography is there each feature can be looked for where it should be. In a
copy a large share of all features is there again, all over the picture; what only has a sign, a logo or a background in
common with another picture shows a few, in one spot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from featmatch.features.extraction import Features
from featmatch.geometry.maps import Matrix, jacobians, project
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.regions import evenness, shared_region

_NEAREST = 4  # features of the reference that are looked at for each of the query
_OCTAVES = 0.7  # by which a feature may be larger or smaller than it should be
_SMALL = 0.2  # of the reference's features are smaller than what counts as large enough to be seen in it


@dataclass(frozen=True)
class Repeated:
    """What became of the features of one image in another.

    Attributes:
        covered: share of its features that lie in the part which the other shows; 0 to 1.
        share: of those, and large enough to be seen there, which are there again; 0 to 1.
        evenness: of these among those, as ``regions.evenness``.
    """

    covered: float
    share: float
    evenness: float


def repeated(
    query: Features, reference: Features, homography: Matrix, options: GeometryOptions, *, negative: bool
) -> Repeated:
    """Look for the query's features in the reference.

    Args:
        query: places, angles and sizes of features; descriptors are not looked at.
        reference: likewise.
        homography: (3, 3), query px to reference px.
        options: the tolerances.
        negative: whether light and dark are swapped, which turns each keypoint by half a turn.
    """
    points = query.keypoints.astype(np.float64)
    places = project(homography, points)
    limits = np.array([reference.width, reference.height]) - 0.5
    with np.errstate(invalid="ignore"):
        inside = np.flatnonzero(((places > -0.5) & (places < limits)).all(axis=1))
    if len(inside) == 0 or len(reference) == 0:
        return Repeated(0.0, 0.0, 0.0)
    turns = jacobians(homography, points[inside])
    angles = query.angles[inside].astype(np.float64)
    heading = np.einsum("nij,nj->ni", turns, np.stack([np.cos(angles), np.sin(angles)], axis=1))
    seen_angles = np.arctan2(heading[:, 1], heading[:, 0]) + (np.pi if negative else 0)
    seen_sizes = query.sizes[inside] * np.sqrt(np.abs(np.linalg.det(turns)))
    large = seen_sizes >= 0.9 * np.quantile(reference.sizes, _SMALL)
    inside, seen_angles, seen_sizes = inside[large], seen_angles[large], seen_sizes[large]
    if len(inside) == 0:
        return Repeated(0.0, 0.0, 0.0)
    tolerance = max(options.tolerance * max(reference.width, reference.height), 1.0)
    _, near = cKDTree(reference.keypoints).query(places[inside], k=_NEAREST, distance_upper_bound=tolerance)
    there = near < len(reference)
    near = np.where(there, near, 0)
    alike = np.cos(seen_angles[:, None] - reference.angles[near]) >= np.cos(np.radians(options.angle_deg))
    alike &= np.abs(np.log2(seen_sizes[:, None] / reference.sizes[near])) <= _OCTAVES
    again = (there & alike).any(axis=1)
    region = shared_region(homography, (query.width, query.height), (reference.width, reference.height))
    return Repeated(
        covered=float(((places > -0.5) & (places < limits)).all(axis=1).mean()),
        share=float(again.mean()),
        evenness=evenness(points[inside[again]], points[inside], region) if again.any() else 0.0,
    )
