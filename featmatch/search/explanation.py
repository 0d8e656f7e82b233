"""The result of each stage of a search for one image, and one sentence that sums them up."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featmatch.features.symmetry import Variant
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import ImageSource
from featmatch.notebooks import png_of
from featmatch.proof.drawing import draw_proof
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import PROVEN
from featmatch.proof.whole_evidence import WholeEvidence
from featmatch.search.matches import Match

Stage = Literal["index", "detail", "words", "votes", "shortlist", "geometry", "verdict", "probability"]

RANKED = 10_000  # pairs of an image and a variant: the longest shortlist there may be


@dataclass(frozen=True)
class Seen:
    """Size of a picture in px, and how many features it has."""

    width: int
    height: int
    features: int


@dataclass(frozen=True)
class SharedWords:
    """How many visual words of the query were looked up, and how many of them occur in the image."""

    looked_up: int
    common: int


@dataclass(frozen=True)
class Votes:
    """The votes for the image in the search for candidates.

    Attributes:
        variant: how the query is looked at, where the image is most like it.
        hits: pairs of features that are alike.
        votes: the sum, normalised.
        rank: among all pairs of an image and a variant, 1 the best; None: not among the best 10,000.
        ranked: how many such pairs have any vote, 10,000 at most.
        shortlist: how many of them are verified.
    """

    variant: Variant
    hits: int
    votes: float
    rank: int | None
    ranked: int
    shortlist: int


@dataclass(frozen=True, eq=False)
class Verified:
    """The result of verifying the image; on its own, if it is not on the shortlist.

    Attributes:
        matches: hits of which each feature of either picture is in one.
        match: what geometry and pixels support, exactly as ``query`` has it where the image is on the shortlist.
        place: among the proven answers to the query, 1 the best; None where it is none.
        dropped: (2, N, 2) float64, px: matches that do not agree, in the query and in the image.
    """

    matches: int
    match: Match | None
    place: int | None
    dropped: NDArray[np.float64] = field(repr=False)

    @property
    def inliers(self) -> int:
        """How many of the matches agree."""
        return self.match.inliers if self.match else 0


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each stage of a search says of one image of the index; None for stages that were not reached.

    Attributes:
        name: of the image.
        verdict: where the pair was lost, or how it was proven, in one sentence.
        lost: the stage at which it was lost, or None.
        options: what would have let it pass; options of Python were tried.
        query: the picture that was looked up; without features, where they are too few to prove anything.
        image: the one in the index.
        words: visual words they have in common.
        votes: the search for candidates.
        agreement: the verification.
        not_at_hand: whether its pixels were to be compared, but no file of it is at hand as it was added.
        files: both, as they can be read; None: the one in the index is not at hand.
        decoding: what decoding one of them may cost.
    """

    name: str
    verdict: str
    lost: Stage | None
    query: Seen
    options: tuple[str, ...] = ()
    image: Seen | None = None
    words: SharedWords | None = None
    votes: Votes | None = None
    agreement: Verified | None = None
    not_at_hand: bool = False
    files: tuple[ImageSource, ImageSource | None] = field(repr=False, kw_only=True)
    decoding: DecodingOptions = field(default=USUAL, repr=False, kw_only=True)

    def __repr__(self) -> str:
        return f"Explanation({self.name!r}: {self.verdict})"

    def _repr_png_(self) -> bytes | None:
        return png_of(self.draw)

    @property
    def proven(self) -> bool:
        """Whether ``query`` gives the image for the query."""
        return self.lost is None

    def draw(self) -> NDArray[np.uint8]:
        """Draw both side by side with regions, inliers, and matches that do not agree: (H, W, 3) uint8 RGB.

        Raises:
            ImageError: one of them cannot be read.
        """
        if self.agreement is None:
            return draw_proof(*self.files, None, decoding=self.decoding)
        match = self.agreement.match
        return draw_proof(*self.files, match.proof if match else None, self.agreement.dropped, self.decoding)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``featmatch explain --json`` prints."""
        votes, agreement = self.votes, self.agreement
        match = agreement.match if agreement else None
        return {
            "name": self.name,
            "proven": self.proven,
            "lost": self.lost,
            "verdict": self.verdict,
            "options": list(self.options),
            "query_picture": dataclasses.asdict(self.query),
            "image_picture": self.image and dataclasses.asdict(self.image),
            "words": self.words and dataclasses.asdict(self.words),
            "votes": votes
            and {**dataclasses.asdict(votes), "variant": votes.variant.name.lower(), "votes": round(votes.votes, 4)},
            "matches": agreement.matches if agreement else None,
            "inliers": agreement.inliers if agreement else None,
            "place": agreement.place if agreement else None,
            "form": str(match.proof.form) if match and match.proof.form else None,
            "evidence": match and match.proof.evidence.to_dict(),
            "match": match and match.to_dict(),
        }


def sentence(told: Explanation, lost: Stage | None) -> str:
    """One sentence: where the pair was lost, or how it was proven."""
    words, votes, agreement = told.words, told.votes, told.agreement
    match = agreement.match if agreement else None
    if match is None:
        evidence = "no three matches agree"
    else:
        alike = (
            "alike as a whole" if isinstance(match.proof.evidence, WholeEvidence) else f"{match.inliers} features agree"
        )
        evidence = f"{alike}, probability {match.probability:.4f}"
    if lost is None and match is not None and agreement is not None:
        how = "accepted by a verdict" if match.verdict else "proven"
        form = f", in the query {match.proof.form}" if match.proof.form else ""
        return f"{how}: {match.relation}; {evidence}{form}; answer {agreement.place} to the query"
    if words is not None and lost in ("words", "votes"):
        why = ", but no two features with them are alike" if words.common else ""
        if not (told.query.features and told.image and told.image.features):
            why = ", since there are too few features, and not alike as a whole"
        return f"lost among the {lost}: {words.common} words in common{why}"
    if lost == "verdict":
        return f"rejected by a verdict; the evidence itself: {evidence}"
    if votes is not None and lost == "shortlist":
        rank = votes.rank or f"beyond {RANKED}"
        return f"lost before verification: rank {rank} by votes, the best {votes.shortlist} go on; alone: {evidence}"
    if match is None:
        count = agreement.matches if agreement else 0
        return f"lost in geometry: no three of the matches ({count}) agree on one place"
    return f"not proven: probability {match.probability:.4f}, below {PROVEN}; {_doubt(match)}"


def _doubt(match: Match) -> str:
    if isinstance(match.proof.evidence, WholeEvidence):
        return "not alike enough as a whole"
    evidence = match.proof.evidence
    if isinstance(evidence, FeatureEvidence) and evidence.counted < evidence.geometry:
        return f"{match.inliers} features agree, but other images share the same part"
    return f"{match.inliers} features agree, too few, or too unevenly, to be sure"
