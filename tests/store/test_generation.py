from __future__ import annotations

import os
from pathlib import Path

import pytest

from featmatch.errors import StoreError
from featmatch.store.catalog import Catalog, is_intact
from featmatch.store.generation import change_catalog
from featmatch.store.records import Totals
from tests.store.catalogues import add, live, names, record, remove, sha


def test_a_name_that_gets_another_content_replaces_the_older_one(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2}, text="first")
    add(path, {"a.jpg": 3})
    assert list(Catalog(path).images()) == [record(3, "a.jpg", 3, "first"), record(2, "b.jpg", 2, "first")]
    assert live(path) == ([1, 2], frozenset({1}))
    assert Catalog(path).totals() == Totals(2, 20, 1, 0, 0)
    assert [segment.live_features for segment in Catalog(path).segments()] == [10, 10]


def test_names_that_swap_their_contents_leave_no_tombstone(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    add(path, {"a.jpg": 2, "b.jpg": 1, "c.jpg": 3})
    assert Catalog(path).names_of([1, 2]) == {1: ["b.jpg"], 2: ["a.jpg"]}
    assert live(path) == ([1, 2], frozenset())


def test_removing_returns_the_names_that_were_there(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    assert remove(path, "b.jpg", "nowhere.jpg", "b.jpg") == ["b.jpg"]
    assert names(path) == ["a.jpg"]
    assert live(path) == ([1], frozenset({2}))
    assert Catalog(path).totals() == Totals(1, 10, 1, 0, 0)
    assert remove(path, "b.jpg") == []


def test_numbers_are_never_used_again(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    remove(path, "a.jpg", "b.jpg")
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    assert add(path, {"c.jpg": 1}) == 2
    assert [image.id for image in Catalog(path).images()] == [3]


def test_replaced_segments_take_their_images_along(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    add(path, {"c.jpg": 3})
    remove(path, "a.jpg")
    before = list(Catalog(path).images())
    with change_catalog(path) as change:
        change.add_segment(3, 2, 20, bytes(32))
        change.replace_segments([1, 2], 3)
    assert live(path) == ([3], frozenset())
    assert list(Catalog(path).images()) == before


def test_images_that_lost_their_segment_wait_and_keep_their_number_and_text(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2}, text="kept")
    add(path, {"c.jpg": 3})
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    catalog = Catalog(path)
    assert names(path) == ["c.jpg"]
    assert catalog.queued() == ["a.jpg", "b.jpg"]
    assert catalog.totals() == Totals(1, 10, 0, 2, 0)
    assert catalog.image_with(sha(1)) is None
    assert "a.jpg" not in catalog.stamps()
    add(path, {"a.jpg": 1, "b.jpg": 4})
    first, second, third = Catalog(path).images()
    assert (first, third) == (record(1, "a.jpg", 1, "kept"), record(3, "c.jpg", 3))
    assert (second.id > 3, second.sha256, second.text) == (True, sha(4), "kept")
    assert Catalog(path).totals() == Totals(3, 30, 0, 0, 0)


def test_a_change_that_fails_changes_nothing(path: Path) -> None:
    add(path, {"a.jpg": 1})
    before = path.read_bytes()
    for failure in (KeyboardInterrupt, OSError, StoreError):
        with pytest.raises(failure), change_catalog(path) as change:
            change.remove(["a.jpg"])
            raise failure
    with pytest.raises(StoreError), change_catalog(path) as change:
        change.add_segment(1, 1, 1, bytes(32))  # its number was used before
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["catalog.sqlite"]


def test_the_room_of_what_was_removed_is_given_back(path: Path) -> None:
    empty = path.stat().st_size
    add(path, {f"{number}.jpg": number for number in range(3000)})
    full = path.stat().st_size
    remove(path, *names(path))
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    assert path.stat().st_size >= full
    with change_catalog(path) as change:
        change.shrink()
    assert path.stat().st_size < 1.5 * empty < full
    assert is_intact(path)
