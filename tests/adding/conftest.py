from __future__ import annotations

from pathlib import Path

import pytest

from featmatch import Index, Vocabulary
from featmatch.adding.batches import Target
from featmatch.store.places import Naming
from tools.small_index import small_index


@pytest.fixture
def small(small_words: Vocabulary, tmp_path: Path) -> Index:
    """An empty index of 256 words."""
    return small_index(tmp_path / "small.fm", small_words)


@pytest.fixture
def target(small: Index) -> Target:
    """The same, to be added to; names are absolute."""
    return Target(small.folder, Naming(None), small.options, len(small.vocabulary))
