"""The facade: an index directory that images are added to, and looked up in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from featmatch.adding.batches import AddReport, Progress, Target, add_files, remove_vanished
from featmatch.arguments import check_kind, check_number, check_run, checked_path, checked_paths
from featmatch.errors import StoreError, UsageError
from featmatch.features.extraction import FeatureOptions, features_wanted
from featmatch.geometry.matches import GeometryOptions
from featmatch.grouping.groups import Groups
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import ImageSource
from featmatch.search.explaining import explain
from featmatch.search.explanation import Explanation
from featmatch.search.matches import Matches, named
from featmatch.search.stages import Search
from featmatch.search.verdicts import content_named, name_known, verdicts_of
from featmatch.search.voting import VotingOptions
from featmatch.store.catalog import ImageRecord
from featmatch.store.compaction import all_together, due, merge
from featmatch.store.creation import create_index
from featmatch.store.generation import changing
from featmatch.store.info import IndexInfo
from featmatch.store.layout import CATALOG
from featmatch.store.places import Places
from featmatch.store.reader import Reader
from featmatch.store.snapshot import Snapshot
from featmatch.store.writing import clear_leftovers, writing
from featmatch.words.vocabulary import Vocabulary


class Index:
    """Images that can be found again, whole or in part. Safe to share between threads."""

    def __init__(self, folder: Path, root: str | os.PathLike[str] | None = None) -> None:
        """Use ``Index.open``."""
        self.reader = Reader(folder, root)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        features: str | FeatureOptions | None = None,
        vocabulary: str | os.PathLike[str] | Vocabulary | None = None,
        root: str | os.PathLike[str] | None = None,
    ) -> Index:
        """Open an index directory.

        Args:
            path: the directory.
            create: make it, if there is none or an empty one.
            features: a detector by name, or options to extract with; "sift" where nothing says otherwise.
            vocabulary: a vocabulary or its file; the shipped one where nothing is given.
            root: where the collection is now. Names are then relative to this folder, so that the collection can be
                moved. ``add`` keeps it; where nothing is given, what was kept.

        Raises:
            StoreError: there is no index, a damaged one, one of another version, or one that was made with other
                features or another vocabulary than are asked for.
            VocabularyError: the vocabulary cannot be read or is for another detector.
            MissingFeatureError: no vocabulary is shipped for the detector.
        """
        folder = Path(checked_path(path, "path"))
        check_kind(vocabulary, "vocabulary", str, os.PathLike, Vocabulary)
        wanted = None if features is None else features_wanted(features)
        loaded = Vocabulary.load(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else vocabulary
        if create and not os.path.lexists(folder / CATALOG):
            create_index(folder, wanted, loaded)
        index = cls(folder, root)
        if wanted is not None and wanted != index.options:
            raise StoreError(f"{folder} was made with other features than those: {index.options.description()}")
        if loaded is not None and loaded.fingerprint != index.vocabulary.fingerprint:
            raise StoreError(f"{folder} was made with another vocabulary")
        return index

    def __len__(self) -> int:
        """Number of names that can be found."""
        return self.snapshot.catalog.totals().names

    @property
    def folder(self) -> Path:
        """Where the index is."""
        return self.reader.folder

    @property
    def vocabulary(self) -> Vocabulary:
        """Its visual words."""
        return self.reader.vocabulary

    @property
    def options(self) -> FeatureOptions:
        """How its features are taken."""
        return self.reader.options

    @property
    def snapshot(self) -> Snapshot:
        """The newest state that was seen."""
        return self.reader.snapshot

    @property
    def root(self) -> str | None:
        """The folder that names are relative to; None: they are as they were given."""
        return self.reader.root

    @property
    def places(self) -> Places:
        """Where the files are, by the newest state that was seen."""
        return self.reader.places

    @property
    def trust_problem(self) -> str | None:
        """Why the record of what this user added cannot be used, if it was needed (``docs/reliability.md``)."""
        return self.reader.whereabouts.problem

    def refresh(self) -> None:
        """See what was committed since, by this process or another. Where that is nothing, it takes microseconds."""
        self.reader.refresh()

    def add(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = -1,
        text: str | None = None,
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
        pages: bool = False,
        prune: bool = False,
        wait: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Index files and folders (recursively); what is there and unchanged is skipped.

        Segments are merged by tiers as they become many. Whatever ends it, what was done is committed first.

        Args:
            paths: as given they become part of the images' names; with a root, relative to that. Without, relative ones
                are as seen from where the first ``add`` ran; those that do not lie below it get their absolute path.
            jobs: processes to work with; -1: one for each core. The result does not depend on it.
            text: kept with each image that is added.
            timeout: seconds that one image may take; one that takes longer is reported as failed.
            max_pixels: larger images are reported as too large. It is not kept in the index.
            pages: index every page of a TIFF or PDF file, as FILE#page=N, not the first only; once a file is in the
                index by pages, it stays so.
            prune: take out what lies below ``paths`` in the index, but is no more. A path that does not exist itself is
                left alone: its drive may not be mounted.
            wait: for another writer to end, rather than failing at once.
            progress: called with images done and in all.

        Raises:
            StoreError: another writer is at work, or the index cannot be written or is damaged.
            UsageError: a path is not below the root, or relative though the working directory is no more; an argument
                cannot be meant.
        """
        given = checked_paths(paths, "paths")
        check_run(jobs, progress)
        check_kind(text, "text", str)
        decoding = DecodingOptions(timeout, max_pixels)
        with self._writing(wait):
            naming, files = self.reader.whereabouts.of_addition(given, self.snapshot.catalog)
            target = Target(self.folder, naming, self.options, len(self.vocabulary))
            report = add_files(
                files, target, jobs=jobs, decoding=decoding, pages=pages, text=text,
                progress=progress or (lambda done, total: None), committed=self._merge_due,
            )  # fmt: skip
            if prune:
                report.vanished.extend(remove_vanished(given, target))
            return report

    def remove(self, names: Iterable[str | os.PathLike[str]], *, wait: bool = False) -> list[str]:
        """Take images out of the index, by name or by the path of the file; return those that were in it.

        Raises:
            StoreError: another writer is at work, or the index cannot be written.
            UsageError: ``names`` is no list of names.
        """
        with self._writing(wait), changing(self.folder / CATALOG) as change:
            meant = checked_paths(names, "names")
            known = {name: name_known(name, self.snapshot.catalog, self.places) for name in meant}
            gone = set(change.remove(dict.fromkeys(one for one in known.values() if one is not None)))
            return [name for name, one in known.items() if one in gone]

    def compact(self, *, wait: bool = False) -> None:
        """Merge all segments, and drop what was removed. Answers stay the same; readers are not disturbed.

        Raises:
            StoreError: another writer is at work, or the index cannot be written or is damaged.
        """
        with self._writing(wait):
            together = all_together(self.snapshot.catalog.segments())
            for numbers in together:
                merge(self.folder, self.snapshot, numbers, len(self.vocabulary))
                self.refresh()
            if together:
                with changing(self.folder / CATALOG) as change:
                    change.shrink()

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
        return self.reader.path_of(name)

    def info(self) -> IndexInfo:
        """What the index holds and how big it is."""
        return self.reader.info()

    def query(
        self,
        image: ImageSource,
        *,
        limit: int = 10,
        unproven: bool = False,
        match: str | None = None,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> Matches:
        """Find the images that this one is a copy of, in whole or in part.

        Args:
            image: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
            limit: how many matches to return at most.
            unproven: return candidates as well whose evidence does not carry a claim.
            match: look only among images that fit these words, as ``images`` does.
            voting: how candidates are found.
            geometry: what counts as agreement.
            timeout: seconds that decoding one file may take: the image, or one that it is compared with.
            max_pixels: of such a file; a larger one is refused.

        Returns:
            The matches, best first; ``.status`` is "too_little_detail" where the image has too few features and is
            plain as a whole, ``.not_at_hand`` names those whose pixels could not be compared, and ``.times`` has the
            milliseconds of each stage.

        Raises:
            ImageError: the image cannot be read; its ``status`` says why.
            UsageError: an argument cannot be meant, or there is no word in ``match``.
            MissingFeatureError: as ``images``.
        """
        check_number(limit, "limit", 1)
        check_kind(match, "match", str)
        decoding = DecodingOptions(timeout, max_pixels)
        search = Search.of(self.reader, match=match, voting=voting, geometry=geometry, decoding=decoding)
        catalog = search.snapshot.catalog
        query = search.read(image)
        if not query.enough:
            return Matches(status="too_little_detail", damaged=query.grey.damaged)
        verdicts = verdicts_of(image, catalog)
        found = search.found(query, search.candidates(query, search.words(query), verdicts))
        answers = named(found, catalog.names_of([one.id for one in found], match), verdicts)
        return Matches(
            [one for one in answers if unproven or one.proven][:limit], times=search.clock.times,
            not_at_hand=[one.name for one in answers if one.id in search.pictures.missing],
            damaged=query.grey.damaged,
        )  # fmt: skip

    def explain(
        self,
        image: ImageSource,
        name: str | os.PathLike[str],
        *,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> Explanation:
        """Say where ``query`` loses one image of the index, or how it proves it, stage by stage.

        Args:
            image: as for ``query``.
            name: of the image that it should find, or the path of that.
            voting: how candidates are found.
            geometry: what counts as agreement.
            timeout: as for ``query``.
            max_pixels: likewise.

        Raises:
            ImageError: the image cannot be read; its ``status`` says why.
        """
        decoding = DecodingOptions(timeout, max_pixels)
        meant = checked_path(name, "name")
        return explain(self.reader, image, meant, voting=voting, geometry=geometry, decoding=decoding)

    def reject(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> None:
        """Remember that two images are no copies of one another, whatever the evidence says.

        ``query`` then gives the one for the other with ``unproven`` only. It is kept by content (SHA-256), whatever the
        files are called later, also while they are not in the index.

        Args:
            a: a name in the index, or else a file.
            b: likewise.
            wait: for another writer to end, rather than failing at once.

        Raises:
            UsageError: one of them is neither, or both are the same to the byte.
            StoreError: another writer is at work, or the index cannot be written.
        """
        self._judge(a, b, False, wait)

    def accept(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> None:
        """Remember that two images are copies of one another; as ``reject``.

        ``query`` then gives the one for the other, wherever any geometry is found, however little it proves.
        """
        self._judge(a, b, True, wait)

    def forget(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> bool:
        """Take back what was said of two images; return whether anything was. As ``reject``."""
        return self._judge(a, b, None, wait)

    def _judge(self, a: str | os.PathLike[str], b: str | os.PathLike[str], is_copy: bool | None, wait: bool) -> bool:
        names = [checked_path(name, "each of a and b") for name in (a, b)]
        with self._writing(wait):
            one, other = (content_named(name, self.snapshot.catalog, self.places) for name in names)
            if one == other:
                raise UsageError(f"{a} and {b} are the same to the byte")
            with changing(self.folder / CATALOG) as change:
                return change.judge(one, other, is_copy)

    def groups(
        self,
        *,
        jobs: int = -1,
        progress: Progress | None = None,
    ) -> Groups:
        """Find all groups of images that are copies of one another, in whole or in part, from what ``add`` stored.

        The files of a group are decoded to choose its original and to mark what can go, where they are at hand.
        What a person said (``accept``, ``reject``) goes before the evidence. What was found is kept in the index: later
        only images that are new are looked up. Where it cannot be written, or another writer is at work, the groups are
        the same, and their ``unremembered`` says why nothing was kept.

        Args:
            jobs: processes to work with; -1: one for each core. The result does not depend on it.
            progress: called with images compared and in all.

        Returns:
            The groups, the largest first; the original of each comes first.

        Raises:
            StoreError: the index is damaged.
        """
        from featmatch.grouping.finding import find_groups  # SciPy takes longer to import than a query takes

        check_run(jobs, progress)
        return find_groups(self.reader, jobs=jobs, progress=progress or (lambda done, total: None))

    def _merge_due(self) -> None:
        self.refresh()
        while numbers := due(self.snapshot.catalog.segments()):
            merge(self.folder, self.snapshot, numbers, len(self.vocabulary))
            self.refresh()

    @contextlib.contextmanager
    def _writing(self, wait: bool) -> Iterator[None]:
        """Be the one writer, from the newest state on; what was committed is seen afterwards."""
        with writing(self.folder, wait=wait), contextlib.ExitStack() as stack:
            clear_leftovers(self.folder)
            self.refresh()
            stack.callback(self.refresh)
            yield
