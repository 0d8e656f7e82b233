"""One of the indexes that are asked as one: what it says of the images that it holds.

Nothing is decided here that depends on the images of another index: ``merging.py`` and ``retrieval.py`` do that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import GreyImage
from featmatch.native.postings import Hits
from featmatch.search.asked import Asked
from featmatch.search.candidates import Listed, candidates_of
from featmatch.search.pictures import Pictures
from featmatch.search.verification import Fitted, fit_candidates
from featmatch.search.voting import Ranked, hidden_rows, tally
from featmatch.search.whole_search import Nearest, nearest
from featmatch.store.reader import Reader
from featmatch.store.segment import Segment
from featmatch.store.snapshot import Snapshot


class Tally(NamedTuple):
    """The best of one index, by its own numbers.

    Attributes:
        ranked: by votes.
        nearest: by the look as a whole.
        contents: SHA-256 of each of them, by number.
        verdicts: of the user on the query and other contents (SHA-256): true is a copy.
    """

    ranked: Ranked
    nearest: Nearest
    contents: Mapping[int, str]
    verdicts: Mapping[str, bool]


class Proofs(NamedTuple):
    """What one index can prove, by its own numbers.

    Attributes:
        fitted: images that have a homography.
        held: number and names of each image that has one, or was asked for and is there, by its content (SHA-256).
    """

    fitted: list[Fitted]
    held: Mapping[str, tuple[int, list[str]]]


@dataclass(frozen=True)
class Shard:
    """The state of one index.

    Attributes:
        snapshot: the state.
        pictures: of its images.
        known: images whose names fit words that were asked for.
        hits: of each segment, of what was asked for, if they are not too many: nearly always it is asked next which
            images they prove, and that once.
    """

    snapshot: Snapshot
    pictures: Pictures
    known: dict[str, frozenset[int]] = field(default_factory=dict)
    hits: WeakKeyDictionary[Asked, Sequence[Hits | None]] = field(default_factory=WeakKeyDictionary)

    @classmethod
    def of(cls, reader: Reader, decoding: DecodingOptions) -> Shard:
        """The newest state of an index that its reader has seen; ``decoding`` is what a picture may cost."""
        snapshot = reader.snapshot
        return cls(snapshot, Pictures(snapshot, reader.whereabouts.places(snapshot.catalog), decoding))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Where its images are."""
        return tuple(self.snapshot.segments.values())

    def tally(self, asked: Asked) -> Tally:
        """Find the best images by votes, and by the look as a whole."""
        catalog, segments, removed = self.snapshot.catalog, self.segments, self.snapshot.removed
        among = self._among(asked)
        hidden = [hidden_rows(segment, removed, among) for segment in segments]
        ranked, hits = tally(asked.words, len(asked.variants), segments, hidden, asked.voting)
        self.hits[asked] = hits
        alike = Nearest.of([])
        if asked.whole is not None:
            few = len(asked.features)
            alike = nearest(asked.whole, asked.shape, few, segments, removed, among, stretch=asked.stretch)
        contents = catalog.contents_of([*ranked.images.tolist(), *alike.images.tolist()])
        verdicts = {} if asked.content is None else catalog.verdicts_of(asked.content)
        return Tally(ranked, alike, contents, verdicts)

    def listed(self, asked: Asked, ranked: Ranked) -> Listed:
        """Images that may have a homography, with their hits, if these are known."""
        segments = self.segments
        return Listed(ranked, segments, self.hits.pop(asked, [None] * len(segments)))

    def prove(self, asked: Asked, ranked: Ranked, contents: Collection[str]) -> Proofs:
        """Fit a homography to images; say which contents are there, and by which names those that have one are."""
        (proofs,) = prove_each([self], asked, [ranked], contents)
        return proofs

    def picture(self, image: int) -> GreyImage | None:
        """The picture of an image: of its file, if it is at hand as it was indexed, or as the index keeps it."""
        return self.pictures.of(image)

    def fitting(self, match: str) -> frozenset[int]:
        """Numbers of the images that have a name that fits.

        Raises:
            UsageError: there is no word in ``match``.
            MissingFeatureError: Python's SQLite has no FTS5.
        """
        if match not in self.known:
            self.known[match] = frozenset(self.snapshot.catalog.fitting(match))
        return self.known[match]

    def _among(self, asked: Asked) -> list[int] | None:
        """Numbers of the only images that are to be found; None: all."""
        if asked.among is None:
            return None if asked.match is None else sorted(self.fitting(asked.match))
        held = {image for image, _ in self.snapshot.catalog.named_with(asked.among).values()}
        return sorted(held if asked.match is None else held & self.fitting(asked.match))


def prove_each(
    shards: Sequence[Shard], asked: Asked, ranked: Sequence[Ranked], contents: Collection[str]
) -> list[Proofs]:
    """In each of several indexes, fit a homography to images and name these; say which contents are there."""
    listed = [shard.listed(asked, own) for shard, own in zip(shards, ranked, strict=True)]
    candidates = candidates_of(listed, asked.words, asked.variants, asked.voting.hamming_limit, asked.geometry)
    proofs = []
    for shard, own in zip(shards, candidates, strict=True):
        fitted, catalog = fit_candidates(own, asked.features, asked.geometry), shard.snapshot.catalog
        proven = catalog.contents_of(one.image.id for one in fitted).values()
        proofs.append(Proofs(fitted, catalog.named_with([*contents, *proven], asked.match)))
    return proofs
