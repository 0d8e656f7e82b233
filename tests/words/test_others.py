"""Words found by other libraries are those of an exhaustive search, nearly always, and the same each time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch import Index, Vocabulary
from featmatch.cli.measuring import SEARCHES as OFFERED
from featmatch.errors import MissingFeatureError
from featmatch.words.nearest import WordSearch
from featmatch.words.others import AnnoySearch, FaissSearch, NmslibSearch
from featmatch.words.vocabulary_check import SEARCHES

BY_NAME: dict[str, Callable[[NDArray[np.uint8], int], WordSearch]] = {
    "faiss": FaissSearch,
    "nmslib": NmslibSearch,
    "annoy": AnnoySearch,
}


@pytest.fixture(params=list(BY_NAME))
def name(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def numbers(count: int, seed: int, most: int = 255) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, most + 1, (count, 24)).astype(np.uint8)


@pytest.mark.parametrize("unit", [1, 255])
def test_they_find_what_is_nearest(name: str, unit: int) -> None:
    words = numbers(500, 1)
    asked = numbers(200, 2) if unit == 1 else numbers(200, 2, 1)
    far = ((asked.astype(np.int64)[:, None] * unit - words.astype(np.int64)) ** 2).sum(axis=2)
    found = BY_NAME[name](words, unit).nearest(asked, 3)
    assert found.dtype == np.int32
    assert found.shape == (200, 3)
    assert np.mean(found[:, 0] == far.argmin(axis=1)) > 0.95
    ranked = np.take_along_axis(far, found.astype(np.int64), axis=1)
    assert (np.diff(ranked, axis=1) >= 0).all()
    assert (BY_NAME[name](words, unit).nearest(asked, 3) == found).all()


def test_few_words_and_no_descriptors(name: str) -> None:
    words = numbers(2, 1)
    search = BY_NAME[name](words, 1)
    found = search.nearest(words, 4)
    assert found[:, 0].tolist() == [0, 1]
    assert set(found.ravel().tolist()) == {0, 1}
    assert search.nearest(words[:0], 4).shape == (0, 4)


def test_a_vocabulary_finds_its_words_so_and_an_index_answers(
    name: str, tiny_vocabulary: Vocabulary, small_photos: Path, tmp_path: Path
) -> None:
    vocabulary = replace(tiny_vocabulary, search=name)
    assert vocabulary.fingerprint != tiny_vocabulary.fingerprint
    vocabulary.save(tmp_path / "v.npz")
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tmp_path / "v.npz")
    index.add([small_photos / "coffee.png", small_photos / "coins.png"], jobs=1)
    assert index.query(small_photos / "roof.png")[0].name == str(small_photos / "coffee.png")


@pytest.mark.parametrize("missing", list(BY_NAME))
def test_what_is_not_installed_is_told(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    search: Any = BY_NAME[missing]
    with pytest.raises(MissingFeatureError, match=rf"featmatch\[{missing}\]"):
        search(numbers(2, 1), 1)


def test_the_command_offers_all() -> None:
    assert OFFERED == SEARCHES
    assert set(SEARCHES) == {"two-level", "flann", *BY_NAME}
