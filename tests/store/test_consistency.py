from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from featmatch.store import consistency
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems, count_problems, segment_problems, vocabulary_problems
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, VOCABULARY, segment_folder
from featmatch.store.segment import Segment
from featmatch.words.vocabulary import Vocabulary
from tests.store.segments import WORDS, make_index
from tools.forging import in_catalog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments, of images 1 to 3 and 4 to 5; image 2 was removed."""
    make_index(tmp_path, (3, 5, 0), (7, 40))
    with change_catalog(tmp_path / CATALOG) as change:
        change.remove(["2.jpg"])
    return tmp_path


def catalog_of(folder: Path) -> Catalog:
    return Catalog(folder / CATALOG)


def segment_of(folder: Path, number: int) -> Segment:
    record = next(record for record in catalog_of(folder).segments() if record.id == number)
    return Segment.open(segment_folder(folder, number), WORDS, record.manifest)


def problems_of(folder: Path, number: int, **changes: object) -> list[str]:
    """Of a segment with other columns."""
    segment = dataclasses.replace(segment_of(folder, number), **changes)  # type: ignore[arg-type]
    return list(segment_problems(segment, catalog_of(folder), number))


def test_what_fits_together_has_no_problems(folder: Path) -> None:
    assert list(catalog_problems(catalog_of(folder))) == []
    for record in catalog_of(folder).segments():
        assert list(count_problems(record, catalog_of(folder))) == []
        assert problems_of(folder, record.id) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM names WHERE image = 4", "there is no name of image 4"),
        ("DELETE FROM images WHERE id = 5", "there is no image of name 5"),
        ("UPDATE images SET segment = 9 WHERE id = 3", "there is no such segment of image 3"),
        ("UPDATE tombstones SET segment = 9", "there is no such segment of image 2"),
        ("INSERT INTO tombstones VALUES (3, 1, 0)", "both live and removed is image 3"),
    ],
)
def test_a_contradiction_in_the_catalogue_is_named(folder: Path, statement: str, told: str) -> None:
    in_catalog(folder, statement)
    assert [told] == [problem for problem in catalog_problems(catalog_of(folder)) if "words" not in problem]


def test_what_sqlite_tells_of_words_is_told_unless_it_is_told_already(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, told = Catalog.rows, ["malformed inverted index for FTS5 table main.searched", "row 3 missing from index"]

    def with_more(catalog: Catalog, statement: str, *values: object) -> list[tuple[object, ...]]:
        said = rows(catalog, statement, *values)
        return [(one,) for one in told] if statement.startswith("PRAGMA integrity_check") else said

    monkeypatch.setattr(Catalog, "rows", with_more)
    assert list(catalog_problems(Catalog(folder / CATALOG))) == told[::-1]
    in_catalog(folder, "UPDATE searched_data SET block = zeroblob(9)")
    assert list(catalog_problems(Catalog(folder / CATALOG))) == [
        told[1],
        "other words are found than those of the names",
    ]


def test_images_that_wait_are_in_no_segment_and_no_contradiction(folder: Path) -> None:
    with change_catalog(folder / CATALOG) as change:
        change.replace_segments([1], None)
    assert list(catalog_problems(catalog_of(folder))) == []


def test_at_most_twenty_of_a_kind_are_named(folder: Path) -> None:
    with change_catalog(folder / CATALOG) as change:
        for number in range(30):
            change.add_image(f"{100 + number:064x}", 7, (10, 10), 0, 1)
    in_catalog(folder, "DELETE FROM names WHERE image > 5")
    assert len([problem for problem in catalog_problems(catalog_of(folder)) if "no name of image" in problem]) == 20


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE segments SET images = images + 1", [1, 2]), ("UPDATE segments SET features = 9 WHERE id = 1", [1]),
        ("UPDATE images SET features = 8 WHERE id = 4", [2]), ("DELETE FROM tombstones", [1]),
    ],
)  # fmt: skip
def test_counts_that_do_not_fit_are_named(folder: Path, statement: str, wrong: list[int]) -> None:
    in_catalog(folder, statement)
    catalog = catalog_of(folder)
    assert [record.id for record in catalog.segments() if list(count_problems(record, catalog))] == wrong


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ids": [1, 2, 7]}, ["image 3 is not in it", "image 7 is not in the catalogue"]),
        ({"ids": [1, 7, 3]}, ["image 2 is not in it", "image 7 is not in the catalogue"]),
        ({"ids": [1, 1, 3]}, ["an image is in it twice", "image 2 is not in it", "image 1 is not as the catalogue"]),
        ({"features": [3, 5, 1]}, ["image 3 is not as the catalogue has it", "not as many postings as features"]),
        ({"features": [3, 4, 0]}, ["image 2 is not as the catalogue has it", "not as many postings as features"]),
    ],
)  # fmt: skip
def test_an_image_that_is_not_as_the_catalogue_has_it_is_named(
    folder: Path, changes: dict[str, list[int]], told: list[str]
) -> None:
    found = problems_of(folder, 1, **{name: np.array(values) for name, values in changes.items()})
    assert len([problem for problem in found if any(part in problem for part in told)]) >= len(told), found
    assert all(any(part in problem for problem in found) for part in told), found


@pytest.mark.parametrize("side", ["widths", "heights"])
def test_the_size_of_an_image_is_compared_unless_it_was_removed(folder: Path, side: str) -> None:
    segment = segment_of(folder, 1)
    for row, told in ((0, ["image 1 is not as the catalogue has it"]), (1, [])):
        changed = np.array(getattr(segment, side))
        changed[row] += 1
        assert problems_of(folder, 1, **{side: changed}) == told


@pytest.mark.parametrize("at_once", [1, 3, 10, 1 << 22])
def test_posting_lists_out_of_order_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(consistency, "_ROWS", at_once)
    assert problems_of(folder, 2) == []
    segment = segment_of(folder, 2)
    image = np.array(segment.postings.image)
    rises = np.flatnonzero(image[:-1] < image[1:])
    place = next(int(row) for row in rises if row + 1 not in segment.offsets)  # within one list
    image[[place, place + 1]] = image[[place + 1, place]]
    postings = dataclasses.replace(segment.postings, image=image)
    assert problems_of(folder, 2, postings=postings) == ["a posting list is not in order"]


@pytest.mark.parametrize("at_once", [1, 3, 1 << 22])
def test_postings_in_a_part_of_others_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("featmatch.store.segment.MANY_FEATURES", 0)
    monkeypatch.setattr("featmatch.store.segment._PART", 1)
    monkeypatch.setattr(consistency, "_ROWS", at_once)
    make_index(tmp_path, (30, 50))
    segment = segment_of(tmp_path, 1)
    assert segment.parts == 4
    assert problems_of(tmp_path, 1) == []
    signature = np.array(segment.postings.signature)
    signature[7] ^= np.uint64(1 << 62)
    postings = dataclasses.replace(segment.postings, signature=signature)
    assert problems_of(tmp_path, 1, postings=postings) == ["a posting list is not in order"]
    signature[7] ^= np.uint64(1 << 62 | 1 << 61)  # that bit tells of no part
    assert problems_of(tmp_path, 1, postings=dataclasses.replace(segment.postings, signature=signature)) == []


@pytest.mark.parametrize("at_once", [1, 1 << 22])
def test_postings_are_of_images_that_are_there_and_as_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(consistency, "_ROWS", at_once)
    segment = segment_of(folder, 2)
    beyond = dataclasses.replace(segment.postings, image=np.full_like(segment.postings.image, 2))
    assert problems_of(folder, 2, postings=beyond) == ["a posting names an image that is not there"]
    one = dataclasses.replace(segment.postings, image=np.zeros_like(segment.postings.image))
    assert problems_of(folder, 2, postings=one) == ["an image has not as many postings as features"]


def test_a_vocabulary_is_compared_with_what_the_catalogue_says_of_it(tmp_path: Path, small_words: Vocabulary) -> None:
    make_index(tmp_path)
    path = tmp_path / VOCABULARY
    assert vocabulary_problems(tmp_path, catalog_of(tmp_path), "sift")[1] == 0  # there is none
    small_words.save(path)
    problems, words = vocabulary_problems(tmp_path, catalog_of(tmp_path), "orb")
    assert words == 256
    assert problems == [
        f"{path} is not as it was written", f"{path} is another one than the index was made with",
        f"{path} is for sift, and the index for orb",
    ]  # fmt: skip
    assert len(vocabulary_problems(tmp_path, catalog_of(tmp_path), None)[0]) == 2
