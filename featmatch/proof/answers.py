"""What a search or a verification says: matches, relations, regions, and proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import Status
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import Fit
from featmatch.geometry.maps import Matrix, project, turn_at
from featmatch.geometry.matches import TentativeMatches
from featmatch.geometry.regions import evenness, polygon_area, shared_region
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.proof.probability import Evidence, FeatureEvidence, probability_of

if TYPE_CHECKING:
    from featmatch.features.extraction import Features
    from featmatch.images.pixels import ImageSource

Kind = Literal["copy", "crop", "contains", "overlap", "whole picture"]
Verdict = Literal["accepted", "rejected"]

# A claim is made from this probability on.
PROVEN = 0.8
_WHOLE = 0.9  # a picture counts as wholly covered from this share of its area on


@dataclass(frozen=True)
class Relation:
    """What was done to the reference to get the query.

    Attributes:
        kind: "copy" (each covers the other), "crop" (the query is a part of the reference), "contains" (the reference
            is a part of the query), "overlap" (they share a part), or "whole picture" (they look the same as a whole;
            they have too few features to say more).
        rotation_deg: by which the reference was turned, counter-clockwise as seen, in (-180, 180].
        scale: px of the query for each px of the reference.
        mirrored: whether it was mirrored left to right (after the turn).
        negative: whether light and dark were swapped.
    """

    kind: Kind
    rotation_deg: float
    scale: float
    mirrored: bool
    negative: bool

    def __str__(self) -> str:
        words = {"crop": "crop of", "overlap": "overlaps"}
        said = [words.get(self.kind, self.kind)]
        if abs(self.rotation_deg) >= 0.5:
            said.append(f"rotated {self.rotation_deg:.0f}°")
        if self.mirrored:
            said.append("mirrored")
        if self.negative:
            said.append("negative")
        if abs(self.scale - 1) >= 0.02:
            said.append(f"scaled {self.scale:.2g}")
        return ", ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """The relation object of the JSON output."""
        return {
            "kind": self.kind,
            "rotation_deg": round(self.rotation_deg, 2),
            "scale": round(self.scale, 4),
            "mirrored": self.mirrored,
            "negative": self.negative,
        }


@dataclass(frozen=True, eq=False)
class Match:
    """One reference image that the query matches, with the proof.

    Attributes:
        id: the image's number in the index; None from ``verify``.
        name: the image's name in the index, or what ``verify`` was given.
        probability: that one is a copy of the other, in whole or in part; 0 to 1.
        score: all evidence in one number, log-odds; orders matches, across queries too.
        evidence: what the score is made of.
        inliers: feature pairs that agree with the homography.
        relation: what was done to the reference to get the query.
        homography: (3, 3) float64, maps query px to reference px, of the files as displayed.
        query_region: (M, 2) float64, the polygon of the query that lies in the reference, px.
        reference_region: (M, 2) float64, the same polygon in the reference, px.
        query_overlap: share of the query's area within its region; 0 to 1.
        reference_overlap: share of the reference's area within its region; 0 to 1.
        reference_size: width and height of the reference, px.
        query_points: (N, 2) float64, the inliers in the query, px.
        reference_points: (N, 2) float64, the same inliers in the reference, px.
        verdict: what the user said of the pair, if anything; goes before the evidence.
        damaged: the reference's file is cut short. False where it was not looked at: only of the best matches is it.
    """

    id: int | None
    name: str
    probability: float
    score: float
    evidence: Evidence
    inliers: int
    relation: Relation
    homography: Matrix = field(repr=False)
    query_region: NDArray[np.float64] = field(repr=False)
    reference_region: NDArray[np.float64] = field(repr=False)
    query_overlap: float
    reference_overlap: float
    reference_size: tuple[int, int]
    query_points: NDArray[np.float64] = field(repr=False)
    reference_points: NDArray[np.float64] = field(repr=False)
    verdict: Verdict | None = None
    damaged: bool = False

    @property
    def proven(self) -> bool:
        """Whether the claim is made: the evidence carries it, or the user accepted it; never what was rejected."""
        return self.verdict == "accepted" or (self.verdict is None and self.probability >= PROVEN)

    def to_dict(self) -> dict[str, Any]:
        """The match object of the JSON output."""
        return {
            "id": self.id,
            "name": self.name,
            "probability": round(self.probability, 6),
            "score": round(self.score, 2),
            "inliers": self.inliers,
            "agreement": None if self.evidence.agreement is None else round(self.evidence.agreement, 4),
            "relation": self.relation.to_dict(),
            "homography": self.homography.tolist(),
            "query_region": np.round(self.query_region, 2).tolist(),
            "reference_region": np.round(self.reference_region, 2).tolist(),
            "query_overlap": round(self.query_overlap, 4),
            "reference_overlap": round(self.reference_overlap, 4),
            "verdict": self.verdict,
            "damaged": self.damaged,
        }


class Matches(list[Match]):
    """The matches of one query, best first, and what became of the query itself.

    A list: a part of it (``matches[:3]``), a copy, or it with others behind (``matches + others``) tells the same of
    the query. ``sorted`` makes a plain list of it, as of any.

    Attributes:
        status: "ok", or "too_little_detail" where neither features nor the whole picture can prove anything.
        damaged: the query's file is cut short; it was read as far as it goes.
        times: milliseconds of "features" (decoding included), "words", "votes", "verification" and "pixels"; empty
            where the query ended before them.
        not_at_hand: names whose pixels were to be compared, but whose files are not at hand as they were added, best
            first; of answers that are not given, too: with their pixels they might be.
    """

    def __init__(
        self,
        matches: Iterable[Match] = (),
        status: Status = "ok",
        times: Mapping[str, float] | None = None,
        not_at_hand: Iterable[str] = (),
        damaged: bool = False,
    ) -> None:
        super().__init__(matches)
        self.status: Status = status
        self.damaged = damaged
        self.times = dict(times or {})
        self.not_at_hand = list(not_at_hand)

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Match: ...

    @overload
    def __getitem__(self, place: slice, /) -> Matches: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> Match | Matches:
        return self._of_the_same(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def __add__(self, others: list[Any], /) -> Matches:  # type: ignore[override]  # of matches only
        return self._of_the_same(super().__add__(others))

    def copy(self) -> Matches:
        """The same matches of the same query, in another list."""
        return self._of_the_same(self)

    def _of_the_same(self, matches: Iterable[Match]) -> Matches:
        """Matches of the same query: all that is told of it is told of these."""
        others = Matches(matches)
        vars(others).update(vars(self))
        return others


@dataclass(frozen=True, eq=False)
class Verification:
    """Whether one image is a copy of another, in whole or in part; true or false by itself.

    Attributes:
        verified: the answer.
        reason: in words.
        match: the best evidence found, or None.
        images: the two images as they were given.
        damaged: of each, whether its file is cut short; it was read as far as it goes.
        decoding: what decoding one of them may cost.
    """

    verified: bool
    reason: str
    match: Match | None
    images: tuple[ImageSource, ImageSource] = field(repr=False)
    damaged: tuple[bool, bool] = (False, False)
    decoding: DecodingOptions = field(default=USUAL, repr=False)

    def __bool__(self) -> bool:
        return self.verified

    @property
    def probability(self) -> float:
        """That one is a copy of the other; 0 to 1."""
        return self.match.probability if self.match else 0.0

    @property
    def homography(self) -> Matrix | None:
        """(3, 3) float64, maps px of the first image to px of the second; None if not verified."""
        return self.match.homography if self.match and self.verified else None

    @property
    def inliers(self) -> int:
        """Feature pairs that agree with the homography."""
        return self.match.inliers if self.match else 0

    def draw(self) -> NDArray[np.uint8]:
        """Both images side by side with regions and inliers: (H, W, 3) uint8 RGB."""
        from featmatch.proof.drawing import draw_match

        return draw_match(*self.images, self.match if self.verified else None, decoding=self.decoding)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``featmatch verify --json`` prints."""
        found = self.match.to_dict() if self.match else dict.fromkeys(_NOTHING)
        query_damaged, damaged = self.damaged
        said = {"verified": self.verified, "reason": self.reason, "query_damaged": query_damaged}
        return {**said, **found, "damaged": damaged}


