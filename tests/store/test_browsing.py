"""Images a page at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from featmatch import UsageError
from featmatch.images.metadata import Metadata
from featmatch.store import browsing
from featmatch.store.browsing import count_images, images_of, list_images
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog, create_catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Seven images, the third without features, the fourth with two names."""
    path = tmp_path / "catalog.sqlite"
    create_catalog(path, {})
    with change_catalog(path) as change:
        change.add_segment(1, 7, 0, bytes(32))
        for number in range(1, 8):
            form = Metadata(format="JPEG" if number % 2 else "PNG")
            image = change.add_image(f"{number:064x}", number, (9, 9), 0, 1, form)
            change.name(f"photos/{number}.jpg", image, 5, "harbour" if number > 4 else None)
        change.name("other.jpg", 4, 5)
        change.name("photos/1.jpg", 2, 5)
    return Catalog(path)


def ids(images: list[browsing.ListedImage]) -> list[int]:
    return [image.record.id for image in images]


@pytest.mark.parametrize("chunk", [1, 2, 900])
def test_pages_follow_one_another(catalog: Catalog, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.store.catalog.MOST_VALUES", chunk)
    assert ids(list_images(catalog, limit=3)) == [2, 3, 4]
    assert ids(list_images(catalog, after=4, limit=3)) == [5, 6, 7]
    assert list_images(catalog, after=7) == []
    assert ids(list_images(catalog, form="jpeg")) == [3, 5, 7]
    assert ids(list_images(catalog, match="harbour")) == [5, 6, 7]
    assert ids(list_images(catalog, match="harbour", form="JPEG", after=5)) == [7]
    assert ids(list_images(catalog, match="harbour", limit=1)) == [5]
    assert (count_images(catalog), count_images(catalog, form="PNG")) == (6, 3)
    assert (count_images(catalog, match="harbour"), count_images(catalog, match="harbour", form="PNG")) == (3, 1)


def test_an_image_has_all_its_names_in_the_order_in_which_they_came(catalog: Catalog) -> None:
    two, four = images_of(catalog, [4, 2, 99])
    assert two.names == ("photos/1.jpg", "photos/2.jpg")
    assert (four.names, four.record.name) == (("photos/4.jpg", "other.jpg"), "photos/4.jpg")
    assert images_of(catalog, []) == []


def test_words_that_are_none_are_refused(catalog: Catalog) -> None:
    with pytest.raises(UsageError):
        list_images(catalog, match="!")
