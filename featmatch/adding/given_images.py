"""Images from memory -> an index, under names of the caller's choice."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from PIL import Image

from featmatch.adding import batches
from featmatch.adding.batches import AddOptions, AddReport, Entry, Target, are_pictures_kept, commit_batch
from featmatch.adding.one_image import Failure, IndexedFile, Origin, index_given
from featmatch.errors import UsageError
from featmatch.images.contents import content_of_pixels
from featmatch.images.sources import buffered, picture_of
from featmatch.store.catalog import Catalog
from featmatch.store.layout import VOCABULARY
from featmatch.store.records import NO_FILE_NS
from featmatch.system.files import open_file, sha256_of_rest
from featmatch.system.progress import Progress
from featmatch.system.workers import Lost, in_order, processes_for

OnConflict = Literal["replace", "skip"]

_FEW_IMAGES = 12  # starting a process takes longer than indexing so few
_AHEAD = 2  # images for each process that wait in memory
_MOST_CHARACTERS = 4096  # of a name


@dataclass(frozen=True)
class GivenImage:
    """An image that is to be in the index.

    Attributes:
        name: what it is to be called.
        source: a path, the bytes of a file, a stream, an array, or a PIL image.
        text: kept with it.
        on_conflict: whether it takes a name that stands for another content.
        size: width and height of the picture, px, of which the source, bytes, is a reduced copy; None: it is none.
    """

    name: str
    source: Any
    text: str | None = None
    on_conflict: OnConflict = "replace"
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, pair: object, on_conflict: OnConflict) -> GivenImage:
        """What ``Index.add_images`` was given: such an image, or a name and an image.

        Raises:
            UsageError: it is no name with an image.
        """
        if isinstance(pair, GivenImage):
            checked_name(pair.name)
            return pair
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise UsageError(f"each of images is (name, image), not {type(pair).__name__}")
        return cls(checked_name(pair[0]), pair[1], on_conflict=on_conflict)


def checked_name(name: object) -> str:
    """A name that an image may be given.

    Raises:
        UsageError: it is none.

    >>> checked_name("listing 17")
    'listing 17'
    """
    if not isinstance(name, str) or not name or "\0" in name or len(name) > _MOST_CHARACTERS:
        raise UsageError(f"the name of an image is 1 to {_MOST_CHARACTERS} characters without NUL, not {name!r:.80}")
    return name


class _Taken(NamedTuple):
    """An image that was taken from the iterable. Without an outcome, its process is at it."""

    given: GivenImage
    outcome: Origin | Failure | Literal["skipped"] | None


class Addition:
    """One run: images from memory are indexed a batch at a time, each in another process."""

    def __init__(self, target: Target, options: AddOptions, progress: Progress, committed: Callable[[], None]) -> None:
        """Prepare to add.

        Args:
            target: the index that is added to.
            options: how; its text is kept with images that have none of their own.
            progress: called with images done and taken so far.
            committed: called after each commit.
        """
        self._target = target
        self._options = options
        self._progress = progress
        self._committed = committed
        self._catalog = Catalog(target.catalog)
        self._contents: dict[str, str] = {}  # by name: of what was taken in this run
        self._taken: deque[_Taken] = deque()
        self._counts = {"done": 0, "taken": 0}
        self._batch: list[Entry] = []
        self._settled: list[tuple[str, Failure | Literal["added", "damaged", "skipped"]]] = []
        self._error: Exception | None = None

    def run(self, images: Iterable[GivenImage]) -> None:
        """Index images; the iterable is read as that goes on. What the index has under its name is skipped.

        Whatever ends the run early, the unfinished batch is committed first.

        Args:
            images: in the order in which they are to be numbered.
        """
        images = self._until_it_raises(images)
        first = list(itertools.islice(images, _FEW_IMAGES))
        jobs = processes_for(self._options.jobs, sys.maxsize) if len(first) == _FEW_IMAGES else 1
        decoding, pictures = self._options.decoding, are_pictures_kept(self._target, self._options.pictures)
        results = in_order(
            index_given, self._tasks(itertools.chain(first, images), pictures), jobs=jobs, seconds=decoding.timeout,
            memory_bytes=decoding.memory_bytes, ahead=_AHEAD,
        )  # fmt: skip
        try:
            with contextlib.closing(results):
                for result in results:
                    self._settle_first()
                    given = self._taken.popleft().given
                    self._settle(given, _failure(given, result) if isinstance(result, Lost) else result)
            self._settle_first()
        finally:
            self._commit()
        self._committed()

    def report(self) -> AddReport:
        """What was done.

        Raises:
            UsageError: one of the images was none; what came before it was added.
            Exception: likewise, what the iterable raised.
        """
        if self._error is not None:
            raise self._error
        return self.reports([len(self._settled)])[0]

    def reports(self, counts: Sequence[int]) -> list[AddReport]:
        """The same for the first so many images, for the next, and so on."""
        settled, reports = iter(self._settled), []
        for count in counts:
            report = AddReport()
            for name, outcome in itertools.islice(settled, count):
                if isinstance(outcome, Failure):
                    report.failed.append(outcome)
                elif outcome == "skipped":
                    report.skipped.append(name)
                else:
                    report.added.append(name)
                    report.damaged.extend([name] * (outcome == "damaged"))
            reports.append(report)
        return reports

    def _tasks(self, images: Iterable[GivenImage], pictures: bool) -> Iterator[tuple[object, ...]]:
        """What the processes are to do; what needs none of them is settled in its turn."""
        vocabulary = self._target.folder.absolute() / VOCABULARY
        for given in images:
            self._counts["taken"] += 1
            try:
                source, origin = _source_of(given)
            except OSError as error:
                self._taken.append(_Taken(given, _failure(given, error)))
                continue
            except UsageError as error:
                self._error = error
                return
            outcome = self._known(given, origin)
            self._taken.append(_Taken(given, outcome))
            if outcome is None:
                yield given.name, source, origin, vocabulary, self._target.options, self._options.decoding, pictures

    def _until_it_raises(self, images: Iterable[GivenImage]) -> Iterator[GivenImage]:
        try:
            yield from images
        except Exception as error:  # whatever the caller's iterable raises is raised once all before it is added
            self._error = error

    def _known(self, given: GivenImage, origin: Origin) -> Origin | Literal["skipped"] | None:
        """What becomes of an image without looking at it."""
        there = self._contents.get(given.name) or self._catalog.content_named(given.name)
        if there is not None and there != origin.sha256 and given.on_conflict == "skip":
            return "skipped"
        self._contents[given.name] = origin.sha256
        if self._catalog.image_with(origin.sha256) is None:
            return None
        return "skipped" if there == origin.sha256 else origin

    def _settle_first(self) -> None:
        """Settle what stands before the image that was indexed last."""
        while self._taken and self._taken[0].outcome is not None:
            given, outcome = self._taken.popleft()
            self._settle(given, outcome)

    def _settle(self, given: GivenImage, outcome: IndexedFile | Origin | Failure | Literal["skipped"] | None) -> None:
        if isinstance(outcome, (IndexedFile, Origin)):
            text = self._options.text if given.text is None else given.text
            self._batch.append(Entry(given.name, outcome, text))
            damaged = isinstance(outcome, IndexedFile) and outcome.damaged
            self._settled.append((given.name, "damaged" if damaged else "added"))
        else:
            self._settled.append((given.name, outcome if isinstance(outcome, Failure) else "skipped"))
        self._counts["done"] += 1
        self._progress(self._counts["done"], self._counts["taken"])
        if len(self._batch) == batches.BATCH_IMAGES:
            self._commit()
            self._committed()

    def _commit(self) -> None:
        if self._batch:
            commit_batch(self._batch, self._target)
            self._batch.clear()


def _source_of(given: GivenImage) -> tuple[str | bytes | Image.Image, Origin]:
    """The source as another process can take it, and where it comes from.

    Raises:
        UsageError: it is no image.
        OSError: it cannot be read.
    """
    source = buffered(given.source)
    if isinstance(source, (str, os.PathLike)):
        path = os.path.abspath(os.fspath(source))
        with open_file(path) as file:
            return path, Origin(sha256_of_rest(file), os.fstat(file.fileno()).st_size, NO_FILE_NS)
    if isinstance(source, (bytes, bytearray)):
        content = bytes(source)
        head = b"" if given.size is None else b"of %d x %d px\n" % given.size  # of another size it is another image
        return content, Origin(hashlib.sha256(head + content).hexdigest(), len(content), NO_FILE_NS, given.size)
    picture = source if isinstance(source, Image.Image) else picture_of(source)
    sha256 = content_of_pixels(picture)
    return picture, Origin(sha256, len(picture.tobytes()), NO_FILE_NS)


def _failure(given: GivenImage, error: OSError | Lost) -> Failure:
    if isinstance(error, FileNotFoundError):
        return Failure(given.name, "not_found", "no such file")
    return Failure(given.name, "decode_failed", error.reason if isinstance(error, Lost) else str(error))
