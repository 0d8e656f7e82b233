"""Results as Parquet: the columns and rows of the CSV, with types, also where there is no row."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from featmatch.cli.parquet import ParquetFile
from featmatch.errors import FeatmatchError, MissingFeatureError
from tests.cli.conftest import Run


def rows_of(path: Path) -> list[dict[str, Any]]:
    return list(parquet.read_table(path).to_pylist())


def test_queries(run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "found.parquet"
    asked = pictures["crop"], pictures["stranger"], pictures["missing"]
    told = run("query", index, *asked, "--csv", "--jobs", 1, "--parquet", target)
    assert told.out.startswith(",".join(parquet.read_schema(target).names) + "\n")
    found, stranger, missing = rows_of(target)
    assert (found["query"], found["name"]) == (str(pictures["crop"]), str(pictures["chelsea"]))
    assert (found["kind"], found["mirrored"], found["inliers"] > 20, found["probability"] > 0.9) == (
        "crop",
        False,
        True,
        True,
    )
    assert [len(row) for row in found["homography"]] == [3, 3, 3]
    assert (stranger["status"], stranger["name"], stranger["id"]) == ("ok", None, None)
    assert missing["status"] == "not_found"


def test_groups(run: Run, index: Path, tmp_path: Path) -> None:
    target = tmp_path / "groups.parquet"
    run("groups", index, "--jobs", 1, "--parquet", target)
    assert rows_of(target) == []
    assert str(parquet.read_schema(target).field("probability").type) == "double"
    (several := tmp_path / "several.txt").write_text(f"{index}\n")
    told = run("groups", several, "--csv", "--jobs", 1, "--parquet", target)
    assert told.out == ",".join(parquet.read_schema(target).names) + "\n"
    assert parquet.read_schema(target).names[-1] == "index"


def test_names_and_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ParquetFile(tmp_path / "a.parquet", ["name", "id"])
    table.add({"name": os.fsdecode(b"caf\xe9.png"), "more": 3})
    table.add({"name": "日本", "id": 3})
    table.write()
    assert rows_of(tmp_path / "a.parquet") == [{"name": r'"caf\351.png"', "id": None}, {"name": "日本", "id": 3}]
    with pytest.raises(FeatmatchError, match="cannot write"):
        ParquetFile(tmp_path / "none" / "a.parquet", ["name"]).write()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingFeatureError, match="featmatch\\[datasets\\]"):
        ParquetFile(tmp_path / "b.parquet", ["name"])
