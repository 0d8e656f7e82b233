"""A homography between two images -> which features of one are found again in the other, where it maps them.

Words and signatures find only a part of the features that two copies share: an edit moves many to another word. But
position, angle and size of each feature are stored, so that under a homography it can be looked for where it should be.
In a copy a large share of all features is repeated, all over the picture; two pictures that share only a sign, a logo
or a background repeat a few, in one spot. (Repeatability: Mikolajczyk et al., IJCV 2005.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from featmatch.features.extraction import Features
from featmatch.geometry.exact import cos_sin, determinants, exp2
from featmatch.geometry.maps import Matrix, jacobians, project
from featmatch.geometry.matches import GeometryOptions
from featmatch.geometry.regions import evenness, shared_region

_NEAREST = 4  # reference features that are tried for each query feature
_OCTAVES = 0.7  # most by which a feature may be larger or smaller than the homography says
_SMALL = 0.2  # quantile of the sizes in the reference below which features are too small to be detected reliably


@dataclass(frozen=True)
class Repeated:
    """How many features of one image are found again in another.

    Attributes:
        covered: share of its features that lie in the part that the other image shows; 0 to 1.
        share: of the covered ones that are large enough to be detected there, the share that is repeated; 0 to 1.
        evenness: how evenly the repeated ones lie among these, as ``regions.evenness``.
    """

    covered: float
    share: float
    evenness: float


def repeated(
    query: Features, reference: Features, homography: Matrix, options: GeometryOptions, *, negative: bool
) -> Repeated:
    """Look for the query's features in the reference.

    Args:
        query: positions, angles and sizes of features; their descriptors are not used.
        reference: likewise.
        homography: (3, 3), query px to reference px.
        options: the tolerances.
        negative: whether light and dark are swapped, which turns each keypoint by 180 degrees.
    """
    points = query.keypoints.astype(np.float64)
    places = project(homography, points)
    limits = np.array([reference.width, reference.height]) - 0.5
    with np.errstate(invalid="ignore"):
        is_inside = ((places > -0.5) & (places < limits)).all(axis=1)
    inside = np.flatnonzero(is_inside)
    if len(reference) == 0:
        return Repeated(0.0, 0.0, 0.0)
    turns = jacobians(homography, points[inside])
    headings = (turns * np.stack(cos_sin(query.angles[inside]), axis=1)[:, None]).sum(axis=2)
    headings = headings / np.sqrt((headings * headings).sum(axis=1, keepdims=True)) * (-1 if negative else 1)
    seen_sizes = query.sizes[inside] * np.sqrt(np.abs(determinants(turns)))
    large = seen_sizes >= 0.9 * np.quantile(reference.sizes, _SMALL)
    inside, headings, seen_sizes = inside[large], headings[large], seen_sizes[large, None]
    if len(inside) == 0:
        return Repeated(0.0, 0.0, 0.0)
    tolerance = max(options.tolerance * max(reference.width, reference.height), 1.0)
    _, near = cKDTree(reference.keypoints).query(places[inside], k=_NEAREST, distance_upper_bound=tolerance)
    there = near < len(reference)
    near = np.where(there, near, 0)
    cosines, sines = cos_sin(reference.angles[near])
    least, _ = cos_sin(math.radians(options.angle_deg))
    alike = headings[:, :1] * cosines + headings[:, 1:] * sines >= least
    sizes, most = reference.sizes[near].astype(np.float64), exp2(_OCTAVES)
    alike &= (seen_sizes <= most * sizes) & (sizes <= most * seen_sizes)
    again = (there & alike).any(axis=1)
    region = shared_region(homography, (query.width, query.height), (reference.width, reference.height))
    return Repeated(
        covered=float(is_inside.mean()),
        share=float(again.mean()),
        evenness=evenness(points[inside[again]], points[inside], region),
    )
