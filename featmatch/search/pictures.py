"""Read the pictures of images that were found, if their files are at hand and unchanged since they were indexed."""

from __future__ import annotations

import os

from featmatch.errors import ImageError
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.names import split_page
from featmatch.store.catalog import Catalog
from featmatch.store.places import Places

_COMPARED_PX = 1024  # longer side at which they are read: letters of a page are told apart


class Pictures:
    """The files of a collection that searches read."""

    def __init__(self, catalog: Catalog, places: Places, decoding: DecodingOptions = USUAL) -> None:
        """Look for the images of a catalogue in these places."""
        self._catalog = catalog
        self._places = places
        self._decoding = decoding

    def of(self, image: int) -> GreyImage | None:
        """Read the picture of an image, by its number, if one of its files has the size and time that were indexed."""
        for name, stamp in self._catalog.files_of(image):
            for path in self._places.paths_of(name):
                try:
                    state = os.stat(split_page(path)[0])
                    if (state.st_size, state.st_mtime_ns) == stamp:
                        return load_grey(path, longest_px=_COMPARED_PX, decoding=self._decoding)
                except (OSError, ImageError):
                    continue
        return None
