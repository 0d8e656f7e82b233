"""One writer of a cluster at a time, even if a lock fails.

A lock holds as long as its process does, on one machine. Over a network it may be given to another writer while the
first one only sleeps. So each writer takes a number, which ``cluster.json`` keeps, and looks at it again right before
each commit: who has slept too long finds a higher one, and commits nothing (fencing).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from featmatch.cluster.layout import Layout
from featmatch.errors import StoreError
from featmatch.store.writing import hold_writer_lock


@dataclass(frozen=True)
class Turn:
    """The turn of one writer.

    Attributes:
        folder: of the cluster.
        number: of the turn; each has a higher one than those before.
    """

    folder: Path
    number: int

    def check(self) -> Layout:
        """What ``cluster.json`` says now.

        Raises:
            StoreError: it is another writer's turn.
        """
        layout = Layout.read(self.folder)
        if layout.turn != self.number:
            raise StoreError(f"{self.folder}: another writer took over while this one slept; start again")
        return layout

    def write(self, layout: Layout) -> Layout:
        """Make this the next generation, which is returned; raises as ``check``, too."""
        self.check()
        return layout.write(self.folder)


@contextlib.contextmanager
def take_turn(folder: Path, *, wait: bool) -> Iterator[tuple[Turn, Layout]]:
    """Become the writer of a cluster; gives the turn, and what ``cluster.json`` says.

    Args:
        folder: of the cluster.
        wait: for another writer to end, rather than failing at once.

    Raises:
        StoreError: there is no cluster, or another writer is at work.
    """
    Layout.read(folder)  # so that no lock is left in a folder that is no cluster
    with hold_writer_lock(folder, wait=wait):
        before = Layout.read(folder)
        layout = replace(before, turn=before.turn + 1).write(folder)
        yield Turn(folder, layout.turn), layout
