"""Taking images out of an index: their names go, and their features stay until segments are merged."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from featmatch.store.generation import change_catalog
from featmatch.store.places import name_known
from featmatch.store.reader import Reader


def names_fitting(reader: Reader, name: str) -> list[str]:
    """The name itself, or, where the index has none such, all names that fit it as a pattern of a shell.

    ``*`` is anything, ``?`` one character, ``[abc]`` one of these.
    """
    catalog = reader.snapshot.catalog
    if not set("*?[") & set(name) or name_known(name, catalog, reader.places) is not None:
        return [name]
    patterns = set(reader.places.names_of(name))
    return [one for one in catalog.names() if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns)]


def names_under(reader: Reader, folder: str) -> list[str]:
    """All names below a folder."""
    return reader.places.names_below(folder, reader.snapshot.catalog.names())


def remove_images(reader: Reader, names: Sequence[str]) -> list[str]:
    """Remove images by name, or by the path of the file; return those of ``names`` that were in the index.

    The caller is the writer (``become_writer``).

    Raises:
        StoreError: the catalogue is damaged.
    """
    catalog = reader.snapshot.catalog
    known = {name: name_known(name, catalog, reader.places) for name in names}
    with change_catalog(catalog.path) as change:
        gone = set(change.remove(dict.fromkeys(one for one in known.values() if one is not None)))
    return [name for name, one in known.items() if one in gone]
