"""Pictures in tables: which columns and rows, and what damage costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from featmatch import ImageError, MissingFeatureError
from featmatch.images.decoding import USUAL
from featmatch.images.tables import pictures_in_table, table_files

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.usefixtures("decoded_here")

ROWS = [{"bytes": b"one", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, {"bytes": b"three", "path": None}, None]


def written(path: Path, table: Any, rows: int = 3) -> str:
    """A table in the form that its name says, in parts of some rows."""
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=rows)
    else:
        make = pa.ipc.new_file if path.name.startswith("file") else pa.ipc.new_stream
        with make(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=rows)
    return str(path)


def told(path: str) -> list[tuple[str, object]]:
    found = pictures_in_table(path, USUAL)
    return [(name.removeprefix(path), one.status if isinstance(one, ImageError) else one) for name, one in found]


@pytest.mark.parametrize("name", ["a b.parquet", "日本.PARQUET", "stream.arrow", "file.arrow"])
def test_each_row_is_a_picture(name: str, tmp_path: Path) -> None:
    table = pa.table({"label": [1, 2, 3, 4], "picture": ROWS})
    path = written(tmp_path / name, table) if name != "日本.PARQUET" else written(tmp_path / "x.parquet", table)
    if name == "日本.PARQUET":
        path = str(Path(path).rename(tmp_path / name))
    assert told(path) == [("#row=0", b"one"), ("#row=1", "not_found"), ("#row=2", b"three"), ("#row=3", "not_found")]


@pytest.mark.parametrize("name", ["x.parquet", "stream.arrow", "file.arrow"])
def test_columns_that_hold_pictures_are_named_where_there_are_several(name: str, tmp_path: Path) -> None:
    table = pa.table(
        {"Image": [b"1", b"2"], "vector": [b"x", b"y"], "mask": [ROWS[0], ROWS[2]], "png": ["no", "bytes"]}
    )
    assert told(written(tmp_path / name, table, rows=1)) == [
        ("#row=0,Image", b"1"), ("#row=0,mask", b"one"), ("#row=1,Image", b"2"), ("#row=1,mask", b"three"),
    ]  # fmt: skip
    assert told(written(tmp_path / name, pa.table({"vector": [b"x"]}))) == []
    assert told(written(tmp_path / name, table.slice(0, 0))) == []


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_what_is_no_table_costs_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"this is no table")
    assert told(str(tmp_path / name)) == [("", "decode_failed")]


def test_a_table_that_is_cut_short_gives_what_comes_before(tmp_path: Path) -> None:
    path = written(tmp_path / "stream.arrow", pa.table({"image": [b"x" * 5000] * 6}), rows=2)
    Path(path).write_bytes(Path(path).read_bytes()[:-8000])
    found = told(path)
    assert (found[0][0], found[-1]) == ("#row=0", ("", "decode_failed"))


def test_folders_of_tables_and_no_images(tmp_path: Path) -> None:
    for name in ("b/data-0.arrow", "a/x.parquet", "state.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert table_files(str(tmp_path)) == [str(tmp_path / name) for name in ("a/x.parquet", "b/data-0.arrow")]
    assert table_files(str(tmp_path / "a" / "x.parquet")) == [str(tmp_path / "a" / "x.parquet")]
    assert table_files(str(tmp_path / "state.json")) == table_files(str(tmp_path / "no.parquet")) == []
    (tmp_path / "a" / "photo.jpg").touch()
    assert table_files(str(tmp_path)) == []  # it is a folder of images


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingFeatureError, match=r"featmatch\[datasets\]"):
        list(pictures_in_table("a.parquet", USUAL))
