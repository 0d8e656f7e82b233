from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

import featmatch
from featmatch import Index, StoreError, Vocabulary, check
from featmatch.cli import cli
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems
from featmatch.store.database import is_intact
from featmatch.store.generation import change_catalog
from featmatch.store.layout import segment_folder
from featmatch.store.segment import MANIFEST, damaged_files
from featmatch.store.values import DIGEST_BYTES
from tools import forging
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 7)


@pytest.fixture(scope="module")
def built(pictures: list[Path], small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments of three images each, one of them removed. Not to be written to."""
    folder = tmp_path_factory.mktemp("built") / "index"
    index = small_index(folder, small_words)
    index.add(pictures[:3], jobs=1, text="first")
    index.add(pictures[3:6], jobs=1)
    index.remove([str(pictures[0])])
    return folder


def names(folder: Path) -> list[str]:
    return [record.name for record in Index.open(folder).images()]


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(bytes(content))


def in_catalog(folder: Path, *statements: str) -> None:
    """Change the catalogue as a faulty writer would, with a right checksum."""
    with change_catalog(folder / "catalog.sqlite") as change:
        for statement in statements:
            change._connection.execute(statement)


def rewrite(folder: Path, number: int, name: str, spoil: Callable[[Any], object]) -> None:
    """Change a column as a faulty writer would, with right checksums."""
    segment = segment_folder(folder, number)
    column = np.load(segment / f"{name}.npy")
    spoil(column)
    np.save(segment / f"{name}.npy", column)
    manifest = json.loads((segment / MANIFEST).read_text())
    manifest["files"][f"{name}.npy"]["sha256"] = hashlib.sha256((segment / f"{name}.npy").read_bytes()).hexdigest()
    (segment / MANIFEST).write_text(json.dumps(manifest))
    digest = hashlib.sha256((segment / MANIFEST).read_bytes()).hexdigest()
    in_catalog(folder, f"UPDATE segments SET manifest = x'{digest}' WHERE id = {number}")


def test_an_index_is_clean_as_it_was_written(built: Path) -> None:
    report = check(built)
    assert report
    assert report == featmatch.CheckReport([], [], [], [], [])


def test_any_flipped_byte_of_any_file_is_seen(folder: Path) -> None:
    random = np.random.default_rng(5)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "writer.lock"):
        content = path.read_bytes()
        places = {0, len(content) - 1, *random.integers(len(content), size=3).tolist()}
        for place in places:
            flip(path, place, int(random.integers(8)))
            try:
                assert not check(folder), (path, place)
            except StoreError:  # it cannot even be read
                assert path.name == "catalog.sqlite"
            path.write_bytes(content)
    assert check(folder)


@pytest.mark.parametrize("name", ["x.npy", MANIFEST, "vocabulary.npz"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    path = next(folder.rglob(name))
    path.unlink()
    assert any(name in problem for problem in check(folder).problems)


def test_a_missing_folder_is_named_and_repaired(folder: Path, pictures: list[Path]) -> None:
    shutil.rmtree(folder / "segments")
    assert len(check(folder).problems) == 2
    assert check(folder, repair=True)
    Index.open(folder).add(pictures[1:6], jobs=1)
    assert len(names(folder)) == 5
    assert check(folder)


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("offsets", 5, 1 << 30, "overlap|fit"),
        ("image", 0, 3, "posting names an image that is not there"),
        ("ids", 0, 99, "image 1 is not in it"),
        ("ids", 0, 2, "another has"),
        ("widths", 1, 7, "image 2 is not as the catalogue has it"),
        ("features", 2, 7, "image 3 is not as the catalogue has it"),
        ("features", 0, 7, "image 1 is not as the catalogue has it"),
    ],
)
def test_what_a_faulty_writer_would_write_is_named(folder: Path, name: str, place: int, value: int, told: str) -> None:
    rewrite(folder, 1, name, lambda column: column.__setitem__(place, value))
    problems = "\n".join(check(folder).problems)
    assert "segments/000001" in problems
    assert np.any([part in problems for part in told.split("|")]), problems


def test_posting_lists_out_of_order_are_named(folder: Path) -> None:
    offsets = np.load(segment_folder(folder, 1) / "offsets.npy")
    image = np.load(segment_folder(folder, 1) / "image.npy")
    spans = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    first, last = next((a, b) for a, b in spans if b > a and image[a] < image[b - 1])
    rewrite(folder, 1, "image", lambda column: column.__setitem__(slice(first, last), column[first:last][::-1].copy()))
    assert any("not in order" in problem for problem in check(folder).problems)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE segments SET images = 4 WHERE id = 2", "segments/000002: the catalogue's counts do not fit"),
        (
            "UPDATE images SET features = features + 1 WHERE id = 5",
            "segments/000002: the catalogue's counts do not fit",
        ),
        ("DELETE FROM names WHERE image = 5", "no name of image 5"),
        ("DELETE FROM images WHERE id = 5", "no image of name 5"),
        ("UPDATE images SET segment = 9 WHERE id = 5", "no such segment of image 5"),
        ("INSERT INTO tombstones VALUES (5, 2, 1)", "both live and removed is image 5"),
        ("DELETE FROM searched WHERE rowid = 3", "the words are not those of name 3"),
        ("UPDATE searched SET words = 'others' WHERE rowid = 3", "the words are not those of name 3"),
        ("INSERT INTO searched (rowid, words) VALUES (9, 'more')", "words, but no name 9"),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_named_and_repaired(
    folder: Path, pictures: list[Path], statement: str, told: str
) -> None:
    in_catalog(folder, statement)
    assert any(told in problem for problem in check(folder).problems)
    if told == "tables":
        return
    report = check(folder, repair=True)
    assert report, report.remaining
    Index.open(folder).add(pictures[1:6], jobs=1)
    assert check(folder)
    assert sorted(names(folder)) == [str(path) for path in pictures[1:6]]


def test_what_is_no_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        check(tmp_path)


def test_another_version_is_an_error(folder: Path) -> None:
    in_catalog(folder, "UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(StoreError, match="format 99"):
        check(folder)


def test_a_damaged_segment_is_taken_out_and_its_images_come_back_as_they_were(
    folder: Path, pictures: list[Path]
) -> None:
    before = list(Index.open(folder).images())
    flip(segment_folder(folder, 1) / "signature.npy", 500)
    report = check(folder, repair=True)
    assert report
    assert any("signature.npy" in problem for problem in report.problems)
    assert any("000001" in repair for repair in report.repairs)
    assert report.queued == [str(path) for path in pictures[1:3]]
    assert not segment_folder(folder, 1).exists()
    assert check(folder).queued == report.queued
    index = Index.open(folder)
    assert names(folder) == [str(path) for path in pictures[3:6]]
    assert index.info().queued == 2
    assert index.query(pictures[1]) == []
    assert index.add(pictures[1:6], jobs=1).added == [str(path) for path in pictures[1:3]]
    assert list(index.images()) == before
    assert [match.name for match in index.query(pictures[1])] == [str(pictures[1])]
    assert check(folder) == featmatch.CheckReport([], [], [], [], [])


def test_a_damaged_catalogue_that_can_be_read_is_mended_by_content(folder: Path, pictures: list[Path]) -> None:
    catalog = folder / "catalog.sqlite"
    content = catalog.read_bytes()
    name = str(pictures[4]).encode()
    assert content.count(name) >= 2  # in the table and in its index; among what can be searched it may be cut in two
    catalog.write_bytes(content.replace(name, name[:-1] + b"X"))
    assert not is_intact(catalog)
    report = check(folder, repair=True)
    assert report
    assert is_intact(catalog)
    added = Index.open(folder).add([pictures[4].parent], jobs=1, prune=True)
    assert str(pictures[4]) in added.added
    assert [name[-4:] for name in added.vanished] == [".pnX"]
    assert check(folder)


def test_a_catalogue_that_cannot_be_read_is_beyond_repair(folder: Path) -> None:
    (folder / "catalog.sqlite").write_bytes(b"nothing of it is left" * 100)
    for repair in (False, True):
        with pytest.raises(StoreError, match="beyond repair"):
            check(folder, repair=repair)


def test_a_catalogue_with_a_page_that_cannot_be_read_is_named(folder: Path) -> None:
    catalog = folder / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    (page,) = (
        page for page, name in Catalog(catalog).rows("SELECT rootpage, name FROM sqlite_master") if name == "names"
    )
    content[(page - 1) * 4096] = 77  # no kind of page
    catalog.write_bytes(bytes(content))
    assert any("malformed" in problem for problem in check(folder).problems)
    with pytest.raises(StoreError, match="beyond repair"):
        check(folder, repair=True)


def test_a_damaged_vocabulary_is_written_anew_where_it_is_known(folder: Path, tmp_path: Path) -> None:
    vocabulary = folder / "vocabulary.npz"
    content = vocabulary.read_bytes()
    stamp = content.index(b"PK\x03\x04") + 10  # a time within the archive, that no array depends on
    flip(vocabulary, stamp)
    assert check(folder, repair=True).repairs == ["wrote the vocabulary anew"]
    assert check(folder)
    vocabulary.write_bytes(content[:5000])
    report = check(folder, repair=True)
    assert (bool(report), report.repairs) == (False, [])
    Index.open(tmp_path / "shipped", create=True)
    (tmp_path / "shipped" / "vocabulary.npz").unlink()
    assert check(tmp_path / "shipped", repair=True)
    Index.open(tmp_path / "shipped")


def test_what_interrupted_writers_left_is_no_problem_and_is_cleared(folder: Path, pictures: list[Path]) -> None:
    left = [folder / "segments" / "000009", folder / "segments" / "000010.partial"]
    for path in left:
        shutil.copytree(segment_folder(folder, 1), path)
    (folder / "vocabulary.npz.123.partial").write_bytes(b"half")
    left.append(folder / "vocabulary.npz.123.partial")
    report = check(folder)
    assert report
    assert report.leftovers == sorted(map(str, left))
    assert len(check(folder, repair=True).repairs) == 3
    assert not check(folder).leftovers
    shutil.copytree(segment_folder(folder, 1), left[0])
    Index.open(folder).remove([str(pictures[1])])
    assert not left[0].exists()


def test_repairing_is_writing(folder: Path) -> None:
    with FileLock(folder / "writer.lock"):
        assert check(folder)
        with pytest.raises(StoreError, match="being written"):
            check(folder, repair=True)


def test_repairing_what_is_whole_changes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "writer.lock"}
    report = check(folder, repair=True)
    assert (bool(report), report.repairs) == (True, [])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "writer.lock"} == before


def test_a_check_while_a_writer_merges_looks_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def merged_meanwhile(path: Path, sha256: bytes) -> list[str]:
        if not calls:
            calls.append(path)
            Index.open(folder).compact()
        return damaged_files(path, sha256)

    monkeypatch.setattr("featmatch.store.checking.damaged_files", merged_meanwhile)
    assert check(folder)
    assert calls
    assert os.listdir(folder / "segments") == ["000003"]


def test_a_hit_beyond_the_images_is_an_error_and_not_a_crash(folder: Path, pictures: list[Path]) -> None:
    path = segment_folder(folder, 2) / "image.npy"
    column = np.load(path)
    column[:] = 1 << 31
    np.save(path, column)
    index = Index.open(folder)
    with pytest.raises(StoreError, match="posting"):
        index.query(pictures[4])


def test_the_digest_is_behind_the_last_page(folder: Path) -> None:
    connection = sqlite3.connect(folder / "catalog.sqlite")
    (size,) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    connection.close()
    assert (folder / "catalog.sqlite").stat().st_size == size + DIGEST_BYTES


def test_reports_are_true_where_nothing_remains() -> None:
    clean = featmatch.CheckReport([], [], [], [], [])
    assert clean
    assert dataclasses.replace(clean, problems=["a"], repairs=["b"])
    assert not dataclasses.replace(clean, problems=["a"], remaining=["a"])


def test_the_command_names_what_is_none_of_an_index(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    ended = CliRunner().invoke(cli, ["check", str(folder)], standalone_mode=False)
    assert ended.return_value == 0
    assert f"{folder / 'notes.txt'}: not part of an index; left alone" in ended.output


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE searched_data SET block = zeroblob(9)", "other words are found"),
        ("UPDATE searched_data SET block = x'ffffffffffff' WHERE id = 10", "cannot be looked up"),
        ("DELETE FROM searched_data WHERE id > 10", "cannot be looked up"),
    ],
)
def test_damaged_words_are_named(folder: Path, statement: str, told: str) -> None:
    forging.in_catalog(folder, statement)
    for _ in range(2):
        assert [told in problem for problem in check(folder).problems] == [True]
    catalog = Catalog(folder / "catalog.sqlite")
    list(catalog_problems(catalog))
    with pytest.raises(StoreError, match="readonly"):
        catalog.rows("CREATE TABLE more (x)")
