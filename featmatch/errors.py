"""All errors that featmatch raises, in one tree; and the statuses of an image."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

Status = Literal["ok", "partial", "too_little_detail", "decode_failed", "too_large", "not_found"]


class FeatmatchError(Exception):
    """Base of all errors that featmatch raises on purpose."""


class UsageError(FeatmatchError, ValueError):
    """An argument of a wrong type, shape or range, or an unknown name."""


class MissingFeatureError(FeatmatchError):
    """Something optional that is not installed, or a vocabulary that is not shipped."""


class ImageError(FeatmatchError):
    """One image that cannot be used.

    Attributes:
        status: why, as in the JSON output.
        message: why, in words.
        name: the path of the image; None where it came from memory.
    """

    def __init__(self, status: Status, message: str, name: str | None = None) -> None:
        super().__init__(status, message)  # both, so that it survives pickling between processes
        self.status: Status = status
        self.message = message
        self.name = name

    def __str__(self) -> str:
        return self.message if self.name is None else f"{self.name}: {self.message}"


@contextlib.contextmanager
def name_errors(source: object) -> Iterator[None]:
    """Give each ``ImageError`` raised inside the ``with`` block the name of the image, where its source is a path.

    >>> try:
    ...     with name_errors("a.jpg"):
    ...         raise ImageError("not_found", "no such file")
    ... except ImageError as error:
    ...     print(error)
    a.jpg: no such file
    """
    try:
        yield
    except ImageError as error:
        if error.name is None and isinstance(source, (str, os.PathLike)):
            error.name = str(os.fspath(source))
        raise


class VocabularyError(FeatmatchError):
    """A vocabulary file that is missing, damaged, or of another version or detector."""


class StoreError(FeatmatchError):
    """An index directory that is missing, damaged, of another version, or in use by a writer."""


class WriterBusyError(StoreError):
    """Another writer is at work on an index."""
