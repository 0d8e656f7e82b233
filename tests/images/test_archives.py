"""Archives: which pictures they have, and what is refused."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from featmatch import ImageError
from featmatch.images import archives
from featmatch.images.archives import is_archive, list_archive, read_member

Make = Callable[[Path, dict[str, bytes]], str]


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> str:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def tarred(path: Path, members: dict[str, bytes]) -> str:
    path = path.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return str(path)


BOTH = pytest.mark.parametrize("make", [zipped, tarred])


@BOTH
def test_pictures_are_listed_and_read(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"a.JPG": b"one", "deep/er/b.png": b"other", "notes.txt": b"", "日.png": b"3"})
    listing = list_archive(path)
    assert (listing.sizes, listing.refused, listing.damaged) == (
        {"a.JPG": 3, "deep/er/b.png": 5, "日.png": 1},
        {},
        None,
    )
    assert [read_member(path, name) for name in listing.sizes] == [b"one", b"other", b"3"]
    with pytest.raises(ImageError, match="no such picture"):
        read_member(path, "notes.txt")


@BOTH
def test_names_that_lead_out_are_refused(make: Make, tmp_path: Path) -> None:
    names = ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "..\\a.jpg", "C:/a.jpg", "\\a.jpg"]
    path = make(tmp_path / "a", {**dict.fromkeys(names, b"x"), "a..b/..c.jpg": b"x"})
    listing = list_archive(path)
    assert list(listing.sizes) == ["a..b/..c.jpg"]
    assert len(listing.refused) == len(names)
    assert {error.message for error in listing.refused.values()} == {"its name leads out of the archive"}
    with pytest.raises(ImageError, match="no such picture"):
        read_member(path, "../a.jpg")


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    listing = list_archive(str(path))
    assert (listing.sizes, set(listing.refused)) == ({}, {"soft.jpg", "hard.jpg"})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as other:
        info = zipfile.ZipInfo("soft.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        other.writestr(info, "/etc/passwd")
        other.writestr(zipfile.ZipInfo("folder.jpg/"), b"")
    (refused,) = list_archive(str(tmp_path / "a.zip")).refused.values()
    assert refused.message == "a link in an archive is not followed"


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 1000)
    monkeypatch.setattr(archives, "MOST_BYTES", 300_000)
    members = {"a.jpg": bytes(500), "b.jpg": bytes(200_000), "c.jpg": bytes(400_000)}
    listing = list_archive(zipped(tmp_path / "a", members, zipfile.ZIP_DEFLATED))
    assert list(listing.sizes) == ["a.jpg"]
    assert {error.status for error in listing.refused.values()} == {"too_large"}
    assert list(list_archive(zipped(tmp_path / "b", members)).sizes) == ["a.jpg", "b.jpg"]


def test_a_member_is_not_larger_than_it_says(tmp_path: Path) -> None:
    path = Path(zipped(tmp_path / "a", {"a.jpg": bytes(5000)}, zipfile.ZIP_DEFLATED))
    content = path.read_bytes().replace(struct.pack("<I", 5000), struct.pack("<I", 50))
    path.write_bytes(content)
    assert list_archive(str(path)).sizes == {"a.jpg": 50}
    with pytest.raises(ImageError, match="archive"):
        read_member(str(path), "a.jpg")


def test_a_damaged_member_costs_itself(tmp_path: Path) -> None:
    path = Path(zipped(tmp_path / "a", {"a.jpg": b"first" * 9, "b.jpg": b"other" * 9}))
    path.write_bytes(path.read_bytes().replace(b"firstfirst", b"fristfirst", 1))
    assert len(list_archive(str(path)).sizes) == 2
    with pytest.raises(ImageError, match="damaged in the archive") as raised:
        read_member(str(path), "a.jpg")
    assert raised.value.status == "decode_failed"
    assert read_member(str(path), "b.jpg") == b"other" * 9


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = Path(zipped(tmp_path / "a", {"a.jpg": b"secret"}))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    (refused,) = list_archive(str(path)).refused.values()
    assert refused.message == "encrypted"


@BOTH
def test_an_archive_that_is_cut_short(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a", {f"{number}.jpg": os.urandom(3000) for number in range(4)})
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:7000])
    if make is zipped:
        with pytest.raises(ImageError, match="no archive, or damaged"):
            list_archive(path)
        return
    listing = list_archive(path)
    assert len(listing.sizes) in (1, 2)
    assert listing.damaged is not None
    assert read_member(path, "0.jpg")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4" + bytes(100), bytes(1024), b"PK\5\6" + bytes(17)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    try:
        assert list_archive(str(path)).sizes == {}
    except ImageError as error:
        assert error.status == "decode_failed"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for call in (lambda: list_archive(str(tmp_path / "a.zip")), lambda: read_member(str(tmp_path / "a.zip"), "a")):
        with pytest.raises(ImageError) as raised:
            call()
        assert raised.value.status == "not_found"
    assert not is_archive("a.zip.txt")


def test_of_two_members_of_one_name_the_last_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for content in (b"first", b"second"):
            entry = tarfile.TarInfo("a.jpg")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    assert list_archive(str(path)).sizes == {"a.jpg": 6}
    assert read_member(str(path), "a.jpg") == b"second"


def test_too_many_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = zipped(tmp_path / "a", {f"{number}.jpg": b"x" for number in range(3)})
    with pytest.raises(ImageError, match="more than 2 pictures"):
        list_archive(path)


@BOTH
def test_an_archive_in_an_archive_is_refused_and_the_rest_is_read(make: Callable[..., str], tmp_path: Path) -> None:
    inner = Path(zipped(tmp_path / "inner", {"x.jpg": b"inner"})).read_bytes()
    path = make(tmp_path / "a", {"a.jpg": b"one", "deep/b.zip": inner, "c.TAR": b""})
    listing = list_archive(path)
    assert list(listing.sizes) == ["a.jpg"]
    assert {name: error.message for name, error in listing.refused.items()} == dict.fromkeys(
        ["deep/b.zip", "c.TAR"], "an archive in an archive is not opened: unpack it"
    )
    for name in ("deep/b.zip", "deep/b.zip#member=x.jpg"):
        with pytest.raises(ImageError, match="not opened: unpack it"):
            read_member(path, name)
