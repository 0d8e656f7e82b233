"""Changing what is told of an image: its names, and its text."""

from __future__ import annotations

from featmatch.errors import UsageError
from featmatch.store.browsing import ListedImage
from featmatch.store.generation import change_catalog
from featmatch.store.reader import Reader
from featmatch.store.records import ImageRecord


def rename_image(reader: Reader, old: str, new: str) -> None:
    """Let an image go by another name. The caller is the writer (``become_writer``).

    Raises:
        UsageError: the index has no such name, or has the new one already.
    """
    catalog = reader.snapshot.catalog
    if catalog.content_named(new) is not None:
        raise UsageError(f"the index has an image {new} already")
    record = next((one for one in _records_named(reader, old) if one.name == old), None)
    if record is None:
        raise UsageError(f"the index has no image {old}")
    with change_catalog(catalog.path) as change:
        change.name(new, record.id, record.mtime_ns, record.text)
        change.remove([old])


def describe_image(reader: Reader, image: ListedImage, text: str) -> None:
    """Keep a text with an image, under each of its names. The caller is the writer (``become_writer``)."""
    catalog = reader.snapshot.catalog
    records = catalog.records_of([image.record.id])
    with change_catalog(catalog.path) as change:
        for record in records:
            change.name(record.name, record.id, record.mtime_ns, text)


def _records_named(reader: Reader, name: str) -> list[ImageRecord]:
    catalog = reader.snapshot.catalog
    content = catalog.content_named(name)
    number = None if content is None else catalog.image_with(content)
    return [] if number is None else catalog.records_of([number])
