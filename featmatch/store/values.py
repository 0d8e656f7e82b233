"""Values of the catalogue, checked (ValueError): SQLite keeps anything in any column."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

DIGEST_BYTES = 32  # of a SHA-256
MOST_SIDE = 1 << 28  # px of an image; more than any decoder lets in
MOST = 1 << 62

Row: TypeAlias = "tuple[Any, ...]"


def number(value: Any, least: int = 0, most: int = MOST) -> int:
    """A whole number within bounds, both included."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r:.80} is no number from {least} to {most}")
    return value


def text(value: Any) -> str | None:
    """Text, or nothing."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no text")
    return value


def digest(value: Any) -> str:
    """Lower-case hexadecimal of a SHA-256, from that of SQLite."""
    if not isinstance(value, str) or len(value) != 64:
        raise ValueError(f"{value!r:.80} is no SHA-256")
    return value.lower()


def to_sql(name: str) -> str | bytes:
    r"""Names are text; a file name that is no UTF-8 (Python holds it with surrogates) is kept as its bytes.

    >>> to_sql("photo.jpg"), to_sql("caf\udce9.jpg")
    ('photo.jpg', b'caf\xe9.jpg')
    """
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        return os.fsencode(name)


def from_sql(name: Any) -> str:
    """The name of a file: the inverse of ``to_sql``."""
    told = os.fsdecode(name) if isinstance(name, bytes) else name
    if not isinstance(told, str) or "\0" in told or (told is not name and to_sql(told) != name):
        raise ValueError(f"{name!r:.80} is no name of a file")
    return told
