"""The one tree of errors that featmatch raises, and the statuses an image can have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

Status = Literal["ok", "too_little_detail", "decode_failed", "too_large", "not_found"]


class FeatmatchError(Exception):
    """Whatever featmatch raises by intent derives from this."""


class UsageError(FeatmatchError, ValueError):
    """An argument that cannot be meant: a wrong type, shape, range or name."""


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
def naming(source: object) -> Iterator[None]:
    """Let an ``ImageError`` that passes have the name of the image, where this is a path and it has none yet."""
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
