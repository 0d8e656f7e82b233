from __future__ import annotations

import io
import struct

import pytest

from featmatch.images.kinds import SUFFIXES, begins_like_pages, kind_of


def box(*brands: bytes, size: int | None = None) -> bytes:
    """The first box of an ISO file: its major brand, version 0, and the compatible brands."""
    major, *others = brands
    content = b"ftyp" + major + bytes(4) + b"".join(others)
    return struct.pack(">I", size or 4 + len(content)) + content


def tiff(tags: dict[int, int], order: str = "<", behind: bytes = b"", big: bool = False) -> bytes:
    """The head of a TIFF file with a directory of whole numbers."""
    magic = {"<": b"II", ">": b"MM"}[order]
    entries = sorted(tags.items())
    if big:
        head = magic + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
        rows = [struct.pack(f"{order}HHQQ", tag, 16, 1, value) for tag, value in entries]
        return head + struct.pack(f"{order}Q", len(rows)) + b"".join(rows) + bytes(8) + behind
    head = magic + struct.pack(f"{order}HI", 42, 8)
    rows = [struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries]
    return head + struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4) + behind


PLAIN, SENSOR, LINEAR = {256: 9, 262: 1}, {256: 9, 262: 32803}, {256: 9, 262: 34892}
DNG, PREVIEW, THUMBNAIL = {50706: 1}, {254: 1, 330: 99}, {254: 1}

KINDS = [
    (b"%PDF-1.7", "pdf"), (b"\n \t%PDF-1.7", "pdf"), (b"x%PDF-1.7", "pillow"), (b"%PDF", "pillow"),
    (b"FUJIFILMCCD-RAW 0201", "raw"), (b"FOVb", "raw"), (b"IIRO\10", "raw"), (b"\0MRM", "raw"), (b"IIU\0", "raw"),
    (b"IIRS", "raw"), (b"MMOR", "raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "raw"), (b"II\x1a\0\0HEAPCCDR", "pillow"),
    (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw"), (b"\0\0\0\x18ftypcrw ", "pillow"), (b"II*\0\x10\0\0\0CR\2\0", "raw"),
    *((tiff(PLAIN, order, big=big), "tiff") for order in "<>" for big in (False, True)),
    *((tiff(tags, order), "raw") for tags in (SENSOR, LINEAR, DNG, PREVIEW) for order in "<>"),
    *((tiff(tags, big=True), "raw") for tags in (SENSOR, LINEAR, DNG, PREVIEW)),
    (tiff(THUMBNAIL), "tiff"), (tiff({254: 0, 330: 99}), "tiff"), (tiff({254: 2, 330: 99}), "tiff"),
    (tiff({330: 99}), "tiff"), (tiff({254: 3, 330: 99}), "raw"),
    (b"II*\0\xff\xff\xff\xff", "tiff"), (b"II*\0", "tiff"), (b"II+\0", "tiff"), (b"MM\0*", "tiff"),
    (b"II\0*", "pillow"),
    (box(b"avif"), "avif"), (box(b"avis", b"mif1"), "avif"), (box(b"mif1", b"miaf", b"avif"), "avif"),
    (box(b"mif1", b"heic"), "heif"), (box(b"heix"), "heif"), (box(b"msf1"), "heif"), (box(b"abcd", b"hevc"), "heif"),
    (box(b"isom", b"mp42"), "pillow"), (box(b"isom", b"mp42") + b"heic", "pillow"),
    (box(b"isom", *[b"mp42"] * 300, b"heic"), "pillow"), (box(b"isom", b"heic", size=1 << 31), "heif"),
    (b"\xff\xd8\xff\xe0", "pillow"), (b"\x89PNG\r\n\x1a\n", "pillow"), (b"", "pillow"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "kind"), KINDS, ids=range(len(KINDS)))
def test_the_first_bytes_say_who_is_to_read_a_file(content: bytes, kind: str) -> None:
    file = io.BytesIO(content)
    assert kind_of(file) == kind
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("content", "does"),
    [
        (b"%PDF-1.7", True), (b"\n%PDF-", True), (b"II*\0", True), (b"MM\0*", True), (b"II+\0", True), (b"MM\0+", True),
        (b"II\0*", False), (b"\xff\xd8\xff", False), (b"", False), (b" II*\0", False), (b" " * 1024 + b"%PDF-", False),
    ],
)  # fmt: skip
def test_files_that_can_have_pages(content: bytes, does: bool) -> None:
    assert begins_like_pages(io.BytesIO(content)) is does


def test_suffixes_are_those_of_files_of_pictures() -> None:
    assert {".jpg", ".jpeg", ".png", ".heic", ".avif", ".tiff", ".nef", ".dng", ".pdf", ".webp"} <= SUFFIXES
    assert SUFFIXES.isdisjoint({"", ".txt", ".mp4", ".svg", ".zip"})
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)
