"""All indexes of a search, asked as one: each is asked for its part, and the parts are put together.

What several forms of a query ask is asked together, so that it costs no more rounds than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from featmatch.errors import StoreError
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.pixels import GreyImage
from featmatch.search.asked import Asked
from featmatch.search.matches import FoundImage, Holder
from featmatch.search.merging import Listing, merged, of_all
from featmatch.search.shard import Proofs
from featmatch.search.shards import PictureRequest, ProofRequest, Request, Shards, TallyRequest
from featmatch.search.verification import Matched, judge
from featmatch.search.whole_search import whole_candidates
from featmatch.system.workers import Lost

_Answer = TypeVar("_Answer")


class Proved(NamedTuple):
    """What all indexes can prove, before pixels are compared; images by their numbers among all.

    Attributes:
        by_features: best first.
        as_whole: by the look as a whole, best first.
        holders: the indexes that hold each of them, in order, by number.
        verdicts: of the user on the query and some of them, by number: true is a copy.
    """

    by_features: list[FoundImage]
    as_whole: list[FoundImage]
    holders: Mapping[int, list[Holder]]
    verdicts: Mapping[int, bool]


@dataclass(frozen=True)
class Collection:
    """All indexes of a search.

    Attributes:
        shards: the way to ask them.
        geometry: what counts as agreement.
        missing: why indexes did not answer, by their places; grows.
    """

    shards: Shards
    geometry: GeometryOptions
    missing: dict[int, str]

    def tallied(self, questions: Sequence[Asked]) -> list[Listing]:
        """The best of all indexes, for several questions that are asked together."""
        return self.tallying(questions)()

    def tallying(self, questions: Sequence[Asked]) -> Callable[[], list[Listing]]:
        """As ``tallied``: asks, and returns what waits for the answers."""
        requests = [TallyRequest(asked) for asked in questions]
        answers_of_all = self._asking(dict.fromkeys(range(len(self.shards.names)), requests))

        def listings() -> list[Listing]:
            answers = answers_of_all()
            return [
                merged(
                    {place: tallies[number] for place, tallies in answers.items()}, asked.voting.shortlist,
                    self.shards.numbering,
                )
                for number, asked in enumerate(questions)
            ]  # fmt: skip

        return listings

    def proved(
        self,
        grey: GreyImage,
        listed: Sequence[tuple[Asked, Listing]],
        known: Sequence[Sequence[Matched]] | None = None,
    ) -> list[Proved]:
        """Prove listed images by geometry, and choose those that look the same as a whole.

        Args:
            grey: the query.
            listed: questions, and what is listed for each; their proofs are asked for together.
            known: for each question, where other looks at the query have found images, px of its features.
        """
        return self.proving(grey, listed, known)()

    def proving(
        self,
        grey: GreyImage,
        listed: Sequence[tuple[Asked, Listing]],
        known: Sequence[Sequence[Matched]] | None = None,
    ) -> Callable[[], list[Proved]]:
        """As ``proved``: asks, and returns what waits for the answers."""
        as_whole = [
            [] if asked.whole is None else whole_candidates(listing.nearest, asked.whole, grey)
            for asked, listing in listed
        ]
        requests: dict[int, list[ProofRequest]] = {place: [] for place in range(len(self.shards.names))}
        for (asked, listing), alike in zip(listed, as_whole, strict=True):
            own = dict(listing.of_each_shard(len(requests)))
            nothing = listing.ranked.part(slice(0))
            images = [one.id for one in alike]
            if len(requests) > 1:  # any may hold another copy of a file that another one proves
                images = [*listing.ranked.images.tolist(), *images]
            wanted = tuple(dict.fromkeys(listing.contents[image] for image in images))
            for place, asked_of_it in requests.items():
                asked_of_it.append(ProofRequest(asked, own.get(place, nothing), wanted))
        answers_of_all = self._asking(requests)

        def proved() -> list[Proved]:
            answers, every = answers_of_all(), []
            for number, (asked, listing) in enumerate(listed):
                proofs = {place: own[number] for place, own in answers.items()}
                by_features = self._judged(asked, proofs, known[number] if known else ())
                contents = {one.id: listing.contents[one.id] for one in (*by_features, *as_whole[number])}
                holders = self._holders(contents, {place: one.held for place, one in proofs.items()})
                every.append(Proved(by_features, as_whole[number], holders, listing.verdicts_of_images))
            return every

        return proved

    def _judged(self, asked: Asked, proofs: Mapping[int, Proofs], known: Sequence[Matched]) -> list[FoundImage]:
        """What all indexes proved of one query, by their places, judged together."""
        size = (asked.features.width, asked.features.height)
        fitted = [of_all(one, place, self.shards.numbering) for place, proof in proofs.items() for one in proof.fitted]
        return judge(fitted, size, self.geometry, known)

    def _holders(
        self, contents: Mapping[int, str], held: Mapping[int, Mapping[str, tuple[int, list[str]]]]
    ) -> dict[int, list[Holder]]:
        """The indexes that hold each image, in order, by what each of them holds."""
        return {
            image: [
                Holder(*there[content], self.shards.names[place], place)
                for place, there in sorted(held.items())
                if content in there
            ]
            for image, content in contents.items()
        }

    def pictures(self, holders: Mapping[int, Sequence[Holder]]) -> dict[int, GreyImage | None]:
        """Pictures of images: of a file of the first index that has it at hand, else as the first one keeps it."""
        found: dict[int, GreyImage | None] = dict.fromkeys(holders)
        left = {image: list(held) for image, held in holders.items()}
        while asked := {image: held.pop(0) for image, held in left.items() if held}:
            wanted: dict[int, list[int]] = {}
            for holder in asked.values():
                wanted.setdefault(holder.place, []).append(holder.id)
            answers = self._asking({place: [PictureRequest(tuple(images))] for place, images in wanted.items()})()
            for image, holder in asked.items():
                (pictures,) = answers.get(holder.place, [{}])
                picture = pictures.get(holder.id)
                if picture is not None and not picture.is_stored:
                    left[image] = []
                    found[image] = picture
                else:
                    found[image] = found[image] or picture
        return found

    def _asking(self, requests: Mapping[int, Sequence[Request[_Answer]]]) -> Callable[[], dict[int, Sequence[_Answer]]]:
        """Ask indexes; return what waits for the answers of each to all that it is asked.

        One that misses a request is asked no more. Waiting raises StoreError where none is left.
        """
        sent = self.shards.send({place: own for place, own in requests.items() if place not in self.missing})

        def answers() -> dict[int, Sequence[_Answer]]:
            there: dict[int, Sequence[_Answer]] = {}
            for place, answer in sent().items():
                if isinstance(answer, Lost):
                    self.missing[place] = answer.reason
                else:
                    there[place] = answer
            if len(self.missing) == len(self.shards.names):
                raise StoreError(self.missing[0])
            return there

        return answers
