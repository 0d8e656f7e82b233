"""Jobs on disk: a server that starts again tells of those that the last one had, and goes on with their numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
from platformdirs import user_state_path

from featmatch.system.files import replace_file
from featmatch.system.trust import identity_of

Record = Mapping[str, Any]


class JobFiles:
    """A folder with a file for each job. Where it cannot be written, jobs are kept in memory only."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, unless another server has it.

        Args:
            folder: made if there is none.
        """
        self._folder = folder
        self._lock = filelock.FileLock(folder / "lock", timeout=0, thread_local=False)
        self._ours = False
        with contextlib.suppress(OSError, filelock.Timeout):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self._ours = True

    @classmethod
    def of_index(cls, index: Path) -> JobFiles:
        """Of the jobs of an index: in the state of this user; another index at the same path inherits nothing."""
        path, made = identity_of(index)
        digest = hashlib.sha256(path + f"\0{made}".encode()).hexdigest()
        return cls(user_state_path("featmatch") / "jobs" / digest[:32])

    def all(self) -> list[tuple[int, Record]]:
        """Numbers and records, in order; those that are damaged are passed over."""
        found = []
        for path in self._folder.glob("*.json") if self._ours else ():
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(path.read_bytes())
                if isinstance(record, dict):
                    found.append((int(path.stem), record))
        return sorted(found, key=lambda one: one[0])

    def keep(self, number: int, record: Record) -> None:
        """Keep the record of a job."""
        if self._ours:
            with contextlib.suppress(OSError), replace_file(self._folder / f"{number}.json") as file:
                file.write(json.dumps(record).encode("ascii"))

    def drop(self, number: int) -> None:
        """Keep a job no longer."""
        if self._ours:
            with contextlib.suppress(OSError):
                (self._folder / f"{number}.json").unlink()

    def close(self) -> None:
        """Leave the folder to another server."""
        self._ours = False
        self._lock.release()
