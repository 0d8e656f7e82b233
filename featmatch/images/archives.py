"""Archives: which pictures a .zip or .tar file has, and the bytes of each. Nothing is ever written to disk.

To be called where a damaged file may do no harm: the modules of Python that read archives believe what those say.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from featmatch.errors import ImageError
from featmatch.images.contents import stamp_of
from featmatch.images.kinds import SUFFIXES
from featmatch.names import member_of
from featmatch.system.files import open_file

MOST_MEMBERS = 100_000
MOST_BYTES = 256 << 20  # of one member
_FREE_BYTES = 1 << 30  # that all members may have together, whatever the size of the archive
_MOST_RATIO = 100  # by which an archive may be smaller than its members; pictures are hardly smaller in one

_TAR_MAGIC_AT = 257
_NESTED = "an archive in an archive is not opened: unpack it"

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Listing:
    """The pictures in an archive.

    Attributes:
        sizes: in bytes, by the name of each member, in their order; of two of one name the last is meant.
        refused: why others are not read, by their names.
        damaged: why the archive cannot be read to its end; None: it can.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    refused: dict[str, ImageError] = field(default_factory=dict)
    damaged: str | None = None


@dataclass(frozen=True)
class _Member:
    name: str
    bytes: int
    trouble: str | None  # why it is not read, by what the archive says of it
    entry: zipfile.ZipInfo | tarfile.TarInfo


def is_archive(path: str) -> bool:
    """Whether a path is that of an archive, by its ending.

    >>> is_archive("photos.ZIP"), is_archive("photos.tar.gz")
    (True, False)
    """
    return Path(path).suffix.lower() in (".zip", ".tar")


def list_archive(path: str) -> Listing:
    """The pictures in an archive: members whose names end like an image's.

    Links, encrypted members, names that lead out of the archive, archives in archives, and what is far larger than the
    archive are refused. Folders, devices and members of other endings are passed over.

    Raises:
        ImageError: it cannot be read at all, or has too many members.
    """
    listing = Listing()
    try:
        members, damaged = _members_of(path, stamp_of(path))
        left = _FREE_BYTES + _MOST_RATIO * os.stat(path).st_size
    except OSError as error:
        raise ImageError("not_found", error.strerror or str(error)) from error
    for member in members:
        for known in (listing.sizes, listing.refused):
            known.pop(member.name, None)
        left -= member.bytes
        if member.trouble is not None:
            listing.refused[member.name] = ImageError("decode_failed", member.trouble)
        elif member.bytes > MOST_BYTES or left < 0:
            listing.refused[member.name] = ImageError("too_large", "far larger than the archive says pictures are")
        else:
            listing.sizes[member.name] = member.bytes
    return Listing(listing.sizes, listing.refused, damaged)


def read_member(path: str, name: str) -> bytes:
    """The bytes of one member of an archive.

    Raises:
        ImageError: there is none, it is damaged, or has more bytes than the archive says.
    """
    try:
        member = next((one for one in reversed(_members_of(path, stamp_of(path))[0]) if one.name == name), None)
        if member is None or member.trouble is not None:
            within = member_of(name)
            is_nested = is_archive(name if within is None else within[0])
            raise ImageError("not_found", _NESTED if is_nested else "the archive has no such picture")
        content = _content(path, member)
    except OSError as error:
        raise ImageError("not_found", error.strerror or str(error)) from error
    except _DAMAGED as error:
        raise ImageError("decode_failed", f"damaged in the archive: {error}") from error
    if len(content) != member.bytes:
        raise ImageError("decode_failed", "not as large as the archive says")
    return content


def _content(path: str, member: _Member) -> bytes:
    """The bytes of a member; one more, where it goes on behind its end."""
    with open_file(path) as archive:
        if isinstance(member.entry, tarfile.TarInfo):
            archive.seek(member.entry.offset_data)
            return archive.read(min(member.bytes, MOST_BYTES))
        with zipfile.ZipFile(archive) as whole, whole.open(member.entry) as file:
            return file.read(min(member.bytes, MOST_BYTES) + 1)


@lru_cache(maxsize=1)
def _members_of(path: str, stamp: tuple[int, ...]) -> tuple[list[_Member], str | None]:
    """All members that may be pictures, and why there may be more that cannot be read."""
    del stamp
    members: list[_Member] = []
    with open_file(path) as file:
        try:
            for member in _tarred(file) if _is_tar(file) or not zipfile.is_zipfile(file) else _zipped(file):
                if len(members) == MOST_MEMBERS:
                    raise ImageError("too_large", f"more than {MOST_MEMBERS} pictures in an archive")
                members.append(member)
        except _DAMAGED as error:
            if not members:
                raise ImageError("decode_failed", f"no archive, or damaged: {error}") from error
            return members, f"the archive is damaged: {error}"
    return members, None


def _is_tar(file: IO[bytes]) -> bool:
    """Whether a file begins as a .tar does: one whose last member is a .zip ends as a .zip does."""
    file.seek(_TAR_MAGIC_AT)
    return file.read(5) == b"ustar"


def _zipped(file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or not _is_told(entry.filename):
                continue
            trouble = _trouble_of(entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                trouble = "a link in an archive is not followed"
            elif entry.flag_bits & 1:
                trouble = "encrypted"
            yield _Member(entry.filename, entry.file_size, trouble, entry)


def _tarred(file: IO[bytes]) -> Iterator[_Member]:
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for entry in archive:
            if not _is_told(entry.name) or not (entry.isfile() or entry.issym() or entry.islnk()):
                continue
            trouble = _trouble_of(entry.name)
            if not entry.isfile():
                trouble = "a link in an archive is not followed"
            elif entry.issparse():
                trouble = "a file with holes"
            yield _Member(entry.name, entry.size, trouble, entry)


def _is_told(name: str) -> bool:
    """Whether a member of this name is listed: a picture, or an archive, which is refused."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES or is_archive(name)


def _trouble_of(name: str) -> str | None:
    parts = name.replace("\\", "/").split("/")
    if is_archive(name):
        return _NESTED
    leads_out = name.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":")
    return "its name leads out of the archive" if leads_out or "\0" in name else None
