"""Files that change, move, vanish, or are there twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from featmatch import Index, UsageError, Vocabulary, check
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 6)


@pytest.fixture
def collection(pictures: list[Path], tmp_path: Path) -> Path:
    """a.png and deep/b.png, of two contents."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    shutil.copy(pictures[0], tmp_path / "photos" / "a.png")
    shutil.copy(pictures[1], tmp_path / "photos" / "deep" / "b.png")
    return tmp_path / "photos"


@pytest.fixture
def index(small_words: Vocabulary, tmp_path: Path) -> Index:
    return small_index(tmp_path / "index", small_words)


def names(index: Index) -> list[str]:
    return [record.name for record in index.images()]


def found(index: Index, picture: Path) -> list[str]:
    return [match.name for match in index.query(picture)]


def save_scan(pictures: list[Path], path: Path) -> Path:
    first, *others = [Image.open(picture) for picture in pictures]
    first.save(path, save_all=True, append_images=others)
    return path


# Copies


def test_copies_are_stored_once_and_found_under_all_their_names(
    index: Index, pictures: list[Path], tmp_path: Path
) -> None:
    copies = [tmp_path / f"copy {number}.png" for number in range(4)]
    for copy in copies:
        shutil.copy(pictures[0], copy)
    expected = [str(copy) for copy in copies]
    assert index.add(copies[:2], jobs=1).added == expected[:2]  # in one go
    assert index.add(copies[2:], jobs=1).added == expected[2:]  # of what is there
    info = index.info()
    assert (info.images, info.segments) == (4, 1)
    assert info.features == next(iter(index.images())).features
    matches = index.query(pictures[0])
    assert [match.name for match in matches] == expected
    assert len({(match.id, match.score, match.inliers) for match in matches}) == 1
    assert [match.name for match in index.query(pictures[0], limit=2)] == expected[:2]
    index.remove(expected[:3])
    assert found(index, pictures[0]) == expected[3:]
    index.remove(expected[3:])
    assert found(index, pictures[0]) == []
    assert check(index.folder)


def test_text_belongs_to_the_name(index: Index, pictures: list[Path], tmp_path: Path) -> None:
    shutil.copy(pictures[0], tmp_path / "copy.png")
    index.add([pictures[0]], jobs=1, text="one")
    index.add([tmp_path / "copy.png"], jobs=1, text="two")
    os.utime(pictures[0], ns=(5, 5))
    index.add([pictures[0]], jobs=1, text="touched")
    assert [record.text for record in index.images()] == ["one", "two"]


# Changes


