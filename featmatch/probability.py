"""Evidence -> probability that one picture is a copy of the other."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources


def probability_of(score: float, detector: str) -> float:
    """The probability that so unlikely an agreement is no chance: a logistic function of the score.

    A first fit, by ``tools/calibrate.py``; its numbers stand in ``data/probability.json``.

    Args:
        score: minus log10 of how many such agreements chance would make.
        detector: whose features agree.
    """
    midpoint, slope = _fit_of(detector)
    return 1 / (1 + math.exp(-max(min(slope * (score - midpoint), 50.0), -50.0)))


@cache
def _fit_of(detector: str) -> tuple[float, float]:
    """The score at which the probability is one half, and the growth of its log-odds by score."""
    fits = json.loads((resources.files("featmatch.data") / "probability.json").read_text())
    fit = fits.get(detector, fits["other"])
    return float(fit["midpoint"]), float(fit["slope"])
