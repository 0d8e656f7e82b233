"""Fillings of one form, of which one is the query's: the others are sisters, and no edit of a picture is one."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import Proof
from featmatch.search.matches import FoundImage
from featmatch.search.sisters import explains_less, told_from_sisters
from tests.proof.proofs import made_proof
from tests.proof.test_difference import ANNA, PAUL, form, photograph

Picture = NDArray[np.uint8]
EVA = ("Eva Gruber", "2 May 2001", "Wels 4600", "teacher", "1370046")
UWE = ("Uwe Lang", "19 July 1968", "Salzburg 50", "baker", "9024478")


def grey(picture: Picture) -> GreyImage:
    return GreyImage(picture, picture.shape[1], picture.shape[0], 1.0, 1.0)


def sisters(query: Picture, *references: Picture) -> list[bool]:
    """Which of the references, all of which lie on the query as they are, are told as sisters."""
    size = query.shape[1], query.shape[0]
    proof = made_proof(np.eye(3), size, size)
    found = [FoundImage(number, proof.with_pixels(grey(query), grey(one))) for number, one in enumerate(references)]
    told = {one.id: one.proof.relation.kind == "same template" for one in told_from_sisters(found)}
    return [told[number] for number in range(len(references))]


def test_the_true_filling_is_told_from_its_sisters() -> None:
    assert sisters(form(*ANNA), form(*PAUL), form(*ANNA), form(*EVA)) == [True, False, True]


def test_sisters_are_told_where_the_true_one_is_not_there() -> None:
    assert sisters(form(*ANNA), form(*PAUL), form(*UWE), form(*EVA)) == [True, True, True]


def test_the_sister_that_explains_most_is_told_by_one_that_explains_what_it_does_not() -> None:
    nearly = form(*PAUL[:1], *ANNA[1:])
    assert sisters(form(*ANNA), nearly, form(*ANNA[:1], *PAUL[1:]), form(*EVA)) == [True, True, True]


def test_no_image_is_pulled_down_by_one_that_explains_far_less() -> None:
    """One field of twelve was changed since; another filling happens to have it as it was."""
    turned = [tuple(f"{text}, {text[::-1]}" for text in one) for one in (UWE, ANNA, PAUL)]
    anna, paul, eva = (one + two + two[2:4] for one, two in zip((ANNA, PAUL, EVA), turned, strict=True))
    changed = form(anna[0], "8 October 1975", *anna[2:])
    assert sisters(form(*anna), changed, form(paul[0], anna[1], *paul[2:]), form(*eva)) == [False, True, True]


def test_a_picture_and_its_edited_copy_are_no_template() -> None:
    edited = form(*ANNA)
    edited[500:700, 100:500] = form(*PAUL)[140:340, 100:500]
    assert sisters(form(*ANNA), form(*ANNA), edited) == [False, False]
    assert sisters(edited, form(*ANNA), edited, form(*ANNA)) == [False, False, False]


def test_without_a_third_a_picture_and_its_copy_that_is_written_over_are_no_template() -> None:
    """A third of all that says anything is another content; the same picture is around it."""
    marked = form(*ANNA)
    random = np.random.default_rng(3)
    marked[450:850, 60:620] = np.kron(random.integers(0, 255, (25, 35), dtype=np.uint8), np.ones((16, 16), np.uint8))
    assert sisters(form(*ANNA), form(*ANNA), marked) == [False, False]


def test_the_true_one_is_never_pulled_down_by_what_explains_less() -> None:
    """Something was put on the query, beside its filling: there the true one contradicts as well."""
    query = form(*ANNA)
    random = np.random.default_rng(0)
    query[600:800, 100:600] = np.kron(random.integers(0, 255, (20, 50), dtype=np.uint8), np.ones((10, 10), np.uint8))
    assert sisters(query, form(*PAUL), form(*ANNA), form(*EVA))[1] is False


def small(picture: Picture) -> GreyImage:
    """A picture as an index keeps it: what is filled in is a blot."""
    height, width = picture.shape
    pixels = np.asarray(cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA), np.uint8)
    return GreyImage(pixels, width, height, 4.0, 4.0, is_stored=True)


def test_an_image_seen_coarsely_is_a_sister_where_others_are_and_another_explains_more() -> None:
    query, blot = form(*ANNA), form("Anna", *ANNA[1:])
    size = query.shape[1], query.shape[0]

    def told(*references: tuple[GreyImage, float]) -> list[bool]:
        found = []
        for number, (reference, geometry) in enumerate(references):
            proof = made_proof(np.eye(3), size, size).with_pixels(grey(query), reference)
            found.append(FoundImage(number, with_geometry(proof, geometry)))
        return [one.proof.relation.kind == "same template" for one in told_from_sisters(found)]

    true, blurred, others = (small(query), 99.0), (small(blot), 50.0), [(grey(form(*one)), 40.0) for one in (EVA, UWE)]
    assert told(true, blurred) == [False, False]
    assert told(true, blurred, *others) == [False, True, True, True]
    assert told((small(query), 50.0), (small(blot), 50.0), *others)[:2] == [False, False]
    assert told(true, (grey(query), 50.0), *others)[:2] == [False, False]
    covered = query.copy()
    covered[140:340, 100:500] = query[140:340, 100:500][::-1]  # it contradicts the query there
    assert told((small(covered), 99.0), (small(query), 50.0), *others)[1] is False
    above, below = query.copy(), query.copy()
    above[450:], below[:450] = 255, 255
    assert told((small(above), 99.0), (small(below), 50.0), *others)[1] is False


def with_geometry(proof: Proof, geometry: float) -> Proof:
    assert isinstance(proof.evidence, FeatureEvidence)
    return dataclasses.replace(proof, evidence=dataclasses.replace(proof.evidence, geometry=geometry))


def test_a_filling_that_lacks_what_others_fill_in_is_a_sister() -> None:
    """An empty field contradicts nothing."""
    assert sisters(form(*ANNA), form(ANNA[0]), form(*PAUL), form(*EVA)) == [True, True, True]


def test_one_that_explains_far_less_than_a_sister_is_one_unless_it_agrees_all_over() -> None:
    def found(geometry: float, agreement: float, contradiction: float) -> FoundImage:
        evidence = FeatureEvidence(geometry, geometry, 1.0, 1.0, "sift", agreement, 1.0, contradiction, 0.0, 200)
        return FoundImage(1, dataclasses.replace(made_proof(np.eye(3), (9, 9), (9, 9)), evidence=evidence))

    told = [found(150, 0.9, 0.1), found(20, 0.9, 0.1)]
    assert explains_less(found(49, 0.91, 0.0), told)
    assert explains_less(found(40, 0.95, 0.06), told)
    assert not explains_less(found(40, 0.92, 0.05), told)
    assert not explains_less(found(50, 0.5, 0.5), told)  # hardly enough more
    assert not explains_less(found(40, 0.5, 0.5), [])


def test_what_was_not_looked_at_stays_as_it_is() -> None:
    found = FoundImage(1, made_proof(np.eye(3), (700, 900), (700, 900)))
    assert told_from_sisters([found])[0].proof is found.proof


def test_what_only_shares_a_caption_pulls_no_photo_down(photos: dict[str, Picture]) -> None:
    """Two other photos under the query's caption explain less of it than its own photo without one."""

    def under_caption(name: str) -> Picture:
        picture = cv2.resize(cv2.cvtColor(photos[name], cv2.COLOR_RGB2GRAY), (700, 900)).astype(np.uint8)
        picture[700:] = form(*ANNA, "Anna", "Berger", "Linz")[300:500]
        return picture

    alone = cv2.resize(cv2.cvtColor(photos["coffee"], cv2.COLOR_RGB2GRAY), (700, 900)).astype(np.uint8)
    assert sisters(under_caption("coffee"), alone, under_caption("rocket"), under_caption("astronaut"))[0] is False


