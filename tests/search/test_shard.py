"""What one index says of its own images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from featmatch import StoreError, UsageError
from featmatch.images.decoding import USUAL
from featmatch.search.asked import Asked
from featmatch.search.shard import Shard
from featmatch.search.stages import Search
from featmatch.store.reader import Reader


@pytest.fixture(scope="module")
def reader(built: Path) -> Reader:
    return Reader(built / "index", built / "photos")


@pytest.fixture(scope="module")
def shard(reader: Reader) -> Shard:
    return Shard.of(reader, USUAL)


@pytest.fixture(scope="module")
def asked(reader: Reader, built: Path) -> Asked:
    search = Search.of(reader)
    return search.asked(search.read(Image.open(built / "half.png")))


def test_the_best_are_told_with_their_contents(shard: Shard, asked: Asked) -> None:
    found = shard.tally(asked)
    assert found.ranked.images[0] == 1
    assert (found.ranked.votes[:-1] >= found.ranked.votes[1:]).all()
    assert set(found.contents) == {*found.ranked.images.tolist(), *found.nearest.images.tolist()}
    assert found.contents[1] == shard.snapshot.catalog.content_named("000.png")
    assert found.verdicts == {}


def test_an_image_is_proven_wherever_it_stands_on_the_list(shard: Shard, asked: Asked) -> None:
    found = shard.tally(asked)
    first = found.ranked.part(found.ranked.images == 1)
    content = found.contents[1]
    other = shard.snapshot.catalog.content_named("001.png")
    assert other
    proofs = shard.prove(asked, first._replace(ranks=first.ranks + 30), (other, "00" * 32))
    assert [(one.rank, one.image.id) for one in proofs.fitted] == [(30, 1)]
    assert proofs.held == {content: (1, ["000.png"]), other: (2, ["001.png"])}
    elsewhere = shard.prove(asked, first._replace(images=first.images + 1000), ())
    assert (elsewhere.fitted, elsewhere.held) == ([], {})


def test_only_what_is_asked_for_is_found(shard: Shard, asked: Asked) -> None:
    contents = shard.tally(asked).contents
    other = next(image for image in contents if image != 1)
    among = dataclasses.replace(asked, among=frozenset((contents[other], "00" * 32)))
    assert set(shard.tally(among).ranked.images.tolist()) == {other}
    named = dataclasses.replace(asked, match="000")
    assert set(shard.tally(named).ranked.images.tolist()) == {1}
    assert len(shard.tally(dataclasses.replace(named, among=among.among)).ranked.images) == 0
    assert shard.prove(named, shard.tally(named).ranked, contents.values()).held == {contents[1]: (1, ["000.png"])}
    with pytest.raises(UsageError, match="no word"):
        shard.fitting("!")


def test_a_picture_is_given_where_it_is_at_hand(shard: Shard) -> None:
    picture = shard.picture(1)
    assert picture is not None
    assert (picture.width, picture.height) == (96, 128)
    with pytest.raises(StoreError, match="image 99"):
        shard.picture(99)
