"""What images are called: names as text, on one line and harmless to a terminal; of pages; as seen from a folder."""

from __future__ import annotations

import os
import re

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
_ESCAPE = re.compile(rb'\\(["\\]|[0-7]{3})')


def printable(name: str) -> str:
    r"""A name as a line of text: as it is, or where it is none, or begins with ``"``, quoted.

    >>> print(printable("harbour 2019.jpg"), printable("two\nlines.jpg"))
    harbour 2019.jpg "two\012lines.jpg"
    """
    return quoted(name) if name.startswith('"') or _UNFIT.search(name) else name


def quoted(name: str) -> str:
    """A name in double quotes, as C has it: what is no ASCII is its bytes, three octal digits each."""
    return '"' + "".join(map(_in_quotes, _bytes_of(name))) + '"'


def unquoted(text: str) -> str | None:
    r"""The name that ``quoted`` made a text of; None where it did not.

    >>> unquoted(r'"two\012lines.jpg"')
    'two\nlines.jpg'
    >>> unquoted("harbour 2019.jpg") is None
    True
    """
    found = _QUOTED.fullmatch(_bytes_of(text))
    if found is None or b"\\000" in found[1]:
        return None
    return os.fsdecode(_ESCAPE.sub(_byte_of, found[1]))


def plain(text: str) -> str:
    """A text on one line: characters that could command a terminal, or deceive its reader, are octal bytes."""
    return _UNFIT.sub(lambda unfit: "".join(f"\\{byte:03o}" for byte in _bytes_of(unfit[0])), text)


def is_unicode(name: str) -> bool:
    """Whether a name is text, so that any program can take it: its bytes are UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def page_name(file: str, page: int) -> str:
    """The name of an image that is one page of a file: FILE#page=N, the first page being 1."""
    return f"{file}#page={page}"


def page_of(name: str) -> tuple[str, int] | None:
    """The file and the page that a name says by its spelling; nothing is looked up on disk.

    >>> page_of("scan.tif#page=3")
    ('scan.tif', 3)
    """
    found = _PAGE.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def split_page(name: str) -> tuple[str, int | None]:
    """The file of an image's name, and its page; no page where the name is just a file's, or such a file exists."""
    paged = page_of(name)
    return paged if paged and not os.path.exists(name) else (name, None)


def absolute(path: str) -> str:
    """A path from the top, normalised.

    Raises:
        UsageError: it is relative, and the working directory is no more.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} is a relative path, and the working directory is no more") from error


def name_below(root: str, path: str) -> str:
    """A path as seen from a root folder.

    Raises:
        UsageError: it is not below the root, or it is relative and the working directory is no more.
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
    """Whether a normalised path is ``top`` or lies below it; both relative to one folder, or absolute."""
    if top == os.curdir:
        return not os.path.isabs(name) and name.split(os.sep, maxsplit=1)[0] != os.pardir
    return name == top or name.startswith(top.rstrip(os.sep) + os.sep)


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
