from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from featmatch.catalog import FORMAT_VERSION, Catalog, ImageRecord
from featmatch.errors import StoreError

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


def record(number: int, name: str, features: int = 10, text: str | None = None) -> ImageRecord:
    return ImageRecord(
        number, name, bytes=100 + number, mtime_ns=1_700_000_000_000_000_000 + number, sha256=f"{number:064x}",
        width=640, height=480, features=features, text=text,
    )  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.create(tmp_path / "catalog.sqlite", {"features": {"detector": "sift"}, "vocabulary": "abc"})


def state(catalog: Catalog) -> tuple[object, ...]:
    return list(catalog.images()), catalog.live(), catalog.totals(), catalog.next_numbers(), catalog.meta()


def test_a_new_catalogue_is_empty_and_keeps_its_description(catalog: Catalog) -> None:
    meta = catalog.meta()
    assert meta["features"] == {"detector": "sift"}
    assert meta["vocabulary"] == "abc"
    assert list(catalog.images()) == []
    assert catalog.live() == ([], set())
    assert catalog.totals() == (0, 0, 0)
    assert catalog.next_numbers() == (1, 1)
    assert catalog.stamps() == {}


def test_what_was_added_is_there(catalog: Catalog) -> None:
    records = [record(1, "a.jpg", 30), record(2, "b.jpg", 12, text="of the sea")]
    catalog.add(1, 42, records)
    assert list(catalog.images()) == records
    assert catalog.live() == ([1], set())
    assert catalog.totals() == (2, 42, 0)
    assert catalog.names([2, 1, 77]) == {1: "a.jpg", 2: "b.jpg"}
    assert catalog.names([]) == {}
    assert catalog.stamps() == {r.name: (r.bytes, r.mtime_ns) for r in records}
    assert catalog.next_numbers() == (3, 2)


def test_an_image_of_the_same_name_replaces_the_older_one(catalog: Catalog) -> None:
    catalog.add(1, 20, [record(1, "a.jpg"), record(2, "b.jpg")])
    newer = record(3, "a.jpg", 25)
    catalog.add(2, 25, [newer])
    assert list(catalog.images()) == [record(2, "b.jpg"), newer]
    assert catalog.live() == ([1, 2], {1})
    assert catalog.totals() == (2, 35, 1)
    assert catalog.stamps()["a.jpg"] == (newer.bytes, newer.mtime_ns)


def test_removing_returns_the_names_that_were_there(catalog: Catalog) -> None:
    catalog.add(1, 20, [record(1, "a.jpg"), record(2, "b.jpg")])
    assert catalog.remove(["b.jpg", "nowhere.jpg", "b.jpg"]) == ["b.jpg"]
    assert [image.name for image in catalog.images()] == ["a.jpg"]
    assert catalog.live() == ([1], {2})
    assert catalog.totals() == (1, 10, 1)
    assert "b.jpg" not in catalog.stamps()
    assert catalog.remove(["b.jpg"]) == []


def test_names_of_removed_images_are_still_known_by_number(catalog: Catalog) -> None:
    catalog.add(1, 10, [record(1, "a.jpg")])
    catalog.remove(["a.jpg"])
    assert catalog.names([1]) == {1: "a.jpg"}


def test_a_removed_image_can_come_back(catalog: Catalog) -> None:
    catalog.add(1, 10, [record(1, "a.jpg")])
    catalog.remove(["a.jpg"])
    catalog.add(2, 10, [record(2, "a.jpg")])
    assert list(catalog.images()) == [record(2, "a.jpg")]
    assert catalog.live() == ([1, 2], {1})


def test_numbers_are_never_used_again(catalog: Catalog) -> None:
    catalog.add(1, 20, [record(1, "a.jpg"), record(2, "b.jpg")])
    catalog.remove(["a.jpg", "b.jpg"])
    assert catalog.next_numbers() == (3, 2)
    with pytest.raises(StoreError):
        catalog.add(2, 10, [record(2, "c.jpg")])
    with pytest.raises(StoreError):
        catalog.add(1, 10, [record(3, "c.jpg")])


def test_odd_names_come_back_as_they_were(catalog: Catalog) -> None:
    catalog.add(1, 10, [record(number, name) for number, name in enumerate(ODD_NAMES, 1)])
    assert [image.name for image in catalog.images()] == ODD_NAMES
    assert set(catalog.stamps()) == set(ODD_NAMES)
    assert catalog.names(range(1, len(ODD_NAMES) + 1)) == dict(enumerate(ODD_NAMES, 1))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_can_be_replaced_and_removed(catalog: Catalog, name: str) -> None:
    catalog.add(1, 10, [record(1, name), record(2, "other.jpg")])
    catalog.add(2, 10, [record(3, name)])
    assert [image.id for image in catalog.images()] == [2, 3]
    assert catalog.remove([name]) == [name]
    assert [image.id for image in catalog.images()] == [2]


def test_an_addition_that_fails_changes_nothing(catalog: Catalog) -> None:
    catalog.add(1, 20, [record(1, "a.jpg"), record(2, "b.jpg")])
    before = state(catalog)
    number_used_before = [record(3, "a.jpg"), record(1, "c.jpg")]
    same_name_twice = [record(3, "a.jpg"), record(4, "c.jpg"), record(5, "c.jpg")]
    incomplete = [record(3, "a.jpg"), dataclasses.replace(record(4, "c.jpg"), sha256=None)]  # type: ignore[arg-type]
    for records in (number_used_before, same_name_twice, incomplete):
        with pytest.raises(StoreError):
            catalog.add(2, 10, records)
        assert state(catalog) == before


def test_a_removal_that_is_interrupted_changes_nothing(catalog: Catalog) -> None:
    catalog.add(1, 20, [record(1, "a.jpg"), record(2, "b.jpg")])
    before = state(catalog)

    def names() -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.remove(name for part in ("a.jpg", "") for name in ([part] if part else names()))
    assert state(catalog) == before


def test_a_reader_sees_what_was_committed_by_another(catalog: Catalog, tmp_path: Path) -> None:
    reader = Catalog(tmp_path / "catalog.sqlite")
    catalog.add(1, 10, [record(1, "a.jpg")])
    assert list(reader.images()) == [record(1, "a.jpg")]


def test_a_path_with_odd_characters_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1 日本" / "catalog.sqlite"
    path.parent.mkdir()
    Catalog.create(path, {"vocabulary": "abc"})
    assert path.is_file()
    assert Catalog(path).meta()["vocabulary"] == "abc"


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 500])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(content)
    with pytest.raises(StoreError):
        Catalog(tmp_path / "catalog.sqlite").meta()
    assert (tmp_path / "catalog.sqlite").read_bytes() == content


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Catalog(tmp_path / "catalog.sqlite").meta()
    assert list(tmp_path.iterdir()) == []


def test_another_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.execute("CREATE TABLE meta (something TEXT)")
    connection.close()
    with pytest.raises(StoreError):
        Catalog(tmp_path / "catalog.sqlite").meta()


def test_another_version_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (str(FORMAT_VERSION + 1),))
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=str(FORMAT_VERSION + 1)):
        catalog.meta()


def test_a_description_that_is_no_json_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.execute("UPDATE meta SET value = '{' WHERE key = 'vocabulary'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError):
        catalog.meta()
