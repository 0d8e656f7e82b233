"""One index that is served, and all that belongs to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio

from featmatch.errors import StoreError
from featmatch.images.addresses import Fetching
from featmatch.images.folders import image_files
from featmatch.index import Index
from featmatch.names import split_page
from featmatch.service.job_files import JobFiles
from featmatch.service.jobs import Jobs
from featmatch.service.made_groups import MadeGroups
from featmatch.service.options import ServeOptions
from featmatch.service.problems import Problem
from featmatch.service.queries import Queries
from featmatch.service.slots import Slots
from featmatch.service.thumbnails import Thumbnails
from featmatch.service.uploads import Uploads
from featmatch.service.writer import Writer
from featmatch.store.browsing import ListedImage, images_of
from featmatch.store.reader import Reader
from featmatch.store.snapshot import Snapshot
from featmatch.store.whereabouts import beside_of
from featmatch.system.trust import covers, spellings, trusted_paths

_MOST_FETCHES = 8


class Mounted:
    """One index that is served.

    Attributes:
        index: the index; or several that are read as one.
        options: of the service.
        base: what the paths of its addresses begin with.
        slots: in which searches run; all indexes of a server share them.
        queries: that were answered.
        uploads: files that were uploaded; None: none are taken.
        fetching: of pictures at addresses.
        fetches: how many at a time; they may be slow, and others need threads.
        thumbnails: that were made; all indexes of a server share them.
        writer: the thread that writes, and works at jobs; None: nothing is written.
        is_writable: whether images and verdicts may be changed: those of several indexes may not.
        jobs: that were asked for.
        groups: of copies, as a job made them last; None: none did.
    """

    def __init__(
        self, index: Reader, options: ServeOptions, slots: Slots, thumbnails: Thumbnails, base: str = ""
    ) -> None:
        self.index = index
        self.options = options
        self.base = base
        self.slots = slots
        self.queries = Queries()
        self.uploads = None if options.uploads is None else Uploads(options.uploads)
        self.fetching = Fetching(options.fetch, options.max_upload, private=options.fetch_private)
        self.fetches = anyio.CapacityLimiter(_MOST_FETCHES)
        self.thumbnails = thumbnails
        self.is_writable = options.writable and isinstance(index, Index)
        self.jobs = Jobs(JobFiles.of_index(index.folder) if self.is_writable else None)
        self.groups: MadeGroups | None = None
        self.writer = Writer(index, options.decoding, self.uploads) if options.writable else None
        given = [path for path in (options.root, *options.allow_paths) if path is not None]
        self._roots = frozenset(spelling for path in given for spelling in spellings(os.path.abspath(path)))

    def snapshot(self) -> Snapshot:
        """The newest state of the index."""
        self.index.refresh()
        return self.index.snapshot

    def generation(self, snapshot: Snapshot) -> str:
        """What tells a state of the index from others."""
        return "g" + hashlib.sha256(repr(snapshot.catalog.stamp).encode()).hexdigest()[:12]

    def image(self, number: int) -> ListedImage:
        """An image of the index by its number.

        Raises:
            Problem: there is none.
        """
        found = images_of(self.snapshot().catalog, [number])
        if not found:
            raise Problem("no_such_image", f"there is no image {number}")
        return found[0]

    def image_named(self, name: str) -> ListedImage:
        """An image of the index by one of its names.

        Raises:
            Problem: there is none.
        """
        catalog = self.snapshot().catalog
        content = catalog.content_named(name)
        number = None if content is None else catalog.image_with(content)
        if number is None:
            raise Problem("no_such_image", "the index has no image of this name")
        return self.image(number)

    def file_of(self, image: ListedImage) -> str:
        """Where a picture of an image is, to the byte as it was indexed.

        Raises:
            Problem: it is not at hand ("file_gone"), or has changed ("file_changed").
        """
        changed = False
        allowed = self._allowed_roots()
        for name, stamp in self.index.snapshot.catalog.files_of(image.record.id):
            for path in self._paths_of(name, allowed):
                state = os.stat(split_page(path)[0])
                if (state.st_size, state.st_mtime_ns) == stamp:
                    return path
                changed = True
        upload = self.uploads.path_of(image.record.sha256) if self.uploads else None
        if upload is None:
            raise Problem("file_changed" if changed else "file_gone")
        return upload

    def allowed_path(self, path: str) -> str:
        """A path that this service may be asked to read.

        Raises:
            Problem: it is not below one of the folders that the service was given.
        """
        roots = frozenset(os.path.realpath(folder) for folder in self.options.allow_paths)
        if "\0" in path or not os.path.isabs(path) or not covers(roots, os.path.realpath(path)):
            raise Problem("path_not_allowed")
        return path

    def check_links(self, paths: Iterable[str]) -> None:
        """See that no link below these paths leads a job out of the folders that the service was given.

        Raises:
            Problem: one does.
        """
        for file in image_files(paths):
            if os.path.islink(file):
                try:
                    self.allowed_path(file)
                except Problem as problem:
                    raise Problem("path_not_allowed", f"{file} is a link that leads elsewhere") from problem

    def must_write(self) -> Writer:
        """The thread that writes.

        Raises:
            Problem: nothing is written.
        """
        writer = self.must_work()
        self.own_index()
        return writer

    def own_index(self) -> Index:
        """The index that is changed here.

        Raises:
            Problem: several are served as one; each is changed by itself.
        """
        if not isinstance(self.index, Index):
            raise Problem("read_only", "several indexes are served as one; each is changed by itself")
        return self.index

    def must_work(self) -> Writer:
        """The thread that works at jobs.

        Raises:
            Problem: none does.
        """
        if self.writer is None:
            raise Problem("read_only")
        return self.writer

    def links_of(self, image: int) -> dict[str, str]:
        """Addresses of an image of the index."""
        place = f"{self.base}/v1/images/{image}"
        return {"image": place, "thumbnail": f"{place}/thumbnail"}

    def is_intact(self) -> bool:
        """Whether the index can be read."""
        try:
            self.index.refresh()
        except StoreError:
            return False
        return True

    def _paths_of(self, name: str, allowed: frozenset[str]) -> Iterator[str]:
        # Also where another user made the index, as for a service that has one of its own.
        for path in replace(self.index.places, trusted=allowed).paths_of(name):
            if covers(allowed, os.path.realpath(split_page(path)[0])):
                yield path

    def _allowed_roots(self) -> frozenset[str]:
        """Folders whose pictures are given out, whatever the index names: those of the command line.

        Where it names none and only this user's machine may ask: those that the command line reads, too.
        """
        if self._roots or self.options.keys is not None:
            return self._roots
        return frozenset().union(*(_trusted_by(folder) for _, folder in self.index.folders))


def _trusted_by(index: Path) -> frozenset[str]:
    try:
        return trusted_paths(index) | beside_of(index)
    except StoreError:
        return beside_of(index)
