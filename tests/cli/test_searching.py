from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, StoreError
from featmatch.images.addresses import Fetching
from featmatch.store.catalog import Catalog
from tests.cli.conftest import Run

MATCH_KEYS = {
    "id", "name", "probability", "score", "inliers", "agreement", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "differences", "differing_share",
    "verdict", "damaged", "width", "height",
}  # fmt: skip
RELATION_KEYS = {"kind", "rotation_deg", "scale", "mirrored", "negative"}
IN_CSV = (MATCH_KEYS | RELATION_KEYS) - {"relation", "width", "height", "differences", "differing_share"}


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_query_exits_as_grep_does(run: Run, index: Path, pictures: dict[str, Path], form: list[str]) -> None:
    assert run("query", index, pictures["crop"], *form).status == 0
    assert run("query", index, pictures["stranger"], *form).status == 1
    assert run("query", index, pictures["blank"], *form).status == 1
    assert run("query", index, pictures["missing"], *form).status == 2
    assert run("query", index, pictures["stranger"], pictures["crop"], *form).status == 0
    assert run("query", index, pictures["text"], pictures["crop"], *form).status == 2


def test_query_all_shows_unproven_candidates_and_limit_bounds_them(
    run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tmp_path / "both.png"
    two = [Image.open(pictures[name]).convert("RGB").resize((300, 300)) for name in ("astronaut", "chelsea")]
    Image.fromarray(np.hstack([np.asarray(one) for one in two])).save(both)

    def matches(*options: str) -> list[dict[str, Any]]:
        (line,) = run("query", index, both, "--json", "--forms", "none", *options).lines()
        found: list[dict[str, Any]] = line["matches"]
        return found

    assert len(matches()) == 2
    assert matches("--limit", "1") == matches()[:1]
    monkeypatch.setattr("featmatch.proof.proof.PROVEN", 1.1)
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


@pytest.mark.parametrize("name", ["missing", "text"])
def test_verify_of_what_cannot_be_read_is_an_error(run: Run, pictures: dict[str, Path], name: str) -> None:
    for pair in ((pictures[name], pictures["coins"]), (pictures["coins"], pictures[name])):
        ended = run("verify", *pair)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")


def test_verify_takes_other_features(run: Run, pictures: dict[str, Path]) -> None:
    assert run("verify", pictures["chelsea"], pictures["chelsea"], "--features", "orb").status == 0


def test_verify_draws_its_answer(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    for name, status in (("chelsea", 0), ("stranger", 1)):
        target = tmp_path / f"{name}.png"
        assert run("verify", pictures["crop"], pictures[name], "--forms", "none", "--draw", target).status == status
        with Image.open(target) as picture:
            assert picture.mode == "RGB"
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "no" / "x.png").status == 2
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "x.nonsense").status == 2


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


def test_query_prints_a_table_and_says_what_was_found(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], pictures["stranger"], pictures["blank"])
    assert ended.status == 0
    assert str(pictures["chelsea"]) in ended.out
    assert f"{pictures['stranger']}: nothing found" in ended.out
    assert f"{pictures['blank']}: too_little_detail" in ended.out
    assert ended.err == ""


