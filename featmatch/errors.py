"""The one tree of errors that featmatch raises, and the statuses an image can have."""

from __future__ import annotations

from typing import Literal

Status = Literal["ok", "too_little_detail", "decode_failed", "too_large", "not_found"]


class FeatmatchError(Exception):
    """Whatever featmatch raises by intent derives from this."""


class UsageError(FeatmatchError, ValueError):
    """An argument that cannot be meant: a wrong type, shape, range or name."""


class MissingFeatureError(FeatmatchError):
    """Something optional that is not installed, or a vocabulary that is not shipped."""


class ImageError(FeatmatchError):
    """One image that cannot be used; ``status`` says why, as in the JSON output."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(status, message)  # both, so that it survives pickling between processes
        self.status: Status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class VocabularyError(FeatmatchError):
    """A vocabulary file that is missing, damaged, or of another version or detector."""


class StoreError(FeatmatchError):
    """An index directory that is missing, damaged, of another version, or in use by a writer."""