def test_a_renamed_file_is_not_extracted_again(index: Index, collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add([collection], jobs=1)
    (collection / "a.png").rename(collection / "renamed.png")
    with monkeypatch.context() as patch:
        patch.setattr("featmatch.adding.batches.index_file", None)
        report = index.add([collection], jobs=1, prune=True)
    assert report.added == [str(collection / "renamed.png")]
    assert report.vanished == [str(collection / "a.png")]
    assert found(index, collection / "renamed.png") == [str(collection / "renamed.png")]
    assert index.info().removed == 0


def test_files_that_swap_their_contents_swap_their_names(index: Index, collection: Path, tmp_path: Path) -> None:
    index.add([collection], jobs=1)
    one, two = collection / "a.png", collection / "deep" / "b.png"
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    for path in (one, two):
        os.utime(path, ns=(7, 7))
    index.add([collection], jobs=1)
    assert found(index, one) == [str(one)]
    assert found(index, two) == [str(two)]
    assert check(index.folder)


def test_pixels_are_compared_with_files_as_they_were_indexed_only(
    index: Index, collection: Path, pictures: list[Path], tmp_path: Path
) -> None:
    one, two = collection / "a.png", collection / "b.png"
    shutil.copy(one, two)
    index.add([collection], jobs=1)

    def scores() -> list[float]:
        return [match.score for match in index.query(pictures[0])]

    whole = scores()
    one.write_bytes(pictures[3].read_bytes())  # another picture of the same size; the other file still bears witness
    assert scores() == whole == whole[:1] * 2
    two.unlink()
    (less,) = set(scores())
    shutil.copy(pictures[3], one)
    assert set(scores()) == {less}


# A root


def test_names_are_relative_to_the_root_and_a_collection_can_be_moved(
    small_words: Vocabulary, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_index(tmp_path / "index", small_words)
    opened = Index.open(tmp_path / "index", root=collection)
    opened.add([collection], jobs=1)
    assert names(opened) == ["a.png", os.path.join("deep", "b.png")]
    assert opened.info().root == str(collection)
    assert Index.open(tmp_path / "index").path_of("a.png") == str(collection / "a.png")
    moved = tmp_path / "elsewhere" / "photos"
    moved.parent.mkdir()
    collection.rename(moved)
    assert Index.open(tmp_path / "index", root=moved).path_of("a.png") == str(moved / "a.png")
    assert Index.open(tmp_path / "index").root == str(collection)  # until something is added
    monkeypatch.chdir(moved)
    report = Index.open(tmp_path / "index", root=".").add(["."], jobs=1, prune=True)
    assert (report.added, len(report.skipped), report.vanished) == ([], 2, [])
    kept = Index.open(tmp_path / "index")
    assert kept.root == str(moved)
    (moved / "a.png").unlink()
    assert kept.add(["deep"], jobs=1, prune=True).vanished == []
    assert kept.add([moved], jobs=1, prune=True).vanished == ["a.png"]


def test_pixels_of_a_moved_collection_are_compared(index: Index, collection: Path, tmp_path: Path) -> None:
    Index.open(index.folder, root=collection).add([collection])
    picture = (collection / "a.png").read_bytes()
    moved = collection.rename(tmp_path / "elsewhere")
    (lost,) = Index.open(index.folder).query(picture)
    (seen,) = Index.open(index.folder, root=moved).query(picture)
    assert lost.proof.evidence.is_coarse  # by the small picture of the index
    assert not seen.proof.evidence.is_coarse
    assert seen.proof.evidence.agreement == pytest.approx(1.0, abs=0.01)
    shutil.copy(moved / "a.png", moved / "copy.png")
    kept = Index.open(index.folder, root=moved)
    kept.add([moved])
    (moved / "a.png").unlink()  # it is still there under its other name
    assert [match.name for match in kept.query(picture)] == ["a.png", "copy.png"]
    assert {match.proof.evidence.agreement for match in kept.query(picture)} == {seen.proof.evidence.agreement}


def test_pages_have_names_below_the_root(index: Index, pictures: list[Path], collection: Path, tmp_path: Path) -> None:
    save_scan(pictures[2:5], collection / "scan.tif")
    opened = Index.open(index.folder, root=collection)
    assert opened.add([collection / "scan.tif"]).added == ["scan.tif"]
    paged = [f"scan.tif#page={page}" for page in (1, 2, 3)]
    assert opened.add([collection], pages=True).added == ["a.png", *paged, os.path.join("deep", "b.png")]
    assert "scan.tif" not in names(opened)
    moved = Index.open(index.folder, root=collection.rename(tmp_path / "elsewhere"))
    save_scan(pictures[3:5], tmp_path / "elsewhere" / "scan.tif")
    assert moved.add([tmp_path / "elsewhere"]).added == paged[:2]
    assert sorted(names(moved)) == ["a.png", os.path.join("deep", "b.png"), *paged[:2]]
    (match,) = moved.query(pictures[4])
    assert match.name == paged[1]
    assert match.proof.evidence.agreement is not None
    assert check(index.folder)


def test_pages_that_were_lost_come_back_as_pages(index: Index, pictures: list[Path], tmp_path: Path) -> None:
    scan = save_scan(pictures[:2], tmp_path / "scan.tif")
    index.add([scan], pages=True)
    column = index.folder / "segments" / "000001" / "x.npy"
    column.write_bytes(column.read_bytes()[:-1])
    assert len(check(index.folder, repair=True).queued) == 2
    assert Index.open(index.folder).add([scan]).added == [f"{scan}#page={page}" for page in (1, 2)]
    assert check(index.folder)


def test_what_is_not_below_the_root_is_refused_and_nothing_changes(
    index: Index, collection: Path, pictures: list[Path]
) -> None:
    index = Index.open(index.folder, root=collection)
    before = (index.folder / "catalog.sqlite").read_bytes()
    with pytest.raises(UsageError, match="root"):
        index.add([collection, pictures[0]], jobs=1)
    assert (index.folder / "catalog.sqlite").read_bytes() == before
