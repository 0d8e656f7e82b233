"""Several indexes that are asked as one: what is asked of each, and the way to ask those on this machine.

A request is plain data and can be answered anywhere, more than once, and late: its answer depends on it and on the
state of the index alone.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from featmatch.errors import StoreError
from featmatch.images.pixels import GreyImage
from featmatch.search.asked import Asked
from featmatch.search.shard import Proofs, Shard, Tally, prove_each
from featmatch.search.voting import Ranked
from featmatch.store.numbers import Numbering, numbering_of
from featmatch.system.workers import Lost

_Answer = TypeVar("_Answer")
_Answer_co = TypeVar("_Answer_co", covariant=True)


class StaleError(StoreError):
    """An index that changed while it was asked, so that the state that was asked first is not at hand any more.

    Nobody sees it: the search is done once more.
    """


class Request(Protocol[_Answer_co]):
    """What is asked of one index."""

    def answered_by(self, shard: Shard, /) -> _Answer_co:
        """The answer of an index."""


class TallyRequest(NamedTuple):
    """Which images have the most votes, or look the most alike?"""

    asked: Asked

    def answered_by(self, shard: Shard, /) -> Tally:
        """The answer of an index."""
        return shard.tally(self.asked)


class ProofRequest(NamedTuple):
    """Which of these images have a homography, and which of these contents are there beside?"""

    asked: Asked
    ranked: Ranked  # by the numbers of the index
    contents: tuple[str, ...]

    def answered_by(self, shard: Shard, /) -> Proofs:
        """The answer of an index."""
        return shard.prove(self.asked, self.ranked, self.contents)


class PictureRequest(NamedTuple):
    """What do these images look like?"""

    images: tuple[int, ...]  # by the numbers of the index

    def answered_by(self, shard: Shard, /) -> dict[int, GreyImage | None]:
        """The answer of an index."""
        return {image: shard.picture(image) for image in self.images}


class Shards(Protocol):
    """The way to ask several indexes.

    All that is asked between two calls of ``begun`` is answered in one state of each.

    Attributes:
        names: what they are called, in the order in which ties are broken; None: it is one, and is not named.
        numbering: how their images are numbered among all.
    """

    names: Sequence[str | None]
    numbering: Numbering

    @property
    def have_verdicts(self) -> bool:
        """Whether users have judged any pair."""

    def begun(self, *, again: bool = False) -> Shards:
        """The way for another search; ``again``: for one that did not come to its end (``StaleError``)."""

    def send(
        self, requests: Mapping[int, Sequence[Request[_Answer]]]
    ) -> Callable[[], Mapping[int, Sequence[_Answer] | Lost]]:
        """Ask some of them, by the places of their names; others may be asked before the answers are there.

        Returns:
            What waits for the answers of each to all that it is asked, or for why there are none.
        """


class LocalShards:
    """Indexes on this machine, asked in this process."""

    def __init__(self, shards: Sequence[Shard], names: Sequence[str | None] = (None,)) -> None:
        """``shards`` and what they are called."""
        self.shards = shards
        self.names = names
        self.numbering = numbering_of([shard.snapshot.catalog for shard in shards])

    @property
    def have_verdicts(self) -> bool:
        """Whether users have judged any pair."""
        return any(shard.snapshot.catalog.has_verdicts for shard in self.shards)

    def begun(self, *, again: bool = False) -> Shards:
        """The same: the states stay."""
        return self

    def send(
        self, requests: Mapping[int, Sequence[Request[_Answer]]]
    ) -> Callable[[], Mapping[int, Sequence[_Answer] | Lost]]:
        """Ask, once the answers are wanted."""
        return functools.partial(self.ask, requests)

    def ask(self, requests: Mapping[int, Sequence[Request[_Answer]]]) -> Mapping[int, Sequence[_Answer] | Lost]:
        """The answers; one index alone raises what several have lost."""
        # In turn: scanning has threads of its own, and the rest is Python, of which one thread works at a time.
        if all(isinstance(one, ProofRequest) for own in requests.values() for one in own):
            with contextlib.suppress(StoreError):  # then each says whether it is the one that is damaged
                return self._proved(requests)
        return {place: self._answers(place, own) for place, own in requests.items()}

    def _proved(self, requests: Mapping[int, Sequence[Any]]) -> Mapping[int, Sequence[Any]]:
        """The answers to what is to be proven: what is done of each image is done of those of all indexes together."""
        answers: dict[int, dict[int, Proofs]] = {place: {} for place in requests}
        asked: dict[tuple[Asked, tuple[str, ...]], list[tuple[int, int, Ranked]]] = {}
        for place, own in requests.items():
            for number, one in enumerate(own):
                asked.setdefault((one.asked, one.contents), []).append((place, number, one.ranked))
        for (question, contents), parts in asked.items():
            shards = [self.shards[place] for place, _, _ in parts]
            proved = prove_each(shards, question, [ranked for _, _, ranked in parts], contents)
            for (place, number, _), proofs in zip(parts, proved, strict=True):
                answers[place][number] = proofs
        return {place: [own[number] for number in sorted(own)] for place, own in answers.items()}

    def _answers(self, place: int, requests: Sequence[Request[_Answer]]) -> Sequence[_Answer] | Lost:
        try:
            return [request.answered_by(self.shards[place]) for request in requests]
        except StoreError as error:
            if len(self.shards) == 1:
                raise
            return Lost(str(error))
