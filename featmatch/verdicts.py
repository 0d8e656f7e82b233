"""Whose verdict is it? Pairs that were accepted or rejected are kept by the contents of their files (SHA-256)."""

from __future__ import annotations

import contextlib
import hashlib
import os

from featmatch.adding import content_of
from featmatch.errors import UsageError
from featmatch.files import name_below
from featmatch.formats import ImageSource
from featmatch.store.catalog import Catalog


def content_named(name: str, catalog: Catalog, root: str | None) -> str:
    """The content of a name in the index, or else of a file.

    Raises:
        UsageError: it is neither.
    """
    path = os.path.normpath(name)
    known = catalog.content_named(name)
    if known is None:
        with contextlib.suppress(UsageError):  # it is not below the root
            known = catalog.content_named(name_below(root, path))
    try:
        return known or content_of(path)
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