def test_query_json_is_one_object_a_line_as_promised(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = ("crop", "missing", "text", "blank", "stranger")
    ended = run("query", index, *(pictures[name] for name in names), "--json")
    lines = ended.lines()
    assert [line["query"] for line in lines] == [str(pictures[name]) for name in names]
    assert [line["status"] for line in lines] == ["ok", "not_found", "decode_failed", "too_little_detail", "ok"]
    assert all(set(line) == {"query", "status", "damaged", "matches", "related"} for line in lines)
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
    assert set(rows[0]) == {"query", "status", "query_damaged", *IN_CSV}
    assert rows[0]["name"] == match["name"]
    assert float(rows[0]["score"]) == match["score"]
    assert float(rows[0]["rotation_deg"]) == match["relation"]["rotation_deg"]
    assert json.loads(rows[0]["homography"]) == match["homography"]
    assert json.loads(rows[0]["query_region"]) == match["query_region"]
    assert rows[1]["name"] == rows[2]["name"] == ""


def test_verify_answers_in_words_and_exit_status(run: Run, pictures: dict[str, Path]) -> None:
    yes = run("verify", pictures["crop"], pictures["chelsea"])
    assert (yes.status, yes.err) == (0, "")
    assert yes.out.startswith("yes")
    no = run("verify", pictures["crop"], pictures["stranger"], "--forms", "none")
    assert (no.status, no.err) == (1, "")
    assert no.out.startswith("no")
    assert len(no.out.splitlines()) == 1
    blank = run("verify", pictures["crop"], pictures["blank"])
    assert blank.status == 1
    assert "detail" in blank.out


def test_verify_json_is_a_match_with_verified_and_reason(run: Run, pictures: dict[str, Path]) -> None:
    for name, verified in (("chelsea", True), ("stranger", False), ("blank", False)):
        (found,) = run("verify", pictures["crop"], pictures[name], "--forms", "none", "--json").lines()
        assert set(found) == MATCH_KEYS | {"verified", "reason", "query_damaged"}
        assert found["verified"] is verified
        assert found["reason"]
    (found,) = run("verify", pictures["crop"], pictures["chelsea"], "--json").lines()
    assert set(found["relation"]) == RELATION_KEYS
    assert found["relation"]["kind"] == "crop"


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


def test_a_verdict_stands_behind_the_relation(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    query = "query", own_index, pictures["crop"]
    for command, status in (("accept", 0), ("reject", 1)):
        run(command, own_index, pictures["crop"], pictures["chelsea"])
        said = run(*query, "--all")
        assert said.status == status
        assert said.out.endswith(f", rotated 90°; {command}ed)\n")


@pytest.mark.usefixtures("opencv_has_threads")
@pytest.mark.parametrize("form", [[], ["--csv"]])
def test_what_query_says_does_not_depend_on_the_number_of_jobs(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path, form: list[str]
) -> None:
    gone = tmp_path / "gone.jpg"
    Image.open(pictures["chelsea"]).save(gone)
    assert run("add", own_index, gone, pictures["astronaut"], "--jobs", "1").status == 0
    gone.unlink()
    odd = tmp_path / "two\nlines.png"
    odd.write_bytes(pictures["crop"].read_bytes())
    (tmp_path / "empty.jpg").touch()
    names = ("crop", "missing", "stranger", "text", "blank", "astronaut", "crop")
    images = [*(pictures[name] for name in names), odd, tmp_path / "empty.jpg", *map(pictures.get, names[:4])]
    draw = [] if form else ["--draw", tmp_path / "drawn"]
    command = ["query", own_index, *images, *form, "--all", "--forms", "none", *draw]
    ended = {jobs: run(*command, "--jobs", jobs) for jobs in (1, 2)}
    assert ended[1].status == 2
    assert ended[1].err.count("not_found") == 2
    assert ended[1].err.count("decode_failed") == 3
    assert ended[1].err.count("the files of 1 image are not at hand") == 1
    assert bool(form) or ended[1].err.count("drawn: ") >= 6
    assert ended[2] == ended[1]


def test_no_jobs_are_an_error(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], "--jobs", "0")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("featmatch: jobs is 1 or more")


def test_query_takes_folders_archives_lists_addresses_and_standard_input(
    run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, packed = tmp_path / "a folder", tmp_path / "日本.zip"
    folder.mkdir()
    shutil.copy(pictures["crop"], folder / "two\nlines.png")
    shutil.copy(pictures["text"], folder)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(pictures["crop"], "deep/crop.png")
    (tmp_path / "list").write_text(f"{pictures['stranger']}\n")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pictures["crop"].read_bytes())))
    monkeypatch.setattr(Fetching, "fetch", lambda self, url: pictures["crop"].read_bytes())

    given = [folder, packed, "-", "https://a.example/b.png", "--from", tmp_path / "list"]
    ended = run("query", index, *given, "--json", "--draw", tmp_path / "drawn")
    names = [str(folder / "text.jpg"), str(folder / "two\nlines.png"), f"{packed}#member=deep/crop.png", "-"]
    lines = ended.lines()
    assert [line["query"] for line in lines] == [*names, "https://a.example/b.png", str(pictures["stranger"])]
    assert [len(line["matches"]) for line in lines] == [0, 1, 1, 1, 1, 0]
    assert len({json.dumps(line["matches"]) for line in lines if line["matches"]}) == 1
    assert ended.status == 0  # what cannot be read was found in a folder, and not asked for
    assert len(list((tmp_path / "drawn").iterdir())) == 4


def test_query_wants_something_and_reads_standard_input_once(run: Run, index: Path, tmp_path: Path) -> None:
    for given in ([], ["-", "-"], ["-", "--from", "-"], ["--from", tmp_path / "missing"]):
        ended = run("query", index, *given)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err


