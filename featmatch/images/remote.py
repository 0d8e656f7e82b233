"""Pictures on other storage (s3://, gs://, sftp:// and the like), through fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from featmatch.errors import ImageError, MissingFeatureError
from featmatch.images.archives import MOST_BYTES
from featmatch.images.kinds import SUFFIXES
from featmatch.names import is_address

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_remote(text: str) -> bool:
    """Whether a text names other storage, by how it begins.

    >>> is_remote("s3://photos/2019/"), is_remote("https://example.org/a.jpg"), is_remote("C:/photos")
    (True, False, False)
    """
    return _URL.match(text) is not None and not is_address(text)


def remote_pictures(url: str) -> Iterator[tuple[str, bytes | ImageError]]:
    """The pictures below a folder, in the order of their names, or one; each with its bytes, or with why not.

    They are read one after the other, as they are asked for.

    Raises:
        MissingFeatureError: fsspec, or what it needs for this storage, is not installed.
    """
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingFeatureError(f"{url} needs more packages: pip install 'featmatch[remote]'") from error
    try:
        storage, path = url_to_fs(url)
        paths = _pictures_below(storage, path) if storage.isdir(path) else [path]
    except ImportError as error:
        raise MissingFeatureError(f"{url} needs more packages: {error}") from error
    except Exception as error:  # each storage has errors of its own
        yield url, _error_of(error)
        return
    if not paths:
        yield url, ImageError("not_found", "there are no images in this folder")
    for one in paths:
        yield storage.unstrip_protocol(one), _content(storage, one)


def _pictures_below(storage: Any, folder: str) -> list[str]:
    return sorted(path for path in storage.find(folder) if PurePosixPath(path).suffix.lower() in SUFFIXES)


def _content(storage: Any, path: str) -> bytes | ImageError:
    try:
        if (storage.info(path).get("size") or 0) > MOST_BYTES:
            return ImageError("too_large", f"it has more than {MOST_BYTES} bytes")
        return bytes(storage.cat_file(path))
    except Exception as error:
        return _error_of(error)


def _error_of(error: Exception) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError("not_found", "no such file")
    return ImageError("not_found", f"{type(error).__name__}: {error}")
