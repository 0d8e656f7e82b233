"""Names and texts of images are changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from featmatch import Index, UsageError, Vocabulary
from featmatch.store.browsing import images_of
from featmatch.store.renaming import describe_image, rename_image
from featmatch.store.writing import become_writer
from tools.small_index import draw_pictures, small_index


@pytest.fixture
def index(small_words: Vocabulary, tmp_path: Path) -> Index:
    """An index of the images a and b; b is also called c."""
    one, other = (path.read_bytes() for path in draw_pictures(tmp_path / "drawn", 2))
    index = small_index(tmp_path / "i.fm", small_words)
    index.add_images([("a", one), ("b", other), ("c", other)], text="old")
    return index


def told(index: Index) -> list[tuple[int, str, str | None]]:
    index.refresh()
    return [(record.id, record.name, record.text) for record in index.images()]


def test_an_image_goes_by_another_name(index: Index) -> None:
    with become_writer(index):
        rename_image(index, "b", "dawn")
    assert told(index) == [(1, "a", "old"), (2, "c", "old"), (2, "dawn", "old")]
    assert [record.name for record in index.images("dawn")] == ["dawn"]
    for old, new in (("a", "c"), ("nobody", "x"), ("b", "x")):
        with become_writer(index), pytest.raises(UsageError):
            rename_image(index, old, new)
    assert len(told(index)) == 3


def test_a_text_is_kept_under_each_name(index: Index) -> None:
    with become_writer(index):
        describe_image(index, images_of(index.snapshot.catalog, [2])[0], "new")
    assert told(index) == [(1, "a", "old"), (2, "b", "new"), (2, "c", "new")]
    assert len(list(index.images("new"))) == 2
