from __future__ import annotations

import os
from pathlib import Path

import pytest

from featmatch.errors import StoreError
from featmatch.images.metadata import Metadata
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems
from featmatch.store.database import is_intact
from featmatch.store.generation import change_catalog
from featmatch.store.open_catalog import FORMAT_VERSION
from featmatch.store.records import ImageRecord, Totals
from tests.store.catalogues import add, live, names, record, remove, sha
from tools.forging import in_catalog


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
    assert catalog.stamps_of(["a.jpg"]) == {}
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


def test_an_image_that_waits_leaves_no_tombstone_when_it_is_removed(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    add(path, {"c.jpg": 3})
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    assert remove(path, "a.jpg", "c.jpg") == ["a.jpg", "c.jpg"]
    assert live(path) == ([2], frozenset({3}))
    catalog = Catalog(path)
    assert (catalog.queued(), catalog.totals()) == (["b.jpg"], Totals(0, 0, 1, 1, 0))


def test_a_name_that_moves_away_from_an_image_that_waits_leaves_no_tombstone(path: Path) -> None:
    add(path, {"a.jpg": 1})
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    add(path, {"a.jpg": 2})
    assert live(path) == ([2], frozenset())
    assert Catalog(path).queued() == []


def test_verdicts_are_kept_by_content_whatever_their_order(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    with change_catalog(path) as change:
        assert not change.judge(sha(2), sha(1), True)
        assert not change.judge(sha(1), sha(9), False)  # which is in no index
    catalog = Catalog(path)
    assert catalog.verdicts() == {(1, 2): True}
    assert catalog.verdicts_of(sha(1)) == {sha(2): True, sha(9): False}
    assert catalog.verdicts_of(sha(2)) == {sha(1): True}
    assert catalog.totals().verdicts == 2
    with change_catalog(path) as change:
        assert change.judge(sha(1), sha(2), False)
    assert Catalog(path).verdicts() == {(1, 2): False}
    with change_catalog(path) as change:
        assert change.judge(sha(2), sha(1), None)
        assert not change.judge(sha(2), sha(1), None)
    assert (Catalog(path).verdicts(), Catalog(path).totals().verdicts) == ({}, 1)
    add(path, {"c.jpg": 9})
    assert Catalog(path).verdicts() == {(1, 3): False}


def test_a_description_is_replaced_entry_by_entry(path: Path) -> None:
    with change_catalog(path) as change:
        change.describe("root", "/photos")
        change.describe("vocabulary", "other")
    meta = Catalog(path).meta
    assert (meta["root"], meta["vocabulary"], meta["features"]) == ("/photos", "other", {"detector": "sift"})
    assert meta["version"] == FORMAT_VERSION


def test_the_first_segment_is_number_one(path: Path) -> None:
    with change_catalog(path) as change:
        assert change.next_segment() == 1
    add(path, {"a.jpg": 1})
    with change_catalog(path) as change:
        assert change.next_segment() == 2


def test_metadata_goes_with_the_image_and_text_with_the_name(path: Path) -> None:
    metadata = Metadata(format="JPEG", taken="2019-05-01", camera="a camera", caption="a caption")
    with change_catalog(path) as change:
        image = change.add_image(sha(1), 7, (3, 2), 5, 1, metadata)
        change.name("a.jpg", image, 9, "told")
        change.name("b.jpg", image, 8)
        change.add_segment(1, 1, 5, bytes(32))
    first, second = Catalog(path).images()
    assert first == ImageRecord(
        1, "a.jpg", 7, 9, sha(1), 3, 2, 5, "told", "JPEG", "2019-05-01", "a camera", "a caption"
    )  # fmt: skip
    assert (second.name, second.mtime_ns, second.text, second.caption) == ("b.jpg", 8, None, "a caption")


def test_distrust_mends_what_does_not_fit_and_compares_every_file(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2, "c.jpg": 3})
    add(path, {"d.jpg": 4, "e.jpg": 5})
    in_catalog(
        path.parent,
        "DELETE FROM images WHERE id = 1",  # a name of nothing
        "DELETE FROM names WHERE image = 2",  # an image without a name
        "INSERT INTO tombstones VALUES (3, 1, 10)",  # both live and removed
        "UPDATE images SET segment = 9 WHERE id = 4",  # in no segment that is there
        "INSERT INTO tombstones VALUES (77, 9, 10)",
    )  # fmt: skip
    with change_catalog(path) as change:
        change.distrust()
    catalog = Catalog(path)
    assert list(catalog.names()) == ["c.jpg", "d.jpg", "e.jpg"]
    assert catalog.queued() == ["d.jpg"]
    assert catalog.removed() == {2}
    assert set(catalog.stamps_of(catalog.names()).values()) == {(103, -1), (105, -1)}
    assert list(catalog_problems(catalog)) == []


def test_words_are_kept_in_step_with_the_names(path: Path) -> None:
    add(path, {"harbour.jpg": 1, "b.jpg": 2}, text="of the sea")
    assert [image.name for image in Catalog(path).images("harb")] == ["harbour.jpg"]
    add(path, {"b.jpg": 1})
    remove(path, "harbour.jpg")
    assert [image.name for image in Catalog(path).images("sea")] == ["b.jpg"]
    assert list(catalog_problems(Catalog(path))) == []


def test_a_new_catalogue_takes_the_place_of_nothing_half_written(path: Path) -> None:
    for tail in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"catalog.sqlite.partial{tail}").write_bytes(b"of somebody")
    add(path, {"a.jpg": 1})
    assert names(path) == ["a.jpg"]
    assert os.listdir(path.parent) == ["catalog.sqlite"]


def test_what_is_no_catalogue_is_not_changed(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StoreError), change_catalog(path):
        raise AssertionError("it is changed")
    assert os.listdir(path.parent) == ["catalog.sqlite"]


def test_a_commit_is_on_the_disk_before_and_after_it_is_renamed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    replace = os.replace

    def replaced(source: Path, target: Path) -> None:
        done.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda handle: done.append("fsync"))
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr("featmatch.store.generation.flush_folder", lambda folder: done.append(f"flush {folder}"))
    add(path, {"a.jpg": 1})
    assert done == ["fsync", "replace", f"flush {path.parent}"]
