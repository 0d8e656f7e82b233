"""The images of an index, a page at a time; the order of pages stays while others add."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, islice

from featmatch.store.catalog import Catalog
from featmatch.store.records import ImageRecord


@dataclass(frozen=True)
class ListedImage:
    """One image under all its names.

    Attributes:
        record: under the first of them.
        names: in the order in which they were added.
    """

    record: ImageRecord
    names: tuple[str, ...]


def list_images(
    catalog: Catalog, *, after: int = 0, limit: int = 100, match: str | None = None, form: str | None = None
) -> list[ListedImage]:
    """Images that can be found, by number.

    Args:
        catalog: of the index.
        after: the number that the page begins behind.
        limit: images at most.
        match: words that a name must have; None: all images.
        form: format of the files, as "JPEG"; None: any.

    Raises:
        UsageError: there is no word in ``match``.
        MissingFeatureError: as ``Catalog.images``.
    """
    return images_of(catalog, list(islice(catalog.numbers(after, match, form), limit)))


def images_of(catalog: Catalog, numbers: list[int]) -> list[ListedImage]:
    """Some images, by number; those that are not in the index are left out."""
    listed = []
    for _, same in groupby(catalog.records_of(numbers), key=lambda record: record.id):
        records = list(same)
        listed.append(ListedImage(records[0], tuple(record.name for record in records)))
    return listed


def count_images(catalog: Catalog, *, after: int = 0, match: str | None = None, form: str | None = None) -> int:
    """How many images ``list_images`` lists on all its pages; raises as that."""
    if match is None:
        return catalog.count(after, form)
    return sum(1 for _ in catalog.numbers(after, match, form))
