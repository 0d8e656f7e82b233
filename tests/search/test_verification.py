"""Candidates of a search and what several of them share; pixels of the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.extraction import Features
from featmatch.features.forms import Form, seen_in
from featmatch.features.symmetry import Variant
from featmatch.geometry.maps import project
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.search.candidates import Candidate
from featmatch.search.matches import FoundImage
from featmatch.search.verification import Matched, compare_pixels, fit_candidates, judge, matched_in_part
from tests.proof.proofs import made_proof
from tests.proof.test_difference import ANNA, PAUL, form
from tests.search.test_sisters import EVA, UWE, grey

SIZE = (640, 480)
OPTIONS = GeometryOptions()


def features_at(points: NDArray[np.float64]) -> Features:
    none = np.zeros(len(points), np.float32)
    return Features("sift", *SIZE, points.astype(np.float32), none, none, np.zeros((len(points), 128), np.uint8))


def candidate(number: int, points: NDArray[np.float64], rows: NDArray[np.int64]) -> Candidate:
    """An image that has these features of the query in the same places."""
    none = np.zeros(len(rows))
    matches = TentativeMatches(points[rows], points[rows] + 0.1, none, none, none, rows, np.arange(len(rows)))
    return Candidate(number, *SIZE, Variant.PLAIN, 1.0, matches)


def overlapping(number: int, points: NDArray[np.float64], rows: NDArray[np.int64]) -> Candidate:
    """An image whose right half is the query's left half."""
    none = np.zeros(len(rows))
    matches = TentativeMatches(points[rows], points[rows] + [320, 0], none, none, none, rows, np.arange(len(rows)))
    return Candidate(number, *SIZE, Variant.PLAIN, 1.0, matches)


def verify_candidates(candidates: Sequence[Candidate], query: Features, options: GeometryOptions) -> list[FoundImage]:
    """As a search goes through them that has one index."""
    return judge(fit_candidates(enumerate(candidates), query, options), SIZE, options)


def distinct(found: FoundImage) -> float:
    assert isinstance(found.proof.evidence, FeatureEvidence)
    return found.proof.evidence.distinct


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


def test_what_another_look_found_is_shared_as_well(points: NDArray[np.float64]) -> None:
    caption = np.arange(300, 360)
    fitted = fit_candidates([(0, candidate(7, points, caption))], features_at(points), OPTIONS)
    found = [judge(fitted, SIZE, OPTIONS, [Matched(number, points[caption])]) for number in (7, 8)]
    (itself,), (another,) = found
    assert distinct(itself) == itself.proof.evidence.geometry > 50  # one image in two looks is one
    assert distinct(another) < 5


def test_places_of_the_query_are_found_again_in_its_forms() -> None:
    (seen,) = seen_in(grey(form("")), [Form(stretch=2.0, area_px=100_000)])
    places = np.array([[3.0, 4.0], [50.0, 20.0]])
    there = Matched(1, places).seen_in(seen)
    assert there.image == 1
    assert project(seen.original_from_form, there.points) == pytest.approx(places)
    assert np.ptp(there.points[:, 0]) / np.ptp(there.points[:, 1]) > 1.9 * 47 / 16  # stretched across


def test_only_what_matches_in_a_part_can_be_shared(points: NDArray[np.float64]) -> None:
    found = verified(points, [np.arange(0, 360, 3), np.arange(300, 360)])
    (part,) = matched_in_part(found.values())
    assert part.image == 1
    assert len(part.points) == found[1].proof.inliers


def test_several_whole_copies_do_not_speak_against_one_another(points: NDArray[np.float64]) -> None:
    found = verified(points, [np.arange(start, 360, 3) for start in range(3)])
    proofs = [one.proof for one in found.values()]
    assert len(proofs) == 3
    assert all(proof.proven and proof.evidence.distinct == proof.evidence.geometry for proof in proofs)


