"""Names <-> paths: what a file is called in an index, and where the file of a name is now.

Relative names are relative to a folder that the catalogue keeps: the root that the user gave, or else the base, the
working directory of the first ``add`` that was given a relative path. So nothing depends on where a later command runs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from featmatch.names import absolute, is_below, name_below, page_of
from featmatch.store.catalog import Catalog
from featmatch.system.trust import covers


@dataclass(frozen=True)
class Naming:
    """How files are called in an index.

    Attributes:
        folder: that names are relative to; None: there is none yet, and all names are absolute.
        is_root: the user gave it, and every file must lie below it.
    """

    folder: str | None
    is_root: bool = False

    def name_of(self, path: str) -> str:
        """What a file is called: as it was given, if that is absolute, else as seen from the folder.

        Raises:
            UsageError: it is not below the root, or the working directory no longer exists.
        """
        if self.folder is not None and self.is_root:
            return name_below(self.folder, path)
        whole = absolute(path)
        if os.path.isabs(path) or self.folder is None or not is_below(self.folder, whole):
            return whole
        return whole.removeprefix(os.path.join(self.folder, "")) if whole != self.folder else os.curdir

    def path_of(self, name: str) -> str:
        """The path that a name stands for here, by its spelling alone."""
        return os.path.normpath(os.path.join(self.folder or "", name))


@dataclass(frozen=True)
class Places:
    """Where the files of an index are.

    Attributes:
        given: the root that this run was given; names are relative to it.
        root: the root that the catalogue keeps.
        base: the working directory of the first ``add`` with a relative path, as the catalogue keeps it.
        home: the folder that held the index when root or base was kept.
        beside: the folder that holds the index now.
        trusted: files and folders that may be read (``system/trust.py``).
    """

    given: str | None
    root: str | None
    base: str | None
    home: str | None
    beside: str
    trusted: frozenset[str]

    @classmethod
    def of(cls, catalog: Catalog, given: str | None, trusted: frozenset[str]) -> Places:
        """The places of an index.

        Args:
            catalog: of the index.
            given: the root that this run was given.
            trusted: files and folders that may be read.
        """
        beside = os.path.dirname(os.path.realpath(catalog.path.parent))
        return cls(given, catalog.root, catalog.folder("base"), catalog.folder("home"), beside, trusted)

    def paths_of(self, name: str) -> Iterator[str]:
        """Where there is a file for a name that may be read; the first one is meant, others are copies of it.

        Only trusted places are looked at, links followed, whatever the name says.
        """
        for path in dict.fromkeys(self._candidates(name)):
            page = page_of(path)
            if self._is_there(path) or (page is not None and self._is_there(page[0])):
                yield path

    def naming(self, paths: Sequence[str]) -> Naming:
        """How ``add`` names files, given as these paths.

        Raises:
            UsageError: the working directory no longer exists, and a path is relative.
        """
        if self.given is not None:
            return Naming(self.given, is_root=True)
        kept = self.root or self.base
        if kept is not None:
            moved = self._moved(kept)
            if moved is not None and all(is_below(moved, absolute(path)) for path in paths):
                kept = moved  # the collection was moved together with its index
            return Naming(kept, is_root=self.root is not None)
        return Naming(None if all(map(os.path.isabs, paths)) else absolute(os.curdir))

    def names_of(self, path: str) -> Iterator[str]:
        """Names in the index that a user may mean by a name or a path, the likeliest first."""
        yield path
        yield os.path.normpath(path)
        with contextlib.suppress(ValueError):  # the working directory no longer exists, or it is on another drive
            whole = absolute(path)
            real = os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))
            for one in dict.fromkeys((whole, real)):
                yield one
                yield from (os.path.relpath(one, folder) for folder in self._folders())

    def names_below(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those of some names in the index that lie below a folder, or are it; it is spelled like one, or as a path."""
        tops = list(dict.fromkeys(map(os.path.normpath, self.names_of(folder))))
        return [name for name in names if any(is_below(top, name) for top in tops)]

    def _folders(self) -> Iterator[str]:
        """What relative names may be relative to, best first."""
        for folder in (self.given, self.root or self.base):
            if folder is not None:
                yield folder
        moved = self._moved(self.root or self.base or "")
        if moved is not None:
            yield moved
        yield self.beside

    def _candidates(self, name: str) -> Iterator[str]:
        for folder in self._folders():
            yield os.path.normpath(os.path.join(folder, name))
        if os.path.isabs(name) and (moved := self._moved(name)) is not None:
            yield moved

    def _moved(self, path: str) -> str | None:
        """Where an absolute path is, if it was moved together with the index; None: the index was not moved."""
        if self.home is None or self.home == self.beside or not os.path.isabs(path):
            return None
        with contextlib.suppress(ValueError):  # on another drive
            return os.path.normpath(os.path.join(self.beside, os.path.relpath(path, self.home)))
        return None

    def _is_there(self, file: str) -> bool:
        """Whether a path leads to a regular file that may be read: by its spelling, and with links followed."""
        if "\0" in file or not covers(self.trusted, file):
            return False
        with contextlib.suppress(OSError, ValueError):
            return covers(self.trusted, os.path.realpath(file)) and os.path.isfile(file)
        return False


def name_known(name: str, catalog: Catalog, places: Places) -> str | None:
    """The name as the index has it, where this is one, or the path of the file of one."""
    return next((one for one in places.names_of(name) if catalog.content_named(one) is not None), None)
