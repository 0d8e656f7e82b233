"""The facade: an index directory that images are added to, and looked up in."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from featmatch.adding import AddReport, Progress, add_files
from featmatch.answers import Match, Matches
from featmatch.catalog import Catalog, ImageRecord
from featmatch.errors import ImageError, StoreError, UsageError, VocabularyError
from featmatch.features import FeatureOptions, extract_grey
from featmatch.files import image_files
from featmatch.geometry import GeometryOptions
from featmatch.image import GreyImage, ImageSource, load_grey
from featmatch.segment import Segment, flush_folder
from featmatch.symmetry import variants_of
from featmatch.timing import StageClock
from featmatch.verification import FEWEST_FEATURES, compare_pixels, verify_candidates
from featmatch.vocabulary import Vocabulary
from featmatch.voting import QueryWords, VotingOptions, vote

_COMPARED_PX = 512  # longer side at which the pictures of matches are read: their pixels are compared at less

_OWN_FILES = frozenset(("vocabulary.npz", "segments", "writer.lock", "catalog.sqlite.partial"))


@dataclass(frozen=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        images: how many can be found.
        features: of those images.
        removed: images that were removed or replaced and still take room.
        segments: parts of the inverted file.
        bytes: of all files of the index.
        detector: whose features it holds.
        words: size of its vocabulary.
        vocabulary: fingerprint of it.
    """

    images: int
    features: int
    removed: int
    segments: int
    bytes: int
    detector: str
    words: int
    vocabulary: str


@dataclass(frozen=True)
class Snapshot:
    """What was live at one moment. Readers take it as a whole, so a writer never disturbs them."""

    segments: tuple[Segment, ...]
    removed: frozenset[int]


