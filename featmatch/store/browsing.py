"""The images of an index, a page at a time; the order of pages stays while others add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from featmatch.store.catalog import Catalog
from featmatch.store.records import ImageRecord

_MOST_VALUES = 900  # in one statement


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
    numbers: list[int] = []
    for number in _numbers(catalog, after, match, form):
        if len(numbers) == limit:
            break
        numbers.append(number)
    return images_of(catalog, numbers)


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
        condition, values = _of_form(form)
        statement = f"SELECT count(*) FROM images WHERE segment IS NOT NULL {condition} AND id > ?"
        return int(catalog.rows(statement, *values, after)[0][0])
    return sum(1 for _ in _numbers(catalog, after, match, form))


def newest_image(catalog: Catalog) -> int:
    """Number of the image that was added last, of those that are still there; 0 where there is none."""
    return int(catalog.rows("SELECT max(id) FROM images")[0][0] or 0)


def _numbers(catalog: Catalog, after: int, match: str | None, form: str | None) -> Iterator[int]:
    condition, values = _of_form(form)
    statement = f"SELECT id FROM images WHERE segment IS NOT NULL {condition} AND "
    if match is None:
        while page := catalog.rows(f"{statement} id > ? ORDER BY id LIMIT {_MOST_VALUES}", *values, after):
            yield from (number for (number,) in page)
            after = page[-1][0]
        return
    fitting = [number for number in catalog.fitting(match) if number > after]
    for start in range(0, len(fitting), _MOST_VALUES):
        some = fitting[start : start + _MOST_VALUES]
        marks = ",".join("?" * len(some))
        rows = catalog.rows(f"{statement} id IN ({marks}) ORDER BY id", *values, *some)
        yield from (number for (number,) in rows)


def _of_form(form: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if form is None else ("AND format = ? COLLATE NOCASE", (form,))
