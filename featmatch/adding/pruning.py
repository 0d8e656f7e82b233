"""Images whose files are gone leave the index."""

from __future__ import annotations

import os
from collections.abc import Sequence

from featmatch.adding.batches import Target
from featmatch.names import absolute, is_below, whole_file
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.system.trust import spellings


def remove_vanished(tops: Sequence[str], target: Target) -> list[str]:
    """Remove the images below some folders (or equal to some paths) whose files are gone; return their names.

    A top that does not exist itself is left alone: its drive may not be mounted. Names that lead elsewhere, whatever
    they say, are not looked up on disk.
    """
    there = {spelled for top in tops if os.path.exists(top) for spelled in spellings(absolute(top))}
    paths = ((name, target.naming.path_of(name)) for name in Catalog(target.catalog).names(only_files=True))
    vanished = [name for name, path in paths if any(is_below(top, path) for top in there) and _is_gone(path)]
    if vanished:
        with change_catalog(target.catalog) as change:
            change.remove(vanished)
    return vanished


def _is_gone(path: str) -> bool:
    try:
        os.stat(whole_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it may be there; we cannot see it
    return False
