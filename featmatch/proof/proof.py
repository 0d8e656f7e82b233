"""The proof that one picture is a copy of another, in whole or in part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.forms import Form, SeenForm
from featmatch.features.symmetry import Variant
from featmatch.geometry.exact import inverse, log2, product
from featmatch.geometry.homography import Fit
from featmatch.geometry.maps import Matrix, mirror_matrix, project
from featmatch.geometry.matches import TentativeMatches
from featmatch.geometry.regions import evenness
from featmatch.images.pixels import GreyImage
from featmatch.proof.agreement import pixel_agreement
from featmatch.proof.difference import Difference, Differences, difference
from featmatch.proof.parallax import depth_steps
from featmatch.proof.probability import FeatureEvidence, ToldEvidence, probability_of
from featmatch.proof.relation import RELATED, Kind, Relation, relation_at, shared_part
from featmatch.proof.whole_evidence import WholeEvidence

# Pictures with fewer features than these cannot be proven by them.
FEWEST_FEATURES = 8

_LOG10_OF_2 = 0.3010299956639812

Evidence = FeatureEvidence | WholeEvidence | ToldEvidence

# Fewer cells than these, agreeing or contradicting, say nothing of the content.
_FEWEST_CELLS = 8

# Root of the area at which letters of a page are told apart.
_TELLING_PX = 500

# Cells that contradict, from which one looks for depth: what is near is in another place, and so is what it hides.
_MAY_BE_MOVED = 8

# What a relation is when the two pictures change places.
_TURNED_ROUND: dict[Kind, Kind] = {"crop": "contains", "contains": "crop"}

# A claim is made from this probability on.
PROVEN = 0.8


@dataclass(frozen=True, eq=False)
class Proof:
    """What speaks for one picture, the query, being a copy of another, the reference.

    Attributes:
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
        differences: where the pictures differ; None: that was not looked at.
        difference: what it was told by, while images of one query are compared; None else.
        form: of the query, in which the features were found; None: in the query as it is.
    """

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
    differences: Differences | None = field(default=None, repr=False)
    difference: Difference | None = field(default=None, repr=False)
    form: Form | None = None

    @cached_property
    def score(self) -> float:
        """All evidence in one number, log-odds; orders matches, across queries too."""
        return self.evidence.score()

    @property
    def probability(self) -> float:
        """That one is a copy of the other, in whole or in part; 0 to 1."""
        evidence = self.evidence
        return evidence.probability if isinstance(evidence, ToldEvidence) else probability_of(self.score)

    @property
    def proven(self) -> bool:
        """Whether the evidence carries the claim."""
        return self.probability >= PROVEN

    @property
    def could_be_proven(self) -> bool:
        """Whether the evidence would carry the claim if all pixels agreed."""
        best = dataclasses.replace(self.evidence, agreement=1.0, detail=1.0)
        if not isinstance(best, ToldEvidence):
            best = dataclasses.replace(best, contradiction=0.0, agreeing=256)
        if isinstance(best, FeatureEvidence):
            best = dataclasses.replace(best, enclosed=0.0, exchanged=0, stark=0.0, redrawn=0.0, depth_steps=0)
        enough = isinstance(best, WholeEvidence) or best.geometry > 0
        return enough and probability_of(best.score()) >= PROVEN

    @property
    def related(self) -> bool:
        """Whether the evidence carries that both show one design, or one scene: no claim of a copy."""
        evidence = self.evidence
        if not isinstance(evidence, FeatureEvidence) or self.relation.kind not in RELATED:
            return False
        return _shares(evidence) and not self.proven

    def with_pixels(self, query: GreyImage, reference: GreyImage) -> Proof:
        """The same proof with the evidence of pixels; as it is, where the pictures share too little to compare.

        Args:
            query: the picture that the homography starts from, at any size.
            reference: the picture that it leads to, at any size.
        """
        pair = query.pixels, reference.pixels
        way = product(inverse(reference.original_from_working), self.homography, query.original_from_working)
        found = pixel_agreement(*pair, way, negative=self.relation.negative)
        if found is None:
            return self
        evidence = dataclasses.replace(self.evidence, agreement=found.correlation, detail=found.detail)
        if isinstance(evidence, ToldEvidence):
            return dataclasses.replace(self, evidence=evidence)
        seen = difference(*pair, way, negative=self.relation.negative)
        if seen is not None and seen.agreeing + seen.contradicting < _FEWEST_CELLS:
            seen = None
        is_coarse = seen is not None and reference.is_stored and seen.seen.size < _TELLING_PX**2
        if isinstance(evidence, WholeEvidence):
            if seen is not None:
                agreeing = seen.agreeing if evidence.likeness.is_one_layout else seen.agreeing_throughout
                agreeing = 0 if is_coarse or seen.is_small else agreeing
                evidence = dataclasses.replace(evidence, contradiction=seen.unlike_share, agreeing=agreeing)
            return dataclasses.replace(self, evidence=evidence)
        differences = None
        if seen is not None:
            evidence = dataclasses.replace(
                evidence, contradiction=seen.share, enclosed=seen.enclosed_share, agreeing=seen.agreeing,
                exchanged=seen.exchanged, stark=seen.stark_share, redrawn=seen.redrawn_share, is_coarse=is_coarse,
                is_small=seen.is_small,
            )  # fmt: skip
            if seen.contradicting >= _MAY_BE_MOVED and _shares(evidence):
                steps = depth_steps(*pair, way, negative=self.relation.negative)
                evidence = dataclasses.replace(evidence, depth_steps=steps)
            if seen.is_small:
                seen = None  # blurred cells tell neither which places differ nor which of two images explains more
            else:
                seen = seen._replace(query_from_cells=product(query.original_from_working, seen.query_from_cells))
                differences = seen.differences(self.homography)
        if self.relation.kind in RELATED and evidence.own >= 0:
            evidence = self.evidence  # laid over one another the other way round, they were seen to be no copies
        return dataclasses.replace(self, evidence=evidence, differences=differences, difference=seen).with_kind()

    def by_descriptors(self) -> Proof:
        """The same proof, of features that were matched by descriptors, each with one other."""
        assert isinstance(self.evidence, FeatureEvidence)
        return dataclasses.replace(self, evidence=dataclasses.replace(self.evidence, by_descriptors=True))

    def as_sister(self) -> Proof:
        """The same proof, of an image whose content another explains better."""
        assert isinstance(self.evidence, FeatureEvidence)
        return dataclasses.replace(self, evidence=dataclasses.replace(self.evidence, is_sister=True)).with_kind()

    def with_kind(self) -> Proof:
        """The same proof, with the relation "same scene" for another photo, "same template" for another content."""
        evidence = self.evidence
        if not isinstance(evidence, FeatureEvidence) or evidence.own >= 0:
            return self
        # What is filled in at another place looks moved; but where others show that a design recurs, it is one.
        is_scene = evidence.is_another_view and not evidence.is_sister
        kind: Kind = "same scene" if is_scene else "same template"
        return dataclasses.replace(self, relation=dataclasses.replace(self.relation, kind=kind))

    def carried_over(self, seen: SeenForm, query_size: tuple[int, int], looks: int) -> Proof:
        """The same proof for the picture that was looked at in another form.

        Args:
            seen: the form, which is the query so far.
            query_size: width and height of the picture itself, px.
            looks: at how many forms of it one looked, itself among them. Each might have agreed by chance.
        """
        assert isinstance(self.evidence, FeatureEvidence)
        chances = float(log2(looks)) * _LOG10_OF_2
        geometry, distinct = self.evidence.geometry - chances, self.evidence.distinct - chances
        evidence = dataclasses.replace(self.evidence, geometry=geometry, distinct=distinct, in_form=True)
        way = product(self.homography, inverse(seen.original_from_form))
        way = way / way[2, 2]
        points = project(seen.original_from_form, self.query_points)
        turned, point = way, points.mean(axis=0)
        mirrored, negative = self.relation.mirrored, self.relation.negative
        if mirrored:
            turned = product(way, mirror_matrix(query_size[0]))
            point = np.array([query_size[0] - 1 - point[0], point[1]])
        shared = shared_part(way, query_size, self.reference_size)
        return dataclasses.replace(
            self, evidence=evidence, form=seen.form, homography=way, query_points=points,
            relation=relation_at(shared.kind, turned, point, mirrored=mirrored, negative=negative),
            query_region=shared.query_region, reference_region=shared.reference_region,
            query_overlap=shared.query_overlap, reference_overlap=shared.reference_overlap,
        )  # fmt: skip

    def turned_round(self, query_size: tuple[int, int]) -> Proof:
        """The same proof, with the two pictures in one another's place.

        Args:
            query_size: width and height of what was the query, px.
        """
        back, width = inverse(self.homography), self.reference_size[0]
        back = back / back[2, 2]
        turned, points = back, self.reference_points if len(self.reference_points) else self.reference_region
        point = points.mean(axis=0)
        if self.relation.mirrored:
            turned, point = product(back, mirror_matrix(width)), np.array([width - 1 - point[0], point[1]])
        kind = _TURNED_ROUND.get(self.relation.kind, self.relation.kind)
        relation = relation_at(kind, turned, point, mirrored=self.relation.mirrored, negative=self.relation.negative)
        differences = self.differences
        if differences is not None:
            differences = Differences(differences.share, differences.reference, differences.query)
        return dataclasses.replace(
            self, relation=relation, homography=back, differences=differences, difference=None,
            query_region=self.reference_region, reference_region=self.query_region,
            query_overlap=self.reference_overlap, reference_overlap=self.query_overlap,
            query_points=self.reference_points, reference_points=self.query_points, reference_size=query_size,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """What the JSON output says of any proof."""
        return {
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
            **(self.differences.to_dict() if self.differences else {"differences": None, "differing_share": None}),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Proof:
        """The proof of a match object: with all that the JSON output tells, and so without points.

        Args:
            told: as ``Match.to_dict`` makes it; what else is in it is passed over.

        Raises:
            KeyError: something is missing.
            ValueError: something is of another kind.
            TypeError: likewise.
        """
        nowhere, agreement = np.empty((0, 2)), told["agreement"]
        return cls(
            evidence=ToldEvidence(
                float(told["score"]), float(told["probability"]), None if agreement is None else float(agreement)
            ),
            inliers=int(told["inliers"]),
            relation=Relation.from_dict(told["relation"]),
            homography=np.array(told["homography"], np.float64).reshape(3, 3),
            query_region=np.array(told["query_region"], np.float64).reshape(-1, 2),
            reference_region=np.array(told["reference_region"], np.float64).reshape(-1, 2),
            query_overlap=float(told["query_overlap"]),
            reference_overlap=float(told["reference_overlap"]),
            reference_size=(int(told["width"]), int(told["height"])),
            query_points=nowhere,
            reference_points=nowhere,
            differences=Differences.from_dict(told),
        )


def _shares(evidence: FeatureEvidence) -> bool:
    """Whether the evidence carries that the two share what they share, be it a design or a scene only."""
    return probability_of(evidence.design_score) >= PROVEN


def proof_of_fit(
    fit: Fit, matches: TentativeMatches, variant: Variant, query: Features, reference_size: tuple[int, int]
) -> Proof:
    """Put the fit of one variant into the coordinates of the query as it is, and say what it means.

    Args:
        fit: the map from the variant to the reference, and the inliers.
        matches: that it was fitted to.
        variant: how the query was looked at.
        query: features of the query as it is.
        reference_size: width and height, px.
    """
    query_size = (query.width, query.height)
    reference_from_query, query_points = fit.reference_from_query, matches.query[fit.inliers].copy()
    if variant.mirrored:
        reference_from_query = product(reference_from_query, mirror_matrix(query.width))
        query_points[:, 0] = query.width - 1 - query_points[:, 0]
    shared = shared_part(reference_from_query, query_size, reference_size)
    even = evenness(query_points, query.keypoints.astype(np.float64), shared.query_region)
    return Proof(
        evidence=FeatureEvidence(fit.score, fit.score, fit.clarity, even, query.detector),
        inliers=len(fit.inliers),
        relation=relation_at(
            shared.kind,
            fit.reference_from_query,
            matches.query[fit.inliers].mean(axis=0),
            mirrored=variant.mirrored,
            negative=variant.negative,
        ),
        homography=reference_from_query / reference_from_query[2, 2],
        query_region=shared.query_region,
        reference_region=shared.reference_region,
        query_overlap=shared.query_overlap,
        reference_overlap=shared.reference_overlap,
        reference_size=reference_size,
        query_points=query_points,
        reference_points=matches.reference[fit.inliers],
    )
