"""Opening what users name: indexes, and the shards of clusters, as ``cluster.json`` has them at that time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from featmatch.cluster.layout import Layout, is_cluster
from featmatch.errors import StoreError, UsageError
from featmatch.store.layout import CLUSTER_FILE, refuse_links
from featmatch.store.numbers import CLUSTER
from featmatch.store.reader import Reader


def open_shards(folder: Path, root: str | os.PathLike[str] | None = None, layout: Layout | None = None) -> list[Reader]:
    """Open all shards, by number.

    Args:
        folder: of the cluster.
        root: where the collection is now.
        layout: which shards; None: those of the newest generation.

    Raises:
        StoreError: there is no cluster, or it is damaged.
    """
    layout = layout or Layout.read(folder)
    return [_open_shard(path, root, layout) for path in layout.folders(folder)]


def _open_shard(path: Path, root: str | os.PathLike[str] | None, layout: Layout) -> Reader:
    refuse_links(path)
    reader = Reader(path, root)
    if reader.snapshot.catalog.meta.get(CLUSTER) != layout.identity:
        raise StoreError(f"{reader.folder} is of another cluster")
    if reader.vocabulary.fingerprint != layout.vocabulary:
        raise StoreError(f"{reader.folder} was made with another vocabulary than its cluster")
    return reader


@dataclass
class Members:
    """Indexes and clusters that are asked as one. Safe to share between threads.

    Attributes:
        paths: of them, in order.
        root: where the collection is now; None: where the catalogues say.
    """

    paths: Sequence[str]
    root: str | os.PathLike[str] | None = None
    _read: dict[str, tuple[tuple[int, int, int], Layout]] = field(default_factory=dict)

    def newest(self, opened: Mapping[str, Reader]) -> dict[str, Reader]:
        """All indexes, and all shards of the clusters, in their newest state, by their paths.

        Args:
            opened: those that are open, which stay so where they are still wanted.

        Raises:
            StoreError: one of them cannot be opened.
            UsageError: one of them is named twice.
        """
        while True:
            layouts = self._layouts()
            every = [
                (name, layout)
                for path, layout in zip(self.paths, layouts, strict=True)
                for name in ([path] if layout is None else [os.path.join(path, one) for one in layout.shards])
            ]
            twice = [name for name, count in Counter(name for name, _ in every).items() if count > 1]
            if twice:
                raise UsageError(f"{twice[0]} is named twice")
            try:
                return {name: self._newest(name, layout, opened.get(name)) for name, layout in every}
            except StoreError:
                if self._layouts() == layouts:
                    raise
                # A shard was split meanwhile.

    def _newest(self, name: str, layout: Layout | None, opened: Reader | None) -> Reader:
        if opened is not None:
            opened.refresh()
            return opened
        return Reader(Path(name), self.root) if layout is None else _open_shard(Path(name), self.root, layout)

    def _layouts(self) -> list[Layout | None]:
        """Of each path that is one of a cluster, what ``cluster.json`` says."""
        return [self._layout(path) if is_cluster(path) else None for path in self.paths]

    def _layout(self, path: str) -> Layout:
        try:
            state = os.stat(os.path.join(path, CLUSTER_FILE))
        except OSError as error:
            raise StoreError(f"{path} is no cluster any more: {error.strerror or error}") from error
        stamp = state.st_ino, state.st_size, state.st_mtime_ns
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = stamp, Layout.read(Path(path))
        return known[1]