def test_what_lies_beyond_what_agrees_is_no_content() -> None:
    """As on the side of a bottle, where the map is off: another label explains a band there, and shares a part."""

    def texture(seed: int, height: int) -> Picture:
        cells = np.random.default_rng(seed).integers(0, 255, (height // 10, 70), dtype=np.uint8)
        return np.kron(cells, np.ones((10, 10), np.uint8))

    def label(seed: int, *filling: str) -> Picture:
        page = form(*filling)
        page[400:700], page[700:] = texture(seed, 300), texture(0, 200)
        return page

    query, true = form(*ANNA), form(*ANNA)
    query[700:], true[700:] = texture(0, 200), texture(1, 200)
    assert sisters(query, true, label(2, *PAUL), label(3, *EVA))[0] is False


def test_a_photograph_with_words_of_many_over_it_is_no_design() -> None:
    words = ("WHAT A DAY", "SO IT GOES", "NOT TODAY", "SAYS WHO")
    query, *others = (photograph(text) for text in words)
    assert sisters(query, *others) == [False] * 3
    assert sisters(query, photograph(), *others) == [False] * 4


def test_a_photograph_is_no_sister_of_those_that_are_half_covered() -> None:
    query, size = photograph("WHAT A DAY", "FOR A RIDE"), (640, 480)
    half = [query.copy() for _ in range(3)]
    for number, one in enumerate(half):
        mosaic = np.random.default_rng(number).integers(0, 255, (14, 40), dtype=np.uint8)
        one[240:464] = np.kron(mosaic, np.ones((16, 16), np.uint8))
    found = []
    for number, (picture, geometry) in enumerate(
        [*((one, 99.0) for one in half), (photograph("NOT TODAY", "SAYS MUM"), 5.0)]
    ):
        proof = made_proof(np.eye(3), size, size).with_pixels(grey(query), grey(picture))
        found.append(FoundImage(number, with_geometry(proof, geometry)))
    told = [one.proof.relation.kind == "same template" for one in told_from_sisters(found)]
    assert told == [True, True, True, False]
