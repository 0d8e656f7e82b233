"""Verdicts of the user on pairs of images, kept by the contents of their files (SHA-256)."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence

from featmatch.errors import ImageError, UsageError
from featmatch.features.extraction import Features
from featmatch.images.archives import read_member
from featmatch.images.contents import content_of
from featmatch.images.decoding import USUAL, DecodingOptions, decode_apart
from featmatch.images.pixels import GreyImage
from featmatch.images.sources import ImageSource
from featmatch.names import split_member
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.places import Places, name_known
from featmatch.store.reader import Reader


def content_named(name: str, catalog: Catalog, places: Places) -> str:
    """SHA-256 of the content of a name in the index, or else of a file.

    Raises:
        UsageError: it is neither.
    """
    known = name_known(name, catalog, places)
    try:
        return (known is not None and catalog.content_named(known)) or content_of(os.path.normpath(name))
    except OSError as error:
        raise UsageError(f"{name} is no name in the index, and no file: {error.strerror}") from error


def content_of_query(image: ImageSource | GreyImage | Features) -> str | None:
    """SHA-256 of a query, by which verdicts on it are kept; None, if it is neither a file nor the bytes of one."""
    if isinstance(image, (bytes, bytearray)):
        return hashlib.sha256(image).hexdigest()
    if isinstance(image, (str, os.PathLike)):
        with contextlib.suppress(OSError, ImageError):  # it was there a moment ago
            return _content(os.fspath(image))
    return None


def _content(path: str) -> str:
    return content_of(path) if split_member(path) is None else decode_apart(_content_in_archive, path, options=USUAL)


def _content_in_archive(path: str, decoding: DecodingOptions) -> str:
    del decoding
    return hashlib.sha256(read_member(*(split_member(path) or ("", "")))).hexdigest()


def judge(reader: Reader, a: str, b: str, is_copy: bool | None) -> bool:
    """Keep a verdict on two images, or with None forget it; return whether there was one before.

    The caller is the writer (``become_writer``).

    Args:
        reader: the index.
        a: a name in the index, or else a file.
        b: likewise.
        is_copy: true: accepted, false: rejected, None: neither any more.

    Raises:
        UsageError: one of them is neither, or both are the same to the byte.
        StoreError: the catalogue is damaged.
    """
    return judge_each(reader, [(a, b, is_copy)])[0]


def judge_each(reader: Reader, verdicts: Sequence[tuple[str, str, bool | None]]) -> list[bool]:
    """``judge`` for many pairs, in one commit: all of them, or none where one of them cannot be meant."""
    catalog = reader.snapshot.catalog
    contents = []
    for a, b, is_copy in verdicts:
        one, other = (content_named(name, catalog, reader.places) for name in (a, b))
        if one == other:
            raise UsageError(f"{a} and {b} are the same to the byte")
        contents.append((one, other, is_copy))
    with change_catalog(catalog.path) as change:
        return [change.judge(*content) for content in contents]
