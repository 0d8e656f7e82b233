"""The pictures of images that were found: of files that are at hand and unchanged, else those that the index keeps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from featmatch.errors import ImageError
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.names import split_page
from featmatch.store.places import Places
from featmatch.store.snapshot import Snapshot

_COMPARED_PX = 1024  # longer side at which they are read: letters of a page are told apart


class Pictures:
    """The pictures of a collection that searches look at."""

    def __init__(self, snapshot: Snapshot, places: Places, decoding: DecodingOptions = USUAL) -> None:
        """Look for the files of an index in these places."""
        self._snapshot = snapshot
        self._places = places
        self._decoding = decoding

    def of(self, image: int) -> GreyImage | None:
        """The picture of an image, by its number; None where neither a file nor the index has it.

        A file has it if its size and time are those that were indexed.

        Raises:
            StoreError: the index is damaged.
        """
        return picture_of(image, self.paths_of(image), self._snapshot, self._decoding)

    def paths_of(self, image: int) -> Iterator[str]:
        """Where there are files of an image, by its number, that have the size and the time that were indexed."""
        for name, stamp in self._snapshot.catalog.files_of(image):
            yield from (path for path in self._places.paths_of(name) if _size_and_time(path) == stamp)


def picture_of(
    image: int, paths: Iterable[str], snapshot: Snapshot, decoding: DecodingOptions = USUAL
) -> GreyImage | None:
    """The picture of an image by the first of its files that can be read, else as the index keeps it, or None.

    Raises:
        StoreError: the index is damaged.
    """
    for path in paths:
        with contextlib.suppress(OSError, ImageError):
            return load_grey(path, longest_px=_COMPARED_PX, decoding=decoding)
    return snapshot.stored_picture(image)


def _size_and_time(path: str) -> tuple[int, int] | None:
    """Size in bytes and time of change (ns) of a file; None where there is none."""
    with contextlib.suppress(OSError):
        state = os.stat(split_page(path)[0])
        return state.st_size, state.st_mtime_ns
    return None
