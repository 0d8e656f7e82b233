"""Fillings of a form, copies of one, and photos with words over them: pairs as they lie, and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from featmatch.geometry.maps import Matrix, scaling_matrix
from featmatch.grouping.designs import Designs
from featmatch.grouping.pairs import Pair
from featmatch.images.pixels import GreyImage
from tests.grouping.made import pair
from tests.proof.test_difference import ANNA, PAUL, Picture, form, photograph

EVA = ("Eva Gruber", "2 May 2001", "Wels 4600", "teacher", "1370046")


def told(pictures: Mapping[int, Picture | None], *keys: tuple[int, int], geometry: float = 2000.0) -> list[bool]:
    """Whether the images of pairs are sisters; they are paired all with one another, as one lies on the other.

    ``geometry`` is so high that two pictures alone are not told.
    """
    ids = sorted(pictures)
    every = [(one, other) for place, one in enumerate(ids) for other in ids[place + 1 :]]
    pairs = {key: paired(*key, geometry) for key in every}
    grey = {
        number: None if one is None else GreyImage(one, one.shape[1], one.shape[0], 1.0, 1.0)
        for number, one in pictures.items()
    }
    designs = Designs(pairs.values(), grey.get, "sift")
    answers = [designs.are_sisters(pairs[key]) for key in keys or every]
    assert designs.told == [key for key, is_one in zip(keys or every, answers, strict=True) if is_one]
    return answers


def paired(one: int, other: int, geometry: float = 2000.0, way: Matrix | None = None) -> Pair:
    return dataclasses.replace(pair(one, other, np.eye(3) if way is None else way), geometry=geometry)


def test_fillings_are_told_where_there_are_three() -> None:
    assert told({1: form(*ANNA), 2: form(*PAUL), 3: form(*EVA)}) == [True] * 3
    assert told({1: form(*ANNA), 2: form(*PAUL)}) == [False]


def test_two_are_told_by_themselves_where_features_do_not_say_far_more() -> None:
    anna, paul = (form(*(f"{text}, {text}" for text in one + one)) for one in (ANNA, PAUL))
    assert told({1: anna, 2: paul}, geometry=100.0) == [True]
    assert told({1: anna, 2: anna}, geometry=100.0) == [False]


def test_copies_of_fillings_are_not() -> None:
    anna, paul, eva = (form(*one) for one in (ANNA, PAUL, EVA))
    pictures = {1: anna, 2: paul, 3: eva, 4: anna, 5: np.asarray(paul - paul // 8, np.uint8)}
    copies = {(1, 4), (2, 5)}
    every = [(one, other) for one in pictures for other in pictures if one < other]
    assert told(pictures) == [key not in copies for key in every]


def test_photographs_with_words_over_them_are_not() -> None:
    assert (
        told({number: photograph(text) for number, text in enumerate(("WHAT A DAY", "SO IT GOES", "NOT TODAY"))})
        == [False] * 3
    )


def test_nothing_is_told_without_pictures_or_features() -> None:
    assert told({1: form(*ANNA), 2: form(*PAUL), 3: form(*EVA), 4: None}, (1, 4), (1, 2)) == [False, True]
    without = dataclasses.replace(paired(1, 2), inliers=0)
    assert not Designs([without], lambda _: pytest.fail("no picture is wanted"), "sift").are_sisters(without)


def test_pictures_lie_as_the_pairs_say_in_px_of_the_files() -> None:
    """The second is a negative at three quarters of the size, and all are read at half of theirs."""
    anna, paul, eva = (form(*one) for one in (ANNA, PAUL, EVA))
    smaller = np.asarray(255 - cv2.resize(paul, (525, 675), interpolation=cv2.INTER_AREA), np.uint8)
    grey = {
        1: GreyImage(anna, 1400, 1800, 2.0, 2.0),
        2: GreyImage(smaller, 1050, 1350, 2.0, 2.0),
        3: GreyImage(eva, 1400, 1800, 2.0, 2.0),
    }
    smaller_pair = dataclasses.replace(paired(1, 2, way=scaling_matrix(4 / 3, 4 / 3)), negative=True)
    larger_pair = dataclasses.replace(paired(2, 3, way=scaling_matrix(0.75, 0.75)), negative=True)
    pairs = [smaller_pair, larger_pair, paired(1, 3)]
    designs = Designs(pairs, grey.get, "sift")
    assert [designs.are_sisters(one) for one in pairs] == [True] * 3
    same = Designs(pairs, {**grey, 2: GreyImage(np.asarray(255 - anna, np.uint8), 1050, 1350, 1.5, 1.5)}.get, "sift")
    assert [same.are_sisters(one) for one in pairs] == [False, True, True]


@pytest.mark.parametrize(
    "way", [np.array([[1.0, 0, 0], [1e-3, 1, -1e12], [1e12, 0, 1]]), np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 1e-12]])]
)
def test_a_map_from_a_stranger_that_leads_nowhere_tells_nothing(way: Matrix) -> None:
    page = form(*ANNA)
    forged = paired(1, 2, way=way)
    with np.errstate(all="ignore"):
        assert not Designs([forged], lambda _: GreyImage(page, 700, 900, 1.0, 1.0), "sift").are_sisters(forged)
