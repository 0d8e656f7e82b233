"""Make the small index that is kept under ``tests/indexes``: one for each version of the format, to open for ever.

    python -m tools.make_format_index tests/indexes/format-2
    python -m tools.make_format_index tests/indexes/segment-4 --parts 16
    python -m tools.make_format_index tests/indexes/format-4 --names 3

Made once, when a version of the format is released, and never again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from featmatch.store import parts, segment, segment_writer
from tools.small_index import draw_pictures, small_index, small_vocabulary


def main() -> None:
    """Two segments, a picture under two names, a text, and a tombstone."""
    parser = argparse.ArgumentParser(description="Make a small index of the present format, with its pictures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", type=int, default=1, help="of each posting list, as in large segments")
    parser.add_argument("--names", type=int, default=parts.RECENT_NAMES, help="that the catalogue keeps itself at most")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True)
    for module in (segment, segment_writer):
        vars(module)["parts_for"] = lambda *_: arguments.parts
    parts.RECENT_NAMES = arguments.names
    os.chdir(folder)  # names are to be relative to it
    for path in draw_pictures(Path("pictures"), 4):
        cv2.imwrite(str(path.with_suffix(".jpg")), np.asarray(cv2.imread(str(path))))
        path.unlink()
    Path("pictures/copy.jpg").write_bytes(Path("pictures/001.jpg").read_bytes())
    index = small_index(Path("index"), small_vocabulary())
    index.add(["pictures/000.jpg", "pictures/001.jpg"], jobs=1, text="of the first addition")
    index.add(["pictures"], jobs=1)
    index.remove(["pictures/003.jpg"])
    Path("index/writer.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
