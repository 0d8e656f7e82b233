"""Features that another tool found -> an index, under names of the caller's choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.adding import batches
from featmatch.adding.batches import AddOptions, AddReport, Entry, Target, are_pictures_kept, commit_batch
from featmatch.adding.given_images import checked_name
from featmatch.adding.one_image import Failure, IndexedFile, indexed_image
from featmatch.errors import UsageError
from featmatch.features.extraction import Features
from featmatch.features.looks import LOOK, whole_picture
from featmatch.images.metadata import Metadata
from featmatch.images.stored import NO_PICTURE, stored_picture
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.store.catalog import Catalog
from featmatch.store.records import NO_FILE_NS
from featmatch.words.vocabulary import Vocabulary


def add_given_features(
    given: Iterable[object], target: Target, vocabulary: Vocabulary, options: AddOptions, committed: Callable[[], None]
) -> AddReport:
    """Index features a batch at a time, in this process. What the index has under its name is skipped.

    Whatever ends the run early, the unfinished batch is committed first.

    Args:
        given: pairs of a name and ``Features``.
        target: the index that they are added to.
        vocabulary: of the index.
        options: its text is kept with each image, and it says whether pictures are.
        committed: called after each commit.

    Raises:
        UsageError: one of them is no such pair, or not of the detector of the index; those before it are added.
    """
    report, batch = AddReport(), list[Entry]()
    contents: dict[str, str] = {}  # by name: of what was taken in this run
    catalog, pictures = Catalog(target.catalog), are_pictures_kept(target, options.pictures)
    try:
        for pair in given:
            name, features = _checked(pair, target)
            if len(features) < FEWEST_FEATURES:
                report.failed.append(Failure(name, "too_little_detail", f"only {len(features)} features"))
                continue
            content, size = _content_of(features)
            if content == (contents.get(name) or catalog.content_named(name)):
                report.skipped.append(name)
                continue
            contents[name] = content
            batch.append(Entry(name, _indexed(features, content, size, vocabulary, pictures), options.text))
            report.added.append(name)
            if len(batch) == batches.BATCH_IMAGES:
                commit_batch(batch, target)
                batch.clear()
                committed()
    finally:
        if batch:
            commit_batch(batch, target)
    committed()
    return report


def _checked(pair: object, target: Target) -> tuple[str, Features]:
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Features)):
        raise UsageError(f"each is a name and its Features, not {type(pair).__name__}")
    name, features = checked_name(pair[0]), pair[1]
    if features.detector != target.options.detector:
        raise UsageError(f"the index has features of {target.options.detector}, not of {features.detector}: {name}")
    return name, features


def _indexed(features: Features, content: str, size: int, vocabulary: Vocabulary, pictures: bool) -> IndexedFile:
    """What the index stores; without a picture nothing of how it looks as a whole, and so it is not found by that."""
    grey = features.picture
    phash, look, picture = np.uint64(0), np.zeros(1, LOOK)[0], NO_PICTURE
    if grey is not None:
        whole = whole_picture(grey)
        phash, look = whole.phashes[0], whole.looks[0]
        picture = stored_picture(grey) if pictures else NO_PICTURE
    image = indexed_image(features, vocabulary, phash, look, picture)
    return IndexedFile(content, size, NO_FILE_NS, image, Metadata(), damaged=False)


def _content_of(features: Features) -> tuple[str, int]:
    """SHA-256 and number of the bytes of all that is given, in place of those of a file."""
    digest = hashlib.sha256(f"featmatch {features.detector} {features.width} x {features.height}\n".encode())
    columns: list[NDArray[Any]] = [features.keypoints, features.sizes, features.angles, features.descriptors]
    if features.picture is not None:
        columns.append(features.picture.pixels)
    for column in columns:
        digest.update(f"{column.shape}".encode())
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest(), sum(column.nbytes for column in columns)
