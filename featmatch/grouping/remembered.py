"""Pairs that were found before, from the records of ``pairs.log`` (``store/pair_log.py`` has the format).

With each image the first bytes of its file's checksum are stored, as an id means another image in another index.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.grouping.pairs import Pair
from featmatch.grouping.repeating import Repeated
from featmatch.store.joined import JoinedReader
from featmatch.store.pair_log import append_record, read_records
from featmatch.store.reader import Reader


@dataclass
class Remembered:
    """What is known of the images of an index.

    Attributes:
        compared: ids of the images that were compared with each other.
        pairs: that these make, by both ids, the lower first.
    """

    compared: set[int] = field(default_factory=set)
    pairs: dict[tuple[int, int], Pair] = field(default_factory=dict)

    def add(self, images: Sequence[int], pairs: Sequence[Pair]) -> None:
        """Add images that were compared, and the pairs that they make."""
        self.compared.update(images)
        for pair in pairs:
            self.pairs[pair.key] = pair


def pairs_folder(reader: Reader) -> Path:
    """Where the pairs of an index are kept: in itself; of several that are read as one, in the user's cache folder.

    Such a folder is a cache: if it is deleted, the images are compared again.
    """
    if not isinstance(reader, JoinedReader):
        return reader.folder
    from platformdirs import user_cache_path

    places = "\0".join(os.path.realpath(folder) for _, folder in reader.folders)
    folder = user_cache_path("featmatch") / "groups" / hashlib.sha256(os.fsencode(places)).hexdigest()[:20]
    with contextlib.suppress(OSError):  # whoever writes to it says so
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def recall(folder: Path, digests: Mapping[int, int]) -> Remembered:
    """Read which images were compared before, and the pairs that they make.

    Args:
        folder: where they are kept.
        digests: by id, the first eight bytes of the SHA-256 of each image that is in it now; others are left out.
    """
    known = Remembered()
    meant: dict[int, int] = {}
    for columns in read_records(folder):
        _take(columns, digests, meant, known)
    return known


def _take(
    columns: Mapping[str, NDArray[Any]], digests: Mapping[int, int], meant: dict[int, int], known: Remembered
) -> None:
    meant.update(zip(columns["images"].tolist(), columns["digests"].tolist(), strict=True))

    def is_meant(image: int) -> bool:
        return image in digests and meant.get(image) == digests[image]

    pairs = [pair for pair in _pairs(columns) if is_meant(pair.query) and is_meant(pair.reference)]
    known.add([image for image in columns["images"].tolist() if is_meant(image)], pairs)


def remember(folder: Path, images: Sequence[int], pairs: Sequence[Pair], digests: Mapping[int, int]) -> None:
    """Append one record to the log; the caller holds the writer's lock.

    Args:
        folder: where they are kept.
        images: ids of images that were compared.
        pairs: that they make.
        digests: as for ``recall``.

    Raises:
        StoreError: it cannot be written.
    """
    numbers = np.array(images, np.int64)
    own = np.array([digests[image] for image in images], np.uint64)
    append_record(folder, {"images": numbers, "digests": own, **_columns(pairs)})


def _columns(pairs: Sequence[Pair]) -> dict[str, NDArray[Any]]:
    return {
        "between": np.array([(pair.query, pair.reference) for pair in pairs], np.int64).reshape(-1, 2),
        "homography": np.array([pair.homography for pair in pairs], np.float64).reshape(-1, 3, 3),
        "counts": np.array([(pair.mirrored, pair.negative, pair.inliers) for pair in pairs], np.int32).reshape(-1, 3),
        "evidence": np.array(
            [
                (pair.geometry, pair.evenness, pair.alike, *_values(pair.in_reference), *_values(pair.in_query))
                for pair in pairs
            ],
            np.float64,
        ).reshape(-1, 9),
    }


def _values(found: Repeated) -> tuple[float, float, float]:
    return found.covered, found.share, found.evenness


def _pairs(columns: Mapping[str, NDArray[Any]]) -> Iterator[Pair]:
    rows = (columns[name] for name in ("between", "homography", "counts", "evidence"))
    for between, homography, counts, evidence in zip(*rows, strict=True):
        geometry, evenness, alike, *shares = evidence.tolist()
        query, reference = between.tolist()
        yield Pair(
            query, reference, homography, bool(counts[0]), bool(counts[1]), int(counts[2]), geometry, evenness,
            Repeated(*shares[:3]), Repeated(*shares[3:]), alike,
        )  # fmt: skip
