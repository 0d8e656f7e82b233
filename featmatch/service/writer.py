"""The one thread that writes to an index. Uploads that come during a commit are gathered into the next one."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from featmatch.adding.batches import AddOptions, AddReport, Target
from featmatch.adding.given_images import Addition, GivenImage
from featmatch.images.decoding import DecodingOptions
from featmatch.service.problems import Problem
from featmatch.service.uploads import Uploads
from featmatch.store.compaction import merge_due
from featmatch.store.places import Naming
from featmatch.store.reader import Reader
from featmatch.store.writing import become_writer
from featmatch.system.progress import ignore
from featmatch.system.workers import in_background

MOST_GATHERED = 64  # images of one commit


@dataclass(frozen=True)
class _Work:
    """Something that writes."""

    run: Callable[[], Any]
    done: Future[Any] = field(default_factory=Future)


@dataclass(frozen=True)
class _Upload:
    """Images of one request."""

    images: Sequence[GivenImage]
    refuse_taken: bool
    done: Future[AddReport] = field(default_factory=Future)


class Writer:
    """Does what writes in the order in which it came, one after the other."""

    def __init__(self, index: Reader, decoding: DecodingOptions, uploads: Uploads | None = None) -> None:
        """Start the thread.

        Args:
            index: that is written to.
            decoding: what decoding one image may cost.
            uploads: where the files of uploads are kept.
        """
        self._uploads = uploads
        self._index = index
        self._decoding = decoding
        self._waiting: deque[_Work | _Upload] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[], Any]) -> Future[Any]:
        """Have something done; its result, or what it raises, is the future's.

        Raises:
            Problem: the service is stopping.
        """
        work = _Work(run)
        self._append(work)
        return work.done

    def upload(self, images: Sequence[GivenImage], *, refuse_taken: bool) -> Future[AddReport]:
        """Have images added; the future is done when they are committed.

        Args:
            images: of one request, as the bytes of files.
            refuse_taken: add none of them, if a name stands for another image: a "name_taken" problem.

        Raises:
            Problem: the service is stopping.
        """
        upload = _Upload(images, refuse_taken)
        self._append(upload)
        return upload.done

    def stop(self) -> None:
        """Do nothing more after what is under way; what waits is answered with a "stopping" problem."""
        with self._changed:
            self._stopped = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for item in left:
            item.done.set_exception(Problem("stopping"))

    def join(self, seconds: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(seconds)

    def _append(self, item: _Work | _Upload) -> None:
        with self._changed:
            if self._stopped:
                raise Problem("stopping")
            self._waiting.append(item)
            self._changed.notify_all()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                uploads = self._gathered()
                item = None if uploads else self._waiting.popleft()
            if uploads:
                self._add(uploads)
            elif isinstance(item, _Work):
                _settle(item.done, item.run)

    def _gathered(self) -> list[_Upload]:
        """Uploads for one commit: those at the head of the queue, taken from it, as many as go into one.

        Nothing waits for more to come: as in databases, those that arrive while a commit is made share the next one.
        """
        uploads: list[_Upload] = []
        images = 0
        while self._waiting:
            item = self._waiting[0]
            if not isinstance(item, _Upload) or (uploads and images + len(item.images) > MOST_GATHERED):
                break
            self._waiting.popleft()
            uploads.append(item)
            images += len(item.images)
        return uploads

    def _add(self, uploads: Sequence[_Upload]) -> None:
        """Add the images of several requests in one commit, and give each its part of the report."""
        try:
            with become_writer(self._index):
                accepted: list[_Upload] = []
                contents: dict[str, str] = {}  # by name: of what is about to be added
                for upload in uploads:
                    if not self._refused(upload, contents):
                        accepted.append(upload)
                        contents |= {image.name: sha256 for image, sha256 in _contents_of(upload)}
                reports = self._added(accepted)
        except Exception as error:
            for upload in uploads:
                with contextlib.suppress(Exception):  # it was refused already
                    upload.done.set_exception(error)
            return
        for upload, report in zip(accepted, reports, strict=True):
            upload.done.set_result(report)

    def _refused(self, upload: _Upload, contents: Mapping[str, str]) -> bool:
        """Whether a name of an upload that must not take any stands for another content."""
        if not upload.refuse_taken:
            return False
        catalog = self._index.snapshot.catalog
        for image, sha256 in _contents_of(upload):
            if (contents.get(image.name) or catalog.content_named(image.name)) not in (None, sha256):
                upload.done.set_exception(Problem("name_taken", image.name))
                return True
        return False

    def _added(self, uploads: Sequence[_Upload]) -> list[AddReport]:
        """Keep the files, add the images, and drop files of which the index has no image."""
        index = self._index
        contents = {sha256: image.source for upload in uploads for image, sha256 in _contents_of(upload)}
        for content in contents.values():
            if self._uploads is not None:
                self._uploads.keep(content)
        target = Target(index.folder, Naming(None), index.options, len(index.vocabulary))
        committed = functools.partial(merge_due, index)
        addition = Addition(target, AddOptions(-1, self._decoding), ignore, committed)
        try:
            with in_background():  # searches go first, and keep their processes
                addition.run(image for upload in uploads for image in upload.images)
        finally:
            index.refresh()
            catalog = index.snapshot.catalog
            for sha256 in contents:
                if self._uploads is not None and catalog.image_with(sha256) is None:
                    self._uploads.remove(sha256)
        return addition.reports([len(upload.images) for upload in uploads])


def _contents_of(upload: _Upload) -> list[tuple[GivenImage, str]]:
    return [(image, hashlib.sha256(image.source).hexdigest()) for image in upload.images]


def _settle(done: Future[Any], run: Callable[[], Any]) -> None:
    try:
        done.set_result(run())
    except Exception as error:
        done.set_exception(error)
