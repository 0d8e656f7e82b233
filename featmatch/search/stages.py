"""The stages of a search: ``Index.query`` runs them in a row, ``explain`` one by one.

Here is what needs all images that were found; each index says what it can say of its own (``shard.py``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from featmatch.arguments import check_kind
from featmatch.errors import ImageError, UsageError
from featmatch.features.extraction import FeatureOptions, Features
from featmatch.features.forms import Form, Forms, Round, forms_of
from featmatch.features.given import geometry_of
from featmatch.features.looks import whole_picture
from featmatch.features.sheets import sheets_of
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, ImageSource, load_each, load_grey
from featmatch.proof.proof import Proof
from featmatch.proof.whole import on_picture
from featmatch.search.asked import Asked
from featmatch.search.closer import CloserLook, decided, rests_on_form
from featmatch.search.collection import Collection, Proved
from featmatch.search.compared import Compared
from featmatch.search.forms import InForm, Look, as_shared, found_in_forms, without_contradicted, without_related
from featmatch.search.matches import FoundImage, Holder, Match, Matches, in_order, named
from featmatch.search.merging import Listing
from featmatch.search.parts import unexplained
from featmatch.search.query import Query
from featmatch.search.query_words import QueryWords, fixed_bits
from featmatch.search.region import QueryRegion
from featmatch.search.relatives import laid_over, relatives_of
from featmatch.search.shard import Shard
from featmatch.search.shards import LocalShards, Shards, StaleError
from featmatch.search.timing import StageClock
from featmatch.search.verdicts import content_of_query
from featmatch.search.verification import Matched, compare_pixels, matched_in_part, worth_a_look
from featmatch.search.voting import VotingOptions
from featmatch.search.whole_search import preferred
from featmatch.store.reader import Reader
from featmatch.store.snapshot import Snapshot
from featmatch.words.vocabulary import Vocabulary

_FORM_SHORTLIST = 50  # candidates of another form of the query
_SHEET_STRETCH = 1.3498588075760032  # e to the 0.3; ratio by which the shape of what is seen from the side may be off

# An index; or several that are asked as one, by what they are called. They have the same vocabulary and options.
Readers: TypeAlias = "Reader | Mapping[str, Reader]"


@dataclass(frozen=True)
class Search:
    """One search: in which indexes, and with which options. Several are asked as one that holds all.

    Attributes:
        shards: the way to ask the indexes.
        snapshots: their states, where they are on this machine.
        vocabulary: of the indexes.
        options: how features are taken.
        voting: how candidates are found.
        geometry: what counts as agreement.
        decoding: what decoding one file may cost.
        match: words that the names of images must have to be found; None: all are.
        among: SHA-256 of the only images that are to be found; None: all.
        region: the part of the picture that alone is looked up, by its features; None: all of it.
        forms: of the picture, in rounds: each is looked up, too, where what came before proves nothing.
        clock: times the stages.
        missing: why indexes did not answer, by their places.
        verified: what ``verify`` said of a query and an image.
    """

    shards: Shards
    snapshots: Sequence[Snapshot]
    vocabulary: Vocabulary
    options: FeatureOptions
    voting: VotingOptions
    geometry: GeometryOptions
    decoding: DecodingOptions = USUAL
    match: str | None = None
    among: frozenset[str] | None = None
    region: QueryRegion | None = None
    forms: Sequence[Round] = ()
    clock: StageClock = dataclasses.field(default_factory=StageClock)
    missing: dict[int, str] = dataclasses.field(default_factory=dict)
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
            voting or VotingOptions(), geometry_of(first.options.detector, geometry), decoding, match, None, region,
            forms_of(forms),
        )  # fmt: skip

    def __post_init__(self) -> None:
        check_kind(self.voting, "voting", VotingOptions, none=False)
        check_kind(self.geometry, "geometry", GeometryOptions, none=False)

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

    def load(self, image: ImageSource) -> GreyImage:
        """Decode a picture."""
        longest_px, shortest_px = self.options.longest_px, self.options.shortest_px
        return load_grey(image, longest_px=longest_px, shortest_px=shortest_px, colours=True, decoding=self.decoding)

    def load_each(
        self, images: Iterable[ImageSource]
    ) -> Generator[tuple[ImageSource, GreyImage | ImageError], None, None]:
        """Decode many, the next while the caller is busy with one; yield each with its picture, or with why not."""
        longest_px, shortest_px = self.options.longest_px, self.options.shortest_px
        return load_each(images, longest_px=longest_px, shortest_px=shortest_px, colours=True, decoding=self.decoding)

    def read(self, image: ImageSource | GreyImage | Features | Query) -> Query:
        """Decode a picture and find its features, or those of its region, where that is still to be done.

        Raises:
            UsageError: the region lies outside the picture, or is one of features; these are not those of the index.
        """
        if isinstance(image, Query):
            query = image
        elif isinstance(image, Features):
            if self.region is not None:
                raise UsageError("a region is one of a picture: give the features that lie in it")
            query = Query.of_features(image, self.options)
        else:
            grey = image if isinstance(image, GreyImage) else self.load(image)
            query = Query.of(grey, self.options, self.region)
        self.clock.ended("features")
        return query

    def asked(self, query: Query, image: ImageSource | GreyImage | Features | None = None) -> Asked:
        """Find the visual words of all variants; with the image as it was given, verdicts on it count."""
        words, places = self._words_and_places(query.variants)
        content = content_of_query(image) if image is not None and self.shards.have_verdicts else None
        self.clock.ended("words")
        return Asked(
            words, places, query.whole, query.grey.width / query.grey.height, self.voting, self.geometry, content,
            self.match, self.among,
        )  # fmt: skip

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

    def listed(self, asked: Asked) -> Listing:
        """Find the images with the most votes, best first; accepted images follow, whatever their votes."""
        listing = self._tallied(asked)
        listed = {listing.contents[image] for image in listing.ranked.images.tolist()}
        accepted = {content for content, is_copy in listing.verdicts.items() if is_copy} - listed
        if asked.among is not None:
            accepted &= asked.among
        if accepted:
            every_hit = dataclasses.replace(asked.voting, voting_limit=asked.voting.hamming_limit)
            listing = listing.with_more(
                self._tallied(dataclasses.replace(asked, voting=every_hit, whole=None, among=frozenset(accepted)))
            )
        self.clock.ended("votes")
        return listing

    def proved(self, query: Query, asked: Asked, listing: Listing) -> Proved:
        """Prove listed images by geometry, and choose those that look the same as a whole."""
        (proved,) = self._collection.proved(query.grey, [(asked, listing)])
        return proved

    def compared(self, query: Query, proved: Proved) -> Compared:
        """Compare pixels; of each image, keep the better of its proofs."""
        grey = self._part(query)
        pictures: dict[int, GreyImage | None] = {}

        def pictures_of(images: Iterable[int]) -> Mapping[int, GreyImage | None]:
            if not query.has_pixels:
                return dict.fromkeys(images)
            wanted = {image: proved.holders[image] for image in images if image not in pictures}
            pictures.update(self._collection.pictures(wanted))
            return pictures

        pictures_of(one.id for found in (proved.by_features, proved.as_whole) for one in worth_a_look(found))
        closer = None if query.is_given else self._closer(query)
        relatives = None if query.is_given else functools.partial(self._relatives, grey)
        by_features = compare_pixels(proved.by_features, grey, pictures_of, closer, relatives)
        as_whole = compare_pixels(proved.as_whole, grey, pictures_of)
        away = {image for image, picture in pictures.items() if picture is None or picture.is_stored}
        return Compared(preferred(by_features, as_whole), proved.holders, proved.verdicts, frozenset(away))

    def _relatives(self, query: GreyImage, one: FoundImage, picture: GreyImage) -> list[FoundImage]:
        """Images that share a part with one that was found, laid over the query by way of it."""
        search = dataclasses.replace(self, region=None, forms=(), clock=StageClock())
        reference = search.read(picture)
        asked = dataclasses.replace(search.asked(reference), whole=None)
        proved = search.proved(reference, asked, search.listed(asked))
        found = relatives_of(one, proved.by_features)
        pictures = self._collection.pictures({other.id: proved.holders[other.id] for other in found})
        return laid_over(query, one, found, pictures)

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

    def _closer(self, query: Query) -> CloserLook:
        return CloserLook(self._part(query), query.features, self.options, self.geometry)

    def _proved_in_forms(
        self, query: Query, asked: Asked, forms: Sequence[Form], looks: int, known: Sequence[Matched]
    ) -> Proved:
        """Prove images by geometry in other forms of the query, each of which is asked for like a query."""
        holders: dict[int, list[Holder]] = {}
        verdicts: dict[int, bool] = {}

        def found_by(every: Sequence[InForm]) -> Iterator[Sequence[FoundImage]]:
            questions = [self._asked_in(one, asked) for one in every]
            listings = self._collection.tallied(questions)
            there = [[one.seen_in(form.seen) for one in known] for form in every]
            for proved in self._collection.proved(query.grey, list(zip(questions, listings, strict=True)), there):
                holders.update(proved.holders)
                verdicts.update(proved.verdicts)
                yield proved.by_features

        look = Look(self._part(query), self.region, self.options, looks)
        return Proved(found_in_forms(look, forms, found_by), [], holders, verdicts)

    def _asked_in(self, one: InForm, asked: Asked) -> Asked:
        """What is asked, with the query in another form."""
        words, places = self._words_and_places(one.variants)
        few = dataclasses.replace(asked.voting, shortlist=min(asked.voting.shortlist, _FORM_SHORTLIST))
        return dataclasses.replace(asked, words=words, variants=places, whole=None, voting=few)

    def _words_and_places(self, variants: Sequence[Features]) -> tuple[QueryWords, list[Features]]:
        """The visual words of features under each ``Variant``, and where they are, without descriptors."""
        places = [dataclasses.replace(one, descriptors=one.descriptors[:, :0], picture=None) for one in variants]
        fixed = fixed_bits(self.voting.words, sum(snapshot.features for snapshot in self.snapshots))
        return QueryWords.of(self.vocabulary, variants, fixed), places

    def _part(self, query: Query) -> GreyImage:
        """The picture that is looked up: all of it, or the rectangle around its region."""
        return query.grey if self.region is None else self.region.cut_from(query.grey)

    def _tallied(self, asked: Asked) -> Listing:
        (listing,) = self._collection.tallied([asked])
        return listing

    @property
    def _collection(self) -> Collection:
        return Collection(self.shards, self.geometry, self.missing)
