"""Candidates of a search and what several of them share; pixels of the best."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.symmetry import Variant
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.images.pixels import GreyImage
from featmatch.search.matches import FoundImage
from featmatch.search.verification import compare_pixels, verify_candidates
from featmatch.search.voting import Candidate

SIZE = (640, 480)


def features_at(points: NDArray[np.float64]) -> Features:
    none = np.zeros(len(points), np.float32)
    return Features("sift", *SIZE, points.astype(np.float32), none, none, np.zeros((len(points), 128), np.uint8))


def candidate(number: int, points: NDArray[np.float64], rows: NDArray[np.int64]) -> Candidate:
    """An image that has these features of the query in the same places."""
    none = np.zeros(len(rows))
    matches = TentativeMatches(points[rows], points[rows] + 0.1, none, none, none, rows, np.arange(len(rows)))
    return Candidate(number, *SIZE, Variant.PLAIN, 1.0, matches)


@pytest.fixture(name="points")
def _points() -> NDArray[np.float64]:
    """300 features all over a picture, and 60 in a caption at its foot."""
    random = np.random.default_rng(0)
    return np.concatenate([random.uniform(0, [639, 380], (300, 2)), random.uniform([0, 400], [639, 479], (60, 2))])


def verified(points: NDArray[np.float64], rows: list[NDArray[np.int64]]) -> dict[int, FoundImage]:
    candidates = [candidate(number, points, one) for number, one in enumerate(rows)]
    found = verify_candidates(candidates, features_at(points), GeometryOptions())
    return {one.id: one for one in found}


def test_a_caption_that_several_images_share_is_no_proof(points: NDArray[np.float64]) -> None:
    caption, photo = np.arange(300, 360), np.arange(0, 360, 3)
    found = verified(points, [photo, caption, caption, caption])
    assert found[0].proof.evidence.distinct == found[0].proof.evidence.geometry  # lies all over: it is the photo
    for number in (1, 2, 3):
        assert found[number].proof.evidence.geometry > 50
        assert found[number].proof.evidence.distinct < 5
        assert not found[number].proof.proven
    assert found[0].proof.proven


def test_what_one_image_alone_shares_is_counted_in_full(points: NDArray[np.float64]) -> None:
    (match,) = verified(points, [np.arange(300, 360)]).values()
    assert match.proof.evidence.distinct == match.proof.evidence.geometry


def test_several_whole_copies_do_not_speak_against_one_another(points: NDArray[np.float64]) -> None:
    found = verified(points, [np.arange(start, 360, 3) for start in range(3)])
    proofs = [one.proof for one in found.values()]
    assert len(proofs) == 3
    assert all(proof.proven and proof.evidence.distinct == proof.evidence.geometry for proof in proofs)


def test_pixels_are_compared_where_the_picture_is_at_hand(points: NDArray[np.float64]) -> None:
    random = np.random.default_rng(1)
    picture, other = (random.integers(0, 255, (480, 640), dtype=np.uint8) for _ in range(2))
    found = list(verified(points, [np.arange(0, 360, 3)] * 3).values())

    def picture_of(image: int) -> GreyImage | None:
        pixels = {0: picture, 1: other}.get(image)
        return None if pixels is None else GreyImage(pixels, *SIZE, 1.0, 1.0)

    compared = compare_pixels(found, GreyImage(picture, *SIZE, 1.0, 1.0), picture_of)
    assert compared[0].id == 0
    by_id = {match.id: match.proof.evidence.agreement for match in compared}
    assert by_id[0] == pytest.approx(1, abs=0.01)
    assert by_id[1] is not None
    assert by_id[1] < 0.3
    assert by_id[2] is None
