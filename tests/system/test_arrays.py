from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.system import arrays
from featmatch.system.arrays import read_archive, read_column
from tools.forging import header, many_members

WANTED = {"a": ("<i4", 1), "b": ("u1", 2)}
A, B = np.arange(5, dtype=np.int32), np.arange(6, dtype=np.uint8).reshape(2, 3)


def npz(**members: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **members)
    return file.getvalue()


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_an_archive_comes_back_as_it_was() -> None:
    found = read_archive(npz(a=A, b=B), WANTED)
    assert list(found) == ["a", "b"]
    assert np.array_equal(found["a"], A)
    assert np.array_equal(found["b"], B)
    assert found["b"].flags.writeable
    assert read_archive(npz(b=B), WANTED, frozenset("a")).keys() == {"b"}
    assert len(read_archive(npz(a=A[:0], b=B), WANTED)["a"]) == 0


@pytest.mark.parametrize(
    "content",
    [
        npz(a=A),
        npz(a=A, b=B, c=A),
        npz(a=A.astype(np.int64), b=B),
        npz(a=A.astype(">i4"), b=B),
        npz(a=A.reshape(5, 1), b=B),
        npz(a=np.int32(5), b=B),
        npz(a=A, b=np.asfortranarray(B)),
        zipped({"a.npy": npy(A), "b.npy": npy(B)}, zipfile.ZIP_DEFLATED),
        zipped({"a.npy": npy(A) + b"more", "b.npy": npy(B)}),
        zipped({"a.npy": npy(A)[:-1], "b.npy": npy(B)}),
        zipped({"a.npy": header("(1 << 40,)", "'<i4'"), "b.npy": npy(B)}),
        zipped({"a.npy": header(f"({1 << 40},)", "'<i4'") + bytes(9), "b.npy": npy(B)}),
        zipped({"a.npy": header("(-1,)", "'<i4'"), "b.npy": npy(B)}),
        zipped({"a.npy": header("(" * 5000 + ")" * 5000), "b.npy": npy(B)}),
        zipped({"a.npy": npy(np.array([{}], object)), "b.npy": npy(B)}),
        zipped({"a.npy": b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31), "b.npy": npy(B)}),
        zipped({"a.npy": b"", "b.npy": npy(B)}),
        npz(a=A, b=B)[:-1],
        npz(a=A, b=B) + b"comment",
        b"",
        b"PK\5\6" + bytes(18),
        many_members(1000),
        b"PK\6\6" + bytes(52) + b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(18),
    ],
    ids=range(23),
)
def test_another_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_archive(content, WANTED)


def test_nothing_is_allocated_for_what_is_not_there() -> None:
    deflated = zipped(
        {"a.npy": header(f"({1 << 24},)", "'<i4'") + bytes(1 << 26), "b.npy": npy(B)}, zipfile.ZIP_DEFLATED
    )
    claims = zipped({"a.npy": header(f"({1 << 26},)", "'<i4'"), "b.npy": npy(B)})
    many = many_members(100_000)
    tracemalloc.start()
    try:
        for content in (deflated, claims, many):
            with pytest.raises(ValueError, match=r"."):
                read_archive(content, WANTED)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mapped_from", [0, 1 << 20])
@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_column_comes_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, mapped_from: int
) -> None:
    monkeypatch.setattr(arrays, "MAPPED_BYTES", mapped_from)
    column = np.arange(length, dtype=np.uint16)
    np.save(tmp_path / "x.npy", column)
    with (tmp_path / "x.npy").open("rb") as file:
        found = read_column(file, column.dtype)
    assert type(found) is np.ndarray
    assert np.array_equal(found, column)


@pytest.mark.parametrize("mapped_from", [0, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [npy(A.astype(np.int64)), npy(A)[:-1], npy(A) + b"0", header(f"({1 << 60},)", "'<i4'"), npy(B), b"", b"\x93NUMPY"],
    ids=range(7),
)
def test_another_column_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, mapped_from: int
) -> None:
    monkeypatch.setattr(arrays, "MAPPED_BYTES", mapped_from)
    (tmp_path / "x.npy").write_bytes(content)
    with (tmp_path / "x.npy").open("rb") as file, pytest.raises(ValueError, match=r"."):
        read_column(file, A.dtype)
