"""Images that look the same as a whole: the answer where features are too few to give one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import (
    FEW_FEATURES,
    FORMS,
    LEAST_DETAIL,
    LookArray,
    WholePicture,
    colour_likeness,
    likeness,
    original_from_undone,
)
from featmatch.geometry.maps import project
from featmatch.geometry.regions import shared_region
from featmatch.images.pixels import GreyImage
from featmatch.proof.answers import Match, Relation
from featmatch.proof.probability import Evidence, Likeness, probability_of, score_of
from featmatch.store.segment import Segment

_HASH_LIMIT = 20  # of 64 bits: perceptual hashes of unlike pictures differ in 32, give or take 4
_SHORTLIST = 200  # pairs of an image and a form that are compared closely
_MOST = 4  # matches; each costs a look at a file
_NOTHING = Likeness(0.0, 0.0, 0.0)
_STRETCH = 0.1  # by which the shapes of two frames may differ, as the logarithm of a ratio


def whole_candidates(
    query: WholePicture,
    grey: GreyImage,
    features: int,
    segments: Sequence[Segment],
    removed: frozenset[int],
    among: Sequence[int] | None = None,
) -> list[Match]:
    """The images that are the most like a query as a whole, each once and without its name, best first.

    Args:
        query: as a whole.
        grey: the same picture.
        features: how many the query has.
        segments: where to look.
        removed: numbers of images that are not to be found.
        among: numbers of the only images that are to be found; None: all.
    """
    forms, numbers, rows = _nearest(query, grey.width / grey.height, features, segments, removed, among)
    if len(rows) == 0:
        return []
    ids = [int(segments[number].ids[row]) for number, row in zip(numbers, rows, strict=True)]
    others = np.array([segments[number].looks[row] for number, row in zip(numbers, rows, strict=True)])
    evidence = evidence_of_looks(query.looks[forms], others)
    scores = [score_of(one, "") for one in evidence]
    matches: dict[int, Match] = {}
    for place in sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place])):
        if len(matches) < _MOST and ids[place] not in matches and _detail(evidence[place]) >= LEAST_DETAIL:
            segment, row = segments[numbers[place]], rows[place]
            size = int(segment.widths[row]), int(segment.heights[row])
            matches[ids[place]] = _match(evidence[place], int(forms[place]), grey, size, ids[place], "")
    return list(matches.values())


def _nearest(
    query: WholePicture,
    shape: float,
    features: int,
    segments: Sequence[Segment],
    removed: frozenset[int],
    among: Sequence[int] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Form, segment and row of the images whose hashes are the nearest and whose shapes fit, nearest first."""
    own = np.log(shape) * np.where(np.arange(FORMS) % 2, -1, 1)
    gone = np.fromiter(removed, np.int64)
    parts = []
    for number, segment in enumerate(segments):
        hashes = segment.phashes if features < FEW_FEATURES else segment.phashes[segment.plain]
        for form, phash in enumerate(query.phashes):
            distances = np.bitwise_count(phash ^ hashes)
            places = np.flatnonzero(distances <= _HASH_LIMIT)
            rows = places if features < FEW_FEATURES else segment.plain[places]
            ids = segment.ids[rows]
            fits = np.abs(np.log(segment.widths[rows] / segment.heights[rows]) - own[form]) <= _STRETCH
            fits &= ~np.isin(ids, gone)
            if among is not None:
                fits &= np.isin(ids, np.asarray(among, np.int64))
            constant = np.full((2, len(rows)), [[form], [number]])
            parts.append(np.stack([distances[places], ids, *constant, rows])[:, fits])
    distances, ids, forms, numbers, rows = np.concatenate(parts or [np.empty((5, 0), np.int64)], axis=1)
    order = np.lexsort((forms, ids, distances))[:_SHORTLIST]
    return forms[order], numbers[order], rows[order]


def _detail(evidence: Evidence) -> float:
    return (evidence.whole or _NOTHING).layout


def whole_match(query: WholePicture, grey: GreyImage, other: WholePicture, other_grey: GreyImage, name: str) -> Match:
    """How alike two pictures are as a whole, in the form in which they are the most alike."""
    evidence = evidence_of_looks(query.looks, np.repeat(other.looks[:1], FORMS))
    size = other_grey.width, other_grey.height
    matches = [_match(one, form, grey, size, None, name) for form, one in enumerate(evidence)]
    return max(matches, key=lambda match: match.score)


def evidence_of_looks(looks: LookArray, others: LookArray) -> list[Evidence]:
    """How alike (N,) pairs of looks are."""
    layout = likeness(looks, others)
    most = np.minimum(likeness(looks, looks), likeness(others, others))
    table: NDArray[np.float64] = np.stack(
        [layout, np.minimum(layout / np.maximum(most, 1e-9), 1.0), colour_likeness(looks, others)], axis=1
    )
    return [Evidence(0.0, 0.0, 0.0, 0.0, whole=Likeness(*row)) for row in table.tolist()]


def _match(
    evidence: Evidence, form: int, grey: GreyImage, size: tuple[int, int], image_id: int | None, name: str
) -> Match:
    """A match in which the frames of both pictures lie on one another."""
    undone_from_query, (width, height) = original_from_undone(form, grey.width, grey.height)
    x, y = size[0] / width, size[1] / height
    homography = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]) @ undone_from_query
    region = shared_region(homography, (grey.width, grey.height), size)
    score = score_of(evidence, "")
    return Match(
        id=image_id,
        name=name,
        probability=probability_of(score),
        score=score,
        evidence=evidence,
        inliers=0,
        relation=Relation(
            kind="whole picture",
            rotation_deg=(0.0, 90.0, 180.0, -90.0)[form % 4],
            scale=(x * y) ** -0.5,
            mirrored=form >= 4,
            negative=False,
        ),
        homography=homography,
        query_region=region,
        reference_region=project(homography, region),
        query_overlap=1.0,
        reference_overlap=1.0,
        reference_size=size,
        query_points=np.empty((0, 2)),
        reference_points=np.empty((0, 2)),
    )


def preferred(by_features: Iterable[Match], as_whole: Iterable[Match]) -> list[Match]:
    """Each image once: by its features where they prove it, else by what is surer."""
    best = {match.id: match for match in by_features}
    for match in as_whole:
        other = best.get(match.id)
        if other is None or (not other.proven and other.score < match.score):
            best[match.id] = match
    return sorted(best.values(), key=lambda match: -match.score)
