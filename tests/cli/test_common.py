from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import click
import numpy as np
import pytest
from PIL import Image

from featmatch import Index
from featmatch.cli import cli, common
from featmatch.cli.common import PathArgument, complain_of_files, name_meant, save, tell, wanted_features, write
from featmatch.errors import FeatmatchError
from featmatch.features import detectors, extraction
from featmatch.images import formats
from featmatch.images.decoding import DecodingOptions
from featmatch.names import quoted, unquoted
from tests.cli.conftest import Run

ODD_NAMES = ("with space.png", 'it\'s "quoted".png', "two\nlines.png", "日本の写真.png", "-dash, comma.png")


def test_odd_names_go_in_and_come_out(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd names"
    folder.mkdir()
    paths = [folder / name for name in ODD_NAMES]
    for path in paths:
        path.write_bytes(pictures["chelsea"].read_bytes())
    target = tmp_path / "index 日本"
    assert run("add", target, folder, "--vocabulary", vocabulary_file, "--jobs", "1").status == 0
    listed = run("list", target)
    assert len(listed.out.splitlines()) == len(ODD_NAMES)
    assert str(folder / "日本の写真.png") in listed.out.splitlines()
    assert {line["name"] for line in run("list", target, "--json").lines()} == {str(path) for path in paths}
    lines = run("query", target, *paths, "--json").lines()
    assert [line["query"] for line in lines] == [str(path) for path in paths]
    assert all({match["name"] for match in line["matches"]} == {str(path) for path in paths} for line in lines)
    rows = list(csv.DictReader(io.StringIO(run("query", target, paths[2], "--csv").out, newline="")))
    assert {row["query"] for row in rows} == {quoted(str(paths[2]))}
    assert {unquoted(row["name"]) or row["name"] for row in rows} == {str(path) for path in paths}
    assert len(run("query", target, paths[2]).out.splitlines()) == 2 + len(ODD_NAMES)
    drawn = run("query", target, *paths[2:4], "--limit", "1", "--draw", tmp_path / "drawn")
    assert drawn.status == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 2
    assert run("remove", target, *paths).status == 0


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_names_that_are_no_utf_8_go_in_and_come_out(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(pictures["coins"].read_bytes())

    assert run("add", own_index, os.fsdecode(path)).status == 0
    printed = b'"' + os.fsencode(tmp_path) + b'/caf\\351.png"'
    named = printed.decode()
    assert named in run("list", own_index).out.splitlines()
    program = [os.fsencode(sys.executable), b"-m", b"featmatch", b"query", os.fsencode(own_index), path, b"--json"]
    queried = subprocess.run(program, capture_output=True, check=True)
    for said in (queried.stdout, run("query", own_index, named, "--json").out):
        found = json.loads(said)
        assert os.fsencode(found["query"]) == os.fsencode(found["matches"][0]["name"]) == path
        assert found["query_quoted"] == found["matches"][0]["name_quoted"] == named
    rows = list(csv.DictReader(io.StringIO(run("query", own_index, named, "--csv").out)))
    assert [row["name"] for row in rows] == [named]
    assert run("verify", named, os.fsdecode(path)).status == 0
    assert run("explain", own_index, named, named).status == 0
    for command in ("reject", "accept"):
        assert run(command, own_index, named, pictures["chelsea"]).status == 0
        assert run(command, own_index, named, pictures["chelsea"], "--clear").status == 0
    assert run("add", own_index, named).err == "added 0, skipped 1, failed 0\n"
    assert run("remove", own_index, named).err == "removed 1\n"


def test_a_name_in_the_index_goes_before_what_it_may_mean_in_quotes(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    literal, plain = Path('"a.png"'), Path("a.png")
    literal.write_bytes(pictures["coins"].read_bytes())
    plain.write_bytes(pictures["astronaut"].read_bytes())
    assert "added 2" in run("add", own_index, literal, plain).err
    assert run("list", own_index).out.splitlines()[1:] == [quoted(str(literal)), "a.png"]
    assert run("query", own_index, literal, "--json").lines()[0]["matches"][0]["name"] == str(literal)
    literal.unlink()
    assert run("remove", own_index, literal).status == 0
    assert run("list", own_index).out.splitlines()[1:] == ["a.png"]
    assert run("query", own_index, literal, "--json").lines()[0]["query"] == "a.png"  # now it can only mean this


class Catalogue:
    """Stands in for an index that has some names."""

    def __init__(self, *names: str) -> None:
        self.snapshot = self.catalog = self
        self.names = names
        self.trust_problem: str | None = None

    def content_named(self, name: str) -> str | None:
        return name if name in self.names else None


def index_of(*names: str) -> Index:
    return cast(Index, Catalogue(*names))


def test_a_name_is_meant_as_it_is_where_it_is_known_else_without_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert name_meant(index_of(), "plain.png") == "plain.png"
    assert name_meant(index_of(), '"caf\\351.png"') == os.fsdecode(b"caf\xe9.png")
    assert name_meant(index_of('"a.png"'), '"a.png"') == '"a.png"'
    assert name_meant(index_of(), '"a.png"') == "a.png"
    Path('"a.png"').touch()
    assert name_meant(index_of(), '"a.png"') == '"a.png"'


def test_a_path_is_meant_likewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert PathArgument().convert('"a.png"', None, None) == "a.png"
    assert PathArgument(path_type=Path).convert('"a.png"', None, None) == Path("a.png")
    Path('"a.png"').symlink_to("nowhere")
    assert PathArgument().convert('"a.png"', None, None) == '"a.png"'
    assert PathArgument().convert(Path('"b.png"'), None, None) == Path('"b.png"')


def options_called(name: str) -> list[click.Parameter]:
    return [option for command in cli.commands.values() for option in command.params if option.name == name]


def test_options_are_those_of_the_engine() -> None:
    assert detectors.DETECTORS == common.DETECTORS
    assert extraction.SPEEDS == common.SPEEDS
    assert {option.default for option in options_called("max_pixels")} == {formats.MAX_PIXELS}
    assert {option.default for option in options_called("timeout")} == {DecodingOptions().timeout}
    assert {option.default for option in options_called("jobs")} == {-1}


@pytest.mark.parametrize(("name", "wrong"), [("timeout", ("0", "-1", "x")), ("max_pixels", ("0", "-1", "0.5"))])
def test_options_out_of_range_are_misuse(name: str, wrong: tuple[str, ...]) -> None:
    option = options_called(name)[0]
    assert option.type.convert("1", option, None) == 1
    for value in wrong:
        with pytest.raises(click.BadParameter):
            option.type.convert(value, option, None)


@pytest.mark.parametrize("features", [None, "orb"])
def test_features_are_asked_for_by_name_and_speed(features: str | None) -> None:
    assert wanted_features(features, None) == features
    assert wanted_features(features, "fast") == extraction.FeatureOptions.of(features or "sift", "fast")


def test_problems_with_files_are_told_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    index = Catalogue()
    complain_of_files(cast(Index, index))
    assert capsys.readouterr() == ("", "")
    complain_of_files(cast(Index, index), 1, "it is not shown")
    said = capsys.readouterr().err
    assert said.startswith("featmatch: the files of 1 image are not at hand")
    assert "so it is not shown; " in said
    index.trust_problem = "the record is damaged"
    complain_of_files(cast(Index, index), 2, "they are not shown")
    first, second = capsys.readouterr().err.splitlines()
    assert "of 2 images are" in first
    assert second == "featmatch: the record is damaged"


def test_what_cannot_be_said_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("sys.stderr", Closed())
    tell("done")


def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    write(tmp_path / "a.txt", "\udce9 é")
    assert (tmp_path / "a.txt").read_bytes() == "? é".encode()
    save(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.size == (4, 4)
    no = tmp_path / "no" / "a.png"
    failures: list[tuple[Callable[[], None], Path, str]] = [
        (lambda: write(no, ""), no, "No such file or directory"),
        (lambda: save(picture, no), no, "No such file or directory"),
        (lambda: save(picture, tmp_path / "a.nonsense"), tmp_path / "a.nonsense", "unknown file extension: .nonsense"),
    ]
    for writes, target, why in failures:
        with pytest.raises(FeatmatchError) as error:
            writes()
        assert str(error.value) == f"cannot write {target}: {why}"
