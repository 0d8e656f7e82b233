"""What is asked of each index has no pixels and no descriptors, and is enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
