"""Indexes on this machine, asked as one; a request is answered alike however often it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featmatch import StoreError
from featmatch.images.decoding import USUAL
from featmatch.search.shard import Shard
from featmatch.search.shards import LocalShards, PictureRequest, ProofRequest, TallyRequest
from featmatch.search.stages import Search
from featmatch.store.reader import Reader
from featmatch.system.workers import Lost


@pytest.fixture
def shard(built: Path) -> Shard:
    return Shard.of(Reader(built / "index", built / "photos"), USUAL)


class Broken:
    """A request that an index fails at."""

    def answered_by(self, shard: Shard) -> Any:
        raise StoreError(f"damaged: {len(shard.segments)}")


def test_each_is_asked_what_it_is_to_be_asked(shard: Shard) -> None:
    shards = LocalShards([shard, shard, shard], ["a", "b", "c"])
    found = shards.ask({2: [PictureRequest((1,))], 0: [PictureRequest((1,)), PictureRequest((99,))]})
    assert isinstance(found[0], Lost)
    assert found[2] is not None
    assert set(found) == {0, 2}
    assert shards.ask({}) == {}


def test_what_fails_is_lost_but_one_index_alone_says_why(shard: Shard) -> None:
    assert LocalShards([shard, shard], ["a", "b"]).ask({0: [Broken()], 1: [Broken()]}) == dict.fromkeys(
        (0, 1), Lost("damaged: 1")
    )
    with pytest.raises(StoreError, match="damaged: 1"):
        LocalShards([shard]).ask({0: [Broken()]})


def test_verdicts_of_any_are_verdicts(shard: Shard) -> None:
    assert not LocalShards([shard, shard], ["a", "b"]).have_verdicts
    shard.snapshot.catalog.has_verdicts = True
    assert LocalShards([shard, shard], ["a", "b"]).have_verdicts


def test_a_request_that_comes_twice_is_answered_alike(shard: Shard, built: Path) -> None:
    search = Search.of(Reader(built / "index"))
    asked = search.asked(search.read(built / "half.png"))
    one, other = (TallyRequest(asked).answered_by(shard) for _ in range(2))
    assert str(one) == str(other)
    proofs = [ProofRequest(asked, one.ranked, tuple(one.contents.values())).answered_by(shard) for _ in range(2)]
    assert proofs[0].held == proofs[1].held
    told = [[found.image.proof.to_dict() for found in one.fitted] for one in proofs]
    assert told[0] == told[1]
    assert told[0]


def test_what_all_are_asked_to_prove_is_what_each_proves_and_one_that_is_damaged_is_lost_alone(
    shard: Shard, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search.of(Reader(built / "index"))
    asked = search.asked(search.read(built / "half.png"))
    tally = shard.tally(asked)
    contents = tuple(tally.contents.values())
    first = ProofRequest(asked, tally.ranked.part(slice(1)), contents)
    rest = ProofRequest(asked, tally.ranked.part(slice(1, None)), contents[:2])
    other = Shard.of(Reader(built / "index", built / "photos"), USUAL)
    shards = LocalShards([shard, other], ["a", "b"])
    found = shards.ask({0: [first, rest], 1: [rest, first]})
    assert str(found) == str({0: [first.answered_by(shard), rest.answered_by(shard)], 1: [
        rest.answered_by(other), first.answered_by(other)]})  # fmt: skip
    assert first.answered_by(shard).fitted

    def damaged(*_: object) -> None:
        raise StoreError("damaged")

    monkeypatch.setattr(other.snapshot.catalog, "named_with", damaged)
    left = shards.ask({0: [first], 1: [first]})
    assert (str(left[0]), left[1]) == (str([first.answered_by(shard)]), Lost("damaged"))
