from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from featmatch.errors import StoreError
from featmatch.store.catalog import FORMAT_VERSION, Catalog, is_intact
from featmatch.store.generation import change_catalog, create_catalog
from featmatch.store.records import ImageRecord, SegmentRecord, Totals
from featmatch.store.values import DIGEST_BYTES

ODD_NAMES = [
    "plain.jpg",
    "with space.jpg",
    'it\'s "quoted"; DROP TABLE images; --.jpg',
    "two\nlines\tand a tab.jpg",
    "日本の写真.jpg",
    "cafe\u0301.jpg",
    "caf\u00e9.jpg",
    "latin-1 caf\udce9.jpg",
    "\udcff\udcfe.jpg",
    "%_?*.jpg",
    "",
]


def sha(content: int) -> str:
    return f"{content:064x}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_catalog(tmp_path / "catalog.sqlite", {"features": {"detector": "sift"}, "vocabulary": "abc"})
    return tmp_path / "catalog.sqlite"


def add(path: Path, names: dict[str, int], text: str | None = None) -> int:
    """As ``add`` does it: name -> content; contents that are not there make a segment. Returns its number."""
    with change_catalog(path) as change:
        segment = change.next_segment()
        new = 0
        for name, content in names.items():
            image = change.image_with(sha(content))
            if image is None:
                image = change.add_image(sha(content), 100 + content, 640, 480, 10, segment)
                new += 1
            change.name(name, image, 1_700_000_000_000_000_000 + content, text)
        if new:
            change.add_segment(segment, new, 10 * new, bytes(32))
    return segment


def remove(path: Path, *names: str) -> list[str]:
    with change_catalog(path) as change:
        return change.remove(names)


def record(image: int, name: str, content: int, text: str | None = None) -> ImageRecord:
    return ImageRecord(
        image, name, 100 + content, 1_700_000_000_000_000_000 + content, sha(content), 640, 480, 10, text
    )  # fmt: skip


def names(path: Path) -> list[str]:
    return [image.name for image in Catalog(path).images()]


def live(path: Path) -> tuple[list[int], frozenset[int]]:
    catalog = Catalog(path)
    return [segment.id for segment in catalog.segments()], catalog.removed()


def test_a_new_catalogue_is_empty_and_keeps_its_description(path: Path) -> None:
    catalog = Catalog(path)
    assert catalog.meta["features"] == {"detector": "sift"}
    assert catalog.meta["vocabulary"] == "abc"
    assert catalog.root is None
    for nothing in (list(catalog.images()), catalog.names(), catalog.queued(), catalog.segments()):
        assert not nothing
    assert catalog.removed() == frozenset()
    assert catalog.totals() == Totals(0, 0, 0, 0, 0)
    assert catalog.stamps() == {}
    assert is_intact(path)


def test_what_was_added_is_there(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2}, text="of the sea")
    catalog = Catalog(path)
    expected = [record(1, "a.jpg", 1, "of the sea"), record(2, "b.jpg", 2, "of the sea")]
    assert list(catalog.images()) == expected
    assert catalog.segments() == [SegmentRecord(1, 2, 20, bytes(32), 0, 0)]
    assert catalog.totals() == Totals(2, 20, 0, 0, 0)
    assert catalog.names_of([2, 1, 77]) == {1: ["a.jpg"], 2: ["b.jpg"], 77: []}
    assert catalog.names_of([]) == {}
    assert catalog.stamps() == {r.name: (r.bytes, r.mtime_ns) for r in expected}
    assert (catalog.image_with(sha(2)), catalog.image_with(sha(3))) == (2, None)


