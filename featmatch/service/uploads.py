"""Files that were uploaded, kept by their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from featmatch.system.files import flush_folder, replace_file


class Uploads:
    """A folder of files, each named by its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def keep(self, content: bytes) -> str:
        """Keep a file; return its SHA-256, hexadecimal. It is on the disk then.

        Raises:
            OSError: it cannot be written.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._place(sha256)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(path) as file:
                file.write(content)
            flush_folder(path.parent)
        return sha256

    def path_of(self, sha256: str) -> str | None:
        """Where the file of a content is; None: it was not uploaded."""
        path = self._place(sha256)
        return str(path) if path.is_file() else None

    def remove(self, sha256: str) -> None:
        """Delete the file of a content, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place(sha256))

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256
