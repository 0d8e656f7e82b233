"""What the catalogue of a large index costs: to open, to look something up in, and to commit to.

    python -m tools.bench_catalogue --images 100000 1000000

Indexes are made of rows alone: a name, a content and one feature an image. Of each size, in processor time throughout:
build, bytes written for the commit of one more image and of 5,000, milliseconds and memory (of its own, without mapped
files) to open in a fresh process, and milliseconds to look a name up, to list a page and to find words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from featmatch import Index, Vocabulary
from featmatch.features.looks import LOOK
from featmatch.store import browsing
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.postings import Postings
from featmatch.store.segment import IMAGE_COLUMNS
from featmatch.store.segment_writer import SegmentWriter
from tools.small_index import memory_bytes, small_index, small_vocabulary

Argument = TypeVar("Argument")

BATCH = 5000  # images of a commit, as of ``add``
_SEGMENT = 2_000_000  # images of a segment: as many as merging makes of images with 1,000 features


def name_of(number: int) -> str:
    """The name of an image."""
    return f"photos/{2000 + number % 25}/{number // 500:05d}/IMG_{number:08d}.jpg"


def add_rows(index: Path, first: int, count: int, segment: int | None = None) -> int:
    """Commit some images, of a segment that is there or of the next one; return its number."""
    with change_catalog(index / CATALOG) as change:
        new = change.next_segment() if segment is None else segment
        for number in range(first, first + count):
            content = hashlib.sha256(b"%d" % number).hexdigest()
            image = change.add_image(content, 100_000 + number * 7 % 5_000_000, (640, 480), 1, new)
            change.name(name_of(number), image, 1_700_000_000_000_000_000 + number)
        if segment is None:
            manifest = _write_segment(segment_folder(index, new), first, count)
            change.add_segment(new, count, count, manifest)
    return new


def _write_segment(folder: Path, first: int, count: int) -> bytes:
    """Columns of images with one feature each, all of the first word."""
    tables = {name: np.ones(count, kind) for name, kind in IMAGE_COLUMNS.items() if kind != LOOK}
    tables |= {"ids": np.arange(first, first + count, dtype=np.int64), "looks": np.zeros(count, LOOK)}
    tables["picture_bytes"][:] = 0
    postings = Postings(
        np.arange(count, dtype=np.uint32), np.zeros(count, np.uint64), np.zeros(count, np.uint16),
        np.zeros(count, np.uint16), np.zeros(count, np.uint8), np.zeros(count, np.uint8),
    )  # fmt: skip
    with SegmentWriter(folder, tables, _WORDS) as writer:
        writer.append(np.zeros(count, np.int64), postings)
    return writer.manifest_sha256


_WORDS = 256


def build(index: Path, images: int, batch: int, vocabulary: Vocabulary) -> None:
    """An index of rows, ``batch`` of them a commit, in segments as merging leaves them."""
    small_index(index, vocabulary)
    for start in range(1, images + 1, _SEGMENT):
        size = min(_SEGMENT, images + 1 - start)
        with change_catalog(index / CATALOG) as change:
            segment = change.next_segment()
            change.add_segment(segment, size, size, _write_segment(segment_folder(index, segment), start, size))
        for first in range(start, start + size, batch):
            add_rows(index, first, min(batch, start + size - first), segment)


def bytes_written() -> int:
    """By this process, as the system counts them; 0 where it does not."""
    try:
        counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    except OSError:
        return 0
    return int(counts["wchar"])


def measure(index: Path, images: int) -> dict[str, float]:
    """Figures of an index that is there."""
    opened = subprocess.run(
        [sys.executable, "-m", "tools.bench_catalogue", "--open", str(index)], check=True, capture_output=True
    )
    found: dict[str, float] = json.loads(opened.stdout)
    catalog = Index.open(index).snapshot.catalog
    random = np.random.default_rng(0)
    some = [int(number) for number in random.integers(1, images + 1, 300)]
    found["name, ms"] = _milliseconds(lambda number: catalog.content_named(name_of(number)), some)
    found["records, ms"] = _milliseconds(lambda number: catalog.records_of([number]), some)
    found["page of 100, ms"] = _milliseconds(lambda number: browsing.list_images(catalog, after=number), some[:20])
    words = [f"IMG {number:08d}" for number in some[:50]]
    found["words, ms"] = _milliseconds(catalog.fitting, words)
    images = catalog.newest()
    for count in (1, BATCH):
        before, start = bytes_written(), time.process_time()
        add_rows(index, images + 1, count)
        found[f"commit of {count}, s"] = time.process_time() - start
        found[f"commit of {count}, MB"] = (bytes_written() - before) / 1e6
        images += count
    return found


def _milliseconds(call: Callable[[Argument], object], arguments: Sequence[Argument]) -> float:
    start = time.process_time()
    for argument in arguments:
        call(argument)
    return (time.process_time() - start) / len(arguments) * 1000


def open_once(index: Path) -> dict[str, float]:
    """Time and memory to open an index, in a process that has imported featmatch."""
    before, start = memory_bytes(), time.process_time()
    opened = Index.open(index)
    milliseconds = (time.process_time() - start) * 1000
    grown = memory_bytes() - before
    peak = memory_bytes("VmHWM")
    start = time.process_time()
    count = len(opened)
    return {
        "open, ms": milliseconds, "open, MB": grown / 1e6, "process at most, MB": peak / 1e6,
        "count, ms": (time.process_time() - start) * 1000, "names": count,
    }  # fmt: skip


def main() -> None:
    """Print a row of figures for each size."""
    parser = argparse.ArgumentParser(description="What the catalogue of a large index costs.")
    parser.add_argument("--images", type=int, nargs="+", default=[100_000])
    parser.add_argument("--batch", type=int, default=BATCH, help="images of each commit while it is built")
    parser.add_argument("--keep", type=Path, help="a folder for the indexes; those that are there are not built again")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open is not None:
        print(json.dumps(open_once(options.open)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, vocabulary = options.keep or Path(temporary), small_vocabulary()
        for images in options.images:
            index = folder / f"{images}.fm"
            if not index.exists():
                before, start = bytes_written(), time.process_time()
                build(index, images, options.batch, vocabulary)
                seconds, written = time.process_time() - start, (bytes_written() - before) / 1e9
                print(f"{images} built in {seconds:.0f} s of processor time, {written:.2f} GB written", flush=True)
            found = measure(index, images)
            print(images, ", ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
