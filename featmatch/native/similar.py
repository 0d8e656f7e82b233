"""Tentative matches in C: which agree with the similarity of one of them, and whether enough may agree with a map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.native.library import address, library

_COLUMNS, _MASKS = 8, 2  # as similar.c has them


class SimilarityLimits(NamedTuple):
    """Within what a match agrees with the similarity of another one.

    Attributes:
        error: of its place in the reference, px, anywhere.
        loose: how much more for each px of the reference between the two.
        close: the same, where little is allowed.
        least_cosine: between the rotations of the two.
        most_growth: from the scale of one to that of the other, as a factor.
    """

    error: float
    loose: float
    close: float
    least_cosine: float
    most_growth: float


class Agreement(NamedTuple):
    """Which of N matches agree with S similarities.

    Attributes:
        loosely: (S, N) bool, within ``SimilarityLimits.loose``.
        closely: (S, N) bool, within ``SimilarityLimits.close`` as well.
    """

    loosely: NDArray[np.bool_]
    closely: NDArray[np.bool_]


def similar(
    query: NDArray[np.float64],
    reference: NDArray[np.float64],
    turns: NDArray[np.float64],
    seeds: int,
    limits: SimilarityLimits,
) -> Agreement:
    """Compare all matches with the similarities of the first of them.

    Args:
        query: (N, 2) float64, px.
        reference: (N, 2) float64, px.
        turns: (N, 2) float64, rotation and scale of each, as the vector that they make of (1, 0).
        seeds: how many propose a similarity, at most N.
        limits: what agrees.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.

    >>> places, turns = np.float64([[0, 0], [9, 0], [0, 9]]), np.float64([[1, 0], [1, 0], [0, 1]])
    >>> similar(places, places, turns, 1, SimilarityLimits(1, 0.3, 0.1, 0.9, 2)).loosely.tolist()
    [[True, True, False]]
    """
    columns = _columns(query, reference, turns)
    found = Agreement(*np.empty((2, max(seeds, 0), len(turns)), bool))
    most, room = np.array(limits, np.float64), np.empty(_COLUMNS * len(turns))
    status = library().featmatch_similar(
        *(address(one, np.float64, 2) for one in columns), len(turns), seeds, address(most, np.float64),
        address(room, np.float64, written=True), *(address(one, np.bool_, 2, written=True) for one in found),
    )  # fmt: skip
    if status < 0:
        raise UsageError(f"of {len(turns)} matches {seeds} cannot be compared with the others")
    return found


class FitLimits(NamedTuple):
    """What ``may_fit`` goes by; each as ``geometry/homography.py`` has it.

    Attributes:
        loose: as in ``SimilarityLimits``; the error that is allowed anywhere is twice the tolerance.
        close: likewise.
        least_cosine: likewise.
        most_growth: likewise.
        keypoint: how far a keypoint's rotation (radians) and scale (as a share) are off.
    """

    loose: float
    close: float
    least_cosine: float
    most_growth: float
    keypoint: float


def may_fit(
    columns: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ends: NDArray[np.int64],
    tolerances: NDArray[np.float64],
    enough: NDArray[np.int64],
    seeds: int,
    limits: FitLimits,
) -> NDArray[np.bool_]:
    """Tell of several pairs of pictures whether so many of their matches may agree with a homography.

    The sets that ``fit_homography`` would try are made, and an affine map of each. No pair is left out of which any of
    these brings enough matches close, or has so many inliers that a homography would be looked for.

    Args:
        columns: matches of all pairs, the surest of each first: in the query, px, (N, 2) float64; in the reference;
            and rotation and scale, as the vector that they make of (1, 0).
        ends: (P + 1,) int64, the matches of pair p are the rows ``ends[p]`` up to ``ends[p + 1]``.
        tolerances: (P,) float64, largest error of an inlier, px.
        enough: (P,) int64, how many must agree.
        seeds: how many of the matches of a pair propose a similarity, at most.
        limits: what agrees.

    Returns:
        (P,) bool.

    Raises:
        MissingFeatureError: the kernels are not built.
        UsageError: the arrays are not such.
    """
    query, reference, turns = _columns(*columns)
    pairs = len(ends) - 1
    if not len(tolerances) == len(enough) == pairs:
        raise UsageError(f"{len(tolerances)} tolerances and {len(enough)} numbers do not fit {pairs} pairs")
    longest = max(int(np.diff(ends).max(initial=0)), 0)
    seeds = max(min(seeds, longest), 0)
    agreeing = np.empty((2, seeds, longest), bool)
    rooms = np.empty(_COLUMNS * longest), np.empty(_MASKS * longest, np.uint8), np.empty(seeds, np.int64)
    most, found = np.array(limits, np.float64), np.empty(pairs, bool)
    status = library().featmatch_may_fit(
        *(address(one, np.float64, 2) for one in (query, reference, turns)), len(turns), address(ends, np.int64), pairs,
        address(tolerances, np.float64), address(enough, np.int64), address(most, np.float64),
        seeds, longest, *(address(one, one.dtype, written=True) for one in rooms),
        *(address(one, np.bool_, 2, written=True) for one in agreeing), address(found, np.bool_, written=True),
    )  # fmt: skip
    if status < 0:
        raise UsageError("the pairs are not within the matches")
    return found


def _columns(*columns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    found = [np.ascontiguousarray(one) for one in columns]
    if any(one.shape != (len(found[0]), 2) for one in found):
        raise UsageError("matches are needed as three arrays of (N, 2)")
    return found
