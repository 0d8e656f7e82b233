from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation.metrics import average_precision, calibration_error, recall_at_zero_false, reliability


def floats(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)


def flags(text: str) -> NDArray[np.bool_]:
    return np.array([letter == "r" for letter in text], np.bool_)


def test_average_precision_by_hand() -> None:
    # In order right, wrong, right: precision 1 at the first, 2/3 at the second; a third positive is never found.
    assert average_precision(floats(9, 1, 5), flags("rrw"), 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(floats(9, 5, 1), flags("rrw"), 2) == 1
    assert average_precision(floats(9, 5), flags("ww"), 2) == 0
    assert average_precision(floats(), flags(""), 2) == 0
    assert math.isnan(average_precision(floats(1), flags("w"), 0))


def test_average_precision_counts_the_wrong_of_equals_first() -> None:
    for order in ("rw", "wr"):
        assert average_precision(floats(7, 7), flags(order), 1) == 0.5


def test_recall_at_zero_false_by_hand() -> None:
    assert recall_at_zero_false(floats(9, 5, 4), floats(1, 4), 4) == 0.5  # 4 is no more than the wrong 4
    assert recall_at_zero_false(floats(9), floats(), 2) == 0.5
    assert recall_at_zero_false(floats(), floats(3), 2) == 0
    assert math.isnan(recall_at_zero_false(floats(), floats(3), 0))


def test_reliability_by_hand() -> None:
    bins = reliability(floats(0.1, 0.3, 1.0, 0.9, 0.5), flags("wrrrw"), bins=2)
    assert [one.answers for one in bins] == [2, 3]
    assert bins[0].probability == pytest.approx(0.2)
    assert bins[0].right == 0.5
    assert bins[1].probability == pytest.approx(0.8)
    assert bins[1].right == pytest.approx(2 / 3)
    assert calibration_error(bins) == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)


def test_calibration_of_nothing() -> None:
    bins = reliability(floats(), flags(""))
    assert [one.answers for one in bins] == [0] * 10
    assert math.isnan(bins[0].right)
    assert math.isnan(calibration_error(bins))


def test_an_honest_probability_has_no_calibration_error() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(size=20_000)
    right = random.uniform(size=20_000) < probabilities
    assert calibration_error(reliability(probabilities, right)) < 0.02
    assert calibration_error(reliability(probabilities**0.5, right)) > 0.1
