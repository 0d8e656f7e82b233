from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

import pytest

from featmatch.errors import UsageError
from featmatch.names import (
    absolute,
    is_below,
    is_unicode,
    name_below,
    page_name,
    page_of,
    plain,
    printable,
    quoted,
    split_page,
    unquoted,
)
from featmatch.store.places import Naming

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
    assert not is_unicode("日本\udce9")
    assert not is_unicode(os.fsdecode(b"\xe9") if sys.platform not in ("win32", "darwin") else "\udce9")


def test_the_page_quotes_the_same_characters() -> None:
    script = (Path(__file__).parent.parent / "featmatch" / "web" / "page" / "names.js").read_text()
    ours = (Path(__file__).parent.parent / "featmatch" / "names.py").read_text()
    theirs = "".join(re.findall(r'"([^"]*)"', script.partition("UNFIT = new RegExp(")[2].partition(', "u")')[0]))
    listed = "".join(re.findall(r'"([^"]*)"', ours.partition("re.compile(\n")[2].partition("\n)")[0]))
    as_ours = theirs.replace("\\\\", "\\").replace("\\u{e0000}-\\u{e007f}", "\\U000e0000-\\U000e007f")
    assert as_ours == listed


# Paths


@pytest.mark.parametrize(
    ("root", "path", "name"),
    [("a", "a/b.jpg", "b.jpg"), ("/x", "/x/y/z.jpg", "y/z.jpg"), ("a", "a", ".")],
)
def test_a_name_leads_back_to_its_path(root: str, path: str, name: str) -> None:
    assert name_below(root, path) == name
    assert Naming(root, is_root=True).path_of(name) == path


@pytest.mark.parametrize("path", ["..", "b.jpg", "../a2/b.jpg", "/elsewhere"])
def test_a_path_outside_the_root_has_no_name(path: str) -> None:
    with pytest.raises(UsageError):
        name_below("a", path)


@pytest.mark.parametrize(
    ("top", "name", "below"),
    [
        ("a", "a/b", True), ("a", "a", True), ("a", "ab", False), ("a/b", "a", False), ("/", "/x", True),
        ("/a", "/a/b", True), ("/a", "/ab", False), ("a", "/a/b", False),
        (".", "x/y", True), (".", "../x", False), (".", "/x", False), (".", "..x", True), ("..", "../x", True),
    ],
)  # fmt: skip
def test_below_is_by_whole_parts_of_a_path(top: str, name: str, below: bool) -> None:
    assert is_below(top, name) is below


def test_a_path_is_from_the_top_and_normalised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b//c") == str(tmp_path / "b" / "c")
    os.symlink("elsewhere", "link")
    assert absolute("link") == str(tmp_path / "link")


def test_a_relative_path_needs_a_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert absolute("/a") == "/a"
    for root, path in (("/x", "a"), ("x", "/a"), ("x", "a")):
        with pytest.raises(UsageError, match="relative path, and the working directory is no more"):
            name_below(root, path)
    with pytest.raises(UsageError, match="a is a relative path"):
        absolute("a")


def test_another_drive_is_not_below_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def relpath(path: str, start: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    with pytest.raises(UsageError, match="/a/b is not below the root /a"):
        name_below("/a", "/a/b")


# Pages


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("a.pdf#page=1", ("a.pdf", 1)), ("a.pdf#page=123456789", ("a.pdf", 123_456_789)), ("a\nb#page=2", ("a\nb", 2)),
        ("a#page=1#page=2", ("a#page=1", 2)), ("a.pdf", None), ("a.pdf#page=0", None), ("a.pdf#page=01", None),
        ("a.pdf#page=1234567890", None), ("#page=1", None), ("a.pdf#page=1.png", None), ("a.pdf#page=", None),
    ],
)  # fmt: skip
def test_a_page_is_told_by_the_end_of_a_name(name: str, page: tuple[str, int] | None) -> None:
    assert page_of(name) == page
    assert split_page(name) == (page or (name, None))
    if page:
        assert page_name(*page) == name


def test_a_file_of_that_very_name_is_a_file(tmp_path: Path) -> None:
    path = page_name(str(tmp_path / "a.pdf"), 2)
    assert split_page(path) == (str(tmp_path / "a.pdf"), 2)
    Path(path).touch()
    assert split_page(path) == (path, None)