class Index:
    """Images that can be found again, whole or in part. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Use ``Index.open``."""
        self._folder = folder
        self.catalog = Catalog(folder / "catalog.sqlite")
        meta = self.catalog.meta()
        self.options = FeatureOptions(**meta["features"])
        self.vocabulary = Vocabulary.load(folder / "vocabulary.npz")
        if self.vocabulary.fingerprint != meta["vocabulary"]:
            raise StoreError(f"{folder} holds another vocabulary than the one it was made with")
        self._opened: dict[int, Segment] = {}
        self.refresh()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        features: str | FeatureOptions | None = None,
        vocabulary: str | os.PathLike[str] | Vocabulary | None = None,
    ) -> Index:
        """Open an index directory.

        Args:
            path: the directory.
            create: make it, if there is none or an empty one.
            features: a detector by name, or options to extract with; "sift" where nothing says otherwise.
            vocabulary: a vocabulary or its file; the shipped one where nothing is given.

        Raises:
            StoreError: there is no index, a damaged one, one of another version, or one that was made with other
                features or another vocabulary than are asked for.
            VocabularyError: the vocabulary cannot be read or is for another detector.
            MissingFeatureError: no vocabulary is shipped for the detector.
        """
        folder = Path(path)
        wanted = FeatureOptions(detector=features) if isinstance(features, str) else features
        loaded = Vocabulary.load(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else vocabulary
        if not (folder / "catalog.sqlite").is_file():
            if not create:
                raise StoreError(f"{folder} is no featmatch index")
            _create(folder, wanted, loaded)
        index = cls(folder)
        if wanted is not None and wanted != index.options:
            raise StoreError(f"{folder} was made with other features than those: {index.options.description()}")
        if loaded is not None and loaded.fingerprint != index.vocabulary.fingerprint:
            raise StoreError(f"{folder} was made with another vocabulary")
        return index

    def __len__(self) -> int:
        """Number of images that can be found."""
        return self.catalog.totals()[0]

    def refresh(self) -> None:
        """See what was committed since the index was opened, by this process or another."""
        segments, removed = self.catalog.live()
        opened = {
            number: self._opened.get(number) or Segment.open(self._segment_folder(number), len(self.vocabulary))
            for number in segments
        }
        self._opened = opened
        self.snapshot = Snapshot(tuple(opened.values()), frozenset(removed))

    def add(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = -1,
        text: str | None = None,
        timeout: float = 60.0,
        pages: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Index files and folders (recursively); what is there and unchanged is skipped.

        Args:
            paths: as given they become part of the images' names.
            jobs: processes to work with; -1: one for each core. The result does not depend on it.
            text: kept with each image that is added.
            timeout: seconds that one image may take; one that takes longer is reported as failed.
            pages: index every page of a TIFF or PDF file, as FILE#page=N, not the first only; once a file is in the
                index by pages, it stays so.
            progress: called with images done and in all.

        Raises:
            StoreError: another writer is at work, or the index cannot be written.
        """
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise UsageError("paths is a list of paths")
        if not timeout > 0:
            raise UsageError("timeout is more than 0 seconds")
        with self._writing():
            own = os.path.realpath(self._folder)
            files = [file for file in image_files(paths) if not os.path.realpath(file).startswith(own + os.sep)]
            try:
                return add_files(
                    files, self.catalog, self._folder, self.options, len(self.vocabulary),
                    jobs=jobs, seconds=timeout, pages=pages, text=text,
                    progress=progress or (lambda done, total: None),
                )  # fmt: skip
            finally:
                self.refresh()

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take images out of the index; return the names that were in it.

        Raises:
            StoreError: another writer is at work, or the index cannot be written.
        """
        with self._writing():
            gone = self.catalog.remove(names)
        self.refresh()
        return gone

    def images(self) -> Iterator[ImageRecord]:
        """All images that can be found, in the order in which they were added."""
        return self.catalog.images()

    def info(self) -> IndexInfo:
        """What the index holds and how big it is."""
        images, features, removed = self.catalog.totals()
        return IndexInfo(
            images=images,
            features=features,
            removed=removed,
            segments=len(self.snapshot.segments),
            bytes=sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file()),
            detector=self.options.detector,
            words=len(self.vocabulary),
            vocabulary=self.vocabulary.fingerprint,
        )

    def query(
        self,
        image: ImageSource,
        *,
        limit: int = 10,
        unproven: bool = False,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
    ) -> Matches:
        """Find the images that this one is a copy of, in whole or in part.

        Args:
            image: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
            limit: how many matches to return at most.
            unproven: return candidates as well whose evidence does not carry a claim.
            voting: how candidates are found.
            geometry: what counts as agreement.

        Returns:
            The matches, best first; ``.status`` is "too_little_detail" where the image has too few features, and
            ``.times`` has the milliseconds of each stage.

        Raises:
            ImageError: the image cannot be read; its ``status`` says why.
        """
        if limit < 1:
            raise UsageError("limit is 1 or more")
        snapshot = self.snapshot
        voting = voting or VotingOptions()
        clock = StageClock()
        grey = load_grey(image, longest_px=self.options.longest_px, shortest_px=self.options.shortest_px)
        features = extract_grey(grey, self.options)
        if len(features) < FEWEST_FEATURES:
            return Matches(status="too_little_detail")
        seen = list(variants_of(features, grey, self.options))
        clock.ended("features")
        query = QueryWords.of(self.vocabulary, seen, voting.words)
        clock.ended("words")
        candidates = vote(query, seen, snapshot.segments, snapshot.removed, voting)
        names = self.catalog.names([candidate.id for candidate in candidates])
        clock.ended("votes")
        found = verify_candidates(candidates, names, features, geometry or GeometryOptions())
        clock.ended("verification")
        found = compare_pixels(found, grey, self._picture_of, self.options.detector)
        clock.ended("pixels")
        return Matches([match for match in found if unproven or match.proven][:limit], times=clock.times)

    def _picture_of(self, match: Match) -> GreyImage | None:
        """The picture that a match is about, if its file is still there and of the same size."""
        try:
            grey = load_grey(match.name, longest_px=_COMPARED_PX)
        except ImageError:
            return None
        return grey if (grey.width, grey.height) == match.reference_size else None

    def _segment_folder(self, number: int) -> Path:
        return self._folder / "segments" / f"{number:06d}"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the one writer's lock; the system lets go of it when the process ends, however it ends."""
        try:
            with filelock.FileLock(self._folder / "writer.lock", timeout=0):
                yield
        except filelock.Timeout as error:
            raise StoreError(f"{self._folder} is being written to by another process") from error
        except OSError as error:
            raise StoreError(f"cannot write to {self._folder}: {error.strerror or error}") from error


def _create(folder: Path, options: FeatureOptions | None, vocabulary: Vocabulary | None) -> None:
    """Make an empty index; its catalogue comes last, so half of one is no index."""
    if options is None:
        options = FeatureOptions(detector=vocabulary.detector if vocabulary else "sift")
    vocabulary = vocabulary or Vocabulary.shipped(options.detector)
    if vocabulary.detector != options.detector:
        raise VocabularyError(f"the vocabulary is for {vocabulary.detector}, not for {options.detector}")
    try:
        if folder.exists() and not {entry.name for entry in folder.iterdir()} <= _OWN_FILES:
            raise StoreError(f"{folder} holds other things and is no featmatch index")
        (folder / "segments").mkdir(parents=True, exist_ok=True)
        vocabulary.save(folder / "vocabulary.npz")
        aside = folder / "catalog.sqlite.partial"
        aside.unlink(missing_ok=True)
        meta: dict[str, Any] = {"features": dataclasses.asdict(options), "vocabulary": vocabulary.fingerprint}
        Catalog.create(aside, meta)
        os.rename(aside, folder / "catalog.sqlite")
        flush_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot make an index in {folder}: {error.strerror or error}") from error