_NOTHING = (
    "id", "name", "probability", "score", "inliers", "agreement", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "verdict",
)  # fmt: skip


def match_from(
    fit: Fit,
    matches: TentativeMatches,
    variant: Variant,
    query: Features,
    reference_size: tuple[int, int],
    *,
    image_id: int | None,
    name: str,
) -> Match:
    """Put the fit of one variant into the coordinates of the query as it is, and say what it means."""
    turned = fit.reference_from_query
    rotation, octaves = turn_at(turned, matches.query[fit.inliers].mean(axis=0))
    query_size = (query.width, query.height)
    query_points = matches.query[fit.inliers].copy()
    reference_from_query = turned
    if variant.mirrored:
        flip = np.array([[-1.0, 0, query_size[0] - 1], [0, 1, 0], [0, 0, 1]])
        reference_from_query = turned @ flip
        query_points[:, 0] = query_size[0] - 1 - query_points[:, 0]
    query_region = shared_region(reference_from_query, query_size, reference_size)
    reference_region = project(reference_from_query, query_region)
    query_overlap = min(polygon_area(query_region) / (query_size[0] * query_size[1]), 1.0)
    reference_overlap = min(polygon_area(reference_region) / (reference_size[0] * reference_size[1]), 1.0)
    relation = Relation(
        kind=_kind(query_overlap, reference_overlap),
        # y points down, so the growth of angles from query to reference is the turn of the reference as seen.
        rotation_deg=float(np.degrees(rotation)) if rotation > -np.pi else 180.0,
        scale=float(2.0**-octaves),
        mirrored=variant.mirrored,
        negative=variant.negative,
    )
    even = evenness(query_points, query.keypoints.astype(np.float64), query_region)
    evidence = FeatureEvidence(fit.score, fit.score, fit.clarity, even, query.detector)
    score = evidence.score()
    return Match(
        id=image_id,
        name=name,
        probability=probability_of(score),
        score=score,
        evidence=evidence,
        inliers=len(fit.inliers),
        relation=relation,
        homography=reference_from_query / reference_from_query[2, 2],
        query_region=query_region,
        reference_region=reference_region,
        query_overlap=query_overlap,
        reference_overlap=reference_overlap,
        reference_size=reference_size,
        query_points=query_points,
        reference_points=matches.reference[fit.inliers],
    )


