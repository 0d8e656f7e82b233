"""An index directory, open for reading: what search and grouping take."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_kind, checked_path
from featmatch.errors import StoreError, UsageError
from featmatch.features.detectors import descriptors_of
from featmatch.features.extraction import FeatureOptions
from featmatch.names import absolute
from featmatch.store.info import IndexInfo
from featmatch.store.layout import CATALOG, no_index, verify_layout, vocabulary_of
from featmatch.store.open_catalog import OPENCV_SIFT_VERSION
from featmatch.store.places import Places
from featmatch.store.records import ImageRecord
from featmatch.store.snapshot import Snapshot
from featmatch.store.whereabouts import Whereabouts
from featmatch.system.files import folder_bytes
from featmatch.words.vocabulary import Vocabulary

# Of an index, which has no name; or of several that are read as one, each by what it is called.
Folders: TypeAlias = "tuple[tuple[str | None, Path], ...]"


class Reader:
    """An index that is open. Safe to share between threads.

    Attributes:
        folder: where it is, as an absolute path.
        vocabulary: its visual words.
        options: how its features are taken.
        snapshot: the newest state that was seen; ``refresh`` replaces it.
        whereabouts: where the files of its images are.
    """

    def __init__(self, folder: Path, root: str | os.PathLike[str] | None = None) -> None:
        """Open an index.

        Args:
            folder: the directory.
            root: where the collection is now; None: where the catalogue says.

        Raises:
            StoreError: there is no index, a damaged one, or one of another version.
            VocabularyError: its vocabulary cannot be read.
        """
        if not os.path.lexists(folder / CATALOG):
            raise no_index(folder)
        self.folder = folder.absolute()  # whoever holds it may change the working directory
        self._refreshing = threading.Lock()
        verify_layout(self.folder)
        self.vocabulary = vocabulary_of(self.folder)
        self.snapshot = Snapshot.open(self.folder, len(self.vocabulary))
        meta = self.snapshot.catalog.meta
        if self.vocabulary.fingerprint != meta.get("vocabulary"):
            raise StoreError(f"{self.folder} holds another vocabulary than the one it was made with")
        try:
            self.options = FeatureOptions.of_index(meta.get("features"))
        except UsageError as error:
            raise StoreError(f"{self.folder} is damaged: it does not say what its features are: {error}") from error
        if descriptors_of(self.options.detector) != self.vocabulary.detector:
            raise StoreError(f"{self.folder} is damaged: its vocabulary is for {self.vocabulary.detector}")
        self.whereabouts = Whereabouts(self.folder, None if root is None else absolute(checked_path(root, "root")))

    @property
    def folders(self) -> Folders:
        """What opens it again in another process (``joined.reader_of``)."""
        return ((None, self.folder),)

    def verify_made_with(self, options: FeatureOptions | None, vocabulary: Vocabulary | None) -> None:
        """Raise a StoreError, where the index was made with other options or another vocabulary; None: any will do.

        For an index of the time when ``sift`` was OpenCV's, or chose features by contrast, the name still stands for
        that.
        """
        made = self.options
        if (
            options is not None
            and options.detector == "sift"
            and self.snapshot.catalog.meta["version"] == OPENCV_SIFT_VERSION
        ):
            made = replace(made, detector="sift", choice="contrast")
        if options is not None and not options.stands_for(made):
            raise StoreError(f"{self.folder} was made with other features than those: {self.options.description()}")
        if vocabulary is not None and vocabulary.fingerprint != self.vocabulary.fingerprint:
            raise StoreError(f"{self.folder} was made with another vocabulary")

    def __len__(self) -> int:
        """Number of names that can be found."""
        return self.snapshot.catalog.totals().names

    def refresh(self) -> None:
        """See what was committed since, by this process or another. Where that is nothing, it takes microseconds."""
        with self._refreshing:
            if self.snapshot.catalog.superseded:
                self.snapshot = Snapshot.open(self.folder, len(self.vocabulary), self.snapshot.segments)

    @property
    def root(self) -> str | None:
        """The folder that names are relative to; None: they are as they were given."""
        return self.whereabouts.given or self.snapshot.catalog.root

    @property
    def places(self) -> Places:
        """Where the files are, by the newest state that was seen."""
        return self.whereabouts.places(self.snapshot.catalog)

    @property
    def trust_problem(self) -> str | None:
        """Why the record of what this user added cannot be used, if it was needed (``docs/reliability.md``)."""
        return self.whereabouts.problem

    def images(self, match: str | None = None) -> Iterator[ImageRecord]:
        """All images that can be found, in the order in which they were added.

        Args:
            match: only those that have all these words, or words that begin so, in their name, text, caption, camera
                or date taken.

        Raises:
            UsageError: there is no word in ``match``.
            MissingFeatureError: Python's SQLite has no FTS5, and words were given.
        """
        check_kind(match, "match", str)
        return self.snapshot.catalog.images(match)

    def path_of(self, name: str) -> str | None:
        """Where the file of a name is now; None where it is not at hand.

        Only files beside the index, and those that this user's own ``add`` or ``root`` named, are looked at.
        """
        check_kind(name, "name", str, none=False)
        return next(self.places.paths_of(name), None)

    def picture_of(self, name: str) -> NDArray[np.uint8] | None:
        """The small grey picture that the index keeps of an image, whether its file is at hand or not.

        Args:
            name: of the image.

        Returns:
            (h, w) uint8, upright, its longer side 512 or 256 px at most; None where none is kept of it, or no image has
            this name.

        Raises:
            StoreError: the index is damaged.
        """
        check_kind(name, "name", str, none=False)
        snapshot = self.snapshot
        content = snapshot.catalog.content_named(name)
        image = None if content is None else snapshot.catalog.image_with(content)
        picture = None if image is None else snapshot.stored_picture(image)
        return None if picture is None else picture.pixels

    def info(self) -> IndexInfo:
        """What the index holds and how big it is."""
        snapshot = self.snapshot
        totals, segments = snapshot.catalog.totals(), snapshot.segments.values()
        return IndexInfo(
            images=totals.names,
            features=totals.features,
            removed=totals.removed,
            queued=totals.queued,
            verdicts=totals.verdicts,
            segments=len(segments),
            pictures=sum(int(np.count_nonzero(segment.picture_bytes)) for segment in segments),
            picture_bytes=sum(len(segment.pictures) for segment in segments),
            bytes=folder_bytes(self.folder),
            root=self.whereabouts.given or snapshot.catalog.root,
            base=snapshot.catalog.folder("base"),
            detector=self.options.detector,
            words=len(self.vocabulary),
            vocabulary=self.vocabulary.fingerprint,
        )
