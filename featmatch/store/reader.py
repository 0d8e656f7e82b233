"""An index directory, open for reading: what search and grouping take."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from featmatch.arguments import checked_path
from featmatch.errors import StoreError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.names import absolute
from featmatch.store.info import IndexInfo
from featmatch.store.layout import CATALOG, verify_layout, vocabulary_of
from featmatch.store.places import Places
from featmatch.store.snapshot import Snapshot
from featmatch.store.whereabouts import Whereabouts
from featmatch.system.files import folder_bytes


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
            raise StoreError(f"{folder} is no featmatch index, or none that may be read")
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
        if self.options.detector != self.vocabulary.detector:
            raise StoreError(f"{self.folder} is damaged: its vocabulary is for {self.vocabulary.detector}")
        self.whereabouts = Whereabouts(self.folder, None if root is None else absolute(checked_path(root, "root")))

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

    def path_of(self, name: str) -> str | None:
        """Where the file of a name is now; None where it is not at hand. See ``Index.path_of``."""
        return next(self.places.paths_of(name), None)

    def info(self) -> IndexInfo:
        """What the index holds and how big it is."""
        snapshot = self.snapshot
        totals = snapshot.catalog.totals()
        return IndexInfo(
            images=totals.names,
            features=totals.features,
            removed=totals.removed,
            queued=totals.queued,
            verdicts=totals.verdicts,
            segments=len(snapshot.segments),
            bytes=folder_bytes(self.folder),
            root=self.whereabouts.given or snapshot.catalog.root,
            base=snapshot.catalog.folder("base"),
            detector=self.options.detector,
            words=len(self.vocabulary),
            vocabulary=self.vocabulary.fingerprint,
        )
