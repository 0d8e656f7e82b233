"""Whose verdict is it? Pairs that were accepted or rejected are kept by the contents of their files (SHA-256)."""

from __future__ import annotations

import contextlib
import hashlib
import os

from featmatch.errors import UsageError
from featmatch.images.contents import content_of
from featmatch.images.sources import ImageSource
from featmatch.store.catalog import Catalog
from featmatch.store.places import Places


def name_known(name: str, catalog: Catalog, places: Places) -> str | None:
    """The name as the index has it, where this is one, or the path of the file of one."""
    return next((one for one in places.names_of(name) if catalog.content_named(one) is not None), None)


def content_named(name: str, catalog: Catalog, places: Places) -> str:
    """The content of a name in the index, or else of a file.

    Raises:
        UsageError: it is neither.
    """
    known = name_known(name, catalog, places)
    try:
        return (known is not None and catalog.content_named(known)) or content_of(os.path.normpath(name))
    except OSError as error:
        raise UsageError(f"{name} is no name in the index, and no file: {error.strerror}") from error


def verdicts_of(image: ImageSource, catalog: Catalog) -> dict[int, bool]:
    """Images that were accepted (true) or rejected (false) as copies of this one, if it is a file or one's bytes."""
    if not catalog.has_verdicts:
        return {}
    if isinstance(image, (bytes, bytearray)):
        return catalog.verdicts_of(hashlib.sha256(image).hexdigest())
    if isinstance(image, (str, os.PathLike)):
        with contextlib.suppress(OSError):  # it was there a moment ago
            return catalog.verdicts_of(content_of(os.fspath(image)))
    return {}
