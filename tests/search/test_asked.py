"""What is asked of each index has no pixels and no descriptors, and is enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from featmatch.features.looks import whole_picture
from featmatch.search.stages import Search
from featmatch.store.reader import Reader


def test_neither_pixels_nor_descriptors_are_asked_with(built: Path) -> None:
    search = Search.of(Reader(built / "index"))
    query = search.read(np.asarray(Image.open(built / "half.png")))
    asked = search.asked(query)
    assert [one.descriptors.size for one in asked.variants] == [0] * 4
    assert asked.features is asked.variants[0]
    assert len(asked.features) == len(query.features) > 10
    assert asked.shape == 70 / 128
    assert asked.whole is query.whole
    assert (asked.content, asked.match, asked.among) == (None, None, None)


def test_what_looks_the_same_as_another_picture_is_asked_for_without_words(built: Path) -> None:
    search = Search.of(Reader(built / "index"))
    query = search.read(np.asarray(Image.open(built / "half.png")))
    asked = search.asked(query)
    sheet = whole_picture(search.load(built / "half.png"))
    of_it = asked.of_look(sheet, 1.5, 1.3)
    assert (of_it.whole, of_it.shape, of_it.stretch) == (sheet, 1.5, 1.3)
    assert (len(asked.words.ids) > 0, len(of_it.words.ids)) == (True, 0)
    assert len(of_it.features) == len(asked.features)  # how many decides which images it is compared with
    assert len(search.listed(of_it).ranked.images) == 0
