"""Several indexes, read as one index that holds all of their images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from featmatch.store.catalog import Catalog
from featmatch.store.info import IndexInfo
from featmatch.store.joined_catalog import JoinedCatalog
from featmatch.store.numbers import BY_INDEX, Numbering
from featmatch.store.places import Places
from featmatch.store.reader import Folders, Reader
from featmatch.store.segment import Segment
from featmatch.store.snapshot import Snapshot
from featmatch.store.whereabouts import Whereabouts
from featmatch.system.files import folder_bytes


class JoinedReader(Reader):
    """Indexes of one vocabulary and one kind of features, as one. Nothing is written to them.

    Attributes:
        readers: the indexes, by what they are called.
    """

    def __init__(self, readers: Mapping[str, Reader], newest: Callable[[], Mapping[str, Reader]] | None = None) -> None:
        """Join indexes that are open; ``newest`` gives the indexes that are wanted now, in their newest state."""
        first = next(iter(readers.values()))
        self.readers = dict(readers)
        self._newest = newest or self._refreshed
        self.folder, self.vocabulary, self.options = first.folder, first.vocabulary, first.options
        self.whereabouts = self._whereabouts = _Whereabouts()
        self._refreshing = threading.Lock()
        self._joined: tuple[Snapshot, ...] = ()
        self._segments: dict[int, tuple[Segment, Segment]] = {}
        self._join()

    @property
    def folders(self) -> Folders:
        """Where they are, by what they are called."""
        return tuple((name, reader.folder) for name, reader in self.readers.items())

    def refresh(self) -> None:
        """See what was committed to any of them since; and which they are, where that may change."""
        self._join(refresh=True)

    def _refreshed(self) -> Mapping[str, Reader]:
        for reader in self.readers.values():
            reader.refresh()
        return self.readers

    def info(self) -> IndexInfo:
        """What all of them hold, and how big they are."""
        return replace(super().info(), bytes=sum(folder_bytes(reader.folder) for reader in self.readers.values()))

    def _join(self, *, refresh: bool = False) -> None:
        with self._refreshing:
            if refresh:
                self.readers = dict(self._newest())
            self._whereabouts.follow(self.readers)
            snapshots = tuple(reader.snapshot for reader in self.readers.values())
            if list(map(id, snapshots)) != list(map(id, self._joined)):
                catalogs = [snapshot.catalog for snapshot in snapshots]
                catalog = JoinedCatalog(dict(zip(self.readers, catalogs, strict=True)))
                removed = {
                    catalog.numbering.number_of(place, image)
                    for place, one in enumerate(snapshots)
                    for image in one.removed
                } | catalog.twins.keys()
                self.snapshot = Snapshot(catalog, self._renumbered(snapshots, catalog.numbering), frozenset(removed))
                self._joined = snapshots

    def _renumbered(self, snapshots: Sequence[Snapshot], numbering: Numbering) -> dict[int, Segment]:
        """The segments of all, with the numbers that images have among all."""
        known, self._segments = self._segments, {}
        for place, snapshot in enumerate(snapshots):
            for number, segment in snapshot.segments.items():
                key = BY_INDEX.number_of(place, number)
                before = known.get(key)
                same = before if before is not None and before[0] is segment else None
                self._segments[key] = same or (segment, replace(segment, ids=numbering.numbers_of(place, segment.ids)))
        return {key: renumbered for key, (_, renumbered) in self._segments.items()}


def reader_of(folders: Folders, root: str | None = None) -> Reader:
    """Open an index again, or several that are read as one (``Reader.folders``). Raises as ``Reader``."""
    readers = {name: Reader(folder, root) for name, folder in folders}
    return readers[None] if None in readers else JoinedReader({str(name): one for name, one in readers.items()})


class _Whereabouts(Whereabouts):
    """Where the files of several indexes are."""

    def __init__(self) -> None:
        self.given = None
        self._own: dict[str, Whereabouts] = {}  # of all that ever were joined, as somebody may still read them

    def follow(self, readers: Mapping[str, Reader]) -> None:
        """Know where the files of these are."""
        self._own |= {called: reader.whereabouts for called, reader in readers.items()}
        given = {whereabouts.given for whereabouts in self._own.values()}
        self.given = given.pop() if len(given) == 1 else None

    @property
    def problem(self) -> str | None:  # type: ignore[override]  # nothing is kept here
        """As that of the first index that has one."""
        return next((one.problem for one in self._own.values() if one.problem is not None), None)

    def places(self, catalog: Catalog) -> Places:
        """Where the files are, as the catalogues have it."""
        assert isinstance(catalog, JoinedCatalog)
        own = tuple(self._own[called].places(part) for called, part in zip(catalog.called, catalog.parts, strict=True))
        return _Places(None, None, None, None, "", frozenset(), catalog, own)


@dataclass(frozen=True)
class _Places(Places):
    """Where the files of several indexes are; each has folders of its own, and all together have none.

    Attributes:
        catalog: of all.
        own: the places of each.
    """

    catalog: JoinedCatalog
    own: tuple[Places, ...]

    def paths_of(self, name: str) -> Iterator[str]:
        """Where there is a file for a name that may be read."""
        for place, own in self.catalog.meant(name):
            if self.catalog.parts[place].content_named(own) is not None:
                yield from self.own[place].paths_of(own)
                return

    def names_of(self, path: str) -> Iterator[str]:
        """Names that a user may mean by a name or a path, the likeliest first."""
        yield path
        for places, part, called in zip(self.own, self.catalog.parts, self.catalog.called, strict=True):
            for name in places.names_of(path):
                if part.content_named(name) is not None:
                    yield f"{called}:{name}"

    def names_below(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those of some names that lie below a folder, or are it."""
        below = []
        for name in names:
            place, own = next(
                (place, own)
                for place, own in self.catalog.meant(name)
                if self.catalog.parts[place].content_named(own) is not None
            )
            below += [name] if self.own[place].names_below(folder, [own]) else []
        return below
