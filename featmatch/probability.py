"""Evidence -> score -> probability that one picture is a copy of the other."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a match.

    Attributes:
        geometry: minus log10 of how many such agreements of features chance would make.
        evenness: of the inliers among the query's features in the shared region; 0 to 1.
        agreement: correlation of the pixels, one picture laid over the other, 0 to 1; None where it was not looked at.
    """

    geometry: float
    evenness: float
    agreement: float | None = None


def score_of(evidence: Evidence, detector: str) -> float:
    """All evidence in one number, in units of its geometry: the higher, the surer."""
    return evidence.geometry


def probability_of(score: float, detector: str) -> float:
    """The probability that so much evidence is no chance: a logistic function of the score.

    Fitted by ``tools/calibrate.py``; its numbers stand in ``data/probability.json``.

    Args:
        score: of the evidence.
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
