"""The stages of a search in one index, for tests that look at what is between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.search.asked import Asked
from featmatch.search.candidates import Candidate, Listed, candidates_of
from featmatch.search.query import Query
from featmatch.search.stages import Search
from featmatch.store.reader import Reader
from tools.small_index import draw_pictures, small_index


def candidates(search: Search, query: Query, asked: Asked | None = None) -> list[Candidate]:
    """The images with the most votes, best first, with their hits; accepted ones follow."""
    asked = asked or search.asked(query)
    (snapshot,) = search.snapshots
    segments = tuple(snapshot.segments.values())
    ranked = search.listed(asked).ranked
    listed = Listed.looked_up(ranked, segments)
    (found,) = candidates_of([listed], asked.words, asked.variants, asked.voting.hamming_limit)
    return [candidate for _, candidate in found]


def drawn_index(folder: Path, count: int, words: Vocabulary) -> Index:
    """An index of so many pictures, in ``folder / "index"``; they are in ``folder / "photos"``."""
    draw_pictures(folder / "photos", count)
    small_index(folder / "index", words)
    index = Index.open(folder / "index", root=folder / "photos")
    index.add([folder / "photos"], jobs=1)
    return index


def pixels(reader: Reader, number: int) -> np.ndarray:
    """One of the pictures of an index."""
    assert reader.root is not None
    return np.asarray(Image.open(Path(reader.root) / f"{number:03d}.png"))
