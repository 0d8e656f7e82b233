"""Evidence -> score -> probability that one picture is a copy of the other."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from featmatch.system.shipped import shipped_file

# Log-odds that both show one content, and not just one design, where they are told to show two.
SISTER = -4.0

# Share of the cells within what agrees that contradict, from which two contents are told by the two pictures alone, if
# at least so many cells agree: of 1,900 true copies none had as many, of false ones every tenth. But motion blur takes
# edges away: cells of a print contradict as well, while its pixels look the same (docs/tried.md).
_TWO_CONTENTS, _ENOUGH_AGREE, _LOOKS_THE_SAME = 0.55, 30, 0.75

# The same where each picture shows, in so many cells and in such a share of them, what the other lacks. What an edit or
# a camera brings in or takes away goes one way; but stickers over a quarter of a picture do both, in up to 5 %
# (docs/tried.md).
_EXCHANGED, _EXCHANGED_SHARE = 4, 0.05

# The same where few features agree by their descriptors: then less speaks for one content, and less must against it;
# where hardly any do, that most cells contradict. Of 480 true copies one is claimed without this rule, and not with it
# (docs/tried.md).
_FEW_AGREE, _ANOTHER_OF_FEW, _ENOUGH_OF_FEW, _EXCHANGED_OF_FEW = 35.0, 0.4, 20, 2
_HARDLY_ANY_AGREE, _MOST_CONTRADICTS = 10.0, 0.6

# The same where few agree, in any way, by the cells with stark structure in both: print and flat drawings are neither
# blurred nor noisy there, so that a tenth is another word or face, unless the pixels agree all over, as under halftone.
_ANOTHER_STARK, _ALL_OVER = 0.12, 0.9

# The same where print or a drawing on a plain ground agrees, by less geometry a cell: a photo under text or stickers
# agrees by two to six; one that blur or glare left with less has no plain ground, or few features, which may map it
# badly. Of true copies of forms, cards and signs 2 % contradict at most, of fillings mostly 8 % and more
# (docs/tried.md).
_REDRAWN, _OF_A_CELL = 0.08, 1.0

# The same where few agree, in any way, in a region so small that it was enlarged to have cells: these are blurred, so
# more must contradict. Of 42 edited emoji that were claimed so one has as much, of 21 others 17 (docs/tried.md).
_ANOTHER_OF_SMALL = 0.45

# Pairs of near places that are moved against one another along one line, from which it is another photo of the scene
# (docs/tried.md).
_DEPTH_STEPS = 9

# Log-odds lost where few features agree by their descriptors or in another form of the query, and the pixels do not
# bear them out: letters, bars and corners are much alike, and what is looked for in many ways is found by chance. Set
# by hand.
_UNSUPPORTED = 4.0
_FEW, _HARDLY_AGREES, _MUCH_CONTRADICTS = 20.0, 0.5, 0.3  # geometry, agreement, and share of the cells

# Cells that must say something, for or against, so that pixels bear few features of a form out. Where flat drawings and
# smooth things were taken for others they had 44 at most, photographed prints that were found so 55 and more
# (docs/tried.md).
_ENOUGH_SAID = 50

_MOST_DOUBLINGS = 8.0  # of the number of cells that agree; more say no more

# What JSON tells of evidence, of any kind.
_KEYS = (
    "geometry", "distinct", "clarity", "evenness", "agreement", "whole", "detail", "contradiction", "enclosed",
    "agreeing", "exchanged", "stark", "redrawn", "depth_steps", "is_coarse", "is_small", "is_sister", "by_descriptors",
    "in_form",
)  # fmt: skip


@dataclass(frozen=True)
class FeatureEvidence:
    """What speaks for and against a match of features.

    Attributes:
        geometry: minus log10 of how many such agreements of features chance would make.
        distinct: ``geometry`` without inliers in regions that other images match only in part.
        clarity: of the inliers; 1 where none looks like other features, near 0 in a repeated pattern.
        evenness: of the inliers among the query's features in the shared region; 0 to 1.
        detector: whose features these are; each detector has weights of its own.
        agreement: correlation of the pixels, one picture laid over the other, 0 to 1; None where it was not looked at.
        detail: what the agreement has to go by, 0 to 1: see ``featmatch.proof.agreement.PixelAgreement``.
        contradiction: share of the cells that show something else, see ``featmatch.proof.difference``; None where
            they were not looked at.
        enclosed: the same among the cells that lie within what agrees.
        agreeing: number of the cells that show the same.
        exchanged: number of the cells in which one picture shows what the other lacks, of that which lacks fewer.
        stark: as ``enclosed``, among the cells with stark structure in both pictures, if enough of these agree.
        redrawn: as ``enclosed``, where most of what agrees is print or a drawing on a plain ground, and most of what
            contradicts is as strong in both pictures; else 0.
        depth_steps: number of near places that are moved against one another, see ``featmatch.proof.parallax``.
        is_coarse: whether they were seen in a small picture only, in which other contents may look the same.
        is_small: whether the cells are those of a small region, enlarged: these may only speak against.
        is_sister: whether another image explains what this one contradicts, and all else as well.
        by_descriptors: whether each feature was matched with one other, by descriptors, and not by words with all that
            have its word: then only SIFT knows which others look alike, and ``clarity`` is 1 for all else.
        in_form: whether they were found in another form of the query.
    """

    geometry: float
    distinct: float
    clarity: float
    evenness: float
    detector: str
    agreement: float | None = None
    detail: float = 1.0
    contradiction: float | None = None
    enclosed: float = 0.0
    agreeing: int = 0
    exchanged: int = 0
    stark: float = 0.0
    redrawn: float = 0.0
    depth_steps: int = 0
    is_coarse: bool = False
    is_small: bool = False
    is_sister: bool = False
    by_descriptors: bool = False
    in_form: bool = False

    @property
    def counted(self) -> float:
        """The geometry that counts: of what others have as well, a third where one has looked where the two differ.

        And else none. Where another content is told, only the design is left to prove, and all of it does.
        """
        if self.contradiction is None or self.is_coarse or self.is_small:
            return self.distinct
        return self.geometry if self.has_another_content else (self.geometry + 2 * self.distinct) / 3

    @property
    def covering(self) -> float:
        """How many cells agree, 0 to 1: twice as many add as much each time; less where some contradict."""
        if self.is_small:
            return 0.0
        return min(math.log2(1 + self.agreeing) / _MOST_DOUBLINGS, 1.0) * (1 - (self.contradiction or 0.0))

    @property
    def has_another_content(self) -> bool:
        """Whether they are told to share a design only: by another image, or since too much of it contradicts."""
        stark = self.stark >= _ANOTHER_STARK and not self.agrees_all_over
        small = self.is_small and (self.contradiction or 0.0) >= _ANOTHER_OF_SMALL
        small &= self.clear_agreement < _LOOKS_THE_SAME
        if self.is_redrawn or (stark and self.geometry < _FEW_AGREE) or (small and self.geometry < _FEW):
            return True
        if self.by_descriptors and self.geometry < _FEW_AGREE:
            contradicts = self.enclosed >= _ANOTHER_OF_FEW and self.agreeing >= _ENOUGH_OF_FEW
            contradicts |= self.geometry < _HARDLY_ANY_AGREE and (self.contradiction or 0.0) >= _MOST_CONTRADICTS
            return self.is_sister or contradicts or self.exchanged >= _EXCHANGED_OF_FEW
        contradicts = self.enclosed >= _TWO_CONTENTS and self.agreeing >= _ENOUGH_AGREE
        contradicts &= self.clear_agreement < _LOOKS_THE_SAME
        fewest = max(_EXCHANGED, _EXCHANGED_SHARE * (self.agreeing + self.exchanged))
        return self.is_sister or contradicts or self.exchanged >= fewest

    @property
    def is_redrawn(self) -> bool:
        """Whether print or a drawing on a plain ground is told to have another content."""
        enough = _FEW <= self.geometry < _OF_A_CELL * self.agreeing
        return enough and self.redrawn >= _REDRAWN and not self.agrees_all_over

    @property
    def is_another_view(self) -> bool:
        """Whether they are told to be two photos of one scene: what is nearer is moved against what lies behind it."""
        return self.depth_steps >= _DEPTH_STEPS

    @property
    def is_unsupported(self) -> bool:
        """Whether pixels do not bear out what few features say, where one has looked for them in many ways.

        They speak against it; or, in another form of the query, there is hardly anything that could speak.
        """
        if not (self.by_descriptors or self.in_form) or self.geometry >= _FEW or self.contradiction is None:
            return False
        against = self.clear_agreement < _HARDLY_AGREES and self.contradiction > _MUCH_CONTRADICTS
        hardly_said = self.agreeing < _ENOUGH_SAID * (1 - self.contradiction) and not self.is_small
        return against or (self.in_form and hardly_said)

    @property
    def own(self) -> float:
        """Log-odds that both show the same content, and not only one design with another in it, or another photo."""
        if self.has_another_content or self.is_another_view:
            return SISTER
        weights = feature_weights(self.detector, with_pixels=True)
        # Where it was not looked at, nothing contradicts: such a pair is never surer than one of which that was seen.
        return weights.content - weights.contradiction * (self.contradiction or 0.0) - weights.enclosed * self.enclosed

    @property
    def clear_agreement(self) -> float:
        """The agreement that counts: pixels of a repeated pattern agree in many places, those of flat shapes often."""
        return self.clarity * self.detail * (self.agreement or 0.0)

    @property
    def agrees_all_over(self) -> bool:
        """Whether the pixels are the same nearly everywhere, as under halftone."""
        return self.clear_agreement >= _ALL_OVER

    def score(self) -> float:
        """Log-odds that one picture is a copy of the other: the higher, the surer.

        There are three ways to be wrong: what agrees does so by chance, or it is only a part, as a logo or a frame, or
        a design that has another content. The probability of a copy is the product of those of none of them;
        ``tools/calibrate.py`` fits all at once.

        >>> many = FeatureEvidence(geometry=60, distinct=60, clarity=1, evenness=0.9, detector="sift")
        >>> few = FeatureEvidence(geometry=2, distinct=2, clarity=1, evenness=0.9, detector="sift")
        >>> probability_of(many.score()) > 0.9, probability_of(few.score()) < 0.1
        (True, True)
        """
        return _all_of(*self._no_chance_and_whole(), self.own)

    @property
    def design_score(self) -> float:
        """Log-odds that they share what they share at all, be it a design with another content, or a scene."""
        return _all_of(*self._no_chance_and_whole())

    def _no_chance_and_whole(self) -> tuple[float, float]:
        weights = feature_weights(self.detector, with_pixels=self.agreement is not None)
        return (
            weights.geometry * self.counted
            + weights.agreement * self.clear_agreement
            + weights.seen * self.covering
            + weights.chance
            - _UNSUPPORTED * self.is_unsupported,
            weights.evenness * self.evenness
            + weights.sameness * self.clear_agreement**2
            + weights.covering * self.covering
            + weights.part,
        )

    def to_dict(self) -> dict[str, Any]:
        """The evidence object of the JSON output."""
        return evidence_object(self)


class WithoutFeatures:
    """No features agree; named as those of ``FeatureEvidence``, so that all kinds are sorted and recorded alike."""

    geometry: ClassVar[float] = 0.0
    distinct: ClassVar[float] = 0.0
    enclosed: ClassVar[float] = 0.0
    exchanged: ClassVar[int] = 0
    stark: ClassVar[float] = 0.0
    redrawn: ClassVar[float] = 0.0
    depth_steps: ClassVar[int] = 0
    is_coarse: ClassVar[bool] = False
    is_small: ClassVar[bool] = False
    is_sister: ClassVar[bool] = False
    is_another_view: ClassVar[bool] = False
    by_descriptors: ClassVar[bool] = False
    in_form: ClassVar[bool] = False
    clarity: ClassVar[float] = 0.0
    evenness: ClassVar[float] = 0.0


@dataclass(frozen=True)
class ToldEvidence(WithoutFeatures):
    """What another process, or an earlier run, made of its evidence: all that JSON tells of it.

    Attributes:
        total: the score, log-odds.
        probability: 0 to 1, not rounded as much as the score.
        agreement: as of ``FeatureEvidence``.
        detail: likewise.
    """

    total: float
    probability: float
    agreement: float | None = None
    detail: float = 1.0

    contradiction: ClassVar[None] = None
    agreeing: ClassVar[int] = 0

    def score(self) -> float:
        """Log-odds that the pictures are the same, as told."""
        return self.total

    def to_dict(self) -> dict[str, Any]:
        """The evidence object of the JSON output."""
        return evidence_object(self)


def evidence_object(evidence: object, whole: object = None) -> dict[str, Any]:
    """The evidence object of the JSON output: all kinds of evidence print the same keys."""
    return {key: whole if key == "whole" else getattr(evidence, key) for key in _KEYS}


class FeatureWeights(NamedTuple):
    """Weights of three sums of log-odds: that a match is no chance, no mere part (a logo, a frame), no mere design.

    Attributes:
        geometry: weight of ``counted`` in the log-odds against chance.
        agreement: weight of ``clear_agreement`` in the same; 0 where the pixels were not looked at.
        chance: constant of the same.
        evenness: weight of ``evenness`` in the log-odds against a mere part.
        sameness: weight of ``clear_agreement`` squared in the same: only pixels that agree all over make it large.
        part: constant of the same.
        seen: weight of ``covering`` in the log-odds against chance.
        covering: weight of the same in those against a mere part.
        contradiction: by how much ``contradiction`` lowers the log-odds that both show the same content.
        enclosed: by how much ``enclosed`` lowers them.
        content: constant of the same.
    """

    geometry: float
    agreement: float
    chance: float
    evenness: float
    sameness: float
    part: float
    seen: float = 0.0
    covering: float = 0.0
    contradiction: float = 0.0
    enclosed: float = 0.0
    content: float = math.inf


def probability_of(score: float) -> float:
    """The probability for these log-odds.

    >>> probability_of(0.0)
    0.5
    """
    return 1 / (1 + math.exp(_bounded(-score)))


def _all_of(*log_odds: float) -> float:
    """Log-odds that all hold that have these log-odds each, if they do not depend on one another.

    >>> round(_all_of(1.0, math.inf), 3), round(_all_of(0.0, 0.0), 3)
    (1.0, -1.099)
    """
    # The odds against, (1 + e^-a)(1 + e^-b)... - 1, added up so that nothing is lost when all are sure.
    against = 0.0
    for one in log_odds:
        odds = math.exp(_bounded(-one))
        against += odds + against * odds
    return -math.log(against)


def _bounded(exponent: float) -> float:
    return max(min(exponent, 235.0), -300.0)


@cache
def feature_weights(detector: str, *, with_pixels: bool) -> FeatureWeights:
    """The weights fitted for a detector, from ``data/probability.json`` (``tools/calibrate.py``)."""
    fits = json.loads(shipped_file("probability.json").read_text())
    return FeatureWeights(**fits.get(detector, fits["other"])["with pixels" if with_pixels else "without pixels"])
