"""A small index that several test files of this room read, and copies of it to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featmatch import Vocabulary
from featmatch.store.generation import create_catalog
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="session")
def built(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments of two images each, grouped; the files are in ``pictures`` beside it. Not to be written to."""
    folder = tmp_path_factory.mktemp("built") / "index"
    pictures = draw_pictures(folder.parent / "pictures", 4)
    index = small_index(folder, small_words)
    index.add(pictures[:2], jobs=1)
    index.add(pictures[2:], jobs=1)
    index.groups(jobs=1)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty catalogue."""
    create_catalog(tmp_path / "catalog.sqlite", {"features": {"detector": "sift"}, "vocabulary": "abc"})
    return tmp_path / "catalog.sqlite"
