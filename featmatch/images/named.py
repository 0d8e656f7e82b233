"""Pictures as people name them (a file, a folder, an archive, an address, "-") -> a name and a source for each."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from featmatch.errors import ImageError, UsageError
from featmatch.images.archives import MOST_BYTES, Listing, is_archive, list_archive
from featmatch.images.decoding import DecodingOptions, decode_apart
from featmatch.images.folders import image_files
from featmatch.images.remote import is_remote, remote_pictures
from featmatch.images.tables import pictures_in_table, table_files
from featmatch.names import is_address, listed_names, member_name

STANDARD_INPUT = "-"
MANIFEST_SUFFIX = ".json"  # of an IIIF manifest that is a file here


class NamedPicture(NamedTuple):
    """A picture, or why there is none.

    Attributes:
        name: what it is called in an answer.
        source: a path, the bytes of a file, or what is wrong.
    """

    name: str
    source: str | bytes | ImageError


def pictures_named(names: Iterable[str], decoding: DecodingOptions) -> Iterator[NamedPicture]:
    """The pictures that are meant, in order: all below a folder, all in an archive or a table, else one for each name.

    Addresses are fetched, other storage and standard input are read, when it is their turn.

    Args:
        names: of files, folders, archives and tables; http and https addresses; other storage, as s3://; and "-", which
            is a picture on standard input.
        decoding: how long an address, or the list of an archive, may take.
    """
    for name in names:
        if name == STANDARD_INPUT or is_address(name):
            yield _picture_at(name, decoding)
        elif is_remote(name):
            yield from itertools.starmap(NamedPicture, remote_pictures(name))
        elif tables := table_files(name):
            for table in tables:
                yield from itertools.starmap(NamedPicture, pictures_in_table(table, decoding))
        elif os.path.isdir(name):
            below = [NamedPicture(file, file) for file in image_files([name])]
            yield from below or [NamedPicture(name, ImageError("not_found", "there are no images in this folder"))]
        elif is_archive(name) and os.path.isfile(name):
            yield from _pictures_in(name, decoding)
        else:
            yield NamedPicture(name, name)


def is_from_elsewhere(name: str) -> bool:
    """Whether what is meant are no image files here, but an address, other storage, tables, or an IIIF manifest."""
    return is_address(name) or is_remote(name) or name.lower().endswith(MANIFEST_SUFFIX) or bool(table_files(name))


def picture_named(name: str, decoding: DecodingOptions) -> str | bytes:
    """The source of one picture: ``name`` itself, unless that is an address or "-".

    Raises:
        ImageError: it cannot be had.
    """
    source = _picture_at(name, decoding).source
    if isinstance(source, ImageError):
        source.name = name
        raise source
    return source


def names_in(file: str) -> list[str]:
    """The names in a list, which is a file or, for "-", on standard input; ``names.listed_names`` has its form.

    Raises:
        OSError: it cannot be read.
    """
    return listed_names(sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes())


def check_input_once(names: Iterable[str]) -> None:
    """Refuse to read standard input twice.

    Raises:
        UsageError: it is meant more than once.
    """
    if list(names).count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read once only: - was given more than once")


def _picture_at(name: str, decoding: DecodingOptions) -> NamedPicture:
    if name == STANDARD_INPUT:
        return NamedPicture(name, sys.stdin.buffer.read())
    if not is_address(name):
        return NamedPicture(name, name)
    from featmatch.images.addresses import Fetching  # TLS takes longer to load than most commands need

    try:
        fetching = Fetching(("public",), MOST_BYTES, seconds=decoding.timeout, accept="image/*, application/json;q=0.9")
        return NamedPicture(name, fetching.fetch(name))
    except ImageError as error:
        return NamedPicture(name, error)


def _pictures_in(archive: str, decoding: DecodingOptions) -> Iterator[NamedPicture]:
    try:
        listing = decode_apart(_listed, archive, options=decoding)
    except ImageError as error:
        yield NamedPicture(archive, error)
        return
    for member in listing.sizes:
        yield NamedPicture(member_name(archive, member), member_name(archive, member))
    for member, why_not in listing.refused.items():
        yield NamedPicture(member_name(archive, member), why_not)
    if listing.damaged is not None or not (listing.sizes or listing.refused):
        why = listing.damaged or "there are no images in this archive"
        yield NamedPicture(archive, ImageError("decode_failed" if listing.damaged else "not_found", why))


def _listed(archive: str, decoding: DecodingOptions) -> Listing:
    del decoding
    return list_archive(archive)
