"""Tentative matches of two pictures, and what counts as their agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_options
from featmatch.errors import UsageError


@dataclass(frozen=True)
class GeometryOptions:
    """What counts as agreement between two pictures."""

    tolerance: float = 0.006  # an inlier lies this near, as a part of the reference's longer side; 0.001 to 0.1
    angle_deg: float = 30.0  # and its keypoint is turned as the others are, within this; 1 to 180
    octaves: float = 1.0  # and scaled as the others are, within this; 0.1 to 5
    hypotheses: int = 100  # single matches that are tried, the surest first; at least 1
    grid: int = 20  # cells along the longer side in which several inliers count as one; 2 to 200

    def __post_init__(self) -> None:
        check_options(self)
        if not (
            0.001 <= self.tolerance <= 0.1
            and 1 <= self.angle_deg <= 180
            and 0.1 <= self.octaves <= 5
            and self.hypotheses >= 1
            and 2 <= self.grid <= 200
        ):
            raise UsageError(f"geometry options out of range: {self}")


@dataclass(frozen=True)
class TentativeMatches:
    """Pairs of a query feature and a reference feature that look alike; columns of N rows, the surest first.

    Attributes:
        query: (N, 2) float64, px.
        reference: (N, 2) float64, px.
        rotation: (N,) float64, radians by which the keypoint's angle grows from query to reference.
        octaves: (N,) float64, log2 of the keypoint's growth from query to reference.
        costs: (N,) float64, the lower, the more alike.
        query_rows: (N,) int, number of the feature in the query.
        reference_rows: (N,) int, number of the feature in the reference.
        rivals: (N,) int64, how many matches there were of the feature of either picture, of the one with more, where
            these are not all that were found; None: these are all.
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
        query: NDArray[np.floating],
        query_angles: NDArray[np.floating],
        query_octaves: NDArray[np.floating],
        reference: NDArray[np.floating],
        reference_angles: NDArray[np.floating],
        reference_octaves: NDArray[np.floating],
        *,
        costs: NDArray[np.float64],
        query_rows: NDArray[np.integer],
        reference_rows: NDArray[np.integer],
        rivals: NDArray[np.int64] | None = None,
    ) -> TentativeMatches:
        """Pair up features given row by row; the caller brings the surest first."""
        return cls(
            np.asarray(query, np.float64),
            np.asarray(reference, np.float64),
            np.asarray(reference_angles - query_angles, np.float64),
            np.asarray(reference_octaves - query_octaves, np.float64),
            costs,
            np.asarray(query_rows, np.int64),
            np.asarray(reference_rows, np.int64),
            rivals,
        )

    def __len__(self) -> int:
        return len(self.query)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TentativeMatches:
        return TentativeMatches(
            self.query[rows], self.reference[rows], self.rotation[rows], self.octaves[rows],
            self.costs[rows], self.query_rows[rows], self.reference_rows[rows],
            None if self.rivals is None else self.rivals[rows],
        )  # fmt: skip


def _firsts(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each distinct value stands first, in order."""
    return np.sort(np.unique(values, return_index=True)[1])
