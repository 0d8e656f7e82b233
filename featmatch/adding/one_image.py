"""One image file -> what the index stores of it. Runs in the processes that ``batches`` shares the files between."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import ImageError, Status
from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.looks import LEAST_DETAIL, whole_picture
from featmatch.images.archives import Listing, list_archive, read_member
from featmatch.images.contents import content_of, stamp_of
from featmatch.images.decoding import DecodingOptions
from featmatch.images.metadata import Metadata, read_metadata
from featmatch.images.pixels import load_grey
from featmatch.images.sources import page_count
from featmatch.images.stored import NO_PICTURE, stored_picture
from featmatch.names import split_member, split_page
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.store.layout import vocabulary_of
from featmatch.store.postings import quantised
from featmatch.store.segment_writer import IndexedImage
from featmatch.system.worker_loop import at_work
from featmatch.words.vocabulary import Vocabulary


@dataclass(frozen=True)
class Failure:
    """An image that was not indexed.

    Attributes:
        name: the path as given.
        status: why, as in the JSON output.
        message: why, in words.
    """

    name: str
    status: Status
    message: str


class Origin(NamedTuple):
    """What an image was made of.

    Attributes:
        sha256: of its content, hexadecimal.
        bytes: size of that.
        mtime_ns: when that was changed.
        reduced_from: width and height of the picture, px, of which it is a reduced copy; None: it is no copy.
    """

    sha256: str
    bytes: int
    mtime_ns: int
    reduced_from: tuple[int, int] | None = None


@dataclass(frozen=True)
class IndexedFile:
    """What the index stores of one image file.

    Attributes:
        sha256: of the content, hexadecimal; each page of a file has its own.
        bytes: size of the file.
        mtime_ns: when the file was last changed, ns since 1970; ``NO_FILE_NS`` for what was no file.
        image: what goes into a segment.
        metadata: what the file says of its picture.
        damaged: the file is cut short; it was read as far as it goes.
    """

    sha256: str
    bytes: int
    mtime_ns: int
    image: IndexedImage
    metadata: Metadata
    damaged: bool


def index_file(
    path: str, vocabulary_path: Path, options: FeatureOptions, decoding: DecodingOptions, pictures: bool = True
) -> IndexedFile | Failure:
    """Decode an image, find its features and their visual words, and read its metadata.

    Args:
        path: of a file, of a page of one (``FILE#page=N``), or of a picture in an archive (``FILE#member=NAME``).
        vocabulary_path: of the vocabulary inside the index.
        options: how features are taken.
        decoding: what the image may cost.
        pictures: keep a small grey picture of the image.
    """
    member = split_member(path)
    if member is not None:
        return _index_member(path, *member, vocabulary_path, options, decoding, pictures)

    def origin() -> Origin:
        state = os.stat(split_page(path)[0])
        return Origin(content_of(path), state.st_size, state.st_mtime_ns)

    return _indexed(path, path, origin, vocabulary_path, options, decoding, pictures)


def _index_member(
    path: str,
    archive: str,
    member: str,
    vocabulary_path: Path,
    options: FeatureOptions,
    decoding: DecodingOptions,
    pictures: bool,
) -> IndexedFile | Failure:
    try:
        content = read_member(archive, member)
        changed_ns = os.stat(archive).st_mtime_ns
    except ImageError as error:
        return Failure(path, error.status, error.message)
    origin = Origin(hashlib.sha256(content).hexdigest(), len(content), changed_ns)
    return _indexed(path, content, lambda: origin, vocabulary_path, options, decoding, pictures)


def index_given(
    name: str,
    source: str | bytes | Image.Image,
    origin: Origin,
    vocabulary_path: Path,
    options: FeatureOptions,
    decoding: DecodingOptions,
    pictures: bool = True,
) -> IndexedFile | Failure:
    """The same for a picture that was given under a name of the caller's choice.

    Args:
        name: for a failure to tell.
        source: a path, the bytes of a file, or a picture.
        origin: of what was given.
        vocabulary_path: of the vocabulary inside the index.
        options: how features are taken.
        decoding: what the image may cost.
        pictures: keep a small grey picture of the image.
    """
    return _indexed(name, source, lambda: origin, vocabulary_path, options, decoding, pictures)


def _indexed(
    name: str,
    source: str | bytes | Image.Image,
    origin_of: Callable[[], Origin],
    vocabulary_path: Path,
    options: FeatureOptions,
    decoding: DecodingOptions,
    pictures: bool,
) -> IndexedFile | Failure:
    if at_work():
        cv2.setNumThreads(1)  # the processes share the cores already
    vocabulary = _vocabulary(vocabulary_path, stamp_of(vocabulary_path))
    try:
        grey = load_grey(
            source, longest_px=options.longest_px, shortest_px=options.shortest_px, colours=True, decoding=decoding
        )
        origin = origin_of()
        if origin.reduced_from is not None:
            grey = grey.reduced_from(*origin.reduced_from)
        features, whole = extract_grey(grey, options), whole_picture(grey)
        if len(features) < FEWEST_FEATURES:
            if whole.detail < LEAST_DETAIL:
                return Failure(name, "too_little_detail", f"only {len(features)} features, and plain as a whole")
            features = features[:0]
    except ImageError as error:
        return Failure(name, error.status, error.message)
    except (OSError, cv2.error) as error:
        return Failure(name, "decode_failed", str(error))
    picture = stored_picture(grey) if pictures else NO_PICTURE
    image = indexed_image(features, vocabulary, whole.phashes[0], whole.looks[0], picture)
    return IndexedFile(*origin[:3], image, read_metadata(source), grey.damaged)


def indexed_image(
    features: Features, vocabulary: Vocabulary, phash: np.uint64, look: np.void, picture: NDArray[np.uint8]
) -> IndexedImage:
    """What goes into a segment: features as words and postings, and the rest as it is given (``IndexedImage``)."""
    words = vocabulary.assign(features.descriptors)
    postings = quantised(
        features.keypoints,
        features.angles,
        features.sizes,
        words.signatures[:, 0],
        max(features.width, features.height),
    )
    return IndexedImage(features.width, features.height, words.ids[:, 0], postings, phash, look, picture)


def list_pictures(path: str) -> Listing | Failure:
    """The pictures in an archive, or why they cannot be listed."""
    try:
        return list_archive(path)
    except ImageError as error:
        return Failure(path, error.status, error.message)


def count_pages(path: str) -> int | Failure:
    """Number of pages of a file, or why they cannot be counted."""
    try:
        return page_count(path)
    except ImageError as error:
        return Failure(path, error.status, error.message)


@lru_cache(maxsize=1)
def _vocabulary(path: Path, stamp: tuple[int, ...]) -> Vocabulary:
    del stamp  # tells one file at this path from the next
    return vocabulary_of(path.parent)
