"""Papers of one design: what is printed on them, and what is filled in."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation import documents
from featmatch.evaluation.edits import Picture, Random
from tests.evaluation.arguments import random

Draw = Callable[[Picture, Random, Random], Picture]


def differing(draw: Draw, photo: Picture, seeds: tuple[int, int] = (4, 5)) -> NDArray[np.bool_]:
    a, b = (draw(photo, random(1), random(own)) for own in seeds)
    return np.asarray((a != b).any(axis=2))


@pytest.mark.parametrize(
    ("draw", "printed", "filled"),
    [
        (documents.id_card, np.s_[:110], np.s_[420:520]),
        (documents.form, np.s_[:120], np.s_[140:960]),
        (documents.ticket, np.s_[:200, :700], np.s_[60:280, 730:920]),
        (documents.chat, np.s_[890:], np.s_[116:800]),
        (documents.text_page, np.s_[:50], np.s_[100:900]),
        (documents.greeting_card, np.s_[:350], np.s_[365:455]),
    ],
)
def test_what_is_filled_in_stands_where_it_belongs(
    draw: Draw, printed: tuple[slice, ...], filled: tuple[slice, ...], photo: Picture
) -> None:
    differs = differing(draw, photo)
    assert not differs[printed].any()
    assert differs[filled].mean() > 0.01
    other = draw(photo, random(2), random(4))
    assert (other[printed] != draw(photo, random(1), random(4))[printed]).any()


def test_a_card_shows_a_face_or_a_detail_of_the_photo(photo: Picture) -> None:
    other = np.ascontiguousarray(photo[::-1])
    shown = [
        (documents.id_card(photo, random(1), random(own)) != documents.id_card(other, random(1), random(own))).any()
        for own in range(16)
    ]
    assert {True, False} == set(shown)
    faces = [documents.id_card(photo, random(1), random(own)) for own, is_photo in enumerate(shown) if not is_photo]
    portraits = [face[120:400, 40:260] if (face[125:395, 45:255] != face[125, 45]).any() else face for face in faces]
    assert all((a != b).any(axis=2).mean() > 0.1 for a, b in itertools.pairwise(portraits))


def test_a_watermark_lies_over_the_photo(photo: Picture) -> None:
    marked = documents.watermark(photo, random(1), random(4))
    assert max(marked.shape) == 720
    brighter = marked.astype(float).mean() - documents.watermark(photo * 0, random(1), random(4)).astype(float).mean()
    assert brighter > 30
    assert not differing(documents.watermark, photo).any()
