"""One look at a query: features, words, votes, homographies and pixels, each stage a call of its own.

Here is what needs all images that are found; each index says what it can say of its own (``shard.py``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from featmatch.arguments import check_kind
from featmatch.errors import ImageError, UsageError
from featmatch.features.extraction import FeatureOptions, Features
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, ImageSource, load_each, load_grey
from featmatch.search.asked import Asked
from featmatch.search.closer import CloserLook
from featmatch.search.collection import Collection, Proved
from featmatch.search.compared import Compared
from featmatch.search.matches import FoundImage
from featmatch.search.merging import Listing
from featmatch.search.query import Query
from featmatch.search.query_words import QueryWords, fixed_bits
from featmatch.search.region import QueryRegion
from featmatch.search.relatives import laid_over, relatives_of
from featmatch.search.shards import Shards
from featmatch.search.timing import StageClock
from featmatch.search.verdicts import content_of_query
from featmatch.search.verification import compare_pixels, worth_a_look
from featmatch.search.voting import VotingOptions
from featmatch.search.whole_search import preferred
from featmatch.store.snapshot import Snapshot
from featmatch.words.vocabulary import Vocabulary


@dataclass(frozen=True)
class Retrieval:
    """Looks at queries: in which indexes, and with which options. Several are asked as one that holds all.

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
        clock: times the stages.
        missing: why indexes did not answer, by their places.
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
    clock: StageClock = dataclasses.field(default_factory=StageClock)
    missing: dict[int, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind(self.voting, "voting", VotingOptions, none=False)
        check_kind(self.geometry, "geometry", GeometryOptions, none=False)

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
        retrieval = dataclasses.replace(self, region=None, clock=StageClock())
        reference = retrieval.read(picture)
        asked = dataclasses.replace(retrieval.asked(reference), whole=None)
        proved = retrieval.proved(reference, asked, retrieval.listed(asked))
        found = relatives_of(one, proved.by_features)
        pictures = self._collection.pictures({other.id: proved.holders[other.id] for other in found})
        return laid_over(query, one, found, pictures)

    def _closer(self, query: Query) -> CloserLook:
        return CloserLook(self._part(query), query.features, self.options, self.geometry)

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
