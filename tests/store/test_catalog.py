from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from featmatch.errors import MissingFeatureError, StoreError, UsageError
from featmatch.store.catalog import TEXT_SEARCH, Catalog
from featmatch.store.database import is_intact
from featmatch.store.generation import change_catalog, create_catalog
from featmatch.store.open_catalog import PARTS_VERSION
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
    for nothing in (list(catalog.images()), list(catalog.names()), catalog.queued(), catalog.segments()):
        assert not nothing
    assert catalog.removed() == frozenset()
    assert catalog.totals() == Totals(0, 0, 0, 0, 0)
    assert catalog.stamps_of(["a.jpg"]) == {}
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
    assert catalog.stamps_of([*(r.name for r in expected), "z.jpg"]) == {
        r.name: (r.bytes, r.mtime_ns) for r in expected
    }
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
    assert names(path) == list(Catalog(path).names()) == ODD_NAMES
    assert set(Catalog(path).stamps_of(ODD_NAMES)) == set(ODD_NAMES)
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
        (f"UPDATE meta SET value = '{PARTS_VERSION + 1}' WHERE key = 'version'", f"format {PARTS_VERSION + 1}"),
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


def test_names_lead_to_contents_and_contents_to_files(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2, "caf\udce9.jpg": 1})
    catalog = Catalog(path)
    assert catalog.content_named("b.jpg") == sha(2)
    assert catalog.content_named("caf\udce9.jpg") == sha(1)
    assert catalog.content_named("c.jpg") is None
    stamp = (101, 1_700_000_000_000_000_001)
    assert catalog.files_of(1) == [("a.jpg", stamp), ("caf\udce9.jpg", stamp)]
    assert catalog.files_of(9) == []


def test_words_restrict_what_is_listed(path: Path) -> None:
    add(path, {"harbour.jpg": 1, "at sea.jpg": 2, "harbour at sea.jpg": 1})
    catalog = Catalog(path)
    assert [image.name for image in catalog.images("sea")] == ["at sea.jpg", "harbour at sea.jpg"]
    assert catalog.fitting("harbour") == [1]
    assert catalog.fitting("sea") == [1, 2]
    assert catalog.fitting("nowhere") == []
    assert catalog.names_of([1, 2], "sea") == {1: ["harbour at sea.jpg"], 2: ["at sea.jpg"]}
    for use in (lambda: list(catalog.images("?")), lambda: catalog.fitting("?"), lambda: catalog.names_of([1], "?")):
        with pytest.raises(UsageError, match="no word"):
            use()


def test_words_need_a_writer_that_could_keep_them(path: Path) -> None:
    with change_catalog(path) as change:
        change.describe(TEXT_SEARCH, False)
    with_words = Catalog(path)
    assert with_words.meta[TEXT_SEARCH] is True  # the writer that can keep them catches up
    tampered(path, "UPDATE meta SET value = 'false' WHERE key = ?", TEXT_SEARCH)
    with pytest.raises(MissingFeatureError, match="wrote the index last"):
        Catalog(path).fitting("sea")


def test_images_that_wait_are_not_listed_but_keep_their_verdicts(path: Path) -> None:
    add(path, {"a.jpg": 1, "b.jpg": 2})
    assert not Catalog(path).has_verdicts
    with change_catalog(path) as change:
        change.judge(sha(1), sha(2), False)
        change.replace_segments([1], None)
    catalog = Catalog(path)
    assert catalog.has_verdicts
    assert catalog.verdicts() == {(1, 2): False}
    assert catalog.verdicts_of(sha(1)) == {sha(2): False}
    assert catalog.verdicts_of(sha(3)) == {}
    assert (catalog.stamps_of(["a.jpg"]), catalog.fitting("a")) == ({}, [1])
    assert list(catalog.names()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("value", "folder"), [("/photos", "/photos"), ("photos", None), (7, None), ("/a\0b", None), (None, None)]
)
def test_a_kept_folder_is_an_absolute_path(path: Path, value: object, folder: str | None) -> None:
    with change_catalog(path) as change:
        change.describe("base", value)
    assert Catalog(path).folder("base") == folder


def test_another_version_is_told_though_its_tables_are_others(path: Path) -> None:
    tampered(path, f"UPDATE meta SET value = '{PARTS_VERSION + 1}' WHERE key = 'version'")
    tampered(path, "CREATE TABLE more (x)")
    with pytest.raises(StoreError, match=f"format {PARTS_VERSION + 1}"):
        Catalog(path)


def test_words_need_an_sqlite_that_was_built_with_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(path, {"a.jpg": 1})
    monkeypatch.setattr("featmatch.store.text_search.is_available", lambda execute: False)
    with pytest.raises(MissingFeatureError, match="built without FTS5"):
        Catalog(path).fitting("a")
    assert len(list(Catalog(path).images())) == 1


def test_names_are_found_by_how_they_begin(path: Path) -> None:
    names = ["a.pdf#page=2", "a.pdf", "a.pdf#page=10", "a.pdf#other", "b\udce9.pdf#page=1", "a.pdf#page=\udce9"]
    add(path, {name: number for number, name in enumerate(names, 1)})
    catalog = Catalog(path)
    assert catalog.names_beginning(["a.pdf#page="]) == [names[0], names[2], names[5]]
    assert catalog.names_beginning(["b\udce9.pdf#page=", "c", "a.pdf#page=1", "a.pdf#page="]) == [
        names[0], names[2], names[4], names[5],
    ]  # fmt: skip
    assert catalog.names_beginning(f"{number}" for number in range(1000)) == catalog.names_beginning([]) == []


def test_sizes_are_those_of_images_that_can_be_found(path: Path) -> None:
    segment = add(path, {"a.jpg": 1})
    add(path, {"b.jpg": 2, "c.jpg": 3})
    with change_catalog(path) as change:
        change.replace_segments([segment], None)
    assert Catalog(path).sizes_among(range(5000)) == {102, 103}
