"""Names in the index -> their files as they are now: which names are the same file, and which files are unchanged.

None of this is stored in the index: inode numbers are reused, and change when a backup is restored.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from featmatch.images.contents import content_of
from featmatch.names import absolute, page_name, split_page
from featmatch.store.records import ImageRecord

PathOf: TypeAlias = Callable[[str], "str | None"]
Identity: TypeAlias = "tuple[object, ...]"


@dataclass(frozen=True)
class Standing:
    """The file that a name stands for.

    Attributes:
        file: identity; the same for all names of one file, however they are spelled or linked.
        page: number of the page in the file; None: the file itself.
        path: of the file, with all links resolved; None: it is not known where it is.
        is_link: whether the name itself is a symbolic link.
        is_direct: whether no part of the path is a link.
        trouble: why it is not the readable file that was added; empty if it is.
    """

    file: Identity
    page: int | None
    path: str | None
    is_link: bool
    is_direct: bool
    trouble: str

    @property
    def is_real(self) -> bool:
        """Whether the name is not a link, and its file is there as it was added."""
        return not self.trouble and not self.is_link

    @property
    def path_of_image(self) -> str | None:
        """Path of the image: of the file, or of a page in it."""
        return self.path if self.path is None or self.page is None else page_name(self.path, self.page)

    @property
    def rank(self) -> int:
        """0: a direct path to the file, 1: through a linked folder, 2: a link, 3: not the file that was added."""
        if self.trouble:
            return 3
        return 2 if self.is_link else 0 if self.is_direct else 1


class Standings:
    """The files of names; each file is looked at once."""

    def __init__(self, path_of: PathOf) -> None:
        """Prepare; no file is looked at yet.

        Args:
            path_of: name -> path of its file; None: not at hand.
        """
        self._path_of = path_of
        self._records: dict[str, ImageRecord] = {}
        self._known: dict[str, Standing] = {}
        self._states: dict[str, os.stat_result | None] = {}

    def know(self, record: ImageRecord) -> None:
        """Add the catalogue's record of a name; needed before the name is asked for."""
        self._records[record.name] = record

    def look_again(self) -> None:
        """Forget the state of all files, so that they are looked at anew."""
        self._known.clear()
        self._states.clear()

    def order(self, name: str) -> tuple[int, int, str]:
        """Sort key of names: the best for the image first, the shortest of equals."""
        return self.of(name).rank, len(name), name

    def of(self, name: str) -> Standing:
        """The file of a name."""
        if name not in self._known:
            self._known[name] = self._look(name)
        return self._known[name]

    def has_content(self, name: str) -> bool:
        """Whether the file of a name is to the byte the one that was added; it is read in full."""
        path = self.of(name).path_of_image
        try:
            return path is not None and content_of(path) == self._records[name].sha256
        except OSError:
            return False

    def _look(self, name: str) -> Standing:
        path = self._path_of(name)
        if path is None:
            return Standing(("name", name), None, None, False, True, "not at hand")
        file, page = split_page(path)
        try:
            real = os.path.realpath(file)
            state = self._state(real)
            is_link = os.path.islink(file)
        except ValueError:  # such as a NUL byte: no file can have such a name
            return Standing(("name", name), page, None, False, True, "not at hand")
        is_direct = real == absolute(file)
        identity = _identity(real, state)
        return Standing(identity, page, real, is_link, is_direct, self._trouble(name, path, file, state))

    def _state(self, real: str) -> os.stat_result | None:
        if real not in self._states:
            try:
                self._states[real] = os.stat(real)
            except OSError:
                self._states[real] = None
        return self._states[real]

    def _trouble(self, name: str, path: str, file: str, state: os.stat_result | None) -> str:
        if state is None or not stat.S_ISREG(state.st_mode):
            return "not at hand"
        record = self._records[name]
        try:
            with open(file, "rb") as opened:
                opened.read(1)
            touched = (state.st_size, state.st_mtime_ns) != (record.bytes, record.mtime_ns)
            if touched and (state.st_size != record.bytes or content_of(path) != record.sha256):
                return "changed since it was added"
        except OSError:
            return "cannot be read"
        return ""


def _identity(real: str, state: os.stat_result | None) -> Identity:
    """What tells one file from all others: inode number, size and time of its last change.

    The device is left out: a file system that is mounted twice, say over a network, has two. Files of the same inode
    number, size and time on two devices are more likely one file than copies.
    """
    if state is None or state.st_ino == 0:
        return "path", real
    return state.st_ino, state.st_size, state.st_mtime_ns
