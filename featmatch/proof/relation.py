"""What was done to the reference to get the query: read off the homography between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant
from featmatch.geometry.exact import exp2, product
from featmatch.geometry.maps import Matrix, mirror_matrix, project, turn_at
from featmatch.geometry.regions import polygon_area, shared_region

Kind = Literal["copy", "crop", "contains", "overlap", "whole picture", "same template", "same scene"]

# What two pictures are that are no copies.
RELATED: frozenset[Kind] = frozenset({"same template", "same scene"})

_WHOLE = 0.9  # a picture counts as wholly covered from this share of its area on


@dataclass(frozen=True)
class Relation:
    """What was done to the reference to get the query.

    Attributes:
        kind: "copy" (each covers the other), "crop" (the query is a part of the reference), "contains" (the reference
            is a part of the query), "overlap" (they share a part), "whole picture" (they look the same as a whole;
            they have too few features to say more), "same template" (they share a form, a card, a frame, and show
            another content in it), or "same scene" (two photos of one thing, from two places): the last two are no
            copies.
        rotation_deg: by which the reference was turned, counter-clockwise as seen, in (-180, 180].
        scale: px of the query for each px of the reference.
        mirrored: whether it was mirrored left to right (after the turn).
        negative: whether light and dark were swapped.
    """

    kind: Kind
    rotation_deg: float
    scale: float
    mirrored: bool
    negative: bool

    def __str__(self) -> str:
        words = {"crop": "crop of", "overlap": "overlaps"}
        said = [words.get(self.kind, self.kind)]
        if abs(self.rotation_deg) >= 0.5:
            said.append(f"rotated {self.rotation_deg:.0f}°")
        if self.mirrored:
            said.append("mirrored")
        if self.negative:
            said.append("negative")
        if abs(self.scale - 1) >= 0.02:
            said.append(f"scaled {self.scale:.2g}")
        return ", ".join(said)

    @property
    def variant(self) -> Variant:
        """The same edits of the query, as the variant under which it lies on the reference."""
        return Variant(Variant.MIRRORED * self.mirrored + Variant.NEGATIVE * self.negative)

    def to_dict(self) -> dict[str, Any]:
        """The relation object of the JSON output."""
        return {
            "kind": self.kind,
            "rotation_deg": round(self.rotation_deg, 2),
            "scale": round(self.scale, 4),
            "mirrored": self.mirrored,
            "negative": self.negative,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Relation:
        """The relation of such an object; what else is in it is passed over."""
        return cls(**{name: told[name] for name in ("kind", "rotation_deg", "scale", "mirrored", "negative")})


@dataclass(frozen=True, eq=False)
class Shared:
    """The part that two pictures share, in each of them.

    Attributes:
        query_region: (M, 2) float64, its polygon in the query, px.
        reference_region: (M, 2) float64, the same polygon in the reference, px.
        query_overlap: its share of the query's area; 0 to 1.
        reference_overlap: its share of the reference's area; 0 to 1.
    """

    query_region: NDArray[np.float64]
    reference_region: NDArray[np.float64]
    query_overlap: float
    reference_overlap: float

    @property
    def kind(self) -> Kind:
        """What the two pictures are to one another, by how much of each lies in the part."""
        if self.query_overlap >= _WHOLE:
            return "copy" if self.reference_overlap >= _WHOLE else "crop"
        return "contains" if self.reference_overlap >= _WHOLE else "overlap"


def shared_part(reference_from_query: Matrix, query_size: tuple[int, int], reference_size: tuple[int, int]) -> Shared:
    """Lay the frames of two pictures over one another.

    Args:
        reference_from_query: (3, 3), px to px.
        query_size: width and height, px.
        reference_size: width and height, px.
    """
    region = shared_region(reference_from_query, query_size, reference_size)
    return _shared(reference_from_query, region, query_size, reference_size)


def _shared(
    reference_from_query: Matrix,
    query_region: NDArray[np.float64],
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
) -> Shared:
    reference_region = project(reference_from_query, query_region)
    query_overlap = min(polygon_area(query_region) / (query_size[0] * query_size[1]), 1.0)
    reference_overlap = min(polygon_area(reference_region) / (reference_size[0] * reference_size[1]), 1.0)
    return Shared(query_region, reference_region, query_overlap, reference_overlap)


def relation_at(kind: Kind, turned: Matrix, point: NDArray[np.float64], *, mirrored: bool, negative: bool) -> Relation:
    """Read the turn and the scale off a map close to one point.

    Args:
        kind: what the two pictures are to one another.
        turned: (3, 3), px of the query (mirrored back, if it is mirrored) to px of the reference.
        point: (2,) float64, px of the query (mirrored back, likewise).
        mirrored: whether the query is mirrored.
        negative: whether it is a negative.
    """
    rotation, octaves = turn_at(turned, point)
    return Relation(
        kind=kind,
        # y points down, so the growth of angles from query to reference is the turn of the reference as seen.
        rotation_deg=float(np.degrees(rotation)) if rotation > -np.pi else 180.0,
        scale=float(exp2(-octaves)),
        mirrored=mirrored,
        negative=negative,
    )


def relation_of(
    reference_from_query: Matrix,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    *,
    mirrored: bool,
    negative: bool,
) -> Relation:
    """The relation that a homography says, without the inliers that it came from.

    Args:
        reference_from_query: (3, 3), px to px; turns the orientation if the query is mirrored.
        query_size: width and height, px.
        reference_size: width and height, px.
        mirrored: whether the query is mirrored.
        negative: whether it is a negative.
    """
    width, height = query_size
    region = shared_region(reference_from_query, query_size, reference_size)
    if len(region) < 3:
        region = np.array([[0.0, 0], [width - 1, 0], [width - 1, height - 1]])
    middle, turned = region.mean(axis=0), reference_from_query
    if mirrored:
        turned = product(turned, mirror_matrix(width))
        middle[0] = width - 1 - middle[0]
    kind = _shared(reference_from_query, region, query_size, reference_size).kind
    return relation_at(kind, turned, middle, mirrored=mirrored, negative=negative)
