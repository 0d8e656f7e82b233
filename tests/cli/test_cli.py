from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

import featmatch
from featmatch import Index, Vocabulary
from featmatch.cli import main
from featmatch.names import quoted, unquoted

Photos = dict[str, NDArray[np.uint8]]

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "verdict",
    "damaged",
}  # fmt: skip
RELATION_KEYS = {"kind", "rotation_deg", "scale", "mirrored", "negative"}
ODD_NAMES = ("with space.png", 'it\'s "quoted".png', "two\nlines.png", "日本の写真.png", "-dash, comma.png")


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # main would set it for good

    def run_main(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["featmatch", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return run_main


@pytest.fixture(scope="session")
def pictures(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small files: three photos, a crop of one of them, another photo, a blank picture, a text."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {}

    def save(name: str, picture: Image.Image, below: str = "") -> None:
        files[name] = folder / below / f"{name}.png"
        files[name].parent.mkdir(exist_ok=True)
        picture.save(files[name])

    small = {name: Image.fromarray(pixels) for name, pixels in photos.items()}
    for picture in small.values():
        picture.thumbnail((320, 320))
    for name in ("astronaut", "chelsea", "coins"):
        save(name, small[name], "collection")
    save("crop", small["chelsea"].crop((40, 20, 240, 180)).rotate(90, expand=True))
    save("stranger", small["rocket"])
    save("blank", Image.new("RGB", (200, 150), (10, 90, 30)))
    files["text"] = folder / "text.jpg"
    files["text"].write_text("this is no image")
    files["missing"] = folder / "missing.jpg"
    files["collection"] = folder / "collection"
    return files


@pytest.fixture(scope="session")
def index(pictures: dict[str, Path], vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the collection. Not to be written to."""
    folder = tmp_path_factory.mktemp("cli") / "photos.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add([pictures["collection"]], jobs=1)
    return folder


@pytest.fixture
def own_index(pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path) -> Path:
    """An index of one photo, to write to."""
    folder = tmp_path / "own.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add([pictures["chelsea"]], jobs=1)
    return folder


# The whole


def test_help_names_all_commands(run: Run) -> None:
    for option in ("--help", "-h"):
        helped = run(option)
        assert helped.status == 0
        for command in ("add", "query", "verify", "remove", "list", "info", "compact", "check", "train"):
            assert f"\n  {command} " in helped.out


@pytest.mark.parametrize("command", ["add", "query", "verify", "remove", "list", "info", "compact", "check", "train"])
def test_each_command_explains_itself(run: Run, command: str) -> None:
    helped = run(command, "--help")
    assert helped.status == 0
    assert "Usage: featmatch" in helped.out


def test_the_version_is_told(run: Run) -> None:
    assert featmatch.__version__ in run("--version").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["query"], ["add", "x.fm"], ["verify", "a.jpg"], ["query", "x.fm", "a.jpg", "--no-such-option"],
        ["query", "x.fm", "a.jpg", "--limit", "0"], ["query", "x.fm", "a.jpg", "--json", "--csv"],
        ["add", "x.fm", "a.jpg", "--features", "psychic"],
    ],
)  # fmt: skip
def test_misuse_is_an_error_and_does_nothing(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err
    assert list(tmp_path.iterdir()) == []


def test_importing_featmatch_loads_nothing_heavy() -> None:
    code = "import featmatch, sys; print(sorted({'cv2', 'numba', 'scipy'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_python_m_featmatch_is_the_same(index: Path, pictures: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "featmatch", "query", str(index)]
    for image, status in (("crop", 0), ("missing", 2)):
        ended = subprocess.run([*command, str(pictures[image]), "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == status
        assert len(ended.stdout.splitlines()) == 1
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [["query", "crop"], ["list"], ["info"], ["remove", "crop"], ["compact"], ["check"]])
def test_what_is_no_index_is_an_error(run: Run, command: list[str], pictures: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("dear diary")
    for folder in (tmp_path / "nowhere", tmp_path / "other", pictures["text"]):
        ended = run(command[0], folder, *(pictures[name] for name in command[1:]))
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")
        assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


# add


def test_add_makes_an_index_and_skips_what_is_there(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new.fm"
    first = run(
        "add", target, pictures["collection"], "--vocabulary", vocabulary_file, "--jobs", "1", "--text", "hello"
    )
    assert (first.status, first.out) == (0, "")
    assert "added 3, skipped 0, failed 0" in first.err
    again = run("add", target, pictures["collection"], "--jobs", "1")
    assert (again.status, again.out) == (0, "")
    assert "added 0, skipped 3, failed 0" in again.err
    assert [record.text for record in Index.open(target).images()] == ["hello"] * 3


def test_add_reports_unreadable_images_and_goes_on(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    ended = run("add", own_index, pictures["text"], pictures["missing"], pictures["blank"], pictures["coins"])
    assert (ended.status, ended.out) == (2, "")
    for name, status in (("text", "decode_failed"), ("missing", "not_found"), ("blank", "too_little_detail")):
        assert any(str(pictures[name]) in line and status in line for line in ended.err.splitlines())
    assert "added 1, skipped 0, failed 3" in ended.err
    assert len(Index.open(own_index)) == 2


def test_add_is_content_with_a_folder_that_holds_a_bad_image_too(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "bad.jpg").write_text("no image")
    (tmp_path / "mixed" / "good.png").write_bytes(pictures["coins"].read_bytes())
    ended = run("add", own_index, tmp_path / "mixed")
    assert ended.status == 0
    assert "bad.jpg: decode_failed" in ended.err


def test_add_refuses_another_vocabulary_or_other_features(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    assert run("add", own_index, pictures["coins"], "--features", "orb").status == 2
    assert run("add", own_index, pictures["coins"], "--vocabulary", pictures["text"]).status == 2
    assert run("add", tmp_path / "fresh.fm", pictures["coins"], "--vocabulary", pictures["missing"]).status == 2
    assert not (tmp_path / "fresh.fm").exists()
    assert len(Index.open(own_index)) == 1


def test_add_prunes_what_vanished(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("coins", "astronaut"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(pictures[name].read_bytes())
    assert run("add", own_index, tmp_path / "photos", "--jobs", "1").status == 0
    (tmp_path / "photos" / "coins.png").unlink()
    assert "added 0, skipped 1, failed 0\n" in run("add", own_index, tmp_path / "photos", "--jobs", "1").err
    ended = run("add", own_index, tmp_path / "photos", "--jobs", "1", "--prune")
    assert ended.status == 0
    assert f"{tmp_path / 'photos' / 'coins.png'}: vanished" in ended.err
    assert "added 0, skipped 1, failed 0, vanished 1" in ended.err
    assert len(Index.open(own_index)) == 2


def test_a_collection_with_a_root_can_be_moved(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    index, photos, moved = tmp_path / "index", tmp_path / "photos", tmp_path / "moved"
    photos.mkdir()
    (photos / "cat.png").write_bytes(pictures["chelsea"].read_bytes())
    added = run("add", index, photos, "--root", photos, "--vocabulary", vocabulary_file, "--jobs", "1")
    assert added.status == 0
    assert run("list", index).out == "cat.png\n"
    photos.rename(moved)
    lost = run("query", index, pictures["crop"], "--draw", tmp_path / "drawn")
    assert "cannot draw cat.png" in lost.err
    found = run("query", index, pictures["crop"], "--draw", tmp_path / "drawn", "--root", moved, "--json")
    assert [match["name"] for match in found.lines()[0]["matches"]] == ["cat.png"]
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    assert run("add", index, moved, "--jobs", "1").status == 2  # not below the root that it knows
    assert "skipped 1" in run("add", index, moved, "--root", moved, "--jobs", "1").err
    assert str(moved) in run("info", index).out
    assert run("query", index, pictures["crop"], "--draw", tmp_path / "drawn").err.startswith("drawn: ")


# query


def test_query_prints_a_table_and_says_what_was_found(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], pictures["stranger"], pictures["blank"])
    assert ended.status == 0
    assert str(pictures["chelsea"]) in ended.out
    assert f"{pictures['stranger']}: nothing found" in ended.out
    assert f"{pictures['blank']}: too_little_detail" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_query_exits_as_grep_does(run: Run, index: Path, pictures: dict[str, Path], form: list[str]) -> None:
    assert run("query", index, pictures["crop"], *form).status == 0
    assert run("query", index, pictures["stranger"], *form).status == 1
    assert run("query", index, pictures["blank"], *form).status == 1
    assert run("query", index, pictures["missing"], *form).status == 2
    assert run("query", index, pictures["stranger"], pictures["crop"], *form).status == 0
    assert run("query", index, pictures["text"], pictures["crop"], *form).status == 2


def test_query_json_is_one_object_a_line_as_promised(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = ("crop", "missing", "text", "blank", "stranger")
    ended = run("query", index, *(pictures[name] for name in names), "--json")
    lines = ended.lines()
    assert [line["query"] for line in lines] == [str(pictures[name]) for name in names]
    assert [line["status"] for line in lines] == ["ok", "not_found", "decode_failed", "too_little_detail", "ok"]
    assert all(set(line) == {"query", "status", "damaged", "matches"} for line in lines)
    assert [len(line["matches"]) for line in lines] == [1, 0, 0, 0, 0]
    match = lines[0]["matches"][0]
    assert set(match) == MATCH_KEYS
    assert set(match["relation"]) == RELATION_KEYS
    assert match["name"] == str(pictures["chelsea"])
    assert match["probability"] > 0.5
    assert match["relation"]["kind"] == "crop"
    assert abs(match["relation"]["rotation_deg"] - 90) < 2
    np.testing.assert_allclose(np.array(match["homography"]) @ [0, 199, 1], [40, 20, 1], atol=3)
    assert len(ended.err.splitlines()) == 2


def test_query_csv_parses_back(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = ("crop", "missing", "stranger")
    images = [pictures[name] for name in names]
    rows = list(csv.DictReader(io.StringIO(run("query", index, *images, "--csv").out)))
    lines = run("query", index, *images, "--json").lines()
    assert [row["query"] for row in rows] == [str(path) for path in images]
    assert [row["status"] for row in rows] == ["ok", "not_found", "ok"]
    match = lines[0]["matches"][0]
    assert set(rows[0]) == {"query", "status", "query_damaged"} | (MATCH_KEYS - {"relation"}) | RELATION_KEYS
    assert rows[0]["name"] == match["name"]
    assert float(rows[0]["score"]) == match["score"]
    assert float(rows[0]["rotation_deg"]) == match["relation"]["rotation_deg"]
    assert json.loads(rows[0]["homography"]) == match["homography"]
    assert json.loads(rows[0]["query_region"]) == match["query_region"]
    assert rows[1]["name"] == rows[2]["name"] == ""


def test_query_all_shows_unproven_candidates_and_limit_bounds_them(
    run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tmp_path / "both.png"
    two = [Image.open(pictures[name]).convert("RGB").resize((300, 300)) for name in ("astronaut", "chelsea")]
    Image.fromarray(np.hstack([np.asarray(one) for one in two])).save(both)

    def matches(*options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run("query", index, both, "--json", *options).lines()[0]["matches"]
        return found

    assert len(matches()) == 2
    assert matches("--limit", "1") == matches()[:1]
    monkeypatch.setattr("featmatch.proof.answers.PROVEN", 1.1)
    assert matches() == []
    assert len(matches("--all")) >= 2


def test_unproven_candidates_alone_are_nothing_found(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    assert run("query", index, pictures["stranger"], "--all").status == 1


def test_query_draws_each_match(run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    ended = run("query", index, pictures["crop"], pictures["stranger"], "--json", "--draw", tmp_path / "new" / "drawn")
    assert ended.status == 0
    assert len(ended.lines()) == 2
    drawn = list((tmp_path / "new" / "drawn").iterdir())
    assert len(drawn) == 1
    with Image.open(drawn[0]) as picture:
        assert min(picture.size) > 100


def test_a_place_that_cannot_be_drawn_into_is_an_error(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], "--draw", pictures["text"])
    assert ended.status == 2
    assert ended.err.startswith("featmatch: ")


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
def test_names_that_are_no_utf_8_go_in_and_come_out(own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(pictures["coins"].read_bytes())

    def bare(*arguments: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "featmatch", *arguments]
        return subprocess.run(command, capture_output=True, check=False)

    assert bare("add", own_index, path).returncode == 0
    printed = b'"' + os.fsencode(tmp_path) + b'/caf\\351.png"'
    assert printed in bare("list", own_index).stdout.splitlines()
    for given in (path, printed):
        queried = bare("query", own_index, given, "--json")
        assert queried.returncode == 0
        found = json.loads(queried.stdout)
        assert os.fsencode(found["query"]) == os.fsencode(found["matches"][0]["name"]) == path
        assert found["query_quoted"] == found["matches"][0]["name_quoted"] == printed.decode()
    rows = list(csv.DictReader(io.StringIO(bare("query", own_index, path, "--csv").stdout.decode())))
    assert [row["name"] for row in rows] == [printed.decode()]
    assert bare("verify", printed, path).returncode == 0
    assert bare("explain", own_index, printed, printed).returncode == 0
    for command in ("reject", "accept"):
        assert bare(command, own_index, printed, pictures["chelsea"]).returncode == 0
        assert bare(command, own_index, printed, pictures["chelsea"], "--clear").returncode == 0
    assert bare("add", own_index, printed).stderr == b"added 0, skipped 1, failed 0\n"
    assert bare("remove", own_index, printed).stderr == b"removed 1\n"


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


# verify


def test_verify_answers_in_words_and_exit_status(run: Run, pictures: dict[str, Path]) -> None:
    yes = run("verify", pictures["crop"], pictures["chelsea"])
    assert (yes.status, yes.err) == (0, "")
    assert yes.out.startswith("yes")
    no = run("verify", pictures["crop"], pictures["stranger"])
    assert (no.status, no.err) == (1, "")
    assert no.out.startswith("no")
    assert len(no.out.splitlines()) == 1
    blank = run("verify", pictures["crop"], pictures["blank"])
    assert blank.status == 1
    assert "detail" in blank.out


@pytest.mark.parametrize("name", ["missing", "text"])
def test_verify_of_what_cannot_be_read_is_an_error(run: Run, pictures: dict[str, Path], name: str) -> None:
    for pair in ((pictures[name], pictures["coins"]), (pictures["coins"], pictures[name])):
        ended = run("verify", *pair)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")


def test_verify_json_is_a_match_with_verified_and_reason(run: Run, pictures: dict[str, Path]) -> None:
    for name, verified in (("chelsea", True), ("stranger", False), ("blank", False)):
        (found,) = run("verify", pictures["crop"], pictures[name], "--json").lines()
        assert set(found) == MATCH_KEYS | {"verified", "reason", "query_damaged"}
        assert found["verified"] is verified
        assert found["reason"]
    (found,) = run("verify", pictures["crop"], pictures["chelsea"], "--json").lines()
    assert set(found["relation"]) == RELATION_KEYS
    assert found["relation"]["kind"] == "crop"


def test_verify_takes_other_features(run: Run, pictures: dict[str, Path]) -> None:
    assert run("verify", pictures["chelsea"], pictures["chelsea"], "--features", "orb").status == 0


def test_verify_draws_its_answer(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    for name, status in (("chelsea", 0), ("stranger", 1)):
        target = tmp_path / f"{name}.png"
        assert run("verify", pictures["crop"], pictures[name], "--draw", target).status == status
        with Image.open(target) as picture:
            assert picture.mode == "RGB"
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "no" / "x.png").status == 2
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "x.nonsense").status == 2


# remove, list, info, train


def test_remove_takes_images_out_and_says_what_was_not_there(
    run: Run, own_index: Path, pictures: dict[str, Path]
) -> None:
    ended = run("remove", own_index, pictures["chelsea"], "never there.png")
    assert (ended.status, ended.out) == (0, "")
    assert "never there.png: not in the index" in ended.err
    assert "removed 1" in ended.err
    assert len(Index.open(own_index)) == 0
    assert pictures["chelsea"].is_file()
    assert run("remove", own_index, pictures["chelsea"]).status == 1


def test_list_prints_names_in_the_order_of_addition(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = [str(pictures[name]) for name in ("astronaut", "chelsea", "coins")]
    listed = run("list", index)
    assert (listed.status, listed.err) == (0, "")
    assert listed.out.splitlines() == names
    assert [line["name"] for line in run("list", index, "--json").lines()] == names


def test_list_and_query_are_restricted_by_match(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    listed = run("list", index, "--match", "CHEL collection")
    assert (listed.status, listed.out) == (0, f"{pictures['chelsea']}\n")
    assert run("list", index, "--match", "no-such-thing").status == 1
    assert run("list", index, "--match", '"').status == 2
    (record,) = run("list", index, "--match", "chelsea", "--json").lines()
    assert (record["format"], record["taken"], record["camera"], record["caption"]) == ("PNG", None, None, None)
    found = run("query", index, pictures["crop"], "--match", "chelsea", "--json")
    assert [match["name"] for match in found.lines()[0]["matches"]] == [str(pictures["chelsea"])]
    assert run("query", index, pictures["crop"], "--match", "astronaut").status == 1
    assert run("query", index, pictures["crop"], "--match", "☃").status == 2


def test_list_of_an_empty_index_is_nothing_found(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    run("remove", own_index, pictures["chelsea"])
    listed = run("list", own_index)
    assert (listed.status, listed.out) == (1, "")


def test_info_tells_numbers(run: Run, index: Path, tiny_vocabulary: Vocabulary) -> None:
    plain = run("info", index)
    assert (plain.status, plain.err) == (0, "")
    (found,) = run("info", index, "--json").lines()
    assert (found["images"], found["segments"], found["detector"]) == (3, 1, "sift")
    assert found["words"] == len(tiny_vocabulary)
    for name, value in found.items():
        assert any(name in line and str(value) in line for line in plain.out.splitlines())


def test_compact_says_what_it_did(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    run("add", own_index, pictures["coins"], "--jobs", "1")
    run("remove", own_index, pictures["chelsea"])
    ended = run("compact", own_index)
    assert (ended.status, ended.out) == (0, "")
    assert "segments 2 -> 1" in ended.err
    assert "removed images 1 -> 0" in ended.err
    assert run("query", own_index, pictures["coins"]).status == 0


def test_check_names_what_is_wrong_and_repairs_it(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    clean = run("check", own_index)
    assert (clean.status, clean.out, clean.err) == (0, "", "featmatch: clean\n")
    column = own_index / "segments" / "000001" / "size.npy"
    column.write_bytes(column.read_bytes()[:-1] + b"\xff")
    (own_index / "segments" / "000007").mkdir()
    wrong = run("check", own_index)
    assert wrong.status == 1
    assert "size.npy is not as it was written" in wrong.out
    assert "000007" in wrong.err
    repaired = run("check", own_index, "--repair")
    assert repaired.status == 0
    assert "size.npy is not as it was written" in repaired.out
    assert "took segment 000001 out" in repaired.err
    assert "1 image to be added again" in repaired.err
    assert "queued      1" in run("info", own_index).out
    assert "added 1" in run("add", own_index, pictures["chelsea"]).err
    assert run("check", own_index).err == "featmatch: clean\n"


def test_a_second_writer_is_refused_at_once_or_waits(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    lock = FileLock(own_index / "writer.lock")
    commands = (["add", pictures["coins"]], ["remove", pictures["coins"]], ["compact"], ["check", "--repair"])
    with lock:
        for command, *arguments in commands:
            ended = run(command, own_index, *arguments)
            assert ended.status == 2
            assert "is being written to by another process" in ended.err
    for command, *arguments in commands:
        held, enough = threading.Event(), threading.Event()

        def hold(held: threading.Event = held, enough: threading.Event = enough) -> None:
            with lock:
                held.set()
                enough.wait()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        threading.Timer(0.05, enough.set).start()
        assert run(command, own_index, *arguments, "--wait").status == 0
        assert enough.is_set()
        holder.join()


def test_train_writes_a_vocabulary_that_works(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "own.npz"
    ended = run("train", target, pictures["collection"], "--words", "64", "--jobs", "1")
    assert (ended.status, ended.out) == (0, "")
    assert len(Vocabulary.load(target)) == 64
    assert run("add", tmp_path / "own.fm", pictures["chelsea"], "--vocabulary", target).status == 0
    assert run("query", tmp_path / "own.fm", pictures["crop"]).status == 0


def test_train_on_too_little_is_an_error_and_writes_nothing(
    run: Run, pictures: dict[str, Path], tmp_path: Path
) -> None:
    for paths in ([pictures["blank"]], [pictures["missing"]], [pictures["coins"]]):
        ended = run("train", tmp_path / "own.npz", *paths, "--words", "65536", "--jobs", "1")
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")
    assert list(tmp_path.iterdir()) == []


def test_train_into_a_folder_that_is_not_there_is_an_error(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    ended = run("train", tmp_path / "no" / "own.npz", pictures["collection"], "--words", "64", "--jobs", "1")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("featmatch: ")


def test_add_takes_all_pages_when_asked(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    scan = tmp_path / "scan.tif"
    pages = [Image.open(pictures[name]).convert("RGB") for name in ("astronaut", "stranger")]
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    ended = run("add", own_index, scan, "--pages")
    assert (ended.status, ended.err) == (0, "added 2, skipped 0, failed 0\n")
    assert run("query", own_index, pictures["stranger"], "--json").lines()[0]["matches"][0]["name"] == f"{scan}#page=2"
    assert run("remove", own_index, f"{scan}#page=2").status == 0


def test_add_gives_up_on_an_image_after_the_timeout(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    ended = run("add", own_index, pictures["coins"], "--timeout", "0.001")
    assert ended.status == 2
    assert "decode_failed: took more than 0.001 seconds" in ended.err
    assert run("add", own_index, pictures["coins"], "--timeout", "0").status == 2
    assert run("add", own_index, pictures["coins"]).status == 0


def test_damaged_files_are_told(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.open(pictures["astronaut"]).convert("RGB").save(whole)
    cut.write_bytes(whole.read_bytes()[:-2])
    added = run("add", own_index, cut)
    assert added.status == 0
    assert f"featmatch: {cut}: damaged: " in added.err
    assert added.err.count("damaged: ") == 1
    assert f"{cut} (damaged)  (copy" in run("query", own_index, whole).out
    assert run("query", own_index, cut).out.startswith(f"{cut} (damaged):")
    (line,) = run("query", own_index, cut, "--json").lines()
    assert (line["damaged"], line["matches"][0]["damaged"]) == (True, True)
    (line,) = run("query", own_index, whole, "--json").lines()
    assert (line["damaged"], line["matches"][0]["damaged"]) == (False, True)
    (row,) = csv.DictReader(io.StringIO(run("query", own_index, whole, "--csv").out))
    assert (row["query_damaged"], row["damaged"]) == ("False", "True")
    assert f"yes: {cut} (damaged) / {whole}: " in run("verify", cut, whole).out


def test_larger_pictures_are_refused_by_every_command_that_decodes(
    run: Run, own_index: Path, pictures: dict[str, Path]
) -> None:
    coins = pictures["coins"]
    for command in (
        ("add", own_index, coins), ("query", own_index, coins), ("verify", coins, coins),
        ("explain", own_index, coins, coins),
    ):  # fmt: skip
        ended = run(*command, "--max-pixels", "1000")
        assert ended.status == 2
        assert "1000 at most (max-pixels)" in ended.err
    assert run("verify", coins, coins, "--max-pixels", "1000000", "--timeout", "50").status == 0


def test_decoders_do_not_talk_on_standard_error(own_index: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tif"
    Image.effect_noise((200, 200), 90).convert("1").save(damaged, compression="group4")
    content = bytearray(damaged.read_bytes())
    content[100:400] = bytes(range(1, 101)) * 3
    damaged.write_bytes(content)
    for command in ("query", "add"):
        ended = subprocess.run(
            [sys.executable, "-m", "featmatch", command, str(own_index), str(damaged)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert all(line.startswith(("featmatch: ", "added ")) for line in ended.stderr.splitlines())
    raw = subprocess.run(
        [sys.executable, "-c", "import sys; from PIL import Image; Image.open(sys.argv[1]).load()", str(damaged)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Fax4Decode" in raw.stderr  # what would be seen otherwise
