"""Thumbnails kept on disk, those that were used last; their names say content and size, so none is ever stale."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from pathlib import Path

from platformdirs import user_cache_path

MOST_BYTES = 512 << 20


class Thumbnails:
    """A folder of thumbnails. Safe to share between threads; what the disk refuses is not kept.

    Several servers may share one folder: what another one deleted is not there.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        """Prepare to keep some.

        Args:
            folder: made when it is needed; None: in the user's cache.
            most_bytes: of all of them.
        """
        self._given = folder
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, int] | None = None  # sizes by name, those that were used last at the end
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._given or user_cache_path("featmatch") / "thumbnails"

    def get(self, name: str) -> bytes | None:
        """A thumbnail; None where there is none."""
        with self._lock:
            kept = self._known()
            try:
                content = (self.folder / name).read_bytes()
            except OSError:
                self._bytes -= kept.pop(name, 0)
                return None
            if name not in kept:
                self._count(name, len(content))
            kept.move_to_end(name)
            return content

    def keep(self, name: str, content: bytes) -> None:
        """Keep a thumbnail, and drop those that were not used for longest where there are too many."""
        if len(content) > self._most:
            return
        with self._lock:
            kept = self._known()
            aside = self.folder / f"{name}.{os.getpid()}.partial"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                aside.write_bytes(content)
                os.replace(aside, self.folder / name)
            except OSError:
                with contextlib.suppress(OSError):
                    aside.unlink()
                return
            self._bytes -= kept.pop(name, 0)
            self._count(name, len(content))
            while self._bytes > self._most:
                oldest, size = kept.popitem(last=False)
                self._bytes -= size
                with contextlib.suppress(OSError):
                    (self.folder / oldest).unlink()

    def _count(self, name: str, size: int) -> None:
        self._known()[name] = size
        self._bytes += size

    def _known(self) -> OrderedDict[str, int]:
        """What is in the folder, by the time of its last use; looked at once."""
        if self._kept is None:
            self._kept = OrderedDict()
            found: list[tuple[float, str, int]] = []
            with contextlib.suppress(OSError):
                for entry in os.scandir(self.folder):
                    state = entry.stat()
                    found.append((state.st_mtime, entry.name, state.st_size))
            for _, name, size in sorted(found):
                self._kept[name] = size
                self._bytes += size
        return self._kept