def test_pixels_are_compared_where_the_picture_is_at_hand(points: NDArray[np.float64]) -> None:
    random = np.random.default_rng(1)
    picture, other = (random.integers(0, 255, (480, 640), dtype=np.uint8) for _ in range(2))
    found = list(verified(points, [np.arange(0, 360, 3)] * 3).values())

    def pictures_of(images: Sequence[int]) -> dict[int, GreyImage | None]:
        known = {image: GreyImage(pixels, *SIZE, 1.0, 1.0) for image, pixels in enumerate((picture, other))}
        return {image: known.get(image) for image in images}

    compared = compare_pixels(found, GreyImage(picture, *SIZE, 1.0, 1.0), pictures_of)
    assert compared[0].id == 0
    by_id = {match.id: match.proof.evidence.agreement for match in compared}
    assert by_id[0] == pytest.approx(1, abs=0.01)
    assert by_id[1] is not None
    assert by_id[1] < 0.3
    assert by_id[2] is None


def test_a_small_part_that_two_images_share_is_weighed_without_it(points: NDArray[np.float64]) -> None:
    few = np.arange(300, 306)  # of the caption: no chance, but little more
    found = verified(points, [few, few])
    for one in found.values():
        assert 8 < one.proof.evidence.geometry < 40
        assert distinct(one) < one.proof.evidence.geometry
    (alone,) = verified(points, [few]).values()
    assert distinct(alone) == alone.proof.evidence.geometry


def test_what_chance_may_have_made_takes_nothing_from_others(points: NDArray[np.float64]) -> None:
    faint = candidate(1, points, np.arange(300, 360))
    reference = np.random.default_rng(3).uniform(0, [639, 479], (60, 2))
    reference[:3] = points[300:303]
    faint = dataclasses.replace(faint, matches=dataclasses.replace(faint.matches, reference=reference))
    caption = candidate(0, points, np.arange(300, 360))
    found = {one.id: one for one in verify_candidates([caption, faint], features_at(points), OPTIONS)}
    assert found[1].proof.inliers >= 3
    assert found[1].proof.evidence.geometry < 8
    assert distinct(found[0]) == found[0].proof.evidence.geometry


def test_one_place_is_a_twentieth_of_the_longer_side(points: NDArray[np.float64]) -> None:
    # The images have features of their own in the caption, a few px beside those of the other: at one place.
    for step, shared in ((4.0, True), (64.0, False)):
        corner = np.array([[64.5, 320.5], [192.5, 320.5], [320.5, 384.5], [448.5, 384.5], [320.5, 448.5]])
        tiles = np.concatenate([corner + shift for shift in ([0, 0], [6, 3], [3, 6], [9, 1])])
        beside = np.concatenate([points, tiles, tiles + np.array([step, 0])])
        one, other = np.arange(360, 380), np.arange(380, 400)
        found = verified(beside, [one, other])
        assert min(one.proof.evidence.geometry for one in found.values()) > 8
        assert [distinct(one) < one.proof.evidence.geometry for one in found.values()] == [shared] * 2


def test_an_overlap_lies_in_a_part_however_even(points: NDArray[np.float64]) -> None:
    """Two images that each overlap the query's left half share it: of that half, and no more, are they copies."""
    left = np.flatnonzero(points[:, 0] < 300)
    found = [overlapping(number, points, left) for number in range(2)]
    proofs = {one.id: one for one in verify_candidates(found, features_at(points), GeometryOptions())}
    for one in proofs.values():
        assert one.proof.relation.kind == "overlap"
        assert one.proof.evidence.evenness > 0.8
        assert distinct(one) < one.proof.evidence.geometry / 4


def test_of_several_variants_the_best_is_taken(points: NDArray[np.float64]) -> None:
    rows = np.arange(0, 360, 3)
    weak = dataclasses.replace(candidate(5, points, rows[:12]), variant=Variant.NEGATIVE)
    strong = candidate(5, points, rows)
    for order in ([weak, strong], [strong, weak]):
        (found,) = verify_candidates(order, features_at(points), GeometryOptions())
        assert (found.id, found.proof.inliers) == (5, len(rows))
        assert not found.proof.relation.negative


