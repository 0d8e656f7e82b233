"""What an index holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        images: how many names can be found.
        features: of their images, each counted once.
        removed: images that were removed or replaced and still take room, until ``compact``.
        queued: images whose features were lost (see ``featmatch check``), and that wait to be added again.
        verdicts: pairs of images that were accepted or rejected.
        segments: parts of the inverted file.
        pictures: images of which it keeps a small grey picture, also of those that were removed, until ``compact``.
        picture_bytes: of these pictures; part of ``bytes``.
        bytes: of all files of the index.
        root: the folder that names are relative to, if one was given.
        base: without a root, the folder that relative names are relative to: where the first ``add`` ran.
        detector: whose features it holds.
        words: size of its vocabulary.
        vocabulary: fingerprint of it.
    """

    images: int
    features: int
    removed: int
    queued: int
    verdicts: int
    segments: int
    pictures: int
    picture_bytes: int
    bytes: int
    root: str | None
    base: str | None
    detector: str
    words: int
    vocabulary: str
