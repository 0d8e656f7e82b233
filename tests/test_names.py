from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

import pytest

from featmatch.names import is_unicode, plain, printable, quoted, unquoted

READABLE = (
    "a.jpg",
    "with space.png",
    "it's.png",
    'in "the" middle.png',
    "back\\slash",
    "日本　の写真.png",
    "café",
    "می‌خواهم",
    "👩‍🚀",
    "",
)
HOSTILE = (
    "two\nlines", "tab\t", "\rover", "\x1b[31mred", "bell\a", "\x7f", "\x80", "\x9b31m", "\x9f", "soft\xadhyphen",
    "\u200egpj.exe", "\u200f", "\u061c", "\u202egpj.exe", "\u2066", "\u2069", "\u2028", "\u2029", "\ufeff",
    "\U000e0041",
)  # fmt: skip
BYTES = (b"caf\xe9.jpg", b"\x9b31m", b"\xff\xfe", b'"\xe9"', b"\xe6\x97\xa5\x9c")


@pytest.mark.parametrize("name", READABLE)
def test_what_can_be_read_is_printed_as_it_is(name: str) -> None:
    assert printable(name) == plain(name) == name


@pytest.mark.parametrize("name", [*READABLE, *HOSTILE, '"quoted"', '"', '\\"', "\\351", *map(os.fsdecode, BYTES)])
def test_every_name_comes_back(name: str) -> None:
    assert unquoted(quoted(name)) == name
    shown = printable(name)
    assert (unquoted(shown) if shown.startswith('"') else shown) == name


@pytest.mark.parametrize("name", [*HOSTILE, *map(os.fsdecode, BYTES), "\ud800", "\ud800\udce9"])
def test_nothing_commands_a_terminal_or_deceives_a_reader(name: str) -> None:
    for shown in (printable(name), plain(name)):
        assert {unicodedata.category(character) for character in shown}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
        shown.encode()


def test_quotes_are_as_c_has_them() -> None:
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == r'"caf\351.jpg"'
    assert printable("two\nlines") == r'"two\012lines"'
    assert printable('"日"\\') == r'"\"\346\227\245\"\\"'
    assert plain("a\x1b日\n") == r"a\033日\012"


@pytest.mark.parametrize("text", ["a", '"a', 'a"', '"', '"a"b"', r'"\9"', r'"\400"', r'"a\"', r'"\000"', r'"\n"', ""])
def test_what_is_in_no_such_quotes_is_no_name(text: str) -> None:
    assert unquoted(text) is None


def test_names_that_are_bytes_are_told() -> None:
    assert is_unicode("日本")
    assert not is_unicode(os.fsdecode(b"\xe9") if sys.platform not in ("win32", "darwin") else "\udce9")


def test_the_page_quotes_the_same_characters() -> None:
    script = (Path(__file__).parent.parent / "featmatch" / "pages" / "groups.js").read_text()
    ours = (Path(__file__).parent.parent / "featmatch" / "names.py").read_text()
    theirs = "".join(re.findall(r'"([^"]*)"', script.partition("UNFIT = new RegExp(")[2].partition(', "u")')[0]))
    listed = "".join(re.findall(r'"([^"]*)"', ours.partition("re.compile(\n")[2].partition("\n)")[0]))
    as_ours = theirs.replace("\\\\", "\\").replace("\\u{e0000}-\\u{e007f}", "\\U000e0000-\\U000e007f")
    assert as_ours == listed.replace("\\ud800-\\udfff", "")
