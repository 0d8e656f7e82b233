"""The stages of one look at a query, called one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from featmatch import UsageError, VotingOptions
from featmatch.features.extraction import Features
from featmatch.search.matches import Holder
from featmatch.search.stages import Search
from featmatch.store.catalog import Catalog
from featmatch.store.reader import Reader
from tests.plain_pictures import blobs, described, gradient
from tests.search.searches import candidates, pixels

FEATURES = Features(
    "sift", 240, 180, np.full((20, 2), 50, np.float32), np.zeros(20, np.float32), np.ones(20, np.float32),
    np.zeros((20, 128), np.uint8),
)  # fmt: skip


def test_the_stages_lead_to_the_picture(reader: Reader) -> None:
    search = Search.of(reader)
    query = search.read(pixels(reader, 2))
    assert query.enough
    assert query.features is query.variants[0]
    assert len(query.variants) == 4
    asked = search.asked(query)
    listing = search.listed(asked)
    assert listing.ranked.images[0] == 3
    proved = search.proved(query, asked, listing)
    assert (proved.by_features[0].id, proved.holders[3]) == (3, [Holder(3, ["002.png"])])
    found, _, _, away = search.compared(query, proved)
    assert not away
    assert (found[0].id, found[0].proof.proven) == (3, True)
    assert found[0].proof.evidence.agreement is not None
    assert list(search.clock.times) == ["features", "words", "votes"]  # whoever runs the others says when they end


def test_too_few_features_are_none(reader: Reader) -> None:
    search = Search.of(reader)
    soft = search.read(blobs(1))
    assert len(soft.features) == 0
    assert soft.enough  # as a whole
    plain = search.read(gradient(99, 99))
    assert not plain.enough
    assert candidates(search, plain) == []


def test_accepted_images_are_verified_whatever_their_votes(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Search.of(reader, voting=VotingOptions(shortlist=1))
    query = narrow.read(np.vstack([pixels(reader, 0), pixels(reader, 1)[:50]]))
    asked = dataclasses.replace(narrow.asked(query), content="00" * 32)
    content_of = reader.snapshot.catalog.contents_of(range(1, 6))

    def found_with(verdicts: dict[int, bool], among: set[int] | None = None) -> list[int]:
        judged = {content_of[image]: is_copy for image, is_copy in verdicts.items()}
        monkeypatch.setattr(Catalog, "verdicts_of", lambda *_: judged)
        only = None if among is None else frozenset(content_of[image] for image in among)
        return [one.id for one in candidates(narrow, query, dataclasses.replace(asked, among=only))]

    assert found_with({}) == [1]
    assert found_with({2: False}) == [1]
    assert found_with({1: True}) == [1]
    assert found_with({2: True}) == [1, 2]
    assert found_with({2: True}, {1, 3}) == [1]


def test_options_of_another_kind_are_refused(reader: Reader) -> None:
    wrong: Any = 5
    with pytest.raises(UsageError, match="voting"):
        Search.of(reader, voting=wrong)
    with pytest.raises(UsageError, match="geometry"):
        Search.of(reader, geometry=wrong)


def test_eight_features_are_enough(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search.of(reader)
    for count, kept in ((7, 0), (8, 8)):
        monkeypatch.setattr("featmatch.search.query.extract_grey", lambda *_, count=count: FEATURES[:count])
        query = search.read(blobs(1))
        assert len(query.features) == kept
        assert query.enough
        assert dataclasses.replace(query, whole=described(gradient(99, 99))).enough is bool(kept)
