from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from featmatch.errors import StoreError
from featmatch.store.catalog import FORMAT_VERSION, Catalog, is_intact
from featmatch.store.generation import create_catalog
from featmatch.store.records import SegmentRecord, Totals
from featmatch.store.values import DIGEST_BYTES
from tests.store.catalogues import add, live, names, record, remove, sha

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


def test_odd_names_come_back_as_they_were(path: Path) -> None:
    add(path, {name: number for number, name in enumerate(ODD_NAMES)})
    assert names(path) == Catalog(path).names() == ODD_NAMES
    assert set(Catalog(path).stamps()) == set(ODD_NAMES)
    for name in ODD_NAMES:
        assert remove(path, name) == [name]
    assert names(path) == []


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
