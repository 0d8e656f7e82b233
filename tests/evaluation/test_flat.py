"""Flat drawings: what all of a kind have, and what each has of its own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation import flat
from featmatch.evaluation.decorations import Decoration
from featmatch.evaluation.edits import Picture
from tests.evaluation.arguments import random

FINDER = np.array([[max(abs(y - 3), abs(x - 3)) != 2 for x in range(7)] for y in range(7)])


def modules_of(picture: Picture) -> NDArray[np.bool_]:
    """The dark modules of a code, without its quiet zone."""
    count = picture.shape[1] // 12 - 8
    middles = 48 + 12 * np.arange(count) + 6
    return np.asarray(picture[np.ix_(middles, middles)].mean(axis=2) < 128)


def test_a_code_has_finder_patterns_timing_and_modules_of_its_own(photo: Picture) -> None:
    for design in range(4):
        codes = [modules_of(flat.qr_code(photo, random(design), random(own))) for own in range(3)]
        for code in codes:
            for corner in (code[:7, :7], code[:7, -7:], code[-7:, :7]):
                np.testing.assert_array_equal(corner, FINDER)
            assert not code[7, :8].any()
            assert not code[:8, 7].any()
            assert not code[7, -8:].any()
            assert not code[-8, :8].any()
            timing = np.arange(len(code) - 16) % 2 == 0
            np.testing.assert_array_equal(code[6, 8:-8], timing)
            np.testing.assert_array_equal(code[8:-8, 6], timing)
        own = np.array(codes)[:, 8:-8, 8:-8]
        assert 0.4 < own.mean() < 0.6
        assert (own[0] != own[1]).mean() > 0.4


@pytest.mark.parametrize(
    ("draw", "edge", "side", "count"), [(flat.chess, (30, 30), 80, 8), (flat.sudoku, (30, 70), 66, 9)]
)
def test_boards_have_some_men_or_digits_in_the_middle_of_fields(
    draw: Decoration, edge: tuple[int, int], side: int, count: int, photo: Picture
) -> None:
    pictures = [draw(photo, random(1), random(own)) for own in range(4)]
    taken = []
    for picture in pictures:
        fields = [
            picture[edge[1] + y * side + 8 : edge[1] + (y + 1) * side - 8, edge[0] + x * side + 8 :][:, : side - 16]
            for y in range(count)
            for x in range(count)
        ]
        taken.append([bool((field != field[0, 0]).any()) for field in fields])
        assert 8 < sum(taken[-1]) < 36
    assert len({tuple(one) for one in taken}) == 4


def test_signs_can_be_read_and_have_one_word_each(photo: Picture) -> None:
    seen = set()
    for design in range(15):
        a, b = (flat.sign(photo, random(design), random(own)).astype(int) for own in (4, 5))
        ground = a[60, 60]
        ink = a[np.abs(a - ground).sum(axis=2) > 0].mean(axis=0)
        assert abs(ground.mean() - ink.mean()) > 40  # light on dark, or dark on light
        assert (a != b).any(axis=2)[100:300, 90:550].mean() > 0.02
        assert not (a != b).any(axis=2)[:90].any()
        seen.add(tuple(ground.tolist()))
    assert len(seen) > 4
    signs = {flat.sign(photo, random(1), random(own)).tobytes() for own in range(50)}
    assert len(signs) >= 49


def test_flags_have_three_colours_and_an_emblem(photo: Picture) -> None:
    for own in range(30):
        flag = flat.flag(photo, random(1), random(own))
        counts = np.unique(flag.astype(np.uint32) @ [1 << 16, 1 << 8, 1], return_counts=True)[1]
        assert len(counts) == 4
        assert counts.min() > 0.004 * counts.sum()
    assert len({flat.flag(photo, random(design), random(1)).shape for design in range(20)}) == 3


def test_faces_of_one_maker_have_one_disc(photo: Picture) -> None:
    faces = [flat.emoji(photo, random(1), random(own)) for own in range(12)]
    assert len({tuple(face[330, 130]) for face in faces}) == 1
    assert len({face.tobytes() for face in faces}) == 12
    assert tuple(flat.emoji(photo, random(2), random(1))[330, 130]) != tuple(faces[1][330, 130])


def test_a_label_has_bars_for_its_number(photo: Picture) -> None:
    labels = [flat.bar_code(photo, random(1), random(own)) for own in (4, 5)]
    differing = (labels[0] != labels[1]).any(axis=2)
    assert not differing[:110].any()
    assert differing[160:345, 80:560].mean() > 0.2
    bars = labels[0][200, 80:560].mean(axis=1) < 128
    assert 40 < np.abs(np.diff(bars.astype(int))).sum() <= 60  # two edges a bar: 24 of the digits, 6 of the guards
