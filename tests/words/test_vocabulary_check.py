"""What a stranger may have made of a vocabulary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch.errors import UsageError, VocabularyError
from featmatch.words import vocabulary_check
from featmatch.words.training import TrainingOptions
from featmatch.words.vocabulary import Vocabulary
from featmatch.words.vocabulary_check import Settings, faults
from tests.words.vocabularies import made, parts_of, written

CRAFTED: dict[str, dict[str, Any]] = {
    "offsets short": {"cell_offsets": np.array([0, 40])},
    "offsets negative": {"cell_offsets": np.array([0, -1, 20, 40])},
    "offsets descending": {"cell_offsets": np.array([0, 30, 20, 40])},
    "offsets from 1": {"cell_offsets": np.array([1, 10, 20, 40])},
    "offsets to less": {"cell_offsets": np.array([0, 10, 20, 39])},
    "offsets to more": {"cell_offsets": np.array([0, 10, 20, 41])},
    "offsets empty": {"cell_offsets": np.empty(0, np.int64)},
    "offsets int32": {"cell_offsets": np.array([0, 10, 20, 40], np.int32)},
    "offsets float": {"cell_offsets": np.array([0, 10, 20, 40.0])},
    "offsets in two axes": {"cell_offsets": np.array([[0, 10, 20, 40]])},
    "idf short": {"idf": np.ones(39, np.float32)},
    "idf long": {"idf": np.ones(41, np.float32)},
    "idf negative": {"idf": np.full(40, -1, np.float32)},
    "idf no number": {"idf": np.full(40, np.nan, np.float32)},
    "idf endless": {"idf": np.full(40, np.inf, np.float32)},
    "idf huge": {"idf": np.full(40, 1e30, np.float32)},
    "idf float64": {"idf": np.ones(40)},
    "words none": {"words": np.empty((0, 128), np.uint8)},
    "words wide": {"words": np.zeros((40, 129), np.uint8)},
    "words int16": {"words": np.zeros((40, 128), np.int16)},
    "words in a row": {"words": np.zeros(40 * 128, np.uint8)},
    "words of no cell": {"words": np.zeros((41, 128), np.uint8)},
    "cells none": {"cells": np.empty((0, 128), np.uint8)},
    "cells wide": {"cells": np.zeros((3, 129), np.uint8)},
    "projection short": {"projection": made().projection[:63]},
    "projection wide": {"projection": np.ones((64, 129), np.int8)},
    "projection of nothing": {"projection": np.zeros((64, 128), np.int8)},
    "projection with a row of nothing": {
        "projection": made().projection * (np.arange(64) != 9)[:, None].astype(np.int8)
    },
    "projection not closed": {"projection": np.roll(made().projection, 1, axis=1)},
    "projection of other signs": {"projection": np.arange(64 * 128).reshape(64, 128).astype(np.int8) | 1},
    "probes 0": {"probes": 0},
    "probes negative": {"probes": -1},
    "probes many": {"probes": 65},
    "probes text": {"probes": "6"},
    "probes fraction": {"probes": 6.0},
    "probes true": {"probes": True},
    "search unknown": {"search": "other"},
    "search a list": {"search": ["flann"]},
    "detector unknown": {"detector": "../sift"},
    "detector a list": {"detector": ["sift"]},
    "detector another": {"detector": "orb"},
    "provenance a list": {"provenance": [1]},
}


@pytest.mark.parametrize("changes", CRAFTED.values(), ids=CRAFTED)
def test_a_vocabulary_that_cannot_be_used_is_neither_loaded_nor_saved(tmp_path: Path, changes: dict[str, Any]) -> None:
    """With a right fingerprint, and in a sound archive."""
    path = tmp_path / "v.npz"
    made().save(path)
    arrays, meta = parts_of(path)
    crafted = replace(made(), **changes)
    meta |= {name: getattr(crafted, name) for name in ("detector", "search", "probes", "provenance", "fingerprint")}
    path.write_bytes(written(arrays | crafted.arrays(), meta))
    with pytest.raises(VocabularyError, match=r"v\.npz is") as told:
        Vocabulary.load(path)
    assert "fingerprint" not in str(told.value)
    with pytest.raises(VocabularyError):
        crafted.save(tmp_path / "saved.npz")
    assert not (tmp_path / "saved.npz").exists()


def test_a_cell_holds_no_more_words_than_a_batch_has_room_for(tmp_path: Path) -> None:
    count = (1 << 14) + 1
    large = replace(
        made("kaze"), words=np.zeros((count, 64), np.uint8), idf=np.ones(count, np.float32),
        cells=np.zeros((2, 64), np.uint8), cell_offsets=np.array([0, count, count]),
    )  # fmt: skip
    with pytest.raises(VocabularyError, match=f"a cell holds {count} words"):
        large.save(tmp_path / "v.npz")
    replace(large, cell_offsets=np.array([0, 1, count])).save(tmp_path / "v.npz")
    assert len(Vocabulary.load(tmp_path / "v.npz")) == count


def first_fault(vocabulary: Vocabulary) -> str | None:
    settings = Settings(vocabulary.detector, vocabulary.search, vocabulary.probes, vocabulary.provenance)
    return next(faults(settings, vocabulary.arrays()), None)


TOLD = {
    "detector unknown": "there is no detector '../sift'",
    "search unknown": "there is no word search 'other'",
    "probes many": "probes is 1 to 64, not 65",
    "provenance a list": "its provenance is no table",
    "words int16": "words is of another type or shape",
    "offsets in two axes": "cell_offsets is of another type or shape",
    "words none": "it has 0 words in 3 cells",
    "cells none": "it has 40 words in 0 cells",
    "words wide": "its words are not as long as descriptors of sift",
    "projection wide": "its words are not as long as descriptors of sift",
    "offsets descending": "its cells do not hold its words",
    "idf huge": "an idf is missing, or out of range",
    "projection short": "its projection has not 64 rows that say something",
    "projection with a row of nothing": "its projection has not 64 rows that say something",
    "projection of nothing": "its projection has not 64 rows that say something",
    "projection not closed": "its projection does not go with mirrored and negative pictures",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_wrong_is_told(name: str) -> None:
    assert first_fault(replace(made(), **CRAFTED[name])) == TOLD[name]


def test_a_long_name_is_told_in_part() -> None:
    told = first_fault(replace(made(), detector="x" * 1000))
    assert told is not None
    assert len(told) < 80


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"probes": 1},
        {"probes": 64},
        {"search": "flann"},
        {"idf": np.zeros(40, np.float32)},
        {"idf": np.full(40, 100, np.float32)},
        {"cell_offsets": np.array([0, 0, 40, 40])},  # cells may be empty
        {"flann_tree": np.zeros(3, np.uint8)},
    ],
    ids=str,
)
def test_nothing_is_wrong_at_the_bounds(changes: dict[str, Any]) -> None:
    assert first_fault(replace(made(), **changes)) is None


@pytest.mark.parametrize("detector", ["sift", "kaze"])
def test_one_word_in_one_cell_is_a_vocabulary(detector: str) -> None:
    assert first_fault(made(detector, words=1, cells=1)) is None


@pytest.mark.parametrize("detector", ["sift", "kaze"])
def test_there_is_a_bound_on_words_and_cells_of_all_forms(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = made(detector)
    monkeypatch.setattr(vocabulary_check, "_MOST_WORDS", len(vocabulary))
    monkeypatch.setattr(vocabulary_check, "_MOST_CELLS", 3 * vocabulary.forms)
    assert first_fault(vocabulary) is None
    for name in ("_MOST_WORDS", "_MOST_CELLS"):
        with monkeypatch.context() as patch:
            patch.setattr(vocabulary_check, name, getattr(vocabulary_check, name) - 1)
            assert first_fault(vocabulary) == "it has 40 words in 3 cells"


def test_all_that_can_be_trained_can_be_used() -> None:
    most = TrainingOptions(words=vocabulary_check._MOST_WORDS, cells=vocabulary_check._MOST_CELLS)
    for name in ("words", "cells"):
        with pytest.raises(UsageError):
            replace(most, **{name: getattr(most, name) + 4})
