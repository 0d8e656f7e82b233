"""Sisters that the answer finds, and the query did not: they tell that the answer is one of a design."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index
from featmatch.features.symmetry import Variant
from featmatch.images.pixels import GreyImage
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.whole_evidence import Likeness, WholeEvidence
from featmatch.search.collection import Proved
from featmatch.search.matches import FoundImage, Holder
from featmatch.search.relatives import is_doubtful, laid_over, relatives_of
from featmatch.search.stages import Search
from featmatch.search.verification import compare_pixels
from featmatch.store.reader import Reader
from tests.proof.proofs import made_proof, zoom
from tests.proof.test_difference import ANNA, PAUL, form
from tests.search.test_sisters import EVA, UWE, grey

SIZE = (700, 900)
DOUBTFUL = FeatureEvidence(20.0, 20.0, 1.0, 1.0, "sift", agreement=0.9, contradiction=0.1, agreeing=200)


def found(number: int, evidence: FeatureEvidence | WholeEvidence, way: np.ndarray | None = None) -> FoundImage:
    proof = made_proof(np.eye(3) if way is None else way, SIZE, SIZE)
    return FoundImage(number, dataclasses.replace(proof, evidence=evidence))


@pytest.mark.parametrize(
    ("change", "doubtful"),
    [
        ({}, True),
        ({"geometry": 34.9}, True),
        ({"geometry": 35.1}, False),  # many agree
        ({"geometry": 1.0, "distinct": 1.0, "agreement": 0.3}, False),  # not claimed
        ({"contradiction": 0.031}, True),
        ({"contradiction": 0.029}, False),
        ({"contradiction": None}, False),  # not looked at
        ({"is_sister": True}, False),
        ({"agreeing": 10}, True),
        ({"agreeing": 9}, False),  # the map lies badly
    ],
)
def test_a_claim_by_few_features_that_something_contradicts_is_doubtful(change: dict[str, Any], doubtful: bool) -> None:
    assert is_doubtful(found(1, dataclasses.replace(DOUBTFUL, **change))) == doubtful


def test_a_whole_picture_has_no_features_to_doubt() -> None:
    alike = found(1, WholeEvidence(Likeness(200.0, 1.0, 1.0), agreement=1.0))
    assert alike.proof.proven
    assert not is_doubtful(alike)


def test_relatives_are_the_six_that_share_the_most_and_not_by_chance() -> None:
    geometry = [10.0, 60.0, 8.1, 7.9, 20.0, 30.0, 9.0, 50.0]
    every = [found(number, dataclasses.replace(DOUBTFUL, geometry=one)) for number, one in enumerate(geometry)]
    assert [one.id for one in relatives_of(every[1], every)] == [7, 5, 4, 0, 6, 2]
    assert [one.id for one in relatives_of(every[3], every)] == [1, 7, 5, 4, 0, 6]


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True), (True, True)])
def test_relatives_lie_on_the_query_by_way_of_the_answer(first: bool, second: bool) -> None:
    variants = [Variant.NEGATIVE if negative else Variant.PLAIN for negative in (first, second)]
    answer, other = (
        FoundImage(number, made_proof(way, SIZE, SIZE, variant))
        for number, way, variant in zip((1, 2), (zoom(2), zoom(0.25)), variants, strict=True)
    )
    page = form(*ANNA)
    query = grey(page)
    half = np.asarray(Image.fromarray(page).resize((350, 450), Image.Resampling.BOX))
    shown = grey(255 - half if first != second else half)
    (laid,) = laid_over(query, answer, [other, dataclasses.replace(other, id=3)], {2: shown, 3: None})
    evidence = laid.proof.evidence
    assert isinstance(evidence, FeatureEvidence)
    assert (laid.id, laid.proof.relation.negative) == (2, first != second)
    assert laid.proof.homography == pytest.approx(zoom(0.5))
    assert (evidence.geometry, evidence.distinct, evidence.contradiction) == (0.0, 0.0, 0.0)
    assert evidence.agreeing > 150
    assert laid.proof.difference is not None


def test_relatives_bear_witness_and_are_no_answers() -> None:
    """The only sister that was found is claimed; two others, which it finds, tell that it is one."""
    asked: list[tuple[int, bool]] = []
    pictures = {1: PAUL, 2: EVA, 3: UWE}

    def pictures_of(numbers: Sequence[int]) -> dict[int, GreyImage | None]:
        return {number: grey(form(*pictures[number])) for number in numbers}

    def relatives(one: FoundImage, picture: GreyImage) -> list[FoundImage]:
        asked.append((one.id, bool((picture.pixels == form(*pictures[one.id])).all())))
        query = grey(form(*ANNA))
        return laid_over(query, one, [found(2, DOUBTFUL), found(3, DOUBTFUL)], pictures_of([2, 3]))

    claimed = [found(1, DOUBTFUL)]
    (alone,) = compare_pixels(claimed, grey(form(*ANNA)), pictures_of)
    (told,) = compare_pixels(claimed, grey(form(*ANNA)), pictures_of, None, relatives)
    assert (alone.proof.proven, told.proof.proven) == (True, False)
    assert (told.proof.relation.kind, told.proof.related) == ("same template", True)
    assert asked == [(1, True)]
    asked.clear()
    (true,) = compare_pixels(claimed, grey(form(*PAUL)), pictures_of, None, relatives)
    assert (true.proof.proven, asked) == (True, [])  # nothing contradicts it


def test_a_search_looks_up_a_doubtful_answer(tmp_path: Path) -> None:
    folder = tmp_path / "forms"
    folder.mkdir()
    for number, filling in enumerate((PAUL, EVA, UWE)):
        Image.fromarray(form(*filling)).save(folder / f"{number}.png")
    index = Index.open(tmp_path / "index", create=True)
    index.add([folder], jobs=1)
    ids = {Path(one.name).name: one.id for one in index.images()}
    search = Search.of(Reader(tmp_path / "index"))
    query = search.read(form(*ANNA))
    paul = ids["0.png"]
    held = {number: [Holder(number, [name])] for name, number in ids.items()}
    compared = search.compared(query, Proved([found(paul, DOUBTFUL)], [], held, {}))
    assert [(one.id, one.proof.relation.kind) for one in compared.found] == [(paul, "same template")]
    given = dataclasses.replace(query, is_given=True)  # then nobody knows how features are taken
    assert search.compared(given, Proved([found(paul, DOUBTFUL)], [], held, {})).is_claimed
