"""The stages of a search: ``Index.query`` runs them in a row, ``explain`` one by one.

First comes a look at the query as it is (``retrieval.py``); while it proves nothing, at its sheets, forms, and parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from featmatch.features.extraction import Features
from featmatch.features.forms import Form, Forms, Round, SeenForm, forms_of
from featmatch.features.given import geometry_of
from featmatch.features.looks import whole_picture
from featmatch.features.sheets import sheets_of
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, ImageSource
from featmatch.proof.proof import Proof
from featmatch.proof.whole import on_picture
from featmatch.search.asked import Asked
from featmatch.search.closer import decided, rests_on_form
from featmatch.search.collection import Proved
from featmatch.search.compared import Compared
from featmatch.search.forms import InForm, Look, as_shared, found_in_forms, without_contradicted, without_related
from featmatch.search.matches import FoundImage, Holder, Match, Matches, in_order, named
from featmatch.search.merging import Listing
from featmatch.search.parts import unexplained
from featmatch.search.query import Query
from featmatch.search.region import QueryRegion
from featmatch.search.retrieval import Retrieval
from featmatch.search.shard import Shard
from featmatch.search.shards import LocalShards, StaleError
from featmatch.search.timing import StageClock
from featmatch.search.verification import Matched, matched_in_part
from featmatch.search.voting import VotingOptions
from featmatch.search.whole_search import preferred
from featmatch.store.reader import Reader

_Item = TypeVar("_Item")

_FORM_SHORTLIST = 50  # candidates of another form of the query
_SHEET_STRETCH = 1.3498588075760032  # e to the 0.3; ratio by which the shape of what is seen from the side may be off

# An index; or several that are asked as one, by what they are called. They have the same vocabulary and options.
Readers: TypeAlias = "Reader | Mapping[str, Reader]"


@dataclass(frozen=True)
class Search(Retrieval):
    """One search: a look at the query as it is; and, while that proves nothing, at other forms and parts of it.

    Attributes:
        forms: of the picture, in rounds: each is looked up, too, where what came before proves nothing.
        verified: what ``verify`` said of a query and an image.
    """

    forms: Sequence[Round] = ()
    verified: dict[tuple[Query, int], Proof | None] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        readers: Readers,
        *,
        match: str | None = None,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        decoding: DecodingOptions = USUAL,
        region: QueryRegion | None = None,
        forms: Forms = "none",
    ) -> Search:
        """A search in the newest state of indexes that their readers have seen.

        Args:
            readers: where to look.
            match: words; only images that have them are to be found. None: all.
            voting: how candidates are found.
            geometry: what counts as agreement.
            decoding: what decoding one file may cost.
            region: the part of the picture that alone is looked up; None: all of it.
            forms: of the picture that are looked up, too, where it proves nothing as it is.

        Raises:
            UsageError: there is no word in ``match``, or the options are of another kind.
            MissingFeatureError: Python's SQLite has no FTS5, and words were given.
        """
        several: Mapping[Any, Reader] = {None: readers} if isinstance(readers, Reader) else readers
        shards = [Shard.of(reader, decoding) for reader in several.values()]
        if match is not None:
            for shard in shards:
                shard.fitting(match)
        first = next(iter(several.values()))
        return cls(
            LocalShards(shards, list(several)), [shard.snapshot for shard in shards], first.vocabulary, first.options,
            voting or VotingOptions(), geometry_of(first.options.detector, geometry), decoding, match,
            region=region, forms=forms_of(forms),
        )  # fmt: skip

    def for_another(self, *, again: bool = False) -> Search:
        """The same for another picture, or ``again``: what belongs to one picture begins anew."""
        shards = self.shards.begun(again=again)
        return dataclasses.replace(self, shards=shards, clock=StageClock(), missing={}, verified={})

    def answer(
        self,
        image: ImageSource | GreyImage | Features,
        loaded: GreyImage | Query | None = None,
        *,
        limit: int,
        unproven: bool,
    ) -> Matches:
        """Run all stages; ``Index.query`` has the arguments. ``loaded`` is the image, if it was loaded before."""
        query = self.read(image if loaded is None else loaded)
        if not query.enough:
            return Matches(status="too_little_detail", damaged=query.grey.damaged)
        try:
            return self._answer_to(query, image, limit, unproven)
        except StaleError:
            return self.for_another(again=True)._answer_to(query, image, limit, unproven)

    def _answer_to(
        self, query: Query, image: ImageSource | GreyImage | Features, limit: int, unproven: bool
    ) -> Matches:
        answers, away = self.matches(query, self.asked(query, image))
        found = Matches(
            [one for one in answers if unproven or one.proven][:limit], times=self.clock.times,
            not_at_hand=[one.name for one in answers if one.identity in away],
            damaged=query.grey.damaged, related=[one for one in answers if one.related][:limit],
        )  # fmt: skip
        if self.missing:
            found.status = "partial"
            found.missing = [str(self.shards.names[place]) for place in sorted(self.missing)]
        return found

    def matches(
        self, query: Query, asked: Asked, listing: Listing | None = None
    ) -> tuple[list[Match], set[tuple[str | None, int]]]:
        """Run all stages after the words, or after a listing.

        Returns:
            All matches, proven or not, best first; and the identities of those whose files are not at hand.
        """
        listing = listing or self.listed(asked)
        proved = self.proved(query, asked, listing)
        self.clock.ended("verification")
        plain = self.compared(query, proved)
        self.clock.ended("pixels")
        with_sheets = self.with_sheets(query, asked, plain)
        in_forms = self.with_parts(query, asked, self.with_forms(query, asked, with_sheets))
        found, all_holders, verdicts, away = self.with_verified(query, in_forms)
        holders = {
            image: [holder for holder in held if holder.place not in self.missing]
            for image, held in all_holders.items()
        }
        answers = named(found, holders, verdicts)
        if self.missing:
            answers = [dataclasses.replace(one, provisional=True) for one in answers]
        return answers, {(holder.index, holder.id) for image in away for holder in holders[image]}

    def with_sheets(self, query: Query, asked: Asked, compared: Compared) -> Compared:
        """What was found and, while nothing of it is claimed, what looks the same as a sheet within the query."""
        if not self.forms or query.whole is None or compared.is_claimed:
            return compared
        sheets = sheets_of(query.grey)
        questions = []
        for sheet in sheets:
            shape = sheet.grey.width / sheet.grey.height
            questions.append(asked.of_look(whole_picture(sheet.grey), shape, _SHEET_STRETCH))
        listings = self._collection.tallied(questions) if questions else []
        for sheet, question, listing in zip(sheets, questions, listings, strict=True):
            if not len(listing.nearest.images):
                continue  # as nearly always
            (proved,) = self._collection.proved(sheet.grey, [(question, listing)])
            of_sheet = Query(sheet.grey, query.variants, question.whole)
            seen = self.compared(of_sheet, proved._replace(by_features=[]))
            size = query.grey.width, query.grey.height
            proven = [one for one in seen.found if one.proof.proven]  # others say less than what features do
            found = [dataclasses.replace(one, proof=on_picture(one.proof, sheet, size)) for one in proven]
            compared = compared.with_more(seen, found)
        self.clock.ended("forms")
        return compared

    def with_forms(self, query: Query, asked: Asked, compared: Compared) -> Compared:
        """What was found and, while nothing of it is claimed, what other forms of the query find."""
        looks, before = 1, compared.found
        for round_ in self.forms:
            if compared.is_claimed or query.is_given:
                break
            most_probable = max((one.proof.probability for one in compared.found), default=0.0)
            if not round_.is_for(self._part(query), most_probable):
                continue
            looks += len(round_.forms)
            proved = self._proved_in_forms(query, asked, round_.forms, looks, matched_in_part(before))
            by_features = as_shared(without_related(proved.by_features, compared.found), before)
            seen = self.as_verified(query, self.compared(query, proved._replace(by_features=by_features)))
            before = [*before, *seen.found]
            compared = compared.with_more(seen, without_contradicted(seen.found, compared.found))
            self.clock.ended("forms")
        return compared

    def with_parts(self, query: Query, asked: Asked, compared: Compared) -> Compared:
        """What was found and, while nothing of it is claimed, what the parts find that no sister explains."""
        if not self.forms or self.region is not None or query.is_given:
            return compared
        forms = [round_.of_part() for round_ in self.forms]
        for region in unexplained(compared.found, query.grey):
            if compared.is_claimed:
                break
            search = dataclasses.replace(self, region=region, forms=forms, clock=StageClock())
            part = search.read(query.grey)
            if part.enough:
                asked_of_it = dataclasses.replace(search.asked(part), content=asked.content)
                plain = search.compared(part, search.proved(part, asked_of_it, search.listed(asked_of_it)))
                seen = self.as_verified(query, search.with_forms(part, asked_of_it, plain))
                compared = compared.with_more(seen, without_related(seen.found, compared.found))
            self.clock.ended("forms")
        return compared

    def with_verified(self, query: Query, compared: Compared) -> Compared:
        """What was found and, while nothing of it is claimed, what ``verify`` says of the likeliest, by its file."""
        if not self.forms or self.region is not None or query.is_given or compared.is_claimed:
            return compared
        likeliest = self._closer(query).worth_it(compared.found)[:1]
        verified = self._verified(query, compared, likeliest).values()
        self.clock.ended("forms")
        return compared._replace(found=preferred(compared.found, [one for one in verified if one is not None]))

    def as_verified(self, query: Query, in_form: Compared) -> Compared:
        """What another form of the query has found; what it claims by words, ``verify`` confirms by the files, or not.

        What is confirmed keeps its proof; else the image has what ``verify`` says of it.
        """
        if self.region is not None:
            return in_form
        verified = self._verified(query, in_form, [one.id for one in in_form.found if rests_on_form(one)])
        denied = {image: one for image, one in verified.items() if one is None or not one.proof.proven}
        found = [denied.get(one.id, one) for one in in_form.found]
        return in_form._replace(found=in_order(one for one in found if one is not None))

    def _verified(self, query: Query, compared: Compared, images: Sequence[int]) -> dict[int, FoundImage | None]:
        """What ``verify`` says of those images whose files are at hand; None where nothing of the two agrees.

        It takes longer than all else, so it is asked once, however many forms claim an image.
        """
        wanted = {image: compared.holders[image] for image in images if (query, image) not in self.verified}
        closer = self._closer(query)
        for image, picture in self._collection.pictures(wanted).items():
            if picture is not None and not picture.is_stored:
                self.verified[query, image] = closer.verified(picture)
        found = {one.id: one for one in compared.found}
        said = {image: self.verified[query, image] for image in images if (query, image) in self.verified}
        return {image: decided(found[image], proof) for image, proof in said.items()}

    def _proved_in_forms(
        self, query: Query, asked: Asked, forms: Sequence[Form], looks: int, known: Sequence[Matched]
    ) -> Proved:
        """Prove images by geometry in other forms of the query, each of which is asked for like a query."""
        holders: dict[int, list[Holder]] = {}
        verdicts: dict[int, bool] = {}
        collection = self._collection

        def asked_in_turn(every: Iterable[InForm]) -> Iterator[tuple[SeenForm, Asked, Callable[[], list[Listing]]]]:
            for one in every:
                question = self._asked_in(one, asked)
                yield one.seen, question, collection.tallying([question])

        def found_by(every: Iterable[InForm]) -> Iterator[tuple[SeenForm, Sequence[FoundImage]]]:
            # Indexes on other machines are busy with one form while the next is made.
            proofs = []
            for seen, question, listings in _one_behind(asked_in_turn(every)):
                there = [one.seen_in(seen) for one in known]
                (listing,) = listings()
                proofs.append((seen, collection.proving(query.grey, [(question, listing)], [there])))
            for seen, proved_of_each in proofs:
                (proved,) = proved_of_each()
                holders.update(proved.holders)
                verdicts.update(proved.verdicts)
                yield seen, proved.by_features

        look = Look(self._part(query), self.region, self.options, looks)
        return Proved(found_in_forms(look, forms, found_by), [], holders, verdicts)

    def _asked_in(self, one: InForm, asked: Asked) -> Asked:
        """What is asked, with the query in another form."""
        words, places = self._words_and_places(one.variants)
        few = dataclasses.replace(asked.voting, shortlist=min(asked.voting.shortlist, _FORM_SHORTLIST))
        return dataclasses.replace(asked, words=words, variants=places, whole=None, voting=few)


def _one_behind(items: Iterable[_Item]) -> Iterator[_Item]:
    """Each of them, once the next is there.

    >>> made = []
    >>> [(one, list(made)) for one in _one_behind(made.append(n) or n for n in range(3))]
    [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    """
    before: list[_Item] = []
    for one in items:
        yield from before
        before = [one]
    yield from before