def relation_of(
    reference_from_query: Matrix,
    query_size: tuple[int, int],
    reference_size: tuple[int, int],
    *,
    mirrored: bool,
    negative: bool,
) -> Relation:
    """The relation that a homography says, without the inliers that it came from.

    Args:
        reference_from_query: (3, 3), px to px; turns the orientation if ``mirrored``.
        query_size: width and height, px.
        reference_size: width and height, px.
        mirrored: whether the query is mirrored.
        negative: whether it is a negative.
    """
    region = shared_region(reference_from_query, query_size, reference_size)
    if len(region) < 3:
        region = np.array([[0.0, 0], [query_size[0] - 1, 0], [query_size[0] - 1, query_size[1] - 1]])
    middle, turned = region.mean(axis=0), reference_from_query
    if mirrored:
        flip = np.array([[-1.0, 0, query_size[0] - 1], [0, 1, 0], [0, 0, 1]])
        turned = turned @ flip
        middle[0] = query_size[0] - 1 - middle[0]
    rotation, octaves = turn_at(turned, middle)
    area, mapped = polygon_area(region), polygon_area(project(reference_from_query, region))
    return Relation(
        kind=_kind(area / (query_size[0] * query_size[1]), mapped / (reference_size[0] * reference_size[1])),
        rotation_deg=float(np.degrees(rotation)) if rotation > -np.pi else 180.0,
        scale=float(2.0**-octaves),
        mirrored=mirrored,
        negative=negative,
    )


def _kind(query_overlap: float, reference_overlap: float) -> Kind:
    if query_overlap >= _WHOLE:
        return "copy" if reference_overlap >= _WHOLE else "crop"
    return "contains" if reference_overlap >= _WHOLE else "overlap"
