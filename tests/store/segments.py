"""Made segments, and indexes of nothing else, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featmatch.features.looks import LOOK
from featmatch.images.pixels import GreyImage
from featmatch.images.stored import NO_PICTURE, stored_picture
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog, create_catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.postings import quantised
from featmatch.store.segment import MANIFEST, Segment
from featmatch.store.segment_writer import IndexedImage, write_segment

WORDS = 11


def made_images(seed: int, counts: list[int]) -> list[IndexedImage]:
    random = np.random.default_rng(seed)
    images = []
    for count in counts:
        width, height = (int(side) for side in random.integers(50, 4000, 2))
        postings = quantised(
            random.uniform(0, [width - 1, height - 1], (count, 2)).astype(np.float32),
            random.uniform(0, 2 * np.pi, count).astype(np.float32),
            random.uniform(1, 300, count).astype(np.float32),
            random.integers(1 << 63, size=count).astype(np.uint64),
            max(width, height),
        )
        words = random.integers(WORDS, size=count).astype(np.int32)
        phash, look = random.integers(1 << 63, dtype=np.uint64), np.frombuffer(random.bytes(LOOK.itemsize), LOOK)[0]
        drawn = random.integers(256, size=tuple(random.integers(1, 20, 2)), dtype=np.uint8)
        picture = (
            stored_picture(GreyImage(drawn, drawn.shape[1], drawn.shape[0], 1.0, 1.0)) if count % 2 else NO_PICTURE
        )
        images.append(IndexedImage(width, height, words, postings, phash, look, picture))
    return images


def written(folder: Path, seed: int = 0, counts: tuple[int, ...] = (9, 1, 17)) -> list[IndexedImage]:
    images = made_images(seed, list(counts))
    write_segment(folder, images, list(range(40, 40 + len(images))), WORDS)
    return images


def open_again(folder: Path, words: int = WORDS) -> Segment:
    """As the catalogue would have it opened, whatever its manifest says now."""
    manifest = folder / MANIFEST
    sha256 = hashlib.sha256(manifest.read_bytes()).digest() if manifest.is_file() else b""
    return Segment.open(folder, words, sha256)


def make_index(folder: Path, *parts: Sequence[int]) -> Catalog:
    """A segment for each part, which has the number of features of each of its images; they are 1.jpg and so on."""
    create_catalog(folder / CATALOG, {})
    image = 0
    for counts in parts:
        with change_catalog(folder / CATALOG) as change:
            segment = change.next_segment()
            images = made_images(segment, list(counts))
            first = image + 1
            for one in images:
                image += 1
                number = change.add_image(f"{image:064x}", 7, (one.width, one.height), len(one.words), segment)
                change.name(f"{image}.jpg", number, 1)
            ids = list(range(first, image + 1))
            manifest = write_segment(segment_folder(folder, segment), images, ids, WORDS)
            change.add_segment(segment, len(images), sum(counts), manifest)
    return Catalog(folder / CATALOG)
