"""The stages of a search: ``Index.query`` runs them in a row, ``explain`` one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from featmatch.arguments import check_kind
from featmatch.errors import ImageError
from featmatch.features.extraction import FeatureOptions
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, ImageSource, load_each, load_grey
from featmatch.search.matches import FoundImage, Matches, named
from featmatch.search.pictures import Pictures
from featmatch.search.query import Query
from featmatch.search.region import QueryRegion
from featmatch.search.timing import StageClock
from featmatch.search.verdicts import verdicts_of
from featmatch.search.verification import compare_pixels, verify_candidates
from featmatch.search.voting import Candidate, QueryWords, VotingOptions, vote
from featmatch.search.whole_search import preferred, whole_candidates
from featmatch.store.reader import Reader
from featmatch.store.snapshot import Snapshot
from featmatch.words.vocabulary import Vocabulary


@dataclass(frozen=True)
class Search:
    """One search: in which state of an index, and with which options.

    Attributes:
        snapshot: the state of the index.
        vocabulary: of the index.
        options: how features are taken.
        voting: how candidates are found.
        geometry: what counts as agreement.
        pictures: of matches, where they are at hand.
        decoding: what decoding one file may cost.
        match: words that the names of images must have to be found; None: all are.
        among: numbers of the only images that are to be found; None: all.
        region: the part of the picture that alone is looked up, by its features; None: all of it.
        clock: times the stages.
    """

    snapshot: Snapshot
    vocabulary: Vocabulary
    options: FeatureOptions
    voting: VotingOptions
    geometry: GeometryOptions
    pictures: Pictures
    decoding: DecodingOptions = USUAL
    match: str | None = None
    among: Sequence[int] | None = None
    region: QueryRegion | None = None
    clock: StageClock = dataclasses.field(default_factory=StageClock)

    @classmethod
    def of(
        cls,
        reader: Reader,
        *,
        match: str | None = None,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        decoding: DecodingOptions = USUAL,
        region: QueryRegion | None = None,
    ) -> Search:
        """A search in the newest state of an index that its reader has seen.

        Args:
            reader: the index.
            match: words; only images that have them are to be found. None: all.
            voting: how candidates are found.
            geometry: what counts as agreement.
            decoding: what decoding one file may cost.
            region: the part of the picture that alone is looked up; None: all of it.

        Raises:
            UsageError: there is no word in ``match``, or the options are of another kind.
            MissingFeatureError: Python's SQLite has no FTS5, and words were given.
        """
        snapshot = reader.snapshot
        among = None if match is None else snapshot.catalog.fitting(match)
        pictures = Pictures(snapshot.catalog, reader.whereabouts.places(snapshot.catalog), decoding)
        return cls(
            snapshot, reader.vocabulary, reader.options, voting or VotingOptions(), geometry or GeometryOptions(),
            pictures, decoding, match, among, region,
        )  # fmt: skip

    def __post_init__(self) -> None:
        check_kind(self.voting, "voting", VotingOptions, none=False)
        check_kind(self.geometry, "geometry", GeometryOptions, none=False)

    def for_another(self) -> Search:
        """The same for another picture: times, and what is missing, are counted anew."""
        return dataclasses.replace(self, pictures=self.pictures.for_another_search(), clock=StageClock())

    def answer(
        self, image: ImageSource | GreyImage, loaded: GreyImage | Query | None = None, *, limit: int, unproven: bool
    ) -> Matches:
        """Run all stages; ``Index.query`` has the arguments. ``loaded`` is the image, if it was loaded before."""
        query = self.read(image if loaded is None else loaded)
        if not query.enough:
            return Matches(status="too_little_detail", damaged=query.grey.damaged)
        catalog = self.snapshot.catalog
        verdicts = verdicts_of(image, catalog)
        found = self.found(query, self.candidates(query, self.words(query), verdicts))
        answers = named(found, catalog.names_of([one.id for one in found], self.match), verdicts)
        return Matches(
            [one for one in answers if unproven or one.proven][:limit], times=self.clock.times,
            not_at_hand=[one.name for one in answers if one.id in self.pictures.missing],
            damaged=query.grey.damaged, related=[one for one in answers if one.related][:limit],
        )  # fmt: skip

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

    def read(self, image: ImageSource | GreyImage | Query) -> Query:
        """Decode a picture and find its features, or those of its region, where that is still to be done.

        Raises:
            UsageError: the region lies outside the picture.
        """
        if isinstance(image, Query):
            query = image
        else:
            grey = image if isinstance(image, GreyImage) else self.load(image)
            query = Query.of(grey, self.options, self.region)
        self.clock.ended("features")
        return query

    def words(self, query: Query) -> QueryWords:
        """Find the visual words of all variants."""
        words = QueryWords.of(self.vocabulary, query.variants, self.voting.words)
        self.clock.ended("words")
        return words

    def candidates(self, query: Query, words: QueryWords, verdicts: Mapping[int, bool]) -> list[Candidate]:
        """Find the images with the most votes, best first; accepted images follow, whatever their votes."""
        found = self.votes(query, words, self.voting, self.among)
        accepted = {image for image, is_copy in verdicts.items() if is_copy} - {candidate.id for candidate in found}
        if self.among is not None:
            accepted &= set(self.among)
        if accepted:
            every_hit = dataclasses.replace(self.voting, voting_limit=self.voting.hamming_limit)
            found += self.votes(query, words, every_hit, sorted(accepted))
        self.clock.ended("votes")
        return found

    def votes(
        self, query: Query, words: QueryWords, voting: VotingOptions, among: Sequence[int] | None
    ) -> list[Candidate]:
        """Find candidates with given options, among given images."""
        segments = tuple(self.snapshot.segments.values())
        return vote(words, query.variants, segments, self.snapshot.removed, voting, among)

    def found(self, query: Query, candidates: Sequence[Candidate]) -> list[FoundImage]:
        """Verify candidates by geometry, add images that look the same as a whole, and compare pixels; best first."""
        by_geometry = verify_candidates(candidates, query.features, self.geometry)
        segments, removed = tuple(self.snapshot.segments.values()), self.snapshot.removed
        alike = (
            whole_candidates(query.whole, query.grey, len(query.features), segments, removed, self.among)
            if query.whole is not None
            else []
        )
        self.clock.ended("verification")
        grey = query.grey if self.region is None else self.region.cut_from(query.grey)
        by_features, as_whole = (compare_pixels(some, grey, self.pictures.of) for some in (by_geometry, alike))
        self.clock.ended("pixels")
        return preferred(by_features, as_whole)
