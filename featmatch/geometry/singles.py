"""Single tentative matches -> the similarities that they propose, each by its keypoints' angle and scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import cos_sin, exp2
from featmatch.geometry.matches import FEWEST_MATCHES, GeometryOptions, TentativeMatches, turns_of

# A keypoint's scale and angle are rough, and it does not tell of stretching: errors grow with the distance from it.
_LOOSE, _CLOSE = 0.35, 0.1  # of the distance
_FEW = 64  # matches of two pictures; all pairs of more are too many to be compared beside those of others


class SingleAgreement(NamedTuple):
    """Which of N matches agree with the similarities of the S surest ones.

    Attributes:
        loosely: (S, N) bool: which matches agree, as far as perspective may bend it.
        closely: (S, N) bool: which agree with nearly no bend.
    """

    loosely: NDArray[np.bool_]
    closely: NDArray[np.bool_]


def agreement_with_singles(matches: TentativeMatches, tolerance: float, options: GeometryOptions) -> SingleAgreement:
    """Compare all matches with the similarity of each of the surest ones.

    Args:
        matches: the surest first.
        tolerance: px of the reference.
        options: how many of them propose one, and the tolerances of rotation and scale.
    """
    seeds = slice(0, options.hypotheses)
    query, reference = ([one - one[seeds, None] for one in places.T] for places in (matches.query, matches.reference))
    residual, distance = _errors(query, reference, matches.turns[seeds].T[..., None])
    agree = residual <= 2 * tolerance + _LOOSE * distance
    rows, columns = np.nonzero(agree)  # few: comparing angles is slow, so only theirs are compared
    agree[rows, columns] = turned_alike(matches.turns[columns], matches.turns[rows], options)
    return SingleAgreement(agree, agree & (residual <= 2 * tolerance + _CLOSE * distance))


def may_agree(
    several: Sequence[TentativeMatches], tolerances: Sequence[float], options: GeometryOptions
) -> NDArray[np.bool_]:
    """Whether enough matches of each of several pairs of pictures agree loosely; else no homography is found for it.

    Most candidates of a search have few matches, and no three that agree. All of them are told at once in a tenth of
    the time that it takes one by one. Nothing is said against those with many matches.

    Args:
        several: the matches of each, the surest first.
        tolerances: of each, px of its reference.
        options: the tolerances of rotation and scale; matches that propose no map alone may all agree.

    Returns:
        (C,) bool.
    """
    counts = np.array([len(one) for one in several], np.int64)
    may = counts >= FEWEST_MATCHES
    if options.seeds != 1:
        return may
    few = np.flatnonzero(may & (counts <= min(_FEW, options.hypotheses)))
    if len(few):
        may[few] = _any_agree([several[place] for place in few.tolist()], np.asarray(tolerances)[few], options)
    return may


def _any_agree(
    several: Sequence[TentativeMatches], tolerances: NDArray[np.float64], options: GeometryOptions
) -> NDArray[np.bool_]:
    """``may_agree`` for few matches each, all of which propose a similarity."""
    counts = np.array([len(one) for one in several])
    ends = np.cumsum(counts)
    firsts = ends - counts
    own = np.repeat(np.arange(len(several)), counts)  # which of several a match is of
    times = counts[own]
    # All pairs within each: a match that proposes, and one that is compared with it.
    seeds = np.repeat(np.arange(len(own)), times)
    others = np.arange(len(seeds)) - np.repeat(np.cumsum(times) - times - firsts[own], times)
    query, reference = (
        [one[others] - one[seeds] for one in places.T]
        for places in (
            np.concatenate([one.query for one in several]),
            np.concatenate([one.reference for one in several]),
        )
    )
    turns = turns_of(
        np.concatenate([one.rotation for one in several]), np.concatenate([one.octaves for one in several])
    )
    residual, distance = _errors(query, reference, turns[seeds].T)
    near = np.flatnonzero(residual <= 2 * tolerances[own[seeds]] + _LOOSE * distance)
    agree = near[turned_alike(turns[others[near]], turns[seeds[near]], options)]
    agreeing = np.bincount(seeds[agree], minlength=len(own))
    return np.asarray(np.maximum.reduceat(agreeing, firsts) >= FEWEST_MATCHES)


def _errors(
    query: Sequence[NDArray[np.float64]], reference: Sequence[NDArray[np.float64]], turns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The error of matches under the similarity of a seed, and their distance from it; px of the reference.

    Args:
        query: x and y from the seed to each match, px of the query.
        reference: the same in the reference, px.
        turns: (2, ...), of the seeds.
    """
    (query_x, query_y), (x, y), (turn_x, turn_y) = query, reference, turns
    off_x, off_y = turn_x * query_x - turn_y * query_y - x, turn_y * query_x + turn_x * query_y - y
    return np.sqrt(off_x * off_x + off_y * off_y), np.sqrt(x * x + y * y)


def turned_alike(
    turns: NDArray[np.float64], others: NDArray[np.float64], options: GeometryOptions
) -> NDArray[np.bool_]:
    """Whether two maps, as vectors (N, 2), agree in rotation and scale within the tolerances."""
    least_cosine, most = _bounds(options)
    growths, other_growths = lengths(turns), lengths(others)
    along = turns[:, 0] * others[:, 0] + turns[:, 1] * others[:, 1]
    grown_alike = (growths <= most * other_growths) & (other_growths <= most * growths)
    return np.asarray(grown_alike & (along >= least_cosine * (growths * other_growths)))


@functools.cache
def _bounds(options: GeometryOptions) -> tuple[float, float]:
    """The tolerances as the least cosine between two turns, and the most growth from one to the other."""
    return float(cos_sin(math.radians(options.angle_deg))[0]), float(exp2(options.octaves))


def lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) to (N,)."""
    return np.sqrt(vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1])
