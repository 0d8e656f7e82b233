"""Questions as they are sent: no bit is lost, and what follows from the rest is not sent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch import Index, Vocabulary
from featmatch.search.asked import Asked
from featmatch.search.folding import folded
from featmatch.search.many import SearchOptions
from featmatch.search.messages import request_bytes
from featmatch.search.shards import TallyRequest
from tests.test_indexes import FEATURES, scene


@pytest.fixture(scope="module")
def asked(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder: Path = tmp_path_factory.mktemp("folding") / "empty.fm"
    search = SearchOptions().search_in(Index.open(folder, create=True, features=FEATURES, vocabulary=small_words))
    return search.asked(search.read(scene(1)))


def columns(asked: Asked) -> list[Any]:
    every = [vars(asked.words), *({**vars(one), "picture": None} for one in asked.variants)]
    return [
        (name, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else (name, value)
        for one in every
        for name, value in one.items()
    ]


def test_three_quarters_follow_from_the_rest_to_the_bit(asked: Asked) -> None:
    sent = folded(asked)
    assert len(asked.variants) == len(sent.masks) == 4
    assert len(sent.asked.words.ids) == len(asked.words.ids) / 4
    assert columns(sent.unfolded()) == columns(asked)
    one = dataclasses.replace(asked, words=sent.asked.words, variants=asked.variants[:1])
    assert len(request_bytes([TallyRequest(asked)])) < len(request_bytes([TallyRequest(one)])) + 200


@pytest.mark.parametrize("column", ["ids", "signatures", "weights", "variants", "features", "fixed"])
def test_words_that_do_not_follow_are_sent(asked: Asked, column: str) -> None:
    changed = getattr(asked.words, column).copy()
    changed[-1:] += changed.dtype.type(1)
    other = dataclasses.replace(asked, words=dataclasses.replace(asked.words, **{column: changed}))
    assert columns(folded(other).unfolded()) == columns(other)
    assert not len(folded(other).masks)


@pytest.mark.parametrize("column", ["keypoints", "angles", "sizes"])
def test_places_that_do_not_follow_are_sent(asked: Asked, column: str) -> None:
    *first, last = asked.variants
    other = dataclasses.replace(
        asked, variants=[*first, dataclasses.replace(last, **{column: getattr(last, column) + np.float32(1)})]
    )
    assert columns(folded(other).unfolded()) == columns(other)


def test_a_question_that_is_no_part_of_one_is_refused(asked: Asked) -> None:
    sent = folded(asked)
    for wrong in (sent._replace(masks=np.zeros(5, np.uint64)), sent._replace(asked=asked)):
        with pytest.raises(ValueError, match="other variants"):
            wrong.unfolded()