def test_one_content_under_several_names_is_one_image(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 1})
    add(path, {"c.jpg": 1})
    catalog = Catalog(path)
    assert [image.id for image in catalog.images()] == [1, 1, 1]
    assert catalog.names_of([1]) == {1: ["a.jpg", "b.jpg", "c.jpg"]}
    assert catalog.totals() == Totals(3, 10, 0, 0, 0)
    assert live(path) == ([1], frozenset())
    assert remove(path, "a.jpg", "c.jpg") == ["a.jpg", "c.jpg"]
    assert live(path) == ([1], frozenset())
    assert remove(path, "b.jpg") == ["b.jpg"]
    assert live(path) == ([1], frozenset({1}))


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


def test_odd_names_come_back_as_they_were(path: Path) -> None:
    add(path, {name: number for number, name in enumerate(ODD_NAMES)})
    assert names(path) == Catalog(path).names() == ODD_NAMES
    assert set(Catalog(path).stamps()) == set(ODD_NAMES)
    for name in ODD_NAMES:
        assert remove(path, name) == [name]
    assert names(path) == []


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


def test_a_reader_keeps_the_generation_it_opened(path: Path) -> None:
    add(path, {"a.jpg": 1})
    reader = Catalog(path)
    assert not reader.superseded
    add(path, {"b.jpg": 2})
    assert reader.superseded
    assert [image.name for image in reader.images()] == ["a.jpg"]
    assert names(path) == ["a.jpg", "b.jpg"]


def test_many_names_are_read_page_by_page(path: Path) -> None:
    expected = {f"{number:05d}.jpg": number for number in range(2500)}
    add(path, expected)

    def changing_meanwhile() -> Iterator[str]:
        for number, image in enumerate(Catalog(path).images()):
            if number == 10:
                remove(path, "02000.jpg")
            yield image.name

    everything = Catalog(path)
    assert list(changing_meanwhile()) == list(expected)
    assert everything.names_of(range(1, 40_000)) == {
        image: [f"{image - 1:05d}.jpg"] if image <= 2500 else [] for image in range(1, 40_000)
    }


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


def test_a_path_with_odd_characters_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1 日本" / "catalog.sqlite"
    path.parent.mkdir()
    create_catalog(path, {"vocabulary": "abc"})
    assert path.is_file()
    assert Catalog(path).meta["vocabulary"] == "abc"


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 500])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(content)
    with pytest.raises(StoreError):
        Catalog(tmp_path / "catalog.sqlite")
    assert (tmp_path / "catalog.sqlite").read_bytes() == content
    assert not is_intact(tmp_path / "catalog.sqlite")


def test_reading_makes_no_file(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StoreError):
        Catalog(tmp_path / "nowhere.sqlite")
    assert names(path) == []
    assert os.listdir(tmp_path) == ["catalog.sqlite"]


def tampered(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TABLE meta", "its tables are not those of an index"),
        (f"UPDATE meta SET value = '{FORMAT_VERSION + 1}' WHERE key = 'version'", f"format {FORMAT_VERSION + 1}"),
        ("UPDATE meta SET value = '{' WHERE key = 'vocabulary'", "damaged"),
        ("UPDATE meta SET value = x'00ff' WHERE key = 'vocabulary'", "damaged"),
    ],
)
def test_another_database_or_version_is_refused(path: Path, statement: str, told: str) -> None:
    tampered(path, statement)
    with pytest.raises(StoreError, match=told):
        Catalog(path)


def test_every_byte_is_covered_by_the_digest(path: Path) -> None:
    add(path, {"a.jpg": 1})
    content = path.read_bytes()
    for place in [*range(0, len(content), 997), *range(len(content) - DIGEST_BYTES - 1, len(content))]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not is_intact(path)
    for changed in (content[:-1], content + b"\0", content[:-DIGEST_BYTES]):
        path.write_bytes(changed)
        assert not is_intact(path)
    path.write_bytes(content)
    assert is_intact(path)


def test_other_programs_can_read_it(path: Path, tmp_path: Path) -> None:
    add(path, {"a.jpg": 1})
    shutil.copy(path, tmp_path / "copy.sqlite")
    connection = sqlite3.connect(tmp_path / "copy.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT name FROM names").fetchall() == [("a.jpg",)]
    connection.close()
