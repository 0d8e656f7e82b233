"""Tentative matches of two pictures, and the tolerances within which they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError
from featmatch.geometry.exact import arctan2, cos_sin, exp2, log2


@dataclass(frozen=True)
class GeometryOptions:
    """What counts as agreement between two pictures."""

    tolerance: float = 0.006  # largest error of an inlier, as a share of the reference's longer side; 0.001 to 0.1
    angle_deg: float = 30.0  # largest error of its keypoint's rotation, degrees; 1 to 180
    octaves: float = 1.0  # largest error of its keypoint's scale, octaves; 0.1 to 5
    hypotheses: int = 100  # single matches that are tried as a map, the surest first; at least 1
    grid: int = 20  # cells along a picture's longer side; inliers in the same cell count as one; 2 to 200
    seeds: int = 1  # matches that propose a map: 1, by its keypoints' angle and scale, or 2, by their places alone

    def __post_init__(self) -> None:
        check_options(self)
        if not (
            0.001 <= self.tolerance <= 0.1
            and 1 <= self.angle_deg <= 180
            and 0.1 <= self.octaves <= 5
            and self.hypotheses >= 1
            and 2 <= self.grid <= 200
            and self.seeds in (1, 2)
        ):
            raise UsageError(f"geometry options out of range: {self}")


class Keypoints(NamedTuple):
    """Where features lie, and how they are turned and scaled; columns of N rows.

    Attributes:
        places: (N, 2) floats, x then y, px.
        angles: (N,) floats, radians, x towards y.
        octaves: (N,) floats, log2 of the size.
    """

    places: NDArray[np.floating]
    angles: NDArray[np.floating]
    octaves: NDArray[np.floating]


@dataclass(frozen=True)
class TentativeMatches:
    """Pairs of a query feature and a reference feature that look alike; columns of N rows, the surest first.

    Attributes:
        query: (N, 2) float64, px.
        reference: (N, 2) float64, px.
        rotation: (N,) float64, the keypoint's angle in the reference minus that in the query, radians.
        octaves: (N,) float64, log2 of the keypoint's size in the reference over that in the query.
        costs: (N,) float64, the lower, the more alike.
        query_rows: (N,) int, number of the feature in the query.
        reference_rows: (N,) int, number of the feature in the reference.
        rivals: (N,) int64, where not all matches are here, since some were dropped, or each feature was to have one
            only: how many there were of the query's feature or of the reference's, whichever had more; None: all are.
    """

    query: NDArray[np.float64]
    reference: NDArray[np.float64]
    rotation: NDArray[np.float64]
    octaves: NDArray[np.float64]
    costs: NDArray[np.float64]
    query_rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    rivals: NDArray[np.int64] | None = None

    @classmethod
    def between(
        cls,
        query: Keypoints,
        reference: Keypoints,
        *,
        costs: NDArray[np.float64],
        query_rows: NDArray[np.integer],
        reference_rows: NDArray[np.integer],
        rivals: NDArray[np.int64] | None = None,
    ) -> TentativeMatches:
        """Pair up keypoints row by row, the surest first; the other columns are those of the class."""
        return cls(
            np.asarray(query.places, np.float64),
            np.asarray(reference.places, np.float64),
            np.asarray(reference.angles - query.angles, np.float64),
            np.asarray(reference.octaves - query.octaves, np.float64),
            costs,
            np.asarray(query_rows, np.int64),
            np.asarray(reference_rows, np.int64),
            rivals,
        )

    @classmethod
    def joined(cls, several: Sequence[TentativeMatches]) -> tuple[TentativeMatches, NDArray[np.int64]]:
        """The matches of P pairs of pictures side by side, without rivals; and the (P + 1,) ends between pairs."""
        places, numbers = np.empty((0, 2)), np.empty(0, np.int64)
        nothing = cls(places, places, places[:, 0], places[:, 0], places[:, 0], numbers, numbers)
        names = [one.name for one in fields(cls) if one.name != "rivals"]
        columns = (np.concatenate([getattr(one, name) for one in (nothing, *several)]) for name in names)
        return cls(*columns), np.cumsum([0, *(len(one) for one in several)], dtype=np.int64)

    @cached_property
    def turns(self) -> NDArray[np.float64]:
        """(N, 2): rotation and scale of each, as the vector that they make of (1, 0)."""
        return np.stack(cos_sin(self.rotation), axis=1) * exp2(self.octaves)[:, None]

    def turned_by(self, turn: NDArray[np.float64]) -> TentativeMatches:
        """The same, each with one rotation and scale, (2,): that of a map, for keypoints that have none."""
        alike = np.ones(len(self))
        growth = log2(np.array([turn[0] * turn[0] + turn[1] * turn[1]]))[0] / 2
        return replace(self, rotation=alike * arctan2(turn[1:], turn[:1])[0], octaves=alike * growth)

    def __len__(self) -> int:
        return len(self.query)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TentativeMatches:
        return TentativeMatches(
            self.query[rows], self.reference[rows], self.rotation[rows], self.octaves[rows],
            self.costs[rows], self.query_rows[rows], self.reference_rows[rows],
            None if self.rivals is None else self.rivals[rows],
        )  # fmt: skip
