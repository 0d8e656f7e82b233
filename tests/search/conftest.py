"""An index of drawn pictures that the tests of this room share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.store.reader import Reader
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="session")
def built(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, the names relative to their folder, and a half of the first beside. Not to be written to."""
    folder = tmp_path_factory.mktemp("search")
    pictures = draw_pictures(folder / "photos", 6)
    Image.fromarray(np.asarray(Image.open(pictures[0]))[:, :70]).save(folder / "half.png")
    small_index(folder / "index", small_words)
    Index.open(folder / "index", root=folder / "photos").add([folder / "photos"], jobs=1)
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
    pictures = draw_pictures(folder / "photos", 5)
    small_index(folder / "index", small_words)
    index = Index.open(folder / "index", root=folder / "photos")
    index.add(pictures[:4], jobs=1)
    index.add(pictures[4:], jobs=1, text="harbour at dawn")
    return Reader(folder / "index", folder / "photos")