def test_no_geometry_no_proof(points: NDArray[np.float64]) -> None:
    random = np.random.default_rng(2)
    scattered = candidate(1, points, np.arange(40))
    matches = dataclasses.replace(scattered.matches, reference=random.uniform(0, [639, 479], (40, 2)))
    assert all(
        one.proof.evidence.geometry < 8
        for one in verify_candidates([dataclasses.replace(scattered, matches=matches)], features_at(points), OPTIONS)
    )
    assert verify_candidates([candidate(1, points, np.arange(2))], features_at(points), OPTIONS) == []


def test_all_are_looked_at_that_could_be_proven_or_bear_witness(points: NDArray[np.float64]) -> None:
    proof = verified(points, [np.arange(0, 360, 3)])[0].proof

    def made(number: int, distinct: float, geometry: float, evenness: float = 1.0) -> FoundImage:
        evidence = FeatureEvidence(geometry, distinct, 1.0, evenness, "sift")
        return FoundImage(number, dataclasses.replace(proof, evidence=evidence))

    asked: list[int] = []

    def pictures_of(images: Sequence[int]) -> dict[int, GreyImage | None]:
        asked.extend(images)
        return dict.fromkeys(images)

    picture = GreyImage(np.zeros((480, 640), np.uint8), *SIZE, 1.0, 1.0)
    hopeful = [made(1, 50.0, 50.0), made(2, 0.0, 40.0), made(3, 30.0, 30.0, evenness=0.1)]
    compare_pixels([*hopeful, made(4, -2.0, -2.0)], picture, pictures_of)
    assert asked == [1, 2, 3]
    asked.clear()
    unsure = [made(number, 50.0 - number, 50.0 - number, evenness=0.1) for number in range(40)]
    compared = compare_pixels(unsure, picture, pictures_of)
    assert asked == list(range(16))
    assert [one.id for one in compared] == list(range(40))
    asked.clear()
    compare_pixels([made(number, 500.0 - number, 500.0 - number) for number in range(80)], picture, pictures_of)
    assert asked == list(range(64))  # all that would be claimed, if they are not too many


def test_a_claim_that_contradicts_wants_witnesses() -> None:
    """A sister is claimed; of those whose geometry might be chance, the best four are looked at, and tell of it."""
    size = (700, 900)
    proof = made_proof(np.eye(3), size, size)
    fillings = {1: PAUL, 2: EVA, 3: UWE, 4: EVA, 5: UWE, 6: EVA, 7: UWE}
    geometry = {1: 60.0, 2: 7.0, 3: 6.0, 4: 5.0, 5: 4.0, 6: 3.5, 7: 1.0}
    asked: list[list[int]] = []

    def found(number: int) -> FoundImage:
        evidence = FeatureEvidence(geometry[number], geometry[number], 0.2, 1.0 if number == 1 else 0.0, "sift")
        return FoundImage(number, dataclasses.replace(proof, evidence=evidence))

    def pictures_of(numbers: Sequence[int]) -> dict[int, GreyImage | None]:
        asked.append(list(numbers))
        return {number: grey(form(*fillings[number])) for number in numbers}

    (sister, *_) = compare_pixels([found(1)], grey(form(*ANNA)), pictures_of)
    assert (sister.proof.proven, asked) == (True, [[1]])
    asked.clear()
    told = compare_pixels([found(number) for number in geometry], grey(form(*ANNA)), pictures_of)
    assert asked == [[1], [2, 3, 4, 5]]  # the witnesses at once
    assert sorted(one.id for one in told) == sorted(geometry)
    assert not any(one.proof.proven for one in told)
    asked.clear()
    (true, *_) = compare_pixels([found(number) for number in geometry], grey(form(*PAUL)), pictures_of)
    assert (true.id, true.proof.proven, asked) == (1, True, [[1]])  # it contradicts nothing


def test_it_is_said_whose_file_is_cut_short(points: NDArray[np.float64]) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (480, 640), dtype=np.uint8)
    query = GreyImage(picture, *SIZE, 1.0, 1.0)
    found = list(verified(points, [np.arange(0, 360, 3)] * 2).values())
    compared = compare_pixels(
        found, query, lambda images: {image: dataclasses.replace(query, damaged=image == 1) for image in images}
    )
    assert {one.id: one.damaged for one in compared} == {0: False, 1: True}
