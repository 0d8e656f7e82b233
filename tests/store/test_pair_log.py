from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.store.layout import PAIRS
from featmatch.store.pair_log import MAGIC, append_record, is_damaged, read_records

HEAD_BYTES = 8 + 32 + 32


def record(*images: int, **changes: Any) -> dict[str, NDArray[Any]]:
    """A record of some images, the first two of which are a pair."""
    columns: dict[str, NDArray[Any]] = {
        "images": np.array(images, np.int64),
        "digests": np.array(images, np.uint64) + np.uint64(100),
        "between": np.array([images[:2]], np.int64),
        "homography": np.array([[[2, 0, 3], [0, 2, 4], [0, 0, 1]]], np.float64),
        "counts": np.array([[1, 0, 9]], np.int32),
        "evidence": np.array([[9, 1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]),
    }
    return {name: values for name, values in (columns | changes).items() if values is not None}


def read(folder: Path) -> list[list[int]]:
    """The images of each record."""
    return [columns["images"].tolist() for columns in read_records(folder)]


def test_records_come_back_in_order_and_as_they_were(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    assert not is_damaged(tmp_path)
    written = [record(1, 2), record(3, 1, 7)]
    for columns in written:
        append_record(tmp_path, columns)
    assert (tmp_path / PAIRS).read_bytes().startswith(b"featmatch pairs 3\n")
    for found, known in zip(read_records(tmp_path), written, strict=True):
        assert list(found) == list(known)
        for name, values in found.items():
            assert values.dtype == known[name].dtype
            np.testing.assert_array_equal(values, known[name])
    assert not is_damaged(tmp_path)


def test_the_end_of_a_run_that_was_killed_is_no_damage_and_is_overwritten(tmp_path: Path) -> None:
    append_record(tmp_path, record(1, 2))
    first = (tmp_path / PAIRS).read_bytes()
    append_record(tmp_path, record(3, 4))
    whole = (tmp_path / PAIRS).read_bytes()
    ends = (len(first) + 1, len(first) + HEAD_BYTES - 1, len(first) + HEAD_BYTES, len(whole) - 1)
    for end in ends:
        (tmp_path / PAIRS).write_bytes(whole[:end])
        assert read(tmp_path) == [[1, 2]]
        assert not is_damaged(tmp_path)
    append_record(tmp_path, record(3, 4))
    assert (tmp_path / PAIRS).read_bytes() == whole
    append_record(tmp_path, record(5, 6))
    (tmp_path / PAIRS).write_bytes(whole[:-1])  # the end of the third would be left behind, if nothing cut it
    append_record(tmp_path, record(7, 8))
    assert read(tmp_path) == [[1, 2], [7, 8]]
    assert not is_damaged(tmp_path)


@pytest.mark.parametrize("end", [0, 1, len(MAGIC) - 1, len(MAGIC)])
def test_the_beginning_of_a_run_that_was_killed_is_no_damage(tmp_path: Path, end: int) -> None:
    (tmp_path / PAIRS).write_bytes(MAGIC[:end])
    assert read(tmp_path) == []
    assert not is_damaged(tmp_path)
    append_record(tmp_path, record(1, 2))
    assert read(tmp_path) == [[1, 2]]


def test_every_byte_is_covered_by_a_checksum(tmp_path: Path) -> None:
    append_record(tmp_path, record(1, 2))
    first = len((tmp_path / PAIRS).read_bytes())
    append_record(tmp_path, record(3, 4))
    whole = (tmp_path / PAIRS).read_bytes()
    for place in [*range(len(MAGIC) + HEAD_BYTES + 3), *range(first, len(whole), 41), len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 4
        (tmp_path / PAIRS).write_bytes(changed)
        assert is_damaged(tmp_path), place
        assert read(tmp_path) == ([[1, 2]] if place >= first else []), place


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_is_no_damage_and_is_written_anew(tmp_path: Path, version: int) -> None:
    (tmp_path / PAIRS).write_bytes(b"featmatch pairs %d\n" % version + bytes(500))
    assert not is_damaged(tmp_path)
    assert read(tmp_path) == []
    append_record(tmp_path, record(1, 2))
    assert read(tmp_path) == [[1, 2]]
    assert not is_damaged(tmp_path)


@pytest.mark.parametrize("content", [b"featmatch pears 3\n", b"something else, and longer than that"])
def test_another_file_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PAIRS).write_bytes(content)
    assert is_damaged(tmp_path)
    assert read(tmp_path) == []


def shares(place: int, value: float) -> NDArray[np.float64]:
    evidence = np.array(record(1, 2)["evidence"])
    evidence[0, place] = value
    return evidence


def scaled(factor: float) -> NDArray[np.float64]:
    return np.array([np.diag([1.0, 1.0, factor])])


NONSENSE: dict[str, dict[str, Any]] = {
    "of one image": {"between": np.array([[1, 1]])},
    "of one number": {"between": np.array([[1]])},
    "with fewer digests": {"digests": np.array([1], np.uint64)},
    "without homographies": {"homography": None},
    "with fewer homographies": {"homography": np.empty((0, 3, 3))},
    "of another shape": {"homography": np.eye(3).reshape(1, 9)},
    "of another type": {"homography": np.eye(3, dtype=np.float32)[None]},
    "by no number": {"homography": np.full((1, 3, 3), np.nan)},
    "by an endless number": {"homography": np.full((1, 3, 3), np.inf)},
    "by too much": {"homography": np.array([[[1.01e12, 0, 0], [0, 1, 0], [0, 0, 1]]])},
    "by nothing": {"homography": np.zeros((1, 3, 3))},
    "onto a line, but for rounding": {"homography": np.array([[[1e3, 0, 1e12], [0, 1e3, 0], [1e-6, 0, 1e3]]])},
    "onto a line": {"homography": np.array([[[1.0, 0, 0], [0, 0, 0], [0, 0, 1]]])},
    "onto nearly a line": {"homography": np.array([[[1.0, 0, 0], [0, 9e-13, 0], [0, 0, 1]]])},
    "without a last number": {"homography": np.array([[[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]])},
    "with hardly a last number": {"homography": np.array([[[1e3, 0, 0], [0, 1e3, 0], [0, 0, 9e-13]]])},
    "with fewer counts": {"counts": np.empty((0, 3), np.int32)},
    "with negative counts": {"counts": np.array([[0, 0, -1]], np.int32)},
    "mirrored twice": {"counts": np.array([[2, 0, 9]], np.int32)},
    "negative twice": {"counts": np.array([[0, 2, 9]], np.int32)},
    "with less evidence": {"evidence": np.array([[9, 1, 1.0]])},
    "with endless geometry": {"evidence": shares(0, np.inf)},
    "of no evenness": {"evidence": shares(1, np.nan)},
    "of looks that are no number": {"evidence": shares(2, np.nan)},
    "of endless looks": {"evidence": shares(2, np.inf)},
    "of more than all": {"evidence": shares(3, 1.01)},
    "of less than nothing": {"evidence": shares(8, -0.01)},
    "with more columns": {"more": np.zeros(3)},
}


@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE)
def test_a_record_that_cannot_be_is_damage_and_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    append_record(tmp_path, record(1, 2))
    append_record(tmp_path, record(3, 4, **changes))
    append_record(tmp_path, record(5, 6))
    assert is_damaged(tmp_path)
    assert read(tmp_path) == [[1, 2], [5, 6]]


@pytest.mark.parametrize(
    "changes",
    [
        {"homography": scaled(1e12)}, {"homography": scaled(-1e-12)}, {"homography": scaled(-1e12)},
        {"counts": np.array([[0, 1, 0]], np.int32)}, {"evidence": shares(2, -np.inf)}, {"evidence": shares(0, -1e9)},
        {"evidence": shares(3, 0)}, {"evidence": shares(3, 1)}, {"between": np.array([[4, 3]])},
    ],
)  # fmt: skip
def test_a_record_may_be_at_the_bounds(tmp_path: Path, changes: dict[str, Any]) -> None:
    append_record(tmp_path, record(3, 4, **changes))
    assert read(tmp_path) == [[3, 4]]
    assert not is_damaged(tmp_path)


def test_a_record_without_pairs_says_that_none_were_found(tmp_path: Path) -> None:
    none = {name: values[:0] for name, values in record(1, 2).items() if name not in ("images", "digests")}
    append_record(tmp_path, record(1, 2, **none))
    (columns,) = read_records(tmp_path)
    assert (len(columns["images"]), len(columns["between"])) == (2, 0)


def test_a_record_that_says_it_is_long_is_not_read(tmp_path: Path) -> None:
    append_record(tmp_path, record(1, 2))
    head = struct.pack("<Q32s", 1 << 62, bytes(32))
    with (tmp_path / PAIRS).open("ab") as file:
        file.write(head + hashlib.sha256(head).digest() + b"short")
    assert read(tmp_path) == [[1, 2]]
    assert not is_damaged(tmp_path)  # the end of a run that was killed looks the same


def test_nothing_is_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        append_record(tmp_path, record(1, 2, images=np.array([object()])))


def test_a_hard_link_is_not_written_through(tmp_path: Path) -> None:
    append_record(tmp_path, record(1, 2))
    os.link(tmp_path / PAIRS, tmp_path / "other")
    before = (tmp_path / "other").read_bytes()
    append_record(tmp_path, record(3, 4))
    assert read(tmp_path) == [[1, 2], [3, 4]]
    assert (tmp_path / "other").read_bytes() == before
    inode = (tmp_path / PAIRS).stat().st_ino
    append_record(tmp_path, record(5, 6))  # its own file again: appended to, not copied
    assert (tmp_path / PAIRS).stat().st_ino == inode


def test_what_is_no_file_is_an_error_where_it_matters(tmp_path: Path) -> None:
    (tmp_path / PAIRS).mkdir()
    assert read(tmp_path) == []
    with pytest.raises(StoreError, match="cannot write"):
        append_record(tmp_path, record(1, 2))
    with pytest.raises(StoreError, match="cannot read"):
        is_damaged(tmp_path)