def test_two_pictures_may_come_from_anywhere(
    run: Run, index: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fetching, "fetch", lambda self, url: pictures["chelsea"].read_bytes())
    for command in (("verify", "-", "https://a.example/"), ("explain", index, "-", pictures["chelsea"])):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pictures["crop"].read_bytes())))
        assert run(*command).status == 0
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pictures["crop"].read_bytes())))
    assert run("verify", "-", "https://a.example/", "--json").lines()[0]["name"] == "https://a.example/"
    monkeypatch.undo()
    assert run("verify", "-", "-").status == 2
    assert run("verify", "http://10.0.0.1/", "-").status == 2
    assert run("explain", index, "ftp://a/", "x").status == 2


# Several indexes as one


@pytest.fixture(scope="module")
def parts(pictures: dict[str, Path], vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The collection in two indexes, the second with the picture of the crop. Not to be written to."""
    folder = tmp_path_factory.mktemp("parts")
    for name, some in (("a.fm", ("astronaut", "coins")), ("b.fm", ("chelsea",))):
        made = Index.open(folder / name, create=True, vocabulary=vocabulary_file)
        made.add([pictures[one] for one in some], jobs=1)
    (folder / "both.txt").write_text("a.fm\nb.fm\n")
    return [folder / name for name in ("a.fm", "b.fm", "both.txt")]


def test_several_indexes_are_asked_as_one(
    run: Run, index: Path, parts: list[Path], pictures: dict[str, Path], tmp_path: Path
) -> None:
    first, second, both = parts
    (one,) = run("query", index, pictures["crop"], "--json").lines()
    for command in (("query", first, "--also", second), ("query", both)):
        ended = run(*command, pictures["crop"], "--json", "--draw", tmp_path / "drawn")
        (several,) = ended.lines()
        assert ended.status == 0
        (match,) = several["matches"]
        assert match.pop("index") == str(second)
        assert [match | {"id": 0}] == [found | {"id": 0} for found in one["matches"]]
        assert list(several) == list(one)
        assert len(list((tmp_path / "drawn").iterdir())) == 1
        assert run(*command, pictures["stranger"]).status == 1
        assert f"{second}: " in run(*command, pictures["crop"]).out
        (row,) = csv.DictReader(io.StringIO(run(*command, pictures["crop"], "--csv").out))
        assert row["index"] == str(second)


def test_several_indexes_are_grouped_as_one(run: Run, parts: list[Path], pictures: dict[str, Path]) -> None:
    first, second, both = parts
    told = []
    for command in (("groups", first, "--also", second), ("groups", both)):
        ended = run(*command, "--jobs", "1", "--json")
        assert (ended.status, ended.out) == (1, "")
        told.append(run(*command, "--jobs", "1", "--csv").out)
    assert told == 2 * [told[0]]
    assert told[0].splitlines()[0].endswith(",marked,index")
    names = [str(pictures[name].parent) for name in ("astronaut", "chelsea")]
    assert run("groups", both, "--jobs", "1", "--across", *names).status == 1


def test_an_index_that_does_not_answer_is_told_of(
    run: Run, parts: list[Path], pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = parts
    contents_of = Catalog.contents_of

    def fail(own: Catalog, images: Any) -> dict[int, str]:
        if own.path.parent == first:
            raise StoreError("it is damaged")
        return contents_of(own, images)

    monkeypatch.setattr(Catalog, "contents_of", fail)
    for picture, found in (("crop", 1), ("stranger", 0)):
        ended = run("query", first, pictures[picture], "--also", second, "--json")
        (told,) = ended.lines()
        assert (ended.status, told["status"], told["missing"], len(told["matches"])) == (
            2,
            "partial",
            [str(first)],
            found,
        )
        assert f"{first} did not answer" in ended.err
        assert "not all indexes answered" in run("query", first, pictures[picture], "--also", second).out


def test_indexes_that_cannot_be_one_are_refused(run: Run, parts: list[Path], pictures: dict[str, Path]) -> None:
    first, _, both = parts
    for command in (("--also", first), ("--also", both), ("--also", pictures["crop"])):
        ended = run("query", first, pictures["crop"], *command)
        assert ended.status == 2
        assert ended.err.startswith("featmatch: ")


def test_similar_ranks_and_claims_nothing(run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    told = run("similar", index, pictures["chelsea"], "--limit", 2)
    lines = told.out.splitlines()
    assert (told.status, lines[0], len(lines)) == (0, f"{pictures['chelsea']}, by phash:", 4)
    assert lines[2].split() == ["0", str(pictures["chelsea"])]
    (found,) = run("similar", index, pictures["stranger"], "--by", "colour", "--json").lines()
    assert (found["by"], len(found["similar"])) == ("colour", 3)
    assert run("similar", index, pictures["text"]).status == 2
    assert run("similar", index, pictures["chelsea"], "--by", "smell").status == 2
