"""Requests and answers as bytes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featmatch import Index, StoreError, Vocabulary
from featmatch.features.looks import LOOK
from featmatch.images.decoding import USUAL
from featmatch.search import messages
from featmatch.search.asked import Asked
from featmatch.search.many import SearchOptions
from featmatch.search.messages import AnyRequest, answer_bytes, answers_of, request_bytes
from featmatch.search.shard import Proofs, Shard, Tally
from featmatch.search.shards import PictureRequest, ProofRequest, TallyRequest
from featmatch.system.byte_forms import joined, parted, to_bytes
from tests.system.test_byte_forms import resealed
from tools.small_index import draw_pictures, small_index


@dataclasses.dataclass(frozen=True)
class Pair:
    """An index, and what is asked of it."""

    shard: Shard
    asked: Asked
    words: int

    def answer(self, request: AnyRequest) -> Any:
        message = answer_bytes(lambda _: self.shard, request_bytes([request]), self.words)
        state, answers = answers_of([request], message)
        assert state == self.shard.snapshot.catalog.stamp
        assert answers is not None
        (answer,) = answers
        return answer


@pytest.fixture(scope="module")
def pair(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder: Path = tmp_path_factory.mktemp("asked")
    index: Index = small_index(folder / "photos.fm", small_words)
    drawn = draw_pictures(folder / "photos", 3)
    index.add(drawn, jobs=1)
    search = SearchOptions().search_in(index)
    asked = search.asked(search.read(str(drawn[1])), str(drawn[1]))
    return Pair(Shard.of(index, USUAL), asked, len(index.vocabulary))


def test_answers_are_the_same_as_bytes(pair: Pair) -> None:
    tally = pair.answer(TallyRequest(pair.asked))
    plain = pair.shard.tally(pair.asked)
    assert len(plain.ranked.images) > 1
    pairs: list[tuple[Any, Any]] = [*zip(tally.ranked, plain.ranked, strict=True)]
    for one, other in [*pairs, *zip(tally.nearest, plain.nearest, strict=True)]:
        assert (one.tobytes(), one.dtype, one.shape) == (other.tobytes(), other.dtype, other.shape)
    assert (tally.contents, tally.verdicts) == (plain.contents, plain.verdicts)
    contents = tuple(plain.contents.values())
    proofs = pair.answer(ProofRequest(pair.asked, plain.ranked, contents))
    same = pair.shard.prove(pair.asked, plain.ranked, contents)
    assert proofs.held == same.held
    assert [one.rank for one in proofs.fitted] == [one.rank for one in same.fitted]
    for one, other in zip(proofs.fitted, same.fitted, strict=True):
        assert (one.image.id, one.image.proof.evidence) == (other.image.id, other.image.proof.evidence)
        assert one.image.proof.query_points.tobytes() == other.image.proof.query_points.tobytes()
    picture, there = pair.answer(PictureRequest((2,)))[2], pair.shard.picture(2)
    assert there is not None
    assert picture.pixels.tobytes() == there.pixels.tobytes()
    assert vars(picture).keys() == vars(there).keys()


@pytest.mark.parametrize(
    "change",
    [
        {"words": {"ids": lambda it: it + 1_000_000}}, {"words": {"ids": lambda it: it - 1_000_000}},
        {"words": {"ids": lambda it: it[:-1]}}, {"words": {"variants": lambda it: it + 7}},
        {"words": {"variants": lambda it: it[::-1]}}, {"words": {"fixed": lambda it: it[1:]}},
        {"words": {"features": lambda it: it + 10_000}},
        {"shape": -1.0}, {"stretch": 0.9}, {"variants": []}, {"among": frozenset(["xyz"])}, {"content": "00"},
    ],
)  # fmt: skip
def test_a_request_leads_nowhere_else(pair: Pair, change: dict[str, Any]) -> None:
    if "words" in change:
        ((name, changed),) = change["words"].items()
        words = dataclasses.replace(pair.asked.words, **{name: changed(getattr(pair.asked.words, name))})
        change = {"words": words}
    message = request_bytes([TallyRequest(dataclasses.replace(pair.asked, **change))])
    with pytest.raises(StoreError, match="cannot be meant"):
        answer_bytes(lambda _: pair.shard, message, pair.words)


def test_lists_and_options_that_cannot_be_are_refused(pair: Pair) -> None:
    ranked = pair.shard.tally(pair.asked).ranked
    for wrong in (ranked._replace(variants=ranked.variants + 9), ranked._replace(votes=ranked.votes[:-1])):
        with pytest.raises(StoreError, match="cannot be meant"):
            answer_bytes(lambda _: pair.shard, request_bytes([ProofRequest(pair.asked, wrong, ())]), pair.words)
    with pytest.raises(StoreError, match="cannot be meant"):
        answer_bytes(lambda _: pair.shard, request_bytes([ProofRequest(pair.asked, ranked, ("7",))]), pair.words)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("column", ["keypoints", "sizes", "angles"])
def test_features_that_no_picture_has_are_refused(pair: Pair, column: str, value: float) -> None:
    first = pair.asked.variants[0]
    spoiled = getattr(first, column).copy()
    spoiled.flat[3] = value
    variants = [dataclasses.replace(first, **{column: spoiled}), *pair.asked.variants[1:]]
    message = request_bytes([TallyRequest(dataclasses.replace(pair.asked, variants=variants))])
    with pytest.raises(StoreError, match="cannot be meant"):
        answer_bytes(lambda _: pair.shard, message, pair.words)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(place=st.integers(0, 1 << 30), bit=st.integers(0, 7), sealed=st.booleans())
def test_damaged_bytes_are_a_clear_error_or_another_question(pair: Pair, place: int, bit: int, sealed: bool) -> None:
    for request in (TallyRequest(pair.asked), ProofRequest(pair.asked, pair.shard.tally(pair.asked).ranked, ())):
        content = bytearray(request_bytes([request]))
        content[place % len(content)] ^= 1 << bit
        try:
            answer_bytes(lambda _: pair.shard, _resealed(bytes(content)) if sealed else bytes(content), pair.words)
        except StoreError as error:
            assert "damaged" in str(error) or "meant" in str(error)
        else:
            assert sealed


def _resealed(message: bytes) -> bytes:
    """Other bytes with checksums that fit, as far as they can be taken apart."""
    try:
        return joined(list(map(resealed, parted(message))))
    except ValueError:
        return message


def test_a_question_is_written_once_and_read_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, other = (dataclasses.replace(pair.asked, shape=shape) for shape in (1.25, 1.5))
    ranked = pair.shard.tally(asked).ranked
    requests: list[AnyRequest] = [TallyRequest(asked), ProofRequest(asked, ranked, ()), TallyRequest(other)]
    calls = Counter[str]()

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(messages, name)

        def count_and_call(*arguments: Any) -> Any:
            calls[name] += 1
            return original(*arguments)

        return count_and_call

    for name in ("folded", "_check_question"):
        monkeypatch.setattr(messages, name, counted(name))
    for some in (requests, requests[:1], requests[1:]):
        answered = answers_of(some, answer_bytes(lambda _: pair.shard, request_bytes(some), pair.words))
        assert answered.answers is not None
        kinds = [Tally if isinstance(one, TallyRequest) else Proofs for one in some]
        assert [type(answer) for answer in answered.answers] == kinds
    assert calls == {"folded": 2, "_check_question": 2}


@pytest.mark.parametrize("number", [-1, 1])
def test_a_question_that_is_not_there_is_refused(pair: Pair, number: int) -> None:
    first, *questions = parted(request_bytes([TallyRequest(pair.asked)]))
    assert len(questions) == 1
    wrong = to_bytes(((), (messages._SentTally(number),)), messages._REQUESTS, records=LOOK)
    with pytest.raises(StoreError, match="cannot be meant"):
        answer_bytes(lambda _: pair.shard, joined([wrong, *questions]), pair.words)
    for damaged in (b"", joined([first, *questions])[:-1], joined([]), first):
        with pytest.raises(StoreError, match="damaged"):
            answer_bytes(lambda _: pair.shard, damaged, pair.words)


def test_an_answer_to_something_else_is_refused(pair: Pair) -> None:
    answer = answer_bytes(lambda _: pair.shard, request_bytes([TallyRequest(pair.asked)]), pair.words)
    for message in (b"", answer[:-1], b"\0" + answer, to_bytes("x", str, records=LOOK)):
        with pytest.raises(StoreError, match="damaged"):
            answers_of([TallyRequest(pair.asked)], message)
    with pytest.raises(StoreError, match="damaged"):
        answers_of([PictureRequest((1,))], answer)
