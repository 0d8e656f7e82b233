from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featmatch import FeatureOptions, Index, StoreError, UsageError, Vocabulary
from featmatch.store.layout import CATALOG, VOCABULARY
from featmatch.store.reader import Reader
from tools import forging
from tools.small_index import FEATURES, draw_pictures


def test_it_says_what_an_index_holds(folder: Path, small_words: Vocabulary) -> None:
    Index.open(folder).remove([str(folder.parent / "elsewhere"), "000.png"])
    name = next(Reader(folder).images()).name
    Index.open(folder).remove([name])
    reader = Reader(folder)
    records = list(reader.images())
    info = reader.info()
    assert len(reader) == len(records) == info.images == 3
    assert info.features == sum(record.features for record in records)
    assert (info.removed, info.queued, info.verdicts, info.segments) == (1, 0, 0, 2)
    assert info.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert (info.root, info.base) == (None, None)
    assert info.pictures == 4  # one is of an image that was removed
    assert (info.detector, info.words, info.vocabulary) == ("sift", 256, small_words.fingerprint)
    assert (reader.folder, reader.options) == (folder, FEATURES)


def test_its_folder_stays_where_it_was_opened(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.parent)
    reader = Reader(Path("index"))
    monkeypatch.chdir("/")
    reader.refresh()
    assert reader.folder == built


def test_refresh_sees_what_was_committed_and_keeps_open_segments(folder: Path, tmp_path: Path) -> None:
    reader = Reader(folder)
    before = reader.snapshot
    reader.refresh()
    assert reader.snapshot is before
    Index.open(folder).add(draw_pictures(tmp_path / "more", 1, seed=9), jobs=1)
    assert (len(reader), reader.snapshot) == (4, before)
    reader.refresh()
    assert len(reader) == 5
    assert reader.snapshot.segments[1] is before.segments[1]


def test_the_root_of_this_run_goes_before_the_kept_one(folder: Path, built: Path, tmp_path: Path) -> None:
    pictures = built.parent / "pictures"
    assert Reader(folder).root is None
    assert Reader(folder).path_of("000.png") is None
    given = Reader(folder, pictures)
    assert (given.root, given.info().root) == (str(pictures), str(pictures))
    assert given.path_of("000.png") == str(pictures / "000.png")
    shutil.copytree(pictures, tmp_path / "moved")
    Index.open(folder, root=tmp_path / "moved").add([tmp_path / "moved"], jobs=1)
    assert (Reader(folder).root, Reader(folder).info().root) == (str(tmp_path / "moved"),) * 2
    assert Reader(folder, pictures).root == str(pictures)


def test_a_relative_root_is_as_seen_from_here(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.parent)
    assert Reader(built, "pictures").root == str(built.parent / "pictures")


def test_arguments_are_checked(built: Path) -> None:
    with pytest.raises(UsageError, match="root"):
        Reader(built, 7)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="name"):
        Reader(built).path_of(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="match"):
        Reader(built).images(7)  # type: ignore[arg-type]


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path} is no featmatch index"):
        Reader(tmp_path)


def test_an_index_is_opened_only_with_what_it_was_made_with(built: Path, vocabulary_file: Path) -> None:
    reader = Reader(built)
    reader.verify_made_with(None, None)
    reader.verify_made_with(reader.options, reader.vocabulary)
    with pytest.raises(StoreError, match=r"other features than those: .*60"):
        reader.verify_made_with(FeatureOptions(features=61), None)
    with pytest.raises(StoreError, match="another vocabulary"):
        reader.verify_made_with(None, Vocabulary.load(vocabulary_file))


def test_a_vocabulary_that_was_exchanged_is_seen(folder: Path, vocabulary_file: Path) -> None:
    shutil.copy(vocabulary_file, folder / VOCABULARY)
    with pytest.raises(StoreError, match=r"offsets|posting lists do not fit|another vocabulary"):
        Reader(folder)


def test_a_vocabulary_of_the_same_size_that_was_exchanged_is_seen(folder: Path, small_words: Vocabulary) -> None:
    forging.said("vocabulary", "0" * len(small_words.fingerprint))(folder, folder)
    with pytest.raises(StoreError, match="another vocabulary than the one it was made with"):
        Reader(folder)


def test_options_that_cannot_be_are_damage(folder: Path) -> None:
    forging.options(features=60.0)(folder, folder)
    with pytest.raises(StoreError, match="does not say what its features are"):
        Reader(folder)


def test_a_link_in_it_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / CATALOG).rename(tmp_path / "elsewhere")
    (folder / CATALOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"):
        Reader(folder)
