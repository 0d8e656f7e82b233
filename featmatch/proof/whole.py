"""Two pictures that look the same as a whole: the proof where features are too few to give one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import FORMS, LookArray, WholePicture, colour_likeness, likeness, original_from_undone
from featmatch.features.sheets import Sheet
from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import mirror_matrix, project, scaling_matrix
from featmatch.geometry.regions import shared_region
from featmatch.images.pixels import GreyImage
from featmatch.proof.proof import Proof
from featmatch.proof.relation import Relation, relation_at, shared_part
from featmatch.proof.whole_evidence import Likeness, WholeEvidence


def whole_proof(query: WholePicture, grey: GreyImage, other: WholePicture, other_grey: GreyImage) -> Proof:
    """How alike two pictures are as a whole, in the form in which they are the most alike.

    Args:
        query: the one as a whole.
        grey: the same picture.
        other: the other as a whole.
        other_grey: the same picture.
    """
    evidence = evidence_of_looks(query.looks, np.repeat(other.looks[:1], FORMS))
    sizes = (grey.width, grey.height), (other_grey.width, other_grey.height)
    return max((proof_of_look(one, form, *sizes) for form, one in enumerate(evidence)), key=lambda proof: proof.score)


def evidence_of_looks(looks: LookArray, others: LookArray) -> list[WholeEvidence]:
    """How alike (N,) pairs of looks are."""
    layout = likeness(looks, others)
    most = np.minimum(likeness(looks, looks), likeness(others, others))
    table: NDArray[np.float64] = np.stack(
        [layout, np.minimum(layout / np.maximum(most, 1e-9), 1.0), colour_likeness(looks, others)], axis=1
    )
    return [WholeEvidence(Likeness(*row)) for row in table.tolist()]


def proof_of_look(
    evidence: WholeEvidence, form: int, query_size: tuple[int, int], reference_size: tuple[int, int]
) -> Proof:
    """A proof in which the frames of both pictures lie on one another.

    Args:
        evidence: how alike they look.
        form: in which of its forms the query looks so.
        query_size: width and height, px.
        reference_size: width and height, px.
    """
    undone_from_query, (width, height) = original_from_undone(form, *query_size)
    x, y = reference_size[0] / width, reference_size[1] / height
    homography = product(scaling_matrix(x, y), undone_from_query)
    region = shared_region(homography, query_size, reference_size)
    return Proof(
        evidence=evidence,
        inliers=0,
        relation=Relation(
            kind="whole picture",
            rotation_deg=(0.0, 90.0, 180.0, -90.0)[form % 4],
            scale=1 / math.sqrt(x * y),
            mirrored=form >= 4,
            negative=False,
        ),
        homography=homography,
        query_region=region,
        reference_region=project(homography, region),
        query_overlap=1.0,
        reference_overlap=1.0,
        reference_size=reference_size,
        query_points=np.empty((0, 2)),
        reference_points=np.empty((0, 2)),
    )


def on_picture(proof: Proof, sheet: Sheet, query_size: tuple[int, int]) -> Proof:
    """A proof of a sheet within a picture, as one of the picture.

    Args:
        proof: that the sheet looks the same as the reference.
        sheet: where it lies in the picture.
        query_size: width and height of the picture, px.
    """
    way = product(proof.homography, inverse(sheet.original_from_sheet))
    way = way / way[2, 2]
    shared = shared_part(way, query_size, proof.reference_size)
    turned, point, mirrored = way, shared.query_region.mean(axis=0), proof.relation.mirrored
    if mirrored:
        turned, point = product(way, mirror_matrix(query_size[0])), np.array([query_size[0] - 1 - point[0], point[1]])
    return dataclasses.replace(
        proof, homography=way,
        relation=relation_at(shared.kind, turned, point, mirrored=mirrored, negative=proof.relation.negative),
        query_region=shared.query_region, reference_region=shared.reference_region,
        query_overlap=shared.query_overlap, reference_overlap=shared.reference_overlap,
    )  # fmt: skip
