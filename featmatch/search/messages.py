"""What is asked of indexes on other machines, and what they answer, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from featmatch.errors import StoreError
from featmatch.features.looks import LOOK
from featmatch.features.symmetry import Variant
from featmatch.images.pixels import GreyImage
from featmatch.search.asked import Asked
from featmatch.search.folding import Folded, folded
from featmatch.search.shard import Proofs, Shard, Tally
from featmatch.search.shards import PictureRequest, ProofRequest, TallyRequest
from featmatch.search.voting import Ranked
from featmatch.store.open_catalog import Stamp
from featmatch.system.byte_forms import from_bytes, joined, parted, to_bytes

AnyRequest: TypeAlias = TallyRequest | ProofRequest | PictureRequest


class _SentTally(NamedTuple):
    """``TallyRequest`` as it is sent."""

    question: int  # which of those that are sent with it

    def received(self, questions: Sequence[Asked]) -> TallyRequest:
        return TallyRequest(_one_of(questions, self.question))


class _SentProof(NamedTuple):
    """``ProofRequest`` as it is sent."""

    question: int
    ranked: Ranked
    contents: tuple[str, ...]

    def received(self, questions: Sequence[Asked]) -> ProofRequest:
        return ProofRequest(_one_of(questions, self.question), self.ranked, self.contents)


# Each message tells the state of the index that is meant, or that answered: so all that one search asks is answered in
# one state, whatever is committed meanwhile. Nothing: whichever is the newest.
_REQUESTS = tuple[tuple[int, ...], tuple[_SentTally | _SentProof | PictureRequest, ...]]
_ANSWERS: dict[type, Any] = {TallyRequest: Tally, ProofRequest: Proofs, PictureRequest: Mapping[int, GreyImage | None]}
_MOST = float(1 << 24)  # px, of a place or a size; angles are below
_KEPT = 16  # questions, written and read: one search sends each to several indexes, several times


class Answered(NamedTuple):
    """What an index answered.

    Attributes:
        state: in which this was.
        answers: one to each request; None: the state that was meant is not at hand.
    """

    state: Stamp
    answers: Sequence[Any] | None


def request_bytes(requests: Sequence[AnyRequest], state: Stamp = ()) -> bytes:
    """Requests, to be sent together, to be answered in that state.

    Questions are messages of their own behind that of the requests: so each is written once, for all indexes and
    stages, and read once by each index.
    """
    questions = list(dict.fromkeys(one.asked for one in requests if not isinstance(one, PictureRequest)))
    sent = tuple(_as_sent(request, questions) for request in requests)
    return joined([to_bytes((state, sent), _REQUESTS, records=LOOK), *map(_question_bytes, questions)])


def _as_sent(request: AnyRequest, questions: Sequence[Asked]) -> _SentTally | _SentProof | PictureRequest:
    if isinstance(request, TallyRequest):
        return _SentTally(questions.index(request.asked))
    if isinstance(request, ProofRequest):
        return _SentProof(questions.index(request.asked), request.ranked, request.contents)
    return request


@lru_cache(maxsize=_KEPT)
def _question_bytes(asked: Asked) -> bytes:
    return to_bytes(folded(asked), Folded, records=LOOK)


@lru_cache(maxsize=_KEPT)
def _question(message: bytes, words: int) -> Asked:
    """A question as it came, for an index with so many visual words."""
    asked: Asked = _read(message, Folded).unfolded()
    _check_question(asked, words)
    return asked


def _one_of(questions: Sequence[Asked], number: int) -> Asked:
    if not 0 <= number < len(questions):
        raise ValueError("a question is not there")
    return questions[number]


def answer_bytes(shard_in: Callable[[Stamp], Shard | None], message: bytes, words: int) -> bytes:
    """What an index with so many visual words answers to requests that were sent.

    Args:
        shard_in: the index in a state, or None; in its newest for ``()``.
        message: the requests.
        words: how many visual words there are.

    Raises:
        StoreError: the requests are damaged, or of another version or vocabulary; or the index is damaged.
    """
    first, *others = _parted(message)
    state, sent = _read(first, _REQUESTS)
    try:
        questions = [_question(one, words) for one in others]
        requests = [one if isinstance(one, PictureRequest) else one.received(questions) for one in sent]
        for request in requests:
            if isinstance(request, ProofRequest):
                _check_proof(request)
    except ValueError as error:
        raise StoreError(f"a request cannot be meant: {error}") from error
    shard = shard_in(state)
    if shard is None:
        told = Answered(state, None)
    else:
        told = Answered(shard.snapshot.catalog.stamp, tuple(request.answered_by(shard) for request in requests))
    return to_bytes(told, _answers_to(requests), records=LOOK)


def answers_of(requests: Sequence[AnyRequest], message: bytes) -> Answered:
    """The answers to requests, as they came.

    Raises:
        StoreError: it is damaged, or of another version.
    """
    return Answered(*_read(message, _answers_to(requests)))


def _answers_to(requests: Sequence[AnyRequest]) -> Any:
    """The type of ``Answered``, with one answer to each request."""
    answers: Any = tuple[tuple(_ANSWERS[type(request)] for request in requests)]  # type: ignore[misc]
    return tuple[tuple[int, ...], answers | None]


def _parted(message: bytes) -> list[bytes]:
    """The parts of a message: one or more."""
    try:
        return parted(message) or [b""]
    except ValueError as error:
        raise _damaged(error) from error


def _read(message: bytes, kind: Any) -> Any:
    try:
        return from_bytes(message, kind, records=LOOK)
    except ValueError as error:  # of options out of range, too
        raise _damaged(error) from error


def _damaged(error: ValueError) -> StoreError:
    return StoreError(f"a message between machines is damaged: {error}")


def _check_question(asked: Asked, words: int) -> None:
    """See that rows of a question lead nowhere else."""
    looked_up = asked.words
    columns = [column for column in vars(looked_up).values() if isinstance(column, np.ndarray)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise ValueError("its words are not of one length")
    if not 1 <= len(asked.variants) <= len(Variant) or not all(map(_is_sound, asked.variants)):
        raise ValueError("its features are none")
    _check_below(looked_up.ids, words)
    _check_below(looked_up.variants, len(asked.variants))
    if (np.diff(looked_up.variants) < 0).any():
        raise ValueError("its variants are out of order")
    _check_below(looked_up.features, min(map(len, asked.variants)))
    if asked.whole is not None and (asked.whole.phashes.shape, asked.whole.looks.shape) != ((8,), (8,)):
        raise ValueError("its look is none")
    if not (asked.shape > 0 and asked.stretch >= 1):
        raise ValueError("it has no shape")
    _check_contents([*(asked.among or ()), *([asked.content] if asked.content else [])])


def _check_proof(request: ProofRequest) -> None:
    """See that what is listed leads nowhere else."""
    ranked = request.ranked
    if len({column.shape for column in ranked}) != 1 or ranked.images.ndim != 1:
        raise ValueError("its list is not of one length")
    _check_below(ranked.variants, len(request.asked.variants))
    _check_contents(request.contents)


def _check_contents(contents: Iterable[str]) -> None:
    if not all(len(bytes.fromhex(content)) == 32 for content in contents):
        raise ValueError("a content is none")


def _check_below(numbers: np.ndarray[Any, Any], end: int) -> None:
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < end):
        raise ValueError("a number leads nowhere")


def _is_sound(features: Any) -> bool:
    count = len(features.keypoints)
    columns = features.keypoints, features.sizes, features.angles
    if tuple(column.shape for column in columns) != ((count, 2), (count,), (count,)):
        return False
    # Not what is not finite, nor what no picture has: both would overflow where they are made whole numbers.
    return min(features.width, features.height) > 0 and all(bool((abs(one) <= _MOST).all()) for one in columns)
