"""An index of drawn pictures that the tests of this room share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Vocabulary
from featmatch.store.reader import Reader
from tests.search.searches import drawn_index
from tools.small_index import draw_pictures


@pytest.fixture(scope="session")
def built(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, the names relative to their folder, and a half of the first beside. Not to be written to."""
    folder = tmp_path_factory.mktemp("search")
    drawn_index(folder, 6, small_words)
    Image.fromarray(np.asarray(Image.open(folder / "photos/000.png"))[:, :70]).save(folder / "half.png")
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """The same, to write to."""
    shutil.copytree(built, tmp_path / "moved")
    return tmp_path / "moved"


@pytest.fixture(scope="session")
def reader(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """An index of five pictures, of which one has words with it."""
    folder = tmp_path_factory.mktemp("stages")
    index = drawn_index(folder, 4, small_words)
    fifth = draw_pictures(folder / "drawn", 5)[4].rename(folder / "photos/004.png")
    index.add([fifth], jobs=1, text="harbour at dawn")
    return Reader(folder / "index", folder / "photos")
