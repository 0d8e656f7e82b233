"""Kinds of pictures that share a design: alike where it is printed, and each another where it is filled in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation.edits import Picture
from featmatch.evaluation.templates import TEMPLATES

Drawn = Callable[[int, int], Picture]


@pytest.fixture(scope="module", params=TEMPLATES)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of picture; all tests of one go together."""
    return str(request.param)


def draw(photos: dict[str, NDArray[np.uint8]], kind: str, own: int, design: int) -> Picture:
    photo = photos[("chelsea", "coffee", "astronaut", "rocket")[own % 4]]
    return TEMPLATES[kind].draw(photo, np.random.default_rng(design), np.random.default_rng([7, own]))


@pytest.fixture(scope="module")
def drawn(kind: str, photos: dict[str, NDArray[np.uint8]]) -> Drawn:
    """The filling of such a number, in a design; drawn once. Not to be written to."""
    return cache(lambda own, design: draw(photos, kind, own, design))


def test_a_filling_is_drawn_again_as_it_was(kind: str, photos: dict[str, NDArray[np.uint8]], drawn: Drawn) -> None:
    first = drawn(0, 1)
    np.testing.assert_array_equal(first, draw(photos, kind, 0, 1))
    assert first.dtype == np.uint8
    assert first.shape[2] == 3
    assert 350 < max(first.shape) < 1200


def test_sisters_share_their_design_and_differ_in_content(kind: str, drawn: Drawn) -> None:
    if kind == "watermark":
        pytest.skip("what its sisters share is drawn half transparent")
    sisters, others = ([drawn(own, design) for own in range(5)] for design in (1, 2))
    assert len({one.shape for one in sisters}) == 1
    for a, b in itertools.pairwise(sisters):
        differing = (np.abs(a.astype(int) - b).max(axis=2) > 60).mean()
        assert 0.002 < differing < (1 if not TEMPLATES[kind].shared else 0.3)
    if TEMPLATES[kind].shared and others[0].shape == sisters[0].shape:
        same, apart = (
            np.mean([np.abs(sisters[0].astype(float) - one).mean() for one in group]) for group in (sisters[1:], others)
        )
        assert same < apart


def test_no_two_fillings_look_the_same(kind: str, drawn: Drawn) -> None:
    sisters = [drawn(own, 1) for own in range(4 if kind == "watermark" else 7)]  # one for each photo
    size = (160, 160 * sisters[0].shape[0] // sisters[0].shape[1])
    small = [cv2.resize(one, size, interpolation=cv2.INTER_AREA).astype(float) for one in sisters]
    for place, one in enumerate(small):
        for other in small[:place]:
            blocks = np.abs(one - other).max(axis=2)
            assert (blocks > 40).sum() > 12  # of 160 px across: what a person sees at a glance


def test_a_watermark_is_the_same_over_two_photos(photos: dict[str, NDArray[np.uint8]]) -> None:
    grounds = [np.full((400, 600, 3), level, np.uint8) for level in (40, 90)]
    marks = [
        TEMPLATES["watermark"].draw(ground, np.random.default_rng(1), np.random.default_rng(own)) > level + 40
        for own, (ground, level) in enumerate(zip(grounds, (40, 90), strict=True))
    ]
    assert 0.01 < marks[0].mean() < 0.3
    assert (marks[0] != marks[1]).mean() < 0.1 * marks[0].mean()
