"""Figures of merit, as plain functions on the scores and probabilities of answers, and whether each is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.float64], right: NDArray[np.bool_], positives: int) -> float:
    """Micro average precision of all answers to all queries, pooled (Douze et al., ISC2021, equation 1).

    Args:
        scores: (N,) float64; among equal scores the wrong answers count first.
        right: (N,) bool.
        positives: number of right answers that exist, found or not.

    Returns:
        The mean, over the positives, of the precision at each right answer; 0 to 1, NaN without positives.

    >>> average_precision(np.array([9.0, 5.0, 1.0]), np.array([True, False, True]), positives=2)
    0.8333333333333333
    """
    if positives == 0:
        return float("nan")
    in_order = right[np.lexsort((right, -scores))]
    precision = np.cumsum(in_order) / np.arange(1, len(in_order) + 1)
    return float(precision[in_order].sum() / positives)


def recall_at_zero_false(right_scores: NDArray[np.float64], wrong_scores: NDArray[np.float64], positives: int) -> float:
    """Share of the positives whose right answer scores above every wrong one; NaN without positives.

    >>> recall_at_zero_false(np.array([9.0, 5.0]), np.array([6.0, 1.0]), positives=4)
    0.25
    """
    if positives == 0:
        return float("nan")
    return float((right_scores > wrong_scores.max(initial=-np.inf)).sum() / positives)


class ReliabilityBin(NamedTuple):
    """The answers of a range of probabilities.

    Attributes:
        answers: how many.
        probability: their mean; NaN without answers.
        right: share of them that is right; NaN without answers.
    """

    answers: int
    probability: float
    right: float


def reliability(probabilities: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> list[ReliabilityBin]:
    """How often answers of each probability are right, in bins of equal width from 0 to 1.

    Args:
        probabilities: (N,) float64, 0 to 1; 1 belongs to the last bin.
        right: (N,) bool.
        bins: number of bins.
    """
    places = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(places, probabilities, bins) / counts
        shares = np.bincount(places, right, bins) / counts
    return [
        ReliabilityBin(int(n), float(mean), float(share)) for n, mean, share in zip(counts, means, shares, strict=True)
    ]


def calibration_error(bins: list[ReliabilityBin]) -> float:
    """Expected calibration error: the mean gap between probability and share right (Guo et al., ICML 2017, equation 3).

    NaN without answers.
    """
    filled = [one for one in bins if one.answers]
    if not filled:
        return float("nan")
    return float(
        np.average([abs(one.probability - one.right) for one in filled], weights=[one.answers for one in filled])
    )
