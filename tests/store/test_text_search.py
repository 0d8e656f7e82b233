"""Looking names up by words: in the catalogue, in the index, on the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from featmatch.errors import MissingFeatureError, StoreError, UsageError
from featmatch.images.metadata import Metadata
from featmatch.store import text_search
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems
from featmatch.store.generation import change_catalog, create_catalog
from tools.forging import in_catalog

NAMES = {
    "photos/Harbour_2019.jpg": 1,
    "photos/harbour-2020.jpg": 2,
    "photos/Café/Größe.jpg": 3,
    "写真/東京港の夜.jpg": 4,
    "写真/東の京都.jpg": 5,
    "latin-1 caf\udce9.jpg": 6,
    "copy of harbour.jpg": 1,
}


def problems(catalog: Catalog) -> list[str]:
    return list(text_search.problems(catalog.rows, catalog.sources[0].select, "main"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_catalog(tmp_path / "catalog.sqlite", {"features": {}, "vocabulary": "abc"})
    add(tmp_path / "catalog.sqlite", NAMES)
    return tmp_path / "catalog.sqlite"


def add(path: Path, names: dict[str, int], text: str | None = None, metadata: Metadata | None = None) -> None:
    with change_catalog(path) as change:
        segment = change.next_segment()
        change.add_segment(segment, len(names), 0, bytes(32))
        for name, content in names.items():
            sha = f"{content:064x}"
            image = change.image_with(sha) or change.add_image(sha, 9, (64, 48), 0, segment, metadata)
            change.name(name, image, 1, text)


def found(path: Path, match: str) -> list[str]:
    assert list(catalog_problems(Catalog(path))) == []
    return [record.name for record in Catalog(path).images(match)]


@pytest.mark.parametrize(
    ("match", "contents"),
    [
        ("harbour", [1, 2, 1]),
        ("HARB 2019", [1]),
        ("2019 harbour photos", [1]),
        ("harbour_2019.jpg", [1]),
        ("arbour", []),
        ("harbour cafe", []),
        ("cafe", [3]),
        ("cafe\u0301 GRÖSSE", [3]),
        ("ＣＡＦＥ", [3]),  # noqa: RUF001  # full width
        ("東京", [4]),
        ("京", [4, 5]),
        ("京 夜", [4]),
        ("写真", [4, 5]),
        ("caf", [3, 6]),
        ("caf\udce9", [3, 6]),
        ("!!! harbour ☃", [1, 2, 1]),
    ],
)
def test_all_words_must_be_there_whole_or_as_a_beginning(path: Path, match: str, contents: list[int]) -> None:
    assert [NAMES[name] for name in found(path, match)] == contents
    assert Catalog(path).fitting(match) == sorted(set(contents))


@pytest.mark.parametrize(
    "odd",
    [
        'say "harbour', "harbour*", "(harbour", "harbour AND", "NOT harbour", "words:harbour", "^harbour", "a\0b",
        "{-}a", "'; DROP TABLE names; --", "harbour NEAR(a b)", "\ud800x", "+harbour-", "harbour " * 3000,
        "x" * 100_000,
    ],
)  # fmt: skip
def test_nothing_is_an_operator(path: Path, odd: str) -> None:
    assert isinstance(found(path, odd), list)
    assert len(found(path, "harbour*")) == 3


@pytest.mark.parametrize("empty", ["", "  ", '"', "!!", "_-./", "☃", "\udce9"])
def test_no_words_is_a_usage_error(path: Path, empty: str) -> None:
    with pytest.raises(UsageError, match="no word"):
        found(path, empty)


def test_text_caption_camera_and_date_are_searched(path: Path) -> None:
    add(path, {"a.jpg": 20}, "of the sea", Metadata("JPEG", "2018-05-03T10:20:30", "Canon EOS 5D", "Ein Schiff"))
    add(path, {"same.jpg": 20})
    assert found(path, "sea") == ["a.jpg"]
    for match in ("canon 5d", "schiff", "2018", "2018-05", "2018-05-03"):
        assert found(path, match) == ["a.jpg", "same.jpg"]
    assert Catalog(path).names_of([20 - 13], "sea") == {7: ["a.jpg"]}
    (first, *_) = Catalog(path).images("sea")
    assert (first.format, first.taken, first.camera, first.caption) == (
        "JPEG", "2018-05-03T10:20:30", "Canon EOS 5D", "Ein Schiff",
    )  # fmt: skip


def test_it_is_in_step_with_what_is_removed_and_changed(path: Path) -> None:
    with change_catalog(path) as change:
        change.remove(["photos/Harbour_2019.jpg"])
    assert found(path, "harbour") == ["photos/harbour-2020.jpg", "copy of harbour.jpg"]
    add(path, {"copy of harbour.jpg": 8}, "at night", Metadata(caption="ships"))
    assert found(path, "night") == found(path, "ships") == ["copy of harbour.jpg"]
    add(path, {"copy of harbour.jpg": 9}, "at noon")
    assert found(path, "night") == found(path, "ships") == []
    assert found(path, "noon") == ["copy of harbour.jpg"]
    with change_catalog(path) as change:
        change.remove(["copy of harbour.jpg"])
        change.shrink()
        change.name("later harbour.jpg", 2, 1)
    assert found(path, "harbour") == ["photos/harbour-2020.jpg", "later harbour.jpg"]


def test_what_waits_to_be_added_again_is_not_found_until_it_is(path: Path) -> None:
    with change_catalog(path) as change:
        change.replace_segments([1], None)
    assert found(path, "harbour") == []
    add(path, NAMES)
    assert len(found(path, "harbour")) == 3


def test_without_fts5_only_looking_up_fails_and_another_writer_catches_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_module(connection: sqlite3.Connection) -> bool:
        del connection
        return False

    with monkeypatch.context() as without:
        without.setattr(text_search, "is_available", no_module)
        with pytest.raises(MissingFeatureError, match="FTS5"):
            found(path, "harbour")
        with change_catalog(path) as change:
            change.remove(["photos/Harbour_2019.jpg"])
        assert list(catalog_problems(Catalog(path))) == []
        assert len(list(Catalog(path).images())) == 6
    with pytest.raises(MissingFeatureError, match="FTS5"):
        found(path, "harbour")
    add(path, {"new harbour.jpg": 30})
    assert found(path, "harbour") == ["photos/harbour-2020.jpg", "copy of harbour.jpg", "new harbour.jpg"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE searched SET words = 'others' WHERE rowid = {}", ["the words are not those of name {}"]),
        ("DELETE FROM searched WHERE rowid = {}", ["the words are not those of name {}"]),
        ("DELETE FROM names WHERE id = {}", ["there are words, but no name {}"]),
    ],
)
@pytest.mark.parametrize("name", [1, 4, 7])
def test_words_out_of_step_are_named(path: Path, name: int, statement: str, told: list[str]) -> None:
    assert problems(Catalog(path)) == []
    in_catalog(path.parent, statement.format(name))
    assert problems(Catalog(path)) == [one.format(name) for one in told]


@pytest.mark.parametrize("words", ["'others'", "c0 || ' more'", "replace(c0, 'photos', '')"])
def test_words_that_are_found_otherwise_than_they_are_kept_are_named(path: Path, words: str) -> None:
    in_catalog(path.parent, f"UPDATE searched_content SET c0 = {words} WHERE id = 2")
    assert problems(Catalog(path)) == [
        "other words are found than those of the names", "the words are not those of name 2",
    ]  # fmt: skip


def test_looking_for_problems_leaves_nothing_behind(path: Path) -> None:
    catalog = Catalog(path)
    problems(catalog)
    assert catalog.rows("SELECT name FROM sqlite_temp_master") == []
    assert catalog.rows("PRAGMA query_only") == [(1,)]


def test_problems_of_many_names_are_found_page_by_page(path: Path) -> None:
    add(path, {f"{number}.jpg": 7 for number in range(2000)})
    in_catalog(path.parent, "UPDATE searched SET words = 'others' WHERE rowid IN (999, 1000, 1001, 1999, 2007)")
    told = problems(Catalog(path))
    assert told == [f"the words are not those of name {name}" for name in (999, 1000, 1001, 1999, 2007)]


@pytest.mark.parametrize("column", ["name", "text", "taken", "camera", "caption"])
def test_only_text_has_words(path: Path, column: str) -> None:
    table = "names" if column in ("name", "text") else "images"
    value = "7" if column == "name" else "x'00'"  # in the others SQLite makes text of numbers
    in_catalog(path.parent, f"UPDATE {table} SET {column} = {value} WHERE id = 2")
    with pytest.raises(StoreError, match="is no text"):
        problems(Catalog(path))
