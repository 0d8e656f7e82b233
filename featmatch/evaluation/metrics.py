"""Figures of merit, as plain functions on arrays: what was answered, how sure, and whether it was right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.float64], right: NDArray[np.bool_], positives: int) -> float:
    """Micro average precision of all answers to all queries, pooled (Douze et al., ISC2021, equation 1).

    Args:
        scores: (N,) float64; of equal ones the wrong are counted first.
        right: (N,) bool.
        positives: number of right answers there are, found or not.

    Returns:
        The mean, over the positives, of the precision at each right answer; 0 to 1, NaN without positives.
    """
    if positives == 0:
        return float("nan")
    in_order = right[np.lexsort((right, -scores))]
    precision = np.cumsum(in_order) / np.arange(1, len(in_order) + 1)
    return float(precision[in_order].sum() / positives)


def recall_at_zero_false(right_scores: NDArray[np.float64], wrong_scores: NDArray[np.float64], positives: int) -> float:
    """Share of the positives whose right answer scores above every wrong one; NaN without positives."""
    if positives == 0:
        return float("nan")
    return float((right_scores > wrong_scores.max(initial=-np.inf)).sum() / positives)


class ReliabilityBin(NamedTuple):
    """Answers of about the same probability.

    Attributes:
        answers: how many.
        probability: their mean; NaN for none.
        right: share of them that is right; NaN for none.
    """

    answers: int
    probability: float
    right: float


def reliability(probabilities: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> list[ReliabilityBin]:
    """How often answers of each probability are right, in bins of equal width from 0 to 1.

    Args:
        probabilities: (N,) float64, 0 to 1; 1 belongs to the last bin.
        right: (N,) bool.
        bins: how many.
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
