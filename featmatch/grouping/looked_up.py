"""What look-ups found before, in the user's cache folder: most images that stay alone are looked up at each run.

What a look-up finds depends on the picture and the user's verdicts on it, on all that can be found in the index, and on
the code: a digest of these is kept with it. An image that was added may be among the best of any look-up, which only
another look-up can tell; so after images were added or removed, or segments merged, nothing counts of what was kept.
Other names, and verdicts on other images, make no difference. Which files are at hand does, but only those of images
that were found: how these are is kept, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from featmatch.grouping.kept import BROKEN, KeptTexts, code_of_all, key_of
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.grouping.repeating import Repeated
from featmatch.images.contents import stamp_of
from featmatch.names import split_page
from featmatch.search.matches import Matches
from featmatch.search.pictures import Pictures
from featmatch.store.catalog import Catalog
from featmatch.store.joined_catalog import JoinedCatalog
from featmatch.store.reader import Reader

_KEPT = KeptTexts("look-ups", most=1_000_000)
_AT_ONCE = 100  # look-ups that are kept at a time


class LookedUp:
    """The look-ups in one state of an index."""

    def __init__(self, reader: Reader, files: Mapping[int, str], images: Mapping[int, ImageSize]) -> None:
        """Those of some images.

        Args:
            reader: the index.
            files: the file of each image that is looked up, by its id.
            images: these and all others of the index, by id.
        """
        self._reader, self._snapshot = reader, reader.snapshot
        self._files, self._images = files, images
        self._pictures = Pictures(reader.snapshot, reader.places)
        self._places = [os.path.realpath(folder) for _, folder in reader.folders]
        made_with = reader.vocabulary.fingerprint, repr(reader.options)
        self._state = key_of(code_of_all(), made_with, _found_in(reader.snapshot.catalog)).hex()
        self._waiting: dict[bytes, str] = {}

    def recall(self) -> dict[int, list[Pair]]:
        """The pairs that were found of each image, by its id; those that are to be looked up are left out."""
        keys = {image: self._key(image) for image in self._files}
        texts = _KEPT.recall(keys.values())
        file_of = cache(self._file_of)
        found = {}
        for image, key in keys.items():
            if key in texts:
                with contextlib.suppress(*BROKEN):
                    found[image] = _read(texts[key], self._depends_on(image), file_of)
        return found

    def keep(self, image: int, matches: Matches, pairs: Sequence[Pair]) -> None:
        """Keep what was found of an image, if it was looked at in this state, and files are as they were then.

        Args:
            image: its id.
            matches: all that it matches, proven or not.
            pairs: what is made of them.
        """
        files = {match.id: self._file_of(match.id) for match in matches}
        # What was compared and is said to be away was compared as the index keeps it; all else as its file.
        as_now = all(
            (files[match.id] is None) == (match.name in matches.not_at_hand)
            for match in matches
            if match.proof.evidence.agreement is not None or match.name in matches.not_at_hand
        )
        if as_now and matches.status in ("ok", "too_little_detail") and self._reader.snapshot is self._snapshot:
            with contextlib.suppress(*BROKEN):
                self._waiting[self._key(image)] = _written(self._depends_on(image), files, pairs)
        if len(self._waiting) >= _AT_ONCE:
            self.save()

    def save(self) -> None:
        """Write what is to be kept."""
        _KEPT.keep(self._waiting)
        self._waiting = {}

    def _key(self, image: int) -> bytes:
        return key_of(self._places, image)

    def _depends_on(self, image: int) -> str:
        """A digest of all that a look-up depends on, but for the files of others; raises one of ``BROKEN``."""
        catalog, file = self._snapshot.catalog, self._files[image]
        verdicts = catalog.verdicts_of(self._images[image].content) if catalog.has_verdicts else {}
        own = file, stamp_of(split_page(file)[0]), sorted(verdicts.items())
        return key_of(self._state, image, own).hex()

    def _file_of(self, image: int) -> list[int] | None:
        """What tells the file of an image from any other; None where none is at hand as it was indexed."""
        for path in self._pictures.paths_of(image):
            with contextlib.suppress(OSError):
                return list(stamp_of(split_page(path)[0]))
        return None


def _found_in(catalog: Catalog) -> list[Any]:
    """What can be found in an index, or in several that are read as one."""
    parts = catalog.parts if isinstance(catalog, JoinedCatalog) else [catalog]
    return [[[one.manifest.hex() for one in part.segments()], sorted(part.removed())] for part in parts]


def _written(depends_on: str, files: Mapping[int, list[int] | None], pairs: Sequence[Pair]) -> str:
    """What was found, as JSON; numbers come back to the last bit."""
    found = {"depends_on": depends_on, "files": list(files.items()), "pairs": list(map(dataclasses.astuple, pairs))}
    return json.dumps(found, default=lambda array: array.tolist())


def _read(text: str, depends_on: str, file_of: Callable[[int], list[int] | None]) -> list[Pair]:
    """The inverse of ``_written``; raises one of ``BROKEN`` for another text, and for one that is true no more."""
    kept = json.loads(text)
    if kept["depends_on"] != depends_on or any(file_of(image) != file for image, file in kept["files"]):
        raise ValueError("it is of another state")
    return [
        Pair(query, reference, np.array(homography, np.float64).reshape(3, 3), mirrored, negative, inliers, geometry,
             evenness, Repeated(*there), Repeated(*back), alike)
        for query, reference, homography, mirrored, negative, inliers, geometry, evenness, there, back, alike
        in kept["pairs"]
    ]  # fmt: skip
