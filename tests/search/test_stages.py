"""The stages of a search, called one by one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, UsageError, Vocabulary, VotingOptions
from featmatch.search.stages import Search
from featmatch.store.reader import Reader
from tests.plain_pictures import blobs, gradient
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def reader(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """An index of five pictures, of which one has words with it."""
    folder = tmp_path_factory.mktemp("stages")
    pictures = draw_pictures(folder / "photos", 5)
    small_index(folder / "index", small_words)
    index = Index.open(folder / "index", root=folder / "photos")
    index.add(pictures[:4], jobs=1)
    index.add(pictures[4:], jobs=1, text="harbour at dawn")
    return Reader(folder / "index", folder / "photos")


def pixels(reader: Reader, number: int) -> np.ndarray:
    assert reader.root is not None
    return np.asarray(Image.open(Path(reader.root) / f"{number:03d}.png"))


def test_the_stages_lead_to_the_picture(reader: Reader) -> None:
    search = Search.of(reader)
    query = search.read(pixels(reader, 2))
    assert query.enough
    assert query.features is query.variants[0]
    assert len(query.variants) == 4
    words = search.words(query)
    candidates = search.candidates(query, words, {})
    assert candidates[0].id == 3
    found = search.found(query, candidates)
    assert (found[0].id, found[0].proof.proven) == (3, True)
    assert found[0].proof.evidence.agreement is not None
    assert list(search.clock.times) == ["features", "words", "votes", "verification", "pixels"]
    assert min(search.clock.times.values()) > 0


def test_too_few_features_are_none(reader: Reader) -> None:
    search = Search.of(reader)
    soft = search.read(blobs(1))
    assert len(soft.features) == 0
    assert soft.enough  # as a whole
    plain = search.read(gradient(99, 99))
    assert not plain.enough
    assert search.candidates(plain, search.words(plain), {}) == []


def test_words_leave_only_the_images_that_have_them(reader: Reader) -> None:
    assert Search.of(reader).among is None
    search = Search.of(reader, match="dawn")
    assert list(search.among or []) == [5]
    for number in (2, 4):
        query = search.read(pixels(reader, number))
        candidates = search.candidates(query, search.words(query), {})
        assert {one.id for one in candidates} <= {5}
    assert [one.id for one in search.found(query, candidates)] == [5]


def test_accepted_images_are_verified_whatever_their_votes(reader: Reader) -> None:
    narrow = Search.of(reader, voting=VotingOptions(shortlist=1))
    query = narrow.read(np.vstack([pixels(reader, 0), pixels(reader, 1)[:50]]))
    words = narrow.words(query)
    assert [one.id for one in narrow.candidates(query, words, {})] == [1]
    assert [one.id for one in narrow.candidates(query, words, {2: False})] == [1]
    assert [one.id for one in narrow.candidates(query, words, {1: True})] == [1]
    assert [one.id for one in narrow.candidates(query, words, {2: True})] == [1, 2]
    only_others = dataclasses.replace(narrow, among=[1, 3])
    assert [one.id for one in only_others.candidates(query, words, {2: True})] == [1]


def test_options_of_another_kind_are_refused(reader: Reader) -> None:
    wrong: Any = 5
    with pytest.raises(UsageError, match="voting"):
        Search.of(reader, voting=wrong)
    with pytest.raises(UsageError, match="geometry"):
        Search.of(reader, geometry=wrong)
