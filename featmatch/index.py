"""The facade: an index directory that images are added to, and looked up in."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path

from featmatch.adding.batches import AddOptions, AddReport, Target, add_files
from featmatch.adding.given_features import add_given_features
from featmatch.adding.given_images import Addition, GivenImage, OnConflict
from featmatch.adding.pruning import remove_vanished
from featmatch.arguments import check_kind, check_run, check_text, checked_path, checked_paths
from featmatch.errors import UsageError
from featmatch.features.detectors import is_given
from featmatch.features.extraction import FeatureOptions, Features, features_wanted
from featmatch.features.forms import Forms
from featmatch.geometry.matches import GeometryOptions
from featmatch.grouping.groups import Groups
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import ImageSource
from featmatch.search.explaining import explain
from featmatch.search.explanation import Explanation
from featmatch.search.many import SearchOptions
from featmatch.search.queryable import Asked, Queryable
from featmatch.search.similar import By, SimilarImage, similar_images
from featmatch.search.verdicts import judge
from featmatch.search.voting import VotingOptions
from featmatch.store.compaction import compact, merge_due
from featmatch.store.creation import create_index
from featmatch.store.layout import CATALOG
from featmatch.store.places import Naming
from featmatch.store.reader import Reader
from featmatch.store.removal import remove_images
from featmatch.store.writing import become_writer
from featmatch.system.progress import Progress, ignore
from featmatch.words.vocabulary import Vocabulary


class Index(Reader, Queryable):
    """Images that can be found again, whole or in part. Safe to share between threads.

    >>> index = Index.open("photos.fm", create=True)
    >>> len(index.add(["photos"], jobs=1).added)
    3
    >>> [(match.name, match.relation.kind, round(match.relation.rotation_deg)) for match in index.query("piece.jpg")]
    [('photos/coffee.jpg', 'crop', 17)]
    >>> index.explain("piece.jpg", "photos/chelsea.jpg").lost
    'geometry'
    >>> index.remove(["photos/coffee.jpg"]), index.query("piece.jpg"), len(index.groups(jobs=1))
    (['photos/coffee.jpg'], [], 0)
    """

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
        index.verify_made_with(wanted, loaded)
        return index

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
        pictures: bool | None = None,
        wait: bool = False,
        progress: Progress | None = None,
        report: AddReport | None = None,
    ) -> AddReport:
        """Index files and folders (recursively); what is there and unchanged is skipped.

        Whatever ends it, what was done is committed first, and the next ``add`` goes on from there.

        Args:
            paths: as given they become part of the images' names; with a root, relative to that. Without, relative ones
                are as seen from where the first ``add`` ran; those that do not lie below it get their absolute path.
            jobs: processes; -1: one for each core, -2: one less, and so on. The result does not depend on it.
            text: kept with each image that is added.
            timeout: seconds that one image may take; one that takes longer is reported as failed.
            max_pixels: larger images are reported as too large. It is not kept in the index.
            pages: index every page of a TIFF or PDF file, as FILE#page=N, not the first only; once a file is in the
                index by pages, it stays so.
            prune: remove images below ``paths`` whose files are gone. A path that does not exist itself is left alone:
                its drive may not be mounted.
            pictures: keep a small grey picture of each image, by which pixels are compared where its file is not at
                hand, and which whoever gets the index can look at. The index remembers what it was told last; None: as
                it was told, and if it never was, they are kept. Those that it has stay.
            wait: for another writer to end, rather than failing at once.
            progress: called with images done and in all.
            report: filled as the work goes on, for others to look at meanwhile, and returned; None: a new one.

        Raises:
            StoreError: another writer is at work, or the index cannot be written or is damaged.
            UsageError: a path is not below the root, or is relative and the working directory no longer exists; an
                argument makes no sense.
        """
        given = checked_paths(paths, "paths")
        self._refuse_if_given()
        check_run(jobs, progress)
        check_text(text, "text")
        check_kind(pictures, "pictures", bool)
        options = AddOptions(jobs, DecodingOptions(timeout, max_pixels), pages, text, pictures)
        with become_writer(self, wait=wait):
            naming, files = self.whereabouts.prepare_addition(given, self.snapshot.catalog)
            target = Target(self.folder, naming, self.options, len(self.vocabulary))
            committed = functools.partial(merge_due, self)
            report = add_files(files, target, options, progress=progress or ignore, committed=committed, report=report)
            if prune:
                report.vanished.extend(remove_vanished(given, target))
            return report

    def add_images(
        self,
        images: Iterable[tuple[str, ImageSource] | GivenImage],
        *,
        jobs: int = -1,
        text: str | None = None,
        on_conflict: OnConflict = "replace",
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
        pictures: bool | None = None,
        wait: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Index images from memory, under names of your choice; what is there under its name is skipped.

        They are decoded in other processes, as files are, and are gathered into few commits. Of the pictures
        themselves only small grey ones are kept, by which ``query`` compares pixels. ``add(prune=True)`` leaves them.

        Args:
            images: (name, image): bytes, a stream, an array, a PIL image, or a path. Read as they are needed.
            jobs: as for ``add``.
            text: kept with each image that is added.
            on_conflict: whether an image takes a name that stands for another content ("replace"), or is "skip"-ped.
            timeout: as for ``add``.
            max_pixels: as for ``add``.
            pictures: as for ``add``.
            wait: as for ``add``.
            progress: called with images done and taken so far.

        Raises:
            StoreError: as ``add``.
            UsageError: an argument makes no sense, or one of the images is none. What came before it is added, as it is
                where the iterable itself raises.
        """
        if isinstance(images, (str, bytes)) or not isinstance(images, Iterable):
            raise UsageError(f"images is a list of (name, image), not {type(images).__name__}")
        if on_conflict not in ("replace", "skip"):
            raise UsageError(f"on_conflict is 'replace' or 'skip', not {on_conflict!r}")
        self._refuse_if_given()
        check_run(jobs, progress)
        check_text(text, "text")
        check_kind(pictures, "pictures", bool)
        options = AddOptions(jobs, DecodingOptions(timeout, max_pixels), text=text, pictures=pictures)
        with become_writer(self, wait=wait):
            target = Target(self.folder, Naming(None), self.options, len(self.vocabulary))
            committed = functools.partial(merge_due, self)
            addition = Addition(target, options, progress or ignore, committed)
            addition.run(GivenImage.of(pair, on_conflict) for pair in images)
        return addition.report()

    def add_features(
        self,
        images: Iterable[tuple[str, Features]],
        *,
        text: str | None = None,
        pictures: bool | None = None,
        wait: bool = False,
    ) -> AddReport:
        """Index images by features that another tool found (``Features.from_arrays``), under names of your choice.

        What is there under its name is skipped; a name that stands for other features is given to these.

        Args:
            images: (name, features), all of the detector of the index. Read as they are needed.
            text: kept with each image that is added.
            pictures: keep the small grey pictures of features that have one; as for ``add``.
            wait: as for ``add``.

        Raises:
            StoreError: as ``add``.
            UsageError: one of the images is no such pair, or of another detector. What came before it is added.
        """
        if isinstance(images, (str, bytes)) or not isinstance(images, Iterable):
            raise UsageError(f"images is a list of (name, features), not {type(images).__name__}")
        check_text(text, "text")
        check_kind(pictures, "pictures", bool)
        options = AddOptions(1, text=text, pictures=pictures)
        with become_writer(self, wait=wait):
            target = Target(self.folder, Naming(None), self.options, len(self.vocabulary))
            return add_given_features(images, target, self.vocabulary, options, functools.partial(merge_due, self))

    def remove(self, names: Iterable[str | os.PathLike[str]], *, wait: bool = False) -> list[str]:
        """Remove images by name or by the path of the file; return those that were in the index.

        Raises:
            StoreError: another writer is at work, or the index cannot be written.
            UsageError: ``names`` is no list of names.
        """
        meant = checked_paths(names, "names")
        with become_writer(self, wait=wait):
            return remove_images(self, meant)

    def compact(self, *, wait: bool = False) -> None:
        """Merge all segments, and drop what was removed. Answers stay the same; readers are not disturbed.

        Raises:
            StoreError: another writer is at work, or the index cannot be written or is damaged.
        """
        with become_writer(self, wait=wait):
            compact(self)

    @property
    def _asked(self) -> Asked:
        return self, None

    def similar(
        self,
        image: ImageSource,
        *,
        by: By = "phash",
        limit: int = 10,
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> list[SimilarImage]:
        """Rank the images by how alike they look as a whole, the nearest first. No claim is made of any.

        Args:
            image: as for ``query``.
            by: the "phash" (perceptual hash), the "colour" histogram, or the "layout" of light and dark.
            limit: how many to return at most.
            timeout: as for ``query``.
            max_pixels: likewise.

        Raises:
            ImageError: the image cannot be read.
            UsageError: an argument cannot be meant.
        """
        return similar_images(self, image, by, limit, DecodingOptions(timeout, max_pixels))

    def explain(
        self,
        image: ImageSource,
        name: str | os.PathLike[str],
        *,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        forms: Forms = "few",
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> Explanation:
        """Say where ``query`` loses one image of the index, or how it proves it, stage by stage.

        Arguments and errors are those of ``query``; ``name`` is that of the image it should find, or its path.
        """
        meant, decoding = checked_path(name, "name"), DecodingOptions(timeout, max_pixels)
        options = SearchOptions(voting=voting, geometry=geometry, decoding=decoding, forms=forms)
        return explain(self, image, meant, options)

    def reject(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> None:
        """Remember that two images are no copies of one another, whatever the evidence says.

        ``query`` then returns one for the other only with ``unproven=True``. Kept by content (SHA-256), whatever the
        files are called later, also while they are not in the index. Each of ``a`` and ``b`` is a name in the index, or
        else a file; ``wait`` is as for ``add``.

        Raises:
            UsageError: one of them is neither, or both are the same to the byte.
            StoreError: another writer is at work, or the index cannot be written.
        """
        self._judge(a, b, False, wait)

    def accept(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> None:
        """Remember that two images are copies of one another; arguments and errors as for ``reject``.

        ``query`` then returns one for the other wherever any geometry is found, however little it proves.
        """
        self._judge(a, b, True, wait)

    def forget(self, a: str | os.PathLike[str], b: str | os.PathLike[str], *, wait: bool = False) -> bool:
        """Remove any verdict on two images; return whether there was one. Arguments and errors as for ``reject``."""
        return self._judge(a, b, None, wait)

    def groups(self, *, jobs: int = -1, progress: Progress | None = None) -> Groups:
        """Find all groups of images that are copies of one another, in whole or in part, from what ``add`` stored.

        The largest group comes first, and in each the original.
        The files of a group are decoded to choose its original and to mark what can go, where they are at hand; so are
        those of images that stay alone and have few features, to look them up.
        Verdicts (``accept``, ``reject``) go before the evidence. What was found is kept in the index: later only new
        images are compared. Where it cannot be kept, the groups are the same, and ``.unremembered`` says why.

        Args:
            jobs: processes; -1: one for each core, -2: one less, and so on. The result does not depend on it.
            progress: called with images compared and in all.

        Raises:
            StoreError: the index is damaged.
        """
        from featmatch.grouping.finding import find_groups  # SciPy takes longer to import than a query takes

        check_run(jobs, progress)
        return find_groups(self, jobs=jobs, progress=progress or ignore)

    def _refuse_if_given(self) -> None:
        """Raise a UsageError, where featmatch cannot find the features of pictures itself."""
        if is_given(self.options.detector):
            raise UsageError(f"features of {self.options.detector} are another tool's: use add_features")

    def _judge(self, a: str | os.PathLike[str], b: str | os.PathLike[str], is_copy: bool | None, wait: bool) -> bool:
        one, other = (checked_path(name, "each of a and b") for name in (a, b))
        with become_writer(self, wait=wait):
            return judge(self, one, other, is_copy)
