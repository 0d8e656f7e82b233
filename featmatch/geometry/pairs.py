"""Pairs of tentative matches -> the similarities that they propose, for keypoints without angle and scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.matches import TentativeMatches

_PAIRS = 8  # that are tried for each single match that would be
_APART = 8.0  # tolerances that two matches lie apart at least: closer ones say little of rotation and scale
_MOST_GROWTH = 40.0  # of lengths, either way


class PairAgreement(NamedTuple):
    """Which matches agree with the similarities of S pairs.

    Attributes:
        turns: (S, 2) float64, rotation and scale of each, as the vector that they make of (1, 0).
        loosely: (S, N): which matches agree, as far as perspective may bend it.
        closely: (S, N): which agree with nearly no bend.
    """

    turns: NDArray[np.float64]
    loosely: NDArray[np.bool_]
    closely: NDArray[np.bool_]


def agreement_with_pairs(matches: TentativeMatches, tolerance: float, hypotheses: int) -> PairAgreement:
    """Compare all matches with the similarity of each pair of the surest ones.

    Args:
        matches: the surest first; their rotations and scales are not looked at.
        tolerance: px of the reference.
        hypotheses: single matches that would be tried; of pairs, some times as many.
    """
    later, earlier = _pairs(len(matches), _PAIRS * hypotheses)
    query = matches.query[later] - matches.query[earlier]
    reference = matches.reference[later] - matches.reference[earlier]
    query_squares, squares = (query**2).sum(axis=1), (reference**2).sum(axis=1)
    apart = squares >= (_APART * tolerance) ** 2
    apart &= (squares <= _MOST_GROWTH**2 * query_squares) & (query_squares <= _MOST_GROWTH**2 * squares)
    later, earlier, query, reference = later[apart], earlier[apart], query[apart], reference[apart]
    along = query[:, 0] * reference[:, 0] + query[:, 1] * reference[:, 1]
    across = query[:, 0] * reference[:, 1] - query[:, 1] * reference[:, 0]
    turns = np.stack([along, across], axis=1) / query_squares[apart, None]
    residual, distance = _errors(matches, later, earlier, turns)
    return PairAgreement(
        turns, residual <= 2 * tolerance + 0.15 * distance, residual <= 2 * tolerance + 0.05 * distance
    )


def _pairs(count: int, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the first pairs of so many matches: those whose later one is the surest first."""
    rows = min(count, int((2 * most) ** 0.5) + 2)
    later, earlier = np.tril_indices(rows, -1)
    return later[:most], earlier[:most]


def _errors(
    matches: TentativeMatches, later: NDArray[np.intp], earlier: NDArray[np.intp], turns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each pair, (S, N): the error of each match, and its distance from the middle of the pair; px."""
    query, reference = (
        places[:, None].T - ((places[later] + places[earlier]) / 2).T[:, :, None]
        for places in (matches.query, matches.reference)
    )
    turn_x, turn_y = turns.T[..., None]
    off_x = turn_x * query[0] - turn_y * query[1] - reference[0]
    off_y = turn_y * query[0] + turn_x * query[1] - reference[1]
    return np.sqrt(off_x * off_x + off_y * off_y), np.sqrt((reference**2).sum(axis=0))
