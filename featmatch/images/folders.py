"""Which files of a folder are images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from featmatch.images.kinds import SUFFIXES


def image_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """Files as given, and those below folders whose name ends like an image's, in the order of their names.

    Links to files are followed, links to folders are not (they may lead in a circle). A path that does not exist is
    passed on: an error is raised when it is opened.
    """
    for path in paths:
        top = os.path.normpath(os.fspath(path))
        if not os.path.isdir(top):
            yield top
            continue
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                if Path(name).suffix.lower() in SUFFIXES:
                    yield os.path.normpath(os.path.join(folder, name))
