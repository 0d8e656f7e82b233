"""Names of images: paths, relative to a folder or absolute; of single pages; and as they are printed and read back."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from typing import Any

from featmatch.errors import UsageError

# Control characters; marks that turn the direction of writing or are not seen; line and paragraph separators; and
# surrogates, which stand for bytes that are no UTF-8. The joiners U+200C and U+200D stay: Persian, Hindi and emoji
# need them. The page of groups (pages/groups.js) has the same list.
_UNFIT = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\["\\]|\\[0-3][0-7]{2})*)"')
_PAGE = re.compile(r"(.+)#page=([1-9][0-9]{0,8})", re.DOTALL)
_MEMBER = re.compile(r"(.+?)#member=(.+)", re.DOTALL)
_ESCAPE = re.compile(rb'\\(["\\]|[0-7]{3})')


def absolute(path: str) -> str:
    """An absolute, normalised path; links are not followed.

    Raises:
        UsageError: it is relative, and the working directory is gone.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} is a relative path, and the working directory is no more") from error


def name_below(root: str, path: str) -> str:
    """A path relative to a root folder.

    Raises:
        UsageError: it is not below the root, or it is relative and the working directory is gone.
    """
    try:
        name = os.path.relpath(absolute(path), absolute(root))
    except ValueError as error:  # on another drive
        if isinstance(error, UsageError):
            raise
        name = os.pardir
    if name == os.pardir or name.startswith(os.pardir + os.sep):
        raise UsageError(f"{path} is not below the root {root}")
    return name


def is_below(top: str, name: str) -> bool:
    """Whether a normalised path is ``top`` or lies below it; both are absolute, or relative to one folder.

    >>> is_below("photos", "photos/a.jpg"), is_below("photos", "photos-2020/a.jpg")
    (True, False)
    """
    if top == os.curdir:
        return not os.path.isabs(name) and name.split(os.sep, maxsplit=1)[0] != os.pardir
    return name == top or name.startswith(top.rstrip(os.sep) + os.sep)


def page_name(file: str, page: int) -> str:
    """The name of one page of a file; the first page is 1.

    >>> page_name("scan.pdf", 2)
    'scan.pdf#page=2'
    """
    return f"{before_page(file)}{page}"


def before_page(file: str) -> str:
    """What the names of all pages of a file begin with."""
    return f"{file}#page="


def page_of(name: str) -> tuple[str, int] | None:
    """The file and the page that a name says by its spelling, or None; nothing is looked up on disk.

    >>> page_of("scan.pdf#page=2")
    ('scan.pdf', 2)
    """
    found = _PAGE.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def split_page(name: str) -> tuple[str, int | None]:
    """The file of an image and its page; None for a whole file, and where a file of that very name exists."""
    paged = page_of(name)
    return paged if paged and not os.path.exists(name) else (name, None)


def member_name(archive: str, member: str) -> str:
    """The name of one picture in an archive.

    >>> member_name("photos.zip", "2019/a.jpg")
    'photos.zip#member=2019/a.jpg'
    """
    return f"{archive}#member={member}"


def member_of(name: str) -> tuple[str, str] | None:
    """The archive and the member that a name says by its spelling, or None; nothing is looked up on disk.

    >>> member_of("photos.zip#member=2019/a.jpg")
    ('photos.zip', '2019/a.jpg')
    """
    found = _MEMBER.fullmatch(name)
    return (found[1], found[2]) if found else None


def split_member(name: str) -> tuple[str, str] | None:
    """The archive of a picture and its member; None for any other file, and where a file of that very name exists."""
    member = member_of(name)
    return member if member and not os.path.exists(name) else None


def whole_file(name: str) -> str:
    """The file that an image is of: of a page or a member of one the whole file."""
    member = split_member(name)
    return split_page(name)[0] if member is None else member[0]


def is_address(text: str) -> bool:
    """Whether a text is the address of a picture, by how it begins.

    >>> is_address("https://example.org/a.jpg"), is_address("https/a.jpg")
    (True, False)
    """
    return text.lower().startswith(("http://", "https://"))


def is_unicode(name: str) -> bool:
    """Whether a name is Unicode, so that any program can take it: its bytes are UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def printable(name: str) -> str:
    r"""A name on one line, harmless to a terminal: as it is where it can be, else quoted.

    >>> print(printable("plain.jpg"), printable("two\nlines.jpg"))
    plain.jpg "two\012lines.jpg"
    """
    return quoted(name) if name.startswith('"') or _UNFIT.search(name) else name


def single_line(text: str) -> str:
    r"""A text on one line, without what could command a terminal or deceive its reader.

    >>> single_line(" two\nlines\x1b[2J ")
    'two lines [2J'
    """
    return " ".join(_UNFIT.sub(" ", text).split())


def plain(text: str) -> str:
    """A message on one line; characters that could command a terminal or deceive its reader become octal bytes."""
    return _UNFIT.sub(lambda unfit: "".join(f"\\{byte:03o}" for byte in _bytes_of(unfit[0])), text)


def quoted(name: str) -> str:
    """A name in double quotes, as in C; bytes other than printable ASCII are three octal digits each."""
    return '"' + "".join(map(_in_quotes, _bytes_of(name))) + '"'


def with_quoted(value: Any) -> Any:
    r"""A value for JSON, with NAME_quoted beside each NAME that is not valid Unicode: not every reader keeps such text.

    >>> with_quoted({"name": "caf\udce9.jpg"})["name_quoted"]
    '"caf\\351.jpg"'
    """
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            found[key] = with_quoted(inner)
            texts = inner if isinstance(inner, list) else [inner]
            if any(isinstance(text, str) and not is_unicode(text) for text in texts):
                readable = [quoted(text) if isinstance(text, str) else text for text in texts]
                found[f"{key}_quoted"] = readable if isinstance(inner, list) else readable[0]
        return found
    return [with_quoted(inner) for inner in value] if isinstance(value, list) else value


def unquoted(text: str) -> str | None:
    """The name that ``quoted`` made this text of; None where it made no such text."""
    found = _QUOTED.fullmatch(_bytes_of(text))
    if found is None or b"\\000" in found[1]:
        return None
    return os.fsdecode(_ESCAPE.sub(_byte_of, found[1]))


def path_meant(text: str) -> str:
    """The path that a text means: without ``quoted``'s quotes, unless there is a file of that very name."""
    name = unquoted(text)
    return text if name is None or os.path.lexists(text) else name


def listed_names(content: bytes) -> list[str]:
    r"""The names in a list: one a line, quoted or not; where there is a NUL, each ends with one and is as it is.

    >>> listed_names(b'a.jpg\r\n"two\\012lines.jpg"\n'), listed_names(b"a.jpg\0two\nlines.jpg\0")
    (['a.jpg', 'two\nlines.jpg'], ['a.jpg', 'two\nlines.jpg'])
    """
    if b"\0" in content:
        return [os.fsdecode(name) for name in content.split(b"\0") if name]
    lines = (line.removesuffix(b"\r") for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n"))
    return [path_meant(os.fsdecode(line)) for line in lines if line]


def _bytes_of(name: str) -> bytes:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # surrogates that are no bytes: of no file, but of a string from a stranger
        return name.encode("utf-8", "surrogatepass")


def _in_quotes(byte: int) -> str:
    if byte in b'"\\':
        return f"\\{byte:c}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _byte_of(escape: re.Match[bytes]) -> bytes:
    return escape[1] if len(escape[1]) == 1 else bytes([int(escape[1], 8)])
