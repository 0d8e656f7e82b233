from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from featmatch.errors import StoreError, VocabularyError
from featmatch.features.extraction import FeatureOptions
from featmatch.store.catalog import Catalog
from featmatch.store.creation import create_index
from featmatch.store.layout import CATALOG, LOCK, PAIRS, SEGMENTS, VOCABULARY
from featmatch.store.open_catalog import FORMAT_VERSION
from featmatch.store.reader import Reader
from featmatch.store.writing import hold_writer_lock
from featmatch.words.vocabulary import Vocabulary
from tools.small_index import FEATURES


def test_a_new_index_says_what_it_was_made_with(tmp_path: Path, small_words: Vocabulary) -> None:
    folder = tmp_path / "new" / "index"
    create_index(folder, FEATURES, small_words)
    assert sorted(os.listdir(folder)) == sorted((CATALOG, VOCABULARY, LOCK, SEGMENTS))
    meta = Catalog(folder / CATALOG).meta
    assert (meta["version"], meta["vocabulary"]) == (FORMAT_VERSION, small_words.fingerprint)
    assert meta["vocabulary_file"] == hashlib.sha256((folder / VOCABULARY).read_bytes()).hexdigest()
    reader = Reader(folder)
    assert (len(reader), reader.options, reader.vocabulary.fingerprint) == (0, FEATURES, small_words.fingerprint)


def test_features_and_vocabulary_have_defaults(tmp_path: Path, small_words: Vocabulary) -> None:
    create_index(tmp_path / "a", None, small_words)
    assert Reader(tmp_path / "a").options == FeatureOptions("sift")
    create_index(tmp_path / "b", FeatureOptions("sift", features=70), None)
    shipped = Reader(tmp_path / "b")
    assert shipped.vocabulary.fingerprint == Vocabulary.shipped("sift").fingerprint
    assert shipped.options.features == 70


def test_a_vocabulary_of_another_detector_makes_nothing(tmp_path: Path, small_words: Vocabulary) -> None:
    with pytest.raises(VocabularyError, match="the vocabulary is for sift, not for orb"):
        create_index(tmp_path / "index", FeatureOptions("orb"), small_words)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["notes.txt", "catalog.sqlite.partial.bak", ".hidden"])
def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, small_words: Vocabulary, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match="holds other things"):
        create_index(tmp_path, FEATURES, small_words)
    assert os.listdir(tmp_path) == [name]


def test_what_was_made_halfway_is_made_anew(tmp_path: Path, small_words: Vocabulary) -> None:
    (tmp_path / SEGMENTS).mkdir()
    for name in (VOCABULARY, PAIRS, LOCK, f"{CATALOG}.partial", f"{VOCABULARY}.77.partial"):
        (tmp_path / name).write_bytes(b"" if name == LOCK else b"half")
    create_index(tmp_path, FEATURES, small_words)
    assert len(Reader(tmp_path)) == 0


def test_an_index_that_another_process_made_meanwhile_is_kept(tmp_path: Path, small_words: Vocabulary) -> None:
    create_index(tmp_path / "index", FEATURES, small_words)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "index").iterdir() if path.name != LOCK}
    create_index(tmp_path / "index", FeatureOptions("sift", features=99), small_words)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "index").iterdir() if path.name != LOCK} == before


def test_where_nothing_can_be_made_is_an_error(tmp_path: Path, small_words: Vocabulary) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "index"):
        with pytest.raises(StoreError, match="cannot make an index in"):
            create_index(folder, FEATURES, small_words)


def test_the_features_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    create_index(tmp_path / "index", None, Vocabulary.shipped("orb"))
    assert Reader(tmp_path / "index").options == FeatureOptions("orb")


def test_other_things_beside_ours_are_other_things(tmp_path: Path, small_words: Vocabulary) -> None:
    (tmp_path / SEGMENTS).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other things"):
        create_index(tmp_path, FEATURES, small_words)


def test_another_process_that_makes_it_is_waited_for(
    tmp_path: Path, small_words: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[bool] = []

    def hold(folder: Path, *, wait: bool = False) -> AbstractContextManager[None]:
        waits.append(wait)
        return hold_writer_lock(folder, wait=wait)

    monkeypatch.setattr("featmatch.store.creation.hold_writer_lock", hold)
    create_index(tmp_path / "index", FEATURES, small_words)
    assert waits == [True]
