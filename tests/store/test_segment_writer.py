from __future__ import annotations

import dataclasses
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from featmatch.errors import StoreError
from featmatch.features.looks import LOOK
from featmatch.store.postings import Postings
from featmatch.store.segment import IMAGE_COLUMNS, MANIFEST
from featmatch.store.segment_writer import SegmentWriter
from tests.store.segments import WORDS, open_again, written


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == sorted(file.name for file in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_a_feature_takes_at_most_18_bytes_in_the_posting_columns(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    postings = open_again(tmp_path / "000001").postings
    columns = [getattr(postings, field.name) for field in dataclasses.fields(Postings)]
    assert sum(column.dtype.itemsize for column in columns) <= 18


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 4, 12])
def test_a_failure_while_writing_leaves_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, call: int
) -> None:
    calls = 0

    def failing(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise failure

    monkeypatch.setattr("featmatch.store.segment_writer.os.fsync", failing)
    with pytest.raises(type(failure)):
        written(tmp_path / "segments" / "000001")
    assert list((tmp_path / "segments").iterdir()) == []


def test_a_failing_rename_leaves_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(old: Path, new: Path) -> None:
        raise OSError("no rename today")

    with monkeypatch.context() as patch:
        patch.setattr("featmatch.store.segment_writer.os.rename", failing)
        with pytest.raises(OSError, match="no rename"):
            written(tmp_path / "segments" / "000001")
    assert list((tmp_path / "segments").iterdir()) == []


def test_an_orphan_of_the_same_number_is_replaced(tmp_path: Path) -> None:
    written(tmp_path / "000001", seed=1, counts=(5,))
    (tmp_path / "000001" / "stray").write_text("left over")
    (tmp_path / "000001.partial").mkdir()
    (tmp_path / "000001.partial" / "half.npy").write_bytes(b"half")
    written(tmp_path / "000001", seed=2, counts=(7, 8))
    assert open_again(tmp_path / "000001").features.tolist() == [7, 8]
    assert os.listdir(tmp_path) == ["000001"]
    assert not (tmp_path / "000001" / "stray").exists()


def test_a_segment_written_in_parts_is_the_same_to_the_byte(tmp_path: Path) -> None:
    images = written(tmp_path / "whole")
    segment = open_again(tmp_path / "whole")
    counts = np.array([len(image.words) for image in images])
    tables = {name: getattr(segment, name) for name in IMAGE_COLUMNS} | {"features": counts}
    with SegmentWriter(tmp_path / "parts", tables, WORDS) as writer:
        for first, last in ((0, 4), (4, 5), (5, WORDS)):
            rows = slice(int(segment.offsets[first]), int(segment.offsets[last]))
            words = np.repeat(np.arange(first, last), np.diff(segment.offsets[first : last + 1].astype(int)))
            part = {field.name: getattr(segment.postings, field.name)[rows] for field in dataclasses.fields(Postings)}
            writer.append(words, Postings(**part))
        for image in images:
            writer.append_picture(image.picture)
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()
    assert writer.manifest_sha256 == hashlib.sha256((tmp_path / "whole" / MANIFEST).read_bytes()).digest()


def test_a_segment_that_lacks_postings_is_not_kept(tmp_path: Path) -> None:
    tables = {name: np.full(1, 5, dtype) for name, dtype in IMAGE_COLUMNS.items() if name != "looks"}
    with (
        pytest.raises(StoreError, match="0 postings were written of 5"),
        SegmentWriter(tmp_path / "000001", tables | {"looks": np.zeros(1, LOOK)}, WORDS),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 4, 6])
def test_a_segment_that_lacks_pictures_or_has_more_is_not_kept(tmp_path: Path, size: int) -> None:
    tables = {name: np.full(1, 5, dtype) for name, dtype in IMAGE_COLUMNS.items() if name != "looks"}
    tables |= {"looks": np.zeros(1, LOOK), "features": np.zeros(1, np.int32)}
    with (
        pytest.raises(StoreError, match=f"{size} bytes of pictures were written of 5"),
        SegmentWriter(tmp_path / "000001", tables, WORDS) as writer,
    ):
        writer.append_picture(np.zeros(size, np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_columns_are_written_as_numpy_writes_them(tmp_path: Path) -> None:
    written(tmp_path / "000001")
    for path in (tmp_path / "000001").glob("*.npy"):
        plain = io.BytesIO()
        np.save(plain, np.load(path))
        assert path.read_bytes() == plain.getvalue()
