"""Evidence -> score -> probability that one picture is a copy of the other."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from featmatch.system.shipped import shipped_file

# Pixels that agree this well over all that two pictures share are a copy, whoever else has a part of it.
COPY_AGREEMENT = 0.8

# Log-odds that whole pictures lose where their pixels show nothing but the outline of a flat shape; set by hand.
_OUTLINE = 4.0


class Likeness(NamedTuple):
    """How alike two whole pictures are.

    Attributes:
        layout: see ``featmatch.features.looks.likeness``; nats.
        share: the same as a part of what the plainer of the two has to tell it by; at most 1.
        colours: see ``featmatch.features.looks.colour_likeness``; 0 to 1.
    """

    layout: float
    share: float
    colours: float


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a match.

    Attributes:
        geometry: minus log10 of how many such agreements of features chance would make.
        distinct: the same without places of the query that other images share as well, in a part only.
        clarity: of the inliers; 1 where none looks like other features, near 0 in a repeated pattern.
        evenness: of the inliers among the query's features in the shared region; 0 to 1.
        agreement: correlation of the pixels, one picture laid over the other, 0 to 1; None where it was not looked at.
        whole: what speaks for a match of whole pictures, which has no features; None for all others.
        detail: what the agreement has to go by, 0 to 1: see ``featmatch.proof.agreement.Agreement``.
    """

    geometry: float
    distinct: float
    clarity: float
    evenness: float
    agreement: float | None = None
    whole: Likeness | None = None
    detail: float = 1.0

    @property
    def counted(self) -> float:
        """The geometry that counts."""
        return self.geometry if (self.agreement or 0.0) >= COPY_AGREEMENT else self.distinct

    @property
    def clear_agreement(self) -> float:
        """The agreement that counts: pixels of a repeated pattern agree in many places, those of flat shapes often."""
        return self.clarity * self.detail * (self.agreement or 0.0)


class Fit(NamedTuple):
    """Log-odds that a match is no chance, and that the pictures share the whole region and not a logo or a frame in it.

    Attributes:
        geometry: growth of the first with the geometry that counts.
        agreement: and with the clear agreement of pixels; 0 where they were not looked at.
        chance: its log-odds at 0.
        evenness: growth of the second with the evenness.
        sameness: and with the square of the clear agreement, which only pixels that agree all over make large.
        part: its log-odds at 0.
    """

    geometry: float
    agreement: float
    chance: float
    evenness: float
    sameness: float
    part: float


class WholeFit(NamedTuple):
    """Log-odds that two pictures that look alike as a whole are the same.

    Attributes:
        layout: their growth with each part of the likeness.
        share: likewise.
        colours: likewise.
        agreement: and with the agreement of pixels; 0 where they were not looked at.
        odds: they at 0.
    """

    layout: float
    share: float
    colours: float
    agreement: float
    odds: float


def score_of(evidence: Evidence, detector: str) -> float:
    """All evidence in one number, the log-odds that one picture is a copy of the other: the higher, the surer.

    There are two ways to be wrong: what agrees does so by chance, or it is only a part, as a logo or a frame. The
    probability of a copy is the product of those of neither; ``tools/calibrate.py`` fits both at once.
    """
    if evidence.whole is not None:
        numbers = whole_fit(with_pixels=evidence.agreement is not None)
        terms = (*evidence.whole, evidence.agreement or 0.0, 1.0)
        odds = math.fsum(number * term for number, term in zip(numbers, terms, strict=True))
        return odds - _OUTLINE * (1 - evidence.detail)
    fit = fit_of(detector, with_pixels=evidence.agreement is not None)
    no_chance = fit.geometry * evidence.counted + fit.agreement * evidence.clear_agreement + fit.chance
    whole = fit.evenness * evidence.evenness + fit.sameness * evidence.clear_agreement**2 + fit.part
    # (1 + e^-a)(1 + e^-b) - 1, the odds against, written so that nothing is lost when both are sure.
    return -math.log(
        math.exp(_bounded(-no_chance)) + math.exp(_bounded(-whole)) + math.exp(_bounded(-no_chance - whole))
    )


def probability_of(score: float) -> float:
    """The probability for these log-odds."""
    return 1 / (1 + math.exp(_bounded(-score)))


def _bounded(exponent: float) -> float:
    return max(min(exponent, 300.0), -300.0)


@cache
def whole_fit(*, with_pixels: bool) -> WholeFit:
    """The fitted numbers for whole pictures, from ``data/whole.json`` (``tools/calibrate_whole.py``)."""
    fits = json.loads(shipped_file("whole.json").read_text())
    return WholeFit(**fits["with pixels" if with_pixels else "without pixels"])


@cache
def fit_of(detector: str, *, with_pixels: bool) -> Fit:
    """The fitted numbers of a detector, from ``data/probability.json``."""
    fits = json.loads(shipped_file("probability.json").read_text())
    return Fit(**fits.get(detector, fits["other"])["with pixels" if with_pixels else "without pixels"])
