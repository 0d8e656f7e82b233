"""INDEX comes first, or in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from featmatch import Index
from tests.cli.conftest import Run


def test_swapped_arguments_are_told(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    for command in (("query", pictures["crop"], index), ("explain", pictures["crop"], "--json", index, "a"),
                    ("add", pictures["collection"], index), ("reject", "a", "b", index)):  # fmt: skip
        ended = run(*command)
        assert (ended.status, ended.out) == (2, "")
        assert f"INDEX comes first: {index} is one, {command[1]} is none" in ended.err
    assert "is no index" in run("query", pictures["crop"], pictures["crop"]).err
    assert "no such option" in run("list", "--nonsense", index).err.lower()


def test_the_environment_may_name_the_index(
    run: Run, index: Path, own_index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = run("list", index).out
    monkeypatch.setenv("FEATMATCH_INDEX", str(index))
    assert run("list").out == names
    assert run("list", "--json", "--match", "coins").lines()[0]["name"] == str(pictures["coins"])
    assert run("query", "--json", pictures["crop"]).status == 0
    assert run("explain", pictures["crop"], pictures["chelsea"]).status == 0
    assert run("list", own_index).out == f"{pictures['chelsea']}\n"  # one that is given comes first
    assert run("query", own_index, pictures["crop"]).status == 0
    assert run("verify", pictures["crop"], pictures["chelsea"]).status == 0  # takes none
    assert run("query").status == 2
    assert run("list", "--help").out.startswith("Usage: featmatch list ")


def test_add_makes_an_index_whatever_the_environment_says(
    run: Run, own_index: Path, vocabulary_file: Path, pictures: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("FEATMATCH_INDEX", str(own_index))
    (tmp_path / "empty.fm").mkdir()
    for name in ("new.fm", "empty.fm"):
        assert run("add", tmp_path / name, pictures["coins"], "--vocabulary", vocabulary_file).status == 0
        assert len(Index.open(tmp_path / name)) == 1
    assert len(Index.open(own_index)) == 1
    assert run("add", pictures["coins"]).status == 0
    assert run("add", pictures["collection"]).status == 0
    assert len(Index.open(own_index)) == 3
    assert run("add", tmp_path / "missing.jpg").status == 2
    assert not (tmp_path / "missing.jpg").exists()
